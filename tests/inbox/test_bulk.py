"""One word for many questions, said twice, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from holdfast.core import events as e
from holdfast.core.thinking import Question
from holdfast.errors import AnswerRefused, UsageError
from holdfast.inbox import Bulk, Inbox
from holdfast.journal.base import Batch, Message
from holdfast.journal.sqlite import SqliteJournal
from tests.core.story import T0
from tests.inbox.kept import Kept, Still, paying

RUNS = 4


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    """A store of one test."""
    store = SqliteJournal(tmp_path / "runs.db")
    await store.open()
    yield store
    await store.close()


async def filled(journal: SqliteJournal, count: int = RUNS) -> list[Kept]:
    """Runs that ask for 1, 2, 3 …"""
    return [await Kept(journal, paying(f"r{number}", amount=number)).begin() for number in range(1, count + 1)]


async def test_the_first_time_it_is_said_what_would_be_decided_and_nothing_is(journal: SqliteJournal) -> None:
    """How many, of which rules and tools, and how much it is about."""
    await filled(journal)
    inbox = Inbox(journal, Still())
    bulk = await inbox.decide_many("approve", "ann", tool="pay", amount_max=3)
    assert (bulk.count, bulk.rules, bulk.tools, bulk.amount, bulk.carried_out) == (3, {"pays": 3}, {"pay": 3}, 6.0, False)
    assert [await journal.messages(f"r{number}") for number in (1, 2, 3)] == [[], [], []]


async def test_the_second_time_it_is_carried_out_and_each_answer_says_that_it_was_one_of_many(journal: SqliteJournal) -> None:
    """With the word of the first time."""
    runs = await filled(journal)
    inbox = Inbox(journal, Still())
    first = await inbox.decide_many("reject", "ann", note="no budget")
    done = await inbox.decide_many("reject", "ann", note="no budget", confirm=first.confirm)
    assert (done.carried_out, done.done, done.failed, done.confirm) == (True, RUNS, (), "")
    for run in runs:
        (answered,) = await run.take()
        assert isinstance(answered, e.Answered)
        assert (answered.decision, answered.bulk, answered.note) == ("reject", True, "no budget")
    assert await inbox.count() == 0


async def test_nothing_is_decided_where_the_inbox_has_changed_since(journal: SqliteJournal) -> None:
    """One more, one less, another word, another person, or no word at all."""
    runs = await filled(journal)
    inbox = Inbox(journal, Still())
    bulk = await inbox.decide_many("approve", "ann")
    for decision, by, confirm in (
        ("reject", "ann", bulk.confirm), ("approve", "bob", bulk.confirm), ("approve", "ann", ""), ("approve", "ann", "4-0"),
    ):  # fmt: skip
        with pytest.raises(AnswerRefused, match="the inbox changed since"):
            await inbox.decide_many(decision, by, confirm=confirm)
    await Kept(journal, paying("late")).begin()
    with pytest.raises(AnswerRefused, match="5 instead of 4"):
        await inbox.decide_many("approve", "ann", confirm=bulk.confirm)
    await inbox.decide("late", "reject", "ann")
    await inbox.decide("r1", "reject", "ann")
    await runs[0].take()
    assert await journal.messages("r2") == []


async def test_the_same_number_of_other_questions_is_not_the_same(journal: SqliteJournal) -> None:
    """What was confirmed are these questions, as they were shown."""
    runs = await filled(journal)
    inbox = Inbox(journal, Still())
    bulk = await inbox.decide_many("approve", "ann")
    await inbox.decide("r1", "reject", "ann")
    await runs[0].take()
    await Kept(journal, paying("other")).begin()
    with pytest.raises(AnswerRefused, match="4 questions, and not the same"):
        await inbox.decide_many("approve", "ann", confirm=bulk.confirm)


async def test_what_the_word_does_not_decide_is_named_with_the_reason(journal: SqliteJournal) -> None:
    """What needs an answer of its own, what is for others, what others have in hand, what has expired."""
    clock = Still()
    inbox = Inbox(journal, clock)
    await inbox.put_person("ann", ["clerk"])
    await inbox.put_person("bob", ["chief"])
    await Kept(journal, paying("mine")).begin()
    await Kept(journal, paying("chiefs", who=("chief",))).begin()
    await Kept(journal, paying("held")).begin()
    await inbox.claim("held", "a-1", "bob")
    asking = paying("asking")
    asking.tell(
        e.Asked(
            interrupt="q-9",
            kind="question",
            about="question",
            question="where?",
            digest="d",
            expires_at=T0 + 100,
            options=(e.Option(decision="respond", means="this is the answer"),),
            asks=Question(name="where", text="where?"),
        )
    )
    await Kept(journal, asking).begin()
    bulk = await inbox.decide_many("approve", "ann")
    assert why_left(bulk) == {
        "chiefs a-1": "ann may not decide it; it is for chief",
        "held a-1": "bob has it in hand until 1970-01-12T14:01:40.000Z",
        "asking q-9": "it takes respond: answer it by itself",
    }
    assert bulk.count == 2
    clock.at += 1e6
    assert set(why_left(await inbox.decide_many("approve", "bob")).values()) <= {
        "it has expired", "it takes respond: answer it by itself",
    }  # fmt: skip


def why_left(bulk: Bulk) -> dict[str, str]:
    """By run and interrupt."""
    return {f"{one.run_id} {one.interrupt}": one.why for one in bulk.left_out}


async def test_what_is_answered_and_not_taken_yet_is_not_decided_again(journal: SqliteJournal) -> None:
    """It is none of those that a word would decide, also where it is looked at; who answered is said."""
    await filled(journal)
    await Kept(journal, paying("two", people=2)).begin()
    inbox = Inbox(journal, Still())
    before = await inbox.decide_many("approve", "ann")
    await inbox.decide("r2", "reject", "bob")
    await inbox.decide("two", "approve", "ann")
    with pytest.raises(AnswerRefused, match="3 instead of 5"):
        await inbox.decide_many("approve", "ann", confirm=before.confirm)
    bulk = await inbox.decide_many("approve", "ann", answered=None)
    assert (bulk.count, bulk.rules) == (3, {"pays": 3})
    assert why_left(bulk) == {"r2 a-1": "bob answered it; a worker takes it", "two a-1": "ann answered it; a worker takes it"}
    assert (await inbox.decide_many("approve", "bob")).count == 4
    bulk = await inbox.decide_many("approve", "cy", answered=True)
    assert (bulk.count, why_left(bulk)) == (0, {"r2 a-1": "bob answered it; a worker takes it"})


async def test_one_that_cannot_be_decided_does_not_hold_up_the_others(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Somebody was faster with one of them, at that very moment."""
    await filled(journal)
    inbox = Inbox(journal, Still())
    bulk = await inbox.decide_many("approve", "ann")
    send = journal.send

    async def second(run_id: str, message: Message) -> int:
        if run_id == "r2" and message.body["by"] == "ann":
            await inbox.decide("r2", "reject", "bob")
        return await send(run_id, message)

    monkeypatch.setattr(journal, "send", second)
    done = await inbox.decide_many("approve", "ann", confirm=bulk.confirm)
    assert (done.count, done.done) == (4, 3)
    (failed,) = done.failed
    assert (failed.run_id, failed.why) == ("r2", "a-1 was answered already: reject by bob")


