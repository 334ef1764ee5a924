"""A source of the model on the screen: changed, tested as changed, switched, removed, undone."""

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from httpx import AsyncClient

from isthmus.model.masking import HIDDEN
from isthmus.testing.tcp_proxy import LOOPBACK
from isthmus.web.pages.connect_form import fields_of
from isthmus.web.pages.connect_values import values_of

from .endpoint_page import PLACE, outcome, site
from .press_company import MACHINE, texts
from .test_connect import Site, digest, server, until
from .test_connect_form import as_sent
from .test_pages import text_of

__all__ = ["server", "site"]

FILE = "hamburg.yaml"


async def sources(site: Site, text: str) -> None:
    """Other sources in the model, as by another hand."""
    file = site.model / FILE
    above = file.read_text().partition("sources:")[0]
    file.write_text(f"{above}sources:\n{text}")
    await site.platform.apply(site.model)


def endpoint(site: Site) -> str:
    return f"opc.tcp://{LOOPBACK}:{site.server.port}"


def sent(site: Site, name: str, do: str, **texts_: str) -> dict[str, str]:
    """The form as a browser sends it back, with some texts changed."""
    bench = site.platform.workbench
    source = bench.source(name)
    assert source is not None
    fields = fields_of(type(source.spec))
    entry = bench.rewritten(name) or bench.written(name)
    values = values_of(fields, entry) | {f"k.{key}": text for key, text in texts_.items()}
    return as_sent(fields, values) | {"do": do, "sel": name, "kind": source.spec.kind}


async def shown(http: AsyncClient, **state: str) -> str:
    answer = await http.get(f"{PLACE}?{urlencode(state)}")
    assert answer.status_code == 200, text_of(answer.text)
    return answer.text


def change(page: str) -> str:
    """The panel with the change, as it is read."""
    assert 'id="change"' in page, unescape(text_of(page))
    return unescape(text_of(page.split('id="change"', 1)[1]))


async def applied(http: AsyncClient, page: str, **state: str) -> str:
    """Where one is led after writing what the page shows."""
    body = state | {"do": "apply", "digest": digest(page)}
    answer = await http.post(PLACE, data=body)
    assert answer.status_code == 303, unescape(text_of(answer.text))
    return str(answer.headers["location"])


async def test_a_source_is_changed_looked_at_applied_and_undone(site: Site) -> None:
    await sources(
        site,
        "  # the press by the door\n"
        f'  im07: {{kind: opcua, endpoint: "{endpoint(site)}", interval: 100 ms}}   # quick\n',
    )
    before = texts(site.model)
    async with site.client() as http:
        answer = await http.post(
            PLACE, data=sent(site, "im07", "show", interval="2 s", timeout="9 s")
        )
        assert answer.headers["location"] == f"{PLACE}?sel=im07&show=change#change"
        page = await shown(http, sel="im07", show="change")
        said = change(page)
        assert "interval: 2 s, timeout: 9 s} # quick" in said
        assert "interrupts im07 for a moment" in said
        assert texts(site.model) == before
        where = await applied(http, page, sel="im07", show="change")
        after = texts(site.model)[FILE]
        assert "  # the press by the door\n" in after
        assert "interval: 2 s, timeout: 9 s}   # quick\n" in after
        assert site.platform.plant.sources["im07"].spec.interval == 2.0
        undo = re.search(r"undo=(\w+)", where)
        assert undo
        assert "Undo" in text_of((await http.get(where)).text)
        page = await shown(http, sel="im07", show="undo", undo=undo[1])
        assert "interval: 100 ms} # quick" in change(page)
        await applied(http, page, sel="im07", show="undo", undo=undo[1])
    assert texts(site.model) == before
    assert site.platform.plant.sources["im07"].spec.interval == 0.1


async def test_undoing_is_refused_once_somebody_wrote_since(site: Site) -> None:
    async with site.client() as http:
        await http.post(PLACE, data=sent(site, "im07", "show", interval="2 s"))
        page = await shown(http, sel="im07", show="change")
        where = await applied(http, page, sel="im07", show="change")
        file = site.model / FILE
        file.write_text(file.read_text() + "# by another hand\n")
        undo = where.rpartition("=")[2]
        page = await shown(http, sel="im07", show="undo", undo=undo)
        assert "was changed since" in change(page)
        assert 'value="apply"' not in page


