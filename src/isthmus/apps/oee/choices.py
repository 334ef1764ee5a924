"""The tiles of the reason picker: few, and those this machine needs most first."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from isthmus.apps.app import Query
from isthmus.apps.oee.view import ReasonChoice
from isthmus.base.clock import DAY, Micros, to_datetime
from isthmus.model.plant import Machine, Plant

MOST_TILES: Final = 9
HISTORY: Final = 30 * DAY

_USED: Final = """
    SELECT machine, reason, count(*) AS used FROM stop_reason
    WHERE machine IN (SELECT unnest($machines::VARCHAR[])) AND "start" >= $since
    GROUP BY machine, reason
"""


def choices(
    query: Query, plant: Plant, machines: Sequence[Machine], *, now: Micros
) -> dict[str, tuple[ReasonChoice, ...]]:
    """At most nine reasons per machine, ranked by the last thirty days, then as in the model."""
    params = {"machines": [m.path for m in machines], "since": to_datetime(now - HISTORY)}
    used = Counter(
        {(row["machine"], row["reason"]): row["used"] for row in query(_USED, params).to_pylist()}
    )
    return {machine.path: _tiles(plant, machine, used) for machine in machines}


def _tiles(
    plant: Plant, machine: Machine, used: Counter[tuple[str, str]]
) -> tuple[ReasonChoice, ...]:
    tiles = [
        ReasonChoice(
            reason=reason.reason,
            label={str(lang): text for lang, text in reason.label.items()},
            category=reason.category,
            used=used[machine.path, reason.reason],
        )
        for reason in plant.reasons
        if not reason.types or machine.type in reason.types
    ]
    return tuple(sorted(tiles, key=lambda tile: -tile.used)[:MOST_TILES])
