"""When a person is asked first, what they may answer, and whether an answer still holds."""

from __future__ import annotations

from typing import Any

from holdfast.core.contract import Contract, digest
from holdfast.core.events import Option
from holdfast.core.plan import Step

OPTIONS: dict[str, tuple[Option, ...]] = {
    "call": (
        Option(decision="approve", means="make this call, as shown"),
        Option(decision="edit", means="make it with these arguments instead"),
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
    "agent": (
        Option(decision="approve", means="go on under the new promises"),
        Option(decision="reject", means="stop the run"),
        Option(decision="cancel", means="cancel the run"),
    ),
}


def asks_first(contract: Contract, step: Step) -> bool:
    """Whether a person decides before this call: a plan can ask where the tool does not, never the other way round."""
    return step.approve == "always" or contract.asks_first


def shown_digest(tool: str, args: dict[str, Any], contract: Contract) -> str:
    """What an approval is bound to: the tool, its whole arguments, and what the tool promises."""
    return digest([tool, args, contract])
