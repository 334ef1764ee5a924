"""A small plant built by hand, so that a test shows all that matters to it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import settings

from isthmus.model.plant import Machine, Plant, Site
from isthmus.model.spec.calendar import Calendar
from isthmus.model.spec.site import Keep

# A loaded machine is no fault of the code; speed is measured in bench/.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MakePlant = Callable[..., Plant]


def make_machine(path: str, calendars: tuple[Calendar, ...] = (), zone: str = "UTC") -> Machine:
    _, site, area, line, name = path.split("/")
    return Machine(
        path, name, site, area, line, "press", "plc", (), (), None, calendars, zone, 120.0, 1.3
    )


def make_plant(machines: list[Machine], zone: str = "UTC", calendars: tuple = ()) -> Plant:
    def site(name: str) -> Site:
        empty: Mapping = MappingProxyType({})
        return Site(name, name, zone, Keep(), calendars, empty, empty, empty, empty)

    names = dict.fromkeys(machine.site for machine in machines) or {"hamburg": None}
    empty: Mapping = MappingProxyType({})
    return Plant(
        "acme", "ACME", zone, "en",
        {name: site(name) for name in names},
        {machine.path: machine for machine in machines},
        empty, empty, empty, empty, empty, empty,
    )  # fmt: skip


@pytest.fixture
def machine() -> Callable[..., Machine]:
    return make_machine


@pytest.fixture
def plant() -> MakePlant:
    return make_plant


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared"
    if not folder.is_dir():
        pytest.skip("the recordings are not here: no folder `shared` beside the repository")
    return folder
