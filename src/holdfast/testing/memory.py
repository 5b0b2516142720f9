"""A journal in memory: the same rules and the same bytes as the one on disk, and nothing to clean up.

    journal = MemoryJournal()
    async with Holdfast(journal) as app: ...

`MemoryStore` is the disk, `MemoryJournal` one process's way to it: `journal.handle()` gives another one to the same
store. Events are kept encoded, chained and with large values apart, so that what is read was really written and read.
A handle that is killed never comes back from a call, and nothing that its owner does afterwards reaches the store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from holdfast.core.events import AnyEvent, Entry
from holdfast.core.state import Status
from holdfast.errors import AnswerRefused, JournalCorrupt, JournalError, RunNotFound, Superseded
from holdfast.journal import codec
from holdfast.journal.base import (
    AGEING_SECONDS,
    EMPTY,
    ENDED,
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

T = TypeVar("T")


class WorkerKilled(BaseException):
    """Raised to whoever uses a handle that was killed. A BaseException, so that no `except Exception` takes it for an error
    of the store that one might try again."""


class _Stored(msgspec.Struct):
    """A batch as it lies in the store."""

    first: int
    count: int
    fence: int
    at: float
    body: bytes
    link: bytes


class _Letter(msgspec.Struct):
    """A message as it lies in the store."""

    message: Message
    body: str
    taken: bool = False


class _Run(msgspec.Struct):
    """A run's row, its batches and its mailbox."""

    number: int
    new: NewRun
    status: Status
    due_at: float | None
    rank: float
    version: int
    link: bytes
    fence: int
    worker: str
    lease_until: float
    created_at: float
    changed_at: float
    waits_for: str = ""
    batches: list[_Stored] = []
    letters: list[_Letter] = []
    checkpoint: Checkpoint | None = None


