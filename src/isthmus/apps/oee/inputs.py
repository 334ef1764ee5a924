"""What the OEE queries take from the lake, in the one form they expect."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from isthmus.apps.app import Query
from isthmus.base.clock import DAY, Micros, to_datetime
from isthmus.model.plant import Machine, Plant

COUNTS = ("produced", "good", "scrap", "rework")

HORIZONS: tuple[Micros | None, ...] = (DAY, 8 * DAY, 64 * DAY, None)
"""How far to look back for the last state change: most machines changed today, a machine that has
been standing since spring is found in the last step."""


@dataclass(frozen=True)
class Held:
    """The state that held when a window began, and since when."""

    machine: str
    state: str | None
    since: Micros


def sql_text(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def statement(plant: Plant, *names: str) -> str:
    """One SQL statement from the files of this folder, behind the inputs they read."""
    parts = [f"state_row AS ({_state_rows(plant)})", f"part_row AS ({_part_rows(plant)})"]
    return "WITH " + ",\n".join(parts) + ",\n" + "".join(sql_text(name) for name in names)


def window_params(
    query: Query,
    plant: Plant,
    machines: Sequence[Machine],
    start: Micros,
    end: Micros,
    *,
    beginnings: bool = False,
) -> dict[str, object]:
    """The parameters of window.sql: which machines, which time, and what held at its start."""
    paths = [machine.path for machine in machines]
    held = states_before(query, plant, paths, start, beginnings=beginnings)
    materials = _declared_cycles(plant)
    return {
        **_span(start, end),
        "machines": paths,
        "held_machines": [one.machine for one in held],
        "held_states": [one.state for one in held],
        "held_since": [one.since for one in held],
        "material_keys": [key for key, _, _ in materials],
        "material_types": [kind for _, kind, _ in materials],
        "material_cycles": [seconds for _, _, seconds in materials],
    }


def count_params(machines: Sequence[Machine]) -> dict[str, object]:
    """Which counts each machine has at all: what it does not count is unknown, not zero."""
    mapped = [{field.field for field in m.maps if field.block == "part_count"} for m in machines]
    return {f"counts_{name}": [name in fields for fields in mapped] for name in COUNTS[:3]}


def states_before(
    query: Query,
    plant: Plant,
    machines: Sequence[str],
    moment: Micros,
    *,
    beginnings: bool = False,
) -> list[Held]:
    """The state of each machine before `moment`, of those that had one.

    `beginnings` looks back until the activity began; otherwise `since` may be a later row.
    """
    wanted = set(machines)
    found: dict[str, Held] = {}
    for horizon in HORIZONS:
        if not wanted:
            break
        start = moment - horizon if horizon else 0
        params = {**_span(start, moment), "machines": sorted(wanted)}
        held = query(f"WITH state_row AS ({_state_rows(plant)}),\n{sql_text('held')}", params)
        for row in held.to_pylist():
            found[row["machine"]] = Held(row["machine"], row["state"], row["since"])
            if row["settled"] or not beginnings:
                wanted.discard(row["machine"])
    return list(found.values())


def _span(start: Micros, end: Micros) -> dict[str, object]:
    return {
        "start": start,
        "end": end,
        "first_date": to_datetime(start).date(),
        "last_date": to_datetime(end).date(),
    }


def _state_rows(plant: Plant) -> str:
    if "machine_state" not in plant.blocks:
        return (
            "SELECT '' AS machine, 0::BIGINT AS t, '' AS state, 0 AS quality,"
            " NULL::TIMESTAMPTZ AS received WHERE false"
        )
    return (
        "SELECT machine, epoch_us(time) AS t, state, _quality AS quality, _received AS received"
        f" FROM machine_state WHERE {_IN_WINDOW}"
    )


def _part_rows(plant: Plant) -> str:
    """A company's block may lack some of the counts: they read as NULL."""
    block = plant.blocks.get("part_count")
    there = set(block.fields) if block else set()
    columns = ", ".join(name if name in there else f"NULL::BIGINT AS {name}" for name in COUNTS)
    if block is None:
        return f"SELECT '' AS machine, 0::BIGINT AS t, {columns} WHERE false"
    return f"SELECT machine, epoch_us(time) AS t, {columns} FROM part_count WHERE {_IN_WINDOW}"


# `_date` lets the lake skip whole partitions before it opens a file.
_IN_WINDOW = (
    "_date BETWEEN $first_date AND $last_date"
    " AND time >= make_timestamptz($start::BIGINT) AND time < make_timestamptz($end::BIGINT)"
    " AND machine IN (SELECT unnest($machines::VARCHAR[]))"
)


def _declared_cycles(plant: Plant) -> list[tuple[str, str, float]]:
    """(material, machine type or "" for all, seconds per item), as the model says."""
    cycles = []
    for key, material in plant.materials.items():
        match material.ideal_cycle:
            case None:
                pass
            case float(seconds):
                cycles.append((key, "", seconds))
            case by_type:
                cycles += [(key, kind, seconds) for kind, seconds in by_type.items()]
    return cycles
