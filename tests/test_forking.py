"""Forks, on real stores: which points there are, what is written, what is refused, and that it is one durable commit."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

import holdfast
from holdfast import Agent, Briefing, Call, Deferred, GiveUp, GoalMismatch, Holdfast, InvalidInput, Limits, Step, UsageError, tool
from holdfast.archive.records import REDACTED_LABEL
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.errors import JournalCorrupt, RunNotFound, RunPruned
from holdfast.forking import Forked, Where, find, fork, points
from holdfast.journal import codec
from holdfast.journal.keeping import Adopted
from holdfast.journal.retention import mentioned
from holdfast.journal.sqlite import SqliteJournal
from holdfast.runner.clock import SystemClock
from tests.core.story import Story, step
from tests.core.story import tool as contract
from tests.gate import until
from tests.thorough import ALL

SOURCE = str(Path(holdfast.__file__).parents[1])


class Shop:
    """What was paid, and whether the third payment works by now."""

    def __init__(self) -> None:
        self.paid: list[tuple[int, str]] = []
        self.fixed = False

    def agent(self, name: str = "payer", *, more: Sequence[Any] = (), **options: Any) -> Agent:
        """Looks, then pays three times; the third time the tool is wrong."""

        @tool(safety="read")
        async def look() -> dict[str, str]:
            return {"rates": "x" * 20_000}

        @tool(safety="keyed", key_ttl="24h", retry=1)
        async def pay(n: int, call: Call) -> dict[str, int]:
            if n == 3 and not self.fixed:
                raise InvalidInput("no such account")
            self.paid.append((n, call.key))
            return {"n": n}

        plan: dict[str, Any] = {"look": {"tool": "look"}}
        plan |= {f"p{n}": {"tool": "pay", "args": {"n": n}, "after": [f"p{n - 1}" if n > 1 else "look"]} for n in (1, 2, 3)}
        return Agent(name, tools=[look, pay, *more], goal="pay", **{"plan": plan, **options})


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def forked(app: Holdfast, source: str, agent: Agent, id: str, **options: Any) -> Forked:
    options.setdefault("by", "ann")
    return await fork(app.journal, source, agent, id=id, clock_now=SystemClock().now(), **options)


async def failed_at_night(app: Holdfast, shop: Shop, **options: Any) -> Agent:
    """The run `night`, which paid twice and failed."""
    agent = shop.agent(**options)
    left = await app.run(agent, id="night", labels={"team": "north"}, tenant="acme", priority=3)
    assert left.status == "failed"
    return agent


# --- points -------------------------------------------------------------------------------------------------------


def told() -> list[e.Entry]:
    """A run in which `a` was lost and called again, and `b` failed for good."""
    story = Story([step("a", "pay"), step("b", "pay", after=("a",))], contract("pay", "keyed", key_ttl_seconds=600.0))
    story.decide()
    story.crash().decide()
    story.decide(after=10.0)
    story.succeed("a", 1).decide()
    story.fail("b", "invalid_input").decide()
    assert story.ended == "failed"
    return story.entries


@pytest.mark.parametrize(
    ("where", "following"),
    [
        (Where(before="a"), e.CallIntended),
        (Where(before="a#2"), e.CallIntended),
        (Where(before="b"), e.CallIntended),
        (Where(after="a"), e.CallIntended),
        (Where(turn=1), e.ProposalRequested),
        (Where(start=True), e.ProposalRequested),
        (Where(), e.CallIntended),
    ],
)
def test_a_point_is_named_by_what_comes_next(where: Where, following: type[e.Event]) -> None:
    """A step, its second attempt, a turn, the start; left out, the call that failed."""
    entries = told()
    event = entries[find(entries, where)].event
    assert isinstance(event, following)
    if isinstance(event, e.CallIntended):
        wanted = {"a": ("a", 1), "a#2": ("a", 2), "b": ("b", 1)}.get(where.before or "b", ("b", 1))
        assert (event.step, event.attempt) == wanted


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (Where(entry=99), "there is no entry 99"),
        (Where(entry=0), "the first entry at least"),
        (Where(before="zz"), "there is no step zz"),
        (Where(before="a#7"), "step a was called 2 times"),
        (Where(after="b#1"), "there is no step b#1"),
        (Where(turn=4), "there is no turn 4"),
    ],
)
def test_a_point_that_is_not_there_is_refused_with_those_near_it(where: Where, what: str) -> None:
    """One sentence, and names that can be given instead."""
    with pytest.raises(UsageError, match=what) as refused:
        find(told(), where)
    assert refused.value.hint is not None and "points near it: " in refused.value.hint and "(entry" in refused.value.hint


def test_a_run_that_was_stopping_already_cannot_be_forked_there() -> None:
    """A fork of that would only stop; of one that completed, its last entry is no point either."""
    entries = told()
    stops = next(entry.sequence for entry in entries if isinstance(entry.event, e.StepFailed))
    assert find(entries, Where(entry=stops - 1)) == stops - 1
    for entry in range(stops, len(entries) + 1):
        with pytest.raises(UsageError, match="was stopping already|had ended already"):
            find(entries, Where(entry=entry))


def test_several_points_at_once_are_refused() -> None:
    """It is not guessed which one is meant."""
    with pytest.raises(UsageError, match="one point"):
        Where(entry=3, before="a")


def test_a_run_that_did_not_fail_has_no_point_of_its_own() -> None:
    """It must be said where."""
    story = Story([step("a", "look")], contract("look"))
    story.decide()
    with pytest.raises(UsageError, match="it must be said where"):
        find(story.entries, Where())


def test_what_a_model_said_is_not_parted_from_what_came_of_it() -> None:
    """Its calls would be left without results."""
    story = Story(None, contract("look"))
    story.decide()
    story.tell(e.ModelAnswered(turn=1, model="m", usage=holdfast.core.models.Usage()), e.GiveUpProposed(turn=1, reason="no"))
    answered = next(entry.sequence for entry in story.entries if isinstance(entry.event, e.ModelAnswered))
    with pytest.raises(UsageError, match="belong together"):
        find(story.entries, Where(entry=answered))


async def test_a_reasoner_that_gave_up_is_forked_before_the_turn_in_which_it_did(db: Path, shop: Shop) -> None:
    """What it said was its decision."""

    def think(briefing: Briefing) -> Any:
        if briefing.turn == 1:
            return [Step(id="p1", tool="pay", args={"n": 1})]
        return GiveUp("no more")

    async with Holdfast(db) as app:
        agent = shop.agent(plan=None, reasoner=think)
        await app.run(agent, id="night")
        entries = await app.history("night")
        point = find(entries, Where())
        assert entries[point].event == e.ProposalRequested(turn=2)


def test_the_points_of_a_run_are_all_points() -> None:
    """None of those listed is refused, and their names lead to them."""
    entries = told()
    listed = points(entries)
    assert [point.entry for point in listed] == sorted({point.entry for point in listed})
    for point in listed:
        kind, _, name = point.label.partition(" ")
        named = {"start": Where(start=True), "turn": Where(turn=int(name) if name.isdigit() else 0)}.get(kind)
        named = named or {"before": Where(before=name), "after": Where(after=name)}.get(kind) or Where(entry=point.entry)
        assert find(entries, named) == point.entry == find(entries, Where(entry=point.entry))


# --- what is written ----------------------------------------------------------------------------------------------


async def test_a_fork_takes_its_source_up_to_the_point_and_goes_on_from_there(db: Path, shop: Shop) -> None:
    """What was paid is not paid again, its chain holds, and it says where it comes from."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        shop.fixed = True
        made = await forked(app, "night", agent, "morning", reason="fixed")
        assert (made.is_new, made.source, made.mode) == (True, "night", "blocked")
        row = await app.journal.row("morning")
        assert row is not None and (row.source, row.tenant, row.priority, row.labels) == ("night", "acme", 3, {"team": "north"})
        entries = await app.history("morning")
        assert [entry.event for entry in entries[: made.entry]] == [
            entry.event for entry in (await app.history("night"))[: made.entry]
        ]
        event = entries[made.entry].event
        assert isinstance(event, e.RunForked) and (event.by, event.reason, event.entry) == ("ann", "fixed", made.entry)
        left = await app.run(agent, id="morning")
        assert left.status == "blocked" and [n for n, _ in shop.paid] == [1, 2]
        await app.answer("morning", "approve", by="ann")
        left = await app.run(agent, id="morning")
        assert left.done and [n for n, _ in shop.paid] == [1, 2, 3]
        assert len({key for _, key in shop.paid}) == 3
        assert (await app.verify("morning")).problem is None


