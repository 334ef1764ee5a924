"""Where a connector gathers samples, column by column, until the runtime asks for them."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from isthmus.base.clock import Micros
from isthmus.flow.parcel import SAMPLES_SCHEMA, TIME

EXACT_INTEGER = 2**53
"""Up to here every integer is a float64 exactly; beyond it an integer travels as text."""


class Samples:
    """Growing columns of SAMPLES_SCHEMA. Plain lists: nothing is made per value but the value."""

    __slots__ = ("device_time", "number", "quality", "received_time", "tag", "text")

    def __init__(self) -> None:
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
        table = pa.Table.from_arrays(
            [
                pa.array(self.tag, pa.string()),
                pa.array(self.device_time, TIME),
                pa.array(self.received_time, TIME),
                pa.array(self.number, pa.float64()),
                pa.array(self.text, pa.string()),
                pa.array(self.quality, pa.uint32()),
            ],
            schema=SAMPLES_SCHEMA,
        )
        self._clear()
        return table

    def _clear(self) -> None:
        self.tag: list[str] = []
        self.device_time: list[Micros] = []
        self.received_time: list[Micros] = []
        self.number: list[float | None] = []
        self.text: list[str | None] = []
        self.quality: list[int] = []


def integer(value: int) -> tuple[float | None, str | None]:
    """An integer as `number`, or as `text` where a float64 could not hold it."""
    if -EXACT_INTEGER <= value <= EXACT_INTEGER:
        return float(value), None
    return None, str(value)
