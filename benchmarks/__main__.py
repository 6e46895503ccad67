"""`python -m benchmarks NAME …`; speed is what is run where none is given."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

# By name: one benchmark's packages (torch, insightface) must not be needed by another.
COMMANDS: Mapping[str, str] = {
    "speed": "benchmarks.speed.command",
    "limits": "benchmarks.limits",
    "gpu": "benchmarks.gpu",
    "soak": "benchmarks.soak",
    "gallery": "benchmarks.gallery.command",
    "accuracy": "benchmarks.accuracy",
    "obtained": "benchmarks.obtained",
    "losses": "benchmarks.losses.command",
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or ["speed"]
    if name not in COMMANDS:
        sys.exit(f"one of {', '.join(COMMANDS)} is expected, not {name!r}")
    main: Callable[[list[str]], None] = import_module(COMMANDS[name]).main
    main(arguments)
