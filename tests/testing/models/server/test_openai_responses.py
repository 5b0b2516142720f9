"""The Responses format: what goes out is what the vendor's own types take, and what comes in is checked as it does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from holdfast.testing.models import call, call_with, cut, refuse, think, used
from holdfast.testing.models.script import answer_of, signature
from holdfast.testing.models.server.openai_responses import OpenAIResponses
from holdfast.testing.models.server.wire import Refused
from holdfast.testing.models.turns import Turn, turn_of

FORM = OpenAIResponses()
EVENTS = TypeAdapter[Any](ResponseStreamEvent)
TOOL = {"type": "function", "name": "book", "parameters": {"type": "object", "properties": {}}}
USER = {"role": "user", "content": "Book it."}
SAID = {"role": "assistant", "content": "ok"}
CALL = {"type": "function_call", "call_id": "call_0_0", "name": "book", "arguments": '{"seat": 1}'}
RESULT = {"type": "function_call_output", "call_id": "call_0_0", "output": "done"}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": signature("hm"),
}


def body(*items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-5", "input": list(items or [USER]), "tools": [TOOL], **more}


TURNS: dict[str, Any] = {
    "text": "All is done.",
    "calls": [think("Two."), "Booking.", call("book", seat="12A"), call_with("book", '{"seat"')],
    "cut": cut("The first"),
    "refusal": refuse("No."),
    "filtered": refuse(""),
    "nothing": [],
    "cached": used("x", input_tokens=100, output_tokens=7, cache_read_tokens=40, cache_write_tokens=10),
}
INCOMPLETE = {"cut": "max_output_tokens", "filtered": "content_filter"}


@pytest.mark.parametrize("name", TURNS)
def test_answers_are_what_the_vendor_says_they_are(name: str) -> None:
    """Whole, and as a stream that comes to the same."""
    request = FORM.request(body())
    turn = turn_of(TURNS[name])
    assert isinstance(turn, Turn)
    answer = answer_of(turn, request)
    whole = FORM.answer(body(), request, answer, 7)
    Response.model_validate(whole)
    why = INCOMPLETE.get(name)
    assert (whole["status"], whole["incomplete_details"]) == (("incomplete", {"reason": why}) if why else ("completed", None))
    events = [json.loads(event.split(b"data: ", 1)[1]) for event in FORM.stream(body(), request, answer, 7)]
    for event in events:
        EVENTS.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == f"response.{whole['status']}" and events[-1]["response"] == whole
    assert put_together(events) == whole["output"]


def put_together(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items that the deltas of a stream tell; each has to be what its last event says."""
    items: list[dict[str, Any]] = []
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(items)
            items.append(event["item"])
        elif kind.endswith("part.added"):
            field = "summary" if "summary" in kind else "content"
            items[event["output_index"]][field].append(event["part"])
        elif kind.endswith(".delta"):
            item = items[event["output_index"]]
            assert item["id"] == event["item_id"]
            if kind == "response.function_call_arguments.delta":
                item["arguments"] += event["delta"]
            else:
                part = item["summary" if "summary" in kind else "content"][0]
                part["refusal" if "refusal" in kind else "text"] += event["delta"]
        elif kind == "response.output_item.done":
            told, done = items[event["output_index"]], event["item"]
            # What no delta tells comes with the end: the status, and what is sealed.
            assert told | {name: done[name] for name in ("status", "encrypted_content") if name in done} == done
            items[event["output_index"]] = done
    return items


def test_usage_tells_caches_and_thoughts_apart() -> None:
    """Input is all of it."""
    request = FORM.request(body())
    for name, read, thought in (("cached", 40, 0), ("calls", 0, 1)):
        turn = turn_of(TURNS[name])
        assert isinstance(turn, Turn)
        usage = FORM.answer(body(), request, answer_of(turn, request), 1)["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert (usage["input_tokens_details"]["cached_tokens"], usage["output_tokens_details"]["reasoning_tokens"]) == (
            read,
            thought,
        )


