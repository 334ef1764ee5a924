"""The messages of S7 communication that reading needs; there is none here that could write.

TPKT (RFC 1006) carries COTP (ISO 8073, class 0), which carries S7: pure functions between fields
and bytes. ValueError: the bytes are no such message.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from isthmus.field.connectors.s7.address import Area

Connection = Literal["pg", "op", "basic"]

TPKT: Final = struct.Struct(">BBH")
MOST_ITEMS: Final = 20
"""Per request: what every CPU takes."""
SMALLEST_PDU: Final = 112
"""Bytes of a message: less no CPU grants."""
REQUEST_HEAD: Final = 12
REQUEST_ITEM: Final = 12
ANSWER_HEAD: Final = 14
ANSWER_ITEM: Final = 4

GOOD_ITEM: Final = 0xFF
ACCESS_DENIED: Final = 0x03
OUT_OF_RANGE: Final = 0x05

_TPKT_VERSION: Final = 3
_CONNECT_REQUEST: Final = 0xE0
_CONNECT_CONFIRM: Final = 0xD0
_DISCONNECT_REQUEST: Final = 0x80
_DATA: Final = 0xF0
_LAST_PIECE: Final = 0x80
_TPDU_1024: Final = 10
"""Two to the power of it: the largest S7 message, 960 bytes, fits into one."""
_OUR_REFERENCE: Final = 1
_OUR_TSAP: Final = 0x0100
_CONNECTIONS: Final[dict[Connection, int]] = {"pg": 1, "op": 2, "basic": 3}

_S7: Final = 0x32
_REQUEST: Final = 1
_ACKNOWLEDGED: Final = frozenset({2, 3})
"""Without and with data; a refusal comes without."""
_READ: Final = 4
_SET_UP: Final = 0xF0
_HEAD: Final = struct.Struct(">BBHHHH")
_ANSWER: Final = struct.Struct(">BBHHHHH")
_ITEM: Final = struct.Struct(">BBBBHHB3s")
_SET_UP_FIELDS: Final = struct.Struct(">BBHHH")
_ITEM_ANSWER: Final = struct.Struct(">BBH")
_IN_BITS: Final = frozenset({3, 4, 5})
"""Transport sizes whose length is given in bits (bit, byte/word, integer); all others: bytes."""

_AREA_CODES: Final[dict[Area, int]] = {
    "DB": 0x84, "M": 0x83, "I": 0x81, "Q": 0x82, "T": 0x1D, "C": 0x1C,
}  # fmt: skip
_BYTES: Final = 0x02


@dataclass(frozen=True)
class Item:
    """A range of one area."""

    area: Area
    db: int
    start: int
    """A byte, or the number of the first timer or counter."""
    count: int
    """Bytes, or timers or counters."""

    @property
    def width(self) -> int:
        return self.count * unit(self.area)


@dataclass(frozen=True)
class Answer:
    """What came to one request: its items, or the reason why there are none."""

    sequence: int
    error: int
    """0, or error class and error code of the whole request."""
    parameters: bytes
    data: bytes


def unit(area: Area) -> int:
    """Bytes that one step of an address takes: a timer or counter is a word."""
    return 2 if area in {"T", "C"} else 1


def framed(payload: bytes) -> bytes:
    return TPKT.pack(_TPKT_VERSION, 0, TPKT.size + len(payload)) + payload


def frame_length(head: bytes) -> int:
    """Bytes that follow a TPKT's head."""
    version, _, length = TPKT.unpack(head)
    if version != _TPKT_VERSION or length <= TPKT.size:
        raise ValueError(f"`{head.hex(' ')}` is no beginning of an ISO-on-TCP message")
    return int(length) - TPKT.size


def connect_request(connection: Connection, rack: int, slot: int) -> bytes:
    """Ask the CPU in this slot for one of its connections."""
    theirs = _CONNECTIONS[connection] << 8 | rack << 5 | slot
    parameters = struct.pack(">BBBBBHBBH", 0xC0, 1, _TPDU_1024, 0xC1, 2, _OUR_TSAP, 0xC2, 2, theirs)
    head = struct.pack(">BBHHB", 6 + len(parameters), _CONNECT_REQUEST, 0, _OUR_REFERENCE, 0)
    return framed(head + parameters)


