"""What rules look at: a call or a plan, laid out as JSON, with what it rests on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast.core import events as e
from holdfast.core.conditions import CALL_WORDS, PLAN_WORDS
from holdfast.core.facts import Fact
from holdfast.core.plan import Plan
from holdfast.core.proposed import amount_in, proposed_call, proposed_plan
from holdfast.core.provenance import facts_beneath, is_tainted, steps_beneath
from tests.core.story import T0, Story, ref, step, tool

WEB = tool("web", "read", untrusted=True)
PAY = tool("pay", "keyed", amount="sum")


def read_and_paid() -> Story:
    """A payment that rests on a fact, on a page, and on what was made of the page."""
    story = Story(
        [
            step("page", "web"),
            step("name", "clean", args={"of": ref("steps.page.name")}),
            step("pay", "pay", args={"to": ref("steps.name"), "sum": ref("facts.price")}),
            step("other", "pay", args={"to": "x"}),
        ],
        WEB, tool("clean", "read"), PAY, inputs={"n": 1},
    )  # fmt: skip
    price = Fact(name="price", value=5, source="inferred", at=T0, rests_on=("trip",))
    story.tell(e.FactsLearned(facts=(Fact(name="trip", value="NY", by="ann", at=T0), price)))
    story.decide()
    return story.succeed("page", {"name": "x"})


def test_a_call_is_laid_out_with_every_word_that_rules_know() -> None:
    """And is JSON."""
    story = read_and_paid()
    story.decide()
    story.succeed("name", "x")
    document = proposed_call(story.run, story["pay"], PAY, {"to": "x", "sum": "12.5"})
    assert set(document) == set(CALL_WORDS)
    assert (document["args"], document["amount"], document["facts"]) == (
        {"to": "x", "sum": "12.5"},
        12.5,
        {"price": 5, "trip": "NY"},
    )
    assert (document["inferred"], document["tainted"], document["inputs"], document["tool"]) == (True, True, {"n": 1}, "pay")
    assert msgspec.json.decode(msgspec.json.encode(document)) == document


def test_a_plan_is_laid_out_with_every_word_that_rules_know() -> None:
    """How many steps, and which tools, each once."""
    story = read_and_paid()
    plan = Plan(steps=(step("a", "pay", confidence=0.5), step("b", "pay"), step("c", "web")))
    document = proposed_plan(story.run, plan)
    assert set(document) == set(PLAN_WORDS)
    assert (document["steps"], document["tools"], document["confidence"]) == (3, ["pay", "web"], 0.5)


def test_a_step_rests_on_all_that_its_values_come_through() -> None:
    """Through the results of other steps, and through facts."""
    story = read_and_paid()
    assert {each.step.id for each in steps_beneath(story.run, "pay")} >= {"pay"}
    story.decide()
    story.succeed("name", "x")
    assert {each.step.id for each in steps_beneath(story.run, "pay")} == {"pay", "name", "page"}
    assert [fact.name for fact in facts_beneath(story.run, "pay")] == ["price", "trip"]
    assert facts_beneath(story.run, "other") == ()
    assert is_tainted(story.run, "pay") and not is_tainted(story.run, "other")


def test_what_a_person_gave_in_place_of_a_page_is_not_tainted() -> None:
    """They vouch for it."""
    story = Story([step("page", "web"), step("pay", "pay", args={"to": ref("steps.page")})], WEB, PAY)
    story.tell(e.StepDoneByHand(step="page", by="ann", value="x")).decide()
    assert not is_tainted(story.run, "pay")


@pytest.mark.parametrize(
    ("args", "amount"),
    [
        ({"sum": 5}, 5.0), ({"sum": "12.50"}, 12.5), ({"sum": -1}, -1.0), ({"sum": True}, None), ({"sum": None}, None),
        ({"sum": "1_000"}, None), ({"sum": "1e400"}, None), ({"sum": "NaN"}, None), ({"sum": [1]}, None), ({"amount": 5}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_amount_is_a_plain_number_or_none(args: dict[str, Any], amount: float | None) -> None:
    """In the argument that the tool names, or in one called `amount` where it names none."""
    assert amount_in(PAY, args) == amount
    assert amount_in(tool("t"), {"amount": args.get("sum")}) == amount
