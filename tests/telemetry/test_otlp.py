"""Where OTLP goes by the standard environment, and that it is nobody's concern when nobody is there."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from holdfast import UsageError
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.exporting import OtlpExporter
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.otlp import Otlp, Sender, from_environment, is_sampled
from holdfast.telemetry.records import Span
from tests.telemetry.kit import receiving

BASE = "OTEL_EXPORTER_OTLP_"


def span(number: int) -> Span:
    """One of many."""
    return Span(trace_id=number.to_bytes(16, "big"), span_id=b"s" * 8, name=f"n{number}", begun_at=1.0, ended_at=2.0)


def of_telemetry(counts: Counts) -> dict[str, float]:
    """What telemetry counts of itself."""
    found = {}
    for series in counts.snapshot():
        for (what, *_), value in series.numbers():
            if series.metric.name.startswith("holdfast.telemetry"):
                found[f"{series.metric.name.rpartition('.')[2]} {what}"] = value
    return found


def test_the_standard_environment_says_where_to() -> None:
    """The common address is a base, that of a signal is whole; headers are put together, those of the signal first."""
    plain = from_environment({}, "1")
    assert plain.traces is not None and plain.metrics is not None
    assert (plain.traces.url, plain.metrics.url) == ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics")
    assert (plain.ratio, plain.resource["service.name"], plain.traces.headers, plain.traces.gzip) == (1.0, "holdfast", {}, False)
    said = from_environment(
        {
            f"{BASE}ENDPOINT": "https://c:4318/x/", f"{BASE}METRICS_ENDPOINT": "http://m/whole", f"{BASE}HEADERS": "a=b,api-key=k%3D1",
            f"{BASE}TRACES_HEADERS": "a=c", f"{BASE}COMPRESSION": "gzip", f"{BASE}TIMEOUT": "2500", f"{BASE}METRICS_TIMEOUT": "500",
            f"{BASE}CERTIFICATE": "/ca.pem", "OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "service.name=no,team=a%20b",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25", "OTEL_BSP_SCHEDULE_DELAY": "5000",
            "OTEL_BSP_MAX_QUEUE_SIZE": "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3", "OTEL_METRIC_EXPORT_INTERVAL": "9000",
        },
        "1",
    )  # fmt: skip
    assert said.traces is not None and said.metrics is not None
    assert (said.traces.url, said.metrics.url) == ("https://c:4318/x/v1/traces", "http://m/whole")
    assert (said.traces.headers, said.metrics.headers) == ({"a": "c", "api-key": "k=1"}, {"a": "b", "api-key": "k=1"})
    assert (said.traces.timeout_seconds, said.metrics.timeout_seconds, said.traces.gzip, said.traces.certificate) == (
        2.5,
        0.5,
        True,
        "/ca.pem",
    )
    assert (said.resource["service.name"], said.resource["team"]) == ("shop", "a b")
    assert (said.ratio, said.delay_seconds, said.spans_max, said.batch, said.interval_seconds) == (0.25, 5.0, 7, 3, 9.0)
    off = from_environment(
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_SAMPLER": "always_off"}, "1"
    )
    assert (off.traces, off.metrics, off.ratio) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (f"{BASE}PROTOCOL", "grpc", "http/protobuf"),
        (f"{BASE}ENDPOINT", "localhost:4317", "no address"),
        (f"{BASE}ENDPOINT", "ftp://x", "no address"),
        (f"{BASE}COMPRESSION", "zstd", "gzip or none"),
        (f"{BASE}TIMEOUT", "10s", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        ("OTEL_TRACES_SAMPLER", "often", "always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "always_on"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "above nothing"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(name: str, value: str, says: str) -> None:
    """Before anything runs."""
    environment = {"OTEL_TRACES_SAMPLER": "traceidratio", name: value} if name.endswith("_ARG") else {name: value}
    with pytest.raises(UsageError, match=says):
        from_environment(environment, "1")


def test_a_header_that_cannot_be_read_is_not_shown() -> None:
    """It may be a key."""
    with pytest.raises(UsageError) as caught:
        from_environment({f"{BASE}HEADERS": "sesame-open"}, "1")
    assert "sesame" not in str(caught.value) and "OTEL_EXPORTER_OTLP_HEADERS" in str(caught.value)


def test_all_workers_send_the_same_traces() -> None:
    """Which part it is follows from the ids; nearly the part that was asked for."""
    made = [number.to_bytes(8, "big") + (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") for number in range(4000)]
    chosen = [one for one in made if is_sampled(one, 0.25)]
    assert 800 < len(chosen) < 1200
    assert not any(is_sampled(one, 0.0) for one in made) and all(is_sampled(one, 1.0) for one in made)
    assert all(is_sampled(one, 0.5) for one in chosen)


def test_spans_are_sent_in_batches_with_headers_and_packed() -> None:
    """As the environment has it; at the end all are there."""
    with receiving() as receiver:
        counts = Counts(ALL)
        settings = {
            **receiver.environment,
            f"{BASE}HEADERS": "x-key=1",
            f"{BASE}COMPRESSION": "gzip",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
        }
        exporter = OtlpExporter(from_environment(settings, "1"), counts, "1")
        exporter.spans([span(number) for number in range(1, 11)])
        exporter.close(10)
        assert sorted(one.name for one in receiver.spans()) == sorted(f"n{number}" for number in range(1, 11))
        traces = [headers for path, headers, _ in receiver.bodies if path == "/v1/traces"]
        assert len(traces) >= 3 and {(headers["x-key"], headers["Content-Type"]) for headers in traces} == {
            ("1", "application/x-protobuf")
        }
        assert of_telemetry(counts)["exported spans"] == 10
        assert receiver.metrics()["holdfast.telemetry.exported"].sum.data_points[0].as_double == 10


@pytest.mark.parametrize("status", [400, 503])
def test_what_is_refused_is_dropped_and_counted(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be tried again is, a few times; the rest is not."""
    monkeypatch.setattr("holdfast.telemetry.exporting.RETRY_SECONDS", 0.001)
    with receiving() as receiver:
        receiver.status = status
        counts = Counts(ALL)
        exporter = OtlpExporter(from_environment({**receiver.environment, "OTEL_METRICS_EXPORTER": "none"}, "1"), counts, "1")
        exporter.spans([span(1)])
        receiver.wait_for(1)
        exporter.close(10)
        assert len(receiver.bodies) == (3 if status == 503 else 1)
    assert of_telemetry(counts) == {"dropped spans": 1, "export_failures spans": len(receiver.bodies)}


