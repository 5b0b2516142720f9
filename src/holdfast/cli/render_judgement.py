"""Figures of people's judgement, and what another policy would have done, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli.drawing import Cell, styled, table
from holdfast.cli.options import command
from holdfast.cli.text import one_line, put
from holdfast.views import amount, span

if TYPE_CHECKING:
    from holdfast.figures import Alarm, Figure, Side, Suggestion, WhatIf
    from holdfast.figures.what_if import RuleSide

# --- figures ------------------------------------------------------------------------------------------------------


def figures(found: Sequence[Figure]) -> None:
    """The table of `holdfast figures`."""
    by = found[0].by
    headers = (
        by, "asked", "sampled", "passed", "blocked", "approved", "in advance", "overridden", "edited", "silence", "median",
        "under 5s", "in bulk", "open",
    )  # fmt: skip
    table(headers, map(_figure_cells, found))


def _figure_cells(one: Figure) -> tuple[Cell, ...]:
    return (
        (_name(one), "bold"),
        (str(one.asked or ""), ""),
        (str(one.sampled or ""), ""),
        (str(one.passed or ""), "dim"),
        (str(one.blocked or ""), "red"),
        (str(one.approved or ""), "green"),
        (str(one.standing or ""), ""),
        (_overridden(one), "yellow"),
        (str(one.edited or ""), ""),
        (str(one.expired or ""), ""),
        ("" if one.decide_seconds_median is None else _rough(one.decide_seconds_median), ""),
        (f"{one.quick} of {one.quick_of}" if one.quick_of else "", "red" if 2 * one.quick > one.quick_of else ""),
        (str(one.bulk or ""), ""),
        (_open(one), "cyan"),
    )


def _name(one: Figure) -> str:
    name = one.name or {"rule": "(no rule)", "tool": "(no tool)", "policy": "(no policy)"}.get(one.by, "(nobody)")
    return f"{name} ({one.policy})" if one.policy else name


def _overridden(one: Figure) -> str:
    if one.override_rate is None or one.override_interval is None:
        return ""
    low, high = one.override_interval.low, one.override_interval.high
    return f"{one.overridden} of {one.weighed}: {one.override_rate:.0%} ({low:.0%} to {high:.0%})"


def _open(one: Figure) -> str:
    if not one.open or one.open_seconds_median is None or one.open_seconds_max is None:
        return ""
    ages = f"for {_rough(one.open_seconds_median)}"
    if one.open > 1:
        ages = f"half for {_rough(one.open_seconds_median)}, up to {_rough(one.open_seconds_max)}"
    return f"{one.open}, {ages}"


def _rough(seconds: float) -> str:
    return span(seconds if seconds < 10 else float(round(seconds)))


def alarms(found: Iterable[Alarm]) -> None:
    """What somebody should look at, a line each."""
    for place, one in enumerate(found):
        if not place:
            put()
        styled((f"  {_ALARMS.get(one.kind, one.kind):<13}  ", "red"), (one_line(one.what), ""))


_ALARMS = {"rubber_stamp": "rubber stamp", "too_fast": "too fast", "queue_grows": "queue grows"}


def suggestions(found: Iterable[Suggestion]) -> None:
    """What the record suggests, with how sure that is."""
    for place, one in enumerate(found):
        if not place:
            put()
        name = f"{one.rule} ({one.policy})" if one.policy else one.rule
        styled((f"  suggestion     {one_line(name)}: ", "cyan"), (one_line(one.what), ""))
        styled((f"                 {one_line(one.sure)}", "dim"))
        if one.caution:
            styled((f"                 but {one_line(one.caution)}", "yellow"))


# --- what if ------------------------------------------------------------------------------------------------------


def what_if(found: WhatIf, db: str) -> None:
    """`holdfast what-if`: what was beside what would be, and what people had decided of it."""
    left = f"; {found.left_out:,} left out that are about neither a call nor a plan" if found.left_out else ""
    styled((one_line(found.policy), "bold"), (f"  over {found.rows:,} recorded rulings{left}", ""))
    put()
    table(("", "recorded", "would be"), _sides(found.recorded, found.proposed), indent=2)
    put()
    for words, style in _people(found):
        styled((f"  {words}", style))
    if found.rules:
        put()
        headers = ("rule", "asks", "by draw", "passes", "blocks", "cannot tell", "catches", "lets through", "saves")
        table(headers, map(_rule_cells, found.rules), indent=2)
    for place, one in enumerate(found.examples):
        if not place:
            put()
        of = f" of {amount(one.amount)}" if one.amount is not None else ""
        where = command(db, "show", one.run_id)
        what = f"{one.tool or one.step}{of}, {_SAID[one.decision]} then, by rule {one.rule}"
        styled((f"  let through: {one_line(what)}", ""), (f"   {where}", "dim"))


_SAID = {"reject": "rejected", "edit": "edited", "respond": "done otherwise", "cancel": "cancelled"}


def _sides(recorded: Side, proposed: Side) -> Iterable[tuple[Cell, ...]]:
    for words, name in _SIDES.items():
        was, would = getattr(recorded, name), getattr(proposed, name)
        if was or would:
            yield (words, ""), (f"{was:,}", ""), (f"{would:,}", "bold" if was != would else "")


_SIDES = {
    "a person is asked": "asked",
    "… of these by a draw": "sampled",
    "nobody is asked": "not_asked",
    "blocked": "blocked",
    "cannot be told": "cannot_tell",
    "as the tool says": "unmatched",
}


def _people(found: WhatIf) -> Iterable[Cell]:
    people = found.people
    together = f", {amount(people.let_through_amount)} together" if people.let_through_amount is not None else ""
    yield f"{people.let_through:,} that people overrode would be let through{together}", "red" if people.let_through else "green"
    yield f"{people.caught:,} that they overrode would be asked, and {people.stopped:,} blocked", ""
    took = f", half of which took up to {_rough(people.saved_seconds)}" if people.saved_seconds is not None else ""
    yield f"{people.saved:,} plain yeses would not be asked for any more{took}", ""
    if people.blocked_approved:
        yield f"{people.blocked_approved:,} that they approved would be blocked", "yellow"
    if people.newly_asked:
        yield f"{people.newly_asked:,} would be asked that were not", ""


def _rule_cells(one: RuleSide) -> tuple[Cell, ...]:
    side, people = one.side, one.people
    counts = (side.asked, side.sampled, side.not_asked, side.blocked, side.cannot_tell, people.caught + people.stopped)
    return (
        (one.rule, "bold"),
        *((f"{count:,}" if count else "", "") for count in counts),
        (f"{people.let_through:,}" if people.let_through else "", "red"),
        (f"{people.saved:,}" if people.saved else "", "green"),
    )
