"""The contract of a use case: what it reads, what it keeps, and which machines can have it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from isthmus.model.plant import Machine, Plant
from isthmus.model.spec.block import FieldType
from isthmus.model.spec.site import UseCaseSpec

Query = Callable[[str, Mapping[str, object] | None], pa.Table]
"""Answers SQL over the lake's views; parameters are named, `$name` in the text."""


@dataclass(frozen=True)
class Reads:
    """One field of one block that a use case takes."""

    block: str
    field: str
    type: FieldType
    why: str
    """What the field is for, in words a person who maps tags understands."""


@dataclass(frozen=True)
class Need:
    """At least one of these combinations of fields must be there."""

    any_of: tuple[tuple[Reads, ...], ...]
    without: str
    """What cannot be told while it is missing."""
    required: bool = True
    """False: the use case works without it, with less to say."""


@dataclass(frozen=True)
class UseCase:
    """An application package: defined once, used by every machine that has what it needs."""

    name: str
    title: Mapping[Literal["en", "de"], str]
    Spec: type[UseCaseSpec]
    needs: tuple[Need, ...]
    writes: tuple[str, ...] = ()
    """Lake tables it adds rows to."""
    keeps: tuple[str, ...] = ()
    """Fact tables it has kept up to date."""


@dataclass(frozen=True)
class Missing:
    """Why a machine cannot have a use case, or only a part of it."""

    fields: tuple[str, ...]
    """The shortest way to mend it, as `block.field`."""
    without: str
    required: bool


@dataclass(frozen=True)
class Readiness:
    """Whether a machine can have the use case."""

    machine: str
    missing: tuple[Missing, ...]

    @property
    def ready(self) -> bool:
        return not any(missing.required for missing in self.missing)

    @property
    def complete(self) -> bool:
        return not self.missing


def readiness(plant: Plant, use_case: UseCase, scope: str = "") -> list[Readiness]:
    """Every machine of the scope with what it lacks for this use case."""
    machines = plant.scope(scope or plant.enterprise)
    return [Readiness(machine.path, _missing(machine, use_case)) for machine in machines]


def _missing(machine: Machine, use_case: UseCase) -> tuple[Missing, ...]:
    mapped = {(field.block, field.field) for field in machine.maps}
    found = []
    for need in use_case.needs:
        lacking = [
            [read for read in fields if (read.block, read.field) not in mapped]
            for fields in need.any_of
        ]
        if all(lacking):
            shortest = min(lacking, key=len)
            fields = tuple(f"{read.block}.{read.field}" for read in shortest)
            found.append(Missing(fields, need.without, need.required))
    return tuple(found)
