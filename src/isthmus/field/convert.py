"""Values as they came become values of a block: numbers scaled, codes named, limits checked.

Every function takes entries (one sample for one field) and returns them with three columns:
`amount` (numbers), `whole` (integers, counts, booleans, positions in the string pool) and `why`
(0, or what is wrong). An entry of bad quality keeps no value.
"""

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.field.mapping import Kind, Mapping
from isthmus.field.quarantine import AHEAD, EARLIEST, Why
from isthmus.flow.parcel import BAD, UNCERTAIN

BAD_DECODING = 0x8007_0000

_CLOSE = 1e-9
"""A scaled value this close to a whole number is one: 0.1 * 30 is not 3 in binary."""
_INT64 = 2.0**63


def graded(samples: pl.DataFrame) -> pl.DataFrame:
    """Judge what needs no mapping: quality, device time, presence of a value.

    A bad sample has no value whose time could matter: where its device time is impossible, the
    time we were told counts, so that the machine still becomes unknown at once.
    """
    bad = pl.col("quality") >= BAD
    unset = pl.col("time") < EARLIEST
    ahead = pl.col("time") > pl.col("received") + AHEAD
    garbled = (pl.col("quality") == BAD_DECODING) & pl.col("text").is_not_null()
    return samples.with_columns(
        time=pl.when(bad & (unset | ahead)).then("received").otherwise("time"),
        number=pl.when(~bad).then("number"),
        text=pl.when(~bad).then("text"),
        grade=(pl.col("quality") // UNCERTAIN).clip(0, 2).cast(pl.Int16),
        why=pl.when(garbled).then(Why.UNDECODABLE)
        .when(bad).then(Why.FINE)
        .when(unset).then(Why.CLOCK_NOT_SET)
        .when(ahead).then(Why.IN_THE_FUTURE)
        .when(pl.col("number").is_null() & pl.col("text").is_null()).then(Why.NO_VALUE)
        .otherwise(Why.FINE).cast(pl.UInt8),
    )  # fmt: skip


def converted(entries: pl.DataFrame, mapping: Mapping) -> tuple[pl.DataFrame, pa.Array]:
    """Every entry with its value, and the pool that positions in `whole` point into."""
    numeric = entries.filter(pl.col("kind") <= Kind.COUNTER)
    codes = entries.filter(pl.col("kind") == Kind.CODE)
    texts = entries.filter(pl.col("kind") == Kind.TEXT)
    parts = [_numbers(numeric)]
    pool = mapping.names
    if codes.height:
        parts.append(_codes(codes, mapping))
    if texts.height:
        parts.append(_texts(texts, first=len(pool)))
        pool = pa.concat_arrays([pool, _as_text(texts)])
    return pl.concat([part.select(_KEPT) for part in parts]), pool


_KEPT = (
    "sample", "field", "kind", "block", "machine", "column", "time", "received", "grade",
    "scale", "high", "size", "ignore", "amount", "whole", "why",
)  # fmt: skip


def _numbers(entries: pl.DataFrame) -> pl.DataFrame:
    read = entries.with_columns(**_read_numbers(entries))
    is_count = pl.col("kind") == Kind.COUNTER
    plain = ((pl.col("scale") == 1.0) & (pl.col("offset") == 0.0)) | is_count
    amount = pl.when(plain).then("raw").otherwise(pl.col("raw") * pl.col("scale") + pl.col("offset"))
    scaled = read.with_columns(amount=amount, plain=plain).with_columns(
        whole=pl.when(pl.col("plain") & pl.col("exact").is_not_null())
        .then("exact")
        .otherwise(pl.col("amount").round().cast(pl.Int64, strict=False))
    )
    return scaled.with_columns(why=_judge_numbers())


def _read_numbers(entries: pl.DataFrame) -> dict[str, pl.Expr]:
    """`raw`: the number, also of a text that is one. `exact`: integers beyond 2**53 come as text."""
    if entries["text"].null_count() == entries.height:
        return {"raw": pl.col("number"), "exact": pl.lit(None, pl.Int64)}
    word = pl.col("text").str.to_lowercase()
    boolean = pl.when(pl.col("kind") == Kind.BOOLEAN).then(
        pl.when(word == "true").then(1.0).when(word == "false").then(0.0)
    )
    return {
        "raw": pl.coalesce("number", boolean, pl.col("text").cast(pl.Float64, strict=False)),
        "exact": pl.col("text").cast(pl.Int64, strict=False),
    }


def _judge_numbers() -> pl.Expr:
    kind, amount, whole = pl.col("kind"), pl.col("amount"), pl.col("whole")
    tolerance = pl.when(pl.col("plain")).then(0.0).otherwise(_CLOSE)
    broken = (amount - amount.round()).abs() > tolerance * pl.max_horizontal(amount.abs(), 1.0)
    integral = kind != Kind.NUMBER
    limited = kind != Kind.COUNTER  # a counter's limits hold for its increments
    return (
        pl.when(pl.col("why") > 0).then("why")
        .when(pl.col("grade") == 2).then(Why.FINE)
        .when(amount.is_null() & (kind == Kind.BOOLEAN)).then(Why.NOT_BOOLEAN)
        .when(amount.is_null()).then(Why.NOT_A_NUMBER)
        .when(~amount.is_finite()).then(Why.NOT_FINITE)
        .when((kind == Kind.BOOLEAN) & (amount != 0) & (amount != 1)).then(Why.NOT_BOOLEAN)
        .when(integral & broken).then(Why.NOT_WHOLE)
        .when(integral & (whole.is_null() | (amount.abs() > _INT64))).then(Why.TOO_LARGE)
        .when(limited & (amount < pl.col("low"))).then(Why.BELOW_MIN)
        .when(limited & (amount > pl.col("high"))).then(Why.ABOVE_MAX)
        .otherwise(Why.FINE).cast(pl.UInt8)
    )  # fmt: skip


def _codes(entries: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    tables = entries["table"].unique().sort()
    named = [_named(entries.filter(pl.col("table") == t), mapping, t) for t in tables]
    unknown = (pl.col("why") == 0) & (pl.col("grade") < 2) & pl.col("whole").is_null()
    why = pl.when(unknown).then(Why.UNKNOWN_CODE).otherwise("why").cast(pl.UInt8)
    return pl.concat(named).with_columns(why=why, amount=pl.lit(None, pl.Float64))


def _named(entries: pl.DataFrame, mapping: Mapping, number: int) -> pl.DataFrame:
    """`3`, `3.0` and the text `"3"` are the same code; a code that is spelt so comes first."""
    table = mapping.tables[number]
    spelt = pc.index_in(_arrow(entries["text"], pa.string()), value_set=table.texts)
    raw = entries.select(**_read_numbers(entries))["raw"]
    counted = pc.index_in(_arrow(raw, pa.float64()), value_set=table.numbers)
    names = pc.coalesce(
        pc.take(table.text_names, spelt), pc.take(table.number_names, counted)
    )
    return entries.with_columns(whole=pl.Series("whole", names, dtype=pl.Int64))


def _texts(entries: pl.DataFrame, first: int) -> pl.DataFrame:
    usable = (pl.col("why") == 0) & (pl.col("grade") < 2)
    long = usable & (pl.col("text").str.len_chars() > pl.col("max_length"))
    return entries.with_columns(
        amount=pl.lit(None, pl.Float64),
        whole=pl.when(usable).then(pl.int_range(first, first + entries.height)),
        why=pl.when(long).then(Why.TEXT_TOO_LONG).otherwise("why").cast(pl.UInt8),
    )


def _as_text(entries: pl.DataFrame) -> pa.Array:
    """A number in a text field is written as people do: 1234, not 1234.0."""
    number = pl.col("number")
    integral = number.is_finite() & (number == number.round()) & (number.abs() < 2.0**53)
    written = pl.when(integral).then(number.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(
        number.cast(pl.String)
    )
    return _arrow(entries.select(pl.coalesce("text", written))["text"], pa.string())


def _arrow(series: pl.Series, kind: pa.DataType) -> pa.Array:
    return series.to_arrow().cast(kind)
