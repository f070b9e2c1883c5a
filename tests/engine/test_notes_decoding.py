"""The decoding alone, on posteriorgrams that are drawn by hand or at random."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine import note_decoding
from bridge.engine.note_decoding import FRAME_S, DecodingOptions, decode, pack
from bridge.media.notes import Note

Activations = NDArray[np.float32]
PLAIN = DecodingOptions(remove_ghosts=False)
LAG = note_decoding.RELEASE_LAG


class Drawing:
    """Two posteriorgrams to draw notes into."""

    def __init__(self, frames: int) -> None:
        self.note = np.zeros((frames, 88), dtype=np.float32)
        self.onset = np.zeros((frames, 88), dtype=np.float32)

    def stroke(self, pitch: int, start: int, end: int, *, onset: float = 0.9, level: float = 0.7) -> Drawing:
        self.note[start:end, pitch - 21] = level
        self.onset[start, pitch - 21] = onset
        return self

    def decode(self, options: DecodingOptions = PLAIN) -> list[Note]:
        return decode(self.note, self.onset, options)


def frames_of(notes: list[Note]) -> list[tuple[int, int, int]]:
    return [(note.pitch, round(note.start_s / FRAME_S), round(note.end_s / FRAME_S)) for note in notes]


def test_no_frames_and_no_notes() -> None:
    assert Drawing(0).decode() == []
    assert Drawing(1).decode() == []
    assert Drawing(500).decode() == []


def test_a_held_note() -> None:
    (note,) = Drawing(300).stroke(60, 50, 150, onset=0.8, level=0.5).decode()
    assert note.start_s == 50 * FRAME_S
    assert note.end_s == (150 - LAG) * FRAME_S
    assert (note.pitch, note.velocity) == (60, round(127 * 0.5))
    assert note.confidence == pytest.approx(0.8)


@pytest.mark.parametrize("pitch", [21, 31, 32, 108])
def test_notes_at_both_ends_of_time_stay_on_their_pitch(pitch: int) -> None:
    drawing = Drawing(200).stroke(pitch, 0, 40).stroke(pitch, 150, 200)
    assert frames_of(drawing.decode()) == [(pitch, 0, 40 - LAG), (pitch, 150, 200 - LAG)]


def test_time_does_not_drift_over_an_hour() -> None:
    frame = int(3600 / FRAME_S)
    (note,) = Drawing(frame + 100).stroke(60, frame, frame + 50).decode()
    assert note.start_s == pytest.approx(3600, abs=FRAME_S)
    assert note.start_s == pytest.approx(frame * 256 / 22_050, abs=1e-9)


def test_a_start_between_frames() -> None:
    drawing = Drawing(100).stroke(60, 50, 90)
    drawing.onset[51, 39] = 0.8
    (note,) = drawing.decode()
    assert 50.3 < note.start_s / FRAME_S < 50.5


def test_a_dip_shorter_than_the_release_does_not_end_a_note() -> None:
    drawing = Drawing(300).stroke(60, 50, 150)
    drawing.note[80 : 80 + note_decoding.RELEASE_FRAMES - 1, 39] = 0
    assert frames_of(drawing.decode()) == [(60, 50, 150 - LAG)]
    drawing.note[80 : 80 + note_decoding.RELEASE_FRAMES, 39] = 0
    assert frames_of(drawing.decode()) == [(60, 50, 80 - LAG)]


def test_repeated_notes_are_kept_apart() -> None:
    drawing = Drawing(300)
    for start in (50, 70, 90, 110):
        drawing.stroke(60, start, start + 20)
    assert frames_of(drawing.decode()) == [
        (60, 50, 70),
        (60, 70, 90),
        (60, 90, 110),
        (60, 110, 130 - LAG),
    ]


def test_one_stroke_seen_twice_is_one_note() -> None:
    drawing = Drawing(300).stroke(60, 50, 150)
    drawing.onset[53, 39] = 0.95
    assert frames_of(drawing.decode()) == [(60, 50, 150 - LAG)]


def test_a_slowly_falling_onset_is_one_stroke() -> None:
    drawing = Drawing(300).stroke(60, 50, 150)
    drawing.onset[50:66, 39] = np.linspace(0.95, 0.62, 16)
    assert [note.pitch for note in drawing.decode()] == [60]


def test_peaks_are_over_both_neighbours_and_plateaus_count_once() -> None:
    onset = np.array([[0.9, 0.8, 0.7, 0.75, 0.8, 0.8, 0.7, 0.5, 0.55, 0.5, 0.9]], dtype=np.float32)
    assert np.nonzero(note_decoding._peaks(onset, 0.6)[0])[0].tolist() == [0, 4, 10]


def test_a_stroke_elsewhere_does_not_strike_a_sounding_note_again() -> None:
    drawing = Drawing(300).stroke(60, 50, 150).stroke(72, 100, 150, onset=0.95)
    drawing.onset[101, 39] = 0.7
    assert frames_of(drawing.decode()) == [(60, 50, 150 - LAG), (72, 100, 150 - LAG)]
    drawing.note[101:150, 39] += 0.2  # now it does get louder
    assert (60, 101, 150 - LAG) in frames_of(drawing.decode())


def test_thresholds_and_range() -> None:
    drawing = Drawing(300).stroke(40, 50, 150, onset=0.65, level=0.35).stroke(90, 60, 160)
    assert len(drawing.decode()) == 2
    assert [note.pitch for note in drawing.decode(replace(PLAIN, onset_threshold=0.7))] == [90]
    assert [note.pitch for note in drawing.decode(replace(PLAIN, frame_threshold=0.4))] == [90]
    assert [note.pitch for note in drawing.decode(replace(PLAIN, lowest_note=41))] == [90]
    assert [note.pitch for note in drawing.decode(replace(PLAIN, highest_note=89))] == [40]


def test_the_shortest_note() -> None:
    drawing = Drawing(300).stroke(60, 50, 60 + LAG)
    length_ms = 10 * FRAME_S * 1000
    assert len(drawing.decode(replace(PLAIN, minimum_note_ms=length_ms - 1))) == 1
    assert drawing.decode(replace(PLAIN, minimum_note_ms=length_ms + 1)) == []


@pytest.mark.parametrize("overtone", note_decoding.OVERTONES)
def test_ghosts_go_and_real_notes_stay(overtone: int) -> None:
    drawing = Drawing(300).stroke(48, 50, 150).stroke(48 + overtone, 51, 150, onset=0.65, level=0.4)
    assert len(drawing.decode()) == 2
    with_removal = replace(PLAIN, remove_ghosts=True)
    assert frames_of(drawing.decode(with_removal)) == [(48, 50, 150 - LAG)]
    as_strong = Drawing(300).stroke(48, 50, 150).stroke(48 + overtone, 51, 150)
    assert len(as_strong.decode(with_removal)) == 2
    no_overtone = Drawing(300).stroke(48, 50, 150).stroke(49 + overtone, 51, 150, onset=0.65, level=0.4)
    assert overtone + 1 in note_decoding.OVERTONES or len(no_overtone.decode(with_removal)) == 2
    after_it = Drawing(300).stroke(48, 50, 150).stroke(48 + overtone, 160, 200, onset=0.65, level=0.4)
    assert len(after_it.decode(with_removal)) == 2


def _end_by_walking(activation: list[float], start: int, following: int, threshold: float) -> int:
    """The rule for a note's end, one frame after the other."""
    silent = 0
    for frame in range(start + 1, len(activation)):
        silent = silent + 1 if activation[frame] < threshold else 0
        if silent == note_decoding.RELEASE_FRAMES:
            return min(max(frame + 1 - silent - LAG, start + 1), following)
    # The audio's end is silence too.
    return min(max(len(activation) - silent - LAG, start + 1), following)


