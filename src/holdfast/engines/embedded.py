"""The engine inside a process: asyncio, claims by lease and fence, any number of such processes on one store.

A worker holds the claims of the runs that it advances and extends their leases in one write, three times in a lease. One
that dies is taken over when its leases end; one that was stopped and comes back finds its fence outdated and can write
nothing. On `stop` each run finishes the effect at hand, records it, and gives its claim back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from holdfast.agent import Agent
from holdfast.engines.schedules import Schedules
from holdfast.errors import HoldfastError, JournalUnavailable
from holdfast.journal.base import ENDED, Claim, Journal, Release, RunRow, Worker
from holdfast.runner.advance import Advance, Terms
from holdfast.runner.clock import Clock
from holdfast.runner.observing import Observer, Observers
from holdfast.runner.perform import Hands

LEASE_SECONDS = 15.0
POLL_SECONDS = 0.025
# However far off the next thing is, the store is looked at again after so long: clocks jump.
ROW_WAIT_SECONDS = 2.0
PARALLEL_RUNS = 100
# A worker says that it is alive at least so often, however long its leases are.
SEEN_SECONDS = LEASE_SECONDS / 3
# After a store that failed, so long until it is tried again.
BACK_OFF_SECONDS = 2.0

log = logging.getLogger("holdfast")


def worker_name() -> str:
    """Host, process, and a draw, so that a process that comes back under an old number is another worker."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class Embedded:
    """See `Engine`.

    lease_seconds: how long a dead worker's runs wait to be taken over. parallel_runs: runs advanced at once.
    on_error: told of a run that cannot be advanced here; default: a line in the log. on_rest: told of each run that this
    worker gave back, ended or parked. observers: hear what is committed here.
    """

    def __init__(
        self,
        journal: Journal,
        hands: Hands,
        *,
        worker: str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        parallel_runs: int = PARALLEL_RUNS,
        poll_seconds: float = POLL_SECONDS,
        tenant_parallel: dict[str, int] | None = None,
        on_error: Callable[[str, HoldfastError], None] | None = None,
        on_rest: Callable[[str], None] | None = None,
        observers: tuple[Observer, ...] = (),
    ):
        self.worker = worker or worker_name()
        self.agents: dict[str, Agent] = {}
        self._journal = journal
        self._clock: Clock = hands.clock
        self._lease_seconds = lease_seconds
        self._parallel_runs = parallel_runs
        self._poll_seconds = poll_seconds
        self._on_error = on_error or _log_error
        self._on_rest = on_rest
        self._schedules = Schedules(journal, hands.clock, self.agents, self._on_error)
        self._working = False
        self._terms = Terms(
            journal=journal,
            hands=hands,
            worker=self.worker,
            lease_seconds=lease_seconds,
            tenant_parallel=tenant_parallel or {},
            observers=Observers(observers),
        )
        self._running: dict[str, tuple[Advance, asyncio.Task[None]]] = {}
        self._outdated: list[asyncio.Task[None]] = []
        self._background: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._news = 0
        self._waiters: list[asyncio.Future[None]] = []

    def load(self, agent: Agent) -> None:
        """Make an agent known, or a newer one of its name, with those whose runs its steps may start."""
        self.agents |= {agent.name: agent, **agent.family()}

    async def start(self) -> None:
        """Begin to keep claims alive and to look for words from outside."""
        loop = asyncio.get_running_loop()
        self._background = [loop.create_task(self._heartbeat()), loop.create_task(self._watch())]

    async def stop(self) -> None:
        """Finish what is in flight, give everything back."""
        self._stopping.set()
        self._tell()
        for advance, _ in self._running.values():
            advance.stop()
        while tasks := [*(task for _, task in self._running.values()), *(task for task in self._outdated if not task.done())]:
            await asyncio.wait(tasks)
        for task in self._background:
            task.cancel()
        for task in self._background:
            with suppress(asyncio.CancelledError):
                await task
        self._background = []
        if self._working:
            self._working = False
            with suppress(HoldfastError):
                await self._seen(())

    # --- one run --------------------------------------------------------------------------------------------------

    async def drive(self, run_id: str, claim: Claim | None = None, patience_seconds: float | None = None) -> None:
        """Advance one run here, or wait for the worker that has it, until it has ended, is blocked, or is to wait long.

        A run that is parked is taken on once whatever it waits for: its agent may have changed, or its clock jumped.
        Patience is for one wait: a run that is to wait longer than that is left at once, one that another worker has when
        it is over.
        """
        give_up_at: float | None = None
        looked = claim is not None
        if claim is not None:
            self._begin(claim)
        while not self._stopping.is_set():
            news = self._news
            running = self._running.get(run_id)
            if running is not None:
                await running[1]
                give_up_at = None
                continue  # It may be that everything stops now.
            row = await self._journal.row(run_id)
            if row is None:
                return
            if row.status in ENDED:
                await self._end_below(row, patience_seconds)
                return
            now = self._clock.now()
            held = row.worker != "" and row.lease_until > now
            if not held and row.agent in self.agents and (not looked or (row.due_at is not None and row.due_at <= now)):
                looked = True
                claimed = await self._journal.claim(run_id, self.worker, now, self._lease_seconds)
                if claimed is not None:
                    self._begin(claimed)
                    continue
            if not held and row.status == "blocked":
                return
            below, below_at = ("", None) if held else await self._look_below(row)
            if below == "people":
                return
            times = [time for time in (row.lease_until if held else row.due_at, below_at) if time is not None]
            wait = min(times) - now if times else ROW_WAIT_SECONDS
            held = held or below == "moving"
            if patience_seconds is not None:
                give_up_at = give_up_at if give_up_at is not None else self._clock.monotonic() + patience_seconds
                left = give_up_at - self._clock.monotonic()
                if left <= 0 or (not held and wait > left):
                    return
                wait = min(wait, left)
            await self._pause(wait, news)

    async def _look_below(self, row: RunRow) -> tuple[Literal["", "moving", "people"], float | None]:
        """Take on what the runs below this one can do now. Whether any of them is being advanced, or nothing is left but what
        only people can do; and when the next of them goes on by itself."""
        agent = self.agents.get(row.agent)
        if agent is None or not agent.agents:
            return "", None
        now, found, times = self._clock.now(), set[str](), list[float]()
        for child in await self._journal.children(row.run_id):
            if child.status in ENDED:
                continue
            if child.run_id in self._running or child.lease_until > now or await self._takes_on(child, now):
                found.add("moving")
                continue
            below, below_at = ("people", None) if child.status == "blocked" else await self._look_below(child)
            found.add(below)
            times += [time for time in (child.due_at, below_at) if time is not None and time > now and below != "people"]
        next_at = min(times, default=None)
        if "moving" in found or found != {"people"}:
            return ("moving" if "moving" in found else ""), next_at
        # What it is owed by a child is owed the soonest, so nothing else of its own can move it on.
        owed = await self._journal.owed(row.run_id, limit=1)
        by_child = bool(owed) and owed[0].tool in agent.agents and row.due_at is not None and owed[0].due_at <= row.due_at
        return ("people" if by_child else ""), next_at

    async def _takes_on(self, child: RunRow, now: float) -> bool:
        """Take on a run below one that is driven here, if it is due and its agent is known here."""
        if child.agent not in self.agents or child.due_at is None or child.due_at > now:
            return False
        if len(self._running) < self._parallel_runs:
            claimed = await self._journal.claim(child.run_id, self.worker, now, self._lease_seconds)
            if claimed is not None:
                self._begin(claimed)
        return True

    async def _end_below(self, row: RunRow, patience_seconds: float | None) -> None:
        """Let the runs end here that end with one that was driven here."""
        agent = self.agents.get(row.agent)
        if agent is None or not agent.agents:
            return
        for child in await self._journal.children(row.run_id):
            if child.status in ENDED or child.agent not in self.agents:
                continue
            if any(word.kind == "cancel" for word in await self._journal.messages(child.run_id)):
                await self.drive(child.run_id, patience_seconds=patience_seconds)

    def _begin(self, claim: Claim) -> None:
        advance = Advance(self._terms, self.agents[claim.agent], claim)
        if self._stopping.is_set():
            advance.stop()  # Claimed at the very moment of stopping: it is given back without an effect.
        before = self._running.get(claim.run_id)
        if before is not None:
            # Its lease ended unseen (the clock was set, the store was away), and the run came back under a new claim.
            before[0].lose()
            self._outdated.append(before[1])
        task = asyncio.get_running_loop().create_task(self._advance(advance))
        self._running[claim.run_id] = (advance, task)

    async def _advance(self, advance: Advance) -> None:
        """Advance a run, whatever comes of it: one that cannot be advanced must not stop the others."""
        claim = advance.claim
        try:
            await advance.run()
        except JournalUnavailable as error:
            self._on_error(claim.run_id, error)  # Its lease runs out, and then somebody tries again.
        except HoldfastError as error:
            self._on_error(claim.run_id, error)
            await self._set_aside(claim, str(error))
        except Exception as bug:
            log.exception("run %s was stopped by an error inside holdfast", claim.run_id)
            self._on_error(claim.run_id, HoldfastError(f"{type(bug).__name__}: {bug}", run_id=claim.run_id))
            await self._set_aside(claim, f"stopped by an error inside holdfast: {type(bug).__name__}: {bug}")
        finally:
            if self._running.get(claim.run_id, (None,))[0] is advance:
                self._running.pop(claim.run_id)
            self._tell()
            if self._on_rest is not None:
                self._on_rest(claim.run_id)

    async def _set_aside(self, claim: Claim, why: str) -> None:
        """Nothing more is tried by itself; `run` with the same id tries again."""
        with suppress(HoldfastError):
            await self._journal.release(claim, Release(status="blocked", due_at=None, waits_for=why, aside=True))

    # --- all runs -------------------------------------------------------------------------------------------------

    async def work(self, *, until_idle: bool = False) -> None:
        """Begin what schedules have come to, claim and advance whatever is due, the most urgent first."""
        self._working = True
        # A store that cannot be written ends the worker before it has taken anything on; one that fails later is waited for.
        await self._seen(tuple(sorted(self.agents)))
        while not self._stopping.is_set():
            news = self._news
            free = self._parallel_runs - len(self._running)
            claims: list[Claim] = []
            next_due: float | None = None
            idle = False
            try:
                next_look = await self._schedules.look()
                if free > 0:
                    now = self._clock.now()
                    claims = await self._journal.claim_due(self.worker, self.agents, now, self._lease_seconds, free)
                    for claim in claims:
                        self._begin(claim)
                if not claims:
                    next_due = await self._journal.next_due(self.agents, self._clock.now())
                idle = not claims and not self._running and (next_due is None or next_due > self._clock.now())
                if until_idle and idle:
                    next_look = await self._schedules.look(now=True)
            except JournalUnavailable as error:
                self._on_error("", error)
                await self._pause(BACK_OFF_SECONDS, self._news)
                continue
            if until_idle and idle and (next_look is None or next_look > self._clock.now()):
                return
            if len(claims) < free or free <= 0:
                times = [time for time in (next_due if free > 0 else None, next_look) if time is not None]
                await self._pause(min(times) - self._clock.now() if times else ROW_WAIT_SECONDS, news)

    async def _pause(self, seconds: float, since: int) -> None:
        """Until there is news since then (the store changed, a run came to rest, `stop`), or the time is over."""
        if self._news != since:
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(min(max(seconds, 0.005), ROW_WAIT_SECONDS), _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.remove(waiter)

    def _tell(self) -> None:
        """There is news for whoever pauses, and for whoever is just about to."""
        self._news += 1
        for waiter in self._waiters:
            _wake(waiter)

    # --- in the background ----------------------------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        """Make the leases of all held runs last, and find out which were lost."""
        while True:
            try:
                if self._working:
                    await self._seen(tuple(sorted(self.agents)))
                await self._extend_leases()
            except HoldfastError as error:
                self._on_error("", error)
            await asyncio.sleep(min(self._lease_seconds / 3, SEEN_SECONDS))

    async def _seen(self, agents: tuple[str, ...]) -> None:
        """Tell who looks at the store which runs this worker takes on by itself; none once it stops."""
        await self._journal.seen(Worker(name=self.worker, agents=agents, seen_at=self._clock.now()))

    async def _extend_leases(self) -> None:
        held = {run_id: advance for run_id, (advance, _) in self._running.items()}
        at = self._clock.monotonic()
        kept = await self._journal.extend([advance.claim for advance in held.values()], self._clock.now() + self._lease_seconds)
        for claim in kept:
            held.pop(claim.run_id).renew(claim, at)
        for advance in held.values():
            advance.lose()

    async def _watch(self) -> None:
        """Look whether anybody wrote, and carry words from outside to the runs that are advanced here."""
        stamp: object = None
        while True:
            with suppress(HoldfastError):
                last, stamp = stamp, await self._journal.stamp()
                if stamp != last:
                    if self._running:
                        for run_id in await self._journal.mailboxes():
                            if run_id in self._running:
                                self._running[run_id][0].mail()
                    self._tell()
            await asyncio.sleep(self._poll_seconds)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _log_error(run_id: str, error: HoldfastError) -> None:
    log.error("%s", error)
