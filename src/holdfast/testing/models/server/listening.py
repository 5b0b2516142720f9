"""The server itself: a socket on loopback, a thread for each connection, and the one place where a fault is played."""

from __future__ import annotations

import json
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

import msgspec

from holdfast.reasoners.model import Request, size
from holdfast.testing.models.faults import OF_THE_ANSWER, OF_THE_WAY, Fault, FaultName
from holdfast.testing.models.script import Script, ScriptedModel, answer_of
from holdfast.testing.models.server.anthropic import AnthropicMessages
from holdfast.testing.models.server.openai_chat import OpenAIChat
from holdfast.testing.models.server.openai_responses import OpenAIResponses
from holdfast.testing.models.server.wire import Body, Format, Refused, Reply, tokens
from holdfast.testing.models.turns import Turn, spoiled

FORMATS: tuple[Format, ...] = (AnthropicMessages(), OpenAIChat(), OpenAIResponses())
CONTROL_PATH = "/control"
BODY_BYTES_MAX = 32 << 20
POLL_SECONDS = 0.01
PAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


class Seen(msgspec.Struct, kw_only=True):
    """One request that came in. body: as it was sent. request: as the script was asked; None where it was refused before that.
    outcome: `answered`, `refused`, or the name of a fault. message: why it was refused. status: of the answer, 0 for none."""

    number: int
    path: str
    headers: dict[str, str]
    body: Body
    request: Request | None = None
    stream: bool = False
    outcome: str = ""
    message: str = ""
    status: int = 0


