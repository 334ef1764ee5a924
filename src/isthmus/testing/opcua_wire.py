"""What was asked of an OPC UA server, read from the bytes of an unencrypted link (Part 6, 6.7)."""

import struct
from collections.abc import Iterator
from typing import Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.object_ids import ObjectIdNames, ObjectIds
from asyncua.ua.ua_binary import struct_from_binary

READ_ONLY: Final = frozenset({
    "GetEndpoints", "CreateSession", "ActivateSession", "CloseSession", "Read", "Browse",
    "BrowseNext", "TranslateBrowsePathsToNodeIds", "HistoryRead", "CreateSubscription",
    "CreateMonitoredItems", "DeleteMonitoredItems", "Publish", "ConditionRefresh",
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
            name = ObjectIdNames[number].removesuffix("Request_Encoding_DefaultBinary")
            yield from _called(chunk) if name == "Call" else (name,)


def _called(chunk: bytes) -> Iterator[str]:
    """A condition refresh only has events sent; any other method may do something."""
    request = struct_from_binary(ua.CallRequest, Buffer(chunk, 24))
    for method in request.Parameters.MethodsToCall:
        harmless = method.MethodId.Identifier == ObjectIds.ConditionType_ConditionRefresh
        standard = method.MethodId.NamespaceIndex == 0
        yield "ConditionRefresh" if harmless and standard else "Call"


def write_requests(sent: bytes) -> list[str]:
    """Services that may change the machine."""
    return [name for name in services(sent) if name not in READ_ONLY]
