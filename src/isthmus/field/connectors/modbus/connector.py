"""The Modbus connector: reads groups of registers and passes on what has changed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Refused, Unreachable
from isthmus.field.connectors.modbus.groups import Group, groups, split
from isthmus.field.connectors.modbus.spec import ModbusSource
from isthmus.field.connectors.modbus.values import BAD_DECODING, convert, quality_of, raw_value
from isthmus.field.samples import Samples

if TYPE_CHECKING:
    from pymodbus.client import AsyncModbusTcpClient

_TOO_MUCH_ASKED: Final = frozenset({2, 3})
"""Illegal address or quantity: one register of the group may be all that is wrong."""
_NOBODY_BEHIND_GATEWAY: Final = frozenset({0x0A, 0x0B})


@dataclass
class _Polled:
    """A group, and what it answered last: its contents, or the quality that says why not."""

    group: Group
    answer: Sequence[int] | int | None = None


class ModbusConnector(Connector[ModbusSource]):
    """Polls; the device has no clock of its own, so a value's time is that of its receipt."""

    Spec: ClassVar[type[ModbusSource]] = ModbusSource
    polled: ClassVar[bool] = True

    def __init__(self, name: str, spec: ModbusSource, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._client: AsyncModbusTcpClient | None = None
        self._plan: list[_Polled] = []
        self._last: dict[str, Sequence[int] | int] = {}
        self._samples = Samples()
        self._asking = False

    async def open(self) -> None:
        from pymodbus.client import AsyncModbusTcpClient

        # The driver logs every lost link; the runtime says it once.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)
        self._plan = self._groups()
        self._client = AsyncModbusTcpClient(
            self.spec.host,
            port=self.spec.port,
            timeout=self.spec.timeout,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._on_link,
        )
        if not await self._client.connect():
            raise self._unreachable("no connection")

    async def read(self) -> pa.Table | None:
        plan: list[_Polled] = []
        for polled in self._plan:
            plan += await self._poll(polled)
        self._plan = plan
        return self._samples.take()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _groups(self) -> list[_Polled]:
        registers = {tag: self.spec.parse_tag(tag) for tag in self.tags}
        try:
            found = groups(registers, self.spec.max_registers, self.spec.max_gap)
        except ValueError as error:
            raise Refused(f"source `{self.name}`: {error}; see `max_registers`") from error
        return [_Polled(group) for group in found]

    async def _poll(self, polled: _Polled) -> list[_Polled]:
        """Read one group. One the device finds too much falls into smaller ones, for good."""
        answer = await self._ask(polled.group)
        received = self.clock.now()
        if isinstance(answer, _RefusedGroup):
            if answer.code in _TOO_MUCH_ASKED and len(polled.group.members) > 1:
                left, right = split(polled.group)
                return [*await self._poll(_Polled(left)), *await self._poll(_Polled(right))]
            self._take(polled, quality_of(answer.code), received)
        elif len(answer) < polled.group.count:
            self._take(polled, BAD_DECODING, received)
        else:
            self._take(polled, answer, received)
        return [polled]

    def _take(self, polled: _Polled, answer: Sequence[int] | int, received: Micros) -> None:
        """Samples of the tags whose registers, or whose quality, have changed."""
        if answer == polled.answer:
            return
        polled.answer = answer
        for tag, register in polled.group.members:
            if isinstance(answer, int):
                if self._last.get(tag) != answer:
                    self._last[tag] = answer
                    self._samples.add(tag, received, received, None, None, answer)
                continue
            first = register.address - polled.group.start
            contents = answer[first : first + register.width]
            raw = raw_value(register, contents, self.spec.byte_order)
            if self._last.get(tag) != raw:
                self._last[tag] = raw
                self._samples.add(tag, received, received, *convert(register, raw, self.spec))

    async def _ask(self, group: Group) -> "Sequence[int] | _RefusedGroup":
        """One request; Unreachable when its answer does not come."""
        from pymodbus.exceptions import ModbusException

        self._asking = True
        try:
            response = await self._request(group)
        except (ModbusException, OSError, TimeoutError) as error:
            raise self._unreachable(str(error)) from error
        finally:
            self._asking = False
        if response.isError():
            if response.exception_code in _NOBODY_BEHIND_GATEWAY:
                raise self._unreachable(f"the gateway does not reach unit {self.spec.unit}")
            return _RefusedGroup(response.exception_code)
        if group.area in {"coil", "discrete"}:
            return [int(bit) for bit in response.bits[: group.count]]
        registers: list[int] = response.registers
        return registers

    async def _request(self, group: Group) -> Any:
        client = self._client
        if client is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        read = {
            "coil": client.read_coils,
            "discrete": client.read_discrete_inputs,
            "holding": client.read_holding_registers,
            "input": client.read_input_registers,
        }[group.area]
        return await read(group.start, count=group.count, device_id=self.spec.unit)

    def _on_link(self, connected: bool) -> None:  # noqa: FBT001 - the driver's signature
        """The driver lets a request whose link is gone run into its timeout; we do not."""
        if connected or not self._asking or self._client is None:
            return
        answer = self._client.ctx.response_future
        if not answer.done():
            answer.set_exception(ConnectionError("the device closed the connection"))

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            f"source `{self.name}`: no answer from {self.spec.host}:{self.spec.port} within "
            f"{self.spec.timeout:g} s ({why}). Is it on and on this network? "
            f"`isthmus probe {self.name}` tries now."
        )


@dataclass(frozen=True)
class _RefusedGroup:
    """The device answered with an exception."""

    code: int
