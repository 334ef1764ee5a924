"""NodeS7 and the S7 connector read the same memory, and make the same of it."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from isthmus.base.clock import SystemClock
from isthmus.field.connectors.s7 import S7Connector, S7Source
from isthmus.flow.parcel import GOOD
from isthmus.testing.connector_suite import opened, read_once
from isthmus.testing.s7_server import S7Server
from isthmus.testing.tcp_proxy import LOOPBACK

pytestmark = pytest.mark.peer

PEERS = Path(__file__).parent / "peers"
SLOT = 2
PATIENCE = 20.0

ADDRESSES = {
    "DB10.0.0:bool": ("DB10,X0.0", True),
    "DB10.0.7:bool": ("DB10,X0.7", False),
    "DB10.1:byte": ("DB10,BYTE1", 255),
    "DB10.2:int": ("DB10,INT2", -32_768),
    "DB10.DBW4": ("DB10,WORD4", 65_535),
    "DB10.6:dint": ("DB10,DINT6", -70_000),
    "DB10.10:dword": ("DB10,DWORD10", 4_000_000_000),
    "DB10.14:real": ("DB10,REAL14", 3.25),
    "DB10.18:lreal": ("DB10,LREAL18", 0.1),
    "DB10.26:string[20]": ("DB10,S26.20", "größer als 12"),
    "DB10.48:char": ("DB10,C48", "Ä"),
    "DB10.50:date_and_time": ("DB10,DTZ50", "2026-11-22T17:02:14.123"),
    "DB10.58:dtl": ("DB10,DTLZ58", "2031-02-28T23:59:59.500000000"),
    "DB11.300:real": ("DB11,REAL300", -1.5),
    "MW20": ("MW20", 4_711),
    "M3.2": ("M3.2", True),
    "I4:int": ("II4", -2),
    "Q4:word": ("QW4", 3),
}
"""Our tag → NodeS7's address of the same bytes, and what the machine holds there."""


def as_number_or_text(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)


def in_our_words(value: Any, ours: float | str) -> float | str:
    """NodeS7 has a moment as a date in UTC, with milliseconds."""
    if isinstance(ours, str) and isinstance(value, str) and value.endswith("Z"):
        return value.removesuffix("Z").ljust(len(ours), "0")
    return as_number_or_text(value)


async def nodes7(port: int, addresses: list[str]) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js here: this peer is an npm package")
    if not (PEERS / "node_modules" / "nodes7").is_dir():
        pytest.skip("nodes7 is not installed: run `npm ci` in peers/")
    process = await asyncio.create_subprocess_exec(
        node, "s7.mjs", str(port), str(SLOT), *addresses,
        cwd=PEERS, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        said, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, errors.decode()
    read: dict[str, Any] = json.loads(said)
    return read


@pytest.mark.parametrize("pdu", [240, 480])
async def test_nodes7_reads_the_same_values(pdu: int) -> None:
    sizes = {"DB10": 80, "DB11": 400, "M": 32, "I": 8, "Q": 8}
    with S7Server(sizes, slot=SLOT, pdu=pdu) as device:
        for tag, (_, value) in ADDRESSES.items():
            device.put(tag, value)
        theirs = await nodes7(device.port, [address for address, _ in ADDRESSES.values()])
        spec = S7Source(host=LOOPBACK, port=device.port, slot=SLOT)
        async with opened(S7Connector("press_1", spec, list(ADDRESSES), SystemClock())) as reading:
            samples = await read_once(reading)
    assert {sample.quality for sample in samples} == {GOOD}
    ours = {sample.tag: sample.value for sample in samples}
    held = {tag: as_number_or_text(value) for tag, (_, value) in ADDRESSES.items()}
    assert ours == held
    assert {
        tag: in_our_words(theirs[address], held[tag]) for tag, (address, _) in ADDRESSES.items()
    } == held
    assert device.write_requests == []
