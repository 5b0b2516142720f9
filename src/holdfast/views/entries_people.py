"""What people and policies have to do with a run, an entry in one line: rulings, questions, answers, and words besides them."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core.approval import PLAN_ASKS, SAFETY_ASKS, TOOL_ASKS
from holdfast.core.forks import FORK_ASKS, SOURCE_ASKS
from holdfast.core.ladder import Ladder
from holdfast.core.policy import Check, Policy, Rule, Ruling, policy_title
from holdfast.views.words import FIELD_MAX, cut, listed, moment, shares, span

ON_STOP: dict[e.OnStop, str] = {
    "keep": "and what was done is kept",
    "undo": "and what was done taken back",
    "ask": "and a person is asked what becomes of what was done",
}
_WORDS: dict[str, str] = {
    "comment": "a remark",
    "pause": "the word to pause",
    "resume": "the word to go on",
    "instruct": "an instruction",
    "handoff": "the word that somebody takes it over",
    "done": "a result by hand",
    "goal": "another goal",
    "correct": "a correction",
}


def told_people(event: e.AnyEvent) -> str | None:
    """What an entry about a policy, a question to people, or their words means, in a few words; None for any other."""
    return _of_policies(event) or _of_questions(event) or _of_answers(event) or _of_words(event)


def _of_policies(event: e.AnyEvent) -> str | None:
    """What a policy says, where nobody is asked."""
    match event:
        case e.PolicyChanged(policy=policy):
            return "goes by no policy any more" if policy is None else f"goes by the policy {policy_words(policy)} from now on"
        case e.PolicyRuled(ruling=ruling):
            about = f"{event.step}: " if event.step else f"plan {event.revision}: "
            return f"{about}{ruled_words(ruling, _what(event))}"
        case e.ChecksIntended(checks=checks):
            return f"{_subject(event.step)}asks {listed(checks)} whether a person is to be asked"
        case e.ChecksAnswered(answers=answers):
            return f"{_subject(event.step)}{checks_words(answers)}"
        case _:
            return None


def _of_questions(event: e.AnyEvent) -> str | None:
    """What people are asked, and how that stands."""
    match event:
        case e.Asked(interrupt=interrupt, question=asked):
            return f"{interrupt}: asks {asked_words(event)}: {asked}{_because(event)}"
        case e.InterruptWithdrawn(interrupt=interrupt, reason=reason):
            return f"{interrupt}: not asked any more: {cut(reason)}"
        case e.Reminded(interrupt=interrupt, number=number):
            return f"{interrupt}: who is asked is reminded" + (f", for the {number}. time" if number > 1 else "")
        case e.Escalated(interrupt=interrupt, rung=rung, who=who, kind=kind):
            whom = listed(who) if who else "whoever may decide it"
            if kind == "handoff":
                return f"{interrupt}: nobody decided; {whom} are to take it over"
            return f"{interrupt}: nobody decided in time; {whom} are asked now (rung {rung + 1})"
        case e.InterruptExpired(interrupt=interrupt):
            return f"{interrupt}: nobody answered in time"
        case _:
            return None


def _of_answers(event: e.AnyEvent) -> str | None:
    """What people say to what they are asked."""
    match event:
        case e.ApprovalGiven(interrupt=interrupt, by=by, left=left, note=note):
            return f"{interrupt}: approved by {_name(by)}; {_people(left)} more must approve{_note(note)}"
        case e.Answered(interrupt=interrupt, decision=decision, by=by, note=note):
            return f"{interrupt}: {decision} by {_name(by)}{_way(event)}{_note(note)}"
        case e.AnswerVoided(interrupt=interrupt, reason=reason, by=by):
            said = f" of {_name(by)}" if by else ""
            return f"{interrupt}: an answer{said} that cannot be taken: {cut(reason)}"
        case e.Commented(interrupt=interrupt, by=by, text=text):
            return f"{interrupt}: {_name(by)} remarks: {cut(text)}"
        case _:
            return None


def _of_words(event: e.AnyEvent) -> str | None:
    """What people and systems outside say to a run without being asked."""
    match event:
        case e.RunPaused(by=by, reason=reason):
            return f"paused by {_name(by)}{_until(event.until)}" + (f": {cut(reason)}" if reason else "")
        case e.RunContinued(by=by):
            return f"{_name(by)} lets it go on" if by else "the pause is over: it goes on"
        case e.Instructed(by=by, text=text):
            return f"{_name(by)} says how it is to go on: {cut(text)}"
        case e.HandoffRequested(by=by, reason=reason):
            return f"{_name(by)} takes the run over" + (f": {cut(reason)}" if reason else "")
        case e.StepDoneByHand(step=step, by=by, value=value, note=note):
            return f"{step}: done by hand by {_name(by)}: {cut(value, FIELD_MAX)}{_note(note)}"
        case e.WordVoided(kind=kind, by=by, reason=reason, about=about):
            what = _WORDS[kind] + (f" about {cut(about, FIELD_MAX)}" if about else "")
            return f"{what} from {_name(by)} cannot be taken: {cut(reason)}"
        case e.SignalReceived(name=name, value=value, by=by):
            said = "" if value is None else f": {cut(value, FIELD_MAX)}"
            return f"the signal {cut(name, FIELD_MAX)} came" + (f" from {_name(by)}" if by else "") + said
        case e.CancelRequested(by=by, on_stop=on_stop, reason=reason):
            wish = f", {ON_STOP[on_stop]}" if on_stop is not None else ""
            return f"{_name(by)} wants it cancelled{wish}" + (f": {cut(reason)}" if reason else "")
        case _:
            return None


# --- policies -----------------------------------------------------------------------------------------------------


def ruled_words(ruling: Ruling, what: str = "the call") -> str:
    """What a policy says where nobody is asked: `blocked by the rule fraud of shop@3, which looked at amount=900`."""
    by = rule_words(ruling)
    if ruling.verdict == "block":
        return f"{what} is blocked by {by}{_why(ruling)}{looked_words(ruling)}"
    if ruling.draw is not None:
        return f"nobody is asked: {by}: {drawn_words(ruling)}"
    return f"nobody is asked: {by}{_why(ruling)}"


# What asks beside every policy.
_OWN = (PLAN_ASKS, TOOL_ASKS, SAFETY_ASKS, FORK_ASKS, SOURCE_ASKS)


def rule_words(ruling: Ruling) -> str:
    """Which rule it was: `the rule large of shop@3`; of what the tool or the plan says itself, that."""
    name = cut(ruling.rule, FIELD_MAX)
    # A tool's own rule has its condition as its name.
    return f"the rule {name} of {cut(ruling.policy, FIELD_MAX)}" if ruling.policy and ruling.rule not in _OWN else name


def drawn_words(ruling: Ruling) -> str:
    """What was drawn of a sample: `drew 0.31, and asks below 0.05`."""
    return f"it drew {ruling.draw:.4g}, and asks below {ruling.rate:.4g}" if ruling.draw is not None else ""


def looked_words(ruling: Ruling) -> str:
    """What its conditions looked at: `, which looked at amount=900, safety="keyed"`; empty where at nothing."""
    looked = listed((f"{name}={cut(value, _LOOKED_MAX)}" for name, value in ruling.looked.items()), _LOOKED_SHOWN)
    return f", which looked at {looked}" if looked else ""


_LOOKED_MAX, _LOOKED_SHOWN = 60, 6


def checks_words(answers: dict[str, Check]) -> str:
    """What functions of the user's said: `big says yes; odd says neither yes nor no: it took too long`."""
    return "; ".join(f"{cut(name, FIELD_MAX)} says {_said(check)}" for name, check in answers.items())


