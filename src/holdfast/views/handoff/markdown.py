"""A handoff as Markdown (CommonMark), to be read as it is or rendered.

Words and values in it come from models, tools and people. They stand on one line each, never at the beginning of it; words with
their marks escaped, values, names and commands as code. So nothing of them becomes a heading, a link, a table or HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.views.beliefs import FactView, source_words
from holdfast.views.handoff.records import Advice, DoneStep, Handoff, OpenStep, Tried, UnknownStep
from holdfast.views.markdown import code, flat, text, value
from holdfast.views.minds import spent_words
from holdfast.views.owed import OwedView
from holdfast.views.runs import Question
from holdfast.views.words import listed, moment, span

# Of each list that the record has whole, so many lines are shown.
LINES_MAX = 100
WORDS_MAX = 2000


def markdown(package: Handoff) -> str:
    """A handoff as a page to work from. Long lists are cut, and say so; the record has them whole."""
    lines = [*_head(package), *_next(package)]
    for heading, found in _sections(package):
        lines += ["", f"## {heading}", "", *(found or ["Nothing."])]
    return "\n".join(lines) + "\n"


def _sections(package: Handoff) -> Iterator[tuple[str, list[str]]]:
    if package.unknown:
        yield "Unknown: nobody knows whether it happened", _listed(map(_unknown, package.unknown), len(package.unknown))
    if package.questions:
        yield "Open questions", [line for asked in package.questions for line in _question(asked, package)]
    yield "Done", _last(list(map(_done, package.done)))
    yield "Not done", _listed(map(_open, package.not_done), len(package.not_done))
    if package.owed:
        yield (
            "Owed by others; do not do these again",
            _listed((_owed(one, package.at) for one in package.owed), len(package.owed)),
        )
    yield "Believed", _listed((_fact(fact, package.at) for fact in package.believed), len(package.believed))
    more = [f"- … {package.tried_before} before that"] if package.tried_before else []
    yield "Tried, and did not work", more + _last(list(map(_tried, package.tried)))
    used = spent_words(package.spent)
    calls = f"{package.calls} call{'' if package.calls == 1 else 's'} of tools"
    yield "Spent so far", [f"- {text(', '.join(filter(None, (calls, used))))}"]
    yield "Commands to go on", [f"- {code(one.command)} — {text(one.means)}" for one in package.commands]


def _head(package: Handoff) -> Iterator[str]:
    yield f"# Handoff of run {code(package.run_id)}"
    yield ""
    yield f"- **Why:** {text(package.why)}"
    yield f"- **Goal:** {text(package.goal, WORDS_MAX) if package.goal.strip() else '(no words; see the inputs)'}"
    if package.intent:
        yield f"- **Understood as:** {text(package.intent)}"
    if package.inputs:
        yield f"- **Inputs:** {value(package.inputs)}"
    for one in package.instructions:
        yield f"- **{text(one.by)} said since:** {text(one.text, WORDS_MAX)}"
    yield f"- **State:** {package.status}, as of {moment(package.at)}; started {_ago(package.started_at, package.at)}"
    tenant = f", tenant {code(package.tenant)}" if package.tenant else ""
    yield f"- **Agent:** {code(' '.join(filter(None, (package.agent, package.agent_version))))}{tenant}"
    if package.paused is not None:
        until = f" until {moment(package.paused.until)}" if package.paused.until is not None else ""
        yield f"- **Paused by:** {text(package.paused.by)}{until}{_reason(package.paused.reason)}"
    if package.taken_over is not None:
        yield f"- **Taken over by:** {text(package.taken_over.by)}{_reason(package.taken_over.reason)}"
    counts = (("done", package.done), ("not done", package.not_done), ("unknown", package.unknown), ("owed", package.owed))
    yield f"- **Steps:** {', '.join(f'{len(found)} {word}' for word, found in counts)}"


def _next(package: Handoff) -> Iterator[str]:
    yield ""
    yield "## What to do first"
    yield ""
    yield from _advice(package.next)


def _advice(one: Advice) -> Iterator[str]:
    yield f"**{text(one.means, WORDS_MAX)}**"
    if one.command:
        yield ""
        yield f"    {flat(one.command)}"


# --- lines --------------------------------------------------------------------------------------------------------


def _done(step: DoneStep) -> str:
    known = "" if step.how == "its call" else f" (known by {text(step.how)}{_by(step.by)})"
    if step.how == "by hand":
        known = f" **by hand**{_by(step.by)}"
    left = f"; **left:** {text(listed(step.left))}" if step.left else ""
    back = " — **and taken back**" if step.taken_back else ""
    at = f", {moment(step.at)}" if step.at is not None else ""
    return f"- {_call(step.step, step.tool, step.args)}{known}{at}{left}{back}\n  - result: {code(step.result)}"


def _open(step: OpenStep) -> str:
    why = f"; {text(step.why)}" if step.why else ""
    waits = f"\n  - waits for: {text(step.waits_for)}" if step.waits_for else ""
    return f"- {_call(step.step, step.tool, step.args)}: **{text(step.phase)}**{why}{waits}"


def _unknown(step: UnknownStep) -> str:
    sent = f", first sent {moment(step.sent_at)}" if step.sent_at is not None else ""
    times = f", sent {step.calls} times" if step.calls > 1 else ""
    parts = [f"- {_call(step.step, step.tool, step.args)}{sent}{times}"]
    if step.key:
        parts.append(f"  - key: {code(step.key)}" + (f", handle: {code(step.handle)}" if step.handle else ""))
    if step.why:
        parts.append(f"  - what is known: {text(step.why)}")
    parts.append(f"  - to find out: {text(step.find_out)}")
    return "\n".join(parts)


def _question(asked: Question, package: Handoff) -> Iterator[str]:
    yield f"- {code(asked.interrupt)} ({text(asked.kind)}): **{text(asked.question, WORDS_MAX)}**"
    if asked.tool:
        yield f"  - about: {_call(asked.step, asked.tool, '')} with {value(asked.args, None)}"
    if asked.rule:
        yield f"  - asked by: {text(asked.rule)}"
    if asked.who or asked.people > 1:
        many = f"; {asked.people} must approve" if asked.people > 1 else ""
        yield f"  - may decide: {text(' or '.join(asked.who) or 'anybody')}{many}"
    if asked.approvals:
        yield f"  - approved so far by: {text(listed(asked.approvals))}"
    after = f"; {text(asked.next)}" if asked.next else ""
    yield f"  - until {moment(asked.expires_at)} ({_in(asked.expires_at, package.at)}); silence is never a yes{after}"
    for choice in asked.choices:
        yield f"  - {code(choice.decision)}: {text(choice.means)}"


def _owed(one: OwedView, at: float) -> str:
    ways = f"; settled by {text(', '.join(one.settled_by))}" if one.settled_by else ""
    handle = f", their name for it: {code(one.handle)}" if one.handle else ""
    late = "**overdue**, was due" if one.until <= at else "until"
    then = f"; then {text(one.at_deadline)}" if one.at_deadline else ""
    whose = f"{text(one.what)} ({code(one.tool)}), by {text(one.by)}{handle}"
    return f"- {whose}: {late} {moment(one.until)} ({_in(one.until, at)}){ways}{then}"


def _fact(fact: FactView, at: float) -> str:
    marks = "" if fact.stands == "firm" else f" — **{fact.stands.upper()}**"
    confirmed = f", confirmed by {fact.confirmed_by}" if fact.confirmed_by else ""
    basis = f", because {fact.basis}" if fact.basis and fact.source != "told" else ""
    about = f"{source_words(fact.source, fact.by, fact.confidence)}, {_ago(fact.at, at)}{confirmed}{basis}"
    return f"- {code(fact.name)} = {value(fact.value)} ({text(about)}){marks}"


def _tried(one: Tried) -> str:
    step = f"{code(one.step)}: " if one.step else ""
    times = f" (**{one.times} times** in a row)" if one.times > 1 else ""
    return f"- {moment(one.at)} {step}{text(one.what)}{times}"


def _call(step: str, tool: str, args: str) -> str:
    call = f"{code(step)} calls {code(tool)}" if step else code(tool)
    return f"{call} with {code(args)}" if args and args != "{}" else call


def _by(by: str) -> str:
    return f" by {text(by)}" if by else ""


def _reason(reason: str) -> str:
    return f": {text(reason)}" if reason else ""


def _listed(lines: Iterable[str], count: int) -> list[str]:
    """The first of them, and how many more there are."""
    shown = [line for line, _ in zip(lines, range(LINES_MAX), strict=False)]
    return shown + ([f"- … and {count - LINES_MAX} more"] if count > LINES_MAX else [])


def _last(lines: list[str]) -> list[str]:
    """The last of them, and how many more there were."""
    more = [f"- … {len(lines) - LINES_MAX} earlier ones"] if len(lines) > LINES_MAX else []
    return more + lines[-LINES_MAX:]


def _ago(at: float, now: float) -> str:
    return f"{span(now - at)} ago" if now - at >= 1 else "just now"


def _in(at: float, now: float) -> str:
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"
