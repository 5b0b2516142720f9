"""What a tool promises, and what would happen to a call of it after a crash: the recovery table is asked, nothing else."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.core import recovery
from holdfast.core.contract import Contract, Safety
from holdfast.core.recovery import Action
from holdfast.views.entries import VERDICTS
from holdfast.views.words import span


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What the recovery table says of one case of a call in doubt. case: what was found; empty for the first look."""

    case: str
    row: str
    action: Action
    reason: str


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool promises, and what would happen to a call of it whose worker is lost."""

    tool: str
    safety: Safety
    description: str
    takes: dict[str, str]
    after_crash: str
    cases: tuple[Case, ...]
    asks_first: bool
    contract: Contract


def tool_view(contract: Contract) -> ToolView:
    """A contract for people and machines."""
    cases = crash_cases(contract)
    return ToolView(
        tool=contract.tool, safety=contract.safety, description=contract.description, takes=_takes(contract),
        after_crash=_crash_line(cases), cases=cases, asks_first=contract.asks_first, contract=contract,
    )  # fmt: skip


def crash_cases(contract: Contract) -> tuple[Case, ...]:
    """What would happen to a call of this tool after a crash, case by case: the recovery table is asked, nothing else."""
    first = recovery.Doubt(
        safety=contract.safety, key="alive", probe=contract.probe, verdict="none", settled=False, window=True, repeats=True
    )
    starts = [("", first)]
    if contract.key_ttl_seconds is not None:
        starts.append(
            (f"once its key is older than {span(contract.key_ttl_seconds)}", msgspec.structs.replace(first, key="expired"))
        )
    cases: list[Case] = []
    for when, doubt in starts:
        cases.append(_case(when, doubt))
        if cases[-1].action == "probe":
            for verdict, said in VERDICTS.items():
                seen = msgspec.structs.replace(doubt, verdict=verdict, settled=True)
                cases.append(_case(said, seen))
    if cases[0].action == "probe":
        first = msgspec.structs.replace(first, verdict="not_happened", settled=True)
    cases.append(_case("lost too often", msgspec.structs.replace(first, repeats=False)))
    return tuple(cases)


def _case(when: str, doubt: recovery.Doubt) -> Case:
    row = recovery.rule(doubt)
    return Case(case=when, row=row.label, action=row.action, reason=row.reason)


_ACTIONS: dict[Action, str] = {
    "repeat": "called again",
    "probe": "looked up again",
    "take": "its result is taken",
    "fail": "counts as not done",
    "ask": "a person is asked",
}


def _crash_line(cases: tuple[Case, ...]) -> str:
    first, *others = cases
    parts = [first.reason + ("; a person is asked" if first.action == "ask" else "")]
    for case in others:
        if case.action != first.action or case.action == "probe":
            parts.append(f"{case.case}: {_ACTIONS[case.action]}")
    return "; ".join(parts)


def _takes(contract: Contract) -> dict[str, str]:
    """The arguments of a tool by name, each with its type in a word, and `optional` where it may be left out."""
    schema = contract.input_schema
    required = schema.get("required", ())
    return {
        name: ("secret" if name in contract.secrets else _type(part)) + ("" if name in required else ", optional")
        for name, part in schema.get("properties", {}).items()
    }


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return str(schema.get("format") or schema.get("type") or str(schema.get("$ref", "any")).rpartition("/")[2])
