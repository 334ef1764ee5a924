"""The Modbus connector: reads groups of registers and passes on what has changed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Refused
from isthmus.field.connectors.modbus.answers import NoAnswer, Refusal
from isthmus.field.connectors.modbus.columns import Columns, columns
from isthmus.field.connectors.modbus.groups import Group, groups, split
from isthmus.field.connectors.modbus.spec import ModbusSource, Register
from isthmus.field.connectors.modbus.units import Units
from isthmus.field.connectors.modbus.values import (
    BAD_DECODING,
    BAD_TIMEOUT,
    convert,
    quality_of,
    raw_value,
)
from isthmus.field.samples import Samples
from isthmus.flow.parcel import BAD_COMMUNICATION, GOOD

if TYPE_CHECKING:
    from isthmus.field.connectors.modbus.link import Link

_TOO_MUCH_ASKED: Final = frozenset({2, 3})
"""Illegal address or quantity: one register of the group may be all that is wrong."""
_NOBODY_BEHIND_GATEWAY: Final = frozenset({0x0A, 0x0B})
_FIRST_ANSWER_WITHIN: Final = 45.0
"""Seconds in which the first of all units must have answered."""


@dataclass
class _Polled:
    """A group, and what it answered last: its contents, or the quality that says why not."""

    group: Group
    columns: Columns | None
    answer: Sequence[int] | int | None = None


class ModbusConnector(Connector[ModbusSource]):
    """Polls; the device has no clock of its own, so a value's time is that of its receipt."""

    Spec: ClassVar[type[ModbusSource]] = ModbusSource
    live: ClassVar[bool] = True
    polled: ClassVar[bool] = True

    def __init__(self, name: str, spec: ModbusSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._link: Link | None = None
        self._plan: dict[int, list[_Polled]] = {}
        """By unit."""
        self._units = Units((), 0.0)
        self._samples = Samples()

    async def open(self) -> None:
        from isthmus.field.connectors.modbus.link import Link

        self._plan = self._groups()
        self._units = Units(self._plan, self.spec.rest)
        self._link = Link(self.name, self.spec, self.allowance)
        await self._link.connect()

    async def read(self) -> pa.Table | None:
        if self._link is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        started = _now()
        for unit in self._units.due(started):
            await self._poll_unit(self._link, unit)
            if self._units.witness() is None and _now() - started > _FIRST_ANSWER_WITHIN:
                raise self._link.unreachable("none of the units that were asked answers")
        if self._plan and self._units.all_silent:
            raise self._link.unreachable("none of its units answers")
        return self._samples.take()

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _groups(self) -> dict[int, list[_Polled]]:
        registers = {tag: self.spec.parse_tag(tag) for tag in self.tags}
        spec = self.spec
        try:
            found = groups(registers, spec.max_registers, spec.max_gap, spec.unit)
        except ValueError as error:
            raise Refused(f"source `{self.name}`: {error}; see `max_registers`") from error
        plan: dict[int, list[_Polled]] = {}
        for group in found:
            plan.setdefault(group.unit, []).append(_polled(group, spec, None))
        if self.spec.framing == "rtu" and 0 in plan:
            raise Refused(f"source `{self.name}`: unit 0 speaks to all on a serial line; use 1–247")
        return plan

    async def _poll_unit(self, link: "Link", unit: int) -> None:
        """All groups of one unit; where it is silent all its tags say so."""
        plan: list[_Polled] = []
        try:
            for polled in self._plan[unit]:
                plan += await self._poll(link, polled)
        except _SilentError as silence:
            await self._give_up(link, unit, silence)
        else:
            self._plan[unit] = plan
            self._units.answered(unit)

    async def _give_up(self, link: "Link", unit: int, silence: "_SilentError") -> None:
        """One silent unit is no lost link, unless the one that answered last is silent too."""
        self._units.silent(unit, _now(), rest=silence.quality != BAD_COMMUNICATION)
        witness = self._units.witness()
        if len(self._plan) == 1:
            raise link.unreachable(silence.why)
        if silence.nothing_came and witness is not None:
            try:
                self._plan[witness][:1] = await self._poll(link, self._plan[witness][0])
            except _SilentError as also:
                raise link.unreachable(f"unit {unit} and then unit {witness}: {also.why}") from also
        received = self.clock.now()
        for polled in self._plan[unit]:
            self._take(polled, silence.quality, received)

    async def _poll(self, link: "Link", polled: _Polled) -> list[_Polled]:
        """Read one group. One the device finds too much falls into smaller ones, for good."""
        answer = await link.ask(polled.group)
        received = self.clock.now()
        match answer:
            case NoAnswer(broken=True):
                raise _SilentError(BAD_COMMUNICATION, "what comes is broken: see `framing`")
            case NoAnswer():
                raise _SilentError(BAD_TIMEOUT, "it is silent", nothing_came=True)
            case Refusal(code) if code in _NOBODY_BEHIND_GATEWAY:
                why = f"the gateway does not reach unit {polled.group.unit}"
                raise _SilentError(quality_of(code), why)
            case Refusal(code) if code not in _TOO_MUCH_ASKED or _is_alone(polled):
                self._take(polled, quality_of(code), received)
            case Refusal():
                return await self._poll_halves(link, polled)
            case contents if len(contents) >= polled.group.count:
                self._take(polled, contents, received)
            case _ if _is_alone(polled):
                self._take(polled, BAD_DECODING, received)
            case _:
                return await self._poll_halves(link, polled)
        return [polled]

    async def _poll_halves(self, link: "Link", polled: _Polled) -> list[_Polled]:
        left, right = (_part(polled, group, self.spec) for group in split(polled.group))
        return [*await self._poll(link, left), *await self._poll(link, right)]

    def _take(self, polled: _Polled, answer: Sequence[int] | int, received: Micros) -> None:
        """Samples of the tags whose registers, or whose quality, have changed."""
        before, polled.answer = polled.answer, answer
        if answer == before:
            return
        if isinstance(answer, int):
            for tag, _ in polled.group.members:
                self._samples.add(tag, received, received, None, None, answer)
            return
        known = None if isinstance(before, int) else before
        if polled.columns is not None:
            self._take_columns(polled.columns, answer, known, received)
            return
        for tag, register in polled.group.members:
            raw = self._raw(register, polled.group, answer)
            if known is None or raw != self._raw(register, polled.group, known):
                self._samples.add(tag, received, received, *convert(register, raw, self.spec))

    def _take_columns(
        self,
        alike: Columns,
        answer: Sequence[int],
        before: Sequence[int] | None,
        received: Micros,
    ) -> None:
        tags, numbers = alike.tags, alike.numbers(answer)
        if before is not None and not all(changed := alike.changed(answer, before)):
            tags, numbers = tuple(compress(tags, changed)), tuple(compress(numbers, changed))
        self._samples.extend(tags, [received] * len(tags), received, numbers, GOOD)

    def _raw(self, register: Register, group: Group, contents: Sequence[int]) -> Sequence[int]:
        first = register.address - group.start
        return raw_value(register, contents[first : first + register.width], self.spec.byte_order)


class _SilentError(Exception):
    """A unit did not answer; `quality` is what its tags have now."""

    def __init__(self, quality: int, why: str, *, nothing_came: bool = False) -> None:
        super().__init__(why)
        self.quality = quality
        self.why = why
        self.nothing_came = nothing_came
        """Else a gateway said so, or the line is noisy: then the link itself is alive."""


def _polled(group: Group, spec: ModbusSource, answer: Sequence[int] | int | None) -> _Polled:
    return _Polled(group, columns(group, spec), answer)


def _part(whole: _Polled, group: Group, spec: ModbusSource) -> _Polled:
    """A group that was part of another: what it answered last is known."""
    answer = whole.answer
    if answer is not None and not isinstance(answer, int):
        first = group.start - whole.group.start
        answer = answer[first : first + group.count]
    return _polled(group, spec, answer)


def _is_alone(polled: _Polled) -> bool:
    return len(polled.group.members) == 1


def _now() -> float:
    return asyncio.get_running_loop().time()
