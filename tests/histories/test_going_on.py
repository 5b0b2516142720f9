"""What the release before left open goes on under this one: its stores open, and its questions can be answered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from holdfast.core import checkpoint
from holdfast.core import events as e
from holdfast.core.commands import CallTool
from holdfast.core.decide import Decision, decide
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.journal.base import Batch, Checkpoint, Head, NewRun, Release
from holdfast.journal.sqlite import SqliteJournal
from holdfast.journal.sqlite.file import migrations
from holdfast.runner import advance
from holdfast.testing.memory import MemoryStore
from tests.core.test_checkpoint import FORMS_BEFORE
from tests.histories.record_thinking import Prices, Studio, planner, played, tools
from tests.histories.test_histories import RECORDED

BEFORE = RECORDED["0003_thinking"]
# Of the release before: the last of its migrations, and the form of its checkpoints.
MIGRATIONS, FORM_BEFORE = 4, FORMS_BEFORE[-1]


def up_to_question(run_id: str) -> tuple[list[e.Entry], e.Asked]:
    """A run up to the batch in which a person is first asked about a call, and what they are asked."""
    entries = BEFORE.entries(run_id)
    asked = next(entry for entry in entries if isinstance(entry.event, e.Asked) and entry.event.about == "call")
    ends = [batch["first"] - 1 for batch in BEFORE.batches[run_id]] + [len(entries)]
    assert isinstance(asked.event, e.Asked)
    return entries[: next(end for end in ends if end >= asked.sequence)], asked.event


def after(state: State, *events: e.AnyEvent, at: float, fence: int = 0) -> State:
    """The state with more said."""
    first = state.version + 1
    return fold([e.Entry(number, at, fence or state.fence, event) for number, event in enumerate(events, first)], state)


def calls_of(decision: Decision, step: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls of a step that are to be made now."""
    return [(each.tool, each.args) for each in decision.commands if isinstance(each, CallTool) and each.step == step]


# With a fixed plan each; the last one has a plan of a model's.
ASKING = ["shop/2", "shop/4", "shop/8", "travel/2"]
ASKING_OF_A_MODEL = "stay/1"


@pytest.mark.parametrize("run_id", ASKING)
@pytest.mark.parametrize(("decision", "called"), [("approve", True), ("reject", False), ("expired", False)])
def test_a_question_of_the_release_before_can_be_answered(run_id: str, decision: Any, called: bool) -> None:
    """It has no ruling, no ladder and nobody in particular; a yes is still good for the call as it was shown, and only a yes."""
    entries, asked = up_to_question(run_id)
    assert (asked.ruling, asked.ladder, asked.who, asked.people) == (None, None, (), 1)
    state = fold(entries)
    now = asked.expires_at if decision == "expired" else state.at + 1.0
    if decision != "expired":
        word = e.Answered(interrupt=asked.interrupt, decision=decision, by="ann", roles=("boss",), seen_at=now, said_at=now)
        state = after(state, word, at=now)
    decided = decide(state, now)
    assert calls_of(decided, asked.step) == ([(asked.tool, asked.args)] if called else [])
    assert asked.interrupt not in decided.state.interrupts


def test_where_a_model_plans_it_is_asked_anew() -> None:
    """An approval is bound to the revision of the plan, and what was asked before was not: an old yes makes no call."""
    entries, asked = up_to_question(ASKING_OF_A_MODEL)
    state = fold(entries)
    now = state.at + 1.0
    again = decide(after(state, e.Answered(interrupt=asked.interrupt, decision="approve", by="ann"), at=now), now)
    assert calls_of(again, asked.step) == []
    ((interrupt, question),) = again.state.interrupts.items()
    assert (question.step, question.args) == (asked.step, asked.args) and question.ruling is not None
    decided = decide(after(again.state, e.Answered(interrupt=interrupt, decision="approve", by="ann"), at=now), now)
    assert calls_of(decided, asked.step) == [(asked.tool, asked.args)]


@pytest.mark.parametrize("run_id", ASKING)
def test_a_question_of_the_release_before_stays_as_it_is_until_it_is_answered(run_id: str) -> None:
    """Nobody is asked anew because the release is another."""
    entries, asked = up_to_question(run_id)
    state = fold(entries)
    resumed = after(state, e.RunResumed(worker="new"), at=state.at + 5.0, fence=state.fence + 1)
    decided = decide(resumed, state.at + 5.0)
    assert decided.state.interrupts[asked.interrupt] == asked
    assert decided.state.standings[asked.interrupt].asked_at == entries[-1].at
    assert decided.wake_at is not None and decided.wake_at <= asked.expires_at


# --- stores -----------------------------------------------------------------------------------------------------------


