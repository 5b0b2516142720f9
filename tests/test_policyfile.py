"""Policies that somebody wrote down: what is read, and how mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast import loading, policyfile
from holdfast.cli.schema import policy_schema
from holdfast.core.ladder import Hours, Ladder, Rung
from holdfast.core.policy import Policy, Rule
from holdfast.errors import DefinitionError, LoadError
from holdfast.policyfile import parse

WHOLE = """
name: refunds
version: 3
description: Who may give money back.
who: finance
refusals: 4
ladder:
  rungs: [{who: finance, for: 4h, remind: 1h}, {who: [heads, ann], for: 90}]
  hours: {days: mon-fri, from: 09:00, to: 17:00, timezone: Europe/Berlin, holidays: [2026-12-25, "2027-01-01"]}
  at_deadline: hand_off
  hand_off_to: heads
  hand_off_for: 7d
rules:
  - {name: blocked country, then: block, when: "args.country == 'XX'"}
  - {name: small, then: never, when: "amount <= 50", tools: [refund, credit]}
  - {name: middling, then: sample 20%, when: "amount <= 500"}
  - {name: odd, then: sample, rate: 0.5, check: looks_odd, standing: false, description: at night}
  - {name: large, then: always, people: 2, who: heads, ladder: {rungs: [{for: 1h}]}}
  - {name: big plans, on: plan, then: always, when: "steps > 10"}
"""
READ = Policy(
    name="refunds",
    version="3",
    who=("finance",),
    refusals_max=4,
    ladder=Ladder(
        rungs=(Rung(who=("finance",), seconds=14400.0, remind_seconds=3600.0), Rung(who=("heads", "ann"), seconds=90.0)),
        hours=Hours(timezone="Europe/Berlin", holidays=("2026-12-25", "2027-01-01")),
        at_deadline="hand_off",
        hand_off_to=("heads",),
        hand_off_seconds=604800.0,
    ),
    rules=(
        Rule(name="blocked country", then="block", when="args.country == 'XX'"),
        Rule(name="small", then="never", when="amount <= 50", tools=("refund", "credit")),
        Rule(name="middling", then="sample", rate=0.2, when="amount <= 500"),
        Rule(name="odd", then="sample", rate=0.5, check="looks_odd", standing=False),
        Rule(name="large", people=2, who=("heads",), ladder=Ladder(rungs=(Rung(seconds=3600.0),))),
        Rule(name="big plans", on="plan", when="steps > 10"),
    ),
)
SOUND = {"name": "all", "then": "always"}


def written(tmp_path: Path, text: str, name: str = "refunds.yaml") -> Path:
    """A file with this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(data: Any) -> list[str]:
    """What is wrong with this data."""
    policy, found = parse(data)
    assert (policy is None) == bool(found)
    return found


def of_rule(**form: Any) -> dict[str, Any]:
    """A policy with this rule."""
    return {"rules": [{**SOUND, **form}]}


def of_hours(**form: Any) -> dict[str, Any]:
    """A policy with these working hours."""
    return {"rules": [SOUND], "ladder": {"rungs": [{"for": "4h"}], "hours": form}}


def fits(data: Any) -> bool:
    """Whether the schema lets it through."""
    return bool(jsonschema_rs.validator_for(policy_schema()).is_valid(data))


# --- what is read -------------------------------------------------------------------------------------------------


def test_every_part_of_a_file_is_read(tmp_path: Path) -> None:
    """As people write it: times in words, `on` and clock times without quotes, one name or several."""
    assert loading.policy_file(written(tmp_path, WHOLE)) == READ


def test_a_file_in_json_says_the_same(tmp_path: Path) -> None:
    """With everything in quotes that JSON has in quotes."""
    data = {"who": "finance", "rules": [{"name": "r", "on": "plan", "then": "always"}]}
    path = written(tmp_path, json.dumps(data), "plans.json")
    assert loading.policy_file(str(path)) == Policy(name="plans", who=("finance",), rules=(Rule(name="r", on="plan"),))


