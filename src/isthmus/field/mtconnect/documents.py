"""The XML documents of an agent, of every version from 1.0 to 2.x, read without trusting them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from isthmus.base.clock import Micros
from isthmus.field.mtconnect.values import Entry, read_time

Category = Literal["SAMPLE", "EVENT", "CONDITION"]

_CONTAINERS: Final[Mapping[str, Category]] = {
    "Samples": "SAMPLE", "Events": "EVENT", "Condition": "CONDITION",
}  # fmt: skip


class MalformedError(Exception):
    """It is no MTConnect document."""


@dataclass(frozen=True)
class Header:
    """Where an answer stands in the agent's buffer."""

    instance: str
    """Another one: the agent was restarted, all sequence numbers are new."""
    first: int
    next: int
    last: int
    size: int
    """How many observations the buffer holds; 0 where the answer does not say."""
    assets: int
    """How many assets the agent can keep; 0 where the answer does not say."""
    model_changed: str
    """When the devices were last described anew; empty before version 1.7."""


@dataclass(frozen=True)
class DataItem:
    """One signal an agent knows."""

    id: str
    name: str
    category: str
    type: str
    representation: str
    device: str
    device_uuid: str
    path: str
    """Component names from the device down, joined by `/`."""
    source: str = ""
    units: str = ""
    sub_type: str = ""
    rate: float | None = None
    """Hz, for time series."""


@dataclass(frozen=True)
class Observation:
    """One value of a data item."""

    item: str
    sequence: int
    category: Category
    time: Micros | None
    """None where it cannot be read."""
    text: str
    level: str = ""
    code: str = ""
    activation: str = ""
    reset: bool = False
    rate: float | None = None
    entries: Mapping[str, Entry | None] = field(default_factory=dict)


def parse(document: bytes) -> Any:
    """Read XML without entities, DTDs or network; MalformedError where it cannot be trusted."""
    from lxml import etree  # noqa: PLC0415 - comes with the driver

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedError(f"no XML: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise MalformedError("it declares a document type, which MTConnect never does")
    if not kind(root).startswith("MTConnect"):
        raise MalformedError(f"it is a `{kind(root)}`")
    return root


def kind(root: Any) -> str:
    """Name of the document: `MTConnectStreams`, `MTConnectDevices`, `MTConnectError` or other."""
    return _local(root)


def header(root: Any) -> Header:
    for child in root:
        if _local(child) == "Header":
            return Header(
                instance=child.get("instanceId", ""),
                first=_whole(child.get("firstSequence")),
                next=_whole(child.get("nextSequence")),
                last=_whole(child.get("lastSequence")),
                size=_whole(child.get("bufferSize")),
                assets=_whole(child.get("assetBufferSize")),
                model_changed=child.get("deviceModelChangeTime", ""),
            )
    raise MalformedError("it has no header")


def errors(root: Any) -> list[tuple[str, str]]:
    """Code and text of every error of an MTConnectError document."""
    return [
        (code, " ".join("".join(element.itertext()).split()))
        for element in root.iter()
        if (code := element.get("errorCode")) is not None
    ]


def data_items(root: Any) -> Iterator[DataItem]:
    for element in root.iter():
        if _local(element) == "DataItem":
            yield _data_item(element)


def observations(root: Any) -> Iterator[Observation]:
    """In document order; sort by sequence is not needed since each tells its own time."""
    for element in root.iter():
        category = _CONTAINERS.get(_local(element))
        if category is not None:
            for child in element:
                yield _observation(child, category)


def _data_item(element: Any) -> DataItem:
    components = [
        ancestor
        for ancestor in element.iterancestors()
        if ancestor.get("id") is not None or ancestor.get("uuid") is not None
    ]
    device = components[-1] if components else element
    names = [component.get("name") or _local(component) for component in reversed(components)]
    source = next((child.text for child in element if _local(child) == "Source"), None)
    return DataItem(
        id=element.get("id", ""),
        name=element.get("name", ""),
        category=element.get("category", ""),
        type=element.get("type", ""),
        representation=element.get("representation", "VALUE"),
        device=device.get("name", ""),
        device_uuid=device.get("uuid", ""),
        path="/".join(names),
        source=(source or "").strip(),
        units=element.get("units", ""),
        sub_type=element.get("subType", ""),
        rate=_rate(element.get("sampleRate")),
    )


def _observation(element: Any, category: Category) -> Observation:
    return Observation(
        item=element.get("dataItemId", ""),
        sequence=_whole(element.get("sequence")),
        category=category,
        time=_time(element.get("timestamp", "")),
        text=(element.text or "").strip(),
        level=_local(element).upper() if category == "CONDITION" else "",
        code=element.get("nativeCode", ""),
        activation=element.get("conditionId", ""),
        reset=element.get("resetTriggered") is not None,
        rate=_rate(element.get("sampleRate")),
        entries={
            child.get("key", ""): _entry(child) for child in element if _local(child) == "Entry"
        },
    )


def _entry(element: Any) -> Entry | None:
    if element.get("removed") == "true":
        return None
    cells = [child for child in element if _local(child) == "Cell"]
    if cells:
        return {cell.get("key", ""): (cell.text or "").strip() for cell in cells}
    return (element.text or "").strip()


def _local(element: Any) -> str:
    name = element.tag
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _time(text: str) -> Micros | None:
    try:
        return read_time(text)
    except ValueError:
        return None


def _whole(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError as error:
        raise MalformedError(f"`{text}` is no sequence number") from error


def _rate(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
