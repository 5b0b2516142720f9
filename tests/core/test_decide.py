"""What to do next: old events, new events, what is ruled and commanded. Pure tables; the walk over random stories is in
`test_walk.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, CallTool, RunProbe
from holdfast.core.contract import Retry
from holdfast.core.decide import Room, decide
from holdfast.core.evolve import evolve
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback, Plan
from tests.core.story import AT_ONCE, T0, Story, step, tool, weaker

READ, IDEMPOTENT = tool("t", "read"), tool("t", "idempotent")
KEYED, PROBED, FINAL = tool("t", "keyed"), tool("t", "reconcilable"), tool("t", "irreversible")


def ref(expression: str) -> dict[str, Any]:
    """A reference in arguments."""
    return {"$ref": expression}


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
        step("a", on_failure=policy),
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
    steps = [step("a", "mail", args={"to": "x"}, on_failure="skip"), step("b", "mail", args={"to": "x"})]
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


# --- unknown ------------------------------------------------------------------------------------------------------


def test_an_intent_of_an_older_fence_is_in_doubt_and_one_of_this_fence_is_not() -> None:
    """The one rule by which a crash is seen."""
    story = Story([step("a")], KEYED)
    story.decide()
    assert story.decide().events == ()
    story.crash()
    assert story.called() == ["a"]
    (lost,) = story.events(e.CallUnknown)
    assert lost.crashed
    assert story.rows() == ["keyed-alive"]


@pytest.mark.parametrize(
    ("safety", "row", "commands"),
    [
        ("read", "read", [CallTool]),
        ("idempotent", "idempotent", [CallTool]),
        ("keyed", "keyed-alive", [CallTool]),
        ("reconcilable", "reconcilable-first", [RunProbe]),
        ("irreversible", "irreversible", []),
    ],
)
def test_a_crash_in_the_middle_of_a_call(safety: Any, row: str, commands: list[type[Any]]) -> None:
    """Each safety has its row, and what it commands goes out at once."""
    story = Story([step("a")], tool("t", safety, approve="never"))
    story.decide()
    assert [type(command) for command in story.crash().decide().commands] == commands
    assert story.rows() == [row]
    if safety == "irreversible":
        assert (story.asked.about, story.asked.kind) == ("doubt", "escalation")


def test_a_call_that_keeps_being_lost_backs_off_and_then_goes_to_a_person() -> None:
    """A call that takes its worker with it each time ends at lost_max."""
    story = Story([step("a")], KEYED, limits=Limits(lost_max=3))
    waits = []
    story.decide()
    for _ in range(2):
        decision = story.crash().decide()
        waits.append((decision.wake_at or 0) - story.now if not decision.commands else 0.0)
        if not decision.commands:
            story.decide(after=waits[-1])
    story.crash().decide()
    assert waits == [0.0, 2.0]
    assert story.rows() == ["keyed-alive", "keyed-alive", "keyed-often"]
    assert story.asked.about == "doubt"
    assert len(story.keys) == 3


def test_a_call_that_timed_out_backs_off_before_its_repeat() -> None:
    """Only a crash is repeated at once."""
    story = Story([step("a")], KEYED)
    story.decide()
    assert story.lose("a").called() == []
    assert story.called(after=1) == ["a"]


@pytest.mark.parametrize("contract", [KEYED, IDEMPOTENT], ids=["keyed", "idempotent"])
def test_an_attempt_lost_before_a_certain_failure_stays_in_doubt(contract: Any) -> None:
    """Sticky doubt: what failed for certain was the last attempt, not the first. Giving up asks about the first."""
    story = Story([step("a")], contract)
    story.decide()
    story.crash().decide()
    story.fail("a", "transient").decide()
    assert story.phases["a"] == "waiting", "there are attempts left, and a repeat is harmless"
    story.decide(after=60)
    story.fail("a", "conflict").decide()
    assert story.asked.about == "doubt"
    assert "earlier attempt" in story.asked.question
    story.answer("respond", "it had worked").decide()
    assert story.run.result == {"a": "it had worked"}


def test_a_key_must_outlive_the_request_that_may_still_land() -> None:
    """A repeat that is lost may land until its settle time is over, and must be recognised then too."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0, settles_within_seconds=50.0))
    story.decide()
    story.crash(after=40).decide()
    assert story.rows() == ["keyed-alive"]
    story.crash(after=0.5).decide()
    assert story.rows() == ["keyed-alive", "keyed-expired-blind"], "40.5 + 10 + 50 s end after the key"


