"""The rows of a file, one after the other, whatever its format. Memory stays bounded."""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from isthmus.field.connectors.files.spec import FilesSource

_DELIMITERS: Final = (";", "\t", ",", "|")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")
)  # fmt: skip
_LONGEST_CELL: Final = 2**20
_CHUNK: Final = 2**20
_ROWS_AT_ONCE: Final = 5_000


class UnreadableError(Exception):
    """Nothing of the file can be taken; the text says why, where and what to do."""


@dataclass(frozen=True)
class FileRow:
    """One row as it is in the file."""

    number: int
    """As a person counts it: the line, or the row of the sheet."""
    cells: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    """Why the row cannot be taken; then there are no cells."""


def rows_of(path: Path, spec: FilesSource, needed: Sequence[str]) -> Iterator[FileRow]:
    """Rows that are not empty. `needed`: columns without which the file is unreadable."""
    match spec.format_of(path.name):
        case "csv":
            return _csv(path, spec, needed)
        case "excel":
            return _excel(path, spec, needed)
        case "jsonl":
            return _json_lines(path, spec)
        case "parquet":
            return _parquet(path, needed)


# Text ---------------------------------------------------------------------------------------


def encoding_of(path: Path, spec: FilesSource) -> str:
    """By the mark at its beginning, or by what all of its bytes can be."""
    with path.open("rb") as file:
        head = file.read(4)
        marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
        if spec.encoding != "auto":
            return marked if marked.startswith(spec.encoding) else spec.encoding
        if marked:
            return marked
        file.seek(0)
        return "utf-8" if _is_utf8(file) else "cp1252"


def _is_utf8(file: io.BufferedReader) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _csv(path: Path, spec: FilesSource, needed: Sequence[str]) -> Iterator[FileRow]:
    encoding = encoding_of(path, spec)
    csv.field_size_limit(_LONGEST_CELL)
    with path.open("r", encoding=encoding, newline="") as file:
        try:
            delimiter = _delimiter(path, encoding, spec, needed)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            yield from _lines(reader, spec.header, needed)
        except UnicodeError as error:
            reason = f"is not {encoding}: {_why(error)}; declare its `encoding`"
            raise UnreadableError(reason) from None
        except csv.Error as error:
            raise UnreadableError(f"line {reader.line_num}: {error}") from None


def _lines(reader: Any, header: int, needed: Sequence[str]) -> Iterator[FileRow]:
    names: list[str] | None = None
    number = 1
    for count, cells in enumerate(reader, 1):
        if any("\x00" in cell for cell in cells):
            raise UnreadableError(f"line {number} has NUL characters: is its encoding right?")
        if count == header:
            names = _names(cells, needed)
        elif names is not None and any(cells):
            yield _named(number, names, cells)
        number = reader.line_num + 1
    if names is None:
        raise UnreadableError(f"has no row {header} with column names")


def _delimiter(path: Path, encoding: str, spec: FilesSource, needed: Sequence[str]) -> str:
    """The sign that finds our columns; sniffing would guess wrong on decimal commas."""
    if spec.delimiter != "auto":
        return spec.delimiter
    with path.open("r", encoding=encoding, newline="") as file:
        head = "".join(line for line, _ in zip(file, range(spec.header), strict=False))
    best, most = ",", (-1, -1)
    for sign in _DELIMITERS:
        rows = list(csv.reader(io.StringIO(head, newline=""), delimiter=sign))
        cells = [cell.strip() for cell in rows[-1]] if rows else []
        hits = (sum(name in cells for name in needed), len(cells))
        if hits > most:
            best, most = sign, hits
    return best


def _json_lines(path: Path, spec: FilesSource) -> Iterator[FileRow]:
    encoding = encoding_of(path, spec)
    with path.open("r", encoding=encoding) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _json(number, line)
        except UnicodeError as error:
            raise UnreadableError(f"is not {encoding}: {_why(error)}") from None


def _why(error: UnicodeError) -> str:
    """Of a byte order mark that is missing Python says it in words of its own."""
    return error.reason if isinstance(error, UnicodeDecodeError) else str(error)


def _json(number: int, line: str) -> FileRow:
    try:
        found = json.loads(line)
    except ValueError as error:
        return FileRow(number, problem=f"is no JSON: {error}")
    if not isinstance(found, dict):
        return FileRow(number, problem="is no JSON object")
    return FileRow(number, dict(_flat(found)))


def _flat(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Objects inside objects as `outer.inner`."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


# Tables -------------------------------------------------------------------------------------


def _excel(path: Path, spec: FilesSource, needed: Sequence[str]) -> Iterator[FileRow]:
    from python_calamine import CalamineError, CalamineWorkbook, WorksheetNotFound

    if path.stat().st_size > spec.max_mb * 2**20:
        raise UnreadableError(f"is larger than `max_mb: {spec.max_mb}`; export it as CSV")
    try:
        workbook = CalamineWorkbook.from_path(path)
        sheet = workbook.get_sheet_by_name(spec.sheet or workbook.sheet_names[0])
    except WorksheetNotFound:
        there = ", ".join(f"`{name}`" for name in workbook.sheet_names)
        raise UnreadableError(f"has no sheet `{spec.sheet}`; there are {there}") from None
    except (CalamineError, IndexError) as error:
        reason = f"is no workbook that can be read ({error}); is it complete, without a password?"
        raise UnreadableError(reason) from None
    names: list[str] | None = None
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number == spec.header:
            names = _names([str(cell) for cell in cells], needed)
        elif names is not None and any(cell != "" for cell in cells):
            yield _named(number, names, cells)
    if names is None:
        raise UnreadableError(f"has no row {spec.header} with column names")


def _parquet(path: Path, needed: Sequence[str]) -> Iterator[FileRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            _check(file.schema_arrow.names, needed)
            for part in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                for row in _in_micros(pa.Table.from_batches([part])).to_pylist():
                    number += 1
                    yield FileRow(number, row)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UnreadableError(f"is no Parquet file that can be read ({error})") from None


def _in_micros(table: Any) -> Any:
    """Python's times end at microseconds."""
    import pyarrow as pa

    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            kind = pa.timestamp("us", column.type.tz)
            table = table.set_column(place, column.name, table[place].cast(kind, safe=False))
    return table


def _names(cells: Sequence[str], needed: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    _check(names, needed)
    return names


def _check(names: Sequence[str], needed: Sequence[str]) -> None:
    times = Counter(names)
    for name in needed:
        if times[name] > 1:
            raise UnreadableError(f"has {times[name]} columns `{name}`")
        if name not in times:
            there = ", ".join(f"`{column}`" for column in names if column) or "no name at all"
            raise UnreadableError(f"has no column `{name}`; the header has {there}")


def _named(number: int, names: list[str], cells: Sequence[Any]) -> FileRow:
    """Delimiters at the end of a line that the header does not have are no cells."""
    surplus = cells[len(names) :]
    if len(cells) < len(names) or any(cell != "" for cell in surplus):
        return FileRow(number, problem=f"has {len(cells)} cells where the header has {len(names)}")
    return FileRow(number, {name: cell for name, cell in zip(names, cells, strict=False) if name})
