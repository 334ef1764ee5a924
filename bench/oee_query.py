"""OEE of 1,000 machines over one year, by site and month, from the kept facts in Delta files.

`python -m bench oee_query` prints the figures and writes bench/results/oee_query.json.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from bench.result import Figure, quantile, save

from isthmus.apps.oee.facts import FACT_SCHEMA
from isthmus.apps.oee.kpi import kpi
from isthmus.base.clock import DAY, HOUR, to_datetime
from isthmus.data.fact_table import FactTable
from isthmus.model.plant import Machine, Plant

SITES = 10
MACHINES = 1_000
DAYS = 365
START = 1_767_225_600_000_000
"""2026-01-01T00:00Z."""
ROUNDS = 7
BUDGET_S = 0.5


def plant() -> Plant:
    found = [
        _machine(f"acme/site-{n % SITES}/hall/line-{n // 100}/m-{n:04d}") for n in range(MACHINES)
    ]
    return Plant(
        "acme", "ACME", "UTC", "en", sites={}, machines={m.path: m for m in found}, sources={},
        systems={}, blocks={}, code_systems={}, machine_types={}, materials={},
    )  # fmt: skip


def _machine(path: str) -> Machine:
    _, site, area, line, name = path.split("/")
    return Machine(path, name, site, area, line, "im", "src", (), (), 10.0, (), "UTC", 120.0, 1.3)


def day_of_facts(db: duckdb.DuckDBPyConnection, day: int) -> pa.Table:
    """24 hours of every machine, three shifts."""
    found = db.sql(f"""
        SELECT machine, split_part(machine, '/', 2) AS site, 'hall' AS area,
            split_part(machine, '/', 4) AS line,
            make_timestamptz(({START + day * DAY} + h * {HOUR})::BIGINT) AS hour, hour AS "start",
            hour + INTERVAL 1 HOUR AS "end", ['night', 'early', 'late'][1 + h // 8] AS shift,
            hour::DATE AS shift_day, 'p' || {day} AS production_order, 'o' AS operation,
            'm' || {day % 50} AS material, 3600.0 AS pot_s, 3400.0 AS pbt_s,
            2500.0 + hash(machine || h) % 600 AS apt_s, 200.0 AS aust_s, 100.0 AS adet_s,
            0.0 AS adot_s, 0.0 AS unknown_s, 200.0 AS planned_down_s, 3600.0 AS aoet_s,
            240::BIGINT AS produced, 230::BIGINT AS good, 10::BIGINT AS scrap, 0::BIGINT AS rework,
            2400.0 AS ideal_s, 2300.0 AS ideal_good_s, 1::BIGINT AS failures, 60.0 AS repair_s,
            apt_s AS operating_s, 340.0 AS target, true AS _fact
        FROM path, range(24) r(h)
    """).to_arrow_table()
    return found.cast(pa.schema([*FACT_SCHEMA, pa.field("_fact", pa.bool_())]))


def measure(folder: Path) -> dict[str, Any]:
    made = plant()
    db = duckdb.connect(config={"threads": 2})
    db.execute("SET parquet_metadata_cache = true")
    db.register("path", pa.table({"machine": list(made.machines)}))
    table = FactTable(folder / "oee_fact", FACT_SCHEMA)
    month = 28
    for first in range(0, DAYS, month):
        days = [day_of_facts(db, day) for day in range(first, min(first + month, DAYS))]
        table.replace(pa.concat_tables(days), {}, None)
    db.execute(f"CREATE TEMP VIEW oee_fact AS SELECT * FROM {table.sql()}")

    def query(sql: str, params: Any = None) -> pa.Table:
        return db.sql(sql, params=dict(params or {})).to_arrow_table()

    end = START + DAYS * DAY
    took, used = [], []
    for _ in range(ROUNDS):
        begin, cpu = time.perf_counter(), time.process_time()
        rows = kpi(query, made, "acme", START, end, ("site", "month"), now=end)
        took.append(time.perf_counter() - begin)
        used.append(time.process_time() - cpu)
    return {
        "best": round(min(took), 3),
        "median": round(quantile(took, 0.5), 3),
        "facts": MACHINES * DAYS * 24,
        "files": table.sql().count(".parquet"),
        "until": to_datetime(end).isoformat(),
        "groups": len(rows),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        found = measure(Path(place))
    save(
        "oee_query",
        "OEE of 1,000 machines, one year, by site and month, from kept facts",
        [
            Figure("median", found["median"], "s", BUDGET_S),
            Figure(f"best of {ROUNDS}", found["best"], "s", BUDGET_S),
        ],
        found,
    )


if __name__ == "__main__":
    main()
