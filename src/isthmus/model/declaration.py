"""Everything that is declared, with its places; what rules and `resolve` read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from isthmus.base.problem import Problem
from isthmus.model.document import Document, Path
from isthmus.model.spec.block import Block, BlockField, CodeSystem
from isthmus.model.spec.calendar import Calendar
from isthmus.model.spec.machine_type import FieldMapping, MachineType
from isthmus.model.spec.site import (
    Company,
    Line,
    Machine,
    Material,
    Reason,
    Site,
    SourceSpec,
    SystemSpec,
    UseCaseSpec,
)

SpecT = TypeVar("SpecT", covariant=True)  # noqa: PLC0105 - read only


@dataclass(frozen=True)
class Declared(Generic[SpecT]):
    """One declaration, and where it stands."""

    name: str
    spec: SpecT
    document: Document
    path: Path = ()
    """From the root of the document."""
    site: str = ""
    """Empty for what belongs to the whole company."""

    def problem(
        self, code: str, path: Path, message: str, hint: str = "", *, at_key: bool = False
    ) -> Problem:
        return self.document.problem(code, (*self.path, *path), message, hint, at_key=at_key)

    def spot(self) -> str:
        """`sites/hamburg.yaml:9`, for hints that point to another place."""
        place = self.document.place(self.path)
        return f"{place.file}:{place.line}"


@dataclass(frozen=True)
class DeclaredMachine(Declared[Machine]):
    """A machine with the line it stands in."""

    area: str = ""
    line: str = ""


@dataclass(frozen=True)
class CalendarList:
    """All calendars that one site, line or machine declares."""

    owner: Declared[object]
    path: Path
    calendars: tuple[Calendar, ...]
    listed: bool
    """Whether they are written as a list."""

    def at(self, position: int) -> Path:
        return (*self.path, position) if self.listed else self.path


@dataclass(frozen=True)
class Declaration:
    """The whole model as it is written, by kind and name."""

    company: Declared[Company]
    code_systems: Mapping[str, Declared[CodeSystem]]
    blocks: Mapping[str, Declared[Block]]
    machine_types: Mapping[str, Declared[MachineType]]
    materials: Mapping[str, Declared[Material]]
    reasons: tuple[Declared[Reason], ...]
    sites: Mapping[str, Declared[Site]]
    sources: Mapping[str, Declared[SourceSpec]]
    systems: Mapping[str, Declared[SystemSpec]]
    use_cases: tuple[Declared[UseCaseSpec], ...]
    machines: tuple[DeclaredMachine, ...]

    def field(self, block: str, field: str) -> BlockField | None:
        declared = self.blocks.get(block)
        return declared.spec.fields.get(field) if declared else None

    def mappings(self) -> Iterator[tuple[Declared[MachineType], str, str, str, FieldMapping]]:
        """Every mapped field of every type: type, key, block, field, mapping."""
        for machine_type in self.machine_types.values():
            for key, mapping in machine_type.spec.map.items():
                block, _, field = key.partition(".")
                yield machine_type, key, block, field, mapping

    def lines(self) -> Iterator[tuple[Declared[Site], str, str, Line]]:
        for site in self.sites.values():
            for area_name, area in site.spec.areas.items():
                for line_name, line in area.lines.items():
                    yield site, area_name, line_name, line

    def calendars(self) -> Iterator[CalendarList]:
        """What sites, lines and machines declare themselves, not what they inherit."""
        for site in self.sites.values():
            yield from _calendars(site, ("calendar",), site.spec.calendar)
        for site, area, line_name, line in self.lines():
            path = ("areas", area, "lines", line_name, "calendar")
            yield from _calendars(site, path, line.calendar)
        for machine in self.machines:
            yield from _calendars(machine, ("calendar",), machine.spec.calendar)


def _calendars(
    owner: Declared[object], path: Path, value: list[Calendar] | Calendar | None
) -> Iterator[CalendarList]:
    if value is not None:
        yield CalendarList(owner, path, as_calendars(value), isinstance(value, list))


def as_calendars(value: list[Calendar] | Calendar) -> tuple[Calendar, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def by_date(calendars: tuple[Calendar, ...]) -> tuple[Calendar, ...]:
    def start(calendar: Calendar) -> date:
        return calendar.valid_from

    return tuple(sorted(calendars, key=start))
