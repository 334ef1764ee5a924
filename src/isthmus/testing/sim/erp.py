"""The reference company's ERP: a database of its own schema, German, late and sometimes wrong."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from isthmus.base.clock import DAY, HOUR, MINUTE, SECOND, Micros, to_datetime
from isthmus.testing.sim.fleet import FLEET, MATERIALS, SimMachine, events, orders
from isthmus.testing.sim.machine import Order, OrderEnd, OrderStart

METADATA = sa.MetaData()
MATERIAL = sa.Table(
    "material", METADATA,
    sa.Column("matnr", sa.String(18), primary_key=True),
    sa.Column("bezeichnung", sa.String(80), nullable=False),
    sa.Column("einheit", sa.String(3), nullable=False),
    sa.Column("vorgabezeit_s", sa.Float),
    sa.Column("geaendert", sa.DateTime, nullable=False),
)  # fmt: skip
FAUF = sa.Table(
    "fauf", METADATA,
    sa.Column("fauf_nr", sa.String(12), primary_key=True),
    sa.Column("matnr", sa.String(18), nullable=False),
    sa.Column("menge", sa.Float, nullable=False),
    sa.Column("einheit", sa.String(3), nullable=False),
    sa.Column("termin", sa.DateTime),
    sa.Column("status", sa.String(4), nullable=False),
    sa.Column("geaendert", sa.DateTime, nullable=False),
)  # fmt: skip
VORGANG = sa.Table(
    "vorgang", METADATA,
    sa.Column("fauf_nr", sa.String(12), primary_key=True),
    sa.Column("vorgang_nr", sa.String(4), primary_key=True),
    sa.Column("arbeitsplatz", sa.String(8), nullable=False),
    sa.Column("matnr", sa.String(18), nullable=False),
    sa.Column("menge", sa.Float, nullable=False),
    sa.Column("plan_beginn", sa.DateTime),
    sa.Column("plan_ende", sa.DateTime),
    sa.Column("ist_beginn", sa.DateTime),
    sa.Column("ist_ende", sa.DateTime),
    sa.Column("vorgabezeit_s", sa.Float),
    sa.Column("geaendert", sa.DateTime, nullable=False),
)  # fmt: skip
"""All times are UTC without a zone, as databases of that age have them."""

ORDERS_AT_START = 60


def work_centre(machine: SimMachine) -> str:
    """The ERP's own key of a machine, e.g. `HH-IM-01`."""
    site = {"hamburg": "HH", "graz": "GZ"}[machine.path.split("/")[1]]
    return f"{site}-{machine.path.rsplit('/', 1)[1].upper()}"


@dataclass(frozen=True)
class Booking:
    """What the ERP knows of one order after somebody booked something."""

    recorded: Micros
    order: Order
    work_centre: str
    planned_start: Micros
    planned_end: Micros
    start: Micros | None = None
    end: Micros | None = None


def bookings(machine: SimMachine, seed: int, start: Micros) -> Iterator[Booking]:
    """All bookings of one machine's orders; not in the order in which they are recorded.

    A start is booked minutes late, one in ten hours late, one in twelve first on the wrong
    machine of the plant and corrected two hours afterwards. Who books a start books the end of
    the order before it at the same time.
    """
    chance = random.Random(f"{seed}/{machine.path}/erp")
    own = work_centre(machine)
    site = machine.path.split("/")[1]
    others = [work_centre(m) for m in FLEET if m.path.split("/")[1] == site and m is not machine]
    ended: Booking | None = None
    running: Booking | None = None
    for event in events(machine, seed, start):
        match event:
            case OrderStart(time=time, order=order):
                running = replace(_plan(order, own, time), start=time)
                late = _delay(chance)
                if chance.random() < 1 / 12:
                    wrong = chance.choice(others)
                    yield replace(running, recorded=time + late, work_centre=wrong)
                    late += 2 * HOUR
                if ended is not None:
                    yield replace(ended, recorded=time + late)
                yield replace(running, recorded=time + late)
            case OrderEnd(time=time) if running is not None:
                ended = replace(running, end=time)
            case _:
                continue


