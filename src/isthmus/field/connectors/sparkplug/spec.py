"""What a person declares of a Sparkplug infrastructure."""

from secrets import token_hex
from typing import Literal, Self

from pydantic import Field, model_validator

from isthmus.field.connectors.sparkplug.address import Address, parse_address
from isthmus.field.connectors.sparkplug.topics import check_id
from isthmus.field.mqtt.broker import BrokerSource
from isthmus.model.spec.words import Seconds


class SparkplugSource(BrokerSource):
    """Edge nodes and devices that publish Sparkplug B through one MQTT broker."""

    kind: Literal["sparkplug"] = "sparkplug"
    host_id: str = Field(default="", max_length=128)
    """Name of our host application, unique at the broker, and with it permission to publish our
    STATE (retained) under this name, for which edge nodes wait that have it as their primary host.
    Without it we only listen."""
    rebirth: bool = False
    """Permission to ask edge nodes for a rebirth: the one command that is ever sent. Without it
    values of a node are read from its next birth on."""
    reorder_timeout: Seconds = 2.0
    """How long a message that is missing in a sequence may still come."""
    first_value: Seconds = 3.0
    """A tag whose birth has not come counts as waiting after so much silence."""
    max_payload_kb: int = Field(default=1024, ge=1, le=65_536)
    """A longer payload (unpacked, if it is compressed) is not decoded."""

    @model_validator(mode="after")
    def _host_id_is_a_level(self) -> Self:
        if self.host_id:
            check_id(self.host_id, "host_id")
        return self

    @property
    def speaks(self) -> bool:
        """Whether it publishes STATE, as a host application must."""
        return self.host_id != ""

    @classmethod
    def parse_tag(cls, tag: str) -> Address:
        return parse_address(tag)

    def for_probe(self) -> "SparkplugSource":
        """Under another name and without STATE: when it ends, no edge node loses its host."""
        probe = {"client_id": f"isthmus-probe-{token_hex(4)}", "host_id": ""}
        return self.model_copy(update=probe)
