"""Rulings: what was decided between the effects, and why."""

from __future__ import annotations

from typing import Any, Literal

from holdfast.core.events.base import Event, Failure, InterruptKind, InterruptSubject, Option
from holdfast.core.ladder import Ladder
from holdfast.core.plan import Step
from holdfast.core.policy import Ruling
from holdfast.core.thinking import Question


class RetryRuled(Event, frozen=True, kw_only=True):
    """The call failed and is made again, not before due_at (seconds since the epoch)."""

    step: str
    due_at: float
    reason: str


class RecoveryRuled(Event, frozen=True, kw_only=True):
    """A row of the recovery table was applied to a call in doubt. due_at: what follows is not done before then. spent:
    no attempt is left, whatever the doubt turns out to be."""

    step: str
    row: str
    action: Literal["repeat", "probe", "take", "fail", "ask"]
    reason: str
    due_at: float = 0.0
    spent: bool = False


class FallbackRuled(Event, frozen=True, kw_only=True):
    """The next fallback of the step takes over."""

    step: str
    tool: str
    reason: str


class ReuseRuled(Event, frozen=True, kw_only=True):
    """The step is the same call, by its business key, as one that is done: its result is taken."""

    step: str
    same_as: str


class StepSkipped(Event, frozen=True, kw_only=True):
    """The step is given up and the run goes on. flagged: a person is told at the end. needless: it was an alternative, and
    what it would have stood in for is done. told: the reasoner is told, and plans again."""

    step: str
    reason: str
    flagged: bool = False
    needless: bool = False
    told: bool = False


class PendingRuled(Event, frozen=True, kw_only=True):
    """What follows for something that is owed, by a row of the table in `core/pending.py`: it is settled or failed; or its
    deadline is over, and it counts as failed, is made again under a new key, given up, or put to a person."""

    step: str
    row: str
    action: Literal["settle", "fail", "repeat", "give_up", "ask"]
    reason: str


class RestPlanned(Event, frozen=True, kw_only=True):
    """What a part of a step left undone becomes a step of its own; so does an intended repeat, and the call that takes back
    what a step did before a fallback of it takes over."""

    step: str
    rest: Step


class FollowUpSuppressed(Event, frozen=True, kw_only=True):
    """The step would repeat what is still owed, or under way: it is not made. same_as: the step that it repeats; run_id: of
    another run of the store where it is there. until: when what is owed must have come."""

    step: str
    same_as: str = ""
    run_id: str = ""
    until: float | None = None
    reason: str = ""


class CallHeld(Event, frozen=True, kw_only=True):
    """The tool may not be called now: its circuit is open, or its rate is used up. until: when it is tried again."""

    step: str
    tool: str
    why: Literal["circuit", "rate"]
    until: float


class CallRefused(Event, frozen=True, kw_only=True):
    """The very same call failed before and nothing has changed since: it is not made. same_as: the step in which it failed."""

    step: str
    same_as: str
    failure: Failure


class UndoPlanned(Event, frozen=True, kw_only=True):
    """The run stops, and what it did is taken back. steps: the calls for it, in order. kept: steps that cannot be undone."""

    reason: str
    steps: tuple[Step, ...] = ()
    kept: tuple[str, ...] = ()


class StepFailed(Event, frozen=True, kw_only=True):
    """The step is given up and the run with it."""

    step: str
    reason: str


class Asked(Event, frozen=True, kw_only=True):
    """A person must decide. digest: of what they are shown; an answer counts for that and nothing else. asks: what
    the reasoner wants to know. facts: the ones that it is about. ruling: of the policy, where one asks. who: roles or names of
    those who may decide (empty: anybody); not_by: those who refused the same before, and are not asked again. people: how many
    different ones must approve. ladder: by which they are asked; rung: the first one that is. amount: what it is about, in the
    unit of its tool. calls: of a plan, the calls that an approval covers, by step, with the digest of each."""

    interrupt: str
    kind: InterruptKind
    about: InterruptSubject
    question: str
    options: tuple[Option, ...]
    digest: str
    expires_at: float
    step: str = ""
    tool: str = ""
    args: dict[str, Any] = {}
    asks: Question | None = None
    facts: tuple[str, ...] = ()
    ruling: Ruling | None = None
    who: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ()
    people: int = 1
    ladder: Ladder | None = None
    rung: int = 0
    amount: float | None = None
    calls: dict[str, str] = {}


class InterruptExpired(Event, frozen=True, kw_only=True):
    """Nobody answered in time: the default holds. Silence never means yes."""

    interrupt: str


class LimitReached(Event, frozen=True, kw_only=True):
    """A bound of the run is reached: it stops with what is done."""

    limit: str
    allowed: float


class RunCompleted(Event, frozen=True, kw_only=True):
    """skipped, flagged, partial: the steps that are not wholly done. replaced: steps that were done another way, and by
    what: the tool of a fallback, or the step that stood in. outdated: steps that rest on what turned out not to be so. guessed:
    facts that nobody confirmed."""

    result: Any = None
    skipped: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    replaced: dict[str, str] = {}
    outdated: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()


class RunFailed(Event, frozen=True, kw_only=True):
    """unknown: steps of which nobody knows whether they happened. undone: steps that were taken back; kept: steps that stay
    done."""

    reason: str
    unknown: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class RunCancelled(Event, frozen=True, kw_only=True):
    """See RunFailed."""

    by: str
    reason: str = ""
    unknown: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
