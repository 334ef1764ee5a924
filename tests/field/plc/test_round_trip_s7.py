"""A generated data block in the memory of an S7, read back by its mapping: what was written.

The writing side knows only the source text, as an independent reader lays it out.
"""

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.field.plc.blocks import (
    EVERY_TYPE,
    LEVELS,
    WRITTEN,
    blocks,
    code_systems,
    made,
    plant_of,
    texts,
)
from tests.field.plc.independent import Program
from tests.field.plc.reading import Reader, Row, codes, plant_with

from isthmus.model.plant import Plant
from isthmus.testing.s7_server import S7Server
from isthmus.testing.tcp_proxy import LOOPBACK

DB = 10
SIZE = 16_384


@pytest.fixture(scope="module")
def memory() -> Iterator[S7Server]:
    with S7Server({f"DB{DB}": SIZE}) as server:
        yield server


def source(server: S7Server) -> dict[str, Any]:
    return {"kind": "s7", "host": LOOPBACK, "port": server.port, "interval": "10 ms"}


def put(program: Program, plant: Plant, values: Row) -> None:
    enumerations = {
        f"{m.block}.{m.field}" for one in plant.machines.values() for m in one.maps
        if m.type == "enum"
    }  # fmt: skip
    for key, value in values.items():
        program.put(key, codes(plant, key)(value) if key in enumerations else value)


async def test_every_type_comes_back_as_it_was_written(memory: S7Server) -> None:
    written = texts(made("siemens", db=DB))
    plant = plant_with(written["mapping.yaml"], source(memory), EVERY_TYPE, LEVELS)
    program = Program(written, memory.memory[f"DB{DB}"])
    put(program, plant, WRITTEN | {"probe.good": 2**32 - 2})
    async with Reader(plant) as reader:
        await reader.until(WRITTEN)
        put(program, plant, {"probe.good": 3})  # rolled over
        found = await reader.until(expected := WRITTEN | {"probe.good": 5})
    assert found == expected
    assert memory.write_requests == []


def single(number: float) -> float:
    rounded: float = struct.unpack(">f", struct.pack(">f", number))[0]
    return rounded


@st.composite
def rows(draw: st.DrawFn, block: dict[str, Any], names: list[str]) -> Row:
    """Values for every field but the counters, whose increments another test shows."""
    found: Row = {}
    for name, field in block["fields"].items():
        match field["type"]:
            case "boolean":
                value = draw(st.booleans())
            case "number":
                value = draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
            case "integer":
                low, high = field.get("min", -(2**31)), field.get("max", 2**31 - 1)
                value = draw(st.integers(low, high))
            case "enum":
                value = draw(st.sampled_from(names))
            case "text":
                characters = st.characters(codec="cp1252", exclude_characters="\0")
                value = draw(st.text(characters, min_size=1, max_size=field["max_length"]))
            case _:
                continue
        found[f"{block['block']}.{name}"] = value
    return found


@given(data=st.data(), one=blocks("one"), two=blocks("two"), system=code_systems())
@settings(deadline=None, max_examples=20)
async def test_any_blocks_come_back_as_they_were_written(
    memory: S7Server,
    data: st.DataObject,
    one: dict[str, Any],
    two: dict[str, Any],
    system: dict[str, Any],
) -> None:
    names = list(system["values"])
    expected: Row = data.draw(rows(one, names)) | data.draw(rows(two, names))
    written = texts(made("siemens", "one", "two", plant=plant_of(one, two, system), db=DB))
    plant = plant_with(written["mapping.yaml"], source(memory), one, two, system)
    put(Program(written, memory.memory[f"DB{DB}"]), plant, expected)
    async with Reader(plant) as reader:
        found = await reader.once()
    assert {key: value for key, value in found.items() if key in expected} == expected


async def test_double_precision_comes_back_exactly(memory: S7Server) -> None:
    number = 1234567.891
    assert single(number) != number
    written = texts(made("siemens", db=DB, numbers="double"))
    plant = plant_with(written["mapping.yaml"], source(memory), EVERY_TYPE, LEVELS)
    put(Program(written, memory.memory[f"DB{DB}"]), plant, WRITTEN | {"probe.speed": number})
    async with Reader(plant) as reader:
        found = await reader.until({"probe.speed": number})
    assert found["probe.speed"] == number
