"""Read, fold, decide, record, perform; until nothing can be done now.

The loop holds no judgement. It owes the core its order: outcomes, rulings and intents in one commit, effects after it,
one outcome for each. A journal that does not take a write ends the loop before the effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Literal, TypeGuard

import msgspec

from holdfast import inbox
from holdfast.agent import Agent
from holdfast.core import checkpoint
from holdfast.core import events as e
from holdfast.core.commands import ONCE, CallTool, CheckCall, Command, Recall, RunProbe
from holdfast.core.contract import Contract, differences
from holdfast.core.decide import Decision, Room, decide
from holdfast.core.evolve import evolve, fold
from holdfast.core.forks import is_simulated, simulated
from holdfast.core.memory import learned
from holdfast.core.state import State, contract_of, status
from holdfast.core.thinking import Thinking
from holdfast.errors import JournalCorrupt, JournalUnavailable, Superseded
from holdfast.journal.base import Batch, Checkpoint, Claim, Full, Head, Journal, Release
from holdfast.reasoners.verbs import READ_MORE
from holdfast.runner import asked, holdings
from holdfast.runner.checking import check_call
from holdfast.runner.children import report, start_child
from holdfast.runner.judge import check_delivery
from holdfast.runner.notices import notices
from holdfast.runner.observing import Committed, Observers
from holdfast.runner.overdue import Judging, not_judged, overdue
from holdfast.runner.perform import Hands, perform
from holdfast.runner.reading import read_on
from holdfast.runner.recollection import recall
from holdfast.runner.resting import shortfall, waits_for

# A wait shorter than this is sat out in memory; a longer one parks the run, which then costs nothing.
HOLD_SECONDS = 1.0
FULL_SECONDS, FULL_SECONDS_MAX = 0.05, 1.0
LOOK_SECONDS = 60.0
# Times are counted in these (see `_now`): who waits less looks again before anything could be another.
GRAIN_SECONDS = 0.001
# How long a call that does not obey its cancellation is waited for before its outcome is written down as unknown.
OVERDUE_SECONDS = 5.0
# A run that grew by so many events is parked with a checkpoint, so that taking it on again does not take long.
CHECKPOINT_EVENTS = 2_000
WRITE_TRIES = 6

Ending = Literal["ended", "parked", "released", "lost"]
EMPTY = Room()


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every run of a worker. tenant_parallel: calls at once of a tenant, over all workers; "*" for all
    that are not named. observers: who hears what was committed."""

    journal: Journal
    hands: Hands
    worker: str
    lease_seconds: float
    tenant_parallel: dict[str, int]
    observers: Observers = Observers()


