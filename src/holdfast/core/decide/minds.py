"""The reasoner's turn: when it is asked, for what, which model and with how much; what it asks; whether its result will do."""

from __future__ import annotations

from typing import Any

from holdfast.core import asking, budget, references, routing
from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, Recall
from holdfast.core.contract import Contract, digest
from holdfast.core.decide.calls import Calls
from holdfast.core.evolve.minds import tried
from holdfast.core.evolve.runs import idle_turns, plans_left
from holdfast.core.plan import Step
from holdfast.core.references import LITERAL
from holdfast.core.state import StepState
from holdfast.core.thinking import WHOLE_PLAN, Phase, Thinking

# How much of the goal and its inputs an earlier run is looked for by, in characters.
QUERY_MAX = 500


class Minds(Calls):
    """See the module's text."""

    # --- before the first turn ------------------------------------------------------------------------------------

    def _recalls(self) -> bool:
        """Whether the memory is asked first; nothing begins before it has answered."""
        state = self.state
        thinking = state.thinking
        if thinking is None or not thinking.recall or not state.thread or state.recalled:
            return False
        if state.recalling is None or state.recalling < state.fence:
            given = " ".join(value for value in state.goal.inputs.values() if isinstance(value, str))
            query = f"{state.goal.text} {given}".strip()[:QUERY_MAX]
            self._rule(e.RecallIntended(query=query, count=thinking.recall))
            self.commands.append(Recall(query=query, count=thinking.recall, tenant=state.tenant, thread=state.thread))
        return True

    # --- whether the plan is in doubt -----------------------------------------------------------------------------

    def _suspect(self) -> None:
        """Several failures in a row say that it is the plan that is wrong."""
        state = self.state
        thinking = state.thinking
        if thinking is None or thinking.horizon == 1 or thinking.reassess == "never" or state.failures < thinking.failures_max:
            return
        self._rule(e.PlanSuspected(why="failures", reason=f"{state.failures} steps failed in a row"))

    # --- what is not known ----------------------------------------------------------------------------------------

    def _weigh(self) -> None:
        """Ask a person, or take the guess and say so."""
        policies = self.state.thinking.asking if self.state.thinking is not None else {}
        for question in self.state.weighing:
            if question not in self.state.weighing:
                continue  # It was asked by its name.
            weighed = asking.weigh(question, asking.asking_for(question.name, policies))
            if weighed.ask:
                self._ask("question", "question", question.text, digest(question), asks=question)
            else:
                self._rule(e.Inferred(question=question, why=weighed.why))

    # --- asking the reasoner --------------------------------------------------------------------------------------

    def _phase(self) -> Phase | None:
        """What the reasoner is asked for now; None where there is nothing to ask."""
        state = self.state
        thinking = state.thinking
        if thinking is None:
            return None if state.open_steps else "plan"
        if thinking.interpret and not state.interpreted:
            return "interpret"
        if state.suspicions:
            return "diagnose"
        if state.open_steps:
            return "reflect" if self._is_step_unseen() and not self._in_flight() else None
        if any(self._failed(name) for name in state.unseen):
            return "diagnose"
        if thinking.horizon == WHOLE_PLAN and state.planned:
            return "complete"
        return "plan"

    def _failed(self, name: str) -> bool:
        """Whether a step was tried, and did not work. One that waited for it was never tried."""
        step = self.state.steps[name]
        return step.phase in ("skipped", "failed") and step.failure is not None

    def _propose(self) -> None:
        """Ask the reasoner for what the phase is, within all bounds."""
        state, bounds = self.state, self.state.limits
        phase = self._phase()
        if phase is None:
            return
        again = state.asking_model is not None and self._is_open_turn()
        turn = state.turn if again else state.turn + 1
        reached = None
        if turn > bounds.turns_max:
            reached = ("turns_max", bounds.turns_max)
        elif not again and idle_turns(state) >= bounds.idle_turns_max:
            reached = ("idle_turns_max", bounds.idle_turns_max)
        elif self._is_out_of_plans():
            reached = ("revisions_max", bounds.revisions_max)
        if reached is not None:
            self._rule(e.LimitReached(limit=reached[0], allowed=float(reached[1])))
        elif state.thinking is None:
            self._rule(e.ProposalRequested(turn=turn))
            self.commands.append(AskReasoner(turn=turn))
        else:
            attempt = state.asking_model.attempt + 1 if again and state.asking_model is not None else 1
            self._ask_model(state.thinking, phase, turn, attempt)

    def _is_out_of_plans(self) -> bool:
        """Whether there may be no further plan, and the reasoner, which was told so, has made one all the same. It may always
        finish, and leave a plan as it is."""
        state = self.state
        may_plan = state.thinking is None or plans_left(state) > 0
        return not may_plan and state.proposal_failures > 0

    def _is_open_turn(self) -> bool:
        """Whether the last request of this turn came to nothing, so that the turn goes on with another one."""
        asked = self.state.asking_model
        return asked is not None and asked.turn == self.state.turn and not self._is_answered(asked.turn)

    def _is_answered(self, turn: int) -> bool:
        turns = self.state.turns
        return bool(turns) and turns[-1].turn == turn

    def _ask_model(self, thinking: Thinking, phase: Phase, turn: int, attempt: int) -> None:
        state = self.state
        if state.reason_at > self.now:
            self._wake(state.reason_at)
            return
        owed = len(state.pending)
        found = routing.route(
            thinking,
            phase,
            tried=tried(state),
            held={name: gate for name, gate in self.held.items() if name.startswith("model:")},
            means=budget.means(state.limits, state.spent, state.reserved),
            wanted=routing.estimate(thinking, state.conversation_bytes, len(state.turns), len(state.facts), owed),
            least=routing.least(thinking, len(state.facts), owed),
            now=self.now,
        )
        match found:
            case routing.Choice(terms=terms, reason=reason, reserved=reserved):
                intent = e.ProposalRequested(
                    turn=turn, phase=phase, model=terms.name, reason=reason, reserved=reserved, attempt=attempt
                )
                self._rule(intent)
                self.commands.append(
                    AskReasoner(
                        turn=turn,
                        phase=phase,
                        model=terms.name,
                        terms=terms,
                        reserved=reserved,
                        attempt=attempt,
                        timeout_seconds=terms.timeout_seconds,
                    )
                )
            case routing.Wait(until=until, reason=reason):
                self._rule(e.ReasonerHeld(until=until, reason=reason))
                self._wake(until)
            case routing.Poor(limit=limit):
                # Else what is under way may leave something of what is held for it.
                if not state.reserved.keys() & set(state.active):
                    allowed = getattr(state.limits, limit)
                    self._rule(e.LimitReached(limit=limit, allowed=float(allowed)))
            case routing.Nobody(reason=reason):
                if not any(asked.about == "reasoner" for asked in state.interrupts.values()):
                    question = f"no model can be asked ({reason}); ask them again?"
                    self._ask("reasoner", "escalation", question, digest(["reasoner", reason]))

    def _lose_request(self) -> None:
        """The worker that asked, if a model was asked, is gone: what was held for the request counts as spent."""
        asked, proposing = self.state.asking_model, self.state.proposing
        if asked is not None and asked.reserved is not None and proposing is not None and proposing < self.state.fence:
            self._rule(e.ModelCallLost(turn=asked.turn, model=asked.model, usage=budget.lost(asked.reserved)))

    # --- whether it is done ---------------------------------------------------------------------------------------

    def _is_accepted(self, result: Any) -> bool:
        """Whether a result counts as done; False where that is not known yet, or where it went back to the reasoner."""
        state = self.state
        accept = state.accept
        if accept is None or state.accepted:
            return True
        facts = {name: fact.value for name, fact in state.facts.items()}
        if accept.that and (why := references.unmet(accept.that, {"result": result, "facts": facts})) is not None:
            return self._refuse_finish(accept.that, why)
        if not accept.tool:
            self._rule(e.FinishRuled(turn=state.turn, accepted=True, by=accept.that))
            return True
        check = state.checks.get("")
        if check is None:
            self._plan_check(accept.tool, result, facts)
            return False
        return self._checked(state.steps[check])

    def _plan_check(self, tool: str, result: Any, facts: dict[str, Any]) -> None:
        contract = self.state.contracts.get(tool, Contract(tool=tool))
        looks = self._looks()
        done = {
            name: step.value
            for name in self.state.order
            if (step := self.state.steps[name]).phase == "done" and name not in looks
        }
        given = {"result": result, "goal": self.state.goal.text, "facts": facts, "steps": done}
        args = {name: {LITERAL: value} for name, value in given.items() if name in contract.input_schema.get("properties", {})}
        name, number = f"check_{self.state.turn}", 2
        while name in self.state.steps:
            name, number = f"check_{self.state.turn}_{number}", number + 1
        self._rule(e.CheckPlanned(turn=self.state.turn, step=Step(id=name, tool=tool, args=args, on_failure="skip")))

    def _looks(self) -> frozenset[str]:
        """The steps that looked at a proposed result, or at a fact once more; they are no part of what was wanted."""
        # Under "" stands the one that looks at a result now.
        return frozenset(name or of for name, of in self.state.checks.items())

    def _checked(self, check: StepState) -> bool:
        name = check.tool
        if check.phase != "done":
            # What cannot be checked is not done: a policy never fails open.
            return self._refuse_finish(name, f"it could not be checked: {check.reason or check.phase}")
        verdict, reason = _verdict(check.value)
        if not verdict:
            return self._refuse_finish(name, reason or f"{name} says no")
        self._rule(e.FinishRuled(turn=self.state.turn, accepted=True, by=name, reason=reason))
        return True

    def _refuse_finish(self, by: str, why: str) -> bool:
        state = self.state
        self._rule(e.FinishRuled(turn=state.turn, accepted=False, by=by, reason=why))
        allowed = state.accept.finishes_max if state.accept is not None else 1
        if self.state.refusals >= allowed or (state.final and state.thinking is None):
            self._rule(e.LimitReached(limit="finishes_max", allowed=float(self.state.refusals)))
        return False


def _verdict(value: Any) -> tuple[bool, str]:
    """What a check said: true or false, or `accepted` (or `verdict`: pass) with a reason."""
    if isinstance(value, dict):
        said = value.get("accepted", value.get("verdict"))
        return said is True or said in ("pass", "accepted"), str(value.get("reason", ""))
    return value is True, value if isinstance(value, str) else ""
