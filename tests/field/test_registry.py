"""Every kind of source has its spec and its connector under the names the registry promises."""

import json
import re

import pytest

from isthmus.field.connector import Connector
from isthmus.field.registry import SOURCE_KINDS, connector
from isthmus.model.spec.site import SourceSpec
from isthmus.model.wording import form_in_words


def test_the_kinds_are_at_least_these() -> None:
    assert {"opcua", "modbus", "mqtt", "mtconnect", "shdr", "s7"} <= set(SOURCE_KINDS)


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_a_kind_has_a_spec_and_a_connector_for_it(kind: str) -> None:
    spec, found = SOURCE_KINDS[kind], connector(kind)
    assert issubclass(spec, SourceSpec)
    assert issubclass(found, Connector)
    assert found.Spec is spec


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_what_must_have_a_form_says_it_in_words(kind: str) -> None:
    schema = json.dumps(SOURCE_KINDS[kind].model_json_schema())
    patterns = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', schema)
    assert [each for each in map(json.loads, patterns) if "^" in form_in_words(each)] == []


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(KeyError, match=r"no source kind `profinet`; there are .*modbus, mqtt"):
        connector("profinet")
    assert "profinet" not in SOURCE_KINDS
