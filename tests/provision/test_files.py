import fcntl
import os
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from openpyxl import Workbook
from pydantic import ValidationError

from isthmus.base.clock import parse_time
from isthmus.provision.intake import Known, Origin, intake
from isthmus.provision.reading import Reading
from isthmus.provision.system import Receipt, Refused, Unreachable
from isthmus.provision.systems.files import FilesSpec, FilesSystem

ORDERS = {"files": "orders*.csv", "columns": {"key": "nr", "material": "mat", "quantity": "menge"}}
TEXT = "nr;mat;menge\nA;M1;5\nB;M2;6\n"


class Drop:
    """A drop folder with its system, and hands on the clock."""

    def __init__(self, folder: Path, **spec) -> None:
        self.folder = folder / "drop"
        self.folder.mkdir()
        entities = {"entities": {"production_order": ORDERS}}
        self.spec = FilesSpec.model_validate({"folder": "drop", "settle": "2 s"} | entities | spec)
        clock = SimpleNamespace(now=lambda: parse_time("2026-11-17T08:00:00Z"), speed=1)
        self.system = FilesSystem("erp", self.spec, ZoneInfo("Europe/Berlin"), folder, clock)
        self.seconds = 0.0
        self.system.seconds = lambda: self.seconds

    def put(self, name: str, data: str | bytes = TEXT) -> Path:
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def pull(self, entity="production_order", wait=2.0):
        self.seconds += wait
        return self.system.pull(entity, "").deliveries

    def settled(self, entity="production_order"):
        """Look, wait until files have settled, and look again."""
        self.pull(entity)
        self.system.acknowledge([])
        return self.pull(entity)

    def names(self, shelf: str) -> list[str]:
        folder = self.folder / shelf
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def drop(tmp_path):
    return Drop(tmp_path)


def test_file_is_read_when_it_has_not_changed_for_a_while(drop):
    drop.put("orders1.csv")
    assert drop.pull() == ()
    drop.system.acknowledge([])
    (delivery,) = drop.pull()
    assert (delivery.origin, len(delivery.records)) == ("orders1.csv", 2)
    assert delivery.records[0].values == {"nr": "A", "mat": "M1", "menge": "5"}


def test_file_that_still_grows_is_left_alone(drop):
    path = drop.put("orders1.csv", TEXT[:20])
    for size in (25, 30, len(TEXT)):
        assert drop.pull() == ()
        drop.system.acknowledge([])
        path.write_text(TEXT[:size])
        os.utime(path, ns=(size, size))
    assert drop.pull() == ()
    drop.system.acknowledge([])
    assert len(drop.pull()) == 1


@pytest.mark.parametrize(
    "name", ["orders.csv.tmp", "orders.csv.part", ".orders.csv", "~$orders.csv"]
)
def test_file_that_is_not_finished_by_its_name_is_left_alone(tmp_path, name):
    drop = Drop(tmp_path, entities={"production_order": ORDERS | {"files": "*"}})
    drop.put(name)
    assert drop.settled() == ()
    assert drop.system.notices() == []


def test_file_that_is_open_in_an_editor_or_locked_is_left_alone(drop):
    path = drop.put("orders1.csv")
    owner = drop.put("~$orders1.csv", "somebody")
    assert drop.settled() == ()
    drop.system.acknowledge([])
    owner.unlink()
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert drop.pull() == ()
        drop.system.acknowledge([])
    assert len(drop.pull()) == 1


def test_recorded_file_is_moved_to_done(drop):
    drop.put("orders1.csv")
    drop.settled()
    drop.system.acknowledge([Receipt("orders1.csv", "production_order", 2, 2)])
    assert drop.names("done") == ["20261117T080000Z_orders1.csv"]
    assert drop.settled() == ()


def test_reason_is_written_beside_a_file_with_bad_rows(drop):
    drop.put("orders1.csv")
    drop.settled()
    drop.system.acknowledge([Receipt("orders1.csv", "production_order", 2, 1, ("row 3: is -1",))])
    text = (drop.folder / "done" / "20261117T080000Z_orders1.csv.reason.txt").read_text()
    assert text == (
        "production_order: 1 of 2 rows went to quarantine, the others were taken\n  row 3: is -1\n"
    )


def test_file_that_cannot_be_read_is_moved_to_failed_with_the_reason(drop):
    drop.put("orders1.csv", "number;mat;menge\nA;M1;5\n")
    (delivery,) = drop.settled()
    assert delivery.fault.code == "Q121"
    drop.system.acknowledge([Receipt("orders1.csv", "production_order", failed="no column `nr`")])
    assert drop.names("failed") == [
        "20261117T080000Z_orders1.csv", "20261117T080000Z_orders1.csv.reason.txt",
    ]  # fmt: skip


def test_same_name_may_come_again(drop):
    for _ in range(2):
        drop.put("orders1.csv")
        drop.settled()
        drop.system.acknowledge([Receipt("orders1.csv", "production_order", 2, 2)])
    assert drop.names("done") == [
        "20261117T080000Z_orders1-2.csv", "20261117T080000Z_orders1.csv",
    ]  # fmt: skip


def test_file_that_changed_after_it_was_read_stays_and_is_read_again(drop):
    path = drop.put("orders1.csv")
    drop.settled()
    with path.open("a") as file:
        file.write("C;M3;7\n")
    drop.system.acknowledge([Receipt("orders1.csv", "production_order", 2, 2)])
    assert (drop.names("done"), path.exists()) == ([], True)
    (delivery,) = drop.settled()
    assert len(delivery.records) == 3


