"""The Chat Completions format: what goes out is what the vendor's own types take, and what comes in is checked as it does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from holdfast.testing.models import Fault, call, call_with, cut, refuse, think, used
from holdfast.testing.models.faults import MEANT, OF_THE_WAY
from holdfast.testing.models.script import answer_of
from holdfast.testing.models.server.openai_chat import OpenAIChat
from holdfast.testing.models.server.wire import Refused
from holdfast.testing.models.turns import Turn, turn_of

FORM = OpenAIChat()
TOOL = {"type": "function", "function": {"name": "book", "parameters": {"type": "object", "properties": {}}}}
USER = {"role": "user", "content": "Book it."}
CALL = {"id": "call_0_0", "type": "function", "function": {"name": "book", "arguments": '{"seat": 1}'}}
RESULT = {"role": "tool", "tool_call_id": "call_0_0", "content": "done"}


def said(*calls: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": list(messages or [USER]), "tools": [TOOL], **more}


TURNS: dict[str, Any] = {
    "text": "All is done.",
    "calls": [think("Two."), "Booking.", call("book", seat="12A"), call_with("book", '{"seat"')],
    "cut": cut("The first"),
    "refusal": refuse("No."),
    "filtered": refuse(""),
    "nothing": [],
    "cached": used("x", input_tokens=100, output_tokens=7, cache_read_tokens=40, cache_write_tokens=10),
}
ENDS = {"calls": "tool_calls", "cut": "length", "filtered": "content_filter"}


@pytest.mark.parametrize("name", TURNS)
def test_answers_are_what_the_vendor_says_they_are(name: str) -> None:
    """Whole, and as a stream that comes to the same."""
    asked = body(stream=True, stream_options={"include_usage": True})
    request = FORM.request(asked)
    turn = turn_of(TURNS[name])
    assert isinstance(turn, Turn)
    answer = answer_of(turn, request)
    whole = FORM.answer(asked, request, answer, 7)
    ChatCompletion.model_validate(whole)
    assert whole["choices"][0]["finish_reason"] == ENDS.get(name, "stop")
    *events, last = [event.removeprefix(b"data: ") for event in FORM.stream(asked, request, answer, 7)]
    assert last == b"[DONE]\n\n"
    chunks = [json.loads(event) for event in events]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    assert put_together(chunks) == whole["choices"][0]["message"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert (chunks[-1]["usage"], chunks[-1]["choices"]) == (whole["usage"], [])


def put_together(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """A stream as the message that it tells."""
    texts = {"content": "", "refusal": "", "reasoning_content": ""}
    calls: list[dict[str, Any]] = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for field in texts:
                texts[field] += delta.get(field) or ""
            for part in delta.get("tool_calls", ()):
                if "id" in part:
                    assert part["index"] == len(calls)
                    calls.append({key: value for key, value in part.items() if key != "index"})
                else:
                    calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": texts["content"] or None,
        "refusal": texts["refusal"] or None,
        "annotations": [],
    }
    message |= {"reasoning_content": texts["reasoning_content"]} if texts["reasoning_content"] else {}
    return message | ({"tool_calls": calls} if calls else {})


def test_usage_is_in_a_stream_only_where_it_is_asked_for() -> None:
    """And it tells caches and thoughts apart."""
    request = FORM.request(body())
    turn = turn_of(TURNS["cached"])
    assert isinstance(turn, Turn)
    answer = answer_of(turn, request)
    assert b"usage" not in b"".join(FORM.stream(body(stream=True), request, answer, 1))
    usage = FORM.answer(body(), request, answer, 1)["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (100, 7, 107)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 40, "cache_write_tokens": 10}


def test_a_request_is_put_into_the_neutral_form() -> None:
    """Messages of one side become one; results and what follows them are one message of the user."""
    found = FORM.request(
        body(
            {"role": "system", "content": "Be"},
            {"role": "developer", "content": [{"type": "text", "text": "brief"}]},
            USER,
            said(CALL, {**CALL, "id": "b", "function": {"name": "book", "arguments": "{"}}, content="ok", reasoning_content="hm"),
            {**RESULT, "tool_call_id": "b"},
            RESULT,
            USER,
            tool_choice="required",
            max_completion_tokens=77,
        )
    )
    assert (found.model, found.system, found.choice, found.output_tokens_max) == (
        "openai-chat:gpt-4o",
        "Be\nbrief",
        "required",
        77,
    )
    assert [(message.role, [part.kind for part in message.parts]) for message in found.messages] == [
        ("user", ["text"]), ("assistant", ["thinking", "text", "call", "call"]), ("user", ["result", "result", "text"]),
    ]  # fmt: skip
    assert [part.args for part in found.messages[1].parts[2:]] == [{"seat": 1}, "{"]


def tools(**changed: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {**TOOL["function"], **changed}}]  # type: ignore[dict-item]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": [USER]}, "Missing required parameter: 'model'."),
    (body() | {"messages": []}, "Invalid 'messages': empty array."),
    (body() | {"messages": "x"}, "Invalid type for 'messages'"),
    (body({"role": "bot", "content": "x"}), "Invalid value: 'bot'"),
    (body({"role": "user", "content": None}), "Invalid type for 'messages[0].content': expected a string, but got null instead."),
    (body(USER, {"role": "assistant", "content": None}, USER), "Invalid value for 'content': expected a string, got null."),
    (body(USER, said(), USER), "Invalid 'messages[1].tool_calls': empty array."),
    (body(USER, said(CALL), USER), "The following tool_call_ids did not have response messages: call_0_0"),
    (body(USER, said(CALL)), "The following tool_call_ids did not have response messages: call_0_0"),
    (body(USER, said(CALL, {**CALL, "id": "b"}), RESULT), "did not have response messages: b"),
    (body(USER, RESULT), "must be a response to a preceeding message with 'tool_calls'"),
    (body(USER, said(CALL), RESULT, USER, RESULT), "must be a response to a preceeding message with 'tool_calls'"),
    (body(USER, said(CALL), RESULT, RESULT), "Duplicate value for 'tool_call_id' of 'call_0_0' in message[3]."),
    (body(USER, said(CALL, CALL), RESULT), "Duplicate value for 'id'"),
    (body(USER, said({**CALL, "id": "x" * 41}), RESULT), "Expected a string with maximum length 40, but got a string with length 41"),
    (body(USER, said({**CALL, "function": {"name": "a.b", "arguments": "{}"}}), RESULT), "tool_calls[0].function.name': string does not match"),
    (body(USER, said({**CALL, "function": {"name": "book", "arguments": {}}}), RESULT), "function.arguments': expected a string"),
    (body(tools=tools(name="a.b")), "Invalid 'tools[0].function.name': string does not match pattern."),
    (body(tools=tools(name="x" * 65)), "string too long"),
    (body(tools=tools(parameters={"type": "string"})), "Invalid schema for function 'book': schema must be a JSON Schema of 'type: \"object\"'"),
    (body(tools=tools(parameters={"type": "object", "properties": {"a": {}}}, strict=True)), "'additionalProperties' is required"),
    (body(tools=[]), "Invalid 'tools': empty array."),
    ({"model": "m", "messages": [USER], "tool_choice": "required"}, "'tool_choice' is only allowed when 'tools' are specified."),
    ({"model": "m", "messages": [USER], "parallel_tool_calls": True}, "'parallel_tool_calls' is only allowed when 'tools' are specified."),
    (body(model="gpt-5", max_tokens=9), "Use 'max_completion_tokens' instead."),
    (body(stream_options={}), "'stream_options' parameter is only allowed when 'stream' is enabled"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "why"), REFUSED)
def test_what_the_vendor_refuses_is_refused(asked: dict[str, Any], why: str) -> None:
    """In its words, as 400, with all four fields of its error."""
    with pytest.raises(Refused) as caught:
        FORM.request(asked)
    assert why in caught.value.message
    reply = FORM.refusal(caught.value)
    assert (reply.status, reply.body["error"].keys()) == (400, {"message", "type", "param", "code"})


@pytest.mark.parametrize("headers", [{}, {"authorization": "k"}, {"authorization": "Bearer "}, {"x-api-key": "k"}])
def test_the_key_is_a_bearer(headers: dict[str, str]) -> None:
    """Nothing else is taken for one."""
    with pytest.raises(Refused) as caught:
        FORM.key(headers)
    assert caught.value.status == 401


@pytest.mark.parametrize("name", sorted(set(MEANT) - OF_THE_WAY - {"timeout", "reset"} | {"error_in_stream"}))
def test_every_fault_with_a_status_has_its_words(name: Any) -> None:
    """With the model and the tokens where they belong."""
    reply = FORM.failure(Fault(name=name), "gpt-4o", 5)
    assert reply.status >= 400 and "{" not in reply.body["error"]["message"]
    assert FORM.failure(Fault(name=name, message="mine"), "gpt-4o", 5).body["error"]["message"] == "mine"


def test_clients_tell_errors_of_one_status_apart() -> None:
    """A quota that is used up from a rate, and a request that is too long from one that is wrong."""
    found = {
        name: FORM.failure(Fault(name=name), "gpt-4o", 5).body["error"]
        for name in ("rate_limited", "quota", "context", "unknown_model")
    }
    assert {name: (error["type"], error["code"]) for name, error in found.items()} == {
        "rate_limited": ("requests", "rate_limit_exceeded"),
        "quota": ("insufficient_quota", "insufficient_quota"),
        "context": ("invalid_request_error", "context_length_exceeded"),
        "unknown_model": ("invalid_request_error", "model_not_found"),
    }
