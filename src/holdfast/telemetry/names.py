"""Every name that telemetry gives to anything: the only file to change when the conventions do.

The names of OpenTelemetry's conventions for generative AI (`gen_ai.*`) are those of a snapshot, for the conventions are in
development and have no release of their own yet:

- spans and attributes: https://github.com/open-telemetry/semantic-conventions-genai, commit
  002c8a6ea1c8a42b14a4527db83b3cabcded610a, docs/gen-ai/gen-ai-spans.md and gen-ai-agent-spans.md (written against the general
  conventions v1.41.1);
- metrics: the same repository, commit 004902b8cb70aa5ae6ca4ae07132b7daabcd3e10, docs/gen-ai/gen-ai-metrics.md (against v1.42.0).

`gen_ai.system` and the events of older drafts are not used. What the conventions have no name for begins with `holdfast.`.
"""

from __future__ import annotations

# The instrumentation scope.
SCOPE = "holdfast"

# --- operations: values of gen_ai.operation.name, and with the object behind it the name of the span ----------------

INVOKE_AGENT = "invoke_agent"
PLAN = "plan"
CHAT = "chat"
EXECUTE_TOOL = "execute_tool"

# --- operations that only holdfast has: values of holdfast.operation ------------------------------------------------

SIMULATE_TOOL = "simulate_tool"
PROBE = "probe"
ASK = "ask"
AWAIT = "await"

# --- attributes of the conventions ----------------------------------------------------------------------------------

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
TOKEN_TYPE = "gen_ai.token.type"
AGENT_NAME = "gen_ai.agent.name"
AGENT_VERSION = "gen_ai.agent.version"
CONVERSATION_ID = "gen_ai.conversation.id"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
ERROR_TYPE = "error.type"

# Content; only where it was asked for.
TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT = "gen_ai.tool.call.result"
OUTPUT_MESSAGES = "gen_ai.output.messages"

# --- attributes of ours ---------------------------------------------------------------------------------------------

OPERATION = "holdfast.operation"
RUN_ID = "holdfast.run.id"
RUN_STATUS = "holdfast.run.status"
RUN_STEPS = "holdfast.run.steps"
RUN_ATTEMPTS = "holdfast.run.attempts"
RUN_COST_USD = "holdfast.run.cost_usd"
WORKER = "holdfast.worker"
STEP_ID = "holdfast.step.id"
ATTEMPT = "holdfast.attempt"
SAFETY = "holdfast.safety"
OUTCOME = "holdfast.outcome"
START_INFERRED = "holdfast.start.inferred"
ARGUMENTS_BYTES = "holdfast.arguments.bytes"
RESULT_BYTES = "holdfast.result.bytes"
REQUEST_BYTES = "holdfast.request.bytes"
COST_USD = "holdfast.cost_usd"
TURN = "holdfast.turn"
PHASE = "holdfast.turn.phase"
PLAN_REVISION = "holdfast.plan.revision"
PLAN_STEPS = "holdfast.plan.steps"
PLAN_DROPPED = "holdfast.plan.dropped"
INTERRUPT_ID = "holdfast.interrupt.id"
INTERRUPT_KIND = "holdfast.interrupt.kind"
INTERRUPT_ABOUT = "holdfast.interrupt.about"
DECISION = "holdfast.decision"
RULE = "holdfast.policy.rule"
MONITOR = "holdfast.monitor"
PENDING_ABOUT = "holdfast.pending.about"
SIMULATED = "holdfast.simulated"
FORK_SOURCE = "holdfast.fork.source"
FORK_ENTRY = "holdfast.fork.entry"
FORK_MODE = "holdfast.fork.mode"
PARENT_RUN = "holdfast.parent.run.id"
PARENT_STEP = "holdfast.parent.step.id"
LINK = "holdfast.link"
GOAL = "holdfast.goal"

# Values of holdfast.link: why one span points at another.
READS, RETRY_OF, FORK_OF, STARTED_BY, STARTED, ASKED_ABOUT, LEFT_BY = (
    "reads", "retry_of", "fork_of", "started_by", "started", "asked_about", "left_by",
)  # fmt: skip

# --- labels of metrics that are no attribute of a span --------------------------------------------------------------

EVENT = "holdfast.event"
ROW = "holdfast.recovery.row"
ACTION = "holdfast.recovery.action"
STATUS = "holdfast.status"
CIRCUIT = "holdfast.circuit"
POLICY = "holdfast.policy"
WHAT = "holdfast.what"

# --- metrics of the conventions -------------------------------------------------------------------------------------

TOKEN_USAGE = "gen_ai.client.token.usage"
OPERATION_DURATION = "gen_ai.client.operation.duration"
INVOKE_AGENT_DURATION = "gen_ai.invoke_agent.duration"
EXECUTE_TOOL_DURATION = "gen_ai.execute_tool.duration"

# The bounds that they are recommended with.
TOKEN_BOUNDS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
OPERATION_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
# With a day and a week behind them, for runs that wait for people.
AGENT_BOUNDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6, 3600.0, 86400.0, 604800.0)
WAIT_BOUNDS = (1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0, 86400.0, 259200.0, 604800.0)
QUEUE_BOUNDS = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

# --- metrics of ours ------------------------------------------------------------------------------------------------

COMMITS = "holdfast.commits"
EVENTS = "holdfast.events"
RUNS_TAKEN_ON = "holdfast.runs.taken_on"
RUNS_ENDED = "holdfast.runs.ended"
STEPS_ENDED = "holdfast.steps.ended"
ATTEMPTS = "holdfast.attempts"
SIMULATED_CALLS = "holdfast.simulated.calls"
RETRIES = "holdfast.retries"
RECOVERIES = "holdfast.recoveries"
COST = "holdfast.cost.usd"
INTERRUPTS_OPENED = "holdfast.interrupts.opened"
INTERRUPTS_CLOSED = "holdfast.interrupts.closed"
INTERRUPT_DURATION = "holdfast.interrupt.duration"
PENDING_DURATION = "holdfast.pending.duration"
QUEUE_DURATION = "holdfast.queue.duration"

# Drawn from the store.
RUNS = "holdfast.runs"
QUEUE_AGE = "holdfast.queue.age"
QUEUE_RUNS = "holdfast.queue.runs"
CLAIMS_EXPIRED = "holdfast.claims.expired"
RUNS_OVERDUE = "holdfast.runs.overdue"
OLDEST_PENDING = "holdfast.pending.oldest"
OLDEST_INTERRUPT = "holdfast.interrupt.oldest"
STORE_BYTES = "holdfast.store.size"
CIRCUITS = "holdfast.circuit.open"
OVERRIDE_RATE = "holdfast.override.ratio"
RULINGS = "holdfast.rulings"
STORE_READ_AT = "holdfast.store.read.time"
MONITORS = "holdfast.monitor.tripped"

# Of telemetry itself.
DROPPED = "holdfast.telemetry.dropped"
EXPORTED = "holdfast.telemetry.exported"
EXPORT_FAILURES = "holdfast.telemetry.export_failures"

# What holdfast calls a provider (the first part of `provider:model`), and what the conventions call it.
PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google": "gcp.gen_ai",
    "google-cloud": "gcp.vertex_ai",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "grok": "x_ai",
    "groq": "groq",
    "mistral": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "openai": "openai",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "xai": "x_ai",
}


def provider_and_model(name: str) -> tuple[str, str]:
    """`provider:model` as the conventions name the two."""
    provider, _, model = name.rpartition(":")
    provider = provider.removeprefix("gateway/")
    return PROVIDERS.get(provider, provider), model
