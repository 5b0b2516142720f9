"""References between steps: `{$ref: steps.mailbox.address}` in the arguments of a plan.

A reference is a jmespath expression (https://jmespath.org/specification.html) over `{"inputs": …, "steps": {id: result}}`.
It is pure and total: it can neither loop nor call out. Three forms stand in arguments, at any depth:

    {$ref: EXPRESSION}                  the value; it must be there
    {$ref: EXPRESSION, default: VALUE}  the value, or VALUE where nothing is there
    {$secret: NAME}                     a secret, put in at the moment of the call and never written down
    {$literal: VALUE}                   VALUE as it is, also where it looks like one of these
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import jmespath
import jmespath.exceptions
import msgspec

REF, SECRET, LITERAL = "$ref", "$secret", "$literal"
_PLAIN_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_DEPTH_MAX = 64


class Missing(Exception):
    """A reference that leads nowhere; `expression` says which."""

    def __init__(self, expression: str):
        super().__init__(f"{expression} leads to nothing")
        self.expression = expression


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed reference: which steps and inputs it reads. path is set where it is a plain dotted path."""

    expression: str
    steps: tuple[str, ...]
    inputs: tuple[str, ...]
    path: tuple[str, ...] = ()
    problem: str | None = None


@lru_cache(maxsize=4096)
def parse(expression: str) -> Reference:
    """Read a reference; `problem` is set where it is no expression, or reads anything but inputs and steps."""
    shown = expression if len(expression) <= 120 else expression[:120] + "…"
    try:
        tree = jmespath.compile(expression).parsed
        reads: dict[str, list[str]] = {"steps": [], "inputs": []}
        problem = _collect(tree, reads)
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        return Reference(expression=expression, steps=(), inputs=(), problem=f"{shown!r} is not a jmespath expression: {reason}")
    path = tuple(expression.split(".")) if _PLAIN_PATH.fullmatch(expression) else ()
    return Reference(
        expression=expression,
        steps=tuple(dict.fromkeys(reads["steps"])),
        inputs=tuple(dict.fromkeys(reads["inputs"])),
        path=path,
        problem=f"{shown!r}: {problem}" if problem else None,
    )


def _collect(node: Any, reads: dict[str, list[str]]) -> str | None:
    """Find `steps.ID` and `inputs.NAME` at the roots of an expression's tree; a sentence on the first wrong root."""
    kind, children = node.get("type"), node.get("children", [])
    if kind == "field":
        if node["value"] == "inputs":
            return None
        if node["value"] == "steps":
            return "name the step: steps.ID"
        return f"starts at {node['value']!r}; a reference starts at inputs or steps"
    if kind in ("current", "identity"):
        return "the root itself cannot be read; start at inputs or steps"
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


def _first_name(node: Any) -> str | None:
    """The name right behind a dot: `a` in `a`, `a[0].b`, `a[*].b` and `a[?b]`, which the parser nests the other way round."""
    while node.get("type") in ("subexpression", "index_expression", "projection", "filter_projection", "flatten"):
        node = node["children"][0]
    return str(node["value"]) if node.get("type") == "field" else None


def find(value: Any) -> Iterator[Reference]:
    """Every reference in the arguments of a step, in order."""
    if isinstance(value, dict):
        if REF in value:
            yield parse(str(value[REF]))
        elif SECRET not in value and LITERAL not in value:
            for part in value.values():
                yield from find(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from find(part)


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


def resolve(value: Any, inputs: dict[str, Any], result_of: Callable[[str], Any], *, for_call: bool = False) -> Any:
    """Arguments with every reference replaced by its value; secrets stay as they are.

    result_of: the result of a finished step by its id. for_call: what looks like a secret in a value is marked as a literal,
    or else data of the world could have secrets put into itself at the moment of the call. Raises Missing for a reference
    that leads nowhere and has no default.
    """
    if isinstance(value, dict):
        if REF in value:
            found = _look_up(value, inputs, result_of)
            return _marked(found) if for_call else found
        if LITERAL in value:
            return _marked(value[LITERAL]) if for_call else value[LITERAL]
        if SECRET in value:
            return value
        return {key: resolve(part, inputs, result_of, for_call=for_call) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(part, inputs, result_of, for_call=for_call) for part in value]
    return value


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


def _marked(value: Any) -> Any:
    return {LITERAL: value} if _holds_form(value) else value


def _holds_form(value: Any) -> bool:
    if isinstance(value, dict):
        return SECRET in value or LITERAL in value or any(map(_holds_form, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_form, value))


def _look_up(form: dict[str, Any], inputs: dict[str, Any], result_of: Callable[[str], Any]) -> Any:
    reference = parse(form[REF])
    document = {"inputs": inputs, "steps": {step: result_of(step) for step in reference.steps}}
    if reference.path:
        found: Any = document
        for part in reference.path:
            if not isinstance(found, dict) or part not in found:
                if "default" in form:
                    return form["default"]
                raise Missing(reference.expression)
            found = found[part]
        return found
    try:
        found = jmespath.search(reference.expression, document)
    except Exception as error:
        raise Missing(f"{reference.expression} ({str(error).splitlines()[0]})") from error
    if found is None:
        if "default" in form:
            return form["default"]
        raise Missing(reference.expression)
    return found
