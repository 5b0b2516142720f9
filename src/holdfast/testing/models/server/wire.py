"""What the formats of the providers have in common: what a server asks of each, and how a wrong request is refused.

A format checks a request as strictly as the provider does where that catches an error of ours, puts it into the neutral form,
and puts the answer to that into its own, whole or as a stream of events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from holdfast.core.models import Part
from holdfast.reasoners.model import Answer, Message, Request, Role
from holdfast.testing.models.faults import Fault
from holdfast.testing.models.script import BYTES_PER_TOKEN

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOOL_NAME_WORDS = "^[a-zA-Z0-9_-]{1,64}$"
# A JSON object of the wire. Its values are whatever came in, until they were looked at.
Body = dict[str, Any]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer over HTTP that is not a model's."""

    status: int
    body: Body
    headers: dict[str, str] = {}


class Refused(Exception):
    """The provider does not take the request. name: which fault that is; param, code: as OpenAI names them."""

    def __init__(self, message: str, *, status: int = 400, kind: str = "invalid_request_error", param: str = "", code: str = ""):
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code


class Format(Protocol):
    """One provider's way to say it. provider: as it stands before the colon in the name of a model."""

    path: str
    provider: str

    def key(self, headers: Mapping[str, str]) -> str:
        """The key that came with the request; Refused where there is none. Names of headers are in lower case."""

    def request(self, body: Body) -> Request:
        """The neutral form; Refused for what the provider does not take."""

    def answer(self, body: Body, request: Request, answer: Answer, number: int) -> Body:
        """A whole answer. number: of the request, for ids."""

    def stream(self, body: Body, request: Request, answer: Answer, number: int) -> Iterator[bytes]:
        """The same as server-sent events."""

    def refusal(self, refused: Refused) -> Reply:
        """What is answered to a request that is not taken."""

    def failure(self, fault: Fault, model: str, tokens: int) -> Reply:
        """What is answered for a fault that has a status of its own. tokens: of the request, in the provider's words."""

    def stream_error(self) -> bytes:
        """The event with which a stream ends that was well begun."""

    def other_shape(self) -> Body:
        """JSON that is no answer."""

    def other_events(self) -> Iterator[bytes]:
        """Events that are no answer."""


def sse(data: Body | str, event: str = "") -> bytes:
    """One server-sent event (WHATWG HTML, section 9.2)."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def merged(messages: list[tuple[Role, list[Part]]]) -> tuple[Message, ...]:
    """Messages with those that follow one another on the same side put together, as the neutral form has them."""
    joined: list[tuple[Role, list[Part]]] = []
    for role, parts in messages:
        if joined and joined[-1][0] == role:
            joined[-1][1].extend(parts)
        else:
            joined.append((role, list(parts)))
    return tuple(Message(role=role, parts=tuple(parts)) for role, parts in joined)


def arguments(text: str) -> Any:
    """The arguments of a call that came back: a table, or the text where it is no JSON."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, dict) else text


def retry_after(fault: Fault) -> dict[str, str]:
    """The header for the time that a provider names: whole seconds (RFC 9110, section 10.2.3), or else milliseconds in the
    header that both providers have for them."""
    seconds = fault.retry_after_seconds
    if seconds is None:
        return {}
    return {"retry-after": f"{seconds:.0f}"} if seconds == int(seconds) else {"retry-after-ms": f"{seconds * 1000:.0f}"}


def tokens(request_bytes: int) -> int:
    """As `script.counted` counts them."""
    return request_bytes // BYTES_PER_TOKEN


def schema_problem(schema: object, where: tuple[str, ...] = ()) -> str:
    """What OpenAI finds wrong with the schema of a function: an object at the top, and items in every array."""
    if not isinstance(schema, dict):
        return f"In context={where!r}, schema must be an object"
    if not where and schema.get("type") != "object":
        found = "None" if schema.get("type") is None else str(schema["type"])
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'."
    if schema.get("type") == "array" and "items" not in schema:
        return f"In context={where!r}, array schema missing items."
    for keyword in ("properties", "$defs"):
        inner = schema.get(keyword, {})
        for name, part in inner.items() if isinstance(inner, dict) else ():
            if isinstance(part, dict) and (found := schema_problem(part, (*where, keyword, name))):
                return found
    items = schema.get("items")
    return schema_problem(items, (*where, "items")) if isinstance(items, dict) else ""


def strict_problem(schema: Body, where: tuple[str, ...] = ()) -> str:
    """What OpenAI finds wrong with a schema that was sent as strict."""
    properties = schema.get("properties")
    if isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            return f"In context={where!r}, 'additionalProperties' is required to be supplied and to be false."
        missing = sorted(set(properties) - set(schema.get("required", ())))
        if missing:
            return (
                f"In context={where!r}, 'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing[0]}'."
            )
    for keyword in ("properties", "$defs"):
        inner = schema.get(keyword, {})
        for name, part in inner.items() if isinstance(inner, dict) else ():
            if isinstance(part, dict) and (found := strict_problem(part, (*where, keyword, name))):
                return found
    items = schema.get("items")
    return strict_problem(items, (*where, "items")) if isinstance(items, dict) else ""
