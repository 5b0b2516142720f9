"""When schedules fire, and what becomes of each of their times."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import schedule as s
from holdfast.core.schedule import CatchUp, Firing, Overlap, Ruling, Schedule, Standing
from holdfast.errors import UsageError

BERLIN, NEW_YORK, SYDNEY = "Europe/Berlin", "America/New_York", "Australia/Sydney"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def local(text: str, zone: str = "UTC", fold: int = 0) -> float:
    """Seconds since the epoch of a time as people there write it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def said(times: Any, zone: str = "UTC", count: int = 4) -> str:
    """The next times as people there write them."""
    return ", ".join(f"{datetime.fromtimestamp(one, ZoneInfo(zone)):%d %H:%M %Z}" for one in islice(times, count))


# --- cron lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 9 * * 1-5", BERLIN, "2026-01-02T09:00", "05 09:00 CET, 06 09:00 CET, 07 09:00 CET, 08 09:00 CET"),
        ("*/20 8-9 * * *", "UTC", "2026-01-02T08:30", "02 08:40 UTC, 02 09:00 UTC, 02 09:20 UTC, 02 09:40 UTC"),
        ("30 6 L * *", "UTC", "2026-01-02T00:00", "31 06:30 UTC, 28 06:30 UTC, 31 06:30 UTC, 30 06:30 UTC"),
        ("0 0 29 FEB *", "UTC", "2026-01-02T00:00", "29 00:00 UTC, 29 00:00 UTC, 29 00:00 UTC, 29 00:00 UTC"),
        ("0 12 * * MON#1", "UTC", "2026-01-02T00:00", "05 12:00 UTC, 02 12:00 UTC, 02 12:00 UTC, 06 12:00 UTC"),
        ("0 0 13 * FRI", "UTC", "2026-01-02T00:00", "09 00:00 UTC, 13 00:00 UTC, 16 00:00 UTC, 23 00:00 UTC"),
        ("@daily", NEW_YORK, "2026-01-02T09:00", "03 00:00 EST, 04 00:00 EST, 05 00:00 EST, 06 00:00 EST"),
        (" @Hourly ", "UTC", "2026-01-02T09:30", "02 10:00 UTC, 02 11:00 UTC, 02 12:00 UTC, 02 13:00 UTC"),
        ("@weekly", "UTC", "2026-01-02T09:30", "04 00:00 UTC, 11 00:00 UTC, 18 00:00 UTC, 25 00:00 UTC"),
        ("0 9 * * *", "Asia/Kathmandu", "2026-01-02T09:30", "03 09:00 +0545, 04 09:00 +0545, 05 09:00 +0545, 06 09:00 +0545"),
    ],
)
def test_a_line_fires_at_its_times_in_its_zone(line: str, zone: str, after: str, expected: str) -> None:
    """After a moment, in order; the moment itself does not count."""
    assert said(s.next_times(line, zone, local(after, zone)), zone) == expected


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        # Clocks go forward: from 2 to 3 in Europe and America, in the Australian spring, at midnight in Cairo.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", "29 03:00 CEST, 30 02:30 CEST"),
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", "08 03:00 EDT, 09 02:30 EDT"),
        ("30 2 * * *", SYDNEY, "2026-10-03T12:00", "04 03:00 AEDT, 05 02:30 AEDT"),
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", "24 01:00 EEST, 25 00:00 EEST"),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", "04 02:30 +11, 05 02:15 +11"),
        # Two times that do not exist and the one that they are moved to are one.
        ("0,30 2,3 * * *", BERLIN, "2026-03-28T12:00", "29 03:00 CEST, 29 03:30 CEST, 30 02:00 CEST, 30 02:30 CEST"),
        # A star follows the time that passes: what does not exist is left out.
        ("30 * * * *", BERLIN, "2026-03-29T01:00", "29 01:30 CET, 29 03:30 CEST, 29 04:30 CEST"),
        ("*/30 2 * * *", BERLIN, "2026-03-28T12:00", "30 02:00 CEST, 30 02:30 CEST"),
        ("*/30 0 * * *", "Africa/Cairo", "2026-04-23T12:00", "25 00:00 EEST, 25 00:30 EEST"),
        ("*/30 * 24 4 *", "Africa/Cairo", "2026-04-23T12:00", "24 01:00 EEST, 24 01:30 EEST"),
        ("*/30 0 24 4 *", "Africa/Cairo", "2026-04-20T12:00", "24 00:00 EET, 24 00:30 EET"),
        # Clocks go back: what exists twice fires the first time.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", "25 02:30 CEST, 26 02:30 CET"),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", "01 01:30 EDT, 02 01:30 EST"),
        ("30 2 * * *", SYDNEY, "2026-04-04T12:00", "05 02:30 AEDT, 06 02:30 AEST"),
        ("0 0 * * *", "Africa/Cairo", "2026-10-29T12:00", "30 00:00 EET, 31 00:00 EET"),
        # And with a star both times.
        ("30 * * * *", BERLIN, "2026-10-25T01:00", "25 01:30 CEST, 25 02:30 CEST, 25 02:30 CET, 25 03:30 CET"),
        ("*/30 1 * * *", NEW_YORK, "2026-10-31T12:00", "01 01:00 EDT, 01 01:30 EDT, 01 01:00 EST, 01 01:30 EST"),
        # Nothing happens to those around it.
        ("30 9 * * *", BERLIN, "2026-03-28T12:00", "29 09:30 CEST, 30 09:30 CEST"),
        ("30 9 * * *", BERLIN, "2026-10-24T12:00", "25 09:30 CET, 26 09:30 CET"),
    ],
)
def test_lines_are_right_over_the_changes_of_clocks(line: str, zone: str, after: str, expected: str) -> None:
    """As the module's text says it, in both hemispheres."""
    assert said(s.next_times(line, zone, local(after, zone)), zone, expected.count(",") + 1) == expected


