"""Pages of the real application over a real lake, without a browser."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from httpx import AsyncClient

from isthmus.apps.oee.kpi import kpi
from isthmus.base.clock import SECOND, parse_time
from isthmus.web.formats import Formats

from .conftest import LINE, NOW, STANDING, STANDING_SINCE, Door

STOP = f"{STANDING}@{STANDING_SINCE}"
EARLY = parse_time("2026-11-17T05:00:00Z")
PAGES = [
    "/overview/acme?cmp=prev",
    f"/oee/{LINE}?range=shift:2026-11-17:early&cmp=prev&by=shift",
    f"/oee/{STANDING}?range=2026-11-17&by=order&sel=reason:unclassified",
    f"/live/{LINE}",
    f"/stop/{STOP}",
]


def text_of(page: str) -> str:
    """What a person reads."""
    shown = re.sub(r"<(script|title|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown.replace("<wbr>", "")))


def island(page: str, id_: str = "states") -> dict[str, Any]:
    found = re.search(
        rf'id="{id_}">.*?<script type="application/json">(.*?)</script>', page, re.DOTALL
    )
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


async def get(client: AsyncClient, url: str, **headers: str) -> str:
    answer = await client.get(url, headers={"Accept-Encoding": "gzip"} | headers)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 40_000
    return answer.text


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("url", PAGES)
async def test_a_page_has_everything_a_reader_and_a_screen_reader_need(
    reading: Door, url: str, language: str
) -> None:
    async with reading.client("operator", language=language) as client:
        page = await get(client, url)
    assert f'<html lang="{language}"' in page
    assert page.count("<h1") == 1
    assert page.count('<main id="main"') == 1
    assert 'class="skip"' in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "None" not in text_of(page)
    assert "nan" not in text_of(page).lower().split()


@pytest.mark.parametrize("url", [PAGES[1], PAGES[3]])
async def test_every_fragment_is_also_a_page(reading: Door, url: str) -> None:
    history = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    async with reading.client("operator") as client:
        fragment = await client.get(url, headers={"HX-Request": "true"})
        restored = await client.get(url, headers=history)
    assert fragment.text.lstrip().startswith("<title>")
    assert restored.text.lstrip().startswith("<!doctype html>")
    assert "HX-Request" in fragment.headers["vary"]
    page = re.sub(r'value="[^"]*"', "", restored.text)
    assert re.sub(r'value="[^"]*"', "", fragment.text).strip() in page


async def test_the_five_numbers_are_those_of_the_kpi(reading: Door) -> None:
    works = reading.works
    (row,) = kpi(works.lake.query, works.plant, "acme/hamburg", EARLY, NOW, now=NOW)
    f = Formats("en", "Europe/Berlin")
    async with reading.client("viewer") as client:
        page = await get(client, "/oee/acme/hamburg?range=shift:2026-11-17:early")
    for name in ("oee", "availability", "effectiveness", "quality_ratio"):
        shown = page.split(f'id="kpi-{name}"', 1)[1].split("</dd>", 1)[0]
        assert f.percent(row[name]) in shown
    good = page.split('id="kpi-good"', 1)[1].split("</dd>", 1)[0]
    assert f.number(row["good"]) in good


async def test_numbers_are_written_as_the_reader_writes_them(reading: Door) -> None:
    url = f"/oee/{LINE}?range=24h"
    async with reading.client("viewer") as client:
        assert re.search(r"\b\d{1,2}\.\d%", await get(client, url))
    async with reading.client("viewer", language="de") as client:
        assert re.search(r"\b\d{1,2},\d\u202f%", await get(client, url))


async def test_the_losses_lead_from_planned_to_productive_time(reading: Door) -> None:
    async with reading.client("viewer") as client:
        page = await get(client, f"/oee/{LINE}")
    table = page.split('id="losses"', 1)[1].split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    steps = re.findall(r'<th scope="row">([^<]+)</th>', table)
    assert (steps[0], steps[-1]) == ("Planned time", "Productive time")
    assert "Operating time" in steps


async def test_the_timeline_has_a_row_per_machine_and_its_stops(reading: Door) -> None:
    async with reading.client("viewer") as client:
        data = island(await get(client, f"/oee/{LINE}"))
    assert [row["name"] for row in data["rows"]] == ["IM 01", "IM 02", "IM 03"]
    assert data["zone"] == "Europe/Berlin"
    start, seconds, kind, stop, *_ = data["rows"][0]["intervals"][-1]
    assert (kind, stop) == ("unclassified", str(STANDING_SINCE))
    assert data["start"] + (start + seconds) * 1000 == NOW // 1000
    assert data["rows"][0]["url"] == f"/stop/{STANDING}"


async def test_a_machine_that_stands_comes_first_on_the_live_line(reading: Door) -> None:
    async with reading.client("operator") as client:
        page = await get(client, "/live/acme/hamburg")
    names = re.findall(r'class="now".*?aria-label="([^"]+)".*?data-kind="(\w+)"', page)
    assert names[0] == ("IM 01", "unclassified")
    assert len(names) == 8
    assert "Hydraulics" in page


async def test_drilling_down_leads_from_the_overview_to_the_stop(reading: Door) -> None:
    async with reading.client("viewer") as client:
        overview = await get(client, "/overview/acme")
        assert f'href="/stop/{STOP}"' in overview
        assert 'href="/oee/acme/hamburg?' in overview
        line = await get(client, f"/oee/{LINE}?range=24h")
        assert f'href="/stop/{STOP}"' in line
        stop = await get(client, f"/stop/{STOP}")
    assert "still standing" in stop
    trends = json.loads(
        stop.split('id="trend"><script type="application/json">')[1].split("</script>")[0]
    )
    assert {series["label"] for series in trends["series"]} >= {"injection_cycle.melt_temp"}
    assert all(len(series["times"]) == len(series["values"]) > 50 for series in trends["series"])


def csrf_of(page: str) -> str:
    return page.split('name="csrf" value="', 1)[1].split('"', 1)[0]


async def test_a_reason_is_given_in_one_tap_and_taken_back(writing: Door) -> None:
    query = "select reason, author from stop_reason"
    async with writing.client("operator") as client:
        page = await get(client, f"/live/{LINE}")
        form = {
            "csrf": csrf_of(page),
            "stop": STOP,
            "reason": "hydraulics",
            "back": f"/live/{LINE}",
        }
        given = await client.post("/reason", data=form)
        assert given.status_code == 303
        assert writing.works.lake.query(query).to_pylist() == [
            {"reason": "hydraulics", "author": "operator"}
        ]
        after = await get(client, given.headers["location"], **{"HX-Request": "true"})
        assert "IM 01: Hydraulics" in text_of(after)
        assert 'data-kind="stopped"' in after
        id_ = re.search(r'name="given" value="(\w+)"', after)
        assert id_
        writing.works.clock.at += 3 * SECOND
        undo = {"csrf": csrf_of(page), "given": id_[1], "back": f"/live/{LINE}"}
        taken = await client.post("/reason/undo", data=undo)
        assert taken.headers["location"] == f"/live/{LINE}"
        assert writing.works.lake.query(query).num_rows == 0
        assert 'data-kind="unclassified"' in await get(client, f"/live/{LINE}")


async def test_the_undo_bar_is_gone_after_ten_seconds(writing: Door) -> None:
    async with writing.client("operator") as client:
        page = await get(client, f"/live/{LINE}")
        form = {
            "csrf": csrf_of(page),
            "stop": STOP,
            "reason": "hydraulics",
            "back": f"/live/{LINE}",
        }
        location = (await client.post("/reason", data=form)).headers["location"]
        assert 'class="undo"' in await get(client, location)
        writing.works.clock.at += 12 * SECOND
        assert 'class="undo"' not in await get(client, location)


async def test_an_unknown_reason_is_refused_and_nothing_is_written(writing: Door) -> None:
    async with writing.client("operator") as client:
        csrf = csrf_of(await get(client, f"/live/{LINE}"))
        form = {"csrf": csrf, "stop": STOP, "reason": "aliens", "back": "/"}
        assert (await client.post("/reason", data=form)).status_code == 400
    assert writing.works.lake.query("select * from stop_reason").num_rows == 0


@pytest.mark.parametrize(
    ("url", "status", "says"),
    [
        ("/oee/acme/atlantis", 404, "no such page or place"),
        ("/oee/other", 404, "no such page or place"),
        ("/nowhere", 404, "no such page or place"),
        (f"/stop/{STANDING}@1", 404, "no such page or place"),
        (f"/stop/{STANDING}@soon", 404, "no such page or place"),
        ("/oee/acme?range=yesterdayish", 400, "does not exist"),
        ("/oee/acme?range=shift:2026-11-17:brunch", 400, "does not exist"),
        ("/oee/acme?range=2026-11-18T00:00..2026-11-17T00:00", 400, "does not exist"),
    ],
)
async def test_a_wrong_address_says_what_is_wrong(
    reading: Door, url: str, status: int, says: str
) -> None:
    async with reading.client("viewer") as client:
        answer = await client.get(url)
        assert (answer.status_code, says in answer.text) == (status, True)


async def labels(client: AsyncClient, ranges: Sequence[str]) -> list[str]:
    found = []
    for text in ranges:
        page = await get(client, f"/overview/acme/hamburg/moulding/line-1?range={text}")
        summary = re.search(r'aria-label="Time range: ([^"]+)"', page)
        assert summary
        found.append(summary[1])
    return found


async def test_the_range_in_the_address_is_the_range_on_the_page(reading: Door) -> None:
    ranges = [
        "shift:2026-11-17:early",
        "24h",
        "2026-11-16",
        "2026-W46",
        "2026-11-17T06:00..2026-11-17T07:30",
    ]
    async with reading.client("viewer") as client:
        assert await labels(client, ranges) == [
            "Early shift · Tue 17 Nov · 06:00–14:00",
            "Last 24 hours",
            "Mon 16 Nov",
            "Mon 9 Nov–Sun 15 Nov",
            "Tue 17 Nov 06:00–07:30",
        ]


async def test_brackets_lead_to_the_shifts_before_and_after(reading: Door) -> None:
    async with reading.client("viewer") as client:
        page = await get(client, f"/oee/{LINE}?range=shift:2026-11-17:early&by=line")
    before = re.search(r'href="([^"]+)"[^>]*data-key="\["', page)
    after = re.search(r'href="([^"]+)"[^>]*data-key="\]"', page)
    assert before
    assert after
    assert before[1] == f"/oee/{LINE}?range=shift:2026-11-16:night&amp;by=line"
    assert after[1] == f"/oee/{LINE}?range=shift:2026-11-17:late&amp;by=line"


async def test_the_range_survives_on_the_way_down(reading: Door) -> None:
    async with reading.client("viewer") as client:
        page = await get(client, "/oee/acme?range=7d&cmp=prev")
        assert 'href="/oee/acme/hamburg/moulding/line-1?' not in page
        assert "/scopes?page=oee&amp;range=7d" in page
        places = await get(client, "/scopes?page=oee&range=7d")
    assert f'href="/oee/{LINE}?range=7d"' in places


async def test_an_empty_range_says_so_and_shows_no_empty_charts(reading: Door) -> None:
    long_ago = "2026-10-05T06:00..2026-10-05T07:00"
    async with reading.client("viewer") as client:
        page = await get(client, f"/oee/{LINE}?range={long_ago}")
    assert "Nothing in this time range" in page
    assert "Last data: Tue 17 Nov 12:" in page
    assert f'href="/oee/{LINE}?range=2026-11-17"' in page
    assert 'id="losses"' not in page
