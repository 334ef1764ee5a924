"""The columnar things that travel: samples from a source, rows for a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import Final, overload

import pyarrow as pa
import xxhash

from isthmus.base.clock import Micros

TIME: Final = pa.timestamp("us", tz="UTC")

SAMPLES_SCHEMA: Final = pa.schema(
    [
        pa.field("tag", pa.string(), nullable=False),
        pa.field("device_time", TIME, nullable=False),
        pa.field("received_time", TIME, nullable=False),
        pa.field("number", pa.float64()),
        pa.field("text", pa.string()),
        pa.field("quality", pa.uint32(), nullable=False),
    ]
)
"""Samples of ONE source. A value is in `number` or in `text`, never in both; a bad value may be
in neither. Booleans are 0 and 1. Integers beyond 2**53 come as text. `quality` is an OPC UA
StatusCode, whatever the protocol: its top two bits are 00 good, 01 uncertain, 10 bad."""

GOOD: Final = 0x0000_0000
UNCERTAIN: Final = 0x4000_0000
BAD: Final = 0x8000_0000
BAD_COMMUNICATION: Final = 0x8005_0000
BAD_NOT_CONNECTED: Final = 0x808A_0000
BAD_NODE_UNKNOWN: Final = 0x8034_0000
BAD_OUT_OF_SERVICE: Final = 0x808D_0000
UNCERTAIN_LAST_USABLE: Final = 0x4090_0000

SYSTEM_FIELDS: Final = (
    pa.field("_source", pa.string()),
    pa.field("_received", TIME),
    pa.field("_samples", pa.int32()),
    pa.field("_quality", pa.int16()),
    pa.field("_site", pa.string()),
    pa.field("_date", pa.date32()),
    pa.field("_epoch", pa.string()),
    pa.field("_seq", pa.int64()),
)
"""Columns that every lake table has after its own. `_samples`: how many samples this row took in
(so that the ledger can be proved against the lake). `_quality`: worst quality of the row, 0 good,
1 uncertain, 2 bad. `_date`: UTC date of the row's time, with `_site` the partition.
`(_site, _epoch, _seq)` is the parcel the row came in."""


@dataclass(frozen=True)
class Rows:
    """Rows for one lake table, without the system columns the log itself adds.

    `table` holds the table's own columns plus `_source`, `_received`, `_samples`, `_quality`.
    """

    name: str
    """Lake table: a block (`machine_state`), entity (`production_order`) or interval."""
    table: pa.Table


@dataclass(frozen=True)
class Quarantined:
    """One sample or record that breaks its contract, kept with the reason."""

    source: str
    tag: str
    machine: str
    block: str
    field: str
    device_time: Micros
    received_time: Micros
    value: str
    """As it came, cut at 1,000 characters."""
    code: str
    """`Q0nn`, documented in docs/reference/problems.md."""
    reason: str
    counted: bool = True
    """Whether the ledger counts a quarantined sample for it: of a sample that several fields
    refused one entry is counted, of one that another field took none."""


@dataclass(frozen=True)
class Count:
    """What became of the samples of one tag, received in one hour."""

    source: str
    tag: str
    hour: Micros
    received: int = 0
    good: int = 0
    uncertain: int = 0
    bad: int = 0
    unmapped: int = 0
    quarantined: int = 0
    late: int = 0
    shaped: int = 0
    """Samples that went into rows; `received = shaped + quarantined + unmapped + thinned`."""
    thinned: int = 0
    """Samples that the model says need not be kept: dead-bands, rates, inputs of rules."""


COUNTED: Final = (
    "received", "good", "uncertain", "bad", "unmapped", "quarantined", "late", "shaped", "thinned",
)  # fmt: skip
COUNTS_SCHEMA: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("tag", pa.string(), nullable=False),
        pa.field("hour", pa.int64(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in COUNTED),
    ]
)
"""Many of `Count`, in its order."""


@dataclass(frozen=True)
class Counts(Sequence[Count]):
    """Counts in columns (COUNTS_SCHEMA); a `Count` is made when somebody looks at it."""

    table: pa.Table

    @classmethod
    def of(cls, counts: Iterable[Count]) -> "Counts":
        if isinstance(counts, Counts):
            return counts
        return cls.of_columns(zip(*map(astuple, counts), strict=True))

    @classmethod
    def of_columns(cls, columns: Iterable[Iterable[object]]) -> "Counts":
        """Of no column at all too, as there are where nothing was counted."""
        found = list(columns) or [()] * len(COUNTS_SCHEMA)
        arrays = [
            pa.array(column, kind) for column, kind in zip(found, COUNTS_SCHEMA.types, strict=True)
        ]
        return cls(pa.Table.from_arrays(arrays, schema=COUNTS_SCHEMA))

    @classmethod
    def joined(cls, parts: Iterable[Sequence[Count]]) -> "Counts":
        tables = [cls.of(part).table for part in parts]
        return cls(pa.concat_tables(tables) if tables else COUNTS_SCHEMA.empty_table())

    @overload
    def __getitem__(self, at: int) -> Count: ...
    @overload
    def __getitem__(self, at: slice) -> list[Count]: ...
    def __getitem__(self, at: int | slice) -> Count | list[Count]:
        numbers = range(len(self))[at]
        if isinstance(numbers, int):
            return Count(*(column[numbers].as_py() for column in self.table.columns))
        return [self[number] for number in numbers]

    def __iter__(self) -> Iterator[Count]:
        return map(Count, *(column.to_pylist() for column in self.table.columns))

    def __len__(self) -> int:
        return int(self.table.num_rows)


@dataclass(frozen=True)
class Parcel:
    """One entry of a log: its identity, its payload, its checksum."""

    site: str
    epoch: str
    """16 hex digits, minted when a log is created or found shorter than its watermark."""
    seq: int
    name: str
    """Source for a raw parcel, lake table for a rows parcel."""
    payload: bytes
    """One Arrow IPC stream, lz4."""
    checksum: int
    """xxh64 of the payload."""
    recorded: Micros = 0

    def table(self) -> pa.Table:
        """The payload, checked first: a damaged parcel is never read over."""
        if xxhash.xxh64_intdigest(self.payload) != self.checksum:
            raise DamagedError(
                f"parcel {self.site}/{self.epoch}/{self.seq} ({self.name}): checksum differs"
            )
        return decode(self.payload)


class DamagedError(Exception):
    """Stored bytes are not the bytes that were written."""


@dataclass(frozen=True)
class Shaped:
    """What `shape` makes of the samples of one source."""

    rows: list[Rows] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    counts: Sequence[Count] = ()
    state: bytes | None = None
    """The carried state of this source's mapping (last counter values, pulses), opaque."""


# A parcel is too small for several threads: to wake them costs more than it does.
_WRITE: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ: Final = pa.ipc.IpcReadOptions(use_threads=False)


def encode(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_WRITE) as writer:
        writer.write_table(table)
    payload: bytes = sink.getvalue().to_pybytes()
    return payload


def decode(payload: bytes) -> pa.Table:
    return pa.ipc.open_stream(payload, options=_READ).read_all()


def checksum(payload: bytes) -> int:
    return xxhash.xxh64_intdigest(payload)


def signed(checksum: int) -> int:
    """SQLite's integers are signed: the same 64 bits."""
    return checksum - 2**64 if checksum >= 2**63 else checksum
