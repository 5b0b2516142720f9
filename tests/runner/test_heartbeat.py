"""The end of a call that reports no progress, in the time of a clock that jumps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from holdfast.runner.heartbeat import Heartbeat
from holdfast.testing.clock import run_jumping
from tests.gate import until


def watched(main: Callable[[Heartbeat, list[float]], Coroutine[Any, Any, None]]) -> list[float]:
    """When a heartbeat of 30 s ended the call, with what is done meanwhile."""

    async def whole(clock: Any) -> list[float]:
        loop, ended = asyncio.get_running_loop(), []
        heartbeat = Heartbeat(30.0)
        heartbeat.begin(lambda: ended.append(loop.time()))
        await main(heartbeat, ended)
        assert heartbeat.ended is bool(ended)
        return ended

    return run_jumping(whole)


def test_silence_ends_a_call_once() -> None:
    """At the end of the time that it has."""

    async def silent(heartbeat: Heartbeat, ended: list[float]) -> None:
        await asyncio.sleep(1000)

    assert watched(silent) == [30.0]


def test_each_report_starts_the_time_anew() -> None:
    """From the report on, not from the last look."""

    async def reports(heartbeat: Heartbeat, ended: list[float]) -> None:
        for _ in range(5):
            await asyncio.sleep(29)
            heartbeat.beat()
        await asyncio.sleep(1000)

    assert watched(reports) == [5 * 29 + 30.0]


def test_a_call_that_is_over_is_watched_no_more() -> None:
    """It may be closed twice, and before it began."""

    async def over(heartbeat: Heartbeat, ended: list[float]) -> None:
        heartbeat.close()
        heartbeat.close()
        await asyncio.sleep(1000)

    assert watched(over) == []

    async def never_begun(clock: Any) -> None:
        Heartbeat(1.0).close()

    run_jumping(never_begun)


async def test_reports_from_threads_wake_the_loop_once() -> None:
    """However many come before it looks."""
    loop = asyncio.get_running_loop()
    heartbeat, before = Heartbeat(30.0), loop.time()
    heartbeat.begin(lambda: None)
    woken: list[Any] = []
    plain, loop.call_soon_threadsafe = loop.call_soon_threadsafe, lambda *given: woken.append(given) or plain(*given)  # type: ignore[method-assign, assignment, func-returns-value]
    thread = threading.Thread(target=lambda: [heartbeat.beat() for _ in range(10_000)])
    thread.start()
    thread.join()
    assert len(woken) == 1
    await until(lambda: heartbeat._heard_at > before)
    heartbeat.close()


def test_a_report_after_the_loop_is_gone_is_nobodys() -> None:
    """A thread that was left behind may still report."""
    kept: list[Heartbeat] = []

    async def main() -> None:
        kept.append(Heartbeat(30.0))

    asyncio.run(main())
    thread = threading.Thread(target=kept[0].beat)
    thread.start()
    thread.join()
