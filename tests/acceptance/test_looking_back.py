"""Looking back under hostile hands: killed exports, a store named as the file to write, pipes, full disks, two who prune."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from holdfast import Holdfast, archive
from holdfast.errors import RunNotFound
from holdfast.loading import agent_of
from holdfast.replaying import replay_run
from tests.acceptance.stage import AGENTS, Stage


@pytest.fixture
async def ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage with three runs that completed."""
    monkeypatch.setenv("WORLD", str(stage.world))
    async with Holdfast(stage.db) as app:
        for name in ("r1", "r2", "r3"):
            await app.run(agent_of(f"{AGENTS}:three"), id=name, inputs={"name": name})
    return stage


async def test_an_export_or_a_picture_never_takes_the_place_of_the_store(ended: Stage) -> None:
    """Its file, its log, a link to it: each is refused, and the store is as it was."""
    link = ended.db.parent / "link.jsonl"
    link.symlink_to(ended.db)
    for words in (("export", "r1"), ("timeline", "r1")):
        for out in (ended.db, link):
            refused = ended.holdfast(*words, "--out", str(out))
            assert (refused.returncode, "is the store itself" in refused.stderr) == (2, True), refused.stderr
    assert set((await ended.statuses()).values()) == {"completed"}


async def test_what_comes_through_a_pipe_is_read_like_a_file(ended: Stage) -> None:
    """It is read twice, so it is kept meanwhile; also where the pipe has a name, as the shell's <(…) has."""
    out = ended.db.parent / "x.jsonl"
    assert ended.holdfast("export", "r1", "--out", str(out)).returncode == 0
    for words in (("import", "/dev/stdin", "--check"), ("replay", "/dev/stdin"), ("replay", "-")):
        read = subprocess.run(
            ended.command(*words), env=ended.environment, input=out.read_bytes(), capture_output=True, check=False, timeout=30
        )
        assert (read.returncode, read.stdout[:4]) == (0, b"r1  "), read.stderr


async def test_an_export_to_where_results_are_printed_is_nothing_but_the_export(ended: Stage) -> None:
    """`--out /dev/stdout` is the same as `-`."""
    printed = ended.holdfast("export", "r1", "--out", "/dev/stdout").stdout
    assert printed == ended.holdfast("export", "r1").stdout
    assert [run.run_id for run in archive.read_archive(line for line in printed.encode().splitlines(True))] == ["r1"]


async def test_what_has_no_room_where_it_is_printed_ends_in_one_sentence(ended: Stage) -> None:
    """No traceback, and an exit code that is not 0."""
    for words in (("export", "r1"), ("show", "r1", "--why")):
        with Path("/dev/full").open("wb") as full:
            failed = subprocess.run(
                ended.command(*words), env=ended.environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                timeout=30,
            )  # fmt: skip
        assert (failed.returncode, failed.stderr.count("\n")) == (1, 1), failed.stderr
        assert "No space left on device" in failed.stderr


async def test_a_name_that_is_too_long_is_refused_and_one_made_from_an_id_is_not(stage: Stage) -> None:
    """A file system has 255 bytes for a name; a run's id has 200 characters of up to four."""
    async with Holdfast(stage.db) as app:
        await app.start(agent_of(f"{AGENTS}:asks"), id="字" * 120, inputs={"name": "x"})
    drawn = stage.holdfast("timeline", "字" * 120, cwd=stage.world)
    assert drawn.returncode == 0, drawn.stderr
    for words in ("export", "timeline"):
        refused = stage.holdfast(words, "字" * 120, "--out", "x" * 300)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr, refused.stderr


async def test_a_killed_export_leaves_nothing_beside_what_was_there(ended: Stage) -> None:
    """The unfinished file has no name, so nobody has to find it and clear it away."""
    folder = ended.db.parent / "out"
    folder.mkdir()
    (folder / "x.jsonl").write_text("before")
    script = (
        "import sys; from pathlib import Path; from holdfast.archive.writing import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); print('now', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [*ended.command()[:2], "-c", script, str(folder / "x.jsonl")], env=ended.environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"x.jsonl": "before"}


async def test_a_backup_clears_away_what_a_killed_one_left(ended: Stage) -> None:
    """Only of a process that is gone, and only for the same place."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    folder = ended.db.parent
    for name in (f"b.db.unfinished-{gone.pid}", f"b.db.unfinished-{gone.pid}-journal", f"b.db.unfinished-{os.getpid()}"):
        (folder / name).write_text("half")
    assert ended.holdfast("backup", str(folder / "b.db")).returncode == 0
    assert sorted(file.name for file in folder.glob("b.db*")) == ["b.db", f"b.db.unfinished-{os.getpid()}"]


async def test_runs_that_are_pruned_meanwhile_are_no_fault_of_the_others(ended: Stage) -> None:
    """An export of all goes on without them and says so; one that names them fails."""
    out = ended.db.parent / "x.jsonl"
    async with Holdfast(ended.db) as app:
        await app.journal.prune(["r2"], "ann", 2e9)
        exported = await archive.export(app.journal, ["r1", "r2", "r3"], out, passes_over_missing=True)
        assert ([run.run_id for run in exported.runs], exported.missing) == (["r1", "r3"], ("r2",))
        assert [header.run_id for header in archive.checked(out)] == ["r1", "r3"]
        with pytest.raises(RunNotFound):
            await archive.export(app.journal, ["r1", "r2"], out)
        with pytest.raises(RunNotFound):
            await archive.export(app.journal, ["r2"], out, passes_over_missing=True)


async def test_a_snapshot_that_is_made_while_a_run_is_walked_does_not_differ(ended: Stage) -> None:
    """A worker goes on between the two reads: what was kept is read first, so it is met on the way."""
    async with Holdfast(ended.db) as app:
        read: list[str] = []

        class Watched:
            def __getattr__(self, name: str) -> object:
                read.append(name)
                return getattr(app.journal, name)

        await replay_run(Watched(), "r1")  # type: ignore[arg-type]
        assert read.index("checkpoint") < read.index("batches")
