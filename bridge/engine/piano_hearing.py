"""transkun's network on one window of sound: from samples to scored notes and what is known about each.

`bridge.engine.graphs.transkun` writes the graph and says what goes in and comes out.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from bridge.engine.semi_crf import Indices, Intervals, Scores
from bridge.errors import ModelError

RATE_HZ = 44_100
HOP = 1_024
FRAME_S = HOP / RATE_HZ
WINDOW_SAMPLES = 4_096
SOUND_SAMPLES = 16 * RATE_HZ
FRAMES = 691  # the last one begins at the last sample or after it
PATCH = 8
QUIETEST = 2e-5  # a window of less than this (-94 dB) is taken as silence, not made loud

GRAPH_FAULTS = (faults.Fail, faults.InvalidProtobuf, faults.InvalidGraph, faults.InvalidArgument)
NEARLY_ZERO = 1e-3

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """One window: 691 frames, frame f at sample f * 1024. `single` and `pairs` are as `best_intervals` wants.

    `rows` (lines, patches, 256) is what `details` needs.
    """

    single: Scores
    pairs: Intervals
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Details:
    """One entry an interval: velocity 1..127, the shift of both ends in frames (-0.5..0.5), (intervals, 2).

    `seen` (intervals, 2) says whether an end is an end, rather than the window's border in the note's midst.
    """

    velocity: Indices
    shift: NDArray[np.float64]
    seen: NDArray[np.bool_]


class PianoNetwork:
    """The network, loaded. Raises ModelError for a file that is not the graph that is meant."""

    def __init__(self, model: Path, *, threads: int) -> None:
        self._run = onnxruntime.RunOptions()
        try:
            self._listening = _session(model.read_bytes(), threads)
            facts = self._listening.get_modelmeta().custom_metadata_map
            self._details = _session(base64.b64decode(facts["details"]), threads)
            windows = np.frombuffer(base64.b64decode(facts["windows"]), "<f4")
            self._windows = windows.reshape(-1, WINDOW_SAMPLES)
            self._bins = int(self._listening.get_inputs()[0].shape[2])
        except (OSError, KeyError, ValueError, IndexError, *GRAPH_FAULTS) as fault:
            raise ModelError(
                f"this is no piano model: {fault}", remedy="Run: bridge models pull", file=model
            ) from fault

    def hear(self, sound: Samples) -> Heard:
        """`sound` is (channels, 705600): 16 s at 44.1 kHz. The network knows no other length."""
        power = self._power(sound)
        rows, single, where, score = self._listening.run(None, {"power": power}, self._run)
        line, first, last = where
        pairs = Intervals(line, first, last, score * (last - first).astype(np.float32))
        return Heard(single, pairs, rows)

    def stop(self) -> None:
        """Ends a `hear` that is under way in another thread, which then raises. For good."""
        self._run.terminate = True

    def details(self, heard: Heard, found: Intervals) -> Details:
        """Velocity and exact ends of the intervals."""
        ends = {"first": found.first, "last": found.last}
        feed: dict[str, NDArray[Any]] = {
            name: heard.rows[found.line, frame // PATCH] for name, frame in ends.items()
        }
        feed |= {f"{name}_phase": frame % PATCH for name, frame in ends.items()}
        velocity, edges = self._details.run(None, feed)
        shift = np.clip((_mean_of(edges[:, :2].astype(np.float64)) - 0.5) / 0.99, -0.5, 0.5)
        return Details(np.maximum(velocity.argmax(axis=1), 1), shift, edges[:, 2:] > 0)

    def _power(self, sound: Samples) -> NDArray[np.float32]:
        """The spectra's power under each window, the mean of the channels: (windows, frames, bins)."""
        framed = _framed(_even(sound))
        power = np.empty((len(self._windows), framed.shape[1], self._bins), np.float32)
        for window, into in zip(self._windows, power, strict=True):
            into[...] = sum(_power_of(channel * window, self._bins) for channel in framed)
        power *= np.float32(1 / len(framed))
        return power


def _session(graph: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _even(sound: Samples) -> Samples:
    """The window padded to whole frames, half a spectrum's width at both ends, with mean 0 and deviation 1.

    Mean and deviation are over all frames, so each sample counts as often as frames cover it.
    """
    half = WINDOW_SAMPLES // 2
    padded = np.pad(sound, ((0, 0), (half, half + (FRAMES - 1) * HOP - SOUND_SAMPLES)))
    blocks = padded.reshape(len(sound), -1, HOP).astype(np.float64)
    cover = np.convolve(np.ones(FRAMES), np.ones(WINDOW_SAMPLES // HOP))
    count = len(sound) * FRAMES * WINDOW_SAMPLES
    mean = float((blocks.sum(axis=2) @ cover).sum()) / count
    spread = float((np.square(blocks).sum(axis=2) @ cover).sum()) - count * mean**2
    deviation = max((max(spread, 0.0) / (count - 1)) ** 0.5, QUIETEST)
    return (padded - np.float32(mean)) * np.float32(1 / deviation)


def _framed(padded: Samples) -> Samples:
    """(channels, samples) to (channels, frames, 4096), a view."""
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES, axis=1)[:, ::HOP]


def _power_of(frames: Samples, bins: int) -> NDArray[Any]:
    spectrum = np.fft.rfft(frames)[:, :bins]
    return np.asarray(np.square(spectrum.real) + np.square(spectrum.imag))


def _mean_of(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of a continuous Bernoulli distribution of that logit (Loaiza-Ganem and Cunningham, 2019)."""
    small = np.abs(logit) < NEARLY_ZERO
    safe = np.where(small, 1.0, logit)
    return np.where(small, 0.5 + logit / 12, -1 / np.expm1(-safe) - 1 / safe)
