"""Words from people into a run: what may be said, and what a message becomes when the run takes it."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest

from holdfast import inbox
from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.facts import Drift, Fact
from holdfast.core.limits import Limits
from holdfast.errors import AnswerRefused, CallbackRefused
from holdfast.inbox import words
from holdfast.journal.base import Message
from tests.core.story import T0, Story, step, tool, weaker

PAY = tool(
    "pay", "irreversible",
    input_schema={"type": "object", "properties": {"to": {"type": "string"}, "amount": {"type": "number"}, "token": {"type": "string"}},
                  "required": ["to", "amount", "token"], "additionalProperties": False},
    output_schema={"type": "object", "properties": {"receipt": {"type": "string"}}, "required": ["receipt"]},
    secrets=("token",),
)  # fmt: skip
ARGS = {"to": "x", "amount": 5, "token": {"$secret": "T"}}


def asking(about: str = "call", contract: Contract = PAY, secrets: tuple[str, ...] = ()) -> Story:
    """A run that asks a person about a call of `pay`."""
    if about != "call":
        contract = weaker(contract, approve="never")
    if about == "sight":
        contract = weaker(contract, visible_within_seconds=50.0, probe=True)
    if about == "stop":
        contract = weaker(contract, undo="pay", undo_args=ARGS)
    story = Story(
        [step("a", "pay", args=ARGS, on_failure="ask")], contract, limits=Limits(person_seconds=100), final=about != "stop"
    )
    story.state = msgspec.structs.replace(story.run, secrets=secrets)
    story.decide()
    if about == "doubt":
        story.crash().decide()
    elif about == "failure":
        story.fail("a", "conflict").decide()
    elif about == "owed":
        story.defer("a", until=story.now).decide()
    elif about == "rest":
        story.part("a", {"receipt": "R-0"}, until=story.now).decide()
    elif about == "sight":
        story.succeed("a", {"receipt": "R-0"}).decide()
        story.wait(200).decide()
        story.probed("a", "not_yet").decide()
    elif about == "stop":
        story.succeed("a", {"receipt": "R-0"})
        story.cancel("ask").decide()
    assert story.asked.about == {"rest": "owed", "sight": "owed"}.get(about, about)
    return story


def say(story: Story, decision: str, **said: Any) -> Message:
    """A message to what is asked, by Ann, now."""
    return inbox.answer(story.run, decision, **{"by": "ann", "now": story.now, **said})


def refused(story: Story, decision: str, **said: Any) -> str:
    """Why a message cannot be said."""
    with pytest.raises(AnswerRefused) as caught:
        say(story, decision, **said)
    assert caught.value.run_id == "r1"
    return str(caught.value)


# --- what may be said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "options"),
    [
        ("call", {"approve", "edit", "reject", "cancel"}),
        ("doubt", {"respond", "approve", "reject", "cancel"}),
        ("failure", {"approve", "edit", "respond", "reject", "cancel"}),
        ("owed", {"approve", "respond", "reject", "cancel"}),
        ("rest", {"approve", "respond", "reject", "cancel"}),
        ("sight", {"approve", "respond", "reject", "cancel"}),
        ("stop", {"approve", "reject"}),
    ],
)
def test_each_question_takes_its_own_answers_and_no_others(about: str, options: set[str]) -> None:
    """What cannot be said is told, with what can."""
    story = asking(about)
    values = {"edit": {"amount": 6}, "respond": {"receipt": "R-1"}}
    for decision in ("approve", "edit", "reject", "respond", "cancel", "ignore", ""):
        if decision in options:
            assert say(story, decision, value=values.get(decision)).body["decision"] == decision
        else:
            assert f"it takes {', '.join(sorted(options))}" in refused(story, decision, value=values.get(decision))


def test_an_answer_says_who_when_and_to_what_was_shown() -> None:
    """It has the one slot of its interrupt, so that a second one is refused by the store."""
    story = asking()
    message = say(story, "reject", note="too dear")
    assert (message.kind, message.slot, message.at) == ("answer", "a-1", story.now)
    assert message.body == {
        "interrupt": "a-1", "digest": story.asked.digest, "decision": "reject", "by": "ann", "value": None, "note": "too dear",
    }  # fmt: skip


def test_an_answer_needs_a_name() -> None:
    """A person's word is an event with its author."""
    assert "needs the name" in refused(asking(), "approve", by="")


