"""New calls: who may begin, with what, under which key; and why not yet."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.decide import Room, decide
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
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
