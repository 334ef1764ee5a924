"""The EtherNet/IP connector: reads all tags in few messages and passes on what has changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.connector import Connector, Node, Refused, Unreachable
from isthmus.field.connectors.ethernetip.browse import children
from isthmus.field.connectors.ethernetip.messages import Answer, path_of
from isthmus.field.connectors.ethernetip.spec import EthernetIpSource, TagAddress
from isthmus.field.connectors.ethernetip.values import (
    DWORD,
    MISSING,
    STRING82,
    Converted,
    convert,
    handle_of,
    quality_of,
    type_of,
)
from isthmus.field.samples import Samples
from isthmus.flow.parcel import GOOD

if TYPE_CHECKING:
    from isthmus.field.connectors.ethernetip.controller import Controller, TagDefinition

Result = TypeVar("Result")


@dataclass
class _Polled:
    """A tag, how it is read, and what it was last."""

    tag: str
    address: TagAddress
    in_words: TagAddress | None
    """How it is read if its array turns out to be one of BOOLs."""
    is_bool: bool = False
    value: Converted | None = None
    answer: Answer | None = None

    @property
    def read_as(self) -> TagAddress:
        return self.in_words if self.is_bool and self.in_words is not None else self.address

    @property
    def other(self) -> TagAddress:
        """The other reading of an element, for when the present one fails."""
        return self.address if self.is_bool or self.in_words is None else self.in_words

    def misreads(self, answer: Answer) -> bool:
        """Ask whether this answer may mean that the array is, or is no more, one of BOOLs."""
        if self.in_words is None:
            return False
        quality = quality_of(answer)
        is_bool = quality == GOOD and type_of(answer) == DWORD
        return quality in MISSING or (quality == GOOD and is_bool != self.is_bool)


class EthernetIpConnector(Connector[EthernetIpSource]):
    """Polls; a Logix tag has no time of its own, so a value's time is that of its receipt."""

    Spec: ClassVar[type[EthernetIpSource]] = EthernetIpSource
    live: ClassVar[bool] = True
    polled: ClassVar[bool] = True

    def __init__(
        self, name: str, spec: EthernetIpSource, tags: Sequence[str], clock: Clock
    ) -> None:
        super().__init__(name, spec, tags, clock)
        self._controller: Controller | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._plan: list[_Polled] = []
        self._strings: frozenset[int] = frozenset({STRING82})
        self._no_strings: set[int] = set()
        """Structures the controller does not describe as strings."""
        self._tag_list: list[TagDefinition] = []
        self._samples = Samples()

    async def open(self) -> None:
        from isthmus.field.connectors.ethernetip.controller import Controller

        addresses = {tag: self.spec.parse_tag(tag) for tag in self.tags}
        self._plan = [_Polled(tag, of, of.as_bit_of_word) for tag, of in addresses.items()]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ethernetip-{self.name}")
        self._controller = Controller(self.name, self.spec, self.allowance)
        await self._call(self._controller.open)

    async def read(self) -> pa.Table | None:
        answers = await self._ask(polled.read_as for polled in self._plan)
        found = [(polled, answers[path_of(polled.read_as)]) for polled in self._plan]
        await self._find_bool_arrays(found)
        await self._learn_strings(answer for _, answer in found)
        received = self.clock.now()
        for polled, answer in found:
            self._take(polled, answer, received)
        return self._samples.take()

    async def browse(self, parent: str = "") -> AsyncIterator[Node]:
        if not parent or not self._tag_list:  # at the root anew: it may have been downloaded
            self._tag_list = await self._call(self._open_controller().tag_list)
        for node in children(self._tag_list, parent):
            yield node

    async def close(self) -> None:
        controller, self._controller = self._controller, None
        thread, self._thread = self._thread, None
        if controller is None or thread is None:
            return
        closing = asyncio.get_running_loop().run_in_executor(thread, controller.close)
        thread.shutdown(wait=False)
        try:
            await closing
        except asyncio.CancelledError:
            controller.abort()
            raise

    async def _ask(self, addresses: Iterable[TagAddress]) -> dict[bytes, Answer]:
        paths = list(dict.fromkeys(map(path_of, addresses)))
        if not paths:
            return {}
        answers = await self._call(self._open_controller().read, paths)
        return dict(zip(paths, answers, strict=True))

    async def _find_bool_arrays(self, found: list[tuple[_Polled, Answer]]) -> None:
        """`Flags[37]` may be bit 5 of word 1, which nobody can tell before asking."""
        doubtful = [n for n, (polled, answer) in enumerate(found) if polled.misreads(answer)]
        answers = await self._ask(found[n][0].other for n in doubtful)
        for n in doubtful:
            polled, _ = found[n]
            other = answers[path_of(polled.other)]
            if quality_of(other) == GOOD and (type_of(other) == DWORD) != polled.is_bool:
                polled.is_bool, polled.answer = not polled.is_bool, None
                found[n] = (polled, other)

    async def _learn_strings(self, answers: Iterable[Answer]) -> None:
        """A string of another length than 82 is a structure like any other, until we ask."""
        handles = {handle_of(answer) for answer in answers} - {None}
        if handles - self._strings - self._no_strings:
            self._strings |= await self._call(self._open_controller().string_handles)
            self._no_strings |= {handle for handle in handles if handle is not None}

    def _take(self, polled: _Polled, answer: Answer, received: Micros) -> None:
        """A sample if the value, or its quality, has changed."""
        if answer == polled.answer:
            return
        polled.answer = answer
        value = convert(answer, polled.read_as.bit, self._strings, self.spec.encoding)
        if value != polled.value:
            polled.value = value
            self._samples.add(polled.tag, received, received, *value)

    async def _call(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do it in the source's own thread; what is taken back ends at once."""
        if self._thread is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, work, *arguments)
        except (asyncio.CancelledError, Unreachable, Refused):
            if self._controller is not None:
                self._controller.abort()
            raise

    def _open_controller(self) -> "Controller":
        if self._controller is None:
            raise RuntimeError(f"source `{self.name}` is read before it is open")
        return self._controller
