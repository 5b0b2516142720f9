"""Is it as it must be? Each monitor trips with its fault, and is quiet without."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.labs.silent.living import Lived
from holdfast.monitors import Finding


def of_monitor(lived: Lived, monitor: str) -> list[Finding]:
    """What one monitor found."""
    return [one for one in lived.report.findings if one.monitor == monitor]


def check(healthy: Lived, days: Sequence[Lived]) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [f"on a healthy day {one.monitor} says of {one.about}: {one.what}" for one in healthy.report.findings]
    if healthy.completed != healthy.asked:
        problems.append(f"on a healthy day {healthy.completed} of {healthy.asked} runs completed")
    for lived in days:
        found = of_monitor(lived, lived.fault.monitor)
        if not found:
            problems.append(f"{lived.fault.monitor} is quiet, though {lived.fault.what}")
        problems += [f"{one.monitor} names no evidence" for one in found if not one.evidence]
        if not lived.fault.absent and lived.completed != lived.asked:
            problems.append(f"{lived.completed} of {lived.asked} runs completed, where it was to be silent: {lived.fault.what}")
    return problems
