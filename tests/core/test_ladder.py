"""Ladders as arithmetic: working time, what is due next, and what is no ladder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, nan
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.core import ladder as module
from holdfast.core.ladder import Due, Hours, Ladder, Rung, ends_at, ladder_problem, next_due, working_until

BERLIN, NEW_YORK, LORD_HOWE, APIA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"
HOUR, DAY = 3600.0, 86400.0
OFFICE = Hours(timezone=BERLIN)
T0 = datetime.fromisoformat("2026-11-20T09:00+01:00").timestamp()  # A Friday.


def local(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    """Seconds since the epoch of a time as people there write it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def said(at: float, zone: str = BERLIN) -> str:
    """A time as people there write it."""
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%a %d %H:%M %Z}"


# --- working time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "hours", "expected"),
    [
        ("2026-11-20T10:00", 2, "Fri 20 12:00 CET"),  # Within a day.
        ("2026-11-20T16:00", 2, "Mon 23 10:00 CET"),  # Over a night and a weekend.
        ("2026-11-18T16:00", 2, "Thu 19 10:00 CET"),  # Over a night.
        ("2026-11-20T16:00", 1, "Fri 20 17:00 CET"),  # Its last second belongs to the day.
        ("2026-11-20T03:00", 1, "Fri 20 10:00 CET"),  # Before the day has begun.
        ("2026-11-21T12:00", 1, "Mon 23 10:00 CET"),  # On a day without work.
        ("2026-11-20T17:00", 1, "Mon 23 10:00 CET"),  # The moment that it ends.
        ("2026-11-20T09:00", 40, "Thu 26 17:00 CET"),  # A week.
    ],
)
def test_only_the_working_time_of_working_days_counts(since: str, hours: float, expected: str) -> None:
    """Nights and weekends do not."""
    assert said(working_until(OFFICE, local(since), hours * HOUR)) == expected


def test_holidays_do_not_count() -> None:
    """Two in a row beside a weekend are passed over; one on a Sunday changes nothing."""
    hours = msgspec.structs.replace(OFFICE, holidays=("2026-12-25", "2026-12-27", "2026-12-28"))
    assert said(working_until(hours, local("2026-12-24T16:00"), 2 * HOUR)) == "Tue 29 10:00 CET"


def test_without_hours_all_time_counts() -> None:
    """A clock is enough then."""
    assert working_until(None, T0, 40 * HOUR) == T0 + 40 * HOUR


def test_nothing_takes_no_time() -> None:
    """Not even until the next working day begins."""
    midnight = local("2026-11-21T00:00")
    assert working_until(OFFICE, midnight, 0) == midnight


@pytest.mark.parametrize(
    ("day", "start", "end", "zone", "hours"),
    [
        ("2026-03-29", "00:00", "24:00", BERLIN, 23),  # Set forward.
        ("2026-10-25", "00:00", "24:00", BERLIN, 25),  # Set back.
        ("2026-03-29", "02:30", "05:00", BERLIN, 2),  # Its start does not exist: it is 03:00, when the clocks were set.
        ("2026-03-29", "01:00", "02:30", BERLIN, 1),  # Its end does not exist.
        ("2026-03-29", "02:10", "02:50", BERLIN, 0),  # Neither exists, and nobody works.
        ("2026-10-25", "02:30", "05:00", BERLIN, 3.5),  # Its start exists twice: from the first.
        ("2026-10-25", "00:00", "02:30", BERLIN, 2.5),  # Its end exists twice: until the first.
        ("2026-03-08", "01:00", "04:00", NEW_YORK, 2),
        ("2026-10-04", "00:00", "24:00", LORD_HOWE, 23.5),  # By half an hour.
        ("2011-12-30", "00:00", "24:00", APIA, 0),  # A day that was left out.
    ],
)
def test_working_time_is_what_really_passes(day: str, start: str, end: str, zone: str, hours: float) -> None:
    """Where the clocks are changed a day has more or fewer seconds between its start and its end."""
    every = Hours(days=tuple(range(7)), start=start, end=end, timezone=zone)
    since = local(f"{day}T12:00", zone) - 24 * HOUR
    after = local(f"{day}T12:00", zone) + 36 * HOUR
    worked = [minute for minute in minutes_worked(every, since, after) if said_day(minute, zone) == day]
    assert len(worked) == hours * 60


def minutes_worked(hours: Hours, since: float, until: float) -> list[float]:
    """When each minute of work begins, found with nothing but `working_until`."""
    found, at = [], since
    while at < until:
        at = working_until(hours, at, 60.0)
        found.append(at - 60.0)
    return found


def said_day(at: float, zone: str) -> str:
    """The day that the calendar there shows."""
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%Y-%m-%d}"


