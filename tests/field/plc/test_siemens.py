"""Sources for TIA Portal: offsets after the rules of STEP 7, judged by s7datablock."""

from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.field.plc.blocks import blocks, code_systems, made, plant_of, texts
from tests.field.plc.independent import parse_db_file, places

from isthmus.base.problem import ProblemsError
from isthmus.field.connectors.s7 import S7Source
from isthmus.field.plc.s7_offsets import Spot, spots
from isthmus.field.plc.siemens import SERVER


def test_a_data_block_reads_as_a_programmer_expects() -> None:
    written = texts(made("siemens", lang="de"))
    assert sorted(written) == ["UDT_probe.udt", "machine.db", "mapping.yaml"]
    lines = written["UDT_probe.udt"].splitlines()
    assert lines[:4] == [
        'TYPE "UDT_probe"',
        "VERSION : 0.1",
        "   STRUCT   // probe, version 3: Alles, was ein Block enthält.",
        '      "running" : Bool;   // Läuft.',
    ]
    assert '      "melt_temp" : Real;   // An der Düse. [°C] 0 … 450' in lines
    assert '      "order_no" : String[14];   // (bis 13 Zeichen)' in lines
    assert "{ S7_Optimized_Access := 'FALSE' }" in written["machine.db"]


def test_files_are_for_windows_and_umlauts_survive() -> None:
    (source, *_) = made("siemens", lang="de").files
    assert source.content.startswith(b'\xef\xbb\xbfTYPE "UDT_probe"\r\n')
    assert "Läuft." in source.content.decode("utf-8-sig")


def test_offsets_are_those_of_the_rules() -> None:
    kinds = ["Bool", "Bool", "Int", "Bool", "Real", "String[14]", "Bool", "Byte", "DTL", "LInt"]
    found, end = spots(kinds)
    assert found == [
        Spot(0, 0), Spot(0, 1), Spot(2), Spot(4, 0), Spot(6), Spot(10), Spot(26, 0), Spot(27),
        Spot(28), Spot(40),
    ]  # fmt: skip
    assert end == 48


def test_nine_bits_take_two_bytes() -> None:
    found, end = spots(["Bool"] * 9)
    assert found[7:] == [Spot(0, 7), Spot(1, 0)]
    assert end == 2


def test_a_structure_begins_at_an_even_byte() -> None:
    assert spots(["Bool"], start=3) == ([Spot(4, 0)], 6)


INDEPENDENT = ("Bool", "Int", "DInt", "UDInt", "Real", "Word", "DWord", "UInt", "DTL")
"""Types that s7datablock knows and lays out by the same rules; it knows no strings and nothing of
64 bits, and begins types of one byte behind a whole word of bits."""


RUNS = st.tuples(st.sampled_from(INDEPENDENT), st.integers(1, 3)) | st.tuples(
    st.just("Bool"), st.integers(1, 20)
)
STRUCTURES = st.lists(RUNS, min_size=1, max_size=8).map(
    lambda runs: [kind for kind, times in runs for _ in range(times)]
)


@given(st.lists(STRUCTURES, min_size=1, max_size=3))
@settings(deadline=None, max_examples=30)
def test_offsets_agree_with_an_independent_reader(structures: list[list[str]]) -> None:
    text = data_block(structures)
    parsed = parse_db_file(StringIO(text)).mapping
    end = 0
    for number, kinds in enumerate(structures):
        found, end = spots(kinds, end)
        theirs = [parsed[f"s{number}.m{index}"] for index in range(len(kinds))]
        assert [(spot.byte, spot.bit) for spot in found] == [
            (field.offset, field.offset_bit) for field in theirs
        ]


def data_block(structures: list[list[str]]) -> str:
    types = [
        "\n".join([
            f'TYPE "T{number}"', "VERSION : 0.1", "   STRUCT",
            *(f"      m{index} : {kind};" for index, kind in enumerate(kinds)),
            "   END_STRUCT;", "END_TYPE",
        ])
        for number, kinds in enumerate(structures)
    ]  # fmt: skip
    members = [f'      s{number} : "T{number}";' for number in range(len(structures))]
    whole = ['DATA_BLOCK "machine"', "VERSION : 0.1", "   STRUCT", *members, "   END_STRUCT;"]
    return "\n".join([*types, *whole, "BEGIN", "END_DATA_BLOCK"])


@given(blocks("one"), blocks("two"), code_systems())
@settings(deadline=None, max_examples=25)
def test_members_of_any_blocks_never_overlap(
    one: dict[str, Any], two: dict[str, Any], codes: dict[str, Any]
) -> None:
    """And what was written reads back, by our own tags and by the independent reader."""
    written = texts(made("siemens", "one", "two", plant=plant_of(one, two, codes)))
    addresses = {
        key: S7Source.parse_tag(mapped["tag"].replace("{db}", "10"))
        for key, mapped in yaml.safe_load(written["mapping.yaml"])["map"].items()
    }
    assert len(addresses) == len(one["fields"]) + len(two["fields"])
    bits = [(8 * a.start + a.bit, 8 * a.end if a.type != "bool" else 8 * a.start + a.bit + 1)
            for a in addresses.values()]  # fmt: skip
    assert all(end <= start for (_, end), (start, _) in pairwise(sorted(bits)))
    assert all(a.start % 2 == 0 for a in addresses.values() if a.type != "bool")
    for key, (offset, bit) in places(written).items():
        assert (addresses[key].start, addresses[key].bit) == (offset, bit), key


def test_the_independent_reader_reads_what_is_written_for_every_type() -> None:
    written = texts(made("siemens", "probe", "machine_state", "part_count"))
    found = places(written)
    mapped = yaml.safe_load(written["mapping.yaml"])["map"]
    assert len(found) == len(mapped)
    for key, (offset, bit) in found.items():
        address = S7Source.parse_tag(mapped[key]["tag"].replace("{db}", "10"))
        assert (address.start, address.bit) == (offset, bit), key


def test_optimised_access_is_read_by_name() -> None:
    written = texts(made("siemens", access="optimised", instance="Maschine 7"))
    assert "{ S7_Optimized_Access := 'TRUE' }" in written["Maschine 7.db"]
    mapping = yaml.safe_load(written["mapping.yaml"])
    assert mapping["kind"] == "opcua"
    assert mapping["params"]["db"]["default"] == "Maschine 7"
    assert mapping["map"]["probe.melt_temp"] == {
        "tag": f'nsu={SERVER};s="{{db}}"."probe"."melt_temp"', "unit": "Cel",
    }  # fmt: skip


def test_the_number_of_the_block_is_a_parameter() -> None:
    mapping = yaml.safe_load(texts(made("siemens", db=42))["mapping.yaml"])
    assert mapping["params"]["db"]["default"] == "42"
    assert mapping["map"]["probe.fault"]["tag"] == "DB{db}.0.1:bool"


def test_a_data_block_with_offsets_has_a_largest_size() -> None:
    fields = {f"t{number}": {"type": "text", "max_length": 254} for number in range(256)}
    plant = plant_of({"block": "probe", "version": 1, "fields": fields})
    assert made("siemens", plant=plant).files
    fields["one_more"] = {"type": "boolean"}
    plant = plant_of({"block": "probe", "version": 1, "fields": fields})
    with pytest.raises(ProblemsError) as refused:
        made("siemens", plant=plant)
    assert refused.value.problems[-1].code == "P010"
    assert made("siemens", plant=plant, access="optimised").files
