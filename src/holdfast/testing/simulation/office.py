"""Offices: in a good share of the seeds people decide by a policy; who they are, what it says, and what becomes of it.

An office is drawn from dice of its own, so that a seed without one plays as if there were none. Each condition of its rules is
written twice: as a rule has it, and as a function of Python by which the laws know what should follow (`laws_people.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, Protocol

import msgspec

from holdfast.core import events as e
from holdfast.core.ladder import Hours, Ladder, Rung
from holdfast.core.policy import Policy, Rule, Ruling, Verdict
from holdfast.testing.clock import Process, current_process

ROLES: dict[str, tuple[str, ...]] = {
    "ann": ("approver", "boss"), "bob": ("approver",), "cat": ("boss",), "dan": ("auditor",),
}  # fmt: skip
# Whom no directory has.
STRANGER = "eve"
_WHO: tuple[tuple[str, ...], ...] = ((), (), ("approver",), ("approver",), ("boss",), ("ann", "boss"))
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
# A play begins at 22:13:20: work begins soon, or goes on all day.
_HOURS = (
    Hours(days=EVERY_DAY, start="22:14", end="24:00"),
    Hours(days=EVERY_DAY, start="22:15", end="23:00"),
    Hours(days=EVERY_DAY, start="00:00", end="24:00"),
)
FORBIDDEN_AMOUNT = 50
# How many of the seeds have an office.
SHARE = 0.3

# Every kind of what people of an office do that must be seen at least once over a batch of seeds.
KINDS: tuple[str, ...] = (
    "answered what is not asked any more",
    "approval in advance taken back",
    "approved by an approval in advance",
    "approved in advance",
    "call blocked by a policy",
    "check answers",
    "check hangs",
    "check raises",
    "check says neither yes nor no",
    "check says something else each time",
    "crash while a check answers",
    "decided by somebody without the right",
    "edited into something forbidden",
    "edited within the rules",
    "finished by hand",
    "handed back",
    "handed to somebody at the end of a ladder",
    "next rung of a ladder asked",
    "nobody may decide",
    "pause forgotten",
    "paused",
    "paused for a while",
    "plan asked about",
    "plan blocked by a policy",
    "policy changed",
    "question withdrawn",
    "remarked on",
    "reminded",
    "sample drawn",
    "sample not drawn",
    "one of two approves",
    "step done by hand",
    "stopped by hand",
    "taken in hand",
    "taken over",
    "the first one approves once more",
    "the second one refuses",
    "two of two minds",
    "word said twice",
    "word that could not be taken",
)

Holds = Callable[[Mapping[str, Any]], bool | None]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _more(word: str, than: float) -> Holds:
    def holds(document: Mapping[str, Any]) -> bool | None:
        number = _number(document[word])
        return None if number is None else number > than

    return holds


def _budget(document: Mapping[str, Any]) -> bool | None:
    number = _number(document["facts"].get("budget"))
    return None if number is None else number > 4


# What conditions say, and what the laws hold them to mean; None: it cannot be worked out.
CONDITIONS: dict[str, Holds] = {
    "": lambda document: True,
    "amount > 6": _more("amount", 6),
    "amount > 3": _more("amount", 3),
    "safety == 'irreversible'": lambda document: bool(document["safety"] == "irreversible"),
    "safety == 'read'": lambda document: bool(document["safety"] == "read"),
    "args.nothing > 5": lambda document: None,
    "tainted": lambda document: bool(document["tainted"]),
    "inferred": lambda document: bool(document["inferred"]),
    "revision > 1": _more("revision", 1),
    "facts.budget > 4": _budget,
}
FORBIDDEN = f"amount > {FORBIDDEN_AMOUNT}"
CONDITIONS[FORBIDDEN] = _more("amount", FORBIDDEN_AMOUNT)
# What a condition looks at beside the call itself.
OUTSIDE: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "tainted": lambda document: document["tainted"],
    "inferred": lambda document: document["inferred"],
    "facts.budget > 4": lambda document: document["facts"].get("budget"),
}
CHECKS = ("odd", "raises", "mumbles", "hangs", "fickle")


class Stage(Protocol):
    """What functions of an office must know of the seed that is played."""

    @property
    def dice(self) -> Random: ...

    @property
    def counter(self) -> Counter[str]: ...

    def stormy(self) -> bool: ...

    def crash_soon(self, process: Process, where: str) -> None: ...


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides, and by what. known: whether there is a directory. policies: of the first workers, and of later ones. forms:
    what became of tools (see `tools.tool_named`). words: what people say besides answers, and when, in seconds. grants: when a
    yes is given in advance, for which tool."""

    known: bool
    policies: tuple[Policy | None, Policy | None]
    forms: dict[str, str]
    words: tuple[tuple[float, str], ...]
    grants: tuple[tuple[float, str], ...]

    def roles(self, name: str) -> tuple[str, ...]:
        """What the directory says of somebody."""
        return ROLES.get(name, ()) if self.known else ()

    def is_known(self, name: str) -> bool:
        """Whether the directory has them, or is empty."""
        return not self.known or name in ROLES

    def may(self, name: str, who: Iterable[str]) -> bool:
        """Whether a question that is for these roles or names is for somebody."""
        wanted = set(who)
        return self.is_known(name) and (not wanted or bool(wanted & {name, *self.roles(name)}))

    def policy(self, version: int, tools: Iterable[str]) -> Policy | None:
        """What the nth worker goes by, for an agent with these tools."""
        policy, known = self.policies[min(version, 1)], set(tools)
        if policy is None:
            return None
        rules = tuple(rule for rule in policy.rules if set(rule.tools) <= known)
        return msgspec.structs.replace(policy, rules=rules)


