"""How a store is, as findings that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.gates import GateState
from holdfast.journal.base import Worker
from holdfast.journal.keeping import LATE_MAX, LATE_SECONDS, Health, Late
from holdfast.views.health import LISTED_MAX, MOMENT_SECONDS, Finding, findings, worst

NOW = 1_700_000_000.0
ANN = Worker(name="ann", agents=("clerk",), seen_at=NOW - 5)


def health(**of: Any) -> Health:
    """A store in which nothing is wrong."""
    given: dict[str, Any] = {
        "problems": (), "form": 7, "bytes": 12_300_000, "runs": {"completed": 3}, "unclaimed": (), "expired": (), "parked": (),
        "oldest_owed": None, "oldest_asked": None, "letters": 0, "contents": 1, "pruned": 0,
    }  # fmt: skip
    return Health(**given | of)


def late(run_id: str = "r", agent: str = "clerk", seconds: float = 100.0, worker: str = "") -> Late:
    return Late(run_id=run_id, agent=agent, since=NOW - seconds, seconds=seconds, worker=worker)


def found(of: Health | None = None, **more: Any) -> dict[str, list[Finding]]:
    """The findings by name."""
    given: dict[str, Any] = {"workers": (), "gates": {}, "now": NOW, "release": "1.2"}
    names: dict[str, list[Finding]] = {}
    for one in findings(of or health(), **given | more):
        names.setdefault(one.name, []).append(one)
    return names


def test_the_bounds_are_those_of_the_stores() -> None:
    """Kept apart, for a view knows no store."""
    assert (LISTED_MAX, MOMENT_SECONDS) == (LATE_MAX, LATE_SECONDS)


def test_a_store_that_is_well_has_a_line_for_each_thing_and_nothing_to_do() -> None:
    """In the order in which it is read."""
    those = found(free_bytes=5_000_000_000, deep=True, workers=(ANN,))
    assert list(those) == [
        "integrity", "version", "size", "disk", "runs", "workers", "stuck", "pending", "questions", "mail", "gates",
    ]  # fmt: skip
    assert {(one.level, one.hint) for named in those.values() for one in named} == {("ok", "")}
    assert those["size"][0].what == "12.3 MB, with 1 large value"
    assert those["workers"][0].what == "1 seen in the last 1m: ann (clerk)"


def test_what_is_wrong_with_the_file_is_broken_each_problem_for_itself() -> None:
    """And nothing says that it can be read."""
    those = found(health(problems=("run r: entry 2 is not what was written", "the file is damaged")))
    assert [(one.level, one.what) for one in those["integrity"]] == [
        ("broken", "run r: entry 2 is not what was written"), ("broken", "the file is damaged"),
    ]  # fmt: skip
    assert "restore a backup" in those["integrity"][0].hint


@pytest.mark.parametrize(("free", "level"), [(2_000_000_000, "ok"), (500_000_000, "warning"), (10_000_000, "broken")])
def test_a_disk_that_is_nearly_full_is_told_in_time(free: int, level: str) -> None:
    """A store that cannot be written stops its runs."""
    assert found(free_bytes=free)["disk"][0].level == level


def test_runs_are_counted_by_status_with_those_that_were_pruned() -> None:
    """Also ones in a status of a later release."""
    assert found(health(runs={}))["runs"][0].what == "none yet"
    counts = {"failed": 1, "running": 2, "odd": 4}
    assert found(health(runs=counts, pruned=9))["runs"][0].what == "2 running, 1 failed, 4 odd, 9 pruned"


def test_workers_are_missed_only_where_a_run_needs_one() -> None:
    """One that was not heard of lately, or has no agent any more, is none."""
    gone = (Worker(name="bob", agents=("clerk",), seen_at=NOW - 61), Worker(name="eve", agents=(), seen_at=NOW))
    assert found(workers=gone)["workers"][0].level == "ok"
    (one,) = found(health(runs={"waiting": 1}), workers=gone)["workers"]
    assert (one.level, one.what) == ("warning", "none was seen in the last 1m")
    assert one.hint == "start one: holdfast work FILE"


def test_late_runs_are_told_by_kind_and_agent() -> None:
    """The longest late is named first, and what is to be done depends on whether a worker has the agent."""
    those = found(
        health(unclaimed=(late("a", seconds=7200.0), late("b", "other"), late("c")), parked=(late("d"),)), workers=(ANN,)
    )
    assert "stuck" not in those
    first, second = those["unclaimed"]
    assert first.what == "2 runs of agent clerk: due, and nobody has taken, for up to 2h: a, c"
    assert first.hint == "a worker has the agent and does not keep up: start another one, or see holdfast show a"
    assert second.hint == "no worker has the agent: holdfast work FILE, or see holdfast show b"
    assert {one.level for one in (first, second, *those["parked"])} == {"broken"}


def test_a_claim_that_is_just_over_is_taken_over_by_a_worker_that_is_there() -> None:
    """Without one, or after a while, the run is stuck."""
    for seconds, workers, level in ((5.0, (ANN,), "warning"), (5.0, (), "broken"), (90.0, (ANN,), "broken")):
        (one,) = found(health(expired=(late("r", seconds=seconds, worker="bob"),)), workers=workers)["expired"]
        assert one.level == level
        assert "; bob had r: r" in one.what


def test_a_list_that_is_full_says_that_there_may_be_more() -> None:
    """And names a few."""
    (one,) = found(health(parked=tuple(late(f"r{n}") for n in range(LISTED_MAX))))["parked"]
    assert one.what.startswith(f"{LISTED_MAX} or more runs of agent clerk")
    assert len(one.what) < 300


@pytest.mark.parametrize(
    ("name", "field", "seconds", "level"),
    [
        ("pending", "oldest_owed", 3600.0, "ok"), ("pending", "oldest_owed", 8 * 86400.0, "warning"),
        ("questions", "oldest_asked", 3600.0, "ok"), ("questions", "oldest_asked", 90_000.0, "warning"),
    ],
)  # fmt: skip
def test_what_is_waited_for_long_is_worth_a_look(name: str, field: str, seconds: float, level: str) -> None:
    """A week of the world, a day of people; with the command that lists it."""
    (one,) = found(health(**{field: NOW - seconds}))[name]
    assert one.level == level
    assert one.hint.startswith("holdfast ")


def test_words_that_nobody_takes_are_told_where_nobody_is_there_to_take_them() -> None:
    """In the singular, too."""
    assert found(health(letters=1))["mail"][0].what == "1 word waits for its run to take"
    assert [found(health(letters=2), workers=who)["mail"][0].level for who in ((), (ANN,))] == ["warning", "ok"]


def test_open_gates_are_warnings_with_the_command_that_resets_them() -> None:
    """A circuit that is closed is not told."""
    gates = {"mail": GateState(failures=(NOW - 1,), opened_at=NOW - 1, open_until=NOW + 60), "sms": GateState()}
    (one,) = found(gates=gates)["gates"]
    assert one.level == "warning"
    assert one.what.startswith("the circuit of mail is open: nobody calls it until")
    assert one.hint == "if it works again: holdfast gates reset mail"


def test_findings_of_others_stand_behind_ours_and_count() -> None:
    """Monitors find what a store does not know of itself."""
    theirs = Finding(level="broken", name="monitor", what="thin results")
    those = findings(health(), workers=(), gates={}, now=NOW, release="1", others=(theirs,))
    assert those[-1] is theirs
    assert worst(those) == "broken"
    assert worst(those[:-1]) == "ok"
    assert worst((Finding(level="warning", name="x", what="y"), those[0])) == "warning"


def test_commands_are_made_for_the_store_that_is_looked_at() -> None:
    """To be pasted as they are."""
    said = found(health(oldest_owed=NOW), command=lambda *words: " ".join(("hf", *words, "--db x")))
    assert said["pending"][0].hint == "hf pending --db x"
