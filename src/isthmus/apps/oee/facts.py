"""The facts behind every OEE figure: sums per machine × hour × shift × order."""

from collections.abc import Sequence

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.inputs import count_params, statement, window_params
from isthmus.base.clock import Micros
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
