"""Moves rows parcels from the logs into the lake: exactly once, synced before a log forgets.

The offset of a table lives in the table itself: Delta's transaction `table/site/epoch` at version
`seq`, read and committed through one handle. Whatever dies in between, the next attempt goes on
from what the table says.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from isthmus.base.clock import Micros
from isthmus.base.problem import Problem, ProblemsError
from isthmus.data import delta
from isthmus.data.catalog import catalog
from isthmus.data.contract import ContractError, known_table, lake_rows
from isthmus.data.evolve import open_for
from isthmus.data.tables import TableSchema, tables
from isthmus.data.verify import verify as verify_lake
from isthmus.flow.log import SqliteLog
from isthmus.flow.parcel import DamagedError, Parcel
from isthmus.model.plant import Plant

_READ: Final = 512
"""Parcels taken from a log at once."""


@dataclass(frozen=True)
class Pace:
    """When a commit is due: large commits make few files; the tail keeps queries fresh."""

    parcels: int = 400
    seconds: float = 5.0


@dataclass
class Written:
    """What one round moved."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows per table."""
    commits: int = 0
    parcels: int = 0
    problems: list[Problem] = field(default_factory=list)
    """Tables that stand still, and why; their rows stay in the log and in queries' reach."""


class Writer:
    """One per lake is enough; a second one cannot write anything twice."""

    def __init__(
        self,
        lake: Path,
        logs: Mapping[str, SqliteLog],
        plant: Plant,
        pace: Pace | None = None,
    ) -> None:
        self._lake = lake
        self._logs = list(logs.values())
        self._plant = plant
        self.schemas: dict[str, TableSchema] = {}
        self._pace = pace or Pace()
        self._tables: dict[str, DeltaTable] = {}
        self._written_at = time.monotonic()

    def verify(self, now: Micros = 0) -> list[Problem]:
        """Before any intake: check the lake, create and widen tables, fence logs that went back.

        ProblemsError if the lake is damaged; returns warnings.
        """
        found = verify_lake(self._lake)
        if any(problem.severity == "error" for problem in found):
            raise ProblemsError(found)
        found += self._open_tables()
        for log in self._logs:
            found += self._compare(log, now)
        if any(problem.severity == "error" for problem in found):
            raise ProblemsError(found)
        return found

    def adopt(self, plant: Plant) -> None:
        """Take over a changed model: new blocks get tables, new fields get columns."""
        self._plant = plant
        problems = self._open_tables()
        if problems:
            raise ProblemsError(problems)

    def due(self) -> bool:
        """Whether enough has gathered since the last round."""
        waiting = max((log.last("rows") - log.confirmed("rows") for log in self._logs), default=0)
        if waiting == 0:
            return False
        waited = time.monotonic() - self._written_at
        return waiting >= self._pace.parcels or waited >= self._pace.seconds

    def write_once(self) -> Written:
        """Move everything the logs have now."""
        written = Written()
        self._written_at = time.monotonic()
        for log in self._logs:
            self._move(log, written)
        return written

    # One log ----------------------------------------------------------------------------------

    def _move(self, log: SqliteLog, written: Written) -> None:
        stuck: set[str] = set()
        done = log.confirmed("rows")
        safe = done
        end = log.last("rows")
        while done < end:
            parcels = log.read("rows", done, _READ)
            _check_order(parcels, done, log)
            for (epoch, name), group in _by_table(parcels):
                if name not in stuck and not self._write(name, log.site, epoch, group, written):
                    stuck.add(name)
            done = parcels[-1].seq
            written.parcels += len(parcels)
            if not stuck:
                safe = done
        if safe > log.confirmed("rows"):
            log.confirm("rows", safe)

    def _write(
        self, name: str, site: str, epoch: str, parcels: list[Parcel], written: Written
    ) -> bool:
        """Append what the table does not have yet; False if the table stands still."""
        try:
            table, schema = self._table(name)
            app = delta.app_id(name, site, epoch)
            committed = table.transaction_version(app) or 0
            fresh = [parcel for parcel in parcels if parcel.seq > committed]
            if not fresh:
                return True
            rows = pa.concat_tables([lake_rows(parcel, schema) for parcel in fresh])
            delta.append(table, self._lake / name, rows, delta.Stamp(app, fresh[-1].seq))
        except ContractError as error:
            written.problems.append(_stands_still(name, str(error)))
            return False
        except CommitFailedError as error:
            self._tables.pop(name, None)  # a second writer was faster: look again next round
            written.problems.append(_overtaken(name, str(error)))
            return False
        written.rows[name] = written.rows.get(name, 0) + rows.num_rows
        written.commits += 1
        return True

    def _table(self, name: str) -> tuple[DeltaTable, TableSchema]:
        schema = known_table(name, self.schemas)
        table = self._tables.get(name)
        if table is None:
            raise ContractError(f"table `{name}` could not be opened")
        table.update_incremental()
        return table, schema

    def _open_tables(self) -> list[Problem]:
        """Create and widen the model's tables, then open all there are."""
        problems: list[Problem] = []
        for name, schema in tables(self._plant).items():
            try:
                self._tables[name] = open_for(self._lake / name, schema)
            except ProblemsError as error:
                problems += error.problems
        self.schemas = catalog(self._lake, self._plant)
        for name in self.schemas.keys() - self._tables.keys():
            self._tables[name] = delta.open_table(self._lake / name)
        return problems

    def _compare(self, log: SqliteLog, now: Micros) -> list[Problem]:
        """The lake and a log must agree on how far they got, else one of them went back."""
        committed = self._committed(log)
        if committed > log.last("rows"):
            last = log.last("rows")
            log.fence(f"the lake has rows up to {committed}, the log ends at {last}", now)
            return [_log_went_back(log.site, last, committed)]
        before = log.epochs()[-1].first_rows - 1
        if max(log.confirmed("rows"), before) > max(committed, before):
            return [_lake_went_back(log.site, committed, log.confirmed("rows"))]
        return []

    def _committed(self, log: SqliteLog) -> int:
        """The last sequence of the log's epoch that any table has, of the model or not."""
        found = [0]
        for folder in delta.table_folders(self._lake):
            table = self._tables.get(folder.name) or delta.open_table(folder)
            app = delta.app_id(folder.name, log.site, log.epoch)
            found.append(table.transaction_version(app) or 0)
        return max(found)


