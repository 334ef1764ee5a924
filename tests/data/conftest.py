"""A house per test, closed whatever happens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from isthmus.model.plant import Plant
from isthmus.testing.small_company import House, plant


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Open the same folder again, with another model if one is given."""
    opened: list[House] = []

    def make(model: Plant | None = None) -> House:
        for one in opened:
            one.close()
        opened[:] = [House(tmp_path, model or plant())]
        return opened[0]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    made = make_house()
    made.writer.verify()
    return made
