"""How to reach a broker, who we are there, and paho's client made from that."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from isthmus.field.mqtt.tls import TlsContext

if TYPE_CHECKING:
    from isthmus.field.mqtt.driver import Driver

Version = Literal["5", "3.1.1"]

MOST_UNACKNOWLEDGED: Final = 3_000
"""Sent to us before we acknowledge (MQTT 5). Half of it, between two writes to disk a quarter of a
second apart, is 6,000 messages a second; what is faster is written more often."""


class Publication(NamedTuple):
    """What we say ourselves."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Settings:
    """How to reach a broker and who we are."""

    host: str
    port: int
    client_id: str
    protocol: Literal["auto", "5", "3.1.1"]
    session_expiry: float
    """0: a clean session."""
    keepalive: float
    timeout: float
    user: str | None
    password: str | None
    tls: TlsContext | None
    will: Publication | None = None
    """What the broker says for us when we are gone without a goodbye."""


def client(settings: Settings, version: Version) -> "Driver":
    """Make one that acknowledges by hand and leaves it to the runtime to connect again."""
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    from isthmus.field.mqtt.driver import Driver

    version_5 = version == "5"
    made = Driver(
        callback_api_version=CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        clean_session=None if version_5 else not settings.session_expiry,
        protocol=MQTTProtocolVersion.MQTTv5 if version_5 else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,  # the runtime reconnects, with a new connector
        manual_ack=True,
    )
    made.with_properties = version_5
    made.connect_timeout = settings.timeout
    if settings.user is not None:
        made.username_pw_set(settings.user, settings.password)
    if settings.tls is not None:
        made.tls_set_context(settings.tls)
    if settings.will is not None:
        made.will_set(*settings.will)
    return made


def dial(client: "Driver", settings: Settings, version: Version) -> None:
    """Look the name up, connect and greet; blocks."""
    more: dict[str, Any] = {}
    if version == "5":
        more = {"clean_start": not settings.session_expiry, "properties": _session(settings)}
    client.connect(settings.host, settings.port, max(1, math.ceil(settings.keepalive)), **more)


def _session(settings: Settings) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = MOST_UNACKNOWLEDGED
    properties.SessionExpiryInterval = int(settings.session_expiry)
    return properties
