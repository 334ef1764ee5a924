"""What differs between two plants, as an ordered list; pure, so `plan` and `apply` use the same.

`changes(m, m) == ()` and `apply(a, changes(a, b)) == b` for all plants `resolve` can make.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from isthmus.model.differences import Details, details
from isthmus.model.plant import FieldMap, Machine, Plant, Site

Action = Literal["add", "alter", "remove"]
Kind = Literal[
    "company", "code_system", "time_category", "block", "machine_type", "material", "reason",
    "reason_order", "site", "calendar", "use_case", "system", "source", "machine", "mapping",
]  # fmt: skip

SIGNS: Final[Mapping[Action, str]] = MappingProxyType({"add": "+", "alter": "~", "remove": "−"})

_ORDER: Final[tuple[Kind, ...]] = (
    "company", "code_system", "time_category", "block", "machine_type", "material", "reason",
    "reason_order", "site", "system", "source", "machine", "mapping", "calendar", "use_case",
)  # fmt: skip
"""What is needed comes before what needs it; removals go the other way round."""

_SOURCE_FIELDS: Final = frozenset({"source", "blocks"})
"""Fields of a machine that its source's reader depends on; titles and calendars do not."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Change:
    """One difference; `before` and `after` are the values, None where there is none."""

    action: Action
    kind: Kind
    name: str
    """`hamburg`, `im07`, an asset path, or `path:block.field` for a mapping."""
    before: Any
    after: Any
    sources: frozenset[str] = frozenset()
    """Sources whose reading it touches."""

    def details(self) -> Details:
        """What was altered, field by field; secrets are hidden."""
        return details(self.before, self.after) if self.action == "alter" else ()

    def text(self) -> str:
        """One line, such as `~ source im07: interval: 1 → 0.5`."""
        owner, _, part = self.name.partition(":")
        name = f"{part} of {owner}" if part else owner
        said = f"{SIGNS[self.action]} {self.kind.replace('_', ' ')} {name}".rstrip()
        altered = ", ".join(
            f"{field}: {before} → {after}".removeprefix(": ")
            for field, before, after in self.details()
        )
        return f"{said}: {altered}" if altered else said

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "text": self.text(),
            "details": [
                {"field": field, "before": before, "after": after}
                for field, before, after in self.details()
            ],
            "sources": sorted(self.sources),
        }


def changes(before: Plant, after: Plant) -> tuple[Change, ...]:
    """Removals first, from the leaves up; then what is added or altered, from the ground up."""
    found = list(_changes(before, after))
    removed = [each for each in found if each.action == "remove"]
    others = [each for each in found if each.action != "remove"]
    removed.sort(key=lambda each: -_ORDER.index(each.kind))
    others.sort(key=lambda each: _ORDER.index(each.kind))
    return (*removed, *others)


def affected_sources(found: Iterable[Change]) -> set[str]:
    """Sources that must be opened anew, added or closed; all others go on reading."""
    return {source for change in found for source in change.sources}


def interrupted_sources(found: Collection[Change]) -> set[str]:
    """Sources that are read now, and are opened anew or closed."""
    new = {each.name for each in found if each.kind == "source" and each.action == "add"}
    return affected_sources(found) - new


def _changes(before: Plant, after: Plant) -> Iterator[Change]:
    yield from _company(before, after)
    for kind, table in _TABLES.items():
        yield from _compared(kind, getattr(before, table), getattr(after, table))
    yield from _reasons(before, after)
    yield from _sites(before, after)
    for change in _compared("source", before.sources, after.sources):
        yield replace(change, sources=frozenset({change.name}))
    yield from _machines(before, after)


_TABLES: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "code_system": "code_systems",
        "time_category": "state_categories",
        "block": "blocks",
        "machine_type": "machine_types",
        "material": "materials",
        "system": "systems",
    }
)
"""Kinds that are one mapping of the plant, by name."""

_COMPANY: Final = ("enterprise", "title", "timezone", "language")


def _company(before: Plant, after: Plant) -> Iterator[Change]:
    was = {name: getattr(before, name) for name in _COMPANY}
    now = {name: getattr(after, name) for name in _COMPANY}
    if was != now:
        yield Change("alter", "company", after.enterprise, was, now)


def _compared(
    kind: Kind, before: Mapping[str, ItemT], after: Mapping[str, ItemT], prefix: str = ""
) -> Iterator[Change]:
    for name in before:
        if name not in after:
            yield Change("remove", kind, prefix + name, before[name], None)
    for name, item in after.items():
        if name not in before:
            yield Change("add", kind, prefix + name, None, item)
        elif item != before[name]:
            yield Change("alter", kind, prefix + name, before[name], item)


def _reasons(before: Plant, after: Plant) -> Iterator[Change]:
    was = {reason.reason: reason for reason in before.reasons}
    now = {reason.reason: reason for reason in after.reasons}
    yield from _compared("reason", was, now)
    kept = [name for name in was if name in now] + [name for name in now if name not in was]
    if kept != list(now):
        yield Change("alter", "reason_order", "", tuple(was), tuple(now))


def _sites(before: Plant, after: Plant) -> Iterator[Change]:
    was = {name: _bare_site(site) for name, site in before.sites.items()}
    now = {name: _bare_site(site) for name, site in after.sites.items()}
    yield from _compared("site", was, now)
    for name in {**before.sites, **after.sites}:
        old, new = before.sites.get(name), after.sites.get(name)
        yield from _calendars(name, old, new)
        yield from _compared(
            "use_case", old.use_cases if old else {}, new.use_cases if new else {}, f"{name}:"
        )


