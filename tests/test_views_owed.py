"""What is owed, held back, done another way and taken back: how it is told, and how a run's summary has it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast import views
from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.evolve import fold
from holdfast.core.gates import GateState
from holdfast.core.limits import Limits
from holdfast.core.plan import Goal, Plan, Step
from holdfast.journal.base import Owed
from tests.test_views import START, row

DAY = START + 86400
UNTIL = "2027-01-16T08:00:00.000Z"
CONTRACTS = (
    Contract(tool="look", safety="read"),
    Contract(tool="book", safety="keyed", poll=True, callback=True, at_deadline="give_up"),
    Contract(tool="mail", safety="reconcilable", probe=True, visible_within_seconds=600.0),
    Contract(tool="research", agent="research", safety="idempotent"),
)
PLANNED = tuple(
    Step(id=name, tool=tool) for name, tool in (("seat", "book"), ("mail", "mail"), ("brief", "research"), ("x", "look"))
)
DENIED = e.Failure(kind="denied", message="sold out")
BOOKED = e.CallIntended(step="seat", attempt=1, tool="book", key="k", args={})
DEFERRED = e.CallDeferred(step="seat", attempt=1, handle="h-7", by="airline", until=DAY)
PARTIAL = e.CallPartial(step="seat", attempt=1, value=[1], left=("bag 2", "bag 3"), by="airline", until=DAY)
MAILED = (e.CallIntended(step="mail", attempt=1, tool="mail", key="m"), e.CallSucceeded(step="mail", attempt=1, value="sent"))
STARTED = (
    e.CallIntended(step="brief", attempt=1, tool="research", key="b"),
    e.CallDeferred(step="brief", attempt=1, handle="r.brief", by="agent research", until=DAY),
)


def history(*events: e.AnyEvent, **start: Any) -> list[e.Entry]:
    """Entries a second apart, after the start of a run and its plan."""
    begun = (
        e.RunStarted(run_id="r", agent="x", goal=Goal(), contracts=CONTRACTS, **start),
        e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=PLANNED)),
    )
    return [e.Entry(at + 1, START + at, 1, event) for at, event in enumerate((*begun, *events))]


def tree_of(*events: e.AnyEvent, children: tuple[Any, ...] = (), **start: Any) -> views.Tree:
    """The tree of a run, ten seconds after its start."""
    entries = history(*events, **start)
    state = fold(entries)
    return views.tree(state, entries, row(state, status=state.ended or "waiting"), START + 10, ("x",), (), children)


# --- told ---------------------------------------------------------------------------------------------------------

MINUTE = START + 60
AT_MINUTE = "2027-01-15T08:01:00.000Z"

TOLD: list[tuple[e.AnyEvent, str]] = [
    (DEFERRED, f"seat: airline took it as h-7 and owes its result until {UNTIL}"),
    (e.CallDeferred(step="seat", attempt=1), "seat: the other side took it and owes its result"),
    (PARTIAL, f"seat: done in part; left: bag 2, bag 3; airline owes that until {UNTIL}"),
    (
        e.CallPartial(step="seat", attempt=1, left=("b",), rest={"n": 1}),
        "seat: done in part; left: b; another call is to do that",
    ),
    (
        e.CallSucceeded(step="x", attempt=1, value=1, seconds=1, changes=(e.Change(name="credit", amount=-3.0, note="Oslo"),)),
        "x: done in 1s: 1; also: credit −3 (Oslo)",
    ),
    (
        e.CallSucceeded(step="x", attempt=1, value="y" * 15998, seconds=1, cut=e.Cut(bytes=12_345_678, digest="d")),
        "x: done in 1s: " + "y" * 120 + "… (15998 characters in all); the result has 12.3 MB and was cut to 16 kB; the whole of "
        "it was stored",
    ),
    (
        e.CallSucceeded(step="x", attempt=1, value=1, seconds=1, cut=e.Cut(bytes=999)),
        "x: done in 1s: 1; the result has 999 bytes and was cut to 1 byte; the whole of it was not kept",
    ),
    (
        e.CallFailed(step="x", attempt=1, failure=e.Failure(kind="insufficient", message="no rooms", landed=True)),
        "x: failed: insufficient: no rooms (the call had its effect all the same)",
    ),
    (
        e.ProbeAnswered(step="seat", probe=1, verdict="happened", failure=DENIED),
        "seat: the probe says: it happened (it will not do: denied: sold out)",
    ),
    (
        e.ProbeAnswered(step="seat", probe=1, verdict="happened", left=("bag 3",)),
        "seat: the probe says: it happened; left: bag 3",
    ),
    (
        e.CallbackReceived(step="seat", key="k", value={"no": "2A"}, by="airline"),
        'seat: airline called back with its result: {"no":"2A"}',
    ),
    (e.CallbackReceived(step="seat", key="k", failure=DENIED), "seat: the other side called back: denied: sold out"),
    (
        e.CallbackRefused(step="seat", reason="it came a second time", by="airline"),
        "seat: a delivery from airline was refused: it came a second time",
    ),
    (e.CallbackRefused(step="seat", reason="late"), "seat: a delivery was refused: late"),
    (e.SignalReceived(name="paid", value={"sum": 7}, by="ann"), 'the signal paid came from ann: {"sum":7}'),
    (e.SignalReceived(name="paid"), "the signal paid came"),
    (
        e.ChildEnded(step="brief", child="r.brief", status="completed", partial=("a",)),
        "brief: its run r.brief has completed (partial: a)",
    ),
    (
        e.ChildEnded(step="brief", child="r.brief", status="failed", reason="no luck"),
        "brief: its run r.brief has failed: no luck",
    ),
    (
        e.PendingRuled(step="seat", row="late-fail", action="fail", reason="it has not come"),
        "seat: it has not come [late-fail]",
    ),
    (
        e.RestPlanned(step="seat", rest=Step(id="seat_rest", tool="book")),
        "seat: goes on in the step seat_rest, which calls book",
    ),
    (
        e.FollowUpSuppressed(step="mail2", same_as="mail", until=DAY),
        f"mail2: not made: it would repeat mail, which is owed until {UNTIL}",
    ),
    (
        e.FollowUpSuppressed(step="mail2", same_as="mail", run_id="other"),
        "mail2: not made: it would repeat step mail of run other, which is owed",
    ),
    (
        e.FollowUpSuppressed(step="mail2", run_id="other", reason="it would repeat what is under way in the run other"),
        "mail2: not made: it would repeat what is under way in the run other",
    ),
    (
        e.CallHeld(step="x", tool="flights", why="circuit", until=MINUTE),
        f"x: not called yet: the circuit of flights is open; tried again at {AT_MINUTE}",
    ),
    (
        e.CallHeld(step="x", tool="flights", why="rate", until=MINUTE),
        f"x: not called yet: the rate of flights is used up; tried again at {AT_MINUTE}",
    ),
    (
        e.CallRefused(step="x", same_as="y", failure=DENIED),
        "x: not made: the very same call failed in y, and nothing has changed since: denied: sold out",
    ),
    (
        e.CallRefused(step="x", same_as="x", failure=DENIED),
        "x: not made: the very same call failed before, and nothing has changed since: denied: sold out",
    ),
    (e.StepSkipped(step="x", reason="y is done", needless=True), "x: not needed: y is done"),
    (
        e.UndoPlanned(
            reason="cancelled", steps=(Step(id="u1", tool="t", undoes="seat"), Step(id="u2", tool="t")), kept=("mail",)
        ),
        "what was done is taken back: seat, u2; cannot be undone: mail",
    ),
    (e.UndoPlanned(reason="cancelled"), "there is nothing to take back"),
    (e.CancelRequested(by="ann"), "ann wants it cancelled"),
    (e.CancelRequested(by="ann", on_stop="undo"), "ann wants it cancelled, and what was done taken back"),
    (
        e.RunStarted(run_id="c", agent="x", goal=Goal(), contracts=(), parent="r", parent_step="brief"),
        "started, agent x, by step brief of run r",
    ),
    (e.RunCompleted(), "completed"),
    (e.RunCompleted(replaced={"hotel": "book_hostel"}), "completed; replaced: hotel by book_hostel"),
    (
        e.RunCompleted(skipped=("a", "b"), flagged=("b",), partial=("c",)),
        "completed (partial): skipped: a; flagged: b; done in part: c",
    ),
    (
        e.RunFailed(reason="no", undone=("a",), kept=("b",), unknown=("c",)),
        "failed: no; taken back: a; stays done: b; unknown: c",
    ),
    (e.RunCancelled(by="ann", undone=("a",)), "cancelled by ann; taken back: a"),
]


@pytest.mark.parametrize(("event", "words"), TOLD, ids=[f"{type(event).__name__}-{at}" for at, (event, _) in enumerate(TOLD)])
def test_an_entry_is_told_in_one_line(event: e.AnyEvent, words: str) -> None:
    """What it means, for somebody who sees it go by."""
    assert views.told(event) == words


def test_with_the_state_it_is_told_what_settles_what_is_owed() -> None:
    """A poll, a callback, a signal; for a child its end; the deadline where the call named none."""
    state = fold(history(BOOKED, DEFERRED, *STARTED))
    assert str(views.told(DEFERRED, state)).endswith(f"until {UNTIL} (settled by poll every 30s, callback, signal seat)")
    assert str(views.told(STARTED[1], state)).endswith(f"until {UNTIL} (settled by its end)")
    unnamed = msgspec.structs.replace(PARTIAL, until=None)
    state = fold(history(BOOKED, unnamed))
    assert "airline owes that until 2027-01-16T08:00:03.000Z (settled by" in str(views.told(unnamed, state))


def test_names_from_the_other_side_are_cut_where_they_are_long() -> None:
    """And the line says so."""
    long = "z" * 5000
    for event in (
        msgspec.structs.replace(DEFERRED, handle=long, by=long),
        e.CallPartial(step="a", attempt=1, left=tuple(long for _ in range(500))),
        e.CallbackReceived(step="a", key="k", value=long, by=long),
        e.CallbackRefused(step="a", reason=long, by=long),
        e.SignalReceived(name=long, value=long, by=long),
        e.ChildEnded(step="a", child="c", status="failed", reason=long, partial=(long,) * 50),
        e.CallSucceeded(step="a", attempt=1, value=1, changes=(e.Change(name=long, note=long),) * 50),
    ):
        words = str(views.told(event))
        assert len(words) < 2500 and " characters in all)" in words, words


def test_a_time_that_no_calendar_has_is_told_all_the_same() -> None:
    """A tool may say anything."""
    assert "until the end of time" in str(views.told(e.CallDeferred(step="a", attempt=1, until=1e300)))


def test_steps_inside_of_an_entry_stand_by_their_names() -> None:
    """In the one line of `show --events`."""
    undo = e.UndoPlanned(reason="r", steps=(Step(id="u", tool="t", args={"much": 1}),))
    rest = e.RestPlanned(step="s", rest=Step(id="s_rest", tool="t", args={"much": 1}))
    assert views.entry_line(e.Entry(1, START, 1, undo)).fields == 'reason=r steps=["u"]'
    assert views.entry_line(e.Entry(1, START, 1, rest)).fields == "step=s rest=s_rest"


# --- what is owed -------------------------------------------------------------------------------------------------


def test_what_is_owed_says_by_whom_until_when_and_what_settles_it() -> None:
    """With how often it was looked for, and what follows at the deadline."""
    looked = (e.ProbeIntended(step="seat", probe=1), e.ProbeAnswered(step="seat", probe=1, verdict="not_yet", message="queued"))
    run = tree_of(BOOKED, DEFERRED, *looked).run
    (owed,) = run.owed
    assert (owed.step, owed.tool, owed.about, owed.by, owed.handle, owed.until) == (
        "seat",
        "book",
        "result",
        "airline",
        "h-7",
        DAY,
    )
    assert (owed.since, owed.looks, owed.looked_at, owed.found, owed.message) == (
        START + 3,
        1,
        START + 4,
        "not there yet",
        "queued",
    )
    assert owed.due_at is not None and START + 5 < owed.due_at < DAY
    assert owed.at_deadline == "it is given up and flagged"
    assert views.owed_words(owed) == (
        f"the result of seat is owed by airline until {UNTIL} (poll every 1m, callback, signal seat)"
    )


def test_each_kind_of_what_is_owed_has_its_words() -> None:
    """The rest of a part, that something can be seen, the end of a run; the soonest deadline first."""
    run = tree_of(BOOKED, PARTIAL, *MAILED, *STARTED).run
    assert [views.owed_words(one) for one in run.owed] == [
        "mail is done, and must be seen by 2027-01-15T08:10:05.000Z (probe every 1s)",
        f"the result of brief is owed by run r.brief until {UNTIL} (its end)",
        f"bag 2, bag 3 of seat are owed by airline until {UNTIL} (poll every 30s, callback, signal seat)",
    ]


def test_what_only_a_word_from_outside_settles_is_not_looked_for() -> None:
    """No next look; the step is due at its deadline."""
    entries = history(e.CallIntended(step="x", attempt=1, tool="look", key="k"), e.CallDeferred(step="x", attempt=1, until=DAY))
    tree = views.tree(fold(entries), entries, row(fold(entries)), START + 10)
    assert tree.run.owed[0].due_at is None
    assert tree.steps[3].due_at == DAY


def test_a_run_that_has_ended_tells_what_it_was_owed() -> None:
    """Nothing settles it any more."""
    run = tree_of(BOOKED, DEFERRED, e.CancelRequested(by="ann"), e.RunCancelled(by="ann", unknown=("seat",))).run
    (owed,) = run.owed
    assert (owed.settled_by, owed.due_at, owed.at_deadline) == ((), None, "")
    assert run.unknown == ("seat",)


def test_what_is_under_way_names_who_owes_it_and_until_when() -> None:
    """For the line that moves while a run goes on."""
    state = fold(history(BOOKED, DEFERRED, *STARTED))
    assert views.under_way(state, START + 10) == (
        f"seat (its result is owed by airline, until {UNTIL}; poll every 30s, callback, signal seat)",
        f"brief (its run goes on, run r.brief, until {UNTIL}; its end)",
    )


def test_what_all_runs_are_owed_has_a_line_each() -> None:
    """The next look only where there is one before the deadline."""
    owed = Owed(run_id="r", step="s", tool="t", about="result", by="x", key="k", since=START, until=DAY, due_at=DAY)
    assert views.owed_line(owed, START).due_at is None
    assert views.owed_line(msgspec.structs.replace(owed, due_at=MINUTE), START).due_at == MINUTE
    assert (views.owed_line(owed, START).overdue, views.owed_line(owed, DAY).overdue) == (False, True)


# --- the summary --------------------------------------------------------------------------------------------------


def test_a_follow_up_that_is_not_made_says_what_it_would_repeat() -> None:
    """Until it is made after all."""
    tree = tree_of(BOOKED, DEFERRED, e.FollowUpSuppressed(step="x", same_as="seat", until=DAY))
    assert tree.run.suppressed == {"x": "seat"}
    assert (tree.steps[3].phase, tree.steps[3].reason) == ("held back", "it would repeat seat, which is owed")
    made = e.CallIntended(step="x", attempt=1, tool="look", key="k")
    assert tree_of(e.FollowUpSuppressed(step="x", same_as="seat"), made).run.suppressed == {}


def test_a_call_that_a_gate_holds_back_says_which() -> None:
    """And when it is tried again."""
    step = tree_of(e.CallHeld(step="x", tool="look", why="rate", until=MINUTE)).steps[3]
    assert (step.phase, step.reason, step.due_at) == ("held back", "the rate of look is used up", MINUTE)


@pytest.mark.parametrize(
    ("ended", "whole"),
    [
        (e.RunCompleted(), True),
        (e.RunCompleted(replaced={"x": "seat"}), True),
        (e.RunCompleted(skipped=("x",)), False),
        (e.RunCompleted(skipped=("x",), flagged=("x",)), False),
        (e.RunCompleted(partial=("x",)), False),
        (e.RunFailed(reason="no"), True),
    ],
)
def test_a_run_that_completed_in_part_is_not_whole(ended: e.AnyEvent, whole: bool) -> None:
    """Skipped, flagged, in part; what was replaced is done."""
    assert tree_of(ended).run.whole is whole


def test_a_list_of_runs_tells_what_is_not_whole() -> None:
    """From the store's row alone; why one failed too."""
    state = fold(history())
    line = views.run_line(row(state, status="completed", waits_for="skipped: x"), (), START)
    assert (line.whole, line.reason, line.waits_for) == (False, "skipped: x", "")
    line = views.run_line(row(state, status="failed", waits_for="no luck"), (), START)
    assert (line.whole, line.reason) == (True, "no luck")
    line = views.run_line(row(state, status="waiting", waits_for="retry of x"), (), START)
    assert (line.whole, line.reason, line.waits_for) == (True, "", "retry of x")


