"""From the options of `@tool` to a contract; a promise that cannot be kept is refused here, with a way out.

What authors write is short words ("10/1m", "30s..10m", "16MB"); what a contract holds are numbers with units. Nothing is
believed that the rest of the runtime could not act on.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, get_args

import msgspec

from holdfast.core import references, values
from holdfast.core.conditions import compile_condition, over_arguments
from holdfast.core.contract import (
    SAFETIES,
    AtDeadline,
    Breaker,
    Contract,
    Gate,
    Oversize,
    Rate,
    Retry,
    Scope,
    duration,
    retry_of,
)
from holdfast.core.facts import name_problem, places
from holdfast.core.limits import amount_of
from holdfast.errors import DefinitionError

# Below this there is no room for what is kept of a result that was cut.
RESULT_BYTES_MIN = 256
RATE_CALLS_MAX = 10_000
_COUNT_MAX = 1000
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(|B|kB|KB|MB|GB|KiB|MiB|GiB)\s*")
_BYTES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_BREAKER_PARTS = {"failures", "within", "open"}


def contract_of(called: str, function: Callable[..., Any], given: dict[str, Any], known: dict[str, Any]) -> Contract:
    """The contract of a function. given: the options of `@tool` by name. known: what its signature says: schemas, arguments,
    secrets, its parameter for the call, and whether it may come back partial or deferred."""
    where = f"tool {called}"
    _check_words(where, given)
    _check_pairs(where, given, known)
    poll_seconds, poll_seconds_max = _span(given["poll_every"], f"{where}: poll_every")
    undo, undo_args = _undo(where, given["undo"], known)
    amount = _amount(where, given["amount"], known)
    approve, approve_when = _approve(where, given["approve"], amount, known)
    keys = _names(where, "business_key", given["business_key"])
    for key in keys:
        if key not in known["arguments"]:
            raise DefinitionError(f"{where}: business_key names {key}, which is no argument of it")
    contract = Contract(
        tool=called,
        safety=given["safety"],
        description=inspect.cleandoc(function.__doc__ or ""),
        input_schema=known["input_schema"],
        output_schema=known["output_schema"],
        timeout_seconds=_time(given, "timeout", where),
        retry=retry_of(given["retry"], what=f"{where}: retry") if given["retry"] is not None else Retry(),
        probe=given["probe"] is not None,
        probe_seconds=_time(given, "probe_every", where),
        probe_window_seconds=duration(given["probe_window"], what=f"{where}: probe_window"),
        settles_within_seconds=duration(given["settles_within"], what=f"{where}: settles_within"),
        key_ttl_seconds=None if given["key_ttl"] in (None, "forever") else _time(given, "key_ttl", where),
        business_key=keys,
        business_scope=given["scope"],
        fallback=_tool_name(given["fallback"]),
        undo=undo,
        undo_args=undo_args,
        approve=approve,
        parallel_max=given["parallel"],
        secrets=known["secrets"],
        callback=known["may_owe"] if given["callback"] is None else given["callback"],
        poll=given["poll"] is not None,
        poll_seconds=poll_seconds,
        poll_seconds_max=poll_seconds_max,
        owed_within_seconds=_time(given, "owed_within", where),
        at_deadline=given["at_deadline"],
        repeats_max=given["repeats"],
        visible_within_seconds=None if given["visible_within"] is None else _time(given, "visible_within", where),
        sufficient=_sufficient(where, given["sufficient"]),
        check=given["check"] is not None,
        result_bytes_max=size(given["result_max"], what=f"{where}: result_max"),
        oversize=given["oversize"],
        changes=_names(where, "changes", given["changes"]),
        rate=None if given["rate"] is None else rate_of(given["rate"], what=f"{where}: rate"),
        breaker=None if given["breaker"] is None else breaker_of(given["breaker"], what=f"{where}: breaker"),
        heartbeat_seconds=_heartbeat(where, given, known),
        observes=_observes(where, given["observes"], known),
        valid_seconds=_valid(where, given),
        cost_usd=_cost(where, given["cost"]),
        approve_when=approve_when,
        approvers=tuple(dict.fromkeys(_names(where, "approvers", given["approvers"]))),
        amount=amount,
        untrusted=given["untrusted"],
    )
    return _written(contract)


def rate_of(value: Any, *, what: str = "rate") -> Rate:
    """A Rate from what authors write: a Rate, or calls in a time, "10/1m"."""
    if isinstance(value, str):
        calls, slash, per = (part.strip() for part in value.partition("/"))
        if not slash or not re.fullmatch(r"[0-9]{1,9}", calls):
            raise _no_rate(what, value)
        value = Rate(calls=int(calls), per_seconds=_per(per, what))
    if not isinstance(value, Rate) or not _is_number(value.per_seconds):
        raise _no_rate(what, value)
    if not _is_whole(value.calls, 1, RATE_CALLS_MAX):
        raise DefinitionError(
            f"{what}: 1 to {RATE_CALLS_MAX} calls can be counted, not {value.calls!r}", hint="take a shorter time and fewer calls"
        )
    duration(value.per_seconds, what=what)
    if value.per_seconds <= 0:
        raise DefinitionError(f"{what}: a time must be more than nothing")
    return msgspec.structs.replace(value, per_seconds=float(value.per_seconds))


def breaker_of(value: Any, *, what: str = "breaker") -> Breaker:
    """A Breaker from what authors write: a Breaker, "5/1m" (failures in a time), "5/1m/30s" (and how long it stays open), or
    `{"failures": 5, "within": "1m", "open": "30s"}`."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split("/")]
        if len(parts) not in (2, 3) or not re.fullmatch(r"[0-9]{1,9}", parts[0]):
            raise _no_breaker(what, value)
        value = {"failures": int(parts[0]), "within": _per(parts[1], what)} | ({"open": parts[2]} if len(parts) == 3 else {})
    if isinstance(value, dict):
        if unknown := sorted(set(value) - _BREAKER_PARTS, key=str):
            raise DefinitionError(f"{what}: {unknown[0]!r} is no part of a breaker", hint="it has failures, within and open")
        usual = Breaker()
        value = Breaker(
            failures_max=value.get("failures", usual.failures_max),
            within_seconds=duration(value.get("within", usual.within_seconds), what=f"{what}.within"),
            open_seconds=duration(value.get("open", usual.open_seconds), what=f"{what}.open"),
        )
    if not isinstance(value, Breaker):
        raise _no_breaker(what, value)
    if not _is_whole(value.failures_max, 1, _COUNT_MAX):
        raise DefinitionError(f"{what}: it opens after 1 to {_COUNT_MAX} failures, not {value.failures_max!r}")
    for seconds in (value.within_seconds, value.open_seconds):
        if duration(seconds, what=what) <= 0:
            raise DefinitionError(f"{what}: a time must be more than nothing")
    return value


