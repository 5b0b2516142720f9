"""The laptop shop: only reconcilable. It honours no key, so each order that gets through is another laptop; but it can
be asked which orders there are.
"""

import threading
from collections.abc import Sequence

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text


class LaptopShop:
    def __init__(self, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._ledger = ledger
        self._ids = ids
        self._faults = faults
        self._lock = threading.Lock()
        self._orders: list[dict[str, str]] = []

    def routes(self) -> Sequence[Route]:
        return [Route("POST", "/orders", self._order), Route("GET", "/orders", self._find)]

    def _order(self, request: Request) -> Reply:
        """{for, model} → 201 {id, for, model}. 503 for whom the shop is down."""
        body = request.json()
        user, model = text(body, "for"), text(body, "model")
        if user in self._faults.down_for:
            raise Refusal(503, "the shop is down")
        with self._lock:
            is_first = not self._orders_for(user)
            order = {"id": self._ids.next("order", user), "for": user, "model": model}
            self._orders.append(order)
            row = self._ledger.append("orders", "ordered", user, request.key, id=order["id"], model=model)
        is_lost = is_first and user in self._faults.lost_answer_for
        return Reply(
            status=201,
            body=order,
            effect=row,
            lost_after_seconds=self._faults.lost_after_seconds if is_lost else None,
        )

    def _find(self, request: Request) -> Reply:
        """?for=USER → the list of that user's orders, oldest first."""
        with self._lock:
            return Reply(body=self._orders_for(request.require("for")))

    def _orders_for(self, user: str) -> list[dict[str, str]]:
        return [order for order in self._orders if order["for"] == user]