def test_a_run_that_asks_nothing_takes_no_answer() -> None:
    """Nor one that asks something else."""
    story = Story([step("a", "t")], tool("t"))
    story.decide()
    assert "it asks nothing at present" in refused(story, "approve")
    assert "nothing is open under a-9" in refused(asking(), "approve", interrupt="a-9")
    assert "open: a-1" in refused(asking(), "approve", interrupt="a-9")


def test_where_several_questions_are_open_one_is_named() -> None:
    """No guess is made."""
    story = Story([step("a", "pay", args=ARGS), step("b", "pay", args=ARGS)], PAY)
    story.decide()
    told = refused(story, "approve")
    assert "2 questions are open; say which" in told and "open: a-1, b-2" in told
    assert say(story, "approve", interrupt="b-2").slot == "b-2"


def test_an_expired_question_takes_no_answer() -> None:
    """At the very moment."""
    story = asking()
    assert say(story, "approve", now=story.now + 99.9).slot == "a-1"
    assert "has expired" in refused(story, "approve", now=story.now + 100)


# --- values -----------------------------------------------------------------------------------------------------------


def test_edited_arguments_are_the_whole_with_the_given_ones_in_place() -> None:
    """What was not changed is what was shown."""
    assert say(asking(), "edit", value={"amount": 6.5}).body["value"] == {**ARGS, "amount": 6.5}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "edit needs the arguments to change"),
        ({}, "edit needs the arguments to change"),
        ([1], "edit needs the arguments to change"),
        ("amount=6", "edit needs the arguments to change"),
        ({"amount": "six"}, "pay cannot take these arguments: amount"),
        ({"amuont": 6}, "pay cannot take these arguments"),
        ({"to": None}, "pay cannot take these arguments: to"),
        ({"token": "hunter2"}, "token is a secret and cannot be edited"),
        ({"amount": math.nan}, "cannot be written as JSON: NaN"),
        ({"to": "\ud800"}, "cannot be written as JSON"),
        ({"to": object()}, "cannot be written as JSON"),
    ],
)
def test_arguments_that_the_tool_could_not_take_are_refused(value: Any, problem: str) -> None:
    """While the person is there to be told."""
    assert problem in refused(asking(), "edit", value=value)


@pytest.mark.parametrize("about", ["doubt", "failure", "owed"])
def test_a_result_that_a_person_gives_fits_the_tool(about: str) -> None:
    """It takes the place of the tool's own."""
    story = asking(about)
    assert say(story, "respond", value={"receipt": "R-1"}).body["value"] == {"receipt": "R-1"}
    for wrong in (None, {}, {"receipt": 5}, "R-1", [1]):
        assert "this is no result of pay" in refused(story, "respond", value=wrong)
    for strange in (math.inf, object(), {1, 2}):
        assert "cannot be written as JSON" in refused(story, "respond", value=strange)


def test_a_tool_that_says_nothing_of_its_result_takes_any() -> None:
    """Also none."""
    story = asking("doubt", weaker(PAY, output_schema={}))
    for value in (None, 5, {"x": [1, None]}):
        assert say(story, "respond", value=value).body["value"] == value


def test_what_is_a_secret_by_its_name_cannot_be_said() -> None:
    """An answer is written down. Those that never are, and those that the agent added when the run began."""
    story = asking("doubt", weaker(PAY, output_schema={}), secrets=("pin",))
    assert "password is never written down" in refused(story, "respond", value={"password": "hunter2"})
    assert "pin is never written down" in refused(story, "respond", value=[{"pin": 1}])
    assert "api_key is never written down" in refused(asking(), "edit", value={"api_key": "x"})


@pytest.mark.parametrize("text", ["caf\udce9", "\ud800", "ok"])
def test_words_of_a_command_line_can_be_written_down(text: str) -> None:
    """Arguments of a process may hold bytes that are no text; a run must not stand still over them."""
    story = asking()
    answer, stop = say(story, "reject", by=f"ann {text}", note=text), inbox.cancel(by=text, now=T0, reason=text)
    for message in (answer, stop):
        read = msgspec.structs.replace(message, body=json.loads(json.dumps(message.body)))
        event = inbox.taken(story.run, read, story.now)
        assert msgspec.json.decode(msgspec.json.encode(event), type=e.AnyEvent) == event


# --- taking -----------------------------------------------------------------------------------------------------------


def take(story: Story, message: Message, now: float | None = None) -> e.AnyEvent:
    """What a message becomes, now or later."""
    return inbox.taken(story.run, message, story.now if now is None else now)


def test_an_answer_becomes_what_was_said() -> None:
    """As the person said it."""
    story = asking()
    event = take(story, say(story, "edit", value={"amount": 6}, note="half"))
    assert event == e.Answered(interrupt="a-1", decision="edit", by="ann", value={**ARGS, "amount": 6}, note="half", said_at=T0)


