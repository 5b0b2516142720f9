"""Workers in one process on one file: they share runs, take over, let go, wake up, and one bad run stops no other."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Call, Finish, Holdfast, Limits, Run, Transient, tool
from holdfast.core import events as e
from holdfast.engines import embedded
from holdfast.errors import JournalUnavailable, Superseded
from holdfast.inbox import cancel
from holdfast.journal.base import Batch, Claim, Full, Head, RunRow
from holdfast.journal.sqlite import SqliteJournal
from tests.gate import World, background, until, worker

WAKE_SECONDS = 0.5


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The path of a store that is not there yet."""
    return tmp_path / "runs.db"


@pytest.fixture
def world() -> World:
    """A world with its gate open."""
    return World()


def keyed(world: World) -> Agent:
    """An agent with one keyed call after another."""

    @tool(safety="keyed", key_ttl="1h", timeout="30s")
    async def do(name: str, call: Call) -> str:
        world.keys.append(call.key)
        return await world.pass_through("do", name)

    plan = {
        "a": {"tool": "do", "args": {"name": "a"}},
        "b": {"tool": "do", "args": {"name": "b"}, "after": ["a"]},
    }
    return Agent("keyed", tools=[do], plan=plan)


def asker() -> Agent:
    """An agent that asks a person and then does a thing."""

    @tool
    async def do() -> str:
        return "done"

    return Agent("asker", tools=[do], plan={"a": {"tool": "do"}})


async def row(app: Holdfast, run_id: str) -> RunRow:
    """What the store knows of a run."""
    found = await app.journal.row(run_id)
    assert found is not None
    return found


async def take_away(app: Holdfast, run_id: str) -> None:
    """End a lease before its time, as a clock that jumps would."""
    await app.journal.file.write(  # type: ignore[attr-defined]
        lambda c: c.execute("update runs set lease_until = 0 where run_id = ?", (run_id,))
    )


# --- sharing -------------------------------------------------------------------------------------------------------


async def test_two_engines_share_the_runs_of_a_store(db: Path, world: World) -> None:
    """Each takes as many as it may advance at once; every effect happens once."""
    world.gate.clear()
    agent = worker(world)
    async with Holdfast(db, worker="w1", parallel_runs=10) as one, Holdfast(db, worker="w2", parallel_runs=10) as two:
        for number in range(30):
            await one.start(agent, id=f"r{number}", inputs={"name": f"r{number}"})
        async with background(asyncio.gather(one.work(agent, until_idle=True), two.work(agent, until_idle=True))):
            await until(lambda: world.inside.get("do") == 20)
            holders = [held.worker for held in await one.runs() if held.worker]
            assert (holders.count("w1"), holders.count("w2")) == (10, 10)
            world.gate.set()
        assert {held.status for held in await one.runs()} == {"completed"}
        resumed = [entry.event for held in await one.runs() for entry in await one.history(held.run_id)]
        assert {event.worker for event in resumed if isinstance(event, e.RunResumed)} == {"w1", "w2"}
    assert world.peak["do"] == 20
    assert sorted(world.effects) == sorted(f"r{number}1" for number in range(30))


async def test_a_run_that_another_worker_has_is_waited_for(db: Path, world: World) -> None:
    """`run` there and here return the same end, and the effects happen once."""
    world.gate.clear()
    agent = keyed(world)
    async with Holdfast(db) as one, Holdfast(db) as two, background(one.run(agent, id="r")) as first:
        await until(lambda: world.inside.get("do"))
        async with background(two.run(agent, id="r")) as second:
            impatient = await two.run(agent, id="r", patience_seconds=0.02)
            assert impatient.status == "running"
            assert not second.done()
            world.gate.set()
        assert (await first).result == second.result().result == {"a": "a", "b": "b"}
    assert world.effects == ["a", "b"]


