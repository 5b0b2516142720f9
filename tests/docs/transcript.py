"""Pages that run: what stands in the fenced blocks of a page, and a shell that does it from top to bottom.

The convention, for every page:

- a block whose first line is `# file: NAME` is written to that file; a Python program that no command of the page names is
  run once, and must end well. Any other Python block must at least be Python, and any other YAML block YAML;
- a block in `console` is done: lines that begin with `$ ` are typed into one shell for the whole page, lines with `> `
  go on with the command before, and what follows is what it must print. Of an output line, and between lines, `…` stands
  for anything. A command succeeds, unless its line ends in `# exit code N`;
- a command that ends in `&` goes on in the background; the next one is typed when what is shown of it was printed.

Each page has a folder of its own, which begins as a copy of `examples/`. What differs from run to run (times, lengths of
time, process numbers, random names) is made the same before it is compared.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
# The clients of the providers take seconds of CPU to load, and pages are done side by side.
PATIENCE_SECONDS = 60.0
# Before the next line is typed behind a command that goes on in the background: a person is not faster.
TYPING_SECONDS = 0.3

_FENCE = re.compile(r"^( *)(```+|~~~+) *([\w+-]*)[^\n]*$")
_FILE = re.compile(r"^# file: (\S+)\s*$")
_EXIT = re.compile(r"#.*\bexit code (\d+)\s*$")

# What is different each time, and the sign that stands for it. Order matters: the longer ones first.
_FLEETING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "<time>"),
    (re.compile(r"last link [0-9a-f]{16}"), "last link <link>"),
    (re.compile(r"\b[\w.-]+-\d+-[0-9a-f]{6}\b"), "<worker>"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:e-\d+)?(?:ms|s|m\d+s|h\d+m|d\d+h)\b"), "<span>"),
    (re.compile(r"seconds=[\d.e-]+"), "seconds=<number>"),
)
# Whether a killed worker's lease still runs when the next one starts depends on how fast this machine is.
_LEASE = re.compile(r" has it; it is taken over if nothing is heard from")
# Lines of the shell itself about its jobs.
_JOBS = re.compile(r"^\[\d+\]|^bash: line \d+: +\d+ (?:Killed|Terminated)|^bash: \d+ Killed")
_MARK = "\x01"


@dataclass(frozen=True)
class Block:
    """A fenced block. line: where it begins in the page, from 1."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that it is to be written to, if it says so."""
        found = _FILE.match(self.text.partition("\n")[0])
        return found[1] if found else None


@dataclass(frozen=True)
class Typed:
    """A command of a console block and what is shown of its output. line: of the command in the page."""

    command: str
    shown: tuple[str, ...]
    line: int

    @property
    def exit_code(self) -> int:
        """How it must end."""
        found = _EXIT.search(self.command)
        return int(found[1]) if found else 0

    @property
    def goes_on(self) -> bool:
        """Whether it is left running in the background."""
        return re.sub(r"\s#.*$", "", self.command).rstrip().endswith("&")


@dataclass(frozen=True)
class Came:
    """What came of a command: how it ended, and its lines."""

    exit_code: int
    lines: list[str]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    fence, language, start, indent = "", "", 0, 0
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(line)
        if not fence and mark:
            fence, language, start, inside, indent = mark[2], mark[3], number, [], len(mark[1])
        elif fence and line.strip() == fence:
            found.append(Block(language, "\n".join(inside) + "\n", start))
            fence = ""
        elif fence:
            inside.append(line[indent:])
    assert not fence, f"the block that begins in line {start} never ends"
    return found


def typed(block: Block, gaps: bool = False) -> list[Typed]:
    """The commands of a console block. gaps: as if `…` stood before and behind each line that is shown."""
    found: list[tuple[str, list[str], int]] = []
    for offset, line in enumerate(block.text.splitlines(), 1):
        if line.startswith("$ "):
            found.append((line[2:], [], block.line + offset))
        elif line.startswith("> ") and found and not found[-1][1]:
            command, shown, number = found[-1]
            found[-1] = (f"{command}\n{line[2:]}", shown, number)
        elif found:
            found[-1][1].append(line)
        else:
            raise AssertionError(f"line {block.line + offset}: a console block begins with a command")
    return [Typed(command, _shown(lines, gaps), number) for command, lines, number in found]


def _shown(lines: list[str], gaps: bool) -> tuple[str, ...]:
    while lines and not lines[-1].strip():
        lines.pop()
    if gaps:
        return ("…", *(part for line in lines for part in (line, "…")))
    return tuple(lines)


