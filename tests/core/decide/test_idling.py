"""Turns that teach nothing: the same failure again, the same sight in other words; and what the run says of them at its end."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.limits import Limits
from tests.core.mind import Mind
from tests.core.story import step, tool

READ = tool("look")
KEYED = tool("pay", "keyed")
LONG = [{"page": 12, "text": "The warranty covers the motor for five years."}, {"page": 13, "text": "Not the battery."}]


def idling(turns: int = 3, **limits: Any) -> Mind:
    """A run that acts step by step, and may idle so often."""
    return Mind(READ, KEYED, limits=Limits(idle_turns_max=turns, **limits))


def act(mind: Mind, name: str, called: str, **args: Any) -> None:
    """The model makes one call, which begins where it may."""
    mind.plan(step(name, called, args=args, on_failure="replan"))
    mind.decide()


def test_a_call_that_is_refused_again_and_again_teaches_nothing() -> None:
    """The first refusal is news, for it says why; the run stops with what stood in the way."""
    mind = idling()
    act(mind, "a", "pay", order="17")
    mind.fail("a", "invalid_input", message="an order has six digits").decide()
    number = 1
    while not mind.ended and number < 10:
        number += 1
        act(mind, f"a{number}", "pay", order="17")
    assert (mind.ended, number) == ("failed", 5)
    assert len(mind.events(e.CallIntended)) == 1
    assert mind.run.reason == (
        "3 turns of the reasoner in a row taught nothing new; the last one called pay: invalid_input: the same call failed in "
        "step a, and nothing has changed since: an order has six digits"
    )


@pytest.mark.parametrize(("value", "ends"), [(LONG, True), ([], False), ({"free": False}, False)])
def test_the_same_long_sight_in_other_words_teaches_nothing(value: Any, ends: bool) -> None:
    """A short one answers its question: that a second hotel is full is news."""
    mind = idling()
    for number in range(1, 5):
        act(mind, f"a{number}", "look", words=f"in words {number}")
        mind.succeed(f"a{number}", value).decide()
    assert (mind.ended == "failed") is ends
    if ends:
        assert mind.run.reason.endswith("taught nothing new; the last one called look: the result was known already")


def test_an_effect_in_other_words_is_another_effect() -> None:
    """However alike the answers are: each did something."""
    mind = idling()
    for number in range(1, 6):
        act(mind, f"a{number}", "pay", order=str(number))
        mind.succeed(f"a{number}", LONG).decide()
    assert not mind.ended


def test_other_failures_of_the_same_call_are_news() -> None:
    """They say something else."""
    mind = idling(turns=2)
    act(mind, "a", "look", words="x")
    mind.fail("a", "invalid_input", message="too short").decide()
    for number, words in enumerate(("xx", "xxx", "xxxx", "xxxxx")):
        act(mind, f"b{number}", "look", words=words)
        mind.fail(f"b{number}", "invalid_input", message="too short").decide()
    assert not mind.ended, "other arguments are another call"


def test_a_run_that_is_asked_too_often_says_how_often() -> None:
    """In words, with the name of the bound."""
    mind = idling(turns_max=2)
    for number in (1, 2):
        act(mind, f"a{number}", "look", words=str(number))
        mind.succeed(f"a{number}", number).decide()
    assert mind.run.reason == "the reasoner was asked 2 times, which is the limit (turns_max)"
