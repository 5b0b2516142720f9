"""The JSON Schemas of plan files and of policy files, made from the keys that their readers accept.

Each key of `reasoners.planfile` and of `policyfile` has its form here. A key that is new there and has none stops the making of
the schema, so the two cannot drift apart unseen.
"""

from __future__ import annotations

from typing import Any, get_args

from holdfast import policyfile
from holdfast.core.events import OnStop
from holdfast.core.ladder import AtDeadline
from holdfast.core.policy import PEOPLE_MAX, STRICTNESS, About
from holdfast.reasoners import planfile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# A length of time in words.
SPAN_WORDS: dict[str, Any] = {"type": "string", "pattern": r"^(\s*\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"}
NAMES: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

_DURATION: dict[str, Any] = {
    "description": "seconds as a number, or words: 500ms, 20s, 5m, 1h30m, 24h, 7d",
    "anyOf": [{"type": "number", "minimum": 0}, SPAN_WORDS],
}
_TEXT: dict[str, Any] = {"type": ["string", "number"]}
_ARGS: dict[str, Any] = {
    "type": "object",
    "description": "values by name; at any depth {$ref: EXPRESSION}, with `default: VALUE` beside it where nothing may be there, "
    "{$secret: NAME} or {$literal: VALUE}",
}
_FORM: dict[str, Any] = {
    "type": "object",
    "anyOf": [{"required": ["$ref"]}, {"required": ["$secret"]}, {"required": ["$literal"]}],
}
_BACKOFF: dict[str, Any] = {
    "description": "the wait after the first failure, or from first to longest: 2s, 2s..60s",
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d|w)?.*$"},
    ],
}
_RETRY: dict[str, Any] = {
    "description": "attempts in all, the first included",
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 1000},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "attempts": {"type": "integer", "minimum": 1, "maximum": 1000},
                "backoff": _BACKOFF,
                "factor": {"type": "number", "minimum": 1},
                "jitter": {"type": "number", "minimum": 0, "maximum": 1},
            },
        },
    ],
}
_FALLBACK: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["tool"],
            "additionalProperties": False,
            "properties": {"tool": {"type": "string"}, "args": {"anyOf": [_ARGS, {"type": "null"}]}},
        },
    ]
}
_EXPECT: dict[str, Any] = {
    "description": "what must be true afterwards: a jmespath expression over the result, or over what a tool finds that looks "
    "at the world; in its args {$ref: result…} is the result",
    "anyOf": [
        {"type": "string", "pattern": r"\S"},
        {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "that": {"type": "string", "pattern": r"\S"},
                "tool": {"type": "string", "pattern": r"\S"},
                "args": _ARGS,
            },
        },
    ],
}
_STEP: dict[str, dict[str, Any]] = {
    "tool": {"type": "string", "minLength": 1, "description": "the tool's name"},
    "args": _ARGS,
    "agent": {"type": "string", "minLength": 1, "description": "in place of a tool: the agent whose run the step starts"},
    "goal": {"type": ["string", "object"], "description": "of that run; the agent's own by default"},
    "inputs": {**_ARGS, "description": f"of that run: {_ARGS['description']}"},
    "limits": {},
    "detached": {"type": "boolean", "description": "that run goes on when this one has ended"},
    "after": {**NAMES, "description": "steps that must have ended first; references add to these by themselves"},
    "alternative_to": {
        "type": "string",
        "minLength": 1,
        "description": "begin only where that step was not done, and stand in for it: who refers to it gets this result",
    },
    "expect": _EXPECT,
    "retry": _RETRY,
    "timeout": {**_DURATION, "description": f"of one attempt; {_DURATION['description']}"},
    "optional": {"type": "boolean", "description": "skip it where it fails, and go on"},
    "on_failure": {"enum": list(planfile.ON_FAILURE), "description": "what follows when nothing is left to try"},
    "fallback": {
        "anyOf": [_FALLBACK, {"type": "array", "items": _FALLBACK}],
        "description": "other tools for the same step, in order",
    },
    "approve": {"enum": ["always", None], "description": "ask a person before each call"},
    "occurrence": {"type": "integer", "minimum": 1, "description": "raised for an intended repeat of the same business call"},
    "needs_fresh": {**NAMES, "description": "facts that must be fresh when it begins; one that is too old is observed again"},
    "rests_on": {**NAMES, "description": "facts that it was planned on; it is given up where one turns out not to be so"},
    "abort_when": {
        "type": "string",
        "pattern": r"\S",
        "description": "a jmespath expression over inputs, steps and facts; where it holds, or cannot be worked out, the step is "
        "not begun, and on_failure follows",
    },
    "ask_when": {
        "type": "string",
        "pattern": r"\S",
        "description": "likewise, over args too; where it holds, or cannot be worked out, a person is asked before the call",
    },
    "description": {"description": "for readers; nothing is made of it"},
}
_FILE: dict[str, dict[str, Any]] = {
    "agent": {**_TEXT, "description": "the agent's name; the file's name by default"},
    "version": {**_TEXT, "description": "of the agent, for the record"},
    "goal": {**_TEXT, "description": "what is asked, where the command line does not say"},
    "tools": {**NAMES, "description": ".py files beside this one, or modules"},
    "agents": {**NAMES, "description": "agents whose runs a step may start: files beside this one, or modules"},
    "inputs": {
        "anyOf": [{"type": "object", "additionalProperties": {"type": "object"}}, {"type": "null"}],
        "description": "JSON Schema of each input by name; `optional: true` beside it where it may be left out",
    },
    "limits": {},
    "secrets": {**NAMES, "description": "names whose values are never written down"},
    "on_stop": {
        "enum": list(get_args(OnStop)),
        "description": "what becomes of what was done when the run fails or is cancelled; keep by default",
    },
    "policy": {},
    "steps": {},
    "result": {"description": "the run's result: a value with references, as in args; by default the results of all steps"},
    "description": {"description": "for readers; nothing is made of it"},
}


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of a plan file. What it lets through may still be unsound; `holdfast check` says that."""
    step = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _STEP[key] or _child_limits() for key in planfile.STEP_KEYS},
        "oneOf": [
            {"required": ["tool"], "not": {"anyOf": [{"required": [key]} for key in ("agent", *planfile.CHILD_KEYS)]}},
            {"required": ["agent"], "not": {"anyOf": [{"required": [key]} for key in ("tool", "args")]}},
        ],
    }
    own: dict[str, dict[str, Any]] = {
        "limits": planfile.limits_schema(),
        "policy": {
            "description": "when a person is asked: a policy, or the name of its file beside this one",
            "anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}, _policy()],
        },
        "steps": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": step,
        },
    }
    return {
        "$schema": DIALECT,
        "title": "A plan for holdfast",
        "type": "object",
        "required": ["steps"],
        "additionalProperties": False,
        "properties": {key: own.get(key) or _FILE[key] for key in planfile.FILE_KEYS},
    }


def _child_limits() -> dict[str, Any]:
    """Bounds of a run that a step starts, where any value may be a reference."""
    schema = planfile.limits_schema()
    values = {key: {"anyOf": [one, _FORM]} for key, one in schema["properties"].items()}
    return {"description": "bounds of that run", "anyOf": [{**schema, "properties": values}, _FORM]}


# --- policies -----------------------------------------------------------------------------------------------------

_LENGTH: dict[str, Any] = {
    "description": _DURATION["description"],
    "anyOf": [{"type": "number", "exclusiveMinimum": 0}, SPAN_WORDS],
}
_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_DAY = f"({'|'.join(policyfile.DAYS)})"
_SPAN = rf"\s*{_DAY}\s*(-\s*{_DAY}\s*)?"
_DAYS: dict[str, Any] = {"type": "string", "pattern": f"^{_SPAN}(,{_SPAN})*$"}
_SHARE = r"([0-9]+(\.[0-9]+)?\s*%?)"
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 1000}
_WHO: dict[str, Any] = {**NAMES, "description": "roles or names"}
_HOURS: dict[str, dict[str, Any]] = {
    "days": {"description": "mon-fri, or some days", "anyOf": [_DAYS, {"type": "array", "minItems": 1, "items": _DAYS}]},
    "from": {"type": "string", "pattern": _CLOCK, "description": "HH:MM"},
    "to": {"type": "string", "pattern": f"{_CLOCK}|^24:00$", "description": "HH:MM; 24:00 is the end of the day"},
    "timezone": {"type": "string", "pattern": r"\S", "description": "an IANA name, such as Europe/Berlin"},
    "holidays": {**NAMES, "description": "days without work, as YYYY-MM-DD"},
}
_RUNG: dict[str, dict[str, Any]] = {
    "who": {**_WHO, "description": "who is asked on it; by default whoever the rule names"},
    "for": {**_LENGTH, "description": f"how long, in working time where there are hours; {_DURATION['description']}"},
    "remind": {**_LENGTH, "description": f"how often they are reminded; {_DURATION['description']}"},
}
_LADDER: dict[str, dict[str, Any]] = {
    "rungs": {},
    "hours": {},
    "at_deadline": {"enum": list(get_args(AtDeadline)), "description": "what holds when nobody answered; never a yes"},
    "hand_off_to": {**_WHO, "description": "who takes it over then"},
    "hand_off_for": _LENGTH,
}
_RULE: dict[str, dict[str, Any]] = {
    "name": {"type": "string", "minLength": 1},
    "then": {
        "type": "string",
        "pattern": rf"^\s*({'|'.join(word for word in STRICTNESS if word != 'sample')}|sample(\s+{_SHARE})?)\s*$",
        "description": "what follows where it matches: block, always, sample 20%, never",
    },
    "rate": {
        "description": "the share of a sample, 0 to 1, or in percent",
        "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": rf"^\s*{_SHARE}\s*$"}],
    },
    "when": {"type": "string", "pattern": r"\S", "description": "a condition, such as amount > 500; without it, all match"},
    "tools": {**NAMES, "description": "only calls of these"},
    "check": {"type": "string", "pattern": r"\S", "description": "a function of the agent's that must say yes as well"},
    "on": {"enum": list(get_args(About)), "description": "about calls, or about plans as a whole"},
    "people": {**_WHOLE, "maximum": PEOPLE_MAX, "description": "how many different ones must approve"},
    "who": {**_WHO, "description": "who may decide; by default whoever the tool or the policy names"},
    "ladder": {},
    "standing": {"type": "boolean", "description": "whether a standing approval may answer for a person"},
    "description": {"description": "for readers; nothing is made of it"},
}
_POLICY: dict[str, dict[str, Any]] = {
    "name": {**_TEXT, "minLength": 1, "description": "the file's, or the agent's, by default"},
    "version": {**_TEXT, "minLength": 1},
    "who": {**_WHO, "description": "who may decide, where a rule does not say"},
    "ladder": {},
    "rules": {},
    "refusals": {**_WHOLE, "description": "how often the same thing may be refused before the run is stopped"},
    "description": {"description": "for readers; nothing is made of it"},
}


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file. What it lets through may still be unsound; `holdfast check` says that of an agent."""
    return {"$schema": DIALECT, "title": "A policy for holdfast", **_policy()}


def _policy() -> dict[str, Any]:
    hours = table(policyfile.HOURS_KEYS, _HOURS)
    rungs = {"type": "array", "minItems": 1, "items": table(policyfile.RUNG_KEYS, _RUNG, required=["for"])}
    ladder = table(policyfile.LADDER_KEYS, {**_LADDER, "hours": hours, "rungs": rungs}, required=["rungs"])
    rule = table(policyfile.RULE_KEYS, {**_RULE, "ladder": ladder}, required=["name", "then"])
    rules = {"type": "array", "minItems": 1, "items": rule, "description": "the first one that matches says what follows"}
    return table(policyfile.FILE_KEYS, {**_POLICY, "ladder": ladder, "rules": rules}, required=["rules"])


def table(keys: tuple[str, ...], forms: dict[str, dict[str, Any]], required: list[str] | None = None) -> dict[str, Any]:
    table = {"type": "object", "additionalProperties": False, "properties": {key: forms[key] for key in keys}}
    return {**table, "required": required} if required else table