@pytest.mark.parametrize(
    ("said", "days"),
    [
        ("mon-fri", (0, 1, 2, 3, 4)),
        ("sun-thu", (0, 1, 2, 3, 6)),
        ("Sat", (5,)),
        ("mon, wed ,fri", (0, 2, 4)),
        (["mon-tue", "sun"], (0, 1, 6)),
        ("mon-mon", (0,)),
    ],
)
def test_days_are_written_by_their_names(said: Any, days: tuple[int, ...]) -> None:
    """A span may go on over Sunday."""
    policy, _ = parse(of_hours(days=said))
    assert policy is not None
    assert policy.ladder is not None
    assert policy.ladder.hours == Hours(days=days)
    assert fits(of_hours(days=str(said).lower() if isinstance(said, str) else said))


@pytest.mark.parametrize(
    ("form", "rate"),
    [
        ({"then": "sample 20%"}, 0.2),
        ({"then": "sample 0.2"}, 0.2),
        ({"then": " sample  5 % "}, 0.05),
        ({"then": "sample", "rate": 0.2}, 0.2),
        ({"then": "sample", "rate": "20%"}, 0.2),
        ({"then": "sample", "rate": 1}, 1.0),
        ({"then": "sample 0"}, 0.0),
    ],
)
def test_a_share_is_a_number_or_a_percentage(form: dict[str, Any], rate: float) -> None:
    """From nothing to all."""
    policy, _ = parse(of_rule(**form))
    assert policy is not None
    assert (policy.rules[0].then, policy.rules[0].rate) == ("sample", rate)
    assert fits(of_rule(**form))


# --- mistakes -----------------------------------------------------------------------------------------------------

