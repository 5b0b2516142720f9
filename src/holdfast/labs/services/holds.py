"""Holds: a way to stop a worker exactly between an effect and its record.

A driver arms a hold, the next matching effect is done and entered in the ledger, and then its answer is kept back. In
that gap the driver kills the worker.
"""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from holdfast.labs.services.ledger import LedgerRow
from holdfast.labs.services.notices import HELD, post_notice, timestamp

POLL_SECONDS = 0.01
"""How soon a held answer notices that it was released or that its caller is gone."""


class Hold:
    """One kept-back answer, from the effect until `is_over`."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self.released = threading.Event()

    def is_over(self) -> bool:
        return self.released.is_set() or time.monotonic() >= self._deadline

    def wait(self, is_caller_gone: Callable[[], bool]) -> None:
        """Block until the hold is over or nobody is left to answer."""
        while not self.is_over() and not is_caller_gone():
            self.released.wait(POLL_SECONDS)
        # Where the caller is gone, nothing is held any more, and `release` must not count it.
        self.released.set()


class Holds:
    """The armed holds and those in progress. Safe to use from any thread.

    `names` maps what a driver may ask to hold to the ledger's services that it covers.
    """

    def __init__(self, directory: Path, names: Mapping[str, frozenset[str]]) -> None:
        self.names = names
        self._notice = directory / HELD
        self._notice.unlink(missing_ok=True)
        self._lock = threading.Lock()
        self._armed: dict[tuple[str, str], float] = {}
        self._held: list[Hold] = []

    def arm(self, name: str, subject: str, seconds: float) -> None:
        """Hold the next effect of `name` on `subject`, once. Removes the notice of an earlier hold.

        Arming the same twice leaves one hold, with the later duration.
        """
        assert name in self.names
        with self._lock:
            self._notice.unlink(missing_ok=True)
            self._armed[name, subject] = seconds

    def take(self, row: LedgerRow) -> Hold | None:
        """The hold armed for this effect, begun and announced; None when there is none."""
        with self._lock:
            for name, subject in self._armed:
                if subject == row["subject"] and row["service"] in self.names[name]:
                    hold = Hold(self._armed.pop((name, subject)))
                    self._held = [held for held in self._held if not held.is_over()] + [hold]
                    # Under the lock, so that arming the next hold cannot remove a notice before it is there.
                    post_notice(self._notice, {"service": row["service"], "subject": subject, "at": timestamp()})
                    return hold
        return None

    def release(self) -> int:
        """Let every held answer go, and say how many. What is armed and has not begun stays armed."""
        with self._lock:
            held = [hold for hold in self._held if not hold.is_over()]
            for hold in held:
                hold.released.set()
            self._held = []
            return len(held)
