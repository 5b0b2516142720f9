"""What a run thinks and believes, drawn from the records of `views`: turns, models, money, facts, doubts, questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.cli.drawing import CELL_MAX, REASON_MAX, Cell, minute, styled, table, when
from holdfast.cli.options import command
from holdfast.cli.text import as_json, one_line, put
from holdfast.views import (
    asking_words,
    cut,
    listed,
    moment,
    reserved_words,
    source_words,
    span,
    spent_words,
    usage_words,
    usd,
)

if TYPE_CHECKING:
    from holdfast.views import FactView, Question, ThinkingView, Tree, TurnView
    from holdfast.views.minds import MindView, ModelView, Setback
    from holdfast.views.runs import Choice

# So many facts are on the page of a run; `--facts` has all.
FACTS_SHOWN = 12
_STANDS = {"firm": "", "guess": "yellow", "stale": "magenta", "too old": "magenta"}


# --- on the page of a run -----------------------------------------------------------------------------------------


def facts(tree: Tree, now: float) -> Iterator[tuple[str, str]]:
    """Lines for the head of the page: what the goal is taken to mean, how far the thinking is, what it used."""
    thinking = tree.thinking
    if thinking is not None:
        yield "meaning", cut(thinking.intent, REASON_MAX)
        yield "thinking", _how_far(thinking, now)
    yield "spent", spent_words(tree.run.spent)


def _how_far(thinking: ThinkingView, now: float) -> str:
    turns = f"{thinking.turns} of at most {thinking.turns_max} turns, plan {thinking.plans} of at most {thinking.plans_max}"
    if thinking.asking is not None:
        since = f", since {span(max(now - thinking.asking.since, 0.0))}"
        most = f", {reserved_words(thinking.asking.reserved)}" if thinking.asking.reserved is not None else ""
        return f"{asking_words(thinking.asking)}{since}{most}; {turns}"
    if thinking.held_until is not None:
        until = f"{moment(thinking.held_until)} ({when(thinking.held_until, now)})"
        return f"no model can be asked before {until}: {cut(thinking.held_why, REASON_MAX)}; {turns}"
    if thinking.idle_turns > 1:
        turns += f"; {thinking.idle_turns} of at most {thinking.idle_turns_max} in a row without news"
    return turns


def models(tree: Tree) -> bool:
    """The models of a run, where there is more to say than the name of one that answers; whether there is."""
    views = tree.thinking.models if tree.thinking is not None else ()
    if len(views) < 2 and not any(view.failures for view in views):
        return False
    headers = ("model", "asked for", "answers", "failures", "tokens in", "from a cache", "out", "cost")
    put()
    table(headers, map(_model_cells, views), indent=2)
    return True


def _model_cells(view: ModelView) -> tuple[Cell, ...]:
    usage = view.usage
    return (
        (view.model, "bold"),
        (", ".join(view.asked_for), ""),
        (str(view.answers), ""),
        (str(view.failures or ""), "yellow"),
        (f"{usage.input_tokens:,}", ""),
        (f"{usage.cache_read_tokens:,}" if usage.cache_read_tokens else "", "dim"),
        (f"{usage.output_tokens:,}", ""),
        (usd(usage.cost_usd) if usage.cost_usd else "", ""),
    )


def beliefs(tree: Tree, db: str) -> None:
    """What a run believes, as far as it has room on the page: what is guessed and what is not to be acted on comes first."""
    if not tree.facts:
        return
    put()
    fact_table(tree.facts[:FACTS_SHOWN])
    if (left := len(tree.facts) - FACTS_SHOWN) > 0:
        styled((f"  … and {left} more: {command(db, 'show', tree.run.run_id, '--facts')}", "dim"))


def fact_table(views: Iterable[FactView], indent: int = 2) -> None:
    """Facts, each with where it comes from and whether it may be acted on."""
    table(("believed", "value", "where from", "used by"), map(_fact_cells, views), indent=indent)


def _fact_cells(view: FactView) -> tuple[Cell, ...]:
    style = _STANDS[view.stands]
    return (
        (cut(view.name, CELL_MAX), "bold"),
        (cut(as_json(view.value), CELL_MAX), style),
        ("; ".join(_fact_words(view)), style),
        (listed((*view.used_by, *view.wanted_by), 4), ""),
    )


def _fact_words(view: FactView) -> Iterator[str]:
    age = f"{view.age_seconds:.0f}s" if view.age_seconds < 60 else span(view.age_seconds)
    source = f"{source_words(view.source, view.by)} {age} ago"
    unsure = f", {view.confidence:.0%} sure" if view.confidence < 1 else ""
    basis = f": {cut(one_line(view.basis), CELL_MAX)}" if view.basis and view.stands != "firm" else ""
    if stands := stands_words(view):
        yield stands
    yield source + unsure + basis
    if view.valid_until is not None and view.stands in ("firm", "guess"):
        yield f"holds until {minute(view.valid_until)}"
    if view.memory:
        yield f"memory {view.memory}"
    if view.rests_on:
        yield f"rests on {listed(view.rests_on, 4)}"


def stands_words(view: FactView) -> str:
    """Whether a fact may be acted on, and who says so."""
    if view.stands == "guess":
        return "a guess"
    if view.stands == "stale":
        return "not believed any more"
    if view.stands == "too old":
        others = [name for name in view.too_old if name != view.name]
        return f"rests on what is too old: {listed(others, 3)}" if others else "too old"
    return f"confirmed by {view.confirmed_by}" if view.confirmed_by else ""


def doubts(tree: Tree, now: float) -> None:
    """What is in doubt, who did not answer, and what was recalled; a line for each that there is."""
    thinking, run = tree.thinking, tree.run
    lines: list[tuple[str, str, str]] = []
    if thinking is not None:
        lines += [("in doubt", f"the plan: {doubt}", "yellow") for doubt in thinking.doubts]
        lines += [("setback", setback_words(one, now), "yellow") for one in thinking.setbacks]
        lines += [("unanswered", f"{name}: {why}", "yellow") for name, why in thinking.unanswered.items()]
        most = f" (of at most {thinking.refused_max})" if thinking.refused_max is not None else ""
        lines += [("refused", f"result {n}{most}: {why}", "yellow") for n, why in enumerate(thinking.refused, 1)]
    if run.outdated:
        lines.append(("outdated", f"{listed(run.outdated)}: done on what turned out not to be so", "magenta"))
    if tree.recalled:
        lines.append(("recalled", listed(map(_recalled, tree.recalled)), ""))
    for name, words, style in lines:
        styled((f"  {name:<9}  ", style), (one_line(cut(words, REASON_MAX)), ""))


def _recalled(one: Any) -> str:
    used = f", used by {listed(one.used_by, 4)}" if one.used_by else ""
    return f"{one.name} ({one.memory}: {one.became}{used})"


def setback_words(one: Setback, now: float) -> str:
    """A model that did not answer, and what follows for it."""
    times = f", {one.times} times" if one.times > 1 else ""
    said = f": {cut(one.message)}" if one.message else ""
    if one.until is None:
        follows = "it is not asked again in this run"
    elif one.until > now:
        follows = f"it is not asked again before {moment(one.until)} ({when(one.until, now)})"
    else:
        follows = "it is asked again with a shorter context" if one.shorter else "it may be asked again"
    return f"{one.model} did not answer{times}: {one.kind}{said}; {follows}"


def live(tree: Tree, now: float) -> Iterator[Cell]:
    """Lines for the tree of `holdfast watch`."""
    thinking = tree.thinking
    if thinking is not None and not tree.run.ended:
        if thinking.asking is not None or thinking.held_until is not None:
            yield _how_far(thinking, now), "cyan"
        for doubt in thinking.doubts:
            yield f"the plan is in doubt: {doubt}", "yellow"
    for fact in tree.facts:
        if fact.stands == "guess":
            source = source_words(fact.source, fact.by, fact.confidence)
            yield f"a guess: {fact.name} = {cut(as_json(fact.value), CELL_MAX)} ({source})", "yellow"
    if words := spent_words(tree.run.spent):
        yield f"spent {words}", "dim"


# --- questions ----------------------------------------------------------------------------------------------------


def asks(asked: Question) -> None:
    """What the reasoner wants to know, or which guesses a person is to say of whether they are so."""
    if asked.asks is not None:
        wanted = asked.asks
        guess = ""
        if wanted.has_guess:
            basis = f": {wanted.basis}" if wanted.basis else ""
            guess = f"{cut(as_json(wanted.guess), CELL_MAX)}, {wanted.confidence:.0%} sure{basis}"
        lines = (
            ("becomes", f"the fact {wanted.name}"),
            ("why", wanted.why),
            ("takes", wanted.takes),
            ("guess", guess),
            ("weighed", wanted.weighed),
        )
        for name, words in lines:
            if words:
                styled((f"      {name:<10}  ", "dim"), (one_line(cut(words, REASON_MAX)), ""))
    if asked.facts:
        fact_table(asked.facts, indent=6)


def ways(asked: Question, choice: Choice) -> Iterator[tuple[list[str], str, str]]:
    """The commands that give an answer: its words, what stands behind them as it is, and what it means."""
    if choice.decision == "respond" and asked.asks is not None:
        for number, option in enumerate(asked.asks.options, 1):
            own = " (its own guess)" if asked.asks.has_guess and option == asked.asks.guess else ""
            yield ["respond", "--option", str(number)], "", cut(as_json(option), CELL_MAX) + own
        free = "another answer" if asked.asks.options else choice.means
        yield ["respond"], f" {_EXAMPLES.get(str(asked.asks.answer_schema.get('type', '')), 'VALUE')}", free
        return
    if choice.decision == "respond" and asked.recorded:
        yield ["respond", "--recorded"], "", "do not make it: its result is the one that the source has on record"
    more = _MORE.get(choice.decision, "")
    if choice.decision == "edit" and asked.about == "fact" and len(asked.facts) == 1:
        more = f" {_shell(asked.facts[0].name)}=VALUE"
    yield [choice.decision], more, choice.means


_MORE = {"edit": " NAME=VALUE", "reject": ' "WHY"', "respond": " JSON"}
_EXAMPLES = {
    "string": '"TEXT"',
    "integer": "NUMBER",
    "number": "NUMBER",
    "boolean": "true|false",
    "object": "JSON",
    "array": "JSON",
}


def _shell(word: str) -> str:
    import shlex

    return shlex.quote(one_line(word))


# --- turns --------------------------------------------------------------------------------------------------------

BECAME = {
    "plan": "a plan",
    "keep": "the plan stands",
    "ask": "questions",
    "interpret": "what the goal means",
    "finish": "the result",
    "give_up": "it gives up",
    "failed": "nothing taken",
    "": "",
}


def turns(views: Sequence[TurnView]) -> None:
    """The table of `holdfast show --turns`. Where one model was asked all along, its name stands at the head of the run."""
    several = len({view.model for view in views}) > 1
    headers = ("turn", "for", "model", "tokens", "cost", "failed", "became", "said")
    table(headers, (_turn_cells(view, several) for view in views))


def _turn_cells(view: TurnView, several: bool) -> tuple[Cell, ...]:
    usage = view.usage
    failed = ", ".join(dict.fromkeys(one.kind for one in view.failed))
    tokens = f"{usage.input_tokens:,} + {usage.output_tokens:,}" if usage.tokens else ""
    return (
        (str(view.turn), "bold"),
        (view.phase, ""),
        (view.model if several else "", ""),
        (tokens, ""),
        (usd(usage.cost_usd) if usage.cost_usd else "", ""),
        (failed, "yellow"),
        (BECAME.get(view.outcome, view.outcome), "yellow" if view.outcome == "failed" else ""),
        (cut(one_line(view.said), CELL_MAX), ""),
    )


# --- an agent -----------------------------------------------------------------------------------------------------


def mind(view: MindView) -> None:
    """`holdfast check`: how the runs of an agent think."""
    styled((f"agent {one_line(view.agent)}", "bold"), ("  thinks by models", "cyan"))
    for one in view.models:
        price = f"{usd(one.input_usd)} in, {usd(one.output_usd)} out, a million tokens"
        bounds = f"at most {one.output_tokens_max:,} tokens out, {span(one.timeout_seconds)}"
        styled((f"    {'model':<9}  ", "dim"), (one_line(one.model), "bold"), (f"  {price}; {bounds}", ""))
    for name, words in _mind_lines(view):
        if words:
            styled((f"    {name:<9}  ", "dim"), (one_line(words), ""))


def _mind_lines(view: MindView) -> Iterator[tuple[str, str]]:
    for phase, names in view.routes.items():
        yield (phase or "asks"), ", then ".join(names)
    yield "cheaper", ", then ".join(view.cheaper) + " when the money runs short" if view.cheaper else ""
    steps = {"plan": "all steps at once", 1: "a step at a time"}.get(view.horizon, f"{view.horizon} steps in a row")
    looks = {"step": "after every step", "surprise": "on a surprise", "never": "never"}[view.reassess]
    yield "plans", steps + ("" if view.horizon == 1 else f", and looks at the plan again {looks}")
    yield "first", "says what the goal means, what is known, missing and assumed" if view.interpret else ""
    yield "asks for", "; ".join(f"{name or 'all else'}: {how}" for name, how in view.asks.items())
    sure = view.confidence_min
    yield "unsure", f"a person is asked about each call of a plan that it trusts less than {sure:.0%}" if sure else ""
    yield "recalls", f"up to {view.recall} memories of its thread" if view.recall else ""
    yield "is done", view.accept or "when the model says so"
    yield "limits", ", ".join(f"{name} {_limit(name, value)}" for name, value in view.limits.items())
    yield "repairs", f"up to {view.repairs_max} proposals in a row that cannot be taken"
    yield "doubts", f"its plan, when {view.failures_max} steps fail in a row" if view.horizon != 1 else ""


def _limit(name: str, value: Any) -> str:
    if name.endswith("_seconds"):
        return span(value)
    return usd(value) if name == "cost_usd_max" else f"{value:,}"


def usage_line(view: TurnView) -> str:
    """What the request of a turn used, of what was reserved for it."""
    held = f", of {reserved_words(view.reserved)}" if view.reserved is not None else ""
    return usage_words(view.usage) + held