def test_a_time_that_fired_before_the_clocks_went_back_does_not_fire_again_after_it() -> None:
    """Whoever asks in the second of the two hours is told of the next day."""
    between = local("2026-10-25T02:10", BERLIN, fold=1)
    assert said(s.next_times("30 2 * * *", BERLIN, between), BERLIN, 2) == "26 02:30 CET, 27 02:30 CET"
    assert said(s.next_times("30 * * * *", BERLIN, between), BERLIN, 2) == "25 02:30 CET, 25 03:30 CET"


LINES = ("30 2 * * *", "0,30 1-3 * * *", "*/15 * * * *", "5 */2 * * 0", "0 2 * 3,10 *", "59 23 * * *", "0 0 1 * *", "*/7 2 * * *")
ZONES = (BERLIN, NEW_YORK, SYDNEY, "Africa/Cairo", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "UTC")


@given(st.sampled_from(LINES), st.sampled_from(ZONES), st.integers(1_600_000_000, 1_900_000_000), st.integers(1, 60))
@settings(max_examples=300, deadline=None)
def test_times_do_not_depend_on_where_one_begins_to_count(line: str, zone: str, after: int, count: int) -> None:
    """Strictly later each time, and the same from each of them on: a worker that was away finds what the others found."""
    times = list(islice(s.next_times(line, zone, after), count))
    assert times[0] > after
    assert all(one < other for one, other in pairwise(times))
    for place, time in enumerate(times[:-1]):
        assert next(s.next_times(line, zone, time)) == times[place + 1]


@given(st.integers(2015, 2035), st.sampled_from(ZONES), st.sampled_from(("30 2 * * *", "0 0 * * *", "59 23 * * *", "15 1 * * *")))
@settings(max_examples=200, deadline=None)
def test_a_line_of_each_day_fires_once_on_each_day(year: int, zone: str, line: str) -> None:
    """Whatever is done to the clocks on it."""
    first = datetime(year, 1, 1, tzinfo=ZoneInfo(zone)).timestamp() - 1
    days = Counter(datetime.fromtimestamp(one, ZoneInfo(zone)).date() for one in islice(s.next_times(line, zone, first), 365))
    assert set(days.values()) == {1}
    assert len(days) == 365


@pytest.mark.parametrize(
    ("line", "zone", "what"),
    [
        ("61 * * * *", "UTC", "cannot be read: bad minute — five fields"),
        ("0 24 * * *", "UTC", "cannot be read: bad hour"),
        ("0 0 32 * *", "UTC", "cannot be read: bad day-of-month"),
        ("0 0 * 13 *", "UTC", "cannot be read: bad month"),
        ("0 0 * * 8", "UTC", "cannot be read: bad day-of-week"),
        ("5-1 * * * *", "UTC", "cannot be read: bad minute"),
        ("* * *", "UTC", "the cron line '* * *' cannot be read — five fields"),
        ("0 * * * * *", "UTC", "cannot be read — five fields"),
        ("", "UTC", "cannot be read — five fields"),
        ("@dayly", "UTC", "or one of @hourly, @daily"),
        ("0 9 * * *", "Europe/Berlim", "'Europe/Berlim' is no time zone — give an IANA name"),
        ("0 9 * * *", "", "'' is no time zone"),
        ("0 9 * * *", "../etc/passwd", "is no time zone"),
        ("0 9 * * *", "Europe", "'Europe' is no time zone"),
    ],
)
def test_a_line_or_zone_that_cannot_be_read_is_refused_at_once(line: str, zone: str, what: str) -> None:
    """Before any time is asked for, with what may stand there."""
    with pytest.raises(UsageError) as refusal:
        s.next_times(line, zone, NOON)
    assert what in str(refusal.value)


