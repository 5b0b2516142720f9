"""The agents of the lab `morning_after`: one that settles what is owed, as it was last night and as it is this morning.

`night` has a tool with a bug: the bank quotes some currencies for a hundred units, and the tool reads the rate as if it were for
one. It has no policy, so nobody is asked. In `morning` the tool is right, and a policy asks about what is large. Both are the
same agent by its name, so that whoever looks at last night's run can do so with either of them.

By default a script thinks (`planner.py`). With `--model` a real model does.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from holdfast import Agent, Call, Limits, Policy, Rule, Tool, tool
from holdfast.labs.http_call import look, send
from holdfast.labs.morning_after.planner import settler
from holdfast.labs.reasoning import models

SETTLE = """\
Settle what is owed on a day. Read the invoices with read_invoices. Then plan the rest with make_plan, one invoice after the
other, in the order of the list: a step convert_NAME that calls convert with the amount and the currency of the invoice, and
a step pay_NAME that calls pay with the day, the name, the number of the invoice, and the amount of euros by $ref
(steps.convert_NAME.eur); each waits for the one before (`after`). Where a payment is refused, give up with give_up_run and
say what the bank said. When all is paid, close the day with close_day, and end the run with the number of payments."""


@dataclass(frozen=True)
class Invoice:
    """What is owed to whom. amount: in the currency of the invoice."""

    partner: str
    number: str
    amount: int
    currency: str


@tool(safety="read", timeout="5s")
def read_invoices(day: str) -> list[Invoice]:
    """What is to be settled on a day."""
    return [Invoice(**one) for one in look("/invoices", {"day": day})]


@dataclass(frozen=True)
class Converted:
    """rate: euros for `per` units of the currency, as the bank quotes it."""

    eur: Decimal
    rate: Decimal
    per: int


@tool(name="convert", safety="read", timeout="5s")
def convert_as_if_for_one(amount: int, currency: str) -> Converted:
    """What an amount comes to in euros, at the rate of the day."""
    rate, per = _quoted(currency)
    return Converted(eur=_cents(amount * rate), rate=rate, per=per)  # The bug: nobody looks at `per`.


@tool(name="convert", safety="read", timeout="5s")
def convert(amount: int, currency: str) -> Converted:
    """What an amount comes to in euros, at the rate of the day."""
    rate, per = _quoted(currency)
    return Converted(eur=_cents(amount * rate / per), rate=rate, per=per)


def _quoted(currency: str) -> tuple[Decimal, int]:
    found = look("/rates", {"currency": currency})
    return Decimal(found["eur"]), int(found["per"])


def _cents(eur: Decimal) -> Decimal:
    return eur.quantize(Decimal("0.01"))


@dataclass(frozen=True)
class Payment:
    id: str
    partner: str
    eur: Decimal


@tool(safety="keyed", key_ttl="forever", amount="eur", timeout="20s")
def pay(day: str, partner: str, invoice: str, eur: Decimal, call: Call) -> Payment:
    """Pay a partner in euros. The bank refuses what is over the limit of the account."""
    body = {"day": day, "partner": partner, "invoice": invoice, "eur": str(eur)}
    made: dict[str, Any] = send("POST", "/payments", body, key=call.key, timeout_seconds=15.0)
    return Payment(id=made["id"], partner=made["partner"], eur=Decimal(made["eur"]))


@tool(safety="keyed", key_ttl="forever", timeout="20s")
def close_day(day: str, payments: int, call: Call) -> str:
    """Close the day, after so many payments; nothing can be paid on it any more."""
    body = {"day": day, "payments": str(payments)}
    closed: str = send("POST", "/closings", body, key=call.key, timeout_seconds=15.0)["id"]
    return closed


PAYMENTS = Policy(name="payments", version="1", rules=(Rule(name="large", then="always", tools=("pay",), when="amount > 20000"),))
"""Since this morning somebody looks at what is larger than anything that was ever owed. Last night nobody was asked."""


def settling(convert: Tool[..., Any], policy: Policy | None, *, version: str, suffix: str = "") -> Agent:
    """suffix: of the name of the script, by which the provider knows whose bill it is."""
    return Agent(
        "settlement",
        version=version,
        goal="Settle what is owed today",
        instructions=SETTLE,
        model=models(settler, name=f"settler{suffix}", output_tokens_max=2000),
        horizon="plan",
        interpret=False,
        inputs={"day": {"type": "string", "minLength": 1}},
        tools=[read_invoices, convert, pay, close_day],
        policy=policy,
        limits=Limits(turns_max=20, parallel_max=1),
    )


night = settling(convert_as_if_for_one, None, version="41")
morning = settling(convert, PAYMENTS, version="42")
