"""Hypothesis strategies: JSON values, contracts, plans, and every kind of event."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.contract import SAFETIES, Contract, Difference, Retry
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback, Goal, OnFailure, Plan, Step

NAMES = ("a", "b", "c", "d", "e", "f")
TOOLS = ("t", "u", "v")

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
        approve=draw(st.sampled_from([None, "always", "never"])),
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
)


@st.composite
def steps(draw: st.DrawFn, name: str, before: tuple[str, ...], safe: dict[str, Contract]) -> Step:
    """One step that waits for some of those before it."""
    args: dict[str, Any] = {"to": draw(st.sampled_from(["x", "y"]))}
    reads = draw(st.lists(st.sampled_from(before), max_size=2)) if before else []
    for number, other in enumerate(reads):
        args[f"r{number}"] = draw(st.sampled_from([{"$ref": f"steps.{other}"}, {"$ref": f"steps.{other}.n", "default": 0}]))
    called = draw(st.sampled_from(TOOLS))
    return Step(
        id=name,
        tool=called,
        args=args,
        after=tuple(draw(st.lists(st.sampled_from(before), max_size=1))) if before else (),
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
)
differences = st.builds(Difference, tool=texts, field=texts, before=texts, after=texts, weaker=st.booleans())
options = st.builds(e.Option, decision=st.sampled_from(get_args(e.DecisionName)), means=texts)
text_lists = st.lists(texts, max_size=3).map(tuple)
some_contracts = st.lists(
    st.builds(Contract, tool=texts, safety=st.sampled_from(SAFETIES), input_schema=json_tables, output_schema=json_tables),
    max_size=2,
).map(tuple)
some_plans = st.builds(
    Plan,
    steps=st.lists(st.builds(Step, id=texts, tool=texts, args=json_tables, after=text_lists, retry=st.none() | retries), max_size=3).map(tuple),
    final=st.booleans(),
    result=json_values,
)  # fmt: skip
_call = {"step": texts, "attempt": counts}

# One strategy for each event class there is; the tests check that none is missing.
EVENTS: dict[type[e.Event], st.SearchStrategy[Any]] = {
    e.RunStarted: st.builds(
        e.RunStarted, run_id=texts, agent=texts, goal=goals, contracts=some_contracts, agent_version=texts, limits=limits,
        tenant=texts, priority=st.integers(-9, 9), labels=st.dictionaries(texts, texts, max_size=2),
    ),
    e.RunResumed: st.builds(e.RunResumed, worker=texts),
    e.AgentChanged: st.builds(
        e.AgentChanged, differences=st.lists(differences, max_size=2).map(tuple), contracts=some_contracts, weaker=st.booleans()
    ),
    e.CancelRequested: st.builds(e.CancelRequested, by=texts, reason=texts),
    e.Answered: st.builds(
        e.Answered, interrupt=texts, decision=st.sampled_from(get_args(e.DecisionName)), by=texts, value=json_values, note=texts
    ),
    e.AnswerVoided: st.builds(e.AnswerVoided, interrupt=texts, by=texts, reason=texts),
    e.ProposalRequested: st.builds(e.ProposalRequested, turn=counts),
    e.CallIntended: st.builds(e.CallIntended, **_call, tool=texts, key=texts, args=json_tables),
    e.ProbeIntended: st.builds(e.ProbeIntended, step=texts, probe=counts),
    e.PlanAdopted: st.builds(
        e.PlanAdopted, turn=counts, revision=counts, plan=some_plans, reason=texts, dropped=text_lists
    ),
    e.ProposalFailed: st.builds(e.ProposalFailed, turn=counts, problems=text_lists),
    e.FinishProposed: st.builds(e.FinishProposed, turn=counts, result=json_values),
    e.GiveUpProposed: st.builds(e.GiveUpProposed, turn=counts, reason=texts),
    e.CallSucceeded: st.builds(e.CallSucceeded, **_call, value=json_values, seconds=seconds),
    e.CallPartial: st.builds(e.CallPartial, **_call, value=json_values, left=text_lists),
    e.CallDeferred: st.builds(e.CallDeferred, **_call, handle=texts, until=st.none() | times),
    e.CallFailed: st.builds(e.CallFailed, **_call, failure=failures),
    e.CallUnknown: st.builds(e.CallUnknown, **_call, why=texts, crashed=st.booleans()),
    e.ProbeAnswered: st.builds(
        e.ProbeAnswered, step=texts, probe=counts, verdict=st.sampled_from(get_args(e.Verdict)), value=json_values, message=texts
    ),
    e.RetryRuled: st.builds(e.RetryRuled, step=texts, due_at=times, reason=texts),
    e.RecoveryRuled: st.builds(
        e.RecoveryRuled, step=texts, row=texts, action=st.sampled_from(["repeat", "probe", "take", "fail", "ask"]), reason=texts,
        due_at=times, spent=st.booleans(),
    ),
    e.FallbackRuled: st.builds(e.FallbackRuled, step=texts, tool=texts, reason=texts),
    e.ReuseRuled: st.builds(e.ReuseRuled, step=texts, same_as=texts),
    e.StepSkipped: st.builds(e.StepSkipped, step=texts, reason=texts, flagged=st.booleans()),
    e.StepFailed: st.builds(e.StepFailed, step=texts, reason=texts),
    e.Asked: st.builds(
        e.Asked, interrupt=texts, kind=st.sampled_from(get_args(e.InterruptKind)), about=st.sampled_from(get_args(e.InterruptSubject)),
        question=texts, options=st.lists(options, max_size=3).map(tuple), digest=texts, expires_at=times, step=texts, tool=texts,
        args=json_tables,
    ),
    e.InterruptExpired: st.builds(e.InterruptExpired, interrupt=texts),
    e.LimitReached: st.builds(e.LimitReached, limit=texts, allowed=seconds),
    e.RunCompleted: st.builds(e.RunCompleted, result=json_values, skipped=text_lists, flagged=text_lists, partial=text_lists),
    e.RunFailed: st.builds(e.RunFailed, reason=texts, unknown=text_lists),
    e.RunCancelled: st.builds(e.RunCancelled, by=texts, reason=texts, unknown=text_lists),
}  # fmt: skip
events = st.one_of(*EVENTS.values())
