from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import sqlalchemy as sa

pytest.register_assert_rewrite("isthmus.testing.connector_suite")


@pytest.fixture(scope="session")
def postgres_url():
    from isthmus.testing.databases import postgresql

    with postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url():
    from isthmus.testing.databases import mariadb

    with mariadb() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[sa.Engine]":
    """Of each kind that machines write; who fills it empties it again."""
    import sqlalchemy as sa

    fixtures = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}
    if request.param in fixtures:
        url = request.getfixturevalue(fixtures[request.param])
    else:
        url = sa.make_url(f"sqlite:///{tmp_path / 'cell.db'}")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()
