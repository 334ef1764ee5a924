"""Shifts as elapsed time."""

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from isthmus.base.clock import iso, to_datetime
from isthmus.web.api.asked import Days400, Paged, Place, Running
from isthmus.web.api.errors import NOT_FOUND

router = APIRouter(tags=["shifts"], responses=NOT_FOUND)


class ShiftOut(BaseModel):
    """One shift of one line."""

    site: str = Field(examples=["hamburg"])
    line: str = Field(description="Asset path.", examples=["acme/hamburg/moulding/line-1"])
    shift: str = Field(examples=["early"])
    day: str = Field(description="Production day.", examples=["2026-11-17"])
    start: str = Field(examples=["2026-11-17T05:00:00Z"])
    end: str = Field(examples=["2026-11-17T13:00:00Z"])
    seconds: float = Field(
        description="Elapsed: a night shift has 7 or 9 hours twice a year.", examples=[28800.0]
    )


_SHIFTS: Final = """
    SELECT DISTINCT site, array_to_string(string_split(machine, '/')[1:4], '/') AS line, shift,
        strftime("day", '%Y-%m-%d') AS "day", epoch_us("start") AS "start", epoch_us("end") AS "end"
    FROM shift
    WHERE machine IN (SELECT unnest($machines::VARCHAR[])) AND "start" < $to AND "end" > $from
    ORDER BY "start", line
"""


@router.get("/shifts")
def get_shifts(platform: Running, scope: Place, window: Days400, part: Paged) -> list[ShiftOut]:
    """Shifts that touch the window, whole, by line; 70 days back and two weeks ahead."""
    params = {
        "machines": [machine.path for machine in platform.plant.scope(scope)],
        "from": to_datetime(window.start),
        "to": to_datetime(window.end),
    }
    return [_shift(row) for row in part.of(platform.lake.query(_SHIFTS, params).to_pylist())]


def _shift(row: dict[str, Any]) -> ShiftOut:
    start, end = row["start"], row["end"]
    times = {"start": iso(start), "end": iso(end), "seconds": (end - start) / 1e6}
    return ShiftOut(**row | times)
