"""What is written for the wire is what the classes read that are generated from the .proto files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from holdfast.telemetry import names, wire
from holdfast.telemetry.counts import Counts, Metric
from holdfast.telemetry.records import CLIENT, Attempt, Attributes, Link, Shared, Span, nanoseconds, whole
from tests.telemetry.kit import plain

AT = 1_700_000_000.123456
TEXTS = st.text(max_size=200)
VALUES = st.one_of(
    TEXTS, st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans(), st.lists(TEXTS, max_size=3).map(tuple)
)


def read(*encoded: bytes) -> Any:
    """A request with these spans."""
    request = ExportTraceServiceRequest.FromString(wire.traces(wire.resource({"service.name": "s"}), "1.2", encoded))
    [resource] = request.resource_spans
    [scope] = resource.scope_spans
    assert plain(resource.resource.attributes) == {"service.name": "s"}
    assert (scope.scope.name, scope.scope.version) == ("holdfast", "1.2")
    return scope.spans


def span(**of: Any) -> Span:
    """A span of nothing in particular."""
    values: dict[str, Any] = {
        "trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "execute_tool look", "begun_at": AT, "ended_at": AT + 1.5, **of,
    }  # fmt: skip
    return Span(**values)


def test_a_span_is_read_as_it_was_meant() -> None:
    """Every field there is."""
    link = Link(b"o" * 16, b"l" * 8, "reads")
    [found] = read(wire.Encoder().span(span(parent_id=b"p" * 8, kind=CLIENT, links=(link,), failed=True, message="no")))
    assert (found.trace_id, found.span_id, found.parent_span_id) == (b"t" * 16, b"s" * 8, b"p" * 8)
    assert (found.name, found.kind) == ("execute_tool look", found.SPAN_KIND_CLIENT)
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (1_700_000_000_123_456_000, 1_700_000_001_623_456_000)
    assert [(one.trace_id, one.span_id, plain(one.attributes)) for one in found.links] == [
        (b"o" * 16, b"l" * 8, {names.LINK: "reads"})
    ]
    assert (found.status.code, found.status.message) == (found.status.STATUS_CODE_ERROR, "no")
    assert found.flags & 0x301 == 0x301 and found.links[0].flags & 0x301 == 0x301
    [root] = read(wire.Encoder().span(span()))
    assert (root.parent_span_id, root.kind, root.status.code) == (b"", root.SPAN_KIND_INTERNAL, 0)


def test_a_span_never_ends_before_it_began() -> None:
    """Clocks of two machines may say so, and backends refuse it."""
    [found] = read(wire.Encoder().span(span(ended_at=AT - 5)))
    assert found.start_time_unix_nano == found.end_time_unix_nano == nanoseconds(AT)


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=6), min_size=1, max_size=4))
def test_attributes_of_any_kind_are_read_as_they_were(many: list[Attributes]) -> None:
    """Also by an encoder that has encoded others before."""
    encoder = wire.Encoder()
    for attributes in many:
        shared = Shared(attributes)
        own, first, again = (
            encoder.span(one) for one in (span(attributes=attributes), span(shared=(shared,)), span(shared=(shared,)))
        )
        for found in read(own, first, again):
            assert plain(found.attributes) == attributes


@given(TEXTS, st.integers(0, 2**40), TEXTS, st.integers(0, 2**40), st.integers(-1, 2**40))
def test_an_attempt_is_read_as_its_attributes(step: str, number: int, key: str, arguments: int, result: int) -> None:
    """The short way says the same as the long one."""
    one = span(attempt=Attempt(step, number, key, arguments, result))
    encoder = wire.Encoder()
    for found in read(encoder.span(one), encoder.span(one)):
        assert plain(found.attributes) == whole(one)


@pytest.mark.parametrize("size", [0, 1, 79, 80, 81, 120, 127, 128, 300, 20_000])
def test_lengths_of_one_and_of_more_bytes(size: int) -> None:
    """At the borders."""
    one = span(attempt=Attempt("s" * size, 1, "ü" * size, 1, 1), attributes={"x": "y" * size})
    [found] = read(wire.Encoder().span(one))
    cut = {key: value[: wire.TEXT_CHARACTERS_MAX] if isinstance(value, str) else value for key, value in whole(one).items()}
    assert plain(found.attributes) == cut


def test_half_characters_do_not_break_a_batch() -> None:
    """They are no UTF-8, and one of them would make the receiver refuse everything."""
    [found] = read(
        wire.Encoder().span(span(name="x\ud800", attempt=Attempt("a\udfff", 1, "k", 1, 1), attributes={"b": "\ud800"}))
    )
    assert (found.name, plain(found.attributes)["b"]) == ("x?", "?")


def test_what_an_encoder_keeps_is_bounded() -> None:
    """Whatever comes."""
    encoder = wire.Encoder()
    for number in range(3 * wire.KEPT_MAX):
        encoder.span(span(name=f"n{number}", attempt=Attempt("s", number, "k", 1, 1)))
    assert len(encoder._heads) <= wire.KEPT_MAX and len(encoder._numbers) <= wire.KEPT_MAX


def test_metrics_are_read_as_they_were_counted() -> None:
    """A sum, a gauge and a histogram."""
    counts = Counts((
        Metric(name="c", kind="counter", unit="{x}", about="counted", labels=("a.b", "c")),
        Metric(name="g", kind="gauge", unit="s", about="now"),
        Metric(name="h", kind="histogram", unit="s", about="how long", labels=("t",), bounds=(0.5, 1.0)),
        Metric(name="none", kind="counter", about="never"),
    ))  # fmt: skip
    counts.add("c", ("x", ""), 2.5)
    counts.set("g", {(): -7.25})
    for seconds in (0.5, 0.7, 1.0, 9.0):
        counts.observe("h", ("u",), seconds)
    body = wire.metrics(wire.resource({"service.name": "s"}), "1", counts.snapshot(), AT, AT + 60)
    [resource] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert set(found) == {"c", "g", "h"}
    counter, gauge, histogram = found["c"], found["g"], found["h"]
    assert (counter.unit, counter.description, counter.sum.is_monotonic, counter.sum.aggregation_temporality) == (
        "{x}",
        "counted",
        True,
        2,
    )
    [point] = counter.sum.data_points
    assert (plain(point.attributes), point.as_double, point.time_unix_nano - point.start_time_unix_nano) == (
        {"a.b": "x"},
        2.5,
        60 * 10**9,
    )
    assert gauge.gauge.data_points[0].as_double == -7.25
    [point] = histogram.histogram.data_points
    assert (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)) == (4, 11.2, [1, 2, 1], [0.5, 1.0])
    assert (histogram.histogram.aggregation_temporality, plain(point.attributes)) == (2, {"t": "u"})


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**63 - 1, -1, -(2**63)])
def test_whole_numbers_have_seven_bits_a_byte(number: int) -> None:
    """Those below nothing have ten bytes."""
    found = KeyValueList.FromString(wire.attributes(1, {"n": number}))
    assert plain(found.values) == {"n": number}