def test_what_calls_changed_is_counted_beside_its_limit() -> None:
    """Over all steps; a step tells its own."""
    changed = e.CallSucceeded(step="seat", attempt=1, changes=(e.Change(name="credit", amount=3.0), e.Change(name="mails")))
    tree = tree_of(BOOKED, changed, limits=Limits(changes={"credit": 10.0}))
    assert tree.run.changes == (views.Counted(name="credit", amount=3.0, allowed=10.0), views.Counted(name="mails", amount=1.0))
    assert [change.name for change in tree.steps[0].changes] == ["credit", "mails"]


def test_what_is_taken_back_and_what_cannot_be_is_named() -> None:
    """While it is under way and afterwards."""
    undo = e.UndoPlanned(reason="cancelled", steps=(Step(id="undo_seat", tool="look", undoes="seat"),), kept=("mail",))
    stopping = (BOOKED, e.CallSucceeded(step="seat", attempt=1), *MAILED, e.CancelRequested(by="ann", on_stop="undo"))
    assert tree_of(*stopping).run.stopping == "ann wants it cancelled, and what was done taken back"
    run = tree_of(*stopping, undo).run
    assert run.stopping == "ann wants it cancelled; what was done is being taken back, 0 of 1 calls for it have ended"
    assert (run.undoing, run.undone, run.kept) == (("undo_seat",), (), ("mail",))
    taken = (
        e.CallIntended(step="undo_seat", attempt=1, tool="look", key="u"), e.CallSucceeded(step="undo_seat", attempt=1),
        e.RunCancelled(by="ann", undone=("seat",), kept=("mail",)),
    )  # fmt: skip
    tree = tree_of(*stopping, undo, *taken)
    assert (tree.run.undone, tree.run.kept, tree.run.done) == (("seat",), ("mail",), ("mail", "undo_seat"))
    assert tree.steps[-1].undoes == "seat"


