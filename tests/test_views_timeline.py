"""A run as a picture: what is in the record, what is on the sheet, and what is in the file."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from decimal import Decimal
from random import Random
from time import perf_counter
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.approval import OPTIONS
from holdfast.core.contract import Contract
from holdfast.core.evolve import fold
from holdfast.core.models import ModelTerms, Price, Usage
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.thinking import Thinking
from holdfast.journal.base import EMPTY
from holdfast.testing.simulation.stage import Stage
from holdfast.views.timeline import Sheet, Timeline, folded, picture, svg, timeline
from holdfast.views.timeline.axis import axis
from holdfast.views.timeline.lettering import fitted, plain, width
from tests.histories.test_histories import EVERY_RUN, RECORDED

START = 1_800_000_000.0
CONTRACTS = tuple(Contract(tool=tool, safety="keyed", key_ttl_seconds=86400.0) for tool in ("look", "pay", "send", "notify"))
NS = "{http://www.w3.org/2000/svg}"


class Story:
    """Entries as a worker would write them, with a clock of their own."""

    def __init__(
        self, steps: Sequence[Step], run_id: str = "r", goal: str = "do it", thinking: Thinking | None = None, **inputs: Any
    ):
        self.at, self.fence = START, 1
        self.entries: list[e.Entry] = []
        self.say(
            e.RunStarted(
                run_id=run_id,
                agent="clerk",
                goal=Goal(text=goal, inputs=inputs),
                contracts=CONTRACTS,
                records=1,
                thinking=thinking,
            )
        )
        self.say(e.ProposalRequested(turn=1))
        self.say(e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=tuple(steps)), reason="the plan as written"))

    def say(self, *events: e.AnyEvent, after: float = 0.0) -> Story:
        """These happen, so many seconds later."""
        self.at += after
        for event in events:
            self.entries.append(e.Entry(len(self.entries) + 1, self.at, self.fence, event))
        return self

    def call(self, step: str, tool: str = "look", attempt: int = 1, after: float = 0.0, **args: Any) -> Story:
        """A call goes out."""
        return self.say(e.CallIntended(step=step, attempt=attempt, tool=tool, key=f"k-{step}", args=args), after=after)

    def done(self, step: str, value: Any = 1, attempt: int = 1, after: float = 0.01, spent: str = "") -> Story:
        """It comes back."""
        usage = Usage(cost_usd=Decimal(spent)) if spent else None
        return self.say(e.CallSucceeded(step=step, attempt=attempt, value=value, seconds=after, spent=usage), after=after)

    def ask(self, step: str, number: int = 1, about: Any = "call", after: float = 0.0) -> Story:
        """A person is asked."""
        return self.say(
            e.Asked(
                interrupt=f"{step}-{number}", kind="approval", about=about, question=f"may {step} be done?", options=OPTIONS["call"],
                digest="d", expires_at=self.at + 7 * 86400, step=step, tool="pay", who=("finance",),
            ),
            after=after,
        )  # fmt: skip

    def crash(self, step: str, attempt: int = 1, after: float = 1.0) -> Story:
        """The worker is lost during a call, and another one takes over."""
        self.at += after
        self.fence += 1
        return self.say(
            e.RunResumed(worker="w2"),
            e.CallUnknown(step=step, attempt=attempt, why="its worker was lost during the call", crashed=True),
            e.RecoveryRuled(step=step, row="keyed-alive", action="repeat", reason="the other side drops repeats"),
        )

    def fork(self, point: int, run_id: str = "f", mode: e.ForkMode = "blocked", after: float = 3600.0) -> Story:
        """Another run that takes over the first `point` entries of this one."""
        other = object.__new__(Story)
        other.entries, other.at, other.fence = self.entries[:point], self.entries[point - 1].at, 1
        source = fold(self.entries).run_id
        forked = e.RunForked(
            run_id=run_id, source=source, entry=point, link="00", agent="clerk", contracts=CONTRACTS, mode=mode, by="ann",
        )  # fmt: skip
        return other.say(forked, after=after)


def purchase() -> Story:
    """Three steps: looked up, paid after a question over a weekend and a lost worker, and the mail that fails once."""
    steps = (
        Step(id="who", tool="look", args={"name": "ann"}),
        Step(id="pay", tool="pay", args={"to": {"$ref": "steps.who.name"}, "amount": 812.5}),
        Step(id="mail", tool="send", after=("pay",)),
    )
    story = Story(steps, run_id="order-7", goal="Refund order 7 in full", order="7")
    story.call("who", name="ann").done("who", {"name": "ann"}, after=0.004)
    story.ask("pay").say(e.Answered(interrupt="pay-1", decision="approve", by="ann", note="fine"), after=2.5 * 86400)
    story.call("pay", "pay", to="ann", amount=812.5).crash("pay", after=1.2)
    story.call("pay", "pay", 2, to="ann", amount=812.5).done("pay", {"paid": 812.5}, 2, after=0.08, spent="0.30")
    story.call("mail", "send").say(
        e.CallFailed(step="mail", attempt=1, failure=e.Failure(kind="transient", message="503")), after=0.02
    )
    story.say(e.RetryRuled(step="mail", due_at=story.at + 2, reason="transient: 503"))
    story.call("mail", "send", 2, after=2.0).done("mail", True, 2, after=0.03)
    return story.say(e.RunCompleted(result={"paid": 812.5}))


def crowd(count: int, seed: int = 3, places: int = 8) -> Story:
    """Many steps, `places` at once, of which some fail, are lost, or ask."""
    dice = Random(seed)
    names = [f"{('look', 'pay', 'send')[at % 3]}_{at // 3 + 1}" for at in range(count)]
    story = Story([Step(id=name, tool=name.partition("_")[0]) for name in names], run_id=f"crowd-{count}", goal="Do all of it")
    for first in range(0, count, places):
        batch = names[first : first + places]
        for name in batch:
            story.call(name, name.partition("_")[0], after=0.001)
        for name in batch:
            draw = dice.random()
            if draw < 0.03:
                story.say(e.CallFailed(step=name, attempt=1, failure=e.Failure(kind="transient", message="503")), after=0.02)
                story.say(e.RetryRuled(step=name, due_at=story.at + 1, reason="transient: 503"))
                story.call(name, name.partition("_")[0], 2, after=1.0).done(name, 1, 2, after=0.02)
            elif draw < 0.05:
                story.say(e.CallFailed(step=name, attempt=1, failure=e.Failure(kind="conflict", message="sold out")), after=0.02)
                story.say(e.StepSkipped(step=name, reason="conflict: sold out"))
            elif draw < 0.06:
                story.crash(name).call(name, name.partition("_")[0], 2).done(name, 1, 2)
            else:
                story.done(name, after=dice.uniform(0.002, 0.03), spent="0.001")
    return story.say(e.RunCompleted(result=None))


def simulated(seeds: Iterable[int]) -> Iterable[list[e.Entry]]:
    """The journals of runs that met everything that can go wrong."""
    for seed in seeds:
        stage = Stage(seed)
        stage.play()
        for run_id in stage.store.runs:
            yield stage.store.read(run_id, EMPTY).entries


def drawn(entries: Sequence[e.Entry], now: float | None = None, fold_up: Any = "auto") -> tuple[Timeline, Sheet, ET.Element]:
    """The record of a run, its sheet, and the parsed file."""
    found = timeline(entries, now)
    sheet = picture(folded(found, fold_up))
    return found, sheet, ET.fromstring(svg(sheet))


def check(entries: Sequence[e.Entry], now: float | None = None) -> None:
    """All that must hold of any picture."""
    found, sheet, _ = drawn(entries, now)
    bars = {(lane.name, bar.entry) for lane in found.lanes for bar in lane.bars if bar.what == "call"}
    intents = {(entry.event.step, entry.sequence) for entry in entries if isinstance(entry.event, e.CallIntended)}
    assert bars == intents
    folded_bars = [bar for lane in folded(found).lanes for bar in lane.bars]
    assert len(folded_bars) == sum(len(lane.bars) for lane in found.lanes)
    for lane in found.lanes:
        stretches = [(bar.begin, bar.end) for bar in lane.bars] + [(wait.begin, wait.end) for wait in lane.waits]
        assert all(found.begin <= begin <= end <= found.end for begin, end in stretches)
    for label in sheet.labels:
        assert label.left >= 0 and label.right <= sheet.width + 0.01 and label.top >= 0 and label.bottom <= sheet.height, label
    no_overlap(sheet)
    clear_of_signs(sheet)


def no_overlap(sheet: Sheet) -> None:
    """No two words of a sheet lie on one another."""
    boxes = sorted((label.top, label.bottom, label.left, label.right, label.words) for label in sheet.labels)
    for at, (_, bottom, left, right, words) in enumerate(boxes):
        for top, _, other_left, other_right, others in itertools.islice(boxes, at + 1, None):
            if top >= bottom:
                break
            assert right <= other_left or other_right <= left, (words, others)


def clear_of_signs(sheet: Sheet) -> None:
    """No words in a lane lie under a sign, or half under a bar."""
    signs = sorted(
        (shape.x - shape.width / 2, shape.x + shape.width / 2, shape.y) for shape in sheet.shapes if shape.kind == "sign"
    )
    for label in sheet.labels:
        if label.style in ("in-bar", "in-wait"):
            over = [
                sign for sign in signs if sign[0] < label.right and sign[1] > label.left and label.top < sign[2] < label.bottom
            ]
            assert not over, (label, over)


# --- the record ---------------------------------------------------------------------------------------------------


def test_a_run_tells_what_was_done_and_what_was_waited_for() -> None:
    """A bar for each attempt by its outcome, waits with their lengths, the lost worker, the yes, what it cost."""
    found = timeline(purchase().entries)
    lanes = {lane.name: lane for lane in found.lanes}
    assert [bar.outcome for bar in lanes["pay"].bars] == ["unknown", "ok"]
    assert [bar.outcome for bar in lanes["mail"].bars] == ["failed", "ok"]
    (asked,) = lanes["pay"].waits
    assert (asked.why, asked.end - asked.begin, asked.brief) == ("person", 2.5 * 86400, "asked: finance")
    assert [(mark.sign, mark.words) for mark in lanes["pay"].marks] == [("yes", "pay-1: approve by ann (fine)")]
    (retry,) = lanes["mail"].waits
    assert (retry.why, retry.end - retry.begin) == ("retry", 2.0)
    assert [line.kind for line in found.lines] == ["crash"]
    assert "pay" in found.lines[0].words
    assert [spent.usd for spent in found.costs] == [Decimal(0), Decimal("0.30")]
    assert (found.status, found.steps, found.attempts) == ("completed", 3, 5)
    assert lanes["who"].is_smooth and not lanes["pay"].is_smooth


def test_taking_on_a_run_that_rested_is_no_lost_worker() -> None:
    """Nothing was under way."""
    story = purchase()
    story.entries.pop()
    story.fence += 1
    assert [line.kind for line in timeline(story.say(e.RunResumed(worker="w3")).entries).lines] == ["crash"]


def test_what_is_owed_is_waited_for_until_it_comes() -> None:
    """From the outcome that says so to the delivery; while it is still owed, to now."""
    story = Story([Step(id="check", tool="look")])
    story.call("check").say(e.CallDeferred(step="check", attempt=1, by="agency", until=story.at + 86400), after=0.1)
    (lane,) = [lane for lane in timeline(story.entries, story.at + 3600).lanes if lane.name == "check"]
    assert [(bar.outcome, bar.brief) for bar in lane.bars] == [("deferred", "100ms")]
    assert [(wait.why, wait.is_open, wait.end - wait.begin) for wait in lane.waits] == [("owed", True, 3600.0)]
    assert lane.waits[0].until == story.at - 0.1 + 86400
    story.say(e.CallbackReceived(step="check", key="k-check", value=1, by="agency"), after=7200)
    story.say(e.PendingRuled(step="check", row="result-came", action="settle", reason="it came"))
    (lane,) = [lane for lane in timeline(story.entries).lanes if lane.name == "check"]
    assert [(wait.why, wait.is_open, wait.end - wait.begin) for wait in lane.waits] == [("owed", False, 7200.0)]
    assert [mark.sign for mark in lane.marks] == ["word"]


def test_a_call_under_way_is_open_up_to_now() -> None:
    """And up to the last entry where now is not given; a run that ended has no later now."""
    story = purchase()
    open_one = Story([Step(id="who", tool="look")]).call("who")
    (bar,) = timeline(open_one.entries, open_one.at + 30).lanes[-1].bars
    assert (bar.outcome, bar.end - bar.begin) == ("open", 30.0)
    assert timeline(story.entries, story.at + 1e6).end == story.at


def test_models_have_a_lane_with_what_they_used() -> None:
    """Tokens and money of each request, and in all."""
    terms = ModelTerms(name="m:one", price=Price(input_usd=Decimal(1), output_usd=Decimal(1)))
    story = Story([Step(id="who", tool="look")], thinking=Thinking(models={"m:one": terms}, routes={"": ("m:one",)}))
    story.call("who").done("who").say(e.ProposalRequested(turn=2, model="m:one"))
    usage = Usage(input_tokens=900, output_tokens=100, requests=1, cost_usd=Decimal("0.02"))
    story.say(e.ModelAnswered(turn=2, model="m:one", usage=usage), e.FinishProposed(turn=2, result=1), after=1.5)
    story.say(e.ProposalRequested(turn=3, model="m:one"))
    story.say(e.ModelFailed(turn=3, model="m:one", failure=e.Failure(kind="rate_limited")), after=0.5)
    models = next(lane for lane in timeline(story.entries).lanes if lane.kind == "models")
    assert [(bar.outcome, bar.brief) for bar in models.bars if bar.what == "model"] == [
        ("ok", "1,000 tokens, $0.02"),
        ("failed", "500ms"),
    ]
    assert models.outcome == "1,000 tokens, $0.02"


def test_a_fork_says_where_it_comes_from() -> None:
    """What is before the point is in the picture, and a line says where the other run begins."""
    found = timeline(purchase().fork(9, mode="simulate").entries)
    assert (found.run_id, found.source, found.simulated) == ("f", "order-7", True)
    assert [line.kind for line in found.lines if line.kind == "fork"] == ["fork"]
    assert "from entry 9 of order-7" in found.lines[-1].words


def test_a_call_that_a_fork_makes_anew_has_a_bar_of_its_own() -> None:
    """What became of the one that was open at the point nobody in the fork heard."""
    fork = purchase().fork(8).call("pay", "pay").done("pay")
    check(fork.entries)
    (lane,) = [lane for lane in timeline(fork.entries).lanes if lane.name == "pay"]
    assert [bar.outcome for bar in lane.bars] == ["unknown", "ok"]


def test_words_in_a_bar_make_way_for_marks() -> None:
    """A remark that came during a call."""
    story = Story([Step(id="a", tool="look")]).call("a")
    story.say(e.CallbackRefused(step="a", reason="twice", by="x"), after=1.0).done("a", after=1.0)
    check(story.entries)


def test_a_clock_that_is_set_back_does_not_turn_the_picture_around() -> None:
    """No bar ends before it begins."""
    story = Story([Step(id="who", tool="look")]).call("who").done("who", after=-50.0)
    check(story.entries)
    assert [bar.end - bar.begin for bar in timeline(story.entries).lanes[-1].bars] == [0.0]


def test_alike_steps_share_a_lane_where_there_are_many() -> None:
    """Those that went as planned; what is in trouble keeps its own; never means never."""
    found = timeline(crowd(500).entries)
    shared = [lane for lane in folded(found).lanes if lane.steps]
    assert [lane.tool for lane in shared] == ["look", "pay", "send"]
    assert len(folded(found).lanes) < 60
    assert folded(found, "never") is found
    assert folded(timeline(crowd(30).entries)).lanes == timeline(crowd(30).entries).lanes
    rough = {lane.name for lane in found.lanes if not lane.is_smooth}
    assert rough <= {lane.name for lane in folded(found).lanes}


def test_a_run_of_one_entry_has_a_picture() -> None:
    """With a title and an axis."""
    entries = purchase().entries[:1]
    check(entries)
    found, _, root = drawn(entries)
    assert found.lanes == ()
    assert root.find(f"{NS}title") is not None


# --- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_time_runs_from_left_to_right_and_fills_the_axis(seed: int) -> None:
    """Whatever moments there are, later is never further left, and both ends are at the ends."""
    dice = Random(seed)
    times = sorted(START + sum(10 ** dice.uniform(-4, 6) for _ in range(at)) for at in range(dice.randrange(1, 40)))
    busy = [(one, other) for one, other in itertools.pairwise(times) if dice.random() < 0.4]
    found = axis(times, busy, 100.0, 900.0)
    spread = sorted({*times, *(dice.uniform(times[0], times[-1]) for _ in range(300))})
    places = [found.x(at) for at in spread]
    assert places == sorted(places)
    assert places[0] >= 100.0 and places[-1] <= 900.0
    assert found.pieces[0].left == 100.0
    assert found.pieces[-1].right == pytest.approx(900.0)
    assert all(
        one.right == pytest.approx(other.left) and one.end == other.begin for one, other in itertools.pairwise(found.pieces)
    )
    scales = [(piece.right - piece.left) / 800 for piece in found.pieces if piece.is_break]
    assert sum(scales) <= 0.5


def test_a_weekend_of_waiting_is_broken_and_milliseconds_stay_wide() -> None:
    """The wait has its length on it, and a call of four milliseconds can be seen."""
    _, sheet, _ = drawn(purchase().entries)
    assert "2d12h" in {label.words for label in sheet.labels if label.style == "long"}
    bars = [shape for shape in sheet.shapes if shape.style == "b-ok" and "who" in shape.words]
    assert bars[0].width > 15
    assert any(shape.style == "zigzag" for shape in sheet.shapes)


def test_what_can_be_read_to_scale_is_not_broken() -> None:
    """Five calls of a second each."""
    story = Story([Step(id=f"s{at}", tool="look") for at in range(5)])
    for at in range(5):
        story.call(f"s{at}").done(f"s{at}", after=1.0)
    _, sheet, _ = drawn(story.entries)
    assert not any(shape.style == "zigzag" for shape in sheet.shapes)


# --- the file -----------------------------------------------------------------------------------------------------


def test_the_file_stands_alone_and_says_what_it_is() -> None:
    """No script, no font, no address; a title and a description for who cannot see it; a ground of its own."""
    text = svg(picture(timeline(purchase().entries)))
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    assert root.findtext(f"{NS}title") == "Timeline of run order-7"
    assert "not smooth: pay done; mail done" in (root.findtext(f"{NS}desc") or "")
    assert not root.findall(f".//{NS}script") and "@font-face" not in text and "@import" not in text
    assert text.count("http") == 1, "the namespace alone"
    assert all(use.get("href", "").startswith("#") for use in root.iter(f"{NS}use"))
    ground = root.find(f"{NS}rect")
    assert ground is not None and ground.get("width") == "100%" and ground.get("fill") == "#fcfcfa"


def test_every_shape_that_is_used_is_there() -> None:
    """Each sign and each pattern that is referred to is defined."""
    text = svg(picture(timeline(crowd(100).entries)))
    root = ET.fromstring(text)
    ids = {node.get("id") for node in root.iter() if node.get("id")}
    assert {use.get("href", "")[1:] for use in root.iter(f"{NS}use")} <= ids


def test_how_a_bar_ended_is_said_without_colour_too() -> None:
    """All but what went well have a sign, and a pattern or another outline; words tell all of it to who points there."""
    _, sheet, root = drawn(purchase().entries)
    styles = [shape.style for shape in sheet.shapes]
    assert styles.count("s-unknown") == 2 and styles.count("s-failed") == 2, "in the lane and in the legend"
    for element in root.iter(f"{NS}rect"):
        if element.get("class", "").startswith("b-") and element.find(f"{NS}title") is not None:
            assert "calls" in (element.findtext(f"{NS}title") or "")
    told = [element.text or "" for element in root.iter(f"{NS}title")]
    assert any("its worker was lost during the call" in words for words in told)
    assert any("may pay be done?" in words and "waited 2d12h" in words for words in told)


HOSTILE = (
    "<script>alert(1)</script>", "]]><svg onload=x>&amp;", "a\x00b\x1b[31mc\x9b", "\u202eevil\u202c \u2066x\u2069",
    "x" * 10_000, "🙈" * 300, "日本語" * 50, "\n\n\t", "\ufffe\uffff",
)  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_words_and_nothing_else(words: str) -> None:
    """In ids, goals, names, questions, results: the file parses, has no element of theirs, and fits."""
    step = Step(id=words, tool=words)
    story = Story([step], run_id=words, goal=words)
    story.ask(words).say(e.Answered(interrupt=f"{words}-1", decision="approve", by=words, note=words), after=3.0)
    story.call(words, words, value=words).say(
        e.CallFailed(step=words, attempt=1, failure=e.Failure(kind="conflict", message=words)), after=0.5
    )
    story.say(e.StepFailed(step=words, reason=words), e.RunFailed(reason=words))
    check(story.entries)
    text = svg(picture(timeline(story.entries)))
    root = ET.fromstring(text)
    known = {"svg", "title", "desc", "style", "defs", "pattern", "rect", "path", "g", "circle", "line", "polyline", "text", "use"}
    assert {element.tag.removeprefix(NS) for element in root.iter()} <= known
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)
    assert all(character >= " " or character == "\n" for character in text)
    assert not {*"\u202e\u202c\u2066\u2069\x9b\ufffe\uffff"} & {*text}
    assert len(text) < 60_000


def test_the_same_run_gives_the_same_bytes() -> None:
    """Twice from the record, and from entries read anew."""
    first, second = (svg(picture(folded(timeline(crowd(200).entries)))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("count", "fold_up", "most"), [(5, "auto", 25_000), (500, "auto", 400_000), (500, "never", 600_000), (3000, "auto", 900_000)]
)
def test_the_file_stays_small_and_is_quickly_made(count: int, fold_up: Any, most: int) -> None:
    """Under a megabyte whatever the run, and in no time."""
    entries = crowd(count).entries
    began = perf_counter()
    text = svg(picture(folded(timeline(entries), fold_up)))
    assert perf_counter() - began < 2.0, "a hundredth of that at 500 steps on a machine with nothing else to do"
    assert len(text) < most


@pytest.mark.parametrize("count", [5, 45, 130, 500])
def test_words_never_lie_on_one_another_however_many_lanes_there_are(count: int) -> None:
    """Lanes shrink and labels thin out; each attempt has its bar all the same."""
    check(crowd(count).entries)
    no_overlap(picture(timeline(crowd(count).entries)))
    labelled = {label.words for label in picture(timeline(crowd(count).entries)).labels}
    rough = [lane for lane in timeline(crowd(count).entries).lanes if lane.outcome.startswith("not needed")]
    assert sum(lane.name in labelled for lane in rough) >= 0.8 * len(rough), "what is in trouble comes first"


@pytest.mark.parametrize(("name", "run_id"), EVERY_RUN)
def test_every_recorded_run_has_a_picture(name: str, run_id: str) -> None:
    """As a whole, and as it was at each third of it."""
    entries = RECORDED[name].entries(run_id)
    for until in {1, len(entries) // 3, 2 * len(entries) // 3, len(entries)} - {0}:
        check(entries[:until], entries[until - 1].at + 100.0)


def test_every_simulated_run_has_a_picture() -> None:
    """Lost workers, clocks set back, hostile models, offices: nothing is lost and nothing overlaps."""
    count = 0
    for entries in simulated((*range(1, 41), *range(-12, 0))):
        check(entries)
        count += 1
    assert count > 50


# --- lettering ----------------------------------------------------------------------------------------------------


def test_words_are_cut_to_their_room() -> None:
    """With a mark that there is more; nothing where not even two letters fit."""
    assert fitted("short", 10, 100) == "short"
    cut = fitted("a much longer sentence", 10, 60)
    assert cut.endswith("…") and width(cut, 10) <= 60
    assert fitted("longer", 10, 10) == ""
    assert plain("a\n\tb\x1b[0m") == "a b [0m"
    assert plain("\ud800lone\ufffe") == "lone"
    assert plain("x" * 5000, 10) == "xxxxxxxxxx… (5000 characters in all)"
