"""From a generated mapping to rows: the model takes it, a connector reads it, shape makes rows."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

import pyarrow as pa
import yaml
from tests.field.plc.blocks import COMPANY, plant_of_texts, yaml_of

from isthmus.base.clock import SystemClock
from isthmus.field.connector import AnyConnector
from isthmus.field.registry import connector
from isthmus.field.shape import Mapping as Compiled
from isthmus.field.shape import shape
from isthmus.flow.parcel import SAMPLES_SCHEMA, Shaped
from isthmus.model.plant import Plant
from isthmus.testing.connector_suite import PATIENCE, PAUSE

Row = dict[str, Any]


def plant_with(mapping: str, source: Mapping[str, Any], *documents: Mapping[str, Any]) -> Plant:
    """A company with a machine of the generated type; fails where `isthmus check` would."""
    types = {one["kind"]: one["machine_type"] for one in yaml.safe_load_all(mapping)}
    machine = {"type": types[source["kind"]], "source": "plc"}
    site = {
        "site": "hamburg",
        "areas": {"hall": {"lines": {"line-1": {"machines": {"m-1": machine}}}}},
        "sources": {"plc": dict(source)},
    }
    rest = yaml_of(COMPANY, site, *documents)
    return plant_of_texts({"model.yaml": rest, "types/mapping.yaml": mapping})


class Reader:
    """An open connector over the generated mapping, and the rows of what it has read."""

    def __init__(self, plant: Plant) -> None:
        source = plant.sources["plc"]
        self.connector: AnyConnector = connector(source.spec.kind)(
            "plc", source.spec, source.tags, SystemClock()
        )
        self.mapping = Compiled.of(source, plant)
        self._tables: list[pa.Table] = []

    async def __aenter__(self) -> Self:
        await self.connector.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connector.close()

    async def once(self) -> Row:
        """The rows of one read, which is everything a polled source has."""
        await self._read()
        return self._rows()

    async def until(self, expected: Row) -> Row:
        """Read until these values are in the rows, at most as long as patience lasts; the rows."""
        found: Row = {}
        try:
            async with asyncio.timeout(PATIENCE):
                while any(found.get(key) != value for key, value in expected.items()):
                    await self._read()
                    found = self._rows()
        except TimeoutError:
            return self._rows()
        return found

    async def _read(self) -> None:
        table = await self.connector.read()
        if table is not None:
            self._tables.append(table)
        elif self.connector.polled:
            await asyncio.sleep(PAUSE)

    def _rows(self) -> Row:
        """`block.field` → latest value, counters added up; nothing may be in quarantine."""
        samples = pa.concat_tables([SAMPLES_SCHEMA.empty_table(), *self._tables])
        shaped = shape(samples, self.mapping, None, now=SystemClock().now())
        assert [f"{one.tag}: {one.value}: {one.reason}" for one in shaped.quarantined] == []
        counters = {f"{m.block}.{m.field}" for m in self.mapping.maps if m.type == "counter"}
        found: Row = {}
        for key, value in _values(shaped):
            found[key] = found.get(key, 0) + value if key in counters else value
        return found


def _values(shaped: Shaped) -> list[tuple[str, Any]]:
    return [
        (f"{part.name}.{name}", value)
        for part in shaped.rows
        for row in part.table.to_pylist()
        for name, value in row.items()
        if value is not None and not name.startswith("_") and name not in {"machine", "time"}
    ]


def codes(plant: Plant, key: str) -> Callable[[str], int]:
    """Name of an enumeration's value → the number a controller holds."""
    field = next(m for m in plant.machines[next(iter(plant.machines))].maps if _key(m) == key)
    numbers = {name: int(code) for code, name in field.codes or ()}
    return numbers.__getitem__


def _key(mapped: Any) -> str:
    return f"{mapped.block}.{mapped.field}"
