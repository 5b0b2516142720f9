"""What a run thinks and believes, an entry in one line: requests to models and what came of them, questions, facts, verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.core import asking
from holdfast.core import events as e
from holdfast.core.models import Part
from holdfast.core.routing import AFTER, AFTER_CONTEXT, NEVER, After
from holdfast.core.state import State
from holdfast.core.thinking import Question, Thinking
from holdfast.views.beliefs import drift_words, fact_words, facts_words
from holdfast.views.entries_people import asked_words
from holdfast.views.words import FIELD_MAX, NAMES_MAX, cut, listed, moment, reserved_words, span, usage_words

FOR_PHASE = {
    "interpret": "what the goal means",
    "plan": "what to do next",
    "reflect": "whether the plan still holds",
    "diagnose": "what to do about what went wrong",
    "complete": "whether it is done",
}
FINISHES = {
    "length": "it broke off: it may say no more than that",
    "refused": "it refuses",
    "other": "it broke off, and does not say why",
}
_FOLLOWS: dict[After, str] = {
    "again": "it is asked again after a wait",
    "later": "it is not asked again for an hour",
    "out": "it is not asked again in this run",
    "shorter": "it is asked again with a shorter context",
}
_WHY = {
    "failures": "steps failed in a row",
    "drift": "the world is not as it was believed to be",
    "goal": "the goal is another one",
    "correction": "somebody corrected what was believed",
    "answer": "an answer came",
    "partial": "something was done in part only",
}


def told_thinking(event: e.AnyEvent, state: State | None) -> str | None:
    """What an entry about models, questions, facts or verdicts means, in a few words; None for any other."""
    return _of_models(event, state) or _of_questions(event) or _of_facts(event) or _of_doubts(event)


def _of_models(event: e.AnyEvent, state: State | None) -> str | None:
    """Requests to models, and what came of them."""
    match event:
        case e.ThinkingChanged(thinking=thinking):
            return f"thinks in another way from now on: {routes_words(thinking)}"
        case e.ProposalRequested(turn=turn, model=model, phase=phase, attempt=attempt) if model:
            again = f", attempt {attempt}" if attempt > 1 else ""
            most = f"; {reserved_words(event.reserved)}" if event.reserved is not None else ""
            return f"turn {turn}: asks {model} {FOR_PHASE[phase]}{again}{_because(event)}{most}"
        case e.ModelAnswered():
            return answered_words(event)
        case e.ModelFailed(turn=turn, model=model, failure=failure, usage=usage):
            counts = f"; counted: {usage_words(usage)}" if usage.tokens or usage.cost_usd else ""
            said = f": {cut(failure.message)}" if failure.message else ""
            return f"turn {turn}: {model} does not answer: {failure.kind}{said}; {after_words(event, state)}{counts}"
        case e.ModelCallLost(turn=turn, model=model, usage=usage):
            return f"turn {turn}: who asked {model} is gone, and nobody heard its answer; counted as used: {usage_words(usage)}"
        case e.ReasonerHeld(until=until, reason=reason):
            return f"no model can be asked before {moment(until)}: {cut(reason)}"
        case e.ProposalFailed(problems=problems):
            return f"what was proposed cannot be run: {'; '.join(map(cut, problems))}"
        case e.PlanKept(turn=turn, reason=reason):
            return f"turn {turn}: the plan stands" + (f": {cut(reason)}" if reason else "")
        case e.FinishProposed(turn=turn, result=result):
            # What is text was said a line before.
            return f"turn {turn}: says that it is done" + (f": {cut(result)}" if not isinstance(result, str) else "")
        case e.GiveUpProposed(turn=turn, reason=reason):
            return f"turn {turn}: gives up: {cut(reason)}"
        case _:
            return None


def answered_words(event: e.ModelAnswered, *, said: bool = True) -> str:
    """What a model answered, and what that used. said: with its words, which whoever heard them already need not read again."""
    finish = f"; {FINISHES[event.finish]}" if event.finish in FINISHES else ""
    words = said_words(event.said, said)
    took = f" in {span(event.seconds)}" if event.seconds else ""
    return f"turn {event.turn}: answered{took} ({usage_words(event.usage)})" + (f": {words}" if words else "") + finish


def said_words(said: Iterable[Part], texts: bool = True) -> str:
    """What a model said, in short: the beginning of its words, then its calls."""
    parts = list(said)
    spoken = " ".join(part.text.strip() for part in parts if part.kind == "text" and part.text.strip()) if texts else ""
    calls = [call_words(part) for part in parts if part.kind == "call"]
    more = f" and {len(calls) - NAMES_MAX} more" if len(calls) > NAMES_MAX else ""
    made = f"calls {', '.join(calls[:NAMES_MAX])}{more}" if calls else ""
    return "; ".join(filter(None, (cut(" ".join(spoken.split())), made)))


def call_words(part: Part) -> str:
    """A call in a few words: the step that it became, else its tool; its arguments where nothing else tells of them."""
    if part.step:
        words = part.step if part.step.startswith(part.tool) else f"{part.tool} as {part.step}"
    else:
        words = f"{part.tool}({_args(part)})" if part.tool == _FINISH or part.problem else part.tool
    return f"{words} [not taken: {_begin(part.problem)}]" if part.problem else words


# The tool by which a model ends a run; what its other tools are given stands in entries of their own.
_FINISH = "finish_run"
_ARGS_MAX = 60


def _args(part: Part) -> str:
    if not isinstance(part.args, dict):
        return "" if part.args is None else _begin(cut(part.args, FIELD_MAX))
    return _begin(", ".join(f"{name}={cut(value, FIELD_MAX)}" for name, value in part.args.items()))


def _begin(text: str) -> str:
    """The beginning of a part of a line; what says how long the whole was belongs to the whole line."""
    return text if len(text) <= _ARGS_MAX else f"{text[:_ARGS_MAX]}…"


def _because(event: e.ProposalRequested) -> str:
    """Why this model, where it is not simply the first of its phase."""
    return "" if not event.reason or event.reason.startswith("the first choice") else f" ({cut(event.reason)})"


def after_words(event: e.ModelFailed, state: State | None) -> str:
    """What follows for a model whose request failed: until when, as far as that is known."""
    failure = event.failure
    context = isinstance(failure.detail, dict) and failure.detail.get("context") is True
    for setback in reversed(state.setbacks if state is not None else ()):
        if (setback.model, setback.kind, setback.message) == (event.model, failure.kind, failure.message):
            if setback.until >= NEVER:
                return _FOLLOWS["out"]
            return _FOLLOWS["shorter"] if context else f"it is not asked again before {moment(setback.until)}"
    after, _ = AFTER_CONTEXT if context else AFTER.get(failure.kind, AFTER["crashed"])
    asked = f", {span(failure.retry_after_seconds)} as it says" if failure.retry_after_seconds is not None else ""
    return _FOLLOWS[after] + (asked if after == "again" else "")


def routes_words(thinking: Thinking) -> str:
    """Which models are asked: `a, b; to reflect: c; when the money runs short: d`."""
    parts = [", ".join(thinking.routes.get("", ()))]
    parts += [f"to {phase}: {', '.join(names)}" for phase, names in thinking.routes.items() if phase]
    if thinking.cheaper:
        parts.append(f"when the money runs short: {', '.join(thinking.cheaper)}")
    return "; ".join(filter(None, parts))


# --- questions ----------------------------------------------------------------------------------------------------


def _of_questions(event: e.AnyEvent) -> str | None:
    """What is not known: asked, or guessed."""
    match event:
        case e.QuestionsProposed(turn=turn, questions=questions, reason=reason):
            why = f"; {cut(reason)}" if reason else ""
            return f"turn {turn}: wants to know {'; '.join(map(_question, questions))}{why}"
        case e.GoalInterpreted(turn=turn, intent=intent, facts=facts, missing=missing):
            parts = (
                f"turn {turn}: takes the goal to mean: {cut(intent)}",
                f"as it believes: {facts_words(facts)}" if facts else "",
                f"not known: {listed(question.name for question in missing)}" if missing else "",
            )
            return "; ".join(filter(None, parts))
        case e.Inferred(question=question, why=why):
            basis = f": {cut(question.basis)}" if question.basis else ""
            guess = f"{cut(question.name, FIELD_MAX)} = {cut(question.guess, FIELD_MAX)}"
            return f"guesses {guess} ({question.confidence:.0%} sure{basis}), and asks nobody: {why}"
        case e.Asked(interrupt=interrupt, question=asked, asks=asks) if asks is not None:
            return f"{interrupt}: asks {asked_words(event)}: {cut(asked)}{guess_words(asks)}"
        case _:
            return None


def _question(question: Question) -> str:
    return f"{cut(question.name, FIELD_MAX)} ({cut(question.text)})"


def guess_words(question: Question) -> str:
    """What would be taken where nobody says: ` (its own guess is 2, 60% sure: most trips are short)`; empty where nothing."""
    if not question.has_guess:
        return ""
    basis = f": {cut(question.basis)}" if question.basis else ""
    return f" (its own guess is {cut(question.guess, FIELD_MAX)}, {question.confidence:.0%} sure{basis})"


def weighed_words(question: Question, thinking: Thinking | None) -> str:
    """Why a person is asked, and nothing is taken instead: the same rule that decided it is asked again."""
    policies = thinking.asking if thinking is not None else {}
    return asking.weigh(question, asking.asking_for(question.name, policies)).why


# --- facts --------------------------------------------------------------------------------------------------------


def _of_facts(event: e.AnyEvent) -> str | None:
    """What is believed, and what is not any more."""
    match event:
        case e.GoalChanged(goal=goal, by=by, note=note):
            inputs = f", with {', '.join(f'{name}={cut(value, FIELD_MAX)}' for name, value in goal.inputs.items())}"
            text = f": {cut(goal.text)}" if goal.text else ""
            return f"{by} changed the goal{text}{inputs if goal.inputs else ''}" + (f" ({cut(note)})" if note else "")
        case e.RecallIntended(query=query):
            return f"looks for what is remembered of: {cut(query, FIELD_MAX)}"
        case e.MemoryRecalled(facts=facts, failure=failure):
            if failure:
                return f"the memory could not be asked: {cut(failure)}"
            return f"remembers {facts_words(facts)}" if facts else "remembers nothing of it"
        case e.FactsLearned(facts=facts, drifts=drifts, step=step, reason=reason):
            # Who observed it stands before it.
            seen = listed(f"{fact.name} = {cut(fact.value, FIELD_MAX)}" for fact in facts)
            learned = "" if not facts else f"observed {seen}" if step else f"believes {facts_words(facts)}"
            changed = f"not as it was believed: {drift_words(drifts)}" if drifts else ""
            said = "; ".join(filter(None, (learned, changed, cut(reason))))
            return (f"{step}: {said}" if step else said) or None
        case e.FactsInvalidated(facts=facts, because=because, dropped=dropped, outdated=outdated):
            parts = (
                f"not believed any more: {listed(facts)}" if facts else "",
                f"not begun, and given up: {listed(dropped)}" if dropped else "",
                f"done already, on what is not so: {listed(outdated)}" if outdated else "",
            )
            said = "; ".join(filter(None, parts)) or "nothing rests on it"
            return f"{cut(because)}: {said}"
        case e.ReobservationPlanned(fact=fact, for_step=for_step, step=step):
            return f"{for_step}: {cut(fact, FIELD_MAX)} is too old: {step.id} calls {step.tool} to observe it again"
        case _:
            return None


# --- doubts and verdicts ------------------------------------------------------------------------------------------


def _of_doubts(event: e.AnyEvent) -> str | None:
    """Whether the plan is right, and whether the result will do."""
    match event:
        case e.PlanSuspected(why=why, reason=reason):
            return f"the plan is in doubt, {_WHY[why]}: {cut(reason)}; nothing new of it begins before it was looked at again"
        case e.CheckPlanned(turn=turn, step=step):
            return f"turn {turn}: {step.id} calls {step.tool} to look at the result"
        case e.FinishRuled(turn=turn, accepted=accepted, by=by, reason=reason):
            if accepted:
                return f"turn {turn}: the result is accepted by {cut(by)}" + (f": {cut(reason)}" if reason else "")
            return f"turn {turn}: the result is refused by {cut(by)}: {cut(reason)}; it goes back with that"
        case _:
            return None


# --- whole entries ------------------------------------------------------------------------------------------------


def fields_of(event: e.AnyEvent) -> dict[str, object]:
    """The parts of an entry that are whole tables, as what says enough in one line; by name."""
    match event:
        case e.RunStarted(thinking=thinking) if thinking is not None:
            return {"thinking": routes_words(thinking)}
        case e.ThinkingChanged(thinking=thinking):
            return {"thinking": routes_words(thinking)}
        case e.ProposalRequested(reserved=reserved) if reserved is not None:
            return {"reserved": reserved_words(reserved)}
        case e.ModelAnswered(usage=usage, said=said):
            return {"usage": usage_words(usage), "said": said_words(said)}
        case e.ModelFailed(usage=usage) | e.ModelCallLost(usage=usage):
            return {"usage": usage_words(usage)} if usage.tokens or usage.cost_usd else {}
        case e.QuestionsProposed(questions=questions):
            return {"questions": [question.name for question in questions]}
        case e.GoalInterpreted(facts=facts, missing=missing):
            return {"facts": list(map(fact_words, facts)), "missing": [question.name for question in missing]}
        case e.Inferred(question=question):
            return {"question": f"{question.name} = {cut(question.guess, FIELD_MAX)}"}
        case e.FactsLearned(facts=facts) | e.MemoryRecalled(facts=facts):
            return {"facts": list(map(fact_words, facts))}
        case e.ReobservationPlanned(step=step) | e.CheckPlanned(step=step):
            return {"step": f"{step.id} {step.tool}"}
        case e.Asked(asks=asks) if asks is not None:
            return {"asks": asks.name}
        case _:
            return {}
