"""The driver of the lab `payment`: one transfer at each of three gateways, the worker killed before it can write it down.

`check` decides how it ended. It counts transfers in the gateways' own ledger; of holdfast it takes only how each run was
left.
"""

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

from holdfast.core import events as e
from holdfast.errors import UsageError
from holdfast.labs.payment.check import GATEWAYS, Payment, Said, Seen, check, transfers
from holdfast.labs.services import Services, start_services
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import told

FILES = ("agents.py",)
PERSON = "Ada (driver of the lab)"
HOLD_SECONDS = 8.0
"""Less than the tools wait, and far more than it takes to kill a process."""

WORDS: dict[Said, str] = {
    "happened": "the transfer went through; the person looks into the ledger and says so",
    "not-happened": "the transfer went through; the person is wrong, says that it did not, and wants it left undone",
    "never-sent": "the worker dies before the gateway hears of it; the person says so, and wants it made",
}

_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool, said: str = "happened") -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. UsageError for an unknown `said`."""
    word = next((word for word in WORDS if word == said), None)
    if word is None:
        raise UsageError(f"the person cannot say {said!r}", hint=f"they say {', '.join(WORDS)}")
    payments = payments_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep) as shop:
        shop.title("payment", seed)
        _introduce(shop, payments, word)
        with start_services("payment", shop.world, seed=seed) as services:
            killed = [_pay(shop, payment, services, word) for payment in payments]
            seen = Seen(
                ledger=services.ledger(),
                requests=shop.requests_of(services),
                histories=shop.histories(),
                were_killed=all(killed),
            )
        _timelines(shop, payments, seen)
        _world(shop, payments, seen)
        problems = check(payments, seen, word)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict([*_CLAIMS, *_LAST_CLAIM[word]], problems)


_CLAIMS = (
    "Read from the gateways' ledger: each account was paid once, by the gateway that was to pay it.",
    "Each worker was killed with SIGKILL before the transfer was written down.",
    "keyed: sent twice under one key, and the second was dropped.  lookup: sent once, and looked up.",
)
_LAST_CLAIM: dict[Said, Sequence[str]] = {
    "happened": ("plain: sent once; a person was asked, and what they said is the run's result.",),
    "not-happened": (
        "plain: sent once; a person was asked and said that it had not happened. Their word holds: nothing",
        "was sent again and the run failed. Here the word was wrong, and the journal says whose it was.",
    ),
    "never-sent": ("plain: a person was asked, said that nothing had happened, and it was sent once after that.",),
}


def payments_of(seed: int) -> tuple[Payment, ...]:
    """The payments of a seed: account, amount and invoice for each gateway."""
    draw = random.Random(seed)
    return tuple(
        Payment(
            gateway=gateway,
            account=f"DE{draw.randrange(10**8):08d}",
            amount=f"{draw.randrange(50, 900)}.{draw.randrange(100):02d}",
            reference=f"invoice-{draw.randrange(1000, 10000)}",
        )
        for gateway in GATEWAYS
    )


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, payments: Sequence[Payment], word: Said) -> None:
    shop.heading("The world: three gateways on loopback, in a process of their own")
    shop.say(
        "  keyed    drops a transfer whose key it has seen",
        "  lookup   knows no keys, but can be asked for the transfers with a reference",
        "  plain    knows no keys and cannot be asked",
        "",
        *(
            f"  {payment.gateway:<7}  is to pay {payment.amount:>6} to {payment.account} for {payment.reference}"
            for payment in payments
        ),
        "",
        f"  the person at the plain gateway is played by the lab ({word}):",
        f"  {WORDS[word]}",
        "",
        f"agents.py and the store are in {shop.directory}",
    )


def _pay(shop: Workshop, payment: Payment, services: Services, word: Said) -> bool:
    """One transfer from its start to its end; whether its worker was killed before the record."""
    shop.heading(f"{payment.gateway}: {_PROMISES[payment.gateway]}")
    order = {"account": payment.account, "amount": payment.amount, "reference": payment.reference}
    (shop.directory / f"{payment.gateway}.json").write_text(json.dumps(order), encoding="utf-8")
    command = _command(payment)
    if payment.gateway == "plain":
        shop.run(*command)
        shop.note("nobody promises anything about repeating this call, so a person is asked before it is made")
        shop.run("answer", payment.run_id, "approve", "--by", PERSON, "--db", STORE)
    if payment.gateway == "plain" and word == "never-sent":
        was_killed = _kill_before_the_gateway_hears(shop, payment, command)
    else:
        was_killed = _kill_before_the_answer(shop, payment, command, services)
    shop.note("now the very same command once more")
    shop.run(*command)
    if payment.gateway == "plain":
        _answer(shop, payment, services, word)
        shop.run(*command)
    return was_killed


_PROMISES = {
    "keyed": "the same key goes out again",
    "lookup": "the gateway is asked",
    "plain": "a person is asked",
}


def _command(payment: Payment) -> tuple[str, ...]:
    order = ("--input", f"@{payment.gateway}.json", "--id", payment.run_id, "--db", STORE, "--lease", "1")
    return ("run", f"agents.py:{payment.gateway}", *order)


def _kill_before_the_answer(shop: Workshop, payment: Payment, command: Sequence[str], services: Services) -> bool:
    services.hold(payment.gateway, payment.account, seconds=HOLD_SECONDS)
    worker = shop.start(*command)
    if not shop.until_held(services, payment.gateway, worker):
        return False
    shop.note("the gateway has paid; its answer is not out yet")
    return shop.kill(worker)


def _kill_before_the_gateway_hears(shop: Workshop, payment: Payment, command: Sequence[str]) -> bool:
    """Let the worker connect to an address where nobody reads, and kill it there: the gateway never hears of it."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.settimeout(15.0)
        world = shop.directory / "no-gateway"
        world.mkdir()
        port = nobody.getsockname()[1]
        (world / "services.json").write_text(json.dumps({"http": f"http://127.0.0.1:{port}"}), encoding="utf-8")
        worker = shop.start(*command, world=world)
        try:
            connection, _ = nobody.accept()
        except TimeoutError:
            shop.note("the transfer did not come")
            shop.kill(worker)
            return False
        with connection:
            shop.note("the transfer is on its way, along a line that does not reach the gateway")
            return shop.kill(worker)


