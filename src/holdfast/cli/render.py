"""What a terminal is sent. Text from tools, models and plans is foreign: it is made harmless here, and nowhere else.

Results go to stdout, everything else to stderr. rich is imported where something is drawn, and only there: the help page
must not pay for it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

# Escape sequences with their payload (ECMA-48: CSI, OSC and the other strings, the short ones), seven and eight bit.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
# What would steer a terminal or reorder a line: C0 and C1, bidi controls, line separators, tags, half characters.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]")


def clean(text: str) -> str:
    """Foreign text with everything taken out that would steer a terminal; line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _STEERING.sub("", _SEQUENCE.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """Foreign text in one line."""
    return " ".join(clean(text).split("\n")).replace("\t", " ").strip()


def as_json(value: Any) -> str:
    """One line of JSON in which nothing steers a terminal: such characters stand as escapes, so nothing is lost."""
    text = msgspec.json.encode(value).decode()
    return _STEERING.sub(lambda found: "".join(f"\\u{ord(ch):04x}" if ord(ch) < 0x10000 else _pair(ch) for ch in found[0]), text)


def _pair(character: str) -> str:
    high, low = divmod(ord(character) - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def say(text: str) -> None:
    """One line of progress or advice."""
    print(one_line(text), file=sys.stderr, flush=True)


def result(text: str) -> None:
    """A line of what was asked for."""
    print(clean(text), flush=True)


def records(values: Iterable[Any]) -> None:
    """One JSON object a line."""
    for value in values:
        print(as_json(value), flush=True)


def console() -> Console:
    """Where tables and trees are drawn; without colour, and as wide as needed, when it is no terminal."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() else 200
    return Console(highlight=False, emoji=False, markup=False, width=wide, soft_wrap=not sys.stdout.isatty())


def moment(at: float) -> str:
    """A time as people and scripts read it, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
