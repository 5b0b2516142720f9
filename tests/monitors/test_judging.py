"""Each monitor: what trips it, what does not, and what evidence it names."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.schedule import Schedule, Standing
from holdfast.figures.alarms import USUAL as USUAL_ALARMS
from holdfast.figures.alarms import Alarm
from holdfast.journal.base import Owed
from holdfast.journal.keeping import Late
from holdfast.journal.people import OpenInterrupt
from holdfast.monitors import Finding, Report, RunDigest, Seen, Settings, Waiting, judge
from holdfast.monitors.digest import Refused
from holdfast.monitors.settings import USUAL, Own, parse
from tests.monitors.fleet import (
    EARLIER,
    NOW,
    RECENT,
    WINDOW,
    call,
    calls,
    contradiction,
    healthy_fleet,
    named,
    past,
    run,
    tries,
)  # fmt: skip
from tests.thorough import ALL


def judged(*runs: RunDigest, settings: Settings = USUAL, **more: Any) -> Report:
    """What all monitors say of these runs."""
    return judge(Seen(window=WINDOW, runs=runs, **more), settings)


def only(report: Report, monitor: str) -> list[Finding]:
    """What one of them says."""
    return [one for one in report.findings if one.monitor == monitor]


def tuned(**monitors: Any) -> Settings:
    """Settings with these thresholds."""
    settings, problems = parse({"monitors": monitors})
    assert settings is not None, problems
    return settings


# --- empty_result -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [None, {}, [], "", {"lines": [], "total": None}])
def test_a_completed_run_with_an_empty_result_is_broken(result: Any) -> None:
    """Also where nothing is known of its past."""
    (found,) = judged(run(result=result)).findings
    assert (found.monitor, found.level, found.about, found.run) == ("empty_result", "broken", "r1", "r1")
    assert (found.evidence[0].run, found.evidence[0].entry) == ("r1", 30)


def test_an_agent_whose_results_are_usually_empty_is_left_alone() -> None:
    """It does what it does; runs that failed, and old ones, are none of it."""
    assert judged(run(result=None), *past(30, result=None)).findings == ()
    assert judged(run(result=None, status="failed"), *past()).findings == ()
    assert judged(run(at=EARLIER, result=None)).findings == ()
    assert named(judged(run(result=None), *past(30)).findings) == ["empty_result"]


def test_a_part_that_has_far_less_than_usual_is_a_warning() -> None:
    """The part is named, with how much there is and was."""
    (found,) = judged(run(result={"lines": [], "total": 12}), *past()).findings
    assert (found.monitor, found.level) == ("empty_result", "warning")
    assert "lines has 0 values, where half of 30 earlier ones had 6 or more" in found.what
    assert found.measured == 0 and found.threshold == pytest.approx(1.2)


def test_a_text_that_is_far_shorter_than_usual_is_thin() -> None:
    """Bytes are counted as well as values."""
    before = past(30, result={"summary": "a" * 400})
    assert "summary has 4 bytes" in judged(run(result={"summary": "ok"}), *before).findings[0].what
    assert judged(run(result={"summary": "a" * 120}), *before).findings == ()


def test_what_varies_anyway_is_not_thin() -> None:
    """A part that is sometimes missing, or whose size varies by as much, says nothing; nor do too few runs."""
    varying = [run(f"v{n}", EARLIER + n, {"lines": [1] * (1 if n % 5 == 0 else 40), "total": n + 1}) for n in range(30)]
    assert judged(run(result={"lines": [1], "total": 3}), *varying).findings == ()
    missing = [run(f"m{n}", EARLIER + n, {"total": 1} if n == 3 else {"total": 1, "note": "long enough"}) for n in range(30)]
    assert judged(run(result={"total": 1}), *missing).findings == ()
    few = judged(run(result={"lines": [], "total": 12}), *past(19))
    assert few.findings == ()
    assert "19 earlier runs are known, and 20 are needed" in {one.why for one in few.unjudged}


def test_how_thin_is_thin_can_be_changed() -> None:
    """For all, or for one agent."""
    thin = run(result={"lines": [{"text": "first", "sum": 3}], "total": 3})
    assert judged(thin, *past()).findings == ()
    assert named(judged(thin, *past(), settings=tuned(empty_result={"share": "60%"})).findings) == ["empty_result"]
    one = Settings(agents={"invoices": Own(values={"empty_result": {"share": 0.6}}), "other": Own(off=("empty_result",))})
    assert named(judged(thin, *past(), settings=one).findings) == ["empty_result"]
    off = Settings(agents={"invoices": Own(off=("empty_result",))})
    assert judged(run(result=None), settings=off).findings == ()


# --- goal_check_fails -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "level", "said"),
    [
        ({"accept": "result.ok"}, "broken", "what counts as done (result.ok) was never looked at"),
        ({"accept": "result.ok", "accepted": False}, "broken", "what counts as done (result.ok) was refused"),
        ({"unknown": ("pay",)}, "broken", "nobody knows whether step pay happened"),
        ({"flagged": ("laptop",)}, "warning", "step laptop is flagged"),
        ({"partial": ("seat",)}, "warning", "step seat is done in part only"),
        (
            {"accept": "x", "accepted": True, "refused": (Refused(entry=4, by="judge", reason="thin"),) * 2},
            "warning",
            "refused 2 times",
        ),
    ],
)
def test_a_goal_that_does_not_hold_by_the_record_is_found(of: dict[str, Any], level: str, said: str) -> None:
    """By acceptance, unknown, flagged and partial steps."""
    (found,) = judged(run(**of)).findings
    assert (found.monitor, found.level) == ("goal_check_fails", level)
    assert said in found.what


def test_a_result_that_was_accepted_at_once_is_none_of_it() -> None:
    """One refusal before it is what acceptance is for."""
    once = (Refused(entry=4, by="judge", reason="thin"),)
    assert judged(run(accept="x", accepted=True), run("r2", accept="x", accepted=True, refused=once)).findings == ()
    again = run(accept="x", accepted=True, refused=once * 5)
    assert judged(again, settings=tuned(goal_check_fails={"refusals": 0})).findings == ()


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("result.total > 0", None),
        ("result.total > inputs.least", "does not hold"),
        ("result.sum > 0", "cannot be worked out"),
    ],
)
def test_a_check_of_the_users_must_hold(check: str, said: str | None) -> None:
    """What cannot be worked out does not hold."""
    settings = Settings(agents={"invoices": Own(check=check)})
    found = judged(run(document={"result": {"total": 3}, "inputs": {"least": 5}}), settings=settings).findings
    assert (said is None and not found) or (found[0].level == "broken" and str(said) in found[0].what and check in found[0].what)


# --- skipped_too_much -------------------------------------------------------------------------------------------------


def test_a_plan_that_was_mostly_left_out_is_found() -> None:
    """Skipped and done another way count alike; a step counts once."""
    (found,) = judged(run(steps=4, skipped=("a", "b"), replaced=("b",))).findings
    assert (found.monitor, found.level, found.measured, found.threshold) == ("skipped_too_much", "warning", 0.5, 0.3)
    assert [seen.step for seen in found.evidence] == ["a", "b", "b"]
    assert judged(run(steps=4, skipped=("a",)), run("r2", steps=0)).findings == ()
    assert judged(run(steps=4, skipped=("a", "b")), settings=tuned(skipped_too_much={"share": 0.5})).findings == ()


# --- tools against their own past -------------------------------------------------------------------------------------


def failing(of: int, count: int, at: float = RECENT) -> list[RunDigest]:
    """So many runs whose call failed, of so many."""
    return [*calls(count, at, outcome="failed", seconds=None), *calls(of - count, at + 0.5)]


def test_a_tool_that_fails_more_often_than_before_is_found() -> None:
    """With both rates, their intervals, and the calls that failed."""
    report = judged(*failing(40, 16), *failing(100, 3, EARLIER))
    (found,) = only(report, "tool_success_drift")
    assert (found.about, found.tool, found.level, found.measured) == ("search", "search", "warning", 0.6)
    assert "search succeeded in 60% of 40 calls (40% to 77%); before that in 97% of 100" in found.what
    assert len(found.evidence) == 10 and found.evidence[0].entry == 5


@pytest.mark.parametrize(
    "runs",
    [
        failing(40, 3) + failing(100, 3, EARLIER),  # As much as chance gives.
        failing(40, 16) + failing(100, 38, EARLIER),  # It was always so.
        failing(40, 1) + failing(100, 38, EARLIER),  # It is better.
        failing(19, 19) + failing(100, 0, EARLIER),  # Too few now.
        failing(40, 40) + failing(49, 0, EARLIER),  # Too few before.
    ],
)
def test_chance_habit_and_too_few_are_no_drift(runs: list[RunDigest]) -> None:
    """Only what is more than chance, and worse."""
    assert only(judged(*runs), "tool_success_drift") == []


def test_a_drift_must_be_large_as_well_as_certain() -> None:
    """Of thousands of calls a small difference is certain, and nobody's concern."""
    runs = [
        run("now", calls=tuple(call(outcome="failed" if n % 20 == 0 else "ok") for n in range(4000))),
        run("then", EARLIER, calls=tuple(call(at=EARLIER) for n in range(4000))),
    ]
    assert only(judged(*runs), "tool_success_drift") == []
    assert only(judged(*runs, settings=tuned(tool_success_drift={"drop": "4%"})), "tool_success_drift")


