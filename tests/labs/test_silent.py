"""The lab `silent`: each monitor trips with its fault, and is quiet without."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from holdfast.labs import run_lab
from holdfast.labs.silent.check import check, of_monitor
from holdfast.labs.silent.driver import live
from holdfast.labs.silent.living import Lived
from holdfast.labs.silent.story import DAYS, FAULTS, NOTHING, day_of
from holdfast.monitors.catalog import NAMES
from tests.thorough import ALL

pytestmark = pytest.mark.xdist_group("silent")

SEEDS = range(1, 13) if ALL else (7,)


@pytest.fixture(scope="module", params=SEEDS)
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Lived, list[Lived]]:
    """All last days of a seed."""
    return (request.param, *live(tmp_path_factory.mktemp("silent"), request.param))


def test_each_monitor_trips_with_its_fault_and_is_quiet_without(lived: tuple[int, Lived, list[Lived]]) -> None:
    """On real runs against real services."""
    _, healthy, days = lived
    assert check(healthy, days) == []
    assert healthy.report.findings == ()


def test_every_monitor_of_runs_has_a_fault() -> None:
    """All but the one about people, which the lab `approvals` shows."""
    assert [fault.monitor for fault in FAULTS] == [name for name in NAMES if name != "rubber_stamping"]


def test_evidence_names_entries_that_say_so(lived: tuple[int, Lived, list[Lived]]) -> None:
    """A run of that day, and where in its journal."""
    for day in lived[2]:
        for found in of_monitor(day, day.fault.monitor):
            assert all(seen.run.endswith(f".{day.fault.name}") for seen in found.evidence if seen.run)
            assert any(seen.entry for seen in found.evidence) or day.fault.absent


@pytest.mark.skipif(not ALL, reason="the same days once more")
def test_the_same_seed_finds_the_same(lived: tuple[int, Lived, list[Lived]], tmp_path: Path) -> None:
    """Times, rates and words, to the last digit."""
    again = live(tmp_path, lived[0])
    assert [day.report.findings for day in again[1]] == [day.report.findings for day in lived[2]]


def test_what_is_not_as_it_must_be_is_said(lived: tuple[int, Lived, list[Lived]]) -> None:
    """A quiet monitor, a false alarm, and a run that is not silent about its failure."""
    _, healthy, days = lived
    quiet = dataclasses.replace(days[0], report=healthy.report)
    assert check(healthy, [quiet]) == [f"empty_result is quiet, though {days[0].fault.what}"]
    false = dataclasses.replace(healthy, report=days[0].report)
    assert len(check(false, [])) == len(days[0].report.findings)
    loud = dataclasses.replace(days[0], completed=3)
    assert "3 of 28 runs completed" in check(healthy, [loud])[0]


def test_a_day_with_a_fault_is_the_same_day_but_for_the_fault() -> None:
    """The same times and the same draws."""
    plain, slow = day_of(7, DAYS, NOTHING), day_of(7, DAYS, FAULTS[4])
    assert [trip.at for trip in plain.trips] == [trip.at for trip in slow.trips]
    assert [trip.size for trip in plain.trips] == [trip.size for trip in slow.trips]
    assert sum(trip.moves for trip in day_of(7, DAYS, FAULTS[8]).trips) == 2


@pytest.mark.skipif(not ALL, reason="the same days once more, as a command")
def test_the_lab_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each monitor with its fault and without."""
    assert run_lab("silent", directory=tmp_path / "lab", seed=3) == 0
    page = capsys.readouterr().out
    assert all(fault.monitor in page.partition("Each monitor, with its fault and without")[2] for fault in FAULTS)
