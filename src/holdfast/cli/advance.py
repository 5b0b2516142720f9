"""`answer … approve --standing`: a yes to what is asked, and in advance to calls like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from holdfast.cli.given import ahead, amount
from holdfast.cli.options import wrong
from holdfast.errors import AnswerRefused

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.inbox import Speaker
    from holdfast.journal.people import StandingApproval


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted in advance. until: as it was given; same_args: only with the arguments of the call that is asked about."""

    until: str
    same_args: bool
    amount_max: float | None
    uses_max: int | None

    @staticmethod
    def of(decision: str, until: str | None, same_args: bool, amount_max: float | None, uses: int | None) -> Wanted | None:
        """What the options say; None where nothing is wanted in advance."""
        if until is None:
            scope = {"--same-args": same_args, "--amount-max": amount_max is not None, "--uses": uses is not None}
            for option, is_given in scope.items():
                if is_given:
                    wrong(f"{option} is said of what is approved in advance", "add --standing 7d, or leave it out")
            return None
        if decision != "approve":
            wrong(f"--standing is a yes, and {decision} is none", "approve … --standing 7d")
        return Wanted(until=until, same_args=same_args, amount_max=amount(amount_max, "--amount-max"), uses_max=uses)

    async def given(
        self, app: Holdfast, run_id: str, interrupt: str | None, who: Speaker, note: str
    ) -> StandingApproval:  # fmt: skip
        """The approval, which nobody has been given yet: it is looked at whether it can be, before anything is answered."""
        from holdfast.inbox.granting import Scope, granted
        from holdfast.inbox.speech import which
        from holdfast.runner.clock import SystemClock

        asked = which(await app.state(run_id), interrupt)
        row = await app.journal.open_interrupt(run_id, asked.interrupt)
        if row is None:
            raise AnswerRefused(f"{asked.interrupt} is not in the inbox", run_id=run_id, hint="approve it without --standing")
        now = SystemClock().now()
        scope = Scope(
            tool=row.tool, args=row.args if self.same_args else {}, amount_max=self.amount_max, uses_max=self.uses_max
        )  # fmt: skip
        return granted(scope, who, row, ahead(self.until, now, "--standing") - now, note, now)
