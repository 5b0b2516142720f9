"""What `@tool` says about who is asked first: always, never, by a condition over its arguments; by whom; about how much."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from holdfast.core.contract import Contract
from holdfast.core.policy import Policy
from holdfast.errors import DefinitionError
from holdfast.tools.function import Secret, Tool, tool


def made(**options: Any) -> Tool[..., Any]:
    """A tool with these options."""

    def refund(order: str, amount: Decimal, country: str = "DE", password: str = "", token: Secret | None = None) -> str:
        return order

    return tool(**options)(refund)


def test_a_condition_is_kept_as_its_author_wrote_it() -> None:
    """Who asks first then depends on the call, whatever the tool's safety."""
    contract = made(approve="amount > 500 && country != 'DE'").contract
    assert (contract.approve, contract.approve_when) == (None, "amount > 500 && country != 'DE'")
    assert not contract.asks_first
    assert msgspec.json.decode(msgspec.json.encode(contract), type=Contract) == contract


@pytest.mark.parametrize(("said", "asks"), [("always", True), ("never", False), (None, True)])
def test_the_words_always_and_never_are_no_conditions(said: Any, asks: bool) -> None:
    """As before."""
    contract = made(approve=said).contract
    assert (contract.approve, contract.approve_when, contract.asks_first) == (said, "", asks)


@pytest.mark.parametrize(
    "condition",
    [
        "amount > 500",
        "args.amount > 500",
        "amount > `500` || contains(['XX', 'YY'], country)",
        "tainted || confidence < 0.7",
        "tenant == 'test'",
        "length(order) > 10",
    ],
)
def test_a_condition_reads_arguments_and_words_of_the_run(condition: str) -> None:
    """By their bare names."""
    assert made(approve=condition).contract.approve_when == condition


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("allways", "there is no word allways"),
        ("Always", "there is no word Always"),
        ("sum > 500", "there is no word sum"),
        ("amoumt > 500", "did you mean amount?"),
        ("args.amoumt > 500", "names amoumt, which is no argument of it"),
        ("amount >", "is not a condition"),
        ("amount > 'many'", "compares numbers"),
        ("'always'", "looks at nothing"),
        ("`true`", "looks at nothing"),
        ("", "approve is ''"),
        ("  ", "approve is '  '"),
        (True, "approve is True"),
        (500, "approve is 500"),
        (["always"], "approve is ['always']"),
        ("token == 'x'", "token is a secret"),
        ("args.token == 'x'", "token is a secret"),
        ("password == 'x'", "password is a secret"),
    ],
)
def test_a_slip_is_refused_with_what_is_taken(said: Any, problem: str) -> None:
    """Before anything runs, with the arguments that there are."""
    with pytest.raises(DefinitionError) as caught:
        made(approve=said)
    assert problem in str(caught.value)
    if "secret" not in problem:
        assert 'it is "always" or "never", or a condition over its arguments (amount, country, order' in str(caught.value)


def test_the_word_amount_is_for_tools_that_have_one() -> None:
    """Else it would be nothing on every call, and a person be asked each time."""

    def pay(total: Decimal) -> None: ...

    with pytest.raises(DefinitionError, match=r"no argument is named by amount=…"):
        tool(approve="amount > 500")(pay)
    assert tool(approve="amount > 500", amount="total")(pay).contract.amount == "total"


def test_who_may_decide_and_what_it_is_about_is_in_the_contract() -> None:
    """One name, or several, each once and in their order."""
    contract = made(approvers="finance", amount="amount", untrusted=True).contract
    assert (contract.approvers, contract.amount, contract.untrusted) == (("finance",), "amount", True)
    assert made(approvers=["finance", "ann", "finance"]).contract.approvers == ("finance", "ann")
    bare = made().contract
    assert (bare.approvers, bare.amount, bare.untrusted) == ((), "", False)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"approvers": ""}, "approvers is ''"),
        ({"approvers": 7}, "approvers is 7"),
        ({"approvers": ["finance", 7]}, "approvers is ['finance', 7]"),
        ({"amount": "sum"}, "amount names 'sum', which is no argument of it"),
        ({"amount": 500}, "amount names 500"),
        ({"amount": "token"}, "token is a secret"),
        ({"untrusted": "yes"}, "untrusted is 'yes'"),
        ({"untrusted": 1}, "untrusted is 1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    """One thing, one sentence."""
    with pytest.raises(DefinitionError) as caught:
        made(**options)
    assert problem in str(caught.value)


def test_a_policy_is_no_approval() -> None:
    """That belongs to the agent."""
    with pytest.raises(DefinitionError, match="approve is Policy"):
        made(approve=Policy(name="p"))
