"""A run that is killed in the middle of an effect and goes on in another process is one trace, each attempt in it once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import holdfast
from tests.telemetry.kit import plain, receiving

SOURCE = str(Path(holdfast.__file__).parents[1])
TOOLS = '''
import time
from pathlib import Path
from holdfast import tool

HERE = Path(__file__).parent

@tool(safety="read")
def look(what: str) -> str:
    """Look."""
    return what + " canary-7f3a"

@tool(safety="keyed", key_ttl="24h")
def slow(what: str) -> str:
    """Takes its time, and says when it began."""
    (HERE / "began").touch()
    while not (HERE / "go").exists():
        time.sleep(0.01)
    return what
'''
PLAN = """
goal: be killed
tools: tools.py
steps:
  a: {tool: look, args: {what: canary-7f3a}}
  b: {tool: slow, args: {what: {$ref: steps.a}}}
  c: {tool: look, args: {what: {$ref: steps.b}}}
"""


def test_a_killed_run_is_one_trace_in_which_nothing_is_told_twice(tmp_path: Path) -> None:
    """SIGKILL between intent and outcome: what the crash took says so, with the time at which it began in the dead process."""
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "plan.yaml").write_text(PLAN)
    with receiving() as receiver:
        environment = {**os.environ, **receiver.environment, "PYTHONPATH": SOURCE, "PYTHONDONTWRITEBYTECODE": "1"}
        words = [
            sys.executable,
            "-m",
            "holdfast.cli.main",
            "run",
            "plan.yaml",
            "--id",
            "r",
            "--lease",
            "1",
            "--telemetry",
            "otlp",
        ]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        began = time.time_ns()
        one = start()
        receiver.wait_for(2)  # The plan, and the first step.
        while not (tmp_path / "began").exists():
            assert one.poll() is None
            time.sleep(0.01)
        killed_at = time.time_ns()
        one.send_signal(signal.SIGKILL)
        one.wait()
        before = len(receiver.spans())
        (tmp_path / "go").touch()
        assert start().wait(timeout=60) == 0
        spans = receiver.wait_for(6)
        assert b"canary" not in b"".join(body for _, _, body in receiver.bodies)
        looking = [*words[:3], "replay", "r"]
        subprocess.run(looking, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)
        assert len(receiver.spans()) == len(spans), "to look is to tell nothing"
        counted = receiver.metrics()
    assert len({span.trace_id for span in spans}) == 1 and len({span.span_id for span in spans}) == len(spans)
    attempts = {}
    for span in spans:
        told = plain(span.attributes)
        if "holdfast.step.id" in told:
            attempts[f"{told['holdfast.step.id']}/{told['holdfast.attempt']}"] = (span, told)
    assert list(attempts) == ["a/1", "b/1", "b/2", "c/1"] and before == 2
    (lost, said), (again, _), (first, _), (last, _) = (attempts[name] for name in ("b/1", "b/2", "a/1", "c/1"))
    assert (said["holdfast.outcome"], said["error.type"], lost.status.code) == (
        "unknown",
        "crashed",
        lost.status.STATUS_CODE_ERROR,
    )
    assert "holdfast.start.inferred" not in said
    assert began < first.start_time_unix_nano <= lost.start_time_unix_nano < killed_at < lost.end_time_unix_nano
    assert lost.end_time_unix_nano <= again.start_time_unix_nano <= again.end_time_unix_nano <= last.start_time_unix_nano
    links = {
        name: {(link.span_id, plain(link.attributes)["holdfast.link"]) for link in span.links}
        for name, (span, _) in attempts.items()
    }
    assert links["b/2"] == {(lost.span_id, "retry_of"), (first.span_id, "reads")}
    assert links["b/1"] == {(first.span_id, "reads")} and links["c/1"] == {(again.span_id, "reads")}
    [run] = [span for span in spans if span.name == "invoke_agent plan"]
    assert {span.parent_span_id for span in spans} == {b"", run.span_id}
    assert began < run.start_time_unix_nano < killed_at < run.end_time_unix_nano
    rows = {plain(point.attributes)["holdfast.recovery.row"] for point in counted["holdfast.recoveries"].sum.data_points}
    assert rows == {"keyed-alive"}
