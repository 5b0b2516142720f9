"""What the agents of the labs ask: a script, by its name, or the model that `holdfast lab NAME --model provider:name` names.

    agent = Agent("searching", model=models(script, name="searching"), tools=[…])

A script costs money like a model: each of its answers is charged at the provider of the lab (`services.provider`), which
enters it in the ledger before the answer goes out. So what a run says that it spent can be held against a bill that somebody
else wrote, and a worker can be killed between the two. With a real model the bill is the provider's own affair.

Every name of a script begins with `scripted:`, in the journal and on the page.
"""

import asyncio
import json
import os
import re
from typing import Any

from holdfast.core.models import Price
from holdfast.errors import DefinitionError, ToolFailure, Unknown, UsageError
from holdfast.labs.http_call import send
from holdfast.labs.services.provider import INPUT_USD, OUTPUT_USD
from holdfast.models import Models
from holdfast.pricing import terms_of
from holdfast.reasoners.llm import ProviderModel
from holdfast.reasoners.model import Answer, Listener, ModelFailure, Request
from holdfast.testing.models import Script, ScriptedModel, told

MODEL = "HOLDFAST_LAB_MODEL"
"""The environment variable with the model that is asked in place of the scripts."""

SCRIPTED = "scripted"
"""What `--model` says for the scripts, where a lab would not ask them by default."""

_KEY = re.compile(r"`(\w+)` environment variable")
PRICE = Price(input_usd=INPUT_USD, output_usd=OUTPUT_USD)
TIMEOUT_SECONDS = 60.0


class Charged:
    """A scripted model whose answers are charged at the provider of the lab before they are given."""

    def __init__(self, model: ScriptedModel):
        self.name = model.name
        self._model = model

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        """As the script says. ModelFailure where it says so, and where the provider cannot be reached."""
        answer = await self._model.answer(request, listener)
        used = {"input_tokens": answer.usage.input_tokens, "output_tokens": answer.usage.output_tokens}
        bill = {"model": self.name, **used}
        try:
            await asyncio.to_thread(send, "POST", "/models", bill, timeout_seconds=TIMEOUT_SECONDS)
        except Unknown as error:
            raise ModelFailure("transient", str(error), charged=True) from error
        except ToolFailure as error:
            raise ModelFailure("unavailable", str(error)) from error
        return answer


def models(script: Script, *, name: str, **options: Any) -> Models:
    """What an agent asks. name: of the script; `scripted:` comes before it. options: as for `Models`."""
    if real := os.environ.get(MODEL):
        return Models(real, **options)
    model = Charged(ScriptedModel(script, name=name))
    return Models(model, prices={model.name: PRICE}, **options)


def came(request: Request) -> dict[str, Any]:
    """What a script is told of steps that ended since it was last asked, other than calls of its own: by step, the results."""
    found: dict[str, Any] = {}
    for line in told(request).splitlines():
        if line.startswith('- {"'):
            said = json.loads(line.removeprefix("- "))
            if isinstance(said, dict) and "step" in said and "result" in said:
                found[said["step"]] = said["result"]
    return found


def model_of(given: str | None) -> str | None:
    """The model that `--model` names, once it is known that it can be asked; None for the scripts.

    UsageError for one that is no model, has no known price, or has no key here, and where the provider library is missing.
    No request is made.
    """
    if given in (None, SCRIPTED):
        return None
    try:
        terms_of(given)
        asyncio.run(_connect(given))
    except DefinitionError as error:
        raise UsageError(f"--model {given}: {error.what}", hint=error.hint) from error
    except ModelFailure as error:
        # The library says at length what else could be done in code.
        key = _KEY.search(error.message)
        what = f"there is no key in {key[1]}" if key is not None else error.message
        hint = f"set it, or leave the thinking to a script: --model {SCRIPTED}" if key is not None else f"or --model {SCRIPTED}"
        raise UsageError(f"--model {given}: {what}", hint=hint) from error
    return given


async def _connect(name: str) -> None:
    async with ProviderModel() as provider:
        await provider.connect(name)


def in_words(model: str | None) -> str:
    """Who thinks, for the page."""
    return model if model is not None else "scripted model"
