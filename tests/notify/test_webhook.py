"""The webhook against a real server, and its signature against the definition of HMAC (RFC 2104) and a published example."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import UsageError
from holdfast.notify.base import NotifyError
from holdfast.notify.webhook import NotVerified, Webhook, verify_webhook
from tests.notify.kit import ANN, SECRET, T0, certified, free_port, needs_openssl, notice, receiving, until

OTHER = "another secret, which is long enough"


def hook(url: str, secret: Any = SECRET, **of: Any) -> Webhook:
    """A webhook at T0."""
    return Webhook(url, secret, now=lambda: T0, **of)


def by_definition(key: bytes, content: bytes) -> str:
    """HMAC-SHA256 as RFC 2104 writes it down, of a key of up to 64 bytes."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + content).digest()
    return base64.b64encode(hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()).decode()


async def sent(**of: Any) -> tuple[dict[str, str], bytes]:
    """A request as it came."""
    with receiving() as receiver:
        await hook(receiver.url, **of).send(notice(), (ANN,))
        assert receiver.paths == ["/hooks/people?to=all"]
        return receiver.came[0]


async def test_what_comes_is_the_notice_and_those_who_are_meant() -> None:
    """As one table of JSON."""
    headers, body = await sent()
    said = json.loads(body)
    assert headers["content-type"] == "application/json"
    assert set(said) == {"id", "what", "run_id", "agent", "tenant", "interrupt", "at", "who", "to", "body"}
    assert (said["id"], said["what"], said["at"]) == ("order-7/i1/asked/1", "asked", T0)
    assert said["to"] == [{"name": "ann", "mail": "ann@example.org"}]
    assert said["body"]["args"] == {"order": "7", "amount": 812.5}


async def test_the_signature_is_what_the_specification_says() -> None:
    """Over id, time and body, parted by full stops; one for each secret."""
    headers, body = await sent(secret=[SECRET, OTHER])
    content = f"order-7/i1/asked/1.{int(T0)}.".encode() + body
    assert headers["webhook-id"] == "order-7/i1/asked/1"
    assert headers["webhook-timestamp"] == str(int(T0))
    assert headers["webhook-signature"].split() == [f"v1,{by_definition(key.encode(), content)}" for key in (SECRET, OTHER)]


