"""`prune`, `backup`, `doctor`: what keepers see and do, and what others are told of runs that were pruned."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from holdfast.journal.sqlite.file import migrations
from tests.cli.kit import SOURCE, Cli, Ended

STEERING = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"


# The store of `kept`, made once.
_made: list[bytes] = []


@pytest.fixture
def kept(cli: Cli, folder: Path) -> Cli:
    """A store with three runs that completed, one that failed and one that asks; two of the first ended 40 days ago, and so did
    the one that failed."""
    if _made:
        (folder / "holdfast.db").write_bytes(_made[0])
        return cli
    for name in ("a", "b", "c"):
        cli("run", "quick.yaml", "--id", name)
    cli("run", "fails.yaml", "--id", "bad")
    cli("run", "pay.yaml", "--id", "asks")
    aged(folder, "a", "b", "bad")
    _made.append((folder / "holdfast.db").read_bytes())
    return cli


def changed(folder: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Change the store behind everybody's back."""
    with closing(sqlite3.connect(folder / "holdfast.db")) as connection, connection:
        for sql, values in statements:
            connection.execute(sql, values)


def aged(folder: Path, *run_ids: str) -> None:
    """Let these have ended 40 days ago."""
    back = "update runs set changed_at = changed_at - ? where run_id = ?"
    changed(folder, *((back, (3_456_000 - number, run_id)) for number, run_id in enumerate(run_ids)))


def there(cli: Cli) -> set[str]:
    return {record["run_id"] for record in cli("runs", "--json").records}


# --- prune --------------------------------------------------------------------------------------------------------


def test_old_runs_are_pruned_and_what_would_go_is_said_first(kept: Cli) -> None:
    """Of those that completed or were cancelled; nothing goes without --yes where nobody can be asked."""
    asked = kept("prune", "--older-than", "30d")
    assert asked.code == 3
    assert asked.out == ""
    assert re.search(r"^  completed +2 runs of 12 entries, the oldest ended 40d\S* ago: a$", asked.err, re.MULTILINE), asked
    assert asked.err.endswith("2 runs of 12 entries would go\nnothing was pruned; the same with --yes does it\n")
    assert len(there(kept)) == 5
    done = kept("prune", "--older-than", "30d", "--yes", "--by", "ann")
    assert (done.code, done.out) == (0, "2 runs of 12 entries pruned\n")
    assert "holdfast prune --proofs" in done.err
    assert there(kept) == {"c", "bad", "asks"}
    again = kept("prune", "--older-than", "30d", "--yes")
    assert (again.code, again.out, again.err) == (0, "", "no run is to be pruned\n")


def test_a_dry_run_says_what_would_go_and_nothing_goes(kept: Cli) -> None:
    """For people and for machines."""
    said = kept("prune", "--older-than", "30d", "--dry-run", "--status", "failed", "--status", "completed")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == ["completed", "failed", "3"]
    records = kept("prune", "--older-than", "30d", "--dry-run", "--json").records
    assert [(one["run_id"], one["status"], one["entries"]) for one in records] == [("a", "completed", 6), ("b", "completed", 6)]
    assert len(there(kept)) == 5


def test_runs_can_be_chosen_by_status_agent_and_id(kept: Cli) -> None:
    """Whoever names a run need not name its status."""
    assert kept("prune", "--older-than", "30d", "--agent", "nobody", "--yes").err == "no run is to be pruned\n"
    assert kept("prune", "--older-than", "30d", "--tenant", "acme", "--yes").err == "no run is to be pruned\n"
    assert kept("prune", "--older-than", "30d", "--status", "failed", "--yes").out == "1 run of 7 entries pruned\n"
    assert kept("prune", "--id", "c", "--id", "c", "--yes").out == "1 run of 6 entries pruned\n"
    assert kept("prune", "--id", "a", "--older-than", "50d", "--yes").err == "no run is to be pruned\n"
    assert there(kept) == {"a", "b", "asks"}


