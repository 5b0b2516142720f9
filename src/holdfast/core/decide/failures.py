"""Calls that failed for certain: diagnosed, retried, replaced, given up; but never over the head of an older doubt."""

from __future__ import annotations

from holdfast.core import events as e
from holdfast.core import recovery
from holdfast.core.contract import Contract
from holdfast.core.decide.doubts import Doubts
from holdfast.core.diagnosis import Ruling, diagnose
from holdfast.core.plan import fallbacks_of, gives_way_to
from holdfast.core.state import ENDED, StepState
from holdfast.core.undo import undo_step


class Failures(Doubts):
    """See the module's text."""

    def _settle_diagnosis(self, step: StepState) -> None:
        if step.callback is not None and step.callback.failure is None:
            self._take_callback(step)  # It said that it failed, and has delivered all the same.
            return
        if self._stopping():
            return
        assert step.failure is not None, f"{step.step.id} is diagnosed without a failure"
        if step.failure.detail == e.BY_A_PERSON:
            self._give_up(
                step, step.failure.message, "skip" if step.step.on_failure in ("ask", "hand_off") else step.step.on_failure
            )
            return
        contract, name = self._contract(step), step.step.id
        ruling = self._diagnosed(step, contract)
        if ruling.verb == "compensate":
            self._compensate(step, contract, ruling.tool)
        elif ruling.verb == "retry":
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
            self._rule(e.FallbackRuled(step=name, tool=ruling.tool, reason=ruling.reason))
        else:
            self._give_up_failed(step)

    def _diagnosed(self, step: StepState, contract: Contract) -> Ruling:
        assert step.failure is not None, f"{step.step.id} is diagnosed without a failure"
        return diagnose(
            step.failure,
            contract,
            step.step,
            run_id=self.state.run_id,
            tries=1_000_000 if step.spent or step.refused else max(step.tries, 1),
            fallbacks=fallbacks_of(step.step, self.state.contracts.get(step.step.tool))[step.fallbacks_taken :],
            landed=step.landed,
        )

    def _give_up_failed(self, step: StepState) -> None:
        assert step.failure is not None, f"{step.step.id} is given up without a failure"
        tried = f" after {step.tries} attempts" if step.tries > 1 else ""
        broken = "; one of them happened, and its answer could not be used" if step.landed and step.tries > 1 else ""
        self._give_up(step, f"{_said(step.failure)}{tried}{broken}", self._policy(step))

    def _compensate(self, step: StepState, contract: Contract, fallback: str) -> None:
        """The call had its effect, and its result will not do: it is taken back before another way is tried."""
        name = step.step.id
        if step.undo:
            undoing = self.state.steps[step.undo]
            if undoing.phase == "done":
                self._rule(e.FallbackRuled(step=name, tool=fallback, reason=f"what {step.tool} did was taken back"))
            elif undoing.phase in ENDED:
                self._give_up_failed(step)
            return
        detail = step.failure.detail if step.failure is not None else None
        value = detail.get("value") if isinstance(detail, dict) else None
        undo = undo_step(self.state, step, value)
        if undo is None:
            self._give_up_failed(step)
        else:
            self._rule(e.RestPlanned(step=name, rest=undo))

    def _policy(self, step: StepState) -> str:
        """What follows when nothing is left to try. What is owed and given up is flagged, unless the step says more."""
        given_up = step.failure is not None and step.failure.kind == "overdue" and step.landed
        return "flag" if given_up and step.step.on_failure in ("stop", "skip") else step.step.on_failure

    def _last_look(self, step: StepState, contract: Contract) -> None:
        row = recovery.rule(self._doubt(step, contract, spent=True))
        name = step.step.id
        due_at = self._probe_due(step, contract) if row.action == "probe" else 0.0
        self._rule(e.RecoveryRuled(step=name, row=row.label, action=row.action, reason=row.reason, due_at=due_at, spent=True))
        if row.action == "ask":
            question = f"did an earlier attempt of {step.tool} happen? {row.reason}"
            self._ask_escalating("doubt", question, self.state.steps[name], contract)

    def _give_up(self, step: StepState, reason: str, policy: str) -> None:
        name = step.step.id
        if policy in ("stop", "ask", "hand_off") and self._has_alternative(name):
            policy = "skip"
        if policy == "ask":
            self._ask_escalating("failure", f"{step.tool} did not work: {reason}", step, self.state.contracts.get(step.tool))
        elif policy == "hand_off":
            question = f"{step.tool} did not work, and is handed over: {reason}"
            self._ask_escalating("failure", question, step, self.state.contracts.get(step.tool), kind="handoff")
        elif policy == "stop":
            self._rule(e.StepFailed(step=name, reason=reason))
        else:
            self._rule(e.StepSkipped(step=name, reason=reason, flagged=policy == "flag", told=policy == "replan"))

    def _has_alternative(self, name: str) -> bool:
        """Whether another step is still to stand in for this one."""
        others = self.state.stand_ins
        return bool(others) and any(self.state.steps[other].phase not in ENDED for other in gives_way_to(name, others))


def _said(failure: e.Failure) -> str:
    return f"{failure.kind}: {failure.message}" if failure.message else failure.kind
