"""`python -m holdfast.labs.services LAB --dir DIR`: serve one lab's world until told to stop.

Ends with 0 on SIGTERM or SIGINT, when the parent process is gone, and after `--lifetime` seconds; with 2 when used
wrongly.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from holdfast.labs.services.bank import bank_routes
from holdfast.labs.services.checks import Checks
from holdfast.labs.services.control import control_routes
from holdfast.labs.services.customers import Customers
from holdfast.labs.services.faults import Faults, read_faults
from holdfast.labs.services.flights import flight_routes
from holdfast.labs.services.holds import Holds
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.ledger import Ledger, RequestLog
from holdfast.labs.services.mail import MailServer
from holdfast.labs.services.mailboxes import Mailboxes
from holdfast.labs.services.newsroom import newsroom_routes
from holdfast.labs.services.notices import SERVICES, post_notice
from holdfast.labs.services.office import office_routes
from holdfast.labs.services.orders import LaptopShop
from holdfast.labs.services.payouts import payout_routes
from holdfast.labs.services.provider import provider_routes
from holdfast.labs.services.transfers import transfer_routes
from holdfast.labs.services.travel import travel_routes
from holdfast.labs.services.trips import trip_routes
from holdfast.labs.services.vpn import Vpn
from holdfast.labs.services.web import Route, WebServer

WATCH_SECONDS = 0.05
"""How often to look whether the parent is still there: an orphan lives no longer than this."""

HOLDS = {
    "approvals": {"payouts": frozenset({"payouts"})},
    "drift": {name: frozenset({name}) for name in ("rooms", "trains", "payments")},
    "flight": {name: frozenset({name}) for name in ("seats", "bookings")},
    "forty_seven": {"mail": frozenset({"mail"})},
    "morning_after": {name: frozenset({name}) for name in ("payments", "closings")},
    "news": {},
    "onboarding": {name: frozenset({name}) for name in ("mailbox", "vpn", "orders", "mail", "background")},
    "payment": {
        "keyed": frozenset({"keyed"}),
        "lookup": frozenset({"lookup"}),
        "plain": frozenset({"plain"}),
        "transfer": frozenset({"keyed", "lookup", "plain"}),
    },
    "runaway": {name: frozenset({name}) for name in ("refunds", "notes", "tables", "pictures")},
    "second_run": {"bookings": frozenset({"bookings"})},
    "weekend": {name: frozenset({name}) for name in ("hotels", "trains")},
}
"""For each lab, what can be held, and the ledger's services that each of these names covers. In every lab `models` can be."""


def main(arguments: Sequence[str] | None = None) -> int:
    # First of all, because a parent that dies before this line is one whose death goes unseen.
    parent_pid = os.getppid()
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        faults = read_faults(options.faults) if options.faults else Faults()
    except (OSError, ValueError) as error:
        parser.error(f"--faults: {error}")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    options.dir.mkdir(parents=True, exist_ok=True)
    post_notice(options.dir / SERVICES, _serve(options.lab, options.dir, options.seed, faults))
    # All threads are daemons and the ledger is flushed row by row: when this returns there is nothing to wind up.
    _watch(parent_pid, options.lifetime)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m holdfast.labs.services", description="Serve one lab's world.")
    parser.add_argument("lab", choices=sorted(HOLDS))
    parser.add_argument("--dir", type=Path, required=True, help="where services.json, ledger.jsonl, held.json go")
    parser.add_argument("--seed", type=int, default=7, help="decides the ids that the services give (default 7)")
    parser.add_argument("--faults", type=Path, help="a JSON file that says what goes wrong, and for whom")
    parser.add_argument("--lifetime", type=float, default=600.0, help="seconds until it ends by itself (default 600)")
    return parser


def _serve(lab: str, directory: Path, seed: int, faults: Faults) -> dict[str, object]:
    """Bind the ports and start to serve; returns what services.json says. No SMTP: the host is "" and the port 0."""
    ledger, log, ids = Ledger(directory / "ledger.jsonl"), RequestLog(), Ids(seed)
    holds = Holds(directory, {**HOLDS[lab], "models": frozenset({"models"})})
    routes: list[Route] = [*control_routes(ledger, log, holds), *provider_routes(ledger)]
    smtp_host, smtp_port = "", 0
    match lab:
        case "onboarding":
            mail = MailServer(ledger, log, holds, ids)
            smtp_host, smtp_port = mail.start()
            routes += [*Mailboxes(ledger, ids).routes(), *Vpn(ledger, ids, faults).routes()]
            routes += [*LaptopShop(ledger, ids, faults).routes(), *Checks(ledger, ids, faults).routes(), *mail.routes()]
        case "approvals":
            routes += payout_routes(ledger, ids, seed)
        case "morning_after":
            routes += bank_routes(ledger, ids, seed)
        case "payment":
            routes += transfer_routes(ledger, ids, faults)
        case "forty_seven":
            routes += Customers(ledger, ids, faults).routes()
        case "news":
            mail = MailServer(ledger, log, holds, ids)
            smtp_host, smtp_port = mail.start()
            routes += [*newsroom_routes(faults), *mail.routes()]
        case "drift" | "second_run":
            routes += trip_routes(ledger, ids)
        case "flight":
            routes += flight_routes(ledger, ids, faults)
        case "runaway":
            routes += office_routes(ledger, ids, faults)
        case _:
            routes += travel_routes(ledger, ids, faults)
    http = WebServer(routes, log, holds).start()
    return {"pid": os.getpid(), "lab": lab, "http": http, "smtp_host": smtp_host, "smtp_port": smtp_port}


def _watch(parent_pid: int, lifetime_seconds: float) -> None:
    """Return when the parent is gone (an orphan is given to another one) or the lifetime is over."""
    deadline = time.monotonic() + lifetime_seconds
    while os.getppid() == parent_pid and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(WATCH_SECONDS, left))


def _stop(signum: int, frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
