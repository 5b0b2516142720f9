"""Calls that failed for certain: diagnosed, retried, replaced, taken back, given up."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.contract import Retry
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from tests.core.story import AT_ONCE, T0, Story, ref, step, tool

READ = tool("t", "read")
IDEMPOTENT = tool("t", "idempotent")
PROBED = tool("t", "reconcilable")


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "ended", "phase"),
    [("stop", "failed", "failed"), ("skip", "completed", "skipped"), ("flag", "completed", "skipped")],
)
def test_what_follows_when_nothing_is_left_to_try(policy: Any, ended: str, phase: str) -> None:
    """on_failure decides, and says so."""
    story = Story([step("a", on_failure=policy)], READ)
    story.decide()
    story.fail("a", "not_found", message="no such order").decide()
    assert (story.ended, story.phases["a"]) == (ended, phase)
    assert "no such order" in (story.run.reason or story["a"].reason)
    assert story.run.flagged == (("a",) if policy == "flag" else ())


def test_a_run_that_stops_lets_what_is_in_flight_end_and_begins_nothing() -> None:
    """The others are not torn down; their outcomes are recorded; the run fails when all is quiet."""
    story = Story([step("a"), step("b"), step("c")], READ, limits=Limits(parallel_max=2))
    story.decide()
    assert story.fail("a", "denied").called() == []
    assert len(story.run.active) == 1
    assert story.last is not None and story.last.wake_at is None
    story.succeed("b", 1).decide()
    assert story.ended == "failed"
    assert story.phases == {"a": "failed", "b": "done", "c": "ready"}


def test_on_failure_ask_asks_while_the_rest_goes_on() -> None:
    """Approve tries again with a fresh count of attempts."""
    story = Story([step("a", on_failure="ask"), step("b")], READ)
    story.decide()
    story.fail("a", "conflict", message="sold out").decide()
    assert story.phases == {"a": "asking", "b": "flying"}
    assert (story.asked.about, story.asked.kind) == ("failure", "escalation")
    assert "sold out" in story.asked.question
    story.succeed("b").decide()
    assert not story.ended
    assert story.answer("approve").called() == ["a"]
    story.succeed("a", "yes").decide()
    assert story.run.result == {"a": "yes", "b": None}


def test_done_by_hand_is_done() -> None:
    """respond gives the result in place of the tool's."""
    story = Story([step("a", on_failure="ask"), step("b", args={"x": ref("steps.a")})], READ)
    story.decide()
    story.fail("a", "conflict").decide()
    (call,) = story.answer("respond", "by hand").decide().commands
    assert isinstance(call, CallTool) and call.args == {"x": "by hand"}
    assert story["a"].settled_by == "person"


def test_a_rejected_retry_skips_the_step() -> None:
    """`ask` with "leave it undone" goes on without the step, and does not ask again."""
    story = Story([step("a", on_failure="ask")], READ)
    story.decide()
    story.fail("a", "conflict").decide()
    story.answer("reject").decide()
    assert (story.ended, story.run.skipped) == ("completed", ("a",))


def test_nobody_answers_and_the_step_is_given_up() -> None:
    """Silence is not yes: the question expires and counts as a refusal."""
    story = Story([step("a", on_failure="ask")], READ, limits=Limits(person_seconds=100))
    story.decide()
    decision = story.fail("a", "conflict").decide()
    assert decision.wake_at == story.now + 100
    story.decide(after=99)
    assert story.open
    story.decide(after=1)
    assert story.events(e.InterruptExpired)
    assert story.run.skipped == ("a",)


def test_fallbacks_take_over_one_after_another_each_with_its_own_arguments() -> None:
    """A fallback without arguments takes the step's; each counts its tries anew and has a key of its own."""
    chain = (Fallback(tool="u", args={"x": ref("inputs.other")}), Fallback(tool="v"))
    story = Story(
        [step("a", args={"x": 1}, fallbacks=chain, on_failure="skip")],
        READ, tool("u", "keyed"), tool("v", "read"), inputs={"other": 2},
    )  # fmt: skip
    story.decide()
    (second,) = story.fail("a", "denied").decide().commands
    assert isinstance(second, CallTool)
    assert (second.tool, second.args, second.attempt) == ("u", {"x": 2}, 2)
    story.fail("a").decide()
    assert story.phases["a"] == "waiting"
    story.decide(after=1)
    (third,) = story.fail("a", "denied").decide().commands
    assert isinstance(third, CallTool)
    assert (third.tool, third.args, third.attempt) == ("v", {"x": 1}, 4)
    assert story["a"].tries == 1
    assert len(set(story.keys)) == 3
    story.fail("a", "denied").decide()
    assert story.run.skipped == ("a",)


