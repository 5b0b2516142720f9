"""What stands in place of what was left out of a copy: by name, or of everything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from holdfast.core import events as e
from holdfast.core import pending, recovery, references
from holdfast.core.facts import could_be, places
from holdfast.core.plan import NAME
from holdfast.core.values import REDACTED

MARK = "$redacted"
# What is shorter is left out where it stands under its name, and not looked for in texts: it would be found everywhere.
SOUGHT_MIN = 3
# Of a shorter one only whole words count.
PART_OF_WORD_MIN = 5
# Our own marks, where a copy is redacted once more.
_VALUE_MARK = re.compile(r"text #\d+, \d+ characters?|(true or false|number) #\d+|(list|table) #\d+ of \d+")
_TEXT_MARK = re.compile(r"\[redacted: text, \d+ characters?\]")
# Reasons that are words of ours and nothing else.
_OURS = frozenset({*(row.reason for row in recovery.TABLE), *(row.reason for row in pending.TABLE)})
_KINDS = frozenset(get_args(e.FailureKind))
_DETAILS = (e.BY_A_PERSON, e.BY_A_POLICY)


class ByName:
    """Leaves out what stands under some names, wherever that is, also in JSON inside of texts; and what stood there is looked for
    in all other values and texts of the run, for a model repeats what it was told. First all is walked through to learn these
    values, then `settle`, then it is left out."""

    def __init__(self, names: frozenset[str]):
        self._names = names
        self._sought: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        quote = r"""\\*["']"""
        self._pairs = re.compile(
            rf"""(?P<name>(?P<q>{quote})(?:{listed})(?P=q)|(?<![\w-])(?:{listed})(?![\w-]))(?P<is>\s*[:=]\s*)"""
            r"""(?P<value>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?P<v>\\+["'])(?:(?!(?P=v)).)*(?P=v)|[^\s,;}\])"'\\]+)""",
            re.DOTALL,
        )

    def settle(self) -> None:
        """All was seen."""
        long = [text for text in self._sought if len(text) >= PART_OF_WORD_MIN]
        short = [text for text in self._sought if len(text) < PART_OF_WORD_MIN]
        parts = [_any_of(long)] if long else []
        parts += [rf"(?<!\w){_any_of(short)}(?!\w)"] if short else []
        self._pattern = re.compile("|".join(parts)) if parts else None

    def covers(self, name: str) -> bool:
        return name in self._names

    def covered(self, value: Any) -> Any:
        if value is None or value in ((), {}):
            return value
        if isinstance(value, tuple):
            return tuple(map(self.covered, value))
        self._learn(value)
        return dict.fromkeys(value, REDACTED) if isinstance(value, dict) else REDACTED

    def stands_in(self, text: str) -> bool:
        """Whether something of what is left out is in a text."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def value(self, value: Any, in_plan: bool = False) -> Any:
        if isinstance(value, dict):
            return {self._sought_in(key): self._under(key, part, in_plan) for key, part in value.items()}
        if isinstance(value, list):
            return [self.value(part, in_plan) for part in value]
        if isinstance(value, str):
            return self.text(value)
        return REDACTED if _is_number(value) and _written(value) in self._sought else value

    table = value

    def form(self, value: Any) -> Any:
        return self.value(value, in_plan=True)

    def _under(self, name: str, value: Any, in_plan: bool = False) -> Any:
        """What becomes of a value under a name; in a plan a reference is none."""
        if name not in self._names or (in_plan and isinstance(value, dict) and _is_reference(value)):
            return self.value(value, in_plan)
        self._learn(value)
        return REDACTED

    def text(self, value: str) -> str:
        if value[:64].lstrip()[:1] in ("{", "[", '"') and (inner := _json_in(value)) is not None:
            treated = self.value(inner)
            return msgspec.json.encode(treated).decode() if treated != inner else value
        return self._sought_in(self._pairs.sub(self._pair, value))

    item = fact = text

    def labels(self, value: dict[str, str]) -> dict[str, str]:
        return {key: self._under(key, text) for key, text in value.items()}

    def _pair(self, found: re.Match[str]) -> str:
        value = found["value"]
        self._learn(value.strip("\\\"'"))
        quote = found["v"] or (value[0] if value[0] in "\"'" else "")
        return f"{found['name']}{found['is']}{quote}{REDACTED}{quote}"

    def _learn(self, value: Any) -> None:
        if self._pattern is None:
            self._sought.update(text for text in _leaves(value) if len(text) >= SOUGHT_MIN and text != REDACTED)

    def _sought_in(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)


def _any_of(texts: list[str]) -> str:
    """A pattern for any of these texts that takes as long for a thousand of them as for one: they share their beginnings."""
    trie: dict[str, Any] = {}
    for text in texts:
        node = trie
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    return _pattern_of(trie)


def _pattern_of(trie: dict[str, Any]) -> str:
    branches = []
    for character, node in trie.items():
        if not character:
            continue
        chain = re.escape(character)
        while len(node) == 1 and "" not in node:
            ((character, node),) = node.items()
            chain += re.escape(character)
        branches.append(chain + (_pattern_of(node) if node.keys() != {""} else ""))
    if not branches:
        return ""
    return f"(?:{'|'.join(branches)})" + ("?" if "" in trie else "")


class Everything:
    """Leaves out all values and all texts that were written by people, models and tools; what they were of, and how large, stays.
    Values are counted, and the same one has the same number in all of the run: what was believed, and whether that changed, is
    the same in the copy. patterns: under which tools report facts; an argument that stands in such a name is left out, too."""

    def __init__(self, patterns: tuple[str, ...] = ()):
        self._patterns = tuple(dict.fromkeys(pattern for pattern in patterns if places(pattern)))
        self._facts: dict[str, str] = {}
        self._items: dict[str, str] = {}
        self._numbers: dict[str, dict[bytes, int]] = {}

    def covers(self, name: str) -> bool:
        return False

    def covered(self, value: Any) -> Any:
        return self.value(value)

    def stands_in(self, text: str) -> bool:
        return False  # What is kept is said, and was not looked at.

    def value(self, value: Any) -> Any:
        if value is None or value in _DETAILS or value == REDACTED or _is_mark(value):
            return value
        if isinstance(value, str):
            return {MARK: f"{self._numbered('text', value)}, {_counted(len(value), 'character')}"}
        if isinstance(value, bool):
            return {MARK: self._numbered("true or false", value)}
        if isinstance(value, (list, tuple)):
            return {MARK: f"{self._numbered('list', value)} of {len(value)}"}
        if isinstance(value, dict):
            return {MARK: f"{self._numbered('table', value)} of {len(value)}"}
        return {MARK: self._numbered("number", value)}

    def _numbered(self, kind: str, value: Any) -> str:
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)  # To those who compare facts they are the same.
        known = self._numbers.setdefault(kind, {})
        digest = hashlib.sha256(msgspec.json.encode(value, order="deterministic")).digest()
        return f"{kind} #{known.setdefault(digest, len(known) + 1)}"

    def table(self, value: dict[str, Any]) -> dict[str, Any]:
        return {name: self.value(part) for name, part in value.items()}

    def form(self, value: Any) -> Any:
        """Arguments of a plan: what they refer to stays, for what waits for what follows from it."""
        if not isinstance(value, dict) or _is_reference(value):
            return self._part(value)
        return {name: self._part(part) for name, part in value.items()}

    def _part(self, value: Any) -> Any:
        refs = list(_references_in(value))
        if isinstance(value, dict) and _is_reference(value) and len(refs) == 1:
            return refs[0]
        return [*refs, self.value(value)] if refs else self.value(value)

    def text(self, value: str) -> str:
        if not value or value in _OURS or value == REDACTED or _TEXT_MARK.fullmatch(value):
            return value
        kind, colon, rest = value.partition(": ")
        if colon and kind in _KINDS:
            return f"{kind}: {self.text(rest)}"
        return f"[redacted: text, {_counted(len(value), 'character')}]"

    def fact(self, value: str) -> str:
        pattern = next((pattern for pattern in self._patterns if could_be(pattern, value)), None)
        if pattern is None:
            return value
        return self._facts.setdefault(value, f"{pattern} #{len(self._facts) + 1}")

    def item(self, value: str) -> str:
        return self._items.setdefault(value, f"item {len(self._items) + 1}")

    def labels(self, value: dict[str, str]) -> dict[str, str]:
        return value


def _references_in(value: Any) -> Iterator[dict[str, Any]]:
    """The references in a part of a plan, as far as they are names and nothing else."""
    if isinstance(value, dict):
        if isinstance(secret := value.get(references.SECRET), str) and len(value) == 1:
            yield {references.SECRET: secret}
        elif isinstance(expression := value.get(references.REF), str) and _is_reference(value):
            reference = references.parse(expression)
            if reference.path and not reference.problem:
                yield {references.REF: expression, **({"default": None} if "default" in value else {})}
            else:
                for step in filter(NAME.fullmatch, reference.steps):
                    yield {references.REF: f"steps.{step}", "default": None}
        elif references.LITERAL not in value:
            for part in value.values():
                yield from _references_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references_in(part)


def _is_reference(value: dict[str, Any]) -> bool:
    return set(value) in ({references.REF}, {references.REF, "default"}, {references.SECRET})


def _is_mark(value: Any) -> bool:
    said = value.get(MARK) if isinstance(value, dict) and len(value) == 1 else None
    return isinstance(said, str) and _VALUE_MARK.fullmatch(said) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _written(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _leaves(value: Any) -> Iterator[str]:
    """The texts and numbers in a value, as they are written; also those in JSON inside of texts."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, str):
        yield value
        if (inner := _json_in(value)) is not None and not isinstance(inner, str):
            yield from _leaves(inner)
    elif _is_number(value):
        yield _written(value)


def _json_in(text: str) -> Any:
    """What a text is as JSON; None where it is no JSON, or no more than a word of it."""
    try:
        inner = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None
    return inner if isinstance(inner, (dict, list, str)) else None


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
