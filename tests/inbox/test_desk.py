"""The inbox of a store, on a real file: looking, taking in hand, deciding, and who is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.core import events as e
from holdfast.core.ladder import Ladder, Rung
from holdfast.errors import AnswerRefused, RunNotFound, UsageError
from holdfast.inbox import Inbox
from holdfast.inbox.desk import CLAIM_SECONDS_MAX
from holdfast.journal.sqlite import SqliteJournal
from tests.core.story import T0, Story
from tests.inbox.kept import Kept, Still, paying


class Office:
    """A store, its inbox, and a clock that stands still."""

    def __init__(self, journal: SqliteJournal):
        self.journal = journal
        self.clock = Still()
        self.inbox = Inbox(journal, self.clock)

    async def keep(self, *stories: Story) -> list[Kept]:
        """Runs in the store."""
        return [await Kept(self.journal, story).begin() for story in stories]

    async def staff(self) -> None:
        """Ann is a clerk, Bob her chief, and Cy is a clerk of one tenant only."""
        await self.inbox.put_person("ann", ["clerk"])
        await self.inbox.put_person("bob", ["chief", "clerk"])
        await self.inbox.put_person("cy", ["clerk"], tenants=["acme"])


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A store of one test."""
    journal = SqliteJournal(tmp_path / "runs.db")
    await journal.open()
    yield Office(journal)
    await journal.close()


# --- list -------------------------------------------------------------------------------------------------------------


async def test_what_is_open_is_listed_by_what_is_wanted_of_it(office: Office) -> None:
    """All fields of the filter are keywords; what is answered is not listed."""
    small, _ = await office.keep(paying("r1", amount=5), paying("r2", amount=500, tenant="acme"))
    assert [row.run_id for row in await office.inbox.list(order="amount")] == ["r2", "r1"]
    assert [row.run_id for row in await office.inbox.list(amount_max=100)] == ["r1"]
    assert [row.run_id for row in await office.inbox.list(tenant="acme", tool="pay", rule="pays", kind="approval")] == ["r2"]
    assert (await office.inbox.count(), await office.inbox.count(tool="t"), await office.inbox.count(limit=1)) == (2, 0, 2)
    await office.inbox.decide("r1", "reject", "ann")
    await small.take()
    assert [row.run_id for row in await office.inbox.list()] == ["r2"]


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"colour": "red"}, "no filter 'colour'"),
        ({"order": "size"}, "cannot be filtered so"),
        ({"limit": 0}, "the limit is 0"),
        ({"amount_min": "much"}, "cannot be filtered so"),
        ({"by": "ann", "who": "clerk"}, "whose inbox it is"),
    ],
)
async def test_a_filter_that_there_is_not_is_refused(office: Office, filters: dict[str, Any], why: str) -> None:
    """Or a slip of the pen would show everything."""
    with pytest.raises(UsageError, match=why):
        await office.inbox.list(**filters)


async def test_the_inbox_of_a_person_has_only_what_they_may_decide(office: Office) -> None:
    """By role, by tenant, and nothing that they approved already; a stranger has none."""
    await office.staff()
    kept = await office.keep(
        paying("for-chiefs", who=("chief",)), paying("for-all"), paying("for-two", people=2), paying("of-acme", tenant="acme"),
        paying("for-cy", who=("cy",), tenant="other"),
    )  # fmt: skip

    async def seen_by(name: str) -> set[str]:
        rows = await office.inbox.list(by=name)
        assert len(rows) == await office.inbox.count(by=name)
        return {row.run_id for row in rows}

    assert await seen_by("ann") == {"for-all", "for-two", "of-acme"}
    assert await seen_by("bob") == {"for-chiefs", "for-all", "for-two", "of-acme"}
    assert await seen_by("cy") == {"of-acme"}
    assert await seen_by("eve") == set()
    await office.inbox.decide("for-two", "approve", "ann")
    await kept[2].take()
    assert await seen_by("ann") == {"for-all", "of-acme"}
    assert "for-two" in await seen_by("bob")


