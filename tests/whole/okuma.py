"""An Okuma lathe's recording (four takes, 23 minutes in all), read by other code than ours."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from isthmus.base.clock import MINUTE, Micros, to_micros

RECORDING = Path(__file__).parents[3] / "shared" / "data" / "mtconnect_okuma"

needs_recording = pytest.mark.skipif(
    not RECORDING.is_dir(), reason="`shared/data/mtconnect_okuma` is not beside the repository"
)

CONDITIONS = [
    "system", "CoolantSystem1_cond", "ElectricSystem1_cond", "HydraulicSystem1_cond",
    "LubricationSystem1_cond", "PneumaticSystem1_cond", "LoaderSystem1_cond",
    "WasteDisposalSystem1_cond", "ToolingDeliverySystem1_cond", "BarFeederSystem1_cond",
]  # fmt: skip
VALUES = [
    "avail", "pexecution", "ppartcount", "fmode", "pprogram", "p1block", "p1PalletID",
    "p1LPathPos", "Z1actm", "X1load", "S1speed", "p1Fact", "pCuttingTime", "ApplicationVersion",
]  # fmt: skip


class Seen(NamedTuple):
    """One value at its device time."""

    time: Micros
    value: float | str | None


def lines() -> list[str]:
    return (RECORDING / "okuma.txt").read_text().splitlines()


def from_file(key: str) -> list[Seen]:
    """Every value of a key in the order of the file."""
    return _by_key().get(key, [])


def everything() -> list[tuple[str, Seen]]:
    """All values with their keys, in the order of the file."""
    return [(key, Seen(time, value)) for time, key, value in _pairs()]


@cache
def _by_key() -> dict[str, list[Seen]]:
    by_key: dict[str, list[Seen]] = {}
    for key, seen in everything():
        by_key.setdefault(key, []).append(seen)
    return by_key


def _pairs() -> Iterator[tuple[Micros, str, float | str | None]]:
    for line in lines():
        time = _time(line)
        if time is None:
            continue
        fields = line.split("|")[1:]
        for key, text in zip(fields[::2], fields[1::2], strict=False):
            yield time, key, _value(text)


_DATA = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})\d*Z\|(?!@).*")


def _time(line: str) -> Micros | None:
    """Of a line of data; an asset's line has none that counts."""
    match = _DATA.fullmatch(line)
    if match is None:
        return None
    return to_micros(datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC))


def _value(text: str) -> float | str | None:
    if text == "UNAVAILABLE":
        return None
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


def intervals(seen: list[Seen]) -> list[tuple[Micros, Micros | None, float | str | None]]:
    """From each change to the next, in the order of arrival."""
    changes = [
        one for before, one in zip([None, *seen], seen, strict=False)
        if before is None or before.value != one.value or before.time > one.time
    ]  # fmt: skip
    ends = [change.time for change in changes[1:]]
    return [
        (change.time, end, change.value) for change, end in zip(changes, [*ends, None], strict=True)
    ]


def takes_in_time() -> list[str]:
    """The takes in the order in which they were recorded; the file has them in another one."""
    takes: list[list[str]] = []
    last = None
    for line in lines():
        time = _time(line)
        if not takes or (time is not None and last is not None and abs(time - last) > MINUTE):
            takes.append([])
        last = time if time is not None else last
        takes[-1].append(line)
    takes.sort(key=lambda take: min(time for line in take if (time := _time(line)) is not None))
    return [line for take in takes for line in take]
