"""One ONNX Runtime session for a network, shared by all workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.errors import InferenceFailedError, StartError
from app.inference.cuda import BoundRuns

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Cuda:
    """Which GPU, and how: by TensorRT (whose engines are kept in `cache`), by captured graphs."""

    number: int = 0
    tensorrt: bool = False
    graphs: bool = False
    cache: Path | None = None


class Network(Protocol):
    """Anything that runs a network. Safe to call from many threads at once."""

    @property
    def batchable(self) -> bool:
        """Whether it takes more than one image at a time."""
        ...

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of what runs it."""
        ...

    @property
    def well(self) -> bool:
        """False while it fails again and again."""
        ...

    def run(self, tensor_NCHW: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs in the order asked for. Raises InferenceFailedError."""
        ...

    def close(self) -> None:
        """End its threads, where it has any."""
        ...


FIRST_GPU = Cuda()


class Session:
    """Runs a network on float32 tensors. Safe to call from many threads at once."""

    well = True

    def __init__(
        self,
        model: bytes,
        inputs: str,
        outputs: Sequence[str],
        device: Device,
        cuda: Cuda = FIRST_GPU,
    ) -> None:
        """Raises StartError where the model does not load or the device is not there."""
        self._input = inputs
        self._outputs = list(outputs)
        self._session = _open(model, device, cuda)
        self._bound = device == "cuda" and BoundRuns(
            self._session, (inputs, outputs), (device, cuda.number), cuda.graphs
        )
        found = {output.name for output in self._session.get_outputs()}
        if missing := [name for name in outputs if name not in found]:
            raise StartError(f"the network has no output {missing[0]!r}; it has {sorted(found)}")
        entry = {entry.name: entry for entry in self._session.get_inputs()}
        if set(entry) != {inputs}:
            raise StartError(f"the network's inputs are {sorted(entry)}, not {inputs!r} alone")
        self.batchable = not isinstance(entry[inputs].shape[0], int)
        self.provider: str = self._session.get_providers()[0]

    def run(self, tensor_NCHW: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs in the order asked for. Raises InferenceFailedError."""
        try:
            if self._bound:
                return self._bound(tensor_NCHW)
            return list(self._session.run(self._outputs, {self._input: tensor_NCHW}))
        except Exception as error:  # the runtime raises classes of its own, by state
            raise InferenceFailedError("the network failed on this input") from error

    def close(self) -> None:
        """Nothing runs by itself."""


def _providers(device: Device, cuda: Cuda) -> list[tuple[str, dict[str, Any]]]:
    """ONNX Runtime's names and options, the preferred one first."""
    if device == "cpu":
        return [("CPUExecutionProvider", {})]
    # TF32 would round what the golden vectors and the calibration were computed with.
    options = {"device_id": cuda.number, "use_tf32": 0, "enable_cuda_graph": int(cuda.graphs)}
    found: list[tuple[str, dict[str, Any]]] = [("CUDAExecutionProvider", options)]
    if cuda.tensorrt:
        cached = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cuda.cache)}
        options = {"device_id": cuda.number, "trt_cuda_graph_enable": cuda.graphs}
        found.insert(0, ("TensorrtExecutionProvider", options | (cached if cuda.cache else {})))
    return found


def _open(model: bytes, device: Device, cuda: Cuda) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    options = ort.SessionOptions()
    # Measured best on CPU: a single-threaded session, called by as many threads as cores.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _providers(device, cuda)
    provider = providers[0][0]
    if provider not in ort.get_available_providers():
        raise StartError(
            f"device {device!r} needs {provider}, and this onnxruntime offers "
            f"{ort.get_available_providers()}: install the gpu environment, or set NORMA_DEVICE=cpu"
        )
    if device == "cuda":
        ort.preload_dlls()  # CUDA and cuDNN from the environment's own wheels, where they are
    try:
        session = ort.InferenceSession(model, options, providers=providers)
    except Exception as error:  # the runtime raises classes of its own, by state
        raise StartError(f"ONNX Runtime refuses the network: {error}") from error
    # ONNX Runtime falls back to the CPU with no more than a log line; we do not.
    if session.get_providers()[0] != provider:
        raise StartError(
            f"device {device!r} was asked for, but ONNX Runtime fell back to "
            f"{session.get_providers()[0]}: check the driver, CUDA 13 and cuDNN 9"
        )
    return session
