"""Why a run, a step or an entry is as it is: drawn from the journal alone, at any moment of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from holdfast.core import events as e
from holdfast.core.contract import Retry
from holdfast.core.decide import Room
from holdfast.core.evolve import fold
from holdfast.core.facts import Fact
from holdfast.core.limits import Limits
from holdfast.core.models import Part, Usage
from holdfast.core.plan import Fallback, Plan
from holdfast.core.policy import Check, Policy, Rule
from holdfast.journal.base import EMPTY
from holdfast.reasoners.base import GiveUp
from holdfast.testing.simulation.stage import Stage
from holdfast.views.why import NoSuchStep, StepWhy, Why, head_lines, step_lines, why
from holdfast.views.why.building import OTHERS_MAX
from holdfast.views.why.causes import cause
from holdfast.views.why.lines import ATTEMPTS_MAX
from holdfast.views.why.markdown import markdown
from holdfast.views.why.past import EVERY, Past
from tests.core.mind import Mind, question
from tests.core.story import AT_ONCE, Story, ref, step, tool
from tests.histories.test_histories import EVERY_RUN, RECORDED
from tests.thorough import ALL

LOOK = tool("look", "read")
PAY = tool("pay", "irreversible", amount="amount")
SEND = tool("send", "keyed", key_ttl_seconds=3600.0)
BOOK = tool("book", "reconcilable", settles_within_seconds=0.0)
POLICY = Policy(
    name="shop", version="3",
    rules=(
        Rule(name="large", when="amount > 500", tools=("pay",), who=("finance",)), Rule(name="fraud", then="block", tools=("send",)),
        Rule(name="odd", then="sample", rate=0.0, tools=("book",), check="big"),
    ),
)  # fmt: skip


def told(story: Story, about: str = "", **options: Any) -> Why:
    """The explanation of a run as it stands."""
    return why(story.entries, story.now, about, **options)


def of(story: Story, name: str) -> StepWhy:
    """The explanation of a step."""
    (found,) = told(story, name).steps
    return found


def lines(found: StepWhy) -> dict[str, list[str]]:
    """A step's lines by their label; those without one belong to the label before."""
    by_label: dict[str, list[str]] = {}
    last = ""
    for label, words in step_lines(found):
        last = label or last
        by_label.setdefault(last, []).append(words)
    return by_label


# --- the first line -----------------------------------------------------------------------------------------------


def test_a_refusal_is_said_with_who_why_and_by_which_rule_they_were_asked() -> None:
    """The one sentence that is needed at nine in the morning."""
    story = Story([step("pay1", "pay", args={"amount": 900})], PAY, start={"policy": POLICY})
    story.decide()
    story.wait(180.0).answer("reject", note="too dear").decide()
    found = told(story)
    assert found.first == (
        "failed: step pay1 was given up, and the run with it ← ann rejected it after 3m: “too dear” ← a person (finance) was asked "
        "whether pay may be called, by the rule large of shop@3, which looked at amount=900.0 (pay1-1)"
    )
    assert [one.event for one in found.chain] == [
        "run_failed", "step_failed", "answered", "asked", "plan_adopted", "proposal_requested", "run_started",
    ]  # fmt: skip
    assert [one.step for one in found.steps] == ["pay1"]


def test_a_failure_is_followed_back_through_the_steps_that_fell_with_it() -> None:
    """To the call that failed, and no farther."""
    story = Story([step("a", "look", on_failure="skip"), step("b", "look", args={"of": ref("steps.a")}, on_failure="flag")], LOOK)
    story.decide()
    story.fail("a", "not_found", message="no such guest").decide()
    assert told(story).first == (
        "completed, but not all of it (0 of 2 steps are done; also missing: b): step a was skipped ← look (a) failed: "
        "not_found: no such guest"
    )
    assert of(story, "b").said == "skipped: skipped: it needs a, which was not done"
    assert [one.step for one in of(story, "a").followed] == ["b", ""]


