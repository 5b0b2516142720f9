"""The commit that nearly all are: a call that succeeded and whose step is done, and the calls that are made next.

Of such a commit nothing is needed but what `Plain` has. That is taken on the event loop, while the states are at hand, for it
costs less than to keep them for a thread that has to fetch them back. All other commits are kept whole. What is counted of a
plain commit, and its span, are the very same as if it had been kept whole; the tests compare the two.
"""

from __future__ import annotations

import msgspec

from holdfast.core import events as e
from holdfast.core.state import ENDED, StepState, contract_of
from holdfast.runner.observing import Committed

_encode = msgspec.json.encode


class Plain(msgspec.Struct, frozen=True, gc=False):
    """kinds: of its events. step to result_bytes: of the call that succeeded. reads: the steps whose results it read, with the
    number of the attempt that each came from. intended: step and attempt of the calls that are made next. sent_at: when the
    call went out, for whoever did not hear of that; is_guess: that is only about right."""

    run_id: str
    agent: str
    worker: str
    thread: str
    at: float
    kinds: tuple[type, ...]
    step: str
    attempt: int
    tool: str
    key: str
    safety: str
    arguments_bytes: int
    result_bytes: int
    reads: tuple[tuple[str, int], ...]
    intended: tuple[tuple[str, int], ...]
    sent_at: float
    is_guess: bool


def plain(commit: Committed) -> Plain | None:
    """What is needed of a commit that is plain; None of another one."""
    events, before, after = commit.events, commit.before, commit.after
    first = events[0]
    if (
        type(first) is not e.CallSucceeded
        or commit.first == 2
        or before.interrupts is not after.interrupts
        or before.pending is not after.pending
        or before.reserved
        or first.spent is not None
        or after.fork is not None
    ):
        return None
    intended = []
    for event in events[1:]:
        if type(event) is not e.CallIntended:
            return None
        intended.append((event.step, event.attempt))
    steps = before.steps
    step, now = steps.get(first.step), after.steps.get(first.step)
    if step is None or now is None or step.phase in ENDED or now.phase != "done":
        return None
    contract = contract_of(before, step)
    reads = []
    for name in step.reads:
        other = steps.get(name)
        if other is not None and other.attempt:
            reads.append((name, other.attempt))
    sent_at, is_guess = sent(commit, step)
    return Plain(
        commit.run_id,
        commit.agent,
        commit.worker,
        after.thread,
        commit.at,
        (e.CallSucceeded,) + (e.CallIntended,) * len(intended),
        first.step,
        first.attempt,
        step.tool,
        step.key,
        contract.safety if contract is not None else "",
        len(_encode(step.args)),
        first.cut.bytes if first.cut is not None else len(_encode(first.value)),
        tuple(reads),
        tuple(intended),
        sent_at,
        is_guess,
    )


def sent(commit: Committed, step: StepState) -> tuple[float, bool]:
    """When an attempt began that ends with a commit, as far as the state knows, and whether that is a guess: `first_sent_at` is
    of the first attempt under its key."""
    first = step.first_sent_at
    return (first, False) if first is not None and step.attempt == 1 else (max(commit.before.at, first or 0.0), True)
