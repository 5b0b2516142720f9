"""References between steps: what they read, what is wrong with them, what they resolve to."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.references import (
    CALL_ROOTS,
    RESULT_ROOTS,
    Missing,
    as_arguments,
    condition_problem,
    facts_in,
    fill,
    find,
    has_secret,
    holds,
    is_later,
    malformed,
    parse,
    picked,
    quoted,
    resolve,
    unmet,
)
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


# --- what is said about a call that was made ------------------------------------------------------------------------------

RESULT: dict[str, Any] = {"id": 7, "rooms": [1, 2], "note": {"$ref": "steps.a"}, "odd": {"$secret": "TOKEN"}, "none": None}
ARGS: dict[str, Any] = {
    "to": "ann",
    "token": {"$secret": "TOKEN"},
    "data": {"$literal": {"$secret": "X", "deep": {"n": 1}}},
    "like": {"$ref": "x"},
}


@pytest.mark.parametrize(
    ("expression", "roots", "problem"),
    [
        ("result", RESULT_ROOTS, None),
        ("result.id", RESULT_ROOTS, None),
        ("length(result.rooms)", RESULT_ROOTS, None),
        ("args.to", RESULT_ROOTS, "a reference starts at result"),
        ("steps.a", RESULT_ROOTS, "a reference starts at result"),
        ("[result.id, args.to]", CALL_ROOTS, None),
        ("args", CALL_ROOTS, None),
        ("inputs.x", CALL_ROOTS, "a reference starts at args or result"),
        ("@", CALL_ROOTS, "start at args or result"),
    ],
)
def test_where_a_reference_may_start(expression: str, roots: tuple[str, ...], problem: str | None) -> None:
    """At what is there when it is looked up, and nowhere else."""
    found = parse(expression, roots).problem
    assert found is None if problem is None else problem in (found or "")


def test_a_reference_to_a_result_is_left_for_later() -> None:
    """What is known before the call is put in before it; what only the call brings stays, and is told from data."""
    form = {
        "id": {"$ref": "result.id"},
        "who": {"$ref": "inputs.user.name"},
        "x": {"$ref": "steps.evil"},
        "text": {"$ref": "'just text'"},
    }
    evil = {"$ref": "result.secret"}
    half = resolve(form, INPUTS, {"evil": evil}.__getitem__, later=True)
    assert half == {"id": {"$ref": "result.id"}, "who": "ann", "x": {"$literal": evil}, "text": "just text"}
    assert fill(half, result=RESULT) == {"id": 7, "who": "ann", "x": {"$literal": evil}, "text": "just text"}
    assert [is_later(word) for word in ("result.id", "inputs.x", "'text'", "result[", 5)] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("result.id", 7),
        ("length(result.rooms)", 2),
        ("result.none", None),
        ("result.note", {"$literal": {"$ref": "steps.a"}}),
        ("result.odd", {"$literal": {"$secret": "TOKEN"}}),
        ("args.to", "ann"),
        ("args.token", {"$secret": "TOKEN"}),
        ("args.like", {"$literal": {"$ref": "x"}}),
        ("args.data", ARGS["data"]),
        ("args.data.deep.n", 1),
        ("[args.to, result.id]", ["ann", 7]),
    ],
)
def test_an_undo_gets_what_the_call_was_given_and_what_it_brought(expression: str, value: Any) -> None:
    """As arguments of another call: data stays data whatever it looks like, and a secret is put in once more."""
    assert fill({"x": [{"$ref": expression}]}, result=RESULT, args=ARGS) == {"x": [value]}


def test_what_is_not_there_after_a_call_is_missing_or_has_a_default() -> None:
    """As before it; the arguments of a call are no business of what only looks."""
    for expression in ("result.gone", "args.gone", "args.token.deep", "args.data.gone", "max(result.rooms[5:])"):
        with pytest.raises(Missing):
            fill({"$ref": expression}, result=RESULT, args=ARGS)
        assert fill({"$ref": expression, "default": 5}, result=RESULT, args=ARGS) == 5
    with pytest.raises(Missing):
        fill({"$ref": "args.to"}, result=RESULT)
    assert fill({"a": {"$literal": {"$ref": "x"}}, "b": {"$secret": "S"}}, result=1) == {
        "a": {"$literal": {"$ref": "x"}},
        "b": {"$secret": "S"},
    }


def nothing(step: str) -> Any:
    """No step has a result."""
    raise KeyError(step)


@given(s.json_values, s.json_values)
def test_what_was_put_in_comes_out_as_it_was(value: Any, other: Any) -> None:
    """Whatever a result holds, the call after it is given that, and nothing of it is looked up."""
    args = resolve({"w": {"$literal": other}}, {}, nothing, for_call=True)
    form = {"v": {"$ref": "result.v"}, "w": {"$ref": "args.w"}}
    filled = fill(form, result={"v": value}, args=args)
    assert resolve(filled, {}, nothing) == {"v": value, "w": other}
    assert resolve(as_arguments(args), {}, nothing) == {"w": other}
    assert not list(find(filled))


@pytest.mark.parametrize(
    ("condition", "value", "why"),
    [
        ("rooms > `0`", {"rooms": 3}, None),
        ("rooms > `0`", {"rooms": 0}, "rooms > `0` is false"),
        ("rooms > `0`", {"rooms": "many"}, "cannot be worked out"),
        ("@", 0, None),
        ("@", False, "@ is false"),
        ("@", "", "@ is empty"),
        ("hits", {"hits": []}, "hits is empty"),
        ("hits[0]", {"hits": [{}]}, "hits[0] is empty"),
        ("status == 'confirmed'", {"status": "confirmed"}, None),
        ("status == 'confirmed'", None, "status == 'confirmed' is false"),
        ("length(@) > `2`", 5, "cannot be worked out"),
        ("no_such(@)", 5, "cannot be worked out"),
        ("[", 5, "cannot be worked out"),
    ],
)
def test_whether_a_condition_holds(condition: str, value: Any, why: str | None) -> None:
    """It holds where jmespath calls it true; what cannot be worked out does not hold, and says so."""
    found = unmet(condition, value)
    assert found is None if why is None else why in (found or "")


@pytest.mark.parametrize(
    ("condition", "problem"),
    [("a ==", "is not a jmespath"), ("  ", "it is empty"), ("a.b[?c]", None), ("!" * 5000 + "a", "is not")],
)
def test_a_condition_is_an_expression(condition: str, problem: str | None) -> None:
    """Found before anything runs, in a line that can be read."""
    found = condition_problem(condition)
    assert found is None if problem is None else (problem in (found or "") and len(found or "") < 400)


@given(st.lists(WORDS, max_size=14).map("".join) | st.text(max_size=20), s.json_values)
def test_no_condition_breaks_the_judging(condition: str, value: Any) -> None:
    """Any text over any value holds, or does not for a reason."""
    assert unmet(condition, value) is None or isinstance(unmet(condition, value), str)
    condition_problem(condition)


# --- facts ------------------------------------------------------------------------------------------------------------

FACTS: dict[str, Any] = {"origin": "SFO", "offer": {"price": 5}, "seats UA 1": 3, "nothing": None}


def known(form: Any) -> Any:
    """What a form resolves to over the facts above."""
    return resolve(form, INPUTS, RESULTS.__getitem__, FACTS.__getitem__)


@pytest.mark.parametrize(
    ("expression", "names", "value"),
    [
        ("facts.origin", ("origin",), "SFO"),
        ("facts.offer.price", ("offer",), 5),
        ('facts."seats UA 1"', ("seats UA 1",), 3),
        ("[facts.origin, inputs.user.name]", ("origin",), ["SFO", "ann"]),
        ("facts.gone || facts.origin", ("gone", "origin"), "SFO"),
    ],
)
def test_a_reference_may_start_at_a_fact(expression: str, names: tuple[str, ...], value: Any) -> None:
    """By its name, in quotes where it is more than a word."""
    assert parse(expression).problem is None
    assert parse(expression).facts == names
    assert known({"$ref": expression}) == value
    assert facts_in({"a": [{"$ref": expression}], "b": {"$literal": {"$ref": "facts.x"}}}) == names


def test_a_fact_that_nobody_knows_is_missing_or_its_default() -> None:
    """As for everything else; where no facts are known at all, too."""
    assert known({"$ref": "facts.gone", "default": 1}) == 1
    with pytest.raises(Missing, match=r"facts\.gone leads to nothing"):
        known({"$ref": "facts.gone"})
    with pytest.raises(Missing):
        got({"$ref": "facts.origin"})
    assert known({"$ref": "facts.nothing"}) is None, "it is known, and is null"
    assert facts_in({"a": {"$ref": "facts.x", "default": 1}, "b": {"$ref": "facts.y"}}, bare=True) == ("y",)


@pytest.mark.parametrize("expression", ["facts", "facts[0]", "facts.*", "length(facts)"])
def test_all_facts_at_once_are_no_reference(expression: str) -> None:
    """What a step rests on is to be told by name."""
    assert parse(expression).problem is not None


def test_after_a_call_there_are_no_facts() -> None:
    """What is said of a call that was made is said of what went in and came out."""
    assert parse("facts.x", RESULT_ROOTS).problem is not None
    assert parse("facts.x", CALL_ROOTS).problem is not None


@given(s.json_values)
def test_quoted_data_stays_what_it_is(value: Any) -> None:
    """Whatever in it looks like a form: as arguments it is itself again, has no secret put in and refers to nothing."""
    form = quoted(value)
    assert resolve(form, {}, {}.__getitem__) == value
    assert list(find(form)) == [] and not has_secret(form)
    sent = resolve({"a": form}, {}, {}.__getitem__, for_call=True)
    assert not has_secret(sent)
    assert quoted(form) == form or value != form


def test_only_what_looks_like_a_form_is_marked() -> None:
    """So that the rest can be read, and checked argument by argument."""
    assert quoted({"a": {"$ref": "steps.a"}, "b": [1, {"$secret": "T"}], "c": {"$literal": 1}}) == {
        "a": {"$literal": {"$ref": "steps.a"}},
        "b": [1, {"$literal": {"$secret": "T"}}],
        "c": {"$literal": {"$literal": 1}},
    }
    assert quoted({"a": [1, "x", None]}) == {"a": [1, "x", None]}


@pytest.mark.parametrize(
    ("expression", "held"),
    [
        ("n > `1`", True),
        ("n > `5`", False),
        ("gone > `1`", None),
        ("length(n)", None),
        ("names", False),
        ("n", True),
        ("!n", False),
    ],
)
def test_whether_a_condition_holds_may_be_more_than_anybody_can_say(expression: str, held: bool | None) -> None:
    """What finds nothing, and what cannot be worked out, is neither true nor false."""
    assert holds(expression, {"n": 2, "names": []}) is held


@given(st.text(max_size=12), s.json_values)
def test_nothing_that_is_looked_for_raises(expression: str, value: Any) -> None:
    """Whatever the expression and the value."""
    picked(expression, value)


# --- what grows ---------------------------------------------------------------------------------------------------

DOUBLED = " | ".join(["steps.a", *["[@,@]"] * 30])


@pytest.mark.parametrize(
    "expression",
    [
        DOUBLED,
        " | ".join(["steps.a", *["{a:@,b:@}"] * 12]),
        f"length(to_string({DOUBLED}))",
        "to_string(" * 12 + "steps.a" + ")" * 12,
        "map(&[@,@], " * 12 + "steps.a" + ")" * 12,
        "join(to_string(steps.a), steps.b)",
        f"[{DOUBLED}] == [{DOUBLED}]",
        f"steps.a[?{DOUBLED} == {DOUBLED}]",
    ],
)
def test_an_expression_that_makes_a_billion_of_one_is_refused(expression: str) -> None:
    """Whoever proposes it; it is never worked out."""
    assert "times as large" in (parse(expression).problem or "")
    assert "times as large" in (condition_problem(expression) or "")


@pytest.mark.parametrize(
    "expression",
    [
        "steps.a.b[0]",
        "steps.a[?price < `100`] | sort_by(@, &price) | [:3].{name: name, price: price, at: {from: from, to: to}}",
        "{all: {a: steps.a, b: steps.b, c: [steps.c, steps.d]}, text: join(', ', steps.e[*].name)}",
        "length(steps.a) > `3` && contains(steps.b, 'x')",
        "map(&to_string(@), steps.a[].b)",
    ],
)
def test_what_people_write_is_taken(expression: str) -> None:
    """Tables of tables of what was found are no growth to speak of."""
    assert parse(expression).problem is None
    assert condition_problem(expression) is None