@pytest.mark.parametrize(
    ("story", "first"),
    [
        ("silence", "failed: step p was given up, and the run with it ← nobody answered p-1 in 7d; silence never means yes ← a person"),
        ("block", "failed: step s was given up, and the run with it ← s: the call of send is blocked by the rule fraud of shop@3"),
        ("lost", "needs a person: “did pay happen? it can neither be repeated nor looked up; only a person can tell” (p-2, asked 5s ago"),
        ("retry", "waits: a is to be called again at "),
        ("limit", "failed: the limit attempts_max of 1 is reached"),
        ("cancel", "cancelled: bob wants it cancelled"),
        ("pause", "needs a person: paused by ann: a migration"),
        ("owed", "waits: the result of s is owed by the bank until"),
        ("flying", "goes on: a: look is being called, or whoever called it is gone"),
        ("nothing", "goes on: nothing was begun yet"),
        ("done", "completed: 1 of 1 steps are done"),
    ],
)  # fmt: skip
def test_the_first_line_says_how_it_stands_and_why(story: str, first: str) -> None:
    """Whatever came of a run, and whatever it waits for."""
    assert told(_STORIES[story]()).first.startswith(first)


def _silence() -> Story:
    story = Story([step("p", "pay")], PAY)
    story.decide()
    story.decide(after=7 * 86400.0)
    return story


def _blocked() -> Story:
    story = Story([step("s", "send")], SEND, start={"policy": POLICY})
    story.decide()
    return story


def _lost() -> Story:
    story = Story([step("p", "pay")], PAY)
    story.decide()
    story.answer("approve").decide()
    story.crash().decide()
    return story.wait(5.0)


def _retry() -> Story:
    story = Story([step("a", "look", retry=Retry(attempts_max=9, backoff_seconds=60.0, jitter=0.0))], LOOK)
    story.decide()
    story.fail("a", message="503").decide()
    return story


def _limit() -> Story:
    story = Story([step("a", "look"), step("b", "look", after=("a",))], LOOK, limits=Limits(attempts_max=1))
    story.decide()
    story.succeed("a").decide()
    return story


def _cancelled() -> Story:
    story = Story([step("p", "pay")], PAY)
    story.decide()
    story.cancel().decide()
    return story


def _owed() -> Story:
    story = Story([step("s", "send")], tool("send", "keyed", callback=True))
    story.decide()
    story.defer("s", until=story.now + 60, by="the bank").decide()
    return story


def _flying() -> Story:
    story = Story([step("a", "look")], LOOK)
    story.decide()
    return story


def _done() -> Story:
    story = _flying().succeed("a", 1)
    story.decide()
    return story


_STORIES: dict[str, Any] = {
    "silence": _silence, "block": _blocked, "lost": _lost, "retry": _retry, "limit": _limit, "cancel": _cancelled, "owed": _owed,
    "flying": _flying, "done": _done, "nothing": lambda: Story(None, LOOK),
    "pause": lambda: Story([step("a", "look")], LOOK).tell(e.RunPaused(by="ann", reason="a migration")),
}  # fmt: skip


def test_a_model_that_gives_up_is_followed_back_to_what_had_failed() -> None:
    """Past its request and its answer, which are only how it went."""
    mind = Mind(LOOK)
    mind.plan(step("a", "look", on_failure="replan"))
    mind.decide()
    mind.fail("a", "not_found", message="no such guest")
    mind.say(GiveUp(reason="nobody is there")).decide()
    assert told(mind).first == ("failed: p:m gave up in turn 2: nobody is there ← look (a) failed: not_found: no such guest")
    assert of(mind, "a").said == "given up ← look (a) failed: not_found: no such guest"


def test_of_several_attempts_the_last_failure_is_the_cause() -> None:
    """Those before it are counted, and told with the step."""
    story = Story([step("a", "look", retry=AT_ONCE)], LOOK)
    for _ in range(3):
        story.decide(after=100.0)
        story.fail("a", message="503").decide()
    assert told(story).first == "failed: step a was given up, and the run with it ← look (a) failed at attempt 3: transient: 503"
    assert of(story, "a").said == "failed after 3 calls (transient 3×) ← look (a) failed at attempt 3: transient: 503"


