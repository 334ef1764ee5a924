"""A generated data block in the memory of an S7, read back by its mapping: what was written."""

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.field.plc.blocks import EVERY_TYPE, LEVELS, blocks, code_systems, made, plant_of, texts
from tests.field.plc.reading import Reader, Row, codes, plant_with

from isthmus.model.plant import Plant
from isthmus.testing.s7_server import S7Server
from isthmus.testing.tcp_proxy import LOOPBACK

DB = 10
SIZE = 16_384

WRITTEN: Row = {
    "probe.running": True, "probe.fault": False, "probe.small": -5, "probe.door": True,
    "probe.wide": -(2**31), "probe.huge": 10**12, "probe.melt_temp": 221.5, "probe.speed": 0.125,
    "probe.order_no": "Größe 4711/ä", "probe.state": "execute", "probe.alarm": "error",
    "probe.last": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def memory() -> Iterator[S7Server]:
    with S7Server({f"DB{DB}": SIZE}) as server:
        yield server


def source(server: S7Server) -> dict[str, Any]:
    return {"kind": "s7", "host": LOOPBACK, "port": server.port, "interval": "10 ms"}


def put(server: S7Server, plant: Plant, values: Row) -> None:
    """As the PLC's program would."""
    for mapped in next(iter(plant.machines.values())).maps:
        key = f"{mapped.block}.{mapped.field}"
        if key in values:
            value = values[key]
            assert mapped.tag is not None
            server.put(mapped.tag, codes(plant, key)(value) if mapped.type == "enum" else value)


async def test_every_type_comes_back_as_it_was_written(memory: S7Server) -> None:
    mapping = texts(made("siemens", db=DB))["mapping.yaml"]
    plant = plant_with(mapping, source(memory), EVERY_TYPE, LEVELS)
    put(memory, plant, WRITTEN | {"probe.good": 2**32 - 2})
    async with Reader(plant) as reader:
        await reader.until(WRITTEN)
        put(memory, plant, {"probe.good": 3})  # rolled over
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
    generated = made("siemens", "one", "two", plant=plant_of(one, two, system), db=DB)
    plant = plant_with(texts(generated)["mapping.yaml"], source(memory), one, two, system)
    put(memory, plant, expected)
    async with Reader(plant) as reader:
        found = await reader.until(expected)
    assert {key: value for key, value in found.items() if key in expected} == expected


async def test_double_precision_comes_back_exactly(memory: S7Server) -> None:
    number = 1234567.891
    assert single(number) != number
    mapping = texts(made("siemens", db=DB, numbers="double"))["mapping.yaml"]
    plant = plant_with(mapping, source(memory), EVERY_TYPE, LEVELS)
    put(memory, plant, WRITTEN | {"probe.speed": number})
    async with Reader(plant) as reader:
        found = await reader.until({"probe.speed": number})
    assert found["probe.speed"] == number
