"""What a run believes: a small graph of facts, each of which knows where it comes from, how old it is and what it rests on.

A fact rests on other facts and on steps. When one is corrected, superseded by another value, or expires, what rests on it is
invalidated, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

Source = Literal["told", "observed", "inferred", "remembered"]
# Who is believed over whom: a guess does not overwrite what was seen or said.
RANK: dict[Source, int] = {"inferred": 0, "remembered": 1, "observed": 2, "told": 3}
# What somebody saw or said; the rest are guesses until a person confirms them.
FIRM = RANK["observed"]
# How a fact says that it rests on the result of a step.
STEP_PREFIX = "steps."
NAME_MAX = 200
# A fact is a small thing: what is larger belongs into the result of a step.
VALUE_BYTES_MAX = 16_384
_PLACE = re.compile(r"\{([^{}]*)\}")


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the run believes.

    source, by: where it comes from, and who or what said so (a person, a step, a model, an earlier run). at: when it was so,
    in seconds since the epoch. ttl_seconds: how long it stays true; None for ever. confidence: 0 to 1. rests_on: names of
    facts, and of steps as `steps.ID`. confirmed_by: the person who said that an inferred one is so. stale: it is not believed
    until it is observed again. pinned: a person corrected it, and no guess of a model or of a memory changes it.
    """

    name: str
    value: Any = None
    source: Source = "told"
    by: str = ""
    at: float = 0.0
    ttl_seconds: float | None = None
    confidence: float = 1.0
    rests_on: tuple[str, ...] = ()
    basis: str = ""
    confirmed_by: str = ""
    stale: bool = False
    pinned: bool = False

    def is_fresh(self, now: float) -> bool:
        """Whether it may be acted on."""
        return not self.stale and (self.ttl_seconds is None or now < self.at + self.ttl_seconds)


class Drift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The world is not as it was believed to be."""

    name: str
    believed: Any = None
    observed: Any = None
    source: Source = "observed"


def value_bytes(value: Any) -> int:
    """How much a value takes as JSON."""
    return len(msgspec.json.encode(value))


# --- who is believed ----------------------------------------------------------------------------------------------


def is_guess(fact: Fact) -> bool:
    """Whether nobody saw it or said it: something inferred, or remembered from another run, that no person confirmed or
    corrected."""
    return RANK[fact.source] < FIRM and not fact.confirmed_by and not fact.pinned


def replaces(new: Fact, old: Fact | None) -> bool:
    """Whether a new fact takes the place of what is believed.

    What a person says and what a tool reports always does: a tool that declares that it reports a fact measures it, so its
    result holds even over what a person said before, and the difference is a drift that is shown. A guess takes the place of a
    guess that ranks no higher, and of what is not believed any more unless a person put it there.
    """
    if old is None or not is_guess(new):
        return True
    if old.stale:
        return not old.pinned
    return is_guess(old) and not old.pinned and RANK[new.source] >= RANK[old.source]


def is_change(new: Fact, old: Fact | None) -> bool:
    """Whether something else is believed after a fact took the place of another. What was not believed any more is no change."""
    return old is not None and not old.stale and not same_value(new.value, old.value)


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; to Python true is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(part, other[key]) for key, part in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_value, one, other))
    return bool(one == other)


# --- what may be acted on -----------------------------------------------------------------------------------------


def outlived(facts: Mapping[str, Fact], name: str, now: float) -> tuple[str, ...]:
    """Why a fact may not be acted on: of all that it rests on, itself included, the names of what is stale or too old; empty
    where it may. A fact that is not there rests on nothing, and is not named."""
    if name not in facts:
        return ()
    return tuple(fact.name for fact in beneath(facts, (name,)) if not fact.is_fresh(now))


def beneath(facts: Mapping[str, Fact], names: Iterable[str]) -> Iterator[Fact]:
    """These facts and all that they rest on, each once, as far as they are there. Steps are passed over."""
    left, seen = list(names)[::-1], set()
    while left:
        name = left.pop()
        if name in seen or name not in facts:
            continue
        seen.add(name)
        yield facts[name]
        left.extend(facts[name].rests_on[::-1])


# --- names --------------------------------------------------------------------------------------------------------


def name_problem(name: Any) -> str | None:
    """Why this is no name of a fact; None where it is one."""
    if not isinstance(name, str) or not name or len(name) > NAME_MAX or not name.isprintable():
        shown = repr(name)
        shown = shown if len(shown) <= 60 else shown[:60] + "…"
        return f"{shown} is no name of a fact; a name has 1 to {NAME_MAX} printable characters"
    if name.startswith(STEP_PREFIX):
        return f"{name!r} is no name of a fact: {STEP_PREFIX} begins what is said of a step"
    return None


def places(pattern: str) -> tuple[str, ...]:
    """The arguments that stand in the name under which a tool reports a fact: `flight` in `seats {flight}`."""
    return tuple(_PLACE.findall(pattern))


def named(pattern: str, args: Mapping[str, Any]) -> str | None:
    """The name with its arguments put in; None where one is not there, or makes no name."""
    parts: dict[str, str] = {}
    for place in places(pattern):
        value = args.get(place)
        if value is None:
            return None
        parts[place] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    name = _PLACE.sub(lambda found: parts[found[1]], pattern)
    return name if name_problem(name) is None else None


def could_be(pattern: str, name: str) -> bool:
    """Whether a fact of this name may be reported under a pattern."""
    texts = [re.escape(text) for text in _PLACE.split(pattern)[::2]]
    return re.fullmatch(".+".join(texts), name) is not None
