"""A moulding plant's records of one week, and what its machines must have done that week.

Assumed, because the records do not say it: shift 1 is 06:00-14:00, 2 is 14:00-22:00 and 3 is
22:00-06:00 in the plant's own time; two items of one machine and shift were made one after the
other, half a shift each, in the order of the records.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
from openpyxl import Workbook

RECORDS = Path(__file__).parents[3] / "shared" / "data" / "optimoldiq"
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
SHIFT_BEGINS = {"1": 6, "2": 14, "3": 22}
SHIFT_NAMES = {"1": "early", "2": "late", "3": "night"}
LINE = "moulding-co/binh-duong/moulding/hall-1"


@dataclass(frozen=True)
class Stretch:
    """One machine on one item within one shift: a row of the records with its time."""

    machine: str
    """As in the records, e.g. `NO.04`."""
    day: date
    shift: str
    start: datetime
    end: datetime
    order: str
    item: str
    """Empty: the machine had nothing to do."""
    produced: int
    good: int
    cycle_s: float | None
    """Ideal seconds per item: setting cycle of the mould by its cavities."""

    @property
    def scrap(self) -> int:
        return self.produced - self.good


@dataclass(frozen=True)
class OrderRun:
    """One order on one machine, over as many shifts as it ran without another between."""

    number: int
    first: Stretch
    end: datetime


def week(monday: date, days: int = 7) -> list[Stretch]:
    """Every row of the records of that week, in the order of machine and time."""
    records = pl.read_parquet(RECORDS / "productRecords.parquet").with_row_index()
    day = pl.col("recordDate").dt.date()
    chosen = records.filter(day >= monday, day < monday + timedelta(days))
    moulds = pl.read_parquet(RECORDS / "moldInfo.parquet").select(
        "moldNo", cycle=pl.col("moldSettingCycle") / pl.col("moldCavityStandard")
    )
    rows = chosen.join(moulds, on="moldNo", how="left").sort(
        "machineNo", "recordDate", "workingShift", "index"
    )
    place = ("machineNo", "recordDate", "workingShift")
    shifts = groupby(rows.iter_rows(named=True), key=lambda row: [row[name] for name in place])
    return [one for _, group in shifts for one in _shared(list(group))]


def _shared(rows: list[dict]) -> Iterator[Stretch]:
    """Rows of one machine and shift share it in equal parts."""
    begin = rows[0]["recordDate"].replace(hour=SHIFT_BEGINS[rows[0]["workingShift"]], tzinfo=ZONE)
    part = timedelta(hours=8) / len(rows)
    for number, row in enumerate(rows):
        start = begin + number * part
        yield Stretch(
            row["machineNo"], row["recordDate"].date(), SHIFT_NAMES[row["workingShift"]],
            start, start + part, row["poNote"] or "", row["itemCode"] or "",
            row["itemTotalQuantity"] or 0, row["itemGoodQuantity"] or 0, row["cycle"],
        )  # fmt: skip


def path(machine: str) -> str:
    return f"{LINE}/{_own(machine)}"


def order_runs(stretches: Iterable[Stretch]) -> list[OrderRun]:
    """Neighbouring stretches of one order on one machine are one run, numbered per order."""
    runs: list[OrderRun] = []
    numbers: dict[str, int] = {}
    for one in stretches:
        last = runs[-1] if runs else None
        same = last is not None and (last.first.machine, last.first.order) == (
            one.machine, one.order,
        )  # fmt: skip
        if last is not None and same and last.end == one.start:
            runs[-1] = OrderRun(last.number, last.first, one.end)
        elif one.order:
            numbers[one.order] = numbers.get(one.order, 0) + 10
            runs.append(OrderRun(numbers[one.order], one, one.end))
    return runs


def write_orders(folder: Path) -> None:
    """The recorded purchase orders and items, each as a workbook of its own columns."""
    for name in ("purchaseOrders", "itemInfo"):
        table = pl.read_parquet(RECORDS / f"{name}.parquet")
        _write(folder / f"{name}.xlsx", table.columns, table.iter_rows())


def write_runs(folder: Path, runs: Iterable[OrderRun], at: datetime) -> None:
    """What a shift leader hands in at `at`: who runs what since when, and until when if over."""
    rows = [
        (
            run.first.order, run.number, run.first.machine, run.first.item,
            _wall(run.first.start), _wall(run.end) if run.end <= at else None,
            run.first.cycle_s,
        )
        for run in runs if run.first.start <= at
    ]  # fmt: skip
    columns = ["poNo", "step", "machineNo", "itemCode", "began", "ended", "secondsPerItem"]
    _write(folder / f"runs-{at:%m%d-%H%M}.xlsx", columns, rows)


def _wall(at: datetime) -> datetime:
    return at.astimezone(ZONE).replace(tzinfo=None)


def _write(target: Path, columns: list[str], rows: Iterable[tuple]) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Export")
    sheet.append(columns)
    for row in rows:
        sheet.append(row)
    unfinished = target.with_suffix(".tmp")
    book.save(unfinished)
    unfinished.rename(target)


GATEWAY = "gateway"


def model(names: Iterable[str], ports: dict[str, int], drop: Path) -> str:
    """The plant as code: presses behind one OPC UA gateway, older ones each with a counter box.

    `ports` has the gateway's, and one for each machine that has a box.
    """
    machines = "\n".join(
        f"          {_own(name)}: {{type: counter_box, source: {_own(name)}}}"
        if name in ports
        else f"          {_own(name)}: {{type: press, source: gateway, params: {{root: {name}}}}}"
        for name in names
    )
    boxes = "\n".join(
        f"  {_own(name)}: {{kind: modbus, host: 127.0.0.1, port: {port}, interval: 5 min}}"
        for name, port in ports.items()
        if name != GATEWAY
    )
    keys = "\n".join(f"      {name}: {path(name)}" for name in names)
    return _MODEL.format(
        machines=machines, boxes=boxes, gateway=ports[GATEWAY], keys=keys, drop=drop
    )


def _own(machine: str) -> str:
    return machine.lower().replace(".", "-")


_MODEL = """\
enterprise: moulding-co
---
machine_type: press
kind: opcua
blocks: [machine_state, part_count]
params:
  root: {{doc: Name of the press behind the gateway.}}
