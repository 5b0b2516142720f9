"""People: what a policy ruled, who was asked how, and what they said besides an answer."""

from __future__ import annotations

from typing import Any, Literal

from holdfast.core.events.base import Event, InterruptKind
from holdfast.core.policy import Check, Policy, Ruling


class PolicyChanged(Event, frozen=True, kw_only=True):
    """The agent's policy is not what the run went by. None: it has none any more."""

    policy: Policy | None = None


class PolicyRuled(Event, frozen=True, kw_only=True):
    """A policy had a say in a call (or, without a step, in the plan of a revision), and nobody is asked: it may be, or it was not
    in the sample, or it is blocked. What is asked carries its ruling with it (see Asked). args: of a call that is blocked; of
    one that is made they stand in its intent. call: the digest that the ruling is good for."""

    ruling: Ruling
    step: str = ""
    tool: str = ""
    args: dict[str, Any] = {}
    call: str = ""
    revision: int = 0


class ChecksIntended(Event, frozen=True, kw_only=True):
    """Functions of the user's are about to be asked about a call, or without a step about the plan. call: its digest; they are
    shown what `core/proposed.py` lays out."""

    call: str
    checks: tuple[str, ...]
    step: str = ""


class ChecksAnswered(Event, frozen=True, kw_only=True):
    """What they said, by name. It is good for the call with that digest, and for no other."""

    call: str
    answers: dict[str, Check]
    step: str = ""


class InterruptWithdrawn(Event, frozen=True, kw_only=True):
    """What a person was asked is not the question any more; where there still is one they are asked anew."""

    interrupt: str
    reason: str


class Reminded(Event, frozen=True, kw_only=True):
    """Those who are asked are reminded. number: for the how-manieth time on their rung."""

    interrupt: str
    number: int


class Escalated(Event, frozen=True, kw_only=True):
    """The next rung of the ladder is asked, `who` from now on, since then. kind: `handoff` past the last rung, where somebody
    is to take it over."""

    interrupt: str
    rung: int
    who: tuple[str, ...] = ()
    kind: InterruptKind | None = None
    since: float = 0.0


class ApprovalGiven(Event, frozen=True, kw_only=True):
    """One of several people who must approve has, and more are needed. left: how many."""

    interrupt: str
    by: str
    left: int
    note: str = ""
    seen_at: float | None = None
    said_at: float = 0.0


class Commented(Event, frozen=True, kw_only=True):
    """A remark on what is asked; it decides nothing."""

    interrupt: str
    by: str
    text: str


class RunPaused(Event, frozen=True, kw_only=True):
    """Nothing new begins until somebody lets the run go on, or `until` is over. Effects at hand are finished."""

    by: str
    reason: str = ""
    until: float | None = None


class RunContinued(Event, frozen=True, kw_only=True):
    """A paused run goes on. by: empty where its pause was over."""

    by: str = ""


class Instructed(Event, frozen=True, kw_only=True):
    """A person says how the run is to go about its work from now on; who plans looks at the plan again."""

    text: str
    by: str


class HandoffRequested(Event, frozen=True, kw_only=True):
    """Somebody takes the run over: effects at hand are finished, then they are asked how it goes on."""

    by: str
    reason: str = ""


class StepDoneByHand(Event, frozen=True, kw_only=True):
    """A person did what a step was for. value: the result that it would have had."""

    step: str
    by: str
    value: Any = None
    note: str = ""
    args: dict[str, Any] | None = None


class WordVoided(Event, frozen=True, kw_only=True):
    """A word came that could not be taken any more. kind: of what."""

    kind: Literal["comment", "pause", "resume", "instruct", "handoff", "done", "goal", "correct"]
    by: str
    reason: str
    about: str = ""
