"""The agents of the lab `payment`: the same transfer through three gateways that promise different things.

keyed    the gateway drops a repeat that carries our key, so an interrupted transfer is sent again under the same key.
lookup   the gateway knows no keys; it can be asked by reference, so an interrupted transfer is looked up.
plain    the gateway offers neither. Nothing is declared, so the tool is irreversible: a person approves the transfer, and
         a person is asked when nobody knows whether it went through.
"""

from dataclasses import dataclass
from decimal import Decimal

from holdfast import NOT_HAPPENED, Agent, Call, Happened, Tool, tool
from holdfast.labs.http_call import look, send
from holdfast.tools.function import Probed


@dataclass(frozen=True)
class Transfer:
    """A transfer as the gateway confirms it. id: the gateway's own."""

    id: str
    account: str
    amount: Decimal
    reference: str


@tool(safety="keyed", key_ttl="24h", timeout="10s")
def transfer_keyed(account: str, amount: Decimal, reference: str, call: Call) -> Transfer:
    """Transfer money through the gateway that honours idempotency keys."""
    return _transfer("keyed", account, amount, reference, call)


def find_transfer(account: str, amount: Decimal, reference: str) -> Happened | Probed:
    """Whether a transfer with this reference has landed."""
    found = look("/lookup/transfers", {"reference": reference})
    return Happened(_confirmed(found[0])) if found else NOT_HAPPENED


@tool(safety="reconcilable", probe=find_transfer, settles_within="300ms", probe_every="200ms", timeout="10s")
def transfer_lookup(account: str, amount: Decimal, reference: str, call: Call) -> Transfer:
    """Transfer money through the gateway that can be asked which transfers there are."""
    return _transfer("lookup", account, amount, reference, call)


@tool(timeout="10s")
def transfer_plain(account: str, amount: Decimal, reference: str, call: Call) -> Transfer:
    """Transfer money through the gateway that offers nothing."""
    return _transfer("plain", account, amount, reference, call)


def _transfer(gateway: str, account: str, amount: Decimal, reference: str, call: Call) -> Transfer:
    order = {"account": account, "amount": str(amount), "reference": reference}
    return _confirmed(send("POST", f"/{gateway}/transfers", order, key=call.key, timeout_seconds=9.0))


def _confirmed(answer: dict[str, str]) -> Transfer:
    return Transfer(id=answer["id"], account=answer["account"], amount=Decimal(answer["amount"]), reference=answer["reference"])


_INPUTS = {
    "account": {"type": "string", "minLength": 1},
    "amount": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,2})?$"},
    "reference": {"type": "string", "minLength": 1},
}
_ARGUMENTS = {name: {"$ref": f"inputs.{name}"} for name in _INPUTS}


def _paying(name: str, transfer: Tool[..., Transfer]) -> Agent:
    plan = {"transfer": {"tool": transfer.name, "args": _ARGUMENTS}}
    return Agent(name, goal="Pay an invoice", tools=[transfer], inputs=_INPUTS, plan=plan)


keyed = _paying("payment-keyed", transfer_keyed)
lookup = _paying("payment-lookup", transfer_lookup)
plain = _paying("payment-plain", transfer_plain)
