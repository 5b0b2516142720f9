"""Crash walks: kill an agent at every boundary of its journal in turn, and see what the world saw.

A boundary is a write of the worker that advances a run: the run's creation, a claim, a batch of events. At each of them
the worker is killed once *before* it (the effect was done, its outcome is not written) and once *after* it (the intent
is written, the effect has not begun). Then it is started again until the run has ended, and the world is asked what
happened. An agent is right when the world looks the same after every one of these walks.

**Real processes, real SIGKILL, real services.** Name a factory that a child process can import. It is given `config`, a
JSON value from the world of this walk (addresses of services, file names), and returns what is to be run:

    # shop/walked.py
    def story(config):
        return Story(agent=agent_for(config["url"]), goal="Refund order 7", run_id="order-7", inputs={"order": 7})

    # tests/test_walk.py
    @contextmanager
    def world():                                    # anew for each walk
        with services() as shop:
            yield Site(config={"url": shop.url}, ledger=shop.ledger, answer=lambda asked: ("approve", None))

    for result in crash_walk("shop.walked:story", world):
        assert result.statuses == {"order-7": "completed"}
        assert len(result.ledger["refunds"]) == 1, result

A factory may return a list of stories; they are run one after the other. The walk knows how many boundaries there are by
walking: it goes on until a start came through without being killed. `answer` is the person: it is given the question
(`Asked`) and returns a decision and its value.

**In this process, on a jumping clock,** the same for agents whose world is made in memory; a hundred walks take a second:

    def make():
        bank = Bank()
        return Story(agent=agent_for(bank), goal="…", ledger=lambda: bank.transfers, answer=lambda asked: ("approve", None))

    for result in crash_walk_simulated(make): ...

`python -m holdfast.testing.crash_walk walk shop.walked:story --config '{"url": …}'` walks against services that are there
already and prints a table of what became of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import msgspec

from holdfast.agent import Agent
from holdfast.app import Holdfast
from holdfast.core.events import Asked
from holdfast.errors import AnswerRefused, LoadError, UsageError
from holdfast.journal.base import ENDED, Batch, Claim, Full, Head, Release
from holdfast.journal.sqlite import SqliteJournal
from holdfast.testing.clock import InlineThreads, JumpingLoop, Process, SimClock
from holdfast.testing.memory import MemoryJournal, MemoryStore

T = TypeVar("T")
Side = Literal["before", "after"]
SIDES: tuple[Side, ...] = ("before", "after")
LEASE_SECONDS = 0.5
STARTS_MAX = 50
# The worker's writes that are boundaries; heartbeats come by time, and nothing rests on one of them.
BOUNDARIES = ("create", "claim", "claim_due", "append", "release")

Answer = Callable[[Asked], tuple[str, Any]]


class Story(msgspec.Struct, kw_only=True):
    """A run to be walked. ledger, answer: only for walks in this process; real ones have them in their `Site`."""

    agent: Agent
    run_id: str = "walk"
    goal: str | None = None
    inputs: dict[str, Any] | None = None
    ledger: Callable[[], Any] | None = None
    answer: Answer | None = None


class Site(msgspec.Struct, kw_only=True):
    """The world of one walk. config: JSON, handed to the factory in the child. ledger: what really happened, asked after
    the runs have ended. answer: the person."""

    config: Any = None
    ledger: Callable[[], Any] = lambda: None
    answer: Answer | None = None


class WalkResult(msgspec.Struct, kw_only=True):
    """What came of one walk. boundary: which write, from 1; what: its kind, and its events where it has any. killed: False in
    the last walk, which met no boundary any more. starts: of the worker. asked: questions that the person answered."""

    boundary: int
    side: Side
    what: str
    killed: bool
    starts: int
    statuses: dict[str, str]
    unknown: dict[str, tuple[str, ...]]
    asked: list[str]
    ledger: Any


class WalkFailed(AssertionError):
    """A worker of a walk ended as none should, or a run does not come to its end."""


# --- real processes -----------------------------------------------------------------------------------------------


def crash_walk(
    factory: str,
    world: Callable[[], AbstractContextManager[Site]],
    *,
    sides: Iterable[Side] = SIDES,
    boundaries: Iterable[int] | None = None,
    lease_seconds: float = LEASE_SECONDS,
    timeout_seconds: float = 60.0,
    folder: str | os.PathLike[str] | None = None,
    python: str = sys.executable,
    environment: dict[str, str] | None = None,
    progress: Callable[[WalkResult], None] | None = None,
) -> list[WalkResult]:
    """Walk with real processes that SIGKILL themselves; see the module's text.

    factory: `module:function`. world: makes the world of one walk. boundaries: which ones; default: all there are.
    timeout_seconds: for one start of the worker. folder: where the stores are left; default: a temporary one. progress: told
    of each result. Raises WalkFailed when a worker ends otherwise than killed or with its runs at rest.
    """
    results: list[WalkResult] = []
    with ExitStack() as stack:
        place = os.fspath(folder) if folder is not None else stack.enter_context(tempfile.TemporaryDirectory())
        nursery = stack.enter_context(_Nursery(python, factory, timeout_seconds, environment))
        for boundary, side in _walks(sides, boundaries, lambda: bool(results) and not results[-1].killed):
            child = _Child(nursery, Path(place) / f"{boundary}-{side}.db", lease_seconds)
            with world() as site:
                results.append(_walk(child, site, boundary, side))
            if progress is not None:
                progress(results[-1])
    return results


def _walks(sides: Iterable[Side], boundaries: Iterable[int] | None, over: Callable[[], bool]) -> Iterator[tuple[int, Side]]:
    """Boundaries in order, each from both sides, until a walk was not killed any more."""
    sides = tuple(sides)
    for boundary in boundaries if boundaries is not None else range(1, 10_000):
        for side in sides:
            yield boundary, side
            if boundaries is None and over():
                return


def _walk(child: _Child, site: Site, boundary: int, side: Side) -> WalkResult:
    """One walk: start the worker until its runs have ended; the first start that reaches the boundary is killed there."""
    starts, what, left, asked = 0, "the end", boundary, list[str]()
    while True:
        starts += 1
        if starts > STARTS_MAX:
            raise WalkFailed(f"boundary {boundary}, {side}: the runs do not end")
        killed, said = child.start(site.config, left if left > 0 else None, side)
        if killed:
            what, left = said["what"], 0
        elif all(run["status"] in ENDED for run in said["runs"]):
            break
        else:
            left -= said["writes"] if left > 0 else 0
            asked += asyncio.run(_answer_in(child.store, site.answer, [run["id"] for run in said["runs"]]))
    return WalkResult(
        boundary=boundary, side=side, what=what, killed=what != "the end", starts=starts, asked=asked, ledger=site.ledger(),
        statuses={run["id"]: run["status"] for run in said["runs"]},
        unknown={run["id"]: tuple(run["unknown"]) for run in said["runs"] if run["unknown"]},
    )  # fmt: skip


class _Nursery:
    """A process that has imported everything and forks the workers of all walks, so that a start costs no import. Each worker
    is a process of its own, and dies its own death."""

    def __init__(self, python: str, factory: str, timeout_seconds: float, environment: dict[str, str] | None):
        self._timeout_seconds = timeout_seconds
        self._process = subprocess.Popen(
            [python, "-m", "holdfast.testing.crash_walk", "nursery", factory], env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> _Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def start(self, **options: Any) -> dict[str, Any]:
        """Start a worker and wait for its end: its exit code (negative for a signal), and what it printed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(options) + "\n")
        self._process.stdin.flush()
        timer = threading.Timer(self._timeout_seconds, os.killpg, (self._process.pid, signal.SIGKILL))
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            raise WalkFailed(f"the worker did not end within {self._timeout_seconds:g} s")
        ended: dict[str, Any] = json.loads(line)
        return ended


