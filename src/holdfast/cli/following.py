"""Seeing a run go on, from this process or another: its journal is read where it has grown."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from holdfast.cli.text import one_line, say
from holdfast.core.events import ModelAnswered
from holdfast.core.evolve import evolve
from holdfast.errors import HoldfastError
from holdfast.journal.base import EMPTY, Message, RunRow
from holdfast.runner.clock import SystemClock
from holdfast.views import ON_STOP, Unheard, answered_words, cut, told, tree, under_way

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.status import Status
    from rich.text import Text

    from holdfast.app import Holdfast
    from holdfast.cli.streaming import Stream
    from holdfast.core.events import AnyEvent, Entry
    from holdfast.core.state import State
    from holdfast.views import Tree

LOOK_SECONDS = 0.05
_TOLD = 5


class Follower:
    """A run as far as it was read. `look` reads on; entries and state are those of the whole run."""

    def __init__(self, app: Holdfast, run_id: str):
        self._app = app
        self._run_id = run_id
        self._head = EMPTY
        self.row: RunRow | None = None
        self.state: State | None = None
        self.entries: list[Entry] = []

    async def look(self) -> list[Entry]:
        """What was written since the last look."""
        self.row = await self._app.journal.row(self._run_id)
        if self.row is None or self.row.version <= self._head.version:
            return []
        later = await self._app.journal.read(self._run_id, self._head)
        for entry in later.entries:
            self.state = evolve(self.state, entry)
        self._head = later.head
        self.entries.extend(later.entries)
        return later.entries

    async def tree(self, served: frozenset[str] = frozenset(), unheard: tuple[Unheard, ...] = ()) -> Tree:
        """The run as it was at the last look, and those that it started; there must have been one."""
        assert self.state is not None and self.row is not None, f"run {self._run_id} was never seen"
        children = await self._app.children(self._run_id) if self.state.children else ()
        return tree(self.state, self.entries, self.row, SystemClock().now(), served, unheard, children)


async def served_agents(app: Holdfast) -> frozenset[str]:
    """The agents that live workers have."""
    return frozenset(agent for worker in await app.workers() for agent in worker.agents)


async def unheard_words(app: Holdfast, run_id: str) -> tuple[Unheard, ...]:
    """What was said to a run and no worker has taken yet. Refusals are noted, not heard."""
    messages = await app.journal.messages(run_id)
    return tuple(_unheard(message) for message in messages if message.kind != "refused")


def _unheard(message: Message) -> Unheard:
    body = message.body
    by = f" by {body['by']}" if body.get("by") else ""
    match message.kind:
        case "callback":
            what = "that it failed" if body.get("failed") is not None else "a result"
            step = f" for {body['step']}" if body.get("step") else ""
            return Unheard(to="callback", said=cut(f"{what}{step} was delivered{by}"))
        case "signal":
            return Unheard(to="signal", said=cut(f"{body.get('name')} was sent{by}"))
        case "goal":
            return Unheard(to="goal", said=cut(f"it is for something else now{by}: {body.get('text') or body.get('inputs')}"))
        case "correct":
            return Unheard(to="correct", said=cut(f"{body.get('name')} is told{by}"))
        case "child":
            return Unheard(to="child", said=cut(f"run {body.get('child')} has ended: {body.get('status')}"))
        case "comment":
            return Unheard(to="comment", said=cut(f"on {body.get('interrupt')}{by}: {body.get('text')}"))
        case "pause" | "resume":
            what = "it is to pause" if message.kind == "pause" else "it is to go on"
            why = f": {body['reason']}" if body.get("reason") else ""
            return Unheard(to=message.kind, said=cut(f"{what}{by}{why}"))
        case "instruct":
            return Unheard(to="instruct", said=cut(f"{body.get('text')}{by}"))
        case "handoff":
            why = f": {body['reason']}" if body.get("reason") else ""
            return Unheard(to="handoff", said=cut(f"it is taken over{by}{why}"))
        case "done":
            return Unheard(to="done", said=cut(f"{body.get('step')} was done by hand{by}"))
        case _:
            wish = f", {ON_STOP[body['on_stop']]}" if body.get("on_stop") in ON_STOP else ""
            return Unheard(to=str(body.get("interrupt", message.kind)), said=f"{body.get('decision')}{by}{wish}")


@asynccontextmanager
async def following(app: Holdfast, run_id: str, stream: Stream | None = None) -> AsyncIterator[None]:
    """Meanwhile say on stderr what happens in a run, a line for each step's start and outcome, and on a terminal also what
    is under way. What was there before is not told again. stream: where the words of its models go, which are not told twice."""
    follower = Follower(app, run_id)
    await follower.look()
    with spinner() if stream is None else nullcontext() as status:

        async def tell() -> None:
            for entry in await follower.look():
                if words := _told(entry.event, follower.state, stream):
                    if stream is not None:
                        stream.close()
                    say(f"  {one_line(words)}")
            if status is not None:
                status.update(plain(_doing(follower)))

        async def follow() -> None:
            while True:
                await tell()
                await asyncio.sleep(LOOK_SECONDS)

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        try:
            await tell()
        except HoldfastError:
            return  # Whoever asks for the run next is told so.


def _told(event: AnyEvent, state: State | None, stream: Stream | None) -> str | None:
    if stream is not None and isinstance(event, ModelAnswered) and event.turn in stream.heard:
        return answered_words(event, said=False)
    return told(event, state)


def plain(words: str) -> Text:
    """Words for rich, in which brackets are brackets."""
    from rich.text import Text

    return Text(words)


def spinner() -> AbstractContextManager[Status | None]:
    """A line that moves while something is under way, on a terminal only."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False).status("")


def _doing(follower: Follower) -> str:
    """What is under way, in one line."""
    if follower.state is None:
        return "begins"
    told = under_way(follower.state, SystemClock().now())
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return one_line(", ".join(told[:_TOLD])) + more
