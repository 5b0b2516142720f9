"""The audit: every decision with its proof, checked without a store, from a real SQLite file."""

from __future__ import annotations

import csv
import io
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from holdfast.audit import AuditEnd, AuditLine, AuditRecord, Proof, audit, csv_lines, json_lines, verify_audit
from holdfast.audit.words import AUDITED
from holdfast.core import events as e
from holdfast.core.facts import Fact
from holdfast.core.plan import Goal
from holdfast.core.policy import Policy, Rule, Ruling
from holdfast.errors import JournalCorrupt, RunNotFound
from holdfast.journal import codec
from holdfast.journal.base import Batch, Head, NewRun
from holdfast.journal.people import StandingApproval
from holdfast.journal.sqlite import SqliteJournal

T0 = 1_700_000_000.0
RULING = Ruling(rule="large", verdict="always", asks=True, policy="refunds@2", looked={"amount": 700})
HOSTILE = '=HYPERLINK("http://evil","x")'


def asked(name: str, **of: Any) -> e.Asked:
    """A question about a call."""
    fields: dict[str, Any] = {
        "interrupt": name, "kind": "approval", "about": "call", "question": "refund 700?", "digest": "d1", "step": "pay",
        "options": (e.Option(decision="approve", means="it is made"),), "expires_at": T0 + 900, "tool": "refund",
        "args": {"order": 7, "amount": 700}, "ruling": RULING, "who": ("clerk",), "people": 2, **of,
    }  # fmt: skip
    return e.Asked(**fields)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    """A store with two runs and an approval given in advance."""
    store = SqliteJournal(tmp_path / "runs.db")
    await store.open()
    await written(
        store, "refunds-1", T0,
        (asked("i1"), e.PlanKept(turn=1)),
        (e.ApprovalGiven(interrupt="i1", by="ann", left=1, note=HOSTILE, said_at=T0 + 20),),
        (
            e.Answered(interrupt="i1", decision="approve", by="bob", roles=("clerk",), seen_at=T0 + 21, said_at=T0 + 29.5),
            e.CallIntended(step="pay", attempt=1, tool="refund", args={"order": 7}, key="k"),
        ),
        (
            e.FactsLearned(facts=(Fact(name="seen", value=1, source="observed", by="step"),)),
            e.FactsLearned(facts=(Fact(name="order", value=7, source="told", by="the goal"),)),
            e.FactsLearned(facts=(Fact(name="city", value="x" * 20_000, source="told", by="cy", pinned=True),), reason="told by cy"),
        ),
    )  # fmt: skip
    await written(
        store, "refunds-2", T0 + 1,
        (e.PolicyRuled(ruling=Ruling(rule="small", verdict="never", asks=False, policy="refunds@2"), step="pay", tool="refund", call="c"),),
        (e.PolicyChanged(policy=Policy(name="refunds", version="3", rules=(Rule(name="all"),))), asked("i9", ruling=None, about="doubt")),
        (e.InterruptExpired(interrupt="i9"), e.CancelRequested(by="ann", reason="enough", on_stop="undo")),
    )  # fmt: skip
    await written(store, "quiet", T0 + 2, (e.PlanKept(turn=1),))
    await store.grant(
        StandingApproval(
            id="s1", tool="refund", by="dora", at=T0 - 50, until=T0 + 5000, amount_max=10.0, roles=("head",), note="ok"
        )
    )
    await store.revoke("s1", "erin", T0 + 40)
    yield store
    await store.close()


async def written(store: SqliteJournal, run_id: str, at: float, *batches: tuple[e.AnyEvent, ...]) -> None:
    """A run with so many commits, ten seconds apart."""
    started = e.RunStarted(run_id=run_id, agent="refunds", goal=Goal(text="refund"), contracts=(), tenant="acme")
    new = NewRun(run_id=run_id, agent="refunds", goal_digest="g", tenant="acme")
    claim = await store.create(new, (started,), at, worker="w", lease_seconds=1e9)
    assert claim is not None
    head = (await store.read(run_id)).head
    for number, events in enumerate(batches, 1):
        wrote = await store.append(Batch(run_id=run_id, fence=claim.fence, head=head, at=at + 10 * number, events=events))
        assert isinstance(wrote, Head)
        head = wrote


async def all_of(store: SqliteJournal, *runs: str, **of: Any) -> list[AuditRecord]:
    """An audit, whole."""
    return [record async for record in audit(store, runs or None, **of)]


def lines(records: list[AuditRecord]) -> list[AuditLine]:
    """The decisions in it."""
    return [record for record in records if isinstance(record, AuditLine)]


