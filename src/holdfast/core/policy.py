"""When a person is asked: rules over the proposed call, or plan, and the run.

A policy is a named and versioned list of rules. The first one that matches says what follows: a person is asked `always`,
`never`, for a `sample` of the calls, or the call is a `block`: it is not made at all. What the author of a tool said of it, and
what a plan asks for itself, holds beside that, and the stricter of both wins; only what follows from a tool's safety alone gives
way to a rule. What cannot be worked out asks.

A condition is a jmespath expression over what `core/proposed.py` lays out (`args`, `amount`, `safety`, `facts`, …), in which a
number may stand as it is (`amount > 500`). A rule may name a check too: a function of the user's, called by the runner, whose
answer is recorded. Nothing here is recomputed later: a ruling is an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from holdfast.core.ladder import Ladder

Verdict = Literal["block", "always", "sample", "never"]
# From the strictest to the mildest.
STRICTNESS: tuple[Verdict, ...] = ("block", "always", "sample", "never")
About = Literal["call", "plan"]


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One rule. name: unique in its policy. then: what follows where it matches. when: a condition; empty holds for all. tools:
    only calls of these. check: the name of a function that must say yes as well. on: whether it is about calls or about plans as
    a whole. rate: of a sample, 0 to 1. who: roles or names of those who may decide (empty: whoever the tool or the policy
    names). people: how many different ones must approve. ladder: how they are asked. standing: whether a standing approval may
    answer for a person."""

    name: str
    then: Verdict = "always"
    when: str = ""
    tools: tuple[str, ...] = ()
    check: str = ""
    on: About = "call"
    rate: float = 1.0
    who: tuple[str, ...] = ()
    people: int = 1
    ladder: Ladder | None = None
    standing: bool = True


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rules in order. who, ladder: for every interrupt of the run whose rule names none. refusals_max: how often people may
    refuse the same thing before the run that asks for it again is stopped; in between, the next rung is asked."""

    name: str
    version: str = "1"
    rules: tuple[Rule, ...] = ()
    who: tuple[str, ...] = ()
    ladder: Ladder | None = None
    refusals_max: int = 2


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a function of the user's said. holds: None where it raised, took too long or said neither yes nor no; `why` says what
    happened."""

    holds: bool | None = None
    why: str = ""


class Ruling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was ruled on a call or a plan. policy: `name@version`, empty for what the tool or the plan says itself; digest: of
    the policy. rule, verdict: the one that matched. asks: whether a person is asked (of a sample: whether it was drawn). why:
    in words, where it is no plain match. looked: what the conditions looked at, up to the rule that matched, by the words of
    the condition (`args.amount`). world: a digest of what was looked at beside the call itself (facts, inputs, checks); an
    approval holds for that. draw: of a sample, 0 to 1; it asks below the rate. who, people, ladder, standing: of the rule."""

    rule: str
    verdict: Verdict
    asks: bool
    policy: str = ""
    digest: str = ""
    why: str = ""
    looked: dict[str, Any] = {}
    world: str = ""
    draw: float | None = None
    rate: float | None = None
    who: tuple[str, ...] = ()
    people: int = 1
    ladder: Ladder | None = None
    standing: bool = True


class Undecided(msgspec.Struct, frozen=True):
    """What must be asked of functions of the user's before anything can be ruled."""

    checks: tuple[str, ...]


def evaluate(
    policy: Policy | None, document: Mapping[str, Any], *, gates: tuple[Rule, ...] = (), default: Rule | None = None,
    checks: Mapping[str, Check] | None = None, seed: str = "", on: About = "call",
) -> Ruling | Undecided | None:  # fmt: skip
    """What is ruled on a call or a plan; None where nobody has a say in it.

    document: see `core/proposed.py`. gates: what the tool, or the plan, declares itself, each with its condition; they hold
    beside the policy, and the stricter wins (the policy's where both are the same). default: holds where no rule of the policy
    and no gate matches. checks: what functions said; those that are needed and not in it are named by Undecided, all at once
    that can be told now. seed: what a draw is made from, the same for the same run and step.
    """
    raise NotImplementedError


def policy_problems(policy: Policy, *, tools: Mapping[str, Any] | None = None, checks: Any = None) -> list[str]:
    """Everything that is wrong with a policy, a sentence each. tools: contracts by name; checks: names of functions. None: not
    looked at."""
    raise NotImplementedError