def test_a_tool_that_takes_longer_is_found() -> None:
    """By its median; the slowest calls are the evidence."""
    slow = [run(f"s{n}", calls=(call(seconds=0.4 + n / 1000),)) for n in range(30)]
    (found,) = only(judged(*slow, *calls(60, EARLIER)), "tool_latency_drift")
    assert "search: half of its calls took up to 414ms" in found.what
    assert found.evidence[0].run == "s29"
    assert found.threshold == pytest.approx(0.2)


def test_a_tool_whose_slow_calls_are_slower_is_found() -> None:
    """By the 95th of a hundred, where there are enough calls to say so."""

    def mixed(at: float, count: int, worst: float) -> RunDigest:
        return run(f"m{at}", at, calls=tuple(call(at=at, seconds=worst if n % 8 == 0 else 0.1) for n in range(count)))

    report = judged(mixed(RECENT, 240, 5.0), mixed(EARLIER, 400, 0.5))
    assert "95 of 100 of its calls took up to 5s" in only(report, "tool_latency_drift")[0].what
    assert only(judged(mixed(RECENT, 60, 5.0), mixed(EARLIER, 400, 0.5)), "tool_latency_drift") == []


def test_failures_do_not_count_as_slow() -> None:
    """How long a time-out takes is set by whoever calls; and a millisecond more is nobody's concern."""
    lost = [run(f"l{n}", calls=(call(outcome="unknown", seconds=None),)) for n in range(30)]
    assert only(judged(*lost, *calls(60, EARLIER)), "tool_latency_drift") == []
    twice = judged(*calls(30, seconds=0.02), *calls(60, EARLIER, seconds=0.01))
    assert only(twice, "tool_latency_drift") == []


