"""A bank, and what is owed at the end of a day: invoices in several currencies, rates, payments under a limit, the day's end."""

import random
import re
import threading
from collections.abc import Sequence
from decimal import Decimal

from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

# Euros for so many units. The yen is quoted for a hundred, as banks do.
RATES = {"EUR": ("1", 1), "USD": ("0.92", 1), "GBP": ("1.17", 1), "JPY": ("0.61", 100)}
LIMIT_EUR = Decimal(100_000)
# Who is owed something every day, in which currency, and from how much on.
PARTNERS = (("Lindqvist", "EUR", 900), ("Carter", "USD", 2_000), ("Kyoto", "JPY", 700_000), ("Whitby", "GBP", 1_500))


def invoices_of(seed: int) -> list[dict[str, object]]:
    """What is owed on any day, in the order in which it is to be paid: [{partner, number, amount, currency}]."""
    draw = random.Random(f"invoices of {seed}")
    found: list[dict[str, object]] = []
    for partner, currency, least in PARTNERS:
        number, amount = f"inv-{draw.randrange(1000, 9999)}", draw.randrange(least, 2 * least)
        found.append({"partner": partner, "number": number, "amount": amount, "currency": currency})
    return found


def owed_of(seed: int) -> dict[str, str]:
    """What each partner is owed in euros, to the cent: what only the world knows."""
    owed = {}
    for one in invoices_of(seed):
        rate, per = RATES[str(one["currency"])]
        owed[str(one["partner"])] = str((Decimal(str(one["amount"])) * Decimal(rate) / per).quantize(Decimal("0.01")))
    return owed


def bank_routes(ledger: Ledger, ids: Ids, seed: int) -> Sequence[Route]:
    bank = Bank(ledger, ids)
    return [
        Route("GET", "/invoices", lambda _: Reply(body=invoices_of(seed))),
        Route("GET", "/rates", find_rate),
        Route("POST", "/payments", bank.pay),
        Route("POST", "/closings", bank.close),
    ]


def find_rate(request: Request) -> Reply:
    """?currency=CODE → {currency, eur, per}: euros for `per` units."""
    currency = request.require("currency")
    if currency not in RATES:
        raise Refusal(404, f"{currency[:8]} is not quoted")
    eur, per = RATES[currency]
    return Reply(body={"currency": currency, "eur": eur, "per": per})


class Bank:
    """It drops a repeat of a key, and refuses what is over the limit of the account, and what comes after a day was closed. The
    day is part of the subject in the ledger."""

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._keys = Keys()
        self._closed: set[str] = set()
        self._lock = threading.Lock()

    def pay(self, request: Request) -> Reply:
        """{day, partner, invoice, eur} → 201 {id, partner, eur}."""
        body = request.json()
        day, partner, invoice, eur = (text(body, name) for name in ("day", "partner", "invoice", "eur"))
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2})?", eur):
            raise Refusal(400, "eur must be a decimal string")
        if Decimal(eur) > LIMIT_EUR:
            raise Refusal(422, f"EUR {eur} is over the limit of the account, which is {LIMIT_EUR}")

        def act(key: str) -> Reply:
            with self._lock:
                if day in self._closed:
                    raise Refusal(409, f"the day {day} is closed")
            made = self._ids.next("payment", f"{day}/{partner}")
            row = self._ledger.append("payments", "paid", f"{day}/{partner}", key, id=made, invoice=invoice, eur=eur)
            return Reply(status=201, body={"id": made, "partner": partner, "eur": eur}, effect=row)

        return self._keys.once(request, (day, partner, invoice, eur), act)

    def close(self, request: Request) -> Reply:
        """{day, payments} → 201 {id}."""
        body = request.json()
        day, payments = text(body, "day"), text(body, "payments")

        def act(key: str) -> Reply:
            with self._lock:
                self._closed.add(day)
            made = self._ids.next("closing", day)
            row = self._ledger.append("closings", "closed", day, key, id=made, payments=payments)
            return Reply(status=201, body={"id": made}, effect=row)

        return self._keys.once(request, (day, payments), act)
