"""Tables and trees for people, drawn from the records of `views` and from nothing else.

On a terminal rich draws them; into a pipe go plain lines as long as they need to be, so that `grep` finds whole rows. rich
is given `Text`, never markup: brackets in foreign text stay brackets. It is imported where something is drawn, and only
there, for the help page must not pay for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.cli.options import command
from holdfast.cli.text import as_json, clean, one_line, put
from holdfast.views import PLACES, cut, moment, span

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from holdfast.views import Question, RunLine, StepView, Summary, ToolView, Tree

CELL_MAX = 100
VALUE_MAX = 200
REASON_MAX = 500
RESULT_MAX = 2000

STATUS = {"waiting": "waits", "blocked": "needs a person"}
_STYLES = {
    "needs a person": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "red",
    "done": "green",
    "unknown": "magenta",
    "flagged": "yellow",
    "waiting": "cyan",
    "waits": "cyan",
    "running": "cyan",
}

Cell = tuple[str, str]


def console() -> Console:
    """Where rich draws, when it does."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def styled(*cells: Cell) -> None:
    """One line, in pieces with a style each; the style is left out where it is no terminal."""
    if not sys.stdout.isatty():
        put("".join(one for one, _ in cells).rstrip())
        return
    from rich.text import Text

    console().print(Text.assemble(*((clean(words), style) for words, style in cells)), soft_wrap=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]], indent: int = 0) -> None:
    """A table. Columns that are empty in every row are left out."""
    lines = [[(one_line(words), style) for words, style in row] for row in rows]
    shown = [at for at in range(len(headers)) if any(row[at][0] for row in lines)]
    if sys.stdout.isatty():
        console().print(_drawn([headers[at] for at in shown], [[row[at] for at in shown] for row in lines], indent))
        return
    plain = [[headers[at] for at in shown], *([row[at][0] for at in shown] for row in lines)]
    widths = [max(len(row[at]) for row in plain) for at in range(len(shown))]
    for row in plain:
        put((" " * indent + "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))).rstrip())


def _drawn(headers: Sequence[str], rows: Sequence[Sequence[Cell]], indent: int) -> RenderableType:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(words, style) for words, style in row))
    return Padding(drawn, (0, 0, 0, indent))


def when(at: float | None, now: float) -> str:
    """A time to come, as people read it."""
    return "" if at is None else f"in {span(at - now)}" if at - now >= 1 else "now"


def status_cell(status: str) -> Cell:
    """The one word for a run."""
    word = STATUS.get(status, status)
    return word, _STYLES.get(word, "")


# --- runs ---------------------------------------------------------------------------------------------------------


def runs(lines: Iterable[RunLine], now: float) -> None:
    """The table of `holdfast runs`."""
    headers = ("id", "agent", "status", "due", "tenant", "priority", "labels", "changed", "waits for", "note")
    table(headers, (_run_cells(line, now) for line in lines))


def _run_cells(line: RunLine, now: float) -> tuple[Cell, ...]:
    labels = " ".join(f"{name}={value}" for name, value in line.labels.items())
    return (
        (line.run_id, "bold"),
        (line.agent, ""),
        status_cell(line.status),
        ("" if line.status == "blocked" else when(line.due_at, now), ""),
        (line.tenant, ""),
        (str(line.priority or ""), ""),
        (labels, ""),
        (moment(line.changed_at)[:-5] + "Z", "dim"),
        (cut(line.waits_for, CELL_MAX), ""),
        (line.note, "yellow"),
    )


def outcomes(summaries: Iterable[Summary]) -> None:
    """The table at the end of several runs."""
    table(
        ("id", "status", "not done", "unknown", "flagged", "skipped", "why"),
        (
            (
                (run.run_id, "bold"),
                status_cell(run.status),
                (", ".join(run.not_done), ""),
                (", ".join(run.unknown), "magenta"),
                (", ".join(run.flagged), "yellow"),
                (", ".join(run.skipped), ""),
                (cut(run.reason or run.waits_for, CELL_MAX), ""),
            )
            for run in summaries
        ),
    )


# --- one run ------------------------------------------------------------------------------------------------------


def outcome(run: Summary) -> None:
    """How a run was left, in one line: the result of `holdfast run`."""
    styled((one_line(run.run_id), "bold"), ("  ", ""), status_cell(run.status), (_detail(run), ""))
    for place in ("unknown", "flagged", "skipped", "not_done"):
        if names := getattr(run, place):
            styled((f"  {place.replace('_', ' ')}: ", _STYLES.get(place, "")), (one_line(", ".join(names)), ""))


