"""SQL over Arrow tables that are already in memory; for sums too small to bother the lake with."""

from functools import cache

import duckdb
import pyarrow as pa


def ask(sql: str, params: dict[str, object] | None = None, /, **tables: pa.Table) -> pa.Table:
    """Answer `sql` over the tables given by name. Safe to call from threads."""
    with _database().cursor() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(sql, params=params or {}).to_arrow_table()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One empty database; each cursor has its own names. Opening one costs more than most sums."""
    return duckdb.connect(config={"threads": 1})
