"""The JSON Schema, judged by an independent validator."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from isthmus.apps.registry import USE_CASES
from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.compose import Composer
from isthmus.model.fill import Filling
from isthmus.model.load import read
from isthmus.model.plant import Kinds
from isthmus.model.publish import json_schema
from isthmus.provision.systems import SYSTEM_KINDS

from .fakes import ENV, KINDS
from .models import FILES

ROOT = Path(__file__).parents[2]
ACME = ROOT / "examples" / "acme"
REAL_KINDS = Kinds(sources=SOURCE_KINDS, systems=SYSTEM_KINDS, use_cases=USE_CASES)


@pytest.fixture(scope="module")
def fake() -> Draft202012Validator:
    return Draft202012Validator(json_schema(KINDS))


def documents(text: str) -> list[Any]:
    """What an editor sees: variables and secrets as they are written."""
    composer = Composer("x.yaml", text)
    composer.compose()
    assert composer.problems == []
    env = {"NAME": "x"} | ENV
    return [Filling(each, env, {}).filled().data for each in composer.documents]


def test_schema_is_a_schema(fake: Draft202012Validator):
    Draft202012Validator.check_schema(fake.schema)
    assert json.loads(json.dumps(fake.schema)) == fake.schema


def test_small_model_validates(fake: Draft202012Validator):
    for text in FILES.values():
        for document in documents(text):
            fake.validate(document)


@pytest.mark.parametrize(
    "document",
    [
        {"site": "hamburg", "sources": {"a": {"kind": "opcua"}}},
        {"site": "hamburg", "sources": {"a": {"endpoint": "opc.tcp://a"}}},
        {"site": "hamburg", "sources": {"a": {"kind": "opc", "endpoint": "opc.tcp://a"}}},
        {"site": "hamburg", "sources": {"a": {"kind": "modbus", "host": "a", "prot": 1}}},
        {"site": "hamburg", "keep": {"age": 5}},
        {"site": "hamburg", "use_cases": ["oeee"]},
        {"site": "hamburg", "use_cases": {"oee": {"time_model": "x"}}},
        {"materials": [{"name": "x"}]},
        {"name": "x"},
        {},
        [],
    ],
    ids=str,
)
def test_wrong_document_does_not_validate(fake: Draft202012Validator, document: Any):
    assert not fake.is_valid(document)


def test_variable_may_stand_for_a_number(fake: Draft202012Validator):
    fake.validate({"site": "a", "sources": {"m": {"kind": "modbus", "host": "h", "port": "${P}"}}})


def test_keys_carry_their_documentation(fake: Draft202012Validator):
    shift = fake.schema["$defs"]["Shift"]["properties"]
    assert shift["breaks"]["description"] == "Planned: no machine is expected to run then."


@pytest.mark.parametrize("file", sorted(ACME.rglob("*.yaml")), ids=lambda file: file.name)
def test_reference_company_validates(file: Path):
    if file.name == "secrets.yaml":
        pytest.skip("secrets are no document")
    validator = Draft202012Validator(json_schema(REAL_KINDS))
    for document in documents(file.read_text(encoding="utf-8")):
        errors = [f"{each.json_path}: {each.message}" for each in validator.iter_errors(document)]
        assert errors == []


def test_reference_company_has_no_error():
    assert [
        each.render() for each in read(ACME, REAL_KINDS).problems if each.severity == "error"
    ] == []
