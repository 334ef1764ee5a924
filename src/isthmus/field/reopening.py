"""Times of values after a source was lost and opened again.

Each tag tells its present value once. A value from before the loss has not changed since, so it
holds from the reopening on: between the two nobody knows. Where the device's clock is behind ours,
the next changes also carry times from before the reopening; they are written at the reopening too,
where the row received last holds, and so are not hidden behind the first one.
"""

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import HOUR
from isthmus.field.carried import Carried
from isthmus.field.columns import with_columns
from isthmus.field.mapping import Mapping


def since_reopening(entries: pa.RecordBatch, mapping: Mapping, carried: Carried) -> pa.RecordBatch:
    """The entries with the times from which they hold; `carried` knows what is still awaited."""
    if not entries.num_rows or not _concerned(entries, carried):
        return entries
    times, fields = entries["time"].to_pylist(), entries["field"].to_pylist()
    arrival = sorted(range(len(times)), key=entries["sample"].to_pylist().__getitem__)
    for at in arrival:
        if _moved(mapping.keys[fields[at]], times[at], carried):
            times[at] = carried.opened
    return with_columns(entries, time=pa.array(times, pa.int64()))


def _concerned(entries: pa.RecordBatch, carried: Carried) -> bool:
    """Long after the reopening, or where clocks agree, nothing needs to be looked at."""
    if carried.moved and pc.min(entries["received"]).as_py() > carried.opened + HOUR:
        carried.moved.clear()
    if carried.awaited:
        return True
    return bool(carried.moved) and pc.min(entries["time"]).as_py() <= carried.opened


def _moved(key: str, time: int, carried: Carried) -> bool:
    """Whether this value of a field is written at the reopening."""
    if key in carried.awaited:
        carried.awaited.remove(key)
        if time <= carried.unknown_since:
            carried.moved[key] = time
            return True
    elif key in carried.moved:
        if time > carried.opened:
            del carried.moved[key]
        elif time >= carried.moved[key]:  # an older one is a redelivery
            carried.moved[key] = time
            return True
    return False
