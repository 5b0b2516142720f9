"""What tools and libraries say, as it can be written down: without secrets, valid, of bounded length."""

from __future__ import annotations

import datetime
import math
from typing import Any, get_args

from holdfast.core.contract import duration
from holdfast.core.events import Failure, FailureKind
from holdfast.core.values import plain
from holdfast.errors import DefinitionError, ToolFailure
from holdfast.journal.codec import redact
from holdfast.tools.toolbox import scrubbed, scrubbed_value

MESSAGE_MAX = 2_000
DETAIL_DEPTH_MAX = 8
# The end of the year 9999, in seconds since the epoch.
TIME_MAX = 253_402_300_800.0


def text(error: BaseException, secrets: tuple[str, ...]) -> str:
    """An error's words."""
    try:
        said = str(error)
    except Exception as broken:  # noqa: BLE001 — the error's own words are code of the user's too.
        said = f"it cannot say what is wrong ({type(broken).__name__})"
    return words(said, secrets)


def words(said: str, secrets: tuple[str, ...] = ()) -> str:
    """A text without secrets, valid as UTF-8, cut to MESSAGE_MAX."""
    said = scrubbed(said, secrets).encode("utf-8", "replace").decode()
    return said if len(said) <= MESSAGE_MAX else said[:MESSAGE_MAX] + f"… ({len(said)} characters in all)"


def failure_of(raised: ToolFailure, secret_names: frozenset[str], secrets: tuple[str, ...], *, landed: bool = False) -> Failure:
    """What a tool raised, as data that can be read back whatever the tool put into it."""
    message, kind = text(raised, secrets), raised.kind
    if kind not in get_args(FailureKind):
        message, kind = f"{kind}: {message}", "transient"  # A class of the tool's own; it says that nothing happened.
    return Failure(
        kind=kind,  # type: ignore[arg-type]
        message=message,
        retry_after_seconds=number(raised.retry_after_seconds),
        detail=redact(scrubbed_value(_detail(raised.detail), secrets), secret_names),
        landed=landed,
    )


def number(value: Any) -> float | None:
    """A number that a tool named, if it is one; headers of HTTP come as text."""
    try:
        found = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def time_of(until: Any, now: float) -> float | None:
    """A time that a tool named (see `Deferred.until`), in seconds since the epoch; None where it cannot be read as one, or lies
    after the year 9999: that is a number of another unit."""
    named = _named(until, now)
    return named if named is not None and named <= TIME_MAX else None


def _named(until: Any, now: float) -> float | None:
    if isinstance(until, datetime.timedelta):
        return now + until.total_seconds()
    if isinstance(until, datetime.datetime):
        try:
            return until.timestamp() if until.tzinfo is not None else None
        except (OverflowError, ValueError):
            return None
    if isinstance(until, str) and number(until) is None:
        try:
            return now + duration(until)
        except DefinitionError:
            return None
    return number(until)


def _detail(detail: Any, depth: int = 0) -> Any:
    """A failure's detail as JSON; the parts that have no such form become text. Names stay names: secrets are told by them."""
    try:
        return plain(detail)
    except ValueError:
        if isinstance(detail, dict) and depth < DETAIL_DEPTH_MAX:
            return {words(str(name)): _detail(part, depth + 1) for name, part in detail.items()}
        if isinstance(detail, (list, tuple)) and depth < DETAIL_DEPTH_MAX:
            return [_detail(part, depth + 1) for part in detail]
        if isinstance(detail, (dict, list, tuple)):
            return "…"
    try:
        return words(repr(detail))
    except Exception:  # noqa: BLE001 — how it shows itself is code of the user's too.
        return type(detail).__name__
