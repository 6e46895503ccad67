"""What the service's process must not leave behind."""

import resource


def forbid_core_dumps() -> None:
    """A crash writes no image of a memory full of features and keys."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
