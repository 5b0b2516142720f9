"""What a run believes: who is believed over whom, what may be acted on, and names."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.facts import (
    NAME_MAX,
    RANK,
    Fact,
    Source,
    beneath,
    could_be,
    is_change,
    is_guess,
    name_problem,
    named,
    outlived,
    places,
    replaces,
    same_value,
    value_bytes,
)
from tests import strategies as s

sources = st.sampled_from(get_args(Source))


def fact(name: str = "x", value: Any = 1, **fields: Any) -> Fact:
    """A fact as of now."""
    return Fact(name=name, value=value, **fields)


@given(sources, sources, st.booleans(), st.booleans())
def test_a_guess_takes_the_place_of_a_guess_alone(new: Source, old: Source, pinned: bool, confirmed: bool) -> None:
    """What is seen or said takes every place; a guess that a person confirmed is said."""
    before = fact(source=old, pinned=pinned, confirmed_by="ann" if confirmed else "")
    if RANK[new] >= RANK["observed"]:
        assert replaces(fact(source=new), before)
    else:
        allowed = RANK[old] < RANK["observed"] and not pinned and not confirmed and RANK[new] >= RANK[old]
        assert replaces(fact(source=new), before) is allowed
        assert replaces(fact(source=new, confirmed_by="bob"), before)
    assert replaces(fact(source=new), None)


def test_what_is_believed_no_more_may_be_guessed_but_not_over_a_persons_word() -> None:
    """A person's correction is only corrected by a person, or measured."""
    guess = fact(source="inferred")
    assert replaces(guess, fact(source="observed", stale=True))
    assert not replaces(guess, fact(source="told", stale=True, pinned=True))
    assert replaces(fact(source="observed"), fact(source="told", pinned=True))


def test_a_change_is_another_value_of_what_was_believed() -> None:
    """The same value is none, nor is one for what was believed no more."""
    assert is_change(fact(value=2), fact(value=1))
    assert not is_change(fact(value=1), fact(value=1.0, source="inferred"))
    assert not is_change(fact(value=2), fact(value=1, stale=True))
    assert not is_change(fact(value=2), None)
    assert is_change(fact(value=True), fact(value=1)), "JSON has both"


@given(s.json_values)
def test_a_value_is_the_same_as_itself(value: Any) -> None:
    """Whatever it is made of."""
    assert same_value(value, value)
    assert not same_value([value], [value, value])
    assert value_bytes(value) > 0


@pytest.mark.parametrize(
    ("one", "other"), [([True], [1]), ({"a": False}, {"a": 0}), ({"a": 1}, {"b": 1}), ([1], [1, 1]), ("1", 1), (None, 0)]
)
def test_values_that_python_would_mix_up_are_not_the_same(one: Any, other: Any) -> None:
    """At any depth."""
    assert not same_value(one, other) and not same_value(other, one)


def test_a_fact_is_as_old_as_the_oldest_that_it_rests_on() -> None:
    """Each that is too old is named, by whatever way; a circle is walked once."""
    facts = {
        "a": fact("a", at=100.0, rests_on=("b", "steps.s", "gone")),
        "b": fact("b", at=100.0, ttl_seconds=10.0, rests_on=("c", "a")),
        "c": fact("c", stale=True),
    }
    assert outlived(facts, "a", 105.0) == ("c",)
    assert set(outlived(facts, "a", 110.0)) == {"b", "c"}, "it holds up to, not through, its time to live"
    assert outlived(facts, "gone", 0.0) == ()
    assert [one.name for one in beneath(facts, ("b",))] == ["b", "c", "a"]


def test_only_what_nobody_saw_said_or_confirmed_is_a_guess() -> None:
    """A memory is one: it was so in another run."""
    assert [source for source in get_args(Source) if is_guess(fact(source=source))] == ["inferred", "remembered"]
    assert not is_guess(fact(source="inferred", confirmed_by="ann"))


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[1m", "x" * (NAME_MAX + 1), None, 7, "steps.a", "\u202e"])
def test_what_is_no_name(name: Any) -> None:
    """It could not be shown, or means something else; said in printable words."""
    problem = name_problem(name)
    assert problem is not None and problem.isprintable() and len(problem) < 200


@pytest.mark.parametrize("name", ["price", "seats UA 1", "höchster Preis", "offer.price", "x" * NAME_MAX])
def test_what_is_a_name(name: str) -> None:
    """Any words that can be shown."""
    assert name_problem(name) is None


def test_arguments_stand_in_names() -> None:
    """A text as it is, the rest as JSON; what is not there makes no name."""
    assert places("seats {flight} on {day}") == ("flight", "day")
    assert named("seats {flight} on {day}", {"flight": "UA1", "day": 3}) == "seats UA1 on 3"
    assert named("seats {flight}", {"flight": {"id": 1}}) == 'seats {"id":1}'
    assert named("seats {flight}", {}) is None
    assert named("seats {flight}", {"flight": None}) is None
    assert named("seats {flight}", {"flight": "a\nb"}) is None
    assert named("{a}", {"a": "{b}", "b": "no"}) == "{b}", "an argument is put in once"
    assert named("price", {}) == "price"


@given(st.text(alphabet="abc {}", min_size=1, max_size=8), s.json_values)
def test_a_name_that_was_made_could_have_been(pattern: str, value: Any) -> None:
    """Whatever is put in."""
    made = named(pattern, dict.fromkeys(places(pattern), value))
    assert made is None or "" in dict.fromkeys(places(pattern), value).values() or could_be(pattern, made)


def test_a_name_is_looked_for_by_its_pattern() -> None:
    """Its dots are dots."""
    assert could_be("seats {flight}", "seats UA1")
    assert not could_be("seats {flight}", "seats ")
    assert not could_be("offer.price", "offer_price")
    assert could_be("offer.price", "offer.price")
