"""The Responses format of OpenAI: `POST /v1/responses`.

Shapes after https://platform.openai.com/docs/api-reference/responses and the types of its client. Nothing is stored: a
request has to bring its whole conversation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.core.models import Part
from holdfast.reasoners.model import Answer, Request, Role
from holdfast.testing.models.script import BYTES_PER_TOKEN, pieces, signature
from holdfast.testing.models.server.openai import (
    OpenAI,
    check_array,
    check_choice,
    check_function,
    check_name,
    check_text,
    in_stream,
    must,
    usage,
)
from holdfast.testing.models.server.wire import Body, Refused, arguments, merged, sse
from holdfast.testing.models.turns import written

CREATED = 1_700_000_000
OUTPUT_TOKENS_MIN = 16
_ID_LENGTH_MAX = 64
# With what the id of an item begins, by its type.
_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs"}


class OpenAIResponses(OpenAI):
    """See `Format`."""

    path = "/v1/responses"
    provider = "openai-responses"

    # --- what comes in --------------------------------------------------------------------------------------------

    def request(self, body: Body) -> Request:
        model = check_text(must(body, "model"), "model")
        if body.get("previous_response_id") is not None:
            raise Refused(
                f"Previous response with id '{body['previous_response_id']}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        most = body.get("max_output_tokens") or 4096
        if most < OUTPUT_TOKENS_MIN:
            raise Refused(
                f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {OUTPUT_TOKENS_MIN}, but "
                f"got {most} instead.",
                param="max_output_tokens",
                code="integer_below_min_value",
            )
        tools = tuple(
            check_function(tool, f"tools[{index}]")
            for index, tool in enumerate(check_array(body["tools"], "tools", empty=True) if "tools" in body else [])
        )
        must_call = check_choice(body, tools)
        given = must(body, "input")
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        items = check_array(given, "input")
        system, talk = _talk(items)
        _check_calls(items)
        _check_thoughts(items)
        return Request(
            model=f"{self.provider}:{model}",
            system="\n".join(text for text in (body.get("instructions") or "", *system) if text),
            messages=merged(talk),
            tools=tools,
            choice="required" if must_call else "auto",
            output_tokens_max=most,
        )

    # --- what goes out --------------------------------------------------------------------------------------------

    def answer(self, body: Body, request: Request, answer: Answer, number: int) -> Body:
        thought = sum(len(part.text.encode()) for part in answer.said if part.kind == "thinking") // BYTES_PER_TOKEN
        status, why = _status(answer)
        return {
            "id": f"resp_{number:08d}",
            "object": "response",
            "created_at": CREATED + number,
            "status": status,
            "error": None,
            "incomplete_details": None if why is None else {"reason": why},
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "metadata": {},
            "model": body["model"],
            "output": [_item(part, answer, number, index) for index, part in enumerate(answer.said)],
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": bool(body.get("store", True)),
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": [{"strict": None, "description": None, **tool} for tool in body.get("tools") or ()],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage(answer.usage, ("input", "output"), min(thought, answer.usage.output_tokens)),
        }

    def stream(self, body: Body, request: Request, answer: Answer, number: int) -> Iterator[bytes]:
        events = _Numbered()
        whole = self.answer(body, request, answer, number)
        begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        yield events("response.created", response=begun)
        yield events("response.in_progress", response=begun)
        for index, item in enumerate(whole["output"]):
            yield events("response.output_item.added", output_index=index, item=_begun(item))
            yield from _item_events(events, index, item)
            yield events("response.output_item.done", output_index=index, item=item)
        yield events("response.completed" if whole["status"] == "completed" else "response.incomplete", response=whole)

    def stream_error(self) -> bytes:
        _, code, message = in_stream()
        return sse({"type": "error", "sequence_number": 99, "code": code, "message": message, "param": None}, "error")

    def other_shape(self) -> Body:
        return {"object": "response", "output": "a text where items are to be"}

    def other_events(self) -> Iterator[bytes]:
        yield sse({"type": "response.created", "response": "a text where a response is to be"}, "response.created")


class _Numbered:
    """Makes the events of one stream, which are numbered."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, kind: str, **fields: Any) -> bytes:
        event = sse({"type": kind, "sequence_number": self._next, **fields}, kind)
        self._next += 1
        return event