def test_a_tool_that_costs_more_is_found() -> None:
    """What is not known to cost anything is not looked at, and not called unjudged."""
    (found,) = only(judged(*calls(30, cost_usd=0.04), *calls(60, EARLIER, cost_usd=0.02)), "tool_cost_drift")
    assert "half of its 30 calls cost up to $0.04" in found.what and found.threshold == pytest.approx(0.025)
    assert only(judged(*calls(30, cost_usd=0.02), *calls(60, EARLIER, cost_usd=0.02)), "tool_cost_drift") == []
    assert "tool_cost_drift" not in named(judged(*calls(3)).unjudged)


def test_steps_that_are_tried_again_far_more_often_are_found() -> None:
    """By their tool, against its own past."""
    again = [run(f"t{n}", tries=(tries(1 + n % 2),)) for n in range(40)]
    before = [run(f"b{n}", EARLIER, tries=(tries(2 if n % 20 == 0 else 1, at=EARLIER),)) for n in range(80)]
    (found,) = only(judged(*again, *before), "retried_too_often")
    assert found.what.startswith("50% of 40 steps of search were tried again")
    assert found.evidence[0].what == "2 attempts"
    assert (
        only(
            judged(*again, *[run(f"a{n}", EARLIER, tries=(tries(1 + n % 2, at=EARLIER),)) for n in range(80)]),
            "retried_too_often",
        )
        == []
    )


def test_a_little_more_of_it_is_nobodys_concern() -> None:
    """However certain it is; and what is older than the past does not count."""
    many = run("now", tries=tuple(tries(2 if n % 10 == 0 else 1) for n in range(2000)))
    before = run("then", EARLIER, tries=tuple(tries(1, at=EARLIER) for _ in range(2000)))
    assert only(judged(many, before), "retried_too_often") == []
    assert only(judged(many, before, settings=tuned(retried_too_often={"rise": 0.05})), "retried_too_often")
    old = run("old", WINDOW.past - 9, calls=tuple(call(at=WINDOW.past - 9) for _ in range(80)))
    assert only(judged(*calls(40, outcome="failed"), old), "tool_success_drift") == []


