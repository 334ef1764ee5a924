"""`isthmus plc`, as a person types it: what it writes, says, refuses, and what `check` takes."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from tests.field.plc.blocks import EVERY_TYPE, LEVELS, blocks, code_systems, made, plant_of, texts
from tests.field.plc.reading import plant_with
from typer.testing import CliRunner

from isthmus.cli import app
from isthmus.cli.plc import TargetName
from isthmus.field.plc.findings import CODES
from isthmus.field.plc.registry import TARGETS, target

ROOT = Path(__file__).parents[3]
ACME = ROOT / "examples" / "acme"
GUIDE = ROOT / "docs" / "guides" / "plc.md"

SOURCES: dict[str, dict[str, Any]] = {
    "s7": {"kind": "s7", "host": "10.0.0.1"},
    "opcua": {"kind": "opcua", "endpoint": "opc.tcp://10.0.0.1:4840"},
    "ethernetip": {"kind": "ethernetip", "host": "10.0.0.1"},
    "ads": {"kind": "ads", "host": "10.0.0.1"},
    "http": {"kind": "http", "url": "https://aas.example/api/v3.0"},
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["plc", *map(str, arguments)])


def written(out: Path, *arguments: str | Path) -> Any:
    done = run(*arguments, "--model", ACME, "--out", out, "--format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_targets_of_the_command_are_those_of_the_registry() -> None:
    assert get_args(TargetName) == tuple(TARGETS)
    for name in TARGETS:
        assert target(name).title


@pytest.mark.parametrize("name", list(TARGETS))
def test_every_target_writes_its_files_and_a_mapping(name: str, tmp_path: Path) -> None:
    said = written(tmp_path / "new", "injection_cycle", "job", "--target", name, "--lang", "de")
    files = [Path(one["path"]) for one in said["files"]]
    assert {one["outcome"] for one in said["files"]} == {"written"}
    assert sorted(files) == sorted((tmp_path / "new").iterdir())
    assert files[-1].name == "mapping.yaml"
    said_in_german = "".join(file.read_text("utf-8-sig") for file in files)
    assert "Temperatur der Schmelze an der Düse." in said_in_german


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    arguments = ("part_count", "--target", "siemens")
    written(tmp_path, *arguments)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    said = written(tmp_path, *arguments)
    assert {one["outcome"] for one in said["files"]} == {"unchanged"}
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_nothing_is_overwritten_unless_one_says_so(tmp_path: Path) -> None:
    own = tmp_path / "machine.db"
    own.write_text("mine")
    arguments = ("part_count", "--target", "siemens", "--model", ACME, "--out", tmp_path)
    done = run(*arguments)
    assert done.exit_code == 1
    assert f"error[P007] {own} exists and says something else" in done.stdout
    assert "--force" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["machine.db"]
    assert own.read_text() == "mine"
    done = run(*arguments, "--force")
    assert done.exit_code == 0
    assert f"overwritten {own}" in done.stdout
    assert "DATA_BLOCK" in own.read_text("utf-8-sig")


def test_refusals_are_json_too(tmp_path: Path) -> None:
    out = tmp_path / "none"
    done = run("jop", "--target", "aas", "--model", ACME, "--out", out, "--format", "json")
    assert done.exit_code == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["code"], problem["hint"]) == ("P006", "did you mean `job`?")
    assert not out.exists()


def test_warnings_are_said_beside_the_files(tmp_path: Path) -> None:
    done = run("part_count", "--target", "rockwell", "--model", ACME, "--out", tmp_path)
    assert done.exit_code == 0
    assert "warning[P104] blocks.part_count: `produced`, `good`, `scrap`, `rework`" in done.stdout
    assert f"written     {tmp_path / 'UDT_isthmus_machine.L5X'}" in done.stdout


def test_the_language_is_the_companys_unless_one_says_so(tmp_path: Path) -> None:
    written(tmp_path, "injection_cycle", "--target", "codesys")
    assert "Melt temperature at the nozzle." in (tmp_path / "isthmus.st").read_text("utf-8")


@pytest.mark.parametrize("option", [("--rename", "speed"), ("--machine-type", "My Type")])
def test_options_that_make_no_sense_are_refused(option: tuple[str, str], tmp_path: Path) -> None:
    done = run("job", "--target", "codesys", "--model", ACME, "--out", tmp_path, *option)
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "below"
    done = run("job", "--target", "codesys", "--model", ACME, "--out", out)
    assert done.exit_code == 1
    assert "Not a directory" in done.stderr


# What is written reads back ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "how", "source"),
    [
        ("siemens", {}, "s7"),
        ("siemens", {"access": "optimised"}, "opcua"),
        ("codesys", {}, "ads"),
        ("codesys", {}, "opcua"),
        ("plcopen", {}, "ads"),
        ("rockwell", {}, "ethernetip"),
        ("opcua-nodeset", {}, "opcua"),
        ("aas", {}, "http"),
    ],
)
def test_the_model_takes_the_mapping(name: str, how: dict[str, Any], source: str) -> None:
    mapping = texts(made(name, **how))["mapping.yaml"]
    plant = plant_with(mapping, SOURCES[source], EVERY_TYPE, LEVELS)
    (machine,) = plant.machines.values()
    assert {m.field for m in machine.maps} == set(EVERY_TYPE["fields"])
    assert all("{" not in str(m.tag) for m in machine.maps)


@pytest.mark.parametrize(("name", "source"), [("siemens", "s7"), ("opcua-nodeset", "opcua")])
@given(block=blocks(), system=code_systems())
@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_model_takes_the_mapping_of_any_block(
    name: str, source: str, block: dict[str, Any], system: dict[str, Any]
) -> None:
    plant = plant_of(block, system)
    mapping = texts(made(name, "drawn", plant=plant))["mapping.yaml"]
    assert plant_with(mapping, SOURCES[source], block, system).machines


def test_check_accepts_a_model_with_what_was_written(tmp_path: Path) -> None:
    """Each step a person takes: copy the file into the model, name the type, check."""
    for file in ACME.rglob("*.yaml"):
        copy = tmp_path / file.relative_to(ACME)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text("utf-8"), "utf-8")
    arguments = ("injection_cycle", "part_count", "--target", "siemens", "--machine-type", "own")
    done = run(*arguments, "--model", tmp_path, "--out", tmp_path / "plc")
    assert done.exit_code == 0
    site = tmp_path / "sites" / "hamburg.yaml"
    declared = yaml.safe_load(site.read_text("utf-8").replace("!secret", ""))
    declared["sources"]["own"] = SOURCES["s7"]
    line = next(iter(declared["areas"]["moulding"]["lines"].values()))
    line["machines"]["own-1"] = {"type": "own", "source": "own", "params": {"db": 12}}
    site.write_text(yaml.safe_dump(declared, sort_keys=False), "utf-8")
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert done.exit_code == 0, done.stdout


def test_every_code_is_explained_in_the_guide() -> None:
    page = GUIDE.read_text("utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []
