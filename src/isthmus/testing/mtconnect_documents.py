"""What an agent serves: its devices, and documents that hold to the published schemas."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from isthmus.base.clock import Micros, iso

Value = float | int | str | Sequence[float] | Mapping[str, str | float | Mapping[str, str]] | None
"""A number, a text, a series, a data set or table (entries that are None are removed), or None:
the agent has no value."""

_WORDS = {"PH": "PH", "MTCONNECT": "MTConnect", "URI": "URI"}
_SUFFIX = {"TIME_SERIES": "TimeSeries", "DATA_SET": "DataSet", "TABLE": "Table"}
_CONTAINERS = {"SAMPLE": "Samples", "EVENT": "Events", "CONDITION": "Condition"}


@dataclass(frozen=True)
class Item:
    """A data item."""

    id: str
    type: str
    category: Literal["SAMPLE", "EVENT", "CONDITION"] = "EVENT"
    name: str = ""
    sub_type: str = ""
    units: str = ""
    representation: Literal["VALUE", "TIME_SERIES", "DATA_SET", "TABLE"] = "VALUE"
    rate: float | None = None
    """Hz, of a time series."""

    @property
    def element(self) -> str:
        """`PART_COUNT` is `PartCount` in a stream."""
        words = self.type.split("_")
        return "".join(_WORDS.get(word, word.capitalize()) for word in words) + _SUFFIX.get(
            self.representation, ""
        )


@dataclass(frozen=True)
class Component:
    """A part of a device, such as `Controller` or `Path`."""

    kind: str
    id: str
    name: str = ""
    items: tuple[Item, ...] = ()
    components: tuple["Component", ...] = ()


@dataclass(frozen=True)
class Device:
    """A machine."""

    id: str
    name: str
    uuid: str
    items: tuple[Item, ...] = ()
    components: tuple[Component, ...] = ()

    def parts(self) -> Iterator[Component]:
        """The device itself and all its components, as the streams name them."""
        yield Component("Device", self.id, self.name, self.items)
        for component in self.components:
            yield from _below(component)


@dataclass(frozen=True)
class Observed:
    """One entry of the agent's buffer."""

    sequence: int
    item: Item
    time: Micros
    value: Value = None
    level: Literal["Normal", "Warning", "Fault", "Unavailable"] | None = None
    """Only of conditions."""
    code: str = ""
    reset: bool = False
    """A data set that starts anew."""


@dataclass(frozen=True)
class Tool:
    """A cutting tool, as an asset."""

    id: str
    time: Micros
    minutes: float = 0
    limit: float = 60
    status: tuple[str, ...] = ("USED",)
    pot: int = 1


@dataclass(frozen=True)
class Standing:
    """What every answer says of the agent."""

    instance: int
    created: Micros
    model_changed: Micros
    buffer_size: int
    first: int
    last: int
    next: int
    version: str = "2.7"
    assets: int = 0


def probe(devices: Iterable[Device], standing: Standing) -> bytes:
    root = _root("Devices", standing)
    _header(root, standing, ("bufferSize", "assetBufferSize", "assetCount"))
    all_devices = SubElement(root, "Devices")
    for device in devices:
        element = SubElement(
            all_devices, "Device", id=device.id, name=device.name, uuid=device.uuid
        )
        _describe(element, device.items, device.components)
    return _bytes(root)


def streams(devices: Iterable[Device], observed: Iterable[Observed], standing: Standing) -> bytes:
    root = _root("Streams", standing)
    _header(root, standing, ("bufferSize", "nextSequence", "firstSequence", "lastSequence"))
    all_streams = SubElement(root, "Streams")
    by_item: dict[str, list[Observed]] = {}
    for one in observed:
        by_item.setdefault(one.item.id, []).append(one)
    for device in devices:
        _device_stream(all_streams, device, by_item)
    return _bytes(root)


def assets(tools: Iterable[Tool], device: Device, standing: Standing) -> bytes:
    """Tools at this device, which the schema demands that each names."""
    root = _root("Assets", standing)
    _header(root, standing, ("assetBufferSize", "assetCount"))
    all_assets = SubElement(root, "Assets")
    for tool in tools:
        known = {"assetId": tool.id, "timestamp": iso(tool.time), "toolId": tool.id}
        element = SubElement(all_assets, "CuttingTool", known | {"deviceUuid": device.uuid})
        life = SubElement(element, "CuttingToolLifeCycle")
        status = SubElement(life, "CutterStatus")
        for one in tool.status:
            SubElement(status, "Status").text = one
        used = {"type": "MINUTES", "countDirection": "UP", "limit": _text(tool.limit)}
        SubElement(life, "ToolLife", used).text = _text(tool.minutes)
        SubElement(life, "Location", type="POT").text = str(tool.pot)
    return _bytes(root)