@pytest.mark.parametrize("line", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6 *", "* * */20 * 1L", "0 0 */31 2 1#5"])
def test_a_line_that_never_fires_is_refused_when_it_is_scheduled(line: str) -> None:
    """One clear error; it has no times."""
    assert list(s.next_times(line, BERLIN, NOON)) == []
    with pytest.raises(UsageError, match="never fires"):
        s.begun(daily(cron=line), NOON)


@given(st.text(alphabet="0123456789*/,-#LWmonFEB @", max_size=20), st.booleans())
@settings(max_examples=500, deadline=None)
def test_whatever_is_written_is_read_or_refused(line: str, padded: bool) -> None:
    """No text makes anything else of it."""
    try:
        times = s.next_times(line + " * * * *" * padded, BERLIN, NOON)
    except UsageError:
        return
    assert all(time > NOON for time in islice(times, 2))


# --- moments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        NOON,
        int(NOON),
        datetime.fromtimestamp(NOON, UTC),
        datetime.fromtimestamp(NOON, timezone(timedelta(hours=5))),
        datetime.fromtimestamp(NOON, ZoneInfo(BERLIN)),
        "2026-06-01T12:00Z",
        " 2026-06-01 14:00:00+02:00 ",
        "20260601T120000Z",
    ],
)
def test_a_moment_is_taken_in_each_form_that_has_a_zone(given: object) -> None:
    """Numbers are seconds since the epoch."""
    assert s.moment_of(given) == NOON


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (
            "2026-06-01T12:00",
            "at: 2026-06-01T12:00:00 has no zone, so it is another time on each machine — write 2026-06-01T12:00:00Z",
        ),
        (datetime(2026, 6, 1, 12), "has no zone"),  # noqa: DTZ001
        ("2026-06-01", "has no zone"),
        ("tomorrow", "'tomorrow' is no time — write it as 2026-12-01T09:00+01:00"),
        ("", "'' is no time"),
        (True, "bool is no time"),
        (None, "NoneType is no time"),
        (float("nan"), "nan is no time"),
        (1e300, "is no time"),
    ],
)
def test_a_moment_that_cannot_be_one_is_refused(given: object, what: str) -> None:
    """A time without a zone above all."""
    with pytest.raises(UsageError) as refusal:
        s.moment_of(given)
    assert what in str(refusal.value)


def test_the_id_of_a_run_is_that_of_its_time_in_utc() -> None:
    """The same in every worker, whatever its zone."""
    assert s.run_id_of("daily", local("2026-11-21T10:00", BERLIN)) == "daily-20261121T090000Z"


# --- schedules ----------------------------------------------------------------------------------------------------


def daily(**of: Any) -> Schedule:
    """A schedule of each hour, unless it is said otherwise."""
    wanted: dict[str, Any] = {"name": "s", "agent": "clerk", **of}
    return Schedule(**wanted) if "cron" in wanted or "at" in wanted else Schedule(**wanted, cron="0 * * * *")