def test_what_is_of_one_tool_can_be_off_or_tuned_for_it() -> None:
    """The others are looked at as before."""
    runs = [*failing(40, 16), *failing(100, 3, EARLIER)]
    for own in (Own(off=("tool_success_drift",)), Own(values={"tool_success_drift": {"drop": 0.5}})):
        assert only(judged(*runs, settings=Settings(tools={"search": own})), "tool_success_drift") == []
        assert only(judged(*runs, settings=Settings(tools={"other": own})), "tool_success_drift")


def test_too_little_is_said_to_be_too_little() -> None:
    """Who sees no finding must know whether anything was judged."""
    (found,) = [one for one in judged(*calls(12), *calls(80, EARLIER)).unjudged if one.monitor == "tool_success_drift"]
    assert (found.about, found.why) == ("search", "12 calls in the window and 80 before it; 20 and 50 are needed")


# --- runs against their agent's -----------------------------------------------------------------------------------------


def test_a_run_that_costs_far_more_than_usual_is_found() -> None:
    """Also while it goes on; the dearest calls are the evidence."""
    dear = run(status="", ended_at=None, cost_usd=1.0, calls=(call(cost_usd=0.2), call("pay", cost_usd=0.8), call("free")))
    (found,) = judged(dear, *past(cost_usd=0.1)).findings
    assert (found.monitor, found.measured, found.threshold) == ("cost_runaway", 1.0, pytest.approx(0.4))
    assert [seen.what for seen in found.evidence] == ["pay cost $0.8", "search cost $0.2"]
    assert judged(run(cost_usd=0.3), *past(cost_usd=0.1)).findings == ()
    assert judged(run(cost_usd=1.0), *[run(f"p{n}", EARLIER, cost_usd=0.1 * (1 + n % 5)) for n in range(40)]).findings == ()
    assert judged(run(cost_usd=0.04), *past(cost_usd=0.001)).findings == ()


def test_a_run_that_needs_far_more_attempts_than_usual_is_found() -> None:
    """By attempts for each step; a run that made only a few is left alone."""
    before = past(tries=(tries(1, at=EARLIER), tries(1, "book", EARLIER)))
    (found,) = only(judged(run(tries=(tries(7), tries(1, "book"))), *before), "retried_too_often")
    assert (found.run, found.measured, found.threshold) == ("r1", 4.0, 3.0)
    assert [(seen.what, seen.entry) for seen in found.evidence] == [("7 attempts of search", 7)]
    assert only(judged(run(tries=(tries(5),)), *before), "retried_too_often") == []


# --- belief and world ---------------------------------------------------------------------------------------------------


def test_a_completed_run_that_rests_on_what_it_knew_to_be_wrong_is_broken() -> None:
    """Each single one, with what was found and what rests on it."""
    (found,) = judged(run(outdated=("book",), contradictions=(contradiction(),))).findings
    assert (found.monitor, found.level, found.run) == ("belief_and_world_apart", "broken", "r1")
    assert "(book): price was believed to be 1, and is 2" in found.what
    assert [(seen.step, seen.entry) for seen in found.evidence] == [("look", 9), ("book", None)]


def apart(of: int, count: int, at: float = RECENT) -> list[RunDigest]:
    """Runs of which so many found something to be otherwise."""
    return [run(f"a{at}-{n}", at, contradictions=(contradiction(at=at),) if n < count else ()) for n in range(of)]


def test_that_belief_and_world_are_apart_more_often_than_before_is_found() -> None:
    """With what kinds of it there are."""
    (found,) = judged(*apart(40, 16), *apart(80, 4, EARLIER)).findings
    assert (found.monitor, found.level, found.about, found.measured) == ("belief_and_world_apart", "warning", "invoices", 0.4)
    assert (
        "in 16 of 40 runs of invoices" in found.what
        and "facts observed to be otherwise (16); before that in 4 of 80" in found.what
    )
    assert judged(*apart(40, 16), *apart(80, 30, EARLIER)).findings == ()
    assert judged(*apart(40, 2), *apart(80, 4, EARLIER)).findings == ()


def test_without_a_past_a_high_rate_is_found_by_itself() -> None:
    """It must be surely higher than the threshold."""
    assert named(judged(*apart(40, 16)).findings) == ["belief_and_world_apart"]
    assert judged(*apart(40, 6)).findings == ()
    few = judged(*apart(5, 5))
    assert few.findings == () and named(few.unjudged) == ["empty_result", "belief_and_world_apart"]