def draw_office(seed: int, tools: Iterable[str]) -> Office | None:
    """The office of a seed; None for the others."""
    dice = Random(f"office {seed}")
    if dice.random() >= SHARE:
        return None
    names = sorted(tools)
    first = _policy(dice, names, "1") if dice.random() < 0.9 else None
    later = first
    if dice.random() < 0.5:
        later = _policy(dice, names, "2") if dice.random() < 0.8 else None
    forms = {name: form for name in names if (form := dice.choice(("", "", "", "conditional", "untrusted")))}
    return Office(
        known=dice.random() < 0.8,
        policies=(first, later),
        forms=forms if dice.random() < 0.6 else {},
        words=_words(dice, seed),
        grants=tuple((dice.uniform(0.0, 8.0), dice.choice(names)) for _ in range(dice.randint(1, 3)))
        if names and dice.random() < 0.35
        else (),
    )


def has_office(seed: int) -> bool:
    """Whether people decide by a policy in a seed."""
    return Random(f"office {seed}").random() < SHARE


def _words(dice: Random, seed: int) -> tuple[tuple[float, str], ...]:
    words = ["pause", "pause", "pause for a while", "hand over", "hand over"] + (["instruct"] if seed < 0 else [])
    return tuple((dice.uniform(0.0, 9.0), dice.choice(words)) for _ in range(dice.choice((0, 0, 1, 1, 2, 3))))


def _policy(dice: Random, tools: list[str], version: str) -> Policy:
    rules = [_rule(dice, f"r{number}", tools) for number in range(dice.randint(1, 4))]
    if dice.random() < 0.5:
        rules.insert(0, Rule(name="forbidden", when=FORBIDDEN, then="block"))
    if dice.random() < 0.25:
        rules.append(_plan_rule(dice))
    return Policy(
        name="office", version=version, rules=tuple(rules), who=dice.choice(_WHO),
        ladder=_ladder(dice) if dice.random() < 0.3 else None, refusals_max=dice.choice((1, 2, 3)),
    )  # fmt: skip


