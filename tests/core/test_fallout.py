"""What falls with a fact: compared with a walk over the whole graph, written down another way."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.facts import Fact
from holdfast.core.fallout import fallout
from holdfast.core.plan import needs, reads
from holdfast.core.state import State
from tests.core.story import T0, Story, ref, step, tool

FACTS = ("f", "g", "h", "i", "j")
STEPS = ("a", "b", "c", "d", "k", "l", "m")


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A run in the middle of its plan: some steps are done, some under way, some have not begun; facts rest on one another, in
    circles too, and on steps."""
    plan = []
    for number, name in enumerate(STEPS[: draw(st.integers(1, len(STEPS)))]):
        before = STEPS[:number]
        args: dict[str, Any] = {"me": name}
        for place, fact in enumerate(draw(st.lists(st.sampled_from(FACTS), max_size=2))):
            args[f"f{place}"] = draw(st.sampled_from([ref(f"facts.{fact}"), ref(f"facts.{fact}", default=0)]))
        for place, other in enumerate(draw(st.lists(st.sampled_from(before), max_size=2)) if before else []):
            args[f"s{place}"] = draw(st.sampled_from([ref(f"steps.{other}"), ref(f"steps.{other}", default=0)]))
        plan.append(
            step(
                name,
                args=args,
                rests_on=tuple(draw(st.lists(st.sampled_from(FACTS), max_size=1))),
                needs_fresh=tuple(draw(st.lists(st.sampled_from(FACTS), max_size=1))),
            )
        )
    story = Story(plan, tool())
    beneath = st.lists(st.sampled_from([*FACTS, *(f"steps.{one.id}" for one in plan)]), max_size=2)
    for name in FACTS:
        fact = Fact(name=name, value=name, source="inferred", at=T0, rests_on=tuple(draw(beneath)))
        story.tell(e.FactsLearned(facts=(fact,)))
    for _ in range(draw(st.integers(0, 4))):
        story.decide()
        for name in story.run.active:
            if draw(st.booleans()):
                story.succeed(name, 1)
    return story


def walked(state: State, root: str) -> tuple[set[str], set[str], set[str]]:
    """Facts, dropped and outdated steps, by a walk along the arrows from what changed."""
    begun = {name for name in state.order if state.steps[name].phase in ("done", "flying")}
    done = {name for name in state.order if state.steps[name].phase == "done"}
    arrows: dict[str, set[str]] = {}
    for fact in state.facts.values():
        for below in fact.rests_on:
            if not below.startswith("steps.") or below.removeprefix("steps.") in done:
                arrows.setdefault(below, set()).add(fact.name)
    for name in state.order:
        plan = state.steps[name].step
        referred = {value["$ref"].removeprefix("facts.") for key, value in plan.args.items() if key.startswith("f")}
        for fact_name in {*plan.rests_on, *((referred | {*plan.needs_fresh}) if name in begun else ())}:
            arrows.setdefault(fact_name, set()).add(f"steps.{name}")
        for other in reads(plan):
            if other in done or (other not in begun and other in needs(plan)):
                arrows.setdefault(f"steps.{other}", set()).add(f"steps.{name}")
    reached: set[str] = set()

    def walk(node: str) -> None:
        for other in arrows.get(node, ()):
            if other not in reached:
                reached.add(other)
                walk(other)

    walk(root)
    steps = {node.removeprefix("steps.") for node in reached if node.startswith("steps.")}
    return {node for node in reached if not node.startswith("steps.")} - {root}, steps - begun, steps & begun


@settings(max_examples=300)
@given(stories(), st.sampled_from(FACTS), st.integers(0, 10_000))
def test_a_correction_takes_down_exactly_what_rests_on_it(story: Story, root: str, cut: int) -> None:
    """By whatever way, and nothing else; and the state is the fold of its history, wherever that is cut."""
    assume(not story.ended)
    facts, dropped, outdated = walked(story.run, root)
    before = {name: fact for name, fact in story.run.facts.items() if name != root}
    story.tell(e.FactsLearned(facts=(Fact(name=root, value="another", by="ann", at=T0, pinned=True),)))
    # A correction takes the fact's own ground away: it rests on a person's word now.
    found = fallout(story.run, (root,))
    assert (set(found.facts), set(found.dropped), set(found.outdated)) == (facts, dropped, outdated)
    story.decide()
    fell = story.events(e.FactsInvalidated)
    assert bool(fell) is bool(facts or dropped or outdated)
    if fell:
        assert (set(fell[0].facts), set(fell[0].dropped), set(fell[0].outdated)) == (facts, dropped, outdated)
    for name, fact in before.items():
        assert story.run.facts[name].stale is (name in facts)
        assert story.run.facts[name].value == fact.value
    for name in dropped:
        assert story[name].phase == "skipped"
    assert set(story.run.outdated) == outdated
    assert story.refold() == story.run
    at = cut % len(story.entries) + 1
    assert fold(story.entries[at:], fold(story.entries[:at])) == story.run


@given(stories(), st.sampled_from(FACTS))
def test_to_say_again_what_is_believed_takes_nothing_down(story: Story, name: str) -> None:
    """It is only said by somebody now."""
    story.tell(e.FactsLearned(facts=(Fact(name=name, value=name, by="ann", at=T0, pinned=True),)))
    story.decide()
    assert story.events(e.FactsInvalidated) == []


@settings(max_examples=100)
@given(stories(), st.lists(st.tuples(st.sampled_from(FACTS), st.integers(0, 2)), max_size=6), st.randoms())
def test_a_run_that_is_corrected_again_and_again_comes_to_its_end(story: Story, said: list[tuple[str, int]], random: Any) -> None:
    """No correction leaves it at a dead end; what is outdated at the end is done."""
    for name, value in [*said, *[("", 0)] * 20]:
        if story.ended:
            break
        if name:
            story.tell(e.FactsLearned(facts=(Fact(name=name, value=value, by="ann", at=story.now, pinned=True),)))
        story.decide()
        for active in list(story.run.active):
            if story[active].phase == "flying":
                story.succeed(active, 1) if random.random() < 0.7 else story.fail(active)
        story.wait(30)
    story.decide()
    assert story.ended, story.phases
    assert story.refold() == story.run


def test_a_fact_that_is_not_there_takes_nothing_down() -> None:
    """Nor does one that nothing rests on."""
    story = Story([step("a")], tool())
    assert fallout(story.run, ("x",)) == fallout(story.run, ()) == type(fallout(story.run, ()))()
