"""`figures`, `what-if`, `audit`: what the record says about people's judgement."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from holdfast.cli.given import no_such_run, past
from holdfast.cli.options import DONE, FAILED, AsJson, Db, command, examples, in_store, wrong
from holdfast.cli.text import clean, put, put_json, say
from holdfast.errors import LoadError

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.audit import AuditRecord
    from holdfast.core.policy import Policy


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("figures", epilog=FIGURES_EXAMPLES)(figures)
    app.command("what-if", epilog=WHAT_IF_EXAMPLES)(what_if)
    app.command("audit", epilog=AUDIT_EXAMPLES)(audit)


Since = Annotated[str, typer.Option("--since", metavar="TIME", help="What was ruled since: 30d ago, or 2026-12-01T09:00Z.")]
RuleName = Annotated[str | None, typer.Option("--rule", metavar="NAME", help="Only of this rule.", show_default=False)]
PolicyName = Annotated[
    str | None, typer.Option("--policy", metavar="NAME@VERSION", help="Only by this policy.", show_default=False)
]
ToolName = Annotated[str | None, typer.Option("--tool", metavar="NAME", help="Only about its calls.", show_default=False)]
AgentName = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only of its runs.", show_default=False)]
TenantName = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only of its runs.", show_default=False)]

# --- figures ------------------------------------------------------------------------------------------------------

FIGURES_EXAMPLES = examples(
    "holdfast figures",
    "holdfast figures --by person --since 7d",
    "holdfast figures --tool refund --json | jq 'select(.figure) | .figure.override_rate'",
)
# More than that is open in no inbox that anybody reads.
OPEN_MAX = 1_000_000


def figures(
    kind: Annotated[Literal["rule", "tool", "policy", "person"], typer.Option("--by", help="What is counted by.")] = "rule",
    since: Since = "30d",
    rule: RuleName = None,
    policy: PolicyName = None,
    tool: ToolName = None,
    agent: AgentName = None,
    tenant: TenantName = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """How often people are asked, and what it is worth.

    By rule: how often it asked, let pass and blocked; what people said; how often they overrode it (rejected, edited, answered
    in place of the tool, or cancelled; with the interval in which the true rate lies, 95 %); how long they took, and how often
    under five seconds; what is open, and for how long. Below it alarms, where approvals may be worth nothing any more, and what
    the record suggests, with what that would have let through.

    With --json each line holds a `figure`, an `alarm` or a `suggestion`.
    """

    async def go(app: Holdfast) -> int:
        from holdfast import figures as record
        from holdfast.cli import render_judgement
        from holdfast.journal.people import InboxFilter, JudgedFilter
        from holdfast.runner.clock import SystemClock

        now = SystemClock().now()
        wanted = JudgedFilter(
            since=past(since, now, "--since"), rule=rule, policy=policy, tool=tool, agent=agent, tenant=tenant
        )  # fmt: skip
        open_ones = InboxFilter(
            rule=rule, policy=policy, tool=tool, agent=agent, tenant=tenant, limit=OPEN_MAX, order="oldest",
            answered=None,
        )  # fmt: skip
        judged, waiting = await app.journal.judged(wanted), await app.journal.inbox(open_ones, now)
        found = record.figures(judged, waiting, now, by=kind)
        alarms, suggested = record.alarms(judged, waiting, now), record.suggestions(judged)
        if json:
            put_json({"figure": one} for one in found)
            put_json({"alarm": one} for one in alarms)
            put_json({"suggestion": one} for one in suggested)
        elif found:
            render_judgement.figures(found)
            render_judgement.alarms(alarms)
            render_judgement.suggestions(suggested)
        else:
            say(f"nothing was ruled or asked in {db} since {since}")
        return DONE

    return in_store(db, go)


# --- what if ------------------------------------------------------------------------------------------------------

WHAT_IF_EXAMPLES = examples(
    "holdfast what-if policy.yaml",
    "holdfast what-if refunds.py --since 90d --tool refund",
    "holdfast what-if policy.yaml --json | jq .people",
)


def what_if(
    file: Annotated[
        str, typer.Argument(metavar="FILE[:AGENT]", help="A policy file, or an agent with a policy.", show_default=False)
    ],
    since: Since = "30d",
    rule: RuleName = None,
    policy: PolicyName = None,
    tool: ToolName = None,
    agent: AgentName = None,
    tenant: TenantName = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """What another policy would have done.

    Its rules are run over what was recorded of earlier rulings, and counted beside what was. Nothing is called and nobody is
    asked. What a rule would ask of a function is not known then; what no rule matches is as the tool itself says.
    """
    other = _policy_of(file)

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_judgement
        from holdfast.figures import what_if as held_against
        from holdfast.journal.people import JudgedFilter
        from holdfast.runner.clock import SystemClock

        start = past(since, SystemClock().now(), "--since")
        wanted = JudgedFilter(since=start, rule=rule, policy=policy, tool=tool, agent=agent, tenant=tenant)
        found = held_against(other, await app.journal.judged(wanted))
        if json:
            put_json([found])
        elif found.rows:
            render_judgement.what_if(found, db)
        else:
            say(f"nothing was ruled in {db} since {since} that a policy could be run over")
        return DONE

    return in_store(db, go)


def _policy_of(spec: str) -> Policy:
    """The policy of a policy file, or of an agent."""
    from holdfast import datafile, loading

    path = Path(spec)
    if path.suffix in datafile.SUFFIXES:
        if not path.is_file():
            raise LoadError(f"there is no file {path}", hint="name a policy file, or FILE[:AGENT] of an agent with a policy")
        data = datafile.read(path, "a policy")
        if isinstance(data, dict) and "steps" not in data:
            return loading.policy_file(path)
    agent = loading.agent_of(spec)
    if agent.policy is None:
        raise LoadError(f"agent {agent.name} of {spec} has no policy", hint="name a policy file, or an agent with a policy")
    return agent.policy


# --- audit --------------------------------------------------------------------------------------------------------

AUDIT_EXAMPLES = examples(
    "holdfast audit --since 90d --out audit.jsonl",
    "holdfast audit order-7 --format csv --out order-7.csv",
    "holdfast audit --verify audit.jsonl",
    "holdfast audit --verify audit.jsonl --head order-7=5f0c…     # as `holdfast verify` said it then",
)
PROBLEMS_SHOWN = 50


def audit(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Only these runs.", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only decided since: 90d ago, or a moment.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only decided before: 1d ago, or a moment.", show_default=False)
    ] = None,
    agent: AgentName = None,
    tenant: TenantName = None,
    form: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", help="Lines of JSON with their proof, or a table without one.")
    ] = "jsonl",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where it is written; else stdout.", show_default=False)
    ] = None,
    verify: Annotated[
        Path | None, typer.Option("--verify", metavar="FILE", help="Check an audit that was written.", show_default=False)
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="ID=HEX", help="With --verify: a run's last link, noted elsewhere.", show_default=False),
    ] = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Every decision, with the proof that it was so.

    Rulings, questions, answers, approvals in advance and words of people, each with who said it, when, and about what. As lines
    of JSON it carries the hash chain of each run, so that --verify finds a line that was changed, left out or invented, with no
    store at hand (exit code 1). It has the whole journals of its runs in it then; keep it as you keep them.

    --json says what was written, or found, as one object.
    """
    if verify is not None:
        if ids or since or until or agent or tenant or out:
            wrong("--verify checks a file as it is", "holdfast audit --verify FILE, with --head ID=HEX where it was noted")
        return _verified(verify, head or [], json)
    if head:
        wrong("--head is checked against a file", "add --verify FILE")
    if json and out is None:
        wrong("--json says what was written to a file", "add --out FILE, or leave it out: lines of JSON are what is printed")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        wrong(f"--out {out} cannot be written: {'it is a directory' if out.is_dir() else f'there is no folder {out.parent}'}")

    async def go(app: Holdfast) -> int:
        from holdfast import audit as written
        from holdfast.runner.clock import SystemClock

        now = SystemClock().now()
        for run_id in ids or ():
            if await app.journal.row(run_id) is None:
                raise await no_such_run(app.journal, run_id, db)
        records = written.audit(
            app.journal, ids or None, agent=agent, tenant=tenant, since=past(since, now, "--since"),
            until=past(until, now, "--until"), proof=form == "jsonl",
        )  # fmt: skip
        await _write(records, form, out, json, db)
        return DONE

    return in_store(db, go)


