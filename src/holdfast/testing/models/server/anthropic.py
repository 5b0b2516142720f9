"""The Messages format of Anthropic: `POST /v1/messages`.

Shapes after https://platform.claude.com/docs/en/api/messages and the types of its client, errors after
https://platform.claude.com/docs/en/api/errors; the wording of refusals is the provider's where a client reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.core.models import Part, Usage
from holdfast.reasoners.model import Answer, Request, Role, ToolForm
from holdfast.testing.models.faults import MEANT, Fault, FaultName
from holdfast.testing.models.script import pieces, signature
from holdfast.testing.models.server.wire import TOOL_NAME, TOOL_NAME_WORDS, Body, Refused, Reply, merged, retry_after, sse
from holdfast.testing.models.turns import written

STOP = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "refused": "refusal", "other": "pause_turn"}
CACHE_POINTS_MAX = 4
_ID = re.compile(r"[a-zA-Z0-9_-]+")

_ERRORS: dict[FaultName, tuple[int, str, str]] = {
    "rate_limited": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "error_in_stream": (529, "overloaded_error", "Overloaded"),
    "unavailable": (503, "api_error", "Service unavailable"),
    "server_error": (500, "api_error", "Internal server error"),
    "context": (400, "invalid_request_error", "prompt is too long: {tokens} tokens > {most} maximum"),
    "rejected": (400, "invalid_request_error", "messages.0.content: Input should be a valid list"),
    "quota": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to purchase credits.",
    ),
    "bad_key": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "unknown_model": (404, "not_found_error", "model: {model}"),
}


class AnthropicMessages:
    """See `Format`."""

    path = "/v1/messages"
    provider = "anthropic"

    # --- what comes in --------------------------------------------------------------------------------------------

    def key(self, headers: Mapping[str, str]) -> str:
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not key:
            raise Refused("x-api-key header is required", status=401, kind="authentication_error")
        if "anthropic-version" not in headers:
            raise Refused("anthropic-version: header is required")
        return key

    def request(self, body: Body) -> Request:
        for name in ("model", "max_tokens", "messages"):
            if name not in body:
                raise Refused(f"{name}: Field required")
        most = body["max_tokens"]
        if not isinstance(most, int) or isinstance(most, bool):
            raise Refused("max_tokens: Input should be a valid integer")
        if most < 1:
            raise Refused("max_tokens: Input should be greater than or equal to 1")
        tools = _tools(body.get("tools", []))
        messages = body["messages"]
        if not isinstance(messages, list) or not messages:
            raise Refused("messages: at least one message is required")
        talk = _talk(messages)
        _check_thinking(body, messages)
        _check_calls(messages, bool(tools))
        if (points := _cache_points(body)) > CACHE_POINTS_MAX:
            raise Refused(f"A maximum of {CACHE_POINTS_MAX} blocks with cache_control may be provided. Found {points}.")
        choice = body.get("tool_choice", {}).get("type", "auto")
        if choice in ("any", "tool") and not tools:
            raise Refused("tool_choice may only be specified while providing tools.")
        return Request(
            model=f"{self.provider}:{body['model']}",
            system=_text(body.get("system", ""), "system"),
            messages=merged(talk),
            tools=tools,
            choice="required" if choice in ("any", "tool") else "auto",
            output_tokens_max=most,
        )

    # --- what goes out --------------------------------------------------------------------------------------------

    def answer(self, body: Body, request: Request, answer: Answer, number: int) -> Body:
        return {
            "id": f"msg_{number:08d}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": _blocks(answer),
            "stop_reason": STOP[answer.finish],
            "stop_sequence": None,
            "stop_details": _stop_details(answer),
            "usage": _usage(answer.usage),
        }

    def stream(self, body: Body, request: Request, answer: Answer, number: int) -> Iterator[bytes]:
        whole = self.answer(body, request, answer, number)
        begun = {
            **whole,
            "content": [],
            "stop_reason": None,
            "stop_details": None,
            "usage": {**whole["usage"], "output_tokens": 1},
        }
        yield _event({"type": "message_start", "message": begun})
        yield _event({"type": "ping"})
        for index, block in enumerate(whole["content"]):
            yield from _block_events(index, block)
        stop = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
        yield _event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": whole["usage"]["output_tokens"]}})
        yield _event({"type": "message_stop"})

    def refusal(self, refused: Refused) -> Reply:
        return Reply(status=refused.status, body=_error(refused.kind, refused.message))

    def failure(self, fault: Fault, model: str, tokens: int) -> Reply:
        status, kind, message = _ERRORS[fault.name]
        said = fault.message or message.format(model=model, tokens=tokens, most=max(tokens - 1, 0))
        return Reply(status=status, body=_error(kind, said), headers=retry_after(fault))

    def stream_error(self) -> bytes:
        _, kind, message = _ERRORS["error_in_stream"]
        return sse(_error(kind, message), "error")

    def other_shape(self) -> Body:
        return {"type": "message", "note": MEANT["wrong_shape"][1], "content": "a text where blocks are to be"}

    def other_events(self) -> Iterator[bytes]:
        yield _event({"type": "message_start", "message": "a text where a message is to be"})


def _event(data: Body) -> bytes:
    return sse(data, data["type"])


def _error(kind: str, message: str) -> Body:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}


def _stop_details(answer: Answer) -> Body | None:
    if answer.finish != "refused":
        return None
    said = "".join(part.text for part in answer.said if part.kind == "text")
    return {"type": "refusal", "category": None, "explanation": said or None}


def _usage(usage: Usage) -> Body:
    """Input here is what no cache had to do with."""
    return {
        "input_tokens": usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
    }


def _blocks(answer: Answer) -> list[Body]:
    # The words of a refusal are in its details; what was said before it, if anything, would stand here.
    parts = [part for part in answer.said if not (answer.finish == "refused" and part.kind == "text")]
    return [_block(part) for part in parts]


def _block(part: Part) -> Body:
    match part.kind:
        case "thinking":
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        case "call":
            # The wire has room for an object only. A model that writes no JSON shows as another type, or in the stream.
            return {"type": "tool_use", "id": part.id, "name": part.tool, "input": part.args}
        case _:
            return {"type": "text", "text": part.text, "citations": None}


def _block_events(index: int, block: Body) -> Iterator[bytes]:
    def delta(**words: Any) -> bytes:
        return _event({"type": "content_block_delta", "index": index, "delta": words})

    empty: dict[str, Body] = {"thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}, "text": {"text": ""}}
    yield _event({"type": "content_block_start", "index": index, "content_block": {**block, **empty[block["type"]]}})
    match block["type"]:
        case "thinking":
            for piece in pieces(block["thinking"]):
                yield delta(type="thinking_delta", thinking=piece)
            yield delta(type="signature_delta", signature=block["signature"])
        case "tool_use":
            for piece in pieces(written(block["input"])):
                yield delta(type="input_json_delta", partial_json=piece)
        case _:
            for piece in pieces(block["text"]):
                yield delta(type="text_delta", text=piece)
    yield _event({"type": "content_block_stop", "index": index})


# --- is it a request -----------------------------------------------------------------------------------------------


def _tools(tools: object) -> tuple[ToolForm, ...]:
    if not isinstance(tools, list):
        raise Refused("tools: Input should be a valid list")
    for index, tool in enumerate(tools):
        where = f"tools.{index}.custom"
        if not isinstance(name := tool.get("name"), str) or not TOOL_NAME.fullmatch(name):
            raise Refused(f"{where}.name: String should match pattern '{TOOL_NAME_WORDS}'")
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise Refused(f"{where}.input_schema: Field required")
        if "type" not in schema:
            raise Refused(f"{where}.input_schema.type: Field required")
        if schema["type"] != "object":
            raise Refused(f"{where}.input_schema.type: Input should be 'object'")
        if {"oneOf", "allOf", "anyOf"} & schema.keys():
            raise Refused(f"{where}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level")
    names = [tool["name"] for tool in tools]
    if len(set(names)) < len(names):
        raise Refused("tools: Tool names must be unique.")
    return tuple(
        ToolForm(name=tool["name"], description=tool.get("description", ""), input_schema=tool["input_schema"]) for tool in tools
    )


def _content(message: Body, where: str) -> list[Body]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise Refused(f"{where}.content: Input should be a valid list")
    return content


def _text(content: object, where: str) -> str:
    """A text, or the texts of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Refused(f"{where}: Input should be a valid list")
    return "\n".join(str(block.get("text", "")) for block in content)