def test_a_fallback_is_not_taken_while_the_first_tool_may_have_done_it() -> None:
    """A lost attempt followed by a certain failure: the doubt is settled before anything else changes the world."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], IDEMPOTENT, tool("u", "idempotent"))
    story.decide()
    story.lose("a").decide()
    story.decide(after=60)
    story.fail("a", "denied").decide()
    assert story.events(e.FallbackRuled) == []
    assert story.asked.about == "doubt"


@pytest.mark.parametrize("safety", ["keyed", "reconcilable", "irreversible"])
@pytest.mark.parametrize("kind", ["invalid_output", "crashed"])
def test_a_broken_answer_of_a_tool_that_changes_the_world_is_neither_retried_nor_replaced(safety: Any, kind: Any) -> None:
    """It answered, so it did something: not again, and no fallback either."""
    contract = tool("t", safety, approve="never")
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], contract, tool("u", "idempotent"))
    story.decide()
    story.fail("a", kind).decide()
    assert story.ended == "failed"
    assert len(story.keys) == 1


def test_a_broken_answer_of_a_read_is_fallen_back_from() -> None:
    """It changed nothing, so another tool may take over."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], tool("t", "read", retry=Retry(attempts_max=1)), tool("u", "read"))
    story.decide()
    assert story.fail("a", "invalid_output").called() == ["a"]
    assert story["a"].tool == "u"


def test_a_broken_answer_of_an_idempotent_tool_is_asked_for_again_but_never_replaced() -> None:
    """Twice is as once; but another tool would change the world once more, also when a later attempt failed for certain."""
    again = tool("t", "idempotent", retry=Retry(attempts_max=2))
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], again, tool("u", "read"))
    story.decide()
    story.fail("a", "invalid_output").decide()
    assert story.called(after=100) == ["a"]
    story.fail("a", "denied").decide()
    assert story["a"].tool == "t"
    assert story.ended == "failed"


def test_a_retry_waits_as_long_as_the_other_side_asked_even_over_a_crash() -> None:
    """`retry_after` is never undercut, and being recorded it survives whoever heard it."""
    story = Story([step("a")], READ)
    story.decide()
    decision = story.fail("a", "rate_limited", retry_after_seconds=500.0).decide()
    assert decision.wake_at == T0 + 500
    story.crash(after=400)
    assert story.called() == []
    assert story.last is not None and story.last.wake_at == T0 + 500
    assert story.called(after=100) == ["a"]


def test_retries_end_at_their_bound() -> None:
    """attempts_max tries in all."""
    story = Story([step("a")], READ)
    for _ in range(AT_ONCE.attempts_max):
        assert story.called(after=60) == ["a"]
        story.fail("a").decide()
    assert story.ended == "failed"
    assert "after 3 attempts" in story.run.reason


def test_an_irreversible_call_is_never_retried_by_itself() -> None:
    """Not even after a failure that passes."""
    story = Story([step("a", approve=None)], tool("t", "irreversible", approve="never"))
    story.decide()
    story.fail("a", "transient").decide()
    assert story.ended == "failed"


def test_a_reconcilable_call_that_failed_is_looked_up_before_it_is_made_again() -> None:
    """ "only after the probe said no": what failed for certain is still asked about, after the wait."""
    story = Story([step("a")], PROBED)
    story.decide()
    assert story.fail("a", "transient", retry_after_seconds=30.0).decide().commands == ()
    (probe,) = story.decide(after=30).commands
    assert isinstance(probe, RunProbe)
    assert story.probed("a", "not_happened").called() == ["a"]
    story.fail("a", "transient").decide()
    story.decide(after=60)
    story.probed("a", "happened", "r").decide()
    assert story.run.result == {"a": "r"}


