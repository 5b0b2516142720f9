"""Results that are too large: what is kept of them.

What is kept has the shape of the whole, as far as it goes: texts lose their end (and say so by "…"), lists and tables lose their
last entries. What is small beside something large stays whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.encode
_GONE = object()
_MARK = "…"
# Of each value of a table so much is kept before there is room for the next one.
_LITTLE_BYTES = 16


def shortened(value: Any, bytes_max: int) -> Any:
    """As much of a plain JSON value as has room in so many bytes of JSON; None where nothing of it has."""
    kept = _fitted(value, bytes_max)
    return None if kept is _GONE else kept


def _fitted(value: Any, room: int) -> Any:
    if len(_encode(value)) <= room:
        return value
    if isinstance(value, str):
        return _text(value, room)
    if isinstance(value, list):
        return _list(value, room)
    return _table(value, room) if isinstance(value, dict) else _GONE


def _text(value: str, room: int) -> Any:
    """The beginning of a text. Its characters may take up to six bytes each, so the length is found by trying."""
    length = min(len(value), room)
    while length > 0:
        kept = value[:length] + _MARK
        size = len(_encode(kept))
        if size <= room:
            return kept
        length = min(length - 1, length * room // size)
    return "" if room >= 2 else _GONE


def _list(value: list[Any], room: int) -> Any:
    """The first items, and a part of the one after them."""
    left = room - 2
    if left < 0:
        return _GONE
    kept = []
    for item in value:
        size = len(_encode(item)) + 1
        if size > left:
            # A part of a large item is worth more than nothing; the rest of a long list of small ones is left away.
            part = _fitted(item, left - 1) if size > room // 8 and left > room // 8 else _GONE
            if part is not _GONE:
                kept.append(part)
            break
        kept.append(item)
        left -= size
    return kept


def _table(value: dict[str, Any], room: int) -> Any:
    """The first entries, as far as each can have a little room: the small ones whole, the large ones with an equal share of
    what is left to them."""
    left = room - 2
    if left < 0:
        return _GONE
    sizes = _that_fit(value, left)
    kept: dict[str, Any] = {}
    waiting = len(sizes)
    for name in sorted(sizes, key=lambda name: sum(sizes[name])):
        overhead, size = sizes[name]
        share = left // waiting - overhead
        waiting -= 1
        part = value[name] if size <= share else _fitted(value[name], share)
        if part is not _GONE:
            kept[name] = part
            left -= overhead + (size if part is value[name] else len(_encode(part)))
    return {name: kept[name] for name in sizes if name in kept}


def _that_fit(value: dict[str, Any], left: int) -> dict[str, tuple[int, int]]:
    """The bytes of name and value of the first entries of a table, as many as there is room for when each has a little."""
    sizes: dict[str, tuple[int, int]] = {}
    for name, part in value.items():
        overhead, size = len(_encode(name)) + 2, len(_encode(part))
        left -= overhead + min(size, _LITTLE_BYTES)
        if left < 0:
            break
        sizes[name] = overhead, size
    return sizes
