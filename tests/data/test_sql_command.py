"""`isthmus sql` against a data folder, stopped or in use."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from isthmus.cli.sql import sql
from isthmus.testing.small_company import House

MODEL = """
enterprise: acme
---
site: hamburg
---
block: cycle
version: 1
fields:
  melt_temp: {type: number}
  good: {type: counter}
"""
QUERY = "SELECT time, melt_temp, good FROM cycle ORDER BY time"


@pytest.fixture
def app() -> typer.Typer:
    found = typer.Typer()
    found.command()(sql)
    return found


@pytest.fixture
def model(house: House, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder whose data folder is the house, which stays open: the platform runs."""
    monkeypatch.setenv("ISTHMUS_DATA", str(house.root))
    house.add(0, 2)
    house.writer.write_once()
    house.add(2)
    folder = house.root / "model"
    folder.mkdir()
    (folder / "company.yaml").write_text(MODEL, encoding="utf-8")
    return folder


def test_json_has_a_row_per_object_and_iso_times(app: typer.Typer, model: Path) -> None:
    done = CliRunner().invoke(app, [QUERY, "--model", str(model), "--format", "json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[2] == {
        "time": "2026-11-17T05:00:02Z",
        "melt_temp": 2.0,
        "good": 1,
    }


def test_csv_has_a_header(app: typer.Typer, model: Path) -> None:
    done = CliRunner().invoke(app, [QUERY, "--model", str(model), "--format", "csv"])
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[:2] == [["time", "melt_temp", "good"], ["2026-11-17T05:00:00Z", "0.0", "1"]]


def test_arrow_is_a_stream_with_the_types(app: typer.Typer, model: Path) -> None:
    done = CliRunner().invoke(app, [QUERY, "--model", str(model), "--format", "arrow"])
    found = pa.ipc.open_stream(done.stdout_bytes).read_all()
    assert (found.num_rows, found["good"].type) == (3, pa.int64())


def test_a_table_is_for_people(app: typer.Typer, model: Path) -> None:
    done = CliRunner().invoke(app, [QUERY, "--model", str(model)])
    assert "melt_temp" in done.stdout
    assert "2026-11-17T05:00:02Z" in done.stdout


def test_rows_that_are_cut_are_announced(app: typer.Typer, model: Path) -> None:
    done = CliRunner().invoke(
        app, [QUERY, "--model", str(model), "--format", "csv", "--max-rows", "2"]
    )
    assert len(done.stdout.splitlines()) == 3
    assert "only the first 2 rows" in done.stderr


@pytest.mark.parametrize("query", ["DROP TABLE cycle", "SELECT * FROM nothing", "SELEC"])
def test_what_is_refused_says_why(app: typer.Typer, model: Path, query: str) -> None:
    done = CliRunner().invoke(app, [query, "--model", str(model)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")


def test_without_data_it_says_where_it_looked(
    app: typer.Typer, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "elsewhere"))
    done = CliRunner().invoke(app, [QUERY, "--model", str(model)])
    assert done.exit_code == 1
    assert "has the platform run here?" in done.stderr


def test_a_stopped_platform_is_asked_the_same_way(
    app: typer.Typer, model: Path, house: House
) -> None:
    running = CliRunner().invoke(app, [QUERY, "--model", str(model), "--format", "csv"])
    house.close()
    stopped = CliRunner().invoke(app, [QUERY, "--model", str(model), "--format", "csv"])
    assert (stopped.exit_code, stopped.stdout) == (0, running.stdout)
    assert stopped.stdout.count("\n") == 4
