"""What people approve in advance: what it covers, and how it answers."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.errors import AnswerRefused, Superseded
from holdfast.journal.base import EMPTY, Full, Journal, Message
from holdfast.journal.people import InboxFilter, OpenInterrupt, Person, StandingApproval, listed, standing_answer
from holdfast.testing.journal_suite.inbox import UNTIL, asked
from holdfast.testing.journal_suite.kit import AGENT, LEASE, T0, Store, appended, batch, done, held, parked, refused, slot


def approval(name: str = "s-1", **of: Any) -> StandingApproval:
    """A yes in advance."""
    values = {"tool": "pay", "by": "ann", "at": T0, "until": UNTIL}
    return StandingApproval(id=name, **{**values, **of})


def open_call(interrupt: str = "q-1", run_id: str = "r", **of: Any) -> OpenInterrupt:
    """A question about a call, which a standing approval may answer."""
    return asked(interrupt, run_id, **{"standing": True, **of})


async def ask(journal: Journal, row: OpenInterrupt, at: float = T0 + 1, **more: Any) -> list[Message]:
    """Open it, by a new run that then waits; what lies in its mailbox then."""
    claim, head = await held(journal, row.run_id)
    await appended(journal, batch(claim, head, done("a"), at=at, opened=(row,), release=parked(), **more))
    return await journal.messages(row.run_id)


class StandingChecks:
    """What people approve in advance."""

    async def test_a_covered_question_is_answered_in_the_same_commit(self, store: Store) -> None:
        """The word lies in the mailbox as if the person had said it, the run that waits is due, and the question is open until
        the run takes the word."""
        journal = await store.journal()
        given = approval(roles=("boss",), note="fine by me")
        assert await journal.grant(given) == 0
        (word,) = await ask(await store.journal(), open_call())
        assert (word.kind, word.slot, word.at, word.body) == ("answer", "q-1", T0 + 1, standing_answer(given, open_call()))
        assert [row.answered_by for row in await journal.inbox(InboxFilter(answered=True), T0 + 1)] == ["ann"]
        assert await journal.inbox(InboxFilter(), T0 + 1) == []
        assert [one.uses for one in await journal.standing_approvals()] == [1]
        assert await journal.next_due([AGENT], T0) == T0 + 1
        assert [claim.run_id for claim in await journal.claim_due("bob", [AGENT], T0 + 1, LEASE, 9)] == ["r"]

    async def test_a_person_who_answers_after_it_is_told_who_was_first(self, store: Store) -> None:
        """And one who was faster is not answered for: the approval is not used."""
        journal = await store.journal()
        await journal.grant(approval())
        await ask(journal, open_call())
        mine = Message(kind="answer", slot="q-1", body={"decision": "reject", "by": "bob"}, at=T0 + 2)
        assert "approve by ann" in str(await refused(AnswerRefused, journal.send("r", mine)))
        claim, head = await held(journal, "s")
        await journal.send("s", mine)
        await appended(journal, batch(claim, head, done("a"), opened=(open_call(run_id="s"),)))
        assert [word.body["by"] for word in await journal.messages("s")] == ["bob"]
        assert [one.uses for one in await journal.standing_approvals()] == [1]

    async def test_an_approval_answers_what_is_in_its_scope_and_nothing_else(self, store: Store) -> None:
        """Tool, arguments, agent, run, tenant, amount, contract, time, uses, and what the question itself lets."""
        journal = await store.journal()
        cases: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
            ({}, {}, True),
            ({"tool": "mail"}, {}, False),
            ({"args": {"to": "ann"}}, {}, True),
            ({"args": {"to": "bob"}}, {}, False),
            ({"args": {"cc": None}}, {}, False),
            ({"args": {"to": ["ann", {"n": 1.0}]}}, {"args": {"to": ["ann", {"n": 1}]}}, True),
            ({"args": {"to": True}}, {"args": {"to": 1}}, False),
            ({"args": {"to": {"n": 0}}}, {"args": {"to": {"n": False}}}, False),
            ({"agent": AGENT}, {}, True),
            ({"agent": "buyer"}, {}, False),
            ({"run_id": "other"}, {}, False),
            ({"tenant": "acme"}, {"tenant": "acme"}, True),
            ({"tenant": ""}, {"tenant": "acme"}, False),
            ({"tenant": "acme"}, {}, False),
            ({"amount_max": 5.0}, {"amount": 5.0}, True),
            ({"amount_max": 5.0}, {"amount": 5.01}, False),
            ({"amount_max": 5.0}, {}, False),
            ({"until": T0 + 1.5}, {}, True),
            ({"until": T0 + 1}, {}, False),
            ({"uses_max": 1}, {}, True),
            ({"uses_max": 1, "uses": 1}, {}, False),
            ({"contract": "c"}, {"contract": "c"}, True),
            ({"contract": "c"}, {"contract": "d"}, False),
            ({"revoked_at": T0}, {}, False),
            ({}, {"not_by": ("ann",)}, False),
            ({}, {"who": ("boss",)}, False),
            ({"roles": ("boss",)}, {"who": ("boss", "chief")}, True),
            ({}, {"who": ("ann",)}, True),
            ({}, {"people": 2}, False),
            ({}, {"standing": False}, False),
            ({}, {"kind": "question"}, False),
            ({}, {"about": "plan"}, False),
        ]
        for number, (of, question, covered) in enumerate(cases):
            await journal.grant(approval(f"s-{number}", **of))
            words = await ask(journal, open_call(run_id=f"r-{number}", **question))
            assert [word.body["standing"] for word in words] == ([f"s-{number}"] if covered else []), (of, question)
            await journal.revoke(f"s-{number}", "bob", T0 + 1)
            claim = await journal.claim(f"r-{number}", "bob", T0 + 1, LEASE)
            assert claim is not None
            await journal.release(claim, parked("cancelled"))

    async def test_an_argument_that_is_cut_is_never_the_one_that_was_named(self, store: Store) -> None:
        """Not by its text, and not by what stands for it; the other arguments are compared as ever."""
        journal = await store.journal()
        args = listed({"to": "ann", "text": "x" * 3000})
        assert args == {"to": "ann", "text": {"cut": 3002}}
        for name, named in (("whole", {"text": "x" * 3000}), ("cut", {"to": "ann", "text": {"cut": 3002}})):
            await journal.grant(approval(name, args=named))
        assert await ask(journal, open_call(args=args)) == []
        await journal.grant(approval("other", args={"to": "ann"}))
        assert [word.body["standing"] for word in await journal.messages("r")] == ["other"]
        await journal.grant(approval("small", args={"text": {"cut": 3}}))
        assert len(await ask(journal, open_call(run_id="s", args={"text": {"cut": 3}}))) == 1

    # --- who gave it, as they are now ---------------------------------------------------------------------------------

    async def test_an_approval_of_somebody_who_is_not_known_any_more_answers_nothing(self, store: Store) -> None:
        """When something is opened as when it is granted, once there is a directory; it does again when they are back."""
        journal = await store.journal()
        await journal.grant(approval())
        assert len(await ask(journal, open_call(run_id="before"))) == 1
        await journal.put_person(Person(name="bob"))
        assert await ask(journal, open_call()) == []
        assert await journal.grant(approval()) == 0
        assert [one.id for one in await journal.standing_approvals()] == ["s-1"]
        assert await journal.standing_approvals(T0 + 1) == []
        await journal.put_person(Person(name="ann"))
        assert len(await ask(journal, open_call(run_id="s"))) == 1
        assert [one.uses for one in await journal.standing_approvals(T0 + 1)] == [2]
        assert await journal.remove_person("ann")
        assert await ask(journal, open_call(run_id="t")) == []
        await journal.remove_person("bob")
        assert len(await ask(journal, open_call(run_id="u"))) == 1

    async def test_the_roles_of_now_count_and_not_those_of_then(self, store: Store) -> None:
        """A role that was lost answers nothing any more, one that came since does; the answer carries those of now, and what was
        approved stays as it was said."""
        journal = await store.journal()
        await journal.put_person(Person(name="ann", roles=("clerk",)))
        given = approval(roles=("boss",))
        await journal.grant(given)
        assert await ask(journal, open_call(who=("boss",))) == []
        assert await journal.grant(given) == 0
        (word,) = await ask(journal, open_call(run_id="s", who=("clerk",)))
        assert word.body["roles"] == ["clerk"]
        await journal.put_person(Person(name="ann", roles=("clerk", "boss")))
        assert await journal.grant(given) == 1
        (word,) = await journal.messages("r")
        assert word.body["roles"] == ["clerk", "boss"]
        assert await journal.standing_approvals() == [approval(roles=("boss",), uses=2)]

    async def test_it_answers_for_the_tenants_of_who_gave_it(self, store: Store) -> None:
        """Those that they decide for now; where none are named, for all."""
        journal = await store.journal()
        await journal.put_person(Person(name="ann", tenants=("acme", "other")))
        await journal.grant(approval())
        assert len(await ask(journal, open_call(run_id="r", tenant="acme"))) == 1
        assert await ask(journal, open_call(run_id="s", tenant="foreign")) == []
        assert await journal.grant(approval()) == 0
        await journal.put_person(Person(name="ann"))
        assert await journal.grant(approval()) == 1

    async def test_an_approval_for_one_run_answers_that_run(self, store: Store) -> None:
        """Whichever runs ask the same."""
        journal = await store.journal()
        await journal.grant(approval(run_id="s"))
        assert await ask(journal, open_call(run_id="r")) == []
        assert len(await ask(journal, open_call(run_id="s"))) == 1

    async def test_the_oldest_that_covers_answers_until_it_is_used_up(self, store: Store) -> None:
        """One use a question, also for several that are opened at once."""
        journal = await store.journal()
        await journal.grant(approval("late", at=T0 + 1))
        await journal.grant(approval("early", at=T0 - 5, uses_max=2))
        await journal.grant(approval("earlier", at=T0 - 9, tool="mail"))
        claim, head = await held(journal, "r")
        rows = tuple(open_call(f"q-{n}") for n in range(3))
        await appended(journal, batch(claim, head, done("a"), opened=rows))
        assert [(word.slot, word.body["standing"]) for word in await journal.messages("r")] == [
            ("q-0", "early"), ("q-1", "early"), ("q-2", "late"),
        ]  # fmt: skip
        assert {one.id: one.uses for one in await journal.standing_approvals()} == {"late": 1, "early": 2, "earlier": 0}
        assert [one.id for one in await journal.standing_approvals(T0 + 2)] == ["late", "earlier"]

    async def test_a_question_that_comes_into_scope_when_it_changes_is_answered_then(self, store: Store) -> None:
        """A rung further somebody else may decide; what was answered before is not answered again."""
        journal = await store.journal()
        await journal.grant(approval(roles=("chief",)))
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), opened=(open_call(who=("boss",)),)))
        assert await journal.messages("r") == []
        for rung in (1, 2):
            again = batch(claim, head, done("b"), at=T0 + 5 + rung, opened=(open_call(who=("chief",), rung=rung),))
            head = await appended(journal, again)
        assert [word.at for word in await journal.messages("r")] == [T0 + 6]
        assert [one.uses for one in await journal.standing_approvals()] == [1]

    async def test_what_is_not_open_after_its_batch_is_not_answered(self, store: Store) -> None:
        """Opened and closed in one, opened by a run that ends with it, or not written at all."""
        journal = await store.journal()
        await journal.grant(approval())
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), opened=(open_call(),), closed=("q-1",)))
        other, other_head = await held(journal, "s")
        await appended(journal, batch(other, other_head, done("a"), slots=(slot("x", 1),)))
        full = batch(claim, head, done("b"), opened=(open_call("q-2"),), slots=(slot("y", 1),))
        assert isinstance(await journal.append(full), Full)
        await refused(Superseded, journal.append(batch(claim, EMPTY, done("b"), opened=(open_call("q-3"),))))
        last = batch(claim, head, e.RunFailed(reason="x"), opened=(open_call("q-4"),), release=parked("failed"))
        await appended(journal, last)
        assert await journal.messages("r") == []
        assert [one.uses for one in await journal.standing_approvals()] == [0]

    async def test_a_grant_answers_what_is_open_the_oldest_first(self, store: Store) -> None:
        """As often as it may, and not what somebody answered already; those runs are due from then on."""
        journal = await store.journal()
        for number, run_id in enumerate(("r", "s", "t", "u", "v")):
            tool = "mail" if run_id == "v" else "pay"
            assert await ask(journal, open_call(run_id=run_id, asked_at=T0 - number, tool=tool)) == []
        await journal.send("u", Message(kind="answer", slot="q-1", body={"decision": "reject", "by": "bob"}, at=T0 + 2))
        given = approval(at=T0 + 3, uses_max=2)
        assert await (await store.journal()).grant(given) == 2
        due = {run_id: [word.body["by"] for word in await journal.messages(run_id)] for run_id in ("r", "s", "t", "u", "v")}
        assert due == {"r": [], "s": ["ann"], "t": ["ann"], "u": ["bob"], "v": []}
        (word,) = await journal.messages("s")
        assert (word.slot, word.at, word.body) == ("q-1", T0 + 3, standing_answer(given, open_call(run_id="s")))
        claims = await journal.claim_due("bob", [AGENT], T0 + 3, LEASE, 9)
        assert sorted(claim.run_id for claim in claims) == ["s", "t", "u"]
        assert await journal.standing_approvals() == [approval(at=T0 + 3, uses_max=2, uses=2)]
        assert await journal.standing_approvals(T0 + 3) == []

    async def test_a_revoked_approval_answers_nothing_from_then_on(self, store: Store) -> None:
        """Who revoked it first is kept; what it answered stays."""
        journal = await store.journal()
        await journal.grant(approval(note="until friday", args={"to": "ann"}))
        assert len(await ask(journal, open_call())) == 1
        revoked = approval(note="until friday", args={"to": "ann"}, uses=1, revoked_at=T0 + 5, revoked_by="bob")
        assert await (await store.journal()).revoke("s-1", "bob", T0 + 5) == revoked
        assert await journal.revoke("s-1", "eve", T0 + 6) == revoked
        assert await journal.revoke("never", "eve", T0 + 6) is None
        assert await ask(journal, open_call(run_id="s"), T0 + 6) == []
        assert len(await journal.messages("r")) == 1
        assert await journal.standing_approvals() == [revoked]
        assert await journal.standing_approvals(T0 + 6) == []

    async def test_a_grant_that_is_repeated_begins_nothing_anew(self, store: Store) -> None:
        """One with its id is replaced; but how often it was used, and that it was taken back, stays."""
        journal = await store.journal()
        await journal.grant(approval(uses_max=1))
        assert len(await ask(journal, open_call())) == 1
        assert await ask(journal, open_call(run_id="s")) == []
        assert await journal.grant(approval(uses_max=1)) == 0
        assert await journal.grant(approval(uses_max=2, note="once more")) == 1
        assert await journal.standing_approvals() == [approval(uses_max=2, uses=2, note="once more")]
        await journal.revoke("s-1", "bob", T0 + 5)
        assert await ask(journal, open_call(run_id="t")) == []
        assert await journal.grant(approval(at=T0 + 6)) == 0
        assert [one.revoked_by for one in await journal.standing_approvals()] == ["bob"]

    async def test_approvals_are_listed_the_latest_first(self, store: Store) -> None:
        """All, or those that may answer at a time."""
        journal = await store.journal()
        assert await journal.standing_approvals() == []
        for name, at, until in (("a", T0, T0 + 10), ("b", T0 + 2, T0 + 20), ("c", T0 + 1, T0 + 30), ("d", T0 + 2, T0 + 40)):
            await journal.grant(approval(name, at=at, until=until))
        assert [one.id for one in await journal.standing_approvals()] == ["d", "b", "c", "a"]
        assert [one.id for one in await journal.standing_approvals(T0 + 20)] == ["d", "c"]
