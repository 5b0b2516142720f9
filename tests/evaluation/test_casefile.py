"""A case file is read whole or not at all, and everything that is wrong in it is said at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from holdfast.cli.schema_eval import eval_schema
from holdfast.errors import DefinitionError, LoadError
from holdfast.evaluation import casefile
from tests.evaluation.kit import FILE, written

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "evals" / "refunds.yaml"
WHOLE: dict[str, Any] = {
    **FILE,
    "description": "for readers",
    "agent": "shop.py",
    "model": [
        {"call": "buy", "args": {"item": "pen"}},
        [{"think": "Hm."}, "Done."],
        {"tries": [{"fault": "overloaded"}, "Done."]},
    ],
    "repeat": 3,
    "time": "virtual",
    "limit": "10s",
    "within": "30d",
    "cases": {
        "one": {
            "goal": "Buy",
            "inputs": {"item": "pen"},
            "people": [
                {"tool": "buy", "say": "approve", "by": "ann", "roles": "finance", "after": "2h", "times": 1, "note": "ok"}
            ],
            "faults": [
                {"tool": "buy", "what": "times_out", "call": [1, 3]},
                {"tool": "buy", "what": "fails", "kind": "conflict", "chance": 0.5},
                {"tool": "buy", "what": "late", "after": "30s", "effect": True, "call": "all"},
                {"tool": "buy", "what": "lies", "answer": {"receipt": "none"}},
            ],
            "expect": {
                "status": ["completed", "failed"],
                "that": ["result.buy.receipt == 'pen'", "length(questions) < 2"],
                "effects": [{"tool": "buy", "times": "1..2", "where": "args.item == 'pen'"}, "price"],
                "never": ["tell", {"tool": "buy", "where": "args.amount > 900"}],
                "asked": "..1",
                "cost": 0.05,
                "within": "3d",
            },
        },
        "two": {"people": "nobody", "model": "anthropic:claude-sonnet-5", "repeat": 1},
    },
}


def test_a_whole_file_becomes_what_it_says() -> None:
    """Each part where it belongs, in the units of the records."""
    suite, found = casefile.parse(WHOLE)
    assert suite is not None, found
    one, two = suite.cases
    assert (suite.name, suite.repeat, suite.time, suite.limit_seconds, suite.within_seconds) == (
        "shopping",
        3,
        "virtual",
        10,
        30 * 86400,
    )
    (answer,) = one.people
    assert (answer.say, answer.by, answer.roles, answer.after_seconds, answer.times) == ("approve", "ann", ("finance",), 7200, 1)
    assert [(fault.calls, fault.chance, fault.effect) for fault in one.faults] == [
        ((1, 3), 1.0, True), ((), 0.5, False), ((), 1.0, True), ((1,), 1.0, False),
    ]  # fmt: skip
    first, second = one.expect.effects
    assert (first.least, first.most, second.least, second.most) == (1, 2, 1, None)
    assert (one.expect.asked_min, one.expect.asked_max, one.expect.within_seconds) == (0, 1, 3 * 86400)
    assert (two.goal, two.people, two.expect.status, two.model.real) == (None, (), ("completed",), "anthropic:claude-sonnet-5")
    assert casefile.parse({**WHOLE, "repeat": 4})[0].digest != suite.digest  # type: ignore[union-attr]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The whole file with another value at a path."""
    data: dict[str, Any] = yaml.safe_load(yaml.safe_dump(WHOLE))
    *parts, last = path.split(".")
    place: Any = data
    for part in parts:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[int(last) if isinstance(place, list) else last] = value
    return data


