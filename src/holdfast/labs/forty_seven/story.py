"""Which customer is which, drawn from the seed."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAKE_UPS = 47
DELAY_SECONDS = 6.0
"""How long after it was sent a mail shows in the CRM; less than the tools reckon with."""


@dataclass(frozen=True, kw_only=True)
class Customer:
    name: str
    tier: str


@dataclass(frozen=True, kw_only=True)
class Story:
    customers: tuple[Customer, ...]
    """Who is followed up by wake-ups."""
    in_turns: Customer
    """Who is followed up by one run, whose plan is to look and to mail in turns."""
    killed: Customer
    """In the middle of whose mail the worker is killed."""
    answered: Customer
    """Who has answered already."""
    unseen: Customer
    """Whose first mail never shows in the CRM; a second one is sent at the deadline."""
    unseen_key: Customer
    """The same for a key account; a person is asked at the deadline."""

    @property
    def everybody(self) -> tuple[Customer, ...]:
        return (*self.customers, self.in_turns)

    @property
    def faults(self) -> dict[str, Any]:
        """What the services are told."""
        return {
            "crm_delay_seconds": DELAY_SECONDS,
            "unseen_for": [self.unseen.name, self.unseen_key.name],
            "answered": [self.answered.name],
        }

    def mails_expected(self, customer: Customer) -> int:
        """How many mails the ledger must show in the end."""
        return {self.answered: 0, self.unseen: 2}.get(customer, 1)


def run_id(number: int, customer: Customer) -> str:
    """Of a wake-up. The number is written as the table of wake-ups has it."""
    return f"wake-{number:02d}-{customer.name}"


def story_of(seed: int, customers_file: Path) -> Story:
    """The story of a seed: four different customers of the file, one of them a key account."""
    with customers_file.open(encoding="utf-8", newline="") as file:
        customers = tuple(Customer(**row) for row in csv.DictReader(file))
    draw = random.Random(seed)
    killed, answered, unseen = draw.sample([customer for customer in customers if customer.tier == "standard"], 3)
    unseen_key = draw.choice([customer for customer in customers if customer.tier == "key"])
    return Story(
        customers=customers,
        in_turns=Customer(name="gwen", tier="standard"),
        killed=killed,
        answered=answered,
        unseen=unseen,
        unseen_key=unseen_key,
    )
