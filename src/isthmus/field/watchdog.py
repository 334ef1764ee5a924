"""Signals that are said to be good and do not move: their device time stands still.

Declared per tag (`stale_after`). From then on the value is uncertain: it is said again so at that
moment, and whatever comes with the old time is uncertain too, until the time moves on.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import SECOND, Micros
from isthmus.field.carried import Carried, Fresh
from isthmus.flow.parcel import BAD, SAMPLES_SCHEMA, UNCERTAIN_LAST_USABLE

Limits = Mapping[str, float]
"""Tag → seconds after which a time that stands still is not believed."""

_QUALITY: Final = SAMPLES_SCHEMA.get_field_index("quality")


def watched(samples: pa.Table, limits: Limits, carried: Carried) -> pa.Table:
    """The samples; those whose device time has stood still for too long are uncertain."""
    chosen = pc.is_in(samples["tag"], value_set=pa.array(list(limits), pa.string()))
    if not samples.num_rows or not pc.any(chosen).as_py():
        return samples
    positions = pc.indices_nonzero(chosen).to_pylist()
    ours = samples.filter(chosen)
    times, received = (_micros(ours[name]) for name in ("device_time", "received_time"))
    rest = (ours[name].to_pylist() for name in ("tag", "number", "text", "quality"))
    doubtful = []
    for at, tag, number, text, quality, time, seen in zip(
        positions, *rest, times, received, strict=True
    ):
        last = carried.fresh.get(tag)
        if last is None or time > last.time:
            value = None if quality >= BAD else number if number is not None else text
            carried.fresh[tag] = Fresh(time, seen, value)
        elif quality < BAD and seen - last.seen > limits[tag] * SECOND:
            doubtful.append(at)
    return _uncertain(samples, doubtful) if doubtful else samples


def stood_still(limits: Limits, carried: Carried, now: Micros) -> pa.Table:
    """The last values again, of tags that have just been found to stand still."""
    found = []
    for tag, seconds in limits.items():
        last = carried.fresh.get(tag)
        if last is None or last.stale or last.value is None:
            continue
        due = last.seen + round(seconds * SECOND)
        if due < now:
            carried.fresh[tag] = Fresh(last.time, last.seen, last.value, stale=True)
            found.append(_sample(tag, max(due, last.time + 1), now, last.value))
    return pa.Table.from_pylist(found, SAMPLES_SCHEMA)


def _sample(tag: str, time: Micros, now: Micros, value: float | str) -> dict[str, object]:
    return {
        "tag": tag,
        "device_time": time,
        "received_time": now,
        "number": None if isinstance(value, str) else value,
        "text": value if isinstance(value, str) else None,
        "quality": UNCERTAIN_LAST_USABLE,
    }


def _uncertain(samples: pa.Table, positions: Sequence[int]) -> pa.Table:
    qualities = samples["quality"].to_pylist()
    for at in positions:
        qualities[at] = max(qualities[at], UNCERTAIN_LAST_USABLE)
    kind = SAMPLES_SCHEMA.field(_QUALITY)
    return samples.set_column(_QUALITY, kind, pa.array(qualities, kind.type))


def _micros(column: pa.ChunkedArray) -> list[Micros]:
    return column.cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]
