"""Channels from the environment."""

from __future__ import annotations

import importlib.util

import pytest

from holdfast.errors import UsageError
from holdfast.notify.settings import channels_from
from tests.notify.kit import ANN, SECRET, mailing, notice, receiving

WEBHOOK = {"HOLDFAST_WEBHOOK_URL": "https://hooks.example.org/T0KEN", "HOLDFAST_WEBHOOK_SECRET": f"{SECRET} {SECRET[::-1]}"}


def test_nothing_named_is_no_channel() -> None:
    """And an empty variable names nothing."""
    assert channels_from({}) == []
    assert channels_from({"HOLDFAST_WEBHOOK_URL": " ", "HOLDFAST_SMTP_URL": "", "HOLDFAST_NOTIFY_URLS": "\n"}) == []


def test_each_variable_is_a_channel_with_a_name_of_its_own() -> None:
    """By which it is remembered what was sent."""
    smtp = {"HOLDFAST_SMTP_URL": "smtps://u%40x:p%2Fw@mail.example.org?from=hf+x@example.org&to=a@example.org,b@example.org"}
    assert [channel.name for channel in channels_from({**WEBHOOK, **smtp})] == ["webhook", "mail"]


async def test_what_is_named_is_where_it_goes() -> None:
    """To a real server each."""
    with mailing() as server, receiving() as receiver:
        smtp = f"smtp://127.0.0.1:{server.port}?security=none&from=hf+x@example.org&to=a@example.org,b@example.org"
        for channel in channels_from({**WEBHOOK, "HOLDFAST_WEBHOOK_URL": receiver.url, "HOLDFAST_SMTP_URL": smtp}):
            await channel.send(notice(), (ANN,))
    assert len(receiver.came[0][0]["webhook-signature"].split()) == 2
    [(recipients, message)] = server.came
    assert recipients == ["ann@example.org", "a@example.org", "b@example.org"]
    assert message["From"].addresses[0].addr_spec == "hf+x@example.org"


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"HOLDFAST_WEBHOOK_URL": "https://h/T0KEN"}, "HOLDFAST_WEBHOOK_SECRET is not"),
        ({**WEBHOOK, "HOLDFAST_WEBHOOK_SECRET": "T0KEN"}, "fewer than 24"),
        ({"HOLDFAST_SMTP_URL": "http://u:T0KEN@h?from=a@example.org"}, "no URL of a mail server"),
        ({"HOLDFAST_SMTP_URL": "smtp://u:T0/KEN@h?from=a@example.org"}, "cannot be read"),
        ({"HOLDFAST_SMTP_URL": "smtp://u:T0KEN@?from=a@example.org"}, "no URL of a mail server"),
        ({"HOLDFAST_SMTP_URL": "smtp://u:T0KEN@h"}, "from whom"),
        ({"HOLDFAST_SMTP_URL": "smtp://u:T0KEN@h?from=a@example.org&form=b"}, "not known: form"),
        ({"HOLDFAST_SMTP_URL": "smtp://u:T0KEN@h?from=a@example.org&security=ssl"}, "it is one of starttls"),
        ({"HOLDFAST_SMTP_URL": "smtp://u:T0KEN@h:25?from=a@example.org&security=none"}, "for all to read"),
        ({"HOLDFAST_SMTP_URL": "smtp://u:T0KEN@h?from=a@example.org&to=Ann"}, "no address"),
    ],
)
def test_what_cannot_be_is_said_with_the_variable_and_without_the_secret(environment: dict[str, str], why: str) -> None:
    """Such a line ends in logs."""
    with pytest.raises(UsageError, match=why) as caught:
        channels_from(environment)
    assert "T0KEN" not in str(caught.value) and "T0/" not in str(caught.value)


def test_apprise_that_is_not_installed_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; the library itself is not loaded for that."""
    found = importlib.util.find_spec
    monkeypatch.setattr("holdfast.notify.apprise.find_spec", lambda name: None if name == "apprise" else found(name))
    with pytest.raises(UsageError, match=r"holdfast\[notify\]"):
        channels_from({"HOLDFAST_NOTIFY_URLS": "json://localhost"})
