"""SQL as bytes on the wire: every statement that a client really sent to its database."""

import struct
from collections.abc import Iterator
from typing import Final

_STARTUP: Final = 0
"""Only the first messages of a connection have no type: their length begins with a zero byte."""
_QUERY: Final = ord("Q")
_PARSE: Final = ord("P")
_MYSQL_STATEMENTS: Final = (0x03, 0x16)
"""COM_QUERY and COM_STMT_PREPARE; commands are numbered 0."""


def postgresql(sent: bytes) -> Iterator[str]:
    """Statements of PostgreSQL's protocol 3, of all connections in `sent` one after the other."""
    at = 0
    while at + 5 <= len(sent):
        kind = sent[at]
        head = 0 if kind == _STARTUP else 1
        (length,) = struct.unpack_from(">I", sent, at + head)
        body = sent[at + head + 4 : at + head + length]
        if kind == _QUERY:
            yield body.partition(b"\0")[0].decode()
        elif kind == _PARSE:
            yield body.split(b"\0", 2)[1].decode()
        at += head + length


def mysql(sent: bytes) -> Iterator[str]:
    """Statements of MySQL's and MariaDB's protocol, likewise."""
    at = 0
    while at + 5 <= len(sent):
        length = int.from_bytes(sent[at : at + 3], "little")
        number, body = sent[at + 3], sent[at + 4 : at + 4 + length]
        if number == 0 and body[0] in _MYSQL_STATEMENTS:
            yield body[1:].decode()
        at += 4 + length
