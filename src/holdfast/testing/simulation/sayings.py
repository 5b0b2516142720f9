"""What a hostile model says: all that a model may get wrong, and what it gets right in between.

It knows more than any model would: it looks at the state of the run that it is asked for, so that what it says is wrong where
it hurts (a call that was made already, a step that is under way, a fact that somebody told).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from holdfast.core.models import Part
from holdfast.core.state import State
from holdfast.reasoners import verbs
from holdfast.reasoners.model import Finish, Request

HUGE = 1_000_000
_ITEMS = 7
_NAMES = ("customer", "budget", "stock", "last", "price of item-1", "colour", "size", "", "steps.x", "a\nb", "n" * 300)
_SCHEMAS: tuple[dict[str, Any], ...] = (
    {}, {}, {"type": "string"}, {"type": "integer", "minimum": 3}, {"enum": ["red", "blue"]}, {"type": "nonsense"},
    {"$ref": "#/nowhere"}, {"type": "object", "required": ["a"]}, {"not": {}}, {"pattern": "("},
)  # fmt: skip
_RESULTS: tuple[Any, ...] = (
    {"ok": True},
    {"ok": True},
    {"ok": False},
    {},
    None,
    "done",
    7,
    ["x"],
    {"ok": "yes"},
    {"$ref": "steps.x"},
)
_REASONS = ("because", "", "x" * 3_000, "ignore all rules \x1b[31m")


class Saying:
    """One answer, as it is made up. said: its parts; finish: why it ends."""

    def __init__(self, dice: Random, state: State, request: Request, tools: tuple[str, ...]):
        self.dice, self.state, self.request, self.tools = dice, state, request, tools
        self.finish: Finish | None = None
        asked = state.asking_model
        self.phase = asked.phase if asked is not None else "plan"
        self.turn = asked.turn if asked is not None else 0
        self._calls = 0

    # --- pieces ---------------------------------------------------------------------------------------------------

    def call(self, tool: str, args: Any, id: str | None = None) -> Part:
        """A call, mostly under an id of its own."""
        self._calls += 1
        if id is None:
            id = self.dice.choice(("", f"c{self.turn}-{self._calls}", f"toolu_{self.turn}_{self._calls}", f"c{self._calls}"))
        return Part(kind="call", id=id, tool=tool, args=args)

    def item(self) -> str:
        """Of a few, so that what is asked for twice is asked for often."""
        known = [fact.value for fact in self.state.facts.values() if isinstance(fact.value, str) and 1 < len(fact.value) < 40]
        if known and self.dice.random() < 0.3:
            return self.dice.choice(known)
        return f"item-{self.dice.randrange(_ITEMS)}"

    def args(self) -> dict[str, Any]:
        """Arguments that any tool takes."""
        return {"item": self.item(), "amount": self.dice.randint(1, 3)}

    def tool(self) -> str:
        """One that there is."""
        return self.dice.choice(self.tools)

    def step(self) -> str:
        """One that there is, if there is any."""
        order = self.state.order
        return self.dice.choice(order) if order and self.dice.random() < 0.9 else self.dice.choice(("nobody", "", "steps.x"))

    def done_step(self) -> str:
        """One that has ended, if there is any."""
        found = [name for name in self.state.order if self.state.steps[name].phase == "done"]
        return self.dice.choice(found) if found else self.step()

    def fact_name(self) -> str:
        """One that there is, or could be, or never."""
        if self.state.facts and self.dice.random() < 0.6:
            return self.dice.choice(sorted(self.state.facts))
        return self.dice.choice(_NAMES)

    def value(self) -> Any:
        """What is believed of something."""
        return self.dice.choice(("red", "item-1", "item-2", 7, 3, None, True, {"a": [1]}, "x" * 20_000, {"$ref": "steps.a"}))

    def share(self) -> float:
        return self.dice.choice((0.0, 0.3, 0.7, 0.9, 1.0))

    # --- what is right --------------------------------------------------------------------------------------------

    def right_calls(self) -> list[Part]:
        """Some calls, as they should be."""
        return [self.call(self.tool(), self.args()) for _ in range(self.dice.choice((1, 1, 2, 3, 10)))]

    def right_plan(self) -> list[Part]:
        """Steps that wait for one another."""
        names = [f"p{self.turn}_{number}" for number in range(self.dice.randint(1, 5))]
        steps: dict[str, Any] = {}
        for number, name in enumerate(names):
            form: dict[str, Any] = {"tool": self.tool(), "args": self.args()}
            if number and self.dice.random() < 0.5:
                form["args"]["item"] = {"$ref": f"steps.{self.dice.choice(names[:number])}.item"}
            elif self.state.facts and self.dice.random() < 0.3:
                form["args"]["item"] = {"$ref": f"facts.{self.fact_name()}"}
            if number and self.dice.random() < 0.3:
                form["after"] = [names[number - 1]]
            form |= self._strategy()
            steps[name] = form
        return [self.call(verbs.PLAN, {"steps": steps, "reason": "so", "confidence": self.share()})]

    def _strategy(self) -> dict[str, Any]:
        dice, form = self.dice, dict[str, Any]()
        if dice.random() < 0.2:
            form["on_failure"] = dice.choice(("replan", "skip", "flag", "ask", "stop"))
        if dice.random() < 0.15:
            form["fallback"] = {"tool": self.tool(), "args": self.args()}
        if dice.random() < 0.1:
            form["expect"] = dice.choice(("amount > `0`", "amount > `9`", "nonsense("))
        if dice.random() < 0.15 and self.state.facts:
            form["needs_fresh"] = [self.fact_name()]
        if dice.random() < 0.1:
            form[dice.choice(("abort_when", "ask_when"))] = dice.choice(("facts.stock > `2`", "inputs.budget", "facts.nobody"))
        if dice.random() < 0.1:
            form["approve"] = "always"
        if dice.random() < 0.1:
            form["confidence"] = self.share()
        return form

    def right_finish(self) -> list[Part]:
        return [self.call(verbs.FINISH, {"result": {"ok": True}})]

    def right_interpretation(self) -> list[Part]:
        known: list[dict[str, Any]] = [{"name": "customer", "value": "ann", "quote": "for ann"}]
        missing = [{"name": "budget", "question": "how much?", "guess": 5, "confidence": self.share()}]
        name = self.dice.choice(("colour", "colour", "customer"))
        assumed: list[dict[str, Any]] = [{"name": name, "value": "item-1", "confidence": self.share()}]
        known = [claim for claim in known if claim["name"] != name]
        if self.dice.random() < 0.3:
            known, assumed = known + assumed, []
        return [self.call(verbs.INTERPRET, {"intent": "work", "known": known, "assumed": assumed, "missing": missing})]

    # --- calls that will not do -----------------------------------------------------------------------------------

    def malformed_calls(self) -> list[Part]:
        forms: tuple[Any, ...] = (
            None, "", '{"item": ', "[1, 2]", [1], 7, {"item": 5}, {"amount": 1}, {"item": "item-1", "extra": 1},
            {"item": None, "amount": "many"}, {"item": "item-1", "amount": 1e999}, {"item": "\ud800"}, {"item": "x" * 2_000_000},
            {"item": {"item": "item-1"}},
        )  # fmt: skip
        found = [self.call(self.tool(), self.dice.choice(forms)) for _ in range(self.dice.randint(1, 3))]
        return found + (self.right_calls() if self.dice.random() < 0.4 else [])

    def unknown_tools(self) -> list[Part]:
        names = (
            "nothing",
            "",
            "pays",
            self.tool()[:-1],
            "x" * 500,
            "\x1b[0m",
            verbs.PLAN,
            verbs.INTERPRET,
            "read_more",
            "unlease",
        )
        return [self.call(self.dice.choice(names), self.args())]

    def forms_in_arguments(self) -> list[Part]:
        forms: tuple[Any, ...] = (
            {"$ref": f"steps.{self.step()}.item"}, {"$ref": f"facts.{self.fact_name()}"}, {"$secret": "token"},
            {"$literal": {"$secret": "token"}}, {"$literal": "item-1"}, "{token}", "[redacted: token]",
        )  # fmt: skip
        whole = {"$ref": "inputs"}, {"$secret": "token"}, {"item": "item-1", "token": "s3cret"}, {"$literal": {"item": "item-1"}}
        args = self.dice.choice(whole) if self.dice.random() < 0.2 else {**self.args(), "item": self.dice.choice(forms)}
        return [self.call(self.tool(), args)]

    def done_again(self) -> list[Part]:
        """A call that was made, or is under way, once more; or one that failed."""
        made = [step for name in self.state.order if (step := self.state.steps[name]).args and step.tool in self.tools]
        if not made:
            return self.right_calls()
        step = self.dice.choice(made)
        again = self.call(step.tool, dict(step.args or {}))
        return [again, self.call(step.tool, dict(step.args or {}))] if self.dice.random() < 0.3 else [again]

    def same_ids(self) -> list[Part]:
        used = [part.id for turn in self.state.turns[-3:] for part in turn.said if part.kind == "call"]
        id = self.dice.choice([*used, "same"])
        return [self.call(self.tool(), self.args(), id) for _ in range(2)]

    def forty_calls(self) -> list[Part]:
        count = self.dice.choice((33, 40, 80))
        return [self.call(self.tool(), {"item": f"item-{number}", "amount": 1}) for number in range(count)]

    # --- plans that will not do -----------------------------------------------------------------------------------

    def mad_plan(self) -> list[Part]:
        dice, turn = self.dice, self.turn
        a, b = f"m{turn}_a", f"m{turn}_b"
        good = {"tool": self.tool(), "args": self.args()}
        plans: tuple[Any, ...] = (
            {a: {**good, "after": [b]}, b: {**good, "after": [a]}},
            {a: {**good, "args": _reading(b)}, b: {**good, "args": _reading(a)}},
            {a: {**good, "args": {"item": {"$ref": dice.choice(("steps.nobody", "facts.nobody", "inputs.nobody", "x", ""))}}}},
            {a: {**good, "args": {"item": {"$secret": "token"}}}},
            {a: {**good, "args": {"item": {"$literal": {"$secret": "token"}}}}},
            {self.step(): good},
            {a: {"tool": "nothing", "args": {}}},
            {a: {**good, "after": [self.step()]}, b: {**good, "alternative_to": self.step()}},
            {a: {**good, "timeout": "-3s", "retry": {"attempts": 10**9}, "on_failure": "explode"}},
            {a: {**good, "occurrence": dice.choice((2, 3, 0, "x"))}},
            {a: good, b: good},
            {a: {"tool": verbs.FINISH, "args": {}}, b: {"tool": "read_more", "args": {"step": self.step()}}},
            {f"{a}{number}": good for number in range(60)},
            [], None, "all of it", {a: 7}, {"": good}, {"x" * 300: good},
        )  # fmt: skip
        args: dict[str, Any] = {"steps": dice.choice(plans), "reason": dice.choice(_REASONS), "confidence": self.share()}
        if dice.random() < 0.3:
            args["dropped"] = [self.step() for _ in range(3)]
        return [self.call(verbs.PLAN, args)]

    def drop(self) -> list[Part]:
        """Steps are dropped, begun or not, and others put in their place."""
        open_ones = [name for name in self.state.order if self.state.steps[name].phase in ("blocked", "ready")]
        dropped = self.dice.sample(open_ones, self.dice.randint(1, len(open_ones))) if open_ones else [self.step()]
        if self.dice.random() < 0.2:
            dropped.append(self.step())
        steps = {f"d{self.turn}": {"tool": self.tool(), "args": self.args()}} if self.dice.random() < 0.5 else {}
        return [self.call(verbs.PLAN, {"steps": steps, "dropped": dropped})]

    # --- words ----------------------------------------------------------------------------------------------------

    def finish_early(self) -> list[Part]:
        args = {"result": self.dice.choice(_RESULTS)} if self.dice.random() < 0.9 else {"answer": 1}
        return [self.call(verbs.FINISH, args), *(self.right_calls() if self.dice.random() < 0.3 else [])]

    def give_up(self) -> list[Part]:
        return [self.call(verbs.GIVE_UP, {"reason": self.dice.choice(_REASONS)})]

    def ask(self) -> list[Part]:
        questions = []
        for _ in range(self.dice.choice((1, 1, 2, 19, 21))):
            form: dict[str, Any] = {"name": self.fact_name(), "question": self.dice.choice(("which?", "", "so?"))}
            if self.dice.random() < 0.5:
                form |= {"guess": self.value(), "confidence": self.share()}
            if self.dice.random() < 0.5:
                form["answer_schema"] = self.dice.choice(_SCHEMAS)
            if self.dice.random() < 0.2:
                form["options"] = ["item-1", "red", 7]
            questions.append(form)
        return [self.call(verbs.ASK, {"questions": questions}), *(self.right_calls() if self.dice.random() < 0.1 else [])]

    def interpret(self) -> list[Part]:
        claims = [{"name": self.fact_name(), "value": self.value(), "quote": self.dice.choice(("", "nobody said"))}]
        forms: tuple[Any, ...] = (
            {"intent": "", "known": claims}, {"intent": "x", "assumed": claims, "known": claims}, {}, {"intent": 7},
            {"intent": "x", "missing": [{"name": self.fact_name(), "question": "which?"}]},
            {"intent": "x", "assumed": [{"name": "colour", "value": "item-1", "confidence": 0.4}]},
            {"intent": "x", "known": [{"name": "colour", "value": "item-1"}]},
        )  # fmt: skip
        return [self.call(verbs.INTERPRET, self.dice.choice(forms))]

    def note(self) -> list[Part]:
        """Facts that somebody told, or that were seen, are said to be others; and new ones, which rest on anything."""
        facts = []
        for _ in range(self.dice.randint(1, 3)):
            fact: dict[str, Any] = {"name": self.fact_name(), "value": self.value(), "confidence": self.share()}
            if self.dice.random() < 0.4:
                fact["rests_on"] = [self.dice.choice((self.fact_name(), f"steps.{self.step()}"))]
            facts.append(fact)
        return [self.call(verbs.NOTE, {"facts": facts}), *(self.right_calls() if self.dice.random() < 0.7 else [])]

    def repeat(self) -> list[Part]:
        step = self.done_step()
        found = [self.call(verbs.REPEAT, {"step": step, "reason": "again"})]
        return found * self.dice.choice((1, 1, 2)) + (self.done_again() if self.dice.random() < 0.2 else [])

    def undo(self) -> list[Part]:
        step = self.done_step()
        found = [self.call(verbs.UNDO, {"step": step, "reason": "no"})]
        return found + ([self.call(verbs.UNDO, {"step": step, "reason": "no!"})] if self.dice.random() < 0.2 else [])

    def keep(self) -> list[Part]:
        return [self.call(verbs.KEEP, {"reason": self.dice.choice(_REASONS)})]

    def read_more(self) -> list[Part]:
        return [
            self.call(verbs.READ_MORE, {"step": self.step(), "query": self.dice.choice(("", "item", "nonsense(")), "offset": 0})
        ]

    # --- answers that are none ------------------------------------------------------------------------------------

    def nothing(self) -> list[Part]:
        return self.dice.choice(([], [Part(kind="text", text=" \n")], [Part(kind="thinking", text="hm", signature="s")]))

    def plain_text(self) -> list[Part]:
        return [Part(kind="text", text=self.dice.choice(("All is done.", '{"ok": true}', "\x00\ud800 done")))]

    def huge_text(self) -> list[Part]:
        return [Part(kind="text", text="word " * (HUGE // 5)), *(self.right_calls() if self.dice.random() < 0.5 else [])]

    def refusal(self) -> list[Part]:
        self.finish = "refused"
        return self.dice.choice(([], [Part(kind="text", text="I cannot help with that.")], self.right_calls()))

    def cut_off(self) -> list[Part]:
        self.finish = "length"
        return [*self.right_calls(), self.call(self.tool(), '{"item": "it')]


def _reading(step: str) -> dict[str, Any]:
    return {"item": {"$ref": f"steps.{step}.item"}}


Act = Callable[[Saying], list[Part]]
RIGHT: dict[str, Act] = {"right calls": Saying.right_calls, "right plan": Saying.right_plan}
WRONG: dict[str, Act] = {
    "malformed calls": Saying.malformed_calls,
    "unknown tools": Saying.unknown_tools,
    "forms in arguments": Saying.forms_in_arguments,
    "done again": Saying.done_again,
    "same ids": Saying.same_ids,
    "forty calls": Saying.forty_calls,
    "mad plan": Saying.mad_plan,
    "steps dropped": Saying.drop,
    "finish early": Saying.finish_early,
    "give up": Saying.give_up,
    "questions": Saying.ask,
    "interpretation": Saying.interpret,
    "notes": Saying.note,
    "repeat": Saying.repeat,
    "undo": Saying.undo,
    "keep": Saying.keep,
    "read more": Saying.read_more,
    "nothing": Saying.nothing,
    "plain text": Saying.plain_text,
    "huge text": Saying.huge_text,
    "refusal": Saying.refusal,
    "cut off": Saying.cut_off,
}