class Advance:
    """One claim on one run, from taking it on to giving it back."""

    def __init__(self, terms: Terms, agent: Agent, claim: Claim):
        self.terms = terms
        self.agent = agent
        self.claim = claim
        # The lease runs since it was asked for, and the answer may have taken its time.
        left = claim.until - terms.hands.clock.now()
        self.proven_at = terms.hands.clock.monotonic() - max(terms.lease_seconds - left, 0.0)
        self._begun = (terms.hands.clock.now(), terms.hands.clock.monotonic())
        self._journal = terms.journal
        self._clock = terms.hands.clock
        self._head = Head(0, b"")
        self._kept = 0
        self._outcomes: list[e.AnyEvent] = []
        self._taken: list[int] = []
        self._contents: dict[str, bytes] = {}
        self._hands = terms.hands
        self._looked_at: dict[str, Contract] | None = None
        self._sharing = False
        self._flights: dict[int, tuple[Command | Judging, asyncio.Task[None], float]] = {}
        self._flight_number = 0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._full_tries = 0
        self._mail = True
        self._heard_at = 0.0
        self._stopping = False
        self._lost = False

    # --- what the engine says -------------------------------------------------------------------------------------

    def mail(self) -> None:
        """There are words from outside for this run."""
        self._mail = True
        self._notify()

    def stop(self) -> None:
        """Finish what is in flight, begin nothing, give the claim back."""
        self._stopping = True
        self._notify()

    def lose(self) -> None:
        """The claim is lost: nothing more can be written."""
        self._lost = True
        self._notify()

    def renew(self, claim: Claim, at: float) -> None:
        """The lease was extended by a request that was made at this monotonic time."""
        self.claim = claim
        self.proven_at = at

    # --- the loop -------------------------------------------------------------------------------------------------

    async def run(self) -> Ending:
        """Advance the run as far as it goes now. JournalError when the record cannot be kept."""
        try:
            return await self._run()
        except Superseded:
            return "lost"
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for _, task, _ in self._flights.values():
                task.cancel()

    async def _run(self) -> Ending:
        state = await self._take_on()
        if _may_be_delivered(self.agent):
            self._hands = msgspec.structs.replace(self._hands, token_secret=await self._journal.secret())
        room = EMPTY
        while not self._lost:
            if self._mail and not state.ended:
                await self._hear(state)
            now = self._now(state)
            base, outcomes = self._fold_outcomes(state, now)
            said, decision = self._decide(base, outcomes, now, room)
            if self._may_be_answered(base, decision, now):
                self._mail = True
                self._outcomes[:0] = outcomes
                continue
            if self._is_being_judged(base, decision):
                said, decision = self._defer(base, outcomes, now, "judging")
            if decision.state.ended:
                self._drop_checks()
            release = (
                None
                if self._flights or decision.commands
                else self._parking(decision, now, room is not EMPTY and _is_waited_for(room))
            )
            events = (*outcomes, *said, *decision.events)
            blocked = await self._commit(state, decision, events, release, now)
            if blocked is not None:
                room = holdings.room(blocked, room)
                self._outcomes[:0] = outcomes
                continue
            if events and self.terms.observers:
                self._tell(state, decision.state, events, now)
            state = decision.state
            if release is not None:
                if not state.ended:
                    await self._keep(state)
                return "ended" if state.ended else "released" if self._stopping else "parked"
            for command in decision.commands:
                self._launch(command, state)
            self._full_tries = min(self._full_tries + 1, 10) if room is not EMPTY and _is_waited_for(room) else 0
            await self._wait(decision, now)
            room = EMPTY
        return "lost"

    async def _take_on(self) -> State:
        state = await self._read()
        if self.claim.fence > 1 and not state.ended:
            self._outcomes.append(e.RunResumed(worker=self.terms.worker))
        contracts = self.agent.toolbox.contracts
        pending = state.changed
        thinking = self.agent.thinking(state.goal.inputs) if not state.ended else None
        if thinking is not None and state.thinking is not None and not _same(thinking, state.thinking):
            self._outcomes.append(e.ThinkingChanged(thinking=thinking))
        if not state.ended and self.agent.policy != state.policy:
            self._outcomes.append(e.PolicyChanged(policy=self.agent.policy))
        if state.ended or (pending is not None and pending.contracts == tuple(contracts.values())):
            return state
        found = differences(state.contracts, contracts)
        if found or pending is not None:
            weaker = any(difference.weaker for difference in found)
            self._outcomes.append(e.AgentChanged(differences=found, contracts=tuple(contracts.values()), weaker=weaker))
        return state

    async def _read(self) -> State:
        """Fold the journal, from the last checkpoint on where a long run has one that can be believed."""
        run_id = self.claim.run_id
        if (
            self.claim.version >= CHECKPOINT_EVENTS
            and (kept := await self._journal.checkpoint(run_id)) is not None
            and kept.form == checkpoint.FORM
        ):
            with suppress(ValueError, JournalCorrupt):
                later = await self._journal.read(run_id, kept.head)
                state = checkpoint.from_bytes(kept.body)
                self._kept, self._head = kept.head.version, later.head
                return fold(later.entries, state)
        history = await self._journal.read(run_id)
        self._head = history.head
        return fold(history.entries)

    async def _keep(self, state: State) -> None:
        if state.version - self._kept >= CHECKPOINT_EVENTS:
            body = checkpoint.to_bytes(state)
            await self._journal.keep(self.claim.run_id, Checkpoint(head=self._head, form=checkpoint.FORM, body=body))

    def _may_be_answered(self, base: State, decision: Decision, now: float) -> bool:
        """Whether a time is over before which an answer, or what is owed, may have come into the mailbox: it was last looked
        into before that."""
        if not base.interrupts and not base.pending:
            return False  # Nothing has a time that could be over.
        times = (over[1] for event in decision.events if (over := _over(base, event)) is not None)
        return any(self._heard_at < time <= now for time in times)

    def _judging(self) -> list[Judging]:
        return [about for about, _, _ in self._flights.values() if isinstance(about, Judging)]

    def _is_being_judged(self, base: State, decision: Decision) -> bool:
        """Whether the run would end over the head of a delivery that is being judged, or rule that it has not come."""
        if not (base.pending or base.interrupts or decision.state.ended):
            return False
        steps = {about.event.step for about in self._judging()}
        overs = (_over(base, event) for event in decision.events) if steps else ()
        return bool(steps and decision.state.ended) or any(over is not None and over[0] in steps for over in overs)

    async def _hear(self, state: State) -> None:
        """Words from outside become events of the next batch. Each is judged by the state that the ones before it leave."""
        self._mail = False
        self._heard_at = self._now(state)
        messages = await self._journal.messages(self.claim.run_id)
        now = self._now(state)
        judged = {about.message for about in self._judging()}
        base, known = state, 0
        for message in messages:
            if message.id in self._taken or message.id in judged:
                continue
            for outcome in self._outcomes[known:]:
                base = evolve(base, e.Entry(base.version + 1, now, self.claim.fence, outcome))
            known = len(self._outcomes)
            event = inbox.taken(base, message, now)
            if _brings_a_result(event) and self._is_judged(base, event.step):
                self._begin_judging(base, message.id, event)
                continue
            self._outcomes.append(event)
            self._taken.append(message.id)

    def _is_judged(self, state: State, step: str) -> bool:
        """Whether code of the tool's, or a look at the world, is to say if what was delivered is enough."""
        if step not in state.steps:
            return False
        contract = contract_of(state, state.steps[step])
        looked_at = contract is not None and (contract.sufficient is not None or contract.check)
        return looked_at or state.steps[step].step.expect is not None

    def _begin_judging(self, state: State, message: int, event: e.CallbackReceived | e.ChildEnded) -> None:
        step = state.steps[event.step]
        contract = contract_of(state, step)
        seconds = step.step.timeout_seconds or (contract.timeout_seconds if contract is not None else 0.0)
        about = Judging(message, event, contract is None or contract.safety != "read")
        self._begin_flight(about, partial(self._judge, state=state, about=about), seconds + OVERDUE_SECONDS)

    async def _judge(self, number: int, state: State, about: Judging) -> None:
        """Judge what was delivered; until that is written down the message stays in the mailbox."""
        step = state.steps[about.event.step]
        event = about.event
        if isinstance(event, e.ChildEnded):
            value, failure = await check_delivery(step, event.result, self.agent, state, self._hands)
            self._land_delivery(number, about, msgspec.structs.replace(event, result=value, failure=failure))
        else:
            value, failure = await check_delivery(step, event.value, self.agent, state, self._hands)
            self._land_delivery(number, about, msgspec.structs.replace(event, value=value, failure=failure))

    def _land_delivery(self, number: int, about: Judging, event: e.AnyEvent) -> None:
        if number in self._flights:
            self._taken.append(about.message)
            self._land(number, event)

    def _fold_outcomes(self, state: State, now: float) -> tuple[State, tuple[e.AnyEvent, ...]]:
        outcomes, self._outcomes = tuple(self._outcomes), []
        for outcome in outcomes:
            state = self._said(state, now, outcome)
        return state, outcomes

    def _decide(
        self, base: State, outcomes: tuple[e.AnyEvent, ...], now: float, room: Room
    ) -> tuple[tuple[e.AnyEvent, ...], Decision]:
        """What is ruled now, and before it what it was ruled under besides the state: whoever replays it has to know."""
        if base.ended:
            return (), Decision(events=(), commands=(), state=base, wake_at=None)
        if self._stopping:
            return self._defer(base, outcomes, now, "stopping")
        if room is EMPTY:
            return (), decide(base, now)
        refused = e.RoomRefused(free=dict(room.free), held=dict(room.held), holders=dict(room.holders))
        decision = decide(self._said(base, now, refused), now, room)
        if outcomes or decision.events:
            return (refused,), decision
        return (), msgspec.structs.replace(decision, state=base)

    def _defer(
        self, base: State, outcomes: tuple[e.AnyEvent, ...], now: float, why: Literal["stopping", "judging"]
    ) -> tuple[tuple[e.AnyEvent, ...], Decision]:
        """Nothing is ruled now. Where something is written down all the same, that is written down with it."""
        wake_at = self._clock.now() if why == "stopping" else None
        if not outcomes:
            return (), Decision(events=(), commands=(), state=base, wake_at=wake_at)
        deferred = e.RulingDeferred(why=why)
        return (deferred,), Decision(events=(), commands=(), state=self._said(base, now, deferred), wake_at=wake_at)

    def _said(self, state: State, now: float, event: e.AnyEvent) -> State:
        return evolve(state, e.Entry(state.version + 1, now, self.claim.fence, event))

    def _parking(self, decision: Decision, now: float, full: bool) -> Release | None:
        """How the run is left when nothing is in flight and nothing to do; None to wait for it here."""
        state = decision.state
        if state.ended:
            told = report(state) if state.parent else None
            return Release(status=state.ended, due_at=None, waits_for=state.reason or shortfall(state), report=told)
        if self._stopping:
            return Release(status="running", due_at=now)
        if full or (decision.wake_at is not None and decision.wake_at - now <= HOLD_SECONDS):
            return None
        return Release(status=status(state, now), due_at=decision.wake_at, waits_for=waits_for(state))

    def _now(self, state: State) -> float:
        """The time for the next batch: the wall's, but never before what was written, and going on when the wall is set
        back, so that a retry is not a day late because a clock was wrong by a day."""
        passed = round(self._clock.monotonic() - self._begun[1], 3)
        return max(self._clock.now(), state.at, self._begun[0] + passed)

    # --- writing --------------------------------------------------------------------------------------------------

    async def _commit(
        self, state: State, decision: Decision, events: tuple[e.AnyEvent, ...], release: Release | None, now: float
    ) -> Full | None:
        """One durable commit. Returns Full, with nothing written, when something that a command needs is not to be had."""
        if not events and release is None:
            return None
        batch = self._batch(state, decision, events, release, now)
        for tries in range(1, WRITE_TRIES + 1):
            try:
                written = await self._journal.append(batch)
                break
            except JournalUnavailable:
                # What is known now may exist nowhere else; it is worth some patience before it is given up.
                if tries == WRITE_TRIES:
                    raise
                await asyncio.sleep(0.05 * 2**tries)
                arrived = await self._arrived(batch)
                if arrived is not None:
                    written = arrived
                    break
        else:
            raise AssertionError("unreachable")
        if isinstance(written, Full):
            return written
        self._head = written
        # A delivery that was judged while this was written is for the next batch.
        self._taken = [message for message in self._taken if message not in batch.taken]
        for digest in batch.contents:
            self._contents.pop(digest, None)
        return None

    def _tell(self, before: State, after: State, events: tuple[e.AnyEvent, ...], now: float) -> None:
        """Let those who observe know what is durable by now."""
        self.terms.observers.committed(
            Committed(
                run_id=self.claim.run_id,
                agent=self.agent.name,
                worker=self.terms.worker,
                fence=self.claim.fence,
                first=before.version + 1,
                at=now,
                events=events,
                before=before,
                after=after,
            )
        )

    async def _arrived(self, batch: Batch) -> Head | None:
        """Whether a write that reported an error is in the journal all the same."""
        try:
            later = await self._journal.read(batch.run_id, batch.head)
        except JournalUnavailable:
            return None
        if not batch.events or not later.entries:
            return None
        # More than this batch is another worker's: it has the run by now, and the head is its.
        if [entry.event for entry in later.entries] == list(batch.events) and later.entries[0].fence == batch.fence:
            return later.head
        raise Superseded("another worker has written to it since", run_id=batch.run_id)

    def _contents_of(self, events: tuple[e.AnyEvent, ...]) -> dict[str, bytes]:
        """The contents that these events refer to. One that came ahead of its outcome would be one that nobody refers to, and
        whoever prunes the store might take it for that."""
        digests = (cut.digest for event in events if (cut := getattr(event, "cut", None)) is not None)
        return {digest: self._contents[digest] for digest in digests if digest in self._contents}

    def _batch(
        self, state: State, decision: Decision, events: tuple[e.AnyEvent, ...], release: Release | None, now: float
    ) -> Batch:
        after, commands = decision.state, decision.commands
        capacity, secret = self._tenant_capacity(after), self._hands.token_secret
        owed, paid = holdings.owed(state, after)
        opened, closed = asked.opened(state, after, events)
        shares = capacity is not None or self._shares(after) or (after.contracts is not state.contracts and self._shares(state))
        # What a simulated run says happened did not: nothing of it counts for others, is remembered, or is told to people.
        really = not is_simulated(after)
        shares, secret = shares and really, secret if really else b""
        if not really:  # An approval in advance is for calls that are made, and may be good for so many of them only.
            opened = tuple(msgspec.structs.replace(one, standing=False) for one in opened)
        return Batch(
            run_id=self.claim.run_id,
            fence=self.claim.fence,
            head=self._head,
            at=now,
            events=events,
            taken=tuple(self._taken),
            slots=holdings.slots(after, commands, capacity, now) if shares else (),
            freed=holdings.freed(state, events, capacity) if shares else (),
            settled=holdings.settled(after, events) if shares else (),
            gated=holdings.gated(state, commands) if shares else (),
            heard=holdings.heard(state, events) if shares else (),
            tokens=holdings.tokens(secret, after, commands, events, now) if secret else (),
            owed=owed if really else (),
            paid=paid if really else (),
            contents=self._contents_of(events),
            opened=opened,
            closed=closed,
            commented=asked.commented(events),
            judged=asked.judged(after, events, self._head.version + 1, now) if really else (),
            decided=asked.decided(state, after, events, now) if really else (),
            notices=notices(state, after, events, now) if really else (),
            memories=learned(after, now) if really and after.ended and not state.ended else (),
            release=release,
        )

    def _shares(self, state: State) -> bool:
        """Whether the tools of the run ask for anything that runs share; looked at once for each set of contracts."""
        if self._looked_at is not state.contracts:
            self._looked_at, self._sharing = state.contracts, holdings.shares(state.contracts, state.thinking)
        return self._sharing

    def _tenant_capacity(self, state: State) -> int | None:
        return self.terms.tenant_parallel.get(state.tenant, self.terms.tenant_parallel.get("*"))

    # --- effects --------------------------------------------------------------------------------------------------

    def _launch(self, command: Command, state: State) -> None:
        fly = partial(self._fly, command=command, state=state)
        self._begin_flight(command, fly, command.timeout_seconds + OVERDUE_SECONDS)

    def _begin_flight(self, about: Command | Judging, fly: Callable[[int], Coroutine[Any, Any, None]], seconds: float) -> None:
        self._flight_number = number = self._flight_number + 1
        loop = asyncio.get_running_loop()
        self._flights[number] = (about, loop.create_task(fly(number)), loop.time() + seconds)

    async def _fly(self, number: int, command: Command, state: State) -> None:
        if not await self._still_holds():
            self.lose()
        elif is_simulated(state) and isinstance(command, (CallTool, RunProbe)) and command.tool != READ_MORE:
            self._land(number, simulated(state, command))
        elif isinstance(command, CallTool) and command.send_by is not None and self._clock.now() > command.send_by:
            why = "it was not sent: by now the other side may have forgotten its key"
            failure = e.Failure(kind="transient", message=why)
            self._land(number, e.CallFailed(step=command.step, attempt=command.attempt, failure=failure))
        elif isinstance(command, CallTool) and command.contract.agent is not None:
            self._land(number, await start_child(command, self.agent, state, self._journal, self._clock.now()))
        elif isinstance(command, CallTool) and command.tool == READ_MORE:
            self._land(number, await read_on(command, state, self._journal))
        elif isinstance(command, CheckCall):
            self._land(number, await check_call(command, self.agent, self._hands))
        elif isinstance(command, Recall):
            self._land(number, await recall(command, self._journal, self._clock.now(), self._hands.recaller))
        else:
            self._land(number, *await perform(command, self.agent, state, self._hands, self._contents))

    async def _still_holds(self) -> bool:
        """The fence guards the journal, not the wire: a worker that was stopped past its lease must not send before it has
        a lease again. It may be stopped while it asks for one, too; so the answer counts from when it was asked for. By the
        wall clock as well: others go by that, right or wrong."""
        while self._clock.monotonic() - self.proven_at >= self.terms.lease_seconds or self._clock.now() >= self.claim.until:
            asked_at = self._clock.monotonic()
            try:
                kept = await self._journal.extend([self.claim], self._clock.now() + self.terms.lease_seconds)
            except JournalUnavailable:
                return False
            if not kept:
                return False
            self.renew(kept[0], asked_at)
        return True

    def _land(self, number: int, *outcome: e.AnyEvent) -> None:
        if self._flights.pop(number, None) is None:
            return  # It was overdue, and its outcome is written down as unknown.
        self._outcomes.extend(outcome)
        self._notify()

    def _drop_checks(self) -> None:
        """A run has ended that gave up a step while functions were asked about it: what they say means nothing any more."""
        for number, (about, task, _) in list(self._flights.items()):
            if isinstance(about, CheckCall):
                task.cancel()
                del self._flights[number]

    def _end_overdue(self, now: float) -> None:
        """Give up on calls that did not obey their cancellation; what they did is unknown. now: the loop's time."""
        for number, (about, task, overdue_at) in list(self._flights.items()):
            if now >= overdue_at:
                task.cancel()
                if isinstance(about, Judging):
                    self._land_delivery(number, about, not_judged(about))
                else:
                    self._land(number, overdue(about))

    # --- waiting --------------------------------------------------------------------------------------------------

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, decision: Decision, now: float) -> None:
        """Until an outcome, a word from outside, or the time to look again."""
        heard = not self._mail or decision.state.ended  # Nothing is said to a run that has ended.
        if self._outcomes or not heard or self._lost or (self._stopping and not self._flights):
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        # Far-off times are looked at again now and then: the clock may jump.
        seconds = LOOK_SECONDS
        if self._full_tries:
            seconds = min(FULL_SECONDS * 2**self._full_tries, FULL_SECONDS_MAX)
        elif decision.wake_at is not None and not self._stopping:
            seconds = min(max(decision.wake_at - now, GRAIN_SECONDS), LOOK_SECONDS)
        if self._flights:
            seconds = min(seconds, min(flight[2] for flight in self._flights.values()) - loop.time())
        self._look_again(loop, loop.time() + seconds)
        try:
            await self._waiter
        finally:
            self._waiter = None
        self._end_overdue(loop.time())

    def _look_again(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        """Have the loop look no later than this. A timer that is earlier stays: to look too often does no harm, and most
        steps are over long before any timer is."""
        if self._timer is not None:
            if loop.time() < self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = loop.call_at(at, self._notify)


def _over(state: State, event: e.AnyEvent) -> tuple[str, float] | None:
    """The step whose time the event says is over, and that time: to answer what it asks, or to bring what it is owed."""
    if isinstance(event, e.InterruptExpired):
        question = state.interrupts[event.interrupt]
        return question.step, question.expires_at
    if isinstance(event, e.PendingRuled) and event.row.startswith("late") and event.step in state.pending:
        return event.step, state.pending[event.step].until
    return None


def _brings_a_result(event: e.AnyEvent) -> TypeGuard[e.CallbackReceived | e.ChildEnded]:
    if isinstance(event, e.ChildEnded):
        return event.status == "completed"
    return isinstance(event, e.CallbackReceived) and event.failure is None


def _is_waited_for(room: Room) -> bool:
    """Whether places are to be looked for again soon: a tool that is held back, and a key that another run has, are not."""
    return any(not name.startswith(ONCE) for name in room.free)


def _same(now: Thinking, before: Thinking) -> bool:
    """Whether a run would think as it did. What its first turn was for is settled then."""
    return msgspec.structs.replace(now, interpret=before.interpret) == before


def _may_be_delivered(agent: Agent) -> bool:
    return any(contract.callback for contract in agent.toolbox.contracts.values())
