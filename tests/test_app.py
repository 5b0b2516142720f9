"""The user's verbs, on real stores: start or continue, caps, priority, people, secrets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import (
    Agent,
    AnswerRefused,
    Briefing,
    Call,
    CallbackRefused,
    CallbackUnknown,
    Deferred,
    Delivered,
    Finish,
    GiveUp,
    GoalMismatch,
    Happened,
    Holdfast,
    InvalidInput,
    Limits,
    OutsideStore,
    Partial,
    Run,
    RunNotFound,
    Secret,
    Step,
    Transient,
    Unknown,
    UsageError,
    cannot_tell,
    run,
    tool,
)
from holdfast.errors import JournalCorrupt, JournalUnavailable
from holdfast.journal.base import Batch, Full, Head
from holdfast.journal.sqlite import SqliteJournal
from holdfast.runner.clock import SystemClock
from tests.gate import World, background, until, worker

SOURCE = str(Path(holdfast.__file__).parents[1])


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The path of a store that is not there yet."""
    return tmp_path / "runs.db"


# --- start or continue ---------------------------------------------------------------------------------------------

SMALLEST = '''
from holdfast import Agent, run, tool

@tool(safety="idempotent")
def greet(name: str) -> str:
    """Greet somebody."""
    with open("world.txt", "a") as world:
        world.write(f"Hello, {name}\\n")
    return f"Hello, {name}"

agent = Agent("greeter", tools=[greet], plan={"hi": {"tool": "greet", "args": {"name": "Ada"}}})
print(run(agent, id="ada", db="runs.db").result)
'''


def test_the_smallest_whole_program_run_twice_has_one_effect(tmp_path: Path) -> None:
    """At most fifteen lines; the second time it is done already, and says the same."""
    assert len(SMALLEST.strip().splitlines()) <= 15
    said = []
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", SMALLEST],
            cwd=tmp_path,
            env={"PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        said.append(ended.stdout)
    assert said == ["{'hi': 'Hello, Ada'}\n"] * 2
    assert (tmp_path / "world.txt").read_text() == "Hello, Ada\n"


async def test_run_continues_what_is_there_whatever_its_state(db: Path) -> None:
    """One id, four calls of the same verb: begun and left, continued, finished, and asked again."""
    world = World()
    agent = worker(world, steps=2, limits=Limits(parallel_max=1))
    world.gate.clear()
    app = Holdfast(db)
    async with app, background(app.run(agent, id="r", inputs={"name": "x"})) as first:
        await until(lambda: world.inside.get("do"))
        async with background(app.stop()):
            world.gate.set()
        assert (await first).status == "running"
    assert world.effects == ["x1"], "the effect at hand was finished, and nothing new begun"
    async with Holdfast(db) as app:
        assert (await app.run(agent, id="r", inputs={"name": "x"})).result == {"s1": "x1", "s2": "x2"}
        assert (await app.run(agent, id="r")).done
    assert world.effects == ["x1", "x2"]


async def test_a_second_start_of_an_id_is_the_same_run(db: Path) -> None:
    """Also when twenty come at once, through two ways to the store."""
    world = World()
    agent = worker(world)
    async with Holdfast(db) as one, Holdfast(db) as other:
        ids = await asyncio.gather(*(app.start(agent, id="r", inputs={"name": "x"}) for app in [one, other] * 10))
        assert set(ids) == {"r"}
        ends = await asyncio.gather(*(app.run(agent, id="r", inputs={"name": "x"}) for app in [one, other] * 3))
        assert {end.status for end in ends} == {"completed"}
        assert [row.run_id for row in await other.runs()] == ["r"]
    assert world.effects == ["x1"]


async def test_an_id_that_belongs_to_another_goal_is_a_clear_error(db: Path) -> None:
    """Another goal, other inputs or another agent: GoalMismatch with the run's id, and nothing is done."""
    world = World()
    agent = worker(world)
    other = Agent("other", tools=[], reasoner=lambda briefing: Finish())
    async with Holdfast(db) as app:
        await app.start(agent, "do it", id="r", inputs={"name": "x"})
        for wrong in (
            lambda: app.run(agent, "do that", id="r", inputs={"name": "x"}),
            lambda: app.run(agent, "do it", id="r", inputs={"name": "y"}),
            lambda: app.start(agent, "do it", id="r"),
            lambda: app.has(agent, "do that", id="r", inputs={"name": "x"}),
            lambda: app.start(other, id="r"),
        ):
            with pytest.raises(GoalMismatch, match="run r: the id belongs to a run") as caught:
                await wrong()
            assert "choose another id" in str(caught.value)
        assert world.effects == []
        assert await app.has(agent, id="r")
        assert not await app.has(agent, id="q", inputs={"name": "x"})
        assert (await app.run(agent, id="r", inputs={"name": "x"})).done, "the goal may be left out: the agent's own is meant"


async def test_runs_without_an_id_are_different_runs(db: Path) -> None:
    """Each gets an id that begins with the agent's name."""
    world = World()
    agent = worker(world)
    async with Holdfast(db) as app:
        ids = {(await app.run(agent, inputs={"name": name})).id for name in "xxy"}
    assert len(ids) == 3
    assert all(re.fullmatch("worker-[0-9a-f]{8}", one) for one in ids)
    assert sorted(world.effects) == ["x1", "x1", "y1"]


@pytest.mark.parametrize("wrong", ["", " r", "r\n", "a\x00b", "x" * 201, "\x1b[31m"])
async def test_what_is_no_id_is_refused(db: Path, wrong: str) -> None:
    """An id is shown in terminals and typed by people."""
    async with Holdfast(db) as app:
        with pytest.raises(UsageError, match="is no id for a run"):
            await app.start(worker(World()), id=wrong, inputs={"name": "x"})
        assert await app.runs() == []


def test_a_store_that_this_release_cannot_open_is_refused_by_its_name() -> None:
    """Not taken for a file of that name."""
    with pytest.raises(UsageError, match="postgresql://host/db is no store that this release can open"):
        Holdfast("postgresql://host/db")


async def test_run_of_the_module_is_refused_inside_a_running_loop(db: Path) -> None:
    """It would block the loop; the words to use there are named, and nothing is made."""
    with pytest.raises(UsageError, match="async with Holdfast"):
        run(worker(World()), inputs={"name": "x"}, db=db)
    assert not db.exists()


async def test_inputs_are_checked_before_anything_begins(db: Path) -> None:
    """Everything that is wrong is said at once; what no JSON is and what a plan reads and is not given, too."""
    world = World()
    schemas = {"name": {"type": "string", "pattern": "^[a-z]+$"}, "age": {"type": "integer"}, "note": {"optional": True}}
    agent = worker(world, inputs=schemas)
    loose = worker(world)
    async with Holdfast(db) as app:
        for wrong, words in (
            ({}, ["the input name is missing", "the input age is missing"]),
            ({"name": "X", "age": "7", "aeg": 7}, ["the input name: ", "the input age: ", "there is no input aeg"]),
            ({"name": None, "age": 7}, ["the input name: "]),
        ):
            for verb in (app.run, app.start):
                with pytest.raises(UsageError) as caught:
                    await verb(agent, id="r", inputs=wrong)
                assert all(word in str(caught.value) for word in words)
                assert "missing" in str(caught.value) or "note" not in str(caught.value)
        with pytest.raises(UsageError, match="names the input name, which is not given"):
            await app.run(loose, id="r", inputs={"nmae": "x"})
        for no_json in ({"name": {1, 2}}, {"name": float("nan")}, {"name": "\ud800"}, {"name": object()}):
            with pytest.raises(UsageError, match="JSON"):
                await app.run(loose, id="r", inputs=no_json)
        assert await app.runs() == []
        assert (await app.run(agent, id="r", inputs={"name": "x", "age": 7})).done
    assert world.effects == ["x1"]


# --- an effect has to be recorded ----------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", [{"safety": "idempotent"}, {"safety": "keyed", "key_ttl": "1h"},
                                     {"safety": "reconcilable", "probe": lambda name: cannot_tell()}, {}])  # fmt: skip
