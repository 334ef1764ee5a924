"""Pages of the reference, made from the specs' docstrings and the catalogue of problems.

`make golden` writes them; a test proves that they are current.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from isthmus.model.catalogue import CATALOGUE
from isthmus.model.declare import DOCUMENT_KINDS
from isthmus.model.spec.site import SourceSpec, SystemSpec, UseCaseSpec
from isthmus.model.wording import form_in_words

Schema = Mapping[str, Any]

_MADE: Final = "<!-- Made by `make golden`; edit the docstrings instead. -->\n"

_INTRODUCTION: Final = """\
# The model

A model is a folder of YAML 1.2 files, kept under version control. Each document starts with what
it declares; files may hold several documents (`---` between them) and may be split at will.
`isthmus check` finds what is wrong, `isthmus schema` writes a JSON Schema for your editor.

| first key | declares |
|---|---|
| [`enterprise`](#company) | the company and what holds everywhere in it |
| [`site`](#site) | a plant with its areas, lines, machines, sources |
| [`machine_type`](#machinetype) | the mapping that all machines of one make share |
| [`block`](#block) | a record type, uniform for the whole company |
| [`code_system`](#codesystem) | named values, such as states |
| [`material`](#material), `materials` | one, or a list of what is produced |
| [`reason`](#reason), `reasons` | one, or a list of stop reasons |

Isthmus brings the code systems `packml` and `machine_mode` and the blocks `machine_state` and
`part_count`; declare one of the same name to have your own.

* A *name* has lower case letters and digits, joined by `-` or `_`; a *column name* only `_`, and
  a letter first. Names are unique per kind; a machine's name is unique within its site.
* A *duration* has its unit: `250 ms`, `28 s`, `5 min`, `1.5 h`, `7 d`. A *time span* is wall time,
  `22:00-06:00` across midnight. A *date* is `2026-01-31`.
* `${NAME}` is filled from the environment, `${NAME:-default}` has a default, `$${` is `${` itself.
* `!secret name` in a source or system is filled from `ISTHMUS_SECRET_NAME`, or from
  `secrets.yaml` beside the model: `name: value`, kept out of version control. Secrets are never
  shown.
* `{param}` in a tag is filled from the machine's `params`; `{{` is a brace.
* Units are UCUM codes: `Cel`, `bar`, `kW.h`, `/min`, `1` for pieces.
* Anchors and aliases work; merge keys (`<<`) are not YAML 1.2.
"""


def model_page() -> str:
    """Every key of every document, with its type, default and meaning."""
    specs: list[type[BaseModel]] = [
        *DOCUMENT_KINDS.values(),
        SourceSpec,
        SystemSpec,
        UseCaseSpec,
    ]
    _, together = models_json_schema([(spec, "validation") for spec in specs], by_alias=True)
    definitions: Mapping[str, Schema] = together["$defs"]
    first = [spec.__name__ for spec in specs]
    names = [*first, *sorted(set(definitions) - set(first))]
    sections = (_section(name, definitions[name]) for name in names)
    return "\n".join([_MADE, _INTRODUCTION, *sections])


def _section(name: str, definition: Schema) -> str:
    required = definition.get("required", [])
    lines = [f"## {name}", "", definition.get("description", ""), ""]
    lines += ["| key | value | default | |", "|---|---|---|---|"]
    for key, schema in definition["properties"].items():
        default = "**required**" if key in required else _default(schema)
        doc = _cell(schema.get("description", ""))
        lines.append(f"| `{key}` | {_cell(_type(schema))} | {default} | {doc} |")
    return "\n".join([*lines, ""])


def _default(schema: Schema) -> str:
    match schema.get("default"):
        case None | "" | [] | {}:
            return ""
        case bool(value):
            return f"`{str(value).lower()}`"
        case float(value) if "duration" in _type(schema):
            return f"`{value:,.0f} s`" if value > 1000 else f"`{value:g} s`"
        case [*values]:
            return ", ".join(f"`{value}`" for value in values)
        case value:
            return f"`{value}`"


def _type(schema: Schema) -> str:
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            words = f"[{name}](#{name.lower()})"
        case {"const": value}:
            words = f"`{value}`"
        case {"enum": values}:
            words = ", ".join(f"`{value}`" for value in values)
        case {"anyOf": branches}:
            words = " or ".join(dict.fromkeys(_type(each) for each in _present(branches)))
        case {"type": "array"}:
            words = f"list of {_type(schema['items'])}"
        case {"type": "object"}:
            words = _mapping(schema)
        case {"type": "string", "pattern": pattern}:
            words = _SHORT.get(form_in_words(pattern), form_in_words(pattern))
        case {"type": "string", "format": "date"}:
            words = "date"
        case {"type": kind}:
            words = _WORDS.get(str(kind), str(kind)) + _range(schema)
        case _:
            words = "anything"
    return words


_SHORT: Final = {
    "lower case letters and digits, joined by `-` or `_`": "name",
    "lower case letters, digits and `_`, a letter first": "column name",
    "a duration such as `28 s` or `5 min`": "duration",
    "a time span such as `06:00-14:00`": "time span",
}
"""Forms the introduction explains."""

_WORDS: Final = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`"}


def _present(branches: list[Schema]) -> Iterator[Schema]:
    return (each for each in branches if each.get("type") != "null")


def _mapping(schema: Schema) -> str:
    inside = schema.get("additionalProperties")
    if isinstance(inside, Mapping) and inside:
        return f"name → {_type(inside)}"
    if patterns := schema.get("patternProperties"):
        return f"name → {_type(next(iter(patterns.values())))}"
    return "keys of its kind"


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    return f" {low if low is not None else ''}…{high if high is not None else ''}"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


_ABOUT_PROBLEMS: Final = """\
What `isthmus check` may find. Codes are stable. Errors keep a model from being used, warnings do
not.

What devices and systems send and breaks its contract has codes of its own, `Q0…` and `Q1…`: see
quarantine of [samples](quarantine.md) and of [records](quarantine_systems.md). What may be wrong
with tables and logs, `D…`, and what the ledger finds, `L…`, is in
[the ledger](../concepts/ledger.md#what-it-says-when-something-is-wrong)."""


def problems_page(examples: Mapping[str, str]) -> str:
    """Every code with its meaning; `examples` shows what a person reads, by code."""
    lines = [
        _MADE,
        "# Problems",
        "",
        _ABOUT_PROBLEMS,
        "",
        "| code | | |",
        "|---|---|---|",
        *(
            f"| [{code}](#{code.lower()}) | {entry.severity} | {entry.title} |"
            for code, entry in CATALOGUE.items()
        ),
        "",
    ]
    for code, entry in CATALOGUE.items():
        lines += [f"## {code}", "", f"**{entry.title}** ({entry.severity}). {entry.text}", ""]
        if code in examples:
            lines += ["```text", examples[code].strip(), "```", ""]
    return "\n".join(lines)
