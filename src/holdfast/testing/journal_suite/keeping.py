"""Runs that come whole and go whole, and how a store is."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.schedule import Schedule, Standing
from holdfast.errors import AnswerRefused, CallbackUnknown, JournalCorrupt, RunNotFound, RunPruned, Superseded
from holdfast.journal import codec
from holdfast.journal.base import Batch, Checkpoint, Head, Journal, Message, NewRun, Slot, Token, Turn
from holdfast.journal.keeping import LATE_MAX, LATE_SECONDS, Adopted, StoredBatch
from holdfast.journal.people import JudgedFilter, Notice
from holdfast.testing.journal_suite.inbox import asked, judged
from holdfast.testing.journal_suite.kit import (
    AGENT,
    LEASE,
    T0,
    Store,
    appended,
    batch,
    create,
    done,
    held,
    parked,
    refused,
    started,
)
from holdfast.testing.journal_suite.memories import memory
from holdfast.testing.journal_suite.owed import owed

LARGE = {"text": "x" * 50_000}
# One that is stored in two parts, the second by its digest in the first.
NESTED = {"large": "y" * 20_000, **{f"small {n}": f"{n}" * 1_000 for n in range(10, 30)}}


def whole(run_id: str, *commits: tuple[e.AnyEvent, ...], fence: int = 1, **of: Any) -> Adopted:
    """A run with its journal, a batch a commit, one second each."""
    batches: list[StoredBatch] = []
    contents: dict[str, bytes] = {}
    first, link = 1, b""
    for number, events in enumerate(commits):
        body, blobs = codec.encode(events)
        contents.update(blobs)
        link = codec.link(link, run_id, first, fence, T0 + number, body)
        batches.append(StoredBatch(first=first, count=len(events), fence=fence, at=T0 + number, body=body, link=link))
        first += len(events)
    given: dict[str, Any] = {
        "agent": AGENT, "goal_digest": "digest", "status": "running", "created_at": T0, "changed_at": T0 + 5,
        "contents": contents,
    }  # fmt: skip
    return Adopted(run_id=run_id, batches=tuple(batches), fence=fence, **given | of)


async def ended(journal: Journal, run_id: str, *values: Any, at: float = T0 + 2, **of: Any) -> Head:
    """A run that has completed, with these results."""
    claim, head = await held(journal, run_id, **of)
    head = await appended(journal, batch(claim, head, *(done(f"s{n}", value) for n, value in enumerate(values))))
    over = batch(claim, head, e.RunCompleted(), at=at, release=parked("completed"))
    return await appended(journal, over)


class KeepingChecks:
    """Runs that come whole and go whole, and how a store is."""

    # --- taken over -----------------------------------------------------------------------------------------------

    async def test_a_run_is_taken_over_with_its_whole_journal(self, store: Store) -> None:
        """Its entries, large values and row are there for all, as they came."""
        journal = await store.journal()
        run = whole(
            "f", (started("f"),), (done("a", LARGE), done("b", 2)), fence=7, due_at=T0 + 9, source="r", tenant="t", priority=2,
            labels={"why": "morning after"}, waits_for="a word", parent="p", status="waiting",
        )  # fmt: skip
        assert await journal.adopt(run) is True
        other = await store.journal()
        assert [entry.event for entry in (await other.read("f")).entries] == [started("f"), done("a", LARGE), done("b", 2)]
        assert tuple(await other.batches("f")) == run.batches
        row = await other.row("f")
        assert row is not None
        assert (row.version, row.fence, row.status, row.due_at, row.worker) == (3, 7, "waiting", T0 + 9, "")
        assert (row.tenant, row.priority, row.labels, row.waits_for) == ("t", 2, {"why": "morning after"}, "a word")
        assert (row.source, row.imported, row.parent, row.created_at, row.changed_at) == ("r", False, "p", T0, T0 + 5)
        assert [child.run_id for child in await other.children("p")] == ["f"]

    async def test_a_run_that_was_taken_over_goes_on_like_any_other(self, store: Store) -> None:
        """Claimed when it is due, with a higher fence, and written on at its head."""
        journal = await store.journal()
        run = whole("f", (started("f"),), fence=7, due_at=T0 + 9)
        await journal.adopt(run)
        assert await journal.claim_due("ann", [AGENT], T0 + 8, LEASE, 9) == []
        assert await journal.next_due([AGENT], T0) == T0 + 9
        (claim,) = await journal.claim_due("ann", [AGENT], T0 + 9, LEASE, 9)
        assert (claim.fence, claim.version) == (8, 1)
        head = await appended(journal, batch(claim, Head(1, run.batches[-1].link), done("a"), at=T0 + 10))
        assert (await (await store.journal()).read("f")).head == head

    async def test_an_id_that_is_there_is_not_taken_over(self, store: Store) -> None:
        """Nothing of it is changed, whoever is first."""
        journal = await store.journal()
        _, head = await held(journal, "r")
        assert await journal.adopt(whole("r", (started("r"),), (done("a"),))) is False
        assert (await journal.read("r")).head == head
        both = await asyncio.gather(*(journal.adopt(whole("f", (started("f"),))) for _ in range(3)))
        assert sorted(both) == [False, False, True]

    async def test_a_journal_that_is_not_what_was_written_is_not_taken_over(self, store: Store) -> None:
        """Changed, cut, reordered, under another id, with a lie about its length: refused, and nothing is there."""
        journal = await store.journal()
        good = whole("f", (started("f"),), (done("a", 1),), (done("b", 2), done("c", 3)))
        first, second, third = good.batches
        replace = msgspec.structs.replace
        lie = replace(third, count=3, link=codec.link(second.link, "f", 3, 1, third.at, third.body))
        for batches in (
            (),
            (first, replace(second, body=second.body.replace(b"1", b"2")), third),
            (first, third),
            (second, third),
            (first, third, second),
            (first, replace(second, at=second.at + 1), third),
            (first, replace(second, fence=2), third),
            (first, second, lie),
        ):
            await refused(JournalCorrupt, journal.adopt(replace(good, batches=batches)))
        await refused(JournalCorrupt, journal.adopt(replace(good, run_id="g")))
        await refused(JournalCorrupt, journal.adopt(replace(good, fence=0)))
        for run_id in ("f", "g"):
            assert await journal.row(run_id) is None
            await refused(RunNotFound, journal.batches(run_id))
        assert await journal.adopt(good) is True

    async def test_contents_are_checked_and_must_be_there(self, store: Store) -> None:
        """One that is not what its digest says, or that nobody has, is found before anything is written; one that the store has
        need not be given."""
        journal = await store.journal()
        good = whole("f", (started("f"),), (done("a", LARGE),))
        wrong = {digest: content + b" " for digest, content in good.contents.items()}
        for contents in (wrong, {}):
            found = await refused(JournalCorrupt, journal.adopt(msgspec.structs.replace(good, contents=contents)))
            assert found.run_id == "f"
        content = b'"' + b"w" * 9_000 + b'"'
        cut = e.CallSucceeded(step="a", attempt=1, value="www", cut=e.Cut(bytes=9_002, digest=codec.blob_digest(content)))
        large = whole("f", (started("f"),), (cut,))
        named = {**large.contents, codec.blob_digest(content): b'"other"'}
        await refused(JournalCorrupt, journal.adopt(msgspec.structs.replace(large, contents=named)))
        assert await journal.row("f") is None
        assert await journal.adopt(good) is True
        assert await journal.adopt(msgspec.structs.replace(whole("g", (started("g"),), (done("a", LARGE),)), contents={})) is True
        assert [entry.event for entry in (await journal.read("g")).entries][1] == done("a", LARGE)

    async def test_an_imported_run_is_only_looked_at(self, store: Store) -> None:
        """No worker gets it, whatever it says of itself, and no word reaches it."""
        journal = await store.journal()
        run = whole("i", (started("i"),), due_at=T0, imported=True)
        assert await journal.adopt(run) is True
        row = await journal.row("i")
        assert row is not None
        assert (row.imported, row.due_at, row.status) == (True, None, "running")
        assert await journal.claim_due("ann", [AGENT], T0 + 99, LEASE, 9) == []
        assert await journal.claim("i", "ann", T0 + 99, LEASE) is None
        assert await journal.next_due([AGENT], T0) is None
        found = await refused(AnswerRefused, journal.send("i", Message(kind="cancel", body={}, at=T0)))
        assert "imported" in str(found)
        assert "fork" in str(found)
        assert await journal.messages("i") == []
        assert await journal.mailboxes() == set()
        written = Batch(run_id="i", fence=9, head=Head(1, run.batches[-1].link), at=T0, events=(done("a"),))
        await refused(Superseded, journal.append(written))
        assert len((await journal.read("i")).entries) == 1

    async def test_an_imported_run_is_no_parent_and_no_child_of_those_here(self, store: Store) -> None:
        """Runs of the same names end without a word to it."""
        journal = await store.journal()
        await journal.adopt(whole("p", (started("p"),), imported=True))
        await journal.adopt(whole("c", (started("c"),), imported=True, parent="r"))
        await ended(journal, "r", parent="p", parent_step="a")
        assert await journal.claim_due("ann", [AGENT], T0 + 99, LEASE, 9) == []
        assert await journal.mailboxes() == set()

    # --- forgotten ------------------------------------------------------------------------------------------------

    async def test_a_run_that_was_pruned_leaves_its_proof(self, store: Store) -> None:
        """Who pruned it when, and the end of its chain; nothing else."""
        journal = await store.journal()
        head = await ended(journal, "r", 1, 2)
        (proof,) = await journal.prune(["r"], "ann", T0 + 9)
        assert (proof.run_id, proof.agent, proof.status) == ("r", AGENT, "completed")
        assert (proof.version, proof.link) == (head.version, head.link.hex())
        assert (proof.created_at, proof.ended_at, proof.pruned_at, proof.by) == (T0, T0 + 2, T0 + 9, "ann")
        other = await store.journal()
        assert await other.proofs() == [proof]
        assert await other.proofs(["r", "s"]) == [proof]
        assert await other.proofs(["s"]) == []
        assert await other.row("r") is None
        assert await other.rows() == []

    async def test_proofs_are_listed_the_latest_first(self, store: Store) -> None:
        """And twice is once."""
        journal = await store.journal()
        for number in range(3):
            await ended(journal, f"r{number}")
        await journal.prune(["r1"], "ann", T0 + 10)
        await journal.prune(["r0", "r2", "r1", "r0"], "ann", T0 + 11)
        assert [proof.run_id for proof in await journal.proofs()] == ["r2", "r0", "r1"]
        assert [proof.run_id for proof in await journal.proofs(["r1", "r2"])] == ["r2", "r1"]
        assert await journal.prune(["r0"], "bob", T0 + 12) == []
        assert (await journal.proofs(["r0"]))[0].by == "ann"

    async def test_what_is_asked_of_a_pruned_run_says_that_it_was_pruned(self, store: Store) -> None:
        """When and by whom; of one that never was, it says that."""
        journal = await store.journal()
        await ended(journal, "r")
        await journal.prune(["r"], "ann", T0)
        word = Message(kind="answer", body={}, at=T0)
        for asking in (journal.read("r"), journal.batches("r"), journal.send("r", word), journal.read("r", Head(1, b""))):
            found = await refused(RunPruned, asking)
            assert "2023-11-14" in str(found)
            assert "ann" in str(found)
        late = Batch(run_id="r", fence=1, head=Head(1, b""), at=T0, events=(done("a"),))
        await refused(RunPruned, (await store.journal()).append(late))
        for asking in (journal.read("nothing"), journal.send("nothing", word)):
            assert not isinstance(await refused(RunNotFound, asking), RunPruned)

    async def test_the_id_of_a_pruned_run_is_not_taken_again(self, store: Store) -> None:
        """Not by a new run, not by one that is taken over, and not by a schedule, whose time has then begun already."""
        journal = await store.journal()
        await ended(journal, "r")
        await journal.prune(["r"], "ann", T0 + 9)
        assert await create(journal, "r") is None
        assert await (await store.journal()).adopt(whole("r", (started("r"),))) is False
        standing = Standing(schedule=Schedule(name="n", agent=AGENT, cron="0 9 * * *"), current="r")
        begins = NewRun(run_id="r", agent=AGENT, goal_digest="digest"), (started("r"),)
        assert await journal.turn_schedule(Turn(standing=standing, at=T0 + 10, begins=begins)) is True
        assert await journal.row("r") is None
        assert [one.running for one in await journal.schedules()] == [False]

    async def test_a_run_that_goes_on_or_is_waited_for_is_passed_over(self, store: Store) -> None:
        """Whatever its status, and also where a child has ended that its parent may still look at."""
        journal = await store.journal()
        for run_id, status in (("w", "waiting"), ("b", "blocked")):
            claim, head = await held(journal, run_id)
            await appended(journal, batch(claim, head, done("a"), release=parked(status)))  # type: ignore[arg-type]
        parent, head = await held(journal, "p")
        await ended(journal, "c", parent="p", parent_step="a")
        assert await journal.prune(["w", "b", "p", "c", "nothing"], "ann", T0 + 9) == []
        assert {row.run_id for row in await journal.rows()} == {"w", "b", "p", "c"}
        await appended(journal, batch(parent, head, e.RunCompleted(), release=parked("completed")))
        assert [proof.run_id for proof in await journal.prune(["p", "c"], "ann", T0 + 9)] == ["p", "c"]

    async def test_a_child_goes_on_when_its_parent_is_pruned(self, store: Store) -> None:
        """It tells nobody when it ends; and a child that is begun only then is told at once that it ends with its parent."""
        journal = await store.journal()
        await ended(journal, "p")
        claim, head = await held(journal, "c", parent="p", parent_step="a", ends_with_parent=False)
        await journal.prune(["p"], "ann", T0 + 9)
        await create(journal, "late", parent="p", parent_step="b")
        assert [message.kind for message in await journal.messages("late")] == ["cancel"]
        await appended(journal, batch(claim, head, e.RunCompleted(), release=parked("completed")))
        row = await journal.row("c")
        assert row is not None
        assert row.status == "completed"

    async def test_an_imported_run_may_be_pruned_once_it_has_ended(self, store: Store) -> None:
        """And one that waits, there where it came from, keeps no other here."""
        journal = await store.journal()
        await journal.adopt(whole("i", (started("i"),), (e.RunCompleted(),), status="completed", imported=True))
        await journal.adopt(whole("p", (started("p"),), imported=True))
        await ended(journal, "c", parent="p", parent_step="a")
        assert [proof.run_id for proof in await journal.prune(["i", "c", "p"], "ann", T0 + 9)] == ["i", "c"]

    async def test_a_run_that_holds_a_place_beyond_its_end_is_passed_over(self, store: Store) -> None:
        """As long as the place keeps others from doing what it did."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        place = Slot(name="mail to eve", step="a", capacity=1, until=T0 + 100)
        await appended(journal, batch(claim, head, e.RunCompleted(), slots=(place,), release=parked("completed")))
        assert await journal.prune(["r"], "ann", T0 + 99) == []
        assert [proof.run_id for proof in await journal.prune(["r"], "ann", T0 + 100)] == ["r"]

    async def test_nothing_of_a_pruned_run_is_left(self, store: Store) -> None:
        """Not its words, tokens, debts, rulings, notices or checkpoint; what it learned stays, and all of another run."""
        journal = await store.journal()
        for run_id in ("r", "other"):
            await self._lived(journal, run_id)
        assert [proof.run_id for proof in await journal.prune(["r"], "ann", T0 + 9)] == ["r"]
        assert await journal.token("token of r") is None
        await refused(CallbackUnknown, journal.deliver("token of r", {}, T0))
        assert await journal.messages("r") == []
        assert {one.run_id for one in await journal.judged(JudgedFilter())} == {"other"}
        assert {sent.notice.run_id for sent in await journal.notices()} == {"other"}
        assert await journal.checkpoint("r") is None
        assert {one.run_id for one in await journal.memories()} == {"r", "other"}
        assert await journal.token("token of other") == ("other", "a")
        assert len((await journal.read("other")).entries) == 3
        assert (await journal.health(T0, deep=True)).problems == ()

    async def _lived(self, journal: Journal, run_id: str) -> None:
        claim, head = await held(journal, run_id)
        said: dict[str, Any] = {"opened": (asked("q-1", run_id),), "judged": (judged(2, run_id, interrupt="q-1"),)}
        told = Notice(id=f"n {run_id}", what="asked", run_id=run_id, interrupt="q-1", at=T0, agent=AGENT)
        given = Token(digest=f"token of {run_id}", step="a", key="k", expires_at=T0 + 99)
        learned = memory(run_id, f"seat of {run_id}", "12A")
        head = await appended(
            journal,
            batch(claim, head, done("a"), notices=(told,), owed=(owed("a", T0 + 5),), tokens=(given,), **said),
        )
        await journal.saw(run_id, "q-1", "eve", T0)
        await journal.send(run_id, Message(kind="answer", slot="q-1", body={}, at=T0))
        await journal.keep(run_id, Checkpoint(head=head, form="f", body=b"x"))
        await appended(journal, batch(claim, head, e.RunCompleted(), memories=(learned,), release=parked("completed")))

    async def test_runs_are_listed_by_when_they_ended(self, store: Store) -> None:
        """Before a time, the longest ended first; of some statuses, an agent, a tenant; none that goes on."""
        journal = await store.journal()
        for number, status in enumerate(("completed", "failed", "cancelled", "waiting", "completed")):
            claim, head = await held(journal, f"r{number}", agent="other" if number == 4 else AGENT, tenant="t" * (number == 1))
            given = parked(status)  # type: ignore[arg-type]
            await appended(journal, batch(claim, head, done("a"), at=T0 + 10 - number, release=given))
        every = ("completed", "failed", "cancelled", "waiting")

        async def found(before: float, statuses: tuple[str, ...] = every, **of: Any) -> list[str]:
            return [row.run_id for row in await journal.ended(before, statuses, **of)]

        assert await found(T0 + 11) == ["r4", "r2", "r1", "r0"]
        assert await found(T0 + 9) == ["r4", "r2"]
        assert await found(T0 + 11, ("completed", "failed")) == ["r4", "r1", "r0"]
        assert await found(T0 + 11, agent=AGENT, limit=2) == ["r2", "r1"]
        assert await found(T0 + 11, tenant="t") == ["r1"]
        assert await found(T0 + 11, ()) == []

    # --- contents that nobody refers to ---------------------------------------------------------------------------

    async def test_contents_go_with_the_last_run_that_refers_to_them(self, store: Store) -> None:
        """Not before, and what they contain goes as well."""
        journal = await store.journal()
        before = await store.contents()
        await ended(journal, "part", NESTED["large"])
        await ended(journal, "a", NESTED, LARGE)
        await ended(journal, "b", NESTED)
        for run_id in ("part", "a"):
            await journal.prune([run_id], "ann", T0 + 9)
            assert [entry.event for entry in (await (await store.journal()).read("b")).entries][1] == done("s0", NESTED)
        await journal.prune(["b"], "ann", T0 + 9)
        after = await store.contents()
        if before is not None and after is not None:
            assert after == before

    async def test_what_was_stored_as_a_whole_goes_with_its_run_and_not_before(self, store: Store) -> None:
        """A result that was cut names what it was cut from."""
        journal = await store.journal()
        content = b'"' + b"w" * 9_000 + b'"'
        digest = codec.blob_digest(content)
        cut = e.CallSucceeded(step="a", attempt=1, value="www", cut=e.Cut(bytes=len(content), digest=digest))
        for run_id in ("a", "b"):
            claim, head = await held(journal, run_id)
            head = await appended(journal, batch(claim, head, cut, contents={digest: content}))
            await appended(journal, batch(claim, head, e.RunCompleted(), release=parked("completed")))
        await journal.prune(["a"], "ann", T0 + 9)
        assert await journal.content(digest) == content
        await journal.prune(["b"], "ann", T0 + 9)
        assert await journal.content(digest) is None

    async def test_contents_that_were_pruned_can_come_again(self, store: Store) -> None:
        """Also for a worker that has seen them before."""
        worker, keeper = await store.journal(), await store.journal()
        await ended(worker, "a", LARGE)
        await worker.read("a")
        await keeper.prune(["a"], "ann", T0 + 9)
        claim, head = await held(worker, "b")
        await appended(worker, batch(claim, head, done("s", LARGE)))
        assert [entry.event for entry in (await (await store.journal()).read("b")).entries] == [started("b"), done("s", LARGE)]

    async def test_what_is_written_while_others_prune_can_be_read(self, store: Store) -> None:
        """Runs begin, end and go, with large values that they share; whatever is there is whole."""
        values = [{"text": f"{n}" * 20_000} for n in range(3)]
        over: asyncio.Queue[str] = asyncio.Queue()

        async def live(journal: Journal, name: str) -> None:
            for number in range(6):
                await ended(journal, f"{name}{number}", values[number % 3], values[(number + 1) % 3])
                if name == "a":
                    over.put_nowait(f"{name}{number}")

        async def prune(journal: Journal) -> None:
            for _ in range(6):
                assert len(await journal.prune([await over.get()], "ann", T0 + 9)) == 1

        await asyncio.gather(live(await store.journal(), "a"), live(await store.journal(), "b"), prune(await store.journal()))
        reader = await store.journal()
        assert {row.run_id for row in await reader.rows()} == {f"b{number}" for number in range(6)}
        for number in range(6):
            await reader.read(f"b{number}")
        assert (await reader.health(T0, deep=True)).problems == ()

    # --- how it is ------------------------------------------------------------------------------------------------

    async def test_a_store_in_which_nothing_is_wrong_says_so(self, store: Store) -> None:
        """With what is in it."""
        journal = await store.journal()
        empty = await journal.health(T0)
        assert (empty.problems, empty.runs, empty.letters, empty.pruned, empty.oldest_owed, empty.oldest_asked) == (
            (), {}, 0, 0, None, None,
        )  # fmt: skip
        await ended(journal, "r", LARGE)
        await ended(journal, "s")
        await journal.prune(["s"], "ann", T0 + 9)
        claim, head = await held(journal, "w")
        debt, question = owed("a", T0 + 9, since=T0 + 4), asked("q-1", "w", asked_at=T0 + 3)
        await appended(journal, batch(claim, head, done("a"), owed=(debt,), opened=(question,), release=parked("blocked")))
        await journal.send("w", Message(kind="answer", body={}, at=T0 + 5))
        found = await journal.health(T0 + 6, deep=True)
        assert (found.problems, found.runs, found.letters, found.pruned) == ((), {"completed": 1, "blocked": 1}, 1, 1)
        assert (found.oldest_owed, found.oldest_asked) == (T0 + 4, T0 + 3)
        assert found.bytes > 0
        assert found.contents == await store.contents() or await store.contents() is None
        assert (found.unclaimed, found.expired, found.parked) == ((), (), ())

    async def test_late_runs_are_told_apart(self, store: Store) -> None:
        """Each is in one list: nobody took it, who took it is gone, it waited and nobody took it up. Nobody who is in time, no
        run that has ended, and none that was imported."""
        journal, late = await store.journal(), T0 + LATE_SECONDS
        await create(journal, "new")
        await create(journal, "newer", at=T0 + 1)
        await held(journal, "gone", "bob")
        await held(journal, "at work", "ann", at=late)
        for run_id, status, due_at in (("waits", "waiting", T0 + 2), ("asks", "blocked", None), ("later", "waiting", late)):
            claim, head = await held(journal, run_id)
            await appended(journal, batch(claim, head, done("a"), release=parked(status, due_at)))  # type: ignore[arg-type]
        await journal.send("asks", Message(kind="answer", body={}, at=T0 + 3))
        await ended(journal, "over")
        await journal.adopt(whole("i", (started("i"),), imported=True, due_at=T0))
        found = await journal.health(late + 5)
        assert [(one.run_id, one.since, one.worker) for one in found.unclaimed] == [("new", T0, ""), ("newer", T0 + 1, "")]
        assert [(one.run_id, one.since, one.worker) for one in found.expired] == [("gone", T0 + LEASE, "bob")]
        assert [(one.run_id, one.since, one.seconds) for one in found.parked] == [
            ("waits", T0 + 2, LATE_SECONDS + 3), ("asks", T0 + 3, LATE_SECONDS + 2),
        ]  # fmt: skip
        in_time = await journal.health(T0 + LEASE - 1)
        assert (in_time.unclaimed, in_time.expired, in_time.parked) == ((), (), ())

    async def test_of_many_late_runs_the_longest_late_are_listed(self, store: Store) -> None:
        """So that the answer stays small."""
        journal = await store.journal()
        await asyncio.gather(*(create(journal, f"r{n}", at=T0 - n) for n in range(LATE_MAX + 5)))
        found = (await journal.health(T0 + 999)).unclaimed
        assert [one.run_id for one in found] == [f"r{n}" for n in range(LATE_MAX + 4, 4, -1)]

    async def test_a_chain_that_does_not_hold_is_a_problem_of_the_store(self, store: Store) -> None:
        """Found where all of it is read; the others are looked at as well."""
        journal = await store.journal()
        for run_id in ("r", "s", "t"):
            claim, head = await held(journal, run_id)
            await appended(journal, batch(claim, head, done("a", "a value of some length")))
        if not (await store.corrupt("r") and await store.corrupt("t")):
            return
        assert (await (await store.journal()).health(T0)).problems == ()
        problems = (await (await store.journal()).health(T0, deep=True)).problems
        assert len(problems) == 2
        assert all(f"run {run_id}" in said and "entry 2" in said for run_id, said in zip("rt", problems, strict=True))
