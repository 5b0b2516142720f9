"""What is special to the store in a SQLite file: durability, group commit, many processes, files that are not ours.

What every journal must do is in `holdfast.testing.journal_suite`, and runs in `test_contract.py`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

import holdfast
from holdfast.core import events as e
from holdfast.core.contract import Breaker
from holdfast.core.plan import Goal
from holdfast.errors import HoldfastError, JournalCorrupt, JournalTooNew, JournalUnavailable, RunNotFound
from holdfast.journal import codec
from holdfast.journal.base import Batch, Claim, Full, Gated, Head, Heard, NewRun, Release, Slot
from holdfast.journal.sqlite import SqliteJournal
from holdfast.journal.sqlite.file import GROUP_MAX, migrations

SOURCE = str(Path(holdfast.__file__).parents[1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store will be."""
    return tmp_path / "runs.db"


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteJournal]:
    """A store, open for a while."""
    journal = SqliteJournal(path, **options)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


def started(run_id: str) -> e.RunStarted:
    """The first event of a run."""
    return e.RunStarted(run_id=run_id, agent="a", goal=Goal(), contracts=())


async def created(journal: SqliteJournal, run_id: str) -> tuple[Claim, Head]:
    """A run of one event, claimed."""
    claim = await journal.create(
        NewRun(run_id=run_id, agent="a", goal_digest="g"), (started(run_id),), 1.0, worker="w", lease_seconds=100
    )
    assert claim is not None
    return claim, (await journal.read(run_id)).head


def batch(claim: Claim, head: Head, value: Any = None) -> Batch:
    """A batch of one event."""
    event = e.CallSucceeded(step="a", attempt=1, value=value)
    return Batch(run_id=claim.run_id, fence=claim.fence, head=head, at=2.0, events=(event,))


async def appended(journal: SqliteJournal, claim: Claim, head: Head, value: Any = None) -> Head:
    """One more batch."""
    found = await journal.append(batch(claim, head, value))
    assert not isinstance(found, Full)
    return found


class Gate:
    """Holds the store's writer, so that what comes meanwhile gathers into one group."""

    def __init__(self, journal: SqliteJournal):
        self._journal = journal
        self._shut, self._reached = threading.Event(), threading.Event()

    async def __aenter__(self) -> None:
        def wait(connection: apsw.Connection) -> None:
            self._reached.set()
            assert self._shut.wait(20)

        self._held = asyncio.ensure_future(self._journal.file.write(wait))
        await asyncio.to_thread(self._reached.wait, 20)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)  # Whatever was begun has put its write into the queue.
        self._shut.set()
        await self._held


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What another program sees in the file."""
    connection = apsw.Connection(str(path))
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


# --- durability -------------------------------------------------------------------------------------------------------


async def test_the_writer_syncs_its_log_at_each_commit(path: Path) -> None:
    """WAL, and FULL: asked of the very connection that writes."""
    async with opened(path) as journal:
        pragmas = await journal.file.write(
            lambda c: [c.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")]
        )
    assert pragmas == ["wal", 2, 1, 4000]


async def test_readers_cannot_write(path: Path) -> None:
    """Whatever they are made to run."""
    async with opened(path) as journal:
        with pytest.raises(JournalUnavailable, match="read-only"):
            await journal.file.read(lambda c: c.execute("delete from runs"))


def test_the_sqlite_in_use_has_no_bug_that_loses_commits() -> None:
    """3.7.0 to 3.51.2 may corrupt a file when the log is reset."""
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


async def test_what_was_appended_is_there_although_nobody_closed_the_store(path: Path) -> None:
    """The process is killed right after its write came back."""
    program = f"""
