"""Who the people are, what they are told, and words that are said twice."""

from __future__ import annotations

import asyncio
from typing import Any

from holdfast.core import events as e
from holdfast.errors import AnswerRefused, RunNotFound, Superseded
from holdfast.journal.base import Full, Head, Journal, Message
from holdfast.journal.people import Notice, OpenInterrupt, Person, Sent
from holdfast.testing.journal_suite.kit import AGENT, T0, Store, appended, batch, done, held, parked, refused, slot

HOUR = 3600.0
DAY = 86_400.0
# How long a worker has a notice to itself here.
SENDING = 30.0


def notice(number: int, run_id: str = "r", **of: Any) -> Notice:
    """Something to be told."""
    values = {"what": "asked", "at": T0 + number, "agent": AGENT, "body": {"question": "may it? — ünïcode 'quoted'"}}
    return Notice(id=f"n-{number}", run_id=run_id, **{**values, **of})


def question(interrupt: str, run_id: str = "r") -> OpenInterrupt:
    """Something that is open."""
    return OpenInterrupt(
        run_id=run_id, interrupt=interrupt, kind="approval", about="call", agent=AGENT, question="may it?", digest="d",
        asked_at=T0, expires_at=T0 + 9 * DAY,
    )  # fmt: skip


async def told(journal: Journal, *notices: Notice, run_id: str = "r") -> None:
    """A run that leaves these."""
    claim, head = await held(journal, run_id)
    await appended(journal, batch(claim, head, done("a"), notices=notices))


async def claimed(journal: Journal, now: float, channel: str = "mail", limit: int = 100) -> list[tuple[str, int]]:
    """What a channel is to send now, and for the how many-th time."""
    found = await journal.claim_notices(channel, now, SENDING, limit)
    assert {sending.channel for sending in found} <= {channel}
    return [(sending.notice.id, sending.tries) for sending in found]


