"""What a person can do about a run that is handed over: the first thing, and how to go on after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from holdfast.core.state import State
from holdfast.views.handoff.records import Advice, OpenStep, UnknownStep
from holdfast.views.runs import Question
from holdfast.views.words import listed, moment

# What stands behind a decision in a command; the words in capitals are to be replaced.
MORE = {"edit": " NAME=VALUE", "reject": ' "WHY"', "respond": " RESULT"}
_Command = Callable[..., str]


def advice(
    state: State, not_done: Sequence[OpenStep], unknown: Sequence[UnknownStep], asked: Sequence[Question], now: float,
    command: _Command,
) -> Advice:  # fmt: skip
    """The first thing that a person can do. What nobody knows comes before what is to be decided, that before what is to be
    done."""
    about = {one.interrupt: one for one in asked}
    for one in unknown:
        if (question := about.get(one.interrupt)) is not None:
            then = command("answer", state.run_id, question.interrupt, "respond", ends=MORE["respond"])
            return Advice(means=f"Find out whether {one.step} happened. {one.find_out} If it did, give its result.", command=then)
    if state.ended:
        return _after_the_end(state, unknown)
    decisions = sorted((one for one in asked if one.about != "handoff"), key=lambda one: one.next_at or one.expires_at)
    if decisions:
        return _decide(state, decisions[0], command)
    mine = next((one for one in asked if one.about == "handoff"), None)
    if state.paused is not None:
        why = f"{state.paused.by} paused it" + (f": {state.paused.reason}" if state.paused.reason else "")
        return Advice(
            means=f"Let it go on, once the reason for the pause is gone ({why}).", command=command("resume", state.run_id)
        )
    if mine is not None:
        return _by_hand(state, mine, not_done, command)
    if unknown:
        return Advice(means=f"Wait: whether {listed(one.step for one in unknown)} happened is being found out.")
    if state.handoff is not None:
        return Advice(means=f"Wait until what is under way has ended; then {state.handoff.by} is asked how it goes on.")
    if state.pending:
        first = min(state.pending.values(), key=lambda one: one.until)
        whom = first.by or "the other side"
        return Advice(
            means=f"Ask {whom} for what {first.step} is owed, which is due by {moment(first.until)}; or wait for it.",
            command=command("pending", state.run_id),
        )
    return Advice(means="Nothing: the run goes on by itself.", command=command("watch", state.run_id))


def _after_the_end(state: State, unknown: Sequence[UnknownStep]) -> Advice:
    if unknown:
        return Advice(
            means=f"Find out whether {unknown[0].step} happened. {unknown[0].find_out} Nothing of it is repeated any more."
        )
    if state.pending:
        return Advice(means=f"Ask for what {listed(state.pending)} is still owed; the run does not wait for it any more.")
    if state.ended == "completed":
        return Advice(means="Nothing: the run is completed.")
    return Advice(
        means=f"The run is {state.ended} and does not go on. What is not done is to be done elsewhere, or by another run."
    )


def _decide(state: State, asked: Question, command: _Command) -> Advice:
    choices = "; ".join(f"{choice.decision}: {choice.means}" for choice in asked.choices)
    by = f", who must be {' or '.join(asked.who)}" if asked.who else ""
    question = asked.question if asked.question.rstrip().endswith(("?", ".", "!")) else f"{asked.question.rstrip()}."
    means = f"Decide about {asked.interrupt}{by}, by {moment(asked.expires_at)}: {question} DECISION is one of: {choices}."
    return Advice(means=means, command=command("answer", state.run_id, asked.interrupt, ends=" DECISION"))


def _by_hand(state: State, mine: Question, not_done: Sequence[OpenStep], command: _Command) -> Advice:
    """The first step that nothing keeps from being done, else to hand it back."""
    names = {one.step for one in not_done}
    left = [one for one in not_done if state.steps[one.step].phase in ("ready", "blocked", "waiting", "diagnosis")]
    first = next((one for one in left if names.isdisjoint(state.steps[one.step].reads)), None)
    if first is None:
        means = f"Hand the run back, so that it goes on from here, by {moment(mine.expires_at)}."
        return Advice(means=means, command=command("answer", state.run_id, mine.interrupt, "approve"))
    means = (
        f"Do {first.step} by hand: what {first.tool} would do with {first.args}; then mark it as done with its result. "
        "Or hand the run back, and it does that itself."
    )
    return Advice(means=means, command=command("done", state.run_id, first.step, ends=" RESULT"))


def ways(state: State, not_done: Sequence[OpenStep], asked: Sequence[Question], command: _Command) -> Iterator[Advice]:
    """How to go on, whatever comes first."""
    run = state.run_id
    yield Advice(means="how it stands now", command=command("show", run))
    if state.ended:
        return
    for one in asked:
        for choice in one.choices:
            line = command("answer", run, one.interrupt, choice.decision, ends=MORE.get(choice.decision, ""))
            yield Advice(means=f"{one.interrupt}: {choice.means}", command=line)
    if any(state.steps[one.step].phase not in ("failed", "skipped") for one in not_done):
        yield Advice(
            means="a step was done by hand, and this is its result (JSON)", command=command("done", run, ends=" STEP RESULT")
        )
    yield Advice(means="this is so, whatever the run believes", command=command("correct", run, ends=" NAME=VALUE"))
    if state.thinking is not None:
        yield Advice(means="how it is to go on", command=command("instruct", run, ends=' "TEXT"'))
    if state.paused is not None:
        yield Advice(means="the pause is over", command=command("resume", run))
    elif state.handoff is None:
        yield Advice(means="nothing new begins for now", command=command("pause", run))
    yield Advice(means="stop it", command=command("cancel", run))