import asyncio, os
from tests.journal.test_sqlite import appended, created
from holdfast.journal.sqlite import SqliteJournal
async def main():
    journal = SqliteJournal({str(path)!r})
    await journal.open()
    claim, head = await created(journal, "r")
    for number in range(5):
        head = await appended(journal, claim, head, number)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    ended = run(program)
    assert ended.returncode == -9, ended.stderr
    async with opened(path) as journal:
        entries = (await journal.read("r")).entries
    assert [entry.event.value for entry in entries[1:] if isinstance(entry.event, e.CallSucceeded)] == [0, 1, 2, 3, 4]


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A Python program in a process of its own."""
    return subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False)


def environment() -> dict[str, str]:
    """In which a program finds holdfast and these tests."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([SOURCE, str(Path(__file__).parents[2])])}


# --- group commit -----------------------------------------------------------------------------------------------------


async def test_writes_that_gather_share_one_commit(path: Path) -> None:
    """A hundred runs append at once: one transaction, and each is told of its own."""
    async with opened(path) as journal:
        made = [await created(journal, f"r{n}") for n in range(100)]
        before = journal.file.commits
        async with Gate(journal):
            writes = [asyncio.ensure_future(appended(journal, claim, head, n)) for n, (claim, head) in enumerate(made)]
        heads = await asyncio.gather(*writes)
        assert journal.file.commits - before == 2, "the one that was held, and one for all"
        assert [(await journal.read(f"r{n}")).head for n in range(100)] == heads


async def test_concurrent_appends_need_far_fewer_commits_than_there_are(path: Path) -> None:
    """Without any help: fifty runs, twenty batches each."""
    async with opened(path) as journal:
        made = [await created(journal, f"r{n}") for n in range(50)]
        before = journal.file.commits

        async def append(claim: Claim, head: Head) -> None:
            for number in range(20):
                head = await appended(journal, claim, head, number)

        await asyncio.gather(*(append(claim, head) for claim, head in made))
        assert journal.file.commits - before <= 1000 / 5


async def test_a_lone_append_is_one_commit(path: Path) -> None:
    """Nothing is committed that nobody asked for."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        before = journal.file.commits
        for number in range(10):
            head = await appended(journal, claim, head, number)
        assert journal.file.commits - before == 10


async def test_a_group_has_a_size(path: Path) -> None:
    """So that none waits long for the others."""
    async with opened(path) as journal:
        before = journal.file.commits
        async with Gate(journal):
            writes = [
                asyncio.ensure_future(journal.file.write(lambda c: c.execute("select 1").fetchall()))
                for _ in range(2 * GROUP_MAX + 5)
            ]
        await asyncio.gather(*writes)
        assert journal.file.commits - before == 4


@pytest.mark.parametrize(
    "poison", [lambda c: c.execute("insert into runs values (1)"), lambda c: c.execute("select ?", (object(),)), lambda c: 1 / 0]
)
async def test_a_poisoned_write_does_not_fail_the_others_of_its_group(path: Path, poison: Any) -> None:
    """The group is taken apart: each of the rest is written once, in its order."""
    async with opened(path) as journal:
        made = [await created(journal, f"r{n}") for n in range(10)]
        async with Gate(journal):
            before = [asyncio.ensure_future(appended(journal, claim, head)) for claim, head in made[:5]]
            bad = asyncio.ensure_future(journal.file.write(poison))
            after = [asyncio.ensure_future(appended(journal, claim, head)) for claim, head in made[5:]]
        heads = await asyncio.gather(*before, *after)
        with pytest.raises(JournalUnavailable) as caught:
            await bad
        assert caught.value.__cause__ is not None
        assert [(await journal.read(f"r{n}")).head for n in range(10)] == heads
    assert rows(path, "select count(*) from batches") == [(20,)]


async def test_a_refused_write_leaves_its_group_together(path: Path) -> None:
    """Refusals are answers, not accidents: still one commit."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        before = journal.file.commits
        async with Gate(journal):
            good = asyncio.ensure_future(appended(journal, claim, head))
            refused = asyncio.ensure_future(journal.append(batch(claim, head)))
            unknown = asyncio.ensure_future(
                journal.append(Batch(run_id="gone", fence=1, head=head, at=1.0, events=(e.RunResumed(worker="w"),)))
            )
        await good
        with pytest.raises(HoldfastError, match="somebody wrote first|another worker"):
            await refused
        with pytest.raises(RunNotFound):
            await unknown
        assert journal.file.commits - before == 2


