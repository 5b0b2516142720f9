"""References between steps: `{$ref: steps.mailbox.address}` in the arguments of a plan.

A reference is a jmespath expression (https://jmespath.org/specification.html) over
`{"inputs": …, "steps": {id: result}, "facts": {name: value}}`. It is pure and total: it can neither loop nor call out. A fact is
looked up at the moment of the call, and only one that may be believed then is there. Three forms stand in arguments, at any
depth:

    {$ref: EXPRESSION}                  the value; it must be there
    {$ref: EXPRESSION, default: VALUE}  the value, or VALUE where nothing is there
    {$secret: NAME}                     a secret, put in at the moment of the call and never written down
    {$literal: VALUE}                   VALUE as it is, also where it looks like one of these

Where something is said about a call that was made, references start elsewhere: at `result` in the arguments of what is looked
at after it (`expect:`), at `args` and `result` in those of what takes it back. A *condition* (`that:`, `sufficient=`) is an
expression over a result itself; one of a plan (`abort_when:`, `ask_when:`) starts where references do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import jmespath
import jmespath.exceptions
import msgspec

REF, SECRET, LITERAL = "$ref", "$secret", "$literal"
# Where references may start: in a plan, in what is looked at after a call, and in what takes a call back.
PLAN_ROOTS, RESULT_ROOTS, CALL_ROOTS = ("inputs", "steps", "facts"), ("result",), ("args", "result")
# Where a condition on the call itself may start.
ASK_ROOTS = (*PLAN_ROOTS, "args")
# Of what many things go by name, one is to be named.
_NAMED = {"steps": "name the step: steps.ID", "facts": "name the fact: facts.NAME"}
_PLAIN_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_DEPTH_MAX = 64
# How many times as large as what it reads the value of an expression may be: room for tables of tables of what was found.
_GROWTH_MAX = 1_000


class Missing(Exception):
    """A reference that leads nowhere; `expression` says which."""

    def __init__(self, expression: str):
        super().__init__(f"{expression} leads to nothing")
        self.expression = expression


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed reference: which steps, inputs and facts it reads. roots: where it starts, each once. path is set where it is a
    plain dotted path."""

    expression: str
    steps: tuple[str, ...]
    inputs: tuple[str, ...]
    facts: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    problem: str | None = None


@lru_cache(maxsize=4096)
def parse(expression: str, roots: tuple[str, ...] = PLAN_ROOTS) -> Reference:
    """Read a reference; `problem` is set where it is no expression, or reads anything but these roots."""
    shown = _shown(expression)
    try:
        tree = jmespath.compile(expression).parsed
        reads: dict[str, list[str]] = {root: [] for root in roots}
        problem = _collect(tree, reads) or _growth_problem(tree)
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        return Reference(expression=expression, steps=(), inputs=(), problem=_no_expression(shown, error))
    path = tuple(expression.split(".")) if _PLAIN_PATH.fullmatch(expression) else ()
    return Reference(
        expression=expression,
        steps=tuple(dict.fromkeys(name for name in reads.get("steps", ()) if name)),
        inputs=tuple(dict.fromkeys(name for name in reads.get("inputs", ()) if name)),
        facts=tuple(dict.fromkeys(name for name in reads.get("facts", ()) if name)),
        roots=tuple(root for root in roots if reads[root]),
        path=path,
        problem=f"{shown!r}: {problem}" if problem else None,
    )


def _no_expression(shown: str, error: Exception) -> str:
    return f"{shown!r} is not a jmespath expression: {_reason(error)}"


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _shown(expression: str) -> str:
    return expression if len(expression) <= 120 else expression[:120] + "…"