def _delay(chance: random.Random) -> Micros:
    if chance.random() < 0.1:
        return round(chance.uniform(1, 4) * HOUR)
    return round(chance.uniform(1, 12) * MINUTE)


def _plan(order: Order, centre: str, near: Micros) -> Booking:
    planned = near - near % (15 * MINUTE)
    length = round(order.quantity * order.ideal_cycle_s * 1.25) * SECOND
    return Booking(near, order, centre, planned, planned + length)


def planned_orders(seed: int, start: Micros) -> Iterator[Booking]:
    """The orders that are in the ERP before the first one starts."""
    share, more = divmod(ORDERS_AT_START, len(FLEET))
    for number, machine in enumerate(FLEET):
        begin = start
        coming = orders(machine, seed)
        for _ in range(share + (number < more)):
            planned = _plan(next(coming), work_centre(machine), begin)
            yield replace(planned, recorded=start - DAY)
            begin = planned.planned_end


class Erp:
    """Writes bookings into the database as their time comes."""

    def __init__(self, url: str, seed: int, start: Micros) -> None:
        self.engine = sa.create_engine(url)
        self._planned = list(planned_orders(seed, start))
        self._streams = [bookings(machine, seed, start) for machine in FLEET]
        self._ahead: list[list[Booking]] = [[] for _ in self._streams]

    def create(self) -> None:
        METADATA.create_all(self.engine)
        with self.engine.begin() as connection:
            connection.execute(sa.delete(MATERIAL))
            changed = _sql(self._planned[0].recorded)
            connection.execute(sa.insert(MATERIAL), [
                {
                    "matnr": m.number, "bezeichnung": m.name, "einheit": "ST",
                    "vorgabezeit_s": m.ideal_cycle_s, "geaendert": changed,
                }
                for m in MATERIALS.values()
            ])  # fmt: skip
            for booking in self._planned:
                _write(connection, booking)

    def advance(self, now: Micros) -> int:
        """Book all that is recorded up to `now`; returns how many bookings."""
        due: list[Booking] = []
        for stream, ahead in zip(self._streams, self._ahead, strict=True):
            # A booking comes at most about six hours after its event: look that far ahead.
            while not ahead or ahead[-1].recorded < now + 12 * HOUR:
                ahead.append(next(stream))
            due += [booking for booking in ahead if booking.recorded <= now]
            ahead[:] = [booking for booking in ahead if booking.recorded > now]
        due.sort(key=lambda booking: booking.recorded)
        if due:
            with self.engine.begin() as connection:
                for booking in due:
                    _write(connection, booking)
        return len(due)

    def close(self) -> None:
        self.engine.dispose()


def _write(connection: sa.Connection, booking: Booking) -> None:
    order = booking.order
    changed = _sql(booking.recorded)
    status = "FERT" if booking.end else "FREI" if booking.start else "EROF"
    _upsert(connection, FAUF, {
        "fauf_nr": order.number, "matnr": order.material, "menge": order.quantity,
        "einheit": "ST", "termin": _sql(booking.planned_end + DAY // 2), "status": status,
        "geaendert": changed,
    })  # fmt: skip
    _upsert(connection, VORGANG, {
        "fauf_nr": order.number, "vorgang_nr": "0010", "arbeitsplatz": booking.work_centre,
        "matnr": order.material, "menge": order.quantity,
        "plan_beginn": _sql(booking.planned_start), "plan_ende": _sql(booking.planned_end),
        "ist_beginn": _sql(booking.start), "ist_ende": _sql(booking.end),
        "vorgabezeit_s": order.ideal_cycle_s, "geaendert": changed,
    })  # fmt: skip


def _upsert(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> None:
    key = [column == values[column.name] for column in table.primary_key.columns]
    if connection.execute(sa.update(table).where(*key).values(**values)).rowcount == 0:
        connection.execute(sa.insert(table).values(**values))


def _sql(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at).replace(tzinfo=None)
