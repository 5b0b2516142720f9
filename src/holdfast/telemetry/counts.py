"""The numbers of this process: one record from which OTLP and the text for Prometheus are both drawn, so they cannot differ.

Counters and histograms grow with commits, gauges are set as a whole when the store was read. Labels are values of closed sets, or
names of tools, agents, rules and models; never ids of runs or steps. A metric still has at most SERIES_MAX of them: what
comes after is counted together, under OTHER.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

SERIES_MAX = 500
OTHER = "_other"
LABEL_CHARACTERS_MAX = 200

Labels = tuple[str, ...]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted. unit: in UCUM, as OpenTelemetry writes it. labels: their names, in the order of each point's values."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    unit: str = ""
    labels: Labels = ()
    bounds: tuple[float, ...] = ()

    def named(self, labels: Labels) -> dict[str, str]:
        """The labels of a point by their names; what has no value is left away."""
        return {name: value for name, value in zip(self.labels, labels, strict=True) if value}


class Histogram(msgspec.Struct):
    """buckets: how many were at most each bound (not those of the bounds before it), and how many were above the last."""

    buckets: list[int]
    total: float = 0.0


Point = float | Histogram


class Series(msgspec.Struct, frozen=True):
    """A metric with its points at one moment."""

    metric: Metric
    points: dict[Labels, Point]

    def numbers(self) -> Iterator[tuple[Labels, float]]:
        """The points of a counter or a gauge, in order."""
        for labels, point in sorted(self.points.items(), key=_labels):
            if not isinstance(point, Histogram):
                yield labels, point

    def histograms(self) -> Iterator[tuple[Labels, Histogram]]:
        """The points of a histogram, in order."""
        for labels, point in sorted(self.points.items(), key=_labels):
            if isinstance(point, Histogram):
                yield labels, point


def _labels(item: tuple[Labels, Point]) -> Labels:
    return item[0]


class Counts:
    """See the module's text. One thread counts, under `lock` where others may read; any may take a snapshot or set gauges."""

    def __init__(self, metrics: tuple[Metric, ...]):
        self.lock = threading.Lock()
        self._metrics = {metric.name: metric for metric in metrics}
        self._points: dict[str, dict[Labels, float]] = {m.name: {} for m in metrics if m.kind != "histogram"}
        self._histograms: dict[str, dict[Labels, Histogram]] = {m.name: {} for m in metrics if m.kind == "histogram"}

    def add(self, name: str, labels: Labels = (), value: float = 1) -> None:
        """Count something."""
        points = self._points[name]
        try:
            points[labels] += value
        except KeyError:
            labels = _bounded(labels, points)
            points[labels] = points.get(labels, 0.0) + value

    def numbers(self, name: str) -> dict[Labels, float]:
        """The points of a counter with labels of a closed set, to be counted in without more ado."""
        return self._points[name]

    def observe(self, name: str, labels: Labels, value: float) -> None:
        """Note one value of a distribution."""
        point = self._histograms[name].get(labels) or self.histogram(name, labels)
        point.buckets[bisect_left(self._metrics[name].bounds, value)] += 1
        point.total += value

    def histogram(self, name: str, labels: Labels) -> Histogram:
        """The distribution with these labels, to be counted in."""
        points = self._histograms[name]
        labels = _bounded(labels, points)
        if labels not in points:
            points[labels] = Histogram([0] * (len(self._metrics[name].bounds) + 1))
        return points[labels]

    def set(self, name: str, found: Mapping[Labels, float]) -> None:
        """Put what was found in place of all that a gauge had."""
        points: dict[Labels, float] = {}
        for labels, value in found.items():
            points[_bounded(labels, points)] = value
        with self.lock:
            self._points[name] = points

    def snapshot(self) -> list[Series]:
        """All metrics as they are now, also those without a point."""
        with self.lock:
            return [Series(metric, self._copy(metric)) for metric in self._metrics.values()]

    def _copy(self, metric: Metric) -> dict[Labels, Point]:
        if metric.kind == "histogram":
            return {labels: Histogram(list(p.buckets), p.total) for labels, p in self._histograms[metric.name].items()}
        return dict(self._points[metric.name])


def _bounded(labels: Labels, points: Mapping[Labels, object]) -> Labels:
    """Labels that a metric may still have."""
    labels = tuple(label[:LABEL_CHARACTERS_MAX] for label in labels)
    return labels if labels in points or len(points) < SERIES_MAX - 1 else (OTHER,) * len(labels)
