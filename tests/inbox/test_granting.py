"""A yes in advance, on a real store: what may be allowed, by whom, and that it answers what is open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.errors import AnswerRefused, DefinitionError, UsageError
from holdfast.inbox import Inbox
from holdfast.journal.sqlite import SqliteJournal
from tests.core.story import T0
from tests.inbox.kept import Kept, Still, paying


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    """A store of one test."""
    store = SqliteJournal(tmp_path / "runs.db")
    await store.open()
    yield store
    await store.close()


async def test_what_is_open_and_allowed_is_answered_at_once(journal: SqliteJournal) -> None:
    """With who allowed it and by which approval; what is beyond its scope still waits."""
    small = await Kept(journal, paying("small", amount=5)).begin()
    large = await Kept(journal, paying("large", amount=500)).begin()
    inbox = Inbox(journal, Still())
    allowed = await inbox.allow("pay", "ann", until="7d", amount_max=100, note="small ones")
    assert (allowed.until, allowed.by, allowed.amount_max) == (T0 + 7 * 86400, "ann", 100)
    (answered,) = await small.take()
    assert isinstance(answered, e.Answered)
    assert (answered.decision, answered.by, answered.standing, answered.note) == ("approve", "ann", allowed.id, "small ones")
    assert await large.take() == []
    (kept,) = await inbox.standing()
    assert kept.uses == 1


async def test_what_is_allowed_like_a_question_is_for_that_tool_as_it_is(journal: SqliteJournal) -> None:
    """Its tool, its agent and what the tool promises are taken from it; only by one who may decide that question."""
    await Kept(journal, paying("r1", who=("chief",))).begin()
    inbox = Inbox(journal, Still())
    await inbox.put_person("ann", ["clerk"])
    await inbox.put_person("bob", ["chief"])
    with pytest.raises(AnswerRefused, match="it is for chief"):
        await inbox.allow("", "ann", until=60, like=("r1", "a-1"))
    with pytest.raises(UsageError, match="about the tool pay, not refund"):
        await inbox.allow("refund", "bob", until=60, like=("r1", "a-1"))
    allowed = await inbox.allow("", "bob", until=60, like=("r1", "a-1"))
    (row,) = await inbox.list(answered=None)
    assert (allowed.tool, allowed.agent, allowed.contract, allowed.roles) == ("pay", "a", row.contract, ("chief",))
    assert row.contract


@pytest.mark.parametrize("rule", [{"people": 2}, {"standing": False}])
async def test_nothing_is_allowed_like_what_no_approval_in_advance_answers(journal: SqliteJournal, rule: dict[str, Any]) -> None:
    """Or somebody would believe that it does."""
    await Kept(journal, paying("r1", **rule)).begin()
    with pytest.raises(AnswerRefused, match=r"several people|said in advance"):
        await Inbox(journal, Still()).allow("", "ann", until=60, like=("r1", "a-1"))


@pytest.mark.parametrize(
    ("given", "error", "why"),
    [
        ({"by": "eve"}, AnswerRefused, "nobody knows eve"),
        ({"by": " "}, AnswerRefused, "name of who"),
        ({"tool": ""}, UsageError, "for one tool"),
        ({"until": 0}, UsageError, "not at once"),
        ({"until": "367d"}, UsageError, "after a year"),
        ({"until": "soon"}, DefinitionError, "no"),
        ({"uses_max": 0}, UsageError, "uses_max"),
        ({"amount_max": float("nan")}, UsageError, "amount_max"),
        ({"args": {"password": "x"}}, UsageError, "never written down"),
        ({"args": {"to": object()}}, UsageError, "JSON"),
        ({"by": "cy"}, AnswerRefused, "does not decide for all tenants"),
        ({"by": "cy", "tenant": "other"}, AnswerRefused, "does not decide for other"),
    ],
)
async def test_what_cannot_be_allowed_is_refused(
    journal: SqliteJournal, given: dict[str, Any], error: type[Exception], why: str
) -> None:
    """Nothing of it is kept."""
    inbox = Inbox(journal, Still())
    await inbox.put_person("ann", ["clerk"])
    await inbox.put_person("cy", ["clerk"], tenants=["acme", "beta"])
    fields = {"tool": "pay", "by": "ann", "until": 60, **given}
    with pytest.raises(error, match=why):
        await inbox.allow(fields.pop("tool"), fields.pop("by"), **fields)
    assert await inbox.standing() == []


async def test_who_decides_for_one_tenant_allows_for_that_tenant(journal: SqliteJournal) -> None:
    """Whether they say so or not."""
    inbox = Inbox(journal, Still())
    await inbox.put_person("cy", tenants=["acme"])
    assert (await inbox.allow("pay", "cy", until=60)).tenant == "acme"


async def test_what_is_taken_back_answers_nothing_any_more(journal: SqliteJournal) -> None:
    """It stays in the list, with who took it back; what is over does not count as active."""
    clock = Still()
    inbox = Inbox(journal, clock)
    first = await inbox.allow("pay", "ann", until=60)
    await inbox.allow("pay", "ann", until=600)
    assert (await inbox.revoke(first.id, "bob")).revoked_by == "bob"
    assert (len(await inbox.standing()), len(await inbox.standing(active=True))) == (2, 1)
    clock.at += 600
    assert await inbox.standing(active=True) == []
    with pytest.raises(UsageError, match="no standing approval"):
        await inbox.revoke("nothing", "bob")
    await inbox.put_person("ann")
    with pytest.raises(AnswerRefused, match="nobody knows eve"):
        await inbox.revoke(first.id, "eve")
