"""Which material it is: what is measured, on posteriorgrams made by hand, and what is decided, on songs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.songs import ENGINE_MATERIAL, Song, song, song_file
from bridge.engine import material_weights as weights
from bridge.engine import materials
from bridge.engine.basic_pitch import posteriors
from bridge.engine.models import ModelStore
from bridge.engine.posteriors import (
    CONTOUR_BINS,
    FRAME_HOP,
    FRAME_S,
    LEVEL_PITCHES,
    LOWEST_PITCH,
    MODEL_RATE_HZ,
    PITCHES,
    Posteriors,
    pack,
)
from bridge.media.audio_files import read_mono
from bridge.media.notes import Material, Note

FULL, FLOOR = 190, 20  # level of a note as it is struck, and of the room, in half decibels
CENTRE_OF_PITCH = 1  # of its three contour bins


def heard_of(
    notes: Iterable[Note], *, length_s: float = 12.0, loss_db_per_s: float = 6.0, stray: float = 0.0
) -> Posteriors:
    """What the network would say to clean notes. `stray`: how far the pitch swings, in bins."""
    frames = round(length_s / FRAME_S)
    note = np.zeros((frames, PITCHES), dtype=np.float32)
    onset = np.zeros_like(note)
    contour = np.zeros((frames, CONTOUR_BINS), dtype=np.float32)
    level = np.full((frames, LEVEL_PITCHES), FLOOR, dtype=np.uint8)
    for one in notes:
        column, first, last = (
            one.pitch - LOWEST_PITCH,
            round(one.start_s / FRAME_S),
            round(one.end_s / FRAME_S),
        )
        note[first:last, column] = 0.8
        onset[first, column] = 0.9
        swing = stray * np.sin(np.arange(last - first) / 2.5)
        for bin_ in range(3):
            nearness = np.clip(1 - np.abs(swing - (bin_ - CENTRE_OF_PITCH)), 0, 1)
            contour[first:last, 3 * column + bin_] = nearness
        lost = 2 * loss_db_per_s * FRAME_S * np.arange(last - first)
        for harmonic, quieter in ((0, 0), (12, 20), (19, 36)):
            if column + harmonic < LEVEL_PITCHES:
                level[first:last, column + harmonic] = np.maximum(FULL - quieter - lost, FLOOR)
    return Posteriors(pack(note), pack(onset), pack(contour), level, frames * FRAME_HOP)


def line(pitches: Iterable[int], *, step_s: float = 0.5, share: float = 0.9) -> list[Note]:
    return [Note(k * step_s, (k + share) * step_s, pitch, 90) for k, pitch in enumerate(pitches)]


def measured(heard: Posteriors) -> dict[str, float]:
    found = materials.features(heard)
    assert found is not None
    assert tuple(sorted(found)) == tuple(sorted(materials.FEATURES))
    return found


def test_a_line_is_one_voice_and_a_chord_is_several() -> None:
    alone = measured(heard_of(line([40, 43, 45, 47] * 6)))
    chords = measured(heard_of(note for pitch in (60, 64, 67, 71) for note in line([pitch] * 20)))
    assert (alone["voices"], alone["alone"]) == (1, 1)
    assert (chords["voices"], chords["alone"]) == (4, 0)
    assert alone["together"] == 1
    assert chords["together"] == 4


def test_pitches_are_measured_in_octaves_over_the_lowest_key() -> None:
    found = measured(heard_of(line([33, 57] * 12)))
    assert found["lowest"] == pytest.approx(1.0)
    assert found["highest"] == pytest.approx(3.0)
    assert found["centre"] == pytest.approx(2.0, abs=0.02)
    assert found["low_share"] == pytest.approx(0.5, abs=0.02)


def test_what_dies_away_and_what_is_held_are_told_apart() -> None:
    notes = line([60, 62, 64] * 4, step_s=1.0)
    struck, held = (measured(heard_of(notes, loss_db_per_s=loss))["decay"] for loss in (30.0, 0.0))
    assert struck == pytest.approx(30 * materials.LATER * FRAME_S, rel=0.1)
    assert held == pytest.approx(0.0, abs=0.1)


def test_a_strum_is_spread_and_a_chord_is_not() -> None:
    chord = [note for pitch in (50, 57, 62, 66) for note in line([pitch] * 12, step_s=1.0)]
    strum = [
        replace(note, start_s=note.start_s + 0.025 * k) for k, pitch in enumerate((50, 57, 62, 66))
        for note in line([pitch] * 12, step_s=1.0)
    ]  # fmt: skip
    assert measured(heard_of(chord))["spread"] == 0
    assert measured(heard_of(strum))["spread"] > 0.5


def test_vibrato_is_measured() -> None:
    notes = line([60, 64, 67] * 4, step_s=1.0)
    steady, shaken = (measured(heard_of(notes, stray=stray)) for stray in (0.0, 0.6))
    assert steady["wobble"] == 0
    assert shaken["wobble"] > 3
    assert shaken["blurred"] > steady["blurred"]


def test_hits_across_all_bands_are_measured() -> None:
    heard = heard_of([])
    for at in range(0, len(heard.level) - 8, 40):
        heard.level[at : at + 8] = FULL
    hits, notes = measured(heard), measured(heard_of(line([60] * 20)))
    assert hits["broad"] > 1
    assert hits["silent"] == 1
    assert hits["flat"] > notes["flat"]
    assert notes["broad"] == 0


def test_silence_and_nothing_are_a_mix_that_says_so() -> None:
    silent = heard_of([])
    silent.level[:] = 0
    empty = Posteriors(silent.note[:0], silent.onset[:0], silent.contour[:0], silent.level[:0], 0)
    for heard in (silent, empty):
        found = materials.recognise(heard)
        assert (found.material, found.scores) == ("mix", {})
        assert "hardly a note" in found.why


def test_noise_that_was_measured_never_breaks_it() -> None:
    rng = np.random.default_rng(3)
    for frames in (1, 2, 3, 13, 200):
        shape = (frames, PITCHES)
        heard = Posteriors(
            pack(rng.random(shape, dtype=np.float32)),
            pack(rng.random(shape, dtype=np.float32)),
            pack(rng.random((frames, CONTOUR_BINS), dtype=np.float32)),
            rng.integers(0, 256, (frames, LEVEL_PITCHES), dtype=np.uint8),
            frames * FRAME_HOP,
        )
        assert all(math.isfinite(value) for value in measured(heard).values())
        assert sum(materials.recognise(heard).scores.values()) == pytest.approx(1, abs=1e-3)


def test_a_long_piece_is_looked_at_in_stretches_from_its_beginning_to_its_end() -> None:
    assert materials.stretches(1_000).tolist() == list(range(1_000))
    frames = materials.stretches(400_000)
    assert len(frames) == materials.STRETCH * materials.MOST_STRETCHES
    assert (int(frames.min()), int(frames.max())) == (0, 399_999)


def test_the_weights_fit_the_features() -> None:
    assert len(weights.CENTRES) == len(weights.SCALES) == len(materials.FEATURES)
    assert len(weights.COEFFICIENTS) == len(weights.INTERCEPTS) == len(weights.MATERIALS) == 8
    assert {len(row) for row in weights.COEFFICIENTS} == {len(materials.FEATURES)}


def test_the_likeliest_is_taken_unless_its_notes_would_suffer() -> None:
    def shares(**named: float) -> dict[Material, float]:
        return {name: named.get(name, 0.0) for name in weights.MATERIALS}

    assert materials.decided(shares(piano=0.6, chords=0.4)) == "piano"
    assert materials.decided(shares(solo=0.8, guitar=0.2)) == "mix"
    assert materials.decided(shares(solo=0.55, voice=0.45)) == "voice"
    assert materials.decided(shares(drums=1.0)) == "drums"


def test_a_sentence_says_what_was_heard() -> None:
    found = materials.recognise(heard_of(line([33, 35, 40, 36, 28, 31] * 4)))
    assert found.material == "bass"
    assert found.why == "one note at a time, and low: bass"
    assert found.scores["bass"] == max(found.scores.values())


# On real sound


@pytest.fixture(scope="module")
def model(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ModelStore(models_folder).pull("basic-pitch", report=print)


def _beginning(one: Song, length_s: float = 14.0) -> Song:
    parts = tuple(
        replace(
            part,
            notes=tuple(note for note in part.notes if note.start_s < length_s - 1),
            sustain=tuple(span for span in part.sustain if span[0] < length_s - 1),
        )
        for part in one.parts
    )
    return replace(one, parts=parts, duration_s=length_s)


@pytest.mark.slow
@pytest.mark.parametrize("material", ["piano", "epiano", "guitar", "bass", "drums", "mix"])
def test_songs_are_recognised(material: str, model: Path, tmp_path: Path) -> None:
    path = song_file(_beginning(song(material, 1001)), "synth", cache=tmp_path)
    found = materials.recognise(posteriors(read_mono(path, rate_hz=MODEL_RATE_HZ), model=model, threads=1))
    assert found.material == ENGINE_MATERIAL[material], found


@pytest.mark.slow
@pytest.mark.parametrize("material", ["lead", "voice"])
def test_one_voice_is_recognised_as_one(material: str, model: Path, tmp_path: Path) -> None:
    path = song_file(_beginning(song(material, 1002)), "synth", cache=tmp_path)
    found = materials.recognise(posteriors(read_mono(path, rate_hz=MODEL_RATE_HZ), model=model, threads=1))
    assert found.material in ("solo", "voice"), found
