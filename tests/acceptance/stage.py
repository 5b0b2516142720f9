"""What the acceptance tests share: a store, a world of files, and real `holdfast` processes that work on both."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from holdfast import Holdfast
from holdfast.core.events import Entry
from holdfast.loading import agent_of

AGENTS = Path(__file__).with_name("agents.py")
SOURCES = Path(__file__).resolve().parents[2] / "src"
POLL_SECONDS = 0.01

T = TypeVar("T")


class Stage:
    """A directory with a store and a world, and the processes that were started on them."""

    def __init__(self, directory: Path) -> None:
        self.world = directory / "world"
        self.db = directory / "runs.db"
        for name in ("keys", "flags", "gates"):
            (self.world / name).mkdir(parents=True)
        self.environment = {**os.environ, "WORLD": str(self.world), "PYTHONPATH": str(SOURCES)}
        self._processes: list[subprocess.Popen[str]] = []

    # --- processes ------------------------------------------------------------------------------------------------

    def command(self, *words: str) -> list[str]:
        """`holdfast …` on this stage's store; AGENTS stands for the file with the agents."""
        named = [word.replace("AGENTS", str(AGENTS)) for word in words]
        return [sys.executable, "-P", "-m", "holdfast", *named, "--db", str(self.db)]

    def holdfast(self, *words: str, seconds: float = 30.0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, timeout=seconds, check=False, **options
        )

    def begin(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command and leave it running; what it says goes into a file that `said` reads."""
        number = len(self._processes)
        with (self.world / f"said-{number}").open("w") as said:
            process = subprocess.Popen(self.command(*words), env=self.environment, stdout=said, stderr=said, text=True, **options)
        self._processes.append(process)
        return process

    def said(self, process: subprocess.Popen[str]) -> str:
        """All that a process begun here has written so far."""
        return (self.world / f"said-{self._processes.index(process)}").read_text()

    def until(self, look: Callable[[], T], seconds: float = 20.0) -> T:
        """What `look` returns as soon as that is true. AssertionError when it never is, or a process here has failed."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            self.check_processes()
            assert time.monotonic() < deadline, f"it did not come in {seconds:g} s"
            time.sleep(POLL_SECONDS)
        return seen

    def check_processes(self) -> None:
        """AssertionError where a process has ended with a failure of its own; one that was killed has none."""
        for process in self._processes:
            assert process.poll() in (None, 0, -signal.SIGKILL), self.said(process)

    def close(self) -> None:
        """End every process that is still there, the stopped ones too."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    # --- runs -----------------------------------------------------------------------------------------------------

    async def start(self, agent: str, names: Iterable[str]) -> list[str]:
        """Put runs into the store for whichever worker comes; the ids are the names."""
        loaded = agent_of(f"{AGENTS}:{agent}")
        async with Holdfast(self.db) as app:
            return [await app.start(loaded, id=name, inputs={"name": name}) for name in names]

    async def history(self, run_id: str) -> list[Entry]:
        """The journal of a run."""
        async with Holdfast(self.db) as app:
            return await app.history(run_id)

    async def statuses(self) -> dict[str, str]:
        """Every run and its status."""
        async with Holdfast(self.db) as app:
            return {row.run_id: row.status for row in await app.runs()}

    async def until_statuses(self, expected: dict[str, str] | str, seconds: float = 30.0) -> None:
        """Wait until the runs are left like this; a single word stands for all of them."""
        deadline = time.monotonic() + seconds
        async with Holdfast(self.db) as app:
            while True:
                rows = {row.run_id: row.status for row in await app.runs()}
                if rows == expected or (isinstance(expected, str) and set(rows.values()) == {expected}):
                    return
                self.check_processes()
                assert time.monotonic() < deadline, f"after {seconds:g} s: {rows}"
                await asyncio.sleep(POLL_SECONDS)

    async def until_working(self, count: int, seconds: float = 20.0) -> None:
        """Wait until so many workers have told the store which runs they take on."""
        deadline = time.monotonic() + seconds
        async with Holdfast(self.db) as app:
            while len([worker for worker in await app.workers() if worker.agents]) < count:
                self.check_processes()
                assert time.monotonic() < deadline, f"{count} workers did not come in {seconds:g} s"
                await asyncio.sleep(POLL_SECONDS)

    # --- the world ------------------------------------------------------------------------------------------------

    def shut(self, subject: str) -> None:
        """Let the next calls on a subject wait inside the tool, before anything has happened."""
        (self.world / "gates" / f"{subject}.shut").touch()

    def open(self, subject: str) -> None:
        """Let them go on."""
        (self.world / "gates" / f"{subject}.shut").unlink()

    def waits(self, subject: str) -> bool:
        """Whether a call waits at the gate."""
        return (self.world / "gates" / f"{subject}.waits").exists()

    def effects(self) -> Counter[str]:
        """How often each subject was befallen. Keyed calls count once for each different key."""
        counted: Counter[str] = Counter()
        counted.update(file.read_text() for file in (self.world / "keys").iterdir() if "." not in file.name)
        counted.update(line.split()[0] for line in self._lines("ledger"))
        counted.update(file.name for file in (self.world / "flags").iterdir())
        return counted

    def calls(self) -> list[tuple[str, str, str, int]]:
        """Each time a tool was entered: its kind, subject, key and process."""
        lines = (line.split() for line in self._lines("calls"))
        return [(kind, subject, key, int(process)) for kind, subject, key, process in lines]

    def _lines(self, name: str) -> list[str]:
        file = self.world / name
        return file.read_text().splitlines() if file.exists() else []
