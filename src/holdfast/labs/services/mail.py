"""Mail: a real SMTP server that delivers to its ledger, and the sent log of a mail provider to look into."""

import asyncio
import re
import threading
from collections.abc import Sequence
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from aiosmtpd.smtp import SMTP, Envelope, Session

from holdfast.labs.services.holds import POLL_SECONDS, Hold, Holds
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.ledger import Ledger, RequestLog
from holdfast.labs.services.web import Reply, Request, Route

HOST = "127.0.0.1"
MAIL_BYTES_MAX = 1 << 20


class MailServer:
    """Takes mail for anybody. Like any SMTP server it drops no repeats: a mail that is sent twice arrives twice."""

    def __init__(self, ledger: Ledger, log: RequestLog, holds: Holds, ids: Ids) -> None:
        self._ledger = ledger
        self._log = log
        self._holds = holds
        self._ids = ids
        self._lock = threading.Lock()
        self._delivered: list[dict[str, str]] = []

    def start(self) -> tuple[str, int]:
        """Serve on a free port from a thread of its own; returns host and port."""
        # Not aiosmtpd's own Controller: it connects to the port it was given, and so cannot be given 0.
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(loop.create_server(lambda: self._protocol(loop), HOST, 0))
        threading.Thread(target=loop.run_forever, name="smtp", daemon=True).start()
        port: int = server.sockets[0].getsockname()[1]
        return HOST, port

    def _protocol(self, loop: asyncio.AbstractEventLoop) -> SMTP:
        # The name is given because looking up our own takes seconds where there is no name server.
        return SMTP(self, hostname="mail.corp.test", loop=loop, enable_SMTPUTF8=True, data_size_limit=MAIL_BYTES_MAX)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """A mail has come in whole. Delivered before the first await: a caller that goes away cannot undo it."""
        content = envelope.content
        assert isinstance(content, bytes)
        numbers, holds = [], []
        for recipient in envelope.rcpt_tos:
            number, hold = self._deliver(message_from_bytes(content), envelope.mail_from or "", recipient)
            numbers.append(number)
            holds += [hold] if hold else []
        # Polled, as the release comes from a thread of the web server and an asyncio.Event is not for threads.
        try:
            while not all(hold.is_over() for hold in holds):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
        finally:
            # aiosmtpd cancels us when the caller is gone. The status in the log then stays None, as it should.
            for hold in holds:
                hold.released.set()
        for number in numbers:
            self._log.answer(number, 250)
        return "250 OK"

    def _deliver(self, message: Message, sender: str, recipient: str) -> tuple[int, Hold | None]:
        message_id, own_key = _header(message, "Message-ID"), _header(message, "X-Idempotency-Key")
        key, subject = own_key or message_id, _header(message, "Subject")
        number = self._log.arrive("SMTP", recipient, key or None)
        mail_id = self._ids.next("mail", recipient)
        mail = {
            "id": mail_id,
            "from": sender,
            "to": recipient,
            "key": key,
            "message_id": message_id,
            "subject": subject,
        }
        with self._lock:
            row = self._ledger.append("mail", "delivered", recipient, key or None, id=mail_id, subject=subject)
            self._delivered.append(mail)
        self._log.cause(number, row)
        return number, self._holds.take(row)

    def routes(self) -> Sequence[Route]:
        return [Route("GET", "/mails", self._find)]

    def _find(self, request: Request) -> Reply:
        """?to=ADDRESS and perhaps key=KEY → the list of such mails, oldest first.

        KEY is the X-Idempotency-Key or the Message-ID, the latter with its angle brackets.
        """
        recipient, key = request.require("to"), request.query.get("key")
        with self._lock:
            mails = [mail for mail in self._delivered if mail["to"] == recipient]
        return Reply(body=[mail for mail in mails if key is None or key in (mail["key"], mail["message_id"])])


def _header(message: Message, name: str) -> str:
    """A header unfolded and decoded (RFC 5322, section 2.2.3; RFC 2047); empty when there is none.

    Senders fold and encode a key that is too long for a line, so it must be undone before keys are compared. What
    cannot be decoded is taken as it stands.
    """
    raw = re.sub(r"\r?\n(?=[ \t])", "", str(message.get(name, ""))).strip()
    try:
        return str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, UnicodeDecodeError):
        return raw