async def test_work_until_idle_leaves_what_is_not_due(db: Path, world: World) -> None:
    """What waits for a person or for a far time is a row; `work` comes back when the rest is done."""
    async with Holdfast(db) as app, asyncio.timeout(10):
        await app.start(asker(), id="asks")
        await app.start(worker(world), id="works", inputs={"name": "x"})
        await app.work(asker(), worker(world), until_idle=True)
        rows = {held.run_id: held for held in await app.runs()}
        assert (rows["asks"].status, rows["works"].status) == ("blocked", "completed")
        assert rows["asks"].waits_for == "approval: may do be called?"
        assert (rows["asks"].worker, rows["asks"].lease_until) == ("", 0)


# --- leases --------------------------------------------------------------------------------------------------------


async def test_the_runs_of_a_dead_worker_are_taken_over_when_its_lease_ends(db: Path, world: World) -> None:
    """Not earlier. What it left open is in doubt, and is repeated under the same key."""
    agent = keyed(world)
    async with Holdfast(db, worker="dead", lease_seconds=0.4) as dead, Holdfast(db, lease_seconds=0.4) as app:
        await dead.start(agent, id="r")
        await write_as(dead, agent, "r")
        (intended,) = [entry.event for entry in await app.history("r") if isinstance(entry.event, e.CallIntended)]
        ends_at = (await row(app, "r")).lease_until
        await app.work(agent, until_idle=True)
        assert (await app.show("r")).result is None, "it is not due while somebody has it"
        async with asyncio.timeout(5):
            assert (await app.run(agent, id="r")).result == {"a": "a", "b": "b"}
        history = await app.history("r")
    taken_over = next(entry for entry in history if isinstance(entry.event, e.RunResumed) and entry.event.worker != "dead")
    assert taken_over.at >= ends_at
    (lost,) = [entry.event for entry in history if isinstance(entry.event, e.CallUnknown)]
    assert (lost.crashed, lost.why) == (True, "its worker was lost during the call")
    assert world.effects == ["a", "b"]
    assert world.keys[0] == intended.key


async def write_as(app: Holdfast, agent: Agent, run_id: str) -> Claim:
    """Take a run on and write that its first step is called, as a worker does that dies in the call."""
    claim = await app.journal.claim(run_id, "dead", time.time(), 0.4)
    assert claim is not None
    history = await app.journal.read(run_id)
    state = await app.state(run_id)
    call = e.CallIntended(step="a", attempt=1, tool="do", key="hf-left-open", args={"name": "a"})
    assert agent.plan is not None
    events = (
        e.RunResumed(worker="dead"),
        e.ProposalRequested(turn=1),
        e.PlanAdopted(turn=1, revision=1, plan=agent.plan),
        call,
    )
    batch = Batch(run_id=run_id, fence=claim.fence, head=history.head, at=max(time.time(), state.at), events=events)
    assert isinstance(await app.journal.append(batch), Head)
    return claim


async def test_a_lease_lasts_as_long_as_its_worker_lives(db: Path, world: World) -> None:
    """A call that takes several leases is not taken over: the heartbeat goes on meanwhile."""
    world.gate.clear()
    agent = keyed(world)
    async with Holdfast(db, lease_seconds=0.3) as one, Holdfast(db, lease_seconds=0.3) as two:
        await one.start(agent, id="r")
        async with background(asyncio.gather(one.work(agent, until_idle=True), two.work(agent))):
            await until(lambda: world.inside.get("do"))
            first = await row(one, "r")
            await until(lambda: time.time() > first.lease_until + 0.3)
            later = await row(one, "r")
            assert (later.worker, later.fence) == (first.worker, first.fence)
            assert later.lease_until > time.time()
            world.gate.set()

            async def ended() -> bool:
                return (await one.show("r")).ended

            await until(ended)
            await two.stop()
    assert world.effects == ["a", "b"]
    assert len(world.keys) == 2


