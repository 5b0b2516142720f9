"""What a model is told beside the goal: what people said since, and the rules by which people are asked.

It stands with the goal, at the beginning of each request, so that it is as weighty and as stable: it changes only when somebody
says something, or the agent's policy changes. What people said is quoted, so that none of it can pass for the word of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from holdfast.core.events import Instructed
from holdfast.core.policy import Policy, Rule, Verdict
from holdfast.reasoners.words import beginning, line, written

POLICY_BYTES_MAX = 2_000
INSTRUCTED = "# What people told you since, in this order; you go by all of it from now on, and by the later one where two differ"
RULES = "# When a person is asked about a call or a plan: the first rule that matches counts"
# An instruction of which less can be shown is not shown.
_LEAST = 80
_THEN: dict[Verdict, str] = {
    "block": "it is not made at all",
    "always": "a person is asked first",
    "sample": "for some of them a person is asked first",
    "never": "nobody is asked, unless the tool says so",
}


def instructed(said: Sequence[Instructed], most: int) -> str:
    """All that people said, in at most so many bytes; empty where nobody said anything. Where there is too little room, the
    longest are cut, then the oldest left out, and it says so."""
    if not said:
        return ""
    room = most - len(INSTRUCTED) - 64
    shown = list(said)[-max(room // _LEAST, 1) :]
    first = len(said) - len(shown)
    whole = [_instruction(first + number, one, None) for number, one in enumerate(shown, 1)]
    share = _share([len(found.encode()) + 1 for found in whole], room)
    lines = [
        found if len(found.encode()) < share else _instruction(first + number, one, share - 1)
        for number, (found, one) in enumerate(zip(whole, shown, strict=True), 1)
    ]
    left = [f"(the first {first} are not shown)"] if first else []
    return "\n".join([INSTRUCTED, *left, *lines])


def _share(sizes: list[int], room: int) -> int:
    """The most that one of these may have, so that all have room: who needs less leaves the rest to the others."""
    left, share = room, room
    for number, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - number)
        if size > share:
            return share
        left -= size
    return room


def _instruction(number: int, one: Instructed, most: int | None) -> str:
    """One of them, in a line of at most so many bytes; None: whole."""
    who = f"{number}. {line(one.by, 24 if most is not None else 100)}: "
    if most is None:
        return who + written(one.text)
    size = most - len(who.encode()) - 8
    while size > 0:
        found = who + written(beginning(one.text, size) + "… (cut)")
        if len(found.encode()) <= most:
            return found
        size -= max(size // 8, 1)
    return beginning(f"{number}. …", most)


def asking_rules(policy: Policy | None, most: int) -> str:
    """The rules of a policy, a line each, in at most so many bytes; empty where there is none. Whoever knows them proposes what
    will be allowed."""
    if policy is None or not policy.rules:
        return ""
    lines = [_rule(rule) for rule in policy.rules]
    room = min(most, POLICY_BYTES_MAX) - len(RULES) - 48
    sizes = accumulate(len(found.encode()) + 1 for found in lines)
    fitting = sum(size <= room for size in sizes)
    if not fitting:
        return ""
    more = [f"- … {len(lines) - fitting} more rules are not shown"] if fitting < len(lines) else []
    return "\n".join([RULES, *lines[:fitting], *more])


def _rule(rule: Rule) -> str:
    about = f"calls of {', '.join(rule.tools)}" if rule.tools else "plans" if rule.on == "plan" else "calls"
    conditions = [part for part in (rule.when, rule.check and f"{rule.check} says so") if part]
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return line(f"- {rule.name}: {about}{where}: {_THEN[rule.then]}", 400)
