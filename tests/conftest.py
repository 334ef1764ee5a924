"""For all tests: the long ones first, so that parallel workers end together."""

from pathlib import Path

WHOLE = Path(__file__).parent / "whole"


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: WHOLE not in item.path.parents)
