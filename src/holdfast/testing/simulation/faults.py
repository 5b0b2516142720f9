"""What goes wrong: the kinds of faults, the weather that decides when, and the journal that suffers them.

Each seed has a weather of its own: a few kinds that may happen and how often. With all of them on at once nothing would
get far, and what is deep would never be reached.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Protocol, TypeVar

import msgspec

from holdfast.core import events as e
from holdfast.core.state import State
from holdfast.errors import HoldfastError, JournalUnavailable
from holdfast.journal.base import Batch
from holdfast.testing import world as w
from holdfast.testing.clock import JumpingLoop, Process, outside
from holdfast.testing.memory import MemoryJournal, MemoryStore
from holdfast.testing.simulation import tools
from holdfast.testing.world import FAILURES, Behaviour, CallBack, Look, Request

T = TypeVar("T")

LEASE_SECONDS = 4.0
POLL_SECONDS = 0.7
# After so long no new fault begins, so that every run must come to its end.
STORM_SECONDS = 30.0
CRASHES_MAX = 6
PAUSES_MAX = 4
# How far the clock is ever set back, in all. Keys live so much longer than their contracts say: a clock that runs back by
# more than the margin in `key_ttl` outlives any key, and no program that has only this clock could know.
SET_BACK_MAX = 8.0

# Every kind that must be seen at least once over a batch of seeds; faults of calls are counted under their behaviour's name.
KINDS: tuple[str, ...] = (
    "crash before a journal operation",
    "crash after a journal operation",
    "crash before a call is sent",
    "crash after a call returned",
    "crash while a call is in flight",
    "crash while waiting",
    "write torn by a crash",
    "write lost",
    "write arrived, error reported",
    "write late, error reported",
    "write late, caller dead",
    "disk full",
    "I/O error on read",
    "answer of the store slow",
    "clock jump forward",
    "clock jump back",
    "worker stopped past its lease",
    "lease lost",
    "two owners at once",
    "SIGTERM",
    "agent changed, weaker",
    "agent changed, not weaker",
    "request lands after its caller died",
    "service forgets keys",
    "checkpoint lost",
    "reasoner fails",
    "probe not_yet",
    "probe error",
    "probe hang",
    "probe cannot_tell",
    "answered twice",
    "answered late",
    "never answered",
    "cancelled in the middle",
    "429 with a time",
    "reply lost after the effect",
    "request lands late",
    "effect visible late",
    "tool hangs",
    "tool ignores its cancellation",
    "tool lies",
    "tool says unknown",
    "exception before the effect",
    "exception after the effect",
    "partial",
    "deferred",
    *(f"failure {kind}" for kind in FAILURES),
    # What only the second half of the seeds has.
    "partial, the rest by another call",
    "deferred, the answer lost",
    "not sufficient",
    "done, and seen later",
    "service down for everybody",
    "over the service's rate",
    "callback before the outcome",
    "callback while it is owed",
    "callback after the deadline",
    "callback after the run ended",
    "callback twice",
    "callback that it failed",
    "callback by a wrong token",
    "callback refused",
    "callback of which the answer was lost",
    "poll not_yet",
    "poll error",
    "poll hang",
    "poll cannot_tell",
    "side effects reported",
    "follow-up suppressed",
    "same call under way in another run",
    "repeated at its deadline",
    "given up at its deadline",
    "failed at its deadline",
    "asked about what is owed",
    "call held by its circuit",
    "call held by its rate",
    "call refused, it failed before",
    "undone",
    "alternative taken",
    "child run started",
    "child told that its parent ended",
    "child failed its parent",
)

_WRITES = frozenset(
    {"create", "append", "claim", "claim_due", "extend", "release", "send", "deliver", "reset_gate", "seen", "keep"}
)
_MESSY_CALLS = (
    "deferred", "deferred", "deferred", "partial", "partial", "short", "unseen", "failure", "reply lost", "lands late", "unknown",
    "after", "before", "hang", "429",
)  # fmt: skip
_CALLS = (
    "failure", "failure", "429", "reply lost", "lands late", "hang", "stubborn", "lie", "unknown", "before", "after", "partial",
    "deferred",
)  # fmt: skip


class Weather:
    """How often each thing goes wrong in a seed; drawn once, then asked at every action."""

    def __init__(self, dice: Random, messy: bool = False):
        self.dice = dice
        self.messy = messy
        self.crash = self._rate(0.7, 0.004, 0.04)
        self.pause = self._rate(0.35, 0.003, 0.02)
        self.write = self._rate(0.35, 0.01, 0.08)
        self.read = self._rate(0.2, 0.01, 0.06)
        self.slow = self._rate(0.5, 0.02, 0.3)
        self.call = self._rate(0.85, 0.1, 0.6)
        self.probe = self._rate(0.6, 0.1, 0.5)
        self.calls = dice.sample(_MESSY_CALLS if messy else _CALLS, dice.randint(2, 6) if messy else dice.randint(1, 5))
        self.failures = dice.sample(sorted(FAILURES), 3)
        self.jump = dice.random() < 0.2
        self.sigterm = dice.random() < 0.2
        self.cancel = dice.random() < 0.08
        self.disk_full = dice.random() < 0.08
        # Operators who take their time, and look-ups that say one thing all day.
        self.stumble = self._rate(0.1, 0.1, 0.4)
        self.forget = self._rate(0.2, 0.1, 1.0)
        self.sleepy = dice.random() < 0.15
        self.look_always: Look | None = (
            dice.choice(("not_yet", "not_yet", "cannot_tell", "cannot_tell", "error")) if dice.random() < 0.15 else None
        )
        # How long all services are down, and from when on.
        self.down: tuple[float, float] | None = None
        if messy:
            self.call = max(self.call, 0.4) if dice.random() < 0.6 else self.call
            self.cancel = dice.random() < 0.25
            self.down = (dice.uniform(0.0, 3.0), dice.uniform(0.5, 6.0)) if dice.random() < 0.3 else None

    def _rate(self, share: float, low: float, high: float) -> float:
        """Off in the rest of the seeds; else somewhere between the two."""
        draw = self.dice.random()
        rate = self.dice.uniform(low, high)
        return rate if draw < share else 0.0

    def behaviour(self, request: Request) -> Behaviour:
        """What becomes of a request in a storm."""
        behaviour = self._drawn(request)
        if request.tool in tools.CHANGING:
            changes = (("credit", 1.0),) if self.dice.random() < 0.7 else (("credit", 2.0), ("quota", 0.5))
            behaviour = msgspec.structs.replace(behaviour, changes=changes)
        return behaviour

    def _drawn(self, request: Request) -> Behaviour:
        dice = self.dice
        quick = dice.choice((0.0, 0.0, 0.01, 0.1))
        if dice.random() >= self.call:
            return w.ok(quick)
        kind = dice.choice(self.calls)
        effect = dice.random() < 0.5
        if kind == "failure":
            return w.fail(dice.choice(self.failures), quick)
        if kind == "429":
            return w.rate_limited(dice.choice((0.5, 2.0, 5.0)), quick)
        if kind == "reply lost":
            return w.reply_lost(quick, visible=self._invisible(request))
        if kind == "lands late":
            lands = dice.uniform(0.2, SETTLED_BY)
            return w.lands_late(lands, dice.choice((None, 0.1)), visible=min(self._invisible(request), SETTLED_BY - lands))
        if kind == "hang":
            return w.hang()
        if kind == "stubborn":
            return w.stubborn(dice.choice((1.3, 9.0)) if request.safety == "read" else 1.3)
        if kind == "lie":
            return w.lie(quick)
        if kind == "unknown":
            return w.unsure(effect=effect, seconds=quick)
        if kind in ("before", "after"):
            return w.surprise(effect=kind == "after", seconds=quick)
        if kind == "short":
            return w.short(quick)
        if kind == "unseen":
            # No longer than its contract says, but where repeats are known by their key.
            return w.unseen(dice.choice((0.5, 2.0, 2.9, 60.0 if request.safety == "keyed" else 2.9)), quick)
        if kind == "partial" and self.messy:
            rest = dice.random() < 0.4 and request.tool not in tools.UNDO
            calls_back = () if rest else self._calls_back(request, 0.3)
            until, completes = dice.choice((None, 2.0, 5.0)), dice.choice((0.5, 3.0, None))
            left = ("seat",) if dice.random() < 0.5 else ("seat", "meal")
            return w.partial(quick, left=left, rest=rest, completes=completes, until=until, calls_back=calls_back)
        if kind == "partial":
            return w.partial(quick)
        if self.messy:
            return self._deferred(request, quick)
        lands_at = dice.choice((0.5, 3.0, None))
        return w.deferred(lands_at, dice.choice((None, 2.0, 5.0)), quick, visible=0.0)

    def _deferred(self, request: Request, quick: float) -> Behaviour:
        """The other side takes it. It says so or not; it does it, soon or late, or it will not; and it may call back."""
        dice = self.dice
        lands = dice.choice((0.3, 1.0, 3.0, None))
        fails = dice.choice((0.5, 1.5)) if lands is None and dice.random() < 0.5 else None
        return w.deferred(
            lands, dice.choice((None, 2.0, 5.0)), dice.choice((quick, 0.2)), fails=fails, lost=dice.random() < 0.2,
            calls_back=self._calls_back(request, 1.0 if lands is None else lands),
        )  # fmt: skip

    def _calls_back(self, request: Request, done: float) -> list[CallBack]:
        """When the result is delivered, how often, and what is delivered beside. done: when it is there at the earliest."""
        dice, found = self.dice, list[CallBack]()
        if not request.token or dice.random() < 0.2:
            return found
        after = dice.choice((0.0, 0.05, done, done, done + 0.5, 7.0, 12.0, 70.0))
        failed = "it could not be done" if dice.random() < 0.2 else None
        if dice.random() < 0.15:
            found.append(CallBack(after=dice.uniform(0.0, 2.0), wrong=True, name="callback by a wrong token"))
        name = "callback" if failed is None else "callback that it failed"
        found.append(CallBack(after=after, failed=failed, name=name))
        if dice.random() < 0.3:
            found.append(CallBack(after=after + dice.choice((0.0, 0.0, 0.4, 8.0)), failed=failed, name="callback twice"))
        return found

    def _invisible(self, request: Request) -> float:
        return self.dice.choice((0.0, 0.5, SETTLED_BY * 0.8)) if request.safety != "read" else 0.0

    def look(self) -> Look:
        """What a probe comes back with in a storm."""
        if self.look_always is not None:
            return self.look_always
        if self.dice.random() >= self.probe:
            return "honest"
        return self.dice.choice(("not_yet", "not_yet", "not_yet", "error", "error", "hang", "cannot_tell"))


# Everything that was sent has landed and can be seen by then, counted from when it was sent.
SETTLED_BY = tools.SETTLES * 0.95


class Stage(Protocol):
    """What the journal of a worker must know of the seed that is played."""

    @property
    def loop(self) -> JumpingLoop: ...

    @property
    def weather(self) -> Weather: ...

    @property
    def counter(self) -> Counter[str]: ...

    def stormy(self) -> bool: ...

    def note(self, who: str, what: str, about: object = "") -> None: ...

    async def gate(self, process: Process, where: str, danger: int = 1) -> None: ...

    def may_crash(self) -> bool: ...

    def late(self, writes: int) -> None: ...

    def crash(self, process: Process, kind: str) -> None: ...

    def disk_is_full(self) -> bool: ...


def _danger(batch: Batch) -> int:
    """Between an intent and its effect is the worst moment to be stopped; of a repeat, even more so."""
    attempts = [event.attempt for event in batch.events if isinstance(event, e.CallIntended)]
    return 1 if not attempts else 6 if max(attempts) == 1 else 24


def _nothing(*_: Any) -> Any:
    """What is derived may be gone at any time."""


class FaultyJournal(MemoryJournal):
    """Somebody's handle, through which operations go wrong. process: of a worker, which may be killed or stopped around each
    of them; people and other clients have none."""

    def __init__(self, store: MemoryStore, stage: Stage, who: str, process: Process | None = None):
        super().__init__(store)
        self._stage = stage
        self._who = who
        self._process = process

    async def _do(self, name: str, work: Callable[..., T], *args: Any) -> T:
        stage = self._stage
        if not stage.stormy():
            return await super()._do(name, work, *args)
        if self._process is not None:
            await stage.gate(self._process, "before a journal operation")
        dice, weather = stage.weather.dice, stage.weather
        if weather.slow and dice.random() < weather.slow:
            stage.counter["answer of the store slow"] += 1
            await asyncio.sleep(dice.uniform(0.001, 0.3))
        if name in _WRITES:
            if stage.disk_is_full():
                stage.note(self._who, "disk full", name)
                raise JournalUnavailable("the disk is full")
            if weather.write and dice.random() < weather.write:
                return await self._write_badly(name, work, *args)
        elif weather.read and dice.random() < weather.read:
            stage.counter["I/O error on read"] += 1
            stage.note(self._who, "I/O error on read", name)
            raise JournalUnavailable("reading failed")
        if name == "keep" and weather.forget and dice.random() < weather.forget:
            stage.counter["checkpoint lost"] += 1
            work = _nothing
        result = await super()._do(name, work, *args)
        if self._process is not None:
            await stage.gate(self._process, "after a journal operation", _danger(args[0]) if name == "append" else 1)
        return result

    async def _write_badly(self, name: str, work: Callable[..., T], *args: Any) -> T:
        stage = self._stage
        kinds = ["write lost", "write arrived, error reported", "write late, error reported"]
        if name == "append" and self._process is not None and stage.may_crash():
            kinds += ["write torn by a crash", "write late, caller dead"]
        kind = stage.weather.dice.choice(kinds)
        stage.counter[kind] += 1
        stage.note(self._who, kind, name)
        if kind == "write arrived, error reported":
            work(*args)
        if kind.startswith("write late"):
            stage.late(1)
            outside(stage.loop.call_later, stage.weather.dice.uniform(0.0, 2 * LEASE_SECONDS), self._late, name, work, args)
        if self._process is not None and kind in ("write torn by a crash", "write late, caller dead"):
            stage.crash(self._process, kind)
            await stage.loop.create_future()
        raise JournalUnavailable("the answer of the store was lost")

    def _late(self, name: str, work: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._stage.late(-1)
        try:
            work(*args)
            self._stage.note("store", "late write applied", name)
        except HoldfastError as refused:
            self._stage.note("store", "late write refused", type(refused).__name__)


# --- what is counted ----------------------------------------------------------------------------------------------


def kind_of(event: e.AnyEvent, state: State) -> str | None:
    """The kind under which an event is counted, of those in `KINDS`."""
    if isinstance(event, e.AgentChanged):
        return "agent changed, weaker" if event.weaker else "agent changed, not weaker"
    if isinstance(event, e.RecoveryRuled):
        return "service forgets keys" if event.row.startswith("keyed-expired") else None
    if isinstance(event, e.FollowUpSuppressed):
        return "same call under way in another run" if event.run_id else "follow-up suppressed"
    if isinstance(event, e.PendingRuled):
        return _AT_DEADLINE.get(event.action) if event.row.startswith("late") else None
    if isinstance(event, e.CallHeld):
        return f"call held by its {event.why}"
    if isinstance(event, e.CallRefused):
        return "call refused, it failed before"
    if isinstance(event, e.CallIntended):
        step = state.steps[event.step].step
        return "undone" if step.undoes else "alternative taken" if step.alternative_to else None
    if isinstance(event, e.RunStarted):
        return "child run started" if event.parent else None
    if isinstance(event, e.CancelRequested):
        return "child told that its parent ended" if event.by.startswith("run ") else None
    if isinstance(event, e.ChildEnded):
        return "child failed its parent" if event.status != "completed" else None
    return None


_AT_DEADLINE = {
    "repeat": "repeated at its deadline", "give_up": "given up at its deadline", "fail": "failed at its deadline",
    "ask": "asked about what is owed",
}  # fmt: skip
