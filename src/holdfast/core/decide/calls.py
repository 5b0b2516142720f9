"""New calls: who may begin, with what, under which key; and why not yet."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any

from holdfast.core import budget, recovery, references
from holdfast.core import events as e
from holdfast.core.commands import CallTool, call_key, once_name
from holdfast.core.contract import Contract, digest
from holdfast.core.decide.beliefs import Beliefs
from holdfast.core.diagnosis import SETTLED_BY_ARGUMENTS
from holdfast.core.limits import Limits, within
from holdfast.core.models import GRAIN, ZERO, Reserved
from holdfast.core.plan import fallbacks_of
from holdfast.core.state import ENDED, StepState, source_of, standing_effect


class Calls(Beliefs):
    """See the module's text."""

    def _begin_ready(self) -> None:
        """Begin what is ready, in order. Those that cannot begin yet keep their place and are passed over."""
        self._observe()
        passed, flying = 0, self._in_flight()
        most = self.state.limits.parallel_max
        while passed < len(self.state.ready) and flying < most and not (self._stopping() or self._must_think_first()):
            name = self.state.ready[passed]
            if self._concerns(name):
                self._begin_or_skip(self.state.steps[name])
            phase = self.state.steps[name].phase
            if phase == "ready":
                passed += 1
            elif phase == "flying":
                flying += 1

    def _must_think_first(self) -> bool:
        """Whether the reasoner is to look at the plan before anything new of it begins."""
        state = self.state
        if state.thinking is None or state.finishing or state.stop == "undo":
            return False
        # What it is asked about now may be dropped by its answer.
        return bool(state.suspicions) or (state.proposing is not None and state.open_steps > 0) or self._is_step_unseen()

    def _is_step_unseen(self) -> bool:
        """Whether a step ended after which the reasoner is to look at the plan that is under way."""
        thinking = self.state.thinking
        if thinking is None or thinking.horizon == 1 or thinking.reassess != "step":
            return False
        return bool(self.state.unseen) and self.state.open_steps > 0

    def _begin_or_skip(self, step: StepState) -> None:
        name = step.step.id
        done = self._done_instead(step) if step.step.alternative_to else None
        if done is not None:
            self._rule(e.StepSkipped(step=name, reason=f"it is not needed: {done} was done", needless=True))
            return
        blocker = next((other for other in step.reads if source_of(self.state, other) is None), None)
        if blocker is not None:
            self._rule(e.StepSkipped(step=name, reason=f"it needs {blocker}, which was not done"))
        else:
            self._begin(step)

    def _done_instead(self, step: StepState) -> str | None:
        """What was done of all that an alternative is there for: the step that it is one to, and what that one is one to."""
        while step.step.alternative_to:
            if (done := source_of(self.state, step.step.alternative_to)) is not None:
                return done
            step = self.state.steps[step.step.alternative_to]
        return None

    def _settle_waiting(self, step: StepState) -> None:
        if step.callback is not None and (step.callback.failure is None or step.doubt_since is not None):
            self._take_callback(step)
            return
        if self._stopping() or self._is_held():
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

    def _begin(self, step: StepState) -> None:
        """Call the tool, or say why not yet: no slot, a fact that is too old, the same call elsewhere, a person first."""
        name = step.step.id
        if self.state.to_observe or self.state.shaken:
            self._observe()
            step = self.state.steps[name]
            if step.phase in ENDED:
                return  # It fell with what it rested on.
        state = self.state
        contract = state.contracts.get(step.tool)
        if contract is None:
            self._tool_is_gone(step)
            return
        if self._is_full(step.tool) or (step.phase == "waiting" and self._in_flight() >= state.limits.parallel_max):
            return
        # A repeat of a call in doubt goes out as it was, under the key of that call, whatever the agent says today.
        again = step.doubt_since is not None and step.key != ""
        settled = again or step.landed or bool(step.step.undoes)
        if not settled and state.suspicions:
            return  # Also one that was approved, or is to be tried again: the plan is looked at first.
        if not settled and (step.believes or step.step.abort_when or step.step.ask_when) and not self._may_act(step):
            return
        try:
            args, expect = self._arguments(step), self._expected(step) if step.step.expect is not None else None
        except references.Missing as missing:
            self._give_up(step, str(missing), step.step.on_failure)
            return
        anew = not settled and step.edited is None and step.sent != "" and digest(args) != step.sent
        key = step.key if again or self._was_begun_before(step, args) else self._key(step, contract, args)
        if anew and key == step.key:
            # Something else is believed than when it failed: another call is another key.
            key = self._key(step, contract, args, step.occurrence + 1)
        else:
            anew = False
        if self._is_suppressed(step, contract, args, key) or (
            state.failed_calls and not again and self._failed_before(step, args)
        ):
            return
        if state.thinking is not None and not again and self._done_before(step, contract, args):
            return
        if self._no_attempt_left(step, contract):
            return
        if not settled and state.facts and self._asks_about_guesses(step, contract, args):
            return
        if self._is_gated(step, contract, args, again=again, settled=settled):
            return
        if step.tool in self.held and self._hold(step):
            return
        if (contract.agent is not None or contract.changes or contract.cost_usd is not None) and self._too_much(
            step, contract, key
        ):
            return
        for capped in self.places.keys() & {step.tool, ""}:
            self.places[capped] -= 1
        granted = self._granted(step, args) if contract.agent is not None else None
        reserved = self._reservation(contract, granted)
        attempt = step.attempt + 1
        self._rule(
            e.CallIntended(
                step=name, attempt=attempt, tool=step.tool, key=key, args=args, granted=granted, reserved=reserved, anew=anew
            )
        )
        self.commands.append(
            CallTool(
                step=name,
                attempt=attempt,
                tool=step.tool,
                args=args,
                key=key,
                occurrence=self.state.steps[name].occurrence,
                timeout_seconds=self._timeout(step, contract),
                contract=contract,
                send_by=self._send_by(step) if again else None,
                expect=expect,
                limits=granted,
            )
        )

    def _tool_is_gone(self, step: StepState) -> None:
        gone = f"the agent has no tool {step.tool} any more"
        if step.doubt_since is not None:
            self._ask_about_doubt(step, self._contract(step), gone)
        else:
            self._give_up(step, gone, step.step.on_failure)

    def _arguments(self, step: StepState) -> dict[str, Any]:
        if step.edited is not None:
            return step.edited
        if step.key and step.args is not None and (step.doubt_since is not None or (step.landed and step.sent)):
            return step.args  # It may have happened with these.
        form = self._form(step)
        return self._resolved(form) if form else form

    def _key(self, step: StepState, contract: Contract, args: dict[str, Any], occurrence: int | None = None) -> str:
        return call_key(
            self.state.run_id, step.tool, step.step.id, contract.business_key, args,
            step.occurrence if occurrence is None else occurrence, contract.business_scope,
        )  # fmt: skip

    def _was_begun_before(self, step: StepState, args: dict[str, Any]) -> bool:
        """Whether this is a call that the source of this fork had begun, and that is to be made once more though it happened, or
        may have (a person wants it, or its answer could not be used): it goes out under the key that it had, so that the other
        side can drop it."""
        if not (step.insisted or step.landed):
            return False
        return step.begun_before == step.occurrence and step.key != "" and step.args == args

    def _send_by(self, step: StepState) -> float | None:
        """Until when a repeat of a call in doubt may go out: whoever sends it may have been stopped since this was decided."""
        contract = self._contract(step)
        if contract.key_ttl_seconds is None or step.first_sent_at is None:
            return None
        return step.first_sent_at + contract.key_ttl_seconds - self._timeout(step, contract) - contract.settles_within_seconds

    # --- the same call elsewhere ----------------------------------------------------------------------------------

    def _is_suppressed(self, step: StepState, contract: Contract, args: dict[str, Any], key: str) -> bool:
        """Whether the same call is done, under way or owed in another step, or under way in another run."""
        state, name = self.state, step.step.id
        if state.stop == "undo":
            return self._is_taken_back(step, contract, key) or self._is_under_way_elsewhere(step, contract, args)
        twin = state.business.get(key) if contract.business_key else None
        # A twin that fell back to another tool has made another call since: it is in nobody's way.
        if (
            twin is not None
            and twin != name
            and self._has_key(state.steps[twin], key)
            and self._twin_in_the_way(step, state.steps[twin])
        ):
            return True
        if state.pending and contract.safety != "read" and self._is_owed(step, args):
            return True
        if step.suppressed_by and step.suppressed_by in state.steps and step.doubt_since is None:
            before = state.steps[step.suppressed_by]
            if before.phase == "done" and before.tool == step.tool:
                self._rule(e.ReuseRuled(step=name, same_as=step.suppressed_by))
                return True
        return bool(self.places) and self._is_under_way_elsewhere(step, contract, args)

    def _has_key(self, twin: StepState, key: str) -> bool:
        """Whether a step's call has this key, or would have it in this fork: what was begun before the point keeps the key
        that the source gave it."""
        if twin.key == key or self.state.fork is None:
            return twin.key == key
        contract = self.state.contracts.get(twin.tool)
        return contract is not None and self._key(twin, contract, twin.args or {}) == key

    def _is_under_way_elsewhere(self, step: StepState, contract: Contract, args: dict[str, Any]) -> bool:
        """Whether another run of the store has the same call, by its business key, under way."""
        once = once_name(contract, args)
        if once is None or self.places.get(once, 1) > 0 or step.doubt_since is not None:
            return False
        holder = self.holders.get(once, "")
        reason = f"it would repeat what is under way in the run {holder}"
        self._rule(e.FollowUpSuppressed(step=step.step.id, run_id=holder or "unknown", reason=reason))
        self._rule(e.StepSkipped(step=step.step.id, reason=reason))
        return True

    def _is_taken_back(self, step: StepState, contract: Contract, key: str) -> bool:
        """Whether the plan itself did the very call that is to take something back. What else is under way is dealt with no
        more, so it is not waited for."""
        twin = self.state.business.get(key, "") if contract.business_key else ""
        if twin in ("", step.step.id) or self.state.steps[twin].phase != "done" or not self._has_key(self.state.steps[twin], key):
            return False
        self._rule(e.ReuseRuled(step=step.step.id, same_as=twin))
        return True

    def _twin_in_the_way(self, step: StepState, twin: StepState) -> bool:
        """Whether the same call, by its business key, is done or under way in another step."""
        owed = self.state.pending.get(twin.step.id)
        if owed is not None and owed.key == twin.key:
            self._suppress(step, twin.step.id)
        elif twin.phase == "done":
            self._rule(e.ReuseRuled(step=step.step.id, same_as=twin.step.id))
        elif twin.phase in ("skipped", "failed"):
            if step.insisted or not twin.landed:
                return False
            reason = f"the same call was made in step {twin.step.id}, whose answer could not be used"
            self._give_up(step, reason, step.step.on_failure)
        return True

    def _is_owed(self, step: StepState, args: dict[str, Any]) -> bool:
        """Whether the very same call is owed to another step. An occurrence that was raised says that a repeat is meant."""
        for name, owed in self.state.pending.items():
            same = name != step.step.id and owed.tool == step.tool and owed.args == args
            if same and self.state.steps[name].occurrence == step.occurrence and not step.insisted:
                self._suppress(step, name)
                return True
        return False

    def _suppress(self, step: StepState, twin: str) -> None:
        if step.suppressed_by != twin:
            until = self.state.pending[twin].until
            reason = f"it would repeat {twin}, which is still owed"
            self._rule(e.FollowUpSuppressed(step=step.step.id, same_as=twin, until=until, reason=reason))

    def _failed_before(self, step: StepState, args: dict[str, Any]) -> bool:
        """Refuse a call that failed for good, with these very arguments, if nothing was changed since that could help."""
        failed = self.state.failed_calls
        if not failed or step.insisted or step.step.undoes or (found := failed.get(digest([step.tool, args]))) is None:
            return False
        other, effects, kind = found
        before = self.state.steps[other]
        if other == step.step.id and not step.fallbacks_taken:
            return False
        if before.occurrence != step.occurrence or (kind not in SETTLED_BY_ARGUMENTS and effects != self.state.effects):
            return False
        why = f": {before.failure.message}" if before.failure is not None and before.failure.message else ""
        message = f"the same call failed in step {other}, and nothing has changed since{why}"
        failure = e.Failure(kind=kind, message=message)
        self._refuse(step, failure, same_as=other)
        return True

    def _done_before(self, step: StepState, contract: Contract, args: dict[str, Any]) -> bool:
        """Refuse a call by which a model would repeat an effect. One that is meant has another occurrence."""
        if contract.safety in ("read", "idempotent") or step.step.undoes or step.insisted:
            return False
        name = standing_effect(self.state, digest([step.tool, args]), step.occurrence)
        if name is None or name == step.step.id:
            return False
        phase = self.state.steps[name].phase
        message = f"step {name} {'is doing' if phase not in ENDED else 'did'} this very call; its result stands"
        self._refuse(step, e.Failure(kind="conflict", message=message), same_as=name)
        return True

    def _refuse(self, step: StepState, failure: e.Failure, same_as: str = "") -> None:
        self._rule(e.CallRefused(step=step.step.id, same_as=same_as, failure=failure))
        self.refused = True

    # --- what is used up ------------------------------------------------------------------------------------------

    def _is_full(self, tool: str) -> bool:
        if self.places.get(tool, 1) <= 0 or self.places.get("", 1) <= 0:
            return True
        # One step of a run stands in line for a tool that is held back; the others begin when it does.
        if not self.state.active:
            return False
        if self.in_line is None:
            waiting = (step for name in self.state.active if (step := self.state.steps[name]).held_since is not None)
            self.in_line = {step.tool for step in waiting if step.phase == "waiting" and step.due_at > self.now}
        return tool in self.in_line

    def _hold(self, step: StepState) -> bool:
        """The tool may not be called now: fall back, wait for it, or give it up after having waited for long."""
        until, why = self.held[step.tool]
        name, limit = step.step.id, self.state.limits.hold_seconds
        fallbacks = fallbacks_of(step.step, self.state.contracts.get(step.step.tool))[step.fallbacks_taken :]
        if why == "circuit" and fallbacks and step.doubt_since is None and not step.landed:
            self._rule(e.FallbackRuled(step=name, tool=fallbacks[0].tool, reason=f"the circuit of {step.tool} is open"))
            self.refused = True
        elif why == "circuit" and self._has_alternative(name) and step.doubt_since is None and not step.landed:
            self._rule(e.StepSkipped(step=name, reason=f"the circuit of {step.tool} is open"))
            self.refused = True
        elif step.held_since is not None and self.now - step.held_since >= limit and step.doubt_since is None:
            said = "its circuit is open" if why == "circuit" else "its rate is used up"
            failure = e.Failure(kind="unavailable", message=f"{said}, and it was held back for {limit:g} s")
            self._refuse(step, failure)
        else:
            until = max(until, self.now + 0.001)
            self._rule(e.CallHeld(step=name, tool=step.tool, why=why, until=until))
            self.in_line = None
            self._wake(until)
        return True

    def _too_much(self, step: StepState, contract: Contract, key: str) -> bool:
        """Whether the call would change more of something than the run may."""
        limits = self.state.limits
        if step.step.undoes:
            return False
        if contract.agent is not None and self._is_poor():
            self._refuse(step, e.Failure(kind="too_expensive", message="nothing of the budget is left for a run of its own"))
            return True
        if contract.agent is not None and key != step.key and self.state.children >= limits.children_max:
            self._rule(e.LimitReached(limit="children_max", allowed=float(limits.children_max)))
            return True
        if contract.cost_usd is not None and contract.agent is None and self._is_too_dear(step, contract.cost_usd, key):
            return True
        used_up = next(
            (name for name in contract.changes if name in limits.changes and self._changed(name) >= limits.changes[name]), None
        )
        if used_up is None:
            return False
        message = f"the run may change {used_up} by {limits.changes[used_up]:g} in all, and has"
        self._refuse(step, e.Failure(kind="too_expensive", message=message))
        return True

    def _is_poor(self) -> bool:
        left = budget.means(self.state.limits, self.state.spent, self.state.reserved)
        return left.tokens == 0 or left.cost_usd == 0

    def _is_too_dear(self, step: StepState, cost_usd: Decimal, key: str) -> bool:
        """Whether the budget does not pay for the call. What is held for others may be given back, and is waited for. What is
        held for the very same call, of which nobody knows whether it was made, pays for this one."""
        state = self.state
        need = Reserved(cost_usd=cost_usd)
        own = step.step.id if key == step.key else None
        others = {name: held for name, held in state.reserved.items() if name != own}
        if budget.means(state.limits, state.spent, others).allows(need):
            return False
        left = budget.means(state.limits, state.spent, {})
        if not left.allows(need):
            said = budget.dollars(left.cost_usd) if left.cost_usd is not None else "nothing"
            message = f"it may cost {budget.dollars(cost_usd)}, and {said} of the budget are left"
            self._refuse(step, e.Failure(kind="too_expensive", message=message))
        return True

    def _reservation(self, contract: Contract, granted: Limits | None) -> Reserved | None:
        """What is held of the budget for a call: what it may cost, or what the run that it starts may spend."""
        if granted is None:
            return Reserved(cost_usd=contract.cost_usd) if contract.cost_usd is not None else None
        if granted.cost_usd_max is None and granted.tokens_max is None:
            return None
        return Reserved(input_tokens=granted.tokens_max or 0, cost_usd=granted.cost_usd_max or ZERO)

    def _changed(self, name: str) -> float:
        return self.state.changes.get(name, 0.0)

    def _reserved(self, step: StepState) -> int:
        """How many calls the runs may still make that other steps started."""
        name, state = step.step.id, self.state
        if not state.children:
            return 0
        return sum(state.steps[other].granted for other in state.active if other != name)

    def _no_attempt_left(self, step: StepState, contract: Contract) -> bool:
        """Whether the call, and one of the run that it starts, would be more than there may be. What runs of other steps do not
        use up is waited for."""
        state, needed = self.state, 1 if contract.agent is None else 2
        allowed = state.limits.attempts_max
        if step.step.undoes or state.attempts + self._reserved(step) + needed <= allowed:
            return False
        others = (state.steps[other] for other in state.active if other != step.step.id)
        if state.attempts + needed > allowed or not any(each.granted and each.phase in ("flying", "owed") for each in others):
            self._rule(e.LimitReached(limit="attempts_max", allowed=float(allowed)))
        return True

    def _granted(self, step: StepState, args: dict[str, Any]) -> Limits:
        """What a run that is started here may use at most: no more than was given, or else half of the calls that are left, so
        that there is something left for the others."""
        state, limits = self.state, self.state.limits
        left = max(limits.attempts_max - state.attempts - self._reserved(step) - 1, 1)
        given = args.get("limits")
        if not isinstance(given, dict) or not given.keys() & {"attempts", "attempts_max"}:
            left = (left + 1) // 2
        most = Limits(
            attempts_max=left,
            wall_seconds=max(state.started_at + limits.wall_seconds - self.now, 1.0),
            steps_max=limits.steps_max,
            turns_max=limits.turns_max,
            parallel_max=limits.parallel_max,
            **self._granted_means(given),
        )
        return within(most, given) if isinstance(given, dict) else most

    def _granted_means(self, given: Any) -> dict[str, Any]:
        """The share of the budget that a run gets which is started here: what it is given, or else half of what is left."""
        left = budget.means(self.state.limits, self.state.spent, self.state.reserved)
        named = given.keys() if isinstance(given, dict) else set()
        cost_usd, tokens = left.cost_usd, left.tokens
        if cost_usd is not None and not named & {"cost", "cost_usd_max"}:
            cost_usd = (cost_usd / 2).quantize(GRAIN, rounding=ROUND_DOWN)
        if tokens is not None and not named & {"tokens", "tokens_max"}:
            tokens = (tokens + 1) // 2
        return {"cost_usd_max": cost_usd, "tokens_max": tokens}
