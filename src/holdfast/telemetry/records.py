"""A span as telemetry makes it: something that has ended, with the times that the journal has for it."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.telemetry import names

Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]
# As OTLP numbers them (opentelemetry-proto, trace.proto: Span.SpanKind).
Kind = Literal[1, 3]
INTERNAL: Kind = 1
CLIENT: Kind = 3


class Link(msgspec.Struct, frozen=True, gc=False):
    """Another span that this one has to do with, and why (a value of `names.LINK`)."""

    trace_id: bytes
    span_id: bytes
    why: str


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """What a span says of its own attempt; nearly every span is one, and this is faster than a dictionary. result_bytes: -1 where
    there is no result."""

    step: str
    number: int
    key: str
    arguments_bytes: int
    result_bytes: int

    def attributes(self) -> Attributes:
        """As attributes."""
        found: Attributes = {
            names.STEP_ID: self.step,
            names.ATTEMPT: self.number,
            names.TOOL_CALL_ID: self.key,
            names.ARGUMENTS_BYTES: self.arguments_bytes,
        }
        if self.result_bytes >= 0:
            found[names.RESULT_BYTES] = self.result_bytes
        return found


class Shared:
    """Attributes that many spans have. encoded: what an exporter keeps of them, so that it need not make it again."""

    __slots__ = ("attributes", "encoded")

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.encoded = b""


class Span(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """trace_id has 16 bytes; span_id and parent_id have 8 (no parent: none). begun_at, ended_at: seconds since the epoch.
    attributes, attempt: its own; shared: those that it has in common with others. failed: its status is an error; a span that
    is not has no status, as the conventions want it."""

    trace_id: bytes
    span_id: bytes
    name: str
    begun_at: float
    ended_at: float
    attributes: Attributes = {}
    attempt: Attempt | None = None
    shared: tuple[Shared, ...] = ()
    parent_id: bytes = b""
    kind: Kind = INTERNAL
    links: tuple[Link, ...] = ()
    failed: bool = False
    message: str = ""


def nanoseconds(seconds: float) -> int:
    """A time as OpenTelemetry counts it, to the microsecond: a float of that size has nothing finer."""
    return int(seconds * 1e6 + 0.5) * 1000


def whole(span: Span) -> Attributes:
    """All attributes of a span."""
    found = span.attributes | (span.attempt.attributes() if span.attempt is not None else {})
    for shared in span.shared:
        found |= shared.attributes
    return found
