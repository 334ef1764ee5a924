"""Opens what a command needs: the checked model, the sites' logs, the lake."""

from pathlib import Path

from isthmus.apps.registry import USE_CASES
from isthmus.field.registry import SOURCE_KINDS
from isthmus.flow.log import SqliteLog
from isthmus.model.load import load
from isthmus.model.plant import Kinds, Plant, Site
from isthmus.provision.systems import SYSTEM_KINDS
from isthmus.runtime.settings import Settings


def kinds() -> Kinds:
    """Everything that can be declared in this installation."""
    return Kinds(sources=SOURCE_KINDS, systems=SYSTEM_KINDS, use_cases=USE_CASES)


def load_plant(folder: Path) -> Plant:
    """The model of a folder; ProblemsError with all that is wrong."""
    return load(folder, kinds())


def open_log(settings: Settings, site: Site) -> SqliteLog:
    settings.logs.mkdir(parents=True, exist_ok=True)
    return SqliteLog(settings.logs / f"{site.name}.sqlite", site.name, site.keep)
