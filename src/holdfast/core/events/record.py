"""What makes a record whole: what a decision was made under besides the state, and where a fork comes from.

`decide` is given more than the state at two points: what the store has no room for, and that a worker is not to decide at
all. Both are written down, or no replay could tell why less was begun than could have been.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from holdfast.core.contract import Contract
from holdfast.core.events.base import Event, FailureKind, OnStop
from holdfast.core.events.effects import CallDeferred, CallFailed, CallPartial, CallSucceeded, CallUnknown
from holdfast.core.limits import Limits
from holdfast.core.policy import Policy
from holdfast.core.thinking import Acceptance, Thinking

# What a fork may do to the world: nothing without a person's word; nothing at all, answers come from the record or a script;
# what its tools and policies allow, save what the source did already.
ForkMode = Literal["blocked", "simulate", "live"]
Outcome = CallSucceeded | CallPartial | CallDeferred | CallFailed | CallUnknown


class RoomRefused(Event, frozen=True, kw_only=True):
    """What the store had no room for, when the rulings of this commit were made (see `decide.Room`). free: places that were left,
    by tool or key; held: tools that could not be called, until when and why; holders: who had what was not free."""

    free: dict[str, int] = {}
    held: dict[str, tuple[float, Literal["circuit", "rate"]]] = {}
    holders: dict[str, str] = {}


class RulingDeferred(Event, frozen=True, kw_only=True):
    """Nothing was ruled in this commit, whatever there was to rule: the worker was to stop, or it was still being judged whether
    something that had come will do."""

    why: Literal["stopping", "judging"]


class Recorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call that the source of a fork made. entry: of its intent. call: what makes it the same one (`approval.sameness`).
    outcome: what came of it; None where the source does not know. came: the result where it came later (by probe, callback,
    signal, a child run or a person), which is said by came_by. after: it was made after the point of the fork. run: which made
    it, where it was not the source itself but one that the source is a fork of."""

    entry: int
    step: str
    tool: str
    key: str
    call: str
    outcome: Outcome | None = None
    came: Any = None
    came_by: str = ""
    after: bool = True
    run: str = ""


class Scripted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a simulated call comes to, where the record has none like it. when: a condition over its arguments (jmespath); empty:
    all of them. fails: the kind of failure in place of a result; message: with it. times: how often it holds, then the next one
    does; 0: always."""

    tool: str
    when: str = ""
    result: Any = None
    fails: FailureKind | None = None
    message: str = ""
    times: int = 0


class RunForked(Event, frozen=True, kw_only=True):
    """From here on this is another run. Everything before is the record of the run `source` up to its entry `entry`, taken over;
    link: of the source's hash chain, after the commit that has this entry. mode: what it may do to the world. What follows
    (agent to policy) holds from here on, in place of what the source had. recorded: calls of the source that are not made again
    unasked; in a simulation all of its calls, and the script for those that it has not. by, reason: who forked it, and why."""

    run_id: str
    source: str
    entry: int
    link: str
    agent: str
    contracts: tuple[Contract, ...]
    mode: ForkMode = "blocked"
    agent_version: str = ""
    limits: Limits = Limits()
    secrets: tuple[str, ...] = ()
    on_stop: OnStop = "keep"
    thinking: Thinking | None = None
    accept: Acceptance | None = None
    policy: Policy | None = None
    recorded: tuple[Recorded, ...] = ()
    script: tuple[Scripted, ...] = ()
    by: str = ""
    reason: str = ""
