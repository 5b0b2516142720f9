"""`python -m holdfast.labs.approvals.worker STORE POLICY`: a worker that is told the time.

Each line of its input is a time, in seconds since the epoch. It then advances whatever is due, and says so on a line of its
own. It ends with its input.
"""

import asyncio
import sys

from holdfast import Holdfast
from holdfast.labs.approvals.agents import paying
from holdfast.labs.approvals.clock import ToldClock

AT_REST = "at rest"
PARALLEL_RUNS = 8
"""Each call is a thread and a connection of its own."""


async def work(store: str, policy: str) -> None:
    clock, agent = ToldClock(0.0), paying(policy)
    async with Holdfast(store, clock=clock, parallel_runs=PARALLEL_RUNS) as app:
        while line := await asyncio.to_thread(sys.stdin.readline):
            clock.to(float(line))
            await app.work(agent, until_idle=True)
            print(AT_REST, flush=True)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