def test_a_cancel_is_taken_whatever_is_open() -> None:
    """It has a slot of its own: once is enough."""
    message = inbox.cancel(by="bob", now=T0, reason="wrong order")
    assert (message.kind, message.slot) == ("cancel", "cancel")
    for story in (asking(), Story([step("a", "t")], tool("t"))):
        assert take(story, message) == e.CancelRequested(by="bob", reason="wrong order")


def test_an_answer_to_what_is_not_open_any_more_is_void() -> None:
    """It came second, or what was asked went away."""
    story = asking()
    message = say(story, "approve")
    story.answer("reject")
    assert take(story, message) == e.AnswerVoided(interrupt="a-1", by="ann", reason="it is not open any more")


def test_an_answer_to_something_else_than_what_is_shown_now_is_void() -> None:
    """It is bound to what the person saw."""
    story = asking()
    message = say(story, "approve")
    message.body["digest"] = "of something else"
    assert take(story, message) == e.AnswerVoided(interrupt="a-1", by="ann", reason="what was shown has changed since")


def test_an_approval_that_is_heard_too_late_is_void() -> None:
    """What would follow from it has waited too long, although it was said in time."""
    story = asking()
    message = say(story, "approve", now=story.now + 99)
    assert isinstance(take(story, message, story.now + 99.9), e.Answered)
    assert take(story, message, story.now + 100) == e.AnswerVoided(interrupt="a-1", by="ann", reason="it has expired")


@pytest.mark.parametrize("about", ["doubt", "owed", "failure"])
def test_what_somebody_said_of_the_world_in_time_stays_said(about: str) -> None:
    """However late it is heard: nobody would ask them again."""
    story = asking(about)
    message = say(story, "respond", value={"receipt": "R-1"}, now=story.now + 99)
    assert isinstance(take(story, message, story.now + 5000), e.Answered)
    late = msgspec.structs.replace(message, at=story.now + 100)
    assert isinstance(take(story, late, story.now + 5000), e.AnswerVoided)


# --- what the world delivers ---------------------------------------------------------------------------------------

OWING = weaker(PAY, approve="never", callback=True)


def owing(**fields: Any) -> Story:
    """A run to which the result of its one step is owed."""
    story = Story([step("a", "pay", args=ARGS)], weaker(OWING, **fields))
    story.decide()
    story.defer("a").decide()
    return story


def delivery(story: Story, value: Any = None, failed: str | None = None, **body: Any) -> Message:
    """A delivery as the store puts it into the mailbox."""
    owed = story.run.pending.get("a")
    key = owed.key if owed is not None else story["a"].key
    return Message(kind="callback", body={"step": "a", "key": key, "value": value, "failed": failed, "by": "bank", **body}, at=T0)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "this is no result of pay"),
        ({"receipt": 5}, "this is no result of pay"),
        (math.nan, "cannot be written as JSON"),
        ({"receipt": "\ud800"}, "cannot be written as JSON"),
        (object(), "cannot be written as JSON"),
        ([[]] * 3 + [[[["x"]]]], "this is no result of pay"),
    ],
)
def test_what_is_no_result_of_the_call_is_not_taken(value: Any, problem: str) -> None:
    """Whoever delivers it is told, and where; that it failed needs no result."""
    with pytest.raises(CallbackRefused, match=problem) as caught:
        inbox.callback(owing().run, "a", value, failed=None, by="bank")
    assert (caught.value.run_id, caught.value.step) == ("r1", "a")
    if problem.startswith("this"):
        assert inbox.callback(owing().run, "a", value, failed="no", by="")["failed"] == "no"


def test_a_value_that_is_nested_too_deeply_is_not_taken() -> None:
    """A thousand levels, and a hundred thousand."""
    for depth in (101, 1000, 100_000):
        value: Any = "deep"
        for _ in range(depth):
            value = [value]
        with pytest.raises(CallbackRefused, match="cannot be written as JSON"):
            inbox.callback(owing(output_schema={}).run, "a", value, failed=None, by="")


def test_what_is_delivered_is_kept_without_secrets_and_in_bounds() -> None:
    """Words of the other side are cut; a value under the name of a secret is not kept."""
    body = inbox.callback(owing(output_schema={}).run, "a", {"password": "hunter2"}, failed="x" * 5000, by="caf\udce9" * 500)
    assert body["value"] == {"password": "[redacted]"}
    assert (len(body["failed"]), len(body["by"])) == (inbox.FAILED_MAX, inbox.BY_MAX)
    assert inbox.callback(owing().run, "no such step", 1, failed=None, by="")["value"] == 1


