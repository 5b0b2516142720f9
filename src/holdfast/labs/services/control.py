"""The driver's own routes: read the ledger and the request log, arm and release holds."""

import math
from collections.abc import Mapping, Sequence

from holdfast.labs.services.holds import Holds
from holdfast.labs.services.ledger import Ledger, RequestLog
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

HOLD_SECONDS = 5.0


def control_routes(ledger: Ledger, log: RequestLog, holds: Holds) -> Sequence[Route]:
    def arm(request: Request) -> Reply:
        body = request.json()
        name, subject = text(body, "service"), text(body, "subject")
        if name not in holds.names:
            raise Refusal(400, f"no such service to hold; there are {', '.join(sorted(holds.names))}")
        seconds = _seconds(body)
        holds.arm(name, subject, seconds)
        return Reply(body={"service": name, "subject": subject, "seconds": seconds})

    return [
        Route("GET", "/ledger", lambda _: Reply(body=ledger.rows()), is_control=True),
        Route("GET", "/requests", lambda _: Reply(body=log.rows()), is_control=True),
        Route("POST", "/hold", arm, is_control=True),
        Route("POST", "/release", lambda _: Reply(body={"released": holds.release()}), is_control=True),
    ]


def _seconds(body: Mapping[str, object]) -> float:
    seconds = body.get("seconds", HOLD_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
        raise Refusal(400, "seconds must be a number, 0 or more")
    return float(seconds)
