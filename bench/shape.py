"""How many samples a second `shape` turns into rows, by size of the parcel, in one process.

`python -m bench shape` prints the figures and writes bench/results/shape.json.
"""

import random
import time

import pyarrow as pa
from bench.result import Figure, save

from isthmus.base.clock import Micros
from isthmus.field.shape import Mapping, shape
from isthmus.flow.parcel import SAMPLES_SCHEMA, Shaped
from isthmus.model.plant import FieldMap, Machine, Plant, Source
from isthmus.model.spec.block import Block
from isthmus.model.spec.machine_type import Counter
from isthmus.model.spec.site import SourceSpec

MACHINES = 20
START = 1_794_902_400_000_000
SIZES = (50, 500, 10_000)
SECONDS = 3.0
PACKML = tuple((str(n), name) for n, name in enumerate(("stopped", "idle", "held", "execute")))


def fields(path: str) -> tuple[FieldMap, ...]:
    """Like an injection moulding machine: a state, two counters, four process values, a text."""
    name = path.rsplit("/", 1)[-1]
    return (
        FieldMap(path, "machine_state", "state", "enum", f"ns=4;s={name}.State", codes=PACKML),
        FieldMap(path, "part_count", "good", "counter", f"ns=4;s={name}.Good",
                 counter=Counter(bits=16)),
        FieldMap(path, "part_count", "scrap", "counter", f"ns=4;s={name}.Scrap",
                 counter=Counter(bits=16)),
        FieldMap(path, "cycle", "melt_temp", "number", f"ns=4;s={name}.MeltTemp",
                 scale=5 / 9, offset=-160 / 9, min=0.0, max=400.0),
        FieldMap(path, "cycle", "pressure", "number", f"ns=4;s={name}.Pressure", scale=0.1),
        FieldMap(path, "cycle", "cushion", "number", f"ns=4;s={name}.Cushion"),
        FieldMap(path, "cycle", "cavities", "integer", f"ns=4;s={name}.Cavities"),
        FieldMap(path, "cycle", "program", "text", f"ns=4;s={name}.Program"),
    )  # fmt: skip


def plant() -> tuple[Source, Plant]:
    paths = tuple(f"acme/hamburg/moulding/line-1/im-{n:02d}" for n in range(MACHINES))
    machines = {
        path: Machine(path, "", "hamburg", "moulding", "line-1", "im", "im", fields(path),
                      ("machine_state", "part_count", "cycle"), None, (), "Europe/Berlin", 120, 1.3)
        for path in paths
    }  # fmt: skip
    tags = tuple(m.tag or "" for machine in machines.values() for m in machine.maps)
    source = Source("im", "hamburg", SourceSpec(kind="opcua"), tags, paths)
    blocks: dict[str, Block] = {}
    for name in ("machine_state", "part_count", "cycle"):
        kinds = {m.field: {"type": m.type} for m in fields(paths[0]) if m.block == name}
        if name == "machine_state":
            kinds["state"]["values"] = "packml"
        blocks[name] = Block.model_validate({"block": name, "version": 1, "fields": kinds})
    sources = {"im": source}
    return source, Plant("acme", "", "UTC", "en", {}, machines, sources, {}, blocks, {}, {}, {})


def parcel(source: Source, size: int, first: int, seed: random.Random) -> pa.Table:
    """Each device time brings all eight values of one machine."""
    rows = []
    for n in range(size):
        number = first + n
        tag = source.tags[number % len(source.tags)]
        at: Micros = START + (number // 8) * 1_000
        rows.append(_sample(tag, at, number, seed))
    return pa.Table.from_pylist(rows, SAMPLES_SCHEMA)


def _sample(tag: str, at: Micros, number: int, seed: random.Random) -> dict[str, object]:
    kind = tag.rsplit(".", 1)[-1]
    count = float(number // (8 * MACHINES) % 65_536)
    value: float | None = {
        "State": float(seed.randrange(4)), "Good": count, "Scrap": count,
        "MeltTemp": seed.uniform(380, 460), "Cavities": 4.0, "Program": None,
    }.get(kind, seed.random())  # fmt: skip
    text = "MOULD-4711" if kind == "Program" else None
    return {"tag": tag, "device_time": at, "received_time": at + 20_000, "number": value,
            "text": text, "quality": 0}  # fmt: skip


def measure(size: int) -> dict[str, float]:
    source, whole = plant()
    mapping = Mapping.of(source, whole)
    seed = random.Random(1)  # noqa: S311
    count = max(8, 40_000 // size)
    parcels = [parcel(source, size, n * size, seed) for n in range(count)]
    took, busy, state = [], [], None
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        state = None
        for table in parcels:
            before, cpu = time.perf_counter(), time.thread_time()
            shaped: Shaped = shape(table, mapping, state, now=START)
            took.append(time.perf_counter() - before)
            busy.append(time.thread_time() - cpu)
            state = shaped.state
            assert not shaped.quarantined
    took.sort()
    busy.sort()
    median = took[len(took) // 2]
    return {
        "samples_per_parcel": size,
        "samples_per_second": round(size / median),
        "samples_per_cpu_second": round(size / busy[len(busy) // 2]),
        "median_ms": round(median * 1e3, 3),
        "p99_ms": round(took[int(len(took) * 0.99)] * 1e3, 3),
    }


def main() -> None:
    results = [measure(size) for size in SIZES]
    save(
        "shape",
        "samples through shape: 20 machines × 8 tags, 3 blocks, 40 counters",
        [
            Figure(f"{one['samples_per_parcel']:,} per parcel", one["samples_per_second"],
                   "samples/s", better="higher")
            for one in results
        ],
        {"results": results},
    )  # fmt: skip


if __name__ == "__main__":
    main()
