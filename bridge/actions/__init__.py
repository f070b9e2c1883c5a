"""The table of actions: what a pad, a key, the command line, HTTP and the page can ask of the bridge.

One row an action; whoever triggers them looks the row up here, so a new one is there for all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bridge.actions.base import DEFAULT_PRESET, LOOK_TIMEOUT_S, Action, Arguments, Bridge, Result, Surface
from bridge.actions.converting import convert_file, convert_latest, convert_text, redeliver
from bridge.actions.playing import (
    bpm_of,
    check_slot,
    check_stream,
    loop,
    loop_wanted,
    next_preset,
    panic,
    previous_preset,
    reload_controls,
    select_preset,
    slot,
    stop,
    stream,
    tap_tempo,
    tempo,
    transport,
    transport_of,
)
from bridge.actions.tending import allow_upload, cancel, pause, quote, rescan, resolve, retry
from bridge.errors import WrongUse
from bridge.toml_faults import did_you_mean

__all__ = [
    "ACTIONS",
    "DEFAULT_PRESET",
    "LOOK_TIMEOUT_S",
    "Action",
    "Arguments",
    "Bridge",
    "Result",
    "Surface",
    "named",
    "perform",
]

_PRESET_WORDS = {
    "preset": "which preset; without it the default one",
    "conversion": "instead of a preset: one conversion and nothing else",
    "to": "the folder for the results",
    "set": "parameters that replace the preset's",
    "private": "true: the audio does not leave this machine",
    "allow_upload": "true: audio of the file's folder may be sent from now on",
}
_TEXT_WORDS = {
    **{name: words for name, words in _PRESET_WORDS.items() if name != "allow_upload"},
    "name": "what the results are called",
}
_JOB_WORDS = {"job": "the job's number; without it the latest"}
_PLAY_WORDS = {
    "role": "which of its results; without it all notes",
    "when": "now, beat, bar or armed; without it at the next bar",
    "count": "only each so many beats or bars",
    "loop": "true: over and over",
    "transpose": "semitones",
    "channel": "1 to 16, for all tracks",
    "port": "the port by name; without it the bridge's own",
    "follow": "launch, or song: fixed to the song's bar 1",
}
_WHICH_WORDS = {"job": "only this job's", "slot": "only this slot's"}

_ROWS = (
    Action("convert_latest", "Convert the latest bounce.", _PRESET_WORDS, convert_latest),
    Action(
        "convert_file",
        "Convert a file.",
        {"file": "the audio file", **_PRESET_WORDS, "batch": "true: everything else goes first"},
        convert_file,
        frozenset({"file"}),
    ),
    Action("cancel", "Cancel a job.", _JOB_WORDS, cancel),
    Action(
        "convert_text",
        "Make something from words alone.",
        {**_TEXT_WORDS, "batch": "true: everything else goes first"},
        convert_text,
    ),
    Action(
        "quote",
        "Say what it would cost; nothing is sent.",
        {"file": "the audio file, where there is one", **_PRESET_WORDS, **_TEXT_WORDS},
        quote,
    ),
    Action(
        "allow_upload",
        "Allow that audio of a folder is sent to MusicGPT.",
        {"folder": "the folder; all below it too"},
        allow_upload,
        frozenset({"folder"}),
    ),
    Action(
        "resolve",
        "Answer what became of a request of which nobody knows whether it arrived.",
        {
            **_JOB_WORDS,
            "answer": "resubmit, forget or ticket",
            "ticket": "the task that MusicGPT shows",
            "of": "which of several: the step or the file",
        },
        resolve,
        frozenset({"answer"}),
    ),
    Action(
        "retry",
        "Try a failed, waiting or cancelled job again.",
        {**_JOB_WORDS, "pay": "true: also where it may cost once more"},
        retry,
    ),
    Action("redeliver", "Put a job's results into the project folder again.", _JOB_WORDS, redeliver),
    Action(
        "stream",
        "Play notes out of the MIDI port.",
        {"job": "the job's number; without it the latest with notes", "slot": "the slot", **_PLAY_WORDS},
        stream,
        check=check_stream,
    ),
    Action(
        "slot",
        "One pad for one result: takes the latest, starts it, stops it.",
        {"slot": "its number", "clear": "true: empty it", **_PLAY_WORDS},
        slot,
        frozenset({"slot"}),
        check_slot,
    ),
    Action("stop", "Stop what plays.", _WHICH_WORDS, stop),
    Action(
        "loop",
        "Let it go on over and over, or not.",
        {**_WHICH_WORDS, "on": "true or false; without it the other way round"},
        loop,
        check=loop_wanted,
    ),
    Action("panic", "Silence everything at once.", {}, panic),
    Action("tap_tempo", "One tap of the tempo.", {"at_s": "when, by the MIDI process's clock"}, tap_tempo),
    Action(
        "tempo", "Set the tempo of our own clock.", {"bpm": "20 to 400"}, tempo, frozenset({"bpm"}), bpm_of
    ),
    Action(
        "transport",
        "Start, stop or continue our own clock.",
        {"do": "start, stop or continue", "beat": "first go there; a quarter note is 1"},
        transport,
        check=transport_of,
    ),
    Action("next_preset", "Take the next preset for the latest bounce.", {}, next_preset),
    Action("previous_preset", "Take the previous preset for the latest bounce.", {}, previous_preset),
    Action(
        "select_preset",
        "Take this preset for the latest bounce.",
        {"preset": "its name"},
        select_preset,
        frozenset({"preset"}),
    ),
    Action(
        "pause",
        "Let the engine rest, as while you record, or go on.",
        {"on": "true or false; without it the other way round"},
        pause,
    ),
    Action("reload_controls", "Take up pads and keys of the settings anew.", {}, reload_controls),
    Action("rescan", "Look through all watched folders now.", {}, rescan),
)

ACTIONS: Mapping[str, Action] = MappingProxyType({row.name: row for row in _ROWS})

INTERNAL = frozenset({"trigger"})
"""Arguments that our own callers add: who asked."""


def named(name: str) -> Action:
    """Raises WrongUse, with what was perhaps meant."""
    action = ACTIONS.get(name.replace("-", "_"))
    if action is None:
        raise WrongUse(f"there is no action '{name}'.", remedy=did_you_mean(name, ACTIONS))
    return action


def perform(bridge: Bridge, name: str, arguments: Arguments) -> Result:
    """Does it. Raises WrongUse for an unknown action or argument, else what the action raises."""
    action = named(name)
    for fault in action.misnamed(set(arguments) - INTERNAL):
        raise fault
    return action.run(bridge, arguments)
