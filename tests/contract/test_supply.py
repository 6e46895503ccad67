"""S06, S09: licences, bill of materials and audit of what is locked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract import audit, licences
from tests.contract.sources import ROOT
from tests.contract.test_locks import locked


@pytest.mark.parametrize("package", licences.packages())
def test_s09_no_licence_binds_whoever_serves(package: str) -> None:
    found = licences.licence(package)
    strange = licences.terms(found) - licences.ALLOWED
    assert strange <= ({licences.NVIDIA} if package.startswith("nvidia-") else set()), found


def test_s09_nothing_proprietary_is_served_on_a_cpu() -> None:
    assert [one for one in locked("cpu") if licences.licence(one) == licences.NVIDIA] == []


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("MIT", {"MIT"}),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", {"MPL-2.0", "Apache-2.0", "MIT"}),
        ("GPL-3.0-only WITH GCC-exception-3.1", {"GPL-3.0-only", "GCC-exception-3.1"}),
    ],
)
def test_expressions_are_taken_apart(expression: str, names: set[str]) -> None:
    assert licences.terms(expression) == names


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_s06_the_bill_of_materials_is_the_lock(name: str, tmp_path: Path) -> None:
    made = tmp_path / "sbom.json"
    command = "from cyclonedx_py._internal.cli import run; raise SystemExit(run())"
    options = ["--of", "JSON", "--output-reproducible", "-o", str(made)]
    lock = str(ROOT / "requirements" / f"{name}.txt")
    subprocess.run([sys.executable, "-c", command, "requirements", lock, *options], check=True)
    bill = json.loads(made.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    assert listed == {(n, version) for n, found in locked(name).items() for version, _ in found}
    for one in bill["components"]:
        assert one["purl"].startswith(f"pkg:pypi/{one['name']}@"), one["name"]
        assert one["externalReferences"][0]["hashes"], one["name"]


REPORT = json.dumps(
    {
        "dependencies": [
            {"name": "sound", "version": "1", "vulns": []},
            {"name": "broken", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]},
            {"name": "unseen", "skip_reason": "not found"},
        ]
    }
)


def test_s06_an_audit_tells_what_is_vulnerable_from_what_it_could_not_see() -> None:
    found = list(audit.findings(REPORT))
    assert [(one.package, one.vulnerability) for one in found if one.vulnerability] == [
        ("broken 2", "CVE-1"),
        ("broken 2", "CVE-2"),
    ]
    assert [one.package for one in found if one.skipped] == ["unseen"]


def test_s06_every_tolerated_vulnerability_has_its_reason() -> None:
    audit.tolerated((ROOT / "requirements" / "audit.txt").read_text())
    assert audit.tolerated("# x\nCVE-1 never called\n") == {"CVE-1": "never called"}
    with pytest.raises(ValueError, match="CVE-2"):
        audit.tolerated("CVE-2\n")
