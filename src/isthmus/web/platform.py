"""What the web needs from a running platform; the runtime implements it, tests bring their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from isthmus.base.clock import Clock
from isthmus.data.views import EVER, Window
from isthmus.flow.contract import Failure
from isthmus.flow.parcel import Rows
from isthmus.model.plant import Plant
from isthmus.web.live import Hub
from isthmus.web.workbench import Workbench


class Lake(Protocol):
    """Answers SQL over all views; `isthmus.data.lake.Lake` is one. Safe to call from threads."""

    def query(
        self, sql: str, params: Mapping[str, object] | None = None, *, ledger: Window = EVER
    ) -> pa.Table:
        """`ledger`: of the ledger, only hours that begin in there."""
        ...

    def user_query(self, sql: str, *, max_rows: int = 10_000) -> pa.Table:
        """One SELECT of a person, fenced in; `RefusedError` of `data.restricted` says why not."""
        ...

    def sequences(self) -> pa.Table:
        """`_site, _epoch, first, last, parcels` of all that was logged."""
        ...

    def failures(self) -> Sequence[Failure]:
        """Samples kept as RAW alone, because shaping them failed."""
        ...


class Platform(Protocol):
    """A running platform, seen from the web."""

    @property
    def plant(self) -> Plant: ...

    @property
    def clock(self) -> Clock:
        """Plant time; sessions and rate limits use the wall clock instead."""
        ...

    @property
    def version(self) -> str: ...

    @property
    def data(self) -> Path:
        """The folder of `ISTHMUS_DATA`; accounts are kept in it."""
        ...

    @property
    def lake(self) -> Lake: ...

    @property
    def hub(self) -> Hub: ...

    @property
    def workbench(self) -> Workbench:
        """Looking around in sources, and changing the model."""
        ...

    def health(self) -> Mapping[str, Any]:
        """At least `status`: `starting`, `ready` or `degraded`."""
        ...

    async def append_rows(self, rows: Sequence[Rows]) -> None:
        """Return once the rows are synced to the site's log and visible to queries."""
        ...

    def clock_offsets(self) -> Mapping[str, float]:
        """Source → seconds its device's clock is ahead of ours (negative: behind), where known."""
        ...

    def source_states(self) -> Mapping[str, Any]:
        """Source name → what the runtime knows about its connection."""
        ...
