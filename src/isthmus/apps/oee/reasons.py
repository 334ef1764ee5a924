"""Stop reasons: giving one, splitting a stop, taking one back; the caller appends the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from secrets import token_hex
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.losses import find_stop
from isthmus.apps.oee.timeline import parse_stop_id
from isthmus.apps.oee.view import Stop
from isthmus.base.clock import Micros, iso, to_datetime, to_micros
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.plant import Plant

REASON_SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("machine", pa.string()),
        pa.field("start", TIME),
        pa.field("end", TIME),
        pa.field("reason", pa.string()),
        pa.field("comment", pa.string()),
        pa.field("author", pa.string()),
        pa.field("recorded", TIME),
        pa.field("withdrawn", pa.bool_()),
        pa.field("_source", pa.string()),
        pa.field("_received", TIME),
        pa.field("_samples", pa.int32()),
        pa.field("_quality", pa.int16()),
    ]
)
"""Rows of `stop_reason`, as the log takes them."""


class ReasonError(ValueError):
    """The reason, the machine or the stretch of time is not one we know."""


@dataclass(frozen=True)
class Given:
    """A reason that was given: append `rows`; `id` takes it back."""

    id: str
    rows: Rows


@dataclass(frozen=True)
class Piece:
    """One part of a stop that is split."""

    start: Micros
    end: Micros | None
    reason: str
    comment: str = ""


def give(
    query: Query,
    plant: Plant,
    stop: str,
    reason: str,
    *,
    author: str,
    now: Micros,
    comment: str = "",
) -> Given:
    """The whole stop has this reason, from its start for as long as it lasts.

    A reason that was given for the same stop before is replaced.
    """
    start = _parsed(stop)[1]
    return split(query, plant, stop, [Piece(start, None, reason, comment)], author=author, now=now)


def split(
    query: Query,
    plant: Plant,
    stop: str,
    pieces: Sequence[Piece],
    *,
    author: str,
    now: Micros,
) -> Given:
    """Each piece of the stop has its own reason; what was said about it before is withdrawn.

    A piece that begins where an earlier reason did keeps its id: it corrects that reason, and
    is no second opinion.
    """
    machine, _ = _parsed(stop)
    _check(plant, machine, pieces)
    found = find_stop(query, plant, stop, now=now)
    if found is None:
        raise ReasonError(f"`{machine}` did not stand at {iso(pieces[0].start)}")
    before = _said_about(query, found, now)
    known = {to_micros(row["start"]): row["id"] for row in before}
    ids = [known.get(piece.start) or token_hex(8) for piece in pieces]
    rows = [_row(id_, machine, piece, author, now) for id_, piece in zip(ids, pieces, strict=True)]
    rows += [
        row | {"withdrawn": True} | _recorded(author, now) for row in before if row["id"] not in ids
    ]
    return Given(ids[0], _rows(rows))


def withdraw(query: Query, id_: str, *, author: str, now: Micros) -> Rows | None:
    """Take a reason back; None if there is none with this id."""
    sql = f"SELECT {_COLUMNS} FROM stop_reason WHERE id = $id"
    found = query(sql, {"id": id_}).to_pylist()
    if not found:
        return None
    return _rows([row | {"withdrawn": True} | _recorded(author, now) for row in found])


_COLUMNS: Final = 'id, machine, "start", "end", reason, comment, author'

_SAID: Final = f"""
    SELECT {_COLUMNS} FROM stop_reason
    WHERE machine = $machine AND "start" >= $start AND "start" < $end
"""


def _said_about(query: Query, stop: Stop, now: Micros) -> list[dict[str, Any]]:
    params = {
        "machine": stop.machine,
        "start": to_datetime(stop.start),
        "end": to_datetime(stop.end if stop.end is not None else now),
    }
    found: list[dict[str, Any]] = query(_SAID, params).to_pylist()
    return found


def _parsed(stop: str) -> tuple[str, Micros]:
    try:
        return parse_stop_id(stop)
    except ValueError:
        raise ReasonError(f"`{stop}` is no stop: expected `machine@microseconds`") from None


def _check(plant: Plant, machine: str, pieces: Sequence[Piece]) -> None:
    if machine not in plant.machines:
        raise ReasonError(f"no machine `{machine}` in this plant")
    known = {reason.reason for reason in plant.reasons}
    for piece in pieces:
        if piece.reason not in known:
            raise ReasonError(f"no reason `{piece.reason}` in the model")
        if piece.end is not None and piece.end <= piece.start:
            raise ReasonError("a piece of a stop must end after it starts")
    for one, following in pairwise(pieces):
        if one.end is None or one.end > following.start:
            raise ReasonError("pieces of a stop must follow one another without overlap")
    if not pieces:
        raise ReasonError("give at least one piece")


def _row(id_: str, machine: str, piece: Piece, author: str, now: Micros) -> dict[str, Any]:
    return {
        "id": id_,
        "machine": machine,
        "start": to_datetime(piece.start),
        "end": None if piece.end is None else to_datetime(piece.end),
        "reason": piece.reason,
        "comment": piece.comment,
        "withdrawn": False,
    } | _recorded(author, now)


def _recorded(author: str, now: Micros) -> dict[str, Any]:
    moment = to_datetime(now)
    return {
        "author": author,
        "recorded": moment,
        "_source": "people",
        "_received": moment,
        "_samples": 0,
        "_quality": 0,
    }


def _rows(rows: Sequence[Mapping[str, Any]]) -> Rows:
    return Rows("stop_reason", pa.Table.from_pylist(list(rows), schema=REASON_SCHEMA))
