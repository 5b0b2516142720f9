"""What tools and those who look on their behalf may say, beside a plain result.

A tool that did not do all of it returns `Partial`, one whose call was taken and will be done later `Deferred`. Probes and
polls answer with `Happened(value)`, NOT_HAPPENED, NOT_YET or `cannot_tell(why)`.
"""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from holdfast.core.events import Verdict

Until = float | str | datetime.timedelta | datetime.datetime | None


class Partial(msgspec.Struct, frozen=True):
    """Returned by a tool that did a part. value: that part, fitting the output schema. left: what is not done, by item.

    rest: the arguments of the call of the same tool that does the rest; it becomes a step of its own. None: the other side does
    the rest by itself, and it is owed. until: when it is due, as in `Deferred`. by: who owes it. handle: the other side's
    name for it. signal: the name of the word that settles it.
    """

    value: Any
    left: tuple[str, ...]
    rest: dict[str, Any] | None = None
    until: Until = None
    by: str = ""
    handle: str = ""
    signal: str = ""


class Deferred(msgspec.Struct, frozen=True):
    """Returned by a tool whose call was taken and will be done later. handle: the other side's name for it, given to the poll.

    until: when it is due: seconds since the epoch, a time from now ("48h", or a timedelta), or a datetime with a zone. What
    cannot be read as a time (a datetime without a zone, any other text) counts as none; then the tool's `owed_within` holds.
    by: who owes the result. signal: the name of the word that settles it; without one it is the step's.
    """

    handle: str = ""
    until: Until = None
    by: str = ""
    signal: str = ""


class Happened(msgspec.Struct, frozen=True):
    """Returned by a probe that found the call done. value: its result."""

    value: Any = None


class Probed(msgspec.Struct, frozen=True):
    """The other answers of a probe; use the names below."""

    verdict: Verdict
    message: str = ""


NOT_HAPPENED = Probed("not_happened")
NOT_YET = Probed("not_yet")


def cannot_tell(why: str = "") -> Probed:
    """The answer of a probe that looked and still does not know; a person is asked."""
    return Probed("cannot_tell", why)