def test_a_lost_attempt_of_a_reconcilable_tool_is_settled_before_the_next() -> None:
    """So a later certain failure is about a call that was alone in the world."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    assert story.probed("a", "not_happened").called() == ["a"]
    assert story["a"].doubt_since is None
    story.fail("a", "conflict").decide()
    assert story.ended == "failed"
    assert story.run.unknown == ()


def test_the_doubt_of_an_expired_key_is_looked_up_when_the_tool_can_be_asked() -> None:
    """A keyed tool past its key's life counts as reconcilable."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0, probe=True))
    story.decide()
    (probe,) = story.crash(after=95).decide().commands
    assert isinstance(probe, RunProbe), "95 s and a time-out of 10 s end after the key"
    assert story.rows() == ["keyed-expired-first"]
    assert story.probed("a", "not_happened").called() == ["a"]


def test_a_key_that_expires_while_the_repeat_waits_is_not_used() -> None:
    """What was a harmless repeat when it was ruled is one no more when its time comes."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0, retry=Retry(backoff_seconds=60, jitter=0)))
    story.decide()
    story.lose("a").decide()
    assert story.rows() == ["keyed-alive"]
    assert story.called(after=95) == []
    assert story.rows() == ["keyed-alive", "keyed-expired-blind"]
    assert story.asked.about == "doubt"


def test_the_life_of_a_key_is_counted_from_its_first_use() -> None:
    """Not from the last attempt: the other side remembers when it first saw it."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0))
    story.decide()
    story.crash(after=50).decide()
    story.crash(after=45).decide()
    assert story.rows() == ["keyed-alive", "keyed-expired-blind"]


def test_a_no_before_the_settle_time_is_asked_again_when_it_can_be_final() -> None:
    """A request of a killed caller may still land."""
    story = Story([step("a")], weaker(PROBED, settles_within_seconds=30.0))
    story.decide()
    story.crash().decide()
    decision = story.probed("a", "not_happened").decide()
    assert story.rows()[-1] == "reconcilable-no-early"
    assert decision.wake_at == T0 + 30
    assert story.called(after=29.999) == []
    (probe,) = story.decide(after=0.001).commands
    assert isinstance(probe, RunProbe)
    assert story.probed("a", "not_happened").called() == ["a"]


def test_the_settle_time_starts_when_the_loss_is_seen() -> None:
    """Not when the call was sent: it may have been sent late."""
    story = Story([step("a")], weaker(PROBED, settles_within_seconds=30.0))
    story.decide()
    story.crash(after=1000).decide()
    assert story.probed("a", "not_happened").decide().wake_at == T0 + 1030


def test_a_no_that_was_seen_early_is_not_final_for_being_old() -> None:
    """What counts is when the probe looked."""
    story = Story([step("a")], weaker(PROBED, settles_within_seconds=30.0))
    story.decide()
    story.crash().decide()
    story.wait(60).probed("a", "not_happened")
    (probe,) = story.decide().commands
    assert isinstance(probe, RunProbe)


def test_not_yet_is_asked_again_on_a_doubling_schedule_until_the_window_ends() -> None:
    """1, 2, 4 … seconds, at most an eighth of the window, then a person."""
    story = Story([step("a")], weaker(PROBED, probe_seconds=1.0, probe_window_seconds=64.0))
    story.decide()
    story.crash().decide()
    waits = []
    for _ in range(40):
        decision = story.probed("a", "not_yet").decide()
        if story.open:
            break
        waits.append((decision.wake_at or 0) - story.now)
        story.decide(after=waits[-1])
    assert waits[:5] == [1, 2, 4, 8, 8]
    assert story.rows()[-1] == "reconcilable-not-yet-late"
    assert 64 <= story.now - T0 <= 64 + 8
    assert story.asked.about == "doubt"


def test_a_probe_that_cannot_tell_goes_to_a_person_with_its_words() -> None:
    """What it said is shown."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    story.tell(e.ProbeAnswered(step="a", probe=1, verdict="cannot_tell", message="two of them"))
    story.decide()
    assert "two of them" in story.asked.question


def test_a_crash_during_a_probe_asks_again() -> None:
    """A probe changes nothing."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    (probe,) = story.crash().decide().commands
    assert isinstance(probe, RunProbe)
    assert probe.probe == 2


def test_a_probe_sees_the_key_and_arguments_of_the_call() -> None:
    """It is about that very call."""
    story = Story([step("a", args={"x": 1})], PROBED)
    (call,) = story.decide().commands
    (probe,) = story.crash().decide().commands
    assert isinstance(call, CallTool) and isinstance(probe, RunProbe)
    assert (probe.key, probe.args, probe.attempt, probe.occurrence) == (call.key, call.args, 1, 1)


