"""The same agent without holdfast: a plain function that knows success and failure, and nothing in between."""

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


def wake_up(address: str, customer: str) -> bool:
    """Look into the CRM; mail where it shows neither an answer nor a mail. Whether a mail was sent."""
    known = _request(address, "GET", f"/crm/{customer}")
    if known["has_answered"] or known["mails"]:
        return False
    _request(address, "POST", "/mails", {"to": customer, "text": "Did our offer reach you?"})
    return True


def _request(address: str, method: str, path: str, body: object = None) -> Any:
    connection = HTTPConnection(urlsplit(address).netloc, timeout=5)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
