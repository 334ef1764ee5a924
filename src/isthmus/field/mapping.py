"""A source's mapping, compiled once into columns, so that `shape` looks values up by position."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Final

import pyarrow as pa

from isthmus.flow.parcel import TIME
from isthmus.model.plant import FieldMap, Plant, Source
from isthmus.model.spec.block import FieldType
from isthmus.model.spec.machine_type import PulseRule

ARROW_TYPES: Final[dict[FieldType, pa.DataType]] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "enum": pa.string(),
    "counter": pa.int64(),
}


CLOSE: Final = 1e-9
"""A scaled value this close to a whole number is one: 0.1 * 30 is not 3 in binary."""

_Codes = tuple[tuple[tuple[str, str], ...] | None, tuple[str, ...] | None]


@dataclass(frozen=True)
class DerivedField:
    """One machine's field with expressions; `tag` is the name under which it goes on."""

    tag: str
    mapped: FieldMap

    def names(self, tag: str) -> Iterator[str]:
        """What the expressions call this tag."""
        return (name for name, of in self.mapped.inputs if of == tag)


def derived_tag(mapped: FieldMap) -> str:
    """No tag of any protocol begins so."""
    return f"={mapped.block}.{mapped.field}@{mapped.machine}"


class Kind(IntEnum):
    """How a value is converted."""

    NUMBER = 0
    INTEGER = 1
    BOOLEAN = 2
    COUNTER = 3
    CODE = 4
    TEXT = 5


@dataclass(frozen=True)
class Column:
    """One field of a block."""

    name: str
    type: FieldType


@dataclass(frozen=True)
class BlockLayout:
    """The columns of a block's rows."""

    name: str
    columns: tuple[Column, ...]
    holds: tuple[str, ...] = ()
    """States that another field's bad sample must not make unknown (see `holding`)."""

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of a block's rows before the log adds its own."""
        return pa.schema(
            [
                ("machine", pa.string()),
                ("time", TIME),
                *((column.name, ARROW_TYPES[column.type]) for column in self.columns),
                ("_source", pa.string()),
                ("_received", TIME),
                ("_samples", pa.int32()),
                ("_quality", pa.int16()),
            ]
        )


@dataclass(frozen=True, eq=False)
class CodeTable:
    """Codes as they come → position in `Mapping.names`."""

    texts: pa.Array
    text_names: pa.Array
    numbers: pa.Array
    number_names: pa.Array


@dataclass(frozen=True)
class DerivedState:
    """A state that no tag tells: it follows from the pulses of a counter."""

    machine: str
    block: str
    field: str
    rule: PulseRule
    pulses: int
    """Field number of the counter."""


