"""Which bytes are read together, and which reads share a message: pure functions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from isthmus.field.connectors.s7.address import Address, Area
from isthmus.field.connectors.s7.wire import (
    ANSWER_HEAD,
    ANSWER_ITEM,
    MOST_ITEMS,
    REQUEST_HEAD,
    REQUEST_ITEM,
    Item,
    unit,
)


@dataclass(frozen=True)
class Group:
    """A range of one area and the tags it answers."""

    area: Area
    db: int
    start: int
    count: int
    """Bytes, or timers or counters."""
    members: tuple[tuple[str, Address], ...]
    """By address."""

    @property
    def place(self) -> str:
        """As a person calls it: `DB10`, `M`."""
        return f"DB{self.db}" if self.area == "DB" else self.area

    def part(self, address: Address, contents: bytes) -> bytes:
        """The bytes of one member among those of the group."""
        first = (address.start - self.start) * unit(self.area)
        return contents[first : first + address.width]


@dataclass(frozen=True)
class Piece:
    """An item of a request: a group, or as much of it as a message can carry."""

    group: int
    """Position among the groups."""
    item: Item


def groups(addresses: Mapping[str, Address], pdu: int, max_gap: int) -> list[Group]:
    """Cover every tag once. Neighbours come together when at most `max_gap` bytes lie between.

    A group fits into one message, so that what belongs to each other is of one moment; only a
    single tag may be longer.
    """
    by_place = sorted(addresses.items(), key=lambda member: _place(member[1]))
    return [
        group
        for (area, _), members in groupby(by_place, key=lambda member: _place(member[1])[:2])
        for group in _of_area(members, _room(pdu) // unit(area), max_gap // unit(area))
    ]


def split(group: Group) -> tuple[Group, Group]:
    """Two smaller groups with the same members: cut at the widest hole, else in the middle."""
    reached = 0
    best = (-1, 0, 1)
    for index, (_, address) in enumerate(group.members):
        if index > 0:
            from_middle = abs(2 * index - len(group.members))
            best = max(best, (max(0, address.start - reached), -from_middle, index))
        reached = max(reached, address.end)
    cut = best[2]
    return _group(group.members[:cut]), _group(group.members[cut:])


def requests(found: Sequence[Group], pdu: int, most_items: int = MOST_ITEMS) -> list[list[Piece]]:
    """Pack the groups, in their order, into as few messages as the CPU's limits allow."""
    packed: list[list[Piece]] = []
    asked = answered = 0
    for piece in _pieces(found, _room(pdu)):
        size = ANSWER_ITEM + _even(piece.item.width)
        full = asked + REQUEST_ITEM > pdu or answered + size > pdu
        if not packed or full or len(packed[-1]) == most_items:
            packed.append([])
            asked, answered = REQUEST_HEAD, ANSWER_HEAD
        packed[-1].append(piece)
        asked, answered = asked + REQUEST_ITEM, answered + size
    return packed


def _place(address: Address) -> tuple[Area, int, int, int]:
    return address.area, address.db, address.start, address.end


def _room(pdu: int) -> int:
    """Contents one message can carry, an even number of bytes."""
    return (pdu - ANSWER_HEAD - ANSWER_ITEM) // 2 * 2


def _even(width: int) -> int:
    return width + width % 2


def _of_area(addresses: Iterable[tuple[str, Address]], limit: int, max_gap: int) -> Iterator[Group]:
    members: list[tuple[str, Address]] = []
    start = end = 0
    for tag, address in addresses:
        fits = max(end, address.end) - start <= limit and address.start - end <= max_gap
        if members and not fits:
            yield _group(members)
            members = []
        if not members:
            start, end = address.start, address.end
        members.append((tag, address))
        end = max(end, address.end)
    if members:
        yield _group(members)


def _pieces(found: Iterable[Group], room: int) -> Iterator[Piece]:
    for number, group in enumerate(found):
        step = room // unit(group.area)
        for first in range(group.start, group.start + group.count, step):
            count = min(step, group.start + group.count - first)
            yield Piece(number, Item(group.area, group.db, first, count))


def _group(members: Iterable[tuple[str, Address]]) -> Group:
    members = tuple(members)
    first = members[0][1]
    end = max(address.end for _, address in members)
    return Group(first.area, first.db, first.start, end - first.start, members)
