"""What is counted of commits.

What a simulated run says happened did not: of it only commits, events, questions, requests to models, and
`holdfast.simulated.calls` are counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.forks import is_simulated
from holdfast.core.models import Usage
from holdfast.core.state import ENDED
from holdfast.runner.observing import Committed
from holdfast.telemetry import names
from holdfast.telemetry.counts import Counts, Histogram
from holdfast.telemetry.plain import Plain
from holdfast.telemetry.spans import cost_usd, decision, settlement

# Kinds of commits that are remembered; there are a few dozen that come again and again.
SHAPES_MAX = 1024
_Count = Callable[["Counting", Committed, Any, float | None, bool], None]
_TAGS: dict[type[e.Event], tuple[str]] = {
    kind: (str(kind.__struct_config__.tag),) for kind in e.AnyEvent.__args__
}  # fmt: skip


class Shape(msgspec.Struct, frozen=True, gc=False):
    """What is to be looked at in a commit with these kinds of events: what each adds to the count of its kind, the places of
    those that are counted in a way of their own, and of those after which a step may have ended."""

    kinds: tuple[tuple[str], ...]
    counted: tuple[tuple[int, _Count], ...]
    ending: tuple[int, ...]


class Tally(msgspec.Struct):
    """Plain commits of an agent with a call of a tool that are not added to the numbers yet; their times are."""

    seconds: Histogram
    commits: int = 0


class Counting:
    """Counts what happened in commits. For one thread, which holds the lock of the counts."""

    def __init__(self, counts: Counts):
        self._counts = counts
        self._shapes: dict[tuple[type, ...], Shape] = {}
        self._plains: dict[tuple[str, str, tuple[type, ...]], Tally] = {}

    def plain(self, commit: Plain, begun_at: float | None) -> None:
        """Count a plain commit; `settle` makes numbers of it. begun_at: when its call was intended."""
        if begun_at is None:
            self._add(commit.agent, commit.tool, commit.kinds, 1)
            return
        key = (commit.agent, commit.tool, commit.kinds)
        tally = self._plains.get(key) or self._tally(key)
        tally.commits += 1
        seconds = commit.at - begun_at
        tally.seconds.buckets[bisect_left(names.OPERATION_BOUNDS, seconds)] += 1
        tally.seconds.total += seconds

    def _tally(self, key: tuple[str, str, tuple[type, ...]]) -> Tally:
        agent, tool, _ = key
        self._plains[key] = Tally(self._counts.histogram(names.EXECUTE_TOOL_DURATION, (tool, "", agent)))
        return self._plains[key]

    def settle(self) -> None:
        """Add to the numbers what was tallied of plain commits."""
        for (agent, tool, kinds), tally in self._plains.items():
            self._add(agent, tool, kinds, tally.commits)
        self._plains.clear()

    def _add(self, agent: str, tool: str, kinds: tuple[type, ...], commits: int) -> None:
        for kind in kinds:
            self._counts.add(names.EVENTS, _TAGS[kind], commits)
        self._counts.add(names.COMMITS, (agent,), commits)
        self._counts.add(names.STEPS_ENDED, (agent, "done"), commits)
        self._counts.add(names.ATTEMPTS, (tool, "ok", ""), commits)

    def commit(self, commit: Committed, begun: Mapping[int, float]) -> None:
        """Count one commit. begun: see `Intents.of`."""
        counts, before, after, events = self._counts, commit.before, commit.after, commit.events
        kinds = tuple([type(event) for event in events])
        shape = self._shapes.get(kinds) or self._shape(kinds)
        counts.add(names.COMMITS, (commit.agent,))
        by_kind = counts.numbers(names.EVENTS)
        for kind in shape.kinds:
            by_kind[kind] = by_kind.get(kind, 0) + 1
        simulated = is_simulated(after)
        for place, count in shape.counted:
            count(self, commit, events[place], begun.get(place), simulated)
        if commit.first == 2:
            counts.add(names.RUNS_TAKEN_ON, (commit.agent,))
            counts.observe(names.QUEUE_DURATION, (commit.agent,), max(0.0, commit.at - before.started_at))
        if shape.ending and not simulated:
            self._steps(commit, shape.ending)
        if before.interrupts is not after.interrupts:
            self._interrupts(commit)
        if before.pending is not after.pending and not simulated:
            self._pending(commit)

    def _shape(self, kinds: tuple[type, ...]) -> Shape:
        if len(self._shapes) >= SHAPES_MAX:
            self._shapes.clear()
        places = tuple(enumerate(kinds))
        self._shapes[kinds] = Shape(
            tuple(_TAGS[kind] for kind in kinds),
            tuple((place, _COUNT[kind]) for place, kind in places if kind in _COUNT),
            tuple(place for place, kind in places if kind in _MAY_END),
        )
        return self._shapes[kinds]

    def _steps(self, commit: Committed, places: tuple[int, ...]) -> None:
        """Steps that ended with what was written down of them."""
        seen: list[str] = []
        for place in places:
            name: str = commit.events[place].step  # type: ignore[union-attr, assignment]
            now = commit.after.steps.get(name) if name and name not in seen else None
            if now is not None and now.phase in ENDED:
                seen.append(name)
                was = commit.before.steps.get(name)
                if was is None or was.phase not in ENDED:
                    self._counts.add(names.STEPS_ENDED, (commit.agent, now.phase))

    def _interrupts(self, commit: Committed) -> None:
        before, after = commit.before, commit.after
        for name, asked in after.interrupts.items():
            if name not in before.interrupts:
                self._counts.add(names.INTERRUPTS_OPENED, (asked.kind, asked.about))
        for name, asked in before.interrupts.items():
            if name not in after.interrupts:
                self._counts.add(names.INTERRUPTS_CLOSED, (asked.kind, decision(commit.events, name)))
                standing = before.standings.get(name)
                if standing is not None:
                    self._counts.observe(names.INTERRUPT_DURATION, (asked.kind,), max(0.0, commit.at - standing.asked_at))

    def _pending(self, commit: Committed) -> None:
        for name, owed in commit.before.pending.items():
            now = commit.after.pending.get(name)
            if now is None or now.key != owed.key or now.since != owed.since:
                seconds = max(0.0, commit.at - owed.since)
                self._counts.observe(names.PENDING_DURATION, (owed.tool, settlement(commit, owed)), seconds)

    # --- by event -----------------------------------------------------------------------------------------------------

    def _outcome(
        self,
        commit: Committed,
        event: e.CallSucceeded | e.CallPartial | e.CallDeferred | e.CallFailed | e.CallUnknown,
        begun_at: float | None,
        simulated: bool,
    ) -> None:
        step = commit.before.steps.get(event.step)
        tool = step.tool if step is not None else ""
        outcome = _WORDS[type(event)]
        if simulated:
            self._counts.add(names.SIMULATED_CALLS, (tool, outcome))
            return
        error = ""
        if isinstance(event, e.CallFailed):
            error = event.failure.kind
        elif isinstance(event, e.CallUnknown):
            error = "crashed" if event.crashed else "unknown"
        self._counts.add(names.ATTEMPTS, (tool, outcome, error))
        if begun_at is not None:
            self._counts.observe(names.EXECUTE_TOOL_DURATION, (tool, error, commit.agent), commit.at - begun_at)
        if (event.spent is not None or commit.before.reserved) and (cost := cost_usd(commit, event)):
            self._counts.add(names.COST, (names.EXECUTE_TOOL, tool), cost)

    def _answered(
        self,
        commit: Committed,
        event: e.ModelAnswered | e.ModelFailed | e.ModelCallLost,
        begun_at: float | None,
        simulated: bool,
    ) -> None:
        provider, model = names.provider_and_model(event.model)
        error = ""
        if isinstance(event, e.ModelFailed):
            error = event.failure.kind
        elif isinstance(event, e.ModelCallLost):
            error = "crashed"
        if begun_at is not None:
            self._counts.observe(names.OPERATION_DURATION, (names.CHAT, provider, model, error), commit.at - begun_at)
        if isinstance(event, e.ModelCallLost):
            return  # What it is charged with is a bound, and nobody knows what it used.
        self._used((names.CHAT, provider, model), event.usage)

    def _used(self, labels: tuple[str, str, str], usage: Usage) -> None:
        if usage.input_tokens or usage.output_tokens:
            self._counts.observe(names.TOKEN_USAGE, (*labels, "input"), usage.input_tokens)
            self._counts.observe(names.TOKEN_USAGE, (*labels, "output"), usage.output_tokens)
        if usage.cost_usd:
            self._counts.add(names.COST, (names.CHAT, labels[2]), float(usage.cost_usd))

    def _retried(self, commit: Committed, event: e.RetryRuled, begun_at: float | None, simulated: bool) -> None:
        if not simulated:
            step = commit.after.steps.get(event.step)
            self._counts.add(names.RETRIES, (step.tool if step is not None else "",))

    def _recovered(self, commit: Committed, event: e.RecoveryRuled, begun_at: float | None, simulated: bool) -> None:
        if not simulated:
            self._counts.add(names.RECOVERIES, (event.row, event.action))

    def _run_ended(
        self, commit: Committed, event: e.RunCompleted | e.RunFailed | e.RunCancelled, begun_at: float | None, simulated: bool
    ) -> None:
        if simulated:
            return
        status = commit.after.ended
        self._counts.add(names.RUNS_ENDED, (commit.agent, status))
        error = "" if status == "completed" else status
        self._counts.observe(names.INVOKE_AGENT_DURATION, (commit.agent, error), max(0.0, commit.at - commit.after.started_at))


# Events about a step after which it may have ended.
_MAY_END = frozenset(
    kind for kind in e.AnyEvent.__args__ if "step" in kind.__struct_fields__ and kind not in e.INTENTS and kind is not e.Asked
)
_WORDS: dict[type[e.Event], str] = {
    e.CallSucceeded: "ok", e.CallPartial: "partial", e.CallDeferred: "deferred", e.CallFailed: "failed", e.CallUnknown: "unknown",
}  # fmt: skip
_COUNT: Mapping[type, _Count] = {
    **dict.fromkeys(_WORDS, Counting._outcome),
    **dict.fromkeys((e.ModelAnswered, e.ModelFailed, e.ModelCallLost), Counting._answered),
    e.RetryRuled: Counting._retried,
    e.RecoveryRuled: Counting._recovered,
    **dict.fromkeys((e.RunCompleted, e.RunFailed, e.RunCancelled), Counting._run_ended),
}
