"""Events, alarms and conditions: what is asked of a notifier, and the samples of one event.

All fields of one event share its time, so they become one row of a block; two events never share
one. What a refresh repeats at opening holds from then on: it comes with the time of receipt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from isthmus.base.clock import Micros, to_micros
from isthmus.field.connectors.opcua.address import CONDITION_ID, Events, EventTag
from isthmus.field.connectors.opcua.values import Converted, NoValueError, number_or_text
from isthmus.flow.parcel import GOOD

_HIDDEN: Final = (((0, "Time"),), ((0, "EventType"),))
"""Always asked for, before what the mapping wants."""
_START: Final = ua.NodeId(ua.Int32(ObjectIds.RefreshStartEventType))
_END: Final = ua.NodeId(ua.Int32(ObjectIds.RefreshEndEventType))
_REQUIRED: Final = ua.NodeId(ua.Int32(ObjectIds.RefreshRequiredEventType))
_OVERFLOW: Final = ua.NodeId(ua.Int32(ObjectIds.EventQueueOverflowEventType))


@dataclass
class EventItem:
    """One monitored notifier, and which fields of its events feed which tags."""

    events: Events
    tags: tuple[tuple[str, EventTag], ...]
    since: Micros
    """By the server's clock: what is older comes only because a refresh repeats it."""
    refreshing: bool = False
    wants_refresh: bool = False
    """The server asks us to read all conditions again."""
    overflowed: bool = False
    """The server's queue was too short: events before this one are missing."""
    last_time: Micros = 0
    _given: dict[Micros, None] = field(default_factory=dict)
    """Times that were given out lately, the oldest first."""

    def filter(self, of_type: ua.NodeId | None) -> ua.EventFilter:
        fields = [*_HIDDEN, *(tag.field for _, tag in self.tags)]
        found = ua.EventFilter(SelectClauses=[_operand(path) for path in fields])
        if of_type is not None:
            literal = ua.LiteralOperand(Value=ua.Variant(of_type))
            element = ua.ContentFilterElement(
                FilterOperator=ua.FilterOperator.OfType, FilterOperands=[literal]
            )
            found.WhereClause = ua.ContentFilter(Elements=[element])
        return found

    def samples(
        self, values: Sequence[ua.Variant], received: Micros
    ) -> Iterator[tuple[str, Micros, Converted]]:
        """Tag, time and value of each field that has one; an event about events gives none."""
        time, kind, *fields = (value.Value for value in values)
        if self._about_events(kind):
            return
        happened = received if time is None else to_micros(time)
        repeated = self.refreshing or happened < self.since
        at = self._own_time(received if repeated else happened)
        for (tag, _), value in zip(self.tags, fields, strict=True):
            try:
                number, text = number_or_text(value)
            except NoValueError:
                continue  # this kind of event has no such field
            yield tag, at, (number, text, GOOD)

    def _about_events(self, kind: Any) -> bool:
        if kind == _START:
            self.refreshing = True
        elif kind == _END:
            self.refreshing = False
        elif kind == _REQUIRED:
            self.wants_refresh = True
        elif kind == _OVERFLOW:
            self.overflowed = True
        return kind in {_START, _END, _REQUIRED, _OVERFLOW}

    def _own_time(self, at: Micros) -> Micros:
        """Rows of one machine are told apart by their time."""
        while at in self._given:
            at += 1
        self._given[at] = None
        if len(self._given) > _REMEMBERED:
            del self._given[next(iter(self._given))]
        self.last_time = at
        return at


_REMEMBERED: Final = 10_000


def _operand(path: tuple[tuple[int, str], ...]) -> ua.SimpleAttributeOperand:
    """A field is found by its browse names, whatever the type that has it."""
    if path == CONDITION_ID:
        return ua.SimpleAttributeOperand(
            TypeDefinitionId=ua.NodeId(ua.Int32(ObjectIds.ConditionType)),
            BrowsePath=[],
            AttributeId=AttributeIds.NodeId,
        )
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=ua.NodeId(ua.Int32(ObjectIds.BaseEventType)),
        BrowsePath=[ua.QualifiedName(name, ua.UInt16(index)) for index, name in path],
        AttributeId=AttributeIds.Value,
    )


def refresh(subscription: int) -> ua.CallMethodRequest:
    """ConditionRefresh: the server sends the state of all its conditions; it changes nothing."""
    return ua.CallMethodRequest(
        ObjectId=ua.NodeId(ua.Int32(ObjectIds.ConditionType)),
        MethodId=ua.NodeId(ua.Int32(ObjectIds.ConditionType_ConditionRefresh)),
        InputArguments=[ua.Variant(subscription, ua.VariantType.UInt32)],
    )
