"""Each tag to at most one field, each field to at most one tag, so that the sum is greatest."""

from collections.abc import Mapping, Sequence

_NOTHING = 0.0


def assigned(scores: Sequence[Mapping[int, float]]) -> list[int | None]:
    """For each row (field) the column (tag) it gets; columns a row does not name score nothing.

    The Hungarian method with potentials, O(rows² × columns). A row may stay empty: for each
    there is a column of its own that scores zero.
    """
    names = sorted({column for row in scores for column in row})
    place = {column: index for index, column in enumerate(names)}
    rows, columns = len(scores), len(names) + len(scores)
    cost = [[-_NOTHING] * columns for _ in range(rows)]
    for row, given in enumerate(scores):
        for column, score in given.items():
            cost[row][place[column]] = -score
    chosen = _cheapest(cost, rows, columns)
    return [
        names[column] if column < len(names) and cost[row][column] < 0 else None
        for row, column in enumerate(chosen)
    ]


def _cheapest(cost: Sequence[Sequence[float]], rows: int, columns: int) -> list[int]:
    row_price, column_price = [0.0] * (rows + 1), [0.0] * (columns + 1)
    owner = [0] * (columns + 1)
    for row in range(1, rows + 1):
        _give(row, cost, row_price, column_price, owner)
    chosen = [0] * rows
    for column in range(1, columns + 1):
        if owner[column]:
            chosen[owner[column] - 1] = column - 1
    return chosen


def _give(
    row: int,
    cost: Sequence[Sequence[float]],
    row_price: list[float],
    column_price: list[float],
    owner: list[int],
) -> None:
    """One more row gets a column; others may have to move along the cheapest path."""
    columns = len(owner) - 1
    slack, came_from = [float("inf")] * (columns + 1), [0] * (columns + 1)
    seen = [False] * (columns + 1)
    owner[0], column = row, 0
    while owner[column]:
        seen[column] = True
        here, least, following = owner[column], float("inf"), 0
        for other in range(1, columns + 1):
            if seen[other]:
                continue
            price = cost[here - 1][other - 1] - row_price[here] - column_price[other]
            if price < slack[other]:
                slack[other], came_from[other] = price, column
            if slack[other] < least:
                least, following = slack[other], other
        for other in range(columns + 1):
            if seen[other]:
                row_price[owner[other]] += least
                column_price[other] -= least
            else:
                slack[other] -= least
        column = following
    while column:
        owner[column] = owner[came_from[column]]
        column = came_from[column]
