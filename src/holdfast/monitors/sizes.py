"""How much there is of a result."""

from __future__ import annotations

from typing import Any

import msgspec

# Of a result with more names than that, the rest is only counted in the whole.
NAMES_MAX = 50


class Size(msgspec.Struct, frozen=True, gc=False):
    """values: that say something, at any depth: all but null, empty texts, and lists and tables without any. bytes: as JSON."""

    values: int
    bytes: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return self.values == 0


def size_of(value: Any) -> Size:
    """How much a value says."""
    return Size(_values(value), len(msgspec.json.encode(value)))


def parts_of(result: Any) -> dict[str, Size]:
    """The size of a result under "", and of each of its parts, where it is a table, under their names."""
    if not isinstance(result, dict):
        return {"": size_of(result)}
    parts = {str(name): size_of(part) for name, part in list(result.items())[:NAMES_MAX]}
    return {"": size_of(result), **parts}


def _values(value: Any) -> int:
    """Without recursion: a result may be nested as deeply as JSON goes."""
    count, left = 0, [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, (list, tuple)):
            left.extend(one)
        elif isinstance(one, str):
            count += bool(one.strip())
        else:
            count += one is not None
    return count
