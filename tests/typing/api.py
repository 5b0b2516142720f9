"""The whole public API in use, with its types. Type-checked and never run; a name that is missing here fails a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, assert_type

import pydantic

import holdfast
from holdfast import (
    NOT_HAPPENED,
    NOT_YET,
    Acceptance,
    Agent,
    AnswerRefused,
    Apprise,
    ArchiveRefused,
    Ask,
    Asking,
    Breaker,
    Briefing,
    Call,
    CallbackRefused,
    CallbackUnknown,
    Change,
    Conflict,
    Contract,
    Deferred,
    DefinitionError,
    Delivered,
    Denied,
    Expect,
    Fact,
    Fallback,
    Finish,
    Forked,
    GiveUp,
    GoalMismatch,
    Happened,
    Holdfast,
    HoldfastError,
    Hours,
    Insufficient,
    InvalidInput,
    InvalidOutput,
    JournalError,
    Ladder,
    Limits,
    Mail,
    Memory,
    Models,
    NotFound,
    OutsideStore,
    Partial,
    Plan,
    PlanError,
    Policy,
    Price,
    Probed,
    Propose,
    PydanticAgentReasoner,
    Question,
    Rate,
    RateLimited,
    Recaller,
    Replayed,
    Retry,
    Rule,
    Run,
    Rung,
    RunNotFound,
    Scripted,
    Secret,
    Step,
    TooExpensive,
    Tool,
    ToolFailure,
    Transient,
    Unavailable,
    Unknown,
    UsageError,
    Webhook,
    cannot_tell,
    graph_reasoner,
    judge,
    run,
    tool,
    verify_webhook,
)
from holdfast.audit import AuditRecord
from holdfast.core.schedule import Firing, Standing
from holdfast.inbox import Bulk
from holdfast.journal.people import StandingApproval

# --- tools: the decorator keeps the signature of what it decorates -------------------------------------------------


@tool
def undeclared(order: int) -> str:
    return str(order)


assert_type(undeclared(7), str)
assert_type(undeclared.name, str)
assert_type(undeclared.contract, Contract)
assert_type(undeclared.function(order=7), str)
undeclared("seven")  # type: ignore[arg-type]
undeclared(7, amount=8)  # type: ignore[call-arg]


@tool(safety="read", name="find", timeout="5s", retry=3, parallel=4)
async def look(user: str, *, deep: bool = False) -> dict[str, str]:
    return {"user": user, "deep": str(deep)}


async def calls_a_read_tool_as_a_function() -> None:
    assert_type(await look("ann", deep=True), dict[str, str])
    await look()  # type: ignore[call-arg]


def was_sent(to: str, call: Call) -> Happened | Probed:
    if call.occurrence > 1:
        return NOT_YET
    if call.attempt > 3:
        return cannot_tell("the log of that hour is gone")
    return Happened(f"M-{to}") if call.key else NOT_HAPPENED


def was_sent_to(room: str) -> Probed:
    return NOT_HAPPENED


@tool(safety="reconcilable", probe=was_sent, probe_every="2s", probe_window="10m", settles_within=1.5, undo=undeclared)
def send(to: str, call: Call) -> str:
    assert_type(call.run_id, str)
    assert_type(call.step, str)
    assert_type(call.deadline, float)
    assert_type(call.stopped.is_set(), bool)
    return to


@tool(safety="keyed", key_ttl="24h", business_key=("order",), fallback="send", approve="always", retry=Retry(attempts_max=2))
def refund(order: str, amount: Decimal, token: Secret, call: Call) -> str | Partial | Deferred:
    assert_type(token.get_secret_value(), str)
    if amount > 500:
        return Deferred(handle="H-1", until=call.deadline + 86400.0)
    if amount < 1:
        return Partial("half", left=("the other half",))
    return order


def has_come(room: str, call: Call) -> Happened | Probed | Partial:
    assert_type(call.handle, str)
    return Partial("one night", ("the other",)) if call.handle else NOT_YET


def is_booked(room: str, result: str) -> bool | str | Probed | Happened:
    return "the book says otherwise" if result != room else True


@tool(
    safety="reconcilable", probe=was_sent_to, poll=has_come, poll_every="30s..10m", owed_within="24h", at_deadline="repeat", repeats=2,
    callback=True, visible_within="10m", business_key="room", scope="store", check=is_booked, sufficient="length(@) > `0`",
    undo={"tool": "undeclared", "args": {"order": {"$ref": "args.room"}}}, changes=("credit",), rate=Rate(calls=10, per_seconds=60),
    breaker=Breaker(failures_max=5), heartbeat="10s", result_max="16MB", oversize="cut",
)  # fmt: skip
def book(room: str, call: Call) -> str | Partial | Deferred:
    assert_type(call.token, str)
    call.progress("asking")
    call.changed("credit", 3, note="two nights")
    if room == "suite":
        return Deferred("H-2", until="48h", by="the hotel", signal="confirmed")
    until = datetime.now(UTC) + timedelta(days=1)
    return Partial(room, ("breakfast",), rest={"room": "breakfast"}, until=until, by="the kitchen", handle="B-1", signal="served")


@tool(safety="read", sufficient=lambda found: found > 0, rate="10/1m", breaker={"failures": 5, "within": "1m", "open": "30s"})
def beds(room: str) -> int:
    return len(room)


@tool(safety="idempotent", retry={"attempts": 5, "backoff": "2s..60s"}, key_ttl=None, approve="never")
def fails(how: str) -> None:
    failures: dict[str, ToolFailure] = {
        "transient": Transient("503"),
        "rate_limited": RateLimited(retry_after_seconds=20),
        "invalid_input": InvalidInput("no such zone", detail={"zone": how}),
        "invalid_output": InvalidOutput(),
        "insufficient": Insufficient(),
        "not_found": NotFound(),
        "conflict": Conflict(),
        "denied": Denied(),
        "unavailable": Unavailable(),
        "too_expensive": TooExpensive(),
    }
    if how in failures:
        raise failures[how]
    raise Unknown("the gateway says: maybe")


tool(safety="harmless")  # type: ignore[call-overload]
tool(approve=True)  # type: ignore[call-overload]


@tool(approve="amount > 500", approvers=["finance", "heads"], amount="amount", untrusted=True)
def pay_out(to: str, amount: Decimal) -> str:
    return to


def looks_odd(proposed: dict[str, Any]) -> bool:
    return proposed["amount"] is None


async def is_blocked(args: dict[str, Any], tenant: str) -> bool:
    return bool(args and tenant)


policy = Policy(
    name="refunds",
    version="3",
    who=("finance",),
    refusals_max=3,
    ladder=Ladder(
        rungs=(Rung(who=("finance",), seconds=14400.0, remind_seconds=3600.0), Rung(who=("heads",))),
        hours=Hours(days=(0, 1, 2), start="09:00", end="24:00", timezone="Europe/Berlin", holidays=("2026-12-25",)),
        at_deadline="hand_off",
        hand_off_to=("heads",),
        hand_off_seconds=86400.0,
    ),
    rules=(
        Rule(name="blocked", then="block", when="args.country == 'XX'", tools=("pay_out",)),
        Rule(name="middling", then="sample", rate=0.2, when="amount <= 500", standing=False),
        Rule(name="odd", check="looks_odd", people=2, who=("heads",), ladder=Ladder()),
        Rule(name="big plans", on="plan", when="steps > 10"),
    ),
)
ruled = Agent("ruled", tools=[pay_out], reasoner=lambda briefing: None, policy=policy, checks=[looks_odd, is_blocked])
assert_type(ruled.policy, Policy | None)
Agent("by_file", tools=[pay_out], reasoner=lambda briefing: None, policy="refunds.yaml")
Agent("by_path", tools=[pay_out], reasoner=lambda briefing: None, policy=Path("refunds.yaml"))
Policy(name="x", rules=(Rule(name="y", then="sometimes"),))  # type: ignore[arg-type]

# --- agents --------------------------------------------------------------------------------------------------------

any_tool: Tool[..., Any] = send
limits = Limits(parallel_max=2, attempts_max=50, wall_seconds=3600.0)
plan = Plan(
    steps=(
        Step(id="who", tool="find", args={"user": {"$ref": "inputs.user"}}),
        Step(
            id="mail",
            tool="send",
            args={"to": {"$ref": "steps.who.user"}},
            after=("who",),
            retry=Retry(attempts_max=2, backoff_seconds=0.5, backoff_seconds_max=5.0, factor=2.0, jitter=0.1),
            timeout_seconds=5.0,
            on_failure="flag",
            fallbacks=(Fallback(tool="undeclared", args={"order": 7}),),
            approve="always",
            occurrence=2,
            expect=Expect(that="rooms > `0`", tool="find", args={"user": {"$ref": "result.user"}}),
        ),
    ),
    final=True,
    result={"$ref": "steps.mail"},
)
written = Agent("written", tools=[look, send, any_tool], plan=plan, goal="Welcome", version="1", limits=limits)
table = Agent("table", tools=(undeclared,), plan={"a": {"tool": "undeclared", "args": {"order": 1}}}, secrets=["badge_code"])
assert_type(table.name, str)
assert_type(table.limits, Limits)


def next_steps(briefing: Briefing) -> Plan | Step | Propose | Finish | GiveUp:
    assert_type(briefing.turn, int)
    assert_type(briefing.goal.inputs, dict[str, Any])
    assert_type(briefing.tools, Sequence[Contract])
    if briefing.problems:
        return GiveUp(briefing.problems[0])
    if briefing.result("who") is None:
        return Propose(plan=plan, reason="who is it?")
    return Finish(result={step.id: step.value for step in briefing.steps})


class Thinker:
    async def propose(self, briefing: Briefing) -> Propose | Finish | GiveUp:
        return Finish(briefing.run_id)


by_function = Agent("by-function", tools=[look], reasoner=next_steps, inputs={"user": {"type": "string"}})
by_object = Agent("by-object", reasoner=Thinker(), on_stop="undo", agents=[written])
changed = Change(name="credit", amount=2.0, note="one night")
Agent("wrong", plan=plan, tools="look")  # type: ignore[arg-type]

# --- the user's verbs ----------------------------------------------------------------------------------------------


def smallest() -> None:
    done = run(written, "Welcome Ann", id="ann", db=Path("runs.db"), inputs={"user": "ann"})
    assert_type(done, Run)
    assert_type(done.id, str)
    assert_type(done.agent, str)
    assert_type(done.status, str)
    assert_type(done.done, bool)
    assert_type(done.ended, bool)
    assert_type(done.reason, str)
    assert_type(done.waits_for, str)
    assert_type(done.due_at, float | None)
    for names in (done.skipped, done.flagged, done.partial, done.unknown):
        assert_type(names, tuple[str, ...])
    for asked in done.questions:
        assert_type(asked.interrupt, str)
        assert_type(asked.expires_at, float)
        assert_type([option.means for option in asked.options], list[str])


def from_a_vault(name: str) -> str | None:
    return {"token": "t-1"}.get(name)


def not_advanced(run_id: str, error: HoldfastError) -> None:
    print(run_id, error.what, error.step, error.hint)


async def whole() -> None:
    app = Holdfast(
        "runs.db",
        secrets=from_a_vault,
        worker="w1",
        lease_seconds=15.0,
        parallel_runs=10,
        poll_seconds=0.05,
        tenant_parallel={"acme": 2, "*": 5},
        on_error=not_advanced,
        on_rest=print,
    )
    async with app as same:
        assert_type(same, Holdfast)
        assert_type(await app.run(by_function, id="f", inputs={"user": "ann"}, patience_seconds=1.0), Run)
        run_id = await app.start(table, tenant="acme", priority=5, labels={"team": "red"})
        assert_type(run_id, str)
        assert_type(await app.has(table, id=run_id), bool)
        assert_type(await app.answer(run_id, "edit", by="ann", interrupt="a-1", value={"order": 2}, note="not 1"), str)
        delivered = await app.callback("hfcb_x", {"room": 7}, by="the hotel")
        assert_type(delivered, Delivered)
        assert_type((delivered.run_id, delivered.step), tuple[str, str])
        await app.callback("hfcb_x", failed="no room")
        await app.signal(run_id, "confirmed", {"room": 7}, by="ann")
        assert_type([owed.until for owed in await app.pending(run_id, limit=10)], list[float])
        assert_type([gate.open_until for gate in (await app.gates()).values()], list[float])
        assert_type(await app.reset_gate("find"), bool)
        assert_type([row.run_id for row in await app.children(run_id)], list[str])
        assert_type(await app.content("0123"), Any)
        await app.cancel(run_id, by="ann", reason="a mistake")
        await app.cancel(run_id, on_stop="undo")
        await app.cancel(run_id, on_stop="leave")  # type: ignore[arg-type]
        standing = await app.schedule(
            table, id="nightly", cron="0 2 * * *", timezone="Europe/Berlin", overlap="queue", replace=True
        )
        assert_type([standing, await app.pause_schedule("nightly"), await app.resume_schedule("nightly")], list[Standing])
        assert_type(await app.schedules(), list[Standing])
        assert_type(await app.firings("nightly", limit=10), list[Firing])
        assert_type(await app.unschedule("nightly"), bool)
        await app.work(table, by_object, until_idle=True)
        await app.stop()
        assert_type(await app.show(run_id), Run)
        assert_type([row.labels for row in await app.runs(status="blocked", agent="table", limit=5)], list[dict[str, str]])
        assert_type([worker.agents for worker in await app.workers()], list[tuple[str, ...]])
        assert_type([entry.sequence for entry in await app.history(run_id)], list[int])
        assert_type((await app.state(run_id)).result, Any)
        assert_type((await app.verify(run_id)).problem, str | None)


# --- models ---------------------------------------------------------------------------------------------------------


class Booked(pydantic.BaseModel):
    flight: str
    price: Decimal


def good_enough(result: Any) -> bool | str:
    return bool(result) or "there is nothing in it"


checked = judge("checked", model="openai:gpt-5-mini", rubric="Every claim stands in a page.")
assert_type(checked, Tool[..., Any])
five_lines = Agent("refunds", model="anthropic:claude-sonnet-5", tools=[undeclared])
traveller = Agent(
    "trips",
    model=Models(
        "anthropic:claude-sonnet-5",
        reflect="anthropic:claude-haiku-4-5",
        fallback=["openai:gpt-5"],
        cheaper="openai:gpt-5-mini",
        prices={"local:mine": Price(input_usd=Decimal("0.1"), output_usd=Decimal("0.4"))},
        timeout="90s",
        breaker=Breaker(failures_max=3),
    ),
    instructions="Book trips.",
    horizon="plan",
    reassess="step",
    interpret=True,
    ask={"from": Asking(policy="always"), "": Asking(cost_of_asking=1, cost_of_wrong=10)},
    confidence_min=0.5,
    memory=True,
    result=Booked,
    accept=good_enough,
    limits=Limits(cost_usd_max=Decimal("2.50"), tokens_max=100_000, revisions_max=5),
)
by_expression = Agent("trips", model="openai:gpt-5", accept="result.price")
by_rule = Agent("trips", model="openai:gpt-5", accept=Acceptance(that="result", tool="checked"), tools=[checked])


def asking(briefing: Briefing) -> Ask | Finish:
    known: Fact | None = briefing.facts.get("from")
    if known is None:
        return Ask(questions=(Question(name="from", text="From where?", options=("SFO", "JFK")),))
    return Finish(known.value)


async def foreign(graph: Any, agent: Any) -> None:
    by_graph = Agent("graph", reasoner=graph_reasoner(graph))
    by_agent = Agent("foreign", reasoner=PydanticAgentReasoner(agent))
    assert_type([by_graph, by_agent], list[Agent])


async def remembered(app: Holdfast, recaller: Recaller) -> None:
    await app.run(traveller, "To New York", id="trip-1", thread="ann")
    await app.correct("trip-1", "from", "SFO", by="ann")
    await app.change_goal("trip-1", "To Boston instead", {"nights": 2}, by="ann")
    found = await app.memories("ann")
    assert_type(found, list[Memory])
    assert_type(await app.forget(thread="ann"), int)
    async with Holdfast("runs.db", recaller=recaller, on_words=lambda run_id, turn, kind, words: None):
        pass


# --- people ---------------------------------------------------------------------------------------------------------

CHANNELS = (
    Webhook("https://desk.example.org/asked", ["whsec_" + "A" * 32], name="desk", timeout_seconds=5.0),
    Mail("smtp.example.org", 465, sender="a@example.org", to=["b@example.org"], user="a", password="b", security="tls"),
    Apprise("json://localhost", name="room"),
)


def received(headers: dict[str, str], body: bytes) -> Any:
    told = verify_webhook(headers, body, "a secret of at least 24 bytes", now=0.0, tolerance_seconds=60.0)
    assert_type(told, dict[str, Any])
    return told["id"]


async def people(run_id: str) -> None:
    async with Holdfast("runs.db", notify=CHANNELS) as app:
        await app.inbox.put_person("ann", ["finance"], mail="ann@example.org", tenants=["acme"])
        assert_type([person.roles for person in await app.inbox.people()], list[tuple[str, ...]])
        rows = await app.inbox.list(by="ann", order="amount", tool="refund", limit=10)
        assert_type([row.amount for row in rows], list[float | None])
        assert_type(await app.inbox.count(rule="large"), int)
        shown = await app.inbox.show(run_id, "a-1", by="ann")
        assert_type(shown.run_id, str)
        assert_type((await app.inbox.claim(run_id, "a-1", "ann", seconds=60.0)).claimed_by, str)
        await app.inbox.release(run_id, "a-1", "ann")
        assert_type(await app.inbox.decide(run_id, "edit", "ann", value={"order": 2}, note="not 1", force=True), str)
        bulk = await app.inbox.decide_many("approve", "ann", rule="small", limit=100)
        assert_type(await app.inbox.decide_many("approve", "ann", rule="small", limit=100, confirm=bulk.confirm), Bulk)
        assert_type(await app.inbox.comment(run_id, "she called", "ann", interrupt="a-1", id="c-1"), str)
        yes = await app.inbox.allow("refund", "ann", until="7d", args={"order": 7}, amount_max=50.0, uses_max=3)
        assert_type([yes, await app.inbox.revoke(yes.id, "ann"), *await app.inbox.standing(active=True)], list[StandingApproval])
        assert_type(await app.inbox.remove_person("ann"), bool)
        await app.pause(run_id, by="ann", reason="wait", until="2026-12-01T09:00+01:00", id="p-1")
        await app.resume(run_id, by="ann")
        await app.instruct(run_id, "no night trains", by="ann")
        await app.take_over(run_id, by="ann", reason="the bank called")
        await app.mark_done(run_id, "who", {"user": "ann"}, by="ann", note="by hand")
        assert_type([one.override_rate for one in await app.judgement.figures(by="tool")], list[float | None])
        assert_type([one.what for one in await app.judgement.suggestions()], list[str])
        assert_type([one.kind for one in await app.judgement.alarms()], list[Literal["rubber_stamp", "too_fast", "queue_grows"]])
        assert_type((await app.judgement.what_if(policy, tool="refund")).people.let_through, int)
        assert_type([record async for record in app.audit(run_id, since=0.0)], list[AuditRecord])


async def looked_back(app: Holdfast, agent: Agent) -> None:
    replayed = await app.replay("order-7", agent=agent)
    assert_type(replayed, Replayed)
    assert_type(replayed.agrees, bool)
    assert_type([found async for found in app.replay_all(since=0.0, of="refunds")], list[Replayed])
    script = [Scripted(tool="refund", when="amount > `500`", fails="denied"), Scripted(tool="refund", result={"receipt": "R-7"})]
    forked = await app.fork("order-7", agent, id="order-7b", before="pay", mode="simulate", script=script, reason="why?")
    assert_type(forked, Forked)
    await app.export("order-7", to=Path("order-7.jsonl"), redact=["card"])
    try:
        assert_type(await app.import_runs("order-7.jsonl"), list[str])
    except ArchiveRefused as error:
        assert_type(error.line, int)
    assert_type([proof.run_id for proof in await app.prune("order-7")], list[str])
    await app.backup("copy.db")
    assert_type((await app.health(deep=True)).problems, tuple[str, ...])


def who_acts_next() -> str:
    try:
        smallest()
    except PlanError as error:
        return "\n".join(error.problems)
    except (DefinitionError, GoalMismatch, RunNotFound, AnswerRefused, CallbackRefused, CallbackUnknown, OutsideStore) as error:
        return str(error.run_id or error.hint)
    except UsageError as error:
        return error.what
    except JournalError:
        return "the operator"
    return holdfast.__version__