def _detail(run: Summary) -> str:
    if run.status == "completed":
        return "" if run.result is None else f": {cut(as_json(run.result), RESULT_MAX)}"
    said = run.reason or ("" if run.questions else run.waits_for)
    return f": {one_line(cut(said, REASON_MAX))}" if said else ""


def questions(run: Summary, db: str, now: float) -> None:
    """What a person is asked: the question, the whole arguments, until when, and the commands that answer it."""
    which = len(run.questions) > 1
    heard = {word.to: word.said for word in run.unheard}
    for asked in run.questions:
        put()
        styled((f"  {asked.kind}: ", "yellow"), (one_line(asked.question), "bold"), (f"   [{asked.interrupt}]", "dim"))
        if asked.tool:
            _call(asked)
        if asked.interrupt in heard:
            styled((f"  answered: {heard[asked.interrupt]}; a worker takes it when the run goes on", "green"))
            continue
        styled((f"  until {moment(asked.expires_at)} ({when(asked.expires_at, now)}); silence never means yes", "dim"))
        words = [run.run_id, *([asked.interrupt] if which else [])]
        commands = [
            command(db, "answer", *words, choice.decision, ends=_MORE.get(choice.decision, "")) for choice in asked.choices
        ]
        width = max(map(len, commands), default=0)
        for line, choice in zip(commands, asked.choices, strict=True):
            styled((f"    {line.ljust(width)}   ", ""), (one_line(choice.means), "dim"))


_MORE = {"edit": " NAME=VALUE", "reject": ' "WHY"', "respond": " JSON"}


def _call(asked: Question) -> None:
    styled((f"    {one_line(asked.tool)}", "bold"), (f"  (step {asked.step})" if asked.step else "", "dim"))
    width = max(map(len, asked.args), default=0)
    for name, value in asked.args.items():
        styled((f"      {one_line(name).ljust(width)} = {as_json(value)}", ""))


def show(tree: Tree, db: str, now: float) -> None:
    """`holdfast show`: everything that is known of a run, on one page."""
    run = tree.run
    styled((one_line(run.run_id), "bold"), ("  ", ""), status_cell(run.status), (_detail(run), ""))
    for name, words in _facts(run, db, now):
        if words:
            styled((f"  {name:<9}  ", "dim"), (one_line(words), ""))
    if tree.steps:
        put()
        _steps(tree.steps, now)
        put()
    for place in PLACES:
        names = getattr(run, place)
        if names:
            styled((f"  {place.replace('_', ' '):<9}  ", _STYLES.get(place, "")), (one_line(", ".join(names)), ""))
    questions(run, db, now)


def _facts(run: Summary, db: str, now: float) -> Iterable[tuple[str, str]]:
    yield "goal", cut(run.goal, REASON_MAX)
    yield "inputs", cut(as_json(run.inputs), REASON_MAX) if run.inputs else ""
    yield "agent", " ".join(filter(None, (run.agent, run.agent_version)))
    yield "tenant", run.tenant
    yield "priority", str(run.priority or "")
    yield "labels", " ".join(f"{name}={value}" for name, value in run.labels.items())
    yield "started", moment(run.started_at)
    yield "changed", f"{moment(run.changed_at)}, {run.entries} entries, {run.attempts} calls, plan {run.revision}"
    yield "worker", run.worker
    yield "stopping", run.stopping or _wanted_end(run)
    if not run.questions:
        yield "waits for", run.waits_for
    if run.due_at is not None and not run.live:
        yield "until", f"{moment(run.due_at)} ({when(run.due_at, now)})"
    again = f"`{command(db, 'run', 'FILE', '--id', run.run_id)}`, or a worker: `{command(db, 'work', 'FILE')}`"
    yield "note", run.note and f"{run.note}; it goes on with {again}"


def _wanted_end(run: Summary) -> str:
    return next((f"{word.said}; a worker takes it when the run goes on" for word in run.unheard if word.to == "cancel"), "")


def _steps(steps: Sequence[StepView], now: float) -> None:
    headers = ("step", "call", "safety", "is", "attempts", "due", "after", "result or reason", "recovery")
    table(headers, (_step_cells(step, now) for step in steps), indent=2)


