"""What models cost and take: known offline, the dearest that can come, or given."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import genai_prices.types as g
import pytest
from genai_prices.data import providers

import holdfast
from holdfast import pricing
from holdfast.core.models import Price, Usage, cost, reservation
from holdfast.errors import DefinitionError
from holdfast.pricing import terms_of

SRC = Path(holdfast.__file__).parents[1]
NEVER = datetime.now(UTC).date() + timedelta(days=400)
LONG_AGO = date(2020, 1, 1)


def usd(text: str) -> Decimal:
    return Decimal(text)


def model(prices: g.ModelPrice | list[g.ConditionalPrice], window: int | None = None) -> g.ModelInfo:
    """A model as the library has it."""
    return g.ModelInfo(id="m", match=g.ClauseEquals("m"), prices=prices, context_window=window)


def flat(amount: str) -> g.ModelPrice:
    return g.ModelPrice(input_mtok=usd(amount), output_mtok=usd(amount))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch):
    """Let one model be known, under any name."""

    def know(info: g.ModelInfo) -> None:
        monkeypatch.setattr(pricing, "_found", lambda provider, name: info)

    return know


def test_a_known_model_has_its_price_and_context() -> None:
    """All four prices as decimals, and a context of three bytes a token beside the answer."""
    terms = terms_of("anthropic:claude-sonnet-4-5")
    assert terms.price == Price(input_usd=usd("3"), output_usd=usd("15"), cache_read_usd=usd("0.3"), cache_write_usd=usd("3.75"))
    assert (terms.output_tokens_max, terms.context_bytes_max, terms.timeout_seconds) == (4096, (200_000 - 4096) * 3, 120.0)
    assert terms.provider == "anthropic"


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("openai-chat:gpt-5-mini", "openai:gpt-5-mini"),
        ("openai-responses:gpt-5-mini", "openai:gpt-5-mini"),
        ("gateway/openai:gpt-5-mini", "openai:gpt-5-mini"),
        ("gateway/openai-chat:gpt-5-mini", "openai:gpt-5-mini"),
        ("google-gla:gemini-2.5-flash", "google:gemini-2.5-flash"),
        ("google-cloud:gemini-2.5-flash", "google:gemini-2.5-flash"),
        ("anthropic:claude-sonnet-4-5-20250929", "anthropic:claude-sonnet-4-5"),
    ],
)
def test_each_road_to_a_model_has_its_price(name: str, same: str) -> None:
    """The prefixes of the provider library are those of the prices, or are mapped to them."""
    assert terms_of(name).price == terms_of(same).price


@pytest.mark.parametrize(
    "name",
    [
        "bedrock:us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "xai:grok-4",
        "deepseek:deepseek-chat",
        "mistral:mistral-large-latest",
    ],
)
def test_other_providers_are_found(name: str) -> None:
    """Also where the name of the model has colons, and where the provider is called otherwise there."""
    assert terms_of(name).price.input_usd > 0


def test_every_mapped_provider_exists() -> None:
    """No prefix leads to a provider that the prices do not have."""
    assert set(pricing.PROVIDERS.values()) <= {provider.id for provider in providers}


def test_the_dearest_tier_counts(known) -> None:
    """A long context is dearer, and what is reserved must do for it."""
    tiers = g.TieredPrices(base=usd("1"), tiers=[g.Tier(start=200_000, price=usd("2")), g.Tier(start=500_000, price=usd("3"))])
    known(model(g.ModelPrice(input_mtok=tiers, output_mtok=usd("9"), cache_write_mtok=tiers), window=1_000_000))
    assert terms_of("p:m").price == Price(input_usd=usd("3"), output_usd=usd("9"), cache_write_usd=usd("3"))


@pytest.mark.parametrize(("bytes_max", "amount"), [(200_000, "1"), (200_001, "2"), (600_000, "3")])
def test_a_tier_that_no_request_reaches_does_not_count(known, bytes_max: int, amount: str) -> None:
    """A request has no more tokens than bytes, so a bound on its bytes spares the dear end."""
    tiers = g.TieredPrices(base=usd("1"), tiers=[g.Tier(start=200_000, price=usd("2")), g.Tier(start=500_000, price=usd("3"))])
    known(model(g.ModelPrice(input_mtok=tiers, output_mtok=usd("9")), window=1_000_000))
    assert terms_of("p:m", context_bytes_max=bytes_max).price.input_usd == usd(amount)


def test_prices_of_the_hour_and_of_the_future_count(known) -> None:
    """The dearest hour of the day, and what begins one day; what has ended does not."""
    night = g.TimeOfDateConstraint(start_time=time(0, tzinfo=UTC), end_time=time(8, tzinfo=UTC))
    day = g.TimeOfDateConstraint(start_time=time(8, tzinfo=UTC), end_time=time(0, tzinfo=UTC))
    ended = g.ConditionalPrice(prices=flat("100"))
    begun = g.ConditionalPrice(constraint=g.StartDateConstraint(LONG_AGO), prices=flat("1"))
    hours = [g.ConditionalPrice(constraint=night, prices=flat("2")), g.ConditionalPrice(constraint=day, prices=flat("4"))]
    later = g.ConditionalPrice(constraint=g.StartDateConstraint(NEVER), prices=flat("3"))
    known(model([ended, begun, *hours]))
    assert terms_of("p:m").price.input_usd == usd("4")
    known(model([ended, begun, later]))
    assert terms_of("p:m").price.input_usd == usd("3")
    known(model([ended, begun]))
    assert terms_of("p:m").price.input_usd == usd("1")


def test_thinking_is_paid_at_its_own_price(known) -> None:
    """Where it has one that is dearer than that of the answer."""
    known(model(g.ModelPrice(input_mtok=usd("1"), output_mtok=usd("2"), output_reasoning_mtok=usd("5"))))
    assert terms_of("p:m").price.output_usd == usd("5")


def test_a_model_may_cost_nothing(known) -> None:
    """A price of 0 is a price."""
    known(model(flat("0")))
    assert terms_of("p:m").price == Price(input_usd=usd("0"), output_usd=usd("0"))


@pytest.mark.parametrize("name", ["openai:gpt-nobody-knows", "nobody:model", "ollama:llama3", "openai:text-embedding-3-small"])
def test_an_unknown_price_is_an_error_that_says_how_to_give_one(name: str) -> None:
    """Nothing runs on a price that nobody knows."""
    with pytest.raises(DefinitionError, match="no price is known") as caught:
        terms_of(name)
    assert caught.value.hint is not None and f'prices={{"{name}": Price(input_usd=Decimal("…")' in caught.value.hint


def test_a_price_for_each_request_is_not_passed_over(known) -> None:
    """It would be left out of every reckoning."""
    known(model(g.ModelPrice(input_mtok=usd("1"), output_mtok=usd("1"), requests_kcount=usd("5"))))
    with pytest.raises(DefinitionError, match="price for each request"):
        terms_of("p:m")


def test_a_given_price_holds() -> None:
    """Also for a known model, and also written as text; what is given beside it holds too."""
    given = Price(input_usd="0.25", output_usd=2, cache_read_usd=0.1)  # type: ignore[arg-type]
    terms = terms_of("ollama:llama3", price=given, output_tokens_max=100, context_bytes_max=5000, timeout_seconds=3.0)
    assert terms.price == Price(input_usd=usd("0.25"), output_usd=usd("2"), cache_read_usd=usd("0.1"))
    assert all(isinstance(part, Decimal) for part in (terms.price.input_usd, terms.price.output_usd, terms.price.cache_read_usd))
    assert (terms.output_tokens_max, terms.context_bytes_max, terms.timeout_seconds) == (100, 5000, 3.0)
    assert cost(terms.price, Usage(input_tokens=4, output_tokens=1)) == usd("0.000003")
    assert reservation(terms, 4).cost_usd == usd("0.000201")
    assert terms_of("anthropic:claude-sonnet-4-5", price=given).price.output_usd == 2


def test_a_given_price_leaves_the_context_known() -> None:
    """A price of one's own says nothing about how much the model takes."""
    given = Price(input_usd=usd("1"), output_usd=usd("1"))
    assert terms_of("anthropic:claude-sonnet-4-5", price=given).context_bytes_max == (200_000 - 4096) * 3
    assert terms_of("ollama:llama3", price=given).context_bytes_max == 240_000


