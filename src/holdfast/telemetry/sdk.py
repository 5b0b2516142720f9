"""Spans for the exporters of the OpenTelemetry SDK: the console, gRPC, or one of a vendor's own.

They are handed over as the SDK's own `ReadableSpan`, whose ids and times are ours: the SDK's tracers cannot be given an end that
lies in another process, and draw their ids. Needs the extra `telemetry`.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.telemetry import names
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.otlp import is_sampled
from holdfast.telemetry.records import CLIENT, Span, Value, nanoseconds, whole

try:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ImportError as error:  # pragma: no cover — tests have the extra.
    raise UsageError("the OpenTelemetry SDK is not installed", hint="pip install 'holdfast[telemetry]'") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH = 512
DELAY_SECONDS = 1.0


class SdkExporter:
    """Hands spans to an exporter of the SDK, from a thread of its own. resource: who speaks. spans_max: that wait. ratio: the
    part of the traces that is handed over."""

    def __init__(
        self,
        exporter: SpanExporter,
        counts: Counts,
        resource: Mapping[str, Value],
        *,
        version: str = "",
        spans_max: int = 20_000,
        ratio: float = 1.0,
    ):
        self._exporter = exporter
        self._counts = counts
        self._resource = Resource(dict(resource))
        self._scope = InstrumentationScope(names.SCOPE, version)
        self._ratio = ratio
        self._waiting: queue.Queue[Span | None] = queue.Queue(spans_max)
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="holdfast-spans", daemon=True)
        self._thread.start()

    def spans(self, found: list[Span]) -> None:
        """Let them wait."""
        for span in found:
            if is_sampled(span.trace_id, self._ratio):
                try:
                    self._waiting.put_nowait(span)
                except queue.Full:
                    self._count(names.DROPPED, 1)

    def close(self, seconds: float) -> None:
        """Hand over what is left, for so long at most."""
        self._give_up_at = time.monotonic() + seconds
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._gathered()
            if batch and time.monotonic() < self._give_up_at:
                self._export(batch)
        self._exporter.shutdown()

    def _gathered(self) -> tuple[list[Span], bool]:
        """What came in a while, and whether nothing more does."""
        batch: list[Span] = []
        until = time.monotonic() + DELAY_SECONDS
        while len(batch) < BATCH:
            try:
                span = self._waiting.get(timeout=max(until - time.monotonic(), 0.001))
            except queue.Empty:
                break
            if span is None:
                return batch, True
            batch.append(span)
        return batch, False

    def _export(self, batch: list[Span]) -> None:
        try:
            taken = self._exporter.export([self._readable(span) for span in batch]) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001 — the border: whatever an exporter does is not the run's concern.
            taken = False
        self._count(names.EXPORTED if taken else names.DROPPED, len(batch))

    def _readable(self, span: Span) -> ReadableSpan:
        links = [Link(_context(link.trace_id, link.span_id), {names.LINK: link.why}) for link in span.links]
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
            resource=self._resource,
            attributes=whole(span),
            links=links,
            kind=SpanKind.CLIENT if span.kind == CLIENT else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.message or None) if span.failed else Status(),
            start_time=nanoseconds(span.begun_at),
            end_time=nanoseconds(max(span.ended_at, span.begun_at)),
            instrumentation_scope=self._scope,
        )

    def _count(self, name: str, items: int) -> None:
        with self._counts.lock:
            self._counts.add(name, ("spans",), items)


def _context(trace_id: bytes, span_id: bytes) -> SpanContext:
    return SpanContext(int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big"), is_remote=True, trace_flags=TraceFlags(1))