@dataclass(frozen=True, eq=False)
class Mapping:
    """Everything `shape` must know about one source."""

    source: str
    maps: tuple[FieldMap, ...]
    """By field number; only fields that a tag feeds."""
    keys: tuple[str, ...]
    """By field number: what carried state calls the field. With the tag: a counter that was moved
    to another tag starts anew."""
    kind: pa.Array
    """By field number, as are all columns down to `most`."""
    block: pa.Array
    machine: pa.Array
    column: pa.Array
    place: pa.Array
    """The same for all fields of one machine in one block."""
    plain: pa.Array
    """Taken as it comes: neither scaled nor shifted."""
    scale: pa.Array
    offset: pa.Array
    tolerance: pa.Array
    low: pa.Array
    high: pa.Array
    table: pa.Array
    max_length: pa.Array
    size: pa.Array
    """Of a counter: how many readings it has before it rolls over."""
    rolls_from: pa.Array
    rolls_to: pa.Array
    """65,530 → 20 is a rollover, 40,000 → 100 is not: before it a counter is in the last quarter of
    its range, after it in the first."""
    ignore: pa.Array
    pieces: pa.Array
    """Of a counter: pieces per step."""
    most: pa.Array
    """Of a counter: the largest increment."""
    tags: pa.Array
    layers: tuple[pa.Array, ...]
    """Tag position → field number. A tag that feeds several fields has one in several layers."""
    tables: tuple[CodeTable, ...]
    names: pa.Array
    machines: pa.Array
    blocks: tuple[BlockLayout, ...]
    derived: tuple[DerivedState, ...]
    expressions: tuple[DerivedField, ...]
    inputs: pa.Array
    """Tags that no field takes, only expressions."""
    thinned: pa.Array
    """Fields that keep not all of their values."""

    watch: dict[str, float]
    """Tag → seconds after which a device time that stands still is not believed."""

    @property
    def waits(self) -> bool:
        """Whether something follows from silence alone."""
        states = any(one.mapped.states for one in self.expressions)
        return bool(self.derived or self.watch) or states

    @property
    def adds(self) -> bool:
        """Whether there may be samples that no source told."""
        return bool(self.expressions or self.watch)

    @cached_property
    def scales(self) -> bool:
        """Whether any number is scaled or shifted."""
        return not all(self.plain.to_pylist())

    @cached_property
    def has_integers(self) -> bool:
        """Whether any number must be whole: an integer, a boolean, a count."""
        return not {Kind.INTEGER, Kind.BOOLEAN, Kind.COUNTER}.isdisjoint(self.kind.to_pylist())

    @cached_property
    def has_counters(self) -> bool:
        return Kind.COUNTER in self.kind.to_pylist()

    @cached_property
    def has_numbers_alone(self) -> bool:
        """Whether nothing is a code or a text."""
        return {Kind.CODE, Kind.TEXT}.isdisjoint(self.kind.to_pylist())

    @cached_property
    def has_booleans(self) -> bool:
        return Kind.BOOLEAN in self.kind.to_pylist()

    @cached_property
    def has_limits(self) -> bool:
        return bool(self.low.null_count + self.high.null_count < 2 * len(self.maps))

    @cached_property
    def widest(self) -> int:
        """Columns of the block that has most."""
        return max((len(block.columns) for block in self.blocks), default=1)

    @classmethod
    def of(cls, source: Source, plant: Plant) -> "Mapping":
        everything = [m for path in source.machines for m in plant.machines[path].maps]
        maps = tuple(
            replace(m, tag=derived_tag(m)) if m.inputs else m
            for m in everything
            if m.tag is not None or m.inputs
        )
        expressions = tuple(DerivedField(m.tag or "", m) for m in maps if m.inputs)
        names = sorted({name for m in maps for name in _names(m)})
        tables = list(dict.fromkeys((m.codes, m.names) for m in maps if _kind(m) is Kind.CODE))
        blocks = tuple(dict.fromkeys(m.block for m in everything))
        tags, layers = _layers(maps)
        return cls(
            source=source.name,
            maps=maps,
            keys=tuple(f"{m.machine}|{m.block}.{m.field}|{m.tag}" for m in maps),
            **_columns(maps, plant, blocks, source.machines, tables),
            tags=tags,
            layers=layers,
            tables=tuple(_code_table(*table, names) for table in tables),
            names=pa.array(names, pa.string()),
            machines=pa.array(source.machines, pa.string()),
            blocks=tuple(_mapped_layout(plant, block, everything) for block in blocks),
            derived=tuple(_derived(everything, maps)),
            expressions=expressions,
            inputs=pa.array(_only_inputs(maps), pa.string()),
            thinned=pa.array(_thinned(maps), pa.int32()),
            watch=_watch(maps),
        )


def _only_inputs(maps: tuple[FieldMap, ...]) -> list[str]:
    return sorted({tag for m in maps for _, tag in m.inputs} - {m.tag for m in maps})


def _watch(maps: tuple[FieldMap, ...]) -> dict[str, float]:
    limits: dict[str, float] = {}
    for m in maps:
        if m.tag is not None and m.stale_after is not None:
            limits[m.tag] = min(m.stale_after, limits.get(m.tag, m.stale_after))
    return limits


def _thinned(maps: tuple[FieldMap, ...]) -> list[int]:
    return [
        number
        for number, m in enumerate(maps)
        if m.dead_band is not None or m.at_most_every is not None
    ]


def _kind(mapped: FieldMap) -> Kind:
    match mapped.type:
        case "number":
            return Kind.NUMBER
        case "integer":
            return Kind.INTEGER
        case "boolean":
            return Kind.BOOLEAN
        case "counter":
            return Kind.COUNTER
        case "enum":
            return Kind.CODE
        case "text":
            return Kind.TEXT if mapped.codes is None else Kind.CODE


def _names(mapped: FieldMap) -> Iterable[str]:
    if _kind(mapped) is not Kind.CODE:
        return ()
    return [name for _, name in mapped.codes] if mapped.codes is not None else mapped.names or ()


def _layers(maps: tuple[FieldMap, ...]) -> tuple[pa.Array, tuple[pa.Array, ...]]:
    fed: dict[str, list[int]] = {}
    for number, mapped in enumerate(maps):
        if mapped.tag is not None:
            fed.setdefault(mapped.tag, []).append(number)
    depth = max(map(len, fed.values()), default=1)
    layers = tuple(
        pa.array(
            [numbers[layer] if layer < len(numbers) else None for numbers in fed.values()],
            pa.int32(),
        )
        for layer in range(depth)
    )
    return pa.array(list(fed), pa.string()), layers


