"""Is it complete?: the promise in one sentence, and what it stands on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from isthmus.base.clock import HOUR, MINUTE, SECOND, Micros, iso, to_datetime
from isthmus.flow.parcel import SAMPLES_SCHEMA, Count, Quarantined, Shaped
from isthmus.runtime.source_events import SourceEvent, Wrong
from isthmus.web.pages.complete import heard_fields

from .conftest import LINE, NOW, STATE, Door, Works, door, rows, state
from .test_api import bearer
from .test_pages import get, text_of

HOURS = 6
EACH = 120
"""Samples of `im-01` per hour; one of the last hour is put aside."""


def took(works: Works, hour: Micros, *, quarantined: int = 0, stored: int | None = None) -> None:
    """One hour of one source, as the runtime hands it to the log."""
    shaped = EACH - quarantined if stored is None else stored
    at = [hour + n * SECOND * 20 for n in range(shaped)]
    values = [
        state(f"{LINE}/im-01", one, "execute") | {"_source": "im-01", "_samples": 1} for one in at
    ]
    aside = [
        Quarantined(
            "im-01", "ns=2;s=Temp", f"{LINE}/im-01", "injection_cycle", "melt_temp",
            hour + MINUTE, hour + MINUTE, "9999", "Q010", "9999 is above the limit 400",
        )
    ] * quarantined  # fmt: skip
    count = Count(
        "im-01", "ns=2;s=State", hour, received=EACH, good=EACH, quarantined=quarantined,
        shaped=EACH - quarantined,
    )  # fmt: skip
    raw = pa.Table.from_pylist([], schema=SAMPLES_SCHEMA)
    works.logs["hamburg"].append(
        "im-01", raw, Shaped([rows("machine_state", STATE, values)], aside, [count]), now=hour
    )


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """For tests that only look."""
    made = Works(tmp_path_factory.mktemp("counted"))
    yield six_hours(made, tmp_path_factory.mktemp("accounts"))
    made.close()


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[Door]:
    """For tests that make it worse."""
    made = Works(tmp_path)
    yield six_hours(made, tmp_path)
    made.close()


def six_hours(works: Works, accounts: Path) -> Door:
    """Six hours of `im-01`: one gap that is over, one that lasts, one sample put aside."""
    start = NOW // HOUR * HOUR - HOURS * HOUR
    for n in range(HOURS):
        took(works, start + n * HOUR, quarantined=1 if n == HOURS - 1 else 0)
    log = works.logs["hamburg"]
    log.open_gap("im-01", "lost", "no answer", start=start + HOUR, now=start + HOUR)
    log.close_gap("im-01", end=start + HOUR + 10 * MINUTE, now=start + 2 * HOUR)
    log.open_gap("im-01", "lost", "cable", start=NOW - 4 * MINUTE, now=NOW)
    return door(works, accounts)


async def ledger(door: Door, **params: str) -> Any:
    async with door.client() as client:
        answer = await client.get("/api/v1/ledger", params=params, headers=bearer(door, "viewer"))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_ledger_adds_up_and_names_its_gaps(counted: Door) -> None:
    found = await ledger(counted, source="im-01")
    assert found["verdict"] == {
        "complete": True, "lost": 0, "surplus": 0, "raw_only": 0, "gaps": 2, "gap_s": 840.0,
    }  # fmt: skip
    total = found["totals"]
    assert (total["received"], total["stored"], total["quarantined"]) == (
        HOURS * EACH, HOURS * EACH - 1, 1,
    )  # fmt: skip
    hours = {row["hour"]: row for row in found["rows"]}
    second = hours[iso(NOW // HOUR * HOUR - (HOURS - 1) * HOUR)]
    assert second["coverage"] == pytest.approx(50 / 60)
    running, closed = found["gaps"]
    assert (running["end"], running["seconds"]) == (None, 240.0)
    assert closed["machines"] == [f"{LINE}/im-01"]
    assert all(one["complete"] for one in found["sequences"])


async def test_a_sample_that_is_nowhere_is_found(spoilt: Door) -> None:
    took(spoilt.works, NOW // HOUR * HOUR - 8 * HOUR, stored=EACH - 3)
    found = await ledger(spoilt, source="im-01")
    assert (found["verdict"]["complete"], found["verdict"]["lost"]) == (False, 3)
    async with spoilt.client("viewer") as client:
        page = text_of(await get(client, "/complete/acme"))
    assert "Not proved: 3 of 840 samples received are not where they should be" in page


async def test_the_page_says_it_in_one_sentence(counted: Door) -> None:
    async with counted.client("viewer") as client:
        page = text_of(await get(client, "/complete/acme"))
    assert "accounted for: 719 of 720 samples stored, 0 lost, 2 gaps totalling 14:00 min" in page
    assert "received = stored + quarantined + unmapped" in page
    assert "still lasts" in page
    assert "9999 is above the limit 400" in page
    assert "Correct limit or unit" in page
    async with counted.client("viewer", language="de") as client:
        page = text_of(await get(client, "/complete/acme"))
    assert "2 Lücken, zusammen 14:00" in page
    assert "empfangen = gespeichert + Quarantäne + nicht zugeordnet" in page


async def test_an_hour_of_the_heat_table_leads_to_that_hour(counted: Door) -> None:
    async with counted.client("viewer") as client:
        page = await get(client, "/complete/acme/hamburg")
        hour = NOW // HOUR * HOUR - 5 * HOUR
        span = f"{to_datetime(hour):%Y-%m-%dT%H:%MZ}..{to_datetime(hour + HOUR):%Y-%m-%dT%H:%MZ}"
        url = f"/complete/acme/hamburg?range={span}&sel=im-01"
        assert f'href="{url.replace("&", "&amp;")}"' in page
        closer = text_of(await get(client, url))
    assert "119 of 120" not in closer
    assert "120 samples, 0 lost, 1 gap of 10:00 min" in closer
    assert page.count('class="c-part"') == 2


async def test_another_place_has_its_own_ledger(counted: Door) -> None:
    async with counted.client("viewer") as client:
        page = text_of(await get(client, "/complete/acme/graz"))
    assert "Nothing in this time range" in page
    assert "im-01" not in page


async def test_raw_that_could_not_be_shaped_is_named(spoilt: Door) -> None:
    table = pa.Table.from_pylist(
        [
            {
                "tag": "t", "device_time": to_datetime(NOW), "received_time": to_datetime(NOW),
                "number": 1.0, "text": None, "quality": 0,
            }
        ],
        schema=SAMPLES_SCHEMA,
    )  # fmt: skip
    log = spoilt.works.logs["hamburg"]
    await asyncio.to_thread(log.append_raw, "im-01", table, "KeyError: x", now=NOW)
    async with spoilt.client("viewer") as client:
        page = text_of(await get(client, "/complete/acme"))
    assert "1 samples are kept as RAW alone" in page


async def test_the_last_value_of_a_source_is_published_while_watched(counted: Door) -> None:
    ((topic, fields),) = heard_fields(counted.works, ["heard"])
    hour = NOW // HOUR * HOUR - HOUR
    assert topic == "platform:heard"
    assert fields["im-01"] == (hour + (EACH - 2) * 20 * SECOND) // 1000
    assert heard_fields(counted.works, []) == []


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "on the platform's computer"), ("de", "auf dem Rechner der Plattform")],
)
async def test_quarantine_says_what_to_type(counted: Door, language: str, said: str) -> None:
    async with counted.client("viewer", language=language) as client:
        page = text_of(await get(client, "/complete/acme"))
    assert said in page.replace("&#39;", "'")
    assert "isthmus quarantine replay --source im-01" in page


async def test_quarantine_is_listed_by_the_api(counted: Door) -> None:
    async with counted.client() as client:
        headers = bearer(counted, "viewer")
        (one,) = (await client.get("/api/v1/quarantine", headers=headers)).json()
        none = (await client.get("/api/v1/quarantine?scope=acme/graz", headers=headers)).json()
        (gap, _) = (await client.get("/api/v1/gaps?source=im-01", headers=headers)).json()
    assert (one["code"], one["value"], one["machine"]) == ("Q010", "9999", f"{LINE}/im-01")
    assert none == []
    assert gap["end"] is None


def disk_full() -> SourceEvent:
    wrong = (Wrong("disk_full", NOW - SECOND, "6 MB are free"), Wrong("skew", NOW, "75 s ahead"))
    return SourceEvent(
        "im-01", "opcua", "disk_full", "6 MB are free", NOW, connected=True, wrong=wrong
    )


async def test_programs_hear_all_that_is_wrong_with_a_source_that_answers(
    counted: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted.works, "source_states", lambda: {"im-01": disk_full()})
    async with counted.client("viewer") as client:
        answer = (await client.get(f"/api/v1/sources?scope={LINE}")).json()
    wrong = {one["name"]: one["impaired"] for one in answer}
    assert wrong["im-02"] == []
    assert wrong["im-01"] == [
        {"what": "disk_full", "since": iso(NOW - SECOND), "detail": "6 MB are free"},
        {"what": "skew", "since": iso(NOW), "detail": "75 s ahead"},
    ]


@pytest.mark.parametrize(("language", "said"), [("en", "disk full"), ("de", "Datenträger voll")])
async def test_what_is_wrong_with_a_source_that_answers_is_said(
    counted: Door, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    event = disk_full()
    monkeypatch.setattr(counted.works, "source_states", lambda: {"im-01": event})
    async with counted.client("viewer", language=language) as client:
        for page in (f"/complete/{LINE}", f"/machine/{LINE}/im-01"):
            text = await get(client, page)
            assert said in text_of(text)
            assert {"en": "6 MB are free", "de": "6 MB sind frei"}[language] in text
        attention = text_of(await get(client, f"/overview/{LINE}"))
    assert {"en": "6 MB are free", "de": "6 MB sind frei"}[language] in attention
    assert "75 s ahead" in attention