async def test_a_worker_that_lost_its_claim_writes_nothing_and_does_nothing_more(db: Path, world: World) -> None:
    """The run was taken over during its call: what comes of the call is dropped, and the next one is not made."""
    world.gate.clear()
    agent = keyed(world)
    async with Holdfast(db, worker="slow", lease_seconds=0.3) as slow, Holdfast(db, worker="quick") as quick:
        async with background(slow.run(agent, id="r")) as first:
            await until(lambda: world.inside.get("do"))
            await take_away(quick, "r")
            async with background(quick.run(agent, id="r")) as second:
                await until(lambda: len(world.keys) == 2)
                assert (await row(quick, "r")).worker == "quick"
                await until(lambda: world.inside["do"] == 1, seconds=2)  # The heartbeat finds out, and the call is ended.
                world.gate.set()
            ended: Run = await first
            assert ended.result == second.result().result == {"a": "a", "b": "b"}
        history = await quick.history("r")
    fences = [entry.fence for entry in history]
    assert fences == sorted(fences) and set(fences) == {1, 2}
    assert world.keys[0] == world.keys[1] != world.keys[2]
    assert len(world.keys) == 3, "b was called by one of them only"


async def test_a_run_that_comes_back_to_its_own_worker_is_advanced_once(db: Path, world: World) -> None:
    """Its lease ended unseen, and the same worker claims it again: the older claim is dropped with all it holds."""
    world.gate.clear()
    agent = keyed(world)
    async with Holdfast(db, lease_seconds=30) as app:
        await app.start(agent, id="r")
        async with background(app.work(agent, until_idle=True)):
            await until(lambda: world.inside.get("do"))
            await take_away(app, "r")
            await until(lambda: len(world.keys) == 2)
            await until(lambda: world.inside["do"] == 1, seconds=2)
            world.gate.set()
        history = await app.history("r")
        assert (await app.show("r")).done
    assert {entry.fence for entry in history} == {1, 2, 3}
    assert [entry.event.attempt for entry in history if isinstance(entry.event, e.CallSucceeded)] == [2, 1]
    assert len(world.keys) == 3


async def test_a_stale_claim_is_refused_by_the_store_itself(db: Path, world: World) -> None:
    """The fence, not the worker's good manners, is what keeps it from writing."""
    agent = keyed(world)
    async with Holdfast(db) as app:
        await app.start(agent, id="r")
        old = await write_as(app, agent, "r")
        await take_away(app, "r")
        assert await app.journal.claim("r", "new", time.time(), 30.0) is not None
        assert not await app.journal.holds(old)
        assert await app.journal.extend([old], time.time() + 30) == []
        head = (await app.journal.read("r")).head
        late = e.CallSucceeded(step="a", attempt=1, value="late")
        with pytest.raises(Superseded):
            await app.journal.append(Batch(run_id="r", fence=old.fence, head=head, at=time.time(), events=(late,)))
        assert (await app.journal.read("r")).head == head


# --- stopping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "threads"])
async def test_stop_finishes_the_effect_at_hand_and_gives_the_claims_back(db: Path, world: World, kind: str) -> None:
    """It is recorded, nothing new begins, and the next worker goes on at once without waiting for a lease."""
    world.gate.clear()
    loop = asyncio.get_running_loop()

    @tool(safety="irreversible", approve="never", timeout="30s")
    async def do(name: str) -> str:
        return await world.pass_through("do", name)

    @tool(safety="irreversible", approve="never", timeout="30s", name="do")
    def do_in_a_thread(name: str) -> str:
        return asyncio.run_coroutine_threadsafe(world.pass_through("do", name), loop).result()

    plan = {name: {"tool": "do", "args": {"name": name}, "after": after} for name, after in (("a", []), ("b", ["a"]))}
    agent = Agent("stops", tools=[do if kind == "async" else do_in_a_thread], plan=plan)
    async with Holdfast(db) as app:
        for number in range(3):
            await app.start(agent, id=f"r{number}")
        async with background(app.work(agent)):
            await until(lambda: world.inside.get("do") == 3)
            stopping = asyncio.ensure_future(app.stop())
            await asyncio.sleep(0)
            assert not stopping.done()
            world.gate.set()
            await asyncio.wait_for(stopping, 5)
        assert world.effects == ["a", "a", "a"]
        for held in await app.runs():
            assert (held.status, held.worker, held.lease_until) == ("running", "", 0)
            assert held.due_at is not None and held.due_at <= time.time()
    async with Holdfast(db) as app:
        async with asyncio.timeout(5):
            await app.work(agent, until_idle=True)
        assert {held.status for held in await app.runs()} == {"completed"}
        assert not [entry for entry in await app.history("r0") if isinstance(entry.event, e.CallUnknown)]
    assert sorted(world.effects) == ["a", "a", "a", "b", "b", "b"]


