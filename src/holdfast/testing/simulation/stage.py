"""One seed, played from its draw to its end."""

from __future__ import annotations

import asyncio
import gc
import hashlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import copy_context
from random import Random
from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.app import Holdfast
from holdfast.core import events as e
from holdfast.core.state import State
from holdfast.errors import CallbackRefused, CallbackUnknown, JournalUnavailable, Superseded
from holdfast.journal.base import Batch, Claim, Delivery, Full, Head, Message, Release
from holdfast.runner import advance
from holdfast.testing.clock import EPOCH, JumpingLoop, Process, SimClock, Stuck, current_process, outside
from holdfast.testing.memory import MemoryStore
from holdfast.testing.simulation import faults, office, tools
from holdfast.testing.simulation.clerks import Clerks
from holdfast.testing.simulation.faults import LEASE_SECONDS, STORM_SECONDS, FaultyJournal, Weather
from holdfast.testing.simulation.hostile import HostileScript, draw_hostile
from holdfast.testing.simulation.laws import LawBroken, Laws
from holdfast.testing.simulation.minds import Minds
from holdfast.testing.simulation.office import draw_office, functions
from holdfast.testing.simulation.people import People
from holdfast.testing.simulation.plans import Script, draw_script
from holdfast.testing.simulation.workers import Workers
from holdfast.testing.world import Behaviour, Look, Request, World
from holdfast.tools.function import Call

# Far more than any seed needs: past these, something is stuck.
TIME_MAX = 600.0
TURNS_MAX = 150_000

Line = tuple[float, str, str, object]