# --- what is in it ------------------------------------------------------------------------------------------------


async def test_every_decision_has_a_line_and_nothing_else_has(journal: SqliteJournal) -> None:
    """In the order of the runs and their entries; what decides nothing is not there, and quiet runs are left out."""
    records = await all_of(journal)
    assert [(line.run, line.sequence, line.event, line.who, line.decision) for line in lines(records)] == [
        ("", 0, "standing_granted", "dora", "approve"),
        ("", 0, "standing_revoked", "erin", "revoke"),
        ("refunds-1", 2, "asked", "", "asked"),
        ("refunds-1", 4, "approval_given", "ann", "approve"),
        ("refunds-1", 5, "answered", "bob", "approve"),
        ("refunds-1", 9, "facts_learned", "cy", ""),
        ("refunds-2", 2, "policy_ruled", "", "passed"),
        ("refunds-2", 3, "policy_changed", "", ""),
        ("refunds-2", 4, "asked", "", "asked"),
        ("refunds-2", 5, "interrupt_expired", "", "expired"),
        ("refunds-2", 6, "cancel_requested", "ann", "cancel"),
    ]
    assert [record.proof for record in records if isinstance(record, Proof)] == ["refunds-1", "refunds-2"]
    assert isinstance(records[-1], AuditEnd)


async def test_an_answer_is_shown_with_what_was_asked(journal: SqliteJournal) -> None:
    """Rule, policy, digest and arguments of the question, and when it was seen and said."""
    answered = next(line for line in lines(await all_of(journal)) if line.event == "answered")
    assert (answered.rule, answered.policy, answered.verdict, answered.digest) == ("large", "refunds@2", "always", "d1")
    assert (answered.args, answered.step, answered.tool) == ({"order": 7, "amount": 700}, "pay", "refund")
    assert (answered.seen_at, answered.said_at, answered.roles) == (T0 + 21, T0 + 29.5, ("clerk",))
    assert (answered.agent, answered.tenant) == ("refunds", "acme")
    assert (answered.at, answered.at_iso) == (T0 + 30, "2023-11-14T22:13:50+00:00")
    stored = await journal.batches("refunds-1")
    assert answered.link == stored[3].link.hex()


async def test_every_event_that_holds_a_word_of_a_person_is_in_the_table() -> None:
    """Whatever has a `by` that a person fills in has a line; a new event cannot be forgotten."""
    said_by = {
        str(kind.__struct_config__.tag) for kind in e.AnyEvent.__args__ if "by" in kind.__struct_fields__  # type: ignore[attr-defined]
    }  # fmt: skip
    # What is owed and delivered is of the other side, a verdict of a tool; what ends a run follows from a word that has its line.
    others = {"call_deferred", "call_partial", "callback_received", "callback_refused", "finish_ruled", "run_cancelled"}
    assert said_by - AUDITED == others


SAID: list[tuple[e.AnyEvent, tuple[str, str, str], Any]] = [
    (e.AnswerVoided(interrupt="i1", by="ann", reason="late"), ("ann", "voided", "late"), None),
    (e.InterruptWithdrawn(interrupt="i1", reason="changed"), ("", "withdrawn", "changed"), None),
    (e.Escalated(interrupt="i1", rung=1, who=("head",), kind="handoff"), ("", "", ""), None),
    (e.PolicyChanged(), ("", "", "no policy any more"), None),
    (e.Commented(interrupt="i1", by="ann", text="why?"), ("ann", "", "why?"), None),
    (e.RunPaused(by="ann", reason="audit", until=T0), ("ann", "", "audit"), None),
    (e.RunContinued(by="ann"), ("ann", "", ""), None),
    (e.Instructed(text="slowly", by="ann"), ("ann", "", "slowly"), None),
    (e.HandoffRequested(by="ann", reason="mine"), ("ann", "", "mine"), None),
    (e.StepDoneByHand(step="pay", by="ann", value=7, note="by phone"), ("ann", "done", "by phone"), 7),
    (e.WordVoided(kind="done", by="ann", reason="no such step"), ("ann", "voided", "no such step"), None),
    (
        e.RunForked(run_id="f", source="r", entry=3, link="", agent="a", contracts=(), by="ann", reason="mended"),
        ("ann", "", "mended"),
        None,
    ),
    (e.GoalChanged(goal=Goal(text="half", inputs={"n": 1}), by="ann", note="less"), ("ann", "", "less"), {"text": "half", "inputs": {"n": 1}}),
    (e.SignalReceived(name="go", value=[1], by="ann"), ("ann", "", "go"), [1]),
    (e.PolicyRuled(ruling=Ruling(rule="no", verdict="block", asks=False), step="pay"), ("", "blocked", ""), None),
]  # fmt: skip