class _Child:
    """The worker of one walk, as often as it is started."""

    def __init__(self, nursery: _Nursery, store: Path, lease_seconds: float):
        self.store = store
        self._nursery = nursery
        self._lease_seconds = lease_seconds

    def start(self, config: Any, boundary: int | None, side: Side) -> tuple[bool, dict[str, Any]]:
        """Start it, to be killed at a boundary or not; whether it was, and what it said last."""
        ended = self._nursery.start(
            config=config, db=os.fspath(self.store), lease=self._lease_seconds, boundary=boundary, side=side
        )
        lines = [line for line in ended["out"].splitlines() if line.startswith("{")]
        killed = ended["code"] == -signal.SIGKILL
        if not lines or not (killed or ended["code"] == 0):
            raise WalkFailed(f"the worker ended with {ended['code']}:\n{ended['out']}{ended['err']}")
        return killed, json.loads(lines[-1])


async def _answer_in(store: Path, answer: Answer | None, run_ids: list[str]) -> list[str]:
    answered = []
    async with Holdfast(store) as app:
        for run_id in run_ids:
            answered += await _answer_run(app, run_id, answer)
    return answered


async def _answer_run(app: Holdfast, run_id: str, answer: Answer | None) -> list[str]:
    """Answer all that a run asks, in the words of the walk's person."""
    answered = []
    for asked in (await app.show(run_id)).questions:
        if answer is None:
            raise WalkFailed(f"run {run_id} asks, and the walk has nobody to answer: {asked.question}")
        decision, value = answer(asked)
        try:
            await app.answer(run_id, decision, by="the walk", interrupt=asked.interrupt, value=value)
            answered.append(f"{asked.about} {asked.tool}: {decision}")
        except AnswerRefused:
            pass  # It was answered in an earlier start already, and not yet heard.
    return answered


