"""The verbs by which people say something to a run, on real stores and with real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import Agent, AnswerRefused, Holdfast, Limits, UsageError, tool
from holdfast.core import events as e
from tests.gate import World, background, until, worker


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The path of a store that is not there yet."""
    return tmp_path / "runs.db"


def payer(effects: list[str]) -> Agent:
    """An agent that asks before its first step, and then sends a letter."""

    @tool(safety="irreversible")
    def pay(to: str, amount: int) -> str:
        effects.append(f"{to} {amount}")
        return f"paid {to}"

    @tool(safety="idempotent")
    def tell(what: str) -> str:
        effects.append(what)
        return what

    plan = {
        "pay": {"tool": "pay", "args": {"to": "ann", "amount": 5}},
        "tell": {"tool": "tell", "args": {"what": {"$ref": "steps.pay"}}},
    }
    return Agent("payer", tools=[pay, tell], plan=plan)


async def events(app: Holdfast, kind: type[e.Event]) -> list[e.Event]:
    """All events of a kind in the journal of the run `r`."""
    return [entry.event for entry in await app.history("r") if isinstance(entry.event, kind)]


async def test_a_paused_run_finishes_the_effect_at_hand_and_begins_nothing_new(db: Path) -> None:
    """Until somebody lets it go on."""
    world = World()
    world.gate.clear()
    agent = worker(world, steps=3, limits=Limits(parallel_max=1))
    async with Holdfast(db) as app, Holdfast(db) as desk:
        async with background(app.run(agent, id="r", inputs={"name": "x"})) as run:
            await until(lambda: world.inside.get("do"))
            await desk.pause("r", by="bob", reason="wait for the bank")
            await until(lambda: events(desk, e.RunPaused))
            world.gate.set()
            assert (await run).status == "blocked"
        assert world.effects == ["x1"]
        await desk.resume("r", by="ann")
        assert (await app.run(agent, id="r")).done
        assert len(world.effects) == 3
        assert await events(desk, e.RunPaused) == [e.RunPaused(by="bob", reason="wait for the bank")]
        assert await events(desk, e.RunContinued) == [e.RunContinued(by="ann")]


async def test_a_pause_that_no_worker_has_heard_of_is_one_all_the_same(db: Path) -> None:
    """It is not said twice, and it can be taken back."""
    agent = payer([])
    async with Holdfast(db) as app:
        await app.start(agent, id="r")
        with pytest.raises(AnswerRefused, match="it is not paused"):
            await app.resume("r", by="ann")
        await app.pause("r", by="ann", until="2100-01-01T00:00Z")
        with pytest.raises(AnswerRefused, match="it is paused already"):
            await app.pause("r", by="bob")
        await app.resume("r", by="bob")
        with pytest.raises(UsageError, match="has no zone"):
            await app.pause("r", by="bob", until="2100-01-01T00:00")
        assert (await app.run(agent, id="r")).questions[0].interrupt == "pay-1"


async def test_the_same_word_with_the_same_id_is_heard_once(db: Path) -> None:
    """Also after the run took it, and after the run has ended; another word with that id is refused."""
    agent = payer([])
    async with Holdfast(db) as app:
        await app.run(agent, id="r")
        for _ in range(2):
            await app.inbox.comment("r", "hm", "ann", id="c1")
            await app.signal("r", "go", 1, by="ann", id="s1")
            await app.correct("r", "city", "Bonn", by="ann", id="f1")
            await app.run(agent, id="r")
        with pytest.raises(AnswerRefused, match="the id 'c1' was used for something else"):
            await app.inbox.comment("r", "another", "ann", id="c1")
        for _ in range(2):
            await app.mark_done("r", "pay", "by hand", by="ann", id="d1")
            assert (await app.run(agent, id="r")).done
        for kind in (e.Commented, e.SignalReceived, e.FactsLearned, e.StepDoneByHand):
            assert len(await events(app, kind)) == 1
        assert await events(app, e.WordVoided) == []


async def test_what_was_done_by_hand_stands_in_the_result_and_what_follows_goes_on_from_there(db: Path) -> None:
    """The call that was asked about is not made."""
    effects: list[str] = []
    agent = payer(effects)
    async with Holdfast(db) as app:
        await app.run(agent, id="r")
        with pytest.raises(AnswerRefused, match="this is no result of pay"):
            await app.mark_done("r", "pay", 7, by="ann")
        await app.mark_done("r", "pay", "paid at the bank", by="ann", note="receipt 12")
        run = await app.run(agent, id="r")
        assert run.result == {"pay": "paid at the bank", "tell": "paid at the bank"}
        assert effects == ["paid at the bank"]
        assert await app.inbox.count() == 0


async def test_a_run_that_was_taken_over_is_handed_back(db: Path) -> None:
    """Nothing new begins in between; steps are done by hand, and the run goes on with the rest."""
    effects: list[str] = []
    agent = payer(effects)
    async with Holdfast(db) as app:
        await app.run(agent, id="r")
        await app.take_over("r", by="ann", reason="the bank is closed")
        run = await app.run(agent, id="r")
        assert [asked.about for asked in run.questions] == ["call", "handoff"]
        with pytest.raises(AnswerRefused, match="ann has taken it over already"):
            await app.take_over("r", by="bob")
        await app.mark_done("r", "pay", "paid in cash", by="ann")
        assert (await app.run(agent, id="r")).status == "blocked"
        assert effects == []
        await app.answer("r", "approve", by="ann")
        assert (await app.run(agent, id="r")).done
        assert effects == ["paid in cash"]


async def test_a_run_whose_plan_was_written_is_not_instructed(db: Path) -> None:
    """It says what can be done instead, and nothing is sent."""
    async with Holdfast(db) as app:
        await app.run(payer([]), id="r")
        with pytest.raises(AnswerRefused, match="only a run that a model plans"):
            await app.instruct("r", "be careful", by="ann")
        assert await app.journal.messages("r") == []


async def test_only_who_is_known_answers_where_anybody_is(db: Path) -> None:
    """The name of the user is no way around the directory."""
    effects: list[str] = []
    agent = payer(effects)
    async with Holdfast(db) as app:
        await app.run(agent, id="r")
        await app.inbox.put_person("ann", ["clerk"])
        with pytest.raises(AnswerRefused, match="nobody knows "):
            await app.answer("r", "approve")
        with pytest.raises(AnswerRefused, match="nobody knows eve"):
            await app.mark_done("r", "pay", "paid", by="eve")
        await app.answer("r", "approve", by="ann")
        assert (await app.run(agent, id="r")).done
    assert effects == ["ann 5", "paid ann"]


async def test_a_standing_approval_lets_the_next_call_pass_without_a_person(db: Path) -> None:
    """It is answered in the commit that asks, and says by which approval."""
    effects: list[str] = []
    agent = payer(effects)
    async with Holdfast(db) as app:
        await app.run(agent, id="first")
        allowed = await app.inbox.allow("", "ann", until="1d", like=("first", "pay-1"))
        assert (await app.run(agent, id="first")).done
        assert (await app.run(agent, id="r")).done
        (answered,) = await events(app, e.Answered)
        assert isinstance(answered, e.Answered)
        assert (answered.by, answered.standing) == ("ann", allowed.id)
        await app.inbox.revoke(allowed.id, "bob")
        assert (await app.run(agent, id="third")).status == "blocked"