async def test_the_pages_of_a_person_with_several_tenants_have_no_holes(office: Office) -> None:
    """What is not theirs takes no place on a page, and the next one goes on where it ended."""
    await office.inbox.put_person("dee", tenants=["a", "c"])
    await office.keep(*(paying(f"r{number:02}", tenant="abc"[number % 3]) for number in range(12)))
    first = await office.inbox.list(by="dee", limit=3)
    last = first[-1]
    rest = await office.inbox.list(by="dee", limit=30, after=(last.run_id, last.interrupt))
    assert [row.run_id for row in (*first, *rest)] == ["r00", "r02", "r03", "r05", "r06", "r08", "r09", "r11"]
    assert (len(first), await office.inbox.count(by="dee")) == (3, 8)
    assert await office.inbox.count(by="dee", tenant="b") == 0


# --- show -------------------------------------------------------------------------------------------------------------


async def test_who_is_shown_something_has_seen_it(office: Office) -> None:
    """The first time counts, and goes with what they decide."""
    (kept,) = await office.keep(paying())
    await office.inbox.show("r1", by="ann")
    office.clock.at += 9
    await office.inbox.show("r1", by="ann")
    await office.inbox.show("r1")
    await office.inbox.decide("r1", "approve", "ann")
    (answered,) = await kept.take()
    assert isinstance(answered, e.Answered)
    assert (answered.seen_at, answered.said_at) == (T0, T0 + 9)


async def test_what_is_shown_is_whole_and_can_be_printed(office: Office) -> None:
    """Who has it in hand is there too, as long as they have; and what was remarked."""
    (kept,) = await office.keep(
        paying(who=("bob", "ann"), ladder=Ladder(rungs=(Rung(seconds=60), Rung(who=("chief",), seconds=60))))
    )
    await office.inbox.claim("r1", "a-1", "bob", 5)
    assert await office.inbox.comment("r1", "who is x?", "cy") == "a-1"
    await kept.take()
    shown = await office.inbox.show("r1")
    assert (shown.tool, shown.args, shown.who, shown.claimed_by) == ("pay", {"to": "x", "amount": 5}, ("bob", "ann"), "bob")
    assert [(remark.by, remark.text) for remark in shown.comments] == [("cy", "who is x?")]
    assert shown.at_deadline.startswith("at 1970-01-12T13:47:40.000Z it goes on to chief; if nobody decides by ")
    printed = msgspec.json.decode(msgspec.json.encode(shown))
    assert printed["ruling"]["rule"] == "pays"
    office.clock.at += 6
    assert (await office.inbox.show("r1")).claimed_by == ""
    assert (await office.inbox.list())[0].comments == 1


async def test_what_is_not_open_cannot_be_shown(office: Office) -> None:
    """It says what became of it; a run that is not there is told as such."""
    (kept,) = await office.keep(paying())
    await office.inbox.decide("r1", "reject", "ann")
    await kept.take()
    with pytest.raises(AnswerRefused, match="a-1 was answered already: reject by ann"):
        await office.inbox.show("r1", "a-1")
    with pytest.raises(RunNotFound):
        await office.inbox.show("nobody")


# --- in hand ----------------------------------------------------------------------------------------------------------


async def test_what_somebody_has_in_hand_nobody_else_decides(office: Office) -> None:
    """Unless they insist; it says who has it and until when. Afterwards it is free again."""
    (kept,) = await office.keep(paying())
    await office.inbox.claim("r1", "a-1", "ann", 900)
    for refused in (office.inbox.claim("r1", "a-1", "bob"), office.inbox.release("r1", "a-1", "bob")):
        with pytest.raises(AnswerRefused, match=r"a-1: ann has it in hand until 1970-01-12T14:01:40.000Z"):
            await refused
    with pytest.raises(AnswerRefused, match="ann has it in hand"):
        await office.inbox.decide("r1", "approve", "bob")
    assert await office.inbox.decide("r1", "reject", "bob", force=True) == "a-1"
    (answered,) = await kept.take()
    assert isinstance(answered, e.Answered) and answered.by == "bob"


async def test_what_is_given_back_or_held_too_long_is_free(office: Office) -> None:
    """Who has it can prolong it; to give back what is free changes nothing."""
    await office.keep(paying())
    await office.inbox.claim("r1", "a-1", "ann", 10)
    assert (await office.inbox.claim("r1", "a-1", "ann", 20)).claimed_until == T0 + 20
    assert (await office.inbox.release("r1", "a-1", "ann")).claimed_by == ""
    assert (await office.inbox.claim("r1", "a-1", "bob", 10)).claimed_by == "bob"
    office.clock.at += 10
    assert (await office.inbox.release("r1", "a-1", "ann")).claimed_until <= office.clock.at
    assert (await office.inbox.claim("r1", "a-1", "ann", 10)).claimed_by == "ann"