MISTAKES: list[tuple[Any, str]] = [
    (None, "it is empty, not a table with `rules`"),
    ([], "it is a list, not a table"),
    ({}, "there are no `rules`"),
    ({"rules": []}, "rules: write a list of rules"),
    ({"rules": {"all": SOUND}}, "rules: write a list of rules"),
    ({"rules": ["always"]}, "rule 1: it is a text, not a table"),
    ({"rules": [{"then": "always"}]}, "rule 1: `name` must give it a name"),
    ({"rules": [{"name": 7, "then": "always"}]}, "rule 1: `name` must give it a name, not a number"),
    ({"rules": [{"name": "x"}]}, "rule x: there is no `then`"),
    ({"rules": [SOUND, SOUND]}, "rule all: the name is taken already"),
    ({"rules": [SOUND], "rule": []}, "'rule' is not a part of a policy (did you mean rules?)"),
    ({"rules": [SOUND], "name": True}, "name: write a text, not true or false"),
    ({"rules": [SOUND], "name": ""}, "name: write a text, not an empty one"),
    ({"rules": [SOUND], "version": None}, "version: write a text, not empty"),
    ({"rules": [SOUND], "who": 7}, "who: write a name or a list of names"),
    ({"rules": [SOUND], "refusals": 0}, "refusals is a whole number of at least 1, not 0"),
    ({"rules": [SOUND], "refusals": True}, "refusals is a whole number of at least 1, not True"),
    ({"rules": [SOUND], "ladder": "4h"}, "ladder: it is a text, not a table with `rungs`"),
    ({"rules": [SOUND], "ladder": {}}, "ladder: rungs: write a list"),
    ({"rules": [SOUND], "ladder": {"rungs": ["4h"]}}, "ladder: rung 1: it is a text"),
    ({"rules": [SOUND], "ladder": {"rungs": [{"who": "ann"}]}}, "ladder: rung 1: it does not say for how long"),
    ({"rules": [SOUND], "ladder": {"rungs": [{"for": "soon"}]}}, "ladder: rung 1: for: 'soon' is not a duration"),
    ({"rules": [SOUND], "ladder": {"rungs": [{"for": 0}]}}, "ladder: rung 1: for must be more than nothing"),
    ({"rules": [SOUND], "ladder": {"rungs": [{"for": "4h", "remind": 0}]}}, "rung 1: remind must be more than nothing"),
    ({"rules": [SOUND], "ladder": {"rungs": [{"for": "4h", "reminder": 1}]}}, "'reminder' is not a part of a rung (did you mean"),
    ({"rules": [SOUND], "ladder": {"rungs": [{"for": "4h"}], "at_deadline": "approve"}}, "ladder: at_deadline is 'approve'"),
    (
        {"rules": [SOUND], "ladder": {"rungs": [{"for": "4h"}], "hand_off_for": "x"}},
        "ladder: hand_off_for: 'x' is not a duration",
    ),
    ({"rules": [SOUND], "ladder": {"rungs": [{"for": "4h"}], "hours": "9-5"}}, "ladder: hours: it is a text"),
    (of_hours(days="mon-fry"), "ladder: hours: days: 'mon-fry' is no day of the week"),
    (of_hours(days=[]), "days of the week"),
    (of_hours(days=3), "ladder: hours: days: write a name or a list of names"),
    (of_hours(to=1020), "ladder: hours: to is a number, not a text"),
    (of_hours(start="09:00"), "ladder: hours: 'start' is not a part of working hours"),
    (of_hours(**{"from": "9:00"}), "'9:00'"),
    (of_hours(timezone="Europe/Atlantis"), "Europe/Atlantis"),
    (of_hours(holidays="Christmas"), "Christmas"),
    (of_rule(then="sometimes"), "rule all: then is 'sometimes' (it is one of block, always, sample, never)"),
    (of_rule(then="allways"), "rule all: then is 'allways' (did you mean always?)"),
    (of_rule(then=True), "rule all: then is True"),
    (of_rule(then="sample"), "a sample names its share once"),
    (of_rule(then="sample 20%", rate=0.2), "a sample names its share once"),
    (of_rule(then="sample 20"), "'20' is no share of the calls"),
    (of_rule(then="sample 120%"), "'120%' is no share of the calls"),
    (of_rule(then="sample", rate=float("nan")), "nan is no share of the calls"),
    (of_rule(then="sample", rate=True), "True is no share of the calls"),
    (of_rule(then="sample", rate=-0.1), "-0.1 is no share of the calls"),
    (of_rule(rate=0.2), "rule all: rate names a share, which only a sample has"),
    (of_rule(then="never 20%"), "rule all: then names a share, which only a sample has"),
    (of_rule(when=""), "rule all: when is empty"),
    (of_rule(when=True), "rule all: when is true or false, not a text"),
    (of_rule(when="amoumt > 5"), "rule all: "),
    (of_rule(tools=[7]), "rule all: tools: write a name or a list of names"),
    (of_rule(check=["a"]), "rule all: check is a list, not a text"),
    (of_rule(on="plans"), "rule all: on is 'plans' (did you mean plan?)"),
    (of_rule(people="two"), "rule all: people is a whole number of at least 1, not 'two'"),
    (of_rule(people=0), "rule all: people is a whole number of at least 1, not 0"),
    (of_rule(who={"role": "x"}), "rule all: who: write a name or a list of names"),
    (of_rule(standing="yes"), "rule all: standing is true or false"),
    (of_rule(ladder={"rungs": []}), "rule all: ladder: rungs: write a list"),
    (of_rule(whom="ann"), "rule all: 'whom' is not a part of a rule"),
]
# What only the core can tell, or what a schema cannot.
NOT_FOR_A_SCHEMA = (
    "taken already", "Atlantis", "Christmas", "names a share, which", "names its share once",
    "'120%'", "'20' is", "nan is",
)  # fmt: skip