async def test_what_cannot_be_kept_to_be_undone_is_written_and_offers_no_way_back(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.client() as http:
        page = await shown(http, sel="im07", show="off")
        (tmp_path / "data" / "connect").write_text("no folder")
        where = await applied(http, page, sel="im07", show="off")
        assert where == f"{PLACE}?sel=im07&applied=1"
        assert "enabled: false" in texts(site.model)[FILE]
        assert "cannot be undone, it could not be kept" in caplog.text
        answer = await http.post(PLACE, data=sent(site, "im07", "show", interval="2 s"))
        assert answer.status_code == 409
        assert "the change cannot be kept: " in unescape(text_of(answer.text))


async def test_secrets_of_the_model_are_neither_shown_nor_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESS_USER", "fitter")
    (site.model / "secrets.yaml").write_text("other: moulding\n")
    await sources(
        site,
        f'  im07: {{kind: opcua, endpoint: "{endpoint(site)}", user: "${{PRESS_USER}}", '
        "password: sesame}\n"
        '  im08: {kind: opcua, endpoint: "opc.tcp://10.0.0.8", user: u, password: !secret other}\n',
    )
    async with site.client() as http:
        page = await shown(http, sel="im07")
        assert "sesame" not in page
        assert 'value="${PRESS_USER}"' in page
        assert f'name="k.password" value="{HIDDEN}"' in page
        assert 'value="!secret other"' in await shown(http, sel="im08")
        await http.post(PLACE, data=sent(site, "im07", "show", timeout="9 s"))
        page = await shown(http, sel="im07", show="change")
        assert "sesame" not in page
        await applied(http, page, sel="im07", show="change")
        assert 'user: "${PRESS_USER}", password: sesame, timeout: 9 s}' in texts(site.model)[FILE]
        typed = await http.post(PLACE, data=sent(site, "im07", "show", password="tulip"))
        assert typed.status_code == 409
        assert "tulip" not in typed.text
        assert "write ${NAME}" in unescape(text_of(typed.text))
        await http.post(PLACE, data=sent(site, "im07", "show", password="!secret other"))
        page = await shown(http, sel="im07", show="change")
        await applied(http, page, sel="im07", show="change")
    assert "password: !secret other, timeout: 9 s}" in texts(site.model)[FILE]


async def test_what_check_would_say_stands_at_its_key_and_nothing_is_kept(site: Site) -> None:
    async with site.client() as http:
        body = sent(site, "im07", "show", interval="5", endpoints="opc.tcp://a\nhttp://b")
        answer = await http.post(PLACE, data=body)
        assert answer.status_code == 409
        marked = re.findall(r'id="wrong-k\.(\w+)"', answer.text)
        assert sorted(marked) == ["endpoints", "interval"]
        assert "write a duration with its unit" in unescape(text_of(answer.text))
        assert 'value="5"' in answer.text
    assert site.platform.workbench.rewritten("im07") is None


async def test_a_change_is_tested_beside_the_running_source(site: Site) -> None:
    def state() -> Any:
        return site.platform.source_states().get("im07")

    async with site.client() as http:
        await until(_async(state), lambda one: one is not None and one.connected)
        body = sent(site, "im07", "try", endpoint=f"opc.tcp://{LOOPBACK}:1")
        assert (await http.post(PLACE, data=body)).status_code == 303
        said = await outcome(http, "im07")
        assert "It does not work." in said
        assert "Tested as changed above." in said
        assert "beside it" in text_of(await shown(http, sel="im07"))
        await http.post(PLACE, data={"do": "forget", "sel": "im07"})
        await http.post(PLACE, data=sent(site, "im07", "try", interval="200 ms"))
        assert "1 of 1 tags came" in await outcome(http, "im07")
        assert state().connected
        assert "interval: 100 ms" in texts(site.model)[FILE]
        page = await shown(http, sel="im07")
        assert "changed, not yet written" in text_of(page)
        assert 'name="k.interval" value="200 ms"' in page
        await http.post(PLACE, data={"do": "test", "sel": "im07"})
        assert "Tested as the model has it." in await outcome(http, "im07")


async def test_a_device_of_one_connection_keeps_it_for_the_running_source_and_the_test_says_so(
    site: Site,
) -> None:
    def state() -> Any:
        return site.platform.source_states().get("im07")

    await sources(
        site,
        f'  im07: {{kind: opcua, endpoint: "{endpoint(site)}", budget: {{connections: 1}}}}\n',
    )
    async with site.client() as http:
        await until(_async(state), lambda one: one is not None and one.connected)
        await http.post(PLACE, data=sent(site, "im07", "try", interval="2 s"))
        said = await outcome(http, "im07")
        assert "It does not work." in said
        assert "allows 1, and its connection is in use by intake" in said
        assert state().connected


def _async(ask: Any) -> Any:
    async def asked() -> Any:
        return ask()

    return asked


async def test_another_security_is_a_change_of_the_model_too(site: Site) -> None:
    async with site.client() as http:
        use = {"do": "use sign Basic256Sha256", "sel": "im07"}
        answer = await http.post(PLACE, data=use)
        assert answer.headers["location"].endswith("show=change#change")
        assert "security: sign" in change(await shown(http, sel="im07", show="change"))


async def test_a_server_that_is_to_be_read_is_asked_for_its_security_before_it_is_written(
    site: Site,
) -> None:
    await sources(site, '  im07: {kind: opcua, endpoint: "opc.tcp://127.0.0.1:1"}\n')
    async with site.client() as http:
        await http.post(PLACE, data=sent(site, "im07", "show", endpoint=endpoint(site)))
        await http.post(PLACE, data={"do": "ask", "sel": "im07"})
        assert "The server offers" in text_of(await shown(http, sel="im07"))


async def test_a_source_is_switched_off_and_on(site: Site) -> None:
    before = texts(site.model)
    async with site.client() as http:
        page = await shown(http, sel="im07", show="off")
        assert "im-07 loses its source and is unknown from then on" in change(page)
        await applied(http, page, sel="im07", show="off")
        assert not site.platform.plant.sources["im07"].spec.enabled
        assert "switched off" in text_of((await http.get("/connect/acme")).text)
        page = await shown(http, sel="im07", show="on")
        await applied(http, page, sel="im07", show="on")
    assert texts(site.model) == before


async def with_two_presses(site: Site) -> None:
    file = site.model / FILE
    machine = "          im-08: {type: press, source: im08, params: {root: IM08}}\n"
    source = '  im08: {kind: opcua, endpoint: "opc.tcp://10.0.0.8"}\n'
    above, below = file.read_text().split("sources:\n")
    file.write_text(f"{above}{machine}sources:\n{below}{source}")
    await site.platform.apply(site.model)


async def test_a_source_leaves_with_its_machines_and_comes_back(site: Site) -> None:
    await with_two_presses(site)
    before = texts(site.model)
    async with site.client() as http:
        page = await shown(http, sel="im07", show="remove")
        assert "im-07 loses its source and leaves the model" in change(page)
        where = await applied(http, page, sel="im07", show="remove")
        assert where.startswith("/connect/acme/hamburg?applied=1&undo=")
        assert MACHINE not in site.platform.plant.machines
        assert "im07" not in site.platform.plant.sources
        undo = where.rpartition("=")[2]
        assert f"undo={undo}" in (await http.get(where)).text
        page = await shown(http, show="undo", undo=undo)
        await applied(http, page, show="undo", undo=undo)
    assert texts(site.model) == before
    assert site.platform.plant.machines[MACHINE].source == "im07"


async def test_machines_of_a_source_that_leaves_read_from_another(site: Site) -> None:
    await with_two_presses(site)
    async with site.client() as http:
        state = {"sel": "im07", "show": "remove", "instead": "im08"}
        page = await shown(http, **state)
        assert "im-07 reads from im08 from then on" in change(page)
        await applied(http, page, **state)
    assert site.platform.plant.machines[MACHINE].source == "im08"


async def test_the_only_machine_stays_since_a_model_without_any_is_none(site: Site) -> None:
    async with site.client() as http:
        page = await shown(http, sel="im07", show="remove")
    assert "this model has no machine" in change(page)
    assert 'value="apply"' not in page


async def test_what_was_changed_by_another_hand_is_looked_at_again(site: Site) -> None:
    async with site.client() as http:
        await http.post(PLACE, data=sent(site, "im07", "show", interval="2 s"))
        page = await shown(http, sel="im07", show="change")
        file = site.model / FILE
        file.write_text(file.read_text().replace("interval: 100 ms", "interval: 300 ms"))
        body = {"do": "apply", "sel": "im07", "show": "off", "digest": digest(page)}
        answer = await http.post(PLACE, data=body)
        assert answer.status_code == 409
        assert "look at the change again" in text_of(answer.text)
    assert "interval: 300 ms" in texts(site.model)[FILE]


async def test_a_change_that_waits_takes_back_nothing_another_hand_wrote(site: Site) -> None:
    async with site.client() as http:
        await http.post(PLACE, data=sent(site, "im07", "try", interval="2 s"))
        page = await shown(http, sel="im07", show="off")
        await applied(http, page, sel="im07", show="off")
        page = await shown(http, sel="im07", show="change")
        await applied(http, page, sel="im07", show="change")
    assert "interval: 2 s, enabled: false}" in texts(site.model)[FILE]


async def test_who_only_looks_on_changes_nothing(site: Site) -> None:
    async with site.client("viewer") as http:
        for do in ("show", "try", "apply", "forget"):
            answer = await http.post(PLACE, data={"do": do, "sel": "im07", "show": "off"})
            assert answer.status_code == 403, do


# For programs -----------------------------------------------------------------------------------

API = "/api/v1/connect"


async def previewed(http: AsyncClient, **change: Any) -> dict[str, Any]:
    answer = await http.post(f"{API}/preview", json={"change": change})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def revised(http: AsyncClient, **change: Any) -> dict[str, Any]:
    digest = (await previewed(http, **change))["digest"]
    answer = await http.post(f"{API}/revise", json={"change": change, "digest": digest})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_programs_change_keys_of_a_source_and_undo_it(site: Site) -> None:
    before = texts(site.model)
    change = {"do": "change_source", "source": "im07", "put": {"interval": "2 s", "timeout": "9 s"}}
    async with site.client() as http:
        seen = await previewed(http, **change)
        assert "+  im07: {kind: opcua" in seen["diff"]
        assert "interval: 2 s, timeout: 9 s" in seen["diff"]
        assert (seen["problems"], seen["refused"], seen["interrupts"]) == ([], "", ["im07"])
        assert texts(site.model) == before
        done = await revised(http, **change)
        assert "interval: 0.1 → 2" in done["changes"]
        assert site.platform.plant.sources["im07"].spec.interval == 2.0
        await revised(http, do="change_source", source="im07", drop=["timeout"])
        assert "timeout" not in texts(site.model)[FILE]
        stale = {"change": {"do": "undo", "undo": done["undo"]}, "digest": "0"}
        refused = await http.post(f"{API}/revise", json=stale)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "refused")


