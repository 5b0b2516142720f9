"""`holdfast watch`: seeing a run go on that another process advances."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cli.kit import SOURCE, Cli, Process

World = Callable[[], list[str]]


def test_a_run_is_watched_from_another_process_until_it_ends(process: Callable[..., Process], folder: Path, world: World) -> None:
    """A line as each thing happens, from the first entry on; the exit code is that of the run."""
    runner = process("run", "slow.yaml", "--id", "s").until(lambda: "began one" in world())
    watcher = process("watch", "s")
    watcher.until(lambda: "a: calls slow" in watcher.printed)
    (folder / "go").touch()
    assert runner.end().code == 0
    watched = watcher.end()
    assert watched.code == 0
    assert [line.split("  ", 1)[1] for line in watched.out.splitlines()][-1] == "completed"


def test_a_run_that_failed_is_watched_with_its_exit_code(cli: Cli) -> None:
    """Also when it had ended before."""
    cli("run", "fails.yaml", "--id", "f")
    ended = cli("watch", "f", "--json")
    assert ended.code == 1
    assert [record["event"]["event"] for record in ended.records][-1] == "run_failed"


def test_on_a_terminal_a_tree_is_drawn(cli: Cli, folder: Path) -> None:
    """The run at its root, a branch for each step, and colours; nothing foreign steers it."""
    cli("run", "hostile.yaml", "--id", "h")
    screen = on_terminal(folder, "watch", "h")
    plain = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", screen)
    assert "h  completed" in plain
    assert re.search("├── bad  done", plain) and re.search("└── long  done", plain)
    assert "\x1b[32m" in screen


def test_colours_are_for_terminals_only(cli: Cli, folder: Path) -> None:
    """The same page without them in a pipe."""
    cli("run", "hostile.yaml", "--id", "h")
    on_screen, in_pipe = on_terminal(folder, "show", "h"), cli("show", "h").out
    assert "\x1b[" in on_screen and "\x1b" not in in_pipe
    assert "\x1b]0" not in on_screen and "\x1b[31m" not in on_screen


def test_long_work_shows_a_line_that_moves_on_a_terminal(folder: Path) -> None:
    """What is under way and since when; it is gone at the end."""
    (folder / "wait.py").write_text(
        "import asyncio\nfrom holdfast import Agent, tool\n"
        "@tool(safety='read')\nasync def nap() -> int:\n    await asyncio.sleep(0.4)\n    return 1\n"
        "agent = Agent('wait', tools=[nap], plan={'a': {'tool': 'nap'}})\n"
    )
    screen = on_terminal(folder, "run", "wait.py", "--id", "w")
    assert "a (being called, 0 s)" in screen
    assert "w  completed" in re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", screen)


def on_terminal(folder: Path, *words: str) -> str:
    """What a command sends to a terminal."""
    ours, theirs = pty.openpty()
    environment = {"PYTHONPATH": SOURCE, "TERM": "xterm-256color", "COLUMNS": "120", "LANG": "C.UTF-8"}
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", *words], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        screen = b""
        try:
            while part := os.read(ours, 65536):
                screen += part
        except OSError:
            pass  # Linux says so when nobody holds the other end any more.
        os.close(ours)
    return screen.decode().replace("\r\n", "\n")


def test_json_lines_of_watch_are_the_entries(cli: Cli) -> None:
    """The very ones that `show --events --json` prints."""
    cli("run", "quick.yaml", "--id", "q")
    assert cli("watch", "q", "--json").out == cli("show", "q", "--events", "--json").out
    assert json.loads(cli("watch", "q", "--json").out.splitlines()[0])["sequence"] == 1
