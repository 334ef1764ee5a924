"""Every kind of source has its spec and its connector under the names the registry promises."""

import pytest

from isthmus.field.connector import Connector
from isthmus.field.registry import SOURCE_KINDS, connector
from isthmus.model.spec.site import SourceSpec


def test_the_kinds_are_at_least_these() -> None:
    assert {"opcua", "modbus", "mqtt", "mtconnect", "shdr", "s7"} <= set(SOURCE_KINDS)


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_a_kind_has_a_spec_and_a_connector_for_it(kind: str) -> None:
    spec, found = SOURCE_KINDS[kind], connector(kind)
    assert issubclass(spec, SourceSpec)
    assert issubclass(found, Connector)
    assert found.Spec is spec


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(KeyError, match=r"no source kind `profinet`; there are .*modbus, mqtt"):
        connector("profinet")
    assert "profinet" not in SOURCE_KINDS
