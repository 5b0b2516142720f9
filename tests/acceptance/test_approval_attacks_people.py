"""Attacks on approvals, and accidents: who says it, how many, in advance, for many at once, too late. The table is
`docs/approval-attacks.md`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdfast import AnswerRefused, Ladder, Policy, Rule, Rung
from holdfast.core import events as e
from tests.acceptance.attacks import DAY, LARGE, Office, opened

BOSS = Rule(name="large", when="amount > 500", tools=("pay",), who=("boss",))
TWO = Rule(name="large", when="amount > 500", tools=("pay",), who=("boss",), people=2)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A store, a worker and a bank of one test."""
    async with opened(tmp_path) as office:
        yield office


# --- who -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("bob", "bob may not decide it; it is for boss"),
        ("eve", "nobody knows eve"),
        ("boss", "nobody knows boss"),
        ("Ann", "nobody knows Ann"),
        ("аnn", "nobody knows аnn"),
        ("ann\u200b", "nobody knows"),
        ("ＡＮＮ", "nobody knows"),
        ("   ", "needs the name of who gives it"),
        ("\n", "needs the name of who gives it"),
    ],
    ids=[
        "without the role",
        "unknown",
        "named like the role",
        "other case",
        "lookalike",
        "invisible",
        "wide",
        "blank",
        "line end",
    ],
)
async def test_who_is_not_one_of_those_who_may_decide_decides_nothing(office: Office, by: str, said: str) -> None:
    """A name is compared as it is; whoever is not in the directory with that role is refused, and nothing is written."""
    await office.staff(ann="boss", bob="clerk")
    agent = office.payer(BOSS)
    await office.go(agent)
    assert said in await office.refused(by=by)
    run = await office.go(agent)
    assert (run.status, office.paid) == ("blocked", [])
    assert await office.voided() == []


async def test_space_around_a_name_is_no_other_person(office: Office) -> None:
    """`ann` with spaces is ann: neither a way round the directory nor a second person of two."""
    await office.staff(ann="boss", bob="boss")
    agent = office.payer(TWO)
    await office.go(agent)
    await office.yes(by="ann")
    await office.go(agent)
    assert "ann approved it already" in await office.refused(by="  ann ")
    assert office.paid == []


@pytest.mark.parametrize("name", ["boss", "ann ", "", "a\nb"])
async def test_nobody_is_named_so_that_they_are_taken_for_others(office: Office, name: str) -> None:
    """A person cannot have the name of a role, nor one that reads like another one."""
    await office.staff(ann="boss")
    with pytest.raises(Exception, match="no name of a person|is a role"):
        await office.app.inbox.put_person(name, ("clerk",))


async def test_a_role_that_is_taken_away_before_the_answer_counts_no_more(office: Office) -> None:
    """What the directory says when somebody answers, not when they were asked."""
    await office.staff(ann="boss", bob="boss")
    agent = office.payer(BOSS)
    await office.go(agent)
    await office.staff(ann="clerk")
    assert "may not decide it" in await office.refused(by="ann")
    await office.app.inbox.remove_person("ann")
    assert "nobody knows ann" in await office.refused(by="ann")
    await office.yes(by="bob")
    assert (await office.go(agent)).done


async def test_a_question_for_a_role_is_answered_by_nobody_where_nobody_has_it(office: Office) -> None:
    """An empty directory knows everybody, and gives nobody a role."""
    agent = office.payer(BOSS)
    await office.go(agent)
    assert "it is for boss" in await office.refused(by="ann")
    assert office.paid == []


async def test_whoever_decides_for_one_tenant_decides_nothing_for_another(office: Office) -> None:
    """The tenant is the run's, and nothing that an answer says."""
    await office.app.inbox.put_person("ann", ("boss",), tenants=("north",))
    await office.go(office.payer(BOSS), tenant="south")
    assert "decides nothing for the tenant south" in await office.refused(by="ann")
    assert await office.app.inbox.list(by="ann") == []


async def test_a_forged_answer_without_the_role_is_void(office: Office) -> None:
    """Past the inbox, straight into the mailbox, without roles: who may is looked at again where it is taken."""
    await office.staff(ann="boss")
    agent = office.payer(BOSS)
    await office.go(agent)
    await office.send({"interrupt": "pay-1", "digest": (await office.asked()).digest, "by": "eve"})
    await office.go(agent)
    assert office.paid == []
    assert await office.voided() == ["eve may not decide it; it is for boss"]


