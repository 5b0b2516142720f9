"""One SQLite file and the threads that reach it: group commit, readers, errors in words, migrations.

All writes of a process go through one thread with one connection. It takes whatever has gathered while the last commit
was on its way to the disk and commits it as one transaction: each caller waits for the disk once, all of them share it.
Reads have threads and connections of their own; in WAL mode they never wait for the writer nor it for them.

Safe against power loss: `synchronous=FULL` syncs the log at each commit. apsw brings its own SQLite, because many
Pythons link a release with the WAL-reset bug (3.7.0 to 3.51.2, https://sqlite.org/wal.html).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import queue
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, TypeVar
from urllib.parse import quote

import apsw

from holdfast.errors import HoldfastError, JournalCorrupt, JournalTooNew, JournalUnavailable

BUSY_SECONDS = 10.0
# Writers gather at most so much into one commit, so that none waits long for the sync of the others.
GROUP_MAX = 512
_APPLICATION_ID = 0x486F6C64  # "Hold"

T = TypeVar("T")
_Work = Callable[[apsw.Connection], Any]


class EarlierForm(JournalUnavailable):
    """A store of an earlier release is to be looked at, and not changed."""


class File:
    """An open store. read_only: it is looked at and never written. commits: transactions that were written so far."""

    def __init__(self, path: str, *, busy_seconds: float = BUSY_SECONDS, read_only: bool = False):
        self.path = path
        self.commits = 0
        self._busy_seconds = busy_seconds
        self._read_only = read_only
        self._tidies = False
        self._requests: queue.SimpleQueue[tuple[_Work, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- open and close -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._read_only:
            await self._loop.run_in_executor(None, self._look)
            self._readers = ThreadPoolExecutor(2, thread_name_prefix="holdfast-read")
            return
        connection = await self._loop.run_in_executor(None, self._open_writer)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="holdfast-read")
        self._writer = threading.Thread(target=self._write_loop, args=(connection,), name="holdfast-write", daemon=True)
        self._writer.start()

    async def close(self) -> None:
        writer, self._writer = self._writer, None  # From here on a write is refused; it would wait for ever.
        if writer is not None:
            self._requests.put(None)
            await asyncio.get_running_loop().run_in_executor(None, writer.join)
        if self._readers is not None:
            self._readers.shutdown()
            self._readers = None
        # The writer last: whoever closes last moves the log into the file, and readers may not.
        for connection in reversed(self._connections):
            connection.close()
        self._connections.clear()
        if self._tidies:
            tidy(self.path)

    def _connect(self, flags: int) -> apsw.Connection:
        try:
            connection = apsw.Connection(self.path, flags=flags)
            connection.set_busy_timeout(int(self._busy_seconds * 1000))
        except apsw.Error as error:
            raise translated(error, self.path) from error
        self._connections.append(connection)
        return connection

    def _look(self) -> None:
        """That this is a store of ours, in the form that this release reads; nothing is changed to make it so."""
        self._tidies = not os.path.exists(self.path + "-wal")
        try:
            connection = read_only(self.path, self._busy_seconds)
            self._connections.append(connection)
            form = looked_at(connection, self.path)
        except apsw.Error as error:
            raise translated(error, self.path) from error
        if not form:
            raise EarlierForm(f"{self.path}: it is empty", hint="the first run that begins in it makes it a store")
        if form < migrations()[-1][0]:
            raise EarlierForm(
                f"{self.path}: it has form {form}, of an earlier release",
                hint="`holdfast runs` gives it the form of this one; `holdfast backup` works before that, too",
            )

    def _open_writer(self) -> apsw.Connection:
        connection = self._connect(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        try:
            applied = looked_at(connection, self.path)  # Before anything of the file is changed.
            # Another process may be turning the file to WAL at this very moment; that lock does not wait by itself.
            for tries in range(50):
                try:
                    connection.execute("pragma journal_mode = wal")
                    break
                except apsw.BusyError:
                    if tries == 49:
                        raise
                    time.sleep(0.02)
            connection.execute("pragma synchronous = full")
            connection.execute("pragma foreign_keys = on")
            connection.execute("pragma wal_autocheckpoint = 4000")
            connection.execute("pragma cache_size = -16000")
            if applied < migrations()[-1][0]:
                _migrate(connection, self.path)
        except apsw.Error as error:
            raise translated(error, self.path) from error
        return connection

    # --- writing --------------------------------------------------------------------------------------------------

    async def write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run this in the writer's next transaction; its result once that is on the disk. Work that refuses must raise a
        HoldfastError before it writes anything."""
        if self._read_only:
            raise JournalUnavailable(f"{self.path}: the store was opened to be looked at only")
        if self._loop is None or self._writer is None:
            raise JournalUnavailable("the journal is not open")
        future: asyncio.Future[T] = self._loop.create_future()
        self._requests.put((work, future))
        return await future

    def _write_loop(self, connection: apsw.Connection) -> None:
        assert self._loop is not None
        running = True
        while running:
            group: list[tuple[_Work, asyncio.Future[Any]]] = []
            request = self._requests.get()
            while True:
                if request is None:
                    running = False
                    break
                group.append(request)
                if len(group) >= GROUP_MAX or self._requests.empty():
                    break
                request = self._requests.get()
            if group:
                results = self._commit(connection, [work for work, _ in group])
                try:
                    self._loop.call_soon_threadsafe(_deliver, [future for _, future in group], results)
                except RuntimeError:
                    return  # The loop is closed: nobody waits for an answer any more.

    def _commit(self, connection: apsw.Connection, group: list[_Work]) -> list[Any]:
        """Run a group in one transaction; results or errors in its order. A group that fails as a whole is taken apart,
        so that one bad write does not stop the others."""
        results: list[Any] = []
        try:
            connection.execute("begin immediate")
            for work in group:
                try:
                    results.append(work(connection))
                except HoldfastError as refused:  # Refused before anything of it was written.
                    results.append(refused)
            connection.execute("commit")
            self.commits += 1
            return results
        except Exception as error:  # noqa: BLE001 — whatever it was, nobody of the group may believe in a write.
            if not connection.get_autocommit():
                connection.execute("rollback")
            if len(group) > 1 and not isinstance(error, (apsw.BusyError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError)):
                return [self._commit(connection, [work])[0] for work in group]
            said = translated(error, self.path)
            said.__cause__ = error
            return [said] * len(group)

    # --- reading ---

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run this in a reader's thread, on a connection that cannot write."""
        if self._readers is None:
            raise JournalUnavailable("the journal is not open")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._reading, work)

    def _reading(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return work(self.reader())
        except apsw.Error as error:
            raise translated(error, self.path) from error

    def reader(self) -> apsw.Connection:
        """The connection of this reader's thread."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._reading_connection()
        return connection

    def _reading_connection(self) -> apsw.Connection:
        if not self._read_only:
            return self._connect(apsw.SQLITE_OPEN_READONLY)
        connection = read_only(self.path, self._busy_seconds)
        self._connections.append(connection)
        return connection


def tidy(path: str) -> None:
    """Remove what a connection that could not write had to make beside the file, if nobody else has the store open."""
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        one_row(connection, "select 1 from sqlite_master")
        connection.close()  # Whoever closes last and can write takes it away.
    except apsw.Error:
        """It cannot be written, or is damaged; then it stays."""


def read_only(path: str, busy_seconds: float) -> apsw.Connection:
    """A connection that cannot write. Where the folder cannot be written either and nobody has the store open, what SQLite keeps
    beside the file cannot be made, and the file is read as it lies there. apsw.Error."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(int(busy_seconds * 1000))
    try:
        one_row(connection, "select 1 from sqlite_master")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        connection.close()
        log = path + "-wal"
        if os.path.exists(log) and os.path.getsize(log):
            raise  # What was written last is in there, and cannot be read.
        name = f"file:{quote(os.path.abspath(path))}?immutable=1"
        return apsw.Connection(name, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    return connection


def all_rows(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every row of a query."""
    return list(connection.execute(sql, values))


def one_row(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """The first row of a query, or None."""
    return next(iter(all_rows(connection, sql, values)), None)


def _deliver(futures: list[asyncio.Future[Any]], results: list[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue  # Its caller was cancelled while it waited; the commit stands.
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def translated(error: Exception, path: str) -> HoldfastError:
    """What an error of SQLite means for the operator."""
    if isinstance(error, HoldfastError):
        return error
    for kind, what, hint in (
        (apsw.FullError, "the disk is full", "free space and start again; nothing that was recorded is lost"),
        (apsw.ReadOnlyError, "the store is read-only", "check the file's and the folder's permissions"),
        (apsw.CantOpenError, "the store cannot be opened", "check that the folder exists and can be written"),
        (apsw.BusyError, "the store is locked by another process for too long", "find who holds it; try again"),
        (apsw.NotADBError, "the file is not a store of holdfast", "give another --db"),
        (apsw.CorruptError, "the file is damaged", "restore it from a backup"),
        (apsw.IOError, "reading or writing the file failed", "check the disk; start again when it is well"),
    ):
        if isinstance(error, kind):
            corrupt = kind in (apsw.NotADBError, apsw.CorruptError)
            return (JournalCorrupt if corrupt else JournalUnavailable)(f"{path}: {what} ({error})", hint=hint)
    return JournalUnavailable(f"{path}: {type(error).__name__}: {error}")


# --- migrations ---------------------------------------------------------------------------------------------------


def migrations() -> list[tuple[int, str, str]]:
    """Number, text and checksum of each SQL file, in order."""
    found = []
    for file in sorted(resources.files("holdfast.journal").joinpath("sql").iterdir(), key=lambda file: file.name):
        if match := re.fullmatch(r"(\d{4})_\w+\.sql", file.name):
            text = file.read_text(encoding="utf-8")
            found.append((int(match[1]), text, hashlib.sha256(text.encode()).hexdigest()))
    return found


def _check_ours(connection: apsw.Connection, path: str) -> int:
    """The number of the last migration that was applied; 0 for a file that is empty. JournalCorrupt for a file of something
    else, or one that was made with other SQL; JournalTooNew for one of a later release."""
    steps = migrations()
    mark = connection.pragma("application_id")
    if mark == 0 and one_row(connection, "select count(*) from sqlite_master") == (0,):
        return 0
    if mark != _APPLICATION_ID:
        raise JournalCorrupt(f"{path} is a database of something else", hint="give another --db")
    at = int(str(connection.pragma("user_version")))
    if at > steps[-1][0]:
        raise JournalTooNew(
            f"{path} was written by a later release (form {at}, this one knows {steps[-1][0]})",
            hint="upgrade holdfast",
        )
    applied = dict(all_rows(connection, "select number, checksum from migrations"))
    for number, _, checksum in steps[:at]:
        if applied.get(number) != checksum:
            raise JournalCorrupt(
                f"{path}: its form {number} is not the one that this release knows", hint="read it with the release that made it"
            )
    return at


def looked_at(connection: apsw.Connection, path: str) -> int:
    """The same in one look: another process may be making the store at this very moment."""
    connection.execute("begin")
    try:
        return _check_ours(connection, path)
    finally:
        if not connection.get_autocommit():
            connection.execute("rollback")


def _migrate(connection: apsw.Connection, path: str) -> None:
    connection.execute("begin immediate")
    try:
        at = _check_ours(connection, path)  # Another process may have been faster.
        connection.execute("create table if not exists migrations (number integer primary key, checksum text not null) strict")
        for number, text, checksum in migrations():
            if number > at:
                connection.execute(text)
                connection.execute("insert into migrations values (?, ?)", (number, checksum))
                connection.pragma("user_version", number)
        connection.execute("insert or ignore into secret values (1, ?)", (os.urandom(32),))
        connection.pragma("application_id", _APPLICATION_ID)
        connection.execute("commit")
    except BaseException:
        if not connection.get_autocommit():
            connection.execute("rollback")
        raise
