"""A line for each thing that happened, through `logging`: what it was, and of which run, step and attempt.

Lines are records of the logger `holdfast.runs` (so handlers of `holdfast` get them) and carry their fields in `record.fields`.
What is logged of an event are the fields in SAFE, which are ids, names of tools and models, words of closed sets, and numbers.
What people, models and tools said is content, and stands in a line only with `content=True`. What stands there is without
anything that steers a terminal, and cut.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from typing import Any, Literal, TextIO

import msgspec

from holdfast.core import events as e
from holdfast.core.forks import is_simulated
from holdfast.runner.observing import Committed
from holdfast.views.words import moment

Format = Literal["text", "json"]
LOGGER = "holdfast.runs"
FIELD_CHARACTERS_MAX = 300

# Fields of events that are no content, whatever event they are of.
SAFE = frozenset({
    "about", "accepted", "action", "attempt", "crashed", "decision", "due_at", "entry", "finish", "interrupt", "kind", "limit",
    "mode", "model", "number", "phase", "probe", "revision", "row", "rung", "same_as", "seconds", "source", "step", "tool",
    "turn", "until", "verdict", "weaker", "worker",
})  # fmt: skip
# Text that says more, and only where content is wanted.
TOLD = frozenset({
    "args", "by", "goal", "message", "note", "problems", "question", "reason", "result", "said", "text", "value", "why",
})  # fmt: skip
WARNINGS = frozenset({
    e.CallFailed, e.CallUnknown, e.ModelFailed, e.ModelCallLost, e.ProposalFailed, e.RunFailed, e.StepFailed, e.InterruptExpired,
    e.LimitReached, e.CallbackRefused, e.AnswerVoided, e.WordVoided,
})  # fmt: skip
# What went as it should, is said again by what follows, or comes again and again: that is for whoever looks for it.
DETAILS = frozenset({
    e.RunResumed, e.CallSucceeded, e.CallIntended, e.ProbeIntended, e.ProposalRequested, e.RecallIntended, e.ChecksIntended,
    e.RoomRefused, e.RulingDeferred, e.PolicyRuled, e.FactsLearned, e.Reminded, e.CallHeld,
})  # fmt: skip
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind.__struct_fields__ if name in SAFE) for kind in e.AnyEvent.__args__
}
_TOLD: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind.__struct_fields__ if name in TOLD) for kind in e.AnyEvent.__args__
}
_TAGS: dict[type, str] = {kind: str(kind.__struct_config__.tag) for kind in e.AnyEvent.__args__}
_LEVELS: dict[type, int] = {
    **dict.fromkeys(e.AnyEvent.__args__, logging.INFO),
    **dict.fromkeys(WARNINGS, logging.WARNING),
    **dict.fromkeys(DETAILS, logging.DEBUG),
}

# Escape sequences with what they carry, then everything that steers a terminal or reorders a line.
_STEERING = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]"
    "|[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def harmless(text: str, most: int = FIELD_CHARACTERS_MAX) -> str:
    """Foreign text on one line, without anything that steers a terminal, and cut."""
    if not (text.isascii() and text.isprintable()):
        text = _STEERING.sub(" ", text[: most * 4])
    return text if len(text) <= most else f"{text[:most]}… (cut)"


class Lines:
    """Writes the lines of commits. For one thread."""

    def __init__(self, *, content: bool = False):
        self._content = content
        self._logger = logging.getLogger(LOGGER)

    @property
    def level(self) -> int | None:
        """From which level on somebody listens; None where nobody does at all."""
        return self._logger.getEffectiveLevel() if self._logger.hasHandlers() else None

    def write(self, commit: Committed) -> None:
        """A line for each event that is to be heard of."""
        level = self._logger.getEffectiveLevel()
        for event in commit.events:
            if _LEVELS[type(event)] >= level:
                self._write(commit, event)

    def _write(self, commit: Committed, event: e.AnyEvent) -> None:
        kind = type(event)
        fields: dict[str, Any] = {"event": _TAGS[kind], "run": commit.run_id, "agent": commit.agent, "worker": commit.worker}
        for name in _FIELDS[kind]:
            value = getattr(event, name)
            if value is not None and value != "":
                fields[name] = harmless(value) if isinstance(value, str) else value
        step = fields.get("step")
        if step and "tool" not in fields:
            known = commit.before.steps.get(step) or commit.after.steps.get(step)
            if known is not None and known.tool:
                fields["tool"] = known.tool
        failure = getattr(event, "failure", None)
        if failure is not None:
            fields["error"] = failure.kind
        if is_simulated(commit.after):
            fields["simulated"] = True
        if self._content:
            self._tell(event, failure, fields)
        record = logging.LogRecord(LOGGER, _LEVELS[kind], "", 0, fields["event"], None, None)
        record.created, record.msecs = commit.at, (commit.at % 1) * 1000
        record.fields = fields
        self._logger.handle(record)

    def _tell(self, event: e.AnyEvent, failure: e.Failure | None, fields: dict[str, Any]) -> None:
        for name in _TOLD[type(event)]:
            value = getattr(event, name)
            if value not in (None, "", (), {}):
                fields[name] = harmless(value if isinstance(value, str) else msgspec.json.encode(value).decode())
        if failure is not None and failure.message:
            fields["message"] = harmless(failure.message)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, then the fields; of other records their message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {"time": moment(record.created), "level": record.levelname.lower(), "logger": record.name}
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= fields
        else:
            line["message"] = harmless(record.getMessage(), 4 * FIELD_CHARACTERS_MAX)
            if record.exc_info:
                line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class TextLines(logging.Formatter):
    """Time, level, what happened, then the fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        head = f"{moment(record.created)} {record.levelname.lower():<7}"
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            return f"{head} {fields['event']} " + " ".join(f"{n}={_plain(v)}" for n, v in fields.items() if n != "event")
        said = f"{head} {record.name}: {harmless(record.getMessage(), 4 * FIELD_CHARACTERS_MAX)}"
        return f"{said}\n{self.formatException(record.exc_info)}" if record.exc_info else said


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else moment(value)
    if isinstance(value, str) and value and not re.search(r'[\s="]', value):
        return value
    return msgspec.json.encode(value).decode()


def write_to(stream: TextIO | None = None, *, form: Format = "text", level: str = "info") -> Callable[[], None]:
    """Let everything that holdfast logs go to a stream, stderr where none is given; call what is returned to end that."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logger = logging.getLogger("holdfast")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False

    def end() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        handler.flush()

    return end
