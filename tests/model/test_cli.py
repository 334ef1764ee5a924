"""What a person types to check, publish and compare models."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from isthmus.cli import app

from .models import FILES, changed

ADDRESS = '"opc.tcp://10.1.4.7:4840"'


def written(folder: Path, files: dict[str, str]) -> Path:
    """Here the use cases are the real ones: this company has what `downtime` needs."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("[oee]", "[downtime]"), encoding="utf-8")
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_check_of_a_good_model_exits_0(tmp_path: Path):
    result = run("check", str(written(tmp_path, FILES)))
    assert (result.exit_code, result.stdout) == (0, "no problems\n")


def test_check_with_an_error_exits_1_and_ends_with_a_summary(tmp_path: Path):
    result = run("check", str(written(tmp_path, changed("source: im07", "source: im7"))))
    assert result.exit_code == 1
    assert result.stdout.startswith("error[M020] sites.hamburg.machines.im-07.source: no source")
    assert result.stdout.splitlines()[-1] == "1 error, 1 warning"


def test_check_with_warnings_only_exits_0(tmp_path: Path):
    result = run(
        "check", str(written(tmp_path, changed("root: {}", "root: {}\n  other: {default: x}")))
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "0 errors, 1 warning"


def test_check_as_json_is_a_list_of_problems(tmp_path: Path):
    folder = written(tmp_path, changed("source: im07", "source: im7"))
    result = run("check", str(folder), "--format", "json")
    first, second = json.loads(result.stdout)
    assert (first["code"], second["code"]) == ("M020", "M044")
    assert first["place"] == {"file": "sites/hamburg.yaml", "line": 8, "column": 40, "length": 3}
    assert first["hint"] == "did you mean `im07`?"


def test_check_of_no_folder_says_so(tmp_path: Path):
    result = run("check", str(tmp_path / "nowhere"))
    assert result.exit_code == 2


def test_schema_is_written_to_a_file(tmp_path: Path):
    output = tmp_path / "isthmus.schema.json"
    assert run("schema", "--output", str(output)).exit_code == 0
    assert json.loads(output.read_text(encoding="utf-8"))["title"] == "Isthmus model"
    assert json.loads(run("schema").stdout) == json.loads(output.read_text(encoding="utf-8"))


def test_plan_compares_two_folders(tmp_path: Path):
    before = written(tmp_path / "before", FILES)
    after = written(tmp_path / "after", changed(ADDRESS, '"opc.tcp://10.1.4.8:4840"'))
    result = run("plan", str(after), "--against", str(before))
    assert result.exit_code == 0
    assert result.stdout == (
        "~ source im07\n"
        "    endpoint: opc.tcp://10.1.4.7:4840 → opc.tcp://10.1.4.8:4840\n"
        "\n"
        "0 to add, 1 to alter, 0 to remove; interrupts im07\n"
    )
    german = run("plan", str(after), "--against", str(before), "--lang", "de")
    assert german.stdout.splitlines()[0] == "~ Quelle im07"


def test_plan_of_a_wrong_model_shows_its_problems(tmp_path: Path):
    before = written(tmp_path / "before", FILES)
    after = written(tmp_path / "after", changed("source: im07", "source: im7"))
    result = run("plan", str(after), "--against", str(before))
    assert result.exit_code == 1
    assert "error[M020]" in result.stdout


def test_plan_without_a_platform_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "data"))
    result = run("plan", str(written(tmp_path / "model", FILES)))
    assert result.exit_code == 2
    assert "--against" in result.output
