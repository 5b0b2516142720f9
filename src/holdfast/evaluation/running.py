"""All runs of an evaluation: which are left to do, how many at once, what each may cost, and the file that keeps them.

Runs on virtual time take no time, and go one after another, so that they are the same in each process. Those that wait for a real
model go side by side, up to a bound.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable
from copy import copy
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast import datafile
from holdfast.agent import Agent
from holdfast.core.contract import digest
from holdfast.errors import DefinitionError, HoldfastError, UsageError
from holdfast.evaluation import results, scripts
from holdfast.evaluation.passing import Passing, Real, Skipping, Virtual, jumping
from holdfast.evaluation.playing import STORE, Sitting, play, world_of
from holdfast.evaluation.records import Case, Suite
from holdfast.evaluation.results import CaseRun, Header, Results, Writer
from holdfast.evaluation.scripts import Chosen
from holdfast.evaluation.world import Equipped, equipped
from holdfast.reasoners.llm import ProviderModel
from holdfast.runner.clock import SystemClock
from holdfast.testing.models import ScriptedModel

Mode = Literal["virtual", "skipping", "real"]
PARALLEL = 4


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How an evaluation is run. out: the folder of its results. seed: all draws follow from it. model: in place of the agent's
    and the file's. repeat: in place of the file's; only: some cases by name. parallel: runs at once that wait for a real model.
    budget_usd: for all of them. limit_seconds: of a run, on the wall, in place of the file's. real_time: nothing is skipped.
    real_tools: tools without a stand-in are called. resume: go on with what is in `out`. file, agent_spec: as they were named.
    release: of holdfast. on_run: told of each run when it is over; on_caution: of what somebody should know before. stop: once
    it is set, no further run begins."""

    out: Path
    seed: int = 0
    model: Chosen | None = None
    repeat: int | None = None
    only: tuple[str, ...] = ()
    parallel: int = PARALLEL
    budget_usd: Decimal | None = None
    limit_seconds: float | None = None
    real_time: bool = False
    real_tools: bool = False
    resume: bool = False
    file: str = ""
    agent_spec: str = ""
    release: str = ""
    on_run: Callable[[CaseRun], None] | None = None
    on_caution: Callable[[str], None] | None = None
    stop: asyncio.Event | None = None


async def evaluate(suite: Suite, agent: Agent, terms: Terms) -> Results:
    """Run all cases, as often as each is to be run, and keep what came of it. UsageError for what cannot be asked for, and where
    `resume` does not fit what is there; DefinitionError where the world does not fit the agent."""
    cases = _chosen(suite, terms.only)
    header = header_of(suite, agent, terms, cases)
    done: dict[tuple[str, int], CaseRun] = {}
    if terms.resume:
        before = results.read(terms.out)
        _check_same(before.header, header)
        done = {(run.case, run.repeat): run for run in before.counted}
    elif (terms.out / results.FILE).exists():
        raise UsageError(f"there are results in {terms.out} already", hint="--resume goes on with them; or name another --out")
    runs = _Runs(suite, agent, terms, sum((run.cost_usd for run in done.values()), Decimal(0)))
    modes = runs.fitted(cases)
    plan = [
        (case, repeat) for case in cases for repeat in range(1, header.cases[case.name] + 1) if (case.name, repeat) not in done
    ]
    writer = Writer(terms.out, None if terms.resume else header)
    try:
        await runs.all(plan, modes, writer)
    finally:
        writer.close()
    return results.read(terms.out)


def header_of(suite: Suite, agent: Agent, terms: Terms, cases: tuple[Case, ...]) -> Header:
    """What the results say of themselves."""
    return Header(
        name=suite.name,
        file=terms.file,
        file_digest=suite.digest,
        agent=agent.name,
        agent_version=agent.version,
        agent_digest=agent_digest(agent, terms.agent_spec),
        agent_spec=terms.agent_spec,
        model=_model_label(suite, agent, terms, cases),
        release=terms.release,
        seed=terms.seed,
        cases={case.name: terms.repeat or case.repeat or suite.repeat for case in cases},
        began_at=round(time.time(), 3),
        time="real" if terms.real_time else suite.time or "",
        real_tools=terms.real_tools,
    )


