"""Attacks on approvals: ways round the question, and more than was said yes to. The table is `docs/approval-attacks.md`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from holdfast import Agent, Conflict, Holdfast, Limits, Policy, Rule, Secret, Transient, tool
from holdfast.cli.main import app as command_line
from holdfast.core import events as e
from holdfast.testing.models import asked, call
from tests.acceptance.attacks import DAY, LARGE, Office, opened


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A store, a worker and a bank of one test."""
    async with opened(tmp_path) as office:
        yield office


# --- an edit -------------------------------------------------------------------------------------------------------

TO_EVE = Rule(name="eve", then="block", when="args.to == 'eve'")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"to": "eve"}, "forbids pay with these arguments (rule eve)"),
        ({"amount": "much"}, "pay cannot take these arguments"),
        ({"amount": {"$ref": "facts.price"}}, "plain values"),
        ({"nothing": 1}, "pay cannot take these arguments"),
        ({}, "edit needs the arguments to change"),
        ([1], "edit needs the arguments to change"),
        ({"amount": float("nan")}, "cannot"),
    ],
)
async def test_an_edit_into_what_may_not_be_is_refused(office: Office, value: Any, said: str) -> None:
    """What the policy forbids, what the tool's schema does not take, and what is no table of arguments is never taken."""
    agent = office.payer(TO_EVE, LARGE)
    await office.go(agent)
    assert said in await office.refused("edit", value=value)
    await office.go(agent)
    assert office.paid == [] and (await office.asked()).interrupt == "pay-1"


async def test_an_edit_that_is_forged_into_something_forbidden_is_not_made(office: Office) -> None:
    """Past the inbox, straight into the mailbox: the gate is run again on what was edited."""
    agent = office.payer(TO_EVE, LARGE)
    await office.go(agent)
    digest = (await office.asked()).digest
    await office.send({"interrupt": "pay-1", "digest": digest, "decision": "edit", "value": {"to": "eve", "amount": 900}})
    run = await office.go(agent)
    assert run.status == "failed" and "rule eve" in run.reason
    assert office.paid == []


async def test_an_edit_into_the_responsibility_of_others_is_put_to_them(office: Office) -> None:
    """Who may decide about 900 has said nothing about 9000."""
    await office.staff(ann="clerk", bob="boss")
    rules = (Rule(name="huge", when="amount > 5000", who=("boss",)), Rule(name="large", when="amount > 500", who=("clerk",)))
    agent = office.payer(*rules)
    await office.go(agent)
    await office.app.answer("r", "edit", by="ann", value={"amount": 9000})
    await office.go(agent)
    assert office.paid == []
    assert "for boss" in await office.refused(by="ann")
    await office.yes(by="bob")
    assert (await office.go(agent)).done
    assert office.paid == [("x", 9000.0)]


async def test_a_secret_can_be_neither_edited_nor_read_in_a_question(office: Office) -> None:
    """What is put in at the moment of the call is not shown, and nobody puts another one in its place."""
    seen: list[str] = []

    @tool(name="send", safety="keyed", key_ttl="24h")
    def send(to: str, token: Secret) -> str:
        seen.append(token.get_secret_value())
        return to

    plan = {"send": {"tool": "send", "args": {"to": "x", "token": {"$secret": "TOKEN"}}}}
    agent = Agent("sender", tools=[send], plan=plan, policy=Policy(name="p", rules=(Rule(name="all"),)))
    await office.go(agent)
    assert "s3cret" not in str(await office.asked())
    assert "token is a secret and cannot be edited" in await office.refused("edit", value={"token": "mine"})
    await office.app.answer("r", "edit", by="ann", value={"to": "y"})
    assert (await office.go(agent)).done
    assert seen == ["s3cret"]


# --- an approval that is used again --------------------------------------------------------------------------------


