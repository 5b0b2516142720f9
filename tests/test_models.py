"""Which models an agent asks: names, routes, prices, and what is wrong with them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from holdfast import Agent, Breaker, DefinitionError, Price
from holdfast.models import CONTEXT_BYTES_MAX, FREE, Models, models_of, result_schema_of
from holdfast.testing.models import ScriptedModel

STRONG, CHEAP, SPARE = "anthropic:claude-sonnet-5", "anthropic:claude-haiku-4-5", "openai:gpt-5"
PRICE = Price(input_usd=Decimal(1), output_usd=Decimal(2))


def test_a_route_is_the_models_of_a_phase_and_then_the_fallbacks() -> None:
    """Each model once, where it first stands; a phase without a route of its own has that of all others."""
    models = Models([STRONG, SPARE], reflect=CHEAP, diagnose=[SPARE, STRONG], fallback=[SPARE], cheaper=CHEAP)
    assert models.routes == {"": (STRONG, SPARE), "reflect": (CHEAP, SPARE), "diagnose": (SPARE, STRONG)}
    assert models.cheaper == (CHEAP,)
    assert set(models.models) == {STRONG, CHEAP, SPARE}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no model is named"),
        ("claude-sonnet-5", "is no name of a model"),
        (":claude", "is no name of a model"),
        ("anthropic:", "is no name of a model"),
        ("", "is no name of a model"),
        ([7], "7 is no model"),
        ([None], "None is no model"),
        ([object()], "is no model"),
    ],
)
def test_what_is_no_model_is_said(given: Any, said: str) -> None:
    """When the agent is made, not when it first thinks."""
    with pytest.raises(DefinitionError, match=said):
        Models(given)


def test_two_models_of_one_name_are_refused_and_one_twice_is_one() -> None:
    """What a run writes down is the name."""
    one, other = ScriptedModel([], name="a"), ScriptedModel([], name="a")
    assert Models([one, one], fallback=one).routes == {"": ("scripted:a",)}
    with pytest.raises(DefinitionError, match="two models are called scripted:a"):
        Models(one, fallback=other)


def test_a_scripted_model_is_free_unless_it_has_a_price() -> None:
    """And its terms are those that were given for all."""
    one, other = ScriptedModel([], name="a"), ScriptedModel([], name="b")
    models = Models([one, other], prices={"scripted:b": PRICE}, output_tokens_max=7, context_bytes_max=5_000, timeout="3s")
    terms = models.terms()
    assert (terms["scripted:a"].price, terms["scripted:b"].price) == (FREE, PRICE)
    assert {(each.output_tokens_max, each.context_bytes_max, each.timeout_seconds) for each in terms.values()} == {
        (7, 5_000, 3.0)
    }


def test_the_context_is_bounded_where_nothing_is_said() -> None:
    """Models take more, and each turn would pay for it."""
    assert Models(STRONG, prices={STRONG: PRICE}).terms()[STRONG].context_bytes_max <= CONTEXT_BYTES_MAX
    assert Models(STRONG, prices={STRONG: PRICE}, context_bytes_max=1_000_000).terms()[STRONG].context_bytes_max == 1_000_000


def test_a_model_without_a_price_is_an_error_when_the_run_starts() -> None:
    """Not a free model."""
    agent = Agent("a", model="acme:m-1")
    with pytest.raises(DefinitionError, match="no price is known for acme:m-1"):
        agent.thinking()
    given = Models("acme:m-1", prices={"acme:m-1": PRICE})
    assert Agent("a", model=given).thinking() is not None


@pytest.mark.parametrize(
    "fields", [{"timeout": "soon"}, {"timeout": -1}, {"retry": {"attempts": 0}}, {"retry": {"tries": 3}}, {"retry": "often"}]
)
def test_terms_that_cannot_be_are_refused(fields: dict[str, Any]) -> None:
    """With their name."""
    with pytest.raises(DefinitionError, match=next(iter(fields))):
        Models(STRONG, **fields)


@pytest.mark.parametrize("fields", [{"output_tokens_max": 0}, {"context_bytes_max": -5}])
def test_bounds_of_nothing_are_refused(fields: dict[str, Any]) -> None:
    """A request has room for something."""
    with pytest.raises(DefinitionError, match=next(iter(fields))):
        Models(STRONG, prices={STRONG: PRICE}, **fields).terms()


def test_there_is_a_breaker_unless_another_is_given() -> None:
    """An outage is met by all runs of a store together."""
    assert Models(STRONG).breaker == Breaker()
    assert Models(STRONG, breaker=Breaker(failures_max=1)).breaker == Breaker(failures_max=1)


def test_other_models_in_their_place_keep_the_terms() -> None:
    """One that is named already is the same object; routes of phases and cheaper ones are gone."""
    scripted = ScriptedModel([], name="a")
    models = Models([STRONG, scripted], reflect=CHEAP, cheaper=CHEAP, prices={STRONG: PRICE}, output_tokens_max=9, timeout=4)
    other = models.instead(["scripted:a", SPARE])
    assert other.routes == {"": ("scripted:a", SPARE)} and other.cheaper == ()
    assert other.models["scripted:a"] is scripted
    assert other.terms()["scripted:a"].output_tokens_max == 9
    assert models.routes[""] == (STRONG, "scripted:a"), "the first ones are as they were"
    assert models.instead(SPARE).routes == {"": (SPARE,)}


def test_models_may_be_given_in_any_form() -> None:
    """A name, an object, several, or all of it."""
    scripted = ScriptedModel([])
    whole = Models(scripted)
    assert models_of(whole) is whole
    assert models_of(STRONG).routes == models_of([STRONG]).routes == {"": (STRONG,)}
    assert models_of(scripted).routes == {"": ("scripted:script",)}


class Receipt(BaseModel):
    """A result of a given form."""

    order: int


def test_the_form_of_a_result_is_a_schema() -> None:
    """Of a type, or as it is given."""
    assert result_schema_of(None) == {}
    given = {"type": "integer"}
    assert result_schema_of(given) == given and result_schema_of(given) is not given
    assert result_schema_of(Receipt)["properties"]["order"]["type"] == "integer"
    assert result_schema_of(list[int]) == {"type": "array", "items": {"type": "integer"}}
    with pytest.raises(DefinitionError, match="is no form of a result"):
        result_schema_of(object())
