"""Answers where there is a policy: who gives them, how many are needed, and what may be edited into what."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast import inbox
from holdfast.core import events as e
from holdfast.core.policy import Rule
from holdfast.errors import AnswerRefused
from holdfast.journal.base import Message
from tests.core.story import T0, Story
from tests.inbox.kept import paying


def say(story: Story, decision: str = "approve", **said: Any) -> Message:
    """An answer, by Ann."""
    return inbox.answer(story.run, decision, **{"by": "ann", "now": story.now, **said})


def take(story: Story, message: Message, now: float | None = None) -> e.AnyEvent:
    """What it becomes, and the run hears it."""
    event = inbox.taken(story.run, message, story.now if now is None else now)
    story.tell(event)
    return event


# --- who --------------------------------------------------------------------------------------------------------------


def test_an_answer_is_refused_from_whoever_may_not_give_it() -> None:
    """By the role that the question names; it says for whom it is."""
    story = paying(who=("chief",))
    with pytest.raises(AnswerRefused, match="ann may not decide it; it is for chief"):
        say(story, roles=("clerk",))
    with pytest.raises(AnswerRefused, match="nobody knows ann"):
        say(story, roles=("chief",), known=False)
    assert say(story, roles=("chief",)).body["roles"] == ["chief"]


@pytest.mark.parametrize("by", ["", "  "])
def test_an_answer_needs_a_name(by: str) -> None:
    """Nobody decides without saying who they are; space around a name makes nobody else of them."""
    with pytest.raises(AnswerRefused, match="name of who"):
        say(paying(), by=by)
    assert say(paying(), by=" ann ").body["by"] == "ann"


def test_the_role_is_looked_at_again_when_the_answer_is_taken() -> None:
    """What is put into a mailbox past the checks is void."""
    story = paying(who=("chief",))
    message = say(story, roles=("chief",))
    message.body["roles"] = ["clerk"]
    event = take(story, message)
    assert isinstance(event, e.AnswerVoided) and event.reason == "ann may not decide it; it is for chief"


def test_an_answer_keeps_who_they_were_what_they_had_seen_and_when_they_said_so() -> None:
    """However late it is taken; nothing is written of what is not there."""
    story = paying(who=("chief",))
    message = say(story, "reject", roles=("chief",), seen_at=T0 - 5, bulk=True, note="no")
    event = take(story.wait(7), message)
    assert event == e.Answered(
        interrupt="a-1", decision="reject", by="ann", note="no", roles=("chief",), seen_at=T0 - 5, said_at=T0, bulk=True
    )
    assert say(paying()).body.keys() == {"interrupt", "digest", "decision", "by", "value", "note"}


def test_a_closed_question_says_who_was_first() -> None:
    """Also where the store has forgotten the message."""
    story = paying()
    take(story, say(story, "reject", by="bob"))
    with pytest.raises(AnswerRefused, match="a-1 was answered already: reject by bob"):
        say(story, interrupt="a-1")
    expired = paying().wait(1e6)
    expired.decide()
    with pytest.raises(AnswerRefused, match="a-1 is not open any more: nobody answered in time"):
        say(expired, interrupt="a-1")


# --- several people ---------------------------------------------------------------------------------------------------


def test_two_people_have_a_slot_each_and_the_last_yes_decides() -> None:
    """The first is written down, with how many are missing."""
    story = paying(people=3)
    first, second = say(story), say(story, by="bob")
    assert (first.slot, second.slot) == ("a-1:ann", "a-1:bob")
    assert take(story, first) == e.ApprovalGiven(interrupt="a-1", by="ann", left=2, said_at=T0)
    assert take(story, second) == e.ApprovalGiven(interrupt="a-1", by="bob", left=1, said_at=T0)
    last = take(story, say(story, by="cy"))
    assert isinstance(last, e.Answered) and (last.decision, last.by) == ("approve", "cy")
    assert not story.open


def test_nobody_is_two_people() -> None:
    """Neither when it is said, nor when it is taken."""
    story = paying(people=2)
    twice = say(story)
    take(story, say(story))
    assert take(story, twice) == e.AnswerVoided(
        interrupt="a-1", by="ann", reason="ann approved it already, and it needs somebody else as well"
    )
    with pytest.raises(AnswerRefused, match="ann approved it already"):
        say(story)


def test_one_no_is_enough_where_several_must_say_yes() -> None:
    """Whoever says it."""
    story = paying(people=2)
    take(story, say(story))
    event = take(story, say(story, "reject", by="bob"))
    assert isinstance(event, e.Answered) and event.decision == "reject"


def test_what_several_people_decide_is_not_edited_by_one_of_them() -> None:
    """Each would approve other arguments; it says what to do instead."""
    story = paying(people=2)
    with pytest.raises(AnswerRefused, match=r"needs 2 people.*proposed anew"):
        say(story, "edit", value={"amount": 1})
    message = say(story, "reject")
    message.body.update({"decision": "edit", "value": {"to": "x", "amount": 1}})
    event = take(story, message)
    assert isinstance(event, e.AnswerVoided) and "needs 2 people" in event.reason


# --- what is edited ---------------------------------------------------------------------------------------------------


def test_a_call_is_not_edited_into_something_forbidden() -> None:
    """The policy is asked about the arguments as edited, and its rule is named."""
    story = paying(other=(Rule(name="too much", then="block", when="amount > 100"),))
    with pytest.raises(AnswerRefused, match=r"money@1 forbids pay with these arguments \(rule too much\)"):
        say(story, "edit", value={"amount": 101})
    assert say(story, "edit", value={"amount": 100}).body["value"] == {"to": "x", "amount": 100}


def test_what_needs_a_function_is_left_to_the_moment_of_the_call() -> None:
    """Nobody knows yet what it says; it is asked before the call is made."""
    forbids = Rule(name="looked at", then="block", when="amount > 100", check="odd")
    story = paying(other=(forbids,))
    assert say(story, "edit", value={"amount": 101}).body["value"]["amount"] == 101


def test_what_cannot_be_answered_so_is_void_when_it_is_taken() -> None:
    """Whatever way it came into the mailbox."""
    story = paying()
    message = say(story)
    message.body["decision"] = "respond"
    event = take(story, message)
    assert isinstance(event, e.AnswerVoided) and event.reason == "it cannot be answered with respond"
