"""The contract of a site's log; `SqliteLog` keeps it, and so must every other."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.flow.parcel import Count, Parcel, Quarantined, Rows, Shaped

Stream = Literal["raw", "rows"]


@dataclass(frozen=True)
class Gap:
    """Time in which a source told us nothing we could trust."""

    id: str
    source: str
    start: Micros
    end: Micros | None
    """None while it lasts."""
    reason: str
    """`lost`, `stopped` (platform was down), `sequence` (source skipped), `removed`, …"""
    detail: str = ""


@dataclass(frozen=True)
class Failure:
    """RAW that is kept alone because shaping it failed; replay it once the cause is mended."""

    raw: int
    """Position in the raw stream."""
    source: str
    samples: int
    recorded: Micros
    failure: str


@dataclass(frozen=True)
class Release:
    """What leaves quarantine, and what became of it: all of it or nothing goes into a log."""

    rows: Sequence[Rows] = ()
    counts: Sequence[Count] = ()
    """Differences: quarantined less, shaped more."""
    replayed: Sequence[int] = ()
    """Entries that leave quarantine."""
    uncounted: Sequence[int] = ()
    """Entries that stay, though another field took their sample meanwhile."""
    quarantined: Sequence[Quarantined] = ()
    """New entries: fields that refuse what another one takes, or what was RAW alone."""
    failures: Sequence[int] = ()
    """RAW that was kept alone and is shaped now."""


class OvertakenError(Exception):
    """Somebody else replayed the same entries meanwhile; nothing was written."""


class Full(Exception):  # noqa: N818 - the condition, not a bug
    """The disk or the log's limit is reached; nothing was written, nothing was lost."""


class Log(Protocol):
    """A durable, ordered log of one site.

    Every method returns only after its effect is synced to disk. One writer at a time;
    readers may be many. Safe to call from threads.
    """

    site: str

    @property
    def epoch(self) -> str: ...

    def append(
        self,
        source: str,
        samples: pa.Table | None,
        shaped: Shaped,
        *,
        now: Micros,
        position: bytes | None = None,
    ) -> int:
        """Write RAW, rows, quarantine, counts and mapping state in ONE transaction.

        `samples` may be None (nothing came, but a rule fired). `position` is where the source is
        read on after these samples; None leaves it as it is. Returns the raw position (0 if none).
        Raises Full, and then nothing was written.
        """
        ...

    def append_raw(
        self,
        source: str,
        samples: pa.Table,
        failure: str,
        *,
        now: Micros,
        position: bytes | None = None,
    ) -> int:
        """RAW alone, when shaping failed: the failure is named in the ledger's notes."""
        ...

    def release(self, release: Release, *, now: Micros) -> None:
        """Rows of samples that were in quarantine, with the counts and entries they change.

        Raises Full, or OvertakenError where an entry has left quarantine already; nothing was
        written then.
        """
        ...

    def append_rows(self, rows: Sequence[Rows], *, now: Micros) -> int:
        """Rows that came from no machine: entities, intervals, reasons."""
        ...

    def read(self, stream: Stream, after: int, limit: int = 256) -> list[Parcel]:
        """Parcels of a stream with `seq > after`, in order."""
        ...

    def last(self, stream: Stream) -> int: ...

    def confirm(self, stream: Stream, seq: int) -> None:
        """Everything up to `seq` is safe elsewhere: rows in the lake, RAW at the hub."""
        ...

    def confirmed(self, stream: Stream) -> int: ...

    def trim(self, stream: Stream, before: int) -> int:
        """Forget parcels with `seq < before`; returns how many.

        Rows that are not confirmed are never forgotten.
        """
        ...

    def state(self, source: str) -> bytes | None:
        """The mapping state that `append` stored last for this source."""
        ...

    def position(self, source: str) -> bytes | None:
        """Where this source is read on, as an append stored it last."""
        ...

    def alive(self, sources: Iterable[str], now: Micros) -> None:
        """These sources were connected at `now`; after a crash the gap starts here."""
        ...

    def open_gap(
        self,
        source: str,
        reason: str,
        detail: str,
        *,
        start: Micros,
        now: Micros,
        rows: Sequence[Rows] = (),
    ) -> Gap:
        """Begin a gap and write the rows that say `unknown`, in one transaction."""
        ...

    def close_gap(self, source: str, *, end: Micros, now: Micros, reason: str = "") -> None:
        """End the source's gaps that are open, or only those of one `reason`."""
        ...

    def recover(self, now: Micros, unknown: Callable[[str, Micros], Sequence[Rows]]) -> list[Gap]:
        """At start: a gap `stopped` for each source that was connected, from its last alive time.

        `unknown(source, at)` gives the rows that say *unknown*, written in the same transaction.
        """
        ...

    def retire(self, known: Collection[str], *, now: Micros) -> list[Gap]:
        """Nothing is expected any more of sources that are not `known`: their gaps end.

        Such a gap gets the reason `removed`; its detail still says why it began.
        """
        ...

    def gaps(self, start: Micros, end: Micros) -> list[Gap]: ...

    def counts(self, start: Micros, end: Micros) -> list[Count]: ...

    def quarantined(self, start: Micros, end: Micros, limit: int = 1000) -> list[Quarantined]: ...

    def close(self) -> None: ...
