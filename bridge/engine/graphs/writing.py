"""A graph being written, for the builders in this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


class GraphWriter:
    """Nodes in order, and constants by name. `add` and what builds on it give the name of their output."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper  # only who builds a graph needs it

        self.helper, self._numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        self.constants.append(self._numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"t{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def conv(
        self,
        x: str,
        weights: Weights,
        bias: Weights,
        *,
        pads: Sequence[int],
        stride: Sequence[int] = (1, 1),
        dilations: Sequence[int] | None = None,
    ) -> str:
        inputs = (x, self.constant(weights), self.constant(bias))
        shape = list(weights.shape[2:])
        attributes: dict[str, Any] = {"kernel_shape": shape, "strides": list(stride), "pads": list(pads)}
        if dilations is not None:
            attributes["dilations"] = list(dilations)
        return self.add("Conv", *inputs, **attributes)

    def reshape(self, x: str, *shape: int, name: str = "") -> str:
        return self.add("Reshape", x, self.constant(np.array(shape, np.int64)), name=name)

    def slice(self, x: str, start: int, end: int, *, axis: int) -> str:
        limits = (self.constant(np.array([value], np.int64)) for value in (start, end, axis))
        return self.add("Slice", x, *limits)

    def pad(self, x: str, pads: Sequence[int], *, mode: str = "constant") -> str:
        return self.add("Pad", x, self.constant(np.array(pads, np.int64)), mode=mode)
