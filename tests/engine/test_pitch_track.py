"""The pitch track on the real network: no seams, exact times, and what the finer curves show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from bridge.engine import pitch_track
from bridge.engine.models import ModelStore
from bridge.engine.pitch_track import (
    FRAME_HOP,
    LEVEL_S,
    NOVELTY_S,
    RATE_HZ,
    WINDOW_FRAMES,
    PitchTrack,
    listen,
)
from bridge.errors import Cancelled
from bridge.media.notes import Note
from support.sung import sung, vibrato

Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def model(models_folder: Path) -> Path:
    return ModelStore(models_folder).pull("swift-f0", report=print)


@pytest.fixture(scope="module")
def melody() -> Samples:
    """Ten seconds: three windows, the last one short."""
    notes = [Note(0.3 + at, 1.1 + at, 48 + 3 * at, 100, 1.0, vibrato(0.8, depth=0.4)) for at in range(9)]
    return sung(notes, rate_hz=RATE_HZ, duration_s=10.0)


def blocks_of(sound: Samples, size: int) -> Iterator[Samples]:
    return (sound[first : first + size] for first in range(0, len(sound), size))


def assert_same(one: PitchTrack, other: PitchTrack) -> None:
    assert one.samples == other.samples
    for name in ("hz", "confidence", "level", "novelty"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("pitch", [38, 50, 62, 74, 86])
def test_finds_the_pitch_of_a_tone_to_a_few_cents(model: Path, pitch: int) -> None:
    track = listen([sung([Note(0.1, 1.0, pitch, 110)], rate_hz=RATE_HZ, duration_s=1.1)], model=model)
    held = slice(12, 55)
    cents = 1200 * np.log2(track.hz[held] / (440 * 2 ** ((pitch - 69) / 12)))
    assert np.median(np.abs(cents)) < 8
    assert track.confidence[held].min() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("size", [999, 16_000, 70_000])
def test_does_not_depend_on_the_blocks(model: Path, melody: Samples, size: int) -> None:
    assert_same(listen(blocks_of(melody, size), model=model), listen([melody], model=model))


def test_windows_leave_no_seam(model: Path, melody: Samples) -> None:
    """The same as the network says of the whole at once."""
    track = listen([melody], model=model)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    whole = np.concatenate([melody, np.zeros(-len(melody) % FRAME_HOP, np.float32)])
    hz, confidence = session.run(("pitch", "confidence"), {"audio": whole[np.newaxis]})
    assert len(track.hz) > 2 * WINDOW_FRAMES
    assert np.abs(1200 * np.log2(track.hz / hz[0])).max() < 0.1
    sounds = track.confidence > 0
    assert np.abs(track.confidence - confidence[0])[sounds].max() < 1e-4


@pytest.mark.parametrize(
    "samples",
    [1, 255, 256, 257, WINDOW_FRAMES * 256, WINDOW_FRAMES * 256 + 2559, WINDOW_FRAMES * 256 + 2560],
)
def test_every_sample_has_its_frame(model: Path, melody: Samples, samples: int) -> None:
    track = listen([melody[:samples]], model=model)
    frames = -(-samples // FRAME_HOP)
    assert (len(track.hz), len(track.confidence)) == (frames, frames)
    assert (len(track.level), len(track.novelty)) == (frames * 8, frames * 4)
    assert track.duration_s == samples / RATE_HZ


def test_silence_has_no_pitch_and_nothing_is_nothing(model: Path) -> None:
    silent = listen([np.zeros(RATE_HZ, np.float32)], model=model)
    assert not silent.confidence.any()
    assert not silent.novelty.any()
    nothing = listen([], model=model)
    assert len(nothing.hz) == len(nothing.level) == nothing.samples == 0


def test_level_and_novelty_show_when_a_sound_begins(model: Path) -> None:
    sound = np.zeros(2 * RATE_HZ, np.float32)
    begins = round(1.2345 * RATE_HZ)
    time_s = np.arange(len(sound) - begins) / RATE_HZ
    sound[begins:] = 0.5 * np.sin(2 * np.pi * 440 * time_s) * np.exp(-3 * time_s)
    track = listen([sound], model=model)
    assert abs(np.flatnonzero(track.level_db > -40)[0] * LEVEL_S - 1.2345) <= LEVEL_S
    assert abs(track.novelty.argmax() * NOVELTY_S - 1.2345) <= 0.012
    assert track.level_db.max() == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=1.5)


def test_a_vibrato_is_little_news_beside_a_stroke(model: Path) -> None:
    shaken = Note(0.2, 2.0, 69, 100, 1.0, vibrato(1.8, depth=0.5))
    track = listen([sung([shaken], rate_hz=RATE_HZ, duration_s=2.2)], model=model)
    begins, shakes = round(0.2 / NOVELTY_S), slice(round(0.5 / NOVELTY_S), round(1.9 / NOVELTY_S))
    assert track.novelty_db[begins - 5 : begins + 10].max() > 8 * track.novelty_db[shakes].max()


def test_can_be_cancelled_and_tells_how_far_it_is(model: Path, melody: Samples) -> None:
    told: list[int] = []

    def check() -> None:
        if len(told) == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        listen(blocks_of(melody, 5_000), model=model, check=check, tell=told.append)
    assert told == [WINDOW_FRAMES * FRAME_HOP, 2 * WINDOW_FRAMES * FRAME_HOP]
    told.clear()
    listen(blocks_of(melody, 5_000), model=model, tell=told.append)
    assert told[-1] == len(melody)
    pitch_track.warm(model)
