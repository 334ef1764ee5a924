"""A declaration without errors becomes the frozen `Plant`: everything inherited, filled, converted.

Checks nothing: rules did. What is missing here is a bug.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from isthmus.base.units import conversion
from isthmus.model.declaration import (
    Declaration,
    Declared,
    DeclaredMachine,
    as_calendars,
    by_date,
)
from isthmus.model.plant import FieldMap, Machine, Plant, Site, Source, System
from isthmus.model.spec import site as spec
from isthmus.model.spec.block import Block, BlockField, CodeSystem, TimeCategory
from isthmus.model.spec.calendar import Calendar
from isthmus.model.spec.machine_type import FieldMapping
from isthmus.model.tag_text import filled, values_for

ItemT = TypeVar("ItemT")

STATE_FIELD = ("machine_state", "state")
"""The block field that says whether a machine produces."""


def resolve(declaration: Declaration) -> Plant:
    company = declaration.company.spec
    machines = _Machines(declaration).all()
    blocks = _specs(declaration.blocks)
    code_systems = _specs(declaration.code_systems)
    return Plant(
        enterprise=company.enterprise,
        title=company.name or company.enterprise,
        timezone=company.timezone,
        language=company.language,
        sites=_frozen({each.name: _site(declaration, each) for each in _all(declaration.sites)}),
        machines=_frozen({machine.path: machine for machine in machines}),
        sources=_frozen(_sources(declaration, machines)),
        systems=_frozen(
            {
                each.name: System(each.name, each.site, each.spec)
                for each in _all(declaration.systems)
            }
        ),
        blocks=_frozen(blocks),
        code_systems=_frozen(code_systems),
        machine_types=_frozen(_specs(declaration.machine_types)),
        materials=_frozen(_specs(declaration.materials)),
        reasons=tuple(each.spec for each in declaration.reasons),
        state_categories=_frozen(state_categories(blocks, code_systems)),
    )


def state_categories(
    blocks: Mapping[str, Block], code_systems: Mapping[str, CodeSystem]
) -> dict[str, TimeCategory]:
    """State → time category, from the code system of `machine_state.state`."""
    block, field_name = STATE_FIELD
    states = blocks[block].fields.get(field_name) if block in blocks else None
    if states is None or states.values is None:
        return {}
    return {
        name: code.category
        for name, code in code_systems[states.values].values.items()
        if code.category is not None
    }


def _site(declaration: Declaration, site: Declared[spec.Site]) -> Site:
    areas = site.spec.areas
    return Site(
        name=site.name,
        title=site.spec.name or site.name,
        timezone=site.spec.timezone or declaration.company.spec.timezone,
        keep=site.spec.keep,
        calendars=_calendars(site.spec.calendar),
        use_cases=_frozen(
            {each.name: each.spec for each in declaration.use_cases if each.site == site.name}
        ),
        targets=_frozen({str(name): target for name, target in site.spec.targets.items()}),
        areas=_frozen({name: area.name or name for name, area in areas.items()}),
        lines=_frozen(
            {
                f"{area_name}/{name}": line.name or name
                for area_name, area in areas.items()
                for name, line in area.lines.items()
            }
        ),
    )


def _sources(declaration: Declaration, machines: list[Machine]) -> dict[str, Source]:
    tags: dict[str, set[str]] = defaultdict(set)
    readers: dict[str, list[str]] = defaultdict(list)
    for machine in machines:
        readers[machine.source].append(machine.path)
        tags[machine.source].update(tag for each in machine.maps for tag in _tags(each))
    return {
        name: Source(
            name, each.site, each.spec, tuple(sorted(tags[name])), tuple(sorted(readers[name]))
        )
        for name, each in declaration.sources.items()
    }


def _tags(mapped: FieldMap) -> Iterator[str]:
    if mapped.tag is not None:
        yield mapped.tag
    yield from (tag for _, tag in mapped.inputs)


@dataclass(frozen=True)
class _Prototype:
    """What the mapping of one field is for all machines of a type."""

    tag: str | None
    inputs: Mapping[str, str]
    settings: Mapping[str, Any]


@dataclass
class _Machines:
    """Resolves machines; each type is prepared once."""

    declaration: Declaration
    prototypes: dict[str, list[_Prototype]] = field(default_factory=dict)
    calendars: dict[tuple[str, str, str], tuple[Calendar, ...]] = field(default_factory=dict)

    def all(self) -> list[Machine]:
        return [self.machine(each) for each in self.declaration.machines]

    def machine(self, declared: DeclaredMachine) -> Machine:
        company = self.declaration.company.spec
        site = self.declaration.sites[declared.site].spec
        machine_type = self.declaration.machine_types[declared.spec.type].spec
        where = f"{declared.site}/{declared.area}/{declared.line}"
        path = f"{company.enterprise}/{where}/{declared.name}"
        ideal = declared.spec.ideal_cycle
        return Machine(
            path=path,
            name=declared.spec.name or declared.name,
            site=declared.site,
            area=declared.area,
            line=declared.line,
            type=declared.spec.type,
            source=declared.spec.source,
            maps=tuple(self._maps(path, declared)),
            blocks=tuple(machine_type.blocks),
            ideal_cycle=None if ideal == "per_material" else ideal,
            calendars=self._calendars(declared),
            timezone=site.timezone or company.timezone,
            minor_stop=machine_type.minor_stop,
            slow_factor=machine_type.slow_factor,
        )

    def _maps(self, path: str, declared: DeclaredMachine) -> Iterator[FieldMap]:
        machine_type = self.declaration.machine_types[declared.spec.type].spec
        values = values_for(machine_type, declared.spec.params)
        for prototype in self._prototypes(declared.spec.type):
            tag = None if prototype.tag is None else filled(prototype.tag, values)
            inputs = tuple((name, filled(tag, values)) for name, tag in prototype.inputs.items())
            yield FieldMap(machine=path, tag=tag, inputs=inputs, **prototype.settings)

    def _prototypes(self, type_name: str) -> list[_Prototype]:
        """By block and field: the order of a machine's maps says nothing."""
        if type_name not in self.prototypes:
            mapped = self.declaration.machine_types[type_name].spec.map
            self.prototypes[type_name] = [
                self._prototype(key, mapping) for key, mapping in sorted(mapped.items())
            ]
        return self.prototypes[type_name]

    def _prototype(self, key: str, mapping: FieldMapping) -> _Prototype:
        block, _, name = key.partition(".")
        target = self.declaration.blocks[block].spec.fields[name]
        scale, offset = _conversion(mapping, target)
        return _Prototype(
            mapping.tag,
            mapping.inputs,
            {
                "block": block,
                "field": name,
                "type": target.type,
                "scale": scale,
                "offset": offset,
                "codes": self._codes(mapping),
                "names": self._names(target),
                "counter": mapping.counter,
                "rule": mapping.rule,
                "states": mapping.states,
                "formula": mapping.formula,
                "dead_band": mapping.dead_band,
                "at_most_every": mapping.at_most_every,
                "stale_after": mapping.stale_after,
                "min": target.min,
                "max": target.max,
                "max_length": target.max_length,
            },
        )

    def _codes(self, mapping: FieldMapping) -> tuple[tuple[str, str], ...] | None:
        match mapping.codes:
            case None:
                return None
            case str(system):
                values = self.declaration.code_systems[system].spec.values
                return tuple(
                    (str(value.code), name)
                    for name, value in values.items()
                    if value.code is not None
                )
            case codes:
                return tuple((str(code), name) for code, name in codes.items())

    def _names(self, target: BlockField) -> tuple[str, ...] | None:
        if target.type != "enum" or target.values is None:
            return None
        return tuple(self.declaration.code_systems[target.values].spec.values)

    def _calendars(self, declared: DeclaredMachine) -> tuple[Calendar, ...]:
        """The machine's own, else its line's, else its site's."""
        if declared.spec.calendar is not None:
            return _calendars(declared.spec.calendar)
        place = (declared.site, declared.area, declared.line)
        if place not in self.calendars:
            site = self.declaration.sites[declared.site].spec
            line = site.areas[declared.area].lines[declared.line]
            inherited = site.calendar if line.calendar is None else line.calendar
            self.calendars[place] = _calendars(inherited)
        return self.calendars[place]


def _conversion(mapping: FieldMapping, target: BlockField) -> tuple[float, float]:
    """The mapping's own scaling first, then the unit's."""
    if mapping.unit is None or target.unit is None:
        return (mapping.scale, mapping.offset)
    scale, offset = conversion(mapping.unit, target.unit)
    return (mapping.scale * scale, mapping.offset * scale + offset)


def _calendars(value: list[Calendar] | Calendar | None) -> tuple[Calendar, ...]:
    return () if value is None else by_date(as_calendars(value))


def _specs(declared: Mapping[str, Declared[ItemT]]) -> dict[str, ItemT]:
    return {name: each.spec for name, each in declared.items()}


def _all(declared: Mapping[str, Declared[ItemT]]) -> Iterator[Declared[ItemT]]:
    return iter(declared.values())


def _frozen(items: dict[str, ItemT]) -> Mapping[str, ItemT]:
    return MappingProxyType(items)