# --- several people ------------------------------------------------------------------------------------------------


async def test_of_two_who_answer_at_once_the_second_is_told_who_was_first(office: Office) -> None:
    """One slot for each question: whoever comes second reads what was decided, and by whom."""
    agent = office.payer()
    await office.go(agent)
    words = [office.app.answer("r", decision, by=by) for decision, by in (("approve", "ann"), ("reject", "bob"))]
    first, second = await asyncio.gather(*words, return_exceptions=True)
    (refused,) = (said for said in (first, second) if isinstance(said, BaseException))
    assert isinstance(refused, AnswerRefused)
    winner = ("approve", "ann") if isinstance(second, BaseException) else ("reject", "bob")
    assert f"was answered already: {winner[0]} by {winner[1]}" in str(refused)
    await office.go(agent)
    (answered,) = await office.events(e.Answered)
    assert (answered.decision, answered.by) == winner
    assert len(office.paid) == (winner[0] == "approve")


async def test_a_hundred_who_approve_at_once_are_one_payment(office: Office) -> None:
    """However many, from however many places."""
    agent = office.payer()
    await office.go(agent)
    said = await asyncio.gather(*(office.yes(by=f"p{number}") for number in range(100)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in said) == 1
    await asyncio.gather(office.go(agent), office.go(agent))
    assert office.paid == [("x", 900)]


async def test_one_person_is_not_two(office: Office) -> None:
    """The same one twice is refused, at once and in the mailbox; one of two who lacks the role is, too."""
    await office.staff(ann="boss", bob="boss", cleo="clerk")
    agent = office.payer(TWO)
    await office.go(agent)
    said = await asyncio.gather(office.yes(by="ann"), office.yes(by="ann"), return_exceptions=True)
    assert sum(isinstance(one, str) for one in said) == 1
    await office.go(agent)
    assert "ann approved it already" in await office.refused(by="ann")
    assert "it is for boss" in await office.refused(by="cleo")
    digest = (await office.asked()).digest
    await office.send({"interrupt": "pay-1", "digest": digest, "by": "ann", "roles": ["boss"]})
    await office.go(agent)
    assert office.paid == []
    await office.yes(by="bob")
    assert (await office.go(agent)).done
    assert office.paid == [("x", 900)]


async def test_the_second_of_two_can_say_no(office: Office) -> None:
    """One yes of two is none."""
    await office.staff(ann="boss", bob="boss")
    agent = office.payer(TWO)
    await office.go(agent)
    await office.yes(by="ann")
    await office.app.answer("r", "reject", by="bob")
    run = await office.go(agent)
    assert (run.status, office.paid) == ("failed", [])


async def test_two_do_not_approve_different_things(office: Office) -> None:
    """Where two must agree nobody can edit; the first yes does not go over to a call that changed."""
    await office.staff(ann="boss", bob="boss")
    await office.go(office.payer(TWO))
    assert "needs 2 people" in await office.refused("edit", by="ann", value={"amount": 1})
    await office.yes(by="ann")
    await office.go(office.payer(TWO))
    agent = office.payer(TWO, version="2")
    await office.go(agent)
    await office.yes(by="bob")
    await office.go(agent)
    assert office.paid == [], "ann approved it under the old policy only"
    await office.yes(by="ann")
    assert (await office.go(agent)).done


async def test_a_first_yes_does_not_outlive_the_question(office: Office) -> None:
    """Half an approval lapses with the question that it was given to."""
    await office.staff(ann="boss", bob="boss")
    agent = office.payer(TWO)
    await office.go(agent)
    await office.yes(by="ann")
    office.clock.jump(8 * DAY)
    assert "has expired" in await office.refused(by="bob")
    run = await office.go(agent)
    assert (run.status, office.paid) == ("failed", [])


# --- in hand, and many at once -------------------------------------------------------------------------------------


async def test_what_somebody_has_in_hand_is_not_decided_behind_their_back(office: Office) -> None:
    """It says who has it, and until when; after that, or by insisting, others decide."""
    await office.go(office.payer())
    await office.app.inbox.claim("r", "pay-1", "ann", seconds=600)
    assert "ann has it in hand" in await office.refused(by="bob")
    with pytest.raises(AnswerRefused, match="ann has it in hand"):
        await office.app.inbox.claim("r", "pay-1", "bob")
    found = await office.app.inbox.decide_many("approve", "bob")
    assert (found.count, found.left_out[0].interrupt) == (0, "pay-1")
    office.clock.jump(601)
    await office.yes(by="bob")


async def test_a_word_for_many_decides_nothing_that_was_not_shown(office: Office) -> None:
    """Another question came, or one changed, between the two words: nothing is decided, and it says so."""
    inbox = office.app.inbox
    await office.go(office.payer(), id="r1")
    shown = await inbox.decide_many("approve", "ann")
    assert (shown.count, shown.amount) == (1, 900)
    await office.go(office.payer(amount=90_000), id="r2")
    with pytest.raises(AnswerRefused, match="the inbox changed since: 2 instead of 1; nothing was decided"):
        await inbox.decide_many("approve", "ann", confirm=shown.confirm)
    shown = await inbox.decide_many("approve", "ann", run_id="r1")
    await office.go(office.payer(version="2"), id="r1")
    with pytest.raises(AnswerRefused, match="not the same"):
        await inbox.decide_many("approve", "ann", confirm=shown.confirm, run_id="r1")
    for run_id in ("r1", "r2"):
        await office.go(office.payer(version="2", amount=900 if run_id == "r1" else 90_000), id=run_id)
    assert office.paid == []


@pytest.mark.parametrize(
    ("decision", "by", "confirm"),
    [("reject", "ann", None), ("approve", "bob", None), ("approve", "ann", "1-0"), ("approve", "ann", "")],
)
async def test_a_token_is_good_for_one_word_of_one_person(office: Office, decision: str, by: str, confirm: str | None) -> None:
    """Not for another decision, nor for somebody else, nor can it be guessed."""
    await office.go(office.payer())
    shown = await office.app.inbox.decide_many("approve", "ann")
    with pytest.raises(AnswerRefused, match="nothing was decided"):
        await office.app.inbox.decide_many(decision, by, confirm=shown.confirm if confirm is None else confirm)
    await office.go(office.payer())
    assert office.paid == []
    carried = await office.app.inbox.decide_many("approve", "ann", confirm=shown.confirm)
    assert carried.done == 1
    with pytest.raises(AnswerRefused, match="0 instead of 1"):
        await office.app.inbox.decide_many("approve", "ann", confirm=shown.confirm)
    await office.go(office.payer())
    assert office.paid == [("x", 900)]


# --- in advance ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [
        {"args": {"to": "y"}},
        {"args": {"to": "x", "amount": 899}},
        {"args": {"note": "x"}},
        {"amount_max": 899},
        {"run_id": "other"},
        {"agent": "other"},
        {"tenant": "other"},
        {"tool": "other"},
    ],
    ids=str,
)
async def test_a_standing_approval_answers_nothing_beyond_its_scope(office: Office, scope: dict[str, Any]) -> None:
    """Other arguments, more money, another run, agent, tenant or tool."""
    await office.app.inbox.allow(**{"tool": "pay", "by": "ann", "until": "1d", **scope})
    run = await office.go(office.payer())
    assert (run.status, office.paid) == ("blocked", [])