async def test_bodies_that_are_taken_over_are_not_touched(db: Path, shop: Shop) -> None:
    """Nor their large values; only the links of the chain are made anew, under a fence above all of them."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        made = await forked(app, "night", agent, "morning")
        night, morning = await app.journal.batches("night"), await app.journal.batches("morning")
        whole = [batch for batch in night if batch.first + batch.count - 1 <= made.entry]
        assert [batch.body for batch in morning[: len(whole)]] == [batch.body for batch in whole]
        assert any(b"$blob" in batch.body for batch in whole)
        assert morning[-1].fence == max(batch.fence for batch in whole) + 1
        event = (await app.history("morning"))[made.entry].event
        assert isinstance(event, e.RunForked)
        assert event.link == next(batch.link for batch in night if batch.first + batch.count > made.entry).hex()


async def test_a_commit_is_cut_where_the_point_lies_in_it(db: Path, shop: Shop) -> None:
    """At every point, with the large value of a step in the commit that is cut."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        entries = await app.history("night")
        for entry in range(1, find(entries, Where()) + 1):
            await forked(app, "night", agent, f"at-{entry}", where=Where(entry=entry))
            taken = await app.history(f"at-{entry}")
            assert [one.event for one in taken[:entry]] == [one.event for one in entries[:entry]]
            assert fold(taken).fork is not None


