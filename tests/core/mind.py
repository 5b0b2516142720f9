"""A run whose reasoner is a model, told event by event: what the tables of the tests of thinking are written in.

    mind = Mind(tool("t"), horizon=3)
    mind.plan(step("a"))                  # it is asked, and answers with a plan
    mind.called()                         # a is called
    mind.succeed("a", 1).finish("done")   # it is asked again, and says that the goal is reached

Each request is asked for by `ask`, which says what was ruled, and answered by `answer`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner
from holdfast.core.contract import Contract, Retry
from holdfast.core.limits import Limits
from holdfast.core.models import ModelTerms, Price, Usage
from holdfast.core.plan import Plan, Step
from holdfast.core.thinking import Acceptance, Question, Thinking
from holdfast.reasoners.base import Keep, Proposal, Propose, Thought, events_of
from tests.core.story import Story

PLAIN = Retry(attempts_max=3, backoff_seconds=2.0, backoff_seconds_max=60.0, jitter=0.0)


def price(input_usd: str = "3", output_usd: str = "15") -> Price:
    """US dollars per million tokens."""
    return Price(input_usd=Decimal(input_usd), output_usd=Decimal(output_usd))


def terms(name: str = "p:m", **fields: Any) -> ModelTerms:
    """A model with plain terms."""
    fields.setdefault("price", price())
    fields.setdefault("context_bytes_max", 100_000)
    fields.setdefault("output_tokens_max", 1_000)
    return ModelTerms(name=name, **fields)


def thinking(*models: ModelTerms, **fields: Any) -> Thinking:
    """How a run thinks that asks these models, in this order."""
    models = models or (terms(),)
    fields.setdefault("routes", {"": tuple(each.name for each in models)})
    fields.setdefault("retry", PLAIN)
    return Thinking(models={each.name: each for each in models}, **fields)


def question(name: str = "city", **fields: Any) -> Question:
    """Something that is not known; with a guess where there is one."""
    if "guess" in fields:
        fields.setdefault("has_guess", True)
    return Question(name=name, text=f"which {name}?", **fields)


class Mind(Story):
    """A story of a run that asks models."""

    def __init__(
        self,
        *contracts: Contract,
        models: tuple[ModelTerms, ...] = (),
        limits: Limits | None = None,
        accept: Acceptance | None = None,
        inputs: dict[str, Any] | None = None,
        start: dict[str, Any] | None = None,
        **fields: Any,
    ):
        given = {"thinking": thinking(*models, **fields), "accept": accept, **(start or {})}
        super().__init__(None, *contracts, limits=limits, inputs=inputs, start=given)

    @property
    def request(self) -> AskReasoner:
        """The request that is under way."""
        assert self.run.proposing == self.fence, "no model is asked"
        return next(command for command in reversed(self.commands) if isinstance(command, AskReasoner))

    def ask(self, after: float = 0.0, **given: Any) -> e.ProposalRequested:
        """Decide, and what was asked of which model."""
        decision = self.decide(after, **given)
        (asked,) = [event for event in decision.events if isinstance(event, e.ProposalRequested)]
        return asked

    def is_asked(self, after: float = 0.0) -> bool:
        """Decide, and whether a model is asked now."""
        return any(isinstance(command, AskReasoner) for command in self.decide(after).commands)

    def answer_with(self, proposal: Proposal | None, usage: Usage | None = None, **said: Any) -> Mind:
        """The model answers the request under way; None: nothing of it can be taken."""
        asked = self.request
        thought = Thought(model=asked.model, said=(), usage=usage or Usage(), proposal=proposal, **said)
        self.tell(*events_of(thought, self.run, asked.turn))
        return self

    def say(self, proposal: Proposal | None, usage: Usage | None = None) -> Mind:
        """It is asked, and answers so."""
        if self.run.proposing is None:
            self.ask()
        return self.answer_with(proposal, usage)

    def plan(self, *steps: Step, dropped: tuple[str, ...] = (), final: bool = False) -> Mind:
        """It is asked, and answers with these steps, which must be taken."""
        before = self.run.revision
        self.say(Propose(plan=Plan(steps=steps, final=final), dropped=dropped))
        assert self.run.revision == before + 1, self.run.proposal_problems
        return self

    def keep(self) -> Mind:
        """It is asked, and leaves the plan as it is."""
        return self.say(Keep())

    def refuse(self, kind: Any = "transient", usage: Usage | None = None, **fields: Any) -> Mind:
        """The request under way comes to nothing."""
        asked = self.request
        failure = e.Failure(kind=kind, **fields)
        self.tell(e.ModelFailed(turn=asked.turn, model=asked.model, failure=failure, usage=usage or Usage()))
        return self

    def too_long(self) -> Mind:
        """The request under way was longer than the model takes."""
        return self.refuse("invalid_input", message="too long", detail={"context": True})
