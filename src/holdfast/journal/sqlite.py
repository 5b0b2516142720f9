"""The embedded journal: one SQLite file, any number of processes on one machine.

All writes of a process go through one thread with one connection. It takes whatever has gathered while the last commit
was on its way to the disk and commits it as one transaction: each caller waits for the disk once, all of them share it.
Reads have threads and connections of their own; in WAL mode they never wait for the writer nor it for them.

Safe against power loss: `synchronous=FULL` syncs the log at each commit. apsw brings its own SQLite, because many
Pythons link a release with the WAL-reset bug (3.7.0 to 3.51.2, https://sqlite.org/wal.html).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

import apsw
import msgspec

from holdfast.core.events import AnyEvent, Entry
from holdfast.errors import (
    AnswerRefused,
    HoldfastError,
    JournalCorrupt,
    JournalError,
    JournalTooNew,
    JournalUnavailable,
    RunNotFound,
    Superseded,
)
from holdfast.journal import codec
from holdfast.journal.base import (
    EMPTY,
    Batch,
    Checkpoint,
    Claim,
    Full,
    Head,
    History,
    Message,
    NewRun,
    Release,
    RunRow,
    Worker,
    rank,
)

BUSY_SECONDS = 10.0
# Writers gather at most so much into one commit, so that none waits long for the sync of the others.
GROUP_MAX = 512
_APPLICATION_ID = 0x486F6C64  # "Hold"

T = TypeVar("T")
_Work = Callable[[apsw.Connection], Any]
_ROW = (
    "run_id, agent, goal_digest, tenant, priority, labels, status, waits_for, due_at, version, fence, worker, lease_until, "
    "created_at, changed_at"
)


class SqliteJournal:
    """See `Journal`. path: of the file; it is created, with its folder's `-wal` and `-shm` files, where it is missing."""

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float = BUSY_SECONDS):
        self.path = os.fspath(path)
        self._busy_seconds = busy_seconds
        self._requests: queue.SimpleQueue[tuple[_Work, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers: dict[str, int] = {}
        self._stored: set[str] = set()
        self._contents = lru_cache(maxsize=1024)(self._content)

    # --- open and close -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        connection = await self._loop.run_in_executor(None, self._open_writer)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="holdfast-read")
        self._writer = threading.Thread(target=self._write_loop, args=(connection,), name="holdfast-write", daemon=True)
        self._writer.start()

    async def close(self) -> None:
        if self._writer is not None:
            self._requests.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._writer.join)
            self._writer = None
        if self._readers is not None:
            self._readers.shutdown()
            self._readers = None
        # The writer last: whoever closes last moves the log into the file, and readers may not.
        for connection in reversed(self._connections):
            connection.close()
        self._connections.clear()

    def _connect(self, flags: int) -> apsw.Connection:
        try:
            connection = apsw.Connection(self.path, flags=flags)
            connection.set_busy_timeout(int(self._busy_seconds * 1000))
        except apsw.Error as error:
            raise _translated(error, self.path) from error
        self._connections.append(connection)
        return connection

    def _open_writer(self) -> apsw.Connection:
        connection = self._connect(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        try:
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
            _migrate(connection, self.path)
        except apsw.Error as error:
            raise _translated(error, self.path) from error
        return connection

    # --- writing --------------------------------------------------------------------------------------------------

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
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
            return results
        except Exception as error:  # noqa: BLE001 — whatever it was, nobody of the group may believe in a write.
            if not connection.get_autocommit():
                connection.execute("rollback")
            if len(group) > 1 and not isinstance(error, (apsw.BusyError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError)):
                return [self._commit(connection, [work])[0] for work in group]
            translated = _translated(error, self.path)
            translated.__cause__ = error
            return [translated] * len(group)

    async def create(
        self, run: NewRun, events: tuple[AnyEvent, ...], at: float, *, worker: str = "", lease_seconds: float = 0.0
    ) -> Claim | None:
        body, blobs = codec.encode(events)
        fence = 1
        head = codec.link(b"", run.run_id, 1, fence, at, body)
        until = at + lease_seconds if worker else 0.0

        def work(connection: apsw.Connection) -> Claim | None:
            connection.execute(
                "insert or ignore into runs (run_id, agent, goal_digest, tenant, priority, labels, status, due_at, rank, version,"
                " head, fence, worker, lease_until, created_at, changed_at) values (?,?,?,?,?,?,'running',?,?,?,?,?,?,?,?,?)",
                (
                    run.run_id,
                    run.agent,
                    run.goal_digest,
                    run.tenant,
                    run.priority,
                    json.dumps(run.labels, sort_keys=True),
                    at,
                    rank(at, run.priority),
                    len(events),
                    head,
                    fence,
                    worker,
                    until,
                    at,
                    at,
                ),
            )
            if not connection.changes():
                return None
            number = connection.last_insert_rowid()
            self._store(connection, blobs)
            connection.execute("insert into batches values (?,?,?,?,?,?,?)", (number, 1, len(events), fence, at, body, head))
            return Claim(run_id=run.run_id, agent=run.agent, fence=fence, worker=worker, until=until)

        return await self._write(work)

    async def append(self, batch: Batch) -> Head | Full:
        if not batch.events and not batch.release and not batch.taken:
            return batch.head
        first, head = batch.head.version + 1, batch.head
        body, blobs = codec.encode(batch.events) if batch.events else (b"", {})
        if batch.events:
            link = codec.link(batch.head.link, batch.run_id, first, batch.fence, batch.at, body)
            head = Head(batch.head.version + len(batch.events), link)

        def work(connection: apsw.Connection) -> Head | Full:
            number = self._number(connection, batch.run_id)
            if batch.slots:
                full = _full_slots(connection, batch, number)
                if full:
                    return Full(full)
            connection.execute(
                "update runs set version = ?, head = ? where id = ? and fence = ? and version = ?",
                (head.version, head.link, number, batch.fence, batch.head.version),
            )
            if not connection.changes():
                raise Superseded("another worker has written to it since", run_id=batch.run_id)
            if batch.events:
                connection.execute(
                    "insert into batches values (?,?,?,?,?,?,?)",
                    (number, first, len(batch.events), batch.fence, batch.at, body, head.link),
                )
                if blobs:
                    self._store(connection, blobs)
            if batch.taken or batch.slots or batch.freed or batch.release:
                _follow_up(connection, batch, number)
            return head

        return await self._write(work)

    def _store(self, connection: apsw.Connection, blobs: dict[str, bytes]) -> None:
        for digest, content in blobs.items():
            # What this process has stored and committed before need not be looked up again.
            if digest not in self._stored:
                connection.execute("insert or ignore into contents values (?, ?)", (digest, content))

    def _number(self, connection: apsw.Connection, run_id: str) -> int:
        number = self._numbers.get(run_id)
        if number is None:
            number = _number_of(connection, run_id)
            if len(self._numbers) > 10_000:
                self._numbers.clear()
            self._numbers[run_id] = number
        return number

    # --- claims ---------------------------------------------------------------------------------------------------

    async def claim_due(self, worker: str, agents: Iterable[str], now: float, lease_seconds: float, limit: int) -> list[Claim]:
        wanted = json.dumps(sorted(set(agents)))
        until = now + lease_seconds

        def work(connection: apsw.Connection) -> list[Claim]:
            rows = _all(
                connection,
                "update runs set fence = fence + 1, worker = ?, lease_until = ?, status = 'running', changed_at = ? where id in ("
                " select id from runs where due_at <= ? and lease_until <= ? and agent in (select value from json_each(?))"
                " order by rank, id limit ?) returning run_id, agent, fence, version, rank",
                (worker, until, now, now, now, wanted, limit),
            )
            rows.sort(key=lambda row: row[4])
            return [
                Claim(run_id=run_id, agent=agent, fence=fence, worker=worker, until=until, version=version)
                for run_id, agent, fence, version, _ in rows
            ]

        return await self._write(work)

    async def claim(self, run_id: str, worker: str, now: float, lease_seconds: float) -> Claim | None:
        until = now + lease_seconds

        def work(connection: apsw.Connection) -> Claim | None:
            row = _one(
                connection,
                "update runs set fence = fence + 1, worker = ?, lease_until = ?, status = 'running', changed_at = ?, due_at = ?,"
                " rank = ? - priority * 60 where run_id = ? and lease_until <= ?"
                " and status not in ('completed', 'failed', 'cancelled')"
                " returning agent, fence, version",
                (worker, until, now, now, now, run_id, now),
            )
            return Claim(run_id=run_id, agent=row[0], fence=row[1], worker=worker, until=until, version=row[2]) if row else None

        return await self._write(work)

    async def extend(self, claims: Iterable[Claim], until: float) -> list[Claim]:
        wanted = list(claims)

        def work(connection: apsw.Connection) -> list[Claim]:
            held = []
            for claim in wanted:
                connection.execute(
                    "update runs set lease_until = ? where run_id = ? and fence = ? and worker = ?",
                    (until, claim.run_id, claim.fence, claim.worker),
                )
                if connection.changes():
                    held.append(msgspec.structs.replace(claim, until=until))
            return held

        return await self._write(work) if wanted else []

    async def holds(self, claim: Claim) -> bool:
        row = await self._read(lambda c: _one(c, "select fence, worker from runs where run_id = ?", (claim.run_id,)))
        return row is not None and tuple(row) == (claim.fence, claim.worker)

    async def release(self, claim: Claim, release: Release) -> None:
        def work(connection: apsw.Connection) -> None:
            _release(connection, _number_of(connection, claim.run_id), claim.fence, release, None)

        await self._write(work)

    # --- words from outside ---------------------------------------------------------------------------------------

    async def send(self, run_id: str, message: Message) -> int:
        def work(connection: apsw.Connection) -> int:
            number = _number_of(connection, run_id)
            ((status, priority),) = _all(connection, "select status, priority from runs where id = ?", (number,))
            if status in ("completed", "failed", "cancelled"):
                raise AnswerRefused(f"it has ended already ({status})", run_id=run_id, hint=f"holdfast show {run_id}")
            if message.slot is not None:
                before = _one(connection, "select body, at from messages where run = ? and slot = ?", (number, message.slot))
                if before is not None:
                    raise _second_answer(run_id, message.slot, json.loads(before[0]))
            connection.execute(
                "insert into messages (run, kind, slot, body, at) values (?,?,?,?,?)",
                (number, message.kind, message.slot, json.dumps(message.body), message.at),
            )
            identifier = connection.last_insert_rowid()
            connection.execute(
                "update runs set due_at = ?, rank = ? where id = ? and (due_at is null or due_at > ?)",
                (message.at, rank(message.at, priority), number, message.at),
            )
            return identifier

        return await self._write(work)

    async def messages(self, run_id: str) -> list[Message]:
        rows = await self._read(
            lambda c: _all(
                c,
                "select m.id, m.kind, m.body, m.slot, m.at from messages m join runs r on r.id = m.run"
                " where r.run_id = ? and m.taken_at is null order by m.id",
                (run_id,),
            )
        )
        return [Message(id=i, kind=kind, body=json.loads(body), slot=slot, at=at) for i, kind, body, slot, at in rows]

    async def mailboxes(self) -> set[str]:
        rows = await self._read(
            lambda c: _all(c, "select distinct r.run_id from messages m join runs r on r.id = m.run where m.taken_at is null")
        )
        return {row[0] for row in rows}

    # --- reading --------------------------------------------------------------------------------------------------

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        if self._readers is None:
            raise JournalUnavailable("the journal is not open")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._reading, work)

    def _reading(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return work(self._reader())
        except apsw.Error as error:
            raise _translated(error, self.path) from error

    def _reader(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(apsw.SQLITE_OPEN_READONLY)
        return connection

    def _content(self, digest: str) -> bytes:
        row = _one(self._reader(), "select body from contents where digest = ?", (digest,))
        if row is None:
            raise JournalCorrupt(f"the stored content {digest[:12]} is missing")
        self._stored.add(digest)
        return bytes(row[0])

    async def read(self, run_id: str, after: Head = EMPTY) -> History:
        return await self._read(lambda connection: self._history(connection, run_id, after))

    def _history(self, connection: apsw.Connection, run_id: str, after: Head) -> History:
        with connection:  # One read transaction: the row and the batches of the same moment.
            number, expected, head = _row_of(connection, run_id, "id, version, head")
            batches = _all(
                connection,
                "select first, count, fence, at, body, link from batches where run = ? and first > ? order by first",
                (number, after.version),
            )
        found: list[Entry] = []
        version, previous = after.version, after.link
        for first, count, fence, at, body, stored in batches:
            if first != version + 1 or not count:
                raise JournalCorrupt(f"entry {version + 1} is missing", run_id=run_id, sequence=version + 1)
            previous = codec.link(previous, run_id, first, fence, at, body)
            if previous != stored:
                raise JournalCorrupt(f"entry {first} is not what was written", run_id=run_id, sequence=first)
            try:
                found.extend(codec.entries(body, first, fence, at, self._contents))
            except JournalError as error:
                error.run_id = error.run_id or run_id
                raise
            version = found[-1].sequence if found else version
        if version != expected or previous != head:
            raise JournalCorrupt(
                f"the journal ends at entry {version} instead of {expected}", run_id=run_id, sequence=version + 1
            )
        return History(found, Head(version, previous))

    async def row(self, run_id: str) -> RunRow | None:
        row = await self._read(lambda c: _one(c, f"select {_ROW} from runs where run_id = ?", (run_id,)))
        return _run_row(row) if row else None

    async def rows(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        rows = await self._read(
            lambda c: _all(
                c,
                f"select {_ROW} from runs where (?1 is null or status = ?1) and (?2 is null or agent = ?2)"
                " and (?3 is null or tenant = ?3) order by changed_at desc, id desc limit ?4",
                (status, agent, tenant, limit),
            )
        )
        return [_run_row(row) for row in rows]

    async def next_due(self, agents: Iterable[str], now: float) -> float | None:
        wanted = json.dumps(sorted(set(agents)))

        def work(connection: apsw.Connection) -> float | None:
            # Two walks over the index that each stop early; one over all parked runs would not.
            parked = _one(
                connection,
                "select due_at from runs where due_at > ? and agent in (select value from json_each(?)) order by due_at limit 1",
                (now, wanted),
            )
            leased = _one(
                connection,
                "select min(lease_until) from runs where due_at <= ? and agent in (select value from json_each(?))",
                (now, wanted),
            )
            times = [row[0] for row in (parked, leased) if row is not None and row[0] is not None]
            return min(times, default=None)

        return await self._read(work)

    async def stamp(self) -> object:
        return await self._read(lambda c: (threading.get_ident(), c.data_version()))

    # --- workers and checkpoints ----------------------------------------------------------------------------------

    async def seen(self, worker: Worker) -> None:
        await self._write(
            lambda c: c.execute(
                "insert into workers values (?,?,?) on conflict (name) do update"
                " set agents = excluded.agents, seen_at = excluded.seen_at",
                (worker.name, json.dumps(worker.agents), worker.seen_at),
            )
        )

    async def workers(self, since: float) -> list[Worker]:
        rows = await self._read(
            lambda c: _all(c, "select name, agents, seen_at from workers where seen_at >= ? order by name", (since,))
        )
        return [Worker(name=name, agents=tuple(json.loads(agents)), seen_at=seen_at) for name, agents, seen_at in rows]

    async def keep(self, run_id: str, checkpoint: Checkpoint) -> None:
        head = checkpoint.head
        await self._write(
            lambda c: c.execute(
                "insert or replace into checkpoints select id, ?, ?, ?, ? from runs where run_id = ?",
                (head.version, head.link, checkpoint.form, checkpoint.body, run_id),
            )
        )

    async def checkpoint(self, run_id: str) -> Checkpoint | None:
        row = await self._read(
            lambda c: _one(
                c,
                "select c.version, c.link, c.form, c.body from checkpoints c join runs r on r.id = c.run where r.run_id = ?",
                (run_id,),
            )
        )
        return Checkpoint(head=Head(row[0], bytes(row[1])), form=row[2], body=bytes(row[3])) if row else None


def _all(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    return list(connection.execute(sql, values))


def _one(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    return next(iter(_all(connection, sql, values)), None)


def _deliver(futures: list[asyncio.Future[Any]], results: list[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue  # Its caller was cancelled while it waited; the commit stands.
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _row_of(connection: apsw.Connection, run_id: str, columns: str) -> tuple[Any, ...]:
    row = _one(connection, f"select {columns} from runs where run_id = ?", (run_id,))
    if row is None:
        raise RunNotFound("there is no such run in this store", run_id=run_id, hint="`holdfast runs` lists them")
    return row


def _number_of(connection: apsw.Connection, run_id: str) -> int:
    return int(_row_of(connection, run_id, "id")[0])


def _full_slots(connection: apsw.Connection, batch: Batch, number: int) -> tuple[str, ...]:
    """Which of the wanted slots have no place left, counting those that this very batch gives back and takes."""
    full = []
    freed = json.dumps(batch.freed)
    for name in dict.fromkeys(slot.name for slot in batch.slots):
        wanted = [slot for slot in batch.slots if slot.name == name]
        ((taken,),) = _all(
            connection,
            "select count(*) from slots where name = ? and not (run = ? and step in (select value from json_each(?)))",
            (name, number, freed),
        )
        if taken + len(wanted) > wanted[0].capacity:
            full.append(name)
    return tuple(full)


def _follow_up(connection: apsw.Connection, batch: Batch, number: int) -> None:
    for step in batch.freed:
        connection.execute("delete from slots where run = ? and step = ?", (number, step))
    for slot in batch.slots:
        connection.execute("insert or ignore into slots values (?,?,?)", (slot.name, number, slot.step))
    for message in batch.taken:
        connection.execute("update messages set taken_at = ? where id = ? and run = ?", (batch.at, message, number))
    if batch.release is not None:
        _release(connection, number, batch.fence, batch.release, batch.at)


def _release(connection: apsw.Connection, number: int, fence: int, release: Release, at: float | None) -> None:
    # A message that came in the meantime keeps the run due: whoever parks it has not seen that word.
    connection.execute(
        "update runs set worker = '', lease_until = 0, status = ?1, waits_for = ?2, changed_at = coalesce(?3, changed_at),"
        " due_at = case when ?1 not in ('completed', 'failed', 'cancelled') and exists (select 1 from messages where run = ?4"
        " and taken_at is null) then coalesce(?3, changed_at) else ?5 end,"
        " rank = coalesce(?5, ?3, changed_at) - priority * 60 where id = ?4 and fence = ?6",
        (release.status, release.waits_for, at, number, release.due_at, fence),
    )
    if release.status in ("completed", "failed", "cancelled"):
        connection.execute("delete from slots where run = ?", (number,))
        connection.execute("delete from checkpoints where run = ?", (number,))


def _second_answer(run_id: str, slot: str, first: dict[str, Any]) -> AnswerRefused:
    return AnswerRefused(f"{slot} was answered already: {first.get('decision')} by {first.get('by')}", run_id=run_id)


def _run_row(row: tuple[Any, ...]) -> RunRow:
    values = dict(zip(_ROW.split(", "), row, strict=True))
    values["labels"] = json.loads(values["labels"])
    return RunRow(**values)


def _translated(error: Exception, path: str) -> HoldfastError:
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


def _migrate(connection: apsw.Connection, path: str) -> None:
    steps = migrations()
    if connection.pragma("application_id") == _APPLICATION_ID and connection.pragma("user_version") == steps[-1][0]:
        return
    connection.execute("begin immediate")
    try:
        if connection.pragma("application_id") not in (0, _APPLICATION_ID) or (
            connection.pragma("application_id") == 0 and _one(connection, "select count(*) from sqlite_master") != (0,)
        ):
            raise JournalCorrupt(f"{path} is a database of something else", hint="give another --db")
        at = int(str(connection.pragma("user_version") or 0))
        if at > steps[-1][0]:
            raise JournalTooNew(
                f"{path} was written by a later release (form {at}, this one knows {steps[-1][0]})",
                hint="upgrade holdfast",
            )
        connection.execute("create table if not exists migrations (number integer primary key, checksum text not null) strict")
        for number, text, checksum in steps:
            if number > at:
                connection.execute(text)
                connection.execute("insert into migrations values (?, ?)", (number, checksum))
                connection.pragma("user_version", number)
        connection.pragma("application_id", _APPLICATION_ID)
        connection.execute("commit")
    except BaseException:
        if not connection.get_autocommit():
            connection.execute("rollback")
        raise
