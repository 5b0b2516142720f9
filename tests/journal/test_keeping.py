"""What is special to keeping a store in a SQLite file: forms of earlier releases, races of those who prune, copies, damage.

What every journal must do is in `holdfast.testing.journal_suite`, and runs in `test_contract.py`.
"""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from holdfast.core import events as e
from holdfast.errors import JournalCorrupt, JournalTooNew, JournalUnavailable, RunPruned, Superseded, UsageError
from holdfast.journal import codec
from holdfast.journal.base import Head
from holdfast.journal.sqlite import SqliteJournal, backup, pruning
from holdfast.journal.sqlite.file import EarlierForm, migrations
from holdfast.journal.sqlite.health import _EXPIRED, _LETTERS, _PARKED, _UNCLAIMED
from holdfast.testing.journal_suite import T0, appended, batch, done, held, parked, started
from holdfast.testing.journal_suite.keeping import LARGE, NESTED, ended, whole


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


def rows(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """What another program sees in the file, or does to it."""
    connection = apsw.Connection(str(path))
    try:
        return list(connection.execute(sql, values))
    finally:
        connection.close()


def earlier(path: Path, form: int = 6) -> Head:
    """A store of the release before, with a run that has ended; where its journal ends."""
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table migrations (number integer primary key, checksum text not null) strict")
    for number, text, checksum in migrations()[:form]:
        connection.execute(text)
        connection.execute("insert into migrations values (?, ?)", (number, checksum))
    connection.pragma("user_version", form)
    connection.pragma("application_id", 0x486F6C64)
    connection.execute("insert into secret values (1, ?)", (bytes(32),))
    events = (started("r"), done("a", LARGE), e.RunCompleted())
    body, blobs = codec.encode(events)
    head = Head(3, codec.link(b"", "r", 1, 1, T0, body))
    connection.execute(
        "insert into runs (run_id, agent, goal_digest, tenant, priority, labels, status, rank, version, head, fence, created_at,"
        " changed_at) values ('r', 'clerk', 'g', '', 0, '{}', 'completed', 1.0, 3, ?, 1, ?, ?)",
        (head.link, T0, T0),
    )
    for digest, content in blobs.items():
        connection.execute("insert into contents values (?, ?)", (digest, content))
    connection.execute("insert into batches values (1, 1, 3, 1, ?, ?, ?)", (T0, body, head.link))
    connection.execute("insert into messages (run, kind, slot, body, at) values (1, 'answer', 'q-1', '{}', 1.0)")
    connection.close()
    return head


# --- stores of earlier releases ---------------------------------------------------------------------------------------


async def test_a_store_of_the_release_before_is_taken_over(path: Path) -> None:
    """Its runs are of here and no forks; they can be pruned with all that they have."""
    head = earlier(path)
    async with opened(path) as journal:
        row = await journal.row("r")
        assert row is not None
        assert (row.imported, row.source, row.version) == (False, "", 3)
        assert (await journal.read("r")).head == head
        assert await journal.adopt(whole("f", (started("f"),), source="r"))
        assert (await journal.health(T0, deep=True)).problems == ()
        assert [proof.link for proof in await journal.prune(["r"], "ann", T0)] == [head.link.hex()]
        assert (await journal.health(T0, deep=True)).problems == ()
    assert rows(path, "pragma user_version") == [(len(migrations()),)]
    assert rows(path, "select count(*) from messages") == [(0,)]


async def test_a_store_of_an_earlier_form_is_not_changed_by_whoever_only_looks(path: Path, tmp_path: Path) -> None:
    """It is refused with what to do, and copied as it is."""
    earlier(path)
    before = path.read_bytes()
    journal = SqliteJournal(path, read_only=True)
    with pytest.raises(EarlierForm, match="form 6, of an earlier release"):
        await journal.open()
    await journal.close()
    assert (await journal.backup(str(tmp_path / "copy.db"))).runs == 1
    assert path.read_bytes() == before
    assert rows(tmp_path / "copy.db", "pragma user_version") == [(6,)]


# --- races of those who prune -----------------------------------------------------------------------------------------


def before(
    journal: SqliteJournal,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[..., object] | None,
    act: Callable[[], Awaitable[object]],
) -> None:
    """Let something happen, once, right before this store's writer is asked to do a work; None: whatever it is."""
    write = journal.file.write
    acted: list[bool] = []

    async def watched(wanted: Any) -> Any:
        is_it = work is None or (isinstance(wanted, functools.partial) and wanted.func is work)
        if is_it and not acted:
            acted.append(True)
            await act()
        return await write(wanted)

    monkeypatch.setattr(journal.file, "write", watched)
    monkeypatch.setattr(journal, "_write", watched)


@pytest.mark.parametrize("knows", [False, True])
async def test_a_content_that_is_referred_to_while_it_is_judged_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    """Whether the worker that refers to it writes it again, or has seen it before and does not."""
    async with opened(path) as keeper, opened(path) as worker:
        await ended(keeper, "old", LARGE)
        if knows:
            await worker.read("old")
        claim, head = await held(worker, "new")
        before(keeper, monkeypatch, pruning._delete, lambda: appended(worker, batch(claim, head, done("a", LARGE))))
        assert len(await keeper.prune(["old"], "ann", T0)) == 1
        assert [entry.event for entry in (await keeper.read("new")).entries][1] == done("a", LARGE)
    assert rows(path, "select count(*) from loose") == [(0,)]


async def test_contents_inside_of_one_that_comes_while_they_are_judged_stay(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new refers to it by what it contains."""
    async with opened(path) as keeper, opened(path) as worker:
        await ended(keeper, "old", NESTED["large"])
        claim, head = await held(worker, "new")
        before(keeper, monkeypatch, pruning._delete, lambda: appended(worker, batch(claim, head, done("a", NESTED))))
        await keeper.prune(["old"], "ann", T0)
        assert [entry.event for entry in (await keeper.read("new")).entries][1] == done("a", NESTED)


async def test_a_run_is_not_taken_over_without_a_content_that_went_meanwhile(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store had it when it was looked for, and its only run was pruned since."""
    async with opened(path) as forking, opened(path) as keeper:
        await ended(keeper, "r", LARGE)
        fork = msgspec.structs.replace(whole("f", (started("f"),), (done("a", LARGE),)), contents={})
        before(forking, monkeypatch, None, lambda: keeper.prune(["r"], "ann", T0))
        with pytest.raises(JournalCorrupt, match="is missing"):
            await forking.adopt(fork)
        assert await keeper.row("f") is None


async def test_two_who_prune_at_once_delete_nothing_that_is_needed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds that the other deleted something begins anew: places in the file that were looked at are others' by now."""
    async with opened(path) as one, opened(path) as two:
        for name, value in (("a", LARGE), ("stays", 1), ("c", 2)):
            await ended(one, name, value)

        async def meanwhile() -> None:
            await two.prune(["c"], "bob", T0)
            await ended(two, "later", LARGE)

        before(one, monkeypatch, pruning._delete, meanwhile)
        await one.prune(["a"], "ann", T0)
        assert {row.run_id for row in await one.rows()} == {"stays", "later"}
        assert (await one.health(T0, deep=True)).problems == ()
        await one.prune(["stays", "later"], "ann", T0)
    assert rows(path, "select (select count(*) from contents), (select count(*) from loose)") == [(0, 0)]


async def test_two_who_prune_at_once_leave_nothing_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one has found to be referred to is let go by the other, who has not judged it yet."""
    async with opened(path) as one, opened(path) as two:
        for name in ("a", "b"):
            await ended(one, name, LARGE)

        async def meanwhile() -> None:
            await two.file.write(functools.partial(pruning._forget, run_ids=["b"], by="bob", at=T0))

        before(one, monkeypatch, pruning._settle, meanwhile)
        await one.prune(["a"], "ann", T0)
        await two.prune([], "bob", T0)
    assert rows(path, "select (select count(*) from contents), (select count(*) from loose)") == [(0, 0)]


async def test_what_a_crash_left_is_found_by_the_next_pruning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that are gone and contents that are not; whatever is pruned then, be it nothing."""
    async with opened(path) as journal:
        await ended(journal, "r", LARGE)
        with monkeypatch.context() as patched:
            patched.setattr(pruning, "_sweep", crash)
            with pytest.raises(JournalUnavailable):
                await journal.prune(["r"], "ann", T0)
    assert rows(path, "select count(*) > 0 from contents") == [(1,)]
    async with opened(path) as journal:
        assert [proof.run_id for proof in await journal.proofs()] == ["r"]
        assert await journal.prune([], "ann", T0) == []
    assert rows(path, "select (select count(*) from contents), (select count(*) from loose)") == [(0, 0)]


async def crash(_: object) -> bool:
    raise JournalUnavailable("the power went")


async def test_contents_go_in_steps_however_they_are_nested(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are judged one by one, and where each step deletes one."""
    for name, value in (
        ("JUDGED_MAX", 1),
        ("BYTES_MAX", 1),
        ("BATCHES_READ", 1),
        ("CONTENTS_READ", 1),
        ("ENTRIES_MAX", 1),
        ("PAUSE_SECONDS", 0.0),
    ):
        monkeypatch.setattr(pruning, name, value)
    async with opened(path) as journal:
        for name in ("a", "b", "c"):
            await ended(journal, name, NESTED, LARGE)
        assert len(await journal.prune(["a", "b"], "ann", T0)) == 2
        assert [entry.event for entry in (await journal.read("c")).entries][1:3] == [done("s0", NESTED), done("s1", LARGE)]
        commits = journal.file.commits
        await journal.prune(["c"], "ann", T0)
        assert journal.file.commits - commits > 5
    assert rows(path, "select (select count(*) from contents), (select count(*) from loose)") == [(0, 0)]


async def test_the_number_of_a_pruned_run_is_another_s_without_harm(path: Path) -> None:
    """A worker that holds on to a claim of long ago writes into nobody's journal."""
    async with opened(path) as worker, opened(path) as keeper:
        claim, head = await held(worker, "old")
        over = await appended(worker, batch(claim, head, done("a")))
        await appended(worker, batch(claim, over, e.RunCompleted(), release=parked("completed")))
        await keeper.prune(["old"], "ann", T0)
        await held(keeper, "new")
        assert rows(path, "select id from runs") == [(1,)]
        with pytest.raises((Superseded, RunPruned)):
            await worker.append(batch(claim, head, done("b")))
        assert len((await keeper.read("new")).entries) == 1


async def test_nothing_of_a_pruned_run_is_left_in_the_file(path: Path) -> None:
    """It is overwritten, and not just let go; the large values too."""
    async with opened(path) as journal:
        await ended(journal, "r", "a secret of somebody's", {"text": "another secret " * 5_000})
        await ended(journal, "s", "what stays")
        await journal.prune(["r"], "ann", T0)
    found = path.read_bytes()
    assert b"what stays" in found
    assert b"secret of somebody" not in found
    assert b"another secret" not in found


# --- copies -----------------------------------------------------------------------------------------------------------


async def test_a_store_is_copied_while_it_is_written(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chain in each copy holds, whoever writes meanwhile; and nobody waits for it."""
    monkeypatch.setattr(backup, "PAGES_STEP", 3)
    async with opened(path) as journal:
        claim, head = await held(journal, "busy")
        for number in range(20):
            await ended(journal, f"r{number}", {"text": f"{number}" * 10_000})
        for number in range(3):
            copying = asyncio.ensure_future(journal.backup(str(tmp_path / f"copy-{number}.db")))
            known = head
            while not copying.done():
                head = await appended(journal, batch(claim, head, done("a", "x" * 5_000)))
            assert (await copying).runs == 21
            assert head.version > known.version + 1
            async with opened(tmp_path / f"copy-{number}.db") as copy:
                assert (await copy.health(T0, deep=True)).problems == ()
                found = (await copy.read("busy")).head.version
            assert known.version <= found <= head.version
    assert {file.name for file in tmp_path.iterdir()} == {"runs.db", "copy-0.db", "copy-1.db", "copy-2.db"}


async def test_a_copy_that_has_no_room_is_none(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is known before, and where the disk is full in the middle; nothing half is left, and the store goes on."""
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    async with opened(path) as journal:
        await ended(journal, "r", LARGE)
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
            with pytest.raises(JournalUnavailable, match=r"the copy needs .* MB, and 0 MB are free there"):
                await journal.backup(str(target))
        with monkeypatch.context() as patched:
            patched.setattr(backup, "_opened", small)
            with pytest.raises(JournalUnavailable, match="the disk is full") as caught:
                await journal.backup(str(target))
            assert "name another place" in str(caught.value)
        assert list(target.parent.iterdir()) == []
        await ended(journal, "s", LARGE)
        assert (await journal.backup(str(target))).runs == 2


def small(path: str) -> apsw.Connection:
    """A file that can have a few pages only."""
    connection = apsw.Connection(path)
    connection.pragma("max_page_count", 20)
    return connection


async def test_a_copy_goes_where_nothing_is(path: Path, tmp_path: Path) -> None:
    """Not over a file, a folder or a link that leads nowhere, also one that comes while it is made."""
    async with opened(path) as journal:
        (tmp_path / "file").write_text("mine")
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        for name in ("file", "folder", "link"):
            with pytest.raises(UsageError, match="there is something at"):
                await journal.backup(str(tmp_path / name))
        with pytest.raises(UsageError, match="there is no folder"):
            await journal.backup(str(tmp_path / "no" / "copy.db"))
    assert (tmp_path / "file").read_text() == "mine"


async def test_a_name_that_is_taken_while_the_copy_is_made_stays_taken(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy gives way."""
    target = tmp_path / "copy.db"
    synced = backup._synced

    def late(name: str, flags: int) -> None:
        target.write_text("mine")
        synced(name, flags)

    monkeypatch.setattr(backup, "_synced", late)
    async with opened(path) as journal:
        with pytest.raises(UsageError, match="by now"):
            await journal.backup(str(target))
    assert target.read_text() == "mine"
    assert {file.name for file in tmp_path.iterdir()} == {"runs.db", "copy.db"}


async def test_a_damaged_store_is_not_copied_as_if_it_were_whole(path: Path, tmp_path: Path) -> None:
    """A page that nobody has read for long: the copy is looked through, and is none; and who looks at all of the store says so."""
    async with opened(path) as journal:
        for number in range(30):
            await ended(journal, f"r{number}", f"marked-{number} " * 100)
    raw = bytearray(path.read_bytes())
    page = raw.index(b"marked-15 ") // 4096 * 4096
    raw[page : page + 8] = bytes(8)
    path.write_bytes(raw)
    async with opened(path) as journal:
        with pytest.raises(JournalCorrupt, match="damaged"):
            await journal.backup(str(tmp_path / "copy.db"))
        assert not list(tmp_path.glob("copy*"))
        assert (await journal.health(T0)).problems == ()
        problems = (await journal.health(T0, deep=True)).problems
        assert any(problem.startswith("the file ") for problem in problems)


@pytest.mark.parametrize(
    ("mark", "version", "error"), [(7, 1, JournalCorrupt), (0x486F6C64, len(migrations()) + 1, JournalTooNew)]
)
async def test_what_is_no_store_of_ours_is_not_copied(
    path: Path, tmp_path: Path, mark: int, version: int, error: type[Exception]
) -> None:
    """A database of something else, and one of a later release."""
    async with opened(path):
        pass
    rows(path, f"pragma application_id = {mark}")
    rows(path, f"pragma user_version = {version}")
    with pytest.raises(error):
        await SqliteJournal(path).backup(str(tmp_path / "copy.db"))
    assert [file.name for file in tmp_path.iterdir()] == ["runs.db"]


# --- how it is --------------------------------------------------------------------------------------------------------


async def test_large_values_that_are_missing_or_changed_are_found(path: Path) -> None:
    """Where all of the store is read, with the run that needs them."""
    async with opened(path) as journal:
        await ended(journal, "a", {"text": "a" * 20_000})
        await ended(journal, "b", {"text": "b" * 20_000})
        rows(path, "update contents set body = cast(replace(body, 'aaa', 'aba') as blob) where instr(body, 'aaaa')")
        rows(path, "delete from contents where instr(body, 'bbbb')")
        problems = (await journal.health(T0, deep=True)).problems
    assert len(problems) == 2
    assert "run b: the content" in problems[0]
    assert "is missing" in problems[0]
    assert "is not what was written" in problems[1]


async def test_many_problems_of_a_kind_are_counted(path: Path) -> None:
    """And not all told."""
    async with opened(path) as journal:
        for number in range(30):
            await held(journal, f"r{number}")
        rows(path, "update runs set version = 9")
        problems = (await journal.health(T0, deep=True)).problems
    assert len(problems) == 21
    assert problems[0] == "run r0: the journal ends at entry 1 instead of 9"
    assert problems[-1] == "and 10 more like these"


async def test_a_store_is_looked_at_while_somebody_writes(path: Path) -> None:
    """No lock of a writer is in the way; one who has the file for itself alone is named as the trouble that it is."""
    async with opened(path) as journal:
        await held(journal, "r")
        connection = apsw.Connection(str(path))
        connection.execute("begin immediate")
        async with opened(path, read_only=True) as looking:
            assert (await looking.health(T0, deep=True)).runs == {"running": 1}
        connection.close()
    connection = apsw.Connection(str(path))
    connection.execute("pragma locking_mode = exclusive")
    connection.execute("begin immediate; insert into workers values ('w', '[]', 1.0); commit")
    looking = SqliteJournal(path, busy_seconds=0.01, read_only=True)
    with pytest.raises(JournalUnavailable, match="locked"):
        await looking.open()
    await looking.close()
    connection.close()


async def test_whoever_only_looks_writes_nothing_and_leaves_nothing(path: Path) -> None:
    """And cannot be made to."""
    async with opened(path) as journal:
        await held(journal, "r")
    before = path.read_bytes()
    async with opened(path, read_only=True) as looking:
        assert len((await looking.read("r")).entries) == 1
        with pytest.raises(JournalUnavailable, match="looked at only"):
            await looking.prune(["r"], "ann", T0)
        assert await looking.proofs() == []
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


async def test_a_look_at_a_large_store_walks_indices(path: Path) -> None:
    """No question of the quick look reads all runs, messages or debts."""
    async with opened(path):
        pass
    for sql in (_EXPIRED, _UNCLAIMED, _PARKED, _LETTERS, "select status, count(*) from runs group by status"):
        plan = [detail for *_, detail in rows(path, f"explain query plan {sql}", *([1.0, 1.0, 9] if "?" in sql else []))]
        assert not [line for line in plan if line.startswith("SCAN") and "INDEX" not in line], (sql, plan)


async def test_rows_of_a_run_are_found_by_indices_when_it_goes(path: Path) -> None:
    """In every table, or pruning would read the whole store for each run."""
    async with opened(path):
        pass
    for table in pruning._BY_NUMBER:
        ((*_, detail),) = rows(path, f"explain query plan delete from {table} where run = 1")
        assert "INDEX" in detail or "PRIMARY KEY" in detail, (table, detail)
    for table in pruning._BY_ID:
        plan = [detail for *_, detail in rows(path, f"explain query plan delete from {table} where run_id = 'r'")]
        assert all("INDEX" in detail or "PRIMARY KEY" in detail for detail in plan), (table, plan)


def test_every_table_with_rows_of_runs_is_known_to_those_who_prune(tmp_path: Path) -> None:
    """One that a later migration adds, or a column that names a run, has to be thought of here."""
    connection = apsw.Connection(":memory:")
    for _, text, _ in migrations():
        connection.execute(text)
    tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    with_runs = {
        table: column
        for table in tables
        for _, column, *_ in connection.execute(f"pragma table_info({table})")
        if column in ("run", "run_id") and table != "runs"
    }
    cascading, staying = {"inbox_bodies", "sights"}, {"memories", "firings", "proofs"}
    assert set(with_runs) == {*pruning._BY_NUMBER, *pruning._BY_ID, *cascading, *staying}
