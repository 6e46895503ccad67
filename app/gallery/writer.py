"""Group commit: one thread writes, many requests share one fsync.

A request's operation runs in a savepoint of the batch's transaction, so a refused operation
leaves its neighbours alone; nobody is answered before the COMMIT and before the index knows.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from app.errors import NotReadyError, StorageFullError, StoreError
from app.gallery.checkpoints import Checkpoints
from app.gallery.database import Connection, store_error
from app.gallery.failpoints import Failpoints
from app.gallery.index.projection import Projection

MAX_BATCH = 256
CHECKPOINT_BYTES = 32 * 1024 * 1024
"""Length of the write-ahead log at which it is emptied."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Space:
    """Where a gallery's features live from now on: their contract, and their dimension."""

    contract_id: str
    dim: int
    index: Projection | None = None
    """What is in it already, of a gallery that comes from elsewhere."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one operation did to a gallery's faces: what the index has to follow.

    `features` are the stored bytes (N, D) in the store's feature type.
    """

    gallery_id: int
    revision: int
    face_ids: NDArray[np.int64]
    subject_ids: NDArray[np.int64]
    features: NDArray[Any] | None
    """None where the faces were removed."""
    opens: Space | None = None
    """Of a gallery whose index begins, or begins anew, with this change."""


@dataclass(slots=True)
class Transaction:
    """What an operation gets: the connection, and where to report changes of faces."""

    connection: Connection
    changes: list[Change] = field(default_factory=list)


@dataclass(slots=True)
class _Task:
    operation: Callable[[Transaction], Any]
    future: "Future[Any]" = field(default_factory=Future)
    erases: bool = False
    exclusive: bool = False


class Writer:
    """The only thread that touches the writing connection, once started."""

    def __init__(
        self,
        connection: Connection,
        apply: Callable[[Sequence[Change]], None],
        failpoints: Failpoints,
        make_room: Callable[[], bool],
        checkpoints: Checkpoints,
    ) -> None:
        """`apply` follows committed changes and never raises; `make_room` frees reserved disk
        space for an erasure and says whether there was any."""
        self._checkpoints = checkpoints
        self._checkpoint_at = CHECKPOINT_BYTES
        self._connection = connection
        self._apply = apply
        self._failpoints = failpoints
        self._make_room = make_room
        self._queue: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self.failure: StoreError | None = None
        """Why the store is read-only; None while it is sound."""
        self._thread = threading.Thread(target=self._run, name="gallery-writer", daemon=True)
        self._thread.start()

    def write(self, operation: Callable[[Transaction], T], *, erases: bool = False) -> T:
        """Runs it, returns once it is durable and searchable. Raises what it raised.

        An operation that `erases` may use the reserved disk space.
        """
        return cast(T, self._wait(_Task(operation, erases=erases)))

    def alone(self, operation: Callable[[Transaction], T]) -> T:
        """Runs it between batches, outside of any transaction (checkpoints)."""
        return cast(T, self._wait(_Task(operation, exclusive=True)))

    def _wait(self, task: _Task) -> Any:  # noqa: ANN401 - whatever the operation returns
        if self.failure is not None:
            raise self.failure
        with self._closing:
            if self._closed:
                raise NotReadyError("the gallery is closing")
            self._queue.put(task)
        return task.future.result()

    def checkpoint(self) -> bool:
        """Empties the write-ahead log; see Checkpoints.run."""
        return self.alone(lambda _: self._checkpoints.run())

    def close(self) -> None:
        """Finishes what waits, then ends the thread."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        carried: _Task | None = None
        while True:
            first = carried or self._queue.get()
            carried = None
            if first is None:
                return
            if first.exclusive:
                self._run_alone(first)
                continue
            batch, carried, closing = self._gather(first)
            self._commit(batch)
            if closing:
                return

    def _gather(self, first: _Task) -> tuple[list[_Task], _Task | None, bool]:
        """The waiting tasks, the exclusive one that ended the batch, whether to stop after it."""
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                task = self._queue.get_nowait()
            except queue.Empty:
                break
            if task is None:
                return batch, None, True
            if task.exclusive:
                return batch, task, False
            batch.append(task)
        return batch, None, False

    def _run_alone(self, task: _Task) -> None:
        try:
            task.future.set_result(task.operation(Transaction(self._connection)))
        except (sqlite3.Error, OSError) as error:
            task.future.set_exception(self._failed(error))
        except Exception as error:
            task.future.set_exception(error)

    def _commit(self, batch: list[_Task]) -> None:
        if self.failure is not None:
            for task in batch:
                task.future.set_exception(self.failure)
            return
        try:
            outcomes, changes = self._transact(batch)
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            self._refuse(batch, self._failed(error))
            return
        self._failpoints.point("after_commit")
        self._apply(changes)
        self._failpoints.point("after_apply")
        self._settle(batch, outcomes)
        self._checkpoint_if_long()

    def _settle(self, batch: list[_Task], outcomes: list[object]) -> None:
        for task, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                task.future.set_exception(outcome)
            else:
                task.future.set_result(outcome)

    def _checkpoint_if_long(self) -> None:
        if self._checkpoints.wal_bytes < self._checkpoint_at:
            return
        try:
            emptied = self._checkpoints.run()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return
        # Where a backup holds it up, it is tried again when the log has grown by as much.
        self._checkpoint_at = CHECKPOINT_BYTES if emptied else 2 * self._checkpoint_at

    def _transact(self, batch: list[_Task]) -> tuple[list[object], list[Change]]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        transaction = Transaction(self._connection)
        outcomes = [self._one(task, transaction) for task in batch]
        self._failpoints.point("before_commit")
        execute("COMMIT")
        return outcomes, transaction.changes

    def _one(self, task: _Task, transaction: Transaction) -> object:
        execute = self._connection.execute
        mark = len(transaction.changes)
        execute("SAVEPOINT one")
        try:
            outcome: object = task.operation(transaction)
        except (sqlite3.Error, OSError):
            raise
        except Exception as error:
            execute("ROLLBACK TO one")
            del transaction.changes[mark:]
            outcome = error
        execute("RELEASE one")
        return outcome

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                self._failed(error)

    def _refuse(self, batch: list[_Task], error: StoreError) -> None:
        """Fails the batch; erasures among it get one more try with the reserved space."""
        erasures = [task for task in batch if task.erases]
        again = isinstance(error, StorageFullError) and erasures and self._make_room()
        for task in batch:
            if not (again and task.erases):
                task.future.set_exception(error)
        if again:
            self._commit(erasures)

    def _failed(self, error: sqlite3.Error | OSError) -> StoreError:
        """After a failed fsync the page cache may lie, so nothing is retried: read-only."""
        meaning = store_error(error)
        if not isinstance(meaning, StorageFullError):
            self.failure = meaning
        return meaning
