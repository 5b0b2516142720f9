"""The numbers as text for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4).

Names are those of OpenTelemetry, translated as its specification says (opentelemetry.io/docs/specs/otel/compatibility/
prometheus_and_openmetrics): dots become underscores, the unit goes behind the name, and `_total` behind a counter. A library for
this would bring a registry of its own, and the numbers would stand in two places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from holdfast.telemetry.counts import Labels, Metric, Series

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UNITS = {"s": "seconds", "By": "bytes"}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPED_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


def exposition(series: Iterable[Series]) -> str:
    """All metrics that have a point."""
    return "".join(_family(each) for each in series if each.points)


def name_of(metric: Metric) -> str:
    """The name of a metric here."""
    name = _NOT_IN_NAMES.sub("_", metric.name)
    unit = _UNITS.get(metric.unit, "ratio" if metric.unit == "1" and metric.kind == "gauge" else "")
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return f"{name}_total" if metric.kind == "counter" else name


def _family(series: Series) -> str:
    metric = series.metric
    name = name_of(metric)
    lines = [f"# HELP {name} {metric.about.translate(_ESCAPED_HELP)}", f"# TYPE {name} {metric.kind}"]
    for labels, value in series.numbers():
        lines.append(f"{name}{_labels(metric, labels)} {_number(value)}")
    for labels, point in series.histograms():
        below = 0
        for bound, count in zip((*metric.bounds, math.inf), point.buckets, strict=True):
            below += count
            lines.append(f"{name}_bucket{_labels(metric, labels, _number(bound))} {below}")
        lines.append(f"{name}_sum{_labels(metric, labels)} {_number(point.total)}")
        lines.append(f"{name}_count{_labels(metric, labels)} {below}")
    return "\n".join(lines) + "\n"


def _labels(metric: Metric, values: Labels, le: str = "") -> str:
    named = [f'{_NOT_IN_NAMES.sub("_", label)}="{_text(value)}"' for label, value in metric.named(values).items()]
    if le:
        named.append(f'le="{le}"')
    return f"{{{','.join(named)}}}" if named else ""


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode().translate(_ESCAPED)


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
