"""`holdfast inbox`: what is asked in all runs, one question whole, who has it in hand, and one word for many."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from holdfast import Holdfast
from holdfast.journal.base import Message
from holdfast.journal.sqlite import SqliteJournal
from tests.cli.kit import Cli, stored
from tests.cli.shop import advance, opened


@pytest.fixture
def shop(cli: Cli, folder: Path) -> Path:
    """A store in which three orders wait for people, and one passed; ann and bob are finance, eve is nobody's."""

    def make() -> None:
        assert [advance(cli, number) for number in (1, 2, 3, 4)] == [3, 0, 3, 3]
        for name, role in (("ann", "finance"), ("bob", "finance"), ("eve", "support")):
            assert cli("people", "add", name, "--role", role).code == 0

    opened(folder)
    stored("inbox", folder, make)
    return folder


def runs(cli: Cli, *words: str) -> list[str]:
    """The runs that a list has, in order."""
    return [row["run_id"] for row in cli("inbox", *words, "--json").records]


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_has_what_a_person_needs(cli: Cli, shop: Path) -> None:
    """A row for each question that is open; columns that are empty in every row are left out."""
    ended = cli("inbox")
    header, first, *others = ended.out.splitlines()
    assert ended.code == 0 and len(others) == 2
    assert re.split(r"  +", header) == ["run", "interrupt", "question", "rule", "amount", "age", "due", "who may"]
    cells = re.split(r"  +", first)
    assert cells[:5] == ["r-1", "refund-1", "may refund be called?", "large", "812.5"]
    assert cells[7] == "finance (0 of 2)"
    assert "look at one: holdfast inbox show r-1 refund-1" in ended.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--rule middling", ["r-3", "r-4"]),
        ("--run r-4", ["r-4"]),
        ("--min-amount 125", ["r-1", "r-4"]),
        ("--min-amount 125 --max-amount 200", ["r-4"]),
        ("--order amount", ["r-1", "r-4", "r-3"]),
        ("--order oldest", ["r-1", "r-3", "r-4"]),
        ("--older 1h", []),
        ("--due 2h", ["r-1", "r-3", "r-4"]),
        ("--due 1m", []),
        ("--kind question", []),
        ("--about call --tool refund --agent shop --policy refunds@3", ["r-1", "r-3", "r-4"]),
        ("--search R-3", ["r-3"]),
        ("--claimed", []),
        ("--unclaimed --limit 1", ["r-1"]),
        ("--for ann", ["r-1", "r-3", "r-4"]),
        ("--for eve", []),
        ("--for finance", ["r-1", "r-3", "r-4"]),
        ("--for heads", []),
    ],
)
def test_filters_leave_what_is_wanted(cli: Cli, shop: Path, words: str, expected: list[str]) -> None:
    """Each by itself and together, in the order that is asked for."""
    assert runs(cli, *words.split()) == expected


def test_pages_follow_one_another_by_the_command_that_is_shown(cli: Cli, shop: Path) -> None:
    """The total is said, and the last page says so by showing no way on."""
    first = cli("inbox", "--limit", "2", "--order", "amount")
    assert "showing 2 of 3" in first.err
    line = first.err.splitlines()[-1]
    assert line == "go on: holdfast inbox --order amount --limit 2 --page-after r-4 refund-1"
    second = cli(*shlex.split(line.partition("holdfast ")[2]))
    assert [row.split()[0] for row in second.out.splitlines()[1:]] == ["r-3"]
    assert "showing 1 of 3" in second.err and "go on" not in second.err
    assert cli("inbox", "--page-after", "r-3", "refund-1", "--order", "amount").err == "nothing comes after that\n"