# --- waking --------------------------------------------------------------------------------------------------------


async def test_an_answer_wakes_a_parked_run_at_once_fifty_times(db: Path) -> None:
    """Half a second from the answer to the end of the run, whoever answers, and never longer."""
    agent, waits = asker(), []
    rested: asyncio.Queue[str] = asyncio.Queue()
    async with Holdfast(db, on_rest=rested.put_nowait) as works, Holdfast(db) as people, background(works.work(agent)):
        for number in range(50):
            await people.start(agent, id=f"r{number}")
            assert await asyncio.wait_for(rested.get(), 5) == f"r{number}"
            assert (await row(people, f"r{number}")).status == "blocked"
            answered_at = time.monotonic()
            await (people if number % 2 else works).answer(f"r{number}", "approve", by="ann")
            assert await asyncio.wait_for(rested.get(), 5) == f"r{number}"
            waits.append(time.monotonic() - answered_at)
            assert (await people.show(f"r{number}")).done
        await works.stop()
    assert max(waits) < WAKE_SECONDS, sorted(waits)[-5:]


class Interrupted(SqliteJournal):
    """The journal in its file; a word from outside comes at the worst moment: right before a run is parked, or after."""

    def __init__(self, path: Path, moment: str):
        super().__init__(path)
        self.moment = moment
        self.parked_at: float | None = None

    async def append(self, batch: Batch) -> Head | Full:
        if batch.release is None or self.parked_at is not None:
            return await super().append(batch)
        self.parked_at = time.monotonic()
        word = cancel(by="ann", now=time.time())
        if self.moment == "before":
            await self.send(batch.run_id, word)
            return await super().append(batch)
        written = await super().append(batch)
        await self.send(batch.run_id, word)
        return written


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_word_that_comes_while_a_run_is_parked_is_not_lost(db: Path, moment: str) -> None:
    """Whoever parks has not seen it; the run stays due, and is taken on at once."""
    journal = Interrupted(db, moment)
    async with Holdfast(journal) as app, asyncio.timeout(10):
        await app.start(asker(), id="r")
        async with background(app.work(asker())):

            async def ended() -> bool:
                return (await app.journal.row("r")).status == "cancelled"  # type: ignore[union-attr]

            await until(ended)
            assert journal.parked_at is not None
            assert time.monotonic() - journal.parked_at < WAKE_SECONDS
            await app.stop()


class Overtaken(SqliteJournal):
    """The journal in its file; while a worker asks when something is due, a run is begun, and the worker's own watch sees it
    before the answer does."""

    begin: Any = None
    looks = 0

    async def stamp(self) -> object:
        self.looks += 1
        return await super().stamp()

    async def next_due(self, agents: Any, now: float) -> float | None:
        found = await super().next_due(agents, now)
        if self.begin is not None:
            begin, self.begin = self.begin, None
            await begin()
            looks = self.looks
            await until(lambda: self.looks > looks + 2)
        return found


async def test_news_that_comes_between_looking_and_waiting_is_not_lost(db: Path, world: World) -> None:
    """Nothing was due when the worker looked; what began before it lay down wakes it all the same."""
    agent = worker(world)
    journal = Overtaken(db)
    async with Holdfast(journal) as app:

        async def begin() -> None:
            await app.start(agent, id="r", inputs={"name": "x"})

        journal.begin = begin
        async with background(app.work(agent)):
            await until(lambda: journal.begin is None)
            await until(lambda: world.effects, seconds=WAKE_SECONDS)
            await app.stop()


