"""The Chat Completions format of OpenAI: `POST /v1/chat/completions`.

Shapes after https://platform.openai.com/docs/api-reference/chat and the types of its client. What a model thinks does not
show in it; the field `reasoning_content`, which other providers of the format have, carries thoughts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from holdfast.core.models import Part
from holdfast.reasoners.model import Answer, Request, Role
from holdfast.testing.models.script import BYTES_PER_TOKEN, pieces
from holdfast.testing.models.server.openai import (
    OpenAI,
    check_array,
    check_choice,
    check_function,
    check_name,
    check_text,
    error,
    in_stream,
    must,
    usage,
)
from holdfast.testing.models.server.wire import Body, Refused, arguments, merged, sse
from holdfast.testing.models.turns import written

FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls", "refused": "stop", "other": "stop"}
CREATED = 1_700_000_000
_REASONS = re.compile(r"(o\d|gpt-5)")
_ID_LENGTH_MAX = 40


class OpenAIChat(OpenAI):
    """See `Format`."""

    path = "/v1/chat/completions"
    provider = "openai-chat"

    # --- what comes in --------------------------------------------------------------------------------------------

    def request(self, body: Body) -> Request:
        model = check_text(must(body, "model"), "model")
        messages = check_array(must(body, "messages"), "messages")
        if "max_tokens" in body and _REASONS.match(model):
            raise Refused(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                param="max_tokens",
                code="unsupported_parameter",
            )
        if body.get("stream_options") is not None and not body.get("stream"):
            raise Refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
        tools = tuple(
            check_function(tool.get("function", {}), f"tools[{index}].function")
            for index, tool in enumerate(check_array(body["tools"], "tools") if "tools" in body else [])
        )
        must_call = check_choice(body, tools)
        system, talk = _talk(messages)
        _check_calls(messages)
        most = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
        return Request(
            model=f"{self.provider}:{model}",
            system=system,
            messages=merged(talk),
            tools=tools,
            choice="required" if must_call else "auto",
            output_tokens_max=most,
        )

    # --- what goes out --------------------------------------------------------------------------------------------

    def answer(self, body: Body, request: Request, answer: Answer, number: int) -> Body:
        choice = {"index": 0, "message": _message(answer), "logprobs": None, "finish_reason": _finish(answer)}
        return _framed(body, number, "chat.completion", [choice], _usage(answer))

    def stream(self, body: Body, request: Request, answer: Answer, number: int) -> Iterator[bytes]:
        def chunk(delta: Body, finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return sse(_framed(body, number, "chat.completion.chunk", [choice], None))

        whole = _message(answer)
        yield chunk({"role": "assistant", "content": "", "refusal": None})
        for field in ("reasoning_content", "content", "refusal"):
            for piece in pieces(whole.get(field) or ""):
                yield chunk({field: piece})
        for index, call in enumerate(whole.get("tool_calls", ())):
            function = call["function"]
            begun = {
                "index": index,
                "id": call["id"],
                "type": "function",
                "function": {"name": function["name"], "arguments": ""},
            }
            yield chunk({"tool_calls": [begun]})
            for piece in pieces(function["arguments"]):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield chunk({}, _finish(answer))
        if (body.get("stream_options") or {}).get("include_usage"):
            yield sse(_framed(body, number, "chat.completion.chunk", [], _usage(answer)))
        yield sse("[DONE]")

    def stream_error(self) -> bytes:
        kind, code, message = in_stream()
        return sse(error(kind, code, message))

    def other_shape(self) -> Body:
        return {"object": "chat.completion", "choices": "a text where choices are to be"}

    def other_events(self) -> Iterator[bytes]:
        yield sse({"object": "chat.completion.chunk", "choices": "a text where choices are to be"})


def _framed(body: Body, number: int, kind: str, choices: list[Body], counted: Body | None) -> Body:
    frame: Body = {
        "id": f"chatcmpl-{number:08d}",
        "object": kind,
        "created": CREATED + number,
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
        "choices": choices,
    }
    return frame if counted is None else {**frame, "usage": counted}


def _usage(answer: Answer) -> Body:
    thought = sum(len(part.text.encode()) for part in answer.said if part.kind == "thinking") // BYTES_PER_TOKEN
    return usage(answer.usage, ("prompt", "completion"), min(thought, answer.usage.output_tokens))


def _finish(answer: Answer) -> str:
    filtered = answer.finish == "refused" and not any(part.kind == "text" for part in answer.said)
    return "content_filter" if filtered else FINISH[answer.finish]


def _message(answer: Answer) -> Body:
    text = "".join(part.text for part in answer.said if part.kind == "text")
    thought = "".join(part.text for part in answer.said if part.kind == "thinking")
    refused = answer.finish == "refused"
    message: Body = {
        "role": "assistant",
        "content": None if refused or not text else text,
        "refusal": text if refused and text else None,
        "annotations": [],
    }
    if thought:
        message["reasoning_content"] = thought
    if calls := [_call(part) for part in answer.said if part.kind == "call"]:
        message["tool_calls"] = calls
    return message


def _call(part: Part) -> Body:
    return {"id": part.id, "type": "function", "function": {"name": part.tool, "arguments": written(part.args)}}


# --- is it a request -----------------------------------------------------------------------------------------------


def _talk(messages: list[Body]) -> tuple[str, list[tuple[Role, list[Part]]]]:
    system: list[str] = []
    talk: list[tuple[Role, list[Part]]] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message.get("role"):
            case "system" | "developer":
                system.append(_text(message.get("content"), f"{where}.content"))
            case "user":
                talk.append(("user", [Part(kind="text", text=_text(message.get("content"), f"{where}.content"))]))
            case "assistant":
                talk.append(("assistant", _said(message, where)))
            case "tool":
                call = check_text(message.get("tool_call_id"), f"{where}.tool_call_id")
                talk.append(("user", [Part(kind="result", id=call, text=_text(message.get("content"), f"{where}.content"))]))
            case role:
                raise Refused(
                    f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'tool', and 'developer'.",
                    param=f"{where}.role",
                    code="invalid_value",
                )
    return "\n".join(system), talk


def _text(content: object, where: str) -> str:
    if isinstance(content, list):
        return "\n".join(check_text(part.get("text"), f"{where}[{number}].text") for number, part in enumerate(content))
    return check_text(content, where)


def _said(message: Body, where: str) -> list[Part]:
    parts: list[Part] = []
    if thought := message.get("reasoning_content"):
        parts.append(Part(kind="thinking", text=thought))
    calls = check_array(message["tool_calls"], f"{where}.tool_calls") if message.get("tool_calls") is not None else []
    if message.get("content") is not None:
        text = _text(message["content"], f"{where}.content")
        parts += [Part(kind="text", text=text)] if text else []
    elif not calls and message.get("refusal") is None:
        raise Refused("Invalid value for 'content': expected a string, got null.", param=f"{where}.content", code="invalid_value")
    for number, call in enumerate(calls):
        at, function = f"{where}.tool_calls[{number}]", call.get("function", {})
        parts.append(
            Part(
                kind="call",
                id=check_text(call.get("id"), f"{at}.id", most=_ID_LENGTH_MAX),
                tool=check_name(function.get("name"), f"{at}.function.name"),
                args=arguments(check_text(function.get("arguments"), f"{at}.function.arguments")),
            )
        )
    return parts


def _check_calls(messages: list[Body]) -> None:
    """Every call has exactly one result in the messages right after it; no result is without its call."""
    open_calls: list[str] = []
    answered: list[str] = []

    def close() -> None:
        if missing := [call for call in open_calls if call not in answered]:
            raise Refused(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
                f"The following tool_call_ids did not have response messages: {', '.join(missing)}",
                param="messages",
            )

    for index, message in enumerate(messages):
        if message["role"] != "tool":
            close()
            calls: Any = message.get("tool_calls") or []
            open_calls, answered = [call["id"] for call in calls], []
            if len(set(open_calls)) < len(open_calls):
                raise Refused(f"Duplicate value for 'id' in messages[{index}].tool_calls.", param=f"messages[{index}].tool_calls")
            continue
        call = message["tool_call_id"]
        if call not in open_calls:
            raise Refused(
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                param=f"messages[{index}].role",
            )
        if call in answered:
            raise Refused(
                f"Duplicate value for 'tool_call_id' of '{call}' in message[{index}].", param=f"messages[{index}].tool_call_id"
            )
        answered.append(call)
    close()
