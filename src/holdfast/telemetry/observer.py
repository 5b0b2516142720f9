"""Telemetry: hears what a worker commits, and makes numbers, spans and log lines of it in a thread of its own.

    with from_settings(os.environ, version="1.0") as telemetry:
        async with Holdfast("runs.db", observers=[telemetry]) as app: ...

On the event loop a commit costs an append to a queue, and before that, where it is plain, a look at what is needed of it
(`plain`). The thread takes what gathered, in short stretches, so that the loop never waits long for it. The queue is bounded: a
commit for which there is no room is counted as dropped. Nothing that goes wrong here reaches a run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from types import TracebackType

from holdfast.runner.observing import Committed
from holdfast.telemetry import names
from holdfast.telemetry.counts import Counts, Series
from holdfast.telemetry.exporting import Exporter
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.intents import Intents
from holdfast.telemetry.logs import Lines
from holdfast.telemetry.metrics import Counting
from holdfast.telemetry.plain import Plain, plain
from holdfast.telemetry.records import Span
from holdfast.telemetry.spans import Spans

_log = logging.getLogger("holdfast")

QUEUE_MAX = 20_000
# The thread is woken when so many commits wait, and looks by itself so often; it does so many at once.
CROWD = 512
STRETCH = 128
LOOK_SECONDS = 0.1
CLOSE_SECONDS = 5.0


class Telemetry:
    """An `Observer`. exporters: get the spans; none are made without one. logs: whether lines are written to the logger
    `holdfast.runs`. content: whether what people, models and tools said is told. queue_max: commits that wait."""

    def __init__(
        self,
        *exporters: Exporter,
        counts: Counts | None = None,
        logs: bool = True,
        content: bool = False,
        queue_max: int = QUEUE_MAX,
    ):
        self.counts = counts if counts is not None else Counts(ALL)
        self._exporters = list(exporters)
        self._intents = Intents()
        self._counting = Counting(self.counts)
        self._spans = Spans(content=content)
        self._lines: Lines | None = Lines(content=content) if logs else None
        self._queue: deque[Committed | Plain] = deque()
        # What is told word for word, or call by call, is needed whole.
        self._shortens = not content
        self._details = self._lines is not None and self._lines.level == logging.DEBUG
        self._queue_max = queue_max
        self._dropped = 0
        self._news = threading.Event()
        self._closing = False
        self._idle = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def committed(self, commit: Committed) -> None:
        """Note a commit; all else happens elsewhere."""
        waiting = len(self._queue)
        if waiting >= self._queue_max or self._closing:
            self._dropped += 1
            return
        self._queue.append((self._shortened(commit) if self._shortens and not self._details else None) or commit)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="holdfast-telemetry", daemon=True)
            self._thread.start()
        elif waiting == CROWD:
            self._news.set()

    def series(self) -> list[Series]:
        """All numbers as they are now."""
        return self.counts.snapshot()

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until what was committed so far is counted and handed to the exporters; False where it took too long."""
        if self._thread is None or not self._thread.is_alive():
            return True
        self._idle.clear()
        self._news.set()
        return self._idle.wait(seconds)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Make of what is left what can be made in so long, and end. What is committed later is dropped."""
        until = time.monotonic() + seconds
        self._closing = True
        if self._thread is not None:
            self._news.set()
            self._thread.join(seconds)
        for exporter in self._exporters:
            try:
                exporter.close(max(until - time.monotonic(), 0.1))
            except Exception:  # noqa: BLE001 — the border: whatever an exporter does is not the run's concern.
                _log.exception("telemetry: %s could not be closed", type(exporter).__name__)

    def _shortened(self, commit: Committed) -> Plain | None:
        try:
            return plain(commit)
        except Exception:  # noqa: BLE001 — the border: whatever it is, the thread says what is wrong with it.
            return None

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        queue = self._queue
        while True:
            self._news.wait(LOOK_SECONDS)
            self._news.clear()
            while queue:
                self._stretch([queue.popleft() for _ in range(min(len(queue), STRETCH))])
                time.sleep(0)  # Whoever waits for the interpreter has it now.
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                with self.counts.lock:
                    self.counts.add(names.DROPPED, ("commits",), dropped)
            self._idle.set()
            if self._closing and not queue:
                return

    def _stretch(self, commits: list[Committed | Plain]) -> None:
        spans: list[Span] | None = [] if self._exporters else None
        whole: list[Committed] = []
        with self.counts.lock:
            for commit in commits:
                try:
                    if isinstance(commit, Plain):
                        self._plain(commit, spans)
                    else:
                        whole.append(commit)
                        self._whole(commit, spans)
                except Exception:  # noqa: BLE001 — the border: one commit that is wrong must not end the counting.
                    _log.exception("telemetry: a commit of %s could not be told", getattr(commit, "run_id", "no run"))
            self._counting.settle()
        if self._lines is not None:
            self._write(self._lines, whole)
        if spans:
            self._export(spans)

    def _plain(self, commit: Plain, spans: list[Span] | None) -> None:
        begun_at = self._intents.plain(commit)
        self._counting.plain(commit, begun_at)
        if spans is not None:
            spans.append(self._spans.plain(commit, begun_at))

    def _whole(self, commit: Committed, spans: list[Span] | None) -> None:
        begun = self._intents.of(commit)
        self._counting.commit(commit, begun)
        if spans is not None:
            spans += self._spans.of(commit, begun)

    def _write(self, lines: Lines, commits: list[Committed]) -> None:
        level = lines.level
        self._details = level is not None and level <= logging.DEBUG
        for commit in commits if level is not None else ():
            try:
                lines.write(commit)
            except Exception:  # noqa: BLE001 — the border, as above.
                _log.exception("telemetry: a commit of %s could not be logged", getattr(commit, "run_id", "no run"))

    def _export(self, found: list[Span]) -> None:
        for exporter in tuple(self._exporters):
            try:
                exporter.spans(found)
            except Exception:  # noqa: BLE001 — the border: an exporter that raises gets nothing more.
                self._exporters.remove(exporter)
                _log.exception("telemetry: %s gets no more spans: it raised", type(exporter).__name__)
