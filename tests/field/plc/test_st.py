"""Structured Text and PLCopen XML, judged by blark, tree-sitter and the official schema."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from lxml import etree
from tests.field.plc.blocks import EVERY_TYPE, PLANT, blocks, code_systems, made, plant_of, texts

JUDGE = Path(__file__).parent / "peers" / "judge_blark.py"
SCHEMA = Path(__file__).parents[4] / "shared" / "standards" / "plcopen" / "tc6_xml_v201.xsd"


def has_error(text: str) -> bool:
    language = pytest.importorskip("tree_sitter_iec61131_3_st")
    tree_sitter = pytest.importorskip("tree_sitter")
    parser = tree_sitter.Parser(tree_sitter.Language(language.language()))
    return bool(parser.parse(text.encode()).root_node.has_error)


def without_base_type(text: str) -> str:
    """The grammar knows no enumeration wider than an INT, which CODESYS and TwinCAT have."""
    return text.replace(") DINT;", ");")


def test_broken_text_is_noticed_by_the_grammar() -> None:
    text = texts(made("codesys"))["isthmus.st"]
    assert not has_error(without_base_type(text))
    assert has_error(without_base_type(text).replace("running : BOOL", "running BOOL"))


@given(blocks(), code_systems())
@settings(deadline=None, max_examples=40)
def test_any_block_is_structured_text(block: dict[str, Any], codes: dict[str, Any]) -> None:
    plant = plant_of(block, codes)
    taken = {name for name in block["fields"] if f"{name}_value" in block["fields"]}
    taken |= {name for name in codes["values"] if f"{name}_value" in codes["values"]}
    if taken:
        return
    text = texts(made("codesys", "drawn", plant=plant))["isthmus.st"]
    assert not has_error(without_base_type(text))


@pytest.mark.peer
def test_blark_reads_every_type_in_text_and_in_twincat_files(tmp_path: Path) -> None:
    if find_spec("blark") is None:
        pytest.skip("blark is not installed: it comes with the requirements of the tests")
    generated = made("codesys", "probe", "machine_state", "part_count", lang="de")
    for file in generated.files:
        (tmp_path / file.name).write_bytes(file.content)
    files = [file.name for file in generated.files if file.name != "mapping.yaml"]
    done = subprocess.run(
        [sys.executable, str(JUDGE), *files], cwd=tmp_path, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert sorted(said) == sorted(files)
    assert {name: found["error"] for name, found in said.items()} == dict.fromkeys(files)
    assert said["ST_probe.TcDUT"]["members"] == [*EVERY_TYPE["fields"]]


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    if not SCHEMA.exists():
        pytest.skip("the schema of PLCopen XML is not beside the repository")
    return etree.XMLSchema(etree.parse(SCHEMA))


@pytest.mark.parametrize("lang", ["en", "de"])
def test_plcopen_xml_is_valid(schema: etree.XMLSchema, lang: Any) -> None:
    text = texts(made("plcopen", "probe", "machine_state", lang=lang))["isthmus.xml"]
    document = etree.fromstring(text.encode())
    assert schema.validate(document), schema.error_log
    name = "{http://www.plcopen.org/xml/tc6_0201}variable"
    found = [one.get("name") for one in document.iter(name)]
    assert set(EVERY_TYPE["fields"]) <= set(found)


@given(blocks(), code_systems())
@settings(deadline=None, max_examples=25)
def test_any_block_is_valid_plcopen_xml(block: dict[str, Any], codes: dict[str, Any]) -> None:
    if not SCHEMA.exists():
        pytest.skip("the schema of PLCopen XML is not beside the repository")
    taken = {name for name in block["fields"] if f"{name}_value" in block["fields"]}
    taken |= {name for name in codes["values"] if f"{name}_value" in codes["values"]}
    if taken:
        return
    text = texts(made("plcopen", "drawn", plant=plant_of(block, codes)))["isthmus.xml"]
    valid = etree.XMLSchema(etree.parse(SCHEMA))
    assert valid.validate(etree.fromstring(text.encode())), valid.error_log


def test_an_enumeration_starts_at_nothing_rather_than_at_its_first_value() -> None:
    text = texts(made("codesys", "machine_state"))["isthmus.st"]
    assert "(\n    not_set := 0, // Nothing was written yet\n    clearing := 1, // Clearing" in text


def test_an_enumeration_that_has_a_zero_gets_no_other() -> None:
    text = texts(made("codesys"))["isthmus.st"]
    assert "TYPE E_alarm_level :\n(\n    none := 70001, // None\n    warning := 0,\n" in text
    assert ") DINT;" in text


def test_ids_of_twincat_objects_stay_the_same() -> None:
    assert texts(made("codesys")) == texts(made("codesys", plant=PLANT))