async def test_two_who_reach_for_the_same_question_do_not_both_have_it(office: Office) -> None:
    """One of them is told who was faster."""
    await office.keep(paying())
    tried = await asyncio.gather(*(office.inbox.claim("r1", "a-1", f"p{n}") for n in range(8)), return_exceptions=True)
    assert sum(not isinstance(one, AnswerRefused) for one in tried) == 1


async def test_who_may_not_decide_something_does_not_take_it_in_hand(office: Office) -> None:
    """Or they could keep it from those who may."""
    await office.staff()
    await office.keep(paying(who=("chief",)))
    with pytest.raises(AnswerRefused, match="it is for chief"):
        await office.inbox.claim("r1", "a-1", "ann")
    with pytest.raises(UsageError, match="up to a week"):
        await office.inbox.claim("r1", "a-1", "bob", CLAIM_SECONDS_MAX + 1)
    with pytest.raises(AnswerRefused, match="nothing is open under a-9"):
        await office.inbox.claim("r1", "a-9", "bob")


# --- deciding ---------------------------------------------------------------------------------------------------------


async def test_roles_of_the_directory_say_who_decides(office: Office) -> None:
    """They go with the answer, as they were then."""
    await office.staff()
    (kept,) = await office.keep(paying(who=("chief",)))
    with pytest.raises(AnswerRefused, match="ann may not decide it"):
        await office.inbox.decide("r1", "approve", "ann")
    with pytest.raises(AnswerRefused, match="nobody knows eve"):
        await office.inbox.decide("r1", "approve", "eve")
    await office.inbox.decide("r1", "approve", "bob")
    (answered,) = await kept.take()
    assert isinstance(answered, e.Answered) and answered.roles == ("chief", "clerk")


async def test_the_second_answer_is_refused_with_who_was_first(office: Office) -> None:
    """Before the run took the first one, and after."""
    (kept,) = await office.keep(paying())
    await office.inbox.decide("r1", "approve", "ann")
    for _ in range(2):
        with pytest.raises(AnswerRefused, match="a-1 was answered already: approve by ann"):
            await office.inbox.decide("r1", "reject", "bob", interrupt="a-1")
        await kept.take()


async def test_two_people_at_once_are_both_heard_where_two_are_needed(office: Office) -> None:
    """Each has a slot of their own; the one who comes twice is refused by the store."""
    (kept,) = await office.keep(paying(people=2))
    await asyncio.gather(office.inbox.decide("r1", "approve", "ann"), office.inbox.decide("r1", "approve", "bob"))
    with pytest.raises(AnswerRefused, match="was answered already: approve by ann"):
        await office.inbox.decide("r1", "approve", "ann")
    first, last = await kept.take()
    assert isinstance(first, e.ApprovalGiven) and isinstance(last, e.Answered)
    assert {first.by, last.by} == {"ann", "bob"}


# --- the directory ----------------------------------------------------------------------------------------------------


async def test_people_are_put_and_removed(office: Office) -> None:
    """Whoever has the name is replaced."""
    await office.staff()
    await office.inbox.put_person("ann", ["clerk", "clerk"], mail="ann@example.org")
    people = {person.name: person for person in await office.inbox.people()}
    assert (people["ann"].roles, people["ann"].mail, sorted(people)) == (("clerk",), "ann@example.org", ["ann", "bob", "cy"])
    assert await office.inbox.remove_person("cy")
    assert not await office.inbox.remove_person("cy")


@pytest.mark.parametrize(
    ("name", "roles", "why"),
    [
        ("", [], "no name"),
        (" ann", [], "no name"),
        ("dee", ["a\nb"], "no name"),
        ("chief", [], "chief is a role"),
        ("dee", ["dee"], "dee is a role"),
        ("dee", ["bob"], "bob is a person"),
    ],
)
async def test_a_name_is_no_role(office: Office, name: str, roles: list[str], why: str) -> None:
    """A question names both alike: who were called like a role would decide what is for all of it."""
    await office.staff()
    with pytest.raises(UsageError, match=why):
        await office.inbox.put_person(name, roles)
