"""What the benches run: an agent of many small steps, and the time that this process used."""

from __future__ import annotations

import time

from holdfast import Agent, Limits, Plan, Step, tool

PAYLOAD = "x" * 1000


@tool(safety="idempotent")
async def noop(n: int) -> str:
    """Do nothing, and say so in 1 KB."""
    return PAYLOAD


def chain(steps: int) -> Agent:
    """An agent with a plan of so many steps, one after the other."""
    return Agent(
        "bench",
        tools=[noop],
        plan=Plan(
            steps=tuple(Step(id=f"s{n}", tool="noop", args={"n": n}, after=(f"s{n - 1}",) if n else ()) for n in range(steps)),
            result={},
        ),
        limits=Limits(attempts_max=1_000_000, steps_max=1_000_000),
    )


def cpu() -> float:
    """User and system seconds of this process, all threads."""
    return time.process_time()
