"""What is known of a model's turns: what it said, what it has heard of, what is in doubt, what it costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.evolve.minds import has_begun, tried
from holdfast.core.models import Part, Usage
from holdfast.core.plan import Goal, Plan
from holdfast.core.routing import NEVER, Tried
from holdfast.core.state import Turn
from holdfast.reasoners.base import Ask, Finish, Interpret, Keep, Propose
from tests.core.mind import Mind, question, terms
from tests.core.story import T0, step, tool

A, B = terms("p:a"), terms("q:b")


def two() -> Mind:
    """A run that may ask two models, and has asked the first, which has much to read."""
    mind = Mind(tool("t"), models=(A, B))
    mind.plan(step("z")).decide()
    mind.succeed("z", "x" * 50_000).ask()
    return mind


def test_a_turn_is_what_was_said_and_what_came_of_it() -> None:
    """Once, with its phase and its time."""
    mind = Mind(tool("t"))
    mind.ask()
    said = (Part(kind="text", text="hm"), Part(kind="call", id="1", tool="t", args={"n": 1}))
    mind.tell(e.ModelAnswered(turn=1, model="p:m", usage=Usage(), said=said), e.PlanKept(turn=1))
    assert mind.run.turns == (Turn(turn=1, phase="plan", model="p:m", said=said, outcome="keep", at=T0),)
    assert len("hm") + len('{"n":1}') <= mind.run.conversation_bytes < 300


@pytest.mark.parametrize(
    ("part", "least"),
    [
        (Part(kind="text", text="ö" * 1_000), 2_000),
        (Part(kind="thinking", text="hm", signature="s" * 1_000), 1_000),
        (Part(kind="thinking", details={"sealed": "s" * 1_000}), 1_000),
        (Part(kind="call", id="1", tool="t", args="x", problem="p" * 1_000), 1_000),
        (Part(kind="call", id="1", tool="t", step="a"), 150),
    ],
    ids=["bytes", "signature", "details", "problem", "framing"],
)
def test_all_that_goes_back_to_the_provider_makes_the_conversation_longer(part: Part, least: int) -> None:
    """In bytes; else a request that is made room for by it has none for the turn before it."""
    mind = Mind(tool("t"))
    mind.ask()
    before = mind.run.conversation_bytes
    mind.tell(e.ModelAnswered(turn=1, model="p:m", usage=Usage(), said=(part,)), e.PlanKept(turn=1))
    assert mind.run.conversation_bytes - before >= least


@pytest.mark.parametrize(
    ("proposal", "outcome"),
    [
        (Propose(plan=Plan(steps=(step("a"),), final=False)), "plan"),
        (Keep(), "keep"),
        (Ask(questions=(question(),)), "ask"),
        (Interpret(intent="go"), "interpret"),
        (Finish(1), "finish"),
        (None, "failed"),
    ],
)
def test_each_proposal_closes_its_turn(proposal: Any, outcome: str) -> None:
    """Nothing is under way or held then; what could not be taken counts."""
    mind = Mind(tool("t"))
    mind.say(proposal)
    assert (mind.run.turns[-1].outcome, mind.run.proposing, mind.run.reserved) == (outcome, None, {})
    assert mind.run.proposal_failures == (1 if proposal is None else 0)
    assert bool(mind.run.turns[-1].problems) is (proposal is None)


def test_results_make_the_conversation_longer() -> None:
    """By what the model is told of them."""
    mind = Mind(tool("t"))
    mind.plan(step("a")).decide()
    before = mind.run.conversation_bytes
    mind.succeed("a", "x" * 1_000)
    assert 1_000 < mind.run.conversation_bytes - before < 1_020


# --- setbacks ---------------------------------------------------------------------------------------------------------


def test_setbacks_are_counted_by_model_and_by_their_way() -> None:
    """Those of length on their own."""
    mind = two()
    mind.refuse("transient", message="x")
    assert tried(mind.run) == {"p:a": Tried(failures=1, until=T0 + 2, kind="transient", message="x")}
    held = mind.ask(2.0).reserved
    assert held is not None
    mind.too_long()
    found = tried(mind.run)["p:a"]
    assert (found.failures, found.until, found.input_bytes) == (2, T0 + 2, held.input_tokens // 2)
    mind.ask()
    mind.refuse("transient")
    assert tried(mind.run)["p:a"].until == T0 + 2 + 4, "the second of its kind"


def test_an_answer_forgets_the_setbacks_of_its_model() -> None:
    """And those of others whose time is over; what one takes at most is not forgotten."""
    mind = two()
    mind.too_long().ask()
    mind.refuse("denied").ask()
    assert mind.request.model == "q:b"
    mind.refuse("rate_limited", retry_after_seconds=5.0).ask(5.0)
    mind.keep()
    assert {(each.model, each.kind, each.context) for each in mind.run.setbacks} == {
        ("p:a", "invalid_input", True), ("p:a", "denied", False),
    }  # fmt: skip


def test_a_model_that_is_out_stays_out() -> None:
    """A later failure of another kind does not bring it back."""
    mind = two()
    mind.refuse("denied")
    mind.tell(e.ModelFailed(turn=2, model="p:a", failure=e.Failure(kind="transient")))
    assert tried(mind.run)["p:a"].until == NEVER


def test_a_lost_request_is_made_again_at_once() -> None:
    """And does not count among those that failed."""
    mind = two()
    mind.crash().ask()
    assert mind.request.model == "p:a"
    mind.refuse("transient")
    assert tried(mind.run)["p:a"].until == T0 + 2, "the first that failed"


def test_what_a_failed_request_used_is_spent() -> None:
    """Exactly."""
    mind = two()
    mind.refuse("transient", usage=Usage(input_tokens=3, requests=1, cost_usd=Decimal("0.000009")))
    assert mind.run.spent == Usage(input_tokens=3, requests=2, cost_usd=Decimal("0.000009")), "that of the plan was free"


# --- what it has heard of ---------------------------------------------------------------------------------------------


def test_an_answer_settles_the_doubts_that_it_knew_of() -> None:
    """Not those that came up while it was given."""
    mind = Mind(tool("t"), horizon=0)
    mind.plan(step("a")).decide()
    mind.tell(e.PlanSuspected(why="drift", reason="first")).ask()
    mind.tell(e.PlanSuspected(why="drift", reason="second")).succeed("a", 1).answer_with(Keep())
    assert (mind.run.suspicions, mind.run.unseen) == (("second",), ("a",))
    mind.ask()
    mind.answer_with(Keep())
    assert (mind.run.suspicions, mind.run.unseen) == ((), ())


def test_what_could_not_be_taken_settles_nothing() -> None:
    """The doubts stay, and so does what it has not seen."""
    mind = Mind(tool("t"), horizon=0)
    mind.plan(step("a")).decide()
    mind.succeed("a", 1).tell(e.PlanSuspected(why="drift", reason="first")).say(None)
    assert (mind.run.suspicions, mind.run.unseen) == (("first",), ("a",))


def test_a_request_that_failed_is_followed_by_one_that_hears_more() -> None:
    """What came in by then is told, and settled."""
    mind = Mind(tool("t"), horizon=0)
    mind.plan(step("a")).decide()
    mind.tell(e.PlanSuspected(why="drift", reason="first")).ask()
    mind.tell(e.PlanSuspected(why="drift", reason="second")).refuse("transient").ask(2.0)
    mind.answer_with(Keep())
    assert mind.run.suspicions == ()


def test_failures_suspected_begin_anew() -> None:
    """The next row is another one."""
    mind = Mind(tool("t"), horizon=0)
    mind.plan(*(step(name, on_failure="skip", args={"n": name}) for name in "abc")).decide()
    for name in "abc":
        mind.fail(name, "denied")
    mind.decide()
    assert (mind.run.failures, len(mind.run.suspicions)) == (0, 1)


# --- steps ------------------------------------------------------------------------------------------------------------


def test_what_was_never_called_has_not_begun() -> None:
    """Be it held back, or put to a person first; what was called once has."""
    mind = Mind(tool("t"), tool("irr", "irreversible"))
    mind.plan(step("a"), step("b", "irr"), step("c", after=("b",))).decide()
    assert {name: has_begun(mind[name]) for name in "abc"} == {"a": True, "b": False, "c": False}
    mind.fail("a", "transient").decide()
    assert (mind["a"].phase, has_begun(mind["a"])) == ("waiting", True)


def test_a_goal_that_changed_keeps_what_it_does_not_name() -> None:
    """Its words and its other inputs; without a model nobody is told."""
    mind = Mind(tool("t"), inputs={"x": 1, "y": 2})
    mind.tell(e.GoalChanged(goal=Goal(inputs={"y": 3}), by="bob"))
    assert mind.run.goal == Goal(text="g", inputs={"x": 1, "y": 3})
    assert mind.run.suspicions == ("bob changed the goal",)
    assert (mind.run.facts["y"].value, mind.run.facts["y"].by) == (3, "bob")
