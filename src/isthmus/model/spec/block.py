"""Data blocks and code systems: the uniform form that all machines of the company share."""

from typing import Literal

from pydantic import Field, model_validator

from isthmus.model.spec.words import FieldName, Slug, Spec, Text, Texts

FieldType = Literal["number", "integer", "boolean", "text", "enum", "counter"]

TimeCategory = Literal["production", "setup", "idle", "stopped", "maintenance", "off"]
"""What a state means for time: production is APT, setup AUST; idle (starved, blocked, waiting),
stopped (malfunction), maintenance and off are ADET with an order and ADOT without one."""


class BlockField(Spec):
    """One column of a block."""

    type: FieldType
    """`counter`: the source counts up; the block keeps the increments (ISO 22400 quantities)."""
    unit: str | None = None
    """UCUM code, such as `Cel`, `bar`, `mm`, `kW.h`; values are converted into it."""
    values: Slug | None = None
    """For `enum`: the code system that names the values."""
    min: float | None = None
    max: float | None = None
    """Limits; a value outside goes to quarantine with its reason."""
    max_length: int = Field(default=1000, ge=1, le=100_000)
    """For `text`."""
    doc: Text = ""
    label: Texts = Field(default_factory=dict)
    """Short name, per language."""
    description: Texts = Field(default_factory=dict)
    """As `doc`, per language; `doc` stands for a language that is missing here."""


class Block(Spec):
    """A versioned record type, defined once per company."""

    block: FieldName
    version: int = Field(ge=1)
    doc: Text = ""
    label: Texts = Field(default_factory=dict)
    """Short name, per language."""
    description: Texts = Field(default_factory=dict)
    """As `doc`, per language; `doc` stands for a language that is missing here."""
    fields: dict[FieldName, BlockField] = Field(min_length=1)


class Code(Spec):
    """One value of a code system."""

    code: int | None = None
    """The number the standard gives it; numbers differ between models, so the model id counts."""
    category: TimeCategory | None = None
    """What this state means for time; only for code systems of machine states."""
    label: dict[Literal["en", "de"], str] = Field(default_factory=dict)


class CodeSystem(Spec):
    """Named values, such as the 17 states of PackML."""

    code_system: Slug
    model: Text = ""
    """Which numbering this is: OPC 30050 and OPC 30060 number the same states differently."""
    values: dict[FieldName, Code] = Field(min_length=1)

    @model_validator(mode="after")
    def _codes_once(self) -> "CodeSystem":
        codes = [value.code for value in self.values.values() if value.code is not None]
        twice = {code for code in codes if codes.count(code) > 1}
        if twice:
            raise ValueError(f"code {min(twice)} is given to two values")
        return self
