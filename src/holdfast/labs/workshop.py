"""What the drivers of the labs share: a directory to work in, and a terminal on which every command is shown and run.

The commands are the real command line in processes of their own, just as they are printed; what is killed is killed with
SIGKILL. Of their output, lines are cut at the width of the page, and nothing else.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.errors import UsageError
from holdfast.labs.http_call import WORLD

WIDTH = 98
STORE = "runs.db"
COMMAND_SECONDS_MAX = 60.0

_SOURCES = Path(__file__).resolve().parents[2]


class Workshop:
    """A lab's directory with a copy of its files, and the processes that work in it."""

    def __init__(self, files: Path, names: Sequence[str], *, directory: Path | None, keep: bool) -> None:
        """Make the directory, and copy `names` from `files` into it.

        Raises UsageError for a directory in which there is something already: a ledger of an older run would be counted.
        """
        if directory is not None and directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} is not an empty directory", hint="name one that is empty or not there yet")
        self.is_temporary = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="holdfast-")) if directory is None else directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.keep = keep or not self.is_temporary
        """Whether the directory stays when the lab is over; a driver that has left something to do in it sets this."""
        self.world = self.directory / "world"
        self.db = self.directory / STORE
        self._began = time.monotonic()
        self._workers: list[Worker] = []
        for name in names:
            shutil.copyfile(files / name, self.directory / name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self._workers:
            worker.end()
        if not self.keep and error is None:
            shutil.rmtree(self.directory, ignore_errors=True)

    # --- the page -------------------------------------------------------------------------------------------------

    def title(self, lab: str, seed: int) -> None:
        left = f"holdfast lab {lab}"
        print(left + f"seed {seed}".rjust(WIDTH - len(left)), flush=True)

    def heading(self, text: str) -> None:
        print(f"\n{text}\n{'-' * len(text)}", flush=True)

    def say(self, *lines: str) -> None:
        """Lines as they are, however long: what is pasted must be whole."""
        for line in lines:
            print(line, flush=True)

    def line(self, text: str) -> None:
        """A line of the page, cut at its width."""
        print("  " + (text if len(text) <= WIDTH - 2 else text[: WIDTH - 3] + "…"), flush=True)

    def note(self, text: str) -> None:
        """Something that was seen from outside, with the seconds since the lab began."""
        at = f"  {time.monotonic() - self._began:5.1f} s  "
        print(textwrap.fill(text, WIDTH, initial_indent=at, subsequent_indent=" " * len(at)), flush=True)

    def table(self, rows: Iterable[Sequence[object]]) -> None:
        """Rows of cells, the first row the head; numbers go to the right."""
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
        for row in cells:
            self.line("  ".join(_aligned(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def verdict(self, claims: Sequence[str], problems: Sequence[str]) -> int:
        """What was checked, and how it came out; the exit code."""
        self.heading("Check")
        for line in claims if not problems else [f"WRONG: {problem}" for problem in problems]:
            self.say(f"  {line}")
        self.say("", "  ok" if not problems else f"  {len(problems)} wrong")
        if self.keep:
            self.say(f"  kept in {self.directory}")
        return 1 if problems else 0

    # --- commands -------------------------------------------------------------------------------------------------

    def start(self, *words: str, environment: dict[str, str] | None = None) -> "Worker":
        """Show a `holdfast` command and start it; it goes on while the driver looks at the world."""
        self.say("", f"$ {_typed(words)}")
        worker = Worker(_command(words), self.directory, {**self._environment(), **(environment or {})}, len(self._workers) + 1)
        self._workers.append(worker)
        return worker

    def kill(self, worker: "Worker") -> bool:
        """SIGKILL a worker; whether that is what ended it."""
        self.say("", f"$ kill -9 {worker.process.pid}")
        return worker.kill()

    def run(self, *words: str, shown: bool = True) -> int:
        """Show a `holdfast` command, run it, and show what it printed; returns its exit code."""
        worker = self.start(*words)
        code = worker.wait()
        if shown:
            self.show(worker)
        return code

    def show(self, worker: "Worker") -> None:
        """What a command has printed, cut at the width of the page."""
        for line in worker.output().splitlines():
            self.line(line)

    def pasted(self, *words: str) -> str:
        """A `holdfast` command that works in the caller's shell from any directory."""
        return f"{_holdfast()} {shlex.join(words)} --db {shlex.quote(str(self.db))}"

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PYTHONPATH")
        return {
            **os.environ,
            WORLD: str(self.world),
            # The package that this file belongs to, also where only our sys.path knows of it.
            "PYTHONPATH": f"{_SOURCES}{os.pathsep}{path}" if path else str(_SOURCES),
            "PYTHONUNBUFFERED": "1",
        }


class Worker:
    """A command in a process of its own, with its output in a file."""

    def __init__(self, command: Sequence[str], directory: Path, environment: dict[str, str], number: int) -> None:
        self._output = directory / f"output-{number}.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> int:
        """The exit code, once it has ended. Raises RuntimeError with its output when it does not end."""
        try:
            return self.process.wait(COMMAND_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.end()
            raise RuntimeError(f"a command did not end within {COMMAND_SECONDS_MAX:g} s: {self.output()[-2000:]}") from None

    def kill(self) -> bool:
        self.process.send_signal(signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL

    def end(self) -> None:
        """Leave no process behind, whatever went wrong."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _command(words: Sequence[str]) -> list[str]:
    # Without -P the directory of the lab would be importable, and its files are named after common things.
    return [sys.executable, "-P", "-m", "holdfast", *words]


def _typed(words: Sequence[str]) -> str:
    return f"holdfast {shlex.join(words)}"


def _holdfast() -> str:
    """How the caller's shell reaches the command line: by name, by the path that was used, or through Python."""
    if shutil.which("holdfast"):
        return "holdfast"
    if Path(sys.argv[0]).name == "holdfast":
        return shlex.quote(os.path.abspath(sys.argv[0]))
    return f"{shlex.quote(sys.executable)} -m holdfast"


def _aligned(cell: str, width: int) -> str:
    return cell.rjust(width) if cell.isdigit() else cell.ljust(width)
