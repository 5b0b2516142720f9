"""Conditions of rules: what they say of a document, and that nothing which cannot be worked out becomes a yes or a no."""

from __future__ import annotations

import json
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import proposed
from holdfast.core.conditions import CALL_WORDS, PLAN_WORDS, compile_condition, over_arguments

CALL: dict[str, Any] = {
    "args": {
        "amount": 812.5,
        "text": "812.50",
        "words": "many",
        "currency": "EUR",
        "flag": True,
        "off": False,
        "none": None,
        "zero": 0,
        "empty": [],
        "items": [{"price": 5, "name": "pen"}, {"price": 900, "name": "desk"}],
        "prices": [5, 900],
        "due date": 3,
        "sparse": [{"price": 5}, {"name": "x"}],
        "texts": ["9", "100"],
        "priced": [{"price": "9"}, {"price": "100"}],
        "true": {"x": 1},
    },
    "amount": 812.5,
    "tool": "refund",
    "safety": "keyed",
    "confidence": 0.7,
    "facts": {"airport": {"open": False}},
    "inferred": False,
    "tainted": True,
    "labels": {"env": "live"},
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("amount > 500", True),
        ("500 < amount", True),
        ("amount>500", True),
        ("amount > 812.5", False),
        ("amount >= 812.5", True),
        ("amount > -1", True),
        ("amount < -0.5", False),
        ("amount > `500`", True),
        ("args.text > 812.49", True),
        ("args.text == 812.5", False),
        ("args.text <= 812.5", True),
        ("confidence < 0.7", False),
        ("confidence >= '0.7'", True),
        ("args.zero == 0", True),
        ("args.zero == false", False),
        ("tainted", True),
        ("inferred", False),
        ("!tainted", False),
        ("!(amount > 500)", False),
        ("tainted == true", True),
        ("args.missing == null", True),
        ("args.missing != null", False),
        ("args.missing.deeper == null", True),
        ("args.amount.deeper == null", True),
        ("args.currency == 'EUR' && amount > 500", True),
        ("args.currency == 'amount > 500'", False),
        ("args.currency != 'EUR' || tainted", True),
        ("(args.missing || 'EUR') == 'EUR'", True),
        ("(args.missing || 5) < amount", True),
        ("args.items[?price > 500]", True),
        ("args.items[?price > 1000]", False),
        ("!(args.items[?price > 1000])", True),
        ("args.items[?price > 500].name", True),
        ("length(args.items[?price > 1]) == 2", True),
        ("args.items[0].price > 4.5", True),
        ("args.items[-1].price > 4.5", True),
        ("args.prices[0:1] == `[5]`", True),
        ("contains([5, 900], args.prices[1])", True),
        ("contains(['refund', 'pay'], tool)", True),
        ("max(args.prices) > 899", True),
        ("length(args.empty) > 0", False),
        ("sum(args.items[*].price) > 900", True),
        ("args.items[1].price | @ > 5", True),
        ("facts.airport.open == false", True),
        ("not_null(args.missing, 5) == 5", True),
        ('args."due date" > 2', True),
        ("args.true.x == 1", True),
        ("labels.env == 'live'", True),
        ("labels.team == 'core'", False),
        ("starts_with(tool, 'ref')", True),
        ("contains(args.sparse[*].price, 5)", True),
        ("sort_by(args.items, &name)[0].name == 'desk'", True),
        ("max_by(args.items, &price).price > 899", True),
        ("false && args.missing > 5", False),
        ("args.missing > 5 && false", False),
        ("true || args.missing > 5", True),
        ("args.missing > 5 || tainted", True),
        ("inferred && args.missing", False),
        ("!(args.missing > 5 || tainted)", False),
    ],
)
def test_what_a_condition_says(condition: str, holds: bool) -> None:
    """A yes or a no, with bare numbers, numbers in texts, lists that a filter left, and whichever side decides."""
    compiled = compile_condition(condition)
    assert compiled.problem is None
    assert compiled.holds(CALL).holds is holds


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("args.missing > 5", "args.missing is null, not a number"),
        ("!(args.missing > 5)", "args.missing is null"),
        ("!(!(args.missing > 5))", "args.missing is null"),
        ("args.missing > 5 || inferred", "args.missing is null"),
        ("inferred || args.missing > 5", "args.missing is null"),
        ("args.missing > 5 && tainted", "args.missing is null"),
        ("(args.missing > 5) == false", "args.missing is null"),
        ("(args.missing > 5 || false) == false", "args.missing is null"),
        ("args.words > 5", "args.words is a text, not a number"),
        ("args.flag > 0", "args.flag is a yes or no, not a number"),
        ("args.items > 0", "args.items is a list"),
        ("args > 0", "args is an object"),
        ("amount > args.none", "args.none is null"),
        ("args.missing", "args.missing is null, neither true nor false"),
        ("!(args.missing)", "args.missing is null"),
        ("args.missing || inferred", "args.missing is null"),
        ("args.missing && tainted", "args.missing is null"),
        ("amount", "amount is a number, neither"),
        ("tool", "tool is a text, neither"),
        ("args.empty", "args.empty is a list, neither"),
        ("args.items[*].price", "is a list, neither"),
        ("args.missing[?price > 5]", "null"),
        ("args.items[?weight > 5]", "weight is null"),
        ("args.items[?weight]", "weight is null, neither"),
        ("length(args.items[?weight > 5]) == 0", "weight is null"),
        ("length(amount) > 1", "length()"),
        ("contains(args.missing, 'x')", "contains()"),
        ("sum(args.items[*].name) > 1", "sum()"),
        ("max(args.empty) > 1", "max(…) is null"),
        ("to_number(args.words) > 1", "to_number(…) is null"),
        ("sum(args.sparse[*].price) < 500", "is null in 1 of 2"),
        ("max(args.sparse[].price) < 500", "is null in 1 of 2"),
        ("sum(args.sparse[?name == 'x'].price) < 500", "is null in 1 of 1"),
        ("avg(args.sparse[0].*.price) < 500", "is null in 1 of 1"),
        ("max(args.texts) < 50", "in the order of their letters"),
        ("sort(args.texts)[-1] < 50", "in the order of their letters"),
        ("max_by(args.priced, &price).price < 50", "in the order of their letters"),
    ],
)
def test_what_cannot_be_worked_out(condition: str, why: str) -> None:
    """No number, no yes or no, a wrong type: never a yes or a no, also not behind a `!`; and it says what is in the way."""
    compiled = compile_condition(condition)
    assert compiled.problem is None
    held = compiled.holds(CALL)
    assert held.holds is None
    assert why in held.why


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "NaN", "Infinity", "1_000", "1,000", " 5", "٥", "", "0x10", True, [], {}, None]
)
@pytest.mark.parametrize("condition", ["amount > 5", "amount < 5", "!(amount > 5)", "!(amount <= 5)", "5 >= amount"])
def test_only_a_number_is_ordered(condition: str, value: Any) -> None:
    """What a person might read as a number, and another system might not, is none."""
    assert compile_condition(condition).holds({"amount": value}).holds is None


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("amount >", "is not a condition"),
        ("amount = 5", "is not a condition"),
        ("amount > 5 EUR", "is not a condition"),
        ("amount - 5 > 2", "is not a condition"),
        ("amount > 'x", "is not a condition"),
        ("amuont > 5", "there is no word amuont (did you mean amount?)"),
        ("tainted && typo", "there is no word typo"),
        ("steps > 5", "there is no word steps"),
        ("@", "reads everything"),
        ("[0] == 5", "reads everything"),
        ("length(@) > 1", "reads everything"),
        ("*.amount", "reads everything"),
        ("!args.flag", "write !(…)"),
        ("!amount > 5", "one side is a yes or no"),
        ("1 < amount < 5", "one side is a yes or no"),
        ("amount > 'five'", '"five" is none'),
        ("amount > null", "null is none"),
        ("size(args) > 1", "there is no function size"),
        ("length(args, 5) > 1", "length takes 1 value, and is given 2"),
        ("(" * 3000, "is not a condition"),
        ("!(" * 120 + "tainted" + ")" * 120, "deeper"),
        ("args" + " | [@,@]" * 30, "times as large"),
    ],
)
def test_what_is_no_condition(condition: str, problem: str) -> None:
    """Each says what is wrong, in a line that can be read; and what is none is never a yes or a no."""
    compiled = compile_condition(condition)
    assert compiled.problem is not None and problem in compiled.problem
    assert len(compiled.problem) < 500
    held = compiled.holds(CALL)
    assert (held.holds, held.why) == (None, compiled.problem)


