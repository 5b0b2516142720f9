"""The entries of a journal, one line each: for reading a whole one, and for watching one grow."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.budget import dollars
from holdfast.core.models import Usage
from holdfast.core.state import State
from holdfast.views.entries_people import ON_STOP as ON_STOP
from holdfast.views.entries_people import people_fields, told_people
from holdfast.views.entries_thinking import fields_of, told_thinking
from holdfast.views.owed import owed_view
from holdfast.views.words import FIELD_MAX, amount, bytes_of, cut, listed, moment, size, span, usage_words, usd

VERDICTS: dict[e.Verdict, str] = {
    "happened": "it happened",
    "not_happened": "it did not happen",
    "not_yet": "not to be seen yet",
    "cannot_tell": "it cannot tell",
}


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
    for key in ("recorded", "script"):
        if isinstance(entry.event, e.RunForked) and key in parts:
            parts[key] = len(parts[key])
    if isinstance(entry.event, e.UndoPlanned):
        parts["steps"] = [step["id"] for step in parts.get("steps", ())]
    if isinstance(entry.event, e.RestPlanned):
        parts["rest"] = parts["rest"]["id"]
    parts |= fields_of(entry.event) | people_fields(entry.event)
    fields = " ".join(f"{key}={_field(key, value)}" for key, value in parts.items())
    return EntryLine(sequence=entry.sequence, time=moment(entry.at), fence=entry.fence, event=name, fields=fields)


def _field(name: str, value: Any) -> str:
    if isinstance(value, float) and value > 0 and (name.endswith("_at") or name == "until"):
        return moment(value)
    return cut(value, FIELD_MAX)


# --- while a run goes on ------------------------------------------------------------------------------------------


def told(event: e.AnyEvent, state: State | None = None) -> str | None:
    """What an entry means while a run goes on, in a few words; None for what nobody needs to see go by. state: of the run at
    that entry or later, where it is known; with it, it is also said what settles what is owed."""
    words = told_thinking(event, state) or told_people(event)
    return words or _of_call(event, state) or _of_step(event) or _of_run(event, state)


def _of_call(event: e.AnyEvent, state: State | None) -> str | None:
    """A call and what came of it."""
    match event:
        case e.CallIntended(step=step, tool=tool, attempt=attempt):
            return f"{step}: calls {tool}" + (f", attempt {attempt}" if attempt > 1 else "")
        case e.CallSucceeded(step=step, value=value, seconds=seconds):
            return (
                f"{step}: done in {span(seconds)}: {cut(value, FIELD_MAX)}{_cut(event)}{_also(event.changes)}{_cost(event.spent)}"
            )
        case e.CallPartial(step=step, left=left):
            rest = _rest(event, state)
            return f"{step}: done in part; left: {listed(left)}{rest}{_cut(event)}{_also(event.changes)}{_cost(event.spent)}"
        case e.CallDeferred(step=step):
            named = f" as {cut(event.handle, FIELD_MAX)}" if event.handle else ""
            owes = _owes(step, event.until, state)
            return f"{step}: {_who(event.by)} took it{named} and owes its result{owes}{_also(event.changes)}"
        case e.CallFailed(step=step, failure=failure):
            return f"{step}: failed: {failure_words(failure)}{_also(event.changes)}{_cost(event.spent)}"
        case e.CallUnknown(step=step, why=why):
            return f"{step}: nobody knows whether it happened: {why}"
        case e.ProbeIntended(step=step):
            return f"{step}: looks whether it happened"
        case e.ProbeAnswered(step=step, verdict=verdict, message=message, failure=failure):
            said = f"it will not do: {failure_words(failure)}" if failure is not None else message
            rest = f"; left: {listed(event.left)}" if event.left else ""
            return f"{step}: the probe says: {VERDICTS[verdict]}" + (f" ({said})" if said else "") + rest
        case e.CallbackReceived(step=step, value=value, failure=failure):
            if failure is not None:
                return f"{step}: {_who(event.by)} called back: {failure_words(failure)}"
            return f"{step}: {_who(event.by)} called back with its result: {cut(value, FIELD_MAX)}"
        case e.CallbackRefused(step=step, reason=reason, by=by):
            return f"{step}: a delivery{_by(by)} was refused: {cut(reason)}"
        case e.ChildEnded(step=step, child=child, status=status):
            partly = f" (partial: {listed(event.partial)})" if event.partial else ""
            used = f"; it used {usage_words(event.spent)}" if event.spent is not None and event.spent.requests else ""
            return f"{step}: its run {child} {_ENDED[status]}{partly}" + (f": {cut(event.reason)}" if event.reason else "") + used
        case _:
            return None


def _of_step(event: e.AnyEvent) -> str | None:
    """What was ruled for a step."""
    match event:
        case e.RetryRuled(step=step, due_at=due_at):
            return f"{step}: to be tried again at {moment(due_at)}"
        case e.RecoveryRuled(step=step, row=row, reason=reason) | e.PendingRuled(step=step, row=row, reason=reason):
            return f"{step}: {reason} [{row}]"
        case e.FallbackRuled(step=step, tool=tool):
            # A failure stands on a line of its own already; what else may be the reason does not.
            why = f": {event.reason}" if event.reason.startswith(("the circuit", "what ")) else ""
            return f"{step}: falls back to {tool}{why}"
        case e.ReuseRuled(step=step, same_as=same_as):
            return f"{step}: the same call as {same_as}, whose result is taken"
        case e.RestPlanned(step=step, rest=rest):
            if rest.undoes:
                return f"{step}: what it did is to be taken back first: {rest.id} calls {rest.tool}"
            return f"{step}: goes on in the step {rest.id}, which calls {rest.tool}"
        case e.FollowUpSuppressed(step=step, until=until):
            return f"{step}: not made: {_repeated(event)}" + (f" until {moment(until)}" if until else "")
        case e.CallHeld(step=step, until=until):
            return f"{step}: not called yet: {held_words(event)}; tried again at {moment(until)}"
        case e.CallRefused(step=step, same_as=same_as, failure=failure):
            if not same_as or f"step {same_as}" in failure.message:
                return f"{step}: not made: {failure_words(failure)}"  # Why is said there already.
            same = "the very same call failed before" if same_as == step else f"the very same call failed in {same_as}"
            return f"{step}: not made: {same}, and nothing has changed since: {failure_words(failure)}"
        case e.StepSkipped(step=step, reason=reason, flagged=flagged):
            what = "not needed" if event.needless else "skipped and flagged" if flagged else "skipped"
            return f"{step}: {what}: {reason}"
        case e.StepFailed(step=step, reason=reason):
            return f"{step}: given up: {reason}"
        case _:
            return None


def _of_run(event: e.AnyEvent, state: State | None) -> str | None:
    """The run as a whole."""
    match event:
        case e.RunStarted(agent=agent, parent=parent):
            return f"started, agent {agent}" + (f", by step {event.parent_step} of run {parent}" if parent else "")
        case e.RunResumed():
            return "taken on again"
        case e.RunForked(source=source, entry=entry, mode=mode):
            return f"from here on it is a fork of {source}, from after its entry {entry} ({mode})"
        case e.RoomRefused(free=free, held=held):
            return "there was no room" + (f" for {listed((*free, *held))}" if free or held else "")
        case e.PlanAdopted(plan=plan, revision=revision, reason=reason, dropped=dropped):
            dropping = f"; dropped: {listed(dropped)}" if dropped else ""
            # Of a plan that is there as a whole nobody asks why.
            why = f" ({cut(reason)})" if reason and not plan.final and not _was_said(reason, event.turn, state) else ""
            return f"plan {revision}: {listed(step.id for step in plan.steps) or 'nothing new'}{dropping}{why}"
        case e.AgentChanged(weaker=weaker):
            return "the agent's tools have changed" + (", and promise less" if weaker else "")
        case e.LimitReached():
            return limit_words(event, state)
        case e.UndoPlanned(steps=steps, kept=kept):
            undone = f"what was done is taken back: {listed(step.undoes or step.id for step in steps)}" if steps else ""
            stays = f"cannot be undone: {listed(kept)}" if kept else ""
            return "; ".join(filter(None, (undone, stays))) or "there is nothing to take back"
        case e.RunCompleted():
            missing = shortfall(event.skipped, event.flagged, event.partial)
            doubtful = _lists({"done on what is not so": event.outdated, "guessed, and confirmed by nobody": event.guessed})
            rests = f"; {doubtful}" if doubtful else ""
            return "completed" + (f" (partial): {missing}" if missing else "") + _replaced(event.replaced) + rests
        case e.RunFailed(reason=reason):
            return f"failed: {reason}{_left_behind(event)}"
        case e.RunCancelled(by=by):
            return f"cancelled by {by}{_left_behind(event)}"
        case _:
            return None


def _was_said(words: str, turn: int, state: State | None) -> bool:
    """Whether these are the words of a model's answer, which has a line of its own."""
    turns = state.turns if state is not None else ()
    said = (part.text for one in turns if one.turn == turn for part in one.said if part.kind == "text")
    return " ".join(words.split()) in " ".join(" ".join(said).split())


