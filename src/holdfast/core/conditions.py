"""Conditions of rules: jmespath, in which a number may stand as it is, and from which nothing follows by accident.

    amount > 500 && args.currency != 'EUR'
    confidence < 0.7 || tainted
    args.items[?price > 1000]

A condition says yes, says no, or cannot be worked out, and jmespath alone blurs the last two: there, `amount > 500` with no
amount is null, and `!(amount > 500)` is then true. Here:

- `<`, `<=`, `>` and `>=` compare two numbers, or texts that are written as numbers ("812.50"), and cannot be worked out of
  anything else. `==` and `!=` always can; what is not there is null.
- Where a yes or no is wanted (the whole condition, both sides of `&&` and `||`, behind `!`, within `[?…]`), true and false are
  that, and so is a list that a filter left: empty is no. Everything else, null too, cannot be worked out.
- `&&` and `||` can be worked out where one side alone decides, whichever side that is.
- `sum`, `avg`, `max` and `min` of a list cannot be worked out where a part of it is not there, and nothing can that puts numbers
  which are written as texts in order.
- Elsewhere `||` and `&&` choose a value, as in jmespath: `(args.currency || 'EUR') == 'EUR'`.

Numbers, `true`, `false` and `null` need no backticks where an operand may stand.
"""

from __future__ import annotations

import difflib
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import jmespath
import jmespath.exceptions
import msgspec
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

from holdfast.core import references
from holdfast.core.spelling import root_names, tokens_of, with_literals

# What a condition on a call, and one on a plan, may start at; `core/proposed.py` says what each of them is.
CALL_WORDS = (
    "args", "amount", "tool", "safety", "agent", "tenant", "labels", "inputs", "confidence", "facts", "inferred", "tainted",
    "revision", "spent_usd",
)  # fmt: skip
PLAN_WORDS = ("steps", "tools", "agent", "tenant", "labels", "inputs", "confidence", "revision", "spent_usd", "facts")

Path = tuple[str, ...]
_Reader = Callable[[Any], Any]
_Judge = Callable[[Any], bool]

# Deeper ones are no work of a person's, and could not be followed by one.
_DEPTH_MAX = 100
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
# Of these nodes all children are looked up where the node is; of the others only the first one.
_SIDE_BY_SIDE = frozenset((
    "function_expression", "multi_select_list", "multi_select_dict", "key_val_pair", "or_expression", "and_expression",
    "not_expression", "comparator",
))  # fmt: skip
# Functions that make one number of a list: one that is missing in it makes that another number.
_SUMMARIES = frozenset(("sum", "avg", "max", "min"))
# Functions that put a list in order; texts by their letters, so that "9" comes behind "100".
_SORTERS = frozenset(("max", "min", "sort", "max_by", "min_by", "sort_by"))
_CHAINS = frozenset((
    "subexpression", "index_expression", "projection", "value_projection", "filter_projection", "flatten", "pipe",
))  # fmt: skip


class Held(msgspec.Struct, frozen=True):
    """What came of a condition: yes, no, or None where it cannot be worked out; `why` then says what is in the way."""

    holds: bool | None
    why: str = ""


_YES, _NO = Held(True), Held(False)


