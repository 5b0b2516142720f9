"""What a user changes: read with good words for mistakes, and described by its schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from holdfast.cli.schema_monitors import monitors_schema
from holdfast.errors import DefinitionError, LoadError
from holdfast.monitors import MONITORS, settings
from holdfast.monitors.catalog import BY_NAME
from holdfast.monitors.settings import USUAL, load, parse

WHOLE: dict[str, Any] = {
    "window": "12h",
    "past": "14d",
    "off": "cost_runaway",
    "monitors": {"skipped_too_much": {"share": "50%"}, "parked_past_deadline": {"grace": "1h"}},
    "agents": {"invoices": {"check": "result.total > 0", "skipped_too_much": {"share": 0.8}, "off": ["empty_result"]}},
    "tools": {"search": {"tool_latency_drift": {"factor": 3, "seconds": "2s"}}},
    "description": "ours",
}


def test_everything_may_be_left_out() -> None:
    """Then the usual thresholds hold."""
    assert parse({}) == (USUAL, []) and parse(None) == (USUAL, [])
    assert all(USUAL.of(monitor) == {one.name: one.usual for one in monitor.thresholds} for monitor in MONITORS)


def test_what_is_closer_goes_before_what_is_farther() -> None:
    """A tool's or an agent's own, then those for all, then the usual ones."""
    read, problems = parse(WHOLE)
    assert read is not None and problems == []
    skipped, latency = BY_NAME["skipped_too_much"], BY_NAME["tool_latency_drift"]
    assert (read.window_seconds, read.past_seconds) == (12 * 3600, 14 * 86400)
    assert read.of(skipped)["share"] == 0.5 and read.of(skipped, agent="invoices")["share"] == 0.8
    assert read.of(latency, tool="search") | {"calls_min": 0, "past_min": 0} == {
        "factor": 3,
        "seconds": 2,
        "calls_min": 0,
        "past_min": 0,
    }
    assert not read.looks(BY_NAME["cost_runaway"]) and not read.looks(BY_NAME["empty_result"], agent="invoices")
    assert read.looks(BY_NAME["empty_result"], agent="other")
    check = read.check("invoices")
    assert check is not None and check.holds({"result": {"total": 1}}).holds and read.check("other") is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "it is a list, not a table"),
        ({"monitor": {}}, "'monitor' is not a part of settings of monitors (did you mean monitors?)"),
        ({"window": "soon"}, "window is 'soon'; write a length of time"),
        ({"past": 0}, "past is 0; write a length of time"),
        ({"off": ["empty"]}, "off: there is no monitor 'empty' here"),
        ({"monitors": {"emptyresult": {}}}, "monitors: there is no monitor 'emptyresult' here (did you mean empty_result?)"),
        ({"monitors": {"empty_result": 3}}, "monitors: empty_result: it is a number, not a table of thresholds"),
        ({"monitors": {"empty_result": {"shares": 1}}}, "'shares' is no threshold of it (did you mean share?)"),
        ({"monitors": {"rubber_stamping": {"share": 1}}}, "'share' is no threshold of it (it has none)"),
        ({"monitors": {"empty_result": {"share": 1.2}}}, "share is 1.2; write a share: 0.2 or 20%"),
        ({"monitors": {"empty_result": {"runs_min": 2.5}}}, "runs_min is 2.5; write a whole number"),
        ({"monitors": {"cost_runaway": {"factor": 0.5}}}, "factor is 0.5; write a number of at least 1"),
        ({"monitors": {"cost_runaway": {"usd": True}}}, "usd is True; write dollars"),
        ({"monitors": {"parked_past_deadline": {"grace": "later"}}}, "grace is 'later'; write a length of time"),
        ({"agents": {"a": {"check": "result.total >"}}}, "agent a: check: "),
        ({"agents": {"a": {"check": "args.total > 1"}}}, "agent a: check: "),
        ({"agents": {"a": {"check": 3}}}, "agent a: check is a number, not a condition"),
        ({"agents": {"a": {"parked_past_deadline": {}}}}, "agent a: 'parked_past_deadline' is not a part of"),
        ({"tools": {"t": {"check": "result"}}}, "tool t: 'check' is not a part of"),
        ({"tools": {"t": {"off": "empty_result"}}}, "tool t: off: there is no monitor 'empty_result' here"),
        ({"agents": ["a"]}, "agents is a list, not a table"),
        ({"agents": {"a": 3}}, "agents: a is a number, not a table"),
    ],
)
def test_each_mistake_is_told_in_words(data: Any, said: str) -> None:
    """With what could have been meant."""
    read, problems = parse(data)
    assert read is None
    assert any(said in problem for problem in problems), problems


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """With its name; a file of another kind, or none, is an error of its own."""
    file = tmp_path / "monitors.yaml"
    file.write_text("window: soon\noff: [nothing]\n")
    with pytest.raises(DefinitionError, match="has 2 problems"):
        load(file)
    file.write_text("window: 6h\n")
    assert load(file).window_seconds == 6 * 3600
    for wrong in (tmp_path / "gone.yaml", tmp_path / "monitors.txt"):
        with pytest.raises(LoadError):
            load(wrong)


def test_the_example_of_the_module_is_sound(tmp_path: Path) -> None:
    """It is what people copy."""
    file = tmp_path / "monitors.yaml"
    file.write_text(str(settings.__doc__).partition("left out.")[2])
    assert load(file).off == ("tool_cost_drift",)


def test_the_schema_takes_what_the_reader_takes() -> None:
    """And refuses what it does not."""
    schema = jsonschema_rs.validator_for(monitors_schema())
    assert schema.is_valid(WHOLE)
    for wrong in ({"monitor": {}}, {"off": "x"}, {"monitors": {"empty_result": {"share": 2}}}, {"tools": {"t": {"check": "x"}}}):
        assert not schema.is_valid(wrong)


def test_every_monitor_and_threshold_says_what_it_means() -> None:
    """A number without a meaning cannot be changed on purpose."""
    assert len(BY_NAME) == len(MONITORS) == 11
    for monitor in MONITORS:
        assert monitor.means and all(one.means for one in monitor.thresholds)
