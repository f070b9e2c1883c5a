"""Drums: what is struck is found, in time, whatever the blocks; another threshold needs no new hearing."""

from __future__ import annotations

import dataclasses
import io
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine import drum_bands
from bridge.engine.drum_hits import peaks, summit_offsets
from bridge.engine.drums import RATE_HZ, DrumActivity, HitOptions, hits_of, listen
from bridge.media.notes import Note, Transcription, check_transcription

Sound = NDArray[np.float32]
LENGTH_S = 9.0
BEAT_S = 0.5


def _time_s(length_s: float) -> NDArray[np.float64]:
    return np.arange(round(length_s * RATE_HZ)) / RATE_HZ


def _noise(length_s: float, low_hz: float, high_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.normal(0, 1, round(length_s * RATE_HZ)))
    hz = np.fft.rfftfreq(round(length_s * RATE_HZ), 1 / RATE_HZ)
    spectrum *= 1 / (1 + (low_hz / np.maximum(hz, 1)) ** 4) / (1 + (hz / high_hz) ** 4)
    return np.fft.irfft(spectrum, round(length_s * RATE_HZ))


def _kick(_: np.random.Generator) -> NDArray[np.float64]:
    time_s = _time_s(0.4)
    hz = 52 + 120 * np.exp(-time_s / 0.03)
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ) * np.exp(-time_s / 0.12)


def _snare(rng: np.random.Generator) -> NDArray[np.float64]:
    time_s = _time_s(0.4)
    shell = np.sin(2 * np.pi * 190 * time_s) + 0.5 * np.sin(2 * np.pi * 335 * time_s)
    return 0.4 * shell * np.exp(-time_s / 0.06) + 0.25 * _noise(0.4, 1000, 6000, rng) * np.exp(-time_s / 0.1)


def _hat(rng: np.random.Generator) -> NDArray[np.float64]:
    return 0.3 * _noise(0.2, 6500, 14_000, rng) * np.exp(-_time_s(0.2) / 0.03)