async def test_a_standing_approval_ends(office: Office) -> None:
    """After so many uses, at its time, and at once where it is taken back."""
    inbox = office.app.inbox
    await inbox.allow("pay", "ann", until="1d", uses_max=1)
    assert (await office.go(office.payer(), id="r1")).done
    assert (await office.go(office.payer(), id="r2")).status == "blocked"
    await inbox.allow("pay", "ann", until="1h", run_id="r3")
    office.clock.jump(3700)
    assert (await office.go(office.payer(), id="r3")).status == "blocked"
    given = await inbox.allow("pay", "ann", until="1d", run_id="r4")
    await inbox.revoke(given.id, "bob")
    assert (await office.go(office.payer(), id="r4")).status == "blocked"
    assert len(office.paid) == 1


async def test_a_standing_approval_that_is_revoked_before_its_word_is_taken(office: Office) -> None:
    """What it answered before that is answered, and no more than that: one use is one call."""
    await office.go(office.payer())
    given = await office.app.inbox.allow("pay", "ann", until="1d")
    await office.app.inbox.revoke(given.id, "ann")
    assert (await office.go(office.payer())).done
    assert (await office.go(office.payer(), id="r2")).status == "blocked"
    assert office.paid == [("x", 900)]


async def test_a_standing_approval_is_for_what_the_tool_promised(office: Office) -> None:
    """Given like an open question, it holds for that contract: the changed tool is asked about."""
    await office.go(office.payer(), id="r1")
    await office.app.inbox.allow("", "ann", until="7d", like=("r1", "pay-1"))
    assert (await office.go(office.payer(), id="r1")).done
    run = await office.go(office.payer(promise={"timeout": "90s"}), id="r2")
    assert (run.status, len(office.paid)) == ("blocked", 1)