def same(shown: tuple[str, ...], lines: list[str]) -> bool:
    """Whether these lines are what is shown; `…` on a line of its own stands for any lines, in a line for anything."""
    pattern = []
    for line in (line for line in shown if not _LEASE.search(line)):
        if line.strip() == "…":
            pattern.append(r"(?:[^\n]*\n)*?")
        else:
            pattern.append(r"[^\n]*?".join(map(re.escape, _steady(line).split("…"))) + r"\n")
    return re.fullmatch("".join(pattern), "".join(f"{_steady(line)}\n" for line in lines if not _LEASE.search(line))) is not None


def _steady(line: str) -> str:
    for fleeting, sign in _FLEETING:
        line = fleeting.sub(sign, line)
    # Columns are as wide as what stands in them, times included.
    return re.sub(r"(?<=\S) {2,}", "  ", line).rstrip()


class Shell:
    """One bash for a whole page, in a folder, with this source's `holdfast` and this Python's `python` in its path."""

    def __init__(self, folder: Path, tools: Path):
        self._start = (
            "set -m; code=0; while IFS= read -r -d '' -u 3 line; do eval \"(exit $code)\n$line\"; code=$?; "
            f"printf '\\n{_MARK}%s\\n' $code; done; kill -9 $(jobs -p) 2>/dev/null; wait"
        )
        tools.mkdir(parents=True)
        for name, words in (("holdfast", "-m holdfast"), ("python", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (tools / name).chmod(0o755)
        # Without CI: pytest says more there than a reader of the page would see.
        left_out = ("HOLDFAST_", "COLUMNS", "CI", "PYTEST_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        environment |= {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(SOURCES),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_asyncio.plugin",
            "LC_ALL": "C.UTF-8",
            "LOGNAME": "ann",  # Who answers, where nobody says so.
        }
        self._read_end, write_end = os.pipe()
        self._words = os.fdopen(write_end, "wb", buffering=0)
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", f"exec 3<&{self._read_end}; {self._start}"],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=(self._read_end,), start_new_session=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def type(self, what: Typed) -> Came:
        """Type a command, and wait for its end, or for what is shown where it goes on in the background."""
        self._words.write(what.command.encode() + b"\0")
        until, code = time.monotonic() + PATIENCE_SECONDS, -1
        lines: list[str] = []
        while True:
            try:
                line = self._lines.get(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"`{what.command}` did not come to an end; so far:\n" + "\n".join(lines)) from None
            assert line is not None, f"the shell ended at `{what.command}`:\n" + "\n".join(lines)
            if line.startswith(_MARK):
                code = int(line[1:])
                if lines and not lines[-1]:
                    lines.pop()  # The empty line that the mark itself brings.
            elif not _JOBS.match(line):
                lines.append(line)
            if code >= 0 and (not what.goes_on or same(what.shown, lines)):
                if what.goes_on:
                    time.sleep(TYPING_SECONDS)
                return Came(code, lines)

    def close(self) -> None:
        """Leave, and take along whatever still runs."""
        self._words.close()
        os.close(self._read_end)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._listener.join(10)


def perform(page: Path, folder: Path, *, gaps: bool = False) -> list[str]:
    """Do a whole page in a new folder; what is not as the page says, each in a few lines.

    gaps: lines may be left out of what is shown without a word; for a page that is to be short.
    """
    place = folder / "page"
    shutil.copytree(ROOT / "examples", place, ignore=shutil.ignore_patterns("__pycache__"))
    shell: Shell | None = None
    wrong: list[str] = []
    parts = blocks(page.read_text(encoding="utf-8"))
    named = "".join(block.text for block in parts if block.language != "python")
    try:
        for block in parts:
            commands = typed(block, gaps) if block.language == "console" else []
            if block.file is not None:
                (place / block.file).write_text(block.text, encoding="utf-8")
                if block.language == "python" and block.file not in named:
                    commands = [Typed(f"python {block.file}", ("…",), block.line)]
            if commands and shell is None:
                shell = Shell(place, folder / "bin")
            for what in commands:
                assert shell is not None
                came = shell.type(what)
                if came.exit_code != what.exit_code:
                    wrong.append(_told(page, what, f"ended with {came.exit_code}, not {what.exit_code}", came))
                elif not same(what.shown, came.lines):
                    wrong.append(_told(page, what, "printed something else", came))
    finally:
        if shell is not None:
            shell.close()
    return wrong


def _told(page: Path, what: Typed, problem: str, came: Came) -> str:
    return "\n".join((f"{page.name} line {what.line}: `{what.command}` {problem}:", *came.lines))