def agent_digest(agent: Agent, spec: str = "") -> str:
    """What tells one version of an agent from another: all that it declares, but its models, and the file that it is from."""
    thinking = agent.thinking()
    if thinking is not None:
        thinking = msgspec.structs.replace(thinking, models={}, routes={}, cheaper=(), overhead_bytes=0)
    declared = [
        agent.name, agent.version, agent.toolbox.contracts, agent.plan, agent.policy, agent.limits, agent.inputs, agent.goal,
        agent.accept, agent.on_stop, thinking, {name: agent_digest(child) for name, child in agent.agents.items()}, _source(spec),
    ]  # fmt: skip
    return digest(declared)


def _source(spec: str) -> str:
    """The digest of the file that was named, where it is one."""
    for name in (spec, spec.rpartition(":")[0]):
        if name and Path(name).is_file():
            return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    return ""


def _model_label(suite: Suite, agent: Agent, terms: Terms, cases: tuple[Case, ...]) -> str:
    if terms.model is not None:
        return terms.model.label
    own = ", ".join(agent.mind.models.models) if agent.mind is not None else ""
    said = [(case.model or suite.model).label if case.model or suite.model else own for case in cases]
    return ", ".join(dict.fromkeys(label for label in said if label))


def _chosen(suite: Suite, only: tuple[str, ...]) -> tuple[Case, ...]:
    names = [case.name for case in suite.cases]
    for name in only:
        if name not in names:
            raise UsageError(f"there is no case {name}", hint=f"there are {', '.join(names[:20])}")
    return tuple(case for case in suite.cases if not only or case.name in only)


def _check_same(before: Header, now: Header) -> None:
    """UsageError where a broken-off evaluation would go on as another one."""
    parts = {
        "case file": (before.file_digest, now.file_digest), "agent": (before.agent_digest, now.agent_digest),
        "model": (before.model, now.model), "seed": (before.seed, now.seed), "cases": (before.cases, now.cases),
        "time": (before.time, now.time), "release": (before.release, now.release),
    }  # fmt: skip
    if changed := [name for name, (was, is_now) in parts.items() if was != is_now]:
        raise UsageError(
            f"the evaluation cannot go on: since it began, the {' and the '.join(changed)} changed",
            hint="run it anew, into another folder",
        )