def _collect(node: Any, reads: dict[str, list[str]]) -> str | None:
    """Find `steps.ID`, `inputs.NAME` and `facts.NAME` at the roots of an expression's tree ("" for a root that is read whole);
    a sentence on the first wrong root."""
    kind, children = node.get("type"), node.get("children", [])
    if kind == "field":
        if node["value"] not in reads:
            return f"starts at {node['value']!r}; a reference starts at {' or '.join(reads)}"
        if node["value"] in _NAMED:
            return _NAMED[node["value"]]
        reads[node["value"]].append("")
        return None
    if kind in ("current", "identity"):
        return f"the root itself cannot be read; start at {' or '.join(reads)}"
    if kind == "subexpression":
        head, name = children[0], _first_name(children[1])
        if head.get("type") == "field" and head["value"] in reads and name is not None:
            reads[head["value"]].append(name)
            return None
        return _collect(head, reads)
    if kind in ("literal", "expref"):
        return None
    # In projections, filters, pipes and indexes only the first child starts at the root; in the rest, all do.
    rooted = (
        children
        if kind
        in (
            "function_expression",
            "multi_select_list",
            "multi_select_dict",
            "key_val_pair",
            "or_expression",
            "and_expression",
            "not_expression",
            "comparator",
        )
        else children[:1]
    )
    for child in rooted:
        if isinstance(child, dict) and (problem := _collect(child, reads)):
            return problem
    return None


def _growth_problem(tree: Any) -> str | None:
    """Why an expression may not be worked out: what it makes may be far larger than what it reads. Thirty times `[@,@] | ` make
    a billion of one, which nobody could write down."""
    if (grown := _growth(tree)) > _GROWTH_MAX:
        times = grown if grown < 10**9 else "a billion"
        return f"it may make its value {times} times as large, and {_GROWTH_MAX} times is the most"
    return None


def _growth(node: Any) -> int:
    """How many times as large as what it reads that may be which an expression makes, at most."""
    if not isinstance(node, dict):
        return 1  # The bounds of a slice.
    kind, parts = node.get("type"), [_growth(child) for child in node.get("children", ())]
    if kind in ("multi_select_list", "multi_select_dict"):
        return sum(parts)
    if kind == "function_expression":
        if node["value"] == "join" and node["children"][:1] and node["children"][0].get("type") != "literal":
            return _GROWTH_MAX + 1  # What is put between all the others may be as long as all the others.
        if not any(isinstance(child, dict) and child.get("type") == "expref" for child in node["children"]):
            # As a text, quotes within quotes double.
            return sum(parts) * (2 if node["value"] == "to_string" else 1) or 1
    return math.prod(parts)


def _first_name(node: Any) -> str | None:
    """The name right behind a dot: `a` in `a`, `a[0].b`, `a[*].b` and `a[?b]`, which the parser nests the other way round."""
    while node.get("type") in ("subexpression", "index_expression", "projection", "filter_projection", "flatten"):
        node = node["children"][0]
    return str(node["value"]) if node.get("type") == "field" else None


def find(value: Any, roots: tuple[str, ...] = PLAN_ROOTS, *, bare: bool = False) -> Iterator[Reference]:
    """Every reference in the arguments of a step, in order. bare: only those without a default, which cannot do without."""
    if isinstance(value, dict):
        if REF in value:
            if not (bare and "default" in value):
                yield parse(str(value[REF]), roots)
        elif SECRET not in value and LITERAL not in value:
            for part in value.values():
                if isinstance(part, (dict, list, tuple)):  # Most parts are plain values, and a generator for each would cost.
                    yield from find(part, roots, bare=bare)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from find(part, roots, bare=bare)


def facts_in(form: Any, *, bare: bool = False) -> tuple[str, ...]:
    """The names of the facts that arguments refer to. bare: only those without a default."""
    return tuple(dict.fromkeys(name for reference in find(form, bare=bare) for name in reference.facts))


def is_later(expression: Any) -> bool:
    """Whether a reference after a call reads the result of that call, which is only there then."""
    found = parse(str(expression), RESULT_ROOTS)
    return found.problem is None and bool(found.roots)


