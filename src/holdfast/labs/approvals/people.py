"""The ten approvers. They are a model, made up for this lab: plain, seeded, and NO evidence about real people.

What it says: a person sits down twice a day and decides as many payouts as they can bear. How closely they look falls with
the number of payouts that are open when they sit down, and with weariness, which a deep queue brings and an empty one
takes away. Who looks closely takes minutes, stops nine of ten frauds, and now and then an honest payout that looks odd.
Who does not look takes seconds and stops next to nothing. Other numbers than those below give other figures, so what the lab
shows is what the figures make of such people, and not what people are like. The model is told which payouts are frauds, to draw
whether a person sees it; agent, policies and figures are not.
"""

from __future__ import annotations

import random

from holdfast.labs.approvals.story import HOUR, midnight
from holdfast.labs.services.payouts import Payout

BEARABLE = 2
"""Payouts that a person decides at a sitting, whatever else happens."""
ONE_MORE = 0.35
"""How often it is one more where the attention is whole."""
SITTINGS = ((8.2, 11.5), (13.0, 16.5))
"""Within which hours of the day each of them begins."""

DEEP = 85.0
"""With so many open, half of the attention is left; a good deal more, and nothing is."""
STEEPNESS = 8
WEARINESS_A_DAY = 0.08
"""Gained in a day with twice as many open as is deep, lost in one with nothing open."""
WEARINESS_MAX = 0.9

CAREFUL_SECONDS = 330.0
UNREAD_SECONDS = 3.0
SEEN_OF_FRAUDS = 0.9
DOUBTED_ODD, DOUBTED_PLAIN = 0.05, 0.002
"""Of honest payouts, those that a careful person stops: of odd ones, and of all others."""


class Approver:
    """One person. Every draw is of the seed, the person and the payout or the day, so the same payout is looked at with the same
    eyes under each policy."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self._seed = seed
        self._weariness = 0.0

    def sittings(self, day: int) -> list[float]:
        """When the person sits down on a working day."""
        draw = random.Random(f"{self._seed} {self.name} day {day}")
        return [midnight(day) + draw.uniform(*hours) * HOUR for hours in SITTINGS]

    def bears(self, at: float, attention: float) -> int:
        """How many payouts the person decides at a sitting."""
        draw = random.Random(f"{self._seed} {self.name} at {at}")
        return BEARABLE + (draw.random() < ONE_MORE * attention)

    def attention(self, waiting: int) -> float:
        """How closely the person looks, from 0 to 1, with so many open."""
        return (1 - self._weariness) / (1 + (waiting / DEEP) ** STEEPNESS)

    def evening(self, waiting: int) -> None:
        """A day is over, with so many open."""
        gained = WEARINESS_A_DAY * (min(waiting / DEEP, 2.0) - 1.0)
        self._weariness = min(WEARINESS_MAX, max(0.0, self._weariness + gained))

    def seconds(self, payout: Payout, attention: float) -> float:
        """How long a look takes, in whole tenths."""
        pace = random.Random(f"{self._seed} {payout.name} pace").uniform(0.7, 1.3)
        return round(pace * (UNREAD_SECONDS + attention * CAREFUL_SECONDS), 1)

    def stops(self, payout: Payout, attention: float) -> bool:
        """Whether the person says no."""
        chance = SEEN_OF_FRAUDS if payout.fraud else DOUBTED_ODD if looks_odd(payout) else DOUBTED_PLAIN
        return random.Random(f"{self._seed} {payout.name} eyes").random() < chance * attention


def looks_odd(payout: Payout) -> bool:
    """Two of three: large, from a young account, opened elsewhere."""
    return (payout.usd > 800) + (payout.days < 120) + (payout.country != payout.opened_in) >= 2
