"""How far a table has been read, and which rows of what is read again are new: pure."""

import base64
import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import xxhash

from isthmus.base.clock import SECOND, Micros
from isthmus.field.connectors.sql.spec import SqlSource
from isthmus.field.tables.layout import Row

VERSION: Final = 1
_Kind = Literal["number", "text", "datetime", "date"]


class NoOrderError(ValueError):
    """The column holds something by which one cannot tell what is newer."""


class NewerError(ValueError):
    """The position was written by a newer Isthmus."""


@dataclass(frozen=True)
class Progress:
    """Where the reading of one table stands."""

    about: str
    """Which table; a position about another one is none."""
    identity: str
    """Which columns tell rows apart."""
    start: Micros
    """Rows with an earlier time are never taken."""
    mark: Any = None
    """Highest value of the ordering column; None: nothing was read."""
    latest: Micros = 0
    """Time of the newest row that was taken."""
    seen: frozenset[int] = frozenset()
    """Fingerprints of the rows that will be read again."""
    ahead: frozenset[int] = frozenset()
    """The same of rows beyond the mark: their times are in the future."""
    last: Mapping[str, Any] = field(default_factory=dict)
    """Newest values, where they are to be repeated."""
    blind: bool = False
    """The fingerprints are of other columns: rows up to the mark count as seen, once."""

    def encode(self) -> bytes:
        content = {
            "version": VERSION,
            "about": self.about,
            "identity": self.identity,
            "start": self.start,
            "mark": None if self.mark is None else [kind_of(self.mark), _text(self.mark)],
            "latest": self.latest,
            "seen": _packed(self.seen),
            "ahead": _packed(self.ahead),
            "last": self.last,
        }
        return json.dumps(content, separators=(",", ":")).encode()


def resumed(position: bytes, about: str, identity: str) -> Progress | None:
    """The progress that was kept; None where it is of another table."""
    content = json.loads(position)
    if content["version"] > VERSION:
        raise NewerError(f"the position has version {content['version']}, we read {VERSION}")
    if content["about"] != about:
        return None
    mark = content["mark"]
    return Progress(
        about=about,
        identity=identity,
        start=content["start"],
        mark=None if mark is None else _value(*mark),
        latest=content["latest"],
        seen=_unpacked(content["seen"]),
        ahead=_unpacked(content["ahead"]),
        last=content["last"],
        blind=content["identity"] != identity,
    )


@dataclass(frozen=True)
class Fetched:
    """What one query brought, by rising order."""

    rows: Sequence[Row]
    full: bool
    """There may be more."""


def fresh(
    progress: Progress, fetched: Fetched, spec: SqlSource, columns: Sequence[str], now: Micros
) -> tuple[list[Row], Progress]:
    """The rows that were not taken before, and the progress after them."""
    if not fetched.rows:
        return [], replace(progress, blind=False)
    orders = [row[spec.ordered_by] for row in fetched.rows]
    mark = _highest(orders, progress.mark, spec, now)
    prints = _fingerprints(fetched.rows, columns, unique=bool(spec.key))
    again = None if mark is None else lowest_again(mark, spec, now)
    known = set(progress.seen | progress.ahead)
    if progress.blind:
        known |= {p for p, order in zip(prints, orders, strict=True) if order <= progress.mark}
    new = []
    for row, fingerprint in zip(fetched.rows, prints, strict=True):
        if fingerprint not in known:
            known.add(fingerprint)
            new.append(row)
    placed = list(zip(prints, orders, strict=True))
    inside = {p for p, order in placed if mark is not None and again <= order <= mark}
    beyond = {p for p, order in placed if mark is None or order > mark}
    if fetched.full:
        beyond |= progress.ahead
        if progress.mark is not None and orders[-1] <= progress.mark:
            inside |= progress.seen  # the query was cut before it had come to all of them
    after = replace(progress, mark=mark, seen=frozenset(inside), ahead=frozenset(beyond))
    return new, replace(after, blind=False)


def lowest_again(mark: Any, spec: SqlSource, now: Micros) -> Any:
    """The value of the ordering column from which on rows are read again."""
    if _counts(mark, spec):
        return mark - spec.overlap_rows
    at = spec.reckoning.moment([mark], 0).at - round(spec.overlap * SECOND)
    return spec.reckoning.like(mark, at, now)


def restarted(progress: Progress, highest: Any, spec: SqlSource, now: Micros) -> Progress | None:
    """Progress for a table whose numbers began anew, None where they did not."""
    if progress.mark is None or highest is None or not _counts(progress.mark, spec):
        return None
    if highest >= lowest_again(progress.mark, spec, now):
        return None
    start = max(progress.start, progress.latest + 1)
    return replace(progress, mark=None, seen=frozenset(), ahead=frozenset(), start=start)


def _counts(mark: Any, spec: SqlSource) -> bool:
    """Whether the column is a number that grows, not a time."""
    return kind_of(mark) == "number" and spec.order is not None


def _highest(orders: Sequence[Any], last: Any, spec: SqlSource, now: Micros) -> Any:
    """The new mark; never a time in the future, where one wrong row would hide all later ones."""
    known = orders if last is None else [*orders, last]
    kinds = {kind_of(order) for order in known}
    if len(kinds) > 1:
        raise NoOrderError(f"holds {' and '.join(sorted(kinds))}; read one kind of value")
    highest = max(known)
    if _counts(highest, spec):
        return highest
    if spec.reckoning.moment([highest], now).at <= now:
        return highest
    present = spec.reckoning.like(highest, now, now)
    past = [order for order in known if order <= present]
    return max(past, default=None)


def _fingerprints(rows: Sequence[Row], columns: Sequence[str], *, unique: bool) -> list[int]:
    """64 bits of each row; rows that are alike in all columns are told apart by their number."""
    times: Counter[int] = Counter()
    prints = []
    for row in rows:
        text = repr([row[name] for name in columns]).encode()
        fingerprint = xxhash.xxh3_64_intdigest(text)
        if not unique:
            times[fingerprint] += 1
            if times[fingerprint] > 1:
                fingerprint = xxhash.xxh3_64_intdigest(text + b"%d" % times[fingerprint])
        prints.append(fingerprint)
    return prints


def _packed(prints: frozenset[int]) -> str:
    return base64.b64encode(struct.pack(f"<{len(prints)}Q", *sorted(prints))).decode()


def _unpacked(text: str) -> frozenset[int]:
    packed = base64.b64decode(text)
    return frozenset(struct.unpack(f"<{len(packed) // 8}Q", packed))


def kind_of(value: Any) -> _Kind:
    match value:
        case datetime():
            return "datetime"
        case date():
            return "date"
        case int() | float() | Decimal() if not isinstance(value, bool):
            return "number"
        case str():
            return "text"
    raise NoOrderError(f"holds {type(value).__name__}, which tells no order")


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _value(kind: _Kind, text: str) -> Any:
    match kind:
        case "datetime":
            return datetime.fromisoformat(text)
        case "date":
            return date.fromisoformat(text)
        case "number":
            return int(text) if text.lstrip("-").isdigit() else Decimal(text)
        case "text":
            return text
