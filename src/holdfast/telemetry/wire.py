"""Spans and metrics as OTLP, in the wire format of protobuf.

Fields and their numbers are those of https://github.com/open-telemetry/opentelemetry-proto (trace.proto, metrics.proto,
common.proto, resource.proto, all stable); the format is that of https://protobuf.dev/programming-guides/encoding/. The SDK's
own encoder takes 44 µs a span (opentelemetry-exporter-otlp 1.45, CPython 3.11), which is a third of what holdfast needs for
the whole step; what is left when all that is the same in most spans is encoded once takes a tenth of that. The tests read what
is written here with the classes that are generated from the .proto files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from holdfast.telemetry import names
from holdfast.telemetry.counts import Series
from holdfast.telemetry.records import INTERNAL, Attempt, Attributes, Kind, Shared, Span, Value, nanoseconds

# Encoded attributes that are kept because they come again; most are names of tools and outcomes.
KEPT_MAX = 4096
TEXT_CHARACTERS_MAX = 16_000
# Metric.data: how the sums add up since the process began (AGGREGATION_TEMPORALITY_CUMULATIVE).
_CUMULATIVE = 2
_TIMES = struct.Struct("<BQBQ").pack
# Numbers that have one byte.
_ONE = [bytes([number]) for number in range(256)]
_FIXED = struct.Struct("<Q")
_DOUBLE = struct.Struct("<d")
# Span.flags and Link.flags: sampled (0x01); that it is known whether the other span is remote (0x100), and that it is (0x200).
_FLAGS = b"\x85\x01" + struct.pack("<I", 0x301)
_FLAGS_OF_LINK = b"\x35" + struct.pack("<I", 0x301)


def varint(number: int) -> bytes:
    """A whole number, seven bits a byte, the lowest first; below nothing as 64 bits."""
    number &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def part(field: int, body: bytes) -> bytes:
    """A field of bytes, text, or a message."""
    return varint(field << 3 | 2) + varint(len(body)) + body


def text(field: int, value: str) -> bytes:
    """A field of text, cut where it is too long."""
    return part(field, value[:TEXT_CHARACTERS_MAX].encode("utf-8", "replace"))


def _value(value: Value) -> bytes:
    """AnyValue: string 1, bool 2, int 3, double 4, array 5."""
    if isinstance(value, str):
        return text(1, value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value)
    if isinstance(value, float):
        return b"\x21" + _DOUBLE.pack(value)
    return part(5, b"".join(part(1, text(1, each)) for each in value))


def attributes(field: int, found: Mapping[str, Value]) -> bytes:
    """A list of KeyValue: key 1, value 2."""
    return b"".join(part(field, text(1, name) + part(2, _value(value))) for name, value in found.items())


def resource(found: Mapping[str, Value]) -> bytes:
    """Resource: attributes 1."""
    return attributes(1, found)


def _scope(version: str) -> bytes:
    return text(1, names.SCOPE) + text(2, version)


# The keys of the two texts that every attempt has, and what their lengths add to those of a value that has a length of one byte.
_SHORT = 80
_STEP, _CALL = text(1, names.STEP_ID), text(1, names.TOOL_CALL_ID)
_STEP_MORE, _CALL_MORE = len(_STEP) + 4, len(_CALL) + 4


class Encoder:
    """Encodes spans, one by one. For one thread."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str, Kind], bytes] = {}
        self._whys: dict[str, bytes] = {}
        self._numbers: dict[tuple[int, int, int], bytes] = {}

    def span(self, span: Span) -> bytes:
        """One span as a field of ScopeSpans (spans 2): ids 1, 2, 4, name 5, kind 6, times 7, 8, attributes 9, links 13, status
        15, flags 16."""
        head = self._heads.get((span.name, span.kind)) or self._head(span)
        begun_at, ended_at = span.begun_at, span.ended_at
        parts = [
            b"\x0a\x10", span.trace_id, b"\x12\x08", span.span_id, b"\x22\x08" if span.parent_id else b"", span.parent_id, head,
            _TIMES(0x39, nanoseconds(begun_at), 0x41, nanoseconds(ended_at if ended_at > begun_at else begun_at)), _FLAGS,
        ]  # fmt: skip
        for shared in span.shared:
            parts.append(shared.encoded or self._shared(shared))
        if span.attempt is not None:
            parts += self._attempt(span.attempt)
        if span.attributes:
            parts.append(attributes(9, span.attributes))
        for link in span.links:
            why = self._whys.get(link.why) or self._whys.setdefault(link.why, attributes(4, {names.LINK: link.why}))
            # trace_id 1, span_id 2, attributes 4, flags 6.
            parts.append(part(13, b"\x0a\x10" + link.trace_id + b"\x12\x08" + link.span_id + why + _FLAGS_OF_LINK))
        if span.failed:
            parts.append(part(15, (text(2, span.message) if span.message else b"") + b"\x18\x02"))
        body = b"".join(parts)
        size = len(body)
        return (b"\x12" + _ONE[size & 0x7F | 0x80] + _ONE[size >> 7] if 0x80 <= size < 0x4000 else b"\x12" + varint(size)) + body

    def _head(self, span: Span) -> bytes:
        if len(self._heads) >= KEPT_MAX:
            self._heads.clear()
        head = text(5, span.name) + (b"\x30\x01" if span.kind == INTERNAL else b"\x30\x03")
        self._heads[span.name, span.kind] = head
        return head

    def _shared(self, shared: Shared) -> bytes:
        shared.encoded = attributes(9, shared.attributes)
        return shared.encoded

    def _attempt(self, attempt: Attempt) -> tuple[bytes, ...]:
        """As `attributes` would have it, in parts. Sizes and numbers come again and are kept; steps and keys do not."""
        step, key = attempt.step.encode("utf-8", "replace"), attempt.key.encode("utf-8", "replace")
        steps, keys = len(step), len(key)
        if steps > _SHORT or keys > _SHORT:
            return (attributes(9, attempt.attributes()),)
        numbers = (attempt.number, attempt.arguments_bytes, attempt.result_bytes)
        rest = self._numbers.get(numbers) or self._encoded(numbers, attempt)
        return (
            b"J", _ONE[steps + _STEP_MORE], _STEP, b"\x12", _ONE[steps + 2], b"\x0a", _ONE[steps], step,
            b"J", _ONE[keys + _CALL_MORE], _CALL, b"\x12", _ONE[keys + 2], b"\x0a", _ONE[keys], key, rest,
        )  # fmt: skip

    def _encoded(self, numbers: tuple[int, int, int], attempt: Attempt) -> bytes:
        if len(self._numbers) >= KEPT_MAX:
            self._numbers.clear()
        of_numbers: Attributes = {name: value for name, value in attempt.attributes().items() if isinstance(value, int)}
        self._numbers[numbers] = attributes(9, of_numbers)
        return self._numbers[numbers]


