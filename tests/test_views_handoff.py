"""The handoff package: what somebody needs who takes a run over, as a record and as a page."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from holdfast.core import events as e
from holdfast.core.facts import Fact
from holdfast.core.ladder import Ladder, Rung
from holdfast.core.policy import Policy, Rule
from holdfast.views.handoff import Handoff, handoff, markdown
from holdfast.views.handoff.markdown import LINES_MAX
from holdfast.views.handoff.tried import TRIED_MAX
from holdfast.views.markdown import code, text
from tests.core.story import AT_ONCE, Story, ref, step, tool

LOOK = tool("look", "read")
PAY = tool("pay", "irreversible", amount="amount")
BOOK = tool("book", "keyed", key_ttl_seconds=60.0, probe=True, settles_within_seconds=30.0)
SEAT = tool("seat", "keyed", callback=True)
CAR = tool("rent_car", "keyed")
POLICY = Policy(
    name="shop", version="3",
    rules=(Rule(name="large", when="amount > 500", tools=("pay",), who=("finance",), people=2), Rule(name="fraud", then="block", tools=("rent_car",))),
    ladder=Ladder(rungs=(Rung(seconds=3600.0), Rung(who=("cfo",), seconds=7200.0)), at_deadline="hand_off", hand_off_to=("ops",)),
)  # fmt: skip
NASTY = (
    "no `seat` | left\n# Now\n- run\n<script>alert(1)</script> [click](http://evil.example) **x** ```\n~~~\n\u202eabc &lt; _y_"
)


def packed(story: Story, **options: Any) -> Handoff:
    """The package of a run as it stands."""
    return handoff(story.run, story.now, story.entries, **options)


def messy() -> Story:
    """A run in which something is done, blocked, owed, unknown and asked; somebody takes it over."""
    story = Story(
        [
            step("look1", "look"), step("book1", "book", args={"hotel": "Ritz | `P`"}), step("seat1", "seat"),
            step("pay1", "pay", args={"amount": 900, "password": "hunter2"}), step("car1", "rent_car", on_failure="skip"),
            step("mail1", "look", args={"to": ref("steps.pay1")}),
        ],
        LOOK, PAY, BOOK, SEAT, CAR, start={"policy": POLICY}, inputs={"who": "ann", "password": "hunter2"},
    )  # fmt: skip
    story.decide()
    story.succeed("look1", {"text": NASTY})
    story.lose("book1", NASTY).decide()
    story.defer("seat1", until=story.now + 5000, by="airline", handle="PNR-7").decide()
    story.tell(e.ApprovalGiven(interrupt="pay1-1", by="eve", left=1))
    story.tell(e.HandoffRequested(by="ann", reason="the customer is on the phone"))
    return story


def alone(*more: Any, **fields: Any) -> Story:
    """A run of two steps, the second of which waits for the first."""
    return Story([step("a", "look", args={"n": 1}, **fields), step("b", "look", after=("a",)), *more], LOOK, PAY)


# --- the record ---------------------------------------------------------------------------------------------------


def test_each_step_stands_where_it_belongs_with_what_it_waits_for() -> None:
    """Done, not done and unknown, and what others owe."""
    found = packed(messy())
    assert [one.step for one in found.done] == ["look1"]
    assert [one.step for one in found.unknown] == ["book1"]
    assert {one.step: (one.phase, one.waits_for[:29]) for one in found.not_done} == {
        "seat1": ("its result is owed", "the result of seat1 is owed b"),
        "pay1": ("asks a person", "the answer to pay1-1"),
        "car1": ("blocked by a policy", ""),
        "mail1": ("waits for other steps", "pay1"),
    }
    assert [(one.step, one.by, one.handle) for one in found.owed] == [("seat1", "airline", "PNR-7")]
    assert found.why.startswith("ann took it over: the customer is on the phone") and found.taken_over is not None


def test_what_is_unknown_says_the_key_and_how_to_find_out() -> None:
    """With the time of sending, so that the other side can be asked."""
    story = messy()
    (one,) = packed(story).unknown
    assert one.key == story["book1"].key and one.key in one.find_out and one.sent_at == story["book1"].first_sent_at
    assert "Its probe looks for it too" in one.find_out


def test_a_question_says_the_rule_who_may_and_who_did() -> None:
    """As the policy wants it."""
    (asked,) = packed(messy()).questions
    assert asked.rule == "the rule large of shop@3" and asked.who == ("finance",)
    assert (asked.people, asked.approvals) == (2, ("eve",)) and "goes on to cfo" in asked.next


def test_what_did_not_work_is_told_with_why_and_how_often() -> None:
    """The same again is one line; the last word on a step comes last."""
    story = alone(retry=AT_ONCE)
    for _ in range(3):
        story.decide(after=100.0)
        story.fail("a", "transient", message="503").decide()
    tried = packed(story).tried
    assert [(one.step, one.times) for one in tried] == [("a", 3), ("a", 1), ("", 1)]
    assert tried[0].what == "failed: transient: 503" and tried[1].what.startswith("given up: transient: 503 after 3 attempts")


def test_refusals_of_people_and_policies_are_among_what_did_not_work() -> None:
    """Who takes it over need not ask for the same again."""
    story = messy()
    story.answer("reject", note="not this one")
    said = [(one.step, one.what) for one in packed(story).tried]
    assert ("car1", "the call of rent_car is blocked by the rule fraud of shop@3") in said
    assert any(step == "pay1" and "reject by" in what and "not this one" in what for step, what in said)


def test_much_that_did_not_work_is_bounded() -> None:
    """The newest is kept, and it is said how much there was before."""
    story = alone()
    for number in range(TRIED_MAX + 5):
        story.tell(e.WordVoided(kind="pause", by=f"p{number}", reason="late"))
    found = packed(story)
    assert (len(found.tried), found.tried_before) == (TRIED_MAX, 5) and f"p{TRIED_MAX + 4} " in found.tried[-1].what


def test_who_did_a_step_by_hand_is_named() -> None:
    """And a result that a person gave is told from one that the tool gave."""
    story = alone()
    story.tell(e.StepDoneByHand(step="b", by="ann", value={"ok": True}, note="by phone"))
    done = {one.step: one for one in packed(story).done}
    assert (done["b"].how, done["b"].by, done["b"].result) == ("by hand", "ann", '{"ok":true}')


def test_what_is_believed_is_marked() -> None:
    """A guess, and what is too old, by their words."""
    story = alone()
    story.tell(
        e.FactsLearned(
            facts=(
                Fact(name="city", value="Oslo", source="inferred", by="m", confidence=0.6, at=story.now),
                Fact(name="price", value=1, source="observed", at=story.now - 100, ttl_seconds=60.0),
            )
        )
    )
    found = packed(story)
    assert [(fact.name, fact.stands) for fact in found.believed] == [("city", "guess"), ("price", "too old")]
    page = markdown(found)
    assert "— **GUESS**" in page and "— **TOO OLD**" in page and "60% sure" in page


def test_secrets_are_nowhere() -> None:
    """Neither in inputs nor in arguments nor in what is asked."""
    found = packed(messy())
    assert b"hunter2" not in msgspec.json.encode(found) and "hunter2" not in markdown(found)


def test_it_reads_back_as_what_it_was() -> None:
    """As JSON."""
    found = packed(messy())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Handoff) == found


# --- what to do first ---------------------------------------------------------------------------------------------


def taken_over(story: Story) -> Story:
    """Nothing is in flight, and whoever took it over is asked how it goes on."""
    story.tell(e.HandoffRequested(by="ann")).decide()
    assert story.asked.about == "handoff"
    return story


def test_a_doubt_comes_before_all_decisions() -> None:
    """What happened is found out before more is done."""
    story = Story(
        [step("a", "look1", on_failure="ask"), step("b", "pay", args={"amount": 1})],
        tool("look1", "irreversible", approve="never"),
        PAY,
    )
    story.decide()
    story.lose("a").decide()
    found = packed(story)
    assert len(found.questions) == 2 and found.next.command == f"holdfast answer r1 {story['a'].interrupt} respond RESULT"
    assert found.next.means.startswith("Find out whether a happened.")


def test_nobody_is_led_to_approve() -> None:
    """The command for a decision leaves the decision open."""
    story = Story([step("a", "pay", args={"amount": 1})], PAY)
    story.decide()
    assert packed(story).next.command == f"holdfast answer r1 {story.asked.interrupt} DECISION"


def test_whoever_took_it_over_does_the_first_step_that_can_be_done() -> None:
    """And marks it as done; once nothing is left, it is handed back."""
    story = alone()
    story.tell(e.HandoffRequested(by="ann")).decide()
    assert packed(story).next.command == "holdfast done r1 a RESULT"
    for name in ("a", "b"):
        story.tell(e.StepDoneByHand(step=name, by="ann", value=1))
    assert packed(story).next.command == f"holdfast answer r1 {story.asked.interrupt} approve"


def test_a_pause_is_lifted_by_its_word() -> None:
    """And the page says who paused it, and until when."""
    story = alone()
    story.tell(e.RunPaused(by="ann", reason="a migration", until=story.now + 60))
    found = packed(story)
    assert found.next.command == "holdfast resume r1" and "a migration" in found.why
    assert all(one.waits_for == "ann, who paused the run" for one in found.not_done if one.step == "a")


def test_a_run_that_goes_on_by_itself_needs_nobody() -> None:
    """And one that has ended says what is left."""
    story = alone()
    assert packed(story).next.means == "Nothing: the run goes on by itself."
    story.decide()
    story.fail("a", "denied").decide()
    assert story.ended == "failed" and "does not go on" in packed(story).next.means
    assert [one.means for one in packed(story).commands] == ["how it stands now"]


def test_commands_are_for_the_store_that_is_named() -> None:
    """Whoever makes the package says how."""
    found = packed(alone(), command=lambda *words, ends="": f"{shlex.join(words)}{ends} --db x.db")
    assert found.commands[0].command == "show r1 --db x.db"


# --- the page -----------------------------------------------------------------------------------------------------

HEADINGS = [
    "What to do first", "Unknown: nobody knows whether it happened", "Open questions", "Done", "Not done",
    "Owed by others; do not do these again", "Believed", "Tried, and did not work", "Spent so far", "Commands to go on",
]  # fmt: skip
# What a line is made of; anything else was made of what came from outside.
OURS = {
    "heading_open", "heading_close", "inline", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    "paragraph_open", "paragraph_close", "code_block",
}  # fmt: skip
INLINE = {"text", "code_inline", "strong_open", "strong_close", "text_special"}


def parsed(page: str) -> list[str]:
    """The headings of a page, in which there is nothing that does not belong there."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(page)
    assert {token.type for token in tokens} <= OURS
    assert {child.type for token in tokens for child in token.children or ()} <= INLINE
    return [tokens[at + 1].content for at, token in enumerate(tokens) if token.tag == "h2" and token.type == "heading_open"]


