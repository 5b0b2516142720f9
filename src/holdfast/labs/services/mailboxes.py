"""The mailbox service: of the keyed kind, so that asking again under the same key changes nothing."""

import re
import threading
from collections.abc import Sequence

from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

DOMAIN = "corp.test"


class Mailboxes:
    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._keys = Keys()
        self._lock = threading.Lock()
        self._users: set[str] = set()

    def routes(self) -> Sequence[Route]:
        return [Route("POST", "/mailboxes", self._create)]

    def _create(self, request: Request) -> Reply:
        """{user, name} → 201 {address, id}. 409 when the user has a mailbox that came of another key."""
        body = request.json()
        user, name = text(body, "user"), text(body, "name")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", user):
            raise Refusal(400, "user cannot be the name of a mailbox")

        def act(key: str) -> Reply:
            with self._lock:
                if user in self._users:
                    raise Refusal(409, f"{user} has a mailbox")
                self._users.add(user)
            address, box_id = f"{user}@{DOMAIN}", self._ids.next("mailbox", user)
            row = self._ledger.append("mailbox", "created", user, key, id=box_id, address=address, name=name)
            return Reply(status=201, body={"address": address, "id": box_id}, effect=row)

        return self._keys.once(request, (user, name), act)
