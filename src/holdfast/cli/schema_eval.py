"""The JSON Schema of case files, made from the keys that their reader accepts; a key that is new there and has no form here
stops the making of it."""

from __future__ import annotations

from typing import Any, get_args

from holdfast.cli.schema import DIALECT, NAMES, SPAN_WORDS, table
from holdfast.core.events import FailureKind
from holdfast.core.state import Status
from holdfast.evaluation import casefile
from holdfast.evaluation.records import REPEAT_MAX, Decision, Misdeed, Repeats, Time
from holdfast.testing.models import FAULT_NAMES

_LENGTH: dict[str, Any] = {
    "description": "seconds as a number, or words: 20s, 5m, 1h30m, 24h, 7d",
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        SPAN_WORDS,
    ],
}
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_NAME: dict[str, Any] = {"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$"}
_CONDITION: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": REPEAT_MAX}
_SPAN: dict[str, Any] = {
    "description": "a number, or a span: 0..1, 1.., ..3",
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*(\d+\s*(\.\.\s*\d*)?|\.\.\s*\d+)\s*$"}],
}
_COMMENT: dict[str, Any] = {"description": "for readers; nothing is made of it"}
_PART: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {"say": {"type": "string"}, "think": {"type": "string"}, "call": _TEXT, "args": {"type": "object"}},
        },
    ]
}
_PLAIN_TURN: list[dict[str, Any]] = [
    _PART,
    {"type": "array", "items": _PART},
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["fault"],
        "properties": {"fault": {"enum": list(FAULT_NAMES)}},
    },
    *(
        {"type": "object", "additionalProperties": False, "required": [word], "properties": {word: {"type": "string"}}}
        for word in ("refuse", "cut")
    ),
]
_TRIES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["tries"],
    "properties": {"tries": {"type": "array", "minItems": 1, "items": {"anyOf": _PLAIN_TURN}}},
}
_MODEL: dict[str, Any] = {
    "description": "who answers: the turns of a script, a file with them, FILE.py:NAME, or a real model as provider:name",
    "anyOf": [{"type": "null"}, _TEXT, {"type": "array", "minItems": 1, "items": {"anyOf": [*_PLAIN_TURN, _TRIES]}}],
}
_SERVICE: dict[str, dict[str, Any]] = {
    "answer": {
        "description": "what it answers; {$ref: args.NAME} stands for what was sent, {$ref: result.number} for how often it was"
    },
    "answers": {},
    "repeats": {"enum": list(get_args(Repeats)), "description": "what the same request once more is: another effect, by default"},
    "takes": {**_LENGTH, "description": "until it answers"},
}
_REPLY: dict[str, dict[str, Any]] = {
    "when": {**_CONDITION, "description": "over args and number; without it, always"},
    "answer": {},
}
_FAULT: dict[str, dict[str, Any]] = {
    "tool": _TEXT,
    "what": {"enum": list(get_args(Misdeed))},
    "call": {
        "description": "which invocations of a run, from 1; the first by default, or all where there is a chance",
        "anyOf": [_COUNT, {"type": "array", "items": _COUNT}, {"const": "all"}],
    },
    "chance": {"type": "number", "minimum": 0, "maximum": 1},
    "effect": {"type": "boolean", "description": "whether the world changes all the same"},
    "after": {**_LENGTH, "description": "when it lands (late), answers (slow) or can be seen (unseen)"},
    "kind": {"enum": list(get_args(FailureKind)), "description": "of the failure"},
    "answer": {"description": "what a liar says"},
}
_ANSWER: dict[str, dict[str, Any]] = {
    "say": {"enum": list(get_args(Decision))},
    "tool": _TEXT,
    "step": _TEXT,
    "rule": _TEXT,
    "kind": {**_TEXT, "description": "approval, question, escalation or handoff"},
    "value": {"description": "the result of `respond`, the arguments to change of `edit`"},
    "note": _TEXT,
    "by": {**_TEXT, "description": "who says it; somebody who may, by default"},
    "roles": NAMES,
    "after": {**_LENGTH, "description": "how long they take"},
    "times": {**_COUNT, "description": "how often; always, by default"},
}
_EXPECT: dict[str, dict[str, Any]] = {
    "status": {
        "description": "completed by default",
        "anyOf": [{"enum": list(get_args(Status))}, {"type": "array", "minItems": 1, "items": {"enum": list(get_args(Status))}}],
    },
    "that": {
        "description": f"conditions over {', '.join(casefile.WORDS)}",
        "anyOf": [_CONDITION, {"type": "array", "items": _CONDITION}],
    },
    "effects": {},
    "never": {},
    "asked": {**_SPAN, "description": f"how often people are asked: {_SPAN['description']}"},
    "cost": {"description": "US dollars at most", "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]},
    "within": {**_LENGTH, "description": "of the run's own time"},
}
_WANTED: dict[str, dict[str, Any]] = {
    "tool": _TEXT,
    "times": {**_SPAN, "description": f"at least once by default; {_SPAN['description']}"},
    "where": {**_CONDITION, "description": f"over {' and '.join(casefile.EFFECT_WORDS)}"},
}
_CASE: dict[str, dict[str, Any]] = {
    "goal": _TEXT,
    "description": _COMMENT,
    "inputs": {"type": "object"},
    "people": {},
    "faults": {},
    "model": _MODEL,
    "repeat": _COUNT,
    "expect": {},
}
_FILE: dict[str, dict[str, Any]] = {
    "name": {**_NAME, "description": "the file's by default"},
    "description": _COMMENT,
    "agent": {**_TEXT, "description": "a file beside this one, or a module; --agent overrides it"},
    "world": {**_TEXT, "description": "what makes the world: FILE.py:NAME"},
    "services": {},
    "model": _MODEL,
    "repeat": {**_COUNT, "description": "how often each case is run"},
    "time": {"enum": list(get_args(Time)), "description": "whether waiting takes time"},
    "limit": {**_LENGTH, "description": "of a run, on the wall"},
    "within": {**_LENGTH, "description": "of a run, by its own clock"},
    "cases": {},
}


def eval_schema() -> dict[str, Any]:
    """The JSON Schema of a case file."""
    replies = {"type": "array", "minItems": 1, "items": table(casefile.REPLY_KEYS, _REPLY, ["answer"])}
    service = table(casefile.SERVICE_KEYS, {**_SERVICE, "answers": replies})
    wanted = {"anyOf": [_TEXT, table(casefile.WANTED_KEYS, _WANTED, ["tool"])]}
    never = {"anyOf": [_TEXT, table(casefile.NEVER_KEYS, _WANTED, ["tool"])]}
    expect = {
        **_EXPECT, "effects": {"type": "array", "items": wanted, "description": "what the ledger must have"},
        "never": {"type": "array", "items": never, "description": "what the ledger must not have"},
    }  # fmt: skip
    people = {
        "description": "what they say: the first that matches holds",
        "anyOf": [{"enum": list(casefile.PEOPLE)}, {"type": "array", "items": table(casefile.ANSWER_KEYS, _ANSWER, ["say"])}],
    }
    faults = {"type": "array", "items": table(casefile.FAULT_KEYS, _FAULT, ["tool", "what"])}
    case = table(casefile.CASE_KEYS, {**_CASE, "people": people, "faults": faults, "expect": table(casefile.EXPECT_KEYS, expect)})
    services = {"type": "object", "additionalProperties": {"anyOf": [{"type": "null"}, service]}, "description": "by tool"}
    cases = {"type": "object", "minProperties": 1, "propertyNames": _NAME, "additionalProperties": case}
    whole = table(casefile.FILE_KEYS, {**_FILE, "services": services, "cases": cases}, ["cases"])
    return {"$schema": DIALECT, "title": "Cases for holdfast eval", **whole}
