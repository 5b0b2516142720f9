"""Walks in this process, on a jumping clock: the worker is a `Process` of the loop, and dies as a real one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from holdfast.app import Holdfast
from holdfast.testing.clock import InlineThreads, JumpingLoop, Process, SimClock
from holdfast.testing.crash_walk.walks import (
    BOUNDARIES,
    SIDES,
    STARTS_MAX,
    Side,
    Story,
    WalkFailed,
    WalkResult,
    all_walks,
    answer_run,
    in_words,
)
from holdfast.testing.memory import MemoryJournal, MemoryStore

T = TypeVar("T")


def crash_walk_simulated(
    make: Callable[[], Story], *, sides: Iterable[Side] = SIDES, twice: bool = False, lease_seconds: float = 5.0
) -> list[WalkResult]:
    """The same walk on a jumping clock with a journal in memory. make: a story in a world of its own, anew for each walk.

    twice: the second start is killed as well, at each of its boundaries in turn: recovery must bear a crash too.
    """
    results: list[WalkResult] = []
    once: list[WalkResult] = []
    for first in all_walks(sides, None, partial(_came_through, once)):
        once.append(_simulated(make(), [first], lease_seconds))
        results.append(once[-1])
        if twice and once[-1].killed:
            again: list[WalkResult] = []
            for second in all_walks(sides, None, partial(_came_through, again)):
                again.append(_simulated(make(), [first, second], lease_seconds))
            results += again
    return results


def _came_through(results: list[WalkResult]) -> bool:
    return bool(results) and not results[-1].killed


class _Gate(MemoryJournal):
    """A handle whose process is killed at one of its writes."""

    process: Process
    died: asyncio.Future[str]
    boundary: int = 0
    side: Side = "before"
    writes: int = 0

    async def _do(self, name: str, work: Callable[..., T], *args: Any) -> T:
        if name not in BOUNDARIES:
            return await super()._do(name, work, *args)
        what = in_words(args[0]) if name == "append" else name
        self.writes += 1
        await self._die_at("before", what)
        result = await super()._do(name, work, *args)
        await self._die_at("after", what)
        return result

    async def _die_at(self, side: Side, what: str) -> None:
        if self.writes == self.boundary and self.side == side:
            self.process.kill()
            self.died.set_result(what)
            await asyncio.Future()


def _simulated(story: Story, kills: list[tuple[int, Side]], lease_seconds: float) -> WalkResult:
    loop = JumpingLoop(time_max=10 * 365 * 86400.0)
    try:
        result: WalkResult = loop.run_until_complete(_walk_simulated(loop, story, kills, lease_seconds))
        return result
    finally:
        loop.close()


async def _walk_simulated(loop: JumpingLoop, story: Story, kills: list[tuple[int, Side]], lease_seconds: float) -> WalkResult:
    store, clock = MemoryStore(), SimClock(loop)
    person = Holdfast(MemoryJournal(store), clock=clock)
    what, starts, asked, (left, side), later = "the end", 0, list[str](), kills[0], kills[1:]
    while True:
        starts += 1
        if starts > STARTS_MAX:
            raise WalkFailed(f"boundary {kills}: the run does not end")
        gate = _Gate(store)
        gate.process, gate.died = Process(loop, f"worker-{starts}"), loop.create_future()
        gate.boundary, gate.side = left, side
        died = await _start(gate, clock, story, lease_seconds)
        if died is not None:
            what = died if not later else what
            (left, side), later = later[0] if later else (0, side), later[1:]
        elif (await person.show(story.run_id)).ended:
            break
        else:
            left -= gate.writes if left > 0 else 0
            asked += await answer_run(person, story.run_id, story.answer)
    run = await person.show(story.run_id)
    return WalkResult(
        boundary=kills[-1][0], side=kills[-1][1], what=what, killed=what != "the end", starts=starts, asked=asked,
        ledger=story.ledger() if story.ledger is not None else None, statuses={run.id: run.status},
        unknown={run.id: run.unknown} if run.unknown else {},
    )  # fmt: skip


async def _start(gate: _Gate, clock: SimClock, story: Story, lease_seconds: float) -> str | None:
    """One start of the worker: None when it came to rest, else at what it was killed."""
    name = gate.process.name

    async def work() -> None:
        app = Holdfast(gate, clock=clock, threads=InlineThreads(), worker=name, lease_seconds=lease_seconds)
        async with app:
            await app.run(story.agent, story.goal, id=story.run_id, inputs=story.inputs, thread=story.thread)

    task: asyncio.Future[None] = gate.process.start(work())
    deaths: asyncio.Future[Any] = gate.died
    await asyncio.wait([task, deaths], return_when=asyncio.FIRST_COMPLETED)
    if gate.died.done():
        return gate.died.result()
    task.result()
    return None
