"""All metrics there are: what is counted of commits, what telemetry says of itself, and what is drawn from the store."""

from __future__ import annotations

from holdfast.telemetry import names
from holdfast.telemetry.counts import Labels, Metric


def _counter(name: str, unit: str, about: str, *labels: str) -> Metric:
    return Metric(name=name, kind="counter", unit=f"{{{unit}}}", about=about, labels=labels)


def _gauge(name: str, unit: str, about: str, *labels: str) -> Metric:
    return Metric(name=name, kind="gauge", unit=unit, about=about, labels=labels)


def _histogram(name: str, unit: str, bounds: tuple[float, ...], about: str, labels: Labels) -> Metric:
    return Metric(name=name, kind="histogram", unit=unit, bounds=bounds, about=about, labels=labels)


COUNTED = (
    _counter(names.COMMITS, "commit", "Commits of this worker.", names.AGENT_NAME),
    _counter(names.EVENTS, "event", "Events that this worker wrote, by kind.", names.EVENT),
    _counter(names.RUNS_TAKEN_ON, "run", "Runs that were taken on for the first time.", names.AGENT_NAME),
    _histogram(
        names.QUEUE_DURATION, "s", names.QUEUE_BOUNDS, "From the start of a run until a worker first took it on.",
        (names.AGENT_NAME,),
    ),
    _counter(names.RUNS_ENDED, "run", "Runs that ended, by how.", names.AGENT_NAME, names.STATUS),
    _counter(names.STEPS_ENDED, "step", "Steps that were done, skipped, or failed.", names.AGENT_NAME, names.OUTCOME),
    _counter(
        names.ATTEMPTS, "attempt", "Calls of tools by what came of them; error.type says why where that was failed or unknown.",
        names.TOOL_NAME, names.OUTCOME, names.ERROR_TYPE,
    ),
    _counter(
        names.SIMULATED_CALLS, "call", "Calls of simulated runs, none of which was made.", names.TOOL_NAME, names.OUTCOME
    ),
    _counter(names.RETRIES, "retry", "Calls that failed and are to be made again.", names.TOOL_NAME),
    _counter(
        names.RECOVERIES, "ruling", "Calls of which nobody knew whether they happened, by the row of the recovery table.",
        names.ROW, names.ACTION,
    ),
    _counter(
        names.COST, "USD", "What models (chat) and tools (execute_tool) cost.", names.OPERATION_NAME, names.WHAT,
    ),
    _counter(
        names.INTERRUPTS_OPENED, "interrupt", "Questions that were put to people.", names.INTERRUPT_KIND, names.INTERRUPT_ABOUT
    ),
    _counter(
        names.INTERRUPTS_CLOSED, "interrupt", "Questions that are asked no more, by the decision or `expired`, `withdrawn`.",
        names.INTERRUPT_KIND, names.DECISION,
    ),
    _histogram(names.INTERRUPT_DURATION, "s", names.WAIT_BOUNDS, "How long a question was open.", (names.INTERRUPT_KIND,)),
    _histogram(
        names.PENDING_DURATION, "s", names.WAIT_BOUNDS, "How long something was owed.", (names.TOOL_NAME, names.OUTCOME)
    ),
    _histogram(
        names.EXECUTE_TOOL_DURATION, "s", names.OPERATION_BOUNDS, "The duration of a single tool execution.",
        (names.TOOL_NAME, names.ERROR_TYPE, names.AGENT_NAME),
    ),
    _histogram(
        names.INVOKE_AGENT_DURATION, "s", names.AGENT_BOUNDS, "The duration of a run, waits included.",
        (names.AGENT_NAME, names.ERROR_TYPE),
    ),
    _histogram(
        names.OPERATION_DURATION, "s", names.OPERATION_BOUNDS, "GenAI operation duration.",
        (names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL, names.ERROR_TYPE),
    ),
    _histogram(
        names.TOKEN_USAGE, "{token}", names.TOKEN_BOUNDS, "Number of input and output tokens used.",
        (names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL, names.TOKEN_TYPE),
    ),
)  # fmt: skip
OF_TELEMETRY = (
    _counter(
        names.DROPPED,
        "item",
        "What telemetry could not keep up with: commits, spans and metrics that nobody will see.",
        names.WHAT,
    ),
    _counter(names.EXPORTED, "item", "Spans and points that were sent.", names.WHAT),
    _counter(names.EXPORT_FAILURES, "request", "Requests to the receiver that failed.", names.WHAT),
)
DRAWN = (
    _gauge(names.RUNS, "{run}", "Runs in the store, by status.", names.STATUS),
    _gauge(names.QUEUE_AGE, "s", "For how long the longest due run has waited for a worker."),
    _gauge(names.QUEUE_RUNS, "{run}", "Runs that are due and that nobody has taken."),
    _gauge(names.CLAIMS_EXPIRED, "{run}", "Runs whose worker is not heard of any more."),
    _gauge(names.RUNS_OVERDUE, "{run}", "Runs that wait, though the time of what they wait for is over."),
    _gauge(names.OLDEST_PENDING, "s", "The age of the oldest operation that is owed."),
    _gauge(names.OLDEST_INTERRUPT, "s", "The age of the oldest open question."),
    _gauge(names.STORE_BYTES, "By", "The size of the store."),
    _gauge(
        names.CIRCUITS, "{circuit}", "1 for the state of a tool's circuit, 0 for those that it is not in.",
        names.TOOL_NAME, names.CIRCUIT,
    ),
    _gauge(
        names.OVERRIDE_RATE, "1", "Of what a rule asked people in 30 days, the part in which they did not simply say yes.",
        names.RULE, names.POLICY,
    ),
    _gauge(
        names.RULINGS, "{ruling}", "Rulings of 30 days, by rule: asked, passed, blocked.", names.RULE, names.POLICY, names.OUTCOME
    ),
    _gauge(names.MONITORS, "{finding}", "What a monitor of silent failure found; 0 where it found nothing.", names.MONITOR),
    _gauge(names.STORE_READ_AT, "s", "When the figures of the store were read, since the epoch."),
)  # fmt: skip
ALL = (*COUNTED, *OF_TELEMETRY, *DRAWN)
