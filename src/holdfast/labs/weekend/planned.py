"""The driver of the lab `weekend` where a model plans: one weekend, planned, planned again, and recommended."""

from pathlib import Path

from holdfast.core import events as e
from holdfast.core.budget import dollars
from holdfast.core.evolve import fold
from holdfast.labs.services import Services, start_services
from holdfast.labs.weekend.check import EFFECTS, Seen, check_planned, effects
from holdfast.labs.weekend.story import HOURS_MAX, SCRIPT, Story, story_of
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import told

FILES = ("agents.py",)
HOLD_SECONDS = 12.0
"""Less than the tools wait, and far more than it takes to kill a process."""

_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool, model: str | None) -> int:
    """Run it and print it; 0 when world and run are as they must be, else 1. model: None for the script."""
    story = story_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep, model=model) as shop:
        shop.title("weekend", seed, thinks=True)
        _introduce(shop, story)
        with start_services("weekend", shop.world, story.faults, seed=seed) as services:
            were_killed = _plan(shop, story, services)
            requests = shop.requests_of(services)
            seen = Seen(
                ledger=services.ledger(),
                requests=requests,
                histories=shop.histories(),
                flights_tried={story.planned.run_id: sum(row["path"] == "/flights" for row in requests)},
                were_killed=were_killed,
            )
        _timeline(shop, story, seen)
        _plans(shop, story, seen)
        _world(shop, story, seen)
        problems = check_planned(story, seen, model)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS if model is None else _CLAIMS_OF_A_MODEL, problems)


_CLAIMS = (
    "Read from the services' ledger: one room and one train ticket, for the town that had room, though the worker was killed "
    "with SIGKILL in the middle of a booking, and while the model was asked. The plan was made anew where the world was not as "
    "it was thought to be, and nothing of it was done twice. The recommendation rests on what was booked, and names what was "
    "replaced and skipped. The provider charged no more than the run counted, nor than it may spend.",
)
_CLAIMS_OF_A_MODEL = (
    "Read from the services' ledger: at most one room and one ticket; what is recommended, if anything is, is booked, and it "
    "names what was replaced and skipped. The run counted no more than it may spend.",
)


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: five services on loopback, in a process of their own; and who plans")
    shop.say(
        f"  towns       those within {HOURS_MAX} hours, the nearest first",
        f"  hotels      know no keys, but can be asked for a guest's rooms; {story.full}, the nearest, is full",
        "  flights     answer 503, always",
        "  trains      drop a request whose key they have seen; a ticket cannot be given back",
        "  activities  there are none, anywhere",
        "",
        "What plans is "
        + (f"{shop.model}." if shop.model else "a script, which knows of no trouble beforehand and reads what it is told."),
        f"agents.py and the store are in {shop.directory}",
    )


def _plan(shop: Workshop, story: Story, services: Services) -> bool:
    """The weekend, from its start to its end; whether its worker was killed both times."""
    weekend = story.planned
    command = ("run", weekend.plan, "--input", f"guest={weekend.guest}", "--id", weekend.run_id, "--db", STORE, "--lease", "1")
    shop.heading(f"{weekend.guest}: planned by {shop.model or 'a script'}")
    killed = True
    kills = ((story.kill_at, weekend.guest), ("models", SCRIPT))
    for service, subject in kills if shop.model is None else kills[:1]:
        services.hold(service, subject, seconds=HOLD_SECONDS)
        worker = shop.start(*command)
        if not shop.until_held(services, service, worker):
            return False
        what = "an answer of the model is charged" if service == "models" else "a booking is made"
        shop.note(f"{what}; it has not left the service")
        killed = shop.kill(worker) and killed
        shop.note("now the very same command once more")
    shop.run(*command)
    return killed


def _timeline(shop: Workshop, story: Story, seen: Seen) -> None:
    weekend = story.planned
    shop.heading(f"{weekend.run_id}, entry by entry")
    entries = seen.histories.get(weekend.run_id, [])
    for number, entry in enumerate(entries):
        if isinstance(entry.event, e.RunResumed):
            if any(isinstance(before.event, e.CallIntended) for before in entries[:number]):
                shop.line("        ---- the worker was killed; the next one goes on ----")
        elif words := told(entry.event):
            shop.entry(entry.at - entries[0].at, words)


def _plans(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading("The plans, and why each was made")
    for entry in seen.histories.get(story.planned.run_id, ()):
        if isinstance(entry.event, e.PlanAdopted):
            steps = ", ".join(step.id for step in entry.event.plan.steps)
            shop.paragraph(f"{entry.event.revision}  ", f"{steps} ({entry.event.reason or 'no reason is given'})")


def _world(shop: Workshop, story: Story, seen: Seen) -> None:
    weekend = story.planned
    shop.heading("The world: the services' own ledger, how often each thing happened")
    counted = effects(seen.ledger, weekend)
    answers = sum(row["service"] == "models" for row in seen.ledger)
    head = ("guest", *EFFECTS, "flights tried", "answers charged")
    row = (weekend.guest, *(counted[effect] for effect in EFFECTS), seen.flights_tried[weekend.run_id], answers)
    shop.table([head, row])
    if entries := seen.histories.get(weekend.run_id):
        state = fold(entries)
        allowed = state.limits.cost_usd_max
        shop.line(
            f"the run counted {dollars(state.spent.cost_usd)} of {dollars(allowed) if allowed is not None else 'any amount'}"
        )
        end = entries[-1].event
        if isinstance(end, e.RunCompleted) and isinstance(end.result, dict):
            shop.heading("The recommendation")
            for part in ("text", "replaced", "skipped"):
                value = end.result.get(part, "")
                shop.paragraph(f"{part:<9} ", "; ".join(map(str, value)) if isinstance(value, list) else str(value))
