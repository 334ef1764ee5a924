"""The tail: rows of one log that the lake may not have yet, decoded once and kept in memory."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import pyarrow as pa

from isthmus.base.problem import Problem
from isthmus.data.contract import ContractError, known_table, lake_rows
from isthmus.data.tables import TableSchema
from isthmus.flow.log_reader import LogView
from isthmus.flow.parcel import Parcel

_READ: Final = 1024


@dataclass(frozen=True)
class _Piece:
    epoch: str
    seq: int
    rows: pa.Table


class Tail:
    """Not safe for several threads at once: the lake holds its lock around it."""

    def __init__(self, schemas: Mapping[str, TableSchema]) -> None:
        self._schemas = schemas
        self._pieces: dict[str, list[_Piece]] = {}
        self._loaded = 0
        self.epoch = ""
        self.epochs: list[str] = []
        self.problems: list[Problem] = []
        """Parcels that fit no table: the writer stands still there too."""

    def load(self, view: LogView) -> None:
        """Everything up to the view's moment."""
        self.epochs = [epoch.epoch for epoch in view.epochs()]
        self.epoch = self.epochs[-1]
        confirmed = view.confirmed("rows")
        self._let_go(confirmed)
        after = max(self._loaded, confirmed)
        last = view.last("rows")
        while after < last:
            parcels = view.read("rows", after, _READ)
            if not parcels:
                break
            for parcel in parcels:
                self._take(parcel)
            after = parcels[-1].seq
        self._loaded = max(self._loaded, last)

    def rows(self, name: str, committed: Mapping[str, int]) -> list[pa.Table]:
        """Rows of a table beyond what it has `committed` per epoch; the others are let go."""
        pieces = [
            piece
            for piece in self._pieces.get(name, [])
            if piece.seq > committed.get(piece.epoch, 0)
        ]
        self._pieces[name] = pieces
        return [piece.rows for piece in pieces]

    def _let_go(self, confirmed: int) -> None:
        """Of all tables, also of those nobody asks for: the files have these rows."""
        for pieces in self._pieces.values():
            del pieces[: bisect_right(pieces, confirmed, key=attrgetter("seq"))]

    def _take(self, parcel: Parcel) -> None:
        try:
            rows = lake_rows(parcel, known_table(parcel.name, self._schemas))
        except ContractError as error:
            self.problems.append(Problem("D003", f"lake.{parcel.name}", str(error)))
            return
        self._pieces.setdefault(parcel.name, []).append(_Piece(parcel.epoch, parcel.seq, rows))
