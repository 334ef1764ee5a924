"""What one source asks of its TwinCAT runtime over a link: state, symbols, handles, values."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from isthmus.base.clock import SECOND, Micros
from isthmus.field.budget import Allowance
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.ads import frames
from isthmus.field.connectors.ads.frames import Address, Command, Group
from isthmus.field.connectors.ads.link import AdsError, Joined, Link, Listener
from isthmus.field.connectors.ads.spec import AdsSource
from isthmus.field.connectors.ads.symbols import DataType, Symbol, data_types, symbol, symbols

RUN: Final = 5
"""ADS state of a controller whose program runs."""

_NO_PORT: Final = 0x6
_NO_MACHINE: Final = 0x7
_NO_SUMS: Final = frozenset({0x8, 0x701, 0x702, 0x703, 0x706})
"""Answers of small controllers, which know no sum commands."""
_LONGEST_ENTRY: Final = 1024
"""Bytes we leave for a symbol's description."""
_PER_REQUEST: Final = 200
"""Items of a sum command; TwinCAT advises at most 500."""
_AT_ONCE: Final = 32
"""Requests under way."""

Result = TypeVar("Result")
Answered = tuple[int, bytes]
"""Error and data of one item."""


class Session:
    """Requests of one source; an answer that does not come is Unreachable."""

    def __init__(self, name: str, spec: AdsSource, allowance: Allowance) -> None:
        self._name = name
        self._spec = spec
        self._allowance = allowance
        self._target = Address.parse(spec.target, spec.ams_port)
        self._source = self._target
        self._joined = Joined(spec.host, spec.port, spec.local_net_id)
        self._link: Link | None = None
        self._sums = True
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def open(self, listener: Listener, ended: Callable[[], None]) -> None:
        try:
            self._link = await self._joined.link(self._spec.timeout)
        except (OSError, TimeoutError) as error:
            raise self._unreachable(str(error) or "no connection") from error
        own = self._spec.local_net_id or f"{self._link.local_host}.1.1"
        if ":" in own:
            raise Refused(
                f"source `{self._name}`: over IPv6 there is no AMS Net Id to derive from our "
                "address; set `local_net_id`"
            )
        self._source = Address.parse(own, self._link.listen(listener, ended))

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.forget(self._source.port)
        await self._joined.leave()

    def check(self) -> None:
        """Unreachable if the link is broken."""
        if self._link is not None and self._link.broken is not None:
            raise self._unreachable(str(self._link.broken))

    # State and symbols -------------------------------------------------------------------------

    async def state(self) -> int:
        """ADS state: 5 runs, 6 is stopped …; Unreachable while there is no runtime."""
        try:
            answer = await self._ask(Command.READ_STATE, b"")
        except AdsError as error:
            raise self._unreachable(str(error)) from error
        return int.from_bytes(answer[:2], "little")

    async def symbol_version(self) -> int | None:
        """Counts downloads; None where the controller does not."""
        try:
            return (await self._read(Group.VERSION, 0, 1))[0]
        except (AdsError, IndexError):
            return None

    async def infos(self, names: Sequence[str]) -> list[Symbol | int]:
        """What the controller says about each name, or the error."""
        answers = await self._about(Group.INFO_BY_NAME, _LONGEST_ENTRY, names)
        return [error or symbol(data) for error, data in answers]

    async def handles(self, names: Sequence[str]) -> list[int | None]:
        """A handle for each name; None where there is none."""
        answers = await self._about(Group.HANDLE_BY_NAME, 4, names)
        return [None if error else int.from_bytes(data, "little") for error, data in answers]

    async def all_symbols(self) -> tuple[dict[str, Symbol], dict[str, DataType]]:
        """The whole symbol table with its types; AdsError where there is none."""
        info = await self._read(Group.UPLOAD_INFO, 0, 24)
        _, size, _, types_size = struct.unpack_from("<IIII", info.ljust(16, b"\0"))
        found = {s.name: s for s in symbols(await self._read(Group.UPLOAD, 0, size))}
        types = await self._read(Group.TYPES, 0, types_size) if types_size else b""
        return found, data_types(types)

    # Values ------------------------------------------------------------------------------------

    async def values(self, items: Sequence[tuple[int, int]]) -> list[Answered]:
        """Error and bytes of each (handle, size)."""
        reads = [(int(Group.VALUE_BY_HANDLE), handle, size) for handle, size in items]
        found: list[Answered] = []
        for at in range(0, len(reads), _PER_REQUEST):
            found += await self._values(reads[at : at + _PER_REQUEST])
        return found

    async def notify(self, handle: int, size: int, cycle: float) -> int | None:
        """A notification's own handle; None if the controller grants none."""
        wanted: Micros = max(1000, int(cycle * SECOND))
        request = frames.add_notification(handle, size, wanted)
        try:
            answer = await self._ask(Command.ADD_NOTIFICATION, request)
        except AdsError:
            return None
        return int.from_bytes(answer[:4], "little")

    async def end_notifications(self, notifications: Iterable[int]) -> None:
        requests = (struct.pack("<I", handle) for handle in notifications)
        await in_turns(self._quietly(Command.DELETE_NOTIFICATION, r) for r in requests)

    async def release(self, handles: Iterable[int]) -> None:
        requests = (frames.release(handle) for handle in handles)
        await in_turns(self._quietly(Command.WRITE, request) for request in requests)

    async def _values(self, reads: Sequence[tuple[int, int, int]]) -> list[Answered]:
        if self._sums:
            try:
                answer = await self._ask(Command.READ_WRITE, frames.sum_read(reads))
                return self._understood(lambda: frames.sum_read_results(answer[4:], reads))
            except AdsError as error:
                self._no_sums(error)
        return await in_turns(self._answered(self._read(*read)) for read in reads)

    async def _about(self, group: Group, length: int, names: Sequence[str]) -> list[Answered]:
        found: list[Answered] = []
        for at in range(0, len(names), _PER_REQUEST):
            part = [name.encode("ascii") + b"\0" for name in names[at : at + _PER_REQUEST]]
            found += await self._about_some(group, length, part)
        return found

    async def _about_some(
        self, group: Group, length: int, names: Sequence[bytes]
    ) -> list[Answered]:
        if self._sums:
            try:
                request = frames.sum_read_write(group, length, names)
                answer = await self._ask(Command.READ_WRITE, request)
                return self._understood(
                    lambda: frames.sum_read_write_results(answer[4:], len(names))
                )
            except AdsError as error:
                self._no_sums(error)
        requests = (frames.read_write(group, 0, length, name) for name in names)
        return await in_turns(self._answered(self._read_write(r)) for r in requests)

    def _no_sums(self, error: AdsError) -> None:
        if error.code not in _NO_SUMS:
            raise self._unreachable(str(error)) from error
        self._sums = False
        # A controller so small has hardly a queue for requests: one after the other.
        self._turns = asyncio.Semaphore(1)

    # Requests ----------------------------------------------------------------------------------

    async def _read(self, group: int, offset: int, length: int) -> bytes:
        return (await self._ask(Command.READ, frames.read(group, offset, length)))[4:]

    async def _read_write(self, request: bytes) -> bytes:
        return (await self._ask(Command.READ_WRITE, request))[4:]

    async def _ask(self, command: Command, data: bytes, *, waits: bool = True) -> bytes:
        """The answer; AdsError if the controller refuses just this, Unreachable if all is lost.

        What gives something back does not wait for its turn: who leaves has no time for that.
        """
        link = self._link
        if link is None:
            raise RuntimeError(f"source `{self._name}` is read before it is open")
        try:
            async with self._turns:
                await self._turn(waits=waits)
                return await link.ask(self._target, self._source, command, data, self._spec.timeout)
        except TimeoutError as error:
            raise self._unreachable(
                "no answer; has the controller a route to our address"
                f" {'.'.join(map(str, self._source.net_id))}?"
            ) from error
        except OSError as error:
            raise self._unreachable(str(error)) from error
        except AdsError as error:
            if error.code == _NO_MACHINE:
                raise self._wrong_net_id() from error
            if error.code == _NO_PORT:
                raise self._unreachable(
                    f"no program runs at AMS port {self._spec.ams_port}, {error}"
                ) from error
            raise

    async def _answered(self, asking: Awaitable[bytes]) -> Answered:
        try:
            return 0, await asking
        except AdsError as error:
            return error.code, b""

    async def _quietly(self, command: Command, request: bytes) -> None:
        await self._answered(self._ask(command, request, waits=False))

    async def _turn(self, *, waits: bool) -> None:
        if waits:
            await self._allowance.turn()
        else:
            self._allowance.sent()

    def _understood(self, parse: Callable[[], list[Answered]]) -> list[Answered]:
        try:
            return parse()
        except (ValueError, struct.error) as error:
            raise self._unreachable(str(error)) from error

    def _wrong_net_id(self) -> Refused:
        return Refused(
            f"source `{self._name}`: the router at {self._spec.host} knows no controller "
            f"{self._spec.target} (ADS error 0x7). See `net_id`."
        )

    def _unreachable(self, why: str) -> Unreachable:
        spec = self._spec
        return Unreachable(
            f"source `{self._name}`: no answer from {spec.host}:{spec.port} within "
            f"{spec.timeout:g} s ({why}). Is it on and on this network? "
            f"`isthmus probe {self._name}` tries now."
        )


async def in_turns(work: Iterable[Awaitable[Result]]) -> list[Result]:
    """All results in order; the first failure ends the rest."""
    tasks = [asyncio.ensure_future(piece) for piece in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
