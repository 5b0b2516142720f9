"""What is sent to a terminal. Text from tools, models, plans and people is foreign: it is made harmless here, and nowhere else.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

# Escape sequences with what they carry (ECMA-48: CSI, OSC and the other strings, the short ones), in seven and eight bit.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
# What steers a terminal or reorders a line: C0 but tab and line end, DEL, C1, bidi controls, the separators of lines, tags,
# half characters.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """Foreign text without anything that steers a terminal; line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _STEERING.sub("", _SEQUENCE.sub("", text))


def one_line(text: str) -> str:
    """Foreign text in one line, and clean."""
    return " ".join(clean(text).split())


def as_json(value: Any) -> str:
    """One line of JSON. What would steer a terminal stands as an escape, so nothing is lost and nothing is obeyed."""
    return _STEERING.sub(_escaped, msgspec.json.encode(value).decode())


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def say(text: str) -> None:
    """One line of progress or advice, on stderr."""
    print(clean(text), file=sys.stderr, flush=True)


def put(text: str = "") -> None:
    """A line of what was asked for, on stdout."""
    print(clean(text), flush=True)


def put_json(values: Iterable[Any]) -> None:
    """One JSON object a line, on stdout."""
    for value in values:
        print(as_json(value), flush=True)
