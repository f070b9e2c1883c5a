"""Our graph of swift-f0 gives what the published one gives, and is made from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from bridge.engine.graphs import swift_f0
from bridge.engine.models import ModelStore
from bridge.engine.pitch_track import RATE_HZ
from bridge.errors import ModelError
from bridge.media.notes import Note
from support.sung import sung, vibrato

Samples = NDArray[np.float32]
LIMITS = {"fmin": np.asarray(46.875, np.float32), "fmax": np.asarray(2093.75, np.float32)}
ANSWERS = ("pitch", "confidence")


@pytest.fixture(scope="module")
def published(models_folder: Path) -> Path:
    store = ModelStore(models_folder)
    store.pull("swift-f0", report=print)
    return store.folder / "swift-f0-0.3.0.onnx"


@pytest.fixture(scope="module")
def sessions(published: Path) -> tuple[Any, Any]:
    return onnxruntime.InferenceSession(published), onnxruntime.InferenceSession(swift_f0.build(published))


@pytest.fixture(scope="module")
def voice() -> Samples:
    """A voice with a vibrato over a little noise: without any, what is silent is each one's own rounding."""
    notes = [Note(0.05 + at, 0.8 + at, 45 + 11 * at, 100, 1.0, vibrato(0.7, depth=0.4)) for at in range(4)]
    sound = sung(notes, rate_hz=RATE_HZ, duration_s=5.0)
    noise = np.random.default_rng(5).standard_normal(len(sound)).astype(np.float32)
    return sound + np.float32(3e-4) * noise


@pytest.mark.parametrize("frames", [1, 2, 21, 256])
@pytest.mark.parametrize("sound", ["voice", "quiet", "noise", "clicks"])
def test_gives_what_the_published_one_gives(
    sessions: tuple[Any, Any], voice: Samples, sound: str, frames: int
) -> None:
    samples = frames * swift_f0.HOP
    noise = np.random.default_rng(frames).standard_normal(samples).astype(np.float32)
    audio = {
        "voice": voice[:samples],
        "quiet": 0.01 * voice[:samples],
        "noise": 0.1 * noise,
        "clicks": np.where(np.arange(samples) % 200 == 7, noise, 0),
    }[sound].astype(np.float32)
    theirs, ours = sessions
    hz, confidence = theirs.run(ANSWERS, {"audio": audio[np.newaxis], **LIMITS})
    our_hz, our_confidence = ours.run(ANSWERS, {"audio": audio[np.newaxis]})
    assert our_hz.shape == hz.shape == our_confidence.shape == (1, frames)
    assert np.abs(our_hz / hz - 1).max() < 1e-4
    assert np.abs(our_confidence - confidence).max() < 1e-4


@pytest.mark.parametrize(("slow", "fast"), sorted(swift_f0.STEPS.values()))
def test_two_steps_are_a_fourier_transform(slow: int, fast: int) -> None:
    samples = np.random.default_rng(slow).standard_normal(slow * fast)
    first, second = swift_f0.fourier_matrices(slow, fast)
    halves = (first.astype(np.float64) @ samples.reshape(slow, fast)).reshape(len(second), 2 * fast, 1)
    real, imaginary = (second @ halves).reshape(len(second), 2, fast).swapaxes(0, 1)
    found = np.hypot(real, imaginary).ravel()[swift_f0.bin_order(slow, fast)]
    assert np.allclose(found, np.abs(np.fft.rfft(samples)), atol=1e-4)


def test_the_same_file_each_time(published: Path) -> None:
    assert swift_f0.build(published) == swift_f0.build(published)


def test_another_file_than_the_published_network_is_refused(published: Path, tmp_path: Path) -> None:
    lopsided = onnx.load(published)
    taps = next(one for one in lopsided.graph.initializer if list(one.dims) == [4, 12, 3, 3])
    taps.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(taps) + np.arange(3, dtype=np.float32), taps.name)
    )
    others = (b"", b"no graph at all", swift_f0.build(published), lopsided.SerializeToString())
    for number, data in enumerate(others):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(data)
        with pytest.raises(ModelError, match="not swift-f0"):
            swift_f0.build(path)