def test_what_stands_in_the_line_is_not_said_again() -> None:
    """A limit that names the last failure, and the failure."""
    mind = Mind(LOOK, limits=Limits(idle_turns_max=1))
    for number in range(3):
        mind.plan(step(f"a{number}", "look", args={"n": 1}, on_failure="replan"))
        mind.decide()
        if number == 0:
            mind.fail("a0", "invalid_input", message="an order has six digits").decide()
    assert told(mind).first == (
        "failed: 1 turns of the reasoner in a row taught nothing new; the last one called look: invalid_input: the same call failed "
        "in step a0, and nothing has changed since: an order has six digits ← look (a0) failed: invalid_input: an order has six digits"
    )


# --- calls --------------------------------------------------------------------------------------------------------


def test_each_call_names_what_led_to_it_and_what_was_ruled_then() -> None:
    """The plan, the retry, the row of the table, the fallback."""
    fallback = (Fallback(tool="look"),)
    story = Story([step("s", "send", fallbacks=fallback, retry=AT_ONCE)], SEND, LOOK)
    story.decide()
    story.fail("s", message="503").decide()
    story.decide(after=1.0)
    story.fail("s", "conflict", message="sold out").decide()
    story.lose("s").decide()
    story.decide(after=60.0)
    made = of(story, "s").attempts
    assert [(one.basis, one.row) for one in made] == [("plan", ""), ("ruling", ""), ("ruling", ""), ("ruling", "read")]
    assert made[0].because == "plan 1 has it" and made[1].because == "retried: transient: 503"
    assert made[2].because.startswith("fell back to look: ") and made[2].tool == "look"
    assert made[3].because.endswith("(row read of the recovery table)")
    assert [one.outcome for one in made] == ["failed", "failed", "unknown", "open"]
    assert [one.same_args for one in made] == [False, True, False, True] and made[1].same_key
    assert made[0].then.startswith("s: to be tried again at ") and made[2].then.endswith("[read]")
    assert all(isinstance(story.entries[one.because_entry - 1].event, e.Event) for one in made)


def test_a_call_says_what_it_had_waited_for() -> None:
    """The step that ended last before it, and how long before; rooms that were full; pauses."""
    story = Story([step("z", "look"), step("a", "look"), step("b", "look", after=("a", "z"))], LOOK)
    story.decide()
    story.tell(e.RoomRefused(free={"look": 0}))  # It was not its turn yet.
    story.wait(1.0).succeed("z").wait(4.0).succeed("a")
    story.tell(e.RunPaused(by="ann", reason="a look")).wait(10.0)
    story.tell(e.RunContinued(by="ann"), e.RoomRefused(free={"look": 0}, holders={"look": "run r9"}))
    story.decide(room=Room(free={"look": 0}))
    story.decide(after=2.0)
    found = of(story, "b")
    assert found.attempts[0].because == "plan 1 has it, and a had ended 12s before"
    assert [(one.why, one.until and one.until - one.since) for one in found.waits] == [
        ("waited for a, the last that it needs", 5.0),
        ("paused by ann: a look", 10.0),
        ("no place was free for look (held by run r9)", 2.0),
    ]


def test_a_long_line_of_attempts_is_cut_where_it_is_told_and_whole_in_the_record() -> None:
    """The first ones, and the last."""
    often = Retry(attempts_max=40, backoff_seconds=1.0, backoff_seconds_max=1.0, jitter=0.0)
    story = Story([step("a", "look", retry=often)], LOOK)
    story.decide()
    for _ in range(20):
        story.fail("a", message="503").decide()
        story.decide(after=2.0)
    found = of(story, "a")
    shown = [label for label, _ in step_lines(found) if label.startswith("call")]
    assert len(found.attempts) == 21 and len(shown) == ATTEMPTS_MAX
    assert shown[:3] == ["call 1", "call 2", "call 3"] and shown[-1] == "call 21"
    assert lines(found)["call 3"][-1] == "… 9 more attempts"