def _rule(dice: Random, name: str, tools: list[str]) -> Rule:
    then: Verdict = dice.choice(("always", "always", "always", "never", "never", "sample", "sample", "block"))
    conditions = [text for text in CONDITIONS if text != FORBIDDEN]
    # A block of whatever there is would leave nothing to see.
    when = dice.choice(conditions) if then != "block" else dice.choice(("amount > 6", FORBIDDEN, "revision > 1", "tainted"))
    narrow = (dice.choice(tools),) if tools and dice.random() < 0.25 else ()
    check = dice.choice((*CHECKS, "odd", "fickle", "fickle")) if dice.random() < 0.3 else ""
    if then in ("block", "never"):
        return Rule(name=name, then=then, when=when, tools=narrow, check=check)
    return Rule(
        name=name, then=then, when=when, tools=narrow, check=check,
        rate=dice.choice((0.2, 0.5, 0.8)) if then == "sample" else 1.0, who=dice.choice(_WHO),
        people=2 if dice.random() < 0.3 else 1, ladder=_ladder(dice) if dice.random() < 0.35 else None,
        standing=dice.random() < 0.8,
    )  # fmt: skip


def _plan_rule(dice: Random) -> Rule:
    then: Verdict = dice.choice(("always", "always", "always", "sample", "never", "block"))
    if then in ("block", "never"):
        return Rule(name="plan", on="plan", then=then, when="steps > 4" if then == "block" else "steps > 1")
    return Rule(
        name="plan", on="plan", then=then, when=dice.choice(("steps > 1", "steps > 3", "")),
        rate=0.5 if then == "sample" else 1.0, who=dice.choice(_WHO), people=2 if dice.random() < 0.2 else 1,
        check="fickle" if dice.random() < 0.1 else "",
    )  # fmt: skip


def _ladder(dice: Random) -> Ladder:
    rungs = tuple(
        Rung(who=dice.choice(_WHO), seconds=dice.choice((2.0, 4.0, 7.0)), remind_seconds=dice.choice((None, None, 0.9, 1.5, 3.0)))
        for _ in range(dice.randint(1, 3))
    )
    return Ladder(
        rungs=rungs, hours=dice.choice(_HOURS) if dice.random() < 0.2 else None,
        at_deadline="hand_off" if dice.random() < 0.4 else "reject", hand_off_to=dice.choice(((), ("boss",))),
        hand_off_seconds=dice.choice((3.0, 8.0)),
    )  # fmt: skip


def kind_of(event: e.AnyEvent) -> str | None:
    """The kind under which an event is counted, of those in `KINDS`."""
    match event:
        case e.PolicyChanged():
            return "policy changed"
        case e.PolicyRuled(ruling=Ruling(verdict="block"), step=step):
            return "call blocked by a policy" if step else "plan blocked by a policy"
        case e.PolicyRuled(ruling=Ruling(verdict="sample")):
            return "sample not drawn"
        case e.Asked(about="plan"):
            return "plan asked about"
        case e.Asked(ruling=Ruling(verdict="sample")):
            return "sample drawn"
        case e.Answered(standing=standing) if standing:
            return "approved by an approval in advance"
        case e.ApprovalGiven():
            return "one of two approves"
        case e.InterruptWithdrawn():
            return "question withdrawn"
        case e.Reminded():
            return "reminded"
        case e.Escalated(kind=kind):
            return "next rung of a ladder asked" if kind is None else "handed to somebody at the end of a ladder"
        case e.WordVoided():
            return "word that could not be taken"
        case _:
            return None


def functions(stage: Stage) -> list[Callable[..., Any]]:
    """What rules may ask: one that answers, one that raises, lies, hangs, and one that says something else each time."""

    def seen(what: str) -> None:
        stage.counter[f"check {what}"] += 1
        process = current_process()
        if process is not None and stage.stormy():
            stage.crash_soon(process, "while a check answers")

    def odd(amount: Any) -> bool:
        seen("answers")
        return _number(amount) is not None and int(_number(amount) or 0) % 2 == 1

    def raises(proposed: dict[str, Any]) -> bool:
        seen("raises")
        raise RuntimeError("the list is not to be had")

    def mumbles(proposed: dict[str, Any]) -> Any:
        seen("says neither yes nor no")
        return "perhaps"

    async def hangs(proposed: dict[str, Any]) -> bool:
        if stage.dice.random() < 0.5:
            seen("hangs")
            await asyncio.sleep(600.0)
        return False

    def fickle(proposed: dict[str, Any]) -> bool:
        seen("says something else each time")
        return stage.dice.random() < 0.5

    return [odd, raises, mumbles, hangs, fickle]
