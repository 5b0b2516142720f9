"""How wide words are, and words that fit. No font is at hand here, so each character counts as wide as it is in the widest
of those that a reader may have (DejaVu Sans); what is measured so never turns out wider."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/\\ -`\"")
_WIDE = frozenset("mwMW@%…—")
# What XML has not, what steers a terminal or reorders a line, and halves of characters.
_OUT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def plain(text: str, most: int = 4000) -> str:
    """Foreign text in one line, without what is no text."""
    if len(text) > most:
        text = f"{text[:most]}… ({len(text)} characters in all)"
    if text.isascii() and text.isprintable():
        return text
    return " ".join(_OUT.sub(" ", text).split())


@lru_cache(maxsize=4096)
def _em(character: str) -> float:
    if character in _NARROW:
        return 0.47
    if character in _WIDE:
        return 1.02
    if character.isascii():
        return 0.8 if character.isupper() else 0.66
    if unicodedata.combining(character):
        return 0.0
    return 1.4 if unicodedata.east_asian_width(character) in "WF" or ord(character) > 0x2FFF else 0.9


def width(text: str, size: float) -> float:
    """At least as wide as the text is drawn, in points. size: of its letters."""
    return sum(map(_em, text)) * size


def fitted(text: str, size: float, room: float) -> str:
    """The text, or its beginning with a mark that there is more; empty where not even that fits."""
    if width(text, size) <= room:
        return text
    room -= _em("…") * size
    used, end = 0.0, 0
    while end < len(text) and (used := used + _em(text[end]) * size) <= room:
        end += 1
    return f"{text[:end].rstrip()}…" if end >= 2 else ""
