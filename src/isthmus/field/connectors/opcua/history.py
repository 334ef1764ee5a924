"""What an OPC UA server has stored of its nodes' values (HistoryRead, raw)."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from isthmus.base.clock import SECOND, Clock, Micros, to_datetime, to_micros
from isthmus.field.connector import Unsupported
from isthmus.field.connectors.opcua.arrivals import Arrivals, NodeItem
from isthmus.field.connectors.opcua.asking import Asking
from isthmus.field.connectors.opcua.values import Converted, device_time
from isthmus.field.samples import Samples
from isthmus.flow.parcel import SAMPLES_SCHEMA

NODES_PER_CALL: Final = 50
CLOCKS_AGREE: Final = 2 * SECOND
"""History is placed by the server's clock: if it differs more from ours, it cannot be."""

_EARLIEST: Final[Micros] = 0
"""Where a look back ends: 1970; every server takes that for a time, not for none."""
_TWO: Final = 2
"""Values asked for in a look back: the earlier one shows that the server did read backwards."""
_NO_BOUND: Final = frozenset({StatusCodes.BadBoundNotFound, StatusCodes.BadBoundNotSupported})
_NOTHING: Final = frozenset({
    StatusCodes.BadNoData, StatusCodes.BadHistoryOperationUnsupported,
    StatusCodes.BadHistoryOperationInvalid, StatusCodes.BadNodeIdUnknown,
    StatusCodes.BadUserAccessDenied, StatusCodes.BadNotReadable,
})  # fmt: skip

Asked = tuple[ua.NodeId, NodeItem]


@dataclass
class History:
    """Asks for the history of all nodes that are monitored."""

    session: Asking
    arrivals: Arrivals
    clock: Clock
    _looks_back: bool = True
    """Until the server shows that it cannot be asked backwards at all."""

    async def read(self, start: Micros, end: Micros) -> pa.Table:
        """In the order of device time; nodes of which the server stores nothing give none.

        Of a server that began later than `start` not what held then: it did not see it change.
        """
        status = [
            ObjectIds.Server_ServerStatus_CurrentTime,
            ObjectIds.Server_ServerStatus_StartTime,
        ]
        now, began = await self._times(*status)
        if now is not None:
            self._check_clocks(now)
        samples = Samples()
        stored = await self._stored()
        for first in range(0, len(stored), NODES_PER_CALL):
            await self._gather(stored[first : first + NODES_PER_CALL], start, end, samples)
        table = samples.take()
        if table is None:
            return SAMPLES_SCHEMA.empty_table()
        if began is not None and began > start:
            table = table.filter(pc.greater(table["device_time"].cast(pa.int64()), start))
        return table.sort_by("device_time")

    async def _times(self, *nodes: int) -> list[Micros | None]:
        answers = await self.session.read_attributes(
            [ua.NodeId(ua.Int32(node)) for node in nodes], AttributeIds.Value
        )
        times = [answer.Value.Value if answer.Value is not None else None for answer in answers]
        return [to_micros(time) if time is not None else None for time in times]

    def _check_clocks(self, theirs: Micros) -> None:
        ahead = theirs - self.clock.now()
        if abs(ahead) > CLOCKS_AGREE:
            way = "ahead of" if ahead > 0 else "behind"
            raise Unsupported(
                f"the server's clock is {abs(ahead) / SECOND:.0f} s {way} ours: set it right"
            )

    async def _stored(self) -> list[Asked]:
        """Items whose node lets its history be read."""
        items = [
            (item.asked, item)
            for item in self.arrivals.items
            if isinstance(item, NodeItem) and item.readers
        ]
        if not items:
            return []
        levels = await self.session.read_attributes(
            [node for node, _ in items], AttributeIds.AccessLevel
        )
        return [one for one, level in zip(items, levels, strict=True) if _may_be_read(level)]

    async def _gather(
        self, stored: Sequence[Asked], start: Micros, end: Micros, samples: Samples
    ) -> None:
        """Of some nodes, answer by answer until no server keeps a rest."""
        pending = [(node, item, b"") for node, item in stored]
        bounded: set[int] = set()
        bounds = True
        while pending:
            request = _request(pending, start, end, bounds=bounds)
            results = await self.session.history_read(request)
            if bounds and any(r.StatusCode.value in _NO_BOUND for r in results):
                bounds = False
                continue
            again = []
            for (node, item, _), result in zip(pending, results, strict=True):
                if result.StatusCode.value not in _NOTHING:
                    result.StatusCode.check()
                    data = _values(result)
                    if any(device_time(one, end) <= start for one in data):
                        bounded.add(id(item))
                    await self._take(item, data, end, samples)
                if result.ContinuationPoint:
                    again.append((node, item, result.ContinuationPoint))
            pending = again
        unbounded = [(node, item) for node, item in stored if id(item) not in bounded]
        await self._look_back(unbounded, start, samples)

    async def _look_back(self, nodes: Sequence[Asked], start: Micros, samples: Samples) -> None:
        """What held at the start, of nodes of which the server left it out: not all give bounds."""
        if not nodes or not self._looks_back:
            return
        request = _request([(*one, b"") for one in nodes], start, _EARLIEST, most=_TWO)
        try:
            results = await self.session.history_read(request)
        except (UaStatusCodeError, TimeoutError):
            self._looks_back = False  # it is read forwards as before
            return
        for (_, item), result in zip(nodes, results, strict=True):
            held = _held(_values(result), start) if result.StatusCode.is_good() else []
            await self._take(item, held, start + 1, samples)
        await self._release([
            (node, item, result.ContinuationPoint)
            for (node, item), result in zip(nodes, results, strict=True)
            if result.ContinuationPoint
        ])  # fmt: skip

    async def _release(self, rest: Sequence[tuple[ua.NodeId, NodeItem, bytes]]) -> None:
        """Of what the server keeps for us we want nothing more."""
        if not rest:
            return
        request = _request(rest, 0, 0)
        request.ReleaseContinuationPoints = True
        with suppress(UaStatusCodeError):
            await self.session.history_read(request)

    async def _take(
        self, item: NodeItem, history: Iterable[ua.DataValue], end: Micros, samples: Samples
    ) -> None:
        received = self.clock.now()
        last: dict[str, Converted] = {}
        for data in history:
            at = device_time(data, received)
            if at >= end:
                continue
            for reader in item.readers:
                converted = await self.arrivals.converted(data, reader, item.asked)
                if reader.reading.path and last.get(reader.tag) == converted:
                    continue
                last[reader.tag] = converted
                samples.add(reader.tag, at, received, *converted)


