"""The composition root, and the user's verbs.

    async with Holdfast("runs.db") as app:
        run = await app.run(agent, "Refund order 7 in full", id="order-7")

`run` starts a run or continues it, whatever state it is in, and returns when it has ended or only a person can move it
on. The same words without a loop of your own: `holdfast.run(agent, "…", id="order-7", db="runs.db")`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from holdfast import memory, scheduling
from holdfast.agent import Agent
from holdfast.audit import AuditRecord, audit
from holdfast.core.events import Asked, Entry
from holdfast.core.evolve import fold
from holdfast.core.gates import GateState
from holdfast.core.memory import Memory
from holdfast.core.schedule import CatchUp, Firing, Overlap, Standing
from holdfast.core.state import State, status
from holdfast.engines.base import Engine
from holdfast.engines.embedded import LEASE_SECONDS, PARALLEL_RUNS, POLL_SECONDS, Embedded
from holdfast.errors import (
    GoalMismatch,
    HoldfastError,
    JournalCorrupt,
    UsageError,
)
from holdfast.figures.judgement import Judgement
from holdfast.inbox import Inbox
from holdfast.journal import retention
from holdfast.journal.base import Journal, Owed, RunRow, Worker
from holdfast.journal.sqlite import SqliteJournal
from holdfast.looking import Looking
from holdfast.memory import Recaller
from holdfast.notify.base import Channel
from holdfast.notify.outbox import Notifier
from holdfast.runner.clock import Clock, SystemClock
from holdfast.runner.observing import Observer
from holdfast.runner.perform import Hands
from holdfast.runner.threads import Threads
from holdfast.saying import Delivered as Delivered
from holdfast.saying import Saying, user
from holdfast.starting import check_id, goal_of, started
from holdfast.tools.toolbox import SecretProvider


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stands. status: running, waiting (for a time), blocked (for a person), completed, failed, cancelled.
    result: of a completed run. reason: why it failed. questions: what a person is asked. skipped, flagged, partial: steps that
    are not wholly done. unknown: steps of which nobody knows whether they happened. replaced: steps done another way, and by
    what. owed: what the world still owes it. undone: steps that were taken back; kept: those that stay done although they were
    to be taken back."""

    id: str
    agent: str
    status: str
    result: Any = None
    reason: str = ""
    questions: tuple[Asked, ...] = ()
    skipped: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    replaced: dict[str, str] = {}
    owed: tuple[Owed, ...] = ()
    undone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    waits_for: str = ""
    due_at: float | None = None

    @property
    def done(self) -> bool:
        """Whether it completed."""
        return self.status == "completed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ("completed", "failed", "cancelled")


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found. problem: None when the chain holds; sequence: the first bad entry."""

    run_id: str
    entries: int = 0
    link: str = ""
    problem: str | None = None
    sequence: int | None = None


class Holdfast(Saying, Looking):
    """A store of runs and the engine that advances them; use it as an async context manager.

    db: path of the SQLite file, or a Journal. secrets: where `{$secret: NAME}` comes from; default: the environment.
    lease_seconds: how long a dead worker's runs wait to be taken over. tenant_parallel: calls at once by tenant, "*" for
    the others. on_error: told of runs that cannot be advanced. on_rest: told of each run that was given back here.
    recaller: chooses what is recalled of a thread, by meaning; left out, its words do. notify: channels by which people are told
    of what is asked and how runs ended, as long as runs are advanced here. observers: hear what is committed here (telemetry).
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | Journal = "holdfast.db",
        *,
        secrets: SecretProvider = os.environ.get,
        clock: Clock | None = None,
        threads: Threads | None = None,
        worker: str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        parallel_runs: int = PARALLEL_RUNS,
        poll_seconds: float = POLL_SECONDS,
        tenant_parallel: dict[str, int] | None = None,
        on_error: Callable[[str, HoldfastError], None] | None = None,
        on_rest: Callable[[str], None] | None = None,
        recaller: Recaller | None = None,
        on_words: Callable[[str, int, str, str], None] | None = None,
        notify: Iterable[Channel] = (),
        observers: Iterable[Observer] = (),
    ):
        self.journal: Journal = _store(db) if isinstance(db, (str, os.PathLike)) else db
        self._clock = clock or SystemClock()
        self.judgement = Judgement(self.journal, self._clock)
        self.inbox = Inbox(self.journal, self._clock)
        self._threads = threads or Threads()
        self._lease_seconds = lease_seconds
        self._recaller = recaller
        self._on_rest = on_rest
        self._notifier = Notifier(self.journal, channels, self._clock) if (channels := tuple(notify)) else None
        self._notifying: asyncio.Task[None] | None = None
        self._embedded = Embedded(
            self.journal,
            Hands(self._clock, self._threads, secrets, words=on_words, recaller=recaller),
            worker=worker,
            lease_seconds=lease_seconds,
            parallel_runs=parallel_runs,
            poll_seconds=poll_seconds,
            tenant_parallel=tenant_parallel,
            on_error=on_error,
            on_rest=self._rested,
            observers=tuple(observers),
        )
        self.engine: Engine = self._embedded
        self._started = False

    async def __aenter__(self) -> Holdfast:
        await self.journal.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is in flight, give all claims back, and let go of the store."""
        if self._started:
            await self.engine.stop()
        if self._notifier is not None and self._notifying is not None:
            self._notifier.stop()
            await self._notifying
        self._threads.close()
        await self.journal.close()

    async def _engine_started(self) -> None:
        if not self._started:
            self._started = True
            await self.engine.start()
            if self._notifier is not None:
                self._notifying = asyncio.create_task(self._notifier.run())

    def _rested(self, run_id: str) -> None:
        if self._notifier is not None:
            self._notifier.notify()
        if self._on_rest is not None:
            self._on_rest(run_id)

    # --- start, continue, advance ---------------------------------------------------------------------------------

    async def run(
        self,
        agent: Agent,
        goal: str | None = None,
        *,
        id: str | None = None,
        inputs: dict[str, Any] | None = None,
        tenant: str = "",
        priority: int = 0,
        labels: dict[str, str] | None = None,
        thread: str = "",
        patience_seconds: float | None = None,
    ) -> Run:
        """Start a run, or continue it, and go on until it has ended or only a person can move it on.

        goal, inputs: may be left out where the run is there already. thread: the conversation that it belongs to; what its runs
        learned is remembered between them, where the agent has a memory. patience_seconds: return earlier where the run is to
        wait longer than that. Raises GoalMismatch where the id belongs to another goal, and UsageError for bad inputs.
        """
        run_id, claim = await self._create(agent, goal, id, inputs, tenant, priority, labels or {}, thread, here=True)
        await self._engine_started()
        await self.engine.drive(run_id, claim, patience_seconds)
        return await self.show(run_id)

    async def start(
        self,
        agent: Agent,
        goal: str | None = None,
        *,
        id: str | None = None,
        inputs: dict[str, Any] | None = None,
        tenant: str = "",
        priority: int = 0,
        labels: dict[str, str] | None = None,
        thread: str = "",
    ) -> str:
        """Put a run into the store for whichever worker comes first, and return its id. Twice is once."""
        run_id, _ = await self._create(agent, goal, id, inputs, tenant, priority, labels or {}, thread, here=False)
        return run_id

    async def has(self, agent: Agent, goal: str | None = None, *, id: str, inputs: dict[str, Any] | None = None) -> bool:
        """Whether a run of this id is there already; nothing is begun. Raises what `run` would raise before it begins."""
        check_id(id)
        wanted, goal_digest = goal_of(agent, goal, inputs)
        existing = await self.journal.row(id)
        if existing is None:
            await retention.check_not_pruned(self.journal, id)
            agent.check_inputs(wanted.inputs)
            return False
        _check_same(existing, agent, goal_digest, asked=goal is not None or inputs is not None)
        return True

    async def work(self, *agents: Agent, until_idle: bool = False) -> None:
        """Advance all runs of these agents that are due, until `close` (or until nothing is due)."""
        for agent in agents:
            self.engine.load(agent)
        await self._engine_started()
        await self.engine.work(until_idle=until_idle)

    async def stop(self) -> None:
        """Let every run finish the effect at hand and give the claims back; `work` and `run` return."""
        await self.engine.stop()

    async def _create(
        self, agent: Agent, text: str | None, run_id: str | None, inputs: dict[str, Any] | None, tenant: str, priority: int,
        labels: dict[str, str], thread: str, *, here: bool,
    ) -> tuple[str, Any]:  # fmt: skip
        self.engine.load(agent)
        run_id = run_id if run_id is not None else new_id(agent)
        check_id(run_id)
        existing = await self.journal.row(run_id)
        _, goal_digest = goal_of(agent, text, inputs)
        if existing is None:
            new, first = started(agent, run_id, text, inputs, tenant, priority, labels, thread=thread)
            claim = await self.journal.create(
                new,
                (first,),
                self._clock.now(),
                worker=self._embedded.worker if here else "",
                lease_seconds=self._lease_seconds,
            )
            if claim is not None:
                return run_id, claim if here else None
            existing = await self.journal.row(run_id)  # Somebody was faster with the same id.
            if existing is None:
                await retention.check_not_pruned(self.journal, run_id)
        if existing is not None:
            _check_same(existing, agent, goal_digest, asked=text is not None or inputs is not None)
        return run_id, None

    # --- schedules ------------------------------------------------------------------------------------------------

    async def schedule(
        self,
        agent: Agent,
        goal: str | None = None,
        *,
        id: str | None = None,
        cron: str | None = None,
        at: float | str | datetime | None = None,
        timezone: str = "UTC",
        inputs: dict[str, Any] | None = None,
        tenant: str = "",
        priority: int = 0,
        labels: dict[str, str] | None = None,
        overlap: Overlap = "skip",
        catch_up: CatchUp = "last",
        catch_up_max: int = 100,
        queue_max: int = 100,
        late_seconds: float = 60.0,
        replace: bool = False,
    ) -> Standing:
        """Have workers start runs: at the times of a cron line, or once at a time. The same twice is once.

        id: its name, with which the ids of its runs begin; left out, the agent's. cron: five fields, read in `timezone`. at:
        seconds since the epoch, a datetime with a zone, or a text such as "2026-12-01T09:00+01:00". The rest is described
        at `Schedule`. Raises UsageError for what cannot be, for inputs that a run could not have, and where another schedule
        has the name, unless it is to `replace` that one.
        """
        wanted = scheduling.wanted(
            agent, agent.name if id is None else id, goal, inputs, at, tenant=tenant, priority=priority, labels=labels or {},
            cron=cron, timezone=timezone, overlap=overlap, catch_up=catch_up, catch_up_max=catch_up_max, queue_max=queue_max,
            late_seconds=late_seconds,
        )  # fmt: skip
        return await scheduling.put(self.journal, wanted, self._clock.now(), replace=replace)

    async def unschedule(self, name: str) -> bool:
        """Forget a schedule; the runs that it began stay. Whether there was one."""
        return await self.journal.remove_schedule(name)

    async def pause_schedule(self, name: str) -> Standing:
        """Let nothing of a schedule begin until it is resumed; the run that goes on goes on."""
        return await scheduling.pause(self.journal, name, self._clock.now())

    async def resume_schedule(self, name: str) -> Standing:
        """Let a schedule go on with its next time; those that passed while it was paused are not caught up with."""
        return await scheduling.resume(self.journal, name, self._clock.now())

    async def schedules(self) -> list[Standing]:
        """All schedules of the store, by name."""
        return await self.journal.schedules()

    async def firings(self, name: str, limit: int = 100) -> list[Firing]:
        """What became of a schedule's times, the latest first. UsageError where there is no such schedule."""
        await scheduling.get(self.journal, name)
        return await self.journal.firings(name, limit)

    # --- memory ---------------------------------------------------------------------------------------------------

    async def memories(
        self, thread: str | None = None, *, tenant: str | None = None, query: str | None = None, history: bool = False,
        limit: int = 1000,
    ) -> list[Memory]:  # fmt: skip
        """What is remembered, of all threads or of one, the latest first.

        thread: of the tenant that is given; without one, of the runs that have none. query: only what has a word of it, the best
        first; it needs a thread. history: also what was superseded, and what is left of forgotten ones.
        """
        if query is not None:
            return await memory.search(self.journal, query, tenant or "", thread or "", limit)
        whose = tenant if thread is None else tenant or ""
        return await self.journal.memories(whose, thread, history=history, limit=limit)

    async def recall(self, thread: str, query: str, *, tenant: str = "", count: int = 20) -> list[Memory]:
        """What a run of a thread that asks for this would start with, the best first."""
        memory.check_thread(thread)
        now = self._clock.now()
        return list((await memory.recalled(self.journal, tenant, thread, query, count, now, self._recaller)).memories)

    async def correct_memory(self, id: str, value: Any, *, by: str | None = None) -> Memory:
        """Put another value in place of a wrong memory; it stays so whatever later runs guess. UsageError where there is none."""
        return await memory.correct(self.journal, id, value, by or user(), self._clock.now())

    async def forget(
        self, id: str | None = None, *, thread: str | None = None, tenant: str | None = None, by: str | None = None
    ) -> int:
        """Erase a memory, with all that was remembered under its name; or all of a thread; or all of a tenant. How many.

        Journals of runs keep what happened in them; it is the memory that is erased, and what runs that go on had learned by
        now is not put into it when they end. UsageError where nothing is named, or nothing is there under the id.
        """
        now = self._clock.now()
        return await memory.forget(self.journal, by or user(), now, memory_id=id, thread=thread, tenant=tenant)

    # --- looking --------------------------------------------------------------------------------------------------

    async def history(self, run_id: str) -> list[Entry]:
        """All entries of a run's journal."""
        return (await self.journal.read(run_id)).entries

    async def state(self, run_id: str) -> State:
        """What is known of a run."""
        return fold(await self.history(run_id))

    async def show(self, run_id: str) -> Run:
        """A run as it stands."""
        row = await self.journal.row(run_id)
        if row is None:
            raise await retention.missing(self.journal, run_id)
        state = await self.state(run_id)
        return Run(
            id=run_id,
            agent=row.agent,
            status=state.ended or (row.status if not row.worker else status(state, self._clock.now())),
            result=state.result,
            reason=state.reason,
            questions=tuple(state.interrupts.values()),
            skipped=state.skipped,
            flagged=state.flagged,
            partial=state.partial,
            unknown=state.unknown,
            replaced=state.replaced,
            owed=tuple(await self.journal.owed(run_id)) if state.pending else (),
            undone=state.undone,
            kept=state.kept,
            waits_for=row.waits_for,
            due_at=row.due_at,
        )

    async def runs(
        self, *, status: str | None = None, agent: str | None = None, tenant: str | None = None, limit: int = 1000
    ) -> list[RunRow]:
        """Runs of the store, the latest changed first."""
        return await self.journal.rows(status=status, agent=agent, tenant=tenant, limit=limit)

    async def children(self, run_id: str) -> list[RunRow]:
        """The runs that the steps of a run started, in order."""
        return await self.journal.children(run_id)

    async def pending(self, run_id: str | None = None, *, limit: int = 1000) -> list[Owed]:
        """What the world owes to a run, or to all of the store, the soonest due first."""
        return await self.journal.owed(run_id, limit=limit)

    async def gates(self) -> dict[str, GateState]:
        """What is known of the circuits and rates of tools."""
        return await self.journal.gates()

    async def reset_gate(self, tool: str) -> bool:
        """Forget what is known of a tool's gate, so that it is called again; whether there was anything to forget."""
        return await self.journal.reset_gate(tool)

    async def content(self, digest: str) -> Any:
        """A result that was too large for the journal, whole; None where nothing is stored under that digest."""
        body = await self.journal.content(digest)
        return None if body is None else msgspec.json.decode(body)

    async def workers(self) -> list[Worker]:
        """Workers that were alive a moment ago."""
        return await self.journal.workers(self._clock.now() - self._lease_seconds)

    def audit(
        self, *run_ids: str, agent: str | None = None, tenant: str | None = None, since: float | None = None,
        until: float | None = None, proof: bool = True,
    ) -> AsyncIterator[AuditRecord]:  # fmt: skip
        """Every decision of people and policies, from the journals themselves, with what proves it; see `holdfast.audit`."""
        return audit(self.journal, run_ids or None, agent=agent, tenant=tenant, since=since, until=until, proof=proof)

    async def verify(self, run_id: str) -> Verified:
        """Whether a run's journal is what was written, link by link."""
        try:
            history = await self.journal.read(run_id)
        except JournalCorrupt as error:
            return Verified(run_id=run_id, problem=error.what, sequence=error.sequence)
        return Verified(run_id=run_id, entries=len(history.entries), link=history.head.link.hex())


