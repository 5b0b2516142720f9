"""`figures`, `what-if`, `audit`: what the record says about people's judgement."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.kit import Cli, stored
from tests.cli.shop import advance, opened

OTHER = """
name: refunds
version: "4"
rules:
  - {name: tiny, then: never, when: "amount <= 125", tools: refund}
  - {name: huge, then: block, when: "amount > 500", tools: refund}
"""


@pytest.fixture
def shop(cli: Cli, folder: Path) -> Path:
    """A store with four rulings: one passed, one is open for two, one was approved and one rejected by ann."""

    def make() -> None:
        cli("people", "add", "ann", "--role", "finance")
        for number in (1, 2, 3, 4):
            advance(cli, number)
        cli("inbox", "show", "r-3", "--by", "ann")
        cli("answer", "r-3", "reject", "not theirs", "--by", "ann")
        cli("answer", "r-4", "approve", "--by", "ann")
        assert (advance(cli, 3), advance(cli, 4)) == (1, 0)

    opened(folder)
    (folder / "other.yaml").write_text(OTHER)
    stored("judgement", folder, make)
    return folder


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_by_rule_say_what_asking_is_worth(cli: Cli, shop: Path) -> None:
    """Asked, overridden with the interval of the rate, how long it took, and what is open."""
    header, first, *others = cli("figures").out.splitlines()
    names = re.split(r"  +", header)
    assert names == ["rule", "asked", "passed", "approved", "overridden", "median", "under 5s", "open"]
    assert (
        first.startswith("middling (refunds)  2 ") and "1 of 2: 50% (9% to 91%)" in first and re.search(r"([12]) of \1$", first)
    )
    large, small = others
    assert large.startswith("large (refunds)") and re.search(r" 1, for [\d.]+\w", large)
    assert small.split()[:3] == ["small", "(refunds)", "1"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("--by tool", ["refund"]),
        ("--by policy", ["refunds@3"]),
        ("--by person", ["ann"]),
        ("--rule large", ["large"]),
        ("--rule middling --by person", ["ann"]),
        ("--tenant nobody", []),
        ("--since 2050-01-01T00:00Z --rule middling", []),
        ("--since 2001-01-01T00:00Z --agent shop --policy refunds@3 --tool refund", ["middling", "large", "small"]),
    ],
)
def test_figures_are_counted_by_what_is_asked_for(cli: Cli, shop: Path, words: str, names: list[str]) -> None:
    """Of what the filters leave."""
    records = cli("figures", *words.split(), "--json").records
    assert [record["figure"]["name"] for record in records if "figure" in record] == names


def test_alarms_and_suggestions_stand_below(cli: Cli, folder: Path) -> None:
    """Approvals that nobody can have read, and what the record suggests, with what that would have let through."""
    import asyncio

    from holdfast import Holdfast, loading

    agent = loading.agent_of(f"{opened(folder)}:agent")

    async def stamp() -> None:
        async with Holdfast("holdfast.db") as app:
            await app.inbox.put_person("ann", ["finance"])
            for number in range(35):
                await app.run(agent, id=f"s-{number}", inputs={"order": "o-3"})
                await app.inbox.show(f"s-{number}", by="ann")
                await app.inbox.decide(f"s-{number}", "approve", "ann")
                await app.run(agent, id=f"s-{number}")

    asyncio.run(stamp())
    page = cli("figures").out
    assert "  rubber stamp   ann approved 35 of 35" in page and "  too fast       ann decided " in page
    assert "  suggestion     middling (refunds): ask for a sample of" in page and "overridden let through" in page
    assert "but 35 of 35 were decided in under five seconds or in bulk" in page
    kinds = [next(iter(record)) for record in cli("figures", "--json").records]
    assert kinds == sorted(kinds, key=["figure", "alarm", "suggestion"].index) and set(kinds) == {"figure", "alarm", "suggestion"}


def test_a_store_without_a_ruling_says_so(cli: Cli, folder: Path) -> None:
    """And nothing is counted in it."""
    cli("run", "quick.yaml", "--id", "q")
    assert cli("figures").err == "nothing was ruled or asked in holdfast.db since 30d\n"
    (folder / "other.yaml").write_text(OTHER)
    assert "nothing was ruled in holdfast.db since 30d that a policy could be run over" in cli("what-if", "other.yaml").err


# --- what if ----------------------------------------------------------------------------------------------------------


def test_another_policy_is_held_against_what_was_recorded(cli: Cli, shop: Path) -> None:
    """Counts side by side, what people had decided of them, and examples of what would be let through."""
    page = cli("what-if", "other.yaml").out
    assert page.startswith("refunds@4  over 4 recorded rulings\n")
    sides = {row[0]: row[1:] for line in page.splitlines() if len(row := re.split(r"  +", line.strip())) == 3}
    assert sides["a person is asked"] == ["3", "0"]
    assert sides["nobody is asked"] == ["1", "2"]
    assert sides["blocked"] == ["0", "1"]
    assert sides["as the tool says"] == ["0", "1"]
    assert "1 that people overrode would be let through, 120 together" in page
    assert "let through: refund of 120, rejected then, by rule tiny   holdfast show r-3" in page
    (record,) = cli("what-if", "other.yaml", "--tool", "refund", "--json").records
    assert (record["rows"], record["people"]["let_through"]) == (4, 1)


def test_the_policy_of_an_agent_may_be_held_against_it_too(cli: Cli, shop: Path) -> None:
    """Its own changes nothing."""
    (record,) = cli("what-if", "shop_of_people.py:agent", "--json").records
    assert record["recorded"] == record["proposed"]


# --- audit ------------------------------------------------------------------------------------------------------------


def test_an_audit_is_written_and_checked_without_a_store(cli: Cli, shop: Path) -> None:
    """Whole as it is; a line that was changed is named, and the exit code says so."""
    written = cli("audit", "--out", "audit.jsonl")
    lines = (shop / "audit.jsonl").read_text().splitlines()
    decisions = [record for line in lines if "event" in (record := json.loads(line))]
    assert written.out == f"audit.jsonl  {len(decisions)} decisions\n"
    assert {(record["who"], record["decision"]) for record in decisions if record["event"] == "answered"} == {
        ("ann", "reject"), ("ann", "approve"),
    }  # fmt: skip
    assert "check it anywhere: holdfast audit --verify audit.jsonl" in written.err
    (shop / "holdfast.db").rename(shop / "gone.db")
    whole = cli("audit", "--verify", "audit.jsonl")
    assert (whole.code, whole.out) == (0, "audit.jsonl  whole: what is in it is what was written\n")
    (shop / "audit.jsonl").write_text("\n".join(lines).replace('"who":"ann"', '"who":"bob"', 1) + "\n")
    broken = cli("audit", "--verify", "audit.jsonl")
    assert broken.code == 1 and re.search(r"audit.jsonl  line \d+ \(run r-3, entry \d+\): .*who", broken.out)
    (record,) = cli("audit", "--verify", "audit.jsonl", "--json").records
    assert record["whole"] is False and len(record["problems"]) == len(broken.out.splitlines())


def test_an_audit_of_another_journal_is_found_by_its_head(cli: Cli, shop: Path) -> None:
    """As `verify` said it at that time."""
    (verified,) = cli("verify", "r-3", "--json").records
    cli("audit", "r-3", "--out", "audit.jsonl")
    assert cli("audit", "--verify", "audit.jsonl", "--head", f"r-3={verified['link']}").code == 0
    other = cli("audit", "--verify", "audit.jsonl", "--head", f"r-3={'0' * 64}")
    assert other.code == 1 and "its head is not the one that was noted" in other.out


def test_an_audit_may_be_a_table_and_of_some_runs(cli: Cli, shop: Path) -> None:
    """To stdout where no file is named; of a time and of runs."""
    rows = list(csv.DictReader(io.StringIO(cli("audit", "r-3", "--format", "csv").out)))
    assert {row["run"] for row in rows} == {"r-3"} and rows[-1]["who"] == "ann" and rows[-1]["note"] == "not theirs"
    assert len(cli("audit", "--since", "1h", "--format", "csv").out.splitlines()) > len(rows)
    for nothing in (("--until", "1h"), ("--since", "2050-01-01T00:00Z"), ("--tenant", "nobody")):
        assert len(cli("audit", *nothing, "--format", "csv").out.splitlines()) == 1
    assert cli("audit", "r-3", "--out", "a.csv", "--format", "csv", "--json").records == [
        {"file": "a.csv", "decisions": len(rows), "format": "csv"}
    ]
    assert not (shop / "a.csv.part").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("figures --since ever", "--since 'ever' is no time — write it as 30m, 2h, 7d, or as 2026-12-01T09:00Z"),
        ("figures --by mood", "--by"),
        ("figures --since 2050-01-01", "has no zone"),
        ("what-if none.yaml", "there is no file none.yaml — name a policy file, or FILE[:AGENT] of an agent with a policy"),
        ("what-if shop_of_people.py:bare", "agent bare of shop_of_people.py:bare has no policy"),
        ("what-if grant.yaml", "has no policy"),
        ("what-if world.yaml --db none.db", "there is no file world.yaml"),
        ("audit nobody", "run nobody: there is no such run in this store"),
        ("audit --json", "add --out FILE"),
        ("audit --head r-1=0", "add --verify FILE"),
        ("audit --out nowhere/a.jsonl", "there is no folder nowhere"),
        ("audit --out .", "it is a directory"),
        ("audit --format xml", "--format"),
        ("audit --since never", "--since 'never' is no time"),
        ("audit --verify none.jsonl", "none.jsonl cannot be read"),
        ("audit r-1 --verify a.jsonl", "--verify checks a file as it is"),
        ("audit --verify tools.py --head r-1", "--head 'r-1' is not ID=HEX"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(cli: Cli, shop: Path, words: str, why: str) -> None:
    """On stderr, with exit code 2, and nothing on stdout."""
    ended = cli(*shlex.split(words))
    assert (ended.code, ended.out) == (2, ""), ended
    assert why in ended.err and len(ended.err.splitlines()) == 1, ended


def test_a_policy_with_mistakes_says_all_of_them(cli: Cli, shop: Path) -> None:
    """As `check` would."""
    (shop / "bad.yaml").write_text("name: x\nrules: [{name: a, then: sometimes}, {then: always}]\n")
    ended = cli("what-if", "bad.yaml")
    assert ended.code == 2 and "sometimes" in ended.err and "bad.yaml has " in ended.err
