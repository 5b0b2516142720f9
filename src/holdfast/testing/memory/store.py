"""The rules of a store of journals, in memory: what each method of `Journal` does to what is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from holdfast.core.events import AnyEvent, Entry
from holdfast.core.gates import GateState
from holdfast.errors import JournalCorrupt, JournalError, Superseded
from holdfast.journal import codec, mail, retention
from holdfast.journal.base import (
    AGEING_SECONDS,
    ENDED,
    REFUSALS_MAX,
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
    Worker,
    is_empty,
    rank,
)
from holdfast.journal.gating import Gating, gating
from holdfast.journal.keeping import Adopted
from holdfast.journal.people import Sending
from holdfast.testing.memory.inbox import Inbox, as_written
from holdfast.testing.memory.keeping import Keeper
from holdfast.testing.memory.memories import Memories
from holdfast.testing.memory.notices import Notices, as_told
from holdfast.testing.memory.rows import Known, Letter, Row, Stored
from holdfast.testing.memory.schedules import Schedules

_NO_GATING = Gating()


class MemoryStore:
    """The rules of a store, without any waiting. Each method is one transaction: all of it happens, or it raises. secret: for
    those who need the same tokens each time; left out, nobody can guess it."""

    def __init__(self, secret: bytes | None = None) -> None:
        self.secret = os.urandom(32) if secret is None else secret
        self.runs: dict[str, Row] = {}
        self.contents: dict[str, bytes] = {}
        # By name and holder (run and step); until when one lasts beyond its call.
        self.slots: dict[str, dict[tuple[str, str], float | None]] = {}
        self.gates: dict[str, GateState] = {}
        self.tokens: dict[str, Known] = {}
        self.debts: dict[tuple[str, str], Owed] = {}
        self.seen: dict[str, Worker] = {}
        self.schedules = Schedules(self)
        self.memories = Memories()
        self.inbox = Inbox(self)
        self.notices = Notices(self._is_open)
        self.keeper = Keeper(self)
        self.writes = 0
        self._letters = 0
        self._numbers = 0
        # Told of each batch once it is written, for tests that look over the shoulder: run, first sequence, fence, time, events.
        self.on_commit: Callable[[str, int, int, float, tuple[AnyEvent, ...]], None] | None = None

    def run(self, run_id: str) -> Row:
        """A run, or RunNotFound; RunPruned where it was there."""
        found = self.runs.get(run_id)
        if found is None:
            raise retention.not_found(run_id, self.keeper.proof(run_id))
        return found

    # --- writing --------------------------------------------------------------------------------------------------

    def create(self, run: NewRun, events: tuple[AnyEvent, ...], at: float, worker: str, lease_seconds: float) -> Claim | None:
        if run.run_id in self.runs or self.keeper.proof(run.run_id) is not None:
            return None
        body, blobs = codec.encode(events)
        link = codec.link(b"", run.run_id, 1, 1, at, body)
        until = at + lease_seconds if worker else 0.0
        self.contents.update(blobs)
        self.runs[run.run_id] = Row(
            number=self._number(), new=run, status="running", due_at=at, rank=rank(at, run.priority), version=len(events),
            link=link, fence=1, worker=worker, lease_until=until, created_at=at, changed_at=at,
        )  # fmt: skip
        self._written(self.runs[run.run_id], Stored(1, len(events), 1, at, body, link), events)
        if run.parent and run.ends_with_parent and self._is_over(run.parent):
            self._put(self.runs[run.run_id], mail.parent_ended(run.parent, at))
        return Claim(run_id=run.run_id, agent=run.agent, fence=1, worker=worker, until=until)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _is_over(self, run_id: str) -> bool:
        """Whether a run was there and has ended."""
        run = self.runs.get(run_id)
        return run.status in ENDED if run is not None else self.keeper.proof(run_id) is not None

    def append(self, batch: Batch) -> Head | Full:
        if is_empty(batch):
            return batch.head
        run = self.run(batch.run_id)
        self._check_writer(run, batch)
        gates = gating(batch, self.gates.get) if batch.gated or batch.heard else _NO_GATING
        full = self._full(batch, gates)
        if full is not None:
            self.gates.update(gates.told)
            self.writes += bool(gates.told)
            return full
        batch, head = as_told(as_written(batch)), batch.head
        if batch.events:
            first = head.version + 1
            body, blobs = codec.encode(batch.events)
            link = codec.link(head.link, batch.run_id, first, batch.fence, batch.at, body)
            head = Head(head.version + len(batch.events), link)
            self.contents.update(blobs)
            run.version, run.link = head.version, head.link
            self._written(run, Stored(first, len(batch.events), batch.fence, batch.at, body, link), batch.events)
        self.contents.update(batch.contents)
        self.gates.update(gates.passed)
        self._follow_up(run, batch)
        self.writes += 1
        return head

    def _check_writer(self, run: Row, batch: Batch) -> None:
        if batch.fence != run.fence or batch.head.version != run.version:
            raise Superseded("another worker has written to it since", run_id=batch.run_id)

    def _written(self, run: Row, stored: Stored, events: tuple[AnyEvent, ...]) -> None:
        run.batches.append(stored)
        self.writes += 1
        if self.on_commit is not None:
            self.on_commit(run.new.run_id, stored.first, stored.fence, stored.at, events)

    def _full(self, batch: Batch, gates: Gating) -> Full | None:
        full = self._full_slots(batch)
        for name, free in gates.free.items():
            places, holder = full.get(name, (free, ""))
            full[name] = min(places, free), holder
        if not full and not gates.held:
            return None
        return Full(tuple(full), tuple(free for free, _ in full.values()), tuple(who for _, who in full.values()), gates.held)

    def _full_slots(self, batch: Batch) -> dict[str, tuple[int, str]]:
        full = {}
        for name in dict.fromkeys(slot.name for slot in batch.slots):
            wanted = {slot.step: slot for slot in batch.slots if slot.name == name}
            in_the_way = [
                run_id
                for (run_id, step), until in self.slots.get(name, {}).items()
                if (until is None or until > batch.at)
                and not (
                    run_id == batch.run_id
                    and (step in wanted or step in batch.settled or (until is None and step in batch.freed))
                )
            ]
            free = next(iter(wanted.values())).capacity - len(in_the_way)
            if len(wanted) > free:
                holder = max(in_the_way, key=lambda run_id: self.runs[run_id].number, default="")
                full[name] = max(free, 0), holder
        return full

    def _follow_up(self, run: Row, batch: Batch) -> None:
        if batch.freed or batch.settled:
            freed, settled = set(batch.freed), set(batch.settled)
            self._free(lambda of, step, until: of == batch.run_id and (step in settled or (step in freed and until is None)))
        if any(slot.until is not None for slot in batch.slots):
            self._free(lambda of, step, until: until is not None and until <= batch.at)
        for slot in batch.slots:
            self.slots.setdefault(slot.name, {})[batch.run_id, slot.step] = slot.until
        for letter in run.letters:
            letter.taken = letter.taken or letter.message.id in batch.taken
        for token in batch.tokens:
            known = self.tokens.setdefault(token.digest, Known(batch.run_id, token))
            if known.used_at is None:
                known.token = msgspec.structs.replace(known.token, expires_at=token.expires_at)
        for step in batch.paid:
            self.debts.pop((batch.run_id, step), None)
        for owed in batch.owed:
            self.debts[batch.run_id, owed.step] = msgspec.structs.replace(owed, run_id=batch.run_id)
        if batch.memories:
            self.memories.remember(batch.memories)
        self.notices.keep(batch.notices)
        self.inbox.follow(batch)
        if batch.release is not None:
            self._release(run, batch.release, batch.at)
        self.inbox.answer_opened(batch)

    def _free(self, goes: Callable[[str, str, float | None], bool]) -> None:
        for name, holders in self.slots.items():
            if holders:
                self.slots[name] = {holder: until for holder, until in holders.items() if not goes(*holder, until)}

    def release(self, claim: Claim, release: Release) -> None:
        run = self.run(claim.run_id)
        if run.fence == claim.fence:
            self._release(run, release, None)
            self.writes += 1

    def _release(self, run: Row, release: Release, at: float | None) -> None:
        run.worker, run.lease_until = "", 0.0
        run.status, run.waits_for = release.status, release.waits_for
        run.changed_at = run.changed_at if at is None else at
        # A message that came in the meantime keeps the run due: whoever parks it has not seen that word.
        unread = release.status not in ENDED and not release.aside and any(not letter.taken for letter in run.letters)
        run.due_at = run.changed_at if unread else release.due_at
        run.rank = rank(run.changed_at if run.due_at is None else run.due_at, run.new.priority)
        if release.status in ENDED:
            self._free(lambda of, step, until: of == run.new.run_id and until is None)
            self.debts = {owner: owed for owner, owed in self.debts.items() if owner[0] != run.new.run_id}
            run.checkpoint = None
            self.inbox.end(run.new.run_id, run.changed_at)
            self._tell_family(run, release)

    def _tell_family(self, run: Row, release: Release) -> None:
        above, at = self.runs.get(run.new.parent), run.changed_at
        if above is not None and above.status not in ENDED and not above.imported:
            self._put(above, mail.child_ended(run.new.run_id, run.new.parent_step, release.report, at))
        for below in self.runs.values():
            if below.new.parent == run.new.run_id and below.new.ends_with_parent and below.status not in ENDED:
                self._put(below, mail.parent_ended(run.new.run_id, at))

    # --- whole runs -----------------------------------------------------------------------------------------------

    def put_whole(self, new: NewRun, run: Adopted, version: int, link: bytes) -> None:
        """A run with the journal that it comes with; checked before."""
        due_at = None if run.imported else run.due_at
        self.runs[run.run_id] = Row(
            number=self._number(), new=new, status=run.status, due_at=due_at,
            rank=rank(run.changed_at if due_at is None else due_at, run.priority), version=version, link=link, fence=run.fence,
            worker="", lease_until=0.0, created_at=run.created_at, changed_at=run.changed_at, waits_for=run.waits_for,
            batches=[Stored(**msgspec.structs.asdict(batch)) for batch in run.batches], imported=run.imported, source=run.source,
        )  # fmt: skip

    def holds_place(self, run_id: str, at: float) -> bool:
        """Whether a run holds a place that outlives it."""
        return any(
            of == run_id and until is not None and until > at
            for holders in self.slots.values()
            for (of, _), until in holders.items()
        )

    def drop(self, run_id: str) -> None:
        """Forget a run, with all that is kept of it."""
        del self.runs[run_id]
        self._free(lambda of, step, until: of == run_id)
        self.tokens = {digest: known for digest, known in self.tokens.items() if known.run_id != run_id}
        self.debts = {owner: owed for owner, owed in self.debts.items() if owner[0] != run_id}
        self.inbox.drop(run_id)
        self.notices.drop(run_id)

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
        if run is None or not self._is_free(run, now) or run.status in ENDED or run.imported:
            return None
        run.due_at, run.rank = now, now - run.new.priority * AGEING_SECONDS
        return self._claimed(run, worker, now, lease_seconds)

    def _claimed(self, run: Row, worker: str, now: float, lease_seconds: float) -> Claim:
        run.fence = self._next_fence(run)
        run.worker, run.lease_until = worker, now + lease_seconds
        run.status, run.changed_at = "running", now
        self.writes += 1
        return Claim(
            run_id=run.new.run_id, agent=run.new.agent, fence=run.fence, worker=worker, until=run.lease_until, version=run.version
        )  # fmt: skip

    def _is_free(self, run: Row, now: float) -> bool:
        return run.lease_until <= now

    def _next_fence(self, run: Row) -> int:
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
        if run.imported:
            raise retention.only_looked_at(run_id)
        taken = (letter for letter in run.letters if message.slot is not None and letter.message.slot == message.slot)
        first = next(taken, None)
        if first is not None and mail.says_the_same(message, first.message.kind, first.body):
            return first.message.id
        if run.status in ENDED:
            raise mail.run_ended(run_id, run.status)
        if first is not None:
            raise mail.slot_used(run_id, message, first.message.kind, first.body)
        self.writes += 1
        return self._put(run, message)

    def _put(self, run: Row, message: Message) -> int:
        """Into its mailbox; and it is due, unless nothing more comes of it."""
        self._letters += 1
        run.letters.append(Letter(msgspec.structs.replace(message, id=self._letters), json.dumps(message.body)))
        if run.status not in ENDED and (run.due_at is None or run.due_at > message.at):
            run.due_at, run.rank = message.at, rank(message.at, run.new.priority)
        return self._letters

    def deliver(self, digest: str, body: dict[str, Any], at: float) -> Delivery:
        known = self.tokens.get(digest)
        if known is None:
            raise mail.unknown_token()
        run, step, key = self.run(known.run_id), known.token.step, known.token.key
        why = mail.refusal(used_at=known.used_at, expires_at=known.token.expires_at, status=run.status, at=at)
        if not why:
            known.used_at = at
            self._put(run, mail.delivered(digest, step, key, body, at))
        elif known.refusals < REFUSALS_MAX:
            known.refusals += 1
            self._put(run, mail.refused(step, key, body, why, at))
        self.writes += 1
        return Delivery(run_id=known.run_id, step=step, refused=why)

    def token(self, digest: str) -> tuple[str, str] | None:
        known = self.tokens.get(digest)
        return (known.run_id, known.token.step) if known is not None else None

    def messages(self, run_id: str) -> list[Message]:
        run = self.runs.get(run_id)
        return [
            msgspec.structs.replace(letter.message, body=json.loads(letter.body))
            for letter in (run.letters if run is not None else ())
            if not letter.taken
        ]

    def mailboxes(self) -> set[str]:
        return {
            run_id
            for run_id, run in self.runs.items()
            if run.status not in ENDED and any(not letter.taken for letter in run.letters)
        }

    # --- what runs share and are owed -----------------------------------------------------------------------------

    def owed(self, run_id: str | None, due_before: float | None, limit: int) -> list[Owed]:
        found = [
            owed
            for owed in self.debts.values()
            if run_id in (None, owed.run_id) and (due_before is None or owed.due_at <= due_before)
        ]
        return sorted(found, key=lambda owed: (owed.due_at, self.runs[owed.run_id].number, owed.step))[:limit]

    def reset_gate(self, tool: str) -> bool:
        self.writes += 1
        return self.gates.pop(tool, None) is not None

    # --- people and what they are told ----------------------------------------------------------------------------

    def _is_open(self, run_id: str, interrupt: str) -> bool:
        return self.inbox.one(run_id, interrupt) is not None

    def claim_notices(self, channel: str, now: float, lease_seconds: float, limit: int) -> list[Sending]:
        found = self.notices.claim(channel, now, lease_seconds, limit)
        self.writes += bool(found)
        return found

    # --- reading --------------------------------------------------------------------------------------------------

    def _fetch(self, digest: str) -> bytes:
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
                found.extend(codec.entries(stored.body, stored.first, stored.fence, stored.at, self._fetch))
            except JournalError as error:
                error.run_id = error.run_id or run_id
                raise
            version = stored.first + stored.count - 1
        if version != run.version or previous != run.link:
            raise JournalCorrupt(
                f"the journal ends at entry {version} instead of {run.version}", run_id=run_id, sequence=version + 1
            )
        return History(found, Head(version, previous))

    def batches(self, run_id: str) -> list[StoredBatch]:
        run = self.run(run_id)
        found = [StoredBatch(**msgspec.structs.asdict(stored)) for stored in run.batches]
        codec.check_chain(run_id, found, run.version, run.link)
        return found

    def row(self, run_id: str) -> RunRow | None:
        run = self.runs.get(run_id)
        if run is None:
            return None
        return RunRow(
            run_id=run.new.run_id, agent=run.new.agent, goal_digest=run.new.goal_digest, tenant=run.new.tenant,
            priority=run.new.priority, labels=run.new.labels, status=run.status, waits_for=run.waits_for, due_at=run.due_at,
            version=run.version, fence=run.fence, worker=run.worker, lease_until=run.lease_until, created_at=run.created_at,
            changed_at=run.changed_at, parent=run.new.parent, imported=run.imported, source=run.source,
        )  # fmt: skip

    def rows(self, status: str | None, agent: str | None, tenant: str | None, limit: int) -> list[RunRow]:
        found = sorted(self.runs.values(), key=lambda run: (-run.changed_at, -run.number))
        rows = [row for run in found if (row := self.row(run.new.run_id)) is not None]
        return [
            row
            for row in rows
            if status in (None, row.status) and agent in (None, row.agent) and tenant in (None, row.tenant)
        ][:limit]  # fmt: skip

    def ended(self, before: float, statuses: set[str], agent: str | None, tenant: str | None, limit: int) -> list[RunRow]:
        found = [row for status in statuses & set(ENDED) for row in self.rows(status, agent, tenant, len(self.runs))]
        found.sort(key=lambda row: (row.changed_at, self.runs[row.run_id].number))
        return [row for row in found if row.changed_at < before][:limit]

    def children(self, run_id: str) -> list[RunRow]:
        found = [run for run in self.runs.values() if run_id and run.new.parent == run_id]
        return [row for run in found if (row := self.row(run.new.run_id)) is not None]

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
