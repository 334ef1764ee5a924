"""The frame of a serial line (Modbus RTU), which cheap gateways pass on over TCP unchanged."""

from typing import Final

_POLYNOMIAL: Final = 0xA001
_EXCEPTION: Final = 0x80
_CHECKSUM: Final = 2
"""Bytes."""


def checksum(frame: bytes) -> bytes:
    """CRC-16 of Modbus, its low byte first as on the wire."""
    crc = 0xFFFF
    for byte in frame:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def is_broken(received: bytes, unit: int, function: int) -> bool:
    """Whether the whole answer to a read has come and its checksum is wrong."""
    if len(received) < 3 or received[0] != unit:
        return False
    if received[1] == function:
        end = 3 + received[2]
    elif received[1] == function | _EXCEPTION:
        end = 3
    else:
        return False
    whole = len(received) >= end + _CHECKSUM
    return whole and received[end : end + _CHECKSUM] != checksum(received[:end])


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ _POLYNOMIAL if byte & 1 else byte >> 1
    return byte


_TABLE: Final = tuple(_entry(byte) for byte in range(256))
