"""What a handoff is made of. Arguments and results stand in it as JSON, cut where they are long; secrets never do."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.views.beliefs import FactView
from holdfast.views.minds import SpentView
from holdfast.views.owed import OwedView
from holdfast.views.runs import Held, Instruction, Question


class DoneStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is done. result: of the step, or of what stood in for it. how: by what it is known: `its call`, `its probe`,
    `a callback`, `a signal`, `the run that it started`, `the same call in another step`, `by hand`, `a person's word`. by: who
    did it, or said so. left: what of it is not done. at: seconds since the epoch. taken_back: it is done no more."""

    step: str
    tool: str
    args: str
    result: str
    how: str
    by: str = ""
    left: tuple[str, ...] = ()
    at: float | None = None
    taken_back: bool = False


class OpenStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is not done. phase: in people's words. why: it is not, where that is known. waits_for: what it waits for; empty
    for one that will not be begun by itself."""

    step: str
    tool: str
    args: str
    phase: str
    why: str = ""
    waits_for: str = ""


class UnknownStep(msgspec.Struct, frozen=True, kw_only=True):
    """A call of which nobody knows whether it happened. key: under which it was sent; handle: the other side's name for it.
    sent_at: first, in seconds since the epoch; calls: how often. find_out: how it can be found out, in sentences. interrupt: the
    open question about it."""

    step: str
    tool: str
    args: str
    key: str
    calls: int
    find_out: str
    sent_at: float | None = None
    handle: str = ""
    why: str = ""
    interrupt: str = ""


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """Something that did not work, and why. step: empty where it is about none. times: how often in a row; at: the last time."""

    at: float
    what: str
    step: str = ""
    times: int = 1


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person can do: in a sentence, and as a command line; without one where it is done elsewhere. Words in
    capitals in the command are to be replaced."""

    means: str
    command: str = ""


class Handoff(msgspec.Struct, frozen=True, kw_only=True):
    """A run for whoever takes it over, as it was at `at` (seconds since the epoch). why: it is handed over. instructions: what
    people said it is to go by. done, not_done, unknown: each step is in at most one of them; what was not needed is in none.
    believed: facts, what nobody confirmed first. tried: what did not work, the oldest first; tried_before: how much more of that
    there was. owed: what others still owe. next: what a person does first; commands: how to go on after that."""

    run_id: str
    agent: str
    agent_version: str
    tenant: str
    status: str
    at: float
    started_at: float
    why: str
    goal: str
    inputs: dict[str, Any]
    intent: str
    instructions: tuple[Instruction, ...]
    paused: Held | None
    taken_over: Held | None
    done: tuple[DoneStep, ...]
    not_done: tuple[OpenStep, ...]
    unknown: tuple[UnknownStep, ...]
    believed: tuple[FactView, ...]
    tried: tuple[Tried, ...]
    tried_before: int
    owed: tuple[OwedView, ...]
    questions: tuple[Question, ...]
    spent: SpentView
    calls: int
    next: Advice
    commands: tuple[Advice, ...]