def malformed(value: Any, depth: int = 0) -> Iterator[str]:
    """What is wrong in the form of the arguments: stray keys beside `$ref`, names that are no text, depth."""
    if depth > _DEPTH_MAX:
        yield f"nested deeper than {_DEPTH_MAX} levels"
    elif isinstance(value, dict):
        for key, allowed in ((REF, {REF, "default"}), (SECRET, {SECRET}), (LITERAL, {LITERAL})):
            if key in value:
                stray = sorted(set(value) - allowed, key=str)
                if stray:
                    yield f"{stray[0]!r} cannot stand beside {key}"
                elif key != LITERAL and not isinstance(value[key], str):
                    yield f"{key} needs a text, found {value[key]!r}"
                return
        for key, part in value.items():
            if not isinstance(key, str):
                yield f"the name {key!r} is not a text"
            yield from malformed(part, depth + 1)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from malformed(part, depth + 1)


def nobody_knows(name: str) -> Any:
    """Where no facts are believed."""
    raise LookupError(name)


def resolve(
    value: Any,
    inputs: dict[str, Any],
    result_of: Callable[[str], Any],
    fact_of: Callable[[str], Any] = nobody_knows,
    *,
    for_call: bool = False,
    later: bool = False,
) -> Any:
    """Arguments with every reference replaced by its value; secrets stay as they are.

    result_of: the result of a finished step by its id. fact_of: the value of a fact that may be believed now; LookupError where
    there is none. for_call: what looks like a secret in a value is marked as a literal,
    or else data of the world could have secrets put into itself at the moment of the call. later: references to `result` stay
    as they are, for `fill` to put in once it is there; what looks like one in a value is marked too. Raises Missing for a
    reference that leads nowhere and has no default.
    """
    if isinstance(value, dict):
        if REF in value:
            if later and is_later(value[REF]):
                return value
            reference = parse(value[REF])
            found = _look_up(value, reference, document_of(reference, inputs, result_of, fact_of))
            return _marked(found, with_refs=later) if for_call or later else found
        if LITERAL in value:
            return _marked(value[LITERAL], with_refs=later) if for_call or later else value[LITERAL]
        if SECRET in value:
            return value
        parts = value.items()
        return {key: resolve(part, inputs, result_of, fact_of, for_call=for_call, later=later) for key, part in parts}
    if isinstance(value, (list, tuple)):
        return [resolve(part, inputs, result_of, fact_of, for_call=for_call, later=later) for part in value]
    return value


def document_of(
    reference: Reference, inputs: dict[str, Any], result_of: Callable[[str], Any], fact_of: Callable[[str], Any]
) -> dict[str, Any]:
    """What a reference, or a condition, is looked up in: no more than what it reads."""
    document: dict[str, Any] = {"inputs": inputs, "steps": {step: result_of(step) for step in reference.steps}, "facts": {}}
    for name in reference.facts:
        try:
            document["facts"][name] = fact_of(name)
        except LookupError:
            continue
    return document


def quoted(value: Any) -> Any:
    """Data as arguments: whatever in it looks like a form is marked as a literal, so that it stays what it is."""
    if isinstance(value, dict):
        if REF in value or SECRET in value or LITERAL in value:
            return {LITERAL: value}
        return {key: quoted(part) for key, part in value.items()}
    return [quoted(part) for part in value] if isinstance(value, (list, tuple)) else value


def fill(value: Any, *, result: Any, args: dict[str, Any] | None = None) -> Any:
    """The arguments of what follows a call (a look at the world, an undo), with the result of the call and its own arguments
    put in. What comes back are arguments again: what looks like a form in the result is marked as a literal, and a secret
    among the arguments of the call stays one.

    args: of the call, as they were resolved for it; None where references may start at `result` alone. Raises Missing for a
    reference that leads nowhere and has no default.
    """
    if isinstance(value, dict):
        if REF in value:
            reference = parse(value[REF], RESULT_ROOTS if args is None else CALL_ROOTS)
            if args is not None and reference.path[:1] == ("args",):
                return _argument(value, reference, args)
            document = {"result": result} if args is None else {"result": result, "args": unmarked(args)}
            return _marked(_look_up(value, reference, document), with_refs=True)
        if LITERAL in value or SECRET in value:
            return value
        return {key: fill(part, result=result, args=args) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(part, result=result, args=args) for part in value]
    return value


