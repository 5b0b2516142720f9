"""The VPN service: idempotent by nature, as a grant is there or is not. At first it is down for everybody."""

import threading
from collections import Counter
from collections.abc import Sequence

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.ledger import Ledger, LedgerRow
from holdfast.labs.services.web import Refusal, Reply, Request, Route


class Vpn:
    def __init__(self, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._ledger = ledger
        self._ids = ids
        self._down_times = faults.vpn_down_times
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._profiles: dict[str, str] = {}

    def routes(self) -> Sequence[Route]:
        return [Route("PUT", "/vpn/{user}", self._grant)]

    def _grant(self, request: Request) -> Reply:
        """→ 200 {user, profile}, the same each time. 503 without Retry-After while it is down. The body is not read."""
        user = request.params["user"]
        row: LedgerRow | None = None
        with self._lock:
            self._asked[user] += 1
            if self._asked[user] <= self._down_times:
                raise Refusal(503, "the VPN service is down")
            if user not in self._profiles:
                profile = self._profiles[user] = self._ids.next("vpn", user)
                row = self._ledger.append("vpn", "granted", user, request.key, profile=profile)
            return Reply(body={"user": user, "profile": self._profiles[user]}, effect=row)