async def test_a_fork_can_be_parked_until_somebody_names_it(db: Path, shop: Shop) -> None:
    """A worker with another version of the agent would take it on else."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        await forked(app, "night", agent, "parked", start=False)
        row = await app.journal.row("parked")
        assert row is not None and (row.due_at, row.status, row.waits_for) == (None, "waiting", "somebody to let it begin")
        await app.work(agent, until_idle=True)
        assert len(await app.history("parked")) == row.version
        assert (await app.run(agent, id="parked")).status == "blocked"


async def test_secrets_of_the_agent_are_not_written_into_its_script(db: Path, shop: Shop) -> None:
    """What is never written down is not written down here."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop, secrets=["pin"])
        script = [e.Scripted(tool="pay", result={"n": 3, "pin": "1234"})]
        await forked(app, "night", agent, "sim", mode="simulate", script=script)
    assert b"1234" not in db.read_bytes()


# --- the same twice -----------------------------------------------------------------------------------------------


async def test_the_same_fork_twice_is_one_and_goes_on(db: Path, shop: Shop) -> None:
    """Also after it has gone on, and with a tool that was put right in between; another one under its id is refused."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        first = await forked(app, "night", agent, "morning")
        await app.run(agent, id="morning")
        again = await forked(app, "night", shop.agent(version="2"), "morning", by="bob", reason="again")
        assert (first.is_new, again.is_new) == (True, False) and again.state.interrupts
        for other in ({"where": Where(before="p1")}, {"mode": "live"}, {"limits": Limits(attempts_max=7)}):
            with pytest.raises(GoalMismatch, match="belongs to a fork of night"):
                await forked(app, "night", agent, "morning", **other)
        with pytest.raises(GoalMismatch, match="no fork"):
            await forked(app, "night", agent, "night")


async def test_run_goes_on_with_a_fork_by_the_goal_of_its_source(db: Path, shop: Shop) -> None:
    """Without a goal, or with the same one; another goal is refused, as for any run."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        await forked(app, "night", agent, "morning")
        assert (await app.run(agent, "pay", id="morning")).status == "blocked"
        with pytest.raises(GoalMismatch):
            await app.run(agent, "pay everybody", id="morning")


# --- what is refused ----------------------------------------------------------------------------------------------


async def test_what_cannot_be_forked_says_why(db: Path, shop: Shop) -> None:
    """No such run, a pruned one, an id that was pruned, an agent without a tool that is needed, limits that are none."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        with pytest.raises(RunNotFound):
            await forked(app, "nobody", agent, "x")
        without = Agent("payer", tools=[shop.agent().toolbox["look"]], plan={"a": {"tool": "look"}}, goal="pay")
        with pytest.raises(UsageError, match=r"no tool pay \(step p3\)"):
            await forked(app, "night", without, "x")
        assert (await forked(app, "night", without, "early", where=Where(start=True))).is_new
        with pytest.raises(UsageError, match="attempts_max must be"):
            await forked(app, "night", agent, "x", limits=Limits(attempts_max=0))
        with pytest.raises(UsageError, match="the input day is missing"):
            await forked(app, "night", shop.agent(inputs={"day": {"type": "string"}}), "x")
        await app.journal.prune(["night"], "ann", SystemClock().now())
        with pytest.raises(RunPruned):
            await forked(app, "night", agent, "x")
        with pytest.raises(RunPruned):
            await forked(app, "early", agent, "night", where=Where(start=True))


async def test_a_damaged_source_is_not_forked(db: Path, shop: Shop) -> None:
    """Its chain is checked first, and nothing is written."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
    import apsw

    connection = apsw.Connection(str(db))
    connection.execute("update batches set body = cast(body || ' ' as blob) where first > 1")
    connection.close()
    async with Holdfast(db) as app:
        with pytest.raises(JournalCorrupt):
            await forked(app, "night", agent, "x")
        assert await app.journal.row("x") is None


