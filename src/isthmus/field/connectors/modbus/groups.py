"""Which registers are read together: pure functions from tags to read requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from isthmus.field.connectors.modbus.spec import Area, Register

BITS_PER_REGISTER: Final = 16
"""A request answers 125 registers, or 2,000 bits: the same number of bytes."""


@dataclass(frozen=True)
class Group:
    """One read request and the tags it answers."""

    unit: int
    area: Area
    start: int
    count: int
    members: tuple[tuple[str, Register], ...]
    """By address."""


def groups(
    registers: Mapping[str, Register], max_registers: int, max_gap: int, unit: int = 1
) -> list[Group]:
    """Cover every tag once. Neighbours come together when at most `max_gap` lies between.

    Tags that name no unit are of `unit`. ValueError for a string longer than `max_registers`.
    """
    parts: dict[tuple[int, Area], list[tuple[str, Register]]] = {}
    for tag, register in registers.items():
        of = unit if register.unit is None else register.unit
        parts.setdefault((of, register.area), []).append((tag, register))
    found: list[Group] = []
    for of, area in sorted(parts):
        factor = BITS_PER_REGISTER if area in {"coil", "discrete"} else 1
        found += _of_area(of, parts[of, area], max_registers * factor, max_gap * factor)
    return found


def split(group: Group) -> tuple[Group, Group]:
    """Two smaller groups with the same members: cut at the widest hole, else in the middle."""
    reached = 0
    best = (-1, 0, 1)
    for index, (_, register) in enumerate(group.members):
        if index > 0:
            from_middle = abs(2 * index - len(group.members))
            best = max(best, (max(0, register.address - reached), -from_middle, index))
        reached = max(reached, register.end)
    cut = best[2]
    return _group(group.unit, group.members[:cut]), _group(group.unit, group.members[cut:])


def _of_area(
    unit: int, registers: Iterable[tuple[str, Register]], limit: int, max_gap: int
) -> list[Group]:
    found: list[Group] = []
    members: list[tuple[str, Register]] = []
    start = end = 0
    for tag, register in sorted(registers, key=lambda item: (item[1].address, item[1].end)):
        if register.width > limit:
            raise ValueError(f"`{tag}` takes {register.width} registers, more than {limit}")
        fits = max(end, register.end) - start <= limit and register.address - end <= max_gap
        if members and not fits:
            found.append(_group(unit, members))
            members = []
        if not members:
            start, end = register.address, register.end
        members.append((tag, register))
        end = max(end, register.end)
    return [*found, _group(unit, members)] if members else found


def _group(unit: int, members: Iterable[tuple[str, Register]]) -> Group:
    members = tuple(members)
    first = members[0][1]
    end = max(register.end for _, register in members)
    return Group(unit, first.area, first.address, end - first.address, members)
