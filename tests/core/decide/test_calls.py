"""New calls: who may begin, with what, and under which key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.decide import Room, decide
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback, Plan
from tests.core.story import T0, Story, ref, step, tool, weaker

READ = tool("t", "read")
KEYED = tool("t", "keyed")
FINAL = tool("t", "irreversible")


# --- order and parallel steps -------------------------------------------------------------------------------------


def test_a_plan_begins_with_what_waits_for_nothing() -> None:
    """Independent steps begin together, in the plan's order; the rest waits."""
    story = Story([step("a"), step("b"), step("c", after=("a",))], READ)
    assert story.called() == ["a", "b"]
    assert story.phases == {"a": "flying", "b": "flying", "c": "blocked"}


def test_parallel_steps_stop_at_the_limit_and_go_on_as_places_get_free() -> None:
    """`parallel_max` calls at once, never more."""
    story = Story([step(name) for name in "abcd"], READ, limits=Limits(parallel_max=2))
    assert story.called() == ["a", "b"]
    assert story.called() == []
    assert story.succeed("b").called() == ["c"]
    assert story.succeed("a").succeed("c").called() == ["d"]


def test_a_retry_waits_for_a_place_too() -> None:
    """A step that comes back from its wait counts against the limit like a new one, and loses nothing by waiting."""
    story = Story([step("a"), step("b")], READ, limits=Limits(parallel_max=1))
    story.decide()
    assert story.fail("a").called() == ["b"]
    assert story.called(after=60) == []
    assert story.succeed("b").called() == ["a"]
    assert story["a"].attempt == 2


def test_a_step_that_reads_another_waits_for_it_and_gets_its_value() -> None:
    """A reference is a dependency, and is resolved from what was really returned."""
    story = Story([step("a"), step("b", args={"x": ref("steps.a.n"), "y": ref("inputs.k")})], READ, inputs={"k": 7})
    assert story.called() == ["a"]
    (call,) = story.succeed("a", {"n": 5}).decide().commands
    assert isinstance(call, CallTool)
    assert call.args == {"x": 5, "y": 7}
    assert story.events(e.CallIntended)[-1].args == {"x": 5, "y": 7}


@pytest.mark.parametrize("policy", ["skip", "flag"])
def test_after_waits_for_the_end_whatever_it_is_and_a_reference_needs_the_result(policy: Any) -> None:
    """A step that only comes `after` runs when the other was skipped; one that reads its result is skipped with it, and
    so is what reads that."""
    steps = [
        step("a", on_failure=policy, args={"n": 1}),
        step("later", after=("a",)),
        step("reads", args={"x": ref("steps.a")}),
        step("reads_that", args={"x": ref("steps.reads")}),
    ]
    story = Story(steps, READ)
    story.decide()
    assert story.fail("a", "denied").called() == ["later"]
    assert story.phases == {"a": "skipped", "later": "flying", "reads": "skipped", "reads_that": "skipped"}
    assert "needs a" in story["reads"].reason
    story.succeed("later").decide()
    (done,) = story.events(e.RunCompleted)
    assert done.skipped == ("a", "reads", "reads_that")
    assert done.flagged == (("a",) if policy == "flag" else ())


def test_a_reference_with_a_default_does_without_what_is_not_there() -> None:
    """Inputs may be absent; the step still reads the other's result."""
    story = Story([step("a", args={"x": {"$ref": "inputs.gone", "default": 3}})], READ)
    (call,) = story.decide().commands
    assert isinstance(call, CallTool)
    assert call.args == {"x": 3}


def test_a_step_that_is_read_with_a_default_is_waited_for_and_done_without() -> None:
    """The one that reads it does not begin while it is under way; where it was given up, the default stands in for it."""
    steps = [step("a", on_failure="skip"), step("b", args={"x": ref("steps.a.n", default=3)})]
    for value, expected in (({"n": 5}, 5), (None, 3)):
        story = Story(steps, READ)
        assert story.called() == ["a"]
        assert story.called() == []
        story = story.fail("a", "denied") if value is None else story.succeed("a", value)
        (call,) = story.decide().commands
        assert isinstance(call, CallTool)
        assert call.args == {"x": expected}


