"""Workers and schedules: each time is fired once, whoever dies; policies hold; one bad schedule stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from holdfast import Agent, Call, Holdfast, tool
from holdfast.core.schedule import Firing, Schedule, Standing, next_times, run_id_of
from holdfast.engines import embedded
from holdfast.engines.schedules import LOOK_SECONDS, Schedules
from holdfast.errors import JournalUnavailable
from holdfast.journal.base import Turn
from holdfast.runner.clock import SystemClock
from holdfast.testing.clock import InlineThreads, JumpingLoop, Process, SimClock, run_jumping
from holdfast.testing.memory import MemoryJournal, MemoryStore
from tests.gate import until

T = TypeVar("T")
NOON = 1_780_315_200.0  # 2026-06-01T12:00Z
HOUR = 3600.0


class Hand(SystemClock):
    """A clock whose hands are set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The path of a store that is not there yet."""
    return tmp_path / "runs.db"


@pytest.fixture
def told() -> list[str]:
    """What workers said went wrong."""
    return []


def quick(calls: list[str] | None = None, **options: Any) -> Agent:
    """An agent whose runs end at once."""

    @tool(safety="keyed", key_ttl="30d")
    async def note(call: Call) -> str:
        if calls is not None:
            calls.append(call.key)
        return "noted"

    return Agent("clerk", tools=[note], plan={"a": {"tool": "note"}}, **options)


def asking() -> Agent:
    """An agent whose runs wait for a person."""

    @tool
    async def pay() -> str:
        return "paid"

    return Agent("payer", tools=[pay], plan={"a": {"tool": "pay"}})


async def work(app: Holdfast, clock: Hand, at: float, *agents: Agent) -> None:
    """A worker comes at that time, does all there is to do, and goes."""
    clock.at = at
    await app.work(*agents, until_idle=True)


async def fired(app: Holdfast, name: str = "s") -> dict[str, str]:
    """What became of each hour after noon, in order."""
    found: dict[str, str] = {}
    for one in reversed(await app.firings(name)):
        hours = f"{(one.planned_at - NOON) / HOUR:g}" + (f"-{(one.until - NOON) / HOUR:g}" if one.count > 1 else "")
        found[hours] = one.became + (" late" if one.caught_up else "")
    return found


async def statuses(app: Holdfast) -> list[tuple[str, str]]:
    """All runs, by id: the hour, and how they stand."""
    return sorted((row.run_id[-7:-5], row.status) for row in await app.runs())


# --- times ---------------------------------------------------------------------------------------------------------


async def test_a_time_fires_when_it_comes_and_once(db: Path, clock: Hand) -> None:
    """Not before; with the goal, inputs, tenant, priority and labels of the schedule, under the id of its time."""
    agent = quick(inputs={"n": {"type": "integer"}})
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(
            agent, "tidy up", id="s", cron="0 * * * *", inputs={"n": 1}, tenant="t", priority=2, labels={"team": "a"}
        )
        await work(app, clock, NOON + HOUR - 1, agent)
        assert await app.runs() == []
        for seconds in (0, 1, 30):
            await work(app, clock, NOON + HOUR + seconds, agent)
        (row,) = await app.runs()
        assert (row.run_id, row.status, row.tenant, row.priority) == ("s-20260601T130000Z", "completed", "t", 2)
        assert row.labels == {"team": "a", "schedule": "s"}
        goal = (await app.state(row.run_id)).goal
        assert (goal.text, goal.inputs) == ("tidy up", {"n": 1})
        assert await fired(app) == {"1": "begun"}


async def test_a_schedule_of_one_time_is_over_after_it(db: Path, clock: Hand) -> None:
    """It stays to be seen."""
    agent = quick()
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", at=NOON + HOUR + 0.25)
        await work(app, clock, NOON + HOUR, agent)
        assert await app.runs() == []
        await work(app, clock, NOON + HOUR + 1, agent)
        await work(app, clock, NOON + 3 * HOUR, agent)
        assert [row.run_id for row in await app.runs()] == ["s-20260601T130000Z"]
        (found,) = await app.schedules()
        assert (found.next_at, found.running) == (None, False)


async def test_of_many_workers_that_see_a_time_one_fires(db: Path, clock: Hand) -> None:
    """And the others go on with the next."""
    calls: list[str] = []
    agent = quick(calls)
    apps = [Holdfast(db, clock=clock, worker=f"w{n}") for n in range(4)]
    await asyncio.gather(*(app.journal.open() for app in apps))
    for n in range(5):
        await apps[0].schedule(agent, id=f"s{n}", cron="0 * * * *")
    for hour in (1, 2, 3):
        await asyncio.gather(*(work(app, clock, NOON + hour * HOUR, agent) for app in apps))
    assert len(await apps[0].runs()) == len(calls) == len(set(calls)) == 15
    for n in range(5):
        assert await fired(apps[0], f"s{n}") == {"1": "begun", "2": "begun", "3": "begun"}
    for app in apps:
        await app.close()


async def test_schedules_of_agents_that_are_not_loaded_are_left_alone(db: Path, clock: Hand) -> None:
    """The worker that has the agent catches up."""
    agent = quick()
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", cron="0 * * * *")
        await work(app, clock, NOON + HOUR, asking())
        assert await app.firings("s") == []
        await work(app, clock, NOON + 1.5 * HOUR, agent)
        assert await fired(app) == {"1": "begun late"}


async def test_a_run_of_ones_own_fires_no_schedules(db: Path, clock: Hand) -> None:
    """Only `work` does."""
    agent = quick()
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", cron="0 * * * *")
        clock.at = NOON + HOUR
        await app.run(agent, id="mine")
        assert [row.run_id for row in await app.runs()] == ["mine"]


# --- policies ------------------------------------------------------------------------------------------------------


async def test_a_time_is_skipped_while_the_run_before_goes_on(db: Path, clock: Hand) -> None:
    """Waiting for a person is going on too."""
    agent = asking()
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", cron="0 * * * *")
        for hour in (1, 2, 3):
            await work(app, clock, NOON + hour * HOUR, agent)
        assert await statuses(app) == [("13", "blocked")]
        await app.answer("s-20260601T130000Z", "approve", by="ann")
        await work(app, clock, NOON + 3.5 * HOUR, agent)
        await work(app, clock, NOON + 4 * HOUR, agent)
        assert await statuses(app) == [("13", "completed"), ("16", "blocked")]
        assert await fired(app) == {"1": "begun", "2": "skipped", "3": "skipped", "4": "begun"}
        assert (await app.firings("s"))[1].why == "s-20260601T130000Z goes on"


async def test_times_queue_for_the_run_before_to_end(db: Path, clock: Hand) -> None:
    """One after another, in order; what has no room in the queue is dropped, and says so."""
    agent = asking()
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", cron="0 * * * *", overlap="queue", queue_max=2)
        for hour in (1, 2, 3, 4):
            await work(app, clock, NOON + hour * HOUR, agent)
        assert await fired(app) == {"1": "begun", "2": "waiting", "3": "waiting", "4": "dropped"}
        for hour in (13, 14):
            await app.answer(f"s-20260601T{hour}0000Z", "approve", by="ann")
            await work(app, clock, NOON + 4.5 * HOUR, agent)
        assert await statuses(app) == [("13", "completed"), ("14", "completed"), ("15", "blocked")]
        assert await fired(app) == {"1": "begun", "2": "begun", "3": "begun", "4": "dropped"}


async def test_the_run_before_is_replaced(db: Path, clock: Hand) -> None:
    """It is asked to end, and the latest time begins when it has."""
    agent = asking()
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", cron="0 * * * *", overlap="replace")
        for hour in (1, 2, 3):
            await work(app, clock, NOON + hour * HOUR, agent)
        assert await statuses(app) == [("13", "cancelled"), ("14", "cancelled"), ("15", "blocked")]
        assert await fired(app) == {"1": "begun", "2": "begun", "3": "begun"}
        assert "schedule s" in (await app.show("s-20260601T130000Z")).reason


async def test_what_is_to_be_replaced_and_does_not_end_keeps_only_the_latest_waiting(db: Path, clock: Hand) -> None:
    """The effect at hand is finished first; the times in between are replaced themselves."""
    inside, out = asyncio.Event(), asyncio.Event()

    @tool(safety="idempotent", timeout="10h")
    async def slow() -> str:
        inside.set()
        await out.wait()
        return "at last"

    agent = Agent("slow", tools=[slow], plan={"a": {"tool": "slow"}, "b": {"tool": "slow", "after": ["a"]}})
    async with Holdfast(db, clock=clock, lease_seconds=10 * HOUR) as app:
        await app.schedule(agent, id="s", cron="0 * * * *", overlap="replace")
        clock.at = NOON + HOUR
        worker = asyncio.create_task(app.work(agent, until_idle=True))
        await inside.wait()
        looks = Schedules(app.journal, clock, {"slow": agent}, lambda _, error: None)
        for hour in (2, 3, 4):
            clock.at = NOON + hour * HOUR
            await looks.look(now=True)
        assert await fired(app) == {"1": "begun", "2": "replaced", "3": "replaced", "4": "waiting"}
        assert await statuses(app) == [("13", "running")]

        async def heard() -> bool:
            return not await app.journal.messages("s-20260601T130000Z")

        await until(heard)
        out.set()
        await worker
        assert await statuses(app) == [("13", "cancelled"), ("16", "completed")]
        assert await fired(app) == {"1": "begun", "2": "replaced", "3": "replaced", "4": "begun"}


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", {"1-5": "missed", "6": "begun"}),
        ("last", {"1-4": "missed", "5": "begun late", "6": "begun"}),
        ("all", {**{str(hour): "begun late" for hour in range(1, 6)}, "6": "begun"}),
    ],
)
async def test_times_that_passed_while_nobody_worked_are_caught_up_with(
    db: Path, clock: Hand, catch_up: Any, expected: dict[str, str]
) -> None:
    """None of them, the last, or all of them one after another; and it goes on with the next."""
    calls: list[str] = []
    agent = quick(calls)
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", cron="0 * * * *", catch_up=catch_up)
        await work(app, clock, NOON + 5.5 * HOUR, agent)
        await work(app, clock, NOON + 6 * HOUR, agent)
        assert await fired(app) == expected
        assert len(calls) == sum("begun" in one for one in expected.values())


async def test_a_paused_schedule_begins_nothing_until_it_is_resumed(db: Path, clock: Hand) -> None:
    """And then with its next time."""
    agent = quick()
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(agent, id="s", cron="0 * * * *", catch_up="all")
        await app.pause_schedule("s")
        await work(app, clock, NOON + 2.5 * HOUR, agent)
        await app.resume_schedule("s")
        await work(app, clock, NOON + 2.6 * HOUR, agent)
        assert await app.runs() == []
        await work(app, clock, NOON + 3 * HOUR, agent)
        assert await fired(app) == {"1-2": "paused", "3": "begun"}


# --- what cannot begin ---------------------------------------------------------------------------------------------


async def test_a_run_that_cannot_begin_is_refused_and_the_next_time_is_tried(db: Path, clock: Hand) -> None:
    """The agent takes other inputs by now, or the id is that of another run."""
    async with Holdfast(db, clock=clock) as app:
        await app.schedule(quick(), id="s", cron="0 * * * *")
        await work(app, clock, NOON + HOUR, quick(inputs={"city": {"type": "string"}}))
        assert await app.runs() == []
        assert "the input city is missing" in (await app.firings("s"))[0].why
        await app.start(quick(), "something else", id="s-20260601T140000Z")
        await work(app, clock, NOON + 2 * HOUR, quick())
        assert (await app.firings("s"))[0].why == "the id belongs to another run"
        await work(app, clock, NOON + 3 * HOUR, quick())
        assert await fired(app) == {"1": "refused", "2": "refused", "3": "begun"}


async def test_a_schedule_that_cannot_be_ruled_on_stops_no_other_and_is_told_once(db: Path, clock: Hand, told: list[str]) -> None:
    """A zone, for example, that this machine does not know; after a change it is tried again."""
    agent = quick()
    async with Holdfast(db, clock=clock, on_error=lambda run_id, error: told.append(f"{run_id}{error}")) as app:
        await app.schedule(agent, id="s", cron="0 * * * *")
        mars = Schedule(name="mars", agent="clerk", cron="0 * * * *", timezone="Mars/Olympus")
        assert await app.journal.turn_schedule(
            Turn(standing=Standing(schedule=mars, ruled_until=NOON, next_at=NOON + 60), at=NOON)
        )
        for hour in (1, 2):
            await work(app, clock, NOON + hour * HOUR, agent)
        assert await fired(app) == {"1": "begun", "2": "begun"}
        (one,) = told
        assert one.startswith("schedule mars: 'Mars/Olympus' is no time zone")
        await app.schedule(agent, id="mars", cron="0 * * * *", timezone="UTC", replace=True)
        await work(app, clock, NOON + 3 * HOUR, agent)
        assert (await app.firings("mars"))[0].became == "begun"


async def test_a_schedule_that_cannot_be_read_stops_no_run(db: Path, clock: Hand, told: list[str]) -> None:
    """What a later release wrote, perhaps; it is told once."""
    agent = quick()
    async with Holdfast(db, clock=clock, on_error=lambda run_id, error: told.append(str(error))) as app:
        await app.schedule(agent, id="s", cron="0 * * * *")
        await app.journal.file.write(lambda c: c.execute("update schedules set body = '{\"name\": 7}'"))  # type: ignore[attr-defined]
        await app.start(agent, id="r")
        for hour in (1, 2):
            await work(app, clock, NOON + hour * HOUR, agent)
        assert (await app.show("r")).done
        (one,) = told
        assert one.startswith("a schedule cannot be read")


async def test_a_store_that_is_away_at_the_moment_of_firing_is_waited_for(
    db: Path, clock: Hand, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the write arrived, the time begins one run."""
    monkeypatch.setattr(embedded, "BACK_OFF_SECONDS", 0.01)
    calls: list[str] = []
    agent = quick(calls)
    async with Holdfast(db, clock=clock, on_error=lambda run_id, error: told.append(str(error))) as app:
        await app.schedule(agent, id="s", cron="0 * * * *")
        write = app.journal.turn_schedule
        failures = ["lost", "arrived"]

        async def badly(turn: Turn) -> bool:
            failure = failures.pop() if failures else ""
            done = failure != "lost" and await write(turn)
            if failure:
                raise JournalUnavailable(failure)
            return done

        monkeypatch.setattr(app.journal, "turn_schedule", badly)
        await work(app, clock, NOON + HOUR, agent)
        await work(app, clock, NOON + 2 * HOUR, agent)
        assert told == ["arrived", "lost"]
        assert await fired(app) == {"1": "begun", "2": "begun"}
        assert len(calls) == 2