def test_a_month_of_working_seconds_is_followed_over_a_year() -> None:
    """30 days of seconds are 90 working days."""
    assert said(working_until(OFFICE, local("2026-01-05T09:00"), 30 * DAY)) == "Fri 08 17:00 CEST"


@pytest.mark.parametrize(
    "hours",
    [
        Hours(days=(6,), start="09:00", end="09:01"),
        Hours(days=()),
        Hours(start="17:00", end="09:00"),
        Hours(timezone="Europe/Atlantis"),
        Hours(days=(9,)),
    ],
)
def test_what_is_never_worked_has_no_end_and_is_said_so(hours: Hours) -> None:
    """ValueError, and no loop for ever."""
    with pytest.raises(ValueError, match=r"never worked|days of the week|no time to work|no time zone"):
        working_until(hours, T0, 30 * DAY)


@pytest.mark.parametrize("since", [1e18, -1e18, nan, inf])
def test_a_time_that_no_calendar_has_is_a_value_error(since: float) -> None:
    """Of all that the calendar raises, one class is left."""
    with pytest.raises(ValueError, match=r"[a-z]"):
        working_until(OFFICE, since, HOUR)


MOMENTS = st.floats(local("2025-01-01T00:00"), local("2028-01-01T00:00"))
LENGTHS = st.floats(0.001, 40 * DAY)
MINUTES = st.integers(0, 1440)


@st.composite
def working_hours(draw: st.DrawFn) -> Hours:
    """Hours in which there is work."""
    start, end = sorted(draw(st.tuples(st.integers(0, 1439), MINUTES).filter(lambda two: abs(two[1] - two[0]) >= 30)))
    return Hours(
        days=tuple(draw(st.sets(st.integers(0, 6), min_size=1))),
        start=f"{start // 60:02}:{start % 60:02}",
        end=f"{end // 60:02}:{end % 60:02}",
        timezone=draw(st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu"])),
        holidays=tuple(draw(st.lists(st.dates().filter(lambda day: day.year >= 1000).map(str), max_size=3))),
    )


@given(hours=working_hours(), since=MOMENTS, later=st.floats(0, 30 * DAY), seconds=st.floats(0, 5 * DAY), more=st.floats(0, DAY))
def test_it_never_runs_backwards(hours: Hours, since: float, later: float, seconds: float, more: float) -> None:
    """More work ends no sooner, and what begins later ends no sooner."""
    until = working_until(hours, since, seconds)
    assert until >= since
    assert working_until(hours, since, seconds + more) >= until
    assert working_until(hours, since + later, seconds) >= min(until, since + later)


@given(hours=working_hours(), since=MOMENTS, seconds=st.floats(0.001, 5 * DAY))
@example(hours=Hours(days=(6,), start="00:00", end="24:00", timezone=BERLIN), since=local("2026-10-24T09:00"), seconds=25 * HOUR)
def test_its_end_lies_within_working_hours(hours: Hours, since: float, seconds: float) -> None:
    """On a working day, between the start and the end that its clocks show."""
    until = working_until(hours, since, seconds)
    place = ZoneInfo(hours.timezone)
    # The end of a day may be the midnight after it, and the last digits of a time are not exact.
    clock = datetime.fromtimestamp(until - 1e-3, place)
    assert clock.weekday() in hours.days
    assert str(clock.date()) not in hours.holidays
    shown = clock.hour * 60 + clock.minute
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (hours.start, hours.end))
    before, after = (datetime.fromtimestamp(until + shift, place).utcoffset() for shift in (-DAY, DAY))
    slack = 0 if before == after else 60  # Clocks were changed: an hour is shown twice.
    assert start - slack <= shown <= end + slack


# --- what is due --------------------------------------------------------------------------------------------------

TWO = Ladder(rungs=(Rung(seconds=4 * HOUR, remind_seconds=HOUR), Rung(who=("heads",), seconds=8 * HOUR)))
SELDOM = msgspec.structs.replace(TWO, rungs=(Rung(seconds=4 * HOUR, remind_seconds=3 * HOUR), Rung()))
HANDED = msgspec.structs.replace(TWO, at_deadline="hand_off", hand_off_seconds=DAY)


@dataclass(frozen=True)
class Row:
    """What stands where, and what is due."""

    ladder: Ladder
    rung: int
    reminded: int
    due: Due
    handed_off: bool = False
    now: float | None = None


def due(act: Any, hours: float, **more: int) -> Due:
    """What is due so many hours after T0."""
    return Due(act=act, at=T0 + hours * HOUR, **more)


