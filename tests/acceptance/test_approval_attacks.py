"""Attacks on approvals, and accidents: what was approved is not what would be done. The table is `docs/approval-attacks.md`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Holdfast, Rule, tool
from holdfast.core.commands import CheckCall
from holdfast.core.decide import gates
from tests.acceptance.attacks import LARGE, Office, check, opened


@tool(safety="read", observes={"price": "@"}, valid_for="1h")
def quote() -> float:
    """What it costs."""
    return 900.0


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A store, a worker and a bank of one test."""
    async with opened(tmp_path) as office:
        yield office


PRICED = {
    "quote": {"tool": "quote"},
    "pay": {"tool": "pay", "args": {"to": "x", "amount": {"$ref": "facts.price"}}, "after": "quote"},
}

# --- the call is another one ---------------------------------------------------------------------------------------


async def test_a_fact_corrected_after_the_approval_is_asked_about_anew(office: Office) -> None:
    """An approval is for the arguments that were shown, also where they change before the call is made."""
    agent = office.payer(tools=[quote], plan=PRICED)
    await office.go(agent)
    await office.app.pause("r", by="ann")
    await office.yes()
    await office.go(agent)
    assert office.paid == []
    await office.app.correct("r", "price", 950, by="bob")
    await office.app.resume("r", by="ann")
    await office.go(agent)
    assert office.paid == []
    assert (await office.asked()).args == {"to": "x", "amount": 950}
    await office.yes()
    assert (await office.go(agent)).done
    assert office.paid == [("x", 950)]


async def test_an_answer_to_arguments_that_changed_meanwhile_is_void(office: Office) -> None:
    """The correction is heard first, then the answer that was given to the old call: it decides nothing."""
    agent = office.payer(tools=[quote], plan=PRICED)
    await office.go(agent)
    await office.app.correct("r", "price", 950, by="bob")
    await office.yes()
    await office.go(agent)
    assert office.paid == []
    assert (await office.asked()).args["amount"] == 950


async def test_a_result_that_is_outdated_by_the_time_of_the_approval_is_looked_up_anew(office: Office) -> None:
    """What was approved rested on a price of two hours ago; the price of now is another one, and is asked about."""
    prices = [900.0, 1200.0]

    @tool(name="quote", safety="read", observes={"price": "@"}, valid_for="1h")
    def dearer() -> float:
        return prices.pop(0)

    agent = office.payer(tools=[dearer], plan=PRICED)
    await office.go(agent)
    office.clock.jump(2 * 3600)
    await office.yes()
    await office.go(agent)
    assert office.paid == []
    assert (await office.asked()).args["amount"] == 1200
    await office.yes()
    assert (await office.go(agent)).done
    assert office.paid == [("x", 1200.0)]


# --- the policy is another one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule", [LARGE, Rule(name="large", then="never", when="amount > 500"), Rule(name="other", who=("boss",))]
)
async def test_a_policy_that_changes_while_it_waits_asks_again(office: Office, rule: Rule) -> None:
    """The old question is withdrawn, its answer refused; also where the new policy would ask nobody."""
    await office.go(office.payer())
    first = await office.asked()
    agent = office.payer(rule, version="2")
    await office.go(agent)
    second = await office.asked()
    assert second.interrupt != first.interrupt and second.who == rule.who
    assert "not open any more: withdrawn" in await office.refused(interrupt=first.interrupt)
    assert office.paid == []


async def test_a_policy_that_changes_after_the_approval_and_before_the_call_asks_again(office: Office) -> None:
    """It is looked at once more when the call is about to be made, by the policy of that moment."""
    await office.go(office.payer())
    await office.yes()
    agent = office.payer(version="2")
    await office.go(agent)
    assert office.paid == []
    assert (await office.asked()).ruling is not None
    await office.yes()
    assert (await office.go(agent)).done
    assert office.paid == [("x", 900)]


async def test_a_policy_that_forbids_it_after_the_approval_has_the_last_word(office: Office) -> None:
    """No yes of yesterday goes over a no of the rules of today."""
    await office.go(office.payer())
    await office.yes()
    run = await office.go(office.payer(Rule(name="frozen", then="block")))
    assert run.status == "failed" and "frozen" in run.reason
    assert office.paid == []


async def test_a_policy_that_is_taken_away_lets_nothing_through_that_was_asked(office: Office) -> None:
    """An agent without a policy is no yes to what a person was asked under one."""
    await office.go(office.payer())
    agent = Agent("payer", tools=[office.pay()], plan={"pay": {"tool": "pay", "args": {"to": "x", "amount": 900}}})
    await office.go(agent)
    assert office.paid == []
    await office.yes()
    assert (await office.go(agent)).done
    assert office.paid == [("x", 900)]


