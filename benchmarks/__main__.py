<<<<<<< HEAD
"""`python -m benchmarks [verify | accuracy | obtained …]`."""
=======
"""`python -m benchmarks [verify | accuracy | losses …]`."""
>>>>>>> study

import sys

from benchmarks import accuracy, obtained, verify

<<<<<<< HEAD
COMMANDS = {"verify": verify.main, "accuracy": accuracy.main, "obtained": obtained.main}
=======

def losses(arguments: list[str]) -> None:
    """Imported when asked for: it needs torch, which the service's benchmarks do not."""
    from benchmarks.losses.command import main

    main(arguments)


COMMANDS = {"verify": verify.main, "accuracy": accuracy.main, "losses": losses}
>>>>>>> study

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or ["verify"]
    if name not in COMMANDS:
        sys.exit(f"one of {', '.join(COMMANDS)} is expected, not {name!r}")
    COMMANDS[name](arguments)
