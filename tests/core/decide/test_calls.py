"""New calls: who may begin, with what, under which key; and why not yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe, once_name
from holdfast.core.contract import Retry
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


# --- the same call in another run of the store --------------------------------------------------------------------

STORE = tool("mail", "keyed", business_key=("to",), business_scope="store")


def taken(name: str, holder: str = "r0") -> Room:
    """Another run has the place of a call."""
    return Room(free={name: 0}, holders={name: holder})


def test_a_call_that_another_run_has_under_way_is_not_made() -> None:
    """It is said whose it is, and the run goes on without it; the other's result is the other's."""
    steps = [step("a", "mail", args={"to": "x"}), step("b", "mail", args={"to": "y"}), step("c", "t", args={"n": ref("steps.a")})]
    story = Story(steps, STORE, READ)
    once = once_name(STORE, {"to": "x"})
    assert once is not None and once.startswith("once:")
    assert story.called(room=taken(once)) == ["b"]
    (suppressed,) = story.events(e.FollowUpSuppressed)
    assert (suppressed.step, suppressed.same_as, suppressed.run_id) == ("a", "", "r0")
    assert "under way in the run r0" in story["a"].reason
    story.succeed("b").decide()
    assert (story.ended, story.run.skipped) == ("completed", ("a", "c"))


def test_a_key_of_a_store_is_the_same_in_every_run() -> None:
    """So the other side knows the repeat too; that of a run is its own."""
    keys = []
    for run_id in ("r1", "r2"):
        for contract in (STORE, weaker(STORE, business_scope="run")):
            story = Story([step("a", "mail", args={"to": "x"})], contract, start={"run_id": run_id})
            story.decide()
            keys.append(story.keys[0])
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3


def test_a_call_in_doubt_is_repeated_though_its_place_is_taken() -> None:
    """It may have happened: it must be settled, whoever else began meanwhile."""
    story = Story([step("a", "mail", args={"to": "x"})], STORE)
    story.decide()
    once = once_name(STORE, {"to": "x"})
    assert once is not None
    assert story.crash().called(room=taken(once)) == ["a"]


# --- tools that may not be called now -----------------------------------------------------------------------------


def held(seconds: float, why: Any = "rate", called: str = "t", now: float = T0) -> Room:
    """A tool that may not be called for so long."""
    return Room(held={called: (now + seconds, why)})


@pytest.mark.parametrize("why", ["rate", "circuit"])
def test_a_call_that_may_not_be_made_now_waits_for_its_time(why: Any) -> None:
    """With its reason; one step of the run stands in line for the tool, the others begin when it does."""
    story = Story([step("a"), step("b", args={"n": 2}), step("c", "u")], READ, tool("u"))
    room = held(30, why)
    assert story.called(room=room) == ["c"]
    assert story.events(e.CallHeld) == [e.CallHeld(step="a", tool="t", why=why, until=T0 + 30)]
    assert story.phases == {"a": "waiting", "b": "ready", "c": "flying"}
    assert story.last is not None and story.last.wake_at == T0 + 30
    assert story.called(after=29) == []
    assert story.called(after=1) == ["a", "b"]
    assert story["a"].attempt == 1, "nothing was tried meanwhile"
    assert story["a"].held_since is None


def test_a_time_to_come_back_that_is_over_is_not_asked_again_at_once() -> None:
    """The clocks of two workers differ; the run must come to rest all the same."""
    story = Story([step("a")], READ)
    decision = story.decide(room=held(-5))
    assert decision.wake_at is not None and decision.wake_at > T0


def test_a_call_that_is_held_back_for_too_long_counts_as_failed() -> None:
    """hold_seconds in all, over every time that it was put off; then the step says what follows."""
    story = Story([step("a", on_failure="flag")], READ, limits=Limits(hold_seconds=100))
    story.decide(room=held(60))
    story.decide(after=60, room=held(60, now=T0 + 60))
    assert story.phases["a"] == "waiting"
    story.decide(after=60, room=held(60, now=T0 + 120))
    assert (story.ended, story.run.flagged) == ("completed", ("a",))
    assert "its rate is used up, and it was held back for 100 s" in story["a"].reason
    assert story.keys == []


def test_a_call_in_doubt_is_held_back_for_as_long_as_it_takes() -> None:
    """It is not given up over what may have happened."""
    story = Story([step("a")], KEYED, limits=Limits(hold_seconds=100))
    story.decide()
    story.crash().decide(room=held(200))
    story.decide(after=200, room=held(200, now=T0 + 200))
    assert story.phases["a"] == "waiting"
    assert story.called(after=200) == ["a"]
    assert len(set(story.keys)) == 1


def test_an_open_circuit_is_gone_around_where_there_is_a_way() -> None:
    """A fallback at once, at every step; a rate is waited for, for it passes."""
    steps = [step("a", fallbacks=(Fallback(tool="u"),)), step("b", fallbacks=(Fallback(tool="u"),), args={"n": 2})]
    story = Story(steps, READ, tool("u"))
    assert story.called(room=held(30, "circuit")) == ["a", "b"]
    assert [ruled.reason for ruled in story.events(e.FallbackRuled)] == ["the circuit of t is open"] * 2
    assert {story["a"].tool, story["b"].tool} == {"u"}
    waits = Story(steps, READ, tool("u"))
    assert waits.called(room=held(30, "rate")) == []


def test_an_open_circuit_gives_way_to_an_alternative() -> None:
    """Another step is there for it."""
    story = Story([step("a"), step("b", "u", alternative_to="a")], READ, tool("u"))
    assert story.called(room=held(30, "circuit")) == ["b"]
    assert story.phases["a"] == "skipped"


def test_a_chain_of_open_circuits_is_walked_to_its_end_and_waited_for_there() -> None:
    """The last way is the one that is waited for."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"), Fallback(tool="v")))], READ, tool("u"), tool("v"))
    room = Room(held=dict.fromkeys(("t", "u", "v"), (T0 + 30, "circuit")))
    assert story.called(room=room) == []
    assert (story.phases["a"], story["a"].tool) == ("waiting", "v")