def test_words_of_calls_and_of_plans() -> None:
    """They are those that are laid out, and each kind has its own."""
    assert (CALL_WORDS, PLAN_WORDS) == (proposed.CALL_WORDS, proposed.PLAN_WORDS)
    assert compile_condition("steps > 5", PLAN_WORDS).holds({"steps": 6}).holds is True
    assert compile_condition("amount > 5", PLAN_WORDS).problem is not None


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("amount > 500", ("amount",)),
        ("args.amount > args.limit && args.amount < 5", ("args.amount", "args.limit")),
        ("args.items[0].price > 5", ("args.items",)),
        ("args.items[?price > 5].name", ("args.items",)),
        ("args.a.items[*].price == null", ("args.a.items",)),
        ("length(args.items | [0]) > 1", ("args.items",)),
        ("args.*.x == null", ("args",)),
        ("args.[a, b] == null", ("args",)),
        ("sort_by(args.items, &price)[0].price > 4", ("args.items",)),
        ("facts.airport.open || inferred", ("facts.airport.open", "inferred")),
        ('args."due date" == null', ('args."due date"',)),
        ("false && tainted", ("tainted",)),
    ],
)
def test_what_a_condition_looks_at(condition: str, reads: tuple[str, ...]) -> None:
    """Its plain paths, each once, whichever side decides."""
    assert compile_condition(condition).reads == reads


