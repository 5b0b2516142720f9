"""Something that a person is asked, with all that they need to judge it: what is proposed and where each value comes from, what
it rests on, how the run stands, what happens if nobody says anything, and what was said of it already.

Drawn from the journal of the run alone; who has it in hand is the store's, and is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.facts import is_guess
from holdfast.core.ladder import next_due
from holdfast.core.plan import reads
from holdfast.core.policy import Ruling
from holdfast.core.provenance import facts_beneath, is_tainted
from holdfast.core.state import Standing, State, StepState, contract_of, result_of, source_of, unknown_steps
from holdfast.views.beliefs import FactView, fact_views
from holdfast.views.minds import AsksView, SpentView, asks_view, spent_view
from holdfast.views.owed import OwedView, owed
from holdfast.views.runs import Choice
from holdfast.views.words import listed, moment, shortened

From = Literal["plan", "model", "person", "input", "fact", "step", "secret"]

# --- the records ------------------------------------------------------------------------------------------------------


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a value of the arguments comes from. value: its place, as `to`, `to.name` or `lines[0]`. comes_from: a `plan` that
    names it, a `model` that planned it, a `person` who edited it, an `input` of the run, a `fact`, the result of a `step`, or a
    `secret`. of: the name of that input, fact, step or secret. expression: what is read, where more is than the whole.

    by, at, age_seconds, confidence, guess, stale: of a fact; by is the tool of a step. tainted: the step rests on what an
    untrusted tool returned."""

    value: str
    comes_from: From
    of: str = ""
    expression: str = ""
    by: str = ""
    at: float | None = None
    age_seconds: float | None = None
    confidence: float = 1.0
    guess: bool = False
    stale: bool = False
    tainted: bool = False


class ResultRead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a step that what is proposed reads. done_by: the step that it came from, where another one stood in.
    characters: of the whole, where `value` is only the beginning of its JSON. tainted: it is from an untrusted tool."""

    step: str
    tool: str
    value: Any = None
    characters: int = 0
    done_by: str = ""
    tainted: bool = False


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody remarked."""

    by: str
    text: str
    at: float


class Earlier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided before about the same step, or the same call, in this run. decision: `expired` and `withdrawn` where
    nobody decided. args: that it was about."""

    interrupt: str
    about: str
    decision: str
    at: float
    by: str = ""
    note: str = ""
    args: dict[str, Any] = {}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person is asked, whole.

    digest: what an answer is bound to. args: never cut. origins: where each value of them comes from. amount: what it is about.
    choices: what may be answered. asks: what the reasoner wants to know. facts: the guesses that a person is to say of whether
    they are so. evidence: facts that it rests on. results: of the steps that it reads. ruling: of the policy, with what it looked
    at. tainted: it rests on what an untrusted tool returned. inferred: guesses that it rests on and that nobody confirmed.

    done, unknown, owed, spent: of the run so far. at_deadline: what happens when, if nobody says anything. due_at: when the next
    of that is; expires_at: when the default holds at the latest. who: roles or names of those who may decide (empty: anybody who
    is known); not_by: those who refused it before; people: how many must approve; approvals: who did. claimed_by, claimed_until:
    who has it in hand.
    """

    run_id: str
    agent: str
    tenant: str
    goal: str
    interrupt: str
    kind: str
    about: str
    question: str
    digest: str
    step: str
    tool: str
    safety: str
    args: dict[str, Any]
    origins: tuple[Origin, ...]
    amount: float | None
    choices: tuple[Choice, ...]
    asks: AsksView | None
    facts: tuple[FactView, ...]
    evidence: tuple[FactView, ...]
    results: tuple[ResultRead, ...]
    ruling: Ruling | None
    tainted: bool
    inferred: tuple[str, ...]
    done: tuple[str, ...]
    unknown: tuple[str, ...]
    owed: tuple[OwedView, ...]
    spent: SpentView
    asked_at: float
    age_seconds: float
    due_at: float
    expires_at: float
    at_deadline: str
    rung: int
    who: tuple[str, ...]
    not_by: tuple[str, ...]
    people: int
    approvals: tuple[str, ...]
    claimed_by: str
    claimed_until: float | None
    comments: tuple[Remark, ...]
    earlier: tuple[Earlier, ...]