async def test_a_fork_of_an_imported_run_goes_on_here_and_of_a_redacted_one_does_not(
    db: Path, tmp_path: Path, shop: Shop
) -> None:
    """The import itself is only looked at."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        batches, row = await app.journal.batches("night"), await app.journal.row("night")
        contents = {d: c for b in batches for d in mentioned(b.body) if (c := await app.journal.content(d)) is not None}
    assert row is not None
    shop.fixed = True
    async with Holdfast(tmp_path / "other.db") as app:
        adopted = Adopted(
            run_id="night", agent=row.agent, goal_digest=row.goal_digest, batches=tuple(batches), status="failed", fence=row.fence,
            created_at=row.created_at, changed_at=row.changed_at, contents=contents, imported=True,
        )  # fmt: skip
        assert await app.journal.adopt(adopted)
        await forked(app, "night", agent, "morning", mode="live")
        assert (await app.run(agent, id="morning")).done and [n for n, _ in shop.paid] == [1, 2, 3]
        redacted = _relabelled(adopted, "redacted")
        assert await app.journal.adopt(redacted)
        with pytest.raises(UsageError, match="a redacted copy"):
            await forked(app, "redacted", agent, "x")


def _relabelled(run: Adopted, run_id: str) -> Adopted:
    """A run whose first entry says that it is a redacted copy."""
    first = json.loads(run.batches[0].body)
    first[0]["labels"] = {REDACTED_LABEL: "values"}
    bodies = [json.dumps(first).encode(), *(batch.body for batch in run.batches[1:])]
    batches, previous = [], b""
    for batch, body in zip(run.batches, bodies, strict=True):
        previous = codec.link(previous, run_id, batch.first, batch.fence, batch.at, body)
        batches.append(msgspec.structs.replace(batch, body=body, link=previous))
    return msgspec.structs.replace(run, run_id=run_id, batches=tuple(batches))


async def test_what_is_simulated_is_no_ground_for_acting(db: Path, shop: Shop) -> None:
    """What a simulated run says happened did not, so only a simulation may go on from there."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        await forked(app, "night", agent, "sim", where=Where(before="p1"), mode="simulate")
        assert (await app.run(agent, id="sim")).status == "failed", "as recorded"
        assert [n for n, _ in shop.paid] == [1, 2], "and nothing was called"
        with pytest.raises(UsageError, match="did not happen"):
            await forked(app, "sim", agent, "x", where=Where(before="p3"))
        assert (await forked(app, "sim", agent, "again", where=Where(before="p3"), mode="simulate")).is_new


async def test_an_approval_in_advance_is_neither_used_up_by_a_simulation_nor_good_for_a_fork(db: Path, shop: Shop) -> None:
    """It was given for calls that are made, and by somebody who knew of no fork."""

    @tool(safety="irreversible")
    async def wire(n: int) -> int:
        shop.paid.append((n, "wire"))
        return n

    agent = shop.agent(plan={"w": {"tool": "wire", "args": {"n": 5}}}, more=[wire])
    async with Holdfast(db) as app:
        await app.run(agent, id="wired", patience_seconds=0.0)
        await app.inbox.allow("wire", "ann", until="7d", uses_max=9)
        assert (await app.run(agent, id="wired")).done
        modes: tuple[Any, ...] = ("simulate", "blocked", "live")
        for mode in modes:
            await forked(app, "wired", agent, mode, where=Where(before="w"), mode=mode)
            assert (await app.run(agent, id=mode, patience_seconds=0.0)).status == "blocked", mode
        (allowed,) = await app.inbox.standing()
        assert allowed.uses == 1 and len(shop.paid) == 1


async def test_what_the_source_took_back_since_is_said(db: Path, shop: Shop) -> None:
    """For the fork it is done; the world is as if it never was."""

    @tool(safety="keyed", key_ttl="24h")
    async def cancel(room: int) -> None:
        """Cancel a booking."""

    @tool(safety="keyed", key_ttl="24h", undo=cancel)
    async def book() -> dict[str, int]:
        return {"room": 7}

    plan = {"b": {"tool": "book"}, "p3": {"tool": "pay", "args": {"n": 3}, "after": ["b"]}}
    agent = shop.agent(plan=plan, more=[book, cancel], on_stop="undo")
    async with Holdfast(db) as app:
        assert (await app.run(agent, id="undone")).status == "failed"
        made = await forked(app, "undone", agent, "x", start=False)
        assert any("undone took back later what it had done, or tried to, in b" in note for note in made.notes)
        made = await forked(app, "undone", agent, "y", where=Where(before="b"), start=False)
        assert not any("took back" in note for note in made.notes)