def _columns(
    maps: tuple[FieldMap, ...],
    plant: Plant,
    blocks: tuple[str, ...],
    machines: tuple[str, ...],
    tables: list[_Codes],
) -> dict[str, pa.Array]:
    block_of = {name: number for number, name in enumerate(blocks)}
    machine_of = {path: number for number, path in enumerate(machines)}
    column_of = {
        (name, field): number
        for name in blocks
        for number, field in enumerate(plant.blocks[name].fields)
    }
    table_of = {table: number for number, table in enumerate(tables)}
    places = {place: n for n, place in enumerate(dict.fromkeys((m.block, m.machine) for m in maps))}
    sizes = [_size(m) for m in maps]
    counters = [m.type == "counter" for m in maps]
    plain = [c or (m.scale, m.offset) == (1.0, 0.0) for m, c in zip(maps, counters, strict=True)]
    return {
        "kind": pa.array([int(_kind(m)) for m in maps], pa.int8()),
        "block": pa.array([block_of[m.block] for m in maps], pa.int32()),
        "machine": pa.array([machine_of[m.machine] for m in maps], pa.int32()),
        "column": pa.array([column_of[m.block, m.field] for m in maps], pa.int32()),
        "place": pa.array([places[m.block, m.machine] for m in maps], pa.int64()),
        "plain": pa.array(plain, pa.bool_()),
        "scale": pa.array(
            [1.0 if c else m.scale for m, c in zip(maps, counters, strict=True)], pa.float64()
        ),
        "offset": pa.array(
            [0.0 if c else m.offset for m, c in zip(maps, counters, strict=True)], pa.float64()
        ),
        "tolerance": pa.array([0.0 if p else CLOSE for p in plain], pa.float64()),
        "low": pa.array(
            [None if c else m.min for m, c in zip(maps, counters, strict=True)], pa.float64()
        ),
        "high": pa.array(
            [None if c else m.max for m, c in zip(maps, counters, strict=True)], pa.float64()
        ),
        "table": pa.array([table_of.get((m.codes, m.names)) for m in maps], pa.int32()),
        "max_length": pa.array([m.max_length for m in maps], pa.int32()),
        "size": pa.array(sizes, pa.int64()),
        "rolls_from": pa.array([size and size // 4 * 3 for size in sizes], pa.int64()),
        "rolls_to": pa.array([size and size // 4 for size in sizes], pa.int64()),
        "ignore": pa.array(
            [m.counter is not None and m.counter.decrements == "ignore" for m in maps], pa.bool_()
        ),
        "pieces": pa.array([m.scale for m in maps], pa.float64()),
        "most": pa.array([m.max for m in maps], pa.float64()),
    }


def _size(mapped: FieldMap) -> int | None:
    """How many readings a counter has. One of 64 bits outlives its machine."""
    bits = mapped.counter.bits if mapped.counter is not None else None
    return None if bits is None or bits == 64 else 2**bits


def _code_table(
    codes: tuple[tuple[str, str], ...] | None, allowed: tuple[str, ...] | None, names: list[str]
) -> CodeTable:
    position = {name: number for number, name in enumerate(names)}
    pairs = codes if codes is not None else tuple((name, name) for name in allowed or ())
    numbers = {float(code): position[name] for code, name in pairs if _is_number(code)}
    return CodeTable(
        texts=pa.array([code for code, _ in pairs], pa.string()),
        text_names=pa.array([position[name] for _, name in pairs], pa.int64()),
        numbers=pa.array(list(numbers), pa.float64()),
        number_names=pa.array(list(numbers.values()), pa.int64()),
    )


def _is_number(code: str) -> bool:
    try:
        return float(code) == float(code)
    except ValueError:
        return False


def layout(plant: Plant, block: str) -> BlockLayout:
    fields = plant.blocks[block].fields.items()
    return BlockLayout(block, tuple(Column(name, field.type) for name, field in fields))


def _mapped_layout(plant: Plant, block: str, everything: list[FieldMap]) -> BlockLayout:
    bare = layout(plant, block)
    mapped = {m.field for m in everything if m.block == block}
    states = tuple(c.name for c in bare.columns if c.type == "enum" and c.name in mapped)
    return BlockLayout(block, bare.columns, states if len(mapped) > 1 else ())


def _derived(everything: list[FieldMap], maps: tuple[FieldMap, ...]) -> Iterable[DerivedState]:
    number_of = {(m.machine, f"{m.block}.{m.field}"): number for number, m in enumerate(maps)}
    for m in everything:
        if m.rule is not None:
            pulses = number_of[m.machine, m.rule.pulses]
            yield DerivedState(m.machine, m.block, m.field, m.rule, pulses)
