"""A folder as a source: formats, numbers and times as declared, done and failed, each file once."""

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from isthmus.base.clock import SECOND, Micros, parse_time, to_micros
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.files import FilesConnector, FilesSource
from isthmus.field.connectors.files.folder import Folder
from isthmus.field.connectors.files.numbers import Signs
from isthmus.flow.parcel import BAD, GOOD

T0 = parse_time("2026-11-17T08:00:00Z")
PLAIN = "at,temp,state\n2026-11-17T08:00:00Z,231.5,RUN\n2026-11-17T08:00:01Z,232,STOP\n"


@dataclass
class Drop:
    """A folder, who drops files into it, and our connector to it."""

    folder: Path
    tags: list[str] = field(default_factory=lambda: ["temp", "state"])
    options: dict[str, Any] = field(default_factory=lambda: {"time": "at", "settle": "0 s"})
    position: bytes | None = None
    open: FilesConnector | None = None
    now: Micros = T0 + 3600 * SECOND
    speed: float = 1e9

    def put(self, name: str, content: str | bytes = PLAIN, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    async def connect(self, **options: Any) -> FilesConnector:
        """A new connector that goes on where the last one stopped, as after a restart."""
        await self.disconnect()
        spec = FilesSource.model_validate({"folder": str(self.folder), **self.options, **options})
        self.options |= options
        connector = FilesConnector("press", spec, self.tags, DropClock(self))
        if self.position is not None:
            connector.resume(self.position)
        self.open = connector
        await connector.open()
        return connector

    async def disconnect(self) -> None:
        if self.open is not None:
            await self.open.close()
            self.open = None

    async def read(self, *, acknowledged: bool = True) -> list[dict[str, Any]]:
        """All that comes until nothing does."""
        connector = self.open or await self.connect()
        rows: list[dict[str, Any]] = []
        silent = 0
        while silent < 2:
            table = await connector.read()
            silent = silent + 1 if table is None else 0
            if table is None:
                continue
            rows += table.to_pylist()
            self.position = connector.position()
            if acknowledged:
                await connector.acknowledge()
        return rows

    async def values(self) -> list[Any]:
        return [row["number"] if row["text"] is None else row["text"] for row in await self.read()]

    def files(self, shelf: str = "") -> list[str]:
        return sorted(path.name for path in (self.folder / shelf).iterdir() if path.is_file())

    def reason(self, name: str) -> str:
        [path] = self.folder.glob(f"*/{name}.reason.txt")
        return path.read_text()


@dataclass
class DropClock:
    """Reads follow each other without a pause."""

    drop: Drop

    @property
    def speed(self) -> float:
        return self.drop.speed

    def now(self) -> Micros:
        return self.drop.now


@pytest.fixture
async def drop(tmp_path: Path):
    (tmp_path / "share").mkdir()
    made = Drop(tmp_path / "share")
    yield made
    await made.disconnect()


async def test_a_folder_is_not_looked_at_more_often_than_it_may_be(drop, monkeypatch):
    """What one look has found is read without waiting; then the next look has to wait."""
    looks: list[Folder] = []
    complete = Folder.complete

    def noted(folder: Folder) -> list[Any]:
        looks.append(folder)
        return complete(folder)

    monkeypatch.setattr(Folder, "complete", noted)
    began, pause = time.monotonic(), 0.2
    for name in ("a.csv", "b.csv"):
        drop.put(name, PLAIN.replace("RUN", name))
    connector = await drop.connect(budget={"min_interval": pause})
    assert "a.csv" in await drop.values()
    assert drop.files("done") == ["a.csv", "b.csv"]
    drop.put("c.csv", PLAIN.replace("RUN", "c"))
    while not drop.files("done")[2:]:
        if await connector.read() is not None:
            await connector.acknowledge()
    took = time.monotonic() - began
    assert 2 <= len(looks) <= took / pause + 1
    assert connector.allowance.requests == len(looks)


async def test_rows_come_once_with_their_own_times_and_the_file_is_done(drop):
    drop.put("a.csv")
    rows = await drop.read()
    assert [(r["tag"], r["number"], r["text"], to_micros(r["device_time"]) - T0) for r in rows] == [
        ("temp", 231.5, None, 0), ("state", None, "RUN", 0),
        ("temp", 232.0, None, SECOND), ("state", None, "STOP", SECOND),
    ]  # fmt: skip
    assert {row["quality"] for row in rows} == {GOOD}
    assert (drop.files(), drop.files("done"), drop.files("failed")) == ([], ["a.csv"], [])
    assert await drop.read() == []


async def test_a_file_stays_until_its_samples_are_acknowledged(drop):
    drop.put("a.csv")
    assert len(await drop.read(acknowledged=False)) == 4
    assert drop.files() == ["a.csv"]
    await drop.connect()
    assert await drop.read() == []
    assert (drop.files(), drop.files("done")) == ([], ["a.csv"])


async def test_what_was_read_but_never_stored_is_read_again(drop):
    drop.put("a.csv")
    connector = await drop.connect()
    while await connector.read() is None:
        pass
    await drop.connect()  # no position was kept
    assert len(await drop.read()) == 4


async def test_the_same_content_under_another_name_is_taken_once(drop):
    drop.put("a.csv")
    await drop.read()
    drop.put("b.csv")
    assert await drop.read() == []
    assert drop.files("done") == ["a.csv", "b.csv", "b.csv.reason.txt"]
    assert "the same content was taken before" in drop.reason("b.csv")
    await drop.connect()
    drop.put("a.csv")
    assert await drop.read() == []
    assert "a-2.csv" in drop.files("done")


async def test_a_file_that_is_still_written_waits(drop):
    path = drop.put("a.csv", PLAIN[:40])
    await drop.connect(settle="40 ms")
    assert await drop.open.read() is None
    with path.open("a") as file:
        file.write(PLAIN[40:])
    rows: list[Any] = []
    while not rows:
        rows = await drop.read()
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"settle": "1 h"}, "it was never left alone for `settle`, 3600 s"),
        ({"ready": "marker"}, "its `.done` has not come"),
    ],
)
async def test_a_file_that_is_never_complete_is_named_once(drop, monkeypatch, options, why):
    monkeypatch.setattr("isthmus.field.connectors.files.folder.OVERDUE", 0.02)
    drop.put("a.csv")
    connector = await drop.connect(**options)
    missed: list[Any] = []
    for _ in range(6):
        assert await connector.read() is None
        missed += connector.missed()
    [one] = missed
    assert one.detail.startswith("a.csv is not read for")
    assert one.detail.endswith(why)


