"""What the drivers of the labs share: a directory to work in, and a terminal on which every command is shown and run.

The commands are the real command line in processes of their own, just as they are printed; what is killed is killed with
SIGKILL. Of their output, lines are cut at the width of the page, and nothing else.
"""

import asyncio
import json
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

from holdfast import Holdfast
from holdfast.core.events import Entry
from holdfast.errors import UsageError
from holdfast.labs import http_call
from holdfast.labs.http_call import WORLD
from holdfast.labs.reasoning import MODEL, in_words
from holdfast.labs.services import Services
from holdfast.labs.services.ledger import RequestRow
from holdfast.replaying import replay_part

WIDTH = 98
STORE = "runs.db"
COMMAND_SECONDS_MAX = 60.0
POLL_SECONDS = 0.02

_SOURCES = Path(__file__).resolve().parents[2]


class Workshop:
    """A lab's directory with a copy of its files, and the processes that work in it."""

    def __init__(
        self, files: Path, names: Sequence[str], *, directory: Path | None, keep: bool, model: str | None = None
    ) -> None:
        """Make the directory, and copy `names` from `files` into it. model: what the agents ask in place of their scripts.

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
        self.model = model
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

    def title(self, lab: str, seed: int, *, thinks: bool = False) -> None:
        """thinks: the agents ask a model, so it is said which."""
        left = f"holdfast lab {lab}"
        right = f"{in_words(self.model)}, seed {seed}" if thinks else f"seed {seed}"
        print(left + right.rjust(WIDTH - len(left)), flush=True)

    def heading(self, text: str) -> None:
        print(f"\n{text}\n{'-' * len(text)}", flush=True)

    def say(self, *lines: str) -> None:
        """Lines as they are, however long: what is pasted must be whole."""
        for line in lines:
            print(line, flush=True)

    def line(self, text: str) -> None:
        """A line of the page, cut at its width."""
        print("  " + (text if len(text) <= WIDTH - 2 else text[: WIDTH - 3] + "…"), flush=True)

    def paragraph(self, head: str, text: str) -> None:
        """Words under a head, whole, in as many lines as they need."""
        indent = "  " + " " * len(head)
        print(textwrap.fill(text, WIDTH, initial_indent=f"  {head}", subsequent_indent=indent), flush=True)

    def note(self, text: str) -> None:
        """Something that was seen from outside, with the seconds since the lab began."""
        at = f"  {time.monotonic() - self._began:5.1f} s  "
        print(textwrap.fill(text, WIDTH, initial_indent=at, subsequent_indent=" " * len(at)), flush=True)

    def entry(self, seconds: float, text: str) -> None:
        """An entry of a journal, with the seconds since its run was started."""
        at = f"  {seconds:5.2f} s  "
        lines = textwrap.wrap(
            text, WIDTH, initial_indent=at, subsequent_indent=" " * len(at), max_lines=2, placeholder=" …", break_on_hyphens=False
        )
        print("\n".join(lines), flush=True)

    def table(self, rows: Iterable[Sequence[object]]) -> None:
        """Rows of cells, the first row the head; numbers go to the right."""
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
        for row in cells:
            self.line("  ".join(_aligned(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def verdict(self, claims: Sequence[str], problems: Sequence[str]) -> int:
        """What was checked, and how it came out; the exit code. The record of every run is walked again, too."""
        walked, differing = self._walked()
        claims, problems = [*claims, *walked], [*problems, *differing]
        self.heading("Check")
        for line in [f"WRONG: {problem}" for problem in problems]:
            self.say(f"  {line}")
        for claim in claims if not problems else ():
            self.say(textwrap.fill(claim, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False))
        self.say("", "  ok" if not problems else f"  {len(problems)} wrong")
        if self.keep:
            self.say(f"  kept in {self.directory}")
        return 1 if problems else 0

    def _walked(self) -> tuple[list[str], list[str]]:
        """What a replay of all runs in the lab's stores says, and what is wrong there."""
        found = [one for db in sorted(self.directory.rglob("*.db")) for one in replay_part(str(db))]
        wrong = [
            f"a replay of {one.run_id}: "
            + (f"it would be ruled otherwise at entry {one.divergence.sequence}" if one.divergence is not None else one.problem)
            for one in found
            if not one.agrees
        ]
        rulings = sum(one.rulings for one in found)
        return ([f"The record of {len(found)} runs was walked again: {rulings} rulings as recorded."] if found else []), wrong

    # --- commands -------------------------------------------------------------------------------------------------

    def start(self, *words: str, world: Path | None = None, ahead: str = "") -> "Worker":
        """Show a `holdfast` command and start it; it goes on while the driver looks at the world.

        world: where its tools look for the services, if not in this shop's world. ahead: how far its clock is ahead, such as 7d.
        """
        self.say("", *_wrapped(words, ahead))
        worker = Worker(_command(words, ahead), self.directory, self._environment(world or self.world), len(self._workers) + 1)
        self._workers.append(worker)
        return worker

    def until_held(self, services: Services, service: str, worker: "Worker") -> bool:
        """Wait for the moment between an effect of a service and its answer; False, and why, when it does not come."""
        deadline = time.monotonic() + COMMAND_SECONDS_MAX
        while not worker.has_ended() and time.monotonic() < deadline:
            try:
                # A hold on another service may come first: that one is only to be slow.
                if services.wait_held(0.5)["service"] == service:
                    return True
            except TimeoutError:
                pass
        self.note("the moment to kill the worker did not come")
        worker.end()
        self.follow(worker)
        return False

    def kill(self, worker: "Worker") -> bool:
        """SIGKILL a worker; whether that is what ended it."""
        self.say("", f"$ kill -9 {worker.process.pid}")
        return worker.kill()

    def run(self, *words: str, ahead: str = "") -> int:
        """Show a `holdfast` command, run it, and show what it prints; returns its exit code."""
        return self.follow(self.start(*words, ahead=ahead))

    def follow(self, worker: "Worker") -> int:
        """Show what a command prints while it goes on; returns its exit code."""
        deadline = time.monotonic() + COMMAND_SECONDS_MAX
        shown = 0
        while True:
            has_ended = worker.has_ended()
            # Whole lines only, as the last one may still be in the writing.
            lines = worker.output().splitlines(keepends=True)
            for line in lines[shown:]:
                if has_ended or line.endswith("\n"):
                    self.line(line.rstrip())
                    shown += 1
            if has_ended:
                return worker.process.returncode
            if time.monotonic() > deadline:
                worker.end()
                raise RuntimeError(f"a command did not end within {COMMAND_SECONDS_MAX:g} s")
            time.sleep(POLL_SECONDS)

    # --- what came of it ------------------------------------------------------------------------------------------

    def histories(self) -> dict[str, list[Entry]]:
        """The journals of all runs in the store, by id."""
        return histories_in(self.db)

    def requests_of(self, services: Services) -> list[RequestRow]:
        """All requests that came in; they are kept beside the ledger, which the services write themselves."""
        requests = services.requests()
        (self.world / "requests.json").write_text(json.dumps(requests, indent=1), encoding="utf-8")
        return requests

    def pasted(self, *words: str) -> str:
        """A `holdfast` command that works in the caller's shell from any directory."""
        return f"{_holdfast()} {shlex.join(words)} --db {shlex.quote(str(self.db))}"

    def _environment(self, world: Path) -> dict[str, str]:
        path = os.environ.get("PYTHONPATH")
        return {
            **{name: value for name, value in os.environ.items() if name != MODEL},
            **({MODEL: self.model} if self.model is not None else {}),
            WORLD: str(world),
            http_call.STORE: str(self.db),
            # The package that this file belongs to, also where only our sys.path knows of it.
            "PYTHONPATH": f"{_SOURCES}{os.pathsep}{path}" if path else str(_SOURCES),
            "PYTHONUNBUFFERED": "1",
            # Their output is read as UTF-8, whatever the terminal of the caller speaks.
            "PYTHONUTF8": "1",
        }


