"""Every problem code of the model: what it means, why it matters, what to do. Codes are stable.

docs/reference/problems.md is made from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from isthmus.base.problem import Place, Problem, Severity


@dataclass(frozen=True)
class Entry:
    """What the reference says about one code."""

    title: str
    text: str
    """Why it is a problem and what to do about it, in Markdown."""
    severity: Severity = "error"


def problem(
    code: str,
    address: str,
    message: str,
    *,
    place: Place | None = None,
    hint: str = "",
    source_line: str = "",
) -> Problem:
    """A finding of the model; the catalogue knows how severe it is."""
    return Problem(code, address, message, place, hint, source_line, CATALOGUE[code].severity)


def _warning(title: str, text: str) -> Entry:
    return Entry(title, text, "warning")


_READING: Final = {
    "M001": Entry(
        "Not YAML",
        "The file cannot be read as YAML from the place that is shown on. Most often the "
        "indentation is off, or a text that contains `: ` or starts with `@` or `%` needs quotes.",
    ),
    "M002": Entry(
        "Key written twice",
        "YAML would keep only one of the two values, and you could not tell which. Keep one.",
    ),
    "M003": Entry(
        "YAML feature that the model does not know",
        "The model is YAML 1.2 without merge keys (`<<`), without tags other than `!secret`, and "
        "with names as keys. Anchors and aliases may be used for whole values.",
    ),
    "M004": Entry(
        "File too large or too deep",
        "A file may have 5 million characters, values nested 64 deep, and a million values when "
        "its aliases are written out. Split the file; files may be split at will.",
    ),
    "M005": Entry(
        "Environment variable not set",
        "`${NAME}` is replaced by the environment variable `NAME` after the file was parsed. Set "
        "it, give a default as in `${NAME:-4840}`, or write `$${NAME}` if the text itself is "
        "meant.",
    ),
    "M006": Entry(
        "Secret not found",
        "`!secret name` is looked up in the environment as `ISTHMUS_SECRET_NAME`, then in "
        "`secrets.yaml` beside the model, a flat list of `name: value`. Keep that file out of "
        "version control. Secrets are never shown.",
    ),
    "M007": Entry(
        "Unknown kind of document",
        "The first key of a document says what it declares: `enterprise`, `site`, `block`, "
        "`code_system`, `machine_type`, `material(s)` or `reason(s)`.",
    ),
    "M008": Entry(
        "File cannot be read",
        "The file is not UTF-8 text, or this account may not read it.",
    ),
    "M009": Entry(
        "Secret in the wrong place",
        "`!secret` may stand only in a source or a system, because everything else of the model "
        "is shown on pages and in plans; and `secrets.yaml` is a flat list of `name: value` in "
        "the model's own folder.",
    ),
}

_SHAPE: Final = {
    "M010": Entry("Key missing", "A key without which the declaration means nothing. Add it."),
    "M011": Entry(
        "Unknown key",
        "Isthmus ignores nothing silently: a misspelt key would otherwise be a setting that "
        "never takes effect.",
    ),
    "M012": Entry(
        "Wrong type of value",
        "For example a text where a number is expected. In YAML 1.2 only `true` and `false` are "
        "truth values (`NO` is a text), and a value in quotes is always a text.",
    ),
    "M013": Entry(
        "Value not allowed",
        "The value has the right type, but not the form or the range that is expected there.",
    ),
    "M014": Entry(
        "Not a finite number",
        "`.nan` and `.inf` compare with nothing: a limit of `.nan` would let every value pass.",
    ),
    "M015": Entry(
        "No enterprise",
        "A model needs one document that starts with `enterprise:`; its name is the first part of "
        "every asset path. An empty folder is not a model.",
    ),
    "M016": Entry("More than one enterprise", "One model is one company. Remove one of them."),
    "M017": Entry(
        "Name declared twice",
        "Names are unique per kind, over all files: sites, blocks, machine types, code systems, "
        "materials, reasons, and sources and systems across all sites.",
    ),
    "M018": Entry(
        "Machine in two lines",
        "A machine stands in one place. Its name is unique within its site, so that people and "
        "systems can say it without the line.",
    ),
    "M019": _warning("No machine", "The model has no machine, so there is nothing to read."),
}

_REFERENCES: Final = {
    "M020": Entry("Unknown source", "A machine names a source that no site declares."),
    "M021": Entry(
        "Source of another site",
        "A source belongs to the site whose network it is in; that site's node reads it. "
        "Declare the source at the machine's site.",
    ),
    "M022": Entry("Unknown machine type", "No document starts with this `machine_type:`."),
    "M023": Entry(
        "Unknown block",
        "No document starts with this `block:`, and Isthmus brings none of that name.",
    ),
    "M024": Entry("Unknown field", "The block has no field of this name."),
    "M025": Entry("Unknown code system", "No document starts with this `code_system:`."),
    "M026": Entry(
        "Unknown unit",
        "Units are written in UCUM, the code that machines, laboratories and business systems "
        "share: `Cel`, `bar`, `mm`, `kW.h`, `/min`, `1` for pieces.",
    ),
    "M027": Entry(
        "Units of different dimensions",
        "The tag's unit cannot be converted to the block's: a pressure is not a temperature.",
    ),
    "M028": _warning(
        "Not the UCUM code",
        "The unit was understood, but other systems will not understand it. Write the UCUM code.",
    ),
    "M040": Entry("Unknown kind of source", "No connector has this name."),
    "M041": Entry("Unknown kind of system", "No system connector has this name."),
    "M042": Entry("Unknown use case", "No use case has this name."),
}

_MAPPINGS: Final = {
    "M030": Entry(
        "Code that names no value",
        "The machine's code is mapped to a name that the field's code system does not have.",
    ),
    "M031": Entry(
        "Counter on a field that is none",
        "`counter:` describes how a cumulative counter rolls over; the block's field must be of "
        "type `counter`.",
    ),
    "M032": Entry(
        "Pulses that point nowhere",
        "`pulses:` names a counter field that this machine type maps from a tag.",
    ),
    "M033": Entry("Rule on a field that has no states", "A pulse rule yields states: an `enum`."),
    "M034": Entry(
        "Undeclared parameter in a tag",
        "`{name}` in a tag is filled from the machine's `params`; the type must declare it. Write "
        "`{{` for a brace itself.",
    ),
    "M035": _warning("Parameter nobody uses", "The type declares it, but no tag has it."),
    "M036": Entry(
        "Parameter missing", "The machine must fill in this parameter: it has no default."
    ),
    "M037": Entry("Unknown parameter", "The machine's type declares no such parameter."),
    "M038": Entry(
        "Tag address with an error",
        "The connector that will read the tag cannot understand the address.",
    ),
    "M039": Entry(
        "Source of another kind than the type expects",
        "The type's tags are written for one kind of source (`kind:`), the machine's source is of "
        "another.",
    ),
    "M047": Entry(
        "Block not listed",
        "The type maps a field of a block that it does not list under `blocks`.",
    ),
    "M048": _warning(
        "Block without a mapping",
        "The type lists the block, but maps none of its fields: it would stay empty for ever.",
    ),
    "M064": Entry("Codes on a field that has no names", "`codes:` translates to names: an `enum`."),
    "M065": Entry("Scale of zero", "Every value would become the same number."),
}

_SITES: Final = {
    "M043": _warning(
        "Use case lacks a field",
        "No machine of the site maps a field that the use case needs, so it will show nothing.",
    ),
    "M044": _warning("Source nobody uses", "No machine reads from it, so it is not connected."),
    "M045": _warning(
        "Endpoint used by two sources",
        "Two sources read the same tags at the same endpoint: most often a copy whose address was "
        "not changed, and two machines would show the same values.",
    ),
    "M079": Entry(
        "Fewer connections than its intake needs",
        "`budget.connections` holds for the device, whichever source reads it.",
    ),
    "M080": _warning(
        "Budgets of one device differ",
        "Sources of the same host and port, or the same folder, share its budget; the stricter "
        "number holds.",
    ),
    "M046": _warning(
        "Password in plain text",
        "The model is kept under version control, where many can read it for ever. Use "
        "`!secret name` or `${NAME}`.",
    ),
    "M050": Entry("Shifts overlap", "At one moment there can be only one shift."),
    "M051": Entry("Break outside its shift", "A break lies within its shift."),
    "M052": Entry(
        "Two calendars from the same date", "Only one calendar can hold from a given day on."
    ),
    "M053": Entry(
        "Unknown holiday region",
        "Country and region by ISO 3166, such as `DE-HH` or `AT-6`.",
    ),
    "M054": _warning(
        "Site without a calendar",
        "Without shifts no time is planned, and OEE, which is a share of planned time, stays "
        "undefined.",
    ),
    "M055": Entry(
        "Impossible time span",
        "A day ends at `24:00`, and a span that ends when it begins is empty; write "
        "`00:00-24:00` for the whole day.",
    ),
    "M056": Entry("Breaks overlap", "The overlapping time would be taken off twice."),
    "M057": Entry("Day both open and closed", "The same date stands in `open` and in `closed`."),
}

_COMPANY: Final = {
    "M049": Entry(
        "Reserved name",
        "Isthmus itself has a table or column of this name (`machine`, `time`, `shift`, …).",
    ),
    "M060": Entry("Enum without values", "`values:` names the code system of the field's values."),
    "M061": Entry("Values on a field that is no enum", "Only an `enum` takes named values."),
    "M062": Entry("Minimum above maximum", "No value could pass both limits."),
    "M063": Entry(
        "Setting on a field that is no number", "Only numbers have units and limits `min`, `max`."
    ),
    "M066": _warning(
        "State without a time category",
        "Time in this state would count as neither production nor loss. Give the value a "
        "`category` in its code system.",
    ),
    "M070": _warning(
        "Many stop reasons",
        "More than 12 reasons for one machine type do not fit on a screen; people then take the "
        "first one.",
    ),
    "M071": Entry("Too many stop reasons", "More than 20 for one machine type help nobody."),
    "M072": Entry("Target outside 0…1", "Targets are ratios: write `0.85` for 85 %."),
    "M073": Entry("Duration of zero", "An interval or a cycle takes time."),
    "M074": _warning(
        "Label missing in the company's language", "Operators would read the technical name."
    ),
    "M075": Entry(
        "Expression that cannot be read",
        "Numbers, texts in quotes, names of inputs, arithmetic, comparisons, `and`, `or`, `not`, "
        "`abs`, `min`, `max`, `round`; nothing else.",
    ),
    "M076": Entry("Name that is no input", "Expressions know the names under `inputs`, only."),
    "M077": _warning("Input that no expression uses", "The tag would be read for nothing."),
    "M078": Entry(
        "Formula on a field that takes no number",
        "A formula yields a number; for states there is `states`.",
    ),
}

CATALOGUE: Final[Mapping[str, Entry]] = MappingProxyType(
    dict(sorted((_READING | _SHAPE | _REFERENCES | _MAPPINGS | _SITES | _COMPANY).items()))
)
