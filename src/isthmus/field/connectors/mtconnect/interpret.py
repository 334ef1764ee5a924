"""Observations of an agent into samples of our tags; carries active conditions and data sets."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from isthmus.base.clock import Micros
from isthmus.field.connectors.mtconnect.spec import MtconnectTag, parse_address
from isthmus.field.mtconnect import values
from isthmus.field.mtconnect.conditions import Conditions
from isthmus.field.mtconnect.documents import DataItem, Observation
from isthmus.field.mtconnect.values import UNAVAILABLE, EntrySet
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_DECODING, BAD_NAME_DUPLICATED, Value, add_value, cut
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, BAD_NOT_CONNECTED, GOOD, UNCERTAIN

_NUMERIC_EVENTS: Final = frozenset({
    "ACTIVATION_COUNT", "ASSET_COUNT", "AXIS_FEEDRATE_OVERRIDE", "BLOCK_COUNT", "CYCLE_COUNT",
    "DEACTIVATION_COUNT", "DEPTH", "HARDNESS", "LINE_NUMBER", "LOAD_COUNT", "MATERIAL_LAYER",
    "MEASUREMENT_VALUE", "NETWORK_PORT", "PART_COUNT", "PART_INDEX", "PATH_FEEDRATE_OVERRIDE",
    "PROGRAM_NEST_LEVEL", "ROTARY_VELOCITY_OVERRIDE", "SWING_ANGLE", "SWING_DIAMETER",
    "SWING_RADIUS", "THICKNESS", "TOOL_OFFSET", "TRANSFER_COUNT", "UNCERTAINTY", "UNLOAD_COUNT",
})  # fmt: skip
"""Types of events that the schema (2.7) declares as numbers; all samples are."""
_SETS: Final = frozenset({"DATA_SET", "TABLE"})


class _Wanted(NamedTuple):
    tag: str
    elements: tuple[str, ...]


class Interpreter:
    """What the tags of one source make of an agent's documents."""

    def __init__(self, tags: Sequence[str], items: Iterable[DataItem]) -> None:
        self.unknown: dict[str, int] = {}
        """Tags that name no data item, or more than one, with the status code that says so."""
        self._items: dict[str, DataItem] = {}
        self._wanted: dict[str, list[_Wanted]] = {}
        self._conditions: dict[str, Conditions] = {}
        self._sets: dict[str, EntrySet] = {}
        known = list(items)
        for tag in tags:
            self._want(tag, parse_address(tag), known)

    def present(
        self,
        observations: Iterable[Observation],
        received: Micros,
        samples: Samples,
        before: int | None = None,
    ) -> None:
        """Take in a `current` document: all that is true now, each tag once.

        `before`: only what has been so since before this sequence number.
        """
        by_item: dict[str, list[Observation]] = {}
        for observation in observations:
            by_item.setdefault(observation.item, []).append(observation)
        for tag, quality in self.unknown.items():
            add_value(samples, tag, None, received, received, quality)
        self._conditions.clear()
        self._sets.clear()
        for item, wanted in self._wanted.items():
            seen = by_item.get(item, [])
            if before is not None and any(one.sequence >= before for one in seen):
                continue
            for observation in seen:
                self._observe(observation)
            if seen:
                latest = max(seen, key=lambda observation: observation.time or 0)
                self._emit(latest, None, received, samples)
            else:  # the agent knows the item and never had a value for it
                for one in wanted:
                    add_value(samples, one.tag, None, received, received, BAD_NOT_CONNECTED)

    def changes(
        self, observations: Iterable[Observation], received: Micros, samples: Samples
    ) -> None:
        """Take in a `sample` document."""
        for observation in observations:
            if observation.item in self._wanted:
                touched = self._observe(observation)
                self._emit(observation, touched, received, samples)

    def entries(self) -> set[str]:
        """Tags of single entries of sets and tables: the set may change and the entry not."""
        return {
            one.tag
            for item, wanted in self._wanted.items()
            for one in wanted
            if one.elements and self._items[item].representation in _SETS
        }

    def _want(self, tag: str, address: MtconnectTag, items: Sequence[DataItem]) -> None:
        there = [item for item in items if address.device in ("", item.device, item.device_uuid)]
        found = [item for item in there if item.id == address.item] or [
            item for item in there if address.item in (item.name, item.source)
        ]
        if len(found) != 1:
            self.unknown[tag] = BAD_NAME_DUPLICATED if found else BAD_NODE_UNKNOWN
            return
        self._items[found[0].id] = found[0]
        self._wanted.setdefault(found[0].id, []).append(_Wanted(tag, address.elements))

    def _observe(self, seen: Observation) -> frozenset[str] | None:
        """Carry on what it changes; for a data set the entries it speaks of, None for all."""
        if seen.category == "CONDITION":
            conditions = self._conditions.setdefault(seen.item, Conditions())
            conditions.observe(seen.level, seen.code, seen.activation)
        elif self._is_set(seen):
            entries = self._sets.setdefault(seen.item, EntrySet())
            if seen.text == UNAVAILABLE:
                entries.lose()
                return None
            entries.change(seen.entries, reset=seen.reset)
            return None if seen.reset else frozenset(seen.entries)
        return None

    def _emit(
        self,
        seen: Observation,
        touched: frozenset[str] | None,
        received: Micros,
        samples: Samples,
    ) -> None:
        time, worst = (received, UNCERTAIN) if seen.time is None else (seen.time, GOOD)
        for one in self._wanted[seen.item]:
            if one.elements and touched is not None and one.elements[0] not in touched:
                continue
            for at, value, quality in self._values(seen, one.elements, time):
                add_value(samples, one.tag, value, at, received, max(worst, quality))

    def _values(
        self, seen: Observation, elements: tuple[str, ...], time: Micros
    ) -> list[tuple[Micros, Value, int]]:
        item = self._items[seen.item]
        if seen.category == "CONDITION":
            return [(time, *self._conditions[seen.item].value(level_only=bool(elements)))]
        if self._is_set(seen):
            return [(time, *self._sets[seen.item].value(elements))]
        numeric = item.category == "SAMPLE" or item.type in _NUMERIC_EVENTS
        if elements:
            return [(time, *_component(seen.text, elements, numeric=numeric))]
        if item.representation == "TIME_SERIES":
            return values.read_series(seen.text, time, seen.rate or item.rate)
        vector = item.units.endswith("_3D")
        return [(time, *values.read_value(seen.text, numeric=numeric and not vector))]

    def _is_set(self, seen: Observation) -> bool:
        return bool(seen.entries) or self._items[seen.item].representation in _SETS


def _component(text: str, elements: tuple[str, ...], *, numeric: bool) -> tuple[Value, int]:
    if not elements[0].isdecimal():
        return cut(text), BAD_DECODING  # it is no data set, so it has no such entry
    return values.read_component(text, elements[0], numeric=numeric)
