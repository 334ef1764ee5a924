"""What a person declares of an MQTT broker."""

from secrets import token_hex
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from isthmus.field.connectors.mqtt.address import Address, TimeFormat, parse_address
from isthmus.field.json_path import json_path
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds, Spec


class Tls(Spec):
    """How to trust the broker, and how it may trust us; paths of PEM files."""

    ca: str | None = None
    """Certificate authority of the broker; the system's own where it is not given."""
    cert: str | None = None
    """Our certificate, where the broker asks for one."""
    key: str | None = None
    key_password: SecretStr | None = None

    @model_validator(mode="after")
    def _key_needs_cert(self) -> Self:
        if self.key is not None and self.cert is None:
            raise ValueError("`key` needs `cert`")
        return self


class MqttSource(SourceSpec):
    """Topics of one MQTT broker."""

    kind: Literal["mqtt"] = "mqtt"
    host: Host
    port: Port = 1883
    """Brokers with TLS usually listen on 8883."""
    tls: Tls | None = None
    """`{}` is TLS with the system's certificate authorities."""
    user: str | None = None
    password: SecretStr | None = None
    client_id: str = Field(default="", max_length=128)
    """Name of our session at the broker, the same at every start; `isthmus-` and the name of the
    source where it is not given. Two platforms with one name throw each other out."""
    session: Literal["persistent", "clean"] = "persistent"
    """`persistent`: the broker keeps for us what comes while we are down."""
    session_expiry: Seconds = 7 * 86400.0
    """MQTT 5 only: how long it does; with 3.1.1 the broker decides."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """`auto`: 5, and 3.1.1 where the broker does not speak it."""
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
    keepalive: Seconds = Field(default=10.0, ge=1)
    """A dead connection is noticed within twice this time."""
    timeout: Seconds = 5.0

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
