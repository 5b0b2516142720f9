"""HTTP for the services: routes, requests, replies, and the one place where an answer is logged, held, lost or sent."""

import json
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from urllib.parse import parse_qsl, unquote

from holdfast.labs.services.holds import POLL_SECONDS, Holds
from holdfast.labs.services.ledger import LedgerRow, RequestLog

BODY_BYTES_MAX = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as a service sees it. `params` are the parts of the path that its route names."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    """A name that is given twice keeps its last value."""
    key: str | None
    """The header Idempotency-Key."""
    body: bytes

    def json(self) -> dict[str, object]:
        """The body. Raises Refusal 400 unless it is a JSON object."""
        try:
            body = json.loads(self.body)
        except ValueError:
            raise Refusal(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refusal(400, "the body must be a JSON object")
        return body

    def require(self, name: str) -> str:
        """A value from the query string. Raises Refusal 400 when it is missing or empty."""
        if not self.query.get(name):
            raise Refusal(400, f"the query parameter {name} is missing")
        return self.query[name]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a service answers, and what it did."""

    status: int = 200
    body: object
    """Anything that JSON can say; bytes are a page of HTML, and go out as they are."""
    effect: LedgerRow | None = None
    """The ledger row that this request caused."""
    lost_after_seconds: float | None = None
    """When set, nothing is sent: the connection is closed after that time."""


class Refusal(Exception):
    """The service says no. Sent as a one-line JSON object {error}."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Route:
    """`path` may name parts in braces, as in /vpn/{user}; each stands for one segment, never empty."""

    method: str
    path: str
    act: Callable[[Request], Reply]
    is_control: bool = False
    """True for the driver's own routes, which are not part of the world and leave no row in the request log."""

    def match(self, path: str) -> Mapping[str, str] | None:
        """The named parts, percent-decoded; None when `path` is another."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return None if found is None else {name: unquote(part) for name, part in found.groupdict().items()}


def text(body: Mapping[str, object], name: str) -> str:
    """A field of a JSON body. Raises Refusal 400 unless it is a string with something in it."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refusal(400, f"{name} must be a string and not empty")
    return value


class WebServer(ThreadingHTTPServer):
    """An HTTP/1.1 server on a free port of the loopback, one thread for each connection."""

    daemon_threads = True
    # Five, the default, makes a burst of workers meet connections refused that no fault asked for.
    request_queue_size = 128

    def __init__(self, routes: Sequence[Route], log: RequestLog, holds: Holds) -> None:
        self.routes = routes
        self.log = log
        self.holds = holds
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        # HTTPServer would look up its own name here, which takes seconds where there is no name server.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> str:
        """Serve from a thread of its own; returns the base URL."""
        threading.Thread(target=self.serve_forever, name="web", daemon=True).start()
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Callers are killed in mid-request here by design: that is not worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is one write, but it may follow a 100 Continue: with Nagle's algorithm it could then wait 40 ms for the
    # acknowledgement of that.
    disable_nagle_algorithm = True
    server: WebServer

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        route, params = self._find_route(path)
        key = self.headers.get("Idempotency-Key")
        is_logged = route is None or not route.is_control
        number = self.server.log.arrive(self.command, self.path, key) if is_logged else None
        try:
            body = self._read_body()
            if route is None:
                raise self._no_route(path)
            request = Request(params=params, query=dict(parse_qsl(query, keep_blank_values=True)), key=key, body=body)
            reply = route.act(request)
        except Refusal as refusal:
            reply = Reply(status=refusal.status, body={"error": refusal.message})
        except Exception:  # noqa: BLE001 - a bug of ours must reach the caller as an answer, not as a hang-up.
            traceback.print_exc()
            reply = Reply(status=500, body={"error": "the service has a bug; see its log"})
        self._answer(reply, number)

    # One name for each method that may come in; anything else is answered with 501 by the base class.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _find_route(self, path: str) -> tuple[Route | None, Mapping[str, str]]:
        for route in self.server.routes:
            if route.method == self.command and (params := route.match(path)) is not None:
                return route, params
        return None, {}

    def _no_route(self, path: str) -> Refusal:
        methods = [route.method for route in self.server.routes if route.match(path) is not None]
        if methods:
            return Refusal(405, f"{self.command} is not for this path, {' and '.join(methods)} would be")
        return Refusal(404, "no such path")

    def _read_body(self) -> bytes:
        """Raises Refusal 400 for a body without a sound length, and then gives up the connection with it."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,9}", length):
            self.close_connection = True
            raise Refusal(400, "send the body with a Content-Length")
        if int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            raise Refusal(400, f"the body is longer than {BODY_BYTES_MAX} bytes")
        return self.rfile.read(int(length))

    def _answer(self, reply: Reply, number: int | None) -> None:
        if reply.effect is not None and number is not None:
            self.server.log.cause(number, reply.effect)
            if hold := self.server.holds.take(reply.effect):
                hold.wait(self._is_caller_gone)
        if reply.lost_after_seconds is not None:
            self._lose(reply.lost_after_seconds)
        elif self._is_caller_gone():
            self.close_connection = True
        else:
            self._send(reply, number)

    def _lose(self, after_seconds: float) -> None:
        deadline = time.monotonic() + after_seconds
        while time.monotonic() < deadline and not self._is_caller_gone():
            time.sleep(POLL_SECONDS)
        self.close_connection = True

    def _send(self, reply: Reply, number: int | None) -> None:
        is_page = isinstance(reply.body, bytes)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode() + b"\n"
        head = (
            f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
            f"Content-Type: {'text/html' if is_page else 'application/json'}\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Connection: {'close' if self.close_connection else 'keep-alive'}\r\n\r\n"
        )
        # Logged first: a caller that has its answer must find it in the log.
        self._log_status(number, reply.status)
        try:
            self.wfile.write(head.encode() + body)
        except OSError:
            self._log_status(number, None)
            self.close_connection = True

    def _log_status(self, number: int | None, status: int | None) -> None:
        if number is not None:
            self.server.log.answer(number, status)

    def _is_caller_gone(self) -> bool:
        """True once the caller has closed. One that closes only its sending half is taken for gone too."""
        try:
            peeked: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not peeked

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class comes here with what it cannot parse; answer as everywhere, in JSON."""
        self.close_connection = True
        self._send(Reply(status=code, body={"error": message or HTTPStatus(code).phrase}), None)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the request log says more."""
