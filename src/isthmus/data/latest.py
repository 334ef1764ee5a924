"""What was heard last: of each source, and of each field of a machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from isthmus.base.clock import DAY, Micros, to_datetime
from isthmus.model.plant import FieldMap, Machine, Plant

Query = Callable[[str, Mapping[str, object] | None], pa.Table]

LOOK_BACK: Final = 7 * DAY
"""What is older is not worth opening all files for: it is shown as never heard."""


@dataclass(frozen=True)
class Latest:
    """The last value of one field of a machine."""

    block: str
    field: str
    type: str
    unit: str
    number: float | None
    text: str | None
    """Also of numbers, as it is stored."""
    at: Micros | None
    """None: nothing came in the last seven days."""
    quality: int
    """0 good, 1 uncertain, 2 bad."""
    lost: Micros | None
    """Since then the source told us nothing; None: it does."""

    @property
    def stale(self) -> bool:
        return self.lost is not None and (self.at is None or self.lost >= self.at)


def heard(query: Query, plant: Plant, *, now: Micros) -> dict[str, Micros]:
    """Source → when its last sample that went into a row was received."""
    since = to_datetime(now - DAY).date()
    parts = " UNION ALL ".join(
        f'SELECT _source, max(_received) AS last FROM "{block}"'
        " WHERE _date >= $since AND _samples > 0 GROUP BY _source"
        for block in plant.blocks
    )
    sql = f"SELECT _source AS source, epoch_us(max(last)) AS last FROM ({parts}) GROUP BY _source"
    if not plant.blocks:
        return {}
    return {row["source"]: row["last"] for row in query(sql, {"since": since}).to_pylist()}


def latest(query: Query, plant: Plant, machine: Machine, *, now: Micros) -> list[Latest]:
    """Every mapped field of a machine, in the order of its type."""
    if not machine.maps:
        return []
    params = {
        "machine": machine.path,
        "since": to_datetime(now - LOOK_BACK).date(),
        "now": to_datetime(now),
    }
    blocks = dict.fromkeys(one.block for one in machine.maps)
    own = ", ".join(f'"own_{block}" AS ({_OWN.format(block=block)})' for block in blocks)
    fields = " UNION ALL ".join(_field(number, one) for number, one in enumerate(machine.maps))
    rows = query(f"WITH {own} {fields} ORDER BY number_", params).to_pylist()
    return [
        Latest(
            block=one.block,
            field=one.field,
            type=one.type,
            unit=plant.blocks[one.block].fields[one.field].unit or "",
            number=row["number"],
            text=row["text"],
            at=row["seen"],
            quality=row["quality"] or 0,
            lost=row["lost"],
        )
        for one, row in zip(machine.maps, rows, strict=True)
    ]


_OWN: Final = """
    SELECT * FROM "{block}" WHERE machine = $machine AND _date >= $since AND time <= $now
"""


def _field(number: int, one: FieldMap) -> str:
    counts: Sequence[str] = ("number", "integer", "counter")
    as_number = f'CAST("{one.field}" AS DOUBLE)' if one.type in counts else "NULL::DOUBLE"
    last = "(time, _received)"
    # An aggregate without groups always gives one row, also where nothing ever came.
    return f"""
        SELECT {number} AS number_, arg_max({as_number}, {last}) AS number,
            arg_max(CAST("{one.field}" AS VARCHAR), {last}) AS text,
            epoch_us(max(time)) AS seen, arg_max(_quality, {last}) AS quality,
            (SELECT epoch_us(max(time)) FROM "own_{one.block}"
                WHERE _quality = 2 AND _samples = 0) AS lost
        FROM "own_{one.block}" WHERE "{one.field}" IS NOT NULL
    """
