"""What a policy does to a call: ruled on once, asked about, blocked, checked again before it is made."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.commands import CallTool, CheckCall
from holdfast.core.ladder import Ladder, Rung
from holdfast.core.plan import Fallback
from holdfast.core.policy import Check, Policy, Rule
from tests.core.story import T0, Story, ref, step, tool, weaker

PAY = tool("t", "keyed", input_schema={"type": "object", "properties": {"amount": {}, "to": {}}})
LARGE = Rule(name="large", when="amount > 500")


def policy(*rules: Rule, **fields: Any) -> Policy:
    """A policy of these rules."""
    return Policy(name="p", rules=rules, **fields)


def story(*rules: Rule, amount: Any = 900, contract: Any = PAY, given: Policy | None = None, **fields: Any) -> Story:
    """A run of one call, under a policy."""
    args = {"amount": amount, "to": "x"}
    return Story([step("a", args=args, **fields)], contract, start={"policy": given or policy(*rules)})


def ruled(told: Story) -> list[e.PolicyRuled]:
    """Rulings after which nobody was asked."""
    return told.events(e.PolicyRuled)


# --- what a rule does -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "amount", "calls", "asks"),
    [
        ("always", 900, [], True),
        ("always", 100, ["a"], False),
        ("never", 900, ["a"], False),
        ("block", 900, [], False),
    ],
)
def test_a_rule_that_matches_says_what_follows(then: Any, amount: int, calls: list[str], asks: bool) -> None:
    """Asked, made without asking, or not made at all; a rule that does not match says nothing."""
    told = story(replace(LARGE, then=then), amount=amount)
    assert told.called() == calls
    assert bool(told.open) is asks


def test_a_blocked_call_fails_as_denied_and_is_never_sent() -> None:
    """Nobody is asked, nothing falls open, and the run says which rule it was."""
    told = story(replace(LARGE, then="block"))
    assert told.called() == []
    assert told["a"].phase == "failed"
    assert told.run.ended == "failed" and "rule large" in told.run.reason
    (ruling,) = ruled(told)
    assert (ruling.ruling.verdict, ruling.args) == ("block", {"amount": 900, "to": "x"})


def test_a_blocked_call_may_be_done_another_way() -> None:
    """A fallback is another call, and the policy rules on it too."""
    told = Story(
        [step("a", args={"amount": 900}, fallbacks=(Fallback(tool="u"),))],
        PAY,
        tool("u", "keyed"),
        start={"policy": policy(Rule(name="no t", then="block", tools=("t",)), Rule(name="u", tools=("u",)))},
    )
    assert told.called() == []
    assert told.asked.tool == "u"
    assert told.answer("approve").called() == ["a"]


def test_what_was_ruled_is_recorded_once_with_what_it_looked_at() -> None:
    """Also over retries of the call; a call that is asked about carries its ruling with the question."""
    told = story(replace(LARGE, then="never"))
    assert told.called() == ["a"]
    told.fail("a").decide()
    assert told.called(after=60) == ["a"]
    (ruling,) = ruled(told)
    assert ruling.ruling.looked == {"amount": 900.0}
    asked = story(LARGE)
    asked.decide()
    assert asked.asked.ruling is not None and asked.asked.ruling.rule == "large"
    assert ruled(asked) == []


def test_the_plan_and_the_tool_can_be_stricter_than_the_policy_and_no_milder() -> None:
    """A policy takes the place of what follows from the safety alone."""
    never = Rule(name="never", then="never")
    final = replace(PAY, safety="irreversible")
    assert story(never, contract=final).called() == ["a"]
    assert story(never, contract=final, approve="always").called() == []
    assert story(never, contract=replace(final, approve="always")).called() == []
    assert story(never, contract=replace(PAY, approve_when="amount > 500")).called() == []
    assert story(never, contract=replace(PAY, approve_when="amount > 5000")).called() == ["a"]
    assert story(never, ask_when="args.amount > `5`").called() == []


def test_what_cannot_be_worked_out_asks() -> None:
    """Policies never fail open: an amount that is no number, a condition on what is not there."""
    assert story(replace(LARGE, then="never"), amount="much").called() == []
    assert story(Rule(name="x", then="never", when="args.nothing < 5")).called() == []


def test_what_is_forbidden_either_way_is_asked_of_nobody() -> None:
    """A rule before it of which nobody can say whether it matches changes nothing about that."""
    unsure = Rule(name="x", then="never", when="args.nothing < 5")
    assert story(unsure, replace(LARGE, then="block")).called() == []
    told = story(unsure, replace(LARGE, then="block"))
    told.decide()
    assert told["a"].phase == "failed"
    told = story(unsure, replace(LARGE, then="never"), replace(LARGE, name="b", then="block"))
    told.decide()
    assert told.open, "the block would not have been reached"


def test_a_sample_is_drawn_once_for_a_step_and_holds_over_a_crash() -> None:
    """The same run and step draw the same, in every process."""
    sample = Rule(name="s", then="sample", rate=0.5)
    for run in range(20):
        told = Story([step("a", args={"amount": 1})], PAY, start={"policy": policy(sample), "run_id": f"r{run}"})
        asks = told.called() == []
        other = Story([step("a", args={"amount": 1})], PAY, start={"policy": policy(sample), "run_id": f"r{run}"})
        assert (other.crash().called() == []) is asks
        ruling = told.asked.ruling if asks else ruled(told)[0].ruling
        assert ruling is not None and ruling.draw is not None
        assert (ruling.draw < 0.5) is asks


# --- what an approval is bound to -------------------------------------------------------------------------------------


def test_a_policy_that_changes_while_somebody_is_asked_asks_again() -> None:
    """Also where the new one would not ask: once asked, a person decides."""
    told = story(LARGE)
    told.decide()
    first = told.asked
    told.crash().tell(e.PolicyChanged(policy=policy(replace(LARGE, then="never"))))
    assert told.called() == []
    assert told.asked.interrupt != first.interrupt and told.asked.digest != first.digest
    assert told.answer("approve").called() == ["a"]


def test_a_policy_that_changes_after_the_approval_asks_again() -> None:
    """The approval was for what the old one asked."""
    told = story(LARGE)
    told.decide()
    told.answer("approve").crash().tell(e.PolicyChanged(policy=policy(LARGE, version="2")))
    assert told.called() == []
    assert told.answer("approve").called() == ["a"]


def test_a_policy_that_forbids_it_after_the_approval_blocks_it() -> None:
    """Checked again at dispatch."""
    told = story(LARGE)
    told.decide()
    told.answer("approve").tell(e.PolicyChanged(policy=policy(replace(LARGE, then="block"))))
    assert told.called() == []
    assert told["a"].phase == "failed"


def test_an_edit_into_something_forbidden_is_not_made() -> None:
    """The gate is run again on what was edited."""
    told = Story(
        [step("a", args={"amount": 900, "to": "x"})], PAY,
        start={"policy": policy(Rule(name="xx", then="block", when="args.to == 'xx'"), LARGE)},
    )  # fmt: skip
    told.decide()
    told.answer("edit", {"amount": 900, "to": "xx"})
    assert told.called() == []
    assert told["a"].phase == "failed"


def test_an_edit_that_falls_under_another_rule_is_put_to_those_of_that_rule() -> None:
    """The word of one who may decide about little is none about much."""
    rules = (Rule(name="much", when="amount > 5000", who=("boss",)), LARGE)
    told = story(*rules)
    told.decide()
    told.answer("edit", {"amount": 9000, "to": "x"})
    assert told.called() == []
    assert told.asked.who == ("boss",)
    assert told.answer("approve").called() == ["a"]


def test_an_edit_within_the_rule_needs_no_second_word() -> None:
    """Who edits approves what they wrote."""
    told = story(LARGE)
    told.decide()
    (call,) = told.answer("edit", {"amount": 800, "to": "x"}).decide().commands
    assert isinstance(call, CallTool) and call.args["amount"] == 800


def test_an_approval_lapses() -> None:
    """What was approved and not made until the question would have expired is asked again."""
    told = story(LARGE)
    told.decide()
    told.answer("approve").tell(e.RunPaused(by="ann"))
    assert told.called() == []
    told.tell(e.RunContinued(by="ann"))
    assert told.called(after=8 * 86400) == []
    assert told.answer("approve").called() == ["a"]


def test_arguments_that_change_while_somebody_is_asked_are_asked_about_anew() -> None:
    """The old question is withdrawn at once, before anybody answers it."""
    from holdfast.core.facts import Fact

    told = Story(
        [step("a", args={"amount": ref("facts.price")})], PAY,
        start={"policy": policy(LARGE)},
    )  # fmt: skip
    told.tell(e.FactsLearned(facts=(Fact(name="price", value=900, source="told", by="ann", at=T0),)))
    told.decide()
    first = told.asked
    told.tell(e.FactsLearned(facts=(Fact(name="price", value=950, source="told", by="ann", at=T0, pinned=True),)))
    told.decide()
    assert told.asked.args == {"amount": 950}
    assert told.asked.interrupt != first.interrupt
    assert first.interrupt not in told.run.interrupts


def test_a_call_in_doubt_is_not_decided_by_the_policy() -> None:
    """Neither yes nor no to a new call would say anything about the one that may have happened: a person is asked about that."""
    told = story(replace(LARGE, then="never"))
    assert told.called() == ["a"]
    told.lose("a").tell(e.PolicyChanged(policy=policy(replace(LARGE, then="block"))))
    assert told.called() == []
    assert told.called(after=60) == []
    assert told.asked.about == "doubt"


# --- functions of the user's ------------------------------------------------------------------------------------------

CHECKED = Rule(name="frozen", check="is_frozen")


def check(told: Story) -> CheckCall:
    """The look that is under way."""
    (command,) = (each for each in told.decide().commands if isinstance(each, CheckCall))
    return command


def said(told: Story, command: CheckCall, holds: bool | None) -> Story:
    """What the function says."""
    return told.tell(e.ChecksAnswered(step=command.step, call=command.call, answers={"is_frozen": Check(holds=holds)}))


@pytest.mark.parametrize(("holds", "calls"), [(True, []), (None, []), (False, ["a"])])
def test_a_check_that_raises_asks(holds: bool | None, calls: list[str]) -> None:
    """Yes asks, no does not, and what nobody can say asks."""
    told = story(CHECKED)
    command = check(told)
    assert command.document["amount"] == 900
    assert said(told, command, holds).called() == calls


def test_a_check_whose_worker_is_lost_is_asked_again() -> None:
    """It changes nothing, so it is asked as often as needed; an answer that comes twice is one."""
    told = story(CHECKED)
    first = check(told)
    again = check(told.crash())
    assert again.call == first.call
    said(told, again, False)
    assert said(told, first, True).called() == ["a"]


def test_a_check_that_answers_differently_at_dispatch_asks_again() -> None:
    """What a person approved is what was so when they did; it is looked at again before the call is made."""
    told = story(replace(CHECKED, then="never"), LARGE)
    said(told, check(told), False).decide()
    told.answer("approve")
    assert said(told, check(told), True).called() == ["a"], "the rule that matches now asks nobody"
    told = story(replace(CHECKED, then="block"), LARGE)
    said(told, check(told), False).decide()
    told.answer("approve")
    assert said(told, check(told), True).called() == [], "and one that forbids it forbids it"
    assert told["a"].phase == "failed"


def test_what_a_check_said_is_not_asked_again_for_a_retry() -> None:
    """Decisions are recorded, never recomputed."""
    told = story(CHECKED)
    assert said(told, check(told), False).called() == ["a"]
    told.fail("a").decide()
    assert told.called(after=60) == ["a"]


def test_a_check_is_asked_again_when_the_agent_changed() -> None:
    """Its answer was for the call as it was."""
    told = story(CHECKED)
    said(told, check(told), False).crash().change(weaker(PAY, timeout_seconds=99.0))
    assert check(told).call


# --- several people, refusals, ladders --------------------------------------------------------------------------------


def test_two_must_approve_where_the_rule_says_so() -> None:
    """The first approval is kept and decides nothing."""
    told = story(replace(LARGE, people=2))
    told.decide()
    assert told.asked.people == 2
    told.tell(e.ApprovalGiven(interrupt=told.asked.interrupt, by="bob", left=1))
    assert told.called() == []
    assert told.run.standings[told.asked.interrupt].approvals == ("bob",)
    assert told.answer("approve").called() == ["a"]
    assert told["a"].approved_by == ("bob", "ann")


def test_who_refused_is_not_asked_again_and_the_run_stops_at_the_second_refusal() -> None:
    """Asking again for the same thing costs more."""
    pay = replace(PAY, business_key=("to",))
    ladder = Ladder(rungs=(Rung(who=("clerk",)), Rung(who=("boss",))))
    told = Story(
        [
            step("a", args={"amount": 900, "to": "x"}, on_failure="skip"),
            step("b", args={"amount": 901, "to": "x"}, on_failure="skip", after=("a",)),
            step("c", args={"amount": 902, "to": "x"}, on_failure="skip", after=("b",)),
        ],
        pay,
        start={"policy": policy(replace(LARGE, ladder=ladder))},
    )
    told.decide()
    assert (told.asked.who, told.asked.not_by) == (("clerk",), ())
    told.answer("reject").decide()
    assert (told.asked.step, told.asked.who, told.asked.not_by) == ("b", ("boss",), ("ann",))
    told.tell(e.Answered(interrupt=told.asked.interrupt, decision="reject", by="bob"))
    assert told.called() == []
    assert told.run.ended == "failed" and "refused" in told.run.reason


def test_a_ladder_is_climbed_and_ends_in_a_no() -> None:
    """Reminded, then the next rung, then nobody answered: never a yes."""
    ladder = Ladder(rungs=(Rung(who=("clerk",), seconds=100, remind_seconds=40), Rung(who=("boss",), seconds=50)))
    told = story(replace(LARGE, ladder=ladder))
    told.decide()
    assert told.last is not None and told.last.wake_at == T0 + 40
    assert (told.asked.who, told.asked.expires_at) == (("clerk",), T0 + 150)
    told.decide(after=40)
    told.decide(after=40)
    assert [each.number for each in told.events(e.Reminded)] == [1, 2]
    told.decide(after=20)
    assert told.asked.who == ("boss",)
    assert told.run.standings[told.asked.interrupt].rung == 1
    told.decide(after=50)
    assert told.run.ended == "failed"
    assert "nobody answered" in told.run.reason


def test_at_the_end_of_a_ladder_somebody_may_take_it_over() -> None:
    """It is handed off, stays open for them, and is a no after that."""
    ladder = Ladder(rungs=(Rung(seconds=100),), at_deadline="hand_off", hand_off_to=("head",), hand_off_seconds=1000)
    told = story(replace(LARGE, ladder=ladder))
    told.decide()
    told.decide(after=100)
    assert (told.asked.kind, told.asked.who) == ("handoff", ("head",))
    assert told.answer("approve").called() == ["a"]
    told = story(replace(LARGE, ladder=ladder))
    told.decide()
    told.decide(after=100)
    told.decide(after=1000)
    assert told.run.ended == "failed"


def test_a_worker_that_was_away_climbs_at_once_and_a_deadline_that_passed_is_over() -> None:
    """Nothing is asked of anybody after the time that they were told."""
    ladder = Ladder(rungs=(Rung(seconds=100, remind_seconds=10), Rung(seconds=100, remind_seconds=10)))
    told = story(replace(LARGE, ladder=ladder))
    told.decide()
    told.decide(after=155)
    assert len(told.events(e.Reminded)) <= 2, "no burst of reminders"
    assert told.run.standings[told.asked.interrupt].rung == 1
    told.crash(after=1e6).decide()
    assert told.run.ended == "failed"


def test_one_word_about_a_doubt_is_not_the_approval_of_two() -> None:
    """Whoever says that a call did not happen has one voice; the call that follows needs all that its rule wants."""
    told = Story([step("a", args={"amount": 900})], tool("t", "irreversible", approve="never"))
    told.called()
    two = Policy(name="p", rules=(Rule(name="two", people=2),))
    told.lose("a").tell(e.PolicyChanged(policy=two))
    told.decide()
    assert told.asked.about == "doubt"
    assert told.answer("approve").called() == []
    assert (told.asked.about, told.asked.people) == ("call", 2)