def test_a_final_no_with_no_attempt_left_falls_back() -> None:
    """It did not happen, for certain: then what follows is a matter of strategy, and that may be another tool."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], PROBED, tool("u", "idempotent"), limits=Limits(lost_max=1))
    story.decide()
    story.crash().decide()
    assert story.probed("a", "not_happened").called() == ["a"]
    assert story.rows()[-1] == "reconcilable-no-often"
    assert story["a"].tool == "u"


# --- people: approvals --------------------------------------------------------------------------------------------


def test_an_irreversible_call_is_asked_for_first_and_shown_whole() -> None:
    """What a person sees is built from the call: tool and resolved arguments."""
    story = Story([step("a", args={"x": ref("inputs.n")})], FINAL, inputs={"n": 5})
    assert story.called() == []
    assert (story.asked.about, story.asked.kind, story.asked.tool, story.asked.args) == ("call", "approval", "t", {"x": 5})
    assert story.asked.digest
    (call,) = story.answer("approve").decide().commands
    assert isinstance(call, CallTool) and call.args == {"x": 5}


@pytest.mark.parametrize(
    ("safety", "contract", "plan", "asks"),
    [
        ("irreversible", None, None, True),
        ("irreversible", "never", None, False),
        ("irreversible", "never", "always", True),
        ("keyed", None, None, False),
        ("keyed", "always", None, True),
        ("keyed", None, "always", True),
        ("keyed", "always", "never", True),
        ("irreversible", None, "never", True),
    ],
)
def test_who_decides_whether_a_person_is_asked(safety: Any, contract: Any, plan: Any, asks: bool) -> None:
    """The tool does; a plan can only make it stricter."""
    story = Story([step("a", approve=plan)], tool("t", safety, approve=contract))
    story.decide()
    assert bool(story.open) is asks


def test_an_approval_is_used_for_what_was_shown_and_nothing_else() -> None:
    """A contract that changed after the approval is shown again."""
    story = Story([step("a")], FINAL)
    story.decide()
    first = story.asked.digest
    story.answer("approve").crash().change(weaker(FINAL, timeout_seconds=99.0))
    assert story.called() == []
    assert story.asked.digest != first


def test_an_approval_given_to_the_old_promises_does_not_hold_for_the_new() -> None:
    """The same when the change comes while the question is open."""
    story = Story([step("a")], FINAL)
    story.decide()
    story.crash().change(weaker(FINAL, timeout_seconds=99.0)).decide()
    first = story.asked
    story.answer("approve")
    assert story.called() == []
    assert story.asked.digest != first.digest
    assert story.answer("approve").called() == ["a"]


def test_an_approval_holds_for_the_retries_of_the_call_that_it_was_given_to() -> None:
    """A person decides about the call; the same call again needs no second word."""
    story = Story([step("a")], tool("t", "keyed", approve="always"))
    story.decide()
    story.answer("approve").decide()
    story.fail("a", "transient").decide()
    assert story.called(after=60) == ["a"]
    story.crash()
    assert story.called() == ["a"]
    assert len(story.events(e.Asked)) == 1


def test_edited_arguments_are_what_is_sent() -> None:
    """The person's word is for these; before any call was made the key is the step's first."""
    story = Story([step("a", args={"x": 1})], FINAL)
    story.decide()
    (call,) = story.answer("edit", {"x": 2}).decide().commands
    assert isinstance(call, CallTool)
    assert (call.args, call.occurrence) == ({"x": 2}, 1)


def test_other_arguments_after_a_failed_call_are_another_call() -> None:
    """A key that went out with the old arguments is not used for new ones."""
    story = Story([step("a", args={"x": 1}, on_failure="ask")], KEYED)
    story.decide()
    story.fail("a", "invalid_input").decide()
    (call,) = story.answer("edit", {"x": 2}).decide().commands
    assert isinstance(call, CallTool)
    assert (call.args, call.occurrence) == ({"x": 2}, 2)
    assert len(set(story.keys)) == 2
    assert story.fail("a").called(after=60) == []
    assert story.called(after=60) == ["a"]
    assert story.keys[1] == story.keys[2], "its retries are the edited call's"


@pytest.mark.parametrize(("policy", "ended"), [("stop", "failed"), ("skip", "completed"), ("ask", "completed")])
def test_a_rejected_call_is_not_made_and_not_replaced(policy: Any, ended: str) -> None:
    """A refusal is not a failure to work around: no fallback, no second question."""
    story = Story([step("a", on_failure=policy, fallbacks=(Fallback(tool="u"),))], FINAL, tool("u", "read"))
    story.decide()
    story.answer("reject", note="too dear").decide()
    assert story.ended == ended
    assert story.keys == []
    assert "reject by ann: too dear" in story["a"].reason


def test_an_approval_expires_to_a_refusal() -> None:
    """Silence never means yes."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], FINAL, tool("u", "read"), limits=Limits(person_seconds=60))
    assert story.decide().wake_at == T0 + 60
    story.decide(after=60)
    assert story.ended == "failed"
    assert "nobody answered in time" in story.run.reason
    assert story.keys == []


