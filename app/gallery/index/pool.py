"""The threads that scan."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import faiss

from app.gallery.index.segment import Part

T = TypeVar("T")
Numbered = tuple[int, Part]


def _one_openmp_thread() -> None:
    """FAISS with more OpenMP threads than probes is slower than with one (2.3 times, FAISS
    1.15.1), and the setting is per thread, so each scanning thread makes it for itself."""
    faiss.omp_set_num_threads(1)


class ScanPool:
    """Divides the parts of a view among threads, the calling one among them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(
            max(1, threads - 1), thread_name_prefix="gallery-scan", initializer=_one_openmp_thread
        )

    def over(self, parts: Sequence[Part], work: Callable[[Sequence[Numbered]], T]) -> list[T]:
        """`work` on each thread's share of the parts, each with its number in the view."""
        numbered = [(number, part) for number, part in enumerate(parts) if part.rows]
        shares = [numbered[first :: self._threads] for first in range(self._threads)]
        own, *others = [share for share in shares if share] or [[]]
        futures = [self._executor.submit(work, share) for share in others]
        _one_openmp_thread()
        # The caller scans too: handing all of it over costs a small gallery more than the scan.
        return [work(own), *(future.result() for future in futures)]

    def close(self) -> None:
        self._executor.shutdown()
