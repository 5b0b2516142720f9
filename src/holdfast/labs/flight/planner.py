"""What the scripts of the lab `flight` think: one has seen where somebody flew before, the other books what half a sentence asks
for.

The second one says what it does not know and what it takes instead; lists what fits; asks which one; and books that. Where
something is not so any more it releases what it holds for it, and lists anew. It is a function of what it is told, so that
whoever asks it again, in whichever process, gets the same.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from holdfast.reasoners.model import Request
from holdfast.testing.models import Said, call, called, results, think, told

AIRPORTS = ["JFK", "LGA", "EWR"]


def habits(request: Request) -> Said:
    """Twice the same airport makes a habit."""
    if not called(request, "read_past_flights"):
        return call("read_past_flights", traveller=_inputs(request)["traveller"])
    said = json.loads(results(request)[0][1])
    airport = said["result"][-1]["airport"]
    fact = {
        "name": "airport",
        "value": airport,
        "confidence": 0.8,
        "basis": f"flew to {airport} the last {len(said['result'])} times",
        "rests_on": [f"steps.{said['step']}"],
    }
    return [call("note_facts", facts=[fact]), call("finish_run", result=f"Flies to {airport}.")]


def booker(request: Request) -> Said:
    """See the module's text."""
    if not called(request, "interpret_goal"):
        known = [{"name": "to", "value": "NYC", "quote": "to NYC"}, {"name": "day", "value": "tomorrow", "quote": "tomorrow"}]
        return call("interpret_goal", intent="one flight to New York, tomorrow; it is not said from where", known=known)
    seen = _seen(request)
    if "calendar" not in seen.said:
        step = {"tool": "read_calendar", "args": {"traveller": _ref("inputs.traveller")}}
        return call("make_plan", steps={"calendar": step}, reason="from where is not said: where is the traveller today?")
    if "origin" not in seen.facts:
        return _ask_or_infer(seen)
    if "booking" in seen.kinds_done:
        return _end(seen)
    if not seen.number or f"shortlist_{seen.number}" in seen.outdated:
        return _list(seen)
    if held := seen.held(outdated=True):
        words = "it was held for what is not so any more"
        return [think("This is not so any more."), call("undo_step", step=held[0], reason=words)]
    return _choose(seen)