# --- the same call, which failed ----------------------------------------------------------------------------------


def failed_once(kind: Any = "conflict", **second: Any) -> Story:
    """A call that failed for good, another that changes the world, and the first call once more."""
    steps = [
        step("a", args={"n": 1}, on_failure="skip"),
        step("between", "u", on_failure="skip", after=("a",)),
        step("b", **{"args": {"n": 1}, "after": ("between",), "on_failure": "skip", **second}),
    ]
    story = Story(steps, READ, tool("u", "idempotent"), tool("v"))
    story.decide()
    story.fail("a", kind).decide()
    return story


def test_the_same_call_after_the_same_failure_is_refused() -> None:
    """Its failure is the one that it had; nothing is sent, and nothing is retried."""
    story = failed_once().fail("between", "denied")
    assert story.called() == []
    (refused,) = story.events(e.CallRefused)
    assert (refused.step, refused.same_as, refused.failure.kind) == ("b", "a", "conflict")
    assert "the same call failed in step a, and nothing has changed since" in story["b"].reason
    assert (story.ended, story.run.skipped, len(story.keys)) == ("completed", ("a", "between", "b"), 2)


@pytest.mark.parametrize(
    ("kind", "refused"),
    [("conflict", False), ("not_found", False), ("insufficient", False), ("denied", True), ("invalid_input", True)],
)
def test_a_refusal_is_lifted_when_the_world_was_changed(kind: Any, refused: bool) -> None:
    """What lay in the arguments lies there still."""
    story = failed_once(kind).succeed("between")
    assert story.called() == ([] if refused else ["b"])


