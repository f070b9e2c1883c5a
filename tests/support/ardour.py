"""Ardour 7 without a screen: sessions through its Lua, and written into them what its Lua cannot do.

Debian: `apt-get install --no-install-recommends ardour`.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

PROGRAMS = ("ardour7-lua", "ardour7-export")
needs_ardour = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)),
    reason="Ardour 7 is not installed: apt-get install --no-install-recommends ardour",
)

SUPERCLOCK_HZ = 282_240_000
TICKS_A_QUARTER = 1920
DEADLINE_S = 60
ATTEMPTS = 12
"""Of ten exports without a screen Ardour 7.3 aborts in two to four, even of an empty session: its heap is
damaged, which shows when it frees its limiter. What it made then does not count."""

BEGIN = 'AudioEngine:set_backend("None (Dummy)", "DAWBridge", "")\n'
END = "collectgarbage()\nclose_session()\n"
AT = f"function at(beats) return Temporal.timepos_t.from_ticks(math.floor(beats * {TICKS_A_QUARTER})) end\n"

SOURCE = '<Sources><Source name="{name}" type="audio" flags="" id="9001" channel="0" origin=""/></Sources>'
REGION = (
    '<Region name="laid" id="9002" type="audio" start="a0" length="a{length}@a{position}" muted="0"'
    ' opaque="1" whole-file="0" source-0="9001" master-source-0="9001" channels="1"/>'
)
CLOCKS = r'sclock="(\d+)" quarters="(\d+):0"'

BWF_PRESET = "8a0b6a86-3d5e-4c43-9c53-0d5b2f8e7a11"
WAV_PRESET = "75969a1c-3133-4694-864b-a1fa50e43348"
SHIPPED_PRESET = Path("/usr/share/ardour7/export/wav.preset")
WAV_FORMAT, BWF_FORMAT = "dd4f6f30-f054-4e0a-8d91-67eed5d79153", "e61c1d0f-95bd-48fb-b812-def99dbabe28"

Ramps = Mapping[int, tuple[float, float, int]]
"""Beat: from and to how many BPM, and at which beat that is reached."""


def ardour(home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs one of Ardour's programs with settings of its own; what it prints is in `stdout`."""
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [*map(str, command)],
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=DEADLINE_S,
        check=False,
    )


def run_once(home: Path, script: str) -> tuple[bool, str]:
    """Whether Ardour lived through a script, and what it printed. Fails for a script that is wrong."""
    home.mkdir(exist_ok=True)
    file = home / "script.lua"
    file.write_text(BEGIN + AT + script + END, encoding="utf-8")
    done = ardour(home, "ardour7-lua", file)
    assert done.returncode <= 0, done.stdout
    return done.returncode == 0, done.stdout


def run(home: Path, script: str, *, makes: Path | None = None) -> str:
    """What a script prints. Where Ardour dies, what it made does not count, and it runs once more."""
    printed = ""
    for _ in range(ATTEMPTS):
        if makes is not None and makes.exists():
            shutil.rmtree(makes) if makes.is_dir() else makes.unlink()
        lived, printed = run_once(home, script)
        if lived:
            return printed
    return pytest.fail(f"Ardour died {ATTEMPTS} times: {printed}")


def run_until(home: Path, script: Callable[[int], str]) -> int:
    """Runs the script for attempt 1, 2, ... until Ardour lives through it; gives that attempt's number."""
    printed = ""
    for attempt in range(1, ATTEMPTS + 1):
        lived, printed = run_once(home, script(attempt))
        if lived:
            return attempt
    return pytest.fail(f"Ardour died {ATTEMPTS} times: {printed}")


def edited(text: str, *changes: tuple[str, str]) -> str:
    """A session's XML with each pattern replaced; fails where one is not in it."""
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text)
        assert count, f"Ardour writes its sessions in another way now: {pattern}"
    return text


def lay_region(session: Path, track: str, sound: Path, *, frames: int, at_frame: int, rate_hz: int) -> None:
    """Puts a mono file of the session's own audio folder on a track, and the track on the master.

    Ardour imports audio in its editor only, so the region is written into the session's XML.
    """
    one = SUPERCLOCK_HZ // rate_hz
    region = REGION.format(length=frames * one, position=at_frame * one)
    text = edited(
        session.read_text(encoding="utf-8"),
        (r"<Sources/>", SOURCE.format(name=sound.name)),
        (rf'(<Playlist id="\d+" name="{track}"[^>]*)/>', rf"\1>{region}</Playlist>"),
        (r'id-counter="\d+"', 'id-counter="9999"'),
    )
    # Some settings connect a new track to the master, some do not.
    loose = rf'(<Port type="audio" name="{track}/audio_out ([12])")/>'
    text = re.sub(loose, r'\1><Connection other="Master/audio_in \2"/></Port>', text)
    session.write_text(text, encoding="utf-8")


def draw_ramps(session: Path, ramps: Ramps) -> None:
    """Makes ramps of what Ardour's Lua functions leave as steps (their `omega` stays 0 in 7.3)."""
    text = session.read_text(encoding="utf-8")
    for beat, (low, high, end) in ramps.items():
        quarter = 60 * SUPERCLOCK_HZ / low
        omega = (high - low) / (60 * SUPERCLOCK_HZ * (end - beat))
        longer = math.log1p(omega * quarter * (end - beat)) / omega - quarter * (end - beat)
        text = edited(text, (rf'(quarters="{beat}:0" bbt="[^"]*") omega="0"', rf'\1 omega="{omega!r}"'))
        text = re.sub(CLOCKS, partial(_moved, end=end, by=round(longer)), text)
    session.write_text(text, encoding="utf-8")


def _moved(found: re.Match[str], *, end: int, by: int) -> str:
    """All tempi and meters from a ramp's end on begin later by as much as it is longer than the step was."""
    clock = int(found[1]) + (by if int(found[2]) >= end else 0)
    return f'sclock="{clock}" quarters="{found[2]}:0"'


def add_bwf_preset(home: Path) -> None:
    """Adds the export preset BWF_PRESET: WAV files with a `bext` chunk, and so with their place."""
    text = SHIPPED_PRESET.read_text(encoding="utf-8")
    folder = home / "config/ardour7/export"
    folder.mkdir(parents=True, exist_ok=True)
    changes = ((WAV_PRESET, BWF_PRESET), (WAV_FORMAT, BWF_FORMAT), (r'name="WAV[^"]*"', 'name="BWF"'))
    (folder / "bwf.preset").write_text(edited(text, *changes), encoding="utf-8")
