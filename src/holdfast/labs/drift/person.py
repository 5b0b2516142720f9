"""The guest of the lab `drift`: puts right what is remembered, wants something else, and thinks before saying yes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from holdfast.core.events import Asked
from holdfast.core.state import State
from holdfast.labs.drift.story import PARTY, Story
from holdfast.labs.services.ledger import LedgerRow


class Person:
    """What the guest says to what a run asks. price: makes the price move, so that it is another one after the yes.
    ledger: what really happened, for where nobody else knows."""

    def __init__(self, story: Story, price: Callable[[], None], ledger: Callable[[], Sequence[LedgerRow]]):
        self._story = story
        self._price = price
        self._ledger = ledger

    def answer(self, asked: Asked, state: State) -> tuple[str, Any]:
        """The decision, and its value; `goal` where the guest wants something else instead."""
        if asked.about == "fact" and "party" in asked.facts:
            return "edit", {"party": PARTY}
        if asked.about == "doubt":
            return self._looked_up(asked)
        if asked.about != "call":
            return "reject", None
        if state.goal.inputs.get("town") != self._story.town:
            return "goal", {"town": self._story.town}
        if asked.args.get("usd") != self._story.price_later:
            self._price()
            self._think(state)
        return "approve", None

    def _think(self, state: State) -> None:
        """Until the price that was shown is too old to act on."""
        fact = state.facts.get(f"price_{self._story.town}")
        if fact is not None and fact.ttl_seconds is not None:
            time.sleep(max(fact.at + fact.ttl_seconds - time.time(), 0.0))

    def _looked_up(self, asked: Asked) -> tuple[str, Any]:
        """Whether a payment went through whose worker was killed: that is on the account."""
        paid = [row for row in self._ledger() if row["service"] == "payments" and row["subject"] == self._story.guest]
        if not paid:
            return "approve", None
        detail = paid[0]["detail"]
        return "respond", {name: detail[name] for name in ("id", "room", "usd")}
