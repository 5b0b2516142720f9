"""The command line as it is: in this process through typer's runner, or as a process of its own."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from holdfast.cli.main import app
from tests.cli.kit import MESSY, MESSY_TOOLS, PLANS, TOOLS, Cli, Ended, Process

# Typer makes all commands anew for each call, as a process does once; that takes longer than most commands do.
_made_once = functools.cache(get_command)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tools and plans, which is the current one."""
    (tmp_path / "tools.py").write_text(TOOLS)
    for name, text in PLANS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DB", raising=False)
    return tmp_path


@pytest.fixture
def cli(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Call a command in this process. What it imports is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("typer.testing._get_command", _made_once)
    before = set(sys.modules)

    def call(*words: str, stdin: bytes | None = None) -> Ended:
        result = CliRunner().invoke(app, list(words), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    yield call
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def messy(folder: Path) -> Path:
    """The folder, with tools whose calls end in more ways than done and failed."""
    (folder / "messy.py").write_text(MESSY_TOOLS)
    for name, text in MESSY.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def process(folder: Path) -> Iterator[Callable[..., Process]]:
    """Start a command as a process of its own; what is left of them is killed at the end."""
    started: list[Process] = []

    def start(*words: str) -> Process:
        started.append(Process(words, folder, f"process-{len(started)}"))
        return started[-1]

    yield start
    for one in started:
        one.popen.kill()
        one.popen.wait()


@pytest.fixture
def world(folder: Path) -> Callable[[], list[str]]:
    """What the tools did, line by line."""

    def lines() -> list[str]:
        file = folder / "world.txt"
        return file.read_text().splitlines() if file.exists() else []

    return lines
