"""Foreign words as they may be written down and shown: valid, without control characters, of bounded length."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from holdfast.core.values import REDACTED

# What no text needs, and what stores and terminals stumble over. Tabs and ends of lines stay.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_CUT_MARK = "…"


def clean(text: Any, most: int) -> str:
    """A text that can be written as JSON and read by people; one that is longer is cut, and says so."""
    if not isinstance(text, str):
        text = "" if text is None else str(type(text).__name__)
    length = len(text)
    found = _CONTROL.sub("\ufffd", text[:most].encode("utf-8", "replace").decode())
    return found if length <= most else f"{found}{_CUT_MARK} (cut: it had {length} characters)"


def line(text: str, most: int) -> str:
    """A text on one line, cut to so many characters."""
    found = " ".join(_CONTROL.sub("\ufffd", text[: most * 2].encode("utf-8", "replace").decode()).split())
    return found if len(found) <= most and len(text) <= most * 2 else found[:most] + _CUT_MARK


def written(value: Any) -> str:
    """A plain JSON value as text, on one line."""
    return msgspec.json.encode(value).decode()


def brief(value: Any, most: int) -> str:
    """A plain JSON value as text, cut to so many characters."""
    # What is far too long is not written whole only to be cut.
    if isinstance(value, str) and len(value) > most:
        value = value[:most] + _CUT_MARK
    found = written(value)
    return found if len(found) <= most else found[:most] + _CUT_MARK


def beginning(text: str, most: int) -> str:
    """The first so many bytes of a text, whole characters only."""
    return text.encode()[:most].decode("utf-8", "ignore")


def shrunk(value: Any, most: int) -> Any:
    """A plain JSON value in about so many bytes: long texts are cut, then whole parts are left away."""
    if len(msgspec.json.encode(value)) <= most:
        return value
    if isinstance(value, str):
        return beginning(value, max(most - 8, 0)) + _CUT_MARK
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        share = max(most // max(len(value), 1) - 8, 0)
        for name, part in value.items():
            if most < len(name) + 16:
                kept[_CUT_MARK] = f"{len(value) - len(kept)} more"
                break
            kept[name] = shrunk(part, max(share - len(name), 8))
            most -= len(msgspec.json.encode({name: kept[name]}))
        return kept
    if isinstance(value, list):
        return [f"{_CUT_MARK} {len(value)} items"]
    return value


def redacted(value: Any, names: frozenset[str]) -> Any:
    """A plain JSON value without what is never written down, by its name."""
    if isinstance(value, dict):
        return {key: REDACTED if key in names else redacted(part, names) for key, part in value.items()}
    return [redacted(part, names) for part in value] if isinstance(value, list) else value


def shown_number(value: float) -> str:
    """A number as people write it."""
    return f"{value:g}"
