"""A small plant into which everything is sent that should not be, with good values around it.

A cell on MQTT, a press on OPC UA, a counter box on Modbus, an order system that drops files.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asyncua import ua
from tests.whole.running import Running, running

from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.mosquitto import Mosquitto
from isthmus.testing.opcua_server import OpcuaServer

SITE = "acme/hamburg/hall/line-1"
MEGABYTE = "x" * 2**20

MODEL = """\
enterprise: acme
timezone: Europe/Berlin
---
block: process
version: 1
fields:
  temp: {{type: number, unit: Cel, min: 0, max: 450}}
  program: {{type: text, max_length: 200}}
---
machine_type: cell
kind: mqtt
blocks: [machine_state, part_count, process]
map:
  machine_state.state: {{tag: "cell/1#$.state", codes: {{RUN: execute, HALT: stopped}}}}
  part_count.good: {{tag: "cell/1#$.parts", counter: {{}}}}
  process.temp: {{tag: "cell/1#$.temp"}}
  process.program: {{tag: "cell/1#$.program"}}
---
machine_type: press
kind: opcua
blocks: [part_count, process]
map:
  part_count.good: {{tag: "ns=2;s=Parts", counter: {{bits: 32}}}}
  part_count.scrap: {{tag: "ns=2;s=Ghost", counter: {{bits: 32}}}}
  process.temp: {{tag: "ns=2;s=Temp"}}
  process.program: {{tag: "ns=2;s=Program"}}
---
machine_type: box
kind: modbus
blocks: [part_count, process]
map:
  part_count.good: {{tag: "holding:0:uint16", counter: {{bits: 16}}}}
  part_count.scrap: {{tag: "holding:900:uint16", counter: {{bits: 16}}}}
  process.temp: {{tag: "input:0:int16", scale: 0.1}}
---
site: hamburg
areas:
  hall:
    lines:
      line-1:
        machines:
          cell-1: {{type: cell, source: cell-1}}
          press-1: {{type: press, source: press-1}}
          box-1: {{type: box, source: box-1}}
sources:
  cell-1: {{kind: mqtt, host: 127.0.0.1, port: {broker}, time: "$.ts"}}
  press-1: {{kind: opcua, endpoint: "opc.tcp://127.0.0.1:{press}", interval: 50 ms}}
  box-1: {{kind: modbus, host: 127.0.0.1, port: {box}, interval: 50 ms}}
calendar:
  shifts:
    early: "06:00-14:00"
    late: "{late}-22:00"
systems:
  erp:
    kind: files
    folder: {drop}
    interval: 200 ms
    settle: 100 ms
    machines: {{WC-1: {site}/press-1}}
    entities:
      production_order:
        files: orders*
        columns: {{key: order, material: item, quantity: quantity}}
      operation:
        files: steps*.csv
        columns:
          key: [order, step]
          production_order: order
          operation: step
          machine: place
          actual_start: began
