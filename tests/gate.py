"""A small world whose effects are counted and can be held at a gate, and how tests wait for something to be so."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from holdfast import Agent, tool


async def until(look: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until something is so; what was seen then."""
    async with asyncio.timeout(seconds):
        while True:
            seen = look()
            if seen := await seen if inspect.isawaitable(seen) else seen:
                return seen
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def background(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Something that goes on meanwhile and is awaited at the end."""
    task = asyncio.ensure_future(work)
    try:
        yield task
        await asyncio.wait_for(task, 20)
    finally:
        task.cancel()
        await asyncio.wait([task])


class World:
    """What the tools of one test did, and a gate that holds their calls while it is shut.

    effects: one name for each, in order. inside: how many calls of a kind are inside at the moment; peak: at once.
    """

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.keys: list[str] = []
        self.inside: dict[str, int] = {}
        self.peak: dict[str, int] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def pass_through(self, kind: str, name: str) -> str:
        """Count those who are inside at once, wait at the gate, and note the effect."""
        self.inside[kind] = self.inside.get(kind, 0) + 1
        self.peak[kind] = max(self.peak.get(kind, 0), self.inside[kind])
        try:
            await self.gate.wait()
            self.effects.append(name)
        finally:
            self.inside[kind] -= 1
        return name


def worker(world: World, *, parallel: int | None = None, steps: int = 1, **options: Any) -> Agent:
    """An agent whose steps, side by side, each have one effect that is named after input and step."""

    @tool(safety="idempotent", parallel=parallel, timeout="30s")
    async def do(name: str, part: str) -> str:
        return await world.pass_through("do", f"{name}{part}")

    plan = {f"s{n}": {"tool": "do", "args": {"name": {"$ref": "inputs.name"}, "part": str(n)}} for n in range(1, steps + 1)}
    return Agent("worker", tools=[do], plan=plan, goal="do it", **options)
