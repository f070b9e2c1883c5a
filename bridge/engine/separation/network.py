"""An ONNX network that works in a thread of its own, so that a long piece of its work can be broken off."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from bridge.errors import ModelError
from bridge.media.raw_pcm import Samples

CHECK_EVERY_S: Final = 0.1
GRAPH_FAULTS: Final = (
    *(faults.Fail, faults.InvalidProtobuf, faults.InvalidGraph, faults.InvalidArgument),
    *(faults.NoSuchFile, faults.NotImplemented, faults.RuntimeException),
)


def session(model: Path, threads: int, *, is_optimised: bool = True) -> Any:
    """The network in `model`, loaded. Raises OSError and GRAPH_FAULTS."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not is_optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with model.open("rb"):  # onnxruntime's own words for a missing file are many
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


class Network:
    """One input, one output. To be used in a `with`. Raises ModelError for a file that is no network."""

    def __init__(self, model: Path, *, threads: int, check: Callable[[], None]) -> None:
        self._model, self._check = model, check
        self._run = onnxruntime.RunOptions()
        try:
            self._session = session(model, threads)
        except (OSError, ValueError, *GRAPH_FAULTS) as fault:
            raise ModelError(
                f"this is no network that can be run: {first_line(fault)}",
                remedy="Run: bridge models pull",
                file=model,
            ) from fault
        self._input = self._session.get_inputs()[0].name
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="separation")

    def __enter__(self) -> Network:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        self._pool.shutdown()

    def __call__(self, values: Samples) -> Samples:
        """What the network makes of `values`. `check` is called meanwhile; if it raises, the work ends."""
        work = self._pool.submit(self._session.run, None, {self._input: values}, self._run)
        while True:
            try:
                made: Samples = work.result(timeout=CHECK_EVERY_S)[0]
            except NotYet:
                pass
            except GRAPH_FAULTS as fault:
                raise ModelError(f"the network failed: {first_line(fault)}", file=self._model) from fault
            else:
                return made
            try:
                self._check()
            except BaseException:
                self._run.terminate = True
                raise


def first_line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:200]