def test_the_crash_of_an_approved_call_does_not_spend_the_approval_twice() -> None:
    """An irreversible call that was lost is asked about; "do it now" is for that call."""
    story = Story([step("a")], FINAL)
    story.decide()
    story.answer("approve").decide()
    story.crash().decide()
    assert story.asked.about == "doubt"
    assert story.answer("approve").called() == ["a"]
    assert story.keys[0] == story.keys[1]
    story.crash()
    assert story.called() == []
    assert story.asked.about == "doubt"


# --- people: doubts -----------------------------------------------------------------------------------------------


def doubtful() -> Story:
    """A run that asks whether a lost irreversible call happened."""
    story = Story([step("a", on_failure="skip")], tool("t", "irreversible", approve="never"))
    story.decide()
    story.crash().decide()
    return story


def test_a_person_says_that_it_happened() -> None:
    """respond: its result is taken and nothing is sent."""
    story = doubtful()
    story.answer("respond", {"receipt": 1}).decide()
    assert story.run.result == {"a": {"receipt": 1}}
    assert len(story.keys) == 1


def test_a_person_says_that_it_did_not_and_wants_it() -> None:
    """approve: it is called again."""
    story = doubtful()
    assert story.answer("approve").called() == ["a"]
    story.succeed("a").decide()
    assert story.ended == "completed"
    assert story.run.unknown == ()


def test_a_person_says_that_it_did_not_and_does_not_want_it() -> None:
    """reject: given up as the step says, and no longer unknown."""
    story = doubtful()
    story.answer("reject").decide()
    assert (story.ended, story.run.skipped, story.run.unknown) == ("completed", ("a",), ())


def test_a_person_cancels_at_the_question() -> None:
    """cancel says nothing about the doubt: it is named."""
    story = doubtful()
    story.answer("cancel", note="never mind").decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ("a",))
    assert story.run.reason == "cancelled by ann: never mind"


def test_nobody_says_whether_it_happened() -> None:
    """The run stops, and says what nobody knows."""
    story = doubtful()
    story.decide(after=story.run.limits.person_seconds)
    assert (story.ended, story.run.unknown) == ("failed", ("a",))
    assert "nobody said in time" in story.run.reason


# --- cancel and stop ----------------------------------------------------------------------------------------------


def cancelled(story: Story) -> Story:
    """A cancel, decided on."""
    story.tell(e.CancelRequested(by="bob", reason="wrong order")).decide()
    return story


def test_a_cancel_before_anything_began() -> None:
    """It ends at once."""
    assert cancelled(Story([step("a")], READ)).run.ended == "cancelled"


def test_a_cancel_while_the_reasoner_thinks_waits_for_it() -> None:
    """Its answer is recorded, and nothing of it begins."""
    story = Story(None, READ)
    story.decide()
    assert not cancelled(story).ended
    story.tell(e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(step("a"),)))).decide()
    assert story.ended == "cancelled"
    assert story.keys == []


@pytest.mark.parametrize("outcome", ["ok", "failed", "unknown"])
def test_a_cancel_during_a_call_waits_for_its_end_and_names_what_is_unknown(outcome: str) -> None:
    """The effect at hand is finished; a failure is not diagnosed; a doubt is named."""
    story = Story([step("a"), step("b", after=("a",))], KEYED)
    story.decide()
    assert not cancelled(story).ended
    outcomes: dict[str, Callable[[str], Story]] = {"ok": story.succeed, "failed": story.fail, "unknown": story.lose}
    outcomes[outcome]("a")
    assert story.called() == []
    assert story.ended == "cancelled"
    assert story.run.unknown == (("a",) if outcome == "unknown" else ())


def test_a_cancel_while_a_retry_waits() -> None:
    """It is not made."""
    story = Story([step("a")], READ)
    story.decide()
    story.fail("a").decide()
    assert cancelled(story).ended == "cancelled"
    assert story.run.unknown == ()


def test_a_cancel_while_a_repeat_waits_names_the_doubt() -> None:
    """The lost attempt may have happened."""
    story = Story([step("a")], KEYED)
    story.decide()
    story.lose("a").decide()
    assert story.phases["a"] == "waiting"
    assert cancelled(story).run.unknown == ("a",)


