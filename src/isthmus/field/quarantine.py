"""Why a sample cannot become a row: stable codes, and sentences that name the real value.

The table for people is docs/reference/quarantine.md; a test holds the two together.
"""

from enum import IntEnum
from typing import Final

from isthmus.base.clock import Micros, iso, parse_time
from isthmus.flow.parcel import Quarantined
from isthmus.model.plant import FieldMap

EARLIEST: Final[Micros] = parse_time("2000-01-01T00:00:00Z")
"""A device time before this is a clock that was never set."""
AHEAD: Final[Micros] = 300_000_000
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


def quarantined(
    source: str,
    tag: str,
    mapped: FieldMap,
    why: Why,
    device_time: Micros,
    received_time: Micros,
    number: float | None,
    text: str | None,
) -> Quarantined:
    value = shown(number, text)
    return Quarantined(
        source=source,
        tag=tag,
        machine=mapped.machine,
        block=mapped.block,
        field=mapped.field,
        device_time=device_time,
        received_time=received_time,
        value=value,
        code=why.code,
        reason=_reason(why, mapped, value, device_time, received_time),
    )


def _reason(  # noqa: PLR0911 - one sentence per code
    why: Why, mapped: FieldMap, value: str, device_time: Micros, received_time: Micros
) -> str:
    name = f"{mapped.block}.{mapped.field}"
    brief = value if len(value) <= 60 else value[:57] + "…"
    match why:
        case Why.UNDECODABLE:
            return f"what came could not be read: {brief}"
        case Why.CLOCK_NOT_SET:
            return f"device time {_moment(device_time)}: this device's clock was never set"
        case Why.IN_THE_FUTURE:
            ahead = (device_time - received_time) / 60_000_000
            return f"device time {_moment(device_time)} is {ahead:.0f} min ahead of our clock"
        case Why.NO_VALUE:
            return "the quality is good, but no value came"
        case Why.NOT_A_NUMBER:
            return f"`{name}` is a {mapped.type}, but `{brief}` came"
        case Why.NOT_FINITE:
            return f"`{name}` came as {brief}, which is no number a machine can measure"
        case Why.NOT_WHOLE:
            return f"`{name}` is a {mapped.type}, but {brief} is not whole{_scaling(mapped)}"
        case Why.TOO_LARGE:
            return f"{brief} does not fit into 64 bits"
        case Why.BELOW_MIN:
            return f"{brief}{_scaling(mapped)} is below the limit {mapped.min:g} of `{name}`"
        case Why.ABOVE_MAX if mapped.type == "counter":
            return f"at {brief} `{name}` grew by more than {mapped.max:g} in one step"
        case Why.ABOVE_MAX:
            return f"{brief}{_scaling(mapped)} is above the limit {mapped.max:g} of `{name}`"
        case Why.NOT_BOOLEAN:
            return f"`{name}` is a boolean, but `{brief}` came"
        case Why.UNKNOWN_CODE:
            return f"`{brief}` is no code of `{name}`; known: {_known(mapped)}"
        case Why.TEXT_TOO_LONG:
            return f"the text is longer than the {mapped.max_length} characters of `{name}`"
        case Why.NOT_A_COUNT:
            return f"{brief} cannot be the reading of a counter{_width(mapped)}"
    raise AssertionError(why)


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
