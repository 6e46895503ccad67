"""`make audit`: every locked package against the known vulnerabilities, with what is tolerated.

Ends with 0 only where every package was looked up: a service that does not answer is no clean bill.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.contract.sources import ROOT

REQUIREMENTS = ROOT / "requirements"
AUDITED = ("cpu", "gpu", "cpu-import", "gpu-import", "dev")


@dataclass(frozen=True, slots=True)
class Finding:
    """A package, and what is known of it: a vulnerability's id, or why nothing is."""

    package: str
    vulnerability: str | None
    skipped: str | None = None


def tolerated(text: str) -> dict[str, str]:
    """The ids of audit.txt with their reasons. Raises ValueError for an id without one."""
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip():
                raise ValueError(f"{name}: say why it is tolerated")
            found[name] = reason.strip()
    return found


def findings(report: str) -> Iterator[Finding]:
    """What a JSON report of pip-audit says."""
    for one in json.loads(report)["dependencies"]:
        if "skip_reason" in one:
            yield Finding(one["name"], None, one["skip_reason"])
        for known in one.get("vulns", []):
            yield Finding(f"{one['name']} {one['version']}", known["id"])


def audit(name: str) -> list[Finding]:
    """Look up one lock file. Raises OSError where the service does not answer."""
    lock = REQUIREMENTS / f"{name}.txt"
    options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json"]
    ran = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--requirement", str(lock), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if not ran.stdout.startswith("{"):
        raise OSError(ran.stderr.strip().splitlines()[-1])
    return list(findings(ran.stdout))


def main() -> int:
    """Print what is found. Returns 1 for a vulnerability, 2 where not everything was looked up."""
    allowed, worst = tolerated((REQUIREMENTS / "audit.txt").read_text()), 0
    for name in AUDITED:
        try:
            found = audit(name)
        except OSError as error:
            sys.stderr.write(f"{name}: not audited: {error}\n")
            worst = worst or 2
            continue
        bad = [one for one in found if one.vulnerability and one.vulnerability not in allowed]
        skipped = [one for one in found if one.skipped]
        for one in bad:
            sys.stdout.write(f"{name}: {one.package}: {one.vulnerability}\n")
        sys.stdout.write(f"{name}: {len(bad)} vulnerable, {len(skipped)} not looked up\n")
        worst = 1 if bad else worst or (2 if skipped else 0)
    return worst


if __name__ == "__main__":
    sys.exit(main())
