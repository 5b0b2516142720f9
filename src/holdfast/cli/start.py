"""Where a command line begins: only the room of the command that is named is loaded, for the others cost more than most
commands do. Help, and what is no command, needs them all."""

from __future__ import annotations

import gc
import importlib
import sys

from holdfast.cli.group import begin

# The commands of each room. A test compares it with what the rooms register.
COMMANDS: dict[str, tuple[str, ...]] = {
    "running": ("run",),
    "working": ("work",),
    "looking": ("runs", "show", "verify"),
    "comparing": ("diff",),
    "timeline": ("timeline",),
    "replaying": ("replay",),
    "forking": ("fork",),
    "watching": ("watch",),
    "inbox": ("inbox",),
    "people": ("answer", "correct", "goal", "cancel"),
    "steering": ("pause", "resume", "instruct", "handoff", "done"),
    "owed": ("pending", "callback", "signal", "gates"),
    "directory": ("people",),
    "allowing": ("allow", "allowed", "revoke"),
    "judgement": ("figures", "what-if", "audit"),
    "monitors": ("monitors",),
    "telemetry": ("metrics",),
    "schedule": ("schedule",),
    "memory": ("memory",),
    "archiving": ("export", "import"),
    "keeping": ("prune", "backup", "doctor"),
    "evaluating": ("eval",),
    "checking": ("check", "schema"),
    "lab": ("lab",),
}
ROOM_OF = {name: room for room, names in COMMANDS.items() for name in names}


def main() -> None:
    """The entry point."""
    room = ROOM_OF.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if room is not None:
        gc.disable()  # What is loaded at the start stays; to look for garbage in it costs a tenth of the start.
        found = importlib.import_module(f"holdfast.cli.{room}")
        gc.enable()
        begin([found])
    elif sys.argv[1:] == ["--version"]:
        begin([])
    else:
        importlib.import_module("holdfast.cli.main").main()


if __name__ == "__main__":
    main()
