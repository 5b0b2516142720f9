"""The reasoner's turn, and the end: completed, or stopped, with what was done kept or taken back."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core import limits, references
from holdfast.core.contract import digest
from holdfast.core.decide.minds import Minds
from holdfast.core.facts import is_guess
from holdfast.core.state import result_of, source_of, unknown_steps
from holdfast.core.undo import undo_plan

PROPOSAL_FAILURES_MAX = 3


class Ends(Minds):
    """See the module's text."""

    # --- bounds and holds -----------------------------------------------------------------------------------------

    def _check_limits(self) -> None:
        state = self.state
        if self._stopping() or state.stop:
            return
        bound = limits.reached(
            state.limits,
            steps=len(state.order) - (len(self._looks()) if state.checks else 0),
            started_at=state.started_at,
            now=self.now,
            changes=state.changes,
        )
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

    # --- the reasoner and completion ------------------------------------------------------------------------------

    def _ask_reasoner_or_end(self) -> None:
        state = self.state
        if state.proposing is not None:
            if state.proposing >= state.fence:
                return
            self._lose_request()
            if not self.state.finishing:
                self._propose()
                return
            state = self.state
        if state.weighing:
            self._weigh()
        if self._waits_for_words() or self._stopping():
            return
        state = self.state
        if state.open_steps:
            if self._phase() is not None and not state.finishing:
                self._think()  # The plan that is under way is looked at again.
            return
        if state.pending and (state.finishing or state.final or not state.news):
            return  # A run that is owed something does not end; its reasoner may go on, as long as it has learned something.
        if state.finishing or (state.planned and state.final and not state.suspicions):
            result = state.result if state.finishing else self._result()
            if self._is_accepted(result):
                self._complete(result)
            elif not (self._stopping() or self.state.open_steps or self.state.finishing):
                self._propose()  # It was refused, and goes back to the reasoner.
            return
        self._think()

    def _waits_for_words(self) -> bool:
        """Whether a person is asked something that the reasoner waits for."""
        return bool(self.state.questions) or any(asked.about == "reasoner" for asked in self.state.interrupts.values())

    def _think(self) -> None:
        """Ask the reasoner, unless too many of its proposals in a row could not be taken."""
        state = self.state
        repairs = state.thinking.repairs_max if state.thinking is not None else PROPOSAL_FAILURES_MAX
        if state.proposal_failures >= repairs and (self._on_stop() != "keep" or state.open_steps):
            self._rule(e.LimitReached(limit="proposal_failures_max", allowed=float(repairs)))
        elif state.proposal_failures >= repairs:
            # What was done is named as kept: nothing is taken back.
            self._rule(e.RunFailed(reason="the reasoner proposed nothing that can be run: " + "; ".join(state.proposal_problems)))
        else:
            self._propose()

    def _result(self) -> Any:
        state = self.state
        if state.result_form is None:
            done = (step for name in state.order if (step := state.steps[name]).phase == "done")
            looks = self._looks()
            return {name: step.value for step in done if not step.step.undoes and (name := step.step.id) not in looks}
        return self._lenient(state.result_form)

    def _lenient(self, form: Any) -> Any:
        """A result form with null where a reference leads nowhere: a run with a skipped step still has a result."""
        try:
            state = self.state
            return references.resolve(form, state.goal.inputs, lambda name: result_of(state, name), self._fact_of)
        except references.Missing:
            if isinstance(form, dict) and references.REF not in form:
                return {key: self._lenient(part) for key, part in form.items()}
            if isinstance(form, (list, tuple)):
                return [self._lenient(part) for part in form]
            return None

    def _complete(self, result: Any) -> None:
        state = self.state
        replaced, looks = self._replaced(), self._looks()
        self._rule(
            e.RunCompleted(
                result=result,
                skipped=tuple(
                    name for name in state.skipped if name not in replaced and name not in looks and self._is_missed(name)
                ),
                flagged=state.flagged,
                partial=tuple(name for name in state.order if state.steps[name].left and not self._rest_is_done(name)),
                replaced=replaced,
                outdated=tuple(name for name in state.outdated if state.steps[name].phase == "done"),
                guessed=tuple(name for name, fact in state.facts.items() if is_guess(fact) and not fact.stale),
            )
        )

    def _is_missed(self, name: str) -> bool:
        """Whether a step that was skipped leaves something undone. What a model planned it was told of, and planned anew."""
        return self.state.thinking is None or self.state.steps[name].step.on_failure != "replan"

    def _replaced(self) -> dict[str, str]:
        """Steps that were done another way, and by what."""
        state = self.state
        found: dict[str, str] = {}
        for name in state.order:
            step = state.steps[name]
            if step.phase == "done" and step.fallbacks_taken:
                found[name] = step.tool
            elif step.phase == "skipped" and name in state.stand_ins and (other := source_of(state, name)) is not None:
                found[name] = other
        return found

    def _rest_is_done(self, name: str) -> bool:
        step = self.state.steps[name]
        while step.rest:
            step = self.state.steps[step.rest]
            if step.phase == "done" and not step.left:
                return True
        return False

    # --- stopping -------------------------------------------------------------------------------------------------

    def _stop_when_quiet(self) -> None:
        """End the run once nothing is in flight. A doubt that a probe can settle now is settled first."""
        state = self.state
        if self._is_busy():
            self.wake_at = None
            return
        if state.stop in ("", "asked", "agreed") and not self._ready_to_end():
            return
        self._lose_request()
        state = self.state
        ending = {"unknown": unknown_steps(state), "undone": state.undone, "kept": self._kept()}
        if state.cancel is not None:
            self._rule(e.RunCancelled(by=state.cancel.by, reason=state.cancel.reason, **ending))
        else:
            self._rule(e.RunFailed(reason=state.stopping or "", **ending))

    def _is_busy(self) -> bool:
        state = self.state
        return (
            state.proposing == state.fence
            or any(state.steps[name].phase in ("flying", "probing") for name in state.active)
            or any((step := state.steps[name]).phase == "checking" and step.fence == state.fence for name in state.active)
            or state.checking_plan == state.fence
            or any(owed.looking == state.fence for owed in state.pending.values())
        )

    def _ready_to_end(self) -> bool:
        """Whether it is settled what becomes of what was done."""
        policy, state = self._on_stop(), self.state
        if policy == "keep":
            return True
        waits = [state.steps[name].due_at for name in state.active if state.steps[name].phase == "probe_wait"]
        if waits:
            # What may have happened is to be taken back too, if it did.
            self._wake(min(waits))
            return False
        if state.stop == "asked" and policy == "undo":
            return self._plan_undo()  # Whoever cancelled it has said so; nobody is asked any more.
        if state.stop == "asked":
            for interrupt, asked in state.interrupts.items():
                if asked.about == "stop":
                    if asked.ladder is not None and asked.expires_at > self.now:
                        self._climb_one(interrupt, asked.ladder)
                    self._expire(interrupt)
                    break
            if self.state.stop == "asked":
                return False
            return self.state.stop == "keep" or self._plan_undo()
        if policy == "ask":
            steps, kept = undo_plan(state)
            shown = digest([steps, kept])
            # A person's word holds for what they were shown: what came in since may have changed what is to be taken back.
            if steps and (state.stop == "" or state.shown_at_stop != shown):
                named = ", ".join(step.undoes for step in steps)
                lasting = f" (not to be undone: {', '.join(kept)})" if kept else ""
                question = f"the run stops ({self._why()}); take back what it did? {named}{lasting}"
                self._ask("stop", "approval", question, shown)
                return False
        return self._plan_undo()

    def _plan_undo(self) -> bool:
        """Plan the calls that take back what was done; True where there is nothing to take back."""
        steps, kept = undo_plan(self.state)
        if steps or kept:
            self._rule(e.UndoPlanned(reason=self._why(), steps=steps, kept=kept))
        return not steps

    def _why(self) -> str:
        cancel = self.state.cancel
        return f"cancelled by {cancel.by}" if cancel is not None else self.state.stopping or "it stops"

    def _kept(self) -> tuple[str, ...]:
        """What stays done although the policy was to take it back, or in part."""
        state = self.state
        if state.stop != "undo":
            return state.kept
        planned = [state.steps[name].step.undoes for name in state.undoing]
        # What a person, or a late word, settled as done after that was planned.
        steps, kept = undo_plan(state)
        later = [*kept, *(step.undoes for step in steps)]
        return tuple(name for name in dict.fromkeys((*state.kept, *planned, *later)) if name not in state.undone)
