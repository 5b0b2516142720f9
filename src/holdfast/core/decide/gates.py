"""Whether a person is asked before a call: what the policy rules on it, and whether what was approved still holds."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.approval import (
    CONDITION_ASKS,
    bound_revision,
    default_gate,
    gates_of,
    sameness,
    shown_digest,
)
from holdfast.core.commands import CheckCall
from holdfast.core.contract import Contract, digest
from holdfast.core.decide.desk import Desk
from holdfast.core.forks import FORK_ASKS, SOURCE_ASKS, did_before, fork_gate
from holdfast.core.policy import Rule, Ruling, Undecided, evaluate, policy_digest
from holdfast.core.proposed import amount_in, proposed_call
from holdfast.core.state import StepState

# How often people may refuse the same call before whoever asks for it again is stopped, where no policy says.
REFUSALS_MAX = 2
REFUSED_BEFORE = "the same was refused before"


class Gates(Desk):
    """See the module's text."""

    def _is_gated(self, step: StepState, contract: Contract, args: dict[str, Any], *, again: bool, settled: bool) -> bool:
        """Whether the call has to wait for a person or for a check, or may not be made at all. again: it is a repeat of one that
        may have happened; neither yes nor no to a new call would say anything about that."""
        ruling = self._ruling(step, contract, args, settled=settled)
        if ruling is None:
            return False
        if isinstance(ruling, Undecided):
            self._want_checks(step, contract, args, ruling)
            return True
        call = shown_digest(step.tool, args, contract, ruling, bound_revision(self.state))
        if ruling.verdict == "block" and not (again or step.landed):
            self._rule(e.PolicyRuled(step=step.step.id, tool=step.tool, ruling=ruling, args=args, call=call))
            self.refused = True
            return True
        if ruling.verdict != "block" and not ruling.asks:
            if ruling.digest and step.ruled != call:
                ruling = replace(ruling, who=(), ladder=None)  # Nobody is asked.
                self._rule(e.PolicyRuled(step=step.step.id, tool=step.tool, ruling=ruling, call=call))
            return False
        # One of several people may have said a word about a doubt or a failure: that is not the word of them all.
        by_enough = len(set(step.approved_by)) >= ruling.people
        holds = step.approved == call and by_enough and (again or step.landed or not self._has_lapsed(step))
        if holds and ruling.verdict != "block":
            return False
        if again or step.landed:
            before = "an earlier call happened, and its answer could not be used; " if step.landed else ""
            why = f"the policy forbids it by now (rule {ruling.rule})" if ruling.verdict == "block" else self._why_again(ruling)
            self._ask_about_doubt(step, contract, f"{before}{why}")
        else:
            self._ask_first(step, contract, args, ruling, call)
        return True

    def _why_again(self, ruling: Ruling) -> str:
        fork = self.state.fork
        if fork is None or ruling.rule not in (FORK_ASKS, SOURCE_ASKS):
            return _CHANGED
        return f"{fork.source} had begun it, and in a fork of it nothing is repeated unasked; it would go out under the same key"

    def _has_lapsed(self, step: StepState) -> bool:
        return step.approved_until is not None and step.approved_until <= self.now

    def _ruling(
        self, step: StepState, contract: Contract, args: dict[str, Any], *, settled: bool = False
    ) -> Ruling | Undecided | None:
        """What is ruled on a call now; None where nobody has a say in it."""
        policy, gates, default = self.state.policy, gates_of(contract, step.step), default_gate(contract)
        if not settled and step.step.ask_when and self._asks_when(step, args):
            gates = (*gates, Rule(name=f"{CONDITION_ASKS} {step.step.ask_when}", who=contract.approvers))
        forked = fork_gate(self.state, step, contract, args)
        if forked is not None:
            gates = (forked, *gates)
        if step.was_asked:
            gates = (*gates, Rule(name="asked before", who=contract.approvers, people=step.was_asked))
        if policy is None and not gates and default is None:
            return self._over_refusal(None, step, contract, args)
        if policy is None and not contract.approve_when:
            gate = (*gates, default)[0]
            assert gate is not None
            people = gate.people if forked is not None else 1
            return Ruling(rule=gate.name, verdict="always", asks=True, who=gate.who, people=people, standing=gate.standing)
        checks = (
            step.checks.answers if step.checks is not None and step.checks.call == self._checks_of(step, contract, args) else {}
        )
        ruling = evaluate(
            policy,
            proposed_call(self.state, step, contract, args),
            gates=gates,
            default=default,
            checks=checks,
            seed=f"{self.state.run_id}\x1f{step.step.id}\x1f{step.occurrence}",
        )
        return ruling if isinstance(ruling, Undecided) else self._over_refusal(ruling, step, contract, args)

    def _over_refusal(self, ruling: Ruling | None, step: StepState, contract: Contract, args: dict[str, Any]) -> Ruling | None:
        """The ruling; where nobody would be asked and a person refused the same before, one by which somebody is. Else who
        proposes it again in other words, or until it is not drawn, would go round their no."""
        state = self.state
        if ruling is not None and (ruling.asks or ruling.verdict == "block"):
            return ruling
        if step.doubt_since is not None or step.landed or step.step.undoes or not self._refusals(step, contract, args):
            return ruling
        if ruling is None:
            who = contract.approvers or (state.policy.who if state.policy is not None else ())
            return Ruling(rule=REFUSED_BEFORE, verdict="always", asks=True, who=who)
        return replace(ruling, verdict="always", asks=True, why=REFUSED_BEFORE, draw=None, rate=None)

    def _refusals(self, step: StepState, contract: Contract, args: dict[str, Any]) -> tuple[str, ...]:
        """Who refused the same call before, where it may be somebody else than a fixed plan that proposes it again."""
        state = self.state
        if not state.refused_calls or (state.policy is None and state.thinking is None) or step.step.undoes:
            return ()
        return state.refused_calls.get(sameness(step.tool, args, contract), ())

    def _bound(self, step: StepState, contract: Contract, args: dict[str, Any]) -> tuple[str, Ruling | None]:
        """What an approval of a call is bound to now, and the ruling on it."""
        ruling = self._ruling(step, contract, args, settled=bool(step.step.undoes))
        ruling = None if isinstance(ruling, Undecided) else ruling
        return shown_digest(step.tool, args, contract, ruling, bound_revision(self.state)), ruling

    # --- functions of the user's ----------------------------------------------------------------------------------

    def _checks_of(self, step: StepState, contract: Contract, args: dict[str, Any]) -> str:
        """What the answers of functions are good for."""
        policy = self.state.policy
        return digest([step.tool, args, contract, policy_digest(policy) if policy is not None else ""])

    def _settle_checking(self, step: StepState) -> None:
        """The worker that asked is gone: it is looked at anew what is to be asked."""
        if step.fence >= self.state.fence or self._stopping():
            return
        contract = self.state.contracts.get(step.tool)
        try:
            args = step.edited if step.edited is not None else self._resolved(self._form(step))
        except references.Missing:
            args = step.args or {}
        wanted = self._ruling(step, contract, args) if contract is not None else None
        names = wanted.checks if isinstance(wanted, Undecided) else ()
        self._want_checks(step, contract or Contract(tool=step.tool), args, Undecided(names))

    def _want_checks(self, step: StepState, contract: Contract, args: dict[str, Any], wanted: Undecided) -> None:
        call = self._checks_of(step, contract, args)
        self._rule(e.ChecksIntended(step=step.step.id, call=call, checks=wanted.checks))
        document = proposed_call(self.state, step, contract, args)
        self.commands.append(CheckCall(step=step.step.id, call=call, checks=wanted.checks, document=document))

    # --- asking ---------------------------------------------------------------------------------------------------

    def _ask_first(self, step: StepState, contract: Contract, args: dict[str, Any], ruling: Ruling, call: str) -> None:
        """Ask a person about a call. Whoever refused the same before is not asked again, and after some refusals nobody is."""
        policy, refused = self.state.policy, self._refusals(step, contract, args)
        allowed = policy.refusals_max if policy is not None else REFUSALS_MAX
        if len(refused) >= allowed:
            self._rule(e.LimitReached(limit="refusals_max", allowed=float(allowed)))
            return
        if refused:
            ruling = replace(ruling, standing=False)  # What was said in advance does not go over a no.
        rule = f" {ruling.rule}" if ruling.rule.startswith(CONDITION_ASKS) else ""
        question, options = f"may {step.tool} be called?{rule}", None
        if (fork := self.state.fork) is not None and fork.mode != "simulate":
            did = did_before(self.state, step, contract, args)
            made = self._how_made(step, contract, args, did) if did is not None else ""
            question, options = f"{question} this run is a fork of {fork.source}{made}", "forked"
        self._ask(
            "call", "approval", question, call, step, args, options=options,
            ruling=ruling, not_by=tuple(dict.fromkeys(filter(None, refused))), rung=len(refused), amount=amount_in(contract,
            references.unmarked(args)),
        )  # fmt: skip

    def _is_done_by_source(self, step: StepState, contract: Contract, args: dict[str, Any]) -> bool:
        """Whether this run is a fork, and its source did what this call is to do, or may have done it."""
        gate = fork_gate(self.state, step, contract, args)
        return gate is not None and gate.name == SOURCE_ASKS

    def _how_made(self, step: StepState, contract: Contract, args: dict[str, Any], did: e.Recorded) -> str:
        """What the source did, in words that follow its name."""
        if did.call == sameness(step.tool, args, contract):
            how = "made the same call"
        elif did.step != step.step.id:
            how = f"did {did.step} in its place, by {did.tool}"
        else:
            how = f"did this step {'with other arguments' if did.tool == step.tool else f'by {did.tool}'}"
        return f", {'which' if not did.run else f'and {did.run}'} {how} (its entry {did.entry})"

    def _ask_about_doubt(self, step: StepState, contract: Contract, why: str) -> None:
        self._ask_escalating("doubt", f"did {step.tool} happen? {why}", step, contract)

    def _ask_escalating(
        self, about: e.InterruptSubject, question: str, step: StepState, contract: Contract | None, options: str | None = None,
        kind: e.InterruptKind = "escalation",
    ) -> None:  # fmt: skip
        """Ask a person about a call that was made, or could not be."""
        args = step.args if step.args is not None else step.step.args
        shown, ruling = self._bound(step, contract, args) if contract is not None else ("", None)
        amount = amount_in(contract, references.unmarked(args)) if contract is not None else None
        self._ask(about, kind, question, shown, step, args, options=options, ruling=ruling, amount=amount)

    def _settle_asking(self, step: StepState) -> None:
        if step.interrupt is None or self._stopping():
            return
        asked = self.state.interrupts[step.interrupt]
        if asked.about == "call" and asked.expires_at > self.now and (why := self._not_the_question(step, asked)):
            self._rule(e.InterruptWithdrawn(interrupt=step.interrupt, reason=why))
        else:
            self._expire(step.interrupt)

    def _not_the_question(self, step: StepState, asked: e.Asked) -> str:
        """Why what a person is asked is not what would be done any more; empty where it is."""
        contract = self.state.contracts.get(step.tool)
        if contract is None:
            return f"the agent has no tool {step.tool} any more"
        try:
            args = step.edited if step.edited is not None else self._resolved(self._form(step))
        except references.Missing:
            return ""  # It is observed anew, or given up, when somebody has said yes.
        if args != asked.args:
            return "the arguments are other ones by now"
        ruling = self._ruling(step, contract, args)
        if isinstance(ruling, Undecided):
            return "the policy, or the tool, changed"
        digest_now = shown_digest(step.tool, args, contract, ruling, bound_revision(self.state))
        if digest_now == asked.digest:
            return ""
        if ruling is None or not asked.ruling or ruling.digest != asked.ruling.digest:
            return "the policy, or the tool, changed"
        if ruling.world != asked.ruling.world:
            return "what it rests on changed"
        return "the tool, or the plan, changed"

    # --- conditions of the plan -----------------------------------------------------------------------------------

    def _form(self, step: StepState) -> dict[str, Any]:
        """The arguments of the tool in force, with their references."""
        raise NotImplementedError

    def _asks_when(self, step: StepState, args: dict[str, Any]) -> bool:
        """Whether the plan says that a person is asked about this call. Where nobody can say, they are."""
        return bool(step.step.ask_when) and self._holds(step.step.ask_when, references.ASK_ROOTS, args) is not False

    def _holds(self, expression: str, roots: tuple[str, ...], args: dict[str, Any] | None = None) -> bool | None:
        """Whether a condition of the plan holds now; None where that cannot be worked out, as where it names a fact that may not
        be believed."""
        condition = references.parse(expression, roots)
        document = references.document_of(condition, self.state.goal.inputs, self._result_of, self._fact_of)
        if condition.problem or len(document["facts"]) < len(condition.facts):
            return None
        return references.holds(expression, document | {"args": references.unmarked(args or {})})


_CHANGED = "the tool changed since it was approved"
