"""The public images that ours build on and run beside; stand-ins of Debian's packages where no
registry answers.

A stand-in knows this machine's certificates and package index, so that pip works in a build as it
does outside. Neither is written down anywhere else.
"""

import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.docker.engine import Engine

PYTHON = "python:3.11-slim-bookworm"
STAND_IN = "norma-test/python:bookworm"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
UNWANTED = ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/man")
"""What slim images leave out too."""


def python(engine: Engine) -> str:
    """An image with Python 3.11 on Debian; skips where none can be had."""
    if obtained(engine, PYTHON):
        return PYTHON
    if not engine.has(STAND_IN):
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            pytest.skip(f"{PYTHON} cannot be pulled, and making a stand-in needs debootstrap, root")
        _bootstrap(engine)
    return STAND_IN


def other(engine: Engine, image: str, package: str, more: str = "") -> str:
    """`image`, or a stand-in with Debian's `package`; `more` are lines of its Dockerfile."""
    if obtained(engine, image):
        return image
    stand_in = f"norma-test/{package}:bookworm"
    install = f"apt-get update && apt-get install -y --no-install-recommends {package}"
    lines = f"FROM {python(engine)}\nRUN {install}\n{more}"
    engine.docker("build", "-q", "-t", stand_in, "-", stdin=lines.encode())
    return stand_in


def obtained(engine: Engine, image: str) -> bool:
    """Whether the image is here, or now is."""
    return engine.has(image) or engine.tries("pull", "-q", image)


def _bootstrap(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        include = "--include=ca-certificates,python3,python3-venv"
        subprocess.run(
            ["debootstrap", "--variant=minbase", include, "bookworm", str(root)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        _introduce(root)
        for name in UNWANTED:
            shutil.rmtree(root / name)
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        (root / "var/lib/apt/lists/partial").mkdir(parents=True)
        archive = Path(scratch) / "root.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
        engine.docker("import", str(archive), STAND_IN)


def _introduce(root: Path) -> None:
    """This machine's certificates and package index, for whoever builds in there."""
    known = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    if known:
        shutil.copyfile(known, root / BUNDLE)
    lines = ["[global]", f"cert = /{BUNDLE}"]
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if index := os.environ.get("PIP_INDEX_URL", index):
        lines.append(f"index-url = {index}")
    (root / "etc/pip.conf").write_text("\n".join(lines) + "\n")
