"""The keeper of facts, with a use case of its own: parts and their sum per machine and hour."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from isthmus.base.clock import DAY, HOUR, MINUTE, Micros, to_datetime
from isthmus.data.facts import FactKeeper, FactSpec, Input
from isthmus.data.spans import Spans
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.plant import Machine, Plant
from isthmus.model.spec.block import Block, BlockField

NOW = 1_794_916_800_000_000
"""2026-11-17T12:00Z."""


def _machine(name: str) -> Machine:
    path = f"acme/hamburg/hall/line/{name}"
    return Machine(path, name, "hamburg", "hall", "line", "t", "s", (), (), None, (), "UTC", 1, 1)


MACHINES = [_machine("a"), _machine("b")]
BLOCK = Block(block="part_count", version=1, fields={"good": BlockField(type="counter")})
PLANT = Plant(
    "acme", "ACME", "UTC", "en", {}, {m.path: m for m in MACHINES}, {}, {}, {"part_count": BLOCK},
    {}, {}, {},
)  # fmt: skip
SCHEMA = pa.schema([
    ("machine", pa.string()), ("site", pa.string()), ("hour", TIME), ("parts", pa.int64()),
])  # fmt: skip


class MemoryLake:
    """A table of counts in DuckDB; remembers for how many hours parts were added up."""

    def __init__(self) -> None:
        self.db = duckdb.connect()
        self.db.execute("""CREATE TABLE part_count(machine VARCHAR, time TIMESTAMPTZ, good BIGINT,
            _site VARCHAR, _epoch VARCHAR, _seq BIGINT)""")
        self.sequence = 0

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pa.Table:
        return self.db.sql(sql, params=dict(params or {})).to_arrow_table()

    def register(self, name: str, table: pa.Table) -> None:
        self.db.register(name, table)

    def define(self, name: str, sql: str) -> None:
        self.db.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")

    def add(self, machine: Machine, t: Micros, good: int, epoch: str = "e1") -> Rows:
        self.sequence += 1
        row = (machine.path, to_datetime(t), good, "hamburg", epoch, self.sequence)
        self.db.execute("INSERT INTO part_count VALUES (?, ?, ?, ?, ?, ?)", row)
        moment = pa.array([to_datetime(t)], TIME)
        return Rows("part_count", pa.table({"machine": [machine.path], "time": moment}))

    def facts(self) -> dict[tuple[str, int], int]:
        rows = self.query("SELECT machine[-1] AS m, hour, parts FROM part_fact").to_pylist()
        return {(row["m"], row["hour"].hour): row["parts"] for row in rows}


def _compute(
    query: Any,
    plant: Plant,
    machines: Sequence[Machine],
    start: Micros,
    end: Micros,
    *,
    now: Micros,
) -> pa.Table:
    sql = """
        SELECT machine, 'hamburg' AS site, date_trunc('hour', time) AS hour,
            sum(good)::BIGINT AS parts
        FROM part_count WHERE machine IN (SELECT unnest($machines::VARCHAR[]))
            AND time >= make_timestamptz($start::BIGINT) AND time < make_timestamptz($end::BIGINT)
        GROUP BY ALL
    """
    params = {"machines": [m.path for m in machines], "start": start, "end": min(end, now)}
    return query(sql, params).cast(SCHEMA)


TOUCHED = """
    SELECT DISTINCT unnest($machine::VARCHAR[]) AS machine, unnest($time::BIGINT[]) AS s,
        least(s, $now) AS e
