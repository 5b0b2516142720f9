"""Plain JSON: what inputs, arguments and results are made of, and which names in it are never written down.

What is believed must be what will be read back from the journal. So whatever comes from code or files of the user goes
through `plain` before it is believed: after it, reading back changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

# Deeper than this is no data. The bound is far below where any of the libraries gives up, each at a depth of its own.
DEPTH_MAX = 100
# What is never written down wherever it stands under one of these names; an agent adds its own.
SECRET_NAMES = frozenset({"password", "passwd", "secret", "api_key", "apikey", "access_token", "refresh_token", "private_key"})
# What stands where something was not written down.
REDACTED = "[redacted]"


def plain(value: Any) -> Any:
    """The value as it will be read back. ValueError, which says why, for what JSON does not have: NaN and infinity, lone
    surrogates, sets, circles, objects without a JSON form, and what is nested deeper than DEPTH_MAX."""
    try:
        if _unordered(value):
            raise ValueError("a set has no order, and JSON has no sets; give a list")
        parts = msgspec.to_builtins(value, str_keys=True)
        encoded = msgspec.json.encode(parts)
        read: Any = msgspec.json.decode(encoded)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    check(encoded, read, parts)
    return read


def check(encoded: bytes, read: Any, parts: Any) -> None:
    """ValueError where the encoder was silent about what it could not write. parts: the value before it was encoded."""
    # NaN and infinity become null, so only what has a null in it is looked through.
    if b"null" in encoded and not _finite(parts):
        raise ValueError("NaN and infinity are no JSON")
    if encoded.count(b"[") + encoded.count(b"{") > DEPTH_MAX and _deeper(read):
        raise ValueError(f"it is nested deeper than {DEPTH_MAX} levels")


def plain_secrets(value: Any, names: frozenset[str]) -> Iterator[str]:
    """The names among these under which something stands that would be written down. `{$secret: NAME}` is not written."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key in names and not (isinstance(part, dict) and "$secret" in part):
                yield key
            else:
                yield from plain_secrets(part, names)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from plain_secrets(part, names)


def redacted(value: Any, names: frozenset[str]) -> Any:
    """A value without what is never written down, by its name."""
    if isinstance(value, dict):
        return {key: REDACTED if key in names else redacted(part, names) for key, part in value.items()}
    return [redacted(part, names) for part in value] if isinstance(value, (list, tuple)) else value


def redacted_in(value: Any) -> bool:
    """Whether something in it was not written down, and so is lost."""
    if isinstance(value, dict):
        return any(map(redacted_in, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(redacted_in, value))
    return isinstance(value, str) and value == REDACTED


def _unordered(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_unordered, value.values()))
    if isinstance(value, msgspec.Struct):
        return any(_unordered(getattr(value, field)) for field in value.__struct_fields__)
    return any(map(_unordered, value)) if isinstance(value, (list, tuple)) else isinstance(value, (set, frozenset))


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, (list, tuple, set, frozenset)) else True


def _deeper(value: Any) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEPTH_MAX):
        parts = [part for node in level for part in (node.values() if isinstance(node, dict) else node)]
        level = [part for part in parts if isinstance(part, (dict, list))]
        if not level:
            return False
    return True
