"""The Connect pages and their endpoints, with the real platform at a real OPC UA server."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from httpx import ASGITransport, AsyncClient

from isthmus.base.clock import SystemClock
from isthmus.runtime.open import load_plant, note_model
from isthmus.runtime.platform import EmbeddedPlatform
from isthmus.runtime.settings import Settings
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.opcua_wire import write_requests
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy
from isthmus.web.app import create_app
from isthmus.web.auth import Accounts, accounts_folder

from .press_company import CYCLE, MACHINE, PRESS, texts, written
from .test_pages import text_of

PATIENCE = 30.0
API = "/api/v1/connect"
GOOD = "ns=2;s=IM07.Gutteile"
CHOSEN = {"f.part_count.good": GOOD, "f.part_count.scrap": "ns=2;s=IM07.Ausschuss", "show": "1"}


@dataclass
class Site:
    """A platform that runs, its model, and the way in."""

    platform: EmbeddedPlatform
    model: Path
    accounts: Accounts
    server: OpcuaServer

    @asynccontextmanager
    async def client(
        self, role: str = "engineer", language: str = "en"
    ) -> AsyncIterator[AsyncClient]:
        app = create_app(self.platform, self.accounts)
        headers = {"Cookie": f"isthmus_preferences={language}.light.normal.on"}
        transport = ASGITransport(app)
        async with AsyncClient(
            transport=transport, base_url="http://plant", headers=headers
        ) as http:
            key = self.accounts.sign_in(role, "correct horse")
            assert key is not None
            user = self.accounts.session(key)
            assert user is not None
            http.headers["Cookie"] += f"; isthmus_session={signed(self.accounts, key)}"
            http.headers["X-CSRF-Token"] = user.csrf
            yield http


def signed(accounts: Accounts, key: str) -> str:
    from itsdangerous import TimestampSigner

    from isthmus.web.gate import COOKIE

    return TimestampSigner(accounts.secret("session"), salt=COOKIE).sign(key).decode()


@pytest.fixture(scope="module")
def server() -> Iterator[OpcuaServer]:
    with OpcuaServer(PRESS) as running:
        yield running


@asynccontextmanager
async def running(tmp_path: Path, server: OpcuaServer, port: int) -> AsyncIterator[Site]:
    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    model = written(tmp_path / "model", port)
    note_model(settings, model)
    accounts = Accounts(accounts_folder(settings.data))
    for role in ("viewer", "engineer"):
        accounts.create(role, role.title(), role, "correct horse")  # type: ignore[arg-type]
    platform = EmbeddedPlatform(load_plant(model), settings, SystemClock())
    await platform.open()
    await platform.start()
    try:
        yield Site(platform, model, accounts, server)
    finally:
        await platform.stop()
        accounts.close()


@pytest.fixture
async def site(server: OpcuaServer, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path, server, server.port) as made:
        yield made


async def until(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Ask again until the answer is as wanted; the test fails when it does not come in time."""
    deadline = time.monotonic() + PATIENCE
    while not wanted(answer := await ask()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return answer


async def crawled(http: AsyncClient) -> dict[str, Any]:
    started = await http.post(f"{API}/im07/crawl", json={})
    assert started.status_code == 202, started.text

    async def look() -> dict[str, Any]:
        answer: dict[str, Any] = (await http.get(f"{API}/im07/nodes")).json()
        return answer

    return await until(look, lambda one: one["crawl"]["complete"] and not one["crawl"]["running"])


# The list ---------------------------------------------------------------------------------------


async def test_the_list_shows_state_kind_address_and_machines(site: Site) -> None:
    async with site.client() as http:

        async def page() -> str:
            return (await http.get("/connect/acme")).text

        shown = await until(page, lambda text: 's-connected"' in text)
    row = text_of(shown.split('id="source-im07"', 1)[1].split("</tr>", 1)[0])
    for part in ("im07", "opcua", f"opc.tcp://{LOOPBACK}:{site.server.port}", "connected", "im-07"):
        assert part in row
    assert f'href="/map/{MACHINE}"' in shown


async def test_a_source_that_is_lost_says_why(tmp_path: Path, server: OpcuaServer) -> None:
    async with running(tmp_path, server, 1) as site, site.client(language="de") as http:

        async def page() -> str:
            return (await http.get("/connect/acme")).text

        shown = await until(page, lambda text: 's-lost"' in text)
    assert "nicht verbunden" in text_of(shown)
    assert "keine Antwort von" in text_of(shown)


@pytest.mark.parametrize("path", ["/connect/acme", "/browse/acme?sel=im07", f"/map/{MACHINE}"])
async def test_who_may_not_is_told_which_role_is_needed(site: Site, path: str) -> None:
    async with site.client("viewer") as http:
        answer = await http.get(path)
        assert answer.status_code == 403
        assert "needs the role Engineer; yours is Viewer" in text_of(answer.text)
        assert "/connect/" not in (await http.get("/overview/acme")).text
        refused = await http.get(f"{API}/im07/nodes")
        assert refused.status_code == 403


# Looking around ---------------------------------------------------------------------------------


async def test_nodes_are_crawled_searched_and_narrowed_to_a_folder(site: Site) -> None:
    async with site.client() as http:
        never = (await http.get(f"{API}/im07/nodes")).json()
        assert (never["total"], never["crawl"]["complete"]) == (0, False)
        everything = await crawled(http)
        assert everything["total"] == everything["crawl"]["nodes"] == len(PRESS) + 1
        found = (await http.get(f"{API}/im07/nodes", params={"search": "zyklus soll"})).json()
        assert [one["tag"] for one in found["nodes"]] == ["ns=2;s=IM07.Zykluszeit_Soll"]
        below = (await http.get(f"{API}/im07/nodes", params={"under": "/Machine"})).json()
        assert below["total"] == len(PRESS)
        page = (await http.get(f"{API}/im07/nodes", params={"offset": 6, "limit": 1})).json()
        assert len(page["nodes"]) == 1


async def test_a_source_that_does_not_answer_says_so_on_the_page(
    tmp_path: Path, server: OpcuaServer
) -> None:
    async with running(tmp_path, server, 1) as site, site.client() as http:
        await http.post(f"{API}/im07/crawl", json={})

        async def look() -> dict[str, Any]:
            return dict((await http.get(f"{API}/im07/nodes")).json()["crawl"])

        crawl = await until(look, lambda one: one["trouble"] != "")
    assert crawl["trouble"] == "unreachable"
    assert "no answer" in crawl["detail"]


async def test_a_fault_of_ours_is_said_and_not_taken_for_one_of_the_device(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Any) -> None:
        raise NameError("name `STRING` is not defined")

    monkeypatch.setattr("isthmus.field.connectors.opcua.OpcuaConnector.open", broken)
    async with site.client() as http:
        await http.post(f"{API}/im07/crawl", json={})
        await http.post("/endpoint/acme/hamburg", data={"do": "test", "sel": "im07"})

        async def look() -> list[str]:
            crawl = (await http.get(f"{API}/im07/nodes")).json()["crawl"]
            live = (await http.get(f"{API}/im07/live", params={"tag": CYCLE})).json()
            return [crawl["detail"], live["trouble"], (await http.get("/endpoint-test/im07")).text]

        said = await until(look, lambda texts: all("fault of Isthmus" in text for text in texts))
        assert (await http.get(f"{API}/im07/nodes")).json()["crawl"]["trouble"] == "fault"
    assert all("STRING" in text for text in said)


async def test_live_values_come_with_quality_rate_and_a_minute_of_points(site: Site) -> None:
    async with site.client() as http:

        async def hear() -> dict[str, Any]:
            params = {"tag": [CYCLE, "ns=2;s=IM07.Nothing"]}
            answer: dict[str, Any] = (await http.get(f"{API}/im07/live", params=params)).json()
            return answer

        await until(hear, lambda one: one["tags"] and one["tags"][0]["points"])
        await site.server.set(CYCLE, 31.5)
        heard = await until(hear, lambda one: one["tags"][0]["points"][-1]["number"] == 31.5)
        cycle, missing = heard["tags"]
        assert (cycle["quality"], cycle["code"]) == ("good", "0x00000000")
        assert cycle["per_second"] > 0
        assert 0 <= cycle["points"][-1]["age"] < PATIENCE
        assert missing["quality"] in {"bad", ""}
        await site.server.set(CYCLE, 28.1)


async def test_too_many_tags_and_unknown_sources_are_refused(site: Site) -> None:
    async with site.client() as http:
        many = await http.get(
            f"{API}/im07/live", params={"tag": [f"ns=2;i={n}" for n in range(13)]}
        )
        assert many.status_code == 422
        unknown = await http.get(f"{API}/im08/nodes")
        assert unknown.status_code == 404
        assert "im07" in unknown.json()["error"]["hint"]
        assert (await http.get("/browse/acme?sel=im08")).status_code == 404


# Mapping ----------------------------------------------------------------------------------------


async def test_before_anybody_looked_the_page_leads_to_browsing(site: Site) -> None:
    async with site.client() as http:
        page = (await http.get(f"/map/{MACHINE}")).text
    assert "Nobody has looked around in this source yet" in text_of(page)
    assert 'href="/browse/acme/hamburg?sel=im07"' in page


@pytest.mark.parametrize(
    ("language", "reason"),
    [("en", "`IM07.Gutteile` means good parts"), ("de", "`IM07.Gutteile` bedeutet Gutteile")],
)
async def test_proposals_have_a_score_and_reasons_in_the_readers_language(
    site: Site, language: str, reason: str
) -> None:
    async with site.client(language=language) as http:
        await crawled(http)
        page = (await http.get(f"/map/{MACHINE}")).text
    wish = page.split(">part_count.good<", 1)[1].split("</fieldset>", 1)[0]
    best = wish.split("</label>", 1)[0]
    assert f'value="{GOOD}" checked' in best
    assert reason in unescape(text_of(best))
    assert re.search(r"0[.,]\d\d", text_of(best))
    assert ("Teile" in text_of(wish.split("</legend>", 1)[0])) == (language == "de")
    assert "machine_state.state" in page.split('id="mapped"', 1)[1]


async def test_looking_at_a_change_writes_nothing(site: Site) -> None:
    before = texts(site.model)
    async with site.client() as http:
        await crawled(http)
        page = (await http.get(f"/map/{MACHINE}?{urlencode(CHOSEN)}")).text
    change = unescape(page.split('id="change"', 1)[1])
    assert "+  part_count.good:" in change
    assert "{root}.Gutteile" in change
    assert "isthmus check finds nothing new" in change
    assert "add mapping" in change or "+ mapping part_count.good" in change
    assert texts(site.model) == before
    assert site.platform.plant.sources["im07"].tags == ("ns=2;s=IM07.Maschinenstatus",)


async def test_on_a_german_page_the_plan_is_german(site: Site) -> None:
    async with site.client(language="de") as http:
        await crawled(http)
        page = unescape((await http.get(f"/map/{MACHINE}?{urlencode(CHOSEN)}")).text)
        target = {"source": "im07", "machine": MACHINE, "language": "de"}
        body = target | {"choices": [{"field": "part_count.good", "tag": GOOD}]}
        plan = (await http.post(f"{API}/draft", json=body)).json()["plan"]
    assert f"+ Zuordnung part_count.good von {MACHINE}" in page
    assert "0 entfernt; unterbricht im07" in page
    assert plan.startswith("~ Maschinentyp press")


async def test_one_tap_writes_keeps_comments_and_the_platform_reads_the_new_tags(
    site: Site,
) -> None:
    async with site.client() as http:
        await crawled(http)
        page = (await http.get(f"/map/{MACHINE}?{urlencode(CHOSEN)}")).text
        answer = await http.post(
            f"/map/{MACHINE}", data=CHOSEN | {"do": "apply", "digest": digest(page)}
        )
        assert answer.status_code == 303, text_of(answer.text)
        done = (await http.get(answer.headers["location"])).text
    assert "Written and applied." in text_of(done)
    text = texts(site.model)["press.yaml"]
    assert "# Presses of the old hall." in text
    assert "# 3 is all" in text
    assert GOOD in site.platform.plant.sources["im07"].tags


async def test_a_mapping_is_undone_where_it_was_applied(site: Site) -> None:
    before = texts(site.model)
    async with site.client() as http:
        await crawled(http)
        page = (await http.get(f"/map/{MACHINE}?{urlencode(CHOSEN)}")).text
        data = CHOSEN | {"do": "apply", "digest": digest(page)}
        answer = await http.post(f"/map/{MACHINE}", data=data)
        done = (await http.get(answer.headers["location"])).text
        assert texts(site.model) != before
        (offered,) = re.findall(r'href="(/endpoint/[^"]*undo=\w+)"', unescape(done))
        asked = (await http.get(offered)).text
        path, _, state = offered.partition("?")
        again = dict(parse_qsl(state)) | {"do": "apply", "digest": digest(asked)}
        assert (await http.post(path, data=again)).status_code == 303
    assert texts(site.model) == before
    assert GOOD not in site.platform.plant.sources["im07"].tags


def digest(page: str) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


async def test_what_somebody_else_wrote_meanwhile_is_kept_or_shown_first(site: Site) -> None:
    near, far = ("# 3 is all", "# 3 runs"), ("old hall", "new hall")
    async with site.client() as http:
        await crawled(http)
        shown = digest((await http.get(f"/map/{MACHINE}?{urlencode(CHOSEN)}")).text)
        apply = CHOSEN | {"do": "apply", "digest": shown}
        by_hand = texts(site.model)["press.yaml"].replace(*near).replace(*far)
        (site.model / "press.yaml").write_text(by_hand, encoding="utf-8")
        answer = await http.post(f"/map/{MACHINE}", data=apply)
        assert answer.status_code == 409
        assert "was changed meanwhile" in text_of(answer.text)
        assert texts(site.model)["press.yaml"] == by_hand
        apply["digest"] = digest(answer.text)
        assert (await http.post(f"/map/{MACHINE}", data=apply)).status_code == 303
    assert all(new in texts(site.model)["press.yaml"] for _, new in (near, far))


async def test_a_change_the_platform_refuses_leaves_the_files_as_they_were(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = texts(site.model)

    async def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    async with site.client() as http:
        await crawled(http)
        page = (await http.get(f"/map/{MACHINE}?{urlencode(CHOSEN)}")).text
        monkeypatch.setattr(site.platform.workbench._writer, "_apply", full)
        with pytest.raises(OSError, match="No space"):
            await http.post(
                f"/map/{MACHINE}", data=CHOSEN | {"do": "apply", "digest": digest(page)}
            )
    assert texts(site.model) == before


async def test_problems_of_a_choice_are_shown_and_cannot_be_applied(site: Site) -> None:
    wrong = {"f.part_count.good": "*", "o.part_count.good": "nonsense[", "show": "1"}
    async with site.client() as http:
        await crawled(http)
        page = (await http.get(f"/map/{MACHINE}?{urlencode(wrong)}")).text
    change = text_of(page.split('id="change"', 1)[1])
    assert "It would be wrong:" in change
    assert "nonsense" in change
    assert 'value="apply"' not in page


async def test_on_a_german_page_problems_and_refusals_are_german(site: Site) -> None:
    wrong = {"f.part_count.good": "*", "o.part_count.good": "nonsense[", "show": "1"}
    target = {"source": "im07", "machine": MACHINE, "language": "de"}
    body = target | {"choices": [{"field": "part_count.good", "tag": GOOD, "codes": {"1": "no"}}]}
    async with site.client(language="de") as http:
        await crawled(http)
        page = (await http.get(f"/map/{MACHINE}?{urlencode(wrong)}")).text
        (problem, *_) = (await http.post(f"{API}/draft", json=body)).json()["problems"]
    change = unescape(text_of(page.split('id="change"', 1)[1]))
    assert "M038" in change
    assert "gefunden bei `im-07`" in change
    assert "ist vom Typ counter; nur ein enum hat Namen" in problem["message"]


async def test_codes_that_cannot_be_read_are_named(site: Site) -> None:
    async with site.client() as http:
        await crawled(http)
        state = {"b.machine_state": "1", "f.machine_state.mode": "*"}
        state |= {
            "o.machine_state.mode": GOOD,
            "c.machine_state.mode": "1: auto, what",
            "show": "1",
        }
        page = (await http.get(f"/map/{MACHINE}?{urlencode(state)}")).text
    if ">machine_state.mode<" in page:
        assert "`what` is no code with its name" in text_of(page)


async def test_a_machine_of_a_new_type_is_added_mapped_and_read(site: Site) -> None:
    state = {
        "sel": "im07", "line": "hamburg/hall/line-1", "name": "im-08", "newtype": "press_2",
        "b.part_count": "1", "f.part_count.scrap": "ns=2;s=IM07.Ausschuss", "show": "1",
    }  # fmt: skip
    async with site.client() as http:
        await crawled(http)
        page = (await http.get(f"/map/acme/hamburg?{urlencode(state)}")).text
        change = unescape(page.split('id="change"', 1)[1])
        assert "+machine_type: press_2" in change
        answer = await http.post(
            "/map/acme/hamburg", data=state | {"do": "apply", "digest": digest(page)}
        )
        assert answer.status_code == 303, text_of(answer.text)
        where = answer.headers["location"]
        assert where.startswith("/map/acme/hamburg/hall/line-1/im-08?applied=1")
    assert "acme/hamburg/hall/line-1/im-08" in site.platform.plant.machines


NEW_TYPE = {
    "sel": "im07", "line": "hamburg/hall/line-1", "name": "im-08", "newtype": "press_2",
    "b.part_count": "1", "f.part_count.scrap": "ns=2;s=IM07.Ausschuss", "show": "1",
}  # fmt: skip
MADE = "types/press_2.yaml"


async def mapped_by_a_new_type(http: AsyncClient) -> str:
    """Where its change is undone."""
    page = (await http.get(f"/map/acme/hamburg?{urlencode(NEW_TYPE)}")).text
    data = NEW_TYPE | {"do": "apply", "digest": digest(page)}
    done = (
        await http.get((await http.post("/map/acme/hamburg", data=data)).headers["location"])
    ).text
    (offered,) = re.findall(r'href="(/endpoint/[^"]*undo=\w+)"', unescape(done))
    return offered


async def test_a_file_that_was_made_is_gone_once_that_is_undone(site: Site) -> None:
    before = texts(site.model)
    async with site.client() as http:
        await crawled(http)
        offered = await mapped_by_a_new_type(http)
        assert (site.model / MADE).exists()
        asked = (await http.get(offered)).text
        assert "-machine_type: press_2" in unescape(asked)
        path, _, state = offered.partition("?")
        body = dict(parse_qsl(state)) | {"do": "apply", "digest": digest(asked)}
        again = (await http.post(path, data=body)).headers["location"].rpartition("=")[2]
        assert not (site.model / MADE).exists()
        assert texts(site.model) == before
        assert "press_2" not in site.platform.plant.machine_types
        body = {"change": {"do": "undo", "undo": again}}
        seen = (await http.post(f"{API}/preview", json=body)).json()
        await http.post(f"{API}/revise", json=body | {"digest": seen["digest"]})
        assert "press_2" in site.platform.plant.machine_types


async def test_a_file_that_was_made_stays_once_another_hand_wrote_it_or_needs_it(
    site: Site,
) -> None:
    async with site.client() as http:
        await crawled(http)
        offered = await mapped_by_a_new_type(http)
        made, text = site.model / MADE, (site.model / MADE).read_text()
        made.write_text(f"{text}# by another hand\n")
        said = unescape(text_of((await http.get(offered)).text))
        assert f"{MADE} was changed since: it cannot be undone any more" in said
        made.write_text(text)
        (site.model / "graz.yaml").write_text(
            "site: graz\nareas:\n  hall:\n    lines:\n      line-1:\n        machines:\n"
            "          im-09: {type: press_2, source: im09}\n"
            'sources:\n  im09: {kind: opcua, endpoint: "opc.tcp://127.0.0.1:1"}\n'
        )
        page = (await http.get(offered)).text
        assert "no machine type `press_2`" in unescape(text_of(page))
        assert 'value="apply"' not in page


async def test_watching_values_comes_back_with_how_many_spoke(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.web.pages.connect_map.WATCH_SECONDS", 0.5)
    async with site.client() as http:
        await crawled(http)
        answer = await http.post(f"/map/{MACHINE}", data={"do": "watch"})
        assert answer.status_code == 303
        page = (await http.get(answer.headers["location"])).text
    assert "their behaviour counts now" in text_of(page)


async def test_without_its_token_nothing_is_written(site: Site) -> None:
    async with site.client() as http:
        http.headers.pop("X-CSRF-Token")
        answer = await http.post(f"/map/{MACHINE}", data=CHOSEN | {"do": "apply"})
    assert answer.status_code == 403


# For programs -----------------------------------------------------------------------------------


async def test_programs_propose_look_and_apply_with_the_same_words(site: Site) -> None:
    target = {"source": "im07", "machine": MACHINE}
    async with site.client() as http:
        await crawled(http)
        proposed = (await http.post(f"{API}/proposals", json=target)).json()
        best = {one["field"]: one["proposals"][0] for one in proposed if one["proposals"]}
        assert best["part_count.good"]["tag"] == GOOD
        choices = [{"field": "part_count.good", "tag": GOOD}]
        draft = (await http.post(f"{API}/draft", json=target | {"choices": choices})).json()
        assert (draft["refused"], draft["interrupts"]) == ("", ["im07"])
        stale = {"choices": choices, "digest": "0"}
        refused = await http.post(f"{API}/apply", json=target | stale)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "refused")
        body = target | {"choices": choices, "digest": draft["digest"]}
        applied = await http.post(f"{API}/apply", json=body)
        assert "part_count.good" in applied.json()["changes"]
        undo = {"do": "undo", "undo": applied.json()["undo"]}
        undone = (await http.post(f"{API}/preview", json={"change": undo})).json()
        body = {"change": undo, "digest": undone["digest"]}
        assert (await http.post(f"{API}/revise", json=body)).status_code == 200
    assert GOOD not in site.platform.plant.sources["im07"].tags


async def test_the_device_sees_no_write_request(tmp_path: Path, server: OpcuaServer) -> None:
    async with TcpProxy(server.port) as proxy:
        async with running(tmp_path, server, proxy.port) as site, site.client() as http:
            await crawled(http)

            async def hear() -> Any:
                return (await http.get(f"{API}/im07/live", params={"tag": CYCLE})).json()

            await until(hear, lambda one: one["tags"] and one["tags"][0]["points"])
        assert proxy.sent
        assert write_requests(proxy.sent) == []
