"""Deliveries of a system to new versions of our records: only what differs, nothing lost. Pure.

Applying the same delivery twice changes nothing, and which records end up in the tables does not
depend on the order in which they came.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import xxhash

from isthmus.base.clock import Micros, to_micros
from isthmus.flow.parcel import TIME, Quarantined, Rows
from isthmus.provision.columns import Column
from isthmus.provision.entities import ENTITIES, Entity, EntityName, Value
from isthmus.provision.reading import Fault, Read, Reading, as_text, read
from isthmus.provision.system import Delivery, Receipt, Record

Version = tuple[Value, ...]
"""Content of a record, in the order of `Entity.content`; the last one is `withdrawn`."""
_KEPT_MARKS = 10_000


@dataclass(frozen=True)
class Known:
    """What we have recorded of one entity of one system so far."""

    versions: Mapping[str, Version] = field(default_factory=dict)
    """Key → latest version, withdrawn ones too."""
    recorded: Micros = 0
    """When the latest of them was recorded."""
    content: tuple[str, ...] = ()
    """Identities of deliveries that were taken without a fault."""
    broken: tuple[str, ...] = ()
    """Marks of records that are in quarantine, so that each goes there once."""

    def after(self, taken: "Intake") -> "Known":
        """What is known once the intake is on our disk."""
        versions = {**self.versions, **taken.versions}
        return Known(versions, taken.recorded, taken.content, taken.broken)


@dataclass(frozen=True)
class Intake:
    """What to write and what is known afterwards; `versions` holds only the new ones."""

    rows: Rows | None
    quarantined: tuple[Quarantined, ...]
    receipts: tuple[Receipt, ...]
    versions: Mapping[str, Version]
    recorded: Micros
    content: tuple[str, ...]
    broken: tuple[str, ...]
    withheld: tuple[str, ...] = ()
    """Why keys that are missing in a complete delivery were not withdrawn."""


@dataclass(frozen=True)
class Origin:
    """Who delivers what, and how it is read."""

    system: str
    entity: EntityName
    columns: Mapping[str, Column]
    reading: Reading


def intake(origin: Origin, deliveries: Iterable[Delivery], known: Known, now: Micros) -> Intake:
    """Compare deliveries, oldest first, with what is known; each is recorded a moment later."""
    taking = _Taking(origin, known, now)
    for delivery in deliveries:
        taking.take(delivery)
    return taking.result()


class _Taking:
    """Gathers the result of several deliveries, each seeing what the ones before it changed."""

    def __init__(self, origin: Origin, known: Known, now: Micros) -> None:
        self.origin = origin
        self.entity = ENTITIES[origin.entity]
        self.now = now
        self.known = known
        self.at = known.recorded
        self.versions: dict[str, Version] = {}
        self.recorded: list[tuple[str, Version, Micros]] = []
        self.quarantined: list[Quarantined] = []
        self.receipts: list[Receipt] = []
        self.content = dict.fromkeys(known.content)
        self.broken = dict.fromkeys(known.broken)
        self.withheld: list[str] = []

    def take(self, delivery: Delivery) -> None:
        name = self.origin.entity
        if delivery.fault is not None:
            self._quarantine(delivery, Record("", {}), (delivery.fault,))
            failed = delivery.fault.reason
            self.receipts.append(Receipt(delivery.origin, name, failed=failed))
            return
        if delivery.content and delivery.content in self.content:
            count = len(delivery.records)
            self.receipts.append(Receipt(delivery.origin, name, count, repeated=True))
            return
        good, faults, nameless = self._read(delivery)
        changed = self._changed(good)
        if delivery.complete:
            changed += self._withdrawn(delivery, good.keys() | faults.keys(), nameless)
        self._record(changed)
        lines = tuple(line for found in faults.values() for line in found) + tuple(nameless)
        if delivery.content and not lines:
            self.content[delivery.content] = None
        self.receipts.append(
            Receipt(delivery.origin, name, len(delivery.records), len(changed), lines)
        )

    def result(self) -> Intake:
        rows = None
        if self.recorded:
            rows = Rows(self.entity.name, self._table())
        return Intake(
            rows, tuple(self.quarantined), tuple(self.receipts), self.versions, self.at,
            tuple(self.content)[-_KEPT_MARKS:], tuple(self.broken)[-_KEPT_MARKS:],
            tuple(self.withheld),
        )  # fmt: skip

    def _read(
        self, delivery: Delivery
    ) -> tuple[dict[str, Version], dict[str, list[str]], list[str]]:
        """Good versions by key; faults by key; faults of records of which no key is known."""
        origin = self.origin
        good: dict[str, tuple[Record, Version]] = {}
        faults: dict[str, list[str]] = {}
        nameless: list[str] = []
        content = self.entity.content
        for record in delivery.records:
            found = read(origin.entity, origin.columns, record.values, origin.reading)
            key = found.values["key"]
            wrong = (record.fault,) if record.fault is not None else found.faults
            if wrong:
                line = self._quarantine(delivery, record, wrong, found)
                known = isinstance(key, str) and record.fault is None
                (faults.setdefault(str(key), []) if known else nameless).append(line)
                continue
            version = tuple([found.values[name] for name in content])
            before = good.get(str(key))
            if before is not None and before[1] != version:
                twice = Fault("Q110", "key", f"key `{key}` comes again at {record.place}")
                line = self._quarantine(delivery, before[0], (twice,), found)
                faults.setdefault(str(key), []).append(line)
            good[str(key)] = (record, version)
        return {key: version for key, (_, version) in good.items()}, faults, nameless

    def _changed(self, good: Mapping[str, Version]) -> list[tuple[str, Version]]:
        return [(key, version) for key, version in good.items() if self._latest(key) != version]

    def _withdrawn(
        self, delivery: Delivery, present: set[str], nameless: list[str]
    ) -> list[tuple[str, Version]]:
        living = [
            (key, version) for key, version in {**self.known.versions, **self.versions}.items()
            if not version[-1] and key not in present
        ]  # fmt: skip
        if living and nameless:
            self.withheld.append(
                f"{delivery.origin}: {len(nameless)} records have no readable key, so none of "
                f"the {len(living)} missing ones was withdrawn"
            )
            return []
        if living and not present:
            self.withheld.append(
                f"{delivery.origin}: came empty; {len(living)} known records were not withdrawn"
            )
            return []
        return [(key, (*version[:-1], True)) for key, version in living]

    def _record(self, changed: list[tuple[str, Version]]) -> None:
        if not changed:
            return
        # A later delivery must be the later version, even when the clock was set back.
        at = self.at = max(self.now, self.at + 1)
        for key, version in changed:
            self.versions[key] = version
            self.recorded.append((key, version, at))

    def _latest(self, key: str) -> Version | None:
        return self.versions.get(key, self.known.versions.get(key))

    def _quarantine(
        self,
        delivery: Delivery,
        record: Record,
        faults: tuple[Fault, ...],
        found: Read | None = None,
    ) -> str:
        """Keep the record as it came, once; returns the line for its maker."""
        value = _as_came(record.values)
        reason = "; ".join(fault.reason for fault in faults)
        place = " ".join(part for part in (delivery.origin, record.place) if part)
        mark = xxhash.xxh3_64_hexdigest(f"{value}\0{reason}".encode())
        if mark not in self.broken or not record.values:
            self.broken[mark] = None
            machine = found.values.get("machine") if found else None
            self.quarantined.append(Quarantined(
                self.origin.system, place[:1000], str(machine or ""), self.entity.name,
                faults[0].field, self.now, self.now, value[:1000], faults[0].code, reason,
            ))  # fmt: skip
        return f"{record.place}: {reason}" if record.place else reason

    def _table(self) -> pa.Table:
        content = zip(*(version for _, version, _ in self.recorded), strict=True)
        columns: dict[str, Any] = {
            "system": [self.origin.system] * len(self.recorded),
            "key": [key for key, _, _ in self.recorded],
            **dict(zip(self.entity.content, content, strict=True)),
            "recorded": [at for _, _, at in self.recorded],
        }
        return with_origin(self.entity, columns, self.origin.system, self.now)


def with_origin(entity: Entity, columns: Mapping[str, Any], source: str, now: Micros) -> pa.Table:
    """The entity's own columns with those that say where the rows came from."""
    schema = entity.schema
    own = [pa.array(columns[field.name], field.type) for field in schema]
    count = len(own[0])
    return pa.table(
        [
            *own,
            pa.repeat(pa.scalar(source), count),
            pa.repeat(pa.scalar(now, TIME), count),
            pa.repeat(pa.scalar(1, pa.int32()), count),
            pa.repeat(pa.scalar(0, pa.int16()), count),
        ],
        names=[*schema.names, "_source", "_received", "_samples", "_quality"],
    )


def latest(entity: EntityName) -> str:
    """The query for `versions`: the last version of every key of `$system`, withdrawn ones too."""
    content = ", ".join(ENTITIES[entity].content)
    return (
        f"SELECT key, {content}, recorded FROM {entity}_history WHERE system = $system "
        "QUALIFY row_number() OVER (PARTITION BY key ORDER BY recorded DESC) = 1"
    )


def versions(entity: EntityName, recorded: pa.Table) -> Known:
    """What the tables say is known, from the answer to `latest`."""
    names = ENTITIES[entity].content
    rows = recorded.to_pylist()
    found = {row["key"]: tuple(_plain(row[name]) for name in names) for row in rows}
    return Known(found, max((to_micros(row["recorded"]) for row in rows), default=0))


def _plain(value: Any) -> Value:
    # Narrowed to what Arrow gives for the types of an entity's columns.
    if isinstance(value, datetime):
        return to_micros(value)
    if value is None or isinstance(value, str | float | int):
        return value
    raise TypeError(f"{type(value).__name__} is no value of an entity")


def _as_came(values: Mapping[str, Any]) -> str:
    return json.dumps(
        {str(name): as_text(value) for name, value in values.items() if value is not None},
        ensure_ascii=False,
    )
