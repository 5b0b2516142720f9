"""`holdfast schedule`: what is to be started when, and what became of each time."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from holdfast import Holdfast, loading
from holdfast.cli import schedule as command
from holdfast.core import schedule as core
from holdfast.journal.sqlite import SqliteJournal
from holdfast.runner.clock import SystemClock
from tests.cli.kit import Cli

World = Callable[[], list[str]]
DAY = 86400.0


class Later(SystemClock):
    """Another day."""

    def __init__(self, days: float):
        self._seconds = days * DAY

    def now(self) -> float:
        return super().now() + self._seconds


def in_store(work: Callable[[Holdfast], Coroutine[Any, Any, Any]], days: float = 0.0) -> Any:
    """Do something with the store of the test, so many days from now."""

    async def whole() -> Any:
        async with Holdfast("holdfast.db", clock=Later(days)) as app:
            return await work(app)

    return asyncio.run(whole())


def worked(days: float, *files: str) -> None:
    """Workers come, so many days from now, and do all there is to do."""
    agents = [agent for file in files for agent in loading.agents_of(file)]
    in_store(lambda app: app.work(*agents, until_idle=True), days)


def test_a_schedule_is_added_and_says_when_it_fires_next(cli: Cli) -> None:
    """In the words of its place and in UTC; and that nobody is there who would fire it, and what to do."""
    ended = cli("schedule", "add", "quick.yaml", "--cron", "30 9 * * 1", "--tz", "Europe/Berlin", "--id", "weekly")
    assert ended.code == 0
    assert re.fullmatch(r"weekly  on  next Mon \d{4}-\d\d-\d\d 09:30 CES?T \(\d{4}-\d\d-\d\dT0[78]:30:00Z\)\n", ended.out), (
        ended.out
    )
    assert "no live worker has the agent quick: start one with holdfast work quick.yaml" in ended.err
    assert "holdfast schedule show weekly" in ended.err


def test_the_same_schedule_twice_is_once_and_another_one_is_refused(cli: Cli) -> None:
    """Unless it is to take the place of the first, which keeps its history."""
    add = ("schedule", "add", "quick.yaml", "--id", "s", "--cron")
    first = cli(*add, "0 9 * * *").out
    assert cli(*add, "0 9 * * *").out == first
    ended = cli(*add, "0 10 * * *")
    assert (ended.code, ended.out) == (2, "")
    assert "there is another schedule s already: it has another cron — choose another name, or replace it" in ended.err
    assert " 10:00 UTC" in cli(*add, "0 10 * * *", "--replace").out


def test_the_id_of_the_agent_is_the_name_where_none_is_given(cli: Cli) -> None:
    """As its runs are called anyway."""
    assert cli("schedule", "add", "quick.yaml", "--cron", "@daily").out.startswith("quick  on  next ")


def test_a_schedule_of_one_time_is_over_when_it_has_fired(cli: Cli, world: World) -> None:
    """With inputs and goal; the run has the id of its time."""
    at = datetime.fromtimestamp(time.time() + DAY, UTC).replace(microsecond=0)
    run_id = f"once-{at:%Y%m%dT%H%M%SZ}"
    cli(
        "schedule",
        "add",
        "grant.yaml",
        "grant it",
        "--at",
        at.isoformat(),
        "--input",
        "name=ann",
        "--id",
        "once",
        "--label",
        "a=b",
    )
    worked(0.5, "grant.yaml")
    assert world() == []
    worked(2, "grant.yaml")
    assert world()[0].startswith("grant ann 1 ")
    (record,) = cli("runs", "--label", "schedule=once", "--json").records
    assert (record["run_id"], record["status"], record["labels"]) == (run_id, "completed", {"a": "b", "schedule": "once"})
    (line,) = cli("schedule", "list", "--json").records
    assert (line["state"], line["next_at"], line["when"]) == ("over", None, at.isoformat().replace("+00:00", "Z"))
    assert "once  over  no time is to come" in cli("schedule", "show", "once").out


def test_show_says_what_became_of_each_time(cli: Cli) -> None:
    """Begun, late, skipped, missed: with the run, how it stands, and why."""
    cli("schedule", "add", "pay.yaml", "--cron", "0 9 * * *", "--id", "s")
    worked(3, "pay.yaml")
    worked(4, "pay.yaml")
    ended = cli("schedule", "show", "s")
    assert ended.code == 0
    rows = ended.out.partition("why\n")[2].splitlines()
    assert len(rows) == 3
    assert re.match(r"  \w{3} \S+ 09:00 UTC +\S+T09:00:00Z +skipped +s-\d{8}T090000Z goes on$", rows[0]), rows[0]
    assert re.match(r"  \w{3} \S+ 09:00 UTC +\S+ +began, \S+ late +s-\d{8}T090000Z +needs a person$", rows[1]), rows[1]
    assert re.search(r" 09:00 UTC to \w{3} \S+ 09:00 UTC .* missed 2 times +no worker was there; catch_up is last$", rows[2]), (
        rows[2]
    )
    assert re.search(r"run +s-\d{8}T090000Z goes on", ended.out)
    (record,) = cli("schedule", "show", "s", "--json", "--limit", "2").records
    assert [one["became"] for one in record["firings"]] == ["skipped", "begun"]
    assert record["schedule"]["running"] is True
    assert record["firings"][1]["status"] == "blocked"
    assert "there are more than these 2 times; --limit 20 shows more" in cli("schedule", "show", "s", "--limit", "2").err


def test_the_list_is_a_table_or_json(cli: Cli, folder: Path) -> None:
    """By name; an empty one says how to begin."""
    asyncio.run(_made(folder))
    assert "nothing is scheduled in holdfast.db; holdfast schedule add FILE" in cli("schedule", "list").err
    cli("schedule", "add", "quick.yaml", "--cron", "0 9 * * *", "--id", "b", "--overlap", "queue", "--catch-up", "none")
    cli("schedule", "add", "quick.yaml", "--cron", "@hourly", "--id", "a", "--tz", "America/New_York")
    cli("schedule", "pause", "a")
    table = cli("schedule", "list").out.splitlines()
    assert table[0].split()[:5] == ["name", "agent", "when", "zone", "is"]
    assert [line.split()[0] for line in table[1:]] == ["a", "b"]
    assert "queue" in table[2] and "none" in table[2] and "no live worker has the agent quick" in table[2]
    records = cli("schedule", "list", "--json").records
    assert [(one["name"], one["state"], one["timezone"]) for one in records] == [
        ("a", "paused", "America/New_York"),
        ("b", "on", "UTC"),
    ]


async def _made(folder: Path) -> None:
    journal = SqliteJournal(folder / "holdfast.db")
    await journal.open()
    await journal.close()


def test_pause_and_resume_and_remove(cli: Cli) -> None:
    """Each says how the schedule stands then; what is not there is refused."""
    cli("schedule", "add", "quick.yaml", "--cron", "0 9 * * *", "--id", "s")
    assert cli("schedule", "pause", "s").out == "s  paused\n"
    worked(2, "quick.yaml")
    assert cli("runs", "--json").records == []
    assert cli("schedule", "resume", "s").out.startswith("s  on  next ")
    assert cli("schedule", "remove", "s").out == "s  removed\n"
    for verb in ("pause", "resume", "remove", "show"):
        ended = cli("schedule", verb, "s")
        assert (ended.code, ended.out) == (2, "")
        assert "there is no schedule s in this store" in ended.err
    cli("schedule", "add", "quick.yaml", "--cron", "0 9 * * *", "--id", "s")
    assert [json.loads(cli("schedule", verb, "s", "--json").out)["state"] for verb in ("pause", "resume")] == ["paused", "on"]
    assert cli("schedule", "remove", "s", "--json").records == [{"name": "s", "removed": True}]


def test_next_needs_no_store(cli: Cli, folder: Path) -> None:
    """The times of a line, over a change of the clocks."""
    ended = cli("schedule", "next", "30 2 * * *", "--tz", "Europe/Berlin", "--after", "2027-03-27T00:00+01:00", "--count", "3")
    assert ended.out.splitlines() == [
        "Sat 2027-03-27 02:30 CET   2027-03-27T01:30:00Z",
        "Sun 2027-03-28 03:00 CEST   2027-03-28T01:00:00Z",
        "Mon 2027-03-29 02:30 CEST   2027-03-29T00:30:00Z",
    ]
    assert len(cli("schedule", "next", "@hourly").out.splitlines()) == 5
    (first, _) = cli("schedule", "next", "0 0 1 1 *", "--after", "0", "--count", "2", "--json").records
    assert first == {"at": 31536000.0, "local": "Fri 1971-01-01 00:00 UTC", "utc": "1971-01-01T00:00:00Z"}
    assert not (folder / "holdfast.db").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "quick.yaml"), "it is not said when — give a cron line or a time"),
        (("add", "quick.yaml", "--cron", "@daily", "--at", "0"), "it is not said when"),
        (("add", "quick.yaml", "--cron", "61 * * * *"), "the cron line '61 * * * *' cannot be read: bad minute — five fields"),
        (("add", "quick.yaml", "--cron", "0 0 31 2 *"), "the cron line '0 0 31 2 *' never fires"),
        (("add", "quick.yaml", "--cron", "@daily", "--tz", "Europe/Berlim"), "'Europe/Berlim' is no time zone"),
        (("add", "quick.yaml", "--cron", "@daily", "--id", "a b"), "'a b' is no name for a schedule"),
        (("add", "quick.yaml", "--at", "2030-01-01T09:00"), "at: 2030-01-01T09:00:00 has no zone"),
        (("add", "quick.yaml", "--at", "soon"), "at: 'soon' is no time"),
        (("add", "quick.yaml", "--at", "nan"), "at: nan is no time"),
        (("add", "quick.yaml", "--at", "2020-01-01T09:00Z"), "schedule quick: its time has passed"),
        (("add", "grant.yaml", "--cron", "@daily"), "the input name is missing"),
        (("add", "quick.yaml", "--cron", "@daily", "--label", "x"), "--label 'x' is not name=text"),
        (("add", "quick.yaml", "--cron", "@daily", "--overlap", "wait"), "Invalid value for '--overlap'"),
        (("add", "quick.yaml", "--cron", "@daily", "--queue-max", "0"), "queue_max lies between 1 and 1000"),
        (("add", "nothing.yaml", "--cron", "@daily"), "nothing.yaml"),
        (("next", "* *"), "the cron line '* *' cannot be read"),
        (("next", "0 0 30 2 *"), "never fires"),
        (("next", "@daily", "--after", "yesterday"), "--after: 'yesterday' is no time"),
        (("frob",), "No such command 'frob' — see `holdfast schedule --help`"),
    ],
)
def test_what_cannot_be_is_refused_with_one_clear_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, and nothing on stdout."""
    ended = cli("schedule", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.strip().count("\n") == 0


def test_the_group_alone_shows_its_help_and_counts_as_used_wrongly(cli: Cli) -> None:
    """As `holdfast` alone does."""
    ended = cli("schedule")
    assert (ended.code, ended.out) == (2, "")
    for name in ("add", "list", "show", "pause", "resume", "remove", "next"):
        assert re.search(rf"\n  {name} +\w", ended.err)


@pytest.mark.parametrize("name", ["add", "list", "show", "pause", "resume", "remove", "next"])
def test_every_command_of_the_group_has_help_with_an_example(cli: Cli, name: str) -> None:
    """Examples are commands to paste."""
    page = cli("schedule", name, "--help")
    assert page.code == 0
    assert f"$ holdfast schedule {name}" in page.out


def test_the_policies_are_those_of_the_core() -> None:
    """The help page does not load the core, so they are written twice."""
    assert get_args(command.Overlap) == get_args(core.Overlap)
    assert get_args(command.CatchUp) == get_args(core.CatchUp)


def test_hostile_text_steers_no_terminal(cli: Cli, folder: Path) -> None:
    """A reason that a plan gives is shown without what it must not say."""
    cli(
        "schedule",
        "add",
        "quick.yaml",
        "be \x1b[31mred\x1b[0m",
        "--cron",
        "@daily",
        "--id",
        "s",
        "--input",
        "x=\x1b]0;owned\x07y",
    )
    out = cli("schedule", "show", "s").out
    assert "\x1b" not in out and "be red" in out