"""
"""An overlap is one sign away: `late` from 13:00."""


@dataclass(frozen=True)
class Case:
    """A message of the cell that breaks something."""

    name: str
    changed: Mapping[str, Any] = field(default_factory=dict)
    """Keys of an otherwise good message; None takes one out."""
    payload: bytes | None = None
    """Instead of a message."""


CASES = (
    Case("wrong_type", {"temp": "warm"}),
    Case("nan", {"temp": float("nan")}),
    Case("infinite", {"temp": float("-inf")}),
    Case("too_hot", {"temp": 1200}),
    Case("too_cold", {"temp": -40}),
    Case("future", {"ts": (datetime.now(UTC) + timedelta(hours=2)).isoformat()}),
    Case("1970", {"ts": "1970-01-01T00:00:03Z"}),
    Case("megabyte", {"temp": MEGABYTE}),
    Case("broken_json", payload=b'{"ts": "2026-11-22T06:00:00Z", "temp": 21.5, "par'),
    Case("wrong_encoding", payload=b'{"temp": 21.5, "state": "L\xe4uft"}'),
    Case("not_there", {"temp": None}),
    Case("unknown_code", {"state": "DANCING"}),
    Case("negative_count", {"parts": -5}),
    Case("half_a_part", {"parts": 3.5}),
    Case("list", {"temp": [1, 2]}),
    Case("half_a_character", {"program": "\ud800 broken"}),
    Case("huge_count", {"parts": 10**30}),
    Case("huge_number", {"temp": 10**400}),
    Case("deep", payload=b"[" * 200_000),
    Case("far_future", {"ts": "9999-12-31T23:59:59Z"}),
    Case("no_zone", {"ts": "2026-11-22T06:00:00"}),
    Case("no_time", {"ts": "yesterday"}),
)


def around(case: Case) -> tuple[float, float]:
    """Temperatures of the good messages before and after a case; each is there once."""
    number = CASES.index(case)
    return 100 + number + 0.25, 100 + number + 0.75


def messages() -> Iterator[bytes]:
    """The cell's messages: good, bad, good for each case; parts count up in all of them."""
    parts = 0
    start = datetime.now(UTC) - timedelta(seconds=30)

    def message(temp: float, changed: Mapping[str, Any]) -> bytes:
        at = start + timedelta(milliseconds=100 * parts)
        values = {
            "ts": at.isoformat(),
            "state": "RUN",
            "temp": temp,
            "parts": parts,
            "program": "P7",
            **changed,
        }
        return json.dumps({k: v for k, v in values.items() if v is not None}).encode()

    for case in CASES:
        before, after = around(case)
        for temp, changed in ((before, {}), (50.0, case.changed), (after, {})):
            parts += 1
            bad = temp == 50.0 and case.payload is not None
            yield case.payload or b"" if bad else message(temp, changed)


@dataclass
class Plant:
    """The devices, and the platform that reads them."""

    folder: Path
    broker: Mosquitto
    press: OpcuaServer
    box: ModbusServer
    platform: Running

    @property
    def drop(self) -> Path:
        return self.folder / "drop"

    async def until(self, query: str, what: str) -> None:
        """Until a query finds something."""
        found = lambda: bool(self.platform.sql(query))  # noqa: E731
        await asyncio.to_thread(self.platform.wait, found, 40, what)

    async def temp(self, machine: str, temp: float) -> None:
        query = f"SELECT 1 FROM process WHERE machine = '{SITE}/{machine}' AND temp = {temp}"
        await self.until(query, f"{machine} at {temp}")


def text(broker: int, press: int, box: int, drop: Path, late: str = "14:00") -> str:
    return MODEL.format(broker=broker, press=press, box=box, drop=drop, late=late, site=SITE)


async def send_to_cell(plant: Plant) -> None:
    await plant.broker.publish(*(("cell/1", payload) for payload in messages()))
    await plant.temp("cell-1", around(CASES[-1])[1])


