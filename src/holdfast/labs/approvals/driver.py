"""The driver of the lab `approvals`: two thousand payouts, ten people, and the same weeks three times, each under another policy.

`check` decides how it ended. Payouts and frauds are counted in the service's own ledger.
"""

from __future__ import annotations

import asyncio
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from holdfast import policyfile
from holdfast.errors import UsageError
from holdfast.figures import WhatIf, what_if
from holdfast.labs.approvals.chart import chart
from holdfast.labs.approvals.check import Seen, check
from holdfast.labs.approvals.living import Lived, live
from holdfast.labs.approvals.outcome import Outcome, Rate, outcome_of
from holdfast.labs.approvals.proposing import BEARABLE_USD, Proposal, propose
from holdfast.labs.approvals.story import Story
from holdfast.labs.services import Services, start_services
from holdfast.labs.workshop import Workshop

FILES = ("policy-1.yaml", "policy-2.yaml")
THIRD = "policy-3.yaml"
CHART = "chart.svg"
TITLES = ("1: everything is asked", "2: large ones, and a fifth of the rest", "3: what the record suggests")

_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool, out: Path | None = None, story: Story | None = None) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. UsageError where the chart cannot be written.

    out: where the chart goes, as SVG; it is in the directory of the lab in any case. story: another one, as a shorter one.
    """
    _check_out(out)
    story = story or Story(seed=seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep) as shop:
        shop.title("approvals", seed)
        _introduce(shop, story)
        with start_services("approvals", shop.world, seed=seed) as services:
            # Each has a store and a book of its own, so side by side is as good as one after the other.
            with ThreadPoolExecutor(2) as pool:
                first, second = pool.map(lambda number: _live(shop, number, story, services), (1, 2))
            proposal = propose(first)
            (shop.directory / THIRD).write_text(proposal.policy_file, encoding="utf-8")
            expected = what_if(policyfile.load(shop.directory / THIRD), first.judged)
            third = _live(shop, 3, story, services)
            lived = (first, second, third)
            ledger = services.ledger()
        outcomes = [outcome_of(one, story, ledger, title) for one, title in zip(lived, TITLES, strict=True)]
        _weeks(shop, outcomes[:1])
        _proposed(shop, proposal, expected)
        _weeks(shop, outcomes[1:])
        _by_rule(shop, outcomes)
        _compared(shop, outcomes, story)
        _drawn(shop, outcomes, out)
        problems = check(story, Seen(ledger=ledger, lived=lived, outcomes=outcomes, expected=expected))
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS, problems)


_CLAIMS = (
    "Read from the ledger: from each book every payout was paid at most once; what was refused was not paid, and all else was. "
    "Each policy had its worker killed with SIGKILL between a payout and its record. Who was asked is what the rules and the "
    "draws say, which were made here once more. Under the third policy as many were asked as was worked out from the record of "
    "the first one, without a call.",
)


def _check_out(out: Path | None) -> None:
    if out is not None and (out.is_dir() or not os.access(out.absolute().parent, os.W_OK)):
        raise UsageError(f"the chart cannot be written to {out}", hint="name a file in a directory that is there, as chart.svg")


def _live(shop: Workshop, number: int, story: Story, services: Services) -> Lived:
    store, policy = shop.directory / f"runs-{number}.db", shop.directory / f"policy-{number}.yaml"
    return asyncio.run(live(store, policy, f"book-{number}", story, services))


# --- what is shown of it ------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: a payout service on loopback, in a process of its own, and ten simulated people")
    frauds = [payout for payout in story.payouts if payout.fraud]
    shop.say(
        f"  payouts   {len(story.payouts)}, {story.a_day} each working day; {len(frauds)} of them are frauds over "
        f"${sum(payout.usd for payout in frauds)} together,",
        "            which only the service knows; they look a little different, and no rule tells them apart",
        "  runs      one for each payout, of a real worker on a real store; it is killed once, with SIGKILL",
        "  people    ten, a model made up for this lab (people.py), and no evidence about anybody: they decide",
        "            through app.inbox, look closely where little is open, and hardly at all where much is",
        "  time      simulated: everybody is told it, and weeks pass in seconds",
        "",
        "The same weeks are lived through three times, with the same payouts and the same people:",
    )
    for title in TITLES:
        shop.line(f"  policy {title}")
    shop.say("", f"The policies and the stores are in {shop.directory}")


def _weeks(shop: Workshop, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        shop.heading(f"Week by week under policy {outcome.title}")
        rows: list[Sequence[object]] = [
            ("week", "asked", "decided", "open", "overridden", "with 95 %", "half within", "under 5 s", "alarms")
        ]
        for week in outcome.weeks:
            stamped = f"{len(week.stamped)}" if week.stamped else "-"
            times = (_seconds(week.seconds), week.quick)
            rows.append((week.number + 1, week.asked, week.decided, week.left_open, *_rate(week.rate), *times, stamped))
        shop.table(rows)
    shop.say("  alarms: of rubber stamps, raised on the Friday about people and rules")


def _proposed(shop: Workshop, proposal: Proposal, expected: WhatIf) -> None:
    shop.heading("What the record of policy 1 suggests")
    for head, found in (("all of it        ", proposal.whole), ("before the alarm ", proposal.careful)):
        for suggestion in found:
            caution = f". Caution: {suggestion.caution}" if suggestion.caution else ""
            shop.paragraph(head, f"{suggestion.what}; {suggestion.sure}{caution}")
    cuts = [cut for suggestion in proposal.careful for cut in suggestion.cuts]
    if cuts:
        shop.say("", f"  Thresholds, from the {proposal.rows} decisions before the first rubber-stamp alarm:")
        rows: list[Sequence[object]] = [("ask above", "asked", "not asked", "objected to, let through", "over", "by chance")]
        for cut in cuts:
            taken = "  <- is taken" if cut == proposal.cut else ""
            over = f"${cut.let_through_amount or 0:g}"
            rows.append((f"${cut.threshold:g}", cut.asked, cut.fewer, cut.let_through, over, f"{_chance(cut.chance)}{taken}"))
        shop.table(rows)
        shop.say(f"  Taken is the highest that is no chance and lets through at most ${BEARABLE_USD:g} that people objected to.")
    shop.say("", f"  {THIRD}:", textwrap.indent(proposal.policy_file.rstrip(), "    "))
    shop.heading("What if: policy 3 over the recorded decisions of policy 1; nothing is called")
    people, side = expected.people, expected.proposed
    shop.say(
        f"  of {expected.rows} it would ask about {side.asked} ({side.sampled} by a draw), and not about {side.not_asked}",
        f"  of what people objected to it would ask about {people.caught} and let {people.let_through} through, over "
        f"${people.let_through_amount or 0:g}",
        "  What nobody objected to because nobody looked is not in these numbers; the world knows it.",
        "  Policy 3 is tried on the payouts that it was made from: on others it would do a little worse.",
    )


def _compared(shop: Workshop, outcomes: Sequence[Outcome], story: Story) -> None:
    shop.heading(f"The policies side by side: {len(story.payouts)} payouts, frauds by the ledger of the service")
    rows: list[Sequence[object]] = [("", *(outcome.title.partition(":")[0] for outcome in outcomes))]
    rows += [(name, *(show(outcome) for outcome in outcomes)) for name, show in _LINES.items()]
    shop.table(rows)


_LINES: Mapping[str, Callable[[Outcome], object]] = {
    "asked": lambda one: one.asked,
    "overridden": lambda one: " of ".join(map(str, (one.rate.overridden, one.rate.weighed))),
    "  rate": lambda one: _rate(one.rate)[0],
    "  with 95 %": lambda one: _rate(one.rate)[1],
    "half decided within": lambda one: _seconds(one.seconds),
    "decided under 5 s": lambda one: one.quick,
    "most open at once": lambda one: one.open_max,
    "age in the queue, median": lambda one: _hours(one.age_median_hours),
    "age in the queue, highest": lambda one: _hours(one.age_max_hours),
    "rubber-stamp alarms": lambda one: one.stamped,
    "queue alarms": lambda one: one.grew,
    "frauds caught": lambda one: one.caught,
    "frauds let through": lambda one: one.let_through,
    "money lost": lambda one: f"${one.lost_usd}",
    "honest payouts stopped": lambda one: one.stopped,
}


def _by_rule(shop: Workshop, outcomes: Sequence[Outcome]) -> None:
    shop.heading("By rule, as `holdfast figures` has it")
    rows: list[Sequence[object]] = [("policy", "rule", "ruled", "asked", "overridden", "rate", "with 95 %", "half within")]
    for outcome in outcomes:
        for rule in outcome.rules:
            rate = Rate(overridden=rule.overridden, weighed=rule.weighed)
            ruled = (rule.name, rule.rulings, rule.asked, rule.overridden)
            rows.append((outcome.title.partition(":")[0], *ruled, *_rate(rate), _seconds(rule.decide_seconds_median)))
    shop.table(rows)


def _drawn(shop: Workshop, outcomes: Sequence[Outcome], out: Path | None) -> None:
    drawn = chart(outcomes)
    for path in (shop.directory / CHART, *([out] if out is not None else [])):
        path.write_text(drawn, encoding="utf-8")
    if out is not None or shop.keep:
        shop.say("", f"The chart of queue age and override rate is in {out or shop.directory / CHART}")


def _rate(rate: Rate) -> tuple[str, str]:
    share, interval = rate.share, rate.interval
    if share is None or interval is None:
        return "-", "-"
    return f"{share:.1%}", f"{interval.low:.1%} to {interval.high:.1%}"


def _chance(share: float) -> str:
    return "< 0.1%" if share < 0.001 else f"{share:.1%}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _hours(hours: float | None) -> str:
    return "-" if hours is None else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