def test_who_settled_a_step_is_said() -> None:
    """A probe, a callback, a person, another step."""
    story = Story([step("b", "book")], BOOK)
    story.decide()
    story.lose("b").decide()
    story.probed("b", "happened", "BK7").decide()
    found = of(story, "b")
    assert found.said == "done, found by its probe: BK7"
    assert [one.event for one in found.rulings] == ["probe_answered", "recovery_ruled"]
    assert found.ended == "the probe found the call done; its result is taken [reconcilable-happened] (found by its probe)"


def test_a_step_done_by_hand_names_who_did_it() -> None:
    """With their note."""
    story = Story([step("a", "look"), step("b", "look", after=("a",))], LOOK)
    story.tell(e.StepDoneByHand(step="b", by="cleo", value=1, note="by phone"))
    assert of(story, "b").said == "done, said by a person: b: done by hand by cleo: 1 (by phone)"


# --- what a call rested on ----------------------------------------------------------------------------------------


def test_each_argument_says_where_it_came_from_and_who_edited_it() -> None:
    """The plan, an input, a result, a person by name."""
    args = {"amount": 1, "to": ref("inputs.who"), "note": ref("steps.a.text"), "key": {"$secret": "KEY"}}
    story = Story([step("a", "look"), step("p", "pay", args=args)], LOOK, PAY, inputs={"who": "bob"})
    story.decide()
    story.succeed("a", {"text": "hi"}).decide()
    (interrupt,) = story.open
    shown = dict(story.run.interrupts[interrupt].args)
    story.answer("edit", {**shown, "amount": 2}).decide()
    found = of(story, "p")
    assert lines(found)["argument"] == [
        "amount = 2 — as ann gave it",
        'to = "bob" — from the input who (inputs.who)',
        'note = "hi" — from the result of a (steps.a.text)',
        'key = {"$secret":"KEY"} — the secret KEY, put in at the call',
    ]
    assert found.attempts[0].basis == "word" and "approved it with other arguments" in found.attempts[0].because


def test_facts_are_as_they_were_then_and_say_what_became_of_them() -> None:
    """Value, source, age and freshness at the intent; and the correction that came later."""
    mind = Mind(LOOK, inputs={"city": "Oslo"})
    mind.tell(
        e.FactsLearned(
            facts=(Fact(name="price", value=100, source="inferred", by="p:m", at=mind.now, confidence=0.6, rests_on=("city",)),)
        )
    )
    mind.wait(30.0)
    mind.plan(step("a", "look", args={"usd": ref("facts.price")}))
    mind.decide()
    mind.succeed("a", 1)
    mind.wait(60.0).tell(
        e.FactsLearned(facts=(Fact(name="price", value=120, source="told", by="ann", at=mind.now, pinned=True),))
    )
    found = of(mind, "a")
    price, city = found.facts
    assert (price.value, price.source, price.age_seconds, price.guess, price.fresh) == (100, "inferred", 30.0, True, True)
    assert price.later == "it is 120 since, told by ann" and price.later_entry == len(mind.entries)
    assert (city.name, city.direct, price.direct) == ("city", False, True)
    assert lines(found)["argument"] == ["usd = 100 — from the fact price (facts.price) (inferred by p:m, 30s old, a guess)"]


