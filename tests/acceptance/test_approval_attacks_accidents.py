"""Accidents around approvals: crashes, a store that fails, a run that is stopped, taken over or planned anew. The table is
`docs/approval-attacks.md`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, AnswerRefused, Call, Holdfast, HoldfastError, Policy, Rule, tool
from holdfast.core import events as e
from holdfast.errors import DefinitionError
from holdfast.testing.models import asked, call
from tests.acceptance import attacks
from tests.acceptance.attacks import DAY, Office, opened
from tests.acceptance.stage import Stage
from tests.acceptance.test_store_trouble import obey_file_modes

ROOT = Path(__file__).resolve().parents[2]
STORE_TROUBLE = 5


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A store, a worker and a bank of one test."""
    async with opened(tmp_path) as office:
        yield office


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage whose processes find the agents of these tests."""
    stage.environment["PYTHONPATH"] += f":{ROOT}"
    return stage


# --- a crash between the answer and the call -----------------------------------------------------------------------

LEASE = ("--lease", "1")


async def approved(stage: Stage, agent: Agent) -> None:
    """A run that was asked about, and approved, and that nobody has gone on with."""
    async with Holdfast(stage.db, lease_seconds=1) as app:
        assert (await app.run(agent, id="r")).status == "blocked"
        await app.answer("r", "approve", by="ann")


def killed(stage: Stage, gate: str, agent: str) -> None:
    """A worker that goes on with the run, and is killed where it waits at a gate."""
    stage.shut(gate)
    worker = stage.begin("run", f"{attacks.__file__}:{agent}", "--id", "r", *LEASE)
    stage.until(lambda: stage.waits(gate))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    stage.open(gate)
    (stage.world / "gates" / f"{gate}.waits").unlink()


async def test_a_worker_that_is_killed_after_the_answer_does_the_effect_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after it took the answer and before the call, in the call before its effect, and after it: one effect, one question."""
    monkeypatch.setenv("WORLD", str(stage.world))
    await approved(stage, attacks.at_the_bank)
    for gate in ("check", "before", "after"):
        killed(stage, gate, "at_the_bank")
    async with Holdfast(stage.db, lease_seconds=1) as app:
        run = await app.run(attacks.at_the_bank, id="r")
        history = [entry.event for entry in await app.history("r")]
    assert run.done
    assert stage.effects() == {"x": 1}
    assert len({key for _, _, key, _ in stage.calls()}) == 1
    assert sum(isinstance(event, e.Asked) for event in history) == 1
    assert sum(isinstance(event, e.Answered) for event in history) == 1


