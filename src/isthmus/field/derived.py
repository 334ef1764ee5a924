"""States and values that follow from other signals: `states` and `formula` of a mapping.

What they yield goes through `shape` like samples of tags of their own, so units, codes and limits
hold for them too; it is counted nowhere, because no source told it.

Signals that come with one device time are taken together. A state begins when its condition began
to hold, also where it counts only after a while; it never begins before the one it follows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.base.clock import SECOND, Micros
from isthmus.field.carried import Carried, Derived, Since
from isthmus.field.columns import single
from isthmus.field.mapping import DerivedField
from isthmus.flow.parcel import BAD, SAMPLES_SCHEMA
from isthmus.model.expression import Value, expression
from isthmus.model.spec.machine_type import Condition


@dataclass(frozen=True)
class Signal:
    """One sample of an input."""

    tag: str
    time: Micros
    received: Micros
    value: Value
    """None: bad quality."""


@dataclass(frozen=True)
class Yielded:
    """What a derived field is from a time on; None: nobody knows."""

    tag: str
    time: Micros
    received: Micros
    value: Value


def derive(
    fields: Sequence[DerivedField], samples: pa.Table, carried: Carried, now: Micros
) -> pa.Table:
    """What follows from these samples, and from the time that has passed until `now`."""
    signals = list(_signals(fields, samples)) if samples.num_rows else []
    found: list[Yielded] = []
    for field in fields:
        tags = {tag for _, tag in field.mapped.inputs}
        found += _yielded(field, [one for one in signals if one.tag in tags], carried, now)
    return _samples(found)


def _signals(fields: Sequence[DerivedField], samples: pa.Table) -> Iterator[Signal]:
    wanted = pa.array({tag for one in fields for _, tag in one.mapped.inputs}, pa.string())
    ours = samples.filter(pc.is_in(samples["tag"], value_set=wanted))
    columns = (
        single(ours[name]).to_pylist() if name not in _TIMES else _micros(ours[name])
        for name in ("tag", "device_time", "received_time", "number", "text", "quality")
    )
    for tag, time, received, number, text, quality in zip(*columns, strict=True):
        value = None if quality >= BAD else number if number is not None else text
        yield Signal(tag, time, received, value)


_TIMES: Final = ("device_time", "received_time")


def _micros(column: pa.ChunkedArray) -> list[Micros]:
    return single(column).cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]


def _yielded(
    field: DerivedField, signals: Iterable[Signal], carried: Carried, now: Micros
) -> Iterator[Yielded]:
    key = field.tag
    state = carried.derived.get(key, Derived())
    step = _next_state if field.mapped.states is not None else _next_value
    for time, together in groupby(signals, key=lambda one: one.time):
        group = list(together)
        received = group[-1].received
        if field.mapped.states is not None:
            state, found = _passing(field, state, time, received)
            yield from found
        values = dict(state.values)
        for one in group:
            values |= dict.fromkeys(field.names(one.tag), one.value)
        state, found = step(field, replace(state, values=values), time, received)
        yield from found
    if field.mapped.states is not None:
        state, found = _waiting(field, state, now)
        yield from found
    carried.derived[key] = state


# Values ----------------------------------------------------------------------------------------


def _next_value(
    field: DerivedField, state: Derived, time: Micros, received: Micros
) -> tuple[Derived, list[Yielded]]:
    formula = field.mapped.formula
    value = expression(formula.value).evaluate(state.values) if formula is not None else None
    if value is None and not state.known:
        return state, []
    found = Yielded(field.tag, time, received, float(value) if isinstance(value, bool) else value)
    return replace(state, known=value is not None, at=time), [found]


# States ----------------------------------------------------------------------------------------


def _passing(
    field: DerivedField, state: Derived, time: Micros, received: Micros
) -> tuple[Derived, list[Yielded]]:
    """Conditions whose time was over before the next signal, by the device's clock."""
    found: list[Yielded] = []
    for due in sorted(_due(field, state)):
        if due < time:
            state, more = _settle(field, state, due, due, received)
            found += more
    return state, found


