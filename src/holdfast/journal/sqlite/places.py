"""What calls of all workers share: slots, and the gates of tools. Asked before a batch is written, changed with it."""

from __future__ import annotations

import json

import apsw
import msgspec

from holdfast.core.gates import GateState
from holdfast.journal.base import Batch, Full
from holdfast.journal.gating import Gating, gating
from holdfast.journal.sqlite.file import all_rows, one_row

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(GateState).decode
_NO_GATING = Gating()


def asked(connection: apsw.Connection, batch: Batch, number: int) -> tuple[Full | None, Gating]:
    """What the batch asks for that is not to be had, and what its gates say. number: of its run."""
    full = _full_slots(connection, batch, number) if batch.slots else {}
    gates = gating(batch, lambda tool: _gate(connection, tool)) if batch.gated or batch.heard else _NO_GATING
    for name, free in gates.free.items():
        places, holder = full.get(name, (free, ""))
        full[name] = min(places, free), holder
    if not full and not gates.held:
        return None, gates
    names = tuple(full)
    return Full(names, tuple(full[n][0] for n in names), tuple(full[n][1] for n in names), gates.held), gates


def keep_gates(connection: apsw.Connection, states: dict[str, GateState]) -> None:
    """Write what is known of these gates now."""
    for tool, state in states.items():
        connection.execute(
            "insert into gates values (?, ?) on conflict (tool) do update set state = excluded.state", (tool, _pack(state))
        )


def gates(connection: apsw.Connection) -> dict[str, GateState]:
    """All that is known."""
    return {tool: _unpack(state) for tool, state in all_rows(connection, "select tool, state from gates order by tool")}


def _gate(connection: apsw.Connection, tool: str) -> GateState | None:
    row = one_row(connection, "select state from gates where tool = ?", (tool,))
    return _unpack(row[0]) if row is not None else None


def reset_gate(connection: apsw.Connection, tool: str) -> bool:
    """Forget one; whether it was there."""
    connection.execute("delete from gates where tool = ?", (tool,))
    return connection.changes() > 0


def _full_slots(connection: apsw.Connection, batch: Batch, number: int) -> dict[str, tuple[int, str]]:
    """Which of the wanted slots have too few places left, how many, and a run that holds one. Those that this very batch
    gives back, and those that its steps hold already, are not in its way; those whose time is over are in nobody's."""
    full: dict[str, tuple[int, str]] = {}
    freed = json.dumps(batch.freed)
    for name in dict.fromkeys(slot.name for slot in batch.slots):
        wanted = {slot.step: slot.capacity for slot in batch.slots if slot.name == name}
        capacity = next(iter(wanted.values()))
        ((taken, holder),) = all_rows(
            connection,
            "select count(*), max(run) from slots where name = ? and (until is null or until > ?) and not (run = ? and"
            " (step in (select value from json_each(?)) or until is null and step in (select value from json_each(?))))",
            (name, batch.at, number, json.dumps((*wanted, *batch.settled)), freed),
        )
        if taken + len(wanted) > capacity:
            held_by = one_row(connection, "select run_id from runs where id = ?", (holder,)) if taken else None
            full[name] = max(capacity - taken, 0), held_by[0] if held_by is not None else ""
    return full


def give_back_slots(connection: apsw.Connection, batch: Batch, number: int) -> None:
    """Of the steps that need them no more."""
    for step in batch.freed:
        connection.execute("delete from slots where run = ? and step = ? and until is null", (number, step))
    for step in batch.settled:
        connection.execute("delete from slots where run = ? and step = ?", (number, step))


def take_slots(connection: apsw.Connection, batch: Batch, number: int) -> None:
    """For steps of this run; `asked` has found room for them."""
    for slot in batch.slots:
        if slot.until is not None:
            # Nobody may ever ask for that name again, so what is over goes whenever something of its kind comes.
            connection.execute("delete from slots where until <= ?", (batch.at,))
        connection.execute(
            "insert into slots (name, run, step, until) values (?,?,?,?)"
            " on conflict (name, run, step) do update set until = excluded.until",
            (slot.name, number, slot.step, slot.until),
        )
