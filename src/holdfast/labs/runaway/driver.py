"""The driver of the lab `runaway`: four reasoners that would never stop by themselves, and what stops each.

`check` decides how it ended. What was charged and what was done it takes from the ledger of those who charged and did it.
"""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from holdfast.core import events as e
from holdfast.core.budget import dollars
from holdfast.core.evolve import fold
from holdfast.labs.reasoning import model_of
from holdfast.labs.runaway.check import Seen, charged, check, done, state_of
from holdfast.labs.runaway.story import AT_ONCE, BUDGET, NAMES, Story, story_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.provider import INPUT_USD, OUTPUT_USD
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import told

FILES = ("agents.py",)
HOLD_SECONDS = 12.0
"""Less than the tools wait, and far more than it takes to kill a process."""

LINES_MAX = 36
"""Of a timeline, before its middle is left out."""

_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool, model: str | None = None) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. model: what thinks in place of the scripts.
    UsageError for one that cannot be asked here."""
    asked, story = model_of(model), story_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep, model=asked) as shop:
        shop.title("runaway", seed, thinks=True)
        _introduce(shop)
        with start_services("runaway", shop.world, story.faults, seed=seed) as services:
            for name in NAMES[:-1]:
                _let_run(shop, name)
            in_flight, were_killed = _spends(shop, story, services)
            shop.requests_of(services)
            seen = Seen(
                ledger=services.ledger(),
                histories=shop.histories(),
                in_flight=in_flight,
                were_killed=were_killed,
                model=asked,
            )
        _timelines(shop, seen)
        _table(shop, seen)
        problems = check(seen)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS if asked is None else _CLAIMS_OF_A_MODEL, problems)


_CLAIMS = (
    "Read from the ledger of the provider and of the office: no run was charged more than its limit, to the hundredth of a cent, "
    "nor more than it counted. The worker of the one that spends was killed with SIGKILL after an answer of the model was "
    f"charged and before that was written down, and with {AT_ONCE} pictures in flight. What each had done by then is done "
    "once, and its run knows of it. Each run says in words why it stopped.",
)
_CLAIMS_OF_A_MODEL = (
    "Read from the ledger of the office: what each run had done is done once, and its run knows of it. With what the provider "
    "reported for its answers, no run spent more than its limit.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop) -> None:
    shop.heading("The world: an office on loopback, in a process of its own; and who thinks")
    provider = (
        f"a script, which the provider charges ${INPUT_USD} and ${OUTPUT_USD} per million tokens"
        if shop.model is None
        else f"{shop.model}, which is told to behave like that, and may do better"
    )
    shop.say(
        "  repeats   refunds an order, and then one whose number is wrong, with the same number, for ever",
        "  searches  finds what it needs at once, notes it, and searches on in other words",
        "  replans   reserves a table, and then makes a better plan after each step",
        f"  spends    orders {AT_ONCE} pictures at once, and the next {AT_ONCE}; each costs up to 4 cents",
        "",
        f"What thinks is {provider}.",
        f"Each run may spend ${BUDGET}. agents.py and the store are in {shop.directory}",
    )


def _command(name: str) -> tuple[str, ...]:
    return ("run", f"agents.py:{name}", "--id", name, "--db", STORE, "--lease", "1")


_HEADINGS = {
    "repeats": "the same call with the same bad input",
    "searches": "other words, the same results",
    "replans": "a better plan after each step",
    "spends": f"{AT_ONCE} pictures at once",
}


def _let_run(shop: Workshop, name: str) -> None:
    shop.heading(f"{name}: {_HEADINGS[name]}")
    shop.run(*_command(name), "-q")


def _spends(shop: Workshop, story: Story, services: Services) -> tuple[int, bool]:
    """The one that spends: killed twice, where scripts think. Calls in flight at the second kind of death; whether both were."""
    shop.heading(f"spends: {_HEADINGS['spends']}")
    if shop.model is not None:
        shop.run(*_command("spends"), "-q")
        return 0, False
    in_flight, killed = 0, True
    for service in story.kills:
        services.hold(service, "scripted:spends" if service == "models" else "spends", seconds=HOLD_SECONDS)
        worker = shop.start(*_command("spends"), "-q")
        if not shop.until_held(services, service, worker):
            return in_flight, False
        held = fold(shop.histories()["spends"]).reserved
        reserved = sum((each.cost_usd for each in held.values()), Decimal(0))
        if service == "models":
            shop.note(f"the provider has charged an answer, which is not out yet; {dollars(reserved)} are reserved for it")
        else:
            in_flight = len(held)
            shop.note(f"{in_flight} pictures are in flight, the first one is charged; {dollars(reserved)} are reserved for them")
        killed = shop.kill(worker) and killed
        shop.note("now the very same command once more")
    shop.run(*_command("spends"), "-q")
    return in_flight, killed


# --- what is shown of it ------------------------------------------------------------------------------------------


def _timelines(shop: Workshop, seen: Seen) -> None:
    for name in NAMES:
        shop.heading(f"{name}, entry by entry")
        entries = seen.histories.get(name, [])
        lines: list[tuple[float, str]] = []
        for number, entry in enumerate(entries):
            if isinstance(entry.event, e.RunResumed):
                if any(isinstance(before.event, e.ProposalRequested) for before in entries[:number]):
                    lines.append((entry.at - entries[0].at, "---- the worker was killed; the next one goes on ----"))
            elif words := told(entry.event):
                lines.append((entry.at - entries[0].at, words))
        lines = _folded(lines)
        left_out = range(LINES_MAX // 2, len(lines) - LINES_MAX // 2)
        for number, (at, words) in enumerate(lines):
            if number not in left_out:
                shop.entry(at, words)
            elif number == left_out[0]:
                shop.line(f"          … {len(left_out)} more entries …")


def _folded(lines: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Of entries in a row that say the same of several steps, one, with how many there are."""
    found: list[tuple[float, str]] = []
    for _, group in itertools.groupby(lines, lambda line: _of_a_step(line[1])):
        (at, words), *others = group
        step, _, said = words.partition(": ")
        if said.startswith("done in ") and others:
            said = "done"
        found.append((at, f"{step} and {len(others)} more: {said}" if others else words))
    return found


