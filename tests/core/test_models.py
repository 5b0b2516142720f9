"""What models cost, to the last place."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.models import GRAIN, ModelTerms, Price, Reserved, Usage, cost, reservation
from tests.core.mind import price, terms

tokens = st.integers(0, 2_000_000)
usd = st.decimals("0", "600", places=6, allow_nan=False)
prices = st.builds(Price, input_usd=usd, output_usd=usd, cache_read_usd=st.none() | usd, cache_write_usd=st.none() | usd)


def test_a_request_costs_what_its_tokens_cost() -> None:
    """Per million, exactly."""
    assert cost(price("3", "15"), Usage(input_tokens=1_000_000, output_tokens=100_000)) == Decimal("4.5")
    assert cost(price("0.1", "0.7"), Usage(input_tokens=3, output_tokens=1)) == Decimal("0.000001")
    assert cost(price(), Usage()) == 0


def test_what_a_cache_gave_has_a_price_of_its_own() -> None:
    """Where there is none it counts as input."""
    cached = Price(input_usd=Decimal(3), output_usd=Decimal(15), cache_read_usd=Decimal("0.3"), cache_write_usd=Decimal("3.75"))
    used = Usage(input_tokens=1_000_000, cache_read_tokens=600_000, cache_write_tokens=100_000)
    assert cost(cached, used) == Decimal("0.9") + Decimal("0.18") + Decimal("0.375")
    assert cost(price(), used) == Decimal(3)


def test_more_cached_than_read_is_no_gain() -> None:
    """A provider that counts strangely does not make a request cheaper than nothing."""
    assert cost(price("3", "15"), Usage(input_tokens=10, cache_read_tokens=20)) == Decimal("0.00006")


def test_usages_add_up_field_by_field() -> None:
    """All of them; the sum is exact."""
    one = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4, requests=1, cost_usd=Decimal("0.1"))
    many = sum([one] * 10, Usage())
    assert many == Usage(
        input_tokens=10, output_tokens=20, cache_read_tokens=30, cache_write_tokens=40, requests=10, cost_usd=Decimal(1)
    )
    assert many.tokens == 30
    assert Reserved(input_tokens=1, output_tokens=2).tokens == 3


def test_the_provider_is_what_stands_before_the_colon() -> None:
    """What an outage takes down together."""
    assert terms("anthropic:claude").provider == "anthropic"
    assert terms("alone").provider == "alone"


def test_a_reservation_is_the_most_that_a_request_can_cost() -> None:
    """A token has at least one byte; the dearest of the prices for input counts."""
    one = ModelTerms(
        name="p:m",
        price=Price(input_usd=Decimal(3), output_usd=Decimal(15), cache_write_usd=Decimal("3.75")),
        output_tokens_max=1_000,
    )
    assert reservation(one, 10_000) == Reserved(input_tokens=10_000, output_tokens=1_000, cost_usd=Decimal("0.0525"))
    assert reservation(one, 10_000, 0).cost_usd == Decimal("0.0375")


def test_what_is_reserved_is_rounded_up() -> None:
    """To a millionth of a cent, so that it is never too little."""
    one = terms(price=price("0.001", "0"))
    assert reservation(one, 1).cost_usd == GRAIN
    assert reservation(one, 11).cost_usd == 2 * GRAIN


@given(prices, tokens, tokens, st.floats(0, 1), st.floats(0, 1), tokens)
def test_nothing_within_a_reservation_costs_more_than_it(
    price: Price, size: int, output_max: int, read: float, written: float, output: int
) -> None:
    """Whatever came from a cache."""
    one = ModelTerms(name="p:m", price=price, output_tokens_max=output_max)
    held = reservation(one, size)
    from_cache = int(size * read)
    used = Usage(
        input_tokens=size,
        output_tokens=min(output, output_max),
        cache_read_tokens=from_cache,
        cache_write_tokens=int((size - from_cache) * written),
    )
    assert cost(price, used) <= held.cost_usd
    assert used.tokens <= held.tokens
