"""B58: the description is the truth: schemathesis, all checks and phases, on a real service."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.served import running

CONFIG = Path(__file__).with_name("schemathesis.toml")
RUN = "from schemathesis.cli import schemathesis; schemathesis()"


def made_key(data_dir: Path) -> str:
    """A key for everything, as an operator makes it."""
    norma = [sys.executable, "-c", "from app.cli import main; main()"]
    ran = subprocess.run(
        [*norma, "keys", "create", "schema", "--scopes", "all", "--rate", "100000"],
        env=os.environ | {"NORMA_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()[0]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_b58_the_service_is_what_its_description_says(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "packages").symlink_to(data_dir / "packages")
    key = made_key(tmp_path)
    with running(data_dir=str(tmp_path), body_timeout="5", docs="1") as url:
        options = [
            "--header",
            f"Authorization: Bearer {key}",
            "--max-examples",
            "5",
            "--generation-deterministic",
        ]
        command = [sys.executable, "-c", RUN, "--config-file", str(CONFIG), "run"]
        ran = subprocess.run(
            [*command, f"{url}/openapi.json", *options, "--request-timeout", "10", "--no-color"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", ran.stdout)
    assert tested is not None
    assert int(tested[1]) > 25
