"""The model as small tables that SQL can join: machines, sources, what states mean, shifts."""

from collections.abc import Mapping

import pyarrow as pa

from isthmus.base.clock import DAY, Micros
from isthmus.model.plant import Plant
from isthmus.provision.calendar import planned_down_table, shift_table

PAST = 70 * DAY
"""How far back shifts are laid out; facts older than this are not computed again."""
AHEAD = 14 * DAY


def dimensions(plant: Plant, now: Micros) -> Mapping[str, pa.Table]:
    """View name → table, as ARCHITECTURE.md lists them; shifts around `now`."""
    start, end = now - PAST, now + AHEAD
    return {
        "machine": machine_table(plant),
        "source": source_table(plant),
        "state_category": state_category_table(plant),
        "shift": shift_table(plant, start, end),
        "planned_down": planned_down_table(plant, start, end),
    }


def machine_table(plant: Plant) -> pa.Table:
    machines = list(plant.machines.values())
    return pa.table({
        "machine": pa.array([m.path for m in machines], pa.string()),
        "site": pa.array([m.site for m in machines], pa.string()),
        "area": pa.array([m.area for m in machines], pa.string()),
        "line": pa.array([m.line for m in machines], pa.string()),
        "type": pa.array([m.type for m in machines], pa.string()),
        "name": pa.array([m.name for m in machines], pa.string()),
        "timezone": pa.array([m.timezone for m in machines], pa.string()),
        "ideal_cycle_s": pa.array([m.ideal_cycle for m in machines], pa.float64()),
        "minor_stop_s": pa.array([m.minor_stop for m in machines], pa.float64()),
        "slow_factor": pa.array([m.slow_factor for m in machines], pa.float64()),
    })  # fmt: skip


def source_table(plant: Plant) -> pa.Table:
    sources = list(plant.sources.values())
    return pa.table({
        "source": pa.array([s.name for s in sources], pa.string()),
        "site": pa.array([s.site for s in sources], pa.string()),
        "kind": pa.array([s.spec.kind for s in sources], pa.string()),
    })  # fmt: skip


def state_category_table(plant: Plant) -> pa.Table:
    states = plant.state_categories
    return pa.table({
        "state": pa.array(list(states), pa.string()),
        "category": pa.array(list(states.values()), pa.string()),
    })  # fmt: skip
