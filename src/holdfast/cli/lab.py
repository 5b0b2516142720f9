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


EXAMPLES = examples(
    "holdfast lab",
    "holdfast lab onboarding",
    "holdfast lab approvals --out chart.svg",
    "holdfast lab payment --said not-happened --dir /tmp/payment",
    "holdfast lab runaway --model anthropic:claude-sonnet-4-5",
)


def lab(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which story; without one they are listed.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Who meets which fault, and when the worker is killed.")] = 7,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where it keeps its files; a new one by default.", show_default=False),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave its files there, also where nothing is left to do in them.")
    ] = False,
    said: Annotated[
        str | None,
        typer.Option(
            "--said",
            metavar="WORD",
            help="With payment, what the person says: happened, not-happened or never-sent.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="What thinks, as provider:name; it costs money. A script by default, or `scripted`, which is free.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="With approvals, where its chart goes, as SVG.", show_default=False),
    ] = None,
) -> int:
    """Run a story with faults and a crash.

    At its end it is checked what the world saw, by the ledger of the services and not by the agent's own words. No model and no
    key is needed.
    """
    from holdfast.labs import LABS, run_lab

    if name is None:
        width = max(map(len, LABS))
        for known, story in LABS.items():
            put(f"{known.ljust(width)}  {story}")
        return DONE
    return run_lab(name, directory=directory, seed=seed, keep=keep, said=said, model=model, out=out)
