"""The facts behind every OEE figure: sums per machine × hour × shift × order."""

from collections.abc import Sequence

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.inputs import count_params, statement, window_params
from isthmus.base.clock import Micros
from isthmus.data.facts import FactSpec, Input
from isthmus.flow.parcel import TIME
from isthmus.model.plant import Machine, Plant

_SECONDS = (
    "pot_s", "pbt_s", "apt_s", "aust_s", "adet_s", "adot_s", "unknown_s", "planned_down_s",
    "aoet_s",
)  # fmt: skip

FACT_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("machine", "site", "area", "line")),
        *(pa.field(name, TIME) for name in ("hour", "start", "end")),
        pa.field("shift", pa.string()),
        pa.field("shift_day", pa.date32()),
        *(pa.field(name, pa.string()) for name in ("production_order", "operation", "material")),
        *(pa.field(name, pa.float64()) for name in _SECONDS),
        *(pa.field(name, pa.int64()) for name in ("produced", "good", "scrap", "rework")),
        pa.field("ideal_s", pa.float64()),
        pa.field("ideal_good_s", pa.float64()),
        pa.field("failures", pa.int64()),
        pa.field("repair_s", pa.float64()),
        pa.field("operating_s", pa.float64()),
        pa.field("target", pa.float64()),
    ]
)
"""`oee_fact` without its system columns. `target` is the number of parts that the planned busy
time allowed at the ideal cycle."""


def facts(
    query: Query,
    plant: Plant,
    machines: Sequence[Machine],
    start: Micros,
    end: Micros,
    *,
    now: Micros,
) -> pa.Table:
    """Facts of these machines in `[start, end)`, from the rows; the future counts nothing."""
    end = min(end, now)
    if start >= end or not machines:
        return FACT_SCHEMA.empty_table()
    params = window_params(query, plant, machines, start, end) | count_params(machines)
    return query(statement(plant, "window", "facts"), params).cast(FACT_SCHEMA)


# A state holds until the machine's next one, and whether that one begins a failure depends on it.
_BY_STATE = """
    WITH late AS (
        SELECT DISTINCT unnest($machine::VARCHAR[]) AS machine, unnest($time::BIGINT[]) AS s
    ),
    later AS (
        SELECT machine, epoch_us(time) AS t FROM machine_state
        WHERE machine IN (SELECT machine FROM late) AND (state IS NOT NULL OR _quality = 2)
            AND time > make_timestamptz((SELECT min(s) FROM late))
    )
    SELECT late.machine, s, coalesce(later.t, $now) AS e
    FROM late ASOF LEFT JOIN later ON late.machine = later.machine AND late.s < later.t
"""
_BY_COUNT = """
    SELECT DISTINCT unnest($machine::VARCHAR[]) AS machine, unnest($time::BIGINT[]) AS s,
        least(s, $now) AS e
"""
# An order runs until the next one on the machine begins, and the part counted at that moment is its
# own. All versions count: where it was believed to run before, facts change as well.
_UNTIL_NEXT_ORDER = """
    following AS (SELECT machine, epoch_us("start") AS t FROM order_run)
    SELECT version.machine, s, coalesce(following.t + 1, $now) AS e
    FROM version ASOF LEFT JOIN following
        ON version.machine = following.machine AND version.s < following.t
"""
_BY_OPERATION = f"""
    WITH changed AS (
        SELECT DISTINCT unnest($system::VARCHAR[]) AS system, unnest($key::VARCHAR[]) AS key
    ),
    version AS (
        SELECT DISTINCT machine, epoch_us(actual_start) AS s
        FROM operation_history JOIN changed USING (system, key)
        WHERE machine IS NOT NULL AND actual_start IS NOT NULL
    ),
    {_UNTIL_NEXT_ORDER}
"""
_BY_PRODUCTION_ORDER = f"""
    WITH changed AS (
        SELECT DISTINCT unnest($system::VARCHAR[]) AS system,
            unnest($key::VARCHAR[]) AS production_order
    ),
    version AS (
        SELECT DISTINCT machine, epoch_us(actual_start) AS s
        FROM operation_history JOIN changed USING (system, production_order)
        WHERE machine IS NOT NULL AND actual_start IS NOT NULL
    ),
    {_UNTIL_NEXT_ORDER}
"""
# Its ideal cycle may be another one.
_BY_MATERIAL = """
    SELECT machine, epoch_us("start") AS s, coalesce(epoch_us("end") + 1, $now) AS e
    FROM order_run WHERE material IN (SELECT unnest($key::VARCHAR[]))
"""

OEE_FACT = FactSpec(
    name="oee_fact",
    schema=FACT_SCHEMA,
    inputs=(
        Input("machine_state", ("machine", "time"), _BY_STATE, live="time"),
        Input("part_count", ("machine", "time"), _BY_COUNT, live="time"),
        Input("operation", ("system", "key"), _BY_OPERATION, history="operation_history"),
        Input(
            "production_order",
            ("system", "key"),
            _BY_PRODUCTION_ORDER,
            history="production_order_history",
        ),
        Input("material", ("key",), _BY_MATERIAL, history="material_history"),
    ),
    compute=facts,
)
"""What the keeper of `oee_fact` needs to know."""
