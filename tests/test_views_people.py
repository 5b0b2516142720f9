"""What people see of people: entries in words, and how a run stands that somebody holds up, or is asked about."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast import views
from holdfast.core import events as e
from holdfast.core.approval import OPTIONS, SAFETY_ASKS
from holdfast.core.ladder import Ladder, Rung
from holdfast.core.policy import Check, Policy, Rule, Ruling
from holdfast.runner.resting import waits_for
from holdfast.views.words import moment
from tests.core.story import Story, step, tool
from tests.test_views import row

T = 1_800_000_000.0
POLICY = Policy(
    name="shop", version="3", rules=(Rule(name="large", when="amount > 500"), Rule(name="odd", then="sample", rate=0.05))
)
LADDER = Ladder(
    rungs=(Rung(who=("finance",), seconds=3600.0), Rung(who=("cfo",), seconds=86400.0)),
    at_deadline="hand_off",
    hand_off_to=("ops",),
)
LARGE = Ruling(rule="large", verdict="always", asks=True, policy="shop@3", looked={"amount": 900.0, "args.to": "x" * 99})
SAMPLED = Ruling(rule="odd", verdict="sample", asks=False, policy="shop@3", draw=0.31, rate=0.05)
BLOCKED = Ruling(rule="fraud", verdict="block", asks=False, policy="shop@3", looked={"amount": 900.0})


def asked(**fields: Any) -> e.Asked:
    """A question about a call."""
    given: dict[str, Any] = {
        "interrupt": "a-1", "kind": "approval", "about": "call", "question": "may pay be called?", "options": OPTIONS["call"], "digest": "d",
        "expires_at": T, "step": "a", "tool": "pay", "args": {"amount": 900},
    }  # fmt: skip
    return e.Asked(**(given | fields))


# --- entries in words ---------------------------------------------------------------------------------------------

WORDS: list[tuple[e.AnyEvent, str]] = [
    (e.PolicyChanged(policy=POLICY), "goes by the policy shop@3 (large: always, odd: sample 5%) from now on"),
    (e.PolicyChanged(), "goes by no policy any more"),
    (e.PolicyRuled(ruling=SAMPLED, step="a", tool="pay"), "a: nobody is asked: the rule odd of shop@3: it drew 0.31, and asks below 0.05"),
    (e.PolicyRuled(ruling=BLOCKED, step="a", tool="pay"), "a: the call of pay is blocked by the rule fraud of shop@3, which looked at amount=900.0"),
    (e.PolicyRuled(ruling=BLOCKED, revision=2), "plan 2: the plan is blocked by the rule fraud of shop@3, which looked at amount=900.0"),
    (e.PolicyRuled(ruling=Ruling(rule="small", verdict="never", asks=False, policy="shop@3"), step="a"), "a: nobody is asked: the rule small of shop@3"),
    (e.ChecksIntended(call="d", checks=("is_odd", "late"), step="a"), "a: asks is_odd, late whether a person is to be asked"),
    (
        e.ChecksAnswered(call="d", answers={"is_odd": Check(holds=True), "late": Check(why="it took too long")}),
        "the plan: is_odd says yes; late says neither yes nor no: it took too long",
    ),
    (asked(), "a-1: asks a person: may pay be called?"),
    (asked(ruling=Ruling(rule=SAFETY_ASKS, verdict="always", asks=True)), "a-1: asks a person: may pay be called?"),
    (
        asked(ruling=LARGE, who=("finance", "ann"), people=2),
        f"a-1: asks 2 people (finance or ann): may pay be called? — by the rule large of shop@3; until {moment(T)}",
    ),
    (e.InterruptWithdrawn(interrupt="a-1", reason="the policy changed"), "a-1: not asked any more: the policy changed"),
    (e.Reminded(interrupt="a-1", number=3), "a-1: who is asked is reminded, for the 3. time"),
    (e.Escalated(interrupt="a-1", rung=1, who=("cfo",)), "a-1: nobody decided in time; cfo are asked now (rung 2)"),
    (e.Escalated(interrupt="a-1", rung=1, who=("ops",), kind="handoff"), "a-1: nobody decided; ops are to take it over"),
    (e.ApprovalGiven(interrupt="a-1", by="ann", left=1, note="fine"), "a-1: approved by ann; 1 person more must approve (fine)"),
    (e.Answered(interrupt="a-1", decision="approve", by="ann"), "a-1: approve by ann"),
    (e.Answered(interrupt="a-1", decision="approve", by="ann", standing="s-7"), "a-1: approve by ann, by the standing approval s-7"),
    (e.Answered(interrupt="a-1", decision="reject", by="ann", bulk=True, note="no"), "a-1: reject by ann, with others in one word (no)"),
    (e.AnswerVoided(interrupt="a-1", by="bob", reason="it has expired"), "a-1: an answer of bob that cannot be taken: it has expired"),
    (e.Commented(interrupt="a-1", by="bob", text="odd"), "a-1: bob remarks: odd"),
    (e.RunPaused(by="ann", reason="a migration", until=T), f"paused by ann until {moment(T)}: a migration"),
    (e.RunContinued(by="ann"), "ann lets it go on"),
    (e.RunContinued(), "the pause is over: it goes on"),
    (e.Instructed(by="ann", text="be cheap"), "ann says how it is to go on: be cheap"),
    (e.HandoffRequested(by="ann", reason="on the phone"), "ann takes the run over: on the phone"),
    (e.StepDoneByHand(step="a", by="ann", value={"n": 1}, note="by phone"), 'a: done by hand by ann: {"n":1} (by phone)'),
    (e.WordVoided(kind="done", by="ann", reason="it is done already", about="a"), "a result by hand about a from ann cannot be taken: it is done already"),
    (e.CancelRequested(by="ann", on_stop="undo", reason="wrong"), "ann wants it cancelled, and what was done taken back: wrong"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "words"), WORDS, ids=lambda given: type(given).__name__ if not isinstance(given, str) else "")
def test_an_entry_says_in_words_what_people_did(event: e.AnyEvent, words: str) -> None:
    """With who, by which rule, and why."""
    assert views.told(event) == words


def test_long_words_of_people_are_cut() -> None:
    """Whoever they are from."""
    for event in (e.Commented(interrupt="a-1", by="b" * 999, text="x" * 9999), e.RunPaused(by="b" * 999, reason="x" * 9999)):
        assert len(views.told(event) or "") < 700


def test_whole_journals_show_tables_as_short_words() -> None:
    """A ruling, a policy, a ladder, checks and covered calls; no whole table."""

    def fields(event: e.AnyEvent) -> str:
        return views.entry_line(e.Entry(1, T, 1, event)).fields

    line = fields(asked(ruling=LARGE, ladder=LADDER, calls={"b": "0123", "c": "4567"}))
    assert "ruling=shop@3/large always asks" in line and 'calls=["b","c"]' in line and "0123" not in line
    assert "ladder=finance for 1h, then cfo for 1d, then it is handed off to ops" in line
    assert "policy=shop@3 (large: always, odd: sample 5%)" in fields(e.PolicyChanged(policy=POLICY))
    assert "ruling=shop@3/odd sample 0.31/0.05" in fields(e.PolicyRuled(ruling=SAMPLED, step="a"))
    assert "answers=odd says no" in fields(e.ChecksAnswered(call="d", answers={"odd": Check(holds=False)}))


# --- how a run stands ---------------------------------------------------------------------------------------------

PAY = tool("pay", "keyed", approve="always", approvers=("finance",))
LOOK = tool("look", "read")


def run_of(*steps: str, policy: Policy | None = None) -> Story:
    """A run of some steps, decided on once."""
    story = Story([step(f"{name}1", name, args={"amount": 900}) for name in steps], PAY, LOOK, start={"policy": policy})
    story.decide()
    return story


def tree_of(story: Story) -> views.Tree:
    """As `show` has it."""
    return views.tree(story.run, story.entries, row(story.run, waits_for=waits_for(story.run)), story.now)


def test_a_pause_says_by_whom_and_until_when() -> None:
    """In the summary, and in the line that lists of runs have."""
    story = run_of("look")
    story.tell(e.RunPaused(by="ann", reason="a migration", until=story.now + 60))
    run = tree_of(story).run
    assert run.paused is not None and (run.paused.by, run.paused.until) == ("ann", story.now + 60)
    assert waits_for(story.run).startswith(f"paused by ann until {moment(story.now + 60)}: a migration")
    story.tell(e.RunContinued(by="ann"))
    assert tree_of(story).run.paused is None and "paused" not in waits_for(story.run)


def test_a_run_that_is_taken_over_says_by_whom() -> None:
    """Before it is asked how it goes on, and then."""
    story = run_of("look")
    story.tell(e.HandoffRequested(by="ann", reason="on the phone"))
    assert waits_for(story.run) == "to be taken over by ann: on the phone"
    story.succeed("look1", 1).decide()
    run = tree_of(story).run
    assert run.taken_over is not None and run.taken_over.by == "ann" and run.questions[0].about == "handoff"
    assert waits_for(story.run) == "handoff: ann took the run over (on the phone): how does it go on?"


def test_a_plan_that_is_to_be_approved_is_waited_for() -> None:
    """With the rule that wants it."""
    story = run_of("look", policy=Policy(name="p", rules=(Rule(name="all", on="plan", people=2),)))
    (question,) = tree_of(story).run.questions
    assert (question.about, question.rule, question.people) == ("plan", "the rule all of p@1", 2)
    assert waits_for(story.run) == "approval: may the plan be carried out? 1 steps: look (0 of 2 approved)"
    story.tell(e.ApprovalGiven(interrupt=question.interrupt, by="ann", left=1))
    assert waits_for(story.run).endswith("(1 of 2 approved)") and tree_of(story).run.questions[0].approvals == ("ann",)


def test_a_question_says_who_may_and_when_it_moves_on() -> None:
    """By its ladder; without one, nothing comes before it expires."""
    (plain,) = tree_of(run_of("pay")).run.questions
    assert (plain.who, plain.rule, plain.next, plain.next_at) == (("finance",), "", "", None)
    story = run_of("pay", policy=Policy(name="p", rules=(Rule(name="large", when="amount > 500", ladder=LADDER),)))
    (asked_now,) = tree_of(story).run.questions
    assert asked_now.rule == "the rule large of p@1" and asked_now.next_at == story.now + 3600
    assert asked_now.next == f"at {moment(story.now + 3600)} it goes on to cfo"
    story.decide(after=3601)
    (later,) = tree_of(story).run.questions
    assert (later.rung, later.who) == (1, ("cfo",)) and later.next.endswith("ops are to take it over")


def phases(story: Story) -> dict[str, tuple[str, str]]:
    """Each step's phase in words, and its reason."""
    return {one.id: (one.phase, one.reason) for one in tree_of(story).steps}


