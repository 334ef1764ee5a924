"""OEE and downtime: what they read and keep, and the options a site may set."""

from typing import Literal

from isthmus.apps.app import Need, Reads, UseCase
from isthmus.model.spec.site import UseCaseSpec
from isthmus.model.spec.words import Seconds

TimeModelName = Literal["iso22400", "setup_planned", "semi_e79"]
"""Which time OEE is divided by; see docs/concepts/oee.md."""


class DowntimeSpec(UseCaseSpec):
    """Stops, their reasons, and the time they cost."""

    minor_stop: Seconds | None = None
    """Stops up to this long need no reason; None: as the machine type says."""


class OeeSpec(DowntimeSpec):
    """Overall equipment effectiveness after ISO 22400-2."""

    time_model: TimeModelName = "iso22400"
    """`iso22400`: planned busy time. `setup_planned`: planned busy time without setup.
    `semi_e79`: all the time there is."""
    rework: Literal["not_good"] = "not_good"
    """A part that needed rework was not good the first time; there is no other way to count it."""


STATE = Reads("machine_state", "state", "enum", "what the machine does, in the plant's own states")
PRODUCED = Reads("part_count", "produced", "counter", "all parts made, good or not")
GOOD = Reads("part_count", "good", "counter", "parts that were right the first time")
SCRAP = Reads("part_count", "scrap", "counter", "parts thrown away")

HAS_STATE = Need(any_of=((STATE,),), without="time: running, standing, setting up")
COUNTS_PARTS = Need(any_of=((PRODUCED,), (GOOD, SCRAP)), without="effectiveness (speed)")
COUNTS_GOOD = Need(
    any_of=((PRODUCED, SCRAP), (GOOD,)), without="quality ratio and OEE", required=False
)

DOWNTIME = UseCase(
    name="downtime",
    title={"en": "Downtime", "de": "Stillstände"},
    Spec=DowntimeSpec,
    needs=(HAS_STATE,),
    writes=("stop_reason",),
)

OEE = UseCase(
    name="oee",
    title={"en": "OEE & losses", "de": "OEE & Verluste"},
    Spec=OeeSpec,
    needs=(HAS_STATE, COUNTS_PARTS, COUNTS_GOOD),
    writes=("stop_reason",),
    keeps=("oee_fact",),
)
