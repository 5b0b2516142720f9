"""What is known of language models: what they cost, how much they take, and what one said.

Money is decimal, in US dollars. A price is per million tokens, and the dearest one where a model has several (long contexts):
what is reserved by it is never too little.
"""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Any, Literal

import msgspec

MILLION = Decimal(1_000_000)
# Money is written down in millionths of a cent; what is reserved is rounded up to them.
GRAIN = Decimal("0.00000001")
ZERO = Decimal(0)

PartKind = Literal["text", "thinking", "call", "result"]


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """US dollars per million tokens. cache_read_usd, cache_write_usd: None counts them as input."""

    input_usd: Decimal
    output_usd: Decimal
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None


class ModelTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for one model in a run. name: as `provider:name`. context_bytes_max: of a request, as UTF-8; a token has at
    least one byte, so a request never has more tokens than bytes. output_tokens_max: of an answer. timeout_seconds: of a
    request."""

    name: str
    price: Price
    context_bytes_max: int = 240_000
    output_tokens_max: int = 4096
    timeout_seconds: float = 120.0

    @property
    def provider(self) -> str:
        """What an outage takes down together."""
        return self.name.partition(":")[0]


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model, or a tool, used. input_tokens: all of them, those read from and written to a cache included.
    cost_usd: what it cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    requests: int = 0
    cost_usd: Decimal = ZERO

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            requests=self.requests + other.requests,
            cost_usd=self.cost_usd + other.cost_usd,
        )


class Reserved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The most that an effect may use; taken from the budget in the commit of its intent, given back with its outcome.
    input_tokens: also the most bytes that a request may have."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = ZERO

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.input_tokens + self.output_tokens


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a message.

    text: of `text` and `thinking`, and the result of a `result` as text. id: of a call (what a result refers to), or the
    provider's name for a part. tool, args: of a `call`. step: the step that a call became, whose arguments are not written
    down twice then. problem: why a call was not taken. signature, provider, details: what a provider wants to see again
    with a part of its own.
    """

    kind: PartKind
    text: str = ""
    id: str = ""
    tool: str = ""
    args: Any = None
    step: str = ""
    problem: str = ""
    signature: str = ""
    provider: str = ""
    details: Any = None


def cost(price: Price, usage: Usage) -> Decimal:
    """What this usage costs, exactly."""
    read = price.input_usd if price.cache_read_usd is None else price.cache_read_usd
    write = price.input_usd if price.cache_write_usd is None else price.cache_write_usd
    plain = max(usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens, 0)
    total = (
        price.input_usd * plain
        + read * usage.cache_read_tokens
        + write * usage.cache_write_tokens
        + price.output_usd * usage.output_tokens
    )
    return total / MILLION


def reservation(terms: ModelTerms, input_bytes: int, output_tokens: int | None = None) -> Reserved:
    """The most that one request may use. input_bytes: that it may have."""
    output = terms.output_tokens_max if output_tokens is None else output_tokens
    dearest = max(terms.price.input_usd, terms.price.cache_write_usd or ZERO, terms.price.cache_read_usd or ZERO)
    most = (dearest * input_bytes + terms.price.output_usd * output) / MILLION
    amount = most.quantize(GRAIN, rounding=ROUND_UP) if most else ZERO
    return Reserved(input_tokens=input_bytes, output_tokens=output, cost_usd=amount)