# --- taken back before a fallback ---------------------------------------------------------------------------------

BOOK = tool("book", "reconcilable", undo="cancel", undo_args={"n": {"$ref": "args.n"}})
CANCEL, MAIL, LOOK = tool("cancel", "keyed"), tool("mail", "keyed"), tool("look", "read")
ROOM = Fallback(tool="mail", args={"n": 9})


def compensated(**fields: Any) -> Story:
    """A call had its effect, and its result will not do; another way is left."""
    steps = [step("a", "book", args={"n": 1}, fallbacks=(ROOM,), **fields), step("b", "look", after=("a",))]
    story = Story(steps, BOOK, CANCEL, MAIL, LOOK, start={"on_stop": "undo"})
    story.decide()
    story.fail("a", "insufficient", message="no sea view", landed=True).decide()
    return story


def test_what_will_not_do_is_taken_back_before_another_way_is_tried() -> None:
    """One effect in the end."""
    story = compensated()
    assert story.phases == {"a": "diagnosis", "b": "blocked", "undo_a": "flying"}
    (call,) = story.succeed("undo_a").decide().commands
    assert isinstance(call, CallTool) and (call.step, call.tool, call.args) == ("a", "mail", {"n": 9})
    story.succeed("a", "a room").decide()
    story.succeed("b", 2).decide()
    assert (story.ended, story.run.result, story.run.replaced) == ("completed", {"a": "a room", "b": 2}, {"a": "mail"})


def test_what_the_plan_took_back_itself_is_replaced_at_once() -> None:
    """The same call, by its business key, was made in another step: its result is taken, and another way is tried."""
    cancel = tool("cancel", "keyed", business_key=("n",))
    steps = [step("off", "cancel", args={"n": 1}), step("a", "book", args={"n": 1}, fallbacks=(ROOM,), after=("off",))]
    story = Story(steps, BOOK, cancel, MAIL)
    story.decide()
    story.succeed("off").decide()
    assert story.fail("a", "insufficient", landed=True).called() == ["a"]
    assert (story["undo_a"].settled_by, story["a"].tool) == ("reuse", "mail")


def test_an_undo_that_is_delivered_while_it_waits_is_done_at_once() -> None:
    """And the way is free for another tool."""
    story = compensated()
    story.fail("undo_a").decide()
    assert story.deliver("undo_a").called() == ["a"]


@pytest.mark.parametrize("said", ["respond", "reject", "nothing"])
def test_what_cannot_be_taken_back_is_not_replaced(said: Any) -> None:
    """Or there would be two of them; unless a person did it by hand."""
    story = compensated(on_failure="skip")
    story.fail("undo_a", "conflict").decide()
    assert story.asked.step == "undo_a"
    _ = story.wait(7 * 86400) if said == "nothing" else story.answer(said)
    assert story.called() == (["a"] if said == "respond" else ["b"])
    assert story["a"].tool == ("mail" if said == "respond" else "book")


def test_what_was_taken_back_once_is_not_taken_back_when_the_run_stops() -> None:
    """What the fallback did is."""
    story = compensated()
    story.succeed("undo_a").decide()
    story.succeed("a").decide()
    story.fail("b", "denied").decide()
    (planned,) = story.events(e.UndoPlanned)
    assert (planned.steps, planned.kept) == ((), ("a",)), "the fallback has no undo"
    assert (story.ended, story.run.undone, story.run.kept) == ("failed", (), ("a",))


def test_a_fallback_to_another_agent_starts_a_run_of_its_own() -> None:
    """Under an id of its own, whatever became of the first."""
    kids = [tool(name, "keyed", agent=name) for name in ("first", "second")]
    story = Story([step("a", "first", fallbacks=(Fallback(tool="second"),))], *kids)
    (one,) = story.decide().commands
    (two,) = story.fail("a", "conflict").decide().commands
    assert isinstance(one, CallTool) and isinstance(two, CallTool)
    assert (one.occurrence, two.tool, two.occurrence) == (1, "second", 2)
