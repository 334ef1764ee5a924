"""What intake knew of samples beside what they say: kept with RAW, so that a replay is the same.

It stands in the metadata of their schema, where nobody else reads it. Samples without it were taken
as they are.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import Micros
from isthmus.flow.parcel import TIME

_KEY: Final = b"isthmus"


@dataclass(frozen=True)
class Note:
    """How the times of samples were read, and what was opened before them."""

    ours: bool = False
    """Values have the time of receipt."""
    correction: Micros = 0
    """Taken from device times."""
    reopened: tuple[tuple[Micros, Micros], ...] = ()
    """Since when all was unknown, and from when on values held again; in their order."""


def noted(samples: pa.Table, note: Note) -> pa.Table:
    """The samples as they came, with the note."""
    if note == Note():
        return samples
    return samples.replace_schema_metadata({_KEY: json.dumps(asdict(note)).encode()})


def note_of(samples: pa.Table) -> Note:
    found = (samples.schema.metadata or {}).get(_KEY)
    if found is None:
        return Note()
    kept = json.loads(found)
    reopened = tuple((since, at) for since, at in kept["reopened"])
    return Note(kept["ours"], kept["correction"], reopened)


def timed(samples: pa.Table, note: Note) -> pa.Table:
    """The samples with the times that hold."""
    if note.ours:
        return _with_times(samples, samples["received_time"])
    if not note.correction:
        return samples
    times = pc.subtract(samples["device_time"].cast(pa.int64()), note.correction)
    return _with_times(samples, times.cast(TIME))


def _with_times(samples: pa.Table, times: pa.ChunkedArray) -> pa.Table:
    at = samples.schema.get_field_index("device_time")
    return samples.set_column(at, samples.schema.field(at), times)
