"""Hypothesis strategies: JSON values, contracts, plans, and every kind of event."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.contract import SAFETIES, AtDeadline, Breaker, Contract, Difference, Rate, Retry
from holdfast.core.facts import Drift, Fact, Source
from holdfast.core.ladder import AtDeadline as LadderEnd
from holdfast.core.ladder import Hours, Ladder, Rung
from holdfast.core.limits import Limits
from holdfast.core.models import ModelTerms, Part, PartKind, Price, Reserved, Usage
from holdfast.core.plan import Expect, Fallback, Goal, OnFailure, Plan, Step
from holdfast.core.policy import STRICTNESS, Check, Policy, Rule, Ruling
from holdfast.core.thinking import PHASES, Acceptance, Asking, AskPolicy, Question, Reassess, Thinking

NAMES = ("a", "b", "c", "d", "e", "f")
TOOLS = ("t", "u", "v")
# What their calls report, and people tell.
FACTS = ("n", "of x", "m")
UNDO = "w"

# Texts as they come: also the names that mean something in arguments and in the journal.
texts = st.text(max_size=12) | st.sampled_from(
    ["", "$ref", "$blob", "$$blob", "$$blob$", "$secret", "$literal", "event", "é\u2028\0"]
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
json_tables = st.dictionaries(texts, json_values, max_size=4)
times = st.floats(min_value=0, max_value=4e9, allow_nan=False)
seconds = st.floats(min_value=0, max_value=1e6, allow_nan=False)
counts = st.integers(min_value=1, max_value=1000)
money = st.decimals(min_value=0, max_value=1_000_000, places=6)
shares = st.floats(min_value=0, max_value=1, allow_nan=False)

retries = st.builds(
    Retry,
    attempts_max=st.integers(1, 4),
    backoff_seconds=st.sampled_from([0.0, 1.0, 30.0]),
    backoff_seconds_max=st.sampled_from([30.0, 60.0]),
    factor=st.sampled_from([1.0, 2.0]),
    jitter=st.sampled_from([0.0, 0.5, 1.0]),
)


@st.composite
def contracts(draw: st.DrawFn, name: str, safeties: tuple[str, ...] = SAFETIES) -> Contract:
    """What one tool promises, of any safety, sound as `@tool` would have it."""
    safety: Any = draw(st.sampled_from(safeties))
    return Contract(
        tool=name,
        safety=safety,
        timeout_seconds=10.0,
        retry=draw(retries),
        probe=safety == "reconcilable" or draw(st.booleans()),
        probe_seconds=draw(st.sampled_from([1.0, 20.0])),
        probe_window_seconds=draw(st.sampled_from([0.0, 60.0, 3600.0])),
        settles_within_seconds=draw(st.sampled_from([0.0, 5.0, 100.0])),
        key_ttl_seconds=draw(st.sampled_from([None, 0.0, 40.0, 5000.0])) if safety == "keyed" else None,
        business_key=draw(st.sampled_from([(), (), ("to",)])),
        business_scope=draw(st.sampled_from(["run", "run", "store"])),
        approve=draw(st.sampled_from([None, "always", "never"])),
        callback=draw(st.booleans()),
        poll=draw(st.booleans()),
        poll_seconds=draw(st.sampled_from([1.0, 30.0])),
        poll_seconds_max=draw(st.sampled_from([30.0, 600.0])),
        owed_within_seconds=draw(st.sampled_from([100.0, 86400.0])),
        at_deadline=draw(st.sampled_from(get_args(AtDeadline))),
        repeats_max=draw(st.sampled_from([1, 2])),
        visible_within_seconds=draw(st.sampled_from([None, None, 60.0])),
        undo=draw(st.sampled_from([None, UNDO])),
        undo_args=draw(
            st.sampled_from([None, {"of": {"$ref": "args.to", "default": 0}, "n": {"$ref": "result.n", "default": 0}}])
        ),
        rate=draw(st.sampled_from([None, None, Rate(calls=3, per_seconds=60.0)])),
        observes=draw(st.sampled_from([{}, {}, {"n": "n"}, {"of {to}": "n", "odd": "gone"}])),
        valid_seconds=draw(st.sampled_from([None, 0.0, 100.0, 5000.0])),
    )


# What takes back what the others did: it has no business key, for two steps that did the same are taken back both.
undo_tools = contracts(UNDO).map(
    lambda contract: msgspec.structs.replace(contract, business_key=(), business_scope="run", undo=None, undo_args=None)
)
toolboxes = st.tuples(*(contracts(name) for name in TOOLS))
limits = st.builds(
    Limits,
    parallel_max=st.integers(1, 4),
    attempts_max=st.sampled_from([5, 100_000]),
    turns_max=st.sampled_from([3, 200]),
    wall_seconds=st.sampled_from([5000.0, 90 * 86400.0]),
    person_seconds=st.sampled_from([500.0, 7 * 86400.0]),
    lost_max=st.integers(1, 4),
    idle_turns_max=st.sampled_from([2, 5]),
    hold_seconds=st.sampled_from([50.0, 3600.0]),
    revisions_max=st.sampled_from([3, 100]),
    tokens_max=st.sampled_from([None, None, 10_000]),
    cost_usd_max=st.none() | money,
)


@st.composite
def steps(draw: st.DrawFn, name: str, before: tuple[str, ...], safe: dict[str, Contract]) -> Step:
    """One step that waits for some of those before it."""
    args: dict[str, Any] = {"to": draw(st.sampled_from(["x", "y"]))}
    # An alternative reads nothing, so that what it stands in for never waits for it.
    alternative_to = draw(st.sampled_from(("", "", "", *before)))
    reads = draw(st.lists(st.sampled_from(before), max_size=2)) if before and not alternative_to else []
    for number, other in enumerate(reads):
        args[f"r{number}"] = draw(st.sampled_from([{"$ref": f"steps.{other}"}, {"$ref": f"steps.{other}.n", "default": 0}]))
    if draw(st.integers(0, 3)) == 0:
        fact = draw(st.sampled_from(FACTS))
        args["f"] = draw(st.sampled_from([{"$ref": f'facts."{fact}"'}, {"$ref": f'facts."{fact}"', "default": 0}]))
    named = st.sampled_from([(), (), (), *((fact,) for fact in FACTS)])
    called = draw(st.sampled_from(TOOLS))
    return Step(
        id=name,
        tool=called,
        args=args,
        needs_fresh=draw(named),
        rests_on=draw(named),
        abort_when=draw(st.sampled_from(["", "", "", "facts.n == `3`"])),
        ask_when=draw(st.sampled_from(["", "", "", "args.f != `0`", "facts.n > `1`"])),
        after=tuple(draw(st.lists(st.sampled_from(before), max_size=1))) if before and not alternative_to else (),
        alternative_to=alternative_to,
        retry=draw(st.none() | retries) if safe[called].safety != "irreversible" else None,
        on_failure=draw(st.sampled_from(get_args(OnFailure))),
        fallbacks=tuple(draw(st.lists(st.builds(Fallback, tool=st.sampled_from(TOOLS)), max_size=2))),
        approve=draw(st.sampled_from([None, None, "always"])),
        occurrence=draw(st.sampled_from([1, 1, 2])),
    )


@st.composite
def plans(draw: st.DrawFn, tools: tuple[Contract, ...], first: int = 0) -> Plan:
    """A sound plan of one to four steps."""
    known = {contract.tool: contract for contract in tools}
    names = [f"{name}{first or ''}" for name in NAMES[: draw(st.integers(1, 4))]]
    found: list[Step] = []
    for at, name in enumerate(names):
        found.append(draw(steps(name, tuple(names[:at]), known)))
    return Plan(steps=tuple(found), final=draw(st.booleans()))


goals = st.builds(Goal, text=texts, inputs=json_tables)
failures = st.builds(
    e.Failure,
    kind=st.sampled_from(get_args(e.FailureKind)),
    message=texts,
    retry_after_seconds=st.none() | seconds,
    detail=json_values,
    landed=st.booleans(),
)
changes = st.lists(st.builds(e.Change, name=texts, amount=seconds, note=texts), max_size=2).map(tuple)
cuts = st.none() | st.builds(e.Cut, bytes=counts, digest=texts)
differences = st.builds(Difference, tool=texts, field=texts, before=texts, after=texts, weaker=st.booleans())
options = st.builds(e.Option, decision=st.sampled_from(get_args(e.DecisionName)), means=texts)
text_lists = st.lists(texts, max_size=3).map(tuple)
some_contracts = st.lists(
    st.builds(
        Contract,
        tool=texts,
        safety=st.sampled_from(SAFETIES),
        input_schema=json_tables,
        output_schema=json_tables,
        undo_args=st.none() | json_tables,
        changes=text_lists,
        rate=st.none() | st.builds(Rate, calls=counts, per_seconds=seconds),
        breaker=st.none() | st.builds(Breaker, failures_max=counts),
        agent=st.none() | texts,
        observes=st.dictionaries(texts, texts, max_size=2),
        valid_seconds=st.none() | seconds,
        cost_usd=st.none() | money,
    ),
    max_size=2,
).map(tuple)
some_steps = st.builds(
    Step, id=texts, tool=texts, args=json_tables, after=text_lists, retry=st.none() | retries, alternative_to=texts, undoes=texts,
    fallbacks=st.lists(st.builds(Fallback, tool=texts, args=st.none() | json_tables), max_size=2).map(tuple),
    expect=st.none() | st.builds(Expect, that=texts, tool=texts, args=json_tables), rests_on=text_lists, needs_fresh=text_lists,
    abort_when=texts, ask_when=texts, confidence=shares,
)  # fmt: skip
some_plans = st.builds(
    Plan,
    steps=st.lists(some_steps, max_size=3).map(tuple),
    final=st.booleans(),
    result=json_values,
)  # fmt: skip
usages = st.builds(
    Usage, input_tokens=counts, output_tokens=counts, cache_read_tokens=counts, cache_write_tokens=counts, requests=counts,
    cost_usd=money,
)  # fmt: skip
reservations = st.builds(Reserved, input_tokens=counts, output_tokens=counts, cost_usd=money)
parts = st.builds(
    Part, kind=st.sampled_from(get_args(PartKind)), text=texts, id=texts, tool=texts, args=json_values, step=texts, problem=texts,
    signature=texts, provider=texts, details=json_values,
)  # fmt: skip
questions = st.builds(
    Question, name=texts, text=texts, why=texts, answer_schema=json_tables, options=st.lists(json_values, max_size=2).map(tuple),
    has_guess=st.booleans(), guess=json_values, confidence=shares, basis=texts, rests_on=text_lists,
)  # fmt: skip
some_questions = st.lists(questions, max_size=2).map(tuple)
some_facts = st.lists(
    st.builds(
        Fact, name=texts, value=json_values, source=st.sampled_from(get_args(Source)), by=texts, at=times,
        ttl_seconds=st.none() | seconds, confidence=shares, rests_on=text_lists, basis=texts, confirmed_by=texts,
        stale=st.booleans(), pinned=st.booleans(),
    ),
    max_size=2,
).map(tuple)  # fmt: skip
drifts = st.builds(Drift, name=texts, believed=json_values, observed=json_values, source=st.sampled_from(get_args(Source)))
prices = st.builds(Price, input_usd=money, output_usd=money, cache_read_usd=st.none() | money, cache_write_usd=st.none() | money)
terms = st.builds(
    ModelTerms, name=texts, price=prices, context_bytes_max=counts, output_tokens_max=counts, timeout_seconds=seconds
)
thinkings = st.builds(
    Thinking,
    models=st.dictionaries(texts, terms, max_size=2),
    routes=st.dictionaries(texts, text_lists, max_size=2),
    cheaper=text_lists,
    horizon=st.integers(0, 5),
    reassess=st.sampled_from(get_args(Reassess)),
    interpret=st.booleans(),
    asking=st.dictionaries(
        texts,
        st.builds(Asking, policy=st.sampled_from(get_args(AskPolicy)), cost_of_asking=seconds, cost_of_wrong=seconds),
        max_size=2,
    ),
    confidence_min=shares,
    repairs_max=counts,
    failures_max=counts,
    retry=retries,
    breaker=st.none() | st.builds(Breaker, failures_max=counts),
    overhead_bytes=counts,
    recall=counts,
    result_schema=json_tables,
    instructions=texts,
)
acceptances = st.builds(Acceptance, that=texts, tool=texts, finishes_max=counts)
_thinking_phase = st.sampled_from(PHASES)
_call = {"step": texts, "attempt": counts}
_spent = st.none() | usages
_owed = {"until": st.none() | times, "by": texts, "handle": texts, "signal": texts}
_on_stop = st.sampled_from(get_args(e.OnStop))
_ending = {"unknown": text_lists, "undone": text_lists, "kept": text_lists}

ladders = st.builds(
    Ladder,
    rungs=st.lists(
        st.builds(Rung, who=text_lists, seconds=seconds, remind_seconds=st.none() | seconds), min_size=1, max_size=2
    ).map(tuple),
    hours=st.none() | st.builds(Hours, timezone=texts),
    at_deadline=st.sampled_from(get_args(LadderEnd)),
    hand_off_to=text_lists,
)
_verdicts = st.sampled_from(STRICTNESS)
rules = st.builds(
    Rule, name=texts, then=_verdicts, when=texts, tools=text_lists, check=texts, on=st.sampled_from(["call", "plan"]), rate=shares,
    who=text_lists, people=counts, ladder=st.none() | ladders, standing=st.booleans(),
)  # fmt: skip
policies = st.builds(
    Policy, name=texts, version=texts, rules=st.lists(rules, max_size=2).map(tuple), who=text_lists, ladder=st.none() | ladders,
    refusals_max=counts,
)  # fmt: skip
rulings = st.builds(
    Ruling, rule=texts, verdict=_verdicts, asks=st.booleans(), policy=texts, digest=texts, why=texts, looked=json_tables,
    world=texts, draw=st.none() | shares, rate=st.none() | shares, who=text_lists, people=counts, ladder=st.none() | ladders,
    standing=st.booleans(),
)  # fmt: skip

# One strategy for each event class there is; the tests check that none is missing.
EVENTS: dict[type[e.Event], st.SearchStrategy[Any]] = {
    e.RunStarted: st.builds(
        e.RunStarted, run_id=texts, agent=texts, goal=goals, contracts=some_contracts, agent_version=texts, limits=limits,
        tenant=texts, priority=st.integers(-9, 9), labels=st.dictionaries(texts, texts, max_size=2), on_stop=_on_stop, parent=texts,
        parent_step=texts, depth=st.integers(0, 8), thread=texts, thinking=st.none() | thinkings, accept=st.none() | acceptances,
        policy=st.none() | policies, records=st.integers(0, 1),
    ),
    e.RoomRefused: st.builds(
        e.RoomRefused, free=st.dictionaries(texts, st.integers(0, 9), max_size=2), holders=st.dictionaries(texts, texts, max_size=2),
        held=st.dictionaries(texts, st.tuples(times, st.sampled_from(["circuit", "rate"])), max_size=2),
    ),
    e.RulingDeferred: st.builds(e.RulingDeferred, why=st.sampled_from(["stopping", "judging"])),
    e.RunForked: st.builds(
        e.RunForked, run_id=texts, source=texts, entry=counts, link=texts, agent=texts, contracts=some_contracts, agent_version=texts,
        mode=st.sampled_from(get_args(e.ForkMode)), limits=limits, secrets=text_lists, on_stop=_on_stop,
        thinking=st.none() | thinkings, accept=st.none() | acceptances, policy=st.none() | policies, by=texts, reason=texts,
        recorded=st.lists(
            st.builds(
                e.Recorded, entry=counts, step=texts, tool=texts, key=texts, call=texts, came=json_values, came_by=texts,
                after=st.booleans(), outcome=st.none() | st.builds(e.CallSucceeded, step=texts, attempt=counts, value=json_values),
            ),
            max_size=2,
        ).map(tuple),
        script=st.lists(
            st.builds(
                e.Scripted, tool=texts, when=texts, result=json_values, fails=st.none() | st.sampled_from(get_args(e.FailureKind)),
                message=texts, times=st.integers(0, 3),
            ),
            max_size=2,
        ).map(tuple),
    ),
    e.RunResumed: st.builds(e.RunResumed, worker=texts),
    e.AgentChanged: st.builds(
        e.AgentChanged, differences=st.lists(differences, max_size=2).map(tuple), contracts=some_contracts, weaker=st.booleans()
    ),
    e.CancelRequested: st.builds(e.CancelRequested, by=texts, reason=texts, on_stop=st.none() | _on_stop),
    e.Answered: st.builds(
        e.Answered, interrupt=texts, decision=st.sampled_from(get_args(e.DecisionName)), by=texts, value=json_values, note=texts,
        roles=text_lists, seen_at=st.none() | times, said_at=times, bulk=st.booleans(), standing=texts,
    ),
    e.AnswerVoided: st.builds(e.AnswerVoided, interrupt=texts, by=texts, reason=texts),
    e.CallbackReceived: st.builds(
        e.CallbackReceived, step=texts, key=texts, value=json_values, failure=st.none() | failures, by=texts
    ),
    e.CallbackRefused: st.builds(e.CallbackRefused, step=texts, reason=texts, by=texts),
    e.SignalReceived: st.builds(e.SignalReceived, name=texts, value=json_values, by=texts),
    e.ChildEnded: st.builds(
        e.ChildEnded, step=texts, child=texts, status=st.sampled_from(["completed", "failed", "cancelled"]), result=json_values,
        reason=texts, attempts=counts, partial=text_lists, spent=_spent,
    ),
    e.ThinkingChanged: st.builds(e.ThinkingChanged, thinking=thinkings),
    e.GoalChanged: st.builds(e.GoalChanged, goal=goals, by=texts, note=texts),
    e.ProposalRequested: st.builds(
        e.ProposalRequested, turn=counts, phase=_thinking_phase, model=texts, reason=texts, reserved=st.none() | reservations,
        attempt=counts,
    ),
    e.RecallIntended: st.builds(e.RecallIntended, query=texts, count=counts),
    e.CallIntended: st.builds(
        e.CallIntended, **_call, tool=texts, key=texts, args=json_tables, granted=st.none() | limits,
        reserved=st.none() | reservations,
    ),
    e.ProbeIntended: st.builds(e.ProbeIntended, step=texts, probe=counts),
    e.PlanAdopted: st.builds(
        e.PlanAdopted, turn=counts, revision=counts, plan=some_plans, reason=texts, dropped=text_lists
    ),
    e.ProposalFailed: st.builds(e.ProposalFailed, turn=counts, problems=text_lists),
    e.FinishProposed: st.builds(e.FinishProposed, turn=counts, result=json_values),
    e.GiveUpProposed: st.builds(e.GiveUpProposed, turn=counts, reason=texts),
    e.ModelAnswered: st.builds(
        e.ModelAnswered, turn=counts, model=texts, usage=usages, said=st.lists(parts, max_size=2).map(tuple), finish=texts,
        seconds=seconds, bytes=counts,
    ),
    e.ModelFailed: st.builds(e.ModelFailed, turn=counts, model=texts, failure=failures, usage=usages),
    e.PlanKept: st.builds(e.PlanKept, turn=counts, reason=texts),
    e.QuestionsProposed: st.builds(e.QuestionsProposed, turn=counts, questions=some_questions, reason=texts),
    e.GoalInterpreted: st.builds(e.GoalInterpreted, turn=counts, intent=texts, facts=some_facts, missing=some_questions),
    e.MemoryRecalled: st.builds(e.MemoryRecalled, facts=some_facts, ids=text_lists, failure=texts),
    e.CallSucceeded: st.builds(
        e.CallSucceeded, **_call, value=json_values, seconds=seconds, changes=changes, cut=cuts, spent=_spent
    ),
    e.CallPartial: st.builds(
        e.CallPartial, **_call, **_owed, value=json_values, left=text_lists, rest=st.none() | json_tables, changes=changes,
        cut=cuts, spent=_spent,
    ),
    e.CallDeferred: st.builds(e.CallDeferred, **_call, **_owed, changes=changes, spent=_spent),
    e.CallFailed: st.builds(e.CallFailed, **_call, failure=failures, changes=changes, spent=_spent),
    e.CallUnknown: st.builds(e.CallUnknown, **_call, why=texts, crashed=st.booleans()),
    e.ProbeAnswered: st.builds(
        e.ProbeAnswered, step=texts, probe=counts, verdict=st.sampled_from(get_args(e.Verdict)), value=json_values, message=texts,
        failure=st.none() | failures, left=st.none() | text_lists, cut=cuts,
    ),
    e.RetryRuled: st.builds(e.RetryRuled, step=texts, due_at=times, reason=texts),
    e.RecoveryRuled: st.builds(
        e.RecoveryRuled, step=texts, row=texts, action=st.sampled_from(["repeat", "probe", "take", "fail", "ask"]), reason=texts,
        due_at=times, spent=st.booleans(),
    ),
    e.FallbackRuled: st.builds(e.FallbackRuled, step=texts, tool=texts, reason=texts),
    e.ReuseRuled: st.builds(e.ReuseRuled, step=texts, same_as=texts),
    e.PendingRuled: st.builds(
        e.PendingRuled, step=texts, row=texts, action=st.sampled_from(["settle", "fail", "repeat", "give_up", "ask"]), reason=texts
    ),
    e.RestPlanned: st.builds(e.RestPlanned, step=texts, rest=some_steps),
    e.FollowUpSuppressed: st.builds(
        e.FollowUpSuppressed, step=texts, same_as=texts, run_id=texts, until=st.none() | times, reason=texts
    ),
    e.CallHeld: st.builds(e.CallHeld, step=texts, tool=texts, why=st.sampled_from(["circuit", "rate"]), until=times),
    e.CallRefused: st.builds(e.CallRefused, step=texts, same_as=texts, failure=failures),
    e.UndoPlanned: st.builds(e.UndoPlanned, reason=texts, steps=st.lists(some_steps, max_size=2).map(tuple), kept=text_lists),
    e.StepSkipped: st.builds(
        e.StepSkipped, step=texts, reason=texts, flagged=st.booleans(), needless=st.booleans(), told=st.booleans()
    ),
    e.StepFailed: st.builds(e.StepFailed, step=texts, reason=texts),
    e.Asked: st.builds(
        e.Asked, interrupt=texts, kind=st.sampled_from(get_args(e.InterruptKind)), about=st.sampled_from(get_args(e.InterruptSubject)),
        question=texts, options=st.lists(options, max_size=3).map(tuple), digest=texts, expires_at=times, step=texts, tool=texts,
        args=json_tables, asks=st.none() | questions, facts=text_lists, ruling=st.none() | rulings, who=text_lists, not_by=text_lists,
        people=counts, ladder=st.none() | ladders, rung=st.integers(0, 5), amount=st.none() | seconds,
        calls=st.dictionaries(texts, texts, max_size=2),
    ),
    e.InterruptExpired: st.builds(e.InterruptExpired, interrupt=texts),
    e.LimitReached: st.builds(e.LimitReached, limit=texts, allowed=seconds),
    e.RunCompleted: st.builds(e.RunCompleted, result=json_values, skipped=text_lists, flagged=text_lists, partial=text_lists,
        replaced=st.dictionaries(texts, texts, max_size=2), outdated=text_lists, guessed=text_lists),
    e.RunFailed: st.builds(e.RunFailed, reason=texts, **_ending),
    e.RunCancelled: st.builds(e.RunCancelled, by=texts, reason=texts, **_ending),
    e.ModelCallLost: st.builds(e.ModelCallLost, turn=counts, model=texts, usage=usages),
    e.ReasonerHeld: st.builds(e.ReasonerHeld, until=times, reason=texts),
    e.Inferred: st.builds(e.Inferred, question=questions, why=texts),
    e.FactsLearned: st.builds(
        e.FactsLearned, facts=some_facts, drifts=st.lists(drifts, max_size=2).map(tuple), step=texts, reason=texts
    ),
    e.FactsInvalidated: st.builds(
        e.FactsInvalidated, facts=text_lists, because=texts, dropped=text_lists, outdated=text_lists
    ),
    e.ReobservationPlanned: st.builds(e.ReobservationPlanned, fact=texts, for_step=texts, step=some_steps),
    e.CheckPlanned: st.builds(e.CheckPlanned, turn=counts, step=some_steps),
    e.FinishRuled: st.builds(e.FinishRuled, turn=counts, accepted=st.booleans(), by=texts, reason=texts),
    e.PolicyChanged: st.builds(e.PolicyChanged, policy=st.none() | policies),
    e.PolicyRuled: st.builds(
        e.PolicyRuled, ruling=rulings, step=texts, tool=texts, args=json_tables, call=texts, revision=st.integers(0, 9)
    ),
    e.ChecksIntended: st.builds(e.ChecksIntended, call=texts, checks=text_lists, step=texts),
    e.ChecksAnswered: st.builds(
        e.ChecksAnswered, call=texts, step=texts,
        answers=st.dictionaries(texts, st.builds(Check, holds=st.none() | st.booleans(), why=texts), max_size=2),
    ),
    e.InterruptWithdrawn: st.builds(e.InterruptWithdrawn, interrupt=texts, reason=texts),
    e.Reminded: st.builds(e.Reminded, interrupt=texts, number=counts),
    e.Escalated: st.builds(
        e.Escalated, interrupt=texts, rung=st.integers(0, 9), who=text_lists, since=times,
        kind=st.none() | st.sampled_from(get_args(e.InterruptKind)),
    ),
    e.ApprovalGiven: st.builds(
        e.ApprovalGiven, interrupt=texts, by=texts, left=counts, note=texts, seen_at=st.none() | times, said_at=times
    ),
    e.Commented: st.builds(e.Commented, interrupt=texts, by=texts, text=texts),
    e.RunPaused: st.builds(e.RunPaused, by=texts, reason=texts, until=st.none() | times),
    e.RunContinued: st.builds(e.RunContinued, by=texts),
    e.Instructed: st.builds(e.Instructed, text=texts, by=texts),
    e.HandoffRequested: st.builds(e.HandoffRequested, by=texts, reason=texts),
    e.StepDoneByHand: st.builds(e.StepDoneByHand, step=texts, by=texts, value=json_values, note=texts),
    e.WordVoided: st.builds(
        e.WordVoided, kind=st.sampled_from(["comment", "pause", "done"]), by=texts, reason=texts, about=texts
    ),
    e.PlanSuspected: st.builds(
        e.PlanSuspected,
        why=st.sampled_from(["failures", "drift", "goal", "correction", "answer", "partial"]),
        reason=texts,
    ),
}  # fmt: skip
events = st.one_of(*EVENTS.values())