def test_a_request_is_put_into_the_neutral_form() -> None:
    """Items of one side become one message."""
    found = FORM.request(
        body(
            {"role": "developer", "content": "brief"},
            USER,
            THOUGHT,
            {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]},
            {**CALL, "id": "fc_1"},
            {**CALL, "call_id": "b", "arguments": "{"},
            {**RESULT, "call_id": "b", "output": [{"type": "input_text", "text": "x"}]},
            RESULT,
            USER,
            instructions="Be",
            tool_choice="required",
            max_output_tokens=77,
        )
    )
    assert (found.model, found.system, found.choice, found.output_tokens_max) == (
        "openai-responses:gpt-5",
        "Be\nbrief",
        "required",
        77,
    )
    assert [(message.role, [part.kind for part in message.parts]) for message in found.messages] == [
        ("user", ["text"]), ("assistant", ["thinking", "text", "call", "call"]), ("user", ["result", "result", "text"]),
    ]  # fmt: skip
    assert FORM.request({"model": "m", "input": "hello"}).messages[0].parts[0].text == "hello"
    assert [part.args for part in found.messages[1].parts[2:]] == [{"seat": 1}, "{"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"input": [USER]}, "Missing required parameter: 'model'."),
    ({"model": "m"}, "Missing required parameter: 'input'."),
    (body() | {"input": []}, "Invalid 'input': empty array."),
    (body({"type": "image_generation_call"}), "Invalid value: 'image_generation_call'"),
    (body({"role": "bot", "content": "x"}), "Invalid value: 'bot'"),
    (body(USER, CALL), "No tool output found for function call call_0_0."),
    (body(USER, CALL, USER, RESULT), "No tool output found for function call call_0_0."),
    (body(USER, RESULT), "No tool call found for function call output with call_id call_0_0."),
    (body(USER, RESULT, CALL), "No tool call found for function call output"),
    (body(USER, CALL, RESULT, RESULT), "Duplicate tool output found for function call call_0_0."),
    (body(USER, CALL, CALL, RESULT), "Duplicate function call with call_id call_0_0."),
    (body(USER, {**CALL, "call_id": "x" * 65}, RESULT), "maximum length 64, but got a string with length 65"),
    (body(USER, {**CALL, "arguments": {}}, RESULT), "Invalid type for 'input[1].arguments'"),
    (body(USER, {**CALL, "name": "a.b"}, RESULT), "Invalid 'input[1].name'"),
    (body(USER, {**CALL, "id": "call_0_0"}, RESULT), "Invalid 'input[1].id': 'call_0_0'. Expected an ID that begins with 'fc'."),
    (body(USER, {"type": "message", "id": "x", **SAID}, USER), "Expected an ID that begins with 'msg'."),
    (body(USER, THOUGHT, USER), "Item 'rs_1' of type 'reasoning' was provided without its required following item."),
    (body(USER, THOUGHT), "without its required following item"),
    (body(USER, {**THOUGHT, "encrypted_content": "other"}, SAID), "The encrypted content for item rs_1 could not be verified."),
    (body(max_output_tokens=15), "Expected a value >= 16, but got 15 instead."),
    (body(previous_response_id="resp_1"), "Previous response with id 'resp_1' not found."),
    (body(tools=[{**TOOL, "name": "a.b"}]), "Invalid 'tools[0].name'"),
    (body(tools=[{**TOOL, "parameters": {}}]), "Invalid schema for function 'book'"),
    ({"model": "m", "input": "x", "tool_choice": "required"}, "'tool_choice' is only allowed when 'tools' are specified."),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "why"), REFUSED)
def test_what_the_vendor_refuses_is_refused(asked: dict[str, Any], why: str) -> None:
    """In its words, as 400."""
    with pytest.raises(Refused) as caught:
        FORM.request(asked)
    assert why in caught.value.message
    assert FORM.refusal(caught.value).status == 400
