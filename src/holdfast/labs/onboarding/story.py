"""Who meets which fault, and where the worker is killed: drawn from the seed, so that a run of the lab can be had again."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLS = ("orders", "vpn", "mailbox", "mail")
"""The services in the middle of whose effects the worker may be killed."""

KILL_MAILBOX_SECONDS = 3.5
"""How long that answer is held where the kill comes in the middle of it: less than the tool waits."""

SLOW_MAILBOX_SECONDS = 1.2
"""How long the mailbox service lets the killed hire wait: by then the lost order has timed out and been looked up."""

SILENT_DUE_SECONDS = 3.0
"""For when the background check that never comes is promised. That of the others is promised for much later."""


@dataclass(frozen=True, kw_only=True)
class Hire:
    user: str
    name: str
    laptop: str

    @property
    def run_id(self) -> str:
        return f"hire-{self.user}"

    @property
    def address(self) -> str:
        return f"{self.user}@corp.test"


@dataclass(frozen=True, kw_only=True)
class Story:
    hires: tuple[Hire, ...]
    lost: Hire
    """Whose laptop order the shop takes without ever answering."""
    down: Hire
    """For whom the shop is down."""
    killed: Hire
    """In the middle of whose effect the worker is killed."""
    kill_at: str
    """The service that has done the effect then, and has not answered."""
    early: Hire
    """Whose background check is brought back before its request is answered."""
    late: Hire
    """Whose background check is brought back when the worker is dead."""
    twice: Hire
    """Whose background check is brought back twice."""
    silent: Hire
    """Whose background check never comes."""

    @property
    def faults(self) -> dict[str, Any]:
        """What the services are told."""
        return {
            "vpn_down_times": 2,
            "lost_answer_for": [self.lost.user],
            "lost_after_seconds": 5.0,
            "down_for": [self.down.user],
            "checked_early": [self.early.user],
            "checked_late": [self.late.user],
            "checked_twice": [self.twice.user],
            "never_checked": [self.silent.user],
            "silent_due_seconds": SILENT_DUE_SECONDS,
        }

    @property
    def kill_subject(self) -> str:
        return self.killed.address if self.kill_at == "mail" else self.killed.user


def story_of(seed: int, hires_file: Path) -> Story:
    """The story of a seed: three different hires of the file for the faults of the services that answer, and one service for
    the kill; four different ones for the faults of the one that calls back."""
    with hires_file.open(encoding="utf-8", newline="") as file:
        hires = tuple(Hire(**row) for row in csv.DictReader(file))
    draw = random.Random(seed)
    lost, down, killed = draw.sample(hires, 3)
    kill_at = draw.choice(KILLS)
    # One question for each of the two that end with one.
    early, late, twice, silent = draw.sample([hire for hire in hires if hire != down], 4)
    return Story(
        hires=hires, lost=lost, down=down, killed=killed, kill_at=kill_at, early=early, late=late, twice=twice, silent=silent
    )
