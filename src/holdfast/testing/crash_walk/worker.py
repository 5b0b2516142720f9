"""The worker of a real walk: it runs the stories on a store that kills its process at one of its writes."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from holdfast.app import Holdfast
from holdfast.errors import LoadError, UsageError
from holdfast.journal.base import Batch, Claim, Full, Head, Release
from holdfast.journal.sqlite import SqliteJournal
from holdfast.testing.crash_walk.walks import Side, Story, in_words


class KillingJournal(SqliteJournal):
    """A store whose process ends with SIGKILL at one of its writes."""

    def __init__(self, path: str, boundary: int | None, side: Side):
        super().__init__(path)
        self.writes = 0
        self._boundary = boundary
        self._side = side

    def _die_at(self, side: Side, what: str) -> None:
        if side == "before":
            self.writes += 1
        if self.writes == self._boundary and side == self._side:
            print(json.dumps({"what": what}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    async def create(self, *args: Any, **options: Any) -> Claim | None:
        self._die_at("before", "create")
        claim = await super().create(*args, **options)
        self._die_at("after", "create")
        return claim

    async def claim(self, *args: Any) -> Claim | None:
        self._die_at("before", "claim")
        claim = await super().claim(*args)
        self._die_at("after", "claim")
        return claim

    async def append(self, batch: Batch) -> Head | Full:
        self._die_at("before", in_words(batch))
        head = await super().append(batch)
        self._die_at("after", in_words(batch))
        return head

    async def release(self, claim: Claim, release: Release) -> None:
        self._die_at("before", "release")
        await super().release(claim, release)
        self._die_at("after", "release")


async def _tell(stories: list[Story], journal: KillingJournal, lease_seconds: float) -> None:
    async with Holdfast(journal, lease_seconds=lease_seconds) as app:
        runs = [
            await app.run(story.agent, story.goal, id=story.run_id, inputs=story.inputs, thread=story.thread) for story in stories
        ]
    told = [{"id": run.id, "status": run.status, "unknown": run.unknown} for run in runs]
    print(json.dumps({"writes": journal.writes, "runs": told}), flush=True)


def live(factory: str, config: Any, db: str, lease: float, boundary: int | None, side: Side) -> int:
    """One life of a worker; its exit code."""
    try:
        found = load_factory(factory)(config)
    except UsageError as error:
        print(f"{error}", file=sys.stderr)
        return 2
    stories = found if isinstance(found, list) else [found]
    asyncio.run(_tell(stories, KillingJournal(db, boundary, side), lease))
    return 0


def serve(factory: str) -> int:
    """The nursery: for each line, fork a worker, wait for its end, and tell it in a line."""
    with suppress(UsageError):
        load_factory(factory)  # The worker will say it again, where somebody listens.
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                _be_born(factory, json.loads(line), out.fileno(), err.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            out.seek(0)
            err.seek(0)
            told = {"code": code, "out": out.read().decode(errors="replace"), "err": err.read().decode(errors="replace")}
        print(json.dumps(told), flush=True)
    return 0


def _be_born(factory: str, options: dict[str, Any], out: int, err: int) -> NoReturn:
    """Run the worker in a process that was just forked, and never return to what its parent was doing."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    code = 1
    try:
        code = live(factory, **options)
    except Exception:  # noqa: BLE001 — told in full, where the walk reads it.
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def load_factory(name: str) -> Callable[[Any], Story | list[Story]]:
    """The function that `module:function` names."""
    module, _, attribute = name.partition(":")
    try:
        found: Callable[[Any], Story | list[Story]] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise LoadError(f"{name} cannot be imported: {error}", hint="name it as module:function") from error
    return found