def _by_table(parcels: list[Parcel]) -> list[tuple[tuple[str, str], list[Parcel]]]:
    ordered = sorted(parcels, key=lambda parcel: (parcel.name, parcel.seq))
    # Sequences of an earlier epoch are lower, so epochs of one table follow each other.
    groups = groupby(ordered, key=lambda parcel: (parcel.epoch, parcel.name))
    return [(key, list(group)) for key, group in groups]


def _check_order(parcels: list[Parcel], after: int, log: SqliteLog) -> None:
    """A hole in what only the log has would become a hole in the lake: stop there."""
    found = [parcel.seq for parcel in parcels]
    if not found or found != list(range(after + 1, after + 1 + len(found))):
        broken = next((want for want, seq in enumerate(found, after + 1) if want != seq), after + 1)
        raise DamagedError(
            f"log {log.file}: rows parcel {broken} of epoch {log.epoch} is missing; nothing after"
            " it was written. Restore the log from a backup or move it aside and start again."
        )


def _stands_still(name: str, why: str) -> Problem:
    return Problem(
        code="D003",
        address=f"lake.{name}",
        message=why,
        hint="its rows wait in the log, nothing is lost: correct the block in the model",
    )


def _overtaken(name: str, why: str) -> Problem:
    return Problem(
        code="D004",
        address=f"lake.{name}",
        message=f"another writer committed first ({why})",
        hint="nothing was written twice; run one writer per lake",
        severity="warning",
    )


def _log_went_back(site: str, last: int, committed: int) -> Problem:
    return Problem(
        code="D005",
        address=f"log.{site}",
        message=f"the log ends at {last}, but the lake already has its rows up to {committed}",
        hint="a new epoch was begun, so no sequence is used twice; look where the log went back",
        severity="warning",
    )


def _lake_went_back(site: str, committed: int, confirmed: int) -> Problem:
    return Problem(
        code="D006",
        address=f"log.{site}",
        message=(
            f"the log was told that the lake has its rows up to {confirmed}, but the lake has them"
            f" up to {committed} only"
        ),
        hint="was the lake restored from a backup or moved? Point ISTHMUS_DATA at the right one, "
        "or replay RAW from that moment on",
    )