async def test_an_approval_is_none_for_a_second_try_of_what_nobody_can_look_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in an approved call to a bank without keys: whether it happened is asked, it is not simply made again."""
    monkeypatch.setenv("WORLD", str(stage.world))
    await approved(stage, attacks.at_the_counter)
    killed(stage, "after", "at_the_counter")
    async with Holdfast(stage.db, lease_seconds=1) as app:
        run = await app.run(attacks.at_the_counter, id="r")
        assert [question.about for question in run.questions] == ["doubt"]
        await app.answer("r", "respond", by="ann", value="paid")
        assert (await app.run(attacks.at_the_counter, id="r")).done
    assert stage.effects() == {"x": 1}


# --- a store that fails --------------------------------------------------------------------------------------------


async def test_a_store_that_is_full_when_the_answer_is_given_loses_nothing(office: Office) -> None:
    """The answer is refused with a plain error, the question stays open, and with room again it is answered."""
    agent = office.payer()
    await office.go(agent)
    file: Any = office.app.journal.file  # type: ignore[attr-defined]

    def bound(pages: int) -> Any:
        return lambda connection: list(connection.execute(f"pragma max_page_count = {pages}"))

    await file.write(bound(1))
    said = [await _said(office.app.inbox.comment("r", "x" * 9000, "ann")) for _ in range(50)]
    assert "full" in said[-1], "the page at hand may have had some room left"
    assert "full" in await _said(office.app.answer("r", "approve", by="ann", note="y" * 9000))
    assert (await office.asked()).interrupt == "pay-1"
    await file.write(bound(2**30))
    await office.yes()
    assert (await office.go(agent)).done
    assert office.paid == [("x", 900)]


async def _said(word: Awaitable[Any]) -> str:
    """How the store refuses a word; empty where it takes it."""
    try:
        await word
    except HoldfastError as error:
        assert not isinstance(error, AnswerRefused)
        return str(error)
    return ""


async def test_a_store_that_is_read_only_when_the_answer_is_given_loses_nothing(stage: Stage) -> None:
    """Exit code 5, the path, no traceback; the question is open as before."""
    async with opened(stage.world) as office:
        await office.go(office.payer())
    stage.db = office.db
    for file in stage.db.parent.glob("runs.db*"):
        file.chmod(0o444)
    refused = stage.holdfast("answer", "r", "approve", "--by", "ann", preexec_fn=obey_file_modes)
    assert refused.returncode == STORE_TROUBLE, refused.stderr
    assert "read-only" in refused.stderr and "Traceback" not in refused.stderr
    for file in stage.db.parent.glob("runs.db*"):
        file.chmod(0o644)
    async with opened(stage.world) as again:
        assert (await again.asked()).interrupt == "pay-1"
        await again.yes()
        assert (await again.go(again.payer())).done
        assert again.paid == [("x", 900)]


# --- a run that is stopped, or held --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["cancelled first", "approved first"])
async def test_an_approval_of_a_run_that_was_cancelled_pays_nothing(office: Office, order: str) -> None:
    """In whatever order both words reach the mailbox before a worker does."""
    agent = office.payer()
    await office.go(agent)
    if order == "approved first":
        await office.yes()
    await office.app.cancel("r", by="bob", reason="a mistake")
    if order == "cancelled first":
        await office.yes()
    run = await office.go(agent)
    assert (run.status, office.paid) == ("cancelled", [])
    await office.refused()


async def test_an_approval_that_waited_out_a_pause_is_asked_about_anew(office: Office) -> None:
    """It was given while the run was paused, and lapsed before the run went on."""
    agent = office.payer()
    await office.go(agent)
    await office.app.pause("r", by="bob")
    await office.go(agent)
    await office.yes()
    await office.go(agent)
    assert office.paid == []
    office.clock.jump(8 * DAY)
    await office.app.resume("r", by="bob")
    await office.go(agent)
    assert office.paid == []
    await office.yes()
    assert (await office.go(agent)).done
    assert office.paid == [("x", 900)]


async def test_an_approval_during_a_pause_pays_nothing_before_the_run_goes_on(office: Office) -> None:
    """The yes is kept; only the word to go on lets it count, in time."""
    agent = office.payer()
    await office.go(agent)
    await office.app.pause("r", by="bob")
    await office.yes()
    for _ in range(3):
        await office.go(agent)
    assert office.paid == []
    await office.app.resume("r", by="bob")
    assert (await office.go(agent)).done
    assert office.paid == [("x", 900)]


BROKEN = {
    "no YAML": "rules: [",
    "an unknown verdict": "rules: [{name: a, then: allow}]",
    "a condition that means nothing": "rules: [{name: a, when: 'amount >'}]",
    "a misspelt tool": "rules: [{name: a, then: block, tools: payy}]",
    "a check that is not there": "rules: [{name: a, check: is_frozen}]",
    "a misspelt key": "rules: [{name: a, wen: 'amount > 500'}]",
    "nothing": "",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_a_policy_file_that_is_broken_starts_no_agent(office: Office, tmp_path: Path, text: str) -> None:
    """It fails closed: the worker says what is wrong and takes nothing on; runs stay as they are."""
    await office.go(office.payer())
    await office.yes()
    before = await office.app.history("r")
    path = tmp_path / "money.yaml"
    path.write_text(text)
    with pytest.raises((DefinitionError, HoldfastError)):
        await office.go(Agent("payer", tools=[office.pay()], plan={"pay": {"tool": "pay"}}, policy=path))
    assert office.paid == []
    assert await office.app.history("r") == before


AGENT = """
from holdfast import Agent, tool

@tool(safety="keyed", key_ttl="24h")
def pay(to: str, amount: float) -> str:
    raise SystemExit("it was called")