@pytest.mark.parametrize(
    "second",
    [{"args": {"n": 2}}, {"called": "v"}, {"occurrence": 2}],
    ids=["other arguments", "another tool", "an intended repeat"],
)
def test_another_call_is_not_refused(second: dict[str, Any]) -> None:
    """Only the very same is."""
    assert failed_once(**second).fail("between", "denied").called() == ["b"]


def test_a_failure_that_passes_forbids_nothing() -> None:
    """The service was down; it may be up again."""
    story = Story([step("a", on_failure="skip"), step("b", after=("a",))], tool("t", "read", retry=Retry(attempts_max=1)))
    story.decide()
    assert story.fail("a", "transient").called() == ["b"]


def test_a_refused_call_has_fallbacks_like_one_that_failed() -> None:
    """What it falls back to is refused too where it failed."""
    story = failed_once(fallbacks=(Fallback(tool="v"),)).fail("between", "denied")
    assert story.called() == ["b"]
    assert story["b"].tool == "v"


def test_how_a_call_failed_is_remembered_when_its_step_went_another_way() -> None:
    """A fallback of the first step was done; what the first call failed of is what counts for the second."""
    steps = [step("a", fallbacks=(Fallback(tool="u"),)), step("b", after=("a",), on_failure="skip")]
    story = Story(steps, READ, tool("u", "idempotent"))
    story.decide()
    story.fail("a", "conflict").decide()
    assert story.succeed("a").called() == ["b"], "the fallback changed the world, and a conflict may be over"


def test_a_person_may_insist() -> None:
    """They know what went wrong."""
    story = failed_once(on_failure="ask").fail("between", "denied")
    story.decide()
    assert story.asked.about == "failure"
    assert story.answer("approve").called() == ["b"]


# --- what calls change beside -------------------------------------------------------------------------------------

COSTLY = tool("costly", "idempotent", changes=("credit",))


def used(story: Story, name: str, amount: float) -> Story:
    """A call comes back and says what else it changed."""
    change = e.Change(name="credit", amount=amount)
    return story.tell(e.CallSucceeded(step=name, attempt=story[name].attempt, changes=(change,)))


def test_what_calls_change_beside_is_counted_and_bounded() -> None:
    """A tool that says that it changes it is not called any more when it is used up; others are."""
    steps = [step("a", "costly"), step("b", "costly", args={"n": 2}, after=("a",), on_failure="skip"), step("c", after=("b",))]
    story = Story(steps, COSTLY, READ, limits=Limits(changes={"credit": 5.0}))
    story.decide()
    assert used(story, "a", 5.0).called() == ["c"]
    assert story.run.changes == {"credit": 5.0}
    assert "the run may change credit by 5 in all, and has" in story["b"].reason
    assert story.events(e.CallRefused)[0].failure.kind == "too_expensive"


def test_what_is_changed_beyond_its_bound_stops_the_run() -> None:
    """It was not known before; nothing more begins. Failures and deferred calls may have used it up too."""
    for outcome in (e.CallFailed, e.CallPartial, e.CallDeferred):
        story = Story(
            [step("a", "costly", on_failure="skip"), step("b", after=("a",))],
            COSTLY,
            READ,
            limits=Limits(changes={"credit": 5.0}),
        )
        story.decide()
        given: dict[str, Any] = {"failure": e.Failure(kind="denied")} if outcome is e.CallFailed else {}
        story.tell(
            outcome(step="a", attempt=1, changes=(e.Change(name="credit", amount=3), e.Change(name="credit", amount=3)), **given)
        )
        assert story.called() == []
        assert story.ended == "failed"
        assert "changes.credit of 5" in story.run.reason


def test_a_refused_costly_call_falls_back() -> None:
    """To what costs less."""
    steps = [step("a", "costly"), step("b", "costly", args={"n": 2}, after=("a",), fallbacks=(Fallback(tool="t"),))]
    story = Story(steps, COSTLY, READ, limits=Limits(changes={"credit": 5.0}))
    story.decide()
    assert used(story, "a", 5.0).called() == ["b"]
    assert story["b"].tool == "t"


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