def test_the_budget_is_that_of_the_moment() -> None:
    """What was spent, held for others, held for this, and left after all that."""
    dear = tool("draw", "read", cost_usd=Decimal("0.50"))
    story = Story([step("a", "draw"), step("b", "draw")], dear, limits=Limits(cost_usd_max=Decimal(2)))
    story.decide()
    story.tell(e.CallSucceeded(step="a", attempt=1, spent=Usage(cost_usd=Decimal("0.30"))))
    first, second = of(story, "a").budget, of(story, "b").budget
    assert first is not None and second is not None
    assert (first.spent_usd, first.held_usd, first.for_this_usd, first.left_usd) == (
        Decimal(0), Decimal(0), Decimal("0.50"), Decimal("1.50"),
    )  # fmt: skip
    assert (second.held_usd, second.left_usd, second.calls) == (Decimal("0.50"), Decimal("1.00"), 1)
    assert lines(of(story, "b"))["budget"] == [
        "$0.00 spent then, $0.50 held for others, up to $0.50 for this, $1.00 left after that; 1 calls before it"
    ]
    assert of(_done(), "a").budget is None


def test_a_call_that_was_lost_counts_as_spent_when_it_is_made_again() -> None:
    """It is not among what is held for others."""
    story = Story([step("a", "draw")], tool("draw", "read", cost_usd=Decimal("0.50")), limits=Limits(cost_usd_max=Decimal(2)))
    story.decide()
    story.crash().decide()
    budget = of(story, "a").budget
    assert budget is not None and budget.calls == 1
    assert (budget.held_usd, budget.for_this_usd, budget.left_usd) == (Decimal(0), Decimal("0.50"), Decimal("1.00"))


# --- who decided --------------------------------------------------------------------------------------------------


def test_a_policy_that_asks_nobody_is_told_with_its_draw_and_what_functions_said() -> None:
    """As the ruling was written down, not as it would be now."""
    story = Story([step("b", "book")], BOOK, start={"policy": POLICY})
    story.decide()
    (wanted,) = story.events(e.ChecksIntended)
    story.tell(e.ChecksAnswered(step="b", call=wanted.call, answers={"big": Check(holds=True, why="over 9")})).decide()
    (ruled,) = of(story, "b").ruled
    assert ruled.ruling.draw is not None and ruled.ruling.rate == 0.0
    assert "nobody is asked: the rule odd of shop@3: it drew" in ruled.said and ruled.checks == "big says yes: over 9"
    (made,) = of(story, "b").attempts
    assert (made.basis, made.because) == ("plan", "plan 1 has it")  # A policy that lets a call go is not why it is made.


def test_a_question_says_who_was_asked_shown_what_and_who_said_what_when() -> None:
    """With reminders, the next rung, remarks, and words that came too late."""
    story = Story([step("p", "pay", args={"amount": 900})], PAY, start={"policy": POLICY})
    story.decide()
    (name,) = story.open
    story.wait(60.0).tell(
        e.Reminded(interrupt=name, number=1), e.Escalated(interrupt=name, rung=1, who=("cfo",), since=story.now),
        e.Commented(interrupt=name, by="eve", text="who is that?"),
    )  # fmt: skip
    story.wait(60.0).tell(
        e.Answered(interrupt=name, decision="approve", by="zoë", note="fine", seen_at=story.now - 9, standing="s-1")
    )
    story.tell(e.AnswerVoided(interrupt=name, by="bob", reason="it is not open any more"))
    (asked,) = of(story, "p").asks
    assert (asked.shown, asked.who, asked.by, asked.after_seconds, asked.reminded) == (
        {"amount": 900},
        ("finance",),
        "zoë",
        120.0,
        1,
    )
    assert asked.rule == "the rule large of shop@3, which looked at amount=900.0" and asked.standing == "s-1"
    said = lines(of(story, "p"))["asked"]
    assert said[2] == "reminded 1×" and "cfo were asked (rung 2)" in said[3] and "eve remarked" in said[4]
    assert "bob at " in said[5] and "zoë: approve after 2m, by the standing approval s-1" in said[6]


