"""What the local engine does, as a musician asks for it: commands, files, no key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile as sf

from bridge.engine import synth
from bridge.media.notes import Note
from support.commands import bridge, bridge_in

pytestmark = pytest.mark.slow

BPM, RATE_HZ, BARS = 107.0, 48_000, 8
BEAT_S = 60 / BPM
ROOTS = (57, 53, 48, 55)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Eight bars of chords and a beat, in 24 bits; neither its name nor anything near it tells the tempo."""
    notes = [
        Note((bar * 4 + beat) * BEAT_S, (bar * 4 + beat + 0.9) * BEAT_S, pitch, 80)
        for bar in range(BARS)
        for beat in range(4)
        for pitch in _chord(ROOTS[bar % 4])
    ]
    sound = synth.render(notes, rate_hz=RATE_HZ)
    rng = np.random.default_rng(3)
    for eighth in range(BARS * 8):
        first = round(eighth * BEAT_S / 2 * RATE_HZ)
        hit = rng.standard_normal(4000) * np.exp(-np.arange(4000) / (800 if eighth % 4 == 0 else 300))
        room = len(sound[first : first + 4000])
        sound[first : first + room] += (0.15 if eighth % 4 == 0 else 0.06) * hit[:room]
    path = tmp_path / "My Song.wav"
    sf.write(path, np.stack([0.2 * sound, 0.18 * sound], axis=1), RATE_HZ, "PCM_24")
    return path


def _chord(root: int) -> tuple[int, ...]:
    return (root - 12, root, root + (3 if root == 57 else 4), root + 7)


def _convert(home: Path, song: Path, *arguments: str) -> Path:
    out = song.parent / "out"
    done = bridge_in(song.parent, home, "convert", song, "--to", out, *arguments)
    assert done.exit_code == 0, done.stderr
    return out


def _sidecar(out: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((out / "My Song.bridge.json").read_text(encoding="utf-8"))
    return data


def test_a_tempo_that_nobody_tells_is_heard_and_whom_to_thank_is_said(bridge_home: Path, song: Path) -> None:
    out = _convert(bridge_home, song)
    told = _sidecar(out)
    assert (told["tempo_bpm"], told["tempo_source"], told["meter"]) == (BPM, "sound", "4/4")
    heard = next(one for one in told["conversions"] if one["conversion"] == "extract_key_bpm")
    assert "CC BY 4.0" in heard["came"]["key_bpm"]["attribution"][0]
    tempi = [
        event.tempo
        for event in mido.MidiFile(out / "My Song_midi.mid").tracks[0]
        if event.type == "set_tempo"
    ]
    assert tempi == [mido.bpm2tempo(BPM)]
    assert not list(out.glob("*key_bpm*")), "what was heard for the notes is no result of its own"


def test_a_tempo_that_nobody_tells_is_assumed_where_nobody_shall_listen(
    bridge_home: Path, song: Path
) -> None:
    (bridge_home / "config.toml").write_text("hear_tempo = false\n", encoding="utf-8")
    out = _convert(bridge_home, song)
    assert _sidecar(out)["tempo_source"] == "assumed"


def test_stems_and_what_they_leave_are_the_bounce_to_the_last_bit(bridge_home: Path, song: Path) -> None:
    out = _convert(bridge_home, song, "--preset", "stems-here")
    stems = ("vocals", "drums", "bass", "other", "residual")
    read = {one: sf.read(out / f"My Song_{one}.wav", dtype="int32")[0].astype(np.int64) for one in stems}
    assert np.array_equal(sum(read.values()), sf.read(song, dtype="int32")[0])
    assert all(np.abs(one).max() > 0 for name, one in read.items() if name not in ("vocals", "residual"))
    came = _sidecar(out)["conversions"][0]["came"]
    assert [came[one].get("quality") for one in stems] == ["good", "draft", "draft", "draft", None]
    assert came["drums"]["note"].startswith("a draft: hits of others remain in it")
    assert came["vocals"]["residual_dbfs"] < -100


def test_the_notes_of_all_stems_come_as_one_file(bridge_home: Path, song: Path) -> None:
    out = _convert(bridge_home, song, "--preset", "stems-to-midi-here")
    made = mido.MidiFile(out / "My Song.mid")
    assert [track.name for track in made.tracks[1:]] == ["vocals", "drums", "bass", "other"]
    drums = {event.channel for event in made.tracks[2] if event.type == "note_on"}
    assert drums <= {9}
    assert sorted(one.name for one in out.iterdir()) == ["My Song.bridge.json", "My Song.mid"]


def test_a_master_by_a_reference_that_is_named_from_here(bridge_home: Path, song: Path) -> None:
    sound, rate_hz = sf.read(song)
    sf.write(song.parent / "reference.wav", np.clip(sound * 1.7, -1, 1), rate_hz)
    given = ("--preset", "master", "--set", "reference_audio_file=reference.wav", "--set", "loudness=-16")
    out = _convert(bridge_home, song, *given)
    came = _sidecar(out)["conversions"][0]["came"]["master"]
    assert came["loudness_lufs"] == pytest.approx(-16.0, abs=0.1)
    assert came["true_peak_dbtp"] <= -0.9
    assert sf.info(out / "My Song_master.wav").frames == len(sound)


def test_a_draft_that_nobody_named_is_refused_with_what_it_is_not(bridge_home: Path, song: Path) -> None:
    done = bridge(bridge_home, "convert", song, "--conversion", "Extraction", "--set", "stems=drums")
    assert done.exit_code == 1
    assert "only a draft can be made of drums" in done.stderr
    assert 'converter = "local"' in done.stderr