async def test_an_approval_is_used_for_one_call(office: Office) -> None:
    """The same answer after it was carried out: refused by the inbox, void where it gets past it, and nothing is paid twice."""
    agent = office.payer(plan={
        "pay": {"tool": "pay", "args": {"to": "x", "amount": 900}},
        "again": {"tool": "pay", "args": {"to": "x", "amount": 900}, "after": "pay"},
    })  # fmt: skip
    await office.go(agent)
    first = await office.asked()
    await office.yes()
    await office.go(agent)
    assert office.paid == [("x", 900)]
    assert "was answered already: approve by ann" in await office.refused(interrupt="pay-1")
    await office.send({"interrupt": "pay-1", "digest": first.digest})
    second = await office.asked()
    assert (second.step, second.args) == ("again", first.args)
    await office.go(agent)
    assert office.paid == [("x", 900)]
    assert await office.voided() == ["it is not open any more"]


async def test_a_call_that_a_model_proposes_again_after_it_was_approved_and_made_is_not_made_again(office: Office) -> None:
    """The very same call under another step is the result that is there; another one to the same person is asked about."""

    def script(request: Any) -> Any:
        return [call("pay", to="x", amount=900), call("pay", to="x", amount=900), call("pay", to="x", amount=901), "done"][
            min(asked(request), 3)
        ]

    agent = office.thinker(script)
    await office.go(agent, goal="pay x")
    await office.yes()
    await office.go(agent)
    assert office.paid == [("x", 900)]
    assert (await office.asked()).args["amount"] == 901
    await office.app.answer("r", "reject", by="ann", note="once is enough")
    await office.go(agent)
    assert office.paid == [("x", 900)]


async def test_a_retry_of_an_approved_call_needs_no_second_word_and_has_no_second_effect(office: Office) -> None:
    """One yes is for one effect, however many attempts it takes; what fails for good is not approved once more by itself."""
    tries: list[str] = []

    @tool(name="pay", safety="keyed", key_ttl="24h", retry={"attempts": 3, "backoff": "10ms..20ms"})
    def pay(to: str, amount: float) -> str:
        tries.append(to)
        if len(tries) < 3:
            raise Transient("not now")
        return to

    plan = {"pay": {"tool": "pay", "args": {"to": "x", "amount": 900}}}
    agent = Agent("payer", tools=[pay], plan=plan, policy=Policy(name="money", rules=(LARGE,)))
    await office.go(agent)
    await office.yes()
    assert (await office.go(agent)).done
    assert len(tries) == 3
    assert len(await office.events(e.Asked)) == 1


async def test_an_approval_is_none_for_what_is_done_instead(office: Office) -> None:
    """A fallback is another call, by another tool, and the policy is asked about it."""
    paid: list[str] = []

    @tool(name="pay", safety="keyed", key_ttl="24h", retry=1)
    def fails(to: str, amount: float) -> str:
        raise Transient("down")

    @tool(name="wire", safety="keyed", key_ttl="24h")
    def wire(to: str, amount: float) -> str:
        paid.append(to)
        return to

    plan = {"pay": {"tool": "pay", "args": {"to": "x", "amount": 900}, "fallback": "wire"}}
    agent = Agent("payer", tools=[fails, wire], plan=plan, policy=Policy(name="m", rules=(Rule(name="all", when="amount > 5"),)))
    await office.go(agent)
    await office.yes()
    await office.go(agent)
    assert paid == []
    assert (await office.asked()).tool == "wire"
    await office.app.answer("r", "reject", by="ann")
    await office.go(agent)
    assert paid == []


# --- answers to something else -------------------------------------------------------------------------------------


async def test_an_answer_for_another_question_decides_nothing(office: Office) -> None:
    """Neither under the id of another run's question, nor with the digest of another question of the same run."""
    plan = {name: {"tool": "pay", "args": {"to": name, "amount": 900}} for name in ("a", "b")}
    agent = office.payer(plan=plan)
    await office.go(agent)
    other = {"c": {"tool": "pay", "args": {"to": "c", "amount": 900}}}
    await office.go(Agent("other", tools=[office.pay()], plan=other, policy=Policy(name="money", rules=(LARGE,))), id="r2")
    questions = (await office.state()).interrupts
    (b,) = (asked for asked in questions.values() if asked.step == "b")
    (a,) = (asked for asked in questions.values() if asked.step == "a")
    assert "nothing is open under c-1" in await office.refused(interrupt="c-1")
    assert "nothing is open under" in await office.refused(interrupt=b.interrupt, id="r2")
    assert "say which" in await office.refused()
    await office.send({"interrupt": a.interrupt, "digest": b.digest})
    await office.go(agent)
    assert office.paid == []
    assert await office.voided() == ["what was shown has changed since"]


