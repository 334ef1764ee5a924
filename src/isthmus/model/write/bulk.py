"""Many machines from a table: every row is checked before any is written."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.model.plant import Plant
from isthmus.model.spec.machine_type import MachineType
from isthmus.model.spec.words import SLUG
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.write.edits import AddMachine, AddSource, Edit

_FIRST_ROW: Final = 2
_OWN: Final = ("machine", "name", "source", "ideal_cycle")
_SLUG: Final = re.compile(SLUG)
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class RowProblem:
    """What is wrong with one cell; `column` is empty where it is the whole row."""

    row: int
    """As an editor counts lines: the heading is 1."""
    column: str
    message: str

    def __str__(self) -> str:
        place = f"row {self.row}, column `{self.column}`" if self.column else f"row {self.row}"
        return f"{place}: {self.message}"


class RowsError(Exception):
    """All that is wrong with a table; nothing was done."""

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Into:
    """Where the machines of a table go."""

    site: str
    area: str
    line: str
    machine_type: str


@dataclass(frozen=True)
class Bulk:
    """What a table asks for, once it has no mistake of its own."""

    edits: tuple[Edit, ...]
    rows: Mapping[str, int]
    """Name of a machine or source → its row, to say where a problem of the model comes from."""

    def row_of(self, address: str) -> int | None:
        """The row a problem's address (`sites.hamburg.machines.im-07.type`) belongs to."""
        return next((self.rows[part] for part in address.split(".") if part in self.rows), None)


def read_table(text: str) -> list[dict[str, str]]:
    """Rows of a CSV as Excel or a script writes it: comma, semicolon or tab."""
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise RowsError([RowProblem(reader.line_num, "", f"not CSV: {error}")]) from error
    if not rows:
        raise RowsError([RowProblem(1, "", "the table is empty")])
    columns = [cell.strip() for cell in rows[0]]
    problems = [
        RowProblem(1, column, "the column is there twice")
        for column in dict.fromkeys(columns)
        if columns.count(column) > 1
    ]
    problems += [
        RowProblem(number, "", f"{len(row)} cells, but {len(columns)} columns")
        for number, row in enumerate(rows[1:], _FIRST_ROW)
        if any(row) and len(row) != len(columns)
    ]
    if problems:
        raise RowsError(problems)
    return [
        dict(zip(columns, (cell.strip() for cell in row), strict=True))
        if any(row)
        else dict.fromkeys(columns, "")
        for row in rows[1:]
    ]


def machines_of(
    rows: Sequence[Mapping[str, str]],
    into: Into,
    plant: Plant,
    templates: Mapping[str, str] | None = None,
) -> Bulk:
    """The machines, and the sources they need, as edits; RowsError with all that is wrong.

    Columns: `machine` (its name in the model), `name`, `ideal_cycle`, `source`, each parameter
    of the type (`root`, or `params.root`), and `source.KEY` for a source that is to be made.
    `templates` fill a column from others: `{"source.endpoint": "opc.tcp://{host}:4840"}`.
    """
    declared = plant.machine_types.get(into.machine_type)
    if declared is None:
        hint = did_you_mean_or_list(into.machine_type, plant.machine_types, "types")
        raise RowsError([RowProblem(1, "", f"no machine type `{into.machine_type}`; {hint}")])
    table = _Table(into, plant, declared, templates or {})
    table.columns(rows)
    edits: list[Edit] = []
    for number, row in enumerate(rows, _FIRST_ROW):
        if any(row.values()):
            edits += table.row(number, row)
    if table.problems:
        raise RowsError(table.problems)
    if not edits:
        raise RowsError([RowProblem(1, "", "the table has no machine")])
    return Bulk(tuple(edits), table.sources | table.seen)


