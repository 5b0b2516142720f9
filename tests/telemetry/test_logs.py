"""Lines: a thing that happened each, with its fields; harmless, and without content unless it was asked for."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from holdfast import Agent, Conflict, Plan, Step, tool
from holdfast.core import events as e
from holdfast.telemetry import logs
from holdfast.telemetry.logs import Lines, harmless, write_to
from tests.telemetry.kit import Heard, heard

CANARY = "canary-7f3a"
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\r\n\u202efake \u2028 line\x9b1m\ud800"


@tool(safety="idempotent", retry=1)
def refuse(what: str) -> str:
    """Say no."""
    raise Conflict(f"no {what} {HOSTILE}")


@tool(safety="read")
def look(what: str) -> str:
    """Look."""
    return what


AGENT = Agent(
    "clerk",
    tools=[look, refuse],
    plan=Plan(
        steps=(
            Step(id="a", tool="look", args={"what": CANARY}),
            Step(id="b", tool="refuse", args={"what": CANARY}, after=("a",), on_failure="flag"),
        )
    ),
)


@pytest.fixture
def stream() -> io.StringIO:
    """Where lines go."""
    return io.StringIO()


def lines(
    found: Heard, stream: io.StringIO, *, content: bool = False, form: logs.Format = "json", level: str = "debug"
) -> list[str]:
    """The lines of what was heard."""
    end = write_to(stream, form=form, level=level)
    try:
        writer = Lines(content=content)
        assert writer.level == getattr(logging, level.upper())
        for commit in found.commits:
            writer.write(commit)
    finally:
        end()
    return stream.getvalue().splitlines()


async def test_each_line_says_what_of_which_run_step_and_attempt(tmp_path: Path, stream: io.StringIO) -> None:
    """One JSON object each, in the order in which it happened, with the time of the journal."""
    found = await heard(tmp_path / "s.db", AGENT, goal=CANARY)
    read = [json.loads(line) for line in lines(found, stream)]
    assert [line["event"] for line in read] == [str(type(x).__struct_config__.tag) for c in found.commits for x in c.events]
    [failed] = [line for line in read if line["event"] == "call_failed"]
    assert {key: failed[key] for key in ("level", "logger", "run", "step", "attempt", "tool", "error", "agent")} == {
        "level": "warning", "logger": "holdfast.runs", "run": "r", "step": "b", "attempt": 1, "tool": "refuse", "error": "conflict",
        "agent": "clerk",
    }  # fmt: skip
    assert (
        failed["time"].endswith("Z")
        and failed["time"] == sorted(line["time"] for line in read if line["event"] == "call_failed")[0]
    )
    assert [line["time"] for line in read] == sorted(line["time"] for line in read)


async def test_what_went_as_it_should_is_for_whoever_looks_for_it(tmp_path: Path, stream: io.StringIO) -> None:
    """A call that succeeded is a line at debug; one that failed is a warning."""
    found = await heard(tmp_path / "s.db", AGENT)
    told = [json.loads(line)["event"] for line in lines(found, stream, level="info")]
    assert "call_succeeded" not in told and "call_intended" not in told
    assert {"plan_adopted", "call_failed", "step_skipped", "run_completed"} <= set(told)
    assert [json.loads(line)["event"] for line in lines(found, io.StringIO(), level="warning")] == ["call_failed"]


async def test_content_is_written_only_where_it_was_asked_for(tmp_path: Path, stream: io.StringIO) -> None:
    """Then it is harmless, and cut."""
    found = await heard(tmp_path / "s.db", AGENT, goal=CANARY, labels={"x": CANARY})
    for form in ("json", "text"):
        assert CANARY not in "\n".join(lines(found, io.StringIO(), form=form))
    written = lines(found, stream, content=True)
    assert any(CANARY in line for line in written)
    [failed] = [json.loads(line) for line in written if "call_failed" in line]
    assert failed["message"].startswith(f"no {CANARY}") and failed["message"].isprintable()


@pytest.mark.parametrize("form", ["json", "text"])
async def test_no_line_has_what_steers_a_terminal(tmp_path: Path, stream: io.StringIO, form: logs.Format) -> None:
    """Nor can it look like two."""
    found = await heard(tmp_path / "s.db", AGENT)
    written = lines(found, stream, content=True, form=form)
    assert len(written) == sum(len(commit.events) for commit in found.commits)
    assert all(line.isprintable() for line in written)


@pytest.mark.parametrize("text", [HOSTILE, "x" * 10_000, "a\tb", "", "ü", "\x1b[31m" * 1000])
def test_harmless_text_is_one_printable_line_of_bounded_length(text: str) -> None:
    """Whatever it was."""
    assert harmless(text).isprintable() and len(harmless(text)) <= logs.FIELD_CHARACTERS_MAX + 10


def test_other_records_of_holdfast_go_the_same_way(stream: io.StringIO) -> None:
    """With their message; what raised stands below."""
    end = write_to(stream, form="json")
    try:
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("holdfast").exception("could not %s", HOSTILE)
    finally:
        end()
    [line] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert line["message"].startswith("could not") and line["message"].isprintable() and "ValueError: broken" in line["exception"]
    text = io.StringIO()
    end = write_to(text, form="text")
    logging.getLogger("holdfast").warning("careful")
    end()
    assert text.getvalue().endswith("warning holdfast: careful\n")


def test_who_listens_no_more_leaves_the_logger_as_it_was(stream: io.StringIO) -> None:
    """Level, handlers and all."""
    logger = logging.getLogger("holdfast")
    before = (logger.level, logger.propagate, list(logger.handlers))
    write_to(stream)()
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_every_event_has_a_level_and_no_field_that_is_content() -> None:
    """What a new event says is not logged before somebody has called it safe."""
    assert not logs.SAFE & logs.TOLD
    for kind in e.AnyEvent.__args__:
        assert logs._LEVELS[kind] in (logging.DEBUG, logging.INFO, logging.WARNING)
        for name in (
            "args",
            "value",
            "goal",
            "said",
            "text",
            "question",
            "reason",
            "message",
            "note",
            "by",
            "facts",
            "plan",
            "result",
            "why",
        ):
            assert name not in logs._FIELDS[kind]
