"""The traveller of the lab `flight`: corrects what was guessed, chooses, and thinks for too long."""

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.core.events import Asked
from holdfast.core.state import State
from holdfast.labs.flight.story import GUESSED, WANTED, Story
from holdfast.labs.services.ledger import LedgerRow

CORRECT = "correct"
"""What the traveller says in place of a decision: the fact airport is another one."""
WORDS = "I wanted LaGuardia"


class Person:
    """What the traveller says to what a run asks. sell_out: makes a seat go while they think. ledger: what really happened, for
    where nobody else knows."""

    def __init__(self, story: Story, sell_out: Callable[[str], None], ledger: Callable[[], Sequence[LedgerRow]]):
        self._story = story
        self._sell_out = sell_out
        self._ledger = ledger

    def answer(self, asked: Asked, state: State) -> list[tuple[str, Any]]:
        """Decisions with their values, in the order in which they are said."""
        match asked.about:
            case "question":
                return self._choose(asked, state)
            case "fact":
                airport = state.facts["airport"].value if "airport" in asked.facts else WANTED
                return [("edit", {"airport": WANTED})] if airport != WANTED else [("approve", None)]
            case "doubt":
                return [self._looked_up()]
            case "call":
                if asked.args.get("flight") == self._story.wanted["flight"]:
                    self._sell_out(self._story.wanted["flight"])
                return [("approve", None)]
            case _:
                return [("reject", None)]

    def _choose(self, asked: Asked, state: State) -> list[tuple[str, Any]]:
        question = asked.asks
        assert question is not None
        if question.name == "airport":
            return [("respond", WANTED)]
        at = {option["departs"]: option for option in question.options}
        if state.facts["airport"].value == GUESSED and self._story.order != "approval":
            wanted = [(CORRECT, WANTED)] if self._story.order == "correct" else []
            return [*wanted, ("reject", WORDS)]
        wish = self._story.wanted["departs"]
        return [("respond", at.get(wish, question.options[0]))]

    def _looked_up(self) -> tuple[str, Any]:
        """Whether a booking went through whose worker was killed: that is in the traveller's mail."""
        rows = [row for row in self._ledger() if row["service"] == "bookings" and row["subject"] == self._story.traveller]
        if not rows:
            return "approve", None
        detail = rows[0]["detail"]
        flight = self._story.booked
        return "respond", {**flight, "booking": detail["booking"], "flight": detail["flight"], "usd": int(detail["usd"])}
