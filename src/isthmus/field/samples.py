"""Where a connector gathers samples, column by column, until the runtime asks for them."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.flow.parcel import SAMPLES_SCHEMA, TIME

EXACT_INTEGER = 2**53
"""Up to here every integer is a float64 exactly; beyond it an integer travels as text."""


class Samples:
    """Growing columns of SAMPLES_SCHEMA. Plain lists: nothing is made per value but the value."""

    __slots__ = (
        "_qualities", "_tags", "_texts",
        "device_time", "number", "quality", "received_time", "tag", "text",
    )  # fmt: skip

    def __init__(self) -> None:
        self._tags = _Again(pa.string())
        self._texts = _Again(pa.string())
        self._qualities = _Again(pa.uint32())
        self._clear()

    def __len__(self) -> int:
        return len(self.tag)

    def add(  # noqa: PLR0917 - the columns in their order; keywords cost time per value
        self,
        tag: str,
        device_time: Micros,
        received_time: Micros,
        number: float | None,
        text: str | None,
        quality: int,
    ) -> None:
        self.tag.append(tag)
        self.device_time.append(device_time)
        self.received_time.append(received_time)
        self.number.append(number)
        self.text.append(text)
        self.quality.append(quality)

    def extend(
        self,
        tags: Iterable[str],
        device_times: Sequence[Micros],
        received_time: Micros,
        numbers: Iterable[float | None],
        quality: int,
        *,
        texts: Iterable[str | None] | None = None,
    ) -> None:
        """Many values that were received at once with one quality, column by column."""
        count = len(device_times)
        self.tag.extend(tags)
        self.device_time.extend(device_times)
        self.received_time.extend([received_time] * count)
        self.number.extend(numbers)
        self.text.extend([None] * count if texts is None else texts)
        self.quality.extend([quality] * count)

    def take(self) -> pa.Table | None:
        """Everything so far as a table, None if there is nothing; the columns start anew."""
        if not self.tag:
            return None
        received = pa.array(self.received_time, TIME)
        ours = self.device_time == self.received_time  # as of every device without a clock
        columns = [
            self._tags.of(self.tag),
            received if ours else pa.array(self.device_time, TIME),
            received,
            pa.array(self.number, pa.float64()),
            self._texts.of(self.text),
            self._qualities.of(self.quality),
        ]
        self._clear()
        return pa.Table.from_arrays(columns, schema=SAMPLES_SCHEMA)

    def _clear(self) -> None:
        self.tag: list[str] = []
        self.device_time: list[Micros] = []
        self.received_time: list[Micros] = []
        self.number: list[float | None] = []
        self.text: list[str | None] = []
        self.quality: list[int] = []


class _Again:
    """A column that is made once for all the polls that bring the same in it."""

    __slots__ = ("_column", "_values")

    def __init__(self, kind: pa.DataType) -> None:
        self._values: list[Any] = []
        self._column = pa.array([], kind)

    def of(self, values: list[Any]) -> pa.Array:
        if values != self._values:
            self._values, self._column = values, pa.array(values, self._column.type)
        return self._column


def integer(value: int) -> tuple[float | None, str | None]:
    """An integer as `number`, or as `text` where a float64 could not hold it."""
    if -EXACT_INTEGER <= value <= EXACT_INTEGER:
        return float(value), None
    return None, str(value)
