"""What is already in memory: SQL over Arrow tables, and answers that a page has had before."""

from collections.abc import Mapping
from functools import cache

import duckdb
import pyarrow as pa

from isthmus.apps.app import Query


def ask(sql: str, params: dict[str, object] | None = None, /, **tables: pa.Table) -> pa.Table:
    """Answer `sql` over the tables given by name. Safe to call from threads."""
    with _database().cursor() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        # `execute` binds a statement once, `sql` twice.
        return connection.execute(sql, params or None).to_arrow_table()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One empty database; each cursor has its own names. Opening one costs more than most sums."""
    return duckdb.connect(config={"threads": 1})


def once(query: Query) -> Query:
    """For one page, in one thread: what was asked before is not asked again.

    Numbers of one page need the same hours again and again; they also fit together better when
    they come from the same answer.
    """
    known: dict[tuple[str, str], pa.Table] = {}

    def asked(sql: str, params: Mapping[str, object] | None = None) -> pa.Table:
        key = (sql, repr(params))
        if key not in known:
            known[key] = query(sql, params)
        return known[key]

    return asked
