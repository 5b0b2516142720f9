"""The weeks are lived through under one policy: payouts arrive, the worker takes them on, people answer through the inbox.

The worker is a process of its own on the store that the inbox reads, and is killed once, in the middle of a payout. It is told
the time every hour, and people act between its hours, so the order of everything follows from the seed.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import Holdfast
from holdfast.core.policy import Policy
from holdfast.figures import Alarm, alarms
from holdfast.journal.base import RunRow
from holdfast.journal.people import Judged, JudgedFilter
from holdfast.labs.approvals.agents import inputs_of, paying
from holdfast.labs.approvals.clock import ToldClock
from holdfast.labs.approvals.people import Approver
from holdfast.labs.approvals.story import APPROVER, CLOSES, HOUR, OPENS, TEAM, Story, midnight
from holdfast.labs.approvals.worker import AT_REST
from holdfast.labs.http_call import WORLD
from holdfast.labs.services import Services

OPEN_MAX = 5000
REST_SECONDS_MAX = 60.0
HOLD_SECONDS = 12.0
"""Less than the tool waits for an answer and far more than it takes to kill a process."""
LOST_SECONDS = 60.0
"""How long nobody is there after the kill: more than a lease."""
NOON = 12
_HOLDING = threading.Lock()
"""Policies are lived under side by side, and the services tell of one effect that is held."""
IN_HAND_SECONDS = 2 * HOUR
"""Longer than a sitting and an hour: what is decided is in the inbox until the worker has heard of it, and nobody else is to
take it."""


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What came of the weeks under a policy. book: that its payouts are paid from. judged: the record of the store; runs: as they
    were left; left_open: what the inbox had each evening, as many; alarms: that were raised on Fridays, each with the week, from
    0. deaths: of workers, by SIGKILL."""

    book: str
    policy: Policy
    judged: Sequence[Judged]
    runs: Sequence[RunRow]
    left_open: Sequence[int]
    alarms: Sequence[tuple[int, Alarm]]
    deaths: int


async def live(store: Path, policy_file: Path, book: str, story: Story, services: Services) -> Lived:
    """Live through the weeks, until everything that arrived is decided."""
    clock = ToldClock(midnight(0))
    worker = ToldWorker(store, policy_file, services.directory)
    try:
        async with Holdfast(store, clock=clock) as app:
            weeks = _Weeks(app, clock, worker, policy_file, book, story, services)
            return await weeks.live()
    finally:
        worker.end()


