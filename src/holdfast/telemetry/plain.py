"""The commit that nearly all are: a call that succeeded, so that its step is done, and the calls that are made next.

Of such a commit nothing is needed but what `Plain` has. That is taken on the event loop, while the states are at hand, for it
costs less than to keep them for a thread that has to fetch them back. All other commits are kept whole. What is counted of a
plain commit, and its span, are the very same as if it had been kept whole; the tests compare the two.
"""

from __future__ import annotations

import msgspec

from holdfast.core import events as e
from holdfast.core.state import StepState
from holdfast.runner.observing import Committed

_encode = msgspec.json.encode
# The kinds of events of a plain commit, by how many there are.
_KINDS = {count + 1: (e.CallSucceeded,) + (e.CallIntended,) * count for count in range(8)}


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
    kinds = _KINDS.get(len(events))
    if kinds is None:
        return None
    for event in events[1:]:
        if type(event) is not e.CallIntended:
            return None
        intended.append((event.step, event.attempt))
    steps = before.steps
    step = steps.get(first.step)
    if step is None:
        return None
    contract = step.contract or before.contracts.get(step.tool)
    reads: tuple[tuple[str, int], ...] = ()
    if step.reads:
        others = ((name, steps.get(name)) for name in step.reads)
        reads = tuple((name, other.attempt) for name, other in others if other is not None and other.attempt)
    sent_at, is_guess = sent(commit, step)
    return Plain(
        commit.run_id,
        commit.agent,
        commit.worker,
        after.thread,
        commit.at,
        kinds,
        first.step,
        first.attempt,
        step.tool,
        step.key,
        contract.safety if contract is not None else "",
        len(_encode(step.args)),
        first.cut.bytes if first.cut is not None else len(_encode(first.value)),
        reads,
        tuple(intended),
        sent_at,
        is_guess,
    )


def sent(commit: Committed, step: StepState) -> tuple[float, bool]:
    """When an attempt began that ends with a commit, as far as the state knows, and whether that is a guess: `first_sent_at` is
    of the first attempt under its key."""
    first = step.first_sent_at
    return (first, False) if first is not None and step.attempt == 1 else (max(commit.before.at, first or 0.0), True)
