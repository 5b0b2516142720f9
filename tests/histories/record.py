"""Record a golden journal: runs with fixed times that touch every kind of event, as a store keeps them.

    python -m tests.histories.record NUMBER_NAME      writes tests/histories/NUMBER_NAME.jsonl

Each line of the file is one of

    {"content": digest, "body": text}                                   what batches refer to by digest
    {"run": id, "first": n, "fence": n, "at": time, "body": text, "link": hex}    a batch, in its stored bytes
    {"run": id, "summary": {...}}                                       what the fold of the run must give

A file that is there is never written again: whatever a later release makes of these events, it must read what was written.
A new form of events gets a file of its own. Most runs are told event by event, see also `record_people.py`; those in which
models think are run by real workers, see `record_thinking.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.commands import once_name
from holdfast.core.contract import Breaker, Rate
from holdfast.core.decide import Room
from holdfast.core.evolve import fold
from holdfast.core.limits import Limits
from holdfast.core.plan import Expect, Fallback, Plan
from holdfast.core.policy import policy_digest
from holdfast.core.state import State
from holdfast.journal import codec
from holdfast.journal.base import EMPTY
from tests.core.story import step, tool, weaker
from tests.histories import record_looking_back, record_people
from tests.histories.record_thinking import stores
from tests.histories.recorder import Recorder

FOLDER = Path(__file__).parent


def summary(state: State) -> dict[str, Any]:
    """What is compared: how the run stands and what became of each step."""
    steps = {name: state.steps[name] for name in state.order}
    return {
        "version": state.version, "fence": state.fence, "at": state.at, "ended": state.ended, "result": state.result,
        "reason": state.reason, "skipped": list(state.skipped), "flagged": list(state.flagged), "partial": list(state.partial),
        "unknown": list(state.unknown), "attempts": state.attempts, "turn": state.turn, "revision": state.revision,
        "asked": state.asked, "open": sorted(state.interrupts), "goal": state.goal.text, "inputs": state.goal.inputs,
        "tenant": state.tenant, "priority": state.priority, "labels": state.labels, "agent_version": state.agent_version,
        "contracts": {name: contract.safety for name, contract in sorted(state.contracts.items())},
        "steps": {
            name: {
                "phase": known.phase, "tool": known.tool, "key": known.key, "attempt": known.attempt, "value": known.value,
                "left": list(known.left), "settled_by": known.settled_by, "reason": known.reason, "args": known.args,
                "occurrence": known.occurrence, "doubt_since": known.doubt_since,
                # From the second form on.
                "landed": known.landed, "rest": known.rest, "undo": known.undo, "suppressed_by": known.suppressed_by,
                "cut": known.cut.bytes if known.cut is not None else None, "repeats": known.repeats,
                # From the fourth form on.
                "ruled": known.ruled, "approved": known.approved, "approved_by": list(known.approved_by),
                "approved_until": known.approved_until, "was_asked": known.was_asked, "tainted": known.tainted,
                "checks": msgspec.to_builtins(known.checks.answers) if known.checks is not None else None,
            }
            for name, known in steps.items()
        },
        "pending": {name: [owed.about, owed.until, owed.by, owed.found] for name, owed in sorted(state.pending.items())},
        "undone": list(state.undone), "kept": list(state.kept), "replaced": state.replaced, "changes": state.changes,
        "signals": sorted(state.signals), "on_stop": state.on_stop, "parent": state.parent, "children": state.children,
        # From the third form on.
        "thread": state.thread, "intent": state.intent, "failures": state.failures, "outdated": list(state.outdated),
        "spent": msgspec.to_builtins(state.spent), "reserved": sorted(state.reserved), "asking": sorted(state.questions),
        "facts": {name: msgspec.to_builtins(fact) for name, fact in sorted(state.facts.items())},
        "turns": [[turn.turn, turn.phase, turn.model, turn.outcome, list(turn.problems)] for turn in state.turns],
        "setbacks": [[setback.model, setback.kind, setback.until, setback.lost] for setback in state.setbacks],
        "suspicions": list(state.suspicions), "refused_because": list(state.refused_because), "memories": sorted(state.memories),
        "observers": dict(sorted(state.observers.items())), "checks": dict(sorted(state.checks.items())),
        # From the fourth form on.
        "policy": policy_digest(state.policy) if state.policy is not None else None,
        "standings": {name: msgspec.to_builtins(standing) for name, standing in sorted(state.standings.items())},
        "decided": dict(sorted(state.decided.items())), "taints": list(state.taints),
        "refused_calls": {call: list(by) for call, by in sorted(state.refused_calls.items())},
        "unjudged": [step.id for step in state.unjudged.steps] if state.unjudged is not None else None,
        "plan_asked": state.plan_asked, "plan_checks": state.plan_checks is not None, "checking_plan": state.checking_plan,
        "paused": msgspec.to_builtins(state.paused), "handoff": msgspec.to_builtins(state.handoff),
        "instructions": [[instructed.by, instructed.text] for instructed in state.instructions],
        # From the fifth form on.
        "fork": [state.fork.source, state.fork.entry, state.fork.mode] if state.fork is not None else None,
        "run_id": state.run_id, "records": state.records, "business": dict(sorted(state.business.items())),
        "fork_calls": dict(sorted(state.fork_calls.items())),
    }  # fmt: skip


# --- the runs ---------------------------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
READ = tool("look", "read", output_schema={"type": "object"})
MAIL = tool("mail", "keyed", key_ttl_seconds=86400.0, business_key=("to",), input_schema=SCHEMA, secrets=("token",))
BOOK = tool("book", "reconcilable", settles_within_seconds=5.0, probe_seconds=2.0, undo="cancel_booking", parallel_max=3)
PAY = tool("pay", "irreversible", description="Pay, in full — für immer.")
SEND = tool("send", "idempotent", fallback="mail")
TOOLS = (READ, MAIL, BOOK, PAY, SEND)
LARGE = "grüße " * 4000


def completed() -> Recorder:
    """The long one: every way in which a step can come to its end while the run goes on."""
    steps = [
        step("find", "look", args={"name": {"$ref": "inputs.guest.name"}}),
        step("room", "book", args={"guest": {"$ref": "steps.find.name"}, "literal": {"$literal": {"$ref": "x", "$blob": "y"}}}),
        step("note", "mail", args={"to": {"$ref": "steps.find.mail"}, "token": {"$secret": "MAIL_TOKEN"}}),
        step("note_again", "mail", args={"to": {"$ref": "steps.find.mail"}, "token": {"$secret": "MAIL_TOKEN"}}, after=("note",)),
        step("deposit", "pay", args={"amount": 80.5}, after=("room",)),
        step("taxi", "send", on_failure="flag", fallbacks=(Fallback(tool="look", args={"name": "taxi"}),)),
        step("flowers", "send", on_failure="ask"),
        step("dinner", "book", on_failure="skip", after=("room",)),
        step("card", "send", args={"with": {"$ref": "steps.dinner.table", "default": None}}),
        step("tour", "book", after=("room",)),
        step("photo", "book", after=("room",)),
    ]
    run = Recorder(
        "shop/1", steps, *TOOLS, inputs={"guest": {"name": "Zoë", "vip": True, "points": 10**25}}, limits=Limits(parallel_max=6),
        result={"room": {"$ref": "steps.room.number"}, "taxi": {"$ref": "steps.taxi"}},
        start={"agent_version": "1.0", "tenant": "acme", "priority": 2, "labels": {"team": "front"}, "secrets": ("pin",)},
    )  # fmt: skip
    run.decide()
    run.fail("find", "rate_limited", message="slow down", retry_after_seconds=7.25, detail={"header": "7"}).decide()
    run.decide(after=8)
    run.succeed("find", {"name": "Zoë", "mail": "zoe@example.com", "$blob": "not ours", "page": LARGE})
    run.fail("taxi", "denied", message="no licence").lose("flowers", "connection reset").decide()
    run.crash(after=3.5).decide()
    run.probed("room", "not_yet").decide()
    run.decide(after=2)
    run.probed("room", "not_happened").decide()
    run.decide(after=5)
    run.probed("room", "not_happened").decide()
    run.succeed("room", {"number": 12})
    settle(run)
    return run


def settle(run: Recorder) -> None:
    """Work on what is under way in a fixed order until the run has ended."""
    for _ in range(200):
        if run.run.ended:
            return
        flying = sorted(name for name in run.run.active if run[name].phase in ("flying", "probing"))
        flying += sorted(name for name, owed in run.run.pending.items() if owed.looking is not None)
        if run.open:
            by_person(run, run.open[0])
        elif flying:
            by_tool(run, flying[0])
        else:
            assert run.last is not None and run.last.wake_at is not None
            run.wait(max(run.last.wake_at - run.now, 0.0))
        run.decide()
    raise AssertionError(f"it does not end: {run.phases}")


def by_person(run: Recorder, interrupt: str) -> None:
    """What Ann says to a question."""
    asked = run.run.interrupts[interrupt]
    if asked.about == "call":
        run.answer("edit", {"amount": 79.5}, interrupt, note="a little less")
    elif asked.about == "doubt":
        run.answer("respond", {"by": "hand"}, interrupt)
    elif asked.about == "owed":
        run.answer("respond", {"table": 4}, interrupt)
    else:
        run.answer("approve", None, interrupt, note="again")


def by_tool(run: Recorder, name: str) -> None:
    """What comes of a call or a probe."""
    if run[name].phase == "probing" or name in run.run.pending:
        run.probed(name, "not_yet" if name == "photo" else "happened", {"found": name})
    elif name == "flowers" and run[name].attempt < 6:
        run.fail(name, "conflict", message="sold out")
    elif name == "dinner":
        run.fail(name, "conflict", message="fully booked")
    elif name == "photo" and run[name].attempt == 1:
        run.tell(e.CallDeferred(step=name, attempt=1, handle="P-7", until=run.now + 60))
    elif name == "tour":
        run.tell(e.CallPartial(step=name, attempt=run[name].attempt, value={"guide": True}, left=("tickets", "bus")))
    else:
        run.succeed(name, {"done": name, "n": 1.5})


def failed() -> Recorder:
    """A run that stops, with a step that nobody knows of."""
    run = Recorder("shop/2", [step("pay", "pay"), step("look", "look"), step("late", "look", after=("pay",))], *TOOLS)
    run.decide()
    run.answer("approve").decide()
    run.succeed("look").crash(after=1).decide()
    run.decide(after=run.run.limits.person_seconds)
    return run


def given_up() -> Recorder:
    """A step whose failure stops the run."""
    run = Recorder("shop/3", [step("look", "look"), step("send", "send")], *TOOLS)
    run.decide()
    run.fail("look", "not_found", message="no such guest").lose("send").decide()
    return run


def cancelled() -> Recorder:
    """A run that somebody stops, and somebody else answers too late."""
    run = Recorder("shop/4", [step("pay", "pay"), step("room", "book")], *TOOLS)
    run.decide()
    run.answer("reject", note="no")
    run.tell(
        e.AnswerVoided(interrupt="pay-1", by="bob", reason="it is not open any more"),
        e.CancelRequested(by="bob", reason="closed"),
    )
    run.decide()
    run.lose("room").decide()
    run.probed("room", "cannot_tell").decide()
    return run


def thought() -> Recorder:
    """A run whose reasoner needs three tries, revises its plan and finishes."""
    run = Recorder("shop/5", None, *TOOLS)
    run.decide()
    run.tell(e.ProposalFailed(turn=1, problems=("step a: there is no tool lok (did you mean look?)",))).decide()
    steps = (step("a", "look"), step("b", "look", after=("a",)))
    run.tell(e.PlanAdopted(turn=2, revision=1, plan=Plan(steps=steps, final=False), reason="look first")).decide()
    more = Plan(steps=(step("c", "look"),), final=False)
    run.tell(e.PlanAdopted(turn=2, revision=2, plan=more, reason="c is better", dropped=("b",))).decide()
    run.succeed("a", 1).succeed("c", [1, 2]).decide()
    run.tell(e.FinishProposed(turn=3, result={"sum": 4})).decide()
    return run


def not_to_be_had() -> Recorder:
    """A run whose reasoner gives up."""
    run = Recorder("shop/6", None, *TOOLS)
    run.decide()
    run.tell(e.GiveUpProposed(turn=1, reason="no such guest")).decide()
    return run


def limited() -> Recorder:
    """A run that reaches a bound."""
    run = Recorder("shop/7", [step("a", "look"), step("b", "look")], *TOOLS, limits=Limits(attempts_max=1))
    run.decide()
    run.succeed("a").decide()
    return run


def changed() -> Recorder:
    """A run whose agent became weaker while a call of it was lost, and that still asks about that call."""
    run = Recorder("shop/8", [step("a", "pay", approve="always"), step("b", "send")], *TOOLS)
    run.decide()
    run.answer("approve").decide()
    run.succeed("b")
    after = tuple(weaker(contract, safety="irreversible") if contract.tool == "send" else contract for contract in TOOLS)
    run.crash(after=2).change(*after, weaker=True).decide()
    run.answer("approve", None, next(name for name in run.open if name.startswith("agent"))).decide()
    return run


# --- messy outcomes ---------------------------------------------------------------------------------------------------

FLIGHT = tool(
    "book_flight", "reconcilable", poll=True, callback=True, undo="cancel_flight", undo_args={"of": {"$ref": "result.id"}}
)
CANCEL = tool("cancel_flight", "keyed")
NOTE = tool(
    "note", "keyed", business_key=("to",), business_scope="store", probe=True, visible_within_seconds=600.0, at_deadline="repeat"
)
CHECK = tool("check", "keyed", callback=True, owed_within_seconds=3600.0, at_deadline="repeat")
PRICES = tool(
    "prices", "read", rate=Rate(calls=5, per_seconds=60.0), breaker=Breaker(), changes=("credit",), result_bytes_max=1000
)
RESEARCH = tool("research", "keyed", agent="research")
TRAVEL = (FLIGHT, CANCEL, NOTE, CHECK, PRICES, RESEARCH, PAY)
BY_AIRLINE = {"by": "the airline", "handle": "LH-7"}


def owed() -> Recorder:
    """A run to which much is owed: parts, results that are delivered, looked for, signalled and late, what nobody sees yet."""
    steps = [
        step("out", "book_flight", args={"to": "Rom"}),
        step("back", "book_flight", args={"to": "Wien"}, expect=Expect(that="id")),
        step("visa", "check", args={"guest": "Zoë"}),
        step("limit", "check", args={"guest": "Max"}, on_failure="skip"),
        step("tell", "note", args={"to": "zoe@example.com"}),
        step("tell_again", "note", args={"to": "zoe@example.com", "text": "!"}, after=("tell",)),
        step("price", "prices", args={"day": 1}, on_failure="skip"),
        step("price_again", "prices", args={"day": 1}, on_failure="flag", after=("price",)),
        step("price_later", "prices", args={"day": 2}, after=("price_again",)),
        step("look_up", "research", args={"goal": "hotels", "limits": {"attempts": 20}}),
        step("train", "prices", args={"day": 3}, alternative_to="look_up"),
        step("bus", "prices", args={"day": 4}, alternative_to="price"),
    ]
    run = Recorder("travel/1", steps, *TRAVEL, limits=Limits(changes={"credit": 50.0}), start={"on_stop": "ask"})
    run.decide()
    run.signal("paid", {"receipt": "R-1"})
    run.part("out", {"id": "F-1", "seat": None}, left=("seat", "meal"), **BY_AIRLINE)
    run.part("back", {"id": "F-2"}, left=("baggage",), rest={"to": "Wien", "baggage": 1})
    run.defer("visa", by="the consulate").defer("limit", signal="paid").defer(
        "look_up", handle="travel/1.look_up", by="agent research"
    )
    run.tell(e.CallSucceeded(step="tell", attempt=1, value="sent", seconds=0.25))
    run.tell(
        e.CallFailed(step="price", attempt=1, failure=e.Failure(kind="not_found"), changes=(e.Change(name="credit", amount=2.5),))
    )
    run.decide()
    run.tell(
        e.CallSucceeded(
            step="bus", attempt=1, value=LARGE[:20], cut=e.Cut(bytes=9_000_000, digest="d" * 32),
            changes=(e.Change(name="credit", note="2 left"),),
        )
    )  # fmt: skip
    run.decide(room=Room(held={"prices": (run.now + 20, "rate")}))
    run.decide(after=20)
    run.succeed("price_later", [1, 2]).succeed("back_rest", {"bags": 1}).decide()
    run.crash(after=10).decide()
    run.probed("out", "happened", {"id": "F-1", "seat": "12A"}, left=("meal",)).probed("tell", "not_yet").decide()
    run.child("look_up", "completed", result={"hotel": "Sole"}, attempts=7, partial=("spa",)).decide()
    run.decide(after=3600)  # The consulate has not answered: it is asked once more, on purpose.
    run.probed("out", "not_yet").probed("tell", "not_yet").decide()
    run.defer("visa").succeed("tell_again2", "sent again").decide()
    run.deliver("visa", {"visa": "V-9"})
    run.tell(e.CallbackRefused(step="visa", reason="it was delivered before", by="the consulate"))
    run.signal("out", {"id": "F-1", "seat": "12A", "meal": "v"})
    run.decide()
    return run


def taken_back() -> Recorder:
    """A run that stops, asks, and takes back what it did."""
    steps = [
        step("out", "book_flight", args={"to": "Rom"}, fallbacks=(Fallback(tool="check", args={"guest": "Zoë"}),)),
        step("back", "book_flight", args={"to": "Wien"}, after=("out",)),
        step("tell", "note", args={"to": "max@example.com"}, after=("back",)),
        step("pay", "pay", args={"amount": 80.5}, after=("back",), on_failure="stop"),
        step("look", "prices", args={"day": 1}, after=("back",)),
    ]
    run = Recorder("travel/2", steps, *TRAVEL, start={"on_stop": "ask", "parent": "office/1", "parent_step": "trip", "depth": 1})
    run.decide()
    run.fail("out", "insufficient", message="no window seat", landed=True, detail={"value": {"id": "F-1"}}).decide()
    run.succeed("undo_out").decide()
    run.defer("out").deliver("out", {"passed": True}).decide()
    run.succeed("back", {"id": "F-2"}).decide()
    run.answer("reject", note="too dear")
    run.fail("look", "denied").succeed("tell", "sent").decide()
    run.answer("approve").decide()
    run.crash(after=2).decide()
    run.succeed("undo_back").decide()
    return run


def elsewhere() -> Recorder:
    """A run that leaves to another what that one has under way, and is cancelled with a word of its own."""
    run = Recorder("travel/3", [step("tell", "note", args={"to": "x"}), step("visa", "check", args={"guest": "x"})], *TRAVEL)
    name = once_name(NOTE, {"to": "x"})
    assert name is not None
    run.decide(room=Room(free={name: 0}, holders={name: "travel/1"}))
    run.defer("visa", until=run.now + 50).decide()
    run.decide(after=50)
    run.fail("visa", "transient").cancel("keep").decide()
    return run


RUNS: tuple[Callable[[], Recorder], ...] = (
    completed, failed, given_up, cancelled, thought, not_to_be_had, limited, changed, owed, taken_back, elsewhere,
    *record_people.RUNS, *record_looking_back.RUNS,
)  # fmt: skip


def lines() -> Iterator[dict[str, Any]]:
    """The lines of a golden journal."""
    written: set[str] = set()
    for make in RUNS:
        run = make()
        link = b""
        for batch in run.batches:
            first, fence, at = batch[0].sequence, batch[0].fence, batch[0].at
            body, contents = codec.encode([entry.event for entry in batch])
            for digest, content in contents.items():
                if digest not in written:
                    yield {"content": digest, "body": content.decode()}
            written.update(contents)
            link = codec.link(link, run.run_id, first, fence, at, body)
            yield {"run": run.run_id, "first": first, "fence": fence, "at": at, "body": body.decode(), "link": link.hex()}
        yield {"run": run.run_id, "summary": summary(run.run)}
    for store in stores():
        for digest, content in store.contents.items():
            if digest not in written:
                yield {"content": digest, "body": content.decode()}
        written.update(store.contents)
        for run_id, kept in store.runs.items():
            for stored in kept.batches:
                text, mark = stored.body.decode(), stored.link.hex()
                yield {"run": run_id, "first": stored.first, "fence": stored.fence, "at": stored.at, "body": text, "link": mark}
            yield {"run": run_id, "summary": summary(fold(store.read(run_id, EMPTY).entries))}


def main(name: str) -> None:
    """Write a file that is not there yet."""
    path = FOLDER / f"{name}.jsonl"
    with path.open("x", encoding="utf-8") as file:
        for line in lines():
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
