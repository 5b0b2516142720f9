"""`propose(briefing) -> proposal`: what a reasoner is told, and what its words become."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.facts import Fact
from holdfast.core.limits import Limits
from holdfast.core.models import Part, Usage
from holdfast.core.plan import Plan, Step
from holdfast.core.thinking import Question
from holdfast.reasoners.base import (
    PROBLEMS_MAX,
    Ask,
    Finish,
    GiveUp,
    Interpret,
    Keep,
    Propose,
    Thought,
    briefing,
    events_of,
    taken,
)
from tests.core.mind import Mind, question
from tests.core.story import Story, step, tool

READ = tool("t", "read")
FIND = tool("find", "read", input_schema={"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False})  # fmt: skip


def fresh() -> Story:
    """A run whose reasoner is asked for the first time."""
    return Story(None, READ, FIND, inputs={"user": "ann"})


def say(proposal: object, story: Story | None = None) -> Any:
    """What a proposal becomes."""
    story = story or fresh()
    return taken(proposal, story.run, story.run.turn + 1)


# --- the briefing -----------------------------------------------------------------------------------------------------


def test_a_briefing_says_what_became_of_each_step() -> None:
    """In the order of the plan, with results, reasons, and what is left."""
    story = Story(
        [step("a"), step("b", on_failure="skip", args={"x": 1}), step("c"), step("d", after=("c",))],
        READ,
        final=False,
        inputs={"x": 1},
    )
    story.decide()
    story.succeed("a", {"n": 1}).fail("b", "denied", message="no").tell(
        e.CallPartial(step="c", attempt=1, value=[1], left=("2",))
    )
    story.decide()
    told = briefing(story.run)
    assert [(report.id, report.phase, report.value, report.left, report.attempts) for report in told.steps] == [
        ("a", "done", {"n": 1}, (), 1),
        ("b", "skipped", None, (), 1),
        ("c", "done", [1], ("2",), 1),
        ("d", "flying", None, (), 1),
    ]
    assert "no" in told.steps[1].reason
    assert (told.run_id, told.goal.inputs, told.tools, told.problems) == ("r1", {"x": 1}, (READ,), ())
    assert (told.result("a"), told.result("b"), told.result("zzz")) == ({"n": 1}, None, None)


def test_a_briefing_says_why_the_last_proposal_was_not_taken() -> None:
    """So that the next can be better."""
    story = fresh()
    story.decide()
    story.tell(e.ProposalFailed(turn=1, problems=("there is no tool x",)))
    assert briefing(story.run).problems == ("there is no tool x",)


# --- proposals --------------------------------------------------------------------------------------------------------


def test_a_sound_plan_is_adopted() -> None:
    """As the next revision, with its reason."""
    plan = Plan(steps=(Step(id="a", tool="find", args={"name": {"$ref": "inputs.user"}}),))
    assert say(Propose(plan=plan, reason="first things first")) == e.PlanAdopted(
        turn=1, revision=1, plan=plan, reason="first things first"
    )


def test_a_bare_plan_and_a_bare_step_are_proposals_too() -> None:
    """One step is a plan with a horizon of one: more may come."""
    one = Step(id="a", tool="t")
    assert say(Plan(steps=(one,))) == e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(one,)))
    assert say(one) == e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(one,), final=False))


def test_the_end_is_a_proposal() -> None:
    """Reached, or not to be reached."""
    assert say(Finish({"x": (1, 2)})) == e.FinishProposed(turn=1, result={"x": [1, 2]})
    assert say(Finish()) == e.FinishProposed(turn=1)
    assert say(GiveUp("no such user")) == e.GiveUpProposed(turn=1, reason="no such user")


@pytest.mark.parametrize(
    ("proposal", "problem"),
    [
        (None, "NoneType is no proposal"),
        ("do it", "str is no proposal"),
        ({"tool": "t"}, "dict is no proposal"),
        ([Step(id="a", tool="t")], "list is no proposal"),
        (Step(id="a", tool="x"), "there is no tool x"),
        (Step(id="a", tool="find"), "find needs the argument name"),
        (Step(id="a", tool="find", args={"name": {"$ref": "inputs.gone"}}), "the input gone, which is not given"),
        (Step(id="a", tool="find", args={"name": {"$ref": "steps.b"}}), "the step b, which is not there"),
        (Step(id="a", tool="t", args={"x": math.nan}), "it is no plan: NaN"),
        (Step(id="a", tool="t", args={"x": object()}), "it is no plan"),
        (Step(id="a", tool="t", args={"x": "\ud800"}), "it is no plan"),
        (Step(id="a", tool="t", args=[1]), "it is no plan"),  # type: ignore[arg-type]
        (Step(id="a", tool="t", retry=3), "it is no plan"),  # type: ignore[arg-type]
        (Step(id="a", tool="t", args={"password": "x"}), "password is never written down"),
        (Plan(steps=(), final=False), "no step, and says neither finish nor give up"),
        (Plan(steps=()), "there is no step in it"),
        (Propose(plan="a plan"), "it is no plan"),  # type: ignore[arg-type]
        (Finish(math.nan), "the result cannot be written as JSON: NaN"),
        (Finish(object()), "the result cannot be written as JSON"),
        (Finish("\ud800"), "the result cannot be written as JSON"),
    ],
)
def test_what_cannot_be_run_is_not_taken_and_told_why(proposal: object, problem: str) -> None:
    """A proposal is checked like any input from outside; what is recorded can be read back."""
    found = say(proposal)
    assert isinstance(found, e.ProposalFailed)
    assert any(problem in line for line in found.problems), found.problems


def test_a_later_plan_is_checked_against_the_steps_that_are_there() -> None:
    """It may build on them, and must not take their ids."""
    story = Story([step("a")], READ, final=False)
    story.decide()
    story.succeed("a", 1).decide()
    assert isinstance(say(Step(id="b", tool="t", args={"x": {"$ref": "steps.a"}}), story), e.PlanAdopted)
    found = say(Step(id="a", tool="t"), story)
    assert isinstance(found, e.ProposalFailed) and "taken already" in found.problems[0]
    assert isinstance(say(Plan(steps=()), story), e.PlanAdopted), "nothing more to do"


def test_the_same_plan_is_not_taken_for_sound_where_it_is_not() -> None:
    """It was found sound for other inputs, other tools, other secrets."""
    plan = Plan(
        steps=(Step(id="a", tool="find", args={"name": {"$ref": "inputs.user"}}), Step(id="b", tool="t", args={"pin": 1}))
    )
    assert isinstance(say(plan), e.PlanAdopted)
    assert isinstance(say(plan, Story(None, READ, FIND, inputs={"usr": "ann"})), e.ProposalFailed)
    assert isinstance(say(plan, Story(None, READ, inputs={"user": "ann"})), e.ProposalFailed)
    story = Story(None, READ, FIND, inputs={"user": "ann"})
    start = story.entries[0].event
    assert isinstance(start, e.RunStarted)
    from msgspec.structs import replace

    story.state = replace(story.run, secrets=("pin",))
    assert isinstance(say(plan, story), e.ProposalFailed)
    assert isinstance(say(plan), e.PlanAdopted)


def test_what_is_taken_is_what_will_be_read_back() -> None:
    """A plan that its author changes afterwards changes nothing."""
    args: dict[str, Any] = {"x": (1, [2])}
    found = say(Plan(steps=(Step(id="a", tool="t", args=args),)))
    args["x"] = "changed"
    assert found.plan.steps[0].args == {"x": [1, [2]]}


def test_problems_are_bounded() -> None:
    """They are recorded, and shown again."""
    found = say(Plan(steps=tuple(Step(id=f"a{n}", tool="x") for n in range(1000))))
    assert len(found.problems) == PROBLEMS_MAX + 1
    assert found.problems[-1] == f"and {1000 - PROBLEMS_MAX} more"


# --- what a model proposes --------------------------------------------------------------------------------------------


def mind(**fields: Any) -> Mind:
    """A run that has asked a model."""
    found = Mind(READ, FIND, tool("k", "keyed"), **fields)
    found.ask()
    return found


def thought(proposal: Any = None, **said: Any) -> Thought:
    """What a model said."""
    return Thought(**{"model": "p:m", "said": (Part(kind="text", text="hm"),), "usage": Usage(input_tokens=10), **said}, proposal=proposal)  # fmt: skip


def test_what_a_model_said_and_proposed_are_one_commit() -> None:
    """First what it said, with its cost; then its notes; then what it proposes."""
    note = Fact(name="seats", value=3, source="told", by="me", confirmed_by="ann", pinned=True)
    found = events_of(thought(Keep("fine"), notes=(note,), finish="stop", seconds=1.5, bytes=99), mind().run, 1)
    answered, learned, kept = found
    assert answered == e.ModelAnswered(
        turn=1, model="p:m", usage=Usage(input_tokens=10, requests=1, cost_usd=Decimal("0.00003")),
        said=(Part(kind="text", text="hm"),), finish="stop", seconds=1.5, bytes=99,
    )  # fmt: skip
    assert isinstance(learned, e.FactsLearned)
    assert learned.facts == (Fact(name="seats", value=3, source="inferred", by="p:m"),), "a guess, whatever it says of itself"
    assert kept == e.PlanKept(turn=1, reason="fine")


def test_a_note_does_not_speak_against_what_was_seen_or_said() -> None:
    """It is left out."""
    run = mind(inputs={"city": "SF"}).run
    found = events_of(thought(Keep(), notes=(Fact(name="city", value="LA"),)), run, 1)
    assert [type(event) for event in found] == [e.ModelAnswered, e.PlanKept]


def test_an_answer_of_which_nothing_can_be_taken_is_a_failed_proposal() -> None:
    """With why; and it is paid for."""
    answered, failed = events_of(thought(problems=("no call",)), mind().run, 1)
    assert isinstance(answered, e.ModelAnswered)
    assert failed == e.ProposalFailed(turn=1, problems=("no call",))
    assert events_of(thought(), mind().run, 1)[1] == e.ProposalFailed(turn=1, problems=("nothing was proposed",))


def test_words_of_a_plain_reasoner_are_one_event() -> None:
    """Nothing is paid for."""
    assert events_of(Finish(1), fresh().run, 1) == (e.FinishProposed(turn=1, result=1),)


def test_a_result_has_the_form_that_was_asked_for() -> None:
    """Else it is not taken."""
    run = mind(result_schema={"type": "object", "required": ["n"]}).run
    found = taken(Finish({"m": 1}), run, 1)
    assert isinstance(found, e.ProposalFailed) and "not of the form" in found.problems[0]
    assert taken(Finish({"n": 1}), run, 1) == e.FinishProposed(turn=1, result={"n": 1})


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ((), "nothing is asked"),
        ((question("city"),), "city is known already: it is 'SF'"),
        ((question("pin"), question("pin")), "pin is asked twice"),
        ((question(""),), "is no name of a fact"),
        ((question("steps.a"),), "is no name of a fact"),
        ((question("pin", guess=object()),), "cannot be written as JSON"),
        ((question("pin", guess=math.nan),), "cannot be written as JSON"),
        ((question("pin", guess="x", answer_schema={"type": "integer"}),), "the guess for pin is no answer to it"),
        ((question("pin", options=(object(),)),), "cannot be written as JSON"),
    ],
)
def test_a_question_that_cannot_be_asked_is_not(asked: tuple[Question, ...], problem: str) -> None:
    """The model is told why."""
    found = taken(Ask(questions=asked), mind(inputs={"city": "SF"}).run, 1)
    assert isinstance(found, e.ProposalFailed) and problem in "; ".join(found.problems)


def test_what_is_only_guessed_may_be_asked() -> None:
    """So may what is not believed any more."""
    story = mind()
    story.tell(e.FactsLearned(facts=(Fact(name="city", value="SF", source="inferred"), Fact(name="pin", value=1, stale=True))))
    assert isinstance(taken(Ask(questions=(question("city"), question("pin"))), story.run, 1), e.QuestionsProposed)


def test_what_is_missing_is_what_nobody_knows_and_nobody_was_asked() -> None:
    """Each once."""
    story = mind(inputs={"city": "SF"})
    story.say(Ask(questions=(question("pin"),))).decide()
    story.answer("reject")
    missing = (question("city"), question("pin"), question("date", why="one"), question("date", why="two"), question("said"))
    found = taken(Interpret(intent="go", facts=(Fact(name="said", value=1),), missing=missing), story.run, 2)
    assert isinstance(found, e.GoalInterpreted) and found.missing == (question("date", why="one"),)
    assert isinstance(taken(Interpret(intent="go", missing=(question(""),)), story.run, 2), e.ProposalFailed)


def test_only_what_has_not_begun_can_be_dropped() -> None:
    """And only what is there."""
    story = mind(horizon=0)
    story.plan(step("a"), step("b", after=("a",))).decide()
    found = taken(Propose(plan=Plan(steps=(), final=False), dropped=("a", "b", "c")), story.run, 2)
    assert isinstance(found, e.ProposalFailed)
    assert found.problems == ("step a has begun, and is flying: it cannot be dropped", "there is no step c to drop")
    found = taken(Propose(plan=Plan(steps=(), final=False), dropped=("b",)), story.run, 2)
    assert isinstance(found, e.PlanAdopted) and found.dropped == ("b",)
    story.tell(e.StepSkipped(step="b", reason="it rests on what is not so"))
    found = taken(Propose(plan=Plan(steps=(step("d"),), final=False), dropped=("b",)), story.run, 2)
    assert isinstance(found, e.PlanAdopted), "what fell while the model was asked is dropped already"


@pytest.mark.parametrize(
    ("again", "taken_on"),
    [
        (step("b", "k", args={"n": 1}), False),
        (step("b", "k", args={"n": 1}, occurrence=2), True),
        (step("b", "k", args={"n": 2}), True),
        (step("b", "t", args={"n": 1}), True),
    ],
)
def test_a_plan_does_not_repeat_an_effect_by_mistake(again: Step, taken_on: bool) -> None:
    """Done, or under way; a read may be repeated, and so may what is meant."""
    for done in (False, True):
        story = mind()
        story.plan(step("a", "k", args={"n": 1})).decide()
        if done:
            story.succeed("a")
        found = taken(Plan(steps=(again,), final=False), story.run, 2)
        assert isinstance(found, e.PlanAdopted) is taken_on


def test_there_are_so_many_plans() -> None:
    """Where each step is a plan of its own, turns are counted instead."""
    plan = Propose(plan=Plan(steps=(step("b"),), final=False))
    for horizon, is_taken in ((0, False), (3, False), (1, True)):
        story = mind(horizon=horizon, limits=Limits(revisions_max=1))
        story.plan(step("a")).decide()
        story.succeed("a", 1)
        found = taken(plan, story.run, 2)
        assert isinstance(found, e.PlanAdopted) is is_taken
        assert isinstance(taken(Keep(), story.run, 2), e.PlanKept)
