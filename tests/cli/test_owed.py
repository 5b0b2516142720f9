"""`pending`, `callback`, `signal`, and what `run`, `runs`, `show` and `cancel` say of outcomes that are neither done nor failed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.kit import Cli, Ended

pytestmark = pytest.mark.usefixtures("messy")
STEERING = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
CLEAR = '{"status": "clear"}'


def parked(cli: Cli, plan: str, run_id: str = "r") -> Ended:
    """Start a run, or go on with it, until it is to wait."""
    return cli("run", f"{plan}.yaml", "--id", run_id, "--patience", "0s")


def token(folder: Path, name: str = "ann") -> str:
    """The token that the call handed out."""
    return (folder / f"token-{name}").read_text()


# --- a run that is owed something -----------------------------------------------------------------------------------


def test_a_run_that_is_owed_something_says_what_by_whom_and_until_when(cli: Cli) -> None:
    """As it happens, as it parks, and what settles it; the exit code says that it is not finished."""
    ended = parked(cli, "check")
    assert ended.code == 4
    assert re.search(
        r"^  check: checks agency took it as case 7 and owes its result until \S+Z \(settled by callback, signal check\)$",
        ended.err, re.MULTILINE,
    ), ended  # fmt: skip
    assert re.search(
        r"^  owed +the result of check is owed by checks agency until \S+Z \(callback, signal check\)   since \S+Z$",
        ended.out, re.MULTILINE,
    ), ended  # fmt: skip
    assert re.search(
        r"^it waits until \S+Z, or for what it is owed; go on with: holdfast run check.yaml --id r$", ended.err, re.M
    )


def test_the_page_of_a_run_has_what_it_is_owed(cli: Cli) -> None:
    """For people and for machines."""
    parked(cli, "check")
    page = cli("show", "r").out
    assert re.search(r"^  check +check_person\(name=\"ann\"\) +keyed +its result is owed +1 +in ", page, re.MULTILINE), page
    assert "known there as case 7; at the deadline a person is asked" in page
    (owed,) = cli("show", "r", "--json").records[0]["run"]["owed"]
    assert (owed["step"], owed["about"], owed["settled_by"]) == ("check", "result", ["callback", "signal check"])


@pytest.mark.parametrize("words", [("show", "r"), ("show", "r", "--events"), ("watch", "r"), ("pending",), ("pending", "--json")])
def test_names_from_the_other_side_steer_no_terminal(cli: Cli, messy: Path, words: tuple[str, ...]) -> None:
    """Neither who owes nor the handle."""
    ran = parked(cli, "check")
    if words[0] == "watch":
        cli("callback", token(messy), CLEAR)
        parked(cli, "check")
    shown = cli(*words)
    for text in (ran.out, ran.err, shown.out, shown.err):
        assert not re.search(STEERING, text)
    if "--json" not in words and "--events" not in words:
        assert "owned" not in ran.out + shown.out


def test_what_is_left_of_a_part_is_owed(cli: Cli) -> None:
    """Items by their names."""
    ended = parked(cli, "trip")
    assert "flight: done in part; left: seat, meal; airline owes that until" in ended.err
    page = cli("show", "r").out
    assert re.search(r"^  flight +fly\(to=\"Oslo\"\) +keyed +done in part +1 .*left: seat, meal$", page, re.MULTILINE), page
    assert re.search(r"^  owed +seat, meal of flight are owed by airline until ", page, re.MULTILINE), page
    assert re.search(r"^  in part +flight$", page, re.MULTILINE), page


# --- pending --------------------------------------------------------------------------------------------------------


def test_pending_lists_what_all_runs_are_owed_the_soonest_first(cli: Cli) -> None:
    """By whom, since when, until when."""
    parked(cli, "check", "one")
    parked(cli, "table", "two")
    lines = cli("pending").out.splitlines()
    assert lines[0].split() == ["run", "step", "tool", "owed", "by", "since", "until", "left"]
    assert [line.split()[0] for line in lines[1:]] == ["two", "one"]
    assert re.search(r"^one +check +check_person +its result +checks agency +\S+Z +\S+Z +(59m|1h)", lines[2]), lines[2]
    records = cli("pending", "--json").records
    assert [(record["run_id"], record["step"], record["overdue"]) for record in records] == [
        ("two", "table", False), ("one", "check", False),
    ]  # fmt: skip


def test_pending_can_be_asked_of_one_run_and_cut(cli: Cli) -> None:
    """A list that was cut says so."""
    parked(cli, "check", "one")
    parked(cli, "table", "two")
    assert [record["run_id"] for record in cli("pending", "one", "--json").records] == ["one"]
    cut = cli("pending", "--limit", "1", "--json")
    assert len(cut.records) == 1 and "there is more than these 1; --limit 10 shows more" in cut.err


def test_where_nothing_is_owed_it_says_so(cli: Cli) -> None:
    """That is no error."""
    cli("run", "quick.yaml", "--id", "q")
    assert (cli("pending").code, cli("pending").err) == (0, "nothing is owed to any run in holdfast.db\n")
    assert cli("pending", "q").err == "nothing is owed to run q\n"
    nobody = cli("pending", "nobody")
    assert nobody.code == 2 and "run nobody: there is no such run in this store" in nobody.err


# --- callback -------------------------------------------------------------------------------------------------------


def test_a_callback_delivers_the_result_once(cli: Cli, messy: Path) -> None:
    """The run goes on with it; until a worker takes it, the page says that it is there."""
    parked(cli, "check")
    taken = cli("callback", token(messy), CLEAR, "--by", "agency")
    assert (taken.code, taken.out) == (0, "r  check: its result is taken\n")
    assert "no live worker has the agent check: go on with holdfast run FILE --id r" in taken.err
    assert "unheard    callback: a result for check was delivered by agency" in cli("show", "r").out
    ended = parked(cli, "check")
    assert ended.code == 0 and 'check: agency called back with its result: {"status":"clear"}' in ended.err
    step = cli("show", "r", "--json").records[0]["steps"][0]
    assert (step["value"], step["settled_by"]) == ({"status": "clear"}, "callback")


def test_a_second_delivery_is_refused_and_recorded(cli: Cli, messy: Path) -> None:
    """Before the first was taken, and after the run has ended."""
    parked(cli, "check")
    assert cli("callback", token(messy), CLEAR, "--json").records == [{"run_id": "r", "step": "check", "taken": "result"}]
    for unheard in (["callback"], []):
        second = cli("callback", token(messy), '{"status": "again"}', "--by", "agency")
        assert (second.code, second.out) == (2, "")
        assert len(second.err.splitlines()) == 1 and second.err.startswith("holdfast: run r: step check: "), second.err
        assert token(messy) not in second.err
        assert [word["to"] for word in cli("show", "r", "--json").records[0]["run"]["unheard"]] == unheard
        parked(cli, "check")
    assert "a delivery from agency was refused" in cli("watch", "r").out


def test_an_unknown_token_is_refused_and_tells_nothing(cli: Cli, messy: Path) -> None:
    """Not even whether others exist."""
    parked(cli, "check")
    for guess in (token(messy)[:-1], token(messy).upper(), "hfcb_" + "a" * 40, "x", ""):
        refused = cli("callback", guess, CLEAR)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith("holdfast: nobody was given this token") and len(refused.err.splitlines()) == 1


def test_a_result_that_the_tool_cannot_have_returned_is_refused_and_the_token_is_still_good(cli: Cli, messy: Path) -> None:
    """The other side may try again."""
    parked(cli, "check")
    wrong = cli("callback", token(messy), "7")
    assert wrong.code == 2 and "this is no result of check_person" in wrong.err and "still good" in wrong.err
    assert cli("callback", token(messy), CLEAR).code == 0


def test_a_callback_may_say_that_it_failed(cli: Cli, messy: Path) -> None:
    """And why; the step has failed then."""
    parked(cli, "check")
    taken = cli("callback", token(messy), "--failed", "she withdrew")
    assert taken.out == "r  check: that it failed is taken\n"
    ended = parked(cli, "check")
    assert ended.code == 1 and "she withdrew" in ended.out


def test_a_result_may_come_from_a_file_or_from_stdin(cli: Cli, messy: Path) -> None:
    """For what is long, or made by another program."""
    (messy / "result.json").write_text(CLEAR)
    for run_id, words, stdin in (("a", "@result.json", None), ("b", "-", CLEAR.encode())):
        parked(cli, "check", run_id)
        assert cli("callback", token(messy), words, stdin=stdin).code == 0
        assert parked(cli, "check", run_id).code == 0


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        (("{oops",), None, "the result is not JSON"),
        (("-",), b"{oops", "stdin is not JSON"),
        (("-",), b"", "stdin is not JSON"),
        (("-",), b"\xff\xfe", "stdin is not UTF-8: byte 0"),
        (("-",), b"[" * 100_000, "stdin is nested too deeply"),
        (("@nosuch.json",), None, "nosuch.json cannot be read"),
        (("@",), None, "there is no file named after @"),
        ((CLEAR, "--failed", "no"), None, "a result is given, and that it failed"),
        (("--failed", " "), None, "--failed needs to say why"),
    ],
)
def test_what_cannot_be_delivered_is_one_clear_error(
    cli: Cli, messy: Path, words: tuple[str, ...], stdin: bytes | None, message: str
) -> None:
    """And the token is still good."""
    parked(cli, "check")
    refused = cli("callback", token(messy), *words, stdin=stdin)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err and len(refused.err.splitlines()) == 1
    assert cli("callback", token(messy), CLEAR).code == 0


# --- signal ---------------------------------------------------------------------------------------------------------


def test_a_signal_settles_what_waits_for_its_name(cli: Cli) -> None:
    """With its value as the result; who sent it is kept."""
    assert "signal confirmed" in parked(cli, "table").out
    sent = cli("signal", "r", "confirmed", '{"table": "7"}', "--by", "ann")
    assert (sent.code, sent.out) == (0, "r  signal confirmed: sent\n")
    assert "unheard    signal: confirmed was sent by ann" in cli("show", "r").out
    ended = parked(cli, "table")
    assert ended.code == 0 and 'the signal confirmed came from ann: {"table":"7"}' in ended.err
    step = cli("show", "r", "--json").records[0]["steps"][0]
    assert (step["value"], step["settled_by"]) == ({"table": "7"}, "signal")


def test_a_signal_may_come_before_anybody_waits_for_it(cli: Cli) -> None:
    """It is kept until then."""
    cli("run", "later.yaml", "--id", "early", "--patience", "0s")
    assert cli("signal", "early", "confirmed", "--json").records == [{"run_id": "early", "signal": "confirmed"}]


# --- partial endings ------------------------------------------------------------------------------------------------


def test_a_run_that_left_something_out_says_so_wherever_it_is_shown(cli: Cli) -> None:
    """`run`, `runs`, `show`; the exit code stays 0, and machines have a flag for it."""
    ended = cli("run", "part.yaml", "--id", "p")
    assert ended.code == 0
    assert ended.out.startswith("p  completed (partial): ") and "  flagged: b\n" in ended.out
    assert "completed (partial): flagged: b" in ended.err
    assert re.search(r"^p +part +completed \(partial\) .*flagged: b$", cli("runs").out, re.MULTILINE)
    assert cli("show", "p").out.startswith("p  completed (partial): ")
    record = cli("show", "p", "--json").records[0]["run"]
    assert (record["status"], record["whole"], record["flagged"]) == ("completed", False, ["b"])
    (listed,) = cli("runs", "--json", "--status", "completed").records
    assert (listed["status"], listed["whole"], listed["reason"]) == ("completed", False, "flagged: b")


def test_a_run_that_did_something_another_way_is_whole(cli: Cli) -> None:
    """What was replaced, and by what, is said."""
    ended = cli("run", "other.yaml", "--id", "o")
    assert ended.code == 0 and ended.out.startswith("o  completed: ")
    assert "  replaced: a by counted\n" in ended.out
    assert re.search(r"^  replaced +a by counted$", cli("show", "o").out, re.MULTILINE)


def test_what_calls_changed_is_counted(cli: Cli) -> None:
    """As it happens and on the page."""
    ended = cli("run", "other.yaml", "--id", "o")
    assert "also: credit 3 (of this month)" in ended.err
    assert re.search(r"^  changed +credit 3$", cli("show", "o").out, re.MULTILINE)


# --- results that are too large -------------------------------------------------------------------------------------


def test_a_result_that_was_cut_says_so_and_how_to_see_the_whole(cli: Cli) -> None:
    """What was not kept says that."""
    ended = cli("run", "big.yaml", "--id", "b")
    assert ended.code == 0 and "the result has 20 kB and was cut to" in ended.err
    page = cli("show", "b").out
    assert re.search(r"^  cut +big: the result has 20 kB and was cut to .*: holdfast show b --step big --whole$", page, re.M), (
        page
    )
    assert re.search(r"^  cut +lost: the result has 20 kB .*; the whole of it was not kept$", page, re.MULTILINE), page


def test_the_whole_of_a_result_can_be_had(cli: Cli) -> None:
    """As it came; without --whole what was kept."""
    cli("run", "big.yaml", "--id", "b")
    whole = cli("show", "b", "--step", "big", "--whole")
    assert (whole.code, json.loads(whole.out)) == (0, "r" * 20000)
    kept = cli("show", "b", "--step", "big")
    assert kept.code == 0 and len(kept.out) < 2000 and "holdfast show b --step big --whole" in kept.err
    assert cli("show", "b", "--step", "small", "--whole").out == '"ok"\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--whole",), "--whole is of the result of a step"),
        (("--step", "bgi"), "run b: there is no step bgi — its steps: big, lost, small"),
        (("--step", "lost", "--whole"), "only what was cut is kept"),
        (("--step", "big", "--events"), "--events and --step are two questions"),
    ],
)
def test_a_result_that_cannot_be_shown_is_one_clear_error(cli: Cli, words: tuple[str, ...], message: str) -> None:
    """Exit code 2."""
    cli("run", "big.yaml", "--id", "b")
    refused = cli("show", "b", *words)
    assert (refused.code, refused.out) == (2, "") and message in refused.err


def test_a_step_that_has_no_result_yet_says_so(cli: Cli) -> None:
    """And where to look."""
    parked(cli, "check")
    refused = cli("show", "r", "--step", "check")
    assert refused.code == 2 and "step check: it has no result — holdfast show r says how it stands" in refused.err


# --- cancel ---------------------------------------------------------------------------------------------------------


def test_cancel_with_undo_takes_back_what_was_done(cli: Cli) -> None:
    """What cannot be taken back is named."""
    parked(cli, "held")
    assert cli("cancel", "r", "--by", "ann", "--undo").out == "r  asked to end, and what was done taken back\n"
    ended = parked(cli, "held")
    assert ended.code == 1
    assert "  taken back: room\n" in ended.out, ended
    page = cli("show", "r").out
    assert re.search(r"^  room +hold\(what=\"room\"\) +idempotent +done, and taken back", page, re.MULTILINE), page
    assert re.search(r"^  undone +room$", page, re.MULTILINE), page


def test_cancel_with_keep_leaves_what_was_done(cli: Cli) -> None:
    """As JSON too."""
    parked(cli, "held")
    assert cli("cancel", "r", "--keep", "--json").records == [{"run_id": "r", "decision": "cancel", "on_stop": "keep"}]
    ended = parked(cli, "held")
    assert ended.code == 1 and "taken back" not in ended.out


def test_cancel_with_ask_asks_a_person(cli: Cli) -> None:
    """What becomes of what was done."""
    parked(cli, "held")
    assert cli("cancel", "r", "--ask").out == "r  asked to end, and a person is asked what becomes of what was done\n"
    assert parked(cli, "held").code == 3


def test_only_one_wish_can_be_meant(cli: Cli) -> None:
    """Nothing is sent."""
    parked(cli, "held")
    refused = cli("cancel", "r", "--undo", "--keep")
    assert refused.code == 2 and "--undo and --keep cannot both be meant" in refused.err
    assert cli("cancel", "r").code == 0