# --- what is seen -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """said: what came of each step so far, in words; done: the results of those that are done; facts: by name, as (value, where
    it comes from); outdated, undone: names of steps; unanswered: names of questions."""

    inputs: dict[str, str]
    said: dict[str, str]
    done: dict[str, Any]
    facts: dict[str, tuple[Any, str]]
    outdated: set[str]
    undone: set[str]
    unanswered: set[str]
    kinds_done: set[str] = field(default_factory=set)

    @property
    def number(self) -> int:
        """Of the newest shortlist."""
        return sum(name.startswith("shortlist_") for name in self.said)

    def held(self, *, outdated: bool = False) -> list[str]:
        """The steps that hold a seat, or only those of them that rest on what is not so any more."""
        held = [name for name in self.done if name.startswith("seat_") and name not in self.undone]
        return [name for name in held if not outdated or name in self.outdated]

    def waits(self, kind: str) -> list[str]:
        """The steps of a kind that have not ended."""
        return [name for name, said in self.said.items() if name.startswith(kind) and _status(said) not in _ENDED]

    @property
    def is_told_airport(self) -> bool:
        return "airport" in self.facts and self.facts["airport"][1] == "told"


_ENDED = ("done", "skipped", "failed", "refused", "undone", "dropped")


def _status(said: str) -> str:
    return said.partition(":")[0]


def _seen(request: Request) -> _Seen:
    plans = [json.loads(text).get("plan", {}) for tool, text in results(request) if tool == "make_plan"]
    said = {name: text for plan in plans for name, text in plan.items()}
    done = {name: _value(text) for name, text in said.items() if text.startswith("done: ")}
    situation = told(request)
    parts = [part for message in request.messages for part in message.parts]
    return _Seen(
        inputs=_inputs(request),
        said=said,
        done=done,
        facts={name: (_value(value), source) for name, value, source in _facts(situation)},
        outdated=_listed(situation, "Made once already, and rest on what is not so any more:"),
        undone={part.args["step"] for part in parts if part.tool == "undo_step" and isinstance(part.args, dict)},
        unanswered={line.partition(":")[0] for line in _listed(situation, "Questions without an answer:")},
        kinds_done={name.partition("_")[0] for name in done},
    )


def _facts(situation: str) -> list[tuple[str, str, str]]:
    _, _, said = situation.partition("Facts, the newest first:\n")
    lines = re.finditer(r"^- (\S+) = (.*) \((told|observed|inferred|remembered)\b.*\)$", said, re.MULTILINE)
    return [(found[1], found[2], found[3]) for found in lines]


def _value(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("done: "))
    except ValueError:
        return None  # It was cut, and nothing here reads it.


def _listed(situation: str, heading: str) -> set[str]:
    _, _, said = situation.partition(f"{heading}\n")
    found = set()
    for line in said.splitlines():
        if not line.startswith("- "):
            break
        found.add(line.removeprefix("- "))
    return found


def _inputs(request: Request) -> dict[str, str]:
    said = request.messages[0].parts[0].text
    inputs: dict[str, str] = json.JSONDecoder().raw_decode(said, said.index("{"))[0]
    return inputs


def _ref(expression: str) -> dict[str, Any]:
    return {"$ref": expression}


# --- what is said -------------------------------------------------------------------------------------------------


def _ask_or_infer(seen: _Seen) -> Said:
    """From where, and to which airport: each with a guess, so that it is weighed whether anybody is asked."""
    city = seen.done["calendar"][0]["city"]
    origin = {
        "name": "origin",
        "question": "From which city?",
        "guess": city,
        "confidence": 0.9,
        "basis": f"today's meetings are in {city}",
    }
    airport: dict[str, Any] = {"name": "airport", "question": "NYC has three airports. Which one?", "options": AIRPORTS}
    if "airport" in seen.facts:
        airport |= {"guess": seen.facts["airport"][0], "confidence": 0.8, "basis": "the last two flights went there"}
    return call("ask_person", questions=[origin, airport], reason="the goal does not say")


def _list(seen: _Seen, near: str = "") -> Said:
    """A new list. Where it is for another airport the flights are there already, and a seat is held on the best one; where a
    seat is gone they are looked up anew."""
    number = seen.number + 1
    steps: dict[str, Any] = {}
    search = next((name for name in reversed(seen.done) if name.startswith("search") and name not in seen.outdated), None)
    if search is None or near:
        search = f"search_{number}"
        args = {"traveller": _ref("inputs.traveller"), "origin": _ref("facts.origin"), "to": _ref("facts.to")}
        steps[search] = {"tool": "search_flights", "args": args}
    shortlist = f"shortlist_{number}"
    fitting: dict[str, Any] = {"flights": _ref(f"steps.{search}"), "airport": _ref("facts.airport")}
    steps[shortlist] = {"tool": "shortlist_flights", "args": fitting | ({"near": near} if near else {})}
    if not near:
        best = {"traveller": _ref("inputs.traveller"), "flight": _ref(f"steps.{shortlist}.best[0].flight")}
        steps[f"seat_{number}"] = {"tool": "hold_seat", "args": best}
    reason = "the seat is gone: what else is there?" if near else "what flies there, and a seat while the traveller thinks"
    return call("make_plan", steps=steps, dropped=seen.waits("booking"), reason=reason)


def _choose(seen: _Seen) -> Said:
    """Ask which one, and book it; where its seat is gone by then, list what is next to it."""
    number = seen.number
    choice, booking, shortlist = f"choice_{number}", f"booking_{number}", seen.done.get(f"shortlist_{number}")
    if seen.waits("booking") or shortlist is None:
        return call("keep_plan", reason="it is under way")
    if choice in seen.facts:
        if booking not in seen.said:
            return call("make_plan", steps={booking: _booking(choice)}, reason="the traveller chose")
        if "409" in seen.said[booking]:
            return _list(seen, near=seen.facts[choice][0]["departs"])
        return call("give_up_run", reason=f"it was not booked: {seen.said[booking]}")
    if choice in seen.unanswered:
        if seen.is_told_airport:
            return call("give_up_run", reason="the traveller wants none of these flights")
        question = {"name": "airport", "question": "To which airport, then?", "options": AIRPORTS}
        return call("ask_person", questions=[question], reason="none of these was right")
    form = {"name": choice, "question": _question(seen, number), "options": shortlist["best"]}
    return call("ask_person", questions=[form | {"answer_schema": {"enum": shortlist["best"]}}], reason="it is for the traveller")


def _question(seen: _Seen, number: int) -> str:
    shortlist, before = seen.done[f"shortlist_{number}"], seen.facts.get(f"choice_{number - 1}")
    if before is None or "409" not in seen.said.get(f"booking_{number - 1}", ""):
        return f"{shortlist['fitting']} of {shortlist['found']} flights go to {seen.facts['airport'][0]}. Which one?"
    gone, best = before[0], shortlist["best"][0]
    more = best["usd"] - gone["usd"]
    dearer = f"for ${more} more" if more > 0 else f"for ${-more} less" if more < 0 else "for the same"
    sold = f"{gone['flight']} at {gone['departs']} is sold out"
    return f"{sold}. {best['flight']} at {best['departs']} is free, {dearer}. Which one?"


def _booking(choice: str) -> dict[str, Any]:
    args = {
        "traveller": _ref("inputs.traveller"),
        "origin": _ref("facts.origin"),
        "airport": _ref("facts.airport"),
        "flight": _ref(f"facts.{choice}.flight"),
        "usd": _ref(f"facts.{choice}.usd"),
    }
    return {"tool": "book_flight", "args": args}


def _end(seen: _Seen) -> Said:
    """Release what is still held, and say what was booked."""
    if held := seen.held():
        return call("undo_step", step=held[0], reason="another flight is booked")
    booked = next(value for name, value in seen.done.items() if name.startswith("booking"))
    return call("finish_run", result=booked | {"origin": seen.facts["origin"][0]})
