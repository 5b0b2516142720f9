"""What authors write in `@tool` becomes numbers with units; a promise that cannot be kept is refused, with a way out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pydantic
import pytest

from holdfast.core.contract import Breaker, Contract, Rate
from holdfast.errors import DefinitionError
from holdfast.tools.declare import breaker_of, rate_of, size
from holdfast.tools.function import NOT_YET, Call, Deferred, Partial, Secret, tool


def looks(order: str) -> Any:
    """Probe, poll and check in one."""
    return NOT_YET


# --- what is kept of it ---------------------------------------------------------------------------------------------


def test_everything_about_outcomes_that_is_declared_is_in_the_contract() -> None:
    """In seconds, bytes and names, whatever words it was said with."""

    @tool(
        poll=looks, poll_every="30s..10m", owed_within="48h", at_deadline="repeat", repeats=3, callback=True, visible_within="10m",
        business_key="order", scope="store", sufficient="status == 'paid'", check=looks,
        undo={"tool": "take_back", "args": {"receipt": {"$ref": "result.number"}, "order": {"$ref": "args.order"}}},
        changes=("credit", "rate"), rate="10/1m", breaker="5/1m/30s", heartbeat="30s", timeout="1h", result_max="64KB", oversize="cut",
        observes={"price": "offer.price", "status of {order}": "status"}, valid_for="10m", cost="0.05",
    )  # fmt: skip
    def pay(order: str, call: Call) -> dict[str, Any]: ...  # type: ignore[empty-body]

    made = msgspec.structs.replace(pay.contract, input_schema={}, output_schema={})
    assert made == Contract(
        tool="pay", timeout_seconds=3600.0, poll=True, poll_seconds=30.0, poll_seconds_max=600.0, owed_within_seconds=172800.0,
        at_deadline="repeat", repeats_max=3, callback=True, visible_within_seconds=600.0, business_key=("order",),
        business_scope="store", sufficient="status == 'paid'", check=True, undo="take_back",
        undo_args={"receipt": {"$ref": "result.number"}, "order": {"$ref": "args.order"}}, changes=("credit", "rate"),
        rate=Rate(calls=10, per_seconds=60.0), breaker=Breaker(failures_max=5, within_seconds=60.0, open_seconds=30.0),
        heartbeat_seconds=30.0, result_bytes_max=64_000, oversize="cut",
        observes={"price": "offer.price", "status of {order}": "status"}, valid_seconds=600.0, cost_usd=Decimal("0.05"),
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(pay.contract), type=Contract) == pay.contract


def test_a_tool_that_says_nothing_of_it_has_the_defaults_of_the_contract() -> None:
    """The decorator has none of its own."""

    @tool
    def pay(order: str) -> str: ...  # type: ignore[empty-body]

    assert msgspec.structs.replace(pay.contract, input_schema={}, output_schema={}) == Contract(tool="pay")


def test_a_function_that_judges_results_is_in_the_contract_by_that_word() -> None:
    """Code cannot be written down."""
    made = tool(sufficient=lambda result: True)(looks)
    assert made.contract.sufficient == "function"


@pytest.mark.parametrize(
    ("returned", "said", "callback"),
    [
        (str, None, False),
        (str | Deferred, None, True),
        (Partial | Deferred, None, True),
        (Deferred, None, True),
        (Partial, None, True),
        (Deferred, False, False),
        (str, True, True),
    ],
)
def test_who_may_owe_something_takes_callbacks_unless_it_says_otherwise(returned: Any, said: bool | None, callback: bool) -> None:
    """By its annotation; a tool that says nothing about its result has to say it."""

    def pay(order: str, call: Call) -> Any: ...

    pay.__annotations__["return"] = returned
    assert tool(callback=said)(pay).contract.callback is callback


@pytest.mark.parametrize(("words", "first", "longest"), [("5s", 5, 5), (7, 7, 7), ("5s..1m", 5, 60), ("1s..1s", 1, 1)])
def test_a_schedule_is_a_first_wait_and_the_longest(words: Any, first: float, longest: float) -> None:
    """One time alone is both."""
    contract = tool(poll=looks, poll_every=words)(looks).contract
    assert (contract.poll_seconds, contract.poll_seconds_max) == (first, longest)


@pytest.mark.parametrize(
    ("words", "bytes_"),
    [(1000, 1000), ("1000", 1000), ("1KB", 1000), ("1 kB", 1000), ("16MB", 16_000_000), ("1.5KiB", 1536), ("1GB", 10**9)],
)
def test_sizes_in_words(words: Any, bytes_: int) -> None:
    """KB is a thousand, KiB is 1024."""
    assert size(words) == bytes_


@pytest.mark.parametrize("words", ["", "MB", "16 pages", 0, 255, -1, "0.1KB", 1.5, True, None, "9999999GB"])
def test_what_is_no_size_is_refused(words: Any) -> None:
    """Also one that has no room for anything."""
    with pytest.raises(DefinitionError, match="is no size of at least 256 bytes"):
        size(words)


@pytest.mark.parametrize(
    ("words", "calls", "per"),
    [("10/1m", 10, 60), ("10 / 1m30s", 10, 90), ("1/s", 1, 1), ("10000/h", 10_000, 3600), (Rate(calls=2, per_seconds=3), 2, 3)],
)
def test_rates_in_words(words: Any, calls: int, per: float) -> None:
    """Calls in a time."""
    assert rate_of(words) == Rate(calls=calls, per_seconds=per)


@pytest.mark.parametrize(
    "words",
    ["10", "10/", "/1m", "ten/1m", "10/soon", "0/1m", "10001/1h", "1.5/1m", "-1/1m", "10/0s", 10, True, {"calls": 1}, Rate(calls=0, per_seconds=1),
     Rate(calls=1, per_seconds=0), Rate(calls=1, per_seconds=float("inf")), Rate(calls=1, per_seconds="1m"), Rate(calls=1.5, per_seconds=1)],  # type: ignore[arg-type]
)  # fmt: skip
def test_what_is_no_rate_is_refused(words: Any) -> None:
    """With what to write."""
    with pytest.raises(DefinitionError, match="^rate: "):
        rate_of(words)


@pytest.mark.parametrize(
    ("words", "failures", "within", "open_"),
    [
        ("5/1m", 5, 60, 30),
        ("5/m/10s", 5, 60, 10),
        ({}, 5, 60, 30),
        ({"failures": 2, "within": "10s", "open": 5}, 2, 10, 5),
        (Breaker(failures_max=1), 1, 60, 30),
    ],
)
def test_breakers_in_words(words: Any, failures: int, within: float, open_: float) -> None:
    """Failures in a time, and for how long it opens."""
    assert breaker_of(words) == Breaker(failures_max=failures, within_seconds=within, open_seconds=open_)


@pytest.mark.parametrize(
    "words",
    ["5", "5/1m/30s/1", "x/1m", "5/soon", "0/1m", "1001/1m", "5/0s", "5/1m/0s", {"failure": 5}, {"failures": "5"}, {"failures": True}, 5, [],
     Breaker(failures_max=0), Breaker(open_seconds=0)],
)  # fmt: skip
def test_what_is_no_breaker_is_refused(words: Any) -> None:
    """With what to write."""
    with pytest.raises(DefinitionError, match="^breaker"):
        breaker_of(words)


# --- promises that cannot be kept ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promise", "problem", "hint"),
    [
        ({"at_deadline": "retry"}, "at_deadline is 'retry'", "ask, fail, repeat, give_up"),
        ({"scope": "world"}, "scope is 'world'", "run, store"),
        ({"scope": "store"}, "needs a business_key", "business_key="),
        ({"oversize": "drop"}, "oversize is 'drop'", "store, cut, fail"),
        ({"repeats": 0, "at_deadline": "repeat"}, "repeats must be a whole number", "another at_deadline"),
        ({"repeats": 1.5}, "repeats must be a whole number", "at_deadline"),
        ({"repeats": True}, "repeats must be a whole number", "at_deadline"),
        ({"visible_within": "10m"}, "visible_within needs somebody who looks", "probe=… or poll=…"),
        ({"visible_within": 0, "poll": looks}, "visible_within: a time must be more than nothing", None),
        ({"owed_within": 0}, "owed_within: a time must be more than nothing", None),
        ({"owed_within": "tomorrow"}, "owed_within: 'tomorrow' is not a duration", "24h"),
        ({"poll_every": "10m..30s"}, "poll_every: '10m..30s' is no wait that grows", "30s..10m"),
        ({"poll_every": "..10m"}, "poll_every: '' is not a duration", "24h"),
        ({"poll_every": 0}, "poll_every: 0 is no wait that grows", "30s..10m"),
        ({"poll": "looks"}, "its poll is 'looks', which is no function", None),
        ({"poll": lambda ordr: None}, "its poll wants ordr, which is no argument of the tool", "by their names"),
        ({"probe": lambda order, result: None}, "its probe wants result, which is no argument", "by their names"),
        ({"check": lambda order, call: None}, "its check wants call, which is no argument", "annotates `Call`"),
        ({"poll": lambda order, /: None}, "the parameter order of its poll has no name", None),
        ({"callback": "yes"}, "callback is 'yes'", "True or False"),
        ({"callback": True}, "must be able to hand out the token", "call.token"),
        ({"heartbeat": "30s"}, "heartbeat needs a function that can report its progress", "call.progress()"),
        ({"heartbeat": "60s"}, "is no shorter than its timeout", "heartbeat as long as it may be silent"),
        ({"heartbeat": 0}, "heartbeat: a time must be more than nothing", None),
        ({"sufficient": "status =="}, "is not a jmespath expression", "status == 'confirmed'"),
        ({"sufficient": ""}, "sufficient: it is empty", "status == 'confirmed'"),
        ({"sufficient": 5}, "sufficient is 5", "jmespath"),
        ({"check": 5}, "its check is 5", None),
        ({"changes": 5}, "changes is 5", "a name"),
        ({"changes": ("credit", "")}, "changes is", "a name"),
        ({"business_key": ("order", 5)}, "business_key is", "a name"),
        ({"rate": "0/1m"}, "rate: 1 to 10000 calls", "fewer calls"),
        ({"breaker": "0/1m"}, "breaker: it opens after 1 to 1000 failures", None),
        ({"result_max": "100B"}, "result_max: '100B' is no size", "64KB"),
        ({"undo": {"tool": "back", "arguments": {}}}, "undo: 'arguments' is no part of it", "tool and args"),
        ({"undo": {"args": {}}}, "undo is a tool, or a table", "undo={"),
        ({"undo": {"tool": "back", "args": 5}}, "undo is a tool, or a table", "undo={"),
        ({"undo": {"tool": "back", "args": {"x": {"$ref": "args.ordr"}}}}, "args.ordr names no argument of it", "args.NAME"),
        ({"undo": {"tool": "back", "args": {"x": {"$ref": "result.id"}}}}, "its result has no id", "result.NAME"),
        ({"undo": {"tool": "back", "args": {"x": {"$ref": "steps.a"}}}}, "a reference starts at args or result", "args.NAME"),
        ({"undo": {"tool": "back", "args": {"x": {"$ref": "args.order", "y": 1}}}}, "'y' cannot stand beside $ref", "args.NAME"),
        ({"undo": {"tool": "back", "args": {"x": {1, 2}}}}, "its args are no JSON: a set has no order", None),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_promise_about_outcomes_that_cannot_be_kept_is_refused(promise: dict[str, Any], problem: str, hint: str | None) -> None:
    """When it is declared, with the name of the tool, and with what to write instead."""

    def do(order: str) -> dict[str, str]: ...  # type: ignore[empty-body]

    if "result.id" in str(promise):
        do.__annotations__["return"] = typed()
    with pytest.raises(DefinitionError) as caught:
        tool(**promise)(do)
    assert caught.value.what.startswith("tool do"), caught.value.what
    assert problem in caught.value.what
    if hint is not None:
        assert hint in str(caught.value.hint)


def typed() -> Any:
    """A result of which it is known what it has."""
    return pydantic.create_model("Receipt", number=(str, ...))


def test_a_poll_needs_nothing_deferred_and_names_what_it_wants() -> None:
    """Of the tool's arguments those that it takes; with defaults it may have others."""

    @tool(poll=lambda order="x", deep=True: NOT_YET)
    def pay(order: str, amount: int) -> str: ...  # type: ignore[empty-body]

    assert pay.poll is not None
    assert pay.poll.given({"order": "7", "amount": 5}) == {"order": "7"}
    everything = tool(poll=lambda **given: NOT_YET)(pay.function)
    assert everything.poll is not None
    assert everything.poll.given({"order": "7", "amount": 5}) == {"order": "7", "amount": 5}


