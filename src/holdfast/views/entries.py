"""The entries of a journal, one line each: for reading a whole one, and for watching one grow."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.views.words import FIELD_MAX, cut, moment, span

VERDICTS: dict[e.Verdict, str] = {
    "happened": "it happened",
    "not_happened": "it did not happen",
    "not_yet": "not to be seen yet",
    "cannot_tell": "it cannot tell",
}
_STEPS_TOLD = 12


class EntryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One entry for people: `fields` are its parts as `name=value`, each cut."""

    sequence: int
    time: str
    fence: int
    event: str
    fields: str


def entry_line(entry: e.Entry) -> EntryLine:
    """One entry of a journal in one line."""
    parts: dict[str, Any] = msgspec.to_builtins(entry.event)
    name = parts.pop("event")
    # Contracts, plans and options are whole tables; their names say enough in one line.
    for key, part in (("contracts", "tool"), ("options", "decision")):
        if key in parts:
            parts[key] = [member[part] for member in parts[key]]
    if "plan" in parts:
        parts["plan"] = [step["id"] for step in parts["plan"]["steps"]]
    fields = " ".join(f"{key}={_field(key, value)}" for key, value in parts.items())
    return EntryLine(sequence=entry.sequence, time=moment(entry.at), fence=entry.fence, event=name, fields=fields)


def _field(name: str, value: Any) -> str:
    if isinstance(value, float) and value > 0 and (name.endswith("_at") or name == "until"):
        return moment(value)
    return cut(value, FIELD_MAX)


def told(event: e.AnyEvent) -> str | None:
    """What an entry means while a run goes on, in a few words; None for what nobody needs to see go by."""
    match event:
        case e.RunStarted(agent=agent):
            return f"started, agent {agent}"
        case e.RunResumed():
            return "taken on again"
        case e.PlanAdopted(plan=plan, revision=revision):
            names = [step.id for step in plan.steps[:_STEPS_TOLD]]
            more = len(plan.steps) - len(names)
            return f"plan {revision}: {', '.join(names)}" + (f" and {more} more" if more else "")
        case e.ProposalFailed(problems=problems):
            return f"what was proposed cannot be run: {'; '.join(problems)}"
        case e.CallIntended(step=step, tool=tool, attempt=attempt):
            return f"{step}: calls {tool}" + (f", attempt {attempt}" if attempt > 1 else "")
        case e.CallSucceeded(step=step, value=value, seconds=seconds):
            return f"{step}: done in {span(seconds)}: {cut(value, FIELD_MAX)}"
        case e.CallPartial(step=step, left=left):
            return f"{step}: done in part; left: {', '.join(left)}"
        case e.CallDeferred(step=step):
            return f"{step}: the other side took it and owes its result"
        case e.CallFailed(step=step, failure=failure):
            return f"{step}: failed: {failure.kind}" + (f": {failure.message}" if failure.message else "")
        case e.CallUnknown(step=step, why=why):
            return f"{step}: nobody knows whether it happened: {why}"
        case e.ProbeIntended(step=step):
            return f"{step}: looks whether it happened"
        case e.ProbeAnswered(step=step, verdict=verdict, message=message):
            return f"{step}: the probe says: {VERDICTS[verdict]}" + (f" ({message})" if message else "")
        case e.RetryRuled(step=step, due_at=due_at):
            return f"{step}: to be tried again at {moment(due_at)}"
        case e.RecoveryRuled(step=step, row=row, reason=reason):
            return f"{step}: {reason} [{row}]"
        case e.FallbackRuled(step=step, tool=tool):
            return f"{step}: falls back to {tool}"
        case e.ReuseRuled(step=step, same_as=same_as):
            return f"{step}: the same call as {same_as}, whose result is taken"
        case e.StepSkipped(step=step, reason=reason, flagged=flagged):
            return f"{step}: {'skipped and flagged' if flagged else 'skipped'}: {reason}"
        case e.StepFailed(step=step, reason=reason):
            return f"{step}: given up: {reason}"
        case e.Asked(interrupt=interrupt, question=asked):
            return f"{interrupt}: asks a person: {asked}"
        case e.Answered(interrupt=interrupt, decision=decision, by=by):
            return f"{interrupt}: {decision} by {by}"
        case e.AnswerVoided(interrupt=interrupt, reason=reason):
            return f"{interrupt}: an answer that cannot be taken: {reason}"
        case e.InterruptExpired(interrupt=interrupt):
            return f"{interrupt}: nobody answered in time"
        case e.AgentChanged(weaker=weaker):
            return "the agent's tools have changed" + (", and promise less" if weaker else "")
        case e.CancelRequested(by=by):
            return f"{by} wants it cancelled"
        case e.LimitReached(limit=limit, allowed=allowed):
            return f"the limit {limit} of {allowed:g} is reached"
        case e.RunCompleted():
            return "completed"
        case e.RunFailed(reason=reason):
            return f"failed: {reason}"
        case e.RunCancelled(by=by):
            return f"cancelled by {by}"
        case _:
            return None
