"""Why a sample cannot become a row: stable codes, and sentences that name the real value.

The table for people is docs/reference/quarantine.md; a test holds the two together.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from isthmus.base.clock import MINUTE, Micros, iso, parse_time
from isthmus.flow.parcel import Quarantined
from isthmus.model.plant import FieldMap

EARLIEST: Final[Micros] = parse_time("2000-01-01T00:00:00Z")
"""A device time before this is a clock that was never set."""
AHEAD: Final[Micros] = 5 * MINUTE
"""How far a device's clock may be ahead of ours."""
SHOWN: Final = 1_000
"""Characters of a value that quarantine keeps; RAW has all of them."""


class Why(IntEnum):
    """What is wrong; 0 is nothing. `Q001` is UNDECODABLE, and so on; numbers are never reused."""

    FINE = 0
    UNDECODABLE = 1
    CLOCK_NOT_SET = 2
    IN_THE_FUTURE = 3
    NO_VALUE = 4
    NOT_A_NUMBER = 5
    NOT_FINITE = 6
    NOT_WHOLE = 7
    TOO_LARGE = 8
    BELOW_MIN = 9
    ABOVE_MAX = 10
    NOT_BOOLEAN = 11
    UNKNOWN_CODE = 12
    TEXT_TOO_LONG = 13
    NOT_A_COUNT = 14

    @property
    def code(self) -> str:
        return f"Q{self.value:03d}"


def shown(number: float | None, text: str | None) -> str:
    """The value as it came, short enough to keep."""
    if text is not None:
        return text[:SHOWN]
    if number is None:
        return ""
    return str(int(number)) if number.is_integer() else repr(number)


@dataclass(frozen=True)
class Raw:
    """A sample as it came."""

    tag: str
    device_time: Micros
    received_time: Micros
    number: float | None
    text: str | None


def quarantined(
    source: str, raw: Raw, mapped: FieldMap, why: Why, *, counted: bool = True
) -> Quarantined:
    value = shown(raw.number, raw.text)
    return Quarantined(
        source=source,
        tag=raw.tag,
        machine=mapped.machine,
        block=mapped.block,
        field=mapped.field,
        device_time=raw.device_time,
        received_time=raw.received_time,
        value=value,
        code=why.code,
        reason=_reason(why, mapped, value, raw),
        counted=counted,
    )


_REASONS: Final[dict[Why, str]] = {
    Why.UNDECODABLE: "what came could not be read: {value}",
    Why.CLOCK_NOT_SET: "device time {moment}: this device's clock was never set",
    Why.IN_THE_FUTURE: "device time {moment} is {ahead:.0f} min ahead of our clock",
    Why.NO_VALUE: "the quality is good, but no value came",
    Why.NOT_A_NUMBER: "`{name}` is of type {type}, but `{value}` came",
    Why.NOT_FINITE: "`{name}` came as {value}, which no machine can measure",
    Why.NOT_WHOLE: "`{name}` is of type {type}, but {value}{scaling} is not whole",
    Why.TOO_LARGE: "{value}{scaling} does not fit into 64 bits",
    Why.BELOW_MIN: "{value}{scaling} is below the limit {min:g} of `{name}`",
    Why.ABOVE_MAX: "{value}{scaling} is above the limit {max:g} of `{name}`",
    Why.NOT_BOOLEAN: "`{name}` is of type boolean, but `{value}` came",
    Why.UNKNOWN_CODE: "`{value}` is no code of `{name}`; known: {known}",
    Why.TEXT_TOO_LONG: "the text is longer than the {max_length} characters of `{name}`",
    Why.NOT_A_COUNT: "{value} cannot be the reading of a counter{width}",
}
_GREW: Final = "at {value} `{name}` grew by more than {max:g} in one step"


def _reason(why: Why, mapped: FieldMap, value: str, raw: Raw) -> str:
    counter = mapped.type == "counter"
    template = _GREW if counter and why is Why.ABOVE_MAX else _REASONS[why]
    return template.format(
        value=value if len(value) <= 60 else value[:57] + "…",
        name=f"{mapped.block}.{mapped.field}",
        type=mapped.type,
        moment=_moment(raw.device_time),
        ahead=(raw.device_time - raw.received_time) / MINUTE,
        scaling="" if counter else _scaling(mapped),
        min=mapped.min or 0.0,
        max=mapped.max or 0.0,
        known=_known(mapped),
        max_length=mapped.max_length,
        width=_width(mapped),
    )


def _moment(at: Micros) -> str:
    try:
        return iso(at)
    except OverflowError:
        return f"{at} µs"


def _scaling(mapped: FieldMap) -> str:
    if mapped.scale == 1.0 and mapped.offset == 0.0:
        return ""
    return f" (after × {mapped.scale:g} + {mapped.offset:g})"


def _known(mapped: FieldMap) -> str:
    codes = [code for code, _ in mapped.codes] if mapped.codes else list(mapped.names or ())
    return ", ".join(codes[:8]) + (", …" if len(codes) > 8 else "")


def _width(mapped: FieldMap) -> str:
    if mapped.counter is None or mapped.counter.bits is None:
        return ""
    return f" of {mapped.counter.bits} bits"