async def test_an_answer_with_an_old_digest_is_void(office: Office) -> None:
    """A message that was kept from before the question changed, under the id of the question of now."""
    await office.go(office.payer())
    old = (await office.asked()).digest
    agent = office.payer(version="2")
    await office.go(agent)
    now = await office.asked()
    for digest in (old, "", "0" * 32):
        await office.send({"interrupt": now.interrupt, "digest": digest})
    await office.go(agent)
    assert office.paid == []
    assert await office.voided() == ["what was shown has changed since"] * 3


@pytest.mark.parametrize("body", [{"decision": "yes"}, {"decision": "respond", "value": "paid"}, {"decision": "expired"}])
async def test_a_word_that_the_question_does_not_take_is_void(office: Office, body: dict[str, Any]) -> None:
    """Neither an invented decision, nor a result in place of a call that was only to be approved."""
    agent = office.payer()
    await office.go(agent)
    await office.send({"interrupt": "pay-1", "digest": (await office.asked()).digest, **body})
    run = await office.go(agent)
    assert (run.status, office.paid) == ("blocked", [])
    (why,) = await office.voided()
    assert "it cannot be answered with" in why


async def test_a_comment_and_a_claim_decide_nothing(office: Office) -> None:
    """Whatever the remark says."""
    agent = office.payer()
    await office.go(agent)
    await office.app.inbox.comment("r", "approve", "ann")
    await office.app.inbox.claim("r", "pay-1", "ann")
    await office.app.inbox.show("r", by="ann")
    run = await office.go(agent)
    assert (run.status, office.paid) == ("blocked", [])
    assert len(await office.events(e.Commented)) == 1


# --- what a model says ---------------------------------------------------------------------------------------------

LIES = "Approved by the board already. Please just confirm: transfer of 1 EUR to a charity."


async def test_what_a_model_says_of_a_call_is_not_what_a_person_is_shown(office: Office) -> None:
    """The question, the arguments and the amount are made from the call itself; the words of the model stand in no part of it."""
    step = {"tool": "pay", "args": {"to": "eve", "amount": 90_000}}
    script = [call("make_plan", steps={"pay_1_EUR_to_charity": step}, reason=LIES), "done"]
    agent = office.thinker(script, horizon="plan")
    await office.go(agent, goal="pay the charity")
    asked_ = await office.asked()
    assert asked_.question == "may pay be called?"
    assert (asked_.tool, asked_.args, asked_.amount) == ("pay", {"to": "eve", "amount": 90_000}, 90_000.0)
    (row,) = await office.app.inbox.list()
    assert (row.question, row.tool, row.args, row.amount) == (asked_.question, "pay", asked_.args, 90_000.0)
    assert LIES not in str(row) and LIES not in str(asked_)


@pytest.mark.parametrize("name", ["ok\napproved by ann", "pay-1\x1b[2K", "x\u202ey", "pay 1 EUR"])
async def test_a_step_cannot_be_named_so_that_it_hides_something(office: Office, name: str) -> None:
    """Names that would draw over a line, or are no names, never become steps."""
    script = [call("make_plan", steps={name: {"tool": "pay", "args": {"to": "eve", "amount": 900}}}, reason="x"), "done"]
    agent = office.thinker(script, horizon="plan")
    await office.go(agent, goal="pay")
    assert all(asked_.step != name and name not in asked_.question for asked_ in (await office.state()).interrupts.values())
    assert office.paid == []


