"""The reasoner's turn: what it is asked for and when, what becomes of its plans, questions and results."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import checkpoint
from holdfast.core import events as e
from holdfast.core.facts import Fact
from holdfast.core.limits import Limits
from holdfast.core.plan import Goal, Plan
from holdfast.core.thinking import WHOLE_PLAN, Acceptance, Asking
from holdfast.reasoners.base import Ask, Finish, GiveUp, Interpret, Keep, Propose
from tests.core.mind import Mind, question
from tests.core.story import ref, step, tool

READ = tool("t")
KEYED = tool("k", "keyed")


def planned(*steps: Any, **fields: Any) -> Mind:
    """A run that plans ahead, with this plan, whose first steps were called."""
    fields.setdefault("horizon", WHOLE_PLAN)
    mind = Mind(READ, KEYED, **fields)
    mind.plan(*steps)
    mind.decide()
    return mind


def replan(name: str, called: str = "t", **fields: Any) -> Any:
    """A step whose failure is told to the reasoner."""
    return step(name, called, on_failure="replan", **fields)


def whole(mind: Mind) -> None:
    """The state comes back from a checkpoint, and the fold of a part and then of the rest is that of all."""
    assert checkpoint.from_bytes(checkpoint.to_bytes(mind.run)) == mind.run == mind.refold()


# --- phases -----------------------------------------------------------------------------------------------------------


def test_a_run_that_interprets_does_so_first() -> None:
    """Then it plans."""
    mind = Mind(READ, interpret=True)
    assert mind.ask().phase == "interpret"
    mind.say(Interpret(intent="go", facts=(Fact(name="to", value="NYC"),)))
    assert mind.ask().phase == "plan"
    assert (mind.run.intent, mind.run.facts["to"].value, mind.run.facts["to"].at) == ("go", "NYC", mind.now)


def test_what_it_says_of_what_was_given_does_not_change_it() -> None:
    """The input holds."""
    mind = Mind(READ, interpret=True, inputs={"to": "NYC"})
    mind.say(Interpret(intent="go", facts=(Fact(name="to", value="LA"),)))
    assert mind.run.facts["to"].value == "NYC"


def test_an_interpretation_that_cannot_be_taken_is_asked_for_again() -> None:
    """So often as repairs go."""
    mind = Mind(READ, interpret=True, repairs_max=2)
    mind.say(None)
    assert (mind.ask().phase, mind.run.turn) == ("interpret", 2)
    mind.answer_with(None).decide()
    assert mind.ended == "failed" and "proposed nothing that can be run" in mind.run.reason


def test_after_a_failure_it_diagnoses() -> None:
    """One that it is told of; then it plans again."""
    mind = Mind(READ)
    mind.plan(replan("a"))
    mind.decide()
    mind.fail("a", "denied", message="no")
    assert mind.ask().phase == "diagnose"
    mind.plan(replan("b", args={"n": 2}))
    mind.decide()
    mind.succeed("b")
    assert mind.ask().phase == "plan"


def test_a_whole_plan_is_followed_by_its_completion() -> None:
    """One step at a time is not."""
    mind = planned(step("a"))
    mind.succeed("a")
    assert mind.ask().phase == "complete"
    mind = planned(step("a"), horizon=2)
    mind.succeed("a")
    assert mind.ask().phase == "plan"


@pytest.mark.parametrize(("horizon", "reassess", "looks"), [(0, "step", True), (3, "step", True), (0, "surprise", False), (0, "never", False), (1, "step", False)])  # fmt: skip
def test_a_plan_is_looked_at_after_each_step_only_where_that_is_wanted(horizon: int, reassess: Any, looks: bool) -> None:
    """Before anything new of it begins."""
    mind = planned(step("a"), step("b", after=("a",)), horizon=horizon, reassess=reassess)
    mind.succeed("a", 1)
    decision = mind.decide()
    asked = [event.phase for event in decision.events if isinstance(event, e.ProposalRequested)]
    assert asked == (["reflect"] if looks else [])
    assert mind["b"].phase == ("ready" if looks else "flying")
    if looks:
        mind.keep()
        assert mind.called() == ["b"]


def test_what_is_in_flight_ends_before_a_plan_is_looked_at() -> None:
    """Nothing else begins in the meantime."""
    mind = planned(step("a"), step("b"), step("c", after=("a",)), reassess="step")
    mind.succeed("a")
    assert mind.decide().commands == ()
    mind.succeed("b")
    assert mind.ask().phase == "reflect"
    assert mind["c"].phase == "ready"
    mind.keep()
    assert mind.called() == ["c"]


def test_a_look_at_the_plan_that_nobody_can_take_holds_it_back() -> None:
    """Until a model answers again."""
    mind = planned(step("a"), step("b", after=("a",)), reassess="step")
    mind.succeed("a").ask()
    mind.refuse("transient")
    assert mind.decide().commands == ()
    assert mind.ask(2.0).phase == "reflect"
    mind.keep()
    assert mind.called() == ["b"]


# --- doubts -----------------------------------------------------------------------------------------------------------


def test_a_step_that_failed_puts_the_rest_of_the_plan_in_doubt() -> None:
    """Nothing new begins; what is in flight ends; the plan may be kept."""
    mind = planned(replan("a"), replan("b", args={"n": 2}), replan("c", args={"n": 3}, after=("b",)))
    mind.fail("a", "denied", message="no")
    assert (mind.ask().phase, mind.run.suspicions) == ("diagnose", ("step a failed: denied: no",))
    mind.succeed("b")
    assert (mind.decide().commands, mind["c"].phase) == ((), "ready")
    mind.keep()
    assert (mind.run.suspicions, mind.called()) == ((), ["c"])


def test_failures_in_a_row_put_the_plan_in_doubt_once() -> None:
    """Those of steps that nobody asks for again; the count begins anew then."""
    mind = planned(*(step(name, on_failure="skip", args={"n": name}) for name in "abcd"), step("e", after=("a", "b", "c")))
    mind.fail("a", "denied").fail("b", "denied").decide()
    assert mind.events(e.PlanSuspected) == []
    mind.fail("c", "denied").ask()
    assert mind.events(e.PlanSuspected) == [e.PlanSuspected(why="failures", reason="3 steps failed in a row")]
    assert mind["e"].phase == "ready"
    mind.keep()
    assert mind.called() == ["e"]
    mind.fail("d", "denied").decide()
    assert len(mind.events(e.PlanSuspected)) == 1


def test_a_success_ends_the_row_of_failures() -> None:
    """It is a row no more."""
    mind = planned(*(step(name, on_failure="skip", args={"n": name}) for name in "abcd"))
    mind.fail("a", "denied").fail("b", "denied").decide()
    mind.succeed("c").fail("d", "denied").decide()
    assert mind.events(e.PlanSuspected) == []


def test_what_could_not_begin_for_another_failed_is_no_failure_of_its_own() -> None:
    """One cause is counted once."""
    mind = planned(step("a", on_failure="skip"), *(step(name, on_failure="skip", args={"n": ref("steps.a")}) for name in "bcd"))
    mind.fail("a", "denied").ask()
    assert mind.events(e.PlanSuspected) == []
    assert mind.run.failures == 1


def test_a_fallback_is_no_failure_of_the_step() -> None:
    """It is still to be done, and is not looked at before it is."""
    from holdfast.core.plan import Fallback

    mind = Mind(READ, tool("u"), horizon=0, reassess="step", failures_max=1)
    mind.plan(step("a", fallbacks=(Fallback(tool="u"),)), step("b", after=("a",)))
    mind.decide()
    mind.fail("a", "denied")
    assert mind.called() == ["a"]
    assert (mind.run.unseen, mind.run.failures) == ((), 0)
    mind.succeed("a", 1)
    assert mind.run.unseen == ("a",)


def test_a_plan_that_was_to_be_the_last_is_asked_about_where_it_failed() -> None:
    """It does not just end."""
    mind = Mind(READ, horizon=0)
    mind.plan(replan("a"), final=True)
    mind.decide()
    mind.fail("a", "denied")
    assert mind.ask().phase == "diagnose"


# --- a changed goal ---------------------------------------------------------------------------------------------------


def changed(mind: Mind, **inputs: Any) -> Mind:
    """Somebody wants something else."""
    mind.tell(e.GoalChanged(goal=Goal(text="h", inputs=inputs), by="bob", note="quick"))
    return mind


def test_whoever_plans_hears_of_a_changed_goal_first() -> None:
    """What is done stays done, and what has not begun waits."""
    mind = planned(step("a"), step("b", after=("a",)), inputs={"x": 1, "y": 2})
    changed(mind, x=3).succeed("a", 1)
    assert mind.ask().phase == "diagnose"
    assert (mind.run.goal.text, mind.run.goal.inputs, mind.phases) == ("h", {"x": 3, "y": 2}, {"a": "done", "b": "ready"})
    assert mind.run.suspicions[0] == "bob changed the goal: quick"
    assert mind.run.facts["x"].value == 3


@pytest.mark.parametrize("proposal", [Finish("old"), GiveUp("cannot"), Keep(), Propose(plan=Plan(steps=(step("b"),), final=False))])  # fmt: skip
def test_an_answer_to_the_goal_of_before_does_not_settle_the_new_one(proposal: Any) -> None:
    """It was on its way when the goal changed."""
    mind = Mind(READ, horizon=3)
    mind.ask()
    changed(mind).answer_with(proposal)
    assert mind.ask().phase == "diagnose"
    assert not mind.ended and mind.run.result is None
    mind.say(Finish("new")).decide()
    assert (mind.ended, mind.run.result) == ("completed", "new")


def test_a_check_of_a_result_for_the_goal_of_before_says_nothing_of_the_new_one() -> None:
    """The new result is looked at itself."""
    mind = Mind(READ, tool("look"), accept=Acceptance(tool="look"))
    mind.say(Finish("old")).decide()
    changed(mind).succeed("check_1", True)
    mind.say(Finish("new"))
    assert mind.called() == ["check_2"]
    mind.succeed("check_2", False).decide()
    assert not mind.ended


# --- dropping and finishing -------------------------------------------------------------------------------------------


def test_a_plan_drops_what_has_not_begun() -> None:
    """And keeps what is done; what waited for it does not wait for ever."""
    mind = planned(step("a"), step("b", after=("a",)), step("c", after=("b",)))
    changed(mind).succeed("a", 1).ask()
    mind.plan(step("d", args={"n": ref("steps.a")}), dropped=("b", "c"))
    assert mind.phases == {"a": "done", "b": "skipped", "c": "skipped", "d": "ready"}
    assert mind["b"].reason.startswith("dropped by revision 2")
    assert mind.called() == ["d"]


def test_a_step_that_began_while_its_dropping_was_proposed_goes_on() -> None:
    """What is under way is not given up by words."""
    mind = planned(step("a"), step("b"))
    mind.tell(e.PlanAdopted(turn=2, revision=2, plan=Plan(steps=(step("c"),), final=False), dropped=("a",)))
    assert mind["a"].phase == "flying"
    mind.succeed("a", 1)
    assert mind["a"].phase == "done"


def test_what_a_person_has_not_allowed_yet_is_not_allowed_any_more_when_the_goal_changes() -> None:
    """They were asked about it for the goal as it was."""
    mind = Mind(READ, tool("irr", "irreversible"), horizon=0)
    mind.plan(step("a", "irr"), step("b"))
    mind.decide()
    assert mind.asked.step == "a"
    changed(mind)
    assert (mind["a"].phase, mind.open) == ("skipped", [])


def test_a_finish_drops_what_has_not_begun_and_waits_for_what_is_under_way() -> None:
    """Then the run ends with its result."""
    mind = planned(step("a"), step("b"), step("c", after=("b",)), reassess="step")
    mind.succeed("a").succeed("b").say(Finish("done"))
    mind = planned(step("a"), step("b"), step("c", after=("a",)))
    changed(mind).say(Finish("done"))
    assert mind.phases == {"a": "flying", "b": "flying", "c": "skipped"}
    assert mind.decide().commands == ()
    mind.succeed("a").succeed("b").decide()
    assert (mind.ended, mind.run.result, mind.run.skipped) == ("completed", "done", ())


def test_a_finish_does_not_wait_for_a_person_who_was_asked_about_what_is_not_needed() -> None:
    """The call was not made."""
    mind = Mind(READ, tool("irr", "irreversible"), horizon=0)
    mind.plan(step("a", "irr"))
    mind.decide()
    changed(mind).say(Finish("done")).decide()
    assert (mind.ended, mind["a"].phase) == ("completed", "skipped")


def test_giving_up_stops_the_run_once_what_is_in_flight_has_ended() -> None:
    """With the reason."""
    mind = planned(step("a"))
    changed(mind).say(GiveUp("no way")).decide()
    assert not mind.ended
    mind.succeed("a").decide()
    assert (mind.ended, mind.run.reason) == ("failed", "no way")


# --- acceptance -------------------------------------------------------------------------------------------------------


def test_a_result_that_meets_its_condition_is_accepted() -> None:
    """It may name the facts."""
    mind = Mind(READ, accept=Acceptance(that="result.n == facts.want"), inputs={"want": 3})
    mind.say(Finish({"n": 3})).decide()
    assert mind.ended == "completed"
    (ruled,) = mind.events(e.FinishRuled)
    assert (ruled.accepted, ruled.by) == (True, "result.n == facts.want")


def test_a_result_that_does_not_goes_back_with_the_reason_and_so_often_only() -> None:
    """Then the run stops, and what was done is kept."""
    mind = Mind(READ, accept=Acceptance(that="result.ok", finishes_max=2))
    mind.say(Finish({"ok": False}))
    assert mind.ask().turn == 2
    assert (mind.run.refusals, mind.run.refused_because) == (1, ("result.ok is false",))
    mind.answer_with(Finish({})).decide()
    assert mind.ended == "failed"
    assert mind.run.reason == "its result was refused 2 times: result.ok is false; result.ok is null"


def test_the_results_of_a_last_plan_that_will_not_do_are_refused_once() -> None:
    """Not again with each proposal that cannot be taken."""
    mind = Mind(READ, accept=Acceptance(that="a.n", finishes_max=3), horizon=0)
    mind.plan(step("a"), final=True)
    mind.decide()
    mind.succeed("a", 1).ask()
    mind.answer_with(None).ask()
    assert (mind.run.refusals, mind.run.proposal_failures) == (1, 1)


def checking(value: Any = None, fails: bool = False, **fields: Any) -> Mind:
    """A run whose result a tool looks at, which answers so."""
    looker = tool("look", input_schema={"type": "object", "properties": {"result": {}, "facts": {}, "goal": {}}})
    mind = Mind(READ, looker, accept=Acceptance(tool="look"), **fields)
    mind.say(Finish({"$ref": "steps.x", "n": 1}))
    assert mind.called() == ["check_1"]
    if fails:
        mind.fail("check_1", "denied", message="no access")
    else:
        mind.succeed("check_1", value)
    return mind


@pytest.mark.parametrize("value", [True, {"accepted": True}, {"verdict": "pass", "reason": "fine"}])
def test_a_result_that_a_tool_accepts_ends_the_run(value: Any) -> None:
    """The verdict is written down, with its reason."""
    mind = checking(value)
    mind.decide()
    assert mind.ended == "completed"
    (ruled,) = mind.events(e.FinishRuled)
    assert (ruled.accepted, ruled.by) == (True, "look")
    assert mind["check_1"].args == {
        "result": {"$literal": {"$ref": "steps.x", "n": 1}}, "goal": "g", "facts": {},
    } or mind["check_1"].args == {"result": {"$ref": "steps.x", "n": 1}, "goal": "g", "facts": {}}  # fmt: skip


@pytest.mark.parametrize("value", [False, None, 1, "yes", {}, {"accepted": 1}, {"accepted": "true"}, {"verdict": "fail"}, [True]])
def test_what_a_tool_does_not_clearly_accept_is_refused(value: Any) -> None:
    """Never the other way round."""
    mind = checking(value)
    assert mind.ask().turn == 2
    assert mind.run.refusals == 1 and not mind.run.finishing


def test_what_cannot_be_checked_is_not_done() -> None:
    """A policy never fails open."""
    mind = checking(fails=True)
    mind.ask()
    assert mind.run.refused_because == ("it could not be checked: denied: no access",)
    mind = Mind(READ, accept=Acceptance(tool="gone"))
    mind.say(Finish(1)).ask()
    assert "it could not be checked" in mind.run.refused_because[0]


def test_each_result_is_looked_at_itself() -> None:
    """By a step of its own."""
    mind = checking({"accepted": False, "reason": "too short"})
    mind.say(Finish("longer"))
    assert mind.called() == ["check_2"]
    mind.succeed("check_2", True).decide()
    assert (mind.ended, mind.run.result) == ("completed", "longer")


def test_a_look_at_the_result_is_no_part_of_it() -> None:
    """Also where the results of all steps are the result."""
    mind = Mind(READ, tool("look"), accept=Acceptance(tool="look"), horizon=0)
    mind.plan(step("a"), final=True)
    mind.decide()
    mind.succeed("a", 1)
    assert mind.called() == ["check_1"]
    mind.succeed("check_1", False).say(Propose(plan=Plan(steps=(step("b"),))))
    mind.decide()
    mind.succeed("b", 2)
    assert mind.called() == ["check_2"]
    mind.succeed("check_2", True).decide()
    assert (mind.ended, mind.run.result) == ("completed", {"a": 1, "b": 2})


def test_a_check_that_a_crash_took_is_made_again() -> None:
    """It reads only."""
    mind = Mind(READ, tool("look"), accept=Acceptance(tool="look"))
    mind.say(Finish(1)).decide()
    mind.crash().decide()
    assert mind.called(5.0) == ["check_1"] or mind["check_1"].phase == "flying"
    mind.succeed("check_1", True).decide()
    assert mind.ended == "completed"


# --- questions --------------------------------------------------------------------------------------------------------

GUESS: dict[str, Any] = {"guess": "SF", "confidence": 0.9, "basis": "the calendar"}
NEVER, ALWAYS = {"": Asking(policy="never")}, {"": Asking(policy="always")}


def test_a_question_is_put_to_a_person_and_its_answer_is_a_fact() -> None:
    """The reasoner waits; the rest of the plan goes on."""
    mind = Mind(READ)
    mind.say(Ask(questions=(question(answer_schema={"type": "string"}),)))
    assert mind.decide().commands == ()
    assert (mind.asked.about, mind.asked.kind, mind.asked.asks) == ("question", "question", mind.run.questions["city"])
    mind.answer("respond", "SF")
    assert mind.ask().turn == 2
    fact = mind.run.facts["city"]
    assert (fact.value, fact.source, fact.by, fact.pinned) == ("SF", "told", "ann", True)


def test_a_guess_is_taken_and_marked_as_one() -> None:
    """With how it was weighed; the run says at its end that it guessed."""
    mind = Mind(READ)
    mind.say(Ask(questions=(question(**GUESS),)))
    mind.ask()
    (ruled,) = mind.events(e.Inferred)
    assert "wrong at 10%" in ruled.why
    fact = mind.run.facts["city"]
    assert (fact.value, fact.source, fact.confidence, fact.basis) == ("SF", "inferred", 0.9, "the calendar")
    mind.say(Finish(1)).decide()
    assert mind.events(e.RunCompleted)[0].guessed == ("city",)


def test_each_question_is_weighed_by_its_own_policy() -> None:
    """Several at once."""
    mind = Mind(READ, asking={"pin": Asking(policy="always"), "": Asking(policy="never")})
    mind.say(Ask(questions=(question("pin", **GUESS), question("city", **GUESS), question("date"))))
    mind.decide()
    assert sorted(mind.run.questions) == ["date", "pin"]
    assert list(mind.run.facts) == ["city"]
    first, second = mind.open
    mind.answer("respond", 1, interrupt=first)
    assert not mind.is_asked(), "the other one is still open"
    mind.answer("respond", 2, interrupt=second)
    assert mind.is_asked()


@pytest.mark.parametrize(("says", "why"), [("reject", "ann does not say"), ("silence", "nobody answered")])
def test_that_there_is_no_answer_is_told(says: Any, why: str) -> None:
    """And nobody is asked again; the reasoner is asked at once."""
    mind = Mind(READ)
    mind.say(Ask(questions=(question(),))).decide()
    expires_at = mind.asked.expires_at
    if says == "silence":
        assert mind.ask(expires_at - mind.now).turn == 2
    else:
        mind.answer("reject").ask()
    assert mind.run.unanswered == {"city": why}
    mind.answer_with(Ask(questions=(question(),)))
    assert mind.run.proposal_problems == (f"city was asked, and {why}; go on without it, or give up",)


def test_what_was_answered_is_not_asked_again() -> None:
    """It is known."""
    mind = Mind(READ)
    mind.say(Ask(questions=(question(),))).decide()
    mind.answer("respond", "SF").say(Ask(questions=(question(),)))
    assert mind.run.proposal_problems == ("city is known already: it is 'SF'",)


def test_the_goal_may_leave_something_open() -> None:
    """What it does not say is asked for; what is known by then is not."""
    mind = Mind(READ, interpret=True, inputs={"date": "today"})
    mind.say(Interpret(intent="go", missing=(question("date"), question("city"), question("city"))))
    mind.decide()
    assert [asked.asks and asked.asks.name for asked in mind.events(e.Asked)] == ["city"]


def test_a_cancel_instead_of_an_answer_ends_the_run() -> None:
    """As anywhere."""
    mind = Mind(READ)
    mind.say(Ask(questions=(question(),))).decide()
    mind.answer("cancel").decide()
    assert mind.ended == "cancelled"


def test_the_same_guess_again_is_no_news() -> None:
    """A reasoner that only guesses comes to its end."""
    mind = Mind(READ, asking=NEVER, limits=Limits(idle_turns_max=3))
    for _ in range(10):
        mind.decide()
        if mind.ended:
            break
        mind.say(Ask(questions=(question(**GUESS),)))
    assert mind.ended == "failed" and "3 turns of the reasoner in a row taught nothing new" in mind.run.reason


def test_a_person_s_answer_takes_down_what_rested_on_the_guess() -> None:
    """And the reasoner is told."""
    mind = Mind(READ, asking=NEVER, horizon=0)
    mind.say(Ask(questions=(question(**GUESS),)))
    mind.plan(step("a"), step("b", after=("a",), rests_on=("city",)))
    mind.decide()
    told = Fact(name="city", value="LA", source="told", by="ann", at=mind.now, pinned=True)
    mind.tell(e.FactsLearned(facts=(told,))).ask()
    assert mind["b"].phase == "skipped"


# --- repeats ----------------------------------------------------------------------------------------------------------

AGAIN: dict[str, Any] = {"args": {"to": "x"}}


def done_once(**fields: Any) -> Mind:
    """A run that did an effect."""
    mind = Mind(READ, KEYED, tool("undo_k", "keyed"), **fields)
    mind.plan(replan("a", "k", **AGAIN))
    mind.decide()
    mind.succeed("a", 1)
    return mind


def test_an_effect_that_was_done_is_not_proposed_again() -> None:
    """The problem names the step."""
    mind = done_once()
    mind.say(Propose(plan=Plan(steps=(replan("b", "k", **AGAIN),), final=False)))
    assert mind.run.proposal_problems == ("step b would repeat step a, which is done: use its result",)


def test_an_effect_that_was_done_is_not_made_again_by_a_reference() -> None:
    """What only comes out when it is to be called is refused then."""
    mind = done_once(inputs={"who": "x"})
    mind.plan(replan("b", "k", args={"to": ref("inputs.who")}))
    assert mind.ask().phase == "diagnose"
    (refused,) = mind.events(e.CallRefused)
    assert (refused.step, refused.same_as, refused.failure.kind) == ("b", "a", "conflict")
    assert mind["b"].phase == "skipped" and len(mind.keys) == 1


def test_of_two_identical_effects_in_one_plan_one_is_made() -> None:
    """The other is refused."""
    mind = Mind(KEYED)
    mind.plan(replan("a", "k", **AGAIN), replan("b", "k", **AGAIN))
    assert mind.called() == ["a"]
    assert (mind["b"].phase, mind.events(e.CallRefused)[0].failure.kind) == ("skipped", "conflict")


def test_a_repeat_that_is_meant_is_made() -> None:
    """Under a key of its own."""
    mind = done_once()
    mind.plan(replan("b", "k", occurrence=2, **AGAIN))
    assert mind.called() == ["b"]
    assert len(set(mind.keys)) == 2


def test_a_call_that_failed_may_be_made_in_another_step() -> None:
    """It was not done."""
    mind = Mind(KEYED, READ)
    mind.plan(replan("a", "k", **AGAIN))
    mind.decide()
    mind.fail("a", "not_found").decide()
    mind.plan(step("z", "t")).decide()
    mind.succeed("z", 1)
    mind.plan(replan("b", "k", **AGAIN))
    mind.tell(e.SignalReceived(name="s", by="x"))
    refused = mind.called() == []
    assert not [event for event in mind.events(e.CallRefused) if event.failure.kind == "conflict"]
    assert refused, "nothing that changes anything was done since it failed"


def test_what_was_taken_back_may_be_done_again() -> None:
    """It is not done any more."""
    mind = Mind(tool("k", "keyed", undo="undo_k"), tool("undo_k", "keyed"))
    mind.plan(replan("a", "k", **AGAIN)).decide()
    mind.succeed("a", 1)
    mind.plan(replan("u", "undo_k", undoes="a")).decide()
    mind.succeed("u", 1)
    mind.plan(replan("b", "k", **AGAIN))
    assert mind.called() == ["b"]


def test_what_only_reads_may_be_read_again() -> None:
    """As often as it is asked for."""
    mind = Mind(READ)
    mind.plan(replan("a")).decide()
    mind.succeed("a", 1)
    mind.plan(replan("b"))
    assert mind.called() == ["b"]


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_there_are_so_many_plans_and_no_more() -> None:
    """The reasoner may still finish; a further plan stops the run with the reason."""
    mind = Mind(READ, horizon=0, limits=Limits(revisions_max=2))
    for name in "ab":
        mind.plan(step(name)).decide()
        mind.succeed(name, name)
    mind.ask()
    finishing = mind.run
    mind.answer_with(Propose(plan=Plan(steps=(step("c"),), final=False)))
    assert "the run may have 2 plans" in mind.run.proposal_problems[0]
    mind.decide()
    assert mind.ended == "failed" and "(revisions_max)" in mind.run.reason
    mind.state, mind.entries = finishing, mind.entries[: finishing.version]
    mind.answer_with(Finish(1)).decide()
    assert mind.ended == "completed"


def test_proposals_that_cannot_be_taken_end_the_run_also_with_a_plan_under_way() -> None:
    """Once what is in flight has ended."""
    mind = planned(step("a"), step("b", after=("a",)), repairs_max=2)
    changed(mind)
    mind.say(None).say(None).decide()
    assert not mind.ended and mind.run.stopping is not None
    mind.succeed("a", 1).decide()
    assert mind.ended == "failed" and "proposed nothing that can be run" in mind.run.reason


def test_turns_that_teach_nothing_end_the_run() -> None:
    """Also where the plan is looked at again and again."""
    mind = Mind(READ, horizon=0, limits=Limits(idle_turns_max=3))
    for _ in range(10):
        mind.decide()
        if mind.ended:
            break
        mind.answer_with(Keep())
    assert mind.ended == "failed" and "taught nothing new" in mind.run.reason


def test_requests_of_one_turn_count_as_one() -> None:
    """What failed taught nothing, and is no turn."""
    mind = Mind(READ, limits=Limits(turns_max=1))
    mind.ask()
    mind.refuse("transient")
    mind.ask(2.0)
    mind.keep().decide()
    assert mind.ended == "failed" and "(turns_max)" in mind.run.reason


def test_nothing_begins_before_the_memory_has_answered() -> None:
    """Also where the worker died before it did."""
    mind = Mind(READ, recall=5, start={"thread": "th"})
    mind.tell(*mind_decides(mind))
    mind.crash()
    mind.tell(*mind_decides(mind))
    assert len(mind.events(e.RecallIntended)) == 2
    mind.tell(e.MemoryRecalled())
    assert mind.ask().turn == 1


def mind_decides(mind: Mind) -> tuple[e.AnyEvent, ...]:
    """What is decided while the memory is asked."""
    from holdfast.core.decide import decide

    decision = decide(mind.run, mind.now)
    assert len(decision.commands) == 1
    return decision.events


def test_every_state_comes_back_from_a_checkpoint() -> None:
    """With a request, a question, a setback, a doubt, a check and money held."""
    mind = Mind(READ, KEYED, accept=Acceptance(tool="t"), horizon=0, limits=Limits(tokens_max=10**6))
    mind.ask()
    whole(mind)
    mind.refuse("transient", message="x")
    whole(mind)
    mind.ask(3.0)
    mind.plan(replan("a", "k"), replan("b", after=("a",)))
    mind.decide()
    whole(mind)
    changed(mind, x=1).ask()
    whole(mind)
    mind.say(Ask(questions=(question(),))).decide()
    whole(mind)
    mind.answer("reject").succeed("a", 1).decide()
    mind.succeed("b").say(Finish(1))
    mind.answer("respond", 1) if mind.open else mind.decide()
    whole(mind)


def test_a_look_at_the_result_is_no_step_too_many() -> None:
    """It is none that was planned."""
    mind = Mind(READ, tool("look"), accept=Acceptance(tool="look"), limits=Limits(steps_max=1))
    mind.plan(step("a")).decide()
    mind.succeed("a", 1).say(Finish("done"))
    assert mind.called() == ["check_2"]
    mind.succeed("check_2", True).decide()
    assert mind.ended == "completed"


def test_a_call_that_is_refused_counts_as_a_failure_at_once() -> None:
    """The plan is in doubt in the same decision."""
    mind = done_once(horizon=0, failures_max=1, inputs={"who": "x"})
    mind.plan(step("b", "k", args={"to": ref("inputs.who")}, on_failure="skip"), step("c", after=("b",)))
    assert mind.ask().phase == "diagnose"
    assert [event.why for event in mind.events(e.PlanSuspected)] == ["failures"]


def test_another_guess_takes_down_what_rested_on_the_first_in_the_same_decision() -> None:
    """Nothing begins on it."""
    mind = Mind(READ, asking=NEVER, horizon=0)
    mind.say(Ask(questions=(question(**GUESS),)))
    mind.plan(step("a"), step("b", after=("a",), rests_on=("city",)))
    mind.decide()
    changed(mind).say(Ask(questions=(question(guess="LA", confidence=0.9),)))
    mind.decide()
    assert (mind.run.facts["city"].value, mind["b"].phase) == ("LA", "skipped")