async def test_programs_switch_and_remove_sources(site: Site) -> None:
    await with_two_presses(site)
    before = texts(site.model)
    async with site.client() as http:
        done = await revised(http, do="switch_source", source="im08", on=False)
        assert not site.platform.plant.sources["im08"].spec.enabled
        await revised(http, do="undo", undo=done["undo"])
        assert texts(site.model) == before
        await revised(http, do="remove_source", source="im07", instead="im08")
        assert site.platform.plant.machines[MACHINE].source == "im08"
        unknown = await http.post(
            f"{API}/preview", json={"change": {"do": "switch_source", "source": "im7", "on": True}}
        )
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_source")


async def test_programs_neither_see_nor_write_secrets(site: Site) -> None:
    (site.model / "secrets.yaml").write_text("other: moulding\n")
    await sources(
        site, f'  im07: {{kind: opcua, endpoint: "{endpoint(site)}", user: u, password: sesame}}\n'
    )
    async with site.client() as http:
        kept = await previewed(http, do="change_source", source="im07", put={"interval": "2 s"})
        assert "sesame" not in str(kept)
        assert kept["diff"] != ""
        typed = await previewed(http, do="change_source", source="im07", put={"password": "tulip"})
        assert "write ${NAME}" in typed["refused"]
        assert (typed["diff"], "tulip" in str(typed)) == ("", False)
        named = {"password": "!secret other"}
        await revised(http, do="change_source", source="im07", put=named)
    assert "password: !secret other}" in texts(site.model)[FILE]


async def test_programs_that_only_look_on_change_nothing(site: Site) -> None:
    change = {"do": "switch_source", "source": "im07", "on": False}
    async with site.client("viewer") as http:
        for path in ("preview", "revise"):
            answer = await http.post(f"{API}/{path}", json={"change": change, "digest": ""})
            assert answer.status_code == 403
