"""OPC UA values to number or text: pure functions of what was decoded."""

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
from isthmus.field.connectors.opcua.address import Step
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

Decode = Callable[[ua.ExtensionObject], Any]
"""A maker's structure as a dict; NoValueError where it cannot be read."""


class NoValueError(Exception):
    """There is nothing to pass on; the quality says why."""

    def __init__(self, quality: int) -> None:
        super().__init__()
        self.quality = quality


def undecoded(_: ua.ExtensionObject) -> Any:
    raise NoValueError(StatusCodes.BadDataEncodingUnsupported)


def convert(
    data: ua.DataValue,
    path: tuple[Step, ...] = (),
    names: Mapping[int, str] | None = None,
    decode: Decode = undecoded,
) -> Converted:
    """Number or text of a value, or of the part that `path` leads to, with its quality.

    With `names` an enumeration becomes its name. The status code's information bits are dropped:
    `overflowed` reads the one that matters.
    """
    quality = data.StatusCode.value & _SEVERITY_AND_CODE if data.StatusCode else GOOD
    if quality & BAD:
        return None, None, quality
    value = data.Value.Value if data.Value is not None else None
    try:
        picked = _pick(value, path, decode)
        if names is not None:
            return None, _name(picked, names), quality
        return *number_or_text(picked, decode), quality
    except NoValueError as no_value:
        return None, None, no_value.quality


def _pick(value: Any, path: tuple[Step, ...], decode: Decode) -> Any:
    for step in path:
        value = _inside(value, decode)
        match step:
            case int() if isinstance(value, list) and step < len(value):
                value = value[step]
            case str() if isinstance(value, dict) and step in value:
                value = value[step]
            case str() if is_dataclass(value) and hasattr(value, step):
                value = getattr(value, step)
            case int():
                raise NoValueError(StatusCodes.BadIndexRangeNoData)
            case _:
                raise NoValueError(StatusCodes.BadNotFound)
    return value


def _inside(value: Any, decode: Decode) -> Any:
    """What a Variant or a maker's structure wraps."""
    if isinstance(value, ua.Variant):
        value = value.Value
    return decode(value) if isinstance(value, ua.ExtensionObject) else value


def _name(value: Any, names: Mapping[int, str]) -> str:
    """A number without a name stays what it is: the mapping may know it."""
    if isinstance(value, ua.Variant):
        value = value.Value
    if value is None:
        raise NoValueError(StatusCodes.BadNoData)
    if not isinstance(value, int):
        raise NoValueError(StatusCodes.BadTypeMismatch)
    own = getattr(value, "name", None)
    return own or names.get(value, str(int(value)))


def number_or_text(value: Any, decode: Decode = undecoded) -> tuple[float | None, str | None]:
    """NoValueError if there is none, or one we cannot read."""
    match _plain(value, decode):
        case float() | bool() as plain:
            return float(plain), None
        case int() as plain:
            return integer(plain)
        case str() as plain:
            return None, plain
        case None:
            raise NoValueError(StatusCodes.BadNoData)
        case plain:
            return None, json.dumps(plain, ensure_ascii=False)


def overflowed(data: ua.DataValue) -> bool:
    """True if the server dropped values of this node before this one."""
    return overflow_bit(data.StatusCode.value if data.StatusCode else 0)


def overflow_bit(status: int) -> bool:
    return status & _INFO_TYPE == _INFO_DATA_VALUE and bool(status & _OVERFLOW)


def device_time(data: ua.DataValue, received: Micros) -> Micros:
    """The machine's time, else the server's, else ours."""
    for stamp in (data.SourceTimestamp, data.ServerTimestamp):
        if stamp is not None and stamp > _NO_TIME:
            return to_micros(stamp)
    return received


def _plain(value: Any, decode: Decode) -> Any:
    """Everything OPC UA can send as something JSON can say; scalars stay what they are."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item, decode) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item, decode) for name, item in value.items()}
    if isinstance(value, ua.Variant | ua.ExtensionObject):
        return _plain(_inside(value, decode), decode)
    if (form := _FORMS.get(type(value))) is not None:
        return form(value)
    if is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name), decode) for part in fields(value)}
    raise NoValueError(StatusCodes.BadDataEncodingUnsupported)


_FORMS: Final[Mapping[type, Callable[[Any], Any]]] = {
    ua.LocalizedText: lambda value: value.Text,
    datetime: lambda value: iso(to_micros(value)),
    UUID: str,
    bytes: lambda value: b64encode(value).decode("ascii"),
    ua.NodeId: lambda value: value.to_string(),
    ua.QualifiedName: lambda value: value.to_string(),
    ua.StatusCode: lambda value: value.value,
    ua.XmlElement: lambda value: value.Value,
}
