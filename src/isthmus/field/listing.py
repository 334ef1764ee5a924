"""Tags from a table, for sources that cannot be browsed: a register list, an export of a PLC."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from isthmus.field.connector import Node

_COLUMNS: Final[Mapping[str, str]] = MappingProxyType({
    "tag": "tag", "address": "tag", "adresse": "tag", "register": "tag",
    "name": "name", "symbol": "name", "variable": "name",
    "path": "path", "pfad": "path", "group": "path", "gruppe": "path",
    "type": "type", "data type": "type", "datatype": "type", "typ": "type", "datentyp": "type",
    "unit": "unit", "einheit": "unit",
    "description": "description", "comment": "description", "kommentar": "description",
    "beschreibung": "description",
})  # fmt: skip
"""What people call a column → what it is of a node; other columns are ignored."""


_TOLD: Final = 10
"""Of many wrong rows so many are named."""


class ListingError(ValueError):
    """The table says of no tag where it is, or something that is no tag; names the rows."""


def nodes_of(
    rows: Sequence[Mapping[str, str]], parse_tag: Callable[[str], object] = str
) -> list[Node]:
    """One node per row that has a tag; the heading may be English or German.

    `parse_tag` is that of the source: its ValueError says what is wrong with a tag.
    """
    meaning = {
        column: _COLUMNS[column.strip().lower()]
        for column in (rows[0] if rows else {})
        if column.strip().lower() in _COLUMNS
    }
    if "tag" not in meaning.values():
        raise ListingError("a list of tags needs a column `tag` (or `address`)")
    nodes, wrong = [], []
    for number, row in enumerate(rows, 2):
        given = {meaning[column]: cell for column, cell in row.items() if column in meaning}
        if tag := given.get("tag"):
            try:
                parse_tag(tag)
            except ValueError as error:
                wrong.append(f"row {number}: {error}")
            name = given.get("name") or tag
            folder = given.get("path", "").rstrip("/")
            nodes.append(
                Node(
                    tag=tag,
                    name=name,
                    path=f"{folder}/{name}",
                    type=given.get("type", ""),
                    unit=given.get("unit", ""),
                    description=given.get("description", ""),
                )
            )
    if wrong:
        more = [f"and {len(wrong) - _TOLD} rows more"] if len(wrong) > _TOLD else []
        raise ListingError("\n".join([*wrong[:_TOLD], *more]))
    return nodes
