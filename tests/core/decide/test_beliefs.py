"""What is believed: observed, too old, corrected, guessed; and what a plan says of when a step is begun."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.facts import Fact, Source
from holdfast.core.models import ModelTerms, Price
from holdfast.core.plan import Expect, Fallback
from holdfast.core.thinking import Thinking
from tests.core.story import T0, Story, ref, step, tool

LOOK = tool("look", observes={"price": "offer.price"}, valid_seconds=600.0)
PAY = tool("pay", "irreversible", approve="never")
THINKING = Thinking(
    models={"s:m": ModelTerms(name="s:m", price=Price(input_usd=Decimal(1), output_usd=Decimal(1)))}, routes={"": ("s:m",)}
)


def offer(price: Any) -> dict[str, Any]:
    """What `look` returns."""
    return {"offer": {"price": price}}


def told(name: str, value: Any, by: str = "ann", **fields: Any) -> e.FactsLearned:
    """A person says what is so."""
    fields = {"source": "told", "by": by, "at": T0, "pinned": True} | fields
    return e.FactsLearned(facts=(Fact(name=name, value=value, **fields),))


def guessed(name: str, value: Any, source: Source = "inferred", **fields: Any) -> e.FactsLearned:
    """Nobody said so."""
    return told(name, value, by="a model", source=source, pinned=False, confidence=0.7, **fields)


def thinking_story(*steps: Any, contracts: Any) -> Story:
    """A run whose plan came from a model."""
    return Story(steps, *contracts, start={"thinking": THINKING}, final=False)


class TestObserved:
    """Facts are read off results."""

    def test_a_step_that_is_done_teaches_what_its_tool_observes(self) -> None:
        """With where it comes from, since when, and for how long it holds."""
        story = Story([step("a", "look", args={"of": ref("inputs.x")})], LOOK, inputs={"x": 1})
        story.decide()
        story.succeed("a", offer(100)).decide(after=5)
        fact = story.run.facts["price"]
        assert fact == Fact(
            name="price", value=100, source="observed", by="look", at=T0 + 5, ttl_seconds=600.0, rests_on=("steps.a",)
        )
        assert story.run.observers == {"price": "a"}
        assert story.run.to_observe == ()

    def test_the_name_of_a_fact_holds_the_arguments_of_its_call(self) -> None:
        """Two flights have seats each."""
        seats = tool("seats", observes={"seats {flight}": "left"})
        story = Story([step("a", "seats", args={"flight": "UA1"}), step("b", "seats", args={"flight": "UA2"})], seats)
        story.decide()
        story.succeed("a", {"left": 3}).succeed("b", {"left": 0}).decide()
        assert {name: fact.value for name, fact in story.run.facts.items()} == {"seats UA1": 3, "seats UA2": 0}

    def test_what_is_not_in_the_result_is_not_observed_and_said_so(self) -> None:
        """Nor is what has no name, or is too large to be a fact."""
        odd = tool("odd", observes={"price": "price", "of {what}": "name", "all": "all"})
        story = Story([step("a", "odd", args={"what": None})], odd)
        story.decide()
        story.succeed("a", {"name": "x", "all": "y" * 20_000}).decide()
        assert story.run.facts == {}
        (learned,) = story.events(e.FactsLearned)
        assert all(name in learned.reason for name in ("price", "of {what}", "all"))

    def test_a_result_that_was_cut_is_not_read(self) -> None:
        """What was left of it may be another value."""
        story = Story([step("a", "look")], LOOK)
        story.decide()
        story.tell(e.CallSucceeded(step="a", attempt=1, value=offer(1), cut=e.Cut(bytes=10**6))).decide()
        assert story.run.facts == {}

    @pytest.mark.parametrize("way", ["probe", "callback", "person"])
    def test_a_result_teaches_whichever_way_it_came(self, way: str) -> None:
        """It is the same result."""
        looks = tool("look", "reconcilable", observes={"price": "offer.price"}, callback=True)
        story = Story([step("a", "look")], looks)
        story.decide()
        if way == "probe":
            story.lose("a").decide()
            story.decide(after=1)
            story.probed("a", "happened", offer(7))
        elif way == "callback":
            story.defer("a").decide()
            story.deliver("a", offer(7))
        else:
            story.lose("a").decide()
            story.probed("a", "cannot_tell").decide()
            story.answer("respond", offer(7))
        story.decide()
        assert story.run.facts["price"].value == 7

    def test_the_result_of_another_step_that_is_taken_over_is_not_observed_again(self) -> None:
        """It is as old as it was."""
        sells = tool("look", "keyed", business_key=("of",), observes={"price": "offer.price"})
        story = Story([step("a", "look", args={"of": 1}), step("b", "look", args={"of": 1}, after=("a",))], sells)
        story.decide()
        story.succeed("a", offer(1)).decide(after=50)
        assert story["b"].settled_by == "reuse"
        assert story.run.facts["price"].at == T0 + 50
        assert len(story.events(e.FactsLearned)) == 1


class TestDrift:
    """The world is not as it was believed to be."""

    def test_another_value_than_was_believed_is_a_drift(self) -> None:
        """Whoever said it before; the tool measures."""
        story = Story([step("a", "look")], LOOK)
        story.tell(told("price", 90))
        story.decide()
        story.succeed("a", offer(100)).decide()
        learned = story.events(e.FactsLearned)[-1]
        assert [(drift.believed, drift.observed, drift.source) for drift in learned.drifts] == [(90, 100, "told")]
        assert story.run.facts["price"].value == 100

    def test_the_same_value_is_none(self) -> None:
        """It is only younger now."""
        story = Story([step("a", "look")], LOOK)
        story.tell(guessed("price", 100))
        story.decide()
        story.succeed("a", offer(100)).decide()
        assert story.events(e.FactsLearned)[-1].drifts == ()
        assert story.events(e.FactsInvalidated) == []

    def test_a_step_that_holds_a_copy_of_what_drifted_is_dropped_and_the_model_asked_again(self) -> None:
        """Before anything new begins."""
        steps = (step("a", "look"), step("b", "pay", args={"amount": 90}, rests_on=("price",), after=("a",)))
        story = thinking_story(*steps, contracts=(LOOK, PAY))
        story.tell(guessed("price", 90, source="remembered"))
        story.decide()
        story.succeed("a", offer(100)).decide()
        (fell,) = story.events(e.FactsInvalidated)
        assert (fell.facts, fell.dropped, fell.outdated) == ((), ("b",), ())
        assert story["b"].phase == "skipped" and "price" in story["b"].reason
        (suspected,) = story.events(e.PlanSuspected)
        assert suspected.why == "drift"
        assert story.keys == story.keys[:1], "nothing but the look was called"

    def test_a_step_that_refers_to_what_drifted_takes_the_new_value(self) -> None:
        """The reference is looked up when it begins."""
        steps = [step("a", "look"), step("b", "t", args={"amount": ref("facts.price")}, after=("a",))]
        story = Story(steps, LOOK, tool())
        story.tell(told("price", 90))
        story.decide()
        story.succeed("a", offer(100))
        assert story.called() == ["b"]
        assert story["b"].args == {"amount": 100}

    def test_the_step_that_saw_the_drift_is_not_outdated_by_it(self) -> None:
        """It was called with what was believed, and reports what is so."""
        sells = tool("sell", "keyed", observes={"seats": "left"})
        story = Story([step("a", "sell", rests_on=("seats",)), step("b", args={"n": ref("steps.a.left")})], sells, tool())
        story.tell(told("seats", 18))
        story.decide()
        story.succeed("a", {"left": 17})
        assert story.called() == ["b"]
        assert story.run.outdated == ()


class TestCorrected:
    """A person says what is so."""

    def test_exactly_what_rests_on_it_falls(self) -> None:
        """By way of facts and of results, and nothing beside it."""
        search = tool("search", observes={"flights": "found"})
        steps = [
            step("a", "search", args={"from": ref("facts.origin")}),
            step("b", "search", args={"from": "SFO"}),
            step("c", args={"f": ref("steps.a.found")}, after=("w",)),
            step("d", args={"f": ref("steps.b.found")}, after=("w",)),
            step("w"),
        ]
        story = Story(steps, search, tool())
        story.tell(told("origin", "JFK"), guessed("hotel", "near JFK", rests_on=("origin",)), told("hat", "red"))
        story.decide()
        story.succeed("a", {"found": 1}).decide()
        story.tell(told("origin", "LGA")).decide()
        (fell,) = story.events(e.FactsInvalidated)
        assert (set(fell.facts), fell.dropped, fell.outdated) == ({"hotel", "flights"}, ("c",), ("a",))
        assert story.run.facts["hotel"].stale and not story.run.facts["hat"].stale
        assert story.run.facts["origin"].value == "LGA" and story.run.facts["origin"].pinned
        story.succeed("b", {"found": 2}).succeed("w")
        assert story.called() == ["d"]
        assert story.run.flagged == ("c",), "nobody plans again, so a person is told"

    def test_an_open_question_about_a_step_that_falls_is_closed(self) -> None:
        """A person is not asked about what will not be done."""
        story = Story([step("a", "pay", args={"to": "JFK"}, rests_on=("origin",))], tool("pay", "irreversible"))
        story.tell(told("origin", "JFK")).decide()
        assert story.asked.about == "call"
        story.tell(told("origin", "LGA")).decide()
        assert story.open == [] and story["a"].phase == "skipped"

    def test_a_person_is_asked_anew_about_a_call_that_would_be_another_now(self) -> None:
        """With the arguments that would be sent; whoever approved the old ones in between has approved nothing."""
        story = Story([step("a", "pay", args={"to": ref("facts.origin")})], tool("pay", "irreversible"))
        story.tell(told("origin", "JFK")).decide()
        first = story.asked
        story.tell(told("origin", "LGA")).decide()
        assert story.asked.args == {"to": "LGA"} and story.asked.interrupt != first.interrupt
        story.tell(told("hat", "red"), told("origin", "LGA", by="bob"))
        assert story.asked.args == {"to": "LGA"}
        story.answer("approve")
        assert story.called() == ["a"]

    def test_what_is_under_way_ends_and_is_outdated_then(self) -> None:
        """Its result is not what is so, and what would read it falls; what it reports is to be observed again."""
        look = tool("look", observes={"price": "price"})
        steps = [step("a", "look", args={"at": ref("facts.origin")}), step("b", args={"p": ref("steps.a.price")})]
        story = Story(steps, look, tool())
        story.tell(told("origin", "JFK")).decide()
        story.tell(told("origin", "LGA")).decide()
        assert story["a"].phase == "flying" and story["b"].phase == "blocked"
        assert story.run.outdated == ("a",)
        story.succeed("a", {"price": 5}).decide()
        assert story["b"].phase == "skipped"
        assert story.run.facts["price"].stale
        assert story.run.outdated == ("a",) and story.ended == "completed"

    def test_what_was_under_way_and_failed_is_made_again_with_what_holds_now_under_another_key(self) -> None:
        """It is another call; and nothing is outdated then."""
        book = tool("book", "keyed")
        story = Story([step("a", "book", args={"at": ref("facts.origin")}), step("b", args={"p": ref("steps.a")})], book, tool())
        story.tell(told("origin", "JFK")).decide()
        story.tell(told("origin", "LGA"))
        story.fail("a").decide()
        story.decide(after=1)
        assert story["a"].args == {"at": "LGA"}
        assert len(set(story.keys)) == 2
        assert story.run.outdated == ()
        story.succeed("a", 1)
        assert story.called() == ["b"]

    def test_a_call_that_may_have_happened_is_repeated_as_it_was(self) -> None:
        """Under its key, whatever is believed since."""
        story = Story([step("a", "book", args={"at": ref("facts.origin")})], tool("book", "keyed"))
        story.tell(told("origin", "JFK")).decide()
        story.lose("a").tell(told("origin", "LGA")).decide()
        story.decide(after=5)
        assert story["a"].phase == "flying" and story["a"].args == {"at": "JFK"}
        assert len(set(story.keys)) == 1

    def test_a_failed_call_that_holds_a_copy_is_not_made_again(self) -> None:
        """What it was planned on is not so any more."""
        story = Story([step("a", "t", args={"at": "JFK"}, rests_on=("origin",), on_failure="flag")], tool())
        story.tell(told("origin", "JFK")).decide()
        story.tell(told("origin", "LGA")).decide()
        story.fail("a").decide()
        story.decide(after=1)
        assert story["a"].phase == "skipped" and "planned on" in story["a"].reason
        assert len(story.keys) == 1

    def test_a_failed_call_that_waits_for_its_retry_is_dropped(self) -> None:
        """It did not happen, and is not to."""
        story = Story([step("a", "t", args={"at": "JFK"}, rests_on=("origin",))], tool())
        story.tell(told("origin", "JFK")).decide()
        story.fail("a").decide()
        story.tell(told("origin", "LGA")).decide()
        assert story["a"].phase == "skipped"
        assert story.events(e.FactsInvalidated)[0].dropped == ("a",)

    def test_a_model_hears_of_every_correction(self) -> None:
        """Also of one that nothing rests on yet: its next plan does."""
        story = thinking_story(step("a"), contracts=(tool(),))
        story.tell(guessed("origin", "JFK")).decide()
        story.tell(told("origin", "LGA")).decide()
        (suspected,) = story.events(e.PlanSuspected)
        assert suspected.why == "correction" and "ann" in suspected.reason and "origin" in suspected.reason

    def test_a_step_whose_alternative_stands_in_leaves_its_readers(self) -> None:
        """What reads a step that is dropped gets what stands in for it."""
        steps = [
            step("a", args={"x": "JFK"}, rests_on=("origin",), after=("w",)),
            step("b", args={"x": 1}, alternative_to="a", after=("w",)),
            step("c", args={"r": ref("steps.a")}),
            step("w"),
        ]
        story = Story(steps, tool())
        story.tell(told("origin", "JFK")).decide()
        story.tell(told("origin", "LGA")).decide()
        assert story.events(e.FactsInvalidated)[0].dropped == ("a",)
        story.succeed("w").decide()
        story.succeed("b", 3)
        assert story.called() == ["c"]


class TestRank:
    """Who is believed over whom."""

    @pytest.mark.parametrize("source", ["inferred", "remembered"])
    @pytest.mark.parametrize("firm", ["observed", "told"])
    def test_a_guess_never_overwrites_what_was_seen_or_said(self, source: Source, firm: Source) -> None:
        """It is passed over."""
        story = Story([step("a")], tool())
        story.tell(told("x", 1, source=firm, pinned=False), guessed("x", 2, source=source))
        assert story.run.facts["x"].value == 1
        assert story.run.shaken == ()

    def test_what_fell_may_be_guessed_again_unless_a_person_had_said_it(self) -> None:
        """It is not believed any more."""
        story = Story([step("a")], tool())
        story.tell(told("x", 1, pinned=False), told("y", 1))
        story.tell(e.FactsInvalidated(facts=("x", "y"), because="w"))
        story.tell(guessed("x", 2), guessed("y", 2))
        assert (story.run.facts["x"].value, story.run.facts["y"].value) == (2, 1)

    def test_a_memory_fills_in_what_is_not_known(self) -> None:
        """And is told apart by its id."""
        story = Story([step("a")], tool())
        story.tell(told("x", 1))
        story.tell(e.RecallIntended(query="q", count=5))
        memories = tuple(Fact(name=name, value=9, source="remembered", at=T0 - 1e6) for name in ("x", "y"))
        story.tell(e.MemoryRecalled(facts=memories, ids=("m1", "m2")))
        assert {name: fact.value for name, fact in story.run.facts.items()} == {"x": 1, "y": 9}
        assert story.run.memories == {"y": "m2"} and story.run.recalled and story.run.recalling is None


class TestTooOld:
    """A fact that does not hold any more is observed again before anything rests on it."""

    def plan(self, **fields: Any) -> Story:
        """A price that is looked up, and a step that needs it a while later."""
        steps = [
            step("a", "look", args={"of": "x"}),
            step("w"),
            step("b", "book", needs_fresh=("price",), after=("a", "w"), args={"p": ref("facts.price")}, **fields),
        ]
        story = Story(steps, LOOK, tool(), tool("book", "idempotent"))
        story.decide()
        return story.succeed("a", offer(100))

    def test_it_is_observed_again_by_a_step_of_its_own(self) -> None:
        """With the call that observed it; the step waits for it, and takes what it finds."""
        story = self.plan()
        story.succeed("w").tell(at=T0 + 601)
        story.decide()
        story.tell(at=T0 + 1300)
        fresh = self.plan()
        fresh.succeed("w")
        assert fresh.called(after=10) == ["b"], "it is still fresh"
        late = self.plan()
        late.decide()
        late.succeed("w")
        assert late.called(after=601) == ["a_anew"]
        (planned,) = late.events(e.ReobservationPlanned)
        assert (planned.fact, planned.for_step, planned.step.args) == ("price", "b", {"of": "x"})
        assert late["b"].phase == "ready"
        late.succeed("a_anew", offer(112))
        assert late.called() == ["b"]
        assert late["b"].args == {"p": 112}
        assert late.run.facts["price"].rests_on == ("steps.a_anew",)

    def test_one_look_is_enough_for_all_that_wait(self) -> None:
        """They share it."""
        steps = [step("a", "look"), step("w"), *(step(n, needs_fresh=("price",), after=("a", "w")) for n in ("b", "c"))]
        story = Story(steps, LOOK, tool())
        story.decide()
        story.succeed("a", offer(1)).decide()
        story.succeed("w")
        assert story.called(after=700) == ["a_anew"]
        story.succeed("a_anew", offer(1))
        assert story.called() == ["b", "c"]

    def test_what_cannot_be_observed_again_fails_the_step_clearly(self) -> None:
        """By its on_failure, with the age and for how long it holds."""
        story = self.plan(on_failure="flag")
        story.decide()
        story.succeed("w").decide(after=700)
        for _ in range(3):
            story.fail("a_anew")
            story.decide()
            story.decide(after=100)
        assert story["b"].phase == "skipped"
        assert "price" in story["b"].reason and "could not be observed again" in story["b"].reason
        assert "10 min" in story["b"].reason

    def test_a_fact_that_is_stale_at_once_is_observed_three_times_and_no_more(self) -> None:
        """Or the step would look for ever."""
        story = self.plan(on_failure="skip")
        story.decide()
        story.succeed("w").decide(after=700)
        for name in ("a_anew", "a_anew2", "a_anew3"):
            assert story[name].phase == "flying"
            story.succeed(name, offer(1))
            # It is looked at as soon as it is there, and believed for no time at all.
            story.change(tool("look", observes={"price": "offer.price"}, valid_seconds=0.0), tool(), tool("book", "idempotent"))
            story.decide()
        assert story["b"].phase == "skipped" and "3 times" in story["b"].reason

    def test_nobody_knows_how_to_observe_what_was_told(self) -> None:
        """A person's word that is too old is not acted on."""
        story = Story([step("a"), step("b", needs_fresh=("rate",), after=("a",), on_failure="flag")], tool())
        story.tell(told("rate", 1.1, ttl_seconds=60.0)).decide()
        story.succeed("a").decide(after=200)
        assert story["b"].phase == "skipped"
        assert "3.33 min old" in story["b"].reason and "60 s" in story["b"].reason

    def test_what_nobody_ever_told_fails_the_step_clearly(self) -> None:
        """Where it is needed; a default does without."""
        steps = [
            step("a", needs_fresh=("rate",), on_failure="skip"),
            step("b", args={"r": ref("facts.rate")}, on_failure="skip"),
            step("c", args={"r": ref("facts.rate", default=1)}),
        ]
        story = Story(steps, tool())
        assert story.called() == ["c"]
        assert "nobody has told the fact rate" in story["a"].reason
        assert "nobody has told the fact rate" in story["b"].reason

    def test_only_a_tool_that_changes_nothing_is_called_to_observe(self) -> None:
        """A booking that reports the seats left is not made again for it."""
        books = tool("look", "keyed", observes={"price": "offer.price"}, valid_seconds=60.0)
        story = Story(
            [step("a", "look"), step("b", needs_fresh=("price",), after=("a", "w"), on_failure="skip"), step("w")], books, tool()
        )
        story.decide()
        story.succeed("a", offer(1)).decide()
        story.succeed("w").decide(after=100)
        assert story["b"].phase == "skipped" and "only reads" in story["b"].reason
        assert story.events(e.ReobservationPlanned) == []

    def test_what_a_fact_rests_on_is_observed_again_not_the_fact(self) -> None:
        """A conclusion is as fresh as what it was drawn from."""
        story = Story([step("a", "look"), step("w"), step("b", rests_on=("cheap",), after=("a", "w"))], LOOK, tool())
        story.decide()
        story.succeed("a", offer(1)).decide()
        story.tell(guessed("cheap", True, rests_on=("price",)))
        story.succeed("w")
        assert story.called(after=700) == ["a_anew"]
        story.succeed("a_anew", offer(1))
        assert story.called() == ["b"], "the price is what it was, so the conclusion holds"

    def test_a_conclusion_falls_where_what_it_rests_on_is_another_now(self) -> None:
        """And with it the step that holds a copy."""
        story = Story([step("a", "look"), step("w"), step("b", rests_on=("cheap",), after=("a", "w"))], LOOK, tool())
        story.decide()
        story.succeed("a", offer(1)).decide()
        story.tell(guessed("cheap", True, rests_on=("price",)))
        story.succeed("w").decide(after=700)
        story.succeed("a_anew", offer(900)).decide()
        assert story["b"].phase == "skipped"
        assert story.run.facts["cheap"].stale

    def test_an_outdated_observer_that_refers_to_what_was_corrected_observes_anew(self) -> None:
        """With what holds now: what rested on the old airport is undone, and nothing else."""
        steps = [
            step("a", "look", args={"at": ref("facts.origin")}),
            step("w"),
            step("b", needs_fresh=("price",), after=("a", "w")),
        ]
        story = Story(steps, LOOK, tool())
        story.tell(told("origin", "JFK")).decide()
        story.succeed("a", offer(5)).decide()
        story.tell(told("origin", "LGA")).succeed("w")
        assert story.called() == ["a_anew"]
        assert story["a_anew"].args == {"at": "LGA"}
        story.succeed("a_anew", offer(9))
        assert story.called() == ["b"]

    def test_facts_that_need_one_another_to_be_observed_are_given_up(self) -> None:
        """A circle of waiting would never end."""
        one = tool("one", observes={"x": "x"}, valid_seconds=60.0)
        two = tool("two", observes={"y": "y"}, valid_seconds=60.0)
        steps = [
            step("a", "one", args={"y": ref("facts.y")}),
            step("b", "two", args={"x": ref("facts.x")}, after=("a",)),
            step("w"),
            step("c", needs_fresh=("x",), after=("b", "w"), on_failure="skip"),
            step("d", needs_fresh=("y",), after=("b", "w"), on_failure="skip"),
        ]
        story = Story(steps, one, two, tool())
        story.tell(told("y", 0)).decide()
        story.succeed("a", {"x": 1}).decide()
        story.succeed("b", {"y": 0}).decide()
        story.succeed("w").decide(after=100)
        assert story.phases["c"] == story.phases["d"] == "skipped"
        assert story.ended == "completed"

    def test_a_fallback_is_asked_again_where_it_was_the_fallback_that_observed(self) -> None:
        """The tool that reported it reports it again."""
        steps = [
            step("a", "t", fallbacks=(Fallback(tool="look", args={"of": "y"}),)),
            step("w"),
            step("b", needs_fresh=("price",), after=("a", "w")),
        ]
        story = Story(steps, tool(), LOOK)
        story.decide()
        story.fail("a", "not_found").decide()
        story.succeed("a", offer(1)).decide()
        story.succeed("w")
        assert story.called(after=700) == ["a_anew"]
        assert (story["a_anew"].tool, story["a_anew"].args) == ("look", {"of": "y"})

    def test_what_is_looked_at_afterwards_may_refer_to_facts(self) -> None:
        """With the value that holds when the call is made."""
        story = Story([step("a", expect=Expect(tool="find", args={"p": ref("facts.price")}))], tool(), tool("find"))
        story.tell(told("price", 3))
        (command,) = story.decide().commands
        assert command.expect.args == {"p": 3}  # type: ignore[union-attr]


