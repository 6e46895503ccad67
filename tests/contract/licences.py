"""`make licences`: what every package that the service runs with says of its licence."""

import importlib.metadata
import re
import sys

from tests.contract.test_locks import locked

LOCKS = ("cpu", "cpu-import", "gpu", "gpu-import")
ELSEWHERE = {
    "colorama": "BSD-3-Clause",
    "faiss-gpu": "MIT",
    "onnxruntime-gpu": "MIT",
}
"""Packages of other platforms, which are not installed where the tests run."""
NVIDIA = "LicenseRef-NVIDIA-Proprietary"
"""CUDA and cuDNN: only with DEVICE=gpu, redistributable under NVIDIA's terms."""

ALLOWED = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0",
        "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
    }
)  # fmt: skip
"""Permissive, or (MPL-2.0: certifi, orjson) copyleft for changes of their own files alone."""
_NAMES = {
    "MIT License": "MIT",
    "Apache 2.0": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
}


def licence(package: str) -> str:
    """An SPDX expression. Raises PackageNotFoundError, KeyError where nothing is said."""
    if package.startswith("nvidia-"):
        return NVIDIA
    if package in ELSEWHERE:
        return ELSEWHERE[package]
    said = importlib.metadata.metadata(package)
    if expression := said.get("License-Expression"):
        return str(expression)
    named = str(said.get("License") or "").strip()
    if not named:
        [named] = [
            one.split(" :: ")[-1]
            for one in said.get_all("Classifier") or []
            if one.startswith("License :: OSI Approved ::")
        ]
    return _NAMES.get(named, named)


def terms(expression: str) -> set[str]:
    """The licences that an expression names."""
    return set(re.findall(r"[A-Za-z0-9.-]+", expression)) - {"AND", "OR", "WITH"}


def packages() -> list[str]:
    """All that a served environment may hold."""
    return sorted({package for name in LOCKS for package in locked(name)})


def main() -> None:
    """Print the table."""
    for package in packages():
        sys.stdout.write(f"{package:<42}{licence(package)}\n")


if __name__ == "__main__":
    main()
