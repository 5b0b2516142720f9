"""What arrives when, and who is there to decide it: the calendar of the lab. All of it follows from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.labs.services.payouts import COUNT, Payout, payouts_of

BEGINS = 1_767_571_200.0
"""Monday, 5 January 2026, midnight UTC. Nobody in the lab but the services reads a real clock."""

HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0
OPENS, CLOSES = 8, 18
"""The hours of a working day between which payouts arrive, people decide and the worker looks."""

TEAM = ("Amina", "Bruno", "Chidi", "Dana", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas")
APPROVER = "approver"


@dataclass(frozen=True, kw_only=True)
class Story:
    """seed: of the payouts and of the people. count: of the payouts; a_day: so many arrive each working day. kill_day: on which
    one, from 0, the worker is killed."""

    seed: int
    count: int = COUNT
    a_day: int = 50
    kill_day: int = 12

    @property
    def payouts(self) -> Sequence[Payout]:
        return payouts_of(self.seed)[: self.count]

    def arrivals(self, day: int) -> Sequence[Payout]:
        """What arrives on a working day."""
        return self.payouts[day * self.a_day : (day + 1) * self.a_day]


def midnight(day: int) -> float:
    """When a working day begins, counted from 0; weekends are between them."""
    weeks, weekday = divmod(day, 5)
    return BEGINS + weeks * WEEK + weekday * DAY


def week_of(at: float) -> int:
    """The number of the week of a moment, from 0."""
    return int((at - BEGINS) // WEEK)