def test_a_cancel_lets_a_probe_settle_what_it_can_at_once() -> None:
    """The probe under way is heard; what it found to be undone is not unknown."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    assert not cancelled(story).ended
    story.probed("a", "not_happened").decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ())


def test_a_stop_probes_once_what_was_lost_and_takes_what_it_finds() -> None:
    """A doubt that can be settled now is settled before the run ends."""
    story = Story([step("a"), step("b")], PROBED)
    story.decide()
    story.lose("a").fail("b", "denied")
    (probe,) = story.decide().commands
    assert isinstance(probe, RunProbe)
    story.probed("a", "happened", 5).decide()
    assert (story.ended, story.run.unknown) == ("failed", ())
    assert story["a"].value == 5


def test_a_stop_does_not_wait_for_what_cannot_be_known_now() -> None:
    """ "Not yet" is named unknown, and the run ends."""
    story = Story([step("a"), step("b")], PROBED)
    story.decide()
    story.lose("a").fail("b", "denied").decide()
    story.probed("a", "not_yet").decide()
    assert (story.ended, story.run.unknown) == ("failed", ("a",))


@pytest.mark.parametrize("phase", ["call", "doubt", "owed"])
def test_a_cancel_while_a_person_is_asked(phase: str) -> None:
    """The question is closed with the run; what was unknown is named."""
    story = Story([step("a")], FINAL if phase == "call" else tool("t", "irreversible", approve="never"))
    story.decide()
    if phase == "doubt":
        story.crash().decide()
    elif phase == "owed":
        story.defer("a", until=T0).decide()
    assert story.asked.about == phase
    cancelled(story)
    assert story.ended == "cancelled"
    assert story.run.unknown == (() if phase == "call" else ("a",))
    assert story.open == []


@pytest.mark.parametrize("phase", ["call", "doubt", "owed"])
def test_cancel_as_the_answer_names_what_is_unknown(phase: str) -> None:
    """The same when it is said at the question itself."""
    story = Story([step("a")], FINAL if phase == "call" else tool("t", "irreversible", approve="never"))
    story.decide()
    if phase == "doubt":
        story.crash().decide()
    elif phase == "owed":
        story.defer("a", until=T0).decide()
    story.answer("cancel").decide()
    assert story.ended == "cancelled"
    assert story.run.unknown == (() if phase == "call" else ("a",))


def test_a_read_that_was_lost_is_not_named_unknown() -> None:
    """It changes nothing, so there is nothing to know."""
    story = Story([step("a")], READ)
    story.decide()
    story.crash().tell(e.CancelRequested(by="bob")).decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ())


def test_a_crash_while_a_cancel_waits_for_a_call() -> None:
    """The cancel is remembered; the lost call is looked up once and named if need be."""
    story = Story([step("a")], KEYED)
    story.decide()
    cancelled(story)
    story.crash().decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ("a",))


# --- limits -------------------------------------------------------------------------------------------------------


def test_more_steps_than_allowed_stop_the_run_before_any_begins() -> None:
    """steps_max over all revisions."""
    story = Story([step(name) for name in "abc"], READ, limits=Limits(steps_max=2))
    assert story.called() == []
    assert "steps_max" in story.run.reason
    assert Story([step(name) for name in "ab"], READ, limits=Limits(steps_max=2)).called() == ["a", "b"]


def test_calls_in_all_are_a_hard_limit() -> None:
    """attempts_max calls are made and not one more, however many could begin at once."""
    story = Story([step(name) for name in "abcd"], READ, limits=Limits(attempts_max=2))
    assert story.called() == ["a", "b"]
    story.succeed("a").succeed("b").decide()
    assert story.ended == "failed"
    assert "attempts_max" in story.run.reason
    exact = Story([step(name) for name in "ab"], READ, limits=Limits(attempts_max=2))
    exact.decide()
    exact.succeed("a").succeed("b").decide()
    assert exact.run.ended == "completed", "a run that needs exactly what is allowed is within the limit"


def test_a_retry_counts_as_a_call() -> None:
    """The limit holds for the same step too."""
    story = Story([step("a")], READ, limits=Limits(attempts_max=1))
    story.decide()
    story.fail("a").decide()
    assert story.called(after=60) == []
    assert story.ended == "failed"


def test_wall_time_ends_a_run_that_waits() -> None:
    """It wakes at the limit and stops there, at the very moment."""
    story = Story([step("a")], FINAL, limits=Limits(wall_seconds=100.25, person_seconds=1e6))
    assert story.decide().wake_at == T0 + 100.25
    story.decide(after=100.25)
    assert story.ended == "failed"
    assert "wall_seconds" in story.run.reason


def test_wall_time_waits_for_the_call_under_way() -> None:
    """What is in flight is heard."""
    story = Story([step("a")], READ, limits=Limits(wall_seconds=5))
    story.decide()
    story.decide(after=6)
    assert story.phases == {"a": "flying"}
    story.succeed("a", 1).decide()
    assert story.ended == "failed"
    assert story["a"].value == 1


def test_a_clock_that_goes_backwards_does_not_move_the_run_backwards() -> None:
    """Time is never earlier than what was written."""
    story = Story([step("a")], READ)
    story.decide()
    story.fail("a").decide()
    decision = decide(story.run, T0 - 1000)
    assert decision.events == ()
    assert decision.wake_at == T0 + 1


# --- the agent changed --------------------------------------------------------------------------------------------


def test_a_weaker_promise_stops_the_run_with_a_question() -> None:
    """Nothing begins until a person has said that it will do; the question says what became weaker."""
    story = Story([step("a"), step("b", after=("a",))], KEYED)
    story.decide()
    story.succeed("a").crash().change(weaker(KEYED, safety="irreversible"), weaker=True)
    assert story.called() == []
    assert (story.asked.about, story.asked.kind) == ("agent", "question")
    assert "t: safety was keyed, is irreversible" in story.asked.question
    story.answer("approve").decide()
    assert story.asked.about == "call", "from here on the new promise holds"


def test_a_weaker_promise_that_is_refused_stops_the_run() -> None:
    """With the person's words as the reason."""
    story = Story([step("a")], KEYED)
    story.crash().change(weaker(KEYED, safety="irreversible"), weaker=True).decide()
    story.answer("reject", note="no").decide()
    assert story.ended == "failed"
    assert "weaker (reject by ann: no)" in story.run.reason


