"""One record of a system to a checked record of ours, or to what is wrong with it: pure."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from isthmus.base.clock import Micros, iso, parse_time, to_micros
from isthmus.provision.columns import Column, DurationUnit
from isthmus.provision.entities import (
    ENTITIES,
    ORDER_STATES,
    EntityField,
    EntityName,
    FieldKind,
    Value,
)
from isthmus.provision.wall import instant

_LONGEST: Final = {"key": 200, "text": 1000, "machine": 200, "state": 200}
_FIRST: Final = parse_time("1990-01-01T00:00:00Z")
_LAST: Final = parse_time("2100-01-01T00:00:00Z")
_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_LARGEST_BITS: Final = 1000
_EXCEL_DAY_0: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a wall time, the zone is the system's
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False, "x": True}
_PER_SECOND: Final[Mapping[DurationUnit, float]] = MappingProxyType(
    {"s": 1, "min": 60, "h": 3600, "/s": 1, "/min": 60, "/h": 3600}
)


@dataclass(frozen=True)
class Fault:
    """Why one field of a record cannot be taken."""

    code: str
    """`Q1nn`, documented in docs/reference/quarantine_systems.md."""
    field: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What one must know of a system to read its values."""

    zone: ZoneInfo
    """Of times that carry none."""
    machines: Mapping[str, str]
    """The system's own machine keys → asset paths."""
    paths: frozenset[str]
    """Asset paths of the machines the model has."""
    decimal: str = "."
    thousands: str = ""
    """Sign between groups of three digits; empty: there is none."""


@dataclass(frozen=True)
class Read:
    """A record in our words; `faults` is empty where it may be taken."""

    values: Mapping[str, Value]
    faults: tuple[Fault, ...] = field(default=())


def read(
    entity: EntityName, columns: Mapping[str, Column], raw: Mapping[str, Any], reading: Reading
) -> Read:
    """Check and convert one record; every fault is reported, not only the first."""
    values: dict[str, Value] = {}
    faults: list[Fault] = []
    for item in ENTITIES[entity].fields:
        try:
            values[item.name] = _value(item, columns.get(item.name), raw, reading)
        except _FaultError as error:
            values[item.name] = None
            faults.append(Fault(error.code, item.name, error.reason))
    faults += _backward(ENTITIES[entity].spans, values)
    return Read(values, tuple(faults))


