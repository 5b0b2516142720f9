"""What a timeline is made of. All times are seconds since the epoch, and none is before the one that was written before it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from holdfast.core.models import ZERO

What = Literal["call", "probe", "model", "reasoner", "memory", "check"]
Outcome = Literal["ok", "part", "deferred", "failed", "unknown", "open"]
Why = Literal["person", "owed", "retry", "held", "paused"]
Sign = Literal["yes", "no", "word", "ruling"]


class Bar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was done: from its intent, which is the entry `entry`, to its outcome. end: of one that is open, the end of
    the timeline. attempt: of a call or a request. brief: how long it took, or what it used; words: all of it in words."""

    what: What
    outcome: Outcome
    begin: float
    end: float
    entry: int
    attempt: int = 1
    brief: str = ""
    words: str = ""


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch in which something was waited for: a person, what is owed, the next try, a tool that may not be called (`held`),
    or that somebody lets the run go on (`paused`). brief: in a few words; until: its deadline, where it has one. is_open: it is
    still waited for."""

    why: Why
    begin: float
    end: float
    brief: str = ""
    words: str = ""
    until: float | None = None
    is_open: bool = False


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was said or ruled: a yes, a no, another word from outside, a ruling."""

    sign: Sign
    at: float
    entry: int
    words: str = ""


class Lane(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step; or the run itself, or its models. plan: the revision that a step came with. outcome: how it stands, in words;
    is_smooth: each of its calls went well and nobody was waited for. steps: of a lane that several steps share, their names."""

    kind: Literal["run", "models", "step"]
    name: str
    tool: str = ""
    plan: int = 0
    outcome: str = ""
    is_smooth: bool = True
    bars: tuple[Bar, ...] = ()
    waits: tuple[Wait, ...] = ()
    marks: tuple[Mark, ...] = ()
    steps: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A moment of the whole run: its worker was lost, or it was forked here."""

    kind: Literal["crash", "fork"]
    at: float
    words: str = ""


class PlanMade(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A plan, or a revision of it."""

    revision: int
    at: float
    reason: str = ""


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was spent up to then."""

    at: float
    usd: Decimal


class Timeline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run over time. end: its last entry, or for one that goes on, now. status: as in `State`; reason: why it ended so, or
    what it waits for. source: of a fork. Empty lanes are left out, save those of steps."""

    run_id: str
    begin: float
    end: float
    agent: str = ""
    goal: str = ""
    status: str = ""
    reason: str = ""
    entries: int = 0
    steps: int = 0
    attempts: int = 0
    spent_usd: Decimal = ZERO
    tokens: int = 0
    source: str = ""
    simulated: bool = False
    lanes: tuple[Lane, ...] = ()
    lines: tuple[Line, ...] = ()
    plans: tuple[PlanMade, ...] = ()
    costs: tuple[Spent, ...] = ()
