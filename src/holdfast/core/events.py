"""What happened: one frozen record each. A journal is a list of these and nothing else.

Events are past tense. *Intents* are written before an effect, *outcomes* after it, *rulings* are what was decided in
between and why; the rest are words from outside (start, answers, cancel). An `Entry` is an event with its place:
sequence, time, and the fence of the claim it was written under.

The name on disk is the class name in snake case (`call_intended`). A shape that changes gets a new class with a
version in its name and an upcast in `journal/codec.py`; fields with a default may be added freely.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from holdfast.core.contract import Contract, Difference
from holdfast.core.limits import Limits
from holdfast.core.plan import Goal, Plan, Step

FailureKind = Literal[
    "transient", "rate_limited", "invalid_input", "invalid_output", "insufficient", "not_found", "conflict", "denied",
    "unavailable", "crashed", "too_expensive", "overdue", "failed_later",
]  # fmt: skip
Verdict = Literal["happened", "not_happened", "not_yet", "cannot_tell"]
InterruptKind = Literal["approval", "question", "escalation", "handoff"]
InterruptSubject = Literal["call", "doubt", "failure", "owed", "agent", "stop"]
OnStop = Literal["keep", "undo", "ask"]
DecisionName = Literal["approve", "edit", "reject", "respond", "cancel"]


# The detail of a failure that is a person's refusal, or their silence: no fallback and no further question follows.
BY_A_PERSON = "by a person"


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a call failed, as data. retry_after_seconds: what the other side asked for, counted from the outcome. landed: the
    call had its effect all the same; it is its result that will not do."""

    kind: FailureKind
    message: str = ""
    retry_after_seconds: float | None = None
    detail: Any = None
    landed: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something else that a call changed, as its tool reports it: credit used, a rate limit that is near."""

    name: str
    amount: float = 1.0
    note: str = ""


class Cut(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result was too large, and the value is what was kept of it. bytes: of the whole, as JSON. digest: under which the
    whole is stored; empty where it was not kept."""

    bytes: int
    digest: str = ""


