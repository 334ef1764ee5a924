"""STATE: how a host application says that it is online, and who else says so in its name."""

import json

from isthmus.base.clock import Micros
from isthmus.field.mqtt.client import Publication


def state(topic: str, *, online: bool, at: Micros) -> Publication:
    """Birth or death certificate of a host application; `at` in whole milliseconds on the wire."""
    payload = json.dumps({"online": online, "timestamp": at // 1_000}, separators=(",", ":"))
    return Publication(topic, payload.encode(), qos=1, retain=True)


def says_offline(payload: bytes) -> bool:
    """Whether this STATE message denies that the host is online."""
    try:
        content = json.loads(payload)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("online") is False
