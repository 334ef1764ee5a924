"""Adding an endpoint: a draft, its security, its test; the model hears of it with the machine."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from httpx import AsyncClient, Response
from tests.docs.left_english import english_in
from tests.field.every_key import WRITTEN

from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.masking import HIDDEN
from isthmus.runtime.drafts import source_of
from isthmus.testing.opcua_server import OpcuaServer, papers
from isthmus.testing.tcp_proxy import LOOPBACK
from isthmus.web.pages.connect_form import every, fields_of
from isthmus.web.pages.connect_values import values_of

from .endpoint_page import PLACE, outcome, site
from .press_company import PRESS, texts
from .test_connect import Site, digest, server, until
from .test_connect_form import as_sent
from .test_pages import text_of

__all__ = ["server", "site"]


async def drafted(http: AsyncClient, port: int, **more: str) -> None:
    given = {"do": "keep", "kind": "opcua", "name": "im08"} | more
    given["k.endpoint"] = f"opc.tcp://{LOOPBACK}:{port}"
    answer = await http.post(PLACE, data=given)
    assert answer.status_code == 303, text_of(answer.text)
    assert answer.headers["location"] == f"{PLACE}?sel=im08"


async def tried_out(http: AsyncClient, name: str) -> str:
    started = await http.post(PLACE, data={"do": "test", "sel": name})
    assert started.status_code == 303, text_of(started.text)
    return await outcome(http, name)


async def test_every_kind_of_source_has_a_form_of_its_own_keys(site: Site) -> None:
    async with site.client(language="de") as http:
        for kind in SOURCE_KINDS:
            page = (await http.get(f"{PLACE}?kind={kind}")).text
            for field in every(fields_of(SOURCE_KINDS[kind])):
                asked = f'name="{field.input}"' in page
                assert asked or (field.widget == "group" and not field.optional), field.input


async def test_every_key_of_every_kind_is_written_in_the_form_and_nothing_else_is_made_of_it(
    site: Site,
) -> None:
    (site.model / "secrets.yaml").write_text("box: sesame\n")
    drafts = site.platform.workbench.drafts
    async with site.client() as http:
        for kind, entry in [(kind, one) for kind, all_ in WRITTEN.items() for one in all_]:
            fields = fields_of(SOURCE_KINDS[kind])
            sent = as_sent(fields, values_of(fields, entry))
            form = {"do": "keep", "kind": kind, "name": "box"} | sent
            answer = await http.post(PLACE, data=form)
            assert answer.status_code == 303, (kind, unescape(text_of(answer.text)))
            wanted = source_of("hamburg", "box", {"kind": kind} | entry, "box: sesame\n")
            assert drafts()["box"].spec == wanted.spec
            page = (await http.get(f"{PLACE}?sel=box")).text
            assert "sesame" not in page
            again = await http.post(PLACE, data=form | {"sel": "box"})
            assert again.status_code == 303, kind
            assert drafts()["box"].spec == wanted.spec
            await http.post(PLACE, data={"do": "discard", "sel": "box"})


async def test_a_draft_is_kept_and_listed_and_the_model_hears_nothing_of_it(site: Site) -> None:
    before = texts(site.model)
    async with site.client() as http:
        await drafted(http, site.server.port)
        listed = text_of((await http.get("/connect/acme")).text)
        assert "draft, not in the model" in listed
        assert texts(site.model) == before
        await http.post(PLACE, data={"do": "discard", "sel": "im08"})
        assert "draft, not" not in text_of((await http.get("/connect/acme")).text)


WRONG = [
    ({"name": "IM 08"}, "small letters"),
    ({"name": "im07"}, "there is a source `im07` already"),
    ({"k.endpoint": "http://10.0.0.1"}, "must be an address such as"),
    ({"k.user": "u", "k.password": "open sesame"}, "write ${NAME}"),
    ({"k.user": "u", "k.password": "${NOBODY_SET_THIS}"}, "NOBODY_SET_THIS is not set"),
]


async def test_what_cannot_be_kept_is_named_and_nothing_typed_is_lost(site: Site) -> None:
    usual = {"do": "keep", "kind": "opcua", "name": "im08", "k.endpoint": "opc.tcp://10.0.0.1:4840"}
    async with site.client() as http:
        for given, said in WRONG:
            answer = await http.post(PLACE, data=usual | given)
            assert answer.status_code == 409, given
            assert said in unescape(text_of(answer.text))
            assert f'value="{(usual | given)["k.endpoint"]}"' in answer.text
            assert "sesame" not in answer.text
    assert site.platform.workbench.drafts() == {}


async def test_a_test_says_in_words_that_it_works(site: Site) -> None:
    async with site.client() as http:
        assert "1 of 1 tags came" in await tried_out(http, "im07")


async def test_a_draft_without_tags_answers_and_leads_to_browsing(site: Site) -> None:
    async with site.client() as http:
        await drafted(http, site.server.port)
        assert "It answers. No tag is known yet" in await tried_out(http, "im08")


async def test_a_test_of_nobody_says_what_to_do(site: Site) -> None:
    async with site.client() as http:
        await drafted(http, 1)
        said = await tried_out(http, "im08")
    assert "It does not work." in said
    assert "no answer" in said


async def test_a_server_without_encryption_offers_only_that(site: Site) -> None:
    async with site.client() as http:
        await drafted(http, site.server.port)
        await http.post(PLACE, data={"do": "ask", "sel": "im08"})
        page = text_of((await http.get(f"{PLACE}?sel=im08")).text)
    assert "no encryption" in page
    assert "✓ used" in page


async def test_a_test_whose_draft_is_discarded_elsewhere_says_so_and_is_asked_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.web.pages.connect_endpoint.TEST_SECONDS", 30)
    async with site.client() as http:
        await drafted(http, site.server.port)
        await http.post(PLACE, data={"do": "test", "sel": "im08"})
        assert "hx-get" in (await http.get("/endpoint-test/im08")).text
        await http.post(PLACE, data={"do": "discard", "sel": "im08"})
        panel = await http.get("/endpoint-test/im08")
        assert site.platform.workbench.trial("im08") is None  # it has left the server
    assert panel.status_code == 200
    assert "hx-get" not in panel.text
    assert "There is no source im08 any more" in text_of(panel.text)


async def test_a_certificate_is_compared_and_trusted_with_one_tap(
    site: Site, tmp_path: Path
) -> None:
    with OpcuaServer(PRESS, **papers(tmp_path, "server")._asdict()) as secure:
        async with site.client() as http:
            await drafted(http, secure.port)
            await http.post(PLACE, data={"do": "ask", "sel": "im08"})
            page = (await http.get(f"{PLACE}?sel=im08")).text
            shown = re.search(r'value="(trust [0-9A-F ]+)"', page)
            assert shown
            assert "Compare the fingerprint" in text_of(page)
            refused = await http.post(PLACE, data={"do": "trust 00", "sel": "im08"})
            assert "shows another certificate now" in text_of(refused.text)
            await http.post(PLACE, data={"do": "make", "sel": "im08"})
            await http.post(PLACE, data={"do": shown[1], "sel": "im08"})
            use = {"do": "use sign_and_encrypt Basic256Sha256", "sel": "im08"}
            await http.post(PLACE, data=use)
            page = text_of((await http.get(f"{PLACE}?sel=im08")).text)
            assert "✓ trusted" in page
            assert "✓ used" in page
            assert "It answers." in await tried_out(http, "im08")


async def test_each_server_of_a_redundant_set_shows_its_own_certificate_to_trust(
    site: Site, tmp_path: Path
) -> None:
    with ExitStack() as running:
        one, other = (
            running.enter_context(OpcuaServer(PRESS, **papers(tmp_path, name)._asdict()))
            for name in ("one", "other")
        )
        off, *others = (f"opc.tcp://{LOOPBACK}:{port}" for port in (1, one.port, other.port))
        async with site.client() as http:
            await put(http, "im08", **opcua(1), endpoints=others)
            ways = (await http.post(f"{API}/im08/ways")).json()
            assert off in ways["trouble"]  # which holds nobody up
            assert ("sign", "Basic256Sha256", False) in [
                tuple(one.values()) for one in ways["offers"]
            ]
            assert [one["endpoint"] for one in ways["certificates"]] == others
            page = (await http.get(f"{PLACE}?sel=im08")).text
            first, second = re.findall(r'value="(trust [0-9A-F ]+)"', page)
            assert first != second
            assert all(endpoint in text_of(page) for endpoint in others)
            await http.post(PLACE, data={"do": second, "sel": "im08"})
            page = (await http.get(f"{PLACE}?sel=im08")).text
            assert re.findall(r'value="(trust [0-9A-F ]+)"', page) == [first]


async def test_servers_of_a_set_that_offer_nothing_in_common_are_told_apart(
    site: Site, tmp_path: Path
) -> None:
    with OpcuaServer(PRESS, **papers(tmp_path, "server")._asdict()) as secure:
        async with site.client() as http:
            endpoint = opcua(secure.port)["endpoint"]
            await put(http, "im08", **opcua(site.server.port), endpoints=[endpoint])
            ways = (await http.post(f"{API}/im08/ways")).json()
    assert ways["offers"] == []
    assert ways["trouble"] == "the servers of `im08` offer no security that all of them have"
    assert [one["endpoint"] for one in ways["certificates"]] == [endpoint]


async def test_a_draft_is_browsed_mapped_and_comes_into_the_model_with_its_machine(
    site: Site,
) -> None:
    state = {
        "sel": "im08", "line": "hamburg/hall/line-1", "name": "im-08", "newtype": "press_2",
        "b.part_count": "1", "f.part_count.scrap": "ns=2;s=IM07.Ausschuss", "show": "1",
    }  # fmt: skip
    async with site.client() as http:
        await drafted(http, site.server.port)
        page = (await http.get(f"/map/acme/hamburg?{urlencode(state)}")).text
        change = unescape(page.split('id="change"', 1)[1])
        assert "+  im08: {kind: opcua" in change
        body = state | {"do": "apply", "digest": digest(page)}
        answer = await http.post("/map/acme/hamburg", data=body)
        assert answer.status_code == 303, text_of(answer.text)
    assert site.platform.plant.sources["im08"].tags == ("ns=2;s=IM07.Ausschuss",)
    assert site.platform.workbench.drafts() == {}


MAPPED = {
    "sel": "im08", "line": "hamburg/hall/line-1", "name": "im-08", "type": "press",
    "p.root": "IM08", "b.part_count": "1", "show": "1",
    "f.part_count.scrap": "ns=2;s=IM08.Ausschuss",
}  # fmt: skip


async def applied(http: AsyncClient, path: str, state: Mapping[str, str]) -> str:
    """Where one is led after writing what the page shows."""
    page = (await http.get(f"{path}?{urlencode(state)}")).text
    answer = await http.post(path, data={**state, "do": "apply", "digest": digest(page)})
    assert answer.status_code == 303, text_of(answer.text)
    return str(answer.headers["location"])


async def test_a_draft_is_there_again_as_it_was_once_its_mapping_is_undone(site: Site) -> None:
    before = texts(site.model)
    bench = site.platform.workbench
    async with site.client() as http:
        await drafted(http, site.server.port, **{"k.interval": "300 ms"})
        draft = bench.entry("im08")
        undo = (await applied(http, "/map/acme/hamburg", MAPPED)).rpartition("=")[2]
        assert (dict(bench.drafts()), bench.entry("im08")) == ({}, {})
        asked = {"sel": "im08", "show": "undo", "undo": undo}
        where = await applied(http, PLACE, asked)
        assert (texts(site.model), bench.entry("im08")) == (before, draft)
        assert where.startswith(f"{PLACE}?sel=im08&applied=1&undo=")
        assert 'value="300 ms"' in (await http.get(where)).text
        # Undoing that takes it again, as accepting the mapping did.
        where = await applied(http, PLACE, asked | {"undo": where.rpartition("=")[2]})
        assert (bench.entry("im08"), "im08" in site.platform.plant.sources) == ({}, True)
        await applied(http, PLACE, asked | {"undo": where.rpartition("=")[2]})
        assert (texts(site.model), bench.entry("im08")) == (before, draft)


async def test_who_only_looks_on_may_not(site: Site) -> None:
    async with site.client("viewer") as http:
        assert (await http.get(PLACE)).status_code == 403
        assert (await http.post(PLACE, data={"do": "test", "sel": "im07"})).status_code == 403
        assert (await http.get("/endpoint-test/im07")).status_code == 403


# For programs -----------------------------------------------------------------------------------

API = "/api/v1/connect"


async def put(http: AsyncClient, name: str, site: str = "hamburg", **entry: Any) -> Response:
    return await http.put(f"{API}/drafts/{name}", json={"site": site, "entry": entry})


def opcua(port: int, **more: Any) -> dict[str, Any]:
    return {"kind": "opcua", "endpoint": f"opc.tcp://{LOOPBACK}:{port}"} | more


async def test_programs_draft_replace_and_discard_a_source(site: Site) -> None:
    before = texts(site.model)
    async with site.client() as http:
        made = await put(http, "im08", **opcua(1))
        assert made.status_code == 200, made.text
        replaced = (await put(http, "im08", **opcua(4840))).json()
        assert replaced == {
            "name": "im08", "site": "hamburg", "kind": "opcua", "entry": opcua(4840),
        }  # fmt: skip
        assert (await http.get(f"{API}/drafts")).json() == [replaced]
        assert (await http.delete(f"{API}/drafts/im08")).status_code == 204
        again = await http.delete(f"{API}/drafts/im08")
        assert (again.status_code, again.json()["error"]["code"]) == (404, "unknown_draft")
        assert (await http.get(f"{API}/drafts")).json() == []
    assert texts(site.model) == before


REFUSED = [
    ("IM 08", {"kind": "opcua"}, "small letters"),
    ("im07", opcua(1), "there is a source `im07` already"),
    ("im08", {"kind": ["opcua"]}, "no kind of source"),
    ("im08", {}, "no kind of source"),
    ("im08", {"kind": "opcua", "endpoint": "http://10.0.0.1"}, "`endpoint`"),
    ("im08", opcua(1, user="u", password="open sesame"), "write ${NAME}"),
    ("im08", {"kind": "http", "url": "http://u:sesame@10.0.0.1/"}, "write ${NAME}"),
    ("im08", {"kind": "http", "url": "http://h/", "auth": {"token": "sesame"}}, "`token` would"),
    ("im08", {"kind": "http", "url": "${NOBODY_SET_THIS}"}, "`NOBODY_SET_THIS` is not set"),
]


async def test_programs_get_a_draft_back_by_undoing_its_mapping(site: Site) -> None:
    target = {
        "source": "im08", "line": "hamburg/hall/line-1", "name": "im-08", "type": "press",
        "params": {"root": "IM08"},
        "choices": [{"field": "part_count.scrap", "tag": "ns=2;s=IM08.Ausschuss"}],
    }  # fmt: skip
    async with site.client() as http:
        await put(http, "im08", **opcua(site.server.port, interval="300 ms"))
        drafts = (await http.get(f"{API}/drafts")).json()
        seen = (await http.post(f"{API}/draft", json=target)).json()
        done = await http.post(f"{API}/apply", json=target | {"digest": seen["digest"]})
        assert done.status_code == 200, done.text
        assert (await http.get(f"{API}/drafts")).json() == []
        body = {"change": {"do": "undo", "undo": done.json()["undo"]}}
        seen = (await http.post(f"{API}/preview", json=body)).json()
        undone = await http.post(f"{API}/revise", json=body | {"digest": seen["digest"]})
        assert undone.status_code == 200, undone.text
        assert (await http.get(f"{API}/drafts")).json() == drafts


async def test_a_draft_that_cannot_be_kept_is_refused_and_no_secret_is_repeated(
    site: Site,
) -> None:
    async with site.client() as http:
        for name, entry, said in REFUSED:
            answer = await put(http, name, **entry)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "refused")
            assert said in answer.json()["error"]["message"]
            assert "sesame" not in answer.text
        assert (await put(http, "im08", site="graz", **opcua(1))).status_code == 400
    assert site.platform.workbench.drafts() == {}


async def test_secrets_of_a_draft_come_back_only_as_the_name_of_their_variable(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESS_PASSWORD", "open sesame")
    url = "postgresql+psycopg://10.0.0.1/hall?password=sesame"
    read = {"table": "cycles", "time": ["at"]}
    async with site.client() as http:
        named = await put(http, "im08", **opcua(1, user="u", password="${PRESS_PASSWORD}"))
        assert named.json()["entry"]["password"] == "${PRESS_PASSWORD}"
        (site.model / "secrets.yaml").write_text("press: moulding\n")
        kept = await put(http, "im09", **opcua(1, user="u", password="!secret press"))
        assert kept.json()["entry"]["password"] == "!secret press", kept.text
        hidden = await put(http, "hall", kind="sql", url=url, **read)
        assert hidden.status_code == 200, hidden.text
        assert hidden.json()["entry"] == {"kind": "sql", "url": HIDDEN} | read
        assert "sesame" not in named.text + hidden.text + (await http.get(f"{API}/drafts")).text


async def test_programs_see_what_a_server_offers_and_trust_the_certificate_they_compared(
    site: Site, tmp_path: Path
) -> None:
    with OpcuaServer(PRESS, **papers(tmp_path, "server")._asdict()) as secure:
        async with site.client() as http:
            await put(http, "im08", **opcua(secure.port))
            ways = (await http.post(f"{API}/im08/ways")).json()
            (shown,) = ways["certificates"]
            assert (shown["endpoint"], shown["trusted"]) == (opcua(secure.port)["endpoint"], False)
            assert ways["ours"] == ""
            encrypted = ("sign_and_encrypt", "Basic256Sha256")
            assert (*encrypted, False) in [tuple(one.values()) for one in ways["offers"]]
            wrong = await http.post(f"{API}/im08/trust", json={"fingerprint": "00"})
            assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "refused")
            compared = {"fingerprint": shown["fingerprint"]}
            trusted = (await http.post(f"{API}/im08/trust", json=compared)).json()
            assert trusted["certificates"][0]["trusted"]
            ours = (await http.post(f"{API}/certificate")).json()["fingerprint"]
            assert (await http.post(f"{API}/certificate")).json()["fingerprint"] == ours
            await put(http, "im08", **opcua(secure.port, security=encrypted[0]))
            ways = (await http.post(f"{API}/im08/ways")).json()
            assert (ways["ours"], ways["trouble"]) == (ours, "")
            assert [one["security"] for one in ways["offers"] if one["used"]] == [encrypted[0]]
            assert (await tried(http, "im08"))["trouble"] == ""


async def tried(http: AsyncClient, name: str, seconds: float = 1.0) -> dict[str, Any]:
    begun = await http.post(f"{API}/{name}/trial", json={"seconds": seconds})
    assert begun.status_code == 202, begun.text
    assert begun.json()["running"]

    async def look() -> dict[str, Any]:
        return dict((await http.get(f"{API}/{name}/trial")).json())

    ended: dict[str, Any] = await until(look, lambda one: not one["running"])
    return ended


async def test_a_trial_is_begun_followed_and_says_what_came_of_each_tag(site: Site) -> None:
    async with site.client() as http:
        never = await http.get(f"{API}/im07/trial")
        assert (never.status_code, never.json()["error"]["code"]) == (404, "no_trial")
        ended = await tried(http, "im07")
    assert (ended["asked"], ended["trouble"], ended["seconds"]) == (1, "", 1.0)
    assert [(one["tag"], one["quality"]) for one in ended["tags"]] == [
        ("ns=2;s=IM07.Maschinenstatus", "good")
    ]


async def test_no_german_page_of_connecting_has_english_on_it(site: Site) -> None:
    urls = [f"{PLACE}?kind={kind}" for kind in SOURCE_KINDS]
    urls += ["/connect/acme", f"{PLACE}?sel=im07", f"{PLACE}?sel=im08"]
    urls += [f"{PLACE}?sel=im07&show=remove", "/browse/acme/hamburg?sel=im07"]
    urls += ["/machines/acme/hamburg"]
    urls += ["/machines/acme/hamburg?type=press&line=hamburg/hall/line-1"]
    left: dict[str, dict[str, list[str]]] = {}
    for language in ("en", "de"):
        async with site.client(language=language) as http:
            await drafted(http, 1)
            await http.post(PLACE, data={"do": "ask", "sel": "im08"})
            await tried_out(http, "im08")
            pages = {url: unescape(text_of((await http.get(url)).text)) for url in urls}
        left[language] = {url: english_in(text) for url, text in pages.items()}
    assert all(left["en"].values())  # else we would not see any
    assert {url: words for url, words in left["de"].items() if words} == {}


async def test_on_a_german_page_and_to_who_asks_for_it_trouble_is_german(site: Site) -> None:
    async with site.client(language="de") as http:
        await drafted(http, 1)
        page = await tried_out(http, "im08")
        await http.post(PLACE, data={"do": "ask", "sel": "im08"})
        page += unescape(text_of((await http.get(f"{PLACE}?sel=im08")).text))
        asked = {"language": "de"}
        said = (await http.get(f"{API}/im08/trial", params=asked)).json()["trouble"]
        said += (await http.post(f"{API}/im08/ways", params=asked)).json()["trouble"]
        await http.post(f"{API}/im08/crawl", params=asked, json={})

        async def crawl() -> dict[str, Any]:
            return dict((await http.get(f"{API}/im08/nodes", params=asked)).json()["crawl"])

        said += (await until(crawl, lambda one: one["trouble"] != ""))["detail"]
    for text in (page, said):
        assert "keine Antwort" in text
        assert "Ist es eingeschaltet und in diesem Netz?" in text
        assert "no answer" not in text
        assert "network" not in text


async def test_a_trial_that_runs_is_not_begun_anew(site: Site) -> None:
    async with site.client() as http:
        await http.post(f"{API}/im07/trial", json={"seconds": 2})
        second = (await http.post(f"{API}/im07/trial", json={"seconds": 600})).json()
        assert second["seconds"] == 2
        for seconds in (0, 601):
            answer = await http.post(f"{API}/im07/trial", json={"seconds": seconds})
            assert answer.status_code == 422


async def test_a_trial_of_nobody_and_ways_of_no_opc_ua_server_say_why(site: Site) -> None:
    async with site.client() as http:
        await put(http, "im08", **opcua(1))
        assert "no answer" in (await tried(http, "im08"))["trouble"]
        assert "no answer" in (await http.post(f"{API}/im08/ways")).json()["trouble"]
        await put(http, "plc", kind="modbus", host=LOOPBACK)
        other = await http.post(f"{API}/plc/ways")
        assert (other.status_code, other.json()["error"]["code"]) == (400, "refused")
        assert (await http.post(f"{API}/im99/ways")).status_code == 404


CALLS = [
    ("GET", "drafts"), ("PUT", "drafts/im08"), ("DELETE", "drafts/im08"), ("POST", "certificate"),
    ("POST", "im07/ways"), ("POST", "im07/trust"), ("POST", "im07/trial"), ("GET", "im07/trial"),
]  # fmt: skip


async def test_all_of_it_needs_the_role_and_from_a_browser_the_token_of_a_page(site: Site) -> None:
    async with site.client("viewer") as http:
        for method, path in CALLS:
            assert (await http.request(method, f"{API}/{path}", json={})).status_code == 403
    async with site.client() as http:
        http.headers.pop("X-CSRF-Token")
        for method, path in CALLS:
            answer = await http.request(method, f"{API}/{path}", json={})
            assert (answer.status_code == 403) == (method != "GET")
