"""holdfast: a runtime for agents that do real work.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.agent import Agent as Agent
    from holdfast.app import Delivered as Delivered
    from holdfast.app import Holdfast as Holdfast
    from holdfast.app import Run as Run
    from holdfast.app import run as run
    from holdfast.core.contract import Breaker as Breaker
    from holdfast.core.contract import Contract as Contract
    from holdfast.core.contract import Rate as Rate
    from holdfast.core.contract import Retry as Retry
    from holdfast.core.events import Change as Change
    from holdfast.core.events import Scripted as Scripted
    from holdfast.core.facts import Fact as Fact
    from holdfast.core.ladder import Hours as Hours
    from holdfast.core.ladder import Ladder as Ladder
    from holdfast.core.ladder import Rung as Rung
    from holdfast.core.limits import Limits as Limits
    from holdfast.core.memory import Memory as Memory
    from holdfast.core.models import Price as Price
    from holdfast.core.plan import Expect as Expect
    from holdfast.core.plan import Fallback as Fallback
    from holdfast.core.plan import Plan as Plan
    from holdfast.core.plan import Step as Step
    from holdfast.core.policy import Policy as Policy
    from holdfast.core.policy import Rule as Rule
    from holdfast.core.thinking import Acceptance as Acceptance
    from holdfast.core.thinking import Asking as Asking
    from holdfast.core.thinking import Question as Question
    from holdfast.errors import AnswerRefused as AnswerRefused
    from holdfast.errors import ArchiveRefused as ArchiveRefused
    from holdfast.errors import CallbackRefused as CallbackRefused
    from holdfast.errors import CallbackUnknown as CallbackUnknown
    from holdfast.errors import Conflict as Conflict
    from holdfast.errors import DefinitionError as DefinitionError
    from holdfast.errors import Denied as Denied
    from holdfast.errors import GoalMismatch as GoalMismatch
    from holdfast.errors import HoldfastError as HoldfastError
    from holdfast.errors import Insufficient as Insufficient
    from holdfast.errors import InvalidInput as InvalidInput
    from holdfast.errors import InvalidOutput as InvalidOutput
    from holdfast.errors import JournalError as JournalError
    from holdfast.errors import NotFound as NotFound
    from holdfast.errors import OutsideStore as OutsideStore
    from holdfast.errors import PlanError as PlanError
    from holdfast.errors import RateLimited as RateLimited
    from holdfast.errors import RunNotFound as RunNotFound
    from holdfast.errors import TooExpensive as TooExpensive
    from holdfast.errors import ToolFailure as ToolFailure
    from holdfast.errors import Transient as Transient
    from holdfast.errors import Unavailable as Unavailable
    from holdfast.errors import Unknown as Unknown
    from holdfast.errors import UsageError as UsageError
    from holdfast.forking import Forked as Forked
    from holdfast.judges import judge as judge
    from holdfast.memory import Recaller as Recaller
    from holdfast.models import Models as Models
    from holdfast.notify.apprise import Apprise as Apprise
    from holdfast.notify.mail import Mail as Mail
    from holdfast.notify.webhook import Webhook as Webhook
    from holdfast.notify.webhook import verify_webhook as verify_webhook
    from holdfast.reasoners.base import Ask as Ask
    from holdfast.reasoners.base import Briefing as Briefing
    from holdfast.reasoners.base import Finish as Finish
    from holdfast.reasoners.base import GiveUp as GiveUp
    from holdfast.reasoners.base import Propose as Propose
    from holdfast.reasoners.graph import graph_reasoner as graph_reasoner
    from holdfast.reasoners.pydantic_agent import PydanticAgentReasoner as PydanticAgentReasoner
    from holdfast.replaying import Replayed as Replayed
    from holdfast.tools.function import NOT_HAPPENED as NOT_HAPPENED
    from holdfast.tools.function import NOT_YET as NOT_YET
    from holdfast.tools.function import Call as Call
    from holdfast.tools.function import Deferred as Deferred
    from holdfast.tools.function import Happened as Happened
    from holdfast.tools.function import Partial as Partial
    from holdfast.tools.function import Probed as Probed
    from holdfast.tools.function import Secret as Secret
    from holdfast.tools.function import Tool as Tool
    from holdfast.tools.function import cannot_tell as cannot_tell
    from holdfast.tools.function import tool as tool

__version__ = "0.1.0"

_HOME = {
    "holdfast.agent": ("Agent",),
    "holdfast.app": ("Delivered", "Holdfast", "Run", "run"),
    "holdfast.core.contract": ("Breaker", "Contract", "Rate", "Retry"),
    "holdfast.core.events": ("Change", "Scripted"),
    "holdfast.core.ladder": ("Hours", "Ladder", "Rung"),
    "holdfast.core.limits": ("Limits",),
    "holdfast.forking": ("Forked",),
    "holdfast.judges": ("judge",),
    "holdfast.memory": ("Recaller",),
    "holdfast.models": ("Models",),
    "holdfast.notify.apprise": ("Apprise",),
    "holdfast.notify.mail": ("Mail",),
    "holdfast.notify.webhook": ("Webhook", "verify_webhook"),
    "holdfast.core.models": ("Price",),
    "holdfast.core.thinking": ("Acceptance", "Asking", "Question",),
    "holdfast.core.facts": ("Fact",),
    "holdfast.reasoners.pydantic_agent": ("PydanticAgentReasoner",),
    "holdfast.reasoners.graph": ("graph_reasoner",),
    "holdfast.core.memory": ("Memory",),
    "holdfast.core.plan": ("Expect", "Fallback", "Plan", "Step"),
    "holdfast.core.policy": ("Policy", "Rule"),
    "holdfast.errors": (
        "AnswerRefused", "ArchiveRefused", "CallbackRefused", "CallbackUnknown", "Conflict", "DefinitionError", "Denied",
        "GoalMismatch", "HoldfastError", "Insufficient", "InvalidInput", "InvalidOutput", "JournalError", "NotFound",
        "OutsideStore", "PlanError", "RateLimited", "RunNotFound", "TooExpensive", "ToolFailure", "Transient", "Unavailable",
        "Unknown", "UsageError",
    ),
    "holdfast.replaying": ("Replayed",),
    "holdfast.reasoners.base": ("Ask", "Briefing", "Finish", "GiveUp", "Propose"),
    "holdfast.tools.function": (
        "NOT_HAPPENED", "NOT_YET", "Call", "Deferred", "Happened", "Partial", "Probed", "Secret", "Tool", "cannot_tell", "tool",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 — one list of names, above


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
