"""Exporting: what is sent, by a thread of its own that may be slow, or meet nobody, without anybody waiting for it.

What waits is bounded. When it is full what comes next is dropped, and counted; so is what nobody took after some tries.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from holdfast.telemetry import names, wire
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.otlp import RETRYABLE, TRIES, Otlp, Sender, is_sampled
from holdfast.telemetry.records import Span

_log = logging.getLogger("holdfast")
# The wait before a body is sent again; it doubles.
RETRY_SECONDS = 0.5


class Exporter(Protocol):
    """Takes spans, and sends them on. `spans` returns at once; `close` waits at most so long for what is on its way."""

    def spans(self, found: list[Span]) -> None:
        """Take these spans."""

    def close(self, seconds: float) -> None:
        """Send what is left, and end."""


class OtlpExporter:
    """Sends spans and metrics to a receiver of OTLP."""

    def __init__(self, otlp: Otlp, counts: Counts, version: str, clock: Callable[[], float] = time.time):
        self._otlp = otlp
        self._counts = counts
        self._version = version
        self._clock = clock
        self._about = wire.resource(otlp.resource)
        self._encoder = wire.Encoder()
        self._waiting: deque[bytes] = deque()
        self._begun_at = clock()
        self._news = threading.Event()
        self._closing = threading.Event()
        self._give_up_at = float("inf")
        self._was_down = False
        self._thread = threading.Thread(target=self._run, name="holdfast-otlp", daemon=True)
        self._thread.start()

    def spans(self, found: list[Span]) -> None:
        """Encode them and let them wait. For one thread."""
        if self._otlp.traces is None:
            return
        waiting, ratio = self._waiting, self._otlp.ratio
        dropped = 0
        for span in found:
            if ratio < 1 and not is_sampled(span.trace_id, ratio):
                continue
            if len(waiting) >= self._otlp.spans_max:
                dropped += 1
            else:
                waiting.append(self._encoder.span(span))
        if dropped:
            self._count(names.DROPPED, "spans", dropped)
        if len(waiting) >= self._otlp.batch:
            self._news.set()

    def close(self, seconds: float) -> None:
        """Send what is left, for so long at most."""
        self._give_up_at = time.monotonic() + seconds
        self._closing.set()
        self._news.set()
        self._thread.join(seconds + 0.5)

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        traces = Sender(self._otlp.traces) if self._otlp.traces is not None else None
        metrics = Sender(self._otlp.metrics) if self._otlp.metrics is not None else None
        metrics_at = time.monotonic() + self._otlp.interval_seconds
        while not self._closing.is_set():
            self._news.wait(self._otlp.delay_seconds)
            self._news.clear()
            if traces is not None:
                self._send_spans(traces)
            if metrics is not None and time.monotonic() >= metrics_at:
                metrics_at = time.monotonic() + self._otlp.interval_seconds
                self._send_metrics(metrics)
        if traces is not None:
            self._send_spans(traces)
            traces.close()
        if metrics is not None:
            self._send_metrics(metrics)
            metrics.close()

    def _send_spans(self, sender: Sender) -> None:
        while self._waiting and time.monotonic() < self._give_up_at:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._otlp.batch))]
            self._send(sender, wire.traces(self._about, self._version, batch), "spans", len(batch))
        if self._closing.is_set() and self._waiting:
            self._count(names.DROPPED, "spans", len(self._waiting))

    def _send_metrics(self, sender: Sender) -> None:
        if time.monotonic() >= self._give_up_at:
            return
        series = [each for each in self._counts.snapshot() if each.points]
        body = wire.metrics(self._about, self._version, series, self._begun_at, self._clock())
        self._send(sender, body, "metrics", sum(len(each.points) for each in series))

    def _send(self, sender: Sender, body: bytes, what: str, items: int) -> None:
        for number in range(TRIES):
            try:
                status = sender.send(body)
            except Exception:  # noqa: BLE001 — the border: a certificate that is none, a header that cannot be.
                status = None
            if status is not None and 200 <= status < 300:
                self._was_down = False
                self._count(names.EXPORTED, what, items)
                return
            self._count(names.EXPORT_FAILURES, what, 1)
            again = status is None or status in RETRYABLE
            left = self._give_up_at - time.monotonic()
            if not again or number == TRIES - 1 or left <= 0:
                break
            # `closing` may be set from the beginning on; then this waits all the same, but not longer than it may.
            time.sleep(min(RETRY_SECONDS * 2**number, left)) if self._closing.is_set() else self._closing.wait(
                RETRY_SECONDS * 2**number
            )
        else:
            status = None
        self._count(names.DROPPED, what, items)
        if not self._was_down:
            self._was_down = True
            _log.warning("telemetry: %s are not taken (%s); runs go on without", what, status or "nobody answers")

    def _count(self, name: str, what: str, items: int) -> None:
        with self._counts.lock:
            self._counts.add(name, (what,), items)
