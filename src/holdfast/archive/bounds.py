"""What a file from elsewhere may ask for: how long a line may be, how deep a value, and how much may become of a little.

A value refers to large ones by their digest, these to others, and each is put in as often as it is referred to. So a small file
can come to more than any machine has; nothing of ours comes near these bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate

import msgspec

from holdfast.core.events import Entry
from holdfast.errors import JournalCorrupt
from holdfast.views import size

# The largest line. A result has 16 MB at most unless its tool says more, and as base64 a third is added to it.
LINE_BYTES_MAX = 256 * 1024 * 1024
# Values are at most 100 deep (`core.values.DEPTH_MAX`), and stand some levels deep in their events.
DEPTH_MAX = 200
# What one commit may come to with all that it refers to, and how many times it may refer to something.
GROWN_BYTES_MAX = 1024 * 1024 * 1024
GROWN_TIMES_MAX = 1_000_000

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def depth(encoded: bytes) -> int:
    """How deep a JSON text is nested, DEPTH_MAX or less; more is only said where it is so."""
    opened = encoded.count(b"[") + encoded.count(b"{")
    if opened <= DEPTH_MAX:
        return opened
    brackets = _TEXT.sub(b"", encoded).translate(None, _NO_BRACKET)
    return max(accumulate(_STEPS[bracket] for bracket in brackets), default=0)


def check_depth(encoded: bytes) -> None:
    """ValueError for what is nested too deep."""
    if depth(encoded) > DEPTH_MAX:
        raise ValueError(f"it is nested deeper than {DEPTH_MAX} levels")


class Growth:
    """What the batches of a run come to with the contents that they refer to, one batch at a time."""

    def __init__(self, contents: dict[str, bytes]):
        self._contents = contents
        self._depths: dict[str, int] = {}
        self._bytes = self._times = self._levels = 0
        self._fetched: set[str] = set()

    def of(self, body: bytes) -> Callable[[str], bytes]:
        """Where the next batch gets its contents from."""
        self._bytes, self._times, self._levels = len(body), 0, depth(body)
        self._fetched.clear()
        return self._fetch

    def check_depth(self, entries: Sequence[Entry]) -> None:
        """ValueError where a batch is too deep with all that was put into it."""
        if self._fetched and self._levels > DEPTH_MAX:
            check_depth(msgspec.json.encode([entry.event for entry in entries]))

    def _fetch(self, digest: str) -> bytes:
        content = self._contents.get(digest)
        if content is None:
            raise JournalCorrupt(f"the content {digest[:12]} is missing")
        self._bytes += len(content)
        self._times += 1
        if self._bytes > GROWN_BYTES_MAX or self._times > GROWN_TIMES_MAX:
            most = f"{size(GROWN_BYTES_MAX)}, or {GROWN_TIMES_MAX:,} contents"
            raise JournalCorrupt(f"with all that it refers to it comes to more than {most}")
        if digest not in self._fetched:
            self._fetched.add(digest)
            if digest not in self._depths:
                self._depths[digest] = depth(content)
            self._levels += self._depths[digest]
        return content
