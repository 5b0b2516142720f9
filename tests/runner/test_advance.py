"""One claim on one run, on real files: the order of record and effect, stores that fail, values of every kind, clocks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Call, Deferred, Happened, Holdfast, Limits, Run, Transient, Unavailable, Unknown, tool
from holdfast.core import events as e
from holdfast.core.commands import AskReasoner
from holdfast.core.decide import minds
from holdfast.core.evolve import evolve
from holdfast.errors import JournalError, JournalUnavailable
from holdfast.journal.base import EMPTY, Batch, Checkpoint, Full, Head, History, Message
from holdfast.journal.sqlite import SqliteJournal
from holdfast.runner import advance as module
from holdfast.runner.clock import SystemClock
from tests.gate import World, background, until


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The path of a store that is not there yet."""
    return tmp_path / "runs.db"


@pytest.fixture
def world() -> World:
    """A world with its gate open."""
    return World()


def chain(world: World, names: str, **promise: Any) -> Agent:
    """An agent with one call after another."""
    promise = promise or {"safety": "keyed", "key_ttl": "1h"}

    @tool(timeout="30s", **promise)
    async def do(name: str, call: Call) -> str:
        world.keys.append(call.key)
        return await world.pass_through("do", name)

    plan = {
        name: {"tool": "do", "args": {"name": name}, "after": [before] if before else []}
        for before, name in zip(["", *names], names, strict=False)
    }
    return Agent("chain", tools=[do], plan=plan)


def kinds(entries: list[e.Entry]) -> list[str]:
    """The names of events, in order."""
    return [type(entry.event).__name__ for entry in entries]


def of(entries: list[e.Entry], kind: type[Any]) -> list[Any]:
    """The events of one kind."""
    return [entry.event for entry in entries if isinstance(entry.event, kind)]


# --- record and effect ---------------------------------------------------------------------------------------------


async def test_nothing_is_done_before_it_is_written_and_nothing_believed_before_its_outcome(db: Path) -> None:
    """Inside each call, another reader of the file finds the intent with its key, and the outcomes of all calls before."""
    seen: list[tuple[str, list[str], list[str]]] = []

    @tool(safety="idempotent")
    def do(name: str, call: Call) -> str:
        with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as reader:
            events = [
                event for (body,) in reader.execute("select body from batches order by first") for event in json.loads(body)
            ]
        intents = [event["key"] for event in events if event["event"] == "call_intended"]
        outcomes = [event["step"] for event in events if event["event"] == "call_succeeded"]
        seen.append((call.key, intents, outcomes))
        return name

    steps = {
        name: {"tool": "do", "args": {"name": name}, "after": after} for name, after in (("a", []), ("b", ["a"]), ("c", ["b"]))
    }
    async with Holdfast(db) as app:
        assert (await app.run(Agent("a", tools=[do], plan=steps), id="r")).done
    assert [outcomes for _, _, outcomes in seen] == [[], ["a"], ["a", "b"]]
    for number, (key, intents, _) in enumerate(seen, 1):
        assert len(intents) == number
        assert intents[-1] == key


async def test_a_step_costs_one_commit_on_the_happy_path(db: Path, world: World) -> None:
    """Outcome, rulings and the next intent go together, and so does giving the claim back at the end."""
    names = "abcdefghijklmnopqrst"
    async with Holdfast(db) as app:
        journal = app.journal
        assert isinstance(journal, SqliteJournal)
        before = journal.file.commits
        await app.run(chain(world, names), id="r")
        # The start, the question to the plan, the plan with the first intent, and then one for each step.
        batches = await journal.file.read(lambda c: list(c.execute("select count(*) from batches")))
        assert batches == [(3 + len(names),)]
        assert journal.file.commits - before <= 3 + len(names) + 2, "and a heartbeat or two"
    assert world.effects == list(names)


async def test_side_by_side_calls_are_intended_together(db: Path, world: World) -> None:
    """What may begin at once begins in one commit; each outcome is recorded when it comes."""
    world.gate.clear()
    agent = chain(world, "a")
    wide = Agent("wide", tools=[agent.toolbox["do"]], plan={n: {"tool": "do", "args": {"name": n}} for n in "abcd"}, limits=Limits(parallel_max=3))  # fmt: skip
    async with Holdfast(db) as app, background(app.run(wide, id="r")):
        await until(lambda: world.inside.get("do") == 3)
        history = await app.history("r")
        assert kinds(history)[-4:] == ["PlanAdopted", "CallIntended", "CallIntended", "CallIntended"]
        world.gate.set()
    assert world.peak["do"] == 3
    assert sorted(world.effects) == list("abcd")


# --- stores that fail ----------------------------------------------------------------------------------------------


class Failing(SqliteJournal):
    """The journal in its file, of which some appends fail: before anything was written, or after all of it was.

    failing: the numbers of the appends that fail, the first being 1.
    """

    def __init__(self, path: Path, failing: Callable[[int], bool], moment: str):
        super().__init__(path)
        self.failing = failing
        self.moment = moment
        self.appends = 0

    async def append(self, batch: Batch) -> Head | Full:
        self.appends += 1
        fails = self.failing(self.appends)
        if fails and self.moment == "before":
            raise JournalUnavailable("nothing was written")
        written = await super().append(batch)
        if fails:
            raise JournalUnavailable("all of it was written")
        return written


