"""One numeric field of one machine over time, thinned to what a screen can show."""

from collections.abc import Callable, Mapping
from typing import Final

import pyarrow as pa

from isthmus.base.clock import Micros, to_datetime

Query = Callable[[str, Mapping[str, object] | None], pa.Table]
Point = tuple[Micros, float | None]

MOST_POINTS: Final = 2000


def series(  # noqa: PLR0917 - what, where, when: all are always given
    query: Query,
    machine: str,
    block: str,
    field: str,
    start: Micros,
    end: Micros,
    *,
    points: int = MOST_POINTS,
) -> list[Point]:
    """At most about `points` values, in order; minimum and maximum of each step are kept.

    A plain average would hide the peaks. `block` and `field` must be names of the model. Where
    the source was lost stands a None, so that a line breaks there.
    """
    params = {
        "machine": machine,
        "from": to_datetime(start),
        "to": to_datetime(end),
        "first_date": to_datetime(start).date(),
        "last_date": to_datetime(end).date(),
        "start": start,
        "width": step_of(start, end, points),
    }
    sql = _SERIES.format(block=block, field=field)
    return [(row["t"], row["v"]) for row in query(sql, params).to_pylist()]


def step_of(start: Micros, end: Micros, points: int) -> Micros:
    """Length of the step that gives two points."""
    return max(1, -(-2 * (end - start) // points))


_SERIES: Final = """
    WITH sample AS (
        SELECT epoch_us(time) AS t, CAST("{field}" AS DOUBLE) AS v,
            "{field}" IS NULL AS lost
        FROM "{block}"
        WHERE machine = $machine AND _date BETWEEN $first_date AND $last_date
            AND time >= $from AND time < $to
            -- A row that took in no sample and is bad says: the source was lost.
            AND ("{field}" IS NOT NULL OR (_quality = 2 AND _samples = 0))
    ),
    step AS (SELECT *, (t - $start) // $width AS step FROM sample),
    peak AS (
        SELECT unnest([
            {{'t': arg_min(t, v), 'v': min(v)}}, {{'t': arg_max(t, v), 'v': max(v)}}
        ], recursive := true)
        FROM step WHERE NOT lost GROUP BY step
    )
    SELECT DISTINCT t, v FROM peak
    UNION ALL SELECT DISTINCT t, NULL FROM sample WHERE lost
    ORDER BY t
"""
