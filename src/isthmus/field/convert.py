"""Values as they came become values of a block: numbers scaled, codes named, limits checked.

Every function takes entries (one sample for one field) and returns them with three columns:
`amount` (numbers), `whole` (integers, counts, booleans, positions in the string pool) and `why`
(0, or what is wrong). An entry of bad quality keeps no value.
"""

import re
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.field.columns import Column, below, case, equals, split, with_columns
from isthmus.field.mapping import Kind, Mapping
from isthmus.field.quarantine import AHEAD, EARLIEST, Why
from isthmus.flow.parcel import BAD, UNCERTAIN

BAD_DECODING: Final = 0x8007_0000
BAD_GRADE: Final = 2

_GOOD = pa.scalar(0, pa.int16())
_WORST = pa.scalar(BAD_GRADE, pa.uint32())
_INT64 = 2.0**63
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_ENTRY = ("sample", "field", "time", "received", "grade", "amount", "whole", "why")


def graded(samples: pa.RecordBatch) -> pa.RecordBatch:
    """Judge what needs no mapping: quality, device time, presence of a value.

    A bad sample has no value whose time could matter: where its device time is impossible, the
    time we were told counts, so that the machine still becomes unknown at once.
    """
    if _is_usual(samples):
        count = samples.num_rows
        good, fine = pa.repeat(_GOOD, count), pa.repeat(_code(Why.FINE), count)
        return with_columns(samples, grade=good, why=fine)
    number, text, quality = samples["number"], samples["text"], samples["quality"]
    time, received = samples["time"], samples["received"]
    bad = pc.greater_equal(quality, pa.scalar(BAD, pa.uint32()))
    unset = pc.less(time, EARLIEST)
    ahead = pc.greater(pc.subtract(time, received), AHEAD)
    present = pc.or_(pc.is_valid(number), pc.is_valid(text))
    why = case(
        (pc.and_(equals(quality, BAD_DECODING), pc.is_valid(text)), _code(Why.UNDECODABLE)),
        (bad, _code(Why.FINE)),
        (unset, _code(Why.CLOCK_NOT_SET)),
        (ahead, _code(Why.IN_THE_FUTURE)),
        (pc.invert(present), _code(Why.NO_VALUE)),
        default=_code(Why.FINE),
    )
    if pc.any(bad).as_py():
        time = pc.if_else(pc.and_(bad, pc.or_(unset, ahead)), received, time)
        number = pc.if_else(bad, pa.scalar(None, pa.float64()), number)
        text = pc.if_else(bad, pa.scalar(None, pa.string()), text)
    grade = pc.min_element_wise(pc.shift_right(quality, pa.scalar(30, pa.uint32())), _WORST)
    return with_columns(
        samples, time=time, number=number, text=text, grade=grade.cast(pa.int16()), why=why
    )


def _is_usual(samples: pa.RecordBatch) -> bool:
    """Whether all are good, of a possible time, and have a value: so is nearly every parcel."""
    number, text, time = samples["number"], samples["text"], samples["time"]
    return bool(
        samples.num_rows
        and pc.max(samples["quality"]).as_py() < UNCERTAIN
        and pc.min(time).as_py() >= EARLIEST
        and pc.max(pc.subtract(time, samples["received"])).as_py() <= AHEAD
        and (not number.null_count or pc.all(pc.or_(number.is_valid(), text.is_valid())).as_py())
    )


def converted(entries: pa.RecordBatch, mapping: Mapping) -> tuple[pa.RecordBatch, Column]:
    """Every entry with its value, and the pool that positions in `whole` point into."""
    kind = mapping.kind.take(entries["field"])
    entries = entries.append_column("kind", kind)
    if mapping.has_numbers_alone:
        return _numbers(entries, mapping).select(_ENTRY), mapping.names
    numeric, other = split(entries, below(kind, Kind.CODE))
    codes, texts = split(other, equals(other["kind"], Kind.CODE))
    parts, pool = [], mapping.names
    if numeric.num_rows:
        parts.append(_numbers(numeric, mapping))
    if codes.num_rows:
        parts.append(_codes(codes, mapping))
    if texts.num_rows:
        parts.append(_texts(texts, mapping, first=len(pool)))
        pool = pa.concat_arrays([pool, _as_text(texts)])
    kept = [part.select(_ENTRY) for part in parts]
    return (kept[0] if len(kept) == 1 else pa.concat_batches(kept)), pool


def no_entries() -> pa.RecordBatch:
    kinds = (pa.int64(), pa.int32(), pa.int64(), pa.int64(), pa.int16(), pa.float64(),
             pa.int64(), pa.uint8())  # fmt: skip
    schema = pa.schema(list(zip(_ENTRY, kinds, strict=True)))
    return pa.RecordBatch.from_pylist([], schema)


def _code(why: Why) -> pa.Scalar:
    return pa.scalar(why, pa.uint8())


def _usable(entries: pa.RecordBatch) -> Column:
    return pc.and_(equals(entries["why"], 0), below(entries["grade"], BAD_GRADE))


