"""A real DAW: Ardour renders a loop of ours into a watched folder, and its notes come out as MIDI.

Needs Ardour 7 (Debian: `apt-get install --no-install-recommends ardour`); skipped where it is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.engine import synth
from bridge.media.midi_files import smf_to_notes
from bridge.media.notes import Note
from support.ardour import ATTEMPTS, SUPERCLOCK_HZ, ardour, edited, lay_region, needs_ardour, run
from support.bridge_process import BridgeProcess
from support.polling import eventually

pytestmark = [pytest.mark.slow, needs_ardour]

RATE_HZ = 48_000
PITCHES = (60, 64, 67, 72)

NEW_SESSION = """
s = create_session("{folder}", "song", {rate_hz})
t = s:new_audio_track(1, 2, nil, 1, "Lead", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
s:save_state("")
s, t = nil, nil
"""
RANGE = (
    '<Locations><Location id="9003" name="session" start="a0" end="a{length}" flags="IsSessionRange"'
    ' locked="0" timestamp="0"/></Locations>'
)


@pytest.fixture
def daemon(tmp_path: Path, models_folder: Path) -> Iterator[BridgeProcess]:
    process = BridgeProcess(tmp_path / "bridge", models_folder, settle_s=0.4)
    process.start()
    yield process
    process.close()


def export(home: Path, session: Path, folder: Path) -> Path:
    """The file that Ardour exported.

    Where Ardour aborted its file may be wrong: it does not count, and the next name is tried.
    """
    for attempt in range(ATTEMPTS):
        file = folder / f"loop{attempt + 1}_96bpm.wav"
        done = ardour(home, "ardour7-export", "-b", "24", "-o", file, session, "song")
        if done.returncode == 0:
            return file
        assert done.returncode < 0, done.stdout
    return pytest.fail(f"Ardour aborted {ATTEMPTS} times: {done.stdout}")


def session_with_loop(home: Path, folder: Path) -> None:
    """A session whose one track plays `PITCHES`, half a second each."""
    run(home, NEW_SESSION.format(folder=folder, rate_hz=RATE_HZ), makes=folder)
    notes = [
        Note(start_s=n / 2, end_s=n / 2 + 0.45, pitch=pitch, velocity=100) for n, pitch in enumerate(PITCHES)
    ]
    sound = synth.render(notes, rate_hz=RATE_HZ, duration_s=len(PITCHES) / 2 + 0.5)
    sound_file = folder / "interchange/song/audiofiles/lead.wav"
    soundfile.write(sound_file, sound, RATE_HZ, subtype="PCM_24")
    file = folder / "song.ardour"
    lay_region(file, "Lead", sound_file, frames=len(sound), at_frame=0, rate_hz=RATE_HZ)
    whole = RANGE.format(length=len(sound) * SUPERCLOCK_HZ // RATE_HZ)
    text = file.read_text(encoding="utf-8")
    file.write_text(edited(text, (r"<Locations/>", whole)), encoding="utf-8")


def test_what_ardour_exports_becomes_midi_once(daemon: BridgeProcess, tmp_path: Path) -> None:
    home, folder = tmp_path / "ardour", tmp_path / "song"
    session_with_loop(home, folder)
    file = export(home, folder, daemon.watched)
    sound, _ = soundfile.read(file)
    assert np.abs(sound).max() > 0.01, "Ardour exported silence"

    midi = daemon.out / f"{file.stem}_midi.mid"
    eventually(midi.exists, what="the MIDI")
    parts = [part.path for one in daemon.settled(1) for part in one.parts]
    assert parts.count(file) == 1
    found = smf_to_notes(midi.read_bytes())
    assert [note.pitch for note in found] == list(PITCHES)
    assert [note.start_s for note in found] == pytest.approx([n / 2 for n in range(len(PITCHES))], abs=0.05)
