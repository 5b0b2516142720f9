"""A payout service, and the payouts that are to go through it: two thousand small decisions, of which some are frauds.

Which ones are frauds only the world knows: the payouts and that flag are drawn here, from the seed, and no answer of the
service carries it. Frauds look a little different (larger, from younger accounts, opened in another country), and overlap with
what is honest: no rule over what can be seen separates the two.
"""

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

COUNT = 2000
FRAUDS_SHARE = 0.02
COUNTRIES = ("AT", "DE", "ES", "FR", "IT", "NL")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What payouts of one kind look like. usd: the median amount; spread: of its logarithm; days: the mean age of an account;
    abroad: the share of accounts that were opened in another country."""

    usd: float
    spread: float
    days: float
    abroad: float


HONEST = Kind(usd=180.0, spread=1.0, days=900.0, abroad=0.08)
FRAUD = Kind(usd=1300.0, spread=0.7, days=120.0, abroad=0.5)


@dataclass(frozen=True, kw_only=True)
class Payout:
    """A payout that is asked for. number: from 0. days: the age of the account. country: where it goes; opened_in: where the
    account was opened. fraud: what only the world knows."""

    number: int
    usd: int
    days: int
    country: str
    opened_in: str
    fraud: bool

    @property
    def name(self) -> str:
        return f"p{self.number:04}"


@lru_cache(maxsize=4)
def payouts_of(seed: int, count: int = COUNT) -> tuple[Payout, ...]:
    """The payouts of a seed, in the order in which they are asked for; one in fifty is a fraud."""
    draw = random.Random(f"payouts of {seed}")
    frauds = set(draw.sample(range(count), round(count * FRAUDS_SHARE)))
    return tuple(_payout(draw, number, number in frauds) for number in range(count))


def _payout(draw: random.Random, number: int, fraud: bool) -> Payout:
    kind, country = (FRAUD if fraud else HONEST), draw.choice(COUNTRIES)
    usd = max(10, round(kind.usd * 2.718281828 ** draw.gauss(0.0, kind.spread)))
    days = 1 + round(draw.expovariate(1 / kind.days))
    abroad = draw.random() < kind.abroad
    opened_in = draw.choice([one for one in COUNTRIES if one != country]) if abroad else country
    return Payout(number=number, usd=usd, days=days, country=country, opened_in=opened_in, fraud=fraud)


def payout_routes(ledger: Ledger, ids: Ids, seed: int) -> Sequence[Route]:
    """POST /payouts {book, payout, amount} → 201 {id, payout, amount}; a repeat of a key is dropped, in each book.

    Refusal 404 for a payout that nobody asked for, 422 for another amount than was asked for.
    """
    owed: Mapping[str, Payout] = {payout.name: payout for payout in payouts_of(seed)}
    # By book: who keeps another one makes keys of their own, and they may be the same.
    keys: defaultdict[str, Keys] = defaultdict(Keys)

    def pay(request: Request) -> Reply:
        body = request.json()
        book, name, amount = text(body, "book"), text(body, "payout"), text(body, "amount")
        if name not in owed:
            raise Refusal(404, f"nobody asked for the payout {name[:40]}")
        if not re.fullmatch("[0-9]{1,9}", amount) or int(amount) != owed[name].usd:
            raise Refusal(422, f"{owed[name].usd} was asked for, not {amount[:20]}")
        return keys[book].once(request, (name, amount), lambda key: land(book, owed[name], key))

    def land(book: str, payout: Payout, key: str) -> Reply:
        # The book is part of the subject, so that the same payout may be made in each of several books.
        subject = f"{book}/{payout.name}"
        made = ids.next("payout", subject)
        detail = {"id": made, "usd": str(payout.usd), "fraud": "yes" if payout.fraud else "no"}
        row = ledger.append("payouts", "paid", subject, key, **detail)
        return Reply(status=201, body={"id": made, "payout": payout.name, "amount": payout.usd}, effect=row)

    return [Route("POST", "/payouts", pay)]
