"""A month of twenty machines in log, lake and facts, for questions about one shift or one order."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.oee.facts import OEE_FACT
from isthmus.base.clock import DAY, HOUR, MINUTE, SECOND, Micros, parse_time
from isthmus.data.facts import FactKeeper
from isthmus.data.lake import Lake
from isthmus.data.writer import Writer
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.plant import Machine, Plant
from isthmus.model.spec.site import Keep
from isthmus.provision.join import VIEWS
from isthmus.runtime.dimensions import dimensions
from isthmus.runtime.open import load_plant

LINES, PER_LINE, DAYS = 5, 4, 30
START: Final[Micros] = parse_time("2026-10-16T22:00:00Z")
NOW: Final[Micros] = START + DAYS * DAY
CYCLE: Final = 30 * SECOND
ORDER: Final = 12 * HOUR

MODEL = """\
enterprise: bench
timezone: Europe/Berlin
---
machine_type: press
kind: opcua
blocks: [machine_state, part_count]
params: {{root: {{}}}}
map:
  machine_state.state: {{tag: "ns=2;s={{root}}.State", codes: {{0: stopped, 1: idle, 3: execute}}}}
  part_count.good: {{tag: "ns=2;s={{root}}.Good", counter: {{bits: 32}}}}
  part_count.scrap: {{tag: "ns=2;s={{root}}.Scrap", counter: {{bits: 32}}}}
---
site: hamburg
timezone: Europe/Berlin
areas:
  moulding:
    lines:
{lines}
sources:
  gateway: {{kind: opcua, endpoint: "opc.tcp://10.0.0.1:4840", security: none}}
calendar:
  shifts:
    early:
      time: "06:00-14:00"
      days: &all [mon, tue, wed, thu, fri, sat, sun]
      breaks: ["10:00-10:30"]
    late: {{time: "14:00-22:00", days: *all}}
    night: {{time: "22:00-06:00", days: *all}}
use_cases: [oee]
"""
STATES = ("execute", "execute", "execute", "idle", "stopped")


@dataclass
class Month:
    """Everything but the last hour is in the lake; that hour is still in the log."""

    root: Path

    def __post_init__(self) -> None:
        self.plant: Plant = load_plant(_model(self.root / "model"))
        self.log = SqliteLog(self.root / "log.sqlite", "hamburg", Keep(free_mb=0))
        self.lake = Lake(self.root / "lake", {"hamburg": self.log}, self.plant)
        self.writer = Writer(self.root / "lake", {"hamburg": self.log}, self.plant)
        self.writer.verify(NOW)
        for name, table in dimensions(self.plant, NOW).items():
            self.lake.register(name, table)
        for name, sql in VIEWS.items():
            self.lake.define(name, sql)
        self.facts = FactKeeper(self.lake, OEE_FACT, self.plant, self.root / "lake" / "oee_fact")

    def fill(self) -> None:
        self.append(_materials(), _orders(list(self.plant.machines)))
        for day in range(DAYS):
            end = START + (day + 1) * DAY
            self._live(end - DAY, end - HOUR)
            self.writer.write_once()
            self._live(end - HOUR, end)

    def _live(self, start: Micros, end: Micros) -> None:
        for machine in self.plant.machines.values():
            self.append(*_life(machine, start, end))

    def append(self, *rows: Rows) -> None:
        self.log.append_rows(list(rows), now=NOW)

    def machines_of(self, line: str) -> list[Machine]:
        return [machine for machine in self.plant.machines.values() if machine.line == line]

    def close(self) -> None:
        self.lake.close()
        self.log.close()


@contextmanager
def month() -> Iterator[Month]:
    with tempfile.TemporaryDirectory() as folder:
        made = Month(Path(folder))
        try:
            made.fill()
            yield made
        finally:
            made.close()


def operation(machine: str, number: int, start: Micros, end: Micros, recorded: Micros) -> Rows:
    """What the ERP says about one order on one machine, as it said it at `recorded`."""
    return _rows("operation", [_operation(machine, number, start, end, recorded)])


def _model(folder: Path) -> Path:
    folder.mkdir()
    lines = []
    for line in range(LINES):
        lines.append(f"      line-{line}:\n        machines:")
        for n in range(line * PER_LINE, (line + 1) * PER_LINE):
            keys = f"type: press, source: gateway, ideal_cycle: 28 s, params: {{root: IM{n:02}}}"
            lines.append(f"          im-{n:02}: {{{keys}}}")
    (folder / "model.yaml").write_text(MODEL.format(lines="\n".join(lines)))
    return folder


def _life(machine: Machine, start: Micros, end: Micros) -> list[Rows]:
    """A state every few minutes, a part every cycle."""
    seed = random.Random(f"{machine.path}/{start}")  # noqa: S311
    states = []
    at = start
    while at < end:
        states.append({"machine": machine.path, "time": at, "state": seed.choice(STATES)})
        at += seed.randint(1, 19) * MINUTE
    counts = []
    for at in range(start, end, CYCLE):
        good = seed.random() > 0.03
        one = {"machine": machine.path, "time": at, "good": int(good), "scrap": int(not good)}
        counts.append(one)
    return [_rows("machine_state", states), _rows("part_count", counts)]


def _orders(machines: list[str]) -> Rows:
    found = [
        _operation(machine, number, START + number * ORDER, START + (number + 1) * ORDER, START)
        for machine in machines
        for number in range(DAYS * DAY // ORDER)
    ]
    return _rows("operation", found)


def _materials() -> Rows:
    always = {"system": "erp", "recorded": START, "withdrawn": False, "unit": "1"}
    keys = [{"key": f"m{n}", "name": f"Part {n}", "ideal_cycle_s": 25.0 + n} for n in range(5)]
    return _rows("material", [always | one for one in keys])


def _operation(
    machine: str, number: int, start: Micros, end: Micros, recorded: Micros
) -> dict[str, Any]:
    order = f"{machine.rpartition('/')[2]}-{number}"
    return {
        "system": "erp", "key": f"{order}/10", "production_order": order, "operation": "10",
        "machine": machine, "material": f"m{number % 5}", "quantity": 1400.0,
        "actual_start": start, "actual_end": end, "recorded": recorded, "withdrawn": False,
    }  # fmt: skip


_TYPES: Final = {
    "time": TIME, "recorded": TIME, "actual_start": TIME, "actual_end": TIME, "good": pa.int64(),
    "scrap": pa.int64(), "quantity": pa.float64(), "ideal_cycle_s": pa.float64(),
    "withdrawn": pa.bool_(),
}  # fmt: skip


def _rows(name: str, values: list[dict[str, Any]]) -> Rows:
    count = len(values)
    columns = {
        key: pa.array([one[key] for one in values], _TYPES.get(key, pa.string()))
        for key in values[0]
    }
    received = columns.get("time", columns.get("recorded"))
    system = {
        "_source": pa.repeat("gateway", count), "_received": received,
        "_samples": pa.array([0] * count, pa.int32()),
        "_quality": pa.array([0] * count, pa.int16()),
    }  # fmt: skip
    return Rows(name, pa.table(columns | system))
