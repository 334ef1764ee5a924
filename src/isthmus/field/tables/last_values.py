"""The newest value of every tag, for tables in which a state holds until its next row: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from isthmus.base.clock import Micros, to_micros
from isthmus.field.samples import Samples
from isthmus.flow.parcel import GOOD


@dataclass
class LastValues:
    """By tag; kept with the position, so that they are known after a restart."""

    known: dict[str, tuple[Micros, float | None, str | None]] = field(default_factory=dict)

    def see(self, samples: pa.Table | None) -> None:
        if samples is None:
            return
        columns = ("tag", "device_time", "number", "text", "quality")
        for tag, at, number, text, quality in zip(
            *(samples[name].to_pylist() for name in columns), strict=True
        ):
            moment = to_micros(at)
            last = self.known.get(tag)
            if quality == GOOD and (last is None or moment >= last[0]):
                self.known[tag] = (moment, number, text)

    def repeat(self, samples: Samples, tags: Iterable[str], now: Micros) -> None:
        """Say them again, with the times they had."""
        for tag in tags:
            if (last := self.known.get(tag)) is not None:
                samples.add(tag, last[0], now, last[1], last[2], GOOD)

    def content(self) -> dict[str, Any]:
        return dict(self.known)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "LastValues":
        return cls({tag: (at, number, text) for tag, (at, number, text) in content.items()})
