"""The reference pages of MQTT, MTConnect and SHDR name every option of the spec."""

from pathlib import Path

import pytest
import yaml

from isthmus.field.connectors.ads import AdsSource
from isthmus.field.connectors.ethernetip import EthernetIpSource
from isthmus.field.connectors.files import FilesSource
from isthmus.field.connectors.http.spec import (
    ApiKey,
    Basic,
    Bearer,
    Cursor,
    HttpSource,
    OAuth2,
    PageNumber,
)
from isthmus.field.connectors.modbus import ModbusSource
from isthmus.field.connectors.mqtt import MqttSource
from isthmus.field.connectors.mtconnect import MtconnectSource
from isthmus.field.connectors.shdr import ShdrSource
from isthmus.field.connectors.sparkplug import SparkplugSource
from isthmus.field.connectors.sql import SqlSource
from isthmus.field.connectors.webhook import WebhookSource
from isthmus.field.connectors.webhook.spec import Hmac
from isthmus.field.mqtt.tls import Tls
from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Spec

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "connectors"


@pytest.mark.parametrize(
    ("page", "spec"),
    [
        ("mqtt", MqttSource),
        ("mqtt", Tls),
        ("sparkplug", SparkplugSource),
        ("sparkplug", Tls),
        ("mtconnect", MtconnectSource),
        ("shdr", ShdrSource),
        ("ethernetip", EthernetIpSource),
        ("ads", AdsSource),
        ("sql", SqlSource),
        ("files", FilesSource),
        ("modbus", ModbusSource),
        ("http", HttpSource),
        *(("http", part) for part in (Basic, Bearer, ApiKey, OAuth2, PageNumber, Cursor)),
        ("webhook", WebhookSource),
        ("webhook", Hmac),
    ],
)
def test_every_option_is_documented(page: str, spec: type[Spec]) -> None:
    text = (PAGES / f"{page}.md").read_text()
    own = spec.model_fields.keys() - SourceSpec.model_fields.keys()
    assert [name for name in sorted(own) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", ["ethernetip", "ads"])
def test_the_example_of_a_page_is_a_source(page: str) -> None:
    example = (PAGES / f"{page}.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    for keys in yaml.safe_load(example)["sources"].values():
        assert SOURCE_KINDS[keys["kind"]].model_validate(keys).kind == page
