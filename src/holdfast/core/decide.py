"""What to do next. All judgement of the machine is reached from here.

Theory of operation
-------------------
`decide(state, now)` looks at what is known and says everything that can be said about it at this moment: rulings
(events that are only written down), intents (events that announce an effect) and, beside each intent, the command to
perform. It is pure: the same state and time give the same decision in every process and in every replay.

The driver owes this, in this order:

1. commit `decision.events` in one batch, together with the outcomes that led here, under its fence;
2. only then perform `decision.commands`, and bring back exactly one outcome event for each;
3. fold the outcomes into `decision.state` and ask again. With nothing in flight and no command, wait until
   `decision.wake_at` or a word from outside.

An intent under an older fence than the state's was left by a worker that is gone: what it announced is in doubt. That is
the only way in which the past of a process enters here.

Order of concern: calls in doubt before everything else, for they are the world's state; then failures; then what is due;
then new steps in plan order; then the reasoner; then the end. A run that stops begins nothing new, lets what is in flight
end, and names what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core import limits, recovery, references
from holdfast.core.approval import OPTIONS, asks_first, shown_digest
from holdfast.core.commands import AskReasoner, CallTool, Command, RunProbe, call_key
from holdfast.core.contract import Contract, digest
from holdfast.core.diagnosis import diagnose
from holdfast.core.evolve import evolve
from holdfast.core.retry import next_wait
from holdfast.core.state import Phase, State, StepState, contract_of, result_of, unknown_steps

PROPOSAL_FAILURES_MAX = 3
_NO_CAPS: Mapping[str, int] = MappingProxyType({})


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """events: to be committed. commands: to be performed after that. state: what is known once they are committed.
    wake_at: when to ask again if nothing else happens; None when only a word from outside can move the run on."""

    events: tuple[e.AnyEvent, ...]
    commands: tuple[Command, ...]
    state: State
    wake_at: float | None


def decide(state: State, now: float, places: Mapping[str, int] = _NO_CAPS) -> Decision:
    """Everything that can be done at `now`.

    places: how many more calls of a tool may begin at present, over all workers (under "", of all tools together); a tool
    that is not named has no such bound. Steps that find no place wait and are not ruled on.
    """
    decider = _Decider(state, max(now, state.at), places)
    decider.run()
    return Decision(events=tuple(decider.events), commands=tuple(decider.commands), state=decider.state, wake_at=decider.wake_at)


class _Decider:
    """One decision in the making: the state with every ruling so far folded in."""

    def __init__(self, state: State, now: float, places: Mapping[str, int]):
        self.state = state
        self.now = now
        self.places = dict(places)
        self.events: list[e.AnyEvent] = []
        self.commands: list[Command] = []
        self.wake_at: float | None = None

    def run(self) -> None:
        if self.state.ended:
            return
        self._check_limits()
        self._settle_all()
        if self._stopping():
            self._stop_when_quiet()
            return
        self._wake(self.state.started_at + self.state.limits.wall_seconds)
        if self._held():
            if self._stopping():
                self._stop_when_quiet()
            return
        self._begin_ready()
        if self._stopping():
            self._stop_when_quiet()
        else:
            self._ask_reasoner_or_end()

    def _rule(self, event: e.AnyEvent) -> None:
        self.events.append(event)
        state = self.state
        self.state = evolve(state, e.Entry(state.version + 1, self.now, state.fence, event))

    def _wake(self, at: float) -> None:
        if self.wake_at is None or at < self.wake_at:
            self.wake_at = at

    def _stopping(self) -> bool:
        return self.state.stopping is not None or self.state.cancel is not None

    # --- bounds and holds -----------------------------------------------------------------------------------------

    def _check_limits(self) -> None:
        state = self.state
        if self._stopping():
            return
        bound = limits.reached(state.limits, steps=len(state.order), started_at=state.started_at, now=self.now)
        if bound is not None:
            self._rule(e.LimitReached(limit=bound[0], allowed=bound[1]))

    def _held(self) -> bool:
        """Whether a changed agent keeps the run from beginning anything, and the question about it."""
        state = self.state
        if state.changed is not None and state.held_by is None:
            weaker = [f"{d.tool}: {d.field} was {d.before}, is {d.after}" for d in state.changed.differences if d.weaker]
            self._ask(
                "agent",
                "question",
                "the agent now promises less than when the run started: " + "; ".join(weaker),
                digest(state.changed),
            )
        if self.state.held_by is None:
            return False
        self._expire(self.state.held_by)
        return True

    # --- steps that something is under way for --------------------------------------------------------------------

    def _settle_all(self) -> None:
        """What is due comes last: a call that turns out to be lost leaves its place to it."""
        for name in self.state.active:
            if self.state.steps[name].phase != "waiting":
                self._settle(name)
        before = -1
        while before != len(self.events):
            before = len(self.events)
            for name in self.state.active:
                if self.state.steps[name].phase == "waiting":
                    self._settle(name)

    def _settle(self, name: str) -> None:
        """Rule on one active step until there is nothing more to say about it at present."""
        for _ in range(64):
            step = self.state.steps[name]
            handler = _SETTLERS.get(step.phase)
            before = len(self.events)
            if handler is not None:
                handler(self, step)
            if len(self.events) == before or self.state.steps[name].phase in ("flying", "probing"):
                return
        raise AssertionError(f"step {name} of {self.state.run_id} never comes to rest")

    def _settle_flying(self, step: StepState) -> None:
        if step.fence < self.state.fence:
            self._rule(
                e.CallUnknown(step=step.step.id, attempt=step.attempt, why="its worker was lost during the call", crashed=True)
            )
            self._settle_doubt(self.state.steps[step.step.id])

    def _settle_probing(self, step: StepState) -> None:
        if step.fence < self.state.fence:
            self._probe(step)

    def _settle_doubt(self, step: StepState) -> None:
        contract = self._contract(step)
        if step.spent and step.failure is not None and step.failure.detail == e.BY_A_PERSON:
            return  # A person cancelled at the question; what they were asked stays unknown.
        row = recovery.rule(self._doubt(step, contract))
        name = step.step.id
        if row.action == "probe":
            due_at = self._probe_due(step, contract)
            if not self._stopping() or due_at <= self.now:
                self._rule(e.RecoveryRuled(step=name, row=row.label, action="probe", reason=row.reason, due_at=due_at))
        elif row.action == "repeat":
            if not self._stopping():
                due_at = self.now + self._lost_wait(step, contract)
                self._rule(e.RecoveryRuled(step=name, row=row.label, action="repeat", reason=row.reason, due_at=due_at))
            elif step.verdict == "not_happened" or contract.safety == "read":
                # It is not made again any more; that it did not happen, or changed nothing, is known all the same.
                self._rule(e.RecoveryRuled(step=name, row=row.label, action="fail", reason=row.reason))
        elif row.action in ("take", "fail"):
            self._rule(e.RecoveryRuled(step=name, row=row.label, action=row.action, reason=row.reason))
        elif not self._stopping():
            self._rule(e.RecoveryRuled(step=name, row=row.label, action="ask", reason=row.reason))
            seen = f" ({step.probe_message})" if step.probe_message else ""
            self._ask_about_doubt(step, contract, f"{row.reason}{seen}")

    def _doubt(self, step: StepState, contract: Contract, spent: bool = False) -> recovery.Doubt:
        since = step.doubt_since if step.doubt_since is not None else self.now
        return recovery.Doubt(
            safety=contract.safety,
            key="alive" if self._key_alive(step, contract) else "expired",
            probe=contract.probe,
            verdict=step.verdict,
            settled=step.verdict != "none" and step.probed_at >= step.settle_at,
            window=self.now < since + contract.probe_window_seconds,
            repeats=step.lost < self.state.limits.lost_max and not step.spent and not spent,
        )

    def _key_alive(self, step: StepState, contract: Contract) -> bool:
        """Whether a call sent now has landed, be it lost, before the other side may have forgotten the key."""
        if contract.key_ttl_seconds is None:
            return True
        since = step.first_sent_at if step.first_sent_at is not None else self.now
        landed = self.now + self._timeout(step, contract) + contract.settles_within_seconds
        return landed <= since + contract.key_ttl_seconds

    def _lost_wait(self, step: StepState, contract: Contract) -> float:
        """A call that a crash took is made again at once; one that keeps being lost backs off like a failure."""
        if step.verdict == "not_happened" or (step.crashed and step.lost <= 1):
            return 0.0
        retry = msgspec.structs.replace(contract.retry, attempts_max=1_000_000)
        return next_wait(retry, max(step.lost, 1), run_id=self.state.run_id, step=step.step.id) or 0.0

    def _probe_due(self, step: StepState, contract: Contract) -> float:
        """At once the first time; then on a doubling schedule, and never before a "no" could be final."""
        if step.verdict == "none":
            return self.now
        if step.verdict == "not_happened" and step.doubt_since is not None:
            return max(step.settle_at, self.now)
        wait = contract.probe_seconds * 2.0 ** min(max(step.probe - 1, 0), 20)
        return self.now + min(wait, max(contract.probe_window_seconds / 8, contract.probe_seconds))

    def _settle_probe_wait(self, step: StepState) -> None:
        if step.due_at <= self.now:
            self._probe(step)
        else:
            self._wake(step.due_at)

    def _probe(self, step: StepState) -> None:
        contract = self._contract(step)
        number = step.probe + 1
        self._rule(e.ProbeIntended(step=step.step.id, probe=number))
        self.commands.append(
            RunProbe(
                step=step.step.id,
                probe=number,
                attempt=step.attempt,
                tool=step.tool,
                args=step.args or {},
                key=step.key,
                occurrence=step.occurrence,
                timeout_seconds=contract.timeout_seconds,
            )
        )

    def _settle_diagnosis(self, step: StepState) -> None:
        if self._stopping():
            return
        assert step.failure is not None, f"{step.step.id} is diagnosed without a failure"
        if step.failure.detail == e.BY_A_PERSON:
            self._give_up(step, step.failure.message, "skip" if step.step.on_failure == "ask" else step.step.on_failure)
            return
        contract = self._contract(step)
        tries = 1_000_000 if step.spent else max(step.tries, 1)
        ruling = diagnose(
            step.failure,
            contract,
            step.step,
            run_id=self.state.run_id,
            tries=tries,
            fallbacks_taken=step.fallbacks_taken,
            landed=step.landed,
        )
        name = step.step.id
        if ruling.verb == "retry":
            self._rule(e.RetryRuled(step=name, due_at=self.now + ruling.wait_seconds, reason=ruling.reason))
        elif ruling.verb == "reconcile":
            self._rule(
                e.RecoveryRuled(
                    step=name, row="failed", action="probe", reason=ruling.reason, due_at=self.now + ruling.wait_seconds
                )
            )
        elif step.doubt_since is not None and not step.spent:
            # This attempt failed for certain, but an earlier one under the same key may have happened.
            self._last_look(step, contract)
        elif ruling.verb == "fall_back":
            fallback = step.step.fallbacks[ruling.fallback]
            self._rule(e.FallbackRuled(step=name, tool=fallback.tool, reason=ruling.reason))
        else:
            tried = f" after {step.tries} attempts" if step.tries > 1 else ""
            broken = "; one of them happened, and its answer could not be used" if step.landed and step.tries > 1 else ""
            self._give_up(step, f"{_said(step.failure)}{tried}{broken}", ruling.verb)

    def _last_look(self, step: StepState, contract: Contract) -> None:
        row = recovery.rule(self._doubt(step, contract, spent=True))
        name = step.step.id
        due_at = self._probe_due(step, contract) if row.action == "probe" else 0.0
        self._rule(e.RecoveryRuled(step=name, row=row.label, action=row.action, reason=row.reason, due_at=due_at, spent=True))
        if row.action == "ask":
            question = f"did an earlier attempt of {step.tool} happen? {row.reason}"
            self._ask("doubt", "escalation", question, self._digest(step, contract), self.state.steps[name])

    def _give_up(self, step: StepState, reason: str, policy: str) -> None:
        name = step.step.id
        if policy == "ask":
            contract = self.state.contracts.get(step.tool)
            shown = self._digest(step, contract) if contract else ""
            self._ask("failure", "escalation", f"{step.tool} did not work: {reason}", shown, step)
        elif policy == "stop":
            self._rule(e.StepFailed(step=name, reason=reason))
        else:
            self._rule(e.StepSkipped(step=name, reason=reason, flagged=policy == "flag"))

    def _settle_waiting(self, step: StepState) -> None:
        if self._stopping() or self.state.held_by or self.state.changed:
            return
        if step.due_at > self.now:
            self._wake(step.due_at)
            return
        contract = self._contract(step)
        if step.doubt_since is not None:
            row = recovery.rule(self._doubt(step, contract))
            if row.action != "repeat":
                self._last_look_before_repeat(step, contract, row)
                return
        elif step.landed and contract.safety not in ("read", "idempotent"):
            reason = "it happened, its answer could not be used, and the tool may not be called again any more"
            self._give_up(step, reason, step.step.on_failure)
            return
        self._begin(step)

    def _last_look_before_repeat(self, step: StepState, contract: Contract, row: recovery.Row) -> None:
        """While the repeat waited, the key died or the tool changed: what was a harmless repeat is one no more."""
        due_at = self._probe_due(step, contract) if row.action == "probe" else 0.0
        self._rule(e.RecoveryRuled(step=step.step.id, row=row.label, action=row.action, reason=row.reason, due_at=due_at))
        if row.action == "ask":
            self._ask_about_doubt(self.state.steps[step.step.id], contract, row.reason)

    def _settle_owed(self, step: StepState) -> None:
        """Look for a result that is owed, on the probe's schedule, until its deadline; then a person is asked."""
        if self._stopping():
            return
        contract, name, until = self._contract(step), step.step.id, step.owed_until or 0.0
        if step.verdict == "happened":
            self._rule(e.RecoveryRuled(step=name, row="owed-came", action="take", reason="the result that was owed is there"))
        elif self.now >= until:
            self._ask(
                "owed",
                "escalation",
                f"{step.tool} took the call and its result has not come",
                self._digest(step, contract),
                step,
            )
        elif not contract.probe:
            self._wake(until)
        elif step.due_at > self.now:
            self._wake(step.due_at)
        elif step.probe and step.due_at <= step.probed_at:
            due_at = min(self._probe_due(step, contract), until)
            reason = "the result that is owed is not there yet"
            self._rule(e.RecoveryRuled(step=name, row="owed-not-yet", action="probe", reason=reason, due_at=due_at))
        else:
            self._probe(step)

    def _settle_asking(self, step: StepState) -> None:
        if step.interrupt is not None and not self._stopping():
            self._expire(step.interrupt)

    def _expire(self, interrupt: str) -> None:
        asked = self.state.interrupts[interrupt]
        if asked.expires_at <= self.now:
            self._rule(e.InterruptExpired(interrupt=interrupt))
        else:
            self._wake(asked.expires_at)

    # --- beginning ------------------------------------------------------------------------------------------------

    def _begin_ready(self) -> None:
        """Begin what is ready, in order. Those that cannot begin yet keep their place and are passed over."""
        passed = 0
        while passed < len(self.state.ready) and self._in_flight() < self.state.limits.parallel_max and not self._stopping():
            name = self.state.ready[passed]
            step = self.state.steps[name]
            blocker = next((other for other in step.reads if self.state.steps[other].phase != "done"), None)
            if blocker is not None:
                self._rule(e.StepSkipped(step=name, reason=f"it needs {blocker}, which was not done"))
            else:
                self._begin(step)
            if self.state.steps[name].phase == "ready":
                passed += 1

    def _in_flight(self) -> int:
        return sum(1 for name in self.state.active if self.state.steps[name].phase == "flying")

    def _is_full(self, tool: str) -> bool:
        return self.places.get(tool, 1) <= 0 or self.places.get("", 1) <= 0

    def _begin(self, step: StepState) -> None:
        """Call the tool, or say why not yet: no slot, the same call elsewhere, a person first."""
        state, name = self.state, step.step.id
        contract = state.contracts.get(step.tool)
        if contract is None:
            gone = f"the agent has no tool {step.tool} any more"
            if step.doubt_since is not None:
                self._ask_about_doubt(step, self._contract(step), gone)
            else:
                self._give_up(step, gone, step.step.on_failure)
            return
        if self._is_full(step.tool) or (step.phase == "waiting" and self._in_flight() >= state.limits.parallel_max):
            return
        try:
            args = self._arguments(step)
        except references.Missing as missing:
            self._give_up(step, str(missing), step.step.on_failure)
            return
        # A repeat of a call in doubt goes out under the key of that call, whatever the agent says today.
        again = step.doubt_since is not None and step.key != ""
        key = step.key if again else call_key(state.run_id, step.tool, name, contract.business_key, args, step.occurrence)
        twin = state.business.get(key) if contract.business_key else None
        # A twin that fell back to another tool has made another call since: it is in nobody's way.
        if twin is not None and twin != name and state.steps[twin].key == key and self._twin_in_the_way(step, state.steps[twin]):
            return
        if state.attempts >= state.limits.attempts_max:
            self._rule(e.LimitReached(limit="attempts_max", allowed=float(state.limits.attempts_max)))
            return
        if asks_first(contract, step.step) and step.approved != shown_digest(step.tool, args, contract):
            if again or step.landed:
                # Neither yes nor no to a new call would say anything about the one before it.
                before = "an earlier call happened, and its answer could not be used; " if step.landed else ""
                self._ask_about_doubt(step, contract, f"{before}the tool changed since it was approved")
            else:
                self._ask("call", "approval", f"may {step.tool} be called?", shown_digest(step.tool, args, contract), step, args)
            return
        for capped in self.places.keys() & {step.tool, ""}:
            self.places[capped] -= 1
        attempt = step.attempt + 1
        self._rule(e.CallIntended(step=name, attempt=attempt, tool=step.tool, key=key, args=args))
        self.commands.append(
            CallTool(
                step=name,
                attempt=attempt,
                tool=step.tool,
                args=args,
                key=key,
                occurrence=step.occurrence,
                timeout_seconds=self._timeout(step, contract),
                contract=contract,
                send_by=self._send_by(step) if again else None,
            )
        )

    def _arguments(self, step: StepState) -> dict[str, Any]:
        if step.edited is not None:
            return step.edited
        if step.key and step.args is not None and step.doubt_since is not None:
            return step.args
        form = step.step.args
        if step.fallbacks_taken:
            own = step.step.fallbacks[step.fallbacks_taken - 1].args
            form = form if own is None else own
        if not form:
            return form
        resolved = references.resolve(form, self.state.goal.inputs, lambda other: result_of(self.state, other), for_call=True)
        assert isinstance(resolved, dict), "arguments are a table"
        return resolved

    def _twin_in_the_way(self, step: StepState, twin: StepState) -> bool:
        """Whether the same call, by its business key, is done or under way in another step."""
        if twin.phase == "done":
            self._rule(e.ReuseRuled(step=step.step.id, same_as=twin.step.id))
        elif twin.phase in ("skipped", "failed"):
            if step.insisted or not twin.landed:
                return False
            reason = f"the same call was made in step {twin.step.id}, whose answer could not be used"
            self._give_up(step, reason, step.step.on_failure)
        return True

    def _send_by(self, step: StepState) -> float | None:
        """Until when a repeat of a call in doubt may go out: whoever sends it may have been stopped since this was decided."""
        contract = self._contract(step)
        if contract.key_ttl_seconds is None or step.first_sent_at is None:
            return None
        return step.first_sent_at + contract.key_ttl_seconds - self._timeout(step, contract) - contract.settles_within_seconds

    def _timeout(self, step: StepState, contract: Contract) -> float:
        return step.step.timeout_seconds if step.step.timeout_seconds is not None else contract.timeout_seconds

    def _contract(self, step: StepState) -> Contract:
        contract = contract_of(self.state, step)
        # The tool is gone from the agent; nothing may be assumed of what it did.
        return contract if contract is not None else Contract(tool=step.tool)

    def _ask_about_doubt(self, step: StepState, contract: Contract, why: str) -> None:
        self._ask("doubt", "escalation", f"did {step.tool} happen? {why}", self._digest(step, contract), step)

    def _digest(self, step: StepState, contract: Contract) -> str:
        return shown_digest(step.tool, step.args if step.args is not None else step.step.args, contract)

    def _ask(
        self, about: e.InterruptSubject, kind: e.InterruptKind, question: str, shown: str, step: StepState | None = None,
        args: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        subject = step.step.id if step is not None else "agent"
        expires_at = self.now + self.state.limits.person_seconds
        if args is None and step is not None:
            args = step.args if step.args is not None else step.step.args
        self._rule(
            e.Asked(
                interrupt=f"{subject}-{self.state.asked + 1}",
                kind=kind,
                about=about,
                question=question,
                options=OPTIONS[about],
                digest=shown,
                expires_at=expires_at,
                step=step.step.id if step else "",
                tool=step.tool if step else "",
                args=args or {},
            )
        )
        self._wake(expires_at)

    # --- the reasoner and the end ---------------------------------------------------------------------------------

    def _ask_reasoner_or_end(self) -> None:
        state = self.state
        if state.proposing is not None:
            if state.proposing < state.fence:
                self._propose()
            return
        if state.open_steps:
            return
        if state.finishing:
            self._complete(state.result)
        elif state.planned and state.final:
            self._complete(self._result())
        elif state.proposal_failures >= PROPOSAL_FAILURES_MAX:
            self._rule(e.RunFailed(reason="the reasoner proposed nothing that can be run: " + "; ".join(state.proposal_problems)))
        else:
            self._propose()

    def _propose(self) -> None:
        turn, allowed = self.state.turn + 1, self.state.limits.turns_max
        if turn > allowed:
            self._rule(e.LimitReached(limit="turns_max", allowed=float(allowed)))
            self._stop_when_quiet()
            return
        self._rule(e.ProposalRequested(turn=turn))
        self.commands.append(AskReasoner(turn=turn))

    def _result(self) -> Any:
        state = self.state
        if state.result_form is None:
            return {name: state.steps[name].value for name in state.order if state.steps[name].phase == "done"}
        return _lenient(state.result_form, state)

    def _complete(self, result: Any) -> None:
        state = self.state
        partial = tuple(name for name in state.order if state.steps[name].left)
        self._rule(e.RunCompleted(result=result, skipped=state.skipped, flagged=state.flagged, partial=partial))

    def _stop_when_quiet(self) -> None:
        """End the run once nothing is in flight. A doubt that a probe can settle now is settled first."""
        state = self.state
        if state.proposing == state.fence or any(state.steps[name].phase in ("flying", "probing") for name in state.active):
            self.wake_at = None
            return
        unknown = unknown_steps(state)
        if state.cancel is not None:
            self._rule(e.RunCancelled(by=state.cancel.by, reason=state.cancel.reason, unknown=unknown))
        else:
            self._rule(e.RunFailed(reason=state.stopping or "", unknown=unknown))


def _lenient(form: Any, state: State) -> Any:
    """A result form with null where a reference leads nowhere: a run with a skipped step still has a result."""
    try:
        return references.resolve(form, state.goal.inputs, lambda name: result_of(state, name))
    except references.Missing:
        if isinstance(form, dict) and references.REF not in form:
            return {key: _lenient(part, state) for key, part in form.items()}
        if isinstance(form, (list, tuple)):
            return [_lenient(part, state) for part in form]
        return None


def _said(failure: e.Failure) -> str:
    return f"{failure.kind}: {failure.message}" if failure.message else failure.kind


_SETTLERS: dict[Phase, Callable[[_Decider, StepState], None]] = {
    "flying": _Decider._settle_flying,
    "probing": _Decider._settle_probing,
    "doubt": _Decider._settle_doubt,
    "probe_wait": _Decider._settle_probe_wait,
    "diagnosis": _Decider._settle_diagnosis,
    "waiting": _Decider._settle_waiting,
    "owed": _Decider._settle_owed,
    "asking": _Decider._settle_asking,
}