class TestGuesses:
    """What cannot be taken back does not rest on what nobody confirmed."""

    def plan(self, **fields: Any) -> Story:
        """A payment that rests on a guess, by way of another one."""
        story = Story([step("a", "pay", args={"at": ref("facts.origin")}, on_failure="skip", **fields)], PAY)
        return story.tell(guessed("city", "SF", basis="the calendar"), guessed("origin", "SFO", rests_on=("city",)))

    def test_a_person_is_asked_whether_it_is_so(self) -> None:
        """All of it at once, with what is guessed, how sure it is, on what and since when."""
        story = self.plan()
        story.decide(after=30)
        asked = story.asked
        assert (asked.kind, asked.about, asked.step, asked.facts) == ("question", "fact", "a", ("city", "origin"))
        for part in ('city = "SF"', "70%", "the calendar", "30 s ago", "inferred"):
            assert part in asked.question, asked.question

    def test_it_is_so(self) -> None:
        """It is called, and nobody is asked about it again."""
        story = self.plan()
        story.decide()
        story.answer("approve")
        assert story.called() == ["a"]
        assert {fact.confirmed_by for fact in story.run.facts.values()} == {"ann"}

    def test_something_else_is_so(self) -> None:
        """What a person says instead is called with; what rested on the guess falls."""
        story = self.plan()
        story.decide()
        story.answer("edit", {"city": "Oakland"})
        story.decide()
        assert story.run.facts["city"] == Fact(name="city", value="Oakland", by="ann", at=T0, pinned=True)
        assert story.run.facts["origin"].stale
        assert story["a"].phase == "skipped" and "origin" in story["a"].reason
        other = self.plan()
        other.decide()
        other.answer("edit", {"origin": "OAK"})
        other.decide()
        assert other["a"].args == {"at": "OAK"} and other["a"].phase == "flying", "the city does not matter any more"

    @pytest.mark.parametrize("way", ["reject", "cancel", "silence"])
    def test_no_and_silence_are_no_yes(self, way: str) -> None:
        """The step is not made."""
        story = self.plan()
        story.decide()
        if way == "silence":
            story.decide(after=story.run.limits.person_seconds + 1)
        else:
            story.answer(way)
            story.decide()
        assert story.keys == []
        assert story["a"].phase != "flying"
        assert story.ended == ("cancelled" if way == "cancel" else "completed")

    def test_a_guess_far_below_counts_too(self) -> None:
        """By the result of a step that was called with it."""
        steps = [step("s", "look", args={"at": ref("facts.origin")}), step("a", "pay", args={"p": ref("steps.s.offer.price")})]
        story = Story(steps, LOOK, PAY)
        story.tell(guessed("origin", "SFO", source="remembered")).decide()
        story.succeed("s", offer(5)).decide()
        assert story.asked.facts == ("origin",)

    def test_what_can_be_taken_back_or_repeated_rests_on_guesses_unasked(self) -> None:
        """A search does no harm."""
        story = Story([step("a", "t", args={"at": ref("facts.origin")})], tool("t", "keyed"))
        story.tell(guessed("origin", "SFO"))
        assert story.called() == ["a"]

    def test_one_question_is_enough_for_two_steps(self) -> None:
        """The other one waits for the answer."""
        story = Story([step(name, "pay", args={"n": name, "at": ref("facts.origin")}) for name in ("a", "b")], PAY)
        story.tell(guessed("origin", "SFO")).decide()
        assert len(story.open) == 1
        story.answer("approve")
        assert sorted(story.called()) == ["a", "b"]

    def test_the_call_is_still_to_be_approved(self) -> None:
        """That a fact is so does not say that the payment is to be made."""
        story = Story([step("a", "pay", args={"at": ref("facts.origin")})], tool("pay", "irreversible"))
        story.tell(guessed("origin", "SFO")).decide()
        story.answer("approve").decide()
        assert story.asked.about == "call"

    def test_a_question_that_is_settled_by_a_correction_is_asked_no_more(self) -> None:
        """Somebody said it in another way."""
        story = Story([step("a", "pay", args={"at": ref("facts.origin")})], PAY)
        story.tell(guessed("origin", "SFO")).decide()
        story.tell(told("origin", "OAK"))
        assert story.called() == ["a"]
        assert story.open == [] and story["a"].args == {"at": "OAK"}

    def test_a_crash_while_the_question_is_open_changes_nothing(self) -> None:
        """It is open still."""
        story = self.plan()
        story.decide()
        story.crash()
        story.decide()
        assert len(story.open) == 1
        assert story.refold() == story.run


