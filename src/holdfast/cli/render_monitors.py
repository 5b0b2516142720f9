"""What monitors found, and what they are, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.cli.drawing import REASON_MAX, minute, styled
from holdfast.cli.options import command
from holdfast.cli.text import one_line, put, put_json, say
from holdfast.monitors.catalog import MONITORS
from holdfast.views import amount, cut, span
from holdfast.views.words import shares

if TYPE_CHECKING:
    from holdfast.monitors import Evidence, Finding, Monitor, Report, Settings, Threshold

EVIDENCE_SHOWN = 3
UNJUDGED_SHOWN = 3
_STYLES = {"broken": "red", "warning": "yellow"}


def report(found: Report, db: str) -> None:
    """Findings in blocks, what is broken first; what was looked at goes to stderr."""
    for one in found.findings:
        _finding(one, db)
    for line in _foot(found):
        say(line)


def _finding(one: Finding, db: str) -> None:
    styled((f"{one.level:<7}  ", _STYLES[one.level]), (one.monitor, "bold"), (f"  {one_line(one.about)}", "cyan"))
    put(f"  {one_line(cut(one.what, REASON_MAX))}")
    for seen in one.evidence[:EVIDENCE_SHOWN]:
        if seen.run and (seen.what not in one.what or len(one.evidence) > 1 or seen.entry is not None):
            put(f"    {_place(seen)}  {one_line(cut(seen.what))}")
    if len(one.evidence) > EVIDENCE_SHOWN:
        put(f"    and {len(one.evidence) - EVIDENCE_SHOWN} more; --json has them")
    if one.run:
        put(f"    {command(db, 'show', one.run)}")


def _place(seen: Evidence) -> str:
    """Where it can be seen: `order-7 pay #31`."""
    return " ".join(filter(None, (one_line(seen.run), one_line(seen.step), "" if seen.entry is None else f"#{seen.entry}")))


def _foot(found: Report) -> list[str]:
    window = found.window
    broken = sum(one.level == "broken" for one in found.findings)
    count = f"{broken} broken, {len(found.findings) - broken} warnings" if found.findings else "nothing found"
    lines = [
        f"{count}; {found.runs} runs looked at since {minute(window.since)}, and {span(window.since - window.past)} before it"
    ]
    if found.cut:
        lines.append(f"of {found.of} runs only {found.runs} were read; --limit {found.of} reads all")
    if found.unreadable:
        lines.append(f"the journals of these cannot be read: {', '.join(map(one_line, found.unreadable[:10]))}")
    if found.unjudged:
        named = "; ".join(
            f"{one.monitor} of {one_line(one.about)} ({one_line(one.why)})" for one in found.unjudged[:UNJUDGED_SHOWN]
        )
        more = (
            f"; and {len(found.unjudged) - UNJUDGED_SHOWN} more, --json has them" if len(found.unjudged) > UNJUDGED_SHOWN else ""
        )
        lines.append(f"too little is known yet for {named}{more}")
    return lines


def looked(found: Report) -> dict[str, Any]:
    """What was looked at, for machines."""
    window = found.window
    return {
        "past": window.past, "since": window.since, "until": window.until, "runs": found.runs, "of": found.of, "cut": found.cut,
        "unreadable": found.unreadable,
    }  # fmt: skip


# --- what they are ----------------------------------------------------------------------------------------------------


def explained(settings: Settings, agent: str | None, json: bool) -> None:
    """Each monitor: its meaning, and the thresholds in force (of an agent, where one is named)."""
    if json:
        put_json(_explained(monitor, settings, agent or "") for monitor in MONITORS)
        return
    put(f"looked at: the last {span(settings.window_seconds)}, held against the {span(settings.past_seconds)} before them")
    for monitor in MONITORS:
        off = "" if settings.looks(monitor, agent=agent or "") else "  (off)"
        styled((monitor.name, "bold"), (off, "dim"))
        put(f"  {monitor.means}")
        values = settings.of(monitor, agent=agent or "")
        width = max((len(threshold.name) for threshold in monitor.thresholds), default=0)
        for threshold in monitor.thresholds:
            put(f"    {threshold.name.ljust(width)}  {_value(threshold, values[threshold.name]):>6}  {threshold.means}")
        if monitor.name == "goal_check_fails":
            for name, own in sorted(settings.agents.items()):
                if own.check and agent in (None, name):
                    put(f"    check of {one_line(name)}: {one_line(own.check)}")


def _explained(monitor: Monitor, settings: Settings, agent: str) -> dict[str, Any]:
    checks = {name: own.check for name, own in settings.agents.items() if own.check and agent in ("", name)}
    return {
        "monitor": monitor.name,
        "means": monitor.means,
        "on": settings.looks(monitor, agent=agent),
        "thresholds": settings.of(monitor, agent=agent),
    } | ({"checks": checks} if monitor.name == "goal_check_fails" and checks else {})


def _value(threshold: Threshold, value: float) -> str:
    match threshold.kind:
        case "share":
            return shares(value)
        case "seconds":
            return span(value)
        case "usd":
            return f"${amount(value)}"
        case "factor":
            return f"{amount(value)}x"
        case _:
            return amount(value)
