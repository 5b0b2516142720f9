"""`lab`: the stories that holdfast lives through, with small real services on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import DONE, examples
from holdfast.cli.text import put


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("lab", epilog=EXAMPLES)(lab)


EXAMPLES = examples("holdfast lab", "holdfast lab onboarding", "holdfast lab payment --seed 7 --dir /tmp/payment")


def lab(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which story; without one they are listed.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same faults each time.")] = 1,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where it keeps its files; a new one by default.", show_default=False),
    ] = None,
) -> int:
    """Run a story with faults and a crash, and check what the world saw."""
    from holdfast import labs

    if name is None:
        for known in labs.names():
            put(known)
        return DONE
    return labs.run_lab(name, directory=directory, seed=seed)
