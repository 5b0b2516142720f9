"""A receiver of OTLP on loopback that reads what comes with the generated classes, and runs with all that was heard of them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from holdfast import Agent, Holdfast
from holdfast.runner.observing import Committed
from holdfast.telemetry.intents import Intents
from holdfast.telemetry.records import Attributes, Span, whole
from holdfast.telemetry.spans import Spans


class Receiver(ThreadingHTTPServer):
    """Keeps all that came. status: what it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.bodies: list[tuple[str, dict[str, str], bytes]] = []
        self.came = threading.Condition()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What sends to it, at once."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "20"}

    def spans(self) -> list[Any]:
        """All spans, as the generated classes read them."""
        found = []
        for path, _, body in list(self.bodies):
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    def metrics(self) -> dict[str, Any]:
        """The metrics that came last, by name."""
        bodies = [body for path, _, body in list(self.bodies) if path == "/v1/metrics"]
        resources = ExportMetricsServiceRequest.FromString(bodies[-1]).resource_metrics if bodies else ()
        return {metric.name: metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics}

    def wait_for(self, spans: int) -> list[Any]:
        """The spans, once so many are there."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.spans()) >= spans, 20), f"only {len(self.spans())} spans came"
        return self.spans()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with self.server.came:
            self.server.bodies.append((self.path, dict(self.headers), body))
            self.server.came.notify_all()
        self.wfile.write(f"HTTP/1.1 {self.server.status} X\r\nContent-Length: 0\r\n\r\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for a while."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


def plain(attributes: Any) -> dict[str, Any]:
    """A list of KeyValue as a dictionary."""
    return {one.key: value_of(one.value) for one in attributes}


def value_of(value: Any) -> Any:
    """An AnyValue as what it is."""
    kind = value.WhichOneof("value")
    return tuple(map(value_of, value.array_value.values)) if kind == "array_value" else getattr(value, kind)


class Heard:
    """An observer that keeps all commits."""

    def __init__(self) -> None:
        self.commits: list[Committed] = []

    def committed(self, commit: Committed) -> None:
        """See `Observer`."""
        self.commits.append(commit)

    def spans(self, *, content: bool = False) -> list[Span]:
        """The spans of what was heard."""
        intents, spans = Intents(), Spans(content=content)
        return [span for commit in self.commits for span in spans.of(commit, intents.of(commit))]

    def named(self, beginning: str) -> list[Span]:
        """The spans whose name begins so."""
        return [span for span in self.spans() if span.name.startswith(beginning)]


def told(span: Span) -> Attributes:
    """All attributes of a span."""
    return whole(span)


async def heard(path: Path, agent: Agent, **options: Any) -> Heard:
    """What is heard of one run, named `r`."""
    found = Heard()
    async with Holdfast(path, observers=[found]) as app:
        await app.run(agent, id="r", patience_seconds=5, **options)
    return found