async def test_a_caller_that_went_away_takes_nothing_with_it(path: Path) -> None:
    """Its write stands, and the others of the group are answered."""
    async with opened(path) as journal:
        made = [await created(journal, f"r{n}") for n in range(2)]
        async with Gate(journal):
            gone = asyncio.ensure_future(appended(journal, *made[0]))
            stays = asyncio.ensure_future(appended(journal, *made[1]))
            await asyncio.sleep(0)
            gone.cancel()
        assert (await stays).version == 2
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert (await journal.read("r0")).head.version == 2


# --- trouble ----------------------------------------------------------------------------------------------------------


async def test_a_full_disk_fails_the_write_whole_and_passes(path: Path) -> None:
    """SQLite's own error for it, brought about by a bound on the file's pages; when there is room again it goes on."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        await journal.file.write(lambda c: c.pragma("max_page_count", c.pragma("page_count")))
        with pytest.raises(JournalUnavailable, match="the disk is full") as caught:
            await appended(journal, claim, head, "x" * 1_000_000)
        assert str(path) in str(caught.value)
        assert "free space" in str(caught.value)
        assert (await journal.read("r")).head == head
        await journal.file.write(lambda c: c.pragma("max_page_count", 1_000_000))
        assert (await appended(journal, claim, head, "x" * 1_000_000)).version == 2
    assert rows(path, "select count(*) from contents") == [(2,)], "the contracts of the start, and the large value once"


async def test_a_store_that_is_read_only_says_so(path: Path) -> None:
    """At the first write."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        await journal.file.write(lambda c: c.execute("select 1").fetchall())
        for connection in journal.file._connections:
            connection.execute("pragma query_only = on")
        with pytest.raises(JournalUnavailable, match="the store is read-only"):
            await appended(journal, claim, head)
        assert (await journal.read("r")).head == head


async def test_a_store_that_is_locked_for_too_long_says_so_and_goes_on_later(path: Path) -> None:
    """Another process holds it in a transaction of its own; readers go on meanwhile."""
    async with opened(path, busy_seconds=0.05) as journal:
        claim, head = await created(journal, "r")
        other = apsw.Connection(str(path))
        other.execute("begin immediate")
        with pytest.raises(JournalUnavailable, match="locked by another process"):
            await appended(journal, claim, head)
        assert (await journal.read("r")).head == head
        other.execute("rollback")
        other.close()
        assert (await appended(journal, claim, head)).version == 2


async def test_a_writer_waits_for_another_process_that_is_quick(path: Path) -> None:
    """The lock is not an error yet."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        other = apsw.Connection(str(path))
        other.execute("begin immediate")
        write = asyncio.ensure_future(appended(journal, claim, head))
        await asyncio.sleep(0)
        other.execute("commit")
        assert (await write).version == 2
        other.close()


async def test_readers_never_wait_for_a_writer(path: Path) -> None:
    """A reading that began sees what was there then; a write goes on beside it."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        began, go_on = threading.Event(), threading.Event()

        def slow(connection: apsw.Connection) -> list[Any]:
            connection.execute("begin")
            first = list(connection.execute("select count(*) from batches"))
            began.set()
            assert go_on.wait(20)
            again = list(connection.execute("select count(*) from batches"))
            connection.execute("commit")
            return [*first, *again]

        reading = asyncio.ensure_future(journal.file.read(slow))
        await asyncio.to_thread(began.wait, 20)
        await appended(journal, claim, head)
        go_on.set()
        assert await reading == [(1,), (1,)]
        assert await journal.file.read(lambda c: list(c.execute("select count(*) from batches"))) == [(2,)]


