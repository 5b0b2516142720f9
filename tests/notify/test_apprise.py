"""Apprise, against a real receiver of its plainest kind."""

from __future__ import annotations

import json

import pytest

from holdfast.errors import UsageError
from holdfast.notify.apprise import Apprise
from holdfast.notify.base import NotifyError
from holdfast.notify.settings import channels_from
from tests.notify.kit import free_port, notice, receiving

# What it loads uses what newer Pythons deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_no_url_is_no_channel() -> None:
    """It could tell nobody."""
    with pytest.raises(UsageError, match="needs a URL"):
        Apprise()


async def test_all_urls_are_told_the_subject_and_the_text() -> None:
    """Whatever they stand for."""
    pytest.importorskip("apprise")
    with receiving((200, {})) as one, receiving((200, {})) as other:
        urls = [f"json://127.0.0.1:{receiver.server_address[1]}/" for receiver in (one, other)]
        await Apprise(*urls).send(notice(), ())
        for receiver in (one, other):
            [(_, body)] = receiver.came
            said = json.loads(body)
            assert said["title"] == "[holdfast] order-7 asks: may refund be called? (812.50)"
            assert "holdfast answer order-7 i1 approve" in said["message"]


async def test_one_that_fails_is_tried_again_and_one_that_is_none_is_not() -> None:
    """And neither is named: it has a secret in it."""
    pytest.importorskip("apprise")
    for url, transient in ((f"json://u:T0KEN@127.0.0.1:{free_port()}/", True), ("nothing://T0KEN", False)):
        with pytest.raises(NotifyError) as caught:
            await Apprise(url).send(notice(), ())
        assert caught.value.transient is transient and "T0KEN" not in str(caught.value)


def test_each_url_of_the_environment_is_remembered_by_itself() -> None:
    """So that another one in front of it changes nothing."""
    pytest.importorskip("apprise")
    [first] = channels_from({"HOLDFAST_NOTIFY_URLS": "json://one"})
    names = [channel.name for channel in channels_from({"HOLDFAST_NOTIFY_URLS": "json://two json://one json://two"})]
    assert len(set(names)) == 2 and names[1] == first.name and "one" not in first.name
