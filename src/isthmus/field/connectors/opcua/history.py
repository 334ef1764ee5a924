"""What an OPC UA server has stored of its nodes' values (HistoryRead, raw)."""

from collections.abc import Mapping

import pyarrow as pa
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds

from isthmus.base.clock import Clock, Micros, to_datetime
from isthmus.field.connectors.opcua.address import Reading, Step
from isthmus.field.connectors.opcua.monitoring import node_id
from isthmus.field.connectors.opcua.values import convert, device_time
from isthmus.field.samples import Samples
from isthmus.flow.parcel import SAMPLES_SCHEMA


async def read_history(
    client: Client,
    tags: Mapping[str, tuple[Reading, ...]],
    start: Micros,
    end: Micros,
    clock: Clock,
) -> pa.Table:
    """Values from `start` to `end`; nodes of which the server stores nothing give none."""
    samples = Samples()
    for tag, (node, element) in (await _stored(client, tags)).items():
        values = await client.get_node(node).read_raw_history(
            to_datetime(start), to_datetime(end), return_bounds=False
        )
        received = clock.now()
        for value in values:
            samples.add(tag, device_time(value, received), received, *convert(value, element))
    return samples.take() or SAMPLES_SCHEMA.empty_table()


async def _stored(
    client: Client, tags: Mapping[str, tuple[Reading, ...]]
) -> dict[str, tuple[ua.NodeId, tuple[Step, ...]]]:
    """The reading of each tag whose node exists and lets its history be read."""
    namespaces = await client.get_namespace_array()
    asked = [
        (tag, node_id(reading.node, namespaces), reading.path)
        for tag, readings in tags.items()
        for reading in reversed(readings)  # so that the preferred one is the last to be kept
    ]
    if not asked:
        return {}
    levels = await client.uaclient.session.read_attributes(
        [node for _, node, _ in asked], AttributeIds.AccessLevel
    )
    return {
        tag: (node, element)
        for (tag, node, element), level in zip(asked, levels, strict=True)
        if _may_read_history(level)
    }


def _may_read_history(level: ua.DataValue) -> bool:
    mask = level.Value.Value if level.Value is not None else None
    return mask is not None and bool(mask & (1 << ua.AccessLevel.HistoryRead.value))
