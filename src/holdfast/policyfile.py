"""A policy that somebody wrote down: YAML or JSON in, a policy out. A plan file has the same under `policy`.

name: refunds                        # default: the file's, or the agent's
version: "3"
who: finance                         # who may decide, where a rule does not say: roles or names
refusals: 2                          # how often the same thing may be refused before the run is stopped
ladder:
  rungs: [{who: finance, for: 4h, remind: 1h}, {who: heads, for: 8h}]
  hours: {days: mon-fri, from: 09:00, to: 17:00, timezone: Europe/Berlin, holidays: [2026-12-25]}
  at_deadline: hand_off              # or reject
  hand_off_to: heads
  hand_off_for: 7d
rules:                               # the first one that matches says what follows
  - {name: blocked country, then: block, when: "args.country == 'XX'"}
  - {name: small, then: never, when: "amount <= 50", tools: refund}
  - {name: middling, then: sample 20%, when: "amount <= 500"}
  - {name: odd, then: always, check: looks_odd, standing: false}
  - {name: large, then: always, people: 2, who: heads}
  - {name: big plans, on: plan, then: always, when: "steps > 10"}
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import Any, cast, get_args

import msgspec

from holdfast import datafile
from holdfast.core.contract import duration
from holdfast.core.ladder import AtDeadline, Hours, Ladder, Rung
from holdfast.core.policy import STRICTNESS, About, Policy, Rule, Verdict, policy_problems
from holdfast.errors import DefinitionError, LoadError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FILE_KEYS = ("name", "version", "who", "ladder", "rules", "refusals", "description")
RULE_KEYS = ("name", "then", "rate", "when", "tools", "check", "on", "people", "who", "ladder", "standing", "description")
LADDER_KEYS = ("rungs", "hours", "at_deadline", "hand_off_to", "hand_off_for")
RUNG_KEYS = ("who", "for", "remind")
HOURS_KEYS = ("days", "from", "to", "timezone", "holidays")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(%?)")
_SHARE_HINT = "write `then: sample 20%`, or a number from 0 to 1"


def load(path: Path) -> Policy:
    """Read a policy file. LoadError where it cannot be read at all; DefinitionError with all that is wrong in it."""
    if path.suffix not in datafile.SUFFIXES:
        raise LoadError(f"{path} is no policy", hint="name a file in .yaml, .yml or .json")
    policy, found = parse(datafile.read(path, "a policy"), name=datafile.bare_name(path))
    if policy is None or found:
        raise DefinitionError(datafile.told(str(path), found))
    return policy


def parse(data: Any, *, name: str = "policy") -> tuple[Policy | None, list[str]]:
    """A policy from its data, and everything that is wrong with it, a sentence each; None where it has problems. Which tools and
    functions there are is not looked at. name: of a policy that says none."""
    if not isinstance(data, dict):
        return None, [f"it is {datafile.kind(data)}, not a table with `rules`"]
    found = datafile.strange(data, FILE_KEYS, "a policy")
    rules = data.get("rules")
    if not isinstance(rules, list) or not rules:
        found.append("there are no `rules`" if rules is None else "rules: write a list of rules, at least one")
        rules = []
    policy = Policy(
        name=_label(data, "name", name, found),
        version=_label(data, "version", "1", found),
        rules=tuple(rule for number, form in enumerate(rules, 1) if (rule := _rule(form, number, found)) is not None),
        who=_names(data, "who", "", found),
        ladder=_ladder(data["ladder"], "ladder", found) if "ladder" in data else None,
        refusals_max=_count(data, "refusals", 2, "", found),
    )
    # Of what is left of it, so that all is told at once.
    found += policy_problems(policy)
    return (None if found else policy), found


def _rule(form: Any, number: int, found: list[str]) -> Rule | None:
    where = f"rule {number}"
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table with `name` and `then`")
        return None
    before, name = len(found), form.get("name")
    if isinstance(name, str) and name:
        where = f"rule {name}"
    else:
        found.append(f"{where}: `name` must give it a name" + ("" if name in (None, "") else f", not {datafile.kind(name)}"))
    found += datafile.strange(form, RULE_KEYS, "a rule", where)
    verdict, rate = _then(form, where, found)
    about = form.get("on", "call")
    if about not in get_args(About):
        found.append(f"{where}: on is {about!r}{datafile.meant(about, get_args(About))}")
    standing = form.get("standing", True)
    if not isinstance(standing, bool):
        found.append(f"{where}: standing is true or false")
    rule = {
        "name": name, "then": verdict, "rate": rate, "on": about, "standing": standing,
        "when": _text(form, "when", where, found), "check": _text(form, "check", where, found),
        "tools": _names(form, "tools", where, found), "who": _names(form, "who", where, found),
        "people": _count(form, "people", 1, where, found),
        "ladder": _ladder(form["ladder"], f"{where}: ladder", found) if "ladder" in form else None,
    }  # fmt: skip
    return Rule(**rule) if len(found) == before else None


def _then(form: dict[str, Any], where: str, found: list[str]) -> tuple[Verdict, float]:
    """What follows, and the share of a sample."""
    said = form.get("then")
    verdict, _, share = said.strip().partition(" ") if isinstance(said, str) else ("", "", "")
    if verdict not in STRICTNESS:
        given = "there is no `then`" if said is None else f"then is {said!r}"
        found.append(f"{where}: {given}{datafile.meant(verdict or said, STRICTNESS)}")
        return "always", 1.0
    if verdict != "sample":
        for key, extra in (("then", share.strip()), ("rate", "rate" in form)):
            if extra:
                found.append(f"{where}: {key} names a share, which only a sample has; {_SHARE_HINT}")
        return cast(Verdict, verdict), 1.0
    if bool(share.strip()) == ("rate" in form):
        found.append(f"{where}: a sample names its share once; {_SHARE_HINT}")
        return "sample", 1.0
    rate = _share(form.get("rate", share))
    if rate is None:
        found.append(f"{where}: {form.get('rate', share)!r} is no share of the calls; {_SHARE_HINT}")
    return "sample", 1.0 if rate is None else rate


def _share(value: Any) -> float | None:
    """A share from 0 to 1, of a number or a text such as `20%`; None where it is none."""
    if isinstance(value, str):
        found = _SHARE.fullmatch(value.strip())
        value = None if found is None else float(found[1]) / (100 if found[2] else 1)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (isfinite(value) and 0 <= value <= 1):
        return None
    return float(value)


# --- ladders ------------------------------------------------------------------------------------------------------


def _ladder(form: Any, where: str, found: list[str]) -> Ladder | None:
    before = len(found)
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table with `rungs`")
        return None
    found += datafile.strange(form, LADDER_KEYS, "a ladder", where)
    rungs = form.get("rungs")
    if not isinstance(rungs, list) or not rungs:
        found.append(f"{where}: rungs: write a list of {{who: …, for: 4h}}, at least one")
        rungs = []
    given: dict[str, Any] = {"rungs": tuple(_rung(one, f"{where}: rung {number}", found) for number, one in enumerate(rungs, 1))}
    given["hand_off_to"] = _names(form, "hand_off_to", where, found)
    if "hours" in form:
        given["hours"] = _hours(form["hours"], f"{where}: hours", found)
    if "at_deadline" in form:
        given["at_deadline"] = said = form["at_deadline"]
        if said not in get_args(AtDeadline):
            found.append(f"{where}: at_deadline is {said!r}{datafile.meant(said, get_args(AtDeadline))}")
    if "hand_off_for" in form:
        given["hand_off_seconds"] = _time(form, "hand_off_for", where, found)
    return Ladder(**given) if len(found) == before else None


def _rung(form: Any, where: str, found: list[str]) -> Rung:
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table such as {{who: finance, for: 4h}}")
        return Rung()
    found += datafile.strange(form, RUNG_KEYS, "a rung", where)
    if "for" not in form:
        found.append(f"{where}: it does not say for how long; write `for: 4h`")
    return Rung(
        who=_names(form, "who", where, found),
        seconds=_time(form, "for", where, found) or 1.0,
        remind_seconds=_time(form, "remind", where, found),
    )


def _hours(form: Any, where: str, found: list[str]) -> Hours | None:
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table such as {{days: mon-fri, from: 09:00, to: 17:00}}")
        return None
    found += datafile.strange(form, HOURS_KEYS, "working hours", where)
    given: dict[str, Any] = {
        field: said for key, field in _CLOCK.items() if key in form and (said := _text(form, key, where, found))
    }
    if "holidays" in form:
        given["holidays"] = _names(form, "holidays", where, found)
    if "days" in form:
        given["days"] = _days(form["days"], where, found)
    return Hours(**given)


_CLOCK = {"from": "start", "to": "end", "timezone": "timezone"}


def _days(value: Any, where: str, found: list[str]) -> tuple[int, ...]:
    """The days of a week, of `mon-fri`, `mon, wed` or a list of such; `sat-mon` goes on over Sunday."""
    days: set[int] = set()
    spans = value.split(",") if isinstance(value, str) else datafile.texts(value, f"{where}: days", found)
    for span in spans:
        first, dash, last = (part.strip().lower() for part in span.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            found.append(f"{where}: days: {span.strip()!r} is no day of the week; write mon-fri, or some of {', '.join(DAYS)}")
            continue
        start, end = DAYS.index(first), DAYS.index(last or first)
        days.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return tuple(sorted(days))


# --- values -------------------------------------------------------------------------------------------------------


def _label(data: dict[str, Any], key: str, default: str, found: list[str]) -> str:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        found.append(f"{key}: write a text, not {datafile.kind(value) if value != '' else 'an empty one'}")
        return default
    return str(value)


def _text(form: dict[str, Any], key: str, where: str, found: list[str]) -> str:
    value = form.get(key, "")
    if isinstance(value, str) and (value.strip() or key not in form):
        return value
    found.append(f"{where}: {key} is {datafile.kind(value) if value != '' else 'empty'}, not a text; put it in quotes")
    return ""


def _names(form: dict[str, Any], key: str, where: str, found: list[str]) -> tuple[str, ...]:
    return datafile.texts(form.get(key, ()), f"{where}: {key}" if where else key, found)


def _count(form: dict[str, Any], key: str, default: int, where: str, found: list[str]) -> int:
    value = form.get(key, default)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return value
    found.append(f"{where}: {key} is a whole number of at least 1, not {value!r}".removeprefix(": "))
    return default


def _time(form: dict[str, Any], key: str, where: str, found: list[str]) -> float | None:
    """Seconds of a time that is given in words; None where there is none."""
    if key not in form:
        return None
    seconds: float | None = datafile.declared(lambda: duration(form[key], what=key), where, found)
    if seconds == 0:
        found.append(f"{where}: {key} must be more than nothing")
    return seconds


def converted(policy: Any) -> Policy:
    """A policy that was made in Python, as it will be read back; DefinitionError for a part of it that is not of its type."""
    try:
        return msgspec.convert(msgspec.to_builtins(policy), Policy)
    except (TypeError, ValueError) as error:
        raise DefinitionError(f"the policy is not of its form: {error}", hint='Policy(name="…", rules=(Rule(…), …))') from error
