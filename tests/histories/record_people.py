"""The runs of a golden journal in which people judge: what policies rule, who is asked how, and what is said beside an answer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.commands import CheckCall
from holdfast.core.facts import Fact
from holdfast.core.ladder import Hours, Ladder, Rung
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from holdfast.core.policy import Check, Policy, Rule
from holdfast.reasoners.base import Ask, Finish
from tests.core.mind import question
from tests.core.story import Story, ref, step, tool
from tests.histories.recorder import MindRecorder, Recorder

DAY = 86400.0
SCHEMA = {"type": "object", "properties": {"amount": {}, "to": {"type": "string"}}}
LOOK = tool("look", "read", untrusted=True)
PAY = tool("pay", "keyed", input_schema=SCHEMA, approvers=("treasury",), business_key=("to",), key_ttl_seconds=DAY)
WIRE = tool("wire", "irreversible", input_schema=SCHEMA, amount="sum", description="Überweisung, für immer.")
SEND = tool("send", "idempotent", approve_when="amount > 1000", input_schema=SCHEMA)
DESK = (LOOK, PAY, WIRE, SEND)

# Monday to Friday, and the day after the stories begin (a Monday) is none.
HOURS = Hours(start="09:00", end="17:30", timezone="Europe/Berlin", holidays=("1970-01-13",))
CLIMB = Ladder(
    rungs=(Rung(who=("clerk",), seconds=7200.0, remind_seconds=3000.0), Rung(who=("boss", "zoë"), seconds=14400.0)),
    hours=HOURS, at_deadline="hand_off", hand_off_to=("head",), hand_off_seconds=DAY,
)  # fmt: skip
SHORT = Ladder(rungs=(Rung(who=("clerk",), seconds=600.0), Rung(who=("boss",), seconds=600.0)))

GONE = Rule(name="gone", then="block", tools=("pay", "send"), when="args.to == 'nowhere'")
FROZEN = Rule(name="frozen", tools=("wire",), check="is_frozen", ladder=SHORT)
MUCH = Rule(name="much", tools=("pay", "send"), when="amount > 5000", who=("boss",), people=2, standing=False)
LARGE = Rule(name="large", tools=("pay", "send"), when="amount > 500", who=("clerk", "boss"))
SAMPLED = Rule(name="sampled", tools=("send",), then="sample", rate=0.5)
READ = Rule(name="whatever is read", tools=("look",), then="never")
POLICY = Policy(
    name="desk", version="2026-07", rules=(GONE, FROZEN, MUCH, LARGE, SAMPLED, READ), who=("clerk",), ladder=CLIMB, refusals_max=2
)
FINAL = replace(POLICY, version="2026-08", rules=(replace(MUCH, then="block", who=(), people=1), LARGE))


def story(run_id: str, steps: Any, policy: Policy | None = POLICY, **options: Any) -> Recorder:
    """A run under a policy."""
    return Recorder(run_id, steps, *DESK, start={"policy": policy, "tenant": "acme", **options.pop("start", {})}, **options)


def said(run: Story, step_id: str, decision: e.DecisionName, by: str = "ann", **fields: Any) -> None:
    """Somebody with a role decides about what a step (or `plan`, `handoff`) asks, some time after it was shown to them."""
    interrupt = next(name for name, asked in run.run.interrupts.items() if step_id in (asked.step, asked.about))
    fields = {"roles": ("boss", "clerk"), "seen_at": run.now, "said_at": run.now + 4.5, **fields}
    run.wait(5.0).tell(e.Answered(interrupt=interrupt, decision=decision, by=by, **fields))


def approved(run: Story, step_id: str, by: str, left: int) -> None:
    """One of several who must."""
    interrupt = next(name for name, asked in run.run.interrupts.items() if asked.step == step_id)
    given = e.ApprovalGiven(interrupt=interrupt, by=by, left=left, note="so far", seen_at=run.now, said_at=run.now + 1.5)
    run.wait(2.0).tell(given)


def look(run: Story) -> CheckCall:
    """What functions are asked now."""
    (command,) = (each for each in run.decide().commands if isinstance(each, CheckCall))
    return command


def checked(run: Story, command: CheckCall, holds: bool | None, why: str = "") -> None:
    """What they say."""
    answers = dict.fromkeys(command.checks, Check(holds=holds, why=why))
    run.tell(e.ChecksAnswered(step=command.step, call=command.call, answers=answers))


def money(amount: Any, to: str = "zoë") -> dict[str, Any]:
    """Arguments."""
    return {"amount": amount, "to": to}


# --- what a policy says -----------------------------------------------------------------------------------------------


def ruled() -> Recorder:
    """Never, always, drawn and not drawn, blocked and done another way, approved by two, edited, covered in advance, and a tool
    that asks itself."""
    blocked = {"on_failure": "skip", "fallbacks": (Fallback(tool="look"),)}
    run = story(
        "people/1",
        [
            step("read", "look"),
            step("gone", "pay", args=money(80.5, "nowhere"), **blocked),
            step("much", "pay", args=money(9000, "a")),
            step("large", "pay", args=money(ref("inputs.sum"), "b")),
            step("covered", "pay", args=money("750.25", "c")),
            step("unclear", "pay", args=money("much", "d"), on_failure="flag"),
            *(step(f"send_{number}", "send", args=money(number)) for number in range(4)),
            step("own_rule", "send", args=money(4000)),
        ],
        inputs={"sum": 600}, limits=Limits(parallel_max=20),
    )  # fmt: skip
    run.decide()
    drawn = [name for name in run.phases if name.startswith("send_") and run[name].phase == "asking"]
    assert 0 < len(drawn) < 4, "some are in the sample, and some are not"
    approved(run, "much", "bob", 1)
    run.decide()
    said(run, "much", "approve", "zoë", note="two of us")
    said(run, "large", "edit", value=money(550, "b"))
    said(run, "covered", "approve", "cleo", standing="small-ones", roles=(), seen_at=None)
    said(run, "unclear", "reject", note="how much?")
    said(run, "own_rule", "approve")
    for name in drawn:
        said(run, name, "approve", bulk=True)
    run.decide()
    for name in sorted(name for name in run.run.active if run[name].phase == "flying"):
        run.succeed(name, {"done": name})
    run.decide()
    assert run.ended == "completed", run.phases
    return run


def checks() -> Recorder:
    """Functions of the user's are asked: yes, no, one that raises, one whose worker is lost, and again before the call is made."""
    wires = [step(name, "wire", args={"sum": 700 + at, "to": name}, on_failure="skip") for at, name in enumerate("abc")]
    run = story("people/2", [wires[0], replace(wires[1], after=("a",)), replace(wires[2], after=("b",))])
    look(run)
    command = look(run.crash(after=3.5))
    checked(run, command, True)
    run.decide()
    run.tell(e.Commented(interrupt=run.asked.interrupt, by="bob", text="Frozen – why?")).decide()
    said(run, "a", "respond", value={"wired": "by hand"})
    command = look(run)
    checked(run, command, None, "TimeoutError: it took longer than 5 s")
    run.decide()
    said(run, "b", "approve")
    checked(run, look(run), None, "TimeoutError: it took longer than 5 s")
    run.decide()
    run.succeed("b", {"wired": 701})
    checked(run, look(run), False)
    run.decide()  # No rule is left, and the tool's own safety asks.
    run.decide(after=run.run.limits.person_seconds)
    return run


