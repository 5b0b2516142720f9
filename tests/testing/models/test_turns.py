"""The words of a script: what each turn says, and what a fault makes of an answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast.core.models import Part, Usage
from holdfast.reasoners.model import Answer, Message, Request, ToolForm
from holdfast.testing.models import (
    Fault,
    FaultName,
    Turn,
    after,
    call,
    call_with,
    cut,
    fail,
    fault,
    refuse,
    say,
    think,
    tries,
    used,
)
from holdfast.testing.models.turns import spoiled, turn_of, written

BOOK = ToolForm(name="book", description="", input_schema={"type": "object"})
REQUEST = Request(model="scripted:x", system="", messages=(Message(role="user", parts=(say("go"),)),), tools=(BOOK,))


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("done", (Part(kind="text", text="done"),)),
        (say("done"), (Part(kind="text", text="done"),)),
        (call("book", seat="12A"), (Part(kind="call", tool="book", args={"seat": "12A"}),)),
        ([think("hm"), "two", call("a"), call("b", tool="x")],
         (Part(kind="thinking", text="hm"), Part(kind="text", text="two"), Part(kind="call", tool="a", args={}), Part(kind="call", tool="b", args={"tool": "x"}))),
        ((), ()),
    ],
)  # fmt: skip
def test_whatever_a_script_may_hold_is_a_turn(said: Any, parts: tuple[Part, ...]) -> None:
    """Texts, parts and lists of both; an argument may have any name."""
    assert turn_of(said) == Turn(said=parts)


def test_an_answer_is_a_turn_as_it_stands() -> None:
    """A function may make the whole answer."""
    answer = Answer(said=(say("x"),), usage=Usage(input_tokens=7), finish="other")
    assert turn_of(answer) == Turn(said=answer.said, usage=answer.usage, finish="other")


@pytest.mark.parametrize("wrong", [None, 7, [7], {"say": "x"}, [Turn()]])
def test_what_is_no_turn_is_refused(wrong: Any) -> None:
    """With the type that was found."""
    with pytest.raises(TypeError, match=f"{type(wrong[0] if isinstance(wrong, list) else wrong).__name__} is no "):
        turn_of(wrong)


def test_a_turn_can_be_wrapped() -> None:
    """What it used, that it is late, that it is cut: one about the other."""
    turn = after(3, used(cut([call("book")]), input_tokens=9, output_tokens=2, cache_read_tokens=4))
    assert (turn.wait_seconds, turn.finish) == (3, "length")
    assert turn.usage == Usage(input_tokens=9, output_tokens=2, cache_read_tokens=4, requests=1)
    assert refuse().finish == "refused" and refuse("").said == ()


def test_tries_stand_alone() -> None:
    """Nothing is wrapped about them, and none is no tries."""
    assert tries("a", fault("reset")).turns == (turn_of("a"), fault("reset"))
    with pytest.raises(TypeError, match="tries stand alone"):
        after(1, tries("a"))
    with pytest.raises(ValueError, match="needs a turn"):
        tries()


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (fail("rate_limited", retry_after=3), "rate_limited"),
        (fail("unavailable"), "overloaded"),
        (fail("invalid_input"), "rejected"),
        (fail("invalid_input", context=True), "context"),
        (fail("too_expensive"), "quota"),
        (fail("overdue"), "server_error"),
    ],
)
def test_a_failure_by_its_kind_is_played_as_a_fault(turn: Turn, name: str) -> None:
    """A server shows it as the provider would."""
    assert turn.fault is not None and turn.fault.name == name


SAID = (think("hm"), call("book", seat="12A"))


@pytest.mark.parametrize(
    ("name", "said", "finish"),
    [
        ("refusal", (say("I cannot help with that."),), "refused"),
        ("content_filter", (), "refused"),
        ("nothing", (), "stop"),
        ("cut", (SAID[0], call_with("book", '{"seat"')), "length"),
        ("malformed_arguments", (SAID[0], call_with("book", '{"seat"')), None),
        ("wrong_arguments", (SAID[0], call("book", seat={"wrong": "12A"})), None),
        ("duplicate_ids", (SAID[0], call_with("book", {"seat": "12A"}, id="call_twice"), call_with("book", {"value": 2}, id="call_twice")), None),
        ("overloaded", SAID, None),
    ],
)  # fmt: skip
def test_a_fault_of_the_answer_is_played_upon_it(name: FaultName, said: tuple[Part, ...], finish: str | None) -> None:
    """What is left is an answer without a fault; a fault of another sort stays."""
    turn = spoiled(Turn(said=SAID, fault=Fault(name=name)), REQUEST)
    assert (turn.said, turn.finish) == (said, finish)
    assert (turn.fault is None) == (name != "overloaded")


def test_spoiled_arguments_need_a_call() -> None:
    """An answer that has none is given one, of a tool that there is."""
    turn = spoiled(Turn(said=(say("x"),), fault=Fault(name="malformed_arguments")), REQUEST)
    assert [part.tool for part in turn.said if part.kind == "call"] == ["book"]
    turn = spoiled(Turn(fault=Fault(name="wrong_arguments")), msgspec.structs.replace(REQUEST, tools=()))
    assert turn.said == (call("no_such_tool", value={"wrong": 0}),)
    assert spoiled(Turn(fault=Fault(name="cut")), REQUEST).said == (say("The first hal"),)


def test_arguments_are_written_as_they_are() -> None:
    """A text is no JSON of a text."""
    assert written({"a": "é"}) == '{"a":"é"}'
    assert written('{"a":') == '{"a":'
