"""`pytest tests/model --golden`, or `make golden`, writes what the golden tests expect."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="rewrite expected files")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> bool:
    wanted = bool(request.config.getoption("--golden", default=False))
    return wanted or os.environ.get("ISTHMUS_GOLDEN") == "write"
