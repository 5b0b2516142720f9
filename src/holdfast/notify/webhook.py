"""A signed webhook, and how its receiver knows that it is ours.

Headers and signature follow the Standard Webhooks specification 1.0 (standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
`webhook-signature`, which is `v1,` and the Base64 of HMAC-SHA256 over `id.timestamp.body`; one for each secret, so that secrets
can be rotated. The id stays the same when a notice is sent again: a receiver that has seen it drops it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from holdfast.errors import HoldfastError, UsageError
from holdfast.journal.people import Notice, Person
from holdfast.notify.base import NotifyError
from holdfast.notify.text import one_line
from holdfast.notify.threads import Wire, in_thread

# "Symmetric secrets should be between 24 and 64 bytes", says the specification. A longer one does no harm.
SECRET_BYTES_MIN = 24
SECRET_PREFIX = "whsec_"
TOLERANCE_SECONDS = 300.0


class NotVerified(HoldfastError):
    """What came to a receiver is not what we sent, or it is too old."""


class Webhook:
    """POSTs each notice as JSON: `{id, what, run_id, agent, tenant, interrupt, at, who, to, body}`; `to` lists those who are
    meant, as `{name, mail}`.

    url: http or https; certificates are verified, proxies and redirects are not followed. secret: what is signed with, a text of
    at least 24 bytes, or Base64 behind `whsec_`; several while they are rotated. timeout_seconds: for all of a request.

    2xx is sent, 410 is given up, everything else is tried again, not before `Retry-After`. What is answered is not read beyond
    its headers.
    """

    def __init__(
        self,
        url: str,
        secret: str | Sequence[str],
        *,
        name: str = "webhook",
        timeout_seconds: float = 10.0,
        now: Callable[[], float] = time.time,
    ):
        self.name = name
        self._secure, self._host, self._port, self._path = _parts(url)
        self._keys = _keys(secret)
        self._timeout_seconds = timeout_seconds
        self._now = now

    async def send(self, notice: Notice, to: tuple[Person, ...]) -> None:
        """See `Channel.send`."""
        body = payload(notice, to)
        headers = signed(notice.id, body, self._keys, int(self._now()))
        await in_thread(lambda wire: self._post(wire, body, headers), self._timeout_seconds)

    def _post(self, wire: Wire, body: bytes, headers: dict[str, str]) -> None:
        connection = self._connection()
        try:
            connection.connect()
            held = connection.sock
            wire.hold(lambda: held.shutdown(socket.SHUT_RDWR))
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            status, retry_after = answer.status, answer.getheader("Retry-After")
            answer.close()
        except (OSError, HTTPException, ValueError) as error:
            raise NotifyError(f"{self._host} did not answer: {type(error).__name__}: {one_line(str(error))}") from error
        finally:
            connection.close()
        self._judge(status, retry_after)

    def _connection(self) -> HTTPConnection:
        if self._secure:
            # Made anew each time, so that certificates that are renewed are found.
            context = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=self._timeout_seconds, context=context)
        return HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)

    def _judge(self, status: int, retry_after: str | None) -> None:
        if 200 <= status < 300:
            return
        if status == 410:
            raise NotifyError(f"{self._host} answered 410: it wants no more of this", transient=False)
        hint = "redirects are not followed; name where it leads to" if 300 <= status < 400 else None
        raise NotifyError(f"{self._host} answered {status}", retry_after_seconds=_seconds(retry_after, self._now()), hint=hint)


def payload(notice: Notice, to: tuple[Person, ...]) -> bytes:
    """What is posted."""
    return msgspec.json.encode(
        {
            "id": notice.id, "what": notice.what, "run_id": notice.run_id, "agent": notice.agent, "tenant": notice.tenant,
            "interrupt": notice.interrupt, "at": notice.at, "who": notice.who,
            "to": [{"name": person.name, "mail": person.mail} for person in to], "body": notice.body,
        }
    )  # fmt: skip


def signed(notice_id: str, body: bytes, keys: Sequence[bytes], timestamp: int) -> dict[str, str]:
    """The headers of a request."""
    header_id = _header_id(notice_id)
    return {
        "Content-Type": "application/json",
        "User-Agent": "holdfast",
        "Connection": "close",
        "webhook-id": header_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(key, header_id, str(timestamp), body)}" for key in keys),
    }


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secret: str | Sequence[str],
    *,
    now: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> dict[str, Any]:
    """For receivers: what was sent, as a table, where a request is ours and fresh.

    headers: of the request, in any case. body: as it came, byte for byte. secret: one, or several while they are rotated. now:
    seconds since the epoch. NotVerified where a header is missing, no signature is by one of the secrets, or it was signed longer
    than `tolerance_seconds` before or after now. It may come more than once: keep the `id`s that were dealt with.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        header_id, timestamp, signatures = (found[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise NotVerified(f"the header {missing.args[0]} is missing") from None
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        raise NotVerified("the header webhook-timestamp is no number of seconds")
    if not _any_matches(signatures, [_signature(key, header_id, timestamp, body) for key in _keys(secret)]):
        raise NotVerified("the signature is not by this secret, or something was changed")
    if abs(now - int(timestamp)) > tolerance_seconds:
        raise NotVerified(f"it was signed at {timestamp}, and it is {now:.0f} now", hint="check the clocks of both sides")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise NotVerified(f"the body is no table of JSON: {error}") from error


def _any_matches(signatures: str, wanted: list[str]) -> bool:
    """Compared in constant time. Signatures of other versions are passed over, as the specification has it."""
    given = [rest.encode() for version, _, rest in (one.partition(",") for one in signatures.split()) if version == "v1"]
    matches = [hmac.compare_digest(one, other.encode()) for one in given for other in wanted]
    return any(matches)


def _signature(key: bytes, header_id: str, timestamp: str, body: bytes) -> str:
    content = f"{header_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _header_id(notice_id: str) -> str:
    """The id of a notice, fit for a header. Without a full stop: those part what is signed."""
    return quote(notice_id, safe="/:@-_", errors="replace").replace(".", "%2E")


def _keys(secret: str | Sequence[str]) -> list[bytes]:
    keys = [_key(one) for one in ((secret,) if isinstance(secret, str) else secret)]
    if not keys:
        raise UsageError("a webhook needs a secret", hint="give the one that its receiver knows")
    return keys


def _key(secret: str) -> bytes:
    try:
        coded = secret.startswith(SECRET_PREFIX)
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True) if coded else secret.encode()
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"a webhook's secret begins with {SECRET_PREFIX}, and what follows is not Base64") from error
    if len(key) < SECRET_BYTES_MIN:
        raise UsageError(
            f"a webhook's secret has {len(key)} bytes, and fewer than {SECRET_BYTES_MIN} can be guessed",
            hint="make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return key


def _parts(url: str) -> tuple[bool, str, int, str]:
    """Whether it is https, host, port, and path. An error does not repeat the URL: it may be a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the URL of the webhook cannot be read", hint="write https://HOST/PATH") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not (url.isascii() and url.isprintable()) or " " in url:
        raise UsageError("the URL of the webhook cannot be posted to", hint="write https://HOST/PATH, in ASCII")
    if parts.username is not None:
        raise UsageError(
            "the URL of the webhook has a name or a password in it", hint="its receiver checks the signature instead"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    secure = parts.scheme == "https"
    return secure, parts.hostname, port or (443 if secure else 80), path


def _seconds(retry_after: str | None, now: float) -> float | None:
    """The header Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (TypeError, ValueError, OverflowError):
        return None