_ENDED = {"completed": "has completed", "failed": "has failed", "cancelled": "was cancelled"}


def failure_words(failure: e.Failure) -> str:
    """A failure in one line."""
    landed = " (the call had its effect all the same)" if failure.landed else ""
    return failure.kind + (f": {cut(failure.message)}" if failure.message else "") + landed


def held_words(event: e.CallHeld) -> str:
    """Why a tool may not be called now."""
    return f"the circuit of {event.tool} is open" if event.why == "circuit" else f"the rate of {event.tool} is used up"


def limit_words(event: e.LimitReached, state: State | None) -> str:
    """A bound that is reached; of money and tokens also what is spent, for it is the next request that does not fit."""
    if event.limit not in ("cost_usd_max", "tokens_max"):
        return f"the limit {event.limit} of {amount(event.allowed)} is reached"
    money = event.limit == "cost_usd_max"
    allowed = dollars(Decimal(repr(event.allowed))) if money else f"{event.allowed:,.0f}"
    said = f"the limit {event.limit} of {allowed} is reached: what is left does not pay for another request"
    if state is None:
        return said
    return f"{said} ({usd(state.spent.cost_usd) if money else f'{state.spent.tokens:,} tokens'} spent)"


def changes_words(changes: Iterable[e.Change]) -> str:
    """What else a call changed: `credit 3 (of the month), mails 1`."""
    return listed(f"{one.name} {amount(one.amount)}" + (f" ({one.note})" if one.note else "") for one in changes)


