"""What follows from each outcome, for each safety and each fault: read off by having `decide` decide.

For every cell a run of one step is made up from events, up to the outcome in question, and decided on until nothing more
follows by itself; the rulings and commands are put into words. So the table cannot say anything but what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.contract import SAFETIES, Breaker, Contract, Rate, Retry, Safety
from holdfast.core.decide import Room, decide
from holdfast.core.evolve import evolve
from holdfast.core.plan import Fallback, Goal, Plan, Step
from holdfast.core.state import State

T0 = 1_000_000.0
Scene = Callable[["Play"], None]


class Play:
    """One step of one run, told event by event, with what was decided after the scene put into words."""

    def __init__(self, safety: Safety, on_stop: e.OnStop | None = None, **promises: Any):
        contracts = (
            Contract(
                tool="t",
                safety=safety,
                approve="never",
                probe=safety == "reconcilable",
                settles_within_seconds=30.0,
                retry=Retry(attempts_max=3, backoff_seconds=1.0, jitter=0.0),
                callback=True,
                **{"key_ttl_seconds": 3600.0 if safety == "keyed" else None, **promises},
            ),
            Contract(tool="undo", safety="idempotent", input_schema={"properties": {}}),
            Contract(tool="other", safety="read"),
        )
        fallbacks = (Fallback(tool="other"),) if promises.get("undo") and on_stop is None else ()
        self.now, self.fence, self.state = T0, 1, None
        self.said: list[str] = []
        self._listening = False
        self.fits = True  # Whether the scene can come about with a tool of this safety at all.
        self.tell(e.RunStarted(run_id="r", agent="a", goal=Goal(), contracts=contracts, on_stop=on_stop or "keep"))
        self.tell(e.ProposalRequested(turn=1))
        steps = [Step(id="a", tool="t", args={"x": 1}, fallbacks=fallbacks)]
        if on_stop is not None:
            steps.append(Step(id="b", tool="other", after=("a",)))
        self.tell(e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=tuple(steps))))

    def tell(self, *events: e.AnyEvent) -> None:
        for event in events:
            self.state = evolve(self.state, e.Entry((self.run.version if self.state else 0) + 1, self.now, self.fence, event))

    @property
    def run(self) -> State:
        assert self.state is not None
        return self.state

    def call(self) -> None:
        """The tool is called."""
        self.decide()

    def decide(self, room: Room | None = None) -> None:
        """Decide until there is nothing more to say; waits are noted, and not waited for."""
        decision = decide(self.run, self.now, room) if room is not None else decide(self.run, self.now)
        self.state = decision.state
        if not self._listening:
            return
        for event in decision.events:
            if not (isinstance(event, e.StepFailed) and event.step != "a"):
                self.said.extend(_ruling(event, self.now))
        self.said.extend(_command(command) for command in decision.commands if getattr(command, "tool", "t") == "t")

    def listen(self) -> None:
        """From here on it matters what is decided."""
        self._listening = True
        if self.run.ended:
            self.said.append("the run stops")
        self.decide()

    def crash(self, after: float = 0.0) -> None:
        """The worker is gone, and another has the run."""
        self.now += after
        self.fence += 1
        self.tell(e.RunResumed(worker="w"))

    def attempt(self) -> int:
        return self.run.steps["a"].attempt

    def fail(self, kind: Any, **fields: Any) -> None:
        self.tell(e.CallFailed(step="a", attempt=self.attempt(), failure=e.Failure(kind=kind, **fields)))

    def words(self) -> str:
        """What followed, in order, each thing once."""
        if not self.fits:
            return "–"
        return ", then ".join(dict.fromkeys(self.said)) or "it is waited for"


def _ruling(event: e.AnyEvent, now: float) -> list[str]:
    match event:
        case e.RetryRuled(due_at=due_at):
            return [f"again in {due_at - now:g} s, same key" if due_at > now else "again, same key"]
        case e.RecoveryRuled(action="repeat", due_at=due_at):
            return [f"again in {due_at - now:g} s, same key"] if due_at > now else []
        case e.RecoveryRuled(action="probe", due_at=due_at) if due_at > now:
            return [f"probe in {due_at - now:g} s"]
        case e.RecoveryRuled(action="take"):
            return ["the result is taken"]
        case e.RecoveryRuled(action="fail"):
            return ["it did not happen"]
        case e.FallbackRuled():
            return ["the fallback"]
        case e.PendingRuled(action="settle"):
            return ["settled"]
        case e.PendingRuled(action="fail"):
            return ["counts as failed"]
        case e.PendingRuled(action="repeat"):
            return ["again on purpose, new key"]
        case e.PendingRuled(action="give_up"):
            return ["waited for no more, flagged"]
        case e.RestPlanned(rest=rest):
            return ["it is undone, then the fallback" if rest.undoes else "the rest becomes a step"]
        case e.CallHeld(why=why):
            return ["held until its circuit closes" if why == "circuit" else "held until its turn"]
        case e.UndoPlanned(steps=steps):
            return ["it is undone"] if steps else []
        case e.Asked():
            return ["a person is asked"]
        case e.StepFailed():
            return ["the run stops"]
        case e.StepSkipped():
            return ["skipped"]
        case e.RunCompleted():
            return ["done"]
        case e.RunFailed(kept=kept):
            return ["the run stops, and names it as kept" if kept else "the run stops"]
        case e.RunCancelled(unknown=unknown):
            return ["the run ends, and names it as unknown" if unknown else "the run ends"]
        case _:
            return []


def _command(command: object) -> str:
    if isinstance(command, RunProbe):
        return "look for it" if command.owed else "probe"
    return "call" if isinstance(command, CallTool) else "ask the reasoner"


# --- the scenes ---------------------------------------------------------------------------------------------------


def _after_call(outcome: Callable[[Play], None]) -> Scene:
    def scene(play: Play) -> None:
        play.call()
        outcome(play)
        play.listen()

    return scene


def _ok(play: Play) -> None:
    play.tell(e.CallSucceeded(step="a", attempt=1, value=1))


def _deferred(play: Play) -> None:
    play.tell(e.CallDeferred(step="a", attempt=1, handle="h", until=play.now + 100))


def _overdue(play: Play) -> None:
    _deferred(play)
    if play.run.contracts["t"].probe:
        play.now += 100
        play.decide()
        play.tell(e.ProbeAnswered(step="a", probe=1, verdict="not_yet"))
    else:
        play.now += 100


def _callback(play: Play) -> None:
    play.tell(e.CallbackReceived(step="a", key=play.run.steps["a"].key, value=1))


def _callback_failed(play: Play) -> None:
    failure = e.Failure(kind="failed_later", message="no")
    play.tell(e.CallbackReceived(step="a", key=play.run.steps["a"].key, failure=failure))


def _failed(kind: str, times: int = 1, **fields: Any) -> Callable[[Play], None]:
    def outcome(play: Play) -> None:
        play.fail(kind, **fields)
        for _ in range(times - 1):
            play.decide()
            play.now += 60
            play.decide()
            if play.run.steps["a"].phase == "probing":
                play.tell(e.ProbeAnswered(step="a", probe=play.run.steps["a"].probe, verdict="not_happened"))
                play.decide()
            if play.run.steps["a"].phase == "flying":
                play.fail(kind, **fields)

    return outcome


def _unknown(play: Play) -> None:
    play.tell(e.CallUnknown(step="a", attempt=play.attempt(), why="time-out"))


def _probed(verdict: Any, settled: bool = False) -> Callable[[Play], None]:
    def outcome(play: Play) -> None:
        _unknown(play)
        if settled:
            play.now += 31
        play.decide()
        if play.run.steps["a"].phase == "probing":
            play.tell(e.ProbeAnswered(step="a", probe=1, verdict=verdict, value=1))
        else:
            play.fits = False

    return outcome


def _then_cancelled(outcome: Callable[[Play], None]) -> Callable[[Play], None]:
    def scene(play: Play) -> None:
        outcome(play)
        play.tell(e.CancelRequested(by="ann"))

    return scene


def _then_a_later_one_fails(play: Play) -> None:
    _ok(play)
    play.decide()
    play.tell(e.CallFailed(step="b", attempt=1, failure=e.Failure(kind="denied")))


def _held(why: Any) -> Scene:
    def scene(play: Play) -> None:
        play._listening = True
        play.decide(Room(held={"t": (play.now + 10, why)}))

    return scene


def _seen_late(play: Play) -> None:
    _ok(play)
    play.now += 60
    play.decide()
    if (owed := play.run.pending.get("a")) is not None and owed.looking is not None:
        play.tell(e.ProbeAnswered(step="a", probe=owed.looks, verdict="not_yet"))


def _then_crash(outcome: Callable[[Play], None], after: float = 0.0) -> Callable[[Play], None]:
    def scene(play: Play) -> None:
        outcome(play)
        play.crash(after)

    return scene


def _nothing(play: Play) -> None:
    """Its outcome has not come."""


def _both(*parts: Callable[[Play], None]) -> Callable[[Play], None]:
    def outcome(play: Play) -> None:
        for part in parts:
            part(play)

    return outcome


def _partial(rest: dict[str, Any] | None) -> Callable[[Play], None]:
    return lambda play: play.tell(e.CallPartial(step="a", attempt=1, value=1, left=("b",), rest=rest))


_BROKEN = {"landed": True}
_UNDO = {"undo": "undo"}
_LATE = {"visible_within_seconds": 60.0, "poll": True}
SCENES: tuple[tuple[str, str, Scene, dict[str, Any]], ...] = (
    ("ok", "", _after_call(_ok), {}),
    ("ok", "… and its answer breaks the schema", _after_call(_failed("invalid_output")), {}),
    ("ok", "… and is not enough", _after_call(_failed("insufficient", **_BROKEN)), {}),
    ("ok", "… and is not enough; there are `undo` and a fallback", _after_call(_failed("insufficient", **_BROKEN)), _UNDO),
    ("ok", "… and nobody can see it in its time", _after_call(_seen_late), _LATE),
    ("partial", "the other side does the rest", _after_call(_partial(None)), {}),
    ("partial", "another call does the rest", _after_call(_partial({"x": 2})), {}),
    ("deferred", "", _after_call(_deferred), {}),
    ("deferred", "the worker is killed while it waits", _after_call(_then_crash(_deferred)), {}),
    ("deferred", "the result is delivered", _after_call(_both(_deferred, _callback)), {}),
    ("deferred", "the other side says that it failed", _after_call(_both(_deferred, _callback_failed)), {}),
    ("deferred", "deadline over, `ask`", _after_call(_overdue), {}),
    ("deferred", "deadline over, `fail`", _after_call(_overdue), {"at_deadline": "fail"}),
    ("deferred", "deadline over, `repeat`", _after_call(_overdue), {"at_deadline": "repeat"}),
    ("deferred", "deadline over, `give_up`", _after_call(_overdue), {"at_deadline": "give_up"}),
    ("failed", "transient", _after_call(_failed("transient")), {}),
    ("failed", "transient, no attempt left", _after_call(_failed("transient", times=3)), {}),
    ("failed", "rate_limited, retry after 20 s", _after_call(_failed("rate_limited", retry_after_seconds=20.0)), {}),
    ("failed", "invalid_input, not_found, conflict, denied", _after_call(_failed("denied")), {}),
    ("unknown", "time-out, connection lost", _after_call(_unknown), {}),
    ("unknown", "the worker is killed before the outcome", _after_call(_then_crash(_nothing)), {}),
    ("unknown", "… and taken on after the key's life", _after_call(_then_crash(_nothing, after=7200.0)), {}),
    ("unknown", "probe: it happened", _after_call(_probed("happened")), {}),
    ("unknown", "probe: it did not, asked too early", _after_call(_probed("not_happened")), {}),
    ("unknown", "probe: it did not, for good", _after_call(_probed("not_happened", settled=True)), {}),
    ("unknown", "probe: not to be seen yet", _after_call(_probed("not_yet")), {}),
    ("unknown", "probe: cannot tell", _after_call(_probed("cannot_tell")), {}),
    ("unknown", "the result is delivered all the same", _after_call(_both(_unknown, _callback)), {}),
    ("not called", "its circuit is open", _held("circuit"), {"breaker": Breaker()}),
    ("not called", "its rate is used up", _held("rate"), {"rate": Rate(calls=1, per_seconds=60.0)}),
    ("the run stops", "a later step fails, `on_stop: keep`", _after_call(_then_a_later_one_fails), {**_UNDO, "on_stop": "keep"}),
    ("the run stops", "… `on_stop: undo`", _after_call(_then_a_later_one_fails), {"undo": "undo", "on_stop": "undo"}),
    ("the run stops", "… `on_stop: undo`, and the tool has none", _after_call(_then_a_later_one_fails), {"on_stop": "undo"}),
    ("the run stops", "… `on_stop: ask`", _after_call(_then_a_later_one_fails), {"undo": "undo", "on_stop": "ask"}),
    ("cancelled", "while the result is owed", _after_call(_then_cancelled(_deferred)), {}),
    ("cancelled", "while it is in doubt", _after_call(_then_cancelled(_unknown)), {}),
)  # fmt: skip


def outcome_rows() -> list[tuple[str, ...]]:
    """One row an outcome and fault; a cell a safety."""
    rows = []
    for outcome, fault, scene, promises in SCENES:
        cells = []
        for safety in SAFETIES:
            play = Play(safety, **promises)
            scene(play)
            cells.append(play.words())
        rows.append((outcome, fault, *cells))
    return rows
