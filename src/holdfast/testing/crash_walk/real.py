"""Walks with real processes: a nursery that forks workers, and the walk that counts their deaths."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from holdfast.app import Holdfast
from holdfast.journal.base import ENDED
from holdfast.testing.crash_walk.walks import (
    SIDES,
    STARTS_MAX,
    Answer,
    Side,
    Site,
    WalkFailed,
    WalkResult,
    all_walks,
    answer_run,
)

LEASE_SECONDS = 0.5


def crash_walk(
    factory: str,
    world: Callable[[], AbstractContextManager[Site]],
    *,
    sides: Iterable[Side] = SIDES,
    boundaries: Iterable[int] | None = None,
    stride: int = 1,
    lease_seconds: float = LEASE_SECONDS,
    timeout_seconds: float = 60.0,
    folder: str | os.PathLike[str] | None = None,
    python: str = sys.executable,
    environment: dict[str, str] | None = None,
    progress: Callable[[WalkResult], None] | None = None,
) -> list[WalkResult]:
    """Walk with real processes that SIGKILL themselves; see the module's text.

    factory: `module:function`. world: makes the world of one walk. boundaries: which ones; default: all there are, or of
    them every `stride`th.
    timeout_seconds: for one start of the worker. folder: where the stores are left; default: a temporary one. progress: told
    of each result. Raises WalkFailed when a worker ends otherwise than killed or with its runs at rest.
    """
    results: list[WalkResult] = []
    with ExitStack() as stack:
        place = os.fspath(folder) if folder is not None else stack.enter_context(tempfile.TemporaryDirectory())
        nursery = stack.enter_context(_Nursery(python, factory, timeout_seconds, environment))
        for boundary, side in all_walks(sides, boundaries, lambda: bool(results) and not results[-1].killed, stride):
            child = _Child(nursery, Path(place) / f"{boundary}-{side}.db", lease_seconds)
            with world() as site:
                results.append(_walk(child, site, boundary, side))
            if progress is not None:
                progress(results[-1])
    return results


def _walk(child: _Child, site: Site, boundary: int, side: Side) -> WalkResult:
    """One walk: start the worker until its runs have ended; the first start that reaches the boundary is killed there."""
    starts, what, left, asked = 0, "the end", boundary, list[str]()
    while True:
        starts += 1
        if starts > STARTS_MAX:
            raise WalkFailed(f"boundary {boundary}, {side}: the runs do not end")
        killed, said = child.start(site.config, left if left > 0 else None, side)
        if killed:
            what, left = said["what"], 0
        elif all(run["status"] in ENDED for run in said["runs"]):
            break
        else:
            left -= said["writes"] if left > 0 else 0
            asked += asyncio.run(_answer_in(child.store, site.answer, [run["id"] for run in said["runs"]]))
    return WalkResult(
        boundary=boundary, side=side, what=what, killed=what != "the end", starts=starts, asked=asked, ledger=site.ledger(),
        statuses={run["id"]: run["status"] for run in said["runs"]},
        unknown={run["id"]: tuple(run["unknown"]) for run in said["runs"] if run["unknown"]},
    )  # fmt: skip


class _Nursery:
    """A process that has imported everything and forks the workers of all walks, so that a start costs no import. Each worker
    is a process of its own, and dies its own death."""

    def __init__(self, python: str, factory: str, timeout_seconds: float, environment: dict[str, str] | None):
        self._timeout_seconds = timeout_seconds
        self._process = subprocess.Popen(
            [python, "-m", "holdfast.testing.crash_walk", "nursery", factory], env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> _Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def start(self, **options: Any) -> dict[str, Any]:
        """Start a worker and wait for its end: its exit code (negative for a signal), and what it printed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(options) + "\n")
        self._process.stdin.flush()
        timer = threading.Timer(self._timeout_seconds, os.killpg, (self._process.pid, signal.SIGKILL))
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            raise WalkFailed(f"the worker did not end within {self._timeout_seconds:g} s")
        ended: dict[str, Any] = json.loads(line)
        return ended


class _Child:
    """The worker of one walk, as often as it is started."""

    def __init__(self, nursery: _Nursery, store: Path, lease_seconds: float):
        self.store = store
        self._nursery = nursery
        self._lease_seconds = lease_seconds

    def start(self, config: Any, boundary: int | None, side: Side) -> tuple[bool, dict[str, Any]]:
        """Start it, to be killed at a boundary or not; whether it was, and what it said last."""
        ended = self._nursery.start(
            config=config, db=os.fspath(self.store), lease=self._lease_seconds, boundary=boundary, side=side
        )
        lines = [line for line in ended["out"].splitlines() if line.startswith("{")]
        killed = ended["code"] == -signal.SIGKILL
        if not lines or not (killed or ended["code"] == 0):
            raise WalkFailed(f"the worker ended with {ended['code']}:\n{ended['out']}{ended['err']}")
        return killed, json.loads(lines[-1])


async def _answer_in(store: Path, answer: Answer | None, run_ids: list[str]) -> list[str]:
    answered = []
    async with Holdfast(store) as app:
        for run_id in run_ids:
            answered += await answer_run(app, run_id, answer)
    return answered
