"""What a tool promises, and what would happen to a call of it after a crash: the recovery table is asked, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.core import recovery
from holdfast.core.contract import AtDeadline, Contract, Oversize, Safety
from holdfast.core.ladder import Hours, Ladder, Rung
from holdfast.core.policy import Policy, Rule
from holdfast.core.recovery import Action
from holdfast.views.entries import VERDICTS
from holdfast.views.words import FIELD_MAX, cut, listed, size, span


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What the recovery table says of one case of a call in doubt. case: what was found; empty for the first look."""

    case: str
    row: str
    action: Action
    reason: str


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool promises, and what would happen to a call of it whose worker is lost. promises: what its contract says
    beyond what every contract does, each under one word. asks: who is asked first, and when, in words; empty where nobody is."""

    tool: str
    safety: Safety
    description: str
    takes: dict[str, str]
    after_crash: str
    cases: tuple[Case, ...]
    asks_first: bool
    contract: Contract
    promises: dict[str, str] = {}
    asks: str = ""


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a policy in words: when it matches, what follows, and who is asked how."""

    name: str
    when: str
    then: str


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of an agent in words; rules in order. otherwise: who may decide, and how they are asked, where a rule does not
    say."""

    agent: str
    policy: str
    rules: tuple[RuleView, ...]
    otherwise: str
    refusals: str


def tool_view(contract: Contract) -> ToolView:
    """A contract for people and machines."""
    cases = crash_cases(contract)
    return ToolView(
        tool=contract.tool, safety=contract.safety, description=contract.description, takes=_takes(contract),
        after_crash=_crash_line(cases), cases=cases, asks_first=contract.asks_first, contract=contract,
        promises={word: said for word, said in _promises(contract) if said}, asks=_asks(contract),
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


_AT_DEADLINE: dict[AtDeadline, str] = {
    "ask": "a person is asked",
    "fail": "it counts as failed",
    "repeat": "it is made again under a new key",
    "give_up": "it is given up and flagged",
}
_OVERSIZE: dict[Oversize, str] = {
    "store": "is cut, and the whole is stored beside",
    "cut": "is cut",
    "fail": "counts as broken",
}
_BARE = Contract(tool="")


def _promises(contract: Contract) -> Iterator[tuple[str, str]]:
    """Each promise by its word, in words; empty where there is none."""
    everywhere = ", in all runs of the store" if contract.business_scope == "store" else ""
    yield "business", ", ".join(contract.business_key) + everywhere
    yield "at once", str(contract.parallel_max or "")
    yield "starts", f"a run of the agent {contract.agent}" if contract.agent else ""
    yield "fallback", contract.fallback or ""
    yield "undo", _undo(contract)
    yield "owed", _owed(contract)
    seen = contract.visible_within_seconds
    yield "shows", f"to those who look up to {span(seen)} after it was done" if seen else ""
    yield "enough", _enough(contract)
    yield "changes", ", ".join(contract.changes)
    if contract.rate is not None:
        yield "rate", f"at most {contract.rate.calls} calls in {span(contract.rate.per_seconds)}, over all workers"
    if (breaker := contract.breaker) is not None:
        failed = f"after {breaker.failures_max} failures in a row within {span(breaker.within_seconds)}"
        yield "circuit", f"{failed} nobody calls it for {span(breaker.open_seconds)}"
    silent = contract.heartbeat_seconds
    yield "alive", f"it is given up when it reports no progress for {span(silent)}" if silent else ""
    if (contract.result_bytes_max, contract.oversize) != (_BARE.result_bytes_max, _BARE.oversize):
        yield "result", f"at most {size(contract.result_bytes_max)}; a larger one {_OVERSIZE[contract.oversize]}"


def _asks(contract: Contract) -> str:
    """Who is asked before a call, and when; a policy may say more."""
    who = listed(contract.approvers) if contract.approvers else "a person"
    if contract.asks_first:
        return f"{who}, before each call"
    if contract.approve_when:
        return f"{who}, before a call where {cut(contract.approve_when, FIELD_MAX)}, or where that cannot be worked out"
    return f"{who}, where a rule of the policy says so" if contract.approvers else ""


def policy_view(agent: str, policy: Policy) -> PolicyView:
    """A policy for people and machines."""
    times = "once" if policy.refusals_max == 1 else f"{policy.refusals_max} times"
    return PolicyView(
        agent=agent,
        policy=f"{policy.name}@{policy.version}",
        rules=tuple(RuleView(name=rule.name, when=_matches(rule), then=_follows(rule)) for rule in policy.rules),
        otherwise="; ".join(filter(None, (listed(policy.who), ladder_words(policy.ladder)))),
        refusals=f"what is refused {times} and asked for again stops the run",
    )


def ladder_words(ladder: Ladder | None) -> str:
    """How people are asked, one rung after the other; empty where nothing is said."""
    if ladder is None:
        return ""
    left = "rejected"
    if ladder.at_deadline == "hand_off":
        left = f"handed off to {listed(ladder.hand_off_to) or 'anybody'} for {span(ladder.hand_off_seconds)}, then rejected"
    hours = f" ({_hours(ladder.hours)})" if ladder.hours is not None else ""
    return f"{', then '.join(map(_rung, ladder.rungs))}{hours}, then it is {left}"


def _rung(rung: Rung) -> str:
    reminded = f", reminded every {span(rung.remind_seconds)}" if rung.remind_seconds else ""
    return f"{listed(rung.who) + ' ' if rung.who else ''}for {span(rung.seconds)}{reminded}"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _hours(hours: Hours) -> str:
    days = " ".join(_DAYS[day] for day in sorted(set(hours.days)))
    count = len(hours.holidays)
    but = f", but {count} {'holiday' if count == 1 else 'holidays'}" if count else ""
    return f"working time, {days} {hours.start} to {hours.end} {hours.timezone}{but}"


def _matches(rule: Rule) -> str:
    tools = f"calls of {listed(rule.tools)}" if rule.tools else "all calls" if rule.on == "call" else "all plans"
    conditions = [cut(rule.when, FIELD_MAX)] if rule.when else []
    if rule.check:
        conditions.append(f"{rule.check} says yes")
    return tools + (f" where {' and '.join(conditions)}" if conditions else "")


def _follows(rule: Rule) -> str:
    if rule.then in ("block", "never"):
        noun = "made" if rule.on == "call" else "begun"
        return f"it is not {noun}" if rule.then == "block" else "nobody is asked"
    who = listed(rule.who) or ("a person" if rule.people == 1 else "people")
    asked = f"{who}, {rule.people} of them" if rule.people > 1 else who
    parts = [f"{asked} is asked" if rule.people == 1 else f"{asked} are asked"]
    if rule.then == "sample":
        parts[0] += f" for {100 * rule.rate:.4g} % of them"
    if not rule.standing:
        parts.append("no standing approval will do")
    return "; ".join(filter(None, (*parts, ladder_words(rule.ladder))))


def _undo(contract: Contract) -> str:
    if contract.undo is None or not contract.undo_args:
        return contract.undo or ""
    return f"{contract.undo} with {cut(contract.undo_args, FIELD_MAX)}"


def _owed(contract: Contract) -> str:
    """How long a result may be owed, how it comes, and what follows when it does not; empty for a tool that says nothing."""
    fields = ("callback", "poll", "owed_within_seconds", "at_deadline", "repeats_max", "agent")
    if all(getattr(contract, field) == getattr(_BARE, field) for field in fields):
        return ""
    ways = ["delivered by callback"] if contract.callback else []
    if contract.poll:
        ways.append(f"looked for every {span(contract.poll_seconds)} to {span(contract.poll_seconds_max)}")
    often = ""
    if contract.at_deadline == "repeat":
        often = f", {'once' if contract.repeats_max == 1 else f'{contract.repeats_max} times'}; then a person is asked"
    by = f", {' or '.join(ways)}" if ways else ""
    return f"up to {span(contract.owed_within_seconds)}{by}; then {_AT_DEADLINE[contract.at_deadline]}{often}"


def _enough(contract: Contract) -> str:
    ways = []
    if contract.sufficient is not None:
        own = contract.sufficient == "function"
        ways.append("what code of its own says" if own else f"where {cut(contract.sufficient, FIELD_MAX)}")
    if contract.check:
        ways.append("after a look at the world")
    return ", ".join(ways)


def _takes(contract: Contract) -> dict[str, str]:
    """The arguments of a tool by name, each with its type in a word, and `optional` where it may be left out."""
    schema = contract.input_schema
    required = schema.get("required", ())
    return {
        name: ("secret" if name in contract.secrets else _inputs(part) if contract.agent else _type(part))
        + ("" if name in required else ", optional")
        for name, part in schema.get("properties", {}).items()
    }


def _inputs(schema: dict[str, Any]) -> str:
    """What an agent takes in an argument: its inputs by name."""
    if schema.get("type") != "object" or not schema.get("required"):
        return _type(schema)
    return f"{{{', '.join(schema['properties'])}}}"


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return str(schema.get("format") or schema.get("type") or str(schema.get("$ref", "any")).rpartition("/")[2])
