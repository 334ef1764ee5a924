"""Values that the model says need not be kept: inside a dead-band, or sooner than declared.

A field's first value, a change of its quality, and what comes late are always kept.
"""

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import SECOND, Micros
from isthmus.field.carried import Carried, Kept
from isthmus.field.mapping import Mapping
from isthmus.model.plant import FieldMap


def thinned(
    entries: pa.RecordBatch, mapping: Mapping, carried: Carried
) -> tuple[pa.RecordBatch, set[int]]:
    """The entries that are kept, and the samples of the others."""
    if not len(mapping.thinned) or not entries.num_rows:
        return entries, set()
    ours = pc.is_in(entries["field"], value_set=mapping.thinned)
    if not pc.any(ours).as_py():
        return entries, set()
    mask = ours.to_pylist()
    columns = [entries[name].to_pylist() for name in ("sample", "field", "time", "amount", "grade")]
    keep = [True] * entries.num_rows
    dropped: set[int] = set()
    for at in sorted((at for at, one in enumerate(mask) if one), key=columns[0].__getitem__):
        sample, field, time, amount, grade = (column[at] for column in columns)
        key = mapping.keys[field]
        value = None if grade else amount
        if _needed(mapping.maps[field], carried.kept.get(key), time, value):
            carried.kept[key] = Kept(time, value)
        else:
            keep[at] = False
            dropped.add(sample)
    return entries.filter(pa.array(keep)), dropped


def _needed(mapped: FieldMap, last: Kept | None, time: Micros, value: float | None) -> bool:
    if last is None or value is None or last.amount is None or time < last.time:
        return True
    far = mapped.dead_band is None or abs(value - last.amount) >= mapped.dead_band
    every = mapped.at_most_every
    return far and (every is None or time - last.time >= every * SECOND)
