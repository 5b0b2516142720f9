"""When what ends now began: the times at which this worker committed intents, until their outcomes are committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.core import events as e
from holdfast.runner.observing import Committed
from holdfast.telemetry.plain import Plain

# Intents that are remembered at once; a run that another worker took over leaves its own behind, and the oldest go first.
INTENTS_MAX = 100_000

Key = tuple[str, str, int]


def _call(run_id: str, event: Any) -> Key:
    return run_id, event.step, event.attempt


def _probe(run_id: str, event: Any) -> Key:
    return run_id, f"?{event.step}", event.probe


def _turn(run_id: str, event: Any) -> Key:
    return run_id, "", event.turn


_OfEvent = Callable[[str, Any], Key]
_INTENTS: Mapping[type, _OfEvent] = {e.CallIntended: _call, e.ProbeIntended: _probe, e.ProposalRequested: _turn}
_OUTCOMES: Mapping[type, _OfEvent] = {
    **dict.fromkeys((e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown), _call),
    e.ProbeAnswered: _probe,
    **dict.fromkeys((e.ModelAnswered, e.ModelFailed, e.ModelCallLost, e.PlanAdopted, e.PlanKept, e.ProposalFailed), _turn),
    **dict.fromkeys((e.QuestionsProposed, e.GoalInterpreted, e.FinishProposed, e.GiveUpProposed), _turn),
}


class Intents:
    """Remembers intents. For one thread."""

    def __init__(self) -> None:
        self._at: dict[Key, float] = {}

    def of(self, commit: Committed) -> dict[int, float]:
        """For each outcome of a commit, by its place in the events, when its intent was committed; what another worker intended
        is not in it."""
        found: dict[int, float] = {}
        ended: dict[Key, float] = {}
        for place, event in enumerate(commit.events):
            what = _INTENTS.get(type(event))
            if what is not None:
                self._remember(what(commit.run_id, event), commit.at)
            elif (what := _OUTCOMES.get(type(event))) is not None:
                key = what(commit.run_id, event)
                at = self._at.pop(key, None)
                if at is not None:
                    found[place] = ended[key] = at
                elif key in ended:  # What a model said, and what it proposes, are of one request.
                    found[place] = ended[key]
        return found

    def plain(self, commit: Plain) -> float | None:
        """When the call of a plain commit was intended; None where another worker did that."""
        run_id = commit.run_id
        at = self._at.pop((run_id, commit.step, commit.attempt), None)
        for step, attempt in commit.intended:
            self._remember((run_id, step, attempt), commit.at)
        return at

    def _remember(self, key: Key, at: float) -> None:
        if len(self._at) >= INTENTS_MAX:
            for old in list(self._at)[: INTENTS_MAX // 2]:
                del self._at[old]
        self._at[key] = at