@pytest.mark.parametrize(
    ("rule", "by"),
    [
        (TWO, "ann"),
        (BOSS, "cleo"),
        (Rule(name="large", when="amount > 500", tools=("pay",), standing=False), "ann"),
        (Rule(name="odd", then="block", when="args.nothing < 5", tools=("pay",)), "ann"),
    ],
    ids=["two people", "without the role", "the rule lets none", "it may be forbidden"],
)
async def test_a_standing_approval_is_no_more_than_its_giver(office: Office, rule: Rule, by: str) -> None:
    """It answers what they could answer alone, where the rule lets it, and never what may be forbidden."""
    await office.staff(ann="boss", bob="boss", cleo="clerk")
    await office.app.inbox.allow("pay", by, until="1d")
    run = await office.go(office.payer(rule))
    assert (run.status, office.paid) == ("blocked", [])
    assert not (await office.state()).standings["pay-1"].approvals


async def test_a_standing_approval_of_somebody_unknown_is_not_taken(office: Office) -> None:
    """Only people of the directory approve in advance."""
    await office.staff(ann="boss")
    with pytest.raises(AnswerRefused, match="nobody knows eve"):
        await office.app.inbox.allow("pay", "eve", until="1d")


# --- time ----------------------------------------------------------------------------------------------------------


async def test_an_answer_after_the_deadline_is_refused(office: Office) -> None:
    """And the run goes on as if it were rejected."""
    agent = office.payer()
    await office.go(agent)
    office.clock.jump(8 * DAY)
    assert "has expired" in await office.refused()
    run = await office.go(agent)
    assert run.status == "failed" and "nobody answered in time" in run.reason
    assert "not open any more" in await office.refused(interrupt="pay-1")
    assert office.paid == []


async def test_an_approval_that_is_taken_after_the_deadline_lets_nothing_through(office: Office) -> None:
    """It was said in time, and no worker heard it for a week: what would follow from it has waited too long."""
    agent = office.payer()
    await office.go(agent)
    await office.yes()
    office.clock.jump(8 * DAY)
    run = await office.go(agent)
    assert run.status == "failed"
    assert (office.paid, await office.voided()) == ([], ["it has expired"])


async def test_a_clock_that_jumps_over_the_deadline_is_no_yes(office: Office) -> None:
    """Forward between the question and the answer: it has expired. Set back after that: it stays so."""
    agent = office.payer()
    await office.go(agent)
    office.clock.jump(30 * DAY)
    await office.go(agent)
    office.clock.jump(-30 * DAY)
    assert "nobody answered in time" in await office.refused(interrupt="pay-1")
    assert (await office.go(agent)).status == "failed"
    assert office.paid == []


async def test_a_clock_that_is_set_back_makes_no_approval_last_longer(office: Office) -> None:
    """The time of a run does not go back: what has lapsed by its journal has lapsed."""
    agent = office.payer()
    await office.go(agent)
    await office.app.pause("r", by="bob")
    await office.yes()
    await office.go(agent)
    office.clock.jump(8 * DAY)
    await office.app.inbox.comment("r", "still paused", "bob", interrupt="pay-1")
    await office.go(agent)
    office.clock.jump(-8 * DAY)
    await office.app.resume("r", by="bob")
    await office.go(agent)
    assert office.paid == []
    assert (await office.asked()).interrupt != "pay-1"


@pytest.mark.parametrize("at_deadline", ["reject", "hand_off"])
async def test_silence_is_never_a_yes(office: Office, at_deadline: Any) -> None:
    """On no rung of the ladder, not past the last one, not where it is handed off, whatever the rule."""
    rungs = (Rung(who=("clerk",), seconds=3600.0, remind_seconds=600.0), Rung(who=("boss",), seconds=3600.0))
    ladder = Ladder(rungs=rungs, at_deadline=at_deadline, hand_off_to=("owner",) if at_deadline == "hand_off" else ())
    agent = office.payer(Rule(name="large", when="amount > 500", ladder=ladder))
    status = (await office.go(agent)).status
    for _ in range(60):
        if status != "blocked":
            break
        office.clock.jump(1800.0 if len(await office.events(e.Escalated)) < 2 else DAY)
        status = (await office.go(agent)).status
        assert office.paid == []
    assert status == "failed"
    assert len(await office.events(e.Escalated)) == (1 if at_deadline == "reject" else 2)
    assert len(await office.events(e.Answered)) == 0


