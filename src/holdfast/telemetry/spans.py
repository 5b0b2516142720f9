"""From commits to spans.

A run may take weeks, move from worker to worker and be killed in between, and a span that is open is lost with its process. So
no span is ever open. One is made when its end is committed, whole, with the times that the journal has for its intent and its
outcome:

    execute_tool     an attempt: from its intent to its outcome; one that a crash took ends when that was found out
    probe            a look at whether a call happened, or whether what is owed is there
    chat, plan       a request to a model, below it the turn that it belongs to where that came to a plan
    ask              something that a person was asked: from then until it was asked no more
    await            something that was owed: from the call that left it until it came, or was given up
    invoke_agent     the run, when it has ended

All spans of a run are one trace. Ids follow from the run (`ids`): whoever commits an outcome, in whatever process, gives its
span the same trace, and can point at spans that other processes made, or that are yet to be made. The parent of all is the
span of the run; until the run has ended that parent is not there yet, and backends show its children without it. An attempt of
a step points at the attempt before it and at the steps whose results it reads; a child run at the step that started it, and
that at the child; a fork at its source; a question and what is owed at the attempt that they are about.

What makes this true:

- Only what a worker committed is heard (`runner.observing`). To look at a run, to replay it or to fork it is not to do it
  again, and makes no span. A call of a simulated run was not made: its span is `simulate_tool`, and says so.
- An outcome is committed once, so its span is made once. It is made in memory: of what a killed process had not sent yet, the
  journal alone knows.
- When an intent was committed is remembered until its outcome is (`intents`). Of one that another worker committed the state
  knows when its key first went out. Where that is not the time of this very attempt, the span begins when the journal was last
  written to before this worker took the run on, and is marked with `holdfast.start.inferred`.
- Arguments, results, messages and models' words are content. Without `content=True` their sizes are told, and nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.forks import is_simulated
from holdfast.core.pending import Pending
from holdfast.core.state import contract_of
from holdfast.runner.observing import Committed
from holdfast.telemetry import ids, names
from holdfast.telemetry.plain import Plain, sent
from holdfast.telemetry.records import CLIENT, Attempt, Attributes, Link, Shared, Span

LINKS_MAX = 32
KEPT_MAX = 4096
CONTENT_CHARACTERS_MAX = 8_000

_OUTCOMES: dict[type[e.Event], str] = {
    e.CallSucceeded: "ok",
    e.CallPartial: "partial",
    e.CallDeferred: "deferred",
    e.CallFailed: "failed",
    e.CallUnknown: "unknown",
}


class Spans:
    """Makes the spans of what has ended in each commit. For one thread."""

    def __init__(self, *, content: bool = False):
        self._content = content
        self._runs: dict[tuple[str, str], Shared] = {}
        self._kinds: dict[tuple[str, ...], Shared] = {}

    def of(self, commit: Committed, begun: Mapping[int, float]) -> list[Span]:
        """The spans that end with this commit, in the order of their events. begun: see `Intents.of`."""
        found: list[Span] = []
        for place, event in enumerate(commit.events):
            make = _MAKERS.get(type(event))
            if make is not None:
                span = make(self, commit, event, begun.get(place))
                if span is not None:
                    found.append(span)
        before, after = commit.before, commit.after
        if before.interrupts is not after.interrupts:
            found += [self._question(commit, name) for name in before.interrupts if name not in after.interrupts]
        if before.pending is not after.pending:
            found += [
                self._owed(commit, owed)
                for name, owed in before.pending.items()
                if (now := after.pending.get(name)) is None or now.key != owed.key or now.since != owed.since
            ]
        return found

    def plain(self, commit: Plain, begun_at: float | None) -> Span:
        """The span of a plain commit. begun_at: when its call was intended, where that is known."""
        trace = ids.trace_id(commit.run_id)
        links: tuple[Link, ...] = ()
        if commit.attempt > 1 or commit.reads:
            links = _links(trace, commit.step, commit.attempt, commit.reads)
        known = self._runs.get((commit.run_id, commit.worker))
        return Span(
            trace_id=trace,
            span_id=ids.span_id(trace, ids.ATTEMPT, commit.step, commit.attempt),
            parent_id=ids.run_span(commit.run_id),
            name=f"{names.EXECUTE_TOOL} {commit.tool}",
            begun_at=begun_at if begun_at is not None else commit.sent_at,
            ended_at=commit.at,
            attributes={names.START_INFERRED: True} if begun_at is None and commit.is_guess else {},
            attempt=Attempt(commit.step, commit.attempt, commit.key, commit.arguments_bytes, commit.result_bytes),
            shared=(
                self._of_call(names.EXECUTE_TOOL, commit.tool, commit.safety, "ok", ""),
                known or self._of_plain_run(commit),
            ),
            links=links,
        )

    def _of_plain_run(self, commit: Plain) -> Shared:
        attributes = _run_attributes(commit.run_id, commit.agent, commit.worker, commit.thread)
        return _kept(self._runs, (commit.run_id, commit.worker), attributes)

    # --- calls ----------------------------------------------------------------------------------------------------------

    def _attempt(
        self,
        commit: Committed,
        event: e.CallSucceeded | e.CallPartial | e.CallDeferred | e.CallFailed | e.CallUnknown,
        begun_at: float | None,
    ) -> Span | None:
        before = commit.before
        step = before.steps.get(event.step)
        if step is None:
            return None
        contract = contract_of(before, step)
        trace = ids.trace_id(commit.run_id)
        attributes: Attributes = {}
        if begun_at is None:
            begun_at, is_guess = sent(commit, step)
            if is_guess:
                attributes[names.START_INFERRED] = True
        links: tuple[Link, ...] = ()
        if step.reads or event.attempt > 1:
            others = ((name, before.steps.get(name)) for name in step.reads)
            reads = tuple((name, other.attempt) for name, other in others if other is not None and other.attempt)
            links = _links(trace, event.step, event.attempt, reads)
        error, message, size = "", "", -1
        if isinstance(event, (e.CallSucceeded, e.CallPartial)):
            size = event.cut.bytes if event.cut is not None else _size(event.value)
            if self._content:
                attributes[names.TOOL_CALL_RESULT] = _shown(event.value)
        elif isinstance(event, e.CallFailed):
            error, message = event.failure.kind, event.failure.message
        elif isinstance(event, e.CallUnknown):
            error, message = "crashed" if event.crashed else "unknown", event.why
        elif contract is not None and contract.agent is not None and event.handle:
            links += (Link(ids.trace_id(event.handle), ids.run_span(event.handle), names.STARTED),)
        if (event.spent is not None or before.reserved) and (cost := cost_usd(commit, event)):
            attributes[names.COST_USD] = cost
        if self._content:
            attributes[names.TOOL_CALL_ARGUMENTS] = _shown(step.args)
        operation = names.SIMULATE_TOOL if is_simulated(commit.after) else names.EXECUTE_TOOL
        safety = contract.safety if contract is not None else ""
        return Span(
            trace_id=trace,
            span_id=ids.span_id(trace, ids.ATTEMPT, event.step, event.attempt),
            parent_id=ids.run_span(commit.run_id),
            name=f"{operation} {step.tool}",
            begun_at=begun_at,
            ended_at=commit.at,
            attributes=attributes,
            attempt=Attempt(event.step, event.attempt, step.key, _size(step.args), size),
            shared=(self._of_call(operation, step.tool, safety, _OUTCOMES[type(event)], error), self._of_run(commit)),
            links=links,
            failed=error != "",
            message=message if self._content else "",
        )

    def _of_call(self, operation: str, tool: str, safety: str, outcome: str, error: str) -> Shared:
        """What attempts of a kind have in common."""
        key = (operation, tool, safety, outcome, error)
        known = self._kinds.get(key)
        if known is None:
            attributes: Attributes = {names.TOOL_NAME: tool, names.OUTCOME: outcome}
            if operation == names.EXECUTE_TOOL:
                attributes |= {names.OPERATION_NAME: operation, names.TOOL_TYPE: "function"}
            else:
                attributes[names.OPERATION] = operation
            if safety:
                attributes[names.SAFETY] = safety
            if error:
                attributes[names.ERROR_TYPE] = error
            known = _kept(self._kinds, key, attributes)
        return known

    def _of_run(self, commit: Committed) -> Shared:
        """What every span of a run says."""
        state, key = commit.after, (commit.run_id, commit.worker)
        known = self._runs.get(key)
        # A run that was forked into being has been heard of by nobody before that.
        if known is None:
            attributes = _run_attributes(commit.run_id, commit.agent, commit.worker, state.thread)
            if state.fork is not None:
                attributes[names.FORK_SOURCE], attributes[names.FORK_MODE] = state.fork.source, state.fork.mode
                if state.fork.mode == "simulate":
                    attributes[names.SIMULATED] = True
            known = _kept(self._runs, key, attributes)
        return known

    def _probe(self, commit: Committed, event: e.ProbeAnswered, begun_at: float | None) -> Span | None:
        step = commit.before.steps.get(event.step)
        if step is None:
            return None
        if begun_at is None:
            begun_at = step.probed_at if step.phase == "probing" else commit.at
        trace = ids.trace_id(commit.run_id)
        attributes: Attributes = {
            names.OPERATION: names.PROBE,
            names.TOOL_NAME: step.tool,
            names.TOOL_CALL_ID: step.key,
            names.STEP_ID: event.step,
            names.OUTCOME: event.verdict,
        }
        if event.failure is not None:
            attributes[names.ERROR_TYPE] = event.failure.kind
        return Span(
            trace_id=trace,
            # Probes of a doubt are counted anew in each one.
            span_id=ids.span_id(trace, ids.PROBE, f"{event.step} {step.attempt}", event.probe),
            parent_id=ids.run_span(commit.run_id),
            name=f"{names.PROBE} {step.tool}",
            begun_at=begun_at,
            ended_at=commit.at,
            attributes=attributes,
            shared=(self._of_run(commit),),
            links=(Link(trace, ids.span_id(trace, ids.ATTEMPT, event.step, step.attempt), names.ASKED_ABOUT),),
            message=event.message if self._content else "",
        )

    # --- thinking -------------------------------------------------------------------------------------------------------

    def _chat(self, commit: Committed, event: e.ModelAnswered | e.ModelFailed | e.ModelCallLost, begun_at: float | None) -> Span:
        """A request to a model, below the turn where that came to a plan in the same commit."""
        trace = ids.trace_id(commit.run_id)
        asked = commit.before.asking_model
        provider, model = names.provider_and_model(event.model)
        attributes: Attributes = {
            names.OPERATION_NAME: names.CHAT,
            names.PROVIDER_NAME: provider,
            names.REQUEST_MODEL: model,
            names.TURN: event.turn,
            names.USAGE_INPUT_TOKENS: event.usage.input_tokens,
            names.USAGE_OUTPUT_TOKENS: event.usage.output_tokens,
        }
        if event.usage.cost_usd:
            attributes[names.COST_USD] = float(event.usage.cost_usd)
        if asked is not None and asked.turn == event.turn:
            attributes[names.PHASE], attributes[names.ATTEMPT] = asked.phase, asked.attempt
            if asked.reserved is not None and asked.reserved.output_tokens:
                attributes[names.REQUEST_MAX_TOKENS] = asked.reserved.output_tokens
        seconds, message = 0.0, ""
        if isinstance(event, e.ModelAnswered):
            attributes[names.USAGE_CACHE_READ] = event.usage.cache_read_tokens
            attributes[names.USAGE_CACHE_CREATION] = event.usage.cache_write_tokens
            attributes[names.REQUEST_BYTES] = event.bytes
            attributes[names.RESPONSE_FINISH_REASONS] = (event.finish,) if event.finish else ()
            if self._content:
                attributes[names.OUTPUT_MESSAGES] = _shown(event.said)
            seconds = event.seconds
        elif isinstance(event, e.ModelFailed):
            attributes[names.ERROR_TYPE], message = event.failure.kind, event.failure.message
        else:
            attributes[names.ERROR_TYPE] = "crashed"
        planned = isinstance(event, e.ModelAnswered) and any(isinstance(other, _PLANNED) for other in commit.events)
        if begun_at is None:
            begun_at = commit.at - seconds if seconds else commit.before.at
            attributes[names.START_INFERRED] = True
        number = asked.attempt if asked is not None and asked.turn == event.turn else 1
        return Span(
            trace_id=trace,
            span_id=ids.span_id(trace, ids.CHAT, str(number), event.turn),
            parent_id=ids.span_id(trace, ids.PLAN, "", event.turn) if planned else ids.run_span(commit.run_id),
            name=f"{names.CHAT} {model}",
            begun_at=begun_at,
            ended_at=commit.at,
            kind=CLIENT,
            attributes=attributes,
            shared=(self._of_run(commit),),
            failed=names.ERROR_TYPE in attributes,
            message=message if self._content else "",
        )

    def _plan(self, commit: Committed, event: e.PlanAdopted | e.PlanKept | e.ProposalFailed, begun_at: float | None) -> Span:
        trace = ids.trace_id(commit.run_id)
        attributes: Attributes = {names.OPERATION_NAME: names.PLAN, names.TURN: event.turn}
        message = ""
        if isinstance(event, e.PlanAdopted):
            attributes[names.OUTCOME], attributes[names.PLAN_REVISION] = "adopted", event.revision
            attributes[names.PLAN_STEPS], attributes[names.PLAN_DROPPED] = len(event.plan.steps), len(event.dropped)
        elif isinstance(event, e.PlanKept):
            attributes[names.OUTCOME] = "kept"
        else:
            attributes[names.OUTCOME], attributes[names.ERROR_TYPE] = "failed", "invalid_output"
            message = "; ".join(event.problems)
        asked = commit.before.asking_model
        if asked is not None and asked.turn == event.turn:
            attributes[names.PHASE] = asked.phase
        if begun_at is None:
            answered = next((other for other in commit.events if isinstance(other, e.ModelAnswered)), None)
            begun_at = commit.at - answered.seconds if answered is not None and answered.seconds else commit.before.at
            attributes[names.START_INFERRED] = True
        return Span(
            trace_id=trace,
            span_id=ids.span_id(trace, ids.PLAN, "", event.turn),
            parent_id=ids.run_span(commit.run_id),
            name=f"{names.PLAN} {commit.agent}",
            begun_at=begun_at,
            ended_at=commit.at,
            attributes=attributes,
            shared=(self._of_run(commit),),
            failed=names.ERROR_TYPE in attributes,
            message=message if self._content else "",
        )

    # --- waits ----------------------------------------------------------------------------------------------------------

    def _question(self, commit: Committed, name: str) -> Span:
        asked = commit.before.interrupts[name]
        standing = commit.before.standings.get(name)
        trace = ids.trace_id(commit.run_id)
        attributes: Attributes = {
            names.OPERATION: names.ASK,
            names.INTERRUPT_ID: name,
            names.INTERRUPT_KIND: asked.kind,
            names.INTERRUPT_ABOUT: asked.about,
            names.DECISION: decision(commit.events, name),
        }
        if asked.tool:
            attributes[names.TOOL_NAME] = asked.tool
        if asked.ruling is not None and asked.ruling.rule:
            attributes[names.RULE] = asked.ruling.rule
        links: tuple[Link, ...] = ()
        if asked.step:
            attributes[names.STEP_ID] = asked.step
            step = commit.before.steps.get(asked.step)
            if step is not None and step.attempt:
                links = (Link(trace, ids.span_id(trace, ids.ATTEMPT, asked.step, step.attempt), names.ASKED_ABOUT),)
        return Span(
            trace_id=trace,
            span_id=ids.span_id(trace, ids.ASK, name),
            parent_id=ids.run_span(commit.run_id),
            name=f"{names.ASK} {asked.kind}",
            begun_at=standing.asked_at if standing is not None else commit.before.at,
            ended_at=commit.at,
            attributes=attributes,
            shared=(self._of_run(commit),),
            links=links,
            message=asked.question if self._content else "",
        )

    def _owed(self, commit: Committed, owed: Pending) -> Span:
        trace = ids.trace_id(commit.run_id)
        step = commit.before.steps.get(owed.step)
        attempt = step.attempt if step is not None else 0
        attributes: Attributes = {
            names.OPERATION: names.AWAIT,
            names.TOOL_NAME: owed.tool,
            names.TOOL_CALL_ID: owed.key,
            names.STEP_ID: owed.step,
            names.PENDING_ABOUT: owed.about,
            names.OUTCOME: settlement(commit, owed),
        }
        return Span(
            trace_id=trace,
            span_id=ids.span_id(trace, ids.AWAIT, f"{owed.step} {owed.about}", attempt),
            parent_id=ids.run_span(commit.run_id),
            name=f"{names.AWAIT} {owed.tool}",
            begun_at=owed.since,
            ended_at=commit.at,
            attributes=attributes,
            shared=(self._of_run(commit),),
            links=(Link(trace, ids.span_id(trace, ids.ATTEMPT, owed.step, attempt), names.LEFT_BY),) if attempt else (),
        )

    # --- the run --------------------------------------------------------------------------------------------------------

    def _run(self, commit: Committed, event: e.RunCompleted | e.RunFailed | e.RunCancelled, begun_at: float | None) -> Span:
        state = commit.after
        attributes: Attributes = {
            names.OPERATION_NAME: names.INVOKE_AGENT,
            names.RUN_STATUS: state.ended,
            names.RUN_STEPS: len(state.order),
            names.RUN_ATTEMPTS: state.attempts,
            names.RUN_COST_USD: float(state.spent.cost_usd),
            names.PLAN_REVISION: state.revision,
        }
        if state.agent_version:
            attributes[names.AGENT_VERSION] = state.agent_version
        if state.spent.requests:
            attributes[names.USAGE_INPUT_TOKENS] = state.spent.input_tokens
            attributes[names.USAGE_OUTPUT_TOKENS] = state.spent.output_tokens
        links: tuple[Link, ...] = ()
        if state.parent:
            attributes[names.PARENT_RUN], attributes[names.PARENT_STEP] = state.parent, state.parent_step
            trace = ids.trace_id(state.parent)
            # Which attempt of the parent's it was, a child does not know; what starts a run is seldom repeated.
            links = (Link(trace, ids.span_id(trace, ids.ATTEMPT, state.parent_step, 1), names.STARTED_BY),)
        if state.fork is not None:
            source = state.fork.source
            attributes[names.FORK_ENTRY] = state.fork.entry
            links += (Link(ids.trace_id(source), ids.run_span(source), names.FORK_OF),)
        message = ""
        if not isinstance(event, e.RunCompleted):
            attributes[names.ERROR_TYPE], message = state.ended, event.reason
        if self._content:
            attributes[names.GOAL] = _shown(state.goal)
        return Span(
            trace_id=ids.trace_id(commit.run_id),
            span_id=ids.run_span(commit.run_id),
            name=f"{names.INVOKE_AGENT} {commit.agent}",
            begun_at=state.started_at,
            ended_at=commit.at,
            attributes=attributes,
            shared=(self._of_run(commit),),
            links=links,
            # Somebody wanted it to end: that is no error.
            failed=isinstance(event, e.RunFailed),
            message=message if self._content else "",
        )


_PLANNED = (e.PlanAdopted, e.PlanKept, e.ProposalFailed)
_MAKERS: Mapping[type[e.Event], Callable[[Spans, Committed, Any, float | None], Span | None]] = {
    **dict.fromkeys(_OUTCOMES, Spans._attempt),
    e.ProbeAnswered: Spans._probe,
    e.ModelAnswered: Spans._chat,
    e.ModelFailed: Spans._chat,
    e.ModelCallLost: Spans._chat,
    **dict.fromkeys(_PLANNED, Spans._plan),
    **dict.fromkeys((e.RunCompleted, e.RunFailed, e.RunCancelled), Spans._run),
}


def cost_usd(commit: Committed, event: e.CallSucceeded | e.CallPartial | e.CallDeferred | e.CallFailed | e.CallUnknown) -> float:
    """What a call cost: as it says, else what was held for it and is settled now. What a run that it started costs is counted
    with that one."""
    if event.spent is not None:
        return float(event.spent.cost_usd)
    held = commit.before.reserved.get(event.step)
    return float(held.cost_usd) if held is not None and event.step not in commit.after.reserved else 0.0


def decision(events: tuple[e.AnyEvent, ...], interrupt: str) -> str:
    """How a question was closed: a decision, `expired`, `withdrawn`, or `closed` where the run has no more use for it."""
    for event in events:
        if isinstance(event, e.Answered) and event.interrupt == interrupt:
            return event.decision
        if isinstance(event, e.InterruptExpired) and event.interrupt == interrupt:
            return "expired"
        if isinstance(event, e.InterruptWithdrawn) and event.interrupt == interrupt:
            return "withdrawn"
    return "closed"


def settlement(commit: Committed, owed: Pending) -> str:
    """What became of something that was owed: the action of the ruling, or `closed` with the run."""
    for event in commit.events:
        if isinstance(event, e.PendingRuled) and event.step == owed.step:
            return event.action
    return "closed" if commit.after.ended else "settle"


def _links(trace: bytes, step: str, attempt: int, reads: tuple[tuple[str, int], ...]) -> tuple[Link, ...]:
    """From an attempt to the one before it, and to those that the results came from that it read."""
    links = [Link(trace, ids.span_id(trace, ids.ATTEMPT, step, attempt - 1), names.RETRY_OF)] if attempt > 1 else []
    links += [Link(trace, ids.span_id(trace, ids.ATTEMPT, name, number), names.READS) for name, number in reads[:LINKS_MAX]]
    return tuple(links)


def _run_attributes(run_id: str, agent: str, worker: str, thread: str) -> Attributes:
    found: Attributes = {names.RUN_ID: run_id, names.AGENT_NAME: agent, names.WORKER: worker}
    if thread:
        found[names.CONVERSATION_ID] = thread
    return found


def _kept(kept: dict[Any, Shared], key: Any, attributes: Attributes) -> Shared:
    """Keep what spans have in common, for a while."""
    if len(kept) >= KEPT_MAX:
        kept.clear()
    kept[key] = Shared(attributes)
    return kept[key]


def _size(value: Any) -> int:
    """Bytes of a value as JSON."""
    try:
        return len(msgspec.json.encode(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _shown(value: Any) -> str:
    """Content, as JSON and cut."""
    found = msgspec.json.encode(value).decode()
    left = len(found) - CONTENT_CHARACTERS_MAX
    return found if left <= 0 else f"{found[:CONTENT_CHARACTERS_MAX]}… (cut: {left} more)"
