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

from holdfast.core.contract import Breaker, Rate
from holdfast.core.events import AnyEvent, Entry
from holdfast.core.gates import GateState, Outcome, Why
from holdfast.core.memory import Memory
from holdfast.core.schedule import Firing, Standing
from holdfast.core.state import Status
from holdfast.journal.keeping import Keeping
from holdfast.journal.keeping import StoredBatch as StoredBatch
from holdfast.journal.people import Decided, Judged, Notice, OpenInterrupt, PeopleStore

MessageKind = Literal[
    "answer", "cancel", "callback", "refused", "signal", "child", "correct", "goal", "comment", "pause", "resume", "instruct",
    "handoff", "done",
]  # fmt: skip
# How many refused deliveries of one token are recorded; whoever has a token must not be able to fill a store with it.
REFUSALS_MAX = 10
# How many times of a schedule are remembered, with what became of each; those that wait are not counted.
FIRINGS_MAX = 1000
# How many memories are listed where it is not said.
MEMORIES_MAX = 1000
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
    """A run to be created. goal_digest: of agent, goal and inputs; a second start must have the same. parent, parent_step:
    the run that waits for it; ends_with_parent: whether it is cancelled when that one ends, or at once where it has ended."""

    run_id: str
    agent: str
    goal_digest: str
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    parent: str = ""
    parent_step: str = ""
    ends_with_parent: bool = True


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
    """One of `capacity` places that calls of all workers share, held by a step of the appending run until freed. until: it
    outlives the call, and even the run, until it is settled or that time is over; None: it is freed when the call has ended.
    A step that asks for a slot it holds already keeps it, with the new `until`."""

    name: str
    step: str
    capacity: int
    until: float | None = None


