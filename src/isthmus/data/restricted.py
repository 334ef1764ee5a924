"""SQL of people: one SELECT over our names, in a DuckDB of its own with nothing else in reach."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

_REACHING: Final = ("read_", "duckdb_", "pragma_", "parquet_", "sniff_", "which_", "iceberg_")
_REACHING_TOO: Final = frozenset(
    {"glob", "query", "query_table", "getenv", "current_setting", "getvariable", "checkpoint",
     "force_checkpoint", "seq_scan", "arrow_scan", "arrow_scan_dumb", "pandas_scan",
     "python_map_function", "test_all_types", "json_execute_serialized_sql"}
)  # fmt: skip


_IDENTIFIER: Final = re.compile(r"\w+")


class RefusedError(Exception):
    """This query is not run, or was stopped; the text says why, for the person who wrote it."""


@dataclass(frozen=True)
class Limits:
    """What one query of a person may take."""

    max_rows: int
    seconds: float
    memory: str


def run_restricted(
    sql: str, lake: Path, create: Callable[[duckdb.DuckDBPyConnection], None], limits: Limits
) -> pa.Table:
    """Run one SELECT; `create` makes the names known before the doors are closed."""
    with duckdb.connect(config={"threads": 1, "memory_limit": limits.memory}) as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET python_enable_replacements = false")
        db.execute("SET autoinstall_known_extensions = false")
        db.execute("SET autoload_known_extensions = false")
        db.execute("SET temp_directory = ''")
        check_select(db, sql)
        db.execute("SET allowed_directories = [$lake]", {"lake": str(lake.resolve())})
        db.execute("SET enable_external_access = false")
        create(db)
        db.execute("SET lock_configuration = true")
        try:
            with _stopped_after(db, limits.seconds):
                found = db.sql(sql).limit(limits.max_rows + 1).to_arrow_table()
        except duckdb.InterruptException:
            raise RefusedError(
                f"stopped after {limits.seconds:g} s: narrow it by machine or time"
            ) from None
        except duckdb.Error as error:
            raise RefusedError(str(error)) from None
    cut = found.num_rows > limits.max_rows
    return found.slice(0, limits.max_rows).replace_schema_metadata({"truncated": str(cut).lower()})


def truncated(table: pa.Table) -> bool:
    """Whether `user_query` had more rows than it gave."""
    return (table.schema.metadata or {}).get(b"truncated") == b"true"


def check_select(db: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse anything but one SELECT that calls nothing which reaches out of the tables."""
    try:
        statements = db.extract_statements(sql)
    except duckdb.Error as error:
        raise RefusedError(str(error)) from None
    if len(statements) != 1:
        raise RefusedError(f"write one SELECT; this is {len(statements)} statements")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        raise RefusedError(f"{kind} is not allowed here: only SELECT, nothing is ever changed")
    row = db.execute("SELECT json_serialize_sql($sql)", {"sql": statements[0].query}).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise RefusedError("only a plain SELECT is allowed here")
    for name in _named(tree, "function_name"):
        if name.startswith(_REACHING) or name.endswith("_scan") or name in _REACHING_TOO:
            raise RefusedError(f"`{name}` is not allowed here: query the tables by name")
    for name in _named(tree, "table_name"):
        if not _IDENTIFIER.fullmatch(name):
            raise RefusedError(f"`{name}` is no table: files are not opened here")


def _named(tree: Any, key: str) -> Iterator[str]:
    """Values of a key anywhere in a serialised statement."""
    if isinstance(tree, dict):
        name = tree.get(key)
        if isinstance(name, str) and name:
            yield name.lower()
        for value in tree.values():
            yield from _named(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from _named(value, key)


@contextmanager
def _stopped_after(db: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, db.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
