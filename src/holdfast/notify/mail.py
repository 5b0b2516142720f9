"""Mail over SMTP."""

from __future__ import annotations

import hashlib
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Literal, get_args

from holdfast.errors import UsageError
from holdfast.journal.people import Notice, Person
from holdfast.notify import text
from holdfast.notify.base import NotifyError
from holdfast.notify.threads import Wire, in_thread

Security = Literal["starttls", "tls", "none"]
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# What a mailbox may be: RFC 5322, section 3.4.1, without quoted parts, comments and literals, in ASCII.
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")


class Mail:
    """Mails each notice to those who are meant and have an address, and to `to`.

    security: `starttls` (nothing is sent where the server has none), `tls` from the start, or `none`; a password is sent
    without either to this machine only. Certificates are verified. timeout_seconds: for all of a mail.

    A mail that is sent again has the same Message-ID, and those about one interrupt stand in one thread. Where nobody has an
    address nothing is sent, and that is remarked.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        to: Iterable[str] = (),
        user: str | None = None,
        password: str | None = None,
        security: Security = "starttls",
        name: str = "mail",
        timeout_seconds: float = 20.0,
        now: Callable[[], float] = time.time,
    ):
        self.name = name
        self._host, self._port = host, port
        self._sender = _checked(sender)
        self._to = tuple(_checked(one) for one in ((to,) if isinstance(to, str) else to))
        self._user, self._password = user, password
        self._security = security
        self._timeout_seconds = timeout_seconds
        self._now = now
        if security not in get_args(Security):
            raise UsageError(f"the security of mail is {security!r}", hint=f"it is one of {', '.join(get_args(Security))}")
        if (user is None) != (password is None):
            raise UsageError("mail has a user without a password, or a password without a user", hint="give both, or neither")
        if password is not None and security == "none" and host not in LOOPBACK:
            raise UsageError(f"the password would go to {host} for all to read", hint="use security starttls or tls")

    async def send(self, notice: Notice, to: tuple[Person, ...]) -> str | None:
        """See `Channel.send`."""
        known = {person.mail: person.name for person in to if _MAILBOX.fullmatch(person.mail)}
        recipients = {**known, **{mail: known.get(mail, "") for mail in self._to}}
        if not recipients:
            return "nobody who is meant has an address for mail"
        message = written(notice, self._sender, recipients, self._now())
        refused = await in_thread(lambda wire: self._hand_over(wire, message, list(recipients)), self._timeout_seconds)
        unfit = [person.name for person in to if person.mail and person.mail not in known]
        remarks = (f"not taken for {_codes(refused)}" if refused else "", f"no address: {', '.join(unfit)}" if unfit else "")
        return "; ".join(filter(None, remarks)) or None

    def _hand_over(self, wire: Wire, message: EmailMessage, recipients: list[str]) -> dict[str, tuple[int, bytes]]:
        """Send it; those for whom the server did not take it."""
        try:
            server = self._connected(wire)
            try:
                return server.send_message(message, self._sender, recipients)
            finally:
                # The mail is delivered or refused by now; a failing goodbye changes nothing about that.
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            for_good = all(code >= 500 for code, _ in error.recipients.values())
            raise NotifyError(
                f"{self._host} takes mail for none of them: {_codes(error.recipients)}", transient=not for_good
            ) from error
        except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as error:
            # RFC 5321, section 4.2.1: 4yz may work later, 5yz will not.
            raise NotifyError(f"{self._host} refused the mail: {error.smtp_code}", transient=error.smtp_code < 500) from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotifyError(f"{self._host} cannot take it: {error}") from error
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise NotifyError(f"{self._host} did not take it: {type(error).__name__}: {_said(error)}") from error

    def _connected(self, wire: Wire) -> smtplib.SMTP:
        # The own name is given because looking it up takes seconds where there is no name server; RFC 5321, section 4.1.3.
        own, seconds = "[127.0.0.1]", self._timeout_seconds
        if self._security == "tls":
            return self._signed_in(
                _Secure(wire, self._host, self._port, own, timeout=seconds, context=ssl.create_default_context())
            )
        server = _Plain(wire, self._host, self._port, own, timeout=seconds)
        return self._signed_in(server)

    def _signed_in(self, server: smtplib.SMTP) -> smtplib.SMTP:
        try:
            if self._security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self._user is not None and self._password is not None:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server


class _Plain(smtplib.SMTP):
    """One that can be ended from another thread; `smtplib` connects while it is made."""

    def __init__(self, wire: Wire, *args: Any, **options: Any):
        wire.hold(lambda: _shut(self))
        super().__init__(*args, **options)


class _Secure(smtplib.SMTP_SSL):
    """The same, over TLS from the start."""

    def __init__(self, wire: Wire, *args: Any, **options: Any):
        wire.hold(lambda: _shut(self))
        super().__init__(*args, **options)


def _shut(server: smtplib.SMTP) -> None:
    if server.sock is not None:
        server.sock.shutdown(socket.SHUT_RDWR)


def written(notice: Notice, sender: str, recipients: dict[str, str], now: float) -> EmailMessage:
    """The mail. recipients: names by address."""
    message = EmailMessage()
    message["From"] = _address(sender, "holdfast")
    message["To"] = tuple(_address(mail, name) for mail, name in recipients.items())
    message["Subject"] = text.subject(notice)
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = message_id(notice.id, sender)
    if notice.interrupt:
        # Nobody ever sent the mail that these refer to; it is what holds them together (RFC 5322, section 3.6.4).
        message["References"] = message_id(f"{notice.run_id}/{notice.interrupt}", sender)
    # RFC 3834: nobody's holiday is to answer it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.text(notice))
    return message


def message_id(notice_id: str, sender: str) -> str:
    """The same for the same notice, whatever stands in its id."""
    digest, domain = hashlib.sha256(notice_id.encode("utf-8", "replace")).hexdigest()[:32], sender.rpartition("@")[2]
    return f"<{digest}@{domain}>"


def _address(mail: str, name: str) -> Address:
    user, _, domain = mail.rpartition("@")
    return Address(text.one_line(name, 80), user, domain)


def _checked(mail: str) -> str:
    if not _MAILBOX.fullmatch(mail):
        raise UsageError(f"{mail!r} is no address for mail", hint="write name@host, without a display name")
    return mail


def _codes(refused: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{mail} ({code})" for mail, (code, _) in refused.items())


def _said(error: Exception) -> str:
    """What went wrong, without what the server answered word by word: it may repeat what was sent."""
    return str(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else text.one_line(str(error))
