"""Telemetry beside a run: it may be slow, wrong, or alone, and the run does not know."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Holdfast, Plan, Step, UsageError, tool
from holdfast.core import events as e
from holdfast.runner.observing import Committed
from holdfast.telemetry import Telemetry, from_settings, names, read, watching
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.logs import write_to
from holdfast.telemetry.observer import STRETCH
from holdfast.telemetry.records import Span
from tests.gate import until
from tests.telemetry.kit import heard, plain, receiving

STEPS = 5


@tool(safety="idempotent")
def work(n: int) -> str:
    """Work."""
    return "canary-7f3a"


# The first two at once, then one after the other: some of their commits are plain.
AGENT = Agent(
    "clerk",
    tools=[work],
    plan=Plan(
        steps=tuple(Step(id=f"s{n}", tool="work", args={"n": n}, after=(f"s{n - 1}",) if n > 1 else ()) for n in range(STEPS))
    ),
)


def numbers(telemetry: Telemetry) -> dict[str, dict[tuple[str, ...], float]]:
    """Counters and gauges."""
    return {series.metric.name: dict(series.numbers()) for series in telemetry.series()}


async def seen_through(path: Path, telemetry: Any, id: str = "r") -> list[str]:
    """Run it, and say what became of it."""
    async with Holdfast(path, observers=[telemetry]) as app:
        run = await app.run(AGENT, id=id)
        return [run.status, *(type(entry.event).__name__ for entry in await app.history(id))]


class Kept:
    """An exporter that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Span] = []
        self.closed = False

    def spans(self, found: list[Span]) -> None:
        """See `Exporter`."""
        self.got += found

    def close(self, seconds: float) -> None:
        """See `Exporter`."""
        self.closed = True


async def test_what_is_committed_is_counted_exported_and_logged(tmp_path: Path) -> None:
    """By one observer, in its own thread."""
    kept = Kept()
    log = (tmp_path / "log").open("w")
    end = write_to(log, form="json", level="debug")
    try:
        with Telemetry(kept) as telemetry:
            await seen_through(tmp_path / "s.db", telemetry)
    finally:
        end()
        log.close()
    assert len([span for span in kept.got if span.name == "execute_tool work"]) == STEPS and kept.closed
    assert numbers(telemetry)[names.ATTEMPTS] == {("work", "ok", ""): STEPS}
    written = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert sum(line["event"] == "call_succeeded" for line in written) == STEPS
    assert numbers(telemetry)[names.DROPPED] == {}


async def test_content_is_in_no_byte_that_leaves_unless_it_was_asked_for(tmp_path: Path) -> None:
    """Results and the goal: spans, metrics and log lines."""
    for content in (False, True):
        with receiving() as receiver:
            log = (tmp_path / f"log-{content}").open("w")
            end = write_to(log, form="text", level="info" if content else "debug")
            settings = {**receiver.environment, "HOLDFAST_TELEMETRY_CONTENT": str(content)}
            with from_settings(settings, version="1") as telemetry:
                async with Holdfast(tmp_path / f"{content}.db", observers=[telemetry]) as app:
                    await app.run(AGENT, "say canary-7f3a", id="r", labels={"canary-7f3a": "canary-7f3a"})
            end()
            log.close()
            said = b"".join(body for _, _, body in receiver.bodies) + (tmp_path / f"log-{content}").read_bytes()
            said += str(telemetry.series()).encode()
        assert (b"canary" in said) is content and len(receiver.spans()) == STEPS + 2
        results = [span for span in receiver.spans() if names.TOOL_CALL_RESULT in plain(span.attributes)]
        assert len(results) == (STEPS if content else 0)


async def test_a_run_ends_as_without_where_nobody_takes_its_spans(tmp_path: Path) -> None:
    """A receiver that is down, one that never answers, and one that says no."""
    without = await seen_through(tmp_path / "without.db", _Silent())
    with receiving() as receiver:
        receiver.status = 500
        for name, url in (("down", "http://127.0.0.1:1"), ("no", receiver.url)):
            telemetry = from_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "1"}, version="1")
            assert await seen_through(tmp_path / f"{name}.db", telemetry) == without
            begun = time.monotonic()
            telemetry.close(0.3)
            assert time.monotonic() - begun < 2
            assert numbers(telemetry)[names.EXPORT_FAILURES][("spans",)] >= 1


class _Silent:
    def committed(self, commit: Committed) -> None:
        """Hear nothing."""


async def test_an_exporter_that_raises_gets_nothing_more_and_the_others_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once."""

    class Raises(Kept):
        def spans(self, found: list[Span]) -> None:
            raise RuntimeError("broken")

        def close(self, seconds: float) -> None:
            raise RuntimeError("broken too")

    raises, kept = Raises(), Kept()
    with Telemetry(raises, kept) as telemetry:
        await seen_through(tmp_path / "s.db", telemetry)
        assert telemetry.flush()
        await seen_through(tmp_path / "s.db", telemetry, "r2")
    assert len([span for span in kept.got if span.name == "execute_tool work"]) == 2 * STEPS
    assert len([record for record in caplog.records if "gets no more spans" in record.message]) == 1


async def test_a_commit_that_cannot_be_counted_does_not_end_the_counting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours, or a shape of a later release."""
    found = await heard(tmp_path / "s.db", AGENT)
    with Telemetry(Kept()) as telemetry:
        telemetry.committed("no commit")  # type: ignore[arg-type]
        for commit in found.commits:
            telemetry.committed(commit)
    assert numbers(telemetry)[names.ATTEMPTS] == {("work", "ok", ""): STEPS}
    assert any(record.levelno == logging.ERROR for record in caplog.records)