# A run of three steps: the question to the plan, the plan with an intent, and an outcome for each step.
APPENDS = 5


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, APPENDS + 1))
async def test_a_write_that_fails_once_loses_nothing_and_doubles_nothing(
    db: Path, world: World, number: int, moment: str
) -> None:
    """Whichever write it is, and whether it arrived or not: the run goes on by itself, and the journal is whole."""
    journal = Failing(db, lambda append: append == number, moment)
    agent = chain(world, "abc", safety="irreversible", approve="never")
    async with Holdfast(journal) as app:
        ended = await app.run(agent, id="r")
        assert ended.result == {"a": "a", "b": "b", "c": "c"}
        assert (await app.verify("r")).problem is None
        history = await app.history("r")
    assert world.effects == ["a", "b", "c"]
    assert journal.appends == APPENDS + (1 if moment == "before" else 0)
    assert len(history) == len(set(map(repr, (entry.event for entry in history)))), "no event is there twice"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, APPENDS + 1))
async def test_a_store_that_stays_away_stops_the_run_before_its_next_effect(
    db: Path, world: World, number: int, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call is made whose intent is not known to be written. With a store that is well again the run ends, and a call
    whose outcome was lost is repeated under its key."""
    monkeypatch.setattr(module, "WRITE_TRIES", 1)
    told: list[str] = []
    agent = chain(world, "abc")
    journal = Failing(db, lambda append: append >= number, moment)
    async with Holdfast(journal, lease_seconds=0.1, on_error=lambda _, error: told.append(error.what)) as app:
        await app.start(agent, id="r")
        async with background(app.work(agent)):
            await until(lambda: told)
            await app.stop()
        intended = {event.key for event in of(await app.history("r"), e.CallIntended)}
        assert set(world.keys) <= intended
    # The run was begun without a claim, so its first append is that of the worker, as in `run`.
    assert len(world.effects) == max(number - 2, 0)
    async with Holdfast(db) as app:
        async with asyncio.timeout(10):
            ended = await app.run(agent, id="r")
        assert ended.result == {"a": "a", "b": "b", "c": "c"}
        assert (await app.verify("r")).problem is None
    assert len(set(world.keys)) == 3, "one key for each of the three effects"


async def test_a_start_whose_answer_is_lost_is_the_same_run_when_it_is_asked_for_again(db: Path, world: World) -> None:
    """It was written, and the caller was told that it may not have been."""

    class Lost(SqliteJournal):
        lost = False

        async def create(self, *args: Any, **options: Any) -> Any:
            claim = await super().create(*args, **options)
            if not self.lost:
                self.lost = True
                raise JournalUnavailable("all of it was written")
            return claim

    agent = chain(world, "ab")
    async with Holdfast(Lost(db), lease_seconds=0.2) as app:
        with pytest.raises(JournalUnavailable):
            await app.run(agent, id="r")
        assert world.effects == []
        assert (await app.run(agent, id="r")).done
        assert len(await app.runs()) == 1
    assert world.effects == ["a", "b"]


async def test_somebody_elses_write_is_not_taken_for_ones_own(db: Path, world: World) -> None:
    """A write failed, and when the journal is read again another worker has been there: the claim is lost."""
    taken: list[int] = []

    class Overtaken(SqliteJournal):
        async def append(self, batch: Batch) -> Head | Full:
            if not taken and of_batch(batch, e.CallSucceeded):
                await self.file.write(lambda c: c.execute("update runs set lease_until = 0"))
                claim = await self.claim("r", "other", time.time(), 0.3)
                assert claim is not None
                taken.append(claim.fence)
                written = e.RunResumed(worker="other")
                await super().append(Batch(run_id="r", fence=claim.fence, head=batch.head, at=batch.at, events=(written,)))
                raise JournalUnavailable("nothing was written")
            return await super().append(batch)

    async with Holdfast(Overtaken(db)) as app, asyncio.timeout(10):
        assert (await app.run(chain(world, "ab"), id="r")).done
        history = await app.history("r")
    assert [entry.fence for entry in history if isinstance(entry.event, e.CallSucceeded)] == [3, 3]
    assert of(history, e.CallUnknown) == [
        e.CallUnknown(step="a", attempt=1, why="its worker was lost during the call", crashed=True)
    ]
    assert world.keys[0] == world.keys[1]


def of_batch(batch: Batch, kind: type[Any]) -> bool:
    """Whether an event of this kind is in a batch."""
    return any(isinstance(event, kind) for event in batch.events)


# --- the claim is checked right before a call is sent ----------------------------------------------------------------


class Stopped(SqliteJournal):
    """The journal in its file; right after a step's intent is written, something happens before its writer goes on."""

    def __init__(self, path: Path, step: str, then: Callable[[SqliteJournal], Any], attempt: int = 1):
        super().__init__(path)
        self.step, self.attempt, self.then = step, attempt, then

    async def append(self, batch: Batch) -> Head | Full:
        written = await super().append(batch)
        for event in batch.events:
            if isinstance(event, e.CallIntended) and (event.step, event.attempt) == (self.step, self.attempt):
                await self.then(self)
        return written


async def test_a_worker_that_was_stopped_past_its_lease_sends_nothing(db: Path, world: World) -> None:
    """Between the intent and the call another worker took the run: only that one may call."""
    mine, theirs = World(), World()

    async def taken_over(journal: SqliteJournal) -> None:
        async with Holdfast(db) as other:
            await other.journal.file.write(lambda c: c.execute("update runs set lease_until = 0"))  # type: ignore[attr-defined]
            assert (await other.run(chain(theirs, "ab"), id="r")).done
        await until(lambda: time.monotonic() > begun + 0.2)

    begun = time.monotonic()
    async with Holdfast(Stopped(db, "a", taken_over), lease_seconds=0.2) as app:
        assert (await app.run(chain(mine, "ab"), id="r")).done
    assert (mine.effects, theirs.effects) == ([], ["a", "b"])


class Movable(SystemClock):
    """The system's wall clock, which can be set."""

    seconds = 0.0

    def now(self) -> float:
        return round(super().now() + self.seconds, 3)


async def test_a_repeat_that_comes_too_late_is_not_sent(db: Path) -> None:
    """Decided while the key was alive, and held up until the other side may have forgotten it."""
    clock, calls = Movable(), []

    async def a_day_passes(journal: SqliteJournal) -> None:
        clock.seconds += 86_400.0

    @tool(safety="keyed", key_ttl="1h", retry={"attempts": 3, "backoff": "1ms"})
    async def pay(call: Call) -> str:
        calls.append(call.attempt)
        raise Unknown("the gateway says: maybe")

    agent = Agent("a", tools=[pay], plan={"a": {"tool": "pay"}})
    async with Holdfast(Stopped(db, "a", a_day_passes, attempt=2), clock=clock, lease_seconds=10 * 86_400) as app:
        asks = await app.run(agent, id="r")
        history = await app.history("r")
    assert calls == [1]
    assert asks.status == "blocked"
    assert (
        "did pay happen?" in asks.questions[0].question or "did an earlier attempt of pay happen?" in asks.questions[0].question
    )
    (failed,) = of(history, e.CallFailed)
    assert failed.failure.message == "it was not sent: by now the other side may have forgotten its key"


# --- calls that do not end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("safety", "kind"), [("irreversible", e.CallUnknown), ("read", e.CallUnknown)])
async def test_a_call_that_ignores_its_cancellation_is_unknown_and_not_waited_for(
    db: Path, safety: Any, kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over and it goes on all the same: after a while its outcome is written down, whatever it says later."""
    monkeypatch.setattr(module, "OVERDUE_SECONDS", 0.1)
    go, swallowed = asyncio.Event(), []

    @tool(safety=safety, approve="never", timeout="50ms", retry=1)
    async def stubborn() -> str:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                swallowed.append(1)
        return "too late"

    agent = Agent("a", tools=[stubborn], plan={"a": {"tool": "stubborn"}}, limits=Limits(lost_max=1))
    async with Holdfast(db) as app:
        async with asyncio.timeout(5):
            await app.run(agent, id="r", patience_seconds=0)
        assert len(swallowed) >= 2
        go.set()
        unknown = of(await app.history("r"), kind)
        assert unknown == [kind(step="a", attempt=1, why="it did not end when it was cancelled")]
        assert not of(await app.history("r"), e.CallSucceeded)


async def test_a_probe_and_a_reasoner_that_ignore_their_cancellation_are_not_waited_for(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe counts as one that cannot see it yet, the reasoner as one that failed."""
    monkeypatch.setattr(module, "OVERDUE_SECONDS", 0.05)
    monkeypatch.setattr(minds, "AskReasoner", functools.partial(AskReasoner, timeout_seconds=0.05))
    go = asyncio.Event()

    async def stubborn(*_: Any, **__: Any) -> Any:
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()

    async def probe() -> Any:
        await stubborn()

    @tool(safety="reconcilable", probe=probe, timeout="50ms", probe_every="1h")
    async def act() -> None:
        raise Unknown("maybe")

    acts = Agent("acts", tools=[act], plan={"a": {"tool": "act"}})
    thinks = Agent("thinks", reasoner=stubborn, limits=Limits(turns_max=2))
    async with Holdfast(db) as app, asyncio.timeout(5):
        await app.run(acts, id="acts", patience_seconds=0)
        failed = await app.run(thinks, id="thinks")
        history = await app.history("acts")
        go.set()
    (answered,) = of(history, e.ProbeAnswered)
    assert (answered.verdict, answered.message) == ("not_yet", "it did not end when it was cancelled")
    assert failed.status == "failed"


# --- values --------------------------------------------------------------------------------------------------------


def circle() -> Any:
    """A table in itself."""
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


READABLE: dict[str, Any] = {
    "10 MB": "é" * 5_000_000,
    "many": {str(number): {"number": number, "text": "x" * 50} for number in range(2_000)},
    "huge int": 10**300,
    "negative": -(2**64) - 1,
    "nested": nested(90),
    "controls": "\x00\x1b[31m\u2028\u202e\U0001f600",
    "marks": {"$blob": "x", "$ref": "inputs.x", "$$blob": {"$secret": "x"}, "$literal": [1]},
    "empty": {"": "", "list": [], "table": {}, "null": None},
    "numbers": [0.1, 1e300, -0.0, 5e-324, 1.0],
}
UNREADABLE: dict[str, Any] = {
    "NaN": float("nan"),
    "deep infinity": {"a": [1, {"b": float("inf")}]},
    "lone surrogate": "a\ud800b",
    "surrogate name": {"\udc00": 1},
    "circle": circle(),
    "too deep": nested(100_000),
    "object": object(),
}


@pytest.mark.parametrize("name", READABLE)
async def test_a_value_goes_through_a_whole_run_as_it_is(db: Path, name: str) -> None:
    """Returned by one step, given to the next by reference, in the result; and read back the same from the file."""
    value, given = READABLE[name], []

    @tool(safety="read")
    def make() -> Any:
        return value

    @tool(safety="idempotent")
    async def take(value: Any) -> Any:
        given.append(value)
        return [value]

    plan = {"a": {"tool": "make"}, "b": {"tool": "take", "args": {"value": {"$ref": "steps.a"}}}}
    agent = Agent("a", tools=[make, take], plan=plan)
    async with Holdfast(db) as app:
        ended = await app.run(agent, id="r", inputs={"value": value})
        assert ended.result == {"a": value, "b": [value]}
    assert given == [value]
    async with Holdfast(db) as app:
        state = await app.state("r")
        assert state.result == {"a": value, "b": [value]}
        assert state.goal.inputs == {"value": value}
        assert (await app.verify("r")).problem is None


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_value_that_is_no_json_ends_its_step_in_words(db: Path, name: str) -> None:
    """Out of a tool, into a run, and from a function that plans: a recorded failure, never a run that cannot be read."""
    value = UNREADABLE[name]

    @tool(safety="read", retry=1)
    def make() -> Any:
        return value

    def think(briefing: Any) -> Any:
        from holdfast import Finish, GiveUp, Step

        if briefing.problems:
            return GiveUp("; ".join(briefing.problems))
        return Finish(value) if briefing.steps else Step(id="a", tool="make", args={"x": value})

    async with Holdfast(db) as app, asyncio.timeout(20):
        failed = await app.run(Agent("made", tools=[make], plan={"a": {"tool": "make"}}), id="made")
        assert (failed.status, failed.reason.startswith("step a: invalid_output: ")) == ("failed", True)
        given_up = await app.run(Agent("thought", tools=[make], reasoner=think), id="thought")
        assert given_up.status == "failed"
        for run_id in ("made", "thought"):
            assert (await app.verify(run_id)).problem is None
            assert (await app.state(run_id)).ended == "failed"


async def test_what_looks_like_a_secret_in_data_is_data(db: Path) -> None:
    """Only the plan itself has secrets put in: a value that a tool found, or that came with the run, cannot ask for one."""
    given: list[Any] = []

    @tool(safety="read")
    def fetch() -> Any:
        return {"page": [{"$secret": "TOKEN"}], "$literal": {"$secret": "TOKEN"}}

    @tool
    async def post(body: Any, token: str) -> str:
        given.append((body, token))
        return "posted"

    args = {
        "body": [{"$ref": "steps.a"}, {"$ref": "inputs.x"}, {"$literal": {"$secret": "TOKEN"}}],
        "token": {"$secret": "TOKEN"},
    }
    agent = Agent("a", tools=[fetch, post], plan={"a": {"tool": "fetch"}, "b": {"tool": "post", "args": args}})
    async with Holdfast(db, secrets={"TOKEN": "hunter2"}.get) as app:
        asks = await app.run(agent, id="r", inputs={"x": {"$secret": "TOKEN"}})
        assert "hunter2" not in str(asks.questions)
        await app.answer("r", "edit", by="ann", value={"body": asks.questions[0].args["body"]})
        assert (await app.run(agent, id="r")).done
    secret = {"$secret": "TOKEN"}
    assert given == [([{"page": [secret], "$literal": secret}, secret, secret], "hunter2")]


# --- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_clock_that_is_set_makes_no_retry_late_and_no_time_run_backwards(db: Path, jump: float) -> None:
    """Set back or forward by a day during a call; what follows is due as if it had not been."""
    clock, calls = Movable(), []

    @tool(safety="idempotent", retry={"attempts": 3, "backoff": "200ms", "jitter": 0})
    async def later() -> str:
        calls.append(time.monotonic())
        if len(calls) == 1:
            clock.seconds += jump
        if len(calls) < 3:
            raise Transient("503")
        return "now"

    agent = Agent("a", tools=[later], plan={"a": {"tool": "later"}}, limits=Limits(wall_seconds=30 * 86_400))
    async with Holdfast(db, clock=clock, lease_seconds=5 * 86_400) as app, asyncio.timeout(10):
        assert (await app.run(agent, id="r")).done
        times = [entry.at for entry in await app.history("r")]
    assert times == sorted(times)
    assert calls[1] - calls[0] >= 0.19
    assert calls[2] - calls[0] < 5


# --- taking on -----------------------------------------------------------------------------------------------------


async def test_an_agent_that_promises_less_stops_its_runs_with_a_question(db: Path, world: World) -> None:
    """What changed is written down once; nothing begins until a person said so, and then the new promises hold."""
    strong = chain(world, "ab")
    weak = chain(world, "ab", safety="idempotent")
    world.gate.clear()
    async with Holdfast(db) as app, background(app.run(strong, id="r")):
        await until(lambda: world.inside.get("do"))
        async with background(app.stop()):
            world.gate.set()
    # Another promise that is no weaker is written down and taken without a question.
    async with Holdfast(db) as app:
        stronger = chain(world, "ab", safety="keyed", key_ttl="2h", parallel=3)
        assert (await app.run(stronger, id="r")).done
        (changed,) = of(await app.history("r"), e.AgentChanged)
        assert {(d.field, d.weaker) for d in changed.differences} == {("key_ttl_seconds", False), ("parallel_max", False)}
    world.gate.clear()
    async with Holdfast(db) as app, background(app.run(strong, id="q")):
        await until(lambda: world.inside.get("do"))
        async with background(app.stop()):
            world.gate.set()
    async with Holdfast(db) as app:
        assert (await app.run(irreversible_like(weak), id="q")).status == "blocked"
        asks = await app.run(irreversible_like(weak), id="q")
        assert asks.status == "blocked"
        (question,) = asks.questions
        assert "do: safety was keyed, is irreversible" in question.question
        assert len(of(await app.history("q"), e.AgentChanged)) == 1
        assert world.effects == ["a", "b", "a"]
        await app.answer("q", "approve", by="ann")
        assert (await app.run(irreversible_like(weak), id="q")).done
    assert world.effects == ["a", "b", "a", "b"]


def irreversible_like(agent: Agent) -> Agent:
    """The same agent, whose tool promises nothing any more."""
    function = agent.toolbox["do"].function
    return Agent(agent.name, tools=[tool(name="do", approve="never", timeout="30s")(function)], plan=agent.plan)


async def test_words_from_outside_are_taken_in_their_order(db: Path) -> None:
    """Two answers and a cancel that wait together: each is judged by what the ones before it left."""
    done: list[str] = []

    @tool
    async def do(name: str) -> str:
        done.append(name)
        return name

    agent = Agent("a", tools=[do], plan={n: {"tool": "do", "args": {"name": n}} for n in "ab"})
    async with Holdfast(db) as app:
        asks = await app.run(agent, id="r")
        first, second = (question.interrupt for question in asks.questions)
        await app.answer("r", "reject", by="ann", interrupt=second)
        await app.answer("r", "approve", by="bob", interrupt=first)
        await app.cancel("r", by="eve")
        ended = await app.run(agent, id="r")
        history = await app.history("r")
    assert [type(entry.event) for entry in history if isinstance(entry.event, (e.Answered, e.CancelRequested))] == [
        e.Answered,
        e.Answered,
        e.CancelRequested,
    ]
    assert [event.interrupt for event in of(history, e.Answered)] == [second, first]
    assert (ended.status, done) == ("cancelled", [])


async def test_a_parked_run_says_what_it_waits_for(db: Path) -> None:
    """Each thing that is open, in one line, and the soonest of its times."""

    @tool(safety="idempotent", retry={"attempts": 2, "backoff": "60s", "jitter": 0})
    async def later() -> str:
        raise Transient("503")

    @tool(safety="reconcilable", probe=lambda: Happened("x"), settles_within="30s")
    async def unsure() -> str:
        raise Unknown("maybe")

    @tool(safety="idempotent")
    async def owes() -> str:
        return Deferred("T-1", until=time.time() + 3600)  # type: ignore[return-value]

    @tool
    async def asks() -> str:
        return "asked"

    names = ("later", "owes", "asks")
    agent = Agent("a", tools=[later, owes, asks, unsure], plan={name: {"tool": name} for name in names})
    async with Holdfast(db) as app:
        shown = await app.run(agent, id="r", patience_seconds=0)
        assert set(shown.waits_for.split("; ")) == {
            "approval: may asks be called?",
            "retry of later",
            "result of owes, which is owed",
        }
        assert shown.due_at is not None
        assert 50 < shown.due_at - time.time() <= 60


# --- checkpoints ---------------------------------------------------------------------------------------------------


class Reading(SqliteJournal):
    """The journal in its file, which notes from where a history is read, and which checkpoints are kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads: list[int] = []
        self.kept: list[Checkpoint] = []

    async def read(self, run_id: str, after: Head = EMPTY) -> History:
        self.reads.append(after.version)
        return await super().read(run_id, after)

    async def keep(self, run_id: str, checkpoint: Checkpoint) -> None:
        self.kept.append(checkpoint)
        await super().keep(run_id, checkpoint)


def long_agent(effects: list[str]) -> Agent:
    """An agent that does twenty things and then asks."""

    @tool(safety="idempotent")
    async def do(n: int) -> int:
        effects.append(str(n))
        return n

    @tool
    async def sign(total: int) -> str:
        effects.append("sign")
        return f"signed {total}"

    plan: dict[str, Any] = {f"s{n}": {"tool": "do", "args": {"n": n}} for n in range(20)}
    plan["sign"] = {"tool": "sign", "args": {"total": {"$ref": "steps.s19"}}, "after": list(plan)}
    return Agent("long", tools=[do, sign], plan=plan)


@pytest.fixture
async def parked(db: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Reading]:
    """A long run that was parked with a checkpoint, and the journal that kept it."""
    monkeypatch.setattr(module, "CHECKPOINT_EVENTS", 20)
    effects: list[str] = []
    journal = Reading(db)
    async with Holdfast(journal) as app:
        assert (await app.run(long_agent(effects), id="r")).status == "blocked"
        assert len(journal.kept) == 1
        await app.answer("r", "approve", by="ann")
    return effects, Reading(db)


async def resume(journal: Reading, effects: list[str]) -> Run:
    """Take the run on and finish it."""
    async with Holdfast(journal) as app:
        await app.start(long_agent([]), id="r")
        journal.reads.clear()
        await app.work(long_agent(effects), until_idle=True)
        assert len(effects) == 21
        return await app.show("r")


async def test_a_long_run_goes_on_from_its_checkpoint(parked: tuple[list[str], Reading]) -> None:
    """Only what came after it is read, and the run ends as it would have."""
    effects, journal = parked
    ended = await resume(journal, effects)
    assert ended.result["sign"] == "signed 19"
    assert journal.reads[0] > 40


@pytest.mark.parametrize(
    "damage",
    [
        "update checkpoints set form = 'another form'",
        "update checkpoints set body = x'00'",
        "update checkpoints set link = x'00'",
        "update checkpoints set version = version - 1",
        "delete from checkpoints",
    ],
)
async def test_a_checkpoint_that_cannot_be_believed_is_as_good_as_none(parked: tuple[list[str], Reading], damage: str) -> None:
    """Of another form, damaged, of another place, or deleted: the journal is folded from its beginning."""
    effects, journal = parked
    async with Holdfast(journal) as app:
        await app.journal.file.write(lambda c: c.execute(damage))  # type: ignore[attr-defined]
    ended = await resume(journal, effects)
    assert ended.result["sign"] == "signed 19"
    assert 0 in journal.reads[:2]


async def test_a_run_that_ended_leaves_no_checkpoint(parked: tuple[list[str], Reading]) -> None:
    """It is never taken on again."""
    effects, journal = parked
    await resume(journal, effects)
    async with Holdfast(journal):
        assert await journal.checkpoint("r") is None


async def test_a_damaged_journal_is_found_when_a_run_is_taken_on(db: Path, world: World) -> None:
    """Before anything is called."""
    async with Holdfast(db) as app:
        await app.start(chain(world, "a"), id="r")
        await app.journal.file.write(  # type: ignore[attr-defined]
            lambda c: c.execute("update batches set body = cast(replace(body, 'chain', 'chaos') as blob)")
        )
        with pytest.raises(JournalError, match="entry 1 is not what was written"):
            await app.run(chain(world, "a"), id="r")
    assert world.effects == []


# --- deliveries that are judged ------------------------------------------------------------------------------------


def deferring(tokens: dict[str, str], names: str = "a", **promise: Any) -> Agent:
    """An agent whose calls are taken on, and whose results are delivered by token."""

    @tool(safety="keyed", key_ttl="1h", callback=True, **{"timeout": "5s", "retry": 1, **promise})
    async def order(name: str, call: Call) -> str:
        tokens[name] = call.token
        return Deferred(f"H-{name}")  # type: ignore[return-value]

    @tool(safety="read")
    def ledger() -> list[str]:
        return ["good"]

    plan = {name: {"tool": "order", "args": {"name": name}} for name in names}
    return Agent("orders", tools=[order, ledger], plan=plan)


def is_good(result: str) -> bool:
    """What the tool says of its result."""
    return result == "good"


async def look_at(result: str) -> bool | str:
    """A check."""
    return result == "good" or f"the book says otherwise than {result}"


JUDGES: dict[str, dict[str, Any]] = {
    "function": {"sufficient": is_good},
    "words": {"sufficient": "@ == 'good'"},
    "check": {"check": look_at},
}


@pytest.mark.parametrize("judge", [*JUDGES, "expect", "look"])
@pytest.mark.parametrize("while_parked", [True, False])
async def test_what_is_delivered_is_judged_before_it_is_believed(db: Path, judge: str, while_parked: bool) -> None:
    """By the tool's word, its check, and what the step expects; while the run is parked, and while it is under way."""
    expect = {"expect": "@ == 'good'", "look": {"that": "contains(@, 'good')", "tool": "ledger"}}.get(judge)
    for value in ("good", "bad"):
        tokens: dict[str, str] = {}
        agent = deferring(tokens, **JUDGES.get(judge, {}))
        if expect is not None:
            plan = {"a": {"tool": "order", "args": {"name": "a"}, "expect": expect}}
            agent = Agent("orders", tools=list(agent.toolbox.values()), plan=plan)
        async with Holdfast(db) as app:
            if while_parked:
                await app.run(agent, id=value, patience_seconds=0)
                await app.callback(tokens["a"], value)
                ended = await app.run(agent, id=value)
            else:
                async with background(app.run(agent, id=value)) as running:
                    await until(partial(tokens.get, "a"))
                    await app.callback(tokens["a"], value)
                ended = running.result()
            (received,) = of(await app.history(value), e.CallbackReceived)
            assert not await app.journal.messages(value)
        if value == "good" or judge == "look":
            assert (ended.result, received.failure) == ({"a": value}, None)
        else:
            assert (ended.status, received.failure.kind, received.failure.landed) == ("failed", "insufficient", True)
            assert ended.reason.startswith("step a: insufficient: ")


async def test_a_delivery_that_is_judged_while_another_batch_is_written_is_neither_lost_nor_taken_twice(db: Path) -> None:
    """Its judge ends in the middle of a commit: it goes into the next one, and only then counts as taken."""
    tokens: dict[str, str] = {}
    judging, judged = asyncio.Event(), asyncio.Event()

    async def check(result: str) -> bool:
        judging.set()
        await judged.wait()
        return True

    class Slow(SqliteJournal):
        async def append(self, batch: Batch) -> Head | Full:
            written = await super().append(batch)
            if of_batch(batch, e.CallSucceeded):
                judged.set()
                for _ in range(20):  # The judge ends before the writer knows that it has written.
                    await asyncio.sleep(0)
            return written

    @tool(safety="idempotent")
    async def other() -> str:
        await judging.wait()
        return "done meanwhile"

    order = deferring(tokens, check=check).toolbox["order"]
    agent = Agent("two", tools=[order, other], plan={"a": {"tool": "order", "args": {"name": "a"}}, "b": {"tool": "other"}})
    async with Holdfast(Slow(db)) as app:
        async with background(app.run(agent, id="r")) as running:
            await until(lambda: tokens.get("a"))
            await app.callback(tokens["a"], "good")
        assert running.result().result == {"a": "good", "b": "done meanwhile"}
        assert len(of(await app.history("r"), e.CallbackReceived)) == 1
        assert await app.journal.messages("r") == []


async def test_a_judge_that_ignores_its_cancellation_is_not_waited_for(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was delivered has come, and nobody knows whether it is enough; it is judged once and not again and again."""
    monkeypatch.setattr(module, "OVERDUE_SECONDS", 0.1)
    tokens: dict[str, str] = {}
    go, begun = asyncio.Event(), []

    async def check(result: str) -> bool:
        begun.append(1)
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()
        return True

    agent = deferring(tokens, check=check, timeout="100ms")
    async with Holdfast(db) as app, asyncio.timeout(10):
        await app.run(agent, id="r", patience_seconds=0)
        await app.callback(tokens["a"], "good")
        ended = await app.run(agent, id="r")
        go.set()
        (received,) = of(await app.history("r"), e.CallbackReceived)
    assert (ended.status, len(begun)) == ("failed", 1)
    assert (received.failure.kind, received.failure.landed) == ("insufficient", True)


@pytest.mark.parametrize("good", [True, False])
async def test_what_was_delivered_in_time_is_not_late_because_it_is_judged(db: Path, good: bool) -> None:
    """Its deadline passes while its judge looks: that decides, and not the deadline."""
    tokens: dict[str, str] = {}
    clock, judging = Movable(), asyncio.Event()

    async def check(result: str) -> bool:
        judging.set()
        clock.seconds += 7200
        await asyncio.sleep(0.05)
        return good

    agent = deferring(tokens, check=check, owed_within="1h", at_deadline="fail")
    async with Holdfast(db, clock=clock, lease_seconds=10 * 86_400) as app, asyncio.timeout(10):
        await app.run(agent, id="r", patience_seconds=0)
        await app.callback(tokens["a"], "good")
        ended = await app.run(agent, id="r")
        rows = [event.row for event in of(await app.history("r"), e.PendingRuled)]
    assert rows == ["came" if good else "failed"]
    assert ended.status == ("completed" if good else "failed")
    assert "overdue" not in ended.reason


async def test_what_came_just_before_its_deadline_is_heard_before_the_deadline_is_ruled_on(db: Path) -> None:
    """The run wakes for the deadline and has not been told of the delivery yet."""
    tokens: dict[str, str] = {}
    agent = deferring(tokens, owed_within="400ms", at_deadline="fail")
    async with Holdfast(db, poll_seconds=30) as app, asyncio.timeout(10), background(app.run(agent, id="r")) as running:
        await until(lambda: tokens.get("a"))
        await until(lambda: app.pending("r"))
        await app.callback(tokens["a"], "good")
        ended = await running
        assert ended.result == {"a": "good"}


async def test_deliveries_for_two_steps_at_once_are_both_taken(db: Path) -> None:
    """One that has to be judged is in nobody's way."""
    tokens: dict[str, str] = {}
    judged = asyncio.Event()

    async def check(name: str, result: str) -> bool:
        if name == "a":
            await judged.wait()
        else:
            judged.set()
        return True

    agent = deferring(tokens, "ab", check=check)
    async with Holdfast(db) as app:
        await app.run(agent, id="r", patience_seconds=0)
        await asyncio.gather(*(app.callback(tokens[name], name) for name in "ab"))
        ended = await app.run(agent, id="r")
        received = [event.step for event in of(await app.history("r"), e.CallbackReceived)]
    assert ended.result == {"a": "a", "b": "b"}
    assert received == ["b", "a"]


async def test_a_thousand_words_are_heard_in_one_go(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a time that grows with their number: one fold over all of them, and not one for each."""
    tokens: dict[str, str] = {}
    agent = deferring(tokens)
    async with Holdfast(db) as app:
        await app.run(agent, id="r", patience_seconds=0)
        for number in range(1000):
            await app.journal.send("r", Message(kind="signal", body={"name": f"n{number % 9}", "value": number, "by": "x"}))
        folds: list[int] = []

        def counted(state: Any, entry: e.Entry) -> Any:
            folds.append(1)
            return evolve(state, entry)

        monkeypatch.setattr(module, "evolve", counted)
        await app.run(agent, id="r", patience_seconds=0)
        monkeypatch.undo()
        assert (await app.state("r")).signals["n0"].value == 999
    assert len(folds) < 3000


# --- results that are too large ------------------------------------------------------------------------------------


async def test_what_was_too_large_is_in_the_store_with_the_outcome(db: Path) -> None:
    """In the very commit; and found by the digest that the outcome names."""
    whole = ["row"] * 1000

    contents: list[tuple[list[str], list[str]]] = []

    class Looked(SqliteJournal):
        async def append(self, batch: Batch) -> Head | Full:
            contents.append((list(batch.contents), [type(event).__name__ for event in batch.events]))
            return await super().append(batch)

    @tool(safety="read", result_max=256, oversize="store")
    def rows() -> list[str]:
        return whole

    async with Holdfast(Looked(db)) as app:
        await app.run(Agent("a", tools=[rows], plan={"a": {"tool": "rows"}}), id="r")
        (succeeded,) = of(await app.history("r"), e.CallSucceeded)
        assert succeeded.cut is not None
        assert await app.content(succeeded.cut.digest) == whole
        assert await app.content("0" * 64) is None
    ((digests, events),) = [(digests, events) for digests, events in contents if digests]
    assert digests == [succeeded.cut.digest]
    assert "CallSucceeded" in events


# --- gates ---------------------------------------------------------------------------------------------------------


async def test_a_call_that_its_rate_refuses_parks_its_run_at_once_and_goes_on_by_itself(db: Path) -> None:
    """A row that is due when the store said, and no claim: whoever waits takes no place of a worker."""

    @tool(safety="idempotent", rate="1/1h")
    async def ping() -> str:
        return "pong"

    agent = Agent("a", tools=[ping], plan={"a": {"tool": "ping"}})
    clock = Movable()
    async with Holdfast(db, clock=clock, lease_seconds=10 * 86_400) as app, asyncio.timeout(20):
        for number in range(20):
            await app.start(agent, id=f"r{number}")
        await app.work(agent, until_idle=True)
        rows = await app.runs()
        assert sorted(row.status for row in rows) == ["completed"] + ["waiting"] * 19
        assert {row.worker for row in rows} == {""}
        for row in rows:
            held = of(await app.history(row.run_id), e.CallHeld)
            assert len(held) == (0 if row.status == "completed" else 1)
            assert row.due_at == (held[0].until if held else None)
        clock.seconds += 3601
        await app.work(agent, until_idle=True)
        assert sorted(row.status for row in await app.runs()).count("completed") == 2


@pytest.mark.parametrize("plan", ["fallback", "alternative", "hold"])
async def test_while_its_circuit_is_open_a_call_is_made_another_way_or_held_back(db: Path, plan: str) -> None:
    """A fallback takes over, or an alternative; what has neither waits and then goes on."""
    down = [True]

    @tool(safety="idempotent", retry=1, breaker={"failures": 1, "within": "1m", "open": "300ms"})
    async def first(name: str) -> str:
        if down[0]:
            raise Unavailable("503")
        return f"first {name}"

    @tool(safety="idempotent")
    async def second(name: str) -> str:
        return f"second {name}"

    def with_plan(**steps: Any) -> Agent:
        return Agent("a", tools=[first, second], plan=steps)

    call = {"tool": "first", "args": {"name": "x"}}
    async with Holdfast(db) as app, asyncio.timeout(10):
        assert (await app.run(with_plan(a=call), id="opens")).status == "failed"
        assert (await app.gates())["first"].open_until > time.time()
        down[0] = False
        if plan == "fallback":
            ended = await app.run(with_plan(a={**call, "fallback": ["second"]}), id="r")
            assert ended.result == {"a": "second x"}
        elif plan == "alternative":
            other = {"tool": "second", "args": {"name": "y"}, "alternative_to": "a"}
            ended = await app.run(with_plan(a=call, b=other), id="r")
            assert ended.replaced == {"a": "b"} and ended.result["b"] == "second y"
        else:
            ended = await app.run(with_plan(a=call), id="r")
            assert ended.result == {"a": "first x"}
            assert {event.why for event in of(await app.history("r"), e.CallHeld)} == {"circuit"}
        assert ended.done


async def test_a_business_key_of_a_store_is_kept_by_a_run_that_ended_without_knowing(db: Path) -> None:
    """As long as the call may still land; then it is anybody's again."""
    clock, calls = Movable(), []

    @tool(safety="irreversible", approve="never", business_key="order", scope="store", timeout="1s")
    async def pay(order: str, call: Call) -> str:
        calls.append(call.run_id)
        if len(calls) == 1:
            raise Unknown("the gateway says: maybe")
        return "paid"

    agent = Agent("a", tools=[pay], plan={"a": {"tool": "pay", "args": {"order": "7"}}}, limits=Limits(person_seconds=60))
    async with Holdfast(db, clock=clock, lease_seconds=10 * 86_400) as app, asyncio.timeout(20):
        assert (await app.run(agent, id="first")).questions
        during = await app.run(agent, id="during")
        assert (during.status, during.skipped) == ("completed", ("a",))
        clock.seconds += 61
        ended = await app.run(agent, id="first")
        assert (ended.status, ended.ended) == ("failed", True)
        assert (await app.run(agent, id="soon after")).skipped == ("a",)
        (suppressed,) = of(await app.history("soon after"), e.FollowUpSuppressed)
        assert suppressed.run_id == "first"
        clock.seconds += 2 * 86_400
        assert (await app.run(agent, id="long after")).result == {"a": "paid"}
    assert calls == ["first", "long after"]


async def test_runs_that_share_a_rate_all_come_to_their_end(db: Path) -> None:
    """At no time are there more calls than the rate allows, and none is lost."""

    @tool(safety="idempotent", rate="10/100ms")
    async def ping(n: int) -> int:
        return n

    plan = {f"s{n}": {"tool": "ping", "args": {"n": n}} for n in range(30)}
    agent = Agent("a", tools=[ping], plan=plan)
    async with Holdfast(db) as app, asyncio.timeout(30):
        for name in "abc":
            await app.start(agent, id=name)
        await app.work(agent, until_idle=True)
        bodies = await app.journal.file.read(  # type: ignore[attr-defined]
            lambda c: list(c.execute("select r.run_id, b.at, b.body from batches b join runs r on r.id = b.run order by b.rowid"))
        )
        assert {row.status for row in await app.runs()} == {"completed"}
    made, times = dict.fromkeys("abc", 0), list[float]()
    for run_id, at, body in bodies:
        intents = sum(event["event"] == "call_intended" for event in json.loads(body))
        made[run_id] += intents
        times += [at] * intents
    assert made == dict.fromkeys("abc", 30)
    # To the millisecond in which times are written down.
    assert all(later - before > 0.098 for before, later in zip(times, times[10:], strict=False))
