"""The S7 connector: reads ranges of a CPU's memory and passes on what has changed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Refused, Unreachable
from isthmus.field.connectors.s7.groups import Group, Piece, groups, requests, split
from isthmus.field.connectors.s7.link import ConnectionRefused, Link, RequestRefused
from isthmus.field.connectors.s7.quality import HOW_TO_ALLOW, advice, quality_of
from isthmus.field.connectors.s7.spec import S7Source
from isthmus.field.connectors.s7.values import decode, relevant
from isthmus.field.connectors.s7.wire import MOST_ITEMS, OUT_OF_RANGE
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_USER_ACCESS_DENIED

Answered = tuple[bytes | int, Micros]
"""Contents, or the code that says why there are none, and when it came."""

_AT_THE_START: Final = (
    "If it is: some CPUs just hang up if `rack` or `slot` is wrong or no connection is free. "
)


@dataclass
class _Polled:
    """A group, and what it answered last."""

    group: Group
    answer: bytes | int | None = None


class S7Connector(Connector[S7Source]):
    """Polls; a value's time is that of its receipt."""

    Spec: ClassVar[type[S7Source]] = S7Source
    live: ClassVar[bool] = True
    polled: ClassVar[bool] = True

    def __init__(self, name: str, spec: S7Source, tags: Sequence[str], clock: Clock) -> None:
        super().__init__(name, spec, tags, clock)
        self._link: Link | None = None
        self._plan: list[_Polled] = []
        self._last: dict[str, bytes | int] = {}
        self._samples = Samples()
        self._most_items = MOST_ITEMS

    async def open(self) -> None:
        addresses = {tag: self.spec.parse_tag(tag) for tag in self.tags}
        try:
            self._link = await Link.open(self.spec, self.allowance)
        except ConnectionRefused as refusal:
            raise self._refused(refusal) from refusal
        except (OSError, EOFError, ValueError) as error:
            raise self._unreachable(error, _AT_THE_START) from error
        self._plan = list(map(_Polled, groups(addresses, self._link.pdu, self.spec.max_gap)))

    async def read(self) -> pa.Table | None:
        waiting, done = self._plan, []
        while waiting:
            answers = await self._ask([polled.group for polled in waiting])
            parts: list[Group] = []
            for polled, (answer, received) in zip(waiting, answers, strict=True):
                if answer == OUT_OF_RANGE and len(polled.group.members) > 1:
                    parts += split(polled.group)  # for good: its last byte alone may be wrong
                else:
                    self._take(polled, answer, received)
                    done.append(polled)
            waiting = list(map(_Polled, parts))
        self._plan = done
        self._check_access()
        return self._samples.take()

    def attention(self) -> list[str]:
        """Which areas answer no; empty before the first read."""
        refused = Counter(
            (polled.group.place, polled.answer)
            for polled in self._plan
            for _ in polled.group.members
            if isinstance(polled.answer, int)
        )
        return [
            f"{tags} tag(s) of {place} come with a bad quality (code {code:02X}): {advice(code)}"
            for (place, code), tags in refused.items()
        ]

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    async def _ask(self, wanted: Sequence[Group]) -> list[Answered]:
        """What each group answers; Unreachable if nothing comes."""
        parts: list[list[bytes | int]] = [[] for _ in wanted]
        received = [0] * len(wanted)
        for request in requests(wanted, self._open_link().pdu, self._most_items):
            for piece, answer in zip(request, await self._answers(request), strict=True):
                parts[piece.group].append(answer)
                received[piece.group] = self.clock.now()
        return list(zip(map(_joined, parts), received, strict=True))

    async def _answers(self, request: Sequence[Piece]) -> list[bytes | int]:
        """One answer per piece, also if the CPU refuses the request because of one of them."""
        try:
            return await self._open_link().read([piece.item for piece in request])
        except RequestRefused as refusal:
            if len(request) == 1:
                return [refusal.code]
            self._most_items = 1  # for good: this CPU does not say which item it means
            return [answer for piece in request for answer in await self._answers([piece])]
        except (OSError, EOFError, ValueError) as error:
            raise self._unreachable(error) from error

    def _take(self, polled: _Polled, answer: bytes | int, received: Micros) -> None:
        """Samples of the tags whose bytes, or whose quality, have changed."""
        if answer == polled.answer:
            return
        polled.answer = answer
        for tag, address in polled.group.members:
            if isinstance(answer, int):
                if self._last.get(tag) != answer:
                    self._last[tag] = answer
                    self._samples.add(tag, received, received, None, None, quality_of(answer))
                continue
            contents = polled.group.part(address, answer)
            raw = relevant(address, contents)
            if self._last.get(tag) != raw:
                self._last[tag] = raw
                value = decode(address, contents, self.spec.encoding)
                self._samples.add(tag, received, received, *value)

    def _check_access(self) -> None:
        """Access denied to everything is no matter of single tags: the CPU does not let us."""
        codes = {polled.answer for polled in self._plan if isinstance(polled.answer, int)}
        denied = {code for code in codes if quality_of(code) == BAD_USER_ACCESS_DENIED}
        if denied and all(polled.answer in denied for polled in self._plan):
            raise Refused(
                f"source `{self.name}`: the CPU at {self.spec.host} denies access to everything "
                f"that is asked for (code {min(denied):02X}); {HOW_TO_ALLOW}"
            )

    def _open_link(self) -> Link:
        if self._link is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        return self._link

    def _refused(self, refusal: ConnectionRefused) -> Refused:
        spec = self.spec
        return Refused(
            f"source `{self.name}`: {spec.host}:{spec.port} refuses the connection ({refusal}). Is "
            f"the CPU in rack {spec.rack}, slot {spec.slot} (S7-1200 and S7-1500: slot 1, S7-300: "
            f"slot 2), and has it a `{spec.connection}` connection free? See `rack`, `slot` and "
            "`connection`"
        )

    def _unreachable(self, error: Exception, question: str = "") -> Unreachable:
        spec = self.spec
        return Unreachable(
            f"source `{self.name}`: no answer from {spec.host}:{spec.port} within "
            f"{spec.timeout:g} s ({_reason(error)}). Is it on and on this network? {question}"
            f"`isthmus probe {self.name}` tries now."
        )


def _joined(parts: Sequence[bytes | int]) -> bytes | int:
    """A range that took several items has contents if all of them have."""
    contents = bytearray()
    for part in parts:
        if isinstance(part, int):
            return part
        contents += part
    return bytes(contents)


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "it keeps silent"
        case EOFError():
            return "it closed the connection"
        case _:
            return str(error)
