"""Sites with their areas, lines, machines and sources (ISA-95 equipment hierarchy)."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from isthmus.model.spec.calendar import Calendar
from isthmus.model.spec.words import FieldName, Guarded, Seconds, Slug, Spec, Text, TimeZone


class Machine(Spec):
    """A work unit."""

    type: Slug
    source: Slug
    name: Text = ""
    params: dict[FieldName, str | int | float] = Field(default_factory=dict)
    ideal_cycle: Seconds | Literal["per_material"] = "per_material"
    """Planned run time per item (PRI), or taken from the material that is being made."""
    calendar: list[Calendar] | Calendar | None = None


class Line(Spec):
    """A work centre."""

    name: Text = ""
    machines: dict[Slug, Machine] = Field(default_factory=dict)
    calendar: list[Calendar] | Calendar | None = None


class Area(Spec):
    """A part of a site."""

    name: Text = ""
    lines: dict[Slug, Line] = Field(default_factory=dict)


class Keep(Spec):
    """How long and how much this site's log keeps raw samples: the replay horizon."""

    age: Seconds = 7 * 86400.0
    size_mb: int = Field(default=10_000, ge=10)
    free_mb: int = Field(default=500, ge=0)
    """Intake stops, with an alarm, when less than this is free on the disk."""


class Budget(Spec):
    """What a device may be asked; where its sources differ, the stricter number holds for all."""

    connections: int | None = Field(default=None, ge=1)
    """At most so many at one time: intake, and whoever looks at the device. Without it one for the
    intake of each source and two for looking."""
    requests_per_second: float | None = Field(default=None, gt=0)
    """At most so many in any second; less than 1 is one every few seconds."""
    min_interval: Seconds = Field(default=0.0, ge=0)
    """Shortest time between the starts of two requests."""

    @property
    def limits_requests(self) -> bool:
        return self.requests_per_second is not None or self.min_interval > 0


class SourceSpec(Guarded):
    """What every source has; each connector adds its own keys."""

    counts_requests: ClassVar[bool] = False
    """Whether its connector asks request by request, so that `budget` can limit them."""
    intake_connections: ClassVar[int] = 1
    """How many its connector may hold at one time."""

    kind: Slug
    enabled: bool = True
    interval: Seconds = 1.0
    """Polling: time between reads. Subscription: the publishing interval we ask for."""
    clock: Literal["device", "ours", "corrected"] = "device"
    """Whose time values get: the device's; ours, when they arrive; or the device's, corrected by
    how far its clock is off."""
    clock_tolerance: Seconds = Field(default=10.0, gt=0)
    """How far the device's clock may be from ours before that is said (and corrected)."""
    budget: Budget = Budget()
    """How much the device may be asked, whatever its tags would need."""

    @model_validator(mode="after")
    def _budget_can_be_kept(self) -> Self:
        if self.budget.limits_requests and not self.counts_requests:
            raise ValueError(
                f"`budget` cannot limit the requests of a `{self.kind}` source: it sends by itself "
                "or decides itself how to ask; a longer `interval` is what makes it ask less"
            )
        if self.budget.connections is not None and self.reaches is None:
            raise ValueError(f"`budget` cannot limit what a `{self.kind}` source does not open")
        return self

    @property
    def reaches(self) -> str | None:
        """`host:port` of the device that we connect to; None where we open no connection."""
        return None

    @property
    def budget_holds_for(self) -> str | None:
        """A device or folder that sources share; None: for this source alone."""
        return self.reaches

    @classmethod
    def parse_tag(cls, tag: str) -> Any:
        """Check a tag address of this kind; ValueError says what is wrong. Returns its parts."""
        return tag

    def for_probe(self) -> Self:
        """The same source for one short look: it must disturb nobody and leave nothing behind."""
        return self


class SystemSpec(Guarded):
    """What every IT system has; each kind adds its own keys."""

    kind: Slug
    enabled: bool = True
    interval: Seconds = 60.0
    """Time between pulls."""


class UseCaseSpec(Spec):
    """What every use case has; each adds its own options."""

    enabled: bool = True


class Site(Spec):
    """One plant."""

    site: Slug
    name: Text = ""
    timezone: TimeZone | None = None
    areas: dict[Slug, Area] = Field(default_factory=dict)
    sources: dict[Slug, dict[str, Any]] = Field(default_factory=dict)
    """Checked against the spec of each `kind` by the loader."""
    systems: dict[Slug, dict[str, Any]] = Field(default_factory=dict)
    calendar: list[Calendar] | Calendar | None = None
    use_cases: list[Slug] | dict[Slug, dict[str, Any]] = Field(default_factory=list)
    keep: Keep = Keep()
    targets: dict[Literal["oee", "availability", "effectiveness", "quality_ratio"], float] = Field(
        default_factory=dict
    )
    """0…1; shown beside the number on every page."""


class Company(Spec):
    """The enterprise and what holds everywhere in it."""

    enterprise: Slug
    name: Text = ""
    timezone: TimeZone = "UTC"
    language: Literal["en", "de"] = "en"
    reasons: list["Reason"] = Field(default_factory=list)
    systems: dict[Slug, dict[str, Any]] = Field(default_factory=dict)
    """Systems that serve all sites."""


class Reason(Spec):
    """A stop reason that people choose with one tap; more than 20 per type helps nobody."""

    reason: FieldName
    label: dict[Literal["en", "de"], str]
    category: Literal["breakdown", "setup", "waiting", "planned", "quality", "other"] = "other"
    types: list[Slug] = Field(default_factory=list)
    """Machine types it applies to; empty: all."""


class Material(Spec):
    """What is produced."""

    material: str = Field(min_length=1, max_length=64)
    name: Text = ""
    unit: str = "1"
    """UCUM; `1` is pieces."""
    ideal_cycle: Seconds | dict[Slug, Seconds] | None = None
    """Planned run time per item (PRI); may differ per machine type."""
