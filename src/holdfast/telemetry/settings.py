"""Telemetry by settings: what the command line and the environment ask for, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from holdfast.errors import UsageError
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.exporting import Exporter, OtlpExporter
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.observer import Telemetry
from holdfast.telemetry.otlp import from_environment

Target = Literal["otlp", "none"]
# The names by which content is opted in: ours, and that of OpenTelemetry's own instrumentations.
CONTENT = ("HOLDFAST_TELEMETRY_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
_YES = frozenset({"1", "true", "yes", "on", "span_only", "event_only", "span_and_event"})


def from_settings(
    environment: Mapping[str, str],
    *,
    version: str,
    target: Target = "otlp",
    exporter: Any = None,
    logs: bool = True,
    content: bool | None = None,
) -> Telemetry:
    """Telemetry that sends to `target`, as the standard environment says (see `otlp`). exporter: a SpanExporter of the
    OpenTelemetry SDK that gets the spans instead. content: None leaves that to the environment too. UsageError for settings
    that cannot be."""
    wanted = environment.get(CONTENT[0]) or environment.get(CONTENT[1]) or ""
    tells = content if content is not None else wanted.strip().lower() in _YES
    counts = Counts(ALL)
    exporters: list[Exporter] = []
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if target not in ("otlp", "none"):
        raise UsageError(f"--telemetry {target!r}", hint="it is otlp or none")
    otlp = from_environment(environment, version) if (target == "otlp" or exporter is not None) and not disabled else None
    if otlp is not None and exporter is not None:
        from holdfast.telemetry.sdk import SdkExporter

        sdk = SdkExporter(exporter, counts, otlp.resource, version=version, spans_max=otlp.spans_max, ratio=otlp.ratio)
        exporters.append(sdk)
    elif otlp is not None:
        exporters.append(OtlpExporter(otlp, counts, version))
    return Telemetry(*exporters, counts=counts, logs=logs, content=tells)
