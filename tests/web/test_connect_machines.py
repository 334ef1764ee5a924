"""Many machines from a table and one like another, on the screen."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any
from urllib.parse import urlencode

from httpx import AsyncClient

from isthmus.model.masking import HIDDEN

from .conftest import LINE, Door
from .press_company import texts
from .test_connect import digest
from .test_pages import text_of

PLACE = "/machines/acme/hamburg"
INTO = {"type": "km_cx160", "line": "hamburg/moulding/line-1", "show": "table"}
SET = "source.endpoint = opc.tcp://{host}:4840\nsource.interval = 250 ms"
FORTY = "machine;name;root;host\n" + "".join(
    f"im-{n};IM {n};IM{n};10.1.4.{n}\n" for n in range(50, 90)
)


def site(writing: Door) -> str:
    return texts(writing.works.data / "model" / "sites")["hamburg.yaml"]


async def shown(http: AsyncClient, **form: str) -> str:
    answer = await http.post(PLACE, data=form | {"do": "show"})
    assert answer.status_code in {200, 409}, text_of(answer.text)
    return answer.text


@asynccontextmanager
async def engineer(writing: Door, language: str = "en") -> AsyncIterator[AsyncClient]:
    async with writing.client("engineer", language=language) as http:
        token = re.search(r'name="csrf" value="([^"]+)"', (await http.get(PLACE)).text)
        assert token
        http.headers["X-CSRF-Token"] = token[1]
        yield http


async def applied(http: AsyncClient, page: str, **form: str) -> str:
    body = form | {"do": "apply", "digest": digest(page)}
    answer = await http.post(PLACE, data=body)
    assert answer.status_code == 303, unescape(text_of(answer.text))
    return str(answer.headers["location"])


async def test_a_table_needs_a_type_and_a_line_and_says_its_columns(writing: Door) -> None:
    async with engineer(writing) as http:
        page = (await http.get(PLACE)).text
        assert "km_cx160" in text_of(page)
        assert 'name="table"' not in page
        page = (await http.get(f"{PLACE}?{urlencode(INTO | {'show': ''})}")).text
        assert "root needed parameter of the type" in text_of(page)
        assert "source.endpoint" in text_of(page)
        empty = await http.get("/machines-table/acme/hamburg?type=km_cx160")
        assert empty.text == ("\ufeffmachine,name,ideal_cycle,source,root,source.endpoint\r\n")
    async with engineer(writing, "de") as http:
        empty = await http.get("/machines-table/acme/hamburg?type=km_cx160")
        assert "machine;name;" in empty.text


async def test_forty_machines_are_looked_at_applied_and_undone(writing: Door) -> None:
    before = site(writing)
    form = INTO | {"table": FORTY, "set": SET}
    async with engineer(writing) as http:
        page = await shown(http, **form)
        assert "40 machines" in text_of(page)
        assert "10.1.4.89" in text_of(page)
        assert "+          im-89: {name: IM 89, type: km_cx160" in unescape(page)
        assert site(writing) == before
        where = await applied(http, page, **form)
        assert writing.works.plant.machines[f"{LINE}/im-77"].source == "im-77"
        undo = where.rpartition("=")[2]
        page = (await http.get(f"{PLACE}?show=undo&undo={undo}")).text
        await applied(http, page, show="undo", undo=undo)
    assert site(writing) == before


async def test_a_file_takes_the_place_of_the_table(writing: Door) -> None:
    async with engineer(writing) as http:
        files = {"file": ("m.csv", b"\xef\xbb\xbf" + FORTY.encode(), "text/csv")}
        form = INTO | {"set": SET, "table": "", "do": "show"}
        page = (await http.post(PLACE, data=form, files=files)).text
        assert "40 machines" in text_of(page)
        files = {"file": ("m.csv", "machine\nPr\xe4ge\n".encode("latin-1"), "text/csv")}
        page = (await http.post(PLACE, data=form, files=files)).text
        assert "the file is not UTF-8 (byte 10)" in text_of(page)


WRONG = """\
machine,root,source,colour
IM 7,A,im-01,red
im-01,,im-01,
im-90,B,nowhere,
im-90,C,im-01,
"""


async def test_mistakes_stand_at_their_cells_and_duplicates_are_named(writing: Door) -> None:
    before = site(writing)
    async with engineer(writing) as http:
        page = await shown(http, **INTO | {"table": WRONG})
        said = unescape(text_of(page))
        assert "6 places to mend; nothing was changed" in said
        assert "row 1, column colour: nothing uses this column" in said
        cells = [unescape(text_of(one)) for one in page.split('<td class="mono wrong">')[1:]]
        assert [one.strip()[:20] for one in cells] == [
            "IM 7 `IM 7`: only lo", "im-01 there is a mac", "– is empty; machines",
            "nowhere no source `n", "im-90 `im-90` stands",
        ]  # fmt: skip
        assert 'value="apply"' not in page
    async with engineer(writing, "de") as http:
        said = unescape(text_of(await shown(http, **INTO | {"table": WRONG})))
        assert "`im-90` steht schon in Zeile 4" in said
    assert site(writing) == before


async def test_what_check_would_say_stands_at_the_cell_it_comes_from(writing: Door) -> None:
    table = FORTY.replace("10.1.4.52", "10.1 .4.52")
    async with engineer(writing) as http:
        page = await shown(http, **INTO | {"table": table, "set": SET})
    assert "row 4, column source.endpoint: `opc.tcp://10.1 .4.52:4840` must be" in unescape(
        text_of(page)
    )


async def test_a_password_in_a_table_is_refused_and_not_shown_in_the_preview(writing: Door) -> None:
    table = (
        "machine,root,source.endpoint,source.user,source.password\nim-50,A,opc.tcp://a,u,sesame\n"
    )
    async with engineer(writing) as http:
        page = await shown(http, **INTO | {"table": table})
    preview = page.split('id="preview"', 1)[1]
    assert "sesame" not in preview
    assert HIDDEN in preview
    assert 'value="apply"' not in page


async def test_what_is_no_table_says_why(writing: Door) -> None:
    async with engineer(writing) as http:
        assert "the table is empty" in text_of(await shown(http, **INTO | {"table": ""}))
        said = text_of(await shown(http, **INTO | {"table": "machine,root\na,b,c\n"}))
        assert "row 2: 3 cells, but 2 columns" in said
        said = text_of(await shown(http, **INTO | {"table": FORTY, "set": "endpoint"}))
        assert "`endpoint` is not column = text" in said


CLONE = {
    "show": "clone", "original": f"{LINE}/im-01", "copy_line": "graz/assembly/line-2",
    "copy": "im-21",
}  # fmt: skip


async def test_a_machine_is_cloned_into_another_plant_once_it_is_said_what_differs(
    writing: Door,
) -> None:
    async with engineer(writing) as http:
        page = await shown(http, **CLONE)
        assert 'name="d.source.endpoint"' in page
        assert 'name="d.params.root"' in page
        assert 'value="apply"' not in page
        form = CLONE | {"d.source.endpoint": "opc.tcp://10.9.0.21:4840", "d.params.root": "IM21"}
        page = await shown(http, **form)
        assert "+  im-21: {kind: opcua" in unescape(page)
        await applied(http, page, **form)
    copy = writing.works.plant.machines["acme/graz/assembly/line-2/im-21"]
    assert (copy.type, copy.source) == ("km_cx160", "im-21")


async def test_a_clone_of_nothing_says_what_there_is(writing: Door) -> None:
    async with engineer(writing) as http:
        page = await shown(http, **CLONE | {"original": f"{LINE}/im-0"})
    assert "did you mean" in unescape(text_of(page))


async def test_who_only_looks_on_adds_nothing(writing: Door) -> None:
    async with writing.client("viewer") as http:
        assert (await http.get(PLACE)).status_code == 403
        assert (await http.post(PLACE, data=INTO)).status_code == 403
        assert (await http.get("/machines-table/acme/hamburg?type=km_cx160")).status_code == 403


async def test_programs_add_machines_and_clone_one_by_the_same_words(writing: Door) -> None:
    add = {"do": "add_machines", "line": INTO["line"], "type": INTO["type"]}
    sets = {"source.endpoint": "opc.tcp://{host}:4840"}
    clone = {
        "do": "clone_machine", "original": f"{LINE}/im-01", "copy": "graz/assembly/line-2/im-21",
    }  # fmt: skip
    api = "/api/v1/connect"
    async with engineer(writing) as http:
        wrong = {"change": add | {"table": WRONG}, "language": "de"}
        rows = (await http.post(f"{api}/preview", json=wrong)).json()["rows"]
        assert {"row": 2, "column": "machine"}.items() <= rows[1].items()
        assert any("steht schon in Zeile 4" in one["message"] for one in rows)
        body: dict[str, Any] = {"change": add | {"table": FORTY, "sets": sets}}
        body["digest"] = (await http.post(f"{api}/preview", json=body)).json()["digest"]
        done = await http.post(f"{api}/revise", json=body)
        assert "+ machine acme/hamburg/moulding/line-1/im-50" in done.json()["changes"]
        assert "acme/hamburg/moulding/line-1/im-89" in writing.works.plant.machines
        missing = (await http.post(f"{api}/preview", json={"change": clone})).json()["missing"]
        assert set(missing) == {"source.endpoint", "params.root"}
