"""Shifts and planned stops around now, as tables that SQL can join."""

from collections.abc import Mapping

import pyarrow as pa

from isthmus.base.clock import DAY, Micros
from isthmus.model.plant import Plant
from isthmus.provision.calendar import planned_down_table, shift_table

PAST = 70 * DAY
"""How far back shifts are laid out; facts older than this are not computed again."""
AHEAD = 14 * DAY


def dimensions(plant: Plant, now: Micros) -> Mapping[str, pa.Table]:
    """View name → table, as ARCHITECTURE.md lists them."""
    start, end = now - PAST, now + AHEAD
    return {
        "shift": shift_table(plant, start, end),
        "planned_down": planned_down_table(plant, start, end),
    }