class _Runs:
    """The runs of one evaluation, and the money that is left for them."""

    def __init__(self, suite: Suite, agent: Agent, terms: Terms, spent_usd: Decimal):
        self.suite, self.agent, self.terms = suite, agent, terms
        self.left_usd = None if terms.budget_usd is None else terms.budget_usd - spent_usd
        self.free = self.places = 1
        self.broke = False

    def fitted(self, cases: tuple[Case, ...]) -> dict[str, Mode]:
        """How time passes in each case; DefinitionError where a case or its world does not fit the agent, with all that is
        wrong."""
        found: list[str] = []
        modes: dict[str, Mode] = {}
        cautions: dict[str, None] = {}
        for case in cases:
            try:
                modes[case.name], said = self._fitted(case)
                cautions |= dict.fromkeys(said)
            except UsageError as error:
                found.append(f"case {case.name}: {error}")
        if found:
            raise DefinitionError(datafile.told(self.terms.file or f"the eval {self.suite.name}", found))
        for caution in cautions if self.terms.on_caution is not None else ():
            self.terms.on_caution(caution)  # type: ignore[misc]
        return modes

    def _fitted(self, case: Case) -> tuple[Mode, list[str]]:
        agent = self._agent(case)
        agent.check_inputs(case.inputs)
        agent.thinking(case.inputs)  # A model whose price nobody knows is named here.
        world = world_of(self._sitting(case, 1, agent, None), SystemClock(), _nobody)
        try:
            there = equipped(agent, world.tools(), real_tools=self.terms.real_tools)
        finally:
            world.close()
        mode = self._mode(agent, there)
        said = [f"{name} changes something and has no stand-in: a call of it is refused" for name in there.bare]
        idle = [*there.idle, *(name for name in self.suite.services if name not in there.witnessed)]
        said += [f"{name}: what stands in for it is called by nobody; agent {agent.name} has no such tool" for name in idle]
        if mode == "skipping" and there.own:
            said.append(
                f"{', '.join(there.own)}: called as it is, so what takes time takes it; write `time: virtual` if it need not"
            )
        return mode, said

    async def all(self, plan: list[tuple[Case, int]], modes: dict[str, Mode], writer: Writer) -> None:
        """Each in turn, or several at once where they wait for a real model."""
        waiting = [(case, repeat, self._agent(case)) for case, repeat in plan]
        self.free = self.places = 1 if set(modes.values()) <= {"virtual"} else self.terms.parallel
        going: set[asyncio.Task[None]] = set()
        try:
            while waiting and not self._stopped:
                case, repeat, agent = waiting[0]
                if going and (self.free <= 0 or self._is_short(agent)):
                    going = await _one_over(going)
                    continue
                waiting.pop(0)
                going.add(asyncio.create_task(self._one(case, repeat, agent, modes[case.name], writer)))
                await asyncio.sleep(0)
            while going:
                going = await _one_over(going)
        finally:
            for task in going:
                task.cancel()
            await asyncio.gather(*going, return_exceptions=True)

    @property
    def _stopped(self) -> bool:
        return self.broke or (self.terms.stop is not None and self.terms.stop.is_set())

    def _is_short(self, agent: Agent) -> bool:
        """Whether less is left than a run may need, while others still hold some that they may give back."""
        return self.left_usd is not None and self.left_usd < (agent.limits.cost_usd_max or Decimal("1e-9"))

    async def _one(self, case: Case, repeat: int, agent: Agent, mode: Mode, writer: Writer) -> None:
        allotted = self._allotted(agent)
        self.free -= 1
        try:
            if self.broke:
                return
            run = await self._played(self._sitting(case, repeat, agent, allotted), mode)
        finally:
            self.free += 1
            if self.left_usd is not None and allotted is not None:
                self.left_usd += allotted
        self._settle(run)
        writer.add(run)
        if self.terms.on_run is not None:
            self.terms.on_run(run)

    def _settle(self, run: CaseRun) -> None:
        """Take what a run cost from what is left. Where that was too little for it alone, it is too little for any."""
        if self.left_usd is not None:
            self.left_usd -= run.cost_usd
            alone = self.free == self.places
            if self.left_usd <= 0 or (run.outcome == "unfinished" and alone):
                self.broke = True

    def _allotted(self, agent: Agent) -> Decimal | None:
        """What a run may cost, taken from what is left until it is over; None where there is no bound. One that has no limit of
        its own gets its share of what is left, or it would keep the others waiting."""
        if self.left_usd is None:
            return None
        share = self.left_usd / max(self.free, 1)
        own = agent.limits.cost_usd_max
        allotted = min(self.left_usd, own) if own is not None else share
        if allotted <= 0:
            self.broke = True
            return None
        self.left_usd -= allotted
        return allotted

    def _sitting(self, case: Case, repeat: int, agent: Agent, allotted: Decimal | None) -> Sitting:
        seed = seed_of(self.terms.seed, case.name, repeat)
        store = f"{case.name}/{repeat}/{STORE}"
        binding = allotted is not None and (agent.limits.cost_usd_max is None or allotted < agent.limits.cost_usd_max)
        if binding:
            agent = copy(agent)
            agent.limits = msgspec.structs.replace(agent.limits, cost_usd_max=allotted)
        return Sitting(
            suite=self.suite, case=case, repeat=repeat, seed=seed, run_id=f"{case.name}-{repeat}-{seed:08x}", agent=agent,
            folder=(self.terms.out / store).parent, store=store, real_tools=self.terms.real_tools,
            allotted_usd=allotted if binding else None,
        )  # fmt: skip

    # --- one run --------------------------------------------------------------------------------------------------

    async def _played(self, sitting: Sitting, mode: Mode) -> CaseRun:
        """The run, within its time on the wall. What a broken-off attempt at it left behind is cleared away."""
        _clear(sitting.folder)
        limit = self.terms.limit_seconds or self.suite.limit_seconds
        began = time.perf_counter()
        try:
            async with asyncio.timeout(limit):
                if mode == "virtual":
                    return await _beside(lambda: _jumped(sitting))
                return await play(sitting, Skipping() if mode == "skipping" else Real())
        except TimeoutError:
            why = f"limit: it did not end within {limit:g} s on the wall"
        except HoldfastError:
            raise
        except Exception as surprise:  # noqa: BLE001 — the border: code of the user's, or a run that goes round in circles.
            why = f"the run broke off: {type(surprise).__name__}: {surprise}"
        return CaseRun(
            case=sitting.case.name, repeat=sitting.repeat, seed=sitting.seed, run_id=sitting.run_id, store=sitting.store,
            # What it spent nobody knows, so all that it might have counts.
            outcome="failed", unmet=(why,), cost_usd=sitting.allotted_usd or Decimal(0),
            wall_seconds=round(time.perf_counter() - began, 3),
        )  # fmt: skip

    def _agent(self, case: Case) -> Agent:
        """The agent with the model of this case. A script starts anew for each run."""
        chosen = self.terms.model or case.model or self.suite.model
        if chosen is not None:
            return self.agent.with_model(scripts.model_of(chosen))
        models = list(self.agent.mind.models.models.values()) if self.agent.mind is not None else []
        if len(models) == 1 and isinstance(models[0], ScriptedModel) and not self.agent.mind.models.cheaper:  # type: ignore[union-attr]
            return self.agent.with_model(scripts.anew(models[0]))
        return self.agent

    def _mode(self, agent: Agent, there: Equipped) -> Mode:
        """Whether time can jump: real models take theirs, and so may tools and reasoners of the user's that are awaited."""
        if self.terms.real_time or self.suite.time == "real":
            return "real"
        everybody = (agent, *agent.family().values())
        minds = [one.mind for one in everybody if one.mind is not None]
        if any(isinstance(model, ProviderModel) for mind in minds for model in mind.models.models.values()):
            return "skipping"
        foreign = [one for one in everybody if one.mind is None and one.plan is None]
        return "skipping" if (foreign or there.own) and self.suite.time is None else "virtual"