class NoticeChecks:
    """Who the people are, what they are told, and words that are said twice."""

    # --- the people ---------------------------------------------------------------------------------------------------

    async def test_people_are_found_as_they_were_written(self, store: Store) -> None:
        """By name, whatever is in it; the last one of a name holds."""
        journal = await store.journal()
        assert await journal.people() == []
        wanted = [
            Person(
                name='O\'Brien "the" boss; drop table people', roles=("b", "a", "a"), mail="ob@example.org", tenants=("", "t'1")
            ),
            Person(name="ann"),
            Person(name="ann\n", roles=("[]", "ünï")),
            Person(name="Ζωή 🙂", roles=("lead",), mail="ζ@example.org"),
        ]
        for person in reversed(wanted):
            await journal.put_person(person)
        other = await store.journal()
        assert await other.people() == sorted(wanted, key=lambda person: person.name)
        await other.put_person(Person(name="ann", roles=("lead",)))
        assert [person.roles for person in await journal.people() if person.name == "ann"] == [("lead",)]

    async def test_somebody_is_forgotten_by_the_very_name(self, store: Store) -> None:
        """And it is said whether they were there."""
        journal = await store.journal()
        for name in ("ann", "Ann", "ann "):
            await journal.put_person(Person(name=name))
        assert await (await store.journal()).remove_person("ann")
        assert not await journal.remove_person("ann")
        assert not await journal.remove_person("%")
        assert [person.name for person in await journal.people()] == ["Ann", "ann "]

    # --- notices ------------------------------------------------------------------------------------------------------

    async def test_a_notice_is_there_with_the_commit_of_its_batch(self, store: Store) -> None:
        """Whole, for all processes; with a batch that is superseded or finds no place it is not."""
        journal = await store.journal()
        wanted = notice(1, tenant="t", interrupt="i-1", who=("lead", "ann"), what="escalated")
        claim, head = await held(journal, "r")
        await refused(Superseded, journal.append(batch(claim, Head(9, b"x"), done("a"), notices=(wanted,))))
        other, other_head = await held(journal, "s")
        await appended(journal, batch(other, other_head, done("a"), slots=(slot("a", 1),)))
        full = await journal.append(batch(claim, head, done("a"), slots=(slot("a", 1),), notices=(wanted,)))
        assert isinstance(full, Full)
        assert await journal.notices() == []
        assert await claimed(journal, T0 + 9) == []
        await appended(journal, batch(claim, head, done("a"), notices=(wanted,)))
        assert await (await store.journal()).notices() == [Sent(notice=wanted, channel="", tries=0)]
        (sending,) = await (await store.journal()).claim_notices("mail", T0 + 9, SENDING, 9)
        assert (sending.notice, sending.channel, sending.tries) == (wanted, "mail", 1)

    async def test_a_batch_of_notices_alone_is_written(self, store: Store) -> None:
        """The head stays where it is."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        assert await appended(journal, batch(claim, head, notices=(notice(1),))) == head
        assert await claimed(journal, T0) == [("n-1", 1)]

    async def test_a_notice_with_an_id_that_is_known_is_not_told_again(self, store: Store) -> None:
        """Neither in the same batch nor in a later one, nor of another run; the first one stays."""
        journal = await store.journal()
        await told(journal, notice(1), notice(1, what="failed"))
        assert await claimed(journal, T0 + 9) == [("n-1", 1)]
        await journal.settle_notice("n-1", "mail", sent_at=T0 + 10)
        await told(journal, notice(1, "s", what="failed"), notice(2, "s"), run_id="s")
        assert await claimed(journal, T0 + 99) == [("n-2", 1)]
        assert [sent.notice.what for sent in await journal.notices("r")] == ["asked"]

    async def test_notices_are_claimed_in_the_order_in_which_they_came(self, store: Store) -> None:
        """As many as are wanted; those that are tried again before those that are new."""
        journal = await store.journal()
        await told(journal, *(notice(number) for number in range(5)))
        assert await claimed(journal, T0 + 9, limit=0) == []
        assert await claimed(journal, T0 + 9, limit=2) == [("n-0", 1), ("n-1", 1)]
        await journal.settle_notice("n-1", "mail", next_at=T0 + 10)
        await journal.settle_notice("n-0", "mail", next_at=T0 + 11)
        assert await claimed(journal, T0 + 12, limit=3) == [("n-0", 2), ("n-1", 2), ("n-2", 1)]
        assert await claimed(journal, T0 + 12, limit=3) == [("n-3", 1), ("n-4", 1)]
        assert await claimed(journal, T0 + 12, limit=3) == []

    async def test_channels_know_nothing_of_one_another(self, store: Store) -> None:
        """Each sends every notice; also one that comes later."""
        journal = await store.journal()
        await told(journal, notice(1))
        assert await claimed(journal, T0 + 9, "mail") == [("n-1", 1)]
        await journal.settle_notice("n-1", "mail", sent_at=T0 + 10)
        await journal.settle_notice("n-1", "hook", sent_at=T0 + 10)  # It did not claim it.
        assert await claimed(journal, T0 + 11, "hook") == [("n-1", 1)]
        assert await claimed(journal, T0 + 12, "mail'; --") == [("n-1", 1)]
        await journal.settle_notice("n-1", "hook", next_at=T0 + 20, error="no route")
        assert [(s.channel, s.tries, s.sent_at, s.next_at, s.error) for s in await journal.notices()] == [
            ("hook", 1, None, T0 + 20, "no route"),
            ("mail", 1, T0 + 10, None, ""),
            ("mail'; --", 1, None, T0 + 12 + SENDING, ""),
        ]

    async def test_of_many_workers_one_is_given_a_notice(self, store: Store) -> None:
        """Whichever process they are in."""
        journal = await store.journal()
        await told(journal, *(notice(number) for number in range(20)))
        handles = [await store.journal() for _ in range(4)]
        found = await asyncio.gather(*(claimed(handle, T0 + 50, limit=3) for handle in handles for _ in range(3)))
        ids = [identifier for several in found for identifier, _ in several]
        assert sorted(ids) == sorted({f"n-{number}" for number in range(20)})

    async def test_a_notice_whose_lease_ran_out_is_claimed_again(self, store: Store) -> None:
        """From that very moment on; whoever had it may still say that it was sent, and that stays."""
        journal = await store.journal()
        await told(journal, notice(1))
        assert await claimed(journal, T0 + 1) == [("n-1", 1)]
        assert await claimed(journal, T0 + SENDING) == []
        other = await store.journal()
        assert await claimed(other, T0 + 1 + SENDING) == [("n-1", 2)]
        await journal.settle_notice("n-1", "mail", sent_at=T0 + 40)
        await other.settle_notice("n-1", "mail", sent_at=T0 + 41)
        await other.settle_notice("n-1", "mail", next_at=T0 + 42, error="too slow")
        await other.settle_notice("n-1", "mail", error="given up")
        assert await claimed(journal, T0 + HOUR) == []
        (sent,) = await journal.notices("r")
        assert (sent.tries, sent.sent_at, sent.next_at, sent.error) == (2, T0 + 40, None, "")

    async def test_a_notice_is_tried_again_at_its_time(self, store: Store) -> None:
        """Not before, also where the lease is over earlier; and each time is counted."""
        journal = await store.journal()
        await told(journal, notice(1))
        assert await claimed(journal, T0 + 1) == [("n-1", 1)]
        await journal.settle_notice("n-1", "mail", next_at=T0 + 500, error="refused: 421")
        (sent,) = await journal.notices()
        assert (sent.tries, sent.sent_at, sent.next_at, sent.error) == (1, None, T0 + 500, "refused: 421")
        assert await claimed(journal, T0 + 499) == []
        assert await claimed(journal, T0 + 500) == [("n-1", 2)]
        await journal.settle_notice("n-1", "mail", sent_at=T0 + 501, next_at=T0 + 502)
        assert await claimed(journal, T0 + 502) == []
        (sent,) = await journal.notices()
        assert (sent.tries, sent.sent_at, sent.next_at, sent.error) == (2, T0 + 501, None, "")

    async def test_a_notice_that_was_given_up_is_not_claimed_again(self, store: Store) -> None:
        """It is listed with why; a late word that it was sent is believed."""
        journal = await store.journal()
        await told(journal, notice(1))
        await claimed(journal, T0 + 1)
        await journal.settle_notice("n-1", "mail", error="no such address")
        assert await claimed(journal, T0 + 2 * HOUR) == []
        (sent,) = await journal.notices()
        assert (sent.tries, sent.sent_at, sent.next_at, sent.error) == (1, None, None, "no such address")
        await journal.settle_notice("n-1", "mail", sent_at=T0 + 5)
        assert [one.sent_at for one in await journal.notices()] == [T0 + 5]

    async def test_nothing_becomes_of_a_notice_that_is_not_there(self, store: Store) -> None:
        """Who says so is told nothing."""
        journal = await store.journal()
        await journal.settle_notice("n-1", "mail", sent_at=T0)
        await told(journal, notice(1))
        assert await claimed(journal, T0 + 1) == [("n-1", 1)]

    async def test_a_time_that_a_wrong_clock_wrote_counts_as_due(self, store: Store) -> None:
        """One that is more than a day and a half ahead: neither a time to try again nor a lease is as long as that."""
        journal = await store.journal()
        await told(journal, notice(1, at=T0 + 9 * DAY), notice(2))
        assert await claimed(journal, T0 + DAY / 2) == [("n-1", 1), ("n-2", 1)]
        await journal.settle_notice("n-1", "mail", next_at=T0 + 9 * DAY)
        await journal.settle_notice("n-2", "mail", next_at=T0 + 2 * DAY)
        assert await claimed(journal, T0 + DAY / 2) == [("n-1", 2)]
        assert await claimed(journal, T0 + DAY / 2 - 1) == [("n-2", 2)]

    async def test_a_notice_that_is_a_day_old_is_not_sent_any_more(self, store: Store) -> None:
        """Not for the first time and not again; up to then it is. Others that come later are."""
        journal = await store.journal()
        await told(journal, notice(0), notice(1), notice(2))
        assert await claimed(journal, T0 + HOUR, limit=2) == [("n-0", 1), ("n-1", 1)]
        await journal.settle_notice("n-1", "mail", next_at=T0 + 2 * HOUR, error="no route")
        assert await claimed(journal, T0 + DAY + 1) == [("n-1", 2), ("n-2", 1)], "n-0 is a second older than a day"
        assert await claimed(journal, T0 + DAY + 1 + SENDING, "hook") == []
        assert await claimed(journal, T0 + DAY + 1 + SENDING) == []
        await told(journal, notice(9, "s", at=T0 + DAY), run_id="s")
        assert await claimed(journal, T0 + DAY + 2 + SENDING) == [("n-9", 1)]
        left = {(sent.notice.id, sent.channel): sent for sent in await journal.notices()}
        assert [left[f"n-{number}", "mail"].sent_at for number in range(3)] == [None, None, None]
        assert [left[f"n-{number}", "mail"].next_at for number in range(3)] == [None, None, None]
        assert left["n-0", "mail"].error
        assert left["n-1", "mail"].error == "no route"

    async def test_a_notice_of_what_is_still_open_is_sent_however_old_it_is(self, store: Store) -> None:
        """By the run and the interrupt that it is about, for the first time and again, until that is closed."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        notices = notice(1, interrupt="i-1"), notice(2, interrupt="i-2"), notice(3, "s", interrupt="i-1"), notice(4)
        opened = question("i-1"), question("i-2")
        head = await appended(journal, batch(claim, head, done("a"), notices=notices, opened=opened))
        later = T0 + 3 * DAY
        assert await claimed(journal, later) == [("n-1", 1), ("n-2", 1)]
        await journal.settle_notice("n-1", "mail", next_at=later + HOUR, error="no route")
        await journal.settle_notice("n-2", "mail", next_at=later + HOUR)
        await appended(journal, batch(claim, head, done("b"), closed=("i-1",)))
        assert await claimed(journal, later + HOUR) == [("n-2", 2)]
        assert await claimed(journal, later + HOUR, "hook") == [("n-2", 1)]

    async def test_notices_are_listed_the_latest_first(self, store: Store) -> None:
        """Of one run or of all, and no more than wanted."""
        journal = await store.journal()
        await told(journal, notice(2), notice(1), notice(3, at=T0 + 1))
        await told(journal, notice(4, "s", at=T0), run_id="s")
        other = await store.journal()
        assert [sent.notice.id for sent in await other.notices()] == ["n-2", "n-3", "n-1", "n-4"]
        assert [sent.notice.id for sent in await other.notices("r", limit=2)] == ["n-2", "n-3"]
        assert [sent.notice.id for sent in await other.notices("s")] == ["n-4"]
        assert await other.notices("nothing") == []

    async def test_notices_are_kept_for_ninety_days(self, store: Store) -> None:
        """Older ones go when new ones come, with what became of them; a channel misses none of the new ones."""
        journal = await store.journal()
        await told(journal, *(notice(number) for number in range(150)))
        assert len(await claimed(journal, T0 + HOUR, limit=1000)) == 150
        for number in range(100):
            await journal.settle_notice(f"n-{number}", "mail", sent_at=T0 + HOUR)
        later = T0 + 91 * DAY
        await told(journal, *(notice(number, "s", at=later) for number in range(200, 320)), run_id="s")
        listed = await journal.notices()
        assert {sent.notice.run_id for sent in listed} == {"s"}
        assert len(listed) == 120
        assert len(await claimed(journal, later, limit=1000)) == 120

    async def test_what_no_run_says_is_told_as_well(self, store: Store) -> None:
        """Beside what commits carry, once by its id."""
        journal = await store.journal()
        await told(journal, notice(1))
        await journal.tell([notice(1), notice(2, run_id="", what="found"), notice(2, run_id="other")])
        await journal.tell(iter([notice(2)]))
        assert await claimed(journal, T0 + 5) == [("n-1", 1), ("n-2", 1)]
        assert [sent.notice.run_id for sent in await journal.notices("")] == [""]

    # --- words that are said twice ------------------------------------------------------------------------------------

    async def test_a_word_that_is_said_again_in_the_same_way_is_one(self, store: Store) -> None:
        """Whoever sends it and whenever, also when it was taken; its number is that of the first."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        body = {"by": "ann", "text": "mind the gap", "more": [1, {"deep": None, "yes": True}]}
        word = Message(kind="comment", slot="word:w-1", body=body, at=T0 + 1)
        again = Message(kind="comment", slot="word:w-1", body=dict(reversed(body.items())), at=T0 + 5)
        first = await journal.send("r", word)
        assert await (await store.journal()).send("r", again) == first
        assert [(message.id, message.at) for message in await journal.messages("r")] == [(first, T0 + 1)]
        await appended(journal, batch(claim, head, done("a"), taken=(first,), release=parked("blocked")))
        assert await journal.send("r", again) == first
        assert await journal.messages("r") == []
        assert await journal.claim_due("bob", [AGENT], T0 + 99, 10.0, 9) == [], "it heard that"

    async def test_of_many_who_say_the_same_word_at_once_all_are_told_its_number(self, store: Store) -> None:
        """Whichever process they are in."""
        journal = await store.journal()
        await held(journal, "r")
        word = Message(kind="pause", slot="word:w-1", body={"by": "ann"}, at=T0)
        handles = [await store.journal() for _ in range(4)]
        found = await asyncio.gather(*(handle.send("r", word) for handle in handles))
        assert found == [message.id for message in await journal.messages("r")] * 4

    async def test_the_id_of_a_word_that_says_something_else_is_refused(self, store: Store) -> None:
        """With the id and who used it: another body (true is not 1), or another kind. Other ids and other runs are free."""
        journal = await store.journal()
        await held(journal, "r")
        await held(journal, "s")
        first = Message(kind="comment", slot="word:w-1", body={"by": "ann", "text": 1}, at=T0)
        await journal.send("r", first)
        for kind, text in (("comment", 2), ("comment", True), ("comment", "1"), ("instruct", 1)):
            other = Message(kind=kind, slot="word:w-1", body={"by": "ann", "text": text}, at=T0)  # type: ignore[arg-type]
            refusal = await refused(AnswerRefused, journal.send("r", other))
            assert "'w-1' was used for something else: comment by ann" in str(refusal)
            assert refusal.hint
        await refused(AnswerRefused, journal.send("r", Message(kind="comment", slot="word:w-1", body={"text": 1}, at=T0)))
        await journal.send("r", Message(kind="comment", slot="word:w-2", body={"text": 2}, at=T0))
        await journal.send("s", Message(kind="comment", slot="word:w-1", body={"text": 2}, at=T0))
        assert len(await journal.messages("r")) == 2

    async def test_a_word_that_is_said_again_after_the_run_has_ended_is_still_the_first(self, store: Store) -> None:
        """It is not refused, for it was heard; another one is, and a run that is not there hears none."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        word = Message(kind="cancel", slot="cancel", body={"by": "ann", "decision": "cancel"}, at=T0)
        first = await journal.send("r", word)
        await appended(journal, batch(claim, head, e.RunCancelled(by="ann"), taken=(first,), release=parked("cancelled")))
        assert await journal.send("r", word) == first
        other = Message(kind="cancel", slot="cancel", body={"by": "bob", "decision": "cancel"}, at=T0)
        assert "ended" in str(await refused(AnswerRefused, journal.send("r", other)))
        await refused(RunNotFound, journal.send("nothing", word))
        row = await journal.row("r")
        assert row is not None
        assert (row.status, row.due_at) == ("cancelled", None)

    async def test_an_answer_that_is_given_again_is_refused(self, store: Store) -> None:
        """Also in the very same words: an answer is used once, and whoever gives it is told who was first."""
        journal = await store.journal()
        await held(journal, "r")
        answer = Message(kind="answer", slot="i-1", body={"decision": "approve", "by": "ann"}, at=T0)
        await journal.send("r", answer)
        assert "approve by ann" in str(await refused(AnswerRefused, journal.send("r", answer)))

    async def test_words_without_an_id_are_as_many_as_are_said(self, store: Store) -> None:
        """The same comment may be made twice."""
        journal = await store.journal()
        await held(journal, "r")
        word = Message(kind="comment", body={"by": "ann", "text": "hm"}, at=T0)
        assert await journal.send("r", word) != await journal.send("r", word)
        assert len(await journal.messages("r")) == 2
