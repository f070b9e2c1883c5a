"""How likely each moment is a beat or a downbeat, heard by BeatNet's network in pieces of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bridge.engine.analysis.bars import Heard, strikes_of
from bridge.engine.analysis.beat_features import BANDS, BeatFeatures

Floats = NDArray[np.float32]

STATE = (2, 1, 150)


class BeatListener:
    """Hears mono blocks at 22,050 Hz one after the other; `model` is the graph of `graphs.beatnet`."""

    def __init__(self, model: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._features = BeatFeatures()
        self._state = [np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)]
        none = np.zeros((0, 2), np.float32), np.zeros((0, BANDS), np.float16), np.zeros((0, 3), np.float32)
        self._found: list[tuple[Floats, NDArray[np.float16], Floats]] = [none]

    def hear(self, block: Floats) -> None:
        """`block` is (frames,)."""
        self._run(self._features.hear(block))

    def finish(self) -> Heard:
        """All that was heard. To be called once."""
        self._run(self._features.finish())
        return Heard(*(np.concatenate(parts) for parts in zip(*self._found, strict=True)))

    def _run(self, features: Floats) -> None:
        if not len(features):
            return
        names = ("activation", "hidden_after", "cell_after")
        given = {"features": features, "hidden": self._state[0], "cell": self._state[1]}
        activation, *self._state = self._session.run(names, given)
        strikes = strikes_of(features[:, BANDS:])
        self._found.append(
            (np.nan_to_num(activation[:, :2]), features[:, :BANDS].astype(np.float16), strikes)
        )
