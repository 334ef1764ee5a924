"""A small plant whose rows a test writes by hand, in a real DuckDB with the lake's views."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pytest

from isthmus.base.clock import HOUR, SECOND, Micros, to_datetime, to_micros
from isthmus.model.plant import FieldMap, Machine, Plant, Site
from isthmus.model.spec.block import Block, BlockField
from isthmus.model.spec.site import Keep, Material, Reason
from isthmus.provision.join import VIEWS

CATEGORIES = {
    "execute": "production",
    "resetting": "setup",
    "idle": "idle",
    "stopped": "stopped",
    "aborted": "stopped",
    "off": "off",
}

SYSTEM = (
    "_received TIMESTAMPTZ, _quality SMALLINT, _date DATE, _site VARCHAR, _epoch VARCHAR,"
    " _seq BIGINT"
)
TABLES = f"""
CREATE TABLE machine(machine VARCHAR, site VARCHAR, area VARCHAR, line VARCHAR, type VARCHAR,
    name VARCHAR, timezone VARCHAR, ideal_cycle_s DOUBLE, minor_stop_s DOUBLE, slow_factor DOUBLE);
CREATE TABLE state_category(state VARCHAR, category VARCHAR);
CREATE TABLE machine_state(machine VARCHAR, time TIMESTAMPTZ, state VARCHAR, {SYSTEM});
CREATE TABLE part_count(machine VARCHAR, time TIMESTAMPTZ, produced BIGINT, good BIGINT,
    scrap BIGINT, rework BIGINT, {SYSTEM});
CREATE TABLE injection_cycle(machine VARCHAR, time TIMESTAMPTZ, melt_temp DOUBLE, {SYSTEM});
CREATE TABLE shift(site VARCHAR, line VARCHAR, machine VARCHAR, shift VARCHAR, day DATE,
    "start" TIMESTAMPTZ, "end" TIMESTAMPTZ);
CREATE TABLE planned_down(machine VARCHAR, "start" TIMESTAMPTZ, "end" TIMESTAMPTZ, why VARCHAR);
CREATE TABLE material_history(system VARCHAR, key VARCHAR, name VARCHAR, unit VARCHAR,
    ideal_cycle_s DOUBLE, recorded TIMESTAMPTZ, withdrawn BOOLEAN, {SYSTEM});
CREATE TABLE production_order_history(system VARCHAR, key VARCHAR, material VARCHAR,
    quantity DOUBLE, unit VARCHAR, due TIMESTAMPTZ, state VARCHAR, recorded TIMESTAMPTZ,
    withdrawn BOOLEAN, {SYSTEM});
CREATE TABLE operation_history(system VARCHAR, key VARCHAR, production_order VARCHAR,
    operation VARCHAR, machine VARCHAR, material VARCHAR, quantity DOUBLE,
    actual_start TIMESTAMPTZ, actual_end TIMESTAMPTZ, ideal_cycle_s DOUBLE,
    recorded TIMESTAMPTZ, withdrawn BOOLEAN, {SYSTEM});
CREATE TABLE stop_reason_history(id VARCHAR, machine VARCHAR, "start" TIMESTAMPTZ,
    "end" TIMESTAMPTZ, reason VARCHAR, comment VARCHAR, author VARCHAR, recorded TIMESTAMPTZ,
    withdrawn BOOLEAN, {SYSTEM});