@pytest.mark.parametrize(("data", "problem"), MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_one_sentence_with_its_place(data: Any, problem: str) -> None:
    """And nothing else is said because of it."""
    (found,) = problems(data)
    assert problem in found


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Those of form, and those of sense in what is left; each on its line, with the file."""
    text = """
    nmae: x
    ladder: {rungs: [{for: soon}], hours: {days: mon-fry}}
    rules:
      - {name: a, then: sample}
      - {name: b, then: never, when: "amount >"}
      - {name: c, then: always, people: none}
    """
    with pytest.raises(DefinitionError) as caught:
        loading.policy_file(written(tmp_path, text))
    first, *found = str(caught.value).splitlines()
    assert first.endswith("refunds.yaml has 6 problems:")
    for place in ("'nmae'", "rung 1: for", "days: 'mon-fry'", "rule a:", "rule b:", "rule c: people"):
        assert sum(place in line for line in found) == 1, (place, found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: [{name: a, then: sample, rate: .nan}]", "a number without end (rules[0].rate)"),
        ("rules: [{name: a, then: never, name: b}]", "stands there twice"),
        ("rules: [{name: a, yes: b}]", "put it in quotes"),
        ("rules: [", "is not YAML"),
        ("x" * 4_000_001, "a policy has at most 4000000"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    """Before anything is made of it."""
    with pytest.raises(LoadError) as caught:
        loading.policy_file(written(tmp_path, text))
    assert problem in str(caught.value)


def test_only_files_that_can_hold_a_policy_are_read(tmp_path: Path) -> None:
    """A file of Python is none."""
    with pytest.raises(LoadError, match=r"policy\.py is no policy"):
        loading.policy_file(written(tmp_path, "", "policy.py"))
    with pytest.raises(LoadError, match="cannot be read"):
        loading.policy_file(tmp_path / "gone.yaml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["mon-fri", "sample 20%", "4h", "09:00", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *policyfile.FILE_KEYS,
                    *policyfile.RULE_KEYS,
                    *policyfile.LADDER_KEYS,
                    *policyfile.HOURS_KEYS,
                    *policyfile.RUNG_KEYS,
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(data=JSON)
def test_no_data_breaks_the_reading(data: Any) -> None:
    """A policy, or sentences."""
    policy, found = parse({"rules": [data], "ladder": data} if isinstance(data, dict) else data)
    assert (policy is None) == bool(found)
    assert all(found)


# --- the schema ---------------------------------------------------------------------------------------------------


def test_the_schema_takes_what_the_reader_takes() -> None:
    """For editors, which read YAML 1.2: there `on` and 17:00 are texts as well."""
    assert fits(yaml.load(WHOLE.replace(" on:", ' "on":').replace("17:00", '"17:00"'), Loader=_Texts))


class _Texts(yaml.SafeLoader):
    """As editors read it, with dates as texts."""


_Texts.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: str(node.value))


@pytest.mark.parametrize(("data", "problem"), MISTAKES, ids=lambda value: str(value)[:60])
def test_the_schema_refuses_what_it_can(data: Any, problem: str) -> None:
    """What depends on meaning is left to the reader."""
    meaning = any(part in problem for part in NOT_FOR_A_SCHEMA) or "amoumt" in str(data)
    assert not fits(data) or meaning, problem


def test_the_schema_has_the_very_keys_that_the_reader_accepts() -> None:
    """At every depth, and it is itself a schema."""
    schema = policy_schema()
    assert jsonschema_rs.meta.is_valid(schema)
    rule = schema["properties"]["rules"]["items"]
    ladder = schema["properties"]["ladder"]["properties"]
    assert tuple(schema["properties"]) == policyfile.FILE_KEYS
    assert tuple(rule["properties"]) == policyfile.RULE_KEYS
    assert tuple(ladder) == policyfile.LADDER_KEYS
    assert tuple(ladder["hours"]["properties"]) == policyfile.HOURS_KEYS
    assert tuple(ladder["rungs"]["items"]["properties"]) == policyfile.RUNG_KEYS
