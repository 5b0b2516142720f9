"""A store that is full, read-only or damaged, or made by ten processes at once."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from holdfast.core.events import CallIntended
from tests.acceptance.stage import Stage

STORE_TROUBLE = 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; skipped where nobody may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_a_full_disk_stops_a_run_before_its_next_effect_and_not_for_good(stage: Stage, small_disk: Path) -> None:
    """The worker says that the disk is full; no call was made that is not recorded; with space again the run finishes."""
    stage.db = small_disk / "runs.db"
    ballast = small_disk / "ballast"
    await stage.start("many", ["r"])
    worker = stage.begin("work", "AGENTS:many", "--lease", "1")
    stage.until(lambda: len(stage.calls()) > 5)
    ballast.write_bytes(b"")
    with ballast.open("ab", buffering=0) as file:
        fill(file.fileno(), small_disk)
    stage.until(lambda: "disk is full" in stage.said(worker))
    assert worker.poll() is None, "it stays, for the disk may be freed"

    recorded = {entry.event.key for entry in await stage.history("r") if isinstance(entry.event, CallIntended)}
    assert {key for _, _, key, _ in stage.calls()} <= recorded
    assert await stage.statuses() == {"r": "running"}
    ballast.unlink()
    # The last outcome may have been lost with the write: it is looked up, not done again.
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    await stage.until_statuses("completed")
    assert stage.effects() == {f"r-s{number}": 1 for number in range(1, 401)}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0


def fill(file: int, disk: Path) -> None:
    """Write until nothing fits any more."""
    block = b"\0" * 65536
    while block:
        try:
            os.write(file, block)
        except OSError:
            block = block[: len(block) // 2]


async def test_a_read_only_store_is_told_in_one_sentence_before_any_effect(stage: Stage) -> None:
    """Exit code 5, the path, what to do, no traceback, no call."""
    await stage.start("three", ["r"])
    for file in stage.db.parent.glob("runs.db*"):
        file.chmod(0o444)
    for command in (("run", "AGENTS:three", "--id", "r"), ("work", "AGENTS:three", "--until-idle")):
        refused = stage.holdfast(*command, preexec_fn=obey_file_modes)
        assert refused.returncode == STORE_TROUBLE, refused.stderr
        assert str(stage.db) in refused.stderr and "read-only" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert stage.calls() == []


def obey_file_modes() -> None:
    """Take from a process of root the power to write what is read-only (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


async def test_a_flipped_byte_is_found_by_verify_and_stops_that_run_only(stage: Stage) -> None:
    """`verify` names the entry, the damaged run is set aside with the reason, and the others go on to their end."""
    names = ["r1", "r2", "r3"]
    await stage.start("three", names)
    stage.shut("r2-b")
    worker = stage.begin("work", "AGENTS:three")
    stage.until(lambda: stage.waits("r2-b"))
    worker.send_signal(signal.SIGTERM)
    stage.open("r2-b")
    assert worker.wait(10) == 0
    entry = flip_a_byte(stage.db, "r2")
    await stage.start("three", ["r4"])

    verified = stage.holdfast("verify", "r2")
    assert verified.returncode in (1, STORE_TROUBLE), verified.stderr
    assert f"entry {entry}" in verified.stdout + verified.stderr
    assert stage.holdfast("verify", "r1").returncode == 0
    calls = len(stage.calls())
    worked = stage.holdfast("work", "AGENTS:three", "--until-idle")
    assert worked.returncode == 0, worked.stderr
    assert f"entry {entry}" in worked.stderr and "Traceback" not in worked.stderr

    assert await stage.statuses() == {"r1": "completed", "r2": "blocked", "r3": "completed", "r4": "completed"}
    assert not any(subject.startswith("r2") for _, subject, *_ in stage.calls()[calls:])
    assert set(stage.effects().values()) == {1}


def flip_a_byte(db: Path, run_id: str) -> int:
    """Change one bit in the middle of a run's journal; returns the first entry of the batch that it is in."""
    connection = apsw.Connection(str(db))
    rows = list(
        connection.execute(
            "select b.first, b.body, b.rowid from batches b join runs r on r.id = b.run where r.run_id = ? order by b.first",
            (run_id,),
        )
    )
    first, body, row = rows[len(rows) // 2]
    damaged = bytearray(body)
    damaged[len(damaged) // 2] ^= 0x01
    connection.execute("update batches set body = ? where rowid = ?", (bytes(damaged), row))
    connection.close()
    return int(first)


async def test_ten_processes_may_make_one_store_at_the_same_moment(stage: Stage) -> None:
    """All of them find the store made, whoever was first, and each does its run."""
    script = (
        "import sys; from holdfast.cli.main import app; import holdfast.app, holdfast.loading, holdfast.journal.sqlite;"
        "print('ready', flush=True); sys.stdin.readline(); app(sys.argv[1:])"
    )
    processes = []
    for number in range(10):
        words = stage.command("run", "AGENTS:one_keyed", "--id", f"r{number}", "--input", f"name=r{number}")[4:]
        command = [sys.executable, "-P", "-c", script, *words]
        processes.append(
            subprocess.Popen(
                command, env=stage.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert not stage.db.exists()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=30) for process in processes]

    assert [process.returncode for process in processes] == [0] * 10, said
    assert await stage.statuses() == {f"r{number}": "completed" for number in range(10)}
    assert stage.effects() == {f"r{number}-{step}": 1 for number in range(10) for step in "ab"}