def test_an_inbox_with_nothing_in_it_says_so(cli: Cli, folder: Path) -> None:
    """And one whose person nobody has heard of."""
    assert cli("run", "quick.yaml", "--id", "q").code == 0
    ended = cli("inbox")
    assert (ended.code, ended.out, ended.err) == (0, "", "nothing of that is asked in holdfast.db\n")
    cli("people", "add", "ann")
    assert "nobody in the directory is called zoe, or has that role: holdfast people" in cli("inbox", "--for", "zoe").err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--older soon", "--older 'soon' is no length of time — write it as 30m, 2h, 7d"),
        ("--due -1", "--due '-1' is no length of time"),
        ("--min-amount nan", "--min-amount is no number"),
        ("--limit 0", "--limit"),
        ("--kind loud", "--kind"),
        ("--order random", "--order"),
        ("--db other.db", "there is no store other.db"),
        ("--rule x show r-1", "--rule stands before show — put it behind: holdfast inbox show … --rule"),
        ("nonsense", "nonsense"),
        ("show nobody", "there is no such run"),
        ("show r-1 refund-9", "nothing is open under refund-9"),
        ("show r-2", "it asks nothing at present"),
        ("claim r-1 --for 8d --by ann", "a question is had in hand for up to a week"),
        ("comment r-1 a b c", "3 words are no interrupt and a text"),
        ("comment r-1 ''", "the comment says nothing"),
        ("comment r-1 hello --by ''", "--by names nobody"),
        ("claim r-1 --by ''", "--by names nobody"),
        ("decide edit", "approve"),
        ("decide approve --limit 2000 --by ann", "--limit"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(cli: Cli, shop: Path, words: str, why: str) -> None:
    """On stderr, with exit code 2, and nothing on stdout."""
    ended = cli("inbox", *shlex.split(words))
    assert (ended.code, ended.out) == (2, ""), ended
    assert why in ended.err and len(ended.err.splitlines()) == 1, ended


# --- one question -----------------------------------------------------------------------------------------------------


def test_a_question_is_shown_whole(cli: Cli, shop: Path) -> None:
    """The call with where its values come from, the rule and what it looked at, the run so far, silence, and how to answer."""
    page = cli("inbox", "show", "r-3", "--by", "ann").out
    for words in (
        "approval: may refund be called?", "r-3, refund-1; agent shop", "refund  (step refund, keyed)", 'order  = "o-3"',
        "the input order", "amount = 120.0", "the result of find, by look (steps.find.total); an untrusted tool had a hand in it",
        "middling of refunds@3: always", "amount 120.0", "it rests on what an untrusted tool returned", "done       find",
        "finance are reminded; if nobody decides by", "the call is not made",
        "holdfast answer r-3 approve", 'holdfast answer r-3 reject "WHY"',
        "holdfast answer r-3 approve --standing 7d --same-args",
    ):  # fmt: skip
        assert words in page, f"{words}\n---\n{page}"
    assert "\x1b" not in page and "x@y.test" in page
    assert "finance; 2 of them must approve" in cli("inbox", "show", "r-1").out
    assert "--standing" not in cli("inbox", "show", "r-1").out, "nothing that is said in advance answers for two"


def test_the_record_is_whole_too(cli: Cli, shop: Path) -> None:
    """For machines, as `Inbox.show` gives it."""
    (shown,) = cli("inbox", "show", "r-3", "--json").records
    assert (shown["interrupt"], shown["amount"], shown["ruling"]["rule"]) == ("refund-1", 120.0, "middling")
    assert [origin["comes_from"] for origin in shown["origins"]] == ["input", "step"]


def test_who_was_shown_it_is_kept(cli: Cli, shop: Path) -> None:
    """By a page always, by a record only where somebody is named."""

    async def seen(by: str) -> float | None:
        async with Holdfast("holdfast.db") as app:
            return await app.journal.seen_at("r-3", "refund-1", by)

    cli("inbox", "show", "r-3", "--json")
    assert asyncio.run(seen("bob")) is None
    cli("inbox", "show", "r-3", "--json", "--by", "bob")
    cli("inbox", "show", "r-3", "--by", "ann")
    assert asyncio.run(seen("bob")) is not None and asyncio.run(seen("ann")) is not None


def test_the_login_is_kept_only_where_a_page_is_shown(cli: Cli, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that reads records is nobody who looks."""
    monkeypatch.setattr("holdfast.saying.user", lambda: "ann")

    async def seen() -> float | None:
        async with Holdfast("holdfast.db") as app:
            return await app.journal.seen_at("r-3", "refund-1", "ann")

    cli("inbox", "show", "r-3", "--json")
    assert asyncio.run(seen()) is None
    cli("inbox", "show", "r-3")
    assert asyncio.run(seen()) is not None


def test_an_answer_that_no_worker_has_taken_yet_is_shown(cli: Cli, shop: Path) -> None:
    """In place of how to answer."""
    cli("answer", "r-3", "approve", "--by", "ann")
    page = cli("inbox", "show", "r-3").out
    assert "answered   approve by ann; a worker takes it when the run goes on" in page
    assert "holdfast answer" not in page


def test_where_several_are_open_the_commands_name_the_question(cli: Cli, shop: Path) -> None:
    """So that each can be pasted as it stands."""
    assert cli("handoff", "r-3", "--take", "--by", "ann").code == 0
    assert advance(cli, 3) == 3
    assert "2 questions are open; say which" in cli("inbox", "show", "r-3").err
    assert "holdfast answer r-3 refund-1 approve" in cli("inbox", "show", "r-3", "refund-1").out


# --- in hand ----------------------------------------------------------------------------------------------------------


def test_what_somebody_has_in_hand_nobody_else_decides(cli: Cli, shop: Path) -> None:
    """Until it is given back, or somebody insists."""
    taken = cli("inbox", "claim", "r-3", "--by", "ann")
    assert taken.code == 0 and taken.out.startswith("r-3  refund-1: ann has it in hand until ")
    assert runs(cli, "--claimed") == ["r-3"]
    assert "ann" in cli("inbox", "--run", "r-3").out.splitlines()[1]
    for words in (("inbox", "claim", "r-3"), ("answer", "r-3", "approve"), ("inbox", "release", "r-3")):
        ended = cli(*words, "--by", "bob")
        assert (ended.code, ended.out) == (2, "")
        assert "ann has it in hand until" in ended.err
    assert cli("answer", "r-3", "approve", "--by", "bob", "--force").out == "r-3  refund-1: approve\n"
    assert cli("inbox", "claim", "r-4", "refund-1", "--for", "2h", "--by", "ann", "--json").records[0]["claimed_by"] == "ann"
    assert cli("inbox", "release", "r-4", "--by", "ann").out == "r-4  refund-1: nobody has it in hand\n"
    assert runs(cli, "--claimed", "--answered") == ["r-3"]


def test_who_may_not_decide_it_cannot_take_it_in_hand(cli: Cli, shop: Path) -> None:
    """Another role, and somebody whom nobody knows; that error says what to do."""
    assert "eve may not decide it; it is for finance" in cli("inbox", "claim", "r-3", "--by", "eve").err
    for words in (("inbox", "claim", "r-3"), ("answer", "r-3", "approve"), ("inbox", "decide", "approve")):
        ended = cli(*words, "--by", "zoe")
        assert ended.code == 2
        assert "zoe is not among the people of this store — say who you are with --by NAME" in ended.err
        assert "holdfast people add zoe --role ROLE" in ended.err


def test_the_name_may_come_from_the_environment(cli: Cli, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOLDFAST_BY is who speaks; --by wins."""
    monkeypatch.setenv("HOLDFAST_BY", "ann")
    assert "ann has it in hand" in cli("inbox", "claim", "r-3").out
    assert "eve may not decide it" in cli("answer", "r-4", "approve", "--by", "eve").err
    assert cli("answer", "r-4", "approve").code == 0
    assert "approve by ann" in cli("inbox", "show", "r-4").out


def test_a_remark_stands_below_the_question(cli: Cli, shop: Path) -> None:
    """Once a worker has taken it; it decides nothing, and the same with the same id is made once."""
    for _ in range(2):
        assert (
            cli("inbox", "comment", "r-3", "she called \x1b[31mtwice", "--by", "eve", "--id", "m-1").out
            == "r-3  refund-1: remarked\n"
        )
    assert cli("inbox", "comment", "r-3", "refund-1", "wait", "--by", "ann", "--json").records == [
        {"run_id": "r-3", "interrupt": "refund-1", "comment": "wait"}
    ]
    assert advance(cli, 3) == 3
    page = cli("inbox", "show", "r-3").out
    assert len(re.findall(r"remark     eve, .* ago: she called twice", page)) == 1 and "wait" in page
    assert cli("inbox", "--run", "r-3").out.splitlines()[1].endswith("2")


# --- one word for many ------------------------------------------------------------------------------------------------


def test_many_are_decided_only_the_second_time(cli: Cli, shop: Path) -> None:
    """First it is said what would be, with the command; then exactly that is carried out."""
    first = cli("inbox", "decide", "approve", "--rule", "middling", "--note", "all fine", "--by", "ann")
    assert first.code == 3
    assert first.out.splitlines() == [
        "approve: 2 would be decided, 250 together", "  rules      middling 2", "  tools      refund 2",
    ]  # fmt: skip
    line = first.err.splitlines()[-1]
    assert "holdfast inbox decide approve --rule middling --note 'all fine' --by ann --confirm 2-" in line
    assert "answered" not in cli("inbox", "show", "r-3").out, "nothing is decided by the first word"
    second = cli(*shlex.split(line.partition("holdfast ")[2]))
    assert (second.code, second.out) == (0, "approve: 2 of 2 decided\n")
    assert [advance(cli, number) for number in (3, 4)] == [0, 0]
    assert advance(cli, 1) == 3


def test_many_are_not_decided_where_the_inbox_has_changed(cli: Cli, shop: Path) -> None:
    """Not one of them."""
    token = cli("inbox", "decide", "reject", "--by", "ann", "--json").records[0]["confirm"]
    cli("inbox", "claim", "r-4", "--by", "bob")
    changed = cli("inbox", "decide", "reject", "--by", "ann", "--confirm", token)
    assert changed.code == 2 and "2 instead of 3; nothing was decided" in changed.err
    assert "answered" not in cli("inbox", "show", "r-3").out


def test_what_is_left_out_is_said_with_the_reason(cli: Cli, shop: Path) -> None:
    """And where nothing is left, there is nothing to confirm."""
    cli("inbox", "claim", "r-3", "--by", "ann")
    told = cli("inbox", "decide", "approve", "--rule", "middling", "--by", "bob")
    assert "1 would be decided" in told.out and "left out     r-3 refund-1: ann has it in hand until" in told.out
    none = cli("inbox", "decide", "approve", "--by", "eve")
    assert none.code == 0 and "0 would be decided" in none.out and "--confirm" not in none.err
    assert none.out.count("eve may not decide it; it is for finance") == 3


def test_what_is_answered_is_listed_apart_until_a_worker_takes_it(cli: Cli, shop: Path) -> None:
    """Who answered is said; of two people it wants the other one's answer, and not the first one's again."""
    cli("answer", "r-3", "reject", "no", "--by", "bob")
    cli("answer", "r-1", "approve", "--by", "bob")
    assert (runs(cli), runs(cli, "--for", "bob"), runs(cli, "--for", "ann")) == (["r-1", "r-4"], ["r-4"], ["r-1", "r-4"])
    header, row = cli("inbox", "--answered").out.splitlines()
    assert "answered" in header and row.startswith("r-3") and "answered by bob; a worker takes it" in row
    assert "answered by bob" in cli("inbox", "--run", "r-1").out
    assert [one["answered_by"] for one in cli("inbox", "--answered", "--json").records] == ["bob"]
    claimed = cli("inbox", "claim", "r-3", "refund-1", "--by", "ann")
    assert claimed.code == 2 and "bob answered it; a worker takes it" in claimed.err
    assert [one["count"] for one in cli("inbox", "decide", "approve", "--by", "ann", "--json").records] == [2]
    assert cli("answer", "r-1", "approve", "--by", "ann").code == 0
    assert runs(cli, "--answered") == ["r-1", "r-3"]


def test_one_that_cannot_be_decided_does_not_hold_up_the_others(
    cli: Cli, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """It is named, and the exit code says that not all were."""
    words = ("inbox", "decide", "approve", "--rule", "middling", "--by", "ann")
    token = cli(*words, "--json").records[0]["confirm"]
    send = SqliteJournal.send

    async def second(journal: SqliteJournal, run_id: str, message: Message) -> int:
        if run_id == "r-3" and message.body["by"] == "ann":
            await send(journal, run_id, msgspec.structs.replace(message, body={**message.body, "by": "bob"}))
        return await send(journal, run_id, message)

    monkeypatch.setattr(SqliteJournal, "send", second)
    ended = cli(*words, "--confirm", token)
    assert ended.code == 2
    assert "approve: 1 of 2 decided" in ended.out and "not decided  r-3 refund-1: " in ended.out
