"""The door of the gallery's room: how many may ask at once, and what callers who leave take."""

import asyncio
import errno
import threading
from pathlib import Path

import pytest

from app.errors import BusyError, StartError, StorageFailedError
from app.gallery.database import store_error
from app.gallery.room import GalleryRoom
from app.gallery.service import GalleryService
from tests.unit.app.gallery.conftest import Open


def room(open_gallery: Open, threads: int = 1, queue: int = 0) -> GalleryRoom:
    return GalleryRoom(open_gallery, threads, queue)


def test_a_place_is_taken_until_the_answer_is_there_whether_or_not_it_is_awaited(
    open_gallery: Open, tmp_path: Path
) -> None:
    doors = room(open_gallery)
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: GalleryService) -> str:
        begun.set()
        go_on.wait(10)
        return "done"

    async def scenario() -> None:
        asking = asyncio.create_task(doors.run(slow))
        await asyncio.to_thread(begun.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(BusyError):  # its thread is still at it
            await doors.run(lambda _: "another")
        go_on.set()
        await asyncio.to_thread(doors.close)  # ends when the thread has
        assert doors.load().running == 0

    asyncio.run(scenario())


def test_a_failed_question_gives_its_place_back(open_gallery: Open) -> None:
    doors = room(open_gallery)

    def failing(_: GalleryService) -> None:
        raise ValueError("no")

    async def scenario() -> None:
        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                await doors.run(failing)

    asyncio.run(scenario())
    doors.close()


def test_a_storage_that_cannot_be_opened_tells_callers_no_paths() -> None:
    def opening() -> GalleryService:
        raise StartError("/srv/private/gallery: not a directory")

    doors = GalleryRoom(opening, 1, 0)
    with pytest.raises(StorageFailedError) as refused:
        asyncio.run(doors.run(lambda _: None))
    assert "private" not in refused.value.message
    assert "private" in str(refused.value.__cause__)
    doors.close()


def test_a_file_that_fails_is_not_named() -> None:
    error = store_error(PermissionError(errno.EACCES, "Permission denied", "/srv/private/gallery"))
    assert "private" not in error.message
    assert "Permission denied" in error.message
