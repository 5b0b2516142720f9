"""What a worker does while it waits, by a clock that jumps: how often it looks, and by which clock it counts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from holdfast import Agent, Holdfast, RateLimited, tool
from holdfast.core import events as e
from holdfast.runner import advance
from holdfast.testing.clock import EPOCH, InlineThreads, JumpingLoop, SimClock
from holdfast.testing.memory import MemoryJournal
from holdfast.testing.models import ScriptedModel, after


def jumping(main: Callable[[Holdfast], Coroutine[Any, Any, Any]], start: float = EPOCH) -> Any:
    """Play it on a loop whose time jumps."""
    loop = JumpingLoop()
    app = Holdfast(MemoryJournal(), clock=SimClock(loop, start), threads=InlineThreads())
    try:
        return loop.run_until_complete(main(app))
    finally:
        loop.close()


@pytest.mark.parametrize(("start", "seconds"), [(EPOCH, 0.2), (EPOCH, 0.269), (EPOCH + 0.037, 0.2), (EPOCH + 0.074, 0.292)])
def test_a_wait_that_ends_within_a_tick_is_looked_at_once(start: float, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are whole milliseconds, and sums of them are off by less than one: until the next nothing is another, however often
    it is looked at."""
    looks, decide = [], advance.decide
    monkeypatch.setattr(advance, "decide", lambda *args: (looks.append(1), decide(*args))[1])
    tries: list[int] = []

    @tool(safety="read", retry={"attempts": 6, "backoff": "1ms..1ms"})
    async def look() -> str:
        tries.append(1)
        if len(tries) < 6:
            raise RateLimited("slow down", retry_after_seconds=seconds)
        return "seen"

    async def main(app: Holdfast) -> Any:
        return await app.run(Agent("watch", tools=[look], plan={"one": {"tool": "look"}}), "Look.", id="watch-1")

    assert jumping(main, start).done
    assert len(tries) == 6
    assert len(looks) < 30


def test_how_long_a_model_took_is_by_the_clock_of_the_worker() -> None:
    """So that a simulation writes down the same each time."""

    async def main(app: Holdfast) -> Any:
        await app.run(Agent("talk", model=ScriptedModel([after(3.5, "late")])), "Talk.", id="talk-1")
        return await app.history("talk-1")

    answered = [entry.event for entry in jumping(main) if isinstance(entry.event, e.ModelAnswered)]
    assert [event.seconds for event in answered] == [3.5]
