"""The checked model, resolved: every machine with its own tags; what all levels above work from.

Everything is frozen and compares by value, so `changes(before, after)` is a plain comparison.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from isthmus.model.spec.block import Block, CodeSystem, FieldType, TimeCategory
from isthmus.model.spec.calendar import Calendar
from isthmus.model.spec.machine_type import Counter, Formula, MachineType, PulseRule, StateRule
from isthmus.model.spec.site import Keep, Material, Reason, SourceSpec, SystemSpec, UseCaseSpec


@dataclass(frozen=True)
class FieldMap:
    """One machine's field: which tag feeds it and how the value becomes the block's."""

    machine: str
    """Asset path, e.g. `acme/hamburg/moulding/line-1/im-07`."""
    block: str
    field: str
    type: FieldType
    tag: str | None
    """With all parameters filled in; None when the field is derived."""
    scale: float = 1.0
    offset: float = 0.0
    """`value * scale + offset` gives the block's unit: scaling and unit conversion in one."""
    codes: tuple[tuple[str, str], ...] | None = None
    """Machine's code as text → name; None: the value is taken as it is."""
    names: tuple[str, ...] | None = None
    """For `enum`: the names the block allows."""
    counter: Counter | None = None
    rule: PulseRule | None = None
    states: StateRule | None = None
    formula: Formula | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    """Of `states` and `formula`: name in the expressions → tag, parameters filled in."""
    dead_band: float | None = None
    """In the block's unit."""
    at_most_every: float | None = None
    """Seconds."""
    stale_after: float | None = None
    """Seconds."""
    min: float | None = None
    max: float | None = None
    max_length: int = 1000


@dataclass(frozen=True)
class Machine:
    """A work unit with all it inherits from its type, line and site."""

    path: str
    name: str
    site: str
    area: str
    line: str
    type: str
    source: str
    maps: tuple[FieldMap, ...]
    blocks: tuple[str, ...]
    ideal_cycle: float | None
    """Seconds per item; None: per material."""
    calendars: tuple[Calendar, ...]
    """By `valid_from`, oldest first; the line's own if it has one, else the site's."""
    timezone: str
    minor_stop: float
    slow_factor: float


@dataclass(frozen=True)
class Source:
    """One endpoint, with its tags collected from all machines that read from it."""

    name: str
    site: str
    spec: SourceSpec
    tags: tuple[str, ...]
    machines: tuple[str, ...]


@dataclass(frozen=True)
class System:
    """One IT system; `site` is empty when it serves the whole company."""

    name: str
    site: str
    spec: SystemSpec


@dataclass(frozen=True)
class Site:
    """One plant."""

    name: str
    title: str
    timezone: str
    keep: Keep
    calendars: tuple[Calendar, ...]
    use_cases: Mapping[str, UseCaseSpec]
    targets: Mapping[str, float]
    areas: Mapping[str, str]
    """Area slug → title."""
    lines: Mapping[str, str]
    """`area/line` → title."""


@dataclass(frozen=True)
class Plant:
    """The whole company."""

    enterprise: str
    title: str
    timezone: str
    language: str
    sites: Mapping[str, Site]
    machines: Mapping[str, Machine]
    """By asset path, in the order of the files."""
    sources: Mapping[str, Source]
    systems: Mapping[str, System]
    blocks: Mapping[str, Block]
    code_systems: Mapping[str, CodeSystem]
    machine_types: Mapping[str, MachineType]
    materials: Mapping[str, Material]
    reasons: tuple[Reason, ...] = ()
    state_categories: Mapping[str, TimeCategory] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """State name → time category, from the code system of `machine_state.state`."""

    def scope(self, path: str) -> list[Machine]:
        """Machines at or below an asset path; `acme` is all of them."""
        return [
            machine
            for machine in self.machines.values()
            if machine.path == path or machine.path.startswith(path + "/")
        ]


Need = tuple[tuple[str, ...], ...]
"""Met by any one of these combinations of fields, each as `block.field`."""


@dataclass(frozen=True)
class Kinds:
    """What can be declared; handed to `load` by those who know the levels above."""

    sources: Mapping[str, type[SourceSpec]]
    systems: Mapping[str, type[SystemSpec]]
    use_cases: Mapping[str, type[UseCaseSpec]]
    needs: Mapping[str, tuple[Need, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Use case → what it cannot do without."""