@pytest.mark.parametrize(("event", "said", "value"), SAID, ids=[type(event).__name__ for event, _, _ in SAID])
async def test_each_kind_of_word_says_who_and_what(
    journal: SqliteJournal, event: e.AnyEvent, said: tuple[str, str, str], value: Any
) -> None:
    """Who said it, what was decided, and in which words."""
    await written(journal, "words", T0, (asked("i1"), event))
    records = await all_of(journal, "words")
    line = lines(records)[-1]
    assert ((line.who, line.decision, line.note), line.value) == (said, value)
    assert line.digest == ("d1" if getattr(event, "interrupt", "") else "")
    assert verify_audit([msgspec.json.encode(record) for record in records]) == []


async def test_an_audit_can_be_of_a_time_of_named_runs_or_of_a_tenant(journal: SqliteJournal) -> None:
    """What is outside is not there, and the rest is proven all the same."""
    some = await all_of(journal, since=T0 + 15, until=T0 + 31)
    assert [(line.run, line.sequence) for line in lines(some)] == [
        ("refunds-1", 4),
        ("refunds-1", 5),
        ("refunds-2", 3),
        ("refunds-2", 4),
    ]
    assert verify_audit(some) == []
    named = await all_of(journal, "quiet")
    assert [type(record).__name__ for record in named] == ["AuditLine", "AuditLine", "Proof", "AuditEnd"]
    assert verify_audit(named) == []
    assert lines(await all_of(journal, tenant="other")) == lines(await all_of(journal, agent="other")) != []
    assert not any(isinstance(record, (Proof, AuditEnd)) for record in await all_of(journal, proof=False))
    with pytest.raises(RunNotFound):
        await all_of(journal, "nothing")


async def test_approvals_in_advance_are_there_where_they_could_have_answered(journal: SqliteJournal) -> None:
    """Of all runs, or of one that is in the audit; of all tenants, or of the one that is wanted; revoked or not."""
    scopes: dict[str, dict[str, Any]] = {"s2": {"run_id": "refunds-2"}, "s3": {"tenant": "acme"}, "s4": {"agent": "mails"}}
    for name, scope in scopes.items():
        await journal.grant(StandingApproval(id=name, tool="refund", by="dora", at=T0, until=T0 + 1, **scope))

    async def named(*runs: str, **of: Any) -> set[str]:
        return {line.standing for line in lines(await all_of(journal, *runs, **of)) if not line.run}

    assert await named() == {"s1", "s2", "s3", "s4"}
    assert await named("quiet") == {"s1", "s3", "s4"}
    assert await named("refunds-2") == {"s1", "s2", "s3", "s4"}
    assert await named(tenant="bolt") == {"s1", "s2", "s4"}
    assert await named(agent="refunds") == {"s1", "s2", "s3"}
    assert verify_audit(await all_of(journal)) == []


# --- written ------------------------------------------------------------------------------------------------------


async def test_json_lines_are_read_back_and_hold(journal: SqliteJournal) -> None:
    """Whoever has the lines needs no store."""
    written = [line async for line in json_lines(audit(journal))]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in written)
    assert verify_audit(written) == []
    assert verify_audit([line.decode() for line in written]) == []


async def test_a_table_has_a_row_for_each_decision_and_no_formula(journal: SqliteJournal) -> None:
    """Cells that a spreadsheet would calculate are texts; numbers stay numbers."""
    text = "".join([part async for part in csv_lines(audit(journal))])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 11
    given = next(row for row in rows if row["event"] == "approval_given")
    assert given["note"] == "'" + HOSTILE
    assert (float(given["at"]), given["run"], given["sequence"]) == (T0 + 20, "refunds-1", "4")
    assert msgspec.json.decode(given["args"]) == {"order": 7, "amount": 700}
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in rows for cell in row.values())


# --- checked ------------------------------------------------------------------------------------------------------


async def test_an_audit_that_was_not_touched_holds(journal: SqliteJournal) -> None:
    """Also against the heads that were noted elsewhere."""
    records = await all_of(journal)
    heads = {run: (await journal.read(run)).head.link.hex() for run in ("refunds-1", "refunds-2")}
    assert verify_audit(records, heads) == []


Records = list[AuditRecord]


