"""The text for Prometheus is read by a parser of others, and says what OTLP says."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.telemetry import wire
from holdfast.telemetry.counts import OTHER, SERIES_MAX, Counts, Metric
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.prometheus import exposition, name_of
from tests.telemetry.kit import plain

COUNTER = Metric(
    name="holdfast.things", kind="counter", unit="{thing}", about='with "quotes", \\ and\nlines', labels=("gen_ai.tool.name",)
)


def parsed(counts: Counts) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(exposition(counts.snapshot())):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


@given(st.text(min_size=1, max_size=60))
def test_any_label_value_is_read_as_it_is(value: str) -> None:
    """Quotes, backslashes and ends of lines are escaped; a name of a tool cannot write a metric of its own."""
    counts = Counts((COUNTER,))
    counts.add("holdfast.things", (value,), 3)
    assert parsed(counts) == {"holdfast_things_total": {(("gen_ai_tool_name", value),): 3.0}}


def test_hostile_names_of_tools_make_no_lines_of_their_own() -> None:
    """Whatever stands in them."""
    counts = Counts((COUNTER,))
    hostile = 'x"} 1\nholdfast_things_total{gen_ai_tool_name="y'
    for value in (hostile, "\\", '\\"', "\n", "\r", "\u2028", "\ud800", "a" * 1000):
        counts.add("holdfast.things", (value,))
    found = parsed(counts)["holdfast_things_total"]
    assert len(found) == 8 and set(found.values()) == {1.0}
    assert max(len(value) for ((_, value),) in found) == 200


def test_names_have_their_unit_and_a_total() -> None:
    """As OpenTelemetry's specification translates them."""
    by_name = {metric.name: name_of(metric) for metric in ALL}
    assert by_name["gen_ai.client.operation.duration"] == "gen_ai_client_operation_duration_seconds"
    assert by_name["gen_ai.client.token.usage"] == "gen_ai_client_token_usage"
    assert by_name["holdfast.attempts"] == "holdfast_attempts_total"
    assert by_name["holdfast.store.size"] == "holdfast_store_size_bytes"
    assert by_name["holdfast.override.ratio"] == "holdfast_override_ratio"
    assert len(set(by_name.values())) == len(ALL) == len(by_name)


def test_buckets_add_up() -> None:
    """Each has what is at most its bound; the last has all."""
    counts = Counts((Metric(name="h", kind="histogram", unit="s", about="", bounds=(0.1, 1.0)),))
    for value in (0.1, 0.5, 1.0, 7.0):
        counts.observe("h", (), value)
    found = parsed(counts)
    assert found["h_seconds_bucket"] == {(("le", "0.1"),): 1, (("le", "1"),): 3, (("le", "+Inf"),): 4}
    assert (found["h_seconds_count"][()], found["h_seconds_sum"][()]) == (4, 8.6)


def test_numbers_that_are_none() -> None:
    """Infinity and what is not a number are said as the format has them."""
    counts = Counts((Metric(name="g", kind="gauge", about="", labels=("a",)),))
    counts.set("g", {("1",): math.inf, ("2",): -math.inf, ("3",): math.nan, ("4",): 1e20, ("5",): 0.1})
    found = {labels[0][1]: value for labels, value in parsed(counts)["g"].items()}
    assert (
        found["1"] == math.inf and found["2"] == -math.inf and math.isnan(found["3"]) and (found["4"], found["5"]) == (1e20, 0.1)
    )


def test_a_metric_has_a_bounded_number_of_labels() -> None:
    """What comes after is counted together, and nothing is lost."""
    counts = Counts((COUNTER, Metric(name="h", kind="histogram", about="", labels=("t",), bounds=(1.0,))))
    for number in range(3 * SERIES_MAX):
        counts.add("holdfast.things", (f"tool-{number}",))
        counts.observe("h", (f"tool-{number}",), 0.5)
    for series in counts.snapshot():
        assert len(series.points) == SERIES_MAX and (OTHER,) in series.points
    assert sum(value for _, value in counts.snapshot()[0].numbers()) == 3 * SERIES_MAX
    assert sum(sum(point.buckets) for _, point in counts.snapshot()[1].histograms()) == 3 * SERIES_MAX
    gauge = Counts((Metric(name="g", kind="gauge", about="", labels=("t",)),))
    gauge.set("g", {(str(number),): 1.0 for number in range(3 * SERIES_MAX)})
    assert len(gauge.snapshot()[0].points) <= SERIES_MAX


def test_both_say_the_same() -> None:
    """Every sum and gauge of the text is in what goes by OTLP, with the same value."""
    counts = Counts(ALL)
    for number, metric in enumerate(ALL):
        labels = tuple(f"{label}-x" for label in metric.labels)
        if metric.kind == "histogram":
            counts.observe(metric.name, labels, number)
        elif metric.kind == "counter":
            counts.add(metric.name, labels, number + 0.5)
        else:
            counts.set(metric.name, {labels: number + 0.25})
    text = parsed(counts)
    body = wire.metrics(b"", "1", counts.snapshot(), 0.0, 1.0)
    sent = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics
    assert [metric.name for metric in sent] == [metric.name for metric in ALL]
    for metric, found in zip(ALL, sent, strict=True):
        name = name_of(metric)
        [point] = getattr(found, found.WhichOneof("data")).data_points
        labels = tuple(sorted((key.replace(".", "_"), value) for key, value in plain(point.attributes).items()))
        if metric.kind == "histogram":
            assert (text[f"{name}_sum"][labels], text[f"{name}_count"][labels]) == (point.sum, point.count)
        else:
            assert text[name][labels] == point.as_double
