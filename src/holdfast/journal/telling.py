"""Until when people are told something, and when it is tried again; for any store.

A store keeps notices in the order in which they were committed. Of each channel it keeps up to which of them the channel has
looked, and a row for each that it claimed: how often it was tried, and when it may be claimed again, which is the end of the
lease while somebody sends it. So a channel that has nothing to send costs the same however much was sent before.

Delivery is at least once: a worker that dies with a notice in hand lets its lease run out, and another one sends it again with
the same id.
"""

from __future__ import annotations

# A notice that was not sent within this time is news no more, unless what it is about is still open.
NEWS_SECONDS = 86_400.0
# A time to try again that is further ahead comes from a clock that was wrong: it counts as due.
AHEAD_SECONDS = 1.5 * 86_400.0
# How long notices are kept, sent or not.
KEPT_SECONDS = 90 * 86_400.0
# Those that are older are looked for at each so many new ones, and at most SWEPT_MAX of them go at once.
SWEPT_EVERY = 100
SWEPT_MAX = 1000
TOO_LATE = "it was not sent within a day, and is not open any more"


def is_due(due_at: float | None, now: float) -> bool:
    """Whether a notice that was claimed before may be claimed again. due_at: None where it was sent or given up."""
    return due_at is not None and not now < due_at <= now + AHEAD_SECONDS
