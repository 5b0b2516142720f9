"""What a store of journals must do, for whoever writes one; `holdfast.testing.journal_suite` checks it.

A journal keeps, for each run, an append-only list of batches of events, a row that says who may advance it and when it
is due, and a mailbox of words from outside. Three rules make the rest of holdfast true:

- `append` is one durable commit: all of its batch or nothing, on the disk before it returns;
- it is refused (`Superseded`) unless the writer holds the latest fence and knows the latest version;
- a claim is given to one worker at a time, and each time with a higher fence.

Times are seconds since the epoch and come from the caller. All methods may raise `JournalUnavailable`; whether a write
that raised it arrived is not known, and the caller must read again before it believes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

from holdfast.core.events import AnyEvent, Entry
from holdfast.core.state import Status

MessageKind = Literal["answer", "cancel"]
# The statuses after which nothing more comes.
ENDED: tuple[Status, ...] = ("completed", "failed", "cancelled")


class Head(msgspec.Struct, frozen=True):
    """Where a run's journal ends: the number of its entries, and the last link of its hash chain."""

    version: int
    link: bytes


EMPTY = Head(0, b"")


class History(msgspec.Struct, frozen=True):
    """Entries in order, and the head they lead to."""

    entries: list[Entry]
    head: Head


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be created. goal_digest: of agent, goal and inputs; a second start must have the same."""

    run_id: str
    agent: str
    goal_digest: str
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The leased right to advance a run. fence grows with each claim; until: when the lease ends. version: how many
    entries the run had when it was claimed."""

    run_id: str
    agent: str
    fence: int
    worker: str
    until: float
    version: int = 0


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One of `capacity` places that calls of all workers share, held by a step of the appending run until freed."""

    name: str
    step: str
    capacity: int


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The claim is given back. due_at: when the run can go on; None: only after a word from outside, or never. aside: the
    run cannot be advanced, so not even words that wait for it make it due; only a new one does."""

    status: Status
    due_at: float | None
    waits_for: str = ""
    aside: bool = False


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit carries: events and what follows from them for the run's row.

    head: the head that the writer knows. taken: messages that these events answer for. slots: to be taken; when one of
    them is full nothing is written. freed: steps whose slots are given back. release: give the claim back with it.
    """

    run_id: str
    fence: int
    head: Head
    at: float
    events: tuple[AnyEvent, ...]
    taken: tuple[int, ...] = ()
    slots: tuple[Slot, ...] = ()
    freed: tuple[str, ...] = ()
    release: Release | None = None


class Full(msgspec.Struct, frozen=True):
    """The answer to an append whose slots are taken; nothing was written. names: of those that have too few places. free:
    how many places each of them has; a batch that asks for no more than that would be taken."""

    names: tuple[str, ...]
    free: tuple[int, ...]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A word from outside, kept until the run takes it. slot: at most one message of a run may ever have it."""

    kind: MessageKind
    body: dict[str, Any]
    slot: str | None = None
    id: int = 0
    at: float = 0.0


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows of a run without reading its journal."""

    run_id: str
    agent: str
    goal_digest: str
    tenant: str
    priority: int
    labels: dict[str, str]
    status: Status
    waits_for: str
    due_at: float | None
    version: int
    fence: int
    worker: str
    lease_until: float
    created_at: float
    changed_at: float


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process that advances runs. agents: those it has loaded."""

    name: str
    agents: tuple[str, ...]
    seen_at: float


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A derived snapshot of the state at a head; may be deleted at any time."""

    head: Head
    form: str
    body: bytes


class Journal(Protocol):
    """A store of journals. See the module's text for the rules."""

    async def open(self) -> None:
        """Make it ready; creates the store where there is none. JournalTooNew for one of a later release."""

    async def close(self) -> None:
        """Let go of everything. What was appended stays."""

    async def create(
        self, run: NewRun, events: tuple[AnyEvent, ...], at: float, *, worker: str = "", lease_seconds: float = 0.0
    ) -> Claim | None:
        """Begin a run with its first batch, claimed by `worker` (or by nobody, and due). None if the id is taken."""

    async def append(self, batch: Batch) -> Head | Full:
        """Write a batch; the new head, or Full. Superseded when fence or version are not the latest."""

    async def read(self, run_id: str, after: Head = EMPTY) -> History:
        """Entries after a head. RunNotFound; JournalCorrupt where the chain does not hold."""

    async def claim_due(self, worker: str, agents: Iterable[str], now: float, lease_seconds: float, limit: int) -> list[Claim]:
        """Claim runs of these agents that are due and free, the most urgent first (priority, with ageing)."""

    async def claim(self, run_id: str, worker: str, now: float, lease_seconds: float) -> Claim | None:
        """Claim this run if it is free and not ended, due or not."""

    async def extend(self, claims: Iterable[Claim], until: float) -> list[Claim]:
        """Heartbeat: make leases last until then. Returns the claims that still hold, with their new end."""

    async def holds(self, claim: Claim) -> bool:
        """Whether nobody has claimed the run since."""

    async def release(self, claim: Claim, release: Release) -> None:
        """Give a claim back without writing. Nothing happens where it is lost already."""

    async def send(self, run_id: str, message: Message) -> int:
        """Put a message into a run's mailbox and make the run due. RunNotFound; AnswerRefused where the run has
        ended or the message's slot was used before (the error names who used it)."""

    async def messages(self, run_id: str) -> list[Message]:
        """Messages not yet taken, in order."""

    async def mailboxes(self) -> set[str]:
        """The runs that have messages not yet taken."""

    async def row(self, run_id: str) -> RunRow | None:
        """One run, or None."""

    async def rows(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        """Runs, the latest changed first."""

    async def next_due(self, agents: Iterable[str], now: float) -> float | None:
        """When the next run of these agents is due or its lease ends; None where nothing is to come."""

    async def seen(self, worker: Worker) -> None:
        """Note that a worker is alive."""

    async def workers(self, since: float) -> list[Worker]:
        """Workers seen since then."""

    async def keep(self, run_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in place of the last one. May do nothing."""

    async def checkpoint(self, run_id: str) -> Checkpoint | None:
        """The last one kept, if any."""

    async def stamp(self) -> object:
        """A value that differs when anybody wrote since it was last asked for; cheap, for pollers."""


AGEING_SECONDS = 60.0


def rank(due_at: float, priority: int) -> float:
    """Where a due run stands in line: the lowest is next. A level of priority is worth a minute of waiting, so that
    urgent runs go first and nothing starves."""
    return due_at - priority * AGEING_SECONDS
