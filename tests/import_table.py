"""The one table of who may import whom. tests/test_imports.py holds the code to it, lazy imports included.

A unit is a package or a module right under `bridge`. It may import itself and what its row names; a dotted
name opens that one module and no more. Triggers, converters and deliveries never import one another; only
`daemon` wires everything.
"""

from __future__ import annotations

EVERYWHERE = frozenset({"errors", "clock", "crash_points"})

MAY_IMPORT: dict[str, frozenset[str]] = {
    # the ground: imports nothing above itself
    "errors": frozenset(),
    "crash_points": frozenset(),
    "clock": frozenset(),
    "child_process": frozenset(),
    "keys": EVERYWHERE,
    "logs": EVERYWHERE | {"keys"},
    "home": EVERYWHERE,
    "owner": EVERYWHERE | {"home"},
    "toml_faults": EVERYWHERE,
    "testing": EVERYWHERE
    | {"conversions", "converters.base", "jobs.model", "midi.board", "midi.messages", "midi.port_names"},
    # facts and formats
    "media": frozenset({"errors"}),
    "conversions": frozenset({"errors", "media"}),
    "key_names": frozenset(),
    "toml_editing": frozenset(),
    "config_controls": EVERYWHERE | {"key_names", "midi.messages", "midi.patterns", "midi.controller_maps"},
    "config": EVERYWHERE | {"config_controls", "toml_faults", "home"},
    "preset_tables": frozenset({"conversions", "media", "midi.messages"}),
    "presets": EVERYWHERE | {"toml_faults", "conversions", "media", "preset_tables"},
    # the work
    "engine": frozenset({"child_process", "conversions", "errors", "media"}),
    "midi": EVERYWHERE | {"child_process", "media", "logs"},
    "supervisor": EVERYWHERE | {"logs"},
    "triggers": EVERYWHERE | {"key_names", "media", "jobs", "config", "logs"},
    "jobs": EVERYWHERE | {"media", "config", "presets", "conversions", "converters.base", "logs"},
    "converters": EVERYWHERE
    | {"media", "config", "conversions", "engine", "jobs.model", "keys", "supervisor", "logs"},
    "delivery": EVERYWHERE | {"media", "midi.messages", "config", "presets", "jobs", "logs"},
    # what the musician touches
    "answerers": EVERYWHERE | {"conversions", "converters", "engine", "jobs", "media", "server"},
    "actions": EVERYWHERE
    | {"config", "presets", "conversions", "jobs", "media", "midi.messages", "toml_faults"},
    "surface": EVERYWHERE
    | {"actions", "config", "config_controls", "jobs", "media", "midi", "toml_faults", "triggers.hotkey"},
    "server": EVERYWHERE | {"actions", "config", "presets", "conversions", "jobs", "keys", "logs", "owner"},
    "daemon": EVERYWHERE
    | {
        "actions",
        "config",
        "presets",
        "conversions",
        "converters",
        "delivery",
        "engine",
        "home",
        "jobs",
        "keys",
        "logs",
    }
    | {"media", "midi", "owner", "server", "supervisor", "surface", "triggers"},
    "cli": EVERYWHERE
    | {
        "actions",
        "config",
        "presets",
        "conversions",
        "converters",
        "daemon",
        "engine",
        "home",
        "jobs",
        "keys",
        "logs",
        "media",
        "owner",
    }
    | {"answerers", "server", "demo", "doctor", "toml_faults", "toml_editing", "config_controls"}
    | {"midi.child", "midi.learning", "midi.looking", "midi.messages", "midi.port_names", "midi.words"},
    # a thin layer above the command line: both look at the whole from outside, as the musician does
    "demo": EVERYWHERE | {"cli", "engine", "home", "media"},
    "doctor": EVERYWHERE
    | {"cli.connection", "config", "engine", "home", "keys", "media", "owner", "presets"}
    | {"doctor_controls"},
    "doctor_controls": EVERYWHERE
    | {"config", "midi.link", "midi.looking", "midi.messages", "surface.wiring", "triggers.hotkey"},
    "__main__": frozenset({"cli"}),
}

# What makes a process big. The daemon has none of it: the engine's workers do.
HEAVY = frozenset({"numpy", "scipy", "soundfile", "soxr", "onnxruntime"})
MAY_BE_HEAVY = frozenset(
    {
        "bridge.engine",
        "bridge.media.audio_files",
        "bridge.media.audio_format",
        "bridge.media.audio_writing",
        "bridge.media.sample_depth",
        "bridge.media.sample_spool",
        "bridge.media.audio_sources",
        "bridge.media.ffmpeg_decode",
        "bridge.media.raw_pcm",
    }
)

# What must not be in memory once a module has been imported.
STAYS_OUT: dict[str, frozenset[str]] = {
    "bridge.daemon": HEAVY,
    "bridge.server.control": HEAVY,
    "bridge.answerers": HEAVY,
    "bridge.cli": HEAVY | {"fastapi", "pydantic", "uvicorn"},
    "bridge.cli.reading": HEAVY | {"fastapi", "pydantic", "uvicorn"},
}