@pytest.mark.parametrize(
    "row",
    [
        Row(TWO, 0, 0, due("remind", 1, number=1)),
        Row(TWO, 0, 2, due("remind", 3, number=3)),
        Row(TWO, 0, 3, due("escalate", 4, rung=1)),  # The fourth would come at the end of the rung.
        Row(TWO, 0, 99, due("escalate", 4, rung=1)),
        Row(TWO, 1, 0, due("expire", 8)),
        Row(HANDED, 1, 0, due("hand_off", 8)),
        Row(HANDED, 1, 0, due("expire", 24), handed_off=True),
        Row(TWO, 1, 0, due("expire", 7 * 24), handed_off=True),  # A person handed it off by hand.
        Row(Ladder(), 0, 0, due("expire", 24)),
        Row(TWO, 7, 0, due("expire", 8)),  # The ladder was longer once.
        Row(TWO, 0, 0, due("remind", 1, number=1), now=T0),
        Row(TWO, 0, 0, due("remind", 1, number=1), now=T0 + HOUR),
        Row(TWO, 0, 0, due("remind", 3, number=3), now=T0 + 3.5 * HOUR),  # Two of three are passed over.
        Row(TWO, 0, 3, due("escalate", 4, rung=1), now=T0 + 3.5 * HOUR),
        Row(TWO, 0, 1, due("escalate", 4, rung=1), now=T0 + 90 * DAY),  # Nobody is reminded of what is asked of others now.
        Row(SELDOM, 0, 0, due("escalate", 4, rung=1), now=T0 + 4 * HOUR),
        Row(TWO, 0, 0, due("remind", 1, number=1), now=T0 - 90 * DAY),  # A clock that was set back.
    ],
)
def test_what_is_due_next(row: Row) -> None:
    """Reminders, the next rung, and after the last one the hand-off or the default."""
    found = next_due(row.ladder, rung=row.rung, since=T0, reminded=row.reminded, handed_off=row.handed_off, now=row.now)
    assert found == row.due


def test_reminders_and_rungs_keep_to_working_hours() -> None:
    """Asked on Friday at three, one is reminded on Friday at four and at five, and the next rung is asked on Monday at eleven."""
    ladder = msgspec.structs.replace(TWO, hours=OFFICE)
    since = T0 + 6 * HOUR
    steps = [next_due(ladder, rung=0, since=since, reminded=count, handed_off=False) for count in range(4)]
    assert [(step.act, said(step.at)) for step in steps] == [
        ("remind", "Fri 20 16:00 CET"),
        ("remind", "Fri 20 17:00 CET"),
        ("remind", "Mon 23 10:00 CET"),
        ("escalate", "Mon 23 11:00 CET"),
    ]
    assert said(ends_at(ladder, 0, since)) == "Tue 24 11:00 CET"
    weekend = next_due(ladder, rung=0, since=since, reminded=0, handed_off=False, now=local("2026-11-22T12:00"))
    assert (weekend.number, said(weekend.at)) == (2, "Fri 20 17:00 CET")


def test_the_end_of_a_ladder_is_that_of_its_last_rung() -> None:
    """From the rung on which something stands; the hand-off is not counted."""
    assert ends_at(TWO, 0, T0) == T0 + 12 * HOUR
    assert ends_at(HANDED, 1, T0) == T0 + 8 * HOUR
    assert ends_at(TWO, 9, T0) == T0 + 8 * HOUR


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """Ladders that are sound."""
    rungs = st.builds(
        Rung,
        seconds=st.floats(1, 5 * DAY),
        remind_seconds=st.none() | st.floats(4 * HOUR, 5 * DAY),
    )
    return Ladder(
        rungs=tuple(draw(st.lists(rungs, min_size=1, max_size=4))),
        hours=draw(st.none() | working_hours()),
        at_deadline=draw(st.sampled_from(["reject", "hand_off"])),
        hand_off_seconds=draw(st.floats(1, DAY)),
    )


