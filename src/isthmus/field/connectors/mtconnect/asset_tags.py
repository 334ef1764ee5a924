"""Tags of assets: how they are written, and what an agent's assets make of them. No driver."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.base.clock import Micros
from isthmus.field.mtconnect.assets import Asset, Step
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_NO_DATA, Value, add_value, from_text
from isthmus.flow.parcel import BAD_NODE_UNKNOWN, GOOD, UNCERTAIN

_NAME: Final = r"[A-Za-z_][\w.-]*"
_TAG: Final = re.compile(
    rf"asset(?P<all>s)?:(?P<of>[^/@\[\]\s]+)"
    rf"(?P<steps>(?:/{_NAME}(?:\[{_NAME}=[^\[\]]*\])*)*)(?:@(?P<attribute>{_NAME}))?"
)
_STEP: Final = re.compile(rf"/(?P<name>{_NAME})(?P<where>(?:\[[^\[\]]*\])*)")


@dataclass(frozen=True)
class AssetTag:
    """`asset:T12/ToolLife[type=MINUTES]@limit`: one asset; `assets:CuttingTool@assetId`: all."""

    asset: str = ""
    """Its id; empty: every asset of `type`."""
    type: str = ""
    steps: tuple[Step, ...] = ()
    attribute: str = ""


def parse_asset(tag: str) -> AssetTag | None:
    """Read a tag; None if it is of no asset, ValueError says what is wrong with it."""
    if not tag.startswith(("asset:", "assets:")):
        return None
    match = _TAG.fullmatch(tag)
    if match is None or not (match["steps"] or match["attribute"]):
        raise ValueError(
            f"`{tag}` is nothing of an asset; write `asset:T12/ToolLife[type=MINUTES]`, "
            "`asset:T12/CutterStatus/Status`, `assets:CuttingTool@assetId`"
        )
    steps = tuple(
        Step(step["name"], tuple(_where(step["where"]))) for step in _STEP.finditer(match["steps"])
    )
    of, attribute = match["of"], match["attribute"] or ""
    if match["all"]:
        return AssetTag(type=of, steps=steps, attribute=attribute)
    return AssetTag(asset=of, steps=steps, attribute=attribute)


class AssetTags:
    """The tags of one source that are of assets; knows which assets there are."""

    def __init__(self, tags: Sequence[str]) -> None:
        found = {tag: parse_asset(tag) for tag in tags}
        self._tags = {tag: address for tag, address in found.items() if address is not None}
        self._types: dict[str, str] = {}
        self._said: dict[str, tuple[Value, int, Micros]] = {}

    def __len__(self) -> int:
        return len(self._tags)

    def present(self, assets: Iterable[Asset], received: Micros, samples: Samples) -> None:
        """All that there are now; a tag of an asset that is not there is bad."""
        there = {asset.id: asset for asset in assets if not asset.removed}
        self._types = {asset.id: asset.type for asset in there.values()}
        for tag, address in self._tags.items():
            if address.asset and address.asset not in there:
                self._say(tag, None, BAD_NODE_UNKNOWN, received, received, samples)
        for asset, at in _apart(there.values(), received):
            self._emit(asset, at, received, samples)

    def changed(self, assets: Iterable[Asset], received: Micros, samples: Samples) -> None:
        for asset, at in _apart(assets, received):
            self._types[asset.id] = asset.type
            if asset.removed:
                self.removed(asset.id, at, received, samples)
            else:
                self._emit(asset, at, received, samples)

    def removed(self, asset: str, at: Micros, received: Micros, samples: Samples) -> None:
        """It was taken away, at this time."""
        kind = self._types.pop(asset, "")
        for tag, address in self._tags.items():
            if address.asset == asset:
                self._say(tag, None, BAD_NO_DATA, at, received, samples)
            elif kind and address.type == kind and not address.steps:
                told: dict[str, Value] = {"assetId": asset, "removed": True}
                if address.attribute in told:
                    add_value(samples, tag, told[address.attribute], at, received)

    def none(self, quality: int, received: Micros, samples: Samples) -> None:
        """The agent has no assets at all."""
        for tag in self._tags:
            self._say(tag, None, quality, received, received, samples)

    def _emit(self, asset: Asset, at: Micros, received: Micros, samples: Samples) -> None:
        worst = GOOD if asset.time is not None else UNCERTAIN
        for tag, address in self._tags.items():
            if address.asset == asset.id:
                value, quality = _value(asset, address)
                self._say(tag, value, max(quality, worst), at, received, samples)
            elif address.type == asset.type:
                # All of one asset together, whether it has changed or not: they are one row.
                value, quality = _value(asset, address)
                add_value(samples, tag, value, at, received, max(quality, worst))

    def _say(  # noqa: PLR0917 - the columns in their order
        self, tag: str, value: Value, quality: int, at: Micros, received: Micros, samples: Samples
    ) -> None:
        """Of a single asset only what has changed."""
        said = (value, quality, at if quality == GOOD else 0)
        if self._said.get(tag) != said:
            self._said[tag] = said
            add_value(samples, tag, value, at, received, quality)


def _where(text: str) -> Iterator[tuple[str, str]]:
    for part in text[1:-1].split("][") if text else ():
        attribute, _, value = part.partition("=")
        yield attribute, value


def _value(asset: Asset, address: AssetTag) -> tuple[Value, int]:
    """One text as it is; several joined by `;`, such as `USED;ALLOCATED`."""
    if address.attribute == "removed" and not address.steps:
        return asset.removed, GOOD
    found = asset.find(address.steps, address.attribute)
    if not any(found):
        return None, BAD_NO_DATA
    return (from_text(found[0]) if len(found) == 1 else ";".join(found)), GOOD


def _apart(assets: Iterable[Asset], received: Micros) -> Iterator[tuple[Asset, Micros]]:
    """By time; those of one type and one moment a microsecond apart, since each is a row."""
    taken: dict[str, Micros] = {}
    for asset in sorted(assets, key=lambda one: (one.time or received, one.id)):
        at = max(asset.time or received, taken.get(asset.type, 0) + 1)
        taken[asset.type] = at
        yield asset, at