def test_a_question_that_nobody_answered_says_how_it_was_over() -> None:
    """It expired, was withdrawn, or what it was about came by itself."""
    expired = of(_silence(), "p").asks[0]
    assert (expired.ended, expired.why_ended, expired.after_seconds) == ("expired", "nobody answered in time", 7 * 86400.0)
    story = _lost()
    story.deliver("p", "paid")
    settled = of(story, "p").asks[-1]
    assert (
        settled.ended == "settled"
        and "called back with its result" in settled.why_ended
        and settled.ended_entry == len(story.entries)
    )


def test_questions_of_the_run_stand_beside_its_steps() -> None:
    """They are about no step."""
    mind = Mind(LOOK)
    mind.ask()
    mind.tell(e.QuestionsProposed(turn=1, questions=(question("city"),))).decide()
    mind.answer("respond", "Oslo")
    (asked,) = told(mind).asks
    assert (asked.about, asked.decision, asked.value) == ("question", "respond", "Oslo")


def test_a_guess_that_people_were_asked_about_is_followed_back_to_where_it_was_made() -> None:
    """And not to the last one that was made of something else."""
    mind = Mind(PAY)
    mind.ask()
    guesses = tuple(question(name, guess=name, confidence=0.95) for name in ("city", "hotel"))
    mind.tell(e.QuestionsProposed(turn=1, questions=guesses)).decide()
    mind.plan(step("p", "pay", args={"to": ref("facts.city")}))
    mind.decide()
    (asked,) = of(mind, "p").asks
    past = Past(mind.entries)
    guessed = past.event(cause(past, asked.entry))
    assert asked.about == "fact" and isinstance(guessed, e.Inferred) and guessed.question.name == "city"


def test_the_turn_that_planned_a_step_is_told_with_its_words_and_what_was_not_taken() -> None:
    """Cut, and marked as words of a model."""
    mind = Mind(LOOK, PAY)
    mind.ask()
    said = (
        Part(kind="text", text="I look first.\x1b[31m"), Part(kind="call", id="1", tool="look", step="a"),
        Part(kind="call", id="2", tool="pay", args={"amount": 9}, problem="it has no such argument"),
    )  # fmt: skip
    mind.tell(e.ModelAnswered(turn=1, model="p:m", usage=Usage(input_tokens=100, output_tokens=9), said=said))
    mind.tell(
        e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(step("a", "look", confidence=0.7),), final=False), reason="to see")
    )
    found = of(mind, "a")
    assert found.brought is not None and found.brought.by == "model" and found.brought.confidence == 0.7
    shown = lines(found)
    assert shown["why"] == [
        "plan 1, proposed by p:m in turn 1: to see; 70% sure of it (entry 4)",
        "not taken in the same turn: pay: it has no such argument",
    ]
    assert "100 tokens in, 9 out" in shown["turn"][0] and shown["it said"] == ["“I look first.\x1b[31m”"]


# --- other runs, and taking back ----------------------------------------------------------------------------------


def test_a_fork_says_where_it_comes_from_and_what_its_source_did() -> None:
    """Calls of the source are marked as such."""
    story = Story([step("a", "look"), step("p", "send", after=("a",))], LOOK, SEND)
    story.decide()
    story.succeed("a", 1).decide()
    fork = story.succeed("p", 2).fork(5, by="ann", reason="another price")
    fork.decide()
    found = told(fork, every=True)
    assert found.fork is not None and (found.fork.source, found.fork.entries, found.fork.done) == ("r1", 5, ("a",))
    by_name = {one.step: one for one in found.steps}
    assert by_name["a"].of_source and by_name["a"].attempts[0].of_source
    assert [one.of_source for one in by_name["p"].attempts] in ([], [False], [True])
    assert "forked" in dict(head_lines(found)) and "another price" in dict(head_lines(found))["forked"]
    assert found.first.endswith("by the fork: its source made the same call")


def test_a_run_that_a_step_started_is_pointed_to() -> None:
    """Its journal is another one."""
    story = Story([step("c", "sub")], tool("sub", "keyed", agent="other"))
    story.decide()
    handle = "r1.c"
    story.defer("c", handle=handle, by=f"run {handle}")
    assert of(story, "c").child == handle and told(story).children == (handle,)
    story.child("c", result=3, child=handle).decide()
    assert of(story, "c").child == handle and told(story).children == (handle,)


