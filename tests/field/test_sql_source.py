"""A machine's database as a source: the contract over PostgreSQL and MariaDB, through a cable."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import ClassVar

import pytest
import sqlalchemy as sa

from isthmus.field.connectors.sql import SqlConnector, SqlSource
from isthmus.model.spec.site import SourceSpec
from isthmus.testing.connector_suite import ConnectorContract, Device, Value

META = sa.MetaData()
CYCLES = sa.Table(
    "cycle_log", META,
    sa.Column("nr", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime(timezone=False), nullable=False),
    sa.Column("melt_temp", sa.Double),
    sa.Column("program", sa.String(40)),
    sa.Column("parts", sa.BigInteger),
)  # fmt: skip
_WRITE = re.compile(
    rb"\b(INSERT|UPDATE|DELETE|MERGE|REPLACE|CREATE|DROP|ALTER|TRUNCATE|GRANT|CALL|LOCK|COPY)\b",
    re.IGNORECASE,
)


class Cell:
    """An old cell's computer: it writes its own table."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self.port = engine.url.port or 0

    async def set(self, tag: str, value: Value) -> None:
        await asyncio.to_thread(self.write, {tag: value})

    def write(self, values: dict[str, Value]) -> None:
        at = datetime.now(UTC).replace(tzinfo=None)
        with self._engine.begin() as connection:
            connection.execute(sa.insert(CYCLES).values(at=at, **values))


class DatabaseContract(ConnectorContract):
    """Over a database that listens on a port."""

    connector = SqlConnector
    tags: ClassVar[dict[str, Value]] = {"melt_temp": 231.5, "program": "lid 4", "parts": 12.0}
    change = ("melt_temp", 232.25)
    unknown = "no_such_column"
    lost_within = 8.0
    url: sa.URL

    def device(self) -> AbstractAsyncContextManager[Device]:
        return self._cell()

    @asynccontextmanager
    async def _cell(self) -> AsyncIterator[Device]:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        await asyncio.to_thread(META.create_all, engine)
        cell = Cell(engine)
        await asyncio.to_thread(cell.write, dict(self.tags))
        try:
            yield cell
        finally:
            await asyncio.to_thread(META.drop_all, engine)
            engine.dispose()

    def spec(self, host: str, port: int) -> SourceSpec:
        return SqlSource.model_validate(
            {
                "url": self._through(host, port), "table": "cycle_log", "time": "at",
                "order": "nr", "timezone": "UTC", "interval": "50 ms", "timeout": "2 s",
            }
        )  # fmt: skip

    def _through(self, host: str, port: int) -> str:
        return self.url.set(host=host, port=port).render_as_string(hide_password=False)

    def write_requests(self, sent: bytes) -> list[str]:
        return [found.decode() for found in _WRITE.findall(sent)]

    def refused_spec(self, host: str, port: int) -> SourceSpec | None:
        return self.spec(host, port).model_copy(update={"table": "no_such_table"})


class TestPostgresql(DatabaseContract):
    @pytest.fixture(autouse=True)
    def _url(self, postgres_url: sa.URL) -> None:
        self.url = postgres_url


class TestMariadb(DatabaseContract):
    @pytest.fixture(autouse=True)
    def _url(self, mariadb_url: sa.URL) -> None:
        self.url = mariadb_url