class Condition:
    """A compiled condition. problem: a sentence where it is none; it then never can be worked out. reads: the plain paths that
    it looks at, each once (`args.amount`), as far as they are plain: of `args.items[0].price` that is `args.items`."""

    __slots__ = ("_judge", "_readers", "paths", "problem", "reads", "text")

    def __init__(self, text: str, problem: str | None, paths: tuple[Path, ...] = (), judge: _Judge | None = None):
        self.text = text
        self.problem = problem
        self.paths = paths
        self.reads = tuple(map(_dotted, paths))
        self._readers = tuple((_dotted(path), path[0], _path_reader(path)) for path in paths)
        self._judge = judge

    def holds(self, document: Mapping[str, Any]) -> Held:
        """What comes of it for a document. Raises nothing, whatever the document is."""
        if self._judge is None:
            return Held(None, self.problem or "")
        try:
            return _YES if self._judge(document) else _NO
        except Exception as error:  # noqa: BLE001 — whatever the library thinks of a value from outside.
            return Held(None, _reason(error))

    def looked(self, document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
        """What it looks at in a document: the path, the word that it starts at, and the value (None where nothing is there)."""
        for path, word, read in self._readers:
            yield path, word, read(document)


@lru_cache(maxsize=4096)
def compile_condition(text: str, roots: tuple[str, ...] = CALL_WORDS) -> Condition:
    """Read a condition. roots: the words that it may start at. The same text is read once."""
    shown = _shown(text)
    if not text.strip():
        return Condition(text, "it is empty; write a condition such as amount > 500")
    try:
        written = with_literals(text)
        tree: Any = jmespath.compile(written).parsed
        paths = tuple(dict.fromkeys(_paths(tree)))
        problem = _root_problem(paths, roots) or next(_node_problems(tree), None)
        if problem is None and (grown := references.condition_problem(written)):
            return Condition(text, grown)
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        return Condition(text, f"{shown!r} is not a condition: {_reason(error)}")
    if problem is not None:
        return Condition(text, f"{shown!r}: {problem}")
    return Condition(text, None, paths, _Interpreter(tree).judge(tree))


def over_arguments(text: str, arguments: Iterable[str]) -> str:
    """The condition of a tool, in which a bare name of an argument means that argument, as a condition of a rule: `days > 5` as
    `args.days > 5`. Other words of a rule stay what they are.

    Raises ValueError, with a sentence, where it names anything else or is no condition.
    """
    names = tuple(arguments)
    try:
        tokens = tokens_of(text)
    except (jmespath.exceptions.JMESPathError, ValueError) as error:
        raise ValueError(f"{_shown(text)!r} is not a condition: {_reason(error)}") from error
    pieces, end = [], 0
    for token in root_names(tokens):
        name, start = str(token["value"]), token["start"]
        if name in names:
            pieces += [text[end:start], "args."]
            end = start
        elif name not in CALL_WORDS:
            known = (*names, *(word for word in CALL_WORDS if word not in names))
            raise ValueError(f"{_shown(text)!r}: {_unknown(name, known)}")
    written = "".join((*pieces, text[end:]))
    if problem := compile_condition(written, CALL_WORDS).problem:
        raise ValueError(problem)
    return written


class _Unclear(Exception):
    """A yes or no that nobody can say."""


class _Interpreter(TreeInterpreter):
    """Works out one condition. What is common (paths, literals, comparisons, and, or, not) is made a function once; the rest is
    walked by the library, and comes back here for each comparison."""

    def __init__(self, tree: Any) -> None:
        super().__init__()
        self._judges: dict[int, _Judge] = {}
        # The nodes of which each element counts.
        self._whole = frozenset(map(id, _summarized(tree)))

    def judge(self, node: Any) -> _Judge:
        """The function that says yes or no where a yes or no is wanted; it raises where nobody can say."""
        found = self._judges.get(id(node))
        if found is None:
            found = self._judges[id(node)] = self._judge_of(node)
        return found

    def _judge_of(self, node: Any) -> _Judge:
        kind, children = node["type"], node["children"]
        if kind == "comparator":
            return self._comparison(node["value"], *children)
        if kind == "not_expression":
            inner = self.judge(children[0])
            return lambda value: not inner(value)
        if kind in ("and_expression", "or_expression"):
            return _joined(self.judge(children[0]), self.judge(children[1]), decides=kind == "or_expression")
        return _plainly(self._reader(node), _words(node), lists=kind == "filter_projection")

    def _comparison(self, sign: str, left: Any, right: Any) -> _Judge:
        read_left, read_right = self._reader(left), self._reader(right)
        if sign not in _ORDERINGS:
            same = TreeInterpreter.COMPARATOR_FUNC[sign]
            return lambda value: bool(same(read_left(value), read_right(value)))
        return _ordered(_ORDERINGS[sign], (read_left, _words(left)), (read_right, _words(right)))

    def _reader(self, node: Any) -> _Reader:
        names, whole = _spine(node)
        if names and whole:
            return _path_reader(names)
        if node["type"] == "literal":
            literal = node["value"]
            return lambda value: literal
        return lambda value: self.visit(node, value)

    def visit_comparator(self, node: Any, value: Any) -> bool:
        return self.judge(node)(value)

    def visit_not_expression(self, node: Any, value: Any) -> bool:
        return self.judge(node)(value)

    def visit_filter_projection(self, node: Any, value: Any) -> list[Any] | None:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        judge = self.judge(node["children"][2])
        found = [self.visit(node["children"][1], element) for element in base if judge(element)]
        return self._without_nulls(node, found)

    def visit_projection(self, node: Any, value: Any) -> list[Any] | None:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        return self._without_nulls(node, [self.visit(node["children"][1], element) for element in base])

    def visit_value_projection(self, node: Any, value: Any) -> list[Any] | None:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, dict):
            return None
        return self._without_nulls(node, [self.visit(node["children"][1], element) for element in base.values()])

    def _without_nulls(self, node: Any, found: list[Any]) -> list[Any]:
        kept = [one for one in found if one is not None]
        if len(kept) < len(found) and id(node) in self._whole:
            raise _Unclear(f"{_words(node)} is null in {len(found) - len(kept)} of {len(found)}")
        return kept

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        found = super().visit_function_expression(node, value)
        if node["value"] in _SORTERS:
            values, *key = node["children"]
            keys = self.visit(values, value)
            if key:
                keys = [self.visit(key[0]["children"][0], element) for element in keys]
            if any(type(one) is str and NUMBER.fullmatch(one) for one in keys):
                raise _Unclear(f"{_words(node)} would put numbers that are texts in the order of their letters")
        return found


