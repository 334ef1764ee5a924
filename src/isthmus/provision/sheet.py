"""Bytes of a CSV or Excel file to records: pure."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from isthmus.provision.reading import Fault, did_you_mean
from isthmus.provision.system import Record

Encoding = Literal["auto", "utf-8", "utf-16", "cp1252", "latin-1"]
Delimiter = Literal["auto", ",", ";", "\t", "|"]
EXCEL_SUFFIXES: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_DELIMITERS: Final = (";", "\t", ",", "|")
_BYTE_ORDER_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LONGEST_CELL: Final = 16 * 2**20


class UnreadableError(Exception):
    """Nothing of the file can be taken; the text says why and what to do."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(code, "", reason)


@dataclass(frozen=True)
class Layout:
    """How the rows of a file are found."""

    header: int = 1
    """Number of the row with the column names, counted from 1."""
    sheet: str | None = None
    """Of a workbook; None: its first one."""
    encoding: Encoding = "auto"
    delimiter: Delimiter = "auto"


def records(name: str, data: bytes, layout: Layout, needed: Sequence[str]) -> list[Record]:
    """Rows below the header, as records of the needed columns and all others that have a name.

    Raises UnreadableError.
    """
    excel = name.lower().endswith(EXCEL_SUFFIXES)
    lines = _excel(data, layout) if excel else _csv(data, layout, needed)
    if len(lines) < layout.header:
        raise UnreadableError("Q121", f"there is no row {layout.header} with column names")
    header = [str(cell).strip() for cell in lines[layout.header - 1].cells]
    _check_header(header, needed)
    return list(_records(header, lines[layout.header :], cut=excel))


@dataclass(frozen=True)
class _Line:
    number: int
    """As a person counts it in the file."""
    cells: list[Any]


def _records(header: list[str], lines: Sequence[_Line], *, cut: bool) -> Iterator[Record]:
    for line in lines:
        if all(cell in ("", None) for cell in line.cells):
            continue
        place = f"row {line.number}"
        if len(line.cells) != len(header) and not cut:
            reason = f"has {len(line.cells)} cells where the header has {len(header)}"
            values = {f"cell {number}": cell for number, cell in enumerate(line.cells, 1)}
            yield Record(place, values, Fault("Q122", "", reason))
            continue
        named = zip(header, line.cells, strict=False)
        yield Record(place, {name: cell for name, cell in named if name})


def _check_header(header: Sequence[str], needed: Sequence[str]) -> None:
    times = Counter(header)
    for name in needed:
        if times[name] > 1:
            raise UnreadableError("Q121", f"column `{name}` is there {times[name]} times")
        if name not in times:
            there = ", ".join(f"`{column}`" for column in header if column) or "no name at all"
            hint = did_you_mean(name, [column for column in header if column])
            raise UnreadableError("Q121", f"no column `{name}`{hint}; the header has {there}")


def _excel(data: bytes, layout: Layout) -> list[_Line]:
    from python_calamine import (  # noqa: PLC0415 - an optional driver
        CalamineError,
        CalamineWorkbook,
        WorksheetNotFound,
    )

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        name = layout.sheet or workbook.sheet_names[0]
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except WorksheetNotFound as error:
        hint = did_you_mean(str(layout.sheet), workbook.sheet_names)
        raise UnreadableError(
            "Q121", f"the workbook has no sheet `{layout.sheet}`{hint}"
        ) from error
    except (CalamineError, IndexError) as error:
        reason = f"is no workbook that can be read ({error}); is it complete, without a password?"
        raise UnreadableError("Q120", reason) from error
    return [_Line(number, row) for number, row in enumerate(rows, 1)]


def _csv(data: bytes, layout: Layout, needed: Sequence[str]) -> list[_Line]:
    text = _decoded(data, layout.encoding)
    if "\x00" in text:
        raise UnreadableError("Q120", "has NUL characters: it is no text file in this encoding")
    if layout.delimiter != "auto":
        return _lines(text, layout.delimiter)
    # The right sign is the one that finds our columns; sniffing the text alone guesses wrong on
    # decimal commas.
    found = {sign: _header(text, sign, layout.header) for sign in _DELIMITERS if sign in text}
    best = max(found, key=lambda sign: _hits(found[sign], needed), default=",")
    return _lines(text, best)


def _header(text: str, sign: str, number: int) -> list[str]:
    head = "\n".join(text.splitlines()[:number])
    reader = csv.reader(io.StringIO(head), delimiter=sign)
    try:
        rows = list(reader)
    except csv.Error:
        return []
    return [cell.strip() for cell in rows[-1]] if rows else []


def _hits(header: Sequence[str], needed: Sequence[str]) -> tuple[int, int]:
    return sum(name in header for name in needed), len(header)


def _decoded(data: bytes, encoding: Encoding) -> str:
    if encoding == "auto":
        return _detected(data)
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            "Q120", f"is not {encoding}: {error.reason} at byte {error.start}"
        ) from error


def _detected(data: bytes) -> str:
    marked = [name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)]
    for encoding in [*marked, "utf-8", "cp1252"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableError("Q120", "is neither UTF-8 nor Windows-1252; declare its `encoding`")


def _lines(text: str, delimiter: str) -> list[_Line]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = []
    try:
        number = 1
        for cells in reader:
            lines.append(_Line(number, cells))
            number = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableError("Q120", f"line {reader.line_num}: {error}") from error
    return lines
