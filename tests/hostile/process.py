"""What the system says about the process behind a port: its peak memory, its open files."""

from pathlib import Path

_LISTEN = "0A"


def pid_of(port: int) -> int:
    """The process that listens on this port of the loopback interface."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] == _LISTEN and int(row[1].split(":")[1], 16) == port
    }
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue
    raise AssertionError(f"nobody listens on port {port}")


def peak_rss(pid: int) -> int:
    """Bytes of memory that were resident at once, at the most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def threads_and_files(pid: int) -> tuple[int, int]:
    """How many threads and open files the process has now."""
    return tuple(len(list(Path(f"/proc/{pid}/{kind}").iterdir())) for kind in ("task", "fd"))  # type: ignore[return-value]