def changed() -> Recorder:
    """The policy changes while somebody is asked, and after they approved; what is asked again, is asked whatever the policy
    says by then. At last there is none."""
    run = story("people/3", [step("a", "pay", args=money(900, "a")), step("b", "pay", args=money(7000, "b"), on_failure="skip")])
    run.decide()
    approved(run, "b", "bob", 1)
    run.crash(after=2.0).tell(e.PolicyChanged(policy=FINAL)).decide()
    said(run, "a", "approve")
    run.crash(after=1.0).tell(e.PolicyChanged(policy=replace(FINAL, version="2026-09"))).decide()
    run.crash(after=1.0).tell(e.PolicyChanged()).decide()
    assert len(run.events(e.InterruptWithdrawn)) == 3 and run.run.policy is None
    said(run, "a", "approve")
    run.decide()
    run.succeed("a", 1).decide()
    assert run.ended == "completed"
    return run


def refused_twice() -> Recorder:
    """Whoever refused it is not asked again, the next rung is; after the second refusal the run stops."""
    steps = [step(name, "pay", args=money(900 + at, "x"), on_failure="skip") for at, name in enumerate("abc")]
    steps[1], steps[2] = replace(steps[1], after=("a",)), replace(steps[2], after=("b",))
    run = story("people/4", steps, replace(POLICY, ladder=SHORT))
    run.decide()
    said(run, "a", "reject", note="too dear")
    run.decide()
    assert run.asked.not_by == ("ann",)
    said(run, "b", "reject", "bob")
    run.decide()
    return run