def _waiting(field: DerivedField, state: Derived, now: Micros) -> tuple[Derived, list[Yielded]]:
    """Conditions whose time is over by our clock, because no signal says otherwise."""
    found: list[Yielded] = []
    for number, since in sorted(state.since.items()):
        after = _after(field, number)
        if number not in state.latched and since.seen + after <= now:
            due = since.time + after
            state, more = _settle(field, state, due, due, now)
            found += more
    return state, found


def _due(field: DerivedField, state: Derived) -> list[Micros]:
    return [
        since.time + _after(field, number)
        for number, since in state.since.items()
        if number not in state.latched
    ]


def _after(field: DerivedField, number: int) -> Micros:
    return round(_conditions(field)[number].after * SECOND)


def _conditions(field: DerivedField) -> Sequence[Condition]:
    return field.mapped.states.when if field.mapped.states is not None else ()


def _next_state(
    field: DerivedField, state: Derived, time: Micros, received: Micros
) -> tuple[Derived, list[Yielded]]:
    """Look at every condition with the new values, then say which state holds."""
    since: dict[int, Since] = {}
    latched: set[int] = set()
    unknown: set[int] = set()
    for number, condition in enumerate(_conditions(field)):
        match _holds(condition, state, number):
            case None:
                unknown.add(number)
            case True:
                since[number] = state.since.get(number, Since(time, received))
                if number in state.latched:
                    latched.add(number)
    state = replace(
        state,
        since=since,
        latched=frozenset(latched),
        unknown=frozenset(unknown),
    )
    return _settle(field, state, time, time, received)


def _holds(condition: Condition, state: Derived, number: int) -> bool | None:
    if number in state.latched and condition.until is not None:
        over = expression(condition.until).holds(state.values)
        return None if over is None else not over
    return expression(condition.if_).holds(state.values)


def _settle(
    field: DerivedField, state: Derived, until: Micros, time: Micros, received: Micros
) -> tuple[Derived, list[Yielded]]:
    """The state that holds at `until`; said if it is another one than before."""
    latched = {
        number
        for number, since in state.since.items()
        if number in state.latched or since.time + _after(field, number) <= until
    }
    before, state = state.latched, replace(state, latched=frozenset(latched))
    name, number = _chosen(field, state)
    # One that has counted for long comes to light when those before it end: now.
    late = number is not None and number not in before
    began = state.since[number].time if number is not None and late else time
    if name == state.name and (state.known or name is None):
        return state, []
    at = max(began, state.at)
    return (
        replace(state, name=name, known=name is not None, at=at),
        [Yielded(field.tag, at, received, name)],
    )


def _chosen(field: DerivedField, state: Derived) -> tuple[str | None, int | None]:
    """State and number of the first condition that counts; an unknown one hides those behind it."""
    rule = field.mapped.states
    if rule is None:
        return None, None
    for number, condition in enumerate(rule.when):
        if number in state.unknown:
            return None, None
        if number in state.latched:
            return condition.state, number
    return rule.otherwise, None


def _samples(found: Sequence[Yielded]) -> pa.Table:
    texts = [one.value if isinstance(one.value, str) else None for one in found]
    numbers = [one.value if isinstance(one.value, float | int) else None for one in found]
    columns = {
        "tag": [one.tag for one in found],
        "device_time": [one.time for one in found],
        "received_time": [one.received for one in found],
        "number": numbers,
        "text": texts,
        "quality": [BAD if one.value is None else 0 for one in found],
    }
    arrays = [pa.array(columns[f.name], _plain(f.type)).cast(f.type) for f in SAMPLES_SCHEMA]
    return pa.table(arrays, schema=SAMPLES_SCHEMA)


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(kind) else kind
