"""Which monitors there are: the name of each, what it means, and the thresholds that a user can change."""

from __future__ import annotations

from typing import Literal

import msgspec

DAY = 86_400.0
Kind = Literal["share", "count", "factor", "usd", "seconds"]
Of = Literal["agent", "tool", "store"]


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A number of a monitor that can be changed. kind: share from 0 to 1; count, a whole number; factor, at least 1; usd;
    seconds, which may be written as a length of time."""

    name: str
    means: str
    usual: float
    kind: Kind = "count"


class Monitor(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is looked at. of: what its thresholds can be changed for, beside all."""

    name: str
    means: str
    of: Of
    thresholds: tuple[Threshold, ...] = ()


def _share(name: str, usual: float, means: str) -> Threshold:
    return Threshold(name=name, means=means, usual=usual, kind="share")


def _count(name: str, usual: int, means: str) -> Threshold:
    return Threshold(name=name, means=means, usual=float(usual))


def _factor(name: str, usual: float, means: str) -> Threshold:
    return Threshold(name=name, means=means, usual=usual, kind="factor")


def _usd(name: str, usual: float, means: str) -> Threshold:
    return Threshold(name=name, means=means, usual=usual, kind="usd")


def _seconds(name: str, usual: float, means: str) -> Threshold:
    return Threshold(name=name, means=means, usual=usual, kind="seconds")


_RUNS = _count("runs_min", 20, "so many earlier runs of the agent are needed to say what is usual")
_FAR = "and so many times as far from the median, as a ratio, as nine of ten earlier runs stay"
_SPREADS = _factor("spreads", 3.0, _FAR)
_CALLS = (
    _count("calls_min", 20, "so many calls in the window are needed"),
    _count("past_min", 50, "so many calls in the past are needed"),
)

EMPTY_RESULT = Monitor(
    name="empty_result",
    means="a run says completed, and its result, or a part of it, is empty or far smaller than its agent's runs usually have",
    of="agent",
    thresholds=(
        _share(
            "share", 0.2, "a result, or a part of it, is thin where it has less than this share of the median of earlier ones"
        ),
        _SPREADS,
        _RUNS,
        _share("usually_empty", 0.5, "an empty result is no finding where so many of the earlier ones were empty too"),
    ),
)
GOAL_CHECK_FAILS = Monitor(
    name="goal_check_fails",
    means="a run says completed, and its goal does not count as reached: by its own acceptance, by a check of yours, or by steps "
    "that are flagged, done in part, or unknown",
    of="agent",
    thresholds=(_count("refusals", 2, "a result that was refused so often before it was accepted is a warning; 0: never"),),
)
SKIPPED_TOO_MUCH = Monitor(
    name="skipped_too_much",
    means="a run says completed, and much of its plan was skipped or done another way",
    of="agent",
    thresholds=(_share("share", 0.3, "of the steps of its plan"), _count("steps", 1, "and at least so many steps")),
)
TOOL_SUCCESS_DRIFT = Monitor(
    name="tool_success_drift",
    means="a tool fails more often than it did",
    of="tool",
    thresholds=(
        _share("drop", 0.1, "the share of calls that succeed is lower by so much, and the intervals of both (99 %) do not touch"),
        *_CALLS,
    ),
)
TOOL_LATENCY_DRIFT = Monitor(
    name="tool_latency_drift",
    means="a tool takes longer than it did",
    of="tool",
    thresholds=(
        _factor("factor", 1.5, "the median, or the 95th of 100, is so many times what it was; the intervals (99 %) do not touch"),
        _seconds("seconds", 0.1, "and longer by so much"),
        *_CALLS,
    ),
)  # fmt: skip
TOOL_COST_DRIFT = Monitor(
    name="tool_cost_drift",
    means="a tool, or a model, costs more than it did",
    of="tool",
    thresholds=(
        _factor("factor", 1.25, "the median cost of a call is so many times what it was, and the intervals (99 %) do not touch"),
        _usd("usd", 0.001, "and more by so many dollars"),
        *_CALLS,
    ),
)
RETRIED_TOO_OFTEN = Monitor(
    name="retried_too_often",
    means="steps are tried again far more often than was usual for their tool, or a run needed far more attempts than its "
    "agent's runs do",
    of="tool",
    thresholds=(
        _share("rise", 0.15, "of a tool: the share of its steps tried again is higher by so much; the intervals do not touch"),
        _count("steps_min", 20, "so many steps in the window are needed"),
        _count("past_min", 50, "so many steps in the past are needed"),
        _factor("factor", 3.0, "of a run: its attempts for each step are so many times the median of earlier runs"),
        _count("attempts_min", 6, "and it made at least so many attempts"),
        _SPREADS,
        _RUNS,
    ),
)  # fmt: skip
PARKED_PAST_DEADLINE = Monitor(
    name="parked_past_deadline",
    means="something waits past its time: a run, a question, something that is owed, a schedule",
    of="store",
    thresholds=(_seconds("grace", 900.0, "for so long after its time nothing is said: workers look only now and then"),),
)
BELIEF_AND_WORLD_APART = Monitor(
    name="belief_and_world_apart",
    means="what runs believed and what was found differ: facts observed to be otherwise, results that did not do after the tool "
    "said ok, failed calls that had happened, late deliveries, wrong guesses; and completed runs that rest on what was known to "
    "be wrong",
    of="agent",
    thresholds=(
        _share("rise", 0.15, "the share of runs with it is higher than it was by so much, and the intervals (99 %) do not touch"),
        _share("share", 0.1, "where too little of the past is known: that share is surely higher (the low end of its interval)"),
        _RUNS,
    ),
)  # fmt: skip
COST_RUNAWAY = Monitor(
    name="cost_runaway",
    means="a run cost far more than its agent's runs usually do",
    of="agent",
    thresholds=(
        _factor("factor", 4.0, "so many times the median of earlier runs"),
        _usd("usd", 0.05, "and more than that median by so many dollars"),
        _factor("spreads", 4.0, _FAR),
        _RUNS,
    ),
)
RUBBER_STAMPING = Monitor(
    name="rubber_stamping",
    means="people approve unread, or too fast, or leave ever more open; see `holdfast figures`, which has the thresholds",
    of="store",
)

MONITORS: tuple[Monitor, ...] = (
    EMPTY_RESULT, GOAL_CHECK_FAILS, SKIPPED_TOO_MUCH, TOOL_SUCCESS_DRIFT, TOOL_LATENCY_DRIFT, TOOL_COST_DRIFT, RETRIED_TOO_OFTEN,
    PARKED_PAST_DEADLINE, BELIEF_AND_WORLD_APART, COST_RUNAWAY, RUBBER_STAMPING,
)  # fmt: skip
BY_NAME = {monitor.name: monitor for monitor in MONITORS}
NAMES = tuple(BY_NAME)
