"""The jumping clock: virtual time, one order, and processes that can be stopped and killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast.testing.clock import (
    EPOCH,
    InlineThreads,
    JumpingLoop,
    Process,
    SimClock,
    Stuck,
    current_process,
    outside,
    run_jumping,
)


@pytest.fixture
def loop() -> Iterator[JumpingLoop]:
    loop = JumpingLoop(time_max=1e9)
    yield loop
    loop.close()
    assert loop.errors == []


def test_a_week_passes_in_a_moment(loop: JumpingLoop) -> None:
    """Sleeping takes no time, and the loop's time says that it passed."""
    before = time.monotonic()
    loop.run_until_complete(asyncio.sleep(7 * 86400))
    assert loop.time() == 7 * 86400
    assert time.monotonic() - before < 1


def test_what_is_due_runs_in_the_order_of_its_time_and_then_of_its_call(loop: JumpingLoop) -> None:
    """First in, first out; timers of one moment in the order in which they were set."""
    order: list[str] = []
    loop.call_later(2, order.append, "late")
    loop.call_later(1, order.append, "early")
    loop.call_later(1, order.append, "early too")
    loop.call_soon(order.append, "at once")
    loop.call_later(1.5, order.append, "never").cancel()
    loop.run_until_complete(asyncio.sleep(3))
    assert order == ["at once", "early", "early too", "late"]


def test_the_usual_things_of_asyncio_work(loop: JumpingLoop) -> None:
    """Tasks, groups, time-outs, events and threads (which are run at once)."""

    async def main() -> list[Any]:
        event = asyncio.Event()
        loop.call_later(5, event.set)
        results = await asyncio.gather(event.wait(), asyncio.sleep(1, "slept"), asyncio.to_thread(lambda: "in a thread"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(1, "grouped"))
        return [*results, task.result(), loop.time()]

    assert loop.run_until_complete(main()) == [True, "slept", "in a thread", "grouped", 16]


def test_waiting_for_what_can_never_come_is_an_error(loop: JumpingLoop) -> None:
    """Instead of hanging for ever."""
    with pytest.raises(Stuck, match="nothing is left"):
        loop.run_until_complete(asyncio.Event().wait())


def test_time_and_callbacks_have_bounds() -> None:
    """What goes on for ever is found, whether it waits or not."""

    async def poll(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await asyncio.create_task(poll(seconds))

    for bounds, seconds in (({"time_max": 100.0}, 1.0), ({"turns_max": 1_000}, 0.0)):
        loop = JumpingLoop(**bounds)  # type: ignore[arg-type]
        with pytest.raises(Stuck):
            loop.run_until_complete(poll(seconds))
        loop.close()


def test_errors_that_nobody_caught_are_kept() -> None:
    """So that a test can look at them."""
    loop = JumpingLoop()

    def fail() -> None:
        raise ValueError("oops")

    loop.call_soon(fail)
    loop.run_until_complete(asyncio.sleep(1))
    assert [str(error["exception"]) for error in loop.errors] == ["oops"]
    loop.close()


def test_the_wall_clock_can_be_set_and_the_other_one_cannot(loop: JumpingLoop) -> None:
    """Both have the shape of the real ones."""
    clock = SimClock(loop)
    loop.run_until_complete(asyncio.sleep(1.23456))
    assert (clock.now(), clock.monotonic()) == (EPOCH + 1.235, 1.23456)
    clock.jump(3600)
    assert (clock.now(), clock.monotonic()) == (EPOCH + 3601.235, 1.23456)
    clock.jump(-7200)
    assert clock.now() == EPOCH - 3598.765


def test_a_killed_process_does_nothing_any_more(loop: JumpingLoop) -> None:
    """No finally, no except, no callback; others go on."""
    told: list[str] = []

    async def live(name: str, process: Process | None) -> None:
        assert current_process() is process
        try:
            await asyncio.sleep(1)
            told.append(f"{name} woke")
            await asyncio.sleep(10)
            told.append(f"{name} woke again")
        finally:
            told.append(f"{name} left")

    process = Process(loop, "victim")
    task = process.start(live("victim", process))
    loop.call_later(2, process.kill)
    loop.run_until_complete(live("other", None))
    assert told == ["victim woke", "other woke", "other woke again", "other left"]
    assert process.dead
    assert not task.done()


def test_what_a_killed_process_left_is_unwound_when_the_loop_closes() -> None:
    """And not by the garbage collector, who comes at any time."""
    loop, told = JumpingLoop(), list[str]()

    async def live() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            told.append("first")
            await asyncio.sleep(10)
            told.append("never")

    process = Process(loop, "victim")
    task = process.start(live())
    never_begun = process.start(live())
    loop.call_later(0, process.kill)
    loop.run_until_complete(asyncio.sleep(1))
    assert told == []
    loop.close()
    assert told in (["first"], ["first", "first"])
    assert not task.done() or not never_begun.done()


def test_a_stopped_process_goes_on_where_it_was(loop: JumpingLoop) -> None:
    """Its timers go off when it is continued, and it sees that time has passed."""
    told: list[tuple[str, float]] = []

    async def live() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            told.append(("tick", loop.time()))

    process = Process(loop, "sleeper")
    task = process.start(live())
    loop.call_later(1.5, process.pause)
    loop.call_later(60, process.resume)
    loop.run_until_complete(asyncio.sleep(100))
    assert told == [("tick", 1), ("tick", 60), ("tick", 61)]
    assert task.done()


def test_what_is_done_outside_outlives_its_process(loop: JumpingLoop) -> None:
    """A request that was sent goes on when its sender dies."""
    told: list[str] = []

    def send() -> None:
        loop.call_later(5, told.append, "arrived")

    async def live(how: Callable[[], None]) -> None:
        how()
        await asyncio.sleep(100)

    process = Process(loop, "sender")
    tasks = [process.start(live(send)), process.start(live(lambda: outside(send)))]
    loop.call_later(1, process.kill)
    loop.run_until_complete(asyncio.sleep(10))
    assert told == ["arrived"]
    assert not any(task.done() for task in tasks)


def test_synchronous_tools_can_run_on_the_loop() -> None:
    """Where there must be no threads."""

    async def main(clock: SimClock) -> str:
        await asyncio.sleep(3)
        return await InlineThreads().call(lambda: f"at {clock.monotonic():g}", 1.0, None)  # type: ignore[arg-type]

    assert run_jumping(main) == "at 3"


def test_loops_are_cheap() -> None:
    """A simulation makes one for every seed."""
    before = time.perf_counter()
    for _ in range(300):
        loop = JumpingLoop()
        loop.run_until_complete(asyncio.sleep(1))
        loop.close()
    assert time.perf_counter() - before < 1
