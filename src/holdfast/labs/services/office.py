"""An office that does what it is told: refunds, notes, a library, tables for dinner, and pictures that cost money."""

import time
from collections.abc import Sequence
from decimal import Decimal

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

# What the library has on anything: whatever is asked for, these three.
PASSAGES = (
    {"page": 12, "text": "The warranty covers the motor for five years."},
    {"page": 13, "text": "It does not cover the battery."},
    {"page": 40, "text": "Claims are made in writing."},
)
MENUS = ("garden", "harbour", "farmhouse")
# What a picture costs in US dollars: no two sizes the same, so that a sum tells what was made.
PICTURES = {"small": Decimal("0.011"), "medium": Decimal("0.023"), "large": Decimal("0.0395")}


def office_routes(ledger: Ledger, ids: Ids, faults: Faults) -> Sequence[Route]:
    office = Office(ledger, ids, faults)
    return [
        Route("POST", "/refunds", office.refund),
        Route("POST", "/notes", office.note),
        Route("POST", "/tables", office.reserve),
        Route("POST", "/pictures", office.draw),
        Route("GET", "/library", find_passages),
        Route("GET", "/menus", find_menus),
    ]


def find_passages(request: Request) -> Reply:
    """?words=WORDS → [{page, text}], the same three for any words."""
    request.require("words")
    return Reply(body=list(PASSAGES))


def find_menus(request: Request) -> Reply:
    """?style=STYLE → what a menu of that style costs a guest; a little more for each letter, so that there is always news."""
    style = request.require("style")
    return Reply(body={"style": style, "usd_per_guest": 20 + len(style)})


class Office:
    """Each service drops a repeat under a key that it has seen. In every request `by` is who asks, and whom the ledger names."""

    def __init__(self, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._ledger = ledger
        self._ids = ids
        self._draw_seconds = faults.draw_seconds
        self._keys = {name: Keys() for name in ("refunds", "notes", "tables", "pictures")}

    def refund(self, request: Request) -> Reply:
        """{by, order} → 201 {id, order}. 422 unless the order is six digits."""
        order = text(request.json(), "order")
        if len(order) != 6 or not order.isdigit():
            raise Refusal(422, "an order has six digits")
        return self._once(request, "refunds", "paid", order=order)

    def note(self, request: Request) -> Reply:
        """{by, text} → 201 {id, text}."""
        return self._once(request, "notes", "written", text=text(request.json(), "text"))

    def reserve(self, request: Request) -> Reply:
        """{by, guests} → 201 {id, guests}."""
        return self._once(request, "tables", "reserved", guests=text(request.json(), "guests"))

    def draw(self, request: Request) -> Reply:
        """{by, subject, size} → 201 {id, subject, size, usd}. Takes its time, and costs what it costs, once."""
        body = request.json()
        size = text(body, "size")
        if size not in PICTURES:
            raise Refusal(422, f"there are {', '.join(PICTURES)}")
        time.sleep(self._draw_seconds if size != "small" else 0.0)
        return self._once(request, "pictures", "made", subject=text(body, "subject"), size=size, usd=str(PICTURES[size]))

    def _once(self, request: Request, service: str, action: str, **detail: str) -> Reply:
        by = text(request.json(), "by")

        def act(key: str) -> Reply:
            made = self._ids.next(service, by)
            row = self._ledger.append(service, action, by, key, id=made, **detail)
            return Reply(status=201, body={"id": made, **detail}, effect=row)

        return self._keys[service].once(request, (by, *detail.values()), act)
