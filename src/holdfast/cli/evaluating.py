"""`eval`: cases run against an agent, and two versions of it side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.given import seconds
from holdfast.cli.options import DONE, FAILED, INTERRUPTED, UNFINISHED, AsJson, command, examples, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.evaluation import CaseRun, Results, Suite, Terms

KEPT = Path(".holdfast/evals")


def register(app: typer.Typer) -> None:
    """Add this group of commands."""
    group = typer.Typer(
        help="Run cases against an agent, and compare its versions.", epilog=EXAMPLES, rich_markup_mode=None, no_args_is_help=True
    )
    group.command("run", epilog=RUN_EXAMPLES)(run)
    group.command("compare", epilog=COMPARE_EXAMPLES)(compare)
    group.command("list", epilog=LIST_EXAMPLES)(kept)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    app.add_typer(group, name="eval")


EXAMPLES = examples(
    "holdfast eval run refunds.yaml",
    "holdfast eval run refunds.yaml --agent refunds_2.py --against .holdfast/evals/refunds/20261121-093000",
    "holdfast eval list",
    "holdfast eval run --help      # every command of the group has examples",
)

RUN_EXAMPLES = examples(
    "holdfast eval run refunds.yaml",
    "holdfast eval run refunds.yaml --case large --repeat 20 --seed 3",
    "holdfast eval run refunds.yaml --model anthropic:claude-sonnet-5 --budget 2.00 --parallel 8",
    "holdfast eval run refunds.yaml --resume .holdfast/evals/refunds/20261121-093000",
    "holdfast eval run refunds.yaml --fail-under 0.95 --json | jq 'select(.run.outcome == \"wrong\")'",
)

Json = AsJson
Place = Annotated[Path, typer.Argument(metavar="RESULTS", help="A folder of results, or their file.", show_default=False)]


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The case file (.yaml, .yml, .json).", show_default=False)],
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="FILE[:AGENT]", help="In place of the one that the file names.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="PROVIDER:NAME", help="Ask this model; it costs money.", show_default=False),
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option("--case", metavar="NAME", help="Only this one, again for each.", show_default=False)
    ] = None,
    repeat: Annotated[
        int | None, typer.Option("--repeat", metavar="N", min=1, help="How often each is run.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="All that is left to chance follows from it.", show_default="0")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where results and stores go; below .holdfast/evals.", show_default=False),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="DIR", help="Go on with one that was broken off.", show_default=False),
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", metavar="N", min=1, help="Runs at once that wait for a model.")] = 4,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="TIME", help="Of a run, on the wall (30s, 2m).", show_default=False)
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD", help="What all runs together may cost.", show_default=False)
    ] = None,
    real_time: Annotated[bool, typer.Option("--real-time", help="Waiting takes its time.")] = False,
    real_tools: Annotated[bool, typer.Option("--real-tools", help="Call tools that nothing stands in for.")] = False,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="RESULTS", help="Compare with these, too.", show_default=False),
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under", metavar="SHARE", min=0, max=1, help="Fail only where fewer of the runs hold.", show_default=False
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing while it goes on.")] = False,
    json: Json = False,
) -> int:
    """Run the cases of a file against an agent.

    What came of a run is read from the ledger of its world. One whose journal and ledger disagree is wrong, whatever the file
    expects. Each run has a store of its own, with which it can be shown and replayed. With scripted models no key is needed, and
    a week of waiting takes no time.

    The exit code is 0 where all held, 1 where something did not, 4 where it was not finished: the budget was used up, or it was
    stopped. Ctrl-C keeps what is done.
    """
    from holdfast import __version__
    from holdfast.evaluation import Terms, casefile, results, scripts

    suite = casefile.load(file)
    before = results.read(against) if against is not None else None
    if out is not None and resume is not None:
        wrong("--out is for a new one, and --resume goes on with an old one", "give one of them")
    old = results.read(resume).header if resume is not None else None
    named = agent or (old.agent_spec if old is not None else "") or _named(suite)
    terms = Terms(
        out=resume or out or _folder(suite.name),
        seed=seed if seed is not None else old.seed if old is not None else 0,
        model=scripts.named(model) if model is not None else None,
        repeat=repeat,
        only=tuple(case or ()),
        parallel=parallel,
        budget_usd=_amount(budget),
        limit_seconds=seconds(limit, "--limit") if limit is not None else None,
        real_time=real_time,
        real_tools=real_tools,
        resume=resume is not None,
        file=str(file),
        agent_spec=named,
        release=__version__,
        on_run=None if quiet else _tell,
        on_caution=None if quiet else say,
    )
    done, stopped = asyncio.run(_evaluated(suite, named, terms))
    return _told(done, before, stopped, fail_under, file, json)


def _named(suite: Suite) -> str:
    """The agent that the file names, found from its folder."""
    if not suite.agent:
        wrong("it is not said which agent is to be evaluated", "write `agent:` in the case file, or give --agent FILE[:AGENT]")
    place = Path(suite.folder) / suite.agent
    bare = Path(suite.folder) / suite.agent.rpartition(":")[0]
    return str(place) if place.exists() or (bare.is_file() and bare.suffix) else suite.agent


def _folder(name: str) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    taken = sum(1 for _ in (KEPT / name).glob(f"{stamp}*"))
    return KEPT / name / (f"{stamp}-{taken + 1}" if taken else stamp)


def _amount(budget: str | None) -> Decimal | None:
    """What all runs together may cost."""
    from holdfast.core.limits import amount_of

    if budget is None:
        return None
    amount = amount_of(budget)
    if not amount:
        wrong(f"--budget {budget!r} is no amount of US dollars", "write it as 2.00")
    return amount


async def _evaluated(suite: Suite, named: str, terms: Terms) -> tuple[Results, str]:
    """The results, and the signal that stopped it."""
    import msgspec

    from holdfast import loading
    from holdfast.cli.signals import stopping
    from holdfast.evaluation import evaluate

    agent, halt = loading.agent_of(named), asyncio.Event()

    async def stop() -> None:
        halt.set()

    async with stopping(stop) as state:
        done = await evaluate(suite, agent, msgspec.structs.replace(terms, stop=halt))
    return done, state.by


def _tell(one: CaseRun) -> None:
    why = next(iter((*one.disagreements, *one.unmet)), "")
    say(f"{one.case} {one.repeat}: {one.outcome}" + (f": {one_line(why)}" if why else ""))


def _told(done: Results, before: Results | None, stopped: str, fail_under: float | None, file: Path, json: bool) -> int:
    """Show what came of it; the exit code."""
    from holdfast.cli import render_eval
    from holdfast.evaluation import compare as held_against
    from holdfast.evaluation.summing import summaries

    found = held_against(before, done) if before is not None else None
    if json:
        put_json({"run": one} for one in done.runs)
        put_json({"summary": one} for one in summaries(done))
        put_json([{"comparison": found}] if found is not None else [])
    else:
        render_eval.results(done)
        if found is not None:
            put()
            render_eval.comparison(found)
    whole = summaries(done)[-1]
    if not done.finished:
        left = sum(done.header.cases.values()) - len(done.counted)
        say(f"{left} runs are not done; go on with: {command_of(done, file)}")
    else:
        say(f"look further: holdfast eval show {done.folder}")
    if stopped and not done.finished:
        return INTERRUPTED if stopped == "SIGINT" else UNFINISHED
    share = 1.0 if fail_under is None else fail_under
    if whole.rate is not None and whole.rate < share:
        return FAILED
    return DONE if done.finished else UNFINISHED


def command_of(done: Results, file: Path) -> str:
    """What goes on with an evaluation."""
    return command("", "eval", "run", str(file), "--resume", done.folder).removesuffix(" --db ''")


# --- compare ------------------------------------------------------------------------------------------------------

COMPARE_EXAMPLES = examples(
    "holdfast eval compare .holdfast/evals/refunds/20261120-101500 .holdfast/evals/refunds/20261121-093000",
    "holdfast eval compare old new --markdown >> pull-request.md",
    "holdfast eval compare old new --json | jq .whole.verdict",
)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Results of the one version.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="Results of the other one.", show_default=False)],
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the resampling.")] = 0,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page in Markdown.")] = False,
    json: Json = False,
) -> int:
    """Hold one version against another, case by case and in all.

    Only runs that both have are counted. Of the share that holds, the interval of each and of the difference is shown; of cost,
    time, questions and calls the median of the paired differences. Where no difference can be told, it says how often each case
    would have to be run. The exit code is 1 where B is worse in all, or where journals and ledgers of B alone disagree.
    """
    from holdfast.cli import render_eval
    from holdfast.evaluation import compare as held_against
    from holdfast.evaluation import results

    if markdown and json:
        wrong("--markdown and --json are two forms", "give one of them")
    found = held_against(results.read(first), results.read(second), seed)
    if json:
        put_json([found])
    elif markdown:
        render_eval.markdown(found)
    else:
        render_eval.comparison(found)
    return FAILED if found.worse else DONE


# --- what is kept -------------------------------------------------------------------------------------------------

LIST_EXAMPLES = examples("holdfast eval list", "holdfast eval list build/evals --json | jq .folder")


def kept(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where results are looked for.")] = KEPT,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the latest first.")] = 50,
    json: Json = False,
) -> int:
    """The results that are kept, the latest first."""
    from holdfast.cli import render_eval
    from holdfast.evaluation import results
    from holdfast.evaluation.summing import summaries

    found = results.kept(folder)
    if json:
        put_json({"folder": one.folder, "eval": one.header, "summary": summaries(one)[-1]} for one in found[:limit])
    elif found:
        render_eval.kept(found[:limit])
    else:
        say(f"no results are kept in {folder}")
    if len(found) > limit:
        say(f"there are more than these {limit}; --limit {limit * 10} shows more")
    return DONE


SHOW_EXAMPLES = examples(
    "holdfast eval show .holdfast/evals/refunds/20261121-093000",
    "holdfast eval show out lost_answer",
    "holdfast eval show out --json | jq 'select(.run.outcome == \"failed\").run.unmet'",
)


def show(
    place: Place,
    case: Annotated[str | None, typer.Argument(metavar="[CASE]", help="Each run of this one.", show_default=False)] = None,
    json: Json = False,
) -> int:
    """What came of an evaluation: by case, and what did not hold, with the commands that look at it."""
    from holdfast.cli import render_eval
    from holdfast.evaluation import results
    from holdfast.evaluation.summing import summaries

    found = results.read(place)
    runs: Sequence[CaseRun] = [one for one in found.runs if case in (None, one.case)]
    if case is not None and not runs:
        wrong(f"there is no case {case} in it", f"there are {', '.join(found.header.cases)}")
    if json:
        put_json({"run": one} for one in runs)
        put_json({"summary": one} for one in summaries(found) if case in (None, one.case))
    elif case is None:
        render_eval.results(found)
    else:
        render_eval.case(found, case)
    return DONE
