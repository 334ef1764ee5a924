"""The blocks and code systems that Isthmus brings, against the NodeSets of their specifications."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from isthmus.base.units import conversion
from isthmus.model.plant import Plant
from isthmus.runtime.open import load_plant

ROOT = Path(__file__).parents[2]
NODESETS = ROOT / "tests/field/peers/node_modules/node-opcua-nodesets/nodesets"
UA = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
PROMISED = {
    "machine_state", "part_count", "job", "tool", "energy", "process_value", "alarm", "condition",
    "quality_measurement", "injection_cycle", "machining", "packaging",
}  # fmt: skip


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A company that declares nothing of its own."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "company.yaml").write_text("enterprise: bare\ntimezone: UTC\n")
    return load_plant(folder)


def test_every_promised_block_is_there(plant: Plant) -> None:
    assert set(plant.blocks) >= PROMISED


def test_every_block_and_field_is_named_and_explained_in_german_and_english(plant: Plant) -> None:
    silent = [
        f"{name}.{field}"
        for name, block in plant.blocks.items()
        for field, one in [("", block), *block.fields.items()]
        if not {"en", "de"} <= one.label.keys() or not one.doc or "de" not in one.description
    ]

    assert not silent


def test_every_unit_is_known(plant: Plant) -> None:
    units = {one.unit for block in plant.blocks.values() for one in block.fields.values()}

    for unit in units - {None}:
        assert conversion(unit, unit) == (1.0, 0.0)


def test_every_enum_has_its_code_system(plant: Plant) -> None:
    named = {one.values for block in plant.blocks.values() for one in block.fields.values()}

    assert named - {None} <= plant.code_systems.keys()


def _codes(plant: Plant, code_system: str) -> dict[str, int | None]:
    return {name: one.code for name, one in plant.code_systems[code_system].values.items()}


def _enumerations(nodeset: str) -> dict[str, dict[str, int]]:
    """Data type → its names with their numbers."""
    return {
        one.get("BrowseName", "").partition(":")[2]: dict(_fields(one))
        for one in _parsed(nodeset).iter(f"{UA}UADataType")
        if one.find(f"{UA}Definition/{UA}Field[@Value]") is not None
    }


def _fields(data_type: etree._Element) -> Iterator[tuple[str, int]]:
    for field in data_type.iter(f"{UA}Field"):
        yield _snake(field.get("Name", "")), int(field.get("Value", "0"))


def _state_numbers(nodeset: str) -> dict[str, int]:
    """State → its StateNumber."""
    root = _parsed(nodeset)
    names = {
        one.get("NodeId"): one.get("BrowseName", "").partition(":")[2]
        for one in root.iter(f"{UA}UAObject")
    }
    return {
        _snake(names[one.get("ParentNodeId")]): int("".join(value.itertext()))
        for one in root.iter(f"{UA}UAVariable")
        if one.get("BrowseName") == "StateNumber" and one.get("ParentNodeId") in names
        for value in one.iter(f"{UA}Value")
    }


def _parsed(nodeset: str) -> etree._Element:
    file = NODESETS / nodeset
    if not file.exists():
        pytest.skip("the NodeSets of npm's node-opcua are not installed (`make test` does it)")
    return etree.parse(file).getroot()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|-", "_", name).strip("_").lower()


@pytest.mark.peer
@pytest.mark.parametrize(
    ("ours", "nodeset", "theirs"),
    [
        ("machine_tool_mode", "MachineTool", "MachineOperationMode"),
        ("cnc_channel_mode", "MachineTool", "ChannelMode"),
        ("cnc_channel_state", "MachineTool", "ChannelState"),
        ("part_quality", "MachineTool", "PartQuality"),
        ("tool_life_kind", "MachineTool", "ToolLifeIndication"),
        ("tool_lock", "MachineTool", "ToolLocked"),
        ("weihenstephan_mode", "Weihenstephan", "WSOperatingModeEnumerationType"),
    ],
)
def test_numbers_are_those_of_the_nodeset(
    plant: Plant, ours: str, nodeset: str, theirs: str
) -> None:
    assert _codes(plant, ours) == _enumerations(f"Opc.Ua.{nodeset}.NodeSet2.xml")[theirs]


@pytest.mark.peer
def test_programs_are_those_of_weihenstephan(plant: Plant) -> None:
    programs = _enumerations("Opc.Ua.Weihenstephan.NodeSet2.xml")["WSProgramEnumerationType"]

    assert set(_codes(plant, "weihenstephan_program").values()) == set(programs.values())


@pytest.mark.peer
@pytest.mark.parametrize(
    ("ours", "nodeset"),
    [
        ("packml", "Opc.Ua.PackML.NodeSet2.xml"),
        ("machinery_item_state", "Opc.Ua.Machinery.NodeSet2.xml"),
        ("machinery_operation_mode", "Opc.Ua.Machinery.NodeSet2.xml"),
        ("isa95_job_state", "opc.ua.isa95-jobcontrol.nodeset2.xml"),
    ],
)
def test_state_numbers_are_those_of_the_nodeset(plant: Plant, ours: str, nodeset: str) -> None:
    theirs = _state_numbers(nodeset)

    numbers = _codes(plant, ours)

    assert {name: theirs.get(name) for name in numbers} == numbers


def test_two_numberings_of_packml_name_the_same_states(plant: Plant) -> None:
    packml, tobacco = _codes(plant, "packml"), _codes(plant, "packml_opc30060")

    assert packml.keys() == tobacco.keys()
    assert packml != tobacco
