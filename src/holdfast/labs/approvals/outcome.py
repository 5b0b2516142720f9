"""What the weeks under a policy came to: what people did, by the record of the store; and what it was worth, by the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from holdfast.figures import Figure, Interval, figures, wilson
from holdfast.figures.rows import decide_seconds, is_overridden, is_quick, is_weighed
from holdfast.journal.people import Judged
from holdfast.labs.approvals.living import Lived
from holdfast.labs.approvals.story import CLOSES, HOUR, OPENS, Story, midnight, week_of
from holdfast.labs.services.ledger import LedgerRow


@dataclass(frozen=True, kw_only=True)
class Rate:
    """overridden of weighed: decisions in which a plain yes was possible. interval: 95 % (Wilson); None of nothing."""

    overridden: int
    weighed: int

    @property
    def share(self) -> float | None:
        return self.overridden / self.weighed if self.weighed else None

    @property
    def interval(self) -> Interval | None:
        return wilson(self.overridden, self.weighed)


@dataclass(frozen=True, kw_only=True)
class Week:
    """A week, from 0. asked, decided: in it; quick: of these, in under five seconds. seconds: half of the decisions took less.
    left_open: on its last evening. stamped: what a rubber-stamp alarm was raised about on its Friday."""

    number: int
    asked: int
    decided: int
    rate: Rate
    seconds: float | None
    quick: int
    left_open: int
    stamped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """asked: payouts of which a person was asked. open_max, age_median_hours, age_max_hours: of the queue, looked at each hour of
    each working day; the median is of all that was open at all of these looks. ages: of each working day, the median of its
    looks, in days. caught, let_through: frauds that were not paid, and that were; lost_usd: what these were about. stopped:
    honest payouts that were not paid. stamped, grew: alarms. rules: the figures of each rule."""

    book: str
    title: str
    asked: int
    rate: Rate
    seconds: float | None
    quick: int
    open_max: int
    age_median_hours: float | None
    age_max_hours: float | None
    caught: int
    let_through: int
    lost_usd: int
    stopped: int
    stamped: int
    grew: int
    weeks: Sequence[Week]
    ages: Sequence[float]
    rules: Sequence[Figure]


def outcome_of(lived: Lived, story: Story, ledger: Sequence[LedgerRow], title: str) -> Outcome:
    """What came of a policy. Frauds are counted in the ledger alone."""
    paid = paid_from(ledger, lived.book)
    frauds = [row for row in paid if row["detail"]["fraud"] == "yes"]
    there_are = sum(payout.fraud for payout in story.payouts)
    asked = [row for row in lived.judged if row.asked]
    looks = [looked for day in range(len(lived.left_open)) for looked in _looks(asked, day)]
    ages = [age for looked in looks for age in looked]
    kinds = [alarm.kind for _, alarm in lived.alarms]
    return Outcome(
        book=lived.book,
        title=title,
        asked=len(asked),
        rate=_rate(asked),
        seconds=_middle(asked),
        quick=_quick(asked),
        open_max=max((len(looked) for looked in looks), default=0),
        age_median_hours=median(ages) / HOUR if ages else None,
        age_max_hours=max(ages) / HOUR if ages else None,
        caught=there_are - len(frauds),
        let_through=len(frauds),
        lost_usd=sum(int(row["detail"]["usd"]) for row in frauds),
        stopped=len(story.payouts) - there_are - (len(paid) - len(frauds)),
        stamped=kinds.count("rubber_stamp"),
        grew=kinds.count("queue_grows"),
        weeks=list(_weeks(lived, asked)),
        ages=[_typical_days(asked, day) for day in range(len(lived.left_open))],
        # Nothing is open any more, so the time that ages are counted to does not matter.
        rules=figures(lived.judged, (), 0.0),
    )


def paid_from(ledger: Sequence[LedgerRow], book: str) -> list[LedgerRow]:
    """The payouts that were made from a book."""
    return [row for row in ledger if row["subject"].startswith(f"{book}/")]


def payout_in(row: LedgerRow) -> str:
    """Which payout it was."""
    return row["subject"].partition("/")[2]


def _weeks(lived: Lived, asked: Sequence[Judged]) -> Iterator[Week]:
    for number in range(-(-len(lived.left_open) // 5)):
        decided = [row for row in asked if row.decided_at is not None and week_of(row.decided_at) == number]
        stamps = [alarm for week, alarm in lived.alarms if week == number and alarm.kind == "rubber_stamp"]
        yield Week(
            number=number,
            asked=sum(week_of(row.at) == number for row in asked),
            decided=len(decided),
            rate=_rate(decided),
            seconds=_middle(decided),
            quick=_quick(decided),
            left_open=lived.left_open[min(number * 5 + 4, len(lived.left_open) - 1)],
            stamped=tuple(alarm.name for alarm in stamps),
        )


def _rate(rows: Sequence[Judged]) -> Rate:
    return Rate(overridden=sum(map(is_overridden, rows)), weighed=sum(map(is_weighed, rows)))


def _middle(rows: Sequence[Judged]) -> float | None:
    times = [seconds for row in rows if (seconds := decide_seconds(row)) is not None]
    return median(times) if times else None


def _quick(rows: Sequence[Judged]) -> int:
    return sum(is_quick(row) is True for row in rows)


def _looks(asked: Sequence[Judged], day: int) -> list[list[float]]:
    """The ages of what is open at each hour of a working day, in seconds."""
    began = midnight(day)
    near = [row for row in asked if row.at <= began + CLOSES * HOUR and (row.decided_at or row.at) > began]
    times = [began + hour * HOUR for hour in range(OPENS + 1, CLOSES + 1)]
    return [[at - row.at for row in near if row.at <= at and (row.decided_at is None or at < row.decided_at)] for at in times]


def _typical_days(asked: Sequence[Judged], day: int) -> float:
    ages = [age for looked in _looks(asked, day) for age in looked]
    return median(ages) / (24 * HOUR) if ages else 0.0
