"""Connecting a machine from the command line, against a real OPC UA server."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from typer.testing import CliRunner, Result

from isthmus.cli import app
from isthmus.model.load import load
from isthmus.runtime.open import kinds
from isthmus.testing.opcua_server import OpcuaServer
from isthmus.testing.opcua_wire import write_requests
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

Kind = ua.VariantType

PRESS = {
    "ns=2;s=IM07.Maschinenstatus": ua.Variant(3, Kind.Int32),
    "ns=2;s=IM07.Gutteile": ua.Variant(65_530, Kind.UInt16),
    "ns=2;s=IM07.Gutteile_Schicht": ua.Variant(12, Kind.UInt16),
    "ns=2;s=IM07.Ausschuss": ua.Variant(7, Kind.UInt16),
    "ns=2;s=IM07.Zykluszeit": ua.Variant(28.1, Kind.Double),
    "ns=2;s=IM07.Zykluszeit_Soll": ua.Variant(28.0, Kind.Double),
    "ns=2;s=IM07.Oeltemperatur": ua.Variant(45.0, Kind.Double),
}

COMPANY = "enterprise: acme\n"
TYPE = """\
# Presses of the old hall.
machine_type: press
kind: opcua
blocks: [machine_state, part_count]
params:
  root: {}
map:
  machine_state.state: {tag: "ns=2;s={root}.Maschinenstatus", codes: {3: execute}}   # 3 is all
"""
SITE = """\
site: hamburg
areas:
  hall:
    lines:
      line-1:
        machines:
          im-07: {type: press, source: im07, params: {root: IM07}}
sources:
  im07: {kind: opcua, endpoint: "opc.tcp://ADDRESS", interval: 100 ms}
