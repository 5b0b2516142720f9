"""The only place where the time is read."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """now: seconds since the epoch. monotonic: seconds from anywhere, never backwards."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """This machine's clocks; `now` in whole milliseconds, so that what is written reads well."""

    def now(self) -> float:
        return round(time.time(), 3)

    def monotonic(self) -> float:
        return time.monotonic()
