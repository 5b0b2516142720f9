"""What may still be spent: reserved in the commit of an intent, settled in the commit of its outcome.

What is spent and what is reserved together never exceed the limit, and an effect uses no more than was reserved for it; so the
limit holds to the cent, whoever dies in between. What was reserved for an effect that nobody heard of again counts as spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from holdfast.core.limits import Limits
from holdfast.core.models import ZERO, Reserved, Usage


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What is left for new effects; None where there is no limit."""

    cost_usd: Decimal | None
    tokens: int | None

    def allows(self, need: Reserved) -> bool:
        """Whether this may be reserved."""
        return self.lacks(need) is None

    def lacks(self, need: Reserved) -> str | None:
        """The limit that this would exceed, by its name; None where there is room."""
        if self.cost_usd is not None and need.cost_usd > self.cost_usd:
            return "cost_usd_max"
        if self.tokens is not None and need.tokens > self.tokens:
            return "tokens_max"
        return None


def means(limits: Limits, spent: Usage, reserved: Mapping[str, Reserved]) -> Means:
    """What is left after all that was spent, and all that is under way."""
    cost_usd = tokens = None
    if limits.cost_usd_max is not None:
        held = sum((each.cost_usd for each in reserved.values()), ZERO)
        cost_usd = max(limits.cost_usd_max - spent.cost_usd - held, ZERO)
    if limits.tokens_max is not None:
        tokens = max(limits.tokens_max - spent.tokens - sum(each.tokens for each in reserved.values()), 0)
    return Means(cost_usd=cost_usd, tokens=tokens)


def lost(reserved: Reserved, requests: int = 1) -> Usage:
    """What counts as spent by an effect of which nothing more was heard. requests: to models, that it was."""
    return Usage(
        input_tokens=reserved.input_tokens,
        output_tokens=reserved.output_tokens,
        requests=requests,
        cost_usd=reserved.cost_usd,
    )


def dollars(amount: Decimal) -> str:
    """An amount as people read it: cents, or as many places as it needs."""
    places = f"{amount:.2f}"
    if Decimal(places) == amount:
        return f"${places}"
    return f"${amount.normalize():f}"
