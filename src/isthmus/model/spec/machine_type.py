"""Machine types: the mapping written once, used by every machine of that type."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from isthmus.model.spec.words import FieldName, Seconds, Slug, Spec, Text


class Counter(Spec):
    """How a cumulative counter behaves, so that increments can be taken from it."""

    bits: Literal[8, 16, 31, 32, 53, 64] | None = None
    """Width: at 16 bits 65,535 is followed by 0. None: it never rolls over."""
    decrements: Literal["reset", "ignore"] = "reset"
    """What a smaller value means when it cannot be a rollover: the machine's counter was set back
    (the new value counts), or noise."""


class PulseRule(Spec):
    """A state for machines that only count: they run while parts come, else they stand."""

    pulses: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    """The counter whose increments are the pulses, as `block.field` of the same type."""
    running: FieldName
    """State while pulses come."""
    standing: FieldName
    """State from the last pulse on, once `after` has passed without one."""
    after: Seconds


class FieldMapping(Spec):
    """Which tag feeds this field and how its value is converted; or the rule that derives it."""

    tag: str | None = Field(default=None, max_length=1000)
    """Address in the source, in the words of its protocol; `{param}` is filled per machine."""
    unit: str | None = None
    """UCUM code of the tag, converted to the block's unit."""
    scale: float = 1.0
    offset: float = 0.0
    """`value * scale + offset`, before the unit is converted."""
    codes: dict[str | int, FieldName] | None = None
    """The machine's own codes to the names of the code system; other codes go to quarantine."""
    counter: Counter | None = None
    rule: PulseRule | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "FieldMapping":
        if (self.tag is None) == (self.rule is None):
            raise ValueError("needs either a `tag` or a `rule`")
        return self


class Param(Spec):
    """A parameter a machine fills in."""

    default: str | None = None
    doc: Text = ""


BlockFieldPath = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]


class MachineType(Spec):
    """Everything that is the same for all machines of one make and model."""

    machine_type: Slug
    name: Text = ""
    doc: Text = ""
    kind: Slug | None = None
    """The source kind these tag addresses are written for; checked with its own syntax."""
    blocks: list[FieldName] = Field(min_length=1)
    params: dict[FieldName, Param] = Field(default_factory=dict)
    map: dict[BlockFieldPath, FieldMapping] = Field(default_factory=dict)
    minor_stop: Seconds = 120.0
    """Stops up to this long need no reason and count as minor stops."""
    slow_factor: float = Field(default=1.3, ge=1)
    """A cycle longer than this times the ideal one is a speed loss, not normal running."""
