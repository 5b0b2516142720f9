"""What the world still owes: looked for on its schedule, settled when it comes, ruled on at its deadline."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core import pending as owing
from holdfast.core.contract import Contract
from holdfast.core.decide.failures import Failures
from holdfast.core.pending import Pending
from holdfast.core.plan import Step
from holdfast.core.references import as_arguments
from holdfast.core.state import StepState


class Owed(Failures):
    """See the module's text."""

    def _settle_owed(self, step: StepState) -> None:
        """The result of a call that was deferred."""
        owed = self.state.pending.get(step.step.id)
        if owed is None or self._is_left_unknown(step):
            return
        if not self._stopping() or owed.found in ("came", "failed"):
            self._settle_pending(owed, step)

    def _settle_rests(self) -> None:
        """What is owed to steps that are done: the rest of a part, or that it can be seen."""
        for name, owed in list(self.state.pending.items()):
            if owed.about == "result" or not self._concerns(name):
                continue
            if self._stopping() and owed.found not in ("came", "failed"):
                continue
            if owed.interrupt is not None:
                self._expire(owed.interrupt)
            else:
                self._settle_pending(owed, self.state.steps[name])

    def _settle_pending(self, owed: Pending, step: StepState) -> None:
        contract = self._contract(step)
        if owed.looking is not None and owed.looking == self.state.fence and owed.found in ("none", "not_yet"):
            return  # It is being looked for.
        row = owing.rule(owing.as_wait(owed, contract, self.now, step.repeats))
        name = step.step.id
        if row.action == "wait":
            can_look = owing.can_look(contract) and not owed.child
            self._wake(min(owed.due_at, owed.until) if can_look else owed.until)
        elif row.action == "look":
            self._intend_probe(step, owed.looks + 1, owed=True)
        elif row.action == "ask":
            self._rule(e.PendingRuled(step=name, row=row.label, action="ask", reason=row.reason))
            self._ask_about_owed(owed, step, contract, row.reason)
        else:
            self._rule(e.PendingRuled(step=name, row=row.label, action=row.action, reason=row.reason))

    def _ask_about_owed(self, owed: Pending, step: StepState, contract: Contract, why: str) -> None:
        by = f" by {owed.by}" if owed.by else ""
        question = {
            "result": f"{step.tool} was taken on, and its result is owed{by}: {why}",
            "rest": f"{step.tool} was done in part; {', '.join(owed.items) or 'the rest'} is owed{by}: {why}",
            "sight": f"{step.tool} says that it was done, and nobody can see it: {why}",
        }[owed.about]
        options = None if owed.about == "result" else owed.about
        self._ask_escalating("owed", question, step, contract, options=options)

    def _plan_rests(self) -> None:
        """What a part left undone, and an intended repeat, become steps of their own."""
        for name in self.state.rests:
            if self._concerns(name):
                self._rule(e.RestPlanned(step=name, rest=self._rest_step(self.state.steps[name])))

    def _rest_step(self, step: StepState) -> Step:
        again = step.rest_args == step.args
        name = f"{step.step.id}_{'again' if again else 'rest'}"
        number = 2
        while name in self.state.steps:
            name = f"{step.step.id}_{'again' if again else 'rest'}{number}"
            number += 1
        return replace(
            step.step,
            id=name,
            tool=step.tool,
            args=as_arguments(step.rest_args or {}),
            after=(step.step.id,),
            fallbacks=(),
            alternative_to="",
            occurrence=step.occurrence + 1,
        )