"""

T0 = to_micros(datetime(2026, 11, 17, 6, tzinfo=UTC))
"""Tuesday 06:00 UTC: when the early shift of these tests begins."""


def at(text: str, day: int = 17) -> Micros:
    """`09:50` or `09:50:30` on a day of November 2026, UTC."""
    hour, minute, *second = (int(part) for part in text.split(":"))
    moment = datetime(2026, 11, day, 0, minute, *second, tzinfo=UTC)
    return to_micros(moment) + hour * HOUR


def machine(
    name: str,
    line: str = "line-1",
    ideal: float | None = 10.0,
    counts: tuple[str, ...] = ("good", "scrap"),
) -> Machine:
    path = f"acme/hamburg/moulding/{line}/{name}"
    fields = [("machine_state", "state", "enum"), *(("part_count", c, "counter") for c in counts)]
    return Machine(
        path=path, name=name.upper(), site="hamburg", area="moulding", line=line, type="press",
        source="src", blocks=("machine_state", "part_count", "injection_cycle"), ideal_cycle=ideal,
        calendars=(), timezone="Europe/Berlin", minor_stop=120.0, slow_factor=1.3,
        maps=tuple(FieldMap(path, block, f, kind, f"{name}.{f}") for block, f, kind in fields),
    )  # fmt: skip


def plant(*machines: Machine, materials: Mapping[str, Material] | None = None) -> Plant:
    counter = {name: BlockField(type="counter") for name in ("produced", "good", "scrap", "rework")}
    state = {"state": BlockField(type="enum")}
    cycle = {"melt_temp": BlockField(type="number", unit="Cel")}
    site = Site(
        "hamburg", "Hamburg", "Europe/Berlin", Keep(), (), {}, {"oee": 0.72},
        {"moulding": "Moulding"}, {"moulding/line-1": "Line 1", "moulding/line-2": "Line 2"},
    )  # fmt: skip
    return Plant(
        enterprise="acme", title="ACME", timezone="Europe/Berlin", language="en",
        sites={"hamburg": site}, machines={m.path: m for m in machines}, sources={}, systems={},
        blocks={
            "machine_state": Block(block="machine_state", version=1, fields=state),
            "part_count": Block(block="part_count", version=1, fields=counter),
            "injection_cycle": Block(block="injection_cycle", version=1, fields=cycle),
        },
        code_systems={}, machine_types={}, materials=materials or {},
        reasons=(
            Reason(reason="jam", label={"en": "Jam", "de": "Stau"}, category="breakdown"),
            Reason(reason="no_material", label={"en": "Material missing"}, category="waiting"),
            Reason(reason="changeover", label={"en": "Changeover"}, category="setup"),
        ),
        state_categories=CATEGORIES,
    )  # fmt: skip


@dataclass
class Factory:
    """A lake in memory; its `query` is what the use cases call."""

    plant: Plant
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    sequence: int = 0

    def __post_init__(self) -> None:
        self.connection.execute(TABLES)
        for name, sql in VIEWS.items():
            self.define(name, sql)
        for m in self.plant.machines.values():
            self._insert(
                "machine", m.path, m.site, m.area, m.line, m.type, m.name, m.timezone,
                m.ideal_cycle, m.minor_stop, m.slow_factor,
            )  # fmt: skip
        for state, category in CATEGORIES.items():
            self._insert("state_category", state, category)

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pa.Table:
        return self.connection.sql(sql, params=dict(params or {})).to_arrow_table()

    def register(self, name: str, table: pa.Table) -> None:
        self.connection.register(name, table)

    def define(self, name: str, sql: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")

    @property
    def first(self) -> str:
        return next(iter(self.plant.machines))

    def state(
        self, t: Micros, state: str | None, machine: str = "", *, quality: int | None = None
    ) -> None:
        if quality is None:
            quality = 2 if state is None else 0
        self._insert(
            "machine_state", machine or self.first, _at(t), state, *self._system(t, quality)
        )

    def parts(
        self, t: Micros, good: int | None = None, scrap: int | None = None, machine: str = "",
        *, produced: int | None = None, rework: int | None = None,
    ) -> None:  # fmt: skip
        counts = (produced, good, scrap, rework)
        self._insert("part_count", machine or self.first, _at(t), *counts, *self._system(t, 0))

    def melt(self, t: Micros, celsius: float, machine: str = "") -> None:
        self._insert("injection_cycle", machine or self.first, _at(t), celsius, *self._system(t, 0))

    def shift(
        self,
        start: Micros,
        end: Micros,
        shift: str = "early",
        machine: str = "",
        day: date = date(2026, 11, 17),
    ) -> None:
        one = self.plant.machines[machine or self.first]
        self._insert("shift", one.site, one.line, one.path, shift, day, _at(start), _at(end))

    def down(self, start: Micros, end: Micros, why: str = "break", machine: str = "") -> None:
        self._insert("planned_down", machine or self.first, _at(start), _at(end), why)

    def order(  # noqa: PLR0917
        self, start: Micros, end: Micros | None, key: str = "4711", material: str = "cap",
        ideal: float | None = None, machine: str = "", quantity: float = 500.0,
        *, recorded: Micros | None = None, withdrawn: bool = False,
    ) -> None:  # fmt: skip
        recorded = start if recorded is None else recorded
        operation = f"{key}-10"
        row = (
            "erp", operation, key, operation, machine or self.first, material, quantity,
            _at(start), _at(end), ideal, _at(recorded), withdrawn,
        )  # fmt: skip
        self._insert("operation_history", *row, *self._system(recorded, 0))

    def material(self, key: str, ideal: float | None, recorded: Micros = T0) -> None:
        row = ("erp", key, key.title(), "1", ideal, _at(recorded), False)
        self._insert("material_history", *row, *self._system(recorded, 0))

    def reason(
        self, id_: str, start: Micros, end: Micros | None, reason: str, machine: str = "",
        *, recorded: Micros | None = None, withdrawn: bool = False,
    ) -> None:  # fmt: skip
        recorded = start if recorded is None else recorded
        row = (
            id_,
            machine or self.first,
            _at(start),
            _at(end),
            reason,
            "",
            "ada",
            _at(recorded),
            withdrawn,
        )
        self._insert("stop_reason_history", *row, *self._system(start, 0))

    def _system(self, t: Micros, quality: int) -> tuple[object, ...]:
        self.sequence += 1
        received = _at(t + self.sequence)
        return (received, quality, to_datetime(t).date(), "hamburg", "0" * 16, self.sequence)

    def _insert(self, table: str, *values: object) -> None:
        marks = ", ".join("?" for _ in values)
        self.connection.execute(f"INSERT INTO {table} VALUES ({marks})", list(values))


def _at(t: Micros | None) -> datetime | None:
    return None if t is None else to_datetime(t)


@pytest.fixture(name="at")
def at_() -> object:
    return at


@pytest.fixture
def factory() -> Iterator[Factory]:
    """One machine, early shift 06:00-14:00, nothing planned down, no order, ideal cycle 10 s."""
    made = Factory(plant(machine("im-01")))
    made.shift(T0, T0 + 8 * HOUR)
    yield made
    made.connection.close()


@pytest.fixture
def build() -> object:
    """Make a `Factory` of one's own machines."""

    @dataclass
    class Build:
        machine = staticmethod(machine)
        plant = staticmethod(plant)
        Factory = Factory
        second = SECOND

    return Build
