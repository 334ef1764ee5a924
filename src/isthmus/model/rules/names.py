"""Names that Isthmus itself needs in the lake."""

from collections.abc import Iterator
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration
from isthmus.model.plant import Kinds

TABLES: Final = frozenset({
    "material", "production_order", "operation", "stop_reason", "order_run", "shift",
    "planned_down", "machine", "state_category", "source", "gap", "ledger", "quarantine",
    "oee_fact",
})  # fmt: skip
COLUMNS: Final = frozenset({"machine", "time"})


def reserved_names(declaration: Declaration, _kinds: Kinds) -> Iterator[Problem]:
    for name, block in declaration.blocks.items():
        if name in TABLES or name.endswith("_history"):
            said = f"Isthmus has a table `{name}` of its own"
            yield block.problem("M049", ("block",), said, "choose another name")
        for field in COLUMNS.intersection(block.spec.fields):
            said = f"every block has a column `{field}` already"
            yield block.problem("M049", ("fields", field), said, "choose another name", at_key=True)