def _said(check: Check) -> str:
    why = f": {cut(check.why)}" if check.why else ""
    return ("neither yes nor no" if check.holds is None else "yes" if check.holds else "no") + why


def policy_words(policy: Policy) -> str:
    """A policy in a few words: `shop@3 (large: always, small: sample 5%)`."""
    rules = listed(f"{rule.name}: {_then(rule)}" for rule in policy.rules)
    return policy_title(policy) + (f" ({rules})" if rules else "")


def _then(rule: Rule) -> str:
    return f"sample {shares(rule.rate)}" if rule.then == "sample" else rule.then


def _why(ruling: Ruling) -> str:
    return f" ({cut(ruling.why)})" if ruling.why else ""


def _what(event: e.PolicyRuled) -> str:
    return f"the call of {event.tool}" if event.tool else "the call" if event.step else "the plan"


def _subject(step: str) -> str:
    return f"{step}: " if step else "the plan: "


# --- questions ----------------------------------------------------------------------------------------------------


def asked_words(asked: e.Asked) -> str:
    """Who is asked: `2 people, who are finance or ann`; `a person`, where it may be anybody."""
    many = f"{asked.people} people" if asked.people > 1 else "a person"
    return many + (f" ({' or '.join(cut(name, FIELD_MAX) for name in asked.who)})" if asked.who else "")