def error(code: str, text: str, standing: Standing) -> bytes:
    root = _root("Error", standing)
    _header(root, standing, ("bufferSize",))
    SubElement(SubElement(root, "Errors"), "Error", errorCode=code).text = text
    return _bytes(root)


def _below(component: Component) -> Iterator[Component]:
    yield component
    for inner in component.components:
        yield from _below(inner)


def _root(document: str, standing: Standing) -> Element:
    namespace = f"urn:mtconnect.org:MTConnect{document}:{standing.version}"
    return Element(f"MTConnect{document}", xmlns=namespace)


def _header(root: Element, standing: Standing, wanted: Sequence[str]) -> None:
    all_values = {
        "bufferSize": standing.buffer_size,
        "nextSequence": standing.next,
        "firstSequence": standing.first,
        "lastSequence": standing.last,
        "assetBufferSize": 1024,
        "assetCount": standing.assets,
    }
    header = {
        "creationTime": iso(standing.created),
        "deviceModelChangeTime": iso(standing.model_changed),
        "instanceId": str(standing.instance),
        "sender": "isthmus",
        "version": f"{standing.version}.0.0",
    }
    SubElement(root, "Header", header | {name: str(all_values[name]) for name in wanted})


def _describe(element: Element, items: Sequence[Item], components: Sequence[Component]) -> None:
    if items:
        described = SubElement(element, "DataItems")
        for item in items:
            SubElement(described, "DataItem", _attributes(item))
    if components:
        inner = SubElement(element, "Components")
        for component in components:
            attributes = {"id": component.id} | ({"name": component.name} if component.name else {})
            below = SubElement(inner, component.kind, attributes)
            _describe(below, component.items, component.components)


def _attributes(item: Item) -> dict[str, str]:
    given = {
        "id": item.id,
        "name": item.name,
        "type": item.type,
        "category": item.category,
        "subType": item.sub_type,
        "units": item.units,
        "representation": "" if item.representation == "VALUE" else item.representation,
        "sampleRate": f"{item.rate:g}" if item.rate is not None else "",
    }
    return {key: value for key, value in given.items() if value}


def _device_stream(
    parent: Element, device: Device, by_item: Mapping[str, Sequence[Observed]]
) -> None:
    stream: Element | None = None
    for part in device.parts():
        seen = [one for item in part.items for one in by_item.get(item.id, ())]
        if not seen:
            continue
        if stream is None:
            stream = SubElement(parent, "DeviceStream", name=device.name, uuid=device.uuid)
        attributes = {"component": part.kind, "componentId": part.id}
        attributes |= {"name": part.name} if part.name else {}
        component = SubElement(stream, "ComponentStream", attributes)
        for category, container in _CONTAINERS.items():
            of_category = [one for one in seen if one.item.category == category]
            if of_category:
                inner = SubElement(component, container)
                for one in of_category:
                    _observation(inner, one)


def _observation(parent: Element, one: Observed) -> None:
    attributes = {
        "dataItemId": one.item.id,
        "timestamp": iso(one.time),
        "sequence": str(one.sequence),
    }
    optional = {"name": one.item.name, "subType": one.item.sub_type}
    attributes |= {key: value for key, value in optional.items() if value}
    if one.item.type in {"ASSET_CHANGED", "ASSET_REMOVED"}:
        attributes["assetType"] = "CuttingTool"
    if one.level is not None:
        attributes |= {"type": one.item.type} | ({"nativeCode": one.code} if one.code else {})
        if one.level in ("Warning", "Fault"):
            attributes["conditionId"] = one.code or one.item.id
        SubElement(parent, one.level, attributes).text = str(one.value or "") or None
        return
    element = SubElement(parent, one.item.element, attributes)
    match one.value:
        case None:
            # The schema knows no UNAVAILABLE for a series: it is empty.
            series = one.item.representation == "TIME_SERIES"
            element.text = "" if series else "UNAVAILABLE"
            _counts(element, one, 0)
        case str() | float() | int():
            element.text = _text(one.value)
        case Mapping():
            _counts(element, one, len(one.value))
            _entries(element, one.value)
        case series:
            element.text = " ".join(_text(number) for number in series)
            _counts(element, one, len(series))


def _counts(element: Element, one: Observed, count: int) -> None:
    if one.item.representation == "TIME_SERIES":
        element.set("sampleCount", str(count))
    elif one.item.representation in ("DATA_SET", "TABLE"):
        element.set("count", str(count))
        if one.reset:
            element.set("resetTriggered", "MAINTENANCE")


def _entries(
    element: Element, entries: Mapping[str, str | float | Mapping[str, str] | None]
) -> None:
    for key, value in entries.items():
        entry = SubElement(element, "Entry", key=key)
        match value:
            case None:
                entry.set("removed", "true")
            case Mapping():
                for column, cell in value.items():
                    SubElement(entry, "Cell", key=column).text = cell
            case _:
                entry.text = _text(value)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else repr(value)


def _bytes(root: Element) -> bytes:
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written