def is_confirmed(payload: bytes) -> bool:
    """Whether the CPU took the connection; False if it says no."""
    kind = payload[1] if len(payload) > 1 else None
    if kind == _CONNECT_CONFIRM:
        return True
    if kind == _DISCONNECT_REQUEST:
        return False
    raise ValueError(f"`{payload[:8].hex(' ')}` answers no connection request")


def data_piece(payload: bytes) -> tuple[bytes, bool]:
    """A piece of an S7 message, and whether it is the last."""
    if len(payload) < 3 or payload[1] != _DATA:
        raise ValueError(f"`{payload[:8].hex(' ')}` is no data")
    return payload[1 + payload[0] :], bool(payload[2] & _LAST_PIECE)


def set_up_request(sequence: int, pdu: int) -> bytes:
    """Say how long a message may be; the answer says how long the CPU's are."""
    return _request(sequence, _SET_UP_FIELDS.pack(_SET_UP, 0, 1, 1, pdu))


def granted_pdu(answer: Answer) -> int:
    if len(answer.parameters) != _SET_UP_FIELDS.size or answer.parameters[0] != _SET_UP:
        raise ValueError(f"parameters `{answer.parameters.hex(' ')}` do not answer the set-up")
    pdu = int(_SET_UP_FIELDS.unpack(answer.parameters)[-1])
    if pdu < SMALLEST_PDU:
        raise ValueError(f"messages of {pdu} bytes are too short to read anything")
    return pdu


def read_request(sequence: int, items: Sequence[Item]) -> bytes:
    return _request(sequence, bytes([_READ, len(items)]) + b"".join(map(_item, items)))


def parse_answer(message: bytes) -> Answer:
    """Any S7 answer, refused ones too."""
    if len(message) < _ANSWER.size:
        raise ValueError(f"{len(message)} bytes are no S7 answer")
    protocol, kind, _, sequence, parameters, data, error = _ANSWER.unpack_from(message)
    body = message[_ANSWER.size :]
    if protocol != _S7 or kind not in _ACKNOWLEDGED or len(body) != parameters + data:
        raise ValueError(f"`{message[: _ANSWER.size].hex(' ')}` is no S7 answer")
    return Answer(sequence, error, body[:parameters], body[parameters:])


def read_answers(answer: Answer, items: Sequence[Item]) -> list[bytes | int]:
    """For each item its contents, or the return code that says why there are none."""
    if answer.parameters != bytes([_READ, len(items)]):
        raise ValueError(f"parameters `{answer.parameters.hex(' ')}` do not answer the read")
    return list(_split(answer.data, items))


def _split(data: bytes, items: Iterable[Item]) -> Iterable[bytes | int]:
    at = 0
    for item in items:
        if at + _ITEM_ANSWER.size > len(data):
            raise ValueError("the answer ends before its last item")
        code, transport, length = _ITEM_ANSWER.unpack_from(data, at)
        at += _ITEM_ANSWER.size
        if code != GOOD_ITEM:
            yield code
            continue
        width = (length + 7) // 8 if transport in _IN_BITS else length
        contents = data[at : at + width]
        if len(contents) != item.width:
            raise ValueError(f"{len(contents)} bytes came, {item.width} were asked for")
        yield contents
        at += width + width % 2  # the next item begins at an even byte


def _request(sequence: int, parameters: bytes) -> bytes:
    head = _HEAD.pack(_S7, _REQUEST, 0, sequence, len(parameters), 0)
    return framed(bytes([2, _DATA, _LAST_PIECE]) + head + parameters)


def _item(item: Item) -> bytes:
    code = _AREA_CODES[item.area]
    if item.area in {"T", "C"}:
        return _ITEM.pack(0x12, 10, 0x10, code, item.count, 0, code, item.start.to_bytes(3))
    bits = (item.start * 8).to_bytes(3)
    return _ITEM.pack(0x12, 10, 0x10, _BYTES, item.count, item.db, code, bits)