def histories_in(db: Path) -> dict[str, list[Entry]]:
    """The journals of all runs in a store, by id."""

    async def read() -> dict[str, list[Entry]]:
        async with Holdfast(db) as app:
            return {row.run_id: await app.history(row.run_id) for row in await app.runs()}

    return asyncio.run(read())


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

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> bool:
        self.process.send_signal(signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL

    def end(self) -> None:
        """Leave no process behind, whatever went wrong."""
        if not self.has_ended():
            self.process.kill()
            self.process.wait()


def _command(words: Sequence[str], ahead: str) -> list[str]:
    # Without -P the directory of the lab would be importable, and its files are named after common things.
    return [sys.executable, "-P", "-m", *(("holdfast.labs.ahead", ahead) if ahead else ("holdfast",)), *words]


def _wrapped(words: Sequence[str], ahead: str) -> list[str]:
    """A command as it is typed; one that is wider than the page in several lines, as a shell takes them."""
    lines = [f"$ python -m holdfast.labs.ahead {ahead}" if ahead else "$ holdfast"]
    for word in map(shlex.quote, words):
        if len(lines[-1]) + len(word) + 3 > WIDTH:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return lines


def _holdfast() -> str:
    """How the caller's shell reaches the command line: by name, by the path that was used, or through Python."""
    if shutil.which("holdfast"):
        return "holdfast"
    if Path(sys.argv[0]).name == "holdfast":
        return shlex.quote(os.path.abspath(sys.argv[0]))
    return f"{shlex.quote(sys.executable)} -m holdfast"


def _aligned(cell: str, width: int) -> str:
    return cell.rjust(width) if cell.isdigit() else cell.ljust(width)
