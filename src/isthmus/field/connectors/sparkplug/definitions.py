"""What the births of an edge node name: metrics with their types, aliases, members and readers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.base.clock import Micros
from isthmus.field.connectors.sparkplug.address import Address
from isthmus.field.connectors.sparkplug.values import NAMES, SCALARS, Plain


class Reader:
    """One tag, and what was last said of it."""

    __slots__ = ("address", "doubted", "last", "stale", "stamp", "tag", "time")

    def __init__(self, tag: str, address: Address) -> None:
        self.tag = tag
        self.address = address
        self.time: Micros = 0
        """Device time of its latest sample; historical ones do not count."""
        self.stamp: Micros = 0
        """What the node itself wrote as the time of that."""
        self.last: tuple[Plain, int] | None = None
        self.stale: Micros | None = None
        """Since when it is, by its sample."""
        self.doubted: Micros | None = None
        """Since when nobody knows whether `last` still holds."""


@dataclass
class Definition:
    """One metric as its birth describes it."""

    name: str
    datatype: int
    readers: Sequence[Reader] = ()
    alone: Reader | None = None
    """Its only reader, if that wants the whole value and this has no parts: so it is mostly."""
    members: "Definitions | None" = None
    """Of a template."""
    whole: dict[str, Plain] = field(default_factory=dict)
    """The template's last value: data may carry some of its members only."""
    unit: str = ""


class Definitions:
    """What a birth, or a template, names."""

    def __init__(self, metrics: Iterable[Any], readers: Mapping[str, Sequence[Reader]]) -> None:
        self.by_name: dict[str, Definition] = {}
        self.by_alias: dict[int, Definition] = {}
        for metric in metrics:
            if isinstance(metric.name, str):  # protobuf hands over bytes where it is no UTF-8
                self.add(metric, readers.get(metric.name, ()))

    def add(self, metric: Any, readers: Sequence[Reader]) -> None:
        alone = _alone(metric.datatype, readers)
        made = Definition(metric.name, metric.datatype, readers, alone, unit=_unit(metric))
        if metric.HasField("template_value"):
            made.members = Definitions(metric.template_value.metrics, {})
        self.by_name[metric.name] = made
        if metric.HasField("alias"):
            self.by_alias[metric.alias] = made

    def of(self, metric: Any) -> Definition | None:
        """Find a metric of a data message, by its name, else by its alias."""
        found = self.by_name.get(metric.name) if metric.name else None
        if found is None and metric.HasField("alias"):
            found = self.by_alias.get(metric.alias)
        return found

    def described(self, metrics: Iterable[Any]) -> Iterator[tuple[Any, Definition]]:
        """Each metric of a birth with its definition; of two with one name the last one counts."""
        for metric in metrics:
            definition = self.by_name.get(metric.name)
            if definition is not None:
                yield metric, definition

    def complete(self, template: "Definitions") -> None:
        """Take over what only the template's definition says."""
        for name, member in template.by_name.items():
            self.by_name.setdefault(name, member)
            if self.by_name[name].datatype == 0:
                self.by_name[name].datatype = member.datatype


def _alone(datatype: int, readers: Sequence[Reader]) -> Reader | None:
    match readers:
        case [reader] if datatype in SCALARS:
            address = reader.address
            return reader if not address.property and not address.steps else None
    return None


def _unit(metric: Any) -> str:
    for key, property_ in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key in {"engUnit", "Engineering Units"}:
            return str(property_.string_value)
    return ""


def type_name(definition: Definition) -> str:
    """Name of a metric's data type, for browsing."""
    return NAMES.get(definition.datatype, str(definition.datatype))
