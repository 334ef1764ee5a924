"""L5X, judged by l5x, and laid out as a controller that was written without looking at it does."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from lxml import etree
from tests.field.plc.blocks import (
    EVERY_TYPE,
    LEVELS,
    PLANT,
    WRITTEN,
    blocks,
    code_systems,
    made,
    plant_of,
    texts,
)
from tests.field.plc.reading import Reader, codes, plant_with

from isthmus.testing.ethernetip_controller import EthernetIpController
from isthmus.testing.logix_types import Types, Udt
from isthmus.testing.tcp_proxy import LOOPBACK

JUDGE = Path(__file__).parent / "peers" / "judge_l5x.py"
FILE = "UDT_isthmus_machine.L5X"


def types_of(text: str) -> dict[str, Any]:
    root = etree.fromstring(text.encode())
    return {kind.get("Name"): kind for kind in root.iter("DataType")}


def members(kind: Any) -> list[tuple[str, ...]]:
    keys = ("Name", "DataType", "Hidden", "Target", "BitNumber")
    return [tuple(one.get(key, "") for key in keys) for one in kind.iter("Member")]


def test_bits_that_follow_each_other_share_a_hidden_host() -> None:
    kind = types_of(texts(made("rockwell"))[FILE])["UDT_probe"]
    assert members(kind)[:6] == [
        ("ZZZZZZZZZZUDT_probe0", "SINT", "true", "", ""),
        ("running", "BIT", "false", "ZZZZZZZZZZUDT_probe0", "0"),
        ("fault", "BIT", "false", "ZZZZZZZZZZUDT_probe0", "1"),
        ("small", "INT", "false", "", ""),
        ("ZZZZZZZZZZUDT_probe4", "SINT", "true", "", ""),
        ("door", "BIT", "false", "ZZZZZZZZZZUDT_probe4", "0"),
    ]


def test_a_ninth_bit_gets_a_second_host_numbered_by_its_place() -> None:
    fields = {f"b{number}": {"type": "boolean"} for number in range(9)}
    plant = plant_of({"block": "long_name_of_a_block", "version": 1, "fields": fields})
    text = texts(made("rockwell", "long_name_of_a_block", plant=plant))[FILE]
    found = members(types_of(text)["UDT_long_name_of_a_block"])
    assert [one[0] for one in found if one[2] == "true"] == [
        "ZZZZZZZZZZUDT_long_n0", "ZZZZZZZZZZUDT_long_n9",
    ]  # fmt: skip
    assert found[-1] == ("b8", "BIT", "false", "ZZZZZZZZZZUDT_long_n9", "0")


@pytest.mark.peer
def test_l5x_reads_every_type_and_writes_it_again(tmp_path: Path) -> None:
    if find_spec("l5x") is None:
        pytest.skip("l5x is not installed: it comes with the requirements of the tests")
    (tmp_path / FILE).write_text(texts(made("rockwell", lang="de"))[FILE], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(JUDGE), FILE, "again.L5X"], cwd=tmp_path, capture_output=True,
        text=True, check=True, timeout=60,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert list(found) == ["STR_13", "UDT_probe", "UDT_isthmus_machine"]
    seen = {one["Name"]: one for one in found["UDT_probe"] if one["Hidden"] == "false"}
    assert list(seen) == [*EVERY_TYPE["fields"]]
    assert seen["melt_temp"]["description"] == "An der Düse. [°C] 0 … 450"
    assert seen["alarm"]["description"].endswith("70000 = Störung ]]> (*")
    first, again = (etree.parse(tmp_path / name).getroot() for name in (FILE, "again.L5X"))
    assert etree.tostring(first, method="c14n") == etree.tostring(again, method="c14n")


def udts(text: str) -> tuple[Udt, ...]:
    """The types of the file as the simulated controller takes them: without hidden members."""
    found = []
    for number, (name, kind) in enumerate(types_of(text).items()):
        plain = {
            one.get("Name"): one.get("DataType").replace("BIT", "BOOL")
            for one in kind.iter("Member")
            if one.get("Hidden") == "false"
        }
        capacity = 0
        if kind.get("Family") == "StringFamily":
            capacity = int(kind.find("Members/Member[@Name='DATA']").get("Dimension"))
        found.append(Udt(name, {} if capacity else plain, 0x300 + number, number + 1, capacity))
    return tuple(found)


@given(blocks(), code_systems())
@settings(deadline=None, max_examples=40)
def test_hidden_members_of_any_block_are_where_a_controller_has_them(
    block: dict[str, Any], codes: dict[str, Any]
) -> None:
    if {name for name in block["fields"] if f"{name}_value" in block["fields"]}:
        return
    text = texts(made("rockwell", "drawn", plant=plant_of(block, codes)))[FILE]
    ours = members(types_of(text)["UDT_drawn"])
    layout = Types(udts(text)).layouts["UDT_drawn"]
    assert [(name, int(bit) if bit else None) for name, _, _, _, bit in ours] == [
        (member.name, member.bit) for member in layout.members
    ]


ASCII = WRITTEN | {"probe.order_no": "Auftrag 4711"}
"""A string of Logix counts bytes, and an umlaut has two."""


async def test_every_type_comes_back_as_it_was_written() -> None:
    written = texts(made("rockwell"))
    tags = {"machine": "UDT_isthmus_machine"}
    device = EthernetIpController(tags, {}, udts=udts(written[FILE]))
    device.values["machine"] = {"probe": {}}
    async with device:
        source = {"kind": "ethernetip", "host": LOOPBACK, "port": device.port, "interval": "10 ms"}
        plant = plant_with(written["mapping.yaml"], source, EVERY_TYPE, LEVELS)

        def put(key: str, value: Any) -> None:
            if key in {"probe.state", "probe.alarm"}:
                value = codes(plant, key)(value)
            device.values["machine"]["probe"][key.partition(".")[2]] = value

        for key, value in (ASCII | {"probe.good": 2**31 - 2}).items():
            put(key, value)
        async with Reader(plant) as reader:
            await reader.until(ASCII)
            put("probe.good", 3)  # after 2147483647 comes 0
            found = await reader.until(expected := ASCII | {"probe.good": 5})
    assert found == expected
    assert device.writes == []


def test_a_counter_has_one_bit_less_and_the_mapping_knows() -> None:
    generated = made("rockwell")
    mapping = yaml.safe_load(texts(generated)["mapping.yaml"])
    assert mapping["map"]["probe.good"]["counter"] == {"bits": 31}
    said = [one.message for one in generated.warnings if one.code == "P104"]
    assert any(message.startswith("`good`: DINT") for message in said)


def test_double_precision_is_possible_and_said() -> None:
    generated = made("rockwell", plant=PLANT, numbers="double")
    assert 'Name="speed" DataType="LREAL"' in texts(generated)[FILE]
    assert any("LREAL" in one.message for one in generated.warnings)