def test_the_example_of_the_specifications_libraries_is_verified() -> None:
    """A signature that was not made here."""
    headers = {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    assert verify_webhook(headers, body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now=1614265330) == {"test": 2432232314}


@pytest.mark.parametrize("secret", [SECRET, [OTHER, SECRET], f"whsec_{base64.b64encode(SECRET.encode()).decode()}"])
async def test_a_receiver_verifies_with_any_of_its_secrets(secret: Any) -> None:
    """So that they can be rotated; and Base64 behind `whsec_` is the same secret."""
    headers, body = await sent()
    assert verify_webhook(headers, body, secret, now=T0 + 299)["id"] == "order-7/i1/asked/1"


@pytest.mark.parametrize(
    ("change", "more", "why"),
    [
        ({}, {"secret": OTHER}, "not by this secret"),
        ({}, {"now": T0 + 301}, "signed at"),
        ({}, {"now": T0 - 301}, "signed at"),
        ({}, {"body": b" "}, "not by this secret"),
        ({"webhook-id": "order-8/i1/asked/1"}, {}, "not by this secret"),
        ({"webhook-timestamp": str(int(T0) + 200)}, {"now": T0 + 400}, "not by this secret"),
        ({"webhook-timestamp": "soon"}, {}, "no number"),
        ({"webhook-timestamp": "²"}, {}, "no number"),
        ({"webhook-signature": "v1,"}, {}, "not by this secret"),
        ({"webhook-signature": "ü v1"}, {}, "not by this secret"),
        ({"webhook-signature": None}, {}, "webhook-signature is missing"),
        ({"webhook-id": None}, {}, "webhook-id is missing"),
    ],
)
async def test_what_is_not_ours_or_not_fresh_is_refused(change: dict[str, Any], more: dict[str, Any], why: str) -> None:
    """Another secret, another body, id or time, no signature; old, or from the future."""
    headers, body = await sent()
    headers = {name: value for name, value in {**headers, **change}.items() if value is not None}
    call = {"secret": SECRET, "now": T0, **more}
    with pytest.raises(NotVerified, match=why):
        verify_webhook(headers, body + call.pop("body", b""), call["secret"], now=call["now"])


async def test_a_signature_of_another_version_does_not_count() -> None:
    """Even if it is the right one."""
    headers, body = await sent()
    with pytest.raises(NotVerified):
        verify_webhook(
            {**headers, "webhook-signature": headers["webhook-signature"].replace("v1,", "v1a,")}, body, SECRET, now=T0
        )


@pytest.mark.parametrize(
    ("answer", "transient", "retry_after"),
    [
        ((500, {}), True, None),
        ((404, {}), True, None),
        ((503, {"Retry-After": "120"}), True, 120.0),
        ((429, {"Retry-After": formatdate(T0 + 90, usegmt=True)}), True, 90.0),
        ((429, {"Retry-After": formatdate(T0 - 90, usegmt=True)}), True, 0.0),
        ((429, {"Retry-After": "whenever"}), True, None),
        ((410, {}), False, None),
    ],
)
async def test_what_is_answered_says_how_it_goes_on(
    answer: tuple[int, dict[str, str]], transient: bool, retry_after: float | None
) -> None:
    """410 is for good; all else is tried again, not before the time that is named."""
    with receiving(answer) as receiver, pytest.raises(NotifyError, match=str(answer[0])) as caught:
        await hook(receiver.url).send(notice(), ())
    assert caught.value.transient is transient
    assert caught.value.retry_after_seconds == pytest.approx(retry_after, abs=1.0)


async def test_a_redirect_is_not_followed() -> None:
    """It could lead anywhere."""
    with receiving() as other, receiving((307, {"Location": other.url})) as receiver:
        with pytest.raises(NotifyError, match="redirects are not followed"):
            await hook(receiver.url).send(notice(), ())
        assert len(receiver.came) == 1 and not other.came


async def test_nobody_there_is_tried_again_and_the_path_is_not_told() -> None:
    """The URL may be the secret of a chat."""
    with pytest.raises(NotifyError) as caught:
        await hook(f"http://127.0.0.1:{free_port()}/T0KEN").send(notice(), ())
    assert caught.value.transient
    assert "ConnectionRefusedError" in str(caught.value) and "T0KEN" not in str(caught.value)


async def test_a_server_that_says_one_byte_at_a_time_is_left_in_time() -> None:
    """And the thread that listens to it ends."""
    stopped = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not stopped.wait(0.05):
                    connection.sendall(b"x")
            except OSError:
                stopped.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        began = time.monotonic()
        with pytest.raises(NotifyError, match=r"longer than 0.4 seconds"):
            await hook(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_seconds=0.4).send(notice(), ())
        assert time.monotonic() - began < 3
        assert stopped.wait(5)
        await until(lambda: not any(thread.name == "holdfast-notify" for thread in threading.enumerate()))


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1/i1", "zoë/ü", "v1.2/i1", "a b%", "\ud800"])
async def test_an_id_cannot_leave_its_header(name: str) -> None:
    """Whatever is in it, one header comes, without a full stop that could be read as a part of what is signed."""
    shown = name.encode("utf-8", "replace").decode()  # JSON has no half characters.
    with receiving() as receiver:
        await hook(receiver.url).send(notice(shown), ())
        headers, body = receiver.came[0]
    assert "x-evil" not in headers and "." not in headers["webhook-id"]
    assert verify_webhook(headers, body, SECRET, now=T0)["id"] == shown


@needs_openssl
async def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody vouches for gets nothing; the same one gets it once it is trusted."""
    context, certificate = certified(tmp_path)
    with receiving() as receiver:
        receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        url = f"https://localhost:{receiver.server_address[1]}/"
        with pytest.raises(NotifyError, match="certificate verify failed"):
            await hook(url).send(notice(), ())
        assert not receiver.came
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await hook(url).send(notice(), ())
        assert len(receiver.came) == 1


@pytest.mark.parametrize(
    ("url", "secret", "why"),
    [
        ("ftp://h/T0KEN", SECRET, "cannot be posted to"),
        ("https:///T0KEN", SECRET, "cannot be posted to"),
        ("https://h/T0KEN\r\nX: y", SECRET, "cannot be posted to"),
        ("https://h:port/T0KEN", SECRET, "cannot be read"),
        ("https://u:T0KEN@h/", SECRET, "a name or a password"),
        ("https://h/T0KEN", "short", "fewer than 24"),
        ("https://h/T0KEN", "", "fewer than 24"),
        ("https://h/T0KEN", [], "needs a secret"),
        ("https://h/T0KEN", "whsec_T0KEN!", "not Base64"),
    ],
)
def test_what_cannot_be_a_webhook_is_said_at_once(url: str, secret: Any, why: str) -> None:
    """Without repeating the URL or the secret."""
    with pytest.raises(UsageError, match=why) as caught:
        Webhook(url, secret)
    assert "T0KEN" not in str(caught.value)
