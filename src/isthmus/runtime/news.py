"""What arriving rows tell at once, before the lake is asked: a machine's state changed.

Whether a stop is planned or needs a reason takes the calendar and what people said; the web's own
computation follows a moment later with the whole truth.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from isthmus.flow.parcel import Rows
from isthmus.model.spec.block import TimeCategory

Fields = Mapping[str, Any]

_KIND: Mapping[TimeCategory | None, str] = {
    "production": "running", "setup": "setup", "idle": "idle", "stopped": "stopped",
    "maintenance": "stopped", "off": "stopped", None: "offline",
}  # fmt: skip


def states(
    rows: Sequence[Rows], categories: Mapping[str, TimeCategory]
) -> Iterator[tuple[str, Fields]]:
    """(machine, fields for its live topic): the newest state of each machine in these rows."""
    newest: dict[str, tuple[int, int, str | None]] = {}
    entries = (
        entry for one in rows if one.name == "machine_state" for entry in _entries(one.table)
    )
    for number, (machine, time, state) in enumerate(entries):  # of one time, the later word holds
        newest[machine] = max(
            newest.get(machine, (0, 0, None)), (time, number, state), key=lambda e: e[:2]
        )
    for machine, (time, _, state) in newest.items():
        kind = _KIND[categories.get(state) if state else None]
        yield machine, {"state": state or kind, "kind": kind, "since": time // 1000}


def _entries(table: pa.Table) -> Iterator[tuple[str, int, str | None]]:
    """Rows that say something about the state: it, or that it is unknown."""
    columns = table.select(["machine", "time", "state", "_quality"])
    times = columns["time"].cast(pa.int64()).to_pylist()
    said = zip(
        columns["machine"].to_pylist(), times, columns["state"].to_pylist(),
        columns["_quality"].to_pylist(), strict=True,
    )  # fmt: skip
    for machine, time, state, quality in said:
        if state is not None or quality == 2:
            yield machine, time, state
