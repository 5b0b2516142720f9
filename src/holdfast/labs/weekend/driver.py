"""The driver of the lab `weekend`: three weekends away, planned while services are down, full, and of no use.

`check` decides how it ended. It counts bookings in the services' own ledger; of holdfast it takes how each run was left.
"""

from collections.abc import Sequence
from pathlib import Path

from holdfast.core import events as e
from holdfast.labs.reasoning import model_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.weekend import planned
from holdfast.labs.weekend.check import EFFECTS, Seen, check, effects
from holdfast.labs.weekend.story import HOURS_MAX, Story, Weekend, story_of
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import told

FILES = ("plan.yaml", "fallback.yaml", "tools.py")
HOLD_SECONDS = 12.0
"""Less than the tools wait, and far more than it takes to kill a process, or to ask a run to end."""

_HERE = Path(__file__).parent
_EFFECTS = {"hotels": "the room is booked", "trains": "the ticket is sold"}


def run(*, directory: Path | None, seed: int, keep: bool, model: str | None = None) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. model: what plans in place of the plan files,
    `scripted` for a script. UsageError for one that cannot be asked here."""
    if model is not None:
        return planned.run(directory=directory, seed=seed, keep=keep, model=model_of(model))
    story = story_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep) as shop:
        shop.title("weekend", seed)
        _introduce(shop, story)
        tried: dict[str, int] = {}
        with start_services("weekend", shop.world, story.faults, seed=seed) as services:
            was_killed = _first(shop, story, services)
            tried[story.first.run_id] = _flights(services)
            _second(shop, story)
            tried[story.second.run_id] = _flights(services) - sum(tried.values())
            was_killed = _third(shop, story, services) and was_killed
            tried[story.third.run_id] = _flights(services) - sum(tried.values())
            seen = Seen(
                ledger=services.ledger(),
                requests=shop.requests_of(services),
                histories=shop.histories(),
                flights_tried=tried,
                were_killed=was_killed,
            )
        _timelines(shop, story, seen)
        _world(shop, story, seen)
        problems = check(story, seen)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS, problems)


_CLAIMS = (
    "Read from the services' ledger: each guest has one room and one train ticket, for the town that had room; the third "
    "guest's room was given back, once. Both workers were killed with SIGKILL between an effect and its record. The "
    "recommendations rest on what was booked, and name what was replaced and skipped. After the first run nobody tried to fly. "
    "The ticket, which cannot be taken back, is named.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: five services on loopback, in a process of their own")
    shop.say(
        f"  towns       those within {HOURS_MAX} hours, the nearest first",
        f"  hotels      know no keys, but can be asked for a guest's rooms; {story.full}, the nearest, is full",
        "  flights     answer 503, always",
        "  trains      drop a request whose key they have seen; a ticket cannot be given back",
        "  activities  there are none, anywhere",
        "",
        f"The plans and their tools are in {shop.directory}",
    )


def _command(weekend: Weekend) -> tuple[str, ...]:
    who = ("--input", f"guest={weekend.guest}", "--id", weekend.run_id)
    return ("run", weekend.plan, *who, "--db", STORE, "--lease", "1")


def _first(shop: Workshop, story: Story, services: Services) -> bool:
    """A weekend whose worker is killed in the middle of a booking; whether it was."""
    shop.heading(f"{story.first.guest}: the train stands in for the flight (plan.yaml)")
    was_killed = _killed_at(shop, story, services, story.first)
    shop.note("now the very same command once more")
    shop.run(*_command(story.first))
    return was_killed


def _killed_at(shop: Workshop, story: Story, services: Services, weekend: Weekend) -> bool:
    services.hold(story.kill_at, weekend.guest, seconds=HOLD_SECONDS)
    worker = shop.start(*_command(weekend))
    if not shop.until_held(services, story.kill_at, worker):
        return False
    shop.note(f"{_EFFECTS[story.kill_at]}; the answer has not left the service")
    return shop.kill(worker)


def _second(shop: Workshop, story: Story) -> None:
    shop.heading(f"{story.second.guest}: the train as a fallback (fallback.yaml); nobody tries to fly any more")
    shop.run("gates", "--db", STORE)
    shop.run(*_command(story.second))


def _third(shop: Workshop, story: Story, services: Services) -> bool:
    """A weekend that is cancelled; whether its worker was killed while the room was being given back."""
    weekend = story.third
    shop.heading(f"{weekend.guest}: cancelled when all is booked, and taken back (on_stop: undo)")
    services.hold("trains", weekend.guest, seconds=HOLD_SECONDS)
    worker = shop.start(*_command(weekend))
    if not shop.until_held(services, "trains", worker):
        return False
    shop.note("room and ticket are booked; the answer to the ticket is still on its way")
    shop.run("cancel", weekend.run_id, "--reason", "it will rain", "--by", weekend.guest, "--db", STORE)
    services.hold("hotels", weekend.guest, seconds=HOLD_SECONDS)
    services.release()
    if not shop.until_held(services, "hotels", worker):
        return False
    shop.note("the room is given back; the answer has not left the service")
    was_killed = shop.kill(worker)
    shop.note("now the very same command once more")
    shop.run(*_command(weekend))
    return was_killed


def _flights(services: Services) -> int:
    return sum(row["path"] == "/flights" for row in services.requests())


# --- what is shown of it ------------------------------------------------------------------------------------------


def _timelines(shop: Workshop, story: Story, seen: Seen) -> None:
    for weekend in story.weekends:
        shop.heading(f"{weekend.run_id}, entry by entry")
        entries = seen.histories.get(weekend.run_id, [])
        workers = 0
        for entry in entries:
            if isinstance(entry.event, e.RunResumed):
                workers += 1
                if workers > 1:
                    shop.line("        ---- the worker was killed; the next one goes on ----")
            elif words := told(entry.event):
                shop.entry(entry.at - entries[0].at, words)


def _world(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading("The world: the services' own ledger, how often each thing happened")
    rows: list[Sequence[object]] = [("guest", *EFFECTS, "flights tried")]
    for weekend in story.weekends:
        counted = effects(seen.ledger, weekend)
        rows.append((weekend.guest, *(counted[effect] for effect in EFFECTS), seen.flights_tried[weekend.run_id]))
    shop.table(rows)