def _numbers(entries: pa.RecordBatch, mapping: Mapping) -> pa.RecordBatch:
    field = entries["field"]
    amount, exact = _read_numbers(entries)
    if mapping.scales:
        amount = pc.add(pc.multiply(amount, mapping.scale.take(field)), mapping.offset.take(field))
    rounded, whole = amount, pa.nulls(len(amount), pa.int64())
    if mapping.has_integers:
        rounded = pc.round(amount)
        inside = pc.and_(pc.less(amount, _INT64), pc.greater_equal(amount, -_INT64))
        whole = pc.if_else(inside, rounded, None).cast(pa.int64())
        if exact is not None:
            whole = pc.if_else(mapping.plain.take(field), pc.coalesce(exact, whole), whole)
    judged = with_columns(entries, amount=amount, whole=whole)
    found = [
        (wrong, _code(why))
        for wrong, why in _wrong(judged, rounded, mapping)
        if pc.any(wrong).as_py()
    ]
    if not found:
        return judged
    kept = (pc.invert(_usable(judged)), judged["why"])
    return with_columns(judged, why=case(kept, *found, default=_code(Why.FINE)))


def _read_numbers(entries: pa.RecordBatch) -> tuple[Column, Column | None]:
    """The numbers, also of texts that are one; and exactly, where integers came as text."""
    number, text = entries["number"], entries["text"]
    if text.null_count == len(text):
        return number, None
    words = text.to_pylist()
    truth = equals(entries["kind"], Kind.BOOLEAN).to_pylist()
    read = [_number(word, boolean) for word, boolean in zip(words, truth, strict=True)]
    return (
        pc.coalesce(number, pa.array(read, pa.float64())),
        pa.array([_integer(word) for word in words], pa.int64()),
    )


def _number(word: str | None, boolean: bool) -> float | None:  # noqa: FBT001
    if word is None:
        return None
    if boolean and word.lower() in {"true", "false"}:
        return float(word.lower() == "true")
    return float(word) if len(word) < 400 and _NUMBER.fullmatch(word) else None


def _integer(word: str | None) -> int | None:
    if word is None or len(word) > 20 or not _INTEGER.fullmatch(word):
        return None
    return int(word) if -(2**63) <= int(word) < 2**63 else None


def _wrong(
    entries: pa.RecordBatch, rounded: Column, mapping: Mapping
) -> Iterator[tuple[Column, Why]]:
    """What can be wrong with numbers; the first that is, counts.

    What no field of the mapping can break is not looked for.
    """
    field, kind, amount = entries["field"], entries["kind"], entries["amount"]
    boolean = equals(kind, Kind.BOOLEAN) if mapping.has_booleans else None
    if amount.null_count:
        if boolean is not None:
            yield pc.and_(pc.is_null(amount), boolean), Why.NOT_BOOLEAN
        yield pc.is_null(amount), Why.NOT_A_NUMBER
    finite = pc.is_finite(amount)
    if not pc.all(finite, min_count=0).as_py():
        yield pc.invert(finite), Why.NOT_FINITE
    if boolean is not None:
        yield pc.and_(boolean, pc.not_equal(pc.multiply(amount, amount), amount)), Why.NOT_BOOLEAN
    if mapping.has_integers:
        integral = pc.invert(equals(kind, Kind.NUMBER))
        broken = pc.and_(integral, pc.not_equal(amount, rounded))
        if pc.any(broken).as_py():
            size = pc.max_element_wise(pc.abs(amount), 1.0)
            close = pc.multiply(mapping.tolerance.take(field), size)
            far = pc.greater(pc.abs(pc.subtract(amount, rounded)), close)
            yield pc.and_(integral, far), Why.NOT_WHOLE
        yield pc.and_(integral, pc.is_null(entries["whole"])), Why.TOO_LARGE
    if mapping.has_limits:
        yield pc.less(amount, mapping.low.take(field)), Why.BELOW_MIN
        yield pc.greater(amount, mapping.high.take(field)), Why.ABOVE_MAX


def _codes(entries: pa.RecordBatch, mapping: Mapping) -> pa.RecordBatch:
    table = mapping.table.take(entries["field"])
    used = table.unique().to_pylist()
    parts = [_named(entries.filter(equals(table, number)), mapping, number) for number in used]
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def _named(entries: pa.RecordBatch, mapping: Mapping, number: int) -> pa.RecordBatch:
    """`3`, `3.0` and the text `"3"` are the same code; a code that is spelt so comes first."""
    table = mapping.tables[number]
    spelt = pc.index_in(entries["text"], value_set=table.texts)
    raw, _ = _read_numbers(entries)
    counted = pc.index_in(raw, value_set=table.numbers)
    whole = pc.coalesce(table.text_names.take(spelt), table.number_names.take(counted))
    unknown = pc.and_(_usable(entries), pc.is_null(whole))
    return with_columns(
        entries,
        amount=pa.nulls(entries.num_rows, pa.float64()),
        whole=whole,
        why=pc.if_else(unknown, _code(Why.UNKNOWN_CODE), entries["why"]),
    )


def _texts(entries: pa.RecordBatch, mapping: Mapping, first: int) -> pa.RecordBatch:
    usable = _usable(entries)
    limit = mapping.max_length.take(entries["field"])
    long = pc.and_(usable, pc.greater(pc.utf8_length(entries["text"]), limit))
    position = pa.arange(first, first + entries.num_rows)
    return with_columns(
        entries,
        amount=pa.nulls(entries.num_rows, pa.float64()),
        whole=pc.if_else(usable, position, None),
        why=pc.if_else(long.fill_null(False), _code(Why.TEXT_TOO_LONG), entries["why"]),  # noqa: FBT003
    )


def _as_text(entries: pa.RecordBatch) -> Column:
    """A number in a text field is written as people do: 1234, not 1234.0."""
    number, text = entries["number"], entries["text"]
    if number.null_count == len(number):
        return text
    written = [None if n is None else f"{n:.0f}" if n.is_integer() else repr(n)
               for n in number.to_pylist()]  # fmt: skip
    return pc.coalesce(text, pa.array(written, pa.string()))