def test_an_effect_tool_refuses_outside_a_store(promise: dict[str, Any]) -> None:
    """Whatever it promises; the function itself stays within reach of unit tests."""
    effects = []

    @tool(**promise)
    def act(name: str) -> str:
        effects.append(name)
        return name

    with pytest.raises(OutsideStore, match="nothing would record it"):
        act("x")
    assert effects == []
    assert act.function("x") == "x"


async def test_a_read_tool_is_a_function_like_any_other() -> None:
    """It changes nothing, so nothing has to be recorded."""

    @tool(safety="read")
    def look(name: str) -> str:
        return f"seen {name}"

    @tool(safety="read")
    async def wait(name: str) -> str:
        return f"waited for {name}"

    assert look("x") == "seen x"
    assert await wait(name="y") == "waited for y"


# --- in a house with others ----------------------------------------------------------------------------------------


class Watched(SqliteJournal):
    """The journal in its file, which also counts the appends that found no slot."""

    refused = 0

    async def append(self, batch: Batch) -> Head | Full:
        written = await super().append(batch)
        self.refused += isinstance(written, Full)
        return written


@pytest.mark.parametrize(("parallel", "tenants", "allowed"), [(3, None, 3), (None, {"acme": 2}, 2), (4, {"*": 3}, 3)])
async def test_caps_hold_over_all_workers_of_a_store(
    db: Path, parallel: int | None, tenants: dict[str, int] | None, allowed: int
) -> None:
    """Two workers, eight runs of three steps side by side: as many calls at once as allowed, never one more."""
    world = World()
    world.gate.clear()
    journals = Watched(db), Watched(db)
    agent = worker(world, parallel=parallel, steps=3)
    async with contextlib.AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(Holdfast(j, tenant_parallel=tenants, parallel_runs=4)) for j in journals]
        for number in range(8):
            await apps[0].start(agent, id=f"r{number}", inputs={"name": f"r{number}-"}, tenant="acme")
        async with background(asyncio.gather(*(app.work(agent, until_idle=True) for app in apps))):
            await until(lambda: world.inside.get("do") == allowed and all(journal.refused >= 4 for journal in journals))
            world.gate.set()
            await until(lambda: len(world.effects) == 24)
            await until(lambda: all(row == 0 for row in world.inside.values()))
        assert {row.status for row in await apps[1].runs()} == {"completed"}
    assert world.peak["do"] == allowed
    assert len(set(world.effects)) == 24


async def test_tenants_do_not_take_one_anothers_places(db: Path) -> None:
    """While one tenant is at its cap, another goes on; one that is not named has no cap."""
    world = World()
    world.gate.clear()
    agent = worker(world, steps=2)

    async def all_three(app: Holdfast) -> None:
        await asyncio.gather(*(app.run(agent, id=f"r{t}", inputs={"name": t}, tenant=t) for t in ("a", "b", "")))

    async with Holdfast(db, tenant_parallel={"a": 1, "b": 2}) as app, background(all_three(app)):
        await until(lambda: world.inside.get("do") == 5)
        world.gate.set()
    assert world.peak["do"] == 5
    assert sorted(world.effects) == ["1", "2", "a1", "a2", "b1", "b2"]


class Shifted(SystemClock):
    """The system's clock, so many seconds off."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def now(self) -> float:
        return super().now() + self.seconds


@pytest.mark.parametrize(("waited", "order"), [(200.0, ["urgent1", "old1", "new1"]), (400.0, ["old1", "urgent1", "new1"])])
async def test_urgent_runs_go_first_and_nothing_starves(db: Path, waited: float, order: list[str]) -> None:
    """A level of priority is worth a minute: what waited six minutes goes before what is five levels more urgent."""
    world = World()
    agent = worker(world)
    async with Holdfast(db, clock=Shifted(-waited)) as app:
        await app.start(agent, id="old", inputs={"name": "old"})
    async with Holdfast(db, parallel_runs=1) as app:
        await app.start(agent, id="new", inputs={"name": "new"})
        await app.start(agent, id="urgent", inputs={"name": "urgent"}, priority=5)
        await app.work(agent, until_idle=True)
    assert world.effects == order


async def test_a_worker_leaves_runs_alone_whose_agent_it_has_not(db: Path) -> None:
    """They stay due, and whoever has the agent takes them on."""
    world = World()
    agent = worker(world)
    other = Agent("other", reasoner=lambda briefing: Finish("done"))
    async with Holdfast(db) as app:
        await app.start(agent, id="r", inputs={"name": "x"}, labels={"team": "red"})
        await app.start(other, id="o")
    async with Holdfast(db) as app:
        await app.work(other, until_idle=True)
        rows = {row.run_id: row for row in await app.runs()}
        assert (rows["o"].status, rows["r"].status, world.effects) == ("completed", "running", [])
        assert rows["r"].due_at is not None and rows["r"].worker == ""
        assert rows["r"].labels == {"team": "red"}
        await app.work(agent, until_idle=True)
        assert (await app.show("r")).done


async def test_runs_are_found_by_status_agent_and_tenant(db: Path) -> None:
    """The latest changed first, and no more than asked for."""
    world = World()
    agent = worker(world)
    other = Agent("other", reasoner=lambda briefing: GiveUp("no"))
    async with Holdfast(db) as app:
        await app.run(agent, id="a", inputs={"name": "a"}, tenant="acme")
        await app.run(other, id="b")
        await app.start(agent, id="c", inputs={"name": "c"})

        async def found(**wanted: Any) -> set[str]:
            return {row.run_id for row in await app.runs(**wanted)}

        assert await found() == {"a", "b", "c"}
        assert await found(status="completed") == {"a"}
        assert await found(status="failed") == {"b"}
        assert await found(agent="worker") == {"a", "c"}
        assert await found(tenant="acme") == {"a"}
        assert await found(tenant="acme", status="failed") == set()
        assert len(await found(limit=2)) == 2


async def test_workers_are_seen_while_they_work_and_not_after(db: Path) -> None:
    """So that somebody who looks at the store knows whether a run will be taken on."""
    async with Holdfast(db, worker="w1") as one, Holdfast(db) as other:

        async def seen() -> list[tuple[str, ...]]:
            return [w.agents for w in await other.workers() if w.name == "w1"]

        async with background(one.work(worker(World()))):
            assert await until(seen) == [("worker",)]
            await one.stop()
        assert await seen() == [()]


async def test_patience_ends_a_long_wait_and_not_a_short_one(db: Path) -> None:
    """A run that waits longer than the patience is returned as it stands: parked, with its time."""

    @tool(safety="idempotent", retry={"attempts": 2, "backoff": "60s", "jitter": 0})
    async def later() -> str:
        raise holdfast.Transient("503")

    agent = Agent("later", tools=[later], plan={"a": {"tool": "later"}})
    async with Holdfast(db) as app, asyncio.timeout(5):
        shown = await app.run(agent, id="r", patience_seconds=30)
    assert (shown.status, shown.waits_for, shown.ended) == ("waiting", "retry of a", False)
    assert shown.due_at is not None


async def test_the_end_of_a_run_says_what_came_of_it(db: Path) -> None:
    """Skipped, flagged, partial and unknown steps are named; a run that failed gives its reason."""

    @tool(safety="idempotent", retry=1, owed_within="100ms", at_deadline="give_up")
    async def act(how: str) -> str | Partial:
        if how == "partial":
            return Partial("half", ("rest",))
        if how == "unknown":
            raise Unknown("the gateway says: maybe")
        raise holdfast.Conflict("sold out")

    def plan(**steps: Any) -> dict[str, Any]:
        return {name: {"tool": "act", "args": {"how": how}, "on_failure": policy} for name, (how, policy) in steps.items()}

    whole = Agent("whole", tools=[act], plan=plan(a=("partial", "stop"), b=("conflict", "skip"), c=("conflict", "flag")))
    stops = Agent("stops", tools=[act], plan=plan(a=("conflict", "stop")))
    async with Holdfast(db) as app:
        ended = await app.run(whole, id="w")
        assert ended.done and ended.result == {"a": "half"}
        assert (ended.partial, ended.skipped, ended.flagged) == (("a",), ("b", "c"), ("c", "a"))
        failed = await app.run(stops, id="s")
        assert failed.ended and not failed.done
        assert failed.reason == "step a: conflict: sold out"


# --- people --------------------------------------------------------------------------------------------------------


def payer(effects: list[str], **options: Any) -> Agent:
    """An agent that pays once, which a person must approve."""

    @tool
    async def pay(to: str, amount: int) -> str:
        effects.append(f"{to} {amount}")
        return f"paid {to}"

    return Agent("payer", tools=[pay], plan={"pay": {"tool": "pay", "args": {"to": "ann", "amount": 5}}}, **options)


async def test_an_answer_from_elsewhere_moves_the_run_on(db: Path) -> None:
    """One process works, another one answers; what was edited is what is done."""
    effects: list[str] = []
    agent = payer(effects)
    async with Holdfast(db) as works, Holdfast(db) as answers:
        asks = await works.run(agent, id="r")
        assert asks.status == "blocked"
        assert effects == []
        (question,) = asks.questions
        assert (question.tool, question.args) == ("pay", {"to": "ann", "amount": 5})

        async def ended() -> Run | None:
            run = await answers.show("r")
            return run if run.ended else None

        async with background(works.work(agent)):
            interrupt = await answers.answer("r", "edit", by="bob", value={"amount": 6}, note="one more")
            assert interrupt == question.interrupt
            shown = await until(ended)
            await works.stop()
        assert shown.result == {"pay": "paid ann"}
        with pytest.raises(AnswerRefused):
            await answers.answer("r", "approve", by="eve")
    assert effects == ["ann 6"]


async def test_only_the_first_answer_is_taken(db: Path) -> None:
    """Ten people answer at once through two ways; one is heard, the others are told who was first."""
    effects: list[str] = []
    agent = payer(effects)
    async with Holdfast(db) as one, Holdfast(db) as other:
        await one.run(agent, id="r")
        said = await asyncio.gather(
            *(app.answer("r", "approve", by=f"p{n}") for n, app in enumerate([one, other] * 5)), return_exceptions=True
        )
        taken = [answer for answer in said if isinstance(answer, str)]
        refused = [str(answer) for answer in said if isinstance(answer, AnswerRefused)]
        assert (len(taken), len(refused)) == (1, 9)
        assert all("was answered already: approve by p" in words for words in refused)
        assert (await other.run(agent, id="r")).done
    assert effects == ["ann 5"]


async def test_an_answer_that_cannot_be_taken_says_why(db: Path) -> None:
    """Nothing open, no such option, wrong arguments, no such run; nothing of it reaches the run."""
    effects: list[str] = []
    agent = payer(effects)
    async with Holdfast(db) as app:
        with pytest.raises(RunNotFound, match="run nobody: there is no such run"):
            await app.answer("nobody", "approve")
        await app.run(agent, id="r")
        for decision, value, words in (
            ("respond", None, "takes approve, cancel, edit, reject"),
            ("edit", {"amount": "much"}, "pay cannot take these arguments"),
            ("edit", None, "needs the arguments to change"),
        ):
            with pytest.raises(AnswerRefused, match=words):
                await app.answer("r", decision, by="ann", value=value)
        with pytest.raises(AnswerRefused, match="nothing is open under other-1"):
            await app.answer("r", "approve", interrupt="other-1")
        assert (await app.run(agent, id="r")).status == "blocked"
        await app.answer("r", "reject", by="ann", note="not her")
        ended = await app.run(agent, id="r")
        assert ended.status == "failed"
        assert "reject by ann: not her" in ended.reason
    assert effects == []


async def test_a_cancel_from_elsewhere_lets_the_effect_at_hand_end(db: Path) -> None:
    """Nothing new begins after it; a run that has ended cannot be cancelled."""
    world = World()
    world.gate.clear()
    agent = worker(world, steps=3, limits=Limits(parallel_max=1))
    async with Holdfast(db) as works, Holdfast(db) as cancels:

        async def taken() -> bool:
            return not await cancels.journal.messages("r")

        async with background(works.run(agent, id="r", inputs={"name": "x"})) as task:
            await until(lambda: world.inside.get("do"))
            await cancels.cancel("r", by="ann", reason="a mistake")
            with pytest.raises(AnswerRefused):
                await cancels.cancel("r", by="bob")
            await until(taken)
            world.gate.set()
        ended: Run = await task
        assert (ended.status, ended.reason) == ("cancelled", "cancelled by ann: a mistake")
        with pytest.raises(AnswerRefused, match=r"it has ended already \(cancelled\)"):
            await cancels.cancel("r")
        with pytest.raises(RunNotFound):
            await cancels.cancel("nobody")
    assert world.effects == ["x1"]


# --- schedules -----------------------------------------------------------------------------------------------------


async def test_the_same_schedule_twice_is_once_and_another_one_takes_its_name_only_when_told(db: Path) -> None:
    """Whoever deploys again puts the same schedule again; a changed one is a decision."""
    agent = worker(World())
    async with Holdfast(db) as app:
        first = await app.schedule(agent, id="s", cron="0 9 * * 1-5", timezone="Europe/Berlin", inputs={"name": "a"})
        assert await app.schedule(agent, id="s", cron="0 9 * * 1-5", timezone="Europe/Berlin", inputs={"name": "a"}) == first
        with pytest.raises(UsageError, match="another schedule s already: it has another inputs"):
            await app.schedule(agent, id="s", cron="0 9 * * 1-5", timezone="Europe/Berlin", inputs={"name": "b"})
        second = await app.schedule(agent, id="s", cron="@hourly", inputs={"name": "b"}, replace=True)
        assert await app.schedules() == [second]
        assert (second.revision, second.schedule.inputs) == (2, {"name": "b"})
        assert (await app.schedule(agent, cron="@daily", inputs={"name": "c"})).schedule.name == "worker"


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"cron": "0 9 * * *", "inputs": {}}, "the input name is missing|names the input name"),
        ({"cron": "0 9 * * *", "inputs": {"name": float("nan")}}, "the inputs are no JSON"),
        ({"cron": "0 9 * * *", "labels": {"a": 1}}, "cannot be written down"),
        ({"cron": "0 9 * * *", "priority": 10**9}, "a priority lies between"),
        ({"cron": "0 9 * * *", "queue_max": "many"}, "cannot be written down"),
        ({"cron": "0 0 31 2 *"}, "never fires"),
        ({"cron": "0 9 * * *", "timezone": "Nowhere"}, "no time zone"),
        ({"at": datetime(2099, 1, 1)}, "has no zone"),  # noqa: DTZ001
        ({"at": "2001-01-01T00:00Z"}, "its time has passed"),
        ({}, "needs either a cron line or a time"),
    ],
)
async def test_what_cannot_be_scheduled_is_refused_at_once(db: Path, given: dict[str, Any], what: str) -> None:
    """As a run would be, and not at nine in the morning."""
    async with Holdfast(db) as app:
        with pytest.raises(UsageError, match=what):
            await app.schedule(worker(World()), id="s", **{"inputs": {"name": "a"}, **given})
        assert await app.schedules() == []


async def test_a_schedule_that_is_not_there_is_named(db: Path) -> None:
    """Only forgetting what nobody knows is no mistake."""
    async with Holdfast(db) as app:
        for verb in (app.pause_schedule, app.resume_schedule, app.firings):
            with pytest.raises(UsageError, match="there is no schedule s in this store"):
                await verb("s")
        assert not await app.unschedule("s")


async def test_a_worker_begins_what_another_process_scheduled(db: Path) -> None:
    """Without being told; the run is found by the label of its schedule."""
    agent = worker(world := World())
    async with Holdfast(db) as app, Holdfast(db) as other, background(other.work(agent)):
        at = SystemClock().now() + 0.2
        await app.schedule(agent, id="soon", at=at, inputs={"name": "x"})

        async def done() -> bool:
            return any(row.status == "completed" for row in await app.runs())

        await until(done)
        await other.stop()
        (row,) = await app.runs()
        (firing,) = await app.firings("soon")
        assert (row.labels, firing.run_id, firing.planned_at) == ({"schedule": "soon"}, row.run_id, at)
        assert world.effects == ["x1"]
        assert await app.pause_schedule("soon") == await app.pause_schedule("soon")
        assert await app.unschedule("soon")
        assert (await app.show(row.run_id)).done


async def test_secrets_by_name_are_not_kept_in_a_schedule(db: Path) -> None:
    """Inputs are written as those of a run are."""
    agent = worker(World(), secrets=["pin"])
    async with Holdfast(db) as app:
        found = await app.schedule(agent, id="s", cron="@daily", inputs={"name": "a", "pin": "1234"})
        assert found.schedule.inputs["pin"] == "[redacted]"
    assert b"1234" not in b"".join(file.read_bytes() for file in db.parent.glob("runs.db*"))


# --- looking -------------------------------------------------------------------------------------------------------


async def test_a_run_is_verified_link_by_link(db: Path) -> None:
    """The number of entries and the last link, or the first entry that is not what was written."""
    agent = worker(World())
    async with Holdfast(db) as app:
        await app.run(agent, id="r", inputs={"name": "x"})
        history = await app.history("r")
        verified = await app.verify("r")
        assert (verified.problem, verified.entries, len(verified.link)) == (None, len(history), 64)
        assert [entry.sequence for entry in history] == list(range(1, len(history) + 1))
        await app.journal.file.write(  # type: ignore[attr-defined]
            lambda c: c.execute("update batches set at = at + 1 where first = (select max(first) from batches)")
        )
        found = await app.verify("r")
        assert found.problem is not None and found.sequence is not None and found.sequence > 1
        for look in (app.show, app.state, app.history, app.verify):
            with pytest.raises(RunNotFound):
                await look("nobody")


async def test_a_run_that_cannot_be_advanced_here_is_told(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its journal is damaged: `on_error` hears of it, or the log; `on_rest` hears of every run that comes to rest."""
    agent = worker(World())
    errors: list[tuple[str, str]] = []
    rests: list[str] = []
    async with Holdfast(db) as app:
        for name in "pqr":
            await app.start(agent, id=name, inputs={"name": name})
        await app.journal.file.write(  # type: ignore[attr-defined]
            lambda c: c.execute("update batches set at = at + 1 where run in (select id from runs where run_id in ('p', 'q'))")
        )
        with caplog.at_level(logging.ERROR, "holdfast"), pytest.raises(JournalCorrupt, match="run q: entry 1 is not what"):
            await app.run(agent, id="q")
        assert "run q: entry 1 is not what was written" in caplog.text
    async with Holdfast(db, on_error=lambda run_id, e: errors.append((run_id, e.what)), on_rest=rests.append) as app:
        await app.work(agent, until_idle=True)
        assert (await app.show("r")).done
    assert errors == [("p", "entry 1 is not what was written")]
    assert sorted(rests) == ["p", "r"]