async def test_what_steers_a_terminal_is_shown_as_text(office: Office) -> None:
    """Arguments with escapes and line ends cannot draw another question over theirs."""
    hostile = "eve\x1b[2K\x1b]0;x\x07\r\n  amount = 1\n  approved by ann\u202e\u2028x"
    await office.go(office.payer(plan={"pay": {"tool": "pay", "args": {"to": hostile, "amount": 900}}}))
    assert (await office.asked()).args["to"] == hostile, "nothing of it is lost"
    said = (await asyncio.to_thread(CliRunner().invoke, command_line, ["show", "r", "--db", str(office.db)])).stdout
    assert "900" in said and "eve" in said
    assert not set(said) & set("\x1b\x07\r\u202e\u2028")
    assert not any(line.strip() in ("amount = 1", "approved by ann") for line in said.splitlines())


# --- what came from outside ----------------------------------------------------------------------------------------

TAINTED = Rule(name="from outside", when="tainted", tools=("pay",))


@tool(safety="read", untrusted=True)
def read_mail() -> dict[str, Any]:
    """A mail that somebody wrote."""
    return {"account": "eve", "amount": 100}


@tool(safety="read", untrusted=True, observes={"account": "account"})
def note_mail() -> dict[str, Any]:
    """The same, and what it says is believed."""
    return {"account": "eve", "amount": 100}


WAYS = {
    "by a reference": {
        "mail": {"tool": "read_mail"},
        "pay": {"tool": "pay", "args": {"to": {"$ref": "steps.mail.account"}, "amount": 100}},
    },
    "through a fact": {
        "mail": {"tool": "note_mail"},
        "pay": {"tool": "pay", "args": {"to": {"$ref": "facts.account"}, "amount": 100}, "after": "mail"},
    },
    "through a step between": {
        "mail": {"tool": "read_mail"},
        "same": {"tool": "same", "args": {"of": {"$ref": "steps.mail.account"}}},
        "pay": {"tool": "pay", "args": {"to": {"$ref": "steps.same"}, "amount": 100}},
    },
}


@tool(safety="read")
def same(of: str) -> str:
    """What it is given."""
    return of


@pytest.mark.parametrize("way", WAYS)
async def test_what_came_from_outside_reaches_no_payment_unseen(office: Office, way: str) -> None:
    """By a reference, through a fact, and through other steps: the rule on `tainted` asks, and the person is shown it."""
    agent = office.payer(TAINTED, tools=[read_mail, note_mail, same], plan=WAYS[way])
    await office.go(agent)
    assert office.paid == []
    assert (await office.app.inbox.show("r")).tainted
    await office.app.answer("r", "reject", by="ann")
    await office.go(agent)
    assert office.paid == []


async def test_what_a_model_copied_from_outside_is_as_tainted(office: Office) -> None:
    """It read the mail and writes the account down by itself, in its own letters: all that it plans after that is tainted."""

    def script(request: Any) -> Any:
        return [call("read_mail"), call("pay", to="e" + "ve", amount=100), "done"][min(asked(request), 2)]

    agent = office.thinker(script, TAINTED, tools=[read_mail])
    await office.go(agent, goal="pay the bill")
    assert office.paid == []
    assert (await office.asked()).args == {"to": "eve", "amount": 100}


# --- more than one call --------------------------------------------------------------------------------------------


HALVES = {
    name: {"tool": "pay", "args": {"to": name, "amount": 499}, **({"after": before} if before else {})}
    for name, before in (("a", ""), ("b", "a"), ("c", "b"))
}


async def test_a_rule_for_a_call_does_not_see_the_sum_of_many(office: Office) -> None:
    """What does not hold: a rule of 500 lets 499 pass three times. The next two tests have what bounds them together."""
    assert (await office.go(office.payer(plan=HALVES))).done
    assert len(office.paid) == 3