def _summarized(node: Any, within: bool = False) -> Iterator[Any]:
    """The nodes that are looked up for one number that is made of them all."""
    if within:
        yield node
    inside = within or (node["type"] == "function_expression" and node["value"] in _SUMMARIES)
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _summarized(child, inside)


def _joined(first: _Judge, second: _Judge, *, decides: bool) -> _Judge:
    """`||` (a yes decides) or `&&` (a no does)."""

    def judge(value: Any) -> bool:
        try:
            if first(value) is decides:
                return decides
        except Exception:
            if second(value) is decides:
                return decides
            raise
        return second(value)

    return judge


def _plainly(read: _Reader, words: str, *, lists: bool) -> _Judge:
    def judge(value: Any) -> bool:
        found = read(value)
        if found is True or found is False:
            return bool(found)
        if lists and isinstance(found, list):
            return bool(found)
        raise _Unclear(f"{words} is {_kind(found)}, neither true nor false")

    return judge


def _ordered(compare: Callable[[Any, Any], bool], left: tuple[_Reader, str], right: tuple[_Reader, str]) -> _Judge:
    (read_left, left_words), (read_right, right_words) = left, right

    def judge(value: Any) -> bool:
        first, second = read_left(value), read_right(value)
        if type(first) is not int:
            first = _number(first, left_words)
        if type(second) is not int:
            second = _number(second, right_words)
        # "0.7" and 0.7 are the same, though the float is a little less.
        if type(first) is Decimal and type(second) is float:
            second = Decimal(repr(second))
        elif type(second) is Decimal and type(first) is float:
            first = Decimal(repr(first))
        return compare(first, second)

    return judge


def _number(value: Any, words: str) -> int | float | Decimal:
    kind = type(value)
    if kind is int or (kind is float and math.isfinite(value)):
        return value  # type: ignore[no-any-return]
    if kind is str and NUMBER.fullmatch(value):
        return Decimal(value)
    raise _Unclear(f"{words} is {_kind(value)}, not a number")


def _path_reader(path: Path) -> _Reader:
    """A function that follows a path; None where it leads to nothing."""
    if len(path) == 1:
        (only,) = path

        def read_one(value: Any) -> Any:
            return value.get(only) if hasattr(value, "get") else None

        return read_one

    def read(value: Any) -> Any:
        for name in path:
            if not hasattr(value, "get"):
                return None
            value = value.get(name)
        return value

    return read


