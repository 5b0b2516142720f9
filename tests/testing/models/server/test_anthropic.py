"""The Messages format: what goes out is what the vendor's own types take, and what comes in is checked as the vendor does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from holdfast.core.models import Usage
from holdfast.reasoners.model import Request
from holdfast.testing.models import Fault, call, call_with, cut, refuse, think, used
from holdfast.testing.models.faults import MEANT, OF_THE_WAY
from holdfast.testing.models.script import answer_of, signature
from holdfast.testing.models.server.anthropic import AnthropicMessages
from holdfast.testing.models.server.wire import Refused
from holdfast.testing.models.turns import Turn, turn_of

FORM = AnthropicMessages()
TOOL = {"name": "book", "description": "Books.", "input_schema": {"type": "object", "properties": {}}}
USE = {"type": "tool_use", "id": "call_0_0", "name": "book", "input": {"seat": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "call_0_0", "content": "done"}
USER = {"role": "user", "content": "Book it."}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def given(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "claude", "max_tokens": 100, "messages": list(messages or [USER]), "tools": [TOOL], **more}


def events_of(data: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(event.split(b"data: ", 1)[1]) for event in data]


TURNS: dict[str, Any] = {
    "text": "All is done.",
    "calls": [think("Two."), "Booking.", call("book", seat="12A"), call("book")],
    "cut": cut("The first"),
    "refusal": refuse("No."),
    "filtered": refuse(""),
    "nothing": [],
    "cached": used("x", input_tokens=100, output_tokens=7, cache_read_tokens=40, cache_write_tokens=10),
}
STOPS = {"calls": "tool_use", "cut": "max_tokens", "refusal": "refusal", "filtered": "refusal"}


@pytest.mark.parametrize("name", TURNS)
def test_answers_are_what_the_vendor_says_they_are(name: str) -> None:
    """Whole, and as a stream that comes to the same."""
    asked, request = body(), FORM.request(body())
    turn = turn_of(TURNS[name])
    assert isinstance(turn, Turn)
    answer = answer_of(turn, request)
    whole = FORM.answer(asked, request, answer, 7)
    Message.model_validate(whole)
    assert whole["stop_reason"] == STOPS.get(name, "end_turn")
    events = events_of(list(FORM.stream(asked, request, answer, 7)))
    for event in events:
        if event["type"] != "ping":
            TypeAdapter[Any](RawMessageStreamEvent).validate_python(event)
    assert put_together(events) == whole


def put_together(events: list[dict[str, Any]]) -> dict[str, Any]:
    """A stream as the message that it tells."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                field = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}.get(delta["type"])
                if field:
                    block[field] += delta[field]
                else:
                    inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
            case _:
                pass
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text)
    return message


