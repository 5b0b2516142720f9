"""A file that somebody wrote: YAML or JSON in, plain data out; and the words in which its mistakes are told.

What would be lost or changed silently is refused: a key given twice, aliases, what JSON has not. Where YAML 1.1 reads more into
plain words than people mean (dates, `17:00` as a number to the base of sixty, `on` as a key), they are the text that stands
there, as in YAML 1.2.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import yaml

from holdfast.errors import DefinitionError, LoadError

SIZE_MAX = 4_000_000
SUFFIXES = (".yaml", ".yml", ".json")


def read(path: Path, what: str = "a plan") -> Any:
    """The data of a file; LoadError where it cannot be read. what: is in it, for messages."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LoadError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(raw) > SIZE_MAX:
        raise LoadError(f"{path} has {len(raw)} bytes; {what} has at most {SIZE_MAX}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LoadError(f"{path} is not UTF-8: byte {error.start}") from error
    try:
        data = _json(text) if path.suffix == ".json" else _yaml(text)
        _check_values(data)
    except LoadError as error:
        raise LoadError(f"{path} {error.what}", hint=error.hint) from error
    except RecursionError as error:
        raise LoadError(f"{path} is nested too deeply") from error
    return data


def bare_name(path: Path) -> str:
    """The name of such a file without its ending."""
    return next((path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)), path.name)


# --- words for mistakes -------------------------------------------------------------------------------------------


def declared(read: Callable[[], Any], where: str, found: list[str]) -> Any:
    """What a reader of one value gives; None where it raises a DefinitionError, whose words are added to `found`."""
    try:
        return read()
    except DefinitionError as error:
        found.append(f"{where}: {error}")
        return None


def texts(value: Any, where: str, found: list[str]) -> tuple[str, ...]:
    """A name or a list of names; a problem is added to `found`."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    found.append(f"{where}: write a name or a list of names")
    return ()


def told(source: str, problems: list[str]) -> str:
    """Several problems in one text, a line each."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"{source} has {count}:\n" + "\n".join(f"  - {problem}" for problem in problems)


def kind(value: Any) -> str:
    """What a value is, in the words of people."""
    return {"NoneType": "empty", "list": "a list", "str": "a text", "dict": "a table", "bool": "true or false"}.get(
        type(value).__name__, "a number"
    )


def strange(form: dict[str, Any], known: tuple[str, ...], what: str, where: str = "") -> list[str]:
    """The keys of a table that are no part of it, a sentence each. what: the table is. where: it stands; empty: at the top."""
    at = f"{where}: " if where else ""
    return [f"{at}{key!r} is not a part of {what}{meant(key, known)}" for key in form if key not in known]


def meant(word: Any, names: tuple[str, ...]) -> str:
    """A hint at the nearest of these names, or at all of them."""
    best = difflib.get_close_matches(str(word), names, n=1, cutoff=0.75)
    return f" (did you mean {best[0]}?)" if best else f" (it is one of {', '.join(names)})"


# --- YAML ---------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses what would be lost silently: a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == _BOOL and key_node.value in ("on", "off"):  # Words of policies, and of monitors.
                key_node.tag = "tag:yaml.org,2002:str"
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                said = f"the key {key_node.value} is no text to YAML; put it in quotes"
                raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_BOOL = "tag:yaml.org,2002:bool"
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


class _Number:
    """The pattern of a number without those to the base of sixty."""

    def __init__(self, pattern: re.Pattern[str]):
        self._pattern = pattern

    def match(self, text: str) -> re.Match[str] | None:
        """As a pattern does it."""
        return None if _SIXTIES.fullmatch(text) else self._pattern.match(text)


def _resolver(tag: str, pattern: Any) -> tuple[str, Any]:
    return (tag, _Number(pattern) if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") else pattern)


# YAML would turn 2026-11-20 into a date, which JSON has not; here it is the text that stands there.
_Loader.yaml_implicit_resolvers = {
    first: [_resolver(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml(text: str) -> Any:
    try:
        if text.count("&") and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise LoadError("has YAML aliases, which are not taken (they can grow without bound)", hint="write the value out")
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise LoadError(f"is not YAML: {_yaml_reason(error)}") from error
    except (RecursionError, LoadError):
        raise
    except Exception as error:
        # Its constructors let errors of Python through: `!!int many`, `!!timestamp soon`, a number of thousands of digits.
        raise LoadError(f"is not YAML: a value is not what its tag says ({error})") from error


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {reason}" if mark is not None else str(reason)


# --- JSON ---------------------------------------------------------------------------------------------------------


def _json(text: str) -> Any:
    """JSON proper: a reader of YAML refuses its tabs and takes its escapes apart."""

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(pairs)
        if len(whole) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise LoadError(f"is not JSON: the key {twice!r} stands there twice")
        return whole

    try:
        return json.loads(text, object_pairs_hook=table, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise LoadError(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except ValueError as error:  # A number of thousands of digits.
        raise LoadError(f"is not JSON: {error}") from error


def _no_number(name: str) -> Any:
    raise LoadError(f"is not JSON: {name} is no number")


def _check_values(data: Any) -> None:
    """Refuse what would not come back from the journal as it stands here: half characters, endless numbers, bytes, sets."""
    endless = list(_endless(data))
    if endless:
        raise LoadError(f"holds what JSON has not: a number without end ({', '.join(endless[:10])})")
    try:
        same = msgspec.json.decode(msgspec.json.encode(data)) == data
    except (ValueError, TypeError, OverflowError) as error:
        raise LoadError(f"holds what JSON has not: {error}") from error
    if not same:
        raise LoadError("holds what JSON has not: bytes or a set")


def _endless(data: Any, place: str = "") -> Iterator[str]:
    """The places at which there is no number that ends: `rules[1].rate`."""
    if isinstance(data, dict):
        for name, part in data.items():
            yield from _endless(part, f"{place}.{name}" if place else str(name))
    elif isinstance(data, list):
        for number, part in enumerate(data):
            yield from _endless(part, f"{place}[{number}]")
    elif isinstance(data, float) and not isfinite(data):
        yield place or "all of it"