def _talk(messages: list[Body]) -> list[tuple[Role, list[Part]]]:
    talk: list[tuple[Role, list[Part]]] = []
    for index, message in enumerate(messages):
        where, role = f"messages.{index}", message.get("role")
        if role not in ("user", "assistant"):
            raise Refused(f"{where}.role: Input should be 'user' or 'assistant'")
        content = _content(message, where)
        if not content:
            raise Refused(f"{where}: all messages must have non-empty content except for the optional final assistant message")
        talk.append((role, [_part(block, role, f"{where}.content.{number}") for number, block in enumerate(content)]))
    if talk[0][0] != "user":
        raise Refused('messages: first message must use the "user" role')
    if talk[-1][0] == "assistant":
        raise Refused("This model does not support assistant message prefill. The conversation must end with a user message.")
    return talk


def _part(block: Body, role: Role, where: str) -> Part:
    kind = block.get("type")
    allowed = ("text", "thinking", "redacted_thinking", "tool_use") if role == "assistant" else ("text", "tool_result")
    if kind not in allowed:
        raise Refused(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {allowed}")
    match kind:
        case "text":
            if not isinstance(text := block.get("text"), str):
                raise Refused(f"{where}.text.text: Field required")
            if not text:
                raise Refused("messages: text content blocks must be non-empty")
            if not text.strip():
                raise Refused("messages: text content blocks must contain non-whitespace text")
            return Part(kind="text", text=text)
        case "thinking":
            if block.get("signature") != signature(str(block.get("thinking", ""))):
                raise Refused(f"{where}: Invalid `signature` in `thinking` block")
            return Part(kind="thinking", text=block["thinking"], signature=block["signature"])
        case "redacted_thinking":
            return Part(kind="thinking", signature=str(block.get("data", "")))
        case "tool_use":
            if not isinstance(block.get("input"), dict):
                raise Refused(f"{where}.tool_use.input: Input should be a valid dictionary")
            if not _ID.fullmatch(str(block.get("id", ""))):
                raise Refused(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
            if not TOOL_NAME.fullmatch(str(block.get("name", ""))):
                raise Refused(f"{where}.tool_use.name: String should match pattern '{TOOL_NAME_WORDS}'")
            return Part(kind="call", id=block["id"], tool=block["name"], args=block["input"])
        case _:
            if not isinstance(block.get("tool_use_id"), str):
                raise Refused(f"{where}.tool_result.tool_use_id: Field required")
            return Part(
                kind="result", id=block["tool_use_id"], text=_text(block.get("content", ""), f"{where}.tool_result.content")
            )


def _check_thinking(body: Body, messages: list[Body]) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return
    if body["max_tokens"] <= thinking.get("budget_tokens", 0):
        raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    said = [(index, message) for index, message in enumerate(messages) if message["role"] == "assistant"]
    for index, message in said[-1:]:
        first, *_ = _content(message, "")
        if first["type"] not in ("thinking", "redacted_thinking"):
            raise Refused(
                f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first['type']}`. When "
                "`thinking` is enabled, a final `assistant` message must start with a thinking block."
            )


def _check_calls(messages: list[Body], has_tools: bool) -> None:
    """Every call has exactly one result, first thing in the message right after it; no result is without its call."""
    known: set[str] = set()
    open_calls: list[str] = []
    before = -1
    for index, message in enumerate(messages):
        blocks = _content(message, "")
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        found = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if (calls or found) and not has_tools:
            raise Refused("Requests which include `tool_use` or `tool_result` blocks must define tools")
        for number, block in enumerate(blocks):
            if block["type"] == "tool_result" and block["tool_use_id"] not in open_calls:
                raise Refused(
                    f"messages.{index}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block in the "
                    "previous message."
                )
        leading = [block["tool_use_id"] for block in blocks[: len(found)] if block["type"] == "tool_result"]
        if missing := [name for name in open_calls if name not in leading]:
            raise Refused(
                f"messages.{before}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )
        if twice := [name for name in found if found.count(name) > 1]:
            raise Refused(
                f"messages.{index}.content: each tool_use must have a single result. Found multiple `tool_result` blocks "
                f"with id: {twice[0]}"
            )
        if known & set(calls) or len(set(calls)) < len(calls):
            raise Refused("messages: `tool_use` ids must be unique")
        known.update(calls)
        open_calls, before = calls, index


def _cache_points(value: object) -> int:
    """Blocks with `cache_control`, wherever in the request; what is in the arguments of a call is data."""
    if isinstance(value, list):
        return sum(map(_cache_points, value))
    if isinstance(value, dict):
        here = 1 if value.get("cache_control") else 0
        return here + sum(
            _cache_points(part) for name, part in value.items() if name not in ("input", "input_schema", "cache_control")
        )
    return 0
