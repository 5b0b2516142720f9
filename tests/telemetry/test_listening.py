"""The listener: two paths, on an address that was asked for, and slow clients are nobody's concern."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast import UsageError
from holdfast.telemetry import Listener, names
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.listening import CLIENT_SECONDS, CLIENTS_MAX, address, is_loopback


@pytest.fixture
def counts() -> Counts:
    """With something in them."""
    counts = Counts(ALL)
    counts.add(names.RUNS_ENDED, ("clerk", "completed"), 3)
    return counts


@pytest.fixture
def listener(counts: Counts) -> Iterator[Listener]:
    """On a free port."""
    listener = Listener("127.0.0.1", 0, counts.snapshot)
    yield listener
    listener.close()


def ask(listener: Listener, method: str, path: str) -> tuple[int, str, bytes]:
    """One request."""
    connection = http.client.HTTPConnection("127.0.0.1", listener.server_port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.headers["Content-Type"], answer.read()
    connection.close()
    return found


def test_it_serves_the_numbers_and_that_it_lives(listener: Listener, counts: Counts) -> None:
    """What a parser of others reads; each time as they are then."""
    status, kind, body = ask(listener, "GET", "/metrics?x=1")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert [(s.labels, s.value) for s in families["holdfast_runs_ended"].samples] == [
        ({"gen_ai_agent_name": "clerk", "holdfast_status": "completed"}, 3.0)
    ]
    counts.add(names.RUNS_ENDED, ("clerk", "completed"))
    assert b"} 4\n" in ask(listener, "GET", "/metrics")[2]
    assert ask(listener, "GET", "/healthz") == (200, "text/plain; charset=utf-8", b"ok\n")
    assert ask(listener, "HEAD", "/metrics")[::2] == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/x", 404), ("POST", "/metrics", 501), ("GET", "/../etc", 404)],
)
def test_it_serves_nothing_else(listener: Listener, method: str, path: str, status: int) -> None:
    """Neither other paths nor other methods."""
    assert ask(listener, method, path)[0] == status


def test_clients_that_never_ask_lose_their_place(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is slow is hung up on."""
    monkeypatch.setattr("holdfast.telemetry.listening._Handler.timeout", 0.05)
    with socket.create_connection(("127.0.0.1", listener.server_port), timeout=10) as idle:
        assert idle.recv(1) == b""
    assert ask(listener, "GET", "/healthz")[0] == 200


def test_those_for_whom_there_is_no_place_are_hung_up_on_at_once(listener: Listener) -> None:
    """Nobody waits behind those who are slow, and no threads gather."""
    here = ("127.0.0.1", listener.server_port)
    idle = [socket.create_connection(here, timeout=CLIENT_SECONDS / 2) for _ in range(CLIENTS_MAX)]
    late = [socket.create_connection(here, timeout=CLIENT_SECONDS / 2) for _ in range(3)]
    assert [one.recv(1) for one in late] == [b""] * 3
    for one in (*idle, *late):
        one.close()


def test_it_ends_at_once_while_somebody_is_connected(counts: Counts) -> None:
    """A worker that stops does not wait for a scraper."""
    listener = Listener("127.0.0.1", 0, counts.snapshot)
    with socket.create_connection(("127.0.0.1", listener.server_port)):
        ending = threading.Thread(target=listener.close)
        ending.start()
        ending.join(3)
        assert not ending.is_alive()


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:9464", ("127.0.0.1", 9464)), ("9464", ("127.0.0.1", 9464)), ("[::1]:1", ("::1", 1)), ("h:0", ("h", 0))],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    """A port alone is of the loopback."""
    assert address(text) == found


@pytest.mark.parametrize("text", ["", ":", ":9", "x", "h:70000", "h:-1"])
def test_what_is_no_address(text: str) -> None:
    """Is refused with an example."""
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:9464"):
        address(text)


def test_a_taken_address_is_refused(listener: Listener, counts: Counts) -> None:
    """Before any work begins."""
    with pytest.raises(UsageError, match="cannot be listened on"):
        Listener("127.0.0.1", listener.server_port, counts.snapshot)
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "example.org")] == [
        True
    ] * 3 + [False] * 3