class MemoryStore:
    """The rules of a store, without any waiting. Each method is one transaction: all of it happens, or it raises."""

    def __init__(self) -> None:
        self.runs: dict[str, _Run] = {}
        self.contents: dict[str, bytes] = {}
        self.slots: dict[str, set[tuple[str, str]]] = {}
        self.seen: dict[str, Worker] = {}
        self.writes = 0
        self._letters = 0
        # Told of each batch once it is written, for tests that look over the shoulder: run, first sequence, fence, time, events.
        self.on_commit: Callable[[str, int, int, float, tuple[AnyEvent, ...]], None] | None = None

    def run(self, run_id: str) -> _Run:
        """A run, or RunNotFound."""
        found = self.runs.get(run_id)
        if found is None:
            raise RunNotFound("there is no such run in this store", run_id=run_id, hint="`holdfast runs` lists them")
        return found

    # --- writing --------------------------------------------------------------------------------------------------

    def create(self, run: NewRun, events: tuple[AnyEvent, ...], at: float, worker: str, lease_seconds: float) -> Claim | None:
        if run.run_id in self.runs:
            return None
        body, blobs = codec.encode(events)
        link = codec.link(b"", run.run_id, 1, 1, at, body)
        until = at + lease_seconds if worker else 0.0
        self.contents.update(blobs)
        self.runs[run.run_id] = _Run(
            number=len(self.runs) + 1, new=run, status="running", due_at=at, rank=rank(at, run.priority), version=len(events),
            link=link, fence=1, worker=worker, lease_until=until, created_at=at, changed_at=at,
        )  # fmt: skip
        self._written(self.runs[run.run_id], _Stored(1, len(events), 1, at, body, link), events)
        return Claim(run_id=run.run_id, agent=run.agent, fence=1, worker=worker, until=until)

    def append(self, batch: Batch) -> Head | Full:
        if not batch.events and not batch.release and not batch.taken:
            return batch.head
        run = self.run(batch.run_id)
        self._check_writer(run, batch)
        full = self._full_slots(batch)
        if full:
            return Full(tuple(full), tuple(full.values()))
        head = batch.head
        if batch.events:
            first = head.version + 1
            body, blobs = codec.encode(batch.events)
            link = codec.link(head.link, batch.run_id, first, batch.fence, batch.at, body)
            head = Head(head.version + len(batch.events), link)
            self.contents.update(blobs)
            run.version, run.link = head.version, head.link
            self._written(run, _Stored(first, len(batch.events), batch.fence, batch.at, body, link), batch.events)
        self._follow_up(run, batch)
        self.writes += 1
        return head

    def _check_writer(self, run: _Run, batch: Batch) -> None:
        if batch.fence != run.fence or batch.head.version != run.version:
            raise Superseded("another worker has written to it since", run_id=batch.run_id)

    def _written(self, run: _Run, stored: _Stored, events: tuple[AnyEvent, ...]) -> None:
        run.batches.append(stored)
        self.writes += 1
        if self.on_commit is not None:
            self.on_commit(run.new.run_id, stored.first, stored.fence, stored.at, events)

    def _full_slots(self, batch: Batch) -> dict[str, int]:
        freed = {(batch.run_id, step) for step in batch.freed}
        full = {}
        for name in dict.fromkeys(slot.name for slot in batch.slots):
            wanted = [slot for slot in batch.slots if slot.name == name]
            free = wanted[0].capacity - len(self.slots.get(name, set()) - freed)
            if len(wanted) > free:
                full[name] = max(free, 0)
        return full

    def _follow_up(self, run: _Run, batch: Batch) -> None:
        for step in batch.freed:
            self._free(lambda holder, step=step: holder == (batch.run_id, step))  # type: ignore[misc]
        for slot in batch.slots:
            self.slots.setdefault(slot.name, set()).add((batch.run_id, slot.step))
        for letter in run.letters:
            letter.taken = letter.taken or letter.message.id in batch.taken
        if batch.release is not None:
            self._release(run, batch.release, batch.at)

    def _free(self, belongs: Callable[[tuple[str, str]], bool]) -> None:
        for name, holders in self.slots.items():
            self.slots[name] = {holder for holder in holders if not belongs(holder)}

    def release(self, claim: Claim, release: Release) -> None:
        run = self.run(claim.run_id)
        if run.fence == claim.fence:
            self._release(run, release, None)
            self.writes += 1

    def _release(self, run: _Run, release: Release, at: float | None) -> None:
        run.worker, run.lease_until = "", 0.0
        run.status, run.waits_for = release.status, release.waits_for
        run.changed_at = run.changed_at if at is None else at
        # A message that came in the meantime keeps the run due: whoever parks it has not seen that word.
        unread = release.status not in ENDED and not release.aside and any(not letter.taken for letter in run.letters)
        run.due_at = run.changed_at if unread else release.due_at
        run.rank = rank(run.changed_at if run.due_at is None else run.due_at, run.new.priority)
        if release.status in ENDED:
            self._free(lambda holder: holder[0] == run.new.run_id)
            run.checkpoint = None

    # --- claims ---------------------------------------------------------------------------------------------------

    def claim_due(self, worker: str, agents: Iterable[str], now: float, lease_seconds: float, limit: int) -> list[Claim]:
        wanted = set(agents)
        due = [
            run
            for run in self.runs.values()
            if run.due_at is not None and run.due_at <= now and self._is_free(run, now) and run.new.agent in wanted
        ]
        due.sort(key=lambda run: (run.rank, run.number))
        return [self._claimed(run, worker, now, lease_seconds) for run in due[:limit]]

    def claim(self, run_id: str, worker: str, now: float, lease_seconds: float) -> Claim | None:
        run = self.runs.get(run_id)
        if run is None or not self._is_free(run, now) or run.status in ENDED:
            return None
        run.due_at, run.rank = now, now - run.new.priority * AGEING_SECONDS
        return self._claimed(run, worker, now, lease_seconds)

    def _claimed(self, run: _Run, worker: str, now: float, lease_seconds: float) -> Claim:
        run.fence = self._next_fence(run)
        run.worker, run.lease_until = worker, now + lease_seconds
        run.status, run.changed_at = "running", now
        self.writes += 1
        return Claim(
            run_id=run.new.run_id, agent=run.new.agent, fence=run.fence, worker=worker, until=run.lease_until, version=run.version
        )  # fmt: skip

    def _is_free(self, run: _Run, now: float) -> bool:
        return run.lease_until <= now

    def _next_fence(self, run: _Run) -> int:
        return run.fence + 1

    def extend(self, claims: Iterable[Claim], until: float) -> list[Claim]:
        held = []
        for claim in claims:
            if self.holds(claim):
                self.runs[claim.run_id].lease_until = until
                self.writes += 1
                held.append(msgspec.structs.replace(claim, until=until))
        return held

    def holds(self, claim: Claim) -> bool:
        run = self.runs.get(claim.run_id)
        return run is not None and (run.fence, run.worker) == (claim.fence, claim.worker)

    # --- words from outside ---------------------------------------------------------------------------------------

    def send(self, run_id: str, message: Message) -> int:
        run = self.run(run_id)
        if run.status in ENDED:
            raise AnswerRefused(f"it has ended already ({run.status})", run_id=run_id, hint=f"holdfast show {run_id}")
        self._check_slot(run, message)
        self._letters += 1
        run.letters.append(_Letter(msgspec.structs.replace(message, id=self._letters), json.dumps(message.body)))
        if run.due_at is None or run.due_at > message.at:
            run.due_at, run.rank = message.at, rank(message.at, run.new.priority)
        self.writes += 1
        return self._letters

    def _check_slot(self, run: _Run, message: Message) -> None:
        for letter in run.letters:
            if message.slot is not None and letter.message.slot == message.slot:
                first = json.loads(letter.body)
                what = f"{message.slot} was answered already: {first.get('decision')} by {first.get('by')}"
                raise AnswerRefused(what, run_id=run.new.run_id)

    def messages(self, run_id: str) -> list[Message]:
        run = self.runs.get(run_id)
        return [
            msgspec.structs.replace(letter.message, body=json.loads(letter.body))
            for letter in (run.letters if run is not None else ())
            if not letter.taken
        ]

    def mailboxes(self) -> set[str]:
        return {run_id for run_id, run in self.runs.items() if any(not letter.taken for letter in run.letters)}

    # --- reading --------------------------------------------------------------------------------------------------

    def content(self, digest: str) -> bytes:
        """A stored content; JournalCorrupt where it is missing."""
        found = self.contents.get(digest)
        if found is None:
            raise JournalCorrupt(f"the stored content {digest[:12]} is missing")
        return found

    def read(self, run_id: str, after: Head) -> History:
        run = self.run(run_id)
        found: list[Entry] = []
        version, previous = after.version, after.link
        for stored in run.batches:
            if stored.first <= after.version:
                continue
            if stored.first != version + 1 or not stored.count:
                raise JournalCorrupt(f"entry {version + 1} is missing", run_id=run_id, sequence=version + 1)
            previous = codec.link(previous, run_id, stored.first, stored.fence, stored.at, stored.body)
            if previous != stored.link:
                raise JournalCorrupt(f"entry {stored.first} is not what was written", run_id=run_id, sequence=stored.first)
            try:
                found.extend(codec.entries(stored.body, stored.first, stored.fence, stored.at, self.content))
            except JournalError as error:
                error.run_id = error.run_id or run_id
                raise
            version = stored.first + stored.count - 1
        if version != run.version or previous != run.link:
            raise JournalCorrupt(
                f"the journal ends at entry {version} instead of {run.version}", run_id=run_id, sequence=version + 1
            )
        return History(found, Head(version, previous))

    def row(self, run_id: str) -> RunRow | None:
        run = self.runs.get(run_id)
        if run is None:
            return None
        return RunRow(
            run_id=run.new.run_id, agent=run.new.agent, goal_digest=run.new.goal_digest, tenant=run.new.tenant,
            priority=run.new.priority, labels=run.new.labels, status=run.status, waits_for=run.waits_for, due_at=run.due_at,
            version=run.version, fence=run.fence, worker=run.worker, lease_until=run.lease_until, created_at=run.created_at,
            changed_at=run.changed_at,
        )  # fmt: skip

    def rows(self, status: str | None, agent: str | None, tenant: str | None, limit: int) -> list[RunRow]:
        found = sorted(self.runs.values(), key=lambda run: (-run.changed_at, -run.number))
        rows = [row for run in found if (row := self.row(run.new.run_id)) is not None]
        return [
            row
            for row in rows
            if status in (None, row.status) and agent in (None, row.agent) and tenant in (None, row.tenant)
        ][:limit]  # fmt: skip

    def next_due(self, agents: Iterable[str], now: float) -> float | None:
        wanted = set(agents)
        return min(
            (
                run.due_at if run.due_at > now else run.lease_until
                for run in self.runs.values()
                if run.new.agent in wanted and run.due_at is not None
            ),
            default=None,
        )

    def note(self, worker: Worker) -> None:
        self.seen[worker.name] = worker
        self.writes += 1

    def keep(self, run_id: str, checkpoint: Checkpoint) -> None:
        if run_id in self.runs:
            self.runs[run_id].checkpoint = checkpoint
            self.writes += 1

    # --- for tests of those who must find it ----------------------------------------------------------------------

    def corrupt(self, run_id: str) -> None:
        """Change a byte of what a run's last batch says."""
        stored = self.run(run_id).batches[-1]
        stored.body = stored.body[:-3] + bytes([stored.body[-3] ^ 1]) + stored.body[-2:]


