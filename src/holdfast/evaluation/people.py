"""What people say in a case: the first answer of its list that matches a question, said when they have taken their time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from holdfast.app import Holdfast
from holdfast.errors import HoldfastError, UsageError
from holdfast.evaluation.records import Answer
from holdfast.journal.people import OpenInterrupt


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that will be given, and when."""

    at: float
    row: OpenInterrupt
    answer: Answer


class People:
    """All who are asked in one run. refused: answers that could not be taken, in words."""

    def __init__(self, answers: Sequence[Answer]):
        self.refused: list[str] = []
        self._answers = tuple(answers)
        self._used: Counter[int] = Counter()
        self._chosen: dict[tuple[str, str, int], int | None] = {}

    async def due(self, app: Holdfast) -> list[Due]:
        """What will be said to what is open now, the soonest first."""
        found = []
        for row in await app.inbox.list():
            chosen = self._choose(row)
            if chosen is not None:
                answer = self._answers[chosen]
                found.append(Due(at=row.asked_at + answer.after_seconds, row=row, answer=answer))
        return sorted(found, key=lambda due: (due.at, due.row.run_id, due.row.interrupt))

    def _choose(self, row: OpenInterrupt) -> int | None:
        """The answer for a question, chosen once; several people who must approve are one question each."""
        place = (row.run_id, row.interrupt, len(row.approvals))
        if place not in self._chosen:
            number = next((at for at, one in enumerate(self._answers) if self._is_left(at) and _fits(one, row)), None)
            self._chosen[place] = number
            if number is not None:
                self._used[number] += 1
        return self._chosen[place]

    def _is_left(self, number: int) -> bool:
        times = self._answers[number].times
        return times is None or self._used[number] < times

    async def say(self, app: Holdfast, due: Due) -> None:
        """Give an answer. One that cannot be taken is noted, and the question stays open."""
        row, answer = due.row, due.answer
        try:
            by = await self._speaker(app, row, answer)
            await app.inbox.decide(
                row.run_id, answer.say, by, interrupt=row.interrupt, value=answer.value, note=answer.note, force=True
            )
        except HoldfastError as refused:
            about = row.tool or row.step or row.kind
            self.refused.append(f"{answer.say} to the {row.kind} about {about}: {refused.what}")
            self._chosen[row.run_id, row.interrupt, len(row.approvals)] = None

    async def _speaker(self, app: Holdfast, row: OpenInterrupt, answer: Answer) -> str:
        """Who says it; the directory of the store knows them. Without a name it is somebody who may."""
        known = {person.name: person for person in await app.inbox.people()}
        taken = {*row.approvals, *row.not_by}
        named = next((name for name in row.who if name in known and name not in taken), None)
        if answer.by or named:
            name, roles = answer.by or str(named), answer.roles
        else:
            name = next(name for number in range(1, 1000) if (name := f"person-{number}") not in taken)
            roles = answer.roles or tuple(role for role in row.who if role not in known)
        # Where the directory is empty and the question names nobody, anybody may; else it has to know them.
        if roles or known or row.who:
            before = known[name].roles if name in known else ()
            try:
                await app.inbox.put_person(name, dict.fromkeys((*before, *roles)))
            except UsageError as wrong:
                raise UsageError(f"{name} cannot be known: {wrong.what}") from wrong
        return name


def _fits(answer: Answer, row: OpenInterrupt) -> bool:
    wanted = ((answer.tool, row.tool), (answer.step, row.step), (answer.rule, row.rule), (answer.kind, row.kind))
    return all(not said or said == there for said, there in wanted)
