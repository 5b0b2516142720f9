"""A notice in plain words. All of it comes from `Notice.body`, which has no secrets.

Questions, goals, arguments and names are foreign: models and tools wrote them. They stand in one line, or indented, so that
nothing in them can pass for our own words; what steers a terminal or reorders a line is left out, and what is long is cut.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from datetime import UTC, datetime
from typing import Any

import msgspec

from holdfast.journal.people import Notice, NoticeKind

SUBJECT_MAX, LINE_MAX, BLOCK_MAX = 160, 400, 4000
# The years 1 to 9999, which is what a date can hold.
_FIRST, _LAST = -62_135_596_800.0, 253_402_300_799.0
# Controls, formats (bidi, zero width, tags), half characters, what is not assigned to anybody, separators of lines.
_UNFIT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_HEADS: dict[NoticeKind, str] = {
    "asked": "{run} asks: {question}",
    "reminded": "{run} still asks: {question}",
    "escalated": "{run} asks you now: {question}",
    "handed_off": "{run} is to be taken over: {question}",
    "expired": "{run}: nobody answered in time: {question}",
    "withdrawn": "{run} does not ask any more: {question}",
    "failed": "{run} failed: {reason}",
    "cancelled": "{run} was cancelled: {reason}",
    "flagged": "{run} completed, and somebody should look: {reason}",
    "found": "{run}: a monitor found: {reason}",
}
# Values of the body that are shown as they are, in this order, with what stands in front of them.
_LINES = (
    ("reason", "why"),
    ("monitor", "monitor"),
    ("tool", "tool"),
    ("step", "step"),
    ("amount", "amount"),
    ("rule", "asked by"),
    ("policy", "policy"),
    ("people", "people who must approve"),
    ("by", "by"),
    ("flagged", "to look at"),
    ("skipped", "skipped"),
    ("partial", "done in part"),
    ("unknown", "nobody knows of"),
    ("undone", "taken back"),
    ("kept", "stays done"),
    ("labels", "labels"),
)


def one_line(text: str, most: int = LINE_MAX) -> str:
    """Foreign text in one line of bounded length, without what steers or reorders it."""
    kept = (" " if character.isspace() else character for character in text[: 8 * most])
    line = " ".join("".join(one for one in kept if one == " " or unicodedata.category(one) not in _UNFIT).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def subject(notice: Notice) -> str:
    """One line, up to SUBJECT_MAX characters: `[holdfast] order-7 asks: may refund be called? (812.50)`."""
    amount = notice.body.get("amount")
    tail = f" ({amount:,.2f})" if notice.interrupt and isinstance(amount, (int, float)) else ""
    words = {name: one_line(str(notice.body.get(name) or "")) for name in ("question", "reason")}
    head = _HEADS[notice.what].format(run=one_line(notice.run_id, 80), **words).strip(": ")
    return f"[holdfast] {one_line(head, SUBJECT_MAX - len(tail) - 11)}{tail}"


def text(notice: Notice) -> str:
    """What is asked or what happened, on what, until when and what happens then, and the commands that answer it."""
    body = notice.body
    parts = [_opening(notice), _block("", body.get("question")), _facts(notice), _arguments(body.get("args"))]
    if notice.what not in ("expired", "withdrawn"):
        parts += [_deadline(body), _answers(notice)]
    parts += [_block("The goal of the run:", body.get("goal")), _ends(notice)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(notice: Notice) -> str:
    run = one_line(notice.run_id)
    agent = f" (agent {one_line(notice.agent)})" if notice.agent else ""
    tenant = f" for {one_line(notice.tenant)}" if notice.tenant else ""
    whose = f"Run {run}{agent}{tenant}" if run else ""
    return _HEADS[notice.what].format(run=whose, question="", reason="").strip(": ") + (":" if notice.interrupt else ".")


def _facts(notice: Notice) -> str:
    rows = [(label, _value(notice.body.get(name))) for name, label in _LINES]
    rows = [(label, value) for label, value in rows if value]
    width = max((len(label) for label, _ in rows), default=0)
    return "\n".join(f"  {label.ljust(width)}  {value}" for label, value in rows)


def _value(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
        return one_line(", ".join(value))
    if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return one_line(", ".join(f"{name}: {one}" for name, one in value.items()))
    return one_line(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _arguments(args: Any) -> str:
    if not isinstance(args, dict) or not args:
        return ""
    rows = [f"  {one_line(str(name), 80)} = {one_line(msgspec.json.encode(value).decode())}" for name, value in args.items()]
    return "\n".join(["With these arguments:", *rows])


def _deadline(body: dict[str, Any]) -> str:
    until = body.get("expires_at")
    words = one_line(str(body.get("deadline") or ""), 2 * LINE_MAX)
    return "\n".join(filter(None, (f"Until {moment(until)}." if isinstance(until, (int, float)) else "", words)))


def _answers(notice: Notice) -> str:
    options = notice.body.get("options")
    if not isinstance(options, (list, tuple)) or not options or not _fits_a_command(notice):
        return ""
    rows = [
        (_command("answer", notice.run_id, notice.interrupt, str(one.get("decision"))), one_line(str(one.get("means"))))
        for one in options
    ]
    width = max(len(command) for command, _ in rows)
    return "\n".join(["To answer:", *(f"  {command.ljust(width)}   # {means}" for command, means in rows)])


def _ends(notice: Notice) -> str:
    return f"All of it: {_command('show', notice.run_id)}" if notice.run_id and _fits_a_command(notice) else ""


def _fits_a_command(notice: Notice) -> bool:
    """Whether what is shown is what would be said: an id with something unfit in it cannot be copied out of a mail."""
    return all(one_line(word) == word for word in (notice.run_id, notice.interrupt))


def _command(*words: str) -> str:
    return shlex.join(["holdfast", *words])


def _block(head: str, value: Any) -> str:
    """Foreign text of several lines, each behind a bar."""
    if not isinstance(value, str) or not value.strip():
        return ""
    lines = [one_line(line) for line in re.split(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+", value[:BLOCK_MAX].strip())]
    return "\n".join([*([head] if head else []), *(f"  | {line}" for line in lines if line)])


def moment(at: float) -> str:
    """A time as people read it, in UTC; also one that no calendar has."""
    if not _FIRST <= at <= _LAST:
        return "the end of time"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
