"""The model's form for others: one JSON Schema (2020-12) of every document a model may have."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from isthmus.model.declare import DOCUMENT_KINDS, LISTS
from isthmus.model.plant import Kinds
from isthmus.model.spec.words import SLUG

Schema = dict[str, Any]

_VARIABLE: Final[Schema] = {"type": "string", "pattern": r"\$\{[^{}]*\}"}
"""A value that the environment fills in stands where a number or a truth value is expected."""


def json_schema(kinds: Kinds) -> Schema:
    """Schema of one YAML document; its first key decides which."""
    specs = [*DOCUMENT_KINDS.values(), *_specs(kinds)]
    references, together = models_json_schema(
        [(spec, "validation") for spec in dict.fromkeys(specs)], by_alias=True
    )
    definitions = together["$defs"]

    def reference(spec: type[BaseModel]) -> Schema:
        return dict(references[spec, "validation"])

    for name in ("Site", "Company"):
        _connect(definitions[name], kinds, reference)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Isthmus model",
        "description": "One document of an Isthmus model.",
        "type": "object",
        "oneOf": [
            *({**reference(spec)} for spec in DOCUMENT_KINDS.values()),
            *(_list(key, reference(DOCUMENT_KINDS[each])) for key, each in LISTS.items()),
        ],
        "$defs": {name: _finished(definition) for name, definition in definitions.items()},
    }


def _specs(kinds: Kinds) -> list[type[BaseModel]]:
    return [*kinds.sources.values(), *kinds.systems.values(), *kinds.use_cases.values()]


def _list(key: str, item: Schema) -> Schema:
    return {
        "type": "object",
        "title": key.capitalize(),
        "properties": {key: {"type": "array", "items": item}},
        "required": [key],
        "additionalProperties": False,
    }


def _connect(definition: Schema, kinds: Kinds, reference: Any) -> None:
    """Put the kinds' own schemas where the spec only says `dict`."""
    properties = definition["properties"]
    for key, known in (("sources", kinds.sources), ("systems", kinds.systems)):
        if key in properties:
            each = {"oneOf": [_of_kind(name, reference(spec)) for name, spec in known.items()]}
            properties[key]["patternProperties"] = {SLUG: each}
    if "use_cases" in properties:
        names = list(kinds.use_cases)
        options = {name: reference(spec) for name, spec in kinds.use_cases.items()}
        properties["use_cases"]["anyOf"] = [
            {"type": "array", "items": {"enum": names}},
            {"type": "object", "properties": options, "additionalProperties": False},
        ]


def _of_kind(name: str, reference: Schema) -> Schema:
    """`kind` is required in the model, although each spec has its own as a default."""
    return {
        "allOf": [reference],
        "properties": {"kind": {"const": name}},
        "required": ["kind"],
    }


def _finished(schema: Any) -> Any:
    """Allow `${NAME}` wherever a number or a truth value stands, and no name of another form."""
    match schema:
        case {"type": "integer" | "number" | "boolean"}:
            return {"anyOf": [schema, _VARIABLE]}
        case {"patternProperties": patterns}:
            inside = {pattern: _finished(value) for pattern, value in patterns.items()}
            return {**schema, "patternProperties": inside, "additionalProperties": False}
        case Mapping():
            return {key: _finished(value) for key, value in schema.items()}
        case list():
            return [_finished(value) for value in schema]
        case _:
            return schema