async def test_what_whoever_forks_should_know_is_said(db: Path, shop: Shop) -> None:
    """That the source goes on, that the plan stays, that the end of a child is not heard of."""
    async with Holdfast(db) as app:

        @tool(safety="keyed", key_ttl="24h")
        async def order() -> Any:
            return Deferred(by="them", until="1h")

        waiting = shop.agent(plan={"o": {"tool": "order"}, "p1": {"tool": "pay", "args": {"n": 1}, "after": ["o"]}}, more=[order])
        await app.run(waiting, id="waits", patience_seconds=0.0)
        made = await forked(app, "waits", waiting, "x", where=Where(after="o"), start=False)
        assert any("waits has not ended" in note for note in made.notes)
        other = shop.agent(plan={"p1": {"tool": "pay", "args": {"n": 9}}}, more=[order])
        made = await forked(app, "waits", other, "y", where=Where(after="o"), start=False)
        assert any("the plan stays the source's" in note for note in made.notes)


# --- crashes and races --------------------------------------------------------------------------------------------

FORKING = """
import asyncio, sys
sys.path.insert(0, {root!r})
from holdfast import Holdfast
from holdfast.forking import Where, fork
from tests.test_forking import Shop

async def main():
    async with Holdfast(sys.argv[1]) as app:
        print("ready", flush=True)
        sys.stdin.readline()
        made = await fork(app.journal, "night", Shop().agent(), id="morning", clock_now=2e9, by=sys.argv[2], start=False)
        print("made" if made.is_new else "there", flush=True)

asyncio.run(main())
"""
ROOT = str(Path(__file__).parents[1])


def forking(db: Path, by: str) -> subprocess.Popen[str]:
    """A process that forks when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", FORKING.format(root=ROOT), str(db), by], env={**os.environ, "PYTHONPATH": SOURCE},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


async def test_two_processes_that_make_the_same_fork_make_one(db: Path, shop: Shop) -> None:
    """One of them wins, and the other one finds it there."""
    async with Holdfast(db) as app:
        await failed_at_night(app, shop)
    both = [forking(db, "ann"), forking(db, "bob")]
    for process in both:
        go(process)
    assert sorted(process.communicate(timeout=30)[0] for process in both) == ["made\n", "there\n"]


async def test_a_process_that_is_killed_while_it_forks_leaves_a_whole_fork_or_none(db: Path, shop: Shop) -> None:
    """At moments of a seed; the same command once more makes it, or finds it."""
    draw = random.Random(6)
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        whole = len(await app.history("night"))
    seen = set()
    for number in range(40 if ALL else 3):
        path = db.with_name(f"{number}.db")
        async with Holdfast(db) as app:
            await app.journal.backup(str(path))
        process = forking(path, "ann")
        go(process)
        await asyncio.sleep(draw.uniform(0.0, 0.02))  # The moment of the kill is what is drawn here.
        process.send_signal(signal.SIGKILL)
        process.communicate()
        async with Holdfast(path) as app:
            row = await app.journal.row("morning")
            seen.add(row is not None)
            if row is not None:
                assert (await app.verify("morning")).problem is None and fold(await app.history("morning")).fork is not None
            made = await forked(app, "night", agent, "morning", start=False)
            assert made.is_new is (row is None)
            assert len(await app.history("night")) == whole
    assert seen == {True, False} or not ALL


async def test_two_workers_advance_a_fork_as_one(db: Path, shop: Shop) -> None:
    """Each of its effects once, whoever has it."""
    async with Holdfast(db) as app:
        agent = await failed_at_night(app, shop)
        shop.fixed = True
        await forked(app, "night", agent, "morning")
    async with Holdfast(SqliteJournal(db), worker="w1") as one, Holdfast(SqliteJournal(db), worker="w2") as two:
        working = [asyncio.ensure_future(app.work(agent)) for app in (one, two)]
        await until(lambda: _asks(one))
        await two.answer("morning", "approve", by="ann")
        await until(lambda: _ended(one))
        await asyncio.gather(one.stop(), two.stop(), *working)
        assert [n for n, _ in shop.paid] == [1, 2, 3]


async def _asks(app: Holdfast) -> bool:
    return bool((await app.state("morning")).interrupts)


async def _ended(app: Holdfast) -> bool:
    return (await app.state("morning")).ended == "completed"