def test_what_was_taken_back_says_by_which_step_and_why() -> None:
    """And the step that takes it back says what for."""
    hold = tool("hold", "keyed", undo="release", output_schema={})
    story = Story(
        [step("h", "hold"), step("a", "look", after=("h",))], hold, tool("release", "idempotent"), LOOK, start={"on_stop": "undo"}
    )
    story.decide()
    story.succeed("h", "room").decide()
    story.fail("a", "denied", message="no").decide()
    story.succeed("undo_h").decide()
    assert story.ended == "failed"
    assert of(story, "h").said.startswith(
        "done, and taken back at its first call, by undo_h (what was done is taken back: step a"
    )
    undo = of(story, "undo_h")
    assert undo.brought is not None and (undo.brought.by, undo.brought.of) == ("undo", "h")
    assert undo.related == ("takes back h",) and undo.attempts[0].basis == "plan"


# --- entries, and what is not there -------------------------------------------------------------------------------


def test_an_entry_is_told_with_what_led_to_it_and_what_followed() -> None:
    """Back to the start of the run."""
    story = _retry()
    number = next(entry.sequence for entry in story.entries if isinstance(entry.event, e.CallFailed))
    found = told(story, str(number)).entry
    assert found is not None and found.said == "look (a) failed: transient: 503" and found.step == "a"
    assert [one.event for one in found.chain] == ["call_intended", "plan_adopted", "proposal_requested", "run_started"]
    assert [one.event for one in found.followed] == ["retry_ruled"]


def test_a_name_that_is_no_step_says_which_are_close() -> None:
    """So does a number beyond the last entry."""
    story = Story([step("payment", "look"), step("notice", "look")], LOOK)
    with pytest.raises(NoSuchStep) as unknown:
        told(story, "paymnet")
    assert unknown.value.close == ("payment",) and (unknown.value.steps, unknown.value.entries) == (2, 3)
    for about in ("0", "4", "99999999999999999999", "-1", "١"):
        with pytest.raises(NoSuchStep):
            told(story, about)


def test_the_other_steps_are_a_line_each_the_odd_ones_first_and_cut() -> None:
    """With every one of them in full where that is wanted."""
    story = Story([step(f"s{number}", "look", retry=AT_ONCE) for number in range(60)], LOOK, limits=Limits(parallel_max=100))
    story.decide()
    story.fail("s7", message="503").decide()
    story.decide(after=2.0)
    for number in range(60):
        story.succeed(f"s{number}", number)
    story.decide()
    found = told(story)
    assert len(found.others) == OTHERS_MAX and found.others_more + len(found.others) + len(found.steps) == 60
    assert "s7" in (found.others[0].step, *(one.step for one in found.steps))
    assert len(told(story, every=True).steps) == 60


# --- whatever happened --------------------------------------------------------------------------------------------


def check(entries: Sequence[e.Entry]) -> None:
    """What holds for each explanation: it is there for every step, each call says by what it was led to, causes come before
    what they led to, and all three forms can be made."""
    found = why(entries, entries[-1].at, every=True)
    assert found.first and all(one.said.strip() for one in found.steps) and len(found.steps) == found.steps_in_all
    for one in (attempt for each in found.steps for attempt in each.attempts):
        assert one.because_entry and one.basis in ("plan", "ruling", "word") and one.because, (one.number, one.because, one.basis)
    assert all(before.entry > after.entry for before, after in zip(found.chain, found.chain[1:], strict=False))
    brief = why(entries, entries[-1].at)
    assert brief.first == found.first and msgspec.json.decode(msgspec.json.encode(brief))["first"] == found.first
    parsed(markdown(found))