async def send_to_press(plant: Plant) -> None:
    """Good, bad, good of everything an OPC UA server can say wrong."""
    now = datetime.now(UTC)

    async def write(tag: str, value: Any, at: datetime) -> None:
        kind = VARIABLES[tag].VariantType
        stamped: Any = at
        await plant.press.write(tag, ua.DataValue(ua.Variant(value, kind), SourceTimestamp=stamped))

    bad = (
        ("ns=2;s=Temp", float("nan"), now),
        ("ns=2;s=Temp", 900.0, now),
        ("ns=2;s=Temp", 60.0, now + timedelta(hours=2)),
        ("ns=2;s=Temp", 61.0, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("ns=2;s=Temp", 62.0, datetime(1601, 1, 2, tzinfo=UTC)),
        ("ns=2;s=Temp", 63.0, datetime(9999, 12, 31, tzinfo=UTC)),
        ("ns=2;s=Program", MEGABYTE, now),
    )
    for number, (tag, value, at) in enumerate(bad):
        before, after = (now + timedelta(milliseconds=20 * number + n) for n in (1, 10))
        await write("ns=2;s=Temp", 200.25 + number, before)
        await write("ns=2;s=Parts", 2 * number + 1, before)
        await write(tag, value, at if at != now else before + timedelta(milliseconds=5))
        await write("ns=2;s=Temp", 200.75 + number, after)
        await write("ns=2;s=Parts", 2 * number + 2, after)
    await plant.temp("press-1", 200.75 + len(bad) - 1)


async def send_to_box(plant: Plant) -> None:
    """A sensor that is torn off shows -3276.8 degrees."""
    for temp, parts in ((301, 1), (-32768, 2), (303, 3)):
        plant.box.put("input", 0, [temp & 0xFFFF])
        plant.box.put("holding", 0, [parts])
        seen = len(plant.box.requests)
        while len(plant.box.requests) < seen + 8:  # noqa: ASYNC110 - two polls, well under a second
            await asyncio.sleep(0.02)
    await plant.temp("box-1", 30.3)


ORDERS = """\
order,item,quantity
4711,cover,100
4712,cover,a hundred
4713,cover,-5
4714,,10
4715,lid,50
"""
STEPS = """\
order,step,place,began
4711,10,WC-1,2026-11-20T06:00:00Z
4711,20,WC-9,2026-11-20T07:00:00Z
9999,10,WC-1,2026-11-20T08:00:00Z
4715,10,WC-1,2026-02-30 06:00
4715,20,WC-1,2026-11-20T09:00:00Z,more
4715,30,WC-1,2026-11-20T10:00:00Z
"""


async def send_files(plant: Plant) -> None:
    (plant.drop / "orders-broken.xlsx").write_bytes(b"PK\x03\x04 half a workbook")
    (plant.drop / "orders.csv").write_text(ORDERS)
    (plant.drop / "steps.csv").write_text(STEPS)
    await plant.until("SELECT 1 FROM operation WHERE key = '4715/30'", "the files are read")
    gone = lambda: not [one for one in plant.drop.iterdir() if one.is_file()]  # noqa: E731
    await asyncio.to_thread(plant.platform.wait, gone, 20, "the files are filed away")


VARIABLES = {
    "ns=2;s=Temp": ua.Variant(199.0, ua.VariantType.Double),
    "ns=2;s=Parts": ua.Variant(0, ua.VariantType.UInt32),
    "ns=2;s=Program": ua.Variant("P1", ua.VariantType.String),
}


async def lived(folder: Path) -> Plant:
    """Everything was sent; the platform has stopped in good order, as a plant's does at times."""
    broker = Mosquitto(folder)
    await broker.start()
    (folder / "drop").mkdir()
    contents = {"holding": {0: 0}, "input": {0: 299}}
    try:
        with OpcuaServer(VARIABLES) as press:
            async with ModbusServer(contents) as box:
                model = text(broker.port, press.port, box.port, folder / "drop")
                with running(folder, model) as platform:
                    plant = Plant(folder, broker, press, box, platform)
                    await asyncio.to_thread(platform.wait_connected)
                    await send_all(plant)
    finally:
        await broker.stop()
    return plant


async def send_all(plant: Plant) -> None:
    await send_to_cell(plant)
    await send_to_press(plant)
    await send_to_box(plant)
    await send_files(plant)
    await apply_overlap(plant)


async def apply_overlap(plant: Plant) -> None:
    """A model with overlapping shifts is offered to the running platform; then life goes on."""
    folder = plant.folder / "overlap"
    folder.mkdir()
    model = text(plant.broker.port, plant.press.port, plant.box.port, plant.drop, late="13:00")
    (folder / "model.yaml").write_text(model)
    applied = await asyncio.to_thread(plant.platform.isthmus, "apply", str(folder))
    assert applied.returncode == 1, applied.stdout
    assert "error[M050]" in applied.stdout
    await plant.broker.publish(("cell/1", json.dumps({
        "ts": datetime.now(UTC).isoformat(), "state": "RUN", "temp": 444.5, "program": "P7",
        "parts": 3 * len(CASES) + 1,
    }).encode()))  # fmt: skip
    await plant.temp("cell-1", 444.5)
    health = await asyncio.to_thread(plant.platform.health)
    assert health["status"] == "ready", health
    assert set(health["sources"].values()) == {"connected"}, health
