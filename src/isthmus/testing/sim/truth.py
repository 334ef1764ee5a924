"""The truth: one JSON line per thing that really happened, for tests to compare with."""

import json
from pathlib import Path
from typing import Any, TextIO

from isthmus.testing.sim.machine import (
    CounterReset,
    Event,
    OrderEnd,
    OrderStart,
    Part,
    StateChange,
)


def as_record(machine: str, event: Event) -> dict[str, Any]:
    """`{"machine", "time" (µs), "what", …}`."""
    record: dict[str, Any] = {"machine": machine, "time": event.time}
    match event:
        case StateChange(state=state, reason=reason):
            return record | {"what": "state", "state": state, "reason": reason}
        case Part(good=good):
            return record | {"what": "part", "good": good}
        case OrderStart(order=order):
            return record | {"what": "order", "order": order.number, "material": order.material}
        case OrderEnd(order=order):
            return record | {"what": "order_end", "order": order.number}
        case CounterReset():
            return record | {"what": "reset"}


class TruthFile:
    """Appends; a reader may follow it."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8")

    def write(self, machine: str, event: Event) -> None:
        self._file.write(json.dumps(as_record(machine, event)) + "\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