@pytest.mark.parametrize("when", ["before", "after", "while"])
async def test_a_store_that_is_not_open_refuses_and_nobody_waits_for_ever(path: Path, when: str) -> None:
    """Before it was opened, after it was closed, and in between."""
    journal = SqliteJournal(path)
    if when != "before":
        await journal.open()
    if when == "after":
        await journal.close()
    if when == "while":
        async with Gate(journal):
            last = asyncio.ensure_future(created(journal, "in time"))
            await asyncio.sleep(0)
            closing = asyncio.ensure_future(journal.close())
            await asyncio.sleep(0)
            late = asyncio.ensure_future(created(journal, "late"))
        async with asyncio.timeout(10):
            await asyncio.gather(last, closing, return_exceptions=True)
            with pytest.raises(JournalUnavailable, match="not open"):
                await late
        assert rows(path, "select run_id from runs") == [("in time",)]
    else:
        for doing in (journal.read("r"), created(journal, "r")):
            with pytest.raises(JournalUnavailable, match="not open"):
                await doing
    await journal.close()


# --- many processes ---------------------------------------------------------------------------------------------------


async def test_many_processes_open_a_store_that_is_not_there_yet(path: Path) -> None:
    """All at the same moment: one makes it, all write, nothing is lost."""
    program = f"""
import asyncio, sys
from tests.journal.test_sqlite import appended, created, opened
from pathlib import Path
async def main(name):
    print("ready", flush=True)
    sys.stdin.readline()
    async with opened(Path({str(path)!r})) as journal:
        claim, head = await created(journal, name)
        for number in range(20):
            head = await appended(journal, claim, head, number)
asyncio.run(main(sys.argv[1]))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, f"r{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True)
        for n in range(5)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    async with opened(path) as journal:
        for n in range(5):
            assert (await journal.read(f"r{n}")).head.version == 21


async def test_two_journals_of_one_process_share_a_file(path: Path) -> None:
    """Each with a writer of its own; what one wrote the other reads."""
    async with opened(path) as one, opened(path) as other:
        claim, head = await created(one, "r")
        head = await appended(other, claim, head, 1)
        assert (await one.read("r")).head == head
        assert (await appended(one, claim, head, 2)).version == 3


# --- files that are not ours ------------------------------------------------------------------------------------------


async def refused(path: Path, error: type[HoldfastError], match: str) -> None:
    """It cannot be opened, and is left as it was."""
    before = path.read_bytes()
    journal = SqliteJournal(path)
    with pytest.raises(error, match=match) as caught:
        await journal.open()
    await journal.close()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]


async def test_a_file_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    """Text, or rubbish with a name that ends in .db."""
    path.write_text("orders of last year\n" * 1000)
    await refused(path, JournalCorrupt, "not a store of holdfast")


@pytest.mark.parametrize("marked", [0, 0x12345678])
async def test_a_database_of_something_else_is_refused_and_left_alone(path: Path, marked: int) -> None:
    """Not one byte of it is changed, not even its journal mode."""
    connection = apsw.Connection(str(path))
    connection.execute("create table orders (id integer primary key, note text)")
    connection.execute("insert into orders values (1, 'do not touch')")
    connection.pragma("application_id", marked)
    connection.close()
    await refused(path, JournalCorrupt, "a database of something else")
    assert rows(path, "select note from orders") == [("do not touch",)]
    assert rows(path, "pragma journal_mode") == [("delete",)]


async def test_a_store_of_a_later_release_is_refused_and_left_alone(path: Path) -> None:
    """With what to do."""
    async with opened(path):
        pass
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 9999)
    connection.close()
    await refused(path, JournalTooNew, "written by a later release .form 9999.*upgrade holdfast")


async def test_a_store_that_was_made_with_other_sql_is_refused(path: Path) -> None:
    """Applied files are never edited; one that was is found by its checksum."""
    async with opened(path):
        pass
    number, _, checksum = migrations()[0]
    assert rows(path, "select number, checksum from migrations order by number") == [(n, c) for n, _, c in migrations()]
    connection = apsw.Connection(str(path))
    connection.execute("update migrations set checksum = ? where number = ?", ("0" * len(checksum), number))
    connection.close()
    await refused(path, JournalCorrupt, f"form {number} is not the one that this release knows")


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """As `touch` or a temporary file leaves it."""
    path.touch()
    async with opened(path) as journal:
        await created(journal, "r")


async def test_a_store_in_a_folder_that_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    """Nothing is made up."""
    journal = SqliteJournal(tmp_path / "no" / "such" / "runs.db")
    with pytest.raises(JournalUnavailable, match="check that the folder exists"):
        await journal.open()
    await journal.close()


async def test_a_damaged_file_is_damage(path: Path) -> None:
    """And other errors of SQLite are told as they are."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        for number in range(150):
            head = await appended(journal, claim, head, "x" * 4000 + str(number))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
    path.write_bytes(raw)
    async with opened(path) as journal:
        with pytest.raises(JournalCorrupt, match="damaged"):
            await journal.read("r")


