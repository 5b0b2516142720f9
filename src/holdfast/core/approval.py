"""When a person is asked first, what they may answer, and whether an answer still holds."""

from __future__ import annotations

from typing import Any

from holdfast.core.conditions import over_arguments
from holdfast.core.contract import Contract, digest
from holdfast.core.events import Option
from holdfast.core.plan import Step
from holdfast.core.policy import Rule, Ruling
from holdfast.core.state import State

OPTIONS: dict[str, tuple[Option, ...]] = {
    "call": (
        Option(decision="approve", means="make this call, as shown"),
        Option(decision="edit", means="make it with these arguments instead"),
        Option(decision="reject", means="do not make it"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "forked": (
        Option(decision="approve", means="make this call, as a new one beside those of the source"),
        Option(decision="edit", means="make it with these arguments instead"),
        Option(decision="respond", means="do not make it: this is its result (such as the source's)"),
        Option(decision="reject", means="do not make it"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "doubt": (
        Option(decision="respond", means="it happened, and this is its result"),
        Option(decision="approve", means="it did not happen: do it now"),
        Option(decision="reject", means="it did not happen: leave it undone"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "failure": (
        Option(decision="approve", means="try again"),
        Option(decision="edit", means="try again with these arguments"),
        Option(decision="respond", means="done by hand, and this is the result"),
        Option(decision="reject", means="leave it undone"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "owed": (
        Option(decision="respond", means="it came, and this is the result"),
        Option(decision="approve", means="make the call once more, as a new one"),
        Option(decision="reject", means="it did not come, and will not"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "rest": (
        Option(decision="respond", means="the rest is done, and this is the whole result (or nothing, to keep the part's)"),
        Option(decision="approve", means="make the whole call once more, as a new one"),
        Option(decision="reject", means="leave it at the part that was done"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "sight": (
        Option(decision="respond", means="it was done (give a result to put it in place of the tool's)"),
        Option(decision="approve", means="make the call once more, as a new one"),
        Option(decision="reject", means="leave it as it is, and flag it"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "stop": (
        Option(decision="approve", means="take it back"),
        Option(decision="reject", means="keep what was done"),
    ),
    "question": (
        Option(decision="respond", means="this is the answer"),
        Option(decision="reject", means="it will not be answered"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "fact": (
        Option(decision="approve", means="it is so, all of it"),
        Option(decision="edit", means="this is so instead; the rest is so, as shown"),
        Option(decision="reject", means="do not act on it"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "reasoner": (
        Option(decision="approve", means="ask the models again"),
        Option(decision="reject", means="stop the run"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "plan": (
        Option(decision="approve", means="go about it like this; calls whose arguments are shown are approved with it"),
        Option(decision="reject", means="not like this"),
        Option(decision="cancel", means="cancel the whole run"),
    ),
    "handoff": (
        Option(decision="approve", means="hand it back: the run goes on from here"),
        Option(decision="respond", means="the goal is reached by hand, and this is the result"),
        Option(decision="reject", means="stop the run"),
        Option(decision="cancel", means="cancel the run"),
    ),
    "agent": (
        Option(decision="approve", means="go on under the new promises"),
        Option(decision="reject", means="stop the run"),
        Option(decision="cancel", means="cancel the run"),
    ),
}


# What asks where no policy has a say: the words that stand for a rule then.
PLAN_ASKS, TOOL_ASKS, SAFETY_ASKS, CONDITION_ASKS = "the plan asks", "the tool asks", "irreversible", "ask_when"


def asks_first(contract: Contract, step: Step) -> bool:
    """Whether a person decides before each call, whatever it is about: a plan can ask where the tool does not, never the other
    way round. What a condition or a policy says comes on top."""
    return step.approve == "always" or contract.asks_first


def gates_of(contract: Contract, step: Step) -> tuple[Rule, ...]:
    """What the plan and the tool's author say themselves about when to ask; a policy can be stricter, and no milder."""
    found: list[Rule] = []
    if step.approve == "always":
        found.append(Rule(name=PLAN_ASKS, who=contract.approvers))
    if contract.approve == "always":
        found.append(Rule(name=TOOL_ASKS, who=contract.approvers))
    if contract.approve_when:
        found.append(Rule(name=contract.approve_when, when=_over_document(contract), who=contract.approvers))
    return tuple(found)


def default_gate(contract: Contract) -> Rule | None:
    """What follows from a tool's safety where nobody said anything."""
    if contract.safety != "irreversible" or contract.approve is not None or contract.approve_when:
        return None
    return Rule(name=SAFETY_ASKS, who=contract.approvers)


def _over_document(contract: Contract) -> str:
    try:
        return over_arguments(contract.approve_when, contract.input_schema.get("properties", {}))
    except ValueError:
        # A condition that means nothing to the tool as it is now asks.
        return "null"


def shown_digest(tool: str, args: dict[str, Any], contract: Contract, ruling: Ruling | None = None, revision: int = 0) -> str:
    """What an approval is bound to: the tool, its whole arguments, and what the tool promises; and where a policy or a model has
    a hand in it, the policy, its rule, the world that it looked at, and the revision of the plan."""
    bound = [tool, args, contract]
    if ruling is not None and ruling.digest:
        bound += [ruling.digest, ruling.rule, ruling.world]
    if revision:
        bound += ["revision", revision]
    return digest(bound)


def bound_revision(state: State) -> int:
    """The revision of the plan that approvals are bound to; 0 where plans are not revised while somebody is asked."""
    return state.revision if state.thinking is not None and state.thinking.horizon != 1 else 0


def who_decides(state: State, ruling: Ruling | None, tool: str) -> tuple[str, ...]:
    """Roles or names of those who are asked where a rung of a ladder names nobody: whom the rule names, else the tool, else the
    policy; empty where all are meant."""
    contract = state.contracts.get(tool)
    named = (ruling.who if ruling is not None else (), contract.approvers if contract is not None else ())
    return next((who for who in named if who), state.policy.who if state.policy is not None else ())


def sameness(tool: str, args: dict[str, Any], contract: Contract | None) -> str:
    """A digest of what makes a call the same one when it is asked about again: its business key, else all its arguments."""
    named = contract.business_key if contract is not None else ()
    return digest([tool, {name: args.get(name) for name in named} if named else args])
