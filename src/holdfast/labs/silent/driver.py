"""The driver of the lab `silent`: a desk where everything completes, and ten things that are wrong all the same, one at a time.

`check` decides how it ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from holdfast.labs.services import start_services
from holdfast.labs.silent.check import check, of_monitor
from holdfast.labs.silent.living import Desk, Lived
from holdfast.labs.silent.story import DAYS, FAULTS, NOTHING, READINGS_THAT_DAY, TRIPS_THAT_DAY
from holdfast.labs.workshop import Workshop

_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool) -> int:
    """Run the lab and print it; 0 when it is as it must be, else 1."""
    with Workshop(_HERE, (), directory=directory, keep=keep) as shop:
        shop.title("silent", seed)
        _introduce(shop)
        healthy, days = live(shop.directory, seed)
        _found(shop, days)
        _table(shop, healthy, days)
        problems = check(healthy, days)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS, problems)


_CLAIMS = (
    "Each monitor trips on the day with its fault, names its evidence, and is quiet on the same day without. But for the day on "
    "which no worker is there, every run of every day says completed.",
)


def live(directory: Path, seed: int) -> tuple[Lived, list[Lived]]:
    """The healthy weeks once, then the last day: as it should be, and with each fault."""
    with (
        start_services("drift", directory / "rooms", seed=seed) as rooms,
        start_services("runaway", directory / "office", seed=seed) as office,
    ):
        return asyncio.run(_live(Desk(seed, office, rooms), directory))


async def _live(desk: Desk, directory: Path) -> tuple[Lived, list[Lived]]:
    weeks = directory / "weeks.db"
    await desk.weeks(weeks)
    healthy = await desk.last_day(weeks, directory / "healthy.db", NOTHING)
    return healthy, [await desk.last_day(weeks, directory / f"{fault.name}.db", fault) for fault in FAULTS]


# --- what is shown of it ------------------------------------------------------------------------------------------


def _introduce(shop: Workshop) -> None:
    shop.heading(
        "The world: rooms, trains and an office on loopback, in processes of their own; a line that is drawn by the seed"
    )
    count = f"{TRIPS_THAT_DAY} trips and {READINGS_THAT_DAY} readings"
    shop.say(
        f"  {DAYS} healthy days are lived through once, on a clock that is told the time; then the last day, with",
        f"  {count}, in a copy of the store: once as it should be, and once with each fault.",
        f"  The stores are in {shop.directory}",
    )


def _found(shop: Workshop, days: Sequence[Lived]) -> None:
    shop.heading("What the monitors say in the evening")
    for lived in days:
        found = of_monitor(lived, lived.fault.monitor)
        others = Counter(one.monitor for one in lived.report.findings if one.monitor != lived.fault.monitor)
        shop.say("", f"  {lived.fault.what}; {lived.completed} of {lived.asked} runs say completed")
        for one in found[:1]:
            shop.paragraph(f"  {one.level:<8}", f"{one.monitor}, {one.about}: {one.what}")
            for seen in one.evidence[:2]:
                place = " ".join(filter(None, (seen.run, seen.step, f"#{seen.entry}" if seen.entry else "")))
                shop.paragraph("          ", f"{place}: {seen.what}" if place else seen.what)
        if others:
            shop.paragraph("  beside  ", ", ".join(f"{name} ({count})" for name, count in others.items()))


def _table(shop: Workshop, healthy: Lived, days: Sequence[Lived]) -> None:
    shop.heading("Each monitor, with its fault and without")
    rows: list[Sequence[object]] = [("monitor", "with the fault", "without")]
    for lived in days:
        found = of_monitor(lived, lived.fault.monitor)
        quiet = of_monitor(healthy, lived.fault.monitor)
        rows.append((lived.fault.monitor, _count(len(found)), _count(len(quiet))))
    shop.table(rows)


def _count(findings: int) -> str:
    return "quiet" if not findings else f"tripped, {findings}"
