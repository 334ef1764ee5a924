"""A disk that is full: a real one, of a few megabytes, where this may be mounted."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from isthmus.testing.modbus_server import ModbusServer
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.tcp_proxy import LOOPBACK

from .hall import Hall, hall

SIZE_MB, RESERVE_MB = 48, 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, for the data folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a small disk can only be mounted by root")
    options = ["-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    if subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount anything")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def device() -> AsyncIterator[ModbusServer]:
    async with ModbusServer({"holding": {0: 3, 1: 100}}) as running:
        yield running


@asynccontextmanager
async def polled(folder: Path, device: ModbusServer, free_mb: int) -> AsyncIterator[Hall]:
    keys = f"host: {LOOPBACK}, port: {device.port}, interval: 50 ms, timeout: 1 s"
    tags = {"state": "holding:0:uint16", "good": "holding:1:uint16"}
    async with hall(folder, "modbus", keys, free_mb=free_mb, **tags) as running:
        await running.back()
        await running.until(lambda: running.sql("SELECT 1 FROM part_count") != [])
        yield running


def fill(disk: Path, leave_mb: float) -> Path:
    """Somebody copies something big onto it."""
    big = disk / "backup.tar"
    with big.open("wb") as stream:
        while (free := shutil.disk_usage(disk).free - leave_mb * 1e6) > 0:
            try:
                stream.write(b"\0" * int(min(free, 1 << 20)))
                stream.flush()
            except OSError:
                break
    return big


async def test_full_disk_stops_intake_says_so_and_goes_on_by_itself(disk, device):
    async with polled(disk, device, RESERVE_MB) as plant:
        big = fill(disk, RESERVE_MB - 1)
        device.put("holding", 1, [104])
        await plant.until(lambda: plant.source.get("what") == "disk_full", 5.0)
        await plant.until(lambda: plant.gaps("disk_full") != [], 5.0)
        health = plant.platform.health()
        assert health["status"] == "degraded"
        assert "8 MB must stay free" in health["troubles"]["disk of m"]
        assert (plant.health, plant.wrong) == ("disk_full", ["disk_full"])
        assert plant.parts() == 0
        big.unlink()
        device.put("holding", 1, [109])
        await plant.until(lambda: plant.parts() == 9, 60.0)
        await plant.back()
        assert plant.platform.health()["troubles"] == {}
        assert plant.wrong == []
        assert [gap.reason for gap in plant.gaps()] == ["disk_full"]
        assert plant.states() == ["execute", None, "execute"]
        assert plant.nothing_unaccounted()


async def test_disk_without_a_single_byte_left_breaks_nothing(disk, device):
    async with polled(disk, device, 0) as plant:
        device.put("holding", 1, [103])
        await plant.until(lambda: plant.parts() == 3)
        big = fill(disk, 0)
        number = 103
        while plant.source.get("what") != "disk_full":
            number += 1
            device.put("holding", 1, [number])
            await plant.until(
                lambda n=number: plant.parts() == n - 100 or "disk_full" in plant.told
            )
        big.unlink()
        device.put("holding", 1, [number + 5])
        await plant.until(lambda: plant.parts() == number - 95, 60.0)
        await plant.back()
        assert [gap.reason for gap in plant.gaps()] == ["disk_full"]
        assert plant.nothing_unaccounted()
        await plant.until(lambda: plant.platform.health()["status"] == "ready")


async def test_what_a_subscription_told_while_the_disk_was_full_comes_late_and_whole(disk):
    from asyncua import ua

    state, good = "ns=2;s=M.State", "ns=2;s=M.Good"
    values = {
        state: ua.Variant(3, ua.VariantType.Int32),
        good: ua.Variant(100, ua.VariantType.UInt32),
    }
    with OpcuaServer(values) as server:
        keys = f'endpoint: "opc.tcp://{LOOPBACK}:{server.port}", interval: 50 ms, timeout: 5 s'
        async with hall(disk, "opcua", keys, state=state, good=good, free_mb=RESERVE_MB) as plant:
            await plant.back()
            big = fill(disk, RESERVE_MB - 1)
            for number in range(1, 6):
                await server.set(good, 100 + number)
            await plant.until(lambda: plant.gaps("delayed") != [], 5.0)
            before = plant.counted("received")
            await server.set(state, 7)
            await server.set(state, 3)
            big.unlink()
            await plant.until(lambda: plant.parts() == 5, 60.0)
            await plant.until(lambda: plant.states() == ["execute", "aborted", "execute"])
            assert plant.counted("received") > before
            await plant.back()
            assert plant.nothing_unaccounted()