def test_a_result_that_was_cut_tells_how_large_the_whole_was() -> None:
    """And whether the store has it."""
    called = e.CallIntended(step="x", attempt=1, tool="look", key="k")
    step = tree_of(called, e.CallSucceeded(step="x", attempt=1, value="ab", cut=e.Cut(bytes=99, digest="d"))).steps[3]
    assert (step.whole_bytes, step.kept_bytes, step.stored) == (99, 4, True)
    step = tree_of(called, e.CallSucceeded(step="x", attempt=1, value="ab", cut=e.Cut(bytes=99))).steps[3]
    assert step.stored is False


def test_started_runs_stand_with_the_step_that_started_them() -> None:
    """Whether they go on or have ended."""
    child = msgspec.structs.replace(row(fold(history())), run_id="r.brief", agent="research", parent="r")
    going = tree_of(*STARTED, children=(child,))
    assert [(one.run.run_id, one.step, one.run.parent) for one in going.children] == [("r.brief", "brief", "r")]
    ended = tree_of(
        *STARTED, e.ChildEnded(step="brief", child="r.brief", status="completed"),
        e.PendingRuled(step="brief", row="came", action="settle", reason="it came"), children=(child,),
    )  # fmt: skip
    assert ended.children[0].step == "brief"
    assert ended.steps[2].settled_by == "child"
    assert [applied.row for applied in ended.steps[2].recovery] == ["came"]


