"""What a person is shown of a question: where each value comes from, what it rests on, what happens if nobody says anything."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast.core import events as e
from holdfast.core.facts import Fact
from holdfast.core.ladder import Ladder, Rung
from holdfast.core.policy import Policy, Rule
from holdfast.core.thinking import Thinking
from holdfast.views.interrupts import Origin, Shown, shown
from holdfast.views.words import moment
from tests.core.story import T0, Story, ref, step, tool

PAY = tool("pay", "irreversible")
LOOK = tool("look", untrusted=True)
ARGS = {
    "amount": 5,
    "to": {"name": ref("steps.who.name"), "city": ref("facts.city")},
    "why": ref("inputs.reason"),
    "lines": ["a", ref("inputs.reason")],
    "token": {"$secret": "BANK"},
    "as_is": {"$literal": {"$ref": "no reference"}},
}


def story(args: dict[str, Any] | None = None, *, confirmed: bool = True, **start: Any) -> Story:
    """A run that asks whether it may pay somebody whom an untrusted tool found, in a city that is a guess."""
    told = Story(
        [step("who", "look"), step("a", "pay", args=ARGS if args is None else args)],
        PAY,
        LOOK,
        inputs={"reason": "rent"},
        start=start,
    )
    told.tell(e.FactsLearned(facts=(Fact(name="city", value="Bonn", source="inferred", by="m1", at=T0 - 60, confidence=0.6),)))
    told.decide()
    told.succeed("who", {"name": "Eve"}).decide()
    while confirmed and told.asked.about == "fact":
        told.answer("approve").decide()
    return told


def look(told: Story, **held: Any) -> Shown:
    """What is shown of its question now."""
    return shown(told.run, told.entries, told.asked, told.now, **held)


def test_each_value_says_where_it_comes_from() -> None:
    """At any depth; what was read is named with its source and age."""
    found = {origin.value: origin for origin in look(story()).origins}
    assert {name: (origin.comes_from, origin.of) for name, origin in found.items()} == {
        "amount": ("plan", ""), "to.name": ("step", "who"), "to.city": ("fact", "city"), "why": ("input", "reason"),
        "lines[0]": ("plan", ""), "lines[1]": ("input", "reason"), "token": ("secret", "BANK"), "as_is": ("plan", ""),
    }  # fmt: skip
    assert found["to.city"] == Origin(
        value="to.city", comes_from="fact", of="city", expression="facts.city", by="inferred by m1", at=T0 - 60, age_seconds=60.0,
        confidence=0.6,
    )  # fmt: skip
    assert (found["to.name"].by, found["to.name"].tainted, found["to.name"].expression) == ("look", True, "steps.who.name")


def test_a_value_of_a_fact_that_is_too_old_by_now_says_so() -> None:
    """It was not when the question was asked."""
    told = story(args={"to": ref("facts.city")})
    told.tell(e.FactsLearned(facts=(Fact(name="city", value="Bonn", source="told", by="ann", at=told.now, ttl_seconds=30.0),)))
    assert not look(told).origins[0].stale
    told.wait(30)
    (origin,) = look(told).origins
    assert (origin.stale, origin.age_seconds, origin.by) == (True, 30.0, "told by ann")


def test_what_a_model_planned_is_not_said_to_be_the_authors() -> None:
    """Its literals are its own; references are what they are."""
    planned = story(args={"amount": 5, "why": ref("inputs.reason")}, thinking=Thinking(models={}, routes={}))
    assert [origin.comes_from for origin in look(planned).origins] == ["model", "input"]


def test_what_a_person_edited_is_said_to_be_theirs() -> None:
    """And only that."""
    told = story(args={"amount": 5, "why": ref("inputs.reason")})
    told.answer("edit", value={"amount": 6, "why": "rent"}).decide()
    told.fail("a", "conflict").decide()
    told.tell(asked_again(told))
    assert {origin.value: origin.comes_from for origin in look(told).origins} == {"amount": "person", "why": "input"}


def asked_again(told: Story) -> e.Asked:
    """The step is asked about once more, with the arguments that it has."""
    args = told["a"].args or {}
    return e.Asked(
        interrupt="a-9", kind="escalation", about="failure", question="what now?", options=(), digest="d", expires_at=T0 + 500,
        step="a", tool="pay", args=args,
    )  # fmt: skip


def test_what_it_rests_on_is_there_with_what_is_only_guessed_and_what_is_tainted() -> None:
    """The facts beneath, the results that it reads, and the ruling with what it looked at."""
    policy = Policy(name="money", rules=(Rule(name="some", tools=("pay",), when="amount > 1"),))
    seen = look(story(policy=policy))
    assert [(fact.name, fact.value, fact.source) for fact in seen.evidence] == [("city", "Bonn", "inferred")]
    assert [(read.step, read.tool, read.value, read.tainted) for read in seen.results] == [("who", "look", {"name": "Eve"}, True)]
    assert seen.tainted
    assert seen.ruling is not None and (seen.ruling.rule, seen.ruling.looked) == ("some", {"amount": 5.0})
    assert seen.done == ("who",)
    assert seen.args["amount"] == 5, "what is shown is whole"


def test_a_guess_that_nobody_confirmed_is_named() -> None:
    """One that was confirmed is none."""
    guessed = look(story(args={"to": ref("facts.city")}, confirmed=False))
    assert (guessed.about, guessed.inferred, [fact.name for fact in guessed.facts]) == ("fact", ("city",), ["city"])
    assert guessed.origins[0].guess
    confirmed = look(story(args={"to": ref("facts.city")}))
    assert (confirmed.about, confirmed.inferred, confirmed.origins[0].guess) == ("call", (), False)


@pytest.mark.parametrize("about", ["call", "doubt"])
def test_it_says_what_happens_if_nobody_says_anything(about: str) -> None:
    """Where there is no ladder: when, and what holds then. It is never a yes."""
    told = story(args={})
    if about == "doubt":
        told.answer("approve").decide()
        told.lose("a").decide()
    seen = look(told)
    end = moment(told.asked.expires_at)
    words = {"call": "that counts as a no: the call is not made", "doubt": "the run stops, and nobody knows whether it happened"}
    assert (seen.at_deadline, seen.due_at) == (f"if nobody decides by {end}, {words[about]}", told.asked.expires_at)


def test_it_says_who_is_asked_next_and_when() -> None:
    """By the ladder, as it stands."""
    ladder = Ladder(
        rungs=(Rung(seconds=100, remind_seconds=40), Rung(who=("chief",), seconds=50)),
        at_deadline="hand_off",
        hand_off_to=("desk",),
    )
    policy = Policy(name="money", rules=(Rule(name="all", tools=("pay",), who=("clerk",), ladder=ladder),))
    told = story(args={}, policy=policy)
    begun = told.now
    assert look(told).at_deadline.startswith(f"at {moment(begun + 40)} clerk are reminded; if nobody decides by ")
    told.wait(90).decide()
    assert look(told).at_deadline.startswith(f"at {moment(begun + 100)} it goes on to chief; ")
    told.wait(15).decide()
    seen = look(told)
    assert (seen.rung, seen.who) == (1, ("chief",))
    assert seen.at_deadline.startswith(f"at {moment(seen.due_at)} desk are to take it over; ")


def test_what_was_said_and_decided_before_about_the_same_is_there() -> None:
    """About the same step, or the same call; nothing of another."""
    told = story(args={"amount": 5})
    told.tell(e.Commented(interrupt=told.open[0], by="ann", text="hm"), e.Commented(interrupt="other-1", by="bob", text="no"))
    first = told.open[0]
    assert [(one.by, one.text, one.at) for one in look(told).comments] == [("ann", "hm", told.now)]
    told.answer("approve", note="fine")
    told.decide()
    told.fail("a", "conflict")
    told.tell(asked_again(told))
    (earlier,) = look(told).earlier
    assert (earlier.interrupt, earlier.decision, earlier.note, earlier.args) == (first, "approve", "fine", {"amount": 5})
    assert look(told).comments == ()


def test_it_prints_as_json() -> None:
    """Whoever has it in hand is there only as long as they have."""
    told = story()
    held = look(told, claimed_by="ann", claimed_until=told.now + 1)
    assert msgspec.json.decode(msgspec.json.encode(held))["claimed_by"] == "ann"
    assert look(told, claimed_by="ann", claimed_until=told.now).claimed_until is None
