"""The day that is settled, what the world owes whom on it, and where the workers are killed: drawn from the seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.labs.services.bank import invoices_of, owed_of

NIGHT, MORNING = "settlement-night", "settlement-morning"
WRONG = "Kyoto"
"""Who is paid in a currency that is quoted for a hundred."""
TREASURER = "Ines (treasurer)"
REASON = "the yen is quoted for a hundred"


@dataclass(frozen=True, kw_only=True)
class Story:
    """owed: what each partner is owed in euros, in the order in which they are paid. killed: in the middle of whose payment the
    worker dies at night."""

    day: str
    owed: Mapping[str, str]
    killed: str

    @property
    def first_part(self) -> list[str]:
        """Who is paid before it goes wrong."""
        partners = list(self.owed)
        return partners[: partners.index(WRONG)]

    def subject(self, partner: str) -> str:
        """As the ledger names a payment."""
        return f"{self.day}/{partner}"


def story_of(seed: int) -> Story:
    """The story of a seed."""
    draw = random.Random(seed)
    owed = owed_of(seed)
    before = [str(one["partner"]) for one in invoices_of(seed)]
    killed = draw.choice(before[: before.index(WRONG)])
    return Story(day=f"2026-11-{draw.randrange(2, 28):02d}", owed=owed, killed=killed)
