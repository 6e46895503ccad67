"""CUDA's image, as far as it can be tried without a GPU: built, with only the driver missing."""

import shutil
from pathlib import Path

import pytest

from tests.docker.deployment import Deployment
from tests.docker.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]

IMAGE = "norma-test/service:gpu"
ROOM = 25 * 1000**3
"""Bytes of disk for a build of five gigabytes, its stages and its downloads."""
LOADS = """
import ctypes, faiss, onnxruntime
from pathlib import Path
assert "CUDAExecutionProvider" in onnxruntime.get_available_providers()
onnxruntime.preload_dlls()
provider = Path(onnxruntime.__file__).parent / "capi/libonnxruntime_providers_cuda.so"
try:
    ctypes.CDLL(str(provider))
except OSError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def gpu_image(engine: Engine, python: str, home: Path) -> str:
    """Built as compose builds it."""
    if shutil.disk_usage(home).free < ROOM:
        pytest.skip("needs 25 GB of disk")
    files = ("compose.yaml", "compose.gpu.yaml")
    env = {"NORMA_IMAGE": IMAGE, "PYTHON_IMAGE": python}
    Deployment(engine, "norma-test-gpu", home, files, env).compose("build", "norma")
    return IMAGE


def test_only_the_drivers_library_is_missing(engine: Engine, gpu_image: str) -> None:
    """CUDA and cuDNN come from the lock file; libcuda.so.1 is the driver's, from the host."""
    run = ("run", "--rm", "--network", "none", "--entrypoint", "python", gpu_image)
    missing = engine.docker(*run, "-c", LOADS).strip()
    assert missing.startswith("libcuda.so.1:")


def test_without_a_gpu_it_says_so_and_does_not_start(engine: Engine, gpu_image: str) -> None:
    alone = ("run", "--rm", "--network", "none", "-e", "NORMA_HOST=127.0.0.1")
    said = engine.docker(
        *alone, "--entrypoint", "sh", gpu_image, "-c", "norma serve 2>&1; echo status $?"
    )
    assert "device 'cuda' was asked for" in said
    assert said.endswith("status 1\n")


def test_it_holds_nothing_of_training(engine: Engine, gpu_image: str) -> None:
    run = ("run", "--rm", "--network", "none", "--entrypoint", "python", gpu_image, "-c")
    code = (
        "import importlib.util as u; print([n for n in ('torch','onnx','pip') if u.find_spec(n)])"
    )
    assert engine.docker(*run, code) == "[]\n"