class _Table:
    """One table on its way, with the problems so far."""

    def __init__(
        self,
        into: Into,
        plant: Plant,
        declared: MachineType,
        templates: Mapping[str, str],
    ) -> None:
        self.problems: list[RowProblem] = []
        self._into, self._plant, self._type = into, plant, declared
        self._templates = templates
        self.seen: dict[str, int] = {}
        self.sources: dict[str, int] = {}
        self._used = {one for text in templates.values() for one in _PLACEHOLDER.findall(text)}
        line = f"{plant.enterprise}/{into.site}/{into.area}/{into.line}/"
        self._there = {path for path in plant.machines if path.startswith(line)}

    def columns(self, rows: Sequence[Mapping[str, str]]) -> None:
        there = set(rows[0]) if rows else set()
        known = {*_OWN, *self._type.params, *(f"params.{one}" for one in self._type.params)}
        for column in sorted(there - known - self._used):
            if not column.startswith("source."):
                hint = did_you_mean_or_list(column, known, "columns")
                self.problems.append(RowProblem(1, column, f"nothing uses this column; {hint}"))
        if rows and "machine" not in there | set(self._templates):
            self.problems.append(RowProblem(1, "machine", "the column is missing"))

    def row(self, number: int, written: Mapping[str, str]) -> Iterator[Edit]:
        row = self._filled(number, written)
        name = row.get("machine", "")
        self._name(number, name)
        source, made = self._source(number, name, row)
        entry: dict[str, Any] = {"name": row["name"]} if row.get("name") else {}
        entry |= {"type": self._into.machine_type, "source": source}
        if row.get("ideal_cycle"):
            entry["ideal_cycle"] = row["ideal_cycle"]
        if params := self._params(number, row):
            entry["params"] = params
        into = self._into
        yield from made
        yield AddMachine(into.site, into.area, into.line, name, entry)

    def _filled(self, number: int, row: Mapping[str, str]) -> dict[str, str]:
        filled = dict(row)
        for key, template in self._templates.items():
            missing = [one for one in _PLACEHOLDER.findall(template) if one not in row]
            if missing:
                said = f"`{template}` needs a column `{missing[0]}`"
                self._say(number, key, said)
                continue
            filled[key] = _PLACEHOLDER.sub(lambda found: row[found[1]], template)
        return filled

    def _name(self, number: int, name: str) -> None:
        into = self._into
        path = f"{self._plant.enterprise}/{into.site}/{into.area}/{into.line}/{name}"
        if not name:
            self._say(number, "machine", "is empty")
        elif not _SLUG.match(name):
            said = f"`{name}`: only lower case letters, digits, `-` and `_`"
            self._say(number, "machine", said)
        elif name in self.seen:
            self._say(number, "machine", f"`{name}` stands in row {self.seen[name]} already")
        elif path in self._there:
            self._say(number, "machine", f"there is a machine `{path}` already")
        self.seen.setdefault(name, number)

    def _params(self, number: int, row: Mapping[str, str]) -> dict[str, str]:
        params = {}
        for name, declared in self._type.params.items():
            value = row.get(f"params.{name}") or row.get(name, "")
            if value:
                params[name] = value
            elif declared.default is None:
                said = f"is empty; machines of type `{self._into.machine_type}` need it"
                self._say(number, name, said)
        return params

    def _source(
        self, number: int, name: str, row: Mapping[str, str]
    ) -> tuple[str, list[AddSource]]:
        """The source it reads from; a new one where the row says how to reach it."""
        source = row.get("source") or name
        keys = {
            key.removeprefix("source."): value
            for key, value in row.items()
            if key.startswith("source.") and value
        }
        known = self._plant.sources.get(source)
        if not keys:
            if known is None and source not in self.sources:
                hint = did_you_mean_or_list(source, self._plant.sources, "sources")
                self._say(number, "source", f"no source `{source}`; {hint}")
            return source, []
        if known is not None:
            said = f"there is a source `{source}` already; leave the `source.…` cells empty"
            self._say(number, "source", said)
        if source in self.sources:
            return source, []
        self.sources[source] = number
        kind = keys.pop("kind", None) or self._type.kind
        if kind is None:
            self._say(number, "source.kind", "is empty, and the type does not say its kind")
        entry = {"kind": kind, **{key: _scalar(value) for key, value in keys.items()}}
        return source, [AddSource(self._into.site, source, entry)]

    def _say(self, number: int, column: str, message: str) -> None:
        self.problems.append(RowProblem(number, column, message))


def _scalar(text: str) -> str | int:
    return int(text) if text.isdecimal() and (text == "0" or text[0] != "0") else text
