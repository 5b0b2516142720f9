"""What people are asked: the lists, who has what in hand and saw it, and what was judged and decided."""

from __future__ import annotations

import asyncio
from typing import Any

from holdfast.core import events as e
from holdfast.errors import Superseded
from holdfast.journal.base import EMPTY, Batch, Claim, Full, Head, Journal, Message, Release
from holdfast.journal.people import Decided, InboxFilter, InboxOrder, Judged, JudgedFilter, OpenInterrupt
from holdfast.testing.journal_suite.kit import AGENT, LEASE, T0, Store, appended, batch, done, held, parked, refused, slot

ORDERS: tuple[InboxOrder, ...] = ("due", "oldest", "amount")
UNTIL = T0 + 1000


def asked(interrupt: str, run_id: str = "r", **of: Any) -> OpenInterrupt:
    """Something that a person is asked."""
    values = {
        "kind": "approval", "about": "call", "agent": AGENT, "question": "May it be paid?", "digest": "d", "asked_at": T0,
        "expires_at": UNTIL, "tool": "pay", "step": "pay_1", "args": {"to": "ann", "amount": 5}, "options": ("approve", "reject"),
    }  # fmt: skip
    return OpenInterrupt(run_id=run_id, interrupt=interrupt, **{**values, **of})


async def opened(journal: Journal, *rows: OpenInterrupt, run_id: str = "r") -> tuple[Claim, Head]:
    """A run that is held and has these open, and where it ends."""
    claim, head = await held(journal, run_id)
    return claim, await appended(journal, batch(claim, head, done("a"), opened=rows))


def judged(entry: int, run_id: str = "r", **of: Any) -> Judged:
    """A ruling."""
    values = {"at": T0 + entry, "agent": AGENT, "rule": "large", "verdict": "always", "asked": True}
    return Judged(run_id=run_id, entry=entry, **{**values, **of})


def answer(interrupt: str, by: str, people: int = 1) -> Message:
    """Somebody's yes, which waits until the run takes it."""
    body = {"interrupt": interrupt, "digest": "d", "decision": "approve", "by": by, "value": None, "note": ""}
    return Message(kind="answer", slot=interrupt if people == 1 else f"{interrupt}:{by}", body=body, at=T0 + 1)


async def _counts(journal: Journal) -> tuple[int, ...]:
    """How many want an answer, how many wait for a worker, and how many there are; the lists say the same."""
    wanted = [InboxFilter(answered=answered) for answered in (False, True, None)]
    counts = tuple([await journal.inbox_count(one, T0) for one in wanted])
    assert counts == tuple([len(await journal.inbox(one, T0)) for one in wanted])
    return counts


async def _ids(journal: Journal, now: float = T0 + 1, **wanted: Any) -> list[str]:
    return [row.interrupt for row in await journal.inbox(InboxFilter(**wanted), now)]