def _values(result: ua.HistoryReadResult) -> list[ua.DataValue]:
    """Without those that only say that there is no bound."""
    return [
        data
        for data in getattr(result.HistoryData, "DataValues", None) or ()
        if data.StatusCode is None or data.StatusCode.value not in _NO_BOUND
    ]


def _held(backwards: Sequence[ua.DataValue], start: Micros) -> Sequence[ua.DataValue]:
    """The last value not after `start`; none of a server that read forwards all the same."""
    times = [device_time(data, start + 1) for data in backwards]
    return backwards[:1] if times and start >= times[0] >= times[-1] else []


def _request(
    pending: Sequence[tuple[ua.NodeId, NodeItem, bytes]],
    start: Micros,
    end: Micros,
    *,
    bounds: bool = False,
    most: int = 0,
) -> ua.HistoryReadParameters:
    """An `end` before the `start` is read backwards. `most`: 0 is as many as the server likes."""
    return ua.HistoryReadParameters(
        HistoryReadDetails=ua.ReadRawModifiedDetails(
            IsReadModified=False,
            StartTime=to_datetime(start),
            EndTime=to_datetime(end),
            NumValuesPerNode=most,
            ReturnBounds=bounds,
        ),
        TimestampsToReturn=ua.TimestampsToReturn.Both,
        ReleaseContinuationPoints=False,
        NodesToRead=[
            ua.HistoryReadValueId(NodeId=node, ContinuationPoint=rest or None)
            for node, _, rest in pending
        ],
    )


def _may_be_read(level: ua.DataValue) -> bool:
    mask = level.Value.Value if level.Value is not None else None
    return mask is not None and bool(mask & (1 << ua.AccessLevel.HistoryRead.value))
