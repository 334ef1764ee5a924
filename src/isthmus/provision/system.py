"""The contract of an IT system: who calls what, when, and what each error means."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field

from isthmus.base.clock import Clock
from isthmus.model.spec.site import SystemSpec
from isthmus.model.spec.words import TimeZone
from isthmus.provision.columns import Column
from isthmus.provision.entities import EntityName
from isthmus.provision.reading import Fault


class Unreachable(Exception):  # noqa: N818 - the condition, not a bug
    """Nobody answers: the runtime tries again later, with back-off."""


class Refused(Exception):  # noqa: N818
    """The system says no (password, unknown table): trying again alone will not help."""


class BusinessSpec(SystemSpec):
    """What every system has that delivers orders and material."""

    timezone: TimeZone | None = None
    """Of times that carry no zone; without it the plant's."""
    machines: dict[str | int, str] = Field(default_factory=dict)
    """The system's own machine keys (work centres) → asset paths."""

    def columns(self, entity: EntityName) -> Mapping[str, Column]:
        """Our field → the system's column."""
        raise KeyError(entity)

    @property
    def declared(self) -> tuple[EntityName, ...]:
        """The entities this system delivers, in the order in which they are pulled."""
        return ()

    @property
    def signs(self) -> tuple[str, str]:
        """Decimal and thousands sign of numbers that come as text."""
        return ".", ""


SpecT = TypeVar("SpecT", bound=BusinessSpec)


@dataclass(frozen=True)
class Record:
    """One row as the system holds it: its own columns and values."""

    place: str
    """Where a person finds it, e.g. `row 17`."""
    values: Mapping[str, Any]
    fault: Fault | None = None
    """Set where the row itself is broken, such as a line with too many cells."""


@dataclass(frozen=True)
class Delivery:
    """Records that came together: one file, one query."""

    origin: str
    """File or table, as a person would name it."""
    records: tuple[Record, ...] = ()
    content: str = ""
    """Identity of the bytes where there is one: the same bytes are taken once."""
    complete: bool = False
    """True: a key we know that is missing here has been withdrawn by the system."""
    fault: Fault | None = None
    """Set where nothing of it can be read."""


@dataclass(frozen=True)
class Changes:
    """What one pull brought."""

    deliveries: tuple[Delivery, ...] = ()
    bookmark: str = ""
    """Where the next pull goes on; given back as `since` once all of this is on our disk."""


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery, for whoever made it."""

    origin: str
    entity: EntityName
    records: int = 0
    changed: int = 0
    faults: tuple[str, ...] = ()
    """One line per record that went to quarantine."""
    failed: str = ""
    """Why nothing of it could be read."""
    repeated: bool = field(default=False)
    """The same bytes had been taken before."""


class System(ABC, Generic[SpecT]):
    """Reads one IT system. The runtime calls `pull … acknowledge`, from one thread at a time.

    Nothing is ever written into the system's own data. Drivers are imported when first used.
    After `Unreachable` or `Refused` the same object is asked again later.
    """

    Spec: ClassVar[type[BusinessSpec]]

    def __init__(self, name: str, spec: SpecT, zone: ZoneInfo, folder: Path, clock: Clock) -> None:
        self.name = name
        self.spec = spec
        self.zone = zone
        self.folder = folder
        """Relative paths of the spec start here: the platform's data folder."""
        self.clock = clock

    @abstractmethod
    def pull(self, entity: EntityName, since: str) -> Changes:
        """What changed since the bookmark; everything when it is empty."""

    def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        """All deliveries of the last pulls are synced on our disk, as the receipts say."""

    def notices(self) -> list[str]:
        """What a person should know that is wrong with no record; each is told once."""
        return []

    def close(self) -> None:
        """Leave nothing open; may be called twice."""


AnySystem = System[Any]
