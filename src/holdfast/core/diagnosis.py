"""Failure class × strategy → ruling: what follows when a call failed for certain."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.core.contract import Contract, Retry, Safety
from holdfast.core.events import AnyEvent, CallFailed, CallUnknown, Failure, FailureKind, ModelFailed
from holdfast.core.gates import Outcome
from holdfast.core.plan import Fallback, Step
from holdfast.core.retry import next_wait

Verb = Literal["retry", "reconcile", "fall_back", "compensate", "stop", "skip", "flag", "ask", "hand_off", "replan"]

# Failures after which the same call may work. The others need other arguments, another tool or a person.
PASSING: frozenset[FailureKind] = frozenset({"transient", "rate_limited", "unavailable"})

# The tool answered and broke its contract. What a read answered can be asked for again, and so can what leaves the world
# as once; any other call that changes the world has changed it, so making it again is out of the question. A fallback would
# change it once more, whatever the tool promises of its own repeats.
BROKEN_ANSWER: frozenset[FailureKind] = frozenset({"invalid_output", "crashed"})

# What made these fail lies in the arguments: no change of the world makes the same call work.
SETTLED_BY_ARGUMENTS: frozenset[FailureKind] = frozenset({"invalid_input", "denied", "too_expensive"})

_REPEATABLE: frozenset[Safety] = frozenset({"read", "idempotent"})


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What follows; wait_seconds with `retry` and `reconcile`, tool with `fall_back`. `compensate`: take back what the call
    did, then fall back."""

    verb: Verb
    reason: str
    wait_seconds: float = 0.0
    tool: str = ""


def diagnose(
    failure: Failure, contract: Contract, step: Step, *, run_id: str, tries: int, fallbacks: tuple[Fallback, ...],
    landed: bool = False,
) -> Ruling:  # fmt: skip
    """Rule on a failed attempt. tries: attempts made with the tool in force; it is out of them when retry says so. fallbacks:
    those not taken yet. landed: an earlier attempt had its effect, though its answer could not be used."""
    what = f"{failure.kind}: {failure.message}" if failure.message else failure.kind
    passing = failure.kind in PASSING
    if passing or (failure.kind in BROKEN_ANSWER and contract.safety in _REPEATABLE):
        wait = None
        if contract.safety != "irreversible" and (contract.probe or contract.safety != "reconcilable"):
            wait = next_wait(
                retry_in_force(contract, step),
                tries,
                run_id=run_id,
                step=step.id,
                retry_after_seconds=failure.retry_after_seconds,
            )
        if wait is not None:
            # A reconcilable tool is asked first, even when it said that it failed: the promise is to probe, not to trust.
            verb: Verb = "reconcile" if contract.safety == "reconcilable" else "retry"
            return Ruling(verb=verb, reason=what, wait_seconds=wait)
    if fallbacks and not (landed or changed_the_world(failure, contract)):
        return Ruling(verb="fall_back", reason=what, tool=fallbacks[0].tool)
    if fallbacks and contract.undo is not None and failure.kind != "overdue":  # Nobody knows that this one was done.
        return Ruling(verb="compensate", reason=what, tool=fallbacks[0].tool)
    tried = f" after {tries} attempts" if tries > 1 else ""
    return Ruling(verb=step.on_failure, reason=f"{what}{tried}")


def changed_the_world(failure: Failure, contract: Contract) -> bool:
    """Whether a call that counts as failed has had its effect all the same, and must not have it once more."""
    return (failure.landed or failure.kind in BROKEN_ANSWER) and contract.safety != "read"


def retry_in_force(contract: Contract, step: Step) -> Retry:
    """The step's own retry, else the tool's."""
    return step.retry if step.retry is not None else contract.retry


def health(outcome: AnyEvent) -> Outcome:
    """What the end of a call says of the health of its tool. That a worker died, or that the arguments were wrong, says
    nothing."""
    if isinstance(outcome, CallUnknown):
        return "other" if outcome.crashed else "failed"
    if isinstance(outcome, (CallFailed, ModelFailed)):
        if outcome.failure.kind == "rate_limited":
            return "limited"
        return "failed" if outcome.failure.kind in PASSING or outcome.failure.kind == "crashed" else "other"
    return "ok"
