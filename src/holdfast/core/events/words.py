"""Words from outside: the start, answers, cancels, deliveries, signals."""

from __future__ import annotations

from typing import Any, Literal

from holdfast.core.contract import Contract, Difference
from holdfast.core.events.base import DecisionName, Event, Failure, OnStop
from holdfast.core.limits import Limits
from holdfast.core.models import Usage
from holdfast.core.plan import Goal
from holdfast.core.policy import Policy
from holdfast.core.thinking import Acceptance, Thinking


class RunStarted(Event, frozen=True, kw_only=True):
    """A goal was taken on. contracts: what each tool promised then. secrets: names that are never written down, beside
    those that never are. on_stop: what becomes of what was done when the run fails or is cancelled. parent, parent_step:
    the run and step that started it; depth: how many runs are above it. thread: the conversation that it belongs to. thinking:
    how it thinks, where a model is asked. accept: what counts as done. policy: when a person is asked. records: 1 where all
    is written down that rulings are made under (`RoomRefused`, `RulingDeferred`); older runs have 0."""

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
    thread: str = ""
    thinking: Thinking | None = None
    accept: Acceptance | None = None
    policy: Policy | None = None
    records: int = 0


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
    """A person decided. value: the edited arguments, or the result given in place of the tool's. roles: that they had then.
    seen_at: when they were first shown it; said_at: when they said so. bulk: together with others, by one word. standing: the id
    of the approval that `by` had given for all such calls."""

    interrupt: str
    decision: DecisionName
    by: str
    value: Any = None
    note: str = ""
    roles: tuple[str, ...] = ()
    seen_at: float | None = None
    said_at: float = 0.0
    bulk: bool = False
    standing: str = ""


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
    """A run that a step started has ended. attempts, spent: the calls that it made, and what they and
    its models used. failure: why its result is not what the step
    expects."""

    step: str
    child: str
    status: Literal["completed", "failed", "cancelled"]
    result: Any = None
    reason: str = ""
    attempts: int = 0
    spent: Usage | None = None
    partial: tuple[str, ...] = ()
    failure: Failure | None = None
