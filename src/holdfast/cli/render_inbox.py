"""The inbox for people: the list, one question on a page, and what one word for many would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from holdfast.cli import render_thinking
from holdfast.cli.drawing import CELL_MAX, REASON_MAX, Cell, styled, table, when
from holdfast.cli.options import command
from holdfast.cli.text import as_json, one_line, put
from holdfast.views import amount, cut, moment, owed_words, span, spent_words
from holdfast.views import listed as in_line
from holdfast.views.words import shares

if TYPE_CHECKING:
    from holdfast.core.policy import Ruling
    from holdfast.inbox import Bulk, LeftOut
    from holdfast.journal.people import OpenInterrupt
    from holdfast.views import Question
    from holdfast.views.interrupts import Origin, ResultRead, Shown

QUESTION_MAX = 48
# Commands that are longer are followed by what they mean all the same, out of line.
COMMAND_MAX = 60

# --- the list -----------------------------------------------------------------------------------------------------


def listed(rows: Iterable[OpenInterrupt], now: float) -> None:
    """The table of `holdfast inbox`."""
    headers = ("run", "interrupt", "question", "rule", "amount", "age", "due", "who may", "in hand", "answered", "remarks")
    table(headers, (_row_cells(row, now) for row in rows))


def _row_cells(row: OpenInterrupt, now: float) -> tuple[Cell, ...]:
    due = row.due_at if row.due_at is not None else row.expires_at
    in_hand = row.claimed_by if row.claimed_until > now else ""
    return (
        (row.run_id, "bold"),
        (row.interrupt, ""),
        (_short(row.question), "" if row.kind == "approval" else "yellow"),
        (row.rule, "cyan"),
        ("" if row.amount is None else amount(row.amount), ""),
        (_rough(now - row.asked_at), ""),
        (_rough(due - now) if due > now else "now", "red" if due - now < 3600 else ""),
        (_who(row.who, row.people, row.approvals), ""),
        (in_hand, "magenta"),
        (f"answered by {row.answered_by}; a worker takes it" if row.answered_by else "", "green"),
        (str(row.comments or ""), ""),
    )


def _short(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= QUESTION_MAX else f"{text[: QUESTION_MAX - 1]}…"


def _rough(seconds: float) -> str:
    """A length of time as it is read in a column: no more than two parts, no fractions of a second."""
    return span(float(max(round(seconds), 1)))


def _who(who: tuple[str, ...], people: int, approvals: tuple[str, ...]) -> str:
    said = ", ".join(who) or "anybody"
    if people > 1:
        said += f" ({len(approvals)} of {people})"
    return said


# --- one question -------------------------------------------------------------------------------------------------


def show(
    shown: Shown, asked: Question | None, answered: str, is_one_of_several: bool, db: str, now: float
) -> None:  # fmt: skip
    """`holdfast inbox show`: all that is needed to judge it. asked: the same question as the page of the run has it.
    answered: what was said and no worker has taken yet."""
    styled((f"{shown.kind}: ", "yellow"), (one_line(shown.question), "bold"))
    lines((
        ("run", f"{shown.run_id}, {shown.interrupt}; agent {shown.agent}" + (f", tenant {shown.tenant}" if shown.tenant else "")),
        ("goal", cut(shown.goal, REASON_MAX)),
        ("asked", f"{moment(shown.asked_at)}, {_rough(shown.age_seconds)} ago"),
        ("who may", _who_may(shown)),
        ("approved", f"by {in_line(shown.approvals)}" if shown.approvals else ""),
        ("refused", f"before by {in_line(shown.not_by)}, who cannot approve it now" if shown.not_by else ""),
        ("in hand", f"{shown.claimed_by}, until {moment(shown.claimed_until)}" if shown.claimed_until is not None else ""),
    ))  # fmt: skip
    _proposal(shown)
    if asked is not None:
        render_thinking.asks(asked)
    _grounds(shown, now)
    _run_so_far(shown)
    _said_before(shown, now)
    put()
    styled(("  silence    ", "dim"), (one_line(f"{shown.at_deadline}; due {when(shown.due_at, now)}"), "yellow"))
    if answered:
        styled((f"  answered   {one_line(answered)}; a worker takes it when the run goes on", "green"))
    elif asked is not None:
        _answers(shown, asked, is_one_of_several, db)


def lines(facts: Iterable[tuple[str, str]], style: str = "") -> None:
    """Names and words, a line each; those without words are left out."""
    for name, words in facts:
        if words:
            styled((f"  {name:<9}  ", "dim"), (one_line(words), style))


def _who_may(shown: Shown) -> str:
    many = f"; {shown.people} of them must approve" if shown.people > 1 else ""
    rung = f"; rung {shown.rung + 1} of the ladder" if shown.rung else ""
    return (in_line(shown.who) if shown.who else "anybody") + many + rung


def _proposal(shown: Shown) -> None:
    """The call as it would be made, whole, with where each value of it comes from."""
    if not shown.tool and not shown.args:
        return
    put()
    step = f"  (step {shown.step}, {shown.safety})" if shown.step and shown.safety else ""
    styled((f"  {one_line(shown.tool) or shown.about}", "bold"), (one_line(step) and step, "dim"))
    if shown.about == "plan" and isinstance(shown.args.get("steps"), dict):
        _planned(shown.args["steps"])
        return
    width = max((len(name) for name in shown.args), default=0)
    for name, value in shown.args.items():
        styled((f"    {one_line(name).ljust(width)} = {as_json(value)}", ""))
        for origin in shown.origins:
            if _is_of(origin.value, name):
                styled((f"    {' ' * width}   {one_line(_origin(origin, name))}", _origin_style(origin)))
    if shown.amount is not None:
        lines((("amount", amount(shown.amount)),))


def _planned(steps: dict[str, Any]) -> None:
    """The steps of a plan, each with its arguments: what is not known yet stands there as a reference."""
    for name, step in steps.items():
        styled((f"    {one_line(name)}  {one_line(str(step.get('tool', '')))}", "bold"))
        for argument, value in step.get("args", {}).items():
            styled((f"      {one_line(argument)} = {as_json(value)}", ""))


def _is_of(place: str, name: str) -> bool:
    return place == name or place.startswith((f"{name}.", f"{name}["))


def _origin(origin: Origin, name: str) -> str:
    place = f"{origin.value}: " if origin.value != name else ""
    return place + _FROM[origin.comes_from](origin) + ("; an untrusted tool had a hand in it" if origin.tainted else "")


def _of_fact(origin: Origin) -> str:
    parts = [f"the fact {origin.of}", origin.by]
    if origin.age_seconds is not None:
        parts.append(f"{_rough(origin.age_seconds)} ago")
    if origin.confidence < 1:
        parts.append(f"{origin.confidence:.0%} sure")
    if origin.guess:
        parts.append("a guess that nobody confirmed")
    if origin.stale:
        parts.append("too old")
    return ", ".join(filter(None, parts))


_FROM: dict[str, Callable[[Origin], str]] = {
    "plan": lambda _: "the plan says so",
    "model": lambda _: "the model wrote it",
    "person": lambda _: "a person put it there",
    "input": lambda origin: f"the input {origin.of}" + (f" ({origin.expression})" if "." in origin.expression[7:] else ""),
    "fact": _of_fact,
    "step": lambda origin: f"the result of {origin.of}, by {origin.by} ({origin.expression})",
    "secret": lambda origin: f"the secret {origin.of}, put in when the call is made",
}


def _origin_style(origin: Origin) -> str:
    return "yellow" if origin.guess or origin.stale or origin.tainted else "dim"


# --- what it rests on ---------------------------------------------------------------------------------------------


def _grounds(shown: Shown, now: float) -> None:
    put()
    if shown.ruling is not None:
        lines((("rule", _ruling(shown.ruling)), ("looked at", _looked(shown.ruling))))
    if shown.tainted:
        styled(("  tainted    ", "yellow"), ("it rests on what an untrusted tool returned", "yellow"))
    if shown.inferred:
        styled(("  inferred   ", "yellow"), (one_line(f"{in_line(shown.inferred)}: guessed, and confirmed by nobody"), "yellow"))
    if shown.results:
        table(("reads", "of", "which returned"), map(_result_cells, shown.results), indent=2)
    if shown.evidence:
        render_thinking.fact_table(shown.evidence)


def _ruling(ruling: Ruling) -> str:
    share = f" {shares(ruling.rate)}" if ruling.verdict == "sample" and ruling.rate is not None else ""
    drawn = f", drawn with {ruling.draw:.3f}" if ruling.draw is not None else ""
    of = f" of {ruling.policy}" if ruling.policy else ""
    return f"{ruling.rule}{of}: {ruling.verdict}{share}{drawn}" + (f"; {ruling.why}" if ruling.why else "")


def _looked(ruling: Ruling) -> str:
    return ", ".join(f"{name} {cut(as_json(value), CELL_MAX)}" for name, value in ruling.looked.items())


def _result_cells(read: ResultRead) -> tuple[Cell, ...]:
    value = f"{read.value}… ({read.characters} characters in all)" if read.characters else as_json(read.value)
    stand_in = f", done by {read.done_by}" if read.done_by else ""
    return (read.step, "bold"), (read.tool + stand_in, ""), (value, "yellow" if read.tainted else "")


def _run_so_far(shown: Shown) -> None:
    lines((
        ("done", in_line(shown.done) or "nothing yet"),
        ("owed", "; ".join(map(owed_words, shown.owed))),
        ("spent", spent_words(shown.spent)),
    ))  # fmt: skip
    lines((("unknown", f"{in_line(shown.unknown)}: nobody knows whether it happened" if shown.unknown else ""),), "magenta")


def _said_before(shown: Shown, now: float) -> None:
    for earlier in shown.earlier:
        by = f" by {earlier.by}" if earlier.by else ""
        about = f", of {as_json(earlier.args)}" if earlier.args != shown.args else ""
        note = f": {earlier.note}" if earlier.note else ""
        said = f"{earlier.interrupt} was {_SAID.get(earlier.decision, earlier.decision)}{by} {_rough(now - earlier.at)} ago"
        lines((("before", cut(f"{said}{about}{note}", REASON_MAX)),))
    for remark in shown.comments:
        lines((("remark", f"{remark.by}, {_rough(now - remark.at)} ago: {remark.text}"),))


_SAID = {"approve": "approved", "edit": "edited", "reject": "rejected", "respond": "answered", "cancel": "cancelled"}


# --- how to answer ------------------------------------------------------------------------------------------------


def _answers(shown: Shown, asked: Question, is_one_of_several: bool, db: str) -> None:
    words = [shown.run_id, *([shown.interrupt] if is_one_of_several else [])]
    found = [
        (command(db, "answer", *words, *given, ends=ends), means)
        for choice in asked.choices
        for given, ends, means in render_thinking.ways(asked, choice)
    ]
    if (advance := _in_advance(shown)) is not None:
        found.append((command(db, "answer", *words, "approve", *advance), "yes, and to the same for a week"))
    width = min(max((len(line) for line, _ in found), default=0), COMMAND_MAX)
    for line, means in found:
        styled((f"    {line.ljust(width)}   ", ""), (one_line(means), "dim"))


def _in_advance(shown: Shown) -> list[str] | None:
    """The options of an approval in advance, where one would do."""
    standing = shown.ruling.standing if shown.ruling is not None else False
    if shown.about != "call" or shown.kind != "approval" or shown.people > 1 or not standing:
        return None
    return ["--standing", "7d", "--same-args"]


# --- many at once -------------------------------------------------------------------------------------------------


def bulk(found: Bulk) -> None:
    """What one word for many would do, or did."""
    if found.carried_out:
        styled((f"{found.decision}: ", "bold"), (f"{found.done} of {found.count} decided", "green"))
    else:
        together = f", {amount(found.amount)} together" if found.amount else ""
        styled((f"{found.decision}: ", "bold"), (f"{found.count} would be decided{together}", ""))
        lines((("rules", _counted(found.rules)), ("tools", _counted(found.tools))))
    _left("not decided", found.failed, "red")
    _left("left out", found.left_out, "yellow")
    if found.more:
        lines((("more", f"{found.more:,} more are open and beyond the limit"),))


def _counted(counts: dict[str, int]) -> str:
    return in_line(f"{name} {count}" for name, count in counts.items())


def _left(name: str, left: tuple[LeftOut, ...], style: str) -> None:
    for one in _first(left):
        styled((f"  {name:<11}  ", style), (one_line(f"{one.run_id} {one.interrupt}: {one.why}"), ""))
    if len(left) > LEFT_SHOWN:
        styled((f"  {name:<11}  ", style), (f"… and {len(left) - LEFT_SHOWN} more; --json has them all", ""))


LEFT_SHOWN = 20


def _first(left: tuple[LeftOut, ...]) -> Iterator[LeftOut]:
    yield from left[:LEFT_SHOWN]
