"""The reference page of the REST API, made from its OpenAPI description."""

import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final

from tests.docs.pages import cell, made_from

from isthmus import __version__
from isthmus.web.api import PREFIX, create_api


def openapi() -> dict[str, Any]:
    web: Any = SimpleNamespace(platform=SimpleNamespace(version=__version__))
    found: dict[str, Any] = create_api(web).openapi()
    return found


def endpoints(described: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


_HEAD: Final = f"""\
# Endpoints

All are below `{PREFIX}`. How to sign in, times, paging and errors: [REST API](api.md). The same for
programs: `GET {PREFIX}/openapi.json`.

`GET /healthz`, outside of it and without a token, answers
`{{"status": "starting" | "ready" | "degraded", "version": …}}`.
"""


def endpoints_page() -> str:
    described = openapi()
    lines = [made_from("the OpenAPI description"), _HEAD]
    for method, path, operation in endpoints(described):
        lines += _endpoint(method, path, operation)
    lines += ["## Answers", ""]
    for name, schema in sorted(described["components"]["schemas"].items()):
        if "properties" in schema:
            lines += _schema(name, schema)
    return "\n".join(lines)


def _endpoint(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {method} {path}", "")
    yield from (_text(operation.get("description", operation.get("summary", ""))), "")
    parameters = operation.get("parameters", [])
    if parameters:
        yield from ("| parameter | | default | |", "|---|---|---|---|")
        for one in parameters:
            schema = one["schema"]
            default = "**required**" if one.get("required") else _json(schema.get("default"))
            words = one.get("description", schema.get("description", ""))
            yield f"| `{one['name']}` | {_kind(schema)} | {default} | {cell(words)} |"
        yield ""
    for body in operation.get("requestBody", {}).get("content", {}).values():
        yield from (f"Send: {_kind(body['schema'])}", "")
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield from (f"Answers {status}: {_answers(answer)}", "")


def _answers(answer: Mapping[str, Any]) -> str:
    content = answer.get("content", {})
    told = [
        f"{_kind(one['schema'])}" if "schema" in one and kind == "application/json" else f"`{kind}`"
        for kind, one in content.items()
    ]
    return " or ".join(told) or "nothing"


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "", _text(schema.get("description", "")), "")
    yield from ("| field | | |", "|---|---|---|")
    for field, one in schema["properties"].items():
        yield f"| `{field}` | {_kind(one)} | {cell(one.get('description', ''))} |"
    yield ""


_WORDS: Final = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "`true`/`false`",
    "object": "object", "null": "null",
}  # fmt: skip


def _kind(schema: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one line per form
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": branches} | {"oneOf": branches}:
            return " or ".join(dict.fromkeys(_kind(each) for each in branches))
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"type": "object", "additionalProperties": {**inside}} if inside:
            return f"name → {_kind(inside)}"
        case {"type": kind}:
            return _WORDS.get(str(kind), str(kind))
        case _:
            return "anything"


def _json(value: Any) -> str:
    return "" if value is None or value == "" else f"`{json.dumps(value, ensure_ascii=False)}`"


def _text(text: str) -> str:
    return text.strip()