@settings(deadline=None)
@given(ladder=ladders(), since=MOMENTS, late=st.lists(st.floats(0, 20 * DAY), max_size=5))
def test_walking_a_ladder_comes_to_its_end(ladder: Ladder, since: float, late: list[float]) -> None:
    """Whoever does what is due, however late, is at the default after as many steps as there are reminders and rungs; nothing is
    due before it was asked, and at no moment are two reminders due."""
    assert ladder_problem(ladder) is None
    rung, reminded, handed, at = 0, 0, False, since
    steps_max = sum(2 + int(one.seconds // (one.remind_seconds or one.seconds)) for one in ladder.rungs) + 1
    for _ in range(steps_max + 1):
        now = at + (late.pop() if late else 0.0)
        step = next_due(ladder, rung=rung, since=since, reminded=reminded, handed_off=handed, now=now)
        assert step.at >= since
        now = max(now, step.at)
        if step.act == "expire":
            assert handed == (ladder.at_deadline == "hand_off")
            return
        if step.act == "remind":
            assert step.number > reminded
            again = next_due(ladder, rung=rung, since=since, reminded=step.number, handed_off=False, now=now)
            assert again.act != "remind" or again.at > now
            reminded = step.number
        else:
            assert step.rung == (rung + 1 if step.act == "escalate" else 0)
            rung, reminded, handed, since = step.rung or rung, 0, step.act == "hand_off", now
        at = now
    raise AssertionError("it does not end")


# --- what is no ladder --------------------------------------------------------------------------------------------


def on(**hours: Any) -> Ladder:
    """A ladder with these hours."""
    return Ladder(hours=Hours(**hours))


def rung(**parts: Any) -> Ladder:
    """A ladder of this rung."""
    return Ladder(rungs=(Rung(**parts),))


@pytest.mark.parametrize(
    ("ladder", "said"),
    [
        (Ladder(rungs=()), "1 to 20 rungs, not 0"),
        (Ladder(rungs=(Rung(),) * 21), "1 to 20 rungs, not 21"),
        (rung(seconds=0), "rung 1: it lasts"),
        (rung(seconds=-1.0), "rung 1: it lasts"),
        (rung(seconds=nan), "rung 1: it lasts"),
        (rung(seconds=inf), "rung 1: it lasts"),
        (rung(seconds=1e12), "over ten years"),
        (rung(remind_seconds=0), "reminded after more than nothing"),
        (rung(remind_seconds=nan), "reminded after more than nothing"),
        (rung(remind_seconds=1), "over 1000 times"),
        (rung(who=("",)), "a name is empty"),
        (Ladder(rungs=(Rung(), Rung(seconds=0))), "rung 2: it lasts"),
        (Ladder(hand_off_seconds=nan), "a hand-off"),
        (Ladder(hand_off_seconds=0), "a hand-off"),
        (Ladder(hand_off_to=("",)), "a name is empty"),
        (on(start="9:00"), "the start of the day is '9:00'"),
        (on(start="24:00"), "which is no time to work"),
        (on(end="25:00"), "the end of the day is '25:00'"),
        (on(start="17:00", end="09:00"), "which is no time to work"),
        (on(start="09:00", end="09:00"), "which is no time to work"),
        (on(timezone="Europe/Atlantis"), "'Europe/Atlantis' is no time zone"),
        (on(timezone="../etc/passwd"), "is no time zone"),
        (on(days=()), "days of the week"),
        (on(days=(0, 7)), "days of the week"),
        (on(days=(-1,)), "days of the week"),
        (on(holidays=("2026-02-30",)), "'2026-02-30' is no date"),
        (on(holidays=("20261225",)), "'20261225' is no date"),
        (on(holidays=("2026-12-25",) * 1001), "more than 1000"),
        (Ladder(rungs=(Rung(seconds=30 * DAY),), hours=Hours(days=(6,), start="09:00", end="09:01")), "in these hours"),
        (Ladder(rungs=("heads",)), "not of its form"),  # type: ignore[arg-type]
        (Ladder(at_deadline="approve"), "not of its form"),  # type: ignore[arg-type]
        (on(days=(1.5,)), "not of its form"),
    ],
)
def test_what_is_no_ladder_is_said_in_a_sentence(ladder: Ladder, said: str) -> None:
    """Before anybody is asked by it."""
    assert said in (ladder_problem(ladder) or "nothing")


@pytest.mark.parametrize("ladder", [Ladder(), TWO, HANDED, on(start="00:00", end="24:00"), on(holidays=("2026-12-25",))])
def test_a_sound_ladder_has_no_problem(ladder: Ladder) -> None:
    """Nothing is said of it."""
    assert ladder_problem(ladder) is None


def test_hours_that_have_no_problem_are_always_worked() -> None:
    """The longest rung that is let through, in a minute of work a week, of which the first thousand are holidays."""
    first = datetime.fromtimestamp(T0, ZoneInfo(BERLIN)).date()
    sundays = [first + timedelta(days=2 + 7 * week) for week in range(1000)]
    hours = Hours(days=(6,), start="09:00", end="09:01", timezone=BERLIN, holidays=tuple(map(str, sundays)))
    longest = 60.0 * int(module.LONGEST_SECONDS // (7 * DAY))
    ladder = Ladder(rungs=(Rung(seconds=longest),), hours=hours)
    assert ladder_problem(ladder) is None
    assert ends_at(ladder, 0, T0) > T0 + 1000 * 7 * DAY
