"""One machine, its log, writer and lake in a folder: what tests of flow and data stand on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from isthmus.base.clock import HOUR, SECOND, Micros, parse_time
from isthmus.data.lake import Lake
from isthmus.data.writer import Writer
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import SAMPLES_SCHEMA, TIME, Count, Rows, Shaped
from isthmus.model.plant import Machine, Plant, Site, Source
from isthmus.model.spec.block import Block, BlockField
from isthmus.model.spec.site import Keep, SourceSpec

T0 = parse_time("2026-11-17T05:00:00Z")
KEEP = Keep(free_mb=0)
MACHINE = "acme/hamburg/moulding/line-1/im-07"


def cycle_block(kind: str = "number", **more: BlockField) -> Block:
    fields = {"melt_temp": BlockField(type=kind), "good": BlockField(type="counter"), **more}
    return Block(block="cycle", version=1, fields=fields)


def plant(blocks: Mapping[str, Block] | None = None) -> Plant:
    machine = Machine(
        path=MACHINE, name="IM 07", site="hamburg", area="moulding", line="line-1", type="t",
        source="im07", maps=(), blocks=("cycle",), ideal_cycle=28.0, calendars=(),
        timezone="Europe/Berlin", minor_stop=120.0, slow_factor=1.3,
    )  # fmt: skip
    site = Site(
        name="hamburg", title="Hamburg", timezone="Europe/Berlin", keep=KEEP, calendars=(),
        use_cases={}, targets={}, areas={}, lines={},
    )  # fmt: skip
    source = Source("im07", "hamburg", SourceSpec(kind="test"), ("t1",), (MACHINE,))
    return Plant(
        enterprise="acme", title="Acme", timezone="UTC", language="en",
        sites={"hamburg": site}, machines={MACHINE: machine}, sources={"im07": source},
        systems={}, blocks=blocks or {"cycle": cycle_block()}, code_systems={}, machine_types={},
        materials={},
    )  # fmt: skip


def cycles(first: int, count: int = 1, **columns: object) -> Rows:
    """Rows number `first` to `first + count - 1`; each is one second and one sample."""
    times = pa.array([T0 + (first + i) * SECOND for i in range(count)], TIME)
    own = {
        "machine": [MACHINE] * count,
        "time": times,
        "melt_temp": [float(first + i) for i in range(count)],
        "good": pa.array([1] * count, pa.int64()),
    }
    system = {
        "_source": ["im07"] * count,
        "_received": times,
        "_samples": pa.array([1] * count, pa.int32()),
        "_quality": pa.array([0] * count, pa.int16()),
    }
    return Rows("cycle", pa.table({**own, **columns, **system}))


def shaped(first: int, count: int = 1) -> Shaped:
    """What shape would hand over for `cycles(first, count)`, with honest counts."""
    hours: dict[Micros, int] = {}
    for i in range(count):
        hour = (T0 + (first + i) * SECOND) // HOUR * HOUR
        hours[hour] = hours.get(hour, 0) + 1
    counts = [Count("im07", "t1", hour, received=n, good=n, shaped=n) for hour, n in hours.items()]
    return Shaped(rows=[cycles(first, count)], counts=counts, state=str(first).encode())


def samples(first: int, count: int = 1) -> pa.Table:
    times = [T0 + (first + i) * SECOND for i in range(count)]
    columns = [
        ["t1"] * count, times, times, [float(first + i) for i in range(count)], [None] * count,
        [0] * count,
    ]  # fmt: skip
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SAMPLES_SCHEMA, strict=True)]
    return pa.table(arrays, schema=SAMPLES_SCHEMA)


@dataclass
class House:
    """One site's log with writer and lake over it."""

    root: Path
    plant: Plant = field(default_factory=plant)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.log = SqliteLog(self.root / "log" / "hamburg.sqlite", "hamburg", KEEP)
        self.writer = Writer(self.root / "lake", {"hamburg": self.log}, self.plant)
        self.lake = Lake(self.root / "lake", {"hamburg": self.log}, self.plant)

    def close(self) -> None:
        self.lake.close()
        self.log.close()

    def add(self, first: int, count: int = 1) -> None:
        self.log.append("im07", samples(first, count), shaped(first, count), now=T0)

    def numbers(self) -> list[int]:
        """`melt_temp` of every row SQL sees, sorted: which rows there are, and how often."""
        found = self.lake.query("SELECT melt_temp FROM cycle ORDER BY melt_temp")
        return [int(one) for one in found["melt_temp"].to_pylist()]

    @property
    def table(self) -> Path:
        return self.root / "lake" / "cycle"