@pytest.mark.parametrize("seed", range(6))
def test_ends_are_those_that_walking_frame_by_frame_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.random((40, 88)) < 0.6
    note = (np.repeat(steps, 10, axis=0) * rng.uniform(0.31, 1, (400, 88))).astype(np.float32)
    onset = np.where(rng.random((400, 88)) < 0.02, rng.random((400, 88)), 0).astype(np.float32)
    options = replace(PLAIN, minimum_note_ms=0)
    found = note_decoding._sustained(note, note_decoding._strokes(note, onset, 0.6), options.frame_threshold)
    assert len(found.pitch) > 200
    for index, (pitch, start) in enumerate(zip(found.pitch.tolist(), found.start.tolist(), strict=True)):
        later = [s for p, s in zip(found.pitch, found.start, strict=True) if p == pitch and s > start]
        end = _end_by_walking(note[:, pitch].tolist(), start, min(later, default=400), 0.3)
        assert found.end[index] == end
        assert found.level[index] == pytest.approx(note[start:end, pitch].mean(), rel=1e-4)


def _random_drawing(frames: int, *, strokes: int, seed: int) -> Drawing:
    rng = np.random.default_rng(seed)
    drawing = Drawing(frames)
    for _ in range(strokes):
        start = int(rng.integers(frames - 60))
        onset, level = rng.uniform(0.5, 1, 2)
        drawing.stroke(
            int(rng.integers(21, 109)), start, start + int(rng.integers(5, 60)), onset=onset, level=level
        )
    return drawing


def test_packed_activations_give_the_same_notes() -> None:
    drawing = _random_drawing(4000, strokes=2000, seed=3)
    packed = decode(pack(drawing.note), pack(drawing.onset), DecodingOptions())
    plain = drawing.decode(DecodingOptions())
    assert len(plain) > 500
    assert frames_of(packed) == frames_of(plain)
    assert max(abs(a.start_s - b.start_s) for a, b in zip(packed, plain, strict=True)) < 1e-4


def test_packing_keeps_within_range_and_knows_no_numbers() -> None:
    strange = np.array([[np.nan, -0.1, 0.0, 0.5, 1.0, 1.1, np.inf]], dtype=np.float32)
    assert pack(strange).tolist() == [[0, 0, 0, 32_768, 65_535, 65_535, 65_535]]


def test_notes_are_in_order_and_do_not_overlap_on_a_pitch() -> None:
    notes = _random_drawing(4000, strokes=2000, seed=4).decode(DecodingOptions())
    assert notes == sorted(notes, key=lambda note: (note.start_s, note.pitch))
    for pitch in range(21, 109):
        own = [note for note in notes if note.pitch == pitch]
        assert all(a.end_s <= b.start_s + FRAME_S for a, b in pairwise(own))
    assert all(1 <= note.velocity <= 127 and 0 <= note.confidence <= 1 for note in notes)


def test_ten_minutes_decode_in_one_go() -> None:
    drawing = _random_drawing(51_680, strokes=12_000, seed=5)
    note, onset = pack(drawing.note), pack(drawing.onset)
    assert len(decode(note, onset, DecodingOptions())) > 5000