def written_before(path: Path, run_id: str) -> list[e.Entry]:
    """A file as the release before left it, with a run that waits for a person, and a checkpoint of it that is not so."""
    entries, _ = up_to_question(run_id)
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table migrations (number integer primary key, checksum text not null) strict")
    for number, text, checksum in migrations()[:MIGRATIONS]:
        connection.execute(text)
        connection.execute("insert into migrations values (?, ?)", (number, checksum))
    connection.pragma("user_version", MIGRATIONS)
    connection.pragma("application_id", 0x486F6C64)
    connection.execute("insert or ignore into secret values (1, ?)", (bytes(32),))
    batches = [batch for batch in BEFORE.batches[run_id] if batch["first"] <= len(entries)]
    link, at = bytes.fromhex(batches[-1]["link"]), batches[-1]["at"]
    connection.execute(
        "insert into runs (run_id, agent, goal_digest, tenant, priority, labels, status, due_at, rank, version, head, fence,"
        " created_at, changed_at) values (?, 'a', 'g', '', 0, '{}', 'blocked', null, 1.0, ?, ?, ?, ?, ?)",
        (run_id, len(entries), link, batches[-1]["fence"], batches[0]["at"], at),
    )
    for digest, content in BEFORE.contents.items():
        connection.execute("insert into contents values (?, ?)", (digest, content))
    for batch, following in zip(batches, [*(each["first"] for each in batches[1:]), len(entries) + 1], strict=True):
        connection.execute(
            "insert into batches values (1, ?, ?, ?, ?, ?, ?)",
            (
                batch["first"], following - batch["first"], batch["fence"], batch["at"], batch["body"].encode(),
                bytes.fromhex(batch["link"]),
            ),
        )  # fmt: skip
    connection.execute("insert into checkpoints values (1, ?, ?, ?, ?)", (len(entries), link, FORM_BEFORE, b"[{},{}]"))
    connection.close()
    return entries


@pytest.mark.parametrize("run_id", ["shop/4", ASKING_OF_A_MODEL])
async def test_a_store_of_the_release_before_opens(tmp_path: Path, run_id: str) -> None:
    """With all that is in it; what was asked before can be told and answered in it."""
    entries = written_before(tmp_path / "runs.db", run_id)
    journal = SqliteJournal(tmp_path / "runs.db")
    await journal.open()
    try:
        history = await journal.read(run_id)
        assert history.entries == entries
        claim = await journal.claim(run_id, "w", entries[-1].at + 1.0, 10.0)
        assert claim is not None
        word = e.Answered(interrupt=next(iter(fold(entries).interrupts)), decision="approve", by="ann", roles=("boss",))
        said = Batch(
            run_id=run_id, fence=claim.fence, head=history.head, at=entries[-1].at + 1.0,
            events=(e.RunResumed(worker="w"), word),
        )  # fmt: skip
        assert isinstance(await journal.append(said), Head)
        later = (await journal.read(run_id)).entries
        assert [entry.event for entry in later[len(entries) :]] == [e.RunResumed(worker="w"), word]
    finally:
        await journal.close()


async def test_a_checkpoint_of_the_release_before_is_not_believed(tmp_path: Path) -> None:
    """It is of a form of its own, also where it could be read; the events are folded instead."""
    entries = written_before(tmp_path / "runs.db", "shop/4")
    journal = SqliteJournal(tmp_path / "runs.db")
    await journal.open()
    try:
        kept = await journal.checkpoint("shop/4")
        assert kept is not None and kept.head.version == len(entries)
        assert kept.form == FORM_BEFORE != checkpoint.FORM
    finally:
        await journal.close()


def test_a_run_of_the_release_before_is_gone_on_with_by_a_worker_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person answers what they were asked by the release before, and what is asked again: the payment is made, once. A
    checkpoint of that release, by which the run is over, is not believed."""
    monkeypatch.setattr(advance, "CHECKPOINT_EVENTS", 1)

    async def story(studio: Studio) -> None:
        run_id = ASKING_OF_A_MODEL
        entries, asked = up_to_question(run_id)
        head = left_open(studio.store, run_id, entries)
        over = checkpoint.to_bytes(replace(fold(entries), ended="failed"))
        studio.store.keep(run_id, Checkpoint(head=head, form=FORM_BEFORE, body=over))
        await asyncio.sleep(entries[-1].at + 1.0 - studio.clock.now())
        prices = Prices()
        prices.looks = 1
        studio.start(planner(tools(prices)))
        for _ in range(2):
            state = await studio.until(run_id, lambda state: state.interrupts or state.steps[asked.step].phase == "done")
            if state.interrupts:
                await studio.answered(run_id, "approve")
        state = await studio.until(run_id, lambda state: state.steps[asked.step].phase == "done")
        assert state.steps[asked.step].approved_by == ("ann",)
        assert state.steps[asked.step].attempt == 1

    played(story)


def left_open(store: MemoryStore, run_id: str, entries: list[e.Entry]) -> Head:
    """Put a run into a store, up to here, waiting; where its journal ends."""
    start = entries[0].event
    assert isinstance(start, e.RunStarted)
    batches = [batch for batch in BEFORE.batches[run_id] if batch["first"] <= len(entries)]
    firsts = [*(batch["first"] for batch in batches), len(entries) + 1]
    run = NewRun(run_id=run_id, agent=start.agent, goal_digest="", tenant=start.tenant, priority=0, labels={})
    claim = store.create(run, tuple(entry.event for entry in entries[: firsts[1] - 1]), batches[0]["at"], "", 0.0)
    head = Head(firsts[1] - 1, bytes.fromhex(batches[0]["link"]))
    for batch, first, following in zip(batches[1:], firsts[1:], firsts[2:], strict=False):
        events = tuple(entry.event for entry in entries[first - 1 : following - 1])
        if claim is None or claim.fence != batch["fence"]:
            claim = store.claim(run_id, "before", batch["at"], 1.0)
        written = store.append(Batch(run_id=run_id, fence=batch["fence"], head=head, at=batch["at"], events=events))
        assert isinstance(written, Head)
        assert written.link.hex() == batch["link"], "the same bytes as then"
        head = written
    assert claim is not None
    store.release(claim, Release(status="blocked", due_at=None))
    return head
