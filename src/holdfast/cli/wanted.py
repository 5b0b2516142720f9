"""What one call of `holdfast run` asks for, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.cli.options import INTERRUPTED, PERSON, UNFINISHED, code_of, command
from holdfast.cli.text import say
from holdfast.errors import HoldfastError, JournalUnavailable

if TYPE_CHECKING:
    from holdfast.agent import Agent
    from holdfast.app import Holdfast
    from holdfast.views import Summary


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of `run` asks for, for each of its runs. models: asked in place of the agent's."""

    agent: Agent
    file: str
    db: str
    goal: str | None
    patience_seconds: float | None
    start: dict[str, Any]
    json: bool
    quiet: bool
    models: tuple[str, ...] = ()

    def again(self, run_id: str) -> str:
        """The command that goes on with a run as this one does."""
        models = [word for name in self.models for word in ("--model", name)]
        return command(self.db, "run", self.file, "--id", run_id, *models)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One run that is asked for. where: its row in the table, for messages."""

    id: str
    inputs: dict[str, Any] | None
    where: str = ""


class Trouble:
    """What could not be advanced, by run. A store that takes no writes ends the whole command: waiting mends no disk."""

    def __init__(self) -> None:
        self.errors: dict[str, HoldfastError] = {}
        self.store: HoldfastError | None = None
        self.stop: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._stopping: asyncio.Task[None] | None = None

    def note(self, run_id: str, error: HoldfastError) -> None:
        """The engine tells it."""
        if not run_id:
            say(f"holdfast: {error}")
            return
        self.errors[run_id] = error
        if isinstance(error, JournalUnavailable) and self.store is None:
            self.store = error
            if self.stop is not None:
                self._stopping = asyncio.get_running_loop().create_task(self.stop())


async def summary_of(app: Holdfast, run_id: str) -> Summary:
    """How a run stands now."""
    from holdfast.cli.following import Follower

    follower = Follower(app, run_id)
    await follower.look()
    return (await follower.tree()).run


def code_of_run(left: Summary, signal: str) -> int:
    """The exit code for a run that was left so, after this signal or none."""
    code = code_of(left.status)
    if code == PERSON and not left.questions:
        code = UNFINISHED
    return INTERRUPTED if code == UNFINISHED and signal == "SIGINT" else code
