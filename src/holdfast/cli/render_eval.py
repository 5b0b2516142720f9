"""Results of evaluations for people: what came of one, two side by side, and the list of those that are kept."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli.drawing import Cell, minute, styled, table
from holdfast.cli.text import one_line, put
from holdfast.evaluation.summing import problems, summaries
from holdfast.views import cut, span
from holdfast.views.markdown import escaped
from holdfast.views.markdown import table as as_table

if TYPE_CHECKING:
    from decimal import Decimal

    from holdfast.evaluation import CaseRun, Comparison, Header, Results
    from holdfast.evaluation.comparing import Figure, Rate, Side
    from holdfast.evaluation.differences import Difference
    from holdfast.evaluation.summing import Problem, Summary
    from holdfast.figures.interval import Interval

WHAT_MAX = 300
PROBLEMS_SHOWN = 30
STYLES = {"held": "green", "failed": "red", "wrong": "magenta", "unfinished": "yellow", "unheard": "yellow"}
VERDICTS = {"better": "green", "worse": "red"}
NAMES = {"cost_usd": "cost", "seconds": "time", "questions": "asked", "calls": "calls"}

# --- one ----------------------------------------------------------------------------------------------------------


def results(found: Results) -> None:
    """The table of an evaluation, and what did not hold below it."""
    _head(found.header)
    headers = ("case", "held", "wrong", "to do", "cost", "asked", "calls", "time")
    table(headers, (_summary_cells(one, found) for one in summaries(found)), indent=2)
    _problems(problems(found))


def _head(header: Header) -> None:
    styled((one_line(header.name), "bold"), (f"  {one_line(f'{_agent(header)}, seed {header.seed}')}", ""))


def _summary_cells(one: Summary, found: Results) -> tuple[Cell, ...]:
    wanted = found.header.cases.get(one.case, 0) if one.case else sum(found.header.cases.values())
    return (
        (one.case or "all", "bold"),
        (_share(one.held, one.runs, one.interval), "green" if one.runs and one.held == one.runs else "red"),
        (str(one.wrong or ""), "magenta"),
        (str(max(wanted - one.runs, 0) or ""), "yellow"),
        (_usd(one.cost_usd) if one.cost_usd else "", ""),
        (_plain(one.questions) if one.questions else "", ""),
        (_plain(one.calls), ""),
        (span(one.seconds) if one.seconds else "", ""),
    )


def _problems(found: Sequence[Problem]) -> None:
    for one in found[:PROBLEMS_SHOWN]:
        put()
        times = f"{len(one.repeats)} times: " if len(one.repeats) > 1 else ""
        words = {"unheard": "not taken"}.get(one.kind, one.kind)
        styled(
            (f"  {words:<9} ", STYLES[one.kind]), (f"{one.case}  ", "bold"), (f"{times}{one_line(cut(one.what, WHAT_MAX))}", "")
        )
        styled((f"            {_show(one.run_id, one.store)}", "dim"))
    if len(found) > PROBLEMS_SHOWN:
        put(f"  and {len(found) - PROBLEMS_SHOWN} more; --json has them all")


def _show(run_id: str, store: str) -> str:
    return one_line(shlex.join(["holdfast", "show", run_id, "--db", store]))


def case(found: Results, name: str) -> None:
    """Each run of a case."""
    _head(found.header)
    headers = ("run", "outcome", "status", "effects", "asked", "calls", "cost", "time")
    runs = [one for one in found.runs if one.case == name]
    table(headers, map(_run_cells, runs), indent=2)
    _problems(problems(found, name))
    if not problems(found, name) and runs:
        put()
        styled((f"  {_show(runs[0].run_id, str(Path(found.folder) / runs[0].store))}", "dim"))


def _run_cells(one: CaseRun) -> tuple[Cell, ...]:
    effects: dict[str, int] = {}
    for effect in one.effects:
        effects[effect.tool] = effects.get(effect.tool, 0) + 1
    return (
        (one.run_id, "bold"),
        (one.outcome, STYLES[one.outcome]),
        (one.status, ""),
        (", ".join(f"{tool} × {count}" if count > 1 else tool for tool, count in effects.items()), ""),
        (str(one.questions or ""), ""),
        (str(one.calls), ""),
        (_usd(one.cost_usd) if one.cost_usd else "", ""),
        (span(one.seconds) if one.seconds else "", ""),
    )


def kept(found: Iterable[Results]) -> None:
    """The table of `holdfast eval list`."""
    headers = ("results", "eval", "agent", "model", "began", "held", "wrong", "to do")
    table(headers, map(_kept_cells, found))


def _kept_cells(one: Results) -> tuple[Cell, ...]:
    header, whole = one.header, summaries(one)[-1]
    left = sum(header.cases.values()) - whole.runs
    return (
        (one.folder, "bold"),
        (header.name, ""),
        (f"{header.agent} {header.agent_version}".rstrip(), ""),
        (header.model, ""),
        (minute(header.began_at), "dim"),
        (_share(whole.held, whole.runs, whole.interval), ""),
        (str(whole.wrong or ""), "magenta"),
        (str(left if left > 0 else ""), "yellow"),
    )


# --- two ----------------------------------------------------------------------------------------------------------


def comparison(found: Comparison) -> None:
    """Two evaluations side by side."""
    for side, header in (("A", found.a), ("B", found.b)):
        styled((f"{side}  ", "bold"), (_version(header), ""))
    _cautions(found)
    put()
    table(("case", "A held", "B held", "B - A", "", "A wrong", "B wrong"), map(_side_cells, _sides(found)), indent=2)
    for line in _advice(found):
        put(f"  {line}")
    rows = [(side, figure) for side in _sides(found) for figure in side.figures if side.case == "" or figure.difference.is_told]
    if rows:
        put()
        table(("median", "of", "A", "B", "B - A", ""), (_figure_cells(*row) for row in rows), indent=2)


def markdown(found: Comparison) -> None:
    """The same as a page."""
    put(f"## {escaped(found.b.name)}: {_verdict(found.whole)}")
    put()
    put(f"- A: {escaped(_version(found.a))}")
    put(f"- B: {escaped(_version(found.b))}")
    for line in found.apart:
        put(f"- Caution: {escaped(line)}.")
    put()
    _page_table(("case", "A held", "B held", "B - A", "verdict", "A wrong", "B wrong"), map(_side_cells, _sides(found)))
    for line in _advice(found):
        put(f"\n{escaped(line)}")
    rows = [(side, figure) for side in _sides(found) for figure in side.figures]
    if rows:
        put()
        _page_table(("median", "of", "A", "B", "B - A", "verdict"), (_figure_cells(*row) for row in rows))


def _page_table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    for line in as_table(headers, ([escaped(words) for words, _ in row] for row in rows)):
        put(line)


def _version(header: Header) -> str:
    return one_line(f"{header.name}: {_agent(header)}, {minute(header.began_at)}")


def _agent(header: Header) -> str:
    version = f" {header.agent_version}" if header.agent_version else ""
    model = f", {header.model}" if header.model else ""
    return f"agent {header.agent}{version} ({header.agent_digest[:8]}){model}"


def _cautions(found: Comparison) -> None:
    for line in found.apart:
        styled((f"   caution: {one_line(line)}", "yellow"))
    if found.left_out:
        styled((f"   {found.left_out} runs are left out that only one of them has", "yellow"))


def _sides(found: Comparison) -> Iterator[Side]:
    yield from found.cases
    yield found.whole


def _side_cells(side: Side) -> tuple[Cell, ...]:
    return (
        (side.case or "all", "bold"),
        (_rate(side.a), ""),
        (_rate(side.b), ""),
        (_points(side.difference), ""),
        (_verdict(side), VERDICTS.get(side.verdict, "dim")),
        (str(side.a.wrong or ""), "magenta"),
        (str(side.b.wrong or ""), "magenta"),
    )


def _verdict(side: Side) -> str:
    return side.verdict if side.verdict in VERDICTS else f"no difference can be told at n = {side.a.runs}"


def _advice(found: Comparison) -> Iterator[str]:
    """What the numbers do not say by themselves."""
    whole = found.whole
    if whole.repeats_needed is not None:
        seen = whole.a.share != whole.b.share
        what = "a difference as large as this one" if seen else "a difference of 10 points"
        yield f"To tell {what}, each case would have to be run about {whole.repeats_needed} times (95 % sure, seen 4 times in 5)."
    if len(found.cases) >= 10:
        yield "Of 20 cases in which nothing changed about one looks better or worse by chance; the last line does not."
    if whole.b.wrong and not whole.a.wrong:
        yield f"In {whole.b.wrong} runs of B the journal and the ledger disagree, and in none of A."


def _figure_cells(side: Side, figure: Figure) -> tuple[Cell, ...]:
    show = {"cost_usd": _usd, "seconds": _span}.get(figure.name, _plain)
    one = figure.difference
    return (
        (NAMES[figure.name], "bold"),
        (side.case or "all", ""),
        (show(figure.a), ""),
        (show(figure.b), ""),
        (f"{_signed(one.value, show)} ({_signed(one.low, show)} to {_signed(one.high, show)})", ""),
        (figure.verdict if figure.verdict in VERDICTS else "no difference can be told", VERDICTS.get(figure.verdict, "dim")),
    )


# --- numbers ------------------------------------------------------------------------------------------------------


def _rate(rate: Rate) -> str:
    return _share(rate.held, rate.runs, rate.interval)


def _share(held: int, runs: int, interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{held} of {runs}: {held / runs:.0%} ({interval.low:.0%} to {interval.high:.0%})"


def _points(difference: Difference | None) -> str:
    if difference is None:
        return ""
    value, low, high = (_percent(share) for share in (difference.value, difference.low, difference.high))
    return f"{value} ({low} to {high})"


def _percent(share: float) -> str:
    """With its sign, but for nothing."""
    return f"{share:+.0%}" if round(share, 2) else "0%"


def _signed(value: float, show: Callable[[float], str]) -> str:
    return f"{'-' if value < 0 else '+' if value > 0 else ''}{show(abs(value))}"


def _plain(value: float) -> str:
    return f"{value:g}"


def _span(value: float) -> str:
    return span(value) if value else "0"


def _usd(value: Decimal | float) -> str:
    return f"${value:.4g}"
