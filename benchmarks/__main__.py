"""`python -m benchmarks [verify | accuracy …]`."""

import sys

from benchmarks import accuracy, verify

COMMANDS = {"verify": verify.main, "accuracy": accuracy.main}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or ["verify"]
    if name not in COMMANDS:
        sys.exit(f"one of {', '.join(COMMANDS)} is expected, not {name!r}")
    COMMANDS[name](arguments)
