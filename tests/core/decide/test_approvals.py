"""Calls that a person approves first, and what becomes of that, and of what is under way, when the agent changes."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from tests.core.story import T0, Story, ref, step, tool, weaker

READ = tool("t", "read")
KEYED = tool("t", "keyed")
FINAL = tool("t", "irreversible")


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
    """When the change comes while the question is open, it is withdrawn and asked anew."""
    story = Story([step("a")], FINAL)
    story.decide()
    first = story.asked
    story.crash().change(weaker(FINAL, timeout_seconds=99.0)).decide()
    (withdrawn,) = story.events(e.InterruptWithdrawn)
    assert withdrawn.interrupt == first.interrupt
    assert story.asked.digest != first.digest
    assert story.called() == []
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
