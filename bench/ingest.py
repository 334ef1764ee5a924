"""Samples a second from a connector's hand-over to queryable: shape, log, ledger, commit, query.

`python -m bench ingest` prints the figures and writes bench/results/ingest.json. Budget:
500,000/s at 10,000 samples per parcel, one process on two cores.
"""

import random
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
from bench import shape as shape_bench
from bench.result import Figure, save

from isthmus.base.clock import SECOND
from isthmus.data.lake import Lake
from isthmus.data.ledger import check
from isthmus.data.maintain import maintain
from isthmus.data.writer import Pace, Writer
from isthmus.field.shape import Mapping, shape
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import TIME, Rows
from isthmus.model.spec.site import Keep

BUDGET = 500_000
SIZES = ((500, 800), (10_000, 200))
"""Samples per parcel, parcels."""
COUNT = (
    "SELECT (SELECT sum(_samples) FROM machine_state) + (SELECT sum(_samples) FROM part_count)"
    " + (SELECT sum(_samples) FROM cycle) AS n"
)
SHIFT = "SELECT count(*), avg(melt_temp) FROM cycle WHERE machine = $m AND time >= $s AND time < $e"
MONTH_ROWS = 20 * 30 * 2880
"""A month of 20 machines with a cycle every 30 s."""


@dataclass
class Bench:
    """One site with 20 machines in a temp folder."""

    root: Path

    def __post_init__(self) -> None:
        self.source, self.plant = shape_bench.plant()
        self.log = SqliteLog(self.root / "log" / "h.sqlite", "hamburg", Keep(free_mb=0))
        self.writer = Writer(
            self.root / "lake", {"hamburg": self.log}, self.plant, Pace(parcels=300, seconds=2.0)
        )
        self.writer.verify()
        self.lake = Lake(self.root / "lake", {"hamburg": self.log}, self.plant)

    def close(self) -> None:
        self.lake.close()
        self.log.close()


def ingest(bench: Bench, size: int, count: int) -> dict[str, Any]:
    seed = random.Random(1)  # noqa: S311
    parcels = [shape_bench.parcel(bench.source, size, n * size, seed) for n in range(count)]
    mapping = Mapping.of(bench.source, bench.plant)
    done = threading.Event()
    writing = threading.Thread(target=_write, args=(bench.writer, done))
    appends, state = [], None
    writing.start()
    start = time.perf_counter()
    for parcel in parcels:
        shaped = shape(parcel, mapping, state, now=shape_bench.START)
        before = time.perf_counter()
        bench.log.append("im", parcel, shaped, now=shape_bench.START)
        appends.append(time.perf_counter() - before)
        state = shaped.state
    stored = bench.lake.query(COUNT)["n"][0].as_py()
    queryable = time.perf_counter() - start
    done.set()
    writing.join()
    bench.writer.write_once()
    committed = time.perf_counter() - start
    assert stored == size * count, (stored, size * count)
    assert check(bench.lake) == []
    appends.sort()
    return {
        "samples_per_parcel": size,
        "samples": size * count,
        "to_queryable_per_second": round(size * count / queryable),
        "to_committed_per_second": round(size * count / committed),
        "append_p50_ms": round(appends[len(appends) // 2] * 1e3, 2),
        "append_p99_ms": round(appends[int(len(appends) * 0.99)] * 1e3, 2),
    }


def _write(writer: Writer, done: threading.Event) -> None:
    while not done.wait(0.05):
        if writer.due():
            writer.write_once()


def shift_of_a_month(bench: Bench) -> dict[str, Any]:
    """One machine over one shift, with a month of rows of 20 machines and a tail."""
    seed = random.Random(2)  # noqa: S311
    first = shape_bench.START + 86_400 * SECOND
    machines = list(bench.plant.machines)
    per_day = MONTH_ROWS // 30
    for part in range(30 * 4):
        at = first + part * 21_600 * SECOND
        times = [at + n // 20 * 30 * SECOND for n in range(per_day // 4)]
        count = len(times)
        table = pa.table(
            {
                "machine": [machines[n % 20] for n in range(count)],
                "time": pa.array(times, TIME),
                "melt_temp": [round(seed.gauss(230, 2), 1) for _ in range(count)],
                "pressure": [round(seed.gauss(90, 1), 1) for _ in range(count)],
                "cushion": [round(seed.gauss(5, 0.1), 2) for _ in range(count)],
                "_source": ["im"] * count,
                "_received": pa.array(times, TIME),
                "_samples": pa.array([0] * count, pa.int32()),
                "_quality": pa.array([0] * count, pa.int16()),
            }
        )
        bench.log.append_rows([Rows("cycle", table)], now=at)
        if part < 30 * 4 - 1:
            bench.writer.write_once()
    start = datetime.fromtimestamp(first / SECOND, UTC) + timedelta(days=15, hours=6)
    params = {"m": machines[7], "s": start, "e": start + timedelta(hours=8)}
    loose = _median_ms(lambda: bench.lake.query(SHIFT, params))
    maintained = maintain(bench.root / "lake" / "cycle", many_files=2)
    compact = _median_ms(lambda: bench.lake.query(SHIFT, params))
    return {
        "rows": bench.lake.query("SELECT count(*) AS n FROM cycle")["n"][0].as_py(),
        "files": maintained.files_before,
        "shift_ms": loose,
        "files_compacted": maintained.files_after,
        "shift_compacted_ms": compact,
        "bytes_per_row_compacted": round(_bytes_per_row(bench), 2),
    }


def _median_ms(ask: Any, times: int = 9) -> float:
    took = []
    for _ in range(times):
        before = time.perf_counter()
        ask()
        took.append(time.perf_counter() - before)
    return round(sorted(took)[times // 2] * 1e3, 1)


def _bytes_per_row(bench: Bench) -> float:
    table = pa.table(
        deltalake.DeltaTable(bench.root / "lake" / "cycle").get_add_actions(flatten=True)
    )
    days = [str(day) for day in table["partition._date"].to_pylist()]
    largest = max(days, key=days.count)
    chosen = [n for n, day in enumerate(days) if day != min(days) or day == largest]
    taken = table.take(chosen)
    return sum(taken["size_bytes"].to_pylist()) / sum(taken["num_records"].to_pylist())


def in_a_folder(measure: Any) -> dict[str, Any]:
    root = Path(tempfile.mkdtemp())
    bench = Bench(root)
    try:
        found: dict[str, Any] = measure(bench)
    finally:
        bench.close()
        shutil.rmtree(root)
    return found


def main() -> None:
    rates = [in_a_folder(lambda b, s=s, c=c: ingest(b, s, c)) for s, c in SIZES]
    shift = in_a_folder(shift_of_a_month)
    largest = rates[-1]
    save(
        "ingest",
        "samples, hand-over to queryable: 20 machines × 8 tags, 3 blocks, one process",
        [
            Figure(f"{largest['samples_per_parcel']:,} per parcel",
                   largest["to_queryable_per_second"], "samples/s", BUDGET, "higher"),
            *(Figure(f"{one['samples_per_parcel']:,} per parcel", one["to_queryable_per_second"],
                     "samples/s", better="higher") for one in rates[:-1]),
            Figure("append to the log, p99", largest["append_p99_ms"], "ms"),
            Figure("one machine's shift of a month, before compaction", shift["shift_ms"], "ms"),
            Figure("one machine's shift of a month", shift["shift_compacted_ms"], "ms", 300),
            Figure("a row on disk after compaction", shift["bytes_per_row_compacted"], "bytes", 8),
        ],
        {"ingest": rates, "query": shift},
    )  # fmt: skip


if __name__ == "__main__":
    main()