def proof_at(records: Records) -> int:
    """Where the first proof stands."""
    return next(place for place, record in enumerate(records) if isinstance(record, Proof))


def changed_line(records: Records) -> None:
    """Another person is said to have approved."""
    records[4] = msgspec.structs.replace(records[4], who="mallory")


def changed_time(records: Records) -> None:
    """It is said to have been decided at another time."""
    records[4] = msgspec.structs.replace(records[4], at=T0 + 29.0)


def removed_line(records: Records) -> None:
    """One decision is not there."""
    del records[3]


def invented_line(records: Records) -> None:
    """One that nobody made."""
    records.insert(4, msgspec.structs.replace(records[4], sequence=6, who="mallory"))


def doubled_line(records: Records) -> None:
    """The same one twice."""
    records.insert(4, records[4])


def swapped_lines(records: Records) -> None:
    """In another order."""
    records[3], records[4] = records[4], records[3]


def moved_line(records: Records) -> None:
    """Among those of another run."""
    records.insert(proof_at(records) + 1, records.pop(3))


def without_proof(records: Records) -> None:
    """A run without its proof."""
    del records[proof_at(records)]


def without_end(records: Records) -> None:
    """Cut off."""
    del records[-1]


def without_last_run(records: Records) -> None:
    """Cut off between two runs, with the end in its place."""
    del records[proof_at(records) + 1 : -1]


def without_standing(records: Records) -> None:
    """An approval in advance that was never taken back."""
    del records[1]


def changed_standing(records: Records) -> None:
    """Its limit is said to have been another."""
    records[0] = msgspec.structs.replace(records[0], detail={"amount_max": 1e6})


def invented_standing(records: Records) -> None:
    """A word of no run that is no approval in advance."""
    records.insert(2, msgspec.structs.replace(records[4], run=""))


def moved_standing(records: Records) -> None:
    """An approval in advance in the middle."""
    records.insert(proof_at(records), records.pop(1))


def second_proof(records: Records) -> None:
    """The same run once more."""
    records.insert(proof_at(records), records[proof_at(records)])


def without_any_proof(records: Records) -> None:
    """Nothing but lines."""
    records[:] = [record for record in records if not isinstance(record, Proof)]


def more_after_the_end(records: Records) -> None:
    """Something is added."""
    records.append(records[0])


def edited_proof(change: Callable[[Proof], dict[str, Any]]) -> Callable[[Records], None]:
    """A change of the first proof."""

    def tamper(records: Records) -> None:
        place = proof_at(records)
        proof = records[place]
        assert isinstance(proof, Proof)
        records[place] = msgspec.structs.replace(proof, **change(proof))

    return tamper


def _body(proof: Proof) -> dict[str, Any]:
    batch = proof.batches[3]
    body = b64encode(b64decode(batch.body).replace(b"bob", b"eve")).decode()
    return {"batches": (*proof.batches[:3], msgspec.structs.replace(batch, body=body), *proof.batches[4:])}


def _cut(proof: Proof) -> dict[str, Any]:
    return {"batches": proof.batches[:-1]}


def _cut_well(proof: Proof) -> dict[str, Any]:
    return {"batches": proof.batches[:-1], "entries": 6, "head": proof.batches[-2].link}


def _swapped(proof: Proof) -> dict[str, Any]:
    one, two, *rest = proof.batches
    return {"batches": (two, one, *rest)}


def _hole(proof: Proof) -> dict[str, Any]:
    return {"batches": (proof.batches[0], *proof.batches[2:])}


def _content(proof: Proof) -> dict[str, Any]:
    return {"contents": {digest: b64encode(b'"y"').decode() for digest in proof.contents}}


def _no_content(proof: Proof) -> dict[str, Any]:
    return {"contents": {}}


def _renamed(proof: Proof) -> dict[str, Any]:
    return {"proof": "refunds-7"}


def _no_base64(proof: Proof) -> dict[str, Any]:
    return {"batches": (msgspec.structs.replace(proof.batches[0], body="?"), *proof.batches[1:])}


