"""Speech without noise by DeepFilterNet 3: an experiment, as the licence of its weights is not confirmed.

H. Schroeter et al., "DeepFilterNet: Perceptually motivated real-time speech enhancement" (2023), in an export
that takes 512 samples at 48 kHz at a time, with everything that it remembers going in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from bridge.engine.enhancement.noise_frames import Floats
from bridge.engine.windows import in_blocks
from bridge.media.raw_pcm import Samples

RATE_HZ: Final = 48_000
HOP: Final = 512
DELAY: Final = 3 * HOP
"""How much later the network says what it has heard."""
FIRST_STATES: Final = {"erb_norm_state": (-60.0, -90.0), "band_unit_norm_state": (1e-3, 1e-4)}
"""Running means begin on a straight line over the bands; everything else begins at zero."""


def cleaned(blocks: Iterable[Samples], model: Path, check: Callable[[], None]) -> Iterator[Samples]:
    """Blocks of (frames, channels) at 48 kHz with speech alone left, the same frames."""
    session = _session(model)
    states: list[dict[str, Floats]] = []
    skip, frames, made = DELAY, 0, 0
    for sound, real in _padded(blocks):
        check()
        frames += real
        if not states:
            states = [_begun(session) for _ in range(sound.shape[1])]
        out = np.stack([_step(session, sound[:, at], state) for at, state in enumerate(states)], axis=1)
        ready = out[skip:][: frames - made]
        skip = max(0, skip - HOP)
        made += len(ready)
        if len(ready):
            yield ready


def _session(model: Path) -> Any:
    options = onnxruntime.SessionOptions()
    # Steps are too small for more than one thread.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _padded(blocks: Iterable[Samples]) -> Iterator[tuple[Samples, int]]:
    """Pieces of 512 frames and how many of them are the sound's; silence at the end until all is said."""
    channels = 0
    for piece in in_blocks(blocks, HOP):
        channels = piece.shape[1]
        yield np.pad(piece, ((0, HOP - len(piece)), (0, 0))), len(piece)
    for _ in range(DELAY // HOP if channels else 0):
        yield np.zeros((HOP, channels), np.float32), 0


def _begun(session: Any) -> dict[str, Floats]:
    states = {}
    for put in session.get_inputs()[1:]:
        state = np.zeros(put.shape, np.float32)
        if put.name in FIRST_STATES:
            state.reshape(-1)[:] = np.linspace(*FIRST_STATES[put.name], state.size)
        states[put.name] = state
    return states


def _step(session: Any, samples: Floats, states: dict[str, Floats]) -> Floats:
    """One piece of one channel; `states` goes on."""
    answer, *new = session.run(None, {"input_frame": np.ascontiguousarray(samples), **states})
    states.update(zip(states, new, strict=True))
    made: Floats = np.asarray(answer, np.float32)
    return made
