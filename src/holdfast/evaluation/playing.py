"""One run of a case, from its world to its record: the run is worked on until it is at rest, then people say what they say, or
time goes on to what is due next, and so on until it has ended or nothing will move it.

Each stretch is worked on by a fresh worker on the same store, as in life: nothing of a run that waits is in memory.
"""

from __future__ import annotations

import os
import time
from asyncio import Event
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from holdfast import loading
from holdfast.agent import Agent
from holdfast.app import Holdfast
from holdfast.core import events as e
from holdfast.core.state import State, result_of, secret_names
from holdfast.errors import HoldfastError
from holdfast.evaluation import agreement, expectations
from holdfast.evaluation.passing import Passing
from holdfast.evaluation.people import People
from holdfast.evaluation.records import Case, Suite
from holdfast.evaluation.results import CaseRun, Outcome
from holdfast.evaluation.scripted import ScriptedWorld
from holdfast.evaluation.world import Effect, Equipped, Setting, World, equipped, made
from holdfast.journal.base import ENDED, RunRow
from holdfast.journal.codec import redact
from holdfast.runner.clock import Clock

STORE = "holdfast.db"
LEDGER = "ledger.jsonl"
# What is written down of a result; all of it is in the store.
RESULT_BYTES_MAX = 20_000
# Stretches of work of one case: between two of them somebody answered, or time went on.
STRETCHES_MAX = 10_000
GRAIN_SECONDS = 0.001


class Sitting(msgspec.Struct, frozen=True, kw_only=True):
    """What is played. agent: with the model and the limits of this run. folder: where its store and its ledger go; store: how
    that is named in the results. allotted_usd: what this run may cost, where that is less than the agent's own limit."""

    suite: Suite
    case: Case
    repeat: int
    seed: int
    run_id: str
    agent: Agent
    folder: Path
    store: str
    real_tools: bool = False
    allotted_usd: Decimal | None = None


async def play(sitting: Sitting, passing: Passing) -> CaseRun:
    """Play a run of a case. DefinitionError where the world does not fit the agent, UsageError where the run cannot begin."""
    began = time.perf_counter()
    sitting.folder.mkdir(parents=True, exist_ok=True)
    async with Holdfast(passing.journal(sitting.folder / STORE), clock=passing.clock) as desk:
        playing = _Playing(sitting, passing, desk)
        try:
            await playing.live()
            return await playing.record(began)
        finally:
            playing.world.close()


def world_of(sitting: Sitting, clock: Clock, deliver: Callable[..., Awaitable[Any]]) -> World:
    """The world of a run: what a factory makes, or the services of the case file."""
    suite, case = sitting.suite, sitting.case
    if suite.world:
        factory: Callable[..., Any] = loading.named(str(Path(suite.folder) / suite.world))
        setting = Setting(
            case=case, repeat=sitting.repeat, seed=sitting.seed, agent=sitting.agent, clock=clock, deliver=deliver
        )  # fmt: skip
        return made(factory, setting)
    everybody = (*sitting.agent.family().values(), sitting.agent)
    tools = {name: tool for one in everybody for name, tool in one.toolbox.items() if name not in one.agents}
    return ScriptedWorld(suite.services, tools, clock, faults=case.faults, seed=sitting.seed)


