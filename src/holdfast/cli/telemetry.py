"""`metrics`, and what working commands have to say about telemetry: where it goes, and what is logged."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from holdfast.cli.options import DONE, AsJson, Db, examples, in_store
from holdfast.cli.text import put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.runner.observing import Observer
    from holdfast.telemetry import Telemetry


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("metrics", epilog=EXAMPLES)(metrics)


EXAMPLES = examples(
    "holdfast metrics",
    "holdfast metrics --db /var/lib/shop/runs.db > /var/lib/node_exporter/holdfast.prom",
    "holdfast metrics --json | jq 'select(.name == \"holdfast.runs\")'",
    "holdfast work shop.agents --metrics-listen 127.0.0.1:9464   # a worker's own, with what it does",
)

Target = Annotated[
    Literal["none", "otlp"],
    typer.Option("--telemetry", help="Send spans and metrics by OTLP/HTTP, to where the OTEL_* environment says."),
]
Content = Annotated[
    bool,
    typer.Option("--telemetry-content", help="Also arguments, results, messages and models' words, in spans and in the log."),
]
LogFormat = Annotated[
    Literal["text", "json"] | None,
    typer.Option("--log-format", help="A line on stderr for each thing that happens.", show_default=False),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    typer.Option("--log-level", help="With --log-format: how much. debug has every call."),
]
Listen = Annotated[
    str | None,
    typer.Option(
        "--metrics-listen",
        metavar="HOST:PORT",
        help="Serve /metrics for Prometheus, and /healthz, while this goes on.",
        show_default=False,
    ),
]


class Watched:
    """What a working command is watched with. observers: for its app."""

    def __init__(self, telemetry: Telemetry | None):
        self._telemetry = telemetry
        self.observers: tuple[Observer, ...] = () if telemetry is None else (telemetry,)

    @asynccontextmanager
    async def gauges(self, app: Holdfast) -> AsyncIterator[None]:
        """Keep the figures that are drawn from the store, as long as this is entered."""
        if self._telemetry is None:
            yield
            return
        from holdfast.cli.given import monitor_settings
        from holdfast.runner.clock import SystemClock
        from holdfast.telemetry import Monitored, watching

        readers = (Monitored(monitor_settings()),)
        async with watching(app.journal, self._telemetry.counts, SystemClock().now, readers=readers):
            yield


@contextmanager
def watched(
    target: Literal["none", "otlp"],
    content: bool,
    log_format: Literal["text", "json"] | None,
    log_level: str,
    listen: str | None = None,
) -> Iterator[Watched]:
    """Telemetry as it was asked for on the command line; nothing of it is loaded where it was not. At the end, what is left is
    sent, for a few seconds at most."""
    if target == "none" and log_format is None and listen is None:
        yield Watched(None)
        return
    from holdfast import __version__
    from holdfast.telemetry import Listener, from_settings
    from holdfast.telemetry.listening import address, is_loopback
    from holdfast.telemetry.logs import write_to

    at = address(listen) if listen is not None else None
    with ExitStack() as stack:
        if log_format is not None:
            stack.callback(write_to(form=log_format, level=log_level))
        telemetry = stack.enter_context(
            from_settings(os.environ, version=__version__, target=target, logs=log_format is not None, content=content or None)
        )
        if at is not None:
            listener = Listener(*at, telemetry.series)
            stack.callback(listener.close)
            open_to = "" if is_loopback(at[0]) else "; whoever reaches this machine can read it"
            say(f"metrics: http://{at[0]}:{listener.server_port}/metrics{open_to}")
        yield Watched(telemetry)


def metrics(json: AsJson = False, db: Db = "holdfast.db") -> int:
    """The figures of a store, as text for Prometheus.

    Runs by status, the age of the queue and of the oldest question, what is owed, circuits, how often people overrule each
    rule. What a worker counts of its own work it serves itself: holdfast work --metrics-listen.
    """
    from holdfast.cli.given import monitor_settings
    from holdfast.runner.clock import SystemClock
    from holdfast.telemetry import Monitored, exposition, read
    from holdfast.telemetry.counts import Counts
    from holdfast.telemetry.instruments import DRAWN

    async def go(app: Holdfast) -> int:
        counts = Counts(DRAWN)
        now = SystemClock().now()
        await read(app.journal, counts, now)
        await Monitored(monitor_settings())(app.journal, counts, now)
        series = counts.snapshot()
        if json:
            put_json(
                {"name": each.metric.name, "unit": each.metric.unit, "labels": each.metric.named(labels), "value": value}
                for each in series
                for labels, value in each.numbers()
            )
        else:
            for line in exposition(series).splitlines():
                put(line)
        return DONE

    return in_store(db, go)
