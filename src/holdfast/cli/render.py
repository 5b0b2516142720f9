"""Runs and their steps for people, drawn from the records of `views` and from nothing else; `render_owed.py` has what is owed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.cli import render_owed, render_thinking
from holdfast.cli.drawing import CELL_MAX as CELL_MAX
from holdfast.cli.drawing import REASON_MAX as REASON_MAX
from holdfast.cli.drawing import RESULT_MAX as RESULT_MAX
from holdfast.cli.drawing import STYLES as STYLES
from holdfast.cli.drawing import VALUE_MAX as VALUE_MAX
from holdfast.cli.drawing import Cell as Cell
from holdfast.cli.drawing import console as console
from holdfast.cli.drawing import minute as minute
from holdfast.cli.drawing import status_cell as status_cell
from holdfast.cli.drawing import styled as styled
from holdfast.cli.drawing import table as table
from holdfast.cli.drawing import when as when
from holdfast.cli.options import command
from holdfast.cli.render_fork import fork_facts
from holdfast.cli.text import as_json, one_line, put
from holdfast.views import PLACES, changes_words, cut, cut_words, listed, moment, owed_words, replaced_words, span, spent_briefly

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.views import Question, RunLine, StepView, Summary, ToolView, Tree


# --- runs ---------------------------------------------------------------------------------------------------------


def runs(lines: Iterable[RunLine], now: float) -> None:
    """The table of `holdfast runs`."""
    headers = ("id", "agent", "status", "due", "tenant", "priority", "labels", "changed", "spent", "waits for", "note")
    table(headers, (_run_cells(line, now) for line in lines))


def _run_cells(line: RunLine, now: float) -> tuple[Cell, ...]:
    labels = " ".join(f"{name}={value}" for name, value in line.labels.items())
    return (
        (line.run_id, "bold"),
        (line.agent, ""),
        status_cell(line.status, line.whole),
        ("" if line.status == "blocked" else when(line.due_at, now), ""),
        (line.tenant, ""),
        (str(line.priority or ""), ""),
        (labels, ""),
        (minute(line.changed_at), "dim"),
        ("" if line.spent is None else spent_briefly(line.spent), ""),
        (cut(line.waits_for, CELL_MAX), ""),
        (line.note or ("" if line.whole else cut(line.reason, CELL_MAX)), "yellow"),
    )


def outcomes(summaries: Iterable[Summary]) -> None:
    """The table at the end of several runs."""
    table(
        ("id", "status", "not done", "unknown", "flagged", "skipped", "in part", "why"),
        (
            (
                (run.run_id, "bold"),
                status_cell(run.status, run.whole),
                (", ".join(run.not_done), ""),
                (", ".join(run.unknown), "magenta"),
                (", ".join(run.flagged), "yellow"),
                (", ".join(run.skipped), ""),
                (", ".join(run.partial), "yellow"),
                (cut(run.reason or run.waits_for, CELL_MAX), ""),
            )
            for run in summaries
        ),
    )


# --- one run ------------------------------------------------------------------------------------------------------


def outcome(run: Summary) -> None:
    """How a run was left, in one line: the result of `holdfast run`; and what of it is not as planned, a line for each."""
    styled((one_line(run.run_id), "bold"), ("  ", ""), status_cell(run.status, run.whole), (_detail(run), ""))
    for place in ("unknown", "flagged", "skipped", "partial", "undone", "kept", "not_done"):
        if names := getattr(run, place):
            words = _ENDS.get(place, place.replace("_", " "))
            styled((f"  {words}: ", STYLES.get(place, "")), (one_line(", ".join(names)), ""))
    if run.ended and run.outdated:
        styled(("  done on what is not so: ", "magenta"), (one_line(listed(run.outdated)), ""))
    if run.ended and run.guessed:
        styled(("  guessed, and confirmed by nobody: ", "yellow"), (one_line(listed(run.guessed)), ""))
    if run.replaced:
        styled((f"  replaced: {one_line(replaced_words(run.replaced))}", ""))


_ENDS = {"partial": "done in part", "undone": "taken back", "kept": "stays done"}


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
        for line, style in _who_decides(asked):
            styled((f"    {one_line(line)}", style))
        render_thinking.asks(asked)
        if asked.interrupt in heard:
            styled((f"  answered: {heard[asked.interrupt]}; a worker takes it when the run goes on", "green"))
            continue
        silence = "; then it is told that nobody answered" if asked.asks is not None else "; silence never means yes"
        goes_on = f"; {one_line(asked.next)}" if asked.next else ""
        styled((f"  until {moment(asked.expires_at)} ({when(asked.expires_at, now)}){silence}{goes_on}", "dim"))
        words = [run.run_id, *([asked.interrupt] if which else [])]
        answers = [
            (command(db, "answer", *words, *given, ends=ends), means)
            for choice in asked.choices
            for given, ends, means in render_thinking.ways(asked, choice)
        ]
        width = min(max((len(line) for line, _ in answers), default=0), COMMAND_MAX)
        for line, means in answers:
            styled((f"    {line.ljust(width)}   ", ""), (one_line(means), "dim"))


# Commands that are longer are followed by what they mean all the same, out of line.
COMMAND_MAX = 60


def _call(asked: Question) -> None:
    styled((f"    {one_line(asked.tool)}", "bold"), (f"  (step {asked.step})" if asked.step else "", "dim"))
    width = max(map(len, asked.args), default=0)
    for name, value in asked.args.items():
        styled((f"      {one_line(name).ljust(width)} = {as_json(value)}", ""))


def _who_decides(asked: Question) -> Iterable[Cell]:
    """By which rule it is asked, who may decide, and who has already."""
    if asked.rule:
        yield f"by {asked.rule}", "cyan"
    if asked.who or asked.people > 1:
        many = f"{asked.people} of them must approve" if asked.people > 1 else ""
        yield "; ".join(filter(None, (f"to be decided by {' or '.join(asked.who) or 'anybody'}", many))), ""
    if asked.approvals:
        yield f"approved so far by {listed(asked.approvals)}", "green"
    if asked.not_by:
        yield f"refused before by {listed(asked.not_by)}, who cannot approve it now", "yellow"


def show(tree: Tree, db: str, now: float) -> None:
    """`holdfast show`: everything that is known of a run, on one page."""
    run = tree.run
    styled((one_line(run.run_id), "bold"), ("  ", ""), status_cell(run.status, run.whole), (_detail(run), ""))
    for name, words in (*_facts(run, db, now), *render_thinking.facts(tree, now)):
        if words:
            styled((f"  {name:<9}  ", "dim"), (one_line(words), ""))
    if tree.steps:
        put()
        _steps(tree.steps, now)
    if tree.children:
        put()
        render_owed.children(tree.children, now)
    has_models = render_thinking.models(tree)
    render_thinking.beliefs(tree, db)
    if tree.steps or tree.children or tree.facts or has_models:
        put()
    for place in PLACES:
        names = getattr(run, place)
        if names:
            styled((f"  {_PLACES.get(place, place):<9}  ", STYLES.get(place, "")), (one_line(", ".join(names)), ""))
    render_owed.differently(run)
    render_thinking.doubts(tree, now)
    render_owed.owed(run.owed, now, ended=run.ended)
    for step in tree.steps:
        if step.whole_bytes:
            _cut_result(step, run.run_id, db)
    questions(run, db, now)


_PLACES = {"not_done": "not done", "not_needed": "unneeded"}


def _cut_result(step: StepView, run_id: str, db: str) -> None:
    """That the result of a step was too large, and how to see the whole of it."""
    how = f": {command(db, 'show', run_id, '--step', step.id, '--whole')}" if step.stored else ""
    words = f"{step.id}: {cut_words(step.whole_bytes, step.kept_bytes, step.stored)}"
    styled(("  cut        ", "yellow"), (one_line(words), ""), (one_line(how), ""))


def _facts(run: Summary, db: str, now: float) -> Iterable[tuple[str, str]]:
    yield "goal", cut(run.goal, REASON_MAX)
    yield "inputs", cut(as_json(run.inputs), REASON_MAX) if run.inputs else ""
    yield "agent", " ".join(filter(None, (run.agent, run.agent_version)))
    yield "tenant", run.tenant
    yield "priority", str(run.priority or "")
    yield from fork_facts(run)
    yield "parent", f"run {run.parent}, step {run.parent_step}" if run.parent else ""
    yield "labels", " ".join(f"{name}={value}" for name, value in run.labels.items())
    yield "started", moment(run.started_at)
    yield "changed", f"{moment(run.changed_at)}, {run.entries} entries, {run.attempts} calls, plan {run.revision}"
    yield "worker", run.worker
    yield "policy", run.policy
    yield "paused", _paused(run, db)
    yield "taken by", _taken_over(run)
    yield "told", "; ".join(f"{one.by}: {cut(one.text, VALUE_MAX)}" for one in run.instructions)
    yield "stopping", run.stopping or _wanted_end(run)
    if not run.ended:
        yield "unheard", "; ".join(f"{word.to}: {word.said}" for word in run.unheard if word.to in _FROM_OUTSIDE)
    if not run.questions:
        yield "waits for", run.waits_for
    if run.due_at is not None and not run.live:
        yield "until", f"{moment(run.due_at)} ({when(run.due_at, now)})"
    again = f"`{command(db, 'run', 'FILE', '--id', run.run_id)}`, or a worker: `{command(db, 'work', 'FILE')}`"
    yield "note", run.note and f"{run.note}; it goes on with {again}"


_FROM_OUTSIDE = ("callback", "signal", "child", "comment", "pause", "resume", "instruct", "handoff", "done")


def _paused(run: Summary, db: str) -> str:
    if run.paused is None:
        return ""
    until = f"until {moment(run.paused.until)}" if run.paused.until is not None else "until somebody lets it go on"
    why = f": {run.paused.reason}" if run.paused.reason else ""
    return f"by {run.paused.by}, {until}{why}; `{command(db, 'resume', run.run_id)}` lets it go on"


def _taken_over(run: Summary) -> str:
    if run.taken_over is None:
        return ""
    return run.taken_over.by + (f": {run.taken_over.reason}" if run.taken_over.reason else "")


def _wanted_end(run: Summary) -> str:
    return next((f"{word.said}; a worker takes it when the run goes on" for word in run.unheard if word.to == "cancel"), "")


def _steps(steps: Sequence[StepView], now: float) -> None:
    headers = ("step", "call", "safety", "is", "attempts", "due", "after", "result or reason", "recovery")
    table(headers, (_step_cells(step, now) for step in steps), indent=2)


def _step_cells(step: StepView, now: float) -> tuple[Cell, ...]:
    by = f"by {step.by_hand}" if step.by_hand else _BY.get(step.settled_by, "")
    done = step.place in ("done", "undone")
    said = _value(step) if done else cut(step.reason, VALUE_MAX)
    return (
        (step.id, "bold"),
        (_call_of(step), ""),
        (step.safety, "dim"),
        (step.phase + (f", {by}" if by else ""), STYLES.get(step.place, "")),
        (str(step.attempts or ""), ""),
        (when(step.due_at, now), ""),
        (", ".join(step.after), "dim"),
        (said, ""),
        (", ".join(dict.fromkeys(row.row for row in step.recovery)), "magenta"),
    )


_BY = {
    "probe": "found by its probe",
    "person": "said by a person",
    "reuse": "of another step",
    "callback": "by a callback",
    "signal": "by a signal",
    "child": "by the run that it started",
}


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
    left = f"; left: {listed(step.left)}" if step.left else ""
    return shown + left + (f"; also: {changes_words(step.changes)}" if step.changes else "")


def live(tree: Tree, now: float) -> RenderableType:
    """A run and its steps as a tree, for `holdfast watch`."""
    from rich.text import Text
    from rich.tree import Tree as Drawing

    run = tree.run
    root = Drawing(
        Text.assemble(
            (one_line(run.run_id), "bold"),
            "  ",
            status_cell(run.status, run.whole),
            _detail(run),
            (f"  {run.note}" if run.note else "", "yellow"),
        )
    )
    for step in tree.steps:
        node = root.add(Text.assemble(*_live_cells(step, now)))
        for row in step.recovery:
            node.add(Text.assemble((row.row, "magenta"), f"  {one_line(row.reason)}"))
    if run.paused is not None:
        until = f" until {moment(run.paused.until)}" if run.paused.until is not None else ""
        root.add(Text(one_line(f"paused by {run.paused.by}{until}: {run.paused.reason}".rstrip(": ")), "yellow"))
    if run.taken_over is not None:
        root.add(Text(one_line(f"taken over by {_taken_over(run)}"), "yellow"))
    for words, style in render_thinking.live(tree, now):
        root.add(Text(one_line(words), style))
    for one in run.owed:
        root.add(Text(one_line(f"{'was owed' if run.ended else 'owed'}: {owed_words(one)}"), "cyan"))
    for child in tree.children:
        status, style = status_cell(child.run.status, child.run.whole)
        root.add(Text.assemble("started ", (one_line(child.run.run_id), "bold"), "  ", (status, style)))
    for asked in run.questions:
        words = f"{asked.interrupt}: {one_line(asked.question)} — until {moment(asked.expires_at)}"
        root.add(Text(f"{words}; `holdfast show {one_line(run.run_id)}` says how to answer", "yellow"))
    return root


def _live_cells(step: StepView, now: float) -> Iterable[Cell]:
    yield one_line(step.id), "bold"
    yield f"  {step.phase}", STYLES.get(step.place, "")
    if step.began_at is not None:
        yield f"  {span(max((step.ended_at or now) - step.began_at, 0.0))}", "dim"
    if step.attempts > 1:
        yield f"  attempt {step.attempts}", ""
    if step.due_at is not None:
        yield f"  {when(step.due_at, now)}", "cyan"
    if step.place not in ("done", "undone") and step.reason:
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
            *view.promises.items(),
            ("asks", view.asks),
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
