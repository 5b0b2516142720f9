"""What a model costs and takes, by its name: read offline from the prices that come with the library, or given.

Nothing is fetched, ever, and prices that something else in this process has fetched are not used: what is known of a model
changes with the installed release of `genai-prices` and with nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from holdfast.core.models import ModelTerms, Price
from holdfast.errors import DefinitionError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

OUTPUT_TOKENS = 4096
# A soft bound: a token of plain text has three to four bytes. The hard one is the provider's refusal, which is ruled on.
BYTES_PER_TOKEN = 3
CONTEXT_BYTES_MAX = 3_000_000
# Where the prices have another name for a provider than `provider:name`; what is not here is found by its own name.
PROVIDERS = {
    "azure-responses": "azure",
    "bedrock": "aws",
    "bedrock-mantle": "aws",
    "google-cloud": "google",
    "google-gla": "google",
    "google-vertex": "google",
    "openai-chat": "openai",
    "openai-chatgpt": "openai",
    "openai-codex": "openai",
    "openai-responses": "openai",
    "xai": "x-ai",
}
# Nobody sells these, so nothing is known of them, and nothing is loaded to find out.
NOT_FOR_SALE = frozenset({"scripted"})


def terms_of(
    name: str,
    *,
    price: Price | None = None,
    output_tokens_max: int | None = None,
    context_bytes_max: int | None = None,
    timeout_seconds: float | None = None,
) -> ModelTerms:
    """What holds for a model that is named as `provider:name`.

    price: in place of the known one, which is the dearest where a model has several (long contexts, hours of the day) that
    such a request can come to: what is reserved by it is never too little. output_tokens_max: 4096 unless given.
    context_bytes_max: three for each token of the known context that the answer leaves free, at most 3 000 000.
    DefinitionError where no price is known or given.
    """
    provider, colon, model = name.partition(":")
    if not provider or not colon or not model:
        raise DefinitionError(f"{name!r} names no model", hint="write provider:name, as in anthropic:claude-sonnet-4-5")
    output = OUTPUT_TOKENS if output_tokens_max is None else output_tokens_max
    given = {"output_tokens_max": output, "context_bytes_max": context_bytes_max, "timeout_seconds": timeout_seconds}
    for what, value in given.items():
        if value is not None and not value > 0:
            raise DefinitionError(f"{what} of {name} is {value}, and must be more than 0")
    found = _found(provider, model) if price is None or context_bytes_max is None else None
    if price is None:
        price = _known(name, found, context_bytes_max)
    if context_bytes_max is None and found is not None and found.context_window:
        free = max(found.context_window - output, found.context_window // 2)
        context_bytes_max = min(free * BYTES_PER_TOKEN, CONTEXT_BYTES_MAX)
    terms = ModelTerms(name=name, price=_plain(name, price), output_tokens_max=output)
    return msgspec.structs.replace(
        terms,
        context_bytes_max=context_bytes_max or terms.context_bytes_max,
        timeout_seconds=timeout_seconds or terms.timeout_seconds,
    )


def _plain(name: str, price: Price) -> Price:
    """The price as decimals: whoever writes 3 or "0.25" means the same."""
    try:
        plain = Price(
            input_usd=Decimal(str(price.input_usd)),
            output_usd=Decimal(str(price.output_usd)),
            cache_read_usd=None if price.cache_read_usd is None else Decimal(str(price.cache_read_usd)),
            cache_write_usd=None if price.cache_write_usd is None else Decimal(str(price.cache_write_usd)),
        )
    except InvalidOperation as error:
        raise DefinitionError(f"the price of {name} is no number: {price}") from error
    for usd in (plain.input_usd, plain.output_usd, plain.cache_read_usd, plain.cache_write_usd):
        if usd is not None and not (usd.is_finite() and usd >= 0):
            raise DefinitionError(f"the price of {name} cannot be {usd}")
    return plain


def _known(name: str, model: ModelInfo | None, bytes_max: int | None) -> Price:
    if model is None:
        raise DefinitionError(f"no price is known for {name}", hint=_how(name))
    prices = _conceivable(model)
    # A request has no more tokens than bytes, and none that is longer than the window is taken: what is charged from there
    # on is never charged.
    reach = min((bound for bound in (bytes_max, model.context_window) if bound), default=None)
    if any(_dearest([price], reach, "requests_kcount") for price in prices):
        raise DefinitionError(f"{name} has a price for each request, which is not counted", hint=_how(name))
    dearest = {key: _dearest(prices, reach, *keys) for key, keys in _KEYS.items()}
    if dearest["input"] is None or dearest["output"] is None:
        raise DefinitionError(f"no price is known for {name}", hint=_how(name))
    return Price(
        input_usd=dearest["input"],
        output_usd=dearest["output"],
        cache_read_usd=dearest["cache_read"],
        cache_write_usd=dearest["cache_write"],
    )


# Thinking and quoting are paid like any other answer unless they have a price of their own. What is written to a cache is kept
# for minutes: an hour is dearer, and not asked for.
_KEYS = {
    "input": ("input_mtok",),
    "output": ("output_mtok", "output_reasoning_mtok", "output_citation_mtok"),
    "cache_read": ("cache_read_mtok",),
    "cache_write": ("cache_write_mtok", "cache_write_5m_mtok"),
}


def _how(name: str) -> str:
    given = f'prices={{"{name}": Price(input_usd=Decimal("…"), output_usd=Decimal("…"))}}'
    hint = f"give one, in US dollars per million tokens: {given}"
    return hint if _installed() else f"pip install 'holdfast[models]', or {hint}"


def _conceivable(model: ModelInfo) -> list[ModelPrice]:
    """The prices that may hold now or later: those of all hours, and those that begin one day."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    if isinstance(model.prices, ModelPrice):
        return [model.prices]
    now, first = datetime.now(UTC), 0
    for number, conditional in enumerate(model.prices):
        # The last one that holds is taken, and what has begun holds for ever: it puts an end to all before it.
        lasting = conditional.constraint is None or not isinstance(conditional.constraint, TimeOfDateConstraint)
        if lasting and (conditional.constraint is None or conditional.constraint.active(now)):
            first = number
    return [conditional.prices for conditional in model.prices[first:]]


def _dearest(prices: list[ModelPrice], reach: int | None, *keys: str) -> Decimal | None:
    from genai_prices.types import TieredPrices

    found: list[Decimal] = []
    for price in prices:
        for key in keys:
            value: Decimal | TieredPrices | None = getattr(price, key)
            if isinstance(value, TieredPrices):
                found += [value.base, *(tier.price for tier in value.tiers if reach is None or tier.start < reach)]
            elif value is not None:
                found.append(value)
    return max(found, default=None)


def _found(provider: str, model: str) -> ModelInfo | None:
    if provider in NOT_FOR_SALE or not _installed():
        return None
    provider = provider.removeprefix("gateway/")
    try:
        return _snapshot().find_provider_model(model, None, PROVIDERS.get(provider, provider), None)[1]
    except LookupError:
        return None


@cache
def _installed() -> bool:
    try:
        import genai_prices  # noqa: F401
    except ImportError:
        return False
    return True


@cache
def _snapshot() -> DataSnapshot:
    """The prices as they were installed, whatever has been fetched since."""
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)