class MemoryJournal:
    """See `Journal`. store: shared with other handles; left out, a new one."""

    def __init__(self, store: MemoryStore | None = None):
        self.store = store if store is not None else MemoryStore()
        self.killed = False

    def handle(self) -> MemoryJournal:
        """Another way to the same store, as another process has one."""
        return type(self)(self.store)

    def kill(self) -> None:
        """From now on every call through this handle raises WorkerKilled, and nothing reaches the store."""
        self.killed = True

    async def _do(self, name: str, work: Callable[..., T], *args: Any) -> T:
        """Every operation goes through here; those who make faults do it around this."""
        if self.killed:
            raise WorkerKilled(name)
        return work(*args)

    async def open(self) -> None:
        await self._do("open", lambda: None)

    async def close(self) -> None:
        """What was appended stays with the store."""

    async def create(
        self, run: NewRun, events: tuple[AnyEvent, ...], at: float, *, worker: str = "", lease_seconds: float = 0.0
    ) -> Claim | None:
        return await self._do("create", self.store.create, run, events, at, worker, lease_seconds)

    async def append(self, batch: Batch) -> Head | Full:
        return await self._do("append", self.store.append, batch)

    async def read(self, run_id: str, after: Head = EMPTY) -> History:
        return await self._do("read", self.store.read, run_id, after)

    async def claim_due(self, worker: str, agents: Iterable[str], now: float, lease_seconds: float, limit: int) -> list[Claim]:
        return await self._do("claim_due", self.store.claim_due, worker, list(agents), now, lease_seconds, limit)

    async def claim(self, run_id: str, worker: str, now: float, lease_seconds: float) -> Claim | None:
        return await self._do("claim", self.store.claim, run_id, worker, now, lease_seconds)

    async def extend(self, claims: Iterable[Claim], until: float) -> list[Claim]:
        return await self._do("extend", self.store.extend, list(claims), until)

    async def holds(self, claim: Claim) -> bool:
        return await self._do("holds", self.store.holds, claim)

    async def release(self, claim: Claim, release: Release) -> None:
        await self._do("release", self.store.release, claim, release)

    async def send(self, run_id: str, message: Message) -> int:
        return await self._do("send", self.store.send, run_id, message)

    async def messages(self, run_id: str) -> list[Message]:
        return await self._do("messages", self.store.messages, run_id)

    async def mailboxes(self) -> set[str]:
        return await self._do("mailboxes", self.store.mailboxes)

    async def row(self, run_id: str) -> RunRow | None:
        return await self._do("row", self.store.row, run_id)

    async def rows(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        return await self._do("rows", self.store.rows, status, agent, tenant, limit)

    async def next_due(self, agents: Iterable[str], now: float) -> float | None:
        return await self._do("next_due", self.store.next_due, list(agents), now)

    async def seen(self, worker: Worker) -> None:
        await self._do("seen", self.store.note, worker)

    async def workers(self, since: float) -> list[Worker]:
        return await self._do("workers", self._workers, since)

    def _workers(self, since: float) -> list[Worker]:
        return [worker for _, worker in sorted(self.store.seen.items()) if worker.seen_at >= since]

    async def keep(self, run_id: str, checkpoint: Checkpoint) -> None:
        await self._do("keep", self.store.keep, run_id, checkpoint)

    async def checkpoint(self, run_id: str) -> Checkpoint | None:
        return await self._do("checkpoint", self._checkpoint, run_id)

    def _checkpoint(self, run_id: str) -> Checkpoint | None:
        run = self.store.runs.get(run_id)
        return run.checkpoint if run is not None else None

    async def stamp(self) -> object:
        return await self._do("stamp", lambda: self.store.writes)
