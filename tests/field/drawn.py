"""Configurations as a person may write them, drawn from a spec, and a connector put to use."""

import asyncio
from contextlib import suppress
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from isthmus.field.connector import AnyConnector, Refused, Unreachable, Unsupported
from isthmus.model.spec.site import SourceSpec

READS = 2
READS_WITHIN = 0.15
DURATIONS = (0.02, 0.1, 0.5, 1.0)
"""Seconds that a key may be drawn to: short, for the test's sake."""


async def use(reading: AnyConnector) -> None:
    """As the runtime and the person who browses do; what goes wrong is not asked here."""
    with suppress(Unreachable, Refused, Unsupported, TimeoutError):
        await reading.open()
        for _ in range(READS):
            with suppress(TimeoutError):
                await asyncio.wait_for(reading.read(), READS_WITHIN)
            await reading.acknowledge()
        async for _ in reading.browse():
            pass
    await reading.close()


def keys_of(spec: type[SourceSpec], given_already: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the keys a person may write, each within its own bounds."""
    drawn = {
        name: values
        for name, about in spec.model_fields.items()
        if name not in given_already | {"kind", "enabled"}
        and (values := _values(about.annotation, about)) is not None
    }
    return st.fixed_dictionaries({}, optional=drawn)


def _values(annotation: Any, about: FieldInfo) -> st.SearchStrategy[Any] | None:
    """Values of a switch, a choice, a number or a duration; None for what has to be meant."""
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if get_origin(annotation) in {Union, UnionType}:
        parts = [_values(part, about) for part in get_args(annotation)]
        known = [part for part in parts if part is not None]
        return st.one_of(known) if known else None
    low, high = _bounds(about)
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.integers(int(low or 0), int(high or 1000))
    if annotation is float:
        allowed = [seconds for seconds in DURATIONS if seconds >= (low or 0)]
        return st.sampled_from(allowed) if allowed else None
    return None


def _bounds(about: FieldInfo) -> tuple[float | None, float | None]:
    low = high = None
    for item in about.metadata:
        low = item.ge if isinstance(item, annotated_types.Ge) else low
        high = item.le if isinstance(item, annotated_types.Le) else high
    return low, high