def run(
    agent: Agent, goal: str | None = None, *, id: str | None = None, db: str | os.PathLike[str] = "holdfast.db", **options: Any
) -> Run:
    """Start or continue a run in a store, without a loop of your own; see `Holdfast.run` for the options."""

    async def once() -> Run:
        async with Holdfast(db) as app:
            return await app.run(agent, goal, id=id, **options)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(once())
    raise UsageError(
        "holdfast.run() was called inside a running event loop", hint="use `async with Holdfast(db) as app: await app.run(…)`"
    )


def new_id(agent: Agent) -> str:
    """An id for a run that was given none."""
    return f"{agent.name}-{secrets.token_hex(4)}"


def _store(db: str | os.PathLike[str]) -> Journal:
    if "://" in os.fspath(db):
        raise UsageError(f"{os.fspath(db)} is no store that this release can open", hint="give the path of a SQLite file")
    return SqliteJournal(db)


def _check_same(row: RunRow, agent: Agent, goal_digest: str, *, asked: bool) -> None:
    if row.agent != agent.name:
        raise GoalMismatch(
            f"the id belongs to a run of agent {row.agent}, not {agent.name}", run_id=row.run_id, hint="choose another id"
        )
    if asked and row.goal_digest != goal_digest:
        raise GoalMismatch(
            "the id belongs to a run with another goal or other inputs",
            run_id=row.run_id,
            hint="choose another id, or leave goal and inputs out to continue the run that is there",
        )
