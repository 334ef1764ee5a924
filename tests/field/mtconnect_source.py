"""An MTConnect source that is quick, and what it says first."""

from typing import Any

from isthmus.field.connector import AnyConnector
from isthmus.field.connectors.mtconnect import MtconnectSource
from isthmus.testing.connector_suite import Sample, read_until


def source(url: str, **options: Any) -> MtconnectSource:
    given = {"interval": "20 ms", "heartbeat": "500 ms", "timeout": "2 s"} | options
    return MtconnectSource(url=url, **given)


async def first(connector: AnyConnector) -> list[Sample]:
    """The present values."""
    return await read_until(connector, lambda seen: len(seen) >= len(connector.tags))
