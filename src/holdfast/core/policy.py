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

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec

from holdfast.core.conditions import CALL_WORDS, PLAN_WORDS, Held, compile_condition
from holdfast.core.contract import digest
from holdfast.core.ladder import Ladder, ladder_problem

Verdict = Literal["block", "always", "sample", "never"]
# From the strictest to the mildest.
STRICTNESS: tuple[Verdict, ...] = ("block", "always", "sample", "never")
About = Literal["call", "plan"]
# How many people one rule may want to approve.
PEOPLE_MAX = 10

_WORDS: dict[About, tuple[str, ...]] = {"call": CALL_WORDS, "plan": PLAN_WORDS}
_CHECK = "check"
# What a call or a plan rests on and does not contain: an approval ends where it changes.
_OUTSIDE = frozenset(("facts", "inputs", "inferred", "tainted"))
# Of a value that was looked at, as JSON.
_LOOKED_BYTES_MAX = 500
_SHORT = frozenset((bool, float))


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
    the policy in force. rule, verdict: the one that matched. asks: whether a person is asked (of a sample: whether it was
    drawn). why: in words, where it is no plain match. looked: what the conditions looked at, up to the rule that matched, by
    the words of the condition (`args.amount`). world: a digest of what was looked at beside the call itself (facts, inputs,
    checks); an approval holds for that. draw: of a sample, 0 to 1; it asks below the rate. who, people, ladder, standing: of
    the rule."""

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
    ruled, gated, inherited = None, [], None
    reading = _Reading(document, checks or {}, on)
    if policy is not None:
        ruled = _first(policy, reading, seed)
    gated = [found for gate in gates if (found := reading.match(gate, "", seed))]
    if ruled is None and not gated and default is not None:
        inherited = reading.match(default, "", seed)
    if reading.unanswered:
        return Undecided(tuple(dict.fromkeys(reading.unanswered)))
    gate = min(gated, key=_strictness, default=None)
    wins = gate if gate is not None and (ruled is None or _strictness(gate) < _strictness(ruled)) else ruled or inherited
    if wins is None:
        return None
    beside = [other.rule for other in gated if wins is ruled and wins.asks and other.asks]
    return _ruling(wins, beside, policy, reading, own=wins is ruled)


def _first(policy: Policy, reading: _Reading, seed: str) -> _Match | None:
    """The first rule that matches. Behind one of which nobody can say whether it does, the next one that does for certain holds
    where it is a block: nobody is asked about what is forbidden either way."""
    unsure = None
    for rule in policy.rules:
        found = reading.match(rule, policy.name, seed) if rule.on == reading.on else None
        if found is None:
            continue
        if not found.why:
            return found if unsure is None or found.verdict == "block" else unsure
        unsure = unsure or found
    return unsure


def policy_problems(policy: Policy, *, tools: Mapping[str, Any] | None = None, checks: Any = None) -> list[str]:
    """Everything that is wrong with a policy, a sentence each. tools: contracts by name; checks: names of functions. None: not
    looked at."""
    try:
        policy = msgspec.convert(_sparse(policy), Policy)
    except msgspec.ValidationError as error:
        return [f"it is no policy: {error}"]
    found: list[str] = []
    if not policy.name.strip():
        found.append("its name is empty")
    elif "@" in policy.name:
        found.append(f"its name is {policy.name}; a name has no @, which stands before the version")
    if not policy.version.strip():
        found.append("its version is empty")
    if policy.refusals_max < 1:
        found.append(f"refusals_max is {policy.refusals_max}; it is at least 1")
    found.extend(_people_problems(policy.who, policy.ladder))
    names: set[str] = set()
    for number, rule in enumerate(policy.rules, 1):
        if not rule.name.strip():
            found.append(f"rule {number}: its name is empty")
        elif rule.name in names:
            found.append(f"rule {rule.name}: the name is taken already")
        names.add(rule.name)
        found.extend(f"rule {rule.name or number}: {problem}" for problem in _rule_problems(rule, tools, checks))
    return found


def policy_digest(policy: Policy) -> str:
    """The digest that rulings carry: the same for equal policies in every process, also where one of them was written down and
    read again (a rate of 1 as 1.0, a default that was given)."""
    return _canonical(policy)[0]


def policy_title(policy: Policy) -> str:
    """What rulings call a policy: `name@version`."""
    return f"{policy.name}@{policy.version}"


class _Match(msgspec.Struct, frozen=True):
    """A rule that matched, and what follows. draw: of a sample."""

    rule: Rule
    verdict: Verdict
    asks: bool
    why: str = ""
    draw: float | None = None


class _Reading:
    """A document on which rules are tried, and what they looked at. looked: by path, long values cut. outside: whole, what is no
    part of the call or plan itself. unanswered: the checks that are needed and not answered."""

    __slots__ = ("checks", "document", "looked", "on", "outside", "unanswered", "words")

    def __init__(self, document: Mapping[str, Any], checks: Mapping[str, Check], on: About):
        self.document = document
        self.checks = checks
        self.on = on
        self.words = _WORDS[on]
        self.looked: dict[str, Any] = {}
        self.outside: dict[str, Any] = {}
        self.unanswered: list[str] = []

    def match(self, rule: Rule, policy: str, seed: str) -> _Match | None:
        """What follows from a rule; None where it does not match, or cannot be known to before its check has answered."""
        if rule.tools:
            if self.on == "plan":
                return _asks(rule, "it is for calls of some tools, and this is a plan")
            if self.document.get("tool") not in rule.tools:
                return None
        if rule.when:
            held = self._look(rule.when)
            if held.holds is None:
                return _asks(rule, f"{rule.when} cannot be worked out: {held.why}")
            if not held.holds:
                return None
        if rule.check:
            check = self.checks.get(rule.check)
            if check is None:
                self.unanswered.append(rule.check)
                return None
            self.looked[f"{_CHECK}.{rule.check}"] = self.outside[f"{_CHECK}.{rule.check}"] = check.holds
            if check.holds is None:
                return _asks(rule, f"the check {rule.check} said neither yes nor no: {check.why or 'it gave no reason'}")
            if not check.holds:
                return None
        if rule.then == "sample":
            draw = _draw(seed, policy, rule.name)
            return _Match(rule, "sample", draw < rule.rate, draw=draw)
        return _Match(rule, rule.then, rule.then == "always")

    def _look(self, when: str) -> Held:
        condition = compile_condition(when, self.words)
        for path, word, value in condition.looked(self.document):
            short = value
            if value is not None and type(value) not in _SHORT:
                value, short = _written(value)
            self.looked[path] = short
            if word in _OUTSIDE:
                self.outside[path] = value
        return condition.holds(self.document)


def _asks(rule: Rule, why: str) -> _Match:
    return _Match(rule, "always", True, why)


def _strictness(match: _Match) -> int:
    verdict: Verdict = match.verdict if match.verdict == "block" else "always" if match.asks else "never"
    return STRICTNESS.index(verdict)


def _ruling(match: _Match, beside: list[Rule], policy: Policy | None, reading: _Reading, *, own: bool) -> Ruling:
    """own: it is a rule of the policy. beside: gates that ask as well; where they want more than the rule, they get it."""
    rule = match.rule
    digest_of, title = _canonical(policy) if policy is not None else ("", "")
    who = next((names for names in (rule.who, *(gate.who for gate in beside)) if names), policy.who if policy is not None else ())
    # One approval for many calls is no answer to a call that may be forbidden.
    maybe_forbidden = rule.then == "block" and match.verdict != "block"
    return Ruling(
        rule=rule.name,
        verdict=match.verdict,
        asks=match.asks,
        policy=title if own else "",
        digest=digest_of,
        why=match.why,
        looked=reading.looked,
        world=digest(reading.outside) if reading.outside else "",
        draw=match.draw,
        rate=rule.rate if match.draw is not None else None,
        who=who,
        people=max(rule.people, *(gate.people for gate in beside)) if beside else rule.people,
        ladder=rule.ladder or (policy.ladder if policy is not None else None),
        standing=rule.standing and not maybe_forbidden and all(gate.standing for gate in beside),
    )


def _draw(seed: str, policy: str, rule: str) -> float:
    """A number from 0 to 1, 1 excluded, the same for the same words in every process."""
    return int(digest([seed, policy, rule])[:13], 16) / 16**13


def _written(value: Any) -> tuple[Any, Any]:
    """A value that can be written as JSON, whole and cut; one that cannot (half of a character in it, or too deep) as a text."""
    try:
        size = len(msgspec.json.encode(value))
    except UnicodeEncodeError:
        return _written(ascii(value))
    except RecursionError:
        return _written("nested too deep to be written")
    return value, value if size <= _LOOKED_BYTES_MAX else {"cut": size}


@lru_cache(maxsize=256)
def _digested(policy: Policy) -> tuple[str, str]:
    return digest(msgspec.convert(_sparse(policy), Policy)), policy_title(policy)


def _canonical(policy: Policy) -> tuple[str, str]:
    """The digest of a policy, and its title."""
    try:
        return _digested(policy)
    except TypeError:  # A list where a tuple should be, which cannot be hashed.
        return _digested(msgspec.convert(_sparse(policy), Policy))


def _sparse(value: Any) -> Any:
    """A record without what is as it is by default. What is left out by itself is only what is the very same object."""
    if isinstance(value, msgspec.Struct):
        fields = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        return {field.name: _sparse(part) for field, part in fields if part != field.default}
    return [_sparse(part) for part in value] if isinstance(value, (list, tuple)) else value


def _rule_problems(rule: Rule, tools: Mapping[str, Any] | None, checks: Any) -> Iterator[str]:
    if rule.when and (problem := compile_condition(rule.when, _WORDS[rule.on]).problem):
        yield f"when: {problem}"
    if not 0.0 <= rule.rate <= 1.0:
        yield f"rate is {rule.rate}; it is a share, from 0 to 1"
    elif rule.then != "sample" and rule.rate != 1.0:
        yield f"rate is of a sample, and this rule says {rule.then}; write then: sample, or leave it out"
    if not 1 <= rule.people <= PEOPLE_MAX:
        yield f"people is {rule.people}; from 1 to {PEOPLE_MAX} can be asked to approve"
    if rule.then in ("block", "never") and (idle := _for_people(rule)):
        yield f"nobody is asked by a rule that says {rule.then}; leave out {' and '.join(idle)}"
    if rule.on == "plan" and rule.tools:
        yield "tools are of calls, and this rule is about plans; write when: contains(tools, 'NAME')"
    elif tools is not None:
        yield from (f"there is no tool {name}{_meant(name, tools)}" for name in rule.tools if name not in tools)
    if rule.check and checks is not None and rule.check not in checks:
        yield f"there is no check {rule.check}{_meant(rule.check, checks)}"
    yield from _people_problems(rule.who, rule.ladder)


def _for_people(rule: Rule) -> list[str]:
    named = {"who": bool(rule.who), "people": rule.people != 1, "ladder": rule.ladder is not None}
    return [name for name, given in named.items() if given]


def _people_problems(who: tuple[str, ...], ladder: Ladder | None) -> Iterator[str]:
    if any(not name.strip() for name in who):
        yield "who has an empty name in it"
    if ladder is not None and (problem := ladder_problem(ladder)):
        yield f"ladder: {problem}"


def _meant(name: str, names: Iterable[str]) -> str:
    """A hint at the nearest name there is."""
    best = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {best[0]}?)" if best else ""
