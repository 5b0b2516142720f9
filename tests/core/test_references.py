"""References between steps: what they read, what is wrong with them, what they resolve to."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.references import Missing, find, malformed, parse, resolve
from tests import strategies as s

RESULTS: dict[str, Any] = {"a": {"n": 1, "list": [{"x": 1}, {"x": 2}], "none": None}, "b": [3, 4, "five"], "c": None}
INPUTS = {"user": {"name": "ann"}, "sizes": [3, 1, 2]}


def got(form: Any) -> Any:
    """What a form resolves to over the results above."""
    return resolve(form, INPUTS, RESULTS.__getitem__)


@pytest.mark.parametrize(
    ("expression", "steps", "inputs"),
    [
        ("steps.a", ("a",), ()),
        ("steps.a.n", ("a",), ()),
        ("steps.a[0]", ("a",), ()),
        ("steps.a[0].b", ("a",), ()),
        ("steps.a[*].x", ("a",), ()),
        ("steps.a[1:]", ("a",), ()),
        ("steps.a[:2][0]", ("a",), ()),
        ("steps.a[]", ("a",), ()),
        ("steps.a[?x=='1'].y | [0]", ("a",), ()),
        ("steps.a.b[*].c", ("a",), ()),
        ("steps.a.*.x", ("a",), ()),
        ("steps.a.[x, y]", ("a",), ()),
        ("steps.a.{p: x}", ("a",), ()),
        ('steps."a".x', ("a",), ()),
        ("inputs.k", (), ("k",)),
        ("inputs.k[0]", (), ("k",)),
        ("inputs.k[*].x", (), ("k",)),
        ("inputs", (), ()),
        ("steps.a || inputs.b", ("a",), ("b",)),
        ("steps.a && !(inputs.b)", ("a",), ("b",)),
        ("steps.a == inputs.b", ("a",), ("b",)),
        ("[steps.a, steps.b, steps.a]", ("a", "b"), ()),
        ("{p: steps.a, q: inputs.b}", ("a",), ("b",)),
        ("not_null(steps.a, inputs.b)", ("a",), ("b",)),
        ("sort_by(steps.a, &x)[0].x", ("a",), ()),
        ("map(&x, steps.a)", ("a",), ()),
        ("steps.a[?steps.b]", ("a",), ()),
        ("'text'", (), ()),
        ("`5`", (), ()),
    ],
)
def test_what_a_reference_reads(expression: str, steps: tuple[str, ...], inputs: tuple[str, ...]) -> None:
    """Found in the expression itself: these are the steps that it waits for."""
    reference = parse(expression)
    assert reference.problem is None
    assert (reference.steps, reference.inputs) == (steps, inputs)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("steps", "name the step"),
        ("steps.*", "name the step"),
        ("steps[0]", "name the step"),
        ("steps.[a, b]", "name the step"),
        ("result.x", "starts at 'result'"),
        ("a || steps.b", "starts at 'a'"),
        ("@", "root"),
        ("*", "root"),
        ("*.a", "root"),
        ("[0]", "root"),
        ("[*].a", "root"),
        ("length(@)", "root"),
        ("", "not a jmespath expression"),
        (" ", "not a jmespath expression"),
        ("steps.a[", "not a jmespath expression"),
        ("steps..a", "not a jmespath expression"),
        ("steps.a-b", "not a jmespath expression"),
        ("steps.a[`", "not a jmespath expression"),
        ("(" * 5000, "not a jmespath expression"),
        ("!" * 5000 + "inputs", "not a jmespath expression"),
    ],
)
def test_what_is_wrong_with_a_reference(expression: str, problem: str) -> None:
    """Each says what, in a line that can be read; none reads beyond inputs and steps."""
    found = parse(expression).problem
    assert found is not None and problem in found
    assert len(found) < 400


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("steps.a.n", 1),
        ("steps.a.list[*].x", [1, 2]),
        ("steps.a.list[-1].x", 2),
        ("steps.b[2]", "five"),
        ("inputs.user.name", "ann"),
        ("inputs", INPUTS),
        ("sort(inputs.sizes)", [1, 2, 3]),
        ("steps.c || steps.a.n", 1),
        ("[steps.a.n, steps.b[0]]", [1, 3]),
        ("steps.a.none", None),
    ],
)
def test_what_a_reference_resolves_to(expression: str, value: Any) -> None:
    """A plain path may lead to a null that is there; whatever else is null is missing."""
    assert got({"$ref": expression}) == value


@pytest.mark.parametrize(
    "expression",
    ["steps.a.gone", "steps.a.n.deeper", "steps.c.x", "inputs.gone", "steps.b[9]", "steps.a.list[::0]", "max(steps.b)", "sort(steps.b)",
     "steps.a.n.sort(@)", "no_such_function(steps.a)", "to_number(inputs.user)"],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_is_missing_whatever_the_library_thinks(expression: str) -> None:
    """Nothing but Missing comes out, and a default takes its place."""
    with pytest.raises(Missing, match="leads to nothing"):
        got({"$ref": expression})
    if "::0" not in expression and "(" not in expression:
        assert got({"$ref": expression, "default": [7]}) == [7]


def test_forms_stand_at_any_depth_and_nothing_else_is_touched() -> None:
    """References and literals are replaced, secrets stay, the rest is as it was."""
    form = {"a": [{"$ref": "steps.a.n"}, {"$secret": "TOKEN"}], "b": {"$literal": {"$ref": "steps.a.n"}}, "c": 1.5, "d": None}
    assert got(form) == {"a": [1, {"$secret": "TOKEN"}], "b": {"$ref": "steps.a.n"}, "c": 1.5, "d": None}
    assert [reference.expression for reference in find(form)] == ["steps.a.n"]
    assert not list(malformed(form))


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"$ref": "inputs.a", "or": 1}, "'or' cannot stand beside $ref"),
        ({"$secret": "A", "default": 1}, "'default' cannot stand beside $secret"),
        ({"$literal": 1, "x": 1}, "'x' cannot stand beside $literal"),
        ({"$ref": 5}, "$ref needs a text"),
        ({"$ref": None}, "$ref needs a text"),
        ({"$secret": ["A"]}, "$secret needs a text"),
        ({"a": {1: 2}}, "the name 1 is not a text"),
        ([{"x": [{"$ref": 1}]}], "$ref needs a text"),
    ],
)
def test_what_is_wrong_in_the_form_of_arguments(form: Any, problem: str) -> None:
    """Found without running anything."""
    (found,) = malformed(form)
    assert problem in found


def test_arguments_have_a_depth() -> None:
    """Deeper than 64 levels is no plan that somebody wrote; the walk ends there."""
    form: Any = 1
    for _ in range(500):
        form = {"x": form}
    (found,) = malformed(form)
    assert "deeper than 64" in found


WORDS = st.sampled_from(["steps", "inputs", "a", "b", ".", "[", "]", "*", "?", "|", "||", "&&", "!", "&", "(", ")", "{", "}", ":", ",", "@",
                         "`1`", "'x'", "0", "-1", "==", "<", "sort", "length", "map", "max_by", "join", "merge", "to_number", " "])  # fmt: skip


@given(st.lists(WORDS, max_size=14).map("".join) | st.text(max_size=20))
def test_no_expression_breaks_the_reading_or_the_resolving(expression: str) -> None:
    """Any text is a reference or has a problem; one without a problem resolves or is missing, and reads what it said."""
    reference = parse(expression)
    if reference.problem is None:
        read = set()

        def result_of(name: str) -> Any:
            read.add(name)
            return RESULTS.get(name)

        with contextlib.suppress(Missing):
            resolve({"$ref": expression}, INPUTS, result_of)
        assert read <= set(reference.steps)


@given(s.json_values)
def test_a_literal_is_what_it_is(value: Any) -> None:
    """Whatever it looks like."""
    assert got({"$literal": value}) == value
    assert list(find({"$literal": value})) == []
