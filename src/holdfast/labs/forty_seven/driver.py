"""The driver of the lab `forty_seven`: an agent that is woken 47 times, and may mail once.

`check` decides how it ended. It counts mails in the mail service's own ledger; of holdfast it takes what each wake-up came to.
"""

import csv
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.labs.forty_seven.agents import VISIBLE_WITHIN
from holdfast.labs.forty_seven.check import Seen, check, mails, reused, suppressed, wake_ups
from holdfast.labs.forty_seven.naive import wake_up
from holdfast.labs.forty_seven.story import DELAY_SECONDS, WAKE_UPS, Customer, Story, run_id, story_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.ledger import LedgerRow
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import told

FILES = ("agents.py", "customers.csv")
PERSON = "Ada (driver of the lab)"
HOLD_SECONDS = 12.0
"""Less than the tool waits, and far more than it takes to kill a process."""
NAIVE_DELAY_SECONDS = 60.0

LINES_MAX = 14
"""Of a timeline, before it is cut."""

END_SECONDS_MAX = 60.0
"""How long to wait for what is owed to be seen, or to be over: some times VISIBLE_WITHIN."""

WORK = ("work", "agents.py:follow_up", "agents.py:in_turns", "--db", STORE, "--lease", "1")

_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1."""
    story = story_of(seed, _HERE / "customers.csv")
    with Workshop(_HERE, FILES, directory=directory, keep=keep) as shop:
        shop.title("forty_seven", seed)
        _introduce(shop, story)
        naive = _naive(shop, story, seed)
        with start_services("forty_seven", shop.world, story.faults, seed=seed) as services:
            were_killed = _wake_and_kill(shop, story, services)
            _wake_on(shop, story)
            _see_through(shop, story, services)
            seen = Seen(
                ledger=services.ledger(),
                naive=naive,
                requests=shop.requests_of(services),
                histories=shop.histories(),
                were_killed=were_killed,
            )
        _timelines(shop, story, seen)
        _world(shop, story, seen)
        problems = check(story, seen)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS, problems)


_CLAIMS = (
    f"Read from the mail service's ledger: woken {WAKE_UPS} times for each customer, the agent sent one mail; none to the one "
    "who had answered, and a second one, under a key of its own, to the one whose mail never showed. For the key account a "
    "person was asked instead. Workers were killed with SIGKILL in the middle of a mail, and while mails were out and not to be "
    f"seen. The plain function, let loose upon the same services, sent {WAKE_UPS} to each but the one who had answered.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: two services on loopback, in a process of their own")
    shop.say(
        "  mail  sends what it is told to, as often as it is told to",
        f"  CRM   shows a mail {DELAY_SECONDS:g} s after it was sent; the first one to {story.unseen.name}, and the one to",
        f"        {story.unseen_key.name}, a key account, it never shows. {story.answered.name} has answered already",
        "",
        "The agent looks into the CRM, and mails a customer where it shows neither an answer nor a mail.",
        f"It reckons with {VISIBLE_WITHIN} until a mail shows. agents.py and the store are in {shop.directory}",
    )


def _naive(shop: Workshop, story: Story, seed: int) -> list[LedgerRow]:
    """The plain function in a world of its own; the ledger of that."""
    shop.heading(f"First, for comparison: a plain function, woken {WAKE_UPS} times")
    # All its wake-ups come before the CRM shows anything, however slow the machine is.
    faults = {**story.faults, "crm_delay_seconds": NAIVE_DELAY_SECONDS}
    with start_services("forty_seven", shop.directory / "naive", faults, seed=seed) as services:
        for _ in range(WAKE_UPS):
            for customer in story.customers:
                wake_up(services.http, customer.name)
        ledger = services.ledger()
    sent = ", ".join(f"{customer.name} {len(mails(ledger, customer))}" for customer in story.customers)
    shop.note(f"the CRM there is a minute behind. Mails in the ledger: {sent}")
    return ledger


def _each(table: str, name: str) -> tuple[str, ...]:
    # Patience is short: a wake-up looks, does what there is to do, and leaves what takes time to a worker.
    how = ("--as", "customer", "--id", name, "--patience", "200ms", "--db", STORE, "--lease", "1")
    return ("run", "agents.py:follow_up", "--each", table, *how)


def _wake_and_kill(shop: Workshop, story: Story, services: Services) -> bool:
    """The first two wake-ups, and three deaths; whether they were deaths."""
    shop.heading("Wake-up 1: killed in the middle of a mail")
    services.hold("mail", story.killed.name, seconds=HOLD_SECONDS)
    worker = shop.start(*_each("customers.csv", "wake-01-{name}"))
    if not shop.until_held(services, "mail", worker):
        return False
    # Only this one is to be in doubt: the others' mails are written down by now, or nearly.
    _until(lambda: all(_is_written(shop, run_id(1, one)) for one in story.customers if one != story.killed), HOLD_SECONDS / 2)
    shop.note(f"the mail to {story.killed.name} is out; the answer has not left the service")
    was_killed = shop.kill(worker)
    shop.heading("A worker goes on; wake-up 2 comes")
    worker, turns = shop.start(*WORK), shop.start(*_turns(story))
    _until(lambda: all(mails(services.ledger(), one) for one in story.everybody if story.mails_expected(one)), 10.0)
    shop.note("every customer has their mail, and the CRM shows none of them")
    shop.run(*_each("customers.csv", "wake-02-{name}"))
    shop.note("both workers are killed, while all that is owed is still to come")
    return all([shop.kill(worker), shop.kill(turns), was_killed])


def _is_written(shop: Workshop, name: str) -> bool:
    """Whether a wake-up's mail, if it sent one, is in its journal."""
    return any(
        isinstance(entry.event, e.RunCompleted) or (isinstance(entry.event, e.CallSucceeded) and entry.event.step == "mail")
        for entry in shop.histories().get(name, ())
    )