def test_a_delivery_becomes_the_result_or_the_failure_that_it_brings() -> None:
    """For the call of that key."""
    story = owing()
    key = story.run.pending["a"].key
    assert take(story, delivery(story, {"receipt": "R"})) == e.CallbackReceived(
        step="a", key=key, value={"receipt": "R"}, by="bank"
    )
    for why, message in (("no money", "no money"), ("", "the other side says that it failed")):
        event = take(story, delivery(story, failed=why))
        assert isinstance(event, e.CallbackReceived) and event.failure is not None
        assert (event.failure.kind, event.failure.message) == ("failed_later", message)


def test_a_delivery_for_a_call_of_which_nobody_knows_whether_it_happened_is_taken() -> None:
    """Before its own outcome, and after it was lost."""
    story = Story([step("a", "pay", args=ARGS)], OWING)
    story.decide()
    assert isinstance(take(story, delivery(story, {"receipt": "R"})), e.CallbackReceived)
    story.lose("a").decide()
    assert isinstance(take(story, delivery(story, {"receipt": "R"})), e.CallbackReceived)


def test_a_delivery_that_nobody_waits_for_is_written_down_as_refused() -> None:
    """For a call that was made anew, a step that is over, a step that is not there."""
    story = owing()
    anew = "the call that it is for was given up, or made anew"
    assert take(story, delivery(story, key="hf-old")) == e.CallbackRefused(step="a", reason=anew, by="bank")
    assert take(story, delivery(story, step="zz")) == e.CallbackRefused(step="zz", reason=anew, by="bank")
    late = delivery(story, {"receipt": "R"})
    story.deliver("a", {"receipt": "R"}).decide()
    assert take(story, late) == e.CallbackRefused(step="a", reason="the step is done already", by="bank")


def test_what_the_store_refused_is_written_down() -> None:
    """With the reason that was given."""
    message = Message(kind="refused", body={"step": "a", "reason": "it was delivered before", "by": "bank"}, at=T0)
    assert take(owing(), message) == e.CallbackRefused(step="a", reason="it was delivered before", by="bank")


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_the_end_of_a_child_is_told_as_it_was(status: Any) -> None:
    """With what it brought, and why it ended."""
    body = {
        "step": "a", "child": "r1.a", "status": status, "result": None if status != "completed" else {"x": 1}, "reason": "why",
        "attempts": 3, "partial": ["s"],
    }  # fmt: skip
    result = {"x": 1} if status == "completed" else None
    assert take(owing(), Message(kind="child", body=body, at=T0)) == e.ChildEnded(
        step="a", child="r1.a", status=status, result=result, reason="why", attempts=3, partial=("s",)
    )


# --- signals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31m", "x" * 201, "\udce9"])
def test_a_signal_needs_a_name_that_can_be_printed(name: str) -> None:
    """It is shown to people."""
    with pytest.raises(AnswerRefused, match="is no name for a signal"):
        inbox.signal(owing().run, name, 1, by="ann", now=T0)


def test_a_signal_says_a_value_to_what_waits_for_its_name() -> None:
    """By default the step's; a value that is no result of the call is refused while somebody is there to be told."""
    story = owing()
    message = inbox.signal(story.run, "a", {"receipt": "R"}, by="ann", now=T0)
    assert (message.kind, message.slot) == ("signal", None)
    assert take(story, message) == e.SignalReceived(name="a", value={"receipt": "R"}, by="ann")
    with pytest.raises(AnswerRefused, match="this is no result of pay"):
        inbox.signal(story.run, "a", 5, by="ann", now=T0)
    with pytest.raises(AnswerRefused, match="cannot be written as JSON"):
        inbox.signal(story.run, "other", math.inf, by="ann", now=T0)
    assert inbox.signal(story.run, "other", {"password": "x"}, by="ann", now=T0).body["value"] == {"password": "[redacted]"}


def test_not_more_signals_wait_than_there_may_be() -> None:
    """A name that waits already is said anew."""
    story = owing()
    for number in range(inbox.SIGNALS_MAX):
        story.signal(f"n{number}")
    with pytest.raises(AnswerRefused, match="100 signals wait"):
        inbox.signal(story.run, "one more", 1, by="ann", now=T0)
    assert inbox.signal(story.run, "n7", 1, by="ann", now=T0).body["name"] == "n7"