def _of_a_step(words: str) -> str:
    """What an entry says of a step, without its name and how long it took."""
    step, _, said = words.partition(": ")
    if " " in step:
        return words
    return "done" if said.startswith("done in ") else said


def _table(shop: Workshop, seen: Seen) -> None:
    shop.heading("What each did, and where it stopped")
    rows: list[Sequence[object]] = [("", "turns", "plans", "calls", "refused", "done", "charged", "counted", "limit")]
    for name in NAMES:
        events = [entry.event for entry in seen.histories.get(name, ())]
        state = state_of(seen, name)
        if state is None:
            continue
        rows.append(
            (
                name,
                state.turn,
                state.revision,
                sum(isinstance(event, e.CallIntended) for event in events),
                sum(isinstance(event, e.CallRefused) for event in events),
                len(done(seen.ledger, name)),
                f"${charged(seen.ledger, name):.6f}",
                f"${state.spent.cost_usd:.6f}",
                f"${BUDGET}",
            )
        )
    shop.table(rows)
    shop.say("")
    shop.paragraph(
        "", "done, charged: by the ledger. counted: by the run; an answer that was lost counts with all that was held for it."
    )
    shop.heading("Why each stopped, and what is kept")
    for name in NAMES:
        entries = seen.histories.get(name)
        shop.paragraph(f"{name:<9} ", (told(entries[-1].event) if entries else None) or "it did not end")
        shop.paragraph("          kept: ", _kept(seen, name))


def _kept(seen: Seen, name: str) -> str:
    rows = done(seen.ledger, name)
    if not rows:
        return "nothing was done"
    if name == "spends":
        sizes = [row["detail"]["size"] for row in rows]
        counted = ", ".join(f"{sizes.count(size)} {size}" for size in dict.fromkeys(sizes))
        return f"{len(rows)} pictures ({counted})"
    words = {"refunds": "order", "notes": "text", "tables": "guests"}
    return "; ".join(f"{row['service']} {row['action']}: {row['detail'][words[row['service']]]}" for row in rows)
