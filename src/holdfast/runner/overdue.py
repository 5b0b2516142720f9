"""What is written down of what does not end: it was given its time, and did not obey its cancellation."""

from __future__ import annotations

import msgspec

from holdfast.core import events as e
from holdfast.core.budget import lost
from holdfast.core.commands import AskReasoner, CheckCall, Command, Recall, RunProbe
from holdfast.core.policy import Check


class Judging(msgspec.Struct, frozen=True):
    """A delivery that is being judged. event: what it becomes if it is found enough. landed: what it is the result of has an
    effect."""

    message: int
    event: e.CallbackReceived | e.ChildEnded
    landed: bool


def overdue(command: Command) -> e.AnyEvent:
    """The outcome of a command that does not end."""
    why = "it did not end when it was cancelled"
    if isinstance(command, RunProbe):
        return e.ProbeAnswered(step=command.step, probe=command.probe, verdict="not_yet", message=why)
    if isinstance(command, AskReasoner):
        if command.model and command.reserved is not None:
            failure = e.Failure(kind="transient", message=why)
            return e.ModelFailed(turn=command.turn, model=command.model, failure=failure, usage=lost(command.reserved))
        return e.ProposalFailed(turn=command.turn, problems=(f"the reasoner: {why}",))
    if isinstance(command, Recall):
        return e.MemoryRecalled(failure=why)
    if isinstance(command, CheckCall):
        answers = {name: Check(why=why) for name in command.checks}
        return e.ChecksAnswered(step=command.step, call=command.call, answers=answers)
    return e.CallUnknown(step=command.step, attempt=command.attempt, why=why)


def not_judged(about: Judging) -> e.CallbackReceived | e.ChildEnded:
    """What a delivery becomes whose judge does not end: it has come, and nobody knows whether it is enough."""
    why = "could not be checked: what judges it did not end when it was cancelled"
    return msgspec.structs.replace(about.event, failure=e.Failure(kind="insufficient", message=why, landed=about.landed))