async def test_nobody_on_a_later_rung_inherits_what_was_for_another_one(office: Office) -> None:
    """Once the boss is asked, the clerk's word is none, and the answer of whoever it was for before is void."""
    await office.staff(ann="clerk", bob="boss")
    ladder = Ladder(rungs=(Rung(who=("clerk",), seconds=3600.0), Rung(who=("boss",), seconds=3600.0)))
    agent = office.payer(Rule(name="large", when="amount > 500", ladder=ladder))
    await office.go(agent)
    office.clock.jump(3700)
    await office.go(agent)
    assert "it is for boss" in await office.refused(by="ann")
    await office.yes(by="bob")
    assert (await office.go(agent)).done


# --- asked again ---------------------------------------------------------------------------------------------------


async def test_who_refused_is_not_asked_the_same_again(office: Office) -> None:
    """The same business key again is for somebody else; after the refusals that are allowed the run stops."""
    plan = {
        name: {"tool": "pay", "args": {"to": "x", "amount": 900 + number}, "on_failure": "skip", **after}
        for number, (name, after) in enumerate((("a", {}), ("b", {"after": "a"}), ("c", {"after": "b"})))
    }
    agent = office.payer(plan=plan, promise={"business_key": "to"}, policy=Policy(name="p", rules=(LARGE,), refusals_max=2))
    await office.go(agent)
    await office.app.answer("r", "reject", by="ann")
    await office.go(agent)
    assert "ann refused the same before" in await office.refused(by="ann")
    await office.send({"interrupt": (await office.asked()).interrupt, "digest": (await office.asked()).digest, "by": "ann"})
    await office.go(agent)
    assert "ann refused the same before, and is not asked again" in await office.voided()
    await office.app.answer("r", "reject", by="bob")
    run = await office.go(agent)
    assert run.status == "failed" and office.paid == []


async def test_a_yes_in_advance_does_not_go_over_a_no(office: Office) -> None:
    """What somebody refused is put to a person when it comes again, also where another one approves such calls in advance."""
    plan = {
        "a": {"tool": "pay", "args": {"to": "x", "amount": 900}, "on_failure": "skip"},
        "b": {"tool": "pay", "args": {"to": "x", "amount": 800}, "after": "a"},
    }
    agent = office.payer(plan=plan, promise={"business_key": "to"})
    await office.go(agent)
    await office.app.answer("r", "reject", by="ann")
    await office.app.inbox.allow("pay", "bob", until="1d")
    run = await office.go(agent)
    assert (run.status, office.paid) == ("blocked", [])


async def test_a_standing_approval_of_somebody_who_lost_the_role_answers_nothing(office: Office) -> None:
    """The directory of now decides about it, as about any answer."""
    await office.staff(ann="boss", bob="boss")
    await office.app.inbox.allow("pay", "ann", until="30d")
    await office.staff(ann="clerk")
    run = await office.go(office.payer(BOSS), id="r1")
    assert (run.status, office.paid) == ("blocked", [])
    await office.app.inbox.remove_person("ann")
    run = await office.go(office.payer(), id="r2")
    assert (run.status, office.paid) == ("blocked", [])


async def test_questions_that_are_open_together_are_answered_in_any_order(office: Office) -> None:
    """Each answer is for its own question."""
    plan = {name: {"tool": "pay", "args": {"to": name, "amount": 900}, "on_failure": "skip"} for name in ("a", "b", "c")}
    agent = office.payer(plan=plan)
    run = await office.go(agent)
    first, second, third = (asked.interrupt for asked in run.questions)
    await office.yes(interrupt=third)
    await office.app.answer("r", "reject", by="ann", interrupt=first)
    await office.go(agent)
    assert office.paid == [("c", 900)]
    await office.yes(interrupt=second)
    assert (await office.go(agent)).skipped == ("a",)
    assert office.paid == [("c", 900), ("b", 900)]