def test_what_cannot_be_pruned_is_refused_with_what_to_do(kept: Cli) -> None:
    """A run that goes on, one that is not there, one that was pruned before, and a line that says nothing."""
    for words, said in (
        (("--id", "asks"), r"run asks goes on \(blocked\) — holdfast cancel asks ends it; nothing was pruned"),
        (("--id", "a", "--id", "none"), "run none: there is no such run in this store — holdfast runs lists them"),
        ((), "nothing says which runs are to go — --older-than 30d, or --id ID"),
        (("--older-than", "soon"), "--older-than 'soon' is no length of time"),
        (("--proofs", "--yes"), "--proofs lists, and --yes is for pruning"),
    ):
        ended = kept("prune", *words, *([] if "--proofs" in words else ["--yes"]))
        assert ended.code == 2, ended
        assert re.search(said, ended.err), ended
    assert len(there(kept)) == 5


def test_proofs_are_printed_and_listed(kept: Cli) -> None:
    """With the last link of the chain, as `verify` had it."""
    link = next(one["link"] for one in kept("verify", "--all", "--json").records if one["run_id"] == "a")
    (proof,) = kept("prune", "--id", "a", "--yes", "--by", "ann", "--json").records
    assert (proof["run_id"], proof["status"], proof["version"], proof["by"], proof["link"]) == ("a", "completed", 6, "ann", link)
    kept("prune", "--id", "b", "--yes", "--by", "bob")
    assert [one["run_id"] for one in kept("prune", "--proofs", "--json").records] == ["b", "a"]
    assert [one["by"] for one in kept("prune", "--proofs", "--id", "a", "--json").records] == ["ann"]
    table = kept("prune", "--proofs").out
    assert link in table
    assert [line.split()[0] for line in table.splitlines()] == ["id", "b", "a"]


def test_nothing_was_pruned_yet(cli: Cli) -> None:
    """That is no error."""
    cli("run", "quick.yaml", "--id", "a")
    ended = cli("prune", "--proofs")
    assert (ended.code, ended.out, ended.err) == (0, "", "no run was pruned from holdfast.db\n")


def test_the_id_of_a_pruned_run_is_not_taken_again(kept: Cli) -> None:
    """Not even for the same goal: what it did would be done twice."""
    kept("prune", "--id", "a", "--yes", "--by", "ann")
    ended = kept("run", "quick.yaml", "--id", "a")
    assert ended.code == 2
    assert re.search(r"run a: a run of this id was pruned on \d{4}-\d\d-\d\d; its id is not taken again", ended.err), ended
    assert "give the run another id" in ended.err


def test_whoever_asks_for_a_pruned_run_is_told_that_it_was(kept: Cli) -> None:
    """When and by whom."""
    kept("prune", "--id", "a", "--yes", "--by", "ann")
    for words in ("show a", "show a --why", "watch a", "pending a", "cancel a", "audit a", "prune --id a"):
        ended = kept(*words.split())
        assert ended.code == 2, (words, ended)
        said = r"run a: it was pruned on \d{4}-\d\d-\d\d by ann, completed, with 6 entries"
        assert re.search(said, ended.err), (words, ended)


# --- backup -------------------------------------------------------------------------------------------------------


def test_a_store_is_copied_and_the_copy_holds(kept: Cli, folder: Path) -> None:
    """It says how large it is and how many runs are in it; nothing else is left in the folder."""
    before = {file.name for file in folder.iterdir()}
    ended = kept("backup", "copy.db")
    assert ended.code == 0
    assert re.fullmatch(r"copy\.db  \d+(\.\d+)? kB, 5 runs, copied in \S+\n", ended.out), ended
    assert "holdfast verify --all --db copy.db" in ended.err
    assert {file.name for file in folder.iterdir()} - before == {"copy.db"}
    assert kept("verify", "--all", "--db", "copy.db").code == 0
    (record,) = kept("backup", "other.db", "--json").records
    assert (record["file"], record["runs"], record["bytes"]) == ("other.db", 5, (folder / "other.db").stat().st_size)