def test_usage_tells_caches_apart() -> None:
    """Input is without what was read from a cache or written to one."""
    request = FORM.request(body())
    turn = turn_of(TURNS["cached"])
    assert isinstance(turn, Turn)
    usage = FORM.answer(body(), request, answer_of(turn, request), 1)["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (50, 40, 10)
    assert turn.usage == Usage(input_tokens=100, output_tokens=7, cache_read_tokens=40, cache_write_tokens=10, requests=1)


def test_arguments_that_are_no_table_show() -> None:
    """Whole as another type, in a stream as they were written."""
    request = FORM.request(body())
    turn = turn_of(call_with("book", '{"seat"'))
    assert isinstance(turn, Turn)
    answer = answer_of(turn, request)
    assert FORM.answer(body(), request, answer, 1)["content"][0]["input"] == '{"seat"'
    written = [
        event["delta"]["partial_json"]
        for event in events_of(list(FORM.stream(body(), request, answer, 1)))
        if event["type"] == "content_block_delta"
    ]
    assert written == ['{"seat"']


def test_a_request_is_put_into_the_neutral_form() -> None:
    """With system, tools, choice and every kind of part."""
    thought = {"type": "thinking", "thinking": "hm", "signature": signature("hm")}
    found = FORM.request(
        body(
            USER,
            said(thought, {"type": "text", "text": "ok"}, USE),
            given(
                {**RESULT, "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"type": "text", "text": "And?"},
            ),
            system=[{"type": "text", "text": "Be"}, {"type": "text", "text": "brief"}],
            tool_choice={"type": "any"},
        )
    )
    assert isinstance(found, Request)
    assert (found.model, found.system, found.choice, found.output_tokens_max) == (
        "anthropic:claude",
        "Be\nbrief",
        "required",
        100,
    )
    assert [(message.role, [part.kind for part in message.parts]) for message in found.messages] == [
        ("user", ["text"]), ("assistant", ["thinking", "text", "call"]), ("user", ["result", "text"]),
    ]  # fmt: skip
    assert found.messages[1].parts[2].args == {"seat": 1}
    assert found.messages[2].parts[0].text == "a\nb"
    assert [tool.name for tool in found.tools] == ["book"]


def tools(**changed: Any) -> list[dict[str, Any]]:
    return [{**TOOL, **changed}]


CACHED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": "claude", "messages": [USER]}, "max_tokens: Field required"),
    (body(max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
    (body(max_tokens="9"), "max_tokens: Input should be a valid integer"),
    (body() | {"messages": []}, "messages: at least one message is required"),
    (body({"role": "system", "content": "x"}), "messages.0.role: Input should be 'user' or 'assistant'"),
    (body(said({"type": "text", "text": "x"}), USER), 'messages: first message must use the "user" role'),
    (body(USER, said({"type": "text", "text": "x"})), "does not support assistant message prefill"),
    (body(given()), "messages.0: all messages must have non-empty content"),
    (body(given({"type": "text", "text": ""})), "text content blocks must be non-empty"),
    (body(given({"type": "text", "text": " \n"})), "must contain non-whitespace text"),
    (body(given({"type": "thinking"})), "Input tag 'thinking' found using 'type' does not match"),
    (body(USER, said(USE), USER), "`tool_use` ids were found without `tool_result` blocks immediately after: call_0_0"),
    (body(USER, said(USE), given({"type": "text", "text": "late"}, RESULT)), "messages.1: `tool_use` ids were found without"),
    (body(USER, said(USE), given(RESULT, RESULT)), "Found multiple `tool_result` blocks with id: call_0_0"),
    (body(USER, said(USE, {**USE, "id": "b"}), given(RESULT)), "immediately after: b."),
    (body(given(RESULT)), "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: call_0_0"),
    (body(USER, said(USE), given(RESULT), said({"type": "text", "text": "x"}), given(RESULT)), "messages.4.content.0: unexpected `tool_use_id`"),
    (body(USER, said(USE, USE), given(RESULT)), "`tool_use` ids must be unique"),
    (body(USER, said(USE), given(RESULT), said(USE), given(RESULT)), "`tool_use` ids must be unique"),
    (body(USER, said(USE), given(RESULT), tools=[]), "must define tools"),
    (body(USER, said({**USE, "input": "{"}), given(RESULT)), "messages.1.content.0.tool_use.input: Input should be a valid dictionary"),
    (body(USER, said({**USE, "id": "a.b"}), given(RESULT)), "tool_use.id: String should match pattern"),
    (body(USER, said({**USE, "name": "a.b"}), given(RESULT)), "tool_use.name: String should match pattern"),
    (body(USER, said({"type": "thinking", "thinking": "changed", "signature": signature("hm")}), USER), "Invalid `signature` in `thinking` block"),
    (body(tools=tools(name="a.b")), "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
    (body(tools=tools(name="x" * 65)), "tools.0.custom.name"),
    (body(tools=tools(input_schema={"properties": {}})), "tools.0.custom.input_schema.type: Field required"),
    (body(tools=tools(input_schema={"type": "string"})), "input_schema.type: Input should be 'object'"),
    (body(tools=tools(input_schema={"type": "object", "anyOf": []})), "does not support oneOf, allOf, or anyOf at the top level"),
    (body(tools=tools() * 2), "Tool names must be unique"),
    (body(tools=[], tool_choice={"type": "any"}), "tool_choice may only be specified while providing tools"),
    (body(given(CACHED, CACHED, CACHED), system=[CACHED, CACHED]), "A maximum of 4 blocks with cache_control may be provided. Found 5."),
    (body(thinking={"type": "enabled", "budget_tokens": 100}), "`max_tokens` must be greater than `thinking.budget_tokens`"),
    (body(USER, said(USE), given(RESULT), thinking={"type": "enabled", "budget_tokens": 9}), "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "why"), REFUSED)
def test_what_the_vendor_refuses_is_refused(asked: dict[str, Any], why: str) -> None:
    """In its words, as 400."""
    with pytest.raises(Refused) as caught:
        FORM.request(asked)
    assert why in caught.value.message
    reply = FORM.refusal(caught.value)
    assert (reply.status, reply.body["type"], reply.body["error"]["type"]) == (400, "error", "invalid_request_error")


def test_data_in_calls_is_no_mark_for_the_cache() -> None:
    """Whatever the arguments and schemas hold."""
    use = {**USE, "input": {"a": [{"cache_control": 1}] * 9}}
    FORM.request(body(USER, said(use), given(RESULT)))


def test_the_version_of_the_format_has_to_be_named() -> None:
    """Either way to give the key is taken."""
    assert FORM.key({"authorization": "Bearer k", "anthropic-version": "2023-06-01"}) == "k"
    with pytest.raises(Refused, match="anthropic-version: header is required"):
        FORM.key({"x-api-key": "k"})


@pytest.mark.parametrize("name", sorted(set(MEANT) - OF_THE_WAY - {"timeout", "reset"} | {"error_in_stream"}))
def test_every_fault_with_a_status_has_its_words(name: Any) -> None:
    """With the model and the tokens where they belong."""
    reply = FORM.failure(Fault(name=name), "claude", 5)
    assert reply.status >= 400 and "{" not in reply.body["error"]["message"]
    assert FORM.failure(Fault(name=name, message="mine"), "claude", 5).body["error"]["message"] == "mine"
