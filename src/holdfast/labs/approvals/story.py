"""What arrives when, and who is there to decide it: the calendar of the lab, and the runs of each day. All of it follows from the
seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.labs.services.payouts import Payout, payouts_of

BEGINS = 1_767_571_200.0
"""Monday, 5 January 2026, midnight UTC. Nothing in the lab reads a real clock but the services."""

HOUR, DAY = 3600.0, 86400.0
OPENS, CLOSES = 8, 18
"""Hours of a working day in which payouts arrive, people decide and the worker looks."""

TEAM = ("Amina", "Bruno", "Chidi", "Dana", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas")
APPROVER = "approver"


@dataclass(frozen=True, kw_only=True)
class Story:
    """seed: of payouts and people. count: of payouts; a_day: so many arrive each working day, a_run: so many of them in a run."""

    seed: int
    count: int = 2000
    a_day: int = 50
    a_run: int = 10

    @property
    def payouts(self) -> Sequence[Payout]:
        return payouts_of(self.seed)[: self.count]

    @property
    def days(self) -> int:
        """On how many working days something arrives."""
        return -(-self.count // self.a_day)

    def arrivals(self, day: int) -> Sequence[tuple[str, Sequence[Payout]]]:
        """The runs of a working day, by id."""
        today = self.payouts[day * self.a_day : (day + 1) * self.a_day]
        cut = [today[at : at + self.a_run] for at in range(0, len(today), self.a_run)]
        return [(f"day-{day + 1:02}-{number}", some) for number, some in enumerate(cut, 1)]


def midnight(day: int) -> float:
    """When a working day begins, from 0; there is none on weekends."""
    return BEGINS + (day // 5 * 7 + day % 5) * DAY


def week_of(at: float) -> int:
    """The number of the week of a moment, from 0."""
    return int((at - BEGINS) // (7 * DAY))
