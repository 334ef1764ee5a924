"""Numbers, durations and times as people read them, in one language and one plant's time zone."""

from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - `date` is a method here
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal

from isthmus.base.clock import Micros, to_datetime
from isthmus.base.german import Language

MISSING = "–"
MINUS = "\u2212"
NARROW = "\u202f"
"""Narrow no-break space: a number and its sign never part at the end of a line."""

UNITS: Final = {
    "Cel": "°C",
    "[degF]": "°F",
    "/min": "1/min",
    "{rpm}": "1/min",
    "um": "µm",
    "Ohm": "Ω",
    "kW.h": "kWh",
    "W.h": "Wh",
    "1": "",
    "cm3": "cm³",
    "m3": "m³",
    "m3/h": "m³/h",
    "N.m": "Nm",
    "mm/s2": "mm/s²",
    "m/s2": "m/s²",
}
"""UCUM codes that are not written as they are coded."""

_DAY = {"en": "EEE d MMM", "de": "EEE d. MMM"}


@dataclass(frozen=True)
class Formats:
    """Templates call it `f`; every method shows a missing value as an en dash."""

    language: Language
    timezone: str

    def number(self, value: float | None, digits: int = 0) -> str:
        if value is None:
            return MISSING
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        text: str = format_decimal(value, format=pattern, locale=self.language)
        return text.replace("-", MINUS)

    def percent(self, ratio: float | None, digits: int = 1) -> str:
        """`66.0%` in English, `66,0 %` in German."""
        if ratio is None:
            return MISSING
        return self.number(100 * ratio, digits) + ("%" if self.language == "en" else f"{NARROW}%")

    def points(self, difference: float | None) -> str:
        """A difference of two ratios in percentage points, with its sign."""
        if difference is None:
            return MISSING
        unit = "pp" if self.language == "en" else "Pp."
        return f"{self.signed(100 * difference, 1)}{NARROW}{unit}"

    def signed(self, value: float | None, digits: int = 0) -> str:
        if value is None:
            return MISSING
        text = self.number(value, digits)
        zero = not any(digit in text for digit in "123456789")
        return text.removeprefix(MINUS) if zero else text if value < 0 else f"+{text}"

    def duration(self, seconds: float | None) -> str:
        """`23:05 min` below an hour, `1 h 23 min` above, days from two of them on."""
        if seconds is None:
            return MISSING
        whole = round(abs(seconds))
        sign = MINUS if seconds < 0 and whole else ""
        minutes, rest = divmod(whole, 60)
        if minutes < 60:
            return f"{sign}{minutes}:{rest:02d}{NARROW}min"
        hours, minutes = divmod(minutes, 60)
        if hours < 48:
            return f"{sign}{hours}{NARROW}h {minutes}{NARROW}min"
        return f"{sign}{self.number(hours)}{NARROW}h"

    def minutes(self, seconds: float | None) -> str:
        return MISSING if seconds is None else self.number(seconds / 60)

    def clock(self, at: Micros | None) -> str:
        """`13:05` in plant time."""
        return MISSING if at is None else f"{self.local(at):%H:%M}"

    def clock_seconds(self, at: Micros | None) -> str:
        return MISSING if at is None else f"{self.local(at):%H:%M:%S}"

    def day(self, at: Micros | Date | None) -> str:
        """`Tue 17 Nov`, `Di 17. Nov.`."""
        if at is None:
            return MISSING
        day = at if isinstance(at, Date) else self.local(at).date()
        text: str = format_date(day, format=_DAY[self.language], locale=self.language)
        return text.replace(".", "", 1) if self.language == "de" else text

    def date(self, day: str) -> str:
        """`17 Nov`, `17.11.` of an ISO date: the head of a narrow column."""
        pattern = "d MMM" if self.language == "en" else "d.M."
        text: str = format_date(Date.fromisoformat(day), format=pattern, locale=self.language)
        return text

    def long_day(self, at: Micros | Date | None) -> str:
        if at is None:
            return MISSING
        day = at if isinstance(at, Date) else self.local(at).date()
        text: str = format_date(day, format="full", locale=self.language)
        return text

    def moment(self, at: Micros | None) -> str:
        """`Tue 17 Nov 13:05`."""
        return MISSING if at is None else f"{self.day(at)} {self.clock(at)}"

    def span(self, start: Micros, end: Micros) -> str:
        """`Tue 17 Nov 06:00–14:00`, with both days where they differ."""
        same_day = self.local(start).date() == self.local(end).date()
        return f"{self.moment(start)}–{self.clock(end) if same_day else ' ' + self.moment(end)}"

    def stamp(self, at: Micros) -> str:
        """Local ISO time for `<time datetime>`."""
        return self.local(at).isoformat()

    def zone(self, at: Micros) -> str:
        """`CET`; beside the clock, because the reader may be elsewhere."""
        return f"{self.local(at):%Z}"

    def unit(self, code: str) -> str:
        """A UCUM code as people write it."""
        return UNITS.get(code, code)

    def local(self, at: Micros) -> datetime:
        return to_datetime(at).astimezone(ZoneInfo(self.timezone))