async def test_a_word_for_a_run_that_is_busy_is_heard_meanwhile(db: Path, world: World) -> None:
    """While one call is under way, a person approves another: it is made at once, not when the first has ended."""
    world.gate.clear()
    approved: list[str] = []

    @tool(safety="idempotent", timeout="30s")
    async def do(name: str) -> str:
        return await world.pass_through("do", name)

    @tool
    async def pay() -> str:
        approved.append("paid")
        return "paid"

    agent = Agent("both", tools=[do, pay], plan={"a": {"tool": "do", "args": {"name": "a"}}, "b": {"tool": "pay"}})
    async with Holdfast(db) as works, Holdfast(db) as people, background(works.run(agent, id="r")) as run:
        await until(lambda: world.inside.get("do"))
        await people.answer("r", "approve", by="ann")
        await until(lambda: approved, seconds=WAKE_SECONDS)
        assert world.inside["do"] == 1
        world.gate.set()
        assert (await run).done


async def test_a_new_run_is_begun_by_an_idle_worker_at_once(db: Path, world: World) -> None:
    """A worker that has nothing to do sees what another process starts."""
    agent = worker(world)
    async with Holdfast(db) as works, Holdfast(db) as other, background(works.work(agent)):
        for number in range(5):
            started_at = time.monotonic()
            await other.start(agent, id=f"r{number}", inputs={"name": str(number)})
            await until(lambda: len(world.effects) == number + 1)  # noqa: B023
            assert time.monotonic() - started_at < WAKE_SECONDS
        await works.stop()


async def test_a_retry_is_made_when_it_is_due(db: Path) -> None:
    """A parked run wakes by its time, not by the next look at the store."""
    calls: list[float] = []

    @tool(safety="idempotent", retry={"attempts": 2, "backoff": "1.2s", "jitter": 0})
    async def later() -> str:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise Transient("503")
        return "now"

    agent = Agent("later", tools=[later], plan={"a": {"tool": "later"}})
    async with Holdfast(db) as app, background(app.work(agent)):
        await app.start(agent, id="r")
        await until(lambda: len(calls) == 2)
        await app.stop()
    assert 1.19 <= calls[1] - calls[0] < 1.2 + WAKE_SECONDS


# --- one bad run ---------------------------------------------------------------------------------------------------


async def test_a_run_with_a_bug_inside_is_set_aside_and_the_others_go_on(db: Path, world: World) -> None:
    """A journal that cannot be folded stops that run alone; it says so in its row, and is not tried again and again."""
    agent = worker(world)
    told: list[tuple[str, str]] = []
    async with Holdfast(db, on_error=lambda run_id, error: told.append((run_id, error.what))) as app:
        for name in ("r1", "bad", "r2"):
            await app.start(agent, id=name, inputs={"name": name})
        claim = await app.journal.claim("bad", "w", time.time(), 30.0)
        assert claim is not None
        impossible = e.CallSucceeded(step="s1", attempt=1, value="from nowhere")
        head = (await app.journal.read("bad")).head
        await app.journal.append(Batch(run_id="bad", fence=claim.fence, head=head, at=time.time(), events=(impossible,)))
        await take_away(app, "bad")
        async with asyncio.timeout(10):
            await app.work(agent, until_idle=True)
        bad = await row(app, "bad")
        statuses = {held.run_id: held.status for held in await app.runs()}
    assert statuses == {"r1": "completed", "r2": "completed", "bad": "blocked"}
    assert bad.waits_for.startswith("stopped by an error inside holdfast: ")
    assert (bad.due_at, bad.worker) == (None, "")
    assert [run_id for run_id, _ in told] == ["bad"]
    assert sorted(world.effects) == ["r11", "r21"]


class Failing(SqliteJournal):
    """The journal in its file, of which one method fails a number of times."""

    def __init__(self, path: Path, method: str, times: int):
        super().__init__(path)
        self.left = times
        whole = getattr(self, method)

        async def failing(*args: Any, **options: Any) -> Any:
            if self.left > 0:
                self.left -= 1
                raise JournalUnavailable(f"{method} failed")
            return await whole(*args, **options)

        setattr(self, method, failing)


@pytest.mark.parametrize("method", ["claim_due", "next_due", "stamp", "extend", "mailboxes"])
async def test_a_store_that_fails_for_a_while_is_waited_for(
    db: Path, world: World, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker tells it, stays, and goes on when the store is well."""
    monkeypatch.setattr(embedded, "BACK_OFF_SECONDS", 0.02)
    told: list[str] = []
    agent = worker(world)
    journal = Failing(db, method, 3)
    async with Holdfast(journal, lease_seconds=0.15, on_error=lambda _, error: told.append(error.what)) as app:
        world.gate.clear()
        async with background(app.work(agent)):
            await app.start(agent, id="r", inputs={"name": "x"})
            await until(lambda: world.inside.get("do") and journal.left == 0)
            world.gate.set()
            await until(lambda: world.effects == ["x1"])

            async def ended() -> bool:
                return (await app.show("r")).done

            await until(ended)
            await app.stop()
    assert set(told) <= {f"{method} failed"}
    assert len(told) == (0 if method in ("stamp", "mailboxes") else 3)


async def test_a_store_that_cannot_be_written_ends_a_worker_before_it_takes_anything_on(db: Path, world: World) -> None:
    """Whoever started it is told, and nothing was claimed."""
    agent = worker(world)
    async with Holdfast(Failing(db, "seen", 1)) as app:
        await app.start(agent, id="r", inputs={"name": "x"})
        with pytest.raises(JournalUnavailable, match="seen failed"):
            await asyncio.wait_for(app.work(agent), 5)
        assert (await row(app, "r")).fence == 1
    assert world.effects == []


async def test_no_more_runs_are_advanced_at_once_than_allowed(db: Path, world: World) -> None:
    """The others wait as rows, and come in their turn."""
    world.gate.clear()
    agent = worker(world, steps=2)
    async with Holdfast(db, parallel_runs=3) as app:
        for number in range(7):
            await app.start(agent, id=f"r{number}", inputs={"name": f"{number}-"})
        async with background(app.work(agent, until_idle=True)):
            await until(lambda: world.inside.get("do") == 6)
            assert len([held for held in await app.runs() if held.worker]) == 3
            world.gate.set()
    assert world.peak["do"] == 6
    assert len(world.effects) == 14


async def test_a_newer_agent_of_the_same_name_is_the_one_that_counts(db: Path) -> None:
    """What is loaded last is used for the runs that begin after."""
    async with Holdfast(db) as app:
        app.engine.load(Agent("a", reasoner=lambda briefing: Finish("old")))
        ended = await app.run(Agent("a", reasoner=lambda briefing: Finish("new")), id="r")
    assert ended.result == "new"


# --- runs that start runs ------------------------------------------------------------------------------------------


def kid(world: World, **options: Any) -> Agent:
    """An agent that does one thing, under the name that it is given."""

    @tool(safety="keyed", key_ttl="1h", timeout="30s")
    async def do(name: str) -> str:
        return await world.pass_through("do", name)

    plan = {"a": {"tool": "do", "args": {"name": {"$ref": "inputs.name", "default": "x"}}}}
    return Agent("kid", tools=[do], plan=plan, goal="do it", **options)


def above(child: Agent, name: str = "above", **steps: Any) -> Agent:
    """An agent whose steps start runs of another."""
    steps = steps or {"c": {"agent": child.name, "goal": "g", "inputs": {"name": "c"}}}
    return Agent(name, agents=[child], plan=steps, goal="have it done")


async def test_a_run_and_those_below_it_are_advanced_by_whoever_runs_the_uppermost(db: Path, world: World) -> None:
    """Grandchildren too, and several at a time; nobody else works on the store."""
    middle = above(kid(world), "middle", **{n: {"agent": "kid", "goal": "g", "inputs": {"name": n}} for n in "ab"})
    world.gate.clear()
    async with Holdfast(db) as app, background(app.run(above(middle, c={"agent": "middle", "goal": "g"}), id="r")) as running:
        await until(lambda: world.inside.get("do") == 2)
        world.gate.set()
        ended = await running
        assert ended.result == {"c": {"a": {"a": "a"}, "b": {"a": "b"}}}
        assert {held.run_id for held in await app.runs()} == {"r", "r.c", "r.c.a", "r.c.b"}


async def test_patience_is_not_over_while_a_run_below_is_advanced(db: Path, world: World) -> None:
    """What waits until the child ends waits for nothing that is far away."""
    async with Holdfast(db) as app, asyncio.timeout(10):
        assert (await app.run(above(kid(world)), id="r", patience_seconds=5)).done


async def test_run_returns_when_a_run_below_waits_for_a_person(db: Path) -> None:
    """Nothing but their word can move it on; after that word the same call goes on."""
    agent = above(asker(), c={"agent": "asker", "goal": "g"})
    async with Holdfast(db) as app, asyncio.timeout(10):
        shown = await app.run(agent, id="r")
        assert (shown.status, shown.questions) == ("waiting", ())
        assert (await row(app, "r.c")).status == "blocked"
        await app.answer("r.c", "approve", by="ann")
        assert (await app.run(agent, id="r")).result == {"c": {"a": "done"}}


@pytest.mark.parametrize("detached", [False, True])
async def test_who_ends_with_the_run_that_started_it(db: Path, detached: bool) -> None:
    """Whoever cancels the one above: by the time `run` returns, its child has ended too, unless it was let go."""
    args = {"goal": "g", "detached": detached}
    agent = above(asker(), c={"tool": "asker", "args": args})
    async with Holdfast(db) as app, asyncio.timeout(10):
        await app.run(agent, id="r")
        await app.cancel("r", by="ann", reason="a mistake")
        assert (await app.run(agent, id="r")).status == "cancelled"
        assert (await row(app, "r.c")).status == ("blocked" if detached else "cancelled")
        if detached:
            await app.answer("r.c", "approve", by="ann")
            assert (await app.run(asker(), id="r.c")).done


async def test_the_limits_of_a_child_are_a_part_of_those_of_its_parent(db: Path, world: World) -> None:
    """What it used is used up above, and it is granted no more than is left."""
    agent = above(kid(world))
    small = Agent("above", agents=list(agent.agents.values()), plan=agent.plan, limits=Limits(attempts_max=10, wall_seconds=60))
    async with Holdfast(db) as app:
        assert (await app.run(small, "g", id="r")).done
        child, parent = (await app.state("r.c")), (await app.state("r"))
        assert child.limits.attempts_max <= 5
        assert child.limits.wall_seconds <= 60
        assert parent.attempts == 2, "the call that started it, and the one that it made"


async def test_a_child_whose_agent_this_worker_has_not_is_left_to_one_that_has(db: Path, world: World) -> None:
    """Its parent waits meanwhile, and does not spin."""
    agent = above(kid(world))
    async with Holdfast(db) as app, Holdfast(db) as other, asyncio.timeout(10):
        await app.start(agent, id="r")
        app.engine.load(agent)
        app._embedded.agents.pop("kid")
        shown = await app.run(agent, id="r", patience_seconds=0)
        assert shown.ended or shown.status == "waiting"
        assert (await other.run(agent, id="r")).done


async def test_what_a_step_expects_of_a_child_is_looked_at(db: Path, world: World) -> None:
    """A run that completed and brings something else is no success."""
    for wanted, status in (("c", "completed"), ("d", "failed")):
        step = {"agent": "kid", "goal": "g", "inputs": {"name": "c"}, "expect": f"a == '{wanted}'"}
        async with Holdfast(db) as app:
            ended = await app.run(above(kid(world), c=step), id=f"r-{wanted}")
            assert ended.status == status
            (heard,) = [x.event for x in await app.history(f"r-{wanted}") if isinstance(x.event, e.ChildEnded)]
            assert heard.status == "completed"
            assert (heard.failure is None) == (status == "completed")
            assert status == "completed" or "insufficient" in ended.reason


async def test_many_children_are_begun_at_once_and_each_once(db: Path, world: World) -> None:
    """As many as may be advanced at once."""
    steps: dict[str, Any] = {f"c{n}": {"agent": "kid", "goal": "g", "inputs": {"name": f"n{n}"}} for n in range(40)}
    async with Holdfast(db, parallel_runs=10) as app, asyncio.timeout(30):
        assert (await app.run(above(kid(world), **steps), id="r")).done
    assert sorted(world.effects) == sorted(f"n{n}" for n in range(40))
