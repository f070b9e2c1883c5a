"""The decoding as a whole: on posteriorgrams drawn by hand or at random, and on a real melody and chords."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bridge.engine import note_decoding, synth
from bridge.engine.basic_pitch import posteriors
from bridge.engine.models import ModelStore
from bridge.engine.note_decoding import MATERIAL_DECODING, DecodingOptions, decode
from bridge.engine.posteriors import FRAME_S, MODEL_RATE_HZ, Posteriors
from bridge.media.notes import Material, Note, check_note
from support.drawings import Drawing

OWN = DecodingOptions()
MATERIALS: tuple[Material, ...] = tuple(MATERIAL_DECODING)
HEARD_MATERIALS = tuple(material for material in MATERIALS if material != "drums")
C_MAJOR = (60, 64, 67, 72)


def scene(seed: int = 1, frames: int = 6000) -> Posteriors:
    """Two hundred notes with their overtones, weak and strong."""
    rng = np.random.default_rng(seed)
    drawing = Drawing(frames)
    for _ in range(frames // 30):
        start, pitch = int(rng.integers(frames - 80)), int(rng.integers(30, 90))
        drawing.note(pitch, start, start + int(rng.integers(6, 70)), strength=float(rng.uniform(0.3, 1)))
    return drawing.heard()


def keys(notes: list[Note]) -> set[tuple[int, float]]:
    return {(note.pitch, note.start_s) for note in notes}


@pytest.mark.parametrize("material", MATERIALS)
def test_nothing_is_in_nothing(material: Material) -> None:
    for frames in (0, 1, 5, 500):
        assert decode(Drawing(frames).heard(), OWN, material) == []


def test_drums_have_no_pitched_notes() -> None:
    assert decode(scene(), OWN, "drums") == []


@pytest.mark.slow
@pytest.mark.parametrize("material", HEARD_MATERIALS)
def test_notes_are_possible_in_order_and_do_not_overlap_on_a_pitch(material: Material) -> None:
    heard = scene()
    notes = decode(heard, OWN, material)
    assert len(notes) > 20
    assert notes == sorted(notes, key=lambda note: (note.start_s, note.pitch))
    for note in notes:
        check_note(note)
        assert note.start_s < note.end_s <= len(heard.note) * FRAME_S + 0.05
        assert note.confidence >= MATERIAL_DECODING[material].onset_threshold
        assert note.bends == ()
    for pitch in {note.pitch for note in notes}:
        own = [note for note in notes if note.pitch == pitch]
        assert all(one.end_s <= other.start_s + FRAME_S for one, other in pairwise(own))


@pytest.mark.slow
@pytest.mark.parametrize("material", HEARD_MATERIALS)
def test_a_lower_threshold_finds_the_same_notes_and_more(material: Material) -> None:
    heard = scene(2, frames=3000)
    thresholds = (0.05, 0.2, 0.5, 0.8, 0.95)
    found = [keys(decode(heard, replace(OWN, onset_threshold=at), material)) for at in thresholds]
    assert all(fewer <= more for more, fewer in pairwise(found))
    assert len(found[0]) > len(found[2]) > len(found[4])


def test_ghosts_are_kept_on_demand() -> None:
    heard = scene(3)
    without = keys(decode(heard, replace(OWN, remove_ghosts=True), "mix"))
    with_them = keys(decode(heard, replace(OWN, remove_ghosts=False), "mix"))
    assert without < with_them


def test_the_range_of_pitches() -> None:
    heard = scene(4)
    every = decode(heard, OWN, "piano")
    some = decode(heard, replace(OWN, lowest_note=50, highest_note=70), "piano")
    assert keys(some) == {key for key in keys(every) if 50 <= key[0] <= 70}
    assert 0 < len(some) < len(every)


def test_the_shortest_note() -> None:
    heard = scene(5)
    for minimum_ms in (20, 60, 200, 400):
        notes = decode(heard, replace(OWN, minimum_note_ms=minimum_ms), "piano")
        for pitch in {note.pitch for note in notes}:
            own = sorted(note.start_s for note in notes if note.pitch == pitch)
            assert all(other - one >= minimum_ms / 1000 - 1e-9 for one, other in pairwise(own))
    lengths = [len(decode(heard, replace(OWN, minimum_note_ms=ms), "piano")) for ms in (20, 200, 400)]
    assert lengths[0] > lengths[1] > lengths[2] > 0


def test_the_frame_threshold_ends_notes() -> None:
    heard = scene(6)
    early, late = (decode(heard, replace(OWN, frame_threshold=at), "piano") for at in (0.6, 0.2))
    assert keys(early) == keys(late)
    assert all(a.end_s <= b.end_s + 1e-9 for a, b in zip(early, late, strict=True))
    assert sum(note.end_s for note in early) < sum(note.end_s for note in late) - 1


def test_the_same_twice() -> None:
    heard = scene(7)
    assert decode(heard, OWN, "guitar") == decode(heard, OWN, "guitar")


def test_no_block_border_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = scene(8, frames=5000)
    expected = decode(heard, OWN, "piano")
    monkeypatch.setattr(note_decoding, "STRETCH", 1100)
    for module in ("candidate_features", "candidate_relations"):
        monkeypatch.setattr(f"bridge.engine.{module}.BLOCK", 700)
    assert decode(heard, OWN, "piano") == expected
    assert len(expected) > 40


def test_time_does_not_drift() -> None:
    frames = int(200 / FRAME_S)
    drawing = Drawing(600)
    drawing.note(60, 300, 400)
    heard = drawing.heard()
    (near,) = decode(heard, OWN, "piano")
    silence = Drawing(frames).heard()
    far = Posteriors(
        np.concatenate([silence.note, heard.note]),
        np.concatenate([silence.onset, heard.onset]),
        np.concatenate([silence.contour, heard.contour]),
        np.concatenate([silence.level, heard.level]),
        samples=(frames + 600) * 256,
    )
    (note,) = decode(far, OWN, "piano")
    assert note.start_s - near.start_s == pytest.approx(frames * 256 / 22_050, abs=1e-9)
    assert note.end_s - near.end_s == pytest.approx(frames * 256 / 22_050, abs=1e-9)


def test_the_surest_of_two_close_strokes_stays() -> None:
    def kept(*strokes: tuple[int, float, float]) -> list[bool]:
        pitch, start, sure = (np.array(column) for column in zip(*strokes, strict=True))
        rows = note_decoding._Strokes(pitch, np.rint(start).astype(int), start.astype(float), sure, sure)
        return [bool(stays) for stays in note_decoding._surest(rows, 5.0)]

    assert kept((40, 10.0, 0.5), (40, 14.0, 0.9), (40, 30.0, 0.1)) == [False, True, True]
    assert kept((40, 10.0, 0.9), (40, 14.0, 0.5), (41, 14.0, 0.1)) == [True, False, True]
    assert kept((40, 10.0, 0.5), (40, 14.0, 0.5)) == [True, False]
    assert kept((40, 10.0, 0.5), (40, 15.0, 0.6)) == [True, True]


# On what the network really hears


@pytest.fixture(scope="module")
def network(models_folder: Path) -> Path:
    return ModelStore(models_folder).pull("basic-pitch", report=print)


def _heard(network: Path, notes: list[Note]) -> Posteriors:
    return posteriors([synth.render(notes, rate_hz=MODEL_RATE_HZ)], model=network, threads=1)


def _are_all_found(found: list[Note], true: list[Note], within_s: float) -> None:
    assert len(found) == len(true)
    for note in true:
        near = [
            one for one in found if one.pitch == note.pitch and abs(one.start_s - note.start_s) < within_s
        ]
        assert len(near) == 1, f"{note} is not found"


def test_a_melody_and_repeated_notes(network: Path) -> None:
    pitches = (60, 62, 64, 64, 64, 67, 60, 60, 72, 55)
    melody = [Note(0.5 + 0.25 * k, 0.7 + 0.25 * k, pitch, 90) for k, pitch in enumerate(pitches)]
    _are_all_found(decode(_heard(network, melody), OWN, "piano"), melody, 0.03)


def test_chords_without_ghosts(network: Path) -> None:
    chords = [
        Note(0.5 + 0.6 * k, 1.0 + 0.6 * k, pitch + step, 90)
        for k, step in enumerate((0, 5, 7, 0))
        for pitch in C_MAJOR
    ]
    _are_all_found(decode(_heard(network, chords), OWN, "piano"), chords, 0.03)


def test_louder_is_harder(network: Path) -> None:
    played = [
        Note(0.5 + 0.5 * k, 0.9 + 0.5 * k, 60, velocity) for k, velocity in enumerate((30, 60, 120, 90))
    ]
    found = decode(_heard(network, played), OWN, "piano")
    assert len(found) == 4
    assert np.argsort([note.velocity for note in found]).tolist() == [0, 1, 3, 2]
