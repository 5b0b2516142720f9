"""Ask or infer: what is not known is weighed, the cost of asking against the cost of being wrong."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from holdfast.core.thinking import Asking, Question


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a person is asked, and why."""

    ask: bool
    why: str


def asking_for(name: str, asking: Mapping[str, Asking]) -> Asking:
    """The policy for a name: its own, else the one for all others, else to weigh."""
    return asking.get(name) or asking.get("") or Asking()


def weigh(question: Question, asking: Asking) -> Weighed:
    """Ask, or take the guess. A confidence that is no share of one counts as none."""
    if asking.policy == "always":
        return Weighed(ask=True, why="a person is always asked for it")
    if not question.has_guess:
        return Weighed(ask=True, why="there is nothing to take instead")
    if asking.policy == "never":
        return Weighed(ask=False, why="nobody is ever asked for it")
    confidence = question.confidence if 0.0 <= question.confidence <= 1.0 else 0.0
    risk = (1.0 - confidence) * asking.cost_of_wrong
    said = f"wrong at {1 - confidence:.0%}, times {asking.cost_of_wrong:g}, is {risk:.3g}; asking costs {asking.cost_of_asking:g}"
    return Weighed(ask=risk > asking.cost_of_asking, why=said)