class _FaultError(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def _value(
    item: EntityField, column: Column | None, raw: Mapping[str, Any], reading: Reading
) -> Value:
    given = None if column is None else _given(item, column, raw)
    if column is None or given is None:
        if item.kind == "flag":
            return False
        if item.required:
            raise _FaultError("Q101", f"`{item.name}` is empty")
        return None
    return _READERS[item.kind](given, column, reading)


def _given(item: EntityField, column: Column, raw: Mapping[str, Any]) -> Any:
    """The value as it came, None where it means nothing, codes replaced."""
    if column.value is not None:
        return column.value
    names = column.reads
    if len(names) > 1:
        parts = [_meaning(raw.get(name), column.empty) for name in names]
        return _joined(item, column, parts)
    given = _meaning(raw.get(names[0]), column.empty)
    if given is None or column.codes is None:
        return given
    codes = {str(code): name for code, name in column.codes.items()}
    text = as_text(given)
    if text not in codes:
        known = ", ".join(codes)
        raise _FaultError("Q108", f"code `{_cut(text)}` of `{item.name}` is not among {known}")
    return codes[text]


def _meaning(value: Any, empty: Sequence[str]) -> Any:
    if isinstance(value, str):
        value = value.replace("\u00a0", " ").strip()
    if value is None or value == "" or (empty and as_text(value) in empty):
        return None
    return value


def _joined(item: EntityField, column: Column, parts: Sequence[Any]) -> Any:
    if item.kind == "time":
        return _day_and_time(parts)
    if all(part is None for part in parts):
        return None
    if any(part is None for part in parts):
        missing = [name for name, part in zip(column.reads, parts, strict=True) if part is None]
        raise _FaultError("Q101", f"`{item.name}` needs `{missing[0]}`, which is empty")
    return "/".join(as_text(part) for part in parts)


def _day_and_time(parts: Sequence[Any]) -> Any:
    match parts:
        case [None, *_]:
            return None
        case [datetime() as day, time() as of_day] if day.time() == time():
            return datetime.combine(day.date(), of_day)
        case [date() as day, time() as of_day] if not isinstance(day, datetime):
            return datetime.combine(day, of_day)
        case _:
            return " ".join(as_text(part) for part in parts if part is not None)


def as_text(value: Any) -> str:
    """A value as a person would write it: a spreadsheet's 4711.0 is 4711."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > _LARGEST_BITS:
        return hex(value)  # Python refuses to write thousands of decimal digits
    if isinstance(value, float | Decimal) and _whole(value):
        return str(int(value))
    if isinstance(value, datetime):
        midnight = value.time() == time() and value.tzinfo is None
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    return str(value)


def _whole(value: float | Decimal) -> bool:
    finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
    # Beyond that, writing all digits would say more than the number does.
    return finite and -1e18 < value < 1e18 and value == int(value)


def _text(kind: FieldKind) -> Callable[[Any, Column, Reading], Value]:
    longest = _LONGEST[kind]

    def text(given: Any, _column: Column, _reading: Reading) -> str:
        if isinstance(given, bytes | bytearray | memoryview):
            raise _FaultError("Q109", "is binary data, not text")
        written = as_text(given)
        if len(written) > longest:
            raise _FaultError("Q109", f"has {len(written):,} characters; {longest} are allowed")
        if _NO_TEXT.search(written):
            raise _FaultError("Q109", "has characters that are no text")
        return written

    return text


def _quantity(given: Any, column: Column, reading: Reading) -> float:
    number = _number(given, reading) * column.scale
    if number < 0:
        raise _FaultError("Q104", f"is {as_text(given)}; a quantity is not negative")
    return number


def _seconds(given: Any, column: Column, reading: Reading) -> float:
    unit: DurationUnit = column.unit or "s"
    if isinstance(given, timedelta):
        number = given.total_seconds()
    else:
        number = _number(given, reading) * column.scale
    if number <= 0:
        raise _FaultError("Q104", f"is {as_text(given)}; a time per piece is more than nothing")
    per = _PER_SECOND[unit]
    return per / number if unit.startswith("/") else number * per


def _number(given: Any, reading: Reading) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal | str):
        raise _FaultError("Q103", f"`{_cut(as_text(given))}` is no number")
    try:
        number = _written_number(given, reading) if isinstance(given, str) else float(given)
    except (ValueError, OverflowError):  # a signalling NaN; an integer beyond all floats
        number = math.nan
    if not math.isfinite(number):
        raise _FaultError("Q103", f"`{_cut(as_text(given))}` is no number")
    return number


def _written_number(text: str, reading: Reading) -> float:
    digits = text
    if reading.thousands:
        group = re.escape(reading.thousands)
        if re.match(rf"^[+-]?\d{{1,3}}(?:{group}\d{{3}})+(?!\d)", text):
            digits = text.replace(reading.thousands, "")
    if not re.fullmatch(rf"[+-]?\d{{1,300}}(?:{re.escape(reading.decimal)}\d{{0,300}})?", digits):
        raise _FaultError(
            "Q103", f"`{_cut(text)}` is no number with `{reading.decimal}` before its decimals"
        )
    return float(digits.replace(reading.decimal, "."))


def _time(given: Any, column: Column, reading: Reading) -> Micros:
    try:
        at = _moment(given, column.format, reading)
    except (ValueError, OverflowError) as error:
        expected = f"as `{column.format}`" if column.format else "in ISO 8601"
        raise _FaultError("Q105", f"`{_cut(as_text(given))}` is no time {expected}") from error
    if not _FIRST <= at < _LAST:
        raise _implausible(given)
    return at


def _moment(given: Any, written: str | None, reading: Reading) -> Micros:
    match given, written:
        case datetime(), _:
            return _zoned(given, reading.zone)
        case date(), _:
            return _zoned(datetime.combine(given, time()), reading.zone)
        case (bool(), _) | (_, None) if not isinstance(given, str):
            raise ValueError(f"{given} is no time")
        case ((int() | float() | Decimal() | str()), "excel"):
            days = float(str(given).replace(reading.decimal, "."))
            return _zoned(_EXCEL_DAY_0 + timedelta(days=days), reading.zone)
        case ((int() | float() | Decimal() | str()), "epoch_s" | "epoch_ms"):
            per_second = 1 if written == "epoch_s" else 1000
            return round(float(given) / per_second * 1_000_000)
        case _, None:
            return _zoned(datetime.fromisoformat(given), reading.zone)
        case _, _:
            return _zoned(datetime.strptime(as_text(given), str(written)), reading.zone)  # noqa: DTZ007


def _implausible(given: Any) -> _FaultError:
    return _FaultError("Q111", f"{_cut(as_text(given))} is not between 1990 and 2100")


def _zoned(at: datetime, zone: ZoneInfo) -> Micros:
    if at.year in (1, 9999):  # what databases write for "never"; a zone would overflow it
        raise _implausible(at)
    return instant(at, zone) if at.tzinfo is None else to_micros(at.astimezone(UTC))


def _machine(given: Any, column: Column, reading: Reading) -> str:
    key = str(_text("machine")(given, column, reading))
    path = reading.machines.get(key, key)
    if path in reading.paths:
        return path
    if path != key:
        raise _FaultError(
            "Q107", f"`{key}` stands for `{path}`, which the model does not have"
            + did_you_mean(path, reading.paths),
        )  # fmt: skip
    known = [*reading.machines, *reading.paths]
    raise _FaultError(
        "Q107", f"no machine `{key}`; add it to `machines` of this system"
        + did_you_mean(key, known),
    )  # fmt: skip


def _state(given: Any, _column: Column, _reading: Reading) -> str:
    state = as_text(given)
    if state not in ORDER_STATES:
        raise _FaultError(
            "Q108", f"state `{_cut(state)}` is not among {', '.join(ORDER_STATES)}; "
            "map the system's own with `codes`",
        )  # fmt: skip
    return state


def _flag(given: Any, _column: Column, _reading: Reading) -> bool:
    flag = _FLAGS.get(as_text(given).lower())
    if flag is None:
        raise _FaultError("Q108", f"`{_cut(as_text(given))}` is neither true nor false")
    return flag


def _backward(spans: Iterable[tuple[str, str]], values: Mapping[str, Value]) -> list[Fault]:
    faults = []
    for first, second in spans:
        start, end = values[first], values[second]
        if isinstance(start, int) and isinstance(end, int) and end < start:
            reason = f"{second} {iso(end)} is before {first} {iso(start)}"
            faults.append(Fault("Q106", second, reason))
    return faults


def did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


_READERS: Final[Mapping[FieldKind, Callable[[Any, Column, Reading], Value]]] = MappingProxyType(
    {
        "key": _text("key"),
        "text": _text("text"),
        "quantity": _quantity,
        "seconds": _seconds,
        "time": _time,
        "machine": _machine,
        "state": _state,
        "flag": _flag,
    }
)
