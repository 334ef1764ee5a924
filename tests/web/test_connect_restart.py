"""What was begun or done on the Connect pages is still there after the platform was restarted."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from tests.whole.running import Running

from isthmus.model.write.flow import Raw
from isthmus.model.write.written import written_at
from isthmus.runtime.kept_file import KeptFile
from isthmus.runtime.revising import Rewritten
from isthmus.runtime.waiting import Waiting
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.tcp_proxy import LOOPBACK
from isthmus.web.auth import Accounts, accounts_folder

from .endpoint_page import PLACE
from .press_company import texts, written
from .test_connect import API, MADE, digest, server
from .test_pages import text_of

__all__ = ["server"]

FILE = "hamburg.yaml"
NEW = {
    "source": "im08", "line": "hamburg/hall/line-1", "name": "im-08", "type": "press_2",
    "new_type": True, "blocks": ["part_count"],
    "choices": [{"field": "part_count.scrap", "tag": "ns=2;s=IM07.Ausschuss"}],
}  # fmt: skip


class House:
    """A platform in a process of its own, and an engineer's way in."""

    def __init__(self, folder: Path, port: int) -> None:
        written(folder / "model", port)
        self.running = Running(folder)
        accounts = Accounts(accounts_folder(self.running.data))
        accounts.create("engineer", "Engineer", "engineer", "correct horse")
        accounts.close()
        self.model = self.running.model
        self.start()

    def start(self) -> None:
        self.running.start()
        self.running.wait_connected()
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.running.env['ISTHMUS_PORT']}", timeout=60
        )
        self.http.post("/login", data={"name": "engineer", "password": "correct horse"})
        token = re.search(r'name="csrf" value="([^"]+)"', self.page(sel="im07"))
        assert token
        self.http.headers["X-CSRF-Token"] = token[1]

    def stop(self) -> None:
        self.http.close()
        self.running.stop()

    def kill(self) -> None:
        self.http.close()
        self.running.kill()

    def page(self, **state: str) -> str:
        answer = self.http.get(f"{PLACE}?{urlencode(state)}")
        assert answer.status_code == 200, text_of(answer.text)
        return unescape(answer.text)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self.http.request(method, f"{API}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def written(self, path: str, seen: str, **body: Any) -> str:
        """Shown by `seen`, written by `path`; what undoes it."""
        shown = self.ask("POST", seen, **body)
        assert shown["refused"] == "", shown
        return str(self.ask("POST", path, **body, digest=shown["digest"])["undo"])

    def change_waits(self, interval: str) -> None:
        """As a person does who looks at a change of the source and does not write it."""
        texts_of = re.compile(
            r'<input(?![^>]*checkbox)[^>]* name="(k\.[\w.]+)"[^>]* value="([^"]*)"'
        )
        fields = texts_of.findall(self.page(sel="im07"))
        form = dict(fields) | {"k.interval": interval, "sel": "im07", "kind": "opcua"}
        answer = self.http.post(PLACE, data=form | {"do": "show"})
        assert answer.status_code == 303, text_of(answer.text)


@pytest.fixture
def house(tmp_path: Path, server: OpcuaServer) -> Iterator[House]:
    made = House(tmp_path, server.port)
    try:
        yield made
    finally:
        made.kill()


def test_a_restart_forgets_neither_what_waits_nor_how_to_undo(
    house: House, server: OpcuaServer
) -> None:
    before = texts(house.model)
    entry = {"kind": "opcua", "endpoint": f"opc.tcp://{LOOPBACK}:{server.port}"}
    drafts = [house.ask("PUT", "drafts/im08", site="hamburg", entry=entry)]
    undo = house.written("apply", "draft", **NEW)
    house.change_waits("2 s")
    assert (house.model / MADE).exists()
    house.stop()
    house.start()
    page = house.page(sel="im07", show="change")
    assert "interval: 2 s" in text_of(page)
    house.written("revise", "preview", change={"do": "undo", "undo": undo})
    assert (texts(house.model), house.ask("GET", "drafts")) == (before, drafts)
    page = house.page(sel="im07", show="change")
    body = {"do": "apply", "sel": "im07", "show": "change", "digest": digest(page)}
    assert house.http.post(PLACE, data=body).status_code == 303
    assert "interval: 2 s}" in texts(house.model)[FILE]


def test_after_a_kill_a_file_that_another_hand_wrote_is_not_taken_back(house: House) -> None:
    change = {"do": "change_source", "source": "im07", "put": {"interval": "2 s"}}
    undo = house.written("revise", "preview", change=change)
    house.kill()
    file = house.model / FILE
    file.write_text(file.read_text().replace("Hamburg", "Hamburg-Altona"))
    after = texts(house.model)
    house.start()
    said = house.ask("POST", "preview", change={"do": "undo", "undo": undo})
    assert said["refused"] == f"{FILE} was changed since: it cannot be undone any more"
    page = text_of(house.page(sel="im07", show="undo", undo=undo))
    assert said["refused"] in page
    assert texts(house.model) == after


# The files ------------------------------------------------------------------------------------


def test_what_waits_comes_back_as_it_was_written(tmp_path: Path) -> None:
    text = (
        "site: hamburg\nsources:\n  im07: {kind: opcua, user: {name: 'a', password: !secret p}}\n"
    )
    base = written_at({FILE: text}, "hamburg", ("sources", "im07"))
    entry = {
        "kind": base["kind"], "user": base["user"] | {"name": "b"}, "token": Raw("${TOKEN}"),
        "timeout": 2.5, "nodes": ["a", {"deep": True, "none": None}],
    }  # fmt: skip
    kept = Rewritten.between(base, entry)
    Waiting(KeptFile(tmp_path / "waiting.json")).keep("im07", kept)
    found = Waiting(KeptFile(tmp_path / "waiting.json")).of("im07")
    assert found == kept
    assert found.over(base) == entry


def test_only_the_newest_are_kept_and_for_no_other_eyes(tmp_path: Path) -> None:
    file = tmp_path / "undo.json"
    kept = KeptFile(file)
    for number in range(5):
        kept.change({str(number): {"of": number}}, most=3)
    assert KeptFile(file).entries == {"2": {"of": 2}, "3": {"of": 3}, "4": {"of": 4}}
    assert file.stat().st_mode & 0o777 == 0o600
    kept.change({"3": None})
    assert list(KeptFile(file).entries) == ["2", "4"]


def test_a_file_that_is_no_json_is_put_aside_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "undo.json"
    file.write_text('{"half')
    kept = KeptFile(file)
    assert "undo.json cannot be read" in caplog.text
    kept.change({"a": 1})
    assert json.loads(file.read_text()) == {"a": 1}
    assert (tmp_path / "undo.damaged").read_text() == '{"half'