def _status(answer: Answer) -> tuple[str, str | None]:
    """The status, and why it is incomplete."""
    if answer.finish == "length":
        return "incomplete", "max_output_tokens"
    if answer.finish == "refused" and not any(part.kind == "text" for part in answer.said):
        return "incomplete", "content_filter"
    return "completed", None


def _item(part: Part, answer: Answer, number: int, index: int) -> Body:
    is_cut = answer.finish == "length" and index == len(answer.said) - 1
    ended = "incomplete" if is_cut else "completed"
    name = f"{number:08d}_{index}"
    match part.kind:
        case "thinking":
            summary = [{"type": "summary_text", "text": part.text}]
            # Whatever has to come back is in the encrypted content; there is no other signature here.
            return {"id": f"rs_{name}", "type": "reasoning", "summary": summary, "encrypted_content": part.signature}
        case "call":
            return {
                "id": f"fc_{name}", "type": "function_call", "call_id": part.id, "name": part.tool,
                "arguments": written(part.args), "status": ended,
            }  # fmt: skip
        case _:
            refused = answer.finish == "refused"
            text: Body = {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
            content = {"type": "refusal", "refusal": part.text} if refused else text
            return {"id": f"msg_{name}", "type": "message", "role": "assistant", "status": ended, "content": [content]}


def _begun(item: Body) -> Body:
    match item["type"]:
        case "reasoning":
            return {**item, "summary": [], "encrypted_content": ""}
        case "function_call":
            return {**item, "arguments": "", "status": "in_progress"}
        case _:
            return {**item, "content": [], "status": "in_progress"}


def _item_events(events: _Numbered, index: int, item: Body) -> Iterator[bytes]:
    at: Body = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            yield from _part_events(events, "reasoning_summary", {**at, "summary_index": 0}, item["summary"][0])
        case "function_call":
            for piece in pieces(item["arguments"]):
                yield events("response.function_call_arguments.delta", **at, delta=piece)
            done = {**at, "name": item["name"], "arguments": item["arguments"]}
            yield events("response.function_call_arguments.done", **done)
        case _:
            part = item["content"][0]
            kind = "refusal" if part["type"] == "refusal" else "output_text"
            yield from _part_events(events, kind, {**at, "content_index": 0}, part)


def _part_events(events: _Numbered, kind: str, at: Body, part: Body) -> Iterator[bytes]:
    """A part of an item, from its beginning to its end."""
    field = "refusal" if kind == "refusal" else "text"
    framed = "reasoning_summary_part" if kind == "reasoning_summary" else "content_part"
    words = "reasoning_summary_text" if kind == "reasoning_summary" else kind
    more: Body = {"logprobs": []} if kind == "output_text" else {}
    yield events(f"response.{framed}.added", **at, part={**part, field: ""})
    for piece in pieces(part[field]):
        yield events(f"response.{words}.delta", **at, delta=piece, **more)
    yield events(f"response.{words}.done", **at, **{field: part[field]}, **more)
    yield events(f"response.{framed}.done", **at, part=part)


# --- is it a request -----------------------------------------------------------------------------------------------


def _kind(item: Body) -> str:
    return str(item.get("type", "message"))


def _talk(items: list[Body]) -> tuple[list[str], list[tuple[Role, list[Part]]]]:
    system: list[str] = []
    talk: list[tuple[Role, list[Part]]] = []
    for index, item in enumerate(items):
        where, kind = f"input[{index}]", _kind(item)
        _check_id(item, where)
        match kind:
            case "message":
                _read_message(item, where, system, talk)
            case "function_call":
                talk.append(("assistant", [_call(item, where)]))
            case "function_call_output":
                call = check_text(item.get("call_id"), f"{where}.call_id", most=_ID_LENGTH_MAX)
                talk.append(("user", [Part(kind="result", id=call, text=_text(item.get("output"), f"{where}.output"))]))
            case "reasoning":
                talk.append(("assistant", [_thought(item, where)]))
            case _:
                raise Refused(
                    f"Invalid value: '{kind}'. Supported values are: 'message', 'function_call', 'function_call_output' and "
                    "'reasoning'.",
                    param=where,
                    code="invalid_value",
                )
    return system, talk


def _check_id(item: Body, where: str) -> None:
    name, prefix = item.get("id"), _PREFIXES.get(_kind(item))
    if name is not None and prefix is not None and not str(name).startswith(prefix):
        raise Refused(
            f"Invalid '{where}.id': '{name}'. Expected an ID that begins with '{prefix}'.",
            param=f"{where}.id",
            code="invalid_value",
        )


def _read_message(item: Body, where: str, system: list[str], talk: list[tuple[Role, list[Part]]]) -> None:
    text = _text(item.get("content"), f"{where}.content")
    match item.get("role"):
        case "system" | "developer":
            system.append(text)
        case "user":
            talk.append(("user", [Part(kind="text", text=text)]))
        case "assistant":
            talk.append(("assistant", [Part(kind="text", text=text)]))
        case role:
            raise Refused(
                f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'.",
                param=f"{where}.role",
                code="invalid_value",
            )


def _text(content: object, where: str) -> str:
    if isinstance(content, list):
        words = (part.get("refusal") if part.get("type") == "refusal" else part.get("text") for part in content)
        return "\n".join(check_text(text, f"{where}[{number}].text") for number, text in enumerate(words))
    return check_text(content, where)


def _call(item: Body, where: str) -> Part:
    return Part(
        kind="call",
        id=check_text(item.get("call_id"), f"{where}.call_id", most=_ID_LENGTH_MAX),
        tool=check_name(item.get("name"), f"{where}.name"),
        args=arguments(check_text(item.get("arguments"), f"{where}.arguments")),
    )


def _thought(item: Body, where: str) -> Part:
    text = "\n".join(str(part.get("text", "")) for part in item.get("summary") or ())
    sealed = item.get("encrypted_content")
    if sealed is not None and sealed != signature(text):
        raise Refused(
            f"The encrypted content for item {item.get('id')} could not be verified.",
            param=f"{where}.encrypted_content",
            code="invalid_encrypted_content",
        )
    return Part(kind="thinking", text=text, id=str(item.get("id") or ""), signature=sealed or "")


def _check_calls(items: list[Body]) -> None:
    """Every call has exactly one result after it; no result is without its call."""
    calls: list[str] = []
    answered: list[str] = []
    for item in items:
        if _kind(item) == "function_call":
            if item["call_id"] in calls:
                raise Refused(f"Duplicate function call with call_id {item['call_id']}.", param="input")
            calls.append(item["call_id"])
        elif _kind(item) == "function_call_output":
            call = item["call_id"]
            if call not in calls:
                raise Refused(f"No tool call found for function call output with call_id {call}.", param="input")
            if call in answered:
                raise Refused(f"Duplicate tool output found for function call {call}.", param="input")
            answered.append(call)
        elif item.get("role") == "user":
            _check_answered(calls, answered)
    _check_answered(calls, answered)


def _check_answered(calls: list[str], answered: list[str]) -> None:
    for call in calls:
        if call not in answered:
            raise Refused(f"No tool output found for function call {call}.", param="input")


def _check_thoughts(items: list[Body]) -> None:
    """A thought comes back with what it led to, right after it."""
    for item, following in zip(items, [*items[1:], {}], strict=True):
        led_to = following.get("role") == "assistant" or _kind(following) in ("function_call", "reasoning")
        if _kind(item) == "reasoning" and not (following and led_to):
            raise Refused(
                f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.", param="input"
            )
