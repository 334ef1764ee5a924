"""Bytes of one message into a Sparkplug payload, compressed or not; and our one command."""

import zlib
from typing import Any, Final

from isthmus.base.clock import Micros
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.connectors.sparkplug.topics import REBIRTH

_COMPRESSED: Final = "SPBV1.0_COMPRESSED"
_ANY_HEADER: Final = 32 + zlib.MAX_WBITS
"""zlib's or gzip's, whichever is there."""
_BOOLEAN: Final = 11


def decode(data: bytes, longest: int) -> Any:
    """Read one payload; ValueError says why it cannot be read.

    `longest`: bytes, before and after unpacking.
    """
    payload = _parse(data, longest)
    if payload.uuid != _COMPRESSED:
        return payload
    unpacked = zlib.decompressobj(_ANY_HEADER)
    try:
        body = unpacked.decompress(payload.body, longest + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error
    inner = _parse(body, longest)
    if not inner.HasField("seq") and payload.HasField("seq"):
        inner.seq = payload.seq
    return inner


def rebirth_request(now: Micros) -> bytes:
    """The command `Node Control/Rebirth`; it carries no sequence number.

    Its datatype is not required, but some edge nodes read no value without it.
    """
    payload = messages().Payload(timestamp=now // 1_000)
    payload.metrics.add(name=REBIRTH, timestamp=now // 1_000, datatype=_BOOLEAN, boolean_value=True)
    encoded: bytes = payload.SerializeToString()
    return encoded


def _parse(data: bytes, longest: int) -> Any:
    from google.protobuf.message import DecodeError

    if len(data) > longest:
        raise ValueError(f"it is longer than `max_payload_kb` ({longest // 1024} kB)")
    try:
        return messages().Payload.FromString(data)
    except DecodeError as error:
        raise ValueError("it is no Sparkplug B payload") from error
