"""The data folder for commands that only read, whether the platform runs or not."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from isthmus.apps.oee.facts import OEE_FACT
from isthmus.base.clock import Micros
from isthmus.data.facts import FactKeeper
from isthmus.data.lake import Lake
from isthmus.flow.log_reader import LogReader
from isthmus.model.plant import Plant
from isthmus.provision.join import VIEWS
from isthmus.runtime.dimensions import dimensions
from isthmus.runtime.settings import Settings


@contextmanager
def reading(plant: Plant, now: Micros, *, facts: bool = True) -> Iterator[Lake]:
    """Lake and logs with everything SQL can see as of `now`; nothing is ever changed.

    With `facts`, hours that are newer than the stored facts are computed in memory.
    FileNotFoundError if no platform has run in this data folder.
    """
    settings = Settings.of()
    if not settings.lake.exists():
        raise FileNotFoundError(
            f"there is no data in {settings.data}: has the platform run here? ISTHMUS_DATA says"
            " where it keeps its data"
        )
    with ExitStack() as stack:
        files = {site: settings.logs / f"{site}.sqlite" for site in plant.sites}
        logs = {
            site: stack.enter_context(LogReader(file))
            for site, file in files.items()
            if file.exists()
        }
        lake = stack.enter_context(closing(Lake(settings.lake, logs, plant)))
        for name, table in dimensions(plant, now).items():
            lake.register(name, table)
        for name, sql in VIEWS.items():
            lake.define(name, sql)
        if facts:
            folder = settings.lake / OEE_FACT.name
            FactKeeper(lake, OEE_FACT, plant, folder, writable=False).refresh(now)
        yield lake
