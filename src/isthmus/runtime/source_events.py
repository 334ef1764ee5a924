"""What is said of a source: each thing once when it begins and once when it is over."""

from dataclasses import dataclass
from typing import Final, Literal

from isthmus.base.clock import Micros

What = Literal[
    "connected", "lost", "refused", "fault", "back", "missed", "disk_full", "room", "slow",
    "in_time", "clock", "skew", "bad", "good", "shape_failed", "stopped",
]  # fmt: skip
Impairment = Literal["disk_full", "bad", "slow", "clock", "skew"]
"""What is not as it should be with a source that answers; the worst first."""
_UNKNOWN: Final = ("disk_full", "bad", "slow")
"""Values do not come as the model says they should, although it is connected."""


@dataclass(frozen=True)
class Wrong:
    """One thing that is not as it should be, and not over yet."""

    what: Impairment
    since: Micros
    detail: str


@dataclass(frozen=True)
class SourceEvent:
    """Something about a source that a person may want to know."""

    name: str
    kind: str
    what: What
    detail: str
    """What happened, why, and what to do next."""
    at: Micros
    connected: bool
    """Whether values come after this."""
    wrong: tuple[Wrong, ...] = ()
    """All that is wrong although it answers, the worst first."""

    @property
    def impaired(self) -> Impairment | Literal[""]:
        """Whether values come as the model says they should; the worst that keeps them from it."""
        return next((one.what for one in self.wrong if one.what in _UNKNOWN), "")

    @property
    def well(self) -> bool:
        return self.connected and not self.impaired


OFF: Final = (
    "the device's clock is {seconds:.0f} s {side} ours: its values are written at its time. Set it"
    " right, or write `clock: corrected` (or `ours`) for this source."
)
CORRECTED: Final = "the device's clock is {seconds:.0f} s {side} ours; its times are corrected."
RIGHT: Final = "the device's clock is right again"
AHEAD: Final = (
    "its clock is {minutes:.0f} min ahead of ours: what it tells is kept in quarantine and believed"
    " by nobody. Set its clock, or ours if it is wrong"
)
RIGHT_AGAIN: Final = "its clock is right again; what came meanwhile is in quarantine"
BACK: Final = (
    "its clock went back by {minutes:.0f} min: what it tells holds from its receipt on until its"
    " times are later than those it told before; counters are believed again from then on"
)
OCCUPIED: Final = (
    "others hold all connections that its device's `budget` allows: a `isthmus probe`, `browse` or"
    " `suggest`, or a page. It is read when one of them ends"
)
FULL: Final = "intake stood still because the disk was full"
ROOM: Final = "The disk has room again; intake goes on."
STOPPED: Final = "the platform was stopped"
CHANGED: Final = "the model was changed"
