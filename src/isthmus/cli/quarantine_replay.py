"""Who replays: the platform that runs, through its control socket, or else we ourselves."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isthmus.base.problem import ProblemsError
from isthmus.cli.quarantine import refuse
from isthmus.data.writer import Writer
from isthmus.flow.contract import Full, OvertakenError
from isthmus.flow.log_file import BusyError
from isthmus.flow.log_reader import LogReader
from isthmus.flow.parcel import DamagedError
from isthmus.model.plant import Plant
from isthmus.runtime.control import NotRunning, ask
from isthmus.runtime.open import load_plant, model_folder, open_log, plant_now
from isthmus.runtime.release import carry_out, plan, sourced
from isthmus.runtime.settings import Settings

_REFUSALS: Final = (
    LookupError, ProblemsError, DamagedError, BusyError, Full, OvertakenError, FileNotFoundError,
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a person wants to have shaped again."""

    source: str
    start: int
    end: int
    model: Path | None


def planned(asked: Asked) -> Mapping[str, Any]:
    """What would become of it; nothing is written."""
    return _answer(asked, dry=True)


def done(asked: Asked) -> Mapping[str, Any]:
    """What has become of it."""
    return _answer(asked, dry=False)


def told(found: Mapping[str, Any], *, done: bool) -> str:
    """The answer as people read it."""
    lines = [f"{found['samples']} samples of `{found['source']}` were put aside"]
    if not found["samples"]:
        return f"Nothing of `{found['source']}` was put aside in this time."
    rows = ", ".join(f"{block} {count}" for block, count in found["rows"].items())
    became = "became rows" if done else "would become rows"
    lines.append(f"  {found['released']} {became}{f': {rows}' if rows else ''}")
    staying = found["samples"] - found["released"]
    lines.append(f"  {staying} {'stay' if done else 'would stay'} there")
    lines += [f"    {one['samples']}: {_why(one)}" for one in found["stays"]]
    if done:
        lines.append("Facts of the hours they belong to are computed anew.")
    return "\n".join(lines)


_WHY: Final = {
    "refused": "still refused: {detail}",
    "counted": "readings of the counter `{detail}`: the next one that was believed has counted"
    " their parts, they would count twice",
    "not_yet": "readings of the counter `{detail}`: the next one that is believed will count their"
    " parts, they would count twice",
    "unproven": "readings of the counter `{detail}`: it was reset in between, or none was believed"
    " in the day before; parts that only they show may be in no row",
    "unmapped": "no field of the model takes `{detail}`",
    "overwritten": "another field of the block went bad afterwards, and its row says what"
    " `{detail}` was taken for then; a late row cannot take that back",
    "raw": "their raw samples are not kept any more (`keep` of the site), or nobody told them",
    "derived": "`{detail}` follows from other signals by an expression, at the time they come",
    "in_order": "kept raw alone; what this source tells follows from several signals in the order"
    " they came (rules, expressions, states beside other fields), which is over",
    "fails": "kept raw alone; shaping them fails still: {detail}",
    "unclear": "noted by an earlier version, which did not say how the ledger counts them",
}


def _why(one: Mapping[str, Any]) -> str:
    return _WHY[one["because"]].format(detail=one["detail"])


def _answer(asked: Asked, *, dry: bool) -> Mapping[str, Any]:
    settings = Settings.of()
    question = {
        "do": "replay", "source": asked.source, "from": asked.start, "to": asked.end, "dry": dry,
    }  # fmt: skip
    try:
        answer = asyncio.run(ask(settings.control, question))
    except NotRunning:
        return _ourselves(asked, settings, dry=dry)
    if "error" in answer:
        refuse(f"error: {answer['error']}")
    return answer


def _ourselves(asked: Asked, settings: Settings, *, dry: bool) -> Mapping[str, Any]:
    try:
        plant = load_plant(model_folder(asked.model))
        return _looked(asked, plant, settings) if dry else _carried_out(asked, plant, settings)
    except _REFUSALS as refused:
        refuse(f"error: {refused}")


def _looked(asked: Asked, plant: Plant, settings: Settings) -> Mapping[str, Any]:
    source = sourced(plant, asked.source)
    with LogReader(_file(settings, source.site)) as log:
        return plan(log, source, plant, asked.start, asked.end).as_dict()


def _carried_out(asked: Asked, plant: Plant, settings: Settings) -> Mapping[str, Any]:
    source = sourced(plant, asked.source)
    _file(settings, source.site)
    with closing(open_log(settings, plant.sites[source.site])) as log:
        now = plant_now()
        # A log that was restored must get its new epoch before it takes rows.
        Writer(settings.lake, {source.site: log}, plant).verify(now)
        found = plan(log, source, plant, asked.start, asked.end)
        carry_out(log, found, now)
    return found.as_dict()


def _file(settings: Settings, site: str) -> Path:
    file = settings.logs / f"{site}.sqlite"
    if not file.exists():
        raise FileNotFoundError(
            f"there is no log of `{site}` in {settings.data}: has the platform run here?"
            " ISTHMUS_DATA says where it keeps its data"
        )
    return file
