"""Effects: what is written before one (its intent), and what came of it (its outcome)."""

from __future__ import annotations

from typing import Any

from holdfast.core.events.base import Change, Cut, Event, Failure, Verdict
from holdfast.core.limits import Limits
from holdfast.core.models import Reserved, Usage
from holdfast.core.plan import Plan

# --- intents ------------------------------------------------------------------------------------------------------


class CallIntended(Event, frozen=True, kw_only=True):
    """A tool is about to be called. granted: for one that starts a run, the most that this one may use. reserved: the most that
    the call may cost. anew: it failed before, and other things are believed since: it is another call, under a key of its
    own."""

    step: str
    attempt: int
    tool: str
    key: str
    args: dict[str, Any] = {}
    granted: Limits | None = None
    reserved: Reserved | None = None
    anew: bool = False


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
    """value: what came back, fitting the output schema. seconds: how long the call took. spent: what it cost; None: what was
    declared."""

    step: str
    attempt: int
    value: Any = None
    seconds: float = 0.0
    changes: tuple[Change, ...] = ()
    spent: Usage | None = None
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
    spent: Usage | None = None
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
    spent: Usage | None = None


class CallFailed(Event, frozen=True, kw_only=True):
    """The call failed, and its effect did not happen (unless `failure.landed`)."""

    step: str
    attempt: int
    failure: Failure
    changes: tuple[Change, ...] = ()
    spent: Usage | None = None


class CallUnknown(Event, frozen=True, kw_only=True):
    """Whether the effect happened is not known. crashed: its worker was lost, not the call alone."""

    step: str
    attempt: int
    why: str
    crashed: bool = False
    spent: Usage | None = None


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
