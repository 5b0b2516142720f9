"""The labs' services as their callers and drivers meet them: real processes, real sockets, nothing faked."""

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from email.message import EmailMessage
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlsplit

import pytest

from holdfast.labs.services import Services, start_services

T = TypeVar("T")


@pytest.fixture(scope="module")
def onboarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One world for all tests of the lab; each keeps to users of its own."""
    faults = {"lost_answer_for": ["lost"], "lost_after_seconds": 0.05, "down_for": ["down"]}
    with start_services("onboarding", tmp_path_factory.mktemp("onboarding"), faults) as services:
        yield services


@pytest.fixture(scope="module")
def payment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with start_services("payment", tmp_path_factory.mktemp("payment")) as services:
        yield services


def call(
    services: Services,
    method: str,
    path: str,
    body: object = None,
    key: str | None = None,
    timeout_seconds: float = 5.0,
) -> tuple[int, Any]:
    """Status and JSON of one request on a connection of its own."""
    connection = connect(services, timeout_seconds)
    try:
        send(connection, method, path, body, key)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def connect(services: Services, timeout_seconds: float = 5.0) -> HTTPConnection:
    return HTTPConnection(urlsplit(services.http).netloc, timeout=timeout_seconds)


def send(connection: HTTPConnection, method: str, path: str, body: object = None, key: str | None = None) -> None:
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {} if key is None else {"Idempotency-Key": key})


def send_and_go(services: Services, path: str, body: object, key: str | None = None) -> None:
    """Post and leave as soon as the request has come in, as a caller does that is killed."""
    connection = connect(services)
    send(connection, "POST", path, body, key)
    until(services.requests)
    connection.close()


def mail_to(services: Services, recipient: str, subject: str, message_id: str, key: str | None = None) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "it@corp.test", recipient, subject
    message["Message-ID"] = message_id
    if key is not None:
        message["X-Idempotency-Key"] = key
    message.set_content("Welcome aboard.")
    with smtplib.SMTP(services.smtp_host, services.smtp_port, local_hostname="localhost", timeout=5) as smtp:
        smtp.send_message(message)


def effects(services: Services, subject: str) -> list[Any]:
    return [row for row in services.ledger() if row["subject"] == subject]


def until(look: Callable[[], T], timeout_seconds: float = 5.0) -> T:
    """What `look` returns once it is true; fails when that takes too long."""
    deadline = time.monotonic() + timeout_seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return seen


def is_listening(http: str) -> bool:
    address = urlsplit(http)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0


class TestMailbox:
    def test_repeat_under_the_same_key_gets_the_first_answer_and_changes_nothing(self, onboarding: Services) -> None:
        body = {"user": "ada", "name": "Ada Lovelace"}
        first = call(onboarding, "POST", "/mailboxes", body, key="k-ada")
        again = call(onboarding, "POST", "/mailboxes", body, key="k-ada")

        assert first == again == (201, {"address": "ada@corp.test", "id": first[1]["id"]})
        (row,) = effects(onboarding, "ada")
        assert (row["service"], row["action"], row["key"]) == ("mailbox", "created", "k-ada")
        assert row["detail"] == {"id": first[1]["id"], "address": "ada@corp.test", "name": "Ada Lovelace"}

    def test_dropped_repeat_is_in_the_request_log_without_an_effect(self, onboarding: Services) -> None:
        body = {"user": "bea", "name": "Bea"}
        for _ in range(2):
            call(onboarding, "POST", "/mailboxes", body, key="k-bea")

        first, again = (row for row in onboarding.requests() if row["key"] == "k-bea")
        assert (first["method"], first["path"], first["status"]) == ("POST", "/mailboxes", 201)
        assert (again["method"], again["path"], again["status"]) == ("POST", "/mailboxes", 201)
        assert first["effect"] == effects(onboarding, "bea")[0]["n"]
        assert again["effect"] is None

    def test_another_key_for_the_same_user_is_a_conflict(self, onboarding: Services) -> None:
        body = {"user": "cem", "name": "Cem"}
        call(onboarding, "POST", "/mailboxes", body, key="k-cem")

        status, answer = call(onboarding, "POST", "/mailboxes", body, key="k-cem-2")
        assert (status, answer) == (409, {"error": "cem has a mailbox"})
        assert len(effects(onboarding, "cem")) == 1

    def test_key_with_another_request_is_refused(self, onboarding: Services) -> None:
        call(onboarding, "POST", "/mailboxes", {"user": "dan", "name": "Dan"}, key="k-dan")

        status, _ = call(onboarding, "POST", "/mailboxes", {"user": "dana", "name": "Dana"}, key="k-dan")
        assert status == 422
        assert effects(onboarding, "dana") == []

    def test_simultaneous_repeats_make_one_mailbox(self, onboarding: Services) -> None:
        def ask(_: int) -> tuple[int, Any]:
            return call(onboarding, "POST", "/mailboxes", {"user": "eve", "name": "Eve"}, key="k-eve")

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(16)))
        assert [status for status, _ in answers] == [201] * 16
        assert len({answer["id"] for _, answer in answers}) == 1
        assert len(effects(onboarding, "eve")) == 1


class TestVpn:
    def test_first_two_requests_of_each_user_meet_503_and_the_grant_happens_once(self, onboarding: Services) -> None:
        for user in ("fay", "gus"):
            statuses = [call(onboarding, "PUT", f"/vpn/{user}")[0] for _ in range(4)]
            assert statuses == [503, 503, 200, 200]
            (row,) = effects(onboarding, user)
            assert (row["service"], row["action"]) == ("vpn", "granted")

        _, answer = call(onboarding, "PUT", "/vpn/fay")
        assert answer == {"user": "fay", "profile": effects(onboarding, "fay")[0]["detail"]["profile"]}

    def test_refused_and_repeated_puts_are_counted_in_the_request_log(self, onboarding: Services) -> None:
        for _ in range(4):
            call(onboarding, "PUT", "/vpn/hal")

        rows = [row for row in onboarding.requests() if row["path"] == "/vpn/hal"]
        assert [(row["status"], row["effect"] is not None) for row in rows] == [
            (503, False),
            (503, False),
            (200, True),
            (200, False),
        ]

    def test_503_names_no_time_to_come_back(self, onboarding: Services) -> None:
        connection = connect(onboarding)
        send(connection, "PUT", "/vpn/ida")
        response = connection.getresponse()
        connection.close()
        assert response.status == 503
        assert response.getheader("Retry-After") is None


class TestLaptopShop:
    def test_every_order_that_gets_through_is_another_order(self, onboarding: Services) -> None:
        for _ in range(2):
            status, _ = call(onboarding, "POST", "/orders", {"for": "jan", "model": "x1"}, key="same")
            assert status == 201

        _, orders = call(onboarding, "GET", "/orders?for=jan")
        rows = effects(onboarding, "jan")
        assert [order["id"] for order in orders] == [row["detail"]["id"] for row in rows]
        assert [(order["for"], order["model"]) for order in orders] == [("jan", "x1")] * 2
        assert [(row["service"], row["action"]) for row in rows] == [("orders", "ordered")] * 2

    def test_first_order_is_taken_and_its_answer_lost(self, onboarding: Services) -> None:
        order = {"for": "lost", "model": "x1"}
        with pytest.raises(RemoteDisconnected):
            call(onboarding, "POST", "/orders", order)

        assert len(effects(onboarding, "lost")) == 1
        assert len(call(onboarding, "GET", "/orders?for=lost")[1]) == 1
        (row,) = (row for row in onboarding.requests() if row["effect"] == effects(onboarding, "lost")[0]["n"])
        assert row["status"] is None
        assert call(onboarding, "POST", "/orders", order)[0] == 201

    def test_lost_answer_is_a_time_out_for_an_impatient_caller(self, tmp_path: Path) -> None:
        faults = {"lost_answer_for": ["kim"], "lost_after_seconds": 30}
        with start_services("onboarding", tmp_path, faults) as services:
            with pytest.raises(TimeoutError):
                call(services, "POST", "/orders", {"for": "kim", "model": "x1"}, timeout_seconds=0.1)
            assert len(effects(services, "kim")) == 1

    def test_shop_that_is_down_takes_nothing_and_finds_nothing(self, onboarding: Services) -> None:
        for _ in range(3):
            assert call(onboarding, "POST", "/orders", {"for": "down", "model": "x1"})[0] == 503
        assert call(onboarding, "GET", "/orders?for=down") == (200, [])
        assert effects(onboarding, "down") == []


class TestMail:
    def test_delivered_mail_is_an_effect_with_its_own_key(self, onboarding: Services) -> None:
        mail_to(onboarding, "lea@corp.test", "Welcome, Léa", "<1@corp.test>", key="run-1:mail")

        (row,) = effects(onboarding, "lea@corp.test")
        assert (row["service"], row["action"], row["key"]) == ("mail", "delivered", "run-1:mail")
        assert row["detail"]["subject"] == "Welcome, Léa"
        assert [(seen["method"], seen["status"]) for seen in onboarding.requests() if seen["effect"] == row["n"]] == [
            ("SMTP", 250)
        ]

    def test_message_id_is_the_key_of_a_mail_without_one(self, onboarding: Services) -> None:
        mail_to(onboarding, "mia@corp.test", "Hello", "<2@corp.test>")
        assert effects(onboarding, "mia@corp.test")[0]["key"] == "<2@corp.test>"

    @pytest.mark.parametrize("key", ["run-1+a/b=", "<3@corp.test>", "k" * 200])
    def test_sent_log_finds_a_mail_by_recipient_and_key(self, onboarding: Services, key: str) -> None:
        recipient = f"nia-{len(key)}@corp.test"
        mail_to(onboarding, recipient, "Hello", "<3@corp.test>", key=key)
        mail_to(onboarding, recipient, "Hello", "<4@corp.test>", key="another")

        _, found = call(onboarding, "GET", f"/mails?to={recipient}&key={quote(key, safe='')}")
        assert [(mail["to"], mail["key"], mail["message_id"]) for mail in found] == [(recipient, key, "<3@corp.test>")]
        assert len(call(onboarding, "GET", f"/mails?to={recipient}")[1]) == 2
        assert call(onboarding, "GET", f"/mails?to={recipient}&key=unknown") == (200, [])

    def test_repeated_mail_arrives_twice(self, onboarding: Services) -> None:
        for _ in range(2):
            mail_to(onboarding, "oli@corp.test", "Hello", "<5@corp.test>", key="same")
        assert len(effects(onboarding, "oli@corp.test")) == 2


class TestGateways:
    ORDER: ClassVar[dict[str, str]] = {"amount": "12.50", "reference": "inv-1"}

    def test_keyed_gateway_drops_the_repeat_of_a_key(self, payment: Services) -> None:
        order = {"account": "acc-a", **self.ORDER}
        first = call(payment, "POST", "/keyed/transfers", order, key="k-a")
        assert first[0] == 201
        assert call(payment, "POST", "/keyed/transfers", order, key="k-a") == first
        (row,) = effects(payment, "acc-a")
        assert (row["service"], row["action"], row["key"]) == ("keyed", "transfer", "k-a")
        assert row["detail"] == {"id": first[1]["id"], "amount": "12.50", "reference": "inv-1"}

        call(payment, "POST", "/keyed/transfers", order, key="k-a2")
        assert len(effects(payment, "acc-a")) == 2

    def test_lookup_gateway_repeats_but_can_be_asked(self, payment: Services) -> None:
        order = {"account": "acc-b", "amount": "7", "reference": "inv 2+b"}
        path = f"/lookup/transfers?reference={quote('inv 2+b', safe='')}"
        assert call(payment, "GET", path) == (200, [])
        for _ in range(2):
            call(payment, "POST", "/lookup/transfers", order, key="same")

        _, found = call(payment, "GET", path)
        assert [transfer["id"] for transfer in found] == [row["detail"]["id"] for row in effects(payment, "acc-b")]
        assert len(found) == 2

    def test_plain_gateway_repeats_and_cannot_be_asked(self, payment: Services) -> None:
        order = {"account": "acc-c", **self.ORDER}
        for _ in range(2):
            assert call(payment, "POST", "/plain/transfers", order, key="same")[0] == 201
        assert len(effects(payment, "acc-c")) == 2
        assert call(payment, "GET", "/plain/transfers?reference=inv-1")[0] == 405

    def test_keyed_gateway_may_forget_its_keys(self, tmp_path: Path) -> None:
        order = {"account": "acc-d", **self.ORDER}
        with start_services("payment", tmp_path, {"forget_keys_after_seconds": 0.25}) as services:
            first = call(services, "POST", "/keyed/transfers", order, key="k-d")
            assert call(services, "POST", "/keyed/transfers", order, key="k-d") == first
            until(lambda: call(services, "POST", "/keyed/transfers", order, key="k-d") != first)
            assert len(effects(services, "acc-d")) == 2

    def test_late_transfer_lands_though_its_caller_has_gone_and_the_first_look_found_nothing(self, tmp_path: Path) -> None:
        with start_services("payment", tmp_path, {"late_commit_seconds": 0.25}) as services:
            send_and_go(services, "/lookup/transfers", {"account": "acc-e", **self.ORDER})
            assert call(services, "GET", "/lookup/transfers?reference=inv-1") == (200, [])
            until(lambda: call(services, "GET", "/lookup/transfers?reference=inv-1")[1])
            assert len(effects(services, "acc-e")) == 1
            assert services.requests()[0]["status"] is None

    def test_repeat_of_a_key_under_way_waits_for_the_first_answer(self, tmp_path: Path) -> None:
        order = {"account": "acc-f", **self.ORDER}
        with start_services("payment", tmp_path, {"late_commit_seconds": 0.25}) as services:
            send_and_go(services, "/keyed/transfers", order, key="k-f")
            assert effects(services, "acc-f") == []
            assert call(services, "POST", "/keyed/transfers", order, key="k-f")[0] == 201
            assert len(effects(services, "acc-f")) == 1

    def test_payment_lab_has_no_mail(self, payment: Services) -> None:
        assert (payment.smtp_host, payment.smtp_port) == ("", 0)


class TestHold:
    @pytest.mark.parametrize(
        ("service", "subject", "act"),
        [
            ("mailbox", "pia", ("POST", "/mailboxes", {"user": "pia", "name": "Pia"})),
            ("vpn", "quy", ("PUT", "/vpn/quy", None)),
            ("orders", "ron", ("POST", "/orders", {"for": "ron", "model": "x1"})),
        ],
    )
    def test_effect_is_done_and_its_answer_kept_back(
        self, onboarding: Services, service: str, subject: str, act: tuple[str, str, Any]
    ) -> None:
        if service == "vpn":
            assert [call(onboarding, *act)[0] for _ in range(2)] == [503, 503]
        onboarding.hold(service, subject)
        answer = in_thread(lambda: call(onboarding, *act, key=f"k-{subject}"))

        held = onboarding.wait_held(timeout_seconds=5)
        assert (held["service"], held["subject"]) == (service, subject)
        assert len(effects(onboarding, subject)) == 1
        assert not answer.done()
        assert onboarding.requests()[-1]["status"] is None

        assert onboarding.release() == 1
        assert answer.result(5)[0] in (200, 201)

    @pytest.mark.parametrize("name", ["keyed", "transfer"])
    def test_transfer_is_held_by_its_gateway_or_by_any(self, payment: Services, name: str) -> None:
        payment.hold(name, f"acc-{name}")
        order = {"account": f"acc-{name}", "amount": "1", "reference": "r"}
        answer = in_thread(lambda: call(payment, "POST", "/keyed/transfers", order, key=f"h-{name}"))
        assert payment.wait_held(timeout_seconds=5)["service"] == "keyed"
        assert len(effects(payment, f"acc-{name}")) == 1
        payment.release()
        assert answer.result(5)[0] == 201

    def test_mail_is_held_after_its_delivery(self, onboarding: Services) -> None:
        onboarding.hold("mail", "sam@corp.test")
        sent = in_thread(lambda: mail_to(onboarding, "sam@corp.test", "Hello", "<6@corp.test>"))
        assert onboarding.wait_held(timeout_seconds=5)["service"] == "mail"
        assert len(effects(onboarding, "sam@corp.test")) == 1
        assert not sent.done()
        onboarding.release()
        sent.result(5)

    def test_caller_that_is_killed_while_held_ends_the_hold(self, onboarding: Services) -> None:
        """The story of every crash lab: killed between effect and record, and then asking again under its key."""
        onboarding.hold("mailbox", "tom", seconds=30)
        body = {"user": "tom", "name": "Tom"}
        worker = subprocess.Popen([sys.executable, "-c", WORKER, onboarding.http, json.dumps(body), "k-tom"])
        onboarding.wait_held(timeout_seconds=5)
        worker.kill()
        worker.wait()

        assert call(onboarding, "POST", "/mailboxes", body, key="k-tom")[0] == 201
        assert len(effects(onboarding, "tom")) == 1
        # Nothing but a release tells whether an answer is held, and that would end it: so only once, after a while.
        time.sleep(0.2)
        assert onboarding.release() == 0
        first = next(row for row in onboarding.requests() if row["key"] == "k-tom")
        assert first["status"] is None
        assert first["effect"] is not None

    def test_smtp_caller_that_goes_while_held_leaves_a_delivered_mail_without_an_answer(self, onboarding: Services) -> None:
        onboarding.hold("mail", "una@corp.test", seconds=30)
        smtp = smtplib.SMTP(onboarding.smtp_host, onboarding.smtp_port, local_hostname="localhost", timeout=5)
        smtp.ehlo()
        smtp.mail("it@corp.test")
        smtp.rcpt("una@corp.test")
        smtp.docmd("DATA")
        smtp.send(b"Subject: Hello\r\nMessage-ID: <7@corp.test>\r\n\r\nHello.\r\n.\r\n")
        onboarding.wait_held(timeout_seconds=5)
        smtp.close()

        (row,) = effects(onboarding, "una@corp.test")
        (seen,) = (seen for seen in onboarding.requests() if seen["effect"] == row["n"])
        assert seen["status"] is None
        time.sleep(0.2)
        assert onboarding.release() == 0

    def test_hold_is_over_after_its_seconds_and_holds_once(self, onboarding: Services) -> None:
        onboarding.hold("orders", "uwe", seconds=0.1)
        order = {"for": "uwe", "model": "x1"}
        begun = time.monotonic()
        call(onboarding, "POST", "/orders", order)
        assert time.monotonic() - begun >= 0.1
        onboarding.wait_held(timeout_seconds=0)

        call(onboarding, "POST", "/orders", order)
        with pytest.raises(TimeoutError):
            onboarding.wait_held(timeout_seconds=0)

    def test_arming_a_hold_forgets_the_notice_of_an_earlier_one(self, onboarding: Services) -> None:
        onboarding.hold("orders", "vic", seconds=0)
        call(onboarding, "POST", "/orders", {"for": "vic", "model": "x1"})
        onboarding.hold("orders", "nobody", seconds=0)
        with pytest.raises(TimeoutError):
            onboarding.wait_held(timeout_seconds=0)

    def test_other_subjects_and_requests_without_an_effect_are_not_held(self, onboarding: Services) -> None:
        body = {"user": "wim", "name": "Wim"}
        call(onboarding, "POST", "/mailboxes", body, key="k-wim")
        onboarding.hold("mailbox", "wim", seconds=30)
        call(onboarding, "POST", "/mailboxes", body, key="k-wim")
        call(onboarding, "POST", "/mailboxes", {"user": "xia", "name": "Xia"}, key="k-xia")
        with pytest.raises(TimeoutError):
            onboarding.wait_held(timeout_seconds=0)

    def test_unknown_service_cannot_be_held(self, onboarding: Services) -> None:
        with pytest.raises(RuntimeError, match="400 no such service to hold"):
            onboarding.hold("keyed", "acc-a")


class TestRequests:
    @pytest.mark.parametrize(
        ("lab", "method", "path", "body", "key"),
        [
            ("onboarding", "POST", "/mailboxes", {"user": "yan", "name": "Yan"}, None),
            ("onboarding", "POST", "/mailboxes", {"user": "yan"}, "k-yan"),
            ("onboarding", "POST", "/mailboxes", {"user": "a b@c", "name": "Yan"}, "k-yan"),
            ("onboarding", "POST", "/mailboxes", ["yan"], "k-yan"),
            ("onboarding", "POST", "/mailboxes", None, "k-yan"),
            ("onboarding", "POST", "/orders", {"for": "yan", "model": 1}, None),
            ("onboarding", "GET", "/orders", None, None),
            ("onboarding", "GET", "/mails?key=k", None, None),
            ("onboarding", "POST", "/hold", {"service": "vpn", "subject": "yan", "seconds": -1}, None),
            ("payment", "POST", "/plain/transfers", {"account": "bad", "amount": 12.5, "reference": "r"}, None),
            ("payment", "POST", "/plain/transfers", {"account": "bad", "amount": "-1", "reference": "r"}, None),
            ("payment", "POST", "/plain/transfers", {"account": "bad", "amount": "0.00", "reference": "r"}, None),
            ("payment", "POST", "/plain/transfers", {"account": "bad", "amount": "1e3", "reference": "r"}, None),
            ("payment", "POST", "/keyed/transfers", {"account": "bad", "amount": "1", "reference": "r"}, None),
            ("payment", "GET", "/lookup/transfers", None, None),
        ],
    )
    def test_bad_request_gets_400_with_an_error_and_changes_nothing(
        self,
        request: pytest.FixtureRequest,
        lab: str,
        method: str,
        path: str,
        body: object,
        key: str | None,
    ) -> None:
        services: Services = request.getfixturevalue(lab)
        before = services.ledger()
        status, answer = call(services, method, path, body, key=key)
        assert status == 400
        assert list(answer) == ["error"]
        assert services.ledger() == before

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"POST /orders HTTP/1.1\r\nContent-Length: 3\r\n\r\n{x}", 400),
            (b"POST /orders HTTP/1.1\r\nContent-Length: -3\r\n\r\n", 400),
            (b"POST /orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            (b"POST /orders HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", 400),
            (b"POST /orders HTTP/one\r\n\r\n", 400),
            (b"BREW /orders HTTP/1.1\r\n\r\n", 501),
            (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
            (b"DELETE /orders HTTP/1.1\r\n\r\n", 405),
        ],
    )
    def test_what_is_not_even_a_request_is_answered_in_one_line_of_json(
        self, onboarding: Services, raw: bytes, status: int
    ) -> None:
        address = urlsplit(onboarding.http)
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(raw)
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert list(json.loads(body)) == ["error"]
        assert body.count(b"\n") == 1

    def test_connection_serves_many_requests_without_delay(self, onboarding: Services) -> None:
        connection = connect(onboarding)
        begun = time.monotonic()
        for _ in range(20):
            send(connection, "GET", "/orders?for=nobody")
            connection.getresponse().read()
        took = time.monotonic() - begun
        connection.close()
        # With a delayed acknowledgement in each it would be 0.8 s.
        assert took < 0.4

    def test_control_routes_leave_no_trace_in_the_request_log(self, onboarding: Services) -> None:
        onboarding.hold("vpn", "nobody")
        onboarding.release()
        onboarding.ledger()
        paths = {row["path"] for row in onboarding.requests()}
        assert not paths & {"/hold", "/release", "/ledger", "/requests"}


class TestLedger:
    def test_file_says_what_the_route_says(self, onboarding: Services) -> None:
        call(onboarding, "POST", "/orders", {"for": "zoe", "model": "x1"})
        lines = (onboarding.directory / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        rows = onboarding.ledger()
        assert [json.loads(line) for line in lines] == rows
        assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
        assert list(rows[0]) == ["n", "at", "service", "action", "subject", "key", "detail"]

    def test_many_callers_at_once_lose_no_row(self, payment: Services) -> None:
        def pay(number: int) -> int:
            order = {"account": "acc-many", "amount": "1", "reference": f"r-{number}"}
            return call(payment, "POST", "/plain/transfers", order)[0]

        with ThreadPoolExecutor(20) as pool:
            assert list(pool.map(pay, range(100))) == [201] * 100
        rows = effects(payment, "acc-many")
        assert len({row["n"] for row in rows}) == len({row["detail"]["id"] for row in rows}) == 100


class TestProcess:
    def test_ids_depend_on_the_seed_alone(self, tmp_path: Path) -> None:
        def ids(seed: int, users: Sequence[str]) -> set[str]:
            with start_services("onboarding", tmp_path, seed=seed) as services:
                for user in users:
                    call(services, "POST", "/orders", {"for": user, "model": "x1"})
                return {row["detail"]["id"] for row in services.ledger()}

        assert ids(7, ["a", "b"]) == ids(7, ["b", "a"])
        assert ids(7, ["a", "b"]).isdisjoint(ids(8, ["a", "b"]))

    def test_services_file_names_process_and_ports(self, onboarding: Services) -> None:
        notice = json.loads((onboarding.directory / "services.json").read_text(encoding="utf-8"))
        assert notice == {
            "pid": onboarding.process.pid,
            "lab": "onboarding",
            "http": onboarding.http,
            "smtp_host": onboarding.smtp_host,
            "smtp_port": onboarding.smtp_port,
        }

    def test_sigterm_ends_it_even_while_an_answer_is_held(self, tmp_path: Path) -> None:
        with start_services("payment", tmp_path) as services:
            services.hold("plain", "acc", seconds=30)
            connection = connect(services)
            send(connection, "POST", "/plain/transfers", {"account": "acc", "amount": "1", "reference": "r"})
            services.wait_held(timeout_seconds=5)
            os.kill(services.process.pid, signal.SIGTERM)
            assert services.process.wait(2) == 0
            connection.close()
        assert (tmp_path / "services.log").read_bytes() == b""

    def test_it_ends_by_itself_after_its_lifetime(self, tmp_path: Path) -> None:
        with start_services("payment", tmp_path, lifetime_seconds=0.1) as services:
            assert services.process.wait(2) == 0

    def test_orphan_ends_when_its_parent_is_killed(self, tmp_path: Path) -> None:
        driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        http = driver.stdout.readline().strip()
        assert is_listening(http)
        driver.kill()
        driver.communicate()
        until(lambda: not is_listening(http), timeout_seconds=2)

    @pytest.mark.parametrize(
        ("faults", "complaint"),
        [
            ({"vpn_down_time": 1}, "unknown fault 'vpn_down_time'"),
            ({"vpn_down_times": -1}, "vpn_down_times must be"),
            ({"down_for": "kim"}, "down_for must be a list"),
        ],
    )
    def test_faults_that_make_no_sense_stop_the_start(self, tmp_path: Path, faults: dict[str, object], complaint: str) -> None:
        with pytest.raises(RuntimeError, match=complaint):
            start_services("onboarding", tmp_path, faults)

    def test_it_runs_without_the_rest_of_holdfast(self) -> None:
        """The witness must not share code with what it judges."""
        loaded = "import sys, holdfast.labs.services.__main__; print(*sys.modules)"
        bare = "import sys, holdfast.labs; print(*sys.modules)"
        ours = {name for name in modules_after(loaded) - modules_after(bare) if name.startswith("holdfast.")}
        assert {name for name in ours if not name.startswith("holdfast.labs.services")} == set()


WORKER = """
import http.client, sys, urllib.parse
connection = http.client.HTTPConnection(urllib.parse.urlsplit(sys.argv[1]).netloc)
connection.request("POST", "/mailboxes", sys.argv[2], {"Idempotency-Key": sys.argv[3]})
connection.getresponse()
"""

DRIVER = """
import pathlib, sys, time
from holdfast.labs.services import start_services
services = start_services("payment", pathlib.Path(sys.argv[1]))
print(services.http, flush=True)
time.sleep(60)
"""


def in_thread(act: Callable[[], T]) -> "Future[T]":
    """What `act` will return. Its thread is a daemon, so that a held answer cannot hang the test run."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result.
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def modules_after(program: str) -> set[str]:
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())
