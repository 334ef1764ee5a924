# ruff: noqa: DTZ001 - the ERP holds times without a zone
import asyncio
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
import yaml

from isthmus.base.clock import DAY, HOUR, MINUTE, parse_time, to_datetime
from isthmus.data.lake import Lake
from isthmus.data.ledger import check
from isthmus.data.writer import Writer
from isthmus.flow.log import SqliteLog
from isthmus.model.load import load
from isthmus.model.spec.site import Keep
from isthmus.provision.join import VIEWS, as_of
from isthmus.runtime.open import kinds
from isthmus.runtime.systems import SystemRunner

START = parse_time("2026-11-17T08:00:00Z")
PRESS = "acme/hamburg/moulding/line-1/im-07"
META = sa.MetaData()
ORDER = sa.Table(
    "fauf", META, sa.Column("nr", sa.String, primary_key=True), sa.Column("mat", sa.String),
    sa.Column("menge", sa.Float), sa.Column("geaendert", sa.DateTime),
)  # fmt: skip
OPERATION = sa.Table(
    "vorgang", META, sa.Column("nr", sa.String, primary_key=True),
    sa.Column("platz", sa.String), sa.Column("von", sa.DateTime), sa.Column("bis", sa.DateTime),
    sa.Column("geaendert", sa.DateTime),
)  # fmt: skip
MODEL = {
    "company.yaml": {"enterprise": "acme", "timezone": "UTC"},
    "press.yaml": {"machine_type": "press", "blocks": ["machine_state"], "kind": "modbus",
                   "map": {"machine_state.state": {"tag": "holding:0:uint16",
                                                   "codes": {0: "stopped", 1: "execute"}}}},
    "hamburg.yaml": {
        "site": "hamburg",
        "areas": {"moulding": {"lines": {"line-1": {"machines": {
            "im-07": {"type": "press", "source": "plc"}}}}}},
        "sources": {"plc": {"kind": "modbus", "host": "127.0.0.1"}},
    },
}  # fmt: skip
SQL = {
    "kind": "sql", "interval": "100 ms", "machines": {"WC-7": PRESS},
    "entities": {
        "production_order": {
            "table": "fauf", "changed": "geaendert", "missing": "withdraw",
            "columns": {"key": "nr", "material": "mat", "quantity": "menge"},
        },
        "operation": {
            "table": "vorgang", "changed": "geaendert",
            "columns": {"key": "nr", "production_order": "nr", "machine": "platz",
                        "actual_start": "von", "actual_end": "bis"},
        },
    },
}  # fmt: skip


class Company:
    """A platform's log and lake with one system, and the ERP behind it."""

    def __init__(self, folder):
        self.folder = folder
        self.now = START
        self.events = []
        self.arrived = []
        self.full = False
        self.erp = sa.create_engine(f"sqlite:///{folder / 'erp.db'}", poolclass=sa.NullPool)
        META.create_all(self.erp)
        self.system = SQL | {"url": f"sqlite:///{folder / 'erp.db'}"}
        self.log = None
        self.start()

    def start(self, **system):
        """Open everything as a platform does when it starts; called again: after a crash."""
        self.stop()
        self.system |= system
        model = self.folder / "model"
        model.mkdir(exist_ok=True)
        for name, content in MODEL.items():
            (model / name).write_text(yaml.safe_dump(content, sort_keys=False))
        systems = {"enterprise": "acme", "timezone": "UTC", "systems": {"erp": self.system}}
        (model / "company.yaml").write_text(yaml.safe_dump(systems, sort_keys=False))
        self.plant = load(model, kinds())
        free = lambda _: 0 if self.full else 2**40  # noqa: E731
        self.log = SqliteLog(self.folder / "hamburg.sqlite", "hamburg", Keep(), now=self.now,
                             free=free)  # fmt: skip
        logs = {"hamburg": self.log}
        self.lake = Lake(self.folder / "lake", logs, self.plant)
        for name, sql in VIEWS.items():
            self.lake.define(name, sql)
        self.writer = Writer(self.folder / "lake", logs, self.plant)
        self.runner = SystemRunner(
            self.plant.systems["erp"], self.plant, self.log,
            SimpleNamespace(now=lambda: self.now, speed=1.0), query=self.lake.query,
            folder=self.folder, on_rows=self.arrived.extend, on_event=self.events.append,
        )  # fmt: skip

    def stop(self):
        if self.log is not None:
            self.runner.system.close()
            self.lake.close()
            self.log.close()
            self.log = None

    def close(self):
        self.stop()
        self.erp.dispose()

    def book(self, table, nr, **values):
        changed = {"geaendert": to_datetime(self.now).replace(tzinfo=None)}
        with self.erp.begin() as connection:
            connection.execute(sa.delete(table).where(table.c["nr"] == nr))
            connection.execute(sa.insert(table).values(nr=nr, **(changed | values)))

    def pull(self, after=MINUTE):
        self.now += after
        return self.runner.pull_once()

    def ask(self, sql, **params):
        return [tuple(row.values()) for row in self.lake.query(sql, params or None).to_pylist()]

    def told(self):
        return [(event.what, event.detail) for event in self.events]


