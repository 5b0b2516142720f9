"""Who is asked, for how long, and who is asked next: the ladder of an interrupt, as arithmetic.

A ladder has rungs. On each one some people are asked, and reminded; when its time is over the next rung is asked, and after the
last one the default holds. The default is never a yes. Where hours are given only working time counts, on the clocks of their
time zone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# What holds when nobody answered on any rung: no; or somebody is to take the matter over by hand, and only then no.
AtDeadline = Literal["reject", "hand_off"]


class Hours(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When people work. days: 0 is Monday. start, end: of each day, as `HH:MM`; the end may be 24:00. timezone: an IANA name.
    holidays: days without work, as YYYY-MM-DD."""

    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    start: str = "09:00"
    end: str = "17:00"
    timezone: str = "UTC"
    holidays: tuple[str, ...] = ()


class Rung(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who is asked on it: roles or names (empty: whoever the rule names). seconds: how long, in working time where the ladder
    has hours. remind_seconds: how often they are reminded; None: never."""

    who: tuple[str, ...] = ()
    seconds: float = 86400.0
    remind_seconds: float | None = None


class Ladder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rungs in order, and what holds after the last one. hand_off_to: who takes it over then, where it is handed off;
    hand_off_seconds: for how long that is waited for."""

    rungs: tuple[Rung, ...] = (Rung(),)
    hours: Hours | None = None
    at_deadline: AtDeadline = "reject"
    hand_off_to: tuple[str, ...] = ()
    hand_off_seconds: float = 7 * 86400.0


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about an interrupt now, or next. remind: those on the rung; escalate: ask the next rung (`rung` is its
    number); hand_off: past the last one; expire: the default holds."""

    act: Literal["remind", "escalate", "hand_off", "expire"]
    at: float
    rung: int = 0


def ends_at(ladder: Ladder, rung: int, since: float) -> float:
    """When the last rung is over for what is asked on `rung` since then; the hand-off not counted."""
    raise NotImplementedError


def next_due(ladder: Ladder, *, rung: int, since: float, reminded: int, handed_off: bool) -> Due:
    """What comes next for what stands on `rung` since then, and was reminded so often on it."""
    raise NotImplementedError


def working_until(hours: Hours | None, since: float, seconds: float) -> float:
    """The time at which so many seconds have been worked since then."""
    raise NotImplementedError


def ladder_problem(ladder: Ladder) -> str | None:
    """What is wrong with a ladder, as a sentence; None where it is sound."""
    raise NotImplementedError