@pytest.mark.parametrize(
    ("condition", "written"),
    [
        ("days > 5", "args.days > 5"),
        ("args.days > 5 && days<2", "args.days > 5 && args.days<2"),
        ("days[?tags > b].days | days == null", "args.days[?tags > b].days | days == null"),
        ("contains(tags, 'days') || tainted", "contains(args.tags, 'days') || tainted"),
        ("sort_by(tags, &days)[0].days > amount", "sort_by(args.tags, &days)[0].days > amount"),
        ("tags[*].[a, days] == [days, 5]", "args.tags[*].[a, days] == [args.days, 5]"),
        ("{days: days | tags, x: tags} == null", "{days: args.days | tags, x: args.tags} == null"),
        ("tags.length(days) > length(days)", "args.tags.length(days) > length(args.days)"),
        ('"due date" == `{"days": 5}`', 'args."due date" == `{"days": 5}`'),
        ("days == true && null == tags", "args.days == true && null == args.tags"),
        ("(days | [0]) == tags", "(args.days | [0]) == args.tags"),
        ("tool > 5", "args.tool > 5"),
        ("facts.days > 5", "facts.days > 5"),
    ],
)
def test_a_condition_over_arguments(condition: str, written: str) -> None:
    """A bare name of an argument means the argument, where the condition starts and nowhere else; it goes before other words."""
    assert over_arguments(condition, ["days", "tags", "due date", "tool"]) == written


@pytest.mark.parametrize("condition", ["dyas > 5", "days >", "days > 'x", "", "length(days, tags) > 1", "@.days > 5"])
def test_a_condition_over_arguments_that_is_none(condition: str) -> None:
    """An unknown word, and what is no condition, is said at once."""
    with pytest.raises(ValueError) as caught:
        over_arguments(condition, ["days", "tags"])
    if condition.startswith("dyas"):
        assert "no word dyas (did you mean days?); it may start at days, tags, args" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["5", "812.50", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "items"]), inner, max_size=3),
    max_leaves=8,
)
PLAIN = ["args.a == args.b", "args.a != 5", "args.items[0].a == 'x'", "args.a[*].b == args.c", "contains(keys(args), 'a')"]


@given(args=st.dictionaries(st.sampled_from(["a", "b", "c", "items"]), JSON), condition=st.sampled_from(PLAIN))
def test_where_nothing_is_ordered_it_is_jmespath(args: dict[str, Any], condition: str) -> None:
    """Equality, paths and functions say what the library says."""
    document = {"args": args}
    expected = jmespath.search(condition.replace("5", "`5`"), document)
    assert compile_condition(condition).holds(document).holds is expected


@given(left=JSON, right=JSON, sign=st.sampled_from(["<", "<=", ">", ">="]))
def test_an_ordering_and_its_opposite_never_both_hold(left: Any, right: Any, sign: str) -> None:
    """Of two values, a comparison and its opposite are a yes and a no, or neither can be worked out."""
    document = {"args": {"a": left, "b": right}}
    there = compile_condition(f"args.a {sign} args.b").holds(document).holds
    opposite = compile_condition(f"!(args.a {sign} args.b)").holds(document).holds
    assert (there, opposite) in [(True, False), (False, True), (None, None)]
    both_ordered = all(isinstance(one, (int, float, str)) and not isinstance(one, bool) for one in (left, right))
    assert there is None or both_ordered


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-10000, max_value=10000))
def test_a_bare_number_is_that_number(number: Any) -> None:
    """As it is written, with a sign and a fraction."""
    text = f"{number:.2f}"
    assert compile_condition(f"amount == {text}").holds({"amount": float(text)}).holds is True
    assert compile_condition(f"{text} == amount").holds({"amount": json.loads(text)}).holds is True
    assert compile_condition(f"amount >= {text} && amount <= {text}").holds({"amount": text}).holds is True