def test_a_weaker_promise_that_nobody_answers_for_stops_the_run() -> None:
    """Silence never means yes."""
    story = Story([step("a")], KEYED, limits=Limits(person_seconds=60))
    story.crash().change(weaker(KEYED, safety="irreversible"), weaker=True)
    assert story.decide().wake_at == T0 + 60
    story.decide(after=60)
    assert story.ended == "failed"


def test_a_reverted_change_takes_its_question_back() -> None:
    """The run goes on under the old promises, without anybody's word."""
    story = Story([step("a")], KEYED)
    story.crash().change(weaker(KEYED, safety="irreversible"), weaker=True).decide()
    assert story.open
    story.crash().change(KEYED)
    assert story.called() == ["a"]
    assert story.open == []


def test_a_stronger_promise_is_taken_on_without_a_question() -> None:
    """It is written down, and holds from here on."""
    story = Story([step("a")], FINAL)
    story.crash().change(weaker(FINAL, safety="keyed"))
    assert story.called() == ["a"]


def test_a_call_in_flight_is_judged_by_what_was_promised_when_it_was_made() -> None:
    """An irreversible call that was lost does not become repeatable because the next release says so."""
    story = Story([step("a")], tool("t", "irreversible", approve="never"))
    story.decide()
    story.crash().change(tool("t", "idempotent", approve="never")).decide()
    assert story.rows() == ["irreversible"]
    assert story.asked.about == "doubt"


def test_nothing_held_back_by_a_weaker_promise_moves_on_by_itself() -> None:
    """A retry whose time has come waits for the person too."""
    story = Story([step("a")], KEYED)
    story.decide()
    story.fail("a").decide()
    story.crash().change(weaker(KEYED, safety="irreversible"), weaker=True).decide()
    assert story.called(after=100) == []
    story.answer("approve").decide()
    assert story.asked.about == "call"


def test_a_repeat_keeps_the_key_under_which_the_call_was_lost() -> None:
    """A release that declares a business key must not make a repeat look like another call to the other side."""
    story = Story([step("a", args={"to": "x"})], KEYED)
    story.decide()
    story.crash().change(weaker(KEYED, business_key=("to",)))
    assert story.called() == ["a"]
    assert len(set(story.keys)) == 1


def test_a_repeat_that_needs_a_new_approval_asks_about_the_doubt() -> None:
    """The old approval was for the old promises; what is asked now is whether the lost call happened, so that neither yes
    nor no forgets it."""
    contract = tool("t", "keyed", approve="always")
    story = Story([step("a", on_failure="skip")], contract)
    story.decide()
    story.answer("approve").decide()
    story.crash().change(weaker(contract, timeout_seconds=11.0))
    assert story.called() == []
    assert story.asked.about == "doubt"
    story.answer("cancel").decide()
    assert story.run.unknown == ("a",)


def test_a_lost_call_whose_tool_is_gone_is_not_forgotten() -> None:
    """A person accepted an agent without the tool; whether the lost call happened is still theirs to say."""
    story = Story([step("a", on_failure="skip")], KEYED, tool("u", "read"))
    story.decide()
    story.lose("a").decide()
    story.crash().change(tool("u", "read"), weaker=True).decide()
    story.answer("approve").decide(after=60)
    assert story.asked.about == "doubt"
    story.answer("reject").decide()
    assert story.run.skipped == ("a",)


