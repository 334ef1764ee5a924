"""Whether a source that answers tells anything at all: which of its tags are bad now."""

from collections.abc import Collection
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

BAD: Final = 0x8000_0000
"""The severity bits of an OPC UA StatusCode, from here on."""


class BadTags:
    """Of one source; pure, told by what each parcel says."""

    def __init__(self, tags: Collection[str]) -> None:
        self.status = 0
        """Of the tag that went bad last."""
        self._tags = frozenset(tags)
        self._bad: set[str] = set()

    @property
    def all_bad(self) -> bool:
        return bool(self._tags) and len(self._bad) == len(self._tags)

    def take(self, samples: pa.Table) -> None:
        bad = pc.greater_equal(samples["quality"], BAD)
        if not self._bad and not pc.any(bad).as_py():
            return  # as almost always
        columns = (samples[name].to_pylist() for name in ("tag", "quality"))
        for tag, quality in zip(*columns, strict=True):
            if quality < BAD:
                self._bad.discard(tag)
            elif tag in self._tags:
                self._bad.add(tag)
                self.status = quality

    def forget(self) -> None:
        self._bad.clear()
