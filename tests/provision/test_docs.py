"""What a person can declare, and what can be said about a record, is documented."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from isthmus.provision.columns import Column
from isthmus.provision.entities import ENTITIES, ORDER_STATES
from isthmus.provision.systems import SYSTEM_KINDS
from isthmus.provision.systems.files import FileEntity, FilesSpec
from isthmus.provision.systems.sql import Changed, SqlEntity, SqlSpec

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
BASE = {"kind", "enabled"}


def keys(*specs: type[BaseModel]) -> set[str]:
    return {name for spec in specs for name in spec.model_fields} - BASE


def documented(page: str) -> set[str]:
    text = (REFERENCE / "systems" / page).read_text()
    return {name.rpartition(".")[2] for name in re.findall(r"`([a-z_.]+)`", text)}


def test_every_key_of_a_drop_folder_is_documented():
    assert keys(FilesSpec, FileEntity, Column) <= documented("files.md")


def test_every_key_of_an_sql_system_is_documented():
    assert keys(SqlSpec, SqlEntity, Changed) <= documented("sql.md")


def test_every_field_and_state_is_documented():
    fields = {field.name for entity in ENTITIES.values() for field in entity.fields}
    assert fields | set(ORDER_STATES) <= documented("files.md")


@pytest.mark.parametrize("kind", sorted(SYSTEM_KINDS))
def test_example_of_every_kind_is_one_that_the_model_takes(kind):
    page = (REFERENCE / "systems" / f"{kind}.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for spec in yaml.safe_load(example)["systems"].values():
        assert SYSTEM_KINDS[kind].model_validate(spec).kind == kind


def test_every_quarantine_code_is_documented_and_every_documented_code_exists():
    sources = (ROOT / "src" / "isthmus" / "provision").rglob("*.py")
    used = {code for file in sources for code in re.findall(r'"(Q1\d\d)"', file.read_text())}
    text = (REFERENCE / "quarantine_systems.md").read_text()
    assert used == set(re.findall(r"^\| (Q1\d\d) ", text, re.MULTILINE))


def test_schemas_are_those_of_the_lake():
    from isthmus.data.tables import FIXED

    lake = {table.name: table.own for table in FIXED}
    assert {name: entity.schema for name, entity in ENTITIES.items()} == {
        name: lake[name] for name in ENTITIES
    }