def _groove(*, seed: int = 3) -> tuple[Sound, dict[int, list[float]]]:
    """Hats on eighths, kick on one and three, snare on two and four: the sound, and what is when."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 1e-5, round(LENGTH_S * RATE_HZ))
    truth: dict[int, list[float]] = {36: [], 38: [], 42: []}
    pieces: dict[int, Callable[[np.random.Generator], NDArray[np.float64]]]
    pieces = {36: _kick, 38: _snare, 42: _hat}
    for eighth in range(32):
        at_s = 0.25 + eighth * BEAT_S / 2 + float(rng.uniform(-0.004, 0.004))
        for key in (42, *((36,) if eighth % 4 == 0 else (38,) if eighth % 4 == 2 else ())):
            first, voice = round(at_s * RATE_HZ), pieces[key](rng) * rng.uniform(0.6, 1.0)
            sound[first : first + len(voice)] += voice
            truth[key].append(first / RATE_HZ)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32), truth


def _strokes(notes: Iterable[Note]) -> set[tuple[float, int, int]]:
    return {(note.start_s, note.pitch, note.velocity) for note in notes}


def _blocks(sound: Sound, size: int) -> Iterator[Sound]:
    for first in range(0, len(sound), size):
        yield sound[first : first + size]


@pytest.fixture(scope="module")
def groove() -> tuple[Sound, dict[int, list[float]], DrumActivity]:
    sound, truth = _groove()
    return sound, truth, listen([sound])


def test_a_groove_is_written_down_in_time(
    groove: tuple[Sound, dict[int, list[float]], DrumActivity],
) -> None:
    _, truth, activity = groove
    notes = hits_of(activity)
    assert activity.duration_s == LENGTH_S
    errors = []
    for key, times in truth.items():
        found = np.array([note.start_s for note in notes if note.pitch == key])
        assert len(found) == len(times), key
        errors += list(np.abs(found - np.array(times)))
    assert max(errors) < 0.012
    assert np.median(errors) < 0.006
    assert {note.pitch for note in notes} == set(truth)


def test_the_notes_may_be_kept(groove: tuple[Sound, dict[int, list[float]], DrumActivity]) -> None:
    _, _, activity = groove
    notes = hits_of(activity)
    check_transcription(Transcription(tuple(notes), activity.duration_s, drums=True))
    assert notes == sorted(notes, key=lambda note: (note.start_s, note.pitch))
    assert all(note.end_s <= activity.duration_s for note in notes)
    assert all(0.5 < note.confidence <= 1 for note in notes)


@pytest.mark.parametrize("size", [997, 44_100, 300_001])
def test_the_sizes_of_the_blocks_do_not_matter(
    groove: tuple[Sound, dict[int, list[float]], DrumActivity], size: int
) -> None:
    sound, _, whole = groove
    cut = listen(_blocks(sound, size))
    for field in dataclasses.fields(DrumActivity):
        np.testing.assert_array_equal(getattr(cut, field.name), getattr(whole, field.name))


def test_a_louder_or_softer_bounce_has_the_same_hits(
    groove: tuple[Sound, dict[int, list[float]], DrumActivity],
) -> None:
    sound, _, activity = groove
    softer = hits_of(listen([sound * np.float32(0.05)]))
    assert Counter(note.pitch for note in softer) == Counter(note.pitch for note in hits_of(activity))


def test_what_comes_before_shifts_nothing() -> None:
    sound, _ = _groove()
    silence_s = drum_bands.HOP * 300 / RATE_HZ
    late = hits_of(listen([np.zeros(drum_bands.HOP * 300, np.float32), sound]))
    assert [(note.pitch, round(note.start_s - silence_s, 3)) for note in late] == [
        (note.pitch, round(note.start_s, 3)) for note in hits_of(listen([sound]))
    ]


def test_a_lower_threshold_finds_the_same_and_more(
    groove: tuple[Sound, dict[int, list[float]], DrumActivity],
) -> None:
    _, _, activity = groove
    found = [
        _strokes(hits_of(activity, HitOptions(onset_threshold=threshold)))
        for threshold in (0.95, 0.8, 0.5, 0.2, 0.05, 0.0)
    ]
    assert all(fewer <= more for fewer, more in pairwise(found))
    assert len(found[0]) < len(found[-1])
    assert found[2] == _strokes(hits_of(activity))


def test_harder_strokes_have_higher_velocities() -> None:
    rng = np.random.default_rng(5)
    sound = rng.normal(0, 1e-5, round(6 * RATE_HZ))
    gains = [1.0, 0.3, 1.0, 0.3, 1.0, 0.3, 1.0, 0.3]
    for beat, gain in enumerate(gains):
        first, voice = round((0.3 + 0.6 * beat) * RATE_HZ), _snare(rng) * gain
        sound[first : first + len(voice)] += voice
    notes = [note for note in hits_of(listen([sound.astype(np.float32)])) if note.pitch == 38]
    assert len(notes) == len(gains)
    hard, soft = [note.velocity for note in notes[::2]], [note.velocity for note in notes[1::2]]
    assert min(hard) > max(soft) + 30


def test_what_is_heard_survives_being_kept(
    groove: tuple[Sound, dict[int, list[float]], DrumActivity],
) -> None:
    _, _, activity = groove
    file = io.BytesIO()
    arrays = {name: np.asarray(value) for name, value in vars(activity).items()}
    np.savez(file, allow_pickle=False, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as kept:
        names = ("struck", "sort", "hard", "level")
        again = DrumActivity(samples=kept["samples"].item(), **{name: kept[name] for name in names})
    assert hits_of(again) == hits_of(activity)


@pytest.mark.parametrize("samples", [0, 1, 255, 5_000])
def test_short_or_silent_audio_has_no_hits(samples: int) -> None:
    activity = listen([np.zeros(samples, np.float32)])
    assert hits_of(activity) == []
    assert activity.samples == samples
    assert len(activity.struck) == -(-samples // drum_bands.HOP)


def test_noise_far_below_hearing_has_no_hits() -> None:
    hiss = np.random.default_rng(1).normal(0, 1e-6, 3 * RATE_HZ).astype(np.float32)
    assert hits_of(listen([hiss])) == []


def test_samples_that_are_no_numbers_do_no_harm(
    groove: tuple[Sound, dict[int, list[float]], DrumActivity],
) -> None:
    sound, _, activity = groove
    broken = sound.copy()
    broken[100], broken[200] = np.nan, np.inf
    assert len(hits_of(listen([broken]))) >= len(hits_of(activity)) - 1


def test_cancelling_stops_it() -> None:
    class Cancelled(Exception):
        pass

    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        listen([np.zeros(RATE_HZ, np.float32)], check=check)


def test_progress_counts_samples_up_to_the_end() -> None:
    told: list[int] = []
    listen(_blocks(np.zeros(15 * RATE_HZ, np.float32), 10_000), tell=told.append)
    assert told == sorted(told)
    assert told[-1] == 15 * RATE_HZ
    assert len(told) > 1


def test_deciding_on_ten_minutes_is_quick(
    groove: tuple[Sound, dict[int, list[float]], DrumActivity],
) -> None:
    _, _, activity = groove
    times = round(600 / activity.duration_s)
    long = DrumActivity(
        np.tile(activity.struck, (times, 1)),
        np.tile(activity.sort, (times, 1)),
        np.tile(activity.hard, (times, 1)),
        np.tile(activity.level, (times, 1)),
        activity.samples * times,
    )
    began_s = time.process_time()
    found = hits_of(long)
    assert time.process_time() - began_s < 0.5
    assert len(found) > 2000
    kept_bytes = sum(array.nbytes for array in (long.struck, long.sort, long.hard, long.level))
    assert kept_bytes < 3e6


def test_peaks_keep_apart_and_ties_count_once() -> None:
    likely = np.zeros(40, np.float32)
    likely[[10, 13, 20, 21, 30]] = [0.9, 0.8, 0.7, 0.7, 0.4]
    assert list(peaks(likely, 0.5)) == [10, 20]
    assert list(peaks(likely, 0.3)) == [10, 20, 30]


def test_the_summit_between_frames() -> None:
    places = np.array([6.0, 15.25, 25.6])
    likely = np.maximum(0, 1 - 0.1 * (np.arange(40)[:, np.newaxis] - places) ** 2).max(axis=1)
    frames = np.array([6, 15, 26])
    found = frames + summit_offsets(likely.astype(np.float32), frames)
    np.testing.assert_allclose(found, places, atol=1e-3)


def test_bands_are_in_decibels_of_a_full_sine() -> None:
    for hz, band in ((100.0, 3), (1000.0, len(drum_bands.LOW_EDGES_HZ) - 1 + 1)):
        sine = np.sin(2 * np.pi * hz * _time_s(1)).astype(np.float32)
        heard = drum_bands.levels(sine)[40] / drum_bands.STEPS_PER_DB + drum_bands.FLOOR_DB
        assert int(np.argmax(heard)) == band
        assert heard[band] == pytest.approx(1.0, abs=1.5)  # the window's main lobe, summed
