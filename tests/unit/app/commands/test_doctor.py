"""`norma doctor`: every problem comes with its fix, and with status 1."""

import json
from pathlib import Path

import pytest

from export.manifest import CALIBRATION, MANIFEST, MODEL
from export.package import sha256
from tests.unit.app.commands.conftest import Ran, Run


def problems(ran: Ran) -> dict[str, str]:
    """The fix of each finding that has one."""
    lines = ran.out.splitlines()
    return {
        line.split()[1]: lines[number + 1].strip()
        for number, line in enumerate(lines)
        if line.startswith("✗")
    }


@pytest.mark.usefixtures("defaults")
def test_a_sound_installation_has_nothing_to_fix(run: Run) -> None:
    ran = run("doctor")
    assert ran.status == 0, ran.out
    assert problems(ran) == {}
    for fact in (
        "norma ",
        "python ",
        "onnxruntime",
        "faiss",
        "opencv",
        "CPUExecutionProvider",
        "yunet-2023mar reproduces its golden vectors on CPUExecutionProvider",
        "sface-2021dec reproduces its golden vectors on CPUExecutionProvider",
    ):
        assert fact in ran.out


def test_a_missing_data_directory_says_how_to_fill_it(run: Run, data: Path) -> None:
    ran = run("doctor")
    assert ran.status == 1
    assert "norma models defaults" in problems(ran)["data"]
    assert "there is no package 'yunet-2023mar'" in problems(ran)["detector"]
    assert "there is no package 'sface-2021dec'" in problems(ran)["recogniser"]


def test_a_damaged_package_is_named_with_its_fix(run: Run, copies: Path) -> None:
    model = copies / "sface-2021dec" / MODEL
    data = bytearray(model.read_bytes())
    data[1000] ^= 1
    model.write_bytes(data)
    ran = run("doctor")
    assert ran.status == 1
    assert problems(ran).keys() == {"package", "recogniser"}
    assert f"{model}: sha256: manifest says" in problems(ran)["package"]
    assert "remove it and import it anew" in problems(ran)["package"]


def test_a_table_that_nobody_can_read_is_found(run: Run, copies: Path) -> None:
    path = copies / "sface-2021dec"
    (path / CALIBRATION).write_bytes(b'{"points": []}')
    manifest = json.loads((path / MANIFEST).read_text())
    text = (path / CALIBRATION).read_bytes()
    manifest["files"][CALIBRATION] = {"sha256": sha256(text), "size": len(text)}
    (path / MANIFEST).write_text(json.dumps(manifest))
    ran = run("doctor")
    assert ran.status == 1
    assert f"{path / CALIBRATION}: " in problems(ran)["package"]


@pytest.mark.usefixtures("defaults")
def test_cuda_that_is_not_there_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this runtime offers CUDA")
    monkeypatch.setenv("NORMA_DEVICE", "cuda")
    ran = run("doctor")
    assert ran.status == 1
    assert "make serve DEVICE=gpu" in problems(ran)["providers"]


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize(
    ("surplus", "what"),
    [
        ("onnxruntime-gpu", "onnxruntime"),
        ("faiss-gpu", "faiss"),
        ("opencv-python", "opencv"),
        ("opencv-contrib-python", "opencv"),
    ],
)
def test_two_packages_of_one_import_name_are_found(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, surplus: str, what: str
) -> None:
    """The environment as another tool left it, with a second distribution beside ours."""
    record = tmp_path / "site" / f"{surplus.replace('-', '_')}-9.9.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {surplus}\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(record.parent))
    ran = run("doctor")
    assert ran.status == 1
    assert f"{surplus} 9.9" in ran.out
    assert "keep exactly one of" in problems(ran)[what]
    assert surplus in problems(ran)[what]


def test_a_wrong_setting_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMA_TRUSTED_PROXIES", "10.0.0.1, 0.0.0.0/0")
    assert "NORMA_TRUSTED_PROXIES must not be every address" in run("doctor").failed()


def test_a_service_that_would_let_everyone_in_does_not_start(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORMA_HOST", "0.0.0.0")  # noqa: S104
    assert "bind 127.0.0.1, or set NORMA_INSECURE=1" in problems(run("doctor"))["callers"]
    assert "`norma keys create`" in run("serve").failed()
