"""Foreign words and values in Markdown (CommonMark), as a part of a line.

What models, tools and people wrote stands on one line, with its marks escaped, or as code; so nothing of it becomes a heading, a
link, a table, an image or HTML. Whoever writes a page sees to it that it never stands at the beginning of a line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from holdfast.views.words import cut

WORDS_MAX = 500
# What means something in Markdown inside of a line, and what makes an address of it. An underscore within a word does not.
_MARKS = re.compile(r"[\\`*\[\]<>|~&]|:(?=//)|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
_FENCE = re.compile("`+")
# Control characters, half ones, what reorders a line, and the separators of lines.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def text(words: str, most: int = WORDS_MAX) -> str:
    """Foreign words, cut, with their marks escaped."""
    return escaped(cut(flat(words), most))


def escaped(words: str) -> str:
    """Foreign words that were cut before, with their marks escaped."""
    return _MARKS.sub(r"\\\g<0>", flat(words))


def code(words: str) -> str:
    """Foreign words as code, in a fence that none of them closes."""
    shown = flat(words) or " "
    fence = "`" * (max((len(found) for found in _FENCE.findall(shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def value(found: Any, most: int | None = WORDS_MAX) -> str:
    """A value as JSON, as code. most: None where it is to be judged, and so never cut."""
    written = msgspec.json.encode(found).decode()
    return code(written if most is None else cut(written, most))


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a table. headers, rows: as they are to stand there."""
    names = list(headers)
    yield f"| {' | '.join(names)} |"
    yield f"| {' | '.join('---' for _ in names)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def flat(words: str) -> str:
    """On one line, without anything that steers a terminal or a reader's eye."""
    return " ".join("".join(" " if unicodedata.category(one) in _STEERING else one for one in words).split())
