"""How many state events a second become OEE facts: 100 machines, shifts, breaks, orders, counts.

`python -m bench facts` prints the figures and writes bench/results/facts.json.
"""

import time
from typing import Any

import duckdb
import pyarrow as pa
from bench.result import Figure, quantile, save

from isthmus.apps.oee.facts import facts
from isthmus.base.clock import HOUR, Micros
from isthmus.model.plant import FieldMap, Machine, Plant
from isthmus.model.spec.block import Block, BlockField

MACHINES = 100
EVERY = 20
"""Seconds between the state changes of one machine."""
EVENTS = 4_000_000
START = 1_794_873_600_000_000
ROUNDS = 5
BUDGET = 2_000_000


def plant(machines: int = MACHINES) -> Plant:
    found = [_machine(f"acme/hamburg/moulding/line-{n // 10}/im-{n:03d}") for n in range(machines)]
    counter = BlockField(type="counter")
    counts = dict.fromkeys(("produced", "good", "scrap", "rework"), counter)
    blocks = {
        "machine_state": Block(
            block="machine_state", version=1, fields={"state": BlockField(type="text")}
        ),
        "part_count": Block(block="part_count", version=1, fields=counts),
    }
    return Plant(
        "acme", "ACME", "UTC", "en", sites={}, machines={m.path: m for m in found}, sources={},
        systems={}, blocks=blocks, code_systems={}, machine_types={}, materials={},
    )  # fmt: skip


def _machine(path: str) -> Machine:
    maps = tuple(FieldMap(path, "part_count", name, "counter", name) for name in ("good", "scrap"))
    return Machine(
        path, path[-6:], "hamburg", "moulding", path.split("/")[3], "im", "src", maps,
        ("machine_state", "part_count"), 10.0, (), "UTC", 120.0, 1.3,
    )  # fmt: skip


def lake(made: Plant, seconds: int) -> duckdb.DuckDBPyConnection:
    """`seconds` of every machine's life, in memory, with all views that facts read."""
    db = duckdb.connect()
    paths = pa.table(
        {"machine": list(made.machines), "line": [m.line for m in made.machines.values()]}
    )
    db.register("path", paths)
    moment = f"make_timestamptz(({START} + %s)::BIGINT)"
    jitter = f"(i * {EVERY} * 1000000 + hash(machine || i) % 15000000)"
    states = (
        "['execute', 'execute', 'idle', 'stopped', 'resetting'][1 + (hash(i || machine) % 5)::INT]"
    )
    system = "0::SMALLINT AS _quality, time AS _received, time::DATE AS _date"
    db.execute(f"""
        CREATE TABLE machine_state AS SELECT *, {system} FROM (
            SELECT machine, {moment % jitter} AS time, {states} AS state
            FROM path, range({seconds // EVERY}) r(i))""")
    db.execute(f"""
        CREATE TABLE part_count AS SELECT *, {system} FROM (
            SELECT machine, {moment % "i * 60000000"} AS time, NULL::BIGINT AS produced,
                5::BIGINT AS good, (i % 7 = 0)::BIGINT AS scrap, NULL::BIGINT AS rework
            FROM path, range({seconds // 60}) r(i))""")
    db.execute("""
        CREATE TABLE machine AS SELECT machine, 'hamburg' AS site, 'moulding' AS area, line,
            'im' AS type, machine AS name, 'UTC' AS timezone, 10.0 AS ideal_cycle_s,
            120.0 AS minor_stop_s, 1.3 AS slow_factor FROM path""")
    eight, half = 8 * HOUR, HOUR // 2
    db.execute(f"""
        CREATE TABLE shift AS SELECT machine, 'early' AS shift,
            {moment % f"i * {eight}"} AS "start",
            {moment % f"(i + 1) * {eight}"} AS "end", "start"::DATE AS "day"
        FROM path, range({seconds // (8 * 3600) + 1}) r(i)""")
    db.execute(f"""
        CREATE TABLE planned_down AS SELECT machine, "start" + INTERVAL 4 HOUR AS "start",
            "start" + INTERVAL 4 HOUR + INTERVAL {half // 60_000_000} MINUTE AS "end" FROM shift""")
    db.execute(f"""
        CREATE TABLE order_run AS SELECT machine, {moment % f"i * {11 * HOUR}"} AS "start",
            {moment % f"i * {11 * HOUR} + {10 * HOUR}"} AS "end", 'p' || i AS production_order,
            'o' || i AS operation, 'm' || i % 9 AS material, 5.0 AS ideal_cycle_s
        FROM path, range({seconds // (11 * 3600) + 1}) r(i)""")
    db.execute("CREATE TABLE material(key VARCHAR, ideal_cycle_s DOUBLE, recorded TIMESTAMPTZ)")
    db.execute("""
        CREATE TABLE state_category AS SELECT * FROM (VALUES ('execute', 'production'),
            ('idle', 'idle'), ('stopped', 'stopped'), ('resetting', 'setup')) v(state, category)""")
    return db


def measure() -> dict[str, Any]:
    made = plant()
    seconds = EVENTS // MACHINES * EVERY
    db = lake(made, seconds)

    def query(sql: str, params: Any = None) -> pa.Table:
        return db.sql(sql, params=dict(params or {})).to_arrow_table()

    end = START + seconds * 1_000_000
    took = [_once(query, made, end) for _ in range(ROUNDS)]
    wall, cpu = [one[0] for one in took], [one[1] for one in took]
    return {
        "best": round(EVENTS / min(wall)),
        "median": round(EVENTS / quantile(wall, 0.5)),
        "best_per_cpu_s": round(EVENTS / min(cpu)),
        "count_rows": seconds // 60 * MACHINES,
        "facts": took[0][2],
    }


def _once(query: Any, made: Plant, end: Micros) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds (what matters on a busy machine), facts."""
    begin, cpu = time.perf_counter(), time.process_time()
    found = facts(query, made, list(made.machines.values()), START, end, now=end)
    return time.perf_counter() - begin, time.process_time() - cpu, found.num_rows


def main() -> None:
    found = measure()
    save(
        "facts",
        "state events to OEE facts, with shifts, breaks, orders and counts",
        [
            Figure(f"best of {ROUNDS}", found["best"], "events/s", BUDGET, "higher"),
            Figure("median", found["median"], "events/s", BUDGET, "higher"),
            Figure("per CPU second", found["best_per_cpu_s"], "events/s", better="higher"),
        ],
        {"machines": MACHINES, "state_events": EVENTS} | found,
    )


if __name__ == "__main__":
    main()