def _answer(shop: Workshop, payment: Payment, services: Services, word: Said) -> None:
    """The person, who finds the question in the inbox, takes it in hand, and is shown what nobody knows. In this lab it is the
    driver, and the journal says so."""
    shop.note("the person looks what there is in the inbox that is no mere approval")
    shop.run("inbox", "--kind", "escalation", "--db", STORE)
    shop.run("inbox", "claim", payment.run_id, "--by", PERSON, "--db", STORE)
    shop.run("inbox", "show", payment.run_id, "--by", PERSON, "--db", STORE)
    if word == "not-happened":
        shop.note("the person does not look, and is wrong")
        shop.run("answer", payment.run_id, "reject", "I see no transfer", "--by", PERSON, "--db", STORE)
        return
    landed = transfers(services.ledger(), payment)
    shop.note(f"the person looks into the ledger; transfers to {payment.account} there: {len(landed)}")
    if landed:
        result = {**landed[0]["detail"], "account": payment.account}
        shop.run("answer", payment.run_id, "respond", json.dumps(result), "--by", PERSON, "--db", STORE)
    else:
        shop.run("answer", payment.run_id, "approve", "--by", PERSON, "--note", "not in the ledger", "--db", STORE)


# --- what is shown of it ------------------------------------------------------------------------------------------


def _timelines(shop: Workshop, payments: Sequence[Payment], seen: Seen) -> None:
    shop.heading("What the journals say")
    for payment in payments:
        shop.say(f"  {payment.run_id}")
        entries = seen.histories.get(payment.run_id, [])
        for entry in entries:
            if isinstance(entry.event, e.RunResumed):
                shop.line("        ---- another worker goes on ----")
            elif words := told(entry.event):
                shop.entry(entry.at - entries[0].at, words)


def _world(shop: Workshop, payments: Sequence[Payment], seen: Seen) -> None:
    shop.heading("What the gateways say: requests, and transfers in the ledger")
    rows: list[Sequence[object]] = [("gateway", "sent", "keys", "looked up", "transfers", "paid")]
    for payment in payments:
        posts = [row for row in seen.requests if row["method"] == "POST" and row["path"] == f"/{payment.gateway}/transfers"]
        looks = [row for row in seen.requests if row["method"] == "GET" and row["path"].startswith(f"/{payment.gateway}/")]
        landed = transfers(seen.ledger, payment)
        paid = " + ".join(row["detail"]["amount"] for row in landed) or "nothing"
        rows.append((payment.gateway, len(posts), len({row["key"] for row in posts}), len(looks), len(landed), paid))
    shop.table(rows)
