"""Notes of one voice, on both real networks: found, whole, in time, and one at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.basic_pitch import posteriors
from bridge.engine.models import ModelStore
from bridge.engine.note_decoding import DecodingOptions
from bridge.engine.note_segments import notes_of
from bridge.engine.pitch_track import FRAME_S, RATE_HZ, PitchTrack, listen
from bridge.engine.posteriors import MODEL_RATE_HZ, Posteriors
from bridge.engine.voice_path import path, view_of
from bridge.media.notes import Material, Note, check_note
from support.sung import slide, sung, vibrato

OPTIONS = DecodingOptions()
SCALE = (57, 59, 60, 62, 64, 65, 67, 69)

Heard = tuple[PitchTrack, Posteriors]


class Ears:
    """Both networks."""

    def __init__(self, folder: Path) -> None:
        store = ModelStore(folder)
        self.tracker = store.pull("swift-f0", report=print)
        self.network = store.pull("basic-pitch", report=print)

    def hear(self, notes: Sequence[Note], duration_s: float) -> Heard:
        track = listen([sung(notes, rate_hz=RATE_HZ, duration_s=duration_s)], model=self.tracker)
        blocks = [sung(notes, rate_hz=MODEL_RATE_HZ, duration_s=duration_s)]
        return track, posteriors(blocks, model=self.network, threads=1)


@pytest.fixture(scope="module")
def ears(models_folder: Path) -> Ears:
    return Ears(models_folder)


MELODY = [
    *(Note(0.3 + 0.3 * step, 0.58 + 0.3 * step, pitch, 70 + 5 * step) for step, pitch in enumerate(SCALE)),
    *(Note(3.0 + 0.25 * step, 3.2 + 0.25 * step, 64, 100) for step in range(4)),
    Note(4.2, 5.6, 67, 90, 1.0, vibrato(1.4, depth=0.6)),
    Note(5.6, 6.4, 69, 90, 1.0, slide(0.8, semitones=-2)),
]


@pytest.fixture(scope="module")
def melody(ears: Ears) -> Heard:
    return ears.hear(MELODY, 7.0)


def matched(
    truth: Sequence[Note], found: Sequence[Note], *, tolerance_s: float = 0.05
) -> list[tuple[Note, Note]]:
    """Pairs by pitch and start, each note used once."""
    left, pairs = list(found), []
    for note in truth:
        near = [n for n in left if n.pitch == note.pitch and abs(n.start_s - note.start_s) <= tolerance_s]
        if near:
            best = min(near, key=lambda n: abs(n.start_s - note.start_s))
            left.remove(best)
            pairs.append((note, best))
    return pairs


def f1(truth: Sequence[Note], found: Sequence[Note]) -> float:
    return 2 * len(matched(truth, found)) / (len(truth) + len(found))


def test_a_melody_is_found(melody: Heard) -> None:
    """Runs, a pitch struck again, a vibrato in one piece and a slide that goes to one of its two notes."""
    track, heard = melody
    found = notes_of(track, OPTIONS, "solo", heard)
    assert f1(MELODY, found) >= 0.95
    pairs = matched(MELODY, found)
    assert np.median([abs(b.start_s - a.start_s) for a, b in pairs]) <= 0.03
    assert np.median([abs(b.end_s - a.end_s) for a, b in pairs]) <= 0.05


def test_the_track_alone_finds_most_of_it(melody: Heard) -> None:
    assert f1(MELODY, notes_of(melody[0], OPTIONS, "solo")) >= 0.8


def test_notes_are_in_order_one_at_a_time_and_inside_the_audio(melody: Heard) -> None:
    track, heard = melody
    found = notes_of(track, OPTIONS, "voice", heard)
    for note in found:
        check_note(note)
        assert note.bends == ()
    assert all(one.end_s <= other.start_s for one, other in pairwise(found))
    assert found[-1].end_s <= track.duration_s


def test_louder_notes_are_louder(melody: Heard) -> None:
    pairs = matched(MELODY[:8], notes_of(melody[0], OPTIONS, "solo", melody[1]))
    assert np.corrcoef([(a.velocity, b.velocity) for a, b in pairs], rowvar=False)[0, 1] > 0.8


def test_a_lower_threshold_finds_the_same_notes_and_more(melody: Heard) -> None:
    track, heard = melody
    each = [
        {
            (note.start_s, note.pitch)
            for note in notes_of(track, DecodingOptions(onset_threshold=at), "solo", heard)
        }
        for at in (0.99, 0.5, 0.1, 0.01)
    ]
    assert each[0] <= each[1] <= each[2] <= each[3]
    assert len(each[0]) < len(each[3])


def test_options_say_what_a_note_is(melody: Heard) -> None:
    track, heard = melody
    within = notes_of(track, DecodingOptions(lowest_note=60, highest_note=64), "solo", heard)
    assert {note.pitch for note in within} == {60, 62, 64}
    long_ones = notes_of(track, DecodingOptions(minimum_note_ms=500), "solo", heard)
    assert {note.pitch for note in long_ones} == {67, 69}
    early = notes_of(track, DecodingOptions(frame_threshold=0.99), "solo", heard)
    late = notes_of(track, DecodingOptions(frame_threshold=0.1), "solo", heard)
    assert sum(note.end_s - note.start_s for note in early) < sum(note.end_s - note.start_s for note in late)


def test_an_octave_slip_is_mended(melody: Heard) -> None:
    track, heard = melody
    slipped = replace(track, hz=track.hz.copy())
    for first in (25, 45, 200, 290, 320):
        slipped.hz[first : first + 5] *= 2
    for one, least in ((heard, 0.999), (None, 0.98)):
        states = [path(view_of(either, one)) for either in (track, slipped)]
        assert np.mean(states[0] == states[1]) > least
    before, after = (notes_of(either, OPTIONS, "solo", heard) for either in (track, slipped))
    assert f1(before, after) == 1


def test_a_voice_off_the_usual_tuning_keeps_its_notes(ears: Ears) -> None:
    flat = [replace(note, bends=((0.0, -0.42),)) for note in MELODY[:8]]
    track, _ = ears.hear(flat, 3.0)
    states = path(view_of(track, None))
    middles = [states[round((note.start_s + 0.15) * 22_050 / 256)] for note in flat]
    assert middles == [note.pitch for note in flat]


@pytest.mark.parametrize("material", ["solo", "voice", "bass"])
def test_nothing_is_found_in_nothing(ears: Ears, material: Material) -> None:
    rng = np.random.default_rng(3)
    for sound in (np.zeros(2 * RATE_HZ), 0.1 * rng.normal(0, 1, 2 * RATE_HZ), np.zeros(1), np.zeros(0)):
        track = listen([sound.astype(np.float32)], model=ears.tracker)
        assert notes_of(track, OPTIONS, material) == []


def test_a_very_short_sound_is_no_trouble(ears: Ears) -> None:
    track, heard = ears.hear([Note(0.0, 0.08, 60, 100)], 0.08)
    for note in notes_of(track, DecodingOptions(onset_threshold=0.001), "solo", heard):
        check_note(note)


def test_a_bass_is_followed_below_the_tracker(ears: Ears) -> None:
    """Its range ends at F sharp 1; the note network hears lower."""
    line = [
        Note(0.3 + 0.4 * step, 0.66 + 0.4 * step, pitch, 100)
        for step, pitch in enumerate((28, 33, 40, 29, 31))
    ]
    track, heard = ears.hear(line, 2.6)
    assert f1(line, notes_of(track, OPTIONS, "bass", heard)) >= 0.8


def longer(heard: Heard, times: int) -> Heard:
    track, other = heard

    def tiled(rows: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([rows] * times)

    curves = {name: tiled(getattr(track, name)) for name in ("hz", "confidence", "level", "novelty")}
    tables = {name: tiled(getattr(other, name)) for name in ("note", "onset", "contour", "level")}
    return (
        replace(track, **curves, samples=track.samples * times),
        replace(other, **tables, samples=other.samples * times),
    )


@pytest.mark.slow
def test_ten_minutes_take_a_moment(melody: Heard) -> None:
    track, heard = longer(melody, 86)
    assert track.samples * FRAME_S / 256 > 600
    notes_of(track, OPTIONS, "solo", heard)
    began_s = time.process_time()
    found = notes_of(track, OPTIONS, "solo", heard)
    assert time.process_time() - began_s < 1.5
    assert len(found) > 86 * 10
