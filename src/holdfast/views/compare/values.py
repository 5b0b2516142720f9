"""What differs between two JSON values: only that, each with its path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from holdfast.core.values import DEPTH_MAX
from holdfast.views.compare.records import Change
from holdfast.views.words import VALUE_MAX

# Of one part of one step; the rest is counted.
CHANGES_MAX = 50
# What is counted beyond them.
COUNT_MAX = 10_000
# So much of what is still the same stands before the first character that differs.
LEAD = 40
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class _Absent:
    """In place of a value that one side does not have."""


ABSENT = _Absent()


def changes(part: str, before: Any, after: Any) -> tuple[Change, ...]:
    """Where two values of JSON differ; empty where they are the same. A list that grew or shrank is compared from both its ends,
    so that an item put in is one change. More than CHANGES_MAX differences are counted, and not listed."""
    if _same(before, after):
        return ()
    found = _walk(before, after, "", 0)
    listed = [_change(part, path, one, other) for path, one, other in islice(found, CHANGES_MAX)]
    more = sum(1 for _ in islice(found, COUNT_MAX))
    return (*listed, Change(part=part, kind="more", more=more)) if more else tuple(listed)


def _walk(before: Any, after: Any, path: str, depth: int) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and (before or after) and depth < DEPTH_MAX:
        for name in dict.fromkeys((*before, *after)):
            one, other = before.get(name, ABSENT), after.get(name, ABSENT)
            if not _same(one, other):
                yield from _walk(one, other, _key(path, str(name)), depth + 1)
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple) and (before or after) and depth < DEPTH_MAX:
        yield from _lists(before, after, path, depth)
    else:
        yield path, before, after


def _lists(before: Any, after: Any, path: str, depth: int) -> Iterator[tuple[str, Any, Any]]:
    """The items between the same beginning and the same end, one by one."""
    shorter, start = min(len(before), len(after)), 0
    while start < shorter and _same(before[start], after[start]):
        start += 1
    end = 0
    while len(before) != len(after) and end < shorter - start and _same(before[-1 - end], after[-1 - end]):
        end += 1
    old, new = len(before) - end, len(after) - end
    for at in range(start, max(old, new)):
        one = before[at] if at < old else ABSENT
        other = after[at] if at < new else ABSENT
        if not _same(one, other):
            yield from _walk(one, other, f"{path}[{at}]", depth + 1)


def _key(path: str, name: str) -> str:
    if not _PLAIN.fullmatch(name):
        return f"{path}[{msgspec.json.encode(name[:VALUE_MAX]).decode()}]"
    return f"{path}.{name}" if path else name


def _same(one: Any, other: Any) -> bool:
    """As JSON: 1 is not true."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    if isinstance(one, dict | list | tuple):
        return one is other or (one == other and _encoded(one) == _encoded(other))
    return bool(one == other)


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _change(part: str, path: str, before: Any, after: Any) -> Change:
    if before is ABSENT:
        value, characters = _shown(after, 0)
        return Change(part=part, path=path, kind="added", after=value, after_characters=characters)
    if after is ABSENT:
        value, characters = _shown(before, 0)
        return Change(part=part, path=path, kind="left_out", before=value, before_characters=characters)
    begins = _differ_from(before, after)
    old, old_characters = _shown(before, begins)
    new, new_characters = _shown(after, begins)
    return Change(
        part=part, path=path, before=old, after=new, before_characters=old_characters, after_characters=new_characters,
    )  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shown(value: Any, begins: int) -> tuple[Any, int]:
    """A value, and 0; of a long one its part around where it begins to differ, and how long it is."""
    text = _text(value)
    if len(text) <= VALUE_MAX:
        return value, 0
    first = max(begins - LEAD, 0)
    part = text[first : first + VALUE_MAX]
    return f"{'…' if first else ''}{part}{'…' if first + VALUE_MAX < len(text) else ''}", len(text)


def _differ_from(before: Any, after: Any) -> int:
    """The first character in which two values differ."""
    one, other = _text(before), _text(after)
    if len(one) <= VALUE_MAX and len(other) <= VALUE_MAX:
        return 0
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
