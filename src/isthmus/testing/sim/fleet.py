"""Which machines the reference company has, how each behaves, and when it is planned to work.

The shift times here are written down a second time on purpose: the truth must not be computed by
the code it is there to check.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

from isthmus.base.clock import Micros, to_datetime, to_micros
from isthmus.testing.sim.machine import Character, Event, Order, Planned, live

Wire = Literal["opcua_k", "opcua_a", "modbus", "mtconnect", "mqtt_cell", "mqtt_robot"]


@dataclass(frozen=True)
class SimMachine:
    """One machine of the fleet."""

    path: str
    wire: Wire
    source: str
    root: str
    """What the machine is called in its own address space."""
    materials: tuple[str, ...]
    character: Character
    pattern: str


@dataclass(frozen=True)
class SimMaterial:
    """What the ERP knows about a part."""

    number: str
    name: str
    ideal_cycle_s: float


MATERIALS = {
    material.number: material
    for material in (
        SimMaterial("400110", "Gehäuse schwarz 120 mm", 28.0),
        SimMaterial("400120", "Gehäuse weiß 120 mm", 28.0),
        SimMaterial("400210", "Deckel grün", 21.0),
        SimMaterial("400310", "Zahnrad POM Ø 42", 34.0),
        SimMaterial("400330", "Lüfterrad 7-flügelig", 39.0),
        SimMaterial("400410", "Stoßfängerclip", 18.0),
        SimMaterial("500010", "Welle Ø 30 gehärtet", 210.0),
        SimMaterial("500020", "Flansch geschliffen", 165.0),
        SimMaterial("500030", "Ventilblock 6-fach", 320.0),
        SimMaterial("600010", "Baugruppe Lüfter", 24.0),
        SimMaterial("600020", "Baugruppe Pumpe", 41.0),
    )
}

SITE_ZONES = {"hamburg": ZoneInfo("Europe/Berlin"), "graz": ZoneInfo("Europe/Vienna")}

# Local wall time: shift name, start, end, breaks.
PATTERNS: dict[str, tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...]] = {
    "hamburg": (
        ("early", "06:00", "14:00", (("10:00", "10:30"),)),
        ("late", "14:00", "22:00", (("18:00", "18:30"),)),
        ("night", "22:00", "06:00", (("02:00", "02:30"),)),
    ),
    "graz-machining": (
        ("early", "05:30", "13:30", (("09:00", "09:20"),)),
        ("late", "13:30", "21:30", (("17:30", "17:50"),)),
        ("night", "21:30", "05:30", (("01:30", "01:50"),)),
    ),
    "graz-assembly": (
        ("early", "06:00", "14:00", (("09:30", "09:45"), ("12:00", "12:30"))),
        ("late", "14:00", "22:00", (("18:00", "18:30"),)),
        ("night", "22:00", "06:00", (("02:00", "02:30"),)),
    ),
}

_NEW = Character()
_WORN = Character(
    scrap=0.035, breakdown_every=2.2 * 3600, minor_every=20 * 60, breakdown_lasts=20 * 60
)
_OLD = Character(scrap=0.05, breakdown_every=3 * 3600, minor_every=3600, setup_lasts=45 * 60)
_MILL = Character(
    scrap=0.01, breakdown_every=6 * 3600, minor_every=2 * 3600, minor_lasts=60, setup_lasts=50 * 60,
    breakdown_reasons=("insert_worn", "coolant", "program_fault"), pauses=False,
)  # fmt: skip
_CELL = Character(
    scrap=0.015, breakdown_every=3.5 * 3600, minor_every=15 * 60, setup_lasts=15 * 60,
    breakdown_reasons=("robot_gripper", "screwdriver", "sensor_fault"),
)  # fmt: skip


def _injection(number: int, line: int, wire: Wire, source: str, character: Character) -> SimMachine:
    return SimMachine(
        f"acme/hamburg/moulding/line-{line}/im-{number:02}", wire, source, f"IM{number:02}",
        ("400110", "400120", "400210", "400310", "400330", "400410"), character, "hamburg",
    )  # fmt: skip


FLEET: tuple[SimMachine, ...] = (
    _injection(1, 1, "opcua_k", "im-01", _NEW),
    _injection(2, 1, "opcua_k", "im-02", _NEW),
    _injection(3, 1, "opcua_k", "im-03", _WORN),
    _injection(4, 2, "opcua_a", "line-2-gateway", _NEW),
    _injection(5, 2, "opcua_a", "line-2-gateway", _WORN),
    _injection(6, 2, "opcua_a", "line-2-gateway", _NEW),
    SimMachine(
        "acme/hamburg/moulding/line-3/press-1", "modbus", "press-1", "P1", ("400210", "400410"),
        _OLD, "hamburg",
    ),
    SimMachine(
        "acme/hamburg/moulding/line-3/press-2", "modbus", "press-2", "P2", ("400210", "400410"),
        _OLD, "hamburg",
    ),
    *(
        SimMachine(
            f"acme/graz/machining/line-1/mc-{n}", "mtconnect", "machining-agent", f"MC{n}",
            ("500010", "500020", "500030"), _MILL, "graz-machining",
        )
        for n in (1, 2, 3)
    ),
    SimMachine(
        "acme/graz/assembly/line-2/cell-a", "mqtt_cell", "cell-a", "a", ("600010",), _CELL,
        "graz-assembly",
    ),
    SimMachine(
        "acme/graz/assembly/line-2/cell-b", "mqtt_robot", "cell-b", "b", ("600020",), _CELL,
        "graz-assembly",
    ),
)  # fmt: skip

MACHINES = {machine.path: machine for machine in FLEET}


@dataclass(frozen=True)
class SimShift:
    """One shift in elapsed time."""

    name: str
    day: date
    start: Micros
    end: Micros
    breaks: tuple[tuple[Micros, Micros], ...]


def shifts_of_day(machine: SimMachine, day: date) -> list[SimShift]:
    """The shifts that start on this local day."""
    return list(_shifts_of_day(machine.pattern, machine.path.split("/")[1], day))


@cache
def _shifts_of_day(pattern: str, site: str, day: date) -> tuple[SimShift, ...]:
    zone = SITE_ZONES[site]

    def at(wall: str, after: Micros | None) -> Micros:
        moment = to_micros(datetime.combine(day, time.fromisoformat(wall), zone))
        if after is not None and moment <= after:
            moment = to_micros(datetime.combine(day + timedelta(1), time.fromisoformat(wall), zone))
        return moment

    shifts = []
    for name, start, end, breaks in PATTERNS[pattern]:
        begin = at(start, None)
        spans = tuple((at(first, begin), at(last, at(first, begin))) for first, last in breaks)
        shifts.append(SimShift(name, day, begin, at(end, begin), spans))
    return tuple(shifts)


def planned(machine: SimMachine) -> Planned:
    """What is planned for this machine at a time, and until when."""
    zone = SITE_ZONES[machine.path.split("/")[1]]

    def at(moment: Micros) -> tuple[Literal["work", "break", "off"], Micros]:
        today = to_datetime(moment).astimezone(zone).date()
        days = (today - timedelta(1), today, today + timedelta(1))
        shifts = [shift for day in days for shift in shifts_of_day(machine, day)]
        for shift in shifts:
            if shift.start <= moment < shift.end:
                for start, end in shift.breaks:
                    if start <= moment < end:
                        return "break", end
                edges = [start for start, _ in shift.breaks if start > moment]
                return "work", min([*edges, shift.end])
        return "off", min(shift.start for shift in shifts if shift.start > moment)

    return at


def orders(machine: SimMachine, seed: int) -> Iterator[Order]:
    """The orders this machine gets, one after another, for ever; about half a day each."""
    chance = random.Random(f"{seed}/{machine.path}/orders")
    number = 0
    prefix = 10_000 + 100 * FLEET.index(machine)
    while True:
        material = MATERIALS[chance.choice(machine.materials)]
        hours = chance.uniform(9, 20)
        quantity = max(20, round(hours * 3600 * 0.8 / material.ideal_cycle_s / 10) * 10)
        number += 1
        yield Order(f"FA{prefix + number}", material.number, quantity, material.ideal_cycle_s)


def events(machine: SimMachine, seed: int, start: Micros) -> Iterator[Event]:
    """Everything that happens to one machine from `start` on."""
    return live(
        f"{seed}/{machine.path}", start, planned(machine), machine.character, orders(machine, seed)
    )
