"""People's SQL over everything the lake knows: one SELECT, read only, bounded."""

import csv
import io
import json
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from isthmus.base.clock import iso, to_micros
from isthmus.data.restricted import RefusedError, truncated
from isthmus.web.api.asked import JsonOnly, Running
from isthmus.web.api.errors import Answer, ApiError
from isthmus.web.gate import Requires

router = APIRouter(tags=["sql"])

CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"
JSON: Final = "application/json"
TOGETHER: Final = 2
"""Queries of people that run at the same time: each may take 512 MB."""
WAIT_SECONDS: Final = 5.0

_PLACES: Final = threading.BoundedSemaphore(TOGETHER)


class SqlIn(BaseModel):
    """One SELECT; the tables are those of ARCHITECTURE.md."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(
        min_length=1,
        max_length=50_000,
        examples=["SELECT machine, sum(good) AS good FROM part_count GROUP BY machine"],
    )
    max_rows: int = Field(default=10_000, ge=1, le=100_000)


class ColumnOut(BaseModel):
    """A column of the answer; types are Arrow's."""

    name: str = Field(examples=["good"])
    type: str = Field(examples=["int64"])


class SqlOut(BaseModel):
    """Times are ISO 8601 in UTC; what JSON has no number for (NaN, infinity) is null."""

    columns: list[ColumnOut]
    rows: list[dict[str, Any]]
    truncated: bool = Field(description="There were more than `max_rows`.")


_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": SqlOut,
        "description": f"As `Accept` asks: JSON, `{CSV}`, or an Arrow stream (`{ARROW}`).",
        "content": {CSV: {"schema": {"type": "string"}}, ARROW: {}},
    },
    503: {"model": Answer, "description": "Too many queries at once; try again."},
}


@router.post("/sql", responses=_RESPONSES, dependencies=[Depends(Requires("engineer")), JsonOnly])
def post_sql(request: Request, platform: Running, body: SqlIn) -> Response:
    """Answer one SELECT; nothing is ever changed. Needs the role engineer."""
    form = _form(request.headers.get("accept", ""))
    with _place():
        try:
            found = platform.lake.user_query(body.sql, max_rows=body.max_rows)
        except RefusedError as error:
            raise ApiError(400, "sql_refused", str(error), _hint(str(error))) from None
    twice = {name for name in found.column_names if found.column_names.count(name) > 1}
    if twice:
        raise ApiError(
            400, "column_twice", f"two columns are called `{min(twice)}`", "name them with AS"
        )
    return _answer(found, form)


@contextmanager
def _place() -> Iterator[None]:
    if not _PLACES.acquire(timeout=WAIT_SECONDS):
        raise ApiError(503, "busy", f"{TOGETHER} queries are running already", "try again later")
    try:
        yield
    finally:
        _PLACES.release()


def _form(accept: str) -> str:
    """The first form in `Accept` that we can give; anything else gets JSON."""
    asked = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((form for form in asked if form in {CSV, ARROW, JSON}), JSON)


def _hint(said: str) -> str:
    return "tables: docs/concepts or `SELECT * FROM machine`" if "does not exist" in said else ""


def _answer(found: pa.Table, form: str) -> Response:
    headers = {"X-Truncated": str(truncated(found)).lower()}
    match form:
        case "text/csv":
            return Response(_csv(found), 200, headers, f"{CSV}; charset=utf-8")
        case "application/vnd.apache.arrow.stream":
            return Response(_arrow(found), 200, headers, ARROW)
        case _:
            return Response(_json(found), 200, headers, JSON)


def _json(found: pa.Table) -> bytes:
    answer = {
        "columns": [{"name": field.name, "type": str(field.type)} for field in found.schema],
        "rows": [{name: plain(value) for name, value in row.items()} for row in found.to_pylist()],
        "truncated": truncated(found),
    }
    return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()


def _csv(found: pa.Table) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")  # RFC 4180
    lines.writerow(found.column_names)
    for row in found.to_pylist():
        lines.writerow([_cell(plain(value)) for value in row.values()])
    return text.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _arrow(found: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line per type
    """A value of a table as JSON has it."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return iso(to_micros(value)) if value.tzinfo else value.isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)