async def _write(records: AsyncIterator[AuditRecord], form: str, out: Path | None, json: bool, db: str) -> None:
    """To stdout, or to a file that is there whole or not at all."""
    from holdfast.audit import AuditLine, csv_lines, json_lines

    count = 0

    async def counted() -> AsyncIterator[AuditRecord]:
        nonlocal count
        async for record in records:
            count += isinstance(record, AuditLine)
            yield record

    if out is None:
        if form == "csv":
            async for row in csv_lines(counted()):
                sys.stdout.write(clean(row.rstrip("\r\n")) + "\n")
        else:
            async for line in json_lines(counted()):
                sys.stdout.write(line.decode())
        sys.stdout.flush()
        return
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as file:
            if form == "csv":
                async for row in csv_lines(counted()):
                    file.write(row.encode())
            else:
                async for line in json_lines(counted()):
                    file.write(line)
        os.replace(part, out)
    except OSError as error:
        raise LoadError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink()
    if json:
        put_json([{"file": str(out), "decisions": count, "format": form}])
    else:
        put(f"{out}  {count:,} decisions")
    if form == "jsonl":
        say(f"check it anywhere: {command(db, 'audit', '--verify', str(out)).partition(' --db ')[0]}")


def _verified(file: Path, heads: list[str], json: bool) -> int:
    """What is wrong with an audit, a line each."""
    from holdfast.audit import verify_audit

    noted = dict(_head(word) for word in heads)
    try:
        with file.open("rb") as lines:
            problems = verify_audit((line.rstrip(b"\r\n") for line in lines), noted)
    except OSError as error:
        raise LoadError(f"{file} cannot be read: {error.strerror or error}") from error
    if json:
        put_json([{"file": str(file), "whole": not problems, "problems": problems}])
        return FAILED if problems else DONE
    if not problems:
        put(f"{file}  whole: what is in it is what was written")
    for problem in problems[:PROBLEMS_SHOWN]:
        put(f"{file}  {problem}")
    if len(problems) > PROBLEMS_SHOWN:
        say(f"and {len(problems) - PROBLEMS_SHOWN} more; --json has them all")
    return FAILED if problems else DONE


def _head(word: str) -> tuple[str, str]:
    run_id, equals, link = word.rpartition("=")
    if not equals or not run_id or not link:
        wrong(f"--head {word!r} is not ID=HEX", "as `holdfast verify ID --json` has it in `link`")
    return run_id, link
