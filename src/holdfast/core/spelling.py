"""How a condition is spelled, token by token: which numbers stand for themselves, and which names stand at its root.

`core/conditions.py` is written over this. Tokens are those of the library, so that nothing within quotes is taken for a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jmespath.lexer import Lexer

# The tokens behind which an operand stands.
_BEFORE_OPERANDS = frozenset(("eq", "ne", "lt", "lte", "gt", "gte", "lparen", "and", "or", "not", "comma", "filter", ""))
_OPENING, _CLOSING = frozenset(("lparen", "lbracket", "lbrace", "filter")), frozenset(("rparen", "rbracket", "rbrace"))


def tokens_of(text: str) -> list[Any]:
    """The tokens of a condition. Raises LexerError, which is a ValueError."""
    return list(Lexer().tokenize(text))


def with_literals(text: str) -> str:
    """The same in plain jmespath: backticks around bare numbers, and around true, false and null, where an operand stands."""
    tokens = tokens_of(text)
    pieces, end, before, at = [], 0, "", 0
    while at < len(tokens):
        start, kind = tokens[at]["start"], tokens[at]["type"]
        literal, used = None, 1
        if kind == "number":
            used = _number_tokens(text, tokens, at)
            if before in _BEFORE_OPERANDS or (before == "lbracket" and tokens[at + used]["type"] == "comma"):
                literal = text[start : tokens[at + used - 1]["end"]]
                literal = repr(float(literal)) if used > 1 else str(int(literal))
        elif _is_literal(tokens[at], before, tokens[min(at + 1, len(tokens) - 1)]["type"]):
            literal = tokens[at]["value"]
        if literal is not None:
            pieces += [text[end:start], f"`{literal}`"]
            end = tokens[at + used - 1]["end"]
        before = kind
        at += used
    return "".join((*pieces, text[end:]))


def _number_tokens(text: str, tokens: list[Any], at: int) -> int:
    """How many tokens make the number that starts at one: to the lexer, 2.5 is three."""
    first, dot, last = (tokens + tokens[-1:] * 2)[at : at + 3]
    if (
        dot["type"] == "dot"
        and last["type"] == "number"
        and (first["end"], dot["end"]) == (dot["start"], last["start"])
        and text[last["start"]].isdigit()
    ):
        return 3
    return 1


def root_names(tokens: list[Any]) -> Iterator[Any]:
    """The tokens of names that are looked up where the whole condition starts, in order: no functions, no names behind a dot,
    within a filter, behind a pipe or an `&`."""
    # For each bracket that is open: whether names in it start at the root, at its beginning and now.
    scopes = [[True, True]]
    before = ""
    for at, token in enumerate(tokens):
        kind, after = token["type"], tokens[min(at + 1, len(tokens) - 1)]["type"]
        if kind in _OPENING:
            # `a.[b, c]`, `a.{b: c}` and `a.length(b)` look b up in a.
            called = kind == "lparen" and before == "unquoted_identifier"
            behind_dot = "dot" in (before, tokens[at - 2]["type"] if called and at > 1 else "")
            inside = scopes[-1][1] and kind != "filter" and not behind_dot
            scopes.append([inside, inside])
        elif kind in _CLOSING and len(scopes) > 1:
            scopes.pop()
        elif kind == "comma":
            scopes[-1][1] = scopes[-1][0]
        elif kind in ("pipe", "expref"):
            scopes[-1][1] = False
        elif kind.endswith("identifier") and scopes[-1][1] and _is_word(token, before, after):
            yield token
        before = kind


def _is_word(token: Any, before: str, after: str) -> bool:
    return before != "dot" and after not in ("lparen", "colon") and not _is_literal(token, before, after)


def _is_literal(token: Any, before: str, after: str) -> bool:
    """Whether a name is none. Behind true, false or null, a bracket makes it a function, a dot a path, a colon a name."""
    kind, value = token["type"], token["value"]
    stands = before in _BEFORE_OPERANDS and after not in ("lparen", "dot", "colon")
    return stands and kind == "unquoted_identifier" and value in ("true", "false", "null")
