"""The time of the lab, which is told and not read: eight weeks pass in some seconds, and in the same order each time."""

from __future__ import annotations


class ToldClock:
    """See `runner.clock.Clock`. It stands still until it is told a later time; so does what it measures."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        return round(self._at, 3)

    def monotonic(self) -> float:
        return self._at

    def to(self, at: float) -> None:
        """It is later now; an earlier time is no news."""
        self._at = max(self._at, at)
