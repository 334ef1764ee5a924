"""One machine: now, what it did, what it measures, its latest values."""

import json
from typing import Any

from isthmus.base.clock import SECOND, to_datetime
from isthmus.data.latest import latest

from .conftest import LINE, NOW, STANDING, STANDING_SINCE, STATE, Door, rows
from .test_pages import get, text_of

IM_02 = f"{LINE}/im-02"


def trends(page: str) -> dict[str, Any]:
    text = page.rsplit('<script type="application/json">', maxsplit=1)[-1].split(
        "</script>", maxsplit=1
    )[0]
    found: dict[str, Any] = json.loads(text)
    return found


async def test_it_says_what_the_machine_does_now(reading: Door) -> None:
    async with reading.client("viewer") as client:
        page = await get(client, f"/machine/{STANDING}")
    now = text_of(page.split('id="now"', 1)[1].split("</section>", 1)[0])
    assert "Unclassified" in now
    assert "20:00" in now
    assert "Deckel 80 mm schwarz" in now
    assert f'href="/stop/{STANDING}@{STANDING_SINCE}"' in page
    assert f'href="/oee/{STANDING}' in page
    assert f'href="/complete/{STANDING}?range=8h&amp;sel=im-01"' in page


async def test_every_number_it_measures_has_a_line_of_the_series_api(reading: Door) -> None:
    async with reading.client("viewer") as client:
        page = await get(client, f"/machine/{IM_02}")
        data = trends(page)
        labels = {one["label"]: one for one in data["series"]}
        melt = labels["injection_cycle.melt_temp"]
        assert melt["unit"] == "°C"
        answer = await client.get(f"{melt['src']}&from={melt['from']}&to={melt['to']}")
    assert answer.status_code == 200
    assert len(answer.json()["value"]) > 50
    assert not any("values" in one for one in data["series"])


async def test_the_latest_values_have_unit_quality_and_age(writing: Door) -> None:
    works = writing.works
    machine = works.plant.machines[IM_02]
    found = {f"{one.block}.{one.field}": one for one in latest(
        works.lake.query, works.plant, machine, now=NOW
    )}  # fmt: skip
    melt = found["injection_cycle.melt_temp"]
    assert (melt.unit, melt.at, melt.stale) == ("Cel", NOW - 10 * SECOND, False)
    assert found["machine_state.state"].text == "execute"
    assert melt.number is not None
    async with writing.client("viewer", language="de") as client:
        page = text_of(await get(client, f"/machine/{IM_02}"))
    assert f"{melt.number:.1f}".replace(".", ",") + " °C gut" in page


async def test_a_value_whose_source_is_lost_is_stale(writing: Door) -> None:
    lost = {
        "machine": IM_02, "time": to_datetime(NOW), "_received": to_datetime(NOW),
        "state": None, "_samples": 0, "_quality": 2,
    }  # fmt: skip
    writing.works.append([rows("machine_state", STATE, [lost])])
    async with writing.client("viewer") as client:
        page = text_of(await get(client, f"/machine/{IM_02}"))
    assert "source silent" in page
    assert "Offline" in page


async def test_above_a_machine_is_the_choice_of_machines(reading: Door) -> None:
    async with reading.client("viewer") as client:
        page = await get(client, f"/machine/{LINE}")
        german = await client.get(f"/machine/{LINE}", headers={"Cookie": client.headers["Cookie"]})
    assert page.count('class="place-card"') == 3
    assert f'href="/machine/{IM_02}"' in page
    assert "trend-chart" not in page
    assert german.status_code == 200
