"""An explanation as short labelled lines: what text and Markdown both are drawn from. Values and words in them are foreign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from holdfast.views.beliefs import source_words
from holdfast.views.interrupts import Origin
from holdfast.views.why.records import Ask, Attempt, BudgetThen, FactThen, StepWhy, Why
from holdfast.views.why.steps import waited_words
from holdfast.views.words import FIELD_MAX, cut, listed, moment, span, usage_words, usd

# A label, and what stands behind it.
Line = tuple[str, str]
VALUE_MAX = 300
# So many attempts of a step are told one by one: the first few and the last ones.
ATTEMPTS_MAX = 12


def head_lines(found: Why) -> Iterator[Line]:
    """What is known of the run as a whole, beside the first line."""
    yield "goal", found.goal
    if found.fork is not None:
        fork = found.fork
        by = f" by {fork.by}" if fork.by else ""
        why = f": {cut(fork.reason)}" if fork.reason else ""
        taken = f"; taken over as done: {listed(fork.done) or 'nothing'}"
        yield "forked", f"from {fork.source} after its entry {fork.entries}{by}, {fork.mode}{why}{taken}"
    if found.parent:
        yield "parent", f"run {found.parent}, step {found.parent_step}"
    if found.children:
        yield "started", f"the runs {listed(found.children)}"
    spent = found.spent
    if spent.cost_usd or spent.tokens:
        most = f" of {usd(spent.cost_usd_max)}" if spent.cost_usd_max is not None else ""
        yield "spent", f"{usd(spent.cost_usd)}{most}, {spent.tokens:,} tokens in {spent.requests} requests"


def step_lines(step: StepWhy) -> Iterator[Line]:
    """A step in full."""
    yield "why", _brought(step)
    if step.brought is not None:
        for line in step.brought.refused:
            yield "", f"not taken in the same turn: {line}"
        if step.brought.otherwise:
            yield "else", "; ".join(step.brought.otherwise)
    if step.turn is not None:
        turn = step.turn
        yield "turn", f"{turn.turn} of {turn.model} ({turn.reason}); {usage_words(turn.usage)}"
        for failed in turn.failed:
            yield "", f"before that {failed.model} did not answer: {failed.kind}: {cut(failed.message, FIELD_MAX)}"
    if step.words:
        yield "it said", f"“{cut(step.words, VALUE_MAX)}”"
    yield from _args(step)
    for fact in step.facts:
        yield "fact", _fact(fact)
    told = {asked.entry for asked in step.asks}
    for ruled in step.ruled:
        words = ruled.checks if ruled.entry in told else "; ".join(filter(None, (ruled.said, ruled.checks)))
        if words:
            yield "policy", f"{words} (entry {ruled.entry})"
    for asked in step.asks:
        yield from ask_lines(asked)
    for wait in step.waits:
        yield "waited", waited_words(wait)
    if step.budget is not None:
        yield "budget", budget_words(step.budget)
    yield from _attempts(step.attempts)
    for ruling in step.rulings:
        if ruling.entry != step.ended_entry:
            yield "ruled", f"{moment(ruling.at)} {ruling.said} (entry {ruling.entry})"
    if step.ended:
        yield "ended", f"{moment(step.ended_at or 0.0)} {step.ended} (entry {step.ended_entry})"
    if step.result:
        yield "result", step.result
    for one in step.related:
        yield "also", one
    if step.child:
        yield "run", f"it started the run {step.child}"
    for link in step.followed:
        yield "then", f"{link.said} (entry {link.entry})"


def _brought(step: StepWhy) -> str:
    found = step.brought
    if found is None:
        return "the journal does not say what brought it"
    sure = f"; {found.confidence:.0%} sure of it" if found.confidence < 1 else ""
    reason = f": {cut(found.reason)}" if found.reason else ""
    where = f" (entry {found.entry})"
    match found.by:
        case "plan":
            return f"the plan that the run was given has it{sure}{where}"
        case "function":
            return f"plan {found.revision}, made by a function{reason}{sure}{where}"
        case "model":
            return f"plan {found.revision}, proposed by {found.model or 'a model'} in turn {found.turn}{reason}{sure}{where}"
        case "part":
            return f"{found.of} was done in part, or is meant again: this is the rest of it{where}"
        case "undo":
            return f"it takes back {found.of or 'what was done'}{reason}{where}"
        case "observation":
            return f"{found.of} needs it{reason}{where}"
        case "check":
            return f"it looks at the result that was proposed in turn {found.turn}{where}"


def _args(step: StepWhy) -> Iterator[Line]:
    origins: dict[str, list[Origin]] = {}
    for origin in step.origins:
        origins.setdefault(_name_of(origin.value), []).append(origin)
    for name, value in step.args.items():
        written = cut(msgspec.json.encode(value).decode(), VALUE_MAX)
        shown = list(dict.fromkeys(map(origin_words, origins.get(name, ()))))
        yield "argument", f"{name} = {written}" + (f" — {'; '.join(shown)}" if shown else "")


def _name_of(place: str) -> str:
    return place.split(".", 1)[0].split("[", 1)[0]


def origin_words(origin: Origin) -> str:
    """Where a value comes from, in words."""
    place = "" if origin.value == _name_of(origin.value) else f"{origin.value} "
    guess = ", a guess" if origin.guess else ""
    stale = ", too old by then" if origin.stale else ""
    tainted = ", from an untrusted tool" if origin.tainted else ""
    match origin.comes_from:
        case "plan":
            return f"{place}as the plan has it"
        case "model":
            return f"{place}as the model gave it"
        case "person":
            return f"{place}as {origin.by or 'a person'} gave it"
        case "input":
            return f"{place}from the input {origin.of}{_read(origin)}"
        case "fact":
            old = f", {span(origin.age_seconds)} old" if origin.age_seconds is not None else ""
            return f"{place}from the fact {origin.of}{_read(origin)}{f' ({origin.by}{old}{guess}{stale})' if origin.by else ''}"
        case "step":
            return f"{place}from the result of {origin.of}{_read(origin)}{tainted}"
        case "secret":
            return f"{place}the secret {origin.of}, put in at the call"


def _read(origin: Origin) -> str:
    return f" ({cut(origin.expression, FIELD_MAX)})" if origin.expression else ""


def _fact(fact: FactThen) -> str:
    marks = "" if fact.fresh else ", TOO OLD or not believed by then"
    marks += ", a guess that nobody had confirmed" if fact.guess else ""
    basis = f", because {cut(fact.basis)}" if fact.basis else ""
    rests = f"; it rests on {listed(fact.rests_on)}" if fact.rests_on else ""
    confirmed = f", confirmed by {fact.confirmed_by}" if fact.confirmed_by else ""
    later = f"; {fact.later} (entry {fact.later_entry}, {moment(fact.later_at or 0.0)})" if fact.later else ""
    about = f"{source_words(fact.source, fact.by, fact.confidence)}, {span(fact.age_seconds)} old then{confirmed}{basis}{marks}"  # type: ignore[arg-type]
    return f"{fact.name} = {cut(fact.value, FIELD_MAX)} ({about}){rests}{later}"


def ask_lines(asked: Ask) -> Iterator[Line]:
    """A question, and what was said."""
    by = f" — by {asked.rule}" if asked.rule else ""
    whom = f"; asked of {listed(asked.who)}" if asked.who else ""
    many = f", {asked.people} must approve" if asked.people > 1 else ""
    but = f"; not {listed(asked.not_by)}, who had refused it before" if asked.not_by else ""
    yield "asked", f"{moment(asked.at)} {asked.interrupt}: {cut(asked.question)}{by}{whom}{many}{but} (entry {asked.entry})"
    if asked.shown:
        yield "", f"they were shown {cut(msgspec.json.encode(asked.shown).decode(), VALUE_MAX)}, digest {asked.digest[:12]}"
    if asked.reminded:
        yield "", f"reminded {asked.reminded}×"
    for words in asked.rungs:
        yield "", words
    for words in asked.approvals:
        yield "", f"approved by {words}"
    for remark in asked.comments:
        yield "", f"{remark.by} remarked at {moment(remark.at)}: {cut(remark.text)}"
    for words in asked.voided:
        yield "", f"an answer that could not be taken, of {words}"
    yield "", _end_of(asked)


def _end_of(asked: Ask) -> str:
    after = f" after {span(asked.after_seconds)}" if asked.after_seconds is not None else ""
    if asked.ended == "open":
        return f"open until {moment(asked.expires_at)}; silence never means yes"
    if asked.ended != "answered":
        return f"{asked.ended}{after}: {cut(asked.why_ended)}"
    how = f", by the standing approval {asked.standing}" if asked.standing else ""
    how += ", with others in one word" if asked.bulk else ""
    seen = f", first seen {moment(asked.seen_at)}" if asked.seen_at is not None else ""
    given = f" with {cut(asked.value, FIELD_MAX)}" if asked.value is not None else ""
    note = f": “{cut(asked.note)}”" if asked.note else ""
    return f"{asked.by or 'somebody'}: {asked.decision}{given}{after}{how}{seen}{note}"


def budget_words(budget: BudgetThen) -> str:
    """The budget as it was, in words."""
    held = f", {usd(budget.held_usd)} held for others" if budget.held_usd else ""
    this = f", up to {usd(budget.for_this_usd)} for this" if budget.for_this_usd else ""
    left = f", {usd(budget.left_usd)} left after that" if budget.left_usd is not None else ""
    tokens = f"; {budget.spent_tokens:,} tokens spent" if budget.spent_tokens else ""
    tokens += f", {budget.left_tokens:,} left" if budget.left_tokens is not None else ""
    return f"{usd(budget.spent_usd)} spent then{held}{this}{left}{tokens}; {budget.calls} calls before it"


def _attempts(attempts: Sequence[Attempt]) -> Iterator[Line]:
    shown = list(attempts)
    left_out = len(shown) - ATTEMPTS_MAX
    if left_out > 0:
        shown = [*shown[:3], *shown[3 - ATTEMPTS_MAX :]]
    for number, one in enumerate(shown):
        if left_out > 0 and number == 3:
            yield "", f"… {left_out} more attempts"
        args = "" if number == 0 or one.same_args else f" with {cut(msgspec.json.encode(one.args).decode(), FIELD_MAX)}"
        source = ", by the source of the fork" if one.of_source else ""
        took = f" after {span(one.after_seconds)}" if one.after_seconds is not None else ""
        came = f" → {one.said}{took}" if one.said else " → nothing was heard of it yet"
        then = f" → {one.then}" if one.then and one.then != one.said else ""
        yield (
            f"call {one.number}",
            f"{moment(one.at)} {one.tool}{args}{source}: {one.because}{came}{then} (entries {one.entry}"
            f"{f', {one.outcome_entry}' if one.outcome_entry else ''})",
        )
    if attempts and attempts[-1].key:
        yield "key", attempts[-1].key
