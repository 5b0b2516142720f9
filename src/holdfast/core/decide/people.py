"""What people hold up: a run that is paused or taken over, and a plan that is to be approved as a whole."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.approval import bound_revision, shown_digest
from holdfast.core.commands import CheckCall
from holdfast.core.contract import digest
from holdfast.core.decide.ends import Ends
from holdfast.core.plan import Plan, Step
from holdfast.core.policy import Ruling, Undecided, evaluate, policy_digest
from holdfast.core.proposed import proposed_plan

# What no step asks: its time is over also while the run is paused, or somebody has it.
_ASKED_OF_THE_RUN = ("plan", "handoff", "question", "reasoner")


class People(Ends):
    """See the module's text."""

    def _continue(self) -> None:
        """Let a paused run go on whose pause is over."""
        paused = self.state.paused
        if paused is None or paused.until is None:
            return
        if paused.until <= self.now:
            self._rule(e.RunContinued())
        else:
            self._wake(paused.until)

    def _waits_for_people(self) -> bool:
        """Whether nothing new begins before somebody says so."""
        before = len(self.events)
        for interrupt, asked in self.state.interrupts.items():
            if asked.about in _ASKED_OF_THE_RUN:
                self._expire(interrupt)
        if len(self.events) != before:
            self._settle_all()  # What waited behind a question that is over may go on.
        if self.state.paused is not None:
            return True
        if self.state.handoff is not None:
            self._hand_over()
            return self.state.handoff is not None
        return self._judges_plan()

    def _hand_over(self) -> None:
        """Ask whoever took the run over how it goes on, once nothing is in flight."""
        handoff = self.state.handoff
        assert handoff is not None
        if self._is_busy():
            return
        if any(asked.about == "handoff" for asked in self.state.interrupts.values()):
            return
        why = f" ({handoff.reason})" if handoff.reason else ""
        question = f"{handoff.by} took the run over{why}: how does it go on?"
        self._ask("handoff", "handoff", question, digest(["handoff", handoff, self.state.asked]))

    # --- the plan as a whole --------------------------------------------------------------------------------------

    def _judges_plan(self) -> bool:
        """Whether the plan waits for the word of the policy, or of a person."""
        state = self.state
        plan = state.unjudged
        if plan is None:
            return False
        checked = digest([plan, policy_digest(state.policy) if state.policy is not None else ""])
        checks = state.plan_checks.answers if state.plan_checks is not None and state.plan_checks.call == checked else {}
        document = proposed_plan(state, plan)
        seed = f"{state.run_id}\x1fplan\x1f{state.revision}"
        ruling = evaluate(state.policy, document, checks=checks, seed=seed, on="plan")
        if isinstance(ruling, Undecided):
            if state.checking_plan is None or state.checking_plan < state.fence:
                self._rule(e.ChecksIntended(call=checked, checks=ruling.checks))
                self.commands.append(CheckCall(call=checked, checks=ruling.checks, document=document))
            return True
        if ruling is None:
            ruling = Ruling(rule="no rule", verdict="never", asks=False)
        # Once somebody is asked, they decide; but not about what is forbidden by now.
        if not ruling.asks and (state.plan_asked is None or ruling.verdict == "block"):
            if state.plan_asked is not None:
                self._rule(e.InterruptWithdrawn(interrupt=state.plan_asked, reason="the policy changed"))
            self._rule(e.PolicyRuled(ruling=ruling, revision=state.revision))
            self._settle_all()
            return False
        return self._asks_about_plan(plan, ruling)

    def _settle_all(self) -> None:
        """Rule on all that is under way."""
        raise NotImplementedError

    def _asks_about_plan(self, plan: Plan, ruling: Ruling) -> bool:
        shown = digest([plan, ruling.digest, ruling.rule if ruling.asks else "", ruling.world, self.state.revision])
        interrupt = self.state.plan_asked
        if interrupt is not None:
            if self.state.interrupts[interrupt].digest == shown:
                return True
            self._rule(e.InterruptWithdrawn(interrupt=interrupt, reason="the plan, or the policy, changed"))
        steps, calls = self._shown_steps(plan, ruling)
        tools = ", ".join(dict.fromkeys(step.tool for step in plan.steps))
        question = f"may the plan be carried out? {len(plan.steps)} steps: {tools}"
        self._ask("plan", "approval", question, shown, args={"steps": steps}, ruling=ruling, calls=calls)
        return True

    def _shown_steps(self, plan: Plan, ruling: Ruling) -> tuple[dict[str, Any], dict[str, str]]:
        """The steps as a person is shown them, and the calls that an approval of the plan covers: those whose arguments are known
        by now, and that the same people may decide about."""
        shown: dict[str, Any] = {}
        calls: dict[str, str] = {}
        for step in plan.steps:
            args = self._known_args(step)
            shown[step.id] = {"tool": step.tool, "args": step.args if args is None else args}
            state, contract = self.state.steps[step.id], self.state.contracts.get(step.tool)
            if args is None or contract is None or self._refusals(state, contract, args):
                continue
            if self._is_done_by_source(state, contract, args):
                continue  # They are asked about it by itself, and told so.
            about = self._ruling(state, contract, args)
            if about is None or isinstance(about, Undecided) or about.verdict == "block":
                continue
            if about.people <= ruling.people and (not about.who or set(about.who) == set(ruling.who)):
                calls[step.id] = shown_digest(step.tool, args, contract, about, bound_revision(self.state))
        return shown, calls

    def _known_args(self, step: Step) -> dict[str, Any] | None:
        """The arguments of a step, where nothing has to be done first to know them."""
        if any(reference.steps for reference in references.find(step.args)):
            return None
        try:
            return self._resolved(step.args)
        except references.Missing:
            return None