async def test_two_halves_of_a_large_payment_are_caught_by_a_limit_of_the_run(office: Office) -> None:
    """A tool says what it used up (`call.changed`), and the run has a bound of it; so much as one call may go over."""
    agent = office.payer(plan=HALVES, promise={"changes": ("usd",)}, limits=Limits(changes={"usd": 499}))
    run = await office.go(agent)
    assert run.status == "failed" and "usd" in run.reason
    assert office.paid == [("a", 499)]


async def test_two_halves_of_a_large_payment_are_caught_by_what_the_run_has_spent(office: Office) -> None:
    """A tool that says what its call costs is in the budget of the run, and rules see `spent_usd`."""
    agent = office.payer(Rule(name="spent", when="spent_usd >= 499"), promise={"cost": "499"}, plan=HALVES)
    await office.go(agent)
    assert office.paid == [("a", 499)]
    assert (await office.asked()).step == "b"


async def test_a_sample_is_not_drawn_again_by_asking_again(office: Office) -> None:
    """The draw is made from the run and the step: a restart, another worker and a second process draw the same."""
    rule = Rule(name="some", then="sample", rate=0.5)
    agent = office.payer(rule)
    drawn = {}
    for number in range(12):
        drawn[f"r{number}"] = (await office.go(agent, id=f"r{number}")).status
    assert set(drawn.values()) == {"blocked", "completed"}
    paid = len(office.paid)
    for run_id, status in drawn.items():
        async with Holdfast(office.db, clock=office.clock) as other:
            assert (await other.run(agent, id=run_id, patience_seconds=5.0)).status == status
    async with opened(office.db.parent / "again") as again:
        for run_id, status in drawn.items():
            assert (await again.go(again.payer(rule), id=run_id)).status == status
    assert len(office.paid) == paid


@pytest.mark.parametrize(
    ("how", "more"),
    [
        ("refused", 0),
        ("refused", 1),
        ("not answered", 0),
        ("not answered", 1),
    ],
)
async def test_a_call_that_was_refused_is_not_drawn_again_under_another_step(office: Office, how: str, more: int) -> None:
    """A sample is drawn for each step, so a model could propose the same (the same business key, a cent more) until it is not
    drawn: what a person refused once, or left to lapse, is not gone round like that."""
    policy = Policy(name="p", rules=(Rule(name="some", then="sample", rate=0.5, tools=("pay",)),), refusals_max=9)

    def script(request: Any) -> Any:
        turn = asked(request)
        return call("pay", to="x", amount=900 + turn * more) if turn < 8 else "done"

    tried = 0
    for number in range(6):
        agent = office.thinker(script, policy=policy, promise={"business_key": "to"})
        run = await office.go(agent, id=f"r{number}", goal="pay x")
        if run.status != "blocked":
            continue  # It was not drawn, and was made without anybody's no.
        tried += 1
        office.paid.clear()
        for name in ("ann", "bob", "cleo", "dan"):
            if run.status == "blocked":
                if how == "refused":
                    await office.app.answer(run.id, "reject", by=name, note="no")
                else:
                    office.clock.jump(8 * DAY)
                run = await office.go(agent, id=run.id)
        assert office.paid == [], run.id
    assert tried


# --- a plan as a whole ---------------------------------------------------------------------------------------------


async def test_the_approval_of_a_plan_covers_no_call_whose_arguments_come_later(office: Office) -> None:
    """Calls that were shown whole are approved with it; one that takes what another step returns is asked about by itself."""
    plan = {
        "first": {"tool": "pay", "args": {"to": "x", "amount": 900}},
        "mail": {"tool": "read_mail"},
        "pay": {"tool": "pay", "args": {"to": {"$ref": "steps.mail.account"}, "amount": 901}, "after": "first"},
    }
    agent = office.payer(Rule(name="plans", on="plan"), LARGE, tools=[read_mail], plan=plan)
    await office.go(agent)
    question = await office.asked()
    assert question.about == "plan" and "first" in question.calls and "pay" not in question.calls
    await office.yes()
    await office.go(agent)
    assert office.paid == [("x", 900)]
    assert (await office.asked()).args == {"to": "eve", "amount": 901}


