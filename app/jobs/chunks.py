"""Entries read ahead in bounded pieces, in a thread of their own."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO

from app.errors import ArchiveInvalidError, NormaError
from app.gallery.types import SubjectSpec
from app.jobs.sources.entries import Entry, Features

CHUNK_BYTES = 32 * 1024 * 1024
CHUNK_ITEMS = 512
PHOTO_COST = CHUNK_BYTES // 32
"""What a photo counts at least: a chunk is also what is lost of the work when the power fails."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo's bytes and their SHA-256."""

    data: bytes = field(repr=False)
    source: bytes

    @property
    def cost(self) -> int:
        return max(len(self.data), PHOTO_COST)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An entry in memory: what it holds, or why it cannot be used."""

    n: int
    name: str
    subject: str | None
    spec: SubjectSpec
    content: Photo | Features | NormaError


@dataclass(frozen=True, slots=True)
class Chunk:
    """Items next to each other, those left out that were decided before; `end` is the first place
    behind them."""

    items: tuple[Loaded, ...]
    end: int


def chunks(entries: Iterator[Entry], position: int, decided: set[int]) -> Iterator[Chunk]:
    """From `position` on. Entries before it, and those `decided`, are not loaded."""
    items: list[Loaded] = []
    cost, end = 0, position
    for n, entry in enumerate(entries):
        if n < position:
            continue
        end = n + 1
        if n in decided:
            continue
        items.append(_loaded(n, entry))
        cost += _cost(items[-1])
        if cost >= CHUNK_BYTES:
            yield Chunk(tuple(items), end)
            items, cost = [], 0
    if end > position:
        yield Chunk(tuple(items), end)


def _loaded(n: int, entry: Entry) -> Loaded:
    content: Photo | Features | NormaError
    try:
        data = entry.load()
        content = data if isinstance(data, Features) else Photo(data, hashlib.sha256(data).digest())
    except ArchiveInvalidError:
        raise
    except NormaError as error:
        content = error
    return Loaded(n, entry.name, entry.subject, entry.spec, content)


def _cost(item: Loaded) -> int:
    if isinstance(item.content, Photo):
        return item.content.cost
    return CHUNK_BYTES // CHUNK_ITEMS


async def read_ahead(
    file: IO[bytes], pieces: Callable[[], Iterator[Chunk]]
) -> AsyncGenerator[Chunk, None]:
    """One chunk ahead of the caller, so that reading and working overlap. Closes the file.

    Only the thread touches the file: a caller that is cancelled does not pull it from under a
    read.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="job-source")
    loop = asyncio.get_running_loop()
    try:
        iterator = await loop.run_in_executor(thread, pieces)
        reading = loop.run_in_executor(thread, next, iterator, None)
        while (chunk := await reading) is not None:
            reading = loop.run_in_executor(thread, next, iterator, None)
            yield chunk
    finally:
        thread.submit(file.close)
        thread.shutdown(wait=False)