class TestConditions:
    """A plan says when a step is not to be begun, and when a person is asked."""

    @pytest.mark.parametrize(
        ("condition", "begun"),
        [
            ("facts.price > `50`", False),
            ("facts.price > `500`", True),
            ("facts.weather == 'storm'", False),
            ("steps.w.n == `3`", False),
            ("steps.w.n == `4`", True),
            ("inputs.max < facts.price", False),
            ("length(facts.price) > `3`", False),
        ],
    )
    def test_a_step_that_is_off_is_given_up(self, condition: str, begun: bool) -> None:
        """Also where nobody can say whether it is."""
        story = Story([step("w"), step("a", abort_when=condition, on_failure="flag")], tool(), inputs={"max": 10})
        story.tell(told("price", 100)).decide()
        if story["w"].phase == "flying":
            story.succeed("w", {"n": 3}).decide()
        assert (story["a"].phase != "skipped") is begun
        if not begun:
            assert condition in story["a"].reason and story.run.flagged == ("a",)

    def test_a_condition_waits_for_the_steps_that_it_names(self) -> None:
        """And does without those that were not done."""
        story = Story([step("w", on_failure="skip"), step("a", args={"x": 1}, ask_when="steps.w.n == `3`")], tool())
        assert story.called() == ["w"]
        story.fail("w", "not_found").decide()
        assert story["a"].phase == "flying", "null is not 3, and that can be said"

    @pytest.mark.parametrize(
        ("condition", "asked"),
        [
            ("args.amount > `500`", True),
            ("args.amount > `900`", False),
            ("args.total > `1`", True),
            ("args.text > `500`", True),
            ("facts.limit < args.amount", True),
            ("facts.unheard > `1`", True),
        ],
    )
    def test_a_person_is_asked_where_it_holds_or_nobody_can_say(self, condition: str, asked: bool) -> None:
        """A policy never fails open."""
        story = Story([step("a", args={"amount": 812, "text": "812"}, ask_when=condition)], tool())
        story.tell(told("limit", 10)).decide()
        assert bool(story.open) is asked
        if asked:
            assert condition in story.asked.question
            story.answer("approve")
            assert story.called() == ["a"]
