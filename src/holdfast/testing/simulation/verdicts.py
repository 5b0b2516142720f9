"""What should follow from a policy for a call, worked out again from the rules of an office, without the core's reader.

A verdict is what the laws compare with what was done; it says too what an approval of the call is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.core.contract import Contract
from holdfast.core.policy import Check, Policy, Rule
from holdfast.core.proposed import proposed_call
from holdfast.core.state import State
from holdfast.testing.simulation import tools
from holdfast.testing.simulation.office import CONDITIONS, OUTSIDE


class Verdict(msgspec.Struct, frozen=True):
    """What follows: `pass`, `block`, `asks`, or `sample` by a draw; or `unknown`, where a function is to be asked first. rule: by
    which; who, people: who decides, and how many."""

    then: str
    rule: str = ""
    who: tuple[str, ...] = ()
    people: int = 1
    world: str = ""
    rate: float = 1.0


class Bound(msgspec.Struct, frozen=True):
    """What an approval is for, and nothing else: the call with its whole arguments, what the tool promises, and by which policy
    and rule, in which world and under which plan it was asked about."""

    tool: str
    args: str
    contract: str
    policy: str
    rule: str
    world: str
    revision: int


def verdict(state: State, step: str, tool: str, args: dict[str, Any], checks: Mapping[str, Check]) -> Verdict:
    """What should follow for a call, with what functions said of it."""
    contract, policy = state.contracts[tool], state.policy
    document = proposed_call(state, state.steps[step], contract, args)
    reading = _Reading(document, checks)
    ruled = reading.first(policy.rules) if policy is not None else None
    gated = reading.gate(contract, state.steps[step].step.approve)
    world = "" if policy is None else msgspec.json.encode(reading.world, order="deterministic").decode()
    if reading.unknown:
        return Verdict("unknown", world=reading.unknown)
    if ruled is not None and (ruled[1] == "block" or gated is None or ruled[1] == "asks"):
        rule, then = ruled
        who = rule.who or (contract.approvers if gated is not None or not policy else ()) or _of_policy(policy)
        return Verdict(then, rule.name, who, rule.people, world, rule.rate)
    if gated is not None:
        if ruled is not None and ruled[1] == "sample":
            # Drawn or not, somebody is asked; only the rule that is named differs.
            return Verdict("asks", f"{ruled[0].name} or {gated}", (), 1, world)
        return Verdict("asks", gated, contract.approvers or _of_policy(policy), 1, world)
    if ruled is None and contract.safety == "irreversible" and contract.approve is None and not contract.approve_when:
        return Verdict("asks", "irreversible", contract.approvers or _of_policy(policy), 1, world)
    return Verdict("pass", "", world=world)


def bound(state: State, tool: str, args: dict[str, Any], found: Verdict) -> Bound:
    """What an approval of a call would be for now."""
    with_policy, thinks = state.policy is not None, state.thinking is not None and state.thinking.horizon != 1
    return Bound(
        tool,
        _text(args),
        _text(state.contracts.get(tool)),
        _text(state.policy) if with_policy else "",
        found.rule if with_policy else "",
        found.world if with_policy else "",
        state.revision if thinks else 0,
    )


def _of_policy(policy: Policy | None) -> tuple[str, ...]:
    return policy.who if policy is not None else ()


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


class _Reading:
    """A call, looked at rule by rule. unknown: a function that is to be asked first."""

    def __init__(self, document: Mapping[str, Any], checks: Mapping[str, Check]):
        self.document = document
        self.checks = checks
        self.world: dict[str, Any] = {}
        self.unknown = ""

    def first(self, rules: tuple[Rule, ...]) -> tuple[Rule, str] | None:
        """The rule that counts, and what follows from it."""
        unsure: tuple[Rule, str] | None = None
        for rule in rules:
            if rule.on != "call" or (held := self._holds(rule)) is False:
                continue
            if held is None:
                unsure = unsure or (rule, "asks")
            elif unsure is None or rule.then == "block":
                return rule, {"always": "asks", "never": "pass"}.get(rule.then, rule.then)
            else:
                return unsure
        return unsure

    def _holds(self, rule: Rule) -> bool | None:
        if rule.tools and self.document["tool"] not in rule.tools:
            return False
        if rule.when in OUTSIDE:
            self.world[rule.when] = OUTSIDE[rule.when](self.document)
        held = CONDITIONS[rule.when](self.document)
        if not held or not rule.check:
            return held
        said = self.checks.get(rule.check)
        if said is None:
            self.unknown = self.unknown or rule.check
            return False
        self.world[rule.check] = said.holds
        return said.holds

    def gate(self, contract: Contract, approve: str | None) -> str | None:
        """What the plan or the tool asks for itself."""
        if approve == "always":
            return "the plan asks"
        if contract.approve == "always":
            return "the tool asks"
        amount = self.document["amount"]
        if contract.approve_when and (amount is None or amount > tools.ASKS_ABOVE):
            return contract.approve_when
        return None
