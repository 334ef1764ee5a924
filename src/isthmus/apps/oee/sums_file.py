"""KPIs without a platform: from a CSV file of sums, one row per group."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.oee.kpi import whole
from isthmus.apps.oee.ratios import COUNTS, KPIS, SUMS, TimeModel, ratios
from isthmus.base.problem import Place, Problem, ProblemsError

TEXTS: Final = ("scope", "group", "from", "to")
"""Columns that are carried along."""


def kpi_of_sums(path: Path, time_model: TimeModel = "iso22400") -> list[dict[str, Any]]:
    """Every KPI of every row; ProblemsError names each cell that is no sum.

    Columns are those of SUMS, in seconds and pieces, and TEXTS. A column that is missing and a
    cell that is empty are unknown: what needs them is null, with the reason.
    """
    rows = list(_rows(path))
    columns = [name for name in (*TEXTS, *SUMS) if any(name in row for row in rows)]
    schema = pa.schema(
        [pa.field(name, pa.string() if name in TEXTS else pa.float64()) for name in columns]
    )
    found = ratios(pa.Table.from_pylist(rows, schema=schema), time_model)
    return [_shown(row, time_model) for row in found]


def _shown(row: dict[str, Any], time_model: TimeModel) -> dict[str, Any]:
    return {
        **{name: row.get(name) for name in TEXTS},
        **{name: row[name] for name in KPIS},
        **{name: whole(row[name]) if name in COUNTS else row[name] for name in SUMS},
        "reasons_null": row["reasons_null"],
        "above_one": list(row["above_one"]),
        "time_model": time_model,
    }


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        problems = _check_header(path.name, header)
        if problems:
            raise ProblemsError(problems)
        rows = []
        for cells in reader:
            if cells:
                row, wrong = _row(path.name, reader.line_num, header, cells)
                rows.append(row)
                problems += wrong
    if problems:
        raise ProblemsError(problems)
    if not rows:
        raise ProblemsError(
            [_problem("K006", path.name, 1, "", "there is no row below the header")]
        )
    yield from rows


def _check_header(file: str, header: Sequence[str]) -> list[Problem]:
    problems = []
    for name in header:
        if name in KPIS or name in {"reasons_null", "above_one", "time_model"}:
            text = f"`{name}` is computed, not given"
            problems.append(_problem("K001", file, 1, name, text, "leave this column out"))
        elif name not in SUMS and name not in TEXTS:
            text = f"`{name}` is no column of a table of sums"
            problems.append(_problem("K001", file, 1, name, text, f"known are {_known(name)}"))
    twice = sorted({name for name in header if header.count(name) > 1})
    problems += [_problem("K002", file, 1, name, f"`{name}` is there twice") for name in twice]
    if not problems and not set(header) & set(SUMS):
        problems.append(
            _problem("K003", file, 1, "", "no column holds a sum", f"known are {_known('')}")
        )
    return problems


def _known(name: str) -> str:
    alike = [known for known in SUMS if name and known[:3] == name[:3].lower()]
    return ", ".join(f"`{known}`" for known in (alike or SUMS))


def _row(
    file: str, line: int, header: Sequence[str], cells: Sequence[str]
) -> tuple[dict[str, Any], list[Problem]]:
    if len(cells) != len(header):
        text = f"{len(cells)} cells under {len(header)} columns"
        return {}, [_problem("K004", file, line, "", text)]
    row: dict[str, Any] = {}
    problems = []
    for name, cell in zip(header, cells, strict=True):
        if name in TEXTS:
            row[name] = cell
            continue
        try:
            row[name] = _number(cell.strip())
        except ValueError as error:
            problems.append(_problem("K005", file, line, name, f"`{cell}` {error}"))
    return row, problems


def _number(cell: str) -> float | None:
    """None for an empty cell; ValueError says what is wrong."""
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        raise ValueError("is no number (write 1234.5)") from None
    if not math.isfinite(value):
        raise ValueError("is not finite; leave the cell empty if it is unknown")
    if value < 0:
        raise ValueError("is negative: no time and no quantity is")
    return value


def _problem(  # noqa: PLR0917
    code: str, file: str, line: int, column: str, message: str, hint: str = ""
) -> Problem:
    return Problem(code, column, message, Place(file, line, 1), hint)
