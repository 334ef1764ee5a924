"""What a person declares of an MQTT broker."""

from secrets import token_hex
from typing import Literal, Self

from pydantic import Field, model_validator

from isthmus.field.connectors.mqtt.address import Address, parse_address
from isthmus.field.json_path import json_path
from isthmus.field.json_samples import TimeFormat
from isthmus.field.mqtt.broker import BrokerSource
from isthmus.model.spec.words import Seconds


class MqttSource(BrokerSource):
    """Topics of one MQTT broker."""

    kind: Literal["mqtt"] = "mqtt"
    session: Literal["persistent", "clean"] = "persistent"
    """`persistent`: the broker keeps for us what comes while we are down."""
    session_expiry: Seconds = 7 * 86400.0
    """MQTT 5 only: how long it does; with 3.1.1 the broker decides."""
    qos: Literal[0, 1] = 1
    """1: nothing is lost, since we acknowledge only what is on our disk."""
    time: str | None = None
    """JSON path of a message's own time, such as `$.ts`; the time of receipt if not given."""
    time_format: TimeFormat = "iso"
    """`iso` needs a zone (`Z` or an offset); `s`, `ms`, `us`, `ns` count from 1970 in UTC."""
    partial: bool = False
    """Messages carry only what changed: a path that is not there says nothing. Otherwise it is
    a broken message and goes to quarantine."""
    max_payload_kb: int = Field(default=256, ge=1, le=65_536)
    """A longer payload is not decoded but goes to quarantine."""
    first_value: Seconds = 1.0
    """A tag without a retained message counts as waiting after so much silence."""

    @model_validator(mode="after")
    def _time_is_a_path(self) -> Self:
        if self.time is not None:
            json_path(self.time)
        return self

    @classmethod
    def parse_tag(cls, tag: str) -> Address:
        return parse_address(tag)

    def for_probe(self) -> "MqttSource":
        """The same source under another name and without a session: a probe disturbs nobody."""
        probe = {"client_id": f"isthmus-probe-{token_hex(4)}", "session": "clean"}
        return self.model_copy(update=probe)