class Option(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that may be answered to an interrupt, and what then follows."""

    decision: DecisionName
    means: str


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="event", tag=_tag):
    """Base of all events."""


# --- words from outside -------------------------------------------------------------------------------------------


class RunStarted(Event, frozen=True, kw_only=True):
    """A goal was taken on. contracts: what each tool promised then. secrets: names that are never written down, beside
    those that never are. on_stop: what becomes of what was done when the run fails or is cancelled. parent, parent_step:
    the run and step that started it; depth: how many runs are above it."""

    run_id: str
    agent: str
    goal: Goal
    contracts: tuple[Contract, ...]
    agent_version: str = ""
    limits: Limits = Limits()
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    on_stop: OnStop = "keep"
    parent: str = ""
    parent_step: str = ""
    depth: int = 0


class RunResumed(Event, frozen=True, kw_only=True):
    """A worker took the run on under a new claim. Open intents of older fences are in doubt from here."""

    worker: str


class AgentChanged(Event, frozen=True, kw_only=True):
    """The agent's tools are not what the run started with. contracts: what they promise now."""

    differences: tuple[Difference, ...]
    contracts: tuple[Contract, ...]
    weaker: bool = False


class CancelRequested(Event, frozen=True, kw_only=True):
    """Somebody wants the run to end. Effects at hand are finished, nothing new begins. on_stop: what is to become of what
    was done; None leaves it to the run's policy."""

    by: str
    reason: str = ""
    on_stop: OnStop | None = None


class Answered(Event, frozen=True, kw_only=True):
    """A person decided. value: the edited arguments, or the result given in place of the tool's."""

    interrupt: str
    decision: DecisionName
    by: str
    value: Any = None
    note: str = ""


class AnswerVoided(Event, frozen=True, kw_only=True):
    """An answer came that could not be taken any more."""

    interrupt: str
    by: str
    reason: str


class CallbackReceived(Event, frozen=True, kw_only=True):
    """The other side delivered the result of a call by its token. key: of that call. failure: it says that it could not be
    done, or what it delivered will not do."""

    step: str
    key: str
    value: Any = None
    failure: Failure | None = None
    by: str = ""


class CallbackRefused(Event, frozen=True, kw_only=True):
    """A delivery that could not be taken: a second one, or one that came too late."""

    step: str
    reason: str
    by: str = ""


class SignalReceived(Event, frozen=True, kw_only=True):
    """A word by name, from a person or a system; it settles what waits for that name, now or later."""

    name: str
    value: Any = None
    by: str = ""


class ChildEnded(Event, frozen=True, kw_only=True):
    """A run that a step started has ended. attempts: the calls that it made. failure: why its result is not what the step
    expects."""

    step: str
    child: str
    status: Literal["completed", "failed", "cancelled"]
    result: Any = None
    reason: str = ""
    attempts: int = 0
    partial: tuple[str, ...] = ()
    failure: Failure | None = None


# --- intents ------------------------------------------------------------------------------------------------------


class ProposalRequested(Event, frozen=True, kw_only=True):
    """The reasoner is about to be asked."""

    turn: int


class CallIntended(Event, frozen=True, kw_only=True):
    """A tool is about to be called. granted: for one that starts a run, the most that this one may use."""

    step: str
    attempt: int
    tool: str
    key: str
    args: dict[str, Any] = {}
    granted: Limits | None = None


class ProbeIntended(Event, frozen=True, kw_only=True):
    """The tool is about to be asked whether the call of this step happened."""

    step: str
    probe: int


# --- outcomes -----------------------------------------------------------------------------------------------------


class PlanAdopted(Event, frozen=True, kw_only=True):
    """A proposal that is sound. In a later revision, `plan.steps` are the new ones and `dropped` those given up."""

    turn: int
    revision: int
    plan: Plan
    reason: str = ""
    dropped: tuple[str, ...] = ()


class ProposalFailed(Event, frozen=True, kw_only=True):
    """The reasoner failed, or what it proposed is not sound; `problems` are shown to it when it is asked again."""

    turn: int
    problems: tuple[str, ...]


class FinishProposed(Event, frozen=True, kw_only=True):
    """The reasoner says that the goal is reached."""

    turn: int
    result: Any = None


class GiveUpProposed(Event, frozen=True, kw_only=True):
    """The reasoner says that the goal cannot be reached."""

    turn: int
    reason: str


class CallSucceeded(Event, frozen=True, kw_only=True):
    """value: what came back, fitting the output schema. seconds: how long the call took."""

    step: str
    attempt: int
    value: Any = None
    seconds: float = 0.0
    changes: tuple[Change, ...] = ()
    cut: Cut | None = None


class CallPartial(Event, frozen=True, kw_only=True):
    """Some of it was done. value: that part. left: what is still owed, an identity per item. rest: arguments of the call that
    does the rest; None: the other side will do it by itself, until then. by: who owes it. handle: its name for it."""

    step: str
    attempt: int
    value: Any = None
    left: tuple[str, ...] = ()
    rest: dict[str, Any] | None = None
    until: float | None = None
    by: str = ""
    handle: str = ""
    signal: str = ""
    changes: tuple[Change, ...] = ()
    cut: Cut | None = None


class CallDeferred(Event, frozen=True, kw_only=True):
    """The other side took the call and will be done later. handle: its name for it. by: who owes the result. signal: the
    name of the word that settles it; its step's where none is given."""

    step: str
    attempt: int
    handle: str = ""
    until: float | None = None
    by: str = ""
    signal: str = ""
    changes: tuple[Change, ...] = ()


class CallFailed(Event, frozen=True, kw_only=True):
    """The call failed, and its effect did not happen (unless `failure.landed`)."""

    step: str
    attempt: int
    failure: Failure
    changes: tuple[Change, ...] = ()


class CallUnknown(Event, frozen=True, kw_only=True):
    """Whether the effect happened is not known. crashed: its worker was lost, not the call alone."""

    step: str
    attempt: int
    why: str
    crashed: bool = False


class ProbeAnswered(Event, frozen=True, kw_only=True):
    """What the probe found; value: the call's result where it happened. failure: it happened, and its result will not do; or,
    asked for what is owed, the other side says that it failed. left: what is still owed of a part. cut: as for a call."""

    step: str
    probe: int
    verdict: Verdict
    value: Any = None
    message: str = ""
    failure: Failure | None = None
    left: tuple[str, ...] | None = None
    cut: Cut | None = None


# --- rulings ------------------------------------------------------------------------------------------------------


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
    what it would have stood in for is done."""

    step: str
    reason: str
    flagged: bool = False
    needless: bool = False


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
    """A person must decide. digest: of what they are shown; an answer counts for that and nothing else."""

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


class InterruptExpired(Event, frozen=True, kw_only=True):
    """Nobody answered in time. Silence never means yes."""

    interrupt: str


class LimitReached(Event, frozen=True, kw_only=True):
    """A bound of the run is reached: it stops with what is done."""

    limit: str
    allowed: float


class RunCompleted(Event, frozen=True, kw_only=True):
    """skipped, flagged, partial: the steps that are not wholly done. replaced: steps that were done another way, and by
    what: the tool of a fallback, or the step that stood in."""

    result: Any = None
    skipped: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    replaced: dict[str, str] = {}


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


AnyEvent = (
    RunStarted | RunResumed | AgentChanged | CancelRequested | Answered | AnswerVoided
    | CallbackReceived | CallbackRefused | SignalReceived | ChildEnded
    | ProposalRequested | CallIntended | ProbeIntended
    | PlanAdopted | ProposalFailed | FinishProposed | GiveUpProposed
    | CallSucceeded | CallPartial | CallDeferred | CallFailed | CallUnknown | ProbeAnswered
    | RetryRuled | RecoveryRuled | FallbackRuled | ReuseRuled | StepSkipped | StepFailed | Asked | InterruptExpired
    | PendingRuled | RestPlanned | FollowUpSuppressed | CallHeld | CallRefused | UndoPlanned
    | LimitReached | RunCompleted | RunFailed | RunCancelled
)  # fmt: skip

INTENTS: tuple[type[Event], ...] = (ProposalRequested, CallIntended, ProbeIntended)
OUTCOMES: tuple[type[Event], ...] = (
    PlanAdopted, ProposalFailed, FinishProposed, GiveUpProposed,
    CallSucceeded, CallPartial, CallDeferred, CallFailed, CallUnknown, ProbeAnswered,
)  # fmt: skip


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event in its place. sequence: from 1. at: seconds since the epoch. fence: of the claim that wrote it."""

    sequence: int
    at: float
    fence: int
    event: AnyEvent