def test_a_step_whose_rule_is_checked_says_so() -> None:
    """And names the functions that are asked."""
    story = run_of("pay", policy=Policy(name="p", rules=(Rule(name="odd", check="is_odd"),)))
    assert phases(story) == {"pay1": ("a rule is being checked", "asks is_odd whether a person is to be asked")}


def test_a_step_that_a_policy_blocks_says_so() -> None:
    """With the rule."""
    story = run_of("look", policy=Policy(name="p", rules=(Rule(name="never", then="block"),)))
    assert phases(story)["look1"] == ("blocked by a policy", "denied: the policy p@1 forbids it (rule never)")


def test_a_step_that_was_done_by_hand_says_by_whom() -> None:
    """A result that a person gave as an answer is something else."""
    story = run_of("pay", "look")
    story.tell(e.StepDoneByHand(step="pay1", by="ann", value=7, note="by phone"))
    (found,) = [one for one in tree_of(story).steps if one.id == "pay1"]
    assert (found.phase, found.by_hand, found.value, found.place) == ("done by hand", "ann", 7, "done")
    other = run_of("pay")
    other.answer("respond", 7)
    assert [(one.phase, one.by_hand, one.settled_by) for one in tree_of(other).steps] == [("done", "", "person")]


def test_what_people_said_and_the_policy_are_in_the_summary() -> None:
    """In the order in which it was said."""
    story = run_of("look", policy=POLICY)
    story.tell(e.Instructed(by="ann", text="be cheap"), e.Instructed(by="bob", text="and quick"))
    run = tree_of(story).run
    assert run.policy == "shop@3" and [(said.by, said.text) for said in run.instructions] == [
        ("ann", "be cheap"),
        ("bob", "and quick"),
    ]