def test_a_step_whose_tool_is_gone_is_given_up_as_it_says() -> None:
    """After a person accepted the smaller agent."""
    story = Story([step("a", on_failure="skip")], KEYED)
    story.crash().change(tool("u", "read"), weaker=True).decide()
    story.answer("approve").decide()
    assert story.run.skipped == ("a",)


# --- owed ---------------------------------------------------------------------------------------------------------


def test_a_deferred_call_is_looked_up_until_it_is_there() -> None:
    """On the probe's schedule, without being called again."""
    story = Story([step("a")], weaker(PROBED, probe_seconds=5.0, probe_window_seconds=1000.0))
    story.decide()
    (probe,) = story.defer("a", until=T0 + 1000).decide().commands
    assert isinstance(probe, RunProbe)
    decision = story.probed("a", "not_yet").decide()
    assert (story.phases["a"], decision.wake_at) == ("owed", T0 + 5)
    story.decide(after=5)
    story.probed("a", "happened", "done").decide()
    assert story.run.result == {"a": "done"}
    assert story.rows() == ["owed-not-yet", "owed-came"]
    assert len(story.keys) == 1


def test_a_deferred_call_without_a_probe_waits_until_its_time_and_then_asks() -> None:
    """It parks and costs nothing; at the deadline a person says what came."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    assert story.defer("a", until=T0 + 50).decide().wake_at == T0 + 50
    story.decide(after=50)
    assert story.asked.about == "owed"
    story.answer("respond", "came by post").decide()
    assert story.run.result == {"a": "came by post"}


def test_a_deferred_call_that_named_no_time_has_a_deadline_all_the_same() -> None:
    """The probe window of its contract."""
    story = Story([step("a")], tool("t", "keyed", probe_window_seconds=30.0))
    story.decide()
    assert story.defer("a").decide().wake_at == T0 + 30


def test_what_is_owed_and_did_not_come_is_given_up_as_the_step_says() -> None:
    """reject at the question."""
    story = Story([step("a", on_failure="flag")], tool("t", "keyed"))
    story.decide()
    story.defer("a", until=T0 + 1).decide(after=1)
    story.answer("reject").decide()
    assert (story.ended, story.run.flagged, story.run.unknown) == ("completed", ("a",), ())


def test_what_is_owed_when_a_run_stops_is_named() -> None:
    """The other side will still do it."""
    story = Story([step("a"), step("b")], tool("t", "keyed"))
    story.decide()
    story.defer("a", until=T0 + 100).decide()
    story.fail("b", "denied").decide()
    assert (story.ended, story.run.unknown) == ("failed", ("a",))


def test_what_is_owed_survives_a_crash_without_a_second_call() -> None:
    """The call is not in doubt: the other side has it."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    story.defer("a", until=T0 + 100).decide()
    assert story.crash().decide().commands == ()
    assert story.phases["a"] == "owed"