def test_a_queue_that_is_full_drops_and_counts() -> None:
    """Nobody waits for a receiver that takes its time."""
    with socket.create_server(("127.0.0.1", 0)) as mute:  # It takes connections, and never answers.
        counts = Counts(ALL)
        settings = {
            f"{BASE}ENDPOINT": f"http://127.0.0.1:{mute.getsockname()[1]}",
            "OTEL_BSP_MAX_QUEUE_SIZE": "5",
            f"{BASE}TIMEOUT": "100",
        }
        exporter = OtlpExporter(from_environment(settings, "1"), counts, "1")
        exporter.spans([span(number) for number in range(1, 101)])
        assert of_telemetry(counts)["dropped spans"] == 95
        exporter.close(0.2)
        exporter._thread.join(10)
    assert of_telemetry(counts)["dropped spans"] == 100


def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    """Collectors close what was idle; that is no failure."""
    answers: list[bytes] = []

    def serve(server: socket.socket) -> None:
        server.settimeout(10)
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                came = b""
                while not came.endswith((b"one", b"two")):
                    came += connection.recv(65536)
                answers.append(came)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        otlp = from_environment({f"{BASE}ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}"}, "1")
        assert otlp.traces is not None
        sender = Sender(otlp.traces)
        assert [sender.send(b"one"), sender.send(b"two")] == [200, 200]
        sender.close()
        thread.join()
    assert [b"one" in answers[0], b"two" in answers[1]] == [True, True]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://nowhere.invalid:4318"])
def test_nobody_there_is_no_error(endpoint: str) -> None:
    """It is answered with nothing."""
    otlp: Otlp = from_environment({f"{BASE}ENDPOINT": endpoint, f"{BASE}TIMEOUT": "500"}, "1")
    assert otlp.traces is not None and Sender(otlp.traces).send(b"x") is None


def test_a_certificate_that_is_none_does_not_end_the_exporter(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, and counted each time."""
    monkeypatch.setattr("holdfast.telemetry.exporting.RETRY_SECONDS", 0.001)
    counts = Counts(ALL)
    settings: dict[str, Any] = {
        f"{BASE}ENDPOINT": "https://127.0.0.1:1",
        f"{BASE}CERTIFICATE": "/nowhere",
        "OTEL_BSP_SCHEDULE_DELAY": "1",
    }
    exporter = OtlpExporter(from_environment(settings, "1"), counts, "1")
    exporter.spans([span(1)])
    exporter.close(1)
    assert of_telemetry(counts)["dropped spans"] == 1
    assert [record.message for record in caplog.records if "are not taken" in record.message][1:] == []


def test_only_the_chosen_part_is_sent() -> None:
    """Of a run all spans or none."""
    with receiving() as receiver:
        settings = {**receiver.environment, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
        exporter = OtlpExporter(from_environment(settings, "1"), Counts(ALL), "1")
        half = 2**63
        exporter.spans([span(half - 1), span(half), span(1)])
        exporter.close(10)
        assert {one.name for one in receiver.spans()} == {f"n{half - 1}", "n1"}