async def _one_over(going: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until one of them has ended; the others."""
    over, left = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    for task in over:
        task.result()
    return left


def seed_of(seed: int, case: str, repeat: int) -> int:
    """The seed of one run of a case, the same in every process."""
    return int.from_bytes(hashlib.sha256(f"{seed} {case} {repeat}".encode()).digest()[:4])


async def _nobody(*_: Any, **__: Any) -> None:
    """Nothing is delivered to a run that is not there."""


def _jumped(sitting: Sitting) -> CaseRun:
    """A run on a loop of its own that jumps."""
    loop = jumping()

    async def whole() -> CaseRun:
        passing: Passing = Virtual()
        return await play(sitting, passing)

    try:
        run: CaseRun = loop.run_until_complete(whole())
        return run
    finally:
        loop.close()


async def _beside(work: Callable[[], CaseRun]) -> CaseRun:
    """Do this in a thread of its own. One that does not end is left behind, and dies with the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[CaseRun] = loop.create_future()

    def told(settle: Callable[[Any], None], what: Any) -> None:
        if not future.done():
            settle(what)

    def run() -> None:
        try:
            done = work()
        except BaseException as error:  # noqa: BLE001 — handed to whoever waits for it.
            _call_soon(loop, told, future.set_exception, _as_exception(error))
        else:
            _call_soon(loop, told, future.set_result, done)

    threading.Thread(target=run, name="holdfast-eval", daemon=True).start()
    return await future


def _call_soon(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    try:
        loop.call_soon_threadsafe(*call)
    except RuntimeError:
        return  # Nobody waits any more.


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")


def _clear(folder: Path) -> None:
    """Remove what an earlier attempt at this very run left."""
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.name.startswith(STORE) or path.suffix == ".jsonl":
            path.unlink()