# --- parked -------------------------------------------------------------------------------------------------------------


def late(run_id: str, since: float) -> Late:
    return Late(run_id=run_id, agent="invoices", since=since, seconds=NOW - since, worker="w1")


OWED = Owed(
    step="check", tool="t", about="result", by="the agency", key="k", since=1.0, until=NOW - 7200, due_at=NOW, run_id="r2"
)
OPEN = OpenInterrupt(
    run_id="r3", interrupt="i1", kind="approval", about="call", agent="invoices", question="?", digest="d", asked_at=1.0,
    expires_at=NOW - 1800, step="pay",
)  # fmt: skip


def test_what_waits_past_its_time_is_found_run_by_run() -> None:
    """Since the first of the times that are over; a schedule has a finding of its own."""
    schedule = Standing(schedule=Schedule(name="nightly", agent="invoices", cron="0 3 * * *"), next_at=NOW - 3600)
    waiting = Waiting(
        unclaimed=(late("r1", NOW - 3600),), expired=(late("r1", NOW - 1000),), parked=(late("r4", NOW - 2000),), owed=(OWED,),
        open=(OPEN,), schedules=(schedule,),
    )  # fmt: skip
    found = judged(waiting=waiting).findings
    assert [(one.about, one.level) for one in found] == [
        ("r1", "broken"), ("r2", "broken"), ("r3", "broken"), ("r4", "broken"), ("schedule nightly", "broken"),
    ]  # fmt: skip
    assert found[0].what == "it was due, and no worker has taken it, 1h ago (and 1 more)"
    assert "step check was to have what it is owed by the agency, 2h ago" in found[1].what
    assert "the question i1 was to be answered, or to end, 30m ago" in found[2].what
    assert found[4].measured == 3600


def test_what_is_a_little_late_or_paused_is_none_of_it() -> None:
    """Workers look now and then; the grace can be changed."""
    paused = Standing(schedule=Schedule(name="n", agent="a", cron="0 3 * * *"), next_at=1.0, paused=True)
    ended = Standing(schedule=Schedule(name="m", agent="a", at=1.0), next_at=None)
    waiting = Waiting(unclaimed=(late("r1", NOW - 600),), schedules=(paused, ended))
    assert judged(waiting=waiting).findings == ()
    assert len(judged(waiting=waiting, settings=tuned(parked_past_deadline={"grace": "5m"})).findings) == 1


# --- all of them --------------------------------------------------------------------------------------------------------


def test_alarms_about_people_stand_beside() -> None:
    """In the same form, and can be off like the others."""
    alarm = Alarm(
        kind="too_fast", of="person", name="ann", what="ann decided 20 within 30 s", since=1.0, until=2.0, thresholds=USUAL_ALARMS
    )
    (found,) = judged(alarms=(alarm,)).findings
    assert (found.monitor, found.about, found.what) == ("rubber_stamping", "person ann", "ann decided 20 within 30 s")
    assert judged(alarms=(alarm,), settings=Settings(off=("rubber_stamping",))).findings == ()


def test_simulated_forks_are_left_out() -> None:
    """Nothing of them happened."""
    assert judged(run(result=None, simulated=True)).runs == 0
    assert judged(run(result=None, simulated=True)).findings == ()


def test_what_is_broken_comes_first() -> None:
    """Then in the order of the monitors."""
    found = judged(run("a", steps=2, skipped=("x",)), run("b", flagged=("y",)), run("c", result=None)).findings
    assert named(found) == ["empty_result", "goal_check_fails", "skipped_too_much"]


def test_the_same_thing_found_again_has_the_same_id() -> None:
    """Of a run for good; of a tool once in each window."""
    runs = [run(result=None), *failing(40, 16), *failing(100, 3, EARLIER)]
    first, again = judged(*runs).findings, judged(*reversed(runs)).findings
    assert [one.id for one in first] == [one.id for one in again]
    assert len({one.id for one in first}) == len(first)


def test_a_healthy_fleet_is_left_in_peace() -> None:
    """Of 2,000 fleets that stay as they are, with long tails and tools that fail now and then, eleven had a finding (0.55 %)."""
    count = 2000 if ALL else 60
    noisy = sum(bool(judged(*healthy_fleet(seed)).findings) for seed in range(count))
    assert noisy <= max(1, count // 100)
