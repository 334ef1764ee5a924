"""Shift calendars: local wall time as people say it; seconds are computed by `provision`."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from isthmus.model.spec.words import Slug, Spec

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WORKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")

WallSpan = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]|24):[0-5]\d$")]
"""`06:00-14:00`, or `22:00-06:00` across midnight; local wall time."""


class Shift(Spec):
    """One shift; it belongs to the day on which it starts, unless `day` says otherwise."""

    time: WallSpan
    days: list[Weekday] = Field(default=list(WORKDAYS))
    breaks: list[WallSpan] = Field(default_factory=list)
    """Planned: no machine is expected to run then."""
    day: Literal["start", "end"] = "start"
    """Which date a shift across midnight is reported under."""


class Calendar(Spec):
    """Shifts and holidays from one date on."""

    valid_from: date = Field(default=date(1970, 1, 1), alias="from")
    shifts: dict[Slug, Shift | WallSpan]
    holidays: str | None = Field(default=None, pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")
    """Country and region, such as `DE-HH` or `AT-6`; on these days no shift starts."""
    closed: list[date] = Field(default_factory=list)
    """Further days on which nobody works."""
    open: list[date] = Field(default_factory=list)
    """Holidays on which we do work."""