def shown(
    state: State, entries: Sequence[e.Entry], asked: e.Asked, now: float, *, claimed_by: str = "", claimed_until: float = 0.0
) -> Shown:
    """What is asked, with all that a person needs to judge it. entries: the journal of the run; asked: one of its open questions.
    claimed_by, claimed_until: as the store says."""
    step = state.steps.get(asked.step)
    contract = contract_of(state, step) if step is not None else None
    beneath = {fact.name: fact for fact in facts_beneath(state, asked.step)} if step is not None else {}
    believed = fact_views(state, now) if beneath or asked.facts else ()
    standing = state.standings.get(asked.interrupt) or Standing(asked_at=state.at, asked_entry=0, since=state.at)
    due_at, at_deadline = _deadline(asked, standing, now)
    in_hand = bool(claimed_by) and claimed_until > now
    return Shown(
        run_id=state.run_id, agent=state.agent, tenant=state.tenant, goal=state.goal.text, interrupt=asked.interrupt,
        kind=asked.kind, about=asked.about, question=asked.question, digest=asked.digest, step=asked.step, tool=asked.tool,
        safety=contract.safety if contract is not None else "", args=asked.args,
        origins=tuple(origins(state, asked, now)), amount=asked.amount,
        choices=tuple(Choice(decision=option.decision, means=option.means) for option in asked.options),
        asks=None if asked.asks is None else asks_view(asked.asks, state.thinking),
        facts=tuple(fact for fact in believed if fact.name in asked.facts),
        evidence=tuple(fact for fact in believed if fact.name in beneath),
        results=tuple(_results(state, step)) if step is not None else (), ruling=asked.ruling,
        tainted=is_tainted(state, asked.step), inferred=tuple(name for name, fact in beneath.items() if is_guess(fact)),
        done=tuple(name for name in state.order if state.steps[name].phase == "done"), unknown=unknown_steps(state),
        owed=owed(state), spent=spent_view(state),
        asked_at=standing.asked_at, age_seconds=round(max(now - standing.asked_at, 0.0), 3), due_at=due_at,
        expires_at=asked.expires_at, at_deadline=at_deadline, rung=standing.rung, who=asked.who, not_by=asked.not_by,
        people=asked.people, approvals=standing.approvals, claimed_by=claimed_by if in_hand else "",
        claimed_until=claimed_until if in_hand else None,
        comments=tuple(_comments(entries, asked.interrupt)), earlier=tuple(_earlier(entries, asked)),
    )  # fmt: skip


# --- where the values come from ---------------------------------------------------------------------------------------


def origins(state: State, asked: e.Asked, now: float) -> Iterator[Origin]:
    """Where each value of the arguments comes from that a person is shown; nothing for what is not about a call."""
    yield from call_origins(state, asked.step, asked.tool, asked.args, now)


def call_origins(state: State, called: str, tool: str, args: dict[str, Any], now: float) -> Iterator[Origin]:
    """Where each value of the arguments of a step's call comes from, as it stands at `now`; nothing for no step."""
    step = state.steps.get(called)
    if step is None:
        return
    form = _form(step, tool)
    by_itself: From = "model" if state.thinking is not None else "plan"
    for name, value in args.items():
        if step.edited is not None and (name not in form or _meant(state, form[name]) != references.unmarked(value)):
            yield Origin(value=name, comes_from="person")
        elif name in form:
            yield from _of_part(state, name, form[name], by_itself, now)
        else:
            yield Origin(value=name, comes_from=by_itself)


def _form(step: StepState, tool: str) -> dict[str, Any]:
    """The arguments as they were planned, of the tool in force."""
    if tool == step.step.tool:
        return step.step.args
    forms = (fallback.args for fallback in step.step.fallbacks if fallback.tool == tool)
    return next((form for form in forms if form is not None), step.step.args)


def _meant(state: State, form: Any) -> Any:
    """What a part of the plan comes to; a value that equals nothing where that is not known."""
    try:
        return references.resolve(
            form, state.goal.inputs, lambda name: result_of(state, name), lambda name: state.facts[name].value
        )
    except (references.Missing, LookupError):
        return _nothing


_nothing = object()


def _of_part(state: State, place: str, form: Any, by_itself: From, now: float) -> Iterator[Origin]:
    if isinstance(form, dict) and references.REF in form:
        yield from _of_reference(state, place, str(form[references.REF]), now)
    elif isinstance(form, dict) and references.SECRET in form:
        yield Origin(value=place, comes_from="secret", of=str(form[references.SECRET]))
    elif isinstance(form, dict) and references.LITERAL not in form and _has_forms(form):
        for key, part in form.items():
            yield from _of_part(state, f"{place}.{key}", part, by_itself, now)
    elif isinstance(form, (list, tuple)) and _has_forms(form):
        for number, part in enumerate(form):
            yield from _of_part(state, f"{place}[{number}]", part, by_itself, now)
    else:
        yield Origin(value=place, comes_from=by_itself)


def _has_forms(form: Any) -> bool:
    return references.has_secret(form) or any(True for _ in references.find(form))


