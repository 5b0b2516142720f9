"""`holdfast`: all commands."""

from __future__ import annotations

from holdfast.cli import (
    allowing,
    archiving,
    checking,
    comparing,
    directory,
    evaluating,
    forking,
    inbox,
    judgement,
    keeping,
    lab,
    looking,
    memory,
    monitors,
    owed,
    people,
    replaying,
    running,
    schedule,
    steering,
    telemetry,
    timeline,
    watching,
    working,
)
from holdfast.cli.group import begin, made

ROOMS = (
    running, working, looking, comparing, timeline, replaying, forking, watching, inbox, people, steering, owed, directory,
    allowing, judgement, monitors, telemetry, archiving, keeping, schedule, memory, evaluating, checking, lab,
)  # fmt: skip
app = made(ROOMS)


def main() -> None:
    """The entry point, with all commands at hand."""
    begin(ROOMS)


if __name__ == "__main__":
    main()
