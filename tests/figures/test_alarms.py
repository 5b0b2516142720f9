"""When there is an alarm, and when there is none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.figures import Alarm, Thresholds, alarms
from holdfast.journal.people import Judged, OpenInterrupt
from tests.figures.rows import T0, asked, odd_rows, waiting

DAY = 86400.0
NOW = T0 + 30 * DAY


def decided(count: int, rejected: int = 0, seconds: float = 2.0, apart: float = 600.0, **of: Any) -> list[Judged]:
    """So many decisions of ann, each so long after it was shown and so far from the next."""
    return [
        asked(
            n, "reject" if n < rejected else "approve",
            **{"at": NOW - DAY, "decided_at": (at := NOW - n * apart), "seen_at": at - seconds, **of},
        )
        for n in range(1, count + 1)
    ]  # fmt: skip


def of_kind(kind: str, rows: list[Judged], open_ones: list[OpenInterrupt] | None = None, **of: Any) -> list[Alarm]:
    """The alarms of one kind."""
    return [alarm for alarm in alarms(rows, open_ones or [], NOW, Thresholds(**of)) if alarm.kind == kind]


# --- rubber stamps ------------------------------------------------------------------------------------------------


def test_everything_approved_in_seconds_is_a_rubber_stamp() -> None:
    """Of the person and of the rule, each with its evidence and by which thresholds."""
    person, rule = of_kind("rubber_stamp", decided(20))
    assert (person.of, person.name, person.decisions, person.approved, person.median_seconds) == ("person", "ann", 20, 20, 2.0)
    assert (rule.of, rule.name, rule.policy, rule.timed) == ("rule", "large", "refunds", 20)
    assert person.thresholds == Thresholds()
    assert person.what == "ann approved 20 of 20, half of them in under 2.0 s"


@pytest.mark.parametrize(
    "rows",
    [
        decided(19),
        decided(20, seconds=5.0),
        decided(40, rejected=4),
        decided(20, seen_at=None),
        decided(20, standing="s1"),
        decided(20, kind="question"),
        [msgspec.structs.replace(row, seen_at=None) if n > 8 else row for n, row in enumerate(decided(20))],
        decided(20, at=NOW - 9 * DAY, decided_at=NOW - 8 * DAY, seen_at=NOW - 8 * DAY - 1),
        decided(20, decided_at=NOW + 10, seen_at=NOW + 9),
    ],
    ids=[
        "too few",
        "slow enough",
        "refuses at times",
        "not known to be quick",
        "standing",
        "questions",
        "half unknown",
        "long ago",
        "to come",
    ],
)
def test_what_may_be_judgement_is_no_alarm(rows: list[Judged]) -> None:
    """Few, slow, not always yes, or not known."""
    assert of_kind("rubber_stamp", rows) == []


def test_everything_approved_in_bulk_is_one_too() -> None:
    """However long the one look took."""
    assert of_kind("rubber_stamp", decided(20, seconds=600.0, bulk=True))[0].bulk == 20
    mixed = [msgspec.structs.replace(row, bulk=n < 15) for n, row in enumerate(decided(20, seconds=600.0))]
    assert of_kind("rubber_stamp", mixed) == []
    assert len(of_kind("rubber_stamp", mixed, bulk_share=0.7)) == 2


def test_nineteen_of_twenty_is_enough() -> None:
    """Ninety-five in a hundred."""
    assert len(of_kind("rubber_stamp", decided(20, rejected=2))) == 2
    assert of_kind("rubber_stamp", decided(20, rejected=3)) == []


# --- too fast -----------------------------------------------------------------------------------------------------


def test_more_than_a_person_can_read_in_a_minute_is_an_alarm() -> None:
    """One by one, whatever was decided, and where it happened is said."""
    rows = decided(12, rejected=9, seconds=1.0, apart=5.0)
    (found,) = of_kind("too_fast", rows)
    assert (found.name, found.decisions, found.approved, found.until - found.since) == ("ann", 12, 4, 55.0)
    assert of_kind("too_fast", rows[1:]) == []
    assert of_kind("too_fast", rows, burst_seconds=55.0) == []
    assert of_kind("too_fast", decided(12, apart=5.0, bulk=True)) == []


def test_two_people_are_not_one_that_is_fast() -> None:
    """Each is counted alone."""
    rows = decided(12, apart=5.0)
    assert of_kind("too_fast", [msgspec.structs.replace(row, by=(f"p{n % 2}",)) for n, row in enumerate(rows)]) == []


# --- the queue ----------------------------------------------------------------------------------------------------


def test_a_queue_that_grows_old_is_an_alarm() -> None:
    """Of all and of the rule, with the age at each look."""
    waits = [waiting(n, asked_at=NOW - 8 * DAY) for n in range(12)]
    whole, rule = of_kind("queue_grows", [], waits)
    assert (whole.of, rule.of, rule.name, whole.open) == ("all", "rule", "large", 12)
    assert whole.ages_seconds == tuple(DAY * days for days in (1, 2.75, 4.5, 6.25, 8))


def test_a_queue_that_is_worked_off_is_none() -> None:
    """Its age stays; so do short queues, and those that began a moment ago."""
    steady = [asked(n, "approve", at=NOW - n * 3600, decided_at=NOW - n * 3600 + 40_000) for n in range(11, 400)]
    fresh = [waiting(n, asked_at=NOW - n * 3600) for n in range(1, 11)]
    assert of_kind("queue_grows", steady, fresh) == []
    assert of_kind("queue_grows", [], [waiting(n, asked_at=NOW - 8 * DAY) for n in range(9)]) == []
    assert of_kind("queue_grows", [], [waiting(n, asked_at=NOW - 60) for n in range(90)]) == []
    assert of_kind("queue_grows", [], [waiting(n, asked_at=NOW - 2 * DAY) for n in range(90)]) == []


def test_a_queue_that_was_old_and_is_young_again_is_none() -> None:
    """It has to grow from look to look, and to be twice as old as it was."""
    waits = [waiting(n, asked_at=NOW - 6 * DAY) for n in range(12)]
    # Older ones stood beside them until yesterday, so the age fell at the last look.
    old = [asked(n, "approve", at=NOW - 20 * DAY, decided_at=NOW - DAY) for n in range(20)]
    assert of_kind("queue_grows", old, waits, queue_growth=0.1) == []
    slow = [waiting(n, asked_at=NOW - 30 * DAY) for n in range(12)]
    assert of_kind("queue_grows", [], slow) == []
    assert len(of_kind("queue_grows", [], slow, queue_growth=1.2)) == 2


@given(st.lists(odd_rows, max_size=30), st.integers(0, 3), st.integers(0, 6))
def test_odd_rows_raise_nothing(rows: list[Judged], least: int, looks: int) -> None:
    """Whatever the thresholds."""
    bars = Thresholds(decisions_min=least, burst_decisions=least, open_min=least, looks=looks, seen_share=0, window_seconds=4e9)
    for alarm in alarms(rows, [waiting(n) for n in range(3)], T0 + 50, bars):
        assert alarm.what