"""


@pytest.fixture(scope="module")
def server() -> Any:
    with OpcuaServer(PRESS) as running:
        yield running


@pytest.fixture
def folder(server: OpcuaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    return written(tmp_path / "model", f"{LOOPBACK}:{server.port}")


def written(folder: Path, address: str) -> Path:
    folder.mkdir()
    site = SITE.replace("ADDRESS", address)
    for name, text in (("company", COMPANY), ("press", TYPE), ("hamburg", site)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def changed(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"[+-](?![+-])", line)]


def test_browse_lists_type_unit_and_path(folder: Path):
    result = run("browse", "im07", str(folder), "--search", "zyklus", "--format", "json")
    assert result.exit_code == 0, result.output
    listed = json.loads(result.stdout)
    assert (listed["total"], listed["complete"]) == (2, True)
    assert listed["nodes"][0] | {"description": "", "type_definition": ""} == {
        "tag": "ns=2;s=IM07.Zykluszeit", "name": "IM07.Zykluszeit",
        "path": "/Machine/IM07.Zykluszeit", "type": "Double", "unit": "", "has_children": False,
        "description": "", "unit_code": "", "defined_by": "", "type_definition": "",
    }  # fmt: skip


def test_browse_shows_so_many_and_says_how_many_there_are(folder: Path):
    result = run("browse", "im07", str(folder), "--limit", "2")
    assert "8 of 8 nodes, 2 shown" in result.stdout


def test_what_was_found_is_not_asked_for_again(folder: Path):
    run("browse", "im07", str(folder))
    assert "--again asks the device anew" in run("browse", "im07", str(folder)).stderr
    assert "--again asks" not in run("browse", "im07", str(folder), "--again").stderr


def test_browse_of_nobody_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    folder = written(tmp_path / "model", f"{LOOPBACK}:1")
    result = run("browse", "im07", str(folder))
    assert result.exit_code == 1
    assert "no answer" in result.stderr
    assert result.stderr.count("isthmus probe im07") == 1


def test_an_agent_that_is_off_is_named_with_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    folder = written(tmp_path / "model", "unused")
    agent = f'kind: mtconnect, url: "http://{LOOPBACK}:1"'
    edit(folder / "hamburg.yaml", r"kind: opcua, endpoint: .*?(?=\})", agent)
    edit(folder / "press.yaml", "kind: opcua", "kind: mtconnect")
    edit(folder / "press.yaml", r'"ns=2;s=\{root\}.Maschinenstatus"', '"{root}_exec"')
    result = run("browse", "im07", str(folder))
    assert result.stderr.startswith(f"source `im07`: http://{LOOPBACK}:1: ")
    assert result.stderr.endswith("`isthmus probe im07` says more.\n")


def edit(file: Path, was: str, now: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.search(was, text)
    file.write_text(re.sub(was, now, text), encoding="utf-8")


@pytest.mark.parametrize("command", ["browse", "suggest", "probe"])
def test_a_mistyped_source_shows_which_there_are(folder: Path, command: str):
    assert run(command, "im7", str(folder)).stderr.endswith("did you mean `im07`?\n")
    assert run(command, "x", str(folder)).stderr.endswith("model; sources: `im07`\n")


def test_a_mistyped_block_is_told_before_the_device_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    nobody = written(tmp_path / "model", f"{LOOPBACK}:1")
    result = run("suggest", "im07", str(nobody), "--block", "part_cuont")
    assert result.stderr == "no block `part_cuont`; did you mean `part_count`?\n"


def test_where_nothing_fits_it_says_how_to_look(folder: Path):
    result = run("suggest", "im07", str(folder), "--seconds", "0", "--block", "energy")
    assert "nothing there fits; `isthmus browse im07 --search" in result.stdout


def test_suggest_names_tag_score_and_reason(folder: Path):
    result = run("suggest", "im07", str(folder), "--seconds", "0", "--format", "json")
    assert result.exit_code == 0, result.output
    by_field = {one["field"]: one["proposals"] for one in json.loads(result.stdout)["fields"]}
    assert "machine_state.state" not in by_field  # it has a tag already
    assert by_field["part_count.good"][0]["tag"] == "ns=2;s=IM07.Gutteile"
    assert by_field["part_count.good"][0]["why"] == ["`IM07.Gutteile` means good parts"]


def test_suggest_listens_and_speaks_german(folder: Path):
    result = run("suggest", "im07", str(folder), "--seconds", "0.3", "--lang", "de",
                 "--block", "part_count")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "bedeutet" in result.stdout


def test_nothing_is_written_without_being_asked(folder: Path):
    run("suggest", "im07", str(folder), "--seconds", "0")
    run("suggest", "im07", str(folder), "--seconds", "0", "--diff")
    assert (folder / "press.yaml").read_text(encoding="utf-8") == TYPE


def test_accept_writes_parameter_and_counter_and_keeps_comments(folder: Path):
    result = run("suggest", "im07", str(folder), "--seconds", "0", "--accept")
    assert result.exit_code == 0, result.output
    assert changed(result.stdout) == [
        '+  part_count.good: {tag: "ns=2;s={root}.Gutteile", counter: {bits: 16}}',
        '+  part_count.scrap: {tag: "ns=2;s={root}.Ausschuss", counter: {bits: 16}}',
    ]
    text = (folder / "press.yaml").read_text(encoding="utf-8")
    assert text.startswith(TYPE)
    assert "ns=2;s=IM07.Ausschuss" in load(folder, kinds()).sources["im07"].tags


def test_one_can_be_taken_by_name(folder: Path):
    result = run("suggest", "im07", str(folder), "--seconds", "0",
                 "--take", "part_count.good=ns=2;s=IM07.Gutteile_Schicht")  # fmt: skip
    assert changed(result.stdout) == [
        '+  part_count.good: {tag: "ns=2;s={root}.Gutteile_Schicht", counter: {bits: 16}}'
    ]


def test_a_tag_nobody_proposed_is_not_taken(folder: Path):
    result = run("suggest", "im07", str(folder), "--seconds", "0", "--take", "part_count.good=x")
    assert result.exit_code == 1
    assert "proposed for `part_count.good` is ns=2;s=IM07.Gutteile" in result.stderr


async def test_the_device_is_never_written_to(
    server: OpcuaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    async with TcpProxy(server.port) as wire:
        folder = written(tmp_path / "model", f"{LOOPBACK}:{wire.port}")
        await asyncio.to_thread(run, "suggest", "im07", str(folder), "--seconds", "0.2", "--accept")
        assert wire.sent
        assert write_requests(wire.sent) == []


def test_a_source_without_an_address_space_is_mapped_from_a_list(tmp_path: Path):
    folder = written(tmp_path / "model", "127.0.0.1:1")
    site = SITE.replace(
        'kind: opcua, endpoint: "opc.tcp://ADDRESS"', "kind: modbus, host: 10.0.0.9"
    )
    (folder / "hamburg.yaml").write_text(site, encoding="utf-8")
    (folder / "press.yaml").write_text(
        "machine_type: press\nkind: modbus\nblocks: [part_count]\nmap:\n"
        '  part_count.good: {tag: "holding:9:uint16"}\n'
    )
    (folder / "hamburg.yaml").write_text(site.replace(", params: {root: IM07}", ""))
    table = tmp_path / "register.csv"
    table.write_text(
        "Adresse;Datentyp;Kommentar\nholding:0:uint16;uint16;Ausschusszähler\n"
        "holding:1:uint16;uint16;Öltemperatur\n",
        encoding="utf-8",
    )
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("Register;Typ\nholding:0:uint16;uint16\n5;INT\n", encoding="utf-8")
    told = run("suggest", "im07", str(folder), "--list", str(wrong), "--seconds", "0")
    assert told.exit_code == 1
    assert told.stderr.startswith("row 3: `5` is no ")
    refused = run("suggest", "im07", str(folder), "--seconds", "0")
    assert "--list tags.csv" in refused.stderr
    result = run("suggest", "im07", str(folder), "--list", str(table), "--seconds", "0",
                 "--accept")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert changed(result.stdout) == [
        '+  part_count.scrap: {tag: "holding:0:uint16", counter: {bits: 16}}'
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["probe", "im07"], ["browse", "im07"], ["suggest", "im07"], ["sql", "select 1"], ["kpi"],
        ["machines", "clone", "a/b/c/d", "a/b/c/e"], ["quarantine", "list"],
        ["plc", "job", "--target", "aas", "--out", "here"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_where_there_is_no_model_every_command_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: no model: `{tmp_path}` has no YAML file, and no platform has run on "
        f"`{tmp_path / 'data'}`. Name the model's folder, or set ISTHMUS_DATA to the data folder "
        "of the platform.\n"
    )


def test_a_wrong_setting_is_said_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ISTHMUS_PORT", "80x")
    result = run("probe", "im07", str(folder))
    assert (result.exit_code, result.stderr) == (
        2, "error: ISTHMUS_PORT is `80x`: write a port from 1 to 65535\n",
    )  # fmt: skip


# Many ----------------------------------------------------------------------------------------


def test_forty_machines_from_a_csv(folder: Path, tmp_path: Path):
    table = tmp_path / "presses.csv"
    rows = [f"im-{n},IM{n},10.1.4.{n}" for n in range(50, 90)]
    table.write_text("\n".join(["machine,root,host", *rows]), encoding="utf-8")
    arguments = ("machines", "add", str(folder), "--from", str(table), "--type", "press",
                 "--line", "hamburg/hall/line-1",
                 "--set", "source.endpoint=opc.tcp://{host}:4840")  # fmt: skip
    assert len(changed(run(*arguments, "--diff").stdout)) == 80
    assert len(load(folder, kinds()).machines) == 1
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert len(load(folder, kinds()).machines) == 41


def test_mistakes_of_a_csv_are_told_by_row_and_column(folder: Path, tmp_path: Path):
    table = tmp_path / "presses.csv"
    table.write_text("machine,root,source\nIM 1,A,im07\nim-2,,im07\n", encoding="utf-8")
    result = run("machines", "add", str(folder), "--from", str(table), "--type", "press",
                 "--line", "hamburg/hall/line-1")  # fmt: skip
    assert result.exit_code == 1
    assert "presses.csv: row 2, column `machine`: `IM 1`: only lower case" in result.stderr
    assert "presses.csv: row 3, column `root`: is empty" in result.stderr
    assert len(load(folder, kinds()).machines) == 1


def test_a_table_that_is_not_utf8_says_what_to_do(folder: Path, tmp_path: Path):
    table = tmp_path / "presses.csv"
    table.write_bytes("machine,root\nim-1,Größe\n".encode("cp1252"))
    result = run("machines", "add", str(folder), "--from", str(table), "--type", "press",
                 "--line", "hamburg/hall/line-1")  # fmt: skip
    assert result.exit_code == 1
    assert "save it as" in result.stderr


def test_a_clone_says_what_must_differ_and_then_is_made(folder: Path):
    arguments = ("machines", "clone", "hamburg/hall/line-1/im-07", "hamburg/hall/line-1/im-08",
                 str(folder))  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 1
    assert "--set source.endpoint=…" in result.stderr
    assert "--set params.root=…" in result.stderr
    result = run(*arguments, "--set", "source.endpoint=opc.tcp://10.0.0.8:4840",
                 "--set", "params.root=IM08")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert changed(result.stdout) == [
        "+          im-08: {type: press, source: im-08, params: {root: IM08}}",
        '+  im-08: {kind: opcua, endpoint: "opc.tcp://10.0.0.8:4840", interval: 100 ms}',
    ]
