"""Machine types: the mapping written once, used by every machine of that type."""

from collections.abc import Iterator
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


Inputs = Annotated[dict[FieldName, str], Field(min_length=1, max_length=20)]
"""Name in the expressions → tag of the source; `{param}` is filled per machine."""


class Condition(Spec):
    """One state of a machine that does not tell its state."""

    state: FieldName
    if_: str = Field(alias="if", max_length=500)
    """Expression over the inputs, such as `power > 2.5 and door == 0`."""
    until: str | None = Field(default=None, max_length=500)
    """Hysteresis: once it holds, it holds until this is true, such as `power < 1.5`."""
    after: Seconds = 0.0
    """How long the condition must hold before it counts; the state then began with it."""


class StateRule(Spec):
    """A state that follows from other signals: the first condition that holds names it."""

    inputs: Inputs
    when: list[Condition] = Field(min_length=1, max_length=40)
    otherwise: FieldName
    """State while no condition holds."""


class Formula(Spec):
    """A value that is computed from other signals."""

    inputs: Inputs
    value: str = Field(max_length=500)
    """Expression over the inputs, such as `u * i`; computed whenever one of them changes."""


class FieldMapping(Spec):
    """Which tag feeds this field and how its value is converted; or what derives it."""

    tag: str | None = Field(default=None, max_length=1000)
    """Address in the source, in the words of its protocol; `{param}` is filled per machine."""
    unit: str | None = None
    """UCUM code of the tag, converted to the block's unit."""
    scale: float = 1.0
    offset: float = 0.0
    """`value * scale + offset`, before the unit is converted."""
    codes: dict[str | int, FieldName] | Slug | None = None
    """The machine's own codes to the names of the code system; other codes go to quarantine. Or
    the code system whose numbers the machine sends, such as `packml_opc30060`."""
    counter: Counter | None = None
    dead_band: float | None = Field(default=None, gt=0)
    """A value closer than this (in the block's unit) to the one kept last is not kept."""
    at_most_every: Seconds | None = None
    """A value sooner than this after the one kept last is not kept."""
    stale_after: Seconds | None = None
    """Watchdog: when the device time of the tag has stood still for this long, its value is
    uncertain, however good the device says it is."""
    rule: PulseRule | None = None
    states: StateRule | None = None
    formula: Formula | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "FieldMapping":
        origins = (self.tag, self.rule, self.states, self.formula)
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError("needs either a `tag`, a `rule`, `states` or a `formula`")
        return self

    @property
    def inputs(self) -> dict[str, str]:
        """Tags that only feed expressions, by their names in them."""
        derived = self.states or self.formula
        return derived.inputs if derived is not None else {}

    def tags(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Every tag, and where it is written."""
        if self.tag is not None:
            yield ("tag",), self.tag
        origin = "states" if self.states is not None else "formula"
        for name, tag in self.inputs.items():
            yield (origin, "inputs", name), tag


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