WRONG = {
    "cases": ({}, "cases: write a table of cases"),
    "repeats": (3, "'repeats' is not a part of a case file (did you mean repeat?)"),
    "name": ("a/b", "name: 'a/b' is no name"),
    "repeat": (0, "repeat is a whole number from 1"),
    "limit": ("soon", "limit: limit: 'soon' is not a duration"),
    "within": (0, "within must be more than nothing"),
    "time": ("fast", "time is 'fast'"),
    "world": ("w.py:make", "world and services are two worlds"),
    "model": ([{"cal": "buy"}], "model: turn 1: 'cal' is not a part of a turn (did you mean call?)"),
    "services.buy.repeats": ("by_kee", "service buy: repeats is 'by_kee' (did you mean by_key?)"),
    "services.buy.answer": ({"$ref": "inputs.item"}, "service buy: 'inputs.item'"),
    "services.price.answers.0": ({"when": "arg.item == 'x'", "answer": 1}, "service price: answer 1: when: "),
    "cases.a b": ({}, "case a b: a name has letters"),
    "cases.one": ([], "case one: it is a list, not a table"),
    "cases.one.goals": ("x", "case one: 'goals' is not a part of a case (did you mean goal?)"),
    "cases.one.inputs": ([], "case one: inputs is a list"),
    "cases.one.people": ("yes", "case one: people: write nobody, approve, reject"),
    "cases.one.people.0.say": ("agree", "case one: people: answer 1: say is 'agree'"),
    "cases.one.people.0.after": ("soon", "case one: people: answer 1: after: 'soon' is not a duration"),
    "cases.one.faults.0.what": ("time_out", "case one: fault 1: what is 'time_out' (did you mean times_out?)"),
    "cases.one.faults.0.after": ("3s", "case one: fault 1: times_out takes no time"),
    "cases.one.faults.0.call": (0, "case one: fault 1: call is a number from 1"),
    "cases.one.faults.1.chance": (1.5, "case one: fault 2: chance is a number from 0 to 1"),
    "cases.one.faults.1.effect": (True, "case one: fault 2: a call that fails has none; that is `raises`"),
    "cases.one.faults.1.kind": ("odd", "case one: fault 2: kind is 'odd'"),
    "cases.one.expect": ("done", "case one: expect: it is a text"),
    "cases.one.expect.status": ("complete", "case one: expect: status is 'complete' (did you mean completed?)"),
    "cases.one.expect.that": ("results == 1", "case one: expect: that: 'results == 1'"),
    "cases.one.expect.effects.0.times": ("2..1", "case one: expect: effect 1: times is a number, or a span"),
    "cases.one.expect.effects.0.where": ("arg.x", "case one: expect: effect 1: where: "),
    "cases.one.expect.never.0": (1, "case one: expect: never 1: write a tool"),
    "cases.one.expect.asked": (-1, "case one: expect: asked is a number"),
    "cases.one.expect.cost": ("much", "case one: expect: cost is an amount of US dollars"),
}


@pytest.mark.parametrize("path", WRONG)
def test_what_is_wrong_is_named_with_its_place(path: str) -> None:
    """And nothing else is complained about."""
    value, said = WRONG[path]
    suite, found = casefile.parse(changed(path, value))
    assert suite is None
    assert len(found) == 1 and said in found[0], found


def test_all_of_it_is_said_at_once(tmp_path: Path) -> None:
    """One look at the file is enough to mend it."""
    data = changed("cases.one.expect.status", "complete")
    data["repeat"], data["cases"]["one"]["people"] = "often", 3
    with pytest.raises(DefinitionError, match="has 3 problems") as told:
        casefile.load(written(tmp_path, "shop.yaml", data))
    assert all(word in str(told.value) for word in ("repeat is", "people: write", "status is"))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """Another ending, no table, nothing in it."""
    with pytest.raises(LoadError, match="is no case file"):
        casefile.load(tmp_path / "cases.toml")
    with pytest.raises(DefinitionError, match="it is a list, not a table"):
        casefile.load(written(tmp_path, "list.yaml", []))
    with pytest.raises(DefinitionError, match="there are no `cases`"):
        casefile.load(written(tmp_path, "none.yaml", {"name": "x"}))


def test_the_name_of_a_file_is_the_name_of_the_eval(tmp_path: Path) -> None:
    """Where it says none."""
    data = {name: part for name, part in FILE.items() if name != "name"}
    assert casefile.load(written(tmp_path, "monday.yaml", data)).name == "monday"


@pytest.mark.parametrize("data", [WHOLE, FILE, yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))])
def test_the_schema_takes_what_the_reader_takes(data: Any) -> None:
    """Editors do not complain about a file that is right."""
    assert casefile.parse(data)[0] is not None
    jsonschema_rs.validator_for(eval_schema()).validate(data)


# What a schema cannot say: what expressions mean, and which parts go together.
BEYOND = re.compile(r"answer$|answers\.0|that$|where$|world|after|effect$|cost|times$|model")


@pytest.mark.parametrize("path", [path for path in WRONG if not BEYOND.search(path)])
def test_the_schema_refuses_what_the_reader_refuses(path: str) -> None:
    """As far as a schema can say it."""
    assert not jsonschema_rs.validator_for(eval_schema()).is_valid(changed(path, WRONG[path][0]))


def test_the_text_of_the_module_is_a_file_that_can_be_read() -> None:
    """What it shows is right."""
    assert casefile.__doc__ is not None
    shown = casefile.__doc__.partition("\n\n")[2].replace("model: script.yaml ", "model: [Done.] ")
    suite, found = casefile.parse(yaml.safe_load(shown))
    assert suite is not None, found
