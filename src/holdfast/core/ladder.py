"""Who is asked, for how long, and who is asked next: the ladder of an interrupt, as arithmetic.

A ladder has rungs. On each one some people are asked, and reminded; when its time is over the next rung is asked, and after the
last one the default holds. The default is never a yes. Where hours are given only working time counts, on the clocks of their
time zone: from the local start of a working day to its local end, in seconds that really pass, so that a day on which the
clocks are changed may be longer or shorter. A start or end that exists twice is the first one; one that does not exist is the
moment at which the clocks were set forward.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from holdfast.core.schedule import zone
from holdfast.errors import UsageError

# What holds when nobody answered on any rung: no; or somebody is to take the matter over by hand, and only then no.
AtDeadline = Literal["reject", "hand_off"]

RUNGS_MAX = 20
# On one rung. Who was reminded so often does not read the next one either.
REMINDERS_MAX = 1000
HOLIDAYS_MAX = 1000
# Of one rung: ten years, also where they are reached in a few working hours a week.
LONGEST_SECONDS = 10 * 366 * 86400.0
# How far working hours are followed: that long, where each of the holidays falls on the one working day of a week.
_DAYS_MAX = int(LONGEST_SECONDS // 86400) + 7 * HOLIDAYS_MAX + 366
_WEEK_SECONDS = 7 * 86400.0
# Times are numbers of seconds since 1970, and their last digits are worth less than this.
_SLIP_SECONDS = 1e-6
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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
    number); hand_off: past the last one; expire: the default holds. at: when; in the past where nobody was there to do it.
    number: of a reminder, how many there have been on its rung with it."""

    act: Literal["remind", "escalate", "hand_off", "expire"]
    at: float
    rung: int = 0
    number: int = 0


def ends_at(ladder: Ladder, rung: int, since: float) -> float:
    """When the last rung is over for what is asked on `rung` since then; the hand-off not counted."""
    at = since
    for one in ladder.rungs[_standing(ladder, rung) :]:
        at = working_until(ladder.hours, at, one.seconds)
    return at


def next_due(ladder: Ladder, *, rung: int, since: float, reminded: int, handed_off: bool, now: float | None = None) -> Due:
    """What comes next for what stands on `rung` since then, and was reminded so often on it.

    since: when the rung was asked; of what is handed off, when that was. reminded: the number of the last reminder on this
    rung, which is not how many were sent where some were passed over. now: where several reminders have passed by then, only the
    last of them is due, and its number says which it is; where the end of the rung has passed, none is. Without it the
    reminder after the last one is named. A rung that the ladder does not have counts as its last one.
    """
    if handed_off:
        return Due(act="expire", at=since + ladder.hand_off_seconds)
    rung = _standing(ladder, rung)
    end = working_until(ladder.hours, since, ladder.rungs[rung].seconds)
    reminder = _reminder(ladder, ladder.rungs[rung], since, reminded, now)
    if reminder is not None and (now is None or now < end):
        return reminder
    if rung + 1 < len(ladder.rungs):
        return Due(act="escalate", at=end, rung=rung + 1)
    return Due(act="hand_off" if ladder.at_deadline == "hand_off" else "expire", at=end)


def working_until(hours: Hours | None, since: float, seconds: float) -> float:
    """The time at which so many seconds have been worked since then; `since` itself where they are none. ValueError for hours in
    which they are not worked within some thirty years, or that cannot be read, and for a time that no calendar has."""
    if hours is None:
        return since + seconds
    left = seconds
    if left <= 0:
        return since
    for begin, end in _worked(hours, since):
        if left <= end - begin + _SLIP_SECONDS:
            return min(begin + left, end)
        left -= end - begin
    raise ValueError(f"in these hours, {seconds:g} s are never worked")


def ladder_problem(ladder: Ladder) -> str | None:
    """What is wrong with a ladder, as a sentence; None where it is sound."""
    try:
        ladder = msgspec.convert(msgspec.to_builtins(ladder), Ladder)
    except (TypeError, ValueError) as error:
        return f"the ladder is not of its form: {error}"
    if not 1 <= len(ladder.rungs) <= RUNGS_MAX:
        return f"a ladder has 1 to {RUNGS_MAX} rungs, not {len(ladder.rungs)}"
    if ladder.hours is not None and (problem := hours_problem(ladder.hours)):
        return problem
    for number, rung in enumerate(ladder.rungs, 1):
        if problem := _rung_problem(rung, ladder.hours):
            return f"rung {number}: {problem}"
    if "" in ladder.hand_off_to:
        return "hand_off_to: a name is empty"
    if not 0 < ladder.hand_off_seconds <= LONGEST_SECONDS:
        return f"a hand-off is waited for from more than nothing to ten years, not {ladder.hand_off_seconds:g} s"
    return None