def _turns(story: Story) -> tuple[str, ...]:
    customer = json.dumps({"name": story.in_turns.name, "tier": story.in_turns.tier})
    inputs = ("--input", f"customer={customer}", "--input", f"times={WAKE_UPS}")
    return ("run", "agents.py:in_turns", *inputs, "--id", f"turns-{story.in_turns.name}", "--db", STORE, "--lease", "1")


def _wake_on(shop: Workshop, story: Story) -> None:
    """All other wake-ups but the last, at once: none of them waits for another."""
    shop.heading(f"Wake-ups 3 to {WAKE_UPS - 1}")
    with (shop.directory / "wake-ups.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("number", "name", "tier"))
        for number in range(3, WAKE_UPS):
            table.writerows((f"{number:02d}", one.name, one.tier) for one in story.customers)
    worker = shop.start(*_each("wake-ups.csv", "wake-{number}-{name}"), "-q")
    _until(worker.has_ended, END_SECONDS_MAX)
    counted = ", ".join(f"{number} {word}" for word, number in sorted(_statuses(shop).items()))
    shop.note(f"all runs so far: {counted}")


def _statuses(shop: Workshop) -> dict[str, int]:
    counted: dict[str, int] = {}
    for entries in shop.histories().values():
        word = fold(entries).ended or "still owed something"
        counted[word] = counted.get(word, 0) + 1
    return counted


def _see_through(shop: Workshop, story: Story, services: Services) -> None:
    """A worker waits for what is owed; the last wake-up comes after the deadline; a person is asked."""
    shop.heading("What is owed, and what becomes of it")
    shop.run("pending", "--db", STORE)
    worker = shop.start(*WORK)
    _until(lambda: (_has_asked(shop) and len(mails(services.ledger(), story.unseen)) > 1) or worker.has_ended(), END_SECONDS_MAX)
    shop.note(f"the deadline is over: {story.unseen.name} got a second mail, and a person is asked about {story.unseen_key.name}")
    shop.run(*_each("customers.csv", f"wake-{WAKE_UPS}-{{name}}"))
    _answer(shop, story, services)
    _until(lambda: _all_ended(shop) or worker.has_ended(), END_SECONDS_MAX)
    shop.note("nothing is owed any more")
    worker.end()


def _answer(shop: Workshop, story: Story, services: Services) -> None:
    """The person. In this lab it is the driver, and the journal says so."""
    asking = next((name for name, entries in shop.histories().items() if fold(entries).interrupts), None)
    if asking is None:
        shop.note("nobody asks")
        return
    shop.run("show", asking, "--db", STORE)
    sent = mails(services.ledger(), story.unseen_key)
    shop.note(f"the person looks into the sent log of the mail service; mails to {story.unseen_key.name} there: {len(sent)}")
    value = json.dumps({"id": sent[0]["detail"]["id"]}) if sent else "null"
    shop.run("answer", asking, "respond", value, "--by", PERSON, "--note", "it is in the sent log", "--db", STORE)


def _has_asked(shop: Workshop) -> bool:
    return any(fold(entries).interrupts for entries in shop.histories().values())


def _all_ended(shop: Workshop) -> bool:
    return all(fold(entries).ended for entries in shop.histories().values())


def _until(look: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# --- what is shown of it ------------------------------------------------------------------------------------------


def _timelines(shop: Workshop, story: Story, seen: Seen) -> None:
    shown = (
        (run_id(1, story.killed), "whose worker was killed in the middle of the mail"),
        (run_id(2, story.killed), "the next wake-up for the same customer"),
        (f"turns-{story.in_turns.name}", f"whose plan is to look and to mail in turns, {WAKE_UPS} times"),
        (run_id(1, story.unseen), "whose first mail never showed"),
        (run_id(1, story.unseen_key), "whose mail never showed, to a key account"),
    )
    for name, why in shown:
        shop.heading(f"{name}, {why}")
        entries = seen.histories.get(name, [])
        lines = [line for entry in entries if (line := _line(entry, entries[0].at)) is not None]
        for at, words in [*lines[:LINES_MAX], *lines[max(LINES_MAX, len(lines) - 1) :]]:
            shop.entry(at, words)
        if len(lines) > LINES_MAX + 1:
            shop.line(f"          and {len(lines) - LINES_MAX - 1} more entries before the last one")


def _line(entry: Entry, started_at: float) -> tuple[float, str] | None:
    """An entry as it is shown; nothing for the looks that saw nothing, of which there are many."""
    match entry.event:
        case e.RunResumed() | e.ProbeIntended() | e.ProbeAnswered(verdict="not_yet") | e.RecoveryRuled(action="probe"):
            return None
        case event:
            words = told(event)
            return None if words is None else (entry.at - started_at, words)


def _world(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading(f"The world: mails in the ledger, and what {WAKE_UPS} wake-ups came to")
    rows: list[Sequence[object]] = [("customer", "mails", "keys", "mailed", "suppressed", "nothing to do", "plain function")]
    for customer in story.customers:
        counted = wake_ups(story, seen, customer)
        came_to = (counted["mailed"], counted["suppressed"], counted["nothing to do"])
        rows.append((customer.name, *_mailed(seen, customer), *came_to, len(mails(seen.naive, customer))))
    shop.table(rows)
    turns = seen.histories.get(f"turns-{story.in_turns.name}", [])
    sent, keys = _mailed(seen, story.in_turns)
    shop.line(f"{story.in_turns.name}: {WAKE_UPS} mails planned in one run, {sent} sent under {keys} key;")
    shop.line(f"    {suppressed(turns)} suppressed while it was owed, {reused(turns)} the same as the first when it was seen")
    every = sum(suppressed(entries) for entries in seen.histories.values())
    shop.line(f"in all {every} follow-ups were suppressed, each an entry in its journal")


def _mailed(seen: Seen, customer: Customer) -> tuple[int, int]:
    sent = mails(seen.ledger, customer)
    return len(sent), len({row["key"] for row in sent})