class Gated(msgspec.Struct, frozen=True, kw_only=True):
    """`calls` calls of a tool with a rate or a breaker are about to be made. turn: the time that the run was told when one of
    them was refused."""

    tool: str
    calls: int
    turn: float | None = None
    rate: Rate | None = None
    breaker: Breaker | None = None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """How a call of a tool with a breaker or a rate ended, as far as its gate is concerned. retry_after_seconds: the other
    side asked to be left alone for so long."""

    tool: str
    outcome: Outcome
    breaker: Breaker | None = None
    retry_after_seconds: float | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of a token by which the result of a call may be delivered, once, until it expires."""

    digest: str
    step: str
    key: str
    expires_at: float


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is owed, as the store lists it. due_at: when it is looked at next."""

    step: str
    tool: str
    about: str
    by: str
    key: str
    since: float
    until: float
    due_at: float
    run_id: str = ""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery by token. refused: why it was not taken; empty where it was."""

    run_id: str
    step: str
    refused: str = ""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The claim is given back. due_at: when the run can go on; None: only after a word from outside, or never. aside: the
    run cannot be advanced, so not even words that wait for it make it due; only a new one does. report: where the run has
    ended and another one waits for it, what that one is told."""

    status: Status
    due_at: float | None
    waits_for: str = ""
    aside: bool = False
    report: dict[str, Any] | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit carries: events and what follows from them for the run's row.

    head: the head that the writer knows. taken: messages that these events answer for. slots: to be taken; when one of them
    is full nothing is written. freed: steps whose calls ended; their slots without `until` are given back. settled: steps
    of which nothing is owed or in doubt any more; all their slots are given back. gated: calls that must pass the gates of
    their tools; where one may not, nothing is written. heard: what these gates learn, before any of these calls. tokens: to
    be known from now on. owed: opened or changed; paid: steps of which nothing is owed any more. contents: large values by
    digest. memories: what the run learned, each kept once by its id; which of a line is in force is found in the same commit
    (`journal/remembering.py`). opened: what is asked, new or changed; a row keeps who has it in hand and its number of
    comments, which `commented` raises by one for each. closed: interrupts that are open no more. judged, decided: rulings, and
    what came of questions. notices: to be told; one with an id that is known is not told again. What is opened and covered by a
    standing approval is answered by it in the same commit (`journal/people.covers`). release: give the claim back with it. When
    the release ends a run, a run that waits for it gets a message of the kind `child`, and its own children that end with it get
    one of the kind `cancel`, all in the same commit.
    """

    run_id: str
    fence: int
    head: Head
    at: float
    events: tuple[AnyEvent, ...]
    taken: tuple[int, ...] = ()
    slots: tuple[Slot, ...] = ()
    freed: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    gated: tuple[Gated, ...] = ()
    heard: tuple[Heard, ...] = ()
    tokens: tuple[Token, ...] = ()
    owed: tuple[Owed, ...] = ()
    paid: tuple[str, ...] = ()
    contents: dict[str, bytes] = {}
    memories: tuple[Memory, ...] = ()
    opened: tuple[OpenInterrupt, ...] = ()
    closed: tuple[str, ...] = ()
    commented: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()
    decided: tuple[Decided, ...] = ()
    notices: tuple[Notice, ...] = ()
    release: Release | None = None


class Full(msgspec.Struct, frozen=True):
    """The answer to an append that asked for what is not to be had now; no event was written.

    names: of the slots that have too few places, and `tool:NAME` for each tool whose gate has room, but for fewer calls.
    free: how many places each of them has; a batch that asks for no more than that would be taken. holders: for each, a run
    that holds one; empty where none is known. held: tools that may not be called now at all, each with the time at which to
    ask again and whether its `circuit` is open or its `rate` used up.
    """

    names: tuple[str, ...] = ()
    free: tuple[int, ...] = ()
    holders: tuple[str, ...] = ()
    held: dict[str, tuple[float, Why]] = {}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A word from outside, kept until the run takes it. slot: at most one message of a run may ever have it."""

    kind: MessageKind
    body: dict[str, Any]
    slot: str | None = None
    id: int = 0
    at: float = 0.0


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows of a run without reading its journal. imported: it came from another store, and is only looked at here.
    source: the run that it is a fork of."""

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
    parent: str = ""
    imported: bool = False
    source: str = ""


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


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit changes of a schedule. standing: as it is from now on; its revision is the one that the writer knows, 0
    for a schedule that is new, and `running` says nothing. firings: what became of its times. begins: the run to be created,
    due at once, with its first events. asked: a run, and the word that asks it to end, where it goes on and nobody did."""

    standing: Standing
    at: float
    firings: tuple[Firing, ...] = ()
    begins: tuple[NewRun, tuple[AnyEvent, ...]] | None = None
    asked: tuple[str, Message] | None = None


