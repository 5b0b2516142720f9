"""`answer` and `cancel`: a person's word into a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.kit import Cli, Ended

World = Callable[[], list[str]]


def run(cli: Cli, name: str) -> Ended:
    """Start or go on with a run of a plan."""
    return cli("run", f"{name}.yaml", "--id", name)


def test_approve_makes_the_call_as_it_was_shown(cli: Cli, world: World) -> None:
    """Once, and the answer says who takes it from here."""
    run(cli, "pay")
    answered = cli("answer", "pay", "approve", "--by", "ann")
    assert (answered.code, answered.out) == (0, "pay  money-1: approve\n")
    assert "no live worker has the agent pay: go on with holdfast run FILE --id pay" in answered.err
    assert run(cli, "pay").code == 0
    assert world() == ["pay ann 2.5"]


def test_an_answer_that_no_worker_has_taken_yet_is_shown(cli: Cli) -> None:
    """The question says by whom it was answered, in place of how to answer; so does a wish to end it."""
    run(cli, "pay")
    cli("answer", "pay", "approve", "--by", "ann")
    page = cli("show", "pay").out
    assert "answered: approve by ann; a worker takes it when the run goes on" in page
    assert "holdfast answer pay" not in page
    cli("cancel", "pay", "--by", "bob")
    assert "stopping   cancel by bob; a worker takes it when the run goes on" in cli("show", "pay").out
    (shown,) = cli("show", "pay", "--json").records
    assert shown["run"]["unheard"] == [{"to": "money-1", "said": "approve by ann"}, {"to": "cancel", "said": "cancel by bob"}]


def test_edit_makes_it_with_other_arguments(cli: Cli, world: World) -> None:
    """Values are typed; those not named stay."""
    run(cli, "pay")
    assert cli("answer", "pay", "edit", "amount=3").code == 0
    assert run(cli, "pay").code == 0
    assert world() == ["pay ann 3.0"]


def test_an_edit_that_the_tool_cannot_take_is_refused_at_once(cli: Cli) -> None:
    """The question stays open."""
    run(cli, "pay")
    wrong = cli("answer", "pay", "edit", "amount=much")
    assert wrong.code == 2
    assert "pay cannot take these arguments: amount" in wrong.err
    assert cli("answer", "pay", "approve").code == 0


def test_reject_leaves_it_undone_with_the_reason(cli: Cli, world: World) -> None:
    """Whoever looks later finds who said so and why."""
    run(cli, "pay")
    assert cli("answer", "pay", "reject", "paid by hand", "--by", "ann").code == 0
    assert run(cli, "pay").code == 1
    assert world() == []
    assert "reject by ann: paid by hand" in cli("show", "pay").out


def test_respond_gives_the_result_in_place_of_the_tool(cli: Cli, folder: Path) -> None:
    """As JSON, from the word itself or from a file."""
    run(cli, "asks")
    bad, pay = sorted(question["interrupt"] for question in cli("show", "asks", "--json").records[0]["run"]["questions"])
    (folder / "value.json").write_text('"by hand"')
    assert cli("answer", "asks", bad, "respond", "@value.json").code == 0
    assert cli("answer", "asks", pay, "reject", "no").code == 0
    run(cli, "asks")
    (shown,) = cli("show", "asks", "--json").records
    assert (shown["steps"][0]["value"], shown["steps"][0]["settled_by"]) == ("by hand", "person")


def test_where_several_are_open_one_must_be_named(cli: Cli) -> None:
    """The message lists them; an unknown name is refused too."""
    run(cli, "asks")
    unnamed = cli("answer", "asks", "approve")
    assert unnamed.code == 2
    assert "2 questions are open; say which" in unnamed.err and "bad-" in unnamed.err and "pay-" in unnamed.err
    assert "nothing is open under bad-9" in cli("answer", "asks", "bad-9", "approve").err


def test_a_second_answer_is_refused_and_told_who_was_first(cli: Cli) -> None:
    """Also before the first was taken."""
    run(cli, "pay")
    assert cli("answer", "pay", "approve", "--by", "ann").code == 0
    second = cli("answer", "pay", "reject", "no", "--by", "bob")
    assert second.code == 2
    assert "answered already: approve by ann" in second.err


def test_an_answer_to_nothing_is_refused(cli: Cli) -> None:
    """A run that has ended, and a decision that is no option."""
    cli("run", "quick.yaml", "--id", "quick")
    assert cli("answer", "quick", "approve").code == 2
    run(cli, "pay")
    assert "money-1 cannot be answered with respond" in cli("answer", "pay", "respond", "1").err


def test_cancel_ends_a_run(cli: Cli, world: World) -> None:
    """Nothing new begins; who wanted it and why is kept; a second time is refused."""
    run(cli, "pay")
    assert cli("cancel", "pay", "--by", "ann", "--reason", "ordered twice").out == "pay  asked to end\n"
    ended = run(cli, "pay")
    assert ended.code == 1
    assert ended.out.startswith("pay  cancelled: cancelled by ann: ordered twice")
    assert cli("cancel", "pay").code == 2
    assert world() == []


def test_words_and_names_are_kept_as_json_too(cli: Cli) -> None:
    """For scripts that answer."""
    run(cli, "pay")
    assert cli("answer", "pay", "approve", "--json", "--note", "ok").records == [
        {"run_id": "pay", "interrupt": "money-1", "decision": "approve"}
    ]
    assert cli("cancel", "pay", "--json").records == [{"run_id": "pay", "decision": "cancel"}]


# --- correct ----------------------------------------------------------------------------------------------------------

SEATS = """
from holdfast import tool

