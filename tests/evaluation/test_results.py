"""Results are kept line by line, and what was cut off is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.errors import LoadError
from holdfast.evaluation import results
from holdfast.evaluation.results import FILE, Header, Writer
from holdfast.evaluation.summing import problems, summaries
from tests.evaluation.kit import case_run


def header(**parts: Any) -> Header:
    """Of two cases, each run twice."""
    given: dict[str, Any] = {
        "name": "shopping", "file": "f.yaml", "file_digest": "f", "agent": "a", "agent_version": "1", "agent_digest": "d",
        "agent_spec": "a.py", "model": "", "release": "1", "seed": 0, "cases": {"one": 2, "two": 2}, "began_at": 1.0, **parts,
    }  # fmt: skip
    return Header(**given)


def kept(folder: Path, *runs: results.CaseRun, **parts: Any) -> results.Results:
    """Results of these runs."""
    writer = Writer(folder, header(**parts))
    for run in runs:
        writer.add(run)
    writer.close()
    return results.read(folder)


def test_what_was_written_is_read_in_the_order_of_the_cases(tmp_path: Path) -> None:
    """Whatever order they ended in."""
    runs = [case_run("two", 1), case_run("one", 2, outcome="wrong", disagreements=("x",)), case_run("one", 1)]
    found = kept(tmp_path, *runs)
    assert [(run.case, run.repeat) for run in found.runs] == [("one", 1), ("one", 2), ("two", 1)]
    assert found.runs[1] == runs[1] and not found.finished
    assert results.read(tmp_path / FILE) == found


def test_a_line_that_was_cut_off_is_passed_over_and_taken_away(tmp_path: Path) -> None:
    """What comes next begins on a line of its own."""
    kept(tmp_path, case_run())
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"run": {"case": "two", "rep')
    assert len(results.read(tmp_path).runs) == 1
    writer = Writer(tmp_path, None)
    writer.add(case_run("two"))
    writer.close()
    assert [run.case for run in results.read(tmp_path).runs] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b"{}\n", "line 1 is no line of results"),
        (b'{"run": 1}\n', "line 1"),
        (msgspec.json.encode({"eval": header(form=2)}) + b"\n", "another release"),
        (msgspec.json.encode({"eval": header()}) + b'\n{"run": {}}\n', "line 2 is no line of results"),
    ],
)
def test_what_is_no_file_of_results_is_refused_with_its_line(text: bytes, said: str, tmp_path: Path) -> None:
    """And it is passed over where results are listed."""
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(LoadError, match=said):
        results.read(tmp_path)
    assert list(results.kept(tmp_path)) == []


def test_no_results_at_all_are_told_as_such(tmp_path: Path) -> None:
    """With where to look."""
    with pytest.raises(LoadError, match="there are no results in .*eval list"):
        results.read(tmp_path)


def test_what_is_kept_is_found_the_latest_first(tmp_path: Path) -> None:
    """Wherever below the folder."""
    for name, at in (("a", 1.0), ("deep/b", 3.0), ("c", 2.0)):
        kept(tmp_path / name, began_at=at)
    assert [Path(one.folder).name for one in results.kept(tmp_path)] == ["b", "c", "a"]


def test_sums_are_by_case_and_in_all_and_what_says_nothing_is_not_counted(tmp_path: Path) -> None:
    """A run that the money was too short for is to be done again."""
    found = kept(
        tmp_path, case_run("one", 1, calls=2), case_run("one", 2, outcome="unfinished"), case_run("two", 1, outcome="wrong"),
        case_run("two", 2, outcome="failed", calls=4),
    )  # fmt: skip
    one, two, whole = summaries(found)
    assert [(side.case, side.runs, side.held, side.wrong, side.unfinished) for side in (one, two, whole)] == [
        ("one", 1, 1, 0, 1), ("two", 2, 0, 1, 0), ("", 3, 1, 1, 1),
    ]  # fmt: skip
    assert (one.rate, two.calls) == (1.0, 2.0) and whole.rate == pytest.approx(1 / 3)
    assert summaries(kept(tmp_path / "none"))[-1].rate is None


def test_the_same_problem_is_told_once_for_a_case(tmp_path: Path) -> None:
    """What disagrees comes first."""
    lost, late = ("status: it is failed",), ("refund: twice",)
    found = kept(
        tmp_path,
        case_run("one", 1, outcome="failed", unmet=lost),
        case_run("one", 2, outcome="wrong", unmet=lost, disagreements=late),
    )
    assert [(one.kind, one.what, one.repeats, one.run_id) for one in problems(found)] == [
        ("wrong", "refund: twice", (2,), "one-2"), ("failed", "status: it is failed", (1, 2), "one-1"),
    ]  # fmt: skip
    assert problems(found, "two") == []
