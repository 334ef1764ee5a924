"""The contract of a connector: who calls what, when, and what each error means."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow as pa

from isthmus.base.clock import Clock, Micros
from isthmus.field.budget import Allowance
from isthmus.model.spec.site import SourceSpec

SpecT = TypeVar("SpecT", bound=SourceSpec)


class Unreachable(Exception):  # noqa: N818 - the condition, not a bug
    """Nobody answers, or the link broke: the runtime tries again later, with back-off."""


class Refused(Exception):  # noqa: N818
    """The device says no (credentials, unknown address): trying again alone will not help.

    The runtime says so once, names what to do, and tries again slowly.
    """


@dataclass(frozen=True)
class Missed:
    """The source itself says that values are missing (sequence gap, overflow of its queue)."""

    start: Micros
    end: Micros
    detail: str


@dataclass(frozen=True)
class Node:
    """One entry of a source's address space, for browsing."""

    tag: str
    name: str
    path: str
    type: str = ""
    unit: str = ""
    has_children: bool = False
    description: str = ""
    """The source's own words about it: a comment in the PLC, a note in a register list."""
    unit_code: str = ""
    """UNECE Recommendation 20 code of the unit (`CEL`, `KWH`), where the source gives one."""
    defined_by: str = ""
    """URI of the namespace that defines its name, such as `http://opcfoundation.org/UA/PackML/`."""
    type_definition: str = ""
    """What it is an instance of, as `nsu=http://…;i=4`."""


class Connector(ABC, Generic[SpecT]):
    """Reads one source. The runtime calls `open → read, read, … → close`, never two at once.

    A source that is read from a place on
    gets `resume()` before `open()`, and says its `position()` after every `read()`.
    After `Unreachable` or `Refused` from any call the runtime calls `close()` and later makes a
    NEW connector. A connector logs nothing in normal operation; the runtime says *lost* once
    and *back* once. Drivers are imported inside `open()`.
    """

    Spec: ClassVar[type[SourceSpec]]
    polled: ClassVar[bool] = False
    """True: the runtime calls `read()` at the pace of `spec.interval`. False: `read()` waits."""
    live: ClassVar[bool] = False
    """True: a tag's older value never comes after a newer one, except where a clock jumps back."""
    told_at_once: ClassVar[bool] = True
    """Values are told when they change, so their times say how far the device's clock is off."""
    browses_at_once: ClassVar[int] = 1
    """How many `browse()` may run side by side; the one exception to never two at once."""

    def __init__(self, name: str, spec: SpecT, tags: Sequence[str], clock: Clock) -> None:
        self.name = name
        self.spec = spec
        self.tags = tuple(tags)
        self.clock = clock
        self.allowance = Allowance(spec.budget)
        """Every request waits for its turn; the runtime sets that of the source before `open`."""
        self.memory: Any = None
        """What the next connector of this source should know; the runtime hands it on."""

    def resume(self, position: bytes) -> None:
        """Called before `open`, if a position was kept: all up to it is on our disk.

        It may be of another spec of this source, such as another table.
        """

    @abstractmethod
    async def open(self) -> None:
        """Connect; Unreachable if nobody answers within the spec's timeout."""

    @abstractmethod
    async def read(self) -> pa.Table | None:
        """New samples (SAMPLES_SCHEMA), or None. A subscription waits at most one second.

        After `open` every tag must come once with its present value (or a bad quality that says
        why not), then when it changes. A polled value that did not change is not a sample.
        """

    async def gather(self, seconds: float) -> None:
        """Wait while values gather in a subscription, so that they share one transaction.

        Return early where the source sends no more before it is acknowledged.
        """
        await asyncio.sleep(seconds)

    def position(self) -> bytes | None:
        """Where to go on after all that `read()` has returned so far; None where there is no such.

        It is kept in the same transaction as the samples of that `read()`, of which there should be
        at most about 10,000: so nothing is lost and nothing is read twice whatever stops us.
        """
        return None

    async def acknowledge(self) -> None:
        """All samples of the last `read()` are synced on our disk."""

    def missed(self) -> list[Missed]:
        """What the source said is missing since the last call; the runtime records gaps."""
        return []

    def attention(self) -> list[str]:
        """What works but should not stay so (a certificate that ends soon, a wish not granted).

        Asked once after `open`; a whole sentence each, with what to do.
        """
        return []

    def details(self) -> dict[str, str]:
        """What the device is and granted, in words for `isthmus probe`; asked after `open`."""
        return {}

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing open; may be called twice and after a failed `open`."""

    # Optional capabilities ------------------------------------------------------------------

    def browse(self, parent: str = "") -> AsyncIterator[Node]:  # noqa: ARG002
        """Children of a node, of the root if empty; needs an open connector."""
        raise Unsupported(f"`{self.spec.kind}` cannot be browsed")

    @property
    def fills_gaps(self) -> bool:
        """True: after an outage the runtime asks `history` first, before anything is read."""
        return False

    async def history(self, start: Micros, end: Micros) -> pa.Table:  # noqa: ARG002
        """What the source itself kept of our tags, as SAMPLES_SCHEMA in the order of device time.

        Each tag from its last value before `start`, if there is one, to its last before `end`.
        """
        raise Unsupported(f"`{self.spec.kind}` keeps no history")


class Unsupported(Exception):  # noqa: N818
    """This kind of source has no such capability."""


AnyConnector = Connector[Any]
