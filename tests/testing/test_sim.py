"""The simulated company must be trustworthy itself before it may judge the platform."""

import itertools
from datetime import UTC, date

import sqlalchemy as sa

from isthmus.base.clock import DAY, HOUR, SystemClock, parse_time, to_micros
from isthmus.cli.demo import free_ports
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource
from isthmus.testing.connector_suite import opened
from isthmus.testing.sim.devices import HOST, OpcuaDevice
from isthmus.testing.sim.erp import FAUF, ORDERS_AT_START, VORGANG, Erp, work_centre
from isthmus.testing.sim.fleet import FLEET, MACHINES, events, shifts_of_day
from isthmus.testing.sim.machine import OrderEnd, OrderStart, Part, StateChange
from isthmus.testing.sim.story import SOURCES, Story
from isthmus.testing.sim.wire import Write

START = parse_time("2026-11-16T00:00:00Z")
IM_01 = MACHINES["acme/hamburg/moulding/line-1/im-01"]


def life(machine=IM_01, seed=1, days=2):
    return list(
        itertools.takewhile(
            lambda event: event.time < START + days * DAY, events(machine, seed, START)
        )
    )


def test_the_same_seed_gives_the_same_life():
    assert life() == life()
    assert life() != life(seed=2)


def test_events_come_in_order_of_time():
    for machine in FLEET:
        times = [event.time for event in life(machine)]
        assert times == sorted(times)


def test_parts_are_made_only_while_the_machine_executes():
    state = None
    for event in life():
        if isinstance(event, StateChange):
            state = event.state
        if isinstance(event, Part):
            assert state == "execute"


def test_an_order_ends_when_its_quantity_of_good_parts_is_made():
    good = 0
    for event in life(days=4):
        match event:
            case OrderStart():
                good = 0
            case Part(good=True):
                good += 1
            case OrderEnd(order=order):
                assert good == order.quantity


def test_machines_rest_in_their_breaks():
    (early, *_) = shifts_of_day(IM_01, date(2026, 11, 17))
    ((start, end),) = early.breaks
    parts = [event for event in life() if isinstance(event, Part)]
    assert [part for part in parts if start < part.time <= end] == []


def test_a_night_shift_is_an_hour_shorter_when_summer_time_begins():
    *_, night = shifts_of_day(IM_01, date(2026, 3, 28))
    assert night.end - night.start == 7 * HOUR


def test_stories_may_be_followed_in_any_steps():
    whole = [h.event for h in Story("line-2-gateway", 1, START).until(START + DAY)]
    story = Story("line-2-gateway", 1, START)
    steps = [h.event for n in range(1, 25) for h in story.until(START + n * HOUR)]
    assert steps == whole


def test_every_machine_has_a_story():
    stories = [Story(name, 1, START) for name in SOURCES]
    assert sorted(m.path for s in stories for m in s.machines) == sorted(MACHINES)


def test_a_gateways_counter_for_all_parts_never_runs_behind_its_scrap_counter():
    story = Story("line-2-gateway", 1, START)
    for happening in story.until(START + DAY):
        panel = story.panels[happening.machine.path]
        shown = {write.tag.rpartition(".")[2]: write.value for write in happening.writes}
        if "Ausschuss" in shown:
            assert shown["TeileGesamt"] == panel.good + panel.scrap


def test_the_erp_knows_sixty_orders_before_the_first_one_starts(tmp_path):
    erp = Erp(f"sqlite:///{tmp_path}/erp.sqlite", 1, START)
    erp.create()
    with erp.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(FAUF)).scalar() == (
            ORDERS_AT_START
        )
    erp.close()


def test_the_erp_ends_up_with_the_truth_however_often_it_is_advanced(tmp_path):
    def operations(name, step):
        erp = Erp(f"sqlite:///{tmp_path}/{name}.sqlite", 1, START)
        erp.create()
        for now in range(START, START + 3 * DAY + 1, step):
            erp.advance(now)
        with erp.engine.connect() as connection:
            found = connection.execute(sa.select(VORGANG).order_by(VORGANG.c.fauf_nr)).fetchall()
        erp.close()
        return found

    once = operations("once", 3 * DAY)
    assert operations("often", 2 * HOUR) == once


def test_actual_starts_in_the_erp_are_the_true_ones(tmp_path):
    erp = Erp(f"sqlite:///{tmp_path}/erp.sqlite", 1, START)
    erp.create()
    erp.advance(START + 2 * DAY)
    with erp.engine.connect() as connection:
        rows = connection.execute(sa.select(VORGANG).where(VORGANG.c.ist_beginn.is_not(None)))
        booked = {(row.fauf_nr, row.arbeitsplatz): row.ist_beginn for row in rows}
    erp.close()
    for machine in FLEET:
        first = next(event for event in life(machine) if isinstance(event, OrderStart))
        start = booked[first.order.number, work_centre(machine)]
        assert to_micros(start.replace(tzinfo=UTC)) == first.time


async def test_a_press_names_its_variables_as_a_person_looks_for_them():
    port = free_ports(["press"])["press"]
    press = OpcuaDevice(port)
    await press.apply([Write(START, "ns=2;s=IM01.MeltTemp", 443.7)])
    await press.start()
    source = OpcuaSource(endpoint=f"opc.tcp://{HOST}:{port}", security="none")
    async with opened(OpcuaConnector("im-01", source, [], SystemClock())) as connector:
        found = [node async for node in connector.browse("ns=2;s=Machines")]
    await press.stop()
    assert [(node.name, node.tag) for node in found] == [("IM01.MeltTemp", "ns=2;s=IM01.MeltTemp")]
