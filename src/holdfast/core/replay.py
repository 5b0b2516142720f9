"""Walk a history again: what would be ruled today, beside what was ruled then. Nothing is called and nothing is asked.

Each batch of a journal begins with what came from outside (outcomes, words, what the store had no room for) and goes on with
what was made of it (rulings, intents). The first part is taken as it stands; the second is what `decide` is asked for once
more, from the state that the record gives, at the time of the batch. The two are compared event by event. So a batch is judged
by itself: one that differs does not make those after it differ, and the first that does is where to look.

Given `instead`, it is asked what would be ruled by another agent: its contracts, its policy. Then the two sides are compared
without the digests in them, which are other ones wherever anything is.

The driver owes this: the batches of one run, in order, each as it was committed, from the first one on; and what a run with
`records` of 0 did not write down is supposed in its favour (see `_supposed`), and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.decide import Decision, Room, decide
from holdfast.core.evolve import fold
from holdfast.core.state import State

_RULED = frozenset(
    {
        e.ProposalRequested, e.RecallIntended, e.CallIntended, e.ProbeIntended, e.ChecksIntended, e.RetryRuled, e.RecoveryRuled,
        e.FallbackRuled, e.ReuseRuled, e.StepSkipped, e.PendingRuled, e.RestPlanned, e.FollowUpSuppressed, e.CallHeld,
        e.CallRefused, e.UndoPlanned, e.StepFailed, e.Asked, e.InterruptExpired, e.LimitReached, e.RunCompleted, e.RunFailed,
        e.RunCancelled, e.ModelCallLost, e.ReasonerHeld, e.Inferred, e.ReobservationPlanned, e.CheckPlanned, e.FinishRuled,
        e.PlanSuspected, e.PolicyRuled, e.InterruptWithdrawn, e.Reminded, e.Escalated, e.FactsInvalidated,
    }
)  # fmt: skip


Instead = Callable[[State], State]


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """Where today's ruling is another one. sequence: of the first entry that differs, at its time; batch: of the first entry of
    its commit. recorded, ruled: both sides; None where one side says nothing more. recorded_rest, ruled_rest: what each side
    goes on with in this commit, the differing event first. before: the state that was ruled on."""

    sequence: int
    at: float
    batch: int
    recorded: e.AnyEvent | None
    ruled: e.AnyEvent | None
    recorded_rest: tuple[e.AnyEvent, ...]
    ruled_rest: tuple[e.AnyEvent, ...]
    before: State


class Walk:
    """A history that is being walked. `feed` it batch by batch; `state` is what the record says so far, whatever is ruled today.

    entries, batches, rulings: how many were walked, and how many of the entries are rulings that were compared. supposed: of
    how many commits it was supposed what an older release did not write down. divergences: in order; see `Divergence`.
    """

    def __init__(self, instead: Instead | None = None) -> None:
        self._instead = instead
        self.state: State | None = None
        self.entries = 0
        self.batches = 0
        self.rulings = 0
        self.supposed = 0
        self.divergences: list[Divergence] = []
        self._held_back: Sequence[e.Entry] | None = None  # The last batch: a fork may have been made in the middle of it.
        self._deferred: int | None = None

    def feed(self, batch: Sequence[e.Entry]) -> None:
        """The next commit of the run."""
        if not batch:
            return
        self.batches += 1
        self.entries += len(batch)
        if self.state is None or isinstance(batch[0].event, e.RunForked):
            self._flush(cut=self.state is not None)
            self.state = fold(batch, self.state)  # How a run begins is not ruled.
            return
        self._flush()
        self._held_back = batch

    def end(self) -> None:
        """There are no more batches."""
        self._flush()

    def _flush(self, *, cut: bool = False) -> None:
        """Rule on the batch that was held back. cut: a fork was made after its last entry, so it may say less than was ruled."""
        batch, self._held_back = self._held_back, None
        if batch is not None:
            assert self.state is not None, "a run begins with its start"
            self.state = self._compare(self.state, batch, cut)

    def _compare(self, state: State, batch: Sequence[e.Entry], cut: bool) -> State:
        first = 0
        while first < len(batch) and not is_ruled(batch[first].event):
            first += 1
        base = fold(batch[:first], state) if first else state
        divergence, after = self._ruled(base, batch, first, cut)
        if divergence is None:
            self.rulings += len(batch) - first
            return after
        self.divergences.append(divergence)
        return fold(batch[first:], base) if first < len(batch) else base

    def _ruled(self, base: State, batch: Sequence[e.Entry], first: int, cut: bool) -> tuple[Divergence | None, State]:
        """What is ruled on `base`, compared with the batch from its `first` entry on; and the state after both."""
        at = batch[0].at
        recorded = [entry.event for entry in batch[first:]]
        if first and isinstance(batch[first - 1].event, e.RulingDeferred):
            return (None, base) if not recorded else (_divergence(base, batch, first, ()), base)
        if self._instead is not None:
            decision = decide(self._instead(base), at, _room(batch[:first]))
            if _same([_plain(one) for one in recorded], [_plain(one) for one in decision.events], cut):
                return None, fold(batch[first:], base) if recorded else base
            return _divergence(base, batch, first, decision.events, _alike), base
        decision = decide(base, at, _room(batch[:first]))
        if _same(recorded, decision.events, cut):
            return None, decision.state if len(recorded) == len(decision.events) else fold(batch[first:], base)
        if not base.records and (supposed := self._suppose(base, batch, first, decision)) is not None:
            return None, supposed
        return _divergence(base, batch, first, decision.events), base

    def _suppose(self, base: State, batch: Sequence[e.Entry], first: int, decision: Decision) -> State | None:
        """For a run of a release that did not write down what the store had no room for, nor that nothing was ruled because a
        worker stopped: the state after this batch, where such a thing explains it; else None."""
        recorded = [entry.event for entry in batch[first:]]
        if not recorded:
            self.supposed += 1
            return base
        supposed = decide(base, batch[0].at, _supposed(recorded, decision.events))
        if not _same(recorded, supposed.events, False):
            return None
        self.supposed += 1
        return supposed.state


def replay(batches: Iterable[Sequence[e.Entry]], instead: Instead | None = None) -> Walk:
    """Walk all batches of a run. instead: what is ruled on in place of a state, to see what would be ruled then."""
    walk = Walk(instead)
    for batch in batches:
        walk.feed(batch)
    walk.end()
    return walk


def is_ruled(event: e.AnyEvent) -> bool:
    """Whether an event is what the core made of things, and not what it was told. Three kinds may be either: a call that is
    unknown because its worker was lost, facts that a step taught, and a pause that is over."""
    if isinstance(event, e.CallUnknown):
        return event.crashed
    if isinstance(event, e.FactsLearned):
        return event.step != ""
    return event.by == "" if isinstance(event, e.RunContinued) else type(event) in _RULED


def _room(outside: Sequence[e.Entry]) -> Room:
    """What the store had no room for, as the batch says."""
    for entry in outside:
        if isinstance(entry.event, e.RoomRefused):
            return Room(free=entry.event.free, held=entry.event.held, holders=entry.event.holders)
    return Room()


def _supposed(recorded: Sequence[e.AnyEvent], ruled: Sequence[e.AnyEvent]) -> Room:
    """The room that explains why less was begun than is ruled with all room: for each tool as many places as were taken."""
    begun, would = _begun(recorded), _begun(ruled)
    free = {tool: begun.get(tool, 0) for tool, calls in would.items() if begun.get(tool, 0) < calls}
    held = {event.tool: (event.until, event.why) for event in recorded if isinstance(event, e.CallHeld)}
    return Room(free={tool: calls for tool, calls in free.items() if tool not in held}, held=held)


def _begun(events: Sequence[e.AnyEvent]) -> dict[str, int]:
    calls: dict[str, int] = {}
    for event in events:
        if isinstance(event, e.CallIntended):
            calls[event.tool] = calls.get(event.tool, 0) + 1
    return calls


def _same(recorded: Sequence[e.AnyEvent], ruled: Sequence[e.AnyEvent], cut: bool) -> bool:
    if len(recorded) != len(ruled) and not (cut and len(recorded) < len(ruled)):
        return False
    return all(map(_is, recorded, ruled))


def _is(recorded: e.AnyEvent, ruled: e.AnyEvent) -> bool:
    """Whether two events would be written down alike."""
    if recorded == ruled:
        return True
    return type(recorded) is type(ruled) and _written(recorded) == _written(ruled)


def _written(event: e.AnyEvent) -> bytes:
    return msgspec.json.encode(event, order="deterministic")


def _plain(event: e.AnyEvent) -> e.AnyEvent:
    """An event without the digests that it is bound by."""
    if isinstance(event, e.Asked):
        ruling = replace(event.ruling, digest="") if event.ruling is not None else None
        return replace(event, digest="", ruling=ruling, calls={})
    return replace(event, call="", ruling=replace(event.ruling, digest="")) if isinstance(event, e.PolicyRuled) else event


def _alike(recorded: e.AnyEvent, ruled: e.AnyEvent) -> bool:
    return _is(_plain(recorded), _plain(ruled))


def _divergence(
    base: State, batch: Sequence[e.Entry], first: int, ruled: Sequence[e.AnyEvent], is_same: Callable[..., bool] | None = None
) -> Divergence:
    recorded = tuple(entry.event for entry in batch[first:])
    same = 0
    while same < min(len(recorded), len(ruled)) and (is_same or _is)(recorded[same], ruled[same]):
        same += 1
    left, right = recorded[same:], tuple(ruled[same:])
    return Divergence(
        sequence=batch[0].sequence + first + same,
        at=batch[0].at,
        batch=batch[0].sequence,
        recorded=left[0] if left else None,
        ruled=right[0] if right else None,
        recorded_rest=left,
        ruled_rest=right,
        before=base,
    )