async def test_what_is_not_what_the_list_showed_is_not_decided(journal: SqliteJournal) -> None:
    """The word was given for that; the run asks something else under the same name."""
    run, _ = await filled(journal, 2)
    inbox = Inbox(journal, Still())
    shown = msgspec.structs.replace((await inbox.list(run_id="r1"))[0], digest="of something else")
    await journal.append(Batch(run_id="r1", fence=1, head=run.head, at=T0, events=(), opened=(shown,)))
    bulk = await inbox.decide_many("approve", "ann")
    done = await inbox.decide_many("approve", "ann", confirm=bulk.confirm)
    assert [(one.run_id, one.why) for one in done.failed] == [("r1", "a-1: what was shown has changed since")]
    assert done.done == 1


async def test_what_is_beyond_the_limit_is_counted(journal: SqliteJournal) -> None:
    """It is not decided, and it is not hidden."""
    await filled(journal)
    inbox = Inbox(journal, Still())
    bulk = await inbox.decide_many("approve", "ann", limit=3)
    assert (bulk.count, bulk.more) == (3, 1)
    assert (await inbox.decide_many("approve", "ann", limit=3, confirm=bulk.confirm)).done == 3


@pytest.mark.parametrize("decision", ["edit", "respond", "yes", ""])
async def test_only_words_that_need_no_value_are_said_to_many(journal: SqliteJournal, decision: str) -> None:
    """The rest is answered one by one."""
    with pytest.raises(UsageError, match="cannot be said to many"):
        await Inbox(journal, Still()).decide_many(decision, "ann")
    with pytest.raises(UsageError, match="the limit is"):
        await Inbox(journal, Still()).decide_many("approve", "ann", limit=0)
