"""Words that are no answers: what may be said, when, and what each becomes when the run takes it."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import msgspec
import pytest

from holdfast import inbox
from holdfast.core import events as e
from holdfast.core.thinking import Thinking
from holdfast.errors import AnswerRefused
from holdfast.inbox import taking
from holdfast.journal.base import Message, MessageKind
from tests.core.story import T0, Story, step, tool
from tests.inbox.kept import PAY, paying, said

MIND: dict[str, Any] = {"thinking": Thinking(models={}, routes={})}


def take(story: Story, message: Message) -> e.AnyEvent:
    """What a word becomes, as the store gives it back; the run hears it."""
    read = msgspec.structs.replace(message, body=json.loads(json.dumps(message.body)))
    event = inbox.taken(story.run, read, story.now)
    story.tell(event)
    return event


def plain_run() -> Story:
    """A run whose first step is under way, and whose second waits for it."""
    story = Story([step("a"), step("b", after=("a",))], tool())
    story.decide()
    return story


# --- comments ---------------------------------------------------------------------------------------------------------


def test_a_comment_is_taken_whether_what_it_is_about_is_open_or_not() -> None:
    """It decides nothing."""
    story = paying()
    message = inbox.comment(story.run, None, "who is x?", by="ann", now=T0)
    assert take(story, message) == e.Commented(interrupt="a-1", by="ann", text="who is x?")
    assert story.open == ["a-1"]
    take(story, inbox.answer(story.run, "reject", by="bob", now=T0))
    late = inbox.comment(story.run, "a-1", "I see", by="ann", now=T0)
    assert isinstance(take(story, late), e.Commented)


@pytest.mark.parametrize(
    ("interrupt", "text", "by", "why"),
    [
        ("a-7", "x", "ann", "nothing is open under a-7"),
        (None, " ", "ann", "says nothing"),
        (None, "x" * 10_001, "ann", "10000 characters"),
        (None, "x", "", "name of who"),
    ],
)
def test_what_is_no_comment_is_refused(interrupt: str | None, text: str, by: str, why: str) -> None:
    """Before anything is sent."""
    with pytest.raises(AnswerRefused, match=why):
        inbox.comment(paying().run, interrupt, text, by=by, now=T0)


# --- pause and resume -------------------------------------------------------------------------------------------------


def test_a_run_is_paused_once_and_resumed_once() -> None:
    """What was said twice all the same is written down as void."""
    story = plain_run()
    first = inbox.pause(story.run, by="ann", now=T0, reason="lunch", until=T0 + 60)
    second = inbox.pause(story.run, by="bob", now=T0)
    assert take(story, first) == e.RunPaused(by="ann", reason="lunch", until=T0 + 60)
    assert take(story, second) == e.WordVoided(kind="pause", by="bob", reason="it is paused already by ann")
    with pytest.raises(AnswerRefused, match="paused already by ann"):
        inbox.pause(story.run, by="bob", now=T0)
    on = inbox.resume(story.run, by="bob", now=T0)
    assert take(story, on) == e.RunContinued(by="bob")
    assert take(story, on) == e.WordVoided(kind="resume", by="bob", reason="it is not paused")
    with pytest.raises(AnswerRefused, match="not paused"):
        inbox.resume(story.run, by="bob", now=T0)


def test_words_that_were_not_taken_yet_count() -> None:
    """A pause that is on its way can be taken back, and is not said twice."""
    state = plain_run().run
    pause, resume = said("pause", by="ann"), said("resume", by="ann")
    assert inbox.resume(state, by="ann", now=T0, unread=[pause]).kind == "resume"
    with pytest.raises(AnswerRefused, match="not paused"):
        inbox.resume(state, by="ann", now=T0, unread=[pause, resume])
    with pytest.raises(AnswerRefused, match="paused already"):
        inbox.pause(state, by="ann", now=T0, unread=[resume, pause])


@pytest.mark.parametrize("until", [T0, T0 - 1, math.inf, math.nan])
def test_a_pause_ends_in_the_time_to_come(until: float) -> None:
    """When it is said, and when it is taken."""
    story = plain_run()
    with pytest.raises(AnswerRefused, match="over before it begins"):
        inbox.pause(story.run, by="ann", now=T0, until=until)
    message = inbox.pause(story.run, by="ann", now=T0, until=T0 + 5)
    assert isinstance(inbox.taken(story.run, message, T0 + 5), e.WordVoided)


# --- instructions, and taking over ------------------------------------------------------------------------------------


def test_only_a_run_that_a_model_plans_is_instructed() -> None:
    """For the others it says what can be done."""
    story = Story(None, tool(), start=MIND)
    message = inbox.instruct(story.run, "use trains", by="ann", now=T0)
    assert inbox.taken(story.run, message, T0) == e.Instructed(text="use trains", by="ann")
    with pytest.raises(AnswerRefused, match=r"only a run that a model plans.*take it over"):
        inbox.instruct(plain_run().run, "use trains", by="ann", now=T0)
    assert take(plain_run(), message) == e.WordVoided(kind="instruct", by="ann", reason="no model plans it")
    with pytest.raises(AnswerRefused, match="says nothing"):
        inbox.instruct(story.run, "", by="ann", now=T0)


def test_a_run_is_taken_over_by_one_person() -> None:
    """The second is told who has it."""
    story = plain_run()
    message = inbox.handoff(story.run, by="ann", now=T0, reason="too slow")
    assert take(story, message) == e.HandoffRequested(by="ann", reason="too slow")
    assert isinstance(take(story, said("handoff", by="bob", reason="")), e.WordVoided)
    with pytest.raises(AnswerRefused, match="ann has taken it over already"):
        inbox.handoff(story.run, by="bob", now=T0)


# --- what is done by hand ---------------------------------------------------------------------------------------------


def test_a_step_that_was_done_by_hand_has_the_result_that_was_given() -> None:
    """Before it begins, or while a person is asked about it; then the question is gone."""
    story = paying()
    message = inbox.done(story.run, "a", {"receipt": "R"}, by="ann", now=T0, note="at the bank")
    assert take(story, message) == e.StepDoneByHand(
        step="a", by="ann", value={"receipt": "R"}, note="at the bank", args=story["a"].args
    )
    assert (story["a"].phase, story["a"].value, story.open) == ("done", {"receipt": "R"}, [])


def test_what_is_in_flight_or_has_ended_is_not_done_by_hand() -> None:
    """Neither when it is said, nor when it is taken: the call may have the effect as well."""
    story = plain_run()
    early = inbox.done(story.run, "b", 2, by="ann", now=T0)
    with pytest.raises(AnswerRefused, match="under way for the step"):
        inbox.done(story.run, "a", 1, by="ann", now=T0)
    assert isinstance(take(story, said("done", step="a", value=1, by="ann", note="")), e.WordVoided)
    story.succeed("a", 1).decide()
    with pytest.raises(AnswerRefused, match="done already"):
        inbox.done(story.run, "a", 1, by="ann", now=T0)
    voided = take(story, early)
    assert voided == e.WordVoided(
        kind="done", by="ann", about="b",
        reason="something is under way for the step; wait until it has ended, or pause the run",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("a", {"receipt": 5}, "no result of pay"),
        ("a", None, "no result of pay"),
        ("a", {"receipt": "R", "password": "x"}, "password is never written down"),
        ("a", {"receipt": math.nan}, "written as JSON"),
        ("z", 1, "it has no step 'z'"),
    ],
)
def test_what_is_no_result_of_the_step_is_refused(name: str, value: Any, why: str) -> None:
    """As it would be of the tool."""
    with pytest.raises(AnswerRefused, match=why):
        inbox.done(paying().run, name, value, by="ann", now=T0)


def test_who_may_not_decide_about_a_step_cannot_say_that_it_is_done() -> None:
    """Or whoever may not approve a payment could have it pass for made. Who refused it may have made it all the same."""
    story = paying(who=("chief",))
    with pytest.raises(AnswerRefused, match="it is for chief"):
        inbox.done(story.run, "a", {"receipt": "R"}, by="ann", now=T0, roles=("clerk",))
    voided = take(story, said("done", step="a", value={"receipt": "R"}, by="ann", note=""))
    assert isinstance(voided, e.WordVoided) and "it is for chief" in voided.reason
    message = inbox.done(story.run, "a", {"receipt": "R"}, by="ann", now=T0, roles=("chief",))
    assert isinstance(take(story, message), e.StepDoneByHand)


# --- ids --------------------------------------------------------------------------------------------------------------


def every_word(story: Story, id: str | None) -> list[Message]:
    """Each word that may have an id."""
    state, by = story.run, {"by": "ann", "now": T0, "id": id}
    return [
        inbox.cancel(**by),
        inbox.signal(state, "go", 1, **by),
        inbox.correct(state, "city", "Bonn", **by),
        inbox.goal(state, "go home", {}, **by),
        inbox.instruct(state, "slowly", **by),
        inbox.comment(state, "a-1", "hm", **by),
        inbox.pause(state, **by),
        inbox.handoff(state, **by),
        inbox.done(state, "a", {"receipt": "R"}, **by),
    ]


def test_the_same_word_with_the_same_id_has_the_same_slot() -> None:
    """So the store keeps it once; without an id each counts, but for a cancel."""
    story = paying(start=MIND)
    assert {message.slot for message in every_word(story, "order 7/1")} == {"word:order 7/1"}
    slots = [message.slot for message in every_word(story, None)]
    assert slots == ["cancel", *[None] * (len(slots) - 1)]


@pytest.mark.parametrize("id", ["", " ", "a\nb", "x" * 201, "\x00"])
def test_what_is_no_id_is_refused(id: str) -> None:
    """It is to be printed and compared."""
    with pytest.raises(AnswerRefused, match="no id for a word"):
        inbox.cancel(by="ann", now=T0, id=id)


def test_what_only_the_moment_forbids_is_left_to_the_run_where_a_word_has_an_id() -> None:
    """It may be the very word that was heard before, sent once more; the store knows, and the run writes down what is void."""
    story = paying()
    done = inbox.done(story.run, "a", {"receipt": "R"}, by="ann", now=T0, id="1")
    take(story, inbox.pause(story.run, by="ann", now=T0, id="2"))
    take(story, done)
    assert inbox.pause(story.run, by="ann", now=T0, id="2").slot == "word:2"
    assert inbox.done(story.run, "a", {"receipt": "R"}, by="ann", now=T0, id="1").body == done.body
    assert isinstance(take(story, done), e.WordVoided)


# --- what a mailbox may hold ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["comment", "pause", "resume", "instruct", "handoff", "done"])
@pytest.mark.parametrize("junk", [None, 5, "", [], {}, float("inf"), "x"])
def test_whatever_a_message_holds_a_run_does_not_stand_still_over_it(kind: str, junk: Any) -> None:
    """It becomes an event that can be written down."""
    names = ("interrupt", "by", "text", "reason", "until", "step", "value", "note", "roles")
    for story in (paying(), plain_run(), Story([step("a", "pay")], PAY, start=MIND)):
        for body in ({}, dict.fromkeys(names, junk)):
            event = inbox.taken(story.run, said(kind, **body), story.now)
            if not (kind == "done" and junk == float("inf")):
                assert msgspec.json.decode(msgspec.json.encode(event), type=e.AnyEvent) == event


def test_every_kind_of_message_becomes_an_event() -> None:
    """A new kind is not forgotten."""
    assert set(taking._TAKEN) == set(get_args(MessageKind))
