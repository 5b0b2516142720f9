"""Another policy over what was recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.policy import Check, Policy, Rule
from holdfast.figures import Overruled, Side, what_if
from holdfast.journal.people import Judged
from tests.figures.rows import T0, asked, odd_rows, ruled


def looked(amount: float, **of: Any) -> dict[str, Any]:
    """What a policy looked at, and what the row says of it."""
    document = {"args": {"amount": amount}, "amount": amount, "tool": "refund", "tainted": False, **of.pop("document", {})}
    return {"amount": amount, "document": document, **of}


def policy(*rules: Rule) -> Policy:
    """The other one."""
    return Policy(name="refunds", version="2", rules=rules)


ABOVE_500 = policy(
    Rule(name="huge", then="block", when="amount > 5000"),
    Rule(name="large", when="amount > 500"),
    Rule(name="rest", then="never"),
)


def test_the_known_record_is_counted() -> None:
    """What would be asked, blocked, let through; and what people had said of it."""
    rows = [
        asked(1, "approve", **looked(100)),
        asked(2, "approve", **looked(200), seen_at=T0 + 2, decided_at=T0 + 22),
        asked(3, "reject", **looked(300)),
        asked(4, "edit", **looked(400)),
        asked(5, "reject", **looked(600)),
        asked(6, "reject", **looked(6000)),
        asked(7, "approve", **looked(7000)),
        ruled(8, **looked(800)),
        ruled(9, **looked(90)),
    ]
    found = what_if(ABOVE_500, rows)
    assert (found.policy, found.rows, found.left_out) == ("refunds@2", 9, 0)
    assert found.recorded == Side(asked=7, not_asked=2)
    assert found.proposed == Side(asked=2, not_asked=5, blocked=2)
    assert found.people == Overruled(
        caught=1,
        stopped=1,
        let_through=2,
        let_through_amount=700.0,
        saved=2,
        saved_seconds=13.0,
        blocked_approved=1,
        newly_asked=1,
    )
    assert [(example.run_id, example.decision, example.amount, example.rule) for example in found.examples] == [
        ("r4", "edit", 400.0, "rest"), ("r3", "reject", 300.0, "rest"),
    ]  # fmt: skip


def test_each_rule_has_its_share() -> None:
    """In the order of the policy, also those that matched nothing."""
    rules = what_if(ABOVE_500, [asked(1, "reject", **looked(600)), asked(2, "approve", **looked(5))]).rules
    assert [(side.rule, side.side, side.people.caught, side.people.saved) for side in rules] == [
        ("huge", Side(), 0, 0),
        ("large", Side(asked=1), 1, 0),
        ("rest", Side(not_asked=1), 0, 1),
    ]


def test_what_no_rule_matches_is_said_to_be_unmatched() -> None:
    """The tool itself would say, and what it says is not in the record: it is neither caught nor let through."""
    found = what_if(
        policy(Rule(name="large", when="amount > 500")), [asked(1, "reject", **looked(5)), asked(2, "approve", **looked(5))]
    )
    assert found.proposed == Side(unmatched=2)
    assert found.people == Overruled()


def test_what_depends_on_a_function_cannot_be_told_unless_its_answer_is_given() -> None:
    """Nothing is called."""
    other = policy(Rule(name="odd", when="amount > 10", check="is_odd"), Rule(name="rest", then="never"))
    rows = [asked(1, "reject", **looked(50)), asked(2, "reject", **looked(5))]
    assert what_if(other, rows).proposed == Side(cannot_tell=1, not_asked=1)
    assert what_if(other, rows, {"is_odd": Check(holds=True)}).proposed == Side(asked=1, not_asked=1)
    assert what_if(other, rows, {"is_odd": Check(holds=False)}).proposed == Side(not_asked=2)
    assert what_if(other, rows, {"is_odd": Check(why="raised")}).proposed == Side(asked=1, not_asked=1)


def test_a_draw_that_was_recorded_is_used_again() -> None:
    """By the rule of the same name; a higher rate asks for all that were asked."""
    rows = [asked(n, "reject", verdict="sample", draw=n / 100, rate=0.5, **looked(5)) for n in range(50)]
    rows += [ruled(n, verdict="sample", draw=n / 100, rate=0.5, **looked(5)) for n in range(50, 100)]
    found = what_if(policy(Rule(name="large", then="sample", rate=0.2)), rows)
    assert found.recorded == Side(asked=50, sampled=50, not_asked=50)
    assert found.proposed == Side(asked=20, sampled=20, not_asked=80)
    assert (found.people.caught, found.people.let_through) == (20, 30)


def test_a_draw_that_was_not_recorded_is_the_same_each_time() -> None:
    """It follows from run, step and rule."""
    rows = [asked(n, "approve", **looked(5)) for n in range(400)]
    other = policy(Rule(name="some", then="sample", rate=0.25))
    found = what_if(other, rows)
    assert 60 < found.proposed.sampled < 140
    assert found == what_if(other, rows)


def test_plans_are_ruled_by_rules_for_plans() -> None:
    """And calls by those for calls; questions of agents and calls in doubt are left out, as is what nothing is recorded of."""
    other = policy(Rule(name="long", on="plan", when="steps > 3"), Rule(name="all"))
    rows = [
        ruled(1, about="plan", document={"steps": 5, "tools": []}),
        ruled(2, about="plan", document={"steps": 2, "tools": []}),
        ruled(3, **looked(1)),
        asked(4, "reject", about="doubt"),
        asked(5, "respond", about="question", kind="question"),
        ruled(6, document={}),
        asked(7, "approve", about="failure", **looked(1)),
    ]
    found = what_if(other, rows)
    assert (found.rows, found.left_out) == (3, 4)
    assert found.proposed == Side(asked=2, unmatched=1)


def test_standing_approvals_and_silence_are_held_against_nothing() -> None:
    """A yes that was given in advance, and no answer at all, are no judgement of this call."""
    rows = [asked(1, "approve", standing="s", **looked(5)), asked(2, "expired", **looked(5)), asked(3, **looked(5))]
    assert what_if(ABOVE_500, rows).people == Overruled()


@pytest.mark.parametrize("amount", [None, float("nan")])
def test_overridden_without_an_amount_have_none_together(amount: float | None) -> None:
    """None, and not 0."""
    row = asked(1, "reject", document={"amount": 5}, amount=amount)
    assert what_if(policy(Rule(name="rest", then="never")), [row]).people.let_through_amount is None


@given(st.lists(odd_rows, max_size=30), st.sampled_from(["block", "always", "sample", "never"]))
def test_all_rows_are_somewhere(rows: list[Judged], then: Any) -> None:
    """Whatever they say, on both sides, and nothing raises."""
    found = what_if(policy(Rule(name="one", then=then, when="amount > 1"), Rule(name="two", on="plan", check="f")), rows)
    assert found.rows + found.left_out == len(rows)
    for side in (found.recorded, found.proposed):
        assert side.asked + side.not_asked + side.blocked + side.cannot_tell + side.unmatched == found.rows
        assert side.sampled <= side.asked
