"""Runs on fixed device buffers: what CUDA graphs need, and what spares the rest an allocation.

One buffer for the input and one for each output, by input shape; the photos' few shapes and the
batches' powers of two keep them few. The same code runs on CPU buffers, which is how it is tested:
it has not run on a GPU yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Buffers:
    """One input shape's binding. ONNX Runtime's objects are untyped."""

    binding: Any
    source: Any
    sinks: list[Any]
    options: Any


class BoundRuns:
    """Runs of one session, one at a time, on buffers that stay where they are."""

    def __init__(
        self,
        session: Any,  # noqa: ANN401 - onnxruntime is untyped
        names: tuple[str, Sequence[str]],
        place: tuple[str, int],
        graphs: bool,
    ) -> None:
        """`names` are the input's and the outputs', `place` is the device's kind and number."""
        self._session = session
        self._input, self._outputs = names
        self._place = place
        self._graphs = graphs
        self._buffers: dict[tuple[int, ...], Buffers] = {}
        self._lock = Lock()

    def __call__(self, tensor_NCHW: Array) -> list[Array]:
        """The outputs, copied out of the buffers."""
        with self._lock:
            buffers = self._buffers.get(tensor_NCHW.shape)
            if buffers is None:
                buffers = self._buffers[tensor_NCHW.shape] = self._bind(tensor_NCHW)
            buffers.source.update_inplace(np.ascontiguousarray(tensor_NCHW))
            self._session.run_with_iobinding(buffers.binding, buffers.options)
            return [np.array(sink.numpy()) for sink in buffers.sinks]

    def _bind(self, tensor_NCHW: Array) -> Buffers:
        """A first run, without a graph, says how large the outputs are."""
        options = ort.RunOptions()
        if self._graphs:
            options.add_run_config_entry("gpu_graph_id", "-1")
        first = self._session.run(list(self._outputs), {self._input: tensor_NCHW}, options)
        source = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor_NCHW), *self._place)
        sinks = [
            ort.OrtValue.ortvalue_from_shape_and_type(output.shape, np.float32, *self._place)
            for output in first
        ]
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, source)
        for name, sink in zip(self._outputs, sinks, strict=True):
            binding.bind_ortvalue_output(name, sink)
        options = ort.RunOptions()
        if self._graphs:  # one graph for each shape
            options.add_run_config_entry("gpu_graph_id", str(len(self._buffers) + 1))
        return Buffers(binding, source, sinks, options)