def cut_words(whole: int, kept: int, stored: bool) -> str:
    """That a result was too large, and what is left of it. whole, kept: in bytes."""
    return f"the result has {size(whole)} and was cut to {size(kept)}; the whole of it was {'stored' if stored else 'not kept'}"


def _also(changes: tuple[e.Change, ...]) -> str:
    return f"; also: {changes_words(changes)}" if changes else ""


def _cost(spent: Usage | None) -> str:
    return f"; it cost {usd(spent.cost_usd)}" if spent is not None and spent.cost_usd else ""


def _cut(event: e.CallSucceeded | e.CallPartial) -> str:
    if event.cut is None:
        return ""
    return f"; {cut_words(event.cut.bytes, bytes_of(event.value), bool(event.cut.digest))}"


def _who(by: str) -> str:
    return cut(by, FIELD_MAX) if by else "the other side"


def _by(by: str) -> str:
    return f" from {cut(by, FIELD_MAX)}" if by else ""


def _rest(event: e.CallPartial, state: State | None) -> str:
    if not event.left:
        return ""
    if event.rest is not None:
        return "; another call is to do that"
    return f"; {_who(event.by)} owes that{_owes(event.step, event.until, state)}"


def _owes(step: str, until: float | None, state: State | None) -> str:
    """Until when, and what may settle it, as far as that is known."""
    open_one = state.pending.get(step) if state is not None else None
    if state is None or open_one is None:
        return f" until {moment(until)}" if until is not None else ""
    seen = owed_view(state, open_one)
    return f" until {moment(seen.until)}" + (f" (settled by {', '.join(seen.settled_by)})" if seen.settled_by else "")


def _repeated(event: e.FollowUpSuppressed) -> str:
    if event.reason:
        return event.reason
    where = f"step {event.same_as} of run {event.run_id}" if event.run_id and event.same_as else event.same_as
    which = where or (f"a call of run {event.run_id}" if event.run_id else "a call that is under way")
    return f"it would repeat {which}, which is owed"


def shortfall(skipped: Iterable[str], flagged: Iterable[str], partial: Iterable[str]) -> str:
    """What a completed run has not wholly done: `skipped: a; flagged: b; done in part: c`; empty where it has all."""
    marked = tuple(flagged)
    only_skipped = tuple(name for name in skipped if name not in marked)
    return _lists({"skipped": only_skipped, "flagged": marked, "done in part": tuple(partial)})


def _left_behind(event: e.RunFailed | e.RunCancelled) -> str:
    said = _lists({"taken back": event.undone, "stays done": event.kept, "unknown": event.unknown})
    return f"; {said}" if said else ""


def _lists(lists: dict[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{word}: {listed(names)}" for word, names in lists.items() if names)


def _replaced(replaced: dict[str, str]) -> str:
    return f"; replaced: {replaced_words(replaced)}" if replaced else ""


def replaced_words(replaced: dict[str, str]) -> str:
    """Steps that were done another way: `hotel by book_hostel`."""
    return listed(f"{step} by {other}" for step, other in replaced.items())