@pytest.fixture
def company(tmp_path):
    with closing(Company(tmp_path)) as found:
        yield found


def test_orders_and_operations_of_the_erp_can_be_asked_for(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    company.book(OPERATION, "A", platz="WC-7", von=datetime(2026, 11, 17, 6))
    company.pull()
    assert company.ask("SELECT machine, production_order, material, quantity FROM order_run") == [
        (PRESS, "A", "M1", 500.0)
    ]


def test_pull_that_finds_nothing_new_writes_nothing(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    company.pull()
    before = company.log.last("rows")
    for _ in range(3):
        assert company.pull().rows == ()
    assert company.log.last("rows") == before


def test_after_a_restart_only_what_differs_is_recorded(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    company.book(ORDER, "B", mat="M1", menge=500)
    company.pull()
    company.writer.write_once()
    company.start()
    company.book(ORDER, "B", mat="M1", menge=600)
    (rows,) = company.pull().rows
    assert rows.table["key"].to_pylist() == ["B"]
    assert company.ask("SELECT key, quantity FROM production_order ORDER BY key") == [
        ("A", 500.0), ("B", 600.0),
    ]  # fmt: skip


def test_correction_keeps_what_was_believed_before(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    company.pull()
    tuesday = company.now
    company.now += DAY
    company.book(ORDER, "A", mat="M1", menge=300)
    company.pull()
    assert company.ask("SELECT quantity FROM production_order") == [(300.0,)]
    sql = f"SELECT quantity FROM ({as_of('production_order')})"
    assert company.ask(sql, as_of=tuesday) == [(500.0,)]


def test_order_that_is_gone_at_a_full_comparison_is_withdrawn(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    company.book(ORDER, "B", mat="M1", menge=500)
    company.pull()
    with company.erp.begin() as connection:
        connection.execute(sa.delete(ORDER).where(ORDER.c["nr"] == "B"))
    company.pull()
    assert len(company.ask("FROM production_order")) == 2
    company.pull(after=HOUR)
    assert company.ask("SELECT key FROM production_order") == [("A",)]


def test_bad_record_is_in_quarantine_once_and_the_ledger_agrees(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    company.book(ORDER, "BAD", mat="M1", menge=-1)
    company.book(OPERATION, "A", platz="WC-8", von=datetime(2026, 11, 17, 6))
    for _ in range(3):
        company.pull()
    company.start()
    company.pull()
    quarantined = "SELECT source, block, code FROM quarantine ORDER BY code"
    assert company.ask(quarantined) == [
        ("erp", "production_order", "Q104"), ("erp", "operation", "Q107"),
    ]  # fmt: skip
    assert company.ask("SELECT key FROM production_order") == [("A",)]
    ledger = (
        "SELECT tag, received, quarantined, stored FROM ledger WHERE source = 'erp' ORDER BY tag"
    )
    assert company.ask(ledger) == [("operation", 1, 1, 0), ("production_order", 2, 1, 1)]
    assert check(company.lake) == []


def test_ledger_agrees_when_the_hour_ends_during_a_pull(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    moments = iter(range(START + HOUR - 1, START + 2 * HOUR))
    company.runner.clock.now = lambda: next(moments)
    company.runner.pull_once()
    assert next(moments) > START + HOUR
    assert check(company.lake) == []


def test_machine_key_added_to_the_model_brings_the_operations_that_named_it(company):
    company.book(OPERATION, "A", platz="WC-8", von=datetime(2026, 11, 17, 6))
    company.pull()
    company.now += HOUR // 2
    company.book(OPERATION, "B", platz="WC-7", von=datetime(2026, 11, 17, 6))
    company.pull()
    company.start(machines={"WC-7": PRESS, "WC-8": PRESS})
    company.pull()
    assert company.ask("SELECT key FROM operation ORDER BY key") == [("A",), ("B",)]


def test_machine_added_to_the_model_while_it_runs_brings_its_operations(company):
    company.book(OPERATION, "A", platz="acme/hamburg/moulding/line-1/im-08",
                 von=datetime(2026, 11, 17, 6))  # fmt: skip
    company.pull()
    assert company.ask("FROM operation") == []
    machine = company.plant.machines[PRESS]
    added = {"acme/hamburg/moulding/line-1/im-08": machine}
    company.runner.plant = replace(company.plant, machines={**company.plant.machines, **added})
    company.now += HOUR // 2
    company.pull()
    assert company.ask("SELECT key FROM operation") == [("A",)]


def test_entity_that_cannot_be_read_does_not_keep_the_others_back(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    OPERATION.drop(company.erp)
    pulled = company.pull()
    assert "operation: no such table: vorgang" in str(pulled.trouble)
    assert company.ask("SELECT key FROM production_order") == [("A",)]


async def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_lost_is_said_once_and_back_once(company):
    path, away = company.folder / "erp.db", company.folder / "away.db"
    company.book(ORDER, "A", mat="M1", menge=500)
    path.rename(away)
    task = asyncio.create_task(company.runner.run())
    await until(lambda: company.runner._tries >= 3)
    assert [what for what, _ in company.told()] == ["lost"]
    assert not company.events[0].connected
    away.rename(path)
    await until(lambda: len(company.events) >= 3)
    company.runner.stop()
    await task
    assert company.told()[1:] == [("changed", "production_order: 1 changed"), ("back", "")]
    assert [rows.name for rows in company.arrived] == ["production_order"]


async def test_full_disk_is_said_and_nothing_is_lost_when_there_is_room_again(company):
    company.book(ORDER, "A", mat="M1", menge=500)
    company.full = True
    task = asyncio.create_task(company.runner.run())
    await until(lambda: company.runner._tries >= 2)
    company.full = False
    await until(lambda: company.arrived)
    await until(lambda: company.told()[-1][0] == "back")
    company.runner.stop()
    await task
    assert [what for what, _ in company.told()] == ["full", "changed", "back"]
    assert company.ask("SELECT key FROM production_order") == [("A",)]


def test_operation_with_an_unknown_order_is_told_and_kept(company):
    company.book(OPERATION, "X", platz="WC-7", von=datetime(2026, 11, 17, 6))
    told = company.pull().told
    assert ("unresolved", "operation `X` names order `X`, which is not there") in told
    assert company.ask("SELECT production_order FROM unresolved") == [("X",)]
    company.book(ORDER, "X", mat="M1", menge=1)
    assert "unresolved" not in [what for what, _ in company.pull().told]
    assert company.ask("FROM unresolved") == []


FILES = {
    "kind": "files", "folder": "drop", "settle": "1 ms", "interval": "100 ms",
    "entities": {"production_order": {
        "files": "*.csv", "columns": {"key": "nr", "material": "mat", "quantity": "menge"}}},
}  # fmt: skip


class Dropped(Company):
    """The same with a drop folder instead of a database."""

    def start(self, **system):
        (self.folder / "drop").mkdir(exist_ok=True)
        self.system = FILES
        super().start(**system)
        self.seconds = getattr(self, "seconds", 0)
        self.runner.system.seconds = lambda: self.seconds

    def settle(self):
        self.seconds += 1
        self.pull()
        self.seconds += 1
        return self.pull()

    def put(self, name, text):
        (self.folder / "drop" / name).write_text(text)

    def names(self, shelf):
        return sorted(
            path.name.partition("_")[2] for path in (self.folder / "drop" / shelf).iterdir()
        )


@pytest.fixture
def dropped(tmp_path):
    with closing(Dropped(tmp_path)) as found:
        yield found


def test_dropped_file_is_recorded_and_then_moved_with_its_reasons(dropped):
    dropped.put("a.csv", "nr;mat;menge\nA;M1;5\nB;M1;-5\n")
    dropped.put("b.csv", "number;mat;menge\nA;M1;5\n")
    told = dropped.settle().told
    assert [what for what, _ in told] == ["changed", "failed", "quarantined"]
    assert dropped.ask("SELECT key FROM production_order") == [("A",)]
    assert dropped.names("done") == ["a.csv", "a.csv.reason.txt"]
    assert dropped.names("failed") == ["b.csv", "b.csv.reason.txt"]
    assert dropped.ask("SELECT tag, code FROM quarantine ORDER BY code") == [
        ("a.csv row 3", "Q104"), ("b.csv", "Q121"),
    ]  # fmt: skip


def test_crash_before_the_move_takes_the_file_again_and_changes_nothing(dropped, monkeypatch):
    dropped.put("a.csv", "nr;mat;menge\nA;M1;5\n")
    monkeypatch.setattr(dropped.runner.system, "_file_away", lambda path, receipts: None)
    dropped.settle()
    assert dropped.ask("SELECT key FROM production_order") == [("A",)]
    assert (dropped.folder / "drop" / "a.csv").exists()
    dropped.start()
    dropped.settle()
    assert dropped.names("done") == ["a.csv", "a.csv.reason.txt"]
    assert len(dropped.ask("FROM production_order_history")) == 1


def test_old_file_that_is_dropped_again_does_not_undo_a_correction(dropped):
    for text in ("nr;mat;menge\nA;M1;5\n", "nr;mat;menge\nA;M1;6\n", "nr;mat;menge\nA;M1;5\n"):
        dropped.put("a.csv", text)
        dropped.settle()
    dropped.start()
    dropped.put("a.csv", "nr;mat;menge\nA;M1;5\n")
    dropped.settle()
    assert dropped.ask("SELECT quantity FROM production_order") == [(6.0,)]
    assert len(dropped.ask("FROM production_order_history")) == 2


def test_file_that_no_entity_asks_for_is_told_once(dropped):
    dropped.put("readme.txt", "hello")
    dropped.seconds += 1
    told = [*dropped.pull().told, *dropped.settle().told]
    assert told == [("notice", "readme.txt matches no entity of this system and is left alone")]
