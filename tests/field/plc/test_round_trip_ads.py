"""Generated structures in a TwinCAT runtime, read back by their mapping: what was written."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from tests.field.plc.blocks import EVERY_TYPE, LEVELS, WRITTEN, made, texts
from tests.field.plc.reading import Reader, codes, plant_with

from isthmus.testing import ads_router
from isthmus.testing.ads_router import AdsRouter
from isthmus.testing.tcp_proxy import LOOPBACK


def structures(text: str) -> Mapping[str, Mapping[str, str]]:
    """Every structure of the source text: its members with their types."""
    found = re.findall(r"TYPE (\w+) :\nSTRUCT\n(.*?)END_STRUCT;", text, re.DOTALL)
    return {
        name: dict(re.findall(r"^ +(\w+) : ([^;]+);", body, re.MULTILINE)) for name, body in found
    }


@pytest.mark.parametrize("notifications", [True, False])
async def test_every_type_comes_back_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, *, notifications: bool
) -> None:
    # The simulated runtime has one enumeration; these are two more.
    monkeypatch.setitem(ads_router.ELEMENTARY, "E_packml", (2, "h"))
    monkeypatch.setitem(ads_router.ELEMENTARY, "E_alarm_level", (3, "i"))
    written = texts(made("codesys"))
    symbols = {"GVL_Isthmus.machine": "ST_isthmus_machine"}
    device = AdsRouter(symbols, {}, structs=structures(written["isthmus.st"]))
    probe: dict[str, Any] = {}
    device.values["GVL_Isthmus.machine"] = {"probe": probe}
    async with device:
        source = {
            "kind": "ads", "host": LOOPBACK, "port": device.port, "interval": "10 ms",
            "local_net_id": "127.0.0.1.2.1", "notifications": notifications,
        }  # fmt: skip
        plant = plant_with(written["mapping.yaml"], source, EVERY_TYPE, LEVELS)
        for key, value in (WRITTEN | {"probe.good": 2**32 - 2}).items():
            coded = key in {"probe.state", "probe.alarm"}
            probe[key.partition(".")[2]] = codes(plant, key)(value) if coded else value
        async with Reader(plant) as reader:
            found = await reader.until(expected := WRITTEN | {"probe.good": 0})
    assert found == expected
    assert device.writes == []