@tool(safety="read", observes={"seats": "left"})
def count(at: str) -> dict[str, int]:
    "Count the seats."
    return {"left": len(at)}

@tool(safety="irreversible")
def invite(n: int, at: str = "") -> str:
    "Invite so many."
    return f"{n} invited"
"""
PARTY = """
goal: invite
tools: seats.py
steps:
  look: {tool: count, args: {at: hall}}
  party: {tool: invite, after: look, args: {n: {$ref: facts.seats}}}
  note: {tool: invite, after: look, rests_on: seats, args: {n: 4, at: the door}, on_failure: skip}
"""


def test_correct_tells_a_run_what_is_so(cli: Cli, folder: Path) -> None:
    """What refers to it is asked about anew, with the new value; what holds a copy is given up, and its question is closed."""
    (folder / "seats.py").write_text(SEATS)
    (folder / "party.yaml").write_text(PARTY)
    assert run(cli, "party").code == 3
    told = cli("correct", "party", "seats=2", "host=ann", "--by", "bob")
    assert (told.code, told.out) == (0, "party  told: seats, host\n")
    assert "go on with holdfast run FILE --id party" in told.err
    (shown,) = cli("show", "party", "--json").records
    assert shown["run"]["unheard"] == [{"to": "correct", "said": f"{name} is told by bob"} for name in ("seats", "host")]
    assert run(cli, "party").code == 3
    (after,) = cli("show", "party", "--json").records
    (question,) = after["run"]["questions"]
    assert question["args"] == {"n": 2}, "the arguments that are shown are those that would be sent"


def test_correct_without_a_value_or_twice_is_used_wrongly(cli: Cli) -> None:
    """And what no run can be told is refused."""
    run(cli, "pay")
    assert "is not name=value" in cli("correct", "pay", "seats").err
    assert "given twice" in cli("correct", "pay", "a=1", "a=2").err
    refused = cli("correct", "pay", "password=x")
    assert refused.code == 2 and "never written down" in refused.err
    assert cli("correct", "nobody", "a=1").code == 2
    (said,) = cli("correct", "pay", 'a={"b": 1}', "--json").records
    assert said == {"run_id": "pay", "told": {"a": {"b": 1}}}