def test_file_with_two_entities_is_moved_after_both_have_it(tmp_path):
    material = {"files": "orders*.csv", "columns": {"key": "mat"}}
    drop = Drop(tmp_path, entities={"material": material, "production_order": ORDERS})
    drop.put("orders1.csv")
    drop.settled("material")
    (delivery,) = drop.pull("production_order", wait=0)
    assert len(delivery.records) == 2
    drop.put("orders2.csv")  # comes between: it waits for the next round
    assert len(drop.pull("production_order", wait=9)) == 1


def test_older_file_comes_first(drop):
    for number, name in enumerate(["orders_b.csv", "orders_a.csv"]):
        os.utime(drop.put(name), ns=(number, number))
    assert [delivery.origin for delivery in drop.settled()] == ["orders_b.csv", "orders_a.csv"]


def test_file_that_no_entity_asks_for_is_told_and_left_alone(drop):
    drop.put("report.pdf", b"%PDF")
    drop.settled()
    assert drop.system.notices() == [
        "report.pdf matches no entity of this system and is left alone"
    ]


def test_file_that_is_too_large_fails_before_it_is_read(tmp_path):
    drop = Drop(tmp_path, max_mb=1)
    with drop.put("orders1.csv").open("ab") as file:
        file.truncate(2**20 + 1)
    (delivery,) = drop.settled()
    assert delivery.fault.reason == "is larger than `max_mb: 1`"


def test_file_that_cannot_be_read_does_not_keep_the_others_back(drop):
    (drop.folder / "orders1.csv").symlink_to("/proc/self/mem")  # reading it is an I/O error
    drop.put("orders2.csv")
    assert [delivery.origin for delivery in drop.settled()] == ["orders2.csv"]
    drop.system.acknowledge([Receipt("orders2.csv", "production_order", 2, 2)])
    assert drop.system.notices() == [
        "orders1.csv cannot be read (Input/output error) and stays where it is"
    ]


def test_missing_folder_is_unreachable_and_is_never_made(drop):
    drop.folder.rmdir()
    with pytest.raises(Unreachable, match="is the share mounted"):
        drop.pull()
    assert not drop.folder.exists()


def test_folder_into_which_nothing_can_be_moved_is_refused_by_name(drop):
    drop.put("orders1.csv")
    drop.settled()
    (drop.folder / "done").write_text("a file, where a folder should be")
    with pytest.raises(Refused, match=r"orders1.csv is recorded, but cannot be moved"):
        drop.system.acknowledge([Receipt("orders1.csv", "production_order", 2, 2)])


def test_spec_refuses_what_cannot_be(tmp_path):
    for wrong, says in (
        ({"entities": {}}, "at least 1"),
        ({"entities": {"order": ORDERS}}, "production_order"),
        ({"decimal": ",", "thousands": ","}, "the same sign"),
        ({"settle": 2}, "with its unit"),
    ):
        given_ = {"folder": "x", "entities": {"production_order": ORDERS}} | wrong
        with pytest.raises(ValidationError, match=says):
            FilesSpec.model_validate(given_)


def test_every_recorded_purchase_order_arrives_from_a_workbook(tmp_path, shared):
    recorded = pl.read_parquet(shared / "data" / "optimoldiq" / "purchaseOrders.parquet")
    assert recorded.height == 190
    orders = {
        "files": "purchase*.xlsx", "sheet": "Purchase orders",
        "columns": {"key": "poNo", "material": "itemCode", "quantity": "itemQuantity",
                    "due": "poETA", "unit": {"value": "1"}},
    }  # fmt: skip
    materials = {
        "files": "purchase*.xlsx", "sheet": "Purchase orders",
        "columns": {"key": "itemCode", "name": "itemName"},
    }  # fmt: skip
    drop = Drop(tmp_path, entities={"material": materials, "production_order": orders})
    book = Workbook()
    book.active.title = "Purchase orders"
    book.active.append(recorded.columns)
    for row in recorded.iter_rows():
        book.active.append(row)
    book.save(drop.folder / "purchaseOrders.xlsx")

    deliveries = {"material": drop.settled("material"), "production_order": drop.pull(wait=0)}
    reading = Reading(ZoneInfo("Asia/Ho_Chi_Minh"), {}, frozenset())
    taken = {
        entity: intake(Origin("erp", entity, drop.spec.columns(entity), reading), found, Known(), 1)
        for entity, found in deliveries.items()
    }
    assert taken["production_order"].quarantined == ()
    arrived = taken["production_order"].rows.table
    wanted = recorded.select(
        key="poNo", material="itemCode", quantity=pl.col("itemQuantity").cast(float),
        due=pl.col("poETA").dt.cast_time_unit("us").dt.replace_time_zone("Asia/Ho_Chi_Minh")
        .dt.convert_time_zone("UTC"),
    ).sort("key")  # fmt: skip
    assert pl.from_arrow(arrived).select(wanted.columns).sort("key").equals(wanted)
    names = dict(recorded.select("itemCode", "itemName").iter_rows())
    assert (
        dict(pl.from_arrow(taken["material"].rows.table).select("key", "name").iter_rows()) == names
    )