def _because(asked: e.Asked) -> str:
    """By which rule, where one was written for it, and until when."""
    by = asked_by(asked)
    return f" — by {by}; until {moment(asked.expires_at)}" if by else ""


def asked_by(asked: e.Asked) -> str:
    """Which rule wants that a person is asked, with why and what was drawn: `the rule odd of shop@3; it drew 0.01, and asks below
    0.05`. Empty where the plan, the tool or its safety does, as the question says."""
    ruling = asked.ruling
    if ruling is None or asked.about not in ("call", "plan") or ruling.rule in _OWN:
        return ""
    return "; ".join(filter(None, (rule_words(ruling) + _why(ruling), drawn_words(ruling))))


def _way(event: e.Answered) -> str:
    """In which way an answer was given, where not by one word to one question."""
    if event.standing:
        return f", by the standing approval {cut(event.standing, FIELD_MAX)}"
    return ", with others in one word" if event.bulk else ""


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _name(by: str) -> str:
    return cut(by, FIELD_MAX) if by else "somebody"


def _note(note: str) -> str:
    return f" ({cut(note)})" if note else ""


def _until(until: float | None) -> str:
    return f" until {moment(until)}" if until is not None else ""


# --- whole entries ------------------------------------------------------------------------------------------------


def people_fields(event: e.AnyEvent) -> dict[str, Any]:
    """The parts of an entry that are whole tables, as what says enough in one line; by name."""
    found: dict[str, Any] = {}
    policy, ruling, ladder = (getattr(event, name, None) for name in ("policy", "ruling", "ladder"))
    if isinstance(policy, Policy):
        found["policy"] = policy_words(policy)
    if isinstance(ruling, Ruling):
        found["ruling"] = _ruling_field(ruling)
    if isinstance(ladder, Ladder):
        found["ladder"] = _ladder_field(ladder)
    if isinstance(event, e.ChecksAnswered):
        found["answers"] = checks_words(event.answers)
    if isinstance(event, e.Asked) and event.calls:
        found["calls"] = list(event.calls)
    return found


def _ruling_field(ruling: Ruling) -> str:
    by = f"{ruling.policy}/{ruling.rule}" if ruling.policy else ruling.rule
    drawn = f" {ruling.draw:.4g}/{ruling.rate:.4g}" if ruling.draw is not None else ""
    return f"{by} {ruling.verdict}{drawn}" + (" asks" if ruling.asks else "")


def _ladder_field(ladder: Ladder) -> str:
    """A ladder in a few words: `finance for 1d, then cfo for 2d, then it is handed off to ops`."""
    rungs = ", then ".join(f"{listed(rung.who) or 'who is named'} for {span(rung.seconds)}" for rung in ladder.rungs)
    if ladder.at_deadline == "hand_off":
        return f"{rungs}, then it is handed off" + (f" to {listed(ladder.hand_off_to)}" if ladder.hand_off_to else "")
    return f"{rungs}, then no"