class Played(msgspec.Struct, kw_only=True):
    """What came of a seed. broken: the first law that did not hold. trace: what happened, line by line."""

    seed: int
    broken: LawBroken | None
    counter: Counter[str]
    statuses: dict[str, str]
    seconds: float
    trace: list[Line]

    def lines(self) -> list[str]:
        """The trace as text, the same in every process."""
        return [f"{at:10.3f}  {who:<9}  {what}  {_plain(about)}".rstrip() for at, who, what, about in self.trace]

    def digest(self) -> str:
        """A digest of the whole trace."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()


def play(seed: int) -> Played:
    """Play a seed. Never raises for a law that is broken; see `Played.broken`."""
    stage = Stage(seed)
    collecting, long = gc.isenabled(), advance.CHECKPOINT_EVENTS
    gc.disable()
    # The runs here are short; a long one is one of so many events.
    advance.CHECKPOINT_EVENTS = stage.script.checkpoint_events
    try:
        return stage.play()
    finally:
        advance.CHECKPOINT_EVENTS = long
        if collecting:
            gc.enable()


class Stage:
    """The clock, the store, the world and everybody in it, for one seed."""

    def __init__(self, seed: int):
        self.seed = seed
        # Those below nothing are the seeds of hostile models.
        self.dice = Random(seed) if seed >= 0 else Random(f"hostile {seed}")
        # Every other seed is one in which the world owes something; see `faults.KINDS`.
        self.script: Script = draw_script(self.dice, messy=seed % 2 == 0) if seed >= 0 else draw_hostile(self.dice)
        self.weather = Weather(self.dice, self.script.messy)
        self.counter: Counter[str] = Counter()
        self.trace: list[Line] = []
        self.loop = JumpingLoop(time_max=TIME_MAX, turns_max=TURNS_MAX)
        self.clock = SimClock(self.loop, EPOCH)
        self.first_broken: LawBroken | None = None
        self._over: asyncio.Future[None] = self.loop.create_future()
        self._set_back = -self.dice.uniform(0.5, faults.SET_BACK_MAX) if self.weather.jump and self.dice.random() < 0.5 else 0.0
        self.world = GatedWorld(
            self, self._behave, self._look, clock=self.clock, on=self._in_world,
            key_life_seconds=dict.fromkeys(("pay_short", "pay_probed"), tools.KEY_TTL - self._set_back),
            rates=tools.SERVICE_RATES, callback=self._deliver,
        )  # fmt: skip
        self.store = WatchedStore(self)
        self.laws = Laws(self)
        self.minds = Minds(self, self.script) if isinstance(self.script, HostileScript) else None
        self.office = draw_office(seed, self.script.tools)
        self.checks = functions(self) if self.office is not None else []
        self.laws.thinking = self.minds.laws if self.minds is not None else None
        app = Holdfast(FaultyJournal(self.store, self, "person"), clock=self.clock)
        self.people = People(self, app) if self.office is None else Clerks(self, app, self.office)
        self.laws.people.office = self.office
        self.courier = Holdfast(FaultyJournal(self.store, self, "courier"), clock=self.clock)
        self.workers = Workers(self)
        self._tasks: list[asyncio.Task[None]] = []
        self._crashes = 0
        self._pauses = 0
        self._late_writes = 0
        self.skew = 0.0  # The longest that a commit was on its way.
        self._called_back: set[str] = set()
        self._disk_full: tuple[float, float] = (0.0, 0.0)

    def play(self) -> Played:
        """Raise the curtain."""
        context = copy_context()
        try:
            context.run(tools.WORLD.set, self.world)
            context.run(self.loop.run_until_complete, self._main())
        except LawBroken:
            pass
        except Stuck as stuck:
            runs = [(run_id, run.status, run.waits_for) for run_id, run in self.store.runs.items()]
            self.broken("every run ends", f"{stuck}: {runs}")
        finally:
            self.loop.close()
        return Played(
            seed=self.seed, broken=self.first_broken, counter=self.counter, seconds=self.loop.time(), trace=self.trace,
            statuses={run_id: run.status for run_id, run in self.store.runs.items()},
        )  # fmt: skip

    async def _main(self) -> None:
        if isinstance(self.people, Clerks):
            await self.people.open()
            self.people.begin()
        await self._begin()
        self.workers.begin()
        self._plan_weather()
        if self.minds is not None:
            self.minds.begin(self.people.journal)
        while not self._is_over():
            self._over = self.loop.create_future()
            await self._over
            # A write that was lost may still begin a run, and a request may still land.
            if self._late_writes:
                await asyncio.sleep(2 * LEASE_SECONDS)
            await self.world.settled()
            await self.world.delivered()
        self.laws.check_end()
        for error in self.loop.errors:
            self.broken("no error goes unseen", f"{error.get('message')}: {error.get('exception')!r}")
        if self.first_broken is not None:
            raise self.first_broken

    def _is_over(self) -> bool:
        states = self.laws.states.values()
        own = sum(not state.parent for state in states)
        return own == self.script.runs and all(state.ended for state in states)

    async def _begin(self) -> None:
        app = Holdfast(FaultyJournal(self.store, self, "client"), clock=self.clock)
        for number in range(self.script.runs):
            self._begin_task(self._start_run, app, number)

    async def _start_run(self, app: Holdfast, number: int) -> None:
        """Put a run into the store, however often it takes; twice is once."""
        agent, run_id = self.agent(0), f"run-{number}"
        goal, inputs = ("play", None) if self.minds is None else self.minds.goal(run_id)
        try:
            await app.start(agent, goal, id=run_id, inputs=inputs, priority=number)
        except JournalUnavailable:
            await asyncio.sleep(0.5)
            await self._start_run(app, number)

    # --- what others tell and ask ---------------------------------------------------------------------------------

    def note(self, who: str, what: str, about: object = "") -> None:
        """A line of the trace."""
        self.trace.append((self.loop.time(), who, what, about))

    def broken(self, law: str, what: str) -> None:
        """A law does not hold: the first one counts, and ends the play."""
        if self.first_broken is None:
            self.note("law", "BROKEN", f"{law}: {what}")
            self.first_broken = LawBroken(law, what)
            if not self._over.done():
                self._over.set_exception(self.first_broken)

    @property
    def tenant_max(self) -> int | None:
        """Calls at once over all runs, where that is capped."""
        return self.script.tenant_max

    @property
    def set_back(self) -> bool:
        """Whether the clock is set back in this seed."""
        return self._set_back < 0

    def now(self) -> float:
        return self.clock.now()

    def agent(self, version: int) -> Agent:
        """The agent as the nth worker loads it: the first ones as it is, later ones as it became."""
        if self.minds is not None:
            return self.minds.agent(version)
        return self.script.agent(version, self.stumbles, self.office, self.checks)

    @property
    def states(self) -> Mapping[str, State]:
        """What is known of each run."""
        return self.laws.states

    def stormy(self) -> bool:
        """Whether faults may begin."""
        return self.loop.time() < STORM_SECONDS

    def committed(self, run_id: str, first: int, fence: int, at: float, events: tuple[e.AnyEvent, ...]) -> None:
        """A batch is in the store."""
        process = current_process()
        who = process.name if process is not None else "store"
        for offset, event in enumerate(events):
            self.note(who, f"{run_id} {first + offset} f{fence}", event)
        self.laws.committed(run_id, first, fence, at, events)
        for event in events:
            if isinstance(event, e.Asked):
                outside(self._begin_task, self.people.answer, run_id, event)
            if (kind := faults.kind_of(event, self.laws.states[run_id])) is not None:
                self.counter[kind] += 1
            if self.office is not None and (kind := office.kind_of(event)) is not None:
                self.counter[kind] += 1
            if self.minds is not None:
                self.minds.count(event)
        if self._is_over() and not self._over.done():
            self._over.set_result(None)

    def late(self, writes: int) -> None:
        """So many more writes, or fewer, that were lost are still on their way."""
        self._late_writes += writes

    async def _deliver(self, token: str, value: Any, *, failed: str | None, by: str) -> None:
        """Deliver a result by its token, until the store says what became of it."""
        try:
            taken = await self.courier.callback(token, value, failed=failed, by=by)
        except JournalUnavailable:
            # Whether it arrived is not known. Said again it is refused if it did, and that is as well.
            self.counter["callback of which the answer was lost"] += 1
            await asyncio.sleep(0.5)
            await self._deliver(token, value, failed=failed, by=by)
        except CallbackUnknown:
            self.note("courier", "is told that nobody was given this token")
            if not token.endswith("?"):
                self.broken("a token is known before it is handed out", f"{token} is not")
        except CallbackRefused as refused:
            self.note("courier", "is refused", f"{refused.run_id} {refused.step}: {refused.what}")
            self.counter["callback refused"] += 1
        else:
            self.note("courier", "delivers", f"{taken.run_id} {taken.step}" + (f": {failed}" if failed else ""))

    def _in_world(self, name: str, subject: Any) -> None:
        if name == "request":
            self.note("world", "request", _request(subject))
            if subject.behaviour.name in ("service down for everybody", "over the service's rate"):
                self.counter[subject.behaviour.name] += 1
            self.counter["side effects reported"] += bool(subject.changes)
            self.laws.requested(subject)
        elif name == "effect":
            self.note("world", "effect", f"{subject.tool}-{subject.number} of {subject.item} for {subject.run_id} {subject.step}")
            self.laws.happened(subject)
        elif name.startswith("callback"):
            self.counter[name] += 1
            self.counter[self._when(subject)] += 1
            self.note("world", name, f"{subject.run_id} {subject.step} attempt {subject.attempt}")
        elif not name.endswith(" honest"):
            self.counter[name] += 1
            self.note("world", name, f"{subject.step}")

    def _when(self, request: Request) -> str:
        """What the run of a request knows of it when its result is delivered."""
        state = self.laws.states[request.run_id]
        owed = state.pending.get(request.step)
        if state.ended:
            return "callback after the run ended"
        if owed is not None and owed.key == request.key:
            return "callback while it is owed" if self.now() < owed.until else "callback after the deadline"
        before = state.steps[request.step].phase in ("flying", "doubt", "probe_wait", "probing")
        return "callback before the outcome" if before else "callback after the deadline"

    # --- faults ---------------------------------------------------------------------------------------------------

    def _behave(self, request: Request) -> Behaviour:
        if not self.stormy():
            return Behaviour(name="ok")
        behaviour = self.weather.behaviour(request)
        self.counter[behaviour.name] += 1
        if behaviour.visible > 0:
            self.counter["effect visible late"] += 1
        process = current_process()
        if process is not None:
            self.crash_soon(process, "while a call is in flight")
        return behaviour

    def _look(self, tool: str, call: Call) -> Look:
        return self.weather.look() if self.stormy() else "honest"

    def may_crash(self) -> bool:
        return self._crashes < faults.CRASHES_MAX

    def crash(self, process: Process, kind: str) -> None:
        """SIGKILL."""
        if not process.dead:
            self._crashes += 1
            self.note(process.name, "killed", kind)
            late = any(request.in_flight for request in self.world.requests)
            self.counter["request lands after its caller died"] += late
            process.kill()
            self.workers.died(process)

    def crash_soon(self, process: Process, where: str) -> None:
        """SIGKILL in a moment, now and then."""
        if self.weather.crash and self.dice.random() < self.weather.crash * 4:
            outside(self.loop.call_later, self.dice.uniform(0.0, 0.8), self._crash_in_flight, process, where)

    def _crash_in_flight(self, process: Process, where: str) -> None:
        if self.may_crash() and not process.dead and self.stormy():
            self.counter[f"crash {where}"] += 1
            self.crash(process, where)

    async def gate(self, process: Process, where: str, danger: int = 1) -> None:
        """Between two actions of a worker: it may be killed or stopped here; so many times as often where it is dangerous."""
        weather = self.weather
        if weather.crash and self.may_crash() and self.dice.random() < weather.crash * min(danger, 4):
            self.counter[f"crash {where}"] += 1
            self.crash(process, where)
            await self.loop.create_future()
        may_stop = self._pauses < faults.PAUSES_MAX and where == "after a journal operation"
        if weather.pause and may_stop and self.dice.random() < weather.pause * danger:
            self.stop_process(process, self.dice.uniform(0.2, 4.0) * LEASE_SECONDS)
            await asyncio.sleep(0)

    def stop_process(self, process: Process, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        self._pauses += 1
        self.note(process.name, "stopped", f"{seconds:.3f}")
        if seconds > LEASE_SECONDS:
            self.counter["worker stopped past its lease"] += 1
        process.pause()
        outside(self.loop.call_later, seconds, self._continue_process, process)

    def _continue_process(self, process: Process) -> None:
        if not process.dead:
            self.note(process.name, "continued")
            process.resume()

    def stumbles(self) -> bool:
        """Whether the reasoner fails this time."""
        fails = self.stormy() and self.weather.stumble > 0 and self.dice.random() < self.weather.stumble
        self.counter["reasoner fails"] += fails
        return fails

    def disk_is_full(self) -> bool:
        full = self._disk_full[0] <= self.loop.time() < self._disk_full[1]
        self.counter["disk full"] += full
        return full

    def _plan_weather(self) -> None:
        dice, weather = self.dice, self.weather
        if weather.disk_full:
            begins = dice.uniform(0.0, 6.0)
            self._disk_full = (begins, begins + dice.uniform(0.5, 10.0))
        if weather.cancel:
            self.loop.call_later(
                dice.uniform(0.0, 10.0), self._begin_task, self._cancel, f"run-{dice.randrange(self.script.runs)}"
            )
        if weather.down is not None:
            begins, seconds = weather.down
            self.loop.call_later(begins, outside, self.world.goes_down, seconds)
        if weather.jump:
            self.loop.call_later(dice.uniform(0.1, 8.0), self._jump)
        if weather.sigterm:
            self.loop.call_later(dice.uniform(0.05, 6.0), self.workers.terminate_one)
        if weather.crash:
            self.loop.call_later(dice.uniform(0.5, 10.0), self.workers.crash_one)
        if weather.pause:
            self.loop.call_later(dice.uniform(0.1, 5.0), self.workers.stop_one)

    def _begin_task(self, what: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self._tasks.append(self.loop.create_task(what(*args)))

    async def _cancel(self, run_id: str) -> None:
        if run_id not in self.store.runs:
            await asyncio.sleep(0.5)
            await self._cancel(run_id)
        else:
            self.counter["cancelled in the middle"] += 1
            below = [other for other in self.store.runs if other.startswith(f"{run_id}.")]
            if below and self.dice.random() < 0.3:
                run_id = self.dice.choice(below)
            await self.people.cancel(run_id, self.dice.choice((None, "undo", "ask", "keep")) if self.script.messy else None)

    def _jump(self) -> None:
        """The clock is set. Ahead: the world has gone on as well, as after a machine slept. Back: by less than keys bear."""
        seconds = self._set_back or self.dice.choice((0.5, 3.0, 20.0, 60.0))
        self.counter["clock jump back" if seconds < 0 else "clock jump forward"] += 1
        self.note("clock", "jumps", f"{seconds:+.3f}")
        if seconds > 0:
            self.world.hurry()
        self.clock.jump(seconds)


class GatedWorld(World):
    """The world, with a place for crashes before and after each call."""

    def __init__(self, stage: Stage, *scripts: Any, **options: Any):
        super().__init__(*scripts, **options)
        self._stage = stage

    async def request(self, *args: Any) -> Any:
        await self._gate("before a call is sent")
        if self._stage.minds is not None:
            self._stage.minds.called(args[0], args[4])
        reply = await super().request(*args)
        await self._gate("after a call returned", danger=4)
        return reply

    async def _gate(self, where: str, danger: int = 1) -> None:
        process = current_process()
        if process is not None and self._stage.stormy():
            await self._stage.gate(process, where, danger)


class WatchedStore(MemoryStore):
    """The store, with the laws looking on."""

    def __init__(self, stage: Stage):
        super().__init__(secret=bytes(32))  # A seed gives the same tokens each time.
        self._stage = stage
        self.on_commit = stage.committed

    def _claimed(self, run: Any, worker: str, now: float, lease_seconds: float) -> Claim:
        claim = super()._claimed(run, worker, now, lease_seconds)
        self._stage.note(worker, "claims", f"{claim.run_id} f{claim.fence}")
        self._stage.laws.claimed(claim, now)
        return claim

    def send(self, run_id: str, message: Message) -> int:
        sent = super().send(run_id, message)
        self._stage.laws.people.sent(run_id, sent, message)
        return sent

    def append(self, batch: Batch) -> Head | Full:
        self._stage.skew = max(self._stage.skew, self._stage.now() - batch.at)
        try:
            written = super().append(batch)
        except Superseded:
            self._stage.counter["two owners at once"] += 1
            self._stage.note("store", "superseded", f"{batch.run_id} f{batch.fence}")
            raise
        if not isinstance(written, Full):
            if batch.release is not None:
                self._stage.laws.lease(batch.run_id, "", 0.0)
            if batch.opened or batch.closed:
                self._stage.laws.people.stored(batch.run_id)
        return written

    def release(self, claim: Claim, release: Release) -> None:
        if self.holds(claim):
            self._stage.laws.lease(claim.run_id, "", 0.0)
        super().release(claim, release)

    def deliver(self, digest: str, body: dict[str, Any], at: float) -> Delivery:
        delivery = super().deliver(digest, body, at)
        self._stage.laws.promises.delivered(digest, delivery)
        return delivery

    def extend(self, claims: Iterable[Claim], until: float) -> list[Claim]:
        wanted = list(claims)
        kept = super().extend(wanted, until)
        for claim in kept:
            self._stage.laws.lease(claim.run_id, claim.worker, until)
        self._stage.counter["lease lost"] += len(wanted) - len(kept)
        return kept


def _request(request: Request) -> str:
    return (
        f"{request.tool} {request.item} {request.amount} for {request.run_id} {request.step} attempt {request.attempt}: "
        f"{request.behaviour.name}"
    )


def _plain(about: object) -> str:
    if isinstance(about, msgspec.Struct):
        return msgspec.json.encode(about).decode()[:400]
    return str(about)
