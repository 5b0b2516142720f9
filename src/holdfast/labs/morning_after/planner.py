"""What the script of the lab `morning_after` thinks: read, convert and pay one after the other, close the day.

It trusts what it is told, as who settles hundreds of invoices a night does: a wrong amount is an amount. It is a function of what
it is told, so that whoever asks it again, in whichever process, gets the same.
"""

import json
from typing import Any

from holdfast.reasoners.model import Request
from holdfast.testing.models import Said, call, called, results, think

_DAY = {"$ref": "inputs.day"}


def settler(request: Request) -> Said:
    """See the module's text."""
    if not called(request, "make_plan"):
        return call("make_plan", steps={"invoices": {"tool": "read_invoices", "args": {"day": _DAY}}}, reason="what is owed?")
    said = _said(request)
    if called(request, "make_plan") == 1:
        return _settle(json.loads(said["invoices"].removeprefix("done: ")))
    failed = next((f"{name}: {text}" for name, text in said.items() if text.startswith(("failed", "skipped"))), None)
    if failed is not None:
        return [
            think("The bank does not want it. I cannot say why."),
            call("give_up_run", reason=f"a payment was refused: {failed}"),
        ]
    paid = sum(name.startswith("pay_") and text.startswith("done") for name, text in said.items())
    if "close" not in said:
        close = {"close": {"tool": "close_day", "args": {"day": _DAY, "payments": paid}}}
        return call("make_plan", steps=close, reason="all is paid")
    return call("finish_run", result=f"{paid} payments were made, and the day is closed.")


def _settle(invoices: list[dict[str, Any]]) -> Said:
    steps: dict[str, Any] = {}
    before: list[str] = []
    for one in invoices:
        name = one["partner"].lower()
        args = {"amount": one["amount"], "currency": one["currency"]}
        steps[f"convert_{name}"] = {"tool": "convert", "args": args, "after": before}
        paid = {"day": _DAY, "partner": one["partner"], "invoice": one["number"], "eur": {"$ref": f"steps.convert_{name}.eur"}}
        steps[f"pay_{name}"] = {"tool": "pay", "args": paid}
        before = [f"pay_{name}"]
    return [
        think("One after the other, so that it is plain who was paid."),
        call("make_plan", steps=steps, reason="pay them in order"),
    ]


def _said(request: Request) -> dict[str, str]:
    """What came of each step so far, in words."""
    plans = [json.loads(text).get("plan", {}) for tool, text in results(request) if tool == "make_plan"]
    return {name: text for plan in plans for name, text in plan.items()}