@pytest.mark.parametrize(
    ("of", "what"),
    [
        ({"name": ""}, "is no name for a schedule"),
        ({"name": "a b"}, "is no name for a schedule"),
        ({"name": "n" * 161}, "is no name for a schedule"),
        ({"cron": "0 * * * *", "at": NOON + 1}, "needs either a cron line or a time"),
        ({"cron": None, "at": None}, "needs either a cron line or a time"),
        ({"at": NOON}, "its time has passed — name one that is to come, or start the run at once"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"cron": "x"}, "cannot be read"),
        ({"overlap": "wait"}, "overlap cannot be 'wait' — it is one of skip, queue, replace"),
        ({"catch_up": "some"}, "catch_up cannot be 'some' — it is one of none, last, all"),
        ({"catch_up_max": 0}, "catch_up_max lies between 1 and 1000"),
        ({"queue_max": 100_000}, "queue_max lies between 1 and 1000"),
        ({"late_seconds": DAY}, "late_seconds lies between 1 and 3600"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(of: dict[str, Any], what: str) -> None:
    """One clear error each."""
    with pytest.raises(UsageError) as refusal:
        s.begun(daily(**of), NOON)
    assert what in str(refusal.value)


def test_a_new_schedule_counts_from_now() -> None:
    """The time at which it is made does not fire."""
    found = s.begun(daily(), NOON)
    assert (found.ruled_until, found.next_at, found.revision, found.schedule.created_at) == (NOON, NOON + HOUR, 0, NOON)
    assert s.begun(daily(at=NOON + 7), NOON).next_at == NOON + 7
    assert s.is_same(found.schedule, daily())
    assert not s.is_same(found.schedule, daily(goal="other"))


# --- rulings ------------------------------------------------------------------------------------------------------


def standing(*, running: str = "", waiting: tuple[float, ...] = (), since: float = NOON, **of: Any) -> Standing:
    """A schedule of each hour that was looked at at noon."""
    new = s.begun(daily(**of), since)
    return msgspec.structs.replace(new, current=running, running=bool(running), waiting=tuple(NOON + at * HOUR for at in waiting))


def became(ruling: Ruling | None) -> dict[str, str]:
    """What became of which hour."""
    assert ruling is not None
    found: dict[str, str] = {}
    for one in ruling.firings:
        hours = f"{(one.planned_at - NOON) / HOUR:g}" + (f"-{(one.until - NOON) / HOUR:g}" if one.count > 1 else "")
        assert hours not in found, "each time becomes one thing"
        found[hours] = one.became + (" late" if one.caught_up else "")
    return found


ON_TIME = NOON + HOUR + 0.5
BACK = NOON + 5.25 * HOUR
JUST_BACK = NOON + 5 * HOUR + 1


@pytest.mark.parametrize(
    ("given", "now", "expected", "waiting"),
    [
        # Nothing goes on.
        ({}, ON_TIME, {"1": "begun"}, ()),
        ({"overlap": "queue"}, ON_TIME, {"1": "begun"}, ()),
        ({"overlap": "replace"}, ON_TIME, {"1": "begun"}, ()),
        ({"at": NOON + HOUR}, ON_TIME, {"1": "begun"}, ()),
        # The run before goes on.
        ({"running": "r"}, ON_TIME, {"1": "skipped"}, ()),
        ({"running": "r", "overlap": "queue"}, ON_TIME, {"1": "waiting"}, (1,)),
        ({"running": "r", "overlap": "queue", "waiting": (-1,)}, ON_TIME, {"1": "waiting"}, (-1, 1)),
        ({"running": "r", "overlap": "queue", "waiting": (-1,), "queue_max": 1}, ON_TIME, {"1": "dropped"}, (-1,)),
        ({"running": "r", "overlap": "replace"}, ON_TIME, {"1": "waiting"}, (1,)),
        ({"running": "r", "overlap": "replace", "waiting": (-1,)}, ON_TIME, {"-1": "replaced", "1": "waiting"}, (1,)),
        # It has ended, and others wait.
        ({"overlap": "queue", "waiting": (-2, -1)}, NOON + 1, {"-2": "begun"}, (-1,)),
        ({"overlap": "queue", "waiting": (-2, -1)}, ON_TIME, {"-2": "begun", "1": "waiting"}, (-1, 1)),
        ({"overlap": "replace", "waiting": (-1,)}, NOON + 1, {"-1": "begun"}, ()),
        ({"overlap": "replace", "waiting": (-1,)}, ON_TIME, {"-1": "replaced", "1": "begun"}, ()),
        ({"waiting": (-2, -1)}, ON_TIME, {"-2": "begun", "1": "skipped"}, (-1,)),
        # Nobody was there for hours.
        ({"catch_up": "none"}, BACK, {"1-5": "missed"}, ()),
        ({"catch_up": "last"}, BACK, {"1-4": "missed", "5": "begun late"}, ()),
        ({"catch_up": "all"}, BACK, {"1": "begun late", **{str(n): "waiting late" for n in (2, 3, 4, 5)}}, (2, 3, 4, 5)),
        ({"catch_up": "all", "catch_up_max": 2}, BACK, {"1-3": "missed", "4": "begun late", "5": "waiting late"}, (5,)),
        ({"catch_up": "none", "at": NOON + HOUR}, BACK, {"1": "missed"}, ()),
        ({"catch_up": "last", "at": NOON + HOUR}, BACK, {"1": "begun late"}, ()),
        # And the last one is in time.
        ({"catch_up": "none"}, JUST_BACK, {"1-4": "missed", "5": "begun"}, ()),
        ({"catch_up": "last"}, JUST_BACK, {"1-4": "missed", "5": "begun"}, ()),
        ({"catch_up": "all", "catch_up_max": 2}, JUST_BACK, {"1-2": "missed", "3": "begun late", "4": "waiting late", "5": "skipped"}, (4,)),
        (
            {"catch_up": "all", "catch_up_max": 2, "overlap": "queue"},
            JUST_BACK,
            {"1-2": "missed", "3": "begun late", "4": "waiting late", "5": "waiting"},
            (4, 5),
        ),
        (
            {"catch_up": "all", "catch_up_max": 2, "overlap": "replace"},
            JUST_BACK,
            {"1-2": "missed", "3": "replaced late", "4": "replaced late", "5": "begun"},
            (),
        ),
        # Both.
        ({"running": "r", "catch_up": "last"}, BACK, {"1-4": "missed", "5": "skipped late"}, ()),
        ({"running": "r", "catch_up": "last", "overlap": "replace"}, BACK, {"1-4": "missed", "5": "waiting late"}, (5,)),
        ({"running": "r", "catch_up": "all", "catch_up_max": 2}, BACK, {"1-3": "missed", "4": "waiting late", "5": "waiting late"}, (4, 5)),
        (
            {"running": "r", "catch_up": "all", "overlap": "queue", "queue_max": 2},
            BACK,
            {"1": "waiting late", "2": "waiting late", "3": "dropped late", "4": "dropped late", "5": "dropped late"},
            (1, 2),
        ),
    ],
)  # fmt: skip
def test_each_time_becomes_one_thing(
    given: dict[str, Any], now: float, expected: dict[str, str], waiting: tuple[int, ...]
) -> None:
    """By the policies, what goes on, and how late it is."""
    before = standing(**given)
    ruling = s.rule(before, now)
    assert became(ruling) == expected
    assert ruling is not None
    after = ruling.standing
    assert after.waiting == tuple(NOON + at * HOUR for at in waiting)
    begun = [one for one in ruling.firings if one.became == "begun"]
    assert ruling.begins == (begun[0].planned_at if begun else None)
    assert (after.current, after.running) == ((begun[0].run_id, True) if begun else (before.current, before.running))
    assert all(one.why or one.became == "begun" for one in ruling.firings), "whatever does not begin says why"
    assert bool(ruling.cancels) == (given.get("overlap") == "replace" and "running" in given)
    # Ruled on again at the same moment, there is nothing more, unless one waits and nothing goes on.
    assert s.rule(msgspec.structs.replace(after, running=True), now) is None


@pytest.mark.parametrize("given", [{}, {"running": "r"}, {"running": "r", "waiting": (-1,)}, {"at": NOON + 2 * HOUR}])
def test_there_is_nothing_to_rule_before_a_time_has_come(given: dict[str, Any]) -> None:
    """Nor where a clock was set back."""
    assert s.rule(standing(**given), NOON + 60) is None
    assert s.rule(standing(**given), NOON - DAY) is None


def test_nothing_of_a_paused_schedule_begins() -> None:
    """Neither a time that has come nor one that waits; both are there when it is resumed, as far as they may be."""
    paused = s.paused(standing(overlap="queue", waiting=(-1,))).standing
    assert s.rule(paused, BACK) is None
    ruling = s.resumed(paused, BACK)
    assert became(ruling) == {"1-5": "paused"}
    assert (ruling.standing.paused, ruling.standing.next_at) == (False, NOON + 6 * HOUR)
    assert became(s.rule(ruling.standing, BACK)) == {"-1": "begun"}
    assert s.resumed(s.paused(standing(since=NOON)).standing, NOON + 1).firings == ()


def test_a_schedule_that_is_changed_counts_anew() -> None:
    """What waits is dropped, what has passed unseen is missed, the run that goes on is still known."""
    ruling = s.changed(standing(running="r", overlap="queue", waiting=(-1,)), daily(cron="30 * * * *", overlap="queue"), BACK)
    assert became(ruling) == {"-1": "dropped", "1-5": "missed"}
    assert (ruling.standing.next_at, ruling.standing.current, ruling.standing.waiting) == (NOON + 5.5 * HOUR, "r", ())


def test_a_run_that_cannot_begin_leaves_the_schedule_as_it_was() -> None:
    """The time is used up, and says why; the next one is tried."""
    before = standing()
    ruling = s.rule(before, ON_TIME)
    assert ruling is not None
    refused = s.refused(before, ruling, "the input city is missing")
    assert [(one.became, one.run_id, one.why) for one in refused.firings] == [("refused", "", "the input city is missing")]
    assert (refused.begins, refused.standing.current, refused.standing.running) == (None, "", False)
    assert refused.standing.next_at == NOON + 2 * HOUR


@pytest.mark.parametrize("catch_up", get_args(CatchUp))
def test_a_very_long_time_away_is_ruled_on_in_parts(catch_up: CatchUp) -> None:
    """A year of minutes does not hold a worker up, and comes to the same."""
    now = NOON + 7 * DAY + 1
    found = standing(cron="* * * * *", catch_up=catch_up, catch_up_max=1000)
    firings: list[Firing] = []
    turns = 0
    while (ruling := s.rule(found, now)) is not None and turns < 100:
        assert len(ruling.firings) <= s.TIMES_MAX
        firings += ruling.firings
        found = msgspec.structs.replace(ruling.standing, running=True)
        turns += 1
    assert 2 < turns < 20
    assert found.next_at == NOON + 7 * DAY + 60
    counted = Counter[str]()
    for one in firings:
        counted[one.became] += one.count
    minutes = 7 * 24 * 60
    if catch_up == "all":
        assert counted == {"missed": minutes - 1001, "begun": 1, "waiting": 999, "skipped": 1}
    else:
        assert counted["missed"] == minutes - 1
        assert counted["begun"] == 1


# --- all of it ----------------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_was_begun_skipped_and_missed_is_what_the_line_says(data: st.DataObject) -> None:
    """Whatever the policies, the down-times and the lengths of runs: every time becomes one thing in the end, no two runs of
    it go on at once, and nothing else begins."""
    zone = data.draw(st.sampled_from((BERLIN, NEW_YORK, SYDNEY)))
    found = s.begun(
        daily(
            cron=data.draw(st.sampled_from(("*/20 * * * *", "0,30 1-3 * * *", "30 2 * * *", "*/15 2 * * *", "0 * * * *"))),
            timezone=zone,
            overlap=data.draw(st.sampled_from(get_args(Overlap))),
            catch_up=data.draw(st.sampled_from(get_args(CatchUp))),
            catch_up_max=data.draw(st.integers(1, 5)),
            queue_max=data.draw(st.integers(1, 3)),
        ),
        data.draw(st.sampled_from((local("2026-03-28T20:00", BERLIN), local("2026-10-24T20:00", BERLIN), NOON))),
    )
    begin = now = found.schedule.created_at
    ends_at = 0.0
    last: dict[float, Firing] = {}
    for _ in range(data.draw(st.integers(1, 25))):
        now += data.draw(st.sampled_from((1.0, 30.0, 300.0, 1200.0, 2 * HOUR, 9 * HOUR)))
        found = msgspec.structs.replace(found, running=found.running and ends_at > now)
        ruling = s.rule(found, now)
        if ruling is None:
            assert not found.waiting or found.running
            continue
        if ruling.begins is not None:
            assert not found.running, "two runs at once"
            ends_at = now + data.draw(st.sampled_from((1.0, 900.0, 3 * HOUR)))
        if ruling.cancels:
            ends_at = min(ends_at, now + data.draw(st.sampled_from((0.0, 60.0))))
        for one in ruling.firings:
            before = last.get(one.planned_at)
            assert before is None or before.became == "waiting", "what has become of a time stays"
            last[one.planned_at] = one
        found = ruling.standing
        assert tuple(sorted(found.waiting)) == found.waiting
        assert {time for time, one in last.items() if one.became == "waiting"} == set(found.waiting)
    planned: list[float] = []
    for time in s.next_times(found.schedule.cron or "", zone, begin):
        if time > now:
            break
        planned.append(time)
    told: list[float] = []
    for one in last.values():
        told += [time for time in planned if one.planned_at <= time <= one.until] if one.count > 1 else [one.planned_at]
        assert one.count == 1 or one.count == sum(one.planned_at <= time <= one.until for time in planned)
    assert sorted(told) == planned
