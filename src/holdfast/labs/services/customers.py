"""Mail to customers, and the CRM that is told of it: the mail is out at once, and shows in the CRM only some time later."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Reply, Request, Route, text


@dataclass(frozen=True, kw_only=True)
class _Mail:
    to: str
    id: str
    key: str
    shows_at: float
    """Monotonic seconds; infinite for one that the CRM never hears of."""


class Customers:
    """The mail service drops no repeats and says only that it has taken a mail. What was sent is for the CRM to know."""

    def __init__(self, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._ledger = ledger
        self._ids = ids
        self._faults = faults
        self._lock = threading.Lock()
        self._mails: list[_Mail] = []

    def routes(self) -> Sequence[Route]:
        return [
            Route("POST", "/mails", self._send),
            Route("GET", "/sent", self._sent),
            Route("GET", "/crm/{customer}", self._look),
        ]

    def _send(self, request: Request) -> Reply:
        """{to, text} → 201 {id, to}."""
        body = request.json()
        customer = text(body, "to")
        text(body, "text")
        with self._lock:
            is_first = all(mail.to != customer for mail in self._mails)
            is_unseen = is_first and customer in self._faults.unseen_for
            shows_at = float("inf") if is_unseen else time.monotonic() + self._faults.crm_delay_seconds
            mail = _Mail(to=customer, id=self._ids.next("mail", customer), key=request.key or "", shows_at=shows_at)
            self._mails.append(mail)
            row = self._ledger.append("mail", "sent", customer, request.key, id=mail.id)
        return Reply(status=201, body={"id": mail.id, "to": customer}, effect=row)

    def _sent(self, request: Request) -> Reply:
        """?to=CUSTOMER → the sent log: that customer's mails [{id, key}], at once. For people; no agent is let in here."""
        customer = request.require("to")
        with self._lock:
            return Reply(body=[{"id": mail.id, "key": mail.key} for mail in self._mails if mail.to == customer])

    def _look(self, request: Request) -> Reply:
        """→ {customer, has_answered, mails}: what the CRM has heard of by now, each mail as {id, key}, oldest first."""
        customer = request.params["customer"]
        now = time.monotonic()
        with self._lock:
            mails = [{"id": mail.id, "key": mail.key} for mail in self._mails if mail.to == customer and mail.shows_at <= now]
        return Reply(body={"customer": customer, "has_answered": customer in self._faults.answered, "mails": mails})