def test_a_copy_takes_nobody_s_place(kept: Cli, folder: Path) -> None:
    """Whatever is there stays; and there must be a folder."""
    (folder / "there").write_text("mine")
    ended = kept("backup", "there")
    assert (ended.code, (folder / "there").read_text()) == (2, "mine")
    assert "there is something at there already" in ended.err
    ended = kept("backup", "no/such/copy.db")
    assert ended.code == 2
    assert "there is no folder" in ended.err
    assert kept("backup", "copy.db", "--db", "none.db").code == 2


# --- doctor -------------------------------------------------------------------------------------------------------


def test_a_store_that_is_well_says_so_line_by_line(cli: Cli, folder: Path) -> None:
    """Nothing is changed, and nothing is left beside it."""
    cli("run", "quick.yaml", "--id", "a")
    before = {file.name: file.read_bytes() for file in folder.glob("holdfast.db*")}
    for words, integrity in (((), "not every page was"), (("--deep",), "every page, every chain and every large value")):
        ended = cli("doctor", *words)
        assert (ended.code, ended.err) == (0, ""), ended
        assert {line.split()[0] for line in ended.out.splitlines()} == {"ok"}, ended
        assert integrity in ended.out
        assert re.search(r"^ok +runs +1 completed$", ended.out, re.MULTILINE), ended
    assert {file.name: file.read_bytes() for file in folder.glob("holdfast.db*")} == before
    names = [record["name"] for record in cli("doctor", "--json").records]
    assert names == ["integrity", "version", "size", "disk", "runs", "workers", "stuck", "pending", "questions", "mail", "gates"]


def test_runs_that_nobody_takes_up_are_stuck(cli: Cli, folder: Path) -> None:
    """Named, with what to do; the exit code says so."""
    cli("run", "later.yaml", "--id", "waits", "--patience", "0s")
    assert cli("doctor").code == 0
    changed(folder, ("update runs set due_at = due_at - 100", ()))
    ended = cli("doctor")
    assert ended.code == 1
    assert re.search(r"^broken +parked +1 run of agent later: waited, .*: waits$", ended.out, re.MULTILINE), ended
    assert "no worker has the agent: holdfast work FILE, or see holdfast show waits" in ended.out
    assert re.search(r"^warning +workers +none was seen", ended.out, re.MULTILINE), ended


def test_a_store_that_was_tampered_with_is_broken(cli: Cli, folder: Path) -> None:
    """What is damaged is named by --deep; and where a page is lost, the file is."""
    cli("run", "hostile.yaml", "--id", "a")
    cli("run", "quick.yaml", "--id", "b")
    changed(folder, ("update batches set body = cast(replace(body, 'owned', 'OWNED') as blob) where run = 1", ()))
    assert cli("doctor").code == 0
    ended = cli("doctor", "--deep", "--db", "holdfast.db")
    assert ended.code == 1
    assert re.search(r"^broken +integrity +run a: entry \d+ is not what was written$", ended.out, re.MULTILINE), ended
    assert "restore a backup" in ended.out


