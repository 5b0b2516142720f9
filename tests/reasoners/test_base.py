"""`propose(briefing) -> proposal`: what a reasoner is told, and what its words become."""

from __future__ import annotations

import math
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.plan import Plan, Step
from holdfast.reasoners.base import PROBLEMS_MAX, Finish, GiveUp, Propose, briefing, taken
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
