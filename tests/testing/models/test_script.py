"""A scripted model: where a conversation is, what is answered there, what it costs, and who hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from holdfast.core.models import Part, Usage
from holdfast.reasoners.model import Answer, Message, Model, ModelFailure, Request, ToolForm, size
from holdfast.testing.clock import JumpingLoop
from holdfast.testing.models import (
    Said,
    ScriptedModel,
    ScriptEnded,
    after,
    asked,
    call,
    call_with,
    called,
    cut,
    fail,
    fault,
    latest,
    refuse,
    results,
    say,
    think,
    told,
    tries,
    used,
)
from holdfast.testing.models.script import heard, pieces, signature

TOOL = ToolForm(name="book", description="Books a seat.", input_schema={"type": "object"})
BEGIN = Request(model="scripted:x", system="Be brief.", messages=(Message(role="user", parts=(say("Book it."),)),), tools=(TOOL,))


def play(main: Coroutine[Any, Any, Any]) -> Any:
    """Run on a jumping loop."""
    loop = JumpingLoop(time_max=1e7)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def answer(model: Model, request: Request) -> Answer:
    found: Answer = play(model.answer(request))
    return found


def goes_on(request: Request, said: tuple[Part, ...], *words: str) -> Request:
    """The request after this answer: every call has a result, and the words follow."""
    given = [Part(kind="result", id=part.id, text=f"done {part.args}") for part in said if part.kind == "call"]
    following = Message(role="user", parts=(*given, *map(say, words)))
    return msgspec.structs.replace(request, messages=(*request.messages, Message(role="assistant", parts=said), following))


SCRIPT: list[Said] = [call("book", seat="12A"), [call("book", seat="12B"), call("book", seat="12C")], "Booked."]


def test_a_list_answers_by_where_the_conversation_is() -> None:
    """Not by how often it is asked: the same request has the same answer, also in another process."""
    model = ScriptedModel(SCRIPT)
    first = answer(model, BEGIN)
    assert first.said == (Part(kind="call", tool="book", args={"seat": "12A"}, id="call_0_0"),)
    second_request = goes_on(BEGIN, first.said)
    second = answer(model, second_request)
    assert [part.id for part in second.said] == ["call_1_0", "call_1_1"]
    assert answer(model, second_request) == second == answer(ScriptedModel(SCRIPT), second_request)
    third = answer(ScriptedModel(SCRIPT), goes_on(second_request, second.said))
    assert (third.said, third.finish) == ((say("Booked."),), "stop")
    assert [asked(request) for request in model.requests] == [0, 1, 1]


def test_the_place_is_found_where_the_beginning_was_left_out() -> None:
    """A long conversation is shown in part; the ids of the calls that are left say where it is."""
    request = goes_on(goes_on(BEGIN, answer(ScriptedModel(SCRIPT), BEGIN).said), (say("no call"),), "go on")
    request = goes_on(request, (call_with("book", {}, id="call_2_0"),))
    assert asked(request) == 3
    assert asked(msgspec.structs.replace(request, messages=request.messages[-2:])) == 3
    renamed = goes_on(BEGIN, (call_with("book", {}, id="call_7_0-2"),))
    assert asked(renamed) == 8
    foreign = goes_on(BEGIN, (call_with("book", {}, id="toolu_7_0"),))
    assert asked(foreign) == 1


def test_a_script_that_is_at_its_end_says_so() -> None:
    """It is an error of the test, and no failure of a model."""
    with pytest.raises(ScriptEnded, match="scripted:short has 1 turns, and is asked for turn 2"):
        answer(ScriptedModel(["one"], name="short"), goes_on(BEGIN, (say("one"),), "and?"))


def test_a_function_sees_the_whole_request() -> None:
    """It may say anything that a list may hold."""

    def script(request: Request) -> Any:
        return "Booked." if called(request, "book") else [think("hm"), call("book", seat=told(request)[:4])]

    model = ScriptedModel(script)
    first = answer(model, BEGIN)
    assert first.said[1].args == {"seat": "Book"}
    assert answer(model, goes_on(BEGIN, first.said)).said == (say("Booked."),)
    assert model.requests[0] is BEGIN


def test_it_is_named_as_scripted() -> None:
    """Whoever sees its name sees what it is."""
    assert ScriptedModel([], name="traveller").name == "scripted:traveller"
    assert ScriptedModel([], name="scripted:traveller").name == "scripted:traveller"


def test_tries_go_on_at_the_same_place() -> None:
    """One after the other where the same is asked again, the last for ever; another conversation and another model begin anew."""
    model = ScriptedModel([tries(fail("unavailable"), fault("reset"), "at last")])
    for kind in ("unavailable", "transient"):
        with pytest.raises(ModelFailure) as caught:
            answer(model, BEGIN)
        assert caught.value.kind == kind
    assert answer(model, BEGIN).said == answer(model, BEGIN).said == (say("at last"),)
    for other in (msgspec.structs.replace(BEGIN, model="scripted:y"), msgspec.structs.replace(BEGIN, messages=())):
        with pytest.raises(ModelFailure):
            answer(model, other)


def test_a_failure_is_said_as_it_was_written() -> None:
    """Kind, words, the time to wait, what was counted."""
    usage = Usage(input_tokens=5, requests=1)
    with pytest.raises(ModelFailure, match="slow down") as caught:
        answer(ScriptedModel([fail("rate_limited", "slow down", retry_after=2.5, usage=usage)]), BEGIN)
    assert (caught.value.kind, caught.value.retry_after_seconds, caught.value.usage) == ("rate_limited", 2.5, usage)
    with pytest.raises(ModelFailure) as caught:
        answer(ScriptedModel([fail("invalid_input", context=True)]), BEGIN)
    assert (caught.value.kind, caught.value.context) == ("invalid_input", True)


def test_what_it_uses_is_counted_in_bytes() -> None:
    """The same for the same request, and never more than was allowed; a turn may say otherwise."""
    text = "x" * 400
    model = ScriptedModel(lambda request: text)
    assert answer(model, BEGIN).usage == Usage(input_tokens=size(BEGIN) // 4, output_tokens=100, requests=1)
    short = msgspec.structs.replace(BEGIN, output_tokens_max=60)
    assert answer(model, short).usage.output_tokens == 60
    assert answer(ScriptedModel([[]]), BEGIN).usage.output_tokens == 1
    given = answer(ScriptedModel([used(text, input_tokens=1000, output_tokens=70, cache_read_tokens=900)]), BEGIN).usage
    assert given == Usage(input_tokens=1000, output_tokens=70, cache_read_tokens=900, requests=1)
    assert given.cost_usd == 0


@pytest.mark.parametrize(
    ("said", "finish"),
    [("text", "stop"), ([say("x"), call("book")], "tool"), (cut("te"), "length"), (refuse(), "refused"), ([], "stop")],
)
def test_an_answer_ends_as_it_is_by_what_it_says(said: Any, finish: str) -> None:
    """Unless the turn says how."""
    assert answer(ScriptedModel([said]), BEGIN).finish == finish


def test_ids_and_signatures_of_the_script_are_kept() -> None:
    """Also where two calls have the same: that is a fault that a script may want."""
    said = [think("a"), think("b", signature="mine"), call_with("book", "{", id="same"), call_with("book", [], id="same")]
    found = answer(ScriptedModel([said]), BEGIN).said
    assert [part.signature for part in found[:2]] == [signature("a"), "mine"]
    assert [(part.id, part.args) for part in found[2:]] == [("same", "{"), ("same", [])]


def test_a_listener_hears_it_in_pieces() -> None:
    """Together the pieces are what was said; a call begins with its tool."""
    words: list[tuple[str, str]] = []
    model = ScriptedModel([[think("Let me see."), "All  done.\n", call("book", seat="12 A")]])
    found: Answer = play(model.answer(BEGIN, lambda kind, text: words.append((kind, text))))
    assert words == list(heard(found))
    assert "".join(text for kind, text in words if kind == "text") == "All  done.\n"
    assert [text for kind, text in words if kind == "thinking"] == ["Let ", "me ", "see."]
    assert [text for kind, text in words if kind == "call"] == ["book", '{"seat":"12 ', 'A"}']
    assert pieces("") == [] and "".join(pieces("\n\n a  b")) == "\n\n a  b"


def test_an_answer_may_take_its_time() -> None:
    """The time of the loop, so that a jumping clock makes nothing of it; a failure waits too."""

    async def main() -> float:
        model = ScriptedModel([tries(after(5, "late"), after(7, fail("transient")))])
        await model.answer(BEGIN)
        with pytest.raises(ModelFailure):
            await model.answer(BEGIN)
        return asyncio.get_running_loop().time()

    before = JumpingLoop(time_max=1)
    start = before.time()
    before.close()
    assert play(main()) - start == pytest.approx(12, abs=1)


def test_a_script_can_look_at_what_it_is_asked() -> None:
    """Results by tool, in all and since it last spoke; what it was told."""
    first = (call_with("book", {"seat": 1}, id="a"), call_with("mail", {}, id="b"))
    request = goes_on(goes_on(BEGIN, first), (call_with("book", {"seat": 2}, id="c"),), "Hurry.")
    assert results(request) == [("book", "done {'seat': 1}"), ("mail", "done {}"), ("book", "done {'seat': 2}")]
    assert latest(request) == [("book", "done {'seat': 2}")]
    assert (called(request, "book"), called(request, "mail"), called(request, "x")) == (2, 1, 0)
    assert (told(request), told(request, ever=True)) == ("Hurry.", "Book it.\nHurry.")
    assert latest(msgspec.structs.replace(BEGIN, messages=())) == []