@pytest.mark.parametrize("on_stop", [None, "keep", "undo", "ask"])
def test_a_cancel_says_what_is_to_become_of_what_was_done(on_stop: Any) -> None:
    """Or leaves it to the agent's policy."""
    message = inbox.cancel(by="bob", now=T0, on_stop=on_stop)
    assert take(owing(), message) == e.CancelRequested(by="bob", reason="", on_stop=on_stop)


# --- what is so -------------------------------------------------------------------------------------------------------


def believing(**facts: Any) -> Story:
    """A run that believes this, as guesses."""
    story = Story([step("a", args={"x": 1})], tool())
    for name, value in facts.items():
        story.tell(e.FactsLearned(facts=(Fact(name=name, value=value, source="inferred", at=T0),)))
    return story


def test_a_correction_becomes_a_fact_that_somebody_told() -> None:
    """As of when they said it; with what was believed before."""
    story = believing(origin="JFK")
    message = inbox.correct(story.run, "origin", "LGA", by="ann", now=T0 + 5)
    assert (message.kind, message.slot) == ("correct", None)
    event = inbox.taken(story.run, message, T0 + 900)
    assert isinstance(event, e.FactsLearned)
    assert event.facts == (Fact(name="origin", value="LGA", source="told", by="ann", at=T0 + 5, pinned=True),)
    assert event.drifts == (Drift(name="origin", believed="JFK", observed="LGA", source="inferred"),)
    story.tell(event)
    assert story.run.facts["origin"].value == "LGA"


def test_something_new_can_be_told_too() -> None:
    """It corrects nothing."""
    story = believing()
    event = inbox.taken(story.run, inbox.correct(story.run, "city", None, by="ann", now=T0), T0)
    assert isinstance(event, e.FactsLearned) and event.drifts == () and event.facts[0].value is None


@pytest.mark.parametrize(
    ("name", "value", "by", "said"),
    [
        ("", 1, "ann", "no name"),
        ("a\nb", 1, "ann", "no name"),
        ("steps.a", 1, "ann", "no name"),
        ("x", math.nan, "ann", "JSON"),
        ("x", {"password": "p"}, "ann", "never written down"),
        ("password", "p", "ann", "never written down"),
        ("x", "y" * 20_000, "ann", "bytes"),
        ("x", 1, "", "name of who"),
    ],
)
def test_what_is_no_correction_is_refused(name: str, value: Any, by: str, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(AnswerRefused, match=said):
        inbox.correct(believing().run, name, value, by=by, now=T0)


def test_a_run_believes_no_end_of_things(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it believes already can always be corrected."""
    monkeypatch.setattr(words, "FACTS_MAX", 2)
    story = believing(a=1, b=2)
    inbox.correct(story.run, "a", 3, by="ann", now=T0)
    with pytest.raises(AnswerRefused, match="believes 2 things"):
        inbox.correct(story.run, "c", 3, by="ann", now=T0)


def guessing() -> Story:
    """A run that asks whether two things are so."""
    story = Story([step("a", "pay", args={"at": {"$ref": "facts.origin"}}, rests_on=("city",))], tool("pay", "irreversible"))
    for name in ("city", "origin"):
        story.tell(e.FactsLearned(facts=(Fact(name=name, value="x", source="inferred", at=T0),)))
    story.decide()
    assert story.asked.about == "fact"
    return story


def test_a_person_says_which_of_what_is_guessed_is_otherwise() -> None:
    """By name; it is taken as said."""
    story = guessing()
    message = say(story, "edit", value={"origin": "LGA"})
    event = inbox.taken(story.run, message, story.now)
    assert isinstance(event, e.Answered) and event.value == {"origin": "LGA"}
    story.tell(event)
    assert story.run.facts["origin"].pinned and story.run.facts["origin"].by == "ann"
    assert story.run.facts["city"].confirmed_by == "ann", "who corrects one of what they are shown has seen the others"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "what is so instead"),
        (None, "what is so instead"),
        ({"hotel": 1}, "none of what is asked"),
        ({"origin": {"password": 1}}, "never written down"),
        ({"origin": "y" * 20_000}, "bytes"),
    ],
)
def test_what_is_not_said_of_what_is_guessed_is_refused(value: Any, said: str) -> None:
    """The question stays open."""
    assert said in refused(guessing(), "edit", value=value)


def test_a_guess_is_confirmed_or_refused() -> None:
    """There is no result to respond with."""
    assert "approve, cancel, edit, reject" in refused(guessing(), "respond", value=1)
    assert say(guessing(), "approve").body["decision"] == "approve"
