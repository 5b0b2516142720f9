"""What people and machines are shown is drawn from state, entries and the store's row, and from nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from holdfast import views
from holdfast.core import events as e
from holdfast.core import recovery
from holdfast.core.approval import OPTIONS
from holdfast.core.contract import SAFETIES, Contract, Safety
from holdfast.core.evolve import fold
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.state import State
from holdfast.journal.base import RunRow
from holdfast.views import PLACES

START = 1_800_000_000.0
STEPS = ("a", "b", "c", "d")
PLANNED = (
    *(Step(id=name, tool="put") for name in STEPS[:3]),
    Step(id="d", tool="put", args={"n": {"$ref": "steps.c"}}, after=("a",)),
)
DENIED = e.CallFailed(step="a", attempt=1, failure=e.Failure(kind="denied"))


def history(*events: e.AnyEvent, fence: int = 1) -> list[e.Entry]:
    """Entries a second apart, after the start of a run and a plan of four steps."""
    contracts = (Contract(tool="get", safety="read"), Contract(tool="put", safety="keyed", key_ttl_seconds=60.0))
    begun: tuple[e.AnyEvent, ...] = (
        e.RunStarted(run_id="r", agent="x", goal=Goal(text="do it", inputs={"n": 1}), contracts=contracts),
        e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=PLANNED)),
    )  # fmt: skip
    return [e.Entry(at + 1, START + at, fence, event) for at, event in enumerate((*begun, *events))]


def row(state: State, *, live: bool = False, **changes: Any) -> RunRow:
    """The store's row of a run; `live`, where a worker holds it for a minute."""
    whole = RunRow(
        run_id=state.run_id, agent=state.agent, goal_digest="", tenant="", priority=0, labels={}, status="running", waits_for="",
        due_at=START, version=state.version, fence=state.fence, worker="w" if live else "",
        lease_until=START + 60 if live else 0.0, created_at=START,
        changed_at=START + 9,
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


def tree_of(*events: e.AnyEvent, live: bool = False, served: tuple[str, ...] = (), **changes: Any) -> views.Tree:
    """The tree of a run, ten seconds after its start."""
    entries = history(*events)
    state = fold(entries)
    return views.tree(state, entries, row(state, live=live, **changes), START + 10, served)


def called(step: str, attempt: int = 1) -> e.CallIntended:
    """A call under way."""
    return e.CallIntended(step=step, attempt=attempt, tool="put", key=f"key-{step}", args={"n": 1})


def done(step: str, value: Any = 1) -> tuple[e.AnyEvent, ...]:
    """A step that is done."""
    return called(step), e.CallSucceeded(step=step, attempt=1, value=value)


def asked(step: str) -> e.Asked:
    """A question about a step's call."""
    return e.Asked(
        interrupt=f"{step}-1", kind="approval", about="call", question="may it?", options=OPTIONS["call"], digest="d",
        expires_at=START + 100, step=step, tool="put", args={"n": 1},
    )  # fmt: skip


def phase(tree: views.Tree, step: str) -> str:
    """A step's phase in people's words."""
    return next(one.phase for one in tree.steps if one.id == step)


# --- the summary --------------------------------------------------------------------------------------------------


STORIES: dict[str, tuple[e.AnyEvent, ...]] = {
    "planned": (),
    "in flight": (called("a"),),
    "done": done("a"),
    "in part": (called("a"), e.CallPartial(step="a", attempt=1, value=1, left=("seat",))),
    "owed": (called("a"), e.CallDeferred(step="a", attempt=1, handle="h", until=START + 50)),
    "to be tried again": (
        called("a"), e.CallFailed(step="a", attempt=1, failure=e.Failure(kind="transient", message="503")),
        e.RetryRuled(step="a", due_at=START + 30, reason="transient: 503"),
    ),
    "unknown": (called("a"), e.CallUnknown(step="a", attempt=1, why="it timed out")),
    "looked up": (
        called("a"), e.CallUnknown(step="a", attempt=1, why="it timed out"),
        e.RecoveryRuled(step="a", row="keyed-expired-first", action="probe", reason="the key is old", due_at=START + 20),
    ),
    "found": (
        called("a"), e.CallUnknown(step="a", attempt=1, why="it timed out"),
        e.RecoveryRuled(step="a", row="keyed-expired-first", action="probe", reason="the key is old", due_at=START + 20),
        e.ProbeIntended(step="a", probe=1), e.ProbeAnswered(step="a", probe=1, verdict="happened", value=7),
        e.RecoveryRuled(step="a", row="keyed-expired-happened", action="take", reason="the probe found it"),
    ),
    "asked": (asked("a"),),
    "skipped": (called("a"), DENIED, e.StepSkipped(step="a", reason="denied")),
    "flagged": (called("a"), DENIED, e.StepSkipped(step="a", reason="denied", flagged=True)),
    "failed": (
        called("a"), DENIED, e.StepFailed(step="a", reason="denied"),
        e.RunFailed(reason="step a: denied"),
    ),
    "cancelled with a doubt": (
        called("a"), e.CallUnknown(step="a", attempt=1, why="it timed out"), e.CancelRequested(by="ann"),
        e.RunCancelled(by="ann", unknown=("a",)),
    ),
    "completed": (*done("a"), *done("b"), *done("c"), *done("d"), e.RunCompleted(result={"x": 1})),
    "not needed": (e.StepSkipped(step="a", reason="b is done", needless=True),),
    "replaced": (
        called("a"), DENIED, e.StepSkipped(step="a", reason="denied"),
        e.RunCompleted(replaced={"a": "b"}),
    ),
    "suppressed": (e.FollowUpSuppressed(step="a", same_as="c", until=START + 50),),
    "held back": (e.CallHeld(step="a", tool="put", why="circuit", until=START + 60),),
    "refused": (
        e.CallRefused(step="a", same_as="b", failure=e.Failure(kind="denied")), e.StepFailed(step="a", reason="denied"),
    ),
    "taken back": (
        *done("a"), e.CancelRequested(by="ann", on_stop="undo"),
        e.UndoPlanned(reason="cancelled", steps=(Step(id="undo_a", tool="put", undoes="a"),), kept=("b",)),
        *done("undo_a"),
    ),
}  # fmt: skip

# The story, where step `a` stands, and its phase in words.
WHERE = {
    "planned": ("not_done", "next"),
    "in flight": ("unknown", "unknown"),
    "done": ("done", "done"),
    "in part": ("done", "done in part"),
    "owed": ("waiting", "its result is owed"),
    "to be tried again": ("waiting", "to be tried again"),
    "unknown": ("unknown", "unknown"),
    "looked up": ("unknown", "unknown; to be looked up"),
    "found": ("done", "done"),
    "asked": ("waiting", "asks a person"),
    "skipped": ("skipped", "skipped"),
    "flagged": ("flagged", "skipped and flagged"),
    "failed": ("not_done", "failed"),
    "cancelled with a doubt": ("unknown", "unknown"),
    "completed": ("done", "done"),
    "not needed": ("not_needed", "not needed"),
    "replaced": ("not_needed", "done by b"),
    "suppressed": ("waiting", "held back"),
    "held back": ("waiting", "held back"),
    "refused": ("not_done", "refused"),
    "taken back": ("undone", "done, and taken back"),
}


@pytest.mark.parametrize("story", STORIES)
def test_each_step_is_in_exactly_one_list(story: str) -> None:
    """Whatever happened."""
    tree = tree_of(*STORIES[story])
    placed = list(itertools.chain.from_iterable(getattr(tree.run, place) for place in PLACES))
    assert sorted(placed) == sorted(step.id for step in tree.steps)


@pytest.mark.parametrize("story", STORIES)
def test_a_step_stands_where_its_story_left_it(story: str) -> None:
    """Its list in the summary, and its phase in people's words."""
    tree = tree_of(*STORIES[story])
    place, words = WHERE[story]
    assert next(step for step in tree.steps if step.id == "a").place == place
    assert phase(tree, "a") == words


def test_a_call_in_flight_is_unknown_only_where_no_worker_lives() -> None:
    """The lease says which."""
    assert phase(tree_of(called("a"), live=True), "a") == "being called"
    assert tree_of(called("a"), live=True).run.waiting == ("a",)
    assert tree_of(called("a")).run.unknown == ("a",)


def test_a_repeat_in_flight_stays_unknown_until_it_is_settled() -> None:
    """For the first call may have happened."""
    lost = e.CallUnknown(step="a", attempt=1, why="lost")
    again = e.RecoveryRuled(step="a", row="keyed-alive", action="repeat", reason="again")
    tree = tree_of(called("a"), lost, again, called("a", 2), live=True)
    assert tree.run.unknown == ("a",)
    assert phase(tree, "a") == "unknown; being called"


def test_what_still_owes_something_is_named_among_the_done() -> None:
    """Items that are left stand with the step."""
    tree = tree_of(*STORIES["in part"])
    assert tree.run.partial == ("a",)
    assert tree.steps[0].left == ("seat",)


def test_the_summary_names_goal_questions_and_what_stops_it() -> None:
    """Questions with their whole arguments and choices."""
    run = tree_of(asked("a"), e.CancelRequested(by="ann", reason="twice"), status="blocked", waits_for="approval: may it?").run
    assert (run.goal, run.inputs, run.status, run.waits_for) == ("do it", {"n": 1}, "blocked", "approval: may it?")
    assert run.stopping == "ann wants it cancelled: twice"
    (question,) = run.questions
    assert (question.args, question.expires_at) == ({"n": 1}, START + 100)
    assert [choice.decision for choice in question.choices] == ["approve", "edit", "reject", "cancel"]


def test_the_status_is_the_rows_unless_somebody_works_on_it() -> None:
    """A parked run is as it was parked; a held one as its journal says; an ended one has ended."""
    assert tree_of(*STORIES["to be tried again"], status="waiting").run.status == "waiting"
    assert tree_of(called("a"), live=True, status="waiting").run.status == "running"
    ended = tree_of(*STORIES["completed"], status="running", due_at=START).run
    assert (ended.status, ended.due_at, ended.waits_for, ended.result) == ("completed", None, "", {"x": 1})


@pytest.mark.parametrize(
    ("changes", "served", "live", "in_list", "on_page"),
    [
        ({"due_at": START}, (), False, "due, but no live worker has the agent x", "due, but no live worker has the agent x"),
        ({"due_at": START + 99}, (), False, "", "no live worker has the agent x"),
        ({"due_at": None, "status": "blocked"}, (), False, "", "no live worker has the agent x"),
        ({"due_at": START}, ("x", "y"), False, "", ""),
        ({"due_at": START}, ("y",), False, "due, but no live worker has the agent x", "due, but no live worker has the agent x"),
        ({"due_at": START}, (), True, "", ""),
    ],
)
def test_a_run_that_nobody_will_take_on_says_so(
    changes: dict[str, Any], served: tuple[str, ...], live: bool, in_list: str, on_page: str
) -> None:
    """In the list where it is due, on its page also before."""
    state = fold(history())
    here = row(state, live=live, **changes)
    assert views.run_line(here, served, START + 10).note == in_list
    assert views.summary(state, here, START + 10, served).note == on_page


def test_a_run_that_has_ended_needs_nobody() -> None:
    """No note, nothing due."""
    state = fold(history(*STORIES["completed"]))
    line = views.run_line(row(state, status="completed"), (), START + 10)
    assert (line.note, line.due_at) == ("", None)
    assert views.summary(state, row(state, status="completed"), START + 10).note == ""


# --- the steps ----------------------------------------------------------------------------------------------------


def test_a_step_tells_its_times_attempts_and_the_rows_that_were_applied() -> None:
    """From the entries; the time of its end is that of its last word."""
    step = tree_of(*STORIES["found"]).steps[0]
    assert (step.began_at, step.ended_at, step.attempts, step.settled_by, step.value) == (START + 2, START + 7, 1, "probe", 7)
    assert [(applied.row, applied.action, applied.at) for applied in step.recovery] == [
        ("keyed-expired-first", "probe", START + 4), ("keyed-expired-happened", "take", START + 7),
    ]  # fmt: skip


def test_a_step_tells_its_call_and_what_it_waits_for() -> None:
    """Arguments as the plan has them until they are known."""
    steps = tree_of(called("a")).steps
    assert [step.args for step in steps] == [{"n": 1}, {}, {}, {"n": {"$ref": "steps.c"}}]
    assert [step.after for step in steps] == [(), (), (), ("c", "a")]


def test_a_step_that_has_not_ended_has_no_end() -> None:
    """Though entries speak of it."""
    step = tree_of(*STORIES["unknown"]).steps[0]
    assert (step.began_at, step.ended_at) == (START + 2, None)


def test_a_step_tells_when_it_goes_on_and_why_it_waits() -> None:
    """A retry, a probe, a result that is owed."""
    assert tree_of(*STORIES["to be tried again"]).steps[0].due_at == START + 30
    assert tree_of(*STORIES["to be tried again"]).steps[0].reason == "transient: 503"
    assert tree_of(*STORIES["looked up"]).steps[0].due_at == START + 20
    assert tree_of(*STORIES["owed"]).steps[0].due_at == START + 50


def test_a_long_value_is_cut_and_a_short_one_is_whole() -> None:
    """The step says how long the whole is."""
    long, short = tree_of(*done("a", "x" * 900), *done("b", {"k": [1, 2]})).steps[:2]
    assert (len(long.value), long.value_characters) == (400, 902)
    assert (short.value, short.value_characters) == ({"k": [1, 2]}, 0)


def test_the_records_are_plain_json() -> None:
    """What `--json` prints reads back as what it was."""
    tree = tree_of(*STORIES["found"], asked("b"))
    assert msgspec.json.decode(msgspec.json.encode(tree), type=views.Tree) == tree


# --- entries ------------------------------------------------------------------------------------------------------


def test_an_entry_is_one_line_with_its_fields_shortened() -> None:
    """Times readable, tables by their names, long values cut."""
    entries = history(*done("a", "y" * 300), asked("b"))
    lines = [views.entry_line(entry) for entry in entries]
    assert lines[0].fields.startswith('run_id=r agent=x goal={"text":"do it","inputs":{"n":1}} contracts=["get","put"]')
    assert 'plan=["a","b","c","d"]' in lines[1].fields
    assert "… (300 characters in all)" in lines[3].fields
    assert 'options=["approve","edit","reject","cancel"]' in lines[4].fields
    assert "expires_at=2027-01-15T08:01:40.000Z" in lines[4].fields
    assert (lines[2].sequence, lines[2].time, lines[2].fence, lines[2].event) == (
        3,
        "2027-01-15T08:00:02.000Z",
        1,
        "call_intended",
    )


# What nobody needs to see go by: that a reasoner is asked which is no model, that nothing was learned, that nothing was ruled.
SILENT = {"ProposalRequested", "FactsLearned", "RulingDeferred"}


@pytest.mark.parametrize("kind", e.AnyEvent.__args__, ids=lambda kind: kind.__name__)
def test_every_kind_of_event_is_told_or_left_out_on_purpose(kind: type[e.Event]) -> None:
    """A new kind must be thought of here."""
    event = msgspec.convert(filled(kind), kind)
    assert (views.told(event) is None) == (kind.__name__ in SILENT)  # type: ignore[arg-type]


def filled(kind: type[e.Event]) -> dict[str, Any]:
    """The smallest table that makes an event of a kind."""
    samples: dict[str, Any] = {
        "goal": {}, "contracts": [], "plan": {"steps": []}, "failure": {"kind": "denied"}, "verdict": "happened", "about": "call",
        "kind": "approval", "decision": "approve", "action": "ask", "options": [], "differences": [], "problems": [], "turn": 1,
        "attempt": 1, "probe": 1, "revision": 1, "due_at": 1.0, "expires_at": 1.0, "allowed": 1.0, "until": 1.0,
        "status": "failed", "source": "s", "entry": 1, "link": "", "rest": {"id": "y", "tool": "t"}, "usage": {}, "questions": [], "facts": [], "accepted": True,
        "thinking": {"models": {}, "routes": {}}, "count": 1, "question": "x",
        "ruling": {"rule": "r", "verdict": "never", "asks": False}, "checks": [], "answers": {}, "number": 1, "rung": 0, "left": 1,
        "why": {e.CallHeld: "circuit", e.PlanSuspected: "drift", e.RulingDeferred: "stopping"}.get(kind, "x"),
    }  # fmt: skip
    if kind is e.Inferred:
        samples["question"] = {"name": "n", "text": "t"}
    if kind is e.WordVoided:
        samples["kind"] = "pause"
    if kind in (e.ReobservationPlanned, e.CheckPlanned):
        samples["step"] = {"id": "y", "tool": "t"}
    required = [field for field in msgspec.structs.fields(kind) if field.required]
    table = {field.name: samples.get(field.name, "x") for field in required}
    return {"event": kind.__struct_config__.tag, **table}


# --- contracts ----------------------------------------------------------------------------------------------------


def contract(safety: Safety, probe: bool, key_ttl: float | None) -> Contract:
    """A contract with these promises."""
    return Contract(tool="t", safety=safety, probe=probe, key_ttl_seconds=key_ttl)


CONTRACTS = [
    contract(safety, probe, key_ttl)
    for safety, probe, key_ttl in itertools.product(SAFETIES, (False, True), (None, 90.0))
    if key_ttl is None or safety == "keyed"
]


@pytest.mark.parametrize("promised", CONTRACTS, ids=lambda c: f"{c.safety}-{c.probe}-{c.key_ttl_seconds}")
def test_what_happens_after_a_crash_is_what_the_table_says(promised: Contract) -> None:
    """Every case is a row of it, word for word, and the first is the one that a fresh crash meets."""
    view = views.tool_view(promised)
    rows = {row.label: row for row in recovery.TABLE}
    for case in view.cases:
        assert (case.action, case.reason) == (rows[case.row].action, rows[case.row].reason)
    fresh = recovery.Doubt(
        safety=promised.safety, key="alive", probe=promised.probe, verdict="none", settled=False, window=True, repeats=True
    )
    assert view.cases[0].row == recovery.rule(fresh).label
    assert view.after_crash.startswith(view.cases[0].reason) and "\n" not in view.after_crash


def test_a_tool_that_can_be_asked_says_what_follows_each_answer() -> None:
    """In one line."""
    assert views.tool_view(contract("reconcilable", True, None)).after_crash == (
        "the call is in doubt; it is asked whether the call happened; it happened: its result is taken; it did not happen: "
        "called again; not to be seen yet: looked up again; it cannot tell: a person is asked; lost too often: counts as not done"
    )


def test_arguments_are_told_with_their_types() -> None:
    """A word each; secrets by that name."""
    schema = {
        "properties": {
            "a": {"type": "string"}, "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "c": {"enum": ["x", "y"]},
            "d": {"$ref": "#/$defs/Hire"}, "e": {"type": "string"}, "f": {},
        },
        "required": ["a", "e"],
    }  # fmt: skip
    view = views.tool_view(Contract(tool="t", input_schema=schema, secrets=("e",)))
    assert view.takes == {
        "a": "string", "b": "integer or null, optional", "c": "x | y, optional", "d": "Hire, optional", "e": "secret",
        "f": "any, optional",
    }  # fmt: skip


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0ms"),
        (0.0021, "2.1ms"),
        (1, "1s"),
        (59.4, "59.4s"),
        (60, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (86399, "23h59m"),
        (86400 * 8, "8d"),
    ],
)
def test_a_length_of_time_reads_well(seconds: float, words: str) -> None:
    """The two largest units."""
    assert views.span(seconds) == words


def test_a_text_that_is_cut_says_how_long_it_is() -> None:
    """Others stand whole; text has no quotes around it."""
    assert views.cut("abc", 3) == "abc"
    assert views.cut("abcd", 3) == "abc… (4 characters in all)"
    assert views.cut({"a": [1, None]}) == '{"a":[1,null]}'
