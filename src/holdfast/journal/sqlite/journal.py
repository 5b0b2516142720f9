"""The journal in SQLite: what each method of `Journal` is in SQL."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import apsw
import msgspec

from holdfast.core.events import AnyEvent, Entry
from holdfast.errors import AnswerRefused, JournalCorrupt, JournalError, RunNotFound, Superseded
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
from holdfast.journal.sqlite.file import BUSY_SECONDS, File, all_rows, one_row

_ROW = (
    "run_id, agent, goal_digest, tenant, priority, labels, status, waits_for, due_at, version, fence, worker, lease_until, "
    "created_at, changed_at"
)


class SqliteJournal:
    """See `Journal`. path: of the file; it is created, with its folder's `-wal` and `-shm` files, where it is missing."""

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float = BUSY_SECONDS):
        self.path = os.fspath(path)
        self.file = File(self.path, busy_seconds=busy_seconds)
        self._write = self.file.write
        self._read = self.file.read
        self._versions: dict[int, object] = {}
        self._changes = 0
        self._numbers: dict[str, int] = {}
        self._stored: set[str] = set()
        self._contents = lru_cache(maxsize=1024)(self._content)

    async def open(self) -> None:
        await self.file.open()

    async def close(self) -> None:
        await self.file.close()

    # --- writing --------------------------------------------------------------------------------------------------

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
                    return Full(tuple(full), tuple(full.values()))
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
            rows = all_rows(
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
            row = one_row(
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
        row = await self._read(lambda c: one_row(c, "select fence, worker from runs where run_id = ?", (claim.run_id,)))
        return row is not None and tuple(row) == (claim.fence, claim.worker)

    async def release(self, claim: Claim, release: Release) -> None:
        def work(connection: apsw.Connection) -> None:
            _release(connection, _number_of(connection, claim.run_id), claim.fence, release, None)

        await self._write(work)

    # --- words from outside ---------------------------------------------------------------------------------------

    async def send(self, run_id: str, message: Message) -> int:
        def work(connection: apsw.Connection) -> int:
            number = _number_of(connection, run_id)
            ((status, priority),) = all_rows(connection, "select status, priority from runs where id = ?", (number,))
            if status in ("completed", "failed", "cancelled"):
                raise AnswerRefused(f"it has ended already ({status})", run_id=run_id, hint=f"holdfast show {run_id}")
            if message.slot is not None:
                before = one_row(connection, "select body, at from messages where run = ? and slot = ?", (number, message.slot))
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
            lambda c: all_rows(
                c,
                "select m.id, m.kind, m.body, m.slot, m.at from messages m join runs r on r.id = m.run"
                " where r.run_id = ? and m.taken_at is null order by m.id",
                (run_id,),
            )
        )
        return [Message(id=i, kind=kind, body=json.loads(body), slot=slot, at=at) for i, kind, body, slot, at in rows]

    async def mailboxes(self) -> set[str]:
        rows = await self._read(
            lambda c: all_rows(c, "select distinct r.run_id from messages m join runs r on r.id = m.run where m.taken_at is null")
        )
        return {row[0] for row in rows}

    # --- reading --------------------------------------------------------------------------------------------------

    def _content(self, digest: str) -> bytes:
        row = one_row(self.file.reader(), "select body from contents where digest = ?", (digest,))
        if row is None:
            raise JournalCorrupt(f"the stored content {digest[:12]} is missing")
        self._stored.add(digest)
        return bytes(row[0])

    async def read(self, run_id: str, after: Head = EMPTY) -> History:
        return await self._read(lambda connection: self._history(connection, run_id, after))

    def _history(self, connection: apsw.Connection, run_id: str, after: Head) -> History:
        with connection:  # One read transaction: the row and the batches of the same moment.
            number, expected, head = _row_of(connection, run_id, "id, version, head")
            batches = all_rows(
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
        row = await self._read(lambda c: one_row(c, f"select {_ROW} from runs where run_id = ?", (run_id,)))
        return _run_row(row) if row else None

    async def rows(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        rows = await self._read(
            lambda c: all_rows(
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
            parked = one_row(
                connection,
                "select due_at from runs where due_at > ? and agent in (select value from json_each(?)) order by due_at limit 1",
                (now, wanted),
            )
            leased = one_row(
                connection,
                "select min(lease_until) from runs where due_at <= ? and agent in (select value from json_each(?))",
                (now, wanted),
            )
            times = [row[0] for row in (parked, leased) if row is not None and row[0] is not None]
            return min(times, default=None)

        return await self._read(work)

    async def stamp(self) -> object:
        return await self._read(self._look)

    def _look(self, connection: apsw.Connection) -> int:
        """How often a reader's connection has seen a change. The pragma looks into the file; the file control of the same
        name would only tell what this connection saw last."""
        version = one_row(connection, "pragma data_version")
        if self._versions.get(threading.get_ident()) != version:
            self._versions[threading.get_ident()] = version
            self._changes += 1
        return self._changes

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
            lambda c: all_rows(c, "select name, agents, seen_at from workers where seen_at >= ? order by name", (since,))
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
            lambda c: one_row(
                c,
                "select c.version, c.link, c.form, c.body from checkpoints c join runs r on r.id = c.run where r.run_id = ?",
                (run_id,),
            )
        )
        return Checkpoint(head=Head(row[0], bytes(row[1])), form=row[2], body=bytes(row[3])) if row else None


def _row_of(connection: apsw.Connection, run_id: str, columns: str) -> tuple[Any, ...]:
    row = one_row(connection, f"select {columns} from runs where run_id = ?", (run_id,))
    if row is None:
        raise RunNotFound("there is no such run in this store", run_id=run_id, hint="`holdfast runs` lists them")
    return row


def _number_of(connection: apsw.Connection, run_id: str) -> int:
    return int(_row_of(connection, run_id, "id")[0])


def _full_slots(connection: apsw.Connection, batch: Batch, number: int) -> dict[str, int]:
    """Which of the wanted slots have too few places left, and how many; those that this very batch gives back count."""
    full = {}
    freed = json.dumps(batch.freed)
    for name in dict.fromkeys(slot.name for slot in batch.slots):
        wanted = [slot for slot in batch.slots if slot.name == name]
        ((taken,),) = all_rows(
            connection,
            "select count(*) from slots where name = ? and not (run = ? and step in (select value from json_each(?)))",
            (name, number, freed),
        )
        if taken + len(wanted) > wanted[0].capacity:
            full[name] = max(wanted[0].capacity - taken, 0)
    return full


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
        " due_at = case when ?1 not in ('completed', 'failed', 'cancelled') and not ?7"
        " and exists (select 1 from messages where run = ?4 and taken_at is null) then coalesce(?3, changed_at) else ?5 end,"
        " rank = coalesce(?5, ?3, changed_at) - priority * 60 where id = ?4 and fence = ?6",
        (release.status, release.waits_for, at, number, release.due_at, fence, release.aside),
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
