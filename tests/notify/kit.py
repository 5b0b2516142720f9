"""Receivers on loopback, a store with notices, and a clock that is set by hand."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from holdfast.journal.people import Notice, OpenInterrupt, Person
from holdfast.journal.sqlite import SqliteJournal
from holdfast.testing.journal_suite import T0, appended, batch, done, held

SECRET = "0123456789abcdef0123456789abcdef"
ANN = Person(name="ann", roles=("finance",), mail="ann@example.org")
BOB = Person(name="bob", roles=("support",), mail="bob@example.org")


class Clock:
    """Says what it is told."""

    def __init__(self, at: float = T0):
        self.at = at

    def now(self) -> float:
        """See `Clock`."""
        return self.at

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()


def notice(name: str = "order-7/i1/asked/1", **of: Any) -> Notice:
    """Something that people are asked."""
    body = {
        "question": "may refund be called?", "kind": "approval", "about": "call", "tool": "refund", "step": "refund-2",
        "args": {"order": "7", "amount": 812.5}, "amount": 812.5, "rule": "large", "policy": "money@3",
        "options": [{"decision": "approve", "means": "make this call, as shown"}, {"decision": "reject", "means": "do not"}],
        "expires_at": T0 + 3600, "deadline": "If nobody answers by then, the call is not made.", "goal": "Refund order 7",
        "labels": {"shop": "north"},
    }  # fmt: skip
    values: dict[str, Any] = {
        "what": "asked", "run_id": "order-7", "at": T0, "agent": "clerk", "interrupt": "i1", "who": ("finance",), "body": body,
    }  # fmt: skip
    return Notice(id=name, **{**values, **of})


def open_row(interrupt: str = "i1", run_id: str = "order-7") -> OpenInterrupt:
    """What it is about, as the store lists it."""
    return OpenInterrupt(
        run_id=run_id, interrupt=interrupt, kind="approval", about="call", agent="clerk", question="may it?", digest="d",
        asked_at=T0, expires_at=T0 + 90 * 86_400,
    )  # fmt: skip


@asynccontextmanager
async def store(path: Path, *notices: Notice, opened: tuple[OpenInterrupt, ...] | None = None) -> AsyncIterator[SqliteJournal]:
    """A store whose one run left these; what they are about is open."""
    journal = SqliteJournal(path)
    await journal.open()
    try:
        if notices:
            rows = tuple(open_row(name) for name in sorted({one.interrupt for one in notices if one.interrupt}))
            claim, head = await held(journal, "order-7")
            await appended(journal, batch(claim, head, done("a"), notices=notices, opened=rows if opened is None else opened))
        yield journal
    finally:
        await journal.close()


async def until(holds: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for what other tasks and threads bring about."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 — threads set no event of the loop
            await asyncio.sleep(0.005)


# --- a receiver of webhooks ---------------------------------------------------------------------------------------


class Receiver(ThreadingHTTPServer):
    """Keeps what comes. answers: (status, headers) for the requests in turn, the last one for all later ones. gate: nothing is
    answered before it is set."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, dict[str, str]]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers) or [(204, {})]
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/people?to=all"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server
        receiver.paths.append(self.path)
        receiver.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
        receiver.gate.wait(20)
        status, headers = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
        except OSError:
            pass  # The caller has gone.

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to the terminal."""


@contextmanager
def receiving(*answers: tuple[int, dict[str, str]]) -> Iterator[Receiver]:
    """A receiver that serves from threads of its own."""
    receiver = Receiver(*answers)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        receiver.shutdown()
        receiver.server_close()
        thread.join()


# --- a mail server ------------------------------------------------------------------------------------------------


class MailServer:
    """A real SMTP server that keeps what comes. refuse: answers by recipient, in place of taking it. at_data: the answer to each
    mail."""

    def __init__(self, refuse: dict[str, str] | None = None, at_data: str = "250 OK"):
        self.refuse = refuse or {}
        self.at_data = at_data
        self.came: list[tuple[list[str], EmailMessage]] = []
        self.raw: list[bytes] = []
        self.port = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Take a recipient, or do not."""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail, or do not."""
        if self.at_data.startswith("250"):
            self.raw.append(envelope.content)
            parsed = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            self.came.append((list(envelope.rcpt_tos), parsed))
        return self.at_data


@contextmanager
def mailing(*, server_options: dict[str, Any] | None = None, **of: Any) -> Iterator[MailServer]:
    """A mail server that serves from a thread of its own. server_options: of aiosmtpd."""
    mails = MailServer(**of)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> asyncio.Server:
        made = partial(SMTP, mails, hostname="mail.test", loop=loop, enable_SMTPUTF8=True, **(server_options or {}))
        return await loop.create_server(made, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(5)
    mails.port = server.sockets[0].getsockname()[1]
    try:
        yield mails
    finally:

        async def end() -> None:
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def certified(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server for localhost serves TLS with, and the certificate to be trusted for that."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*made.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the command openssl")


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
