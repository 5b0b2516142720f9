"""What an evaluation is asked for: cases, what the world does in them, what people say, and what must hold afterwards."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from holdfast.core.events import FailureKind
from holdfast.core.state import Status

Decision = Literal["approve", "edit", "reject", "respond", "cancel"]
Misdeed = Literal["fails", "raises", "times_out", "late", "slow", "lies", "nonsense", "unseen"]
Repeats = Literal["again", "by_key", "by_args"]
Time = Literal["virtual", "real"]

# Faults without an effect, where the file does not say; all others have it.
WITHOUT_EFFECT: frozenset[Misdeed] = frozenset({"fails", "lies"})
WITHIN_SECONDS = 90 * 86400.0
LIMIT_SECONDS = 120.0
REPEAT = 1
REPEAT_MAX = 10_000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said to a question that matches all that is named here; the first one that matches holds. times: how often (None:
    always). say: the decision; value, note: what goes with it. by: who says it, with roles; without a name somebody who may.
    after_seconds: how long they take."""

    say: Decision
    tool: str = ""
    step: str = ""
    rule: str = ""
    kind: str = ""
    value: Any = None
    note: str = ""
    by: str = ""
    roles: tuple[str, ...] = ()
    after_seconds: float = 0.0
    times: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What a service does wrong. calls: which of its invocations in a run, from 1 (empty: each). chance: how likely, drawn from
    the seed. effect: whether the world changes all the same. after_seconds: when it lands (late), answers (slow) or is seen
    (unseen). kind: of the failure. answer: what a liar says in place of the usual."""

    tool: str
    what: Misdeed
    calls: tuple[int, ...] = ()
    chance: float = 1.0
    effect: bool = True
    after_seconds: float = 0.0
    kind: FailureKind = "transient"
    answer: Any = msgspec.UNSET


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a service answers, where the condition over `args` and `number` (of the invocation) holds. answer: a value; {$ref:
    args.NAME} and {$ref: result.number} stand for what was sent."""

    answer: Any
    when: str = ""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """The stand-in for a tool. repeats: what the world makes of the same request once more: another effect (`again`), nothing
    where it carries the key of an earlier one (`by_key`), or nothing where its arguments are the same (`by_args`).
    takes_seconds: until it answers."""

    replies: tuple[Reply, ...] = ()
    repeats: Repeats = "again"
    takes_seconds: float = 0.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Effects that must be in the ledger, as many as from `least` to `most` (None: any number); where: a condition over
    `args`."""

    tool: str
    least: int = 1
    most: int | None = None
    where: str = ""


class Expect(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold afterwards. that: conditions over the words of `expectations.WORDS`. effects: what the ledger must have;
    never: what it must not. asked_min, asked_max: questions to people. within_seconds: of the run's own time."""

    status: tuple[Status, ...] = ("completed",)
    that: tuple[str, ...] = ()
    effects: tuple[Wanted, ...] = ()
    never: tuple[Wanted, ...] = ()
    asked_min: int = 0
    asked_max: int | None = None
    cost_usd_max: Decimal | None = None
    within_seconds: float | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the agent is asked, in one world. goal: None takes the agent's. people: what they say, in order. model: a
    script for this case. repeat: None for as often as the file says."""

    name: str
    goal: str | None = None
    inputs: dict[str, Any] = {}
    people: tuple[Answer, ...] = ()
    faults: tuple[Fault, ...] = ()
    model: Any = None
    expect: Expect = Expect()
    repeat: int | None = None


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A case file. folder, digest: where it lies, and of its content. agent: as on a command line, from that folder. world: a
    factory, `FILE.py:NAME`; or services, by tool. time: how it passes; None for as what is called lets it. limit_seconds: of a
    case, by the clock on the wall; within_seconds: by its own, after which it is left as it is."""

    name: str
    folder: str
    digest: str
    cases: tuple[Case, ...]
    agent: str = ""
    world: str = ""
    services: dict[str, Service] = {}
    model: Any = None
    repeat: int = REPEAT
    time: Time | None = None
    limit_seconds: float = LIMIT_SECONDS
    within_seconds: float = WITHIN_SECONDS