def _argument(form: dict[str, Any], reference: Reference, args: dict[str, Any]) -> Any:
    """What stands at a plain path in resolved arguments: a secret is still to be put in, and a literal is data."""
    found: Any = args
    for part in reference.path[1:]:
        if isinstance(found, dict) and LITERAL in found:
            return _marked(_look_up(form, reference, {"args": unmarked(args)}), with_refs=True)
        if not isinstance(found, dict) or SECRET in found or part not in found:
            return _nothing(form)
        found = found[part]
    return as_arguments(found)


def as_arguments(resolved: Any) -> Any:
    """Resolved arguments as arguments of another call: secrets and literals stay, and data that looks like a reference is
    marked."""
    if isinstance(resolved, dict):
        if SECRET in resolved or LITERAL in resolved:
            return resolved
        return {LITERAL: resolved} if REF in resolved else {key: as_arguments(part) for key, part in resolved.items()}
    return [as_arguments(part) for part in resolved] if isinstance(resolved, list) else resolved


def has_secret(value: Any) -> bool:
    """Whether a secret is to be put into resolved arguments."""
    if isinstance(value, dict):
        return LITERAL not in value and (SECRET in value or any(map(has_secret, value.values())))
    return isinstance(value, list) and any(map(has_secret, value))


def unmarked(value: Any) -> Any:
    """Resolved arguments without the marks of literals in them."""
    if isinstance(value, dict):
        return value[LITERAL] if LITERAL in value else {key: unmarked(part) for key, part in value.items()}
    return [unmarked(part) for part in value] if isinstance(value, list) else value


def condition_problem(expression: str) -> str | None:
    """What is wrong with a condition over a result, as a sentence; None where it is an expression."""
    if not expression.strip():
        return "it is empty; write a jmespath expression over the result"
    try:
        grown = _growth_problem(jmespath.compile(expression).parsed)
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        return _no_expression(_shown(expression), error)
    return f"{_shown(expression)!r}: {grown}" if grown else None


def picked(expression: str, value: Any) -> Any:
    """What an expression finds in a value; None where that is nothing, or cannot be worked out."""
    try:
        return jmespath.search(expression, value)
    except Exception:  # noqa: BLE001 — whatever the library thinks of a value from outside.
        return None


def holds(expression: str, value: Any) -> bool | None:
    """Whether a condition holds of a value, by what is true in jmespath; None where it finds nothing or cannot be worked out, so
    that nobody can say."""
    found = picked(expression, value)
    return None if found is None else not (found is False or (isinstance(found, (str, list, dict)) and not found))


def unmet(expression: str, value: Any) -> str | None:
    """Why a condition does not hold of a value, as a sentence; None where it holds. As in jmespath, null, false and what is
    empty are not true, and 0 is. A condition that cannot be worked out (`length` of a number) does not hold."""
    try:
        found = jmespath.search(expression, value)
    except Exception as error:  # noqa: BLE001 — whatever the library thinks of a value from outside.
        return f"{_shown(expression)} cannot be worked out: {_reason(error)}"
    if found is None or found is False or (isinstance(found, (str, list, dict)) and not found):
        said = "null" if found is None else "false" if found is False else "empty"
        return f"{_shown(expression)} is {said}"
    return None


def _marked(value: Any, *, with_refs: bool) -> Any:
    return {LITERAL: value} if _holds_form(value, with_refs) else value


def _holds_form(value: Any, with_refs: bool) -> bool:
    if isinstance(value, dict):
        if SECRET in value or LITERAL in value or (with_refs and REF in value):
            return True
        return any(_holds_form(part, with_refs) for part in value.values())
    return isinstance(value, (list, tuple)) and any(_holds_form(part, with_refs) for part in value)


def _look_up(form: dict[str, Any], reference: Reference, document: dict[str, Any]) -> Any:
    if reference.path:
        found: Any = document
        for part in reference.path:
            if not isinstance(found, dict) or part not in found:
                return _nothing(form)
            found = found[part]
        return found
    try:
        found = jmespath.search(reference.expression, document)
    except Exception as error:
        raise Missing(f"{reference.expression} ({_reason(error)})") from error
    return _nothing(form) if found is None else found


def _nothing(form: dict[str, Any]) -> Any:
    if "default" in form:
        return form["default"]
    raise Missing(form[REF])
