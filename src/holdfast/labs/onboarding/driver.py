"""The driver of the lab `onboarding`: start the services, run the hires, kill the worker, start it again, look at the world.

`check` decides how it ended. It counts effects in the services' own ledger; of holdfast it takes only how each run was
left.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.labs.onboarding.check import SERVICES, Seen, check, deliveries, deliveries_expected, effects
from holdfast.labs.onboarding.story import KILL_MAILBOX_SECONDS, SLOW_MAILBOX_SECONDS, Hire, Story, story_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.workshop import STORE, Worker, Workshop
from holdfast.views import told

FILES = ("plan.yaml", "tools.py", "hires.csv")
COMMAND = ("run", "plan.yaml", "--each", "hires.csv", "--as", "hire", "--id", "hire-{user}", "--db", STORE, "--lease", "2")

DELIVERIES_SECONDS_MAX = 20.0
"""How long to wait for what the background check still has to bring: each delivery is a process of its own."""

_HERE = Path(__file__).parent
_EFFECTS = {
    "mailbox": "the mailbox is made",
    "vpn": "VPN access is granted",
    "orders": "the shop has taken the order",
    "mail": "the welcome mail is delivered",
}


def run(*, directory: Path | None, seed: int, keep: bool) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1."""
    story = story_of(seed, _HERE / "hires.csv")
    with Workshop(_HERE, FILES, directory=directory, keep=keep) as shop:
        shop.title("onboarding", seed)
        _introduce(shop, story)
        with start_services("onboarding", shop.world, story.faults, seed=seed) as services:
            was_killed = _work_and_die(shop, story, services)
            was_late = _bring_late(shop, story, services)
            _go_on(shop)
            _until(lambda: _all_brought(story, services), DELIVERIES_SECONDS_MAX)
            seen = Seen(
                ledger=services.ledger(),
                requests=shop.requests_of(services),
                histories=shop.histories(),
                was_killed=was_killed,
                was_late=was_late,
            )
        _timelines(shop, story, seen)
        _doubts(shop, story, seen)
        _brought(shop, story, seen)
        _world(shop, story, seen)
        _person(shop, story)
        # A run in there waits for a person, or something went wrong and its journal says what.
        shop.keep = True
        return shop.verdict(_CLAIMS, check(story, seen))


_CLAIMS = (
    "Read from the services' ledger: each hire has one mailbox, one VPN grant, one welcome mail, one background check and at "
    "most one laptop, and nobody else has anything. The worker was killed with SIGKILL between an effect and its record, and "
    "the order whose answer was lost was made once. What the background check brought was taken once, early or late, and "
    "refused the second time. All runs are completed but two, which ask a person: one has all but the laptop, one all but the "
    "check.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: five services on loopback, in a process of their own")
    shop.say(
        "  mailbox     drops a request whose key it has seen",
        "  vpn         answers 503 to the first two requests for each hire, then works",
        "  orders      a laptop shop that knows no keys, but can be asked for a hire's orders;",
        f"              it takes the order for {story.lost.name} and never answers; for {story.down.name} it is down",
        "  mail        real SMTP; what is sent twice arrives twice; there is a log of what was sent",
        "  background  takes a request at once, and brings its result later, by `holdfast callback`;",
        f"              for {story.early.name} before the request is answered, for {story.late.name} when the worker",
        f"              is dead, for {story.twice.name} twice, for {story.silent.name} never",
        "",
        f"The plan, its tools and {len(story.hires)} hires are in {shop.directory}",
    )


def _work_and_die(shop: Workshop, story: Story, services: Services) -> bool:
    """Start the worker and kill it between an effect and its answer; whether it came to that."""
    shop.heading("A worker takes them on")
    if story.kill_at == "mailbox":
        services.hold("mailbox", story.killed.user, seconds=KILL_MAILBOX_SECONDS)
    else:
        services.hold("mailbox", story.killed.user, seconds=SLOW_MAILBOX_SECONDS)
        services.hold(story.kill_at, story.kill_subject, seconds=30.0)
    worker = shop.start(*COMMAND)
    _watch_the_lost_order(shop, story, services, worker)
    # What is to come late must have been asked for.
    _until(lambda: effects(services.ledger(), story.late)["background"] or worker.has_ended(), 5.0)
    if not shop.until_held(services, story.kill_at, worker):
        return False
    shop.note(f"{_EFFECTS[story.kill_at]} for {story.killed.name}; the answer has not left the service")
    was_killed = shop.kill(worker)
    _open_calls(shop, story)
    return was_killed


def _watch_the_lost_order(shop: Workshop, story: Story, services: Services, worker: Worker) -> None:
    """Wait, within reason, until the lost order was looked up: it is to be the time-out that lost it, not the kill."""
    lost = story.lost
    if _until(lambda: effects(services.ledger(), lost)["orders"] or worker.has_ended(), 10.0):
        shop.note(f"the shop has taken the order for {lost.name}, and keeps silent")
    if _until(lambda: _looked_up(services, lost) or worker.has_ended(), 5.0):
        shop.note(f"the worker has given up waiting, and asks for the orders of {lost.name} instead of ordering again")


def _looked_up(services: Services, hire: Hire) -> bool:
    return any(row["path"] == f"/orders?for={hire.user}" and row["status"] == 200 for row in services.requests())