class InboxChecks:
    """What people are asked."""

    # --- what is open -------------------------------------------------------------------------------------------------

    async def test_what_is_opened_is_listed_with_all_that_is_known_of_it(self, store: Store) -> None:
        """Also by another process; who has it in hand and how many comments it has is not the run's to say."""
        journal = await store.journal()
        full = asked(
            "q-1", tenant="acme", priority=2, rule="large", policy="money@3", amount=12.5, who=("boss", "ann"), not_by=("eve",),
            people=2, approvals=("bob",), rung=1, due_at=T0 + 60, contract="c", standing=True, args={"a": {"b": [1, None]}},
        )  # fmt: skip
        claim, head = await opened(journal, full)
        other = await store.journal()
        assert await other.inbox(InboxFilter(), T0 + 1) == [full]
        assert await other.open_interrupt("r", "q-1") == full
        assert await other.open_interrupt("r", "q-2") is None
        assert await other.open_interrupt("s", "q-1") is None
        boasting = asked("q-2", "another", comments=7, claimed_by="eve", claimed_until=UNTIL, answered_by="eve")
        await appended(journal, batch(claim, head, done("b"), opened=(boasting,)))
        assert await other.open_interrupt("r", "q-2") == asked("q-2")

    async def test_what_is_opened_again_changes_and_keeps_its_claim_its_sights_and_its_comments(self, store: Store) -> None:
        """Another rung, other people, an approval more: it is the same question."""
        journal = await store.journal()
        claim, head = await opened(journal, asked("q-1", who=("boss",), amount=5.0, due_at=T0 + 10))
        head = await appended(journal, batch(claim, head, done("b"), commented=("q-1", "q-1", "q-9")))
        await journal.claim_interrupt("r", "q-1", "ann", T0 + 1, T0 + 60)
        await journal.saw("r", "q-1", "ann", T0 + 2)
        changed = asked("q-1", who=("chief",), approvals=("bob",), rung=1, due_at=T0 + 90, amount=7.0)
        await appended(journal, batch(claim, head, done("c"), opened=(changed,), commented=("q-1",)))
        (row,) = await journal.inbox(InboxFilter(who=("chief",), amount_min=6.0, due_before=T0 + 90), T0 + 3)
        assert (row.rung, row.who, row.approvals, row.comments) == (1, ("chief",), ("bob",), 3)
        assert (row.claimed_by, row.claimed_until) == ("ann", T0 + 60)
        assert await journal.seen_at("r", "q-1", "ann") == T0 + 2
        assert await _ids(journal, who=("boss",)) == []

    async def test_what_is_closed_is_gone_with_its_claim_and_its_sights(self, store: Store) -> None:
        """These are there until then; the same question of another run stays, and one that comes later begins anew."""
        journal = await store.journal()
        claim, head = await opened(journal, asked("q-1"), asked("q-2"))
        await opened(journal, asked("q-1", "s"), run_id="s")
        for run_id in ("r", "s"):
            await journal.claim_interrupt(run_id, "q-1", "ann", T0 + 1, UNTIL)
            await journal.saw(run_id, "q-1", "ann", T0 + 2)
        assert await journal.seen_at("r", "q-1", "ann") == T0 + 2
        head = await appended(journal, batch(claim, head, done("b"), closed=("q-1", "never")))
        assert [(row.run_id, row.interrupt) for row in await journal.inbox(InboxFilter(), T0 + 3)] == [("r", "q-2"), ("s", "q-1")]
        assert await journal.open_interrupt("r", "q-1") is None
        assert await journal.seen_at("r", "q-1", "ann") is None
        assert await journal.seen_at("s", "q-1", "ann") == T0 + 2
        await appended(journal, batch(claim, head, done("c"), opened=(asked("q-1"),), commented=("q-1",)))
        assert await journal.open_interrupt("r", "q-1") == asked("q-1", comments=1)
        assert await journal.seen_at("r", "q-1", "ann") is None

    async def test_a_run_that_ended_asks_nothing_any_more(self, store: Store) -> None:
        """Whatever its last batch closes, or opens, and also where it is ended without one; the other runs do."""
        journal = await store.journal()
        for run_id, status in (("r", "failed"), ("s", "waiting"), ("t", "cancelled")):
            claim, head = await opened(journal, asked("q-1", run_id), asked("q-2", run_id), run_id=run_id)
            release: Release = parked(status)  # type: ignore[arg-type]
            if run_id == "t":
                await journal.release(claim, release)
                continue
            last = batch(claim, head, done("b"), closed=("q-2",), opened=(asked("q-3", run_id),), release=release)
            await appended(journal, last)
        assert [(row.run_id, row.interrupt) for row in await journal.inbox(InboxFilter(), T0 + 3)] == [("s", "q-1"), ("s", "q-3")]
        assert await journal.inbox_count(InboxFilter(), T0 + 3) == 2

    async def test_what_was_refused_lists_nothing(self, store: Store) -> None:
        """A batch that finds no place, and one of a worker that has lost the run: neither says anything to anybody."""
        journal = await store.journal()
        claim, head = await opened(journal, asked("q-1"))
        other, other_head = await held(journal, "s")
        await appended(journal, batch(other, other_head, done("a"), slots=(slot("x", 1),)))
        before = await journal.inbox(InboxFilter(), T0 + 3)
        says: dict[str, Any] = {
            "opened": (asked("q-2"),), "closed": ("q-1",), "commented": ("q-1",), "judged": (judged(1),),
            "decided": (Decided(interrupt="q-1", decision="approve", at=T0),),
        }  # fmt: skip
        assert isinstance(await journal.append(batch(claim, head, done("b"), slots=(slot("y", 1),), **says)), Full)
        await refused(Superseded, journal.append(batch(claim, EMPTY, done("b"), **says)))
        assert await journal.inbox(InboxFilter(), T0 + 3) == before
        assert await journal.judged(JudgedFilter()) == []

    async def test_what_cannot_be_written_leaves_nothing(self, store: Store) -> None:
        """Neither its events, nor what is open, nor what was judged; and the batch can be written when it is mended."""
        journal = await store.journal()
        claim, head = await opened(journal, asked("q-1"))
        says: dict[str, Any] = {"opened": (asked("q-2"),), "closed": ("q-1",), "judged": (judged(2),)}
        for broken in (
            {"judged": (judged(2), judged(3, document={"x": object()}))},
            {"opened": (asked("q-2"), asked("q-3", args={"x": object()}))},
        ):
            try:
                await journal.append(batch(claim, head, done("b"), release=parked(), **{**says, **broken}))
            except Exception:  # noqa: BLE001 — what it is called is the journal's affair.
                other = await store.journal()
            else:
                raise AssertionError("it was written")
            assert (await other.read("r")).head == head
            assert await _ids(other) == ["q-1"]
            assert await other.judged(JudgedFilter()) == []
            assert await other.holds(claim)
        await appended(journal, batch(claim, head, done("b"), **says))
        assert await _ids(journal) == ["q-2"]

    # --- the lists ----------------------------------------------------------------------------------------------------

    async def test_each_order_puts_first_what_is_most_urgent(self, store: Store) -> None:
        """What is due the soonest, by the ladder or by the end; what was asked first; what is about the largest amount, and
        last what is about none. Where they are equal, by run and interrupt."""
        journal = await store.journal()
        await opened(
            journal,
            asked("a", due_at=T0 + 30, asked_at=T0 + 3, amount=5.0),
            asked("b", expires_at=T0 + 20, asked_at=T0 + 2),
            asked("c", due_at=T0 + 10, expires_at=T0 + 5, asked_at=T0 + 9, amount=-1.0),
            asked("d", due_at=T0 + 30, asked_at=T0 + 3, amount=70.0),
        )
        await opened(journal, asked("a", "q", due_at=T0 + 30, asked_at=T0 + 3, amount=5.0), run_id="q")
        found = {
            order: [(row.run_id, row.interrupt) for row in await journal.inbox(InboxFilter(order=order), T0)] for order in ORDERS
        }
        assert found["due"] == [("r", "c"), ("r", "b"), ("q", "a"), ("r", "a"), ("r", "d")]
        assert found["oldest"] == [("r", "b"), ("q", "a"), ("r", "a"), ("r", "d"), ("r", "c")]
        assert found["amount"] == [("r", "d"), ("q", "a"), ("r", "a"), ("r", "c"), ("r", "b")]

    async def test_pages_have_no_gaps_and_no_doubles(self, store: Store) -> None:
        """Under each order and whatever the size of a page, with many that are equal; the number of all is the same."""
        journal = await store.journal()
        for run_id in ("r1", "r2", "r10"):
            rows = [
                asked(
                    f"q-{n}",
                    run_id,
                    due_at=T0 + n % 3 if n % 4 else None,
                    asked_at=T0 + n % 2,
                    amount=float(n % 3) if n % 5 else None,
                )
                for n in range(9)
            ]
            await opened(journal, *rows, run_id=run_id)
        for order in ORDERS:
            everything = await journal.inbox(InboxFilter(order=order), T0)
            assert len({(row.run_id, row.interrupt) for row in everything}) == 27
            for size in (1, 4, 26, 27):
                found: list[OpenInterrupt] = []
                for _ in range(-(-27 // size)):
                    after = (found[-1].run_id, found[-1].interrupt) if found else None
                    page = await journal.inbox(InboxFilter(order=order, limit=size, after=after), T0)
                    assert len(page) <= size
                    found += page
                assert found == everything
                assert await journal.inbox(InboxFilter(order=order, after=(found[-1].run_id, found[-1].interrupt)), T0) == []
            assert await journal.inbox_count(InboxFilter(order=order, limit=2, after=("r1", "q-3")), T0) == 27
        assert await journal.inbox(InboxFilter(limit=0), T0) == []

    async def test_a_page_goes_on_after_one_that_was_decided_meanwhile(self, store: Store) -> None:
        """Whoever goes through a list and decides as they go misses nothing and sees nothing twice; after one that was never
        there the list begins at its beginning."""
        journal = await store.journal()
        claim, head = await opened(journal, *(asked(f"q-{n}", due_at=T0 + n, asked_at=T0 - n, amount=-1.0 * n) for n in range(6)))
        head = await appended(journal, batch(claim, head, done("b"), closed=("q-2",)))
        assert await _ids(journal, order="due", after=("r", "q-2")) == ["q-3", "q-4", "q-5"]
        assert await _ids(journal, order="oldest", after=("r", "q-2")) == ["q-1", "q-0"]
        assert await _ids(journal, order="amount", after=("r", "q-2")) == ["q-3", "q-4", "q-5"]
        assert await _ids(journal, after=("r", "never"), limit=2) == ["q-0", "q-1"]
        await opened(journal, asked("q-9", "s", due_at=T0 + 9), run_id="s")
        await appended(journal, batch(claim, head, e.RunFailed(reason="x"), release=parked("failed")))
        assert await _ids(journal, after=("r", "q-4")) == ["q-9"]

    async def test_every_filter_finds_what_it_says(self, store: Store) -> None:
        """One by one and together, in the list as in the number."""
        journal = await store.journal()
        await opened(
            journal,
            asked("a", rule="large", policy="money@1", tenant="acme", amount=10.0, who=("boss",), due_at=T0 + 5, asked_at=T0),
            asked("b", kind="question", about="plan", tool="", amount=20.0, who=("clerk", "ann"), asked_at=T0 + 1, step="ÄRGER"),
            asked("c", tool="mail", question="100% of Order O-7?", not_by=("eve",), asked_at=T0 + 2),
            asked("d", agent="buyer", approvals=("eve",), who=('say "boss"', "bos"), expires_at=T0 + 7, asked_at=T0 + 3),
        )
        await journal.claim_interrupt("r", "c", "ann", T0, T0 + 60)
        cases: list[tuple[dict[str, Any], str]] = [
            ({}, "abcd"), ({"kind": "question"}, "b"), ({"about": "call"}, "acd"), ({"rule": "large"}, "a"),
            ({"rule": ""}, "bcd"), ({"policy": "money@1"}, "a"), ({"policy": "money"}, ""),
            ({"tool": "mail"}, "c"), ({"agent": "buyer"}, "d"),
            ({"tenant": "acme"}, "a"), ({"run_id": "r"}, "abcd"), ({"run_id": "s"}, ""),
            ({"who": ("boss",)}, "ac"), ({"who": ("ann", "bos")}, "bcd"), ({"who": ()}, "c"), ({"who": ("o", "\n")}, "c"),
            ({"person": "eve"}, "ab"), ({"person": "ann"}, "abcd"),
            ({"amount_min": 10.0}, "ab"), ({"amount_max": 10.0}, "a"), ({"amount_min": 11.0, "amount_max": 19.0}, ""),
            ({"asked_before": T0 + 1}, "ab"), ({"due_before": T0 + 7}, "ad"), ({"due_before": T0 + 4}, ""),
            ({"claimed": True}, "c"), ({"claimed": False}, "abd"),
            ({"search": "order o-7"}, "c"), ({"search": "0% OF"}, "c"), ({"search": "_"}, "acd"), ({"search": "ärger"}, "b"),
            ({"search": "R"}, "abcd"), ({"search": ""}, "abcd"), ({"search": "paid?pay"}, ""),
            ({"kind": "approval", "about": "call", "who": ("boss",), "person": "bob", "claimed": False, "amount_min": 1.0}, "a"),
        ]  # fmt: skip
        for wanted, expected in cases:
            for order in ORDERS:
                assert sorted(await _ids(journal, order=order, **wanted)) == list(expected), (wanted, order)
            assert await journal.inbox_count(InboxFilter(**wanted), T0 + 1) == len(expected), wanted
        assert await _ids(journal, order="oldest", about="call", after=("r", "b"), limit=1) == ["c"]

    # --- answered and not taken yet -----------------------------------------------------------------------------------

    async def test_what_is_answered_wants_no_answer_until_the_run_takes_it(self, store: Store) -> None:
        """It is listed and counted apart, with who answered, at once and for every process; when the run has taken the word and
        asks on, it is open as before. Other words, and answers to other questions and runs, are nothing to it."""
        journal, other = await store.journal(), await store.journal()
        claim, head = await opened(journal, asked("q-1"), asked("q-10"), asked("q-2"))
        await opened(journal, asked("q-1", "s"), run_id="s")
        await journal.send("r", Message(kind="comment", body={"interrupt": "q-10", "by": "eve", "text": "hm"}, at=T0))
        await journal.send("s", Message(kind="comment", slot="q-1", body={"interrupt": "q-1", "by": "eve", "text": "hm"}, at=T0))
        assert await _counts(other) == (4, 0, 4)
        await journal.send("r", answer("q-1", "ann"))
        assert await _ids(other) == ["q-10", "q-2", "q-1"]
        assert await _ids(other, run_id="r") == ["q-10", "q-2"]
        assert await other.inbox(InboxFilter(answered=True), T0 + 1) == [asked("q-1", answered_by="ann")]
        assert await other.open_interrupt("r", "q-1") == asked("q-1", answered_by="ann")
        assert [row.answered_by for row in await other.inbox(InboxFilter(answered=None), T0)] == ["ann", "", "", ""]
        assert await _ids(other, answered=None, after=("r", "q-1"), limit=1) == ["q-10"]
        assert await _counts(other) == (3, 1, 4)
        claimed = await journal.claim_interrupt("r", "q-1", "bob", T0, T0 + 10)
        assert claimed is not None and (claimed.claimed_by, claimed.answered_by) == ("bob", "ann")
        (_, word) = await journal.messages("r")
        await appended(journal, batch(claim, head, done("b"), taken=(word.id,)))
        assert await _counts(other) == (4, 0, 4)
        assert await other.open_interrupt("r", "q-2") == asked("q-2")

    async def test_of_several_people_it_wants_answers_until_there_are_enough(self, store: Store) -> None:
        """Those that wait and those that were taken count together. Who answered is named, and it is no more theirs."""
        journal = await store.journal()
        claim, head = await opened(journal, asked("q-1", people=3), asked("q-10", people=3))
        await journal.send("r", answer("q-1", "ann", people=3))
        assert await _ids(journal) == await _ids(journal, person="bob") == ["q-1", "q-10"]
        assert (await _ids(journal, person="ann"), await _ids(journal, person="ann", answered=None)) == (
            ["q-10"],
            ["q-1", "q-10"],
        )
        assert await journal.inbox_count(InboxFilter(person="ann"), T0) == 1
        await journal.send("r", answer("q-1", "bob", people=3))
        await journal.send("r", answer("q-10", "dee", people=3))
        assert [row.answered_by for row in await journal.inbox(InboxFilter(), T0)] == ["ann, bob", "dee"]
        assert await _counts(journal) == (2, 0, 2)
        await journal.send("r", answer("q-1", "cy", people=3))
        assert await _counts(journal) == (1, 1, 2)
        taken = tuple(word.id for word in (await journal.messages("r"))[:2])
        halfway = asked("q-1", people=3, approvals=("ann", "bob"))
        head = await appended(journal, batch(claim, head, done("b"), opened=(halfway,), taken=taken))
        (row,) = await journal.inbox(InboxFilter(answered=True), T0)
        assert (row.interrupt, row.answered_by, row.approvals) == ("q-1", "cy", ("ann", "bob"))
        (_, last) = await journal.messages("r")
        await appended(journal, batch(claim, head, done("c"), taken=(last.id,)))
        assert await journal.inbox(InboxFilter(answered=True), T0) == []

    # --- in hand and seen ---------------------------------------------------------------------------------------------

    async def test_a_claim_is_had_by_one_until_it_is_over(self, store: Store) -> None:
        """Another one is shown who has it; who has it can prolong it and give it back; what is not open nobody can have."""
        journal, other = await store.journal(), await store.journal()
        await opened(journal, asked("q-1"))

        async def claim(by: str, now: float, until: float) -> tuple[str, float]:
            row = await other.claim_interrupt("r", "q-1", by, now, until)
            assert row is not None
            return row.claimed_by, row.claimed_until

        assert await claim("ann", T0, T0 + 10) == ("ann", T0 + 10)
        assert await claim("bob", T0 + 9, T0 + 99) == ("ann", T0 + 10)
        assert await claim("bob", T0 + 9, T0 + 1) == ("ann", T0 + 10)
        assert await claim("ann", T0 + 9, T0 + 20) == ("ann", T0 + 20)
        assert [row.claimed_by for row in await journal.inbox(InboxFilter(claimed=True), T0 + 19)] == ["ann"]
        assert await _ids(journal, T0 + 20, claimed=True) == []
        assert await journal.inbox(InboxFilter(claimed=False), T0 + 20) == [asked("q-1")]
        assert await claim("bob", T0 + 20, T0 + 30) == ("bob", T0 + 30)
        assert await claim("ann", T0 + 21, T0 + 40) == ("bob", T0 + 30)
        assert await claim("bob", T0 + 22, T0 + 22) == ("", 0.0)
        assert await journal.open_interrupt("r", "q-1") == asked("q-1")
        assert await claim("ann", T0 + 22, T0 + 40) == ("ann", T0 + 40)
        assert await other.claim_interrupt("r", "q-2", "ann", T0, T0 + 10) is None

    async def test_of_many_who_claim_at_once_one_has_it(self, store: Store) -> None:
        """Whichever process they come from, and all are told who."""
        journal = await store.journal()
        await opened(journal, asked("q-1"))
        handles = [await store.journal() for _ in range(4)]
        rows = await asyncio.gather(
            *(handle.claim_interrupt("r", "q-1", f"p{n}", T0, T0 + 10) for n, handle in enumerate(handles))
        )
        found = await journal.open_interrupt("r", "q-1")
        assert found is not None
        assert found.claimed_by
        assert {row.claimed_by for row in rows if row is not None} == {found.claimed_by}

    async def test_the_first_sight_of_each_is_kept(self, store: Store) -> None:
        """Of what is open; the rest is not noted."""
        journal, other = await store.journal(), await store.journal()
        await opened(journal, asked("q-1"), asked("q-2"))
        for by, at in (("ann", T0 + 5), ("ann", T0 + 9), ("bob", T0 + 7)):
            await journal.saw("r", "q-1", by, at)
        await journal.saw("r", "never", "ann", T0)
        await journal.saw("never", "q-1", "ann", T0)
        assert await other.seen_at("r", "q-1", "ann") == T0 + 5
        assert await other.seen_at("r", "q-1", "bob") == T0 + 7
        assert [await other.seen_at(*which) for which in (("r", "q-2", "ann"), ("r", "never", "ann"), ("r", "q-1", "eve"))] == [
            None
        ] * 3

    # --- what was judged and decided ----------------------------------------------------------------------------------

    async def test_rulings_are_listed_the_oldest_first(self, store: Store) -> None:
        """With all that was looked at; those of runs that have ended too."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        other, other_head = await held(journal, "s")
        full = judged(
            2, at=T0 + 5, verdict="sample", asked=False, about="call", kind="approval", tenant="acme", step="pay", tool="pay",
            policy="money@2", draw=0.25, rate=0.5, amount=3.5, document={"args": {"n": [1, {"x": None}]}}, interrupt="q-1",
        )  # fmt: skip
        await appended(journal, batch(other, other_head, done("a"), judged=(judged(4, "s", at=T0 + 4, rule="odd"),)))
        last = batch(claim, head, e.RunCompleted(), judged=(judged(3, at=T0 + 9), full), release=parked("completed"))
        await appended(journal, last)
        rulings = await (await store.journal()).judged(JudgedFilter())
        assert rulings == [judged(4, "s", at=T0 + 4, rule="odd"), full, judged(3, at=T0 + 9)]
        cases: list[tuple[dict[str, Any], list[int]]] = [
            ({"policy": "money@2"}, [2]), ({"rule": "odd"}, [4]), ({"tool": "pay"}, [2]), ({"agent": AGENT}, [4, 2, 3]),
            ({"agent": "no"}, []), ({"tenant": ""}, [4, 3]), ({"run_id": "r"}, [2, 3]), ({"since": T0 + 5}, [2, 3]),
            ({"until": T0 + 9}, [4, 2]), ({"limit": 1}, [4]), ({"limit": 0}, []), ({"since": T0 + 5, "until": T0 + 5}, []),
        ]  # fmt: skip
        for wanted, expected in cases:
            assert [row.entry for row in await journal.judged(JudgedFilter(**wanted))] == expected, wanted

    async def test_a_ruling_that_is_written_again_stays_one(self, store: Store) -> None:
        """A commit of which nobody knew whether it arrived may be repeated; what was decided since stays."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        once = Batch(run_id="r", fence=claim.fence, head=head, at=T0 + 1, events=(), judged=(judged(2, interrupt="q-1"),))
        await appended(journal, once)
        approved = Decided(interrupt="q-1", decision="approve", at=T0 + 3)
        await appended(journal, batch(claim, head, judged=(judged(2, interrupt="q-1"),), decided=(approved,)))
        await appended(journal, once)
        assert [(row.entry, row.decision) for row in await journal.judged(JudgedFilter())] == [(2, "approve")]

    async def test_what_is_decided_completes_the_latest_ruling_of_its_question(self, store: Store) -> None:
        """And no other one, of the run or of another; where there is none, nothing happens."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        other, other_head = await held(journal, "s")
        await appended(journal, batch(other, other_head, done("a"), judged=(judged(9, "s", interrupt="q-1"),)))
        rulings = (judged(2, interrupt="q-1"), judged(3, interrupt="q-2"), judged(4, interrupt="q-1", amount=7.0), judged(5))
        head = await appended(journal, batch(claim, head, done("b"), judged=rulings))
        edited = Decided(
            interrupt="q-1", decision="edit", at=T0 + 9, by=("ann", "bob"), edited={"amount": 1}, note="less", seen_at=T0 + 8,
            bulk=True, standing="s-1",
        )  # fmt: skip
        nowhere = Decided(interrupt="q-7", decision="approve", at=T0)
        unnamed = Decided(interrupt="", decision="approve", at=T0)
        await appended(journal, batch(claim, head, done("c"), decided=(nowhere, unnamed, edited)))
        found = {(row.run_id, row.entry): row for row in await journal.judged(JudgedFilter())}
        assert found["r", 4] == judged(
            4, interrupt="q-1", amount=7.0, decision="edit", by=("ann", "bob"), edited={"amount": 1}, note="less", seen_at=T0 + 8,
            decided_at=T0 + 9, bulk=True, standing="s-1",
        )  # fmt: skip
        assert [key for key, row in found.items() if row.decision] == [("r", 4)]

    async def test_an_open_question_does_not_keep_a_run_awake(self, store: Store) -> None:
        """It waits for a word; that somebody looked at it, or has it in hand, is none."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, done("a"), opened=(asked("q-1"),), release=parked()))
        await journal.claim_interrupt("r", "q-1", "ann", T0, T0 + 10)
        await journal.saw("r", "q-1", "ann", T0)
        assert await journal.claim_due("bob", [AGENT], UNTIL, LEASE, 9) == []
