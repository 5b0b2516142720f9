"""The provider of the scripted models, as far as its bill goes: each request that reaches it is charged, by its own price list,
before anything is answered. What it wrote down is what was really spent, whoever died before they heard of it.
"""

from collections.abc import Sequence
from decimal import Decimal

from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

# US dollars per million tokens, in and out, whatever the script is called: those of a large model.
INPUT_USD = Decimal(3)
OUTPUT_USD = Decimal(15)
MILLION = Decimal(1_000_000)


def provider_routes(ledger: Ledger) -> Sequence[Route]:
    def charge(request: Request) -> Reply:
        """{model, input_tokens, output_tokens} → 201 {usd}. There are no keys: a request that comes again is another one."""
        body = request.json()
        model = text(body, "model")
        tokens_in, tokens_out = _tokens(body, "input_tokens"), _tokens(body, "output_tokens")
        usd = str((INPUT_USD * tokens_in + OUTPUT_USD * tokens_out) / MILLION)
        row = ledger.append(
            "models", "charged", model, request.key, usd=usd, input_tokens=str(tokens_in), output_tokens=str(tokens_out)
        )
        return Reply(status=201, body={"usd": usd}, effect=row)

    return [Route("POST", "/models", charge)]


def _tokens(body: dict[str, object], name: str) -> int:
    count = body.get(name)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise Refusal(400, f"{name} must be a whole number, 0 or more")
    return count