def test_a_huge_context_is_bounded(known) -> None:
    """Ten million tokens are no reason to send thirty megabytes."""
    known(model(flat("1"), window=10_000_000))
    assert terms_of("p:m").context_bytes_max == 3_000_000


def test_an_answer_as_long_as_the_window_leaves_half_of_it(known) -> None:
    """The bound stays a bound that something fits in."""
    known(model(flat("1"), window=8000))
    assert terms_of("p:m", output_tokens_max=8000).context_bytes_max == 12_000


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "much"])
def test_a_given_price_is_a_sum_of_money(amount: str) -> None:
    """Neither negative nor no number."""
    with pytest.raises(DefinitionError, match="the price of p:m"):
        terms_of("p:m", price=Price(input_usd=amount, output_usd=usd("1")))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "gpt-5", "openai:", ":gpt-5"])
def test_a_name_has_a_provider(name: str) -> None:
    """Whoever writes only the model is told how it is written."""
    with pytest.raises(DefinitionError, match="write provider:name"):
        terms_of(name)


@pytest.mark.parametrize("field", ["output_tokens_max", "context_bytes_max", "timeout_seconds"])
def test_bounds_are_more_than_nothing(field: str) -> None:
    """A bound of 0 would stop every request."""
    with pytest.raises(DefinitionError, match=f"{field} of anthropic:claude-sonnet-4-5 is 0"):
        terms_of("anthropic:claude-sonnet-4-5", **{field: 0})


def run(script: str) -> str:
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.run(
        [sys.executable, "-P", "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_prices_come_offline() -> None:
    """No socket is made, not even a look at a name, and prices that somebody set in this process are not used."""
    script = """
import sys
def look(event, args):
    if event.startswith(("socket.", "http.", "urllib.")) or event in ("subprocess.Popen", "_thread.start_new_thread"):
        raise SystemExit(f"it does {event} {args}")
sys.addaudithook(look)
from holdfast.core.models import Price
from holdfast.pricing import terms_of
terms_of("scripted:m", price=Price(input_usd=0, output_usd=0))
assert "genai_prices" not in sys.modules
import genai_prices.data_snapshot as snapshots
snapshots.set_custom_snapshot(snapshots.DataSnapshot(providers=[], from_auto_update=True))
print(terms_of("anthropic:claude-sonnet-4-5").price.input_usd, "pydantic_ai" in sys.modules)
"""
    assert run(script) == "3 False\n"


def test_without_the_extra_a_price_must_be_given() -> None:
    """The core set alone has no prices: what is given is taken, what is not is asked for, with how to install it."""
    script = """
import sys
sys.modules["genai_prices"] = None
from holdfast.errors import DefinitionError
from holdfast.core.models import Price
from holdfast.pricing import terms_of
print(terms_of("p:m", price=Price(input_usd=1, output_usd=2)).price.output_usd)
try:
    terms_of("anthropic:claude-sonnet-4-5")
except DefinitionError as error:
    print(error)
"""
    printed = run(script)
    assert printed.startswith("2\n") and "pip install 'holdfast[models]'" in printed