# --- the child ----------------------------------------------------------------------------------------------------


class KillingJournal(SqliteJournal):
    """A store whose process ends with SIGKILL at one of its writes."""

    def __init__(self, path: str, boundary: int | None, side: Side):
        super().__init__(path)
        self.writes = 0
        self._boundary = boundary
        self._side = side

    def _die_at(self, side: Side, what: str) -> None:
        if side == "before":
            self.writes += 1
        if self.writes == self._boundary and side == self._side:
            print(json.dumps({"what": what}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    async def create(self, *args: Any, **options: Any) -> Claim | None:
        self._die_at("before", "create")
        claim = await super().create(*args, **options)
        self._die_at("after", "create")
        return claim

    async def claim(self, *args: Any) -> Claim | None:
        self._die_at("before", "claim")
        claim = await super().claim(*args)
        self._die_at("after", "claim")
        return claim

    async def append(self, batch: Batch) -> Head | Full:
        self._die_at("before", _in_words(batch))
        head = await super().append(batch)
        self._die_at("after", _in_words(batch))
        return head

    async def release(self, claim: Claim, release: Release) -> None:
        self._die_at("before", "release")
        await super().release(claim, release)
        self._die_at("after", "release")


def _in_words(batch: Batch) -> str:
    """What a batch says: `call_succeeded mailbox, call_intended vpn`."""
    names = [f"{event.__struct_config__.tag} {getattr(event, 'step', '')}".strip() for event in batch.events]
    return ", ".join([*names, *(["release"] if batch.release is not None else [])])


async def _tell(stories: list[Story], journal: KillingJournal, lease_seconds: float) -> None:
    async with Holdfast(journal, lease_seconds=lease_seconds) as app:
        runs = [await app.run(story.agent, story.goal, id=story.run_id, inputs=story.inputs) for story in stories]
    told = [{"id": run.id, "status": run.status, "unknown": run.unknown} for run in runs]
    print(json.dumps({"writes": journal.writes, "runs": told}), flush=True)


def _live(factory: str, config: Any, db: str, lease: float, boundary: int | None, side: Side) -> int:
    """One life of a worker; its exit code."""
    try:
        found = load_factory(factory)(config)
    except UsageError as error:
        print(f"{error}", file=sys.stderr)
        return 2
    stories = found if isinstance(found, list) else [found]
    asyncio.run(_tell(stories, KillingJournal(db, boundary, side), lease))
    return 0


def _serve(factory: str) -> int:
    """The nursery: for each line, fork a worker, wait for its end, and tell it in a line."""
    with suppress(UsageError):
        load_factory(factory)  # The worker will say it again, where somebody listens.
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                _be_born(factory, json.loads(line), out.fileno(), err.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            out.seek(0)
            err.seek(0)
            told = {"code": code, "out": out.read().decode(errors="replace"), "err": err.read().decode(errors="replace")}
        print(json.dumps(told), flush=True)
    return 0


def _be_born(factory: str, options: dict[str, Any], out: int, err: int) -> NoReturn:
    """Run the worker in a process that was just forked, and never return to what its parent was doing."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    code = 1
    try:
        code = _live(factory, **options)
    except Exception:  # noqa: BLE001 — told in full, where the walk reads it.
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def load_factory(name: str) -> Callable[[Any], Story | list[Story]]:
    """The function that `module:function` names."""
    module, _, attribute = name.partition(":")
    try:
        found: Callable[[Any], Story | list[Story]] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise LoadError(f"{name} cannot be imported: {error}", hint="name it as module:function") from error
    return found


# --- in this process ----------------------------------------------------------------------------------------------


def crash_walk_simulated(
    make: Callable[[], Story], *, sides: Iterable[Side] = SIDES, twice: bool = False, lease_seconds: float = 5.0
) -> list[WalkResult]:
    """The same walk on a jumping clock with a journal in memory. make: a story in a world of its own, anew for each walk.

    twice: the second start is killed as well, at each of its boundaries in turn: recovery must bear a crash too.
    """
    results: list[WalkResult] = []
    once: list[WalkResult] = []
    for first in _walks(sides, None, partial(_came_through, once)):
        once.append(_simulated(make(), [first], lease_seconds))
        results.append(once[-1])
        if twice and once[-1].killed:
            again: list[WalkResult] = []
            for second in _walks(sides, None, partial(_came_through, again)):
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
        what = _in_words(args[0]) if name == "append" else name
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
            asked += await _answer_run(person, story.run_id, story.answer)
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
            await app.run(story.agent, story.goal, id=story.run_id, inputs=story.inputs)

    task: asyncio.Future[None] = gate.process.start(work())
    deaths: asyncio.Future[Any] = gate.died
    await asyncio.wait([task, deaths], return_when=asyncio.FIRST_COMPLETED)
    if gate.died.done():
        return gate.died.result()
    task.result()
    return None


# --- the command line ---------------------------------------------------------------------------------------------


def table(results: Iterable[WalkResult]) -> str:
    """Results as lines for people."""
    lines = [f"{'boundary':>8}  {'side':<6}  {'starts':>6}  {'runs':<24}  at"]
    for result in results:
        counted = ", ".join(f"{status} {count}" for status, count in sorted(_count(result.statuses.values()).items()))
        lines.append(f"{result.boundary:>8}  {result.side:<6}  {result.starts:>6}  {counted:<24}  {result.what[:100]}")
    return "\n".join(lines)


def _count(names: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for name in names:
        counted[name] = counted.get(name, 0) + 1
    return counted


def main(arguments: list[str] | None = None) -> int:
    """See the module's text. `child` is one life of a worker; `nursery` is what a walk forks its workers from."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.testing.crash_walk", description="Kill an agent at every boundary.")
    parser.add_argument("verb", choices=("walk", "child", "nursery"))
    parser.add_argument("factory", help="module:function, which makes the story from the config")
    parser.add_argument("--config", default="null", help="JSON, handed to the factory")
    parser.add_argument("--db", default="walk.db", help="the child's store")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS)
    parser.add_argument("--boundary", type=int, help="the write at which the child is killed")
    parser.add_argument("--side", choices=SIDES, default="before")
    given = parser.parse_args(arguments)
    if given.verb == "nursery":
        return _serve(given.factory)
    try:
        config = json.loads(given.config)
    except json.JSONDecodeError as error:
        print(f"--config is not JSON: {error}", file=sys.stderr)
        return 2
    if given.verb == "child":
        return _live(given.factory, config, given.db, given.lease, given.boundary, given.side)
    results = crash_walk(given.factory, lambda: nullcontext(Site(config=config)), lease_seconds=given.lease)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
