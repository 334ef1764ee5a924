"""What was asked of an OPC UA server, read from the bytes of an unencrypted link (Part 6, 6.7)."""

import struct
from collections.abc import Iterator
from typing import Final

from asyncua.ua.object_ids import ObjectIdNames

READ_ONLY: Final = frozenset({
    "GetEndpoints", "CreateSession", "ActivateSession", "CloseSession", "Read", "Browse",
    "BrowseNext", "TranslateBrowsePathsToNodeIds", "HistoryRead", "CreateSubscription",
    "CreateMonitoredItems", "Publish",
})  # fmt: skip
"""Services that leave the machine as it is."""


def services(sent: bytes) -> Iterator[str]:
    """Names of the services asked for, in order."""
    while sent:
        (size,) = struct.unpack_from("<I", sent, 4)
        chunk, sent = sent[:size], sent[size:]
        if chunk[:3] == b"MSG":
            encoding, namespace, number = struct.unpack_from("<BBH", chunk, 24)
            if (encoding, namespace) != (1, 0):
                raise ValueError("a request of an unknown encoding")
            yield ObjectIdNames[number].removesuffix("Request_Encoding_DefaultBinary")


def write_requests(sent: bytes) -> list[str]:
    """Services that may change the machine."""
    return [name for name in services(sent) if name not in READ_ONLY]
