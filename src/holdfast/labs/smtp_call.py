"""How the labs' tools send a mail, and what each way of failing says about it; `http_call` says why that matters."""

import smtplib
from collections.abc import Mapping
from contextlib import suppress
from email.message import EmailMessage
from typing import Any

from holdfast import InvalidInput, Transient, Unknown
from holdfast.labs.http_call import services


def hand_over(message: EmailMessage, where: Mapping[str, Any] | None = None) -> None:
    """Send a mail. Transient where nothing was sent, InvalidInput where the server does not take it, and Unknown where it went
    out and no answer came. where: the host and the port of the server; as the services say, where it is left out."""
    where = services() if where is None else where
    try:
        # The name is given because looking up our own takes seconds where there is no name server.
        server = smtplib.SMTP(where["smtp_host"], where["smtp_port"], local_hostname="localhost", timeout=4.0)
    except (OSError, smtplib.SMTPException) as error:
        raise Transient(f"the mail server cannot be reached: {error}") from error
    try:
        server.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        raise InvalidInput(f"the mail server does not take this address: {refused}") from refused
    except smtplib.SMTPResponseException as refused:
        # RFC 5321, section 4.2.1: 4yz may work later, 5yz will not.
        failure = InvalidInput if refused.smtp_code >= 500 else Transient
        raise failure(f"the mail server refused: {refused.smtp_code} {refused.smtp_error!r}") from refused
    except (OSError, smtplib.SMTPException) as error:
        raise Unknown(f"the mail went out, and no answer came: {type(error).__name__}") from error
    finally:
        # The mail is delivered or refused by now; a failing goodbye changes nothing about that.
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
