"""Named points at which a test can kill the process or fail an operation.

`NORMA_FAILPOINTS=after_commit:kill:3,before_commit:eio` acts the third time `after_commit` is
passed, and every time `before_commit` is. Unset, which is always so outside of tests, a point
costs one comparison.
"""

import errno
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Failpoints:
    """The points armed in one process."""

    armed: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Point → action (kill, eio, enospc), and how many more passes until it acts (0: always)."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Failpoints":
        armed: dict[str, tuple[str, int]] = {}
        for item in filter(None, environment.get("NORMA_FAILPOINTS", "").split(",")):
            name, action, *passes = item.split(":")
            armed[name] = (action, int(passes[0]) if passes else 0)
        return cls(armed)

    def point(self, name: str) -> None:
        """Raises OSError, or ends the process, where the point is armed and due."""
        if not self.armed or name not in self.armed:
            return
        action, passes = self.armed[name]
        if passes > 1:
            self.armed[name] = (action, passes - 1)
            return
        if passes == 1:
            del self.armed[name]
        _act(action)


def _act(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = {"eio": errno.EIO, "enospc": errno.ENOSPC}[action]
    raise OSError(code, os.strerror(code))