TAMPERED: list[tuple[Callable[[Records], None], str]] = [
    (changed_line, "line 5 (run refunds-1, entry 5): not what was written: who"),
    (changed_time, "line 5 (run refunds-1, entry 5): not what was written: at"),
    (removed_line, "before line 6 (run refunds-1, entry 4): the line of this approval_given is missing"),
    (invented_line, "line 5 (run refunds-1, entry 6): the journal has no such decision there"),
    (doubled_line, "line 6 (run refunds-1, entry 5): it is there twice"),
    (swapped_lines, "line 5 (run refunds-1, entry 4): it is out of order"),
    (moved_line, "line 8 (run refunds-1, entry 4): it stands among those of refunds-2"),
    (without_proof, "line 3 (run refunds-1, entry 2): it stands among those of refunds-2"),
    (without_end, "the end is missing"),
    (without_last_run, "line 8: there are 7 records before it instead of 13"),
    (without_standing, "line 13: there are 12 records before it instead of 13"),
    (changed_standing, "line 14: the records before it are not the ones that were written"),
    (invented_standing, "line 3: it names no run, and is no approval given in advance"),
    (moved_standing, "line 7: what belongs to no run comes before all runs"),
    (second_proof, "line 8 (run refunds-1): the run was proven before"),
    (without_any_proof, "line 3 (run refunds-1, entry 2): nothing proves it"),
    (more_after_the_end, "line 15: the audit had ended before it"),
    (edited_proof(_body), "line 7 (run refunds-1): entry 5 is not what was written"),
    (edited_proof(_cut), "line 7 (run refunds-1): the journal ends at entry 6 instead of 9"),
    (edited_proof(_cut_well), "line 6 (run refunds-1, entry 9): the journal has no such decision there"),
    (edited_proof(_swapped), "line 7 (run refunds-1): entry 1 is missing"),
    (edited_proof(_hole), "line 7 (run refunds-1): entry 2 is missing"),
    (edited_proof(_content), "line 7 (run refunds-1): the stored content"),
    (edited_proof(_no_content), "line 7 (run refunds-1): it cannot be read"),
    (edited_proof(_renamed), "line 7 (run refunds-7): entry 1 is not what was written"),
    (edited_proof(_no_base64), "line 7 (run refunds-1): it cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("tamper", "problem"), TAMPERED, ids=[problem[:60] for _, problem in TAMPERED])
async def test_what_was_tampered_with_is_refused_with_its_place(
    journal: SqliteJournal, tamper: Callable[[Records], None], problem: str
) -> None:
    """Changed, left out, invented, moved, cut off: each is named."""
    records = await all_of(journal)
    tamper(records)
    found = verify_audit(records)
    assert any(said.startswith(problem) for said in found), found


async def test_a_journal_that_was_made_anew_is_found_by_a_head_that_was_noted(journal: SqliteJournal) -> None:
    """A whole other chain is as good as any, unless somebody knows how it ended before."""
    head = (await journal.read("refunds-1")).head.link.hex()
    records = [record for record in await all_of(journal) if not isinstance(record, AuditEnd)]
    place = proof_at(records)
    proof = records[place]
    assert isinstance(proof, Proof)
    previous, batches = b"", []
    for batch in proof.batches:
        body = b64decode(batch.body).replace(b"bob", b"eve")
        previous = codec.link(previous, proof.proof, batch.first, batch.fence, batch.at, body)
        batches.append(msgspec.structs.replace(batch, body=b64encode(body).decode(), link=previous.hex()))
    records[place] = msgspec.structs.replace(proof, batches=tuple(batches), head=previous.hex())
    links = {batch.first: batch.link for batch in batches}
    forged = [
        msgspec.structs.replace(
            record, who=record.who.replace("bob", "eve"), link=links[max(n for n in links if n <= record.sequence)]
        )
        if isinstance(record, AuditLine) and record.run == "refunds-1"
        else record
        for record in records
    ]
    without_end = ["the end is missing: something was cut off"]
    assert verify_audit(forged) == without_end
    assert verify_audit(forged, {"refunds-1": head}) == [
        f"line {place + 1} (run refunds-1): its head is not the one that was noted", *without_end,
    ]  # fmt: skip
    assert verify_audit(records[:0], {"refunds-1": head})[-1] == "run refunds-1: its head was noted, and it is not there"


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{", b'{"event": 7}', b'{"proof": "r"}', b'{"event":"asked","at":1.0,"at_iso":"","more":1}', "\ud800"]
)
async def test_what_is_no_record_is_named_and_not_an_error(line: bytes | str) -> None:
    """Also where it is no JSON at all."""
    assert verify_audit([line])[0] == "line 1: it is no record of an audit"


async def test_a_store_that_was_changed_gives_no_audit(journal: SqliteJournal) -> None:
    """Behind everybody's back, in the file."""
    connection = apsw.Connection(journal.path)
    connection.execute("update batches set body = cast(replace(cast(body as text), 'bob', 'eve') as blob) where first = 5")
    connection.close()
    with pytest.raises(JournalCorrupt, match="entry 5"):
        await all_of(journal)
