"""Ask or infer: the cost of asking against the cost of being wrong."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.asking import asking_for, weigh
from holdfast.core.thinking import Asking
from tests.core.mind import question

CHEAP = Asking(cost_of_asking=1.0, cost_of_wrong=5.0)


@pytest.mark.parametrize(
    ("guess", "asking", "asks", "why"),
    [
        ({"guess": "SF", "confidence": 1.0}, Asking(policy="always"), True, "always asked"),
        ({}, Asking(policy="never"), True, "nothing to take instead"),
        ({}, CHEAP, True, "nothing to take instead"),
        ({"guess": None, "confidence": 0.9}, Asking(policy="never"), False, "nobody is ever asked"),
        ({"guess": "SF", "confidence": 0.0}, Asking(policy="never"), False, "nobody is ever asked"),
        ({"guess": "SF", "confidence": 0.81}, CHEAP, False, "wrong at 19%, times 5, is 0.95; asking costs 1"),
        ({"guess": "SF", "confidence": 0.75}, Asking(cost_of_asking=1.25), False, "is 1.25; asking costs 1.25"),
        ({"guess": "SF", "confidence": 0.79}, CHEAP, True, "is 1.05; asking costs 1"),
        ({"guess": "SF", "confidence": 7.0}, CHEAP, True, "wrong at 100%"),
        ({"guess": "SF", "confidence": -1.0}, CHEAP, True, "wrong at 100%"),
        ({"guess": "SF", "confidence": float("nan")}, CHEAP, True, "wrong at 100%"),
        ({"guess": "SF", "confidence": 0.5}, Asking(cost_of_asking=0.0, cost_of_wrong=0.0), False, "asking costs 0"),
    ],
)
def test_a_guess_is_taken_where_being_wrong_costs_no_more_than_asking(
    guess: dict[str, Any], asking: Asking, asks: bool, why: str
) -> None:
    """With the reason, in figures. Without a guess a person is asked, whatever the policy."""
    found = weigh(question(**guess), asking)
    assert (found.ask, why in found.why) == (asks, True), found


def test_a_name_has_its_own_policy_or_that_for_all_others() -> None:
    """Else it is weighed."""
    mine, others = Asking(policy="always"), Asking(policy="never")
    assert asking_for("pin", {"pin": mine, "": others}) is mine
    assert asking_for("city", {"pin": mine, "": others}) is others
    assert asking_for("city", {"pin": mine}) == Asking()
