"""Lock files: every entry pinned and hashed, no address recorded, one of each pair (S06)."""

import re
import tomllib
from functools import cache

import pytest

from tests.contract.sources import ROOT

ENTRY = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>\S+?)(?: ; (?P<marker>.+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")

SERVING = ("cpu", "gpu")
IMPORTING = ("cpu-import", "gpu-import")
BUILDING = "build"
ALL = (*SERVING, *IMPORTING, "dev")
FLAVOURS = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "opencv": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}
TRAINING = {"torch", "onnx", "onnxscript", "safetensors", "tensorboard", "matplotlib"}


def lines(name: str) -> list[str]:
    file = name if "." in name else f"{name}.txt"
    return (ROOT / "requirements" / file).read_text().splitlines()


@cache
def locked(name: str) -> dict[str, frozenset[tuple[str, str]]]:
    """The packages of a lock file, each with its versions and when they apply.

    A lock file serves every Python; some packages need another version for an older one.
    """
    found: dict[str, frozenset[tuple[str, str]]] = {}
    for match in filter(None, map(ENTRY.match, lines(name))):
        versions = found.get(match["name"], frozenset())
        found[match["name"]] = versions | {(match["version"], match["marker"] or "")}
    return found


def versions(name: str, package: str) -> list[tuple[int, ...]]:
    """The numbers of each version of a package, as far as they are numbers."""
    return [
        tuple(int(part) for part in re.findall(r"\d+", version))
        for version, _ in locked(name)[package]
    ]


@pytest.mark.parametrize("name", [*ALL, BUILDING, "weights", "openvino"])
def test_every_entry_is_pinned_and_hashed(name: str) -> None:
    rows = [line for line in lines(name) if line and not line.lstrip().startswith("#")]
    strange = [line for line in rows if not ENTRY.match(line) and not HASH.match(line)]
    assert strange == []
    for number, line in enumerate(rows):
        if ENTRY.match(line) or line.endswith("\\"):
            assert HASH.match(rows[number + 1]), line
    assert len(locked(name)) >= {"weights": 1, "openvino": 1, BUILDING: 5}.get(name, 20)


def test_the_wheel_is_built_by_what_is_locked_for_it() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [line for line in lines("build.in") if not line.startswith("#")]
    assert named == pyproject["build-system"]["requires"]


@pytest.mark.parametrize("name", [*ALL, BUILDING, "weights", "openvino"])
def test_no_address_is_recorded(name: str) -> None:
    text = "\n".join(lines(name))
    assert not re.search(r"://|index-url|find-links|trusted-host|\bfile:|git\+|@ ", text)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("family", FLAVOURS)
def test_one_of_those_that_share_an_import_name(name: str, family: str) -> None:
    assert len(set(FLAVOURS[family]) & locked(name).keys()) == 1


@pytest.mark.parametrize("name", ALL)
def test_the_device_decides_the_flavour(name: str) -> None:
    device = "gpu" if name.startswith("gpu") else "cpu"
    wanted = {"cpu": {"onnxruntime", "faiss-cpu"}, "gpu": {"onnxruntime-gpu", "faiss-gpu"}}
    assert wanted[device] <= locked(name).keys()
    assert "opencv-python-headless" in locked(name)


@pytest.mark.parametrize("name", SERVING)
def test_a_service_holds_nothing_of_training(name: str) -> None:
    """S04: neither torch nor onnx."""
    assert TRAINING & locked(name).keys() == set()


@pytest.mark.parametrize("name", IMPORTING)
def test_importing_adds_onnx_alone(name: str) -> None:
    more = locked(name).keys() - locked(name.removesuffix("-import")).keys()
    assert "onnx" in more
    assert more <= {"onnx", "protobuf", "ml-dtypes", "typing-extensions"}


@pytest.mark.parametrize("name", ALL)
def test_torch_is_in_no_lock_file(name: str) -> None:
    """Its build differs by platform; the Makefile adds it by name."""
    assert "torch" not in locked(name)


def test_the_environments_agree_on_what_they_share() -> None:
    found: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for name in ALL:
        for package, entries in locked(name).items():
            numbers = frozenset((version, _python(marker)) for version, marker in entries)
            found.setdefault(package, set()).add(numbers)
    assert {package: ways for package, ways in found.items() if len(ways) > 1} == {}


def _python(marker: str) -> str:
    """The part of a marker that tells Pythons apart; the rest differs with who asks for it."""
    return " ".join(re.findall(r"python_\w+ [<>=]+ '[\d.]+'", marker))


@pytest.mark.parametrize("name", ALL)
def test_versions_with_known_faults_are_locked_out(name: str) -> None:
    """§4.4: OpenCV 4.10 fills a truncated JPEG with the image decoded before it."""
    assert min(versions(name, "opencv-python-headless")) >= (4, 12)
    assert min(versions(name, "pillow")) >= (12, 3)
