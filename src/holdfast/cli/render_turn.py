"""One turn of a model, drawn from the record of `turns.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast.cli.drawing import REASON_MAX, styled
from holdfast.cli.options import command
from holdfast.cli.render_thinking import BECAME, usage_line
from holdfast.cli.text import as_json, clean, one_line, put
from holdfast.views import FINISHES, FOR_PHASE, cut, moment, size, span, usage_words

if TYPE_CHECKING:
    from holdfast.cli.turns import SaidPart, ShownView, TurnPage
    from holdfast.core.models import Part
    from holdfast.views import TurnView


def page(found: TurnPage, run_id: str, db: str) -> None:
    """`holdfast show --turn`: everything that is known of a turn."""
    turn = found.turn
    styled((f"turn {turn.turn}", "bold"), (f"  of run {one_line(run_id)}: {turn.model} is asked {FOR_PHASE[turn.phase]}", ""))
    for name, words in _lines(turn):
        if words:
            styled((f"  {name:<9}  ", "dim"), (one_line(words), ""))
    if found.shown is not None:
        _shown(found.shown)
    for part in found.said:
        _said(part)
    if found.follows:
        put()
        styled(("then:", "bold"))
        for line in found.follows:
            styled((f"  {one_line(line)}", ""))
    if found.shown is None:
        put()
        styled((f"what it was shown: {command(db, 'show', run_id, '--turn', str(turn.turn), '--shown')}", "dim"))


def _lines(turn: TurnView) -> Iterator[tuple[str, str]]:
    yield "chosen", turn.reason
    took = f", answered after {span(turn.seconds)}" if turn.answered_at is not None else ", not answered yet"
    yield "asked", f"{moment(turn.asked_at)}{took}" + (f", at attempt {turn.attempt}" if turn.attempt > 1 else "")
    for one in turn.failed:
        said = f": {cut(one.message, REASON_MAX)}" if one.message else ""
        counted = f"; counted: {usage_words(one.counted)}" if one.counted.tokens or one.counted.cost_usd else ""
        yield "failed", f"attempt {one.attempt}, {one.model}: {one.kind}{said}{counted}"
    yield "request", f"{size(turn.bytes)}" if turn.bytes else ""
    yield "used", usage_line(turn) if turn.answered_at is not None else ""
    yield "became", BECAME.get(turn.outcome, turn.outcome) + (f"; {finish}" if (finish := FINISHES.get(turn.finish)) else "")
    for problem in turn.problems:
        yield "problem", problem


def _said(part: SaidPart) -> None:
    put()
    if part.kind != "call":
        styled(("it thinks:" if part.kind == "thinking" else "it says:", "bold"))
        _text(part.text or "(nothing that can be read)", "dim" if part.kind == "thinking" else "")
        return
    became = f"  (step {one_line(part.step)}, {part.phase})" if part.step else ""
    styled(("it calls ", "bold"), (one_line(part.tool), "bold"), (became, "dim"))
    _args(part.args)
    if part.problem:
        styled((f"  not taken: {one_line(part.problem)}", "yellow"))


def _args(args: object) -> None:
    if not isinstance(args, dict):
        if args is not None:
            _text(args if isinstance(args, str) else as_json(args), "")
        return
    width = max((len(one_line(name)) for name in args), default=0)
    for name, value in args.items():
        styled((f"    {one_line(name).ljust(width)} = {as_json(value)}", ""))


def _text(text: str, style: str) -> None:
    for line in clean(text).splitlines():
        styled((f"  {line}", style))


# --- what it was shown --------------------------------------------------------------------------------------------


def _shown(shown: ShownView) -> None:
    put()
    styled(("it was told:", "bold"))
    own = shown.instructions_bytes
    styled(
        (f"  [the agent's instructions, {size(own)}, which the journal does not keep]" if own else "  [no instructions]", "dim")
    )
    _text(shown.system, "")
    styled((f"  [tools: {', '.join(shown.tools)}]", "dim"))
    for message in shown.messages:
        put()
        styled(("it was shown:" if message.role == "user" else "it had said:", "bold"))
        for part in message.parts:
            _part(part)


def _part(part: Part) -> None:
    if part.kind == "call":
        styled((f"  call {one_line(part.tool)} ", "cyan"), (as_json(part.args), ""))
    elif part.kind == "result":
        styled((f"  result of {one_line(part.tool)}:" if part.tool else "  result:", "cyan"))
        _text(part.text, "")
    else:
        _text(part.text, "dim" if part.kind == "thinking" else "")