def test_a_deferred_attempt_after_a_lost_one_is_one_call() -> None:
    """The same key: the other side has the call, whichever attempt brought it."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    story.crash().decide()
    story.defer("a", until=T0 + 9).decide()
    assert story["a"].doubt_since is None
    assert story.phases["a"] == "owed"


# --- partial ------------------------------------------------------------------------------------------------------


def test_what_is_partly_done_is_done_and_named() -> None:
    """What is left is kept by identity; the run says which steps are not whole."""
    story = Story([step("a"), step("b", args={"x": ref("steps.a.seat")})], KEYED)
    story.decide()
    story.tell(e.CallPartial(step="a", attempt=1, value={"seat": None, "flight": 7}, left=("seat",))).decide()
    assert story["a"].left == ("seat",)
    assert story.called() == []
    (call,) = [command for command in story.commands if isinstance(command, CallTool) and command.step == "b"]
    assert call.args == {"x": None}
    story.succeed("b").decide()
    assert story.run.partial == ("a",)


# --- the reasoner -------------------------------------------------------------------------------------------------


def test_a_run_begins_by_asking_its_reasoner() -> None:
    """With an intent, like every effect."""
    story = Story(None, READ)
    assert story.decide().commands == (AskReasoner(turn=1),)
    assert story.decide().commands == ()


def test_a_plan_that_is_not_final_asks_again_when_its_steps_have_ended() -> None:
    """Turn after turn; new steps may build on old ones."""
    story = Story([step("a")], READ, final=False)
    story.decide()
    assert story.succeed("a", 1).decide().commands == (AskReasoner(turn=2),)
    more = Plan(steps=(step("b", args={"x": ref("steps.a")}),), final=False)
    story.tell(e.PlanAdopted(turn=2, revision=2, plan=more))
    assert story.called() == ["b"]
    assert story.succeed("b").decide().commands == (AskReasoner(turn=3),)
    story.tell(e.FinishProposed(turn=3, result="all of it")).decide()
    assert (story.ended, story.run.result) == ("completed", "all of it")


def test_a_reasoner_that_gives_up_ends_the_run_with_its_reason() -> None:
    """Also with an empty one."""
    for reason in ("no such customer", ""):
        story = Story(None, READ)
        story.decide()
        story.tell(e.GiveUpProposed(turn=1, reason=reason)).decide()
        assert (story.ended, story.run.reason) == ("failed", reason)


def test_proposals_that_cannot_be_run_are_bounded() -> None:
    """Three in a row end the run, and say what was wrong with the last; a sound one in between starts the count anew."""
    story = Story(None, READ)
    for turn in (1, 2):
        story.decide()
        story.tell(e.ProposalFailed(turn=turn, problems=("there is no tool x",)))
    story.decide()
    story.tell(e.PlanAdopted(turn=3, revision=1, plan=Plan(steps=(step("a"),), final=False))).decide()
    story.succeed("a")
    for turn in (4, 5, 6):
        assert story.decide().commands == (AskReasoner(turn=turn),)
        story.tell(e.ProposalFailed(turn=turn, problems=("there is no tool x",)))
    story.decide()
    assert story.ended == "failed"
    assert "there is no tool x" in story.run.reason


def test_turns_are_bounded() -> None:
    """turns_max questions to the reasoner and not one more."""
    story = Story(None, READ, limits=Limits(turns_max=2))
    for turn in (1, 2):
        assert story.decide().commands == (AskReasoner(turn=turn),)
        story.tell(e.PlanAdopted(turn=turn, revision=turn, plan=Plan(steps=(step(f"s{turn}"),), final=False))).decide()
        story.succeed(f"s{turn}")
    assert story.decide().commands == ()
    assert "turns_max" in story.run.reason
    assert story.ended == "failed"


def test_a_crash_while_the_reasoner_thinks_asks_it_again() -> None:
    """What it might have said is lost, and nothing rests on it."""
    story = Story(None, READ)
    story.decide()
    assert story.crash().decide().commands == (AskReasoner(turn=2),)


def test_steps_that_a_revision_drops_are_given_up() -> None:
    """They are skipped with the revision's reason, and what reads them with them."""
    steps = [step("a"), step("b", after=("a",)), step("c", args={"x": ref("steps.b")})]
    story = Story(steps, READ, final=False)
    story.decide()
    revised = e.PlanAdopted(
        turn=2, revision=2, plan=Plan(steps=(step("d"),), final=True), reason="b is of no use", dropped=("b",)
    )
    story.tell(revised)
    assert story.called() == ["d"]
    assert "b is of no use" in story["b"].reason
    story.succeed("a").succeed("d").decide()
    assert story.phases == {"a": "done", "b": "skipped", "c": "skipped", "d": "done"}
    assert story.ended == "completed"


# --- results ------------------------------------------------------------------------------------------------------


def test_the_result_is_what_the_plan_says() -> None:
    """References in its form are resolved from what was done; null stands where a step was skipped."""
    form = {"first": ref("steps.a.n"), "second": ref("steps.b"), "both": [ref("steps.a"), ref("steps.b.x")], "word": "w"}
    story = Story([step("a"), step("b", on_failure="skip")], READ, result=form)
    story.decide()
    story.succeed("a", {"n": 1}).fail("b", "denied").decide()
    assert story.run.result == {"first": 1, "second": None, "both": [{"n": 1}, None], "word": "w"}


def test_without_a_form_the_result_is_that_of_all_finished_steps() -> None:
    """By step; those not done are named beside it."""
    story = Story([step("a"), step("b", on_failure="skip")], READ)
    story.decide()
    story.succeed("a", 1).fail("b", "denied").decide()
    assert story.run.result == {"a": 1}
    assert story.run.skipped == ("b",)


def test_an_ended_run_decides_nothing() -> None:
    """Whatever the time."""
    story = Story([step("a")], READ)
    story.decide()
    story.succeed("a").decide()
    assert story.ended
    decision = decide(story.run, T0 + 1e9)
    assert (decision.events, decision.commands, decision.wake_at) == ((), (), None)


def test_deciding_twice_decides_the_same() -> None:
    """The same state and time: the same decision; and what is decided is not decided again."""
    story = Story([step("a"), step("b")], KEYED)
    assert decide(story.run, T0) == decide(story.run, T0)
    story.decide()
    assert decide(story.run, T0).events == ()


def test_an_outcome_for_a_call_that_is_not_under_way_is_a_bug_that_is_seen() -> None:
    """The fold asserts what the driver owes."""
    story = Story([step("a")], READ)
    with pytest.raises(AssertionError, match="attempt 1 of a"):
        evolve(story.run, e.Entry(story.run.version + 1, T0, 1, e.CallSucceeded(step="a", attempt=1)))
