"""A model as the reasoner of a run: the state in, what the model says out, as a proposal with whatever was wrong in it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from holdfast.errors import UsageError
from holdfast.reasoners.answers import thought
from holdfast.reasoners.base import Briefing, Thought
from holdfast.reasoners.briefing import Briefer, TooLong
from holdfast.reasoners.model import Model, ModelFailure


class ModelReasoner:
    """See `Reasoner`. models: those that may be asked, by the names that the run's terms have. instructions: of the agent.

    It makes exactly one request for each time that it is asked. Nothing that a model says raises; a request that comes to
    nothing is a ModelFailure.
    """

    def __init__(self, models: Mapping[str, Model], instructions: str = ""):
        self.models = dict(models)
        self.instructions = instructions
        self._briefer = Briefer(instructions)

    async def propose(self, briefing: Briefing) -> Thought:
        """Ask the model that was chosen, and take its answer apart."""
        state, asked = briefing.state, briefing.request
        if state is None or asked is None or state.thinking is None:
            raise UsageError(
                "a model is asked for a run that says which models it asks",
                hint="give the agent a model: Agent(…, model=…)",
            )
        model = self.models.get(asked.model)
        if model is None:
            raise ModelFailure("not_found", f"this worker has no model {asked.model}")
        try:
            request, size = self._briefer.request(state, asked, briefing.now)
        except TooLong:
            said = f"even the shortest request has more than the {asked.reserved.input_tokens if asked.reserved else 0} bytes"
            raise ModelFailure("too_expensive", f"{said} that may be used for it") from None
        answer = await model.answer(request, briefing.listener)
        return replace(thought(answer, state, asked, briefing.now), bytes=size)