async def test_a_store_that_is_not_open_says_so(db: Path) -> None:
    """Before `async with` and after it."""
    agent = worker(World())
    app = Holdfast(db)
    with pytest.raises(JournalUnavailable, match="the journal is not open"):
        await app.start(agent, id="r", inputs={"name": "x"})
    async with app:
        await app.start(agent, id="r", inputs={"name": "x"})
    with pytest.raises(JournalUnavailable, match="the journal is not open"):
        await app.show("r")


# --- secrets -------------------------------------------------------------------------------------------------------

TYPED, NAMED = "typed-hunter2-in-the-open", "named-hunter2-in-the-open"
MODES = ["ok", "result", "partial", "deferred", "failure", "detail", "surprise", "unknown", "invalid output", "cannot tell"]
STEPS = {mode.replace(" ", "_"): mode for mode in MODES}


def keeper() -> Agent:
    """An agent with a tool that leaks its secret in every way that a tool has."""

    def probe(token: Secret, mode: str) -> Any:
        if mode == "cannot tell":
            return cannot_tell(f"with {token.get_secret_value()} one sees nothing")
        return Happened({"token": token.get_secret_value(), "password": NAMED})

    @tool(safety="reconcilable", probe=probe, retry=1)
    def call(token: Secret, mode: str) -> Any:
        """Leak."""
        plain = token.get_secret_value()
        assert plain == TYPED
        match mode:
            case "result":
                return {"echo": f"Bearer {plain}", plain: 1, "deep": [{"api_key": NAMED, "badge": {"code": NAMED}}]}
            case "partial":
                return Partial({"seen": [plain], "password": NAMED}, (plain,))
            case "deferred":
                return Deferred(handle=plain, until=4e9)
            case "failure":
                raise InvalidInput(f"{plain} is wrong")
            case "detail":
                raise InvalidInput("wrong", detail={"token": plain, "password": NAMED, "objects": [object(), plain]})
            case "surprise" | "cannot tell":
                raise RuntimeError(f"cannot connect with {plain}")
            case "unknown":
                raise Unknown(f"sent {plain}")
            case "invalid output":
                return {"bad": object(), "why": plain}
            case _:
                return "fine"

    form = {"tool": "call", "on_failure": "ask"}
    steps = {name: {**form, "args": {"token": {"$secret": "TOKEN"}, "mode": mode}} for name, mode in STEPS.items()}
    return Agent("keeper", tools=[call], plan=steps, secrets=["badge"])


