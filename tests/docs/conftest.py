"""`make golden` (ISTHMUS_GOLDEN=write) rewrites the generated pages; review them as a diff."""

import os

import pytest


@pytest.fixture
def golden() -> bool:
    return os.environ.get("ISTHMUS_GOLDEN") == "write"
