"""Whether and when again: the arithmetic of retries."""

from __future__ import annotations

import hashlib

from holdfast.core.contract import Retry


def next_wait(retry: Retry, tries: int, *, run_id: str, step: str, retry_after_seconds: float | None = None) -> float | None:
    """Seconds to wait before the next try, or None when there is none left.

    tries: how many were made, at least 1 (so the first wait is asked for with 1). The wait is
    `backoff · factor^(tries-1)` up to its maximum, of which the share `jitter` is drawn; the draw depends on run,
    step and try alone, so it is the same in every process. A time that the other side named is never undercut.
    """
    if tries >= retry.attempts_max:
        return None
    # The exponent is bounded: past 2^64 the maximum holds anyway, and floats must not overflow.
    wait = min(retry.backoff_seconds * retry.factor ** min(tries - 1, 64), retry.backoff_seconds_max)
    wait *= 1.0 - retry.jitter * draw(run_id, step, tries)
    return round(max(wait, retry_after_seconds or 0.0), 3)


def draw(*names: object) -> float:
    """A number in [0, 1) that follows from the names alone."""
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)