# --- the tool is another one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["while it waits", "after the approval"])
@pytest.mark.parametrize(
    ("promise", "about"),
    [({"timeout": "90s"}, "call"), ({"amount": "amount", "approvers": ("boss",)}, "call"), ({"safety": "irreversible"}, "agent")],
)
async def test_a_tool_that_changes_is_asked_about_anew(office: Office, when: str, promise: dict[str, Any], about: str) -> None:
    """An approval is for what the tool promised when it was shown; a tool that promises less is a question of its own."""
    await office.go(office.payer())
    if when == "after the approval":
        await office.yes()
    agent = office.payer(promise=promise)
    await office.go(agent)
    assert office.paid == []
    questions = (await office.state()).interrupts
    assert [asked.about for asked in questions.values()][-1] == about
    if when == "while it waits" and about == "call":
        assert "withdrawn" in await office.refused(interrupt="pay-1")


async def test_a_tool_that_is_gone_is_not_called_by_another_name(office: Office) -> None:
    """An approved call whose tool the agent has lost fails; nothing else is called in its place."""
    await office.go(office.payer())
    await office.yes()
    other = tool(name="transfer", safety="keyed", key_ttl="24h")(lambda: office.paid.append(("other", 0)))
    run = await office.go(Agent("payer", tools=[other], plan={"pay": {"tool": "transfer"}}))
    for _ in range(3):
        for asked in run.questions:
            await office.yes(interrupt=asked.interrupt)
        run = await office.go(Agent("payer", tools=[other], plan={"pay": {"tool": "transfer"}}))
    assert run.status == "failed" and "no tool pay" in run.reason
    assert office.paid == []


# --- functions of the user's ---------------------------------------------------------------------------------------


async def test_a_check_that_answers_differently_at_dispatch_has_the_last_word(office: Office) -> None:
    """It is asked again between the approval and the call: by then the account is frozen."""
    answers = [False, True]
    frozen = check("frozen", lambda proposed: answers.pop(0))
    agent = office.payer(Rule(name="frozen", then="block", check="frozen"), LARGE, checks=[frozen])
    await office.go(agent)
    await office.yes()
    run = await office.go(agent)
    assert run.status == "failed" and "rule frozen" in run.reason
    assert (answers, office.paid) == ([], [])


async def test_a_check_that_cannot_make_up_its_mind_never_lets_a_call_through_by_itself(office: Office) -> None:
    """Each time that it answers otherwise than it was approved, a person is asked again."""
    calls: list[int] = []

    def odd(proposed: Any) -> bool:
        calls.append(1)
        return len(calls) % 2 == 1

    agent = office.payer(Rule(name="odd", check="odd"), Rule(name="all"), checks=[odd])
    for _ in range(4):
        await office.go(agent)
        assert office.paid == []
        await office.yes()
    assert len(calls) >= 4


async def test_a_check_that_answers_differently_in_another_process_is_heard_once(office: Office) -> None:
    """What it said is an entry; a worker that takes the run on does not ask again, so a yes cannot be had by restarts."""
    calls: list[int] = []

    def odd(proposed: Any) -> bool:
        calls.append(1)
        return len(calls) == 1

    agent = office.payer(Rule(name="odd", check="odd"), checks=[odd])
    for _ in range(3):
        await office.go(agent)
        async with Holdfast(office.db, clock=office.clock) as other:
            assert (await other.run(agent, id="r", patience_seconds=5.0)).status == "blocked"
    assert (len(calls), office.paid) == (1, [])


async def hangs(proposed: Any) -> bool:
    await asyncio.sleep(60)
    return False


def raises(proposed: Any) -> bool:
    raise RuntimeError("the service of the check is down")


def returns_one(proposed: Any) -> Any:
    return 1


def returns_nothing(proposed: Any) -> Any:
    return 0


def returns_a_text(proposed: Any) -> Any:
    return "no"


def returns_what_is_to_be_awaited(proposed: Any) -> Any:
    return asyncio.sleep(0)


@pytest.mark.parametrize("function", [hangs, raises, returns_one, returns_nothing, returns_a_text, returns_what_is_to_be_awaited])
@pytest.mark.parametrize("then", ["always", "never"])
async def test_a_check_that_says_neither_yes_nor_no_asks(
    office: Office, function: Callable[..., Any], then: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that raises, hangs or returns something like a yes or no opens no door, whatever its rule would say."""
    monkeypatch.setattr(gates, "CheckCall", partial(CheckCall, timeout_seconds=1.0))
    agent = office.payer(Rule(name="odd", then=then, check=function.__name__), checks=[function])
    run = await office.go(agent)
    assert run.status == "blocked" and office.paid == []
    ruling = (await office.asked()).ruling
    assert ruling is not None and function.__name__ in ruling.why


# --- the table -----------------------------------------------------------------------------------------------------

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "approval-attacks.md"


def test_the_table_has_a_row_for_each_attack_and_each_row_a_test() -> None:
    """What the page promises is tried, and what is tried is on the page."""
    files = sorted(HERE.glob("test_approval_attacks*.py"))
    tried = [name for file in files for name in re.findall(r"^async def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)]
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and "`test_" in line]
    named = [name for line in rows for name in re.findall(r"`(test_\w+)`", line)]
    assert all(len(line.split(" | ")) == 4 for line in rows)
    assert (len(named), len(tried)) == (len(set(named)), len(set(tried))), "each once"
    assert set(named) == set(tried)