class _Playing:
    def __init__(self, sitting: Sitting, passing: Passing, desk: Holdfast):
        self.sitting, self.passing, self.desk = sitting, passing, desk
        self.news = Event()
        self.people = People(sitting.case.people)
        self.troubles: list[str] = []
        self.world = world_of(sitting, passing.clock, self._deliver)
        self.there: Equipped = equipped(sitting.agent, self.world.tools(), real_tools=sitting.real_tools)

    async def _deliver(self, token: str, value: Any = None, **said: Any) -> Any:
        try:
            return await self.desk.callback(token, value, **said)
        finally:
            self.news.set()

    # --- living it ------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Until the run and all below it have ended, nothing will move them, or the time of the case is over."""
        case = self.sitting.case
        await self.desk.start(self.there.agent, case.goal, id=self.sitting.run_id, inputs=case.inputs)
        over_at = self.passing.clock.now() + self.sitting.suite.within_seconds
        for _ in range(STRETCHES_MAX):
            self.news.clear()
            await self._stretch()
            rows = [row for row in await self.desk.runs() if row.status not in ENDED]
            if not rows or not await self._move(rows, over_at):
                return
        self.troubles.append(f"it was taken on {STRETCHES_MAX} times and came to no end")

    async def _stretch(self) -> None:
        """All that can be done now."""
        worker = Holdfast(
            self.passing.journal(self.sitting.folder / STORE), clock=self.passing.clock, threads=self.passing.threads(),
            poll_seconds=self.passing.poll_seconds, on_error=self._trouble, secrets=self._secret,
        )  # fmt: skip
        async with worker:
            await worker.work(self.there.agent, until_idle=True)

    def _secret(self, name: str) -> str | None:
        """Stand-ins take any; only real tools need the real one."""
        return os.environ.get(name) or (None if self.sitting.real_tools else f"(the secret {name})")

    def _trouble(self, run_id: str, error: HoldfastError) -> None:
        self.troubles.append(str(error))

    async def _move(self, rows: list[RunRow], over_at: float) -> bool:
        """Say what is to be said now, or let time go on to what comes next; False where nothing comes, or not in time."""
        now, due = self.passing.clock.now(), await self.people.due(self.desk)
        said = [one for one in due if one.at <= now]
        for one in said:
            await self.people.say(self.desk, one)
        if said:
            return True
        times = [*(one.at for one in due), *(row.due_at for row in rows if row.due_at is not None)]
        if not times or min(times) > over_at:
            return False
        await self.passing.until(max(min(times), now + GRAIN_SECONDS), self.news)
        return True

    # --- what is written down -------------------------------------------------------------------------------------

    async def record(self, began: float) -> CaseRun:
        """What came of it."""
        sitting = self.sitting
        histories = [await self.desk.history(row.run_id) for row in await self.desk.runs()]
        state = await self.desk.state(sitting.run_id)
        row = await self.desk.journal.row(sitting.run_id)
        assert row is not None, "it was started"
        ledger = tuple(_without_secrets(effect, state) for effect in self.world.ledger())
        _keep(sitting.folder / LEDGER, ledger)
        entries = [entry for history in histories for entry in history]
        said = [claim for history in histories for claim in agreement.claims(history, self.there.witnessed)]
        left = _left(state, row, entries)
        differing = tuple(agreement.disagreements(said, ledger))
        unmet = (*expectations.unmet(sitting.case.expect, left, ledger), *self._bare(entries), *self.troubles)
        return CaseRun(
            case=sitting.case.name,
            repeat=sitting.repeat,
            seed=sitting.seed,
            run_id=sitting.run_id,
            store=sitting.store,
            outcome=self._outcome(entries, bool(unmet), bool(differing)),
            status=left.status,
            reason=left.reason,
            unmet=unmet,
            disagreements=differing,
            unheard=tuple(self.people.refused),
            result=_short(left.result),
            effects=ledger,
            questions=len(left.questions),
            calls=sum(isinstance(entry.event, e.CallIntended) for entry in entries),
            turns=state.turn,
            tokens=state.spent.tokens,
            cost_usd=left.cost_usd,
            seconds=left.seconds,
            wall_seconds=round(time.perf_counter() - began, 3),
        )

    def _outcome(self, entries: list[e.Entry], unmet: bool, differing: bool) -> Outcome:
        if differing:
            return "wrong"
        own = self.sitting.agent.limits.cost_usd_max
        if unmet and self.sitting.allotted_usd is not None and own == self.sitting.allotted_usd and _is_broke(entries):
            return "unfinished"  # It was the money of the evaluation that was used up, not that of the agent.
        return "failed" if unmet else "held"

    def _bare(self, entries: list[e.Entry]) -> list[str]:
        """The tools that were called although nothing stands in for them."""
        called = {entry.event.tool for entry in entries if isinstance(entry.event, e.CallIntended)}
        return [
            f"world: {name} changes something and has no stand-in, so it was refused; give it a service, or allow --real-tools"
            for name in self.there.bare
            if name in called
        ]


def _is_broke(entries: list[e.Entry]) -> bool:
    return any(isinstance(entry.event, e.LimitReached) and entry.event.limit == "cost_usd_max" for entry in entries)


def _left(state: State, row: RunRow, entries: list[e.Entry]) -> expectations.Left:
    asked = [entry.event for entry in entries if isinstance(entry.event, e.Asked)]
    return expectations.Left(
        status=state.ended or row.status,
        reason=state.reason or ("" if state.ended else row.waits_for),
        result=msgspec.to_builtins(state.result),
        facts={name: msgspec.to_builtins(fact.value) for name, fact in state.facts.items()},
        steps={name: msgspec.to_builtins(result_of(state, name)) for name in state.order},
        inputs=state.goal.inputs,
        questions=[
            {
                "kind": one.kind, "about": one.about, "tool": one.tool, "step": one.step, "question": one.question,
                "rule": one.ruling.rule if one.ruling is not None else "", "args": one.args,
            }
            for one in asked
        ],
        cost_usd=state.spent.cost_usd,
        seconds=round(max(row.changed_at - row.created_at, 0.0), 3),
    )  # fmt: skip


def _without_secrets(effect: Effect, state: State) -> Effect:
    contract = state.contracts.get(effect.tool)
    names = secret_names(state) | frozenset(contract.secrets if contract is not None else ())
    return Effect(tool=effect.tool, args=redact(effect.args, names), key=effect.key)


def _keep(path: Path, ledger: tuple[Effect, ...]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(effect) + b"\n" for effect in ledger))


def _short(result: Any) -> Any:
    text = msgspec.json.encode(result)
    return result if len(text) <= RESULT_BYTES_MAX else {"cut": f"{len(text):,} bytes; the store has it whole"}