def hours_problem(hours: Hours) -> str | None:
    """What is wrong with working hours, as a sentence; None where there is work in every week but for holidays."""
    if not hours.days or not set(hours.days) <= set(range(7)):
        return f"the days of the week are numbers from 0 (Monday) to 6, at least one, not {list(hours.days)}"
    for name, text in (("start", hours.start), ("end", hours.end)):
        if not _TIME.fullmatch(text):
            return f"the {name} of the day is {text!r}; write it as HH:MM, as in 09:00"
    if not _minutes(hours.start) < _minutes(hours.end):
        return f"the day begins at {hours.start} and ends at {hours.end}, which is no time to work"
    try:
        zone(hours.timezone)
    except UsageError as error:
        return f"{error.what}; {error.hint}"
    if len(hours.holidays) > HOLIDAYS_MAX:
        return f"{len(hours.holidays)} holidays are more than {HOLIDAYS_MAX}"
    wrong = next((day for day in hours.holidays if not _is_date(day)), None)
    return None if wrong is None else f"the holiday {wrong!r} is no date; write it as YYYY-MM-DD"


def _rung_problem(rung: Rung, hours: Hours | None) -> str | None:
    if "" in rung.who:
        return "who: a name is empty"
    if not (isfinite(rung.seconds) and rung.seconds > 0):
        return f"it lasts more than nothing and not for ever, not {rung.seconds:g} s"
    share = 1.0 if hours is None else _week(hours) / _WEEK_SECONDS
    if rung.seconds > LONGEST_SECONDS * share:
        return f"{rung.seconds:g} s are over ten years" + ("" if hours is None else " in these hours")
    if (often := rung.remind_seconds) is None:
        return None
    if not (isfinite(often) and often > 0):
        return f"people are reminded after more than nothing, not after {often:g} s"
    if rung.seconds / often > REMINDERS_MAX:
        return f"a reminder every {often:g} s comes over {REMINDERS_MAX} times in {rung.seconds:g} s"
    return None


def _reminder(ladder: Ladder, rung: Rung, since: float, reminded: int, now: float | None) -> Due | None:
    """The next reminder on a rung, or of those that have passed by now the last; None where there is none."""
    often = rung.remind_seconds
    if often is None:
        return None
    number = reminded + 1
    if now is not None:
        number = max(number, int((_worked_seconds(ladder.hours, since, now) + _SLIP_SECONDS) // often))
    if number * often >= rung.seconds:
        return None
    return Due(act="remind", at=working_until(ladder.hours, since, number * often), number=number)


def _standing(ladder: Ladder, rung: int) -> int:
    """The rung that something stands on; the last one where the ladder became shorter."""
    return min(max(rung, 0), len(ladder.rungs) - 1)


# --- working time -------------------------------------------------------------------------------------------------


def _worked(hours: Hours, since: float) -> Iterator[tuple[float, float]]:
    """The stretches of working time after a moment, from begin to end, in order; for _DAYS_MAX days."""
    place, days, start, end, holidays = _calendar(hours)
    try:
        first = datetime.fromtimestamp(since, UTC).astimezone(place).date() - timedelta(days=1)
        for number in range(_DAYS_MAX):
            day = first + timedelta(days=number)
            if day.weekday() not in days or day in holidays:
                continue
            begin, until = max(_moment(day, start, place), since), _moment(day, end, place)
            if begin < until:
                yield begin, until
    except (OverflowError, OSError) as error:
        raise ValueError(f"working hours cannot be followed from {since:g}: {error}") from error


def _worked_seconds(hours: Hours | None, since: float, until: float) -> float:
    """How many seconds have been worked between two moments."""
    if hours is None or until <= since:
        return max(until - since, 0.0)
    worked = 0.0
    for begin, end in _worked(hours, since):
        if begin >= until:
            break
        worked += min(end, until) - begin
    return worked


@lru_cache(maxsize=256)
def _calendar(hours: Hours) -> tuple[ZoneInfo, frozenset[int], int, int, frozenset[date]]:
    """Hours as they are reckoned with: zone, days, start and end in minutes, holidays. ValueError where they cannot be read."""
    if problem := hours_problem(hours):
        raise ValueError(problem)
    holidays = frozenset(map(date.fromisoformat, hours.holidays))
    return zone(hours.timezone), frozenset(hours.days), _minutes(hours.start), _minutes(hours.end), holidays


def _moment(day: date, minutes: int, place: ZoneInfo) -> float:
    """When the clocks of a place show so many minutes after the midnight that begins a day."""
    wanted = datetime(day.year, day.month, day.day, tzinfo=place) + timedelta(minutes=minutes)
    first, second = (wanted.replace(fold=fold).timestamp() for fold in (0, 1))
    # PEP 495: of a time that exists twice the first is the earlier one, and of one that does not exist the second.
    return first if first <= second else _set_forward(int(second), int(first), place)


def _set_forward(early: int, late: int, place: ZoneInfo) -> float:
    """The moment between two at which the clocks of a place are changed."""
    after = datetime.fromtimestamp(late, place).utcoffset()
    changed = bisect_left(range(early, late), True, key=lambda at: datetime.fromtimestamp(at, place).utcoffset() == after)
    return float(early + changed)


def _week(hours: Hours) -> float:
    """Seconds that are worked in a week without holidays."""
    return 60.0 * (_minutes(hours.end) - _minutes(hours.start)) * len(set(hours.days))


def _minutes(text: str) -> int:
    """Minutes after midnight, of HH:MM."""
    return int(text[:2]) * 60 + int(text[3:])


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text)) and date.fromisoformat(text) is not None
    except ValueError:
        return False