def test_the_page_has_its_headings_whatever_the_run_says() -> None:
    """Nothing from outside becomes a heading, a link, a table, HTML or code of another."""
    assert parsed(markdown(packed(messy()))) == HEADINGS


@settings(max_examples=60, deadline=None)
@given(words=st.text(alphabet=st.sampled_from('ab1 \n\r\t`*_[]()<>|~#&!\\-+.:/{}=\u2028\u202e\x07"'), max_size=40))
def test_no_words_break_the_page(words: str) -> None:
    """Whatever stands in names, reasons and values."""
    story = alone()
    story.tell(
        e.RunPaused(by=words or "x", reason=words),
        e.FactsLearned(facts=(Fact(name=f"n{words}", value=words, by=words, basis=words),)),
    )
    story.tell(
        e.WordVoided(kind="done", by=words, reason=words, about=words),
        e.StepDoneByHand(step="a", by=words, value=words, note=words),
    )
    found = msgspec.structs.replace(packed(story), goal=words, intent=words, agent=words or "x", tenant=words)
    headings = parsed(markdown(found))
    assert headings == [heading for heading in HEADINGS if heading not in HEADINGS[1:3] + HEADINGS[5:6]]


@settings(max_examples=200, deadline=None)
@given(words=st.text(alphabet=st.sampled_from("ab `*_[]()<>|~#&;!\\-+.:/{}=1"), min_size=1, max_size=30))
@example(words="~~gone~~ &lt; &amp; a|b")
@example(words="``` `x` ``")
@example(words="see http://evil.example, _so_ or *so*, <b>so</b>")
def test_words_are_read_as_they_were_said(words: str) -> None:
    """Whatever renders the page shows them letter by letter."""
    flat = " ".join(words.split())
    assume(flat)
    reader = MarkdownIt("gfm-like", {"linkify": False})
    for made, kinds in ((text(words), {"text", "text_special"}), (code(words), {"code_inline"})):
        (inline,) = [token for token in reader.parse(f"- x: {made}.") if token.type == "inline"]
        children = inline.children or []
        assert {child.type for child in children[1:-1]} <= kinds | {"text"}
        assert "".join(child.content for child in children) == f"x: {flat}."


@pytest.mark.parametrize("count", [LINES_MAX + 3])
def test_a_long_run_is_cut_on_the_page_and_whole_in_the_record(count: int) -> None:
    """The last steps that were done are shown."""
    story = Story([step(f"s{number}", "look") for number in range(count)], LOOK)
    story.decide()
    while flying := [name for name in story.phases if story.phases[name] == "flying"]:
        for name in flying:
            story.succeed(name, 1)
        story.decide()
    found = packed(story)
    page = markdown(found)
    assert (
        len(found.done) == count and "- … 3 earlier ones" in page and f"`s{count - 1}` calls" in page and "`s1` calls" not in page
    )