map:
  machine_state.state: {{tag: "ns=2;s={{root}}.State", codes: {{0: stopped, 1: idle, 2: execute}}}}
  part_count.good:  {{tag: "ns=2;s={{root}}.Good", counter: {{bits: 32}}}}
  part_count.scrap: {{tag: "ns=2;s={{root}}.Rejects", counter: {{bits: 32}}}}
---
machine_type: counter_box
kind: modbus
blocks: [machine_state, part_count]
map:
  machine_state.state: {{tag: "input:0:uint16", codes: {{0: stopped, 1: idle, 2: execute}}}}
  part_count.produced: {{tag: "holding:0:uint16", counter: {{bits: 16}}}}
  part_count.scrap:    {{tag: "holding:1:uint16", counter: {{bits: 16}}}}
---
site: binh-duong
timezone: Asia/Ho_Chi_Minh
areas:
  moulding:
    lines:
      hall-1:
        machines:
{machines}
sources:
  gateway:
    kind: opcua
    endpoint: "opc.tcp://127.0.0.1:{gateway}"
    interval: 100 ms
    queue_size: 1000
{boxes}
calendar:
  shifts:
    early: {{time: "06:00-14:00", days: [mon, tue, wed, thu, fri, sat]}}
    late:  {{time: "14:00-22:00", days: [mon, tue, wed, thu, fri, sat]}}
    night: {{time: "22:00-06:00", days: [mon, tue, wed, thu, fri, sat]}}
use_cases: [oee, downtime]
systems:
  planning:
    kind: files
    folder: {drop}
    interval: 60 s
    settle: 100 ms
    machines:
{keys}
    entities:
      material:
        files: itemInfo*.xlsx
        columns: {{key: itemCode, name: itemName}}
      production_order:
        files: purchaseOrders*.xlsx
        columns:
          key: poNo
          material: itemCode
          quantity: itemQuantity
          due: poETA
          unit: {{value: "1"}}
      operation:
        files: runs*.xlsx
        columns:
          key: [poNo, step]
          production_order: poNo
          operation: step
          machine: machineNo
          material: itemCode
          actual_start: began
          actual_end: ended
          ideal_cycle_s: {{column: secondsPerItem, unit: s}}
"""
