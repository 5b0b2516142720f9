"""OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/): where it is sent, by the standard environment, and the sending.

The environment is that of https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
.../configuration/sdk-environment-variables/, as far as it concerns spans and metrics: OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS,
_TIMEOUT, _COMPRESSION, _CERTIFICATE, _CLIENT_KEY, _CLIENT_CERTIFICATE and _PROTOCOL, each also with TRACES_ or METRICS_ in it;
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER(_ARG), OTEL_BSP_SCHEDULE_DELAY, OTEL_BSP_MAX_QUEUE_SIZE,
OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_METRIC_EXPORT_INTERVAL, OTEL_SDK_DISABLED. Times there are milliseconds. The protocol is
http/protobuf, which every collector takes.
"""

from __future__ import annotations

import gzip
import http.client
import ssl
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from holdfast.errors import UsageError
from holdfast.telemetry.records import Value

Signal = Literal["traces", "metrics"]
# What may be tried again, says the specification of OTLP.
RETRYABLE = frozenset({429, 502, 503, 504})
TRIES = 3


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where one signal is sent, and how."""

    url: str
    headers: dict[str, str] = {}
    timeout_seconds: float = 10.0
    gzip: bool = False
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""


class Otlp(msgspec.Struct, frozen=True, kw_only=True):
    """traces, metrics: where to; None sends none. resource: who speaks. ratio: the part of the traces that is sent, 0 to 1;
    which ones follows from their ids, so all workers send the same. spans_max: that wait to be sent; batch: sent at once;
    delay_seconds: until spans are sent however few they are; interval_seconds: between two exports of metrics."""

    traces: Endpoint | None
    metrics: Endpoint | None
    resource: dict[str, Value]
    ratio: float = 1.0
    spans_max: int = 20_000
    batch: int = 512
    delay_seconds: float = 1.0
    interval_seconds: float = 60.0


def from_environment(environment: Mapping[str, str], version: str) -> Otlp:
    """The settings of the standard environment. UsageError for what cannot be."""
    return Otlp(
        traces=_endpoint(environment, "traces") if environment.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp" else None,
        metrics=_endpoint(environment, "metrics") if environment.get("OTEL_METRICS_EXPORTER", "otlp") == "otlp" else None,
        resource=resource(environment, version),
        ratio=_ratio(environment),
        spans_max=_whole(environment, "OTEL_BSP_MAX_QUEUE_SIZE", 20_000),
        batch=_whole(environment, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        delay_seconds=_whole(environment, "OTEL_BSP_SCHEDULE_DELAY", 1_000) / 1000,
        interval_seconds=_whole(environment, "OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000,
    )


def resource(environment: Mapping[str, str], version: str) -> dict[str, Value]:
    """Who speaks: OTEL_RESOURCE_ATTRIBUTES, and OTEL_SERVICE_NAME before what that says of service.name."""
    found: dict[str, Value] = {
        "service.name": "holdfast",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "holdfast",
        "telemetry.sdk.version": version,
    }
    found |= _pairs(environment, "OTEL_RESOURCE_ATTRIBUTES")
    if name := environment.get("OTEL_SERVICE_NAME"):
        found["service.name"] = name
    return found


def _endpoint(environment: Mapping[str, str], signal: Signal) -> Endpoint:
    def setting(name: str, default: str = "") -> str:
        own = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
        return own or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip() or default

    protocol = setting("PROTOCOL", "http/protobuf")
    if protocol != "http/protobuf":
        raise UsageError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, and holdfast speaks http/protobuf",
            hint="set it to http/protobuf (a collector takes it at port 4318), or give Telemetry(exporter=…) one of the SDK's",
        )
    # The common one is a base to which the path of the signal is added; its own is taken as it is.
    url = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    url = (
        url
        or f"{environment.get('OTEL_EXPORTER_OTLP_ENDPOINT', '').strip() or 'http://localhost:4318'}".rstrip("/")
        + f"/v1/{signal}"
    )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is no address for OTLP", hint="set OTEL_EXPORTER_OTLP_ENDPOINT, as http://localhost:4318")
    compression = setting("COMPRESSION", "none")
    if compression not in ("gzip", "none"):
        raise UsageError(f"OTEL_EXPORTER_OTLP_COMPRESSION is {compression!r}", hint="it is gzip or none")
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    timeout = next((name for name in names if environment.get(name, "").strip()), names[1])
    return Endpoint(
        url=url,
        headers=_pairs(environment, "OTEL_EXPORTER_OTLP_HEADERS")
        | _pairs(environment, f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS"),
        timeout_seconds=_whole(environment, timeout, 10_000) / 1000,
        gzip=compression == "gzip",
        certificate=setting("CERTIFICATE"),
        client_certificate=setting("CLIENT_CERTIFICATE"),
        client_key=setting("CLIENT_KEY"),
    )


def _pairs(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """`key=value,key=value`, percent-encoded; UsageError names the variable, and not its value, for that may be a secret."""
    found = {}
    for pair in environment.get(name, "").split(","):
        if pair.strip():
            key, equals, value = pair.partition("=")
            if not equals or not key.strip():
                raise UsageError(f"{name} is not key=value,key=value")
            found[unquote(key.strip())] = unquote(value.strip())
    return found


def _whole(environment: Mapping[str, str], name: str, default: int) -> int:
    said = environment.get(name, "").strip()
    if not said:
        return default
    if not said.isdecimal() or not int(said):
        raise UsageError(f"{name} is {said!r}", hint="it is a whole number above nothing; times are milliseconds")
    return int(said)


def _ratio(environment: Mapping[str, str]) -> float:
    """A run has no parent that was sampled elsewhere, so `parentbased_` says nothing more."""
    sampler = environment.get("OTEL_TRACES_SAMPLER", "").strip().removeprefix("parentbased_") or "always_on"
    said = environment.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
    if sampler == "always_on":
        return 1.0
    if sampler == "always_off":
        return 0.0
    try:
        ratio = float(said)
    except ValueError:
        ratio = -1.0
    if sampler != "traceidratio" or not 0 <= ratio <= 1:
        raise UsageError(
            f"OTEL_TRACES_SAMPLER is {sampler!r} with {said!r}", hint="it is always_on, always_off, or traceidratio with 0 to 1"
        )
    return ratio


def is_sampled(trace_id: bytes, ratio: float) -> bool:
    """Whether a trace is sent: its last eight bytes, as a number, are below the ratio of all (as TraceIdRatioBased has it)."""
    return ratio >= 1 or int.from_bytes(trace_id[8:], "big") < int(ratio * (1 << 64))


class Sender:
    """Sends bodies to one endpoint, over one connection as long as it lasts. For one thread."""

    def __init__(self, endpoint: Endpoint):
        self._endpoint = endpoint
        self._parts = urlsplit(endpoint.url)
        self._connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes) -> int | None:
        """Send one body; the status of the answer, None where there is none."""
        endpoint = self._endpoint
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": "holdfast-otlp", **endpoint.headers}
        if endpoint.gzip:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        fresh = self._connection is None
        try:
            return self._post(path, body, headers)
        except (OSError, http.client.HTTPException):
            self.close()
            if fresh:
                return None
        # A connection that was kept may have been closed by the other side meanwhile.
        try:
            return self._post(path, body, headers)
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        # What it says is not looked at, and must not be endless.
        answer.read(65_536)
        if answer.will_close or not answer.isclosed():
            self.close()
        return answer.status

    def _connect(self) -> http.client.HTTPConnection:
        host, port, seconds = self._parts.hostname or "", self._parts.port, self._endpoint.timeout_seconds
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=seconds)
        context = ssl.create_default_context(cafile=self._endpoint.certificate or None)
        if self._endpoint.client_certificate:
            context.load_cert_chain(self._endpoint.client_certificate, self._endpoint.client_key or None)
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