# --- looking -------------------------------------------------------------------------------------------------------


def test_a_worker_with_much_to_do_looks_now_and_then_and_in_time() -> None:
    """Not at each step of each run; but when a time has come, at once."""
    looks: list[float] = []

    class Counting(MemoryJournal):
        async def _do(self, name: str, work: Callable[..., T], *args: Any) -> T:
            looks.extend([args[1]] if name == "due_schedules" else [])
            return await super()._do(name, work, *args)

    async def main(clock: SimClock) -> None:
        begin = clock.now()
        async with Holdfast(Counting(), clock=clock) as app:
            await app.schedule(quick(), id="s", at=begin + 3.5)
            schedules = Schedules(app.journal, clock, {"clerk": quick()}, lambda run_id, error: None)
            for _ in range(400):
                again = await schedules.look()
                assert again is not None or clock.now() > begin + 3.5
                await asyncio.sleep(0.01)
            assert [round(at - begin, 1) for at in looks] == [0, 1, 2, 3, 3.5, 3.5]
            assert [row.run_id for row in await app.runs()] == [run_id_of("s", begin + 3.5)]

    assert LOOK_SECONDS == 1.0
    run_jumping(main)


# --- a week --------------------------------------------------------------------------------------------------------


class Fragile(MemoryJournal):
    """A handle whose process dies at some of its rulings: before they are written, or after."""

    process: Process
    dies: dict[int, str]
    rulings = 0

    async def _do(self, name: str, work: Callable[..., T], *args: Any) -> T:
        if name != "turn_schedule":
            return await super()._do(name, work, *args)
        self.rulings += 1
        await self._die("before")
        result = await super()._do(name, work, *args)
        await self._die("after")
        return result

    async def _die(self, side: str) -> None:
        if self.dies.get(self.rulings) == side:
            self.process.kill()
            await asyncio.Future()


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_week_passes_and_each_time_has_its_run(side: str) -> None:
    """Two workers that die around a ruling again and again, and clocks that are set back in the middle of it."""
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime(2026, 10, 22, 12, 0, 1, tzinfo=zone).timestamp()
    lines = {"hourly": "0 * * * *", "daily": "30 2 * * *", "often": "*/20 1-3 * * *"}
    calls: list[str] = []
    store = MemoryStore(b"s" * 32)
    loop = JumpingLoop()
    clock = SimClock(loop, begin)
    deaths = 0

    def worker(number: int, dies: dict[int, str]) -> Process:
        process = Process(loop, f"w{number}")
        journal = Fragile(store)
        journal.process, journal.dies = process, dies
        app = Holdfast(journal, clock=clock, threads=InlineThreads(), worker=f"w{number}", poll_seconds=1.0)
        process.start(app.work(quick(calls)))
        return process

    async def main() -> None:
        nonlocal deaths
        app = Holdfast(MemoryJournal(store), clock=clock)
        for name, line in lines.items():
            await app.schedule(quick(), id=name, cron=line, timezone="Europe/Berlin")
        workers = [worker(0, {3: side}), worker(1, {5: side})]
        while clock.now() < begin + 7 * 86400:
            clock.jump(600 - 10)
            await asyncio.sleep(10)
            for place, process in enumerate(workers):
                if process.dead:
                    deaths += 1
                    workers[place] = worker(1 + deaths, {3 + deaths % 5: side})
        await asyncio.sleep(60)
        for name, line in lines.items():
            planned = list(takewhile(lambda time: time <= clock.now(), next_times(line, "Europe/Berlin", begin)))
            kept: list[Firing] = await app.journal.firings(name)
            assert [one.planned_at for one in reversed(kept)] == planned
            assert {one.became for one in kept} == {"begun"}
        rows = await app.runs()
        assert {row.status for row in rows} == {"completed"}
        assert len(rows) == len(set(calls)) == 7 * 24 + 7 + 7 * 9 + 3

    loop.run_until_complete(main())
    loop.close()
    assert loop.errors == []
    assert deaths > 20
