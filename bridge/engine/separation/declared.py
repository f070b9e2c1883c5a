"""Networks of the musician's own that take a mix apart, as exports of Demucs and its kin are.

What such a file must be: one input (1, 2, samples) of float32, left and right at 44.1 kHz, of one length or
of any; one output (1, stems, 2, samples). Which stem is which stands in the file's metadata as `stems`
("drums, bass, other, vocals", or the same as a JSON list), or their number says it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr

from bridge.engine.separation.network import GRAPH_FAULTS, first_line, session
from bridge.errors import ModelError
from bridge.media.raw_pcm import Samples

RATE_HZ: Final = 44_100
ORDERS: Final = {
    4: ("drums", "bass", "other", "vocals"),
    6: ("drums", "bass", "other", "vocals", "guitar", "piano"),
}
"""What Demucs's models give, in its order."""
OWN_LENGTH_SAMPLES: Final = 8 * RATE_HZ
SHORTEST_SAMPLES: Final = RATE_HZ // 4
OVERLAP_SHARE: Final = 0.25
RESAMPLER_QUALITY: Final = "VHQ"
WHAT_IT_MUST_BE: Final = (
    "It needs one input (1, 2, samples) and one output (1, stems, 2, samples), float32 at 44.1 kHz: "
    "waveforms, not spectrograms."
)


@dataclass(frozen=True)
class Declared:
    """What a network of the musician's own gives, and for how many samples at a time (None: any number)."""

    stems: tuple[str, ...]
    samples: int | None


def check_graph(path: Path) -> Declared:
    """What the network in `path` says of itself. Raises ModelError, in plain words, for one that will not do.

    It is loaded but not run.
    """
    try:
        loaded = session(path, threads=1, is_optimised=False)
    except OSError as fault:
        raise ModelError(f"it cannot be read: {fault.strerror or fault}", file=path) from fault
    except (ValueError, *GRAPH_FAULTS) as fault:
        words = f"it is no ONNX network that can be run here: {first_line(fault)}"
        raise ModelError(
            words, remedy="Export it as one ONNX file, its weights inside.", file=path
        ) from fault
    inputs, outputs = loaded.get_inputs(), loaded.get_outputs()
    why = _why_not(inputs, outputs)
    if why:
        raise ModelError(why, remedy=WHAT_IT_MUST_BE, file=path)
    told = str(loaded.get_modelmeta().custom_metadata_map.get("stems", ""))
    length = inputs[0].shape[2]
    return Declared(_stems(told, outputs[0].shape[1], path), length if isinstance(length, int) else None)


def _why_not(inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    """Empty where the signature is the one that is meant."""
    if len(inputs) != 1 or len(outputs) != 1:
        return f"it has {len(inputs)} inputs and {len(outputs)} outputs"
    for one, words, sizes in ((inputs[0], "input", (1, 2, None)), (outputs[0], "output", (1, None, 2, None))):
        if one.type != "tensor(float)":
            return f"its {words} is {one.type}, not float32"
        fits = len(one.shape) == len(sizes) and all(
            not isinstance(size, int) or wanted in (None, size)
            for size, wanted in zip(one.shape, sizes, strict=True)
        )
        if not fits:
            return f"its {words} has the shape {tuple(one.shape)}"
    length = inputs[0].shape[2]
    if isinstance(length, int) and length < SHORTEST_SAMPLES:
        return f"it takes {length} samples at a time, less than a quarter of a second"
    return ""


def _stems(told: str, count: Any, path: Path) -> tuple[str, ...]:
    """Their names. `told` is what the file's metadata say, `count` the output's size, a number or a name."""
    named = _listed(told)
    if not named and isinstance(count, int):
        named = ORDERS.get(count, ())
    is_counted = not isinstance(count, int) or count == len(named)
    if not named or not is_counted or len(set(named)) < len(named) or "residual" in named:
        told_words = f"; its metadata say stems: {told}" if told else ""
        count_words = f"{count} stems" if isinstance(count, int) else "an unknown number of stems"
        raise ModelError(
            f"it gives {count_words}, and which is which is not clear{told_words}",
            remedy="Write their names in the order of the output into the file's metadata, such as "
            "stems = drums, bass, other, vocals.",
            file=path,
        )
    return named


def _listed(told: str) -> tuple[str, ...]:
    try:
        names = json.loads(told)
    except ValueError:
        names = told.split(",")
    if not isinstance(names, list):
        return ()
    return tuple(str(name).strip().lower() for name in names if str(name).strip())


class DeclaredStems:
    """The stems in windows of `frames` frames that are faded over `overlap` frames.

    Channels are taken in pairs; one by itself is both, and gets the mean of what comes out.
    """

    def __init__(
        self,
        network: Callable[[Samples], Samples],
        declared: Declared,
        rate_hz: int,
        check: Callable[[], None],
    ) -> None:
        self._network, self._declared, self._rate_hz, self._check = network, declared, rate_hz, check
        samples = declared.samples or OWN_LENGTH_SAMPLES
        self.frames = samples * rate_hz // RATE_HZ
        self.overlap = int(self.frames * OVERLAP_SHARE)
        self.names = declared.stems

    def __call__(self, window: Samples) -> dict[str, Samples]:
        stems = np.zeros((len(self.names), *window.shape), np.float32)
        for first in range(0, window.shape[1], 2):
            pair = slice(first, first + 2)
            if window[:, pair].any():
                stems[:, :, pair] = self._of_pair(window[:, pair])
        return dict(zip(self.names, stems, strict=True))

    def _of_pair(self, pair: Samples) -> Samples:
        """(stems, frames, channels)."""
        self._check()
        given = self._at(pair, self._rate_hz, RATE_HZ)
        count = self._declared.samples or max(SHORTEST_SAMPLES, len(given))
        sound = np.zeros((1, 2, count), np.float32)
        kept = min(count, len(given))
        sound[0, :, :kept] = given[:kept].T
        made = self._network(sound)
        if made.shape != (1, len(self.names), 2, count):
            raise ModelError(f"the network gave {made.shape} for {count} samples", remedy=WHAT_IT_MUST_BE)
        made = np.nan_to_num(made[0, :, :, :kept].swapaxes(1, 2))
        if pair.shape[1] == 1:
            made = made.mean(axis=2, keepdims=True)
        return np.stack([self._back(stem, len(pair)) for stem in made])

    def _back(self, stem: Samples, frames: int) -> Samples:
        self._check()
        made = self._at(np.ascontiguousarray(stem), RATE_HZ, self._rate_hz)[:frames]
        return np.pad(made, ((0, frames - len(made)), (0, 0)))

    @staticmethod
    def _at(sound: Samples, old_hz: int, new_hz: int) -> Samples:
        if old_hz == new_hz:
            return sound
        made: Samples = soxr.resample(sound, old_hz, new_hz, quality=RESAMPLER_QUALITY)
        return made