class ToldWorker:
    """The worker's process, and how it is told the time; see `worker`."""

    def __init__(self, store: Path, policy_file: Path, world: Path) -> None:
        self._command = [sys.executable, "-P", "-m", "holdfast.labs.approvals.worker", str(store), str(policy_file)]
        self._environment = environment(world)
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, env=self._environment, stdin=pipe, stdout=pipe, text=True, encoding="utf-8")

    def tell(self, at: float) -> None:
        """Say what time it is."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{at!r}\n")
        self._process.stdin.flush()

    def rest(self) -> None:
        """Wait until it is at rest. RuntimeError where it ends instead, or does not come to rest."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], REST_SECONDS_MAX)[0]:
            raise RuntimeError(f"the worker did not come to rest within {REST_SECONDS_MAX:g} s")
        if self._process.stdout.readline().strip() != AT_REST:
            raise RuntimeError(f"the worker ended with {self._process.wait()}")

    def kill(self) -> int:
        """SIGKILL; how many processes died of it. Another one takes its place."""
        self._process.send_signal(signal.SIGKILL)
        died = self._process.wait() == -signal.SIGKILL
        self._close()
        self._process = self._start()
        return int(died)

    def end(self) -> None:
        """Leave no process behind, whatever went wrong."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # What was still to be written has nobody to read it.
                with suppress(OSError):
                    pipe.close()


Then = tuple[float, "Act"]
"""When something happens, and what."""
Act = Callable[[], Coroutine[Any, Any, Then | None]]
"""Something that happens; it returns what follows from it."""


class _Weeks:
    def __init__(
        self, app: Holdfast, clock: ToldClock, worker: ToldWorker, policy_file: Path, book: str, story: Story,
        services: Services,
    ) -> None:  # fmt: skip
        self._app = app
        self._inbox = app.inbox
        self._clock = clock
        self._worker = worker
        self._agent = paying(policy_file)
        self._book = book
        self._story = story
        self._services = services
        self._payouts = {payout.name: payout for payout in story.payouts}
        self._team = [Approver(name, story.seed) for name in TEAM]
        self._approved: list[str] = []
        self._said_since = False
        self._left_open: list[int] = []
        self._alarms: list[tuple[int, Alarm]] = []
        self._deaths = 0

    async def live(self) -> Lived:
        for person in self._team:
            await self._inbox.put_person(person.name, [APPROVER])
        for day in itertools.count():
            if not self._story.arrivals(day) and await self._inbox.count(answered=None) == 0:
                break
            await self._day(day)
            await self._evening(day)
        policy = self._agent.policy
        assert policy is not None
        return Lived(
            book=self._book,
            policy=policy,
            judged=await self._app.journal.judged(JudgedFilter()),
            runs=await self._app.runs(limit=self._story.count + 1),
            left_open=self._left_open,
            alarms=self._alarms,
            deaths=self._deaths,
        )

    async def _day(self, day: int) -> None:
        """From the first arrival to the evening, one thing after the other."""
        began = midnight(day)
        self._clock.to(began + OPENS * HOUR)
        for payout in self._story.arrivals(day):
            await self._app.start(self._agent, id=payout.name, inputs=inputs_of(payout, self._book))
        self._work()
        numbers = itertools.count()
        coming: list[tuple[float, int, Act]] = [
            (began + hour * HOUR, next(numbers), self._hour) for hour in range(OPENS + 1, CLOSES + 1)
        ]
        coming += [(at, next(numbers), self._sitting(person)) for person in self._team for at in person.sittings(day)]
        heapq.heapify(coming)
        while coming:
            at, _, act = heapq.heappop(coming)
            self._clock.to(at)
            if (then := await act()) is not None:
                heapq.heappush(coming, (then[0], next(numbers), then[1]))

    async def _evening(self, day: int) -> None:
        """How many are left open; and on Fridays, what the record of the last seven days raises."""
        rows = await self._inbox.list(limit=OPEN_MAX, answered=None)
        self._left_open.append(len(rows))
        for person in self._team:
            person.evening(len(rows))
        if day % 5 == 4:
            record = await self._app.journal.judged(JudgedFilter())
            self._alarms += [(day // 5, alarm) for alarm in alarms(record, rows, self._clock.now())]

    # --- the worker -----------------------------------------------------------------------------------------------

    async def _hour(self) -> Then | None:
        """The worker takes what was said in the last hour."""
        if self._said_since:
            if self._approved and not self._deaths and self._clock.now() > midnight(self._story.kill_day) + NOON * HOUR:
                self._die(self._approved[0])
            self._work()
            self._approved, self._said_since = [], False
        return None

    def _work(self) -> None:
        self._worker.tell(self._clock.now())
        self._worker.rest()

    def _die(self, payout: str) -> None:
        """The service has paid, its answer is not out, and the worker is gone; a minute later there is another one."""
        with _HOLDING:
            self._services.hold("payouts", f"{self._book}/{payout}", seconds=HOLD_SECONDS)
            self._worker.tell(self._clock.now())
            self._services.wait_held()
            self._deaths += self._worker.kill()
        self._clock.to(self._clock.now() + LOST_SECONDS)

    # --- people ---------------------------------------------------------------------------------------------------

    def _sitting(self, person: Approver) -> Act:
        async def sit() -> Then | None:
            attention = person.attention(await self._inbox.count(by=person.name, claimed=False))
            return await self._take(person, person.bears(self._clock.now(), attention), attention)

        return sit

    async def _take(self, person: Approver, left: int, attention: float) -> Then | None:
        """The oldest that nobody has in hand: claimed, shown, and decided some time later."""
        rows = await self._inbox.list(by=person.name, kind="approval", claimed=False, order="oldest", limit=1) if left else []
        if not rows:
            return None
        row = await self._inbox.claim(rows[0].run_id, rows[0].interrupt, person.name, IN_HAND_SECONDS)
        shown = await self._inbox.show(row.run_id, row.interrupt, by=person.name)
        payout = self._payouts[shown.args["payout"]]

        async def decide() -> Then | None:
            said = ("reject", "this looks wrong") if person.stops(payout, attention) else ("approve", "")
            await self._inbox.decide(row.run_id, said[0], person.name, interrupt=row.interrupt, note=said[1])
            self._said_since = True
            if said[0] == "approve":
                self._approved.append(payout.name)
            return await self._take(person, left - 1, attention)

        return self._clock.now() + person.seconds(payout, attention), decide


def environment(world: Path) -> dict[str, str]:
    """Of a worker: where its tools find the services, and where the package is."""
    sources = str(Path(__file__).resolve().parents[3])
    known = os.environ.get("PYTHONPATH")
    path = f"{sources}{os.pathsep}{known}" if known else sources
    return {**os.environ, WORLD: str(world), "PYTHONPATH": path, "PYTHONUTF8": "1"}