def test_a_file_whose_pages_are_lost_is_broken(cli: Cli, folder: Path) -> None:
    """It says so in place of failing, and a copy is refused."""
    for number in range(6):
        cli("run", "hostile.yaml", "--id", f"r{number}")
    raw = bytearray((folder / "holdfast.db").read_bytes())
    for page in range(len(raw) // 4096 - 12, len(raw) // 4096):
        raw[page * 4096 : (page + 1) * 4096] = bytes(4096)
    (folder / "holdfast.db").write_bytes(raw)
    ended = cli("doctor", "--deep")
    assert ended.code == 1
    assert re.search(r"^broken +integrity +the file ", ended.out, re.MULTILINE), ended
    refused = cli("backup", "copy.db")
    assert refused.code == 5, refused
    assert not list(folder.glob("copy.db*"))


@pytest.mark.parametrize(
    ("content", "level", "said"),
    [(b"", "warning", "it is empty"), (b"no store at all, " * 100, "broken", "the file is not a store of holdfast")],
)
def test_what_is_no_store_is_a_finding(cli: Cli, folder: Path, content: bytes, level: str, said: str) -> None:
    """And not an error of the doctor's."""
    (folder / "holdfast.db").write_bytes(content)
    ended = cli("doctor")
    assert ended.code == (1 if level == "broken" else 0)
    assert ended.out.startswith(level)
    assert said in ended.out
    assert (folder / "holdfast.db").read_bytes() == content


def test_a_store_of_an_earlier_release_is_looked_at_and_copied_as_it_is(cli: Cli, folder: Path) -> None:
    """A doctor changes nothing, and whoever upgrades can keep a copy of before."""
    earlier(folder / "holdfast.db")
    ended = cli("doctor")
    assert ended.code == 0
    assert re.match(r"warning +version +holdfast.db: it has form 6, of an earlier release", ended.out), ended
    assert cli("backup", "before.db").code == 0
    for name in ("holdfast.db", "before.db"):
        with closing(sqlite3.connect(folder / name)) as connection:
            assert connection.execute("pragma user_version").fetchone() == (6,)
    assert cli("runs").code == 0
    assert cli("doctor").code == 0


def earlier(path: Path) -> None:
    """A store as the release before made it."""
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table migrations (number integer primary key, checksum text not null) strict")
    for number, text, checksum in migrations()[:6]:
        connection.execute(text)
        connection.execute("insert into migrations values (?, ?)", (number, checksum))
    connection.execute("insert into secret values (1, ?)", (bytes(32),))
    connection.pragma("user_version", 6)
    connection.pragma("application_id", 0x486F6C64)
    connection.close()


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="nothing is read-only for root")
def test_a_store_that_can_only_be_read_is_looked_at_and_copied(
    kept: Cli, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By whoever may write neither the file nor its folder; the doctor says that workers could not go on here."""
    place = tmp_path_factory.mktemp("copies")
    place.chmod(0o777)
    file = folder / "holdfast.db"
    file.chmod(0o444)
    folder.chmod(0o555)
    try:
        looked = other("doctor", "--db", str(file))
        assert looked.code == 0, looked
        assert re.search(r"^warning +store +\S+ cannot be written here$", looked.out, re.MULTILINE), looked
        copied = other("backup", str(place / "copy.db"), "--db", str(file))
        assert (copied.code, "5 runs" in copied.out) == (0, True), copied
        refused = other("backup", str(folder / "copy.db"), "--db", str(file))
        assert refused.code == 5, refused
        assert "cannot be" in refused.err
    finally:
        folder.chmod(0o755)


def other(*words: str) -> Ended:
    """A command by somebody for whom permissions count; root is one who lets go of what puts it above them."""
    meek = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    ran = subprocess.run(
        [*meek, sys.executable, "-m", "holdfast.cli.main", *words], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip
    return Ended(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.parametrize("words", [("prune", "--id", "r", "--yes"), ("prune", "--proofs"), ("doctor", "--deep")])
def test_foreign_names_steer_no_terminal(cli: Cli, folder: Path, words: tuple[str, ...]) -> None:
    """Of runs, agents, workers and people."""
    cli("run", "quick.yaml", "--id", "r")
    cli("run", "quick.yaml", "--id", "s")
    cli("prune", "--id", "s", "--yes", "--by", "eve\x1b[31m\u202e")
    changed(folder, ("insert into workers values ('w\x1b]0;x\x07', '[\"a\\u001b[31m\"]', 9e9)", ()))
    ended = cli(*words)
    assert ended.code == 0, ended
    assert not re.search(STEERING, ended.out + ended.err)