def _open_calls(shop: Workshop, story: Story) -> None:
    histories = shop.histories()
    names = [
        f"{hire.name}: {name}"
        for hire in story.hires
        if (entries := histories.get(hire.run_id))
        for name, step in ((name, fold(entries).steps[name]) for name in fold(entries).order)
        if step.phase == "flying"
    ]
    shop.note("the worker is gone. Begun, and nobody wrote down what came of it: " + ("; ".join(names) or "nothing"))


def _bring_late(shop: Workshop, story: Story, services: Services) -> bool:
    """The background check that comes while nobody is there; whether it was taken."""
    try:
        code, said = services.deliver(story.late.user)
    except RuntimeError as error:
        shop.note(f"the background check of {story.late.name} cannot be brought: {error}")
        return False
    shop.note(f"nobody is there, and the background check of {story.late.name} is brought: {said}")
    return code == 0


def _all_brought(story: Story, services: Services) -> bool:
    ledger = services.ledger()
    return all(deliveries(ledger, hire) >= Counter(deliveries_expected(story, hire)) for hire in story.hires)


def _go_on(shop: Workshop) -> None:
    shop.heading("The very same command once more")
    worker = shop.start(*COMMAND)
    shop.note("the claims of the dead worker run out in two seconds at most; then this one takes over")
    code = shop.follow(worker)
    shop.note(f"it ended with exit code {code}" + (", which means that a person is asked" if code == 3 else ""))


def _until(look: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# --- what is shown of it ------------------------------------------------------------------------------------------


def _timelines(shop: Workshop, story: Story, seen: Seen) -> None:
    for hire, why in ((story.killed, "whose worker was killed"), (story.lost, "whose order was never answered")):
        shop.heading(f"{hire.run_id}, {why}")
        entries = seen.histories.get(hire.run_id, [])
        workers = 0
        for entry in entries:
            if isinstance(entry.event, e.RunResumed):
                workers += 1
                if workers > 1:
                    shop.line("        ---- the worker was killed; the next one goes on ----")
            elif words := told(entry.event):
                shop.entry(entry.at - entries[0].at, words)
        shop.say("", "  entry by entry:", f"  {shop.pasted('show', hire.run_id, '--events')}")


def _doubts(shop: Workshop, story: Story, seen: Seen) -> None:
    """Every call of which nobody knew whether it had happened, and what settled it."""
    shop.heading("Calls of which nobody knew whether they had happened, and what settled them")
    for hire in story.hires:
        doubts: dict[str, str] = {}
        for entry in seen.histories.get(hire.run_id, ()):
            match entry.event:
                case e.CallUnknown(step=step, why=why):
                    doubts[step] = why
                case e.RecoveryRuled(step=step, action="repeat" | "take" | "ask", reason=reason, row=row) if step in doubts:
                    shop.line(f"{hire.name}, {step}: {doubts.pop(step)}")
                    shop.line(f"    {reason} [{row}]")
                case _:
                    pass


def _brought(shop: Workshop, story: Story, seen: Seen) -> None:
    """What the background check brought back, as its own ledger has it."""
    shop.heading("What the background check brought back, and what it was told")
    when = {story.early: "early", story.late: "late", story.twice: "twice", story.silent: "never"}
    rows: list[Sequence[object]] = [("hire", "brought", "taken", "refused", "")]
    for hire in story.hires:
        counted = deliveries(seen.ledger, hire)
        refusals = [row["detail"]["said"] for row in seen.ledger if row["subject"] == hire.user and row["action"] == "refused"]
        said = refusals[0].rpartition(": ")[2] if refusals else ""
        rows.append((hire.name, when.get(hire, "in time"), counted["delivered"], counted["refused"], said))
    shop.table(rows)


def _world(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading("The world: the services' own ledger, how often each thing happened")
    rows: list[Sequence[object]] = [("hire", *SERVICES)]
    for hire in story.hires:
        counted = effects(seen.ledger, hire)
        rows.append((f"{hire.name}", *(counted[service] for service in SERVICES)))
    rows.append(("all rows", *(sum(row["service"] == service for row in seen.ledger) for service in SERVICES)))
    shop.table(rows)


def _person(shop: Workshop, story: Story) -> None:
    down, silent = story.down, story.silent
    shop.heading(f"{down.name} and {silent.name} wait for a person: all is done but the laptop, or the check")
    shop.run("show", down.run_id, "--db", STORE)
    shop.run("show", silent.run_id, "--db", STORE)
    by_hand = json.dumps({"id": "bought by hand", "model": down.laptop})
    on_paper = json.dumps({"cleared": True, "report": "on paper"})
    shop.say(
        "",
        "To say that the laptop was bought by hand, that the check came on paper, and let the runs end:",
        f"  {shop.pasted('answer', down.run_id, 'respond', by_hand, '--by', 'YOUR NAME')}",
        f"  {shop.pasted('answer', silent.run_id, 'respond', on_paper, '--by', 'YOUR NAME')}",
        f"  {shop.pasted('run', str(shop.directory / 'plan.yaml'), '--id', down.run_id)}",
        f"  {shop.pasted('run', str(shop.directory / 'plan.yaml'), '--id', silent.run_id)}",
    )