def traces(about: bytes, version: str, spans: Iterable[bytes]) -> bytes:
    """ExportTraceServiceRequest: resource_spans 1 { resource 1, scope_spans 2 { scope 1, spans 2 } }."""
    return part(1, part(1, about) + part(2, part(1, _scope(version)) + b"".join(spans)))


def metrics(about: bytes, version: str, series: Iterable[Series], begun_at: float, at: float) -> bytes:
    """ExportMetricsServiceRequest: resource_metrics 1 { resource 1, scope_metrics 2 { scope 1, metrics 2 } }."""
    found = b"".join(part(2, _metric(each, begun_at, at)) for each in series if each.points)
    return part(1, part(1, about) + part(2, part(1, _scope(version)) + found))


def _metric(series: Series, begun_at: float, at: float) -> bytes:
    """Metric: name 1, description 2, unit 3, gauge 5, sum 7, histogram 9; in these data_points 1, temporality 2, is_monotonic
    3."""
    metric = series.metric
    head = text(1, metric.name) + text(2, metric.about) + text(3, metric.unit)
    times = b"\x11" + _FIXED.pack(nanoseconds(begun_at)) + b"\x19" + _FIXED.pack(nanoseconds(at))
    if metric.kind == "histogram":
        bounds = b"".join(map(_DOUBLE.pack, metric.bounds))
        points = b"".join(
            part(
                1,
                attributes(9, metric.named(labels))
                + times
                + b"\x21" + _FIXED.pack(sum(point.buckets))
                + b"\x29" + _DOUBLE.pack(point.total)
                + part(6, b"".join(map(_FIXED.pack, point.buckets)))
                + part(7, bounds),
            )
            for labels, point in series.histograms()
        )  # fmt: skip
        return head + part(9, points + b"\x10" + varint(_CUMULATIVE))
    points = b"".join(
        part(1, attributes(7, metric.named(labels)) + times + b"\x21" + _DOUBLE.pack(value)) for labels, value in series.numbers()
    )
    if metric.kind == "gauge":
        return head + part(5, points)
    return head + part(7, points + b"\x10" + varint(_CUMULATIVE) + b"\x18\x01")
