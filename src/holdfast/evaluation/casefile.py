"""A case file that somebody wrote: YAML or JSON in, a suite out.

name: refunds                        # default: the file's
agent: refunds.py                    # a file beside this one, or a module; as on a command line
services:                            # the world: stand-ins for tools; or  world: world.py:make_world
  refund: {answer: {receipt: R-1}, repeats: again}     # or by_key, by_args; answers: [{when: …, answer: …}]; takes: 2s
repeat: 5                            # how often each case is run
model: script.yaml                   # a scripted model, for all cases or for one; see `scripts`
time: virtual                        # or real: nothing is skipped; left out, see `passing`
limit: 2m                            # of a case, on the wall
within: 90d                          # of a case, by its own clock
cases:
  small_refund:
    goal: Refund order 7 in full
    inputs: {order: "7"}
    people: approve                  # or reject, nobody (the default), or what they say, the first that matches:
                                     # [{tool: refund, say: approve, by: ann, roles: finance, after: 2h, times: 1}]
    faults: [{tool: refund, what: times_out, call: 1}]
    expect:
      status: completed              # the default; one or several
      that: "result.total == 812.5"  # or several
      effects: [{tool: refund, times: 1, where: "args.order == '7'"}]    # or  times: 1..3
      never: [send_mail, {tool: refund, where: "args.amount > 900"}]
      asked: 0..1
      cost: 0.05                     # US dollars at most
      within: 2d
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, get_args

from holdfast import datafile
from holdfast.core.conditions import compile_condition
from holdfast.core.contract import digest, duration
from holdfast.core.events import FailureKind
from holdfast.core.limits import amount_of
from holdfast.core.references import CALL_ROOTS, find, malformed
from holdfast.core.state import Status
from holdfast.errors import DefinitionError, LoadError
from holdfast.evaluation import scripts
from holdfast.evaluation.records import (
    LIMIT_SECONDS,
    REPEAT,
    REPEAT_MAX,
    WITHIN_SECONDS,
    WITHOUT_EFFECT,
    Answer,
    Case,
    Decision,
    Expect,
    Fault,
    Misdeed,
    Repeats,
    Reply,
    Service,
    Suite,
    Time,
    Wanted,
)

FILE_KEYS = ("name", "description", "agent", "world", "services", "model", "repeat", "time", "limit", "within", "cases")
CASE_KEYS = ("goal", "description", "inputs", "people", "faults", "model", "repeat", "expect")
SERVICE_KEYS = ("answer", "answers", "repeats", "takes")
REPLY_KEYS = ("when", "answer")
FAULT_KEYS = ("tool", "what", "call", "chance", "effect", "after", "kind", "answer")
ANSWER_KEYS = ("say", "tool", "step", "rule", "kind", "value", "note", "by", "roles", "after", "times")
EXPECT_KEYS = ("status", "that", "effects", "never", "asked", "cost", "within")
WANTED_KEYS = ("tool", "times", "where")
NEVER_KEYS = ("tool", "where")
PEOPLE = ("nobody", "approve", "reject")
# What a condition over a run may start at; those of an effect, and of a request to a service.
WORDS = ("result", "facts", "steps", "effects", "questions", "cost_usd", "status", "reason", "inputs", "seconds")
EFFECT_WORDS = ("args", "key")
REQUEST_WORDS = ("args", "number")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_SPAN = re.compile(r"\s*(\d{1,9})?\s*(\.\.)?\s*(\d{1,9})?\s*")


def load(path: Path) -> Suite:
    """Read a case file. LoadError where it cannot be read at all; DefinitionError with all that is wrong in it."""
    if path.suffix not in datafile.SUFFIXES:
        raise LoadError(f"{path} is no case file", hint="name a file in .yaml, .yml or .json")
    data = datafile.read(path, "a case file")
    mark = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    suite, found = parse(data, name=datafile.bare_name(path), folder=str(path.parent), mark=mark)
    if suite is None:
        raise DefinitionError(datafile.told(str(path), found))
    return suite


def parse(data: Any, *, name: str = "eval", folder: str = ".", mark: str = "") -> tuple[Suite | None, list[str]]:
    """A suite from its data, and everything that is wrong with it, a sentence each; None where it has problems. folder: from
    which the files that it names are found. mark: the digest of the file; of the data where there is none."""
    if not isinstance(data, dict):
        return None, [f"it is {datafile.kind(data)}, not a table with `cases`"]
    found: list[str] = []
    found += datafile.strange(data, FILE_KEYS, "a case file")
    cases = data.get("cases")
    if not isinstance(cases, dict) or not cases:
        found.append("there are no `cases`" if cases is None else "cases: write a table of cases by name, at least one")
        cases = {}
    if "world" in data and "services" in data:
        found.append("world and services are two worlds; name one of them")
    services = data.get("services", {})
    if not isinstance(services, dict):
        found.append(f"services: it is {datafile.kind(services)}, not a table by tool")
        services = {}
    suite = Suite(
        name=_name(data.get("name", name), found),
        folder=folder,
        digest=mark or digest(data),
        agent=_text(data, "agent", "", found),
        world=_text(data, "world", "", found),
        services={str(tool): _service(form, f"service {tool}", found) for tool, form in services.items()},
        model=_model(data.get("model"), "model", folder, found),
        repeat=_count(data, "repeat", "", found, REPEAT) or REPEAT,
        time=_choice(data, "time", get_args(Time), "", found, "virtual") if "time" in data else None,
        limit_seconds=_time(data, "limit", "", found) or LIMIT_SECONDS,
        within_seconds=_time(data, "within", "", found) or WITHIN_SECONDS,
        cases=tuple(_case(str(case), form, folder, found) for case, form in cases.items()),
    )
    return (None if found else suite), found


def _case(name: str, form: Any, folder: str, found: list[str]) -> Case:
    where = f"case {name}"
    if not _NAME.fullmatch(name):
        found.append(f"{where}: a name has letters, digits, - _ and ., and at most 80 of them")
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table with `goal` and `expect`")
        return Case(name=name)
    found += datafile.strange(form, CASE_KEYS, "a case", where)
    inputs = form.get("inputs", {})
    if not isinstance(inputs, dict):
        found.append(f"{where}: inputs is {datafile.kind(inputs)}, not a table of values by name")
        inputs = {}
    return Case(
        name=name,
        goal=_text(form, "goal", where, found) or None,
        inputs=inputs,
        people=_people(form.get("people", "nobody"), f"{where}: people", found),
        faults=tuple(_fault(one, f"{where}: fault {number}", found) for number, one in _listed(form, "faults", where, found)),
        model=_model(form.get("model"), f"{where}: model", folder, found),
        repeat=_count(form, "repeat", where, found, None),
        expect=_expect(form.get("expect", {}), f"{where}: expect", found),
    )


# --- the world ----------------------------------------------------------------------------------------------------


def _service(form: Any, where: str, found: list[str]) -> Service:
    if form is None:
        return Service()
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table such as {{answer: {{receipt: R-1}}}}")
        return Service()
    found += datafile.strange(form, SERVICE_KEYS, "a service", where)
    if "answer" in form and "answers" in form:
        found.append(f"{where}: answer and answers say the same; write one of them")
    replies = [_reply(one, f"{where}: answer {number}", found) for number, one in _listed(form, "answers", where, found)]
    if "answer" in form:
        replies.append(_reply({"answer": form["answer"]}, where, found))
    return Service(
        replies=tuple(replies),
        repeats=_choice(form, "repeats", get_args(Repeats), where, found, "again"),
        takes_seconds=_time(form, "takes", where, found) or 0.0,
    )


def _reply(form: Any, where: str, found: list[str]) -> Reply:
    if not isinstance(form, dict) or "answer" not in form:
        found.append(f"{where}: write {{when: …, answer: …}}")
        return Reply(answer=None)
    found += datafile.strange(form, REPLY_KEYS, "an answer", where)
    _check_form(form["answer"], where, found)
    return Reply(answer=form["answer"], when=_condition(form, "when", REQUEST_WORDS, where, found))


def _check_form(answer: Any, where: str, found: list[str]) -> None:
    """Whether references in an answer start where there can be something."""
    found.extend(f"{where}: {problem}" for problem in malformed(answer))
    found.extend(f"{where}: {one.problem}" for one in find(answer, CALL_ROOTS) if one.problem)


def _fault(form: Any, where: str, found: list[str]) -> Fault:
    nothing = Fault(tool="", what="fails")
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table such as {{tool: refund, what: times_out}}")
        return nothing
    before = len(found)
    found += datafile.strange(form, FAULT_KEYS, "a fault", where)
    tool = _needed(form, "tool", where, found)
    if "what" not in form:
        found.append(f"{where}: there is no `what`; it is one of {', '.join(get_args(Misdeed))}")
    what: Misdeed = _choice(form, "what", get_args(Misdeed), where, found, "fails")
    chance = form.get("chance", 1.0)
    if isinstance(chance, bool) or not isinstance(chance, (int, float)) or not 0 <= chance <= 1:
        found.append(f"{where}: chance is a number from 0 to 1, not {chance!r}")
    effect = form.get("effect", what not in WITHOUT_EFFECT)
    if not isinstance(effect, bool) or (what == "fails" and effect):
        said = "a call that fails has none; that is `raises`" if effect is True else "effect is true or false"
        found.append(f"{where}: {said}")
    after = _time(form, "after", where, found)
    if (after is None) == (what in ("late", "slow", "unseen")):
        found.append(f"{where}: {what} {'takes no' if after is not None else 'needs a'} time: after: 30s")
    if len(found) > before:
        return nothing
    given = {"answer": form["answer"]} if "answer" in form else {}
    return Fault(
        tool=tool, what=what, chance=float(chance), effect=effect, after_seconds=after or 0.0,
        calls=_calls(form, where, found), kind=_choice(form, "kind", get_args(FailureKind), where, found, "transient"), **given,
    )  # fmt: skip


def _calls(form: dict[str, Any], where: str, found: list[str]) -> tuple[int, ...]:
    """Which invocations: one, several, or all of them where there is a chance."""
    value = form.get("call", () if "chance" in form else 1)
    listed = value if isinstance(value, (list, tuple)) else [value]
    if value == "all":
        return ()
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 1 for one in listed):
        found.append(f"{where}: call is a number from 1, several, or all; not {value!r}")
        return ()
    return tuple(listed)


# --- people -------------------------------------------------------------------------------------------------------


def _people(form: Any, where: str, found: list[str]) -> tuple[Answer, ...]:
    if form in ("approve", "reject"):
        return (Answer(say=form),)
    if form == "nobody":
        return ()
    if not isinstance(form, list):
        found.append(f"{where}: write nobody, approve, reject, or a list such as [{{tool: refund, say: approve}}], not {form!r}")
        return ()
    return tuple(_answer(one, f"{where}: answer {number}", found) for number, one in enumerate(form, 1))


def _answer(form: Any, where: str, found: list[str]) -> Answer:
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table such as {{tool: refund, say: approve}}")
        return Answer(say="reject")
    found += datafile.strange(form, ANSWER_KEYS, "an answer", where)
    if "say" not in form:
        found.append(f"{where}: there is no `say`; it is one of {', '.join(get_args(Decision))}")
    texts = {key: _text(form, key, where, found) for key in ("tool", "step", "rule", "kind", "note", "by")}
    return Answer(
        say=_choice(form, "say", get_args(Decision), where, found, "reject"),
        value=form.get("value"),
        roles=datafile.texts(form.get("roles", ()), f"{where}: roles", found),
        after_seconds=_time(form, "after", where, found) or 0.0,
        times=_count(form, "times", where, found, None),
        **texts,
    )


# --- what must hold -----------------------------------------------------------------------------------------------


def _expect(form: Any, where: str, found: list[str]) -> Expect:
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table such as {{status: completed}}")
        return Expect()
    found += datafile.strange(form, EXPECT_KEYS, "what is expected", where)
    statuses = datafile.texts(form.get("status", "completed"), f"{where}: status", found)
    for word in statuses:
        if word not in get_args(Status):
            found.append(f"{where}: status is {word!r}{datafile.meant(word, get_args(Status))}")
    that = datafile.texts(form.get("that", ()), f"{where}: that", found)
    for condition in that:
        _check_condition(condition, WORDS, f"{where}: that", found)
    least, most = _span(form, "asked", where, found) or (0, None)
    cost = amount_of(form["cost"]) if "cost" in form else None
    if "cost" in form and cost is None:
        found.append(f"{where}: cost is an amount of US dollars, such as 0.05, not {form['cost']!r}")
    never = [
        _wanted(one, f"{where}: never {number}", found, NEVER_KEYS) for number, one in _listed(form, "never", where, found)
    ]  # fmt: skip
    effects = [
        _wanted(one, f"{where}: effect {number}", found, WANTED_KEYS) for number, one in _listed(form, "effects", where, found)
    ]
    return Expect(
        status=statuses, that=that, effects=tuple(effects), never=tuple(never), asked_min=least, asked_max=most,  # type: ignore[arg-type]
        cost_usd_max=Decimal(cost) if cost is not None else None, within_seconds=_time(form, "within", where, found),
    )  # fmt: skip


def _wanted(form: Any, where: str, found: list[str], keys: tuple[str, ...]) -> Wanted:
    if isinstance(form, str) and form:
        return Wanted(tool=form)
    if not isinstance(form, dict):
        found.append(f"{where}: write a tool, or {{tool: refund, where: \"args.order == '7'\"}}")
        return Wanted(tool="")
    found += datafile.strange(form, keys, "an effect", where)
    least, most = _span(form, "times", where, found) or (1, None)
    where_said = _condition(form, "where", EFFECT_WORDS, where, found)
    return Wanted(tool=_needed(form, "tool", where, found), least=least, most=most, where=where_said)


def _span(form: dict[str, Any], key: str, where: str, found: list[str]) -> tuple[int, int | None] | None:
    """From how many to how many: 2, 0..1, 1.., ..3; None where nothing is said."""
    if key not in form:
        return None
    value = form[key]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, value
    said = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if said is not None and any(said.groups()) and said[0].strip() != "..":
        low, dots, high = int(said[1] or 0), said[2], int(said[3]) if said[3] else None
        high = high if dots else low
        if high is None or low <= high:
            return low, high
    found.append(f"{where}: {key} is a number, or a span such as 0..1, 1.. or ..3; not {value!r}")
    return None


# --- values -------------------------------------------------------------------------------------------------------


def _model(form: Any, where: str, folder: str, found: list[str]) -> Any:
    """A script as it is needed later, or the name of a model; its turns are looked at now."""
    if form is None:
        return None
    try:
        return scripts.checked(form, Path(folder))
    except (DefinitionError, LoadError) as error:
        found.append(f"{where}: {error}")
        return None


def _name(value: Any, found: list[str]) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    found.append(f"name: {value!r} is no name; use letters, digits, - _ and ., at most 80")
    return "eval"


def _listed(form: dict[str, Any], key: str, where: str, found: list[str]) -> list[tuple[int, Any]]:
    value = form.get(key, [])
    if not isinstance(value, list):
        found.append(f"{where}: {key} is {datafile.kind(value)}, not a list")
        return []
    return list(enumerate(value, 1))


def _needed(form: dict[str, Any], key: str, where: str, found: list[str]) -> str:
    if key not in form:
        found.append(f"{where}: there is no `{key}`")
        return ""
    return _text(form, key, where, found)


def _text(form: dict[str, Any], key: str, where: str, found: list[str]) -> str:
    value = form.get(key, "")
    if isinstance(value, str) and (value.strip() or key not in form):
        return value
    said = datafile.kind(value) if value != "" else "empty"
    found.append(f"{where}: {key} is {said}, not a text; put it in quotes".removeprefix(": "))
    return ""


def _condition(form: dict[str, Any], key: str, words: tuple[str, ...], where: str, found: list[str]) -> str:
    text = _text(form, key, where, found)
    if text:
        _check_condition(text, words, f"{where}: {key}", found)
    return text


def _check_condition(text: str, words: tuple[str, ...], where: str, found: list[str]) -> None:
    if problem := compile_condition(text, words).problem:
        found.append(f"{where}: {problem}")


def _choice(form: dict[str, Any], key: str, words: tuple[str, ...], where: str, found: list[str], default: str) -> Any:
    value = form.get(key, default)
    if value in words:
        return value
    found.append(f"{where}: {key} is {value!r}{datafile.meant(value, words)}".removeprefix(": "))
    return default


def _count(form: dict[str, Any], key: str, where: str, found: list[str], default: int | None) -> int | None:
    value = form.get(key, default)
    if value is default or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= REPEAT_MAX):
        return default if value is default else value
    found.append(f"{where}: {key} is a whole number from 1 to {REPEAT_MAX}, not {value!r}".removeprefix(": "))
    return default


def _time(form: dict[str, Any], key: str, where: str, found: list[str]) -> float | None:
    """Seconds of a time that is given in words; None where there is none."""
    if key not in form:
        return None
    seconds: float | None = datafile.declared(lambda: duration(form[key], what=key), where or key, found)
    if seconds is not None and not (isfinite(seconds) and seconds > 0):
        found.append(f"{where}: {key} must be more than nothing".removeprefix(": "))
    return seconds
