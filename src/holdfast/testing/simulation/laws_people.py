"""Laws about people: who was asked, what they said, and that nothing happened which they, or their policy, did not let.

Like those in `laws.py` they are made from what was written and what the world saw. What should follow from a policy is worked out
again in `verdicts.py`; nothing here asks the core what it thinks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from holdfast.core import events as e
from holdfast.core.ladder import Ladder
from holdfast.core.policy import Check, Ruling
from holdfast.core.state import State
from holdfast.journal.base import Message
from holdfast.journal.people import JudgedFilter, StandingApproval
from holdfast.testing.memory import MemoryStore
from holdfast.testing.simulation.office import Office
from holdfast.testing.simulation.verdicts import Bound, Verdict, bound, verdict

_SLACK = 0.002
_BEGINS = (e.CallIntended, e.ProposalRequested)
# What ends a question without a word about it: the journal names it.
_SETTLES = (
    e.AgentChanged, e.Answered, e.CallbackReceived, e.SignalReceived, e.ChildEnded, e.StepDoneByHand, e.RunCompleted, e.RunFailed,
    e.RunCancelled, e.UndoPlanned, e.ThinkingChanged, e.PlanAdopted, e.FinishProposed, e.GoalChanged, e.FactsLearned,
    e.FactsInvalidated,
)  # fmt: skip
_WORDS: dict[type[e.Event], str] = {
    e.Answered: "answer", e.ApprovalGiven: "answer", e.AnswerVoided: "answer", e.CancelRequested: "cancel",
    e.Commented: "comment", e.RunPaused: "pause", e.RunContinued: "resume", e.Instructed: "instruct",
    e.HandoffRequested: "handoff", e.StepDoneByHand: "done", e.GoalChanged: "goal",
}  # fmt: skip


class Stage(Protocol):
    """What these laws must know of the seed that is played."""

    @property
    def store(self) -> MemoryStore: ...

    def broken(self, law: str, what: str) -> None: ...


class Question(msgspec.Struct):
    """What an outsider knows of a question. bounds: what a yes to it is for, by step. yes: who said it. before: who was
    asked on the rungs before, and until when."""

    asked: e.Asked
    who: tuple[str, ...]
    since: float
    rung: int
    bounds: dict[str, Bound]
    yes: list[str] = []
    reminded: int = 0
    handed_off: bool = False
    before: list[tuple[float, tuple[str, ...]]] = []

    def asked_at(self, said_at: float) -> tuple[str, ...]:
        """Who was asked when something was said."""
        return next((who for until, who in self.before if said_at < until), self.who)


class Yes(msgspec.Struct, frozen=True):
    """An approval of one call of one step. by: everybody who gave it."""

    bound: Bound
    by: tuple[str, ...]
    until: float


class Book(msgspec.Struct):
    """What an outsider knows of one run. barred: steps of which somebody said no, or nobody anything, since somebody said yes.
    checks: what functions said, by step. ruled: the rules that let a step pass, each with its policy."""

    questions: dict[str, Question] = {}
    asked: set[str] = set()
    yes: dict[str, list[Yes]] = {}
    barred: dict[str, str] = {}
    checks: dict[str, dict[str, Check]] = {}
    ruled: dict[str, set[tuple[str, str]]] = {}
    draws: dict[tuple[str, int, str, str], float] = {}
    refused: dict[str, list[str]] = {}
    came: dict[str, str] = {}
    judged: dict[int, str] = {}
    words: list[tuple[str, str]] = []
    paused: bool = False
    taken_over: bool = False
    unjudged: bool = False


class PeopleLaws:
    """The outsider who reads what people are asked and say. office: where there is one."""

    def __init__(self, stage: Stage):
        self._stage = stage
        self.office: Office | None = None
        self._books: dict[str, Book] = {}
        self._sent: dict[str, dict[int, Message]] = {}
        self._states: dict[str, State] = {}

    def _break(self, law: str, what: str) -> None:
        self._stage.broken(law, what)

    def sent(self, run_id: str, number: int, message: Message) -> None:
        """The store took a word."""
        self._sent.setdefault(run_id, {}).setdefault(number, message)

    def written(self, before: State, event: e.AnyEvent, after: State, at: float) -> None:
        """An event is in the journal."""
        book = self._books.get(before.run_id)
        if book is None:
            book = self._books[before.run_id] = Book()
        self._states[before.run_id] = after
        kind = type(event)
        if kind in _BEGINS:
            self._check_hold(book, before, event)
        if (check := _CHECKS.get(kind)) is not None:
            check(self, book, before, event, at)
        if kind in _WORDS or kind is e.WordVoided:
            self._note_word(book, event)
        if after.interrupts is not before.interrupts:
            self._check_open(book, event, after)

    # --- what begins ----------------------------------------------------------------------------------------------

    def _check_hold(self, book: Book, state: State, event: e.AnyEvent) -> None:
        """Nothing begins that people hold up, but what takes back what was done."""
        if state.stop == "undo":
            return
        what = f"{state.run_id}: {type(event).__name__} {getattr(event, 'step', '')}"
        if book.paused:
            self._break("nothing begins in a paused run", what)
        if book.taken_over:
            self._break("nothing begins in a run that was taken over", what)
        if book.unjudged and isinstance(event, e.CallIntended):
            self._break("nothing of a plan begins before it was ruled on", what)

    def _intended(self, book: Book, state: State, event: e.CallIntended, at: float) -> None:
        """A call is about to be made: it is let pass, or people approved exactly this."""
        step = state.steps[event.step]
        again = step.doubt_since is not None or step.landed
        where = f"{state.run_id} {event.step} attempt {event.attempt} of {event.tool}"
        if event.step in book.barred and not again:
            self._break("after a no there is no call without a new word", f"{where}: {book.barred[event.step]}")
        found = verdict(state, event.step, event.tool, event.args, book.checks.get(event.step, {}))
        if found.then == "block":
            self._break("what is blocked is never done", f"{where}: {found}")
        elif found.then == "unknown":
            self._break("functions are asked before the call, and once more after an approval", f"{where}: {found.world}")
        elif found.then == "asks":
            self._check_yes(book, state, event, found, at, again, where)
        elif step.step.ask_when and book.yes.get(event.step):
            return  # It was asked about because the plan says so; that the policy lets it pass adds nothing.
        elif state.policy is not None and (found.then == "sample" or found.rule):
            self._check_ruled(book, state, event, found, at, again, where)

    def _check_yes(
        self, book: Book, state: State, event: e.CallIntended, found: Verdict, at: float, again: bool, where: str
    ) -> None:
        now = bound(state, event.tool, event.args, found)
        given = [yes for yes in book.yes.get(event.step, ()) if _covers(yes.bound, now)]
        if not given:
            said = book.yes.get(event.step)
            self._break("what must be asked about is approved, exactly as it is", f"{where} needs {now}, and has {said}")
            return
        if not again and all(yes.until <= at for yes in given):
            self._break("an approval lapses", f"{where}: at {at:.3f}, {given}")
        names = {name for yes in given for name in yes.by}
        if len(names) < found.people:
            self._break("several people are several names", f"{where}: {found.people} must approve, {sorted(names)} did")
        if self.office is not None:
            for name in names:
                if not self.office.may(name, ()):
                    self._break("who decides may", f"{where}: {name} approved it, and nobody knows them")

    def _check_ruled(
        self, book: Book, state: State, event: e.CallIntended, found: Verdict, at: float, again: bool, where: str
    ) -> None:
        """A rule lets it pass, or its sample does not want it; or it was drawn, and people approved."""
        ruled = book.ruled.get(event.step, ())
        if (found.rule, _text(state.policy)) in ruled:
            return
        if found.then == "sample":
            self._check_yes(book, state, event, found, at, again, where)
        else:
            self._break("what a policy lets pass is ruled on", f"{where}: {found}, and {ruled} was ruled")

    # --- rulings --------------------------------------------------------------------------------------------------

    def _ruled(self, book: Book, state: State, event: e.PolicyRuled, at: float) -> None:
        self._judge(book, state, event)
        if not event.step:
            book.unjudged = False
            self._check_draw(book, state, "", event.ruling, asked=False)
            return
        self._check_draw(book, state, event.step, event.ruling, asked=False)
        if event.ruling.verdict != "block":
            book.ruled.setdefault(event.step, set()).add((event.ruling.rule, _text(state.policy)))

    def _judge(self, book: Book, state: State, event: e.PolicyRuled | e.Asked) -> None:
        book.judged[state.version + 1] = event.interrupt if isinstance(event, e.Asked) else ""

    def _check_draw(self, book: Book, state: State, step: str, ruling: Ruling, *, asked: bool) -> None:
        if ruling.draw is None or ruling.rate is None:
            return
        occurrence = state.steps[step].occurrence if step else state.revision
        key = step, occurrence, ruling.policy.partition("@")[0], ruling.rule
        if book.draws.setdefault(key, ruling.draw) != ruling.draw:
            self._break("a draw is drawn once", f"{state.run_id} {key}: {book.draws[key]}, then {ruling.draw}")
        if ruling.verdict == "sample" and ruling.asks != (ruling.draw < ruling.rate):
            self._break("a draw below the rate asks", f"{state.run_id} {key}: {ruling.draw} of {ruling.rate}, asked: {asked}")

    def _checked(self, book: Book, state: State, event: e.ChecksAnswered, at: float) -> None:
        if event.step:
            book.checks[event.step] = {**event.answers} | {}

    def _policy_changed(self, book: Book, state: State, event: e.PolicyChanged, at: float) -> None:
        book.checks.clear()

    def _planned(self, book: Book, state: State, event: e.PlanAdopted, at: float) -> None:
        has_rule = state.policy is not None and any(rule.on == "plan" for rule in state.policy.rules)
        book.unjudged = book.unjudged or (has_rule and bool(event.plan.steps))

    # --- questions ------------------------------------------------------------------------------------------------

    def _asked(self, book: Book, state: State, event: e.Asked, at: float) -> None:
        self._judge(book, state, event)
        if event.interrupt in book.asked:
            self._break("a question is asked once", f"{state.run_id}: {event.interrupt}")
        book.asked.add(event.interrupt)
        if event.ruling is not None and event.about in ("call", "plan"):
            self._check_draw(book, state, event.step if event.about == "call" else "", event.ruling, asked=True)
        if event.about == "call":
            self._check_refusals(book, state, event)
        question = Question(event, event.who, at, event.rung, self._bounds(book, state, event))
        book.questions[event.interrupt] = question
        self._check_end_of_ladder(state, question, at)

    def _bounds(self, book: Book, state: State, event: e.Asked) -> dict[str, Bound]:
        shown = {event.step: (event.tool, event.args)} if event.step else {}
        if event.about == "plan":
            steps: Mapping[str, Any] = event.args["steps"]
            shown = {name: (steps[name]["tool"], steps[name]["args"]) for name in event.calls}
        found = {}
        for name, (tool, args) in shown.items():
            if tool in state.contracts and name in state.steps:
                ruled = verdict(state, name, tool, args, book.checks.get(name, {}))
                found[name] = bound(state, tool, args, ruled)
        return found

    def _check_refusals(self, book: Book, state: State, event: e.Asked) -> None:
        if state.policy is None and state.thinking is None:
            return
        refused = book.refused.get(_same(state, event.tool, event.args), [])
        allowed = state.policy.refusals_max if state.policy is not None else 2
        if len(refused) >= allowed:
            self._break("refusals have an end", f"{state.run_id} {event.interrupt}: {refused} refused it before")
        if not set(refused) <= set(event.not_by):
            self._break("who refused is not asked again", f"{state.run_id} {event.interrupt}: {refused}, not_by {event.not_by}")

    def _close(self, book: Book, state: State, interrupt: str, came: str) -> Question | None:
        question = book.questions.pop(interrupt, None)
        if question is None:
            self._break("a question ends once", f"{state.run_id}: {interrupt} is {came}, and was {book.came.get(interrupt)}")
            return None
        book.came[interrupt] = came
        return question

    def _check_who(self, state: State, question: Question, name: str, decision: str, said_at: float) -> None:
        where = f"{state.run_id} {question.asked.interrupt}: {decision} by {name}"
        wanted = question.who, question.asked_at(said_at)
        if self.office is not None and not any(self.office.may(name, who) for who in wanted):
            self._break("who decides may", f"{where}, and it is for {wanted}")
        if name in question.asked.not_by:
            self._break("who refused is not asked again", where)
        if name in question.yes:
            self._break("several people are several names", f"{where} once more, {question.yes} approved")

    def _approval_given(self, book: Book, state: State, event: e.ApprovalGiven, at: float) -> None:
        question = book.questions.get(event.interrupt)
        if question is None:
            self._break("a question ends once", f"{state.run_id}: {event.interrupt} is approved, and not open")
            return
        self._check_who(state, question, event.by, "approve", event.said_at)
        question.yes.append(event.by)
        if event.left != question.asked.people - len(question.yes) or event.left < 1:
            self._break("several people are several names", f"{state.run_id} {event.interrupt}: {event.left} left")

    def _answered(self, book: Book, state: State, event: e.Answered, at: float) -> None:
        question = self._close(book, state, event.interrupt, event.decision)
        if question is None:
            return
        asked = question.asked
        self._check_who(state, question, event.by, event.decision, event.said_at)
        if event.decision == "approve" and len({*question.yes, event.by}) < asked.people:
            self._break("several people are several names", f"{state.run_id} {event.interrupt}: {question.yes} and {event.by}")
        if event.standing:
            self._check_standing(state, question, event)
        if asked.about == "handoff":
            book.taken_over = False
        if asked.about == "plan":
            book.unjudged = False
        if event.decision in ("approve", "edit"):
            self._take_yes(book, question, event)
        elif event.decision == "reject" and asked.about == "call":
            same = _same(state, asked.tool, asked.args)
            book.refused.setdefault(same, []).append(event.by)
            book.barred[asked.step] = f"{event.by} said no"

    def _take_yes(self, book: Book, question: Question, event: e.Answered) -> None:
        asked, by = question.asked, (*question.yes, event.by)
        for step, given in question.bounds.items():
            args = event.value if event.decision == "edit" and asked.about != "fact" else None
            exact = msgspec.structs.replace(given, args=_text(args)) if args is not None else given
            if asked.about == "plan":
                book.yes.setdefault(step, []).append(Yes(exact, by, float("inf")))
            elif asked.about != "fact":
                # What was said before was said of a question that is over.
                book.yes[step] = [*_kept(book.yes.get(step, []), exact), Yes(exact, by, asked.expires_at)]
                book.checks.pop(step, None)
            if asked.about != "fact":
                book.barred.pop(step, None)

    def _check_standing(self, state: State, question: Question, event: e.Answered) -> None:
        asked = question.asked
        where = f"{state.run_id} {asked.interrupt} by {event.standing}"
        approvals = {one.id: one for one in self._stage.store.inbox.approvals(None)}
        approval = approvals.get(event.standing)
        if approval is None:
            self._break("what was approved in advance was", where)
            return
        ruling, said = asked.ruling, event.said_at
        if approval.revoked_at is not None and said >= approval.revoked_at + _SLACK:
            self._break("an approval in advance ends", f"{where}, which was taken back at {approval.revoked_at}: said {said}")
        if said >= approval.until or (approval.uses_max is not None and approval.uses > approval.uses_max):
            self._break("an approval in advance ends", f"{where}: said {said}, {approval}")
        fits = (
            approval.tool == asked.tool
            and all(asked.args.get(name) == value for name, value in approval.args.items())
            and (approval.amount_max is None or (asked.amount is not None and asked.amount <= approval.amount_max))
            and approval.run_id in ("", state.run_id)
            and approval.agent in ("", state.agent)
        )
        alone = asked.about == "call" and asked.people == 1 and (ruling is None or ruling.standing)
        if not fits or not alone or approval.by != event.by or event.decision != "approve":
            self._break("an approval in advance is for what it says", f"{where}: {approval}, {asked}")

    def _expired(self, book: Book, state: State, event: e.InterruptExpired, at: float) -> None:
        question = self._close(book, state, event.interrupt, "expired")
        if question is None:
            return
        if at < question.asked.expires_at - _SLACK:
            self._break("a question is open until it expires", f"{state.run_id} {event.interrupt}: at {at:.3f}")
        if question.asked.about == "handoff":
            book.taken_over = False
        if question.asked.about == "plan":
            book.unjudged = False
        if question.asked.about == "call":
            book.barred[question.asked.step] = "nobody answered in time"

    def _withdrawn(self, book: Book, state: State, event: e.InterruptWithdrawn, at: float) -> None:
        question = self._close(book, state, event.interrupt, "withdrawn")
        if question is not None and question.asked.about == "call":
            book.barred[question.asked.step] = f"the question was withdrawn: {event.reason}"

    def _check_open(self, book: Book, event: e.AnyEvent, after: State) -> None:
        """What is open is what was asked and has not ended; what ended without a word was settled by what the journal names."""
        for name in [name for name in book.questions if name not in after.interrupts]:
            if not isinstance(event, _SETTLES):
                self._break("a question ends by what the journal names", f"{after.run_id} {name}: by {type(event).__name__}")
            question = book.questions.pop(name)
            book.came[name] = "withdrawn"
            if question.asked.about == "plan":
                book.unjudged = False
        for name, asked in after.interrupts.items():
            known = book.questions.get(name)
            if known is None or known.who != asked.who or tuple(known.yes) != after.standings[name].approvals:
                self._break("what is open was asked", f"{after.run_id} {name}: {asked.who}, {after.standings[name]}")

    # --- ladders --------------------------------------------------------------------------------------------------

    def _check_end_of_ladder(self, state: State, question: Question, at: float) -> None:
        """It expires when the last rung is over, or the hand-off after it; and without a ladder after the time of the run."""
        asked, ladder = question.asked, question.asked.ladder
        if ladder is None:
            ends = at + state.limits.person_seconds
        else:
            ends = at + sum(rung.seconds for rung in ladder.rungs[asked.rung :])
            ends += ladder.hand_off_seconds if ladder.at_deadline == "hand_off" else 0.0
        early = asked.expires_at < ends - _SLACK
        late = asked.expires_at > ends + _SLACK and (ladder is None or ladder.hours is None)
        if early or late:
            self._break("a question is open for as long as its ladder says", f"{state.run_id} {asked.interrupt}: {ends}, {asked}")

    def _reminded(self, book: Book, state: State, event: e.Reminded, at: float) -> None:
        question = book.questions[event.interrupt]
        ladder = question.asked.ladder
        often = ladder.rungs[question.rung].remind_seconds if ladder is not None else None
        if often is None or at < question.since + event.number * often - _SLACK or event.number <= question.reminded:
            self._break("people are reminded in time", f"{state.run_id} {event}: {question}")
        question.reminded = event.number

    def _escalated(self, book: Book, state: State, event: e.Escalated, at: float) -> None:
        question = book.questions[event.interrupt]
        ladder = question.asked.ladder
        if ladder is None or not self._is_next(ladder, question, event, at):
            self._break("a ladder is climbed rung by rung, in time", f"{state.run_id} {event} at {at:.3f}: {question}")
        question.before.append((event.since, question.who))
        question.who, question.rung, question.since = event.who, event.rung, event.since
        question.reminded, question.handed_off = 0, event.kind == "handoff"

    def _is_next(self, ladder: Ladder, question: Question, event: e.Escalated, at: float) -> bool:
        due = question.since + ladder.rungs[question.rung].seconds
        rung = question.rung if event.kind == "handoff" else question.rung + 1
        if question.handed_off or at < due - _SLACK or event.rung != rung or rung >= len(ladder.rungs):
            return False
        if event.kind == "handoff" and (rung != len(ladder.rungs) - 1 or ladder.at_deadline != "hand_off"):
            return False
        return ladder.hours is not None or abs(event.since - due) < _SLACK

    # --- words ----------------------------------------------------------------------------------------------------

    def _paused(self, book: Book, state: State, event: e.RunPaused, at: float) -> None:
        if book.paused:
            self._break("a pause is one pause", f"{state.run_id} is paused once more by {event.by}")
        book.paused = True

    def _continued(self, book: Book, state: State, event: e.RunContinued, at: float) -> None:
        until = state.paused.until if state.paused is not None else None
        if not book.paused or (not event.by and (until is None or at < until - _SLACK)):
            self._break("a pause ends by a word, or when it is over", f"{state.run_id} at {at:.3f}: {state.paused}")
        book.paused = False

    def _taken_over(self, book: Book, state: State, event: e.HandoffRequested, at: float) -> None:
        book.taken_over = True

    def _done(self, book: Book, state: State, event: e.StepDoneByHand, at: float) -> None:
        phase = state.steps[event.step].phase
        if phase in ("flying", "probing", "checking", "done", "skipped", "failed"):
            self._break("nobody does by hand what is under way", f"{state.run_id} {event.step} is {phase}")
        asked = state.interrupts.get(state.steps[event.step].interrupt or "")
        if self.office is not None and asked is not None and not self.office.may(event.by, asked.who):
            self._break("who decides may", f"{state.run_id} {event.step} by {event.by}, and it is for {asked.who}")

    def _fell_back(self, book: Book, state: State, event: e.FallbackRuled, at: float) -> None:
        """Another tool is another call: what was said of the one before says nothing of it."""
        for known in (book.yes, book.barred, book.checks, book.ruled):
            known.pop(event.step, None)

    def _note_word(self, book: Book, event: Any) -> None:
        if isinstance(event, e.RunContinued) and not event.by:
            return
        kind = event.kind if isinstance(event, e.WordVoided) else _WORDS[type(event)]
        if kind != "correct":
            book.words.append((kind, event.by))

    # --- the store, and the end -----------------------------------------------------------------------------------

    def stored(self, run_id: str) -> None:
        """The store lists what is open, as it is."""
        state, inbox = self._states.get(run_id), self._stage.store.inbox
        if state is None:
            return
        rows = {name: row for (run, name), row in inbox._open.items() if run == run_id}
        wanted = {} if state.ended else state.interrupts
        if rows.keys() != wanted.keys():
            self._break("the store lists what is open", f"{run_id}: {sorted(rows)}, and {sorted(wanted)} is open")
            return
        for name, row in rows.items():
            asked, standing = state.interrupts[name], state.standings[name]
            seen = (row.who, row.rung, row.approvals, row.digest, row.expires_at, row.kind)
            if seen != (asked.who, standing.rung, standing.approvals, asked.digest, asked.expires_at, asked.kind):
                self._break("the store lists what is open", f"{run_id} {name}: {row}, and {asked}, {standing}")

    def check_end(self) -> None:
        """Everything that was asked came to something, every word was heard, and the store says the same."""
        for run_id, book in self._books.items():
            if book.questions:
                self._break("a question ends", f"{run_id}: {sorted(book.questions)} are open")
            self._check_heard(run_id, book)
            self._check_judged(run_id, book)
        self._check_uses()

    def _check_heard(self, run_id: str, book: Book) -> None:
        letters = [letter for letter in self._stage.store.run(run_id).letters if letter.message.kind in _WORDS.values()]
        taken = [(letter.message.kind, str(letter.message.body["by"])) for letter in letters if letter.taken]
        if taken != book.words:
            self._break("each word is taken once, in order", f"{run_id}: {taken} were taken, {book.words} is written")
        if len({id(letter) for letter in letters}) < len(self._words_sent(run_id)):
            self._break("no word is lost", f"{run_id}: {self._words_sent(run_id)}")
        if not self._states[run_id].ended and not all(letter.taken for letter in letters):
            self._break("no word is lost", f"{run_id} goes on, and has not heard all")

    def _words_sent(self, run_id: str) -> set[int]:
        kinds = set(_WORDS.values())
        return {number for number, message in self._sent.get(run_id, {}).items() if message.kind in kinds}

    def _check_judged(self, run_id: str, book: Book) -> None:
        rows = {row.entry: row for row in self._stage.store.inbox.judged(JudgedFilter(run_id=run_id))}
        if {entry: row.interrupt for entry, row in rows.items()} != book.judged:
            self._break("each ruling has its row", f"{run_id}: {sorted(rows)}, and {book.judged}")
            return
        for row in rows.values():
            if row.interrupt and row.decision != book.came.get(row.interrupt):
                came = book.came.get(row.interrupt)
                self._break("a row says what came of its question", f"{run_id} {row.interrupt}: {row.decision!r}, not {came!r}")

    def _check_uses(self) -> None:
        """An approval in advance says how often it answered."""
        approvals: dict[str, StandingApproval] = {one.id: one for one in self._stage.store.inbox.approvals(None)}
        used: dict[str, int] = {}
        for run in self._stage.store.runs.values():
            for letter in run.letters:
                if name := letter.message.body.get("standing"):
                    used[name] = used.get(name, 0) + 1
        for name, times in used.items():
            if name not in approvals or approvals[name].uses != times:
                self._break("an approval in advance counts its uses", f"{name}: {times}, {approvals.get(name)}")


def _covers(given: Bound, now: Bound) -> bool:
    """Whether a yes is for this. Where a sample and the tool both have a say, either of them may be named."""
    return given == now


def _kept(given: list[Yes], exact: Bound) -> list[Yes]:
    """What still counts beside a new yes: yeses to the very same."""
    return [yes for yes in given if yes.bound == exact]


def _same(state: State, tool: str, args: dict[str, Any]) -> str:
    """What makes a call the same when it is asked about again."""
    contract = state.contracts.get(tool)
    named = contract.business_key if contract is not None else ()
    return tool + _text({name: args.get(name) for name in named} if named else args)


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


_CHECKS: dict[type[e.Event], Any] = {
    e.CallIntended: PeopleLaws._intended,
    e.PolicyRuled: PeopleLaws._ruled,
    e.PolicyChanged: PeopleLaws._policy_changed,
    e.ChecksAnswered: PeopleLaws._checked,
    e.PlanAdopted: PeopleLaws._planned,
    e.Asked: PeopleLaws._asked,
    e.Answered: PeopleLaws._answered,
    e.ApprovalGiven: PeopleLaws._approval_given,
    e.InterruptExpired: PeopleLaws._expired,
    e.InterruptWithdrawn: PeopleLaws._withdrawn,
    e.Reminded: PeopleLaws._reminded,
    e.Escalated: PeopleLaws._escalated,
    e.RunPaused: PeopleLaws._paused,
    e.RunContinued: PeopleLaws._continued,
    e.HandoffRequested: PeopleLaws._taken_over,
    e.StepDoneByHand: PeopleLaws._done,
    e.FallbackRuled: PeopleLaws._fell_back,
}
