"""`python -m holdfast.labs.ahead 7d run …`: any `holdfast` command, on a clock that is ahead by a week.

The clock is the one that the whole runtime reads (`runner/clock.py`); all else is as it is, the store too.
"""

import runpy
import sys
import time
from collections.abc import Sequence

from holdfast.core.contract import duration
from holdfast.runner.clock import SystemClock


def go_ahead(seconds: float) -> None:
    """From now on, in this process, the time of day is so much later."""

    def now(clock: SystemClock) -> float:
        return round(time.time() + seconds, 3)

    SystemClock.now = now  # type: ignore[assignment,method-assign]


def main(words: Sequence[str]) -> None:
    go_ahead(duration(words[0], what="the time that the clock is ahead"))
    sys.argv[1:] = words[1:]
    runpy.run_module("holdfast", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
