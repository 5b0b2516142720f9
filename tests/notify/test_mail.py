"""Mail through a real SMTP server."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from holdfast.errors import UsageError
from holdfast.journal.people import Person
from holdfast.notify.base import NotifyError
from holdfast.notify.mail import Mail
from tests.notify.kit import ANN, BOB, T0, MailServer, certified, free_port, mailing, needs_openssl, notice
from tests.notify.test_text import EVIL

SENDER = "holdfast@shop.example"


def mail(server: MailServer | int, **of: Any) -> Mail:
    """A channel to a server on loopback."""
    port = server if isinstance(server, int) else server.port
    return Mail("127.0.0.1", port, **{"sender": SENDER, "security": "none", "now": lambda: T0, "timeout_seconds": 5, **of})


async def test_those_who_are_meant_and_those_who_are_always_told_get_one_mail() -> None:
    """Each once, with the subject and the text of the notice."""
    with mailing() as server:
        assert await mail(server, to=("desk@shop.example", ANN.mail)).send(notice(), (ANN, BOB)) is None
    [(recipients, message)] = server.came
    assert recipients == ["ann@example.org", "bob@example.org", "desk@shop.example"]
    assert str(message["From"]) == f"holdfast <{SENDER}>"
    assert str(message["Subject"]) == "[holdfast] order-7 asks: may refund be called? (812.50)"
    assert (message["Auto-Submitted"], message["Date"].datetime.timestamp()) == ("auto-generated", T0)
    assert "holdfast answer order-7 i1 approve" in message.get_content()


async def test_a_mail_that_is_sent_again_has_the_same_id_and_those_of_an_interrupt_one_thread() -> None:
    """So that what comes twice can be dropped, and a reminder stands under what it reminds of."""
    with mailing() as server:
        for name in ("order-7/i1/asked/1", "order-7/i1/asked/1", "order-7/i1/reminded/0.1"):
            await mail(server).send(notice(name), (ANN,))
        await mail(server).send(notice("order-7/i2/asked/1", interrupt="i2"), (ANN,))
    ids = [str(message["Message-ID"]) for _, message in server.came]
    threads = [str(message["References"]) for _, message in server.came]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert threads[0] == threads[1] == threads[2] != threads[3]


async def test_nobody_with_an_address_is_a_remark() -> None:
    """Nothing is sent, and there is nothing to try again."""
    with mailing() as server:
        assert "nobody" in str(await mail(server).send(notice(), (Person(name="cat"),)))
        assert "nobody" in str(await mail(server).send(notice(), ()))
    assert server.came == []


@pytest.mark.parametrize(
    "bad",
    ["cat@example.org\r\nBcc: all@example.org", "cat", "<cat@example.org>, all@example.org", "a b@example.org", "cat@ex@ample"],
)
async def test_an_address_that_is_none_is_left_out(bad: str) -> None:
    """And that is remarked; the others are told."""
    with mailing() as server:
        assert await mail(server).send(notice(), (ANN, Person(name="cat", mail=bad))) == "no address: cat"
    assert [recipients for recipients, _ in server.came] == [["ann@example.org"]]


async def test_nothing_in_a_notice_makes_a_header() -> None:
    """Not the question, not an id, not a name."""
    evil = Person(name=f"zoë {EVIL}", mail="zoe@example.org")
    body = {**notice().body, "question": EVIL, "goal": EVIL, "labels": {EVIL: EVIL}}
    with mailing() as server:
        await mail(server).send(notice(EVIL, run_id=EVIL, agent=EVIL, interrupt=EVIL, body=body), (evil,))
    [(recipients, message)] = server.came
    assert recipients == ["zoe@example.org"]
    assert sorted(name.lower() for name in message) == [
        "auto-submitted", "content-transfer-encoding", "content-type", "date", "from", "message-id", "mime-version",
        "references", "subject", "to",
    ]  # fmt: skip
    assert message["To"].addresses[0].display_name.startswith("zoë sure?")
    assert not message.defects and b"\nBcc:" not in server.raw[0].replace(b"\n  ", b"\n")


@pytest.mark.parametrize(
    ("of", "transient", "why"),
    [
        ({"at_data": "554 spam"}, False, "refused the mail: 554"),
        ({"at_data": "452 full"}, True, "refused the mail: 452"),
        ({"refuse": {ANN.mail: "550 nobody"}}, False, r"none of them: ann@example.org \(550\)"),
        ({"refuse": {ANN.mail: "450 later"}}, True, r"none of them: ann@example.org \(450\)"),
    ],
)
async def test_what_the_server_refuses_for_good_is_not_tried_again(of: dict[str, Any], transient: bool, why: str) -> None:
    """5yz is for good, 4yz is not."""
    with mailing(**of) as server, pytest.raises(NotifyError, match=why) as caught:
        await mail(server).send(notice(), (ANN,))
    assert caught.value.transient is transient


async def test_one_who_is_refused_is_a_remark_when_others_got_it() -> None:
    """Or those would get it again and again."""
    with mailing(refuse={BOB.mail: "450 later"}) as server:
        assert await mail(server).send(notice(), (ANN, BOB)) == "not taken for bob@example.org (450)"
    assert [recipients for recipients, _ in server.came] == [["ann@example.org"]]


async def test_a_server_that_is_away_or_silent_is_tried_again() -> None:
    """And is not waited for longer than was said."""
    with pytest.raises(NotifyError, match="ConnectionRefusedError") as caught:
        await mail(free_port()).send(notice(), (ANN,))
    assert caught.value.transient
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotifyError) as caught:
        await mail(silent.getsockname()[1], timeout_seconds=0.3).send(notice(), (ANN,))
    assert caught.value.transient


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_without_tls_nothing_is_sent_in_clear(security: str) -> None:
    """A server that has none gets no mail and no password."""
    with mailing() as server:
        channel = mail(server, security=security, user="u", password="pässword", timeout_seconds=1)
        with pytest.raises(NotifyError) as caught:
            await channel.send(notice(), (ANN,))
    assert caught.value.transient and "pässword" not in str(caught.value)
    assert server.came == []


@needs_openssl
async def test_a_password_goes_over_tls_to_a_server_that_is_vouched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And to none that is not."""
    context, certificate = certified(tmp_path)
    given: list[tuple[bytes, bytes]] = []

    def signed_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given.append((data.login, data.password))
        return AuthResult(success=data.password == b"p:/w", handled=False)

    options = {"tls_context": context, "require_starttls": True, "authenticator": signed_in, "auth_required": True}
    with mailing(server_options=options) as server:
        channels = [
            Mail("localhost", server.port, sender=SENDER, user="u", password=password, now=lambda: T0)
            for password in ("p:/w", "wrong")
        ]
        with pytest.raises(NotifyError, match="certificate verify failed"):
            await channels[0].send(notice(), (ANN,))
        assert given == [] and server.came == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert await channels[0].send(notice(), (ANN,)) is None
        with pytest.raises(NotifyError, match="535") as caught:
            await channels[1].send(notice(), (ANN,))
    assert given[0] == (b"u", b"p:/w") and len(server.came) == 1
    assert caught.value.transient and "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("of", "why"),
    [
        ({"sender": "holdfast"}, "no address"),
        ({"sender": "a@b\nBcc: c@d"}, "no address"),
        ({"to": ("Ann <ann@example.org>",)}, "no address"),
        ({"security": "maybe"}, "it is one of starttls, tls, none"),
        ({"user": "u"}, "without a password"),
    ],
)
def test_what_cannot_be_a_channel_is_said_at_once(of: dict[str, Any], why: str) -> None:
    """When it is made, not when somebody should have been told."""
    with pytest.raises(UsageError, match=why):
        mail(25, **of)


def test_a_password_goes_to_no_other_machine_in_clear() -> None:
    """Whoever is in between could read it."""
    with pytest.raises(UsageError, match="for all to read"):
        Mail("mail.example.org", 25, sender=SENDER, user="u", password="p", security="none")
