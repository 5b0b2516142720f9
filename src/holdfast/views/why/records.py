"""What an explanation is made of. Everything in it comes from the journal; numbers of entries say where to look.

Values are whole where something is bound to them (arguments, what people were shown) and cut where they are only told. Times are
in seconds since the epoch. An empty text, and an entry of 0, say that there is nothing to say.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from holdfast.core.policy import Ruling
from holdfast.views.interrupts import Origin, Remark
from holdfast.views.minds import SpentView, TurnView

Basis = Literal["plan", "ruling", "word", "outcome", "outside"]
Planner = Literal["plan", "function", "model", "part", "undo", "observation", "check"]


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One link of a chain of causes: an entry, and what it says. step: that it is about. told: it stands in the first line."""

    entry: int
    at: float
    event: str
    said: str
    step: str = ""
    told: bool = False


class Brought(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What brought a step: the `plan` that the run was given, a `function`, a `model`; what a `part` left, or a repeat; the
    `undo` of what was done; the `observation` of a fact anew; the `check` of a result. reason: that was given for it.
    confidence: of the step, as whoever planned it said. beside: steps that came with it, the first few. refused: other calls of
    the same turn that were not taken, and why. otherwise: what else there was to do where it fails, in words. of: the step that
    it is for. dropped: what a plan before had, and this one gave up."""

    entry: int
    at: float
    by: Planner
    revision: int = 0
    turn: int = 0
    model: str = ""
    reason: str = ""
    confidence: float = 1.0
    beside: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    of: str = ""
    dropped: tuple[str, ...] = ()


class FactThen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact as it was believed when a call was decided. fresh: it could be acted on then. guess: nobody had confirmed it.
    direct: the call rests on it itself, not by way of another. later: what became of it since, in words; later_entry: where."""

    name: str
    value: Any
    source: str
    by: str
    at: float
    age_seconds: float
    fresh: bool
    guess: bool = False
    direct: bool = True
    confidence: float = 1.0
    rests_on: tuple[str, ...] = ()
    basis: str = ""
    confirmed_by: str = ""
    later: str = ""
    later_at: float | None = None
    later_entry: int = 0


class BudgetThen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The budget when a call was decided, before it. held_usd, held_tokens: for what else was under way. for_this: the most that
    this may cost. left: after all that; None where there is no limit. calls: made before it."""

    spent_usd: Decimal
    held_usd: Decimal
    for_this_usd: Decimal
    left_usd: Decimal | None
    spent_tokens: int
    held_tokens: int
    for_this_tokens: int
    left_tokens: int | None
    calls: int
    calls_max: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call. because: what led to it, the ruling or else the plan, with the entry that says so; basis: of what kind that is;
    row: of the table that ruled it. key, args: of the call; same_args: they are those of the attempt before, and are not
    repeated here. origins, facts, budget: as they were then; nothing of them where they are as before.

    outcome: `ok`, `partial`, `deferred`, `failed`, `unknown`, or `open`. after_seconds: from intent to outcome. said: of the
    outcome, in words; then: what was ruled on it, in words, with then_entry. of_source: the source of the fork made it."""

    number: int
    entry: int
    at: float
    tool: str
    key: str
    safety: str
    because: str
    because_entry: int
    basis: Basis
    row: str = ""
    args: dict[str, Any] = {}
    same_args: bool = False
    same_key: bool = False
    origins: tuple[Origin, ...] = ()
    facts: tuple[FactThen, ...] = ()
    budget: BudgetThen | None = None
    outcome: str = "open"
    outcome_entry: int = 0
    ended_at: float | None = None
    after_seconds: float | None = None
    said: str = ""
    then: str = ""
    then_entry: int = 0
    of_source: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question to people, and what came of it. rule: that wanted it, in words. shown: the whole arguments that they saw, and
    digest: what their word is bound to. rungs: who was asked next, and when, in words; reminded: how often in all. approvals:
    who had said yes before the last word, with their notes. ended: `answered`, `expired`, `withdrawn`, `settled` (by what came
    meanwhile), or `open`. by, decision, note, standing: of the answer; after_seconds: how long it took; seen_at: when they
    first saw it. voided: answers that could not be taken."""

    interrupt: str
    kind: str
    about: str
    question: str
    entry: int
    at: float
    expires_at: float
    rule: str = ""
    who: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ()
    people: int = 1
    tool: str = ""
    shown: dict[str, Any] = {}
    digest: str = ""
    amount: float | None = None
    facts: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    reminded: int = 0
    rungs: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    comments: tuple[Remark, ...] = ()
    voided: tuple[str, ...] = ()
    ended: Literal["open", "answered", "expired", "withdrawn", "settled"] = "open"
    decision: str = ""
    by: str = ""
    note: str = ""
    value: Any = None
    standing: str = ""
    bulk: bool = False
    seen_at: float | None = None
    ended_at: float | None = None
    ended_entry: int = 0
    after_seconds: float | None = None
    why_ended: str = ""


class Ruled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a policy ruled on a call without asking a person, or what it asked by. checks: what functions said, in words."""

    entry: int
    at: float
    said: str
    ruling: Ruling
    checks: str = ""


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why something did not happen at once: what for, from when to when (None: still)."""

    why: str
    since: float
    until: float | None = None
    entry: int = 0


class StepWhy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step, explained. said: the whole of it in one sentence. phase: in people's words. args: as it was called last, or as it
    is planned. brought: why it is there. origins, facts, budget: of the last call that has its own; where none was made, as
    things were when it ended. ruled, asks: what policies and people said. turn: of the model that planned it, with words: what it
    said then, cut; they are foreign. waits: in order. rulings: what was ruled and found out, where no attempt has it. ended: how
    it ended, by whom or what; ended_entry: where. result: cut. followed: what fell with it, or came of it, as far as that is
    near. child: the run that it started. related: other steps that have to do with it, in words. of_source: the source of the
    fork ended it."""

    step: str
    tool: str
    phase: str
    said: str
    args: dict[str, Any]
    safety: str = ""
    attempts_max: int = 0
    key: str = ""
    brought: Brought | None = None
    origins: tuple[Origin, ...] = ()
    facts: tuple[FactThen, ...] = ()
    budget: BudgetThen | None = None
    attempts: tuple[Attempt, ...] = ()
    ruled: tuple[Ruled, ...] = ()
    asks: tuple[Ask, ...] = ()
    turn: TurnView | None = None
    words: str = ""
    waits: tuple[Wait, ...] = ()
    rulings: tuple[Link, ...] = ()
    ended: str = ""
    ended_entry: int = 0
    ended_at: float | None = None
    result: str = ""
    followed: tuple[Link, ...] = ()
    child: str = ""
    related: tuple[str, ...] = ()
    of_source: bool = False


class StepLine(msgspec.Struct, frozen=True, kw_only=True):
    """A step in one line."""

    step: str
    tool: str
    phase: str
    said: str


class EntryWhy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry, explained: what it says, what it came from (the nearest first), and what came of it."""

    entry: int
    at: float
    event: str
    said: str
    fields: str
    chain: tuple[Link, ...] = ()
    followed: tuple[Link, ...] = ()
    step: str = ""
    fence: int = 0


class ForkWhy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a fork comes from. entries: that it took over; done: steps that its source had done by then."""

    source: str
    entries: int
    entry: int
    at: float
    mode: str
    by: str = ""
    reason: str = ""
    done: tuple[str, ...] = ()


class Why(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a run is as it is at `at`. first: the one sentence that is needed first, from how it stands back to the first cause;
    chain: the same, link by link, the last entry first; of a step, where one was asked about, its own. steps: in full, those that
    were asked for, or those on the chain. others: the rest in a line each, what did not go as planned first; others_more: how
    many more there are. entry: where one was asked about."""

    run_id: str
    agent: str
    status: str
    at: float
    started_at: float
    entries: int
    goal: str
    first: str
    chain: tuple[Link, ...] = ()
    steps: tuple[StepWhy, ...] = ()
    others: tuple[StepLine, ...] = ()
    others_more: int = 0
    steps_in_all: int = 0
    asks: tuple[Ask, ...] = ()
    entry: EntryWhy | None = None
    fork: ForkWhy | None = None
    parent: str = ""
    parent_step: str = ""
    children: tuple[str, ...] = ()
    spent: SpentView = SpentView()