def test_a_tool_whose_circuit_is_open_gives_way_to_the_alternative() -> None:
    """As to a fallback: who has another way does not wait for the circuit."""
    story = Story([step("a", "u"), step("b", alternative_to="a")], READ, tool("u", "keyed"))
    assert story.called(room=Room(held={"u": (T0 + 600.0, "circuit")})) == ["b"]
    assert story.phases["a"] == "skipped"


def test_a_reference_that_leads_nowhere_at_run_time_is_the_steps_failure() -> None:
    """No call is made with a hole in its arguments."""
    story = Story([step("a"), step("b", args={"x": ref("steps.a.gone")}, on_failure="skip")], READ)
    story.decide()
    assert story.succeed("a", {"n": 1}).called() == []
    assert story.ended == "completed"
    assert story.run.skipped == ("b",)
    assert "steps.a.gone" in story["b"].reason


def test_a_lost_call_leaves_its_place_to_what_is_due() -> None:
    """The order of the steps does not matter: what waits for a place gets it in the same decision."""
    story = Story(
        [step("a", on_failure="ask"), step("b", "u")],
        READ,
        tool("u", "irreversible", approve="never"),
        limits=Limits(parallel_max=1),
    )
    story.decide()
    assert story.fail("a", "conflict").called() == ["b"]
    assert story.answer("approve").called() == []
    assert story.crash().called() == ["a"], "b is in doubt, and a person is asked about it"


def test_a_full_tool_keeps_its_step_in_place_and_lets_others_pass() -> None:
    """Caps over all workers: the step is not ruled on, and begins when there is room."""
    story = Story([step("a", "t"), step("b", "u")], READ, tool("u", "read"))
    assert story.called(full=["t"]) == ["b"]
    assert story.phases["a"] == "ready"
    assert story.called(full=["t"]) == []
    assert story.called() == ["a"]


@pytest.mark.parametrize(
    ("places", "begun"),
    [({"t": 2}, "abd"), ({"t": 9}, "abcd"), ({"": 3}, "abc"), ({"t": 1, "": 2}, "ad"), ({"t": 5, "": 1}, "a"), ({"": 0}, "")],
)
def test_so_many_calls_begin_as_there_are_places(places: dict[str, int], begun: str) -> None:
    """Of one tool, and of all together; the others keep their turn."""
    story = Story([step("a"), step("b"), step("c"), step("d", "u")], READ, tool("u", "read"))
    decision = decide(story.run, T0, Room(free=places))
    assert [command.step for command in decision.commands if isinstance(command, CallTool)] == list(begun)
    assert [name for name in "abcd" if name not in begun] == list(decision.state.ready)


def test_a_retry_into_a_full_tool_waits_without_losing_its_turn() -> None:
    """The same for a step that was called before."""
    story = Story([step("a", "t")], READ)
    story.decide()
    story.fail("a").decide()
    assert story.called(after=5, full=["t"]) == []
    assert story.called() == ["a"]


# --- keys ---------------------------------------------------------------------------------------------------------


