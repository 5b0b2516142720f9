"""Help, exit codes, and how the whole is put together."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from holdfast import __version__
from holdfast.cli import start
from holdfast.cli.main import ROOMS
from tests.cli.kit import SOURCE, Cli

COMMANDS = (
    "run",
    "work",
    "runs",
    "show",
    "verify",
    "diff",
    "timeline",
    "replay",
    "fork",
    "watch",
    "inbox",
    "answer",
    "correct",
    "goal",
    "cancel",
    "pause",
    "resume",
    "instruct",
    "handoff",
    "done",
    "pending",
    "callback",
    "signal",
    "gates",
    "people",
    "allow",
    "allowed",
    "revoke",
    "figures",
    "what-if",
    "audit",
    "monitors",
    "metrics",
    "export",
    "import",
    "prune",
    "backup",
    "doctor",
    "schedule",
    "memory",
    "eval",
    "check",
    "schema",
    "lab",
)


def test_what_begins_a_command_knows_the_room_of_each() -> None:
    """Only that one is loaded; a command that nobody knows of would be found by the slow way, and nobody would notice."""
    found: dict[str, tuple[str, ...]] = {}
    for room in ROOMS:
        app = typer.Typer()
        room.register(app)
        names = (*(command.name for command in app.registered_commands), *(group.name for group in app.registered_groups))
        found[room.__name__.rpartition(".")[2]] = tuple(name or "" for name in names)
    assert found == start.COMMANDS


def test_the_help_lists_every_command_and_every_exit_code(cli: Cli) -> None:
    """The list is what people find their way by; it changes only on purpose."""
    page = cli("--help").out
    listed = re.findall(r"^  ([a-z-]+) {2,}\S", page.partition("Commands:")[2].partition("Examples:")[0], re.MULTILINE)
    assert tuple(listed) == COMMANDS
    codes = re.findall(r"^ +(\d+)  \S", page, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "130"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_that_names_it(cli: Cli, command: str) -> None:
    """Examples are commands to paste."""
    page = cli(command, "--help")
    assert page.code == 0
    assert re.search(rf"Examples:\n(.*\n)*? *\$ holdfast {command}\b", page.out), page.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_is_for(cli: Cli, command: str) -> None:
    """An option without a word of help is a riddle."""
    page = cli(command, "--help").out.partition("Options:")[2].partition("Examples:")[0]
    options = re.split(r"\n  (?=-)", page)[1:]
    assert options
    for option in options:
        assert re.search(r" {2,}\w", option), option


def test_no_line_of_help_is_cut_on_a_narrow_page(cli: Cli) -> None:
    """The first line of each command's help fits the list of commands."""
    assert "..." not in cli("--help").out.partition("Commands:")[2].partition("Examples:")[0]


def test_no_command_at_all_shows_the_help_and_counts_as_used_wrongly(cli: Cli) -> None:
    """stdout stays empty, for nothing was asked for."""
    ended = cli()
    assert (ended.code, ended.out) == (2, "")
    assert "Commands:" in ended.err


def test_the_version_is_told(cli: Cli) -> None:
    """The same as the package's."""
    assert cli("--version").out == f"holdfast {__version__}\n"


def test_python_dash_m_holdfast_is_the_command_line(folder: Path) -> None:
    """Where the script is not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "--version"], env={"PYTHONPATH": SOURCE}, capture_output=True, text=True
    )
    assert done.stdout == f"holdfast {__version__}\n"


def test_the_help_page_loads_nothing_that_costs() -> None:
    """Neither rich nor pydantic, apsw or any room of holdfast below the command line."""
    code = (
        "import sys\nfrom holdfast.cli.main import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "dear = {'rich', 'pydantic', 'apsw', 'yaml', 'jsonschema_rs', 'holdfast.app', 'holdfast.agent'}\n"
        "print(sorted(dear & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": SOURCE}, capture_output=True, text=True)
    assert done.stderr == "[]\n"


def test_the_help_page_is_there_in_a_blink() -> None:
    """Bound: 0.4 s; processor time is measured, for a busy machine says nothing about us."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "holdfast", "--help"], env={"PYTHONPATH": SOURCE}, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.4


def test_a_closed_pipe_is_no_traceback(cli: Cli, folder: Path) -> None:
    """`holdfast show … | head -1` ends quietly."""
    assert cli("run", "quick.yaml", "--id", "q").code == 0
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", "show", "q"], cwd=folder, env={"PYTHONPATH": SOURCE}, stdout=writing,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert done.returncode in (0, 1)
    assert done.stderr == ""