@pytest.mark.parametrize("seeds", [range(1, 30), range(-14, 0)])
def test_every_simulated_run_can_be_explained_at_any_moment(seeds: range) -> None:
    """Whatever went wrong: crashes, lies, people, models. Ended, and cut off in the middle."""
    for seed in range(seeds.start * 8 if ALL else seeds.start, seeds.stop):
        stage = Stage(seed)
        stage.play()
        for run_id in stage.store.runs:
            entries = stage.store.read(run_id, EMPTY).entries
            for length in {len(entries), max(len(entries) // 2, 1)}:
                check(entries[:length])


@pytest.mark.parametrize(("name", "run_id"), EVERY_RUN)
def test_every_run_of_an_earlier_release_can_be_explained(name: str, run_id: str) -> None:
    """As a whole, at each third of its journal, and entry by entry."""
    entries = RECORDED[name].entries(run_id)
    for length in {len(entries), max(len(entries) // 3, 1), max(2 * len(entries) // 3, 1)}:
        check(entries[:length])
    past = Past(entries)
    for number in range(1, len(entries) + 1):
        assert cause(past, number) < number
        if ALL or number % 5 == 0:
            assert why(entries, entries[-1].at, str(number)).entry is not None


def test_what_was_known_at_an_entry_is_the_fold_up_to_it() -> None:
    """From whichever state that was kept on the way."""
    story = Story([step(f"s{number}", "look", after=(f"s{number - 1}",) if number else ()) for number in range(EVERY)], LOOK)
    story.decide()
    for number in range(EVERY):
        story.succeed(f"s{number}", number).decide()
    past = Past(story.entries)
    assert past.state == fold(story.entries) and len(story.entries) > 2 * EVERY
    for number in (1, 2, EVERY - 1, EVERY, EVERY + 1, 2 * EVERY + 3, len(story.entries)):
        assert past.after(number) == fold(story.entries[:number])
    assert past.ended("s3") == fold(story.entries).steps["s3"].done_at


# What a line is made of; anything else was made of what came from outside.
OURS = {
    "heading_open", "heading_close", "inline", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    "paragraph_open", "paragraph_close",
}  # fmt: skip
INLINE = {"text", "code_inline", "strong_open", "strong_close", "text_special"}


def parsed(page: str) -> list[str]:
    """The headings of a page, in which there is nothing that does not belong there."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(page)
    assert {token.type for token in tokens} <= OURS
    assert {child.type for token in tokens for child in token.children or ()} <= INLINE
    return [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]


@settings(max_examples=40, deadline=None)
@given(words=st.text(alphabet=st.sampled_from('ab1 \n\r\t`*_[]()<>|~#&!\\-+.:/{}=\u2028\u202e\x07"'), max_size=40))
@example(words="#")
@example(words="1.")
@example(words="- [ ] x")
def test_no_words_break_the_page(words: str) -> None:
    """Whatever stands in names, reasons, notes and values."""
    story = Story(
        [step("p", "pay", args={words: words}), step("a", "look", on_failure="skip")], PAY, LOOK, start={"agent": words or "x"}
    )
    story.decide()
    story.fail("a", "conflict", message=words).decide()
    (name,) = story.open
    story.tell(
        e.Commented(interrupt=name, by=words, text=words), e.Answered(interrupt=name, decision="reject", by=words, note=words)
    )
    story.decide()
    found = told(story, every=True)
    assert parsed(markdown(msgspec.structs.replace(found, goal=words))) == [
        "Why run `r1` is as it is", "From the last entry back", "Step `p` — `pay`", "Step `a` — `look`",
    ]  # fmt: skip


def test_what_is_never_written_down_is_not_explained_either() -> None:
    """Though it should stand in a journal that somebody else wrote."""
    story = Story([step("p", "pay", args={"user": "ann", "password": "hunter2"})], PAY)
    story.decide()
    story.answer("edit", {"user": "bob", "password": "hunter2"}).decide()
    found = told(story, every=True)
    written = msgspec.json.encode(found).decode() + markdown(found)
    assert "hunter2" not in written and written.count("[redacted]") >= 3
