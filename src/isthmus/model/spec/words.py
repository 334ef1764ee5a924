"""Small words of the model: names, durations, zones; each explains itself when it is wrong."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
)

from isthmus.base.german import Language


class Spec(BaseModel):
    """Base of everything a person may write in the model: unknown keys are problems."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )


class Guarded(Spec):
    """A spec that may hold secrets, in whichever field: `repr` and plans never show those."""

    _guarded: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def guarded(self) -> frozenset[str]:
        """Fields that were filled from `!secret`."""
        return self._guarded

    def guard(self, fields: Iterable[str]) -> None:
        """Called once by the loader, before anybody else sees this value."""
        self._guarded = frozenset(fields)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, ("•••" if name in self._guarded else value)


SLUG = r"^[a-z0-9]+(?:[-_][a-z0-9]+)*$"
Slug = Annotated[str, Field(pattern=SLUG, max_length=64)]
"""Lower case letters, digits, `-` and `_`: it becomes part of an asset path and of a URL."""

FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""A column of a lake table: lower case letters, digits and `_`."""

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)\s*$")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_seconds(value: Any) -> float:
    """`28 s`, `90s`, `5 min`, `1.5 h`; a bare number is refused because nobody knows its unit."""
    if isinstance(value, float) and not isinstance(value, bool):
        return value  # already parsed
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a duration with its unit, such as `28 s`, `5 min` or `250 ms`")
    return float(match[1]) * _SECONDS[match[2]]


def _written_seconds(value: Any, info: ValidationInfo) -> float:
    """In the model a number without a unit is refused; code may hand over seconds."""
    if info.mode == "json" and isinstance(value, float):
        value = repr(value)
    return parse_seconds(value)


_DurationText = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*(us|ms|s|min|h|d)\s*$")]

Seconds = Annotated[float, BeforeValidator(_written_seconds, json_schema_input_type=_DurationText)]
"""A duration with its unit: `250 ms`, `28 s`, `5 min`, `1 h`."""


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"`{value}` is not a time zone of the IANA database")
    return value


TimeZone = Annotated[str, AfterValidator(_zone)]
"""A zone of the IANA database, such as `Europe/Berlin`."""

Text = Annotated[str, Field(max_length=2000)]
Texts = dict[Language, Text]
"""The same said in more than one language."""
Port = Annotated[int, Field(ge=1, le=65535)]
_ADDRESS: Final = re.compile(
    r"(?P<scheme>[a-z.]+)(?:\+\w+)?://(?:[^:/]*(?::[^@]*)?@)?"
    r"(?P<host>\[[^/?]+\]|[^/:?#]+)(?::(?P<port>\d+))?",
    re.IGNORECASE,
)
_PORTS: Final = {
    "http": "80", "https": "443", "opc.tcp": "4840", "postgresql": "5432", "mysql": "3306",
    "mariadb": "3306", "mssql": "1433", "oracle": "1521",
}  # fmt: skip


def host_and_port(url: str) -> str | None:
    """Of an address with a scheme, never with the user or password in it; None without a host."""
    found = _ADDRESS.match(url)
    if found is None:
        return None
    port = found["port"] or _PORTS.get(found["scheme"].lower(), "")
    return f"{found['host']}:{port}".lower().removesuffix(":")


Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^\s/]+$")]
