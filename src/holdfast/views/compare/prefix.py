"""How much of two journals is the same."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.views.compare.records import Side

# What differs between any two runs: names of runs and workers, keys, and when and how fast.
_ITS_OWN = frozenset(
    ("run_id", "worker", "key", "seconds", "due_at", "until", "expires_at", "since", "seen_at", "said_at", "draw", "call",
     "digest", "child", "parent", "parent_step", "depth", "labels", "priority", "tenant")
)  # fmt: skip


def same_entries(a: Side, b: Side) -> int:
    """How many first entries of both journals say the same, whatever their times, keys and run ids."""
    return sum(1 for _ in takewhile(_says_the_same, zip(a.entries, b.entries, strict=False)))


def taken_over(a: Side, b: Side) -> int:
    """How many first entries are one record: of a fork and its source, or of two forks of one source."""
    if a.run_id == b.run_id:
        most = min(len(a.entries), len(b.entries))
    elif b.source == a.run_id:
        most = b.source_entry
    elif a.source == b.run_id:
        most = a.source_entry
    elif a.source and a.source == b.source:
        most = min(a.source_entry, b.source_entry)
    else:
        return 0
    pairs = zip(a.entries[:most], b.entries[:most], strict=False)
    return sum(1 for _ in takewhile(lambda both: both[0] is both[1] or _is_one(*both), pairs))


def _is_one(one: e.Entry, other: e.Entry) -> bool:
    """The fence may be another: who takes a record over writes it under one of its own."""
    return one.at == other.at and one.event == other.event


def _says_the_same(both: tuple[e.Entry, e.Entry]) -> bool:
    one, other = both[0].event, both[1].event
    if one is other or one == other:
        return True
    return type(one) is type(other) and all(
        _alike(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__ if name not in _ITS_OWN
    )


def _alike(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, msgspec.Struct) and type(one) is type(other):
        return all(_alike(getattr(one, name), getattr(other, name)) for name in _compared(one.__struct_fields__))
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return all(map(_alike, one, other))
    return False


def _compared(fields: Iterable[str]) -> Iterable[str]:
    return (name for name in fields if name not in _ITS_OWN)