def written(db: Path) -> bytes:
    """Every byte that lies in the store's files."""
    return b"".join(file.read_bytes() for file in db.parent.glob(db.name + "*"))


async def test_secrets_are_never_written_whatever_a_tool_does_with_them(db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Declared by type or by name, in results, messages, details, handles and probes: not in the file, its log or an error."""
    agent = keeper()
    with caplog.at_level(logging.DEBUG):
        async with Holdfast(db, secrets={"TOKEN": TYPED}.get) as app:
            await app.run(agent, id="r", inputs={"password": NAMED, "deep": [{"secret": NAMED}]}, patience_seconds=0)
            assert {name: step.attempt for name, step in (await app.state("r")).steps.items()} == dict.fromkeys(STEPS, 1)
            raw = written(db)
            assert (db.parent / "runs.db-wal").stat().st_size > 0, "what is in the log is looked at too"
            said = repr(await app.show("r")) + repr(await app.history("r"))
        raw += written(db)
    for secret in (TYPED, NAMED):
        assert secret.encode() not in raw
        assert secret not in said
        assert secret not in caplog.text
    assert b"Bearer [redacted]" in raw
    assert b'"api_key":"[redacted]"' in raw


async def test_what_people_say_may_hold_no_secret_by_its_name(db: Path) -> None:
    """Edited arguments and a result given in place of the tool's are refused with the name, and nothing of it is written."""

    @tool
    async def call(where: str, password: str = "") -> dict[str, str]:
        raise Unknown("the gateway says: maybe")

    agent = Agent("a", tools=[call], plan={"s": {"tool": "call", "args": {"where": "x"}}}, secrets=["badge"])
    async with Holdfast(db) as app:
        for decision, value, name in (
            ("edit", {"password": NAMED}, "password"),
            ("approve", None, ""),
            ("respond", {"deep": [{"badge": NAMED}]}, "badge"),
        ):
            await app.run(agent, id="r")
            if not name:
                await app.answer("r", decision, by="ann", value=value)
                continue
            with pytest.raises(AnswerRefused, match=name) as caught:
                await app.answer("r", decision, by="ann", value=value)
            assert NAMED not in str(caught.value)
        raw = written(db)
    assert NAMED.encode() not in raw + written(db)


async def test_what_a_reasoner_says_is_kept_without_the_secrets_in_it(db: Path) -> None:
    """Steps with a secret in the open are not taken, and a result loses what stands under a secret's name."""

    @tool(safety="idempotent")
    async def call(password: str) -> str:
        return "in"

    def think(briefing: Briefing) -> Any:
        if briefing.problems:
            return Finish({"password": NAMED, "told": list(briefing.problems)})
        return Step(id="s", tool="call", args={"password": NAMED})

    async with Holdfast(db) as app:
        ended = await app.run(Agent("a", tools=[call], reasoner=think), id="r")
        raw = written(db)
    assert ended.result["password"] == "[redacted]"
    assert NAMED.encode() not in raw + written(db)


async def test_a_secret_that_nobody_has_is_named_and_the_tool_is_not_called(db: Path) -> None:
    """The failure says which one, and where it should come from."""
    called = []

    @tool(safety="idempotent")
    async def call(token: Secret) -> str:
        called.append(1)
        return "in"

    agent = Agent("a", tools=[call], plan={"s": {"tool": "call", "args": {"token": {"$secret": "NO_SUCH_TOKEN"}}}})
    async with Holdfast(db) as app:
        ended = await app.run(agent, id="r")
    assert ended.status == "failed"
    assert "the secret NO_SUCH_TOKEN is not to be had" in ended.reason
    assert called == []


# --- what the world delivers ---------------------------------------------------------------------------------------


def orders(tokens: list[str], **promise: Any) -> Agent:
    """An agent whose one call is taken on, and whose result is delivered."""

    @tool(safety="keyed", key_ttl="1h", callback=True, undo="back", **promise)
    async def order(call: Call) -> dict[str, int]:
        tokens.append(call.token)
        return Deferred("H-1")  # type: ignore[return-value]

    @tool(safety="idempotent")
    async def back() -> str:
        return "back"

    return Agent("orders", tools=[order, back], plan={"a": {"tool": "order"}})


async def test_a_delivery_moves_the_run_on_and_its_token_is_used_up(db: Path) -> None:
    """What is owed is listed until it has come. Refused ones, and unknown ones, say so."""
    tokens: list[str] = []
    async with Holdfast(db) as app:
        waits = await app.run(orders(tokens), id="r", patience_seconds=0)
        assert [(owed.run_id, owed.step, owed.about) for owed in waits.owed] == [("r", "a", "result")]
        assert await app.pending() == await app.pending("r") == list(waits.owed)
        assert await app.pending("another") == []
        for strange in (tokens[0] + "\n", " " + tokens[0], "", "a b", "\ud800", "x" * 100_000):
            with pytest.raises(CallbackUnknown):
                await app.callback(strange, {"n": 1})
        for wrong in (5, None, {"n": "one"}, float("nan"), object()):
            with pytest.raises(CallbackRefused) as caught:
                await app.callback(tokens[0], wrong)
            assert (caught.value.run_id, caught.value.step) == ("r", "a")
        assert await app.callback(tokens[0], {"n": 1}, by="bank") == Delivered(run_id="r", step="a")
        with pytest.raises(CallbackRefused, match="before"):
            await app.callback(tokens[0], {"n": 2})
        assert (await app.run(orders(tokens), id="r")).result == {"a": {"n": 1}}
        assert await app.pending() == []
        with pytest.raises(CallbackRefused):
            await app.callback(tokens[0], failed="too late")


async def test_a_delivery_may_say_that_it_failed(db: Path) -> None:
    """In words that are the reason of the step."""
    tokens: list[str] = []
    async with Holdfast(db) as app:
        await app.run(orders(tokens), id="r", patience_seconds=0)
        await app.callback(tokens[0], failed="no room left")
        ended = await app.run(orders(tokens), id="r")
    assert ended.status == "failed" and "no room left" in ended.reason


async def test_a_signal_settles_what_waits_for_its_name(db: Path) -> None:
    """That of the step where the tool named none; said too early, it waits. What cannot be said, and to whom, is told."""
    tokens: list[str] = []
    async with Holdfast(db) as app:
        await app.run(orders(tokens), id="r", patience_seconds=0)
        with pytest.raises(AnswerRefused, match="no result of order"):
            await app.signal("r", "a", "one")
        with pytest.raises(AnswerRefused, match="no name"):
            await app.signal("r", "a\nb", {})
        with pytest.raises(RunNotFound):
            await app.signal("zz", "a", {})
        await app.signal("r", "a", {"n": 3}, by="ann")
        assert (await app.run(orders(tokens), id="r")).result == {"a": {"n": 3}}
        with pytest.raises(AnswerRefused, match="completed"):
            await app.signal("r", "a", {"n": 4})
        await app.start(orders(tokens), id="early")
        await app.signal("early", "a", {"n": 5})
        assert (await app.run(orders(tokens), id="early")).result == {"a": {"n": 5}}


async def test_a_correction_replaces_what_a_run_believes_and_what_rests_on_it(db: Path) -> None:
    """The person's word holds: a step that refers to the fact is called with it. What cannot be said is refused."""
    sent: list[int] = []

    @tool(safety="read", observes={"seats": "left"}, valid_for="1h")
    def count() -> dict[str, int]:
        return {"left": 3}

    @tool(safety="keyed", key_ttl="24h", approve="always")
    def invite(n: int) -> str:
        sent.append(n)
        return "invited"

    plan = {"look": {"tool": "count"}, "party": {"tool": "invite", "args": {"n": {"$ref": "facts.seats"}}, "after": "look"}}
    agent = Agent("party", tools=[count, invite], plan=plan)
    async with Holdfast(db) as app:
        (asked,) = (await app.run(agent, id="r")).questions
        assert asked.args == {"n": 3}
        with pytest.raises(AnswerRefused, match="no name"):
            await app.correct("r", "a\nb", 1)
        with pytest.raises(RunNotFound):
            await app.correct("zz", "seats", 1)
        await app.answer("r", "approve", by="ann")
        await app.correct("r", "seats", 2, by="ann")
        (asked,) = (await app.run(agent, id="r")).questions
        assert asked.args == {"n": 2}, "what was approved before that was another call"
        await app.correct("r", "seats", 2, by="bob")
        (same,) = (await app.run(agent, id="r")).questions
        assert same == asked, "it was said again, and nothing is another"
        await app.answer("r", "approve", by="ann")
        assert (await app.run(agent, id="r")).done
        fact = (await app.state("r")).facts["seats"]
        assert (fact.value, fact.source, fact.by, fact.pinned) == (2, "told", "bob", True)
        with pytest.raises(AnswerRefused, match="completed"):
            await app.correct("r", "seats", 9)
    assert sent == [2]


async def test_gates_are_seen_and_can_be_forgotten(db: Path) -> None:
    """An open circuit; whether there was anything to forget."""

    @tool(safety="read", retry=1, breaker={"failures": 1, "within": "1m", "open": "1h"})
    async def look() -> str:
        raise Transient("503")

    agent = Agent("a", tools=[look], plan={"a": {"tool": "look"}})
    async with Holdfast(db) as app:
        assert await app.gates() == {}
        await app.run(agent, id="r")
        assert (await app.gates())["look"].open_until > 0
        assert (await app.run(agent, id="held", patience_seconds=0)).status == "waiting"
        assert await app.reset_gate("look") is True
        assert await app.reset_gate("look") is False
        assert await app.gates() == {}


async def test_children_and_contents_are_found(db: Path) -> None:
    """In the order in which they were begun; nothing for what is not there."""
    child = payer([])
    agent = Agent("above", agents=[child], plan={n: {"tool": child.name, "args": {"goal": n}} for n in "ab"})
    async with Holdfast(db) as app:
        await app.run(agent, "g", id="r")
        assert [held.run_id for held in await app.children("r")] == ["r.a", "r.b"]
        assert {held.parent for held in await app.children("r")} == {"r"}
        assert await app.children("zz") == []
        assert await app.content("0" * 64) is None


@pytest.mark.parametrize("on_stop", ["keep", "undo"])
async def test_whoever_cancels_says_what_becomes_of_what_was_done(db: Path, on_stop: Any) -> None:
    """Taken back, or kept; what is neither is refused at once."""

    @tool(safety="idempotent")
    async def back() -> str:
        return "back"

    @tool(safety="idempotent", undo=back)
    async def book() -> str:
        return "B-1"

    @tool
    async def sign() -> str:
        return "signed"

    plan = {"a": {"tool": "book"}, "b": {"tool": "sign", "after": ["a"]}}
    agent = Agent("a", tools=[book, back, sign], plan=plan)
    async with Holdfast(db) as app:
        await app.run(agent, id="r")
        with pytest.raises(UsageError, match="on_stop is 'leave'"):
            await app.cancel("r", on_stop="leave")  # type: ignore[arg-type]
        with pytest.raises(RunNotFound):
            await app.cancel("zz", on_stop=on_stop)
        await app.cancel("r", by="ann", on_stop=on_stop)
        ended = await app.run(agent, id="r")
    assert (ended.status, ended.undone, ended.kept) == ("cancelled", ("a",) if on_stop == "undo" else (), ())
