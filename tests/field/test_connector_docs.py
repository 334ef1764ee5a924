"""Every kind of source has a page: its options, what it does and does not yet, who tested it."""

import re
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
from isthmus.field.connectors.opcua import OpcuaSource
from isthmus.field.connectors.s7 import S7Source
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
        ("opcua", OpcuaSource),
        ("s7", S7Source),
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


PEERS = {
    "opcua": ["node-opcua", "open62541"],
    "s7": ["python-snap7", "NodeS7"],
    "modbus": ["modbus-serial", "jsmodbus"],
    "ethernetip": ["cpppo"],
    "ads": ["pyads"],
    "mqtt": ["mosquitto"],
    "sparkplug": ["sparkplug-client", "mqtt-spb-wrapper"],
    "mtconnect": ["Okuma", "schema"],
    "shdr": ["Okuma"],
    "http": ["server on loopback"],
    "webhook": ["Node.js"],
    "sql": ["PostgreSQL", "MariaDB", "SQLite"],
    "files": ["export"],
}
"""Kind → who speaks its protocol in the tests and is not of us, or what was recorded."""


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_a_page_says_what_is_done_what_not_yet_and_who_tested_it(kind: str) -> None:
    text = (PAGES / f"{kind}.md").read_text()
    heads = [line for line in text.splitlines() if re.match(r"\|.*\b(tested|test) against\b", line)]
    assert heads, "no table of what was tested against whom"
    assert "not yet" in text
    table = text.partition(heads[0])[2].partition("\n\n```")[0]
    assert [peer for peer in PEERS[kind] if peer not in table] == []


@pytest.mark.parametrize("page", ["ethernetip", "ads"])
def test_the_example_of_a_page_is_a_source(page: str) -> None:
    example = (PAGES / f"{page}.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    for keys in yaml.safe_load(example)["sources"].values():
        assert SOURCE_KINDS[keys["kind"]].model_validate(keys).kind == page
