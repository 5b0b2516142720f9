"""The runs of a golden journal that others were made from, and that were ruled on under more than their state."""

from __future__ import annotations

from holdfast.core import events as e
from holdfast.core.decide import Room
from holdfast.core.limits import Limits
from tests.core.story import ref, step, tool
from tests.histories.recorder import Recorder

LOOK = tool("look", "read")
PAY = tool("pay", "keyed", key_ttl_seconds=86400.0, business_key=("to",), parallel_max=1)
BOOK = tool("book", "reconcilable", settles_within_seconds=5.0)
STEPS = (
    step("rate", "look", args={"pair": "EUR/CHF"}),
    step("ann", "pay", args={"to": "ann", "amount": ref("steps.rate.ann")}),
    step("ben", "pay", args={"to": "ben", "amount": ref("steps.rate.ben")}),
    step("room", "book", args={"for": "Zoë"}),
    step("ann_again", "pay", args={"to": "ann", "amount": 1}, after=("ann", "ben", "room")),
)


def night() -> Recorder:
    """A run that waits for a place, whose worker stops and another is killed, and that fails."""
    run = Recorder("bank/1", STEPS, LOOK, PAY, BOOK, limits=Limits(parallel_max=4), start={"records": 1})
    run.decide()
    run.succeed("rate", {"ann": 70.5, "ben": 1e9})
    room = Room(free={"pay": 1}, held={"other": (run.now + 9.0, "rate")}, holders={"pay": "bank/7"})
    run.tell(e.RoomRefused(free={"pay": 1}, held={"other": (run.now + 9.0, "rate")}, holders={"pay": "bank/7"}))
    run.decide(room=room)
    run.wait(1.5).succeed("ann", {"receipt": "R-1"}).tell(e.RulingDeferred(why="stopping")).cut()
    run.crash(after=60).decide()
    run.wait(0.25).probed("room", "not_yet").tell(e.RulingDeferred(why="judging")).cut()
    run.wait(1.0).fail("ben", "invalid_input", message="no such amount").decide()
    run.decide(after=3)
    run.probed("room", "happened", {"number": 12}).decide()
    return run


def morning() -> Recorder:
    """A fork of it from before the payment that failed: what was done stays done, the room is settled by the record."""
    source = night()
    at = next(entry.sequence for entry in source.entries if isinstance(entry.event, e.CallUnknown)) - 1
    source.wait(30_000.0)
    run = source.fork(at, run_id="bank/2", by="ann", reason="the rate was in cents", agent_version="2")
    assert isinstance(run, Recorder)
    run.run_id, run.batches = "bank/2", []
    run.cut()
    run.decide()
    run.answer("edit", {"to": "ben", "amount": 10.0}).decide()
    run.succeed("ben", {"receipt": "R-2"}).decide()
    return run


def simulated() -> Recorder:
    """A fork in which nothing happens: one call comes to what it came to, one to what a script says."""
    source = night()
    script = (
        e.Scripted(tool="pay", when="to == 'ben'", result={"receipt": "none"}, times=1),
        e.Scripted(tool="pay", fails="denied"),
    )
    run = source.wait(40_000.0).fork(3, run_id="bank/3", mode="simulate", script=script)
    assert isinstance(run, Recorder)
    run.run_id, run.batches = "bank/3", []
    run.cut()
    run.decide()
    run.succeed("rate", {"ann": 70.5, "ben": 10.0}).decide()
    return run


RUNS = (night, morning, simulated)
