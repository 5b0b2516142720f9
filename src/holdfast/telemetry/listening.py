"""A small HTTP server for whoever scrapes: /metrics and /healthz, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import socket
from socketserver import TCPServer

from holdfast.errors import UsageError
from holdfast.telemetry.counts import Series
from holdfast.telemetry.prometheus import CONTENT_TYPE, exposition

# Whoever is slower than this, to ask or to take the answer, is hung up on.
CLIENT_SECONDS = 5.0
CLIENTS_MAX = 16


def address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, or a port alone for the loopback. UsageError for what is neither."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]") if colon else "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535 or not host:
        raise UsageError(f"{text!r} is no address to listen on", hint="name one as 127.0.0.1:9464")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Listener(ThreadingHTTPServer):
    """Serves the numbers from threads of its own until it is closed. UsageError where the address cannot be had."""

    daemon_threads = True
    block_on_close = False
    # Five, the default, makes some of many who come at once wait for a second.
    request_queue_size = 128

    def __init__(self, host: str, port: int, series: Callable[[], list[Series]]):
        self.series = series
        self.places = threading.BoundedSemaphore(CLIENTS_MAX)
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"{host}:{port} cannot be listened on: {why}", hint="name another --metrics-listen") from error
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="holdfast-metrics", daemon=True
        )
        self._thread.start()

    def server_bind(self) -> None:
        """HTTPServer would look up its own name here, which takes seconds where there is no name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Give it a thread, where there is a place; hang up on it where there is none."""
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """As the base has it, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is not worth a word."""

    def close(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.server_close()
        self._thread.join(CLIENT_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = CLIENT_SECONDS
    server_version = "holdfast"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE, exposition(self.server.series()).encode())
        elif path == "/healthz":
            self._answer(200, "text/plain; charset=utf-8", b"ok\n")
        else:
            self._answer(404, "text/plain; charset=utf-8", b"there are /metrics and /healthz\n")

    do_HEAD = do_GET

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: who scrapes is not what happened."""
