"""Write anew what the documentation takes from the code: the tables of `core`, and the help of every command.

    python scripts/gen_docs.py           # rewrite the pages
    python scripts/gen_docs.py --check   # say which pages are out of date; exit code 1 where one is

A page holds a part between two markers, `<!-- made by scripts/gen_docs.py: NAME -->` and `<!-- end: NAME -->`. What stands
between them is not edited by hand.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
HELP_COLUMNS = 100
if str(ROOT / "src") not in sys.path:
    sys.path.insert(0, str(ROOT / "src"))

if str(ROOT / "scripts") not in sys.path:
    sys.path.insert(0, str(ROOT / "scripts"))

from model_table import model_rows  # noqa: E402
from outcome_table import outcome_rows  # noqa: E402

import holdfast  # noqa: E402
from holdfast.app import Holdfast  # noqa: E402
from holdfast.core import pending  # noqa: E402
from holdfast.core.approval import OPTIONS  # noqa: E402
from holdfast.core.contract import SAFETIES, Contract, Retry, Safety  # noqa: E402
from holdfast.core.diagnosis import Verb, diagnose  # noqa: E402
from holdfast.core.events import Failure, FailureKind  # noqa: E402
from holdfast.core.limits import Limits  # noqa: E402
from holdfast.core.plan import Fallback, Step  # noqa: E402
from holdfast.core.recovery import TABLE, Action, Row  # noqa: E402
from holdfast.figures.judgement import Judgement  # noqa: E402
from holdfast.inbox import Inbox  # noqa: E402
from holdfast.reasoners.planfile import LIMIT_KEYS  # noqa: E402
from holdfast.telemetry.instruments import COUNTED, DRAWN, OF_TELEMETRY  # noqa: E402
from holdfast.views import span  # noqa: E402

_PART = re.compile(r"(<!-- made by scripts/gen_docs\.py: ([\w-]+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# --- recovery -----------------------------------------------------------------------------------------------------

ACTIONS: dict[Action, str] = {
    "repeat": "call again, under the same key",
    "probe": "probe",
    "take": "take the probe's result",
    "fail": "it did not happen",
    "ask": "ask a person",
}
_KEY = {"alive": "the key lives", "expired": "the key may be forgotten"}
_VERDICTS = {
    "none": "not asked yet",
    "happened": "“it happened”",
    "not_happened": "“it did not”",
    "not_yet": "“not to be seen yet”",
    "cannot_tell": "“I cannot tell”",
}


def recovery_table() -> str:
    """Every row of the recovery table, by safety."""
    parts = []
    for safety in SAFETIES:
        rows = [row for row in TABLE if safety in row.safety]
        shown = ((f"`{row.label}`", _when(row), ACTIONS[row.action], row.reason) for row in rows)
        parts.append(f"### {safety}\n\n" + table(("row", "when", "what follows", "because"), shown))
    return "\n\n".join(parts)


def outcome_table() -> str:
    """What follows from each outcome, by fault and safety."""
    return table(("outcome", "and", *SAFETIES), ((f"**{row[0]}**", *row[1:]) for row in outcome_rows()))


def model_failure_table() -> str:
    """What each failure of a provider becomes."""
    return table(("what happens", "the library raises", "it counts as", "is spent", "the model is asked"), model_rows())


OWED = {"result": "a result", "rest": "the rest of a part", "sight": "that it shows"}


def pending_table() -> str:
    """Every row of the table of what is owed."""
    rows = (
        (
            f"`{row.label}`",
            "anything" if row.about is None else " or ".join(OWED[about] for about in row.about),
            _pending_when(row),
            row.action.replace("_", " "),
            row.reason,
        )
        for row in pending.TABLE
    )
    return table(("row", "owed is", "when", "what follows", "because"), rows)


def _pending_when(row: pending.Row) -> str:
    parts = []
    if row.found in (("came",), ("failed",)):
        parts.append("it came" if row.found == ("came",) else "it is said not to come")
    elif row.late is not None:
        parts.append("its time is over" if row.late else "there is time")
        if row.looks != ("never",):
            parts.append("it can be looked for" if row.late else {("due",): "a look is due"}.get(row.looks, "no look is due"))
    if row.at_deadline is not None:
        parts.append(f"`at_deadline` is `{row.at_deadline}`")
    if row.repeats is not None:
        parts.append("it may be repeated" if row.repeats else "it was repeated as often as it may be")
    return "; ".join(parts)


def _when(row: Row) -> str:
    parts = []
    if row.key is not None:
        parts.append(" or ".join(_KEY[key] for key in row.key))
    if row.probe is False:
        parts.append("no probe")
    if row.verdict is not None:
        parts.append("probe: " + " or ".join(_VERDICTS[verdict] for verdict in row.verdict))
    if row.settled is not None:
        parts.append("settled" if row.settled else "not settled yet")
    if row.window is not None:
        parts.append("there is time to probe" if row.window else "the time to probe is over")
    if row.repeats is not None:
        parts.append("may be made again" if row.repeats else "no attempt left")
    return "; ".join(parts) or "always"


VERBS: dict[Verb, str] = {
    "retry": "again",
    "reconcile": "probe, then again",
    "fall_back": "fallback",
    "compensate": "undo, then fallback",
    "stop": "`on_failure`",
    "skip": "`on_failure`",
    "flag": "`on_failure`",
    "ask": "`on_failure`",
}


def failure_table() -> str:
    """What follows from a failure class for each safety: what is tried, in order, until one of them works."""
    return table(
        ("class", *(f"`{safety}`" for safety in SAFETIES)),
        ((f"`{kind}`", *(_chain(kind, safety) for safety in SAFETIES)) for kind in get_args(FailureKind)),
    )


def _chain(kind: FailureKind, safety: Safety) -> str:
    contract = Contract(tool="tool", safety=safety, retry=Retry(attempts_max=2), probe=safety == "reconcilable")
    step = Step(id="step", tool="tool", fallbacks=(Fallback(tool="other"),))
    rulings = [
        diagnose(Failure(kind=kind), contract, step, run_id="run", tries=tries, fallbacks=step.fallbacks[taken:]).verb
        for tries, taken in ((1, 0), (2, 0), (2, 1))
    ]
    return ", ".join(dict.fromkeys(VERBS[verb] for verb in rulings))


# --- people -------------------------------------------------------------------------------------------------------

ABOUT = {
    "call": "may this call be made? (`approval`)",
    "forked": "may a call of a fork be made? (`approval`)",
    "doubt": "did this call happen? (`escalation`)",
    "failure": "it did not work, what now? (`escalation`)",
    "owed": "a result that is owed has not come (`escalation`)",
    "rest": "the rest of a part has not come (`escalation`)",
    "sight": "it was done, and nobody can see it (`escalation`)",
    "stop": "the run stops; is what it did to be taken back? (`approval`)",
    "fact": "is it so, what a call that cannot be taken back rests on? (`question`)",
    "question": "something that the goal does not say (`question`)",
    "reasoner": "no model can be asked; ask them again? (`escalation`)",
    "plan": "may the plan be carried out? (`approval`)",
    "handoff": "somebody took the run over; how does it go on? (`handoff`)",
    "agent": "the agent promises less than it did (`question`)",
}


def options_table() -> str:
    """What each answer means, for each thing that is asked."""
    rows = []
    for about, options in OPTIONS.items():
        for number, option in enumerate(options):
            rows.append((ABOUT[about] if number == 0 else "", f"`{option.decision}`", option.means))
    return table(("what is asked", "answer", "means"), rows)


# --- limits -------------------------------------------------------------------------------------------------------

LIMITS = {
    "parallel": "calls at once",
    "steps": "steps, over all proposals",
    "attempts": "calls in all, retries included",
    "turns": "times that the reasoner is asked",
    "idle_turns": "turns in a row after which nothing new was known",
    "children": "runs that its steps may start",
    "wall": "from start to end, waiting included",
    "person": "how long a question waits for its answer",
    "hold": "how long a call may be held back by an open circuit or a rate limit before it counts as failed",
    "lost": "how often one call may be lost (crash, time-out) before a person is asked in place of making it again",
    "changes": "for what else calls change, by name, how much in all: `{credit: 100}`",
    "revisions": "plans of a model that plans several steps, the first included",
    "tokens": "tokens of all requests to models, in and out; see [Models](models.md#budgets)",
    "cost": "US dollars for models and tools together; see [Models](models.md#budgets)",
}


def limits_table() -> str:
    """Every limit by the name that a plan file has for it."""
    rows = []
    for key, field in LIMIT_KEYS.items():
        value = getattr(Limits(), field)
        default = span(value) if field.endswith("_seconds") else str(value or "none")
        rows.append((f"`{key}`", f"`{field}`", default, LIMITS[key]))
    return table(("in a plan file", "in `Limits`", "default", "bound"), rows)


# --- telemetry ----------------------------------------------------------------------------------------------------


def metric_table() -> str:
    """Every metric, by where it comes from."""
    groups = (
        ("what a worker does", COUNTED),
        ("how the store is; also `holdfast metrics`", DRAWN),
        ("telemetry itself", OF_TELEMETRY),
    )
    rows = (
        (
            f"`{metric.name}`",
            metric.kind,
            metric.unit.strip("{}"),
            metric.about,
            ", ".join(f"`{label}`" for label in metric.labels),
            of,
        )
        for of, metrics in groups
        for metric in metrics
    )
    return table(("metric", "kind", "unit", "what it is", "labels", "of"), rows)


# --- Python -------------------------------------------------------------------------------------------------------


def names_table() -> str:
    """Every public name and what it is, in the first words of its own documentation."""
    return table(("name", "what it is"), ((f"`{name}`", _first(getattr(holdfast, name))) for name in holdfast.__all__))


def methods_table() -> str:
    """What can be done with an open store."""
    return _verbs(Holdfast)


def inbox_table() -> str:
    """What can be done with its inbox."""
    return _verbs(Inbox)


def judgement_table() -> str:
    """What its record says of people's judgement."""
    return _verbs(Judgement)