async def test_an_observer_that_raises_is_dropped_and_the_run_goes_on(tmp_path: Path) -> None:
    """Whoever it is."""

    class Raises:
        heard = 0

        def committed(self, commit: Committed) -> None:
            self.heard += 1
            raise RuntimeError("broken")

    raises = Raises()
    assert (await seen_through(tmp_path / "s.db", raises))[0] == "completed" and raises.heard == 1


async def test_what_there_is_no_room_for_is_dropped_and_counted(tmp_path: Path) -> None:
    """A commit costs the loop no time, however slow an exporter is."""
    found = await heard(tmp_path / "s.db", AGENT)
    commit = next(commit for commit in found.commits if any(isinstance(event, e.CallSucceeded) for event in commit.events))
    go, reached = threading.Event(), threading.Event()

    class Slow(Kept):
        def spans(self, found: list[Span]) -> None:
            reached.set()
            go.wait(20)

    telemetry = Telemetry(Slow(), queue_max=10)
    telemetry.committed(commit)
    assert await asyncio.to_thread(reached.wait, 10)
    begun = time.perf_counter()
    for _ in range(10_000):
        telemetry.committed(commit)
    assert time.perf_counter() - begun < 1
    go.set()
    telemetry.close()
    assert numbers(telemetry)[names.DROPPED] == {("commits",): 9_990}
    assert numbers(telemetry)[names.COMMITS] == {("clerk",): 11}
    telemetry.committed(commit)
    assert STRETCH < 10_000


async def test_nothing_runs_before_something_is_committed() -> None:
    """And there is nothing to close then."""
    before = threading.active_count()
    telemetry = Telemetry()
    assert threading.active_count() == before and telemetry.flush()
    telemetry.close()


async def test_the_gauges_are_as_the_store_is(tmp_path: Path) -> None:
    """Read beside the work, never by whoever scrapes."""

    @tool(safety="irreversible")
    def pay() -> str:
        """Asks first."""
        return "paid"

    counts = Counts(ALL)
    asking = Agent("payer", tools=[pay], plan=Plan(steps=(Step(id="p", tool="pay"),)))
    async with Holdfast(tmp_path / "s.db") as app:
        await app.run(AGENT, id="r")
        await app.run(asking, id="q")
        now = time.time()
        await read(app.journal, counts, now + 60)
        gauges = {series.metric.name: dict(series.numbers()) for series in counts.snapshot()}
        assert (
            gauges[names.RUNS][("completed",)] == 1
            and gauges[names.RUNS][("blocked",)] == 1
            and gauges[names.RUNS][("failed",)] == 0
        )
        assert 59 < gauges[names.OLDEST_INTERRUPT][()] < 70 and gauges[names.OLDEST_PENDING] == {(): 0.0}
        assert gauges[names.STORE_BYTES][()] > 1000 and gauges[names.STORE_READ_AT] == {(): now + 60}
        [((rule, policy, outcome), number)] = [item for item in gauges[names.RULINGS].items() if item[1]]
        assert (outcome, number) == ("asked", 1) and rule
        await app.answer("q", "reject", by="ann")
        await app.run(asking, id="q")
        await read(app.journal, counts, now + 60)
        gauges = {series.metric.name: dict(series.numbers()) for series in counts.snapshot()}
        assert gauges[names.OVERRIDE_RATE] == {(rule, policy): 1.0}
        seen: list[float] = []

        async def wrong(journal: Any, counts: Counts, now: float) -> None:
            seen.append(now)
            raise RuntimeError("wrong")

        fresh = Counts(ALL)
        async with watching(app.journal, fresh, time.time, interval_seconds=0.001, readers=(wrong,)):
            await until(lambda: len(seen) >= 2)
        assert any(series.metric.name == names.RUNS and series.points for series in fresh.snapshot())


async def test_spans_go_through_an_exporter_of_the_sdk(tmp_path: Path) -> None:
    """As the SDK's own spans, with our ids and times."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    with from_settings({"OTEL_SERVICE_NAME": "shop"}, version="1", exporter=exporter, logs=False) as telemetry:
        found = await heard(tmp_path / "s.db", AGENT)
        for commit in found.commits:
            telemetry.committed(commit)
    ours = {span.span_id.hex(): span for span in found.spans()}
    theirs = exporter.get_finished_spans()
    assert len(theirs) == len(ours) == STEPS + 2
    for span in theirs:
        own = ours[f"{span.context.span_id:016x}"]
        assert (span.name, f"{span.context.trace_id:032x}", span.resource.attributes["service.name"]) == (
            own.name,
            own.trace_id.hex(),
            "shop",
        )
        assert json.loads(span.to_json())["attributes"]["holdfast.run.id"] == "r"
    assert numbers(telemetry)[names.EXPORTED] == {("spans",): STEPS + 2}


def test_settings_that_cannot_be_are_refused() -> None:
    """And the SDK's switch turns everything off."""
    with pytest.raises(UsageError, match="otlp or none"):
        from_settings({}, version="1", target="jaeger")  # type: ignore[arg-type]
    with from_settings({"OTEL_SDK_DISABLED": "true"}, version="1") as telemetry:
        assert telemetry._exporters == []
    assert os.environ.get("OTEL_SDK_DISABLED") is None
