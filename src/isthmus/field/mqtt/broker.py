"""What a person declares of a broker, whatever is published there."""

import asyncio
from typing import Literal

from pydantic import Field, SecretStr

from isthmus.field.mqtt.client import Publication, Settings
from isthmus.field.mqtt.tls import Tls, context
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds


class BrokerSource(SourceSpec):
    """One MQTT broker, who we are there, and how fast we notice that it is gone."""

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
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """`auto`: 5, and 3.1.1 where the broker does not speak it."""
    keepalive: Seconds = Field(default=10.0, ge=1)
    """A dead connection is noticed within twice this time."""
    timeout: Seconds = 5.0

    @property
    def reaches(self) -> str | None:
        return f"{self.host}:{self.port}".lower()


async def settings(
    spec: BrokerSource, name: str, *, session_expiry: float, will: Publication | None = None
) -> Settings:
    """How the source `name` reaches its broker; Refused where a certificate cannot be read.

    A `session_expiry` of 0 is a clean session.
    """
    return Settings(
        host=spec.host,
        port=spec.port,
        client_id=spec.client_id or f"isthmus-{name}",
        protocol=spec.protocol,
        session_expiry=session_expiry,
        keepalive=spec.keepalive,
        timeout=spec.timeout,
        user=spec.user,
        password=spec.password.get_secret_value() if spec.password else None,
        tls=await asyncio.to_thread(context, spec.tls),
        will=will,
    )
