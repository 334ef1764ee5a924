"""Opens what a command needs: the checked model, the sites' logs, the plant's clock."""

import json
import os
from pathlib import Path

from isthmus.apps.app import UseCase
from isthmus.apps.registry import CASES, USE_CASES
from isthmus.base.clock import Clock, Micros, ScaledClock, SystemClock
from isthmus.field.registry import SOURCE_KINDS
from isthmus.flow.log import SqliteLog
from isthmus.model.load import load
from isthmus.model.plant import Kinds, Need, Plant, Site
from isthmus.provision.systems import SYSTEM_KINDS
from isthmus.runtime.settings import NoModelError, Settings


def kinds() -> Kinds:
    """Everything that can be declared in this installation."""
    needs = {name: _needs(case) for name, case in CASES.items()}
    return Kinds(SOURCE_KINDS, SYSTEM_KINDS, USE_CASES, needs)


def _needs(case: UseCase) -> tuple[Need, ...]:
    """What a use case cannot do without: for each need, the combinations of `block.field`."""
    return tuple(
        tuple(tuple(f"{one.block}.{one.field}" for one in way) for way in need.any_of)
        for need in case.needs
        if need.required
    )


def load_plant(folder: Path) -> Plant:
    """The model of a folder; ProblemsError with all that is wrong."""
    return load(folder, kinds(), {**_demonstration(), **os.environ})


def demonstration(data: Path) -> Path:
    """The file in which `isthmus demo` notes where its devices listen.

    Its variables are set for its own platform only; a command in another terminal looks here.
    """
    return data / "demo" / "environment.json"


def _demonstration() -> dict[str, str]:
    file = demonstration(Settings.of().data)
    return json.loads(file.read_text()) if file.exists() else {}


def open_log(settings: Settings, site: Site) -> SqliteLog:
    settings.logs.mkdir(parents=True, exist_ok=True)
    return SqliteLog(settings.logs / f"{site.name}.sqlite", site.name, site.keep)


def clock(text: str | None = None) -> Clock:
    """The system's clock, or the demonstration's, given as `start,wall,speed`."""
    text = os.environ.get("ISTHMUS_CLOCK") if text is None else text
    if not text:
        return SystemClock()
    start, wall, speed = text.split(",")
    return ScaledClock(int(start), int(wall), float(speed))


def running_model(settings: Settings) -> Path:
    """The file in which the platform notes which model it runs, and at which clock."""
    return settings.data / "model.json"


def note_model(settings: Settings, folder: Path) -> None:
    """So that other commands on this data folder need not be told."""
    note = {"folder": str(folder.resolve()), "clock": os.environ.get("ISTHMUS_CLOCK", "")}
    running_model(settings).write_text(json.dumps(note))


def running_folder(settings: Settings) -> Path:
    """The folder of the model that the platform on this data folder runs."""
    return Path(json.loads(running_model(settings).read_text())["folder"])


def model_folder(asked: Path | None) -> Path:
    """The folder a person named, else the model that runs on this data folder, else here.

    NoModelError if there is nothing here.
    """
    settings = Settings.of()
    if asked is not None:
        return asked
    if running_model(settings).exists():
        return running_folder(settings)
    if not any(Path().rglob("*.y*ml")):
        raise NoModelError(
            f"no model: `{Path.cwd()}` has no YAML file, and no platform has run on "
            f"`{settings.data}`. Name the model's folder, or set ISTHMUS_DATA to the data folder "
            "of the platform."
        )
    return Path()


def plant_now() -> Micros:
    """Now, by the clock of the platform that runs on this data folder."""
    note = running_model(Settings.of())
    return clock(json.loads(note.read_text())["clock"] if note.exists() else None).now()
