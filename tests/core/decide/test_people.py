"""What people hold up: a pause, a run that is taken over, a plan to be approved as a whole, a step done by hand."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CheckCall
from holdfast.core.policy import Check, Policy, Rule
from holdfast.core.state import status
from tests.core.story import T0, Story, ref, step, tool

READ, FINAL = tool("t", "read"), tool("u", "irreversible")
TWO = [step("a"), step("b", after=("a",))]


# --- pause ------------------------------------------------------------------------------------------------------------


def test_a_paused_run_begins_nothing_and_finishes_what_is_under_way() -> None:
    """A word later it goes on from there."""
    told = Story(TWO, READ)
    assert told.called() == ["a"]
    told.tell(e.RunPaused(by="ann")).succeed("a", 1)
    assert told.called() == []
    assert status(told.run, told.now) == "blocked"
    assert told.tell(e.RunContinued(by="ann")).called() == ["b"]


def test_a_pause_may_end_by_itself() -> None:
    """And is waited for, not asked about."""
    told = Story(TWO, READ)
    told.tell(e.RunPaused(by="ann", until=T0 + 100))
    told.decide()
    assert told.last is not None and told.last.wake_at == T0 + 100
    assert status(told.run, told.now) == "waiting"
    assert told.called(after=100) == ["a"]
    (over,) = told.events(e.RunContinued)
    assert over.by == ""


def test_a_retry_waits_for_the_end_of_a_pause() -> None:
    """It is a new call like any other."""
    told = Story([step("a")], READ)
    told.decide()
    told.fail("a").tell(e.RunPaused(by="ann")).decide()
    assert told.called(after=600) == []
    assert told.tell(e.RunContinued(by="ann")).called() == ["a"]


def test_a_paused_run_can_be_cancelled_and_ends_at_its_bounds() -> None:
    """Nothing waits for ever."""
    told = Story(TWO, READ)
    told.tell(e.RunPaused(by="ann")).cancel().decide()
    assert told.run.ended == "cancelled"
    told = Story(TWO, READ)
    told.tell(e.RunPaused(by="ann")).decide()
    told.decide(after=91 * 86400)
    assert told.run.ended == "failed"


def test_a_question_of_a_paused_run_can_be_answered() -> None:
    """The call is made when the run goes on."""
    told = Story([step("a", "u")], FINAL)
    told.decide()
    told.tell(e.RunPaused(by="ann")).answer("approve")
    assert told.called() == []
    assert told.tell(e.RunContinued(by="ann")).called() == ["a"]


# --- taking over ------------------------------------------------------------------------------------------------------


def taken_over() -> Story:
    """A run that ann took over before its first call."""
    told = Story(TWO, READ)
    told.tell(e.HandoffRequested(by="ann", reason="odd"))
    told.decide()
    return told


def test_a_run_that_is_taken_over_waits_for_the_word_how_it_goes_on() -> None:
    """What is under way ends first."""
    told = Story(TWO, READ)
    told.decide()
    told.tell(e.HandoffRequested(by="ann"))
    told.decide()
    assert not told.open
    told.succeed("a")
    assert told.called() == []
    assert (told.asked.kind, told.asked.about) == ("handoff", "handoff")
    assert status(told.run, told.now) == "blocked"
    assert told.answer("approve").called() == ["b"]


@pytest.mark.parametrize(("decision", "ended"), [("reject", "failed"), ("cancel", "cancelled"), ("respond", "completed")])
def test_whoever_has_it_may_end_it(decision: str, ended: str) -> None:
    """Stopped, cancelled, or reached by hand, with its result."""
    told = taken_over()
    told.answer(decision, {"n": 1} if decision == "respond" else None).decide()
    assert told.run.ended == ended
    assert told.run.result == ({"n": 1} if decision == "respond" else None)


def test_a_run_that_nobody_hands_back_ends() -> None:
    """Silence is no yes."""
    told = taken_over()
    told.decide(after=8 * 86400)
    assert told.run.ended == "failed" and "handed it back" in told.run.reason


def test_steps_done_by_hand_stay_done_and_the_run_goes_on_from_there() -> None:
    """With the result that the person gives, which later steps use."""
    told = Story([step("a"), step("b", args={"x": ref("steps.a.n")})], READ)
    told.tell(e.HandoffRequested(by="ann")).decide()
    told.tell(e.StepDoneByHand(step="a", by="ann", value={"n": 7}))
    told.answer("approve")
    (call,) = told.decide().commands
    assert (call.step, call.args) == ("b", {"x": 7})  # type: ignore[union-attr]
    assert told["a"].settled_by == "person"


def test_a_step_that_somebody_is_asked_about_may_be_done_by_hand() -> None:
    """The question is settled by that."""
    told = Story([step("a", "u")], FINAL)
    told.decide()
    told.tell(e.StepDoneByHand(step="a", by="ann", value=1)).decide()
    assert told.run.ended == "completed" and not told.open
    assert told.run.decided.get("a-1") == "done by hand by ann"


def test_a_step_that_is_owed_may_be_done_by_hand() -> None:
    """It is waited for no more."""
    told = Story([step("a")], tool("t", "keyed", callback=True))
    told.decide()
    told.defer("a").decide()
    told.tell(e.StepDoneByHand(step="a", by="ann", value=1)).decide()
    assert told.run.ended == "completed" and not told.run.pending


def test_a_failed_step_may_be_handed_over() -> None:
    """The plan says so, and a person settles it with a result."""
    told = Story([step("a", retry=None, on_failure="hand_off"), step("b", after=("a",))], READ)
    told.decide()
    told.fail("a", "not_found").decide()
    assert (told.asked.kind, told.asked.about) == ("handoff", "failure")
    assert told.answer("respond", 5).called() == ["b"]


# --- the plan as a whole ----------------------------------------------------------------------------------------------


def planned(*steps: Any, contracts: Any = (READ, FINAL), rules: tuple[Rule, ...] = ()) -> Story:
    """A run whose plan is asked about where it has more than one step."""
    policy = Policy(name="p", rules=(*rules, Rule(name="plans", on="plan", when="steps > 1", who=("ann",))))
    return Story(steps, *contracts, start={"policy": policy}, inputs={"n": 3})


def test_nothing_of_a_plan_begins_before_it_is_approved() -> None:
    """A smaller one needs no word."""
    told = planned(*TWO)
    assert told.called() == []
    assert (told.asked.about, told.asked.who) == ("plan", ("ann",))
    assert status(told.run, told.now) == "blocked"
    assert told.answer("approve").called() == ["a"]
    assert planned(step("a")).called() == ["a"]


def test_a_plan_that_is_refused_is_not_carried_out() -> None:
    """Nor one that nobody answered about."""
    told = planned(*TWO)
    told.decide()
    told.answer("reject", note="too much").decide()
    assert told.run.ended == "failed" and "too much" in told.run.reason
    told = planned(*TWO)
    told.decide()
    told.decide(after=8 * 86400)
    assert told.run.ended == "failed"


def test_an_approved_plan_covers_the_calls_that_were_shown_whole() -> None:
    """One whose arguments were not known then is asked about when they are."""
    told = planned(
        step("a", "u", args={"n": ref("inputs.n")}), step("b", "u", args={"n": ref("steps.a.n")}), contracts=(FINAL,)
    )  # fmt: skip
    told.decide()
    assert told.asked.args["steps"]["a"] == {"tool": "u", "args": {"n": 3}}
    assert set(told.asked.calls) == {"a"}
    assert told.answer("approve").called() == ["a"]
    told.succeed("a", {"n": 4})
    assert told.called() == []
    assert told.asked.args == {"n": 4}


def test_an_approved_plan_does_not_cover_what_others_must_decide() -> None:
    """The word of one person is none of two."""
    told = planned(step("a"), step("b", "u"), rules=(Rule(name="two", tools=("u",), people=2),))
    told.decide()
    assert told.asked.calls == {}


def test_a_plan_is_asked_about_again_when_the_policy_changes() -> None:
    """Even where the new one would let it pass."""
    told = planned(*TWO)
    told.decide()
    first = told.asked
    told.tell(e.PolicyChanged(policy=Policy(name="p", version="2")))
    assert told.called() == []
    assert told.asked.interrupt != first.interrupt


def test_a_blocked_plan_begins_nothing() -> None:
    """And says which rule it was."""
    policy = Policy(name="p", rules=(Rule(name="big", on="plan", then="block", when="steps > 1"),))
    told = Story(TWO, READ, start={"policy": policy})
    assert told.called() == []
    told.decide()
    assert told.run.ended == "failed" and "rule big" in told.run.reason


def test_functions_may_look_at_a_plan() -> None:
    """What they said is recorded, and a crash asks them again."""
    policy = Policy(name="p", rules=(Rule(name="odd", on="plan", check="is_odd"),))
    told = Story(TWO, READ, start={"policy": policy})
    (first,) = told.decide().commands
    (again,) = told.crash().decide().commands
    assert isinstance(first, CheckCall) and isinstance(again, CheckCall) and first.call == again.call
    told.tell(e.ChecksAnswered(call=again.call, answers={"is_odd": Check(holds=False)}))
    assert told.called() == ["a"]


# --- what the reasoner asked ------------------------------------------------------------------------------------------


def test_a_question_is_asked_no_more_when_what_it_rests_on_is_corrected() -> None:
    """Its prepared answers are for what is not so; another question stays."""
    from holdfast.core.facts import Fact
    from tests.core.mind import Mind, question

    mind = Mind(tool("t"), horizon=3)
    mind.tell(e.FactsLearned(facts=(Fact(name="airport", value="JFK", source="inferred", at=T0),)))
    mind.ask()
    mind.tell(
        e.QuestionsProposed(
            turn=1, questions=(question("flight", rests_on=("airport",)), question("seat", rests_on=("steps.x",)))
        )
    )  # fmt: skip
    mind.decide()
    assert {asked.asks.name for asked in mind.run.interrupts.values() if asked.asks} == {"flight", "seat"}
    mind.tell(e.FactsLearned(facts=(Fact(name="airport", value="LGA", source="told", by="ann", at=T0, pinned=True),)))
    mind.decide()
    assert {asked.asks.name for asked in mind.run.interrupts.values() if asked.asks} == {"seat"}
    assert set(mind.run.questions) == {"seat"}
