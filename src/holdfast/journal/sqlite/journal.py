"""The journal in SQLite: what each method of `Journal` is in SQL."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from holdfast.core.events import AnyEvent
from holdfast.core.gates import GateState
from holdfast.core.memory import Memory
from holdfast.core.schedule import Firing, Standing
from holdfast.journal import codec, retention
from holdfast.journal.base import (
    EMPTY,
    ENDED,
    FIRINGS_MAX,
    MEMORIES_MAX,
    Batch,
    Checkpoint,
    Claim,
    Delivery,
    Full,
    Head,
    History,
    Message,
    NewRun,
    Owed,
    Release,
    RunRow,
    StoredBatch,
    Turn,
    Worker,
    is_empty,
)
from holdfast.journal.keeping import Adopted, Copied, Health, Proof
from holdfast.journal.people import (
    NOTICES_MAX,
    InboxFilter,
    Judged,
    JudgedFilter,
    Notice,
    OpenInterrupt,
    Person,
    Sending,
    Sent,
    StandingApproval,
)
from holdfast.journal.sqlite import (
    backup,
    directory,
    health,
    inbox,
    judged,
    keeping,
    mail,
    memories,
    notices,
    owed,
    places,
    pruning,
    record,
    schedules,
    standing,
    writing,
)
from holdfast.journal.sqlite.contents import Contents, content_of
from holdfast.journal.sqlite.file import BUSY_SECONDS, File, all_rows, one_row
from holdfast.journal.sqlite.rows import COLUMNS, number_of, run_row


class SqliteJournal:
    """See `Journal`. path: of the file; it is created, with its folder's `-wal` and `-shm` files, where it is missing. read_only:
    nothing is created, changed or taken into this release's form; it works on a file and a folder that cannot be written."""

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float = BUSY_SECONDS, read_only: bool = False):
        self.path = os.fspath(path)
        self.file = File(self.path, busy_seconds=busy_seconds, read_only=read_only)
        self._write = self.file.write
        self._read = self.file.read
        self._versions: dict[int, object] = {}
        self._changes = 0
        self._numbers: dict[str, int] = {}
        self._contents = Contents(self.file)
        self._store = self._contents.store

    async def open(self) -> None:
        await self.file.open()

    async def close(self) -> None:
        await self.file.close()

    # --- writing --------------------------------------------------------------------------------------------------

    async def create(
        self, run: NewRun, events: tuple[AnyEvent, ...], at: float, *, worker: str = "", lease_seconds: float = 0.0
    ) -> Claim | None:
        return await self._write(writing.creation(self._store, run, events, at, worker, lease_seconds))

    async def append(self, batch: Batch) -> Head | Full:
        if is_empty(batch):
            return batch.head
        first, head = batch.head.version + 1, batch.head
        body, blobs = codec.encode(batch.events) if batch.events else (b"", {})
        if batch.events:
            link = codec.link(batch.head.link, batch.run_id, first, batch.fence, batch.at, body)
            head = Head(batch.head.version + len(batch.events), link)

        def work(connection: apsw.Connection) -> Head | Full:
            number = self._number(connection, batch.run_id)
            gates: dict[str, GateState] = {}
            if batch.slots or batch.gated or batch.heard:
                full, found = places.asked(connection, batch, number)
                if full is not None:
                    writing.check_writer(connection, batch, number)
                    places.keep_gates(connection, found.told)
                    return full
                gates = found.passed
            connection.execute(
                # The id as well: the number of a run that was pruned is given to another one.
                "update runs set version = ?, head = ? where id = ? and fence = ? and version = ? and run_id = ?",
                (head.version, head.link, number, batch.fence, batch.head.version, batch.run_id),
            )
            if not connection.changes():
                raise writing.superseded(batch)
            if batch.events:
                connection.execute(
                    "insert into batches values (?,?,?,?,?,?,?)",
                    (number, first, len(batch.events), batch.fence, batch.at, body, head.link),
                )
                if blobs:
                    self._store(connection, blobs)
            if gates:
                places.keep_gates(connection, gates)
            if batch.contents:
                self._store(connection, batch.contents)
            writing.follow_up(connection, batch, number)
            return head

        return await self._write(work)

    def _number(self, connection: apsw.Connection, run_id: str) -> int:
        number = self._numbers.get(run_id)
        if number is None:
            number = number_of(connection, run_id)
            if len(self._numbers) > 10_000:
                self._numbers.clear()
            self._numbers[run_id] = number
        return number

    async def adopt(self, run: Adopted) -> bool:
        fetched: set[str] = set()

        def fetch(connection: apsw.Connection, digest: str) -> bytes | None:
            fetched.add(digest)
            return content_of(connection, digest)

        if await self._read(lambda c: keeping.is_taken(c, run.run_id)):
            return False
        head = await self._read(lambda c: retention.check_adopted(run, lambda digest: fetch(c, digest)))
        return await self._write(keeping.adoption(self._store, run, head, frozenset(fetched)))

    async def prune(self, run_ids: Iterable[str], by: str, at: float) -> list[Proof]:
        return await pruning.prune(self.file, run_ids, by, at)

    async def proofs(self, run_ids: Iterable[str] | None = None) -> list[Proof]:
        wanted = None if run_ids is None else list(run_ids)
        return await self._read(lambda c: pruning.proofs(c, wanted))

    async def backup(self, path: str) -> Copied:
        return await asyncio.get_running_loop().run_in_executor(None, backup.copy, self.path, path)

    async def health(self, now: float, *, deep: bool = False) -> Health:
        return await health.health(self.file, now, deep)

    # --- claims ---------------------------------------------------------------------------------------------------

    async def claim_due(self, worker: str, agents: Iterable[str], now: float, lease_seconds: float, limit: int) -> list[Claim]:
        wanted = json.dumps(sorted(set(agents)))
        until = now + lease_seconds

        def work(connection: apsw.Connection) -> list[Claim]:
            rows = all_rows(
                connection,
                "update runs set fence = fence + 1, worker = ?, lease_until = ?, status = 'running', changed_at = ? where id in ("
                " select id from runs where due_at <= ? and lease_until <= ? and agent in (select value from json_each(?))"
                " and not imported order by rank, id limit ?) returning run_id, agent, fence, version, rank",
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
                " and status not in ('completed', 'failed', 'cancelled') and not imported"
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
            number = number_of(connection, claim.run_id)
            writing.release(connection, claim.run_id, number, claim.fence, release, None)

        await self._write(work)

    # --- words from outside ---------------------------------------------------------------------------------------

    async def send(self, run_id: str, message: Message) -> int:
        return await self._write(lambda c: mail.send(c, run_id, message))

    async def messages(self, run_id: str) -> list[Message]:
        return await self._read(lambda c: mail.unread(c, run_id))

    async def mailboxes(self) -> set[str]:
        return await self._read(mail.mailboxes)

    async def deliver(self, digest: str, body: dict[str, Any], at: float) -> Delivery:
        return await self._write(lambda c: mail.deliver(c, digest, body, at))

    async def token(self, digest: str) -> tuple[str, str] | None:
        return await self._read(lambda c: mail.belongs(c, digest))

    async def secret(self) -> bytes:
        ((found,),) = await self._read(lambda c: all_rows(c, "select bytes from secret"))
        return bytes(found)

    # --- what runs share and are owed -----------------------------------------------------------------------------

    async def owed(self, run_id: str | None = None, *, due_before: float | None = None, limit: int = 1000) -> list[Owed]:
        return await self._read(lambda c: owed.listed(c, run_id, due_before, limit))

    async def gates(self) -> dict[str, GateState]:
        return await self._read(places.gates)

    async def reset_gate(self, tool: str) -> bool:
        return await self._write(lambda c: places.reset_gate(c, tool))

    # --- reading --------------------------------------------------------------------------------------------------

    async def content(self, digest: str) -> bytes | None:
        return await self._read(lambda c: content_of(c, digest))

    async def read(self, run_id: str, after: Head = EMPTY) -> History:
        return await self._read(lambda c: record.history(c, run_id, after, self._contents.fetch))

    async def batches(self, run_id: str) -> list[StoredBatch]:
        return await self._read(lambda c: record.whole(c, run_id))

    async def row(self, run_id: str) -> RunRow | None:
        row = await self._read(lambda c: one_row(c, f"select {COLUMNS} from runs where run_id = ?", (run_id,)))
        return run_row(row) if row else None

    async def rows(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        rows = await self._read(
            lambda c: all_rows(
                c,
                f"select {COLUMNS} from runs where (?1 is null or status = ?1) and (?2 is null or agent = ?2)"
                " and (?3 is null or tenant = ?3) order by changed_at desc, id desc limit ?4",
                (status, agent, tenant, limit),
            )
        )
        return [run_row(row) for row in rows]

    async def ended(
        self, before: float, statuses: Iterable[str], *, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        wanted = json.dumps(sorted(set(statuses) & set(ENDED)))
        query = (
            f"select {COLUMNS} from runs where status in (select value from json_each(?1)) and changed_at < ?2"
            " and (?3 is null or agent = ?3) and (?4 is null or tenant = ?4) order by changed_at, id limit ?5"
        )
        return [run_row(row) for row in await self._read(lambda c: all_rows(c, query, (wanted, before, agent, tenant, limit)))]

    async def children(self, run_id: str) -> list[RunRow]:
        query = f"select {COLUMNS} from runs where parent = ? and parent <> '' order by id"
        return [run_row(row) for row in await self._read(lambda c: all_rows(c, query, (run_id,)))]

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

    # --- schedules ------------------------------------------------------------------------------------------------

    async def turn_schedule(self, turn: Turn) -> bool:
        create = writing.creation(self._store, *turn.begins, turn.at) if turn.begins is not None else _nothing
        return await self._write(lambda c: schedules.turn(c, turn, create))

    async def remove_schedule(self, name: str) -> bool:
        return await self._write(lambda c: schedules.remove(c, name))

    async def schedules(self, name: str | None = None) -> list[Standing]:
        return await self._read(lambda c: schedules.listed(c, name))

    async def due_schedules(self, agents: Iterable[str], now: float, limit: int) -> tuple[list[Standing], float | None]:
        wanted = list(agents)
        return await self._read(lambda c: schedules.due(c, wanted, now, limit))

    async def firings(self, name: str, limit: int = FIRINGS_MAX) -> list[Firing]:
        return await self._read(lambda c: schedules.firings(c, name, limit))

    # --- memory ---------------------------------------------------------------------------------------------------

    async def memories(
        self, tenant: str | None = None, thread: str | None = None, *,
        query: str | None = None, history: bool = False, limit: int = MEMORIES_MAX,
    ) -> list[Memory]:  # fmt: skip
        return await self._read(lambda c: memories.listed(c, tenant, thread, query, history, limit))

    async def memory(self, memory_id: str) -> Memory | None:
        return await self._read(lambda c: memories.one(c, memory_id))

    async def correct_memory(self, memory_id: str, value: Any, by: str, at: float) -> Memory | None:
        return await self._write(lambda c: memories.correct(c, memory_id, value, by, at))

    async def forget(
        self, by: str, at: float, *, memory_id: str | None = None, tenant: str = "", thread: str | None = None
    ) -> int:
        return await self._write(lambda c: memories.forget(c, by, at, memory_id, tenant, thread))

    # --- what people are asked ------------------------------------------------------------------------------------

    async def inbox(self, wanted: InboxFilter, now: float) -> list[OpenInterrupt]:
        return await self._read(lambda c: inbox.listed(c, wanted, now))

    async def inbox_count(self, wanted: InboxFilter, now: float) -> int:
        return await self._read(lambda c: inbox.count(c, wanted, now))

    async def open_interrupt(self, run_id: str, interrupt: str) -> OpenInterrupt | None:
        return await self._read(lambda c: inbox.one(c, run_id, interrupt))

    async def claim_interrupt(self, run_id: str, interrupt: str, by: str, now: float, until: float) -> OpenInterrupt | None:
        return await self._write(lambda c: inbox.claim(c, run_id, interrupt, by, now, until))

    async def saw(self, run_id: str, interrupt: str, by: str, at: float) -> None:
        if await self.seen_at(run_id, interrupt, by) is None:
            await self._write(lambda c: inbox.saw(c, run_id, interrupt, by, at))

    async def seen_at(self, run_id: str, interrupt: str, by: str) -> float | None:
        return await self._read(lambda c: inbox.seen_at(c, run_id, interrupt, by))

    async def judged(self, wanted: JudgedFilter) -> list[Judged]:
        return await self._read(lambda c: judged.listed(c, wanted))

    async def grant(self, approval: StandingApproval) -> int:
        return await self._write(lambda c: standing.grant(c, approval))

    async def revoke(self, approval_id: str, by: str, at: float) -> StandingApproval | None:
        return await self._write(lambda c: standing.revoke(c, approval_id, by, at))

    async def standing_approvals(self, now: float | None = None) -> list[StandingApproval]:
        return await self._read(lambda c: standing.listed(c, now))

    # --- people and what they are told ----------------------------------------------------------------------------

    async def people(self) -> list[Person]:
        return await self._read(directory.listed)

    async def put_person(self, person: Person) -> None:
        await self._write(lambda c: directory.put(c, person))

    async def remove_person(self, name: str) -> bool:
        return await self._write(lambda c: directory.remove(c, name))

    async def tell(self, told: Iterable[Notice]) -> None:
        await self._write(lambda c: notices.keep(c, told))

    async def claim_notices(self, channel: str, now: float, lease_seconds: float, limit: int) -> list[Sending]:
        # Asked for every second by each worker: where there is nothing, nobody waits for the writer.
        if not await self._read(lambda c: notices.is_waiting(c, channel, now)):
            return []
        return await self._write(lambda c: notices.claim(c, channel, now, lease_seconds, limit))

    async def settle_notice(
        self, notice_id: str, channel: str, *, sent_at: float | None = None, next_at: float | None = None, error: str = ""
    ) -> None:
        await self._write(lambda c: notices.settle(c, notice_id, channel, sent_at, next_at, error))

    async def notices(self, run_id: str | None = None, limit: int = NOTICES_MAX) -> list[Sent]:
        return await self._read(lambda c: notices.listed(c, run_id, limit))

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


def _nothing(connection: apsw.Connection) -> None:
    """No run is to be created."""
