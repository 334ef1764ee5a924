"""The one connection to a device or gateway: a request at a time, and what came of it."""

import logging
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
)

from isthmus.field.budget import Allowance
from isthmus.field.connector import Unreachable
from isthmus.field.connectors.modbus.answers import Answer, NoAnswer, Refusal
from isthmus.field.connectors.modbus.groups import Group
from isthmus.field.connectors.modbus.rtu import is_broken
from isthmus.field.connectors.modbus.spec import ModbusSource

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

FUNCTIONS: Final = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


class Link:
    """Connects once; a request never starts before the one before it has ended."""

    def __init__(self, name: str, spec: ModbusSource, allowance: Allowance) -> None:
        # The driver logs every lost link; the runtime says it once.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)
        self._name = name
        self._spec = spec
        self._allowance = allowance
        self._asked: Group | None = None
        self._bytes_came = False
        self._client = AsyncModbusTcpClient(
            spec.host,
            port=spec.port,
            framer=FramerType.RTU if spec.framing == "rtu" else FramerType.SOCKET,
            timeout=spec.timeout,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._on_link,
            trace_packet=self._on_packet,
        )
        for answer in (_HoldingRegisters, _InputRegisters):
            self._client.register(answer)
        # Else it hangs up after five requests without an answer: several slaves may be off.
        self._client.ctx.max_until_disconnect = sys.maxsize

    async def connect(self) -> None:
        if not await self._client.connect():
            raise self.unreachable("no connection")

    def close(self) -> None:
        self._client.close()

    async def ask(self, group: Group) -> Answer:
        """Read one group. What came broken over a serial line is asked for again.

        After silence nothing is: without a transaction number the late answer to the first
        request would be taken for that to the second. Unreachable when the connection is lost.
        """
        tries = 1 + (self._spec.retries if self._spec.framing == "rtu" else 0)
        answer: Answer = NoAnswer(broken=False)
        for _ in range(tries):
            answer = await self._ask_once(group)
            if not isinstance(answer, NoAnswer) or not answer.broken:
                break
        return answer

    def unreachable(self, why: str) -> Unreachable:
        spec = self._spec
        return Unreachable(
            f"source `{self._name}`: no answer from {spec.host}:{spec.port} within "
            f"{spec.timeout:g} s ({why}). Is it on and on this network? "
            f"`isthmus probe {self._name}` tries now."
        )

    async def _ask_once(self, group: Group) -> Answer:
        await self._allowance.turn()
        self._asked, self._bytes_came = group, False
        try:
            response = await self._request(group)
        except _BrokenAnswerError:
            return NoAnswer(broken=True)
        except (ModbusException, TimeoutError) as error:
            if not self._client.connected:
                raise self.unreachable(str(error)) from error
            return NoAnswer(broken=self._bytes_came and self._spec.framing == "rtu")
        except OSError as error:
            raise self.unreachable(str(error)) from error
        finally:
            self._asked = None
        return _answer(response, group)

    async def _request(self, group: Group) -> "ModbusPDU":
        read: Any = {
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
            "holding": self._client.read_holding_registers,
            "input": self._client.read_input_registers,
        }[group.area]
        response: ModbusPDU = await read(group.start, count=group.count, device_id=group.unit)
        return response

    def _on_link(self, connected: bool) -> None:  # noqa: FBT001 - the driver's signature
        """The driver lets a request whose link is gone run into its timeout; we do not."""
        if not connected:
            self._fail(ConnectionError("the device closed the connection"))

    def _on_packet(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - the driver's
        """Nor do we wait for more when a whole answer is here and its checksum is wrong."""
        if sending or self._asked is None:
            return data
        self._bytes_came = True
        group = self._asked
        if self._spec.framing == "rtu" and is_broken(data, group.unit, FUNCTIONS[group.area]):
            self._fail(_BrokenAnswerError())
        return data

    def _fail(self, error: Exception) -> None:
        if self._asked is None:
            return
        waiting = self._client.ctx.response_future
        if not waiting.done():
            waiting.set_exception(error)


class _HoldingRegisters(ReadHoldingRegistersResponse):
    """Decoded in one call, where the driver takes one for each register."""

    def decode(self, data: bytes) -> None:
        if data[0] >= len(data):
            super().decode(data)  # it is too short, and the driver says so
        self.registers = list(struct.unpack_from(f">{data[0] // 2}H", data, 1))

    def __str__(self) -> str:
        """The driver writes each answer out for its log, which nobody reads."""
        return type(self).__name__


class _InputRegisters(_HoldingRegisters):
    function_code = ReadInputRegistersResponse.function_code


class _BrokenAnswerError(Exception):
    """A whole answer with a wrong checksum."""


def _answer(response: Any, group: Group) -> Answer:
    if response.isError():
        return Refusal(response.exception_code)
    if response.function_code != FUNCTIONS[group.area]:
        return NoAnswer(broken=True)
    if group.area in {"coil", "discrete"}:
        return [int(bit) for bit in response.bits[: group.count]]
    registers: list[int] = response.registers
    return NoAnswer(broken=True) if len(registers) > group.count else registers