# --- what it observes and costs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"observes": {"price": "offer."}}, "is not a jmespath expression"),
        ({"observes": {"price": ""}}, "it is empty"),
        ({"observes": {"": "a"}}, "is no name of a fact"),
        ({"observes": {"a\nb": "a"}}, "is no name of a fact"),
        ({"observes": {"of {item}": "a"}}, "{item} in 'of {item}' is no argument of it"),
        ({"observes": {"of {token}": "a"}}, "is a secret"),
        ({"observes": {"password": "a"}}, "never written down"),
        ({"observes": ["price"]}, "observes is ['price']"),
        ({"observes": {"price": 3}}, "observes is {'price': 3}"),
        ({"valid_for": "10m"}, "it observes nothing"),
        ({"observes": {"a": "a"}, "valid_for": 0}, "more than nothing"),
        ({"observes": {"a": "a"}, "valid_for": "soon"}, "not a duration"),
        ({"cost": "much"}, "no amount"),
        ({"cost": -1}, "no amount"),
        ({"cost": float("nan")}, "no amount"),
        ({"cost": True}, "no amount"),
    ],
)
def test_what_cannot_be_observed_or_paid_is_refused(options: dict[str, Any], said: str) -> None:
    """With the tool and the option in it."""
    with pytest.raises(DefinitionError) as caught:

        @tool(safety="read", **options)
        def look(order: str, token: Secret) -> dict[str, Any]: ...  # type: ignore[empty-body]

    assert said in str(caught.value) and "look" in str(caught.value)


@pytest.mark.parametrize(("cost", "usd"), [("0.10", "0.10"), (0.1, "0.1"), (2, "2"), (Decimal("1.5"), "1.5"), (0, "0")])
def test_what_a_call_costs_is_the_amount_that_was_written(cost: Any, usd: str) -> None:
    """Not what a float makes of it."""

    @tool(safety="read", cost=cost)
    def look() -> None: ...

    assert look.contract.cost_usd == Decimal(usd)
    assert msgspec.json.decode(msgspec.json.encode(look.contract), type=Contract).cost_usd == Decimal(usd)