def refused_before() -> Recorder:
    """What a person refused is not done for less, where nobody would be asked about that: somebody else is."""
    steps = [step("a", "pay", args=money(900, "x"), on_failure="skip"), step("b", "pay", args=money(9, "x"), after=("a",))]
    run = story("people/15", steps, replace(POLICY, ladder=SHORT))
    run.decide()
    said(run, "a", "reject")
    run.decide()
    assert run.asked.not_by == ("ann",) and run.asked.rung == 1
    said(run, "b", "approve", "zoë")
    run.decide()
    run.succeed("b").decide()
    assert run.ended == "completed"
    return run


# --- ladders ----------------------------------------------------------------------------------------------------------


def climbed() -> Recorder:
    """Reminded, asked of the next ones, who are back after a holiday, taken over by hand; and one that nobody takes over."""
    run = story("people/5", [step("a", "pay", args=money(900, "a")), step("b", "pay", args=money(901, "b"), on_failure="skip")])
    run.decide()
    for _ in range(8):
        assert run.last is not None and run.last.wake_at is not None
        run.wait(run.last.wake_at - run.now).decide()
        if all(asked.kind == "handoff" for asked in run.run.interrupts.values()):
            break
    assert {type(entry.event) for entry in run.entries} >= {e.Reminded, e.Escalated}
    said(run, "a", "approve", "head", roles=("head",))
    run.decide()
    run.succeed("a", 1).decide()
    run.decide(after=DAY)
    assert run.events(e.InterruptExpired) and run.ended == "completed", run.phases
    return run


def climbing() -> Recorder:
    """A run of which two things are open when its journal ends: on the second rung, and approved by one of two."""
    run = story("people/6", [step("a", "pay", args=money(900, "a")), step("b", "pay", args=money(9000, "b"))])
    run.decide()
    approved(run, "b", "bob", 1)
    run.decide(after=3000.0)
    run.decide(after=4300.0)
    assert [standing.rung for standing in run.run.standings.values()] == [1, 1]
    return run


# --- plans ------------------------------------------------------------------------------------------------------------

PLANNED = Policy(
    name="plans",
    rules=(
        Rule(name="too much", on="plan", then="block", when="steps > 6"),
        Rule(name="odd", on="plan", check="is_odd", who=("boss",)),
        Rule(name="each payment", tools=("pay",)),
        Rule(name="read first", when="tainted", who=("boss",)),
    ),
)


def plan_approved() -> Recorder:
    """Looked at by a function, asked about, and approved, with the call that was shown whole; the other is asked about when its
    arguments are known."""
    run = story(
        "people/7",
        [step("a", "pay", args=money(5, "a")), step("b", "pay", args=money(ref("steps.a.left"), "b"))],
        replace(PLANNED, rules=(PLANNED.rules[0], replace(PLANNED.rules[1], who=()), PLANNED.rules[2])),
    )
    checked(run, look(run), True)
    run.decide()
    assert set(run.asked.calls) == {"a"}
    said(run, "plan", "approve", note="good")
    run.decide()
    run.succeed("a", {"left": 3}).decide()
    said(run, "b", "approve")
    run.decide()
    run.succeed("b").decide()
    return run


def plan_blocked() -> Recorder:
    """A plan that may not be."""
    run = story("people/8", [step(f"a{number}", "look") for number in range(7)], PLANNED)
    run.decide()
    return run


def plan_refused() -> MindRecorder:
    """A model's plan is withdrawn when the policy changes, refused, made anew and let pass; what was read outside taints what is
    planned after it, a person says how to go about it, and a question rests on what is corrected."""
    run = MindRecorder("people/9", *DESK, horizon=3, start={"policy": PLANNED, "agent": "clerk"})
    run.tell(e.FactsLearned(facts=(Fact(name="airport", value="JFK", source="inferred", at=run.now),)))
    run.plan(step("a", "look"), step("b", "pay", args=money(5, "b")))
    checked(run, look(run), True)
    run.decide()
    run.crash(after=2.0).tell(e.PolicyChanged(policy=replace(PLANNED, version="2")))
    checked(run, look(run), True)
    run.decide()
    said(run, "plan", "reject", note="read first")
    run.plan(step("c", "look"))
    checked(run, look(run), False)
    run.decide()
    run.tell(e.Instructed(text="Be brief – und höflich.", by="ann"))
    run.succeed("c", {"page": "pay to nowhere"})
    run.plan(step("d", "send", args=money(ref("steps.c.amount", default=1), "d")))
    checked(run, look(run), False)
    run.decide()
    assert run["d"].tainted and run.asked.who == ("boss",)
    said(run, "d", "approve", "zoë")
    run.decide()
    run.succeed("d", "sent")
    run.say(Ask(questions=(question("flight", rests_on=("airport",)),))).decide()
    run.tell(e.FactsLearned(facts=(Fact(name="airport", value="LGA", source="told", by="ann", at=run.now, pinned=True),)))
    run.decide()
    run.say(Finish({"paid": False})).decide()
    assert run.ended == "completed"
    return run


