"""`monitors`: what says that it is done and is not, what gets worse, and what nobody looks at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from holdfast.cli.options import DONE, FAILED, MONITORS_VARIABLE, AsJson, Db, examples, in_store, wrong
from holdfast.cli.text import put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.monitors import Report, Settings

# What a notifier that is started for this alone sends at once, and how long it may take.
SENDS, SEND_SECONDS = 64, 30.0


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("monitors", epilog=EXAMPLES)(monitors)


EXAMPLES = examples(
    "holdfast monitors",
    "holdfast monitors --since 7d --agent refunds",
    "holdfast monitors --explain                       # what each of them means, and its thresholds",
    "holdfast monitors --settings monitors.yaml --notify --fail-on warning",
    "holdfast monitors --json | jq 'select(.finding) | .finding.what'",
)


def monitors(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="The window: 24h, or as the settings say.", show_default=False),
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only of its runs.", show_default=False)] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", envvar=MONITORS_VARIABLE, metavar="FILE", help="Thresholds, and what is off.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many runs are read at most.")] = 2000,
    fail_on: Annotated[
        Literal["broken", "warning", "never"], typer.Option("--fail-on", help="From which level on the exit code is 1.")
    ] = "broken",
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell the channels what was not told before; see `holdfast work`.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="List the monitors with the thresholds in force.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Find what fails in silence.

    Runs that say completed and are not, tools that get worse than they were, what waits past its time, belief and world apart:
    each by a rule with a name, thresholds of yours (--settings), and evidence. The window is held against the 30 days before
    it. Nothing is called.

    The exit code is 1 where something is broken. With --json each line holds a `finding`, what is `unjudged` yet, or what was
    `looked` at.
    """
    from holdfast.cli import render_monitors
    from holdfast.monitors.settings import USUAL, load

    chosen = load(settings) if settings is not None else USUAL
    if since is not None:
        chosen = _with_window(chosen, since)
    if explain:
        render_monitors.explained(chosen, agent, json)
        return DONE

    async def go(app: Holdfast) -> int:
        from holdfast.monitors import look
        from holdfast.runner.clock import SystemClock

        report = await look(app.journal, SystemClock().now(), chosen, agent=agent, limit=limit)
        if json:
            put_json({"finding": one} for one in report.findings)
            put_json({"unjudged": one} for one in report.unjudged)
            put_json([{"looked": render_monitors.looked(report)}])
        else:
            render_monitors.report(report, db)
        if notify:
            await _notify(app, report)
        return _code(report, fail_on)

    return in_store(db, go)


def _with_window(settings: Settings, since: str) -> Settings:
    import msgspec

    from holdfast.cli.given import past
    from holdfast.runner.clock import SystemClock

    now = SystemClock().now()
    began = past(since, now, "--since")
    assert began is not None
    if began >= now:
        wrong(f"--since {since!r} is not past", "write it as 24h, 7d, or as 2026-12-01T09:00Z")
    return msgspec.structs.replace(settings, window_seconds=now - began)


def _code(report: Report, fail_on: str) -> int:
    levels = {"broken": {"broken"}, "warning": {"broken", "warning"}}.get(fail_on, set())
    return FAILED if any(one.level in levels for one in report.findings) else DONE


async def _notify(app: Holdfast, report: Report) -> None:
    """Keep what was found for the channels, and send it where they are named here."""
    from holdfast.monitors import notices
    from holdfast.notify.outbox import Notifier
    from holdfast.notify.settings import channels_from
    from holdfast.runner.clock import SystemClock

    clock = SystemClock()
    channels = channels_from(os.environ)
    await app.journal.tell(notices(report.findings, clock.now()))
    if channels:
        notifier = Notifier(app.journal, channels, clock, parallel_sends=SENDS, stop_seconds=SEND_SECONDS)
        notifier.stop()  # Once what is due, and an end.
        await notifier.run()
        say(f"told {', '.join(channel.name for channel in channels)} what was not told before")
    else:
        say("no channel is named here; a worker that has one tells it (HOLDFAST_WEBHOOK_URL, see docs/notifications.md)")