class Journal(PeopleStore, Keeping, Protocol):
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

    async def batches(self, run_id: str) -> list[StoredBatch]:
        """The whole journal of a run as it is stored, in order. RunNotFound; JournalCorrupt where the chain does not hold."""

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
        ended or the message's slot was used before (the error names who used it). A word that is no answer, and that was said
        before under the same slot in the very same way, is not put there again: the number of the first is returned, also
        where the run has ended since."""

    async def deliver(self, digest: str, body: dict[str, Any], at: float) -> Delivery:
        """Put a result that came by token into the mailbox of its run, as a message of the kind `callback` with the token's
        key in its body, and make the run due. CallbackUnknown for a token that nobody was given. A used or expired one, or
        one of a run that has ended, is refused and recorded: as a message of the kind `refused`, which a run that goes on
        takes like any other and an ended one keeps. At most REFUSALS_MAX of a token are recorded."""

    async def token(self, digest: str) -> tuple[str, str] | None:
        """The run and step that a token belongs to, or None."""

    async def secret(self) -> bytes:
        """32 random bytes, made with the store and the same for all who open it; tokens are made from them."""

    async def owed(self, run_id: str | None = None, *, due_before: float | None = None, limit: int = 1000) -> list[Owed]:
        """What is owed, the soonest due first; of one run, or of all. due_before: what is due by then; a time that is that very
        one counts. Nothing for a run that has ended."""

    async def gates(self) -> dict[str, GateState]:
        """What the store knows of the gates of tools."""

    async def reset_gate(self, tool: str) -> bool:
        """Forget what is known of a tool's gate; whether there was anything."""

    async def content(self, digest: str) -> bytes | None:
        """A large value by the digest of its JSON."""

    async def children(self, run_id: str) -> list[RunRow]:
        """The runs that this one started, in the order in which they were created."""

    async def messages(self, run_id: str) -> list[Message]:
        """Messages not yet taken, in order."""

    async def mailboxes(self) -> set[str]:
        """The runs that go on and have messages not yet taken."""

    async def row(self, run_id: str) -> RunRow | None:
        """One run, or None."""

    async def rows(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        """Runs, the latest changed first."""

    async def ended(
        self, before: float, statuses: Iterable[str], *, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        """Runs that ended before a time, in one of these statuses, the longest ended first."""

    async def next_due(self, agents: Iterable[str], now: float) -> float | None:
        """When the next run of these agents is due or its lease ends; None where nothing is to come."""

    async def turn_schedule(self, turn: Turn) -> bool:
        """Write all of a turn, or nothing: False where the schedule has another revision than the writer knows, or is gone.
        GoalMismatch, and nothing is written, where the id of the run belongs to another run; one that is the same is begun."""

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule and its firings; its runs stay. Whether there was one."""

    async def schedules(self, name: str | None = None) -> list[Standing]:
        """All schedules, or the one of that name, by name."""

    async def due_schedules(self, agents: Iterable[str], now: float, limit: int) -> tuple[list[Standing], float | None]:
        """Schedules of these agents that are not paused and of which a time has come, or waits while no run goes on; the
        longest due first. And when the next of the others is due by time; None where none is."""

    async def firings(self, name: str, limit: int = FIRINGS_MAX) -> list[Firing]:
        """What became of a schedule's times, the latest first. Of one that is written again, the last holds, and it stays
        caught up."""

    async def memories(
        self,
        tenant: str | None = None,
        thread: str | None = None,
        *,
        query: str | None = None,
        history: bool = False,
        limit: int = MEMORIES_MAX,
    ) -> list[Memory]:
        """What is remembered, of all tenants and threads or of one, the latest first. query: only what has a word of it, what
        has most of it first; it needs a tenant and a thread, and no text is an error in it. history: those that were superseded
        and what is left of forgotten ones as well; without a query."""

    async def memory(self, memory_id: str) -> Memory | None:
        """A memory by its id, in force or not, or what is left of a forgotten one."""

    async def correct_memory(self, memory_id: str, value: Any, by: str, at: float) -> Memory | None:
        """Put another value in place of a memory, or of the one that took over from it: what is in force now. None for one that
        is not there or was forgotten. A value that stands already, put there by a person, changes nothing."""

    async def forget(
        self, by: str, at: float, *, memory_id: str | None = None, tenant: str = "", thread: str | None = None
    ) -> int:
        """Erase memories: one with all of its line, those of a thread, or all of a tenant; how many. What is learned of them
        by then, in runs that end later, is not kept either."""

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


def is_empty(batch: Batch) -> bool:
    """Whether a batch says nothing at all; a store leaves everything as it is then."""
    return not batch.events and not any(getattr(batch, name) for name in _PARTS)


_PARTS = tuple(name for name in Batch.__struct_fields__ if name not in ("run_id", "fence", "head", "at"))
AGEING_SECONDS = 60.0


def rank(due_at: float, priority: int) -> float:
    """Where a due run stands in line: the lowest is next. A level of priority is worth a minute of waiting, so that
    urgent runs go first and nothing starves."""
    return due_at - priority * AGEING_SECONDS
