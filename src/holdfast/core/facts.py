"""What a run believes: a small graph of facts, each of which knows where it comes from, how old it is and what it rests on.

A fact rests on other facts and on steps. When one is corrected, superseded by another value, or expires, what rests on it is
invalidated, and nothing else.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Source = Literal["told", "observed", "inferred", "remembered"]
# Who is believed over whom: a guess does not overwrite what was seen or said.
RANK: dict[Source, int] = {"inferred": 0, "remembered": 1, "observed": 2, "told": 3}


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the run believes.

    source, by: where it comes from, and who or what said so (a person, a step, a model, an earlier run). at: when it was so,
    in seconds since the epoch. ttl_seconds: how long it stays true; None for ever. confidence: 0 to 1. rests_on: names of
    facts, and of steps as `steps.ID`. confirmed_by: the person who said that an inferred one is so. stale: it is not believed
    until it is observed again. pinned: a person corrected it, and no guess of a model or of a memory changes it.
    """

    name: str
    value: Any = None
    source: Source = "told"
    by: str = ""
    at: float = 0.0
    ttl_seconds: float | None = None
    confidence: float = 1.0
    rests_on: tuple[str, ...] = ()
    basis: str = ""
    confirmed_by: str = ""
    stale: bool = False
    pinned: bool = False

    def is_fresh(self, now: float) -> bool:
        """Whether it may be acted on."""
        return not self.stale and (self.ttl_seconds is None or now < self.at + self.ttl_seconds)


class Drift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The world is not as it was believed to be."""

    name: str
    believed: Any = None
    observed: Any = None
    source: Source = "observed"