def _spine(node: Any) -> tuple[Path, bool]:
    """The names along which a node starts, and whether it is nothing but them."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        return (str(node["value"]),), True
    if kind == "subexpression":
        names: Path = ()
        for child in children:
            more, whole = _spine(child)
            names += more
            if not whole:
                return names, False
        return names, True
    return (_spine(children[0])[0], False) if kind in _CHAINS else ((), False)


def _paths(node: Any) -> Iterator[Path]:
    """The plain paths that an expression looks at, from where it starts; an empty one where it reads that whole."""
    kind, children = node["type"], node["children"]
    if kind in ("current", "identity"):
        yield ()
    elif kind in ("field", *_CHAINS) and (names := _spine(node)[0]):
        yield names
    elif kind in _SIDE_BY_SIDE:
        for child in children:
            yield from _paths(child)
    elif kind in _CHAINS:
        yield from _paths(children[0])


def _root_problem(paths: tuple[Path, ...], roots: tuple[str, ...]) -> str | None:
    for path in paths:
        if not path:
            return f"it reads everything there is; start at {', '.join(roots)}"
        if path[0] not in roots:
            return _unknown(path[0], roots)
    return None


def _unknown(word: str, known: Iterable[str]) -> str:
    words = tuple(known)
    best = difflib.get_close_matches(word, words, n=1)
    meant = f" (did you mean {best[0]}?)" if best else ""
    return f"there is no word {word}{meant}; it may start at {', '.join(words)}"


def _node_problems(node: Any, depth: int = 0) -> Iterator[str]:
    """What is an expression and yet can never be worked out."""
    kind, children = node["type"], [child for child in node["children"] if isinstance(child, dict)]
    if depth > _DEPTH_MAX:
        yield f"it is nested deeper than {_DEPTH_MAX} levels"
        return
    if kind == "function_expression" and (wrong := _function_problem(node["value"], len(children))):
        yield wrong
    elif kind in _CHAINS - {"pipe"} and children[0]["type"] == "not_expression":
        yield "! holds only for the word behind it; write !(…) around the whole path"
    elif kind == "comparator" and node["value"] in _ORDERINGS:
        for child in children:
            if child["type"] in ("not_expression", "comparator"):
                yield f"{_SIGNS[node['value']]} compares numbers, and one side is a yes or no; write brackets where they belong"
            elif child["type"] == "literal" and not _is_number(child["value"]):
                yield f"{_SIGNS[node['value']]} compares numbers, and {json.dumps(child['value'])} is none"
    for child in children:
        yield from _node_problems(child, depth + 1)


def _function_problem(name: str, given: int) -> str | None:
    known: dict[str, Any] = Functions.FUNCTION_TABLE
    if name not in known:
        best = difflib.get_close_matches(name, known, n=1)
        return f"there is no function {name}{f' (did you mean {best[0]}?)' if best else ''}"
    signature = known[name]["signature"]
    wanted = len(signature)
    if given == wanted or (given > wanted and signature and signature[-1].get("variadic")):
        return None
    return f"{name} takes {wanted} {'value' if wanted == 1 else 'values'}, and is given {given}"


def _is_number(value: Any) -> bool:
    try:
        _number(value, "")
    except _Unclear:
        return False
    return True


def _words(node: Any) -> str:
    names, whole = _spine(node)
    if names and whole:
        return _dotted(names)
    if node["type"] == "function_expression":
        return f"{node['value']}(…)"
    return f"what is found at {_dotted(names)}" if names else "a part of it"


def _dotted(path: Path) -> str:
    return ".".join(name if _NAME.fullmatch(name) else json.dumps(name) for name in path)


def _kind(value: Any) -> str:
    """What kind of value it is, in words; never the value, which may be private."""
    if value is None:
        return "null"
    kinds = (
        (bool, "a yes or no"),
        (str, "a text"),
        (list, "a list"),
        (dict, "an object"),
        (int, "a number"),
        (float, "a number"),
    )
    if isinstance(value, float) and not math.isfinite(value):
        return "no finite number"
    return next((words for types, words in kinds if isinstance(value, types)), "something else")


def _shown(text: str) -> str:
    return text if len(text) <= 120 else text[:120] + "…"


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