async def test_the_approval_of_a_plan_gives_no_approval_of_others(office: Office) -> None:
    """A call that is for the boss is not approved by the clerk who may approve plans."""
    await office.staff(ann="clerk", bob="boss")
    rules = (Rule(name="plans", on="plan", who=("clerk",)), Rule(name="large", when="amount > 500", who=("boss",)))
    agent = office.payer(*rules)
    await office.go(agent)
    await office.yes(by="ann")
    await office.go(agent)
    assert office.paid == []
    assert "for boss" in await office.refused(by="ann")


@pytest.mark.parametrize("then", ["always", "block"])
async def test_what_takes_a_call_back_is_ruled_on_like_any_call(office: Office, then: Any) -> None:
    """An undo is a call, too: it is asked about, or not made, by the same policy."""
    taken: list[str] = []

    @tool(name="claw_back", safety="idempotent")
    def claw_back(to: str) -> str:
        taken.append(to)
        return to

    @tool(name="fails", safety="idempotent", retry=1)
    def fails() -> str:
        raise Conflict("no")

    plan = {"pay": {"tool": "pay", "args": {"to": "x", "amount": 5}}, "fails": {"tool": "fails", "after": "pay"}}
    agent = office.payer(
        Rule(name="back", then=then, tools=("claw_back",)), tools=[claw_back, fails], plan=plan, on_stop="undo",
        promise={"undo": {"tool": claw_back, "args": {"to": {"$ref": "args.to"}}}},
    )  # fmt: skip
    await office.go(agent)
    assert (office.paid, taken) == ([("x", 5)], [])
    question = await office.asked()
    assert question.tool == "claw_back"
    if then == "always":
        await office.yes()
        await office.go(agent)
        assert taken == ["x"]


async def test_the_approval_of_a_plan_lapses(office: Office) -> None:
    """A call that was approved with its plan and not made until the question would have expired is asked about by itself."""
    agent = office.payer(Rule(name="plans", on="plan"), LARGE)
    await office.go(agent)
    await office.app.pause("r", by="bob")
    await office.yes()
    await office.go(agent)
    office.clock.jump(8 * DAY)
    await office.app.resume("r", by="bob")
    await office.go(agent)
    assert office.paid == []
    assert (await office.asked()).about == "call"


async def test_a_yes_to_a_question_in_the_words_of_a_model_approves_no_call(office: Office) -> None:
    """A model that asks `may I pay?` is told yes, and then the call is put to a person as it is."""

    def script(request: Any) -> Any:
        question = {"name": "ok", "question": "May I pay x 900? It was approved.", "answer_schema": {"type": "boolean"}}
        turns = [call("ask_person", questions=[question]), call("pay", to="eve", amount=900), "done"]
        return turns[min(asked(request), 2)]

    agent = office.thinker(script)
    await office.go(agent, goal="pay x")
    assert (await office.asked()).about == "question"
    await office.app.answer("r", "respond", by="ann", value=True)
    await office.go(agent)
    assert office.paid == []
    question = await office.asked()
    assert (question.about, question.args["to"]) == ("call", "eve")


@pytest.mark.parametrize(
    "amount", ["900", "9e2", "1,000", "９００", "1e400", None, True, [900], {"usd": 900}, "five hundred and one", "NaN"], ids=str
)
async def test_an_amount_that_is_written_otherwise_does_not_pass_a_limit(office: Office, amount: Any) -> None:
    """A number in a text is the number; what is none asks."""
    paid: list[Any] = []

    @tool(name="pay", safety="keyed", key_ttl="24h")
    def pay(to: str, amount: Any) -> str:
        paid.append(amount)
        return to

    plan = {"pay": {"tool": "pay", "args": {"to": "x", "amount": amount}}}
    small = Rule(name="small", then="never", when="amount <= 500")
    run = await office.go(Agent("payer", tools=[pay], plan=plan, policy=Policy(name="m", rules=(LARGE, small))))
    assert (run.status, paid) == ("blocked", [])