def _bare_site(site: Site) -> Site:
    """Without what has changes of its own."""
    return replace(site, calendars=(), use_cases=MappingProxyType({}))


def _machines(before: Plant, after: Plant) -> Iterator[Change]:
    for change in _compared(
        "machine",
        {path: _bare_machine(machine) for path, machine in before.machines.items()},
        {path: _bare_machine(machine) for path, machine in after.machines.items()},
    ):
        yield replace(change, sources=_touched(change.before, change.after))
    for path in {**before.machines, **after.machines}:
        old, new = before.machines.get(path), after.machines.get(path)
        yield from _calendars(path, old, new)
        sources = frozenset(each.source for each in (old, new) if each is not None)
        for change in _compared("mapping", _by_field(old), _by_field(new), f"{path}:"):
            yield replace(change, sources=sources)


def _bare_machine(machine: Machine) -> Machine:
    return replace(machine, maps=(), calendars=())


def _touched(before: Machine | None, after: Machine | None) -> frozenset[str]:
    if before is None or after is None:
        return frozenset(each.source for each in (before, after) if each is not None)
    if all(getattr(before, name) == getattr(after, name) for name in _SOURCE_FIELDS):
        return frozenset()
    return frozenset({before.source, after.source})


def _calendars(
    name: str, before: Site | Machine | None, after: Site | Machine | None
) -> Iterator[Change]:
    was = before.calendars if before else ()
    now = after.calendars if after else ()
    if was != now:
        action: Action = "alter" if was and now else "add" if now else "remove"
        yield Change(action, "calendar", name, was, now)


def _by_field(machine: Machine | None) -> dict[str, FieldMap]:
    maps = machine.maps if machine else ()
    return {f"{each.block}.{each.field}": each for each in maps}


# Applying -------------------------------------------------------------------------------------


def apply(plant: Plant, found: Iterable[Change]) -> Plant:
    """The plant after the changes."""
    for change in found:
        plant = _APPLY[change.kind](plant, change)
    return plant


def _apply_company(plant: Plant, change: Change) -> Plant:
    return replace(plant, **change.after)


def _apply_table(plant: Plant, change: Change) -> Plant:
    table = _TABLES[change.kind]
    altered: dict[str, Any] = {table: _with(getattr(plant, table), change.name, change.after)}
    return replace(plant, **altered)


def _apply_source(plant: Plant, change: Change) -> Plant:
    return replace(plant, sources=_with(plant.sources, change.name, change.after))


def _apply_reason(plant: Plant, change: Change) -> Plant:
    reasons = {reason.reason: reason for reason in plant.reasons}
    return replace(plant, reasons=tuple(_with(reasons, change.name, change.after).values()))


def _apply_reason_order(plant: Plant, change: Change) -> Plant:
    reasons = {reason.reason: reason for reason in plant.reasons}
    return replace(plant, reasons=tuple(reasons[name] for name in change.after))


def _apply_site(plant: Plant, change: Change) -> Plant:
    site, old = change.after, plant.sites.get(change.name)
    if site is not None and old is not None:
        site = replace(site, calendars=old.calendars, use_cases=old.use_cases)
    return replace(plant, sites=_with(plant.sites, change.name, site))


def _apply_machine(plant: Plant, change: Change) -> Plant:
    machine, old = change.after, plant.machines.get(change.name)
    if machine is not None and old is not None:
        machine = replace(machine, calendars=old.calendars, maps=old.maps)
    return replace(plant, machines=_with(plant.machines, change.name, machine))


def _apply_calendar(plant: Plant, change: Change) -> Plant:
    if change.name in plant.sites:
        site = replace(plant.sites[change.name], calendars=change.after)
        return replace(plant, sites=_with(plant.sites, change.name, site))
    machine = replace(plant.machines[change.name], calendars=change.after)
    return replace(plant, machines=_with(plant.machines, change.name, machine))


def _apply_use_case(plant: Plant, change: Change) -> Plant:
    name, _, use_case = change.name.partition(":")
    site = plant.sites[name]
    new = replace(site, use_cases=_with(site.use_cases, use_case, change.after))
    return replace(plant, sites=_with(plant.sites, name, new))


def _apply_mapping(plant: Plant, change: Change) -> Plant:
    path, _, key = change.name.partition(":")
    machine = plant.machines[path]
    maps = _with(_by_field(machine), key, change.after)
    new = replace(machine, maps=tuple(maps[name] for name in sorted(maps)))
    return replace(plant, machines=_with(plant.machines, path, new))


def _with(items: Mapping[str, ItemT], name: str, item: ItemT | None) -> Mapping[str, ItemT]:
    """The same mapping with one entry set, or removed where `item` is None."""
    rest = dict(items)
    if item is None:
        del rest[name]
    else:
        rest[name] = item
    return MappingProxyType(rest)


_APPLY: Final[Mapping[Kind, Callable[[Plant, Change], Plant]]] = MappingProxyType(
    {
        **dict.fromkeys(_TABLES, _apply_table),
        "company": _apply_company,
        "reason": _apply_reason,
        "reason_order": _apply_reason_order,
        "site": _apply_site,
        "calendar": _apply_calendar,
        "use_case": _apply_use_case,
        "source": _apply_source,
        "machine": _apply_machine,
        "mapping": _apply_mapping,
    }
)