async def test_a_closed_store_is_one_file(path: Path) -> None:
    """Whoever closes last moves the log into the file; until then it stays, and nothing of it is lost."""
    async with opened(path) as first, opened(path) as second:
        claim, head = await created(first, "r")
        await second.read("r")
        await first.close()
        assert path.with_name(path.name + "-wal").stat().st_size > 0
        await appended(second, claim, head)
        await second.rows()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert rows(path, "select count(*) from batches") == [(2,)]


def test_migrations_are_numbered_without_a_gap() -> None:
    """So that the form of a store is one number."""
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))
    assert all(text.startswith("--") for _, text, _ in migrations()), "each says what it is for"


# --- stores of earlier releases ---------------------------------------------------------------------------------------


def old_store(path: Path) -> Head:
    """A store of the first form, as the release that knew no other left it: a run that waits, holds a place, and has a word
    in its mailbox; and one that has ended. Where the first one's journal ends."""
    number, text, checksum = migrations()[0]
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table migrations (number integer primary key, checksum text not null) strict")
    connection.execute(text)
    connection.execute("insert into migrations values (?, ?)", (number, checksum))
    connection.pragma("user_version", number)
    connection.pragma("application_id", 0x486F6C64)
    heads = []
    for run_id, status, due_at in (("r", "blocked", None), ("over", "completed", None)):
        body, blobs = codec.encode((started(run_id),))
        heads.append(Head(1, codec.link(b"", run_id, 1, 1, 1.0, body)))
        connection.execute(
            "insert into runs (run_id, agent, goal_digest, tenant, priority, labels, status, due_at, rank, version, head, fence,"
            " created_at, changed_at) values (?, 'a', 'g', '', 0, '{}', ?, ?, 1.0, 1, ?, 1, 1.0, 1.0)",
            (run_id, status, due_at, heads[-1].link),
        )
        run = connection.last_insert_rowid()
        for digest, content in blobs.items():
            connection.execute("insert or ignore into contents values (?, ?)", (digest, content))
        connection.execute("insert into batches values (?, 1, 1, 1, 1.0, ?, ?)", (run, body, heads[-1].link))
    connection.execute("insert into slots (name, run, step) values ('pump', 1, 'a')")
    connection.execute("insert into messages (run, kind, slot, body, at) values (1, 'answer', 'q-1', '{}', 1.0)")
    connection.close()
    return heads[0]


async def test_a_store_of_the_first_form_is_taken_over(path: Path) -> None:
    """All that it has is there and goes on: journal, place, word; and it gets what later releases need."""
    head = old_store(path)
    async with opened(path) as journal:
        row = await journal.row("r")
        assert row is not None
        assert (row.status, row.version, row.parent) == ("blocked", 1, "")
        assert (await journal.read("r")).head == head
        assert [message.slot for message in await journal.messages("r")] == ["q-1"]
        assert (await journal.owed(), await journal.gates(), await journal.children("r")) == ([], {}, [])
        assert len(await journal.secret()) == 32
        claim, other = await created(journal, "new")
        wanting = msgspec.structs.replace(batch(claim, other), slots=(Slot(name="pump", step="a", capacity=1),))
        assert await journal.append(wanting) == Full(("pump",), (0,), ("r",))
        again = await journal.claim("r", "w", 5.0, 10.0)
        assert again is not None
        await appended(journal, again, head)
        release = Release(status="completed", due_at=None)
        ended = msgspec.structs.replace(batch(again, Head(2, (await journal.read("r")).head.link)), release=release)
        assert isinstance(await journal.append(ended), Head)
        assert isinstance(await journal.append(wanting), Head)
    assert rows(path, "pragma user_version") == [(len(migrations()),)]
    assert rows(path, "select number, checksum from migrations order by number") == [(n, c) for n, _, c in migrations()]


