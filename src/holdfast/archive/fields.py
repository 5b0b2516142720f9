"""What each part of an event is, for whoever leaves values out of it.

A part is a *value* (JSON that came from somewhere: an argument, a result, a fact), a *table* of values by name, a *form*
(arguments of a plan, with references in them), a *text* that a person, a model or a tool wrote, the name of a *fact*, an *item*
of which something is owed, *labels*, or it is kept as it is: names, digests, times, numbers, what was ruled, and what an agent
declares. What is not known to be kept counts as a text or a value, so a part that is new is left out until somebody decides on
it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import inspect

Kind = Literal["value", "table", "form", "text", "fact", "item", "labels", "parts"]

# Texts that name something, or say it in words of ours, wherever they stand.
KEPT = frozenset({
    "run_id", "run", "agent", "agent_version", "tenant", "secrets", "parent", "parent_step", "thread", "worker", "step",
    "tool", "after", "alternative_to", "undoes", "id", "interrupt", "by", "who", "not_by", "roles", "standing",
    "confirmed_by", "child", "came_by", "source", "key", "digest", "call", "calls", "world", "link", "rule", "policy",
    "checks", "row", "signal", "same_as", "for_step", "dropped", "outdated", "kept", "unknown", "undone", "skipped",
    "flagged", "partial", "replaced", "limit", "model", "provider", "finish", "ids", "holders", "means", "limits", "field",
})  # fmt: skip
# The same, of one record only.
KEPT_IN = frozenset({("Inferred", "why"), ("Change", "name"), ("SignalReceived", "name")})
# What an agent declares, and what is counted: nothing of a run is in it.
DECLARED = frozenset({
    "Contract", "Limits", "Policy", "Thinking", "Acceptance", "Ladder", "Difference", "Option", "Usage", "Reserved",
})  # fmt: skip
FACTS = frozenset({"rests_on", "needs_fresh", "facts", "fact", "guessed", "about"})
NAMED_FACTS = frozenset({("Fact", "name"), ("Drift", "name"), ("Question", "name")})
ITEMS = frozenset({"left"})
FORMS = frozenset({("Step", "args"), ("Fallback", "args"), ("Expect", "args"), ("Plan", "result")})


def parts_of(record: type) -> tuple[tuple[str, Kind], ...]:
    """The parts of a record that have something in them that may be left out, each with what it is."""
    found = _KNOWN.get(record)
    if found is None:
        found = _KNOWN[record] = () if record.__name__ in DECLARED else tuple(_parts(record))
    return found


_KNOWN: dict[type, tuple[tuple[str, Kind], ...]] = {}


def _parts(record: type) -> Iterator[tuple[str, Kind]]:
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType), f"{record.__name__} is no record"
    for field in info.fields:
        kind = _kind(record.__name__, field.name, tuple(_leaves(field.type)))
        if kind is not None:
            yield field.name, kind


def _kind(record: str, part: str, leaves: tuple[inspect.Type, ...]) -> Kind | None:
    if any(isinstance(leaf, inspect.StructType) for leaf in leaves):
        return "parts"
    if any(isinstance(leaf, inspect.AnyType) for leaf in leaves):
        if (record, part) in FORMS:
            return "form"
        return "table" if any(isinstance(leaf, inspect.DictType) for leaf in leaves) else "value"
    if not any(isinstance(leaf, inspect.StrType) for leaf in leaves):
        return None
    if part == "labels":
        return "labels"
    if part in FACTS or (record, part) in NAMED_FACTS:
        return "fact"
    if part in KEPT or (record, part) in KEPT_IN:
        return None
    return "item" if part in ITEMS else "text"


def _leaves(form: inspect.Type) -> Iterator[inspect.Type]:
    """All that a type is made of; a table counts itself, too."""
    if isinstance(form, inspect.UnionType):
        for part in form.types:
            yield from _leaves(part)
    elif isinstance(form, inspect.VarTupleType):
        yield from _leaves(form.item_type)
    elif isinstance(form, inspect.TupleType):
        for part in form.item_types:
            yield from _leaves(part)
    elif isinstance(form, inspect.DictType):
        yield form
        yield from _leaves(form.value_type)
    else:
        yield form
