"""Calls of which nobody knows whether they happened: the recovery table is asked, and what it says is done."""

from __future__ import annotations

import msgspec

from holdfast.core import events as e
from holdfast.core import recovery
from holdfast.core.commands import RunProbe
from holdfast.core.contract import Contract
from holdfast.core.decide.gates import Gates
from holdfast.core.references import Missing
from holdfast.core.retry import next_wait
from holdfast.core.state import StepState


class Doubts(Gates):
    """See the module's text."""

    def _settle_flying(self, step: StepState) -> None:
        if step.fence < self.state.fence:
            self._rule(
                e.CallUnknown(step=step.step.id, attempt=step.attempt, why="its worker was lost during the call", crashed=True)
            )
            self._settle_doubt(self.state.steps[step.step.id])

    def _settle_probing(self, step: StepState) -> None:
        if step.fence < self.state.fence:
            self._settle_probe_wait(step)  # Whoever asked is gone; what was delivered meanwhile need not be asked again.

    def _settle_doubt(self, step: StepState) -> None:
        if step.callback is not None:
            self._take_callback(step)
            return
        contract = self._contract(step)
        if self._is_left_unknown(step):
            return
        row = recovery.rule(self._doubt(step, contract))
        name = step.step.id
        if row.action == "probe":
            due_at = self._probe_due(step, contract)
            if not self._stopping() or due_at <= self.now or self._on_stop() != "keep":
                self._rule(e.RecoveryRuled(step=name, row=row.label, action="probe", reason=row.reason, due_at=due_at))
        elif row.action == "repeat":
            if not self._stopping():
                due_at = self.now + self._lost_wait(step, contract)
                self._rule(e.RecoveryRuled(step=name, row=row.label, action="repeat", reason=row.reason, due_at=due_at))
            elif step.verdict == "not_happened" or contract.safety == "read":
                # It is not made again any more; that it did not happen, or changed nothing, is known all the same.
                self._rule(e.RecoveryRuled(step=name, row=row.label, action="fail", reason=row.reason))
        elif row.action in ("take", "fail"):
            self._rule(e.RecoveryRuled(step=name, row=row.label, action=row.action, reason=row.reason))
        elif not self._stopping():
            self._rule(e.RecoveryRuled(step=name, row=row.label, action="ask", reason=row.reason))
            seen = f" ({step.probe_message})" if step.probe_message else ""
            self._ask_about_doubt(step, contract, f"{row.reason}{seen}")

    def _is_left_unknown(self, step: StepState) -> bool:
        """A person cancelled at the question, or nobody answered it: what they were asked stays unknown. Of an undo that is said
        at once, for the others wait for it."""
        if not step.spent or step.failure is None or step.failure.detail != e.BY_A_PERSON:
            return False
        if self.state.stop == "undo":
            reason = f"nobody knows whether it happened ({step.failure.message})"
            self._rule(e.StepSkipped(step=step.step.id, reason=reason, flagged=True))
        return True

    def _take_callback(self, step: StepState) -> None:
        """Whoever delivers the result of a call has had the call."""
        assert step.callback is not None, f"{step.step.id} has no callback"
        if step.callback.failure is None:
            row, action, reason = "callback", "take", "its result was delivered"
        else:
            row, action, reason = "callback-failed", "fail", "the other side says that it could not be done"
        self._rule(e.RecoveryRuled(step=step.step.id, row=row, action=action, reason=reason))  # type: ignore[arg-type]

    def _doubt(self, step: StepState, contract: Contract, spent: bool = False) -> recovery.Doubt:
        since = step.doubt_since if step.doubt_since is not None else self.now
        return recovery.Doubt(
            safety=contract.safety,
            key="alive" if self._key_alive(step, contract) else "expired",
            probe=contract.probe,
            verdict=step.verdict,
            settled=step.verdict != "none" and step.probed_at >= step.settle_at,
            window=self.now < since + contract.probe_window_seconds,
            repeats=step.lost < self.state.limits.lost_max and not step.spent and not spent,
        )

    def _key_alive(self, step: StepState, contract: Contract) -> bool:
        """Whether a call sent now has landed, be it lost, before the other side may have forgotten the key."""
        if contract.key_ttl_seconds is None:
            return True
        since = step.first_sent_at if step.first_sent_at is not None else self.now
        landed = self.now + self._timeout(step, contract) + contract.settles_within_seconds
        return landed <= since + contract.key_ttl_seconds

    def _lost_wait(self, step: StepState, contract: Contract) -> float:
        """A call that a crash took is made again at once; one that keeps being lost backs off like a failure."""
        if step.verdict == "not_happened" or (step.crashed and step.lost <= 1):
            return 0.0
        retry = msgspec.structs.replace(contract.retry, attempts_max=1_000_000)
        return next_wait(retry, max(step.lost, 1), run_id=self.state.run_id, step=step.step.id) or 0.0

    def _probe_due(self, step: StepState, contract: Contract) -> float:
        """At once the first time; then on a doubling schedule, and never before a "no" could be final."""
        if step.verdict == "none":
            return self.now
        if step.verdict == "not_happened" and step.doubt_since is not None:
            return max(step.settle_at, self.now)
        wait = contract.probe_seconds * 2.0 ** min(max(step.probe - 1, 0), 20)
        return self.now + min(wait, max(contract.probe_window_seconds / 8, contract.probe_seconds))

    def _settle_probe_wait(self, step: StepState) -> None:
        if step.callback is not None:
            self._take_callback(step)
        elif step.due_at <= self.now:
            self._probe(step)
        else:
            self._wake(step.due_at)

    def _probe(self, step: StepState) -> None:
        self._intend_probe(step, step.probe + 1, owed=False)

    def _intend_probe(self, step: StepState, number: int, *, owed: bool) -> None:
        """Ask the tool whether the call happened, or whether what it owes has come."""
        contract = self._contract(step)
        try:
            expect = self._expected(step)
        except Missing:
            expect = None  # The call was made, so there was nothing missing then; its answer is judged without.
        self._rule(e.ProbeIntended(step=step.step.id, probe=number))
        self.commands.append(
            RunProbe(
                step=step.step.id,
                probe=number,
                attempt=step.attempt,
                tool=step.tool,
                args=step.args or {},
                key=step.key,
                occurrence=step.occurrence,
                timeout_seconds=contract.timeout_seconds,
                owed=owed,
                handle=step.handle,
                expect=expect,
            )
        )
