"""Runs one IT system: pulls at its pace, records what differs, says *lost* once and *back* once."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import xxhash

from isthmus.base.clock import HOUR, Clock, Micros
from isthmus.flow.contract import Full, Log
from isthmus.flow.parcel import Count, Rows, Shaped
from isthmus.model.plant import Plant
from isthmus.model.plant import System as Declared
from isthmus.provision.entities import ENTITIES, EntityName
from isthmus.provision.intake import Intake, Known, Origin, intake, latest, versions
from isthmus.provision.reading import Reading
from isthmus.provision.system import (
    AnySystem,
    BusinessSpec,
    Changes,
    Receipt,
    Refused,
    Unreachable,
)
from isthmus.provision.systems import SYSTEMS

Query = Callable[[str, Mapping[str, object] | None], pa.Table]
What = Literal[
    "lost", "back", "refused", "full", "changed", "quarantined", "failed", "withheld",
    "unresolved", "notice",
]  # fmt: skip

_SLOWEST = 300.0
"""Seconds between two tries of a system that does not answer."""
_FASTEST = 0.1
"""A demonstration at high speed still leaves the database alone for a moment."""


@dataclass(frozen=True)
class SystemEvent:
    """Something about a system that a person may want to know."""

    name: str
    kind: str
    what: What
    detail: str
    at: Micros
    connected: bool
    """Whether records come after this."""


@dataclass(frozen=True)
class Pulled:
    """What one round brought; rows are on our disk."""

    rows: tuple[Rows, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    trouble: Unreachable | Refused | None = None
    """What kept one of the entities back; the others are taken."""
    told: tuple[tuple[What, str], ...] = ()


@dataclass(frozen=True)
class _State:
    """What must survive a restart, written in the same transaction as the rows."""

    fingerprint: str
    """Of all that decides how records are read: another one means reading everything again."""
    bookmarks: Mapping[str, str] = field(default_factory=dict)
    content: Mapping[str, Sequence[str]] = field(default_factory=dict)
    broken: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, stored: bytes | None, fingerprint: str) -> "_State":
        if stored is None:
            return cls(fingerprint)
        found = json.loads(stored)
        if found["fingerprint"] != fingerprint:
            return cls(fingerprint, broken=found["broken"])
        return cls(**found)

    def stored(self) -> bytes:
        return json.dumps(
            {
                "fingerprint": self.fingerprint,
                "bookmarks": dict(self.bookmarks),
                "content": {name: list(marks) for name, marks in self.content.items()},
                "broken": {name: list(marks) for name, marks in self.broken.items()},
            }
        ).encode()


class SystemRunner:
    """One system of the model, from its own words to rows in the log."""

    def __init__(
        self,
        system: Declared,
        plant: Plant,
        log: Log,
        clock: Clock,
        *,
        query: Query,
        folder: Path,
        on_rows: Callable[[Sequence[Rows]], None],
        on_event: Callable[[SystemEvent], None],
    ) -> None:
        """`query` sees `X_history` of all that was recorded; `folder` is the data folder."""
        if not isinstance(system.spec, BusinessSpec):
            raise TypeError(f"`{system.spec.kind}` is no kind of business system")
        self.name = system.name
        self.spec = system.spec
        self.log = log
        self.clock = clock
        self.query = query
        self.on_rows = on_rows
        self.on_event = on_event
        zone = ZoneInfo(_timezone(system, plant))
        self.system: AnySystem = SYSTEMS[system.spec.kind](
            system.name, system.spec, zone, folder, clock
        )
        self._declared = system
        self.plant = plant
        """May be set while it runs: from the next pull on, another model holds."""
        self._read_for: Plant | None = None
        self.known: dict[EntityName, Known] = {}
        self._state = _State("")
        self._saved = b""
        self._stopping = asyncio.Event()
        self._out: What | None = None
        self._tries = 0
        self._told: set[str] = set()

    async def run(self) -> None:
        """Until `stop()`; a fault of ours ends it with the exception, for the supervisor."""
        try:
            while not self._stopping.is_set():
                await self._round()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._pause())
        finally:
            self.system.close()

    def stop(self) -> None:
        """End after the pull that is under way."""
        self._stopping.set()

    def pull_once(self) -> Pulled:
        """One round over all entities, in this thread; raises Full when the disk is."""
        plant = self.plant
        if self._read_for is not plant:
            self._recall(plant)
            self._read_for = plant
        # One moment for all of it: counts and rows must fall into the same hour of the ledger.
        now = self.clock.now()
        taken, trouble = self._take(now)
        self._write(taken, now)
        receipts = tuple(receipt for _, _, one in taken for receipt in one.receipts)
        if trouble is None:
            # Before all entities have it, a file must stay where it is.
            try:
                self.system.acknowledge(receipts)
            except Refused as error:
                trouble = error
        rows = tuple(one.rows for _, _, one in taken if one.rows is not None)
        return Pulled(rows, receipts, trouble, tuple(self._findings(taken)))

    async def _round(self) -> None:
        try:
            pulled = await asyncio.to_thread(self.pull_once)
        except Full as error:
            self._lost("full", f"nothing is read until there is room: {error}")
            return
        if pulled.rows:
            self.on_rows(pulled.rows)
        for what, detail in pulled.told:
            self._tell(what, detail)
        match pulled.trouble:
            case None:
                self._back()
            case Refused() as refused:
                self._lost("refused", str(refused))
            case Unreachable() as unreachable:
                self._lost("lost", str(unreachable))

    def _recall(self, plant: Plant) -> None:
        """What we recorded before: the tables say it, the log's state says how far we read."""
        zone = self.system.zone = ZoneInfo(_timezone(self._declared, plant))
        decimal, thousands = self.spec.signs
        machines = {str(key): path for key, path in self.spec.machines.items()}
        self.reading = Reading(zone, machines, frozenset(plant.machines), decimal, thousands)
        fingerprint = self._fingerprint()
        self._state = _State.parse(self.log.state(self._owner), fingerprint)
        for entity in self.spec.declared:
            history = self.query(latest(entity), {"system": self.name})
            recorded = versions(entity, history)
            self.known[entity] = replace(
                recorded,
                content=tuple(self._state.content.get(entity, ())),
                broken=tuple(self._state.broken.get(entity, ())),
            )

    def _take(
        self, now: Micros
    ) -> tuple[list[tuple[EntityName, Changes, Intake]], Unreachable | Refused | None]:
        taken: list[tuple[EntityName, Changes, Intake]] = []
        trouble: Unreachable | Refused | None = None
        for entity in self.spec.declared:
            try:
                changes = self.system.pull(entity, self._state.bookmarks.get(entity, ""))
            except (Unreachable, Refused) as error:
                trouble = trouble or type(error)(f"{entity}: {error}")
                continue
            columns = self.spec.columns(entity)
            origin = Origin(self.name, entity, columns, self.reading)
            found = intake(origin, changes.deliveries, self.known[entity], now)
            taken.append((entity, changes, found))
        return taken, trouble

    def _write(self, taken: list[tuple[EntityName, Changes, Intake]], now: Micros) -> None:
        """Rows, quarantine, counts and how far we read: one transaction, or nothing."""
        state = replace(
            self._state,
            bookmarks={**self._state.bookmarks, **{e: c.bookmark for e, c, _ in taken}},
            content={**self._state.content, **{e: one.content for e, _, one in taken}},
            broken={**self._state.broken, **{e: one.broken for e, _, one in taken}},
        )
        stored = state.stored()
        rows = [one.rows for _, _, one in taken if one.rows is not None]
        quarantined = [item for _, _, one in taken for item in one.quarantined]
        if rows or quarantined or stored != self._saved:
            counts = [self._count(entity, one, now) for entity, _, one in taken]
            shaped = Shaped(rows, quarantined, [c for c in counts if c.received], stored)
            self.log.append(self._owner, None, shaped, now=now)
        self._state, self._saved = state, stored
        for entity, _, one in taken:
            self.known[entity] = self.known[entity].after(one)

    def _count(self, entity: EntityName, one: Intake, now: Micros) -> Count:
        changed = 0 if one.rows is None else len(one.rows.table)
        bad = len(one.quarantined)
        received = changed + bad
        return Count(
            self.name, entity, now - now % HOUR, received=received, good=received,
            quarantined=bad, shaped=changed,
        )  # fmt: skip

    def _findings(self, taken: list[tuple[EntityName, Changes, Intake]]) -> list[tuple[What, str]]:
        found: list[tuple[What, str]] = []
        for entity, _, one in taken:
            if one.rows is not None:
                found.append(("changed", f"{entity}: {len(one.rows.table)} changed"))
            found += [("failed", f"{r.origin}: {r.failed}") for r in one.receipts if r.failed]
            broken = [item for item in one.quarantined if item.value != "{}"]
            if broken:
                example = f"{broken[0].tag}: {broken[0].reason}"
                text = f"{entity}: {len(broken)} in quarantine, the first {example}"
                found.append(("quarantined", text))
            found += [("withheld", text) for text in one.withheld if self._first(text)]
        found += [("notice", text) for text in self.system.notices() if self._first(text)]
        return found + self._unresolved(taken)

    def _unresolved(
        self, taken: list[tuple[EntityName, Changes, Intake]]
    ) -> list[tuple[What, str]]:
        """New operations whose order this system has not delivered; it may still come."""
        if "production_order" not in self.known:
            return []
        orders = self.known["production_order"].versions
        place = ENTITIES["operation"].content.index("production_order")
        return [
            ("unresolved", f"operation `{key}` names order `{version[place]}`, which is not there")
            for entity, _, one in taken if entity == "operation"
            for key, version in one.versions.items()
            if version[place] not in orders and self._first(f"{key}/{version[place]}")
        ]  # fmt: skip

    def _first(self, text: str) -> bool:
        new = text not in self._told
        self._told.add(text)
        return new

    def _fingerprint(self) -> str:
        spec = self.spec.model_dump_json(exclude={"interval", "enabled"})
        known = "\n".join([spec, str(self.reading.zone), *sorted(self.reading.paths)])
        return xxhash.xxh3_128_hexdigest(known.encode())

    @property
    def _owner(self) -> str:
        """Whose state it is in the log; no source can have this name."""
        return f"system:{self.name}"

    def _pause(self) -> float:
        pause = self.spec.interval * float(2 ** min(self._tries, 10))
        slowest = max(_SLOWEST, self.spec.interval)
        return max(_FASTEST, min(pause, slowest) / self.clock.speed)

    def _lost(self, what: What, detail: str) -> None:
        self._tries += 1
        if self._out != what:
            self._out = what
            self._tell(what, detail)

    def _back(self) -> None:
        self._tries = 0
        if self._out is not None:
            self._out = None
            self._tell("back", "")

    def _tell(self, what: What, detail: str) -> None:
        at, connected = self.clock.now(), self._out is None
        self.on_event(SystemEvent(self.name, self.spec.kind, what, detail, at, connected))


def _timezone(system: Declared, plant: Plant) -> str:
    own = system.spec.timezone if isinstance(system.spec, BusinessSpec) else None
    site = plant.sites.get(system.site)
    return own or (site.timezone if site else plant.timezone)
