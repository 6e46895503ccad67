"""`python -m benchmarks [verify | accuracy | obtained …]`."""

import sys

from benchmarks import accuracy, obtained, verify

COMMANDS = {"verify": verify.main, "accuracy": accuracy.main, "obtained": obtained.main}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or ["verify"]
    if name not in COMMANDS:
        sys.exit(f"one of {', '.join(COMMANDS)} is expected, not {name!r}")
    COMMANDS[name](arguments)
