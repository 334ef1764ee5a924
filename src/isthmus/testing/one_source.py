"""A plant of one source, and samples of it, in few words: for tests of mappings and of shape."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from isthmus.base.clock import HOUR, SECOND, Micros, parse_time
from isthmus.flow.parcel import SAMPLES_SCHEMA, Shaped
from isthmus.model.plant import FieldMap, Machine, Plant, Source
from isthmus.model.spec.block import Block, FieldType
from isthmus.model.spec.site import SourceSpec

T0: Micros = parse_time("2026-11-17T08:00:00Z")
SITE = "acme/hamburg/moulding/line-1"

BLOCKS: dict[str, dict[str, FieldType]] = {
    "machine_state": {"state": "enum", "mode": "enum", "reason": "text"},
    "part_count": {"good": "counter", "scrap": "counter"},
    "cycle": {
        "melt_temp": "number",
        "cavities": "integer",
        "door_open": "boolean",
        "program": "text",
    },
}


def field(machine: str, path: str, tag: str | None, **options: Any) -> FieldMap:
    block, name = path.split(".")
    kind = BLOCKS[block][name]
    return FieldMap(f"{SITE}/{machine}", block, name, kind, tag, **options)


def plant(
    *maps: FieldMap, source: str = "im", spec: SourceSpec | None = None
) -> tuple[Source, Plant]:
    paths = tuple(dict.fromkeys(m.machine for m in maps))
    machines = {
        path: Machine(
            path=path, name="", site="hamburg", area="moulding", line="line-1", type="t",
            source=source, maps=tuple(m for m in maps if m.machine == path),
            blocks=tuple(dict.fromkeys(m.block for m in maps if m.machine == path)),
            ideal_cycle=None, calendars=(), timezone="Europe/Berlin", minor_stop=120.0,
            slow_factor=1.3,
        )
        for path in paths
    }  # fmt: skip
    tags = tuple(dict.fromkeys(m.tag for m in maps if m.tag is not None))
    wire = Source(source, "hamburg", spec or SourceSpec(kind="test"), tags, paths)
    blocks = {
        name: Block.model_validate(
            {
                "block": name,
                "version": 1,
                "fields": {
                    f: {"type": kind} | ({"values": "packml"} if kind == "enum" else {})
                    for f, kind in fields.items()
                },
            }
        )
        for name, fields in BLOCKS.items()
    }
    whole = Plant(
        enterprise="acme", title="", timezone="UTC", language="en", sites={}, machines=machines,
        sources={source: wire}, systems={}, blocks=blocks, code_systems={}, machine_types={},
        materials={},
    )  # fmt: skip
    return wire, whole


Value = float | int | str | None


def sample(
    tag: str, value: Value, at: float = 0.0, *, received: float | None = None, quality: int = 0
) -> dict[str, Any]:
    """`at` and `received` in seconds after T0."""
    text = value if isinstance(value, str) else None
    number = float(value) if value is not None and text is None else None
    return {
        "tag": tag,
        "device_time": T0 + round(at * SECOND),
        "received_time": T0 + round((at if received is None else received) * SECOND),
        "number": number,
        "text": text,
        "quality": quality,
    }


def samples(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), SAMPLES_SCHEMA)


def rows(shaped: Shaped, block: str) -> list[dict[str, Any]]:
    """Rows of a block as people read them: times in seconds after T0, nulls left out."""
    found = [r.table for r in shaped.rows if r.name == block]
    return [readable(row) for table in found for row in table.to_pylist()]


def readable(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if value is not None}
    kept["machine"] = kept["machine"].removeprefix(f"{SITE}/")
    kept["time"] = kept["time"].timestamp() - T0 / SECOND
    return {name: value for name, value in kept.items() if name not in {"_source", "_received"}}


def values(shaped: Shaped, block: str, name: str) -> list[Any]:
    return [row.get(name) for row in rows(shaped, block)]


def total(shaped: Sequence[Shaped], block: str, name: str) -> int:
    return sum(value or 0 for part in shaped for value in values(part, block, name))


def later(hours: float) -> Micros:
    return T0 + round(hours * HOUR)