async def test_files_with_an_unfinished_name_and_other_names_wait(drop):
    for name in ("a.csv.part", ".a.csv", "~$a.xlsx", "a.tmp", "other.log"):
        drop.put(name)
    drop.options["files"] = ["*.csv", "*.tmp"]
    assert await drop.read() == []
    (drop.folder / "a.csv.part").rename(drop.folder / "a.csv")
    assert len(await drop.read()) == 4


async def test_a_marker_says_that_a_file_is_complete(drop):
    drop.put("a.csv")
    await drop.connect(ready="marker", settle="1 h")
    assert await drop.read() == []
    drop.put("a.csv.done", b"")
    assert len(await drop.read()) == 4
    assert (drop.files(), drop.files("done")) == ([], ["a.csv"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
async def test_encodings_are_told_apart_by_their_bytes(drop, encoding):
    drop.tags = ["Öltemperatur", "Zustand"]
    text = "at;Öltemperatur;Zustand\n2026-11-17T08:00:00Z;60;läuft\n"
    drop.put("a.csv", text, encoding)
    assert await drop.values() == [60, "läuft"]


async def test_a_wrong_encoding_fails_the_whole_file_and_no_other(drop):
    drop.put("a.csv", PLAIN.replace("STOP", "läuft"), "cp1252")
    drop.put("b.csv")
    drop.options["encoding"] = "utf-8"
    assert len(await drop.read()) == 4
    assert (drop.files("done"), drop.files("failed")) == (
        ["b.csv"], ["a.csv", "a.csv.reason.txt"],
    )  # fmt: skip
    assert "is not utf-8: invalid continuation byte; declare its `encoding`" in drop.reason("a.csv")
    [missed] = drop.open.missed()
    assert "nothing of a.csv was taken" in missed.detail


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
async def test_a_file_without_the_byte_order_mark_its_encoding_needs_fails_and_no_other(drop, name):
    drop.put(name, PLAIN)
    drop.options["encoding"] = "utf-16"
    assert await drop.read() == []
    assert "is not utf-16: UTF-16 stream does not start with BOM" in drop.reason(name)


GERMAN = "Datum;Uhrzeit;Druck;Stück;Text\r\n17.11.2026;09:00:00;1.234,5;12;0,5 ok\r\n"
DECLARED = {"time": ["Datum", "Uhrzeit"], "time_format": "%d.%m.%Y %H:%M:%S",
            "timezone": "Europe/Berlin", "decimal": ",", "thousands": "."}  # fmt: skip


async def test_a_german_export_is_read_as_declared(drop):
    drop.tags = ["Druck", "Stück", "Text"]
    drop.options |= DECLARED
    drop.put("a.csv", GERMAN, "cp1252")
    rows = await drop.read()
    assert {(row["tag"], row["number"], row["text"]) for row in rows} == {
        ("Druck", 1234.5, None), ("Stück", 12.0, None), ("Text", None, "0,5 ok"),
    }  # fmt: skip
    assert {to_micros(row["device_time"]) for row in rows} == {T0}


async def test_a_decimal_comma_that_is_not_declared_is_said_with_its_place(drop):
    drop.tags = ["Druck"]
    drop.options |= DECLARED | {"decimal": ".", "thousands": ""}
    drop.put("a.csv", GERMAN)
    [row] = await drop.read()
    assert row["quality"] & BAD
    assert row["text"].startswith("1.234,5 – a.csv, row 2, column `Druck`: `1.234,5` is a number")
    reason = drop.reason("a.csv")
    assert 'only with `decimal: ","` and `thousands: "."`: declare it, or name' in reason
    assert "1 rows could not be taken, 0 were." in reason
    assert "a.csv" in drop.files("failed")


async def test_a_corrected_declaration_takes_only_the_rows_that_failed(drop):
    drop.tags = ["Druck"]
    lines = GERMAN + "17.11.2026;09:00:01;15;13;x\r\n"
    drop.options |= DECLARED | {"decimal": ".", "thousands": ""}
    drop.put("a.csv", lines)
    assert [value for value in await drop.values() if value == 15] == [15]
    await drop.connect(**DECLARED)
    shutil.move(drop.folder / "failed" / "a.csv", drop.folder / "a.csv")
    assert await drop.values() == [1234.5]
    assert drop.files("done") == ["a.csv"]
    drop.put("a.csv", lines)
    assert await drop.values() == []


async def test_a_bad_row_goes_to_quarantine_and_the_others_are_taken(drop):
    lines = PLAIN.splitlines()
    lines.insert(2, "yesterday,1,RUN")
    lines.insert(3, "2026-11-17T08:00:00Z,1")
    drop.put("a.csv", "\n".join(lines))
    rows = await drop.read()
    good = [row["number"] for row in rows if row["tag"] == "temp" and row["quality"] == GOOD]
    assert good == [231.5, 232.0]
    assert min(row["text"] for row in rows if row["quality"] & BAD) == (
        "1 – a.csv, row 3, column `at`: `yesterday` is no time in ISO 8601: declare `time_format`, "
        "such as `%d.%m.%Y %H:%M:%S` or `ms`"
    )
    assert "row 4 has 2 cells where the header has 3" in drop.reason("a.csv")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("zeit,temp\n1,2\n", "has no column `at`; the header has `zeit`, `temp`"),
        ("at,temp,at\n1,2,3\n", "has 2 columns `at`"),
        ("", "has no row 1 with column names"),
        ('at,temp\n"2026,2\n', "line 2: unexpected end of data"),
        ("at,temp\n1,\x002\n", "NUL characters"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_with_the_reason(drop, content, why):
    drop.put("a.csv", content)
    assert await drop.read() == []
    assert why in drop.reason("a.csv")


async def test_a_column_that_is_not_there_is_a_bad_tag_once(drop):
    drop.tags = ["temp", "no_such"]
    drop.put("a.csv")
    drop.put("b.csv", PLAIN.replace("231", "230"))
    rows = await drop.read()
    assert [row["quality"] & BAD for row in rows if row["tag"] == "no_such"] == [BAD]
    assert len(rows) == 5


async def test_excel_has_its_own_numbers_and_times(drop):
    book = openpyxl.Workbook()
    book.active.append(["Protokoll Presse 7"])
    sheet = book.create_sheet("Daten")
    sheet["B3"], sheet["C3"], sheet["D3"] = "Zeit", "temp", "state"
    sheet["B4"], sheet["C4"], sheet["D4"] = datetime(2026, 11, 17, 9, 0), 231.5, "RUN"  # noqa: DTZ001
    book.save(drop.folder / "a.xlsx")
    drop.options |= {"time": "Zeit", "sheet": "Daten", "header": 3, "timezone": "Europe/Berlin"}
    rows = await drop.read()
    assert [(row["number"], row["text"]) for row in rows] == [(231.5, None), (None, "RUN")]
    assert to_micros(rows[0]["device_time"]) == T0
    shutil.copy(drop.folder / "done" / "a.xlsx", drop.folder / "b.xlsx")
    drop.put("c.xlsx", b"PK not a workbook")
    await drop.connect(sheet="Date")
    assert await drop.read() == []
    assert "is no workbook that can be read" in drop.reason("c.xlsx")


async def test_json_lines_may_be_nested_and_narrow(drop):
    drop.tags = ["temp[unit.id=7]"]
    drop.options |= {"time": "ts", "time_format": "ms", "keys": "unit.id", "tag": "name",
                     "value": "value"}  # fmt: skip
    ms = T0 // 1000
    lines = [{"ts": ms, "unit": {"id": unit}, "name": "temp", "value": unit} for unit in (7, 8)]
    drop.put("a.jsonl", "\n".join([*map(json.dumps, lines), "[1]"]))
    [row] = await drop.read()
    assert (row["number"], to_micros(row["device_time"])) == (7.0, T0)
    assert "row 3 is no JSON object" in drop.reason("a.jsonl")


async def test_parquet_with_nanoseconds(drop):
    table = pa.table({
        "at": pa.array([T0 * 1000 + 1], pa.timestamp("ns", "UTC")), "temp": [231.5],
        "state": ["RUN"],
    })  # fmt: skip
    pq.write_table(table, drop.folder / "a.parquet")
    drop.put("b.parquet", b"PAR1 half")
    rows = await drop.read()
    assert [row["number"] for row in rows] == [231.5, None]
    assert to_micros(rows[0]["device_time"]) == T0
    assert "is no Parquet file that can be read" in drop.reason("b.parquet")


async def test_a_file_that_has_grown_goes_on_where_it_ended(drop):
    drop.options["after"] = "leave"
    drop.put("a.csv")
    assert len(await drop.read()) == 4
    assert await drop.read() == []
    drop.put("a.csv", PLAIN + "2026-11-17T08:00:02Z,233,RUN\n")
    assert await drop.values() == [233, "RUN"]
    await drop.connect()
    assert await drop.read() == []
    drop.put("a.csv", PLAIN + "2026-11-17T08:00:02Z,233,RUN\n2026-11-17T08:00:03Z,234,RUN\n")
    assert await drop.values() == [234, "RUN"]
    assert sorted(path.name for path in drop.folder.iterdir()) == ["a.csv"]


async def test_a_state_is_repeated_after_an_outage_where_that_is_declared(drop):
    drop.options["repeat"] = True
    drop.put("a.csv")
    assert await drop.values() == [231.5, "RUN", 232, "STOP"]
    await drop.connect()
    rows = await drop.read()
    assert [row["number"] or row["text"] for row in rows] == [232, "STOP"]
    assert {to_micros(row["device_time"]) for row in rows} == {T0 + SECOND}


async def test_a_probe_moves_nothing(drop):
    drop.put("a.csv")
    spec = FilesSource.model_validate({"folder": str(drop.folder), **drop.options}).for_probe()
    connector = FilesConnector("press", spec, drop.tags, DropClock(drop))
    await connector.open()
    while await connector.read() is None:
        pass
    await connector.close()
    assert [path.name for path in drop.folder.iterdir()] == ["a.csv"]


async def test_a_share_that_vanishes_is_unreachable_and_an_empty_mount_point_too(drop):
    drop.put("a.csv")
    await drop.read()
    away = drop.folder.rename(drop.folder.with_name("away"))
    with pytest.raises(Unreachable, match="Is the share mounted"):
        await drop.open.read()
    drop.folder.mkdir()
    with pytest.raises(Unreachable, match="`done`, which we made in it, is gone"):
        await drop.connect()
    drop.folder.rmdir()
    away.rename(drop.folder)
    await drop.connect()
    assert await drop.read() == []


async def test_a_folder_we_may_not_change_is_refused_with_the_way_out(drop, monkeypatch):
    def no(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", no)  # root may write everywhere
    with pytest.raises(Refused, match="set `after: leave`"):
        await drop.connect()
    await drop.connect(after="leave")


async def test_nothing_is_left_open(drop):
    drop.put("a.csv", "at,temp\n" + "2026-11-17T08:00:00Z,1\n" * 30_000)
    connector = await drop.connect()
    while await connector.read() is None:
        pass
    await drop.disconnect()
    await connector.close()
    assert [f.path for f in psutil.Process().open_files() if str(drop.folder) in f.path] == []


async def test_a_huge_file_is_read_in_parts_and_goes_on_in_its_middle(drop):
    drop.tags = ["temp"]
    lines = [f"2026-11-17T08:00:00Z,{n}" for n in range(35_000)]
    drop.put("a.csv", "\n".join(["at,temp", *lines]))
    connector = await drop.connect()
    found: list[float] = []
    while len(found) < 35_000:
        table = await connector.read()
        if table is None:
            continue
        assert table.num_rows <= 10_100
        found += table["number"].to_pylist()
        drop.position = connector.position()
        connector = await drop.connect()  # a restart after each part
    assert found == list(range(35_000))
    assert await drop.read() == []
    assert drop.files("done") == ["a.csv"]


async def test_a_file_that_is_taken_away_and_comes_back_goes_on(drop):
    drop.tags = ["temp"]
    lines = [f"2026-11-17T08:00:00Z,{n}" for n in range(15_000)]
    path = drop.put("a.csv", "\n".join(["at,temp", *lines]))
    connector = await drop.connect()
    while (table := await connector.read()) is None:
        pass
    drop.position = connector.position()
    away = path.rename(drop.folder.parent / "a.csv")
    await drop.connect()
    assert await drop.read() == []
    away.rename(path)
    assert len(await drop.read()) == 15_000 - table.num_rows


async def test_a_day_of_small_files_comes_in_their_order(drop):
    drop.tags = ["temp"]
    for number in range(300):
        path = drop.put(f"{number}.csv", f"at,temp\n2026-11-17T08:00:00Z,{number}\n")
        os.utime(path, (number, number))
    assert await drop.values() == list(range(300))
    assert len(drop.files("done")) == 300


# Real exports ----------------------------------------------------------------------------------


SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_recordings = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no folder `shared` with recordings beside the repository"
)


@needs_recordings
async def test_a_real_job_shop_export_is_taken_whole(drop):
    shutil.copy(SHARED / "production_4tu" / "production_data.csv", drop.folder)
    drop.options |= {"time": "Complete Timestamp", "time_format": "%Y/%m/%d %H:%M:%S.%f",
                     "timezone": "Asia/Jerusalem", "keys": "Resource"}  # fmt: skip
    drop.tags = ["Qty Completed[Resource=Machine 4 - Turning & Milling]"]
    values = await drop.values()
    text = (SHARED / "production_4tu" / "production_data.csv").read_text()
    lines = [line.split(",") for line in text.splitlines()]
    expected = [float(cells[10]) for cells in lines if cells[2].startswith("Machine 4 ")]
    assert (len(values), sum(values)) == (len(expected), sum(expected))
    assert drop.files("done") == ["production_data.csv"]


@needs_recordings
async def test_a_real_workbook_and_parquet_of_a_moulding_plant_agree(drop):
    drop.tags = ["itemGoodQuantity[machineNo=NO.01]", "itemCode[machineNo=NO.01]"]
    drop.options |= {"time": "recordDate", "timezone": "Asia/Ho_Chi_Minh", "keys": "machineNo"}
    shutil.copy(SHARED / "optimoldiq" / "monthlyReports_201811.xlsb", drop.folder)
    book = [(r["device_time"], r["number"] or r["text"]) for r in await drop.read()]
    shutil.copy(SHARED / "optimoldiq" / "productRecords.parquet", drop.folder)
    table = [(r["device_time"], r["number"] or r["text"]) for r in await drop.read()]
    assert len(book) > 50
    assert [row for row in book if row not in table] == []
    assert drop.files("failed") == []


# Numbers and the check ---------------------------------------------------------------------------


@given(
    number=st.integers(-(10**9), 10**9),
    fraction=st.integers(0, 999),
    signs=st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'")]),
)
def test_a_number_reads_as_what_was_written(number, fraction, signs):
    decimal, thousands = signs
    whole = f"{number:,}".replace(",", thousands)
    value = Signs(decimal, thousands).read(f"{whole}{decimal}{fraction:03}")
    assert float(value) == float(f"{number}.{fraction:03}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signs", "text"),
    [
        (Signs(), "RUN"), (Signs(), "17.11.2026"), (Signs(), "1.2.3"), (Signs(), "2026-11-17"),
        (Signs(",", "."), "V1.2"), (Signs(), "0,5 ok"), (Signs(), "007"), (Signs(), ""),
    ],
)  # fmt: skip
def test_a_text_stays_a_text(signs, text):
    assert signs.read(text) == text


@pytest.mark.parametrize(
    ("signs", "text"),
    [
        (Signs(), "23,5"), (Signs(), "1.234,5"), (Signs(), "1'234.5"), (Signs(), "1\u00a0234,5"),
        (Signs(",", ""), "23.5"), (Signs(",", "."), "1.5"), (Signs(".", ","), "1,23"),
    ],
)  # fmt: skip
def test_a_number_in_other_signs_is_never_guessed(signs, text):
    with pytest.raises(ValueError, match="declare it"):
        signs.read(text)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"folder": "drop"}, "write the whole path"),
        ({"decimal": ",", "thousands": ","}, "the same sign"),
        ({"tag": "name"}, "both `tag` and `value`"),
        ({"time": []}, "at least 1 item"),
    ],
)
def test_a_source_that_could_not_work_is_refused_at_check(options, why):
    with pytest.raises(ValidationError, match=why):
        FilesSource.model_validate({"folder": "/drop", "time": "at", **options})