def test_every_attempt_carries_the_same_key() -> None:
    """Retries and repeats after a crash go out under one key; the attempt is counted."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    story.fail("a").decide()
    story.decide(after=1)
    story.lose("a").decide()
    story.decide(after=60)
    story.crash().decide()
    story.decide(after=60)
    assert [command.attempt for command in story.commands if isinstance(command, CallTool)] == [4]
    assert len(story.keys) == 4
    assert len(set(story.keys)) == 1


def test_steps_and_runs_have_keys_of_their_own() -> None:
    """Two steps with the same arguments are two calls, unless a business key says otherwise."""
    story = Story([step("a"), step("b")], KEYED)
    story.decide()
    assert len(set(story.keys)) == 2


BUSINESS = tool("mail", "keyed", business_key=("to",))


def test_the_same_call_by_business_key_is_done_once_and_its_result_reused() -> None:
    """While the first is under way the second waits; when it is done its result is taken. Nothing is sent twice."""
    steps = [step("a", "mail", args={"to": "x", "text": "1"}), step("b", "mail", args={"to": "x", "text": "2"})]
    story = Story(steps, BUSINESS)
    assert story.called() == ["a"]
    assert story.phases["b"] == "ready"
    assert story.succeed("a", "sent").called() == []
    assert story.events(e.ReuseRuled) == [e.ReuseRuled(step="b", same_as="a")]
    assert story.run.result == {"a": "sent", "b": "sent"}


def test_a_twin_in_doubt_holds_the_other_back() -> None:
    """As long as nobody knows whether the first happened, the second is not sent."""
    steps = [step("a", "mail", args={"to": "x"}), step("b", "mail", args={"to": "x"})]
    story = Story(steps, weaker(BUSINESS, safety="reconcilable", probe=True))
    story.decide()
    story.lose("a")
    assert [type(c) for c in story.decide().commands] == [RunProbe]
    assert story.phases["b"] == "ready"
    story.probed("a", "happened", "sent").decide()
    assert story.phases == {"a": "done", "b": "done"}
    assert story.ended == "completed"


def test_a_twin_that_was_not_done_lets_the_other_try() -> None:
    """A first that was refused for certain leaves the field to the second."""
    steps = [step("a", "mail", args={"to": "x"}, on_failure="skip"), step("b", "mail", args={"to": "x", "text": "please"})]
    story = Story(steps, BUSINESS)
    story.decide()
    assert story.fail("a", "denied").called() == ["b"]
    assert len(set(story.keys)) == 1


@pytest.mark.parametrize("policy", ["skip", "ask"])
def test_a_twin_whose_answer_was_broken_has_been_done(policy: Any) -> None:
    """The first was given up because its answer could not be used, but it had its effect: the second is not sent, unless
    a person says so."""
    steps = [step("a", "mail", args={"to": "x"}, on_failure="skip"), step("b", "mail", args={"to": "x"}, on_failure=policy)]
    story = Story(steps, weaker(BUSINESS, safety="reconcilable", probe=True))
    story.decide()
    assert story.fail("a", "invalid_output").called() == []
    assert "the same call was made in step a" in (story["b"].reason or story.asked.question)
    if policy == "ask":
        assert story.answer("approve").called() == ["b"]
    else:
        assert story.run.skipped == ("a", "b")


@pytest.mark.parametrize("said", ["reject", None])
def test_a_twin_whose_answer_was_broken_stays_done_whatever_is_said_of_its_failure(said: Any) -> None:
    """A refusal to try again, or silence, does not undo the effect."""
    steps = [step("a", "mail", args={"to": "x"}, on_failure="ask"), step("b", "mail", args={"to": "x"}, on_failure="skip")]
    story = Story(steps, weaker(BUSINESS, safety="reconcilable", probe=True), limits=Limits(person_seconds=9))
    story.decide()
    story.fail("a", "crashed").decide()
    assert (story.answer(said) if said else story.wait(9)).called() == []
    assert story.run.skipped == ("a", "b")


def test_a_raised_occurrence_is_an_intended_repeat() -> None:
    """Another occurrence is another call: both are made."""
    steps = [step("a", "mail", args={"to": "x"}), step("b", "mail", args={"to": "x"}, occurrence=2)]
    story = Story(steps, BUSINESS)
    assert story.called() == ["a", "b"]
    assert len(set(story.keys)) == 2


def test_another_value_of_the_business_key_is_another_call() -> None:
    """Only what the key names is compared."""
    steps = [step("a", "mail", args={"to": "x"}), step("b", "mail", args={"to": "y"})]
    assert Story(steps, BUSINESS).called() == ["a", "b"]


# --- alternatives -------------------------------------------------------------------------------------------------


def other_ways() -> Story:
    """A flight; or a train, or else its bus; or a car. Who reads the flight gets what was done."""
    steps = [
        step("flight"),
        step("train", args={"n": 1}, alternative_to="flight"),
        step("bus", args={"n": 2}, alternative_to="train"),
        step("car", args={"n": 3}, alternative_to="flight"),
        step("mail", "u", args={"by": ref("steps.flight.by")}),
    ]
    story = Story(steps, READ, tool("u"))
    story.decide()
    return story


@pytest.mark.parametrize("done", range(4))
def test_the_first_way_that_works_is_the_only_one(done: int) -> None:
    """In their order, one after the other, though each says that its failure stops the run; the others are not needed. Who
    reads the first gets the result of the one that was done."""
    ways = ["flight", "train", "bus", "car"]
    story = other_ways()
    for way in ways[:done]:
        assert [name for name in ways if story.phases[name] == "flying"] == [way]
        story.fail(way, "conflict").decide()
    (call,) = story.succeed(ways[done], {"by": ways[done]}).decide().commands
    assert isinstance(call, CallTool) and (call.step, call.args) == ("mail", {"by": ways[done]})
    story.succeed("mail").decide()
    assert story.ended == "completed"
    assert (story.run.skipped, story.run.flagged) == ((), ()) if done < 3 else (("train", "bus"), ())
    # A bus stands in for the train and the flight; a car, which is no way to take the train, for the flight alone.
    stands_in_for = {0: [], 1: ["flight"], 2: ["flight", "train"], 3: ["flight"]}[done]
    assert story.run.replaced == dict.fromkeys(stands_in_for, ways[done])
    assert all(story.phases[way] == "skipped" for way in ways if way != ways[done])


def test_the_last_way_stops_the_run() -> None:
    """As it says, when none is left."""
    story = other_ways()
    for way in ("flight", "train", "bus"):
        story.fail(way, "conflict").decide()
        assert not story.ended
    story.fail("car", "conflict", message="no car").decide()
    assert (story.ended, story["mail"].attempt) == ("failed", 0)
    assert "step car: conflict: no car" in story.run.reason


def test_a_person_is_not_asked_about_a_step_for_which_there_is_another_way() -> None:
    """The plan has said what to do."""
    story = Story([step("a", on_failure="ask"), step("b", args={"n": 2}, alternative_to="a")], READ)
    story.decide()
    assert story.fail("a", "conflict").called() == ["b"]
    assert story.open == []


@pytest.mark.parametrize("ended", ["done", "deferred", "lost"])
def test_an_alternative_waits_until_the_first_way_has_ended(ended: str) -> None:
    """While it is owed or in doubt it may be done yet."""
    story = Story([step("a"), step("b", args={"n": 2}, alternative_to="a")], KEYED)
    story.decide()
    outcomes: dict[str, Callable[[str], Story]] = {"done": story.succeed, "deferred": story.defer, "lost": story.lose}
    outcomes[ended]("a")
    assert story.called() == []
    assert story.phases["b"] == ("skipped" if ended == "done" else "blocked")


def test_a_step_that_was_done_another_way_is_named_with_it() -> None:
    """Fallbacks too, by their tool."""
    steps = [
        step("a", fallbacks=(Fallback(tool="u"),)),
        step("b", args={"n": 2}, on_failure="skip"),
        step("c", "u", alternative_to="b"),
    ]
    story = Story(steps, READ, tool("u"))
    story.decide()
    story.fail("a", "denied").fail("b", "denied").decide()
    story.succeed("a", 1).succeed("c", 3).decide()
    assert (story.ended, story.run.replaced, story.run.skipped) == ("completed", {"a": "u", "b": "c"}, ())
    assert story.run.result == {"a": 1, "c": 3}


def test_an_alternative_of_a_later_plan_stands_in_for_an_earlier_step() -> None:
    """A revision may add another way to what failed."""
    story = Story([step("a", on_failure="skip")], READ, final=False)
    story.decide()
    story.fail("a", "conflict").decide()
    more = (step("b", args={"n": 2}, alternative_to="a"), step("c", args={"x": ref("steps.a")}))
    story.tell(e.PlanAdopted(turn=2, revision=2, plan=Plan(steps=more)))
    assert story.called() == ["b"]
    (call,) = story.succeed("b", 7).decide().commands
    assert isinstance(call, CallTool) and call.args == {"x": 7}
