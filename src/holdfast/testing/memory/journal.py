"""One process's way to a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from holdfast.core.events import AnyEvent
from holdfast.core.gates import GateState
from holdfast.core.memory import Memory
from holdfast.core.schedule import Firing, Standing
from holdfast.errors import UsageError
from holdfast.journal.base import (
    EMPTY,
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
from holdfast.testing.memory.store import MemoryStore

T = TypeVar("T")


class WorkerKilled(BaseException):
    """Raised to whoever uses a handle that was killed. A BaseException, so that no `except Exception` takes it for an error
    of the store that one might try again."""


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

    async def batches(self, run_id: str) -> list[StoredBatch]:
        return await self._do("batches", self.store.batches, run_id)

    async def adopt(self, run: Adopted) -> bool:
        return await self._do("adopt", self.store.keeper.adopt, run)

    async def prune(self, run_ids: Iterable[str], by: str, at: float) -> list[Proof]:
        return await self._do("prune", self.store.keeper.prune, list(run_ids), by, at)

    async def proofs(self, run_ids: Iterable[str] | None = None) -> list[Proof]:
        return await self._do("proofs", self.store.keeper.proofs, None if run_ids is None else list(run_ids))

    async def backup(self, path: str) -> Copied:
        raise UsageError("a store in memory is nothing that can be copied to a file", hint="use a store in a file")

    async def health(self, now: float, *, deep: bool = False) -> Health:
        return await self._do("health", self.store.keeper.health, now, deep)

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

    async def deliver(self, digest: str, body: dict[str, Any], at: float) -> Delivery:
        return await self._do("deliver", self.store.deliver, digest, body, at)

    async def token(self, digest: str) -> tuple[str, str] | None:
        return await self._do("token", self.store.token, digest)

    async def secret(self) -> bytes:
        return await self._do("secret", lambda: self.store.secret)

    async def owed(self, run_id: str | None = None, *, due_before: float | None = None, limit: int = 1000) -> list[Owed]:
        return await self._do("owed", self.store.owed, run_id, due_before, limit)

    async def gates(self) -> dict[str, GateState]:
        return await self._do("gates", lambda: dict(sorted(self.store.gates.items())))

    async def reset_gate(self, tool: str) -> bool:
        return await self._do("reset_gate", self.store.reset_gate, tool)

    async def content(self, digest: str) -> bytes | None:
        return await self._do("content", self.store.contents.get, digest)

    async def children(self, run_id: str) -> list[RunRow]:
        return await self._do("children", self.store.children, run_id)

    async def row(self, run_id: str) -> RunRow | None:
        return await self._do("row", self.store.row, run_id)

    async def rows(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        return await self._do("rows", self.store.rows, status, agent, tenant, limit)

    async def ended(
        self, before: float, statuses: Iterable[str], *, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        return await self._do("ended", self.store.ended, before, set(statuses), agent, tenant, limit)

    async def next_due(self, agents: Iterable[str], now: float) -> float | None:
        return await self._do("next_due", self.store.next_due, list(agents), now)

    async def turn_schedule(self, turn: Turn) -> bool:
        return await self._do("turn_schedule", self.store.schedules.turn, turn)

    async def remove_schedule(self, name: str) -> bool:
        return await self._do("remove_schedule", self.store.schedules.remove, name)

    async def schedules(self, name: str | None = None) -> list[Standing]:
        return await self._do("schedules", self.store.schedules.listed, name)

    async def due_schedules(self, agents: Iterable[str], now: float, limit: int) -> tuple[list[Standing], float | None]:
        return await self._do("due_schedules", self.store.schedules.due, list(agents), now, limit)

    async def firings(self, name: str, limit: int = FIRINGS_MAX) -> list[Firing]:
        return await self._do("firings", self.store.schedules.firings, name, limit)

    async def memories(
        self, tenant: str | None = None, thread: str | None = None, *,
        query: str | None = None, history: bool = False, limit: int = MEMORIES_MAX,
    ) -> list[Memory]:  # fmt: skip
        return await self._do("memories", self.store.memories.listed, tenant, thread, query, history, limit)

    async def memory(self, memory_id: str) -> Memory | None:
        return await self._do("memory", self.store.memories.one, memory_id)

    async def correct_memory(self, memory_id: str, value: Any, by: str, at: float) -> Memory | None:
        return await self._do("correct_memory", self._noted, self.store.memories.correct, memory_id, value, by, at)

    async def forget(
        self, by: str, at: float, *, memory_id: str | None = None, tenant: str = "", thread: str | None = None
    ) -> int:
        return await self._do("forget", self._noted, self.store.memories.forget, by, at, memory_id, tenant, thread)

    def _noted(self, work: Callable[..., T], *args: Any) -> T:
        self.store.writes += 1
        return work(*args)

    # --- what people are asked ------------------------------------------------------------------------------------

    async def inbox(self, wanted: InboxFilter, now: float) -> list[OpenInterrupt]:
        return await self._do("inbox", self.store.inbox.listed, wanted, now)

    async def inbox_count(self, wanted: InboxFilter, now: float) -> int:
        return await self._do("inbox_count", self.store.inbox.count, wanted, now)

    async def open_interrupt(self, run_id: str, interrupt: str) -> OpenInterrupt | None:
        return await self._do("open_interrupt", self.store.inbox.one, run_id, interrupt)

    async def claim_interrupt(self, run_id: str, interrupt: str, by: str, now: float, until: float) -> OpenInterrupt | None:
        return await self._do("claim_interrupt", self.store.inbox.claim, run_id, interrupt, by, now, until)

    async def saw(self, run_id: str, interrupt: str, by: str, at: float) -> None:
        await self._do("saw", self.store.inbox.saw, run_id, interrupt, by, at)

    async def seen_at(self, run_id: str, interrupt: str, by: str) -> float | None:
        return await self._do("seen_at", self.store.inbox.seen_at, run_id, interrupt, by)

    async def judged(self, wanted: JudgedFilter) -> list[Judged]:
        return await self._do("judged", self.store.inbox.judged, wanted)

    async def grant(self, approval: StandingApproval) -> int:
        return await self._do("grant", self.store.inbox.grant, approval)

    async def revoke(self, approval_id: str, by: str, at: float) -> StandingApproval | None:
        return await self._do("revoke", self.store.inbox.revoke, approval_id, by, at)

    async def standing_approvals(self, now: float | None = None) -> list[StandingApproval]:
        return await self._do("standing_approvals", self.store.inbox.approvals, now)

    # --- people and what they are told ----------------------------------------------------------------------------

    async def people(self) -> list[Person]:
        return await self._do("people", self.store.notices.people)

    async def put_person(self, person: Person) -> None:
        await self._do("put_person", self._noted, self.store.notices.put_person, person)

    async def remove_person(self, name: str) -> bool:
        return await self._do("remove_person", self._noted, self.store.notices.remove_person, name)

    async def tell(self, notices: Iterable[Notice]) -> None:
        await self._do("tell", self._noted, self.store.notices.keep, tuple(notices))

    async def claim_notices(self, channel: str, now: float, lease_seconds: float, limit: int) -> list[Sending]:
        return await self._do("claim_notices", self.store.claim_notices, channel, now, lease_seconds, limit)

    async def settle_notice(
        self, notice_id: str, channel: str, *, sent_at: float | None = None, next_at: float | None = None, error: str = ""
    ) -> None:
        settle = self.store.notices.settle
        await self._do("settle_notice", self._noted, settle, notice_id, channel, sent_at, next_at, error)

    async def notices(self, run_id: str | None = None, limit: int = NOTICES_MAX) -> list[Sent]:
        return await self._do("notices", self.store.notices.listed, run_id, limit)

    # --- workers and checkpoints ----------------------------------------------------------------------------------

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