async def test_many_processes_take_an_old_store_over_at_once(path: Path) -> None:
    """One of them changes its form; all see the same secret."""
    old_store(path)
    journals = [SqliteJournal(path) for _ in range(4)]
    await asyncio.gather(*(journal.open() for journal in journals))
    secrets = {await journal.secret() for journal in journals}
    for journal in journals:
        await journal.close()
    assert len(secrets) == 1
    assert rows(path, "select count(*) from secret") == [(1,)]


async def test_each_store_has_a_secret_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    """Tokens of one are worth nothing in another."""
    secrets = []
    for name in ("one", "one", "other"):
        async with opened(tmp_path / name) as journal:
            secrets.append(await journal.secret())
    assert secrets[0] == secrets[1] != secrets[2]


# --- what a step costs ------------------------------------------------------------------------------------------------


async def statements(journal: SqliteJournal, wanted: Batch) -> list[str]:
    """What is executed for a batch, without the transaction around it."""
    seen: list[str] = []

    def watch(connection: apsw.Connection) -> None:
        def note(_: object, sql: str, __: object) -> bool:
            seen.append(" ".join(sql.split()[:3]))
            return True

        connection.exec_trace = note

    await journal.file.write(watch)
    assert isinstance(await journal.append(wanted), Head)
    await journal.file.write(lambda connection: setattr(connection, "exec_trace", None))
    return [sql for sql in seen if sql.split()[0] not in ("begin", "commit")]


async def test_nothing_is_executed_for_what_a_batch_does_not_say(path: Path) -> None:
    """A step of a tool without gate, slot or token is two statements, however much a store can do."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        head = await appended(journal, claim, head)  # From now on this process knows the run's number.
        assert await statements(journal, batch(claim, head)) == ["update runs set", "insert into batches"]


async def test_a_tool_that_is_well_costs_one_look_at_its_gate(path: Path) -> None:
    """Nothing is written for a circuit that stays closed."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        plain = batch(claim, await appended(journal, claim, head))
        calling = msgspec.structs.replace(
            plain,
            gated=(Gated(tool="mail", calls=2, breaker=Breaker()),),
            heard=(Heard(tool="mail", outcome="ok", breaker=Breaker()),),
        )
        assert await statements(journal, calling) == ["select state from", "update runs set", "insert into batches"]


async def test_places_whose_time_is_over_do_not_pile_up(path: Path) -> None:
    """They go when the next one of their kind comes, whatever its name."""
    async with opened(path) as journal:
        claim, head = await created(journal, "r")
        for number in range(5):
            lasting = Slot(name=f"mail to {number}", step="a", capacity=1, until=10.0 + number)
            wanted = msgspec.structs.replace(batch(claim, head), at=2.0 + 10 * number, slots=(lasting,))
            written = await journal.append(wanted)
            assert isinstance(written, Head)
            head = written
    assert rows(path, "select count(*) from slots") == [(1,)]


async def test_what_is_due_is_found_by_an_index(path: Path) -> None:
    """However much is owed in a store."""
    async with opened(path) as journal:
        await journal.owed(due_before=1.0)
    plan = rows(
        path,
        "explain query plan select o.step from owed o join runs r on r.id = o.run where o.due_at <= 1.0"
        " order by o.due_at, o.run, o.step limit 1000",
    )
    assert [detail for *_, detail in plan] == [
        "SEARCH o USING COVERING INDEX owed_due (due_at<?)",
        "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)",
    ], "and not sorted"
