"""The submodel template, judged by the official test engines."""

import base64
import json
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given, settings
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
from tests.field.plc.reading import Reader, plant_with

from isthmus.field.connectors.http.spec import HttpSource
from isthmus.testing.rest_server import Request, Response, RestServer

FILE = "machine.aas.json"


def complaints(text: str) -> list[str]:
    engines = pytest.importorskip("aas_test_engines.file")
    result = engines.check_json_data(json.loads(text))
    return [] if result.ok() else [*lines(result)]


def lines(result: Any) -> list[str]:
    own = [] if result.ok() else [result.message]
    return own + [line for below in result.sub_results for line in lines(below)]


def elements(text: str) -> dict[str, Any]:
    (submodel,) = json.loads(text)["submodels"]
    (block,) = submodel["submodelElements"]
    return {one["idShort"]: one for one in block["value"]}


def concepts(text: str) -> dict[str, Any]:
    return {
        one["id"]: one["embeddedDataSpecifications"][0]["dataSpecificationContent"]
        for one in json.loads(text)["conceptDescriptions"]
    }


@pytest.mark.parametrize("lang", ["en", "de"])
def test_every_type_passes_the_official_tests(lang: Any) -> None:
    assert (
        complaints(texts(made("aas", "probe", "machine_state", "part_count", lang=lang))[FILE])
        == []
    )


def test_the_official_tests_can_fail() -> None:
    text = texts(made("aas"))[FILE]
    assert complaints(text.replace('"xs:boolean"', '"xs:bool"')) != []
    assert complaints(text.replace('"idShort": "running"', '"idShort": "läuft"')) != []


@given(blocks(), code_systems())
@settings(deadline=None, max_examples=25)
def test_any_block_passes_the_official_tests(block: dict[str, Any], codes: dict[str, Any]) -> None:
    names = set(block["fields"])
    if any(len(name) == 1 and f"{name}_value" in names for name in names):
        return
    assert complaints(texts(made("aas", "drawn", plant=plant_of(block, codes)))[FILE]) == []


def test_texts_are_in_every_language_of_the_model() -> None:
    melt = elements(texts(made("aas"))[FILE])["melt_temp"]
    assert melt["displayName"] == [
        {"language": "en", "text": "Melt temperature"},
        {"language": "de", "text": "Massetemperatur"},
    ]
    assert melt["description"] == [
        {"language": "en", "text": "At the nozzle."},
        {"language": "de", "text": "An der Düse."},
    ]


def test_units_limits_and_values_are_said() -> None:
    text = texts(made("aas"))[FILE]
    found, meant = elements(text), concepts(text)
    assert list(found) == [*EVERY_TYPE["fields"]]
    ranges = [one["value"] for one in found["melt_temp"]["qualifiers"]]
    assert ranges == ["ZeroToOne", "[0,450]"]
    assert found["speed"]["qualifiers"][1]["value"] == "[0,INF)"
    melt = meant[found["melt_temp"]["semanticId"]["keys"][0]["value"]]
    assert (melt["unit"], melt["dataType"]) == ("°C", "REAL_MEASURE")
    state = meant["urn:isthmus:acme:block:probe:3:state"]
    pairs = {one["value"]: one["valueId"] for one in state["valueList"]["valueReferencePairs"]}
    execute = meant[pairs["execute"]["keys"][0]["value"]]
    assert {"language": "de", "text": "Produziert"} in execute["preferredName"]


def test_a_name_of_one_letter_is_too_short() -> None:
    plant = plant_of({"block": "probe", "version": 1, "fields": {"x": {"type": "number"}}})
    generated = made("aas", plant=plant)
    assert list(elements(texts(generated)[FILE])) == ["x_value"]
    assert [one.code for one in generated.warnings if one.code == "P101"] == ["P101"]
    assert complaints(texts(generated)[FILE]) == []


def test_a_long_description_is_shortened_to_what_the_format_takes() -> None:
    block = {**EVERY_TYPE, "description": {"de": "ä" * 2000}}
    plant = plant_of(block, {"code_system": "alarm-level", "values": {"a": {"code": 1}}})
    text = texts(made("aas", plant=plant))[FILE]
    assert complaints(text) == []
    assert f"{'ä' * 1022}…" in text


def test_the_mapping_asks_a_server_for_the_values_of_the_submodel() -> None:
    mapping = yaml.safe_load(texts(made("aas"))["mapping.yaml"])
    submodel = mapping["params"]["submodel"]["default"]
    assert base64.urlsafe_b64decode(submodel + "==") == b"urn:isthmus:acme:submodel:machine"
    state = mapping["map"]["probe.state"]
    assert state == {"tag": "submodels/{submodel}/$value#$.probe.state"}
    address = HttpSource.parse_tag(state["tag"].replace("{submodel}", submodel))
    assert address.endpoint == f"submodels/{submodel}/$value"


async def test_every_type_comes_back_from_a_server_of_shells() -> None:
    written = texts(made("aas"))
    values: dict[str, Any] = {"good": 4_000_000_000}
    values |= {key.partition(".")[2]: value for key, value in WRITTEN.items()}
    submodel = yaml.safe_load(written["mapping.yaml"])["params"]["submodel"]["default"]

    def answer(request: Request) -> Response:
        if unquote(request.path) != f"/api/v3.0/submodels/{submodel}/$value":
            return Response(404)
        return Response.json({"probe": values})

    async with RestServer(answer) as server:
        source = {"kind": "http", "url": f"{server.url}/api/v3.0", "interval": "10 ms"}
        plant = plant_with(written["mapping.yaml"], source, EVERY_TYPE, LEVELS)
        async with Reader(plant) as reader:
            await reader.until(WRITTEN)
            values["good"] += 5
            found = await reader.until(expected := WRITTEN | {"probe.good": 5})
    assert found == expected
