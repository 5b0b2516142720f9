"""The workers of the simulation, and the operator who keeps them going."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Protocol

from holdfast.agent import Agent
from holdfast.app import Holdfast
from holdfast.errors import HoldfastError, JournalUnavailable
from holdfast.testing.clock import InlineThreads, Process, SimClock, outside
from holdfast.testing.memory import MemoryStore
from holdfast.testing.simulation import faults
from holdfast.testing.simulation.faults import LEASE_SECONDS, POLL_SECONDS, FaultyJournal
from holdfast.testing.simulation.plans import Script


class Stage(faults.Stage, Protocol):
    """What the operator must know of the seed that is played."""

    @property
    def seed(self) -> int: ...

    @property
    def dice(self) -> Random: ...

    @property
    def clock(self) -> SimClock: ...

    @property
    def script(self) -> Script: ...

    @property
    def store(self) -> MemoryStore: ...

    def broken(self, law: str, what: str) -> None: ...

    def agent(self, version: int) -> Agent: ...

    def stop_process(self, process: Process, seconds: float) -> None: ...


class Workers:
    """The operator: keeps as many workers as there should be, and starts new ones in place of those that died."""

    def __init__(self, stage: Stage):
        self._stage = stage
        self._alive: list[tuple[Process, Holdfast]] = []
        self._terminated: list[Holdfast] = []
        self._stopping: list[asyncio.Task[None]] = []
        self._started = 0

    def begin(self) -> None:
        """Start the first ones."""
        for _ in range(self._stage.script.workers):
            self._start()

    def _start(self) -> None:
        stage = self._stage
        number, self._started = self._started, self._started + 1
        process = Process(stage.loop, f"worker-{number}")
        # A later worker has the later agent; now and then one is rolled back.
        version = 0 if number < stage.script.workers or stage.dice.random() < 0.2 else 1
        journal = FaultyJournal(stage.store, stage, process.name, process)
        app = Holdfast(
            journal, clock=stage.clock, threads=InlineThreads(), worker=process.name, lease_seconds=LEASE_SECONDS,
            poll_seconds=POLL_SECONDS, on_error=self._on_error, tenant_parallel=self._tenant_parallel(),
        )  # fmt: skip
        self._alive.append((process, app))
        stage.note(process.name, "starts", f"agent {version}")
        task = process.start(self._work(app, stage.agent(version), number))
        outside(task.add_done_callback, lambda _: self._ended(process, task))

    def _tenant_parallel(self) -> dict[str, int] | None:
        allowed = self._stage.script.tenant_max
        return None if allowed is None else {"*": allowed}

    async def _work(self, app: Holdfast, agent: Agent, number: int) -> None:
        """`work` on all that is due; or, in some seeds, `run` each run as people at their shells would."""
        async with app:
            if (self._stage.seed + number) % 4:
                await app.work(agent)
            else:
                family = {agent.name: agent, **agent.family()}
                while app not in self._terminated:
                    runs = list(self._stage.store.runs.items())
                    # Each at a shell of its own: one may wait for the place that another one has.
                    await asyncio.gather(
                        *(app.run(family[run.new.agent], id=run_id, patience_seconds=3.0) for run_id, run in runs)
                    )
                    await asyncio.sleep(1.0)

    def _on_error(self, run_id: str, error: HoldfastError) -> None:
        self._stage.note("error", run_id, f"{type(error).__name__}: {error}")
        if not isinstance(error, JournalUnavailable):
            self._stage.broken("no error inside", f"{run_id}: {type(error).__name__}: {error}")

    def _ended(self, process: Process, task: asyncio.Task[None]) -> None:
        error = task.exception() if not task.cancelled() else None
        self._stage.note(process.name, "ends", "" if error is None else f"{type(error).__name__}: {error}")
        if error is not None and not isinstance(error, JournalUnavailable):
            self._stage.broken("no error inside", f"{process.name}: {type(error).__name__}: {error}")
        left = [name for other in process.tasks if not other.done() and (name := _name(other)) in _OF_A_RUN]
        if left and error is None:
            self._stage.broken("a worker that stopped has stopped", f"{process.name} left {left}")
        process.kill()
        self.died(process)

    def died(self, process: Process) -> None:
        """One is gone: another is started after a while."""
        self._alive = [(other, app) for other, app in self._alive if other is not process]
        delay = 12.0 if self._stage.weather.sleepy else self._stage.dice.choice((0.1, 1.0, LEASE_SECONDS, LEASE_SECONDS * 2))
        outside(self._stage.loop.call_later, delay, self._start)

    def _one(self) -> tuple[Process, Holdfast] | None:
        running = [(process, app) for process, app in self._alive if process.state == "running"]
        return self._stage.dice.choice(running) if running else None

    def crash_one(self) -> None:
        """SIGKILL, at any time."""
        one = self._one()
        if one is not None and self._stage.may_crash():
            self._stage.counter["crash while waiting"] += 1
            self._stage.crash(one[0], "while waiting")

    def stop_one(self) -> None:
        """SIGSTOP, at any time."""
        one = self._one()
        if one is not None:
            self._stage.stop_process(one[0], self._stage.dice.uniform(0.2, 4.0) * LEASE_SECONDS)

    def terminate_one(self) -> None:
        """SIGTERM."""
        one = self._one()
        if one is not None:
            self._stage.counter["SIGTERM"] += 1
            self._stage.note(one[0].name, "SIGTERM")
            self._terminated.append(one[1])
            self._stopping.append(one[0].start(one[1].stop()))


# What must be over when a worker has stopped.
_OF_A_RUN = ("Embedded._advance",)


def _name(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", ""))