def _of_reference(state: State, place: str, expression: str, now: float) -> Iterator[Origin]:
    """One for each thing that the expression reads."""
    reference = references.parse(expression)
    for name in reference.inputs:
        yield Origin(value=place, comes_from="input", of=name, expression=expression)
    for name in reference.facts:
        fact = state.facts.get(name)
        if fact is None:
            yield Origin(value=place, comes_from="fact", of=name, expression=expression)
            continue
        yield Origin(
            value=place, comes_from="fact", of=name, expression=expression,
            by=f"{fact.source} by {fact.by}" if fact.by else fact.source, at=fact.at,
            age_seconds=round(max(now - fact.at, 0.0), 3), confidence=fact.confidence, guess=is_guess(fact),
            stale=not fact.is_fresh(now),
        )  # fmt: skip
    for name in reference.steps:
        tool = state.steps[name].tool if name in state.steps else ""
        yield Origin(
            value=place, comes_from="step", of=name, expression=expression, by=tool, tainted=is_tainted(state, name)
        )  # fmt: skip


def _results(state: State, step: StepState) -> Iterator[ResultRead]:
    for name in dict.fromkeys(reads(step.step)):
        if name not in state.steps:
            continue
        source = source_of(state, name)
        value, characters = shortened(result_of(state, name))
        yield ResultRead(
            step=name, tool=state.steps[source or name].tool, value=value, characters=characters,
            done_by=source if source is not None and source != name else "", tainted=is_tainted(state, source or name),
        )  # fmt: skip


# --- what happens if nobody says anything -----------------------------------------------------------------------------

_SILENCE: dict[e.InterruptSubject, str] = {
    "call": "that counts as a no: the call is not made",
    "doubt": "the run stops, and nobody knows whether it happened",
    "failure": "it is left undone",
    "owed": "it is not waited for any more",
    "agent": "the run stops",
    "stop": "what was done is kept",
    "question": "the run goes on without an answer",
    "fact": "it is not acted on",
    "reasoner": "the run stops",
    "plan": "that counts as a no: the plan is not carried out",
    "handoff": "the run stops",
}


def _deadline(asked: e.Asked, standing: Standing, now: float) -> tuple[float, str]:
    """When something happens next of itself, and what happens if nobody says anything, in words."""
    end = f"if nobody decides by {moment(asked.expires_at)}, {_SILENCE[asked.about]}"
    if asked.ladder is None:
        return asked.expires_at, end
    due = next_due(
        asked.ladder,
        rung=standing.rung,
        since=standing.since,
        reminded=standing.reminded,
        handed_off=standing.handed_off,
        now=now,
    )
    if due.act == "remind":
        return due.at, f"at {moment(due.at)} {_named(asked.who)} are reminded; {end}"
    if due.act == "escalate":
        who = asked.ladder.rungs[due.rung].who or (asked.ruling.who if asked.ruling is not None else ())
        return due.at, f"at {moment(due.at)} it goes on to {_named(who)}; {end}"
    if due.act == "hand_off":
        return due.at, f"at {moment(due.at)} {_named(asked.ladder.hand_off_to)} are to take it over; {end}"
    return due.at, end


def _named(who: tuple[str, ...]) -> str:
    return listed(who) if who else "all who may decide it"


# --- what was said of it ----------------------------------------------------------------------------------------------


def _comments(entries: Sequence[e.Entry], interrupt: str) -> Iterator[Remark]:
    for entry in entries:
        if isinstance(entry.event, e.Commented) and entry.event.interrupt == interrupt:
            yield Remark(by=entry.event.by, text=entry.event.text, at=entry.at)


def _earlier(entries: Sequence[e.Entry], asked: e.Asked) -> Iterator[Earlier]:
    """The oldest first."""
    before: dict[str, e.Asked] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, e.Asked) and event.interrupt != asked.interrupt and _is_same(event, asked):
            before[event.interrupt] = event
        elif isinstance(event, (e.Answered, e.InterruptExpired, e.InterruptWithdrawn)) and event.interrupt in before:
            question = before[event.interrupt]
            yield _decided(question, event, entry.at)


def _decided(question: e.Asked, event: e.Answered | e.InterruptExpired | e.InterruptWithdrawn, at: float) -> Earlier:
    fields: dict[str, Any] = {"interrupt": question.interrupt, "about": question.about, "at": at, "args": question.args}
    if isinstance(event, e.Answered):
        return Earlier(decision=event.decision, by=event.by, note=event.note, **fields)
    if isinstance(event, e.InterruptWithdrawn):
        return Earlier(decision="withdrawn", note=event.reason, **fields)
    return Earlier(decision="expired", **fields)


def _is_same(one: e.Asked, other: e.Asked) -> bool:
    """Whether both are about the same step, or the same call; of what is about neither, about the same thing."""
    if other.step or other.tool:
        return (bool(other.step) and one.step == other.step) or (one.tool, one.args) == (other.tool, other.args)
    names = [asked.asks.name if asked.asks is not None else "" for asked in (one, other)]
    return not one.step and one.about == other.about and names[0] == names[1]
