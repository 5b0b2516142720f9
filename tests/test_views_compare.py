"""Two runs, or two plans, side by side: what is aligned, what differs, and what is said of it first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from decimal import Decimal
from random import Random
from time import perf_counter
from typing import Any

import msgspec
import pytest

from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.plan import Plan, Step
from holdfast.views.compare import (
    Comparison,
    Side,
    changes,
    compare,
    entry_before,
    markdown,
    plan_side,
    revision_side,
    run_side,
)
from holdfast.views.compare.aligning import in_order, moved, rising
from tests.histories.test_histories import EVERY_RUN, RECORDED
from tests.test_views_timeline import CONTRACTS, Story, crowd, purchase, simulated


def run(story: Story, name: str = "") -> Side:
    """A story as a side."""
    return run_side(name or "x", story.entries)


def refused() -> Story:
    """The purchase, in which the card is declined."""
    story = purchase()
    story.entries = story.entries[:8]
    story.at = story.entries[-1].at
    story.fence = 1
    story.say(e.CallFailed(step="pay", attempt=1, failure=e.Failure(kind="denied", message="card declined")), after=0.3)
    return story.say(e.StepFailed(step="pay", reason="denied: card declined"), e.RunFailed(reason="step pay: card declined"))


def parts(found: Comparison, step: str) -> dict[str, tuple[Any, Any]]:
    """What differs of a step, by part and path."""
    (pair,) = [pair for pair in found.steps if step in (pair.a, pair.b)]
    return {f"{one.part}.{one.path}".rstrip(".").replace(".[", "["): (one.before, one.after) for one in pair.changes}


def whole(found: Comparison) -> dict[str, tuple[Any, Any]]:
    """What differs of the runs as a whole."""
    return {f"{one.part}.{one.path}".rstrip(".").replace(".[", "["): (one.before, one.after) for one in found.run}


# --- what is said first -------------------------------------------------------------------------------------------


def test_the_first_line_says_where_two_runs_part_and_how_each_ended() -> None:
    """Up to which entry they are the same, what went otherwise then, and the ends."""
    found = compare(run(refused()), run(purchase()))
    assert found.sentence == (
        'the same up to entry 8; then A failed at pay: denied: card declined, B did pay ({"paid":812.5}) and completed'
    )
    assert (found.same_entries, found.same) == (8, False)
    assert found.next_a == "pay: failed: denied: card declined"
    assert found.next_b == "taken on again"


def test_a_fork_says_up_to_where_it_is_one_record_with_its_source() -> None:
    """And the steps of that part are named as taken over."""
    source = purchase()
    fork = source.fork(6, run_id="again").call("pay", "pay", to="ann", amount=812.5, after=1.0)
    fork.say(e.CallFailed(step="pay", attempt=1, failure=e.Failure(kind="denied", message="no")))
    fork.say(e.StepFailed(step="pay", reason="denied: no"), e.RunFailed(reason="denied: no"))
    found = compare(run(source), run(fork))
    assert found.sentence.startswith("the same up to entry 6, where B was forked; then A did pay")
    assert found.sentence.endswith("B failed at pay: denied: no")
    assert (found.same_entries, found.taken_over) == (6, 6)
    assert [pair.a for pair in found.steps if pair.taken_over] == ["who"]
    assert found.next_b == "forked from entry 6 of order-7, blocked"
    assert (found.b.source, found.b.entry, found.b.mode) == ("order-7", 6, "blocked")
    siblings = compare(run(source.fork(6, run_id="one")), run(source.fork(4, run_id="two")))
    assert siblings.taken_over == 4
    assert "taken over from order-7" in siblings.sentence


def test_what_only_says_that_it_is_a_fork_of_it_is_none() -> None:
    """One record has the same times too."""
    source, other = purchase(), purchase()
    other.entries = [msgspec.structs.replace(entry, at=entry.at + 9) for entry in other.entries]
    found = compare(run(source), run(other.fork(6, run_id="again")))
    assert (found.taken_over, found.same_entries) == (0, 6)


def test_a_run_beside_what_it_was_says_what_came_after() -> None:
    """The shorter one is the beginning of the longer."""
    story = purchase()
    found = compare(run_side("r@5", story.entries[:5]), run(story))
    assert found.sentence.startswith("the same up to entry 5, where A ends; B goes on")
    back = compare(run(story), run_side("r@5", story.entries[:5]))
    assert back.sentence.startswith("the same up to entry 5, where B ends; A goes on")


def test_runs_that_were_begun_otherwise_say_so() -> None:
    """Then what they were given is no news."""
    one, other = Story([Step(id="a", tool="look")], order="7"), Story([Step(id="a", tool="look")], order="8")
    one.call("a", order="7").done("a").say(e.RunCompleted(result=1))
    other.call("a", order="8").done("a").say(e.RunCompleted(result=1))
    found = compare(run(one), run(other))
    assert found.sentence == "begun with different inputs; they differ in inputs; both completed"
    assert whole(found) == {"inputs.order": ("7", "8")}
    assert parts(found, "a") == {"args.order": ("7", "8")}


# --- what differs -------------------------------------------------------------------------------------------------


def test_a_side_beside_itself_has_no_differences() -> None:
    """Nor beside a run that went the same way at another time under other keys."""
    found = compare(run(purchase()), run(purchase()))
    assert (found.same, found.sentence) == (True, "they are the same")
    later = purchase()
    later.entries = [msgspec.structs.replace(entry, at=entry.at + 1e6, fence=entry.fence + 4) for entry in later.entries]
    start: Any = later.entries[0].event
    later.entries[0] = e.Entry(1, later.entries[0].at, 1, msgspec.structs.replace(start, run_id="order-8"))
    for at, entry in enumerate(later.entries):
        if isinstance(entry.event, e.CallIntended):
            again = msgspec.structs.replace(entry.event, key="another")
            later.entries[at] = msgspec.structs.replace(entry, event=again)
    other = compare(run(purchase()), run(later))
    assert (other.same, other.same_entries) == (True, len(later.entries))
    assert other.sentence == "they are the same, times and keys aside"
    assert all(pair.kind == "same" for pair in other.steps)


def test_each_part_of_a_step_is_compared() -> None:
    """Arguments and results in depth, attempts, outcome, who said what, money; times only where they differ by much."""
    one, other = purchase(), purchase()
    other.entries = other.entries[:7]
    other.at, other.fence = other.entries[-1].at, 1
    other.call("pay", "pay", to="ann", amount=700.0).done("pay", {"paid": 700.0, "to": ["x"]}, after=30.0, spent="0.10")
    found = compare(run(one), run(other))
    assert parts(found, "pay") == {
        "args.amount": (812.5, 700.0),
        "attempts": (2, 1),
        "result.paid": (812.5, 700.0),
        "result.to": (None, ["x"]),
        "cost": ("0.30", "0.10"),
        "time": ("1.28s", "30s"),
    }
    slow = purchase()
    slow.entries = slow.entries[:7]
    slow.at, slow.fence = slow.entries[-1].at, 1
    slow.call("pay", "pay", to="ann", amount=812.5).done("pay", {"paid": 812.5}, after=3000.0, spent="0.30")
    assert parts(compare(run(one), run(slow)), "pay")["time"] == ("1.28s", "50m")


@pytest.mark.parametrize(("one", "other", "differ"), [(0.1, 0.9, False), (50.0, 60.0, False), (1.0, 2.5, True)])
def test_times_differ_only_where_it_is_by_much(one: float, other: float, differ: bool) -> None:
    """By more than a second, and more than twofold: two runs never take the same time."""
    steps = [Step(id="a", tool="look")]
    sides = [run(Story(steps).call("a").done("a", after=seconds)) for seconds in (one, other)]
    found = compare(*sides)
    assert ("time" in parts(found, "a")) is differ
    assert ("time" in whole(found)) is differ


def test_who_was_asked_and_what_they_said_is_compared() -> None:
    """And what is owed, how it was settled, and by hand."""
    steps = [Step(id="a", tool="pay"), Step(id="b", tool="look")]
    one, other = Story(steps), Story(steps)
    one.ask("a").say(e.Answered(interrupt="a-1", decision="approve", by="ann")).call("a", "pay").done("a")
    other.ask("a").say(e.Answered(interrupt="a-1", decision="reject", by="bob"))
    other.say(e.StepSkipped(step="a", reason="refused by bob"))
    one.call("b").say(e.CallDeferred(step="b", attempt=1, by="agency"))
    other.call("b").done("b")
    found = compare(run(one), run(other))
    assert parts(found, "a")["approvals[1]"] == ("approve by ann", "reject by bob")
    assert parts(found, "a")["outcome"] == ("done", "skipped")
    assert parts(found, "a")["settled_by"] == ("call", None)
    assert parts(found, "b")["pending[0]"] == ("its result is owed by agency", None)


def test_agents_are_compared_by_version_contracts_policy_and_limits() -> None:
    """As the runs began, or as they went on."""
    one, other = Story([Step(id="a", tool="look")]), Story([Step(id="a", tool="look")])
    start: Any = other.entries[0].event
    weaker = (Contract(tool="look", safety="irreversible"), *CONTRACTS[1:])
    changed = msgspec.structs.replace(
        start, contracts=weaker, agent_version="2", limits=msgspec.structs.replace(start.limits, attempts_max=9)
    )
    other.entries[0] = msgspec.structs.replace(other.entries[0], event=changed)
    found = whole(compare(run(one), run(other)))
    assert found["contracts.look.safety"] == ("keyed", "irreversible")
    assert found["limits.attempts_max"] == (None, 9)
    assert found["version"] == ("", "2")


# --- plans --------------------------------------------------------------------------------------------------------


def plan(*steps: Step) -> Side:
    """A plan as a file has it."""
    return plan_side("plan", Plan(steps=steps))


def test_plans_are_compared_by_strategy() -> None:
    """Changed, added, left out and moved steps, by name."""
    before = plan(Step(id="a", tool="look"), Step(id="b", tool="pay"), Step(id="c", tool="send"), Step(id="d", tool="look"))
    after = plan(
        Step(id="b", tool="pay", on_failure="ask"),
        Step(id="a", tool="look"),
        Step(id="d", tool="look"),
        Step(id="e", tool="notify"),
    )
    found = compare(before, after)
    kinds = {pair.a or pair.b: (pair.kind, pair.moved) for pair in found.steps}
    assert (kinds["c"], kinds["e"], kinds["d"]) == (("left_out", False), ("added", False), ("same", False))
    assert kinds["b"][0] == "changed"
    assert sum(is_moved for _, is_moved in kinds.values()) == 1
    assert parts(found, "b") == {"strategy.on_failure": (None, "ask")}
    assert found.counts == {"same": 2, "changed": 1, "added": 1, "left_out": 1, "moved": 1}
    assert found.sentence.startswith("1 step changed (b), 1 step only in B (e), 1 step only in A (c), 1 step moved (")


def test_steps_of_other_names_are_aligned_by_what_they_call_and_then_by_order() -> None:
    """Names that are only other names, also where other steps refer to them, are no difference."""
    before = plan(
        Step(id="find", tool="look", args={"q": "x"}),
        Step(id="pay", tool="pay", args={"to": {"$ref": "steps.find.name"}}, after=("find",)),
    )
    after = plan(
        Step(id="look_1", tool="look", args={"q": "x"}),
        Step(id="pay_1", tool="pay", args={"to": {"$ref": "steps.look_1.name"}}, after=("look_1",)),
    )
    found = compare(before, after)
    assert [(pair.a, pair.b, pair.aligned_by, pair.kind) for pair in found.steps] == [
        ("find", "look_1", "call", "same"),
        ("pay", "pay_1", "order", "same"),
    ]


def test_two_revisions_of_a_plan_are_compared() -> None:
    """Each with all its steps but those that were dropped."""
    story = Story([Step(id="a", tool="look"), Step(id="b", tool="pay")])
    story.say(e.PlanAdopted(turn=2, revision=2, plan=Plan(steps=(Step(id="c", tool="send"),)), dropped=("b",)))
    one, two = revision_side("r#1", story.entries, 1), revision_side("r#2", story.entries, 2)
    assert one is not None and two is not None
    assert {(pair.kind, pair.a or pair.b) for pair in compare(one, two).steps} == {
        ("same", "a"),
        ("left_out", "b"),
        ("added", "c"),
    }
    assert revision_side("r#3", story.entries, 3) is None


def test_a_run_is_compared_with_a_plan_by_what_was_planned() -> None:
    """What became of its steps is no difference from a plan."""
    steps = (Step(id="a", tool="look", args={"n": 1}), Step(id="b", tool="pay"))
    found = compare(plan(*steps), run(Story(steps).call("a", n=1).done("a")))
    assert found.counts["same"] == 2
    assert not any(pair.changes for pair in found.steps)


def test_a_run_is_cut_before_a_step() -> None:
    """Before the first entry about it: a question counts."""
    story = purchase()
    assert entry_before(story.entries, "pay") == 5
    assert entry_before(story.entries, "nobody") == len(story.entries)


# --- values -------------------------------------------------------------------------------------------------------


def listed(before: Any, after: Any) -> list[tuple[str, str, Any, Any]]:
    """Differences as tuples."""
    return [(one.kind, one.path, one.before, one.after) for one in changes("x", before, after)]


def test_only_what_differs_is_listed_with_its_path() -> None:
    """In tables and lists, however deep; an item put in is one change; names that are no names are quoted."""
    assert listed({"a": {"b": [1, {"c": 2}]}, "d": 1}, {"a": {"b": [1, {"c": 3}]}, "d": 1}) == [("changed", "a.b[1].c", 2, 3)]
    assert listed([1, 2, 3], [0, 1, 2, 3]) == [("added", "[0]", None, 0)]
    assert listed([1, 2, 3], [1, 3]) == [("left_out", "[1]", 2, None)]
    assert listed({"a b": 1}, {"a b": None}) == [("changed", '["a b"]', 1, None)]
    assert listed({"a": None}, {}) == [("left_out", "a", None, None)]
    assert listed(1, True) == [("changed", "", 1, True)]
    assert listed([], {}) == [("changed", "", [], {})]
    assert listed({"x": 1}, {"x": 1}) == []


def test_long_values_are_shown_from_where_they_differ() -> None:
    """With the length of the whole."""
    (change,) = changes("x", "a" * 5000 + "b" * 5000, "a" * 5000 + "c" * 10)
    assert change.before.startswith("…" + "a" * 40 + "b") and change.before.endswith("b…")
    assert change.after == "…" + "a" * 40 + "c" * 10
    assert (change.before_characters, change.after_characters) == (10000, 5010)


def test_many_differences_are_counted_beyond_the_first() -> None:
    """A result of thousands of rows does not fill the screen."""
    found = changes("x", list(range(3000)), [number + 1 for number in range(1, 3001)])
    assert len(found) == 51
    assert (found[-1].kind, found[-1].more) == ("more", 2950)


# --- alignment ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_the_longest_sequence_of_tools_is_found_whichever_side_is_first(seed: int) -> None:
    """As long as by trying everything; the same pairs from both sides."""
    dice = Random(seed)
    a, b = (["xyz"[dice.randrange(3)] for _ in range(dice.randrange(8))] for _ in range(2))
    met = in_order(a, b)
    assert all(a[one] == b[other] for one, other in met)
    assert met == sorted(met) and [other for _, other in met] == sorted(other for _, other in met)
    best = next(
        size for size in range(min(len(a), len(b)), -1, -1)
        if {tuple(one) for one in itertools.combinations(a, size)} & {tuple(one) for one in itertools.combinations(b, size)}
    )  # fmt: skip
    assert len(met) == best
    assert in_order(b, a) == [(other, one) for one, other in met]


@pytest.mark.parametrize("seed", range(20))
def test_as_few_steps_as_possible_are_called_moved(seed: int) -> None:
    """Without them the others are in one order; from both sides they are the same ones."""
    dice = Random(seed)
    order = list(range(12))
    dice.shuffle(order)
    if seed % 4 == 0:
        order = [1, 0, 2, 4, 3]
    pairs = list(enumerate(order))
    names = {pair: f"step {pair[0]}" for pair in pairs}
    crossing = moved(pairs, names)
    left = [other for one, other in pairs if (one, other) not in crossing]
    assert left == sorted(left)
    assert len(left) == len(rising(order))
    back = moved(sorted((other, one) for one, other in pairs), {(other, one): names[one, other] for one, other in pairs})
    assert back == {(other, one) for one, other in crossing}


# --- whatever the runs --------------------------------------------------------------------------------------------


def mirrored(found: Comparison, back: Comparison) -> None:
    """What is added one way is left out the other; all else is the same, turned around."""
    swap = {"added": "left_out", "left_out": "added"}
    ones = {(pair.a, pair.b, pair.kind, pair.moved, pair.taken_over) for pair in found.steps}
    others = {(pair.b, pair.a, swap.get(pair.kind, pair.kind), pair.moved, pair.taken_over) for pair in back.steps}
    assert ones == others
    assert (found.same, found.same_entries, found.taken_over) == (back.same, back.same_entries, back.taken_over)

    def flat(comparison: Comparison, turned: bool) -> set[tuple[Any, ...]]:
        found = set()
        for where, change in itertools.chain(
            (("", change) for change in comparison.run),
            ((pair.b if turned else pair.a, change) for pair in comparison.steps for change in pair.changes),
        ):
            values = (change.after, change.before) if turned else (change.before, change.after)
            kind = swap.get(change.kind, change.kind) if turned else change.kind
            found.add((where, change.part, change.path, kind, repr(values), change.more))
        return found

    # What is no name of A in both is told under other names, and so are contracts that are weaker one way only.
    assert {one[1:3] for one in flat(found, False)} == {one[1:3] for one in flat(back, True)}


def recorded() -> list[Sequence[e.Entry]]:
    """Every run of the golden histories."""
    return [RECORDED[name].entries(run_id) for name, run_id in EVERY_RUN]


def around(sides: Sequence[Side]) -> Iterable[tuple[Side, Side]]:
    """Each beside the next, and beside one farther off."""
    for at, side in enumerate(sides):
        yield side, sides[(at + 1) % len(sides)]
        yield side, sides[(at * 7 + 3) % len(sides)]


def test_any_two_recorded_runs_can_be_compared() -> None:
    """With themselves there is nothing; both ways it is the same; and it can be written down."""
    sides = [run_side(f"run {at}", entries) for at, entries in enumerate(recorded())]
    for side in sides:
        assert compare(side, side).same
    for one, other in around(sides):
        found = compare(one, other)
        mirrored(found, compare(other, one))
        assert msgspec.json.encode(found)
        assert markdown(found, every=True)


def test_any_two_simulated_runs_can_be_compared() -> None:
    """Whatever went wrong in them, and wherever they are cut."""
    dice = Random(1)
    journals = list(simulated((*range(100, 125), *range(-26, -20))))
    sides = [run_side(f"run {at}", entries) for at, entries in enumerate(journals)]
    sides += [run_side(f"cut {at}", entries[: dice.randrange(1, len(entries) + 1)]) for at, entries in enumerate(journals)]
    for side in sides:
        assert compare(side, side).same
    for one, other in around(sides):
        mirrored(compare(one, other), compare(other, one))


@pytest.mark.parametrize("count", [500, 3000])
def test_long_runs_are_compared_quickly(count: int) -> None:
    """Beside themselves, beside another one of other names, and with large arguments."""
    one, other = run(crowd(count)), run(crowd(count, seed=4))
    renamed = msgspec.structs.replace(
        other, steps=tuple(msgspec.structs.replace(step, id=f"{step.id}_b", call="") for step in reversed(other.steps))
    )
    rows = {"rows": [{"n": number, "text": "x" * 50} for number in range(2000)]}
    large = [
        msgspec.structs.replace(
            side, steps=(msgspec.structs.replace(side.steps[0], called={**rows, "last": last}), *side.steps[1:])
        )
        for last, side in enumerate((one, one))
    ]
    began = perf_counter()
    assert compare(one, one).same
    assert compare(one, renamed).counts["added"] < count
    assert parts(compare(*large), one.steps[0].id) == {"args.last": (0, 1)}
    assert perf_counter() - began < 4.0, "half a second at 3,000 on a machine with nothing else to do"


def test_markdown_is_text_whatever_stands_in_it() -> None:
    """Marks of Markdown and of pages are escaped, lines stay lines, control characters are gone."""
    steps = [Step(id="a", tool="look")]
    one, other = Story(steps), Story(steps)
    one.call("a", x="| <b>`x`</b>\n# head").done("a")
    other.call("a", x="\x1b[31m\u202e").done("a")
    text = markdown(compare(run(one), run(other)))
    (line,) = [line for line in text.splitlines() if line.startswith("| args.x")]
    assert line.startswith("| args.x | \\| \\<b\\>\\`x\\`\\</b\\> # head |")
    assert "\x1b" not in text and "\u202e" not in text
    assert not any(line.startswith("#") and not line.startswith("### ") for line in text.splitlines())


def test_costs_are_exact() -> None:
    """Money is compared to the last digit, not as a float."""
    one, other = Story([Step(id="a", tool="look")]), Story([Step(id="a", tool="look")])
    one.call("a").done("a", spent="0.10")
    other.call("a").done("a", spent="0.100000000000000000001")
    assert parts(compare(run(one), run(other)), "a") == {"cost": ("0.10", "0.100000000000000000001")}
    assert run(one).steps[0].cost == Decimal("0.10")