class ModelServer:
    """A provider of models on loopback that answers from a script; see the package's text.

    script: as for `ScriptedModel`, or one. port: 0 for any that is free. key: the only one that is taken; None takes all.
    models: the names that there are; None for any. context_tokens_max: of a request, counted like usage.
    """

    def __init__(
        self,
        script: Script | ScriptedModel,
        *,
        port: int = 0,
        key: str | None = None,
        models: Iterable[str] | None = None,
        context_tokens_max: int | None = None,
    ):
        self.model = script if isinstance(script, ScriptedModel) else ScriptedModel(script, name="server")
        self.seen: list[Seen] = []
        self.errors: list[Exception] = []
        """What went wrong in the script or in the server itself. The caller was told that its request is not taken."""
        self._key = key
        self._models = None if models is None else frozenset(models)
        self._context_tokens_max = context_tokens_max
        self._queue: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._numbers = count(1)
        self._closing = threading.Event()
        self._listener = _Listener(self, port)
        self._thread: threading.Thread | None = None

    # --- to begin and to end --------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self._listener.server_port

    @property
    def url(self) -> str:
        """Where it is, without a path and without a slash at the end: what the client of Anthropic takes as its base."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """The same with `/v1`: what the client of OpenAI takes as its base."""
        return f"{self.url}/v1"

    @property
    def base_urls(self) -> dict[str, str]:
        """Where it is, by provider: what `ProviderModel` takes."""
        return {"anthropic": self.url, "openai": self.openai_url}

    @property
    def environment(self) -> dict[str, str]:
        """What sends the clients in another process here: variables of their vendors."""
        key = self._key or "scripted"
        return {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": key,
            "OPENAI_BASE_URL": self.openai_url,
            "OPENAI_API_KEY": key,
        }

    def start(self) -> Self:
        """Serve from a thread. Requests that came since this object was made have been waiting."""
        serve = self._listener.serve_forever
        self._thread = threading.Thread(target=serve, kwargs={"poll_interval": POLL_SECONDS}, name="models", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """End, and let all who wait for an answer go. Does nothing the second time."""
        self._closing.set()
        if self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
            self._thread = None
        self._listener.hang_up()
        self._listener.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        # A script that is at its end is an error of the test, which would show only as a provider that fails.
        if error is None and self.errors:
            raise self.errors[0]

    # --- what tests say and see -----------------------------------------------------------------------------------

    def queue(self, *faults: FaultName | Fault, times: int = 1) -> None:
        """Let the next requests meet these faults, one each, whatever the script says."""
        found = [each if isinstance(each, Fault) else Fault(name=each) for each in faults] * times
        with self._lock:
            self._queue.extend(found)

    @property
    def hits(self) -> Counter[str]:
        """How many requests ended in which way: `answered`, `refused`, or a fault by name."""
        with self._lock:
            return Counter(seen.outcome for seen in self.seen if seen.outcome)

    def wait_for(self, outcome: str, *, times: int = 1, timeout_seconds: float = 10.0) -> None:
        """Wait until so many requests have ended so, or are about to: one whose answer is late, or never comes, counts as soon
        as it is known what will become of it. TimeoutError where they do not come."""

        def there() -> bool:
            return sum(seen.outcome == outcome for seen in self.seen) >= times

        with self._changed:
            if not self._changed.wait_for(there, timeout_seconds):
                raise TimeoutError(f"no {times} requests ended as {outcome!r} in {timeout_seconds:g} s")

    @property
    def refusals(self) -> list[str]:
        """Why requests were refused: each is something that the real provider would not take either."""
        with self._lock:
            return [seen.message for seen in self.seen if seen.outcome == "refused"]

    def _report(self) -> Body:
        return {"requests": len(self.seen), "hits": self.hits, "refusals": self.refusals, "queued": len(self._queue)}

    # --- one request ----------------------------------------------------------------------------------------------

    def _take(self, path: str, headers: Mapping[str, str], body: Body) -> Seen:
        with self._lock:
            seen = Seen(number=next(self._numbers), path=path, headers=dict(headers), body=body, stream=bool(body.get("stream")))
            self.seen.append(seen)
        return seen

    def _note(self, seen: Seen, outcome: str, message: str = "") -> None:
        with self._changed:
            seen.outcome, seen.message = outcome, message
            self._changed.notify_all()

    def _next_fault(self) -> Fault | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None

    def _admit(self, form: Format, seen: Seen) -> tuple[Request, Turn, str]:
        """What is asked, what the script and the queue say to it, and how that is counted."""
        key = form.key(seen.headers)
        if self._key is not None and key != self._key:
            return self._without(form, seen, Fault(name="bad_key"))
        if self._models is not None and seen.body.get("model") not in self._models:
            return self._without(form, seen, Fault(name="unknown_model"))
        request = seen.request = _read(form, seen.body)
        if self._context_tokens_max is not None and tokens(size(request)) > self._context_tokens_max:
            return request, Turn(fault=Fault(name="context")), "context"
        queued = self._next_fault()
        if queued is not None and queued.name not in OF_THE_ANSWER | OF_THE_WAY:
            return request, Turn(fault=queued), queued.name
        turn = self.model.turn(request)
        if queued is not None:
            turn = msgspec.structs.replace(turn, fault=queued)
        return request, spoiled(turn, request), _outcome(turn)

    def _without(self, form: Format, seen: Seen, fault: Fault) -> tuple[Request, Turn, str]:
        model = f"{form.provider}:{seen.body.get('model', '')}"
        return Request(model=model, system="", messages=()), Turn(fault=fault), fault.name


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    # Five, the default, makes a burst of workers meet connections refused that no fault asked for.
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, server: ModelServer, port: int) -> None:
        self.models = server
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer would look up its own name here, which takes seconds where there is no name server.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        # With a lingering time of nothing, as a fault may have set it, closing sends a reset; a shutdown before it would
        # end the connection in good order.
        if struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 0):
            request.close()
        else:
            super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close what clients keep open, and wait until the threads behind it are done."""
        with self._open_lock:
            left = list(self._open)
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 2.0
        while self._open and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 10)

    def handle_error(self, request: object, client_address: object) -> None:
        """Callers hang up in mid-request here by design; anything else is an error of the server."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.models.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A stream is many writes: with Nagle's algorithm each would wait for the acknowledgement of the one before.
    disable_nagle_algorithm = True
    server: _Listener

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        form = next((form for form in FORMATS if form.path == path), None)
        body = self._read_body()
        if path == CONTROL_PATH and body is not None:
            self._queue(body)
        elif form is None:
            self._send_json(404, {"error": {"message": f"no such path: {path}", "type": "invalid_request_error"}})
        elif body is None:
            self._reply(form.refusal(Refused("We could not parse the JSON body of your request.")))
        else:
            self._serve(form, body)

    def do_GET(self) -> None:
        if self.path == CONTROL_PATH:
            self._send_json(200, self.server.models._report())
        else:
            self._send_json(404, {"error": {"message": f"no such path: {self.path}", "type": "invalid_request_error"}})

    def _read_body(self) -> Body | None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,9}", length) or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def _queue(self, body: Body) -> None:
        """{faults: [name …]} → the report, as of GET."""
        try:
            self.server.models.queue(*body.get("faults", ()))
        except (TypeError, ValueError) as error:
            self._send_json(400, {"error": str(error)})
        else:
            self._send_json(200, self.server.models._report())

    # --- a request to a model -------------------------------------------------------------------------------------

    def _serve(self, form: Format, body: Body) -> None:
        models = self.server.models
        seen = models._take(form.path, {name.lower(): value for name, value in self.headers.items()}, body)
        try:
            request, turn, outcome = models._admit(form, seen)
        except Refused as refused:
            models._note(seen, "refused", refused.message)
            self._reply(form.refusal(refused), seen)
        except Exception as error:  # noqa: BLE001 - an error of the script must reach the caller as an answer, and the test.
            models.errors.append(error)
            models._note(seen, "error", str(error))
            # As a refusal, which nobody asks again for: a run that cannot go on is to show it at once.
            said = Fault(name="rejected", message=f"the script failed: {error}")
            self._reply(form.failure(said, _model(body), 0), seen)
        else:
            models._note(seen, outcome)
            if self._wait(turn.wait_seconds):
                self._play(form, seen, request, turn)
            else:
                self.close_connection = True

    def _play(self, form: Format, seen: Seen, request: Request, turn: Turn) -> None:
        fault = turn.fault
        name = None if fault is None else fault.name
        if name == "error_in_stream" and not seen.stream:
            name = "overloaded"
        if name == "timeout":
            self._wait(None)
            self.close_connection = True
        elif name == "reset":
            self._reset()
        elif fault is not None and name not in OF_THE_WAY:
            self._reply(form.failure(msgspec.structs.replace(fault, name=name), _model(seen.body), tokens(size(request))), seen)
        else:
            seen.status = 200
            answer = answer_of(turn, request)
            if seen.stream:
                self._stream(form, list(form.stream(seen.body, request, answer, seen.number)), name)
            else:
                self._whole(form, form.answer(seen.body, request, answer, seen.number), name)

    def _whole(self, form: Format, answer: Body, fault: FaultName | None) -> None:
        data = json.dumps(answer, ensure_ascii=False).encode()
        match fault:
            case "truncated":
                self._send(200, "application/json", data[: len(data) // 2])
            case "wrong_shape":
                self._send_json(200, form.other_shape())
            case "html":
                self._send(200, "text/html", PAGE.encode())
            case "reset_in_body" | "closed_in_body":
                self._send(200, "application/json", data, stop_at=len(data) // 2)
                self._break_off(fault)
            case _:
                self._send(200, "application/json", data)

    def _stream(self, form: Format, events: list[bytes], fault: FaultName | None) -> None:
        if fault == "html":
            self._send(200, "text/html", PAGE.encode())
            return
        half = events[: max(1, len(events) // 2)]
        match fault:
            case "truncated":
                events = [*half[:-1], half[-1][: len(half[-1]) // 2]]
            case "wrong_shape":
                events = list(form.other_events())
            case "error_in_stream":
                events = [*half, form.stream_error()]
            case "reset_in_body" | "closed_in_body":
                events = half
            case _:
                pass
        self._write_head(200, {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}, events[:1])
        for event in events[1:]:
            self.wfile.write(_chunk(event))
        if fault in ("reset_in_body", "closed_in_body"):
            self._break_off(fault)
        else:
            self.wfile.write(b"0\r\n\r\n")

    # --- bytes ----------------------------------------------------------------------------------------------------

    def _reply(self, reply: Reply, seen: Seen | None = None) -> None:
        if seen is not None:
            seen.status = reply.status
        self._send(reply.status, "application/json", json.dumps(reply.body).encode(), headers=reply.headers)

    def _send_json(self, status: int, body: Body) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(
        self, status: int, kind: str, data: bytes, *, headers: Mapping[str, str] | None = None, stop_at: int | None = None
    ) -> None:
        """The whole answer in one write. stop_at: so much of the body, and no more."""
        head = {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}
        self.wfile.write(self._head(status, head) + data[:stop_at])

    def _write_head(self, status: int, headers: Mapping[str, str], first: list[bytes]) -> None:
        self.wfile.write(self._head(status, headers) + b"".join(map(_chunk, first)))

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Overloaded"
        ends = "close" if self.close_connection else "keep-alive"
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), f"Connection: {ends}"]
        return "\r\n".join([*lines, "", ""]).encode()

    def _break_off(self, how: FaultName) -> None:
        if how == "reset_in_body":
            # What was sent so far is to arrive: a reset may overtake it.
            self._wait(POLL_SECONDS)
            self._reset()
        self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _wait(self, seconds: float | None) -> bool:
        """Whether so much time could be waited; None for ever. It ends when the caller is gone or the server closes."""
        deadline = None if seconds is None else time.monotonic() + seconds
        closing: Callable[[float], bool] = self.server.models._closing.wait
        while deadline is None or (left := deadline - time.monotonic()) > 0:
            if closing(POLL_SECONDS if deadline is None else min(POLL_SECONDS, left)) or self._is_caller_gone():
                return False
        return True

    def _is_caller_gone(self) -> bool:
        try:
            peeked: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not peeked

    def log_message(self, format: str, *args: object) -> None:
        """Silent: `seen` says more."""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _read(form: Format, body: Body) -> Request:
    """The request in neutral form; Refused also where it is so far from one that reading it fails."""
    try:
        return form.request(body)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Refused(f"The request cannot be read: {type(error).__name__}: {error}") from error


def _outcome(turn: Turn) -> str:
    return "answered" if turn.fault is None else turn.fault.name


def _model(body: Body) -> str:
    """The name of the model as the caller gave it."""
    return str(body.get("model", ""))