def _verbs(kind: type) -> str:
    """The methods of a class, its own before those that it has from others."""
    verbs: dict[str, Callable[..., object]] = {}
    for one in kind.__mro__[:-1]:
        verbs |= {name: verb for name, verb in vars(one).items() if name[0] != "_" and callable(verb) and name not in verbs}
    return table(("method", "what it does"), ((f"`{_call(name, verb)}`", _first(verb)) for name, verb in verbs.items()))


def _call(name: str, verb: Callable[..., object]) -> str:
    parts: list[str] = []
    for parameter in list(inspect.signature(verb).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(("*" if parameter.kind is parameter.VAR_POSITIONAL else "") + parameter.name + default)
    return f"{name}({', '.join(parts)})"


# What has no documentation of its own, or one that is not ours.
SAID = {
    id(holdfast.NOT_HAPPENED): "The answer of a probe that looked, and found that the call did not happen",
    id(holdfast.NOT_YET): "The answer of a probe that cannot see it yet",
    id(holdfast.Secret): "The type of an argument that is put in at the moment of the call and never written down",
}


def _first(thing: object) -> str:
    """The first sentence of what a thing says of itself."""
    if id(thing) in SAID:
        return SAID[id(thing)]
    words = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\w{2}|.[)`])\. ", words)[0].rstrip(".")


# --- the command line ---------------------------------------------------------------------------------------------


def commands() -> list[str]:
    """Every command, in the order of the help; those of a group behind the group."""
    from holdfast.cli.group import GROUPS
    from holdfast.cli.main import app

    groups = {str(group.name): group.typer_instance for group in app.registered_groups}
    names = [str(command.name) for command in app.registered_commands]
    for name, before in GROUPS.items():
        group = groups[name]
        inside = [f"{name} {command.name}" for command in group.registered_commands] if group is not None else []
        names[names.index(before) : names.index(before)] = [name, *inside]
    return names


def command_help() -> str:
    """The help of `holdfast`, and of every command of it."""
    names = commands()
    with ThreadPoolExecutor(2) as pool:
        whole, *each = pool.map(lambda words: _help(*words), [(), *(name.split() for name in names)])
    return "\n\n".join([whole, *(f"## holdfast {name}\n\n{said}" for name, said in zip(names, each, strict=True))])


def _help(*words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environment |= {"COLUMNS": str(HELP_COLUMNS), "PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    said = subprocess.run(
        [sys.executable, "-m", "holdfast", *words, "--help"], env=environment, capture_output=True, encoding="utf-8", check=True
    ).stdout
    return "```text\n" + "\n".join(line.rstrip() for line in said.strip().splitlines()) + "\n```"


PARTS: dict[str, Callable[[], str]] = {
    "recovery-table": recovery_table,
    "outcome-table": outcome_table,
    "pending-table": pending_table,
    "model-failure-table": model_failure_table,
    "failure-table": failure_table,
    "options-table": options_table,
    "limits-table": limits_table,
    "metric-table": metric_table,
    "names-table": names_table,
    "methods-table": methods_table,
    "inbox-table": inbox_table,
    "judgement-table": judgement_table,
    "command-help": command_help,
}


def made_anew(text: str) -> str:
    """A page with its made parts as the code has them now."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", text)


def outdated() -> list[Path]:
    """The pages of which a made part is not what the code says."""
    return [page for page in sorted(DOCS.glob("*.md")) if made_anew(text := page.read_text("utf-8")) != text]


def main(words: Sequence[str]) -> int:
    """Rewrite the pages, or say which are out of date."""
    pages = outdated()
    for page in pages:
        sys.stdout.write(f"{page.relative_to(ROOT)} {'is out of date' if '--check' in words else 'is written anew'}\n")
        if "--check" not in words:
            page.write_text(made_anew(page.read_text("utf-8")), "utf-8")
    return 1 if pages and "--check" in words else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
