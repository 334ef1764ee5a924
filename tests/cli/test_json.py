"""Commands print for programs what their reference page promises, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.docs.page_of_cli import choices
from tests.docs.page_of_json import commands, documented, keys

from isthmus.cli import COMMANDS, load
from isthmus.testing.opcua_server import papers

from .test_connect import folder, run, server

__all__ = ["folder", "server"]

LINE = "hamburg/hall/line-1"
ELSEWHERE = {"kpi", "calendar", "sql"}
"""Rows: their keys are columns, which other pages name."""


def printed(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def with_json() -> set[str]:
    """Every command that can print JSON."""
    return {path for name in COMMANDS for path, one in below(name, load(name)) if prints(one)}


def below(path: str, command: Any) -> Any:
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from below(f"{path} {name}", one)


def prints(command: Any) -> bool:
    return any(
        "--format" in one.opts and "json" in choices(one.type_descriptor.annotation)
        for one in command.params
    )


def test_every_command_that_prints_json_has_its_keys_on_the_page() -> None:
    described = {name for name in with_json() if name.split()[0] not in ELSEWHERE}
    assert described == commands()
    assert all(documented(name) for name in commands())


def test_commands_of_the_field_level_all_print_json() -> None:
    field = {"check", "plan", "probe", "browse", "suggest", "machines", "certs", "plc"}
    paths = {path for name in field | {"quarantine"} for path, _ in below(name, load(name))}
    groups = {"machines", "certs", "quarantine"}
    assert paths - groups <= with_json()


def test_check_and_plan(folder: Path, tmp_path: Path) -> None:
    found = printed("check", str(folder), code=0)
    assert found == [] or keys(found) == documented("check")
    site = folder / "hamburg.yaml"
    before = site.read_text("utf-8")
    site.write_text(before.replace("source: im07", "source: im7"), "utf-8")
    assert keys(printed("check", str(folder), code=1)) == documented("check")
    site.write_text(before.replace("100 ms", "200 ms"), "utf-8")
    other = tmp_path / "other"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_text(file.read_text("utf-8"), "utf-8")
    (other / "hamburg.yaml").write_text(before, "utf-8")
    assert keys(printed("plan", str(folder), "--against", str(other))) == documented("plan")


def test_probe(folder: Path) -> None:
    found = printed("probe", "im07", str(folder), "--seconds", "0.5")
    assert found["works"]
    assert keys(found) == documented("probe")


def test_browse(folder: Path) -> None:
    found = printed("browse", "im07", str(folder))
    assert keys(found) == documented("browse") - {"refused.*"}
    assert not found["cut"]


def test_suggest_prints_one_document_whatever_is_accepted(folder: Path) -> None:
    arguments = ("suggest", "im07", str(folder), "--seconds", "0", "--block", "part_count")
    looked = printed(*arguments)
    assert keys(looked) == documented("suggest")
    assert (looked["diff"], looked["written"]) == ("", False)
    shown = printed(*arguments, "--diff")
    assert "+  part_count.good:" in shown["diff"]
    assert not shown["written"]
    assert printed(*arguments, "--accept") == shown | {"written": True}
    assert "part_count.good" in (folder / "press.yaml").read_text("utf-8")


def test_machines_are_named_and_mistakes_keep_their_row(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "presses.csv"
    add = ("machines", "add", str(folder), "--from", str(table), "--type", "press", "--line", LINE)
    table.write_text("machine,root,source\nIM 1,A,im07\n", "utf-8")
    refused = printed(*add, code=1)
    assert keys(refused) == documented("machines add")
    (problem,) = refused["problems"]
    assert (problem["row"], problem["column"], refused["written"]) == (2, "machine", False)
    table.write_text("machine,root,source\nim-9,A,im07\n", "utf-8")
    made = printed(*add)
    assert (made["machines"], made["written"], made["problems"]) == ([f"{LINE}/im-9"], True, [])
    clone = ("machines", "clone", f"{LINE}/im-07", f"{LINE}/im-08", str(folder))
    assert keys(printed(*clone, code=1)) == documented("machines clone")
    copied = printed(*clone, "--set", "source=im07", "--set", "params.root=IM08", "--diff")
    assert (copied["machines"], copied["written"]) == ([f"{LINE}/im-08"], False)


def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    file = str(papers(tmp_path, "server").certificate)
    ours = printed("certs", "create")
    assert keys(ours) == documented("certs create")
    assert printed("certs", "show") == ours
    trusted = printed("certs", "trust", file, "--yes")
    assert keys(trusted) == documented("certs trust")
    listed = printed("certs", "list")
    assert keys(listed) == documented("certs list")
    assert [one["role"] for one in listed] == ["own", "trusted"]
    gone = printed("certs", "distrust", trusted["fingerprint"])
    assert keys(gone) == documented("certs distrust")
    assert gone == {"removed": [trusted["file"]]}
    assert documented("certs show") == documented("certs create")


def test_plc(folder: Path, tmp_path: Path) -> None:
    arguments = ("plc", "part_count", "--target", "codesys", "--model", str(folder))
    made = printed(*arguments, "--out", str(tmp_path / "out"))
    of_check = {key.replace("[]", "problems[]", 1) for key in documented("check")}
    assert documented("plc") <= keys(made) <= documented("plc") | of_check
    assert (tmp_path / "out" / "mapping.yaml").exists()