def test_a_step_ends_with_its_last_word_and_not_with_what_is_said_of_it_later() -> None:
    """A late delivery, or a look for what may not be seen yet, ends nothing."""
    later = (e.ProbeIntended(step="mail", probe=1), e.ProbeAnswered(step="mail", probe=1, verdict="not_yet"))
    assert tree_of(*MAILED, *later).steps[1].ended_at == START + 3
    settled = (
        e.CallbackReceived(step="seat", key="k"),
        e.PendingRuled(step="seat", row="came", action="settle", reason="it came"),
    )
    tree = tree_of(BOOKED, DEFERRED, *settled, e.CallbackRefused(step="seat", reason="second"))
    assert (tree.steps[0].ended_at, tree.steps[0].settled_by) == (START + 5, "callback")


def test_the_records_of_what_is_owed_are_plain_json() -> None:
    """What `--json` prints reads back as what it was."""
    child = msgspec.structs.replace(row(fold(history())), run_id="r.brief", agent="research", parent="r")
    tree = tree_of(BOOKED, PARTIAL, *MAILED, *STARTED, e.FollowUpSuppressed(step="x", same_as="seat"), children=(child,))
    assert msgspec.json.decode(msgspec.json.encode(tree), type=views.Tree) == tree


# --- gates --------------------------------------------------------------------------------------------------------

