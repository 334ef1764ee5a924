"""The metrics of one edge node: what it says of them becomes samples of our tags."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from isthmus.base.clock import Micros
from isthmus.field.connectors.sparkplug.address import Address
from isthmus.field.connectors.sparkplug.definitions import Definition, Definitions, Reader
from isthmus.field.connectors.sparkplug.quality import quality_of
from isthmus.field.connectors.sparkplug.session import Message
from isthmus.field.connectors.sparkplug.values import (
    TEMPLATE,
    Plain,
    text,
    time_of,
    value,
)
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, add_value, cut
from isthmus.flow.parcel import BAD, BAD_NODE_UNKNOWN, BAD_NOT_CONNECTED, GOOD, UNCERTAIN

_ABSENT: Final = object()


class _Said(NamedTuple):
    """What one metric says at one time."""

    holder: Any
    definition: Definition
    time: Micros
    published: Micros
    """When the message was made, by the clock of the node."""
    received: Micros
    quality: int
    in_birth: bool
    historical: bool
    """It is told late: not what is true now."""


class Metrics:
    """All metrics of one edge node and of its devices; puts samples of its tags into `samples`."""

    def __init__(self, samples: Samples) -> None:
        self.devices: dict[str, Definitions] = {}
        """Device, or empty: the node → what its last birth said."""
        self._samples = samples
        self._readers: dict[str, dict[str, list[Reader]]] = {}
        self._templates = Definitions((), {})

    def want(self, tag: str, address: Address) -> None:
        metrics = self._readers.setdefault(address.device, {})
        metrics.setdefault(address.metric, []).append(Reader(tag, address))

    def born(self, device: str, message: Message) -> None:
        """Take over names, aliases and types; every tag gets its present value."""
        readers = self._readers.get(device, {})
        known = self.devices[device] = Definitions(message.payload.metrics, readers)
        if not device:
            self._templates = known
        for metric, definition in known.described(message.payload.metrics):
            self._complete(metric, definition)
            if definition.readers:
                self._take(_said(metric, definition, message, GOOD, in_birth=True))
        for name in readers.keys() - known.by_name.keys():
            for reader in readers[name]:
                self._unknown(reader, message.received)

    def _unknown(self, reader: Reader, received: Micros) -> None:
        """The birth does not have it; said once."""
        if reader.last != (None, BAD_NODE_UNKNOWN):
            reader.time, reader.stamp, reader.stale, reader.doubted = received, 0, None, None
            reader.last = (None, BAD_NODE_UNKNOWN)
            self._samples.add(reader.tag, received, received, None, None, BAD_NODE_UNKNOWN)

    def data(self, device: str, message: Message, *, certain: bool) -> int:
        """Take values; the number of metrics that no birth named."""
        known, strangers = self.devices[device], 0
        for metric in message.payload.metrics:
            definition = known.of(metric)
            if definition is None:
                strangers += 1
            elif certain and self._take_alone(metric, definition, message.received):
                continue
            elif definition.readers:
                quality = GOOD if certain or metric.name == definition.name else UNCERTAIN
                self._take(_said(metric, definition, message, quality, in_birth=False))
        return strangers

    def dead(self, device: str | None, at: Micros, received: Micros) -> None:
        """Mark every tag of the device, or of the node and all its devices, as stale at once."""
        for reader in self._all_readers(device):
            if reader.stale is None:
                # Where the node's clock is ahead, its last value must not hide that it is gone.
                reader.stale, reader.doubted = max(at, reader.time + 1), None
                reader.last = None
                self._samples.add(reader.tag, reader.stale, received, None, None, BAD_NOT_CONNECTED)

    def doubt(self, at: Micros) -> None:
        """Every value that is known is uncertain from then on."""
        for reader in self._all_readers(None):
            if reader.last is None or reader.last[1] & BAD or reader.doubted is not None:
                continue
            found, quality = reader.last
            reader.doubted = max(at, reader.time + 1)
            add_value(self._samples, reader.tag, found, reader.doubted, at, max(quality, UNCERTAIN))

    def alive(self, message: Message) -> None:
        """The node spoke: what it did not tell anew holds as it was told before."""
        published = time_of(message.payload.timestamp) or message.received
        for reader in self._all_readers(None):
            if reader.doubted is not None and reader.last is not None:
                found, quality = reader.last
                reader.time, reader.doubted = max(published, reader.doubted + 1), None
                add_value(self._samples, reader.tag, found, reader.time, message.received, quality)

    def _all_readers(self, device: str | None) -> Iterator[Reader]:
        chosen = self._readers.values() if device is None else [self._readers.get(device, {})]
        for metrics in chosen:
            for readers in metrics.values():
                yield from readers

    def _complete(self, metric: Any, definition: Definition) -> None:
        if definition.members is None or metric.template_value.is_definition:
            return
        template = self._templates.by_name.get(metric.template_value.template_ref)
        if template is not None and template.members is not None:
            definition.members.complete(template.members)

    # Values --------------------------------------------------------------------------------------

    def _take_alone(self, metric: Any, definition: Definition, received: Micros) -> bool:
        """Take a new good value of one tag that nothing is in doubt of: most are, and fly by here.

        False: it is something else, and nothing has been done.
        """
        reader, time = definition.alone, time_of(metric.timestamp)
        if reader is None or time is None or time <= max(reader.time, reader.stamp):
            return False
        if reader.stale is not None or reader.doubted is not None:
            return False
        if metric.is_historical or metric.is_null or metric.HasField("properties"):
            return False
        if metric.datatype not in {0, definition.datatype}:
            return False
        found, quality = _plain(metric, definition.datatype)
        if found is None or quality != GOOD:
            return False
        reader.time, reader.stamp, reader.last = time, time, (found, GOOD)
        add_value(self._samples, reader.tag, found, time, received)
        return True

    def _take(self, said: _Said) -> None:
        found, quality = _value_of(said)
        for reader in said.definition.readers:
            if reader.address.property:
                self._take_property(reader, said)
            elif quality & BAD:
                self._tell(reader, found, quality, said)
            elif not reader.address.steps and isinstance(found, dict):
                self._tell(reader, said.definition.whole, quality, said)
            else:
                self._take_part(reader, found, quality, said)

    def _take_part(self, reader: Reader, found: Plain, quality: int, said: _Said) -> None:
        picked = _pick(found, reader.address.steps)
        if picked is not _ABSENT:
            self._tell(reader, picked, quality, said)
        elif said.in_birth:
            self._tell(reader, None, BAD_NODE_UNKNOWN, said)
        elif not isinstance(found, dict):  # of a template data carries what changed
            self._tell(reader, None, BAD_NO_DATA, said)

    def _take_property(self, reader: Reader, said: _Said) -> None:
        wanted = reader.address.property
        properties = said.holder.properties
        for key, property_ in zip(properties.keys, properties.values, strict=False):
            if key == wanted:
                found, quality = _plain(property_, property_.type)
                self._tell(reader, found, quality, said)
                return
        if said.in_birth:
            self._tell(reader, None, BAD_NODE_UNKNOWN, said)

    def _tell(self, reader: Reader, found: Plain, quality: int, said: _Said) -> None:
        if quality == GOOD and found is None:
            quality = BAD_NO_DATA
        flat = json.dumps(found, ensure_ascii=False) if isinstance(found, dict | list) else found
        if said.historical:
            add_value(self._samples, reader.tag, flat, said.time, said.received, quality)
            return
        time = said.time
        since = reader.stale if reader.stale is not None else reader.doubted
        if since is not None and time <= since:
            # A birth says what is true when it is published, whenever that became true.
            time = max(said.published, since + 1)
        elif time == reader.stamp:
            if reader.last == (flat, quality):
                return  # a birth repeats what is known
            time = reader.time + 1  # again within the same millisecond
        if time > reader.time:
            reader.time, reader.stamp, reader.last = time, said.time, (flat, quality)
        reader.stale = reader.doubted = None
        add_value(self._samples, reader.tag, flat, time, said.received, quality)


def _said(
    metric: Any, definition: Definition, message: Message, quality: int, *, in_birth: bool
) -> _Said:
    published = time_of(message.payload.timestamp)
    time = time_of(metric.timestamp) or published
    if time is None:
        time, quality = message.received, max(quality, UNCERTAIN)
    return _Said(
        holder=metric,
        definition=definition,
        time=time,
        published=published or message.received,
        received=message.received,
        quality=quality,
        in_birth=in_birth,
        historical=metric.is_historical and not in_birth,
    )


def _value_of(said: _Said) -> tuple[Plain, int]:
    """Value and quality of the whole metric; None where it is bad."""
    metric, quality = said.holder, said.quality
    if metric.HasField("properties"):
        quality = max(quality, quality_of(metric.properties))
    if quality & BAD:
        return None, quality
    if metric.is_null:
        return None, BAD_NO_DATA
    datatype = metric.datatype or said.definition.datatype
    if datatype != TEMPLATE:
        found, read = _plain(metric, datatype)
        return found, max(quality, read)
    try:
        part = _template(metric, said.definition)
    except (TypeError, ValueError) as error:
        return cut(f"{said.definition.name}: {error}"), BAD_DECODING
    if said.in_birth:
        said.definition.whole = part
    else:
        merge(said.definition.whole, part)
    return part, quality


def _plain(holder: Any, datatype: int) -> tuple[Plain, int]:
    try:
        return value(holder, datatype), GOOD
    except ValueError as error:
        return cut(str(error)), BAD_DECODING


def _template(metric: Any, definition: Definition) -> dict[str, Plain]:
    """Members and parameters by name; a member hides a parameter of its name."""
    if not metric.HasField("template_value"):
        raise ValueError("a template without its members")
    template, members = metric.template_value, definition.members or Definitions((), {})
    found: dict[str, Plain] = {
        text(parameter.name): value(parameter, parameter.type) for parameter in template.parameters
    }
    for member in template.metrics:
        described = members.of(member)
        if described is None:
            raise ValueError(f"its member `{member.name or member.alias}` is in no birth")
        datatype = member.datatype or described.datatype
        if member.is_null:
            found[described.name] = None
        elif datatype == TEMPLATE:
            found[described.name] = _template(member, described)
        else:
            found[described.name] = value(member, datatype)
    return found


def merge(whole: dict[str, Plain], part: Mapping[str, Plain]) -> None:
    """Put the members that came over those that were there."""
    for name, new in part.items():
        old = whole.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            merge(old, new)
        else:
            whole[name] = new


def _pick(found: Plain, steps: Sequence[str | int]) -> Plain:
    """Follow the steps into a composite value; `_ABSENT` where they lead nowhere."""
    for step in steps:
        if isinstance(found, str):
            return _ABSENT
        if isinstance(step, str) and isinstance(found, list) and len(found) == 1:
            found = found[0]  # a column of the only row
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return found
