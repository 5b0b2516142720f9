"""Three payment gateways that move money alike and differ in what they offer to one who does not know whether it moved.

`keyed` drops repeats of a key, `lookup` can be asked, `plain` offers nothing.
"""

import re
import threading
import time
from collections.abc import Sequence
from decimal import Decimal

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text


def transfer_routes(ledger: Ledger, ids: Ids, faults: Faults) -> Sequence[Route]:
    keyed, lookup, plain = (Gateway(service, ledger, ids, faults) for service in ("keyed", "lookup", "plain"))
    return [
        Route("POST", "/keyed/transfers", keyed.transfer_once),
        Route("POST", "/lookup/transfers", lookup.transfer),
        Route("GET", "/lookup/transfers", lookup.find),
        Route("POST", "/plain/transfers", plain.transfer),
    ]


class Gateway:
    """{account, amount, reference} → 201 {id, account, amount, reference}."""

    def __init__(self, service: str, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._service = service
        self._ledger = ledger
        self._ids = ids
        self._late_commit_seconds = faults.late_commit_seconds
        self._keys = Keys(faults.forget_keys_after_seconds)
        self._lock = threading.Lock()
        self._transfers: list[dict[str, str]] = []

    def transfer(self, request: Request) -> Reply:
        return self._land(*_order(request), request.key)

    def transfer_once(self, request: Request) -> Reply:
        order = _order(request)
        return self._keys.once(request, order, lambda key: self._land(*order, key))

    def find(self, request: Request) -> Reply:
        """?reference=REFERENCE → the list of such transfers that have landed by now, oldest first."""
        reference = request.require("reference")
        with self._lock:
            return Reply(body=[transfer for transfer in self._transfers if transfer["reference"] == reference])

    def _land(self, account: str, amount: str, reference: str, key: str | None) -> Reply:
        # The thread of the request sees it through even when its caller has gone; that is all a late commit needs.
        time.sleep(self._late_commit_seconds)
        transfer_id = self._ids.next(self._service, account)
        transfer = {"id": transfer_id, "account": account, "amount": amount, "reference": reference}
        with self._lock:
            self._transfers.append(transfer)
            row = self._ledger.append(self._service, "transfer", account, key, id=transfer_id, amount=amount, reference=reference)
        return Reply(status=201, body=transfer, effect=row)


def _order(request: Request) -> tuple[str, str, str]:
    """Account, amount and reference. Raises Refusal 400 unless the amount is a decimal string above zero."""
    body = request.json()
    account, amount, reference = text(body, "account"), text(body, "amount"), text(body, "reference")
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,4})?", amount) or Decimal(amount) == 0:
        raise Refusal(400, 'amount must be a decimal string above zero, such as "12.50"')
    return account, amount, reference