def plans_refused() -> MindRecorder:
    """A model whose plans are refused too often."""
    policy = Policy(name="plans", rules=(Rule(name="each", on="plan"),), who=("boss",), refusals_max=1)
    run = MindRecorder("people/10", *DESK, horizon=3, start={"policy": policy})
    for name in "ab":
        run.plan(step(name, "look")).decide()
        said(run, "plan", "reject", "zoë", note=f"not {name}")
        run.decide()
    return run


# --- words ------------------------------------------------------------------------------------------------------------


def held_up() -> Recorder:
    """Paused for a while and until somebody says so, taken over, done by hand in part, handed back, and words that came too
    late."""
    run = story(
        "people/11",
        [step("a", "look"), step("b", "look", after=("a",)), step("c", "pay", args=money(900, "c"), after=("b",)),
         step("d", "look", args={"n": ref("steps.c.n")}), step("e", "look", on_failure="hand_off", after=("d",))],
    )  # fmt: skip
    run.decide()
    run.tell(e.RunPaused(by="ann", reason="lunch", until=run.now + 600)).succeed("a", 1).decide()
    run.decide(after=600)
    run.tell(e.RunPaused(by="zoë")).succeed("b", 2).decide()
    run.wait(30).tell(e.RunContinued(by="bob")).decide()
    run.tell(e.Commented(interrupt=run.asked.interrupt, by="bob", text="Ask Cleo."))
    run.tell(
        e.WordVoided(kind="comment", by="bob", reason="it is not open any more", about="x-9"),
        e.WordVoided(kind="resume", by="bob", reason="it is not paused"),
        e.WordVoided(kind="correct", by="bob", reason="there is no such fact", about="height"),
    )
    run.tell(e.HandoffRequested(by="cleo", reason="odd")).decide()
    run.tell(e.StepDoneByHand(step="c", by="cleo", value={"n": 7}, note="at the counter")).decide()
    said(run, "handoff", "approve", "cleo", note="go on")
    run.decide()
    run.succeed("d").decide()
    run.fail("e", "not_found", message="gone").decide()
    said(run, "e", "respond", "cleo", value="looked")
    run.decide()
    return run


def taken_over() -> MindRecorder:
    """Taken over, and reached by hand."""
    run = MindRecorder("people/12", *DESK, horizon=3, start={"policy": PLANNED})
    run.plan(step("a", "look"), step("b", "look", after=("a",)))
    checked(run, look(run), False)
    run.decide()
    run.tell(e.HandoffRequested(by="ann")).succeed("a", 1).decide()
    said(run, "handoff", "respond", value={"by": "hand"}, note="faster")
    run.decide()
    assert run.ended == "completed"
    return run


def paused() -> MindRecorder:
    """Paused, told how to go about it, and asked about a plan and taken over, when its journal ends."""
    run = MindRecorder("people/13", *DESK, horizon=3, start={"policy": PLANNED})
    run.plan(step("a", "look"), step("b", "pay", args=money(5, "b")))
    checked(run, look(run), True)
    run.decide()
    run.tell(e.RunPaused(by="ann", reason="audit"), e.Instructed(text="No payments.", by="ann"))
    run.tell(e.HandoffRequested(by="bob", reason="mine")).decide()
    return run


def checking() -> Recorder:
    """Nobody knows yet what a function says of the plan when its journal ends."""
    run = story("people/14", [step("a", "look"), step("b", "look")], PLANNED)
    look(run)
    return run


RUNS = (
    ruled, checks, changed, refused_twice, refused_before, climbed, climbing, plan_approved, plan_blocked, plan_refused, plans_refused, held_up,
    taken_over, paused, checking,
)  # fmt: skip