def _step_cells(step: StepView, now: float) -> tuple[Cell, ...]:
    by = {"probe": "found by its probe", "person": "said by a person", "reuse": "of another step"}.get(step.settled_by, "")
    said = _value(step) if step.place == "done" else cut(step.reason, VALUE_MAX)
    return (
        (step.id, "bold"),
        (_call_of(step), ""),
        (step.safety, "dim"),
        (step.phase + (f", {by}" if by else ""), _STYLES.get(step.place, "")),
        (str(step.attempts or ""), ""),
        (when(step.due_at, now), ""),
        (", ".join(step.after), "dim"),
        (said, ""),
        (", ".join(dict.fromkeys(row.row for row in step.recovery)), "magenta"),
    )


def _call_of(step: StepView) -> str:
    """A call as a person would write it; references stand without their wrapping."""
    args = (f"{name}={_argument(value)}" for name, value in step.args.items())
    return cut(f"{step.tool}({', '.join(args)})", CELL_MAX)


def _argument(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if key in ("$ref", "$secret"):
            return f"{key} {inner}"
    return as_json(value)


def _value(step: StepView) -> str:
    text = step.value if step.value_characters else as_json(step.value)
    characters = step.value_characters or len(text)
    shown = f"{text[:VALUE_MAX]}… ({characters} characters in all)" if characters > VALUE_MAX else text
    return shown + (f"; left: {', '.join(step.left)}" if step.left else "")


def live(tree: Tree, now: float) -> RenderableType:
    """A run and its steps as a tree, for `holdfast watch`."""
    from rich.text import Text
    from rich.tree import Tree as Drawing

    run = tree.run
    root = Drawing(
        Text.assemble(
            (one_line(run.run_id), "bold"),
            "  ",
            status_cell(run.status),
            _detail(run),
            (f"  {run.note}" if run.note else "", "yellow"),
        )
    )
    for step in tree.steps:
        node = root.add(Text.assemble(*_live_cells(step, now)))
        for row in step.recovery:
            node.add(Text.assemble((row.row, "magenta"), f"  {one_line(row.reason)}"))
    for asked in run.questions:
        words = f"{asked.interrupt}: {one_line(asked.question)} — until {moment(asked.expires_at)}"
        root.add(Text(f"{words}; `holdfast show {one_line(run.run_id)}` says how to answer", "yellow"))
    return root


def _live_cells(step: StepView, now: float) -> Iterable[Cell]:
    yield one_line(step.id), "bold"
    yield f"  {step.phase}", _STYLES.get(step.place, "")
    if step.began_at is not None:
        yield f"  {span(max((step.ended_at or now) - step.began_at, 0.0))}", "dim"
    if step.attempts > 1:
        yield f"  attempt {step.attempts}", ""
    if step.due_at is not None:
        yield f"  {when(step.due_at, now)}", "cyan"
    if step.place != "done" and step.reason:
        yield f"  {one_line(cut(step.reason, CELL_MAX))}", ""


# --- tools --------------------------------------------------------------------------------------------------------


def tools(views: Iterable[ToolView]) -> None:
    """`holdfast check`: what each tool promises, and what would happen to it after a crash."""
    for view in views:
        contract = view.contract
        styled((one_line(view.tool), "bold"), (f"  {view.safety}", "cyan"))
        facts = (
            ("", one_line(cut(view.description, REASON_MAX))),
            ("takes", "; ".join(f"{name}: {kind}" for name, kind in view.takes.items()) or "nothing"),
            ("timeout", span(contract.timeout_seconds)),
            ("retry", _retry(view)),
            ("key lives", span(contract.key_ttl_seconds) if contract.key_ttl_seconds else ""),
            ("business", ", ".join(contract.business_key)),
            ("at once", str(contract.parallel_max or "")),
            ("fallback", contract.fallback or ""),
            ("undo", contract.undo or ""),
            ("asks", "a person, before each call" if view.asks_first else ""),
            ("crash", view.after_crash),
        )
        for name, words in facts:
            if words:
                styled((f"    {name:<9}  " if name else "    ", "dim"), (one_line(words), ""))


def _retry(view: ToolView) -> str:
    retry = view.contract.retry
    if view.safety == "irreversible" or retry.attempts_max == 1:
        return "never by itself"
    return f"{retry.attempts_max} attempts, {span(retry.backoff_seconds)} to {span(retry.backoff_seconds_max)} apart"
