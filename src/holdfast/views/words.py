"""Values and times in the words that people and scripts read. Long values are cut, and say that they were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

VALUE_MAX = 400
FIELD_MAX = 120


def cut(value: Any, length: int = VALUE_MAX) -> str:
    """A value as one line of JSON of bounded length, which says that it was cut; text stands without its quotes."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters in all)"


def shortened(value: Any) -> tuple[Any, int]:
    """A value as it is, and 0; of a long one the beginning of its JSON as text, and how many characters the whole has."""
    text = msgspec.json.encode(value).decode()
    return (value, 0) if len(text) <= VALUE_MAX else (text[:VALUE_MAX], len(text))


def moment(at: float) -> str:
    """A time as people and scripts read it: ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(seconds: float) -> str:
    """A length of time as people write it: 90 → `1m30s`."""
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    parts, rest = [], round(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return "".join(parts[:2])