agent = Agent("payer", tools=[pay], plan={"pay": {"tool": "pay", "args": {"to": "x", "amount": 900}}}, policy=POLICY)
"""


async def test_a_worker_whose_policy_file_is_broken_does_not_start(stage: Stage, tmp_path: Path) -> None:
    """Wrongly used, in words, without a traceback; the approved run is where it was."""
    policy, module = tmp_path / "money.yaml", tmp_path / "payer.py"
    policy.write_text("rules: [{name: a, then: allow}]")
    module.write_text(AGENT.replace("POLICY", repr(str(policy))))
    async with opened(stage.world) as office:
        stage.db = office.db
        await office.go(office.payer())
        await office.yes()
        before = await office.app.history("r")
    worker = stage.holdfast("work", f"{module}:agent", "--until-idle")
    assert worker.returncode == 2, worker.stderr
    assert "allow" in worker.stderr and "Traceback" not in worker.stderr
    assert await stage.history("r") == before


# --- a plan that is made anew --------------------------------------------------------------------------------------


def revising(request: Any) -> Any:
    """Pay x; told something new, pay y instead, or keep to it."""
    step = {"tool": "pay", "args": {"to": "x", "amount": 900}}
    told = " ".join(part.text for message in request.messages for part in message.parts if part.kind == "text")
    match asked(request):
        case 0:
            return call("make_plan", steps={"pay_x": step}, reason="x first")
        case 1 if "to y" in told:
            return call(
                "make_plan", steps={"pay_y": {"tool": "pay", "args": {"to": "y", "amount": 900}}}, dropped=["pay_x"], reason="y"
            )
        case 1:
            return call("keep_plan", reason="it stands")
        case _:
            return "done"


@pytest.mark.parametrize("word", ["instruct", "goal"])
async def test_an_approval_of_a_call_that_fell_with_its_plan_pays_nobody(office: Office, word: str) -> None:
    """The model planned anew while somebody was asked: the old question is closed, the old answer void, the new call asked about."""
    agent = office.thinker(revising, horizon="plan")
    await office.go(agent, goal="pay x")
    old = await office.asked()
    if word == "instruct":
        await office.app.instruct("r", "pay to y", by="bob")
    else:
        await office.app.change_goal("r", "pay to y", by="bob")
    await office.app.answer("r", "approve", by="ann", interrupt=old.interrupt)
    await office.go(agent)
    assert office.paid == []
    assert (await office.asked()).args["to"] == "y"
    assert "pay_x-1" in await office.refused(interrupt=old.interrupt)
    await office.send({"interrupt": old.interrupt, "digest": old.digest})
    await office.go(agent)
    assert office.paid == []
    await office.yes()
    assert (await office.go(agent)).done
    assert office.paid == [("y", 900)]


async def test_an_approval_goes_with_the_revision_of_the_plan_that_it_was_given_to(office: Office) -> None:
    """A forged answer for the question of the revision before is void; what is shown is what would be done now."""
    agent = office.thinker(revising, horizon="plan")
    await office.go(agent, goal="pay x")
    old = await office.asked()
    await office.app.instruct("r", "pay to y", by="bob")
    await office.go(agent)
    new = await office.asked()
    await office.send({"interrupt": new.interrupt, "digest": old.digest})
    await office.go(agent)
    assert office.paid == []
    assert "what was shown has changed since" in await office.voided()


# --- taken over ----------------------------------------------------------------------------------------------------


async def test_of_two_who_take_a_run_over_the_second_is_told_who_has_it(office: Office) -> None:
    """Also where both say it before a worker hears either."""
    agent = office.payer()
    await office.go(agent)
    await office.app.take_over("r", by="ann")
    await office.app.take_over("r", by="bob")
    await office.go(agent)
    assert (await office.state()).handoff.by == "ann"  # type: ignore[union-attr]
    with pytest.raises(AnswerRefused, match="ann has taken it over already"):
        await office.app.take_over("r", by="cleo")
    (void,) = await office.events(e.WordVoided)
    assert (void.by, void.kind) == ("bob", "handoff")


async def test_an_approval_pays_nothing_while_somebody_has_taken_the_run_over(office: Office) -> None:
    """Who took it over and pays by hand is not paid for a second time by the approval of another."""
    agent = office.payer()
    await office.go(agent)
    await office.app.take_over("r", by="bob")
    await office.yes(by="ann", interrupt="pay-1")
    await office.go(agent)
    assert office.paid == []
    await office.app.mark_done("r", "pay", "paid by hand", by="bob")
    await office.go(agent)
    (question,) = (await office.state()).interrupts.values()
    await office.app.answer("r", "approve", by="bob", interrupt=question.interrupt)
    assert (await office.go(agent)).done
    assert office.paid == []


async def test_a_step_that_is_under_way_cannot_be_marked_as_done_by_hand(office: Office) -> None:
    """Else it would be done twice: once by the tool and once by hand."""
    started, go = asyncio.Event(), asyncio.Event()

    @tool(name="slow", safety="keyed", key_ttl="24h")
    async def slow(call: Call) -> str:
        started.set()
        await go.wait()
        office.paid.append(("slow", 1))
        return "by the tool"

    agent = Agent("slow", tools=[slow], plan={"slow": {"tool": "slow"}}, policy=Policy(name="p", rules=(Rule(name="all"),)))
    await office.go(agent)
    await office.yes()
    running = asyncio.create_task(office.app.run(agent, id="r"))
    await started.wait()
    with pytest.raises(AnswerRefused, match="under way"):
        await office.app.mark_done("r", "slow", "by hand", by="ann")
    await office.app.mark_done("r", "slow", "by hand", by="ann", id="late")
    go.set()
    assert (await running).result == {"slow": "by the tool"}
    assert office.paid == [("slow", 1)]


async def test_who_may_not_decide_about_a_step_cannot_say_either_that_it_is_done(office: Office) -> None:
    """To mark a step as done by hand is a way round its question, so it is for the same people."""
    await office.staff(ann="boss", cleo="clerk")
    agent = office.payer(Rule(name="large", when="amount > 500", who=("boss",)))
    await office.go(agent)
    for name in ("cleo", "eve"):
        with pytest.raises(AnswerRefused):
            await office.app.mark_done("r", "pay", "paid x", by=name)
    run = await office.go(agent)
    assert run.status == "blocked"


# --- what is hard to write down ------------------------------------------------------------------------------------


async def test_a_question_about_much_can_be_listed_shown_and_answered(office: Office) -> None:
    """Ten megabytes of arguments: the approval is for all of them, and the last letter counts."""
    much = "a" * 10_000_000
    agent = office.payer(plan={"pay": {"tool": "pay", "args": {"to": much, "amount": 900}}})
    await office.go(agent)
    (row,) = await office.app.inbox.list()
    shown = await office.app.inbox.show("r", by="ann")
    assert len(str(shown)) < 40_000_000 and row.interrupt == "pay-1"
    first = (await office.asked()).digest
    await office.app.answer("r", "edit", by="ann", value={"to": much[:-1] + "b"})
    await office.go(agent)
    assert [to[-1] for to, _ in office.paid] == ["b"]
    assert first


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb", "\x00", "\x1b[2K"])
async def test_words_that_are_no_text_are_written_down_as_text(office: Office, text: str) -> None:
    """A note, a name, a reason or a comment with half a character in it is neither lost nor the end of the worker."""
    agent = office.payer()
    await office.go(agent)
    await office.app.inbox.comment("r", f"why {text}", f"ann{text}")
    await office.app.answer("r", "reject", by=f"bob{text}", note=f"no {text}")
    run = await office.go(agent)
    assert (run.status, office.paid) == ("failed", [])
    (answered,) = await office.events(e.Answered)
    answered.note.encode()
    assert answered.by.startswith("bob") and answered.note.startswith("no ")


async def test_somebody_unknown_cannot_say_that_a_step_is_done(office: Office) -> None:
    """Where anybody who is known may decide, and also where the word has an id of its own."""
    await office.staff(ann="boss")
    agent = office.payer()
    await office.go(agent)
    with pytest.raises(AnswerRefused, match="nobody knows eve"):
        await office.app.mark_done("r", "pay", "paid x", by="eve", id="word-1")
    run = await office.go(agent)
    assert run.status == "blocked"
