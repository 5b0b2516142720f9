"""An entry as a link of a chain: in words that stand beside those of its cause, and do not say the same again."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.core import events as e
from holdfast.core.approval import CONDITION_ASKS, PLAN_ASKS, SAFETY_ASKS, TOOL_ASKS
from holdfast.core.forks import FORK_ASKS, SOURCE_ASKS
from holdfast.core.policy import Ruling
from holdfast.views.entries import entry_line, failure_words, told
from holdfast.views.entries_people import asked_words, drawn_words, looked_words, rule_words, ruled_words
from holdfast.views.why.causes import cause
from holdfast.views.why.past import Past
from holdfast.views.why.records import Link
from holdfast.views.words import FIELD_MAX, cut, moment, span


def link(past: Past, number: int, *, is_told: bool = False) -> Link:
    """An entry as a link."""
    event = past.event(number)
    step = getattr(event, "step", "")
    if not isinstance(step, str):
        step = step.id
    if not step and (asked := past.question(getattr(event, "interrupt", ""))) is not None:
        step = asked.step
    name = str(type(event).__struct_config__.tag)
    return Link(entry=number, at=past.at(number), event=name, said=said(past, number), step=step, told=is_told)


def near(links: Sequence[Link]) -> Sequence[Link]:
    """Of a chain what people need to see: up to the first cause, and on to the plan that had it."""
    last = max((place for place, one in enumerate(links) if one.told), default=0)
    for place in range(last, len(links)):
        if links[place].event in _PLANNED:
            return links[: place + 1]
    return links


_PLANNED = frozenset({"plan_adopted", "rest_planned", "undo_planned", "check_planned", "reobservation_planned", "run_forked"})


def said(past: Past, number: int) -> str:
    """What an entry says, as one link of a chain."""
    event = past.event(number)
    match event:
        case e.StepFailed(step=step, reason=reason):
            return f"step {step} was given up, and the run with it{_unless_said(past, number, reason)}"
        case e.StepSkipped(step=step, reason=reason):
            what = "given up, and whoever plans was told" if event.told else "not needed" if event.needless else "skipped"
            flagged = " and flagged for a person" if event.flagged else ""
            return f"step {step} was {what}{flagged}{_unless_said(past, number, reason)}"
        case e.CallFailed(step=step, attempt=attempt, failure=failure):
            return f"{_tool(past, number, step)} failed{_nth(attempt)}: {failure_words(failure)}"
        case e.CallUnknown(step=step, attempt=attempt, why=why):
            return f"nobody knew whether {_tool(past, number, step)} had happened{_nth(attempt)}: {cut(why)}"
        case e.Asked():
            return question_words(event)
        case e.Answered():
            return _answered(past, number, event)
        case e.InterruptExpired(interrupt=interrupt):
            waited = past.at(number) - past.at(past.asked.get(interrupt, number))
            return f"nobody answered {interrupt} in {span(waited)}; silence never means yes"
        case e.LimitReached():
            return past.after(number).stopping or told(event, past.state) or event.limit
        case e.GiveUpProposed(turn=turn, reason=reason):
            return f"{_planner(past, number)} gave up in turn {turn}: {cut(reason)}"
        case e.FinishProposed(turn=turn):
            return f"{_planner(past, number)} said in turn {turn} that it is done"
        case e.RecoveryRuled(step=step, row=row, reason=reason) | e.PendingRuled(step=step, row=row, reason=reason):
            return f"{step}: {reason} [{row}]"
        case e.RunFailed(reason=reason):
            return f"the run failed: {cut(reason)}"
        case e.RunForked(source=source, entry=at, mode=mode):
            return f"forked from {source} after its entry {at}, {mode}"
        case _:
            return told(event, past.state) or _plainly(past, number)


def question_words(asked: e.Asked) -> str:
    """That people were asked, and by what."""
    whom = asked_words(asked)
    by = basis_of(asked.ruling) if asked.about in ("call", "plan") else ""
    what = {"call": f"whether {asked.tool} may be called", "plan": "whether the plan may be carried out"}.get(asked.about)
    were = "were" if asked.people > 1 else "was"
    return f"{whom} {were} asked {what or f'“{cut(asked.question)}”'}{f', by {by}' if by else ''} ({asked.interrupt})"


def basis_of(ruling: Ruling | None) -> str:
    """By what a person is asked: a rule with what it looked at and drew, or what the tool or the plan says itself."""
    if ruling is None:
        return ""
    own = _OWN.get(ruling.rule)
    if own is None and not ruling.policy:
        condition = ruling.rule.removeprefix(f"{CONDITION_ASKS} ")
        own = "the plan's own condition" if condition != ruling.rule else "the tool's own condition"
        own = f"{own} {cut(condition, FIELD_MAX)}" if ruling.rule not in ("asked before", _REFUSED) else ruling.rule
    why = f" ({cut(ruling.why)})" if ruling.why else ""
    drawn = f"; {drawn_words(ruling)}" if ruling.draw is not None else ""
    return f"{own or rule_words(ruling)}{why}{drawn}{looked_words(ruling)}"


_REFUSED = "the same was refused before"
_OWN = {
    PLAN_ASKS: "the plan, which asks before this step", TOOL_ASKS: "the tool, which asks before each call",
    SAFETY_ASKS: "its safety: what is irreversible is asked about", FORK_ASKS: "the fork, which asks before each effect",
    SOURCE_ASKS: "the fork: its source made the same call",
}  # fmt: skip


def ruling_words(event: e.PolicyRuled) -> str:
    """What a policy ruled without a person, with what it looked at."""
    what = f"the call of {event.tool}" if event.tool else "the call" if event.step else "the plan"
    looked = "" if event.ruling.verdict == "block" else looked_words(event.ruling)
    return f"{ruled_words(event.ruling, what)}{looked}"


def answer_words(event: e.Answered, after_seconds: float) -> str:
    """What somebody answered, how long after they were asked, and with which note."""
    how = f", by the standing approval {cut(event.standing, FIELD_MAX)}" if event.standing else ""
    how += ", with others in one word" if event.bulk else ""
    note = f": “{cut(event.note)}”" if event.note else ""
    return f"{cut(event.by, FIELD_MAX) or 'somebody'} {_SAID[event.decision]} after {span(after_seconds)}{how}{note}"


_SAID: dict[e.DecisionName, str] = {
    "approve": "approved it", "edit": "approved it with other arguments", "reject": "rejected it", "respond": "gave the result",
    "cancel": "cancelled the run",
}  # fmt: skip


def _answered(past: Past, number: int, event: e.Answered) -> str:
    asked_at = past.at(past.asked.get(event.interrupt, number))
    words = answer_words(event, max(past.at(number) - asked_at, 0.0))
    asked = past.question(event.interrupt)
    if asked is not None and asked.about == "fact" and event.decision == "edit":
        return words.replace(_SAID["edit"], "corrected it", 1)
    if asked is not None and event.decision in ("approve", "reject") and asked.about not in ("call", "plan"):
        option = next((option.means for option in asked.options if option.decision == event.decision), "")
        return words.replace(_SAID[event.decision], f"said “{option}”", 1) if option else words
    return words.replace("gave the result", "answered", 1) if asked is not None and asked.about == "question" else words


def _unless_said(past: Past, number: int, reason: str) -> str:
    """The reason, unless what led to it says the same."""
    before = cause(past, number)
    if before and isinstance(past.event(before), _SAY_THEMSELVES) and not reason.startswith("it needs "):
        return ""
    return f": {cut(reason)}" if reason else ""


_SAY_THEMSELVES = (e.CallFailed, e.Answered, e.InterruptExpired, e.PolicyRuled, e.CallRefused, e.FollowUpSuppressed)


def _tool(past: Past, number: int, step: str) -> str:
    known = past.before(number).steps.get(step)
    tool = known.tool if known is not None else ""
    return f"{tool} ({step})" if tool and tool != step else step


def _nth(attempt: int) -> str:
    return f" at attempt {attempt}" if attempt > 1 else ""


def _planner(past: Past, number: int) -> str:
    answer = past.last((e.ModelAnswered,), number)
    event = past.event(answer) if answer else None
    return event.model if isinstance(event, e.ModelAnswered) else "whoever plans it"


def _plainly(past: Past, number: int) -> str:
    """What nobody needs to see go by, by its name and what it is made of."""
    event = past.event(number)
    if isinstance(event, e.RoomRefused):
        return room_words(event)
    if isinstance(event, e.RulingDeferred):
        why = "its worker was to stop" if event.why == "stopping" else "what had come was still being judged"
        return f"nothing was ruled: {why}"
    if isinstance(event, e.ProposalRequested):
        return f"turn {event.turn}: whoever plans it was asked"
    line = entry_line(past.entries[number - 1])
    return f"{line.event.replace('_', ' ')} {line.fields}".rstrip()


def room_words(event: e.RoomRefused, tool: str = "") -> str:
    """What the store had no room for; tool: only what concerns that one."""
    parts = [
        f"no place was free for {name or 'any tool'}" + (f" (held by {event.holders[name]})" if name in event.holders else "")
        for name, left in event.free.items()
        if left <= 0 and (not tool or name in ("", tool))
    ]
    parts += [
        (f"the circuit of {name} was open" if why == "circuit" else f"the rate of {name} was used up") + f" until {moment(until)}"
        for name, (until, why) in event.held.items()
        if not tool or name == tool
    ]
    few = [f"{left} left for {name or 'all tools'}" for name, left in event.free.items() if left > 0 and not tool]
    return "; ".join([*parts, *few])