def size(value: Any, *, what: str = "size") -> int:
    """Bytes from a whole number or from words like `64KB`, `16MB`, `1GiB`; DefinitionError on anything else."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    amount = int(float(found[1]) * _BYTES[found[2]]) if found is not None else value
    if not _is_whole(amount, RESULT_BYTES_MIN, 2**40):
        raise DefinitionError(
            f"{what}: {value!r} is no size of at least {RESULT_BYTES_MIN} bytes",
            hint="write bytes as a number, or 64KB, 16MB, 1GB",
        )
    return int(amount)


# --- words ------------------------------------------------------------------------------------------------------------


def _check_words(where: str, given: dict[str, Any]) -> None:
    """What is one of a few words, or a number of its own."""
    if given["safety"] not in SAFETIES:
        raise DefinitionError(f"{where}: there is no safety {given['safety']!r}", hint=f"it is one of {', '.join(SAFETIES)}")
    for option, words in (("at_deadline", get_args(AtDeadline)), ("scope", get_args(Scope)), ("oversize", get_args(Oversize))):
        if given[option] not in words:
            raise DefinitionError(f"{where}: {option} is {given[option]!r}", hint=f"it is one of {', '.join(words)}")
    if given["parallel"] is not None and not _is_whole(given["parallel"], 1, None):
        raise DefinitionError(f"{where}: parallel must be a whole number of at least 1")
    if not _is_whole(given["repeats"], 1, _COUNT_MAX):
        raise DefinitionError(
            f"{where}: repeats must be a whole number from 1 to {_COUNT_MAX}",
            hint='a call that is not to be made again has another at_deadline: "ask", "fail" or "give_up"',
        )
    if given["callback"] not in (None, True, False):
        raise DefinitionError(f"{where}: callback is {given['callback']!r}", hint="it is True or False, or left out")
    if not isinstance(given["untrusted"], bool):
        raise DefinitionError(f"{where}: untrusted is {given['untrusted']!r}", hint="it is True or False, or left out")


def _check_pairs(where: str, given: dict[str, Any], known: dict[str, Any]) -> None:
    """Promises that stand on others."""
    if given["safety"] == "reconcilable" and given["probe"] is None:
        raise DefinitionError(
            f"{where}: reconcilable needs a probe", hint="name the function that looks whether a call happened: probe=…"
        )
    if given["safety"] == "keyed" and given["key_ttl"] is None:
        raise DefinitionError(
            f"{where}: keyed needs key_ttl",
            hint='say how long the other side remembers a key: key_ttl="24h", or "forever"',
        )
    if given["key_ttl"] is not None and given["safety"] != "keyed":
        raise DefinitionError(f"{where}: key_ttl says something about keyed tools only, and this one is {given['safety']}")
    if given["scope"] == "store" and not given["business_key"]:
        raise DefinitionError(
            f'{where}: scope="store" needs a business_key',
            hint="name the arguments that make two calls the same call in all runs: business_key=…",
        )
    if given["visible_within"] is not None and given["probe"] is None and given["poll"] is None:
        raise DefinitionError(
            f"{where}: visible_within needs somebody who looks", hint="name a function that does: probe=… or poll=…"
        )
    if given["callback"] is True and known["call_parameter"] is None:
        raise DefinitionError(
            f"{where}: with callback=True, its function must be able to hand out the token",
            hint="give it a parameter that is annotated `Call`, and send call.token along",
        )


def _approve(where: str, value: Any, amount: str, known: dict[str, Any]) -> tuple[Gate | None, str]:
    """Whether a person is asked first, and the condition where that depends on the call, as its author wrote it."""
    if value is None or value == "always" or value == "never":
        return value, ""
    hint = (
        f'it is "always" or "never", or a condition over its arguments ({", ".join(sorted(known["arguments"])) or "it has none"})'
    )
    if not isinstance(value, str) or not value.strip():
        raise DefinitionError(f"{where}: approve is {value!r}", hint=hint)
    try:
        condition = compile_condition(over_arguments(value, sorted(known["arguments"])))
    except ValueError as error:
        raise DefinitionError(f"{where}: approve: {error}", hint=hint) from error
    if not condition.paths:
        raise DefinitionError(f"{where}: approve: {value!r} looks at nothing, and always says the same", hint=hint)
    for word, *names in condition.paths:
        argument = names[0] if word == "args" and names else ""
        _check_shown(f"{where}: approve", argument, known)
        if argument and argument not in known["arguments"]:
            raise DefinitionError(f"{where}: approve: {value!r} names {argument}, which is no argument of it", hint=hint)
        if word == "amount" and not amount:
            said = "names amount, which is no argument of it, and no argument is named by amount=…"
            raise DefinitionError(f"{where}: approve: {value!r} {said}", hint=hint)
    return None, value


def _amount(where: str, value: Any, known: dict[str, Any]) -> str:
    """The argument that says how much a call is about; empty where none is named."""
    if value == "":
        return ""
    if value not in known["arguments"]:
        names = ", ".join(sorted(known["arguments"])) or "it has none"
        raise DefinitionError(f"{where}: amount names {value!r}, which is no argument of it", hint=f"its arguments: {names}")
    _check_shown(f"{where}: amount", value, known)
    return str(value)


def _check_shown(where: str, argument: str, known: dict[str, Any]) -> None:
    """DefinitionError for an argument whose value is never written down: no rule sees it."""
    if argument in known["secrets"] or argument in values.SECRET_NAMES:
        raise DefinitionError(f"{where}: {argument} is a secret, which is never written down, and nothing is seen of it")


def _heartbeat(where: str, given: dict[str, Any], known: dict[str, Any]) -> float | None:
    if given["heartbeat"] is None:
        return None
    seconds = _time(given, "heartbeat", where)
    if seconds >= _time(given, "timeout", where):
        raise DefinitionError(
            f"{where}: heartbeat={given['heartbeat']!r} is no shorter than its timeout, and would never be reached",
            hint="make the timeout as long as the whole call may take, and the heartbeat as long as it may be silent",
        )
    if known["call_parameter"] is None:
        raise DefinitionError(
            f"{where}: heartbeat needs a function that can report its progress",
            hint="give it a parameter that is annotated `Call`, and let it call call.progress() now and then",
        )
    return seconds


def _observes(where: str, value: Any, known: dict[str, Any]) -> dict[str, str]:
    """The facts that a result reports: an expression over it by name."""
    hint = 'observes={"price": "offer.price"}: by name, a jmespath expression over the result; `{argument}` may stand in a name'
    if not isinstance(value, dict) or not all(isinstance(expression, str) for expression in value.values()):
        raise DefinitionError(f"{where}: observes is {value!r}", hint=hint)
    for name, expression in value.items():
        if problem := name_problem(name) or references.condition_problem(expression):
            raise DefinitionError(f"{where}: observes: {problem}", hint=hint)
        if name in values.SECRET_NAMES:
            raise DefinitionError(f"{where}: observes: {name} is never written down, by its name, and a fact is")
        for place in places(name):
            if place not in known["arguments"]:
                raise DefinitionError(f"{where}: observes: {{{place}}} in {name!r} is no argument of it", hint=hint)
            if place in known["secrets"]:
                raise DefinitionError(f"{where}: observes: {{{place}}} in {name!r} is a secret, and a name is written down")
    return dict(value)


def _valid(where: str, given: dict[str, Any]) -> float | None:
    if given["valid_for"] is None:
        return None
    if not given["observes"]:
        raise DefinitionError(
            f"{where}: valid_for says how long what it observes stays true, and it observes nothing", hint="observes={…}"
        )
    return _time(given, "valid_for", where)


def _cost(where: str, value: Any) -> Decimal | None:
    """What a call costs at most. A float is taken as it is written: 0.1 is a tenth."""
    if value is None:
        return None
    amount = amount_of(value)
    if amount is None:
        raise DefinitionError(f"{where}: cost: {value!r} is no amount of US dollars", hint='cost="0.05"')
    return amount


def _sufficient(where: str, value: Any) -> str | None:
    if value is None or callable(value):
        return None if value is None else "function"
    if not isinstance(value, str):
        raise DefinitionError(
            f"{where}: sufficient is {value!r}", hint="it is a jmespath expression over the result, or a function of the result"
        )
    if problem := references.condition_problem(value):
        raise DefinitionError(
            f"{where}: sufficient: {problem}", hint="it is a jmespath expression over the result, like \"status == 'confirmed'\""
        )
    return value


def _undo(where: str, value: Any, known: dict[str, Any]) -> tuple[str | None, dict[str, Any] | None]:
    """The tool that takes a call back, and its arguments where they are given."""
    args: Any = None
    if isinstance(value, dict):
        if stray := sorted(set(value) - {"tool", "args"}, key=str):
            raise DefinitionError(f"{where}: undo: {stray[0]!r} is no part of it", hint="it has tool and args")
        value, args = value.get("tool"), value.get("args", {})
        if not isinstance(_tool_name(value), str) or not isinstance(args, dict):
            raise DefinitionError(f"{where}: undo is a tool, or a table of tool and args", hint='undo={"tool": …, "args": {…}}')
        try:
            args = values.plain(args)
        except ValueError as error:
            raise DefinitionError(f"{where}: undo: its args are no JSON: {error}") from error
        _check_undo_args(where, args, known)
    return _tool_name(value), args


def _check_undo_args(where: str, args: dict[str, Any], known: dict[str, Any]) -> None:
    hint = "write {'$ref': 'args.NAME'} for an argument of the call, {'$ref': 'result.NAME'} for a part of its result"
    for problem in references.malformed(args):
        raise DefinitionError(f"{where}: undo: {problem}", hint=hint)
    properties = known["output_schema"].get("properties")
    closed = (
        known["output_schema"].get("type") == "object" and properties and not known["output_schema"].get("additionalProperties")
    )
    for reference in references.find(args, references.CALL_ROOTS):
        if reference.problem:
            raise DefinitionError(f"{where}: undo: {reference.problem}", hint=hint)
        root, name = reference.path[0] if reference.path else "", reference.path[1] if len(reference.path) > 1 else None
        if name is None:
            continue
        if root == "args" and name not in known["arguments"]:
            raise DefinitionError(f"{where}: undo: {reference.expression} names no argument of it", hint=hint)
        if root == "result" and closed and name not in properties:
            raise DefinitionError(f"{where}: undo: its result has no {name}, which {reference.expression} names", hint=hint)


# --- numbers ----------------------------------------------------------------------------------------------------------


def _time(given: dict[str, Any], option: str, where: str) -> float:
    seconds = duration(given[option], what=f"{where}: {option}")
    if seconds <= 0:
        raise DefinitionError(f"{where}: {option}: a time must be more than nothing")
    return seconds


def _span(value: Any, what: str) -> tuple[float, float]:
    """The first wait and the longest, from "30s..10m"; a time alone is both."""
    low, dots, high = value.partition("..") if isinstance(value, str) else (value, "", "")
    first = duration(low, what=what)
    longest = duration(high, what=what) if dots else first
    if not 0 < first <= longest:
        raise DefinitionError(f"{what}: {value!r} is no wait that grows", hint='write "30s..10m", the first wait and the longest')
    return first, longest


def _per(text: str, what: str) -> float:
    """The time in "10/1m" or "10/m"."""
    return duration(text if text[:1].isdigit() else f"1{text}", what=what)


def _is_whole(value: Any, least: int, most: int | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _no_rate(what: str, value: Any) -> DefinitionError:
    return DefinitionError(
        f"{what}: {value!r} is no rate", hint='write calls in a time, "10/1m", or Rate(calls=10, per_seconds=60)'
    )


def _no_breaker(what: str, value: Any) -> DefinitionError:
    return DefinitionError(
        f"{what}: {value!r} is no breaker",
        hint='write failures in a time and for how long it opens, "5/1m/30s", or {"failures": 5, "within": "1m", "open": "30s"}',
    )


# --- names ------------------------------------------------------------------------------------------------------------


def _names(where: str, option: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (tuple, list)) else (None,)
    if not all(isinstance(name, str) and name for name in names):
        raise DefinitionError(f"{where}: {option} is {value!r}", hint="it is a name, or several of them")
    return names


def _tool_name(value: Any) -> Any:
    """The name of a tool that is given by name or as it is; anything else is refused with the contract."""
    return getattr(value, "name", value) if callable(value) else value


def _written(contract: Contract) -> Contract:
    """The contract as it will be read back from a journal; DefinitionError for a field that is not of its type."""
    try:
        return msgspec.convert(msgspec.json.decode(msgspec.json.encode(contract)), Contract)
    except (TypeError, ValueError, OverflowError, msgspec.ValidationError) as error:
        raise DefinitionError(f"tool {contract.tool}: {error}") from error