"""
SPEC = FactSpec(
    "part_fact", SCHEMA, (Input("part_count", ("machine", "time"), TOUCHED, live="time"),), _compute
)


@pytest.fixture
def lake() -> Iterator[MemoryLake]:
    made = MemoryLake()
    yield made
    made.db.close()


def _keeper(lake: MemoryLake, tmp_path: Path, *, writable: bool = True) -> FactKeeper:
    return FactKeeper(lake, SPEC, PLANT, tmp_path / "part_fact", writable=writable)


def test_only_the_hour_of_a_late_row_is_computed_again(lake: MemoryLake, tmp_path: Path) -> None:
    lake.add(MACHINES[0], NOW - 5 * HOUR, 1)
    keeper = _keeper(lake, tmp_path)
    keeper.refresh(NOW)

    keeper.take([lake.add(MACHINES[1], NOW - 3 * HOUR + MINUTE, 7)])
    done = keeper.refresh(NOW)

    assert done.hours == 1
    assert lake.facts() == {("a", 7): 1, ("b", 9): 7}


def test_stored_facts_survive_and_are_hidden_by_newer_ones(
    lake: MemoryLake, tmp_path: Path
) -> None:
    lake.add(MACHINES[0], NOW - 5 * HOUR, 1)
    _keeper(lake, tmp_path).persist(NOW)

    keeper = _keeper(lake, tmp_path)
    keeper.take([lake.add(MACHINES[0], NOW - 5 * HOUR, 2)])
    keeper.refresh(NOW)

    assert lake.facts() == {("a", 7): 3}


def test_an_hour_that_has_no_facts_any_more_is_emptied(lake: MemoryLake, tmp_path: Path) -> None:
    rows = lake.add(MACHINES[0], NOW - 5 * HOUR, 1)
    keeper = _keeper(lake, tmp_path)
    keeper.persist(NOW)

    lake.db.execute("DELETE FROM part_count")
    keeper.take([rows])
    keeper.refresh(NOW)
    shown = lake.facts()
    keeper.persist(NOW)

    assert shown == lake.facts() == {}


def test_rows_of_another_epoch_are_found_at_the_start(lake: MemoryLake, tmp_path: Path) -> None:
    lake.add(MACHINES[0], NOW - 5 * HOUR, 1)
    _keeper(lake, tmp_path).persist(NOW)
    lake.add(MACHINES[1], NOW - 4 * HOUR, 5, epoch="e2")

    _keeper(lake, tmp_path).refresh(NOW + MINUTE)

    assert lake.facts() == {("a", 7): 1, ("b", 8): 5}


def test_months_are_replaced_apart(lake: MemoryLake, tmp_path: Path) -> None:
    lake.add(MACHINES[0], NOW - 20 * DAY, 1)
    lake.add(MACHINES[0], NOW - 5 * HOUR, 2)
    keeper = _keeper(lake, tmp_path)
    keeper.persist(NOW)

    keeper.take([lake.add(MACHINES[0], NOW - 20 * DAY, 1)])
    keeper.persist(NOW)

    assert lake.facts() == {("a", 12): 2, ("a", 7): 2}
    assert len(list((tmp_path / "part_fact").glob("_site=*/_date=*"))) == 2


def test_a_reader_keeps_what_is_missing_in_memory(lake: MemoryLake, tmp_path: Path) -> None:
    lake.add(MACHINES[0], NOW - 5 * HOUR, 1)
    reader = _keeper(lake, tmp_path, writable=False)
    reader.refresh(NOW)
    reader.close()

    assert lake.facts() == {("a", 7): 1}
    assert not (tmp_path / "part_fact").exists()


def test_a_changed_machine_is_computed_again(lake: MemoryLake, tmp_path: Path) -> None:
    lake.add(MACHINES[0], NOW - 5 * HOUR, 1)
    keeper = _keeper(lake, tmp_path)
    keeper.refresh(NOW)
    lake.db.execute("UPDATE part_count SET good = 4")

    before = keeper.refresh(NOW)
    other = Plant(**{**vars(PLANT), "materials": {"cap": None}})  # type: ignore[arg-type]
    keeper.adopt(other, NOW)
    after = keeper.refresh(NOW)

    assert before.hours == 0
    assert after.hours > 24
    assert lake.facts() == {("a", 7): 4}


def test_spans_are_joined_to_whole_hours() -> None:
    spans = Spans()
    spans.add(HOUR + 1, HOUR + 2)
    spans.add(2 * HOUR + 1, 2 * HOUR + 1)
    spans.add(9 * HOUR, 9 * HOUR)

    assert spans.whole_hours() == [(HOUR, 3 * HOUR), (9 * HOUR, 10 * HOUR)]
