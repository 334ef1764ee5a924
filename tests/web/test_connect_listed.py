"""Tags of a source that cannot be browsed, from a table on its page."""

from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from httpx import AsyncClient

from isthmus.testing.opcua_server import OpcuaServer

from .test_connect import Site, running, server
from .test_pages import text_of

__all__ = ["server"]

PLACE = "/browse/acme/hamburg"
REGISTERS = """\
Adresse;Name;Datentyp;Einheit;Kommentar
holding:100:uint16;Gutteile;UInt16;;Zählt jedes gute Teil
holding:102:uint16;Ausschuss;UInt16;;
input:5:float32;Oeltemperatur;Float;°C;
"""


@pytest.fixture
async def site(server: OpcuaServer, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path, server, server.port) as made:
        file = made.model / "hamburg.yaml"
        file.write_text(file.read_text() + "  box: {kind: modbus, host: 127.0.0.1, port: 1}\n")
        await made.platform.apply(made.model)
        yield made


async def listed(http: AsyncClient, table: str, status: int = 303) -> str:
    answer = await http.post(PLACE, data={"sel": "box", "table": table})
    assert answer.status_code == status, unescape(text_of(answer.text))
    return answer.headers.get("location", "") or unescape(text_of(answer.text))


async def names(http: AsyncClient) -> list[str]:
    found = (await http.get("/api/v1/connect/box/nodes")).json()
    return [one["name"] for one in found["nodes"]]


async def test_a_source_that_cannot_be_browsed_asks_for_a_table_and_shows_no_empty_tree(
    site: Site,
) -> None:
    async with site.client() as http:
        page = (await http.get(f"{PLACE}?sel=box")).text
        assert 'class="settings" open' in page
        assert "a register list" in text_of(page)
        assert "<source-browser>" not in page
        page = (await http.get(f"{PLACE}?sel=im07")).text
        assert 'class="settings" open' not in page
        assert "<source-browser>" in page


async def test_tags_of_a_table_take_the_place_of_a_crawl(site: Site) -> None:
    async with site.client() as http:
        where = await listed(http, REGISTERS)
        assert where == f"{PLACE}?sel=box&listed=3"
        assert "3 tags were taken." in text_of((await http.get(where)).text)
        assert await names(http) == ["Gutteile", "Ausschuss", "Oeltemperatur"]
        state = {
            "sel": "box", "line": "hamburg/hall/line-1", "name": "im-09", "newtype": "old_press",
            "b.part_count": "1",
        }  # fmt: skip
        page = (await http.get(f"/map/acme/hamburg?{urlencode(state)}")).text
        assert 'value="holding:100:uint16" checked' in page


async def test_a_table_is_kept_when_the_source_is_changed(site: Site) -> None:
    async with site.client() as http:
        await listed(http, REGISTERS)
        file = site.model / "hamburg.yaml"
        file.write_text(file.read_text().replace("port: 1}", "port: 2}"))
        await site.platform.apply(site.model)
        assert len(await names(http)) == 3


async def test_a_file_takes_the_place_of_the_table(site: Site) -> None:
    async with site.client() as http:
        files = {"file": ("tags.csv", REGISTERS.encode("utf-8-sig"), "text/csv")}
        answer = await http.post(PLACE, data={"sel": "box", "table": ""}, files=files)
        assert answer.headers["location"].endswith("listed=3")
        files = {"file": ("tags.csv", REGISTERS.encode("cp1252"), "text/csv")}
        answer = await http.post(PLACE, data={"sel": "box", "table": ""}, files=files)
        assert answer.status_code == 409
        assert "not UTF-8" in text_of(answer.text)


WRONG = [
    ("Name\nGutteile\n", "a list of tags needs a column `tag`"),
    ("tag,name\nholding:1:uint16,a\nDB10.4:real,b\n", "row 3: `DB10.4:real` is no register"),
    ("tag\n\n", "the list has no tag"),
    ("", "the table is empty"),
]


async def test_a_table_that_cannot_be_taken_says_why_and_is_not_lost(site: Site) -> None:
    async with site.client() as http:
        await listed(http, REGISTERS)
        for table, said in WRONG:
            page = await listed(http, table, 409)
            assert said in page
            assert "No tag was taken" in page
        assert len(await names(http)) == 3
    async with site.client(language="de") as http:
        assert "Zeile 3: `DB10.4:real`" in await listed(http, WRONG[1][0], 409)


async def test_who_only_looks_on_lists_nothing(site: Site) -> None:
    async with site.client("viewer") as http:
        await listed(http, REGISTERS, 403)
