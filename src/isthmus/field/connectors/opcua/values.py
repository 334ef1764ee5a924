"""OPC UA values to number or text: pure functions of what the driver decoded."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from isthmus.base.clock import Micros, iso, to_micros
from isthmus.field.samples import integer
from isthmus.flow.parcel import BAD, GOOD

_SEVERITY_AND_CODE: Final = 0xFFFF_0000
_INFO_TYPE: Final = 0x0000_0C00
_INFO_DATA_VALUE: Final = 0x0000_0400
_OVERFLOW: Final = 0x0000_0080
_NO_TIME: Final = datetime(1601, 1, 1, tzinfo=UTC)
"""How OPC UA writes `not set`."""

Converted = tuple[float | None, str | None, int]
"""Number, text, quality."""


def convert(data: ua.DataValue, element: tuple[int, ...]) -> Converted:
    """Number or text of a value, or of one element of its array, with its quality.

    The status code's information bits are dropped: `overflowed` reads the one that matters.
    """
    quality = data.StatusCode.value & _SEVERITY_AND_CODE if data.StatusCode else GOOD
    if quality & BAD:
        return None, None, quality
    value = data.Value.Value if data.Value is not None else None
    try:
        return *_number_or_text(_pick(value, element)), quality
    except _NoValueError as no_value:
        return None, None, no_value.quality


def _pick(value: Any, element: tuple[int, ...]) -> Any:
    for index in element:
        if not isinstance(value, list) or index >= len(value):
            raise _NoValueError(StatusCodes.BadIndexRangeNoData)
        value = value[index]
    return value


def _number_or_text(value: Any) -> tuple[float | None, str | None]:
    match _plain(value):
        case float() | bool() as plain:
            return float(plain), None
        case int() as plain:
            return integer(plain)
        case str() as plain:
            return None, plain
        case None:
            raise _NoValueError(StatusCodes.BadNoData)
        case plain:
            return None, json.dumps(plain, ensure_ascii=False)


def overflowed(data: ua.DataValue) -> bool:
    """True if the server dropped values of this node before this one."""
    code = data.StatusCode.value if data.StatusCode else 0
    return code & _INFO_TYPE == _INFO_DATA_VALUE and bool(code & _OVERFLOW)


def device_time(data: ua.DataValue, received: Micros) -> Micros:
    """The machine's time, else the server's, else ours."""
    for stamp in (data.SourceTimestamp, data.ServerTimestamp):
        if stamp is not None and stamp > _NO_TIME:
            return to_micros(stamp)
    return received


class _NoValueError(Exception):
    """There is nothing to pass on; the quality says why."""

    def __init__(self, quality: int) -> None:
        super().__init__()
        self.quality = quality


def _plain(value: Any) -> Any:
    """Everything OPC UA can send as something JSON can say; scalars stay what they are."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if (form := _FORMS.get(type(value))) is not None:
        return form(value)
    if is_dataclass(value) and not isinstance(value, ua.ExtensionObject):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    raise _NoValueError(StatusCodes.BadDataEncodingUnsupported)


_FORMS: Final[Mapping[type, Callable[[Any], Any]]] = {
    ua.LocalizedText: lambda value: value.Text,
    datetime: lambda value: iso(to_micros(value)),
    UUID: str,
    bytes: lambda value: b64encode(value).decode("ascii"),
    ua.NodeId: lambda value: value.to_string(),
    ua.QualifiedName: lambda value: value.to_string(),
    ua.StatusCode: lambda value: value.value,
    ua.XmlElement: lambda value: value.Value,
    ua.Variant: lambda value: _plain(value.Value),
}
