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
_ENTRY_BYTES = 32


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
    """All entries that have room: the small ones whole, the large ones with an equal share of what is left to them."""
    left = room - 2
    if left < 0:
        return _GONE
    # Where there are so many that none would have room beside the others, the first ones have it.
    names = list(value)[: room // _ENTRY_BYTES] if len(value) > room // _ENTRY_BYTES else list(value)
    sizes = {name: len(_encode(value[name])) for name in names}
    kept: dict[str, Any] = {}
    waiting = len(sizes)
    for name in sorted(sizes, key=lambda name: sizes[name] + len(name)):
        overhead = len(_encode(name)) + 2
        share = left // waiting - overhead
        waiting -= 1
        part = value[name] if sizes[name] <= share else _fitted(value[name], share) if share > 0 else _GONE
        if part is not _GONE:
            kept[name] = part
            left -= overhead + (sizes[name] if part is value[name] else len(_encode(part)))
    return {name: kept[name] for name in names if name in kept}
