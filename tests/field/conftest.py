import pytest

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
