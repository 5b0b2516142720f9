"""What is believed: read off results, judged before anything rests on it, and taken down with what turned out not to be so."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.contract import Contract, digest
from holdfast.core.decide.owed import Owed
from holdfast.core.facts import (
    STEP_PREFIX,
    VALUE_BYTES_MAX,
    Drift,
    Fact,
    is_change,
    is_guess,
    named,
    outlived,
    value_bytes,
)
from holdfast.core.fallout import fallout
from holdfast.core.plan import Step, conditions, fallbacks_of, reads
from holdfast.core.provenance import facts_beneath
from holdfast.core.state import ENDED, StepState, source_of

# How often a fact is observed again for one step: what is stale again at once is never fresh.
ANEW_MAX = 3
_SHOWN_MAX = 120
_ANEW = re.compile(r"_anew[0-9]*$")


class Beliefs(Owed):
    """See the module's text."""

    # --- what steps reported --------------------------------------------------------------------------------------

    def _observe(self) -> None:
        """Read off what steps reported, and rule on what falls with what changed. Nothing begins before that; what a person was
        asked may be settled by it."""
        if self.state.to_observe or self.state.shaken:
            self.refused = True
        for name in self.state.to_observe:
            self._read_off(self.state.steps[name])
        if self.state.shaken:
            self._invalidate()

    def _read_off(self, step: StepState) -> None:
        contract, name = self._contract(step), step.step.id
        args = references.unmarked(step.args or {})
        # Other things are so than it was called with: what it reports is of those, and is to be observed again.
        outdated = name in self.state.outdated
        by_hand = step.settled_by == "person"
        found: dict[str, Fact] = {}
        missing: list[str] = []
        for pattern, expression in contract.observes.items():
            called = named(pattern, args)
            value = references.picked(expression, step.value) if step.cut is None else None
            if called is None or value is None or value_bytes(value) > VALUE_BYTES_MAX:
                missing.append(called or pattern)
                continue
            believed = self.state.facts.get(called)
            if outdated and believed is not None and not believed.stale:
                continue
            found[called] = Fact(
                name=called,
                value=value,
                source="told" if by_hand else "observed",
                by="a person" if by_hand else step.tool,
                at=self.now,
                ttl_seconds=contract.valid_seconds,
                rests_on=(f"{STEP_PREFIX}{name}", *(other for other in step.believes if other != called)),
                stale=outdated,
            )
        why = "its result was cut" if step.cut is not None else "it reported no such thing, or too much of it"
        self._rule(
            e.FactsLearned(
                facts=tuple(found.values()),
                drifts=tuple(drift for fact in found.values() if (drift := self._drift(fact)) is not None),
                step=name,
                reason=f"not observed: {', '.join(missing)} ({why})" if missing else "",
            )
        )

    def _drift(self, fact: Fact) -> Drift | None:
        before = self.state.facts.get(fact.name)
        if before is None or not is_change(fact, before):
            return None
        return Drift(name=fact.name, believed=before.value, observed=fact.value, source=before.source)

    # --- what falls -----------------------------------------------------------------------------------------------

    def _invalidate(self) -> None:
        state = self.state
        fell = fallout(state, state.shaken)
        changed = [state.facts[name] for name in state.shaken if name in state.facts]
        because = "; ".join([*map(_changed, changed), *_done_on_it(state.shaken)])
        self._rule(e.FactsInvalidated(facts=fell.facts, because=because, dropped=fell.dropped, outdated=fell.outdated))
        corrected = any(fact.source == "told" for fact in changed)
        if state.thinking is not None and not self._stopping() and (corrected or fell.dropped or fell.waiting):
            self._rule(e.PlanSuspected(why="correction" if corrected else "drift", reason=because))

    # --- what may be acted on -------------------------------------------------------------------------------------

    def _may_act(self, step: StepState) -> bool:
        """Whether what the step rests on may be acted on now. What is too old is observed again and waited for; where it
        cannot be, the step is given up."""
        if step.step.id in self.state.outdated and step.edited is None and self._holds_copies(step):
            self._give_up(step, "what it was planned on is not so any more", step.step.on_failure)
            return False
        needed = self._needed(step)
        if unknown := [name for name in needed if name not in self.state.facts]:
            self._give_up(step, f"nobody has told the fact {unknown[0]}, and no step observed it", step.step.on_failure)
            return False
        too_old = self._too_old(step, needed)
        # One that gives up has nothing observed for it: in a circle of facts that would have no end.
        if (why := next(filter(None, (self._never_fresh(step, name) for name in too_old)), None)) is not None:
            self._give_up(step, why, step.step.on_failure)
            return False
        for name in too_old:
            if self._under_way(name) is None:
                self._rule(e.ReobservationPlanned(fact=name, for_step=step.step.id, step=self._anew(name)))
        return not too_old and not self._is_off(step)

    def _holds_copies(self, step: StepState) -> bool:
        """Whether it cannot be called with what holds now: it holds a copy of what does not, or reads an outdated result."""
        outdated = self.state.outdated
        return bool(step.step.rests_on) or any(source_of(self.state, other) in outdated for other in reads(step.step))

    def _needed(self, step: StepState) -> tuple[str, ...]:
        """The facts that the step cannot do without: those that it names as such, and those that its call refers to."""
        found = list(step.step.needs_fresh)
        if step.edited is None:
            found.extend(references.facts_in(self._form(step), bare=True))
        if step.step.expect is not None:
            found.extend(references.facts_in(step.step.expect.args, bare=True))
        return tuple(dict.fromkeys(found))

    def _too_old(self, step: StepState, needed: tuple[str, ...]) -> tuple[str, ...]:
        """What must be observed again before the step: of all that it rests on, what may not be acted on any more."""
        facts = self.state.facts
        found = [old for name in (*needed, *step.step.rests_on) for old in outlived(facts, name, self.now)]
        for _, condition in conditions(step.step):
            old = [other for name in condition.facts for other in outlived(facts, name, self.now)]
            if all(self._observer(name) is not None for name in old):
                found.extend(old)  # Else the condition cannot be worked out, and says itself what follows.
        return tuple(dict.fromkeys(found))

    def _never_fresh(self, step: StepState, fact: str) -> str | None:
        """Why a fact cannot be observed again for a step; None where it can, or is about to be."""
        state, name = self.state, step.step.id
        under_way = self._under_way(fact)
        if state.checks.get(name) == fact or (under_way is not None and self._waits_for(under_way, name, set())):
            return f"{fact} is needed to observe what it rests on itself"
        if under_way is not None:
            return None
        old = _aged(state.facts[fact], self.now)
        made = [other for other in state.reobserved.get(name, ()) if state.checks[other] == fact]
        if made and state.steps[made[-1]].phase != "done" and not step.insisted:
            return f"{old}, and could not be observed again: {state.steps[made[-1]].reason}"
        if made and state.steps[made[-1]].phase == "done" and state.observers.get(fact) != made[-1]:
            return f"{old}, and {state.steps[made[-1]].tool} did not report it again"
        if len(made) >= ANEW_MAX:
            return f"{old}, and was so after each of {len(made)} times that it was observed again"
        return None if self._observer(fact) is not None else f"{old}, and nothing that only reads can observe it again"

    def _under_way(self, fact: str) -> str | None:
        """The step that is observing a fact anew, or is about to."""
        for name, observed in self.state.checks.items():
            if name and observed == fact and self.state.steps[name].phase not in ENDED:
                return name
        return None

    def _waits_for(self, name: str, other: str, seen: set[str]) -> bool:
        """Whether a step that observes something anew waits, by others of them, for another one."""
        if name == other:
            return True
        step = self.state.steps[name]
        if name in seen or step.phase not in ("ready", "waiting"):
            return False
        seen.add(name)
        waited = [self._under_way(old) for old in self._too_old(step, self._needed(step))]
        return any(one is not None and self._waits_for(one, other, seen) for one in waited)

    def _observer(self, fact: str) -> StepState | None:
        """The step whose call observes a fact, where it can be made again: it changes nothing, and holds no copy of what is not
        so any more."""
        name = self.state.observers.get(fact)
        if name is None:
            return None
        step = self.state.steps[name]
        contract = self.state.contracts.get(step.tool)
        if contract is None or contract.safety != "read" or not contract.observes:
            return None
        return None if name in self.state.outdated and self._holds_copies(step) else step

    def _anew(self, fact: str) -> Step:
        """The call that observed a fact once more, with what its references lead to now."""
        observer = self._observer(fact)
        assert observer is not None, f"nobody can observe {fact} again"
        before = observer.step
        times = sum(1 for name, observed in self.state.checks.items() if name and observed == fact)
        first = _ANEW.sub("", before.id) if before.id in self.state.checks else before.id
        name, number = f"{first}_anew", 2
        while name in self.state.steps:
            name, number = f"{first}_anew{number}", number + 1
        form = self._form(observer)
        if not references.facts_in(form):
            form = references.as_arguments(observer.args or {})  # As it was called, also where a person changed it.
        return Step(
            id=name,
            tool=observer.tool,
            args=form,
            retry=before.retry,
            timeout_seconds=before.timeout_seconds,
            on_failure="skip",
            occurrence=observer.occurrence + times + 1,
            rests_on=before.rests_on,
        )

    def _form(self, step: StepState) -> dict[str, Any]:
        """The arguments of the tool in force, with their references."""
        form = step.step.args
        if step.fallbacks_taken:
            own = fallbacks_of(step.step, self.state.contracts.get(step.step.tool))[step.fallbacks_taken - 1].args
            form = form if own is None else own
        return form

    # --- conditions of the plan -----------------------------------------------------------------------------------

    def _is_off(self, step: StepState) -> bool:
        """Whether the plan says that the step is not to be begun as things are. Where nobody can say, it is not."""
        if not step.step.abort_when:
            return False
        verdict = self._holds(step.step.abort_when, references.PLAN_ROOTS)
        if verdict is False:
            return False
        said = "holds" if verdict else "cannot be worked out"
        self._give_up(step, f"it is not to be begun: {step.step.abort_when} {said}", step.step.on_failure)
        return True

    # --- guesses --------------------------------------------------------------------------------------------------

    def _asks_about_guesses(self, step: StepState, contract: Contract, args: dict[str, Any]) -> bool:
        """Before what cannot be taken back: whether a person has still to say that what it rests on is so."""
        if contract.safety != "irreversible" and contract.approve != "always":
            return False
        guesses = self._guesses(step)
        if not guesses:
            return False
        names = tuple(fact.name for fact in guesses)
        for asked in self.state.interrupts.values():
            if asked.about == "fact" and set(names) <= set(asked.facts):
                self._wake(asked.expires_at)  # It is asked for another step.
                return True
        said = "; ".join(_shown(fact, self.now) for fact in guesses)
        question = f"before {step.tool} is called: is this so? {said}"
        self._ask("fact", "question", question, digest(guesses), step, args, facts=names)
        return True

    def _guesses(self, step: StepState) -> tuple[Fact, ...]:
        """All that the step rests on, by whatever way, that is a guess."""
        found = facts_beneath(self.state, step.step.id)
        return tuple(fact for fact in found if is_guess(fact) and not fact.stale)


def _changed(fact: Fact) -> str:
    if fact.source == "told":
        return f"{fact.by or 'somebody'} says that {fact.name} is another"
    return f"{fact.name} is not what it was believed to be, by {fact.by or 'what is known now'}"


def _done_on_it(shaken: tuple[str, ...]) -> list[str]:
    steps = [name.removeprefix(STEP_PREFIX) for name in shaken if name.startswith(STEP_PREFIX)]
    return [f"step {name} was under way with what is not so any more" for name in steps]


def _aged(fact: Fact, now: float) -> str:
    """A fact that may not be acted on, and why."""
    if fact.stale:
        return f"the fact {fact.name} is not believed any more"
    return f"the fact {fact.name} is {_seconds(now - fact.at)} old and holds for {_seconds(fact.ttl_seconds or 0.0)}"


def _shown(fact: Fact, now: float) -> str:
    said = f"{fact.source} {_seconds(now - fact.at)} ago, {fact.confidence:.0%} sure"
    by = f" by {fact.by}" if fact.by else ""
    basis = f": {fact.basis}" if fact.basis else ""
    return f"{fact.name} = {_brief(fact.value)} ({said}{by}{basis})"


def _brief(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"


def _seconds(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{max(seconds, 0.0):.3g} s"