NOW = START + 10

GATES: list[tuple[GateState, str, str]] = [
    (GateState(), "closed", ""),
    (GateState(failures=(START,)), "closed", "1 failure"),
    (
        GateState(failures=(START, START + 1), opened_at=START + 1, open_until=START + 40),
        "open",
        "nobody calls it until 2027-01-15T08:00:40.000Z (in 30s) after 2 failures in a row",
    ),
    (GateState(opened_at=START, open_until=START + 40), "open", "nobody calls it until 2027-01-15T08:00:40.000Z (in 30s)"),
    (GateState(failures=(START,), open_until=START + 9), "half_open", "the next call finds out whether it works again"),
    (
        GateState(open_until=START + 9, trial_until=START + 40),
        "half_open",
        "one call is under way to find out, and is waited for until 2027-01-15T08:00:40.000Z",
    ),
    (GateState(sent=(START, START + 8)), "closed", "2 calls remembered, the last 2s ago"),
    (
        GateState(sent=(START + 8,), hint=START + 40),
        "closed",
        "1 call remembered, the last 2s ago; those who were turned away come back by 2027-01-15T08:00:40.000Z",
    ),
]


@pytest.mark.parametrize(("gate", "circuit", "words"), GATES, ids=[words or "nothing" for _, _, words in GATES])
def test_a_gate_is_told_in_words(gate: GateState, circuit: str, words: str) -> None:
    """Closed, open until when, half-open; the rate beside it."""
    view = views.gate_view("t", gate, NOW)
    assert (view.tool, view.circuit, view.words) == ("t", circuit, words)


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (16_000, "16 kB"),
        (12_345_678, "12.3 MB"),
        (10**15, "1e+03 TB"),
    ],
)
def test_a_size_reads_well(count: int, words: str) -> None:
    """In powers of ten, three digits."""
    assert views.size(count) == words


def test_many_names_are_counted() -> None:
    """The first of them stand."""
    assert views.listed("abc", 3) == "a, b, c"
    assert views.listed("abcde", 3) == "a, b, c and 2 more"
